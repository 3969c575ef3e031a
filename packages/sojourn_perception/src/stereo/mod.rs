//! From a rectified pair of images to depth with its uncertainty.
//!
//! [`Matcher`] (feature `opencv`) finds disparities by semi-global matching (Hirschmüller 2008, IEEE TPAMI 30(2)) in the
//! five-direction form of Debian's OpenCV; [`refine`] then moves each of them by what the brightness around it demands,
//! which removes the pull to whole pixels and tells the standard deviation; [`check`] says why a pair cannot be used.
//!
//! Pixels are counted from 0 at the centre of the upper left pixel; disparity is `u_left − u_right`, pixels, positive;
//! depth is `f·B / disparity` along the left optical axis.

pub mod check;
pub mod dirt;
pub mod epipolar;
mod files;
#[cfg(feature = "opencv")]
mod matcher;
pub mod refine;
#[cfg(feature = "opencv")]
mod stage;

pub use check::PairFault;
pub use files::{CameraFiles, rectified, rectified_colours};
#[cfg(feature = "opencv")]
pub use matcher::Matcher;
#[cfg(feature = "opencv")]
pub use stage::{Eye, Stage};

use crate::input::{DepthImage, DepthNoise};
use serde::Deserialize;
use sojourn_core::{CoreError, Stamp, camera::Pinhole, error::in_range};

/// An image of one eye, 8 bits per pixel.
#[derive(Clone, Debug, PartialEq)]
pub struct GreyImage {
    /// When it was taken.
    pub stamp: Stamp,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Brightness row by row from the top, 0 to 255.
    pub pixels: Vec<u8>,
}

/// A rectified pair of cameras: both are this pinhole, the right one stands `baseline_m` to the right of the left one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RectifiedPair {
    /// Intrinsics of both.
    pub camera: Pinhole,
    /// Distance between the two optical centres, metres.
    pub baseline_m: f64,
}

impl RectifiedPair {
    /// Depth times disparity, metre pixels.
    #[must_use]
    pub fn focal_baseline_m(&self) -> f64 {
        self.camera.fx * self.baseline_m
    }
}

/// How pairs are matched; the keys of the section `stereo` of the parameter file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StereoParams {
    /// Nearest depth that is looked for, metres: it sets how many disparities are tried.
    pub nearest_m: f64,
    /// Side of the square that is compared, pixels; odd.
    pub block_px: usize,
    /// Cost of a disparity that differs by one pixel from its neighbour's, levels.
    pub step_cost: i32,
    /// Cost of one that differs by more, levels.
    pub jump_cost: i32,
    /// How much better than the second best a disparity must be, percent.
    pub unique_percent: i32,
    /// Most by which matching from the right may differ from matching from the left, pixels.
    pub left_right_px: i32,
    /// Patches of fewer pixels than this are dropped.
    pub speckle_px: usize,
    /// Neighbours whose disparities differ by more belong to different patches, pixels.
    pub speckle_step_px: f64,
    /// Half the side of the square that a disparity is refined over, pixels.
    pub refine_px: usize,
    /// How often it is refined; 0 leaves what matching found.
    pub refine_rounds: usize,
    /// A refinement that moves a disparity further than this drops it, pixels.
    pub refine_most_px: f64,
    /// Root mean square of the horizontal gradient below which ground has too little texture, levels per pixel.
    pub texture_min: f64,
    /// Share of the square around a pixel that has to have its disparity within a pixel.
    pub support_min: f64,
    /// Standard deviation of a pixel's brightness that the camera adds, levels.
    pub noise_levels: f64,
    /// Standard deviation of a disparity that stays however much texture there is, pixels.
    pub sigma_floor_px: f64,
    /// Pairs with a smaller share of pixels with a disparity are refused.
    pub valid_min: f64,
    /// A frame with more than this share of black or of white pixels is refused.
    pub blind_share: f64,
    /// Most pairs that are matched in one tick; older ones are dropped and counted.
    pub pairs_per_tick: usize,
}

impl StereoParams {
    /// Checks the ranges; `what` names the file.
    ///
    /// # Errors
    /// [`CoreError::Value`] that names the key.
    pub fn check(&self, what: &str) -> Result<(), CoreError> {
        for (name, value, lo, hi) in [
            ("nearest_m", self.nearest_m, 0.05, 100.0),
            ("block_px", self.block_px as f64, 1.0, 31.0),
            ("step_cost", f64::from(self.step_cost), 0.0, 1e5),
            (
                "jump_cost",
                f64::from(self.jump_cost),
                f64::from(self.step_cost) + 1.0,
                1e6,
            ),
            ("unique_percent", f64::from(self.unique_percent), 0.0, 100.0),
            ("left_right_px", f64::from(self.left_right_px), 0.0, 16.0),
            ("speckle_px", self.speckle_px as f64, 0.0, 1e5),
            ("speckle_step_px", self.speckle_step_px, 0.1, 64.0),
            ("refine_px", self.refine_px as f64, 1.0, 15.0),
            ("refine_rounds", self.refine_rounds as f64, 0.0, 5.0),
            ("refine_most_px", self.refine_most_px, 0.05, 4.0),
            ("texture_min", self.texture_min, 0.0, 100.0),
            ("support_min", self.support_min, 0.0, 1.0),
            ("noise_levels", self.noise_levels, 0.0, 50.0),
            ("sigma_floor_px", self.sigma_floor_px, 0.001, 4.0),
            ("valid_min", self.valid_min, 0.0, 1.0),
            ("blind_share", self.blind_share, 0.01, 1.0),
            ("pairs_per_tick", self.pairs_per_tick as f64, 1.0, 12.0),
        ] {
            in_range(what, &format!("stereo.{name}"), value, lo, hi)?;
        }
        if self.block_px.is_multiple_of(2) {
            return Err(CoreError::value(
                what,
                "stereo.block_px",
                self.block_px,
                "an odd number",
            ));
        }
        Ok(())
    }
}

/// What matching a pair gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Disparity {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Disparity, pixels; not-a-number where there is none.
    pub pixels: Vec<f32>,
    /// Its standard deviation, pixels; not-a-number where there is none.
    pub sigma_px: Vec<f32>,
}

impl Disparity {
    /// Share of the pixels that have a disparity.
    #[must_use]
    pub fn valid_share(&self) -> f64 {
        let valid = self.pixels.iter().filter(|d| d.is_finite()).count();
        valid as f64 / self.pixels.len().max(1) as f64
    }

    /// The depth image of the left eye.
    #[must_use]
    pub fn into_depth(
        self,
        stamp: Stamp,
        pair: &RectifiedPair,
        params: &StereoParams,
    ) -> DepthImage {
        let fb = pair.focal_baseline_m() as f32;
        let depth = |&d: &f32| if d > 0.0 { fb / d } else { f32::NAN };
        DepthImage {
            stamp,
            width: self.width,
            height: self.height,
            depth_m: self.pixels.iter().map(depth).collect(),
            noise: DepthNoise::Matched {
                baseline_m: pair.baseline_m,
                sigma_px: self.sigma_px,
                together: ((2 * params.refine_px + 1) as f64).powi(2),
            },
        }
    }
}
