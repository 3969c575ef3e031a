//! Calibration files of a stereo pair, where `camera_info` does not tell.

use super::{GreyImage, PairFault};
use serde::Deserialize;
use sojourn_core::{
    CoreError,
    camera::rectify::{Rectification, RightEye},
    error::in_range,
};
use std::path::Path;

/// The files of a pair of cameras; a section of the parameter file. Each is a file of ROS's `camera_calibration`, a camera
/// YAML (`model: pinhole | plumb_bob | equidistant | cahv | cahvor | cahvore`) or any file that begins with a PDS3 label with
/// a camera model, relative to the folder the node is started in; read by the shell.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraFiles {
    /// The left camera; empty: `camera_info` tells both.
    pub left: String,
    /// The right camera; empty: it is like the left one and stands `beside_m` to its right.
    pub right: String,
    /// That distance, metres; 0 with a file of its own.
    pub beside_m: f64,
}

impl CameraFiles {
    /// Whether files tell the cameras.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.left.is_empty()
    }

    /// Checks that the keys go together; `what` names the file, `key` the section.
    ///
    /// # Errors
    /// [`CoreError::Value`] that names the key.
    pub fn check(&self, what: &str, key: &str) -> Result<(), CoreError> {
        let wrong = |name: &str, value: &str, expected: &str| {
            Err(CoreError::value(
                what,
                format!("{key}.{name}"),
                format!("{value:?}"),
                expected,
            ))
        };
        let given = !self.right.is_empty() || self.beside_m != 0.0;
        if given && !self.is_on() {
            return wrong("left", &self.left, "a file, as right or beside_m is given");
        }
        let name = format!("{key}.beside_m");
        if !self.is_on() || !self.right.is_empty() {
            return in_range(what, &name, self.beside_m, 0.0, 0.0).map(drop);
        }
        in_range(what, &name, self.beside_m, 0.001, 100.0).map(drop)
    }

    /// Reads the files; nothing where there are none.
    ///
    /// # Errors
    /// [`CoreError`] in one sentence: a file cannot be read, is no camera, or the two are no pair or exchanged.
    pub fn load(&self) -> Result<Option<Rectification>, CoreError> {
        if !self.is_on() {
            return Ok(None);
        }
        let right = match self.right.as_str() {
            "" => RightEye::Beside(self.beside_m),
            file => RightEye::File(Path::new(file)),
        };
        let pair = Rectification::load(Path::new(&self.left), right)?;
        if pair.baseline_m > 0.0 {
            return Ok(Some(pair));
        }
        Err(CoreError::format(
            format!("{} and {}", self.left, self.right),
            format!(
                "the right camera stands {:.3} m to the left of the left one: the two are exchanged",
                -pair.baseline_m
            ),
        ))
    }
}

/// A rectified image from a raw one; `right` says of which eye.
///
/// # Errors
/// [`PairFault::Size`] when it has another size than the files say.
pub fn rectified(
    pair: &Rectification,
    right: bool,
    raw: &GreyImage,
) -> Result<GreyImage, PairFault> {
    let warp = &pair.warps[usize::from(right)];
    let pixels = warp
        .apply_to_bytes(raw.width, raw.height, &raw.pixels)
        .map_err(|_| PairFault::Size)?;
    Ok(GreyImage {
        stamp: raw.stamp,
        width: warp.width,
        height: warp.height,
        pixels,
    })
}

/// The colours (three bytes a pixel) of a left image after it was rectified; nothing when they are of another size.
#[must_use]
pub fn rectified_colours(pair: &Rectification, rgb: &[u8]) -> Option<Vec<u8>> {
    let warp = &pair.warps[0];
    let plane = |k: usize| {
        let plane: Vec<u8> = rgb.iter().skip(k).step_by(3).copied().collect();
        warp.apply_to_bytes(warp.width, warp.height, &plane).ok()
    };
    let [r, g, b] = [plane(0)?, plane(1)?, plane(2)?];
    let pixels = r.into_iter().zip(g).zip(b);
    Some(pixels.flat_map(|((r, g), b)| [r, g, b]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sojourn_core::Stamp;

    fn files(left: &str, right: &str, beside_m: f64) -> CameraFiles {
        CameraFiles {
            left: left.into(),
            right: right.into(),
            beside_m,
        }
    }

    #[test]
    fn the_keys_go_together() {
        for good in [
            files("", "", 0.0),
            files("l.yaml", "r.yaml", 0.0),
            files("l.yaml", "", 0.4),
        ] {
            good.check("file", "cameras").unwrap();
        }
        for (bad, key) in [
            (files("", "r.yaml", 0.0), "cameras.left"),
            (files("", "", 0.4), "cameras.left"),
            (files("l.yaml", "", 0.0), "cameras.beside_m"),
            (files("l.yaml", "r.yaml", 0.4), "cameras.beside_m"),
            (files("l.yaml", "", f64::NAN), "cameras.beside_m"),
        ] {
            let said = bad.check("file", "cameras").unwrap_err().to_string();
            assert!(said.contains(key), "{key}: {said}");
        }
        assert_eq!(files("", "", 0.0).load().unwrap(), None);
    }

    #[test]
    fn a_pair_is_rectified_by_the_shipped_cahvore_file() {
        let shipped = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../config/cameras/m2020_navcam_left.yaml"
        );
        let pair = files(shipped, "", 0.424).load().unwrap().unwrap();
        let raw = GreyImage {
            stamp: Stamp(7),
            width: 1280,
            height: 960,
            pixels: (0..1280 * 960).map(|k| (k % 1280 / 6) as u8).collect(),
        };
        let image = rectified(&pair, true, &raw).unwrap();
        assert_eq!((image.stamp, image.width), (raw.stamp, raw.width));
        // Brighter to the right still, and nothing of it black.
        let row = &image.pixels[480 * 1280..481 * 1280];
        assert!(row[1200] > row[700] && row[700] > row[100] && row[100] > 0);
        let grey: Vec<u8> = raw.pixels.iter().flat_map(|p| [*p; 3]).collect();
        let rgb = rectified_colours(&pair, &grey).unwrap();
        let left = rectified(&pair, false, &raw).unwrap();
        assert!(
            rgb.chunks_exact(3)
                .zip(&left.pixels)
                .all(|(c, p)| c == [*p; 3])
        );
        assert_eq!(rectified_colours(&pair, &grey[3..]), None);
        let small = GreyImage {
            width: 640,
            height: 480,
            pixels: vec![9; 640 * 480],
            ..raw
        };
        assert_eq!(rectified(&pair, false, &small), Err(PairFault::Size));
    }

    #[test]
    fn exchanged_files_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, x: f64| {
            let text = format!(
                "model: cahv\nwidth: 320\nheight: 240\nc: [{x}, 0, 0]\na: [0, 0, 1]\nh: [200, 0, 160]\nv: [0, 200, 120]\n"
            );
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (l, r) = (file("l.yaml", 0.0), file("r.yaml", 0.3));
        assert!(files(&l, &r, 0.0).load().unwrap().is_some());
        let said = files(&r, &l, 0.0).load().unwrap_err().to_string();
        assert!(
            said.contains("exchanged") && said.contains("0.300"),
            "{said}"
        );
    }
}
