//! Bad inputs are refused with a count and a reason, and nothing panics.

use crate::common::{node, rover};
use proptest::prelude::*;
use sojourn_core::{
    Stamp,
    camera::Pinhole,
    frames::{BaseLink, Odom, Transform},
    health::{HealthLevel, NodeState},
};
use sojourn_perception::{
    Config, DepthImage, DepthNoise, Input, Perception, Refusal, stereo::GreyImage,
};

fn at(t_s: f64) -> Stamp {
    Stamp::from_secs(t_s)
}

fn image(t_s: f64, width: usize, height: usize, value: f32) -> Input {
    Input::Depth(DepthImage {
        stamp: at(t_s),
        width,
        height,
        depth_m: vec![value; width * height],
        noise: DepthNoise::Rover,
    })
}

fn ready(node: &mut Perception, t_s: f64) {
    let rover = rover("testbed");
    node.step(at(t_s), Input::CameraInfo(rover.navcam_pinhole()));
    node.step(
        at(t_s),
        Input::CameraPose(at(t_s), rover.base_link_from_navcam()),
    );
    node.step(at(t_s), Input::Odometry(at(t_s), Transform::identity()));
}

fn refused(node: &Perception, why: Refusal) -> u64 {
    node.counts().refused.get(&why).copied().unwrap_or(0)
}

#[test]
fn wrong_images_are_counted_by_reason() {
    let mut node = node(&rover("testbed"));
    ready(&mut node, 1.0);
    node.step(at(1.0), image(1.0, 0, 5, 1.0));
    node.step(at(1.0), image(9.0, 4, 4, 1.0));
    node.step(
        at(1.0),
        Input::Depth(DepthImage {
            stamp: at(1.0),
            width: 320,
            height: 240,
            depth_m: vec![1.0; 7],
            noise: DepthNoise::Rover,
        }),
    );
    node.step(
        at(1.0),
        Input::Depth(DepthImage {
            stamp: at(1.0),
            width: usize::MAX,
            height: 2,
            depth_m: vec![],
            noise: DepthNoise::Rover,
        }),
    );
    node.step(at(1.0), image(1.0, 16, 16, 1.0));
    node.step(at(1.0), image(1.0, 320, 240, f32::NAN));
    node.step(at(1.0), image(0.1, 320, 240, 1.0));
    node.step(
        at(1.0),
        Input::Odometry(
            at(0.5),
            Transform::from_xyz_rpy([0.1, 0.0, 0.0], 0.0, 0.0, 0.0),
        ),
    );
    node.step(
        at(1.0),
        Input::Odometry(
            at(1.1),
            Transform::from_xyz_rpy([f64::NAN, 0.0, 0.0], 0.0, 0.0, 0.0),
        ),
    );
    let out = node.step(at(1.1), Input::Tick);
    assert!(out.grid.is_none());
    for why in [
        Refusal::Empty,
        Refusal::Future,
        Refusal::Size,
        Refusal::TooLarge,
        Refusal::InfoSize,
        Refusal::NoDepth,
        Refusal::Stale,
        Refusal::OutOfOrder,
        Refusal::NotFinite,
    ] {
        assert_eq!(refused(&node, why), 1, "{why:?}");
    }
    let health = out.health.unwrap();
    assert_eq!(health.level, HealthLevel::Warn);
    assert!(
        health.reason.contains("9 inputs refused"),
        "{}",
        health.reason
    );
}

fn left(t_s: f64, width: usize, height: usize, pixels: usize) -> Input {
    Input::Left(GreyImage {
        stamp: at(t_s),
        width,
        height,
        pixels: (0..pixels).map(|i| (i % 97) as u8).collect(),
    })
}

#[test]
fn brightness_counts_only_with_the_depth_of_its_stamp_and_size() {
    let rover = rover("testbed");
    let texture = |inputs: Vec<Input>| {
        let mut node = node(&rover);
        ready(&mut node, 1.0);
        for input in inputs {
            node.step(at(1.0), input);
        }
        node.step(at(1.0), image(1.0, 320, 240, 2.0));
        let out = node.step(at(1.0), Input::Tick);
        assert!(out.grid.is_some());
        (out.texture, node.counts().refused.clone())
    };
    let (seen, refused) = texture(vec![left(1.0, 320, 240, 320 * 240)]);
    assert!(seen.unwrap().data().iter().any(|v| v.is_finite()) && refused.is_empty());
    assert!(texture(vec![]).0.is_none());
    assert!(texture(vec![left(0.9, 320, 240, 320 * 240)]).0.is_none());
    assert!(texture(vec![left(1.0, 160, 120, 160 * 120)]).0.is_none());
    let (none, refused) = texture(vec![
        left(1.0, 320, 240, 7),
        left(1.0, usize::MAX, 2, 7),
        left(9.0, 320, 240, 320 * 240),
    ]);
    assert!(none.is_none());
    assert_eq!(refused[&Refusal::Size], 2);
    assert_eq!(refused[&Refusal::Future], 1);
    // However many come without their depth, the newest are kept.
    let many = (0..100).map(|k| left(0.01 * f64::from(k) + 0.01, 320, 240, 320 * 240));
    assert!(texture(many.collect()).0.is_some());
}

#[test]
fn an_image_waits_for_its_odometry_but_not_for_ever() {
    let rover = rover("testbed");
    let mut node = node(&rover);
    ready(&mut node, 1.0);
    node.step(
        at(1.2),
        Input::CameraPose(at(1.2), rover.base_link_from_navcam()),
    );
    node.step(at(1.2), image(1.2, 320, 240, 1.0));
    assert!(node.step(at(1.2), Input::Tick).grid.is_none());
    node.step(at(1.3), Input::Odometry(at(1.2), Transform::identity()));
    let grid = node.step(at(1.3), Input::Tick).grid.unwrap();
    assert_eq!(grid.stamp, at(1.2));
    assert!(
        node.step(at(1.4), Input::Tick).grid.is_none(),
        "nothing new"
    );

    node.step(at(1.5), image(1.5, 320, 240, 1.0));
    node.step(at(1.5), Input::Tick);
    assert!(node.counts().refused.is_empty());
    node.step(at(4.0), Input::Tick);
    assert_eq!(refused(&node, Refusal::NoOdometry), 1);
}

#[test]
fn waiting_images_are_bounded() {
    let mut node = node(&rover("testbed"));
    for _ in 0..30 {
        node.step(at(1.0), image(1.0, 320, 240, 1.0));
    }
    assert_eq!(refused(&node, Refusal::QueueFull), 18);
}

#[test]
fn silence_is_a_warning_then_a_fault() {
    let rover = rover("testbed");
    let mut silent = node(&rover);
    let health = |n: &mut Perception, t| n.step(at(t), Input::Tick).health.unwrap();
    assert_eq!(health(&mut silent, 1.0).state, NodeState::Starting);
    let fault = health(&mut silent, 12.0);
    assert_eq!(
        (fault.state, fault.level),
        (NodeState::Fault, HealthLevel::Error)
    );
    assert!(fault.reason.contains("never"), "{}", fault.reason);

    let mut seen = node(&rover);
    ready(&mut seen, 1.0);
    seen.step(at(1.0), image(1.0, 320, 240, 1.0));
    assert_eq!(health(&mut seen, 1.1).state, NodeState::Active);
    assert_eq!(health(&mut seen, 5.0).level, HealthLevel::Warn);
    assert_eq!(health(&mut seen, 15.0).level, HealthLevel::Error);
    ready(&mut seen, 15.0);
    seen.step(at(15.0), image(15.0, 320, 240, 1.0));
    assert_eq!(
        health(&mut seen, 15.1).level,
        HealthLevel::Ok,
        "it recovers"
    );
}

#[test]
fn a_jump_of_odometry_clears_the_grid() {
    let rover = rover("testbed");
    let mut node = node(&rover);
    ready(&mut node, 1.0);
    node.step(at(1.0), image(1.0, 320, 240, 1.0));
    assert!(node.step(at(1.1), Input::Tick).grid.is_some());
    let far: Transform<Odom, BaseLink> = Transform::from_xyz_rpy([3.0, 0.0, 0.0], 0.0, 0.0, 3.0);
    node.step(at(2.0), Input::Odometry(at(2.0), far));
    assert_eq!(node.counts().cleared, 1);
    node.step(
        at(2.0),
        Input::CameraPose(at(2.0), rover.base_link_from_navcam()),
    );
    node.step(at(2.0), image(2.0, 320, 240, 1.0));
    let grid = node.step(at(2.1), Input::Tick).grid.unwrap();
    assert_eq!(
        grid.elevation.nearest(1.0, 0.0),
        None,
        "what lay there belongs to another frame"
    );
}

#[test]
fn parameters_out_of_range_name_their_key() {
    let rover = rover("perseverance");
    let mut p = crate::common::params();
    p.hole_slope = f64::NAN;
    assert!(
        Config::new(p, &rover)
            .unwrap_err()
            .to_string()
            .contains("hole_slope")
    );
    let mut p = crate::common::params();
    p.grids.clear();
    assert!(
        Config::new(p, &rover)
            .unwrap_err()
            .to_string()
            .contains("perseverance")
    );
    let mut p = crate::common::params();
    p.grids.get_mut("testbed").unwrap().size_m = 10.01;
    assert!(
        Config::new(p, &rover)
            .unwrap_err()
            .to_string()
            .contains("grids.testbed.size_m")
    );
}

fn any_f64() -> impl Strategy<Value = f64> {
    prop_oneof![8 => -30.0..30.0f64, 1 => prop::num::f64::ANY]
}

fn any_pose() -> impl Strategy<Value = Transform<Odom, BaseLink>> {
    (any_f64(), any_f64(), any_f64(), -4.0..4.0f64)
        .prop_map(|(x, y, z, a)| Transform::from_xyz_rpy([x, y, z], 0.3 * a, -0.2 * a, a))
}

fn any_input() -> impl Strategy<Value = (f64, Input)> {
    let stamp = prop_oneof![6 => 0.9..3.0f64, 1 => prop::num::f64::ANY];
    let input = prop_oneof![
        4 => (stamp.clone(), any_pose()).prop_map(|(t, p)| Input::Odometry(at(t), p)),
        2 => stamp.clone().prop_map(|t| {
            Input::CameraPose(at(t), rover("testbed").base_link_from_navcam())
        }),
        1 => (any_f64(), any_f64()).prop_map(|(f, c)| Input::CameraInfo(Pinhole {
            width: 8, height: 6, fx: f, fy: 4.0, cx: c, cy: 3.0,
        })),
        4 => (stamp, prop::collection::vec(prop_oneof![Just(1.0f32), prop::num::f32::ANY], 48..49))
            .prop_map(|(t, depth_m)| Input::Depth(DepthImage { stamp: at(t), width: 8, height: 6, depth_m, noise: DepthNoise::Rover })),
        2 => prop_oneof![Just(1.0), 0.9..3.0f64].prop_map(|t| left(t, 8, 6, 48)),
        4 => Just(Input::Tick),
    ];
    (0.9..3.0f64, input)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_and_the_grid_stays_centred(inputs in prop::collection::vec(any_input(), 1..60)) {
        let mut node = node(&rover("testbed"));
        // the newest odometry that the node should have taken, kept the simple way
        let mut newest: Option<(Stamp, [f64; 2])> = None;
        for (t, input) in inputs {
            if let Input::Odometry(stamp, pose) = &input {
                let p = pose.iso.translation.vector;
                let good = p.iter().all(|v| v.is_finite() && v.abs() < 1e6)
                    && stamp.since(at(t)) <= 0.05
                    && newest.is_none_or(|(last, _)| *stamp > last);
                if good {
                    newest = Some((*stamp, [p.x, p.y]));
                }
            }
            let out = node.step(at(t), input);
            if let Some(grid) = out.grid {
                let [ox, oy] = grid.elevation.origin_m();
                let half = 0.5 * grid.elevation.size_m()[0];
                let [x, y] = newest.unwrap().1;
                prop_assert!((ox + half - x).abs() < 0.06 && (oy + half - y).abs() < 0.06);
                for (i, e) in grid.elevation.data().iter().enumerate() {
                    prop_assert_eq!(e.is_nan(), grid.variance.data()[i].is_nan());
                    prop_assert!(e.is_nan() || (e.is_finite() && grid.variance.data()[i] >= 0.0));
                    prop_assert!(!e.is_nan() || grid.count.data()[i] == 0.0);
                }
            }
        }
    }

    /// What no ray has met stays unknown, apart from the rover's own place and small gaps.
    #[test]
    fn unseen_stays_unknown(yaw in -3.1..3.1f64) {
        let rover = rover("testbed");
        let mut node = node(&rover);
        node.step(at(1.0), Input::CameraInfo(rover.navcam_pinhole()));
        node.step(at(1.0), Input::CameraPose(at(1.0), rover.base_link_from_navcam()));
        let pose = Transform::from_xyz_rpy([0.0; 3], 0.0, 0.0, yaw);
        node.step(at(1.0), Input::Odometry(at(1.0), pose));
        node.step(at(1.0), image(1.0, 320, 240, 1.0));
        let grid = node.step(at(1.1), Input::Tick).grid.unwrap();
        // behind the rover nothing was looked at
        for k in 0..40 {
            let back = 1.0 + 0.08 * f64::from(k);
            prop_assert_eq!(grid.elevation.nearest(-back * yaw.cos(), -back * yaw.sin()), None);
        }
    }
}
