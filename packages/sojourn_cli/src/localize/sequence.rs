//! A recording that has stereo pairs only.

use super::recorded::{Contents, Recorded, Rig, Sink, Truth, load_pair};
use sojourn_core::Stamp;
use sojourn_localization::Input;
use std::path::{Path, PathBuf};

/// Pairs in files.
#[derive(Debug)]
pub struct Sequence {
    dir: PathBuf,
    rig: Rig,
    pairs: Vec<(Stamp, PathBuf, PathBuf)>,
    contents: Contents,
    notes: Vec<String>,
    truth: Option<Truth>,
}

impl Sequence {
    /// Pairs in the order of time.
    #[must_use]
    pub fn new(
        dir: &Path,
        rig: Rig,
        pairs: Vec<(Stamp, PathBuf, PathBuf)>,
        truth: Option<Truth>,
    ) -> Self {
        Self {
            dir: dir.to_path_buf(),
            rig,
            contents: Contents::from([("pairs", pairs.len() as u64)]),
            pairs,
            notes: Vec::new(),
            truth,
        }
    }

    /// Adds a sentence on what is lacking or left out.
    #[must_use]
    pub fn noted(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// The cameras.
    #[must_use]
    pub fn rig(&self) -> &Rig {
        &self.rig
    }
}

impl Recorded for Sequence {
    fn name(&self) -> String {
        self.dir.display().to_string()
    }

    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }

    fn truth(&self) -> Option<&Truth> {
        self.truth.as_ref()
    }

    fn span(&self) -> (Stamp, Stamp) {
        let at = |p: Option<&(Stamp, PathBuf, PathBuf)>| p.map_or(Stamp(0), |p| p.0);
        (at(self.pairs.first()), at(self.pairs.last()))
    }

    fn play(&self, sink: &mut Sink<'_>) -> anyhow::Result<()> {
        for (stamp, left, right) in &self.pairs {
            sink(
                *stamp,
                Input::Pair(*stamp, load_pair(left, right, &self.rig)?),
            )?;
        }
        Ok(())
    }
}
