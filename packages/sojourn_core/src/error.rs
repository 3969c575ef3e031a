//! What can be wrong with data that comes in from outside.

use std::path::{Path, PathBuf};

/// An input that cannot be used. Each message names the thing, the value and what was expected.
#[derive(Debug, thiserror::Error)]
pub enum CoreError {
    /// A file could not be read or written.
    // The cause is part of the sentence and therefore not a `source`: a chain would print it twice.
    #[error("{}: {doing} failed: {cause}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried ("reading", "writing").
        doing: &'static str,
        /// The operating system's reason.
        cause: std::io::Error,
    },
    /// A document does not have the expected form.
    #[error("{what}: {reason}")]
    Format {
        /// The file or document.
        what: String,
        /// What is wrong, with the place.
        reason: String,
    },
    /// A number is outside its range or not a number.
    #[error("{what}: {name} is {value}, expected {expected}")]
    Value {
        /// The file or document.
        what: String,
        /// The key.
        name: String,
        /// The value found.
        value: String,
        /// What would be right.
        expected: String,
    },
}

impl CoreError {
    /// An I/O error with its path.
    pub fn io(path: &Path, doing: &'static str, cause: std::io::Error) -> Self {
        Self::Io {
            path: path.to_path_buf(),
            doing,
            cause,
        }
    }

    /// A document of the wrong form.
    pub fn format(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Format {
            what: what.into(),
            reason: reason.into(),
        }
    }

    /// A value out of range.
    pub fn value(
        what: impl Into<String>,
        name: impl Into<String>,
        value: impl ToString,
        expected: impl Into<String>,
    ) -> Self {
        Self::Value {
            what: what.into(),
            name: name.into(),
            value: value.to_string(),
            expected: expected.into(),
        }
    }
}

/// Checks that a number is finite and within `[lo, hi]`.
///
/// # Errors
/// [`CoreError::Value`] that names `what` and `name`.
pub fn in_range(what: &str, name: &str, value: f64, lo: f64, hi: f64) -> Result<f64, CoreError> {
    if value.is_finite() && value >= lo && value <= hi {
        Ok(value)
    } else {
        Err(CoreError::value(
            what,
            name,
            value,
            format!("a number from {lo} to {hi}"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_error_tells_its_cause_once() {
        let cause = std::io::Error::other("the disk is full");
        let error = CoreError::io(Path::new("/a"), "writing", cause);
        assert_eq!(error.to_string(), "/a: writing failed: the disk is full");
        assert!(std::error::Error::source(&error).is_none());
    }
}
