//! Between ROS messages and the executive's core. What is not finite or in the wrong frame is refused.

use nalgebra::{Isometry3, Quaternion, Translation3, UnitQuaternion};
use r2r::geometry_msgs::msg::{Point, TransformStamped};
use r2r::nav_msgs::msg::Odometry;
use r2r::sojourn_msgs::msg as sj;
use sojourn_core::Stamp;
use sojourn_core::frames::{BaseLink, Frame, Map, Odom, Transform};
use sojourn_core::geometry::Xy;
use sojourn_core::health::{Health, HealthLevel, NodeState};
use sojourn_core::plan::Waypoint;
use sojourn_mission::executive::{AutonavState, GoalOut, Input, Outcome, Status};
use sojourn_ros::{Refused, header, stamp_from_msg};

fn isometry(xyz: [f64; 3], xyzw: [f64; 4]) -> Result<Isometry3<f64>, Refused> {
    if xyz.iter().chain(&xyzw).any(|v| !v.is_finite()) {
        return Err("the pose holds a number that is not finite".into());
    }
    let q = Quaternion::new(xyzw[3], xyzw[0], xyzw[1], xyzw[2]);
    if !((q.norm() - 1.0).abs() < 1e-3) {
        return Err(format!("the orientation has length {}, expected 1", q.norm()).into());
    }
    Ok(Isometry3::from_parts(
        Translation3::new(xyz[0], xyz[1], xyz[2]),
        UnitQuaternion::new_normalize(q),
    ))
}

fn check_frames(found: (&str, &str), expected: (&str, &str)) -> Result<(), Refused> {
    if found == expected {
        return Ok(());
    }
    Err(format!(
        "frames are {} and {}, expected {} and {}",
        found.0, found.1, expected.0, expected.1
    )
    .into())
}

pub(crate) fn odometry(m: Odometry) -> Result<Option<Input>, Refused> {
    check_frames(
        (&m.header.frame_id, &m.child_frame_id),
        (Odom::NAME, BaseLink::NAME),
    )?;
    let (p, q) = (&m.pose.pose.position, &m.pose.pose.orientation);
    let iso = isometry([p.x, p.y, p.z], [q.x, q.y, q.z, q.w])?;
    Ok(Some(Input::Odometry {
        stamp: stamp_from_msg(&m.header.stamp),
        odom_from_base_link: Transform::new(iso),
    }))
}

pub(crate) fn map_from_odom(m: TransformStamped) -> Result<Option<Input>, Refused> {
    check_frames(
        (&m.header.frame_id, &m.child_frame_id),
        (Map::NAME, Odom::NAME),
    )?;
    let (t, q) = (&m.transform.translation, &m.transform.rotation);
    let iso = isometry([t.x, t.y, t.z], [q.x, q.y, q.z, q.w])?;
    Ok(Some(Input::MapFromOdom {
        stamp: stamp_from_msg(&m.header.stamp),
        map_from_odom: Transform::new(iso),
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

fn points(polygon: &[Xy]) -> Vec<Point> {
    polygon
        .iter()
        .map(|p| Point {
            x: p[0],
            y: p[1],
            z: 0.0,
        })
        .collect()
}

fn waypoint(w: &Waypoint) -> sj::Waypoint {
    sj::Waypoint {
        x_m: w.x_m,
        y_m: w.y_m,
        tolerance_m: w.tolerance_m,
        mode: w.mode.name().into(),
        corridor: points(&w.corridor),
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
        waypoint: goal.waypoint.as_ref().map(waypoint).unwrap_or_default(),
        keep_in: points(&goal.next_corridor),
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
