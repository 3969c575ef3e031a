//! Small made recordings for tests: textured flat ground, seen by a pair of cameras that drives over it.

use super::recorded::looking_ahead;
use nalgebra::Isometry3;
use std::path::{Path, PathBuf};

pub(crate) const WIDTH: usize = 320;
pub(crate) const HEIGHT: usize = 240;
pub(crate) const F: f64 = 160.0;
pub(crate) const BASELINE_M: f64 = 0.4;
/// Height of the cameras of [`drive`], metres, and how far they look down, radians.
pub(crate) const MOUNT: (f64, f64) = (1.65, 0.4);

fn chance(x: i64, y: i64) -> f64 {
    let mut h = (x as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ (y as u64).wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
    h = (h ^ (h >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    h = (h ^ (h >> 32)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (h >> 11) as f64 / (1u64 << 53) as f64
}

fn smooth(x: f64, y: f64) -> f64 {
    let (i, j) = (x.floor(), y.floor());
    let ease = |t: f64| t * t * (3.0 - 2.0 * t);
    let (a, b) = (ease(x - i), ease(y - j));
    let (i, j) = (i as i64, j as i64);
    let mix = |p: f64, q: f64, t: f64| p + t * (q - p);
    mix(
        mix(chance(i, j), chance(i + 1, j), a),
        mix(chance(i, j + 1), chance(i + 1, j + 1), a),
        b,
    )
}

/// The grey levels that a camera sees; optical axes x right, y down, z ahead.
pub(crate) fn seen(world_from_camera: &Isometry3<f64>) -> Vec<u8> {
    let eye = world_from_camera.translation.vector;
    let mut out = Vec::with_capacity(WIDTH * HEIGHT);
    for v in 0..HEIGHT {
        for u in 0..WIDTH {
            let ray = nalgebra::Vector3::new((u as f64 - 159.5) / F, (v as f64 - 119.5) / F, 1.0);
            let ray = world_from_camera.rotation * ray;
            let level = if ray.z < -0.02 {
                let at = eye - ray * (eye.z / ray.z);
                let pixel_m = -eye.z / ray.z / F;
                let octave = |n: i32| {
                    let wave_m = 0.64 / f64::from(1 << n);
                    let keep = (wave_m / pixel_m - 1.0).clamp(0.0, 1.0);
                    keep * (smooth(at.x / wave_m, at.y / wave_m + 100.0 * f64::from(n)) - 0.5)
                };
                128.0 + 160.0 * (0..6).map(octave).sum::<f64>()
            } else {
                60.0
            };
            out.push(level.clamp(0.0, 255.0) as u8);
        }
    }
    out
}

/// Left and right images at places along the x axis, and the poses of the left camera.
pub(crate) fn drive(places_m: &[f64], mount: (f64, f64)) -> Vec<(Vec<u8>, Vec<u8>)> {
    let camera = looking_ahead(mount.0, mount.1);
    places_m
        .iter()
        .map(|&x| {
            let left = Isometry3::translation(x, 0.0, 0.0) * camera;
            let right = left * Isometry3::translation(BASELINE_M, 0.0, 0.0);
            (seen(&left), seen(&right))
        })
        .collect()
}

/// Writes a grey PNG and the folders above it.
pub(crate) fn png(path: &Path, levels: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, crate::pixels::grey8(WIDTH, HEIGHT, levels).unwrap()).unwrap();
}

/// Writes text and the folders above it.
pub(crate) fn text(path: PathBuf, words: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, words).unwrap();
}

/// The rig of [`drive`] as `camera.yaml`.
pub(crate) fn camera_yaml() -> String {
    let q = looking_ahead(MOUNT.0, MOUNT.1).rotation.coords;
    format!(
        "{{width: {WIDTH}, height: {HEIGHT}, fx: {F}, fy: {F}, cx: 159.5, cy: 119.5, baseline_m: {BASELINE_M}, \
         base_link_from_left: {{position_m: [0, 0, {}], quaternion_xyzw: [{}, {}, {}, {}]}}}}",
        MOUNT.0, q.x, q.y, q.z, q.w
    )
}
