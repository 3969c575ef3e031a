//! Parameters of the node `planner`.

use serde::{Deserialize, Serialize};
use sojourn_core::CoreError;
use sojourn_core::error::in_range;

/// `config/planner.param.yaml`, every key given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeParams {
    /// Folder of the site.
    pub site_dir: String,
    /// Rover file.
    pub rover_file: String,
    /// Constraints, used when a request brings none.
    pub mission_file: String,
    /// As [`crate::provider_from`] takes it: `none`, `anthropic`, `openai`, either with `:URL`, a URL or `replay:FILE`.
    pub provider: String,
    /// Model to ask for; `default` is that of `config/model.yaml`.
    pub model: String,
    /// Longest time without a word from the provider, seconds.
    pub model_timeout_s: f64,
    /// Folder for the records of conversations, one in it for each request; empty only where no model is asked.
    pub talk_dir: String,
    /// Whether the node `twin` drives what a model had its part in, and a rejection goes back to the model once.
    pub ask_twin: bool,
    /// Longest time for the twin to answer, seconds.
    pub twin_timeout_s: f64,
    /// Folder of driving rules (`*.md`) for the model; empty for none.
    pub knowledge_dir: String,
    /// JSON list of records of earlier drives; empty for none.
    pub history_file: String,
    /// What earlier drives learned of slip, as the node `autonav` keeps it; a file that is not there says nothing, empty for
    /// none.
    pub slip_memory_file: String,
    /// JSON list of pictures from the surface, as `sojourn plan --surface` takes it; empty for none.
    pub surface_file: String,
    /// The operator's note to the model; empty for none.
    pub note: String,
    /// Goes into the plan.
    pub seed: u64,
    /// Name of the plan.
    pub name: String,
}

impl NodeParams {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// [`CoreError::Value`] that names the key.
    pub fn check(&self) -> Result<(), CoreError> {
        for (key, value) in [
            ("site_dir", &self.site_dir),
            ("rover_file", &self.rover_file),
            ("mission_file", &self.mission_file),
            ("name", &self.name),
        ] {
            if value.trim().is_empty() {
                return Err(CoreError::value(
                    "parameters of planner",
                    key,
                    "empty",
                    "a text; a run has to set it",
                ));
            }
        }
        in_range(
            "parameters of planner",
            "model_timeout_s",
            self.model_timeout_s,
            0.1,
            3599.0,
        )?;
        in_range(
            "parameters of planner",
            "twin_timeout_s",
            self.twin_timeout_s,
            0.1,
            86_400.0,
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sojourn_core::params::load_node_params;
    use std::path::Path;

    #[test]
    fn the_shipped_file_lacks_only_what_a_run_sets() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/planner.param.yaml");
        let mut p: NodeParams = load_node_params(&path, "planner").unwrap();
        let m = p.check().unwrap_err().to_string();
        assert!(m.contains("site_dir") && m.contains("has to set"), "{m}");
        p.site_dir = "a".into();
        p.rover_file = "b".into();
        p.mission_file = "c".into();
        p.check().unwrap();
        p.model_timeout_s = f64::NAN;
        assert!(
            p.check()
                .unwrap_err()
                .to_string()
                .contains("model_timeout_s")
        );
    }
}
