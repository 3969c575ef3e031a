//! Visual odometry over a textured plane with boxes on it, drawn ray by ray: small images, exact truth.

use super::*;
use crate::filter::Eyes;
use nalgebra::{Isometry3, Rotation3, Translation3, UnitQuaternion};
use sojourn_core::camera::Pinhole;

/// A number from 0 to 1 for a cell of a lattice.
fn chance(x: i64, y: i64, seed: u64) -> f64 {
    let mut h = (x as u64)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add((y as u64).wrapping_mul(0xc2b2_ae3d_27d4_eb4f))
        .wrapping_add(seed);
    h = (h ^ (h >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    h = (h ^ (h >> 32)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (h >> 11) as f64 / (1u64 << 53) as f64
}

/// Smooth noise of wavelength one.
pub(crate) fn smooth(x: f64, y: f64, seed: u64) -> f64 {
    let (i, j) = (x.floor(), y.floor());
    let ease = |t: f64| t * t * (3.0 - 2.0 * t);
    let (a, b) = (ease(x - i), ease(y - j));
    let (i, j) = (i as i64, j as i64);
    let mix = |p: f64, q: f64, t: f64| p + t * (q - p);
    mix(
        mix(chance(i, j, seed), chance(i + 1, j, seed), a),
        mix(chance(i, j + 1, seed), chance(i + 1, j + 1, seed), a),
        b,
    )
}

/// What lies over the ground: brightness by place in the world (metres) and the ground's own brightness.
pub(crate) type Paint<'a> = &'a dyn Fn([f64; 2], f64) -> f64;

/// A place to drive on: `tone` is the contrast of the ground.
#[derive(Clone, Copy)]
pub(crate) struct Ground {
    pub(crate) seed: u64,
    pub(crate) tone: f64,
}

impl Ground {
    /// Brightness of a place seen by pixels of a size, metres: what is finer than the pixel is left out.
    fn brightness(&self, x: f64, y: f64, pixel_m: f64) -> f64 {
        let mut sum = 0.0;
        let mut wave_m = 0.64;
        for octave in 0..6 {
            let keep = (wave_m / pixel_m - 1.0).clamp(0.0, 1.0);
            sum += keep * (smooth(x / wave_m, y / wave_m, self.seed + octave) - 0.5);
            wave_m *= 0.5;
        }
        128.0 + self.tone * sum
    }

    /// Mean over a square around a place of what the finest pixels see.
    pub(crate) fn mean_brightness(&self, x: f64, y: f64, side_m: f64) -> f64 {
        let n = 10;
        let step = |k: i32| (f64::from(k) + 0.5) / f64::from(n) * side_m - 0.5 * side_m;
        let all = (0..n * n).map(|k| self.brightness(x + step(k % n), y + step(k / n), 0.01));
        all.sum::<f64>() / f64::from(n * n)
    }

    fn image(
        &self,
        camera: &Pinhole,
        world_from_camera: &Isometry3<f64>,
        noise: u64,
        paint: Paint<'_>,
    ) -> GrayImage {
        let eye = world_from_camera.translation.vector;
        let mut data = Vec::new();
        for v in 0..camera.height {
            for u in 0..camera.width {
                let ray = world_from_camera.rotation * camera.ray(u as f64, v as f64);
                let level = if ray.z < -0.02 {
                    let t = -eye.z / ray.z;
                    let at = eye + ray * t;
                    let pixel_m = t / camera.fx / (-ray.z / ray.norm()).sqrt();
                    paint([at.x, at.y], self.brightness(at.x, at.y, pixel_m))
                } else {
                    60.0
                };
                let grain =
                    chance(u as i64, v as i64, noise) + chance(v as i64, u as i64, !noise) - 1.0;
                data.push((level + 1.5 * grain).clamp(0.0, 255.0) as u8);
            }
        }
        GrayImage::new(camera.width, camera.height, data).unwrap()
    }

    pub(crate) fn pair(&self, world_from_base: &Isometry3<f64>, number: u64) -> StereoPair {
        self.painted(world_from_base, number, &|_, level| level)
    }

    /// The same with something over the ground.
    pub(crate) fn painted(
        &self,
        world_from_base: &Isometry3<f64>,
        number: u64,
        paint: Paint<'_>,
    ) -> StereoPair {
        let (camera, base_link_from_navcam) = rig();
        let left = world_from_base * base_link_from_navcam;
        let right = left * Isometry3::translation(camera.baseline_m, 0.0, 0.0);
        StereoPair {
            left: self.image(&camera.pinhole, &left, 2 * number, paint),
            right: self.image(&camera.pinhole, &right, 2 * number + 1, paint),
            camera,
            base_link_from_navcam,
        }
    }
}

/// What errors come to with the cameras of the tests.
pub(crate) fn eyes() -> Eyes {
    let (camera, base_link_from_navcam) = rig();
    let height_m = base_link_from_navcam.translation.z;
    Eyes::of(camera.pinhole.fx, camera.baseline_m, height_m)
}

fn rig() -> (StereoCamera, Isometry3<f64>) {
    let camera = StereoCamera {
        pinhole: Pinhole::from_fov(320, 240, 96f64.to_radians(), 73f64.to_radians()),
        baseline_m: 0.424,
    };
    let look = Rotation3::from_euler_angles(0.0, 28f64.to_radians(), 0.0);
    let flu_from_optical = Rotation3::from_matrix_unchecked(nalgebra::Matrix3::new(
        0.0, 0.0, 1.0, -1.0, 0.0, 0.0, 0.0, -1.0, 0.0,
    ));
    let mast = Isometry3::from_parts(
        Translation3::new(0.95, 0.212, 2.0),
        UnitQuaternion::from_rotation_matrix(&(look * flu_from_optical)),
    );
    (camera, mast)
}

pub(crate) fn at(x: f64, y: f64, yaw: f64) -> Isometry3<f64> {
    Isometry3::from_parts(
        Translation3::new(x, y, 0.0),
        UnitQuaternion::from_euler_angles(0.0, 0.0, yaw),
    )
}

pub(crate) fn params() -> VoParams {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../config/localization.param.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let all: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
    let mut p: VoParams =
        serde_yaml::from_value(all["/localization"]["ros__parameters"]["visual_odometry"].clone())
            .unwrap();
    // Fewer features than the node has, for speed.
    p.cell_px = 32;
    p
}

fn guess(pose: Isometry3<f64>, wheel_way_m: f64) -> Guess {
    Guess {
        reckoned_from_base_link: pose,
        wheel_way_m,
    }
}

const SAND: Ground = Ground {
    seed: 3,
    tone: 160.0,
};

/// A step whose wheels slip: what is seen, and the truth.
fn step(ground: Ground, slip: f64, wheels_m: f64, yaw: f64) -> (Seen, Isometry3<f64>) {
    let mut vo = VisualOdometry::new(params());
    let (a, b) = (
        at(0.0, 0.0, 0.3),
        at(0.0, 0.0, 0.3) * at(wheels_m * (1.0 - slip), 0.01, yaw),
    );
    assert_eq!(vo.step(&ground.pair(&a, 0), &guess(a, 0.0)), Seen::First);
    let believed = a * at(wheels_m, 0.0, yaw);
    let seen = vo.step(&ground.pair(&b, 1), &guess(believed, wheels_m));
    (seen, a.inverse() * b)
}

#[test]
fn steps_are_measured_to_millimetres_whatever_the_slip() {
    for (slip, wheels_m, yaw) in [
        (0.0, 0.5, 0.0),
        (0.4, 0.5, 0.0),
        (0.95, 0.5, 0.0),
        (0.2, 0.3, 0.15),
        (0.0, 0.0, 0.0),
        (0.1, 0.9, -0.1),
    ] {
        let (seen, truth) = step(SAND, slip, wheels_m, yaw);
        let Seen::Moved { motion, .. } = seen else {
            panic!("slip {slip}, way {wheels_m}, turn {yaw}: {seen:?}");
        };
        let error = truth.inverse() * motion.key_from_now;
        let (off_m, off_rad) = (error.translation.vector.norm(), error.rotation.angle());
        println!(
            "slip {slip}: off {off_m:.4} m, {off_rad:.5} rad, {} of {}",
            motion.inliers, motion.matches
        );
        assert!(
            off_m < 0.01 && off_rad < 0.003,
            "slip {slip}: {off_m} m {off_rad} rad"
        );
    }
}

#[test]
fn featureless_sand_and_black_images_are_no_measurement() {
    let flat = Ground { seed: 3, tone: 0.0 };
    let mut vo = VisualOdometry::new(params());
    let pose = at(0.0, 0.0, 0.0);
    for number in 0..2 {
        let seen = vo.step(&flat.pair(&pose, number), &guess(pose, 0.0));
        assert!(
            matches!(
                seen,
                Seen::Failed {
                    why: Failure::NoContrast(_) | Failure::TooFewFeatures(_),
                    new_key: false
                }
            ),
            "{seen:?}"
        );
    }
    let mut dark = SAND.pair(&pose, 0);
    dark.right = GrayImage::new(320, 240, vec![0; 320 * 240]).unwrap();
    let seen = vo.step(&dark, &guess(pose, 0.0));
    assert!(
        matches!(
            seen,
            Seen::Failed {
                why: Failure::NoContrast(_),
                ..
            }
        ),
        "{seen:?}"
    );
    dark.right = GrayImage::new(100, 100, vec![0; 10_000]).unwrap();
    let seen = vo.step(&dark, &guess(pose, 0.0));
    assert!(
        matches!(
            seen,
            Seen::Failed {
                why: Failure::WrongSize,
                ..
            }
        ),
        "{seen:?}"
    );
}

#[test]
fn another_place_is_no_measurement() {
    let mut vo = VisualOdometry::new(params());
    let pose = at(0.0, 0.0, 0.0);
    vo.step(&SAND.pair(&pose, 0), &guess(pose, 0.0));
    let elsewhere = at(40.0, 10.0, 1.0);
    let seen = vo.step(&SAND.pair(&elsewhere, 1), &guess(at(0.5, 0.0, 0.0), 0.5));
    assert!(matches!(seen, Seen::Failed { .. }), "{seen:?}");
}

#[test]
fn the_same_pairs_give_the_same_bits() {
    let (a, _) = step(SAND, 0.3, 0.5, 0.05);
    let (b, _) = step(SAND, 0.3, 0.5, 0.05);
    assert_eq!(a, b);
}

#[test]
fn without_wheels_and_gyro_the_way_is_seen_too() {
    let mut vo = Unaided::new(params());
    let mut told = None;
    // Starts at speed, brakes, turns, has a pair without contrast on the way.
    let mut pose = at(0.0, 0.0, 0.3);
    let begin = pose;
    let flat = Ground { seed: 3, tone: 0.0 };
    for number in 0..8u64 {
        let ground = if number == 4 { flat } else { SAND };
        told = Some(vo.step(&ground.pair(&pose, number)));
        if number < 7 {
            let step_m = if number < 4 { 0.5 } else { 0.42 };
            pose *= at(step_m, 0.0, 0.03);
        }
    }
    let told = told.unwrap();
    let error = (begin.inverse() * pose).inverse() * told.start_from_base_link;
    assert!(matches!(told.seen, Seen::Moved { .. }), "{:?}", told.seen);
    // 3.3 m, one of its pairs dark.
    assert!(error.translation.vector.norm() < 0.05, "{error}");
    assert!(error.rotation.angle() < 0.01, "{error}");
}

#[test]
fn turns_on_the_spot_are_seen_without_bias() {
    let (mut sum, mut count) = (0.0, 0.0);
    for (seed, turn) in [
        (1, 0.12),
        (2, -0.12),
        (3, 0.25),
        (4, -0.25),
        (5, 0.25),
        (6, -0.25),
    ] {
        let ground = Ground {
            seed: 40 * seed,
            tone: 160.0,
        };
        let mut vo = VisualOdometry::new(params());
        let a = at(seed as f64, 0.0, 0.5 * seed as f64);
        let b = a * at(0.0, 0.0, turn);
        vo.step(&ground.pair(&a, 2 * seed), &guess(a, 0.0));
        // Wheels and gyro believe in a twentieth less.
        let believed = a * at(0.0, 0.0, turn * 0.95);
        let seen = vo.step(&ground.pair(&b, 2 * seed + 1), &guess(believed, 0.0));
        let Seen::Moved { motion, .. } = seen else {
            panic!("turn {turn}: {seen:?}");
        };
        sum += motion.key_from_now.rotation.euler_angles().2 / turn - 1.0;
        count += 1.0;
    }
    assert!((sum / count).abs() < 0.002, "{}", sum / count);
}

/// A step of 0.5 m with slip 0.2 between two painted pairs: how far off the motion is, metres and radians.
fn painted_step(first: Paint<'_>, second: Paint<'_>) -> (f64, f64) {
    let mut vo = VisualOdometry::new(params());
    let (a, b) = (at(0.0, 0.0, 0.0), at(0.4, 0.01, 0.02));
    assert_eq!(
        vo.step(&SAND.painted(&a, 0, first), &guess(a, 0.0)),
        Seen::First
    );
    let seen = vo.step(
        &SAND.painted(&b, 1, second),
        &guess(at(0.5, 0.0, 0.02), 0.5),
    );
    let Seen::Moved { motion, .. } = seen else {
        panic!("{seen:?}");
    };
    let error = (a.inverse() * b).inverse() * motion.key_from_now;
    (error.translation.vector.norm(), error.rotation.angle())
}

#[test]
fn another_light_changes_nothing() {
    // The second pair under a third of the light, with haze, and brighter to one side.
    let (off_m, off_rad) = painted_step(&|_, level| level, &|[_, y], level| {
        30.0 + (0.35 + 0.02 * y) * level
    });
    assert!(off_m < 0.01 && off_rad < 0.003, "{off_m} m {off_rad} rad");
}

#[test]
fn the_rovers_own_shadow_does_not_hold_it_back() {
    // Body and mast before the rover, moving with it: edges that say "no motion" on a tenth of the ground seen.
    let shadow = |begin_m: f64| {
        move |[x, y]: [f64; 2], level: f64| {
            let (x, y) = (x - begin_m, y - 0.3);
            let body = (0.0..3.0).contains(&x) && y.abs() < 0.9;
            let mast = (3.0..4.5).contains(&x) && y.abs() < 0.12;
            if body || mast { 0.3 * level } else { level }
        }
    };
    let (off_m, off_rad) = painted_step(&shadow(0.0), &shadow(0.4));
    assert!(off_m < 0.01 && off_rad < 0.003, "{off_m} m {off_rad} rad");
}

#[test]
fn own_tracks_that_repeat_do_not_mislead() {
    // Cleats every 10 cm in two lanes: five of them fit into a step.
    let tracks = |[x, y]: [f64; 2], level: f64| {
        let lane = (y.abs() - 1.05).abs() < 0.2;
        let cleat = (x / 0.1).rem_euclid(1.0) < 0.3;
        match (lane, cleat) {
            (true, true) => 60.0,
            (true, false) => 150.0,
            _ => level,
        }
    };
    let (off_m, off_rad) = painted_step(&tracks, &tracks);
    assert!(off_m < 0.01 && off_rad < 0.003, "{off_m} m {off_rad} rad");
}
