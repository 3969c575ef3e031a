//! What a sweep says: a row for every planner and cell, with confidence intervals, and pages and pictures of it.

pub mod html;
pub mod plots;

use crate::{
    closed_loop::{Outcome, Sensing},
    journal::Manifest,
    row::{Row, mean, percentile},
};
use serde::Serialize;
use std::collections::BTreeMap;

/// Two-sided 95 % of a normal distribution.
const Z_95: f64 = 1.959_963_985;
/// Slopes up to this are pooled per CFA, degrees: those at which published planners are compared.
const POOLED_UP_TO_DEG: f64 = 10.0;

/// Wilson's score interval of a share at 95 %: `(low, high)`; `(0, 1)` without a trial.
#[must_use]
pub fn wilson(successes: u64, trials: u64) -> (f64, f64) {
    if trials == 0 {
        return (0.0, 1.0);
    }
    let (n, p) = (trials as f64, successes as f64 / trials as f64);
    let z2 = Z_95 * Z_95;
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z_95 / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    ((centre - half).max(0.0), (centre + half).min(1.0))
}

/// What came of all runs of a planner in a cell (or in several).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cell {
    /// The planner's name.
    pub planner: String,
    /// Golombek's k.
    pub cfa: f64,
    /// Tilt of the regional plane, degrees; `null` when slopes are pooled.
    pub slope_deg: Option<f64>,
    /// What the ground of its worlds was made of.
    pub ground: String,
    /// Runs.
    pub runs: u64,
    /// Share of runs that reached the goal without an unsafe event.
    pub success: f64,
    /// Lower end of its 95 % interval.
    pub success_low: f64,
    /// Upper end.
    pub success_high: f64,
    /// Unsafe events in all runs.
    pub unsafe_events: u64,
    /// Median of driven over straight distance of the successful runs; `null` without one.
    pub path_ratio_median: Option<f64>,
    /// Driven distance over time of the successful runs, metres per hour; `null` without one.
    pub speed_m_per_h: Option<f64>,
    /// Mean processor time of a planning over all plannings, milliseconds.
    pub cycle_ms_mean: f64,
    /// 99th percentile of the same.
    pub cycle_ms_p99: f64,
    /// Simulated time over processor time of one core, all runs together.
    pub realtime_factor: f64,
    /// Share of plannings that found no safe path.
    pub cycles_without_path: f64,
    /// Times the rover stood on its way, per run.
    pub think_stops: f64,
    /// Median of the true distance from the goal where successful runs ended, metres; `null` without one.
    pub goal_error_m_median: Option<f64>,
    /// Least clearance in any run, metres; `null` without a run.
    pub min_clearance_m: Option<f64>,
    /// Greatest tilt in any run, degrees.
    pub max_tilt_deg: f64,
    /// Runs by how they ended.
    pub outcomes: BTreeMap<String, u64>,
}

impl Cell {
    fn of(planner: &str, cfa: f64, slope_deg: Option<f64>, rows: &[&Row]) -> Self {
        let (runs, good) = (
            rows.len() as u64,
            rows.iter().filter(|r| r.success).count() as u64,
        );
        let (success_low, success_high) = wilson(good, runs);
        let successful = || rows.iter().filter(|r| r.success);
        let sum = |f: fn(&Row) -> f64| rows.iter().map(|r| f(r)).sum::<f64>();
        let way_m: f64 = successful().map(|r| r.distance_m).sum();
        let time_s: f64 = successful().map(|r| r.sim_s).sum();
        let mut cycles: Vec<f64> = rows
            .iter()
            .flat_map(|r| r.cycle_ms.iter().copied())
            .collect();
        cycles.sort_by(f64::total_cmp);
        let planned = rows.iter().map(|r| r.cycles).sum::<u64>();
        let without = rows.iter().map(|r| r.cycles_without_path).sum::<u64>();
        let mut outcomes = BTreeMap::new();
        for r in rows {
            *outcomes.entry(r.outcome.name().to_string()).or_default() += 1;
        }
        let share = |part: u64, whole: u64| {
            if whole == 0 {
                0.0
            } else {
                part as f64 / whole as f64
            }
        };
        let begun = || rows.iter().filter(|r| r.outcome != Outcome::NotBegun);
        Self {
            planner: planner.into(),
            cfa,
            slope_deg,
            ground: grounds(rows),
            runs,
            success: share(good, runs),
            success_low,
            success_high,
            unsafe_events: rows.iter().map(|r| r.unsafe_events).sum(),
            path_ratio_median: median(successful().map(|r| r.path_ratio)),
            speed_m_per_h: (time_s > 0.0).then(|| 3600.0 * way_m / time_s),
            cycle_ms_mean: mean(&cycles),
            cycle_ms_p99: percentile(&cycles, 0.99),
            realtime_factor: sum(|r| r.sim_s) / sum(|r| r.cpu_s).max(1e-9),
            cycles_without_path: share(without, planned),
            think_stops: sum(|r| r.think_stops as f64) / (runs.max(1)) as f64,
            goal_error_m_median: median(successful().map(|r| r.goal_error_m)),
            min_clearance_m: begun().map(|r| r.min_clearance_m).reduce(f64::min),
            max_tilt_deg: sum_max(begun().map(|r| r.max_tilt_deg)),
            outcomes,
        }
    }
}

/// The kinds of ground of some runs, one after the other.
fn grounds(rows: &[&Row]) -> String {
    let kinds: std::collections::BTreeSet<&str> = rows.iter().map(|r| r.ground.as_str()).collect();
    kinds.into_iter().collect::<Vec<_>>().join(", ")
}

fn sum_max(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, f64::max)
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut v: Vec<f64> = values.collect();
    v.sort_by(f64::total_cmp);
    let (a, b) = (v.get(v.len().saturating_sub(1) / 2)?, v.get(v.len() / 2)?);
    Some(0.5 * (a + b))
}

/// Runs that were seen in both ways, compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pairing {
    /// Golombek's k.
    pub cfa: f64,
    /// Runs that were driven in both ways.
    pub runs: u64,
    /// Share of them that succeeded on truth grids.
    pub success_truth_grid: f64,
    /// Share of them that succeeded on rendered images.
    pub success_rendered: f64,
    /// Unsafe events of the rendered ones.
    pub unsafe_events_rendered: u64,
}

/// What came of all runs with one fault.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Faulted {
    /// The fault's name.
    pub fault: String,
    /// Runs.
    pub runs: u64,
    /// Unsafe events in them.
    pub unsafe_events: u64,
    /// Runs by how they ended.
    pub outcomes: BTreeMap<String, u64>,
    /// Why runs ended that did not reach the goal, each with its number.
    pub reasons: BTreeMap<String, u64>,
}

/// All that a sweep says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Name of the sweep.
    pub name: String,
    /// Digest of everything it depends on.
    pub digest: String,
    /// Runs that are done.
    pub runs_done: u64,
    /// Runs of the whole sweep.
    pub runs_total: u64,
    /// One for each planner, CFA and slope.
    pub rows: Vec<Cell>,
    /// One for each planner and CFA, slopes up to 10° together.
    pub pooled: Vec<Cell>,
    /// One for each fault.
    pub faults: Vec<Faulted>,
    /// Truth grids against rendered images, worlds that were driven in both ways.
    pub rendered: Vec<Pairing>,
}

impl Report {
    /// From the runs of a sweep.
    #[must_use]
    pub fn new(manifest: &Manifest, runs: &[Row]) -> Self {
        let config = &manifest.config;
        let main: Vec<&Row> = runs
            .iter()
            .filter(|r| r.sensing == config.sensing && r.fault.is_empty())
            .collect();
        let (mut rows, mut pooled) = (Vec::new(), Vec::new());
        for planner in config.planners.iter().map(|p| p.name.as_str()) {
            for &cfa in &config.cells.cfa {
                let of = |keep: &dyn Fn(f64) -> bool| -> Vec<&Row> {
                    main.iter()
                        .copied()
                        .filter(|r| r.planner == planner && r.cfa == cfa && keep(r.slope_deg))
                        .collect()
                };
                for &slope_deg in &config.cells.slope_deg {
                    let found = of(&|s| s == slope_deg);
                    if !found.is_empty() {
                        rows.push(Cell::of(planner, cfa, Some(slope_deg), &found));
                    }
                }
                let found = of(&|s| s <= POOLED_UP_TO_DEG);
                if !found.is_empty() {
                    pooled.push(Cell::of(planner, cfa, None, &found));
                }
            }
        }
        Self {
            name: config.name.clone(),
            digest: manifest.digest.clone(),
            runs_done: runs.len() as u64,
            runs_total: manifest.runs,
            rows,
            pooled,
            faults: faulted(manifest, runs),
            rendered: pairings(manifest, runs),
        }
    }
}

fn faulted(manifest: &Manifest, runs: &[Row]) -> Vec<Faulted> {
    let names = manifest.config.faults.iter().map(|f| f.name.as_str());
    names
        .map(|name| {
            let rows: Vec<&Row> = runs.iter().filter(|r| r.fault == name).collect();
            let (mut outcomes, mut reasons) = (BTreeMap::new(), BTreeMap::new());
            for r in &rows {
                *outcomes.entry(r.outcome.name().to_string()).or_default() += 1;
                if r.outcome != Outcome::Reached {
                    // Numbers differ from run to run, words tell the reason.
                    let words = r.reason.split(|c: char| c.is_ascii_digit()).next();
                    let words = words.unwrap_or_default().trim().to_string();
                    *reasons.entry(words).or_default() += 1;
                }
            }
            Faulted {
                fault: name.into(),
                runs: rows.len() as u64,
                unsafe_events: rows.iter().map(|r| r.unsafe_events).sum(),
                outcomes,
                reasons,
            }
        })
        .collect()
}

fn pairings(manifest: &Manifest, runs: &[Row]) -> Vec<Pairing> {
    if manifest.config.sensing == Sensing::Rendered {
        return Vec::new();
    }
    let key = |r: &Row| (r.planner.clone(), r.seed, r.fault.clone());
    let fast: BTreeMap<_, &Row> = runs
        .iter()
        .filter(|r| r.sensing == Sensing::TruthGrid)
        .map(|r| (key(r), r))
        .collect();
    let mut out = Vec::new();
    for &cfa in &manifest.config.cells.cfa {
        let pairs: Vec<(&Row, &Row)> = runs
            .iter()
            .filter(|r| r.sensing == Sensing::Rendered && r.cfa == cfa)
            .filter_map(|r| Some((*fast.get(&key(r))?, r)))
            .collect();
        if pairs.is_empty() {
            continue;
        }
        let share = |n: usize| n as f64 / pairs.len() as f64;
        out.push(Pairing {
            cfa,
            runs: pairs.len() as u64,
            success_truth_grid: share(pairs.iter().filter(|p| p.0.success).count()),
            success_rendered: share(pairs.iter().filter(|p| p.1.success).count()),
            unsafe_events_rendered: pairs.iter().map(|p| p.1.unsafe_events).sum(),
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_interval_holds_its_share(n in 1u64..2000, part in 0.0f64..=1.0) {
            let k = (part * n as f64).round() as u64;
            let (low, high) = wilson(k, n);
            let p = k as f64 / n as f64;
            prop_assert!(0.0 <= low && low <= p + 1e-12 && p <= high + 1e-12 && high <= 1.0);
            // More trials with the same share are surer.
            let (low4, high4) = wilson(4 * k, 4 * n);
            prop_assert!(high4 - low4 < high - low);
        }
    }

    #[test]
    fn intervals_are_wilsons() {
        // Brown, Cai, DasGupta (2001): 0 of 10 gives (0, 0.278), 9 of 10 gives (0.596, 0.982).
        let (low, high) = wilson(0, 10);
        assert!(low < 1e-12 && (high - 0.2775).abs() < 1e-3, "{low} {high}");
        let (low, high) = wilson(9, 10);
        assert!(
            (low - 0.5958).abs() < 1e-3 && (high - 0.9821).abs() < 1e-3,
            "{low} {high}"
        );
        assert_eq!(wilson(0, 0), (0.0, 1.0));
    }

    #[test]
    fn medians() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([3.0, 1.0].into_iter()), Some(2.0));
        assert_eq!(median(std::iter::empty()), None);
    }
}
