//! A rectified pair, and points in it that are seen by both eyes.

use super::{
    image::GrayImage,
    patch::{RADIUS, Scratch, Template, Window},
};
use nalgebra::{Isometry3, Matrix2, Vector3};
use sojourn_core::camera::Pinhole;

/// The cameras of a rectified pair: alike, the right one beside the left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StereoCamera {
    /// Intrinsics of both.
    pub pinhole: Pinhole,
    /// Distance of the right camera along the left one's x axis, metres.
    pub baseline_m: f64,
}

impl StereoCamera {
    /// Point in the left optical frame from pixel and disparity (pixels), metres.
    #[must_use]
    pub fn point(&self, u: f64, v: f64, disparity_px: f64) -> Vector3<f64> {
        self.pinhole.ray(u, v) * (self.pinhole.fx * self.baseline_m / disparity_px)
    }

    /// Column, row and disparity of a point, pixels; `None` behind the camera.
    #[must_use]
    pub fn project(&self, point: &Vector3<f64>) -> Option<Vector3<f64>> {
        let [u, v] = self.pinhole.project(*point)?;
        Some(Vector3::new(
            u,
            v,
            self.pinhole.fx * self.baseline_m / point.z,
        ))
    }
}

/// A rectified pair of images and where its left camera stood.
#[derive(Clone, Debug, PartialEq)]
pub struct StereoPair {
    /// Left image.
    pub left: GrayImage,
    /// Right image, rows aligned with the left one's.
    pub right: GrayImage,
    /// The cameras.
    pub camera: StereoCamera,
    /// Where the left optical frame stood in `base_link`.
    pub base_link_from_navcam: Isometry3<f64>,
}

/// The plane that the wheels stand on, as the left camera sees it: `normal · X = height`, X in the optical frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroundPlane {
    /// Unit vector up, in the optical frame.
    pub up: Vector3<f64>,
    /// Height of the camera over the plane, metres.
    pub height_m: f64,
}

impl GroundPlane {
    /// The plane z = 0 of `base_link`.
    #[must_use]
    pub fn of(base_link_from_navcam: &Isometry3<f64>) -> Self {
        Self {
            up: base_link_from_navcam.rotation.inverse() * Vector3::z(),
            height_m: base_link_from_navcam.translation.z,
        }
    }

    /// How the disparity of ground changes from column to column and from row to row, pixels per pixel. On a plane it is
    /// the same everywhere.
    #[must_use]
    pub fn disparity_slope(&self, camera: &StereoCamera) -> [f64; 2] {
        // 1 / Z = −up · ray / height
        let p = &camera.pinhole;
        let share = -camera.baseline_m * p.fx / self.height_m.max(0.1);
        [share * self.up.x / p.fx, share * self.up.y / p.fy]
    }
}

/// What both eyes see of a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sight {
    /// Column in the left image.
    pub u: f64,
    /// Row in the left image.
    pub v: f64,
    /// Disparity, pixels.
    pub disparity_px: f64,
    /// Its variance, pixels².
    pub disparity_var: f64,
}

/// What makes a match of two patches believable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MatchGate {
    /// Least normalised correlation.
    pub score: f32,
    /// Most that the second best place may have of the best one's correlation.
    pub rival_share: f32,
    /// Standard deviation that no match goes below, pixels.
    pub sigma_px: f64,
    /// A match of a greater standard deviation is no match, pixels.
    pub worst_sigma_px: f64,
}

/// Disparity of the left pixel `(u, v)` within the range, checked from right to left when `back` is set.
#[must_use]
pub fn disparity(
    pair: &StereoPair,
    (u, v): (usize, usize),
    range_px: [f64; 2],
    slope: [f64; 2],
    gate: &MatchGate,
    back: bool,
    s: &mut Scratch,
) -> Option<Sight> {
    // Right offset x' = x − slope·(x, y): the patch is sheared from eye to eye.
    let stretch = 1.0 / (1.0 - slope[0]).clamp(0.5, 2.0);
    let shear = Matrix2::new(stretch, slope[1] * stretch, 0.0, 1.0);
    let template = Template::new(&pair.left, u as f64, v as f64, &shear)?;
    let row = v as i64;
    let column = u as i64;
    let window = Window {
        u_min: column - range_px[1].ceil() as i64,
        u_max: column - range_px[0].floor() as i64,
        v_min: row,
        v_max: row,
    };
    let peak = template.search(&pair.right, window, s)?;
    if !(peak.score >= gate.score && peak.rival <= gate.rival_share * peak.score) {
        return None;
    }
    if back {
        let unshear = shear.try_inverse()?;
        let template = Template::new(&pair.right, peak.u as f64, v as f64, &unshear)?;
        let at = peak.u as i64;
        let window = Window {
            u_min: at + range_px[0].floor() as i64,
            u_max: at + range_px[1].ceil() as i64,
            v_min: row,
            v_max: row,
        };
        let again = template.search(&pair.left, window, s)?;
        if again.u.abs_diff(u) > 1 {
            return None;
        }
    }
    let place = template.refine_along_row(&pair.right, peak.u as f64, v as f64)?;
    let disparity_px = u as f64 - place.u;
    let disparity_var = place.covariance[(0, 0)] + gate.sigma_px * gate.sigma_px;
    let good = place.score >= gate.score
        && disparity_px >= range_px[0]
        && disparity_var <= gate.worst_sigma_px * gate.worst_sigma_px;
    good.then_some(Sight {
        u: u as f64,
        v: v as f64,
        disparity_px,
        disparity_var,
    })
}

/// Pixels from the border that a patch needs.
pub const BORDER_PX: usize = RADIUS + 3;
