//! What a mission allows: the file behind `--mission`.

use crate::{CoreError, error::in_range, geometry::Xy, plan::Mode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Constraints of a drive, as a person writes them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Constraints {
    /// Name, for people.
    pub name: String,
    /// Steepest ground the route may cross, degrees.
    pub max_slope_deg: f64,
    /// Greatest standard deviation of the ground about its plane, metres.
    pub max_roughness_m: f64,
    /// Weight of slope in the route's cost.
    pub slope_weight: f64,
    /// Weight of roughness in the route's cost.
    pub roughness_weight: f64,
    /// Usual length of a segment, metres.
    pub segment_nominal_m: f64,
    /// Least length of a segment, metres.
    pub segment_min_m: f64,
    /// Greatest length of a segment, metres.
    pub segment_max_m: f64,
    /// Half the width of the corridor the rover has to stay in, metres.
    pub corridor_half_width_m: f64,
    /// Tolerance of a waypoint on the way, metres.
    pub waypoint_tolerance_m: f64,
    /// Tolerance of the goal, metres.
    pub goal_tolerance_m: f64,
    /// Distance kept from the map's edge and from holes in the data, metres.
    pub edge_margin_m: f64,
    /// Polygons in `map` metres that the route may not enter.
    pub keep_out: Vec<Vec<Xy>>,
    /// Polygons in `map` metres that the route stays in; none means everywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keep_in: Vec<Vec<Xy>>,
    /// Longest drive, seconds at `speed_share` of the cruise speed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_drive_s: Option<f64>,
    /// Share of the cruise speed that time-outs are computed with.
    pub speed_share: f64,
    /// Time-out of a segment in multiples of its expected time.
    pub timeout_factor: f64,
    /// Mode of the segments.
    pub default_mode: Mode,
}

impl Constraints {
    /// Reads and checks a constraints file.
    ///
    /// # Errors
    /// [`CoreError`] that names the file and the key.
    pub fn load(path: &Path) -> Result<Self, CoreError> {
        let c: Self = crate::params::load_yaml(path)?;
        c.check(&path.display().to_string())?;
        Ok(c)
    }

    /// Reads and checks constraints from YAML text; `what` names it in messages.
    ///
    /// # Errors
    /// [`CoreError`] that names the key.
    pub fn parse(what: &str, text: &str) -> Result<Self, CoreError> {
        let c: Self = crate::params::parse_yaml(what, text)?;
        c.check(what)?;
        Ok(c)
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// [`CoreError::Value`] that names `what` and the key.
    pub fn check(&self, what: &str) -> Result<(), CoreError> {
        in_range(what, "max_slope_deg", self.max_slope_deg, 0.1, 45.0)?;
        in_range(what, "max_roughness_m", self.max_roughness_m, 0.001, 10.0)?;
        in_range(what, "slope_weight", self.slope_weight, 0.0, 1e3)?;
        in_range(what, "roughness_weight", self.roughness_weight, 0.0, 1e3)?;
        in_range(what, "segment_min_m", self.segment_min_m, 0.2, 12.0)?;
        in_range(
            what,
            "segment_max_m",
            self.segment_max_m,
            self.segment_min_m,
            12.0,
        )?;
        in_range(
            what,
            "segment_nominal_m",
            self.segment_nominal_m,
            self.segment_min_m,
            self.segment_max_m,
        )?;
        in_range(
            what,
            "corridor_half_width_m",
            self.corridor_half_width_m,
            0.5,
            100.0,
        )?;
        in_range(
            what,
            "waypoint_tolerance_m",
            self.waypoint_tolerance_m,
            0.05,
            10.0,
        )?;
        in_range(what, "goal_tolerance_m", self.goal_tolerance_m, 0.05, 10.0)?;
        in_range(what, "edge_margin_m", self.edge_margin_m, 0.0, 1e3)?;
        in_range(what, "speed_share", self.speed_share, 0.01, 1.0)?;
        in_range(what, "timeout_factor", self.timeout_factor, 1.0, 100.0)?;
        if let Some(s) = self.max_drive_s {
            in_range(what, "max_drive_s", s, 1.0, 1e8)?;
        }
        for (key, polygons) in [("keep_out", &self.keep_out), ("keep_in", &self.keep_in)] {
            for (i, polygon) in polygons.iter().enumerate() {
                if polygon.len() < 3 || polygon.iter().flatten().any(|v| !v.is_finite()) {
                    return Err(CoreError::value(
                        what,
                        format!("{key}[{i}]"),
                        format!("{polygon:?}"),
                        "at least three points [x, y] of finite metres",
                    ));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_mission_is_right() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/mission.yaml");
        let c = Constraints::load(&path).unwrap();
        assert!((c.segment_nominal_m - 10.0).abs() < 1e-9);
        let mut bad = c;
        bad.keep_out = vec![vec![[0.0, 0.0], [f64::NAN, 1.0], [2.0, 2.0]]];
        assert!(
            bad.check("m.yaml")
                .unwrap_err()
                .to_string()
                .contains("keep_out[0]")
        );
    }
}
