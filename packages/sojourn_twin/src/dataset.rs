//! Labelled views of a world for people who train networks: where a rover stands, what its camera sees, and what that is.

use crate::{
    TwinError, noise,
    render::{Frame, ROCK, Renderer, SensorParams, Shot, StereoRig, Sun, marks::Marks},
    rocks::Rock,
    world::World,
};
use nalgebra::Vector3;
use rayon::prelude::*;
use sojourn_core::{
    CoreError,
    camera::Pinhole,
    frames::{Map, NavcamOptical, Pose2, Transform},
    rover::Rover,
    settle::Settler,
};
use std::{collections::BTreeMap, f64::consts::TAU};

const CHANNEL: u64 = 0x61;
/// Places that are tried for one view.
const TRIES: i64 = 200;
/// Share of every limit within which the rover stands where a view is taken.
const STAND_SHARE: f64 = 1.0;
/// Class code of a pixel that shows no ground.
pub const NO_GROUND: u8 = 255;
/// Side of the squares that rocks are found by, metres.
const BIN_M: f64 = 1.0;

/// Where a view is taken from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Station {
    /// Where the rover stands.
    pub pose: Pose2,
    /// Its `base_link` in `map`: height, roll and pitch as it settles.
    pub z_m: f64,
    /// Roll, radians.
    pub roll_rad: f64,
    /// Pitch, radians.
    pub pitch_rad: f64,
    /// Turn of the mast, radians counter-clockwise.
    pub pan_rad: f64,
    /// The left camera in `map`.
    pub map_from_camera: Transform<Map, NavcamOptical>,
}

/// A place of a world where a rover can stand within its limits, `margin_m` and more from the world's edge; `index` and the
/// seed choose it.
///
/// # Errors
/// [`TwinError::Core`] when it can stand at none of the places that were tried.
pub fn station(
    world: &World,
    rover: &Rover,
    seed: u64,
    index: i64,
    margin_m: f64,
) -> Result<Station, TwinError> {
    let settler = Settler::new(rover, (0.2 * rover.wheel.radius_m).max(0.01));
    let [x0, y0, x1, y1] = world.region_m();
    let room = [x1 - x0, y1 - y0].map(|s| s - 2.0 * margin_m);
    for attempt in 0..TRIES {
        let key = noise::hash(seed, CHANNEL, index, attempt);
        let unit = |k: i64| noise::unit(noise::hash(key, CHANNEL, k, 0));
        let (x, y) = (
            x0 + margin_m + room[0] * unit(0),
            y0 + margin_m + room[1] * unit(1),
        );
        if room.iter().any(|r| *r <= 0.0) {
            break;
        }
        let pose = Pose2::new(x, y, TAU * unit(2));
        let Some(s) = settler.settle(world, pose) else {
            continue;
        };
        if s.excess(&rover.limits, STAND_SHARE).is_some() {
            continue;
        }
        let pan_rad = 0.5 * TAU * (unit(3) - 0.5);
        let base: Transform<Map, _> =
            Transform::from_xyz_rpy([x, y, s.z_m], s.roll_rad, s.pitch_rad, pose.yaw_rad);
        return Ok(Station {
            pose,
            z_m: s.z_m,
            roll_rad: s.roll_rad,
            pitch_rad: s.pitch_rad,
            pan_rad,
            map_from_camera: base * rover.base_link_from_navcam_panned(pan_rad),
        });
    }
    Err(CoreError::value(
        "dataset",
        "places",
        format!("{TRIES} tried around a margin of {margin_m} m"),
        format!("one where {} can stand within its limits", rover.name),
    )
    .into())
}

/// A pair of images and what they show.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelled {
    /// The images with the true depth of the left one.
    pub frame: Frame,
    /// Codes of [`TerrainClass`] by pixel of the left image; [`NO_GROUND`] where there is none. A rock counts as the ground
    /// it lies on.
    pub classes: Vec<u8>,
    /// Number of the rock at each pixel of the left image, from 1; 0 for none.
    pub rocks: Vec<u16>,
    /// The rocks in view by that number, nearest first.
    pub rocks_in_view: Vec<Rock>,
}

/// A rover's pair of cameras, ideal ones, with the noise of flight cameras; ground up to a depth of `range_m` is seen.
#[derive(Debug)]
pub struct Cameras {
    renderer: Renderer,
    camera: Pinhole,
    range_m: f64,
    seed: u64,
}

impl Cameras {
    /// The cameras of a rover; `seed` chooses the grain of the ground and the noise.
    #[must_use]
    pub fn new(rover: &Rover, range_m: f64, seed: u64) -> Self {
        let rig = StereoRig::rectified(rover);
        Self {
            renderer: Renderer::new(rig, SensorParams::navcam(), range_m, seed),
            camera: rover.navcam_pinhole(),
            range_m,
            seed,
        }
    }

    /// Paints veins and nodules on the ground of all further views, or none.
    pub fn set_marks(&mut self, marks: Option<Marks>) {
        self.renderer.set_marks(marks);
    }

    /// Takes pair `number` at a station, under a sun.
    #[must_use]
    pub fn view(&mut self, world: &World, station: &Station, sun: Sun, number: u64) -> Labelled {
        let shot = Shot {
            sun,
            seed: self.seed,
            number,
            right: true,
            depth_noise: None,
        };
        let frame = self
            .renderer
            .shoot(world, &station.map_from_camera.iso, &shot);
        let classes = frame
            .class
            .iter()
            .zip(&frame.depth_m)
            .map(|(code, depth)| {
                if depth.is_nan() {
                    NO_GROUND
                } else {
                    code & !ROCK
                }
            })
            .collect();
        let (rocks, rocks_in_view) = self.number_rocks(world, station, &frame);
        Labelled {
            frame,
            classes,
            rocks,
            rocks_in_view,
        }
    }

    fn number_rocks(
        &self,
        world: &World,
        station: &Station,
        frame: &Frame,
    ) -> (Vec<u16>, Vec<Rock>) {
        let rotation = station.map_from_camera.iso.rotation.to_rotation_matrix();
        let eye: Vector3<f64> = station.map_from_camera.iso.translation.vector;
        let reach = self.range_m * self.camera.ray(0.0, 0.0).norm();
        let bins =
            Bins::new(world.rocks_in([eye.x - reach, eye.y - reach, eye.x + reach, eye.y + reach]));
        let hits: Vec<Option<u32>> = frame
            .depth_m
            .par_iter()
            .zip(&frame.class)
            .enumerate()
            .map(|(k, (depth, code))| {
                if depth.is_nan() || code & ROCK == 0 {
                    return None;
                }
                let (u, v) = ((k % frame.width) as f64, (k / frame.width) as f64);
                let at = eye + rotation * self.camera.ray(u, v) * f64::from(*depth);
                bins.at(at.x, at.y)
            })
            .collect();
        let mut seen: Vec<u32> = hits.iter().flatten().copied().collect();
        seen.sort_unstable();
        seen.dedup();
        let away = |k: &u32| {
            let r = &bins.rocks[*k as usize];
            (r.x_m - eye.x).hypot(r.y_m - eye.y)
        };
        seen.sort_by(|a, b| away(a).total_cmp(&away(b)).then(a.cmp(b)));
        // Numbers are 16 bits wide; of more rocks the farthest go without one.
        seen.truncate(usize::from(u16::MAX) - 1);
        let number: BTreeMap<u32, u16> = seen.iter().copied().zip(1u16..).collect();
        let rocks = hits
            .iter()
            .map(|hit| hit.and_then(|k| number.get(&k).copied()).unwrap_or(0))
            .collect();
        (
            rocks,
            seen.iter().map(|k| bins.rocks[*k as usize]).collect(),
        )
    }
}

/// Rocks by the squares that they reach into.
struct Bins {
    rocks: Vec<Rock>,
    by_square: BTreeMap<(i64, i64), Vec<u32>>,
}

impl Bins {
    fn new(rocks: Vec<Rock>) -> Self {
        let mut by_square: BTreeMap<_, Vec<u32>> = BTreeMap::new();
        for (k, r) in rocks.iter().enumerate() {
            let span = |v: f64| {
                let square = |v: f64| (v / BIN_M).floor() as i64;
                square(v - r.reach_m)..=square(v + r.reach_m)
            };
            for iy in span(r.y_m) {
                for ix in span(r.x_m) {
                    by_square.entry((ix, iy)).or_default().push(k as u32);
                }
            }
        }
        Self { rocks, by_square }
    }

    /// The rock whose outline holds a place or, because the ground's nodes stand apart, comes nearest to it.
    fn at(&self, x: f64, y: f64) -> Option<u32> {
        let square = |v: f64| (v / BIN_M).floor() as i64;
        let near = self.by_square.get(&(square(x), square(y)))?;
        let apart = |k: &u32| {
            let r = &self.rocks[*k as usize];
            (x - r.x_m).hypot(y - r.y_m) / r.reach_m
        };
        near.iter()
            .copied()
            .filter(|k| apart(k) <= 1.3)
            .min_by(|a, b| apart(a).total_cmp(&apart(b)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        folder::View,
        generate::generate,
        recipe::Recipe,
        testing::{mars, perseverance, recipe},
    };
    use sojourn_core::raster::HeightField;

    #[test]
    fn labels_are_what_lies_behind_the_pixels() {
        let small = Recipe {
            size_m: [60.0, 60.0],
            ..recipe("mixed")
        };
        let folder = generate(4, &mars(), &small).unwrap();
        let world = folder.world(&View::everything()).unwrap();
        let mut rover = perseverance();
        (rover.navcam.width, rover.navcam.height) = (160, 120);
        let station = station(&world, &rover, 1, 0, 12.0).unwrap();
        let sun = Sun {
            azimuth_rad: 1.0,
            elevation_rad: 0.7,
        };
        let take = || Cameras::new(&rover, 10.0, 1).view(&world, &station, sun, 0);
        let seen = take();
        let again = take();
        assert_eq!(seen.frame.left, again.frame.left);
        assert_eq!((&seen.classes, &seen.rocks), (&again.classes, &again.rocks));
        let camera = rover.navcam_pinhole();
        let rotation = station.map_from_camera.iso.rotation;
        let eye = station.map_from_camera.iso.translation.vector;
        let (mut ground, mut same, mut rocks) = (0.0, 0.0, 0);
        for (k, depth) in seen.frame.depth_m.iter().enumerate() {
            if depth.is_nan() {
                assert_eq!((seen.classes[k], seen.rocks[k]), (NO_GROUND, 0));
                continue;
            }
            let ray = camera.ray((k % 160) as f64, (k / 160) as f64);
            let at = eye + rotation * ray * f64::from(*depth);
            let z = world.height_m(at.x, at.y).unwrap();
            assert!((at.z - z).abs() < 0.02, "{} {z}", at.z);
            ground += 1.0;
            same += f64::from(u8::from(
                seen.classes[k] == world.class_at(at.x, at.y).unwrap().code(),
            ));
            if seen.rocks[k] > 0 {
                let r = seen.rocks_in_view[usize::from(seen.rocks[k]) - 1];
                assert!((at.x - r.x_m).hypot(at.y - r.y_m) < 1.3 * r.reach_m + 0.01);
                rocks += 1;
            }
        }
        // Along borders the nearest node may be another.
        assert!(ground > 8000.0 && same > 0.99 * ground, "{same} {ground}");
        assert!(rocks > 50, "{rocks}");
        assert_ne!(seen.frame.left, seen.frame.right);
    }

    #[test]
    fn stations_differ_and_stay_inside() {
        let small = Recipe {
            size_m: [60.0, 60.0],
            ..recipe("firm")
        };
        let folder = generate(4, &mars(), &small).unwrap();
        let world = folder.world(&View::everything()).unwrap();
        let rover = perseverance();
        let a = station(&world, &rover, 1, 0, 12.0).unwrap();
        let b = station(&world, &rover, 1, 1, 12.0).unwrap();
        assert_ne!(a, b);
        for s in [a, b] {
            assert!((11.9..=48.1).contains(&s.pose.x_m) && (11.9..=48.1).contains(&s.pose.y_m));
        }
        assert!(station(&world, &rover, 1, 0, 40.0).is_err());
    }
}
