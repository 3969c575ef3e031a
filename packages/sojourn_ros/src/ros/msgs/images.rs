//! Images and cameras.

use super::{finite, in_frame};
use crate::Refused;
use crate::ros::meta::header;
use r2r::sensor_msgs::msg::{CameraInfo, Image};
use sojourn_core::Stamp;
use sojourn_core::camera::Pinhole;

/// Largest image side that is accepted, pixels.
const MAX_SIDE_PX: u32 = 8192;

/// What the bytes of a pixel mean.
type Value<'a, T> = dyn Fn(&[u8]) -> T + 'a;

/// Width, height and rows of an image whose shape is possible; what drivers add at the ends of rows is left out.
fn rows(m: &Image, bytes_per_pixel: usize) -> Result<(usize, usize, Vec<&[u8]>), Refused> {
    if m.width == 0 || m.height == 0 || m.width > MAX_SIDE_PX || m.height > MAX_SIDE_PX {
        return Err(Refused(format!(
            "image is {} x {}, expected 1 to {MAX_SIDE_PX}",
            m.width, m.height
        )));
    }
    let (width, height, step) = (m.width as usize, m.height as usize, m.step as usize);
    let row = width * bytes_per_pixel;
    if step < row || m.data.len() != step * height {
        return Err(Refused(format!(
            "image of {width} x {height} has step {step} and {} bytes, expected rows of {row} bytes or more",
            m.data.len()
        )));
    }
    let rows = m.data.chunks_exact(step).map(|r| &r[..row]).collect();
    Ok((width, height, rows))
}

/// Depth along the optical axis, metres, row by row; not-a-number where there is none. Width, height, values.
/// As REP 118 has it: `32FC1` in metres, or `16UC1` in millimetres with 0 for none.
///
/// # Errors
/// Another frame, encoding or shape. Infinite and negative depths become not-a-number.
pub fn depth_image(m: &Image, frame: &str) -> Result<(Stamp, usize, usize, Vec<f32>), Refused> {
    let stamp = in_frame(&m.header, frame)?;
    let is_big = m.is_bigendian != 0;
    let metres = |b: &[u8]| {
        let four = [b[0], b[1], b[2], b[3]];
        let depth_m = if is_big {
            f32::from_be_bytes(four)
        } else {
            f32::from_le_bytes(four)
        };
        if depth_m.is_finite() && depth_m >= 0.0 {
            depth_m
        } else {
            f32::NAN
        }
    };
    let millimetres = |b: &[u8]| match u16_of(b, is_big) {
        0 => f32::NAN,
        depth_mm => f32::from(depth_mm) / 1000.0,
    };
    let (size, value): (_, &Value<'_, f32>) = match m.encoding.as_str() {
        "32FC1" => (4, &metres),
        "16UC1" => (2, &millimetres),
        other => {
            return Err(Refused(format!(
                "encoding is {other:?}, expected \"32FC1\" or \"16UC1\""
            )));
        }
    };
    let (width, height, rows) = rows(m, size)?;
    let depth_m = rows
        .into_iter()
        .flat_map(|row| row.chunks_exact(size))
        .map(value)
        .collect();
    Ok((stamp, width, height, depth_m))
}

fn u16_of(b: &[u8], is_big: bool) -> u16 {
    if is_big {
        u16::from_be_bytes([b[0], b[1]])
    } else {
        u16::from_le_bytes([b[0], b[1]])
    }
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

/// A grey image: width, height, values. Colours become their luma (ITU-R BT.601), 16 bits their upper eight.
///
/// # Errors
/// Another frame, an encoding that is none of `mono8`, `mono16`, `rgb8`, `bgr8`, `rgba8` and `bgra8`, or a wrong shape.
pub fn mono_image(m: &Image, frame: &str) -> Result<(Stamp, usize, usize, Vec<u8>), Refused> {
    let stamp = in_frame(&m.header, frame)?;
    let is_big = m.is_bigendian != 0;
    let luma = |r: u8, g: u8, b: u8| {
        ((77 * u32::from(r) + 150 * u32::from(g) + 29 * u32::from(b) + 128) >> 8) as u8
    };
    let upper = |b: &[u8]| (u16_of(b, is_big) >> 8) as u8;
    let (size, value): (_, &Value<'_, u8>) = match m.encoding.as_str() {
        "mono8" | "8UC1" => {
            let (width, height, rows) = rows(m, 1)?;
            return Ok((stamp, width, height, rows.concat()));
        }
        "mono16" => (2, &upper),
        "rgb8" => (3, &|b| luma(b[0], b[1], b[2])),
        "bgr8" => (3, &|b| luma(b[2], b[1], b[0])),
        "rgba8" => (4, &|b| luma(b[0], b[1], b[2])),
        "bgra8" => (4, &|b| luma(b[2], b[1], b[0])),
        other => {
            return Err(Refused(format!(
                "encoding is {other:?}, expected mono8, mono16, rgb8, bgr8, rgba8 or bgra8"
            )));
        }
    };
    let (width, height, rows) = rows(m, size)?;
    let grey = rows
        .into_iter()
        .flat_map(|row| row.chunks_exact(size))
        .map(value)
        .collect();
    Ok((stamp, width, height, grey))
}

/// The colours of an image that [`mono_image`] takes: red, green and blue of each pixel, row by row; nothing where it has none
/// or its shape is wrong.
#[must_use]
pub fn colours(m: &Image) -> Option<Vec<u8>> {
    let (size, [r, g, b]) = match m.encoding.as_str() {
        "rgb8" => (3, [0, 1, 2]),
        "bgr8" => (3, [2, 1, 0]),
        "rgba8" => (4, [0, 1, 2]),
        "bgra8" => (4, [2, 1, 0]),
        _ => return None,
    };
    let (_, _, rows) = rows(m, size).ok()?;
    let pixels = rows.into_iter().flat_map(|row| row.chunks_exact(size));
    Some(pixels.flat_map(|p| [p[r], p[g], p[b]]).collect())
}

/// The camera of a rectified image (`image_rect`), from `P`: `K` and `D` tell of the image before it was rectified. Binning
/// and the region of interest count, as `image_geometry` has them.
///
/// # Errors
/// Another frame, or focal lengths that are not positive: the camera is not calibrated.
pub fn camera_info(m: &CameraInfo, frame: &str) -> Result<(Stamp, Pinhole), Refused> {
    let stamp = in_frame(&m.header, frame)?;
    let p = |i: usize| m.p.get(i).copied().unwrap_or(f64::NAN);
    let bins = [m.binning_x.max(1), m.binning_y.max(1)];
    let (roi, is_part) = (&m.roi, m.roi.width > 0 && m.roi.height > 0);
    let full = if is_part {
        [roi.width, roi.height]
    } else {
        [m.width, m.height]
    };
    let corner = if is_part {
        [f64::from(roi.x_offset), f64::from(roi.y_offset)]
    } else {
        [0.0; 2]
    };
    let [width, height] = [full[0] / bins[0], full[1] / bins[1]];
    let [bx, by] = bins.map(f64::from);
    let camera = Pinhole {
        width: width as usize,
        height: height as usize,
        fx: finite("P[0]", p(0))? / bx,
        fy: finite("P[5]", p(5))? / by,
        cx: (finite("P[2]", p(2))? - corner[0]) / bx,
        cy: (finite("P[6]", p(6))? - corner[1]) / by,
    };
    let sides_ok = (1..=MAX_SIDE_PX).contains(&width) && (1..=MAX_SIDE_PX).contains(&height);
    if camera.fx <= 0.0 || camera.fy <= 0.0 || !sides_ok {
        return Err(Refused(format!(
            "camera is {camera:?}: expected positive focal lengths (P) and sides; is it calibrated?"
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
