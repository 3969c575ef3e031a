//! Rocks by Golombek's distribution: the share of ground covered by rocks of diameter D and more is
//! `F(D) = k·exp(−q·D)` with `q = 1.79 + 0.152 / k`.
//!
//! Rocks are drawn square by square (10 m), each square from its own seed, and stay inside their square: so a rock does
//! not depend on the region that is looked at, and no two overlap. Some ground carries more rocks than other: a weight
//! scales their number, never the distribution of their sizes.

use crate::{noise, rock_shape::RockShape};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Side of a tile, metres.
pub const TILE_M: f64 = 10.0;
const CHANNEL: u64 = 0x21;
/// Entries of the table of diameters.
const BINS: usize = 512;
/// Places tried for one rock before it is given up; at covers of 30 % and less nearly none is.
const TRIES: usize = 64;

/// Points at which the weight of a square is looked at, along each side.
const WEIGHT_POINTS: usize = 5;
/// Greatest share of a square that rocks are asked to cover: with more of it they would not all find room.
pub const FULLEST: f64 = 0.3;

/// A rock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rock {
    /// Centre east, metres in `map`.
    pub x_m: f64,
    /// Centre north, metres in `map`.
    pub y_m: f64,
    /// Diameter of the circle with the area of its outline, metres.
    pub diameter_m: f64,
    /// Distance of the outline's farthest point from the centre, metres.
    pub reach_m: f64,
    /// Height of its highest point over the ground, metres.
    pub height_m: f64,
    /// Number of its [`RockShape`].
    pub shape_key: u64,
    /// Brightness relative to the soil.
    pub tone: f64,
}

impl Rock {
    /// Its shape, of unit size.
    #[must_use]
    pub fn shape(&self) -> RockShape {
        RockShape::of(self.shape_key)
    }
}

/// The distribution between two diameters.
#[derive(Clone, Debug)]
pub struct RockField {
    seed: u64,
    cfa: f64,
    min_m: f64,
    max_m: f64,
    /// Rocks per m² of at least the bin's diameter, bins from `min_m` to `max_m`.
    per_m2: Vec<f64>,
}

impl RockField {
    /// The field with cover `cfa` (Golombek's k; 0 for none) and diameters from `min_m` to `max_m`.
    #[must_use]
    pub fn new(seed: u64, cfa: f64, min_m: f64, max_m: f64) -> Self {
        let diameter = |i: f64| min_m + (max_m - min_m) * i / BINS as f64;
        let mut per_m2 = vec![0.0; BINS + 1];
        if cfa > 0.0 {
            let q = exponent(cfa);
            let step = (max_m - min_m) / BINS as f64;
            for i in (0..BINS).rev() {
                // number per m² per metre of diameter: the cover's slope over the area of one rock
                let d = diameter(i as f64 + 0.5);
                let n = cfa * q * (-q * d).exp() / (0.25 * std::f64::consts::PI * d * d);
                per_m2[i] = per_m2[i + 1] + n * step;
            }
        }
        Self {
            seed,
            cfa,
            min_m,
            max_m,
            per_m2,
        }
    }

    /// Whether there are no rocks anywhere.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.per_m2.first().is_none_or(|n| *n <= 0.0)
    }

    /// Expected share of ground under rocks from the least to the greatest diameter.
    #[must_use]
    pub fn cover(&self) -> f64 {
        if self.is_empty() {
            return 0.0;
        }
        let f = |d: f64| self.cfa * (-exponent(self.cfa) * d).exp();
        f(self.min_m) - f(self.max_m)
    }

    /// Share of the rocks (by number) that are no larger than a diameter: the model's cumulative distribution.
    #[must_use]
    pub fn share_below(&self, diameter_m: f64) -> f64 {
        let total = self.per_m2.first().copied().unwrap_or(0.0);
        if total <= 0.0 {
            return 0.0;
        }
        let at = (diameter_m - self.min_m) / (self.max_m - self.min_m) * BINS as f64;
        let at = at.clamp(0.0, BINS as f64);
        let i = (at as usize).min(BINS - 1);
        let more = self.per_m2[i] + (self.per_m2[i + 1] - self.per_m2[i]) * (at - i as f64);
        1.0 - more / total
    }

    /// The rocks of one square; square (0, 0) has its south-west corner at the map's origin. `weight` says how many
    /// times the usual number of rocks lie around `(x_m, y_m)`.
    #[must_use]
    pub fn tile(&self, ix: i64, iy: i64, weight: &impl Fn(f64, f64) -> f64) -> Vec<Rock> {
        let total = self.per_m2.first().copied().unwrap_or(0.0);
        if total <= 0.0 {
            return Vec::new();
        }
        let corner = [ix as f64 * TILE_M, iy as f64 * TILE_M];
        let (mut mean, mut greatest) = (0.0, 0.0f64);
        for k in 0..WEIGHT_POINTS * WEIGHT_POINTS {
            let part = |k: usize| (k as f64 + 0.5) / WEIGHT_POINTS as f64 * TILE_M;
            let w = weight(
                corner[0] + part(k % WEIGHT_POINTS),
                corner[1] + part(k / WEIGHT_POINTS),
            );
            mean += w / (WEIGHT_POINTS * WEIGHT_POINTS) as f64;
            greatest = greatest.max(w);
        }
        let mean = mean.min(FULLEST / self.cover().max(1e-9));
        let mut rng = ChaCha8Rng::seed_from_u64(noise::hash(self.seed, CHANNEL, ix, iy));
        // The fraction of a rock is a rock with that probability.
        let count = (mean * total * TILE_M * TILE_M + rng.random::<f64>()).floor() as usize;
        let mut diameters: Vec<f64> = (0..count)
            .map(|_| self.diameter(total * rng.random::<f64>()))
            .collect();
        // The largest first: they need the most room.
        diameters.sort_by(|a, b| b.total_cmp(a));
        let mut rocks: Vec<Rock> = Vec::with_capacity(count);
        for d in diameters {
            let mut rock = self.rock(d, &mut rng);
            for _ in 0..TRIES {
                let free = TILE_M - 2.0 * rock.reach_m;
                rock.x_m = corner[0] + rock.reach_m + free * rng.random::<f64>();
                rock.y_m = corner[1] + rock.reach_m + free * rng.random::<f64>();
                if greatest * rng.random::<f64>() > weight(rock.x_m, rock.y_m) {
                    continue;
                }
                let apart = |r: &Rock| {
                    (r.x_m - rock.x_m).hypot(r.y_m - rock.y_m) >= r.reach_m + rock.reach_m
                };
                if rocks.iter().all(apart) {
                    rocks.push(rock);
                    break;
                }
            }
        }
        rocks
    }

    /// A rock of a diameter that lies nowhere yet.
    fn rock(&self, diameter_m: f64, rng: &mut ChaCha8Rng) -> Rock {
        let shape_key = rng.random::<u64>();
        let (slab, ratio, tone) = (
            rng.random::<f64>() < 0.15,
            rng.random::<f64>(),
            rng.random::<f64>(),
        );
        let ratio = if slab {
            0.12 + 0.13 * ratio
        } else {
            0.35 + 0.3 * ratio
        };
        Rock {
            x_m: 0.0,
            y_m: 0.0,
            diameter_m,
            reach_m: 0.5 * diameter_m * RockShape::of(shape_key).reach(),
            height_m: ratio * diameter_m,
            shape_key,
            tone: 0.75 + 0.5 * tone,
        }
    }

    /// The diameter that `rest` rocks per m² exceed.
    fn diameter(&self, rest: f64) -> f64 {
        let i = self.per_m2.partition_point(|&n| n > rest).clamp(1, BINS);
        let (more, fewer) = (self.per_m2[i - 1], self.per_m2[i]);
        let t = if more > fewer {
            (more - rest) / (more - fewer)
        } else {
            0.5
        };
        self.min_m + (self.max_m - self.min_m) * (i as f64 - 1.0 + t) / BINS as f64
    }
}

/// Golombek's exponent for a cover k, per metre.
#[must_use]
pub fn exponent(cfa: f64) -> f64 {
    1.79 + 0.152 / cfa
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn even(_: f64, _: f64) -> f64 {
        1.0
    }

    /// KS distance of the sizes from the formula times the root of their number, and the cover with the one expected.
    fn measured(k: f64, weight: impl Fn(f64, f64) -> f64) -> (f64, f64, f64) {
        let field = RockField::new(11, k, 0.1, 2.5);
        let (mut area, mut sizes) = (0.0, Vec::new());
        for ix in 0..15 {
            for iy in 0..15 {
                for r in field.tile(ix, iy, &weight) {
                    area += 0.25 * std::f64::consts::PI * r.diameter_m.powi(2);
                    sizes.push(r.diameter_m);
                }
            }
        }
        sizes.sort_by(f64::total_cmp);
        let n = sizes.len() as f64;
        let ks = sizes
            .iter()
            .enumerate()
            .map(|(i, d)| (field.share_below(*d) - (i as f64 + 0.5) / n).abs())
            .fold(0.0, f64::max);
        (
            ks * n.sqrt(),
            area / (225.0 * TILE_M * TILE_M),
            field.cover(),
        )
    }

    #[test]
    fn sizes_and_cover_are_golombeks() {
        for k in [0.03, 0.1, 0.2] {
            let (ks, cover, expected) = measured(k, even);
            // 99 % of samples of the formula itself keep below this
            assert!(ks < 1.63, "k {k}: KS {ks}");
            assert!(
                (cover / expected - 1.0).abs() < 0.06,
                "k {k}: {cover} for {expected}"
            );
            assert!((expected / (k * (-0.1 * exponent(k)).exp()) - 1.0).abs() < 0.02);
        }
    }

    #[test]
    fn a_weight_moves_rocks_and_keeps_their_number() {
        let halves = |x: f64, _: f64| if x < 75.0 { 1.6 } else { 0.4 };
        let (ks, cover, expected) = measured(0.1, halves);
        assert!(
            ks < 1.63 && (cover / expected - 1.0).abs() < 0.08,
            "{ks} {cover} {expected}"
        );
        let field = RockField::new(11, 0.1, 0.1, 2.0);
        let (many, few) = (
            field.tile(2, 3, &halves).len(),
            field.tile(12, 3, &halves).len(),
        );
        assert!(many > 3 * few, "{many} {few}");
    }

    proptest! {
        #[test]
        fn rocks_keep_apart_and_inside(seed: u64, ix in -1000i64..1000, iy in -1000i64..1000, k in 0.01f64..0.2) {
            let rocks = RockField::new(seed, k, 0.1, 2.0).tile(ix, iy, &even);
            for (i, r) in rocks.iter().enumerate() {
                prop_assert!(r.diameter_m >= 0.1 && r.diameter_m <= 2.0);
                prop_assert!(r.x_m - r.reach_m >= ix as f64 * TILE_M - 1e-9);
                prop_assert!(r.y_m + r.reach_m <= (iy + 1) as f64 * TILE_M + 1e-9);
                for s in &rocks[..i] {
                    prop_assert!((r.x_m - s.x_m).hypot(r.y_m - s.y_m) >= r.reach_m + s.reach_m);
                }
            }
        }
    }

    #[test]
    fn no_cover_no_rocks() {
        assert!(
            RockField::new(1, 0.0, 0.1, 2.0)
                .tile(0, 0, &even)
                .is_empty()
        );
    }
}
