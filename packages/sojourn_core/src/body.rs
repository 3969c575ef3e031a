//! The planet under the wheels: `config/bodies/<name>.yaml`.

use crate::{CoreError, error::in_range};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A body's figures that change a drive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Body {
    /// "mars", "moon", "earth".
    pub name: String,
    /// Gravity at the surface, m/s².
    pub gravity_mps2: f64,
    /// Radius of the reference sphere, metres.
    pub radius_m: f64,
    /// Surface pressure of the atmosphere, Pa (0 without one).
    pub atmosphere_pa: f64,
    /// One-way light time to the operators, seconds.
    pub light_time_s: f64,
}

impl Body {
    /// Reads and checks a body file.
    ///
    /// # Errors
    /// [`CoreError`] that names the file and the key.
    pub fn load(path: &Path) -> Result<Self, CoreError> {
        let body: Self = crate::params::load_yaml(path)?;
        body.check(&path.display().to_string())?;
        Ok(body)
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// [`CoreError::Value`] that names `what` and the key.
    pub fn check(&self, what: &str) -> Result<(), CoreError> {
        in_range(what, "gravity_mps2", self.gravity_mps2, 0.01, 30.0)?;
        in_range(what, "radius_m", self.radius_m, 1e3, 1e8)?;
        in_range(what, "atmosphere_pa", self.atmosphere_pa, 0.0, 1e7)?;
        in_range(what, "light_time_s", self.light_time_s, 0.0, 1e6)?;
        Ok(())
    }
}
