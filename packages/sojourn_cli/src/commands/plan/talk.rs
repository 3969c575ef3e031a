//! The record of a conversation with a model in its folder: written as it runs, taken up again, shown.

use crate::cli_error::{CliError, CliResult};
use sojourn_core::{files, plan::Plan};
use sojourn_planner::model::{Journal, Replay, Transcript, conversation_html};
use sojourn_planner::{ModelRecord, Provider};
use std::io::Write;
use std::path::Path;

pub const TRANSCRIPT: &str = "transcript.jsonl";
/// The record of a conversation that is being taken up again.
const TRANSCRIPT_BEFORE: &str = "transcript.before.jsonl";

/// The provider, and before it the conversation that broke off in this folder. Its record is put aside: the one that is
/// written now begins with the same words.
pub fn taken_up(
    provider: Option<Box<dyn Provider>>,
    talk: Option<&Path>,
) -> Result<Option<Box<dyn Provider>>, CliError> {
    let (dir, live) = match (talk, provider) {
        (Some(dir), Some(live)) => (dir, live),
        (_, provider) => return Ok(provider),
    };
    let (file, aside) = (dir.join(TRANSCRIPT), dir.join(TRANSCRIPT_BEFORE));
    let mut begun = None;
    for path in [&aside, &file] {
        if path.is_file() {
            let found = Transcript::load_torn(path)?;
            let longer = begun
                .as_ref()
                .is_none_or(|b: &Transcript| found.exchanges.len() > b.exchanges.len());
            if longer {
                begun = Some(found);
            }
        }
    }
    let Some(begun) = begun else {
        return Ok(Some(live));
    };
    files::write_atomic(&aside, begun.text()?.as_bytes())?;
    std::fs::remove_file(&file).or_else(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(sojourn_core::CoreError::io(&file, "removing", e)),
    })?;
    Ok(Some(Box::new(Replay::of(TRANSCRIPT, begun).then(live))))
}

/// Writes the record of a conversation line by line, so that it is there whenever the program ends.
pub fn journal(dir: &Path) -> Result<Box<Journal<'static>>, CliError> {
    std::fs::create_dir_all(dir)
        .map_err(|e| sojourn_core::CoreError::io(dir, "making the folder", e))?;
    let path = dir.join(TRANSCRIPT);
    let file = std::fs::File::create(&path)
        .map_err(|e| sojourn_core::CoreError::io(&path, "writing", e))?;
    let file = std::sync::Mutex::new(file);
    Ok(Box::new(move |line: &str| {
        let mut file = file
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        writeln!(file, "{line}")
            .and_then(|()| file.flush())
            .map_err(|e| sojourn_core::CoreError::io(&path, "writing", e))
    }))
}

/// Writes transcript, views and the page for people.
pub fn write(
    dir: &Path,
    record: &ModelRecord,
    plan: &Plan,
    disagreement_png: Option<&[u8]>,
) -> CliResult {
    let views = dir.join("views");
    std::fs::create_dir_all(&views)
        .map_err(|e| sojourn_core::CoreError::io(&views, "making the folder", e))?;
    for v in &record.views {
        files::write_atomic(&views.join(format!("{}.png", v.id)), &v.picture.png)?;
    }
    for v in &record.surface {
        files::write_atomic(&views.join(format!("{}.png", v.id)), &v.picture.png)?;
    }
    let transcript: &Transcript = &record.transcript;
    files::write_atomic(&dir.join(TRANSCRIPT), transcript.text()?.as_bytes())?;
    // It is whole now; what it was taken up from is in it.
    let _ = std::fs::remove_file(dir.join(TRANSCRIPT_BEFORE));
    files::write_atomic(
        &dir.join("report.html"),
        conversation_html(record, plan, disagreement_png).as_bytes(),
    )?;
    Ok(())
}
