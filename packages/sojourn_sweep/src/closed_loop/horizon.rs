//! What hides what from a point above the ground.

use nalgebra::Vector3;
use sojourn_core::{raster::HeightField, whole};

/// Ground counts as seen when it is hidden by less than this slope seen from the camera.
const GRAZING: f64 = 1e-3;
/// Where two ways of computing lie nearer to each other than this the exact one decides; metres, and slopes.
const CLOSE: f64 = 1e-6;
/// The same for directions, in rays: [`angle_rad`] is off by less.
const CLOSE_RAYS: f64 = 1e-3;

/// For every direction, the greatest slope from the eye to the ground up to every distance.
#[derive(Clone, Debug, Default)]
pub(super) struct Horizon {
    eye_m: [f64; 3],
    middle_rad: f64,
    half_rad: f64,
    /// Cosine and sine of the middle, and cosine of half the width.
    middle: [f64; 2],
    half_cos: f64,
    /// Rays per radian and steps per metre.
    rays_per_rad: f64,
    steps_per_m: f64,
    step_m: f64,
    rays: usize,
    steps: usize,
    slopes: Vec<f32>,
}

impl Horizon {
    /// How far ground can lie that is seen: range is along the optical axis, and at the image's edge the same depth is
    /// farther.
    pub(super) fn reach_m(range_m: f64) -> f64 {
        1.5 * range_m
    }

    pub(super) fn look(
        &mut self,
        ground: &impl HeightField,
        eye_m: Vector3<f64>,
        middle_rad: f64,
        half_rad: f64,
        range_m: f64,
        step_m: f64,
    ) {
        self.steps = (Self::reach_m(range_m) / step_m).ceil() as usize;
        self.rays = (2.0 * half_rad * range_m / step_m).ceil() as usize + 1;
        self.eye_m = eye_m.into();
        (self.middle_rad, self.half_rad, self.step_m) = (middle_rad, half_rad, step_m);
        let (s, c) = middle_rad.sin_cos();
        (self.middle, self.half_cos) = ([c, s], half_rad.cos());
        self.rays_per_rad = (self.rays - 1) as f64 / (2.0 * half_rad);
        self.steps_per_m = 1.0 / step_m;
        self.slopes.clear();
        self.slopes.reserve(self.rays * self.steps);
        for ray in 0..self.rays {
            let azimuth =
                middle_rad - half_rad + 2.0 * half_rad * ray as f64 / (self.rays - 1).max(1) as f64;
            let (s, c) = azimuth.sin_cos();
            let mut greatest = f32::NEG_INFINITY;
            for step in 0..self.steps {
                let r = (step as f64 + 0.5) * step_m;
                if let Some(h) = ground.height_m(eye_m.x + c * r, eye_m.y + s * r) {
                    greatest = greatest.max(((h - eye_m.z) / r) as f32);
                }
                self.slopes.push(greatest);
            }
        }
    }

    /// Direction and distance of a point, when it lies within the view from above.
    fn place(&self, x_m: f64, y_m: f64) -> Option<(usize, f64)> {
        let (dx, dy) = (x_m - self.eye_m[0], y_m - self.eye_m[1]);
        let r = dx.hypot(dy);
        if !(r < self.steps as f64 * self.step_m) {
            return None;
        }
        let off = sojourn_core::frames::wrap_rad(dy.atan2(dx) - self.middle_rad);
        if !(off.abs() <= self.half_rad) {
            return None;
        }
        let ray = (off + self.half_rad) / (2.0 * self.half_rad) * (self.rays - 1) as f64;
        Some((ray.round() as usize, r))
    }

    /// Along the middle of the view, to its left, and how far away a point lies, as near as makes no difference to
    /// [`CLOSE`].
    #[inline]
    fn towards(&self, x_m: f64, y_m: f64) -> [f64; 3] {
        let (dx, dy) = (x_m - self.eye_m[0], y_m - self.eye_m[1]);
        let [c, s] = self.middle;
        [c * dx + s * dy, c * dy - s * dx, (dx * dx + dy * dy).sqrt()]
    }

    /// Whether a point lies within the view from above.
    #[inline]
    pub(super) fn may_see(&self, x_m: f64, y_m: f64) -> bool {
        self.surely_holds(self.towards(x_m, y_m))
            .unwrap_or_else(|| self.place(x_m, y_m).is_some())
    }

    /// Whether no point within `radius_m` of one can lie within the view from above.
    pub(super) fn sees_nothing_near(&self, x_m: f64, y_m: f64, radius_m: f64) -> bool {
        let [ahead, _, r] = self.towards(x_m, y_m);
        // Neither changes by more than this from point to point.
        r - radius_m > self.steps as f64 * self.step_m + CLOSE
            || ahead - r * self.half_cos < -2.0 * radius_m - CLOSE
    }

    /// Whether a point lies within the view from above, where that is no close thing.
    #[inline]
    fn surely_holds(&self, [ahead, _, r]: [f64; 3]) -> Option<bool> {
        let near = self.steps as f64 * self.step_m - r;
        let inside = ahead - r * self.half_cos;
        if near < -CLOSE || inside < -CLOSE {
            Some(false)
        } else {
            (near > CLOSE && inside > CLOSE).then_some(true)
        }
    }

    /// Whether a point lies within the view from above and is not hidden.
    #[inline]
    pub(super) fn is_visible(&self, point: &Vector3<f64>) -> bool {
        self.surely_visible(point)
            .unwrap_or_else(|| self.exactly_visible(point))
    }

    /// [`Horizon::exactly_visible`] without hypotenuse and angle of the library: `None` where their last digits might decide.
    #[inline]
    fn surely_visible(&self, point: &Vector3<f64>) -> Option<bool> {
        let at = self.towards(point.x, point.y);
        if !self.surely_holds(at)? {
            return Some(false);
        }
        let [ahead, left, r] = at;
        let off = angle_rad(ahead, left);
        let ray = (off + self.half_rad) * self.rays_per_rad;
        let before = r * self.steps_per_m - 1.0;
        let (nearest, whole) = (whole::round(ray), whole::floor(before));
        let from_half = 0.5 - (ray - nearest as f64).abs();
        let part = before - whole as f64;
        if from_half < CLOSE_RAYS || !(CLOSE..=1.0 - CLOSE).contains(&part) || nearest < 0 {
            return None;
        }
        if whole < 0 {
            return Some(true);
        }
        let i = nearest as usize * self.steps + (whole as usize).min(self.steps - 1);
        let hidden_by = self.slopes.get(i).copied().unwrap_or(f32::NEG_INFINITY);
        // What is compared, times the distance.
        let over = (point.z - self.eye_m[2]) - r * (f64::from(hidden_by) - GRAZING);
        // Also when it is not a number.
        (over.abs() > CLOSE * r).then_some(over > 0.0)
    }

    fn exactly_visible(&self, point: &Vector3<f64>) -> bool {
        let Some((ray, r)) = self.place(point.x, point.y) else {
            return false;
        };
        // All that lies nearer by at least one step.
        let before = (r / self.step_m - 1.0).floor();
        if before < 0.0 {
            return true;
        }
        let i = ray * self.steps + (before as usize).min(self.steps - 1);
        let hidden_by = self.slopes.get(i).copied().unwrap_or(f32::NEG_INFINITY);
        (point.z - self.eye_m[2]) / r >= f64::from(hidden_by) - GRAZING
    }
}

/// The angle of a vector, radians within ±π, off by less than 10⁻⁷ (Abramowitz and Stegun, Handbook of Mathematical
/// Functions, 4.4.49).
#[inline]
fn angle_rad(x: f64, y: f64) -> f64 {
    use std::f64::consts::{FRAC_PI_2, PI};
    let (ax, ay) = (x.abs(), y.abs());
    let (small, large) = if ax < ay { (ax, ay) } else { (ay, ax) };
    let t = if large > 0.0 { small / large } else { 0.0 };
    let u = t * t;
    let series = [
        -0.016_165_736_7,
        0.042_909_613_8,
        -0.075_289_640_0,
        0.106_562_639_3,
        -0.142_088_994_4,
        0.199_935_508_5,
        -0.333_331_452_8,
        1.0,
    ];
    let a = t * series.iter().fold(0.002_866_225_7, |sum, k| sum * u + k);
    let a = if ax < ay { FRAC_PI_2 - a } else { a };
    let a = if x < 0.0 { PI - a } else { a };
    if y < 0.0 { -a } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hills(x: f64, y: f64) -> Option<f64> {
        (x < 9.0).then(|| 0.4 * (1.3 * x).sin() * (0.9 * y).cos())
    }

    proptest! {
        #[test]
        fn the_angle_is_that_of_the_library(x in -5.0f64..5.0, y in -5.0f64..5.0) {
            prop_assert!((angle_rad(x, y) - y.atan2(x)).abs() < 1e-7);
        }

        /// Whatever the quick ways say, the exact ones say too; and they leave little to them.
        #[test]
        fn quick_and_exact_agree(
            middle in -3.1f64..3.1, half in 0.3f64..3.1, points in prop::collection::vec((-16.0f64..16.0, -16.0f64..16.0, -0.3f64..0.3), 300),
        ) {
            let mut h = Horizon::default();
            h.look(&hills, Vector3::new(0.3, -0.2, 2.0), middle, half, 10.0, 0.1);
            let mut left_open = 0;
            for (x, y, up) in points {
                let p = Vector3::new(x, y, hills(x, y).unwrap_or(0.0) + up);
                prop_assert_eq!(h.may_see(x, y), h.place(x, y).is_some());
                prop_assert!(!(h.sees_nothing_near(x + 0.4, y - 0.3, 0.51) && h.may_see(x, y)));
                match h.surely_visible(&p) {
                    Some(seen) => prop_assert_eq!(seen, h.exactly_visible(&p)),
                    None => left_open += 1,
                }
            }
            prop_assert!(left_open < 10, "{left_open} of 300");
        }
    }
}
