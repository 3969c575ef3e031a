//! What a node says of itself in its heartbeat and in `/diagnostics`.

use serde::{Deserialize, Serialize};

/// What a node is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum NodeState {
    /// Not ready yet: the state every node begins in.
    #[default]
    Starting = 0,
    /// Ready, with nothing to do.
    Idle = 1,
    /// At work.
    Active = 2,
    /// Stopped by a fault that needs a person or a restart.
    Fault = 3,
}

/// How well a node is, in the levels of `diagnostic_msgs/DiagnosticStatus`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
pub enum HealthLevel {
    /// All is well.
    #[default]
    Ok = 0,
    /// Something was lost and recovered.
    Warn = 1,
    /// The node cannot do its work.
    Error = 2,
}

/// A node's state, health and the reason a person can read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// What it is doing.
    pub state: NodeState,
    /// How well it is.
    pub level: HealthLevel,
    /// Why, one sentence; empty when there is nothing to say.
    pub reason: String,
}

impl Health {
    /// All well in this state.
    #[must_use]
    pub fn ok(state: NodeState) -> Self {
        Self {
            state,
            level: HealthLevel::Ok,
            reason: String::new(),
        }
    }

    /// A warning.
    #[must_use]
    pub fn warn(state: NodeState, reason: impl Into<String>) -> Self {
        Self {
            state,
            level: HealthLevel::Warn,
            reason: reason.into(),
        }
    }

    /// An error.
    #[must_use]
    pub fn error(state: NodeState, reason: impl Into<String>) -> Self {
        Self {
            state,
            level: HealthLevel::Error,
            reason: reason.into(),
        }
    }
}
