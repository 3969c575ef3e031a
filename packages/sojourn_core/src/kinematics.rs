//! From a velocity of the body to its drives and steers, and back. Wheels that a rover of four has not are left at 0.
//!
//! The body moves with `speed_mps` along its x axis and turns with `turn_radps`; the middle axle is the line on which
//! the turning centre lies. A wheel that can steer points along its own velocity.

use crate::rover::{Rover, Steering};

/// A velocity of the body on the plane.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Velocity {
    /// Forward, m/s.
    pub speed_mps: f64,
    /// Counter-clockwise, rad/s.
    pub turn_radps: f64,
}

impl Velocity {
    /// No motion.
    pub const STOP: Self = Self {
        speed_mps: 0.0,
        turn_radps: 0.0,
    };

    /// Whether both numbers are numbers.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.speed_mps.is_finite() && self.turn_radps.is_finite()
    }

    /// Whether it is exactly a stop.
    #[must_use]
    pub fn is_stop(&self) -> bool {
        self.speed_mps == 0.0 && self.turn_radps == 0.0
    }
}

/// What the wheels do, in the order of [`Rover::hubs_m`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WheelMotion {
    /// Rim speed, m/s, positive forward along the wheel's own direction.
    pub rim_mps: [f64; 6],
    /// Steering angle, radians, counter-clockwise from straight ahead; 0 for wheels that do not steer.
    pub steer_rad: [f64; 6],
}

/// Wheel motion for a velocity of the body.
#[must_use]
pub fn wheels_for(rover: &Rover, v: Velocity) -> WheelMotion {
    let mut out = WheelMotion::default();
    let there = rover.has_wheel();
    for (i, hub) in rover.hubs_m().iter().enumerate() {
        if !there[i] {
            continue;
        }
        let vx = v.speed_mps - v.turn_radps * hub[1];
        let vy = v.turn_radps * hub[0];
        let steers = rover.drive.steering == Steering::CornerSteered && i % 3 != 1;
        if steers {
            // Steer within ±90° and drive backwards instead of turning the wheel right round.
            let (mut angle, mut speed) = (vy.atan2(vx), vx.hypot(vy));
            if angle.abs() > std::f64::consts::FRAC_PI_2 {
                angle -= std::f64::consts::PI.copysign(angle);
                speed = -speed;
            }
            if speed == 0.0 {
                angle = 0.0;
            }
            out.rim_mps[i] = speed;
            out.steer_rad[i] = angle;
        } else {
            out.rim_mps[i] = vx;
        }
    }
    out
}

/// The velocity of the body that fits the wheels best (least squares over all wheels, no sideways motion).
#[must_use]
pub fn velocity_from(rover: &Rover, wheels: &WheelMotion) -> Velocity {
    // Each wheel i gives cos(a)·(v − w·y) + sin(a)·(w·x) = rim, that is cos(a)·v + (x·sin(a) − y·cos(a))·w = rim.
    let (mut a11, mut a12, mut a22, mut b1, mut b2) = (0.0, 0.0, 0.0, 0.0, 0.0);
    let there = rover.has_wheel();
    for (i, hub) in rover.hubs_m().iter().enumerate() {
        if !there[i] {
            continue;
        }
        let (s, c) = wheels.steer_rad[i].sin_cos();
        let k = hub[0] * s - hub[1] * c;
        a11 += c * c;
        a12 += c * k;
        a22 += k * k;
        b1 += c * wheels.rim_mps[i];
        b2 += k * wheels.rim_mps[i];
    }
    let det = a11 * a22 - a12 * a12;
    if det.abs() < 1e-9 {
        return Velocity::STOP;
    }
    Velocity {
        speed_mps: (b1 * a22 - b2 * a12) / det,
        turn_radps: (a11 * b2 - a12 * b1) / det,
    }
}

/// The velocity scaled so that no wheel's rim is faster than `rim_mps`; not-a-number becomes a stop.
#[must_use]
pub fn limited(rover: &Rover, v: Velocity, rim_mps: f64) -> Velocity {
    if !v.is_finite() || !rim_mps.is_finite() || rim_mps <= 0.0 {
        return Velocity::STOP;
    }
    let fastest = fastest_rim_mps(rover, v);
    if fastest <= rim_mps {
        return v;
    }
    let share = rim_mps / fastest;
    Velocity {
        speed_mps: v.speed_mps * share,
        turn_radps: v.turn_radps * share,
    }
}

/// Rim speed of the fastest wheel, m/s.
#[must_use]
pub fn fastest_rim_mps(rover: &Rover, v: Velocity) -> f64 {
    wheels_for(rover, v)
        .rim_mps
        .iter()
        .fold(0.0f64, |m, r| m.max(r.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Path;

    fn rover(name: &str) -> Rover {
        Rover::load(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../config/rovers/{name}.yaml")),
        )
        .unwrap()
    }

    proptest! {
        #[test]
        fn there_and_back(v in -0.04f64..0.04, w in -0.03f64..0.03, which in 0usize..5) {
            let r = rover(["perseverance", "testbed", "osr", "leo", "husky"][which]);
            let back = velocity_from(&r, &wheels_for(&r, Velocity { speed_mps: v, turn_radps: w }));
            prop_assert!((back.speed_mps - v).abs() < 1e-9 && (back.turn_radps - w).abs() < 1e-9);
        }

        #[test]
        fn no_wheel_is_faster_than_the_limit(v in -5f64..5.0, w in -5f64..5.0, limit in 0.01f64..0.2) {
            let r = rover("testbed");
            let l = limited(&r, Velocity { speed_mps: v, turn_radps: w }, limit);
            prop_assert!(fastest_rim_mps(&r, l) <= limit * (1.0 + 1e-9));
            // the curvature is kept
            prop_assert!((l.speed_mps * w - l.turn_radps * v).abs() < 1e-9);
        }
    }

    proptest! {
        /// Every steered wheel's axle points at the turning centre, on an arc as in a turn in place.
        #[test]
        fn steered_wheels_roll_around_one_centre(v in -0.04f64..0.04, w in 0.001f64..0.03) {
            for name in ["perseverance", "osr"] {
                let r = rover(name);
                let m = wheels_for(&r, Velocity { speed_mps: v, turn_radps: w });
                let centre = [0.0, v / w];
                for (i, hub) in r.hubs_m().iter().enumerate() {
                    let (s, c) = m.steer_rad[i].sin_cos();
                    let out = [hub[0] - centre[0], hub[1] - centre[1]];
                    prop_assert!((out[0] * c + out[1] * s).abs() < 1e-9, "wheel {i} of {name} scrubs");
                    prop_assert!((m.rim_mps[i].abs() - w * out[0].hypot(out[1])).abs() < 1e-9);
                }
            }
        }
    }

    #[test]
    fn four_wheels_are_four() {
        for name in ["leo", "husky"] {
            let m = wheels_for(
                &rover(name),
                Velocity {
                    speed_mps: 0.1,
                    turn_radps: 0.2,
                },
            );
            assert_eq!((m.rim_mps[1], m.rim_mps[4]), (0.0, 0.0));
            assert!(
                m.rim_mps[0] == m.rim_mps[2]
                    && m.rim_mps[0] < m.rim_mps[3]
                    && m.steer_rad == [0.0; 6]
            );
        }
    }

    #[test]
    fn nan_is_a_stop() {
        let r = rover("perseverance");
        assert!(
            limited(
                &r,
                Velocity {
                    speed_mps: f64::NAN,
                    turn_radps: 0.0
                },
                0.04
            )
            .is_stop()
        );
    }
}
