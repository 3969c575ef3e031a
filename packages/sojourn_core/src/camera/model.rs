//! A camera of any model with the size of its image.

use super::{CahvModel, Coefficients, Distortion, Lens, Pinhole};
use crate::{CoreError, error::in_range, files::read_bytes, params::load_yaml};
use nalgebra::{Isometry3, Vector3};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A pixel's line of sight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ray {
    /// Where it starts, metres.
    pub origin: Vector3<f64>,
    /// Where it goes, of unit length.
    pub direction: Vector3<f64>,
}

/// How points become pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Projection {
    /// The ideal camera, in its optical frame.
    Pinhole(Pinhole),
    /// The ideal camera behind one of ROS's lenses, in its optical frame.
    Distorted(Pinhole, Distortion),
    /// JPL's family, in the frame of its file.
    Cahv(CahvModel),
}

/// A camera: how points become pixels, and how many pixels there are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CameraModel {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// The model.
    pub projection: Projection,
}

/// A camera file; vectors of the CAHV family in the frame of the file, metres and pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "model", rename_all = "snake_case", deny_unknown_fields)]
enum CameraFile {
    Pinhole {
        width: usize,
        height: usize,
        fx: f64,
        fy: f64,
        cx: f64,
        cy: f64,
    },
    PlumbBob {
        width: usize,
        height: usize,
        fx: f64,
        fy: f64,
        cx: f64,
        cy: f64,
        d: [f64; 5],
    },
    Equidistant {
        width: usize,
        height: usize,
        fx: f64,
        fy: f64,
        cx: f64,
        cy: f64,
        d: [f64; 4],
    },
    Cahv {
        width: usize,
        height: usize,
        c: [f64; 3],
        a: [f64; 3],
        h: [f64; 3],
        v: [f64; 3],
    },
    Cahvor {
        width: usize,
        height: usize,
        c: [f64; 3],
        a: [f64; 3],
        h: [f64; 3],
        v: [f64; 3],
        o: [f64; 3],
        r: [f64; 3],
    },
    Cahvore {
        width: usize,
        height: usize,
        c: [f64; 3],
        a: [f64; 3],
        h: [f64; 3],
        v: [f64; 3],
        o: [f64; 3],
        r: [f64; 3],
        e: [f64; 3],
        mtype: f64,
        mparm: f64,
    },
}

/// CAHVORE's linearity from a label's model type (1 perspective, 2 fisheye, 3 by parameter) and parameter.
///
/// # Errors
/// [`CoreError::Value`] for any other type.
pub fn linearity(what: &str, mtype: f64, mparm: f64) -> Result<f64, CoreError> {
    match mtype.round() as i64 {
        _ if !((mtype - mtype.round()).abs() < 1e-6) => {}
        1 => return Ok(1.0),
        2 => return Ok(0.0),
        3 => return in_range(what, "mparm", mparm, -1.0, 1.0),
        _ => {}
    }
    Err(CoreError::value(what, "mtype", mtype, "1, 2 or 3"))
}

impl CameraModel {
    /// Reads a camera: a YAML file (`model: pinhole | plumb_bob | equidistant | cahv | cahvor | cahvore`), or any file
    /// that begins with a PDS3 label with a camera model.
    ///
    /// # Errors
    /// [`CoreError`] that names the file and what is wrong.
    pub fn load(path: &Path) -> Result<Self, CoreError> {
        let what = path.display().to_string();
        let yaml = path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("yaml") || e.eq_ignore_ascii_case("yml"));
        if yaml {
            return Self::from_file(&what, load_yaml(path)?);
        }
        let bytes = read_bytes(path, super::pds::MAX_FILE_BYTES)?;
        super::pds::Label::parse(&what, &bytes)?.camera()
    }

    fn from_file(what: &str, file: CameraFile) -> Result<Self, CoreError> {
        let cahv = |c: [f64; 3], a: [f64; 3], h: [f64; 3], v: [f64; 3], lens| {
            let (c, a, h, v) = (c.into(), a.into(), h.into(), v.into());
            CahvModel { c, a, h, v, lens }.checked(what)
        };
        let pinhole = |width, height, [fx, fy, cx, cy]: [f64; 4]| Pinhole {
            width,
            height,
            fx,
            fy,
            cx,
            cy,
        };
        let (width, height, projection) = match file {
            CameraFile::Pinhole {
                width,
                height,
                fx,
                fy,
                cx,
                cy,
            } => {
                let p = pinhole(width, height, [fx, fy, cx, cy]);
                (width, height, Projection::Pinhole(p))
            }
            CameraFile::PlumbBob {
                width,
                height,
                fx,
                fy,
                cx,
                cy,
                d,
            } => {
                let p = pinhole(width, height, [fx, fy, cx, cy]);
                let lens = Distortion::new(what, Coefficients::PlumbBob(d))?;
                (width, height, Projection::Distorted(p, lens))
            }
            CameraFile::Equidistant {
                width,
                height,
                fx,
                fy,
                cx,
                cy,
                d,
            } => {
                let p = pinhole(width, height, [fx, fy, cx, cy]);
                let lens = Distortion::new(what, Coefficients::Equidistant(d))?;
                (width, height, Projection::Distorted(p, lens))
            }
            CameraFile::Cahv {
                width,
                height,
                c,
                a,
                h,
                v,
            } => (
                width,
                height,
                Projection::Cahv(cahv(c, a, h, v, Lens::Linear)?),
            ),
            CameraFile::Cahvor {
                width,
                height,
                c,
                a,
                h,
                v,
                o,
                r,
            } => {
                let lens = Lens::Radial { o: o.into(), r };
                (width, height, Projection::Cahv(cahv(c, a, h, v, lens)?))
            }
            CameraFile::Cahvore {
                width,
                height,
                c,
                a,
                h,
                v,
                o,
                r,
                e,
                mtype,
                mparm,
            } => {
                let linearity = linearity(what, mtype, mparm)?;
                let lens = Lens::Pupil {
                    o: o.into(),
                    r,
                    e,
                    linearity,
                };
                (width, height, Projection::Cahv(cahv(c, a, h, v, lens)?))
            }
        };
        Self {
            width,
            height,
            projection,
        }
        .checked(what)
    }

    /// Checks the size of the image and the focal lengths.
    ///
    /// # Errors
    /// [`CoreError::Value`] that names `what` and the key.
    pub fn checked(self, what: &str) -> Result<Self, CoreError> {
        in_range(what, "width", self.width as f64, 2.0, 16_384.0)?;
        in_range(what, "height", self.height as f64, 2.0, 16_384.0)?;
        if let Projection::Pinhole(p) | Projection::Distorted(p, _) = &self.projection {
            in_range(what, "fx", p.fx, 1.0, 1e6)?;
            in_range(what, "fy", p.fy, 1.0, 1e6)?;
            in_range(what, "cx", p.cx, -1e5, 1e5)?;
            in_range(what, "cy", p.cy, -1e5, 1e5)?;
        }
        Ok(self)
    }

    /// Pixel of a point in the model's frame; `None` where the camera has no image of it. The pixel may lie beyond the
    /// image's edge.
    #[must_use]
    pub fn project(&self, point: &Vector3<f64>) -> Option<[f64; 2]> {
        match &self.projection {
            Projection::Pinhole(p) => p.project(*point),
            Projection::Distorted(p, lens) => {
                if !(point.z > 1e-9) {
                    return None;
                }
                let [x, y] = lens.distort([point.x / point.z, point.y / point.z])?;
                Some([p.cx + p.fx * x, p.cy + p.fy * y])
            }
            Projection::Cahv(m) => m.project(point),
        }
    }

    /// A pixel's line of sight in the model's frame; `None` where the lens has no image.
    #[must_use]
    pub fn ray(&self, [u, v]: [f64; 2]) -> Option<Ray> {
        let (origin, direction) = match &self.projection {
            Projection::Pinhole(p) => (Vector3::zeros(), p.ray(u, v).normalize()),
            Projection::Distorted(p, lens) => {
                let [x, y] = lens.undistort([(u - p.cx) / p.fx, (v - p.cy) / p.fy])?;
                (Vector3::zeros(), Vector3::new(x, y, 1.0).normalize())
            }
            Projection::Cahv(m) => m.ray([u, v])?,
        };
        Some(Ray { origin, direction })
    }

    /// The camera in its own optical frame (x right, y down, z along the axis, origin at the centre), and where that
    /// frame stands in the file's. ROS's models are in their optical frame already.
    #[must_use]
    pub fn in_optical_frame(&self) -> (Self, Isometry3<f64>) {
        match &self.projection {
            Projection::Cahv(m) => {
                let model_from_optical = m.model_from_optical();
                let own = Self {
                    projection: Projection::Cahv(m.moved(&model_from_optical.inverse())),
                    ..*self
                };
                (own, model_from_optical)
            }
            _ => (*self, Isometry3::identity()),
        }
    }

    /// The same camera for an image of `width` × `height` that shows the same field (a binned or reduced image).
    /// Pixel centres are at whole numbers, so the image's edge, at −0.5, is what stays.
    #[must_use]
    pub fn resized(&self, width: usize, height: usize) -> Self {
        let (kx, ky) = (
            width as f64 / self.width as f64,
            height as f64 / self.height as f64,
        );
        let pin = |p: &Pinhole| Pinhole {
            width,
            height,
            fx: kx * p.fx,
            fy: ky * p.fy,
            cx: kx * (p.cx + 0.5) - 0.5,
            cy: ky * (p.cy + 0.5) - 0.5,
        };
        let projection = match &self.projection {
            Projection::Pinhole(p) => Projection::Pinhole(pin(p)),
            Projection::Distorted(p, lens) => Projection::Distorted(pin(p), *lens),
            Projection::Cahv(m) => Projection::Cahv(CahvModel {
                h: kx * m.h + (0.5 * kx - 0.5) * m.a,
                v: ky * m.v + (0.5 * ky - 0.5) * m.a,
                ..*m
            }),
        };
        Self {
            width,
            height,
            projection,
        }
    }
}

impl From<Pinhole> for CameraModel {
    fn from(p: Pinhole) -> Self {
        Self {
            width: p.width,
            height: p.height,
            projection: Projection::Pinhole(p),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAVCAM: &str = "model: cahvore\nwidth: 1280\nheight: 960\nc: [0.563572, 0.473888, -1.90136]\n\
        a: [-0.199471, -0.828431, 0.523382]\nh: [589.435, -711.664, 337.385]\nv: [-3.98773, -26.3001, 884.12]\n\
        o: [-0.198073, -0.828704, 0.52348]\nr: [2.0e-6, 0.049535, -0.015973]\ne: [-0.003612, 0.013016, -0.023961]\n\
        mtype: 2\nmparm: 0\n";
    const LENS: &str = "model: plumb_bob\nwidth: 640\nheight: 480\nfx: 400\nfy: 410\ncx: 322\ncy: 238\n\
        d: [-0.28, 0.09, 0.0005, -0.0003, -0.01]\n";
    const FISH: &str = "model: equidistant\nwidth: 640\nheight: 480\nfx: 280\nfy: 281\ncx: 318\ncy: 242\n\
        d: [-0.02, 0.003, -0.001, 0.0002]\n";

    fn from(text: &str) -> Result<CameraModel, CoreError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("camera.yaml");
        std::fs::write(&path, text).unwrap();
        CameraModel::load(&path)
    }

    proptest! {
        #[test]
        fn every_model_comes_back(u in 0.0f64..640.0, v in 0.0f64..480.0, way_m in 0.5f64..60.0, which in 0usize..3) {
            let camera = from([NAVCAM, LENS, FISH][which]).unwrap().resized(640, 480);
            let ray = camera.ray([u, v]).unwrap();
            let p = camera.project(&(ray.origin + way_m * ray.direction)).unwrap();
            prop_assert!((p[0] - u).hypot(p[1] - v) < 1e-4, "{p:?}");
            let (own, file_from_optical) = camera.in_optical_frame();
            let there = own.ray([u, v]).unwrap();
            prop_assert!((file_from_optical.rotation * there.direction - ray.direction).norm() < 1e-9);
        }
    }

    #[test]
    fn a_smaller_image_shows_the_same_field() {
        let whole = from(NAVCAM).unwrap();
        let half = whole.resized(640, 480);
        let (a, b) = (
            whole.ray([-0.5, -0.5]).unwrap(),
            half.ray([-0.5, -0.5]).unwrap(),
        );
        assert!((a.direction - b.direction).norm() < 1e-12);
        let (a, b) = (
            whole.ray([1279.5, 959.5]).unwrap(),
            half.ray([639.5, 479.5]).unwrap(),
        );
        assert!((a.direction - b.direction).norm() < 1e-12);
    }

    #[test]
    fn what_is_wrong_in_a_file_is_named() {
        for (from_text, to_text, says) in [
            ("mtype: 2", "mtype: 7", "mtype"),
            ("mparm: 0", "mparm: 0\nfocal: 3", "focal"),
            ("width: 1280", "width: 0", "width"),
            (
                "h: [589.435, -711.664, 337.385]",
                "h: [0, 0, 0]",
                "no camera",
            ),
            ("model: cahvore", "model: brown", "brown"),
            ("a: [-0.199471", "a: [.nan", "finite"),
        ] {
            let said = from(&NAVCAM.replace(from_text, to_text))
                .unwrap_err()
                .to_string();
            assert!(said.contains(says), "{says}: {said}");
        }
        let said = from(&LENS.replace("fx: 400", "fx: -1"))
            .unwrap_err()
            .to_string();
        assert!(said.contains("fx"), "{said}");
    }
}
