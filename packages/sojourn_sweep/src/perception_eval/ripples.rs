//! Ripples of sand through stereo: a rover in a sandy world looks around with its mast, its pairs are matched and entered into
//! the grid, and the ripples found there are held against the world's.

use super::{MARGIN_M, RANGE_M, SUN_RAD, Subject, ready};
use crate::SweepError;
use serde::Serialize;
use sojourn_core::{
    Stamp,
    classes::TerrainClass,
    frames::{BaseLink, Map, Transform},
    raster::Raster,
};
use sojourn_perception::{Input, TerrainGrid, ripples};
use sojourn_twin::{
    dataset::{Cameras, Station, station},
    folder::View,
    generate::generate,
    render::Sun,
    surface,
    world::World,
};
use std::f64::consts::{PI, TAU};

/// Side of a world, metres.
const SIDE_M: f64 = 64.0;
/// Places in every world, and views around each of them.
const STATIONS: u64 = 3;
const VIEWS: u64 = 6;
/// Of the worlds, one after the other: crest to crest, metres, and the turn of the direction across the crests.
const WAVELENGTHS_M: [f64; 3] = [1.4, 1.8, 2.2];
const TURN_DEG: f64 = 50.0;
/// Ripples of the worlds swell to this share of their nominal height in the middle.
const SWELL: f64 = 0.85;
/// A window counts as rippled from this share of rippled sand on, and as plain below what is left.
const RIPPLED_SHARE: f64 = 0.99;
/// Places along a side of a window that are looked at for that.
const PLACES: usize = 9;

/// What was measured; medians over the windows found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct RippleFigures {
    /// Windows that are known well enough to be judged and rippled all over.
    pub rippled: u64,
    /// Share of them in which ripples were found.
    pub found: f64,
    /// Number of those that count only because the image shows them, too.
    pub by_image: u64,
    /// Windows that are known well enough and have no ripples.
    pub plain: u64,
    /// Of them those in which ripples were found.
    pub found_in_plain: u64,
    /// Error of the wavelength, share of it.
    pub wavelength_off: f64,
    /// Height found, share of the true one.
    pub height: f64,
    /// Error of the direction, degrees.
    pub across_off_deg: f64,
}

/// Measures over worlds of the seeds `1..=seeds`; `done` hears after every world how many there were.
///
/// # Errors
/// [`SweepError`] when a world cannot be made or a parameter is out of range.
pub fn evaluate_ripples(
    subject: &Subject,
    seeds: u64,
    mut done: impl FnMut(u64),
) -> Result<RippleFigures, SweepError> {
    let mut tally = Tally::default();
    for seed in 1..=seeds {
        let mut recipe = subject.recipe.clone();
        recipe.size_m = [SIDE_M, SIDE_M];
        recipe.ripples.wavelength_m = WAVELENGTHS_M[seed as usize % WAVELENGTHS_M.len()];
        recipe.ripples.across_deg = (TURN_DEG * seed as f64) % 360.0;
        let truth = recipe.ripples;
        let world = generate(seed, &subject.body, &recipe)?.world(&View::everything())?;
        let mut cameras = Cameras::new(&subject.rover, RANGE_M, seed);
        for number in 0..STATIONS {
            let at = station(&world, &subject.rover, seed, number as i64, MARGIN_M)?;
            let sun = Sun {
                azimuth_rad: 1.3 * (seed * STATIONS + number) as f64,
                elevation_rad: SUN_RAD[number as usize % SUN_RAD.len()],
            };
            if let Some(seen) = around(subject, &world, &mut cameras, &at, sun, number)? {
                tally.take(subject, &world, &seen, &truth);
            }
        }
        done(seed);
    }
    Ok(tally.figures())
}

/// The grid of a rover that has looked around, with the brightness of its cells; nothing when no pair could be matched.
fn around(
    subject: &Subject,
    world: &World,
    cameras: &mut Cameras,
    at: &Station,
    sun: Sun,
    number: u64,
) -> Result<Option<Seen>, SweepError> {
    let base: Transform<Map, BaseLink> = Transform::from_xyz_rpy(
        [at.pose.x_m, at.pose.y_m, at.z_m],
        at.roll_rad,
        at.pitch_rad,
        at.pose.yaw_rad,
    );
    let mut core = None;
    let mut seen = None;
    for k in 0..VIEWS {
        let base_from_camera = subject
            .rover
            .base_link_from_navcam_panned(TAU * k as f64 / VIEWS as f64 - PI);
        let turned = Station {
            map_from_camera: base * base_from_camera,
            ..*at
        };
        let view = cameras.view(world, &turned, sun, VIEWS * number + k);
        let Some(mut r) = ready(subject, &turned, &view)? else {
            continue;
        };
        let Ok(disparity) = r.matcher.step(&r.eyes[0], &r.eyes[1]) else {
            continue;
        };
        let stamp = Stamp::from_secs(1.0 + 0.1 * k as f64);
        let depth = disparity.into_depth(stamp, &r.pair, &subject.params.stereo);
        // The first view's core knows camera and pose already; the others enter the same grid.
        let core = core.get_or_insert(r.core);
        core.step(stamp, Input::Odometry(stamp, Transform::new(base.iso)));
        core.step(stamp, Input::CameraPose(stamp, base_from_camera));
        let [mut left, _] = r.eyes;
        left.stamp = stamp;
        core.step(stamp, Input::Left(left));
        core.step(stamp, Input::Depth(depth));
        let said = core.step(stamp, Input::Tick);
        if let Some(grid) = said.grid {
            seen = Some(Seen {
                grid,
                texture: said.texture,
            });
        }
    }
    Ok(seen)
}

/// What a rover that has looked around knows.
struct Seen {
    grid: TerrainGrid,
    texture: Option<Raster>,
}

#[derive(Default)]
struct Tally {
    rippled: u64,
    plain: u64,
    found_in_plain: u64,
    by_image: u64,
    // Of the windows found: errors of wavelength and direction, share of the height.
    found: Vec<[f64; 3]>,
}

impl Tally {
    fn take(
        &mut self,
        subject: &Subject,
        world: &World,
        seen: &Seen,
        truth: &surface::RippleParams,
    ) {
        let p = &subject.params.ripples;
        let found = ripples::find(&seen.grid, seen.texture.as_ref(), p);
        let e = &seen.grid.elevation;
        let [ox, oy] = e.origin_m();
        let windows = |side_m: f64| ((side_m - p.window_m) / p.step_m).floor() as usize + 1;
        let [width_m, height_m] = e.size_m();
        for i in 0..windows(width_m) * windows(height_m) {
            let at = |k: usize| p.step_m * k as f64 + 0.5 * p.window_m;
            let across = windows(width_m);
            let middle = [ox + at(i % across), oy + at(i / across)];
            let places = || {
                let off = move |k: usize| p.window_m * ((k as f64 + 0.5) / PLACES as f64 - 0.5);
                (0..PLACES * PLACES)
                    .map(move |k| [middle[0] + off(k % PLACES), middle[1] + off(k / PLACES)])
            };
            let share = |of: &dyn Fn([f64; 2]) -> bool| {
                places().filter(|at| of(*at)).count() as f64 / (PLACES * PLACES) as f64
            };
            if share(&|[x, y]| e.nearest(x, y).is_some()) < p.known_min {
                continue;
            }
            let sand = share(&|[x, y]| world.class_at(x, y) == Some(TerrainClass::SandRipples));
            let near = |r: &&ripples::Ripples| {
                (r.x_m - middle[0]).abs() < 0.2 && (r.y_m - middle[1]).abs() < 0.2
            };
            let here = found.iter().find(near);
            if sand > RIPPLED_SHARE {
                self.rippled += 1;
                self.by_image += u64::from(here.is_some_and(|r| r.by_image));
                self.found.extend(here.map(|r| against(r, truth)));
            } else if sand < 1.0 - RIPPLED_SHARE {
                self.plain += 1;
                self.found_in_plain += u64::from(here.is_some());
            }
        }
    }

    fn figures(&self) -> RippleFigures {
        let median = |k: usize| {
            let mut v: Vec<f64> = self.found.iter().map(|f| f[k]).collect();
            v.sort_by(f64::total_cmp);
            v.get(v.len() / 2).copied().unwrap_or(0.0)
        };
        RippleFigures {
            rippled: self.rippled,
            found: self.found.len() as f64 / self.rippled.max(1) as f64,
            plain: self.plain,
            found_in_plain: self.found_in_plain,
            by_image: self.by_image,
            wavelength_off: median(0),
            height: median(2),
            across_off_deg: median(1),
        }
    }
}

/// Error of the wavelength as a share, error of the direction in degrees, and the height as a share of the true one.
fn against(r: &ripples::Ripples, truth: &surface::RippleParams) -> [f64; 3] {
    let turned = (r.across_rad - truth.across_deg.to_radians()).rem_euclid(PI);
    [
        (r.wavelength_m / truth.wavelength_m - 1.0).abs(),
        turned.min(PI - turned).to_degrees(),
        r.height_m / (SWELL * truth.height_ratio * truth.wavelength_m),
    ]
}
