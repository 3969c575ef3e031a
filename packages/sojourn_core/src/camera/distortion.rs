//! The two lens models of ROS: `plumb_bob` (Brown-Conrady, radial and tangential) and `equidistant` (Kannala-Brandt).
//!
//! Both bend a direction `(x, y) = (X/Z, Y/Z)` of the ideal camera into the direction the lens puts it at. The opposite
//! way is Newton's iteration. A polynomial turns back on itself at some radius; beyond it there is no image.

use crate::{CoreError, error::in_range};

/// The coefficients of a lens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Coefficients {
    /// `k1, k2, p1, p2, k3` of OpenCV and ROS.
    PlumbBob([f64; 5]),
    /// `k1, k2, k3, k4` of OpenCV's fisheye model: `θ_d = θ(1 + k1θ² + k2θ⁴ + k3θ⁶ + k4θ⁸)`.
    Equidistant([f64; 4]),
}

/// How a lens bends directions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distortion {
    coefficients: Coefficients,
    reach: f64,
}

/// Most Newton steps; four are usual.
const STEPS: usize = 30;
/// A step or residual smaller than this ends the iteration: a millionth of a pixel at any focal length in use.
const TINY: f64 = 1e-12;

impl Distortion {
    /// A lens from its coefficients.
    ///
    /// # Errors
    /// [`CoreError::Value`] that names `what` and the coefficient that is no number of a plausible size.
    pub fn new(what: &str, coefficients: Coefficients) -> Result<Self, CoreError> {
        let values: &[f64] = match &coefficients {
            Coefficients::PlumbBob(d) => d,
            Coefficients::Equidistant(d) => d,
        };
        for (i, d) in values.iter().enumerate() {
            in_range(what, &format!("d[{i}]"), *d, -100.0, 100.0)?;
        }
        Ok(Self {
            reach: reach_of(&coefficients),
            coefficients,
        })
    }

    /// The name in `CameraInfo.distortion_model`.
    #[must_use]
    pub fn ros_name(&self) -> &'static str {
        match self.coefficients {
            Coefficients::PlumbBob(_) => "plumb_bob",
            Coefficients::Equidistant(_) => "equidistant",
        }
    }

    /// The coefficients in the order of `CameraInfo.d`.
    #[must_use]
    pub fn coefficients(&self) -> &[f64] {
        match &self.coefficients {
            Coefficients::PlumbBob(d) => d,
            Coefficients::Equidistant(d) => d,
        }
    }

    /// The radius (of the undistorted direction; for `equidistant` the angle, radians) up to which the radial part
    /// grows. Directions farther out have no image.
    #[must_use]
    pub fn reach(&self) -> f64 {
        self.reach
    }

    /// Where the lens puts a direction; `None` beyond [`Distortion::reach`].
    #[must_use]
    pub fn distort(&self, [x, y]: [f64; 2]) -> Option<[f64; 2]> {
        match &self.coefficients {
            Coefficients::PlumbBob(d) => (x.hypot(y) <= self.reach).then(|| plumb_bob(d, x, y).0),
            Coefficients::Equidistant(k) => {
                let r = x.hypot(y);
                let theta = r.atan();
                if !(theta <= self.reach) {
                    return None;
                }
                let scale = if r < 1e-9 {
                    1.0
                } else {
                    polynomial(k, theta).0 / r
                };
                Some([x * scale, y * scale])
            }
        }
    }

    /// The direction that the lens puts at a place; `None` when no direction within [`Distortion::reach`] does.
    #[must_use]
    pub fn undistort(&self, [xd, yd]: [f64; 2]) -> Option<[f64; 2]> {
        match &self.coefficients {
            Coefficients::PlumbBob(d) => undistort_plumb_bob(d, self.reach, [xd, yd]),
            Coefficients::Equidistant(k) => {
                let rd = xd.hypot(yd);
                if rd < 1e-9 {
                    return Some([xd, yd]);
                }
                let reach = self.reach;
                if rd > polynomial(k, reach).0 {
                    return None;
                }
                let mut theta = rd.min(reach);
                for _ in 0..STEPS {
                    let (value, slope) = polynomial(k, theta);
                    let step = (value - rd) / slope;
                    theta = (theta - step).clamp(0.0, reach);
                    if step.abs() < TINY {
                        break;
                    }
                }
                let ok = (polynomial(k, theta).0 - rd).abs() < 1e-9
                    && theta < std::f64::consts::FRAC_PI_2 - 1e-6;
                let scale = theta.tan() / rd;
                ok.then_some([xd * scale, yd * scale])
            }
        }
    }
}

fn reach_of(coefficients: &Coefficients) -> f64 {
    let (most, slope): (f64, &dyn Fn(f64) -> f64) = match coefficients {
        Coefficients::PlumbBob([k1, k2, _, _, k3]) => (20.0, &move |r: f64| {
            let s = r * r;
            1.0 + s * (3.0 * k1 + s * (5.0 * k2 + s * 7.0 * k3))
        }),
        // Only what is in front of the image plane is asked for.
        Coefficients::Equidistant(k) => (std::f64::consts::FRAC_PI_2, &move |t: f64| {
            polynomial(k, t).1
        }),
    };
    let n = 20_000;
    (1..=n)
        .map(|i| most * f64::from(i) / f64::from(n))
        .find(|r| !(slope(*r) > 0.0))
        .map_or(most, |r| r - most / f64::from(n))
}

/// The distorted place and its Jacobian `[∂x'/∂x, ∂x'/∂y, ∂y'/∂x, ∂y'/∂y]`.
fn plumb_bob(&[k1, k2, p1, p2, k3]: &[f64; 5], x: f64, y: f64) -> ([f64; 2], [f64; 4]) {
    let s = x * x + y * y;
    let radial = 1.0 + s * (k1 + s * (k2 + s * k3));
    // derivative of the radial factor by s
    let slope = k1 + s * (2.0 * k2 + s * 3.0 * k3);
    let place = [
        x * radial + 2.0 * p1 * x * y + p2 * (s + 2.0 * x * x),
        y * radial + p1 * (s + 2.0 * y * y) + 2.0 * p2 * x * y,
    ];
    let mixed = 2.0 * x * y * slope + 2.0 * p1 * x + 2.0 * p2 * y;
    let jacobian = [
        radial + 2.0 * x * x * slope + 2.0 * p1 * y + 6.0 * p2 * x,
        mixed,
        mixed,
        radial + 2.0 * y * y * slope + 6.0 * p1 * y + 2.0 * p2 * x,
    ];
    (place, jacobian)
}

/// Newton's method from the radial part's own inverse, each step halved until it helps: whole steps leap over the
/// answer where the radial part is nearly level.
fn undistort_plumb_bob(d: &[f64; 5], reach: f64, [xd, yd]: [f64; 2]) -> Option<[f64; 2]> {
    let off = |p: [f64; 2]| {
        let ([px, py], jacobian) = plumb_bob(d, p[0], p[1]);
        ([px - xd, py - yd], jacobian)
    };
    let size = |r: [f64; 2]| r[0].hypot(r[1]);
    let mut at = radial_inverse(d, reach, [xd, yd]);
    let (mut rest, mut jacobian) = off(at);
    for _ in 0..STEPS {
        if size(rest) < TINY {
            break;
        }
        let [a, b, c, e] = jacobian;
        let det = a * e - b * c;
        if !(det.abs() > 1e-12) {
            break;
        }
        let step = [
            (e * rest[0] - b * rest[1]) / det,
            (a * rest[1] - c * rest[0]) / det,
        ];
        let better = (0..30).map(|i| 0.5f64.powi(i)).find_map(|part| {
            let next = [at[0] - part * step[0], at[1] - part * step[1]];
            // Past the fold lies the wrong branch.
            let (there, slope) = off(next);
            (size(next) <= reach && size(there) < size(rest)).then_some((next, there, slope))
        });
        let Some(better) = better else { break };
        (at, rest, jacobian) = better;
    }
    (size(rest) < 1e-9 && size(at) <= reach).then_some(at)
}

/// The direction that the radial part alone puts at a place, or the last within reach: it grows up to there.
fn radial_inverse(&[k1, k2, _, _, k3]: &[f64; 5], reach: f64, [xd, yd]: [f64; 2]) -> [f64; 2] {
    let rd = xd.hypot(yd);
    if !(rd > 1e-12) {
        return [xd, yd];
    }
    let (mut low, mut high) = (0.0, reach);
    for _ in 0..60 {
        let r = 0.5 * (low + high);
        let s = r * r;
        if r * (1.0 + s * (k1 + s * (k2 + s * k3))) < rd {
            low = r;
        } else {
            high = r;
        }
    }
    let scale = 0.5 * (low + high) / rd;
    [xd * scale, yd * scale]
}

/// The odd polynomial of the fisheye model and its slope.
fn polynomial(&[k1, k2, k3, k4]: &[f64; 4], t: f64) -> (f64, f64) {
    let s = t * t;
    (
        t * (1.0 + s * (k1 + s * (k2 + s * (k3 + s * k4)))),
        1.0 + s * (3.0 * k1 + s * (5.0 * k2 + s * (7.0 * k3 + s * 9.0 * k4))),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plumb(d: [f64; 5]) -> Distortion {
        Distortion::new("test", Coefficients::PlumbBob(d)).unwrap()
    }

    fn fish(d: [f64; 4]) -> Distortion {
        Distortion::new("test", Coefficients::Equidistant(d)).unwrap()
    }

    proptest! {
        #[test]
        fn plumb_bob_comes_back(k1 in -0.4f64..0.4, k2 in -0.1f64..0.1, k3 in -0.02f64..0.02,
                                p1 in -0.005f64..0.005, p2 in -0.005f64..0.005, x in -1.1f64..1.1, y in -0.8f64..0.8) {
            let lens = plumb([k1, k2, p1, p2, k3]);
            // Where the radial part is nearly level, the tangential one folds the image: two directions, one place.
            let level = (0..=100).map(|i| x.hypot(y) * f64::from(i) / 100.0)
                .map(|r| 1.0 + r * r * (3.0 * k1 + r * r * (5.0 * k2 + r * r * 7.0 * k3)));
            prop_assume!(level.fold(f64::INFINITY, f64::min) > 0.1);
            let bent = lens.distort([x, y]).unwrap();
            let back = lens.undistort(bent).unwrap();
            prop_assert!((back[0] - x).hypot(back[1] - y) < 1e-7, "{back:?}");
        }

        #[test]
        fn equidistant_comes_back(k1 in -0.1f64..0.1, k2 in -0.03f64..0.03, k3 in -0.01f64..0.01, k4 in -0.003f64..0.003,
                                  x in -4.0f64..4.0, y in -4.0f64..4.0) {
            let lens = fish([k1, k2, k3, k4]);
            prop_assume!(x.hypot(y).atan() < 0.9 * lens.reach());
            let back = lens.undistort(lens.distort([x, y]).unwrap()).unwrap();
            prop_assert!((back[0] - x).hypot(back[1] - y) < 1e-6 * (1.0 + x * x + y * y), "{back:?}");
        }

        /// Whatever comes in: an answer or none, and an answer is right.
        #[test]
        fn any_place_is_answered(d in proptest::array::uniform5(-3.0f64..3.0), x in -30.0f64..30.0, y in -30.0f64..30.0) {
            let lens = plumb(d);
            if let Some(p) = lens.undistort([x, y]) {
                let q = lens.distort(p).unwrap();
                prop_assert!((q[0] - x).hypot(q[1] - y) < 1e-6);
            }
            let lens = fish([d[0], d[1], d[2], d[3]]);
            if let Some(p) = lens.undistort([x, y]) {
                let q = lens.distort(p).unwrap();
                prop_assert!((q[0] - x).hypot(q[1] - y) < 1e-6 * (1.0 + x * x + y * y));
            }
        }
    }

    /// The formulas of OpenCV's documentation, worked out by hand for one point.
    #[test]
    fn values_are_those_of_the_definition() {
        let lens = plumb([-0.3, 0.1, 0.001, -0.002, 0.01]);
        // s = 0.25 + 0.04 = 0.29; radial = 1 − 0.087 + 0.00841 + 0.00024389
        let [x, y] = lens.distort([0.5, 0.2]).unwrap();
        let radial = 1.0 - 0.3 * 0.29 + 0.1 * 0.29 * 0.29 + 0.01 * 0.29f64.powi(3);
        assert!((x - (0.5 * radial + 2.0 * 0.001 * 0.1 - 0.002 * (0.29 + 0.5))).abs() < 1e-12);
        assert!((y - (0.2 * radial + 0.001 * (0.29 + 0.08) - 2.0 * 0.002 * 0.1)).abs() < 1e-12);
        let lens = fish([0.0; 4]);
        let [x, _] = lens.distort([1.0, 0.0]).unwrap();
        assert!((x - std::f64::consts::FRAC_PI_4).abs() < 1e-12);
    }
}
