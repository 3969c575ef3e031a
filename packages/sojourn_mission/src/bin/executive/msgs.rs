//! Between ROS messages and the executive's core. What is not finite or in the wrong frame is refused.

use r2r::geometry_msgs::msg::TransformStamped;
use r2r::nav_msgs::msg::Odometry;
use r2r::sojourn_msgs::msg as sj;
use sojourn_core::Stamp;
use sojourn_core::frames::{Frame, Map};
use sojourn_core::geometry::{Xy, with_holes};
use sojourn_core::health::{Health, HealthLevel, NodeState};
use sojourn_core::plan::Waypoint;
use sojourn_mission::executive::{AutonavState, GoalOut, Input, Outcome, Status};
use sojourn_ros::msgs as convert;
use sojourn_ros::{Refused, header, stamp_from_msg};

pub(crate) fn odometry(m: Odometry) -> Result<Option<Input>, Refused> {
    let m = convert::odometry_in_odom(&m)?;
    Ok(Some(Input::Odometry {
        stamp: m.stamp,
        odom_from_base_link: m.to_from_base_link,
    }))
}

pub(crate) fn map_from_odom(m: TransformStamped) -> Result<Option<Input>, Refused> {
    let (stamp, map_from_odom) = convert::transform(&m)?;
    Ok(Some(Input::MapFromOdom {
        stamp,
        map_from_odom,
    }))
}

pub(crate) fn autonav(m: sj::AutonavStatus) -> Result<Option<Input>, Refused> {
    let state = AutonavState::from_number(m.state)
        .ok_or_else(|| Refused::from(format!("state is {}, expected 0 to 4", m.state)))?;
    Ok(Some(Input::Autonav {
        stamp: stamp_from_msg(&m.header.stamp),
        state,
        reason: m.reason,
    }))
}

pub(crate) fn heartbeat(m: sj::Heartbeat) -> Result<Option<Input>, Refused> {
    let state = match m.state {
        0 => NodeState::Starting,
        1 => NodeState::Idle,
        2 => NodeState::Active,
        3 => NodeState::Fault,
        other => return Err(format!("state of {} is {other}, expected 0 to 3", m.node).into()),
    };
    let level = match m.health {
        0 => HealthLevel::Ok,
        1 => HealthLevel::Warn,
        2 => HealthLevel::Error,
        other => return Err(format!("health of {} is {other}, expected 0 to 2", m.node).into()),
    };
    Ok(Some(Input::Heartbeat {
        stamp: stamp_from_msg(&m.header.stamp),
        node: m.node,
        health: Health {
            state,
            level,
            reason: m.reason,
        },
    }))
}

fn waypoint(w: &Waypoint, keep_out: &[Vec<Xy>]) -> sj::Waypoint {
    sj::Waypoint {
        x_m: w.x_m,
        y_m: w.y_m,
        tolerance_m: w.tolerance_m,
        mode: w.mode.name().into(),
        // Keep-outs are the holes of the corridor.
        corridor: convert::polygon_to_msg(&with_holes(&w.corridor, keep_out)),
        max_tilt_rad: w.limits.tilt_deg.to_radians(),
        max_slip: w.limits.slip,
        max_speed_mps: w.limits.speed_mps,
        timeout_s: w.timeout_s,
        risk: w.risk,
        reasons: w.reasons.clone(),
    }
}

pub(crate) fn drive_goal(now: Stamp, goal: &GoalOut) -> sj::DriveGoal {
    sj::DriveGoal {
        header: header(now, Map::NAME),
        bundle_id: goal.bundle_id.clone(),
        active: goal.active,
        waypoint_index: goal.waypoint_index as u32,
        waypoint: goal
            .waypoint
            .as_ref()
            .map(|w| waypoint(w, &goal.keep_out))
            .unwrap_or_default(),
        keep_in: convert::polygon_to_msg(&goal.next_corridor),
        reason: goal.reason.clone(),
    }
}

pub(crate) fn drive_status(now: Stamp, status: &Status) -> sj::DriveStatus {
    sj::DriveStatus {
        header: header(now, Map::NAME),
        state: status.state as u8,
        bundle_id: status.bundle_id.clone(),
        waypoint_index: status.waypoint_index as u32,
        waypoint_count: status.waypoint_count as u32,
        distance_planned_m: status.distance_planned_m,
        distance_driven_m: status.distance_driven_m,
        distance_to_goal_m: status.distance_to_goal_m,
        reason: status.reason.clone(),
    }
}

pub(crate) fn result(outcome: &Outcome) -> r2r::sojourn_msgs::action::ExecuteDrive::Result {
    r2r::sojourn_msgs::action::ExecuteDrive::Result {
        reached: outcome.state == sojourn_mission::executive::DriveState::Reached,
        state: outcome.state as u8,
        reason: outcome.reason.clone(),
        distance_driven_m: outcome.distance_driven_m,
        goal_error_estimate_m: outcome.goal_error_estimate_m,
    }
}
