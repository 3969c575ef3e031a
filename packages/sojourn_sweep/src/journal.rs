//! The folder of a sweep: what was asked for, one line for every finished run, and the table made of them.
//!
//! `sweep.json` holds the configuration and its digest. Every shard appends to its own `runs-<i>of<n>.jsonl`, one row a
//! line, flushed run by run; a line that a crash cut short is dropped and its run done again. Shards that write to one
//! folder are merged by reading all journals. `runs.parquet` is made from them.
//!
//! A journal that has been packed (`gzip runs-1of1.jsonl`) is read like any other. Nothing is appended to it, and its runs
//! are not done again, by whatever shard.

use crate::{SweepError, config::SweepConfig, plan::Shard, row::Row, run::Sweep};
use serde::{Deserialize, Serialize};
use sojourn_core::{
    CoreError,
    files::{read_text, write_atomic},
};
use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{Read, Write},
    path::{Path, PathBuf},
};

/// The configuration in a sweep's folder.
pub const SWEEP_FILE: &str = "sweep.json";
/// The table in a sweep's folder.
pub const TABLE_FILE: &str = "runs.parquet";
/// What the names of journals end with, and of those that were packed.
const ENDINGS: [&str; 2] = [".jsonl", ".jsonl.gz"];
/// Largest journal that is read, bytes, unpacked.
const MAX_BYTES: u64 = 8 << 30;

/// `sweep.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this program.
    pub version: String,
    /// See [`Sweep::digest`].
    pub digest: String,
    /// Runs of the whole sweep.
    pub runs: u64,
    /// The configuration.
    pub config: SweepConfig,
}

impl Manifest {
    /// Of a sweep.
    #[must_use]
    pub fn of(sweep: &Sweep) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            digest: sweep.digest().into(),
            runs: sweep.runs().len() as u64,
            config: sweep.config().clone(),
        }
    }

    /// Reads a folder's.
    ///
    /// # Errors
    /// [`CoreError`] that names the file.
    pub fn load(dir: &Path) -> Result<Self, CoreError> {
        let path = dir.join(SWEEP_FILE);
        let text = read_text(&path, 64 << 20)?;
        serde_json::from_str(&text)
            .map_err(|e| CoreError::format(path.display().to_string(), e.to_string()))
    }
}

/// The journal of a shard, open for more.
pub struct Journal {
    path: PathBuf,
    file: File,
    done: BTreeMap<u64, Row>,
}

impl Journal {
    /// Opens the journal of a shard in a folder, which is made when it is not there.
    ///
    /// # Errors
    /// [`CoreError`] when the folder holds another sweep, when it holds runs of this shard and `resume` is not set, or when
    /// it cannot be written.
    pub fn open(dir: &Path, sweep: &Sweep, shard: Shard, resume: bool) -> Result<Self, SweepError> {
        std::fs::create_dir_all(dir).map_err(|e| CoreError::io(dir, "creating", e))?;
        let manifest = Manifest::of(sweep);
        let manifest_path = dir.join(SWEEP_FILE);
        if manifest_path.exists() {
            let found = Manifest::load(dir)?;
            if found.digest != manifest.digest {
                return Err(CoreError::value(
                    manifest_path.display().to_string(),
                    "digest",
                    found.digest,
                    format!(
                        "{}, that of this configuration with today's parameters; choose another --out",
                        manifest.digest
                    ),
                )
                .into());
            }
        } else {
            let text = serde_json::to_string_pretty(&manifest)
                .map_err(|e| CoreError::format(SWEEP_FILE, e.to_string()))?;
            write_atomic(&manifest_path, text.as_bytes())?;
        }
        let path = dir.join(format!("runs-{}of{}.jsonl", shard.index, shard.count));
        let own = if path.exists() {
            read(&path)?
        } else {
            BTreeMap::new()
        };
        // Whole lines only, so that what is appended is readable.
        let mut text = String::new();
        for row in own.values() {
            text += &line(row)?;
        }
        let mut done = BTreeMap::new();
        for packed in journals(dir)?.iter().filter(|p| is_packed(p)) {
            done.extend(read(packed)?);
        }
        done.extend(own);
        if !resume && !done.is_empty() {
            return Err(CoreError::format(
                dir.display().to_string(),
                format!(
                    "holds {} runs already; --resume goes on with them",
                    done.len()
                ),
            )
            .into());
        }
        write_atomic(&path, text.as_bytes())?;
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(|e| CoreError::io(&path, "writing", e))?;
        Ok(Self { path, file, done })
    }

    /// The runs that are in it, and those of packed journals beside it.
    #[must_use]
    pub fn done(&self) -> &BTreeMap<u64, Row> {
        &self.done
    }

    /// Adds a run.
    ///
    /// # Errors
    /// [`CoreError::Io`].
    pub fn add(&mut self, row: Row) -> Result<(), SweepError> {
        let text = line(&row)?;
        self.file
            .write_all(text.as_bytes())
            .and_then(|()| self.file.flush())
            .map_err(|e| CoreError::io(&self.path, "writing", e))?;
        self.done.insert(row.run, row);
        Ok(())
    }
}

fn line(row: &Row) -> Result<String, CoreError> {
    let mut text =
        serde_json::to_string(row).map_err(|e| CoreError::format("row", e.to_string()))?;
    text.push('\n');
    Ok(text)
}

/// Whether a journal has been packed.
fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "gz")
}

/// All journals of a folder, in order of their names.
fn journals(dir: &Path) -> Result<Vec<PathBuf>, CoreError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|e| CoreError::io(dir, "reading", e))? {
        let path = entry.map_err(|e| CoreError::io(dir, "reading", e))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("runs-") && ENDINGS.iter().any(|e| name.ends_with(e)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The text of a journal.
fn text_of(path: &Path) -> Result<String, CoreError> {
    if !is_packed(path) {
        return read_text(path, MAX_BYTES);
    }
    let file = File::open(path).map_err(|e| CoreError::io(path, "reading", e))?;
    let mut text = String::new();
    // Several packed pieces one after the other are one packed file.
    let read = flate2::read::MultiGzDecoder::new(file)
        .take(MAX_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|e| CoreError::io(path, "unpacking", e))?;
    if read as u64 > MAX_BYTES {
        return Err(CoreError::format(
            path.display().to_string(),
            format!("is longer than {MAX_BYTES} bytes unpacked"),
        ));
    }
    Ok(text)
}

/// The runs of one journal; a last line that is cut short is left out.
fn read(path: &Path) -> Result<BTreeMap<u64, Row>, CoreError> {
    let text = text_of(path)?;
    let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
    let mut rows = BTreeMap::new();
    for (i, line) in whole.lines().enumerate() {
        let row: Row = serde_json::from_str(line).map_err(|e| {
            CoreError::format(path.display().to_string(), format!("line {}: {e}", i + 1))
        })?;
        rows.insert(row.run, row);
    }
    Ok(rows)
}

/// All runs of one or several folders of the same sweep, in order of their numbers.
///
/// # Errors
/// [`CoreError`] when a folder holds no sweep or another one, or a journal is not in order.
pub fn gather(dirs: &[PathBuf]) -> Result<(Manifest, Vec<Row>), CoreError> {
    let mut manifest: Option<Manifest> = None;
    let mut rows = BTreeMap::new();
    for dir in dirs {
        let found = Manifest::load(dir)?;
        if let Some(first) = &manifest
            && first.digest != found.digest
        {
            return Err(CoreError::value(
                dir.join(SWEEP_FILE).display().to_string(),
                "digest",
                found.digest,
                format!("{}, that of the first folder", first.digest),
            ));
        }
        manifest.get_or_insert(found);
        for path in journals(dir)? {
            rows.extend(read(&path)?);
        }
    }
    let Some(manifest) = manifest else {
        return Err(CoreError::format("sweep", "no folder was given"));
    };
    Ok((manifest, rows.into_values().collect()))
}
