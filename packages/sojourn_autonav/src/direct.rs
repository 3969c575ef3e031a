//! The direct arc to the waypoint.

use crate::{
    check::{Blocked, Verdict},
    config::Config,
    inputs::Scope,
    search::{Path, Search, Weighed},
};
use sojourn_core::{plan::Mode, rover::Rover};

/// The direct arc to the waypoint (modes GUARDED and DIRECTED) and what blocks its committed part.
pub(crate) fn direct(
    c: &Config,
    rover: &Rover,
    search: &mut Search<'_>,
    scope: &Scope,
) -> (Path, Option<Blocked>) {
    let (dx, dy) = (
        scope.goal_xy[0] - scope.pose.x_m,
        scope.goal_xy[1] - scope.pose.y_m,
    );
    let (s, co) = scope.pose.yaw_rad.sin_cos();
    let (ahead, left) = (co * dx + s * dy, co * dy - s * dx);
    let off = left.atan2(ahead);
    let curvature = 2.0 * left / (ahead * ahead + left * left).max(1e-9);
    let guarded = scope.mode == Mode::Guarded;
    let ds = c.sample_m();
    let turn_rad =
        if off.abs() > c.turn_first_rad || curvature.abs() * rover.drive.min_turn_radius_m > 1.0 {
            off
        } else {
            0.0
        };
    let (start, curvature) = if turn_rad == 0.0 {
        (scope.pose, curvature)
    } else {
        (scope.pose.moved(0.0, turn_rad), 0.0)
    };
    let samples = ((scope.distance_m / ds).ceil().max(1.0) as usize).min(c.samples_per_arc);
    let mut poses = vec![start];
    poses.extend(crate::paths::arc(start, curvature, ds, samples));
    let mut blocked = None;
    if guarded {
        blocked = search.turn_blocked(scope.pose, turn_rad).or_else(|| {
            search.held_blocked(
                poses.get(1..).unwrap_or(&[]),
                (c.commit_m + c.stop_m).min(scope.distance_m),
                1.0,
            )
        });
    }
    if blocked.is_none() {
        let committed = ((c.commit_m / ds).ceil() as usize + 1).min(poses.len());
        blocked = poses
            .iter()
            .take(committed)
            .find(|p| !scope.corridor.holds([p.x_m, p.y_m], 0.0))
            .map(|&pose| Blocked {
                pose,
                verdict: Verdict::Unsafe(sojourn_core::settle::Excess {
                    limit: "corridor_depth_m",
                    value: scope.corridor.room_m([pose.x_m, pose.y_m]),
                    allowed: 0.0,
                }),
            });
    }
    (
        Path {
            turn_rad,
            poses,
            curvature_per_m: curvature,
            commit_m: c.commit_m,
            held: c.hold_share,
        },
        blocked,
    )
}

pub(crate) fn weighed_direct(path: &Path, blocked: Option<Blocked>) -> Vec<Weighed> {
    vec![Weighed {
        curvature_first_per_m: path.curvature_per_m,
        curvature_second_per_m: 0.0,
        poses: path.poses.clone(),
        chosen: blocked.is_none(),
        safe: blocked.is_none(),
        reason: blocked.map_or(String::new(), |b| b.to_string()),
        cost_s: 0.0,
        max_tilt_rad: 0.0,
        min_clearance_m: f64::INFINITY,
    }]
}
