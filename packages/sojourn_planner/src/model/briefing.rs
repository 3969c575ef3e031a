//! What a model is told beside the map: driving rules, earlier drives, the operator's note, pictures from the surface.
//! All of it is data from outside.

use super::label::Label;
use super::surface::SurfaceView;
use serde::{Deserialize, Serialize};
use sojourn_core::CoreError;
use sojourn_core::classes::TerrainClass;
use std::path::Path;

/// A record of an earlier drive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriveRecord {
    /// East, metres in `map`.
    pub x_m: f64,
    /// North, metres in `map`.
    pub y_m: f64,
    /// Slip that was measured, 0 to 1.
    pub slip: Option<f64>,
    /// Whether the drive was stopped there.
    pub stopped: bool,
    /// Date (ISO 8601).
    pub date: String,
    /// Somebody's words: data, not instructions.
    pub note: String,
    /// What the ground was in images from the surface, where somebody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<TerrainClass>,
}

impl DriveRecord {
    /// Share of the slip limit from which a record makes ground dearer.
    const SLIP_SHARE: f64 = 0.5;

    /// The risk that was measured: 4 where the drive stopped or slipped beyond the limit, 3 beyond half of it, else 1.
    #[must_use]
    pub fn measured_risk(&self, slip_limit: f64) -> u8 {
        match self.slip.unwrap_or(0.0) {
            _ if self.stopped => 4,
            slip if slip >= slip_limit => 4,
            slip if slip >= Self::SLIP_SHARE * slip_limit => 3,
            _ => 1,
        }
    }
}

/// A file of what people learned about driving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knowledge {
    /// Its name.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// What the model is told beside the map. All of it is data from outside.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Briefing {
    /// Driving rules.
    pub knowledge: Vec<Knowledge>,
    /// Earlier drives.
    pub history: Vec<DriveRecord>,
    /// The operator's note.
    pub note: String,
    /// Pictures from the surface.
    pub surface: Vec<SurfaceView>,
    /// What an orbital classifier says of all of the map, where one looked. The model is not told: it decides only where
    /// the model is shown more.
    pub classified: Option<Vec<Label>>,
}

/// Most records of earlier drives that are taken.
pub const MAX_RECORDS: usize = 10_000;
/// Longest text that is taken, bytes.
const MAX_KNOWLEDGE_BYTES: u64 = 64 << 10;

impl Briefing {
    /// Reads `*.md` of a folder (in order of name) and a JSON list of records, where given.
    ///
    /// # Errors
    /// [`CoreError`] that names the file and what is wrong.
    pub fn load(
        knowledge: Option<&Path>,
        history: Option<&Path>,
        note: &str,
    ) -> Result<Self, CoreError> {
        let mut out = Self {
            note: super::plain(note, 2000),
            ..Self::default()
        };
        if let Some(dir) = knowledge {
            let entries = std::fs::read_dir(dir).map_err(|e| CoreError::io(dir, "reading", e))?;
            let mut files: Vec<_> = entries
                .flatten()
                .map(|e| e.path())
                .filter(|p| p.extension().is_some_and(|e| e == "md"))
                .collect();
            files.sort();
            for file in files {
                out.knowledge.push(Knowledge {
                    name: file
                        .file_name()
                        .unwrap_or_default()
                        .to_string_lossy()
                        .into_owned(),
                    text: sojourn_core::files::read_text(&file, MAX_KNOWLEDGE_BYTES)?,
                });
            }
        }
        if let Some(file) = history {
            let what = file.display().to_string();
            let text = sojourn_core::files::read_text(file, 16 << 20)?;
            out.history = serde_json::from_str(&text).map_err(|e| {
                CoreError::format(&what, format!("is no list of drive records: {e}"))
            })?;
            if out.history.len() > MAX_RECORDS {
                return Err(CoreError::value(
                    what,
                    "records",
                    out.history.len(),
                    format!("at most {MAX_RECORDS}"),
                ));
            }
            for (i, r) in out.history.iter().enumerate() {
                let slip = r.slip.unwrap_or(0.0);
                let sound = [r.x_m, r.y_m]
                    .iter()
                    .all(|v| v.is_finite() && v.abs() < 1e7);
                if !(sound && (0.0..=1.0).contains(&slip)) {
                    return Err(CoreError::value(
                        what,
                        format!("[{i}]"),
                        format!("({}, {}), slip {slip}", r.x_m, r.y_m),
                        "finite metres and a slip of 0 to 1",
                    ));
                }
            }
        }
        Ok(out)
    }
}
