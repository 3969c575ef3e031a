//! One tick of a drive: where the rover is on its way, and whether that is right.

use super::watch::Heard;
use super::{Config, DriveState};
use crate::rules;
use sojourn_core::Stamp;
use sojourn_core::frames::Pose2;
use sojourn_core::geometry::{distance_m, in_polygon, length_m};
use sojourn_core::plan::{Plan, Waypoint};

/// A drive under way.
#[derive(Clone, Debug)]
pub(super) struct Drive {
    pub(super) ordered_at: Option<Stamp>,
    // Until pose, heartbeats and start have been checked, the goal stays inactive.
    pub(super) armed: bool,
    pub(super) waypoint: usize,
    pub(super) waypoint_since: Stamp,
    pub(super) best_to_go_m: f64,
    pub(super) progress_at: Stamp,
}

/// What a tick of a drive comes to.
pub(super) enum Step {
    Go(String),
    End(DriveState, String),
}

/// One tick of an armed drive whose inputs are all well.
pub(super) fn step(
    config: &Config,
    plan: &Plan,
    drive: &mut Drive,
    heard: &Heard,
    pose_in_map: Pose2,
    now: Stamp,
) -> Step {
    let at = [pose_in_map.x_m, pose_in_map.y_m];
    let waypoints = &plan.waypoints;
    let in_corridor = |i: usize| {
        waypoints
            .get(i)
            .is_some_and(|w| in_polygon(at, &w.corridor))
    };
    if !in_corridor(drive.waypoint) && !in_corridor(drive.waypoint + 1) {
        return Step::End(
            DriveState::Stopped,
            format!(
                "the rover left the corridor of waypoint {} at ({:.2}, {:.2})",
                drive.waypoint, at[0], at[1]
            ),
        );
    }
    while is_reached(config, plan, drive.waypoint, at) {
        if drive.waypoint + 1 >= waypoints.len() {
            let miss_m = distance_m(at, [plan.goal.x_m, plan.goal.y_m]);
            return Step::End(
                DriveState::Reached,
                format!("at the goal, {miss_m:.2} m off by own estimate"),
            );
        }
        drive.waypoint += 1;
        drive.waypoint_since = now;
    }
    let Some(waypoint) = waypoints.get(drive.waypoint) else {
        return Step::End(
            DriveState::Aborted,
            format!("the plan has no waypoint {}", drive.waypoint),
        );
    };
    let autonav = || {
        heard
            .autonav_reason()
            .map(|r| format!("; AutoNav says: {r}"))
            .unwrap_or_default()
    };
    let on_way_s = now.since(drive.waypoint_since);
    if !(on_way_s <= waypoint.timeout_s) {
        let reason = format!(
            "waypoint {} was not reached within {:.1} s{}",
            drive.waypoint,
            waypoint.timeout_s,
            autonav()
        );
        return Step::End(DriveState::Stopped, reason);
    }
    if let Some(stopped_s) = heard.autonav_stopped_s(now)
        && !(stopped_s <= config.autonav_stopped_s)
    {
        let why = heard.autonav_reason().unwrap_or("no reason given");
        let reason = format!("AutoNav has been stopped for {stopped_s:.1} s: {why}");
        return Step::End(DriveState::Stopped, reason);
    }
    let to_go_m = distance_m(at, waypoint.xy()) + way_after_m(waypoints, drive.waypoint);
    if to_go_m <= drive.best_to_go_m - config.progress_m {
        drive.best_to_go_m = to_go_m;
        drive.progress_at = now;
    }
    if !(now.since(drive.progress_at) <= config.progress_timeout_s) {
        let reason = format!(
            "no progress of {:.2} m within {:.1} s{}",
            config.progress_m,
            config.progress_timeout_s,
            autonav()
        );
        return Step::End(DriveState::Stopped, reason);
    }
    Step::Go(format!(
        "driving to waypoint {} of {}",
        drive.waypoint + 1,
        waypoints.len()
    ))
}

fn way_after_m(waypoints: &[Waypoint], from: usize) -> f64 {
    let rest: Vec<_> = waypoints.iter().skip(from).map(Waypoint::xy).collect();
    length_m(&rest)
}

fn is_reached(config: &Config, plan: &Plan, index: usize, at: [f64; 2]) -> bool {
    let Some(waypoint) = plan.waypoints.get(index) else {
        return false;
    };
    let here = waypoint.xy();
    if distance_m(at, here) <= rules::usable_tolerance_m(plan, index) {
        return true;
    }
    let Some(next) = plan.waypoints.get(index + 1) else {
        return distance_m(at, [plan.goal.x_m, plan.goal.y_m]) <= plan.goal.tolerance_m;
    };
    // A rock on a waypoint must not end the drive: to have gone by it is enough on the way, though not at the goal.
    let before = index
        .checked_sub(1)
        .and_then(|i| plan.waypoints.get(i))
        .map_or([plan.start.x_m, plan.start.y_m], Waypoint::xy);
    let beyond = |a: [f64; 2], b: [f64; 2]| {
        (at[0] - here[0]) * (b[0] - a[0]) + (at[1] - here[1]) * (b[1] - a[1]) > 0.0
    };
    distance_m(at, here) <= config.waypoint_pass_m
        && beyond(before, here)
        && beyond(here, next.xy())
        && in_polygon(at, &next.corridor)
}
