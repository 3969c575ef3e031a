//! The piece of map that is searched, on the matcher's grid.

use super::{
    CELL_M, SCALES,
    census::Codes,
    plane::Plane,
    relight::{AROUND_M, Shading, fit},
};
use sojourn_core::raster::Raster;

/// Cells of the coarse relief grid along one of its steps.
pub(super) const RELIEF_STEP: usize = 4;
/// Smoothing of heights before their slopes are compared, metres.
pub(super) const RELIEF_SMOOTH_M: f64 = 0.8;
/// How far image and relief of a map are tried against one another, metres.
const LAYERS_REACH_M: i64 = 6;

/// Image and relief around the prior.
#[derive(Clone, Debug)]
pub(super) struct MapWindow {
    /// Departure of the image from its surroundings, as a share.
    pub contrast: Plane,
    /// Census codes at [`SCALES`].
    pub codes: [Codes; SCALES.len()],
    /// Slopes of the elevation model every [`RELIEF_STEP`] cells; 0 where unknown.
    pub relief: [Plane; 2],
    /// How the map was lit.
    pub shading: Shading,
    /// Where the relief fits the image best: this much is added to a place of the image to get that of the relief, metres.
    pub layers_shift_m: Option<[f64; 2]>,
    /// Standard deviation of the contrast.
    pub deviation: f64,
    /// Share of the window that the image covers.
    pub known: f64,
}

impl MapWindow {
    pub fn of(
        ortho: &Raster,
        elevation: &Raster,
        middle_m: [f64; 2],
        side: usize,
        band: f64,
    ) -> Self {
        let image = resampled(ortho, middle_m, side, CELL_M);
        // Images are often stretched, so that 0 is not "no light": the departure is a share of the whole's brightness.
        let mean = image.mean().abs().max(1e-6) as f32;
        let contrast = image.detail(AROUND_M / CELL_M).map(|v| v / mean);
        let relief_z = resampled(elevation, middle_m, side, CELL_M);
        // steps of the elevation model's own cells are not ground
        let smooth_m = RELIEF_SMOOTH_M.max(0.6 * elevation.resolution_m());
        let smooth = relief_z
            .blurred(smooth_m / CELL_M, 0.5)
            .thinned(RELIEF_STEP);
        let slopes = smooth.slopes(RELIEF_STEP as f64 * CELL_M);
        let broad = contrast
            .blurred(smooth_m / CELL_M, 0.5)
            .thinned(RELIEF_STEP);
        let (shading, layers_shift_m) = lit_as(&broad, &slopes);
        let codes = SCALES.map(|s| {
            let seen = contrast.blurred(s.smooth_m / CELL_M, 0.5);
            let dead = (band * seen.deviation()).max(LEAST_BAND);
            Codes::of(&seen, s.spacing, dead as f32)
        });
        Self {
            deviation: contrast.deviation(),
            known: contrast.known_share(),
            contrast,
            codes,
            relief: slopes.map(|p| p.map(|v| if v.is_finite() { v } else { 0.0 })),
            shading,
            layers_shift_m,
        }
    }
}

/// Contrast below which nothing is taken for brighter or darker: the noise of a good image.
pub(super) const LEAST_BAND: f64 = 1e-3;

/// A square of a raster around a place on a grid of cells; means where the raster is finer.
pub(super) fn resampled(raster: &Raster, middle_m: [f64; 2], side: usize, cell_m: f64) -> Plane {
    let finer = (cell_m / raster.resolution_m()).round().clamp(1.0, 8.0) as usize;
    let step = cell_m / finer as f64;
    let corner = middle_m.map(|m| m - 0.5 * side as f64 * cell_m);
    Plane::from_fn(side, |c, r| {
        let mut sum = 0.0;
        for j in 0..finer {
            for i in 0..finer {
                let x = corner[0] + c as f64 * cell_m + (i as f64 + 0.5) * step;
                let y = corner[1] + r as f64 * cell_m + (j as f64 + 0.5) * step;
                sum += raster.sample(x, y).unwrap_or(f64::NAN);
            }
        }
        (sum / (finer * finer) as f64) as f32
    })
}

/// The map's shading, and how its layers lie to one another where that is clear.
fn lit_as(broad: &Plane, slopes: &[Plane; 2]) -> (Shading, Option<[f64; 2]>) {
    let here = fit(broad, slopes, [0, 0]);
    let (mut best, mut at, mut sum, mut n) = (here, [0, 0], 0.0, 0.0);
    for dy in -LAYERS_REACH_M..=LAYERS_REACH_M {
        for dx in -LAYERS_REACH_M..=LAYERS_REACH_M {
            let s = fit(broad, slopes, [dx, dy]);
            sum += s.explained;
            n += 1.0;
            if s.explained > best.explained {
                (best, at) = (s, [dx, dy]);
            }
        }
    }
    let clear = best.explained > 0.05 && best.explained > 1.5 * sum / n;
    let inner = at.iter().all(|v| v.abs() < LAYERS_REACH_M);
    if clear && inner {
        let step_m = RELIEF_STEP as f64 * CELL_M;
        (best, Some(at.map(|v| v as f64 * step_m)))
    } else {
        (here, None)
    }
}
