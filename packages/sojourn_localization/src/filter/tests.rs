use super::{
    doubles::{EYES, at_rest, level_sample, yaw_of},
    *,
};
use nalgebra::{Matrix6, Rotation3};
use proptest::prelude::*;

const X: usize = PLACE;
const Y: usize = PLACE + 1;
const Z: usize = PLACE + 2;

fn way(forward_m: f64) -> Way {
    Way {
        forward_m,
        wheels_m: forward_m,
        slip_sigma: 0.05,
        creep_sigma: 0.02,
        level_sigma_rad: 0.003,
        correlation_m: 20.0,
        ..Way::default()
    }
}

/// At rest on the flat with an uncertain heading and gyro.
fn begun(yaw_sigma_rad: f64, bias_sigma: f64) -> Filter {
    at_rest(
        bias_sigma,
        0.0,
        0.0,
        &Start {
            yaw_sigma_rad,
            wander_m: 1.0,
            ..Start::default()
        },
    )
}

/// A short way straight on in which the inertial unit shows nothing of the motion.
fn rolled(d: &mut Filter, way: &Way) {
    d.drift(1.0);
    d.moved(UnitQuaternion::identity(), way);
}

fn firm(way: Way) -> Way {
    Way {
        slip_sigma: 0.0,
        creep_sigma: 0.0,
        ..way
    }
}

fn sigma(d: &Filter, k: usize) -> f64 {
    d.covariance()[(k, k)].sqrt()
}

#[test]
fn uncertainty_grows_like_the_way_before_the_correlation_length_and_slower_beyond() {
    let sigma_after = |metres: usize| {
        let mut d = begun(0.0, 0.0);
        let start = Way {
            jolt_mps: 0.1,
            over_s: 1.0,
            ..way(0.1)
        };
        rolled(&mut d, &start);
        for _ in 1..metres * 10 {
            rolled(&mut d, &way(0.1));
        }
        let off_m = d.position_m().x - metres as f64;
        assert!(off_m.abs() < 1e-3 * metres as f64, "{off_m}");
        sigma(&d, X)
    };
    let (two, four) = (sigma_after(2), sigma_after(4));
    assert!((two - 0.1).abs() < 0.01, "5 % of 2 m, got {two}");
    assert!((four / two - 2.0).abs() < 0.1, "{}", four / two);
    let (far, twice) = (sigma_after(400), sigma_after(800));
    assert!((twice / far - 2f64.sqrt()).abs() < 0.05, "{}", twice / far);
}

#[test]
fn an_uncertain_heading_moves_sideways() {
    let mut d = begun(0.01, 0.0);
    for _ in 0..1000 {
        rolled(&mut d, &firm(way(0.1)));
    }
    let sigma_y = sigma(&d, Y);
    assert!((sigma_y - 1.0).abs() < 0.01, "{sigma_y}");
}

#[test]
fn a_doubted_gyro_is_as_uncertain_as_one_that_was_never_known() {
    let (mut late, mut early) = (begun(0.0, 0.0), begun(0.0, 1e-3));
    let still = Sample {
        moving_s: 0.0,
        ..level_sample(Vector3::zeros(), 0.1)
    };
    for _ in 0..100 {
        late.carry(&still);
        early.carry(&still);
    }
    late.doubt_gyro(1e-3, 10.0);
    assert!((late.covariance() - early.covariance()).norm() < 1e-12);
    assert!((sigma(&late, YAW) - 1e-2).abs() < 1e-9);
}

#[test]
fn a_turn_on_the_spot_may_slide() {
    let mut d = begun(0.0, 0.0);
    let turn = Way {
        turn_rad: -0.01,
        turn_slide_m: 0.02,
        ..way(0.0)
    };
    for _ in 0..100 {
        rolled(&mut d, &turn);
    }
    assert!((sigma(&d, X) - 0.02).abs() < 2e-4, "{}", sigma(&d, X));
    assert!((sigma(&d, Z) - 0.02).abs() < 2e-4, "{}", sigma(&d, Z));
    assert!(d.position_m().norm() < 1e-12);
}

#[test]
fn headings_are_averaged_down_to_what_they_have_wrong_alike_and_no_further() {
    let mut d = begun(0.05, 0.0);
    let alike = Vector3::new(0.0, 0.0, 0.004);
    let own = 0.02f64.powi(2);
    let first = d.heading(0.03, own, &Vector3::z(), &alike, 10.8).unwrap();
    assert!((0.02..0.03).contains(&first.turned_rad.z), "{first:?}");
    for _ in 0..10_000 {
        d.heading(0.0, own, &Vector3::z(), &alike, 10.8).unwrap();
    }
    let yaw_sigma = sigma(&d, YAW);
    assert!((0.0039..0.0041).contains(&yaw_sigma), "{yaw_sigma}");
    let before = *d.covariance();
    let far = d.heading(0.2, own, &Vector3::z(), &alike, 10.8);
    assert!(matches!(far, Err(d2) if d2 > 50.0), "{far:?}");
    let none = d.heading(f64::NAN, 1e-4, &Vector3::z(), &alike, 10.8);
    assert_eq!(none, Err(f64::INFINITY));
    assert_eq!(*d.covariance(), before);
}

/// What a level that is not sure may have wrong is no error of the heading, however many readings there are at one attitude.
#[test]
fn a_heading_by_a_high_sun_is_no_surer_than_the_level_leaves_it() {
    let mut d = begun(0.05, 0.0);
    let level_sigma = 0.002;
    d.add_to(TURN, level_sigma * level_sigma);
    let shows = Vector3::new(-2.0, 0.0, 1.0);
    for _ in 0..10_000 {
        d.heading(0.0, 0.02f64.powi(2), &shows, &Vector3::zeros(), 10.8)
            .unwrap();
    }
    let told = 2.0 * sigma(&d, TURN);
    assert!((0.9 * told..1.1 * told).contains(&sigma(&d, YAW)), "{told}");
    assert!(told > 1.9 * level_sigma, "{told}");
}

#[test]
fn a_heading_puts_the_way_and_the_bias_right_too() {
    let (bias, dt_s) = (1e-3, 0.1);
    let mut d = begun(0.0, bias);
    // A bias that is not known turns the believed heading while the rover goes straight on.
    for _ in 0..1000 {
        d.carry(&level_sample(Vector3::z() * bias, dt_s));
        d.moved(d.odom_from_base(), &firm(way(0.05)));
    }
    let before_m = d.position_m().y;
    d.heading(-yaw_of(&d), 1e-8, &Vector3::z(), &Vector3::zeros(), 1e9)
        .unwrap();
    let learned = d.gyro_bias_radps().z;
    assert!((learned - bias).abs() < 1e-5, "{learned}");
    assert!(
        before_m > 2.4 && d.position_m().y.abs() < 0.03,
        "{before_m} {}",
        d.position_m().y
    );
}

#[test]
fn standing_still_takes_the_bias_out_of_the_heading() {
    let (bias, dt_s) = (0.01, 0.1);
    let mut d = begun(0.0, bias);
    for _ in 0..100 {
        d.carry(&level_sample(Vector3::z() * bias, dt_s));
    }
    assert!((sigma(&d, YAW) - 0.1).abs() < 1e-6 && (yaw_of(&d) - 0.1).abs() < 1e-6);
    d.inertial.gyro_var = 1e-12;
    d.rest(&level_sample(Vector3::z() * bias, dt_s));
    assert!(
        sigma(&d, YAW) < 1e-3 && yaw_of(&d).abs() < 1e-3,
        "{}",
        yaw_of(&d)
    );
}

#[test]
fn a_bias_that_walks_is_known_no_better_than_it_has_walked() {
    let (walk, dt_s) = (1e-6, 0.1);
    let mut d = at_rest(
        0.0,
        0.0,
        walk,
        &Start {
            wander_m: 1.0,
            ..Start::default()
        },
    );
    let mut t_s = 0.0;
    for _ in 0..10_000 {
        let still = Sample {
            moving_s: 0.0,
            ..level_sample(Vector3::zeros(), dt_s)
        };
        d.carry(&still);
        t_s += dt_s;
    }
    let bias = sigma(&d, GYRO + 2);
    assert!(
        (bias / (walk * f64::sqrt(t_s)) - 1.0).abs() < 1e-6,
        "{bias}"
    );
    // Integrated once more: the cube of the time over three.
    let yaw = sigma(&d, YAW);
    let expected = walk * (t_s.powi(3) / 3.0).sqrt();
    assert!((yaw / expected - 1.0).abs() < 0.01, "{yaw} {expected}");
    // At rest it is measured again.
    d.inertial.gyro_var = 1e-14;
    d.rest(&level_sample(Vector3::zeros(), dt_s));
    assert!(sigma(&d, GYRO + 2) < 1.05e-7);
}

/// Straight on at 0.5 m/s with a gyro whose bias is known to 1e-5 rad/s.
fn with_bias(d: &mut Filter, metres: usize) {
    for _ in 0..metres * 2 {
        d.carry(&level_sample(Vector3::zeros(), 1.0));
        d.moved(UnitQuaternion::identity(), &firm(way(0.5)));
    }
}

/// How far the last `metres` may have gone astray, by what the errors at both ends have to do with each other.
fn over_the_last(d: &mut Filter, metres: f64, drive: impl Fn(&mut Filter)) -> Matrix3<f64> {
    let then = d.with_pose();
    d.take_carried();
    drive(d);
    let since = planar(&(d.take_carried() * then));
    let along = Matrix3::new(1.0, 0.0, 0.0, 0.0, 1.0, metres, 0.0, 0.0, 1.0);
    let both = since * along.transpose();
    planar(&d.with_pose()) + along * planar(&then) * along.transpose() - both - both.transpose()
}

#[test]
fn a_way_is_as_uncertain_late_in_a_drive_as_at_its_start() {
    let mut fresh = begun(0.0, 1e-5);
    with_bias(&mut fresh, 20);
    let mut far = begun(0.01, 1e-5);
    with_bias(&mut far, 500);
    let grown = over_the_last(&mut far, 20.0, |d| with_bias(d, 20));
    let expected = planar(&fresh.with_pose());
    assert!(
        (grown - expected).norm() < 1e-3 * expected.norm() && grown[(1, 1)] > 1e-6,
        "{grown} {expected}"
    );
    // The place itself has become far less sure meanwhile.
    assert!(far.covariance()[(Y, Y)] > 1e4 * grown[(1, 1)]);
}

/// A metre straight on, with a pair at its end that shows it.
fn seen_metre(d: &mut Filter, noise_var: f64) {
    d.carry(&level_sample(Vector3::zeros(), 1.0));
    d.moved(UnitQuaternion::identity(), &way(1.0));
    let now = Isometry3::from_parts(d.position_m().into(), d.odom_from_base());
    let sight = Sight {
        now,
        key_from_now: d.key.unwrap().inverse() * now,
        covariance: Matrix6::identity() * noise_var,
        eyes: EYES,
    };
    d.see(&sight, 1e9).unwrap();
    d.take_key(now);
}

#[test]
fn what_a_key_pair_has_wrong_is_not_averaged_away_by_looking_back_at_it_often() {
    let after = |looks: u32| {
        let mut d = begun(0.0, 0.0);
        d.add(PLACE, &Matrix3::identity());
        d.take_key(d.pose());
        d.add(PLACE, &Matrix3::identity());
        let sight = Sight {
            now: d.pose(),
            key_from_now: Isometry3::identity(),
            covariance: Matrix6::identity() * 1e-6,
            eyes: EYES,
        };
        for _ in 0..looks {
            d.see(&sight, 1e9).unwrap();
        }
        d.covariance()[(X, X)]
    };
    // One look tells the whole variance, many at least the key pair's half.
    let (once, often) = (after(1) - 1.0, after(100) - 1.0);
    assert!((once / 1e-6 - 1.0).abs() < 0.01, "{once}");
    assert!((0.49..0.52).contains(&(often / 1e-6)), "{often}");
}

#[test]
fn what_visual_odometry_has_wrong_all_the_way_is_never_averaged_away() {
    let (scale, aside) = (0.004, 4e-5);
    let start = Start {
        scale_sigma_px: scale,
        aside_sigma_px: aside,
        wander_m: 1.0,
        ..Start::default()
    };
    let mut d = at_rest(1e-3, 0.0, 1e-6, &start);
    d.take_key(Isometry3::identity());
    for _ in 0..400 {
        seen_metre(&mut d, 1e-8);
    }
    assert!((sigma(&d, SCALE) - scale).abs() < 1e-9 && (sigma(&d, ASIDE) - aside).abs() < 1e-9);
    let (x, y, yaw) = (sigma(&d, X), sigma(&d, Y), sigma(&d, YAW));
    assert!((0.9..1.2).contains(&(x / (scale * 400.0))), "{x}");
    assert!((0.8..1.2).contains(&(yaw / (aside * 400.0))), "{yaw}");
    assert!(
        (0.8..1.2).contains(&(y / (0.5 * aside * 400.0 * 400.0))),
        "{y}"
    );
    // Twenty metres of it are wrong by twenty metres' share.
    let grown = over_the_last(&mut d, 20.0, |d| {
        for _ in 0..20 {
            seen_metre(d, 1e-8);
        }
    });
    let along = grown[(0, 0)].sqrt();
    assert!((0.9..1.3).contains(&(along / (scale * 20.0))), "{along}");
    assert!(grown[(1, 1)].sqrt() < 0.05, "{grown}");
}

#[test]
fn moving_aside_all_the_way_moves_the_place_and_not_the_heading() {
    let (beside, pivot_m) = (4e-5, EYES.pivot_m);
    let sigmas = |beside_sigma_px| {
        let start = Start {
            beside_sigma_px,
            wander_m: 1.0,
            ..Start::default()
        };
        let mut d = at_rest(1e-3, 0.0, 1e-6, &start);
        d.take_key(Isometry3::identity());
        for _ in 0..400 {
            seen_metre(&mut d, 1e-8);
        }
        [X, Y, YAW].map(|at| sigma(&d, at))
    };
    let (with, without) = (sigmas(beside), sigmas(0.0));
    let more = (with[1] * with[1] - without[1] * without[1]).sqrt();
    assert!(
        (0.99..1.01).contains(&(more / (beside * pivot_m * 400.0))),
        "{more}"
    );
    assert!((with[0] - without[0]).abs() < 1e-6 && (with[2] - without[2]).abs() < 1e-9);
}

/// A way of three seconds with any turn, push and bias: what becomes of small errors is what the covariance's map says.
fn carried_numerically(rate: Vector3<f64>, push: Vector3<f64>, level: UnitQuaternion<f64>) -> f64 {
    let base = {
        let mut d = begun(0.1, 0.1);
        d.odom_from_base = level;
        d.velocity_mps = Vector3::new(0.3, -0.2, 0.1);
        d
    };
    // The same readings for the believed and the true rover.
    let mut believed = base.clone();
    believed.take_carried();
    let readings: Vec<Sample> = (0..300)
        .map(|_| {
            let level = believed.odom_from_base().inverse();
            let reading = Sample {
                accel_mps2: level * Vector3::z() * 3.72 + push,
                ..level_sample(rate, 0.01)
            };
            believed.carry(&reading);
            reading
        })
        .collect();
    let carried = believed.take_carried();
    let mut worst = 0.0f64;
    let small = 1e-6;
    for error in 0..15 {
        let mut change = SVector::<f64, N>::zeros();
        change[error] = small;
        let mut d = base.clone();
        d.apply(&change, 0.0);
        for reading in &readings {
            d.carry(reading);
        }
        let turn = d.odom_from_base() * believed.odom_from_base().inverse();
        let mut off = SVector::<f64, 15>::zeros();
        let mut put = |at: usize, v: Vector3<f64>| off.fixed_rows_mut::<3>(at).copy_from(&v);
        put(PLACE, d.position_m() - believed.position_m());
        put(VELOCITY, d.velocity_mps() - believed.velocity_mps());
        put(TURN, turn.scaled_axis());
        put(GYRO, d.gyro_bias_radps() - believed.gyro_bias_radps());
        put(ACCEL, d.accel_bias_mps2() - believed.accel_bias_mps2());
        let said = carried.fixed_view::<15, 1>(0, error) * small;
        worst = worst.max((off - said).norm() / (small + off.norm()));
    }
    worst
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn small_errors_go_the_way_that_the_covariance_takes(
        rate in prop::array::uniform3(-0.2f64..0.2), push in prop::array::uniform3(-0.3f64..0.3),
        level in prop::array::uniform3(-0.5f64..0.5),
    ) {
        let level = Rotation3::from_euler_angles(level[0], level[1], level[2]);
        let worst = carried_numerically(rate.into(), push.into(), UnitQuaternion::from_rotation_matrix(&level));
        prop_assert!(worst < 0.01, "off by {} of itself", worst);
    }
}

/// A unit whose accelerometer has a bias stands, turns on the spot and stands again: what was level and what was bias at
/// first becomes known apart.
#[test]
fn turning_tells_the_accelerometers_bias_from_the_level() {
    let bias = Vector3::new(0.03, -0.02, 0.01);
    let inertial = Inertial {
        gravity_mps2: 3.72,
        gyro_var: 1e-10,
        gyro_bias_var: 1e-10,
        gyro_walk_radps: 0.0,
        accel_var: 1e-4,
        accel_bias_var: 0.05f64.powi(2),
        accel_walk_mps2: 0.0,
        still_var: 1e-8,
    };
    let mut level = Levelling::default();
    for _ in 0..10 {
        level.add(Vector3::z() * 3.72 + bias, Vector3::zeros());
    }
    let start = Start {
        wander_m: 1.0,
        ..Start::default()
    };
    let mut d = level.begin(0.0, inertial, &start).unwrap();
    d.begin_rolling(0.0);
    let tilt = |d: &Filter| {
        let up = d.odom_from_base() * Vector3::z();
        up.x.hypot(up.y)
    };
    let at_first = tilt(&d);
    assert!(
        (at_first - bias.x.hypot(bias.y) / 3.72).abs() < 1e-4,
        "{at_first}"
    );
    // Told as uncertain as it is: both are off by the same.
    let told = sigma(&d, TURN);
    assert!((told - 0.05 / 3.72).abs() < 1e-3, "{told}");
    let still = |d: &mut Filter| {
        for _ in 0..200 {
            d.rest(&Sample {
                accel_mps2: Vector3::z() * 3.72 + bias,
                ..level_sample(Vector3::zeros(), 0.05)
            });
            d.moved(d.odom_from_base(), &way(0.0));
        }
    };
    still(&mut d);
    assert!(tilt(&d) > 0.9 * at_first);
    let turning = Vector3::z() * 0.1;
    for _ in 0..600 {
        d.carry(&Sample {
            accel_mps2: Vector3::z() * 3.72 + bias,
            ..level_sample(turning, 0.05)
        });
        d.moved(
            d.odom_from_base(),
            &Way {
                turn_rad: 0.005,
                turn_slide_m: 0.001,
                ..way(0.0)
            },
        );
    }
    still(&mut d);
    assert!(tilt(&d) < 0.1 * at_first, "{} {at_first}", tilt(&d));
    let off = (d.accel_bias_mps2() - bias).norm();
    assert!(
        off < 0.005 && sigma(&d, ACCEL) < 0.005,
        "{off} {}",
        sigma(&d, ACCEL)
    );
}

/// The inertial unit shows a push and wheels that spin do not hide that the rover stood still before.
#[test]
fn a_push_moves_the_velocity_and_standing_still_takes_it_back() {
    let mut d = begun(0.0, 0.0);
    (d.inertial.accel_var, d.inertial.gyro_var) = (1e-4, 1e-10);
    for _ in 0..100 {
        d.carry(&Sample {
            accel_mps2: Vector3::new(0.05, 0.0, 3.72),
            ..level_sample(Vector3::zeros(), 0.01)
        });
    }
    let v = d.velocity_in_base_mps();
    assert!(
        (v.x - 0.05).abs() < 1e-9 && (d.speed_sigma_mps() - 1e-3).abs() < 1e-5,
        "{v} {}",
        d.speed_sigma_mps()
    );
    assert!((d.position_m().x - 0.025).abs() < 1e-6);
    d.rest(&level_sample(Vector3::zeros(), 0.01));
    assert!(d.velocity_mps().norm() < 5e-3, "{}", d.velocity_mps());
    assert!(d.speed_sigma_mps() < 2e-4);
    // The way that an unnoticed velocity made is taken back with it.
    assert!(d.position_m().x < 0.005, "{}", d.position_m());
}
