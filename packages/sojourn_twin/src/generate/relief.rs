//! The large shape: a plane, fractal relief, craters.

use super::no_ground;
use crate::{
    TwinError,
    craters::{Crater, CraterField},
    noise::{self, Fractal},
    recipe::Recipe,
    world::{FINE_BELOW_M, HURST},
};
use rayon::prelude::*;
use sojourn_core::{error::in_range, raster::Raster};
use std::f64::consts::TAU;

mod channel {
    pub const RELIEF: u64 = 0x11;
    pub const SLOPE: u64 = 0x12;
}

/// Distance over which relief is measured, metres.
const BASELINE_M: f64 = 2.0;

/// A tilted plane with relief.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Extent east and north, metres.
    pub size_m: [f64; 2],
    /// Size of a cell, metres.
    pub resolution_m: f64,
    /// Tilt of the plane, degrees; its direction comes from the seed.
    pub slope_deg: f64,
    /// Relief on top: root mean square of the slope along an axis over 2 m, degrees.
    pub relief_rms_deg: f64,
    /// Longest wavelength of the relief, metres.
    pub relief_longest_m: f64,
}

impl Shape {
    /// The shape of a recipe's ground.
    #[must_use]
    pub fn of(recipe: &Recipe) -> Self {
        Self {
            size_m: recipe.size_m,
            resolution_m: recipe.dtm_resolution_m,
            slope_deg: recipe.slope_deg,
            relief_rms_deg: recipe.relief_rms_deg,
            relief_longest_m: recipe.relief_longest_m,
        }
    }

    fn check(&self) -> Result<(), TwinError> {
        let range = |name: &str, v: f64, lo: f64, hi: f64| in_range("world", name, v, lo, hi);
        let res = range("resolution_m", self.resolution_m, 0.05, 100.0)?;
        range("size_m[0]", self.size_m[0], 8.0 * res, 20_000.0 * res)?;
        range("size_m[1]", self.size_m[1], 8.0 * res, 20_000.0 * res)?;
        range("slope_deg", self.slope_deg, 0.0, 35.0)?;
        range("relief_rms_deg", self.relief_rms_deg, 0.0, 20.0)?;
        range("relief_longest_m", self.relief_longest_m, 4.0 * res, 1e5)?;
        Ok(())
    }
}

/// The elevation model of a generated world, metres over its datum: a shape with craters.
pub fn elevation(seed: u64, recipe: &Shape, craters: &[Crater]) -> Result<Raster, TwinError> {
    recipe.check()?;
    let res = recipe.resolution_m;
    let [cols, rows] = recipe.size_m.map(|s| (s / res).round() as usize);
    let frame = Raster::filled(cols, rows, res, [0.0, 0.0], 0.0)?;
    let fractal = Fractal::new(
        seed,
        channel::RELIEF,
        recipe.relief_longest_m,
        1.9 * res,
        HURST,
    );
    let mut z: Vec<f64> = (0..cols * rows)
        .into_par_iter()
        .map(|k| {
            let [x, y] = frame.centre_m(k % cols, k / cols);
            fractal.at(x, y)
        })
        .collect();
    detrend(&mut z, cols, rows);
    let rms = rms_slope(&z, cols, rows, res);
    let scale = if rms > 0.0 {
        recipe.relief_rms_deg.to_radians().tan() / rms
    } else {
        0.0
    };

    let toward = TAU * noise::unit(noise::hash(seed, channel::SLOPE, 0, 0));
    let grade = recipe.slope_deg.to_radians().tan();
    let (gx, gy) = (grade * toward.cos(), grade * toward.sin());
    let mut data = vec![0f32; cols * rows];
    data.par_chunks_mut(cols).enumerate().for_each(|(r, row)| {
        let y = frame.centre_m(0, r)[1];
        let near: Vec<_> = craters
            .iter()
            .filter(|c| (c.y_m - y).abs() < c.reach_m())
            .collect();
        for (c, out) in row.iter_mut().enumerate() {
            let [x, y] = frame.centre_m(c, r);
            let plane = gx * (x - 0.5 * recipe.size_m[0]) + gy * (y - 0.5 * recipe.size_m[1]);
            let bowls: f64 = near.iter().map(|c| c.height_m(x, y)).sum();
            *out = (plane + scale * z[r * cols + c] + bowls) as f32;
        }
    });
    Ok(Raster::new(cols, rows, res, [0.0, 0.0], data)?)
}

/// The craters that a generated elevation model shows: four cells and more across.
pub fn craters(seed: u64, recipe: &Recipe) -> Vec<Crater> {
    let c = &recipe.craters;
    let least_m = c.least_m.max(4.0 * recipe.dtm_resolution_m);
    let [width_m, height_m] = recipe.size_m;
    CraterField::new(seed, c.per_km2_over_10m, least_m, c.greatest_m)
        .near([0.0, 0.0, width_m, height_m])
}

/// Takes the best plane out of a grid of heights.
fn detrend(z: &mut [f64], cols: usize, rows: usize) {
    let centred = |k: usize| {
        let (c, r) = ((k % cols) as f64, (k / cols) as f64);
        [c - 0.5 * (cols - 1) as f64, r - 0.5 * (rows - 1) as f64]
    };
    let n = z.len() as f64;
    let (mut mean, mut slope, mut spread) = (0.0, [0.0; 2], [0.0; 2]);
    for (k, v) in z.iter().enumerate() {
        let p = centred(k);
        mean += v / n;
        for a in 0..2 {
            slope[a] += p[a] * v;
            spread[a] += p[a] * p[a];
        }
    }
    for a in 0..2 {
        slope[a] /= spread[a].max(1.0);
    }
    for (k, v) in z.iter_mut().enumerate() {
        let p = centred(k);
        *v -= mean + slope[0] * p[0] + slope[1] * p[1];
    }
}

/// Root mean square of the slope along the axes over [`BASELINE_M`] (or one cell, where that is more).
fn rms_slope(z: &[f64], cols: usize, rows: usize, res: f64) -> f64 {
    let lag = ((BASELINE_M / res).round() as usize).max(1);
    let (mut sum, mut n) = (0.0, 0.0);
    for r in 0..rows {
        for c in 0..cols {
            let here = z[r * cols + c];
            if c + lag < cols {
                sum += (z[r * cols + c + lag] - here).powi(2);
                n += 1.0;
            }
            if r + lag < rows {
                sum += (z[(r + lag) * cols + c] - here).powi(2);
                n += 1.0;
            }
        }
    }
    if n > 0.0 {
        (sum / n).sqrt() / (lag as f64 * res)
    } else {
        0.0
    }
}

/// The relief below 2 m of wavelength that carries on the relief an elevation model shows, metres RMS.
///
/// Relief of one Hurst exponent looks alike at all scales, so what the model does over four cells says what lies
/// below. The bend over `L` (height in the middle less the mean of its neighbours) does not see the plane; its median
/// does not see the few crater walls and boulders.
pub fn fine_rms_m(elevation: &Raster) -> f64 {
    const LAG: usize = 4;
    let (cols, rows) = (elevation.cols(), elevation.rows());
    let mut bends = Vec::new();
    // Up to some ten thousand places, evenly.
    let step = ((cols * rows) as f64 / 40_000.0).sqrt().ceil().max(1.0) as usize;
    for r in (0..rows).step_by(step) {
        for c in (LAG..cols.saturating_sub(LAG)).step_by(step) {
            let z = |c: usize| f64::from(elevation.get(c, r));
            let bend = z(c) - 0.5 * (z(c - LAG) + z(c + LAG));
            if bend.is_finite() {
                bends.push(bend.abs());
            }
        }
    }
    bends.sort_by(f64::total_cmp);
    let Some(median) = bends.get(bends.len() / 2) else {
        return 0.0;
    };
    // the standard deviation of normal numbers from the median of their sizes
    let bend_m = median / 0.6745;
    bend_m * FINE_PER_BEND * (FINE_BELOW_M / (LAG as f64 * elevation.resolution_m())).powf(HURST)
}

/// RMS of [`Fractal`] relief of exponent [`HURST`] below a wavelength, over the RMS of its bend over the same length;
/// see the test.
const FINE_PER_BEND: f64 = 0.53;

/// Refuses what is no elevation model of ground.
pub fn check(name: &str, elevation: &Raster) -> Result<(), TwinError> {
    let (cols, rows, res) = (elevation.cols(), elevation.rows(), elevation.resolution_m());
    if cols < 8 || rows < 8 {
        return Err(no_ground(
            name,
            format!("{cols} x {rows} cells"),
            "at least 8 x 8 cells",
        ));
    }
    let data = elevation.data();
    let known = data.iter().filter(|v| v.is_finite()).count();
    if 2 * known < data.len() {
        let share = 100.0 * known as f64 / data.len() as f64;
        return Err(no_ground(
            name,
            format!("data in {share:.0} % of its cells"),
            "data in at least half of them",
        ));
    }
    // A spike: one cell that stands out from all its neighbours by more than a wall of 80° could.
    let most_m = res * 80f64.to_radians().tan();
    for r in 1..rows - 1 {
        for c in 1..cols - 1 {
            let z = elevation.get(c, r);
            let around = [
                elevation.get(c - 1, r),
                elevation.get(c + 1, r),
                elevation.get(c, r - 1),
                elevation.get(c, r + 1),
            ];
            let gaps = around.map(|n| f64::from(z - n));
            if gaps.iter().all(|g| *g > most_m) || gaps.iter().all(|g| *g < -most_m) {
                let [x, y] = elevation.centre_m(c, r);
                return Err(no_ground(
                    name,
                    format!("a spike of {:.1} m at ({x:.1}, {y:.1}) m", gaps[0]),
                    "no single cell that stands out from all four neighbours by more than 80°",
                ));
            }
        }
    }
    steps(name, elevation)
}

/// Refuses heights in whole metres: terraces that a rover would have to climb and that are not there.
fn steps(name: &str, elevation: &Raster) -> Result<(), TwinError> {
    let data = elevation.data();
    let (mut n, mut whole, mut differ) = (0usize, 0usize, 0usize);
    for pair in data.windows(2) {
        let gap = f64::from(pair[1] - pair[0]);
        if gap.is_finite() {
            n += 1;
            let is_whole = (gap - gap.round()).abs() < 1e-4;
            whole += usize::from(is_whole);
            differ += usize::from(is_whole && gap.abs() > 0.5);
        }
    }
    if n > 100 && 200 * whole >= 199 * n && 200 * differ > n {
        return Err(no_ground(
            name,
            "heights in steps of 1 m",
            "heights resolved to a decimetre or better (floating-point cells)",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The constant, measured on relief of the same kind.
    #[test]
    fn fine_relief_carries_on_the_relief_above() {
        let length = 4.0;
        let (mut bend2, mut n) = (0.0, 0.0);
        // amplitude 1 per metre^H of wavelength, octaves far above and below
        let all = Fractal::new(5, 1, 512.0, 0.1, HURST);
        for i in 0..200 {
            for j in 0..100 {
                let (x, y) = (f64::from(i) * 3.7, f64::from(j) * 5.3);
                let b = all.at(x, y) - 0.5 * (all.at(x - length, y) + all.at(x + length, y));
                bend2 += b * b;
                n += 1.0;
            }
        }
        // The octaves of `all` are 512 / 2^k; below 4 m they start at 4 m.
        let octave = |wavelength: f64| (wavelength / 512.0).powf(HURST);
        let total: f64 = (0..13)
            .map(|k| octave(512.0 * 0.5f64.powi(k)).powi(2))
            .sum();
        let below: f64 = (7..13)
            .map(|k| octave(512.0 * 0.5f64.powi(k)).powi(2))
            .sum();
        let fine_rms = (below / total).sqrt();
        let ratio = fine_rms / (bend2 / n).sqrt();
        assert!((ratio / FINE_PER_BEND - 1.0).abs() < 0.15, "{ratio}");
    }

    #[test]
    fn what_is_no_ground_is_refused() {
        let flat = Raster::filled(60, 60, 1.0, [0.0, 0.0], 0.0).unwrap();
        let relief = flat.like(|c, r| 0.11 * c as f32 + 0.07 * r as f32);
        assert!(check("a", &relief).is_ok());
        let said = |r: &Raster| check("a.tif", r).unwrap_err().to_string();
        let mut spike = relief.clone();
        spike.set(30, 20, 60.0);
        assert!(said(&spike).contains("spike") && said(&spike).contains("(30.5, 20.5)"));
        let whole = relief.like(|c, r| relief.get(c, r).round());
        assert!(said(&whole).contains("steps of 1 m"));
        let holes = relief.like(|c, _| if c < 40 { f32::NAN } else { 0.0 });
        assert!(said(&holes).contains("data in 33 %"));
        assert!(said(&Raster::filled(1, 1, 1.0, [0.0, 0.0], 0.0).unwrap()).contains("1 x 1"));
    }
}
