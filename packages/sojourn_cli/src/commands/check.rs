//! `sojourn plan check`

use super::{say, say_json};
use crate::args::GroundArgs;
use crate::cli_error::{CliError, CliResult};
use crate::ground;
use crate::launch::places::Places;
use clap::{Args, Subcommand};
use sojourn_core::files;
use sojourn_core::plan::{MAX_PLAN_BYTES, Plan};
use sojourn_planner::Verdict;
use sojourn_planner::model::check_transcript;
use sojourn_planner::validator::{Ground, Limits, check_document, check_plan};
use std::path::PathBuf;

/// Something else than planning.
#[derive(Debug, Subcommand)]
pub enum PlanCommand {
    /// Checks a plan, whoever made it, against every rule of the validator. Exit code 0 sound, 3 refused.
    #[command(
        after_help = "Examples:\n  sojourn plan check plan.json --dtm dtm.tif --json\n  sojourn plan check plan.json --site site/ --rover testbed --mission mission.yaml\n  \
            sojourn plan check plan.json --talk talk/\n\n\
            Without ground (--dtm, --site, or a folder site/ beside the plan) only the document is checked, and the\n\
            verdict says what was not."
    )]
    Check(CheckArgs),
}

/// `sojourn plan check`
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The plan.
    pub file: PathBuf,
    /// The ground; without it site/ beside the plan; without --body the plan's planet.
    #[command(flatten)]
    pub ground: GroundArgs,
    /// The rover: a name in config/rovers or a file; the plan's without it.
    #[arg(long, value_name = "NAME|FILE")]
    pub rover: Option<String>,
    /// Constraints; config/mission.yaml without it.
    #[arg(long, value_name = "FILE")]
    pub mission: Option<PathBuf>,
    /// Day of the drive, as the plan was made with.
    #[arg(long, value_name = "DATE")]
    pub day: Option<String>,
    /// Folder of the conversation behind the plan (`--talk` of `sojourn plan`): its record has to be whole and this plan's.
    #[arg(long, value_name = "DIR")]
    pub talk: Option<PathBuf>,
    /// Prints JSON: {ok, complete, file, digest, limits_version, limits_sha256, checked, not_checked, violations, measures}.
    #[arg(long)]
    pub json: bool,
}

/// Runs it.
///
/// # Errors
/// [`CliError::Rejected`] when a hard rule is broken; [`CliError::Failed`] in one sentence when there is nothing to check.
pub fn run(command: &PlanCommand) -> CliResult {
    let PlanCommand::Check(args) = command;
    let text = files::read_text(&args.file, MAX_PLAN_BYTES)?;
    let limits = Limits::shipped()?;
    let (plan, alone) = check_document(&text, &limits)?;
    let (verdict, complete) = match &plan {
        Some(plan) if alone.ok => match on_ground(args, plan, &limits)? {
            Some(verdict) => (verdict, true),
            None => (alone, false),
        },
        _ => (alone, false),
    };
    let verdict = match (&args.talk, &plan) {
        (Some(dir), Some(plan)) => verdict.with(
            'A',
            check_transcript(plan, &dir.join(sojourn_planner::model::folder::TRANSCRIPT))?,
        ),
        _ => verdict,
    };
    let digest = plan.as_ref().map(Plan::digest).transpose()?;
    if args.json {
        say_json(&serde_json::json!({
            "ok": verdict.ok,
            "complete": complete,
            "file": args.file,
            "digest": digest,
            "limits_version": verdict.limits_version,
            "limits_sha256": verdict.limits_sha256,
            "checked": verdict.checked,
            "not_checked": verdict.not_checked,
            "violations": verdict.violations,
            "measures": verdict.measures,
        }))?;
    } else {
        tell(args, &verdict, complete);
    }
    match verdict.hard().next() {
        None => Ok(()),
        Some(first) => Err(CliError::Rejected(format!(
            "{}: refused, {} hard rules are broken; the first: {}",
            args.file.display(),
            verdict.hard().count(),
            first.message
        ))),
    }
}

/// The verdict on the ground; `None` when no ground is given or found.
fn on_ground(args: &CheckArgs, plan: &Plan, limits: &Limits) -> Result<Option<Verdict>, CliError> {
    let mut given = args.ground.clone();
    if given.dtm.is_none() && given.site.is_none() {
        let beside = args.file.with_file_name("site");
        if !beside.join("manifest.json").is_file() {
            return Ok(None);
        }
        given.site = Some(beside);
    }
    let places = Places::find();
    let (rover, _) = ground::rover(&places, args.rover.as_deref().unwrap_or(&plan.rover))?;
    let mission = ground::mission_on(&places, args.mission.as_deref(), args.day.as_deref())?;
    let site = ground::site(&places, &given, &rover, Some(&plan.body))?;
    let ground = Ground::new(&site, &rover, &mission, limits)?;
    Ok(Some(check_plan(plan, &ground)?))
}

fn tell(args: &CheckArgs, verdict: &Verdict, complete: bool) {
    for v in &verdict.violations {
        let kind = if v.hard { "broken" } else { "flagged" };
        say(&format!("{} {kind}: {}", v.code.section(), v.message));
    }
    let sections: String = verdict.checked.iter().collect();
    say(&format!(
        "{}: {} (sections {sections}, limits version {}{})",
        args.file.display(),
        if verdict.ok { "sound" } else { "refused" },
        verdict.limits_version,
        if complete {
            ""
        } else {
            "; the document alone, because no ground was given"
        }
    ));
}
