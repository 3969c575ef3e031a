//! Files that are whole or not there: written under a temporary name beside the target, then renamed.

use crate::CoreError;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Writes `bytes` to `path` so that a reader sees the old file or the whole new one.
///
/// # Errors
/// [`CoreError::Io`] with the path; the temporary file is removed.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), CoreError> {
    let tmp = temporary_name(path);
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::File::create(&tmp)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&tmp, path)
    };
    write().map_err(|source| {
        let _ = std::fs::remove_file(&tmp);
        CoreError::io(path, "writing", source)
    })
}

/// A name beside `path` that no other process uses.
#[must_use]
pub fn temporary_name(path: &Path) -> PathBuf {
    let mut name = path
        .file_name()
        .map(std::ffi::OsStr::to_os_string)
        .unwrap_or_default();
    name.push(format!(".{}.tmp", std::process::id()));
    path.with_file_name(name)
}

/// Reads a text file of at most `max_bytes`.
///
/// # Errors
/// [`CoreError::Io`], or [`CoreError::Format`] when it is larger than that or not UTF-8.
pub fn read_text(path: &Path, max_bytes: u64) -> Result<String, CoreError> {
    let bytes = read_bytes(path, max_bytes)?;
    String::from_utf8(bytes)
        .map_err(|_| CoreError::format(path.display().to_string(), "is not UTF-8 text"))
}

/// Reads a file of at most `max_bytes`.
///
/// # Errors
/// [`CoreError::Io`], or [`CoreError::Format`] when it is larger than that.
pub fn read_bytes(path: &Path, max_bytes: u64) -> Result<Vec<u8>, CoreError> {
    let meta = std::fs::metadata(path).map_err(|e| CoreError::io(path, "reading", e))?;
    if meta.len() > max_bytes {
        return Err(CoreError::format(
            path.display().to_string(),
            format!("is {} bytes long, expected at most {max_bytes}", meta.len()),
        ));
    }
    std::fs::read(path).map_err(|e| CoreError::io(path, "reading", e))
}
