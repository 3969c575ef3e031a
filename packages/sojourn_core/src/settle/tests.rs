use super::*;
use crate::suspension::SuspensionAngles;
use nalgebra::{Isometry3, Point3};
use proptest::prelude::*;
use std::path::Path;

fn perseverance() -> Rover {
    Rover::load(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/rovers/perseverance.yaml"),
    )
    .unwrap()
}

/// The link lengths that the public figures of the rover give (front 1.185, rear −1.075, pivots 0.304/0.893 and
/// −0.450/0.663, wheel 0.263 m).
#[test]
fn links_match_the_published_ones() {
    let mut r = perseverance();
    r.wheel.radius_m = 0.263;
    r.suspension.front_hub_m[0] = 1.185;
    r.suspension.rear_hub_m[0] = -1.075;
    r.suspension.rocker_pivot_m = [0.304, 0.65, 0.893];
    r.suspension.bogie_pivot_m = [-0.450, 1.03, 0.663];
    let s = Settler::new(&r, 0.05);
    assert!((s.l_fb - 1.683).abs() < 0.001 && (s.l_mr - 1.075).abs() < 0.001);
    assert!((s.l_df - 1.083).abs() < 0.001 && (s.l_bm - 0.602).abs() < 0.001);
    assert!((s.phi_f.to_degrees() - 21.82).abs() < 0.02);
    assert!((s.kappa_b0.to_degrees() - 41.63).abs() < 0.02);
    assert!((s.kappa_d0.to_degrees() - 35.57).abs() < 0.02);
}

#[test]
fn flat_ground_is_flat() {
    let r = perseverance();
    let s = Settler::new(&r, 0.05)
        .settle(&|_, _| Some(2.0), Pose2::new(3.0, 4.0, 0.7))
        .unwrap();
    assert!((s.z_m - 2.0).abs() < 1e-9 && s.tilt_rad < 1e-9 && s.converged);
    assert!((s.clearance_m - r.belly.height_m).abs() < 1e-9);
    assert!(s.bogie_rad[0].abs() < 1e-9 && s.differential_rad.abs() < 1e-9);
    assert!(s.excess(&r.limits, 1.0).is_none());
}

proptest! {
    /// On a plane the body lies on the plane: no joint angle, clearance as on flat ground.
    #[test]
    fn a_plane_gives_its_own_slope(slope in 0.0f64..20.0, dir in -3.2f64..3.2, yaw in -3.2f64..3.2) {
        let r = perseverance();
        let g = slope.to_radians().tan();
        let (gx, gy) = (g * dir.cos(), g * dir.sin());
        let s = Settler::new(&r, 0.05).settle(&move |x: f64, y: f64| Some(gx * x + gy * y), Pose2::new(1.0, -2.0, yaw)).unwrap();
        prop_assert!(s.converged);
        prop_assert!((s.tilt_rad.to_degrees() - slope).abs() < 0.2, "tilt {}", s.tilt_rad.to_degrees());
        prop_assert!(s.differential_rad.abs() < 0.2f64.to_radians(), "differential {}", s.differential_rad.to_degrees());
        prop_assert!(s.bogie_rad[0].abs() < 0.3f64.to_radians());
        prop_assert!(s.wheel_drop_m.iter().all(|d| *d < 0.01), "an even slope is no step: {:?}", s.wheel_drop_m);
        prop_assert!((s.clearance_m * s.tilt_rad.cos() - r.belly.height_m).abs() < 0.03, "clearance {}", s.clearance_m);
    }

    /// Driving the other way round turns the angles round.
    #[test]
    fn turning_about_mirrors(ax in -0.1f64..0.1, ay in -0.1f64..0.1) {
        let r = perseverance();
        let settler = Settler::new(&r, 0.05);
        let ground = move |x: f64, y: f64| Some(ax * x + ay * y);
        let a = settler.settle(&ground, Pose2::new(0.0, 0.0, 0.0)).unwrap();
        let b = settler.settle(&ground, Pose2::new(0.0, 0.0, std::f64::consts::PI)).unwrap();
        prop_assert!((a.pitch_rad + b.pitch_rad).abs() < 0.003);
        prop_assert!((a.roll_rad + b.roll_rad).abs() < 0.003);
    }
}

fn rover(name: &str) -> Rover {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/rovers");
    Rover::load(&dir.join(format!("{name}.yaml"))).unwrap()
}

proptest! {
    /// Every kind of suspension lies on a plane as the plane lies, with no joint turned.
    #[test]
    fn every_rover_lies_on_a_plane(which in 0usize..4, slope in 0.0f64..20.0, dir in -3.2f64..3.2, yaw in -3.2f64..3.2) {
        let r = rover(["testbed", "osr", "leo", "husky"][which]);
        let g = slope.to_radians().tan();
        let (gx, gy) = (g * dir.cos(), g * dir.sin());
        let s = Settler::new(&r, 0.02).settle(&move |x: f64, y: f64| Some(gx * x + gy * y), Pose2::new(1.0, -2.0, yaw)).unwrap();
        prop_assert!((s.tilt_rad.to_degrees() - slope).abs() < 0.3, "tilt {}", s.tilt_rad.to_degrees());
        prop_assert!(s.differential_rad.abs() < 0.3f64.to_radians() && s.bogie_rad[0].abs() < 0.5f64.to_radians());
        prop_assert!((s.clearance_m * s.tilt_rad.cos() - r.belly.height_m).abs() < 0.02, "clearance {}", s.clearance_m);
    }

    /// Fixed axles: three wheels touch, none is in the ground, on ground with one wheel raised or let down.
    #[test]
    fn fixed_axles_stand_on_three_wheels(which in 0usize..4, step in -0.06f64..0.06) {
        let r = rover("husky");
        let hub = r.hubs_m()[[0, 2, 3, 5][which]];
        let ground = move |x: f64, y: f64| Some(if (x - hub[0]).abs() < 0.25 && (y - hub[1]).abs() < 0.25 { step } else { 0.0 });
        let s = Settler::new(&r, 0.02).settle(&ground, Pose2::default()).unwrap();
        prop_assert_eq!((s.differential_rad, s.bogie_rad), (0.0, [0.0; 2]));
        // height of each wheel's lowest point over the ground under it, small angles
        let mut gaps: Vec<f64> = [0usize, 2, 3, 5].iter().map(|&i| {
            let h = r.hubs_m()[i];
            s.z_m - s.pitch_rad.tan() * h[0] + s.roll_rad.tan() * h[1] - s.wheel_m[i]
        }).collect();
        gaps.sort_by(f64::total_cmp);
        prop_assert!(gaps[0] > -0.012, "{gaps:?} {s:?}");
        prop_assert!(gaps[2] < 0.012, "{gaps:?} {s:?}");
    }
}

#[test]
fn a_rock_under_one_wheel_shows_where_it_must() {
    let r = perseverance();
    let settler = Settler::new(&r, 0.05);
    let hub = r.hubs_m()[0];
    let rock = move |x: f64, y: f64| {
        Some(if (x - hub[0]).hypot(y - hub[1]) < 0.3 {
            0.3
        } else {
            0.0
        })
    };
    let s = settler.settle(&rock, Pose2::default()).unwrap();
    assert!(s.pitch_rad < 0.0, "nose up is negative pitch");
    assert!(
        s.roll_rad > 0.0,
        "left up, so right side down: positive roll"
    );
    assert!(
        s.differential_rad.to_degrees() > 2.0,
        "{}",
        s.differential_rad.to_degrees()
    );
    assert!((s.wheel_m[0] - 0.3).abs() < 0.03 && s.wheel_m[3].abs() < 0.03);
    let middle = r.hubs_m()[1];
    let bump = move |x: f64, y: f64| {
        Some(if (x - middle[0]).hypot(y - middle[1]) < 0.3 {
            0.3
        } else {
            0.0
        })
    };
    let s = settler.settle(&bump, Pose2::default()).unwrap();
    assert!(s.bogie_rad[0].to_degrees().abs() > 10.0 && s.bogie_rad[1].abs() < 0.05);
}

#[test]
fn a_rock_under_the_belly_takes_clearance() {
    let r = perseverance();
    let s = Settler::new(&r, 0.05)
        .settle(
            &|x: f64, y: f64| Some(if x.hypot(y) < 0.3 { 0.55 } else { 0.0 }),
            Pose2::default(),
        )
        .unwrap();
    assert!((s.clearance_m - (r.belly.height_m - 0.55)).abs() < 1e-6);
}

#[test]
fn unknown_ground_is_no_ground_and_nan_breaks_limits() {
    let r = perseverance();
    let settler = Settler::new(&r, 0.05);
    assert!(
        settler
            .settle(&|x: f64, _| (x < 1.0).then_some(0.0), Pose2::default())
            .is_none()
    );
    let mut s = settler.settle(&|_, _| Some(0.0), Pose2::default()).unwrap();
    s.tilt_rad = f64::NAN;
    assert!(s.excess(&r.limits, 1.0).is_some());
}

/// With the angles that settling finds, hubs stand a radius over the heights that it found.
#[test]
fn hubs_stand_where_settling_puts_the_wheels() {
    for rover in [perseverance(), rover("leo")] {
        let name = &rover.name;
        let reach_m = rover.suspension.front_hub_m[0];
        let ground = |x_m: f64, y_m: f64| {
            let (x, y) = (x_m / reach_m, y_m / reach_m);
            Some(0.08 * reach_m * ((1.9 * x + 0.4).sin() + (1.3 * y + 0.7 * x).cos()))
        };
        let settler = Settler::new(&rover, 0.2 * rover.wheel.radius_m);
        let s = settler.settle(&ground, Pose2::new(0.0, 0.0, 0.0)).unwrap();
        assert!(s.differential_rad.abs() > 0.01, "{s:?}");
        let angles = SuspensionAngles {
            differential_rad: s.differential_rad,
            bogie_rad: s.bogie_rad,
        };
        let rotation = nalgebra::UnitQuaternion::from_euler_angles(s.roll_rad, s.pitch_rad, 0.0);
        let pose = Isometry3::from_parts(nalgebra::Translation3::new(0.0, 0.0, s.z_m), rotation);
        let there = rover.has_wheel();
        for (k, hub) in rover.suspension.hubs_at_m(&angles).iter().enumerate() {
            if !there[k] {
                continue;
            }
            let [x, y, z] = *hub;
            let over_m = (pose * Point3::new(x, y, z)).z - s.wheel_m[k];
            let off_m = over_m - rover.wheel.radius_m;
            assert!(off_m.abs() < 0.015 * reach_m, "{name} wheel {k}: {off_m} m");
        }
    }
}
