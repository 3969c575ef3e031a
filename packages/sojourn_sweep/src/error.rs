//! What can go wrong before or around a run. What goes wrong within a drive is its outcome, not an error.

use sojourn_autonav::config::ConfigError;
use sojourn_core::CoreError;
use sojourn_mission::MissionError;
use sojourn_twin::TwinError;

/// A sweep or a run that cannot begin. Each message names the thing, the value and what was expected.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// A file, a document or a number is wrong.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// World or simulator cannot be made.
    #[error(transparent)]
    Twin(#[from] TwinError),
    /// AutoNav's configuration cannot be used.
    #[error(transparent)]
    AutoNav(#[from] ConfigError),
    /// The executive refuses the plan.
    #[error(transparent)]
    Mission(#[from] MissionError),
}
