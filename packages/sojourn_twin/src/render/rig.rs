//! A pair of cameras and the rays of their pixels.

use nalgebra::{Isometry3, Rotation3, Translation3, UnitQuaternion, Vector3};
use rayon::prelude::*;
use sojourn_core::{
    camera::{CameraModel, Projection},
    rover::Rover,
};

/// Two cameras; each model in its own optical frame.
#[derive(Clone, Debug, PartialEq)]
pub struct StereoRig {
    /// The left camera.
    pub left: CameraModel,
    /// The right camera.
    pub right: CameraModel,
    /// Where the right optical frame stands in the left one.
    pub left_from_right: Isometry3<f64>,
}

impl StereoRig {
    /// The rover's rectified pair: two ideal cameras, the right one its baseline to the right.
    #[must_use]
    pub fn rectified(rover: &Rover) -> Self {
        Self::beside(rover.navcam_pinhole().into(), rover.navcam.baseline_m)
    }

    /// A camera and its twin, `baseline_m` to the right. The model is taken in its own optical frame.
    #[must_use]
    pub fn beside(camera: CameraModel, baseline_m: f64) -> Self {
        let (own, _) = camera.in_optical_frame();
        Self {
            left: own,
            right: own,
            left_from_right: Isometry3::translation(baseline_m, 0.0, 0.0),
        }
    }

    /// A pair of models in one frame, as two labels of one rover give them.
    #[must_use]
    pub fn of(left: &CameraModel, right: &CameraModel) -> Self {
        let (left, frame_from_left) = left.in_optical_frame();
        let (right, frame_from_right) = right.in_optical_frame();
        Self {
            left,
            right,
            left_from_right: frame_from_left.inverse() * frame_from_right,
        }
    }
}

/// A pixel's ray in the optical frame: direction of depth 1 and start.
#[derive(Clone, Debug)]
pub struct Rays {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Directions with z = 1; not-a-number without a ray.
    pub direction: Vec<[f32; 3]>,
    /// Starts, metres; empty when all are the origin.
    pub start: Vec<[f32; 3]>,
    /// Most that a start lies off the origin, metres.
    pub pad_m: f64,
    /// Longest direction.
    pub longest: f64,
    /// Angle between neighbouring pixels in the middle, radians.
    pub pixel_rad: f64,
}

impl Rays {
    /// The rays of a camera's pixels. What looks more than 80° off the axis is left black.
    #[must_use]
    pub fn new(camera: &CameraModel) -> Self {
        let (width, height) = (camera.width, camera.height);
        let rays: Vec<_> = (0..width * height)
            .into_par_iter()
            .map(|k| {
                let ray = camera.ray([(k % width) as f64, (k / width) as f64]);
                ray.filter(|r| r.direction.z > 0.17).map(|r| {
                    let d = r.direction / r.direction.z;
                    (d, r.origin)
                })
            })
            .collect();
        let f32s = |v: &Vector3<f64>| [v.x as f32, v.y as f32, v.z as f32];
        let moves = matches!(&camera.projection, Projection::Cahv(_));
        let starts = rays.iter().flatten().map(|(_, o)| o.norm());
        let pad_m = starts.fold(0.0, f64::max);
        let longest = rays.iter().flatten().map(|(d, _)| d.norm());
        let middle = [0.5 * width as f64, 0.5 * height as f64];
        let pixel_rad = match (camera.ray(middle), camera.ray([middle[0] + 1.0, middle[1]])) {
            (Some(a), Some(b)) => a.direction.angle(&b.direction),
            _ => 1e-3,
        };
        Self {
            width,
            height,
            direction: rays
                .iter()
                .map(|r| r.as_ref().map_or([f32::NAN; 3], |(d, _)| f32s(d)))
                .collect(),
            start: if moves && pad_m > 1e-6 {
                rays.iter()
                    .map(|r| r.as_ref().map_or([0.0; 3], |(_, o)| f32s(o)))
                    .collect()
            } else {
                Vec::new()
            },
            pad_m: if moves { pad_m } else { 0.0 },
            longest: longest.fold(1.0, f64::max),
            pixel_rad,
        }
    }
}

/// The optical frame of a camera that looks along a heading: `down_rad` below the horizon, `yaw_rad` counter-clockwise
/// from east, at a place. For pictures without a rover.
#[must_use]
pub fn look(eye_m: [f64; 3], yaw_rad: f64, down_rad: f64) -> Isometry3<f64> {
    let flu_from_optical = Rotation3::from_matrix_unchecked(nalgebra::Matrix3::new(
        0.0, 0.0, 1.0, -1.0, 0.0, 0.0, 0.0, -1.0, 0.0,
    ));
    let turn = Rotation3::from_euler_angles(0.0, down_rad, yaw_rad);
    Isometry3::from_parts(
        Translation3::new(eye_m[0], eye_m[1], eye_m[2]),
        UnitQuaternion::from_rotation_matrix(&(turn * flu_from_optical)),
    )
}
