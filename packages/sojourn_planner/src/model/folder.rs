//! The folder of a conversation: its record, written line by line while it runs, taken up again where it broke off, and
//! its views and page for people. Pictures stand in the record by digest, keys nowhere.

use super::protocol::{Journal, ModelRecord};
use super::provider::Provider;
use super::record::{Replay, Transcript};
use super::viewer::html as conversation_html;
use sojourn_core::plan::Plan;
use sojourn_core::{CoreError, files};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Name of the record in its folder.
pub const TRANSCRIPT: &str = "transcript.jsonl";
/// The record of a conversation that is being taken up again.
const TRANSCRIPT_BEFORE: &str = "transcript.before.jsonl";
/// The page for people.
const PAGE: &str = "report.html";

/// The folder for a conversation of this name: the one that broke off, or a new one. What is whole stays as it is, since a
/// plan that somebody signed may name it.
#[must_use]
pub fn unfinished(parent: &Path, name: &str) -> PathBuf {
    let mut dir = parent.join(name);
    let mut n = 2u64;
    while dir.join(PAGE).exists() {
        dir = parent.join(format!("{name}-{n}"));
        n += 1;
    }
    dir
}

/// The provider, and before it the conversation that broke off in this folder. Its record is put aside: the one that is
/// written now begins with the same words.
///
/// # Errors
/// [`CoreError`] that names the file which is no record, or cannot be put aside.
pub fn taken_up(live: Box<dyn Provider>, dir: &Path) -> Result<Box<dyn Provider>, CoreError> {
    let (file, aside) = (dir.join(TRANSCRIPT), dir.join(TRANSCRIPT_BEFORE));
    let mut begun: Option<Transcript> = None;
    for path in [&aside, &file] {
        // Killed before its first line was whole, a record is an empty file.
        if path.metadata().is_ok_and(|m| m.is_file() && m.len() > 0) {
            let found = Transcript::load_torn(path)?;
            let longer = begun
                .as_ref()
                .is_none_or(|b| found.exchanges.len() > b.exchanges.len());
            if longer {
                begun = Some(found);
            }
        }
    }
    let Some(begun) = begun else {
        return Ok(live);
    };
    files::write_atomic(&aside, begun.text()?.as_bytes())?;
    std::fs::remove_file(&file).or_else(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(CoreError::io(&file, "removing", e)),
    })?;
    Ok(Box::new(Replay::of(TRANSCRIPT, begun).then(live)))
}

/// Writes the record of a conversation line by line, so that it is there whenever the program ends.
///
/// # Errors
/// [`CoreError`] when the folder or the file cannot be made.
pub fn journal(dir: &Path) -> Result<Box<Journal<'static>>, CoreError> {
    std::fs::create_dir_all(dir).map_err(|e| CoreError::io(dir, "making the folder", e))?;
    let path = dir.join(TRANSCRIPT);
    let file = std::fs::File::create(&path).map_err(|e| CoreError::io(&path, "writing", e))?;
    let file = Mutex::new(file);
    Ok(Box::new(move |line: &str| {
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(file, "{line}")
            .and_then(|()| file.flush())
            .map_err(|e| CoreError::io(&path, "writing", e))
    }))
}

/// Writes record, views and, last, the page for people; `disagreement_png` is a map of where the sources disagree.
///
/// # Errors
/// [`CoreError`] that names the file.
pub fn write(
    dir: &Path,
    record: &ModelRecord,
    plan: &Plan,
    disagreement_png: Option<&[u8]>,
) -> Result<(), CoreError> {
    let views = dir.join("views");
    std::fs::create_dir_all(&views).map_err(|e| CoreError::io(&views, "making the folder", e))?;
    let orbital = record.views.iter().map(|v| (&v.id, &v.picture));
    let surface = record.surface.iter().map(|v| (&v.id, &v.picture));
    for (id, picture) in orbital.chain(surface) {
        files::write_atomic(&views.join(format!("{id}.png")), &picture.png)?;
    }
    let text = record.transcript.text()?;
    files::write_atomic(&dir.join(TRANSCRIPT), text.as_bytes())?;
    // It is whole now; what it was taken up from is in it.
    let _ = std::fs::remove_file(dir.join(TRANSCRIPT_BEFORE));
    let page = conversation_html(record, plan, disagreement_png);
    files::write_atomic(&dir.join(PAGE), page.as_bytes())
}
