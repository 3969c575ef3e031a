//! Where no candidate leads on: looking for a way over all of the known ground, and driving it leg by leg.

use super::{AutoNav, Phase};
use crate::{
    follow::{Track, Turn, turn_rate_radps},
    hybrid::{HybridAStar, Leg, Manner, Progress, Task},
    inputs::Scope,
    paths::apart_m,
    search::{Search, Weighed},
    think::NEAR_SHARE,
};
use sojourn_core::{
    Stamp,
    frames::{Pose2, wrap_rad},
    geometry::distance_m,
};
use std::{collections::VecDeque, sync::Arc};

/// Searches before the rover gets on again.
const SEEKS_MAX: u32 = 100;
/// A way ends this many arcs from its beginning, or this many at the edge of what is known.
const AWAY_ARCS: f64 = 3.0;
const EDGE_ARCS: f64 = 1.0;
/// Places from which no way led on count as if the rover had thought there so often, when they lie so far from the way, footprints.
const SHUN_VISITS: f32 = 8.0;
const SHUN_BESIDE: f64 = 0.5;
/// Legs are followed this much more closely than arcs.
const LEG_LOOK_SHARE: f64 = 0.3;
/// Poses at which legs were refused that are remembered.
const REFUSED_MAX: usize = 40;
/// This near to where the wheels last corrected the map they tell nothing new, metres and radians.
const FELT_NEAR_M: f64 = 0.1;
const FELT_NEAR_RAD: f64 = 0.1;
/// A leg whose heading differs by more from the rover's is not driven, radians.
const OFF_RAD: f64 = 0.12;

/// The way on that is looked for, and how far it has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct WayOn {
    /// What is left to drive of one that was found.
    pub legs: VecDeque<Leg>,
    /// Searches since the rover last got on.
    pub seeks: u32,
    /// What is under way is a leg of one.
    pub is_leg: bool,
    /// One was broken off: another one is looked for before any candidate.
    pub again: bool,
    /// The rover has turned to see other ground since it last looked for one.
    pub looked_round: bool,
    /// From here there is none.
    pub in_vain: bool,
    /// Where the wheels last corrected the map.
    pub felt_at: Option<Pose2>,
    /// Poses at which legs did not hold as they would have been driven, and the directions.
    pub refused: VecDeque<(Pose2, f64)>,
}

impl WayOn {
    /// The rover drives something else, or stands.
    pub fn leave(&mut self) {
        (self.is_leg, self.again, self.in_vain) = (false, false, false);
    }

    /// What is under way is driven no further.
    pub fn break_off(&mut self) {
        self.again |= self.is_leg;
        self.legs.clear();
    }

    /// The rover has got on: nothing of the last place counts.
    pub fn forget(&mut self) {
        self.seeks = 0;
        self.refused.clear();
        self.felt_at = None;
    }
}

impl AutoNav {
    /// Begins to look for a way on, if that may help.
    pub(crate) fn begin_to_seek(&mut self, scope: &Scope) -> bool {
        if self.config.seek_steps == 0 || self.way_on.in_vain || self.way_on.seeks >= SEEKS_MAX {
            return false;
        }
        let map = self.costs(scope, scope.pose);
        let (Some(map), Some(ground)) = (map, self.inputs.ground.as_ref()) else {
            return false;
        };
        let c = &self.config;
        let task = Task {
            ground: ground.clone(),
            map,
            corridor: scope.corridor.clone(),
            limits: scope.limits,
            start: scope.pose,
            goal_xy: scope.goal_xy,
            near_m: NEAR_SHARE * scope.tolerance_m,
            away_m: AWAY_ARCS * c.arc_length_m,
            edge_m: EDGE_ARCS * c.arc_length_m,
            turn_radps: turn_rate_radps(&self.rover, scope.rim_mps),
            refused: self.way_on.refused.iter().copied().collect(),
        };
        self.way_on.seeks += 1;
        self.phase = Phase::Seek(Box::new(HybridAStar::new(c, task)));
        true
    }

    /// Goes on looking; what is waited for, until the search has ended.
    pub(super) fn seek(&mut self, now: Stamp, scope: &Scope) -> Option<String> {
        let Phase::Seek(search) = &mut self.phase else {
            return None;
        };
        self.sought += 1;
        match search.advance(&self.config, &mut self.checker, self.config.seek_settles) {
            Progress::Working => Some(format!(
                "no safe path, looking for a way over the known ground: {} steps checked",
                search.checked()
            )),
            Progress::Found(legs) => {
                let beside_m = SHUN_BESIDE * self.rover.footprint_radius_m();
                for xy in search.in_vain(&self.config, &legs, beside_m) {
                    self.coarse.shun(xy, SHUN_VISITS);
                }
                self.candidates = Arc::new(vec![shown(&legs)]);
                self.way_on.legs = legs.into();
                self.remember_dead_end([scope.pose.x_m, scope.pose.y_m]);
                self.phase = Phase::Plan;
                None
            }
            Progress::Nothing => {
                self.phase = Phase::Plan;
                self.way_on.again = self.feel(now, scope);
                self.way_on.in_vain = !self.way_on.again;
                None
            }
        }
    }

    /// Where nothing leads on, the wheels may know the ground better than the map; true when that is worth another search.
    fn feel(&mut self, now: Stamp, scope: &Scope) -> bool {
        let near = |at: &Pose2| {
            apart_m(*at, scope.pose) < FELT_NEAR_M
                && wrap_rad(at.yaw_rad - scope.pose.yaw_rad).abs() < FELT_NEAR_RAD
        };
        if self.way_on.felt_at.as_ref().is_some_and(near) {
            return false;
        }
        self.way_on.felt_at = Some(scope.pose);
        self.inputs
            .feel(now, &scope.limits, &self.config, &self.rover)
    }

    /// Begins the next leg of a way, when there is one, the rover is where it begins, and it holds from there.
    pub(crate) fn next_leg(&mut self, scope: &Scope) -> bool {
        let Some(leg) = self.way_on.legs.pop_front() else {
            return false;
        };
        let Some(phase) = self.leg_phase(scope, &leg) else {
            self.way_on.again = true;
            self.way_on.legs.clear();
            return false;
        };
        self.phase = phase;
        self.held = leg.held;
        self.way_on.again = false;
        self.way_on.is_leg = true;
        self.leant_rad = None;
        self.strained = None;
        self.thought_in_vain = false;
        self.way_on.in_vain = false;
        self.blocked_since = None;
        true
    }

    fn leg_phase(&mut self, scope: &Scope, leg: &Leg) -> Option<Phase> {
        let (start, end) = (*leg.poses.first()?, *leg.poses.last()?);
        let off_m = distance_m([start.x_m, start.y_m], [scope.pose.x_m, scope.pose.y_m]);
        let off_rad = wrap_rad(start.yaw_rad - scope.pose.yaw_rad);
        let c = &self.config;
        if !(off_m <= c.track_tolerance_m && off_rad.abs() <= OFF_RAD) {
            return None;
        }
        let direction = match leg.manner {
            Manner::Turn => {
                // To the same heading, from the one that it has.
                let angle = leg.turn_rad + off_rad;
                let mut search = Search {
                    config: c,
                    ground: self.inputs.ground.as_ref()?,
                    limits: &scope.limits,
                    checker: &mut self.checker,
                    held: leg.held,
                    way_out: false,
                };
                let blocked = search.turn_blocked(scope.pose, angle);
                if let Some(b) = blocked {
                    self.refuse(b.pose, 0.0);
                    return None;
                }
                return Some(Phase::Look(Turn::by(scope.pose.yaw_rad, angle)));
            }
            Manner::Ahead => 1.0,
            Manner::Back => -1.0,
        };
        let track = Track::new(leg.poses.clone(), direction);
        self.look_m = LEG_LOOK_SHARE * c.lookahead_m;
        if let Err(blocked) = self.track_blocked(scope, &track, leg.held) {
            self.refuse(blocked.map_or(end, |b| b.pose), direction);
            return None;
        }
        let length_m = track.length_m();
        Some(if direction < 0.0 {
            self.leave_track(end);
            Phase::Back(track)
        } else {
            Phase::Follow(track, length_m)
        })
    }

    /// The next search is to find another way than through this pose.
    fn refuse(&mut self, pose: Pose2, direction: f64) {
        self.way_on.refused.push_back((pose, direction));
        if self.way_on.refused.len() > REFUSED_MAX {
            self.way_on.refused.pop_front();
        }
    }
}

/// A way that was found, for displays.
fn shown(legs: &[Leg]) -> Weighed {
    Weighed {
        curvature_first_per_m: 0.0,
        curvature_second_per_m: 0.0,
        poses: legs.iter().flat_map(|l| l.poses.clone()).collect(),
        chosen: true,
        safe: true,
        reason: "a way over the known ground".to_string(),
        cost_s: 0.0,
        max_tilt_rad: 0.0,
        min_clearance_m: f64::INFINITY,
    }
}

#[cfg(test)]
mod tests;
