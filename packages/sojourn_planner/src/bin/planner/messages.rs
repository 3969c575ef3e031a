//! A plan as the messages that go out.

use crate::ground::Made;
use r2r::geometry_msgs::msg::{Point, PoseStamped};
use r2r::nav_msgs::msg::Path as PathMsg;
use r2r::sojourn_msgs::msg::{
    Plan as PlanMsg, TerrainFeature, TerrainFeatures, Waypoint as WaypointMsg,
};
use sojourn_core::plan::Plan;
use sojourn_core::{Stamp, topics};
use sojourn_ros::{header, msgs};

pub fn plan_to_msg(now: Stamp, made: &Made) -> PlanMsg {
    let p = &made.outcome.plan;
    PlanMsg {
        header: header(now, topics::PLAN.frame),
        id: p.name.clone(),
        digest: made.digest.clone(),
        site_id: p.site_digest.clone(),
        waypoints: p
            .waypoints
            .iter()
            .map(|w| WaypointMsg {
                x_m: w.x_m,
                y_m: w.y_m,
                tolerance_m: w.tolerance_m,
                mode: w.mode.name().to_string(),
                corridor: msgs::polygon_to_msg(&w.corridor),
                max_tilt_rad: w.limits.tilt_deg.to_radians(),
                max_slip: w.limits.slip,
                max_speed_mps: w.limits.speed_mps,
                timeout_s: w.timeout_s,
                risk: w.risk,
                reasons: w.reasons.clone(),
            })
            .collect(),
        distance_m: p.distance_m,
        model_status: p.model.note.clone(),
        document: made.document.clone(),
    }
}

pub fn features_to_msg(now: Stamp, p: &Plan) -> TerrainFeatures {
    TerrainFeatures {
        header: header(now, topics::TERRAIN_FEATURES.frame),
        features: p
            .features
            .iter()
            .map(|f| TerrainFeature {
                label: f.class.traits().name.to_string(),
                polygon: msgs::polygon_to_msg(&f.polygon),
                confidence: f.confidence,
                source: f.source.clone(),
                added_cost: f.added_cost,
            })
            .collect(),
    }
}

pub fn path_to_msg(now: Stamp, p: &Plan) -> PathMsg {
    let head = header(now, topics::PLAN_PATH.frame);
    let line = p.line();
    let poses = line
        .iter()
        .enumerate()
        .map(|(i, at)| {
            // Each pose looks along the segment that begins at it, the last along the one that ends there.
            let (a, b) = match line.get(i + 1) {
                Some(next) => (*at, *next),
                None => (line[i.saturating_sub(1)], *at),
            };
            let half_rad = 0.5 * (b[1] - a[1]).atan2(b[0] - a[0]);
            let mut pose = PoseStamped {
                header: head.clone(),
                ..Default::default()
            };
            pose.pose.position = Point {
                x: at[0],
                y: at[1],
                z: 0.0,
            };
            pose.pose.orientation.z = half_rad.sin();
            pose.pose.orientation.w = half_rad.cos();
            pose
        })
        .collect();
    PathMsg {
        header: head,
        poses,
    }
}
