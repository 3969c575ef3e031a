//! JPL's camera models: CAHV (Yakimovsky and Cunningham 1978), CAHVOR (Gennery 1992) and CAHVORE (Gennery, "Generalized
//! camera calibration including fish-eye lenses", IJCV 2006).
//!
//! `C` is the camera's centre, `A` the unit normal of the image plane, `H` and `V` hold direction, focal length and
//! centre of columns and rows: a linear camera sees `P` at `u = (P−C)·H / (P−C)·A`, `v = (P−C)·V / (P−C)·A`. `O` is the
//! lens's axis, `R` the radial distortion about it, `E` the movement of the entrance pupil along it with the angle of
//! the ray. Vectors are in the frame the file names (for rovers `ROVER_NAV`: x forward, y right, z down), lengths metres.

use crate::{CoreError, error::in_range};
use nalgebra::{Isometry3, Matrix3, Rotation3, UnitQuaternion, Vector3};

/// What the lens does beyond the linear camera.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lens {
    /// Nothing: CAHV.
    Linear,
    /// CAHVOR: radial distortion about an axis.
    Radial {
        /// Unit vector of the lens's axis.
        o: Vector3<f64>,
        /// Coefficients of 1, tan²θ, tan⁴θ.
        r: [f64; 3],
    },
    /// CAHVORE: any lens from perspective to fisheye, with a moving entrance pupil.
    Pupil {
        /// Unit vector of the lens's axis.
        o: Vector3<f64>,
        /// Coefficients of 1, χ², χ⁴.
        r: [f64; 3],
        /// Movement of the entrance pupil: coefficients of 1, θ², θ⁴, metres.
        e: [f64; 3],
        /// 1 for perspective (type 1), 0 for fisheye (type 2), the label's parameter for type 3.
        linearity: f64,
    },
}

/// A camera of the CAHV family.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CahvModel {
    /// Centre, metres.
    pub c: Vector3<f64>,
    /// Unit normal of the image plane, away from the camera.
    pub a: Vector3<f64>,
    /// Columns: `h_s · H' + h_c · A`, pixels.
    pub h: Vector3<f64>,
    /// Rows: `v_s · V' + v_c · A`, pixels.
    pub v: Vector3<f64>,
    /// The lens.
    pub lens: Lens,
}

/// A linear camera taken apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Intrinsics {
    /// Focal length along the columns, pixels.
    pub hs: f64,
    /// Focal length along the rows, pixels.
    pub vs: f64,
    /// Column where the axis `A` meets the image.
    pub hc: f64,
    /// Row where the axis `A` meets the image.
    pub vc: f64,
    /// Unit vector to the right in the image.
    pub right: Vector3<f64>,
    /// Unit vector down in the image.
    pub down: Vector3<f64>,
}

const STEPS: usize = 50;
const TINY: f64 = 1e-12;

impl CahvModel {
    /// Checks that the vectors make a camera: finite, `A` and `O` of unit length (rounding of a label is mended),
    /// columns and rows not parallel.
    ///
    /// # Errors
    /// [`CoreError`] that names `what` and the vector.
    pub fn checked(mut self, what: &str) -> Result<Self, CoreError> {
        let all = [("C", self.c), ("A", self.a), ("H", self.h), ("V", self.v)];
        for (name, vector) in all {
            for x in vector.iter() {
                in_range(what, name, *x, -1e6, 1e6)?;
            }
        }
        self.a = unit(what, "A", self.a)?;
        match &mut self.lens {
            Lens::Linear => {}
            Lens::Radial { o, r } => {
                *o = unit(what, "O", *o)?;
                for x in r {
                    in_range(what, "R", *x, -100.0, 100.0)?;
                }
            }
            Lens::Pupil { o, r, e, linearity } => {
                *o = unit(what, "O", *o)?;
                for x in r.iter().chain(e.iter()) {
                    in_range(what, "R or E", *x, -100.0, 100.0)?;
                }
                in_range(
                    what,
                    "linearity (type and parameter)",
                    *linearity,
                    -1.0,
                    1.0,
                )?;
            }
        }
        let i = self.intrinsics();
        let square = i.right.dot(&i.down).abs() < 0.1 && i.hs > 1.0 && i.vs > 1.0;
        if !square || !(self.a.dot(&i.right.cross(&i.down)) > 0.5) {
            return Err(CoreError::format(
                what,
                format!(
                    "H and V make no camera: focal lengths {:.3} and {:.3} px, axes {:.1}° apart, expected two positive \
                     lengths and a right angle with A away from the camera",
                    i.hs,
                    i.vs,
                    i.right.dot(&i.down).clamp(-1.0, 1.0).acos().to_degrees()
                ),
            ));
        }
        Ok(self)
    }

    /// Focal lengths, centre and axes of the linear part.
    #[must_use]
    pub fn intrinsics(&self) -> Intrinsics {
        let (hc, vc) = (self.h.dot(&self.a), self.v.dot(&self.a));
        let (right, down) = (self.h - hc * self.a, self.v - vc * self.a);
        let (hs, vs) = (right.norm(), down.norm());
        Intrinsics {
            hs,
            vs,
            hc,
            vc,
            right: right / hs,
            down: down / vs,
        }
    }

    /// The camera's optical frame (x right, y down, z along `A`, origin `C`) in the model's frame. Where columns and rows
    /// are not quite at right angles, x is exact and y the nearest.
    #[must_use]
    pub fn model_from_optical(&self) -> Isometry3<f64> {
        let i = self.intrinsics();
        let y = self.a.cross(&i.right).normalize();
        let axes = Matrix3::from_columns(&[y.cross(&self.a), y, self.a]);
        Isometry3::from_parts(
            self.c.into(),
            UnitQuaternion::from_rotation_matrix(&Rotation3::from_matrix_unchecked(axes)),
        )
    }

    /// The same camera in another frame: `other_from_this` takes coordinates of the model's frame to the other's.
    #[must_use]
    pub fn moved(&self, other_from_this: &Isometry3<f64>) -> Self {
        let turn = |x: &Vector3<f64>| other_from_this.rotation * x;
        let lens = match &self.lens {
            Lens::Linear => Lens::Linear,
            Lens::Radial { o, r } => Lens::Radial { o: turn(o), r: *r },
            Lens::Pupil { o, r, e, linearity } => Lens::Pupil {
                o: turn(o),
                r: *r,
                e: *e,
                linearity: *linearity,
            },
        };
        Self {
            c: other_from_this.transform_point(&self.c.into()).coords,
            a: turn(&self.a),
            h: turn(&self.h),
            v: turn(&self.v),
            lens,
        }
    }

    /// Pixel of a point in the model's frame; `None` behind the camera or where the lens has no image.
    #[must_use]
    pub fn project(&self, point: &Vector3<f64>) -> Option<[f64; 2]> {
        let p = point - self.c;
        let bent = match &self.lens {
            Lens::Linear => p,
            Lens::Radial { o, r } => {
                let along = p.dot(o);
                if !(along > 0.0) {
                    return None;
                }
                let aside = p - along * o;
                let tau = aside.norm_squared() / (along * along);
                let mu = r[0] + tau * (r[1] + tau * r[2]);
                // Past the fold of the polynomial one place has two pixels.
                if !(1.0 + r[0] + tau * (3.0 * r[1] + tau * 5.0 * r[2]) > 0.0) {
                    return None;
                }
                p + mu * aside
            }
            Lens::Pupil { o, r, e, linearity } => bend(&p, o, r, e, *linearity)?,
        };
        let depth = bent.dot(&self.a);
        (depth > 1e-9).then(|| [bent.dot(&self.h) / depth, bent.dot(&self.v) / depth])
    }

    /// Origin and unit direction of a pixel's ray in the model's frame; `None` where the lens has no image.
    #[must_use]
    pub fn ray(&self, [u, v]: [f64; 2]) -> Option<(Vector3<f64>, Vector3<f64>)> {
        let ray = (self.v - v * self.a).cross(&(self.h - u * self.a));
        // Away from the camera, whatever the handedness of the model.
        let sense = self.a.dot(&self.v.cross(&self.h)).signum();
        let ray = sense * ray.try_normalize(1e-12)?;
        match &self.lens {
            Lens::Linear => Some((self.c, ray)),
            Lens::Radial { o, r } => {
                let along = ray.dot(o);
                if !(along > 0.0) {
                    return None;
                }
                let aside = ray - along * o;
                let tau = aside.norm_squared() / (along * along);
                let share = odd_root([1.0 + r[0], r[1] * tau, r[2] * tau * tau], 1.0, 1.0)?;
                Some((self.c, (along * o + share * aside).normalize()))
            }
            Lens::Pupil { o, r, e, linearity } => {
                let along = ray.dot(o);
                let aside = ray - along * o;
                let distance = aside.norm();
                if !(along > 0.0) {
                    return None;
                }
                if distance < 1e-8 * along {
                    return Some((self.c, *o));
                }
                let bent = distance / along;
                let chi = odd_root([1.0 + r[0], r[1], r[2]], bent, bent)?;
                let theta = angle_of(chi, *linearity)?;
                let (sin, cos) = theta.sin_cos();
                let shift = (theta / sin - 1.0) * even(e, theta);
                Some((self.c + shift * o, sin / distance * aside + cos * o))
            }
        }
    }
}

fn unit(what: &str, name: &str, v: Vector3<f64>) -> Result<Vector3<f64>, CoreError> {
    let n = v.norm();
    // Labels carry six digits.
    if (n - 1.0).abs() < 1e-3 {
        return Ok(v / n);
    }
    Err(CoreError::value(
        what,
        name,
        format!("({}, {}, {}) of length {n}", v.x, v.y, v.z),
        "a unit vector",
    ))
}

fn even(c: &[f64; 3], x: f64) -> f64 {
    let s = x * x;
    c[0] + s * (c[1] + s * c[2])
}

/// The root of `c0·x + c1·x³ + c2·x⁵ = target` on the branch that grows from 0, from a first guess.
fn odd_root(c: [f64; 3], target: f64, guess: f64) -> Option<f64> {
    let mut x = guess;
    for _ in 0..STEPS {
        let s = x * x;
        let slope = c[0] + s * (3.0 * c[1] + s * 5.0 * c[2]);
        if !(slope > 1e-6) {
            // Beyond the fold: come back towards the axis.
            x *= 0.5;
            continue;
        }
        let step = (x * even(&c, x) - target) / slope;
        x = (x - step).max(0.0);
        if step.abs() < TINY * (1.0 + x) {
            break;
        }
    }
    ((x * even(&c, x) - target).abs() < 1e-9 * (1.0 + target.abs())).then_some(x)
}

/// The angle of a ray that the lens puts at radius `chi`.
fn angle_of(chi: f64, linearity: f64) -> Option<f64> {
    let scaled = linearity * chi;
    let theta = if linearity < -1e-15 {
        (scaled >= -1.0).then(|| scaled.asin() / linearity)?
    } else if linearity > 1e-15 {
        scaled.atan() / linearity
    } else {
        chi
    };
    (theta < std::f64::consts::PI).then_some(theta)
}

/// The direction at which CAHVORE's linear part sees a point `p` relative to `C`.
fn bend(
    p: &Vector3<f64>,
    o: &Vector3<f64>,
    r: &[f64; 3],
    e: &[f64; 3],
    linearity: f64,
) -> Option<Vector3<f64>> {
    let zeta = p.dot(o);
    let aside = p - zeta * o;
    let lambda = aside.norm();
    // The ray's angle: from the pupil, which itself moves with the angle.
    let mut theta = lambda.atan2(zeta);
    let mut step = f64::INFINITY;
    for _ in 0..STEPS {
        let (sin, cos) = theta.sin_cos();
        let t2 = theta * theta;
        let pupil = even(e, theta);
        let slope = zeta * cos + lambda * sin
            - (1.0 - cos) * pupil
            - (theta - sin) * theta * (2.0 * e[1] + 4.0 * e[2] * t2);
        if !(slope.abs() > 1e-12) {
            return None;
        }
        step = (zeta * sin - lambda * cos - (theta - sin) * pupil) / slope;
        theta -= step;
        if step.abs() < TINY {
            break;
        }
    }
    if !(step.abs() < 1e-8) || !(theta * linearity.abs() < std::f64::consts::FRAC_PI_2) {
        return None;
    }
    if theta < 1e-8 {
        return (zeta > 0.0).then_some(*p);
    }
    let chi = if linearity < -1e-15 {
        (linearity * theta).sin() / linearity
    } else if linearity > 1e-15 {
        (linearity * theta).tan() / linearity
    } else {
        theta
    };
    // Past the fold of the polynomial one place has two pixels.
    let s = chi * chi;
    if !(1.0 + r[0] + s * (3.0 * r[1] + s * 5.0 * r[2]) > 0.0) {
        return None;
    }
    Some(lambda / chi * o + (1.0 + even(r, chi)) * aside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Spirit's left Navcam (CAHVOR), label of 2N292280938EFFB100P0703L0M1.
    pub(crate) fn spirit_navcam() -> CahvModel {
        CahvModel {
            c: Vector3::new(0.454993, 0.141198, -1.23312),
            a: Vector3::new(-0.69585, 0.571462, 0.435),
            h: Vector3::new(-1075.03, -654.572, 220.543),
            v: Vector3::new(50.6594, -19.3653, 1294.76),
            lens: Lens::Radial {
                o: Vector3::new(-0.61985, 0.672629, 0.404174),
                r: [0.019876, -0.014281, 0.020876],
            },
        }
        .checked("spirit")
        .unwrap()
    }

    /// Opportunity's left front Hazcam (CAHVORE of type 3), label of 1F483288473EFFCMUFP1214L0M1.
    pub(crate) fn opportunity_hazcam() -> CahvModel {
        CahvModel {
            c: Vector3::new(0.609331, -0.041064, -0.233849),
            a: Vector3::new(0.703447, -0.005161, 0.710729),
            h: Vector3::new(351.362, 452.204, 353.494),
            v: Vector3::new(35.8065, -1.75143, 682.705),
            lens: Lens::Pupil {
                o: Vector3::new(0.704402, -0.006062, 0.709775),
                r: [3e-06, -0.012015, -0.007525],
                e: [0.001442, 0.001522, 0.000483],
                linearity: 0.37,
            },
        }
        .checked("hazcam")
        .unwrap()
    }

    /// Perseverance's left Navcam (CAHVORE of type 2), metadata of NLF_0014_0668192307.
    pub(crate) fn perseverance_navcam() -> CahvModel {
        CahvModel {
            c: Vector3::new(0.563572, 0.473888, -1.90136),
            a: Vector3::new(-0.199471, -0.828431, 0.523382),
            h: Vector3::new(589.435, -711.664, 337.385),
            v: Vector3::new(-3.98773, -26.3001, 884.12),
            lens: Lens::Pupil {
                o: Vector3::new(-0.198073, -0.828704, 0.52348),
                r: [2e-06, 0.049535, -0.015973],
                e: [-0.003612, 0.013016, -0.023961],
                linearity: 0.0,
            },
        }
        .checked("navcam")
        .unwrap()
    }

    proptest! {
        /// A pixel's ray, followed any way out, is seen at that pixel again; CAHVORE's ray does not start at C.
        #[test]
        fn a_pixel_comes_back(u in 0.0f64..1.0, v in 0.0f64..1.0, way_m in 0.3f64..100.0, which in 0usize..3) {
            let (model, width, height) = match which {
                0 => (spirit_navcam(), 1024.0, 1024.0),
                1 => (opportunity_hazcam(), 1024.0, 1024.0),
                _ => (perseverance_navcam(), 1280.0, 960.0),
            };
            let (u, v) = (u * width, v * height);
            let (origin, direction) = model.ray([u, v]).unwrap();
            prop_assert!((direction.norm() - 1.0).abs() < 1e-9);
            let p = model.project(&(origin + way_m * direction)).unwrap();
            prop_assert!((p[0] - u).hypot(p[1] - v) < 1e-5, "{u} {v}: {p:?}");
        }

        /// Moving the camera moves what it sees with it.
        #[test]
        fn frames_do_not_matter(x in -3.0f64..3.0, y in -3.0f64..3.0, turn in -3.0f64..3.0, u in 100.0f64..900.0, v in 100.0f64..900.0) {
            let iso = Isometry3::new(Vector3::new(x, y, 1.0), Vector3::new(0.3, turn, -0.2));
            for model in [spirit_navcam(), opportunity_hazcam()] {
                let (origin, direction) = model.ray([u, v]).unwrap();
                let p = iso.transform_point(&(origin + 4.0 * direction).into()).coords;
                let seen = model.moved(&iso).project(&p).unwrap();
                prop_assert!((seen[0] - u).hypot(seen[1] - v) < 1e-5);
            }
        }
    }

    /// The published figures of the cameras: 45° and 0.82 mrad/px (MER Navcam), 0.33 mrad per full-size pixel and
    /// therefore 1.32 mrad at a quarter, 96° × 73° (Perseverance's Navcam, 1280 × 960 is a quarter of its sensor).
    #[test]
    fn fields_of_view_are_the_published_ones() {
        let angle = |m: &CahvModel, p: [f64; 2], q: [f64; 2]| {
            let (_, a) = m.ray(p).unwrap();
            let (_, b) = m.ray(q).unwrap();
            a.dot(&b).clamp(-1.0, 1.0).acos()
        };
        let spirit = spirit_navcam();
        let wide = angle(&spirit, [0.0, 511.5], [1023.0, 511.5]).to_degrees();
        assert!((wide - 45.0).abs() < 1.5, "{wide}");
        let px = angle(&spirit, [511.5, 511.5], [512.5, 511.5]) * 1e3;
        assert!((px - 0.82).abs() < 0.03, "{px}");
        let navcam = perseverance_navcam();
        let wide = angle(&navcam, [0.0, 479.5], [1279.0, 479.5]).to_degrees();
        let high = angle(&navcam, [639.5, 0.0], [639.5, 959.0]).to_degrees();
        assert!((wide - 96.0).abs() < 3.0, "{wide}");
        assert!((high - 73.0).abs() < 3.0, "{high}");
        // The Hazcam sees 124° (Maki 2003).
        let wide = angle(&opportunity_hazcam(), [0.0, 511.5], [1023.0, 511.5]).to_degrees();
        assert!((wide - 124.0).abs() < 6.0, "{wide}");
    }

    /// The mast of the image pointed to azimuth 255.64° and elevation −31.11° in the rover's frame (x forward, y right).
    #[test]
    fn the_axis_points_where_the_mast_pointed() {
        let a = perseverance_navcam().a;
        let azimuth = a.y.atan2(a.x).to_degrees().rem_euclid(360.0);
        let elevation = (-a.z).asin().to_degrees();
        assert!((azimuth - 255.64).abs() < 1.5, "{azimuth}");
        assert!((elevation + 31.11).abs() < 1.5, "{elevation}");
    }

    #[test]
    fn a_lens_of_no_effect_is_the_linear_camera() {
        let linear = CahvModel {
            lens: Lens::Linear,
            ..spirit_navcam()
        };
        let o = linear.a;
        let radial = CahvModel {
            lens: Lens::Radial { o, r: [0.0; 3] },
            ..linear
        };
        let pupil = CahvModel {
            lens: Lens::Pupil {
                o,
                r: [0.0; 3],
                e: [0.0; 3],
                linearity: 1.0,
            },
            ..linear
        };
        let (origin, direction) = linear.ray([200.0, 800.0]).unwrap();
        let p = origin + 3.0 * direction;
        for model in [linear, radial, pupil] {
            let q = model.project(&p).unwrap();
            assert!((q[0] - 200.0).hypot(q[1] - 800.0) < 1e-7, "{q:?}");
        }
    }

    #[test]
    fn no_camera_is_refused() {
        let bad = CahvModel {
            h: Vector3::zeros(),
            ..spirit_navcam()
        };
        assert!(
            bad.checked("x.img")
                .unwrap_err()
                .to_string()
                .contains("no camera")
        );
        let bad = CahvModel {
            a: Vector3::new(2.0, 0.0, 0.0),
            ..spirit_navcam()
        };
        assert!(
            bad.checked("x.img")
                .unwrap_err()
                .to_string()
                .contains("unit vector")
        );
        assert!(
            spirit_navcam()
                .project(&(spirit_navcam().c - spirit_navcam().a))
                .is_none()
        );
    }

    #[test]
    fn the_optical_frame_is_the_cameras() {
        let model = spirit_navcam();
        let own = model.moved(&model.model_from_optical().inverse());
        assert!(own.c.norm() < 1e-9 && (own.a - Vector3::z()).norm() < 1e-9);
        assert!((own.intrinsics().right - Vector3::x()).norm() < 1e-6);
        assert!((own.intrinsics().down - Vector3::y()).norm() < 1e-2);
    }
}
