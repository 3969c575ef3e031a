//! Rover images of the Planetary Data System, version 3: a text label, then one band of samples in the same file.
//!
//! Only what camera work needs is read: the camera model, the size of the image and its samples. Format: PDS Standards
//! Reference 3.8 (object description language); the model's group: MER and MSL camera product specifications.

use super::{CahvModel, CameraModel, Lens, Projection, model::linearity};
use crate::{CoreError, files::read_bytes};
use nalgebra::Vector3;
use std::path::Path;

/// Largest image file that is read, bytes.
pub const MAX_FILE_BYTES: u64 = 256 << 20;
/// A label ends within this many bytes.
const MAX_LABEL_BYTES: usize = 1 << 20;

/// A label: its keys with their values as text, in order. Keys in groups and objects carry the group's name in front,
/// as `GEOMETRIC_CAMERA_MODEL.MODEL_TYPE`.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    what: String,
    entries: Vec<(String, String)>,
}

/// An image of one band; row 0 is the top row.
#[derive(Clone, Debug, PartialEq)]
pub struct PdsImage {
    /// Its label.
    pub label: Label,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Samples as they stand in the file.
    pub samples: Vec<f32>,
}

impl Label {
    /// Reads the label at the start of a file; `what` names it in messages.
    ///
    /// # Errors
    /// [`CoreError::Format`] when it does not begin with a PDS3 label or the label has no end.
    pub fn parse(what: &str, bytes: &[u8]) -> Result<Self, CoreError> {
        let head = &bytes[..bytes.len().min(MAX_LABEL_BYTES)];
        // Curiosity's raw images carry the same label under its other name.
        if !(head.starts_with(b"PDS_VERSION_ID") || head.starts_with(b"ODL_VERSION_ID")) {
            return Err(CoreError::format(
                what,
                "does not begin with PDS_VERSION_ID or ODL_VERSION_ID, expected an image with a PDS3 label or a .yaml file",
            ));
        }
        let text = String::from_utf8_lossy(head);
        let mut entries: Vec<(String, String)> = Vec::new();
        let mut within: Vec<String> = Vec::new();
        let mut open = String::new();
        let mut ended = false;
        for line in text.lines() {
            let line = line.trim();
            if line == "END" && open.is_empty() {
                ended = true;
                break;
            }
            if open.is_empty() && (line.is_empty() || line.starts_with("/*")) {
                continue;
            }
            if !open.is_empty() {
                open.push(' ');
            }
            open.push_str(line);
            if !complete(&open) {
                continue;
            }
            let entry = std::mem::take(&mut open);
            let Some((key, value)) = entry.split_once('=') else {
                continue;
            };
            let (key, value) = (key.trim(), value.trim());
            match key {
                "GROUP" | "OBJECT" => within.push(value.to_string()),
                "END_GROUP" | "END_OBJECT" => {
                    within.pop();
                }
                _ => {
                    let mut name = within.join(".");
                    if !name.is_empty() {
                        name.push('.');
                    }
                    entries.push((name + key, value.to_string()));
                }
            }
        }
        if !ended {
            return Err(CoreError::format(
                what,
                format!("its label has no END within {MAX_LABEL_BYTES} bytes"),
            ));
        }
        Ok(Self {
            what: what.to_string(),
            entries,
        })
    }

    /// The value of a key as text, without quotes; the last one when it stands twice.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let found = self.entries.iter().rev().find(|(k, _)| k == key)?;
        Some(found.1.trim_matches('"').trim())
    }

    fn text(&self, key: &str) -> Result<&str, CoreError> {
        self.get(key)
            .ok_or_else(|| CoreError::format(&self.what, format!("its label has no {key}")))
    }

    /// All numbers of a value: `(1, 2.5 <rad>)` gives 1 and 2.5.
    ///
    /// # Errors
    /// [`CoreError`] that names file and key.
    pub fn numbers(&self, key: &str) -> Result<Vec<f64>, CoreError> {
        let text = self.text(key)?;
        text.trim_matches(['(', ')'])
            .split(',')
            .map(|part| {
                let part = part
                    .split('<')
                    .next()
                    .unwrap_or("")
                    .trim()
                    .trim_matches('"');
                part.parse::<f64>()
                    .ok()
                    .filter(|v| v.is_finite())
                    .ok_or_else(|| CoreError::value(&self.what, key, part, "a number"))
            })
            .collect()
    }

    fn whole(&self, key: &str, most: usize) -> Result<usize, CoreError> {
        let n = self.numbers(key)?;
        match n.as_slice() {
            [v] if *v >= 1.0 && *v <= most as f64 && v.fract() == 0.0 => Ok(*v as usize),
            _ => Err(CoreError::value(
                &self.what,
                key,
                format!("{n:?}"),
                format!("a whole number from 1 to {most}"),
            )),
        }
    }

    /// The camera model of the label.
    ///
    /// # Errors
    /// [`CoreError`] that names file and key; [`CoreError::Format`] for a model outside the CAHV family.
    pub fn camera(&self) -> Result<CameraModel, CoreError> {
        let what = format!("camera model of {}", self.what);
        // Raw images carry the group at the top, derived images within DERIVED_IMAGE_PARMS or under a similar name.
        let group = self
            .entries
            .iter()
            .rev()
            .find_map(|(k, _)| k.strip_suffix("MODEL_TYPE"))
            .ok_or_else(|| CoreError::format(&self.what, "its label has no camera model"))?;
        let kind = self.text(&format!("{group}MODEL_TYPE"))?;
        let component = |n: usize| -> Result<Vec<f64>, CoreError> {
            self.numbers(&format!("{group}MODEL_COMPONENT_{n}"))
        };
        let triple = |n: usize| -> Result<[f64; 3], CoreError> {
            let v = component(n)?;
            <[f64; 3]>::try_from(v.as_slice()).map_err(|_| {
                let key = format!("MODEL_COMPONENT_{n}");
                CoreError::value(&what, key, format!("{v:?}"), "three numbers")
            })
        };
        let single = |n: usize| -> Result<f64, CoreError> {
            let v = component(n)?;
            v.first().copied().ok_or_else(|| {
                let key = format!("MODEL_COMPONENT_{n}");
                CoreError::value(&what, key, "nothing", "a number")
            })
        };
        let lens = match kind {
            "CAHV" => Lens::Linear,
            "CAHVOR" => Lens::Radial {
                o: triple(5)?.into(),
                r: triple(6)?,
            },
            "CAHVORE" => Lens::Pupil {
                o: triple(5)?.into(),
                r: triple(6)?,
                e: triple(7)?,
                linearity: linearity(&what, single(8)?, single(9)?)?,
            },
            other => {
                return Err(CoreError::value(
                    what,
                    "MODEL_TYPE",
                    other,
                    "CAHV, CAHVOR or CAHVORE",
                ));
            }
        };
        let vector = |n: usize| triple(n).map(Vector3::from);
        let model = CahvModel {
            c: vector(1)?,
            a: vector(2)?,
            h: vector(3)?,
            v: vector(4)?,
            lens,
        }
        .checked(&what)?;
        CameraModel {
            width: self.whole("IMAGE.LINE_SAMPLES", 16_384)?,
            height: self.whole("IMAGE.LINES", 16_384)?,
            projection: Projection::Cahv(model),
        }
        .checked(&what)
    }
}

/// Whether brackets and quotes of an entry are closed and it has a value.
fn complete(entry: &str) -> bool {
    let (mut depth, mut quoted) = (0i32, false);
    for c in entry.chars() {
        match c {
            '"' => quoted = !quoted,
            '(' | '{' if !quoted => depth += 1,
            ')' | '}' if !quoted => depth -= 1,
            _ => {}
        }
    }
    depth <= 0 && !quoted && !entry.trim_end().ends_with('=')
}

impl PdsImage {
    /// The image without its label.
    #[must_use]
    pub fn grey(&self) -> super::residual::Grey<'_> {
        super::residual::Grey {
            width: self.width,
            height: self.height,
            samples: &self.samples,
        }
    }

    /// Reads an image with its label.
    ///
    /// # Errors
    /// [`CoreError`] that names the file and what is wrong: no label, a kind of sample that is not read, a file that is
    /// too short.
    pub fn load(path: &Path) -> Result<Self, CoreError> {
        let what = path.display().to_string();
        let bytes = read_bytes(path, MAX_FILE_BYTES)?;
        let label = Label::parse(&what, &bytes)?;
        let (width, height) = (
            label.whole("IMAGE.LINE_SAMPLES", 16_384)?,
            label.whole("IMAGE.LINES", 16_384)?,
        );
        let record = label.whole("RECORD_BYTES", 1 << 20)?;
        let start = (label.whole("^IMAGE", 1 << 20)? - 1) * record;
        let kind = label.text("IMAGE.SAMPLE_TYPE")?;
        let bits = label.whole("IMAGE.SAMPLE_BITS", 64)?;
        let bands = label.get("IMAGE.BANDS").unwrap_or("1");
        let size = match (kind, bits, bands) {
            ("MSB_INTEGER" | "MSB_UNSIGNED_INTEGER", 16, "1") => 2,
            ("UNSIGNED_INTEGER" | "MSB_UNSIGNED_INTEGER", 8, "1") => 1,
            _ => {
                return Err(CoreError::value(
                    what,
                    "IMAGE",
                    format!("{bands} band(s) of {bits}-bit {kind}"),
                    "1 band of 8-bit or big-endian 16-bit integers",
                ));
            }
        };
        let data = bytes
            .get(start..start + size * width * height)
            .ok_or_else(|| {
                CoreError::format(
                    &what,
                    format!(
                        "is {} bytes long, expected {} for an image of {width} x {height}",
                        bytes.len(),
                        start + size * width * height
                    ),
                )
            })?;
        let samples = if size == 2 {
            let signed = kind == "MSB_INTEGER";
            data.chunks_exact(2)
                .map(|b| {
                    if signed {
                        f32::from(i16::from_be_bytes([b[0], b[1]]))
                    } else {
                        f32::from(u16::from_be_bytes([b[0], b[1]]))
                    }
                })
                .collect()
        } else {
            data.iter().map(|b| f32::from(*b)).collect()
        };
        Ok(Self {
            label,
            width,
            height,
            samples,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LABEL: &str = "PDS_VERSION_ID = PDS3\r\nRECORD_BYTES = 8\r\n/* a comment */\r\n^IMAGE = 100\r\n\
        NOTE = \"two\r\n lines = of text\"\r\nGROUP = GEOMETRIC_CAMERA_MODEL\r\n MODEL_TYPE = CAHVOR\r\n\
        MODEL_COMPONENT_1 = (0.454993,0.141198,-1.23312)\r\n MODEL_COMPONENT_2 = (-0.69585,0.571462,\r\n 0.435)\r\n\
        MODEL_COMPONENT_3 = (-1075.03,-654.572,220.543)\r\n MODEL_COMPONENT_4 = (50.6594,-19.3653,1294.76)\r\n\
        MODEL_COMPONENT_5 = (-0.61985,0.672629,0.404174)\r\n MODEL_COMPONENT_6 = (0.019876,-0.014281,0.020876)\r\n\
        END_GROUP = GEOMETRIC_CAMERA_MODEL\r\nOBJECT = IMAGE\r\n LINES = 3\r\n LINE_SAMPLES = 2\r\n\
        SAMPLE_TYPE = MSB_INTEGER\r\n SAMPLE_BITS = 16\r\n BANDS = 1\r\nEND_OBJECT = IMAGE\r\nEND\r\n";

    fn file(label: &str, rows: usize) -> Vec<u8> {
        let mut bytes = label.as_bytes().to_vec();
        bytes.resize(99 * 8, b' ');
        for k in 0..(2 * rows) as i16 {
            bytes.extend((10 * k).to_be_bytes());
        }
        bytes
    }

    fn read(bytes: &[u8]) -> Result<PdsImage, CoreError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.img");
        std::fs::write(&path, bytes).unwrap();
        PdsImage::load(&path)
    }

    #[test]
    fn a_label_and_its_image_are_read() {
        let image = read(&file(LABEL, 3)).unwrap();
        assert_eq!(image.samples, [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]);
        assert_eq!(image.label.get("NOTE"), Some("two lines = of text"));
        let camera = image.label.camera().unwrap();
        assert_eq!((camera.width, camera.height), (2, 3));
        let Projection::Cahv(m) = camera.projection else {
            panic!("{camera:?}")
        };
        assert!((m.a.z - 0.435).abs() < 1e-5 && matches!(m.lens, Lens::Radial { .. }));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (from, to, says) in [
            ("CAHVOR", "CAHVXX", "MODEL_TYPE"),
            ("-1.23312", "north", "MODEL_COMPONENT_1"),
            ("LINES = 3", "LINES = 0", "IMAGE.LINES"),
            ("SAMPLE_BITS = 16", "SAMPLE_BITS = 32", "32-bit"),
            ("PDS_VERSION_ID", "OTHER", "PDS_VERSION_ID"),
            ("\r\nEND\r\n", "\r\n", "no END"),
        ] {
            let bytes = file(&LABEL.replace(from, to), 3);
            let said = read(&bytes)
                .and_then(|i| i.label.camera())
                .unwrap_err()
                .to_string();
            assert!(said.contains(says), "{says}: {said}");
        }
        let said = read(&file(LABEL, 2)).unwrap_err().to_string();
        assert!(said.contains("bytes long"), "{said}");
    }

    proptest! {
        /// No bytes make it fail other than with a sentence.
        #[test]
        fn any_bytes_are_answered(junk in proptest::collection::vec(any::<u8>(), 0..300), cut in 0usize..900) {
            let mut bytes = file(LABEL, 3);
            bytes.truncate(cut);
            bytes.extend(&junk);
            if let Ok(label) = Label::parse("x", &bytes) {
                let _ = label.camera();
            }
        }
    }

    /// Curiosity's left navigation camera: half of its field is 22.65 degrees to each side, by its own label.
    #[test]
    fn curiositys_own_label_is_read() {
        let name = "pds_navcam_cahvor/NLA_399621413EDR_F0030308NCAM00405M1.IMG";
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../../shared/data")
            .join(name);
        if !file.exists() {
            eprintln!("skipped: {} is not here", file.display());
            return;
        }
        let image = PdsImage::load(&file).unwrap();
        let camera = image.label.camera().unwrap();
        assert_eq!(
            (image.width, image.height, camera.width),
            (1024, 1024, 1024)
        );
        let [left, right] = [-0.5, 1023.5].map(|u| camera.ray([u, 512.0]).unwrap().direction);
        let field_deg = left.angle(&right).to_degrees();
        assert!((field_deg - 45.32).abs() < 0.5, "{field_deg}");
        let mean = image.samples.iter().sum::<f32>() / image.samples.len() as f32;
        assert!((100.0..4000.0).contains(&mean), "{mean}");
    }
}
