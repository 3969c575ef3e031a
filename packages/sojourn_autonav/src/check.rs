//! Whether the rover may stand at a pose, in tiers, on ground that is known.

use crate::{
    clearance::{self, Ace},
    config::{Config, PlannerKind},
    ground::Ground,
    slip_forecast::SlipForecast,
};
use sojourn_core::{
    frames::{Pose2, wrap_rad},
    limits::{Limits, Share},
    plan::WaypointLimits,
    raster::Raster,
    rover::{Rover, SuspensionKind},
    settle::{Excess, Settler},
};
use std::collections::VecDeque;

/// Poses this near to one at which too much was felt are as bad, metres and radians.
const FELT_NEAR_M: f64 = 0.12;
const FELT_NEAR_RAD: f64 = 0.08;
/// How far a pose may lie to the side of where it is thought to be, share of how far it may lie before or behind.
const ASIDE_SHARE: f64 = 0.5;
/// Most of them that are remembered.
const FELT_MAX: usize = 50;

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
/// settled exactly on the mean, the highest and the lowest surface and beside the pose, and has to keep the limits each time.
/// Nothing else is safe.
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
    /// Where the rover felt more than a way may take, newest last.
    felt: VecDeque<(Pose2, Excess)>,
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
            felt: VecDeque::new(),
            looked_up: 0,
            settled: 0,
            budget: config.max_settles,
        }
    }

    /// The rover felt more than a way may take: near this pose no way ahead and no turn is safe any more, whatever the map says.
    pub fn remember_felt(&mut self, pose: Pose2, excess: Excess) {
        self.felt.push_back((pose, excess));
        if self.felt.len() > FELT_MAX {
            self.felt.pop_front();
        }
    }

    /// What was felt at a pose, if anything was.
    fn felt_at(&self, pose: Pose2) -> Option<Excess> {
        let near = |at: &Pose2| {
            (at.x_m - pose.x_m).hypot(at.y_m - pose.y_m) <= FELT_NEAR_M
                && wrap_rad(at.yaw_rad - pose.yaw_rad).abs() <= FELT_NEAR_RAD
        };
        self.felt.iter().find(|(at, _)| near(at)).map(|(_, e)| *e)
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
        self.bounded(ground, limits, share, pose, direction)
            .filter(|v| matches!(v, Verdict::Safe { .. }))
    }

    /// What the bounds of the first tier say; `None` where ground is unknown or too rough for bounds.
    fn bounded(
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
        if let Some(excess) = clearance::excess(&b, limits, share) {
            return Some(Verdict::Unsafe(excess));
        }
        let steepest = -b.attitude.pitch_up.hi.max(0.0);
        let pitch = if direction < 0.0 {
            -b.attitude.pitch_up.lo
        } else {
            steepest
        };
        if let Some(excess) = self.slips(ground, limits, pose, pitch, direction) {
            return Some(Verdict::Unsafe(excess));
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
        if direction >= 0.0
            && let Some(excess) = self.felt_at(pose)
        {
            return Verdict::Unsafe(excess);
        }
        if self.tiers == Tiers::Disc {
            self.looked_up += 1;
            return match &ground.disc {
                Some(disc) => disc.verdict(limits, share, pose),
                None => Verdict::Unknown,
            };
        }
        let bounded = self.bounded(ground, limits, share, pose, direction);
        match (self.tiers, bounded) {
            (_, Some(safe @ Verdict::Safe { .. })) => safe,
            (Tiers::AceThenSettling, _) => {
                self.settled_verdict(ground, limits, share, pose, direction)
            }
            (_, Some(verdict)) => verdict,
            (_, None) => self.unbounded(ground, share, pose),
        }
    }

    /// What approximate clearance evaluation alone says where it has no bounds.
    fn unbounded(&self, ground: &Ground, share: Share, pose: Pose2) -> Verdict {
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

    /// The second tier: exact settling on the highest, the mean and the lowest surface, and on the mean at the places
    /// beside where the rover may stand in truth. What is unknown there does not count: of the pose itself all is known.
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
        let surfaces = [&ground.seen, &ground.high, &ground.low].map(Raster::sampler);
        let seen = surfaces[0];
        let here = surfaces.into_iter().map(|surface| (surface, pose, true));
        let beside = beside(pose, ground.drift_m)
            .into_iter()
            .map(|at| (seen, at, false));
        for (surface, at, must_know) in here.chain(beside) {
            let Some(s) = self.settler.settle(&surface, at) else {
                if must_know {
                    return Verdict::Unknown;
                }
                continue;
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

/// Where a rover may stand that is thought to stand at a pose: before and behind it by the drift, and half as far to the
/// sides, for it is the length of the way that is known worst. Growing every rock by the drift instead would close pits
/// and gaps between stones, and cannot tell a wheel that stands on a stone from one that has missed it.
fn beside(pose: Pose2, drift_m: f64) -> Vec<Pose2> {
    if !(drift_m > 0.0) {
        return Vec::new();
    }
    let aside_m = ASIDE_SHARE * drift_m;
    [
        [drift_m, 0.0],
        [-drift_m, 0.0],
        [0.0, aside_m],
        [0.0, -aside_m],
    ]
    .map(|[ahead, left]| {
        let [x, y] = pose.point(ahead, left);
        Pose2::new(x, y, pose.yaw_rad)
    })
    .into()
}

#[cfg(test)]
mod tests;
