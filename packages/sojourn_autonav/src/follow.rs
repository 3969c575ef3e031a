//! Following a path of poses by pure pursuit, forward or backward, and turning in place.

use crate::slide::Slide;
use sojourn_core::{
    frames::{Pose2, wrap_rad},
    geometry::{along_segment, distance_m},
    kinematics::{Velocity, limited},
    rover::Rover,
};

/// A turn in place ends this near to its target, radians.
const TURN_DONE_RAD: f64 = 0.02;
/// The target point of the pursuit lies at most this far off the nose; beyond, the path is lost.
const LOST_RAD: f64 = 1.0;

/// Steps of the pursuit that are worked out between two poses of the way ahead.
const STEPS_OF_A_STEP: f64 = 5.0;

/// A polyline of poses under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    poses: Vec<Pose2>,
    /// Way from the first pose to each pose, metres.
    way_m: Vec<f64>,
    /// Way driven along it, metres; never goes back.
    pub progress_m: f64,
    /// 1 forward, −1 backward.
    pub direction: f64,
}

/// What the follower says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pursuit {
    /// Velocity to drive, within the speed asked for.
    pub velocity: Velocity,
    /// Distance of the rover from the path, metres.
    pub off_m: f64,
    /// Whether the path can no longer be followed from here.
    pub lost: bool,
}

impl Track {
    /// A track along poses, driven in a direction (1 or −1).
    #[must_use]
    pub fn new(poses: Vec<Pose2>, direction: f64) -> Self {
        let mut way_m = Vec::with_capacity(poses.len());
        let mut sum = 0.0;
        for (i, p) in poses.iter().enumerate() {
            if let Some(before) = i.checked_sub(1).and_then(|j| poses.get(j)) {
                sum += distance_m([before.x_m, before.y_m], [p.x_m, p.y_m]);
            }
            way_m.push(sum);
        }
        Self {
            poses,
            way_m,
            progress_m: 0.0,
            direction,
        }
    }

    /// Length, metres.
    #[must_use]
    pub fn length_m(&self) -> f64 {
        self.way_m.last().copied().unwrap_or(0.0)
    }

    /// The poses that lie ahead.
    #[must_use]
    pub fn ahead(&self) -> &[Pose2] {
        let from = self.way_m.partition_point(|&w| w <= self.progress_m);
        self.poses.get(from..).unwrap_or(&[])
    }

    /// Brings the progress up to the rover's place; looks ahead at most `window_m`. Returns the distance from the
    /// path, metres.
    fn advance(&mut self, pose: Pose2, window_m: f64) -> f64 {
        let (off, at) = self.foot(pose, window_m);
        self.progress_m = self.progress_m.max(at);
        off
    }

    /// Distance from the track ahead and the way to the nearest point of it, metres.
    fn foot(&self, pose: Pose2, window_m: f64) -> (f64, f64) {
        let p = [pose.x_m, pose.y_m];
        let (mut best, mut at) = (f64::INFINITY, self.progress_m);
        for (ends, ways) in self.poses.windows(2).zip(self.way_m.windows(2)) {
            let ([a, b], [wa, wb]) = (ends, ways) else {
                continue;
            };
            if *wb < self.progress_m || *wa > self.progress_m + window_m {
                continue;
            }
            let (a, b) = ([a.x_m, a.y_m], [b.x_m, b.y_m]);
            let t = along_segment(p, a, b);
            let off = distance_m(p, [a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])]);
            if off < best {
                best = off;
                at = wa + t * (wb - wa);
            }
        }
        (best, at)
    }

    /// Distance of a pose from the part of the track around the progress, metres.
    #[must_use]
    pub fn off_m(&self, pose: Pose2) -> f64 {
        self.foot(pose, f64::INFINITY).0
    }

    /// The pose at a way along the track; its end's beyond the end.
    #[must_use]
    pub fn pose_at(&self, way_m: f64) -> Option<Pose2> {
        let i = self
            .way_m
            .partition_point(|&w| w < way_m)
            .min(self.poses.len().checked_sub(1)?);
        let (Some(j), Some(&b)) = (i.checked_sub(1), self.poses.get(i)) else {
            return self.poses.first().copied();
        };
        let (a, wa, wb) = (
            *self.poses.get(j)?,
            *self.way_m.get(j)?,
            *self.way_m.get(i)?,
        );
        let t = ((way_m - wa) / (wb - wa).max(1e-9)).clamp(0.0, 1.0);
        Some(Pose2::new(
            a.x_m + t * (b.x_m - a.x_m),
            a.y_m + t * (b.y_m - a.y_m),
            wrap_rad(a.yaw_rad + t * wrap_rad(b.yaw_rad - a.yaw_rad)),
        ))
    }

    /// The point at a way along the track; beyond the end it goes straight on.
    fn point(&self, way_m: f64) -> Option<[f64; 2]> {
        let last = self.poses.last()?;
        if way_m >= self.length_m() {
            return Some(last.point(self.direction * (way_m - self.length_m()), 0.0));
        }
        let i = self.way_m.partition_point(|&w| w <= way_m);
        let (a, b) = (self.poses.get(i.checked_sub(1)?)?, self.poses.get(i)?);
        let (wa, wb) = (self.way_m.get(i - 1)?, self.way_m.get(i)?);
        let t = if wb > wa {
            (way_m - wa) / (wb - wa)
        } else {
            0.0
        };
        Some([a.x_m + t * (b.x_m - a.x_m), a.y_m + t * (b.y_m - a.y_m)])
    }

    /// The poses that the pursuit will drive through from where the rover stands, one every `step_m` for `way_m`: not those
    /// of the track when the rover is beside it. It slides on the way as it did before.
    #[must_use]
    pub fn driven_from(
        &self,
        rover: &Rover,
        pose: Pose2,
        lookahead_m: f64,
        step_m: f64,
        way_m: f64,
        slide: &Slide,
    ) -> Vec<Pose2> {
        let (mut track, mut at, mut out) = (self.clone(), pose, Vec::new());
        let small_m = step_m / STEPS_OF_A_STEP;
        let steps = (way_m / small_m).ceil().max(1.0) as usize;
        for i in 1..=steps {
            let p = track.pursue(rover, at, lookahead_m, 1.0);
            if p.lost || p.velocity.speed_mps == 0.0 {
                break;
            }
            let curvature = p.velocity.turn_radps / p.velocity.speed_mps;
            let ds = self.direction * small_m;
            at = slide.moved(at.moved(ds, ds * curvature), small_m);
            if (i as f64) % STEPS_OF_A_STEP == 0.0 || i == steps {
                out.push(at);
            }
        }
        out
    }

    /// One step of the pursuit.
    pub fn pursue(
        &mut self,
        rover: &Rover,
        pose: Pose2,
        lookahead_m: f64,
        rim_mps: f64,
    ) -> Pursuit {
        let off_m = self.advance(pose, 2.0 * lookahead_m);
        let lost = Pursuit {
            velocity: Velocity::STOP,
            off_m,
            lost: true,
        };
        let Some(target) = self.point(self.progress_m + lookahead_m) else {
            return lost;
        };
        let (dx, dy) = (target[0] - pose.x_m, target[1] - pose.y_m);
        let (s, c) = pose.yaw_rad.sin_cos();
        let (ahead, left) = (c * dx + s * dy, c * dy - s * dx);
        let far2 = ahead * ahead + left * left;
        // Written so that not-a-number is lost.
        if !(left.atan2(ahead * self.direction).abs() < LOST_RAD) || !(far2 > 1e-9) {
            return lost;
        }
        let most = 1.0 / rover.drive.min_turn_radius_m;
        let curvature = (2.0 * left / far2).clamp(-most, most);
        let v = self.direction * rim_mps;
        Pursuit {
            velocity: limited(
                rover,
                Velocity {
                    speed_mps: v,
                    turn_radps: v * curvature,
                },
                rim_mps,
            ),
            off_m,
            lost: false,
        }
    }
}

/// A turn in place under way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turn {
    /// Heading in `odom` that it began at, radians.
    pub from_rad: f64,
    /// Target heading in `odom`, radians.
    pub target_rad: f64,
    /// 1 left, −1 right.
    pub direction: f64,
}

impl Turn {
    /// A signed turn from a heading.
    #[must_use]
    pub fn by(yaw_rad: f64, angle_rad: f64) -> Self {
        Self {
            from_rad: yaw_rad,
            target_rad: wrap_rad(yaw_rad + angle_rad),
            direction: if angle_rad < 0.0 { -1.0 } else { 1.0 },
        }
    }

    /// Signed angle still to turn, radians.
    #[must_use]
    pub fn rest_rad(&self, yaw_rad: f64) -> f64 {
        let rest = wrap_rad(self.target_rad - yaw_rad) * self.direction;
        // Half a turn may look like a bit more than half a turn the other way round.
        let rest = if rest < -std::f64::consts::FRAC_PI_2 {
            rest + std::f64::consts::TAU
        } else {
            rest
        };
        rest * self.direction
    }

    /// Velocity of the turn, or `None` when it has ended.
    #[must_use]
    pub fn velocity(
        &self,
        rover: &Rover,
        yaw_rad: f64,
        rim_mps: f64,
        tick_s: f64,
    ) -> Option<Velocity> {
        let rest = self.rest_rad(yaw_rad);
        if rest.abs() <= TURN_DONE_RAD || rest * self.direction <= 0.0 {
            return None;
        }
        // Not faster than what three ticks of delay can still stop at the target.
        let rate = rover.drive.turn_rate_radps.min(rest.abs() / (3.0 * tick_s));
        Some(limited(
            rover,
            Velocity {
                speed_mps: 0.0,
                turn_radps: self.direction * rate,
            },
            rim_mps,
        ))
    }
}

/// Rate of a turn in place that no rim exceeds, rad/s.
#[must_use]
pub fn turn_rate_radps(rover: &Rover, rim_mps: f64) -> f64 {
    limited(
        rover,
        Velocity {
            speed_mps: 0.0,
            turn_radps: rover.drive.turn_rate_radps,
        },
        rim_mps,
    )
    .turn_radps
    .max(1e-6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::rover;
    use proptest::prelude::*;

    fn drive(direction: f64, curvature: f64) -> (Pose2, f64) {
        let r = rover("perseverance");
        let start = Pose2::new(1.0, 2.0, 0.4);
        let poses: Vec<Pose2> = (0..=12)
            .map(|i| {
                let s = direction * 0.25 * f64::from(i);
                start.moved(s, s * curvature)
            })
            .collect();
        let end = poses[12];
        let mut track = Track::new(poses, direction);
        let mut pose = start.moved(0.0, 0.05);
        let mut worst: f64 = 0.0;
        for _ in 0..2000 {
            let p = track.pursue(&r, pose, 0.6, 0.042);
            assert!(!p.lost);
            worst = worst.max(p.off_m);
            if track.progress_m >= track.length_m() - 1e-6 {
                break;
            }
            pose = pose.moved(p.velocity.speed_mps * 0.1, p.velocity.turn_radps * 0.1);
        }
        (
            end,
            distance_m([end.x_m, end.y_m], [pose.x_m, pose.y_m]).max(worst),
        )
    }

    #[test]
    fn arcs_are_followed_both_ways() {
        for direction in [1.0, -1.0] {
            for curvature in [-0.6, 0.0, 0.3, 0.8] {
                let (_, error) = drive(direction, curvature);
                assert!(error < 0.08, "{direction} {curvature} {error}");
            }
        }
    }

    #[test]
    fn the_way_ahead_slides_as_the_rover_did() {
        let r = rover("perseverance");
        let ahead = Velocity {
            speed_mps: 0.04,
            turn_radps: 0.0,
        };
        let (mut slide, mut at) = (Slide::default(), Pose2::default());
        for _ in 0..100 {
            let now = Pose2::new(at.x_m + 0.004, at.y_m - 0.0008, at.yaw_rad);
            slide.take(at, now, ahead);
            at = now;
        }
        let poses = (0..=8).map(|i| Pose2::new(0.25 * f64::from(i), 0.0, 0.0));
        let track = Track::new(poses.collect(), 1.0);
        let way = |slide: &Slide| track.driven_from(&r, Pose2::default(), 0.6, 0.125, 0.25, slide);
        let (held, slid) = (way(&Slide::default()), way(&slide));
        assert_eq!((held.len(), slid.len()), (2, 2));
        // A fifth of the way aside, less what is not believed of it and what the pursuit steers against.
        assert!(held[0].y_m.abs() < 1e-9, "{held:?}");
        assert!((-0.02..-0.012).contains(&slid[0].y_m), "{slid:?}");
        assert!(
            slid[1].y_m < slid[0].y_m && slid[1].yaw_rad > 0.0,
            "{slid:?}"
        );
    }

    #[test]
    fn beside_its_track_the_way_ahead_is_the_one_that_will_be_driven() {
        let r = rover("perseverance");
        let poses = (0..=12)
            .map(|i| Pose2::new(0.25 * f64::from(i), 0.0, 0.0))
            .collect();
        let track = Track::new(poses, 1.0);
        let beside = Pose2::new(0.5, 0.15, 0.0);
        let ahead = track.driven_from(&r, beside, 0.6, 0.125, 1.2, &Slide::default());
        assert_eq!(ahead.len(), 10);
        let (first, last) = (ahead[0], ahead[9]);
        assert!(
            first.y_m > 0.13 && last.y_m.abs() < 0.03,
            "{first:?} {last:?}"
        );
        assert!((last.x_m - 1.7).abs() < 0.03, "{last:?}");
        // What is worked out is what is driven.
        let (mut at, mut driven, mut passed) = (beside, track.clone(), 0);
        for _ in 0..400 {
            let p = driven.pursue(&r, at, 0.6, 0.042);
            at = at.moved(0.1 * p.velocity.speed_mps, 0.1 * p.velocity.turn_radps);
            passed += usize::from(
                ahead
                    .iter()
                    .any(|q| distance_m([q.x_m, q.y_m], [at.x_m, at.y_m]) < 0.01),
            );
        }
        assert!(passed > 30, "{passed}");
    }

    #[test]
    fn a_target_behind_is_lost() {
        let r = rover("perseverance");
        let mut t = Track::new(
            vec![Pose2::new(0.0, 0.0, 0.0), Pose2::new(3.0, 0.0, 0.0)],
            1.0,
        );
        assert!(t.pursue(&r, Pose2::new(0.0, 0.0, 3.0), 0.6, 0.042).lost);
        assert!(
            t.pursue(&r, Pose2::new(f64::NAN, 0.0, 0.0), 0.6, 0.042)
                .lost
        );
        assert!(
            Track::new(vec![], 1.0)
                .pursue(&r, Pose2::default(), 0.6, 0.042)
                .lost
        );
    }

    proptest! {
        #[test]
        fn every_turn_ends_at_its_target(yaw in -3.1f64..3.1, angle in -3.1f64..3.1) {
            let r = rover("perseverance");
            let turn = Turn::by(yaw, angle);
            let (mut now, mut turned) = (yaw, 0.0);
            let mut ended = false;
            for _ in 0..4000 {
                let Some(v) = turn.velocity(&r, now, 0.042, 0.1) else { ended = true; break };
                prop_assert!(v.speed_mps == 0.0 && v.turn_radps * angle > 0.0);
                now = wrap_rad(now + 0.1 * v.turn_radps);
                turned += 0.1 * v.turn_radps;
            }
            prop_assert!(ended && (turned - angle).abs() < 0.03, "{turned} of {angle}");
        }
    }
}
