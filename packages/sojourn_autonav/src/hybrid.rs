//! The way on from a place from which no candidate leads: a search over poses on all of the ground that is known.
//!
//! Candidates look two arcs far and go ahead; between rocks a rover may have to back up, turn a little and back up again before the
//! way is free. This is hybrid A* (Dolgov, Thrun, Montemerlo and Diebel 2010): turns in place and short arcs ahead and back from pose to
//! pose; poses are continuous, and of those in one cell and heading the cheapest that was reached counts. The cost map's cost to go is the
//! heuristic. A step is checked when its turn comes and not before, as densely as the metre that is driven next. The search goes on
//! from call to call, so that no call takes long; it keeps the ground that it began with, and whoever drives the way checks it on the
//! newest.

mod steps;

use self::steps::{Key, Step, cell_m, end, key, poses, samples, step_m};
use crate::{
    check::{Checker, Verdict},
    config::Config,
    corridor::Corridor,
    costmap::CostMap,
    ground::Ground,
    paths::{apart_m, arc},
};
use sojourn_core::{
    frames::{Pose2, wrap_rad},
    geometry::{Xy, distance_m},
    limits::{Limits, Share},
};
use std::{
    cmp::Ordering,
    collections::{BTreeSet, BinaryHeap},
    sync::Arc,
};

/// The first steps out of where the rover stands, samples.
const FIRST_SAMPLES: f64 = 2.5;
/// A way back costs as much more than one ahead: what lies behind is not seen.
const BACK_FACTOR: f64 = 1.5;
/// How much more than the way driven the cost to go counts: ways a fifth dearer than the cheapest are good enough.
const EAGER: f64 = 1.2;
/// Between rocks the clearance that a new way has to keep is this much greater than elsewhere.
const CLEARANCE_SHARE: f64 = 0.85;
/// Poses this near to one that was refused are as bad, metres and radians.
const REFUSED_M: f64 = 0.06;
const REFUSED_RAD: f64 = 0.05;
/// A pose takes as long to settle as so many take to be looked up.
const LOOKS_OF_A_SETTLING: usize = 40;

/// Shares of the limits within which ways are looked for, one after the other: those of a new way; the same but for the first steps,
/// which may use as much as a way under way, for at the end of such a one the rover stands; those of a way under way; those of a way
/// out; the same in smaller steps where the rover stands.
const LEVELS: usize = 5;
const FINE_LEVEL: usize = 4;
/// Small steps are of use where large ones led to so few places at most, and not where there is room to drive about in vain.
const FINE_PLACES: usize = 40;
/// So far from where the rover stands small steps are taken, samples.
const FINE_OUT_SAMPLES: f64 = 3.0;

/// How a leg is driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// In place.
    Turn,
    /// Forward.
    Ahead,
    /// Backward.
    Back,
}

/// A part of a way that is driven in one manner.
#[derive(Clone, Debug, PartialEq)]
pub struct Leg {
    /// How it is driven.
    pub manner: Manner,
    /// Signed angle of a turn, radians.
    pub turn_rad: f64,
    /// Poses in `odom`, the first where it begins.
    pub poses: Vec<Pose2>,
    /// Share of the limits that it may use while it is driven.
    pub held: Share,
}

/// How far a search has come.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// To be called again.
    Working,
    /// A way.
    Found(Vec<Leg>),
    /// There is none over the ground that is known, or the places to be looked at are used up.
    Nothing,
}

/// What a search is asked for.
#[derive(Clone, Debug)]
pub struct Task {
    /// Ground.
    pub ground: Ground,
    /// Costs.
    pub map: CostMap,
    /// Where the rover's centre may be.
    pub corridor: Corridor,
    /// Limits that hold on this way.
    pub limits: Limits,
    /// The rover in `odom`.
    pub start: Pose2,
    /// The waypoint in `odom`, metres.
    pub goal_xy: Xy,
    /// A way that comes this near to the waypoint ends there, metres.
    pub near_m: f64,
    /// A way ends this far from its beginning, metres.
    pub away_m: f64,
    /// A way to the edge of the known ground is at least this long, metres.
    pub edge_m: f64,
    /// Rate of a turn in place, rad/s.
    pub turn_radps: f64,
    /// Poses that no step may come near to, with the direction (1 ahead, −1 back, 0 turning) in which they did not hold.
    pub refused: Vec<(Pose2, f64)>,
}

#[derive(Clone, Debug)]
struct Node {
    pose: Pose2,
    cost_s: f64,
    /// Where it comes from, and how.
    from: Option<(usize, Step)>,
}

/// A node whose turn may come, cheapest first; of equals the older one.
#[derive(Clone, Debug, PartialEq)]
struct Open {
    whole_s: f64,
    node: usize,
}

impl Open {
    const START: Self = Self {
        whole_s: 0.0,
        node: 0,
    };
}

impl Eq for Open {}

impl Ord for Open {
    fn cmp(&self, other: &Self) -> Ordering {
        let cheaper = other.whole_s.total_cmp(&self.whole_s);
        cheaper.then(other.node.cmp(&self.node))
    }
}

impl PartialOrd for Open {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What a step is.
enum Check {
    Holds,
    Fails,
    Unseen,
}

/// A search that goes on from call to call.
#[derive(Clone, Debug)]
pub struct HybridAStar {
    task: Task,
    steps: Arc<[Step]>,
    /// The small ones.
    fine: Arc<[Step]>,
    nodes: Vec<Node>,
    open: BinaryHeap<Open>,
    /// Cells and headings that a step that holds has led to.
    done: BTreeSet<Key>,
    /// The cheapest node at the edge of what is known that lies too near to end a search there.
    edge: Option<usize>,
    checked: usize,
    /// Which of [`LEVELS`] the search is at.
    level: usize,
}

impl HybridAStar {
    /// A search that has not begun.
    #[must_use]
    pub fn new(config: &Config, task: Task) -> Self {
        let start = Node {
            pose: task.start,
            cost_s: 0.0,
            from: None,
        };
        Self {
            task,
            steps: steps::large(config),
            fine: steps::small(config),
            nodes: vec![start],
            open: BinaryHeap::from([Open::START]),
            done: BTreeSet::new(),
            edge: None,
            checked: 0,
            level: 0,
        }
    }

    /// Steps that were checked.
    #[must_use]
    pub fn checked(&self) -> usize {
        self.checked
    }

    /// Places that were reached and from which the way that was found does not lead on: all that lie `clear_m` beside it at least.
    #[must_use]
    pub fn in_vain(&self, config: &Config, way: &[Leg], clear_m: f64) -> Vec<Xy> {
        let cells: BTreeSet<(i64, i64, bool)> =
            self.done.iter().map(|&(x, y, _, f)| (x, y, f)).collect();
        let at =
            |(x, y, fine): (i64, i64, bool)| [x as f64, y as f64].map(|v| v * cell_m(config, fine));
        let on_way = |p: Xy| {
            let mut poses = way.iter().flat_map(|l| &l.poses);
            poses.any(|q| distance_m(p, [q.x_m, q.y_m]) < clear_m)
        };
        cells.into_iter().map(at).filter(|p| !on_way(*p)).collect()
    }

    /// Goes on for about as long as `settles` settled poses take.
    pub fn advance(&mut self, config: &Config, checker: &mut Checker, settles: usize) -> Progress {
        checker.start();
        while self.checked < config.seek_steps {
            let Some(Open { node, .. }) = self.open.pop() else {
                let next = self.level + 1;
                let roomy = next == FINE_LEVEL && self.done.len() > FINE_PLACES;
                if next >= LEVELS || self.edge.is_some() || roomy {
                    break;
                }
                self.begin_again();
                continue;
            };
            if let Some(legs) = self.visit(config, checker, node) {
                return Progress::Found(legs);
            }
            if checker.settled + checker.looked_up / LOOKS_OF_A_SETTLING >= settles {
                return Progress::Working;
            }
        }
        // The nearest edge of what is known is better than nothing.
        match self.edge {
            Some(node) => Progress::Found(self.legs(config, node)),
            None => Progress::Nothing,
        }
    }

    /// From the beginning, within the shares of the next level.
    fn begin_again(&mut self) {
        self.level += 1;
        self.nodes.truncate(1);
        self.done.clear();
        self.open.push(Open::START);
    }

    /// Share of the limits that a pose may use.
    fn share(&self, config: &Config, pose: Pose2) -> Share {
        let first = apart_m(pose, self.task.start) <= FIRST_SAMPLES * config.sample_m();
        let share = match self.level {
            1 if first => config.hold_share,
            0 | 1 => config.limit_share,
            2 => config.hold_share,
            _ => return config.out_share,
        };
        Share {
            clearance: CLEARANCE_SHARE * share.clearance,
            ..share
        }
    }

    /// What a leg may use while it is driven: as much more as the ground may look worse from near by.
    fn held(&self, config: &Config, first: bool) -> Share {
        let (share, clearance) = match self.level {
            0 => (config.hold_share, config.limit_share),
            1 if !first => (config.hold_share, config.limit_share),
            1 | 2 => (config.out_share, config.hold_share),
            _ => (config.out_share, config.out_share),
        };
        Share {
            clearance: clearance.clearance,
            ..share
        }
    }

    /// Whether small steps lead on from a pose too.
    fn is_fine(&self, config: &Config, pose: Pose2) -> bool {
        self.level == FINE_LEVEL
            && apart_m(pose, self.task.start) <= FINE_OUT_SAMPLES * config.sample_m()
    }

    /// Whether a pose is as good as one that was refused.
    fn is_refused(&self, pose: Pose2, direction: f64) -> bool {
        self.task.refused.iter().any(|(at, way)| {
            *way == direction
                && apart_m(*at, pose) <= REFUSED_M
                && wrap_rad(at.yaw_rad - pose.yaw_rad).abs() <= REFUSED_RAD
        })
    }

    /// Takes a node whose turn has come; returns the way when it ends here.
    fn visit(&mut self, config: &Config, checker: &mut Checker, node: usize) -> Option<Vec<Leg>> {
        let &Node { pose, from, .. } = self.nodes.get(node)?;
        let fine = self.is_fine(config, pose);
        let key = key(config, pose, fine);
        if self.done.contains(&key) {
            return None;
        }
        let out_m = |p: Pose2| apart_m(p, self.task.start);
        if let Some((before, step)) = from {
            self.checked += 1;
            let from_pose = self.nodes.get(before)?.pose;
            match self.check(config, checker, from_pose, &step) {
                Check::Holds => {}
                Check::Fails => return None,
                Check::Unseen => {
                    if out_m(from_pose) >= self.task.edge_m {
                        return Some(self.legs(config, before));
                    }
                    if out_m(from_pose) >= step_m(config) {
                        self.edge = self.edge.or(Some(before));
                    }
                    return None;
                }
            }
        }
        self.done.insert(key);
        let at = [pose.x_m, pose.y_m];
        if out_m(pose) >= self.task.away_m || distance_m(at, self.task.goal_xy) <= self.task.near_m
        {
            return Some(self.legs(config, node));
        }
        for step in Arc::clone(&self.steps).iter() {
            self.grow(config, node, *step);
        }
        if fine {
            for step in Arc::clone(&self.fine).iter() {
                self.grow(config, node, *step);
            }
        }
        None
    }

    /// Notes where a step leads, when nothing has led there.
    fn grow(&mut self, config: &Config, node: usize, step: Step) {
        let Some(&Node { pose, cost_s, from }) = self.nodes.get(node) else {
            return;
        };
        let next = end(pose, &step);
        let cost_s = cost_s + self.cost_s(config, from.map(|(_, s)| s.manner), pose, &step);
        if self
            .done
            .contains(&key(config, next, self.is_fine(config, next)))
        {
            return;
        }
        self.open.push(Open {
            whole_s: cost_s + EAGER * self.task.map.to_go_s([next.x_m, next.y_m]),
            node: self.nodes.len(),
        });
        self.nodes.push(Node {
            pose: next,
            cost_s,
            from: Some((node, step)),
        });
    }

    /// Time that a step takes after one of another manner, weighed by the ground.
    fn cost_s(&self, config: &Config, before: Option<Manner>, pose: Pose2, step: &Step) -> f64 {
        let change_s = if before.is_none_or(|b| b == step.manner) {
            0.0
        } else {
            config.turn_cost_s
        };
        let way_s = || self.task.map.way_s(pose, step.way_m, config.unknown_factor);
        change_s
            + match step.manner {
                Manner::Turn => step.turn_rad.abs() / self.task.turn_radps,
                Manner::Ahead => way_s(),
                Manner::Back => BACK_FACTOR * way_s(),
            }
    }

    /// Whether the rover may drive a step.
    fn check(&self, config: &Config, checker: &mut Checker, from: Pose2, step: &Step) -> Check {
        let t = &self.task;
        let (poses, direction) = poses(config, from, step);
        let depth_m = t.corridor.depth_m([t.start.x_m, t.start.y_m]);
        let margin_m = config.corridor_margin_m.min(depth_m.max(0.0));
        for p in &poses {
            if !t.corridor.holds([p.x_m, p.y_m], margin_m) {
                return Check::Fails;
            }
            if self.is_refused(*p, direction) {
                return Check::Fails;
            }
            let share = self.share(config, *p);
            match checker.verdict(&t.ground, &t.limits, share, *p, direction) {
                Verdict::Safe { .. } => {}
                Verdict::Unsafe(_) => return Check::Fails,
                Verdict::Unknown => return Check::Unseen,
            }
        }
        Check::Holds
    }

    /// The steps to a node, those of one manner together.
    fn legs(&self, config: &Config, to: usize) -> Vec<Leg> {
        let mut steps = Vec::new();
        let mut at = to;
        while let Some((before, step)) = self.nodes.get(at).and_then(|n| n.from) {
            steps.push((before, step));
            at = before;
        }
        let mut legs: Vec<Leg> = Vec::new();
        for (before, step) in steps.into_iter().rev() {
            let Some(from) = self.nodes.get(before).map(|n| n.pose) else {
                continue;
            };
            let goes_on = |l: &Leg| {
                l.manner == step.manner
                    && (step.manner != Manner::Turn || l.turn_rad * step.turn_rad > 0.0)
            };
            if !legs.last().is_some_and(goes_on) {
                legs.push(Leg {
                    manner: step.manner,
                    turn_rad: 0.0,
                    poses: vec![from],
                    held: self.held(config, legs.is_empty()),
                });
            }
            let Some(leg) = legs.last_mut() else {
                continue;
            };
            leg.turn_rad += step.turn_rad;
            let ds = config.sample_m().min(step.way_m);
            let n = samples(step.way_m, ds);
            match step.manner {
                Manner::Turn => leg.poses.push(end(from, &step)),
                Manner::Ahead => leg.poses.extend(arc(from, step.curvature_per_m, ds, n)),
                Manner::Back => leg.poses.extend(arc(from, step.curvature_per_m, -ds, n)),
            }
        }
        legs
    }
}
