//! A window of heights without trend and rocks.

use nalgebra::{DMatrix, DVector, Matrix6, Vector6};
use sojourn_core::raster::Raster;
use std::f64::consts::{PI, TAU};

/// Rounds of fitting the trend; what stands out of one is left out of the next.
const ROUNDS: usize = 3;
/// Standard deviations from the trend beyond which a cell is a rock, or wrong. Crests and troughs stay within two and a half.
const OUT_SIGMAS: f64 = 3.0;
/// Harmonics of a ripple's profile: its crest may be sharper than its trough.
const MOST_HARMONICS: usize = 3;
/// Places of the profile that are compared.
const PHASES: usize = 32;
/// One, and a cosine and a sine for every harmonic.
const TERMS: usize = 1 + 2 * MOST_HARMONICS;
/// Half the width of the middle third across the crests, as a share of the window's side; less than a sixth, because a window's weight lies
/// in its middle.
const MIDDLE_THIRD: f64 = 0.11;

/// Heights less their trend, with weights.
#[derive(Clone, Debug)]
pub(super) struct Window {
    /// Cells along a side.
    pub side: usize,
    /// Side of a cell, metres.
    pub res_m: f64,
    /// Middle, metres in the grid's frame.
    pub middle_m: [f64; 2],
    /// Weight times height over the trend, metres, row by row; 0 where unknown.
    pub weighted_m: Vec<f64>,
    /// Weights: Hann's window where a height is known and no rock.
    weights: Vec<f64>,
    /// Sum of the weights.
    pub weight: f64,
}

/// The mean profile of a wave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Profile {
    /// From its lowest to its highest point, metres.
    pub height_m: f64,
    /// Share of the heights' variance that it explains, repeated.
    pub share: f64,
    /// The wave, cycles per metre east and north.
    wave: [f64; 2],
    /// Mean, and cosine and sine of every harmonic; 0 for those that were not fitted.
    shape: [f64; TERMS],
}

impl Window {
    /// Cuts a window whose south-west cell is given; `None` where too little of it is known.
    pub fn cut(e: &Raster, col: usize, row: usize, side: usize, known_min: f64) -> Option<Self> {
        let heights: Vec<f64> = (0..side * side)
            .map(|i| f64::from(e.get(col + i % side, row + i / side)))
            .collect();
        let known = heights.iter().filter(|z| z.is_finite()).count();
        if (known as f64) < known_min * heights.len() as f64 {
            return None;
        }
        let hann = |k: usize| (PI * (k as f64 + 0.5) / side as f64).sin().powi(2);
        let mut weights: Vec<f64> = heights
            .iter()
            .enumerate()
            .map(|(i, z)| {
                if z.is_finite() {
                    hann(i % side) * hann(i / side)
                } else {
                    0.0
                }
            })
            .collect();
        let mut off = vec![0.0; heights.len()];
        for round in 0..ROUNDS {
            let trend = trend(&heights, &weights, side)?;
            for (i, (o, z)) in off.iter_mut().zip(&heights).enumerate() {
                *o = if weights[i] > 0.0 {
                    z - trend.dot(&terms(i, side))
                } else {
                    0.0
                };
            }
            if round + 1 < ROUNDS {
                leave_out(&off, &mut weights);
            }
        }
        let [x, y] = e.origin_m();
        let res_m = e.resolution_m();
        let middle =
            |origin: f64, first: usize| origin + res_m * (first as f64 + 0.5 * side as f64);
        Some(Self {
            side,
            res_m,
            middle_m: [middle(x, col), middle(y, row)],
            weighted_m: off.iter().zip(&weights).map(|(o, w)| o * w).collect(),
            weight: weights.iter().sum(),
            weights,
        })
    }

    /// The profile of one wave, cycles per metre east and north: its harmonics by least squares.
    pub fn folded(&self, fx: f64, fy: f64) -> Option<Profile> {
        // Higher harmonics of short waves lie beyond what the cells resolve.
        let per_wave = 1.0 / (fx.hypot(fy) * self.res_m);
        let harmonics = if per_wave >= 10.0 { MOST_HARMONICS } else { 2 };
        let size = 1 + 2 * harmonics;
        let mut normal = [[0.0; TERMS]; TERMS];
        let mut right = [0.0; TERMS];
        let (mut sum, mut square) = (0.0, 0.0);
        for (i, (wz, w)) in self.weighted_m.iter().zip(&self.weights).enumerate() {
            if *w <= 0.0 {
                continue;
            }
            let t = waves(self.phase(i, fx, fy));
            for (k, line) in normal.iter_mut().enumerate() {
                for (to, v) in line.iter_mut().zip(&t).take(k + 1) {
                    *to += w * t[k] * v;
                }
                right[k] += wz * t[k];
            }
            sum += wz;
            square += wz * wz / w;
        }
        let normal = DMatrix::from_fn(size, size, |r, c| normal[r.max(c)][r.min(c)]);
        let right = DVector::from_fn(size, |k, _| right[k]);
        let solved = normal.cholesky()?.solve(&right);
        let mean = sum / self.weight;
        let variance = square / self.weight - mean * mean;
        let explained = solved.dot(&right) / self.weight - mean * mean;
        let mut shape = [0.0; TERMS];
        shape.iter_mut().zip(&solved).for_each(|(to, v)| *to = *v);
        let (mut low_m, mut high_m) = (f64::INFINITY, f64::NEG_INFINITY);
        for k in 0..PHASES {
            let m = at_phase(&shape, k as f64 / PHASES as f64);
            low_m = low_m.min(m);
            high_m = high_m.max(m);
        }
        let height_m = high_m - low_m;
        (variance > 1e-12 && height_m.is_finite()).then_some(Profile {
            height_m,
            share: (explained / variance).clamp(0.0, 1.0),
            wave: [fx, fy],
            shape,
        })
    }

    /// The least share of the heights that a profile, as it stands, explains in one of the window's thirds across its crests:
    /// ripples are in all of them, a ridge or a step in one, where the others are none the better for it.
    pub fn least_third(&self, profile: &Profile) -> f64 {
        let [fx, fy] = profile.wave;
        let middle_m = 0.5 * self.side as f64 * self.res_m;
        let middle = (fx + fy) * middle_m;
        // Half of the middle third, in waves.
        let third = fx.hypot(fy) * self.side as f64 * self.res_m * MIDDLE_THIRD;
        let (mut left, mut all) = ([0.0; 3], [0.0; 3]);
        for (i, (wz, w)) in self.weighted_m.iter().zip(&self.weights).enumerate() {
            if *w <= 1e-6 {
                continue;
            }
            let phase = self.phase(i, fx, fy);
            let k = match phase - middle {
                d if d < -third => 0,
                d if d < third => 1,
                _ => 2,
            };
            let z = wz / w;
            // The window falls off towards its edge; its outer thirds shall count all the same.
            let weight = w.sqrt();
            left[k] += weight * (z - at_phase(&profile.shape, phase)).powi(2);
            all[k] += weight * z * z;
        }
        let share = |k: usize| {
            if all[k] > 0.0 {
                1.0 - left[k] / all[k]
            } else {
                0.0
            }
        };
        share(0).min(share(1)).min(share(2))
    }

    fn phase(&self, i: usize, fx: f64, fy: f64) -> f64 {
        let at = |k: usize| k as f64 * self.res_m;
        fx * at(i % self.side) + fy * at(i / self.side)
    }
}

/// One, and cosine and sine of every harmonic of a phase in cycles.
fn waves(phase: f64) -> [f64; TERMS] {
    let [c, s] = turn(phase);
    let mut t = [1.0; TERMS];
    (t[1], t[2]) = (c, s);
    for k in 2..=MOST_HARMONICS {
        let (a, b) = (t[2 * k - 3], t[2 * k - 2]);
        (t[2 * k - 1], t[2 * k]) = (a * c - b * s, b * c + a * s);
    }
    t
}

/// Height of a profile at a phase in cycles.
fn at_phase(shape: &[f64; TERMS], phase: f64) -> f64 {
    shape.iter().zip(waves(phase)).map(|(a, t)| a * t).sum()
}

/// Terms of a quadratic surface at a cell, coordinates from -1 to 1.
fn terms(i: usize, side: usize) -> Vector6<f64> {
    let at = |k: usize| 2.0 * (k as f64 + 0.5) / side as f64 - 1.0;
    let (x, y) = (at(i % side), at(i / side));
    Vector6::new(1.0, x, y, x * x, x * y, y * y)
}

/// The quadratic surface through the weighted heights, by least squares; `None` when they do not determine one.
fn trend(heights: &[f64], weights: &[f64], side: usize) -> Option<Vector6<f64>> {
    let (mut normal, mut right) = (Matrix6::zeros(), Vector6::zeros());
    for (i, (z, w)) in heights.iter().zip(weights).enumerate() {
        if *w > 0.0 {
            let t = terms(i, side);
            normal.ger(*w, &t, &t, 1.0);
            right.axpy(w * z, &t, 1.0);
        }
    }
    let trend = normal.cholesky()?.solve(&right);
    trend.iter().all(|v| v.is_finite()).then_some(trend)
}

/// Takes away the weight of what lies far from the trend.
fn leave_out(off: &[f64], weights: &mut [f64]) {
    let weight: f64 = weights.iter().sum();
    let square: f64 = off.iter().zip(&*weights).map(|(o, w)| w * o * o).sum();
    let out_m = OUT_SIGMAS * (square / weight.max(1e-12)).sqrt();
    for (w, o) in weights.iter_mut().zip(off) {
        if o.abs() > out_m {
            *w = 0.0;
        }
    }
}

/// Cosine and sine of an angle in cycles.
pub(super) fn turn(cycles: f64) -> [f64; 2] {
    let (s, c) = (TAU * cycles).sin_cos();
    [c, s]
}
