//! `sojourn plan`

mod compare;

use super::{say, say_json};
use crate::args::PlanArgs;
use crate::cli_error::{CliError, CliResult};
use crate::ground;
use crate::launch::places::Places;
use crate::orbital_labels;
use sojourn_core::files;
use sojourn_core::geometry::Xy;
use sojourn_core::plan::Plan;
use sojourn_core::site::{ORTHO, Site};
use sojourn_core::slip_forecast::SlipMemory;
use sojourn_perception::orbital::Orbital;
use sojourn_planner::model::{NoReport, SurfaceView, TwinWord, Watch, folder};
use sojourn_planner::{
    Assistance, Briefing, GivenLabels, PlanRequest, candidates, history_labels, plan as make_plan,
    plan_labelled, to_xml,
};
use sojourn_twin::verify::{Setup, VerifyOptions, verify};
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Plans a route.
///
/// # Errors
/// [`crate::cli_error::CliError::Failed`] in one sentence; nothing is written then.
pub fn plan(args: &PlanArgs) -> CliResult {
    if let Some(command) = &args.command {
        return super::check::run(command);
    }
    // clap asks for it.
    let missing = || CliError::Usage("--out is needed".into());
    let out = args.out.as_ref().ok_or_else(missing)?;
    let places = Places::find();
    ground::writable(out)?;
    if let Some(xml) = &args.xml {
        ground::writable(xml)?;
        ground::apart(&[("--out", out), ("--xml", xml)])?;
    }
    let (rover, _) = ground::rover(&places, &args.rover)?;
    let constraints = ground::mission_on(&places, args.mission.as_deref(), args.day.as_deref())?;
    for (option, key, given) in [
        (
            "--start",
            "start_m",
            args.start.is_some() || constraints.start_m.is_some(),
        ),
        (
            "--goal",
            "goal_m",
            args.goal.is_some() || constraints.goal_m.is_some(),
        ),
    ] {
        if !given {
            return Err(CliError::Usage(format!(
                "{option} is needed: the mission gives no {key} either"
            )));
        }
    }
    let (provider, config) = ground::provider(&args.model, args.model_config.as_deref())?;
    let (provider, journal) = match (provider, &args.talk) {
        (Some(live), Some(dir)) => (
            Some(folder::taken_up(live, dir)?),
            Some(folder::journal(dir)?),
        ),
        (provider, _) => (provider, None),
    };
    let knowledge = match &args.knowledge {
        Some(dir) => Some(dir.clone()),
        None => places.shared("config/knowledge").ok(),
    };
    let mut briefing = Briefing::load(knowledge.as_deref(), args.history.as_deref(), &args.note)?;
    if let Some(list) = &args.surface {
        briefing.surface = SurfaceView::load(list)?;
    }
    let site = ground::site(&places, &args.ground, &rover, None)?;
    let request = PlanRequest {
        name: args
            .name
            .clone()
            .unwrap_or_else(|| site.manifest.name.clone()),
        start_m: place(&site, "start", args.start.as_deref(), constraints.start_m)?,
        goal_m: place(&site, "goal", args.goal.as_deref(), constraints.goal_m)?,
        seed: args.seed,
        slip: args
            .slip_memory
            .as_ref()
            .map(|file| SlipMemory::load(file, &rover.name))
            .transpose()?,
    };
    let cancel = if provider.is_some() {
        interruptible()?
    } else {
        Arc::default()
    };
    // Asked beside a model, whose views and words want a second source, or for comparison alone.
    if site.layers.contains_key(ORTHO) && (provider.is_some() || args.disagreement.is_some()) {
        briefing.classified = Some(orbital_labels::labels(&Orbital::shipped()?, &site)?.labels);
    }
    let show = std::io::stderr().is_terminal();
    let progress = |line: &str| {
        if show {
            eprintln!("{line}");
        }
    };
    let watch = Watch {
        cancel: &cancel,
        progress: &progress,
    };
    let setup = Setup::load(&places.shared("config")?)?;
    let twin = |plan: &Plan| {
        verify(plan, &site, &rover, &setup, VerifyOptions::standard())
            .map_err(|e| NoReport::Undrivable(e.to_string()))
    };
    let assistance = provider.as_deref().map(|provider| Assistance {
        provider,
        config: &config,
        briefing: &briefing,
        watch: &watch,
        twin: args
            .twin
            .then_some(&twin as &sojourn_planner::model::Twin<'_>),
        journal: journal.as_deref(),
    });
    let given = given_labels(args, &site, &rover, &briefing)?;
    let made = match &given {
        Some(given) => plan_labelled(&request, &site, &rover, &constraints, given),
        None => make_plan(&request, &site, &rover, &constraints, assistance.as_ref()),
    };
    let mut outcome = made.map_err(|e| match e {
        sojourn_planner::PlanError::Stopped => CliError::Interrupted,
        other => other.into(),
    })?;
    crate::interrupt::release();
    let compared = compare::compare(args, &outcome, given.as_ref(), &briefing, &site, &rover)?;
    outcome.plan.disputes = compared.as_ref().map(|c| c.disputes.clone());
    // Within a conversation the twin drove what it was about, before the sources were compared.
    let mut words = outcome
        .model
        .as_ref()
        .map_or_else(Vec::new, |m| m.twin.clone());
    let disputed = outcome
        .plan
        .disputes
        .as_ref()
        .is_some_and(|d| !d.grounds.is_empty());
    if args.twin && (outcome.model.is_none() || disputed) {
        let of = match disputed {
            true => "the plan, its disputed ground counted",
            false => "the plan",
        };
        let word = TwinWord::of(of, &outcome.plan, twin(&outcome.plan));
        if !word.passed {
            let flag = format!("the twin rejects this plan: {}", word.reason);
            outcome.plan.model.flags.push(flag);
        }
        words.push(word);
    }
    let plan = &outcome.plan;
    let picture = match &compared {
        Some(layer) => Some(compare::picture(layer, plan, &site)?),
        None => None,
    };
    if let (Some(dir), Some(record)) = (&args.talk, &outcome.model) {
        folder::write(dir, record, plan, picture.as_deref())?;
    }
    if let (Some(file), Some(layer)) = (&args.disagreement, &compared) {
        sojourn_site::write_geotiff(&site, &layer.levels, file)?;
        if let Some(png) = &picture {
            files::write_atomic(&file.with_extension("png"), png)?;
        }
    }
    let differ = compared.map(|c| c.figures);
    let xml = to_xml(plan)?;
    let text = serde_json::to_string_pretty(plan)? + "\n";
    files::write_atomic(out, text.as_bytes())?;
    if let Some(path) = &args.xml
        && let Err(e) = files::write_atomic(path, xml.as_bytes())
    {
        // Both or none.
        let _ = std::fs::remove_file(out);
        return Err(e.into());
    }
    let alternatives: Vec<serde_json::Value> = if args.alternatives == 0 {
        Vec::new()
    } else {
        let k = usize::from(args.alternatives);
        candidates(&request, &site, &rover, &constraints, &plan.features, k)?
            .iter()
            .map(|c| {
                serde_json::json!({
                    "preset": c.preset.name(),
                    "length_m": c.length_m,
                    "cost": c.cost,
                    "risk_m": c.risk_m,
                    "max_slope_deg": c.max_slope_deg,
                    "max_roughness_m": c.max_roughness_m,
                    "clearance_m": c.clearance_m,
                    "line": c.line,
                })
            })
            .collect()
    };
    if args.json {
        return say_json(&serde_json::json!({
            "ok": true,
            "digest": plan.digest()?,
            "distance_m": plan.distance_m,
            "straight_m": outcome.stats.straight_m,
            "waypoints": plan.waypoints.len(),
            "model_status": plan.model.status,
            "model_note": plan.model.note,
            "labels": plan.features.len(),
            "model_level": plan.model.level,
            "rounds": plan.model.rounds,
            "flags": plan.model.flags,
            "mission": plan.mission,
            "constraints_digest": plan.constraints_digest,
            "spent": outcome.model.as_ref().map(|m| m.spent),
            "transcript_sha256": plan.model.transcript_sha256,
            "talk": args.talk,
            "site_digest": plan.site_digest,
            "body": plan.body.name,
            "rover": plan.rover,
            "validator": {
                "limits_version": outcome.verdict.limits_version,
                "limits_sha256": outcome.verdict.limits_sha256,
                "checked": outcome.verdict.checked,
                "flagged": outcome.verdict.violations,
                "measures": outcome.verdict.measures,
            },
            "alternatives": alternatives,
            "disagreement": differ,
            "twin": words,
            "out": out,
            "xml": args.xml,
        }));
    }
    say(&format!(
        "{}: {:.1} m in {} segments ({:.1} m as the crow flies); {}",
        out.display(),
        plan.distance_m,
        plan.waypoints.len(),
        outcome.stats.straight_m,
        plan.model.note
    ));
    if let Some(f) = &differ {
        say(&format!(
            "of the {:.0} m of the way that two of {} looked at, they disagree on {:.0} m",
            f.route_compared_m,
            f.sources.join(", "),
            f.route_disagree_m
        ));
    }
    for w in &words {
        let verdict = if w.passed { "passes" } else { "rejects" };
        say(&format!("the twin {verdict} {}: {}", w.of, w.reason));
    }
    for age in plan
        .mission
        .iter()
        .flat_map(|m| &m.layers)
        .filter(|l| l.stale)
    {
        say(&format!("stale: {}", age.words));
    }
    Ok(())
}

/// A place that was asked for, or the mission's.
fn place(
    site: &Site,
    which: &str,
    asked: Option<&str>,
    mission: Option<Xy>,
) -> Result<Xy, CliError> {
    match (asked, mission) {
        (Some(text), _) => Ok(ground::place(site, which, text)?),
        (None, Some(p)) => Ok(p),
        (None, None) => Err(CliError::Usage(format!("--{which} is needed"))),
    }
}

/// Labels that need no conversation: the orbital classifier's, and where nobody is asked those of earlier drives.
fn given_labels(
    args: &PlanArgs,
    site: &Site,
    rover: &sojourn_core::rover::Rover,
    briefing: &Briefing,
) -> Result<Option<GivenLabels>, CliError> {
    let classifier = orbital_labels::classifier(&args.model)?;
    let nobody = matches!(args.model.spec().as_str(), "none" | "geometric");
    let mut given = match &classifier {
        Some(orbital) => orbital_labels::labels(orbital, site)?,
        None if nobody => GivenLabels {
            provider: "drive history".into(),
            ..GivenLabels::default()
        },
        None => return Ok(None),
    };
    given
        .labels
        .extend(history_labels(&briefing.history, rover.limits.slip));
    Ok((classifier.is_some() || !given.labels.is_empty()).then_some(given))
}

/// A flag that Ctrl-C sets.
fn interruptible() -> Result<Arc<AtomicBool>, CliError> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // The second one ends the program at once.
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&flag))?;
        signal_hook::flag::register(signal, Arc::clone(&flag))?;
    }
    crate::interrupt::hold();
    Ok(flag)
}
