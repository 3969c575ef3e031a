//! The hard limits of a rover. An *unsafe event* is one contiguous excess of any of them in ground truth.

use crate::{CoreError, error::in_range};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Limits of attitude, suspension and motion. Degrees are for the file; the methods give radians.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Angle between body up and the local vertical, degrees.
    pub tilt_deg: f64,
    /// Half the difference of the rocker angles, degrees.
    pub differential_deg: f64,
    /// Bogie against rocker, degrees.
    pub bogie_deg: f64,
    /// Least distance from belly pan to ground, metres.
    pub clearance_m: f64,
    /// Greatest height difference of the ground under one wheel over the slope that the rover stands on, metres.
    pub wheel_drop_m: f64,
    /// Greatest slip, 0 to 1.
    pub slip: f64,
    /// Greatest rim speed of any wheel, m/s.
    pub wheel_speed_mps: f64,
}

/// How much of the limits a check may use: what is left is for what the check does not know.
///
/// Tilt has a share of its own: the ground under a whole rover is known far better than the ground under one wheel, so a
/// slope can be driven nearer to its limit than a rock. Clearance has one, too: its limit is a few centimetres, as much as a
/// map does not know of a stone's height, while the other limits are many times that.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Of every limit but tilt and clearance, 0 to 1.
    pub rest: f64,
    /// Of the tilt limit, 0 to 1.
    pub tilt: f64,
    /// What the clearance limit is of the clearance asked for, above 0 to 1: half of it asks for twice the limit.
    pub clearance: f64,
}

impl Share {
    /// The limits themselves.
    pub const WHOLE: Self = Self {
        rest: 1.0,
        tilt: 1.0,
        clearance: 1.0,
    };
}

impl From<f64> for Share {
    fn from(share: f64) -> Self {
        Self {
            rest: share,
            tilt: share,
            clearance: share,
        }
    }
}

impl Limits {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`CoreError::Value`] that names `what` and the key.
    pub fn check(&self, what: &str) -> Result<(), CoreError> {
        in_range(what, "limits.tilt_deg", self.tilt_deg, 1.0, 60.0)?;
        in_range(
            what,
            "limits.differential_deg",
            self.differential_deg,
            0.5,
            60.0,
        )?;
        in_range(what, "limits.bogie_deg", self.bogie_deg, 0.5, 80.0)?;
        in_range(what, "limits.clearance_m", self.clearance_m, 0.0, 2.0)?;
        in_range(what, "limits.wheel_drop_m", self.wheel_drop_m, 0.005, 3.0)?;
        in_range(what, "limits.slip", self.slip, 0.01, 1.0)?;
        in_range(
            what,
            "limits.wheel_speed_mps",
            self.wheel_speed_mps,
            0.001,
            10.0,
        )?;
        Ok(())
    }

    /// Tilt limit, radians.
    #[must_use]
    pub fn tilt_rad(&self) -> f64 {
        self.tilt_deg.to_radians()
    }

    /// Differential limit, radians.
    #[must_use]
    pub fn differential_rad(&self) -> f64 {
        self.differential_deg.to_radians()
    }

    /// Bogie limit, radians.
    #[must_use]
    pub fn bogie_rad(&self) -> f64 {
        self.bogie_deg.to_radians()
    }
}
