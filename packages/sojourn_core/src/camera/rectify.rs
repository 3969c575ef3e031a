//! How the raw images of a stereo pair become rectified ones, by the files of its cameras: PDS3 labels, YAML of any
//! model, or ROS's `camera_calibration`.

use super::{
    CahvModel, CameraModel, Pinhole, Projection,
    linearize::{Field, Warp, linear_of_pair},
    ros_file::RosCalibration,
};
use crate::{CoreError, error::in_range};
use nalgebra::{Isometry3, Translation3, UnitQuaternion};
use std::path::Path;

/// Most by which the two eyes' rectified images may differ in their intrinsics, pixels.
const SAME_PX: f64 = 0.01;
/// A left camera of `camera_calibration` stands at its own origin, metres.
const ORIGIN_M: f64 = 1e-9;

/// Where the right camera is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RightEye<'a> {
    /// In a file of its own.
    File(&'a Path),
    /// It is like the left one and stands this far to its right, metres.
    Beside(f64),
}

/// How the raw images of a stereo pair become rectified ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Rectification {
    /// The left and the right image.
    pub warps: [Warp; 2],
    /// The camera of both rectified images.
    pub pinhole: Pinhole,
    /// How far the right camera stands to the right of the left one, along the rectified rows, metres; below 0 where the
    /// two files are exchanged.
    pub baseline_m: f64,
    /// Where the rectified left camera (x right, y down, z along its axis) stands in the frame of the files. Files of
    /// `camera_calibration`, pinhole, `plumb_bob` and `equidistant` are in the left camera's optical frame, which is taken
    /// for the rectified one, as ROS's drivers do with `camera_info`.
    pub file_from_rectified: Isometry3<f64>,
    /// The same in the left camera's own optical frame.
    pub optical_from_rectified: Isometry3<f64>,
}

impl Rectification {
    /// By the files of the cameras.
    ///
    /// # Errors
    /// [`CoreError`] that names the file and what is wrong: it cannot be read, is no camera, or the two are no pair.
    pub fn load(left: &Path, right: RightEye<'_>) -> Result<Self, CoreError> {
        let what = left.display().to_string();
        match right {
            RightEye::File(right) if is_ros(left) && is_ros(right) => Self::by_ros(left, right),
            RightEye::File(right) => {
                let what = format!("{what} and {}", right.display());
                Self::by_models(&what, &CameraModel::load(left)?, &CameraModel::load(right)?)
            }
            RightEye::Beside(beside_m) if is_ros(left) => {
                Self::beside(&what, &RosCalibration::load(left)?.raw, beside_m)
            }
            RightEye::Beside(beside_m) => Self::beside(&what, &CameraModel::load(left)?, beside_m),
        }
    }

    /// By ROS's calibration of both eyes, which says what the rectified images are.
    fn by_ros(left: &Path, right: &Path) -> Result<Self, CoreError> {
        let (l, r) = (RosCalibration::load(left)?, RosCalibration::load(right)?);
        let what = format!("{} and {}", left.display(), right.display());
        let (a, b) = (l.pinhole, r.pinhole);
        if (a.width, a.height) != (b.width, b.height) {
            return Err(sizes(&what, &l.raw, &r.raw));
        }
        if l.baseline_m.abs() > ORIGIN_M || !(r.baseline_m > 0.0) {
            return Err(CoreError::format(
                what,
                format!(
                    "projection_matrix[3] puts the left camera at {} m and the right one at {} m, expected 0 and a distance above 0",
                    l.baseline_m, r.baseline_m
                ),
            ));
        }
        let apart = [a.fx - b.fx, a.fy - b.fy, a.cx - b.cx, a.cy - b.cy];
        if !apart.iter().all(|d| d.abs() < SAME_PX) {
            return Err(CoreError::format(
                what,
                format!("their projection matrices differ by {apart:?} px, expected one for both"),
            ));
        }
        Ok(Self {
            warps: [
                Warp::new(&l.rectified, &l.raw),
                Warp::new(&r.rectified, &r.raw),
            ],
            pinhole: a,
            baseline_m: r.baseline_m,
            file_from_rectified: Isometry3::identity(),
            optical_from_rectified: Isometry3::identity(),
        })
    }

    /// By two models of the CAHV family in one frame, as PDS labels have them; `what` names them in errors.
    ///
    /// # Errors
    /// [`CoreError`] when one has no place, their images differ in size, or they are no pair.
    pub fn by_models(
        what: &str,
        left: &CameraModel,
        right: &CameraModel,
    ) -> Result<Self, CoreError> {
        let centre = |c: &CameraModel| match &c.projection {
            Projection::Cahv(m) => Some(m.c),
            _ => None,
        };
        let (Some(a), Some(b)) = (centre(left), centre(right)) else {
            return Err(CoreError::format(
                what,
                "a camera of the models pinhole, plumb_bob or equidistant has no place: say how far beside the left one the right \
                 one stands, or give files of camera_calibration",
            ));
        };
        if (left.width, left.height) != (right.width, right.height) {
            return Err(sizes(what, left, right));
        }
        let [l, r] = linear_of_pair(left, right, Field::Least)
            .map_err(|e| CoreError::format(what, e.to_string()))?;
        let linear = linear_model(what, &l)?;
        let i = linear.intrinsics();
        let file_from_rectified = linear.model_from_optical();
        let (_, file_from_optical) = left.in_optical_frame();
        Ok(Self {
            warps: [Warp::new(&l, left), Warp::new(&r, right)],
            pinhole: Pinhole {
                width: l.width,
                height: l.height,
                fx: i.hs,
                fy: i.vs,
                cx: i.hc,
                cy: i.vc,
            },
            baseline_m: (b - a).dot(&i.right),
            file_from_rectified,
            optical_from_rectified: file_from_optical.inverse() * file_from_rectified,
        })
    }

    /// Two cameras alike, one `beside_m` to the right of the other; `what` names them in errors.
    ///
    /// # Errors
    /// [`CoreError`] when the distance is none.
    pub fn beside(what: &str, left: &CameraModel, beside_m: f64) -> Result<Self, CoreError> {
        in_range(
            what,
            "the distance to the right camera in metres",
            beside_m,
            1e-3,
            100.0,
        )?;
        let (own, file_from_optical) = left.in_optical_frame();
        let pinhole = match &own.projection {
            Projection::Cahv(m) => {
                let turn = UnitQuaternion::identity();
                let aside = Isometry3::from_parts(Translation3::new(beside_m, 0.0, 0.0), turn);
                let right = CameraModel {
                    projection: Projection::Cahv(m.moved(&aside)),
                    ..own
                };
                let pair = Self::by_models(what, &own, &right)?;
                return Ok(Self {
                    file_from_rectified: file_from_optical * pair.optical_from_rectified,
                    ..pair
                });
            }
            Projection::Distorted(p, _) | Projection::Pinhole(p) => *p,
        };
        let warp = Warp::new(&pinhole.into(), &own);
        Ok(Self {
            warps: [warp.clone(), warp],
            pinhole,
            baseline_m: beside_m,
            file_from_rectified: Isometry3::identity(),
            optical_from_rectified: Isometry3::identity(),
        })
    }
}

fn is_ros(file: &Path) -> bool {
    file.extension().is_some_and(|e| e == "yaml" || e == "yml") && RosCalibration::is_one(file)
}

fn sizes(what: &str, left: &CameraModel, right: &CameraModel) -> CoreError {
    let words = |c: &CameraModel| format!("{} x {}", c.width, c.height);
    let reason = format!(
        "the left camera's images are {}, the right one's {}, expected one size",
        words(left),
        words(right)
    );
    CoreError::format(what, reason)
}

fn linear_model<'a>(what: &str, camera: &'a CameraModel) -> Result<&'a CahvModel, CoreError> {
    match &camera.projection {
        Projection::Cahv(m) => Ok(m),
        _ => Err(CoreError::format(what, "is no linear camera")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::{Point3, Vector3};
    use std::path::PathBuf;

    /// Perseverance's left navigation camera, smaller; in a frame with x ahead, y to the right, z down.
    const LEFT: &str = "model: cahvore\nwidth: 320\nheight: 240\nc: [0.563572, 0.473888, -1.90136]\n\
        a: [-0.199471, -0.828431, 0.523382]\nh: [147.4336, -177.6054, 84.1500]\nv: [-0.92213, -6.26437, 220.8337]\n\
        o: [-0.198073, -0.828704, 0.52348]\nr: [2.0e-6, 0.049535, -0.015973]\ne: [-0.003612, 0.013016, -0.023961]\n\
        mtype: 2\nmparm: 0\n";
    const LENS: &str = "model: plumb_bob\nwidth: 320\nheight: 240\nfx: 200\nfy: 200\ncx: 160\ncy: 120\n\
        d: [-0.1, 0.02, 0.0, 0.0, 0.0]\n";

    fn dir() -> (tempfile::TempDir, impl Fn(&str, &str) -> PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().to_path_buf();
        (dir, move |name: &str, text: &str| {
            let path = base.join(name);
            std::fs::write(&path, text).unwrap();
            path
        })
    }

    /// The text of a camera like the left one that stands `aside_m` to its right.
    fn right(aside_m: f64) -> String {
        let (_dir, file) = dir();
        let left = CameraModel::load(&file("left.yaml", LEFT)).unwrap();
        let (_, file_from_optical) = left.in_optical_frame();
        let c = file_from_optical * Point3::new(aside_m, 0.0, 0.0);
        LEFT.replace(
            "[0.563572, 0.473888, -1.90136]",
            &format!("[{}, {}, {}]", c.x, c.y, c.z),
        )
    }

    #[test]
    fn a_cahvore_pair_is_rectified_and_stands_where_its_file_says() {
        let (_dir, file) = dir();
        let (l, r) = (file("left.yaml", LEFT), file("right.yaml", &right(0.4)));
        let pair = Rectification::load(&l, RightEye::File(&r)).unwrap();
        assert!((pair.baseline_m - 0.4).abs() < 1e-6, "{}", pair.baseline_m);
        let same = Rectification::load(&l, RightEye::Beside(0.4)).unwrap();
        assert!((same.baseline_m - 0.4).abs() < 1e-6);
        let apart = same.file_from_rectified.inverse() * pair.file_from_rectified;
        assert!(apart.translation.vector.norm() < 1e-6 && apart.rotation.angle() < 1e-6);
        // A point of the file's frame: the rectified images show it on one row, as far apart as its depth says.
        let (left, right) = (
            CameraModel::load(&l).unwrap(),
            CameraModel::load(&r).unwrap(),
        );
        let own = left.in_optical_frame().1;
        let p = own * Point3::new(0.5, 0.3, 6.0);
        let at = pair.file_from_rectified.inverse() * p;
        let [u, v] = pair.pinhole.project(at.coords).unwrap();
        let shift = pair.pinhole.fx * pair.baseline_m / at.z;
        for (camera, warp, u) in [
            (left, &pair.warps[0], u),
            (right, &pair.warps[1], u - shift),
        ] {
            let raw = camera.project(&p.coords).unwrap();
            let (i, j) = (u.round() as usize, v.round() as usize);
            let [a, b] = warp.from[j * warp.width + i].map(f64::from);
            assert!((a - raw[0]).hypot(b - raw[1]) < 1.5, "{raw:?} {a} {b}");
        }
        let exchanged = Rectification::load(&r, RightEye::File(&l)).unwrap();
        assert!((exchanged.baseline_m + 0.4).abs() < 1e-6);
    }

    #[test]
    fn a_lens_of_ros_gives_its_pinhole() {
        let (_dir, file) = dir();
        let lens = file("lens.yaml", LENS);
        let pair = Rectification::load(&lens, RightEye::Beside(0.2)).unwrap();
        assert_eq!((pair.pinhole.fx, pair.pinhole.cx), (200.0, 160.0));
        assert_eq!(pair.file_from_rectified, Isometry3::identity());
        assert_eq!(pair.warps[0], pair.warps[1]);
        let gap = pair.warps[0].from[0][0];
        assert!(gap > 1.0, "a barrel's corner comes from farther in: {gap}");
        let up = Vector3::new(0.0, 0.0, 1.0);
        assert!(pair.pinhole.project(up).is_some());
    }

    #[test]
    fn what_is_no_pair_is_named() {
        let (_dir, file) = dir();
        let (left, lens) = (file("left.yaml", LEFT), file("lens.yaml", LENS));
        let small = file(
            "small.yaml",
            &right(0.4).replace("width: 320", "width: 300"),
        );
        let broken = file("broken.yaml", "model: brown\n");
        let text = file("text.img", "no label at all");
        let none = lens.with_file_name("none.yaml");
        for (l, r, says) in [
            (&lens, RightEye::File(&lens), "has no place"),
            (&left, RightEye::File(&lens), "has no place"),
            (&left, RightEye::File(&left), "stand at one place"),
            (
                &left,
                RightEye::File(&small),
                "320 x 240, the right one's 300 x 240",
            ),
            (
                &left,
                RightEye::Beside(-1.0),
                "distance to the right camera",
            ),
            (
                &lens,
                RightEye::Beside(f64::NAN),
                "distance to the right camera",
            ),
            (&left, RightEye::File(&broken), "brown"),
            (&text, RightEye::Beside(0.2), "text.img"),
            (&none, RightEye::Beside(0.2), "none.yaml"),
        ] {
            let said = Rectification::load(l, r).unwrap_err().to_string();
            assert!(
                said.contains(says) && !said.contains('\n'),
                "{says}: {said}"
            );
        }
    }
}
