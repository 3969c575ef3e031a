//! What can keep the twin from working.

use sojourn_core::CoreError;

/// A request the twin cannot carry out. A plan that is driven and fails is no error but a report.
#[derive(Debug, thiserror::Error)]
pub enum TwinError {
    /// A document or layer cannot be used.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// A plan was made for something else.
    #[error("plan {plan}: {field} is {found}, but the {given} has {expected}")]
    Mismatch {
        /// The plan's name.
        plan: String,
        /// The field of the plan.
        field: &'static str,
        /// The value in the plan.
        found: String,
        /// What was given with the plan.
        given: &'static str,
        /// The value of what was given.
        expected: String,
    },
    /// A rover cannot stand where it is asked to.
    #[error("no ground to stand on at ({x_m:.2}, {y_m:.2}) m: {reason}")]
    NoGround {
        /// East, metres in `map`.
        x_m: f64,
        /// North, metres in `map`.
        y_m: f64,
        /// Why, for people.
        reason: String,
    },
    /// A table of channels could not be written.
    #[error("writing the table of channels failed: {0}")]
    Write(#[from] std::io::Error),
}
