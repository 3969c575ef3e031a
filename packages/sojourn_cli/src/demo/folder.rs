//! The run folder.

use std::path::{Path, PathBuf};

/// The file that makes a folder a run folder.
pub const MARK: &str = "run.json";
/// What the rover had learned of slip at the end of the run, and before it where an earlier run told.
pub const SLIP_MEMORY: &str = "slip_memory.json";
/// What this drive and those before it say of the ground, place by place.
pub const HISTORY: &str = "history.json";
/// What a run writes, and a new run into the same folder removes.
const CONTENTS: [&str; 19] = [
    "plan.json",
    "plan.xml",
    "verification.json",
    "bundle",
    "recording.mcap",
    "score.json",
    SLIP_MEMORY,
    HISTORY,
    "summary.json",
    "report.html",
    "map.png",
    "conversations",
    "log",
    "site",
    "rover.yaml",
    "body.yaml",
    "mission.yaml",
    "keys",
    "rover",
];

/// A folder that takes a run; removed again when the run does not begin.
#[derive(Debug)]
pub struct Folder {
    /// The folder.
    pub dir: PathBuf,
    /// The outermost folder that was made for it.
    made: Option<PathBuf>,
    begun: bool,
}

impl Folder {
    /// Makes sure, before any work, that a run can be written here.
    ///
    /// # Errors
    /// One sentence: it cannot be written, or it holds something that is not a former run.
    pub fn claim(dir: &Path) -> anyhow::Result<Self> {
        let refuse = |why: String| anyhow::anyhow!("the run folder {} {why}", dir.display());
        if dir.exists() {
            anyhow::ensure!(dir.is_dir(), refuse("is not a folder".into()));
            let empty = std::fs::read_dir(dir)
                .map_err(|e| refuse(format!("cannot be read: {e}")))?
                .next()
                .is_none();
            anyhow::ensure!(
                empty || dir.join(MARK).is_file(),
                refuse(
                    "holds files that are not a former run; give another one or an empty one"
                        .into()
                )
            );
        }
        let made = dir
            .ancestors()
            .take_while(|a| !a.as_os_str().is_empty() && !a.exists())
            .last()
            .map(Path::to_path_buf);
        std::fs::create_dir_all(dir).map_err(|e| refuse(format!("cannot be made: {e}")))?;
        let folder = Self {
            dir: std::path::absolute(dir)?,
            made,
            begun: false,
        };
        let probe = dir.join(format!(".probe.{}.tmp", std::process::id()));
        std::fs::write(&probe, b"").map_err(|e| refuse(format!("cannot be written: {e}")))?;
        let _ = std::fs::remove_file(probe);
        Ok(folder)
    }

    /// Empties the folder of a former run and marks it.
    ///
    /// # Errors
    /// One sentence with the path.
    pub fn begin(&mut self, mark: &serde_json::Value) -> anyhow::Result<()> {
        for name in CONTENTS {
            let path = self.dir.join(name);
            let gone = if path.is_dir() {
                std::fs::remove_dir_all(&path)
            } else if path.exists() {
                std::fs::remove_file(&path)
            } else {
                Ok(())
            };
            gone.map_err(|e| anyhow::anyhow!("{}: cannot be removed: {e}", path.display()))?;
        }
        let text = serde_json::to_string_pretty(mark)? + "\n";
        sojourn_core::files::write_atomic(&self.dir.join(MARK), text.as_bytes())?;
        self.begun = true;
        Ok(())
    }

    /// A path in the folder.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Removes temporary files that a process which was killed left behind.
    pub fn sweep(&self) {
        for dir in [self.dir.clone(), self.join("site"), self.join("rover")] {
            for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
                if entry.file_name().to_string_lossy().ends_with(".tmp") {
                    let path = entry.path();
                    let _ = if path.is_dir() {
                        std::fs::remove_dir_all(path)
                    } else {
                        std::fs::remove_file(path)
                    };
                }
            }
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.begun
            && let Some(made) = &self.made
        {
            // Only folders that were made here and that are still empty.
            let mut dir = Some(self.dir.as_path());
            let top = std::path::absolute(made).unwrap_or_default();
            while let Some(d) = dir {
                if std::fs::remove_dir(d).is_err() || d == top {
                    break;
                }
                dir = d.parent();
            }
        }
    }
}

/// `runs/<UTC time>-<name>` below a folder.
#[must_use]
pub fn default_dir(base: &Path, utc: &str, name: &str) -> PathBuf {
    let time: String = utc.chars().filter(char::is_ascii_alphanumeric).collect();
    let name: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    base.join("runs").join(format!("{time}-{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_ours_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("thesis.tex"), "x").unwrap();
        let message = Folder::claim(dir.path()).unwrap_err().to_string();
        assert!(message.contains("not a former run"), "{message}");
        let file = dir.path().join("thesis.tex").join("run");
        assert!(Folder::claim(&file).is_err());
        assert!(Folder::claim(&dir.path().join("thesis.tex")).is_err());
    }

    #[test]
    fn a_run_that_does_not_begin_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b/c");
        drop(Folder::claim(&deep).unwrap());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_former_run_makes_room_for_the_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("r");
        let mut folder = Folder::claim(&run).unwrap();
        folder.begin(&serde_json::json!({"seed": 1})).unwrap();
        std::fs::write(run.join("summary.json"), "{}").unwrap();
        std::fs::write(run.join("notes.txt"), "mine").unwrap();
        std::fs::write(run.join("x.tmp"), "half").unwrap();
        let mut again = Folder::claim(&run).unwrap();
        again.begin(&serde_json::json!({"seed": 2})).unwrap();
        again.sweep();
        assert!(!run.join("summary.json").exists() && !run.join("x.tmp").exists());
        assert!(run.join("notes.txt").exists() && run.join(MARK).exists());
    }

    #[test]
    fn the_name_is_safe_as_a_folder() {
        let dir = default_dir(Path::new("/b"), "2026-11-20T12:00:05Z", "a b/../c");
        assert_eq!(dir, Path::new("/b/runs/20261120T120005Z-a_b_.._c"));
    }
}
