//! What can go wrong in a shell.

use thiserror::Error;

/// One clear sentence each, naming the node, topic, file or key.
#[derive(Debug, Error)]
pub enum KitError {
    /// ROS refused something.
    #[error("cannot {action} {what}: {reason}")]
    Ros {
        /// What was tried.
        action: &'static str,
        /// The topic, service or node.
        what: String,
        /// What ROS said.
        reason: String,
    },
    /// A parameter is missing, unknown or bad.
    #[error(transparent)]
    Param(#[from] crate::params::ParamError),
    /// The simulator's clock cannot go on.
    #[error("{0}")]
    Clock(String),
    /// The spin thread has died.
    #[error("the thread that receives messages has died: {0}")]
    Spin(String),
    /// The kit was used in a way that cannot work.
    #[error("{0}")]
    Use(String),
    /// A file cannot be read or written.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
}

impl KitError {
    /// From any error of r2r.
    pub fn ros(action: &'static str, what: &str, error: &dyn std::fmt::Display) -> Self {
        Self::Ros {
            action,
            what: what.to_string(),
            reason: error.to_string(),
        }
    }
}
