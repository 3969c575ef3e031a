//! A double of camera and ground: depth images of an analytic surface by marching along each ray.
#![allow(dead_code)]

use nalgebra::{Isometry3, Vector3};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sojourn_core::{
    Stamp,
    camera::Pinhole,
    frames::{BaseLink, NavcamOptical, Odom, Transform},
    params::load_node_params,
    rover::Rover,
};
use sojourn_perception::{Config, DepthImage, DepthNoise, Input, Output, Params, Perception};
use std::path::Path;

pub fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub fn rover(name: &str) -> Rover {
    Rover::load(&root().join(format!("config/rovers/{name}.yaml"))).unwrap()
}

/// The same rover with a quarter of the pixels, for tests that need many images.
pub fn coarse(mut rover: Rover) -> Rover {
    rover.navcam.width = 320;
    rover.navcam.height = 240;
    rover
}

pub fn params() -> Params {
    load_node_params(&root().join("config/perception.param.yaml"), "perception").unwrap()
}

pub fn node(rover: &Rover) -> Perception {
    Perception::new(Config::new(params(), rover).unwrap(), rover)
}

/// Depth along the optical axis of the surface `z = ground(x, y)`, with the disparity noise of a stereo pair.
pub fn cast(
    camera: &Pinhole,
    odom_from_camera: &Isometry3<f64>,
    ground: &dyn Fn(f64, f64) -> f64,
    noise_per_m: f64,
    seed: u64,
) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let origin = odom_from_camera.translation.vector;
    let mut out = Vec::with_capacity(camera.width * camera.height);
    for v in 0..camera.height {
        for u in 0..camera.width {
            let ray = odom_from_camera.rotation * camera.ray(u as f64, v as f64);
            let over = |d: f64| {
                let p: Vector3<f64> = origin + ray * d;
                p.z - ground(p.x, p.y)
            };
            let mut d = 0.3;
            let mut depth = f64::NAN;
            while d < 15.0 {
                let step = (0.6 * over(d)).clamp(0.03, 1.0);
                if over(d + step) <= 0.0 {
                    let (mut lo, mut hi) = (d, d + step);
                    for _ in 0..14 {
                        let mid = 0.5 * (lo + hi);
                        if over(mid) > 0.0 { lo = mid } else { hi = mid }
                    }
                    depth = 0.5 * (lo + hi);
                    break;
                }
                d += step;
            }
            // Irwin-Hall: twelve uniform numbers make a normal one.
            let normal: f64 = (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
            out.push((depth + noise_per_m * depth * depth * normal) as f32);
        }
    }
    out
}

pub fn stereo_noise(rover: &Rover) -> f64 {
    let n = &rover.navcam;
    n.disparity_sigma_px / (rover.navcam_pinhole().fx * n.baseline_m)
}

/// One look at the ground from a pose, with the mast turned by `pan_rad`.
pub struct Look {
    pub t_s: f64,
    pub odom_from_base_link: Transform<Odom, BaseLink>,
    pub pan_rad: f64,
}

pub fn look(node: &mut Perception, rover: &Rover, look: &Look, ground: &dyn Fn(f64, f64) -> f64) {
    let stamp = Stamp::from_secs(look.t_s);
    let camera = rover.navcam_pinhole();
    let base_link_from_navcam: Transform<BaseLink, NavcamOptical> =
        rover.base_link_from_navcam_panned(look.pan_rad);
    let depth_m = cast(
        &camera,
        &(look.odom_from_base_link * base_link_from_navcam).iso,
        ground,
        stereo_noise(rover),
        7 + (look.t_s * 1000.0) as u64,
    );
    for input in [
        Input::CameraInfo(camera),
        Input::CameraPose(stamp, base_link_from_navcam),
        Input::Odometry(stamp, look.odom_from_base_link),
        Input::Depth(DepthImage {
            stamp,
            width: camera.width,
            height: camera.height,
            depth_m,
            noise: DepthNoise::Rover,
        }),
    ] {
        assert_eq!(node.step(stamp, input), Output::default());
    }
}

/// The pose at height and attitude of the ground's tangent plane, found by differences over half a metre.
pub fn stand(
    x: f64,
    y: f64,
    yaw: f64,
    ground: &dyn Fn(f64, f64) -> f64,
) -> Transform<Odom, BaseLink> {
    let (s, c) = yaw.sin_cos();
    let ahead = (ground(x + 0.5 * c, y + 0.5 * s) - ground(x - 0.5 * c, y - 0.5 * s)).atan();
    let left = (ground(x - 0.5 * s, y + 0.5 * c) - ground(x + 0.5 * s, y - 0.5 * c)).atan();
    Transform::from_xyz_rpy([x, y, ground(x, y)], left, -ahead, yaw)
}
