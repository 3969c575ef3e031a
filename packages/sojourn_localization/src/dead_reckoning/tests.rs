use super::*;

fn way(forward_m: f64) -> Way {
    Way {
        forward_m,
        left_m: 0.0,
        wheels_m: forward_m,
        slip_sigma: 0.05,
        creep_sigma: 0.02,
        level_sigma_rad: 0.003,
        correlation_m: 20.0,
        heave_sigma_m: 0.0,
        turn_rad: 0.0,
        turn_slide_m: 0.0,
    }
}

#[test]
fn uncertainty_grows_like_the_way_before_the_correlation_length_and_slower_beyond() {
    let sigma_after = |metres: usize| {
        let mut d = DeadReckoning::new(0.0, 0.0, 0.0, 0.0);
        for _ in 0..metres * 10 {
            d.moved(UnitQuaternion::identity(), &way(0.1));
        }
        assert!((d.position_m().x - metres as f64).abs() < 1e-9);
        d.covariance()[(X, X)].sqrt()
    };
    let (two, four) = (sigma_after(2), sigma_after(4));
    assert!((two - 0.1).abs() < 0.01, "5 % of 2 m, got {two}");
    assert!((four / two - 2.0).abs() < 0.1, "{}", four / two);
    let (far, twice) = (sigma_after(400), sigma_after(800));
    assert!((twice / far - 2f64.sqrt()).abs() < 0.05, "{}", twice / far);
}

#[test]
fn an_uncertain_heading_moves_sideways() {
    let mut d = DeadReckoning::new(0.01f64.powi(2), 0.0, 0.0, 0.0);
    for _ in 0..1000 {
        d.moved(
            UnitQuaternion::identity(),
            &Way {
                creep_sigma: 0.0,
                ..way(0.1)
            },
        );
    }
    let sigma_y = d.covariance()[(Y, Y)].sqrt();
    assert!((sigma_y - 1.0).abs() < 0.01, "{sigma_y}");
}

#[test]
fn a_doubted_gyro_is_as_uncertain_as_one_that_was_never_known() {
    let mut late = DeadReckoning::new(0.0, 0.0, 0.0, 0.0);
    let mut early = DeadReckoning::new(0.0, 1e-6, 0.0, 0.0);
    for _ in 0..100 {
        late.turned(0.1, 1e-8, 0.0);
        early.turned(0.1, 1e-8, 0.0);
    }
    late.doubt(1e-3, 10.0);
    assert!((late.covariance() - early.covariance()).norm() < 1e-12);
}

#[test]
fn a_turn_on_the_spot_may_slide() {
    let mut d = DeadReckoning::new(0.0, 0.0, 0.0, 0.0);
    let turn = Way {
        turn_rad: -0.01,
        turn_slide_m: 0.02,
        ..way(0.0)
    };
    for _ in 0..100 {
        d.moved(UnitQuaternion::identity(), &turn);
    }
    assert!((d.covariance()[(X, X)].sqrt() - 0.02).abs() < 1e-9);
    assert!((d.covariance()[(Z, Z)].sqrt() - 0.02).abs() < 1e-9);
    assert!(d.position_m().norm() < 1e-12);
}

#[test]
fn headings_are_averaged_down_to_what_they_have_wrong_alike_and_no_further() {
    let mut d = DeadReckoning::new(0.05f64.powi(2), 0.0, 0.0, 0.0);
    let first = d.heading(0.03, 0.02f64.powi(2), 0.004, 10.8).unwrap();
    assert!((0.02..0.03).contains(&first.yaw_rad), "{first:?}");
    for _ in 0..10_000 {
        d.heading(0.0, 0.02f64.powi(2), 0.004, 10.8).unwrap();
    }
    let sigma = d.covariance()[(YAW, YAW)].sqrt();
    assert!((0.004..0.0041).contains(&sigma), "{sigma}");
    let before = *d.covariance();
    let far = d.heading(0.2, 0.02f64.powi(2), 0.004, 10.8);
    assert!(matches!(far, Err(d2) if d2 > 50.0), "{far:?}");
    assert_eq!(d.heading(f64::NAN, 1e-4, 0.004, 10.8), Err(f64::INFINITY));
    assert_eq!(*d.covariance(), before);
}

#[test]
fn a_heading_puts_the_way_and_the_bias_right_too() {
    let (bias, dt_s) = (1e-3, 0.1);
    let mut d = DeadReckoning::new(0.0, bias * bias, 0.0, 0.0);
    // A bias that is not known turns the believed heading while the rover goes straight on.
    let mut yaw = 0.0;
    for _ in 0..1000 {
        d.turned(dt_s, 0.0, 0.0);
        yaw += bias * dt_s;
        let q = UnitQuaternion::from_axis_angle(&Vector3::z_axis(), yaw);
        d.moved(
            q,
            &Way {
                slip_sigma: 0.0,
                creep_sigma: 0.0,
                ..way(0.05)
            },
        );
    }
    let before_m = d.position_m().y;
    let c = d.heading(-yaw, 1e-8, 0.0, 1e9).unwrap();
    assert!((c.bias_radps - bias).abs() < 1e-5, "{c:?}");
    assert!(
        before_m > 2.4 && d.position_m().y.abs() < 0.02,
        "{before_m} {}",
        d.position_m().y
    );
}

#[test]
fn standing_still_takes_the_bias_out_of_the_heading() {
    let mut d = DeadReckoning::new(0.0, 1e-4, 0.0, 0.0);
    for _ in 0..100 {
        d.turned(0.1, 0.0, 0.0);
    }
    assert!((d.covariance()[(YAW, YAW)].sqrt() - 0.1).abs() < 1e-6);
    d.bias_measured(1e-12);
    assert!(d.covariance()[(YAW, YAW)].sqrt() < 1e-3);
}

#[test]
fn a_bias_that_walks_is_known_no_better_than_it_has_walked() {
    let (walk, dt_s) = (1e-6, 0.1);
    let mut d = DeadReckoning::new(0.0, 0.0, 0.0, 0.0);
    let mut t_s = 0.0;
    for _ in 0..10_000 {
        d.turned(dt_s, 0.0, walk);
        t_s += dt_s;
    }
    let bias = d.yaw_bias_var().sqrt();
    assert!(
        (bias / (walk * f64::sqrt(t_s)) - 1.0).abs() < 1e-6,
        "{bias}"
    );
    // Integrated once more: the cube of the time over three.
    let yaw = d.covariance()[(YAW, YAW)].sqrt();
    let expected = walk * (t_s.powi(3) / 3.0).sqrt();
    assert!((yaw / expected - 1.0).abs() < 0.01, "{yaw} {expected}");
    // At rest it is measured again.
    d.bias_measured(1e-14);
    assert!(d.yaw_bias_var() < 1.1e-14);
}

/// Straight on at 0.5 m/s with a gyro whose bias is known to 1e-5 rad/s.
fn with_bias(d: &mut DeadReckoning, metres: usize) {
    for _ in 0..metres * 2 {
        d.turned(1.0, 0.0, 0.0);
        d.moved(
            UnitQuaternion::identity(),
            &Way {
                slip_sigma: 0.0,
                creep_sigma: 0.0,
                ..way(0.5)
            },
        );
    }
}

/// How far the last `metres` may have gone astray, by what the errors at both ends have to do with each other.
fn over_the_last(
    d: &mut DeadReckoning,
    metres: f64,
    drive: impl Fn(&mut DeadReckoning),
) -> Matrix3<f64> {
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
    let mut fresh = DeadReckoning::new(0.0, 1e-10, 0.0, 0.0);
    with_bias(&mut fresh, 20);
    let mut far = DeadReckoning::new(1e-4, 1e-10, 0.0, 0.0);
    with_bias(&mut far, 500);
    let grown = over_the_last(&mut far, 20.0, |d| with_bias(d, 20));
    let expected = planar(&fresh.with_pose());
    assert!(
        (grown - expected).norm() < 1e-6 * expected.norm() && grown[(1, 1)] > 1e-6,
        "{grown} {expected}"
    );
    // The place itself has become far less sure meanwhile.
    assert!(far.covariance()[(Y, Y)] > 1e4 * grown[(1, 1)]);
}

/// A metre straight on, with a pair at its end that shows it.
fn seen_metre(d: &mut DeadReckoning, noise_var: f64) {
    d.moved(UnitQuaternion::identity(), &way(1.0));
    let now = Isometry3::from_parts(d.position_m().into(), UnitQuaternion::identity());
    let moved = d.key().unwrap().inverse() * now;
    d.see(&now, &moved, &(Matrix6::identity() * noise_var), 0.0, 1e9)
        .unwrap();
    d.take_key(now);
}

#[test]
fn what_visual_odometry_has_wrong_all_the_way_is_never_averaged_away() {
    let (scale, aside) = (0.004, 4e-5);
    let mut d = DeadReckoning::new(0.0, 1e-6, scale, aside);
    d.take_key(Isometry3::identity());
    for _ in 0..400 {
        d.turned(1.0, 0.0, 1e-6);
        seen_metre(&mut d, 1e-8);
    }
    let sigma = |k: usize| d.covariance()[(k, k)].sqrt();
    assert!((sigma(SCALE) - scale).abs() < 1e-9 && (sigma(ASIDE) - aside).abs() < 1e-9);
    let (x, y, yaw) = (sigma(X), sigma(Y), sigma(YAW));
    assert!((0.9..1.2).contains(&(x / (scale * 400.0))), "{x}");
    assert!((0.8..1.2).contains(&(yaw / (aside * 400.0))), "{yaw}");
    assert!(
        (0.8..1.2).contains(&(y / (0.5 * aside * 400.0 * 400.0))),
        "{y}"
    );
    // Twenty metres of it are wrong by twenty metres' share.
    let grown = over_the_last(&mut d, 20.0, |d| {
        for _ in 0..20 {
            d.turned(1.0, 0.0, 1e-6);
            seen_metre(d, 1e-8);
        }
    });
    let along = grown[(0, 0)].sqrt();
    assert!((0.9..1.3).contains(&(along / (scale * 20.0))), "{along}");
    assert!(grown[(1, 1)].sqrt() < 0.05, "{grown}");
}
