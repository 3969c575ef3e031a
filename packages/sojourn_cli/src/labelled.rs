//! Folders of labelled images, laid out as AI4Mars is: manifest.csv, images/ID.jpg, masks/ID.png.

use crate::grey_file::{self, Grey, MOST_BYTES};
use anyhow::{Context, bail, ensure};
use sojourn_core::classes::{AI4MARS_UNLABELLED, SurfaceClass};
use sojourn_core::files::read_text;
use sojourn_perception::classes::GreyImage;
use std::path::{Path, PathBuf};

/// The images of one split.
pub struct Split {
    folder: PathBuf,
    ids: Vec<String>,
}

/// An image with its mask.
pub struct Labelled {
    /// Its id in the manifest.
    pub id: String,
    /// Pixels a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Grey levels.
    pub levels: Vec<u8>,
    /// AI4Mars codes.
    pub mask: Vec<u8>,
}

impl Labelled {
    /// The image as perception takes it.
    #[must_use]
    pub fn grey(&self) -> GreyImage<'_> {
        GreyImage {
            width: self.width,
            height: self.height,
            data: &self.levels,
        }
    }
}

impl Split {
    /// The ids of a split, in the manifest's order; with `only`, those alone.
    ///
    /// # Errors
    /// One sentence: no folder, no manifest, a column or the split missing, an id that is not in it.
    pub fn read(folder: &Path, split: &str, only: &[String]) -> anyhow::Result<Self> {
        ensure!(
            folder.is_dir(),
            "{}: no such folder; expected one with manifest.csv, images/ and masks/",
            folder.display()
        );
        for part in ["images", "masks"] {
            ensure!(
                folder.join(part).is_dir(),
                "{}: no folder {part}/ in it; expected manifest.csv, images/ and masks/",
                folder.display()
            );
        }
        let file = folder.join("manifest.csv");
        let text = read_text(&file, MOST_BYTES)?;
        let ids = ids_of(&text, split).with_context(|| file.display().to_string())?;
        for id in only {
            ensure!(
                ids.contains(id),
                "{}: no image {id:?} in the split {split:?}",
                file.display()
            );
        }
        Ok(Self {
            folder: folder.to_path_buf(),
            ids: ids
                .into_iter()
                .filter(|id| only.is_empty() || only.contains(id))
                .collect(),
        })
    }

    /// Number of images; at least one.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // a split without images is refused
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Reads one image after the other.
    pub fn images(&self) -> impl Iterator<Item = anyhow::Result<Labelled>> + '_ {
        self.ids.iter().map(|id| self.image(id))
    }

    /// Reads every so-many-th image.
    pub fn every(&self, step: usize) -> impl Iterator<Item = anyhow::Result<Labelled>> + '_ {
        self.ids
            .iter()
            .step_by(step.max(1))
            .map(|id| self.image(id))
    }

    fn image(&self, id: &str) -> anyhow::Result<Labelled> {
        let picture = self.folder.join("images").join(format!("{id}.jpg"));
        let mask_file = self.folder.join("masks").join(format!("{id}.png"));
        let (width, height, levels) = grey_file::jpeg(&picture)?;
        let (mask_width, mask_height, mask) = mask(&mask_file)?;
        ensure!(
            (width, height) == (mask_width, mask_height),
            "{}: {mask_width} x {mask_height} pixels, expected {width} x {height} as its image",
            mask_file.display()
        );
        Ok(Labelled {
            id: id.to_owned(),
            width,
            height,
            levels,
            mask,
        })
    }
}

/// The ids of a split in a manifest's text.
fn ids_of(text: &str, split: &str) -> anyhow::Result<Vec<String>> {
    let mut lines = text.lines();
    let head: Vec<&str> = lines
        .next()
        .unwrap_or("")
        .split(',')
        .map(str::trim)
        .collect();
    let column = |name: &str| {
        head.iter()
            .position(|h| *h == name)
            .with_context(|| format!("no column {name:?} in its first line"))
    };
    let (id_at, split_at) = (column("id")?, column("split")?);
    let (mut ids, mut splits) = (Vec::new(), std::collections::BTreeSet::new());
    for (k, line) in lines.enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let cells: Vec<&str> = line.split(',').map(str::trim).collect();
        let (Some(id), Some(found)) = (cells.get(id_at), cells.get(split_at)) else {
            bail!(
                "line {}: {} cells, expected {}",
                k + 2,
                cells.len(),
                head.len()
            );
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        ensure!(
            !id.is_empty() && id.chars().all(plain) && !id.starts_with('.'),
            "line {}: id {id:?}, expected letters, digits, '_', '-' and '.'",
            k + 2
        );
        splits.insert(*found);
        if *found == split {
            ids.push((*id).to_owned());
        }
    }
    ensure!(
        !ids.is_empty(),
        "no split {split:?}; it has {}",
        splits.into_iter().collect::<Vec<_>>().join(", ")
    );
    Ok(ids)
}

/// A mask's codes: a grey PNG of one byte a pixel.
fn mask(file: &Path) -> anyhow::Result<Grey> {
    let (width, height, codes) = grey_file::png(file)?;
    if let Some(code) = codes
        .iter()
        .find(|c| **c != AI4MARS_UNLABELLED && SurfaceClass::from_ai4mars(**c).is_none())
    {
        bail!(
            "{}: code {code}, expected 0 soil, 1 bedrock, 2 sand, 3 big rock or 255",
            file.display()
        );
    }
    Ok((width, height, codes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read_or_refused_in_one_sentence() {
        let good = "id,split,soil\na,crowd,1\nb,gold,2\nc,crowd,0\n\n";
        assert_eq!(ids_of(good, "crowd").unwrap(), ["a", "c"]);
        for (text, split, says) in [
            (good, "silver", "no split \"silver\"; it has crowd, gold"),
            ("", "crowd", "no column \"id\""),
            ("id,soil\na,1\n", "crowd", "no column \"split\""),
            ("id,split\na\n", "crowd", "line 2: 1 cells, expected 2"),
            ("id,split\n../a,crowd\n", "crowd", "line 2: id \"../a\""),
        ] {
            let said = ids_of(text, split).unwrap_err().to_string();
            assert!(said.contains(says), "{said}");
        }
    }

    #[test]
    fn a_folder_of_labelled_images_is_read_and_bad_ones_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let said = |split: &str| match Split::read(dir.path(), split, &[]) {
            Err(e) => format!("{e:#}"),
            Ok(s) => match s.images().collect::<Result<Vec<_>, _>>() {
                Err(e) => format!("{e:#}"),
                Ok(images) => format!("{} images", images.len()),
            },
        };
        assert!(said("crowd").contains("no folder images/"));
        std::fs::create_dir(at("images")).unwrap();
        assert!(said("crowd").contains("no folder masks/"));
        std::fs::create_dir(at("masks")).unwrap();
        assert!(said("crowd").contains("manifest.csv"));
        std::fs::write(at("manifest.csv"), "id,split\na,crowd\n").unwrap();
        assert!(said("crowd").contains("a.jpg"));
        std::fs::write(at("images/a.jpg"), b"not a picture").unwrap();
        assert!(
            said("crowd").contains("not a whole JPEG"),
            "{}",
            said("crowd")
        );
        assert!(said("gold").contains("no split \"gold\""));
        assert!(Split::read(&at("nowhere"), "crowd", &[]).is_err());

        let png = |w: usize, h: usize, code: u8| {
            std::fs::write(
                at("masks/a.png"),
                crate::pixels::grey8(w, h, &vec![code; w * h]).unwrap(),
            )
            .unwrap();
            mask(&at("masks/a.png"))
        };
        assert_eq!(png(3, 2, 255).unwrap().2, [255; 6]);
        assert!(png(3, 2, 9).unwrap_err().to_string().contains("code 9"));
    }
}
