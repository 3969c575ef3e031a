//! What can be wrong with orbital products and places.

use sojourn_core::CoreError;
use std::path::{Path, PathBuf};

/// Why an import or a place was refused. Each message is one sentence that names the file or text, the value and what
/// was expected.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// The file is missing or may not be read.
    #[error("{}: cannot be read: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        cause: std::io::Error,
    },
    /// The file is not what is needed.
    #[error("{}: {reason}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the value and what was expected.
        reason: String,
    },
    /// A place cannot be understood or does not exist on this site.
    #[error("place \"{text}\": {reason}")]
    Place {
        /// The text as given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A site cannot be made or written.
    #[error(transparent)]
    Core(#[from] CoreError),
}

impl SiteError {
    pub(crate) fn refused(path: &Path, reason: impl Into<String>) -> Self {
        Self::Refused {
            path: path.to_path_buf(),
            reason: reason.into(),
        }
    }

    pub(crate) fn place(text: &str, reason: impl Into<String>) -> Self {
        Self::Place {
            text: text.to_string(),
            reason: reason.into(),
        }
    }
}
