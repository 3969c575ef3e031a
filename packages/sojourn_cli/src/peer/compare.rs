//! How far the twin's settled rover stands from a peer's, at the peer's own places.

use super::mujoco::Sample;
use nalgebra::{Rotation3, Vector3};
use sojourn_core::{
    frames::Pose2,
    raster::HeightField,
    rover::Rover,
    settle::{Settled, Settler},
};

/// How far from its place in the twin's rover a peer's wheel may stand, along and across, metres: links that are turned
/// otherwise, and wheels that are steered.
const NEAR_M: [f64; 2] = [0.08, 0.06];
/// A wheel hangs when its tread stands over all ground near it by more than this, metres.
const HANGS_M: f64 = 0.01;
/// Samples of the ground along and across a tread.
const TREAD: [i32; 2] = [10, 5];

/// Height of the centre of a wheel on the highest ground near it; `None` where some is unknown.
fn highest_centre_m(
    ground: &impl HeightField,
    rover: &Rover,
    (own, pose): (&Settled, Pose2),
    hub: [f64; 3],
) -> Option<f64> {
    let (r, half_m) = (rover.wheel.radius_m, 0.5 * rover.wheel.width_m);
    let lean = own.roll_rad.tan();
    let (x, y) = (hub[0] * own.pitch_rad.cos(), hub[1] * own.roll_rad.cos());
    let mut highest = f64::NEG_INFINITY;
    for shift in -4..=4 {
        let shift_m = NEAR_M[0] * f64::from(shift) / 4.0;
        for a in -TREAD[0]..=TREAD[0] {
            let dx = r * f64::from(a) / f64::from(TREAD[0]);
            let rise_m = (r * r - dx * dx).max(0.0).sqrt() - r;
            for b in -TREAD[1]..=TREAD[1] {
                let dy = (half_m + NEAR_M[1]) * f64::from(b) / f64::from(TREAD[1]);
                let [gx, gy] = pose.point(x + shift_m + dx, y + dy);
                highest = highest.max(ground.height_m(gx, gy)? + rise_m - lean * dy);
            }
        }
    }
    Some(highest + r / own.roll_rad.cos())
}

/// Differences over all places.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Comparison {
    /// Places compared.
    pub places: usize,
    /// Root mean square of the angle between the two bodies' up axes, degrees (the heading is the peer's in both).
    pub attitude_rms_deg: f64,
    /// 95 % of these angles are not larger, degrees.
    pub attitude_p95_deg: f64,
    /// Largest such angle, degrees.
    pub attitude_max_deg: f64,
    /// Root mean square of the differences of the wheels' centres' heights, metres.
    pub wheel_height_rms_m: f64,
    /// Largest such difference, metres.
    pub wheel_height_max_m: f64,
    /// Mean of these differences (twin less peer), metres.
    pub wheel_height_mean_m: f64,
    /// Share of the peer's wheels that surely hang: their treads stand over all ground near them. The twin's wheels always
    /// touch the ground; drives that work against each other lift one.
    pub wheels_hanging: f64,
    /// Root mean square of the differences of the heights of all other wheels, metres.
    pub touching_height_rms_m: f64,
    /// Root mean square of the tilt of the peer's body, degrees: how much there was to get right.
    pub tilt_rms_deg: f64,
}

/// Settles the rover at every place and compares. Places over unknown ground do not count.
#[must_use]
pub fn compare(samples: &[Sample], ground: &impl HeightField, rover: &Rover) -> Comparison {
    // As fine under the wheels as the verification has it.
    let settler = Settler::new(rover, (0.2 * rover.wheel.radius_m).max(0.01));
    let mut angles = Vec::new();
    let mut wheels = Vec::new();
    let mut touching = Vec::new();
    let hubs = rover.hubs_m();
    let mut tilt = 0.0;
    for s in samples {
        let Some(own) = settler.settle(ground, s.pose) else {
            continue;
        };
        let turn = Rotation3::from_euler_angles(own.roll_rad, own.pitch_rad, s.pose.yaw_rad);
        let up = Vector3::from(s.up);
        angles.push((turn * Vector3::z()).angle(&up).to_degrees());
        tilt += up.angle(&Vector3::z()).to_degrees().powi(2);
        // A wheel that leans with the body stands on its edge's height over the ground under its hub.
        let centre_m = rover.wheel.radius_m / own.roll_rad.cos();
        for (i, hub) in hubs.iter().enumerate() {
            let off_m = own.wheel_m[i] + centre_m - s.wheel_m[i];
            wheels.push(off_m);
            let highest = highest_centre_m(ground, rover, (&own, s.pose), *hub);
            if !highest.is_some_and(|z| s.wheel_m[i] > z + HANGS_M) {
                touching.push(off_m);
            }
        }
    }
    if angles.is_empty() {
        return Comparison::default();
    }
    angles.sort_by(f64::total_cmp);
    let places = angles.len();
    let mean = |sum: f64, n: usize| sum / n as f64;
    let square = |v: &[f64]| mean(v.iter().map(|x| x * x).sum(), v.len().max(1)).sqrt();
    Comparison {
        places,
        attitude_rms_deg: square(&angles),
        attitude_p95_deg: angles[(places - 1) * 95 / 100],
        attitude_max_deg: angles[places - 1],
        wheel_height_rms_m: square(&wheels),
        wheel_height_max_m: wheels.iter().fold(0.0, |m, w| m.max(w.abs())),
        wheel_height_mean_m: mean(wheels.iter().sum(), wheels.len()),
        wheels_hanging: 1.0 - touching.len() as f64 / wheels.len() as f64,
        touching_height_rms_m: square(&touching),
        tilt_rms_deg: mean(tilt, places).sqrt(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sojourn_core::frames::Pose2;
    use std::path::Path;

    #[test]
    fn a_rover_on_a_plane_differs_by_what_it_is_turned() {
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
        let rover = Rover::load(&config.join("rovers/perseverance.yaml")).unwrap();
        let ground = |x: f64, _: f64| Some(0.1 * x);
        let up = Vector3::new(-0.1, 0.0, 1.0).normalize();
        let turned = Rotation3::from_axis_angle(&Vector3::y_axis(), 2f64.to_radians()) * up;
        let hubs = rover.hubs_m();
        let (c, radius) = (0.1f64.atan().cos(), rover.wheel.radius_m);
        let at = |up: Vector3<f64>, lift: f64| Sample {
            time_s: 0.0,
            pose: Pose2::new(0.0, 0.0, 0.0),
            up: up.into(),
            wheel_m: hubs.map(|h| 0.1 * h[0] * c + radius / c + lift),
        };
        let same = compare(&[at(up, 0.0)], &ground, &rover);
        assert!(
            same.attitude_rms_deg < 0.05 && same.wheel_height_rms_m < 0.004,
            "{same:?}"
        );
        let other = compare(&[at(turned, 0.05)], &ground, &rover);
        assert!((other.attitude_rms_deg - 2.0).abs() < 0.05, "{other:?}");
        assert!(
            (other.wheel_height_mean_m + 0.05).abs() < 0.004,
            "{other:?}"
        );
        assert_eq!(compare(&[at(up, 0.0)], &|_, _| None, &rover).places, 0);
        // A wheel in the air is told from one that stands; on this slope ground 0.08 m ahead is 8 mm higher.
        assert_eq!((same.wheels_hanging, other.wheels_hanging), (0.0, 1.0));
        let mut one = at(up, 0.0);
        one.wheel_m[1] += 0.04;
        let one = compare(&[one], &ground, &rover);
        assert!((one.wheels_hanging - 1.0 / 6.0).abs() < 1e-9, "{one:?}");
        assert!(
            one.touching_height_rms_m < 0.004 && one.wheel_height_rms_m > 0.014,
            "{one:?}"
        );
    }
}
