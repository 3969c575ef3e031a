//! What a mission allows: the file behind `--mission`.

use crate::{
    CoreError,
    error::in_range,
    freshness::Freshness,
    geometry::{Xy, distance_m},
    plan::Mode,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Most stops of a mission.
const MAX_STOPS: usize = 40;

/// A place that the drive visits on its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// Name, for people.
    pub name: String,
    /// Where, `map` metres.
    pub at_m: Xy,
    /// How near is there, metres.
    pub tolerance_m: f64,
}

/// What a drive may take from the battery.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnergyBudget {
    /// Most energy of the drive, watt hours.
    pub most_wh: f64,
    /// Mean power while driving, everything on board counted, watts.
    pub driving_w: f64,
}

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
    /// Distance that the middle of the rover keeps from ground that is too steep or too rough, metres.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clearance_m: Option<f64>,
    /// Where the drive begins, `map` metres; a start that is asked for comes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_m: Option<Xy>,
    /// Where it ends, `map` metres; a goal that is asked for comes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal_m: Option<Xy>,
    /// Places to visit on the way, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stops: Vec<Stop>,
    /// What the drive may take from the battery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy: Option<EnergyBudget>,
    /// The day of the drive and how long the layers of the map hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freshness: Option<Freshness>,
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
        self.check_places(what)?;
        if let Some(m) = self.clearance_m {
            in_range(what, "clearance_m", m, 0.0, 100.0)?;
        }
        if let Some(e) = &self.energy {
            in_range(what, "energy.most_wh", e.most_wh, 0.001, 1e6)?;
            in_range(what, "energy.driving_w", e.driving_w, 0.001, 1e5)?;
        }
        if let Some(f) = &self.freshness {
            f.check(what)?;
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

    /// Start, goal and stops: finite, on a planet, stops apart from one another.
    fn check_places(&self, what: &str) -> Result<(), CoreError> {
        let mut places: Vec<(String, Xy)> = Vec::new();
        if let Some(p) = self.start_m {
            places.push(("start_m".into(), p));
        }
        if self.stops.len() > MAX_STOPS {
            return Err(CoreError::value(
                what,
                "stops",
                format!("a list of {}", self.stops.len()),
                format!("at most {MAX_STOPS}"),
            ));
        }
        for (i, stop) in self.stops.iter().enumerate() {
            if stop.name.trim().is_empty() || stop.name.chars().count() > 80 {
                return Err(CoreError::value(
                    what,
                    format!("stops[{i}].name"),
                    &stop.name,
                    "a name of 1 to 80 characters",
                ));
            }
            let key = format!("stops[{i}].tolerance_m");
            in_range(what, &key, stop.tolerance_m, 0.05, 10.0)?;
            places.push((format!("stops[{i}].at_m"), stop.at_m));
        }
        if let Some(p) = self.goal_m {
            places.push(("goal_m".into(), p));
        }
        for (key, p) in &places {
            in_range(what, &format!("{key}[0]"), p[0], -1e7, 1e7)?;
            in_range(what, &format!("{key}[1]"), p[1], -1e7, 1e7)?;
        }
        for w in places.windows(2) {
            let apart_m = distance_m(w[0].1, w[1].1);
            if apart_m < self.segment_min_m {
                return Err(CoreError::value(
                    what,
                    &w[1].0,
                    format!("{:?}", w[1].1),
                    format!(
                        "a place at least segment_min_m {} m from {}, it is {apart_m:.2} m",
                        self.segment_min_m, w[0].0
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Start, stops and goal in order.
    #[must_use]
    pub fn way_points(&self, start_m: Xy, goal_m: Xy) -> Vec<Xy> {
        std::iter::once(start_m)
            .chain(self.stops.iter().map(|s| s.at_m))
            .chain(std::iter::once(goal_m))
            .collect()
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

    #[test]
    fn a_mission_file_is_read_or_refused_in_one_sentence() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/missions");
        let mut read = 0;
        for entry in std::fs::read_dir(&dir).unwrap() {
            let c = Constraints::load(&entry.unwrap().path()).unwrap();
            assert!(c.start_m.is_some() && c.goal_m.is_some() && c.freshness.is_some());
            read += 1;
        }
        assert!(read >= 2, "{read}");
        let text = std::fs::read_to_string(dir.join("generated_world.yaml")).unwrap();
        let said = |from: &str, to: &str| {
            assert!(text.contains(from), "{from}");
            let bad = text.replacen(from, to, 1);
            Constraints::parse("m.yaml", &bad).unwrap_err().to_string()
        };
        for (from, to, word) in [
            ("clearance_m: 2.0", "clearance_m: .nan", "clearance_m"),
            ("clearance_m: 2.0", "clearance_n: 2.0", "clearance_n"),
            ("start_m: [", "start_m: [.inf, ", "start_m"),
            (
                "tolerance_m: 1.5",
                "tolerance_m: -1.5",
                "stops[0].tolerance_m",
            ),
            ("most_wh: ", "most_wh: -", "energy.most_wh"),
            ("day: \"20", "day: \"20x", "freshness.day"),
            (
                "stale_weight: ",
                "stale_weight: -",
                "freshness.stale_weight",
            ),
        ] {
            let message = said(from, to);
            assert!(message.contains(word), "{message}");
        }
    }
}
