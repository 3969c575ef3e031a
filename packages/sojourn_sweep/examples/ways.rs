//! Whether there is a way at all: how many worlds of a sweep a rover could cross that knew all of the ground.
//!
//!     cargo run -p sojourn_sweep --example ways -- config/sweeps/enav_table_quick.yaml 0.2 1.0 0.9 0.83
//!
//! CFA of the worlds, then shares of the limits: one number for all, or `0.83,0.92,0.7` for tilt and clearance shares of their own (the
//! second and third). Ground truth is settled at places a quarter of a metre and headings 15° apart; a
//! rover goes from one to another by turning in place and by arcs of half a metre, ahead and back, where the limits hold at both ends and
//! half way. Slip counts for nothing, so what has no way here has none for a planner that sees, drifts and slips.

use sojourn_core::{
    body::Body,
    frames::Pose2,
    limits::Share,
    rover::Rover,
    settle::{Settled, Settler},
};
use sojourn_sweep::{
    config::SweepConfig,
    run::Sweep,
    scene::{Scene, SceneParams},
};
use sojourn_twin::world::AtHand;
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet},
    path::{Path, PathBuf},
};

const CELL_M: f64 = 0.25;
const HEADINGS: i64 = 24;
const STEP_M: f64 = 0.5;
/// What a turn in place by one heading counts like, and how much more than it is the way that is left counts.
const TURN_MM: u64 = 200;
const EAGER: f64 = 1.5;

type Place = (i64, i64, i64);

/// Ground truth, settled where it is asked for.
struct Ground<'a> {
    scene: &'a Scene,
    params: &'a SceneParams,
    rover: &'a Rover,
    settler: Settler,
    at_hand: AtHand<'a>,
    known: HashMap<(i64, i64, i64), Option<Settled>>,
}

impl Ground<'_> {
    /// A pose in halves of cells and headings.
    fn pose(at: Place) -> Pose2 {
        let turn = std::f64::consts::TAU / (2 * HEADINGS) as f64;
        Pose2::new(
            0.5 * CELL_M * at.0 as f64,
            0.5 * CELL_M * at.1 as f64,
            turn * at.2 as f64,
        )
    }

    fn inside(&self, p: Pose2) -> bool {
        let (s, g) = (&self.scene.start, &self.scene.goal);
        let (dx, dy) = (g.x_m - s.x_m, g.y_m - s.y_m);
        let d = dx.hypot(dy);
        let (x, y) = (p.x_m - s.x_m, p.y_m - s.y_m);
        let (along, across) = ((x * dx + y * dy) / d, (y * dx - x * dy) / d);
        let half = self.params.half_width_m;
        across.abs() < half && along > -half && along < d + half
    }

    fn holds(&mut self, at: Place, share: Share) -> bool {
        let p = Self::pose(at);
        if !self.inside(p) {
            return false;
        }
        let (settler, at_hand) = (&self.settler, &self.at_hand);
        let settled = self
            .known
            .entry(at)
            .or_insert_with(|| settler.settle(at_hand, p));
        settled
            .as_ref()
            .is_some_and(|s| s.excess(&self.rover.limits, share).is_none())
    }

    /// Where one move leads, and the place half way.
    fn moves(at: Place) -> Vec<(Place, Place)> {
        let full = 2 * HEADINGS;
        let mut out = Vec::new();
        for turn in [-1, 1] {
            out.push((
                (at.0, at.1, (at.2 + 2 * turn).rem_euclid(full)),
                (at.0, at.1, (at.2 + turn).rem_euclid(full)),
            ));
        }
        for ahead in [1.0, -1.0] {
            for bend in [-1, 0, 1] {
                let middle = (at.2 + bend).rem_euclid(full);
                let yaw = Self::pose((0, 0, middle)).yaw_rad;
                let to = |v: f64| (ahead * STEP_M * v / CELL_M).round() as i64;
                let (dx, dy) = (to(yaw.cos()), to(yaw.sin()));
                out.push((
                    (
                        at.0 + 2 * dx,
                        at.1 + 2 * dy,
                        (at.2 + 2 * bend).rem_euclid(full),
                    ),
                    (at.0 + dx, at.1 + dy, middle),
                ));
            }
        }
        out
    }

    /// Whether places that hold lead from start to goal.
    fn crossed(&mut self, share: Share) -> bool {
        let (s, g) = (self.scene.start, self.scene.goal);
        let whole = |v: f64| 2 * (v / CELL_M).round() as i64;
        let heading = std::f64::consts::TAU / HEADINGS as f64;
        let first = (
            whole(s.x_m),
            whole(s.y_m),
            2 * ((s.yaw_rad / heading).round() as i64).rem_euclid(HEADINGS),
        );
        let left_mm = |at: Place| {
            let p = Self::pose(at);
            (1e3 * EAGER * (p.x_m - g.x_m).hypot(p.y_m - g.y_m)) as u64
        };
        let mut open = BinaryHeap::from([Reverse((left_mm(first), 0u64, first))]);
        let mut seen = HashSet::from([first]);
        while let Some(Reverse((_, way_mm, at))) = open.pop() {
            let p = Self::pose(at);
            if (p.x_m - g.x_m).hypot(p.y_m - g.y_m) <= g.tolerance_m {
                return true;
            }
            for (to, between) in Self::moves(at) {
                if !seen.contains(&to) && self.holds(to, share) && self.holds(between, share) {
                    seen.insert(to);
                    let turns = (to.0, to.1) == (at.0, at.1);
                    let more_mm = if turns {
                        TURN_MM
                    } else {
                        (1e3 * STEP_M) as u64
                    };
                    let way_mm = way_mm + more_mm;
                    open.push(Reverse((way_mm + left_mm(to), way_mm, to)));
                }
            }
        }
        false
    }
}

/// `0.83`, or `0.83,0.92,0.7`: of tilt the second, of clearance the third.
fn share(text: &str) -> Result<Share, std::num::ParseFloatError> {
    let mut parts = text.split(',').map(str::parse::<f64>);
    let rest = parts.next().unwrap_or(Ok(1.0))?;
    let tilt = parts.next().unwrap_or(Ok(rest))?;
    let clearance = parts.next().unwrap_or(Ok(rest))?;
    Ok(Share {
        rest,
        tilt,
        clearance,
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [file, cfa, shares @ ..] = args.as_slice() else {
        return Err("give a sweep's file, a CFA and shares of the limits".into());
    };
    let cfa: f64 = cfa.parse()?;
    let shares: Vec<(&String, Share)> = shares
        .iter()
        .map(|s| Ok((s, share(s)?)))
        .collect::<Result<_, std::num::ParseFloatError>>()?;
    let config_dir = PathBuf::from("config");
    let config = SweepConfig::load(Path::new(file))?;
    let sweep = Sweep::new(config, &config_dir)?;
    let (rover, body): (&Rover, &Body) = (sweep.rover(), sweep.body());
    let p = &sweep.config().scene;
    let mut sums = vec![0; shares.len()];
    let mut worlds = 0;
    for spec in sweep.runs().iter().filter(|r| r.scene.cfa == cfa) {
        let scene = Scene::new(&spec.scene, p, rover, body)?;
        let mut ground = Ground {
            scene: &scene,
            params: p,
            rover,
            settler: Settler::new(rover, 0.05),
            at_hand: scene.world.at_hand(
                [
                    0.5 * (scene.start.x_m + scene.goal.x_m),
                    0.5 * (scene.start.y_m + scene.goal.y_m),
                ],
                0.5 * p.distance_m + p.half_width_m + 4.0,
            ),
            known: HashMap::new(),
        };
        let mut row = format!("run {}, {} deg:", spec.run, spec.scene.slope_deg);
        for ((share, of_limits), sum) in shares.iter().zip(&mut sums) {
            let crossed = ground.crossed(*of_limits);
            *sum += i32::from(crossed);
            row += &format!("  {share}: {}", if crossed { "a way" } else { "none" });
        }
        println!("{row}");
        worlds += 1;
    }
    for ((share, _), sum) in shares.iter().zip(&sums) {
        println!("{sum} of {worlds} worlds have a way within {share} of the limits");
    }
    Ok(())
}
