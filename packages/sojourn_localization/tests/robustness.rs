//! Bad, missing and shuffled inputs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{World, ahead, node, params, rover};
use nalgebra::{UnitQuaternion, Vector3};
use proptest::prelude::*;
use sojourn_core::{
    Stamp,
    health::{HealthLevel, NodeState},
    kinematics::WheelMotion,
};
use sojourn_localization::{Config, ImuSample, Input, Localization, Output, Refusal, WheelSample};

fn at(t_s: f64) -> Stamp {
    Stamp::from_secs(t_s)
}

fn running() -> (World, Localization) {
    let rover = rover("perseverance");
    let mut world = World::new(&rover, UnitQuaternion::identity());
    let mut node = node(params(), &rover);
    world.rest_for(&mut node, 2.0);
    (world, node)
}

#[test]
fn bad_inputs_are_counted_and_change_nothing() {
    let (world, mut node) = running();
    let before = node.estimate();
    let t = world.t_s;
    let good = ImuSample {
        gyro_radps: Vector3::zeros(),
        accel_mps2: Vector3::new(0.0, 0.0, 3.7),
    };
    let nan = ImuSample {
        gyro_radps: Vector3::repeat(f64::NAN),
        ..good
    };
    let huge = ImuSample {
        accel_mps2: Vector3::repeat(1e300),
        ..good
    };
    let mut wheels = WheelSample::default();
    node.step(at(t), Input::Imu(at(t + 0.05), nan));
    node.step(at(t), Input::Imu(at(t + 0.05), huge));
    node.step(at(t), Input::Imu(at(t), good));
    node.step(at(t), Input::Imu(at(t - 1.0), good));
    node.step(at(t), Input::Imu(at(t + 3.0), good));
    wheels.motion.rim_mps[3] = f64::INFINITY;
    node.step(at(t), Input::Wheels(at(t + 0.05), wheels));
    node.step(at(t), Input::Wheels(at(t - 0.1), WheelSample::default()));
    assert_eq!(node.estimate(), before);
    let n = |why| node.counts().refused.get(&why).copied().unwrap_or(0);
    assert_eq!(
        [
            n(Refusal::NotFinite),
            n(Refusal::OutOfOrder),
            n(Refusal::Future),
        ],
        [3, 3, 1]
    );
    let health = node.step(at(t), Input::Tick).health.unwrap();
    assert_eq!(health.level, HealthLevel::Warn);
    assert!(
        health.reason.contains("7 inputs refused"),
        "{}",
        health.reason
    );
    assert_eq!(
        node.step(at(t), Input::Tick).health.unwrap().level,
        HealthLevel::Ok
    );
}

#[test]
fn silence_of_imu_or_wheels_is_a_fault_and_the_stamp_stands_still() {
    let (world, mut node) = running();
    let t = world.t_s;
    let out = node.step(at(t + 0.6), Input::Tick);
    let health = out.health.unwrap();
    assert_eq!(
        (health.state, health.level),
        (NodeState::Fault, HealthLevel::Error)
    );
    assert!(
        health.reason.contains("IMU") && health.reason.contains("wheel"),
        "{}",
        health.reason
    );
    assert_eq!(out.estimate.unwrap().stamp, at(t));

    let mut fresh = node_of_nothing();
    assert_eq!(
        fresh.step(at(1.0), Input::Tick).health.unwrap().state,
        NodeState::Starting
    );
    let health = fresh.step(at(1.6), Input::Tick).health.unwrap();
    assert!(
        health.level == HealthLevel::Error && health.reason.contains("never IMU"),
        "{}",
        health.reason
    );
}

fn node_of_nothing() -> Localization {
    node(params(), &rover("perseverance"))
}

#[test]
fn a_gap_is_bridged_and_told() {
    let (mut world, mut node) = running();
    world.drive_for(&mut node, ahead(0.04), 5.0);
    let before = node.estimate().unwrap();
    world.t_s += 2.0;
    let out = world.drive(&mut node, ahead(0.04));
    assert_eq!(node.counts().gaps, 2);
    let health = out.health.unwrap();
    assert_eq!(
        (health.state, health.level),
        (NodeState::Active, HealthLevel::Warn)
    );
    let step_m = out.estimate.unwrap().odom_from_base_link.iso.translation.x
        - before.odom_from_base_link.iso.translation.x;
    assert!(step_m > 0.0 && step_m < 0.1, "got {step_m}");

    // encoders that begin anew: no more way than the time-out's is believed
    world.travel_m = [1000.0; 6];
    let before_m = node
        .estimate()
        .unwrap()
        .odom_from_base_link
        .iso
        .translation
        .x;
    let out = world.drive(&mut node, ahead(0.04));
    assert_eq!(node.counts().gaps, 3);
    let step_m = out.estimate.unwrap().odom_from_base_link.iso.translation.x - before_m;
    assert!(step_m > 0.0 && step_m < 0.03, "got {step_m}");
}

#[test]
fn another_planet_is_noticed() {
    let rover = rover("testbed");
    let mut node = node(params(), &rover);
    for i in 0..40 {
        let t = at(1.0 + 0.01 * f64::from(i));
        let sample = ImuSample {
            gyro_radps: Vector3::zeros(),
            accel_mps2: Vector3::new(0.0, 0.0, 9.81),
        };
        node.step(t, Input::Imu(t, sample));
        node.step(t, Input::Wheels(t, WheelSample::default()));
    }
    let out = node.step(at(1.4), Input::Tick);
    assert!(out.estimate.is_none());
    let health = out.health.unwrap();
    assert_eq!(health.level, HealthLevel::Error);
    assert!(
        health.reason.contains("9.81") && health.reason.contains("3.721"),
        "{}",
        health.reason
    );
}

#[test]
fn parameters_out_of_range_name_their_key() {
    let mut p = params();
    p.slip_sigma = f64::NAN;
    let err = Config::new(p, &common::mars()).unwrap_err().to_string();
    assert!(err.contains("slip_sigma"), "{err}");
}

fn any_f64(scale: f64) -> impl Strategy<Value = f64> {
    prop_oneof![12 => -scale..scale, 1 => prop::num::f64::ANY]
}

fn any_vector(scale: f64) -> impl Strategy<Value = Vector3<f64>> {
    (any_f64(scale), any_f64(scale), any_f64(scale)).prop_map(|(x, y, z)| Vector3::new(x, y, z))
}

fn any_input() -> impl Strategy<Value = (f64, f64, Input)> {
    let input = prop_oneof![
        6 => (any_vector(3.0), any_vector(2.0)).prop_map(|(gyro_radps, a)| {
            Input::Imu(Stamp(0), ImuSample { gyro_radps, accel_mps2: a + Vector3::new(0.0, 0.0, 3.7) })
        }),
        4 => (
            prop::array::uniform6(any_f64(0.2)), prop::array::uniform6(any_f64(1.0)), prop::array::uniform6(any_f64(0.1)),
        ).prop_map(|(rim_mps, steer_rad, travel_m)| Input::Wheels(
            Stamp(0), WheelSample { motion: WheelMotion { rim_mps, steer_rad }, travel_m, suspension: None },
        )),
        2 => any_vector(1.0).prop_map(|d| Input::Sun(Stamp(0), d)),
        3 => Just(Input::Tick),
    ];
    let late = prop_oneof![8 => Just(0.0), 1 => -1.0..1.0f64, 1 => prop::num::f64::ANY];
    (0.0..0.2f64, late, input)
}

fn run(inputs: &[(f64, f64, Input)]) -> Vec<Output> {
    let mut p = params();
    p.sun.enabled = true;
    p.sun.gate = 1e6;
    let mut node = node(p, &rover("perseverance"));
    let mut now_s = 1.0;
    // so that most runs get past the first level
    for i in 0..10 {
        let t = at(0.5 + 0.01 * f64::from(i));
        let sample = ImuSample {
            gyro_radps: Vector3::zeros(),
            accel_mps2: Vector3::new(0.0, 0.0, 3.72),
        };
        node.step(t, Input::Imu(t, sample));
    }
    let mut outputs = Vec::new();
    for (dt, late, input) in inputs {
        now_s += dt;
        let stamp = at(now_s - late);
        let input = match input {
            Input::Imu(_, s) => Input::Imu(stamp, *s),
            Input::Wheels(_, w) => Input::Wheels(stamp, *w),
            Input::Sun(_, d) => Input::Sun(stamp, *d),
            other => other.clone(),
        };
        outputs.push(node.step(at(now_s), input));
    }
    outputs
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_the_estimate_is_numbers_and_repeatable(inputs in prop::collection::vec(any_input(), 1..120)) {
        let outputs = run(&inputs);
        for estimate in outputs.iter().filter_map(|o| o.estimate) {
            let iso = estimate.odom_from_base_link.iso;
            prop_assert!(iso.translation.vector.iter().all(|v| v.is_finite()));
            prop_assert!((iso.rotation.coords.norm() - 1.0).abs() < 1e-9);
            prop_assert!(estimate.pose_covariance.iter().all(|v| v.is_finite()));
            for i in 0..6 {
                prop_assert!(estimate.pose_covariance[i * 7] >= 0.0);
            }
            prop_assert!(estimate.velocity_mps.iter().all(|v| v.is_finite()));
        }
        prop_assert_eq!(outputs, run(&inputs));
    }
}
