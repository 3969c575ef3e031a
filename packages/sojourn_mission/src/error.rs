//! What can be wrong with keys, approvals and bundles.

use sojourn_core::CoreError;

/// Why a key, an approval, a bundle or a drive was refused. Each message is one sentence for a person.
#[derive(Debug, thiserror::Error)]
pub enum MissionError {
    /// A document could not be read, written or understood.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// A key file is not usable.
    #[error("{what}: {reason}")]
    Key {
        /// The file.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The gate does not let this plan through.
    #[error("not approved: {0}")]
    Gate(String),
    /// A bundle is not whole or not consistent.
    #[error("bundle refused: {file}: {reason}")]
    Bundle {
        /// The file inside the bundle, or the folder.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The bundle is whole, but this rover does not take it.
    #[error("bundle {bundle_id} refused: {reason}")]
    Refused {
        /// The bundle.
        bundle_id: String,
        /// Why.
        reason: String,
    },
}

impl MissionError {
    pub(crate) fn bundle(file: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Bundle {
            file: file.into(),
            reason: reason.into(),
        }
    }
}
