//! Whether the rover may stand at a pose, in tiers, on ground that is known.

use crate::{
    clearance::{self, Ace},
    config::{Config, PlannerKind},
    ground::Ground,
    slip_forecast::SlipForecast,
};
use sojourn_core::{
    frames::Pose2,
    limits::{Limits, Share},
    plan::WaypointLimits,
    rover::{Rover, SuspensionKind},
    settle::{Excess, Settler},
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

/// Checks poses in tiers and counts how many it settled.
///
/// Approximate clearance evaluation accepts what is safe for any ground the map allows; what it does not accept is
/// settled exactly on the mean, the highest and the lowest surface, and has to keep the limits on each. Nothing else is
/// safe.
#[derive(Clone, Debug)]
pub struct Checker {
    settler: Settler,
    /// Only a rocker-bogie has one; other suspensions are settled.
    ace: Option<Ace>,
    tiers: Tiers,
    /// Whether look-ups count against the budget too.
    capped: bool,
    slip: SlipForecast,
    slip_share: f64,
    /// Poses looked up since [`Checker::start`].
    pub looked_up: usize,
    /// Poses settled since [`Checker::start`].
    pub settled: usize,
    budget: usize,
}

/// Which tiers decide: the whole check, or those of a baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tiers {
    /// Approximate clearance evaluation, then exact settling.
    AceThenSettling,
    /// Approximate clearance evaluation alone.
    AceOnly,
    /// Discs of the rover's size.
    Disc,
}

impl Checker {
    /// A checker for a rover.
    #[must_use]
    pub fn new(config: &Config, rover: &Rover) -> Self {
        Self {
            settler: Settler::new(rover, config.settle_step_m),
            ace: (rover.suspension.kind == SuspensionKind::RockerBogie)
                .then(|| Ace::new(rover, config.swing_m)),
            tiers: config.planner.tiers(),
            capped: config.planner == PlannerKind::EnavLike,
            slip: SlipForecast::new(rover.slip, config.slip_prior_sigma, config.slip_noise_sigma),
            slip_share: config.slip_share,
            looked_up: 0,
            settled: 0,
            budget: config.max_settles,
        }
    }

    /// What settles the poses.
    #[must_use]
    pub fn settler(&self) -> &Settler {
        &self.settler
    }

    /// What is known of slip, to be taught.
    pub fn slip_mut(&mut self) -> &mut SlipForecast {
        &mut self.slip
    }

    /// What is known of slip.
    #[must_use]
    pub fn slip(&self) -> &SlipForecast {
        &self.slip
    }

    /// Begins a new planning with a fresh budget.
    pub fn start(&mut self) {
        self.looked_up = 0;
        self.settled = 0;
    }

    /// Whether the budget of this planning is used up.
    #[must_use]
    pub fn exhausted(&self) -> bool {
        self.settled >= self.budget || (self.capped && self.looked_up >= self.budget)
    }

    /// Whether all candidates are looked at, not only those up to the first safe one.
    #[must_use]
    pub fn looks_at_all(&self) -> bool {
        self.tiers == Tiers::AceThenSettling
    }

    /// The first tier alone: safe, or nothing is said.
    pub fn looked(
        &mut self,
        ground: &Ground,
        limits: &Limits,
        share: Share,
        pose: Pose2,
        direction: f64,
    ) -> Option<Verdict> {
        self.looked_up += 1;
        let (surfaces, images) = (ground.surfaces.as_ref()?, ground.images.as_ref()?);
        let b = self.ace.as_ref()?.bounds(surfaces, images, pose)?;
        if clearance::excess(&b, limits, share).is_some() {
            return None;
        }
        let steepest = -b.attitude.pitch_up.hi.max(0.0);
        let pitch = if direction < 0.0 {
            -b.attitude.pitch_up.lo
        } else {
            steepest
        };
        if self.slips(ground, limits, pose, pitch, direction).is_some() {
            return None;
        }
        Some(Verdict::Safe {
            tilt_rad: b.tilt_rad(),
            clearance_m: b.clearance_m,
        })
    }

    fn slips(
        &self,
        ground: &Ground,
        limits: &Limits,
        pose: Pose2,
        pitch_rad: f64,
        direction: f64,
    ) -> Option<Excess> {
        if direction == 0.0 {
            return None;
        }
        let class = ground.class.nearest(pose.x_m, pose.y_m);
        let slip = self.slip.worst(pitch_rad, direction, class);
        (!(slip <= limits.slip * self.slip_share)).then_some(Excess {
            limit: "slip",
            value: slip,
            allowed: limits.slip,
        })
    }

    /// Whether the rover may stand at a pose in `odom`. `direction` is 1 forward, −1 backward, 0 for a turn in place
    /// (no slip along the way is predicted then).
    pub fn verdict(
        &mut self,
        ground: &Ground,
        limits: &Limits,
        share: Share,
        pose: Pose2,
        direction: f64,
    ) -> Verdict {
        if self.tiers == Tiers::Disc {
            self.looked_up += 1;
            return match &ground.disc {
                Some(disc) => disc.verdict(limits, share, pose),
                None => Verdict::Unknown,
            };
        }
        if let Some(safe) = self.looked(ground, limits, share, pose, direction) {
            return safe;
        }
        match self.tiers {
            Tiers::Disc => Verdict::Unknown,
            Tiers::AceThenSettling => self.settled_verdict(ground, limits, share, pose, direction),
            Tiers::AceOnly => {
                let known = match (&self.ace, &ground.surfaces, &ground.images) {
                    (Some(ace), Some(surfaces), Some(images)) => ace.knows(surfaces, images, pose),
                    _ => false,
                };
                if known {
                    Verdict::Unsafe(Excess {
                        limit: "approximate clearance",
                        value: f64::NAN,
                        allowed: share.rest,
                    })
                } else {
                    Verdict::Unknown
                }
            }
        }
    }

    /// The second tier: exact settling on each surface.
    fn settled_verdict(
        &mut self,
        ground: &Ground,
        limits: &Limits,
        share: Share,
        pose: Pose2,
        direction: f64,
    ) -> Verdict {
        self.settled += 1;
        let (mut tilt_rad, mut clearance_m) = (0.0f64, f64::INFINITY);
        for surface in [&ground.grown, &ground.seen, &ground.low] {
            let Some(s) = self.settler.settle(surface, pose) else {
                return Verdict::Unknown;
            };
            if let Some(excess) = s.excess(limits, share) {
                return Verdict::Unsafe(excess);
            }
            if let Some(excess) = self.slips(ground, limits, pose, s.pitch_rad, direction) {
                return Verdict::Unsafe(excess);
            }
            tilt_rad = tilt_rad.max(s.tilt_rad);
            clearance_m = clearance_m.min(s.clearance_m);
        }
        Verdict::Safe {
            tilt_rad,
            clearance_m,
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
                &Ground::of(raster, None, 0.1).with_images(
                    &r,
                    &Settler::new(&r, 0.05),
                    0.09,
                    PlannerKind::Tiered,
                ),
                &r.limits,
                0.8.into(),
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
