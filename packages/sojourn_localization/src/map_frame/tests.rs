use super::*;
use crate::filter::{
    Filter, Start, Way,
    doubles::{at_rest, level_sample},
    with_pose_alone,
};
use nalgebra::UnitQuaternion;
use proptest::prelude::*;

fn cov(xy: f64, yaw: f64) -> Matrix3<f64> {
    Matrix3::from_diagonal(&Vector3::new(xy * xy, xy * xy, yaw * yaw))
}

fn passed(t_s: f64, x: f64, y: f64, yaw: f64, sigma_m: f64) -> Passed {
    Passed {
        stamp: Stamp::from_secs(t_s),
        pose: Pose2::new(x, y, yaw),
        errors: with_pose_alone(&cov(sigma_m, 0.0)),
    }
}

fn pass(f: &mut MapFrame, now: Passed) {
    f.pass(now, &Covariance::identity());
}

/// Ten metres east in a hundred seconds, two per cent of the way uncertain.
fn driven() -> MapFrame {
    let mut f = MapFrame::new([100.0, 50.0, 3.0], cov(0.5, 0.02), 1000.0);
    for k in 0..=100 {
        let t = f64::from(k);
        pass(&mut f, passed(t, 0.1 * t, 0.0, 0.0, 0.002 * t));
    }
    f
}

fn said(x: f64, y: f64, yaw: f64, sigma_m: f64) -> MapPose {
    MapPose {
        pose: Pose2::new(x, y, yaw),
        covariance: cov(sigma_m, 0.01),
        shared_sigma_m: 0.0,
    }
}

#[test]
fn a_late_pose_moves_what_was_driven_since_with_it() {
    let mut f = driven();
    // Sure of itself: half way the rover stood 0.4 m north of where it was believed.
    f.take(Stamp::from_secs(50.0), &said(105.0, 50.4, 0.0, 1e-4), 16.0)
        .unwrap();
    let half = f.in_map(Pose2::new(5.0, 0.0, 0.0));
    assert!((half.y_m - 50.4).abs() < 1e-3 && (half.x_m - 105.0).abs() < 1e-3);
    let end = f.in_map(Pose2::new(10.0, 0.0, 0.0));
    // A rover that knew its heading to 0.02 rad has learned that it went too far south on the way.
    assert!((end.y_m - 50.4).abs() < 0.2, "{end:?}");
    assert_eq!(f.transform().iso.translation.z, 3.0);
}

#[test]
fn the_covariance_shrinks_with_a_pose_and_grows_with_the_way() {
    let mut f = driven();
    let end = passed(100.0, 10.0, 0.0, 0.0, 0.2);
    let before = f.covariance_at(&end);
    // 0.5 m of start, 0.02 rad over ten metres, 0.2 m of odometry
    assert!((before[(0, 0)] - 0.29).abs() < 1e-9 && (before[(1, 1)] - 0.33).abs() < 1e-9);
    f.take(end.stamp, &said(110.0, 50.0, 0.0, 0.2), 16.0)
        .unwrap();
    let after = f.covariance_at(&end);
    assert!(after[(0, 0)] < 0.04 && after[(1, 1)] < 0.04, "{after}");
    let later = f.covariance_at(&passed(200.0, 20.0, 0.0, 0.0, 0.6));
    assert!(later[(0, 0)] > after[(0, 0)] + 0.3, "{later}");
}

/// Sigma east of where the rover is after poses at one place, one after the other.
fn after_poses(f: &mut MapFrame, count: usize, shared_sigma_m: f64) -> f64 {
    let end = passed(100.0, 10.0, 0.0, 0.0, 0.2);
    for _ in 0..count {
        let pose = MapPose {
            shared_sigma_m,
            ..said(110.0, 50.0, 0.0, 0.2)
        };
        f.take(end.stamp, &pose, 16.0).unwrap();
    }
    f.covariance_at(&end)[(0, 0)].sqrt()
}

#[test]
fn poses_from_one_map_make_the_rover_no_surer_than_the_map_is() {
    let alone = after_poses(&mut driven(), 100, 0.0);
    assert!(alone < 0.03, "{alone}");
    let once = after_poses(&mut driven(), 1, 0.15);
    let often = after_poses(&mut driven(), 100, 0.15);
    assert!(
        once > often && (0.13..0.16).contains(&often),
        "{once} {often}"
    );
    // A pose that says itself surer than the map is taken at its word.
    let sure = MapPose {
        shared_sigma_m: 0.15,
        ..said(110.0, 50.0, 0.0, 0.01)
    };
    let mut f = driven();
    let end = passed(100.0, 10.0, 0.0, 0.0, 0.2);
    for _ in 0..100 {
        f.take(end.stamp, &sure, 16.0).unwrap();
    }
    let sigma = f.covariance_at(&end)[(0, 0)].sqrt();
    assert!((0.009..0.0101).contains(&sigma), "{sigma}");
    let none = MapPose {
        shared_sigma_m: f64::NAN,
        ..sure
    };
    assert_eq!(f.take(end.stamp, &none, 16.0), Err(NotTaken::NotFinite));
}

/// The map's error is another one far away: two fixes there are worth more than two here.
#[test]
fn far_apart_the_map_errs_anew() {
    let sigma_after = |correlation_m: f64| {
        let mut f = MapFrame::new([0.0; 3], cov(5.0, 0.0001), correlation_m);
        let pose = |x: f64| MapPose {
            shared_sigma_m: 0.15,
            ..said(x, 0.0, 0.0, 0.16)
        };
        // An odometry that goes astray by nothing.
        for k in 0..=100 {
            pass(&mut f, passed(f64::from(k), f64::from(k), 0.0, 0.0, 0.0));
        }
        f.take(Stamp::from_secs(0.0), &pose(0.0), 16.0).unwrap();
        f.take(Stamp::from_secs(100.0), &pose(100.0), 16.0).unwrap();
        f.covariance_at(&passed(100.0, 100.0, 0.0, 0.0, 0.0))[(0, 0)].sqrt()
    };
    let (same, other) = (sigma_after(1e6), sigma_after(10.0));
    assert!(
        same > 0.15 && (other - 0.16 / 2f64.sqrt()).abs() < 0.002,
        "{same} {other}"
    );
}

#[test]
fn what_can_not_be_is_refused_and_changes_nothing() {
    let mut f = driven();
    let before = f.transform();
    let at = Stamp::from_secs(90.0);
    let far = f.take(at, &said(119.0, 50.0, 0.0, 0.2), 16.0);
    assert!(matches!(far, Err(NotTaken::Disagrees { distance2 }) if distance2 > 100.0));
    let turned = f.take(at, &said(109.0, 50.0, 0.5, 0.2), 16.0);
    assert!(matches!(turned, Err(NotTaken::Disagrees { .. })));
    let nan = f.take(at, &said(f64::NAN, 50.0, 0.0, 0.2), 16.0);
    assert_eq!(nan, Err(NotTaken::NotFinite));
    let none = f.take(at, &said(109.0, 50.0, 0.0, 0.0), 16.0);
    assert_eq!(none, Err(NotTaken::NotFinite));
    let early = f.take(Stamp::from_secs(-1.0), &said(109.0, 50.0, 0.0, 0.2), 16.0);
    assert_eq!(early, Err(NotTaken::TooOld));
    assert_eq!(f.transform(), before);
    f.take(at, &said(109.0, 50.1, 0.0, 0.2), 16.0).unwrap();
    let older = f.take(Stamp::from_secs(80.0), &said(108.0, 50.0, 0.0, 0.2), 16.0);
    assert_eq!(older, Err(NotTaken::TooOld));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn a_sure_pose_is_where_the_rover_stands_then_and_covariances_stay_positive(
        x in -0.6f64..0.6, y in -0.6f64..0.6, yaw in -0.03f64..0.03, t in 1.0f64..99.0, turned in -3.1f64..3.1,
    ) {
        let mut f = driven();
        let start = Pose2::new(7.0, -3.0, turned);
        let here = passed(0.0, 0.0, 0.0, 0.0, 0.0);
        f.stand(start, Some(here), Pose2::default(), cov(0.5, 0.02));
        for k in 1..=100 {
            let t = f64::from(k);
            pass(&mut f, passed(t, 0.1 * t, 0.0, 0.0, 0.002 * t));
        }
        let then = Pose2::new(0.1 * t, 0.0, 0.0);
        let before = f.in_map(then);
        let sure = MapPose {
            pose: Pose2::new(before.x_m + x, before.y_m + y, before.yaw_rad + yaw),
            covariance: cov(1e-5, 1e-6),
            shared_sigma_m: 0.15,
        };
        f.take(Stamp::from_secs(t), &sure, 100.0).unwrap();
        let after = f.in_map(then);
        prop_assert!((after.x_m - sure.pose.x_m).hypot(after.y_m - sure.pose.y_m) < 1e-3);
        prop_assert!(wrap_rad(after.yaw_rad - sure.pose.yaw_rad).abs() < 1e-4);
        let end = f.covariance_at(&passed(100.0, 10.0, 0.0, 0.0, 0.2));
        prop_assert!(end.symmetric_eigenvalues().min() > -1e-12);
    }
}

/// Straight east at 0.5 m/s for so many metres with a gyro whose bias is not known; the frame hears of every metre.
fn driven_with_bias(d: &mut Filter, f: &mut MapFrame, metres: std::ops::Range<usize>) {
    for m in metres {
        for _ in 0..2 {
            d.carry(&level_sample(Vector3::zeros(), 1.0));
            d.moved(UnitQuaternion::identity(), &half_a_metre());
        }
        f.pass(here(d, m + 1), &d.take_carried());
    }
}

fn half_a_metre() -> Way {
    Way {
        forward_m: 0.5,
        wheels_m: 0.5,
        correlation_m: 20.0,
        ..Way::default()
    }
}

/// What is believed after so many metres.
fn here(d: &Filter, metres: usize) -> Passed {
    Passed {
        stamp: Stamp::from_secs(2.0 * metres as f64),
        pose: Pose2::new(metres as f64, 0.0, 0.0),
        errors: d.with_pose(),
    }
}

/// A gyro's bias that is not known turns the way more and more; what a fix late in a drive is worth twenty metres on is what
/// one at the start is worth there.
#[test]
fn a_fix_late_in_a_drive_is_worth_as_much_on_the_way_as_one_at_its_start() {
    let sure = |x: usize| MapPose {
        pose: Pose2::new(x as f64, 0.0, 0.0),
        covariance: cov(0.01, 0.001),
        shared_sigma_m: 0.0,
    };
    let after = |fix_at: usize, known_at: usize| {
        let start = Start {
            wander_m: 1.0,
            ..Start::default()
        };
        let mut d = at_rest(1e-5, 0.0, 0.0, &start);
        let mut f = MapFrame::new([0.0; 3], cov(100.0, 1.0), 1000.0);
        f.pass(here(&d, 0), &d.take_carried());
        driven_with_bias(&mut d, &mut f, 0..known_at);
        // It comes late: the rover has driven on meanwhile.
        let stamp = here(&d, fix_at).stamp;
        f.take(stamp, &sure(fix_at), 1e9).unwrap();
        driven_with_bias(&mut d, &mut f, known_at..fix_at + 20);
        f.covariance_at(&here(&d, fix_at + 20))
    };
    let early = after(1, 1);
    for late in [after(300, 300), after(300, 310)] {
        assert!(
            (late - early).norm() < 0.02 * early.norm(),
            "{late} {early}"
        );
    }
}
