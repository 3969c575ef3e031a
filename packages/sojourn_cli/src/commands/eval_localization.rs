//! `sojourn eval localization`: the localization core on trial in the twin.

use super::{say, say_json};
use crate::cli_error::CliResult;
use crate::ground;
use crate::launch::places::Places;
use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use nalgebra::Isometry3;
use serde::Serialize;
use sojourn_core::Stamp;
use sojourn_localization::vo::StereoPair;
use sojourn_sweep::{
    closed_loop::Settings,
    odometry_trial::{PairObserver, Trial, TrialResult, run},
};
use std::collections::BTreeMap;

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
    heading_deg: f64,
    pairs: u64,
    motions: u64,
    wrong: u64,
    failures: BTreeMap<String, usize>,
    nees_in_band: f64,
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
    /// The same node without cameras.
    wheels_drift_median: f64,
    wheels_drift_worst: f64,
    /// OpenCV's ORB, stereo and PnP; null where it was not run.
    baseline_drift_median: Option<f64>,
    slip_rms: f64,
    trials: Vec<Row>,
}

/// Nobody else looks at the pairs.
struct Alone;

impl PairObserver for Alone {
    fn pair(&mut self, _: Stamp, _: &StereoPair, _: &Isometry3<f64>) {}
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
    let settings = Settings::load(config).map_err(anyhow::Error::from)?;
    let bar = ProgressBar::new((args.seeds as f64 * args.distance) as u64);
    if let Ok(style) = ProgressStyle::with_template("{elapsed:>4} {bar:40} {pos} of {len} m") {
        bar.set_style(style);
    }
    let mut results = Vec::new();
    for k in 0..args.seeds {
        let t = trial(args.seed + k, args.distance);
        let result = run(&t, &settings, &rover, &body, &mut Alone, &mut |m| {
            bar.set_position((k as f64 * args.distance + m) as u64);
        })
        .map_err(anyhow::Error::from)?;
        results.push((t, result));
    }
    bar.finish_and_clear();
    let outcome = Outcome::new(args, &rover.name, &results);
    if args.json {
        return say_json(&outcome);
    }
    outcome.say();
    Ok(())
}

impl Outcome {
    fn new(args: &LocalizationArgs, rover: &str, results: &[(Trial, TrialResult)]) -> Self {
        let of = |f: &dyn Fn(&TrialResult) -> f64| -> Vec<f64> {
            results.iter().map(|(_, r)| f(r)).collect()
        };
        let sum = |f: &dyn Fn(&TrialResult) -> u64| results.iter().map(|(_, r)| f(r)).sum::<u64>();
        let share = |a: u64, b: u64| a as f64 / b.max(1) as f64;
        let visual = of(&|r| r.visual.share);
        let fused = of(&|r| r.fused.share);
        let wheels = of(&|r| r.wheels.share);
        let heading = of(&|r| r.fused.heading_deg.abs() / r.distance_m.max(1.0) * 100.0);
        let ms = results
            .iter()
            .flat_map(|(_, r)| r.pair_ms.clone())
            .collect();
        let slips: Vec<f64> = results
            .iter()
            .flat_map(|(_, r)| r.slip_errors.clone())
            .collect();
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
            wheels_drift_worst: worst(&wheels),
            wheels_drift_median: median(wheels),
            baseline_drift_median: None,
            slip_rms: (slips.iter().map(|x| x * x).sum::<f64>() / slips.len().max(1) as f64).sqrt(),
            trials: results.iter().map(|(t, r)| Row::new(*t, r)).collect(),
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
             errors in the 95 % band of the covariance {}, {:.0} ms for a pair (processor time)",
            percent(self.vo_convergence),
            percent(self.vo_wrong),
            self.heading_drift_deg_per_100m,
            100.0 * self.slip_rms,
            percent(self.nees_in_band),
            self.vo_ms_median,
        ));
    }
}

impl Row {
    fn new(trial: Trial, r: &TrialResult) -> Self {
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
            heading_deg: r.fused.heading_deg,
            pairs: r.pairs,
            motions: r.motions,
            wrong: r.wrong,
            failures,
            nees_in_band: r.in_band as f64 / r.seconds.max(1) as f64,
        }
    }
}

/// Middle of the sorted values; 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => 0.5 * (values[n / 2 - 1] + values[n / 2]),
    }
}

fn worst(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}
