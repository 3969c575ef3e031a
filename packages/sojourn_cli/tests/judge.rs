//! What `sojourn sweep judge` makes of a peer's drive.
#![allow(clippy::unwrap_used)] // a test may stop at the first surprise

use nalgebra::Vector3;
use sojourn_cli::peer::{
    judge::{judge, poses_of},
    mujoco::Stance,
};
use sojourn_core::{frames::Pose2, raster::Raster, rover::Rover};
use sojourn_twin::sim::score::{Score, TrackPoint, UnsafeEvent};
use std::path::Path;

fn rover() -> Rover {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    Rover::load(&config.join("rovers/perseverance.yaml")).unwrap()
}

/// A rover that stands on a plane of this slope ahead, as a peer without errors would tell it.
fn on_plane(slope: f64, time_s: f64, rover: &Rover) -> Stance {
    let up = Vector3::new(-slope, 0.0, 1.0).normalize();
    let axle = Vector3::new(15.0, 15.0, 15.0 * slope) + up * rover.wheel.radius_m;
    let forward = Vector3::new(1.0, 0.0, slope).normalize();
    let hubs = rover.hubs_m().map(|[x, y, _]| {
        let p = axle + forward * x + Vector3::y() * y;
        [p.x, p.y, p.z]
    });
    Stance {
        time_s,
        pose: Pose2::new(axle.x, axle.y, 0.0),
        up: up.into(),
        axle_m: axle.z,
        differential_rad: 0.0,
        bogie_rad: [0.0; 2],
        wheels_m: hubs,
    }
}

fn plane(slope: f64) -> Raster {
    let flat = Raster::filled(300, 300, 0.1, [0.0; 2], 0.0).unwrap();
    flat.like(|c, r| (slope * flat.centre_m(c, r)[0]) as f32)
}

#[test]
fn on_a_plane_both_stand_alike() {
    let r = rover();
    let j = judge(
        &Score::default(),
        &[on_plane(0.2, 0.0, &r)],
        &plane(0.2),
        &r,
    );
    assert_eq!((j.places, j.disagree), (1, false));
    assert!(
        j.attitude_max_deg < 0.05 && j.wheel_height_max_m < 0.005,
        "{j:?}"
    );
    assert!(
        j.apart_most.clearance_m < 0.01 && j.apart_most.wheel_drop_m < 0.01,
        "{j:?}"
    );
    assert!((j.peer_worst.tilt_deg - 0.2f64.atan().to_degrees()).abs() < 1e-6);
    assert!(
        (j.peer_worst.clearance_m * 0.2f64.atan().cos() - 0.6).abs() < 0.01,
        "{j:?}"
    );
}

#[test]
fn excesses_are_counted_once_and_one_sided_ones_are_disagreements() {
    let r = rover();
    let mut way: Vec<Stance> = (0..6).map(|i| on_plane(0.0, f64::from(i), &r)).collect();
    for (i, bogie_deg) in [(1, 18.0f64), (2, 19.0), (4, 17.5)] {
        way[i].bogie_rad[1] = -bogie_deg.to_radians();
    }
    let j = judge(&Score::default(), &way, &plane(0.0), &r);
    assert!(
        j.disagree && j.ours.is_empty() && j.peer.len() == 2,
        "{j:?}"
    );
    assert!(j.peer[0].limit == "bogie_deg" && (j.peer[0].value - 19.0).abs() < 1e-9);
    assert_eq!(j.peer[0].duration_s, 1.0);
    let event = |channel: &str| UnsafeEvent {
        channel: channel.into(),
        value: 1.0,
        limit: 0.5,
        time_s: 0.0,
        duration_s: 0.1,
        x_m: 0.0,
        y_m: 0.0,
        reason: String::new(),
    };
    let scored = |channel: &str| Score {
        events: vec![event(channel)],
        ..Score::default()
    };
    let safe = [on_plane(0.0, 0.0, &r)];
    assert!(judge(&scored("tilt_deg"), &safe, &plane(0.0), &r).disagree);
    assert!(!judge(&scored("tilt_deg"), &way, &plane(0.0), &r).disagree);
    // A rover that is led does not slip.
    assert!(!judge(&scored("slip"), &safe, &plane(0.0), &r).disagree);
}

#[test]
fn a_rover_that_stands_still_gives_one_pose() {
    let at = |x_m: f64| TrackPoint {
        time_s: 0.0,
        distance_m: 0.0,
        x_m,
        y_m: 0.0,
        z_m: 0.0,
        yaw_rad: 0.0,
        tilt_deg: 0.0,
        slip: 0.0,
        clearance_m: 1.0,
    };
    assert_eq!(poses_of(&[at(0.0), at(0.0), at(0.04), at(0.0401)]).len(), 2);
    assert!(poses_of(&[]).is_empty());
}
