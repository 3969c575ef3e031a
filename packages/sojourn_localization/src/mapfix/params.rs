//! `config/mapfix.yaml`.

use serde::Deserialize;
use sojourn_core::{CoreError, error::in_range, files};
use std::path::Path;

/// What the matcher and its gate go by.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapFixParams {
    /// Half a side of the square around the prior that is searched, metres.
    pub search_m: f64,
    /// Headings are searched this far to both sides, degrees.
    pub search_yaw_deg: f64,
    /// Distance of the headings of the coarse search, degrees.
    pub yaw_step_deg: f64,
    /// Places that are looked at closely.
    pub candidates: usize,
    /// Contrast that counts as "about the same", over the contrast's deviation.
    pub dead_band: f64,
    /// How well the image is registered to `map`, one standard deviation, metres: the fix's covariance holds it.
    pub map_sigma_m: f64,
    /// Least area seen, square metres.
    pub least_seen_m2: f64,
    /// Least share of the searched map with an image.
    pub least_map_share: f64,
    /// Least deviation of the contrast (a share of the brightness) of a map that can be matched.
    pub least_contrast: f64,
    /// Least score.
    pub least_score: f64,
    /// Least distance of the score from chance, in deviations of the scores of the whole search.
    pub least_significance: f64,
    /// Least excess over chance of the best place over the second best.
    pub least_peak_ratio: f64,
    /// Least share of places that agree.
    pub least_inlier_share: f64,
    /// Greatest distance of the two halves' peaks near the fix, metres.
    pub greatest_halves_gap_m: f64,
    /// Greatest distance of each half's best place in the whole search from the fix, metres.
    pub greatest_halves_off_m: f64,
    /// Greatest deviation of the position, metres.
    pub greatest_sigma_m: f64,
    /// Half a side of the square in which the map's relief is tied to its image, metres.
    pub tie_m: f64,
    /// Least correlation of the view's slopes with the map's, where the relief says the place.
    pub least_shape: f64,
    /// Least distance of that correlation from chance, in deviations of the whole search (of Fisher's z).
    pub least_shape_significance: f64,
    /// By how many of them it must stand above every other place.
    pub least_shape_lead: f64,
    /// Greatest squared Mahalanobis distance (three degrees of freedom) from the filter's prior.
    pub greatest_prior_chi2: f64,
}

impl MapFixParams {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`CoreError`] that names the file and the key.
    pub fn load(path: &Path) -> Result<Self, CoreError> {
        let what = path.display().to_string();
        let text = files::read_text(path, 1 << 20)?;
        let params: Self =
            serde_yaml::from_str(&text).map_err(|e| CoreError::format(&what, e.to_string()))?;
        params.check(&what)?;
        Ok(params)
    }

    /// Checks every value; `what` names the document.
    ///
    /// # Errors
    /// [`CoreError::Value`] that names the key.
    pub fn check(&self, what: &str) -> Result<(), CoreError> {
        let range = |name: &str, v: f64, lo: f64, hi: f64| in_range(what, name, v, lo, hi);
        range("search_m", self.search_m, 2.0, 200.0)?;
        range("search_yaw_deg", self.search_yaw_deg, 0.0, 20.0)?;
        range("yaw_step_deg", self.yaw_step_deg, 0.25, 5.0)?;
        range("candidates", self.candidates as f64, 2.0, 50.0)?;
        range("dead_band", self.dead_band, 0.0, 3.0)?;
        range("map_sigma_m", self.map_sigma_m, 0.0, 10.0)?;
        range("least_seen_m2", self.least_seen_m2, 10.0, 2000.0)?;
        range("least_map_share", self.least_map_share, 0.1, 1.0)?;
        range("least_contrast", self.least_contrast, 0.0, 1.0)?;
        range("least_score", self.least_score, 0.0, 1.0)?;
        range("least_significance", self.least_significance, 0.0, 100.0)?;
        range("least_peak_ratio", self.least_peak_ratio, 1.0, 100.0)?;
        range("least_inlier_share", self.least_inlier_share, 0.0, 1.0)?;
        range(
            "greatest_halves_gap_m",
            self.greatest_halves_gap_m,
            0.1,
            5.0,
        )?;
        range(
            "greatest_halves_off_m",
            self.greatest_halves_off_m,
            0.5,
            20.0,
        )?;
        range("greatest_sigma_m", self.greatest_sigma_m, 0.05, 10.0)?;
        range("tie_m", self.tie_m, 20.0, 200.0)?;
        range("least_shape", self.least_shape, 0.1, 1.0)?;
        range(
            "least_shape_significance",
            self.least_shape_significance,
            0.0,
            100.0,
        )?;
        range("least_shape_lead", self.least_shape_lead, 0.0, 100.0)?;
        range("greatest_prior_chi2", self.greatest_prior_chi2, 1.0, 1e6)?;
        Ok(())
    }
}
