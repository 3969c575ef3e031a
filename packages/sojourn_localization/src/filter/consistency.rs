//! Drives whose errors are drawn from the filter's own model: their squared Mahalanobis distances must be those of chi².

use super::{
    doubles::{EYES, G, yaw_of},
    drawn::{Case, Drawn, Draws, PLACE_SIGMA_M, SUN_FIXED_SIGMA, TURN_SIGMA},
    *,
};
use nalgebra::Matrix6;

/// 95 % of chi² with three degrees of freedom lie between these.
const BAND: [f64; 2] = [0.2158, 9.3484];

/// Squared Mahalanobis distances of x, y and heading every 25 m of the wheels' way, as the filter says that its errors are, and
/// the last errors.
fn drive(seed: u64, case: Case, steps: u32) -> (Vec<f64>, Vector3<f64>) {
    let mut d = Drawn::new(seed, case);
    let mut out = Vec::new();
    for k in 1..=steps {
        d.step();
        if k % 50 == 0 {
            let error = d.error();
            let inverse = planar(&d.filter.with_pose()).try_inverse().unwrap();
            out.push(error.dot(&(inverse * error)));
        }
    }
    (out, d.error())
}

/// Share in the band, mean squared distance and root mean square of the heading's error at the end.
fn in_band(told_radpm: f64, true_radpm: f64, sun: bool) -> (f64, f64, f64) {
    let case = Case {
        told_radpm,
        true_radpm,
        aside_radpm: None,
        sun,
    };
    judged((0..150).map(|seed| drive(seed, case, 300)))
}

fn judged(drives: impl Iterator<Item = (Vec<f64>, Vector3<f64>)>) -> (f64, f64, f64) {
    let drives: Vec<_> = drives.collect();
    let off2 = drives.iter().map(|d| d.1.z * d.1.z).sum::<f64>() / drives.len() as f64;
    let all: Vec<f64> = drives.into_iter().flat_map(|d| d.0).collect();
    let count = all.len() as f64;
    let inside = all
        .iter()
        .filter(|d2| (BAND[0]..=BAND[1]).contains(*d2))
        .count();
    let mean = all.iter().sum::<f64>() / count;
    (inside as f64 / count, mean, off2.sqrt())
}

#[test]
fn errors_drawn_from_the_model_lie_in_their_band() {
    let (inside, mean, _) = in_band(4e-5, 4e-5, false);
    assert!(
        (0.92..=0.98).contains(&inside) && (2.6..=3.4).contains(&mean),
        "{inside} in the band, mean {mean}"
    );
}

/// Visual odometry and gyro alone leave the heading as far off as visual odometry turns aside; the sun, which is heard beside
/// them, holds it to what its readings have wrong alike.
#[test]
fn the_sun_holds_a_heading_that_visual_odometry_turns_aside() {
    let (_, _, without) = in_band(4e-5, 4e-5, false);
    let (inside, mean, with) = in_band(4e-5, 4e-5, true);
    assert!(without > 3.0 * SUN_FIXED_SIGMA, "{without}");
    assert!(with < 1.5 * SUN_FIXED_SIGMA, "{with}");
    assert!(
        inside > 0.9 && mean < 4.0,
        "{inside} in the band, mean {mean}"
    );
}

/// So over a kilometre, whichever way visual odometry turns aside: the heading stays where the sun's readings have it, and the
/// place is as uncertain as a kilometre driven at that heading leaves it.
#[test]
fn with_the_sun_errors_lie_in_their_band_over_a_kilometre() {
    for aside in [-8e-5, -4e-5, 0.0, 6.5e-5] {
        let case = Case {
            told_radpm: 4e-5,
            true_radpm: 4e-5,
            aside_radpm: Some(aside),
            sun: true,
        };
        let (inside, mean, off) = judged((0..40).map(|seed| drive(seed, case, 2000)));
        assert!(
            inside > 0.9,
            "aside {aside}: {inside} in the band, mean {mean}"
        );
        assert!(off < 1.3 * SUN_FIXED_SIGMA, "aside {aside}: {off}");
    }
}

#[test]
fn errors_that_the_model_does_not_hold_lie_outside() {
    let (inside, mean, _) = in_band(0.0, 2e-4, false);
    assert!(
        inside < 0.8 && mean > 5.0,
        "{inside} in the band, mean {mean}"
    );
}

/// Motions since the wheel state before and since the key pair tell nothing of where on the compass they point, from whatever
/// noisy attitudes they are looked at: the heading stays as uncertain as it was, and no sample of noise bends it.
#[test]
fn motions_tell_nothing_of_the_heading() {
    const START_SIGMA: f64 = 0.05;
    const GYRO: f64 = 2e-4;
    const ACCEL: f64 = 0.01;
    let inertial = Inertial {
        gravity_mps2: G,
        gyro_var: GYRO * GYRO,
        gyro_bias_var: 0.0,
        gyro_walk_radps: 0.0,
        accel_var: ACCEL * ACCEL,
        accel_bias_var: 0.005f64.powi(2),
        accel_walk_mps2: 1e-5,
        still_var: 1e-8,
    };
    let start = Start {
        yaw_sigma_rad: START_SIGMA,
        wander_m: 1.0,
        ..Start::default()
    };
    for (seed, pairs) in [(1, false), (2, false), (3, true), (4, true)] {
        let mut draws = Draws::new(seed);
        let mut n = || draws.normal();
        let mut level = Levelling::default();
        for _ in 0..10 {
            level.add(Vector3::z() * G, Vector3::zeros());
        }
        let mut d = level.begin(0.0, inertial, &start).unwrap();
        d.begin_rolling(0.0);
        let mut key = d.pose();
        d.take_key(key);
        let mut turned = 0.0;
        let (step_m, dt_s) = (0.004, 0.05);
        for k in 1..=4000 {
            let before = d.odom_from_base();
            for _ in 0..2 {
                let rate = Vector3::new(n(), n(), n()) * GYRO;
                turned += rate.z * dt_s;
                d.carry(&Sample {
                    gyro_radps: rate,
                    accel_mps2: Vector3::z() * G + Vector3::new(n(), n(), n()) * ACCEL,
                    turning_s: dt_s,
                    moving_s: dt_s,
                    shock_var: 0.0,
                });
            }
            let rolled = step_m * (1.0 + 0.005 * n());
            let w = Way {
                forward_m: rolled,
                wheels_m: rolled,
                slip_sigma: 0.2,
                creep_sigma: 0.1,
                correlation_m: 20.0,
                sway_sigma_m: 0.003,
                heave_sigma_m: 0.03,
                ..Way::default()
            };
            d.moved(before.slerp(&d.odom_from_base(), 0.5), &w);
            if pairs && k % 120 == 0 {
                let noise = Vector3::new(n(), n(), n()) * PLACE_SIGMA_M;
                let way = Vector3::x() * (0.7 * 120.0 * step_m) + noise;
                let mut covariance = Matrix6::identity() * PLACE_SIGMA_M.powi(2);
                for axis in 3..6 {
                    covariance[(axis, axis)] = TURN_SIGMA * TURN_SIGMA;
                }
                let sight = Sight {
                    now: d.pose(),
                    // As much turned as the gyro says: news of slip, not of turning.
                    key_from_now: Isometry3::from_parts(
                        way.into(),
                        key.rotation.inverse() * d.odom_from_base(),
                    ),
                    covariance,
                    eyes: EYES,
                };
                d.see(&sight, 1e9).unwrap();
                key = d.pose();
                d.take_key(key);
            }
        }
        let sigma = d.covariance()[(YAW, YAW)].sqrt();
        assert!(sigma >= START_SIGMA, "seed {seed}: surer by {sigma}");
        let bent = yaw_of(&d) - turned;
        assert!(bent.abs() < 3e-4, "seed {seed}: bent by {bent}");
    }
}
