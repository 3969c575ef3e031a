//! What a world turned out like, measured on what was made.

use crate::{
    TwinError,
    folder::{View, WorldFolder},
    generate::{CLASSES, class_shares},
    rocks::{RockField, exponent},
};
use serde::Serialize;
use sojourn_core::{classes::TerrainClass, raster::Raster};
use std::collections::BTreeMap;

/// Distance that slopes are measured over, metres (or one cell, where that is more).
const BASELINE_M: f64 = 2.0;

/// Measured figures of a world.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WorldStats {
    /// Seed.
    pub seed: u64,
    /// Extent, metres.
    pub size_m: [f64; 2],
    /// Golombek's k that was asked for.
    pub cfa_k: f64,
    /// Expected cover of rocks of `rock_min_m` and more: `k·exp(−q·rock_min_m)`.
    pub cfa_expected: f64,
    /// Measured cover of those rocks: the area of their outlines over the area of the world.
    pub cfa_measured: f64,
    /// Least diameter that counts, metres.
    pub rock_min_m: f64,
    /// Rocks in the world.
    pub rocks: usize,
    /// Kolmogorov–Smirnov distance of the rocks' diameters from the formula between least and greatest diameter.
    pub ks_distance: f64,
    /// Distance that slopes are measured over, metres.
    pub slope_baseline_m: f64,
    /// Percentiles of the slope, degrees, by name ("p50").
    pub slope_percentiles_deg: BTreeMap<String, f64>,
    /// Tilt of the best plane, degrees.
    pub regional_slope_deg: f64,
    /// Root mean square of the slope along an axis about that plane, degrees.
    pub relief_rms_deg: f64,
    /// Relief below 2 m of wavelength that was added, metres RMS.
    pub fine_relief_rms_m: f64,
    /// Shares of the classes.
    pub class_shares: BTreeMap<TerrainClass, f64>,
}

/// Measures a world.
///
/// # Errors
/// [`TwinError::Core`] when the world cannot be made.
pub fn measure(folder: &WorldFolder) -> Result<WorldStats, TwinError> {
    let recipe = &folder.document.recipe;
    let world = folder.world(&View::everything())?;
    let [x0, y0, x1, y1] = world.region_m();
    let mut diameters: Vec<f64> = Vec::new();
    let mut area = 0.0;
    // Strip by strip, so that millions of rocks need not be held with their shapes.
    let step = 10.0;
    let mut y = y0;
    while y < y1 {
        let end = (y + step).min(y1);
        for r in world.rocks_in([x0, y, x1, end]) {
            // A rock on the border of two strips counts once.
            if (y..end).contains(&r.y_m) || (end >= y1 && r.y_m == end) {
                area += 0.25 * std::f64::consts::PI * r.diameter_m * r.diameter_m;
                diameters.push(r.diameter_m);
            }
        }
        y = end;
    }
    diameters.sort_by(f64::total_cmp);
    let rocks = &recipe.rocks;
    let field = RockField::new(0, rocks.cfa, rocks.min_m, rocks.max_m);
    let codes = folder.truth.layer(CLASSES)?;
    let elevation = folder.site.elevation()?;
    let slopes = Slopes::of(elevation);
    let cfa_expected = if rocks.cfa > 0.0 {
        rocks.cfa * (-exponent(rocks.cfa) * rocks.min_m).exp()
    } else {
        0.0
    };
    Ok(WorldStats {
        seed: folder.document.seed,
        size_m: elevation.size_m(),
        cfa_k: rocks.cfa,
        cfa_expected,
        cfa_measured: area / ((x1 - x0) * (y1 - y0)),
        rock_min_m: rocks.min_m,
        rocks: diameters.len(),
        ks_distance: ks_distance(&diameters, |d| field.share_below(d)),
        slope_baseline_m: slopes.baseline_m,
        slope_percentiles_deg: [5, 25, 50, 75, 95, 99, 100]
            .into_iter()
            .map(|p| (format!("p{p}"), slopes.percentile_deg(p)))
            .collect(),
        regional_slope_deg: slopes.regional_deg,
        relief_rms_deg: slopes.rms_deg,
        fine_relief_rms_m: folder.document.fine_relief_rms_m,
        class_shares: class_shares(codes),
    })
}

/// Greatest distance between the cumulative distribution of sorted values and a model's; 0 of none.
#[must_use]
pub fn ks_distance(sorted: &[f64], model: impl Fn(f64) -> f64) -> f64 {
    let n = sorted.len() as f64;
    sorted
        .iter()
        .enumerate()
        .map(|(i, v)| {
            let m = model(*v);
            (m - i as f64 / n).abs().max((m - (i + 1) as f64 / n).abs())
        })
        .fold(0.0, f64::max)
}

/// Tilt of the mean plane and RMS slope along an axis about it, degrees.
#[must_use]
pub fn regional_and_rms_deg(elevation: &Raster) -> (f64, f64) {
    let slopes = Slopes::of(elevation);
    (slopes.regional_deg, slopes.rms_deg)
}

/// A percentile of the slope, degrees.
#[must_use]
pub fn slope_percentile_deg(elevation: &Raster, percent: usize) -> f64 {
    Slopes::of(elevation).percentile_deg(percent)
}

/// Slopes of an elevation model.
struct Slopes {
    baseline_m: f64,
    /// Sorted, degrees.
    deg: Vec<f32>,
    regional_deg: f64,
    rms_deg: f64,
}

impl Slopes {
    fn of(elevation: &Raster) -> Self {
        let res = elevation.resolution_m();
        let lag = ((BASELINE_M / res).round() as usize).max(1);
        let baseline_m = lag as f64 * res;
        let (mut sums, mut squares, mut n) = ([0.0; 2], 0.0, 0.0);
        let mut deg = Vec::new();
        for r in 0..elevation.rows().saturating_sub(lag) {
            for c in 0..elevation.cols().saturating_sub(lag) {
                let z = f64::from(elevation.get(c, r));
                let gx = (f64::from(elevation.get(c + lag, r)) - z) / baseline_m;
                let gy = (f64::from(elevation.get(c, r + lag)) - z) / baseline_m;
                if !(gx.is_finite() && gy.is_finite()) {
                    continue;
                }
                sums = [sums[0] + gx, sums[1] + gy];
                squares += gx * gx + gy * gy;
                n += 1.0;
                deg.push(gx.hypot(gy).atan().to_degrees() as f32);
            }
        }
        deg.sort_by(f32::total_cmp);
        let n = f64::max(n, 1.0);
        let mean = sums.map(|s| s / n);
        let about = (squares / n - mean[0] * mean[0] - mean[1] * mean[1]).max(0.0);
        Self {
            baseline_m,
            deg,
            regional_deg: mean[0].hypot(mean[1]).atan().to_degrees(),
            rms_deg: (0.5 * about).sqrt().atan().to_degrees(),
        }
    }

    fn percentile_deg(&self, percent: usize) -> f64 {
        let k = (self.deg.len() * percent).div_ceil(100).saturating_sub(1);
        f64::from(self.deg.get(k).copied().unwrap_or(0.0))
    }
}
