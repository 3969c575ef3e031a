//! From an approved plan to a driven one: keys, the gate where a person signs, the bundle that goes to the rover, the
//! flight rules, and the state machine that drives it.
//!
//! Read in this order: [`keys`] (who may sign), [`gate`] (what is signed), [`bundle`] (what is sent), [`rules`] (what
//! a rover refuses although it is signed), [`executive`] (how it is driven), [`conductor`] (the ground's events).
//! Nothing here knows ROS or asks a clock.

pub mod bundle;
pub mod conductor;
pub mod error;
pub mod executive;
pub mod gate;
pub mod keys;
pub mod rules;

#[cfg(test)]
pub(crate) mod fixtures;

pub use bundle::Bundle;
pub use error::MissionError;
