//! The site that tests of running nodes share.

use crate::{programs, root, run_json, sojourn};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const LIMIT: Duration = Duration::from_secs(180);

/// The folder that `sojourn world generate --seed 3 --soil demo` makes, to be read only. It takes seconds to make and
/// every test of the nodes needs it, so it is made once for a build of the command and a state of `config/`, and lies in
/// `target/` until either changes.
///
/// # Errors
/// When it cannot be made, with what the command said.
pub fn generated() -> Result<PathBuf> {
    let target = programs().parent().map(Path::to_path_buf);
    let home = target
        .context("the programs lie in no folder")?
        .join("tests_sites");
    std::fs::create_dir_all(&home).with_context(|| home.display().to_string())?;
    // Held while it is looked for and made: other tests wait, and then find it.
    let lock = std::fs::File::create(home.join("lock"))?;
    lock.lock()?;
    let made_by = newest(&programs().join("sojourn"))?.max(newest(&root().join("config"))?);
    let age = made_by.duration_since(UNIX_EPOCH)?.as_nanos();
    let site = home.join(format!("seed3_{age}"));
    if !site.exists() {
        for old in home.read_dir()?.flatten().filter(|e| e.path().is_dir()) {
            std::fs::remove_dir_all(old.path())?;
        }
        let args = ["world", "generate", "--seed", "3", "--soil", "demo"];
        run_json(
            sojourn().args(args).arg("--json").arg("--out").arg(&site),
            LIMIT,
        )?;
    }
    Ok(site)
}

/// When the newest of a file or of what is in a folder was written.
fn newest(path: &Path) -> Result<SystemTime> {
    let about = path
        .metadata()
        .with_context(|| path.display().to_string())?;
    let mut newest = about.modified()?;
    if about.is_dir() {
        for entry in path.read_dir()? {
            newest = newest.max(self::newest(&entry?.path())?);
        }
    }
    Ok(newest)
}
