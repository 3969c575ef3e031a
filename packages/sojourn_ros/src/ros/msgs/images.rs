//! Images and cameras.

use super::{finite, in_frame};
use crate::Refused;
use crate::ros::meta::header;
use r2r::sensor_msgs::msg::{CameraInfo, Image};
use sojourn_core::Stamp;
use sojourn_core::camera::Pinhole;

/// Largest image side that is accepted, pixels.
const MAX_SIDE_PX: u32 = 8192;

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

/// Distance of the right camera from the left one along its x axis, metres, from the right one's `P[3] = −fx · baseline`.
///
/// # Errors
/// When it is not a positive number.
pub fn baseline(m: &CameraInfo) -> Result<f64, Refused> {
    let p = |i: usize| m.p.get(i).copied().unwrap_or(f64::NAN);
    let baseline_m = -p(3) / p(0);
    if baseline_m.is_finite() && baseline_m > 0.0 {
        Ok(baseline_m)
    } else {
        Err(Refused(format!(
            "P[3] is {}, expected the right camera's: -fx * baseline",
            p(3)
        )))
    }
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
