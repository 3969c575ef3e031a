//! Slip as a function of slope: what share of the wheels' way the ground takes back.

use crate::{CoreError, error::in_range};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `slip = base + coefficient · grade_deg^exponent` uphill; downhill the grade counts less.
///
/// The shape is the community's fit for Mars rovers (3 % on the flat, 22 % at 10°, 55 % at 15°); the numbers stand in
/// the rover's file.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlipModel {
    /// Slip on flat ground, 0 to 1.
    pub base: f64,
    /// Factor of the power law, per degree^exponent.
    pub coefficient: f64,
    /// Exponent of the power law.
    pub exponent: f64,
    /// Share of the uphill effect that is felt downhill.
    pub downhill_factor: f64,
    /// Sideways slip per radian of cross slope, metres per metre driven.
    pub lateral_per_rad: f64,
}

impl SlipModel {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`CoreError::Value`] that names `what` and the key.
    pub fn check(&self, what: &str) -> Result<(), CoreError> {
        in_range(what, "slip.base", self.base, 0.0, 0.5)?;
        in_range(what, "slip.coefficient", self.coefficient, 0.0, 0.1)?;
        in_range(what, "slip.exponent", self.exponent, 0.5, 5.0)?;
        in_range(what, "slip.downhill_factor", self.downhill_factor, 0.0, 1.0)?;
        in_range(what, "slip.lateral_per_rad", self.lateral_per_rad, 0.0, 1.0)?;
        Ok(())
    }

    /// Expected slip, 0 to 1, when the body's nose stands `pitch_rad` against the horizontal (REP-103: nose-down is
    /// positive) and the rover drives in the direction of `speed`'s sign.
    #[must_use]
    pub fn slip(&self, pitch_rad: f64, speed_sign: f64) -> f64 {
        let uphill_rad = -pitch_rad * if speed_sign < 0.0 { -1.0 } else { 1.0 };
        let factor = if uphill_rad < 0.0 {
            self.downhill_factor
        } else {
            1.0
        };
        let grade_deg = uphill_rad.abs().to_degrees();
        (self.base + factor * self.coefficient * grade_deg.powf(self.exponent)).clamp(0.0, 1.0)
    }

    /// Sideways creep, metres to the left per metre driven, for a roll (REP-103: right side down is positive).
    #[must_use]
    pub fn lateral(&self, roll_rad: f64) -> f64 {
        -self.lateral_per_rad * roll_rad
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_published_anchors() {
        let m = SlipModel {
            base: 0.03,
            coefficient: 0.0006,
            exponent: 2.5,
            downhill_factor: 0.3,
            lateral_per_rad: 0.2,
        };
        assert!((m.slip(-10f64.to_radians(), 1.0) - 0.22).abs() < 0.01);
        assert!((m.slip(-15f64.to_radians(), 1.0) - 0.55).abs() < 0.01);
        assert!(m.slip(10f64.to_radians(), 1.0) < m.slip(-10f64.to_radians(), 1.0));
        assert!((m.slip(10f64.to_radians(), -1.0) - 0.22).abs() < 0.01);
        // right side down: creeps to the right, which is negative y
        assert!(m.lateral(0.1) < 0.0);
    }
}
