//! Calibration files as ROS's `camera_calibration` writes them: the raw camera and the rectified one beside it.

use super::{CahvModel, CameraModel, Coefficients, Distortion, Lens, Pinhole, Projection};
use crate::{CoreError, error::in_range, params::load_yaml};
use nalgebra::Vector3;
use serde::Deserialize;
use std::path::Path;

/// A matrix as OpenCV's YAML has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Matrix {
    rows: usize,
    cols: usize,
    data: Vec<f64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    image_width: usize,
    image_height: usize,
    #[serde(rename = "camera_name")]
    _camera_name: Option<String>,
    camera_matrix: Matrix,
    #[serde(alias = "camera_model")]
    distortion_model: String,
    distortion_coefficients: Matrix,
    rectification_matrix: Matrix,
    projection_matrix: Matrix,
}

/// A calibration: `sensor_msgs/CameraInfo` as a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RosCalibration {
    /// The camera as it is, in its optical frame.
    pub raw: CameraModel,
    /// The camera that its image is warped to, in the same frame.
    pub rectified: CameraModel,
    /// Intrinsics of the rectified image.
    pub pinhole: Pinhole,
    /// How far it stands to the right of the left camera, metres: `−P[3] / fx`; 0 for the left one.
    pub baseline_m: f64,
}

/// What `sensor_msgs/CameraInfo` and its file say of a camera; matrices row by row.
#[derive(Clone, Copy, Debug)]
pub struct Calibration<'a> {
    /// Columns of the image.
    pub width: usize,
    /// Rows of the image.
    pub height: usize,
    /// `plumb_bob` or `equidistant`.
    pub model: &'a str,
    /// Distortion: 5 numbers for `plumb_bob`, 4 for `equidistant`.
    pub d: &'a [f64],
    /// Intrinsics of the raw image, 3 × 3.
    pub k: &'a [f64],
    /// Turns the raw camera's frame to the rectified one, 3 × 3.
    pub r: &'a [f64],
    /// Projection of the rectified image, 3 × 4.
    pub p: &'a [f64],
}

impl Matrix {
    fn checked(&self, what: &str, key: &str, rows: usize, cols: usize) -> Result<(), CoreError> {
        let size = (self.rows, self.cols, self.data.len());
        if size != (rows, cols, rows * cols) {
            let found = format!("{} x {} with {} numbers", size.0, size.1, size.2);
            return Err(CoreError::value(
                what,
                key,
                found,
                format!("{rows} x {cols}"),
            ));
        }
        if let Some(bad) = self.data.iter().find(|v| !v.is_finite()) {
            return Err(CoreError::value(what, key, bad, "finite numbers"));
        }
        Ok(())
    }
}

impl RosCalibration {
    /// Whether a YAML file is one of these, by its keys.
    #[must_use]
    pub fn is_one(path: &Path) -> bool {
        load_yaml::<serde_json::Value>(path).is_ok_and(|v| v.get("camera_matrix").is_some())
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`CoreError`] that names the file, the key, what it says and what was expected.
    pub fn load(path: &Path) -> Result<Self, CoreError> {
        let what = path.display().to_string();
        Self::from_file(&what, &load_yaml::<File>(path)?)
    }

    fn from_file(what: &str, file: &File) -> Result<Self, CoreError> {
        file.camera_matrix.checked(what, "camera_matrix", 3, 3)?;
        file.rectification_matrix
            .checked(what, "rectification_matrix", 3, 3)?;
        file.projection_matrix
            .checked(what, "projection_matrix", 3, 4)?;
        Self::new(
            what,
            &Calibration {
                width: file.image_width,
                height: file.image_height,
                model: &file.distortion_model,
                d: &file.distortion_coefficients.data,
                k: &file.camera_matrix.data,
                r: &file.rectification_matrix.data,
                p: &file.projection_matrix.data,
            },
        )
    }

    /// From the parts of a message; `what` names it in errors.
    ///
    /// # Errors
    /// [`CoreError`] that names the part, what it says and what was expected.
    pub fn new(what: &str, parts: &Calibration<'_>) -> Result<Self, CoreError> {
        let Calibration {
            width,
            height,
            k,
            r,
            p,
            ..
        } = *parts;
        for (key, values, count) in [
            ("camera_matrix", k, 9),
            ("rectification_matrix", r, 9),
            ("projection_matrix", p, 12),
        ] {
            if values.len() != count {
                return Err(CoreError::value(
                    what,
                    key,
                    values.len(),
                    format!("{count} numbers"),
                ));
            }
            if let Some(bad) = values.iter().find(|v| !v.is_finite()) {
                return Err(CoreError::value(what, key, bad, "finite numbers"));
            }
        }
        let camera = |fx, fy, cx, cy| Pinhole {
            width,
            height,
            fx,
            fy,
            cx,
            cy,
        };
        let own = camera(k[0], k[4], k[2], k[5]);
        let lens = lens(what, parts)?;
        let raw = CameraModel {
            width,
            height,
            projection: Projection::Distorted(own, lens),
        }
        .checked(what)?;
        let pinhole = camera(p[0], p[5], p[2], p[6]);
        in_range(what, "projection_matrix[0]", pinhole.fx, 1.0, 1e6)?;
        in_range(what, "projection_matrix[5]", pinhole.fy, 1.0, 1e6)?;
        let axes = [0, 3, 6].map(|i| Vector3::new(r[i], r[i + 1], r[i + 2]));
        let is_rotation = axes.iter().all(|a| (a.norm() - 1.0).abs() < 1e-3)
            && (axes[0].cross(&axes[1]) - axes[2]).norm() < 1e-3;
        if !is_rotation {
            let expected = "a rotation";
            return Err(CoreError::value(
                what,
                "rectification_matrix",
                "another matrix",
                expected,
            ));
        }
        let model = CahvModel {
            c: Vector3::zeros(),
            a: axes[2],
            h: pinhole.fx * axes[0] + pinhole.cx * axes[2],
            v: pinhole.fy * axes[1] + pinhole.cy * axes[2],
            lens: Lens::Linear,
        };
        let rectified = CameraModel {
            width,
            height,
            projection: Projection::Cahv(model.checked(what)?),
        };
        Ok(Self {
            raw,
            rectified,
            pinhole,
            baseline_m: -p[3] / pinhole.fx,
        })
    }
}

fn lens(what: &str, parts: &Calibration<'_>) -> Result<Distortion, CoreError> {
    let wrong = |expected: &str| {
        let found = format!("{} numbers", parts.d.len());
        Err(CoreError::value(
            what,
            "distortion_coefficients",
            found,
            expected,
        ))
    };
    match parts.model {
        "plumb_bob" => match <[f64; 5]>::try_from(parts.d) {
            Ok(d) => Distortion::new(what, Coefficients::PlumbBob(d)),
            Err(_) => wrong("5 for plumb_bob"),
        },
        "equidistant" | "fisheye" => match <[f64; 4]>::try_from(parts.d) {
            Ok(d) => Distortion::new(what, Coefficients::Equidistant(d)),
            Err(_) => wrong("4 for equidistant"),
        },
        other => {
            let expected = "plumb_bob or equidistant";
            Err(CoreError::value(what, "distortion_model", other, expected))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::{linearize::Warp, residual::Grey};

    const FILE: &str = "image_width: 640
image_height: 480
camera_name: left
camera_matrix: {rows: 3, cols: 3, data: [500.0, 0.0, 322.0, 0.0, 505.0, 238.0, 0.0, 0.0, 1.0]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [-0.2, 0.05, 0.001, -0.0005, 0.0]}
rectification_matrix:
  rows: 3
  cols: 3
  data: [0.9998000066665778, 0.0, 0.01999866669333308, 0.0, 1.0, 0.0, -0.01999866669333308, 0.0, 0.9998000066665778]
projection_matrix: {rows: 3, cols: 4, data: [480.0, 0.0, 330.0, -48.0, 0.0, 480.0, 240.0, 0.0, 0.0, 0.0, 1.0, 0.0]}
";

    fn load(text: &str) -> Result<RosCalibration, CoreError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("right.yaml");
        std::fs::write(&path, text).unwrap();
        assert!(RosCalibration::is_one(&path));
        RosCalibration::load(&path)
    }

    #[test]
    fn a_file_of_camera_calibration_is_read() {
        let c = load(FILE).unwrap();
        assert!((c.baseline_m - 0.1).abs() < 1e-12);
        // What lies along the rectified axis is the rectified principal point, and 20 mrad aside in the raw image.
        let ahead = Vector3::new(-0.02f64.sin(), 0.0, 0.02f64.cos());
        let [u, v] = c.rectified.project(&ahead).unwrap();
        assert!(
            (u - 330.0).abs() < 1e-6 && (v - 240.0).abs() < 1e-6,
            "{u} {v}"
        );
        let [u, _] = c.raw.project(&ahead).unwrap();
        assert!((u - (322.0 - 500.0 * 0.02)).abs() < 0.1, "{u}");
    }

    #[test]
    fn a_raw_image_becomes_the_rectified_one() {
        let c = load(FILE).unwrap();
        let ground = |[u, v]: [f64; 2]| 128.0 + 60.0 * (0.05 * u).sin() + 60.0 * (0.04 * v).cos();
        let (w, h) = (c.raw.width, c.raw.height);
        let samples: Vec<f32> = (0..w * h)
            .map(|k| {
                let ray = c.raw.ray([(k % w) as f64, (k / w) as f64]);
                let seen = ray.and_then(|r| c.rectified.project(&r.direction));
                seen.map_or(0.0, |p| ground(p) as f32)
            })
            .collect();
        let grey = Grey {
            width: w,
            height: h,
            samples: &samples,
        };
        let made = Warp::new(&c.rectified, &c.raw).apply(&grey);
        let mut seen = 0;
        for (k, value) in made.iter().enumerate().filter(|(_, v)| v.is_finite()) {
            let (u, v) = (k % w, k / w);
            if (20..w - 20).contains(&u) && (20..h - 20).contains(&v) {
                let expected = ground([u as f64, v as f64]);
                assert!((f64::from(*value) - expected).abs() < 0.5, "{u} {v}");
                seen += 1;
            }
        }
        assert!(seen > w * h * 8 / 10, "{seen}");
    }

    #[test]
    fn what_is_wrong_in_it_is_named() {
        let said = |from: &str, to: &str| load(&FILE.replace(from, to)).unwrap_err().to_string();
        assert!(said("plumb_bob", "rational_polynomial").contains("distortion_model"));
        assert!(
            said("cols: 5, data: [-0.2, ", "cols: 5, data: [").contains("distortion_coefficients")
        );
        assert!(
            said("0.0, 1.0, 0.0, -0.0199", "0.0, 2.0, 0.0, -0.0199")
                .contains("rectification_matrix")
        );
        assert!(said("data: [480.0", "data: [0.0").contains("projection_matrix[0]"));
        assert!(said("rows: 3, cols: 4", "rows: 4, cols: 4").contains("3 x 4"));
        assert!(said("image_width: 640", "image_width: 0").contains("width"));
    }
}
