//! The file of a sweep.

use crate::{
    closed_loop::{FaultPlan, Sensing, VisualOdometry},
    orbit::OrbitalView,
    scene::{Direction, SceneParams},
};
use serde::{Deserialize, Serialize};
use sojourn_core::{CoreError, error::in_range, params::load_yaml};
use std::{collections::BTreeMap, path::Path};

/// Most runs of a sweep.
pub const MAX_RUNS: u64 = 10_000_000;

/// A planner that takes part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannerEntry {
    /// Its name in tables.
    pub name: String,
    /// Seeds in each cell, from the first on.
    pub seeds: u64,
    /// Keys of `autonav.param.yaml` that differ from the shipped file.
    pub autonav: BTreeMap<String, serde_json::Value>,
}

/// Runs of the first planner in which something goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultEntry {
    /// Its name in tables.
    pub name: String,
    /// Seeds in each cell, from the first on.
    pub seeds: u64,
    /// What goes wrong.
    pub plan: FaultPlan,
}

/// The cells: every CFA with every slope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cells {
    /// Golombek's k, 0 to 0.4.
    pub cfa: Vec<f64>,
    /// Tilt of the regional plane, degrees.
    pub slope_deg: Vec<f64>,
    /// Where goals lie, in turn from seed to seed.
    pub directions: Vec<Direction>,
}

/// A sweep as its file gives it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepConfig {
    /// Name, for people.
    pub name: String,
    /// The rover: a name in `config/rovers` or a file.
    pub rover: String,
    /// The planet: a name in `config/bodies` or a file.
    pub body: String,
    /// What all worlds have in common.
    pub scene: SceneParams,
    /// The cells.
    pub cells: Cells,
    /// The planners.
    pub planners: Vec<PlannerEntry>,
    /// Runs in which something goes wrong, besides those without.
    pub faults: Vec<FaultEntry>,
    /// Keys of `config/executive.param.yaml` that differ from it.
    pub executive: BTreeMap<String, serde_json::Value>,
    /// How the rover sees.
    pub sensing: Sensing,
    /// Whether the grid tells the true class of the ground where it was seen, as a classifier without error would; else
    /// AutoNav knows no class and expects the slip of the rover's file.
    pub ground_classes: bool,
    /// Visual odometry's stand-in; null: the rover believes its wheels.
    pub visual_odometry: Option<VisualOdometry>,
    /// The elevation model that AutoNav prices unseen ground by; null or not there: it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orbital: Option<OrbitalView>,
    /// Share of the first planner's runs that are run again with rendered images, 0 to 1.
    pub rendered_again: f64,
    /// Simulated time after which a run is cut off, seconds.
    pub limit_s: f64,
    /// First seed; another one gives other worlds.
    pub first_seed: u64,
}

impl SweepConfig {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`CoreError`] that names the file and the key.
    pub fn load(path: &Path) -> Result<Self, CoreError> {
        let config: Self = load_yaml(path)?;
        config.check(&path.display().to_string())?;
        Ok(config)
    }

    /// Checks what the types cannot; `what` names the file.
    ///
    /// # Errors
    /// [`CoreError`] that names the key.
    pub fn check(&self, what: &str) -> Result<(), CoreError> {
        self.scene.check(what)?;
        if let Some(v) = &self.visual_odometry {
            v.check(what)?;
        }
        if let Some(o) = &self.orbital {
            o.check(what)?;
        }
        in_range(what, "limit_s", self.limit_s, 1.0, 1e6)?;
        in_range(what, "rendered_again", self.rendered_again, 0.0, 1.0)?;
        for &v in &self.cells.cfa {
            in_range(what, "cells.cfa", v, 0.0, 0.4)?;
        }
        for &v in &self.cells.slope_deg {
            in_range(what, "cells.slope_deg", v, 0.0, 40.0)?;
        }
        for (name, empty) in [
            ("cells.cfa", self.cells.cfa.is_empty()),
            ("cells.slope_deg", self.cells.slope_deg.is_empty()),
            ("cells.directions", self.cells.directions.is_empty()),
            ("planners", self.planners.is_empty()),
        ] {
            if empty {
                return Err(CoreError::value(
                    what,
                    name,
                    "an empty list",
                    "at least one entry",
                ));
            }
        }
        for (i, p) in self.planners.iter().enumerate() {
            if p.name.trim().is_empty() || self.planners.iter().take(i).any(|o| o.name == p.name) {
                return Err(CoreError::value(
                    what,
                    format!("planners[{i}].name"),
                    &p.name,
                    "a name that no other planner has",
                ));
            }
        }
        for (i, f) in self.faults.iter().enumerate() {
            f.plan.check(&format!("{what}: faults[{i}]"))?;
            if f.name.trim().is_empty() || self.faults.iter().take(i).any(|o| o.name == f.name) {
                return Err(CoreError::value(
                    what,
                    format!("faults[{i}].name"),
                    &f.name,
                    "a name that no other fault has",
                ));
            }
        }
        let seeds: u64 = self
            .planners
            .iter()
            .map(|p| p.seeds)
            .chain(self.faults.iter().map(|f| f.seeds))
            .fold(0, u64::saturating_add);
        let cells = (self.cells.cfa.len() * self.cells.slope_deg.len()) as u64;
        if seeds == 0 || seeds.saturating_mul(cells) > MAX_RUNS {
            return Err(CoreError::value(
                what,
                "planners.seeds",
                seeds,
                format!("1 to {MAX_RUNS} runs in all cells"),
            ));
        }
        Ok(())
    }
}
