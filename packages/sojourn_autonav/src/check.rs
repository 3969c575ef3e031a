//! Whether the rover may stand at a pose: exact settling against the limits, on ground that is known.

use crate::{config::Config, ground::Ground};
use sojourn_core::{
    frames::Pose2,
    limits::Limits,
    plan::WaypointLimits,
    rover::Rover,
    settle::{Excess, Settler},
    slip::SlipModel,
};

/// Verdict on one pose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// All limits hold.
    Safe {
        /// Tilt, radians.
        tilt_rad: f64,
        /// Least clearance of the belly, metres.
        clearance_m: f64,
    },
    /// A limit is exceeded.
    Unsafe(Excess),
    /// Ground under a wheel or under the belly is unknown.
    Unknown,
}

/// A place and what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Blocked {
    /// Pose in `odom`.
    pub pose: Pose2,
    /// What is wrong.
    pub verdict: Verdict,
}

impl std::fmt::Display for Blocked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.verdict {
            Verdict::Safe { .. } => write!(f, "safe")?,
            Verdict::Unsafe(e) => write!(f, "{e}")?,
            Verdict::Unknown => write!(f, "unknown ground")?,
        }
        write!(
            f,
            " at x {:.1} y {:.1} in odom, heading {:.0} deg",
            self.pose.x_m,
            self.pose.y_m,
            self.pose.yaw_rad.to_degrees()
        )
    }
}

/// Limits for the way to a waypoint: the tighter of the rover's and the waypoint's.
#[must_use]
pub fn tightened(rover: &Limits, waypoint: &WaypointLimits) -> Limits {
    Limits {
        tilt_deg: rover.tilt_deg.min(waypoint.tilt_deg),
        slip: rover.slip.min(waypoint.slip),
        wheel_speed_mps: rover.wheel_speed_mps.min(waypoint.speed_mps),
        ..*rover
    }
}

/// Checks poses and counts how many it settled.
#[derive(Clone, Debug)]
pub struct Checker {
    settler: Settler,
    slip: SlipModel,
    slip_share: f64,
    /// Poses settled since [`Checker::start`].
    pub settled: usize,
    budget: usize,
}

impl Checker {
    /// A checker for a rover.
    #[must_use]
    pub fn new(config: &Config, rover: &Rover) -> Self {
        Self {
            settler: Settler::new(rover, config.settle_step_m),
            slip: rover.slip,
            slip_share: config.slip_share,
            settled: 0,
            budget: config.max_settles,
        }
    }

    /// Begins a new planning with a fresh budget.
    pub fn start(&mut self) {
        self.settled = 0;
    }

    /// Whether the budget of this planning is used up.
    #[must_use]
    pub fn exhausted(&self) -> bool {
        self.settled >= self.budget
    }

    /// Settles the rover at a pose in `odom`. `direction` is 1 forward, −1 backward, 0 for a turn in place (no slip
    /// along the way is predicted then).
    pub fn verdict(
        &mut self,
        ground: &Ground,
        limits: &Limits,
        share: f64,
        pose: Pose2,
        direction: f64,
    ) -> Verdict {
        self.settled += 1;
        let Some(s) = self.settler.settle(ground, pose) else {
            return Verdict::Unknown;
        };
        if let Some(excess) = s.excess(limits, share) {
            return Verdict::Unsafe(excess);
        }
        if direction != 0.0 {
            let slip = self.slip.slip(s.pitch_rad, direction);
            if !(slip <= limits.slip * self.slip_share) {
                return Verdict::Unsafe(Excess {
                    limit: "slip",
                    value: slip,
                    allowed: limits.slip,
                });
            }
        }
        Verdict::Safe {
            tilt_rad: s.tilt_rad,
            clearance_m: s.clearance_m,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{params, rover};
    use sojourn_core::raster::Raster;

    #[test]
    fn steep_rocky_and_unknown_are_told_apart() {
        let r = rover("perseverance");
        let mut check = Checker::new(&Config::new(&params(), &r).unwrap(), &r);
        let flat = Raster::filled(80, 80, 0.1, [-4.0, -4.0], 0.0).unwrap();
        let at = Pose2::default();
        let mut verdict = |raster: &Raster, pose| {
            check.verdict(
                &Ground::prepare(raster, None, 0.1),
                &r.limits,
                0.8,
                pose,
                1.0,
            )
        };
        assert!(matches!(verdict(&flat, at), Verdict::Safe { .. }));
        assert_eq!(verdict(&flat, Pose2::new(3.5, 0.0, 0.0)), Verdict::Unknown);
        let steep = flat.like(|c, r| (flat.centre_m(c, r)[0] * 23f64.to_radians().tan()) as f32);
        assert!(
            matches!(verdict(&steep, at), Verdict::Unsafe(e) if e.limit == "tilt_deg"),
            "{:?}",
            verdict(&steep, at)
        );
        let slippery = flat.like(|c, r| (flat.centre_m(c, r)[0] * 16f64.to_radians().tan()) as f32);
        assert!(matches!(verdict(&slippery, at), Verdict::Unsafe(e) if e.limit == "slip"));
        let hub = r.hubs_m()[0];
        let rock = flat.like(|c, row| {
            let [x, y] = flat.centre_m(c, row);
            if (x - hub[0]).hypot(y - hub[1]) < 0.25 {
                0.45
            } else {
                0.0
            }
        });
        assert!(matches!(verdict(&rock, at), Verdict::Unsafe(_)));
    }

    #[test]
    fn a_waypoint_can_only_tighten() {
        let r = rover("perseverance");
        let t = tightened(
            &r.limits,
            &WaypointLimits {
                tilt_deg: 40.0,
                slip: 0.3,
                speed_mps: 9.0,
            },
        );
        assert!(t.tilt_deg == r.limits.tilt_deg && t.slip == 0.3);
        assert!(t.wheel_speed_mps == r.limits.wheel_speed_mps);
    }
}
