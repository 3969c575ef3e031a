//! The parameters of all nodes, read from the same files that the nodes read.

use crate::SweepError;
use sojourn_autonav::{AutoNavParams, guard::GuardParams};
use sojourn_core::params::{load_node_params, load_node_params_with};
use sojourn_mission::executive;
use sojourn_twin::params::SimulatorParams;
use std::{collections::BTreeMap, path::Path};

/// Parameters of the nodes that take part in a closed loop.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `perception`.
    pub perception: sojourn_perception::Params,
    /// `localization`; start pose and files come from the scenario.
    pub localization: sojourn_localization::Params,
    /// `autonav`.
    pub autonav: AutoNavParams,
    /// `guard`.
    pub guard: GuardParams,
    /// `executive`.
    pub executive: executive::Params,
    /// `simulator`; ground, start, goal and seed come from the scenario.
    pub simulator: SimulatorParams,
}

impl Settings {
    /// Reads `<node>.param.yaml` of every node from a folder.
    ///
    /// # Errors
    /// [`SweepError::Core`] that names the file and the key.
    pub fn load(config_dir: &Path) -> Result<Self, SweepError> {
        Self::load_with(config_dir, &BTreeMap::new(), &BTreeMap::new())
    }

    /// The same with some keys of `autonav.param.yaml` and `executive.param.yaml` changed.
    ///
    /// # Errors
    /// As [`Settings::load`]; also for a key that the node does not know.
    pub fn load_with(
        config_dir: &Path,
        autonav: &BTreeMap<String, serde_json::Value>,
        executive: &BTreeMap<String, serde_json::Value>,
    ) -> Result<Self, SweepError> {
        let file = |node: &str| config_dir.join(format!("{node}.param.yaml"));
        Ok(Self {
            perception: load_node_params(&file("perception"), "perception")?,
            localization: load_node_params(&file("localization"), "localization")?,
            autonav: load_node_params_with(&file("autonav"), "autonav", autonav)?,
            guard: load_node_params(&file("guard"), "guard")?,
            executive: load_node_params_with(&file("executive"), "executive", executive)?,
            simulator: load_node_params(&file("simulator"), "simulator")?,
        })
    }
}
