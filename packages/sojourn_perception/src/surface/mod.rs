//! Terrain classes on the ground: what the pixels of an image say of the cells that they show.
//!
//! [`Looker`] chooses the left images that the network is asked about, [`Beside`] asks it on a thread of its own;
//! [`SurfaceMap`] brings the probabilities of their
//! pixels down to cells by the depth of the same image and keeps a mean over views in which newer ones count more. A cell
//! has a class only where it was seen, where the heights still say what they said then, and where the mean is decided:
//! elsewhere nothing is said, which planners take as they take ground without classes.

mod beside;
mod looker;
mod map;
mod slip;

pub use beside::{Beside, Taken};
pub use looker::{Looker, Looks, Question, Said};
pub use map::{ClassLayers, SurfaceMap};
pub use slip::{forecast, slip};

use crate::{classes::net::CLASSES, config::Config, input::DepthImage};
use nalgebra::Isometry3;
use sojourn_core::{Stamp, camera::Pinhole};

/// Class probabilities of the pixels of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassedImage {
    /// When the image was taken.
    pub stamp: Stamp,
    /// Columns and rows of the camera's image.
    pub size: [usize; 2],
    /// Side of the square of the camera's pixels that share one answer.
    pub block: usize,
    /// Columns and rows of the answer; the right and lower margin of the image may have none.
    pub answers: [usize; 2],
    /// Probabilities of soil, bedrock, sand and big rock, row by row from the top.
    pub probabilities: Vec<[f32; CLASSES]>,
    /// What they are multiplied with before the greatest decides.
    pub decision: [f32; CLASSES],
}

impl ClassedImage {
    /// Whether the numbers fit together.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let [cols, rows] = self.answers;
        cols.checked_mul(rows) == Some(self.probabilities.len())
            && self.block > 0
            && cols.saturating_mul(self.block) <= self.size[0]
            && rows.saturating_mul(self.block) <= self.size[1]
            && self.decision.iter().all(|d| d.is_finite() && *d > 0.0)
    }

    /// The answer for a pixel of the camera's image.
    #[must_use]
    pub fn at(&self, col: usize, row: usize) -> Option<[f32; CLASSES]> {
        let (c, r) = (col / self.block.max(1), row / self.block.max(1));
        if c >= self.answers[0] {
            return None;
        }
        let p = *self.probabilities.get(r * self.answers[0] + c)?;
        p.iter().all(|v| (0.0..=1.0).contains(v)).then_some(p)
    }
}

/// A depth image that went into the grid, with where it was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// The image.
    pub image: DepthImage,
    /// Its camera.
    pub camera: Pinhole,
    /// Where the camera stood.
    pub odom_from_camera: Isometry3<f64>,
    /// Where the rover stood.
    pub odom_from_base: Isometry3<f64>,
}

impl View {
    /// The depth of a pixel that may be used, metres.
    #[must_use]
    pub fn depth_m(&self, col: usize, row: usize, config: &Config) -> Option<f64> {
        let z = f64::from(*self.image.depth_m.get(row * self.image.width + col)?);
        (z >= config.params.range_min_m && z <= config.range_max_m).then_some(z)
    }
}
