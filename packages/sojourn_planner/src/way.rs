//! From costs to a way that the rover can stand on everywhere.

use crate::cost::{Block, CostMap};
use crate::error::PlanError;
use crate::least_cost::{Enclosed, Found};
use crate::route::{PlanRequest, PlanStats};
use crate::search::{line_of, search};
use crate::segments::split;
use crate::stand::{Stander, Trouble};
use crate::validator::Ground;
use sojourn_core::constraints::Constraints;
use sojourn_core::geometry::{Xy, distance_m, length_m};
use sojourn_core::plan::Feature;

/// Rounds of search in which places where the rover cannot stand are closed, one after another.
const MAX_ROUNDS: usize = 40;
/// Ground around a place where the rover cannot stand that is looked at together with it, metres.
const LOOK_AROUND_M: f64 = 10.0;
/// Ground closed around such a place, metres: nobody threads a rover between two of them.
const STAND_CLEAR_M: f64 = 0.75;

/// What a way has to pass before it becomes a plan.
pub(crate) struct Checks<'a> {
    pub stander: Stander<'a>,
    pub ground: &'a Ground<'a>,
}

impl Checks<'_> {
    /// Every place that is not sound, in order along the way.
    pub fn troubles(&self, start: Xy, chain: &[Xy]) -> Vec<Trouble> {
        let line: Vec<Xy> = std::iter::once(start)
            .chain(chain.iter().copied())
            .collect();
        let mut out = self.stander.troubles(start, chain);
        out.extend(self.ground.troubles(&line));
        out
    }
}

/// A way from the start over the places in `via` to the goal: waypoints after the start, and figures.
pub(crate) fn find(
    map: &mut CostMap,
    request: &PlanRequest,
    via: &[Xy],
    c: &Constraints,
    checks: &Checks<'_>,
) -> Result<(Vec<Xy>, PlanStats), PlanError> {
    let mut leg = request.clone();
    let mut chain = Vec::new();
    let mut sum = PlanStats {
        cells: map.block.len(),
        cell_m: map.cell_m(),
        expanded: 0,
        rounds: 0,
        straight_m: distance_m(request.start_m, request.goal_m),
    };
    for to in via.iter().copied().chain([request.goal_m]) {
        leg.goal_m = to;
        let (more, stats) = find_leg(map, &leg, c, checks)?;
        chain.extend(more);
        sum.expanded += stats.expanded;
        sum.rounds += stats.rounds;
        leg.start_m = to;
    }
    Ok((chain, sum))
}

/// Searches, closes what the rover cannot stand on, searches again.
fn find_leg(
    map: &mut CostMap,
    request: &PlanRequest,
    c: &Constraints,
    checks: &Checks<'_>,
) -> Result<(Vec<Xy>, PlanStats), PlanError> {
    let [x_m, y_m] = request.goal_m;
    let no_route = |why: String| PlanError::NoRoute { x_m, y_m, why };
    let mut stats = PlanStats {
        cells: map.block.len(),
        cell_m: map.cell_m(),
        expanded: 0,
        rounds: 0,
        straight_m: distance_m(request.start_m, request.goal_m),
    };
    let mut trouble: Option<Trouble> = None;
    for _ in 0..MAX_ROUNDS {
        stats.rounds += 1;
        let chain = match search_chain(map, request, c, &mut stats) {
            Ok(chain) => chain,
            Err(why) => {
                return Err(no_route(match &trouble {
                    Some(t) => format!(
                        "{why}; ways over ({:.1}, {:.1}) are closed because the rover would stand there with {}",
                        t.at[0], t.at[1], t.what
                    ),
                    None => why,
                }));
            }
        };
        let troubles = checks.troubles(request.start_m, &chain);
        let ends = [map.index(request.start_m), map.index(request.goal_m)];
        let mut closed = false;
        let mut looked: Vec<Xy> = Vec::new();
        for t in &troubles {
            if !ends.contains(&map.index(t.at)) {
                map.close(t.at, STAND_CLEAR_M.max(0.71 * map.cell_m()));
                closed = true;
            }
            // Where there is one bad place there are more beside it: look around once for all that are near.
            if looked
                .iter()
                .all(|p| distance_m(*p, t.at) > 0.5 * LOOK_AROUND_M)
            {
                looked.push(t.at);
                for p in map.open_around(t.at, LOOK_AROUND_M) {
                    if checks.stander.trouble(p, t.yaw_rad).is_some() {
                        map.close(p, STAND_CLEAR_M);
                    }
                }
            }
        }
        // What was closed around a trouble must not close the ends themselves.
        for end in ends.into_iter().flatten() {
            if map.block[end] == Block::Stand {
                map.block[end] = Block::Free;
            }
        }
        let Some(first) = troubles.into_iter().next() else {
            return Ok((chain, stats));
        };
        if !closed {
            return Err(no_route(format!(
                "the rover would stand at ({:.1}, {:.1}) with {}",
                first.at[0], first.at[1], first.what
            )));
        }
        trouble = Some(first);
    }
    Err(no_route(match trouble {
        Some(t) => format!(
            "after {MAX_ROUNDS} searches the rover would still stand at ({:.1}, {:.1}) with {}",
            t.at[0], t.at[1], t.what
        ),
        None => "no search was made".into(),
    }))
}

/// Cells, straight lines, segments; a second search keeps off narrow passages when no segment of the least length fits
/// through those of the first. The error is the reason for people.
fn search_chain(
    map: &CostMap,
    request: &PlanRequest,
    c: &Constraints,
    stats: &mut PlanStats,
) -> Result<Vec<Xy>, String> {
    let line = search_line(map, request, stats)?;
    if let Some(chain) = split(map, &line, c) {
        return Ok(chain);
    }
    let wide = map.without_narrows(&[request.start_m, request.goal_m]);
    search_line(&wide, request, stats)
        .ok()
        .and_then(|line| split(&wide, &line, c))
        .ok_or_else(|| {
            format!(
                "the way of {:.1} m is too narrow and winding for straight segments of {} to {} m",
                length_m(&line),
                c.segment_min_m,
                c.segment_max_m
            )
        })
}

fn search_line(
    map: &CostMap,
    request: &PlanRequest,
    stats: &mut PlanStats,
) -> Result<Vec<Xy>, String> {
    let (Some(start), Some(goal)) = (map.index(request.start_m), map.index(request.goal_m)) else {
        return Err("start or goal is off the map".into());
    };
    match search(map, start, goal) {
        Some(Found::Path(path)) => {
            stats.expanded += path.expanded;
            line_of(map, &path.cells, request.start_m, request.goal_m)
                .ok_or_else(|| "the way around the first or last cell is too narrow".into())
        }
        Some(Found::Enclosed(Enclosed { reached, nearest })) => {
            stats.expanded += reached;
            Err(enclosed(map, request, reached, nearest))
        }
        None => Err("start or goal lies on closed ground".into()),
    }
}

/// What stops the way to the goal: the first closed ground on the straight line from the nearest reachable place.
fn enclosed(map: &CostMap, request: &PlanRequest, reached: usize, nearest: usize) -> String {
    let p = map.centre(nearest);
    let mut wall = None;
    crate::line::cells_along(map, p, request.goal_m, |i, _| {
        if !map.free(i) {
            wall = Some(i);
        }
        wall.is_none()
    });
    let area_m2 = reached as f64 * map.cell_m() * map.cell_m();
    let stopped = wall.map_or_else(String::new, |i| {
        let q = map.centre(i);
        format!(
            ", stopped by ground at ({:.1}, {:.1}) that {}",
            q[0],
            q[1],
            map.explain(i, &[])
        )
    });
    format!(
        "the {area_m2:.0} m² that can be driven from the start end {:.1} m short of it at ({:.1}, {:.1}){stopped}",
        distance_m(p, request.goal_m),
        p[0],
        p[1]
    )
}

/// When the labels alone stand in the way, the sentence says so.
pub(crate) fn blame_labels(
    error: PlanError,
    mut measured: CostMap,
    request: &PlanRequest,
    c: &Constraints,
    checks: &Checks<'_>,
    features: &[Feature],
) -> PlanError {
    let via: Vec<Xy> = c.stops.iter().map(|s| s.at_m).collect();
    let forbidding: Vec<String> = features
        .iter()
        .enumerate()
        .filter(|(_, f)| f.forbids)
        .map(|(k, f)| {
            format!(
                "{k} \"{}\" (confidence {:.2})",
                f.class.traits().name,
                f.confidence
            )
        })
        .collect();
    if forbidding.is_empty() || find(&mut measured, request, &via, c, checks).is_err() {
        return error;
    }
    PlanError::NoRoute {
        x_m: request.goal_m[0],
        y_m: request.goal_m[1],
        why: format!(
            "the model's labels that forbid ground close every way that the elevation model leaves open: {}",
            forbidding.join(", ")
        ),
    }
}
