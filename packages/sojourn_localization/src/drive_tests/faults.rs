//! Pairs and inputs that go wrong.

use super::*;

#[test]
fn slip_that_only_the_pairs_show_is_taken_off_and_told() {
    let d = driven(&[Fate::Fine; 4]);
    assert!(d.error_m() < 0.03, "{} m after {} m", d.error_m(), d.way_m);
    let slips: Vec<f64> = d
        .outputs
        .iter()
        .flat_map(|o| o.sightings.iter().filter_map(|s| s.slip.map(|s| s.slip)))
        .collect();
    assert!(
        slips.len() >= 3 && slips.iter().all(|s| (s - SLIP).abs() < 0.03),
        "{slips:?}"
    );
    assert!(!d.warned("dig in") && !d.warned("no visual odometry"));
}

#[test]
fn lost_pairs_cost_nothing_and_doubled_ones_are_refused() {
    let d = driven(&[
        Fate::Fine,
        Fate::Dropped,
        Fate::Fine,
        Fate::Twice,
        Fate::Fine,
    ]);
    assert_eq!(d.refused, 1);
    assert!(d.error_m() < 0.04, "{} m", d.error_m());
}

#[test]
fn a_stamp_before_the_last_is_refused() {
    let d = driven(&[Fate::Fine, Fate::Late(20.0), Fate::Fine]);
    assert_eq!(d.refused, 1);
    assert!(d.error_m() < 0.04, "{} m", d.error_m());
}

#[test]
fn a_number_that_is_none_is_refused() {
    let d = driven(&[Fate::Fine, Fate::NotANumber, Fate::Fine]);
    assert_eq!(d.refused, 1);
    assert!(d.error_m() < 0.04, "{} m", d.error_m());
}

#[test]
fn featureless_sand_is_driven_with_the_slip_seen_last_and_told() {
    let d = driven(&[
        Fate::Fine,
        Fate::Fine,
        Fate::Blind,
        Fate::Blind,
        Fate::Fine,
        Fate::Fine,
    ]);
    assert!(d.warned("no visual odometry in 2 pairs"));
    let failed = d.outputs.iter().flat_map(|o| &o.sightings);
    assert!(
        failed
            .filter(|s| matches!(s.seen, Seen::Failed { .. }))
            .count()
            >= 2
    );
    // With the wheels alone it would be 0.4 m for each metre.
    assert!(d.error_m() < 0.1, "{} m after {} m", d.error_m(), d.way_m);
}

#[test]
fn wheels_that_dig_in_are_told_after_two_measurements() {
    let mut d = Drive::new();
    d.slip = 0.9;
    d.rest();
    d.pair(Fate::Fine);
    d.tick();
    d.leg(Fate::Fine);
    assert!(!d.warned("dig in"));
    d.leg(Fate::Fine);
    assert!(d.warned("dig in"));
}

#[test]
fn ground_that_changes_at_once_is_taken_as_it_is() {
    let mut d = driven(&[Fate::Fine, Fate::Fine]);
    for slip in [0.95, 0.95, 0.0, 0.0] {
        d.slip = slip;
        d.leg(Fate::Fine);
    }
    assert_eq!(d.verdicts(), (6, 0));
    assert!(d.error_m() < 0.04, "{} m after {} m", d.error_m(), d.way_m);
}

#[test]
fn an_encoder_that_jumps_is_put_right_by_the_next_pair() {
    let mut d = driven(&[Fate::Fine, Fate::Fine]);
    // One of six wheels claims half a metre at once: more than any rim can do.
    for _ in 0..25 {
        d.period(SPEED_MPS, 0.5);
    }
    d.pair(Fate::Fine);
    d.tick();
    assert!(d.error_m() < 0.04, "{} m", d.error_m());
}

#[test]
fn a_wheel_that_stands_still_is_seen_as_what_it_is() {
    let mut d = driven(&[Fate::Fine, Fate::Fine]);
    // The others drag it along: the mean of the rims says less than the ground, the pairs say how much.
    d.stuck = Some(2);
    for _ in 0..3 {
        d.leg(Fate::Fine);
    }
    assert!(d.error_m() < 0.04, "{} m after {} m", d.error_m(), d.way_m);
    assert_eq!(d.verdicts(), (5, 0));
}

#[test]
fn a_step_of_the_gyro_is_told_and_then_learned() {
    let mut d = driven(&[Fate::Fine, Fate::Fine]);
    d.gyro_bias_radps = 0.001;
    for _ in 0..8 {
        d.leg(Fate::Fine);
    }
    assert!(d.warned("contradict"));
    // The gyro alone would have turned by 0.1 rad.
    assert!(
        d.heading_error_rad() < 0.03,
        "{} rad",
        d.heading_error_rad()
    );
    let learned = d.node.gyro_bias_radps().z;
    assert!((learned - 0.001).abs() < 2e-4, "{learned} rad/s");
    assert!(d.error_m() < 0.1, "{} m after {} m", d.error_m(), d.way_m);
}

#[test]
fn a_step_of_the_accelerometer_tilts_nothing_that_the_pairs_have_seen_level() {
    let mut d = driven(&[Fate::Fine, Fate::Fine]);
    // Taken for gravity it would be a tilt of 0.016 rad.
    d.accel_bias_mps2 = Vector3::new(0.05, -0.03, 0.02);
    for _ in 0..8 {
        d.leg(Fate::Fine);
    }
    let e = d.node.estimate().unwrap();
    let (roll, pitch, _) = e.odom_from_base_link.rpy_rad();
    assert!(roll.abs() < 0.005 && pitch.abs() < 0.008, "{roll} {pitch}");
    let learned = d.node.accel_bias_mps2();
    assert!((learned - d.accel_bias_mps2).norm() < 0.03, "{learned}");
    assert_eq!(d.verdicts(), (10, 0));
    assert!(d.error_m() < 0.04, "{} m after {} m", d.error_m(), d.way_m);
}

/// Two seconds of shocks far beyond gravity while the rover drives.
#[test]
fn shocks_move_nothing() {
    let mut d = driven(&[Fate::Fine, Fate::Fine]);
    for k in 0..25 {
        let blow = if (8..12).contains(&k) { 20.0 } else { 0.0 };
        d.accel_bias_mps2 = Vector3::new(blow, -0.5 * blow, blow);
        d.period(SPEED_MPS, 0.0);
    }
    d.accel_bias_mps2 = Vector3::zeros();
    d.pair(Fate::Fine);
    d.tick();
    d.leg(Fate::Fine);
    let e = d.node.estimate().unwrap();
    let (roll, pitch, _) = e.odom_from_base_link.rpy_rad();
    assert!(roll.abs() < 0.003 && pitch.abs() < 0.003, "{roll} {pitch}");
    assert_eq!(d.verdicts(), (4, 0));
    assert!(d.error_m() < 0.03, "{} m after {} m", d.error_m(), d.way_m);
}

#[test]
fn a_reset_begins_anew_where_the_rover_stands() {
    let mut d = Drive::with(|p| (p.initial_x_m, p.initial_yaw_rad) = (7.0, 0.3));
    d.rest();
    d.pair(Fate::Fine);
    d.tick();
    d.leg(Fate::Fine);
    let before = d.node.estimate().unwrap();
    let refused = d.node.reset().unwrap_err();
    assert!(refused.contains("a wheel turns"), "{refused}");
    assert_eq!(d.node.estimate().unwrap(), before);
    d.period(0.0, 0.0);
    d.node.reset().unwrap();
    assert!(d.node.estimate().is_none());
    d.tick();
    let health = d.outputs.last().unwrap().health.clone().unwrap();
    assert!(health.reason.contains("levelling"), "{}", health.reason);
    // What came before the reset is not taken again.
    let again = Stamp::from_secs(d.t_s);
    d.node
        .step(again, Input::Wheels(again, WheelSample::default()));
    assert_eq!(d.node.counts().refused.get(&Refusal::OutOfOrder), Some(&1));
    let from_m = d.way_m;
    d.rest();
    let e = d.node.estimate().unwrap();
    let at = (e.map_from_odom * e.odom_from_base_link).planar();
    assert!(
        (at.x_m - 7.0).abs() < 1e-3 && (at.yaw_rad - 0.3).abs() < 1e-6,
        "{at:?}"
    );
    d.pair(Fate::Fine);
    d.tick();
    d.leg(Fate::Fine);
    d.leg(Fate::Fine);
    let e = d.node.estimate().unwrap().odom_from_base_link;
    let way_m = e.iso.translation.vector.norm();
    assert!(
        (way_m - (d.way_m - from_m)).abs() < 0.02,
        "{way_m} {}",
        d.way_m - from_m
    );
}

#[test]
fn a_gyro_that_is_far_off_is_told() {
    let mut d = driven(&[Fate::Fine]);
    d.gyro_bias_radps = 0.01;
    for _ in 0..3 {
        d.leg(Fate::Fine);
    }
    assert!(d.warned("no visual odometry"));
    // What was seen before stays: nothing wrong is taken in.
    assert_eq!(d.verdicts().0, 1);
}

#[test]
fn a_turn_on_the_spot_that_slides_is_taken_as_it_is() {
    let mut d = driven(&[Fate::Fine]);
    for _ in 0..20 {
        d.turn(0.01, 0.0005);
    }
    d.pair(Fate::Fine);
    d.tick();
    assert_eq!(d.verdicts(), (2, 0));
    assert!(d.error_m() < 0.01, "{} m", d.error_m());
    assert!(
        d.heading_error_rad() < 0.002,
        "{} rad",
        d.heading_error_rad()
    );
}

#[test]
fn sliding_while_it_turns_on_the_spot_is_no_slip() {
    let mut d = driven(&[Fate::Fine]);
    // Half of a step of slip, a turn out and back in which the body slides by 4 cm each, the other half, and another step.
    d.half_leg();
    for turn_rad in [0.01, -0.01] {
        for _ in 0..20 {
            d.turn(turn_rad, -0.002);
        }
        d.pair(Fate::Fine);
        d.tick();
    }
    d.half_leg();
    d.leg(Fate::Fine);
    let told = d.slips();
    assert_eq!(told.len(), 3, "{told:?}");
    for slip in &told {
        assert!((slip - SLIP).abs() < 0.02, "{told:?}");
    }
}

#[test]
fn swapped_stamps_are_refused() {
    // Each of two pairs comes with the other's stamp: the first lies ahead, the second beyond what is remembered.
    let leg_s = 25.0 * PERIOD_S;
    let d = driven(&[
        Fate::Fine,
        Fate::Early(leg_s),
        Fate::Late(leg_s),
        Fate::Fine,
        Fate::Fine,
    ]);
    assert_eq!(d.refused, 2);
    assert!(d.error_m() < 0.1, "{} m after {} m", d.error_m(), d.way_m);
}

#[test]
fn five_blind_seconds_are_bridged_and_told() {
    let mut d = driven(&[Fate::Fine, Fate::Fine]);
    let before_m = d.error_m();
    // A pair every second.
    for second in 0..10 {
        d.period(SPEED_MPS, 0.0);
        d.period(SPEED_MPS, 0.0);
        d.pair(if (2..7).contains(&second) {
            Fate::Blind
        } else {
            Fate::Fine
        });
        d.tick();
    }
    assert!(d.warned("no visual odometry in 5 pairs"));
    assert!(
        d.error_m() < before_m + 0.02,
        "{} m, {before_m} m before",
        d.error_m()
    );
    let last = d.outputs.last().unwrap().health.clone().unwrap();
    assert_eq!(last.level, HealthLevel::Ok, "{}", last.reason);
}

#[test]
fn not_a_number_is_refused_in_every_input() {
    let mut d = driven(&[Fate::Fine]);
    let before = d.node.estimate().unwrap();
    let (now, nan) = (Stamp::from_secs(d.t_s + 0.1), f64::NAN);
    let fine = ImuSample {
        gyro_radps: Vector3::zeros(),
        accel_mps2: Vector3::new(0.0, 0.0, 3.72),
    };
    let rim = |rim_mps: f64, travel_m: f64, steer_rad: f64| WheelSample {
        motion: WheelMotion {
            rim_mps: [rim_mps, 0.0, 0.0, 0.0, 0.0, 0.0],
            steer_rad: [0.0, 0.0, steer_rad, 0.0, 0.0, 0.0],
        },
        travel_m: [travel_m; 6],
        suspension: None,
    };
    let mut pair = Box::new(SAND.pair(&crate::vo::tests::at(0.0, 0.0, 0.0), 7));
    pair.camera.baseline_m = nan;
    let inputs = [
        Input::Imu(
            now,
            ImuSample {
                gyro_radps: Vector3::new(0.0, nan, 0.0),
                ..fine
            },
        ),
        Input::Imu(
            now,
            ImuSample {
                accel_mps2: Vector3::new(nan, 0.0, 3.7),
                ..fine
            },
        ),
        Input::Wheels(now, rim(nan, 0.0, 0.0)),
        Input::Wheels(now, rim(0.0, nan, 0.0)),
        Input::Wheels(now, rim(0.0, 0.0, nan)),
        Input::Wheels(
            now,
            WheelSample {
                suspension: Some(SuspensionAngles {
                    bogie_rad: [0.0, nan],
                    ..SuspensionAngles::default()
                }),
                ..rim(0.0, 0.0, 0.0)
            },
        ),
        Input::Pair(now, pair),
        Input::InitialPose(Pose2::new(nan, 0.0, 0.0), Matrix3::zeros()),
        Input::MapPose(now, in_map([nan, 0.0], 0.1)),
        Input::MapPose(now, in_map([0.0, 0.0], nan)),
        Input::InitialPose(Pose2::new(0.0, 0.0, nan), Matrix3::zeros()),
    ];
    let count = inputs.len() as u64;
    for input in inputs {
        d.node.step(now, input);
    }
    assert_eq!(d.node.counts().refused.values().sum::<u64>(), count);
    assert_eq!(d.node.estimate().unwrap(), before);
    d.leg(Fate::Fine);
    assert!(d.error_m() < 0.03, "{} m", d.error_m());
}

#[test]
fn a_start_that_is_wrong_by_thirty_metres_and_ten_degrees_is_put_right_by_a_person() {
    let (wrong_m, wrong_rad) = (30.0, 10f64.to_radians());
    let mut d = Drive::with(|p| {
        (p.initial_x_m, p.initial_y_m) = (100.0 + wrong_m, 50.0);
        p.initial_yaw_rad = wrong_rad;
    });
    d.rest();
    d.pair(Fate::Fine);
    d.tick();
    d.leg(Fate::Fine);
    let in_map = |d: &Drive| {
        let e = d.node.estimate().unwrap();
        ((e.map_from_odom * e.odom_from_base_link).planar(), e)
    };
    let (believed, before) = in_map(&d);
    assert!(
        (believed.x_m - 100.0 - wrong_m).abs() < 1.0 && (believed.yaw_rad - wrong_rad).abs() < 0.01
    );
    // The truth: started at (100, 50), heading east.
    let truth = Pose2::new(100.0 + d.way_m, 50.0, 0.0);
    let said = Input::InitialPose(truth, Matrix3::repeat(f64::NAN));
    d.node.step(Stamp::from_secs(d.t_s), said);
    let (right, after) = in_map(&d);
    assert!(
        (right.x_m - truth.x_m).abs() < 1e-9
            && (right.y_m - 50.0).abs() < 1e-9
            && right.yaw_rad.abs() < 1e-9
    );
    // odom does not jump.
    assert_eq!(after.odom_from_base_link, before.odom_from_base_link);
    d.leg(Fate::Fine);
    let (later, _) = in_map(&d);
    let off_m = (later.x_m - 100.0 - d.way_m).hypot(later.y_m - 50.0);
    assert!(off_m < 0.03, "{off_m} m");
}

#[test]
fn what_initialpose_says_of_itself_counts() {
    let mut d = driven(&[Fate::Fine]);
    let now = Stamp::from_secs(d.t_s);
    let sigma = |d: &Drive| d.node.map_covariance().unwrap().map_diagonal(f64::sqrt);
    // As RViz says it: half a metre and 15 degrees.
    let rviz = Matrix3::from_diagonal(&Vector3::new(0.25, 0.25, 0.0685));
    let pose = Pose2::new(40.0, 30.0, 0.3);
    d.node.step(now, Input::InitialPose(pose, rviz));
    let said = sigma(&d);
    assert!(
        (said.x - 0.5).abs() < 1e-6 && (said.z - 0.0685f64.sqrt()).abs() < 1e-6,
        "{said}"
    );
    // A covariance that is none stands for the parameters'.
    for none in [
        Matrix3::zeros(),
        Matrix3::repeat(f64::NAN),
        Matrix3::from_diagonal(&Vector3::new(1.0, -1.0, 1.0)),
        Matrix3::repeat(f64::INFINITY),
    ] {
        d.node.step(now, Input::InitialPose(pose, none));
        let p = sigma(&d);
        assert!((p.x - 1.0).abs() < 1e-6 && (p.z - 0.01).abs() < 1e-6, "{p}");
    }
    assert!(d.node.counts().refused.is_empty());
}

#[test]
fn initialpose_before_the_first_level_is_where_the_rover_starts() {
    let mut d = Drive::with(|p| p.initial_yaw_rad = 0.5);
    let pose = Pose2::new(40.0, 30.0, 0.2);
    let said = Input::InitialPose(pose, Matrix3::zeros());
    d.node.step(Stamp::from_secs(d.t_s), said);
    d.rest();
    d.tick();
    let e = d.node.estimate().unwrap();
    let at = (e.map_from_odom * e.odom_from_base_link).planar();
    assert!(
        (at.x_m - 40.0).hypot(at.y_m - 30.0) < 1e-3 && (at.yaw_rad - 0.2).abs() < 1e-3,
        "{at:?}"
    );
}

#[test]
fn images_of_another_size_are_no_measurement() {
    let mut d = driven(&[Fate::Fine]);
    let now = Stamp::from_secs(d.t_s + 0.1);
    let mut pair = Box::new(SAND.pair(&crate::vo::tests::at(0.0, 0.0, 0.0), 9));
    pair.right = GrayImage::new(2, 2, vec![0; 4]).unwrap();
    d.node.step(now, Input::Pair(now, pair));
    d.period(0.0, 0.0);
    d.tick();
    let told = d.outputs.last().unwrap();
    assert!(
        matches!(told.sightings[0].seen, Seen::Failed { .. }),
        "{told:?}"
    );
}

/// A pose in `map` that heads east, with its standard deviation in metres and tenths of a radian.
fn in_map([x_m, y_m]: [f64; 2], sigma: f64) -> MapPose {
    let var = sigma * sigma;
    MapPose {
        pose: Pose2::new(x_m, y_m, 0.0),
        covariance: Matrix3::from_diagonal(&Vector3::new(var, var, 0.01 * var)),
        shared_sigma_m: 0.0,
    }
}

#[test]
fn a_late_pose_in_map_moves_map_and_not_odom() {
    // The truth: started at (100, 50), heading east.
    let mut d = Drive::with(|p| (p.initial_x_m, p.initial_y_m) = (100.8, 50.4));
    d.rest();
    d.pair(Fate::Fine);
    d.tick();
    d.leg(Fate::Fine);
    let (then, then_m) = (Stamp::from_secs(d.t_s), d.way_m);
    d.leg(Fate::Fine);
    let before = d.node.estimate().unwrap();
    let now = Stamp::from_secs(d.t_s);
    let said = in_map([100.0 + then_m, 50.0], 0.1);
    d.node.step(now, Input::MapPose(then, said));
    let after = d.node.estimate().unwrap();
    assert_eq!(after.odom_from_base_link, before.odom_from_base_link);
    let pose = (after.map_from_odom * after.odom_from_base_link).planar();
    let off_m = (pose.x_m - 100.0 - d.way_m).hypot(pose.y_m - 50.0);
    assert!(off_m < 0.05, "{off_m} m");
    assert!(before.map_sigma_m > 0.9 && after.map_sigma_m < 0.2);
    // Far off, and older than the one that was taken.
    d.leg(Fate::Fine);
    let now = Stamp::from_secs(d.t_s);
    d.node.step(
        now,
        Input::MapPose(now, in_map([130.0 + d.way_m, 50.0], 0.1)),
    );
    let early = Stamp::from_secs(then.as_secs() - 1.0);
    d.node.step(now, Input::MapPose(early, said));
    let kept = d.node.estimate().unwrap();
    assert_eq!(kept.map_from_odom, after.map_from_odom);
    let counts = d.node.counts();
    assert_eq!(counts.map_poses, 1);
    for why in [Refusal::Disagrees, Refusal::TooOld] {
        assert_eq!(counts.refused.get(&why), Some(&1), "{why:?}");
    }
}
