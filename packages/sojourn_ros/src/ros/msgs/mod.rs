//! Messages to the vocabulary of the cores and back. What is not a number, in the wrong frame or of the wrong shape is
//! refused with one sentence; the subscription counts it.
//!
//! Staleness is the core's business where it depends on the tick: see [`fresh`].

mod grid;
mod images;
#[cfg(test)]
mod tests;

use crate::ros::meta::{header, stamp_from_msg};
use crate::{FrameTree, Refused};
pub use grid::{grid_layers, grid_to_msg};
pub use images::{
    baseline, camera_info, camera_to_msg, colours, depth_image, depth_to_msg, mono_image,
    mono_to_msg,
};
use nalgebra::{Isometry3, Quaternion, Translation3, UnitQuaternion, Vector3};
use r2r::geometry_msgs::msg as geometry;
use r2r::nav_msgs::msg::Odometry;
use r2r::sensor_msgs::msg::{Imu, JointState};
use r2r::std_msgs::msg::Header;
use sojourn_core::Stamp;
use sojourn_core::frames::{BaseLink, Frame, Odom, Transform};

/// How far a quaternion's norm may be from 1.
const NORM_TOLERANCE: f64 = 1e-3;

/// A number that is finite.
///
/// # Errors
/// Naming `what`.
pub fn finite(what: &str, value: f64) -> Result<f64, Refused> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(Refused(format!("{what} is {value}")))
    }
}

/// The stamp of a header in this frame.
///
/// # Errors
/// When the frame is another, naming both, or the stamp is zero.
pub fn in_frame(header: &Header, frame: &str) -> Result<Stamp, Refused> {
    if header.frame_id != frame {
        return Err(Refused(format!(
            "frame_id is {:?}, expected {frame:?}",
            header.frame_id
        )));
    }
    let stamp = stamp_from_msg(&header.stamp);
    if stamp.0 <= 0 {
        Err(Refused::from("stamp is zero"))
    } else {
        Ok(stamp)
    }
}

/// A vector or position, metres or whatever unit the message has.
///
/// # Errors
/// When a component is not finite.
pub fn vector(what: &str, x: f64, y: f64, z: f64) -> Result<Vector3<f64>, Refused> {
    Ok(Vector3::new(
        finite(what, x)?,
        finite(what, y)?,
        finite(what, z)?,
    ))
}

/// A rotation.
///
/// # Errors
/// When it is not finite or not of unit length.
pub fn rotation(q: &geometry::Quaternion) -> Result<UnitQuaternion<f64>, Refused> {
    let raw = Quaternion::new(q.w, q.x, q.y, q.z);
    let norm = raw.norm();
    // A comparison with not-a-number is false.
    if (norm - 1.0).abs() <= NORM_TOLERANCE {
        Ok(UnitQuaternion::from_quaternion(raw))
    } else {
        Err(Refused(format!("quaternion has norm {norm}, expected 1")))
    }
}

/// A rotation as a message.
#[must_use]
pub fn rotation_to_msg(rotation: &UnitQuaternion<f64>) -> geometry::Quaternion {
    geometry::Quaternion {
        x: rotation.i,
        y: rotation.j,
        z: rotation.k,
        w: rotation.w,
    }
}

/// A pose.
///
/// # Errors
/// As [`rotation`] and [`vector`].
pub fn isometry(pose: &geometry::Pose) -> Result<Isometry3<f64>, Refused> {
    let p = &pose.position;
    Ok(Isometry3::from_parts(
        Translation3::from(vector("position", p.x, p.y, p.z)?),
        rotation(&pose.orientation)?,
    ))
}

/// A pose as a message.
#[must_use]
pub fn pose_to_msg(pose: &Isometry3<f64>) -> geometry::Pose {
    let t = pose.translation.vector;
    geometry::Pose {
        position: geometry::Point {
            x: t.x,
            y: t.y,
            z: t.z,
        },
        orientation: rotation_to_msg(&pose.rotation),
    }
}

/// A pose of something in the frame `F` (`PoseStamped`).
///
/// # Errors
/// Another frame, or as [`isometry`].
pub fn pose_stamped(
    m: &geometry::PoseStamped,
    frame: &str,
) -> Result<(Stamp, Isometry3<f64>), Refused> {
    Ok((in_frame(&m.header, frame)?, isometry(&m.pose)?))
}

/// `To` from `From`.
///
/// # Errors
/// Other frames, or as [`isometry`].
pub fn transform<To: Frame, From: Frame>(
    m: &geometry::TransformStamped,
) -> Result<(Stamp, Transform<To, From>), Refused> {
    let stamp = in_frame(&m.header, To::NAME)?;
    if m.child_frame_id != From::NAME {
        return Err(Refused(format!(
            "child_frame_id is {:?}, expected {:?}",
            m.child_frame_id,
            From::NAME
        )));
    }
    let t = &m.transform.translation;
    let translation = Translation3::from(vector("translation", t.x, t.y, t.z)?);
    Ok((
        stamp,
        Transform::new(Isometry3::from_parts(
            translation,
            rotation(&m.transform.rotation)?,
        )),
    ))
}

/// `To` from `From` as a message.
#[must_use]
pub fn transform_to_msg<To: Frame, From: Frame>(
    stamp: Stamp,
    to_from: &Transform<To, From>,
) -> geometry::TransformStamped {
    isometry_to_transform_msg(stamp, To::NAME, From::NAME, &to_from.iso)
}

/// Target from source as a message, frames by name.
#[must_use]
pub fn isometry_to_transform_msg(
    stamp: Stamp,
    target: &str,
    source: &str,
    target_from_source: &Isometry3<f64>,
) -> geometry::TransformStamped {
    let t = target_from_source.translation.vector;
    geometry::TransformStamped {
        header: header(stamp, target),
        child_frame_id: source.to_string(),
        transform: geometry::Transform {
            translation: geometry::Vector3 {
                x: t.x,
                y: t.y,
                z: t.z,
            },
            rotation: rotation_to_msg(&target_from_source.rotation),
        },
    }
}

/// Feeds a tree with `/tf` (`fixed` false) or `/tf_static` (`fixed` true).
///
/// # Errors
/// The first transform that is refused; the others are taken all the same.
pub fn feed_tree(
    tree: &mut FrameTree,
    m: &r2r::tf2_msgs::msg::TFMessage,
    fixed: bool,
) -> Result<(), Refused> {
    let mut outcome = Ok(());
    for t in &m.transforms {
        let v = &t.transform.translation;
        let one = rotation(&t.transform.rotation).and_then(|rotation| {
            let iso = Isometry3::from_parts(
                Translation3::from(vector("translation", v.x, v.y, v.z)?),
                rotation,
            );
            tree.insert(
                &t.header.frame_id,
                &t.child_frame_id,
                stamp_from_msg(&t.header.stamp),
                iso,
                fixed,
            )
        });
        outcome = outcome.and(one);
    }
    outcome
}

/// Forward speed (m/s) and yaw rate (rad/s, counter-clockwise) of a command in `base_link`.
///
/// # Errors
/// Another frame, or not finite in any of the six components.
pub fn twist(m: &geometry::TwistStamped) -> Result<(Stamp, f64, f64), Refused> {
    let stamp = in_frame(&m.header, BaseLink::NAME)?;
    let (l, a) = (&m.twist.linear, &m.twist.angular);
    vector("linear velocity", l.x, l.y, l.z)?;
    vector("angular velocity", a.x, a.y, a.z)?;
    Ok((stamp, l.x, a.z))
}

/// A command in `base_link` as a message.
#[must_use]
pub fn twist_to_msg(stamp: Stamp, speed_mps: f64, yaw_rate_radps: f64) -> geometry::TwistStamped {
    let mut m = geometry::TwistStamped {
        header: header(stamp, BaseLink::NAME),
        ..Default::default()
    };
    m.twist.linear.x = speed_mps;
    m.twist.angular.z = yaw_rate_radps;
    m
}

/// Pose, speed and covariance as `nav_msgs/Odometry` has them.
#[derive(Clone, Debug, PartialEq)]
pub struct OdometryIn<To: Frame> {
    /// When.
    pub stamp: Stamp,
    /// Where `base_link` is.
    pub to_from_base_link: Transform<To, BaseLink>,
    /// Speed in `base_link`, m/s.
    pub linear_mps: Vector3<f64>,
    /// Turn rate in `base_link`, rad/s.
    pub angular_radps: Vector3<f64>,
    /// Row-major 6 by 6 (x, y, z, roll, pitch, yaw).
    pub pose_covariance: [f64; 36],
}

/// From `nav_msgs/Odometry`.
///
/// # Errors
/// Other frames, or anything that is not finite.
pub fn odometry<To: Frame>(m: &Odometry) -> Result<OdometryIn<To>, Refused> {
    let stamp = in_frame(&m.header, To::NAME)?;
    if m.child_frame_id != BaseLink::NAME {
        return Err(Refused(format!(
            "child_frame_id is {:?}, expected \"base_link\"",
            m.child_frame_id
        )));
    }
    let (l, a) = (&m.twist.twist.linear, &m.twist.twist.angular);
    let mut pose_covariance = [0.0; 36];
    for (to, from) in pose_covariance.iter_mut().zip(&m.pose.covariance) {
        *to = finite("covariance", *from)?;
    }
    Ok(OdometryIn {
        stamp,
        to_from_base_link: Transform::new(isometry(&m.pose.pose)?),
        linear_mps: vector("linear velocity", l.x, l.y, l.z)?,
        angular_radps: vector("angular velocity", a.x, a.y, a.z)?,
        pose_covariance,
    })
}

/// To `nav_msgs/Odometry`.
#[must_use]
pub fn odometry_to_msg<To: Frame>(odometry: &OdometryIn<To>) -> Odometry {
    let mut m = Odometry {
        header: header(odometry.stamp, To::NAME),
        child_frame_id: BaseLink::NAME.to_string(),
        ..Default::default()
    };
    m.pose.pose = pose_to_msg(&odometry.to_from_base_link.iso);
    m.pose.covariance = odometry.pose_covariance.to_vec();
    let (l, a) = (odometry.linear_mps, odometry.angular_radps);
    m.twist.twist.linear = geometry::Vector3 {
        x: l.x,
        y: l.y,
        z: l.z,
    };
    m.twist.twist.angular = geometry::Vector3 {
        x: a.x,
        y: a.y,
        z: a.z,
    };
    m
}

/// Where the rover is in `odom`: the usual case of [`odometry`].
///
/// # Errors
/// As [`odometry`].
pub fn odometry_in_odom(m: &Odometry) -> Result<OdometryIn<Odom>, Refused> {
    odometry(m)
}

/// Turn rate (rad/s) and specific force (m/s²) in this frame. The orientation is not read.
///
/// # Errors
/// Another frame, or not finite.
pub fn imu(m: &Imu, frame: &str) -> Result<(Stamp, Vector3<f64>, Vector3<f64>), Refused> {
    let stamp = in_frame(&m.header, frame)?;
    let (w, f) = (&m.angular_velocity, &m.linear_acceleration);
    Ok((
        stamp,
        vector("angular velocity", w.x, w.y, w.z)?,
        vector("linear acceleration", f.x, f.y, f.z)?,
    ))
}

/// To `sensor_msgs/Imu` without orientation.
#[must_use]
pub fn imu_to_msg(
    stamp: Stamp,
    frame: &str,
    rate_radps: Vector3<f64>,
    force_mps2: Vector3<f64>,
) -> Imu {
    let mut m = Imu {
        header: header(stamp, frame),
        ..Default::default()
    };
    // REP-145: -1 says that there is no orientation.
    if let Some(first) = m.orientation_covariance.first_mut() {
        *first = -1.0;
    }
    m.angular_velocity = geometry::Vector3 {
        x: rate_radps.x,
        y: rate_radps.y,
        z: rate_radps.z,
    };
    m.linear_acceleration = geometry::Vector3 {
        x: force_mps2.x,
        y: force_mps2.y,
        z: force_mps2.z,
    };
    m
}

/// Position (rad) and velocity (rad/s) of these joints, in this order, whatever order and further joints the message has.
///
/// # Errors
/// A joint is missing, the lists differ in length, or a value is not finite.
pub fn joints<const N: usize>(
    m: &JointState,
    names: &[&str; N],
) -> Result<(Stamp, [f64; N], [f64; N]), Refused> {
    if m.position.len() != m.name.len() || m.velocity.len() != m.name.len() {
        return Err(Refused(format!(
            "{} names, {} positions, {} velocities: expected as many of each",
            m.name.len(),
            m.position.len(),
            m.velocity.len()
        )));
    }
    let (mut position_rad, mut velocity_radps) = ([0.0; N], [0.0; N]);
    for ((wanted, p), v) in names.iter().zip(&mut position_rad).zip(&mut velocity_radps) {
        let at = m
            .name
            .iter()
            .position(|n| n == wanted)
            .ok_or_else(|| Refused(format!("joint {wanted} is missing")))?;
        *p = finite(wanted, m.position.get(at).copied().unwrap_or(f64::NAN))?;
        *v = finite(wanted, m.velocity.get(at).copied().unwrap_or(f64::NAN))?;
    }
    let stamp = stamp_from_msg(&m.header.stamp);
    if stamp.0 <= 0 {
        Err(Refused::from("stamp is zero"))
    } else {
        Ok((stamp, position_rad, velocity_radps))
    }
}

/// To `sensor_msgs/JointState`.
#[must_use]
pub fn joints_to_msg(stamp: Stamp, joints: &[(&str, f64, f64)]) -> JointState {
    JointState {
        header: header(stamp, ""),
        name: joints.iter().map(|j| j.0.to_string()).collect(),
        position: joints.iter().map(|j| j.1).collect(),
        velocity: joints.iter().map(|j| j.2).collect(),
        effort: Vec::new(),
    }
}

/// Points of a polygon, metres; z is left aside.
///
/// # Errors
/// Not finite.
pub fn polygon(points: &[geometry::Point]) -> Result<Vec<[f64; 2]>, Refused> {
    points
        .iter()
        .map(|p| Ok([finite("polygon", p.x)?, finite("polygon", p.y)?]))
        .collect()
}

/// A polygon as message points.
#[must_use]
pub fn polygon_to_msg(points: &[[f64; 2]]) -> Vec<geometry::Point> {
    points
        .iter()
        .map(|[x, y]| geometry::Point {
            x: *x,
            y: *y,
            z: 0.0,
        })
        .collect()
}
