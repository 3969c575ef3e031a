//! The tree of candidates: turns in place × first arcs × second arcs, with their costs.

use crate::{
    config::Config,
    corridor::{Corridor, ROUNDING_M},
    costmap::CostMap,
};
use sojourn_core::{
    frames::{Pose2, wrap_rad},
    geometry::{Xy, distance_m},
};

/// A candidate: turn in place, then one or two arcs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Index of the turn in [`Config::turns_rad`].
    pub turn: usize,
    /// Index of the first arc's curvature.
    pub first: usize,
    /// Index of the second arc's curvature; `None` for a path of one arc.
    pub second: Option<usize>,
    /// Samples of the first arc that are driven.
    pub first_samples: usize,
    /// Samples of the second arc that are driven.
    pub second_samples: usize,
    /// Cost, seconds.
    pub cost_s: f64,
}

/// What the tree grows in.
pub struct Soil<'a> {
    /// Configuration.
    pub config: &'a Config,
    /// Where the rover's centre may be.
    pub corridor: &'a Corridor,
    /// Costs.
    pub map: &'a CostMap,
    /// The rover in `odom`.
    pub start: Pose2,
    /// The waypoint in `odom`, metres.
    pub goal_xy: Xy,
    /// A path that comes this near to the waypoint ends there, metres.
    pub near_m: f64,
    /// Rate of a turn in place, rad/s.
    pub turn_radps: f64,
    /// Curvature driven now, 1/m.
    pub curvature_now_per_m: f64,
}

/// The poses of an arc after its start, one per sample.
pub fn arc(
    start: Pose2,
    curvature_per_m: f64,
    sample_m: f64,
    samples: usize,
) -> impl Iterator<Item = Pose2> {
    (1..=samples).map(move |i| {
        let s = i as f64 * sample_m;
        start.moved(s, s * curvature_per_m)
    })
}

/// Distance of two places, metres.
pub(crate) fn apart_m(a: Pose2, b: Pose2) -> f64 {
    distance_m([a.x_m, a.y_m], [b.x_m, b.y_m])
}

struct Walked {
    end: Pose2,
    samples: usize,
    cost_s: f64,
    arrived: bool,
}

impl Soil<'_> {
    /// Distance that has to be kept from the corridor's edge: the configured one, or what the rover has now if that
    /// is less, so that it can come back in.
    fn margin_m(&self) -> f64 {
        let now = self.corridor.depth_m([self.start.x_m, self.start.y_m]);
        self.config.corridor_margin_m.min(now.max(0.0))
    }

    /// The start after a turn.
    #[must_use]
    pub fn turned(&self, turn: usize) -> Pose2 {
        let angle = self.config.turns_rad.get(turn).copied().unwrap_or(0.0);
        Pose2 {
            yaw_rad: wrap_rad(self.start.yaw_rad + angle),
            ..self.start
        }
    }

    fn curvature(&self, i: usize) -> f64 {
        self.config.curvatures_per_m.get(i).copied().unwrap_or(0.0)
    }

    /// Cost of an arc, cut where it reaches the waypoint; `None` where it leaves the corridor.
    /// `room_m` is how far from `start` no corridor's edge and no keep-out lies ([`Corridor::room_m`]).
    fn walk(
        &self,
        start: Pose2,
        bend: usize,
        samples: usize,
        margin_m: f64,
        room_m: f64,
    ) -> Option<Walked> {
        let ds = self.config.sample_m();
        let curvature = self.curvature(bend);
        // The outer wheels set the pace: a sharp arc takes longer than a straight one.
        let slowness = self.config.slowness.get(bend).copied().unwrap_or(1.0);
        let longer_s = (slowness - 1.0) * ds * self.map.pace_spm();
        let mut out = Walked {
            end: start,
            samples: 0,
            cost_s: 0.0,
            arrived: false,
        };
        let length_m = samples as f64 * ds;
        // Where no point that near lies beyond the corridor's edge or by a keep-out none has to be asked about.
        let free = room_m >= length_m + margin_m + ROUNDING_M;
        for pose in arc(start, curvature, ds, samples) {
            let p = [pose.x_m, pose.y_m];
            if !(free || self.corridor.holds(p, margin_m)) {
                return None;
            }
            out.cost_s += self.map.way_s(pose, ds, self.config.unknown_factor) + longer_s;
            out.end = pose;
            out.samples += 1;
            if distance_m(p, self.goal_xy) <= self.near_m {
                out.arrived = true;
                break;
            }
        }
        Some(out)
    }

    /// All candidates inside the corridor, cheapest first. `whole` grows the full tree, twice: with arcs of full and of
    /// half the length; otherwise only first arcs of half the length.
    #[must_use]
    pub fn grow(&self, whole: bool) -> Vec<Candidate> {
        let full = self.config.samples_per_arc;
        let mut out = Vec::new();
        if whole {
            self.grow_tree(full, true, 0.0, &mut out);
            self.grow_tree(
                self.short_samples(),
                true,
                self.config.short_cost_s,
                &mut out,
            );
        } else {
            self.grow_tree(self.short_samples(), false, 0.0, &mut out);
        }
        out.sort_by(|a, b| a.cost_s.total_cmp(&b.cost_s));
        out
    }

    /// Half an arc, but no less than what is driven before the next planning.
    fn short_samples(&self) -> usize {
        let c = self.config;
        let commit = ((c.commit_m + c.stop_m) / c.sample_m()).ceil().max(1.0) as usize;
        (c.samples_per_arc / 2).max(commit).min(c.samples_per_arc)
    }

    fn grow_tree(&self, length: usize, whole: bool, extra_s: f64, out: &mut Vec<Candidate>) {
        let c = self.config;
        let margin_m = self.margin_m();
        let room_m = self.corridor.room_m([self.start.x_m, self.start.y_m]);
        let n = c.curvatures_per_m.len();
        let sharpest = c.curvatures_per_m.last().copied().unwrap_or(1.0).max(1e-6);
        let steer = |from: f64, to: f64| c.steer_cost_s * (to - from).abs() / (2.0 * sharpest);
        for (turn, &angle) in c.turns_rad.iter().enumerate() {
            let start = self.turned(turn);
            let turn_s = if turn == 0 {
                extra_s
            } else {
                extra_s + c.turn_cost_s + angle.abs() / self.turn_radps
            };
            for first in 0..n {
                let k1 = self.curvature(first);
                let Some(a) = self.walk(start, first, length, margin_m, room_m) else {
                    continue;
                };
                let now = if turn == 0 {
                    self.curvature_now_per_m
                } else {
                    k1
                };
                let cost_a = turn_s + steer(now, k1) + a.cost_s;
                if a.arrived || !whole {
                    let rest = if a.arrived {
                        0.0
                    } else {
                        self.map.to_go_s([a.end.x_m, a.end.y_m]) + self.align_s(a.end)
                    };
                    out.push(Candidate {
                        turn,
                        first,
                        second: None,
                        first_samples: a.samples,
                        second_samples: 0,
                        cost_s: cost_a + rest,
                    });
                    continue;
                }
                let room_m = room_m - a.samples as f64 * c.sample_m();
                for second in 0..n {
                    let k2 = self.curvature(second);
                    let Some(b) = self.walk(a.end, second, length, margin_m, room_m) else {
                        continue;
                    };
                    let rest = if b.arrived {
                        0.0
                    } else {
                        self.map.to_go_s([b.end.x_m, b.end.y_m]) + self.align_s(b.end)
                    };
                    out.push(Candidate {
                        turn,
                        first,
                        second: Some(second),
                        first_samples: a.samples,
                        second_samples: b.samples,
                        cost_s: cost_a + steer(k1, k2) + b.cost_s + rest,
                    });
                }
            }
        }
    }

    /// Time to face the waypoint from a path's end: the cost to go knows places, not headings.
    fn align_s(&self, end: Pose2) -> f64 {
        let bearing = (self.goal_xy[1] - end.y_m).atan2(self.goal_xy[0] - end.x_m);
        let off = wrap_rad(bearing - end.yaw_rad).abs();
        0.25 * off / self.turn_radps
    }

    /// The poses of a candidate after its turn, with the turned start first.
    #[must_use]
    pub fn poses(&self, candidate: &Candidate) -> Vec<Pose2> {
        let ds = self.config.sample_m();
        let start = self.turned(candidate.turn);
        let mut poses = vec![start];
        poses.extend(arc(
            start,
            self.curvature(candidate.first),
            ds,
            candidate.first_samples,
        ));
        if let Some(second) = candidate.second {
            let end = poses.last().copied().unwrap_or(start);
            poses.extend(arc(
                end,
                self.curvature(second),
                ds,
                candidate.second_samples,
            ));
        }
        poses
    }
}
