//! Craters by their size-frequency distribution: `N(>D) ∝ D^−2.8`, each with a bowl, a rim and its own wear.
//!
//! They are drawn square by square like the rocks, so a crater depends on seed and place alone.

use crate::noise;

const CHANNEL: u64 = 0x13;
/// Exponent of the cumulative number over diameter.
const EXPONENT: f64 = 2.8;
/// A crater's rim fades within this many radii.
const REACH: f64 = 3.0;
/// Depth over diameter of the most worn crater, and what the freshest has more.
const DEPTH: [f64; 2] = [0.03, 0.13];
/// Height of the rim as a share of the depth.
const RIM: f64 = 0.2;

/// A crater: a parabola for a bowl, a rim that fades outside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crater {
    /// Centre east, metres in `map`.
    pub x_m: f64,
    /// Centre north, metres in `map`.
    pub y_m: f64,
    /// From rim to rim, metres.
    pub diameter_m: f64,
    /// From the ground around to the floor, metres.
    pub depth_m: f64,
}

impl Crater {
    /// Distance from the centre in radii.
    #[must_use]
    pub fn radii(&self, x_m: f64, y_m: f64) -> f64 {
        2.0 * (x_m - self.x_m).hypot(y_m - self.y_m) / self.diameter_m
    }

    /// What it adds to the ground, metres.
    #[must_use]
    pub fn height_m(&self, x_m: f64, y_m: f64) -> f64 {
        let q = self.radii(x_m, y_m);
        let rim_m = RIM * self.depth_m;
        if q < 1.0 {
            rim_m - (self.depth_m + rim_m) * (1.0 - q * q)
        } else if q < REACH {
            rim_m * (-(q - 1.0) * (q - 1.0) / 0.18).exp()
        } else {
            0.0
        }
    }

    /// How far it changes the ground, metres from the centre.
    #[must_use]
    pub fn reach_m(&self) -> f64 {
        0.5 * REACH * self.diameter_m
    }
}

/// The craters between two diameters.
#[derive(Clone, Debug)]
pub struct CraterField {
    seed: u64,
    least_m: f64,
    greatest_m: f64,
    per_m2: f64,
    square_m: f64,
}

impl CraterField {
    /// `per_km2_over_10m` craters of 10 m and more on a square kilometre (as the law goes on below and above); none when
    /// `least_m` is not less than `greatest_m`.
    #[must_use]
    pub fn new(seed: u64, per_km2_over_10m: f64, least_m: f64, greatest_m: f64) -> Self {
        let over = |d: f64| 1e-6 * per_km2_over_10m * (d / 10.0).powf(-EXPONENT);
        let per_m2 = if least_m < greatest_m {
            over(least_m) - over(greatest_m)
        } else {
            0.0
        };
        Self {
            seed,
            least_m,
            greatest_m,
            per_m2,
            square_m: 0.5 * REACH * greatest_m.max(1.0),
        }
    }

    /// All craters that change the ground within a rectangle `[x_min, y_min, x_max, y_max]`, metres in `map`.
    #[must_use]
    pub fn near(&self, [x0, y0, x1, y1]: [f64; 4]) -> Vec<Crater> {
        let mut found = Vec::new();
        if self.per_m2 <= 0.0 {
            return found;
        }
        // No crater reaches farther than one square.
        let square = |v: f64| (v / self.square_m).floor() as i64;
        for iy in square(y0) - 1..=square(y1) + 1 {
            for ix in square(x0) - 1..=square(x1) + 1 {
                found.extend(self.in_square(ix, iy).filter(|c| {
                    let r = c.reach_m();
                    c.x_m + r > x0 && c.x_m - r < x1 && c.y_m + r > y0 && c.y_m - r < y1
                }));
            }
        }
        found
    }

    fn in_square(&self, ix: i64, iy: i64) -> impl Iterator<Item = Crater> + '_ {
        let key = noise::hash(self.seed, CHANNEL, ix, iy);
        let u = move |i: i64, k: i64| noise::unit(noise::hash(key, CHANNEL, i, k));
        let count = (self.per_m2 * self.square_m * self.square_m + u(-1, 0)).floor() as i64;
        (0..count).map(move |i| {
            let p = |d: f64| d.powf(-EXPONENT);
            let (least, greatest) = (p(self.least_m), p(self.greatest_m));
            let diameter_m = (least + u(i, 2) * (greatest - least)).powf(-1.0 / EXPONENT);
            let fresh = u(i, 3);
            Crater {
                x_m: (ix as f64 + u(i, 0)) * self.square_m,
                y_m: (iy as f64 + u(i, 1)) * self.square_m,
                diameter_m,
                // Most are old.
                depth_m: diameter_m * (DEPTH[0] + DEPTH[1] * fresh * fresh),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_the_law() {
        let field = CraterField::new(3, 40.0, 4.0, 60.0);
        let area = [0.0, 0.0, 5000.0, 5000.0];
        let all: Vec<_> = field
            .near(area)
            .into_iter()
            .filter(|c| (0.0..5000.0).contains(&c.x_m) && (0.0..5000.0).contains(&c.y_m))
            .collect();
        let over = |d: f64| all.iter().filter(|c| c.diameter_m > d).count() as f64;
        for d in [4.0f64, 8.0, 16.0] {
            let expected = 25.0 * 40.0 * ((d / 10.0).powf(-2.8) - 6f64.powf(-2.8));
            assert!(
                (over(d) / expected - 1.0).abs() < 0.15,
                "{d}: {} for {expected}",
                over(d)
            );
        }
        assert!(CraterField::new(3, 40.0, 4.0, 4.0).near(area).is_empty());
    }

    #[test]
    fn a_crater_is_the_same_seen_from_anywhere() {
        let field = CraterField::new(9, 4000.0, 1.0, 4.0);
        let a = field.near([0.0, 0.0, 50.0, 50.0]);
        let b = field.near([20.0, 20.0, 90.0, 90.0]);
        let inside = |c: &&Crater| (25.0..45.0).contains(&c.x_m) && (25.0..45.0).contains(&c.y_m);
        let (a, b): (Vec<_>, Vec<_>) = (
            a.iter().filter(inside).collect(),
            b.iter().filter(inside).collect(),
        );
        assert!(a.len() > 3);
        assert!(a.iter().all(|c| b.contains(c)) && a.len() == b.len());
    }
}
