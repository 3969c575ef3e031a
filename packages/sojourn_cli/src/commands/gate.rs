//! `sojourn approve`, `key` and `bundle`: the way from a plan to what a rover accepts.

use super::{say, say_json};
use crate::args::{ApproveArgs, BundleCheckArgs, KeyNewArgs, PurposeArg};
use crate::cli_error::{CliError, CliResult};
use crate::ground;
use sojourn_core::{
    files,
    plan::Plan,
    report::{Report, Verdict},
};
use sojourn_mission::{bundle::Bundle, gate, keys};
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// Most findings that are printed.
const SHOWN_FINDINGS: usize = 10;

/// What a person is shown before signing.
#[must_use]
pub fn figures(plan: &Plan, report: &Report) -> String {
    let verdict = match report.verdict {
        Verdict::Pass => "passed",
        Verdict::PassWithWarnings => "passed with warnings",
        Verdict::Reject => "REJECTED",
    };
    let mut out = format!(
        "Plan {} ({})\n  rover            {} on {}\n  way              {:.1} m in {} segments, from ({:.1}, {:.1}) to ({:.1}, {:.1})\n  \
         model            {}\n  twin             {verdict}: {}\n  values checked   {}\n  greatest tilt    {:.1} deg\n  \
         least clearance  {:.2} m\n  greatest slip    {:.0} %\n  duration         {:.0} s",
        plan.name,
        report.plan_digest.get(..12).unwrap_or_default(),
        plan.rover,
        plan.body.name,
        plan.distance_m,
        plan.waypoints.len(),
        plan.start.x_m,
        plan.start.y_m,
        plan.goal.x_m,
        plan.goal.y_m,
        plan.model.note,
        report.reason,
        report.values_checked,
        report.max_tilt_deg,
        report.min_clearance_m,
        report.max_slip * 100.0,
        report.duration_s
    );
    for line in stale(plan) {
        out += &format!("\n  - stale map: {line}");
    }
    if let Some(m) = &report.monte_carlo {
        out += &format!(
            "\n  samples          {} of {} break a limit (probability {:.2} to {:.2})",
            m.any.violations, m.samples, m.any.lower, m.any.upper
        );
    }
    if let Some(way) = &report.disputed {
        out += &format!(
            "\n  disputed ground  {:.1} m of the way ({:.0} %): {} disagree about what it is",
            way.length_m,
            100.0 * way.share,
            plain(&way.sources.join(", "))
        );
    }
    for p in report.points_of_no_return.iter().take(SHOWN_FINDINGS) {
        out += &format!(
            "\n  - no return behind ({:.1}, {:.1}) m: {}",
            p.at.x_m, p.at.y_m, p.reason
        );
    }
    for f in report.findings.iter().take(SHOWN_FINDINGS) {
        out += &format!("\n  - {}", f.reason);
    }
    for f in report.warnings.iter().take(SHOWN_FINDINGS) {
        out += &format!("\n  - warning: {}", f.reason);
    }
    out
}

/// What a plan says of layers that no longer hold.
fn stale(plan: &Plan) -> impl Iterator<Item = String> + '_ {
    let layers = plan.mission.iter().flat_map(|m| &m.layers);
    // A plan comes from anywhere.
    layers
        .filter(|l| l.stale)
        .take(SHOWN_FINDINGS)
        .map(|l| plain(&l.words))
}

/// One short line.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

/// Asks a person on the terminal; `false` for anything but a clear yes.
#[must_use]
pub fn asked(question: &str) -> bool {
    // No lock is held while the person thinks: another thread has to be able to say that all is over.
    eprint!("{question} [yes/no] ");
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .is_ok_and(|_| matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Whether a person sits at a terminal.
#[must_use]
pub fn person_there() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// The login name, for signatures.
#[must_use]
pub fn login_name() -> String {
    ["SUDO_USER", "USER", "LOGNAME"]
        .iter()
        .find_map(|v| std::env::var(v).ok().filter(|s| !s.is_empty()))
        .unwrap_or_else(|| "operator".into())
}

/// Signs a verified plan into a bundle.
///
/// # Errors
/// [`CliError::Rejected`] when the twin rejected the plan, [`CliError::Failed`] when a person says no or something is
/// not in order; nothing is written then.
pub fn approve(args: &ApproveArgs) -> CliResult {
    let plan = Plan::load(&args.plan)?;
    let report = Report::load(&args.report)?;
    if !report.passed {
        return Err(CliError::Rejected(format!(
            "{}: the twin rejected the plan: {}",
            args.report.display(),
            report.reason
        )));
    }
    let key = keys::KeyFile::load(&args.key)?;
    let signer = args.signer.clone().unwrap_or_else(login_name);
    // Signed only in memory until the person has said yes.
    let signed = gate::approve(&plan, &report, &key, &signer, &ground::utc_now())?;
    let xml = match &args.xml {
        Some(file) => files::read_text(file, sojourn_core::plan::MAX_PLAN_BYTES)?,
        None => sojourn_planner::to_xml(&plan)?,
    };
    let bundle = Bundle::new(&plan, &report, &signed, Some(&xml))?;
    if !args.yes {
        if !person_there() {
            return Err(CliError::Failed(
                "there is no terminal to ask a person on; give --yes to approve without asking"
                    .into(),
            ));
        }
        eprintln!("{}", figures(&plan, &report));
        if !asked(&format!(
            "Sign as {signer} with the {} key {}?",
            key.purpose.name(),
            key.key_id
        )) {
            return Err(CliError::Failed("not approved; nothing was signed".into()));
        }
    }
    bundle.write(&args.out)?;
    if args.json {
        return say_json(&serde_json::json!({
            "ok": true,
            "bundle_id": bundle.id(),
            "plan_digest": report.plan_digest,
            "signer": signer,
            "purpose": key.purpose.name(),
            "key_id": key.key_id,
            "out": args.out,
        }));
    }
    say(&format!(
        "{}: bundle {} signed by {signer} with the {} key {}",
        args.out.display(),
        bundle.id(),
        key.purpose.name(),
        key.key_id
    ));
    Ok(())
}

/// The public half beside a secret key's file: its name with `.pub.json` behind, as `demo.launch.xml` expects.
#[must_use]
pub fn public_file(secret: &Path) -> PathBuf {
    let mut name = secret.as_os_str().to_os_string();
    name.push(".pub.json");
    PathBuf::from(name)
}

/// Makes a key.
///
/// # Errors
/// [`CliError::Failed`] in one sentence; an old key is never overwritten.
pub fn key_new(args: &KeyNewArgs) -> CliResult {
    let purpose = match args.purpose {
        PurposeArg::Simulation => keys::Purpose::Simulation,
        PurposeArg::Flight => keys::Purpose::Flight,
    };
    let public = public_file(&args.out);
    let key = keys::generate(purpose, &ground::utc_now())?;
    key.save(&args.out)?;
    key.public().save(&public)?;
    if args.json {
        return say_json(&serde_json::json!({
            "ok": true,
            "key_id": key.key_id,
            "purpose": purpose.name(),
            "public_key": key.public_key,
            "out": args.out,
            "public": public,
        }));
    }
    say(&format!(
        "{}: {} key {}; its public half is in {}",
        args.out.display(),
        purpose.name(),
        key.key_id,
        public.display()
    ));
    Ok(())
}

/// Checks a bundle.
///
/// # Errors
/// [`CliError::Failed`] with what is wrong.
pub fn bundle_check(args: &BundleCheckArgs) -> CliResult {
    let bundle = match Bundle::read(&args.dir) {
        Ok(bundle) => bundle,
        Err(e) => {
            if args.json {
                say_json(&serde_json::json!({"ok": false, "reason": e.to_string()}))?;
            }
            return Err(e.into());
        }
    };
    let approval = &bundle.approval().approval;
    if args.json {
        return say_json(&serde_json::json!({
            "ok": true,
            "bundle_id": bundle.id(),
            "plan_digest": approval.plan_digest,
            "report_digest": approval.report_digest,
            "signer": approval.signer,
            "purpose": approval.purpose.name(),
            "approved_utc": approval.approved_utc,
            "distance_m": bundle.plan().distance_m,
            "files": bundle.files().keys().collect::<Vec<_>>(),
        }));
    }
    say(&format!(
        "{}: bundle {} is whole; signed by {} on {} with a {} key; {:.1} m for {}",
        args.dir.display(),
        bundle.id(),
        approval.signer,
        approval.approved_utc,
        approval.purpose.name(),
        bundle.plan().distance_m,
        bundle.plan().rover
    ));
    Ok(())
}
