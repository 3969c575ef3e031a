//! What AutoNav says: a decision a tick.

use crate::search::Weighed;
use sojourn_core::{
    health::{Health, NodeState},
    kinematics::Velocity,
};
use std::sync::Arc;

pub use sojourn_core::status::AutonavState as DriveState;

/// A decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Velocity to drive; always finite and within the limits.
    pub velocity: Velocity,
    /// What is being done.
    pub state: DriveState,
    /// Why, for people.
    pub reason: String,
    /// How often no path was safe since this node started.
    pub stops: u32,
    /// True when AutoNav has given up on this goal: only a new goal makes it move again.
    pub gave_up: bool,
    /// Distance to the waypoint, metres; infinite when unknown.
    pub distance_m: f64,
    /// Number of the newest planning; `candidates` belong to it.
    pub planning: u64,
    /// Poses settled in it.
    pub settled: usize,
    /// Poses that approximate clearance evaluation looked up in it.
    pub looked_up: usize,
    /// Ticks so far in which a way over all of the known ground was looked for.
    pub sought: u64,
    /// How often the rover stood because the next plan was late.
    pub think_stops: u32,
    /// Way driven since the goal came, metres.
    pub driven_m: f64,
    /// By how much rocks are grown for the drift of the pose, metres.
    pub inflate_m: f64,
    /// Candidates of the newest planning.
    pub candidates: Arc<Vec<Weighed>>,
    /// The node's health.
    pub health: Health,
}

/// Standing still with a reason.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Halt {
    pub state: DriveState,
    pub reason: String,
    pub warn: bool,
}

impl Halt {
    pub fn new(state: DriveState, reason: impl Into<String>) -> Self {
        Self {
            state,
            reason: reason.into(),
            warn: state == DriveState::Stopped,
        }
    }
}

/// Health of the node: idle or active, and what was refused or stops it.
pub(crate) fn health(state: DriveState, refused: Option<&str>, warn: bool, reason: &str) -> Health {
    let node = match state {
        DriveState::Idle => NodeState::Idle,
        _ => NodeState::Active,
    };
    match (refused, warn) {
        (Some(why), _) => Health::warn(node, why.to_string()),
        (None, true) => Health::warn(node, reason.to_string()),
        // What changes every tick (metres to go) stays out of the health.
        (None, false) if node == NodeState::Idle => Health {
            reason: reason.to_string(),
            ..Health::ok(node)
        },
        (None, false) => Health::ok(node),
    }
}
