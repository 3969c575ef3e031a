//! Sand ripples in the terrain grid: wavelength, height and direction, window by window.
//!
//! The heights of a window, less their quadratic trend and without rocks, are compared with plane waves of all directions
//! and lengths (a discrete Fourier transform under a Hann window, in which unknown cells weigh nothing). The strongest
//! wave and its harmonics, by least squares, are the profile of one ripple, whose crest may be sharper than its trough.
//! Ground is rippled when that one profile, repeated, explains much of the variance; relief and rocks have none.

mod spectrum;
mod window;

use crate::{config::RippleParams, map::TerrainGrid};
use sojourn_core::{CoreError, raster::Raster};
use spectrum::Spectrum;
use std::f64::consts::PI;
use window::Window;

/// Ripples of one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ripples {
    /// Middle of the window east, metres in the grid's frame.
    pub x_m: f64,
    /// Middle of the window north, metres in the grid's frame.
    pub y_m: f64,
    /// From crest to crest, metres.
    pub wavelength_m: f64,
    /// From trough to crest of the mean profile, metres.
    pub height_m: f64,
    /// Direction across the crests, radians counter-clockwise from x, 0 to π.
    pub across_rad: f64,
    /// Share of the heights' variance that the profile explains, 0 to 1.
    pub share: f64,
}

/// Looks for ripples in all windows of a grid, from its south-west corner row by row.
#[must_use]
pub fn find(grid: &TerrainGrid, params: &RippleParams) -> Vec<Ripples> {
    let e = &grid.elevation;
    let side = (params.window_m / e.resolution_m()).round() as usize;
    let step = ((params.step_m / e.resolution_m()).round() as usize).max(1);
    if side < 4 || side > e.cols().min(e.rows()) {
        return Vec::new();
    }
    let spectrum = Spectrum::new(side, e.resolution_m(), params.wavelength_m[0]);
    let mut out = Vec::new();
    for row in (0..=e.rows() - side).step_by(step) {
        for col in (0..=e.cols() - side).step_by(step) {
            let window = Window::cut(e, col, row, side, params.known_min);
            out.extend(window.and_then(|w| ripples(&w, &spectrum, params)));
        }
    }
    out
}

fn ripples(window: &Window, spectrum: &Spectrum, params: &RippleParams) -> Option<Ripples> {
    let [fx, fy] = spectrum.strongest(window)?;
    let wavelength_m = 1.0 / fx.hypot(fy);
    let [least_m, most_m] = params.wavelength_m;
    // A wave longer than the longest is relief, and what is shorter than the shortest is not resolved.
    if !(wavelength_m >= least_m && wavelength_m <= most_m) {
        return None;
    }
    let profile = window.folded(fx, fy)?;
    let is_rippled = profile.share >= params.share_min
        && profile.height_m >= params.height_min_m
        && profile.height_m >= params.steep_min * wavelength_m;
    is_rippled.then(|| Ripples {
        x_m: window.middle_m[0],
        y_m: window.middle_m[1],
        wavelength_m,
        height_m: profile.height_m,
        across_rad: fy.atan2(fx).rem_euclid(PI),
        share: profile.share,
    })
}

/// Ripples cell by cell: those of the nearest window.
#[derive(Clone, Debug, PartialEq)]
pub struct RippleLayers {
    /// From trough to crest, metres; 0 where there are none, not-a-number where the ground is unknown.
    pub height: Raster,
    /// From crest to crest, metres; not-a-number where there are none.
    pub wavelength: Raster,
    /// Direction across the crests, radians counter-clockwise from x, 0 to π; not-a-number where there are none.
    pub across: Raster,
}

/// Lays the windows' ripples over the known cells of their grid.
///
/// # Errors
/// [`CoreError`] when the rasters cannot be made.
pub fn layers(
    grid: &TerrainGrid,
    found: &[Ripples],
    params: &RippleParams,
) -> Result<RippleLayers, CoreError> {
    let e = &grid.elevation;
    let none = || vec![f32::NAN; e.cols() * e.rows()];
    let (mut height, mut wavelength, mut across) = (none(), none(), none());
    for (i, z) in e.data().iter().enumerate() {
        if z.is_nan() {
            continue;
        }
        let [x, y] = e.centre_m(i % e.cols(), i / e.cols());
        let off_m = |r: &Ripples| (r.x_m - x).abs().max((r.y_m - y).abs());
        let near = found
            .iter()
            .filter(|r| off_m(r) <= 0.5 * params.step_m)
            .min_by(|a, b| off_m(a).total_cmp(&off_m(b)));
        height[i] = near.map_or(0.0, |r| r.height_m as f32);
        if let Some(r) = near {
            wavelength[i] = r.wavelength_m as f32;
            across[i] = r.across_rad as f32;
        }
    }
    let raster = |data| Raster::new(e.cols(), e.rows(), e.resolution_m(), e.origin_m(), data);
    Ok(RippleLayers {
        height: raster(height)?,
        wavelength: raster(wavelength)?,
        across: raster(across)?,
    })
}

/// All windows together: medians of wavelength and height, and the direction that most agree on.
#[must_use]
pub fn typical(found: &[Ripples]) -> Option<Ripples> {
    let median = |of: &dyn Fn(&Ripples) -> f64| {
        let mut v: Vec<f64> = found.iter().map(of).collect();
        v.sort_by(f64::total_cmp);
        v.get(v.len() / 2).copied()
    };
    // Directions are axes: their doubled angles are averaged.
    let (s, c) = found.iter().fold((0.0, 0.0), |(s, c), r| {
        let (ds, dc) = (2.0 * r.across_rad).sin_cos();
        (s + r.share * ds, c + r.share * dc)
    });
    Some(Ripples {
        x_m: median(&|r| r.x_m)?,
        y_m: median(&|r| r.y_m)?,
        wavelength_m: median(&|r| r.wavelength_m)?,
        height_m: median(&|r| r.height_m)?,
        across_rad: (0.5 * s.atan2(c)).rem_euclid(PI),
        share: median(&|r| r.share)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use std::f64::consts::TAU;

    const PARAMS: RippleParams = RippleParams {
        window_m: 8.0,
        step_m: 4.0,
        wavelength_m: [0.6, 2.6],
        known_min: 0.5,
        share_min: 0.25,
        height_min_m: 0.03,
        steep_min: 0.03,
    };

    fn grid(height_m: impl Fn(f64, f64) -> f64) -> TerrainGrid {
        crate::testing::grid(8.0, height_m)
    }

    /// Height of crests above troughs 1, crests sharp and troughs broad, as wind makes them.
    fn crest(along_m: f64, wavelength_m: f64) -> f64 {
        1.0 - (0.5 * TAU * along_m / wavelength_m).sin().abs()
    }

    fn axis_off(a: f64, b: f64) -> f64 {
        let d = (a - b).rem_euclid(PI);
        d.min(PI - d)
    }

    /// Relief of many waves of all directions, longer ones higher, as the twin's plain ground has it.
    fn relief(seed: u64) -> impl Fn(f64, f64) -> f64 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let waves: Vec<[f64; 4]> = (0..80)
            .map(|_| {
                let length_m = 0.5 * 40.0f64.powf(rng.random::<f64>());
                let turn = TAU * rng.random::<f64>();
                let f = [turn.cos() / length_m, turn.sin() / length_m];
                [
                    f[0],
                    f[1],
                    TAU * rng.random::<f64>(),
                    0.004 * length_m.powf(0.8),
                ]
            })
            .collect();
        move |x, y| {
            let of = |w: &[f64; 4]| w[3] * (TAU * (w[0] * x + w[1] * y) + w[2]).sin();
            waves.iter().map(of).sum()
        }
    }

    #[test]
    fn ripples_are_found_through_noise_rocks_holes_and_relief() {
        let under = relief(3);
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let rocks: Vec<[f64; 2]> = (0..12)
            .map(|_| {
                [
                    15.0 * rng.random::<f64>() - 7.5,
                    15.0 * rng.random::<f64>() - 7.5,
                ]
            })
            .collect();
        let mut g = grid(|x, y| {
            let along = x * 0.7f64.cos() + y * 0.7f64.sin();
            let rock = rocks.iter().any(|r| (r[0] - x).hypot(r[1] - y) < 0.2);
            0.15 * crest(along, 1.8) + under(x, y) + if rock { 0.3 } else { 0.0 } + 0.05 * x
        });
        for z in g.elevation.data_mut() {
            let normal = (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0;
            *z += 0.015 * normal;
            if rng.random::<f32>() < 0.2 {
                *z = f32::NAN;
            }
        }
        let found = find(&g, &PARAMS);
        assert!(found.len() >= 7, "{found:?}");
        let r = typical(&found).unwrap();
        assert!((r.wavelength_m - 1.8).abs() < 0.1, "{r:?}");
        assert!((r.height_m - 0.15).abs() < 0.03, "{r:?}");
        assert!(axis_off(r.across_rad, 0.7) < 0.05, "{r:?}");
    }

    #[test]
    fn plain_ground_noise_and_the_unknown_hold_no_ripples() {
        for seed in 0..20 {
            let ground = relief(seed);
            let found = find(&grid(ground), &PARAMS);
            assert!(found.len() <= 1, "seed {seed}: {found:?}");
        }
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut noise = grid(|_, _| 0.0);
        for z in noise.elevation.data_mut() {
            *z = 0.1 * rng.random::<f32>();
        }
        assert_eq!(find(&noise, &PARAMS), vec![]);
        assert_eq!(find(&grid(|_, _| 0.0), &PARAMS), vec![]);
        assert_eq!(find(&grid(|_, _| f64::NAN), &PARAMS), vec![]);
        assert_eq!(typical(&[]), None);
        // A single step or ridge is no ripple, wherever it lies and runs.
        for k in -10..=10 {
            let (at_m, turn) = (0.3 * f64::from(k), 0.2 * f64::from(k));
            let off_m = |x: f64, y: f64| turn.cos() * x + turn.sin() * y - at_m;
            let step = grid(|x, y| if off_m(x, y) > 0.0 { 0.3 } else { 0.0 });
            assert_eq!(find(&step, &PARAMS), vec![], "step at {at_m}");
            for width_m in [0.3, 0.8, 1.5] {
                let ridge = grid(|x, y| 0.3 * (-(off_m(x, y) / width_m).powi(2)).exp());
                assert_eq!(find(&ridge, &PARAMS), vec![], "ridge at {at_m}");
            }
        }
    }

    #[test]
    fn layers_tell_ripples_where_they_are_and_nothing_of_the_unknown() {
        let g = grid(|x, y| {
            if y > 6.0 {
                f64::NAN
            } else if x < 0.0 {
                0.2 * crest(x, 1.6)
            } else {
                0.0
            }
        });
        let found = find(&g, &PARAMS);
        let l = layers(&g, &found, &PARAMS).unwrap();
        assert!(l.height.nearest(-4.2, 0.0).unwrap() > 0.15);
        assert!((l.wavelength.nearest(-4.2, 0.0).unwrap() - 1.6).abs() < 0.1);
        assert_eq!(l.height.nearest(5.5, 0.0), Some(0.0));
        assert_eq!(l.wavelength.nearest(5.5, 0.0), None);
        assert_eq!(l.height.nearest(-4.2, 7.0), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

        /// Even ripples of any length, height, direction and phase are measured as they are.
        #[test]
        fn even_ripples_are_measured(
            wavelength_m in 0.8..2.6f64, ratio in 0.05..0.15f64, turn in 0.0..PI, start in 0.0..TAU,
        ) {
            let height_m = ratio * wavelength_m;
            let g = grid(|x, y| {
                let along = x * turn.cos() + y * turn.sin() + start;
                height_m * crest(along, wavelength_m)
            });
            let r = typical(&find(&g, &PARAMS)).unwrap();
            prop_assert!((r.wavelength_m / wavelength_m - 1.0).abs() < 0.03, "{:?}", r);
            // Cells and few harmonics round the crests of short ripples off.
            let height = r.height_m / height_m;
            prop_assert!((0.8..1.03).contains(&height), "{:?}", r);
            prop_assert!(axis_off(r.across_rad, turn) < 0.03, "{:?}", r);
            prop_assert!(r.share > 0.9 && r.share <= 1.0 + 1e-9);
        }
    }
}
