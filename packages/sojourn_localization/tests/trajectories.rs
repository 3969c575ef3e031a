//! The estimate against drives whose end is known exactly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{World, ahead, node, params, rover};
use nalgebra::{UnitQuaternion, Vector3};
use proptest::prelude::*;
use sojourn_core::{health::NodeState, kinematics::Velocity};
use sojourn_localization::Params;

fn ideal() -> Params {
    Params {
        use_slip_prior: false,
        ..params()
    }
}

#[test]
fn straight_on_the_flat() {
    let rover = rover("perseverance");
    let mut world = World::new(&rover, UnitQuaternion::identity());
    let mut node = node(ideal(), &rover);
    world.rest_for(&mut node, 2.0);
    world.drive_for(&mut node, ahead(0.04), 250.0);
    let estimate = world.rest_for(&mut node, 1.0).estimate.unwrap();
    assert!((world.position_m.x - 10.0).abs() < 1e-6);
    assert!(
        world.error_m(&estimate) < 3e-3,
        "{}",
        world.error_m(&estimate)
    );
}

#[test]
fn a_full_circle_closes() {
    let rover = rover("testbed");
    let mut world = World::new(&rover, UnitQuaternion::identity());
    let mut node = node(ideal(), &rover);
    world.rest_for(&mut node, 2.0);
    let turn = Velocity {
        speed_mps: 0.1,
        turn_radps: 0.05,
    };
    world.drive_for(&mut node, turn, std::f64::consts::TAU / 0.05);
    let estimate = world.rest_for(&mut node, 1.0).estimate.unwrap();
    assert!(
        world.error_m(&estimate) < 0.01,
        "{}",
        world.error_m(&estimate)
    );
    assert!(estimate.odom_from_base_link.iso.translation.vector.norm() < 0.02);
}

#[test]
fn slip_that_the_rover_file_expects_is_taken_off_on_slopes() {
    let rover = rover("perseverance");
    for (roll, pitch) in [(0.0, -0.17), (0.0, 0.17), (0.15, 0.0), (-0.1, -0.1)] {
        let mut world = World::new(&rover, UnitQuaternion::from_euler_angles(roll, pitch, 0.0));
        world.model_slip = true;
        world.noise = true;
        let mut node = node(params(), &rover);
        world.rest_for(&mut node, 5.0);
        world.drive_for(&mut node, ahead(0.04), 500.0);
        let estimate = world.rest_for(&mut node, 1.0).estimate.unwrap();
        let share = world.error_m(&estimate) / world.way_m;
        println!(
            "roll {roll}, pitch {pitch}: error {:.2} % of {:.1} m",
            100.0 * share,
            world.way_m
        );
        assert!(share < 0.01, "roll {roll}, pitch {pitch}: {share}");
        let (r, p, _) = estimate.odom_from_base_link.rpy_rad();
        assert!((r - roll).abs() < 0.005 && (p - pitch).abs() < 0.005);
    }
}

#[test]
fn unexpected_slip_stays_within_the_uncertainty_that_is_told() {
    let rover = rover("perseverance");
    let mut world = World::new(&rover, UnitQuaternion::identity());
    world.model_slip = true;
    world.slip = 0.05;
    world.noise = true;
    world.bias_radps = Vector3::new(2e-6, -2e-6, 2e-6);
    let mut node = node(params(), &rover);
    world.rest_for(&mut node, 10.0);
    world.drive_for(&mut node, ahead(0.042), 4760.0);
    let estimate = world.rest_for(&mut node, 1.0).estimate.unwrap();
    let error_m = world.error_m(&estimate);
    let sigma_m = estimate.pose_covariance[0].sqrt();
    println!(
        "{:.0} m with 5 % more slip than expected: error {error_m:.2} m, told sigma {sigma_m:.2} m",
        world.way_m
    );
    assert!(error_m < 0.06 * world.way_m, "{error_m}");
    assert!(
        error_m < 3.0 * sigma_m && sigma_m < 2.0 * error_m,
        "error {error_m}, sigma {sigma_m}"
    );
}

#[test]
fn the_gyro_bias_is_found_at_rest_and_the_heading_holds() {
    let rover = rover("testbed");
    let mut world = World::new(&rover, UnitQuaternion::identity());
    world.noise = true;
    world.bias_radps = Vector3::new(5e-5, 5e-5, -1e-4);
    let mut node = node(ideal(), &rover);
    world.rest_for(&mut node, 60.0);
    assert!((node.gyro_bias_radps() - world.bias_radps).norm() < 4e-5);
    let estimate = world
        .drive_for(&mut node, ahead(0.15), 200.0)
        .estimate
        .unwrap();
    let yaw_rad = estimate.odom_from_base_link.rpy_rad().2;
    let sigma_rad = estimate.pose_covariance[35].sqrt();
    println!("30 m: yaw error {yaw_rad:.4} rad, told sigma {sigma_rad:.4}");
    assert!(yaw_rad.abs() < 0.012 && yaw_rad.abs() < 4.0 * sigma_rad);
}

#[test]
fn nothing_is_published_before_the_level_is_known() {
    let rover = rover("perseverance");
    let mut world = World::new(&rover, UnitQuaternion::from_euler_angles(0.1, -0.2, 0.0));
    let mut node = node(
        Params {
            initial_yaw_rad: 1.2,
            initial_x_m: 30.0,
            ..ideal()
        },
        &rover,
    );
    for _ in 0..4 {
        let out = world.drive(&mut node, Velocity::STOP);
        assert!(out.estimate.is_none());
        assert_eq!(out.health.unwrap().state, NodeState::Starting);
    }
    let out = world.drive(&mut node, Velocity::STOP);
    let estimate = out.estimate.unwrap();
    assert_eq!(out.health.unwrap().state, NodeState::Active);
    let (roll, pitch, yaw) = estimate.odom_from_base_link.rpy_rad();
    assert!((roll - 0.1).abs() < 1e-6 && (pitch + 0.2).abs() < 1e-6 && (yaw - 1.2).abs() < 1e-6);
    assert_eq!(
        estimate.odom_from_base_link.iso.translation.vector,
        Vector3::zeros()
    );
    assert_eq!(estimate.map_from_odom.iso.translation.x, 30.0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arcs_end_where_they_should(v in -0.15f64..0.15, w in -0.2f64..0.2, roll in -0.3f64..0.3, pitch in -0.3f64..0.3) {
        let rover = rover("testbed");
        let mut world = World::new(&rover, UnitQuaternion::from_euler_angles(roll, pitch, 0.0));
        let mut node = node(ideal(), &rover);
        world.rest_for(&mut node, 1.0);
        world.drive_for(&mut node, Velocity { speed_mps: v, turn_radps: w }, 40.0);
        let estimate = world.rest_for(&mut node, 0.5).estimate.unwrap();
        let error_m = world.error_m(&estimate);
        prop_assert!(error_m < 0.01 * world.way_m + 0.01, "error {} of {} m", error_m, world.way_m);
    }
}
