//! What every recording comes down to: inputs of the localization core in the order of time, and perhaps the truth.

use crate::grey_file;
use nalgebra::{Isometry3, Quaternion, Translation3, UnitQuaternion};
use serde::Deserialize;
use sojourn_core::{CoreError, Stamp, camera::Pinhole, error::in_range};
use sojourn_localization::{
    Input,
    trajectory::Trajectory,
    vo::{GrayImage, StereoCamera, StereoPair},
};
use std::collections::BTreeMap;
use std::path::Path;

/// Which data a recording has: its names and how many of each.
pub type Contents = BTreeMap<&'static str, u64>;

/// Takes an input at the time it was heard; an error ends the replay.
pub type Sink<'a> = dyn FnMut(Stamp, Input) -> anyhow::Result<()> + 'a;

/// A recording.
pub trait Recorded {
    /// What it is, for messages and pictures.
    fn name(&self) -> String;

    /// What it holds of `imu`, `wheels` and `pairs`.
    fn contents(&self) -> &Contents;

    /// What is lacking or was left out, one sentence each.
    fn notes(&self) -> &[String];

    /// Where the rover was, and the point of the body that it tells of.
    fn truth(&self) -> Option<&Truth>;

    /// First and last stamp.
    fn span(&self) -> (Stamp, Stamp);

    /// Gives all inputs in the order of time.
    ///
    /// # Errors
    /// One sentence that names the file; or what the sink says.
    fn play(&self, sink: &mut Sink<'_>) -> anyhow::Result<()>;
}

/// Where the rover was.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    /// The places.
    pub trajectory: Trajectory,
    /// The point of the body that they tell of: its pose in `base_link`.
    pub base_link_from_point: Isometry3<f64>,
    /// Longest gap that is interpolated over, seconds.
    pub most_gap_s: f64,
}

/// A position and an orientation as files give them.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoseFile {
    /// Position, metres.
    pub position_m: [f64; 3],
    /// Orientation x, y, z, w.
    pub quaternion_xyzw: [f64; 4],
}

impl PoseFile {
    /// The pose.
    ///
    /// # Errors
    /// [`CoreError::Value`] when the quaternion has no length.
    pub fn isometry(&self, what: &str) -> Result<Isometry3<f64>, CoreError> {
        let [x, y, z, w] = self.quaternion_xyzw;
        for v in self.position_m {
            in_range(what, "position_m", v, -1e6, 1e6)?;
        }
        let rotation =
            UnitQuaternion::try_new(Quaternion::new(w, x, y, z), 1e-6).ok_or_else(|| {
                CoreError::value(
                    what,
                    "quaternion_xyzw",
                    format!("{x}, {y}, {z}, {w}"),
                    "a quaternion of length 1",
                )
            })?;
        let [x, y, z] = self.position_m;
        Ok(Isometry3::from_parts(Translation3::new(x, y, z), rotation))
    }
}

/// `camera.yaml`: a rectified pair of cameras and how it is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraFile {
    /// Columns, pixels.
    pub width: usize,
    /// Rows, pixels.
    pub height: usize,
    /// Focal lengths, pixels.
    pub fx: f64,
    /// Focal lengths, pixels.
    pub fy: f64,
    /// Principal point, pixels; the middle of the first pixel is 0.
    pub cx: f64,
    /// Principal point, pixels.
    pub cy: f64,
    /// Distance of the right camera along the left one's x axis, metres.
    pub baseline_m: f64,
    /// Where the left optical frame (x right, y down, z ahead) stands in `base_link` (x ahead, y left, z up, origin on the
    /// ground between the wheels).
    pub base_link_from_left: PoseFile,
}

/// The rectified cameras of a recording and where they stand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rig {
    /// The cameras.
    pub camera: StereoCamera,
    /// Where the left one stands.
    pub base_link_from_left: Isometry3<f64>,
}

impl CameraFile {
    /// Reads a file.
    ///
    /// # Errors
    /// [`CoreError`] that names file and key.
    pub fn load(path: &Path) -> Result<Rig, CoreError> {
        let file: Self = sojourn_core::params::load_yaml(path)?;
        file.rig(&path.display().to_string())
    }

    /// Checks the values.
    ///
    /// # Errors
    /// [`CoreError::Value`] that names the key.
    pub fn rig(&self, what: &str) -> Result<Rig, CoreError> {
        for (name, value, lo, hi) in [
            ("width", self.width as f64, 32.0, 8192.0),
            ("height", self.height as f64, 32.0, 8192.0),
            ("fx", self.fx, 1.0, 1e5),
            ("fy", self.fy, 1.0, 1e5),
            ("cx", self.cx, -1e5, 1e5),
            ("cy", self.cy, -1e5, 1e5),
            ("baseline_m", self.baseline_m, 0.001, 10.0),
        ] {
            in_range(what, name, value, lo, hi)?;
        }
        Ok(Rig {
            camera: StereoCamera {
                pinhole: Pinhole {
                    width: self.width,
                    height: self.height,
                    fx: self.fx,
                    fy: self.fy,
                    cx: self.cx,
                    cy: self.cy,
                },
                baseline_m: self.baseline_m,
            },
            base_link_from_left: self.base_link_from_left.isometry(what)?,
        })
    }
}

/// A camera over the origin of `base_link` that looks ahead and down.
#[must_use]
pub fn looking_ahead(height_m: f64, down_rad: f64) -> Isometry3<f64> {
    // Optical axes (x right, y down, z ahead) in a frame forward-left-up.
    let flu_from_optical = nalgebra::Rotation3::from_matrix_unchecked(nalgebra::Matrix3::new(
        0.0, 0.0, 1.0, -1.0, 0.0, 0.0, 0.0, -1.0, 0.0,
    ));
    let look = nalgebra::Rotation3::from_euler_angles(0.0, down_rad, 0.0);
    Isometry3::from_parts(
        Translation3::new(0.0, 0.0, height_m),
        UnitQuaternion::from_rotation_matrix(&(look * flu_from_optical)),
    )
}

/// A pair from two files.
///
/// # Errors
/// One sentence that names the file; an image of another size than the camera's.
pub fn load_pair(left: &Path, right: &Path, rig: &Rig) -> anyhow::Result<Box<StereoPair>> {
    let image = |path: &Path| -> anyhow::Result<GrayImage> {
        let (width, height, data) = grey_file::read(path)?;
        let c = &rig.camera.pinhole;
        anyhow::ensure!(
            (width, height) == (c.width, c.height),
            "{}: image is {width} x {height}, expected {} x {} as the camera has",
            path.display(),
            c.width,
            c.height
        );
        GrayImage::new(width, height, data)
            .ok_or_else(|| anyhow::anyhow!("{}: an image without pixels", path.display()))
    };
    Ok(Box::new(StereoPair {
        left: image(left)?,
        right: image(right)?,
        camera: rig.camera,
        base_link_from_navcam: rig.base_link_from_left,
    }))
}

/// Puts streams, each in order, into one in the order of time.
#[must_use]
pub fn merged<T>(mut streams: Vec<Vec<(Stamp, T)>>) -> Vec<(Stamp, T)> {
    let mut all: Vec<(Stamp, T)> = streams.iter_mut().flat_map(|s| s.drain(..)).collect();
    all.sort_by_key(|e| e.0);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAMERA: &str = "{width: 640, height: 480, fx: 288, fy: 324, cx: 319.5, cy: 239.5, baseline_m: 0.4, \
        base_link_from_left: {position_m: [1, 0.2, 2], quaternion_xyzw: [0, 0, 0, 1]}}";

    #[test]
    fn camera_files_are_checked() {
        let load = |text: &str| -> Result<Rig, CoreError> {
            sojourn_core::params::parse_yaml::<CameraFile>("camera.yaml", text)?.rig("camera.yaml")
        };
        assert!((load(CAMERA).unwrap().camera.baseline_m - 0.4).abs() < 1e-12);
        for (from, to, words) in [
            ("fx: 288", "fx: -1", "fx is -1"),
            ("baseline_m: 0.4", "baseline_m: 0", "baseline_m is 0"),
            ("[0, 0, 0, 1]", "[0, 0, 0, 0]", "quaternion_xyzw"),
            ("width: 640", "wide: 640", "wide"),
            ("cx: 319.5", "cx: .nan", "cx"),
        ] {
            let why = load(&CAMERA.replace(from, to)).unwrap_err().to_string();
            assert!(why.contains("camera.yaml") && why.contains(words), "{why}");
        }
    }

    #[test]
    fn a_camera_that_looks_down_sees_the_ground_before_it() {
        let pose = looking_ahead(2.0, 45f64.to_radians());
        let ahead = pose * nalgebra::Point3::new(0.0, 0.0, 2.0 * 2f64.sqrt());
        assert!(
            (ahead - nalgebra::Point3::new(2.0, 0.0, 0.0)).norm() < 1e-9,
            "{ahead}"
        );
    }
}
