//! `sojourn verify`: a plan in the digital twin.

use super::{gate::figures, rehearse, say, say_json};
use crate::args::GroundArgs;
use crate::cli_error::{CliError, CliResult};
use crate::{ground, launch::places::Places, report::verification};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use sojourn_core::{
    files,
    plan::{Plan, digest_of},
    report::Report,
};
use sojourn_twin::verify::{Setup, VerifyOptions, verify as verify_in_twin};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Instant;

/// Examples of the help page.
pub const EXAMPLES: &str = "Examples:\n  \
    sojourn verify --dtm dtm.tif --plan plan.json --json\n  \
    sojourn verify --dtm dtm.tif --plan plan.json --out report.json --html report.html --csv channels.csv\n  \
    sojourn verify --site site/ --plan plan.json --out report.json --samples 1000 --seed 7\n  \
    sojourn verify --site site/ --plan plan.json --out report.json --in-the-loop --xml plan.xml\n\n\
    Channels and their limits stand in config/telemetry/*.yaml; what is not known, and from which probability on a\n\
    plan is rejected, in config/verification.yaml. report.json holds no wall time: the same inputs give the same bytes.";

/// `sojourn verify`
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The ground; without --body the plan's planet.
    #[command(flatten)]
    pub ground: GroundArgs,
    /// The plan.
    #[arg(long, value_name = "FILE")]
    pub plan: PathBuf,
    /// The rover: a name in config/rovers or a file; the plan's without it.
    #[arg(long, value_name = "NAME|FILE")]
    pub rover: Option<String>,
    /// Runs under what is not known, instead of the number in config/verification.yaml; 0 for none.
    #[arg(long, value_name = "N")]
    pub samples: Option<u32>,
    /// Seed of those runs, instead of the one in config/verification.yaml.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// The report to write; approval asks for it.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// A page for people to write as well.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// A table of every value of the nominal run to write as well.
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Lets the executive's, AutoNav's and the guard's own cores drive the plan as well, over ground of their own seed with
    /// rocks. Slower; reported beside the verdict, which it does not change.
    #[arg(long)]
    pub in_the_loop: bool,
    /// The plan's XML for that drive; written anew from the plan without it.
    #[arg(long, value_name = "FILE", requires = "in_the_loop")]
    pub xml: Option<PathBuf>,
    /// Prints JSON: verdict, telemetry_values, channels, sim_s, wall_s, monte_carlo, first_failure, …
    #[arg(long)]
    pub json: bool,
}

/// Drives a plan in the twin.
///
/// # Errors
/// [`CliError::Rejected`] when the twin rejects it (the report is written), [`CliError::Failed`] when it cannot be driven.
pub fn verify(args: &VerifyArgs) -> CliResult {
    let places = Places::find();
    for file in args.out.iter().chain(&args.html).chain(&args.csv) {
        ground::writable(file)?;
    }
    let mut named = vec![("--plan", &args.plan)];
    named.extend(args.out.iter().map(|f| ("--out", f)));
    named.extend(args.html.iter().map(|f| ("--html", f)));
    named.extend(args.csv.iter().map(|f| ("--csv", f)));
    ground::apart(&named)?;
    let plan = Plan::load(&args.plan)?;
    let what = args.plan.display();
    let (rover, rover_file) = ground::rover(&places, args.rover.as_deref().unwrap_or(&plan.rover))?;
    if digest_of("rover", &rover)? != plan.rover_digest {
        return Err(CliError::Failed(format!(
            "{what}: was made for another rover than {} (the digests differ)",
            rover_file.display()
        )));
    }
    let site = ground::site(&places, &args.ground, &rover, Some(&plan.body))?;
    if site.terrain_digest()? != plan.site_digest {
        return Err(CliError::Failed(format!(
            "{what}: was made on another terrain than {} (the digests differ)",
            site.manifest.name
        )));
    }
    let setup = setup(&places, args)?;
    let samples = setup.settings.monte_carlo.samples;
    let bar = bar(samples);
    let nominal_done = OnceLock::new();
    let begin = Instant::now();
    let mut csv = args.csv.as_ref().map(|_| Vec::new());
    let report = verify_in_twin(
        &plan,
        &site,
        &rover,
        &setup,
        VerifyOptions {
            channels_csv: csv.as_mut().map(|c| c as &mut dyn std::io::Write),
            progress: &|done| {
                nominal_done.get_or_init(|| begin.elapsed().as_secs_f64());
                bar.set_position(u64::from(done));
            },
            ..VerifyOptions::standard()
        },
    )?;
    bar.finish_and_clear();
    let wall_s = begin.elapsed().as_secs_f64();
    let nominal_s = nominal_done.get().copied().unwrap_or(wall_s);
    if let Some(file) = &args.out {
        let text = serde_json::to_string_pretty(&report)? + "\n";
        files::write_atomic(file, text.as_bytes())?;
    }
    if let (Some(file), Some(csv)) = (&args.csv, csv) {
        files::write_atomic(file, &csv)?;
    }
    if let Some(file) = &args.html {
        let page = verification::page(&plan, &site, &report).map_err(anyhow::Error::from)?;
        files::write_atomic(file, page.as_bytes())?;
    }
    let in_the_loop = if args.in_the_loop {
        let config = places.shared("config")?;
        let xml = args.xml.as_deref();
        Some(rehearse::in_the_loop(
            &plan, &site, &rover, &config, xml, &setup,
        )?)
    } else {
        None
    };
    if args.json {
        let mut said = summary(args, &report, wall_s, nominal_s)?;
        if let Some(l) = &in_the_loop {
            said["in_the_loop"] = serde_json::to_value(l)?;
        }
        say_json(&said)?;
    } else {
        say(&figures(&plan, &report));
        say(&format!(
            "  wall time        {wall_s:.2} s, of it {nominal_s:.2} s for the nominal run ({:.0} times real time)",
            report.duration_s / nominal_s.max(1e-9)
        ));
        if let Some(l) = &in_the_loop {
            say(&rehearse::figures(l));
        }
    }
    if report.passed {
        Ok(())
    } else {
        Err(CliError::Rejected(format!("rejected: {}", report.reason)))
    }
}

/// Channels, settings and soils of the configuration, with what the command line changes.
fn setup(places: &Places, args: &VerifyArgs) -> Result<Setup, CliError> {
    let setup = Setup::load(&places.shared("config")?)?;
    if args.samples.is_none() && args.seed.is_none() {
        return Ok(setup);
    }
    let mut settings = setup.settings;
    settings.monte_carlo.samples = args.samples.unwrap_or(settings.monte_carlo.samples);
    settings.monte_carlo.seed = args.seed.unwrap_or(settings.monte_carlo.seed);
    settings.check("the command line")?;
    Ok(Setup::new(
        setup.dictionary,
        settings,
        setup.soils,
        setup.power,
    )?)
}

fn bar(samples: u32) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(u64::from(samples));
    if let Ok(style) = ProgressStyle::with_template("{elapsed:>4} {bar:30} {pos}/{len} samples") {
        bar.set_style(style);
    }
    bar
}

fn summary(
    args: &VerifyArgs,
    r: &Report,
    wall_s: f64,
    nominal_s: f64,
) -> Result<serde_json::Value, CliError> {
    Ok(serde_json::json!({
        "ok": r.passed,
        "passed": r.passed,
        "verdict": r.verdict,
        "reason": r.reason,
        "first_failure": r.first_failure,
        "digest": r.digest()?,
        "plan_digest": r.plan_digest,
        "values_checked": r.values_checked,
        "telemetry_values": r.values_checked,
        "channels": r.channels.len(),
        "channels_not_counted": r.uncounted.len(),
        "sim_s": r.duration_s,
        "wall_s": wall_s,
        "nominal_wall_s": nominal_s,
        "realtime_factor": r.duration_s / nominal_s.max(1e-9),
        "distance_m": r.distance_m,
        "duration_s": r.duration_s,
        "max_tilt_deg": r.max_tilt_deg,
        "min_clearance_m": r.min_clearance_m,
        "max_slip": r.max_slip,
        "findings": r.findings,
        "warnings": r.warnings,
        "monte_carlo": r.monte_carlo,
        "segments": r.segments,
        "points_of_no_return": r.points_of_no_return,
        "disputed": r.disputed,
        "out": args.out,
    }))
}
