//! What the rover keeps on its disk: accepted bundles, and which of them were driven.

use anyhow::Context;
use sojourn_core::files;
use sojourn_mission::Bundle;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const DRIVEN_FILE: &str = "driven.json";
const MAX_DRIVEN_BYTES: u64 = 4 << 20;

/// The rover's folder of bundles.
pub(crate) struct Store {
    dir: PathBuf,
}

impl Store {
    pub(crate) fn open(dir: &str) -> anyhow::Result<Self> {
        let dir = PathBuf::from(dir);
        std::fs::create_dir_all(&dir).with_context(|| {
            format!(
                "parameter bundle_dir: cannot create folder {}",
                dir.display()
            )
        })?;
        Ok(Self { dir })
    }

    pub(crate) fn driven(&self) -> anyhow::Result<BTreeSet<String>> {
        let path = self.dir.join(DRIVEN_FILE);
        if !path.exists() {
            return Ok(BTreeSet::new());
        }
        let text = files::read_text(&path, MAX_DRIVEN_BYTES)?;
        serde_json::from_str(&text)
            .with_context(|| format!("{}: is not a list of bundle ids", path.display()))
    }

    pub(crate) fn save_driven(&self, driven: &BTreeSet<String>) -> anyhow::Result<()> {
        let text = serde_json::to_vec_pretty(driven)?;
        Ok(files::write_atomic(&self.dir.join(DRIVEN_FILE), &text)?)
    }

    pub(crate) fn keep(&self, bundle: &Bundle) -> anyhow::Result<()> {
        Ok(bundle.write(&self.folder(bundle.id()))?)
    }

    fn folder(&self, id: &str) -> PathBuf {
        self.dir.join(Path::new(id))
    }
}
