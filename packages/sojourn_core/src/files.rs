//! Files that are whole or not there: written under a temporary name beside the target, then renamed. What is under way
//! is known ([`Unfinished`], [`NewFolder`]), so that a program that is interrupted can take it away.

use crate::CoreError;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is left of a thing under way when it is taken away.
#[derive(Clone, Copy, Debug)]
enum Leave {
    Nothing,
    /// A folder that was there, empty, before.
    EmptyFolder,
}

static UNDER_WAY: Mutex<BTreeMap<PathBuf, Leave>> = Mutex::new(BTreeMap::new());

fn under_way() -> MutexGuard<'static, BTreeMap<PathBuf, Leave>> {
    UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take_away(path: &Path, leave: Leave) {
    if !path.is_dir() {
        // It may not have been begun.
        let _ = std::fs::remove_file(path);
        return;
    }
    let _ = std::fs::remove_dir_all(path);
    if matches!(leave, Leave::EmptyFolder) {
        let _ = std::fs::create_dir(path);
    }
}

/// A file or folder under a temporary name. Dropping it takes away what is still there.
#[derive(Debug)]
#[must_use]
pub struct Unfinished(PathBuf);

impl Unfinished {
    /// From now on an interruption takes `path` away.
    pub fn begin(path: &Path) -> Self {
        under_way().insert(path.to_path_buf(), Leave::Nothing);
        Self(path.to_path_buf())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        under_way().remove(&self.0);
        if self.0.exists() {
            take_away(&self.0, Leave::Nothing);
        }
    }
}

/// A folder of several files that is whole or not there. Where there was no folder, or an empty one, dropping this
/// without [`NewFolder::keep`] takes away what has been written; a folder with files in it is left as it is.
#[derive(Debug)]
#[must_use]
pub struct NewFolder {
    path: PathBuf,
    leave: Option<Leave>,
}

impl NewFolder {
    /// Makes the folder if it is not there.
    ///
    /// # Errors
    /// [`CoreError::Io`] with the path.
    pub fn begin(path: &Path) -> Result<Self, CoreError> {
        let leave = match std::fs::read_dir(path) {
            Ok(mut entries) => entries.next().is_none().then_some(Leave::EmptyFolder),
            Err(_) => Some(Leave::Nothing),
        };
        std::fs::create_dir_all(path).map_err(|e| CoreError::io(path, "creating", e))?;
        if let Some(leave) = leave {
            under_way().insert(path.to_path_buf(), leave);
        }
        Ok(Self {
            path: path.to_path_buf(),
            leave,
        })
    }

    /// The folder is whole.
    pub fn keep(mut self) {
        self.leave = None;
        under_way().remove(&self.path);
    }
}

impl Drop for NewFolder {
    fn drop(&mut self) {
        if let Some(leave) = self.leave {
            under_way().remove(&self.path);
            take_away(&self.path, leave);
        }
    }
}

/// Takes away all that is under way, and lets nothing new begin: for a program that ends right after. Whoever else
/// begins a file waits for ever.
pub fn discard_unfinished() {
    let all = under_way();
    // Another thread may just be writing into a folder; what it puts there between two looks is seen by the next.
    for _ in 0..3 {
        for (path, leave) in all.iter() {
            take_away(path, *leave);
        }
    }
    std::mem::forget(all);
}

/// Writes `bytes` to `path` so that a reader sees the old file or the whole new one.
///
/// # Errors
/// [`CoreError::Io`] with the path; the temporary file is removed.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), CoreError> {
    let tmp = temporary_name(path);
    let unfinished = Unfinished::begin(&tmp);
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::File::create(&tmp)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&tmp, path)
    };
    let written = write().map_err(|source| CoreError::io(path, "writing", source));
    drop(unfinished);
    written
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finished_is_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let fresh = dir.path().join("a").join("world");
        {
            let _folder = NewFolder::begin(&fresh).unwrap();
            write_atomic(&fresh.join("x"), b"1").unwrap();
        }
        assert!(!fresh.exists());
        NewFolder::begin(&fresh).unwrap().keep();
        assert!(fresh.is_dir());
        // an empty folder stays, empty
        {
            let _folder = NewFolder::begin(&fresh).unwrap();
            write_atomic(&fresh.join("x"), b"1").unwrap();
        }
        assert_eq!(std::fs::read_dir(&fresh).unwrap().count(), 0);
        // what somebody has there is not touched
        write_atomic(&fresh.join("theirs"), b"1").unwrap();
        {
            let _folder = NewFolder::begin(&fresh).unwrap();
            write_atomic(&fresh.join("x"), b"1").unwrap();
        }
        assert_eq!(std::fs::read_dir(&fresh).unwrap().count(), 2);
        let half = dir.path().join("half.tmp");
        {
            let _file = Unfinished::begin(&half);
            std::fs::write(&half, b"h").unwrap();
        }
        assert!(!half.exists());
    }

    #[test]
    fn a_file_that_cannot_be_written_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let e = write_atomic(&dir.path().join("none").join("x"), b"1").unwrap_err();
        assert!(e.to_string().contains("none"), "{e}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
