//! Rocks by Golombek's distribution: the share of ground covered by rocks of diameter D and more is
//! `F(D) = k·exp(−q·D)` with `q = 1.79 + 0.152 / k`.
//!
//! Rocks are drawn tile by tile (10 m), each tile from its own seed, and stay inside their tile: so a rock does not
//! depend on the region that is looked at, and no two overlap.

use crate::noise;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Side of a tile, metres.
pub const TILE_M: f64 = 10.0;
const CHANNEL: u64 = 0x21;
/// Entries of the table of diameters.
const BINS: usize = 512;
/// Places tried for one rock before it is given up; at covers of 30 % and less nearly none is.
const TRIES: usize = 64;

/// A rock: a half ellipsoid with a circular base.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rock {
    /// Centre east, metres in `map`.
    pub x_m: f64,
    /// Centre north, metres in `map`.
    pub y_m: f64,
    /// Diameter of the base, metres.
    pub diameter_m: f64,
    /// Height over the ground, metres.
    pub height_m: f64,
    /// Brightness relative to the soil.
    pub tone: f64,
}

impl Rock {
    /// How much the rock stands over the ground at a point, metres.
    #[must_use]
    pub fn rise_m(&self, x_m: f64, y_m: f64) -> f64 {
        let q = 2.0 * (x_m - self.x_m).hypot(y_m - self.y_m) / self.diameter_m;
        if q < 1.0 {
            self.height_m * (1.0 - q * q).sqrt()
        } else {
            0.0
        }
    }
}

/// The distribution between two diameters.
#[derive(Clone, Debug)]
pub struct RockField {
    seed: u64,
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

    /// The rocks of one tile; tile (0, 0) has its south-west corner at the map's origin.
    #[must_use]
    pub fn tile(&self, ix: i64, iy: i64) -> Vec<Rock> {
        let total = self.per_m2.first().copied().unwrap_or(0.0);
        if total <= 0.0 {
            return Vec::new();
        }
        let mut rng = ChaCha8Rng::seed_from_u64(noise::hash(self.seed, CHANNEL, ix, iy));
        // The fraction of a rock is a rock with that probability.
        let count = (total * TILE_M * TILE_M + rng.random::<f64>()).floor() as usize;
        let mut diameters: Vec<f64> = (0..count)
            .map(|_| self.diameter(total * rng.random::<f64>()))
            .collect();
        // The largest first: they need the most room.
        diameters.sort_by(|a, b| b.total_cmp(a));
        let mut rocks: Vec<Rock> = Vec::with_capacity(count);
        for d in diameters {
            let (height, tone) = (
                0.4 + 0.2 * rng.random::<f64>(),
                0.75 + 0.5 * rng.random::<f64>(),
            );
            for _ in 0..TRIES {
                let free = TILE_M - d;
                let x = ix as f64 * TILE_M + 0.5 * d + free * rng.random::<f64>();
                let y = iy as f64 * TILE_M + 0.5 * d + free * rng.random::<f64>();
                let apart = |r: &Rock| (r.x_m - x).hypot(r.y_m - y) >= 0.5 * (r.diameter_m + d);
                if rocks.iter().all(apart) {
                    rocks.push(Rock {
                        x_m: x,
                        y_m: y,
                        diameter_m: d,
                        height_m: height * d,
                        tone,
                    });
                    break;
                }
            }
        }
        rocks
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

    #[test]
    fn the_measured_cover_is_golombeks() {
        for k in [0.03, 0.1] {
            let field = RockField::new(11, k, 0.1, 3.0);
            let mut area = 0.0;
            for ix in 0..20 {
                for iy in 0..20 {
                    area += field
                        .tile(ix, iy)
                        .iter()
                        .map(|r| 0.25 * std::f64::consts::PI * r.diameter_m.powi(2))
                        .sum::<f64>();
                }
            }
            let cover = area / (400.0 * TILE_M * TILE_M);
            let expected = k * (-0.1 * exponent(k)).exp();
            assert!(
                (cover / expected - 1.0).abs() < 0.1,
                "k {k}: {cover} for {expected}"
            );
        }
    }

    proptest! {
        #[test]
        fn rocks_keep_apart_and_inside(seed: u64, ix in -1000i64..1000, iy in -1000i64..1000, k in 0.01f64..0.2) {
            let rocks = RockField::new(seed, k, 0.1, 2.0).tile(ix, iy);
            for (i, r) in rocks.iter().enumerate() {
                prop_assert!(r.diameter_m >= 0.1 && r.diameter_m <= 2.0);
                prop_assert!(r.x_m - 0.5 * r.diameter_m >= ix as f64 * TILE_M - 1e-9);
                prop_assert!(r.y_m + 0.5 * r.diameter_m <= (iy + 1) as f64 * TILE_M + 1e-9);
                for s in &rocks[..i] {
                    prop_assert!((r.x_m - s.x_m).hypot(r.y_m - s.y_m) >= 0.5 * (r.diameter_m + s.diameter_m));
                }
            }
        }
    }

    #[test]
    fn no_cover_no_rocks() {
        assert!(RockField::new(1, 0.0, 0.1, 2.0).tile(0, 0).is_empty());
    }
}
