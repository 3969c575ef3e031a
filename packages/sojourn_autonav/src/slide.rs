//! How the rover leaves the way that its wheels steer: down a slope it slides aside, and it turns where one side slips more.
//!
//! The pursuit brings it back, but from where it has slid to. What lies right ahead is therefore checked where the rover will come to if
//! it goes on sliding as it did over the last decimetres.

use sojourn_core::{
    frames::{Pose2, wrap_rad},
    kinematics::Velocity,
};

/// Way over which what was seen is forgotten, metres.
const MEMORY_M: f64 = 0.15;
/// Nothing is believed before about this much of way, metres.
const DOUBT_M: f64 = 0.05;
/// A longer step of the pose is no sliding, metres.
const STEP_MAX_M: f64 = 0.1;
/// Most that is believed, metres and radians a metre.
const ASIDE_MAX: f64 = 0.3;
const TURNED_MAX_RADPM: f64 = 0.6;

/// What was seen of it over the last way, newer ways counting more.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Slide {
    way_m: f64,
    aside_m: f64,
    turned_rad: f64,
    /// 1 ahead, −1 back.
    direction: f64,
}

impl Slide {
    /// Takes where a velocity has brought the rover from one pose. After a turn in place or in the other direction it begins afresh.
    pub fn take(&mut self, before: Pose2, now: Pose2, driven: Velocity) {
        if driven.speed_mps == 0.0 {
            if driven.turn_radps != 0.0 {
                *self = Self::default();
            }
            return;
        }
        let (s, c) = before.yaw_rad.sin_cos();
        let (dx, dy) = (now.x_m - before.x_m, now.y_m - before.y_m);
        let (ahead_m, left_m) = (c * dx + s * dy, c * dy - s * dx);
        let turned = wrap_rad(now.yaw_rad - before.yaw_rad);
        let direction = driven.speed_mps.signum();
        if direction != self.direction {
            *self = Self {
                direction,
                ..Self::default()
            };
        }
        // Written so that not-a-number begins afresh.
        if !(dx.hypot(dy) <= STEP_MAX_M && turned.is_finite()) {
            *self = Self::default();
            return;
        }
        let keep = (-ahead_m.abs() / MEMORY_M).exp();
        let steered = driven.turn_radps / driven.speed_mps * ahead_m;
        self.way_m = keep * self.way_m + ahead_m.abs();
        self.aside_m = keep * self.aside_m + left_m - 0.5 * ahead_m * turned;
        self.turned_rad = keep * self.turned_rad + turned - steered;
    }

    /// Where a rover that comes to a pose over a short way stands then.
    #[must_use]
    pub fn moved(&self, pose: Pose2, way_m: f64) -> Pose2 {
        let per_m = way_m / (self.way_m + DOUBT_M);
        let aside_m = (self.aside_m * per_m).clamp(-ASIDE_MAX * way_m, ASIDE_MAX * way_m);
        let most_rad = TURNED_MAX_RADPM * way_m;
        let turned = (self.turned_rad * per_m).clamp(-most_rad, most_rad);
        let [x, y] = pose.point(0.0, aside_m);
        Pose2::new(x, y, wrap_rad(pose.yaw_rad + turned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TICK_S: f64 = 0.1;

    /// A rover that is steered so and slides so, metres and radians a metre, after a way.
    fn slid(v: Velocity, aside: f64, turned: f64, ticks: usize) -> (Slide, Pose2) {
        let (mut slide, mut at) = (Slide::default(), Pose2::new(3.0, -2.0, 0.7));
        for _ in 0..ticks {
            let ds = TICK_S * v.speed_mps;
            let on = at.moved(ds, TICK_S * v.turn_radps);
            let [x, y] = on.point(0.0, aside * ds.abs());
            let now = Pose2::new(x, y, on.yaw_rad + turned * ds.abs());
            slide.take(at, now, v);
            at = now;
        }
        (slide, at)
    }

    proptest! {
        /// It tells where the rover comes to, ahead and back, as far as it believes what it saw.
        #[test]
        fn what_slid_slides_on(back in any::<bool>(), k in -0.4f64..0.4, aside in -0.2f64..0.2, turned in -0.4f64..0.4) {
            let speed = if back { -0.04 } else { 0.04 };
            let v = Velocity { speed_mps: speed, turn_radps: k * speed };
            let (slide, at) = slid(v, aside, turned, 300);
            let told = slide.moved(at, 0.025);
            let true_aside = Pose2::new(at.x_m, at.y_m, at.yaw_rad).point(0.0, 0.75 * aside * 0.025);
            prop_assert!((told.x_m - true_aside[0]).hypot(told.y_m - true_aside[1]) < 0.0003 + 0.05 * aside.abs() * 0.025);
            prop_assert!((wrap_rad(told.yaw_rad - at.yaw_rad) - 0.75 * turned * 0.025).abs() < 0.0005);
        }

        /// Whatever poses come, it stays within what it believes at most.
        #[test]
        fn it_stays_within_bounds(steps in prop::collection::vec((-0.2f64..0.2, -0.2f64..0.2, -4.0f64..4.0, -0.05f64..0.05), 1..60)) {
            let (mut slide, mut at) = (Slide::default(), Pose2::default());
            for (dx, dy, yaw, speed_mps) in steps {
                let now = Pose2::new(at.x_m + dx, at.y_m + dy, yaw);
                slide.take(at, now, Velocity { speed_mps, turn_radps: 0.01 });
                at = now;
                let told = slide.moved(Pose2::default(), 0.1);
                prop_assert!(told.x_m.abs() < 1e-9 && told.y_m.abs() <= 0.03 + 1e-9 && told.yaw_rad.abs() <= 0.06 + 1e-9);
            }
        }
    }

    #[test]
    fn a_turn_a_change_of_direction_and_nonsense_begin_afresh() {
        let ahead = Velocity {
            speed_mps: 0.04,
            turn_radps: 0.0,
        };
        let (slid, at) = slid(ahead, 0.2, 0.3, 100);
        let still = |s: &Slide| s.moved(at, 0.1) == at;
        assert!(!still(&slid));
        for (now, v) in [
            (
                at,
                Velocity {
                    speed_mps: 0.0,
                    turn_radps: 0.02,
                },
            ),
            (
                at,
                Velocity {
                    speed_mps: -0.04,
                    turn_radps: 0.0,
                },
            ),
            (Pose2::new(f64::NAN, 0.0, 0.0), ahead),
            (Pose2::new(at.x_m + 1.0, at.y_m, at.yaw_rad), ahead),
        ] {
            let mut s = slid;
            s.take(at, now, v);
            assert!(still(&s), "{s:?}");
        }
        let mut s = slid;
        s.take(at, at, Velocity::STOP);
        assert_eq!(s, slid, "standing tells nothing");
    }
}
