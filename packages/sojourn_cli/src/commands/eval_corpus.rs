//! `sojourn eval corpus`: what the verification says of plans that are known to be bad or good.

use super::{say, say_json};
use crate::cli_error::{CliError, CliResult};
use crate::corpus::{Score, built_in, folder, judge_all, kinds, unknown_reasons};
use crate::launch::places::Places;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use sojourn_twin::verify::Setup;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Instant;

/// `sojourn eval corpus`
#[derive(Debug, Args)]
pub struct CorpusArgs {
    /// Somebody else's plans instead of the built-in ones.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["seed", "good", "variants"])]
    pub dir: Option<PathBuf>,
    /// Writes the built-in plans as such a folder instead of verifying them.
    #[arg(long, value_name = "DIR", conflicts_with = "dir")]
    pub write: Option<PathBuf>,
    /// The built-in plans come from it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Good plans.
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub good: usize,
    /// Bad plans of each family.
    #[arg(long, value_name = "N", default_value_t = 6)]
    pub variants: usize,
    /// Prints JSON: {bad, bad_rejected, good, good_rejected, families, wrong, unknown_reasons, wall_s, …}.
    #[arg(long)]
    pub json: bool,
}

/// Judges a corpus.
///
/// # Errors
/// [`CliError::Rejected`] when the verification is not good enough, [`CliError::Failed`] when it cannot be measured.
pub fn corpus(args: &CorpusArgs) -> CliResult {
    let places = Places::find();
    let begin = Instant::now();
    let cases = match &args.dir {
        Some(dir) => folder::read(dir, &places)?,
        None => built_in(&places, args.seed, args.good, args.variants)?,
    };
    if let Some(dir) = &args.write {
        folder::write(dir, &cases)?;
        say(&format!("{}: {} plans written", dir.display(), cases.len()));
        return Ok(());
    }
    let setup = Setup::load(&places.shared("config")?)?;
    let unknown = unknown_reasons(&cases, &setup);
    for (reason, plans) in &unknown {
        eprintln!(
            "warning: {}: \"{reason}\" is no kind of reason, it counts as not given ({} plans, first {}); kinds are {}",
            folder::EXPECTED,
            plans.len(),
            plans.first().map_or("", String::as_str),
            kinds(&setup).into_iter().collect::<Vec<_>>().join(", ")
        );
    }
    let bar = bar(cases.len());
    let judgements = judge_all(&cases, &setup, &|| bar.inc(1));
    bar.finish_and_clear();
    let score = Score::of(judgements);
    let wall_s = begin.elapsed().as_secs_f64();
    if args.json {
        let mut said = serde_json::to_value(&score)?;
        said["unknown_reasons"] = serde_json::to_value(&unknown)?;
        said["ok"] = score.holds().into();
        said["wall_s"] = wall_s.into();
        say_json(&said)?;
    } else {
        say(&table(&score, wall_s));
    }
    if score.holds() {
        return Ok(());
    }
    Err(CliError::Rejected(format!(
        "the verification is not good enough: {} of {} bad plans rejected with the right reason, {} of {} good plans rejected",
        score.bad_rejected, score.bad, score.good_rejected, score.good
    )))
}

fn bar(plans: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(plans as u64);
    if let Ok(style) = ProgressStyle::with_template("{elapsed:>4} {bar:30} {pos}/{len} plans") {
        bar.set_style(style);
    }
    bar
}

fn table(score: &Score, wall_s: f64) -> String {
    let mut out = format!(
        "{:<36} {:>6} {:>9} {:>6}\n",
        "family", "plans", "rejected", "right"
    );
    for (name, f) in &score.families {
        out += &format!(
            "{name:<36} {:>6} {:>9} {:>6}\n",
            f.plans, f.rejected, f.right
        );
    }
    out += &format!(
        "bad   {} plans, {} rejected, {} with the right reason\ngood  {} plans, {} rejected\nwall  {wall_s:.0} s",
        score.bad,
        score.bad_rejected_for_any_reason,
        score.bad_rejected,
        score.good,
        score.good_rejected
    );
    for j in score.wrong.iter().take(20) {
        out += &format!(
            "\n  - {} ({}): {} {:?}: {}",
            j.name,
            j.family,
            if j.rejected { "rejected for" } else { "passed" },
            j.reasons,
            j.sentence
        );
    }
    out
}
