//! The way under way: when the next planning is due, what is taken of it, and the velocity that follows it.

use super::{AutoNav, Phase};
use crate::{
    config::PlannerKind,
    follow::{Track, Turn},
    inputs::Scope,
    search::{Path, Search},
    status::{DriveState, Halt},
};
use sojourn_core::{Stamp, frames::Pose2, geometry::distance_m, kinematics::Velocity, plan::Mode};

/// The way under way is checked again whenever the rover has come so far since, metres; without news of the ground only so much of it,
/// and within what a way out may use: what is found then is that it slides to where it was not thought to come.
const RECHECK_M: f64 = 0.05;
const NEAR_M: f64 = 0.35;

impl AutoNav {
    /// A planning is due: takes the next way if it was thought of in time, else thinks now. Returns what is waited for.
    pub(super) fn plan_or_wait(
        &mut self,
        now: Stamp,
        scope: &Scope,
    ) -> Result<Option<String>, Halt> {
        if let Some(next) = self.next.take()
            && matches!(self.phase, Phase::Follow(..))
        {
            if now < next.ready {
                self.next = Some(next);
                return Ok(Some("thinking: the next way is not ready yet".into()));
            }
            if self.take_next(next.path, scope) {
                return Ok(None);
            }
        }
        if self.config.think_s > 0.0 {
            let until = *self.thinking_until.get_or_insert_with(|| {
                self.think_stops = self.think_stops.saturating_add(1);
                now.plus_secs(self.config.think_s)
            });
            if now < until {
                return Ok(Some("thinking".into()));
            }
            self.thinking_until = None;
        }
        self.plan(now, scope)?;
        Ok(None)
    }

    /// Takes a way that was planned ahead, if the rover is where it begins and its beginning still holds.
    fn take_next(&mut self, path: Path, scope: &Scope) -> bool {
        let Some(start) = path.poses.first().copied() else {
            return false;
        };
        let off_m = distance_m([start.x_m, start.y_m], [scope.pose.x_m, scope.pose.y_m]);
        let turned =
            sojourn_core::frames::wrap_rad(start.yaw_rad - path.turn_rad - scope.pose.yaw_rad);
        if !(off_m <= 2.0 * self.config.track_tolerance_m && turned.abs() < 0.12) {
            return false;
        }
        let Some(ground) = &self.inputs.ground else {
            return false;
        };
        let mut search = Search {
            config: &self.config,
            ground,
            limits: &scope.limits,
            checker: &mut self.checker,
            held: self.config.hold_share,
            way_out: false,
        };
        let c = &self.config;
        let must_m = path.commit_m + c.stop_m;
        // Without a turn it begins where the rover is, not where it was thought to be.
        let ahead = if path.turn_rad == 0.0 {
            Track::new(path.poses.clone(), 1.0).driven_from(
                &self.rover,
                scope.pose,
                c.lookahead_m,
                0.5 * c.sample_m(),
                must_m,
                &self.slide,
            )
        } else {
            path.poses.get(1..).unwrap_or(&[]).to_vec()
        };
        let holds = scope.mode == Mode::Directed
            || (search.turn_blocked(scope.pose, path.turn_rad).is_none()
                && search.held_blocked(&ahead, must_m, 1.0).is_none());
        if holds {
            self.set_out(path, scope.pose);
        }
        holds
    }

    /// Begins to drive a path.
    pub(crate) fn set_out(&mut self, path: Path, pose: Pose2) {
        self.blocked_since = None;
        self.held = path.held;
        self.way_on.leave();
        self.look_m = self.config.lookahead_m;
        self.leant_rad = None;
        self.strained = None;
        self.thought_in_vain = false;
        let track = Track::new(path.poses, 1.0);
        self.phase = if path.turn_rad == 0.0 {
            Phase::Follow(track, path.commit_m)
        } else {
            Phase::Turn(Turn::by(pose.yaw_rad, path.turn_rad), track, path.commit_m)
        };
    }

    pub(super) fn follow(&mut self, scope: &Scope) -> (Velocity, DriveState, String) {
        use DriveState::{Driving, Turning};
        let tick_s = self.rover.cadence.control_period_s;
        let look_m = self.look_m;
        match &mut self.phase {
            Phase::Turn(turn, track, commit_m) => {
                match turn.velocity(&self.rover, scope.pose.yaw_rad, scope.rim_mps, tick_s) {
                    Some(v) => {
                        let rest = turn.rest_rad(scope.pose.yaw_rad).to_degrees();
                        (v, Turning, format!("turning in place, {rest:.0} deg to go"))
                    }
                    None => {
                        let (track, commit_m) = (track.clone(), *commit_m);
                        self.phase = Phase::Follow(track, commit_m);
                        (self.strained, self.look_again) = (None, true);
                        (Velocity::STOP, Turning, "turned".into())
                    }
                }
            }
            Phase::Look(turn) => {
                match turn.velocity(&self.rover, scope.pose.yaw_rad, scope.rim_mps, tick_s) {
                    Some(v) => (v, Turning, "no safe path, turning to look elsewhere".into()),
                    None => {
                        self.phase = Phase::Plan;
                        (Velocity::STOP, Turning, "looking".into())
                    }
                }
            }
            Phase::Follow(track, _) => {
                let p = track.pursue(&self.rover, scope.pose, look_m, scope.rim_mps);
                if p.lost {
                    self.phase = Phase::Plan;
                    return (
                        Velocity::STOP,
                        Driving,
                        "lost the path, planning again".into(),
                    );
                }
                let reason = format!("driving, {:.1} m to the waypoint", scope.distance_m);
                (p.velocity, Driving, reason)
            }
            Phase::Back(track) => {
                let before = track.progress_m;
                let p = track.pursue(&self.rover, scope.pose, look_m, scope.rim_mps);
                self.backed_m += track.progress_m - before;
                if p.lost {
                    self.phase = Phase::Plan;
                    return (Velocity::STOP, Driving, "lost the track back".into());
                }
                (p.velocity, Driving, "no safe path ahead, backing up".into())
            }
            Phase::Wait(why) => (
                Velocity::STOP,
                Driving,
                format!("waiting for a better view: {why}"),
            ),
            Phase::Plan | Phase::Seek(_) => (Velocity::STOP, Driving, "planning".into()),
        }
    }

    pub(super) fn drop_crumb(&mut self, pose: Pose2) {
        if !matches!(self.phase, Phase::Follow(..)) {
            return;
        }
        let far = self.crumbs.back().is_none_or(|last| {
            distance_m([last.x_m, last.y_m], [pose.x_m, pose.y_m]) >= self.config.sample_m()
        });
        if far {
            self.crumbs.push_back(pose);
            let keep = (self.config.backup_max_m / self.config.sample_m()).ceil() as usize + 2;
            while self.crumbs.len() > keep {
                self.crumbs.pop_front();
            }
        }
    }

    /// Whether a planning is due now.
    pub(super) fn due(&mut self, scope: &Scope) -> bool {
        let here = [scope.pose.x_m, scope.pose.y_m];
        let news = self.inputs.grid_is_new || self.look_again;
        // What slides comes to other places than those that were checked.
        let strayed = self
            .checked_at
            .is_none_or(|at| distance_m(at, here) > RECHECK_M);
        let fresh = news || strayed;
        if fresh {
            self.checked_at = Some(here);
        }
        let Some(ground) = &self.inputs.ground else {
            return false;
        };
        let c = &self.config;
        let held = if news { self.held } else { c.out_share };
        let unchecked = scope.mode == Mode::Directed || c.planner == PlannerKind::StraightGuarded;
        let mut search = Search {
            config: c,
            ground,
            limits: &scope.limits,
            checker: &mut self.checker,
            held,
            way_out: false,
        };
        match &self.phase {
            Phase::Plan | Phase::Seek(_) => true,
            Phase::Wait(_) => news,
            Phase::Look(turn) => {
                let rest = turn.rest_rad(scope.pose.yaw_rad);
                let blocked = fresh && search.turn_blocked(scope.pose, rest).is_some();
                if blocked {
                    self.way_on.break_off();
                }
                blocked
            }
            Phase::Turn(turn, ..) => {
                fresh && !unchecked && {
                    let rest = turn.rest_rad(scope.pose.yaw_rad);
                    search.turn_blocked(scope.pose, rest).is_some()
                }
            }
            Phase::Follow(track, commit_m) => {
                let whole_m = (commit_m - track.progress_m).max(0.0) + c.stop_m;
                let rest_m = if news { whole_m } else { whole_m.min(NEAR_M) };
                let blocked = fresh && !unchecked && {
                    let step_m = 0.5 * c.sample_m();
                    let ahead = track.driven_from(
                        &self.rover,
                        scope.pose,
                        self.look_m,
                        step_m,
                        rest_m,
                        &self.slide,
                    );
                    search.held_blocked(&ahead, rest_m, 1.0).is_some()
                };
                if blocked {
                    // What was to follow it is not to be driven either.
                    self.next = None;
                    self.way_on.break_off();
                }
                blocked
                    || track.progress_m >= commit_m.min(track.length_m())
                    || track.off_m(scope.pose) > c.track_tolerance_m
            }
            Phase::Back(track) => {
                let track = track.clone();
                let off = track.off_m(scope.pose) > c.track_tolerance_m;
                let ended = track.progress_m >= track.length_m() - 1e-6;
                let blocked = !ended && (off || (fresh && !self.track_holds(scope, &track, held)));
                if blocked {
                    self.way_on.break_off();
                }
                ended || blocked
            }
        }
    }
}

#[cfg(test)]
mod tests;
