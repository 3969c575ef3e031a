//! One run as one row of the sweep's table.

use crate::{
    SweepError,
    closed_loop::{Outcome, RunResult, Sensing},
    plan::RunSpec,
    scene::Scene,
};
use serde::{Deserialize, Serialize};
use sojourn_core::geometry::distance_m;

/// What came of one run. Everything but the times of planning and computing is determined by the configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Number of the run in its sweep.
    pub run: u64,
    /// The planner's name in the configuration.
    pub planner: String,
    /// How the rover saw.
    pub sensing: Sensing,
    /// The fault that was put in; empty for none.
    pub fault: String,
    /// Golombek's k.
    pub cfa: f64,
    /// Tilt of the regional plane, degrees.
    pub slope_deg: f64,
    /// What the ground was made of: a class, or the prior.
    pub ground: String,
    /// Where the goal lay.
    pub direction: String,
    /// Number of the seed within its cell.
    pub seed_number: u64,
    /// Seed of world and noise.
    pub seed: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether the rover reached its goal, by its own estimate, without an unsafe event.
    pub success: bool,
    /// Why it ended.
    pub reason: String,
    /// Simulated time, seconds.
    pub sim_s: f64,
    /// True way, metres.
    pub distance_m: f64,
    /// Way of the wheels, metres.
    pub wheel_way_m: f64,
    /// Straight distance from where the drive began to where it ended, metres.
    pub straight_m: f64,
    /// True way over straight distance.
    pub path_ratio: f64,
    /// True distance from the goal at the end, metres.
    pub goal_error_m: f64,
    /// Greatest tilt, degrees.
    pub max_tilt_deg: f64,
    /// Least clearance, metres.
    pub min_clearance_m: f64,
    /// `1 − true way / way of the wheels`.
    pub mean_slip: f64,
    /// Greatest slip.
    pub max_slip: f64,
    /// Contiguous excesses of any limit in ground truth.
    pub unsafe_events: u64,
    /// The first of them in words; empty for none.
    pub first_unsafe: String,
    /// Plannings.
    pub cycles: u64,
    /// Plannings without a safe path.
    pub cycles_without_path: u64,
    /// Times the rover stood for more than half a second on its way.
    pub think_stops: u64,
    /// Times no path was safe, as AutoNav counts.
    pub no_path_stops: u64,
    /// Control periods in which the guard let nothing through during the drive.
    pub guard_stops: u64,
    /// Processor time of a planning, milliseconds: mean.
    pub cycle_ms_mean: f64,
    /// Median.
    pub cycle_ms_p50: f64,
    /// 99th percentile.
    pub cycle_ms_p99: f64,
    /// Processor time of the whole drive, seconds (one thread; without making the world).
    pub cpu_s: f64,
    /// Wall time of the same, seconds.
    pub wall_s: f64,
    /// Simulated over processor time.
    pub realtime_factor: f64,
    /// Processor time of every planning, milliseconds; in the journal only.
    pub cycle_ms: Vec<f64>,
}

impl Row {
    /// The row of a finished run.
    #[must_use]
    pub fn new(spec: &RunSpec, scene: &Scene, result: &RunResult) -> Self {
        let s = &result.score;
        let start = [scene.start.x_m, scene.start.y_m];
        let end = s.end.map_or(start, |p| [p.x_m, p.y_m]);
        let straight_m = distance_m(start, end);
        let mut sorted = result.cycle_ms.clone();
        sorted.sort_by(f64::total_cmp);
        Self {
            run: spec.run,
            planner: spec.planner.clone(),
            sensing: spec.sensing,
            fault: spec.fault.clone(),
            cfa: spec.scene.cfa,
            slope_deg: spec.scene.slope_deg,
            ground: spec.ground.clone(),
            direction: spec.scene.direction.name().into(),
            seed_number: spec.seed_number,
            seed: spec.scene.seed,
            outcome: result.outcome,
            success: result.outcome == Outcome::Reached && s.unsafe_events == 0,
            reason: result.reason.clone(),
            sim_s: s.sim_s,
            distance_m: s.distance_driven_m,
            wheel_way_m: s.wheel_way_m,
            straight_m,
            path_ratio: s.distance_driven_m / straight_m.max(1e-3),
            goal_error_m: s.goal_error_m.unwrap_or(f64::MAX),
            max_tilt_deg: s.max_tilt_deg,
            min_clearance_m: s.min_clearance_m.unwrap_or(0.0),
            mean_slip: s.mean_slip,
            max_slip: s.max_slip,
            unsafe_events: s.unsafe_events,
            first_unsafe: s.events.first().map_or(String::new(), |e| e.reason.clone()),
            cycles: result.counts.cycles,
            cycles_without_path: result.counts.cycles_without_path,
            think_stops: result.counts.think_stops,
            no_path_stops: result.counts.no_path_stops,
            guard_stops: result.counts.guard_stops,
            cycle_ms_mean: mean(&sorted),
            cycle_ms_p50: percentile(&sorted, 0.5),
            cycle_ms_p99: percentile(&sorted, 0.99),
            cpu_s: result.cpu_s,
            wall_s: result.wall_s,
            realtime_factor: s.sim_s / result.cpu_s.max(1e-9),
            cycle_ms: result
                .cycle_ms
                .iter()
                .map(|ms| (ms * 100.0).round() / 100.0)
                .collect(),
        }
    }
}

impl Row {
    /// The row of a run that could not begin.
    #[must_use]
    pub fn not_begun(spec: &RunSpec, why: &SweepError) -> Self {
        let scene = &spec.scene;
        Self {
            run: spec.run,
            planner: spec.planner.clone(),
            sensing: spec.sensing,
            fault: spec.fault.clone(),
            cfa: scene.cfa,
            slope_deg: scene.slope_deg,
            ground: spec.ground.clone(),
            direction: scene.direction.name().into(),
            seed_number: spec.seed_number,
            seed: scene.seed,
            outcome: Outcome::NotBegun,
            success: false,
            reason: why.to_string(),
            sim_s: 0.0,
            distance_m: 0.0,
            wheel_way_m: 0.0,
            straight_m: 0.0,
            path_ratio: 0.0,
            goal_error_m: 0.0,
            max_tilt_deg: 0.0,
            min_clearance_m: 0.0,
            mean_slip: 0.0,
            max_slip: 0.0,
            unsafe_events: 0,
            first_unsafe: String::new(),
            cycles: 0,
            cycles_without_path: 0,
            think_stops: 0,
            no_path_stops: 0,
            guard_stops: 0,
            cycle_ms_mean: 0.0,
            cycle_ms_p50: 0.0,
            cycle_ms_p99: 0.0,
            cpu_s: 0.0,
            wall_s: 0.0,
            realtime_factor: 0.0,
            cycle_ms: Vec::new(),
        }
    }
}

/// Mean of numbers, 0 for none.
#[must_use]
pub fn mean(values: &[f64]) -> f64 {
    if values.is_empty() {
        0.0
    } else {
        values.iter().sum::<f64>() / values.len() as f64
    }
}

/// The value below which a share of sorted numbers lies (nearest rank); 0 for none.
#[must_use]
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.clamp(1, sorted.len().max(1)) - 1)
        .copied()
        .unwrap_or(0.0)
}
