//! Drives whose errors are drawn from the odometry's own model, with fixes: the place in `map` is as sure as it says.

use super::*;
use crate::filter::{
    doubles::yaw_of,
    drawn::{Case, Drawn, Draws, STEP_S},
};

/// Wheels' way between two fixes, in steps of half a metre, and how late they come.
const EVERY: u32 = 40;
const LATE: u32 = 3;
/// Of a fix: metres and radians.
const FIX_SIGMA_M: f64 = 0.13;
const FIX_SIGMA: f64 = 0.004;
/// A wrong fix is off by so much, metres.
const WRONG_M: f64 = 4.0;
/// 95 % of chi² with two degrees of freedom lie below.
const CHI2_95: f64 = 5.991;
/// 99.9 % of chi² with three degrees of freedom lie below.
const GATE: f64 = 16.27;

/// What became of a drive.
#[derive(Default)]
struct Outcome {
    within: u32,
    steps: u32,
    fixes: u32,
    taken: u32,
    /// Whether a fix that is wrong by this much, metres, is refused at the end.
    wrong_refused: bool,
    /// Error in the plane at the end, metres.
    end_m: f64,
}

fn drive(seed: u64, case: Case, steps: u32) -> Outcome {
    let mut d = Drawn::new(seed, case);
    let mut draws = Draws::new(5000 + seed);
    let mut f = MapFrame::new([0.0; 3], cov(0.0), 1000.0);
    let mut out = Outcome::default();
    let (mut waiting, mut last) = (None, None);
    for k in 0..=steps {
        if k > 0 {
            d.step();
        }
        let now = passed(&d);
        f.pass(now, &d.filter.take_carried());
        if k % EVERY == EVERY - 1 {
            let mut n = || draws.normal();
            let pose = Pose2::new(
                d.place.x + FIX_SIGMA_M * n(),
                d.place.y + FIX_SIGMA_M * n(),
                d.yaw + FIX_SIGMA * n(),
            );
            let said = MapPose {
                pose,
                covariance: Matrix3::from_diagonal(&Vector3::new(
                    FIX_SIGMA_M * FIX_SIGMA_M,
                    FIX_SIGMA_M * FIX_SIGMA_M,
                    FIX_SIGMA * FIX_SIGMA,
                )),
                shared_sigma_m: 0.0,
            };
            waiting = Some((k + LATE, now.stamp, said));
            last = Some(said);
        }
        if let Some((_, stamp, said)) = waiting.take_if(|w| w.0 == k) {
            out.fixes += 1;
            out.taken += u32::from(f.take(stamp, &said, GATE).is_ok());
        }
        if k > 0 {
            let at = f.in_map(now.pose);
            let off = Vector3::new(at.x_m - d.place.x, at.y_m - d.place.y, at.yaw_rad - d.yaw);
            let covariance = f.covariance_at(&now);
            let plane = covariance.fixed_view::<2, 2>(0, 0).into_owned();
            let inverse = plane.try_inverse().unwrap();
            let off_m = off.xy();
            out.within += u32::from(off_m.dot(&(inverse * off_m)) <= CHI2_95);
            out.steps += 1;
            out.end_m = off_m.norm();
        }
    }
    let mut wrong: MapPose = last.unwrap();
    wrong.pose = Pose2::new(d.place.x + WRONG_M, d.place.y, d.yaw);
    let refused = f.take(passed(&d).stamp, &wrong, GATE);
    out.wrong_refused = matches!(refused, Err(NotTaken::Disagrees { .. }));
    out
}

fn cov(sigma: f64) -> Matrix3<f64> {
    Matrix3::identity() * (sigma * sigma)
}

fn passed(d: &Drawn) -> Passed {
    let at = d.filter.position_m();
    Passed {
        stamp: Stamp::from_secs(STEP_S * f64::from(d.steps)),
        pose: Pose2::new(at.x, at.y, yaw_of(&d.filter)),
        errors: d.filter.with_pose(),
    }
}

/// Whichever way visual odometry turns aside, over a kilometre: fixes that are right are believed, one that is wrong is not, and
/// the place lies within the ellipse as often as it should.
#[test]
fn right_fixes_are_believed_over_a_kilometre_of_odometry_that_turns_aside() {
    for (aside, sun) in [
        (0.0, false),
        (-6.5e-5, false),
        (6.5e-5, false),
        (6.5e-5, true),
    ] {
        let case = Case {
            told_radpm: 4e-5,
            true_radpm: 4e-5,
            aside_radpm: Some(aside),
            sun,
        };
        let all: Vec<_> = (0..15).map(|seed| drive(seed, case, 2000)).collect();
        let sum = |of: fn(&Outcome) -> u32| f64::from(all.iter().map(of).sum::<u32>());
        let within = sum(|o| o.within) / sum(|o| o.steps);
        let taken = sum(|o| o.taken) / sum(|o| o.fixes);
        assert!(all.iter().all(|o| o.wrong_refused), "aside {aside}");
        let worst_m = all.iter().map(|o| o.end_m).fold(0.0, f64::max);
        assert!(
            within > 0.9 && taken > 0.99 && worst_m < 1.2,
            "aside {aside}, sun {sun}: within {within}, taken {taken}, worst at the end {worst_m} m"
        );
    }
}
