//! The way back along the track the rover came on. The rover has stood there within its limits, so more of them may be used; but
//! it will not stand there in the same way again, and the ground may be known better now. So it is checked like any other.

use super::AutoNav;
use crate::{
    check::Blocked,
    follow::{Track, Turn},
    inputs::Scope,
    paths::{apart_m, arc},
    search::Search,
};
use sojourn_core::{
    frames::{Pose2, wrap_rad},
    geometry::distance_m,
    limits::Share,
};

/// A heading that differs by less from the track's needs no turn before backing up, radians.
const TRACK_TURN_RAD: f64 = 0.1;
/// Two crumbs whose headings differ by more have a turn in place between them, radians: no arc bends as much.
const TURNED_RAD: f64 = 0.4;

impl AutoNav {
    /// As much of the track the rover came on as one planning may go back and as holds, if the allowance is not used up.
    pub(crate) fn way_back(&mut self, scope: &Scope) -> Option<Track> {
        self.look_m = self.config.lookahead_m;
        let room_m = (self.config.backup_max_m - self.backed_m).min(self.config.commit_m);
        let mut poses = self.track_back(scope.pose, room_m);
        while let Some(track) = self.is_way(&poses).then(|| Track::new(poses.clone(), -1.0)) {
            if self.track_holds(scope, &track, self.config.out_share) {
                // What is driven back over is no track any more.
                let end = poses.last().copied();
                let left = self.crumbs.iter().rposition(|c| Some(*c) == end);
                self.crumbs.truncate(left.unwrap_or(0));
                self.held = self.config.out_share;
                self.way_on.is_leg = false;
                self.way_on.in_vain = false;
                return Some(track);
            }
            poses.pop();
        }
        None
    }

    /// Where the track itself does not hold: backwards on the longest and then straightest arc that does, over ground that is seen
    /// and with no more of the limits than a path under way may use.
    pub(crate) fn back_out(&mut self, scope: &Scope) -> Option<Track> {
        // Where it came from nowhere it has got into nothing.
        if self.crumbs.is_empty() {
            return None;
        }
        let room_m = (self.config.backup_max_m - self.backed_m).min(self.config.commit_m);
        let sample_m = self.config.sample_m();
        let most = (room_m / sample_m + 1e-9).floor().max(0.0) as usize;
        let mut curvatures = self.config.widened().curvatures_per_m;
        curvatures.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
        // The whole of it, half, and so on.
        for n in std::iter::successors(Some(most), |n| Some(n / 2)).take_while(|n| *n > 0) {
            for &k in &curvatures {
                let arc = std::iter::once(scope.pose).chain(arc(scope.pose, k, -sample_m, n));
                let track = Track::new(arc.collect(), -1.0);
                if self.track_holds(scope, &track, self.config.hold_share) {
                    self.leave_track(track.pose_at(track.length_m())?);
                    self.held = self.config.hold_share;
                    self.way_on.is_leg = false;
                    self.way_on.in_vain = false;
                    return Some(track);
                }
            }
        }
        None
    }

    /// From a place beside the track what was driven after the point nearest to it leads nowhere.
    pub(super) fn leave_track(&mut self, end: Pose2) {
        let near = |a: &(usize, &Pose2), b: &(usize, &Pose2)| {
            apart_m(*a.1, end).total_cmp(&apart_m(*b.1, end))
        };
        let nearest = self.crumbs.iter().enumerate().min_by(near).map(|(i, _)| i);
        self.crumbs.truncate(nearest.unwrap_or(0));
    }

    /// Whether a track holds as it will be driven from where the rover is: every pose that the pursuit will pass through,
    /// not those that the rover once stood at. `held` is the share of the limits that it may use.
    pub(super) fn track_holds(&mut self, scope: &Scope, track: &Track, held: Share) -> bool {
        self.track_blocked(scope, track, held).is_ok()
    }

    /// The same, with what blocks it where a pose does.
    pub(super) fn track_blocked(
        &mut self,
        scope: &Scope,
        track: &Track,
        held: Share,
    ) -> Result<(), Option<Blocked>> {
        let c = &self.config;
        // What a way ahead keeps, or what the rover has now.
        let depth_m = scope.corridor.depth_m([scope.pose.x_m, scope.pose.y_m]);
        let margin_m = c.corridor_margin_m.min(depth_m.max(0.0));
        let Some(ground) = self.inputs.ground.as_ref() else {
            return Err(None);
        };
        let way_m = track.length_m() - track.progress_m;
        let step_m = 0.5 * c.sample_m();
        let ahead = track.driven_from(
            &self.rover,
            scope.pose,
            self.look_m,
            step_m,
            way_m,
            &self.slide,
        );
        let all_the_way = ahead.len() as f64 * step_m >= way_m - step_m;
        let mut search = Search {
            config: c,
            ground,
            limits: &scope.limits,
            checker: &mut self.checker,
            held,
            way_out: false,
        };
        let stays = |p: &Pose2| scope.corridor.holds([p.x_m, p.y_m], margin_m);
        if !all_the_way || !ahead.iter().all(stays) {
            return Err(None);
        }
        match search.held_blocked(&ahead, way_m, track.direction) {
            Some(blocked) => Err(Some(blocked)),
            None => Ok(()),
        }
    }

    /// Poses back along the crumbs, the present one first, about `room_m` far.
    fn track_back(&self, pose: Pose2, room_m: f64) -> Vec<Pose2> {
        let mut poses = vec![pose];
        let (mut last, mut way_m) = (pose, 0.0);
        for crumb in self.crumbs.iter().rev() {
            if way_m >= room_m - 1e-9 {
                break;
            }
            let step_m = apart_m(last, *crumb);
            if step_m < 0.5 * self.config.sample_m() {
                continue;
            }
            // Here the rover has turned in place; what lies before that is driven back from the heading that it had then.
            if wrap_rad(crumb.yaw_rad - last.yaw_rad).abs() > TURNED_RAD {
                break;
            }
            way_m += step_m;
            last = *crumb;
            poses.push(last);
        }
        poses
    }

    /// Whether poses lead far enough to be worth driving.
    fn is_way(&self, poses: &[Pose2]) -> bool {
        let steps = poses.iter().zip(poses.get(1..).unwrap_or(&[]));
        steps.map(|(a, b)| apart_m(*a, *b)).sum::<f64>() >= self.config.sample_m()
    }

    /// The turn in place back to the heading that the rover came with, when it has turned since.
    pub(crate) fn turn_to_track(&mut self, scope: &Scope) -> Option<Turn> {
        if self.config.backup_max_m - self.backed_m < self.config.sample_m() {
            return None;
        }
        let came = *self.crumbs.back()?;
        let angle = wrap_rad(came.yaw_rad - scope.pose.yaw_rad);
        let off_m = distance_m([came.x_m, came.y_m], [scope.pose.x_m, scope.pose.y_m]);
        if angle.abs() < TRACK_TURN_RAD || off_m > 2.0 * self.config.sample_m() {
            return None;
        }
        let mut search = Search {
            config: &self.config,
            ground: self.inputs.ground.as_ref()?,
            limits: &scope.limits,
            checker: &mut self.checker,
            held: self.config.out_share,
            way_out: false,
        };
        [angle, angle - angle.signum() * std::f64::consts::TAU]
            .into_iter()
            .find(|&a| search.turn_blocked(scope.pose, a).is_none())
            .map(|a| {
                self.held = self.config.out_share;
                self.way_on.is_leg = false;
                Turn::by(scope.pose.yaw_rad, a)
            })
    }
}

#[cfg(test)]
pub(super) mod tests;
