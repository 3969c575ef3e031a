//! The messages that localization hears, out of a recording: CDR, without ROS.

use crate::report::ReportError;
use crate::report::cdr::Cdr;
use nalgebra::{Isometry3, Quaternion, Translation3, UnitQuaternion, Vector3};
use sojourn_core::{
    Stamp,
    camera::Pinhole,
    kinematics::WheelMotion,
    rover::{Rover, Steering},
    suspension::SuspensionAngles,
    topics,
};
use sojourn_localization::{
    ImuSample, WheelSample,
    vo::{GrayImage, StereoCamera},
};

/// A message, or why it cannot be used.
pub type Read<T> = Result<T, String>;

fn told(e: ReportError) -> String {
    e.to_string()
}

fn stamp(r: &mut Cdr<'_>) -> Read<Stamp> {
    let (sec, nanosec) = (r.i32().map_err(told)?, r.u32().map_err(told)?);
    r.string().map_err(told)?;
    Ok(Stamp::from_parts(sec, nanosec))
}

/// `sensor_msgs/Imu`; the orientation is not read.
///
/// # Errors
/// Why it cannot be used.
pub fn imu(bytes: &[u8]) -> Read<(Stamp, ImuSample)> {
    let mut r = Cdr::new(bytes).map_err(told)?;
    let at = stamp(&mut r)?;
    r.f64s::<13>().map_err(told)?;
    let w: [f64; 3] = r.f64s().map_err(told)?;
    r.f64s::<9>().map_err(told)?;
    let f: [f64; 3] = r.f64s().map_err(told)?;
    let sample = ImuSample {
        gyro_radps: Vector3::from(w),
        accel_mps2: Vector3::from(f),
    };
    Ok((at, sample))
}

/// `sensor_msgs/JointState` of the wheels, joints by name.
///
/// # Errors
/// Why it cannot be used.
pub fn wheels(bytes: &[u8], rover: &Rover) -> Read<(Stamp, WheelSample)> {
    let mut r = Cdr::new(bytes).map_err(told)?;
    let at = stamp(&mut r)?;
    let names: Vec<String> = (0..r.length().map_err(told)?)
        .map(|_| r.string())
        .collect::<Result<_, _>>()
        .map_err(told)?;
    let mut list = || -> Read<Vec<f64>> {
        (0..r.length().map_err(told)?)
            .map(|_| r.f64())
            .collect::<Result<_, _>>()
            .map_err(told)
    };
    let (position, velocity) = (list()?, list()?);
    if position.len() != names.len() || velocity.len() != names.len() {
        return Err(format!(
            "has {} names, {} positions, {} velocities: expected as many of each",
            names.len(),
            position.len(),
            velocity.len()
        ));
    }
    let of = |wanted: [&str; 6]| -> Read<[(f64, f64); 6]> {
        let mut out = [(0.0, 0.0); 6];
        for (value, name) in out.iter_mut().zip(wanted) {
            let at = names.iter().position(|n| n == name);
            *value = at
                .and_then(|k| Some((*position.get(k)?, *velocity.get(k)?)))
                .ok_or_else(|| format!("has no joint {name}"))?;
        }
        Ok(out)
    };
    let radius_m = rover.wheel.radius_m;
    let drives = of(topics::DRIVE_JOINTS)?;
    let steer_rad = if rover.drive.steering == Steering::CornerSteered {
        of(topics::STEER_JOINTS)?.map(|j| j.0)
    } else {
        [0.0; 6]
    };
    // Rovers that do not measure their suspension name no such joints.
    let angle = |name: &str| {
        let at = names.iter().position(|n| n == name)?;
        position.get(at).copied()
    };
    let suspension = match topics::SUSPENSION_JOINTS.map(angle) {
        [Some(differential_rad), Some(left), Some(right)] => Some(SuspensionAngles {
            differential_rad,
            bogie_rad: [left, right],
        }),
        _ => None,
    };
    let sample = WheelSample {
        motion: WheelMotion {
            rim_mps: drives.map(|d| d.1 * radius_m),
            steer_rad,
        },
        travel_m: drives.map(|d| d.0 * radius_m),
        suspension,
    };
    Ok((at, sample))
}

/// `sensor_msgs/Image`, grey or of three colours.
///
/// # Errors
/// Why it cannot be used.
pub fn image(bytes: &[u8]) -> Read<(Stamp, GrayImage)> {
    let mut r = Cdr::new(bytes).map_err(told)?;
    let at = stamp(&mut r)?;
    let (height, width) = (
        r.u32().map_err(told)? as usize,
        r.u32().map_err(told)? as usize,
    );
    let encoding = r.string().map_err(told)?;
    let _big_endian = r.u8().map_err(told)?;
    let step = r.u32().map_err(told)? as usize;
    let data = r.bytes().map_err(told)?;
    let grey = |weights: [u32; 3]| -> Vec<u8> {
        let pixel = |p: &[u8]| {
            let sum: u32 = p.iter().zip(weights).map(|(&v, w)| u32::from(v) * w).sum();
            (sum / 256) as u8
        };
        data.chunks_exact(3).map(pixel).collect()
    };
    let colours = match encoding.as_str() {
        "mono8" | "8UC1" => 1,
        "rgb8" | "bgr8" => 3,
        other => {
            return Err(format!(
                "is an image of encoding {other:?}, expected mono8, rgb8 or bgr8"
            ));
        }
    };
    let fits =
        width.checked_mul(colours) == Some(step) && step.checked_mul(height) == Some(data.len());
    if !fits {
        return Err(format!(
            "is an image of {width} x {height} with rows of {step} and {} bytes, expected packed rows",
            data.len()
        ));
    }
    // Luminance by ITU-R BT.601.
    let levels = match encoding.as_str() {
        "rgb8" => grey([77, 150, 29]),
        "bgr8" => grey([29, 150, 77]),
        _ => data.to_vec(),
    };
    GrayImage::new(width, height, levels)
        .map(|image| (at, image))
        .ok_or_else(|| "is an image without pixels".to_string())
}

/// `sensor_msgs/CameraInfo` of the right camera of a rectified pair: `P[3] = −fx · baseline`.
///
/// # Errors
/// Why it cannot be used.
pub fn right_camera(bytes: &[u8]) -> Read<StereoCamera> {
    let mut r = Cdr::new(bytes).map_err(told)?;
    stamp(&mut r)?;
    let (height, width) = (
        r.u32().map_err(told)? as usize,
        r.u32().map_err(told)? as usize,
    );
    r.string().map_err(told)?;
    for _ in 0..r.length().map_err(told)? {
        r.f64().map_err(told)?;
    }
    r.f64s::<9>().map_err(told)?;
    r.f64s::<9>().map_err(told)?;
    let p: [f64; 12] = r.f64s().map_err(told)?;
    let baseline_m = -p[3] / p[0];
    if !(p[0] > 0.0 && p[5] > 0.0 && baseline_m > 0.0 && p.iter().all(|v| v.is_finite())) {
        return Err(format!(
            "has fx {}, fy {} and P[3] {}, expected those of the right camera of a rectified pair (-fx * baseline)",
            p[0], p[5], p[3]
        ));
    }
    Ok(StereoCamera {
        pinhole: Pinhole {
            width,
            height,
            fx: p[0],
            fy: p[5],
            cx: p[2],
            cy: p[6],
        },
        baseline_m,
    })
}

fn isometry(t: [f64; 3], [x, y, z, w]: [f64; 4]) -> Read<Isometry3<f64>> {
    let rotation = UnitQuaternion::try_new(Quaternion::new(w, x, y, z), 1e-6)
        .filter(|q| q.coords.iter().all(|v| v.is_finite()));
    match rotation {
        Some(rotation) if t.iter().all(|v| v.is_finite()) => Ok(Isometry3::from_parts(
            Translation3::new(t[0], t[1], t[2]),
            rotation,
        )),
        _ => Err("holds a pose that is none".to_string()),
    }
}

/// `geometry_msgs/PoseStamped`.
///
/// # Errors
/// Why it cannot be used.
pub fn pose(bytes: &[u8]) -> Read<(Stamp, Isometry3<f64>)> {
    let mut r = Cdr::new(bytes).map_err(told)?;
    let at = stamp(&mut r)?;
    let (t, q) = (r.f64s().map_err(told)?, r.f64s().map_err(told)?);
    Ok((at, isometry(t, q)?))
}

/// The pose in `nav_msgs/Odometry`.
///
/// # Errors
/// Why it cannot be used.
pub fn odometry(bytes: &[u8]) -> Read<(Stamp, Isometry3<f64>)> {
    let mut r = Cdr::new(bytes).map_err(told)?;
    let at = stamp(&mut r)?;
    r.string().map_err(told)?;
    let (t, q) = (r.f64s().map_err(told)?, r.f64s().map_err(told)?);
    Ok((at, isometry(t, q)?))
}
