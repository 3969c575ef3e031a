//! What of the key pair is looked for where: windows, warped patches, and the rover's motion from the camera's.

use super::{
    image::GrayImage,
    odometry::{Guess, Motion},
    patch::{Place, Scratch, Template, Window},
    solve,
    stereo::{GroundPlane, MatchGate, Sight, StereoCamera, StereoPair},
};
use nalgebra::{Isometry3, Matrix2, Matrix6, Vector3};

/// The pair that the next are compared with.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) left: GrayImage,
    pub(super) half: GrayImage,
    pub(super) base_link_from_navcam: Isometry3<f64>,
    pub(super) ground: GroundPlane,
    pub(super) guess: Guess,
    pub(super) points: Vec<(Sight, Vector3<f64>)>,
}

/// The place of a feature in the current left image, between pixels.
#[allow(clippy::too_many_arguments)]
pub(super) fn found_again(
    key: &Key,
    pair: &StereoPair,
    sight: &Sight,
    point: &Vector3<f64>,
    coarse: &Isometry3<f64>,
    expected: &Vector3<f64>,
    around_px: usize,
    gate: &MatchGate,
    scratch: &mut Scratch,
) -> Option<Place> {
    let warp = warp(&pair.camera, &key.ground, sight, point, coarse);
    let template = Template::new(&key.left, sight.u, sight.v, &warp)?;
    let (u, v, around) = (
        expected.x.round() as i64,
        expected.y.round() as i64,
        around_px as i64,
    );
    let window = Window {
        u_min: u - around,
        u_max: u + around,
        v_min: v - around,
        v_max: v + around,
    };
    let peak = template.search(&pair.left, window, scratch)?;
    if !(peak.score >= gate.score) {
        return None;
    }
    let mut place = template.refine(&pair.left, peak.u as f64, peak.v as f64)?;
    place.covariance += Matrix2::identity() * gate.sigma_px.powi(2);
    let sigma = place.covariance[(0, 0)]
        .max(place.covariance[(1, 1)])
        .sqrt();
    (place.score >= gate.score && sigma <= gate.worst_sigma_px).then_some(place)
}

/// Offsets in the key image for offsets in the current one, around a point on ground that lies like the plane under the
/// wheels.
pub(super) fn warp(
    camera: &StereoCamera,
    ground: &GroundPlane,
    sight: &Sight,
    point: &Vector3<f64>,
    cur_from_key: &Isometry3<f64>,
) -> Matrix2<f64> {
    const STEP_PX: f64 = 3.0;
    let height = ground.up.dot(point);
    let image = |u: f64, v: f64| -> Option<[f64; 2]> {
        let ray = camera.pinhole.ray(u, v);
        let facing = ground.up.dot(&ray);
        let depth = if facing.abs() > 0.05 {
            height / facing
        } else {
            point.z
        };
        let depth = depth.clamp(0.5 * point.z, 2.0 * point.z);
        camera
            .pinhole
            .project(cur_from_key.rotation * (ray * depth) + cur_from_key.translation.vector)
    };
    let forward = || {
        let [ru, rv] = image(sight.u + STEP_PX, sight.v)?;
        let [lu, lv] = image(sight.u - STEP_PX, sight.v)?;
        let [du, dv] = image(sight.u, sight.v + STEP_PX)?;
        let [au, av] = image(sight.u, sight.v - STEP_PX)?;
        let a = Matrix2::new(ru - lu, du - au, rv - lv, dv - av) / (2.0 * STEP_PX);
        let size = a.determinant();
        if !(0.3..=3.5).contains(&size) {
            return None;
        }
        a.try_inverse()
    };
    forward().unwrap_or_else(Matrix2::identity)
}

/// Where a point may lie in the image of half size.
pub(super) fn coarse_window(
    camera: &StereoCamera,
    point: &Vector3<f64>,
    slips: &[Isometry3<f64>; 3],
    aside_m: f64,
) -> Option<Window> {
    let (mut lo, mut hi) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
    for motion in slips {
        let x = motion.rotation * point + motion.translation.vector;
        let [u, v] = camera.pinhole.project(x)?;
        let aside_px = aside_m * camera.pinhole.fx / x.z + 3.0;
        for (k, at) in [u, v].into_iter().enumerate() {
            lo[k] = lo[k].min(at - aside_px);
            hi[k] = hi[k].max(at + aside_px);
        }
    }
    let half = |x: f64| (0.5 * x - 0.25).clamp(-1e6, 1e6);
    Some(Window {
        u_min: half(lo[0]).floor() as i64,
        u_max: half(hi[0]).ceil() as i64,
        v_min: half(lo[1]).floor() as i64,
        v_max: half(hi[1]).ceil() as i64,
    })
}

/// The rover's motion from the camera's.
pub(super) fn in_base(
    key: &Key,
    pair: &StereoPair,
    solution: &solve::Solution,
    inliers: usize,
    matches: usize,
) -> Motion {
    // key_base ← key_camera ← current camera ← current base
    let key_from_cur = solution.cur_from_key.inverse();
    let key_from_now =
        key.base_link_from_navcam * key_from_cur * pair.base_link_from_navcam.inverse();
    // A small move (ρ, θ) left of cur_from_key is −(ρ, θ) right of its inverse; seen from the key's base_link it turns with
    // B = base_from_key_camera · key_from_cur about that frame's origin, and moves the base by ω × (lever from there).
    let b = key.base_link_from_navcam * key_from_cur;
    let r = b.rotation.to_rotation_matrix();
    let r = r.matrix();
    let lever = key_from_now.translation.vector - b.translation.vector;
    let mut j = Matrix6::zeros();
    j.fixed_view_mut::<3, 3>(0, 0).copy_from(&(-r));
    j.fixed_view_mut::<3, 3>(0, 3)
        .copy_from(&(lever.cross_matrix() * r));
    j.fixed_view_mut::<3, 3>(3, 3).copy_from(&(-r));
    Motion {
        key_from_now,
        covariance: j * solution.covariance * j.transpose(),
        inliers,
        matches,
        residual: solution.residual,
    }
}
