//! Best-first search through the candidates: the first one that settles safely all the way is taken.

use crate::{
    check::{Blocked, Checker, Verdict},
    config::Config,
    ground::Ground,
    paths::{Candidate, Soil},
};
use sojourn_core::{
    frames::{Pose2, wrap_rad},
    limits::{Limits, Share},
};
use std::collections::BTreeMap;

/// A path that was weighed, for the status.
#[derive(Clone, Debug, PartialEq)]
pub struct Weighed {
    /// Curvature of the first arc, 1/m, left positive.
    pub curvature_first_per_m: f64,
    /// Curvature of the second arc, 1/m.
    pub curvature_second_per_m: f64,
    /// Poses in `odom`.
    pub poses: Vec<Pose2>,
    /// Whether it was taken.
    pub chosen: bool,
    /// Whether all of it was found safe, as far as the ground is known.
    pub safe: bool,
    /// Why not.
    pub reason: String,
    /// Cost, seconds.
    pub cost_s: f64,
    /// Greatest tilt along it, radians.
    pub max_tilt_rad: f64,
    /// Least clearance along it, metres; infinite when no pose was settled.
    pub min_clearance_m: f64,
}

/// A way to go: turn in place, then follow the poses.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// Signed turn in place, radians.
    pub turn_rad: f64,
    /// Poses in `odom`, the first where the turn has ended.
    pub poses: Vec<Pose2>,
    /// Curvature at its beginning, 1/m.
    pub curvature_per_m: f64,
    /// How far it is driven before the next planning, metres.
    pub commit_m: f64,
    /// Share of the limits that it may use while it is driven.
    pub held: Share,
}

/// What a search found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The path, if any is safe.
    pub path: Option<Path>,
    /// What blocks the cheapest candidate that was not safe.
    pub blocked: Option<Blocked>,
    /// Whether unknown ground alone kept candidates back.
    pub wants_image: bool,
    /// Whether the budget ended the search.
    pub overthought: bool,
    /// Candidates that were looked at, cheapest first.
    pub weighed: Vec<Weighed>,
    /// Poses settled.
    pub settled: usize,
    /// Dearer candidates that the first tier accepts too.
    pub also_safe: usize,
}

#[derive(Clone, Copy, Debug)]
struct Stretch {
    blocked: Option<Blocked>,
    max_tilt_rad: f64,
    min_clearance_m: f64,
}

impl Stretch {
    const EMPTY: Self = Self {
        blocked: None,
        max_tilt_rad: 0.0,
        min_clearance_m: f64::INFINITY,
    };

    fn join(&self, other: &Self) -> Self {
        Self {
            blocked: self.blocked.or(other.blocked),
            max_tilt_rad: self.max_tilt_rad.max(other.max_tilt_rad),
            min_clearance_m: self.min_clearance_m.min(other.min_clearance_m),
        }
    }
}

/// The search; memoises what turns and first arcs share.
pub struct Search<'a> {
    /// Configuration.
    pub config: &'a Config,
    /// Ground.
    pub ground: &'a Ground,
    /// Limits that hold on this way.
    pub limits: &'a Limits,
    /// Settles poses.
    pub checker: &'a mut Checker,
    /// Share of the limits that turns, first steps and ways under way may use.
    pub held: Share,
    /// The rover stands beyond what a way may use, though within its limits: the first steps out may use `out_share`.
    pub way_out: bool,
}

/// Way that a way out may use, samples.
const WAY_OUT_SAMPLES: f64 = 2.5;
/// Headings of a turn in place that are settled: the outer wheels move by half the distance of a path's samples.
const TURN_STEP_RAD: f64 = 0.075;

impl Search<'_> {
    /// Looks for the cheapest safe candidate: first in the full tree, then among short single arcs.
    pub fn run(&mut self, soil: &Soil<'_>) -> Found {
        self.checker.start();
        let mut found = self.pass(soil, true);
        if found.path.is_none() {
            let mut short = self.pass(soil, false);
            if short.path.is_none() && self.stands_badly(soil.start) {
                self.way_out = true;
                short = self.pass(soil, false);
                self.way_out = false;
            }
            found.path = short.path;
            found.blocked = found.blocked.or(short.blocked);
            found.wants_image |= short.wants_image;
            found.overthought |= short.overthought;
            let room = self
                .config
                .candidates_reported
                .saturating_sub(found.weighed.len());
            let chosen = short.weighed.iter().position(|w| w.chosen);
            let mut tail: Vec<Weighed> = short.weighed;
            if let Some(i) = chosen {
                tail.swap(0, i);
            }
            found.weighed.extend(tail.into_iter().take(room.max(1)));
        }
        found.settled = self.checker.settled;
        found
    }

    /// Where [`Search::run`] found nothing: single pieces of a wider set ([`Config::widened`], which the search has to have been
    /// made with). Not for the rover that stands beyond what a way may use; that one has tried its way out.
    pub fn run_wide(&mut self, soil: &Soil<'_>) -> Found {
        self.checker.start();
        let mut found = self.pass(soil, false);
        found.settled = self.checker.settled;
        found
    }

    /// Whether the ground as it is known now says that the rover stands beyond what a way may use.
    fn stands_badly(&mut self, start: Pose2) -> bool {
        let share = self.config.hold_share;
        let verdict = self
            .checker
            .verdict(self.ground, self.limits, share, start, 0.0);
        matches!(verdict, Verdict::Unsafe(_))
    }

    /// Share of the limits for the first step out of where the rover stands.
    fn first_share(&self) -> Share {
        if self.way_out {
            self.config.out_share
        } else {
            self.held
        }
    }

    fn pass(&mut self, soil: &Soil<'_>, whole: bool) -> Found {
        let mut found = Found {
            path: None,
            blocked: None,
            wants_image: false,
            overthought: false,
            weighed: Vec::new(),
            settled: 0,
            also_safe: 0,
        };
        let ds = self.config.sample_m();
        let must_know_m = self.config.commit_m + self.config.stop_m;
        let mut turns: BTreeMap<usize, Stretch> = BTreeMap::new();
        let mut firsts: BTreeMap<(usize, usize, usize), Stretch> = BTreeMap::new();
        let candidates = soil.grow(whole);
        let mut rest = None;
        for (i, &candidate) in candidates.iter().enumerate() {
            if self.checker.exhausted() {
                found.overthought = true;
                break;
            }
            let key = (candidate.turn, candidate.first, candidate.first_samples);
            // A first arc that failed rules out everything that begins with it, and is told once.
            let known_bad = turns
                .get(&candidate.turn)
                .is_some_and(|s| s.blocked.is_some())
                || firsts.get(&key).is_some_and(|s| s.blocked.is_some());
            if known_bad {
                continue;
            }
            let poses = soil.poses(&candidate);
            let turn = match turns.get(&candidate.turn) {
                Some(t) => *t,
                None => {
                    let t = self.turn(soil, candidate.turn);
                    turns.insert(candidate.turn, t);
                    t
                }
            };
            let mut whole_path = turn;
            if turn.blocked.is_none() {
                let split = candidate.first_samples + 1;
                let first = match firsts.get(&key) {
                    Some(a) => *a,
                    None => {
                        let a = self.stretch(
                            soil.turned(candidate.turn),
                            poses.get(1..split).unwrap_or(&[]),
                            ds,
                            must_know_m,
                        );
                        firsts.insert(key, a);
                        a
                    }
                };
                whole_path = whole_path.join(&first);
                if first.blocked.is_none() {
                    let from_m = (candidate.first_samples + 1) as f64 * ds;
                    let second = self.stretch(
                        poses.get(split - 1).copied().unwrap_or(soil.start),
                        poses.get(split..).unwrap_or(&[]),
                        from_m,
                        must_know_m,
                    );
                    whole_path = whole_path.join(&second);
                }
            }
            let safe = whole_path.blocked.is_none();
            if let Some(b) = whole_path.blocked {
                found.blocked = found.blocked.or(Some(b));
                found.wants_image |= b.verdict == Verdict::Unknown;
            }
            if safe || found.weighed.len() + 1 < self.config.candidates_reported {
                found
                    .weighed
                    .push(self.weighed(soil, &candidate, &poses, &whole_path, safe));
            }
            if safe {
                found.path = Some(self.path(soil, &candidate, poses));
                rest = Some(i + 1);
                break;
            }
        }
        if let Some(from) = rest
            && self.checker.looks_at_all()
        {
            self.look_at_rest(soil, candidates.get(from..).unwrap_or(&[]), &mut found);
        }
        found
    }

    /// Looks at the candidates that are dearer than the one taken, in the first tier: how much choice there was.
    fn look_at_rest(&mut self, soil: &Soil<'_>, candidates: &[Candidate], found: &mut Found) {
        let (c, share) = (self.config, self.config.limit_share);
        let mut firsts: BTreeMap<(usize, usize, usize), bool> = BTreeMap::new();
        for candidate in candidates {
            let start = soil.turned(candidate.turn);
            let mut whole = |from: Pose2, k: usize, n: usize| {
                let k = c.curvatures_per_m.get(k).copied().unwrap_or(0.0);
                crate::paths::arc(from, k, c.sample_m(), n).all(|pose| {
                    self.checker
                        .looked(self.ground, self.limits, share, pose, 1.0)
                        .is_some()
                })
            };
            let n = candidate.first_samples;
            let first = *firsts
                .entry((candidate.turn, candidate.first, n))
                .or_insert_with(|| whole(start, candidate.first, n));
            if !first {
                continue;
            }
            let safe = candidate.second.is_none_or(|k| {
                let way_m = n as f64 * c.sample_m();
                let k1 = c
                    .curvatures_per_m
                    .get(candidate.first)
                    .copied()
                    .unwrap_or(0.0);
                whole(start.moved(way_m, way_m * k1), k, candidate.second_samples)
            });
            found.also_safe += usize::from(safe);
        }
    }

    fn path(&self, soil: &Soil<'_>, candidate: &Candidate, poses: Vec<Pose2>) -> Path {
        let c = soil.config;
        let curvature = |i: usize| c.curvatures_per_m.get(i).copied().unwrap_or(0.0);
        Path {
            turn_rad: c.turns_rad.get(candidate.turn).copied().unwrap_or(0.0),
            poses,
            curvature_per_m: curvature(candidate.first),
            commit_m: c.commit_m,
            held: self.first_share(),
        }
    }

    fn weighed(
        &self,
        soil: &Soil<'_>,
        candidate: &Candidate,
        poses: &[Pose2],
        stretch: &Stretch,
        safe: bool,
    ) -> Weighed {
        let c = soil.config;
        let curvature = |i: usize| c.curvatures_per_m.get(i).copied().unwrap_or(0.0);
        Weighed {
            curvature_first_per_m: curvature(candidate.first),
            curvature_second_per_m: candidate.second.map_or(0.0, curvature),
            poses: poses.to_vec(),
            chosen: safe,
            safe,
            reason: stretch.blocked.map_or(String::new(), |b| b.to_string()),
            cost_s: candidate.cost_s,
            max_tilt_rad: stretch.max_tilt_rad,
            min_clearance_m: stretch.min_clearance_m,
        }
    }

    /// Checks poses that follow each other after `before`; `from_m` is the way to the first of them. What is driven before
    /// the next planning is checked twice as densely.
    fn stretch(
        &mut self,
        before: Pose2,
        poses: &[Pose2],
        from_m: f64,
        must_know_m: f64,
    ) -> Stretch {
        let ds = self.config.sample_m();
        let mut out = Stretch::EMPTY;
        let mut before = before;
        for (i, &pose) in poses.iter().enumerate() {
            let at_m = from_m + i as f64 * ds;
            // Out of where it stands the rover may use what a path under way may use.
            let steps = if self.way_out { WAY_OUT_SAMPLES } else { 1.5 };
            let share = if at_m <= steps * ds {
                self.first_share()
            } else {
                self.config.limit_share
            };
            let between = (at_m <= must_know_m + ds).then(|| middle(before, pose));
            before = pose;
            for pose in between.into_iter().chain([pose]) {
                match self
                    .checker
                    .verdict(self.ground, self.limits, share, pose, 1.0)
                {
                    Verdict::Safe {
                        tilt_rad,
                        clearance_m,
                    } => {
                        out.max_tilt_rad = out.max_tilt_rad.max(tilt_rad);
                        out.min_clearance_m = out.min_clearance_m.min(clearance_m);
                    }
                    Verdict::Unknown if at_m - ds >= must_know_m => {}
                    verdict => {
                        out.blocked = Some(Blocked { pose, verdict });
                        return out;
                    }
                }
            }
        }
        out
    }

    /// Settles at headings along a turn in place, so near to each other that no wheel passes over a stone between two.
    fn turn(&mut self, soil: &Soil<'_>, turn: usize) -> Stretch {
        let angle = soil.config.turns_rad.get(turn).copied().unwrap_or(0.0);
        self.turn_by(soil.start, angle)
    }

    fn turn_by(&mut self, start: Pose2, angle_rad: f64) -> Stretch {
        let steps = (angle_rad.abs() / TURN_STEP_RAD).ceil() as usize;
        let share = self.first_share();
        let mut out = Stretch::EMPTY;
        for i in 1..=steps {
            let pose = Pose2 {
                yaw_rad: wrap_rad(start.yaw_rad + angle_rad * i as f64 / steps as f64),
                ..start
            };
            match self
                .checker
                .verdict(self.ground, self.limits, share, pose, 0.0)
            {
                Verdict::Safe {
                    tilt_rad,
                    clearance_m,
                } => {
                    out.max_tilt_rad = out.max_tilt_rad.max(tilt_rad);
                    out.min_clearance_m = out.min_clearance_m.min(clearance_m);
                }
                verdict => {
                    out.blocked = Some(Blocked { pose, verdict });
                    break;
                }
            }
        }
        out
    }

    /// What blocks a turn in place on the spot, if anything.
    pub fn turn_blocked(&mut self, start: Pose2, angle_rad: f64) -> Option<Blocked> {
        self.turn_by(start, angle_rad).blocked
    }

    /// What blocks the way along poses that the rover is already on (limits times `held`), up to `until_m`.
    pub fn held_blocked(
        &mut self,
        poses: &[Pose2],
        until_m: f64,
        direction: f64,
    ) -> Option<Blocked> {
        let mut way_m = 0.0;
        let mut before: Option<Pose2> = None;
        let near = poses.iter().take_while(|p| {
            // The first of them lies up to one sample ahead.
            way_m += before.map_or(0.0, |b| (b.x_m - p.x_m).hypot(b.y_m - p.y_m));
            before = Some(**p);
            way_m < until_m.max(self.config.sample_m()) - 1e-9
        });
        near.copied()
            .collect::<Vec<_>>()
            .into_iter()
            .find_map(|pose| {
                let verdict = self.checker.verdict(
                    self.ground,
                    self.limits,
                    self.first_share(),
                    pose,
                    direction,
                );
                (!matches!(verdict, Verdict::Safe { .. })).then_some(Blocked { pose, verdict })
            })
    }
}

/// The pose half way between two near ones.
fn middle(a: Pose2, b: Pose2) -> Pose2 {
    Pose2::new(
        0.5 * (a.x_m + b.x_m),
        0.5 * (a.y_m + b.y_m),
        wrap_rad(a.yaw_rad + 0.5 * wrap_rad(b.yaw_rad - a.yaw_rad)),
    )
}
