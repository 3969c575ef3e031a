//! The linear camera that an image is warped to before stereo, and the warp.
//!
//! For one camera the axis is the middle of the rays around the image's border; for a pair both images get the same
//! axes, with the rows along the baseline (Grandjean, "Stereo images warping and triangulation", 1992, the idea behind
//! JPL's linearised products), so that a point lies on the same row of both. The field is the least or the greatest that
//! the border allows.

use super::{CahvModel, CameraModel, Lens, Projection, residual::Grey};
use crate::CoreError;
use nalgebra::Vector3;
use rayon::prelude::*;

/// How much of the raw image a linear image shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Only what fills the whole linear image: no empty corners.
    Least,
    /// Everything that the middle of each side sees.
    Greatest,
}

/// No side of a linear image looks farther from its axis than this, whatever the lens sees: cot 75°.
const LEAST_COT: f64 = 0.268;

/// The linear camera of one camera, with the same centre and image size.
///
/// # Errors
/// [`CoreError::Format`] when the lens has no image at its own border or the field is no field of a linear camera.
pub fn linear_of(camera: &CameraModel, field: Field) -> Result<CameraModel, CoreError> {
    let border = border(camera)?;
    let axis = mean(border.iter())?;
    let right = (border[5] - border[3]).cross(&axis);
    let right = axis.cross(&right);
    linear(camera, axis, right, &[camera], field)
}

/// The linear cameras of a stereo pair: equal but for their centres, rows along the baseline.
///
/// # Errors
/// As [`linear_of`], and when the cameras stand at one place or the baseline runs along their look.
pub fn linear_of_pair(
    left: &CameraModel,
    right: &CameraModel,
    field: Field,
) -> Result<[CameraModel; 2], CoreError> {
    let both = [border(left)?, border(right)?];
    let look = mean(both.iter().flatten())?;
    let columns: Vector3<f64> = both.iter().map(|b| b[5] - b[3]).sum();
    let baseline = centre(right) - centre(left);
    let right_axis = baseline
        .try_normalize(1e-6)
        .ok_or_else(|| no_camera("its two cameras stand at one place"))?;
    // A right camera that stands on the left still gives images with columns to the right.
    let right_axis = right_axis * right_axis.dot(&columns).signum();
    let axis = (look - look.dot(&right_axis) * right_axis)
        .try_normalize(0.3)
        .ok_or_else(|| no_camera("its baseline runs along the look"))?;
    let cameras = [left, right];
    Ok([
        linear(left, axis, right_axis, &cameras, field)?,
        linear(right, axis, right_axis, &cameras, field)?,
    ])
}

fn no_camera(reason: &str) -> CoreError {
    CoreError::format("linear camera", reason)
}

/// Directions at corners and middles of the sides, row by row, with the centre: 3 and 5 are the middles of the left and right side.
fn border(camera: &CameraModel) -> Result<[Vector3<f64>; 9], CoreError> {
    let (w, h) = (camera.width as f64 - 1.0, camera.height as f64 - 1.0);
    let mut out = [Vector3::zeros(); 9];
    for (k, place) in out.iter_mut().enumerate() {
        let at = [0.5 * w * (k % 3) as f64, 0.5 * h * (k / 3) as f64];
        let ray = camera
            .ray(at)
            .ok_or_else(|| no_camera("the lens has no image at its own border"))?;
        *place = ray.direction;
    }
    Ok(out)
}

fn mean<'a>(of: impl Iterator<Item = &'a Vector3<f64>>) -> Result<Vector3<f64>, CoreError> {
    of.sum::<Vector3<f64>>()
        .try_normalize(1e-6)
        .ok_or_else(|| no_camera("its border looks in all directions"))
}

fn centre(camera: &CameraModel) -> Vector3<f64> {
    match &camera.projection {
        Projection::Cahv(m) => m.c,
        _ => Vector3::zeros(),
    }
}

fn linear(
    camera: &CameraModel,
    axis: Vector3<f64>,
    right: Vector3<f64>,
    seen_by: &[&CameraModel],
    field: Field,
) -> Result<CameraModel, CoreError> {
    let right = right
        .try_normalize(1e-9)
        .ok_or_else(|| no_camera("its rows have no direction"))?;
    let down = axis.cross(&right).normalize();
    let (mut least, mut greatest) = ([f64::INFINITY; 2], [0.0f64; 2]);
    for camera in seen_by {
        let border = border(camera)?;
        // left and right sides for the columns, upper and lower for the rows
        let sides = [[0, 3, 6, 2, 5, 8], [0, 1, 2, 6, 7, 8]];
        for (k, (side, across)) in sides.iter().zip([right, down]).enumerate() {
            for i in side {
                let depth = border[*i].dot(&axis);
                let tangent = if depth > 1e-9 {
                    (border[*i].dot(&across) / depth).abs()
                } else {
                    f64::INFINITY
                };
                least[k] = least[k].min(tangent);
                greatest[k] = greatest[k].max(tangent);
            }
        }
    }
    let [tx, ty] = match field {
        Field::Least => least,
        Field::Greatest => greatest.map(|t| t.min(1.0 / LEAST_COT)),
    };
    let (hc, vc) = (
        0.5 * (camera.width as f64 - 1.0),
        0.5 * (camera.height as f64 - 1.0),
    );
    let model = CahvModel {
        c: centre(camera),
        a: axis,
        h: hc / tx * right + hc * axis,
        v: vc / ty * down + vc * axis,
        lens: Lens::Linear,
    }
    .checked("linear camera")?;
    Ok(CameraModel {
        projection: Projection::Cahv(model),
        ..*camera
    })
}

/// Where each pixel of one camera's image lies in another's from (nearly) the same place.
#[derive(Clone, Debug, PartialEq)]
pub struct Warp {
    /// Columns of the image that is made.
    pub width: usize,
    /// Rows of the image that is made.
    pub height: usize,
    /// Places in the image that is read; not-a-number where it shows nothing.
    pub from: Vec<[f32; 2]>,
}

/// Ground is taken to be this far, metres: beyond it a moving entrance pupil does not show.
const FAR_M: f64 = 1e4;

impl Warp {
    /// The warp that makes `to`'s image from `from`'s; both models in one frame.
    #[must_use]
    pub fn new(to: &CameraModel, from: &CameraModel) -> Self {
        let place = |k: usize| {
            let pixel = [(k % to.width) as f64, (k / to.width) as f64];
            to.ray(pixel)
                .and_then(|r| from.project(&(r.origin + FAR_M * r.direction)))
                .filter(|[u, v]| {
                    *u >= -0.5
                        && *v >= -0.5
                        && *u <= from.width as f64 - 0.5
                        && *v <= from.height as f64 - 0.5
                })
                .map_or([f32::NAN; 2], |[u, v]| [u as f32, v as f32])
        };
        Self {
            width: to.width,
            height: to.height,
            from: (0..to.width * to.height)
                .into_par_iter()
                .map(place)
                .collect(),
        }
    }

    /// The warped image, by bilinear interpolation; not-a-number where there is nothing to read.
    #[must_use]
    pub fn apply(&self, image: &Grey<'_>) -> Vec<f32> {
        let (w, h) = (image.width, image.height);
        let sample = |[u, v]: &[f32; 2]| {
            if !(u.is_finite() && v.is_finite()) || w < 2 || h < 2 {
                return f32::NAN;
            }
            let (u, v) = (u.clamp(0.0, (w - 1) as f32), v.clamp(0.0, (h - 1) as f32));
            let (i, j) = ((u as usize).min(w - 2), (v as usize).min(h - 2));
            let (x, y) = (u - i as f32, v - j as f32);
            let s = &image.samples[j * w + i..];
            (s[0] * (1.0 - x) + s[1] * x) * (1.0 - y) + (s[w] * (1.0 - x) + s[w + 1] * x) * y
        };
        self.from.par_iter().map(sample).collect()
    }

    /// The same with an image of bytes; what the camera does not show becomes black, which a matcher takes for ground without
    /// texture.
    ///
    /// # Errors
    /// [`CoreError::Value`] when the image is not of the size that the warp is for, which is that of the image it makes.
    pub fn apply_to_bytes(
        &self,
        width: usize,
        height: usize,
        pixels: &[u8],
    ) -> Result<Vec<u8>, CoreError> {
        if (width, height) != (self.width, self.height) || pixels.len() != width * height {
            return Err(CoreError::value(
                "an image",
                "its size",
                format!("{width} x {height} with {} pixels", pixels.len()),
                format!("{} x {} as its calibration says", self.width, self.height),
            ));
        }
        let samples: Vec<f32> = pixels.iter().map(|p| f32::from(*p)).collect();
        let grey = Grey {
            width,
            height,
            samples: &samples,
        };
        // A cast of not-a-number is 0.
        Ok(self
            .apply(&grey)
            .into_iter()
            .map(|v| v.round() as u8)
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::{pds::PdsImage, residual};
    use std::path::{Path, PathBuf};

    fn data() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/pds_navcam_cahvor")
    }

    fn spirit() -> CameraModel {
        let c: [[f64; 3]; 6] = [
            [0.454993, 0.141198, -1.23312],
            [-0.69585, 0.571462, 0.435],
            [-1075.03, -654.572, 220.543],
            [50.6594, -19.3653, 1294.76],
            [-0.61985, 0.672629, 0.404174],
            [0.019876, -0.014281, 0.020876],
        ];
        let model = CahvModel {
            c: c[0].into(),
            a: c[1].into(),
            h: c[2].into(),
            v: c[3].into(),
            lens: Lens::Radial {
                o: c[4].into(),
                r: c[5],
            },
        };
        CameraModel {
            width: 1024,
            height: 1024,
            projection: Projection::Cahv(model.checked("spirit").unwrap()),
        }
    }

    #[test]
    fn a_linear_camera_of_least_field_has_no_empty_corner() {
        let raw = spirit();
        let full = |field| {
            let warp = Warp::new(&linear_of(&raw, field).unwrap(), &raw);
            warp.from.iter().filter(|p| p[0].is_finite()).count() as f64 / (1024.0 * 1024.0)
        };
        let (least, greatest) = (full(Field::Least), full(Field::Greatest));
        assert!(least > 0.998, "{least}");
        assert!(greatest <= least && greatest > 0.9, "{greatest}");
    }

    #[test]
    fn a_pair_sees_a_point_on_one_row() {
        let left = spirit();
        let Projection::Cahv(m) = left.projection else {
            panic!("{left:?}")
        };
        // A right camera beside it, a little turned and rolled.
        let i = m.intrinsics();
        let turn = nalgebra::Isometry3::rotation(0.01 * m.a + 0.02 * i.down - 0.005 * i.right);
        let mut other = m.moved(&turn);
        other.c = m.c + 0.2 * i.right + 0.003 * i.down;
        let right = CameraModel {
            projection: Projection::Cahv(other),
            ..left
        };
        let [a, b] = linear_of_pair(&left, &right, Field::Least).unwrap();
        for (u, v, way) in [
            (100.0, 200.0, 2.0),
            (900.0, 500.0, 8.0),
            (512.0, 1000.0, 40.0),
        ] {
            let ray = a.ray([u, v]).unwrap();
            let p = ray.origin + way * ray.direction;
            let seen = b.project(&p).unwrap();
            assert!((seen[1] - v).abs() < 1e-6, "{seen:?}");
            assert!(seen[0] < u, "{seen:?}");
        }
    }

    /// JPL linearised Spirit's image 2N292280938 itself: warping the raw image with the two label models must give it.
    #[test]
    fn jpls_linearised_image_comes_out() {
        let (raw, jpl) = (
            data().join("2n292280938effb100p0703l0m1.img"),
            data().join("2n292280938rslb100p0703l0m1.img"),
        );
        if !raw.exists() {
            eprintln!("skipped: {} is not here", raw.display());
            return;
        }
        let (raw, jpl) = (PdsImage::load(&raw).unwrap(), PdsImage::load(&jpl).unwrap());
        let (from, to) = (raw.label.camera().unwrap(), jpl.label.camera().unwrap());
        let made = Warp::new(&to, &from).apply(&raw.grey());
        let made = Grey {
            width: to.width,
            height: to.height,
            samples: &made,
        };
        let shifts = residual::shifts(&made, &jpl.grey(), 32);
        let (median, ninety) = (
            residual::quantile_px(&shifts, 0.5).unwrap(),
            residual::quantile_px(&shifts, 0.9).unwrap(),
        );
        eprintln!(
            "{} patches, median {median:.3} px, 90 % {ninety:.3} px",
            shifts.len()
        );
        assert!(shifts.len() > 300, "{}", shifts.len());
        assert!(median <= 0.2, "{median}");
        assert!(ninety <= 0.5, "{ninety}");
        // Without the warp the two are pixels apart: the measure can tell.
        let without = residual::shifts(&raw.grey(), &jpl.grey(), 32);
        assert!(residual::quantile_px(&without, 0.5).unwrap() > 1.0);
    }
}
