//! Messages to the vocabulary of the cores and back. What is not a number, in the wrong frame or of the wrong shape is
//! refused with one sentence; the subscription counts it.
//!
//! Staleness is the core's business where it depends on the tick: see [`fresh`].

use crate::ros::meta::{header, stamp_from_msg};
use crate::{FrameTree, Refused};
use nalgebra::{Isometry3, Quaternion, Translation3, UnitQuaternion, Vector3};
use r2r::geometry_msgs::msg as geometry;
use r2r::nav_msgs::msg::Odometry;
use r2r::sensor_msgs::msg::{CameraInfo, Image, Imu, JointState};
use r2r::std_msgs::msg::Header;
use sojourn_core::Stamp;
use sojourn_core::camera::Pinhole;
use sojourn_core::frames::{BaseLink, Frame, Odom, Transform};
use sojourn_core::gridmap;
use sojourn_core::raster::Raster;

/// Largest image side that is accepted, pixels.
const MAX_SIDE_PX: u32 = 8192;
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

/// Whether a stamp is neither older than `max_age_s` nor more than `max_ahead_s` in the future.
///
/// # Errors
/// With the age and the limit, seconds.
pub fn fresh(stamp: Stamp, now: Stamp, max_age_s: f64, max_ahead_s: f64) -> Result<(), Refused> {
    let age_s = now.since(stamp);
    if age_s > max_age_s {
        return Err(Refused(format!(
            "stamp is {age_s:.3} s old, at most {max_age_s} s allowed"
        )));
    }
    if -age_s > max_ahead_s {
        return Err(Refused(format!(
            "stamp is {:.3} s in the future, at most {max_ahead_s} s allowed",
            -age_s
        )));
    }
    Ok(())
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

fn image_shape(m: &Image, encoding: &str, bytes_per_pixel: u32) -> Result<(usize, usize), Refused> {
    if m.encoding != encoding {
        return Err(Refused(format!(
            "encoding is {:?}, expected {encoding:?}",
            m.encoding
        )));
    }
    if m.width == 0 || m.height == 0 || m.width > MAX_SIDE_PX || m.height > MAX_SIDE_PX {
        return Err(Refused(format!(
            "image is {} x {}, expected 1 to {MAX_SIDE_PX}",
            m.width, m.height
        )));
    }
    if m.step != m.width * bytes_per_pixel || m.data.len() != m.step as usize * m.height as usize {
        return Err(Refused(format!(
            "image of {} x {} has step {} and {} bytes, expected packed rows",
            m.width,
            m.height,
            m.step,
            m.data.len()
        )));
    }
    Ok((m.width as usize, m.height as usize))
}

/// Depth along the optical axis, metres, row by row; not-a-number where there is none. Width, height, values.
///
/// # Errors
/// Another frame, encoding or shape. Infinite and negative depths become not-a-number.
pub fn depth_image(m: &Image, frame: &str) -> Result<(Stamp, usize, usize, Vec<f32>), Refused> {
    let stamp = in_frame(&m.header, frame)?;
    let (width, height) = image_shape(m, "32FC1", 4)?;
    if m.is_bigendian != 0 {
        return Err(Refused::from("image is big-endian"));
    }
    let value = |b: &[u8]| {
        let depth_m = f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        if depth_m.is_finite() && depth_m >= 0.0 {
            depth_m
        } else {
            f32::NAN
        }
    };
    Ok((
        stamp,
        width,
        height,
        m.data.chunks_exact(4).map(value).collect(),
    ))
}

/// A depth image as a message.
#[must_use]
pub fn depth_to_msg(stamp: Stamp, frame: &str, width: usize, depth_m: &[f32]) -> Image {
    let data = depth_m.iter().flat_map(|v| v.to_le_bytes()).collect();
    image_to_msg(stamp, frame, "32FC1", width, 4, data)
}

/// A grey image as a message.
#[must_use]
pub fn mono_to_msg(stamp: Stamp, frame: &str, width: usize, grey: &[u8]) -> Image {
    image_to_msg(stamp, frame, "mono8", width, 1, grey.to_vec())
}

fn image_to_msg(
    stamp: Stamp,
    frame: &str,
    encoding: &str,
    width: usize,
    bytes: usize,
    data: Vec<u8>,
) -> Image {
    let step = width * bytes;
    Image {
        header: header(stamp, frame),
        height: (data.len() / step.max(1)) as u32,
        width: width as u32,
        encoding: encoding.to_string(),
        is_bigendian: 0,
        step: step as u32,
        data,
    }
}

/// A grey image: width, height, values.
///
/// # Errors
/// Another frame, encoding or shape.
pub fn mono_image(m: &Image, frame: &str) -> Result<(Stamp, usize, usize, Vec<u8>), Refused> {
    let stamp = in_frame(&m.header, frame)?;
    let (width, height) = image_shape(m, "mono8", 1)?;
    Ok((stamp, width, height, m.data.clone()))
}

/// A rectified camera.
///
/// # Errors
/// Another frame, distortion, or focal lengths that are not positive.
pub fn camera_info(m: &CameraInfo, frame: &str) -> Result<(Stamp, Pinhole), Refused> {
    let stamp = in_frame(&m.header, frame)?;
    if m.d.iter().any(|v| *v != 0.0) {
        return Err(Refused::from(
            "camera has distortion, expected a rectified one",
        ));
    }
    let k = |i: usize| m.k.get(i).copied().unwrap_or(f64::NAN);
    let camera = Pinhole {
        width: m.width as usize,
        height: m.height as usize,
        fx: finite("fx", k(0))?,
        fy: finite("fy", k(4))?,
        cx: finite("cx", k(2))?,
        cy: finite("cy", k(5))?,
    };
    let sides_ok = (1..=MAX_SIDE_PX).contains(&m.width) && (1..=MAX_SIDE_PX).contains(&m.height);
    if camera.fx <= 0.0 || camera.fy <= 0.0 || !sides_ok {
        return Err(Refused(format!(
            "camera is {camera:?}: expected positive focal lengths and sides"
        )));
    }
    Ok((stamp, camera))
}

/// A rectified camera as a message; `baseline_m` is 0 for a left or single camera.
#[must_use]
pub fn camera_to_msg(stamp: Stamp, frame: &str, camera: &Pinhole, baseline_m: f64) -> CameraInfo {
    let (fx, fy, cx, cy) = (camera.fx, camera.fy, camera.cx, camera.cy);
    CameraInfo {
        header: header(stamp, frame),
        height: camera.height as u32,
        width: camera.width as u32,
        distortion_model: "plumb_bob".to_string(),
        d: vec![0.0; 5],
        k: vec![fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0],
        r: vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p: vec![
            fx,
            0.0,
            cx,
            -fx * baseline_m,
            0.0,
            fy,
            cy,
            0.0,
            0.0,
            0.0,
            1.0,
            0.0,
        ],
        ..Default::default()
    }
}

/// Layers of one grid map, each as a raster in the frame of the header. Layers beyond those asked for are left aside.
///
/// # Errors
/// Another frame, a layer is missing, or a shape that does not fit. Not-a-number in a cell means unknown and is kept.
pub fn grid_layers<const N: usize>(
    m: &r2r::grid_map_msgs::msg::GridMap,
    frame: &str,
    names: &[&str; N],
) -> Result<(Stamp, [Raster; N]), Refused> {
    let stamp = in_frame(&m.header, frame)?;
    let pose = isometry(&m.info.pose)?;
    if pose.rotation.angle() > 1e-6 {
        return Err(Refused::from(
            "the grid is rotated, expected its axes along the frame's",
        ));
    }
    let mut rasters = Vec::with_capacity(N);
    for name in names {
        let at = m
            .layers
            .iter()
            .position(|l| l == name)
            .ok_or_else(|| Refused(format!("layer {name} is missing")))?;
        let data = m
            .data
            .get(at)
            .ok_or_else(|| Refused(format!("layer {name} has no data")))?;
        let layer = gridmap::Layer {
            centre_m: [pose.translation.x, pose.translation.y],
            length_m: [m.info.length_x, m.info.length_y],
            resolution_m: m.info.resolution,
            start: [m.outer_start_index.into(), m.inner_start_index.into()],
            data: &data.data,
        };
        rasters.push(gridmap::from_columns(&layer).map_err(|e| Refused(e.to_string()))?);
    }
    let rasters = <[Raster; N]>::try_from(rasters)
        .map_err(|_| Refused::from("internal: number of layers"))?;
    Ok((stamp, rasters))
}

/// A grid map from layers over the same cells; the first is the basic one. Empty without layers.
#[must_use]
pub fn grid_to_msg(
    stamp: Stamp,
    frame: &str,
    layers: &[(&str, &Raster)],
) -> r2r::grid_map_msgs::msg::GridMap {
    use r2r::std_msgs::msg::{Float32MultiArray, MultiArrayDimension, MultiArrayLayout};
    let mut m = r2r::grid_map_msgs::msg::GridMap {
        header: header(stamp, frame),
        ..Default::default()
    };
    let Some((basic, first)) = layers.first() else {
        return m;
    };
    let [x_m, y_m] = gridmap::centre_m(first);
    let [length_x, length_y] = first.size_m();
    m.info.resolution = first.resolution_m();
    (m.info.length_x, m.info.length_y) = (length_x, length_y);
    m.info.pose.position = geometry::Point {
        x: x_m,
        y: y_m,
        z: 0.0,
    };
    m.info.pose.orientation.w = 1.0;
    m.basic_layers = vec![(*basic).to_string()];
    for (name, raster) in layers {
        let (cols, rows) = (raster.cols() as u32, raster.rows() as u32);
        let dimension = |label: &str, size, stride| MultiArrayDimension {
            label: label.to_string(),
            size,
            stride,
        };
        m.layers.push((*name).to_string());
        m.data.push(Float32MultiArray {
            layout: MultiArrayLayout {
                dim: vec![
                    dimension(gridmap::OUTER_LABEL, rows, rows * cols),
                    dimension(gridmap::INNER_LABEL, cols, cols),
                ],
                data_offset: 0,
            },
            data: gridmap::to_columns(raster),
        });
    }
    m
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sojourn_core::frames::Map;

    fn at() -> Stamp {
        Stamp::from_secs(12.5)
    }

    #[test]
    fn frames_numbers_and_ages_are_checked() {
        let mut m = twist_to_msg(at(), 0.03, 0.01);
        assert_eq!(twist(&m).unwrap(), (at(), 0.03, 0.01));
        m.twist.linear.z = f64::NAN;
        assert!(twist(&m).unwrap_err().0.contains("NaN"));
        let mut m = twist_to_msg(at(), 0.0, 0.0);
        m.header.frame_id = "map".into();
        let why = twist(&m).unwrap_err().0;
        assert!(
            why.contains("\"map\"") && why.contains("\"base_link\""),
            "{why}"
        );
        assert!(twist(&twist_to_msg(Stamp(0), 0.0, 0.0)).is_err());
        assert!(
            fresh(at(), Stamp::from_secs(13.0), 0.4, 0.1)
                .unwrap_err()
                .0
                .contains("0.500 s old")
        );
        assert!(
            fresh(at(), Stamp::from_secs(12.0), 0.4, 0.1)
                .unwrap_err()
                .0
                .contains("future")
        );
        assert!(fresh(at(), at(), 0.4, 0.1).is_ok());
    }

    #[test]
    fn a_tree_is_fed_from_messages() {
        let mut tree = FrameTree::new(10.0);
        let map_from_odom: Transform<Map, Odom> =
            Transform::from_xyz_rpy([1.0, 2.0, 0.0], 0.0, 0.0, 0.5);
        let mut bad = transform_to_msg(at(), &map_from_odom);
        bad.transform.rotation.w = f64::NAN;
        let transforms = vec![bad, transform_to_msg(at(), &map_from_odom)];
        let m = r2r::tf2_msgs::msg::TFMessage { transforms };
        assert!(feed_tree(&mut tree, &m, false).is_err());
        assert!((tree.lookup("map", "odom", at()).unwrap().translation.x - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_quaternion_of_zeros_is_refused() {
        let zero = geometry::Quaternion {
            x: 0.0,
            y: 0.0,
            z: 0.0,
            w: 0.0,
        };
        assert!(rotation(&zero).is_err());
    }

    #[test]
    fn images_of_the_wrong_shape_are_refused() {
        let good = depth_to_msg(at(), "cam", 2, &[1.0, f32::NAN, f32::INFINITY, 4.0]);
        let (_, width, height, depth_m) = depth_image(&good, "cam").unwrap();
        assert_eq!((width, height, depth_m[0], depth_m[3]), (2, 2, 1.0, 4.0));
        assert!(depth_m[1].is_nan() && depth_m[2].is_nan());
        for broken in [
            Image {
                step: 4,
                ..good.clone()
            },
            Image {
                height: 3,
                ..good.clone()
            },
            Image {
                width: 0,
                ..good.clone()
            },
            Image {
                width: u32::MAX,
                ..good.clone()
            },
            Image {
                is_bigendian: 1,
                ..good.clone()
            },
            Image {
                encoding: "mono8".into(),
                ..good.clone()
            },
            Image {
                data: Vec::new(),
                ..good.clone()
            },
        ] {
            assert!(depth_image(&broken, "cam").is_err(), "{broken:?}");
        }
    }

    #[test]
    fn joints_come_in_the_order_asked_for() {
        let m = joints_to_msg(
            at(),
            &[("b", 1.0, 2.0), ("x", f64::NAN, 0.0), ("a", 3.0, 4.0)],
        );
        assert_eq!(
            joints(&m, &["a", "b"]).unwrap(),
            (at(), [3.0, 1.0], [4.0, 2.0])
        );
        assert!(joints(&m, &["a", "x"]).is_err());
        assert!(
            joints(&m, &["c"])
                .unwrap_err()
                .0
                .contains("joint c is missing")
        );
    }

    #[test]
    fn a_camera_survives_the_wire() {
        let camera = Pinhole::from_fov(640, 480, 1.6, 1.2);
        let (_, back) = camera_info(&camera_to_msg(at(), "cam", &camera, 0.0), "cam").unwrap();
        assert!((back.fx - camera.fx).abs() < 1e-12 && back.width == 640);
    }

    #[test]
    fn a_grid_survives_the_wire() {
        let raster = Raster::filled(3, 2, 0.5, [10.0, 20.0], 0.0)
            .unwrap()
            .like(|c, r| (10 * r + c) as f32);
        let m = grid_to_msg(
            at(),
            "odom",
            &[("elevation", &raster), ("variance", &raster)],
        );
        let (stamp, [back]) = grid_layers(&m, "odom", &["elevation"]).unwrap();
        assert_eq!((stamp, back.data()), (at(), raster.data()));
        assert!(
            grid_layers(&m, "odom", &["age"])
                .unwrap_err()
                .0
                .contains("age")
        );
        assert!(grid_layers(&m, "map", &["elevation"]).is_err());
    }

    proptest! {
        #[test]
        fn transforms_survive_the_wire(x in -1e4..1e4, y in -1e4..1e4, z in -1e3..1e3,
                                       roll in -1.0..1.0, pitch in -1.0..1.0, yaw in -3.0..3.0) {
            let t: Transform<Map, Odom> = Transform::from_xyz_rpy([x, y, z], roll, pitch, yaw);
            let (_, back) = transform::<Map, Odom>(&transform_to_msg(at(), &t)).unwrap();
            prop_assert!((back.iso.translation.vector - t.iso.translation.vector).norm() < 1e-9);
            prop_assert!(back.iso.rotation.angle_to(&t.iso.rotation) < 1e-6);
            prop_assert!(transform::<Odom, Map>(&transform_to_msg(at(), &t)).is_err());
        }
    }
}
