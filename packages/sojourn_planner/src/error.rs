//! Why there is no plan.

use sojourn_core::CoreError;

/// A refusal, one sentence with the place, the value and the limit.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Start or goal is not on the map.
    #[error(
        "{which} ({x_m:.1}, {y_m:.1}) is off the map, expected a point within (0.0, 0.0) to ({width_m:.1}, {height_m:.1}) metres"
    )]
    OffMap {
        /// "start" or "goal".
        which: &'static str,
        /// East, metres in `map`.
        x_m: f64,
        /// North, metres in `map`.
        y_m: f64,
        /// Extent of the map west to east, metres.
        width_m: f64,
        /// Extent of the map south to north, metres.
        height_m: f64,
    },
    /// Start or goal is on ground that the constraints, the rover or the model's labels forbid.
    #[error("{which} ({x_m:.1}, {y_m:.1}) {why}")]
    Forbidden {
        /// "start" or "goal".
        which: &'static str,
        /// East, metres in `map`.
        x_m: f64,
        /// North, metres in `map`.
        y_m: f64,
        /// The quantity, its value and the limit.
        why: String,
    },
    /// Start and goal are too near to each other for a drive.
    #[error(
        "{which} lies {distance_m:.2} m from the {from}, expected at least {least_m:.2} m ({why})"
    )]
    TooNear {
        /// "goal" or "stop".
        which: &'static str,
        /// "start" or "stop before".
        from: &'static str,
        /// Distance, metres.
        distance_m: f64,
        /// Least distance, metres.
        least_m: f64,
        /// Where the least distance comes from.
        why: &'static str,
    },
    /// No way leads to the goal.
    #[error("goal ({x_m:.1}, {y_m:.1}) cannot be reached: {why}")]
    NoRoute {
        /// East, metres in `map`.
        x_m: f64,
        /// North, metres in `map`.
        y_m: f64,
        /// Where it ends and what stops it.
        why: String,
    },
    /// The mission refuses a layer of the map as stale.
    #[error("{0}, and the mission refuses it when it is stale")]
    Stale(String),
    /// A person stopped the planning.
    #[error("planning was stopped by the operator")]
    Stopped,
    /// An input or the plan made is not sound.
    #[error(transparent)]
    Core(#[from] CoreError),
}
