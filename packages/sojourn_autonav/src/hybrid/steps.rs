//! The steps of the search: turns in place and short arcs, large ones and small ones, and what counts as the same place.

use super::Manner;
use crate::{config::Config, paths::arc};
use sojourn_core::frames::{Pose2, wrap_rad};
use std::sync::Arc;

/// Headings that count as different ones.
const HEADINGS: i64 = 24;
/// Samples of a step ahead or back, and poses that are checked of each.
const STEP_SAMPLES: usize = 2;
const CHECKS_OF_A_SAMPLE: usize = 2;
/// Headings of a turn that are checked, as of candidates, radians.
const TURN_CHECK_RAD: f64 = 0.075;
/// Small turns are so many times smaller, and small arcs so many samples long.
const FINE_TURNS: i64 = 3;
const FINE_SAMPLES: f64 = 0.5;

/// A step: a turn in place, or an arc.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub manner: Manner,
    pub turn_rad: f64,
    pub curvature_per_m: f64,
    pub way_m: f64,
}

/// Cell and heading, and whether they are those of small steps.
pub(super) type Key = (i64, i64, i64, bool);

/// Length of a step ahead or back, metres.
pub(super) fn step_m(config: &Config) -> f64 {
    STEP_SAMPLES as f64 * config.sample_m()
}

/// Steps of one heading and [`step_m`].
pub(super) fn large(config: &Config) -> Arc<[Step]> {
    steps(config, 1, step_m(config))
}

/// Steps of a part of that.
pub(super) fn small(config: &Config) -> Arc<[Step]> {
    steps(config, FINE_TURNS, FINE_SAMPLES * config.sample_m())
}

/// How many samples a way has.
pub(super) fn samples(way_m: f64, sample_m: f64) -> usize {
    (way_m / sample_m.max(1e-9)).round().max(1.0) as usize
}

/// Turns by a part of one heading, and arcs of a length that end at the same heading, the next, or between.
fn steps(config: &Config, parts: i64, way_m: f64) -> Arc<[Step]> {
    let angle = std::f64::consts::TAU / (HEADINGS * parts) as f64;
    let sharpest = config.curvatures_per_m.last().copied().unwrap_or(0.0);
    let most = (angle / way_m).min(sharpest);
    let turns = [angle, -angle].map(|turn_rad| Step {
        manner: Manner::Turn,
        turn_rad,
        curvature_per_m: 0.0,
        way_m: 0.0,
    });
    let arcs = [Manner::Ahead, Manner::Back].map(|manner| {
        [0.0, 0.5, -0.5, 1.0, -1.0].map(|share| Step {
            manner,
            turn_rad: 0.0,
            curvature_per_m: share * most,
            way_m,
        })
    });
    turns
        .into_iter()
        .chain(arcs.into_iter().flatten())
        .collect()
}

/// Side of the cells in which only one place counts, metres.
pub(super) fn cell_m(config: &Config, fine: bool) -> f64 {
    let share = if fine { FINE_SAMPLES } else { 1.0 };
    share * config.sample_m()
}

/// The cell and heading of a pose.
pub(super) fn key(config: &Config, pose: Pose2, fine: bool) -> Key {
    let cell = |v: f64| (v / cell_m(config, fine)).round() as i64;
    let headings = HEADINGS * if fine { FINE_TURNS } else { 1 };
    let heading = pose.yaw_rad / std::f64::consts::TAU * headings as f64;
    let heading = (heading.round() as i64).rem_euclid(headings);
    (cell(pose.x_m), cell(pose.y_m), heading, fine)
}

/// Where a step leads.
pub(super) fn end(pose: Pose2, step: &Step) -> Pose2 {
    let way_m = match step.manner {
        Manner::Turn => {
            return Pose2 {
                yaw_rad: wrap_rad(pose.yaw_rad + step.turn_rad),
                ..pose
            };
        }
        Manner::Ahead => step.way_m,
        Manner::Back => -step.way_m,
    };
    pose.moved(way_m, way_m * step.curvature_per_m)
}

/// The poses of a step that are checked, and its direction.
pub(super) fn poses(config: &Config, from: Pose2, step: &Step) -> (Vec<Pose2>, f64) {
    let direction = match step.manner {
        Manner::Turn => {
            let n = (step.turn_rad.abs() / TURN_CHECK_RAD).ceil().max(1.0) as usize;
            let at = |i: usize| Pose2 {
                yaw_rad: wrap_rad(from.yaw_rad + step.turn_rad * i as f64 / n as f64),
                ..from
            };
            return ((1..=n).map(at).collect(), 0.0);
        }
        Manner::Ahead => 1.0,
        Manner::Back => -1.0,
    };
    let ds = direction * config.sample_m() / CHECKS_OF_A_SAMPLE as f64;
    let n = samples(step.way_m, ds.abs());
    (arc(from, step.curvature_per_m, ds, n).collect(), direction)
}
