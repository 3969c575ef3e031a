//! `sojourn eval localization`: the localization core on trial in the twin.

use super::map_figures::{MapFigures, map_kit};
use super::odometry_trials::{Bench, Ended};
use super::{say, say_json};
use crate::cli_error::CliResult;
use crate::ground;
use crate::launch::places::Places;
use anyhow::Context;
use clap::Args;
use serde::Serialize;
use sojourn_sweep::{
    closed_loop::Settings,
    odometry_trial::{Growth, Trial, TrialResult},
    on_map::OnMap,
};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// `sojourn eval localization`
#[derive(Debug, Args)]
pub struct LocalizationArgs {
    /// Trials; each has a world, a slip and a sun of its own.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub seeds: u64,
    /// Seed of the first trial.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Way of each trial, metres.
    #[arg(long, value_name = "M", default_value_t = 250.0)]
    pub distance: f64,
    /// The rover: a name in config/rovers or a file.
    #[arg(long, value_name = "NAME|FILE", default_value = "perseverance")]
    pub rover: String,
    /// Trials at a time.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=256))]
    pub jobs: u64,
    /// Keeps each trial's result in this folder; a run with the same settings takes up what is there.
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Writes each trial as a recording into this folder, seed_N each: `sojourn localize --folder DIR/seed_N`. Trials that were
    /// kept are not written again.
    #[arg(long, value_name = "DIR")]
    pub write: Option<PathBuf>,
    /// Drives over worlds that have an image from orbit, on which the node finds itself every map_fix.every_m, and tells how
    /// far off it is with that and without: {map_error_m_median, map_error_m_worst, without_error_m_median, map_fixes,
    /// map_searches, map_wrong_fixes, …}. Without OpenCV's loop.
    #[arg(long)]
    pub fixes: bool,
    /// The node takes its heading from the sun sensor, too.
    #[arg(long)]
    pub sun: bool,
    /// Prints JSON: {vo_drift_median, vo_drift_worst, vo_convergence, heading_drift_deg_per_100m, baseline_drift_median,
    /// slip_rms, nees_in_band, vo_ms_median, …, trials: […]}.
    #[arg(long)]
    pub json: bool,
}

#[derive(Serialize)]
struct Row {
    trial: Trial,
    distance_m: f64,
    slip: f64,
    vo_alone_drift: f64,
    vo_drift: f64,
    wheels_drift: f64,
    baseline_drift: f64,
    heading_deg: f64,
    pairs: u64,
    motions: u64,
    wrong: u64,
    failures: BTreeMap<String, usize>,
    nees_in_band: f64,
    sinking_s: u64,
    growth: Vec<Growth>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_map: Option<OnMap>,
}

#[derive(Serialize)]
struct Outcome {
    rover: String,
    seeds: u64,
    seed: u64,
    distance_m: f64,
    /// Drift is the distance from truth at the end as a share of the way. What the node publishes: visual odometry with
    /// wheels, gyro and gravity.
    vo_drift_median: f64,
    vo_drift_worst: f64,
    /// Motions of visual odometry alone, one after the other: no gyro, no gravity.
    vo_alone_drift_median: f64,
    vo_alone_drift_worst: f64,
    /// Share of the pairs that gave a motion.
    vo_convergence: f64,
    /// Share of the motions that were off by more than 2 cm and 5 %.
    vo_wrong: f64,
    vo_ms_median: f64,
    /// Median over the trials, absolute.
    heading_drift_deg_per_100m: f64,
    heading_drift_worst_deg_per_100m: f64,
    nees_in_band: f64,
    nees_above_band: f64,
    /// Seconds in which a wheel was said to sink in, of all trials.
    sinking_s: u64,
    /// The same node without cameras.
    wheels_drift_median: f64,
    wheels_drift_worst: f64,
    /// OpenCV's ORB, stereo and PnP on the same pairs; where it finds no motion the last one is repeated.
    baseline_drift_median: f64,
    baseline_drift_worst: f64,
    baseline_convergence: f64,
    baseline_ms_median: f64,
    slip_rms: f64,
    #[serde(flatten)]
    map: Option<MapFigures>,
    trials: Vec<Row>,
}

/// The trial of a seed: CFA 5 to 10 %, 0 to 40 % of the way lost, ground flat or tilted by 5 deg, sun 20 to 65 deg high,
/// each in steps so that few seeds cover all.
fn trial(seed: u64, distance_m: f64) -> Trial {
    let step = |n: u64, lo: f64, hi: f64| lo + (hi - lo) * (seed % n) as f64 / (n - 1) as f64;
    Trial {
        seed,
        distance_m,
        cfa: step(3, 0.05, 0.10),
        extra_slip: step(5, 0.0, 0.4),
        slope_deg: step(2, 0.0, 5.0),
        sun_deg: step(4, 20.0, 65.0),
    }
}

/// Runs the trials.
///
/// # Errors
/// [`crate::cli_error::CliError::Failed`] in one sentence.
pub fn localization(args: &LocalizationArgs) -> CliResult {
    let places = Places::find();
    let (rover, _) = ground::rover(&places, &args.rover)?;
    let body = ground::body(&places, "mars")?;
    sojourn_core::error::in_range("--distance", "metres", args.distance, 2.0, 1000.0)
        .map_err(anyhow::Error::from)?;
    let file = places.shared("config/localization.param.yaml")?;
    let config = file
        .parent()
        .context("config/localization.param.yaml stands in no folder")?;
    let mut settings = Settings::load(config).map_err(anyhow::Error::from)?;
    settings.localization.sun.enabled |= args.sun;
    let bench = Bench {
        settings: &settings,
        rover: &rover,
        body: &body,
        jobs: args.jobs as usize,
        map: args.fixes.then(|| map_kit(&places)).transpose()?,
        keep: args.keep.clone(),
        write: args.write.clone(),
    };
    let trials: Vec<Trial> = (0..args.seeds)
        .map(|k| trial(args.seed + k, args.distance))
        .collect();
    let results = bench.run(&trials)?;
    let outcome = Outcome::new(args, &rover.name, &results);
    if args.json {
        return say_json(&outcome);
    }
    outcome.say();
    Ok(())
}

impl Outcome {
    fn new(args: &LocalizationArgs, rover: &str, results: &[Ended]) -> Self {
        let of = |f: &dyn Fn(&TrialResult) -> f64| -> Vec<f64> {
            results.iter().map(|e| f(&e.result)).collect()
        };
        let sum =
            |f: &dyn Fn(&TrialResult) -> u64| results.iter().map(|e| f(&e.result)).sum::<u64>();
        let share = |a: u64, b: u64| a as f64 / b.max(1) as f64;
        let visual = of(&|r| r.visual.share);
        let fused = of(&|r| r.fused.share);
        let wheels = of(&|r| r.wheels.share);
        let heading = of(&|r| r.fused.heading_deg.abs() / r.distance_m.max(1.0) * 100.0);
        let ms = results
            .iter()
            .flat_map(|e| e.result.pair_ms.clone())
            .collect();
        let slips: Vec<f64> = results
            .iter()
            .flat_map(|e| e.result.slip_errors.clone())
            .collect();
        let base = |f: &dyn Fn(&Ended) -> f64| -> Vec<f64> { results.iter().map(f).collect() };
        let baseline = base(&|e| e.baseline.drift.share);
        let seconds = sum(&|r| r.seconds);
        Self {
            rover: rover.to_string(),
            seeds: args.seeds,
            seed: args.seed,
            distance_m: args.distance,
            vo_drift_worst: worst(&fused),
            vo_drift_median: median(fused),
            vo_alone_drift_worst: worst(&visual),
            vo_alone_drift_median: median(visual),
            vo_convergence: share(sum(&|r| r.motions), sum(&|r| r.pairs)),
            vo_wrong: share(sum(&|r| r.wrong), sum(&|r| r.motions)),
            vo_ms_median: median(ms),
            heading_drift_worst_deg_per_100m: worst(&heading),
            heading_drift_deg_per_100m: median(heading),
            nees_in_band: share(sum(&|r| r.in_band), seconds),
            nees_above_band: share(sum(&|r| r.above_band), seconds),
            sinking_s: sum(&|r| r.sinking),
            wheels_drift_worst: worst(&wheels),
            wheels_drift_median: median(wheels),
            baseline_drift_worst: worst(&baseline),
            baseline_drift_median: median(baseline),
            baseline_convergence: base(&|e| e.baseline.motions as f64).iter().sum::<f64>()
                / base(&|e| e.baseline.pairs as f64)
                    .iter()
                    .sum::<f64>()
                    .max(1.0),
            baseline_ms_median: median(
                results
                    .iter()
                    .flat_map(|e| e.baseline.pair_ms.clone())
                    .collect(),
            ),
            slip_rms: (slips.iter().map(|x| x * x).sum::<f64>() / slips.len().max(1) as f64).sqrt(),
            map: MapFigures::of(results),
            trials: results.iter().map(Row::new).collect(),
        }
    }

    fn say(&self) {
        let percent = |x: f64| format!("{:.2} %", 100.0 * x);
        say(&format!(
            "{} trials of {} m, rover {}\n\n{:<34}{:>10}{:>10}",
            self.seeds, self.distance_m, self.rover, "drift, share of the way", "median", "worst"
        ));
        for (name, median, worst) in [
            (
                "visual odometry, wheels, gyro",
                self.vo_drift_median,
                self.vo_drift_worst,
            ),
            (
                "visual odometry alone",
                self.vo_alone_drift_median,
                self.vo_alone_drift_worst,
            ),
            (
                "OpenCV: ORB, stereo, PnP",
                self.baseline_drift_median,
                self.baseline_drift_worst,
            ),
            (
                "wheels, gyro, gravity",
                self.wheels_drift_median,
                self.wheels_drift_worst,
            ),
        ] {
            say(&format!(
                "{name:<34}{:>10}{:>10}",
                percent(median),
                percent(worst)
            ));
        }
        say(&format!(
            "\nconvergence {}, wrong {}, heading {:.3} deg per 100 m, slip to {:.1} points RMS,\n\
             errors in the 95 % band of the covariance {}, {:.0} ms for a pair (processor time);\n\
             OpenCV's loop: motions in {} of the pairs, {:.0} ms",
            percent(self.vo_convergence),
            percent(self.vo_wrong),
            self.heading_drift_deg_per_100m,
            100.0 * self.slip_rms,
            percent(self.nees_in_band),
            self.vo_ms_median,
            percent(self.baseline_convergence),
            self.baseline_ms_median,
        ));
        if let Some(m) = &self.map {
            m.say();
        }
    }
}

impl Row {
    fn new(ended: &Ended) -> Self {
        let (trial, r) = (ended.trial, &ended.result);
        let mut failures = BTreeMap::new();
        for f in &r.failures {
            *failures.entry(f.clone()).or_insert(0) += 1;
        }
        Self {
            trial,
            distance_m: r.distance_m,
            slip: r.slip,
            vo_alone_drift: r.visual.share,
            vo_drift: r.fused.share,
            wheels_drift: r.wheels.share,
            baseline_drift: ended.baseline.drift.share,
            heading_deg: r.fused.heading_deg,
            pairs: r.pairs,
            motions: r.motions,
            wrong: r.wrong,
            failures,
            nees_in_band: r.in_band as f64 / r.seconds.max(1) as f64,
            sinking_s: r.sinking,
            growth: r.growth.clone(),
            on_map: r.on_map.clone(),
        }
    }
}

/// Middle of the sorted values; 0 of none.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => 0.5 * (values[n / 2 - 1] + values[n / 2]),
    }
}

pub(super) fn worst(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}
