//! Parameters of visual odometry, as `visual_odometry` of `config/localization.param.yaml` gives them.

use serde::Deserialize;
use sojourn_core::{CoreError, error::in_range};

/// The keys.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoParams {
    /// Side of the cells that corners are spread over, pixels, in an image 640 wide; in others in proportion
    /// ([`VoParams::cell_of`]), so that small images have as many features.
    pub cell_px: usize,
    /// Corners of a cell at most.
    pub per_cell: usize,
    /// Least strength of a corner (smaller eigenvalue of the mean structure tensor), grey levels² per pixel².
    pub least_corner: f64,
    /// Least standard deviation of an image, grey levels.
    pub least_contrast: f64,
    /// Least disparity of a feature, pixels: what is farther says nothing of the way.
    pub least_disparity_px: f64,
    /// Greatest disparity that is looked for, pixels.
    pub most_disparity_px: f64,
    /// Nothing is nearer than this, metres.
    pub least_depth_m: f64,
    /// Least normalised correlation of a match.
    pub least_score: f64,
    /// Most that the second best place may have of the best one's correlation.
    pub rival_share: f64,
    /// What a match is wrong by at least (standard deviation), pixels: what the patches' model leaves out.
    pub match_sigma_px: f64,
    /// A match of a greater standard deviation is not used, pixels.
    pub worst_sigma_px: f64,
    /// Least features with depth that make a key pair.
    pub least_features: usize,
    /// Features of the coarse search.
    pub coarse_features: usize,
    /// Of them at least so many have to agree.
    pub least_coarse: usize,
    /// How far around the coarse motion's place a feature is looked for, pixels.
    pub fine_px: usize,
    /// Draws of RANSAC.
    pub ransac_tries: usize,
    /// Least inliers of a motion.
    pub least_inliers: usize,
    /// And least share of the matches.
    pub least_inlier_share: f64,
    /// Greatest residual of the inliers per degree of freedom.
    pub worst_residual: f64,
    /// Greatest standard deviation of the motion, metres.
    pub worst_sigma_m: f64,
    /// How far beside the wheels' way (left, right, up, down) the motion may lie, metres.
    pub aside_m: f64,
    /// And this share of the way.
    pub aside_share: f64,
    /// How far the motion's rotation may lie from the gyro's, radians.
    pub most_turn_error_rad: f64,
    /// Pairs whose cameras are turned farther against each other are not compared, radians.
    pub most_turn_rad: f64,
    /// Pairs that are farther apart by the wheels' way are not compared, metres.
    pub most_way_m: f64,
    /// A pair this far from the key pair becomes the key pair, metres.
    pub keyframe_m: f64,
    /// Or turned this far, radians.
    pub keyframe_rad: f64,
    /// Or when less than this share of the key pair's features agree.
    pub keyframe_share: f64,
}

/// Width of the images that `cell_px` is said for.
const CELL_WIDTH_PX: usize = 640;
/// Cells are not smaller than this, pixels: neighbouring corners would show the same.
const LEAST_CELL_PX: usize = 8;

impl VoParams {
    /// Side of the cells in an image of this width, pixels.
    #[must_use]
    pub fn cell_of(&self, width_px: usize) -> usize {
        (self.cell_px.saturating_mul(width_px) / CELL_WIDTH_PX).max(LEAST_CELL_PX)
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// [`CoreError::Value`] that names the key.
    pub fn check(&self) -> Result<(), CoreError> {
        for (name, value, lo, hi) in [
            ("cell_px", self.cell_px as f64, 8.0, 256.0),
            ("per_cell", self.per_cell as f64, 1.0, 64.0),
            ("least_corner", self.least_corner, 0.0, 1e4),
            ("least_contrast", self.least_contrast, 0.0, 128.0),
            ("least_disparity_px", self.least_disparity_px, 0.5, 100.0),
            (
                "most_disparity_px",
                self.most_disparity_px,
                self.least_disparity_px,
                1000.0,
            ),
            ("least_depth_m", self.least_depth_m, 0.01, 100.0),
            ("least_score", self.least_score, 0.0, 1.0),
            ("rival_share", self.rival_share, 0.0, 1.0),
            ("match_sigma_px", self.match_sigma_px, 0.0, 2.0),
            ("worst_sigma_px", self.worst_sigma_px, 0.01, 10.0),
            ("least_features", self.least_features as f64, 6.0, 1e5),
            ("coarse_features", self.coarse_features as f64, 6.0, 1e5),
            ("least_coarse", self.least_coarse as f64, 4.0, 1e5),
            ("fine_px", self.fine_px as f64, 1.0, 50.0),
            ("ransac_tries", self.ransac_tries as f64, 1.0, 1e5),
            ("least_inliers", self.least_inliers as f64, 6.0, 1e5),
            ("least_inlier_share", self.least_inlier_share, 0.0, 1.0),
            ("worst_residual", self.worst_residual, 0.5, 100.0),
            ("worst_sigma_m", self.worst_sigma_m, 1e-4, 10.0),
            ("aside_m", self.aside_m, 0.0, 10.0),
            ("aside_share", self.aside_share, 0.0, 2.0),
            ("most_turn_error_rad", self.most_turn_error_rad, 1e-4, 3.2),
            ("most_turn_rad", self.most_turn_rad, 0.01, 3.2),
            ("most_way_m", self.most_way_m, 0.01, 100.0),
            ("keyframe_m", self.keyframe_m, 0.0, 100.0),
            ("keyframe_rad", self.keyframe_rad, 0.0, 3.2),
            ("keyframe_share", self.keyframe_share, 0.0, 1.0),
        ] {
            let what = "parameters of localization: visual_odometry";
            in_range(what, name, value, lo, hi)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn images_of_any_width_have_as_many_cells() {
        let p = crate::vo::tests::params();
        for width_px in [320, 640, 1280] {
            assert_eq!(
                width_px / p.cell_of(width_px),
                640 / p.cell_px,
                "{width_px}"
            );
        }
        assert_eq!(p.cell_of(40), super::LEAST_CELL_PX);
    }
}
