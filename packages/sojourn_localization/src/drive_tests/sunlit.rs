//! The heading by the sun.

use super::*;

const SUN_RAD: [f64; 2] = [2.1, 0.7];

fn compass(p: &mut Params) {
    p.sun.enabled = true;
    p.sun.azimuths_rad = vec![SUN_RAD[0]];
    p.sun.elevations_rad = vec![SUN_RAD[1]];
}

impl Drive {
    /// A reading of a sun that stands so.
    fn sun(&mut self, [azimuth, elevation]: [f64; 2]) {
        let now = Stamp::from_secs(self.t_s);
        let (sin, cos) = (azimuth - self.yaw_rad).sin_cos();
        let seen = Vector3::new(
            cos * elevation.cos(),
            sin * elevation.cos(),
            elevation.sin(),
        );
        self.node.step(now, Input::Sun(now, seen));
    }

    fn sunny(&mut self, periods: usize) {
        for _ in 0..periods {
            self.period(SPEED_MPS, 0.0);
            self.sun(SUN_RAD);
            self.tick();
        }
    }
}

#[test]
fn a_start_that_heads_wrong_is_put_right_by_the_sun() {
    let mut d = Drive::with(|p| {
        compass(p);
        (p.initial_yaw_rad, p.initial_yaw_sigma_rad) = (0.06, 0.05);
    });
    d.rest();
    assert!(d.heading_error_rad() > 0.05);
    d.sunny(200);
    assert!(d.heading_error_rad() < 0.003, "{}", d.heading_error_rad());
    // No surer than mounting and level let it be.
    let sigma = d.node.estimate().unwrap().pose_covariance[35].sqrt();
    assert!((0.003..0.006).contains(&sigma), "{sigma}");
    assert!(d.node.counts().suns > 100 && d.node.counts().refused.is_empty());
}

#[test]
fn a_gyro_that_steps_is_held_by_the_sun() {
    let drive = |sun: bool| {
        let mut d = Drive::with(|p| {
            compass(p);
            p.sun.enabled = sun;
        });
        d.rest();
        d.sunny(40);
        d.gyro_bias_radps = 0.001;
        d.sunny(400);
        d
    };
    let (with, without) = (drive(true), drive(false));
    assert!(without.heading_error_rad() > 0.19);
    assert!(
        with.heading_error_rad() < 0.01,
        "{}",
        with.heading_error_rad()
    );
    let learned = with.node.gyro_bias_radps().z;
    assert!((learned - 0.001).abs() < 2e-4, "{learned}");
    assert_eq!(without.node.counts().suns, 0);
}

#[test]
fn sun_and_pairs_go_together() {
    let mut d = Drive::with(compass);
    d.rest();
    d.pair(Fate::Fine);
    d.tick();
    for _ in 0..6 {
        for _ in 0..25 {
            d.period(SPEED_MPS, 0.0);
            d.sun(SUN_RAD);
            d.tick();
        }
        d.pair(Fate::Fine);
        d.sun(SUN_RAD);
        d.tick();
    }
    assert_eq!(d.verdicts(), (6, 0));
    assert!(d.error_m() < 0.03 && d.heading_error_rad() < 0.003);
}

#[test]
fn visual_odometry_that_turns_aside_is_held_by_the_sun() {
    let drive = |sun: bool| {
        let mut d = Drive::with(|p| {
            compass(p);
            p.sun.enabled = sun;
            p.initial_yaw_sigma_rad = 0.0;
            // As much on this short way as what is shipped says of a kilometre.
            p.visual.aside_sigma_px = 1.5;
        });
        d.bent_radpm = 0.003;
        d.rest();
        d.pair(Fate::Fine);
        d.tick();
        for _ in 0..30 {
            for _ in 0..25 {
                d.period(SPEED_MPS, 0.0);
                d.sun(SUN_RAD);
                d.tick();
            }
            d.pair(Fate::Fine);
            d.tick();
        }
        d
    };
    let (with, without) = (drive(true), drive(false));
    let off = [&with, &without].map(Drive::heading_error_rad);
    assert!(off[0] < 0.006 && off[1] > 0.02, "{off:?}");
    let off_m = [&with, &without].map(Drive::error_m);
    assert!(off_m[0] < 0.5 * off_m[1], "{off_m:?}");
    // All motions and readings were taken.
    assert_eq!([with.verdicts(), without.verdicts()], [(30, 0); 2]);
    assert!(with.node.counts().suns > 700 && with.node.counts().refused.is_empty());
}

/// Poses in `map` put right what the odometry's heading has wrong there, and the sun must still see it.
#[test]
fn poses_in_map_do_not_hide_from_the_sun_what_the_odometry_has_wrong() {
    let mut d = Drive::with(|p| {
        compass(p);
        p.initial_yaw_sigma_rad = 0.0;
        p.visual.aside_sigma_px = 1.5;
        p.map_pose_gate = 1e4;
    });
    d.bent_radpm = 0.003;
    d.rest();
    d.pair(Fate::Fine);
    d.tick();
    for leg in 0..30 {
        for _ in 0..25 {
            d.period(SPEED_MPS, 0.0);
            d.sun(SUN_RAD);
            d.tick();
        }
        d.pair(Fate::Fine);
        d.tick();
        if leg % 3 == 2 {
            let pose = MapPose {
                pose: Pose2::new(d.way_m, d.aside_m, d.yaw_rad),
                covariance: Matrix3::from_diagonal(&Vector3::new(1e-4, 1e-4, 1e-6)),
                shared_sigma_m: 0.0,
            };
            let now = Stamp::from_secs(d.t_s);
            d.node.step(now, Input::MapPose(now, pose));
        }
    }
    assert_eq!(
        d.node.counts().map_poses,
        10,
        "{:?}",
        d.node.counts().refused
    );
    assert!(d.heading_error_rad() < 0.006, "{}", d.heading_error_rad());
}

#[test]
fn what_is_not_the_sun_is_refused_and_told() {
    let mut d = Drive::with(compass);
    d.rest();
    d.sunny(20);
    let before = d
        .node
        .estimate()
        .unwrap()
        .odom_from_base_link
        .planar()
        .yaw_rad;
    d.period(0.0, 0.0);
    d.sun([SUN_RAD[0], SUN_RAD[1] - 0.2]);
    d.tick();
    assert!(d.warned("a sun that stands elsewhere"));
    d.period(0.0, 0.0);
    d.sun([SUN_RAD[0] + 0.5, SUN_RAD[1]]);
    d.tick();
    d.period(0.0, 0.0);
    let now = Stamp::from_secs(d.t_s);
    d.node
        .step(now, Input::Sun(now, Vector3::new(f64::NAN, 0.0, 1.0)));
    d.node.step(now, Input::Sun(now, Vector3::zeros()));
    d.node
        .step(now, Input::Sun(now.plus_secs(-2.0), Vector3::z()));
    d.tick();
    let refused = &d.node.counts().refused;
    assert_eq!(refused.get(&Refusal::Sun), Some(&2));
    assert_eq!(refused.get(&Refusal::NotFinite), Some(&2));
    assert_eq!(refused.values().sum::<u64>(), 5);
    let after = d
        .node
        .estimate()
        .unwrap()
        .odom_from_base_link
        .planar()
        .yaw_rad;
    // Standing still has told a little of the gyro meanwhile.
    assert!((after - before).abs() < 1e-7, "{after} {before}");
}
