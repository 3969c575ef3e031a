//! Sand ripples in the terrain grid: wavelength, height and direction, window by window.
//!
//! The heights of a window, less their quadratic trend and without rocks, are compared with plane waves of all directions
//! and lengths (a discrete Fourier transform under a Hann window, in which unknown cells weigh nothing). The strongest
//! wave and its harmonics, by least squares, are the profile of one ripple, whose crest may be sharper than its trough.
//! Ground is rippled when that one profile, repeated, explains much of the variance; relief and rocks have none.
//!
//! Where relief hides the ripples, three more things have to say so: without the mean of the surroundings the profile explains as
//! much, and something in every third of the window, which a single ridge or step does not; or the image shows the same wave
//! ([`Texture`]), its light and dark sides. Waves that are nearly as long as those surroundings are not looked for there: without them
//! one ridge looks like two waves.

mod local;
mod spectrum;
mod texture;
mod window;

pub use texture::Texture;

use crate::{config::RippleParams, map::TerrainGrid};
use local::less_mean;
use sojourn_core::{CoreError, raster::Raster};
use spectrum::Spectrum;
use std::f64::consts::PI;
use window::{Profile, Window};

/// Waves up to this share of the side of the square whose mean is taken away are looked for without it.
const SHORTER: f64 = 0.8;
/// Waves of heights and brightness are the same within this share of their length, and within this angle.
const SAME_LENGTH: f64 = 0.15;
const SAME_ACROSS_RAD: f64 = 0.175;

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
    /// Share of the heights' variance that the profile explains, 0 to 1; where relief hides them, without it.
    pub share: f64,
    /// Whether they count because the image shows the same wave: the heights alone would not have done.
    pub by_image: bool,
}

/// Looks for ripples in all windows of a grid, from its south-west corner row by row; with the ground's brightness
/// ([`Texture::layer`]), if it is there.
#[must_use]
pub fn find(grid: &TerrainGrid, texture: Option<&Raster>, params: &RippleParams) -> Vec<Ripples> {
    let e = &grid.elevation;
    let side = (params.window_m / e.resolution_m()).round() as usize;
    let step = ((params.step_m / e.resolution_m()).round() as usize).max(1);
    if side < 4 || side > e.cols().min(e.rows()) {
        return Vec::new();
    }
    let half = params.relief_cells(e.resolution_m());
    let relief_free = {
        let mut raster = e.clone();
        let less = less_mean(e.data(), e.cols(), half);
        raster.data_mut().copy_from_slice(&less);
        raster
    };
    let look = Look {
        spectrum: Spectrum::new(side, e.resolution_m(), params.wavelength_m[0]),
        heights: e,
        relief_free: &relief_free,
        texture: texture.filter(|t| (t.cols(), t.rows()) == (e.cols(), e.rows())),
        side,
        params,
    };
    let mut out = Vec::new();
    for row in (0..=e.rows() - side).step_by(step) {
        for col in (0..=e.cols() - side).step_by(step) {
            out.extend(look.at(col, row));
        }
    }
    out
}

/// What is looked at for ripples.
struct Look<'a> {
    spectrum: Spectrum,
    heights: &'a Raster,
    /// Heights less the mean of their surroundings.
    relief_free: &'a Raster,
    texture: Option<&'a Raster>,
    side: usize,
    params: &'a RippleParams,
}

impl Look<'_> {
    /// The ripples of the window with this south-west cell.
    fn at(&self, col: usize, row: usize) -> Option<Ripples> {
        let p = self.params;
        let known_min = p.known_min;
        let window = Window::cut(self.heights, col, row, self.side, known_min)?;
        let of = |wave: [f64; 2], profile: &Profile, by_image: bool| Ripples {
            x_m: window.middle_m[0],
            y_m: window.middle_m[1],
            wavelength_m: length_m(wave),
            height_m: profile.height_m,
            across_rad: across_rad(wave),
            share: profile.share,
            by_image,
        };
        let is = |wave: [f64; 2], profile: &Profile, longest_m: f64, steep_min: f64| {
            // A wave longer than the longest is relief, and what is shorter than the shortest is not resolved.
            let length_m = length_m(wave);
            length_m >= p.wavelength_m[0]
                && length_m <= longest_m
                && profile.height_m >= p.height_min_m
                && profile.height_m >= steep_min * length_m
        };
        let wave = self.spectrum.strongest(&window, f64::INFINITY)?;
        let profile = window.folded(wave[0], wave[1])?;
        if profile.share >= p.share_min && is(wave, &profile, p.wavelength_m[1], p.steep_min) {
            return Some(of(wave, &profile, false));
        }
        // Without relief.
        let longest_m = p.wavelength_m[1].min(SHORTER * p.relief_m);
        let window = Window::cut(self.relief_free, col, row, self.side, known_min)?;
        let wave = self.spectrum.strongest(&window, p.relief_m)?;
        let profile = window.folded(wave[0], wave[1])?;
        if profile.share >= p.share_min
            && is(wave, &profile, longest_m, p.steep_min)
            && window.least_third(&profile) >= p.third_min
        {
            return Some(of(wave, &profile, false));
        }
        let may_be = profile.share >= p.image_height_share_min
            && is(wave, &profile, longest_m, p.image_steep_min);
        (may_be && self.in_image(wave, col, row)).then(|| of(wave, &profile, true))
    }

    /// Whether the image shows a wave of the same length and direction.
    fn in_image(&self, wave: [f64; 2], col: usize, row: usize) -> bool {
        let p = self.params;
        let shown = || {
            let window = Window::cut(self.texture?, col, row, self.side, p.known_min)?;
            let seen = self.spectrum.strongest(&window, p.relief_m)?;
            let profile = window.folded(seen[0], seen[1])?;
            let turned = (across_rad(seen) - across_rad(wave)).rem_euclid(PI);
            Some(
                profile.share >= p.image_share_min
                    && (length_m(seen) / length_m(wave) - 1.0).abs() <= SAME_LENGTH
                    && turned.min(PI - turned) <= SAME_ACROSS_RAD,
            )
        };
        shown().unwrap_or(false)
    }
}

fn length_m([fx, fy]: [f64; 2]) -> f64 {
    1.0 / fx.hypot(fy)
}

fn across_rad([fx, fy]: [f64; 2]) -> f64 {
    fy.atan2(fx).rem_euclid(PI)
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
        by_image: found.iter().all(|r| r.by_image),
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
        every_s: 1.0,
        wavelength_m: [0.6, 2.6],
        known_min: 0.5,
        share_min: 0.25,
        height_min_m: 0.03,
        steep_min: 0.03,
        relief_m: 2.7,
        third_min: 0.05,
        image_share_min: 0.12,
        image_height_share_min: 0.2,
        image_steep_min: 0.02,
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
        let found = find(&g, None, &PARAMS);
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
            let found = find(&grid(ground), None, &PARAMS);
            assert!(found.len() <= 1, "seed {seed}: {found:?}");
        }
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut noise = grid(|_, _| 0.0);
        for z in noise.elevation.data_mut() {
            *z = 0.1 * rng.random::<f32>();
        }
        assert_eq!(find(&noise, None, &PARAMS), vec![]);
        assert_eq!(find(&grid(|_, _| 0.0), None, &PARAMS), vec![]);
        assert_eq!(find(&grid(|_, _| f64::NAN), None, &PARAMS), vec![]);
        assert_eq!(typical(&[]), None);
        // A single step or ridge is no ripple, wherever it lies and runs, on rough ground neither.
        for k in -10i32..=10 {
            let (at_m, turn) = (0.3 * f64::from(k), 0.2 * f64::from(k));
            let off_m = |x: f64, y: f64| turn.cos() * x + turn.sin() * y - at_m;
            let step = grid(|x, y| if off_m(x, y) > 0.0 { 0.3 } else { 0.0 });
            assert_eq!(find(&step, None, &PARAMS), vec![], "step at {at_m}");
            for width_m in [0.2, 0.3, 0.5, 0.8, 1.1, 1.5] {
                let ridge = |x: f64, y: f64| 0.3 * (-(off_m(x, y) / width_m).powi(2)).exp();
                let found = find(&grid(ridge), None, &PARAMS);
                assert_eq!(found, vec![], "ridge of {width_m} m at {at_m}");
                if k % 5 != 0 {
                    continue;
                }
                let mut noise = ChaCha8Rng::seed_from_u64(k.unsigned_abs().into());
                let mut rough = grid(ridge);
                for z in rough.elevation.data_mut() {
                    *z += 0.03 * (noise.random::<f32>() - 0.5);
                }
                let found = find(&rough, None, &PARAMS);
                assert_eq!(found, vec![], "rough ridge of {width_m} m at {at_m}");
            }
        }
    }

    /// Ripples of 7 cm on relief of 6 m and 20 cm.
    fn hidden(x: f64, y: f64) -> f64 {
        let along = x * 0.7f64.cos() + y * 0.7f64.sin();
        0.07 * crest(along, 1.5) + 0.1 * (TAU * (0.9 * x - 0.44 * y) / 6.0).sin()
    }

    #[test]
    fn ripples_are_found_on_stronger_relief() {
        let r = typical(&find(&grid(hidden), None, &PARAMS)).unwrap();
        assert!((r.wavelength_m - 1.5).abs() < 0.1, "{r:?}");
        assert!((0.05..0.08).contains(&r.height_m), "{r:?}");
        assert!(axis_off(r.across_rad, 0.7) < 0.05 && !r.by_image, "{r:?}");
        let relief =
            grid(|x, y| hidden(x, y) - 0.07 * crest(x * 0.7f64.cos() + y * 0.7f64.sin(), 1.5));
        assert_eq!(find(&relief, None, &PARAMS), vec![]);
    }

    #[test]
    fn the_image_helps_where_it_shows_the_same_wave_and_only_there() {
        let along = |x: f64, y: f64| x * 0.7f64.cos() + y * 0.7f64.sin();
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        // Ripples too low for the heights alone.
        let mut g = grid(|x, y| 0.04 * crest(along(x, y), 1.5));
        for z in g.elevation.data_mut() {
            *z += 0.06 * (rng.random::<f32>() - 0.5);
        }
        let texture = |of: &dyn Fn(f64, f64) -> f64| {
            g.elevation.like(|c, r| {
                let [x, y] = g.elevation.centre_m(c, r);
                of(x, y) as f32
            })
        };
        let light = texture(&|x, y| 0.1 * (TAU * along(x, y) / 1.5).cos());
        assert_eq!(find(&g, None, &PARAMS), vec![]);
        let found = find(&g, Some(&light), &PARAMS);
        assert!(
            found.len() >= 7 && found.iter().all(|r| r.by_image),
            "{found:?}"
        );
        let r = typical(&found).unwrap();
        assert!((r.wavelength_m - 1.5).abs() < 0.1 && axis_off(r.across_rad, 0.7) < 0.05);
        // Another direction, another length, a layer of another size, nothing, no light: no help.
        let turned = texture(&|x, y| 0.1 * (TAU * (y - 0.2 * x) / 1.5).cos());
        let longer = texture(&|x, y| 0.1 * (TAU * along(x, y) / 1.9).cos());
        let other = grid_of(4.0);
        for no_help in [
            turned,
            longer,
            texture(&|_, _| 0.0),
            texture(&|_, _| f64::NAN),
            other,
        ] {
            assert_eq!(find(&g, Some(&no_help), &PARAMS), vec![]);
        }
        // Painted stripes on flat ground are no ripples.
        assert_eq!(find(&grid(|_, _| 0.0), Some(&light), &PARAMS), vec![]);
    }

    fn grid_of(half_m: f64) -> Raster {
        crate::testing::grid(half_m, |x, y| 0.1 * (x + y).sin()).elevation
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
        let found = find(&g, None, &PARAMS);
        let l = layers(&g, &found, &PARAMS).unwrap();
        assert!(l.height.nearest(-4.2, 0.0).unwrap() > 0.15);
        assert!((l.wavelength.nearest(-4.2, 0.0).unwrap() - 1.6).abs() < 0.1);
        assert_eq!(l.height.nearest(5.5, 0.0), Some(0.0));
        assert_eq!(l.wavelength.nearest(5.5, 0.0), None);
        assert_eq!(l.height.nearest(-4.2, 7.0), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

        /// Even ripples of any length, height, direction and phase are measured as they are: to 3 %. The longest that counts is
        /// longer by as much, or a wave of nearly that length that is measured a little too long would be none.
        #[test]
        fn even_ripples_are_measured(
            wavelength_m in 0.8..2.6f64, ratio in 0.05..0.15f64, turn in 0.0..PI, start in 0.0..TAU,
        ) {
            let height_m = ratio * wavelength_m;
            let g = grid(|x, y| {
                let along = x * turn.cos() + y * turn.sin() + start;
                height_m * crest(along, wavelength_m)
            });
            let params = RippleParams { wavelength_m: [0.6, 1.03 * 2.6], ..PARAMS };
            let r = typical(&find(&g, None, &params)).unwrap();
            prop_assert!((r.wavelength_m / wavelength_m - 1.0).abs() < 0.03, "{:?}", r);
            // Cells and few harmonics round the crests of short ripples off.
            let height = r.height_m / height_m;
            prop_assert!((0.8..1.03).contains(&height), "{:?}", r);
            prop_assert!(axis_off(r.across_rad, turn) < 0.03, "{:?}", r);
            prop_assert!(r.share > 0.9 && r.share <= 1.0 + 1e-9);
        }
    }
}
