//! From a line to segments of the length that the mission asks for.

use crate::cost::CostMap;
use crate::line::line_cost;
use crate::smooth::densify;
use sojourn_core::constraints::Constraints;
use sojourn_core::geometry::{Xy, distance_m};

/// Cost of a segment whose length is off by its whole length, in metres of easy ground.
const LENGTH_COST: f64 = 2.0;
/// Shortest length that is aimed at beside hazards, as a share of the nominal.
const FINE_SHARE: f64 = 0.4;

/// Offsets to the left of the line at which waypoints are looked for when the line itself holds none, metres.
const LANES_M: [f64; 8] = [0.5, -0.5, 1.0, -1.0, 1.5, -1.5, 2.0, -2.0];

/// Waypoints after the start, the last one the line's end. Every segment is straight, of `segment_min_m` to
/// `segment_max_m`, and crosses no closed ground; beside hazards they are shorter. `None` when no such chain exists.
///
/// The least-cost line may turn twice within the least length, around a boulder for instance; then waypoints beside
/// the line are taken.
pub(crate) fn split(map: &CostMap, line: &[Xy], c: &Constraints) -> Option<Vec<Xy>> {
    chain(map, line, c, &[]).or_else(|| chain(map, line, c, &LANES_M))
}

/// A point that may become a waypoint.
struct Candidate {
    at: Xy,
    /// Distance along the line, metres.
    along_m: f64,
}

fn candidates(map: &CostMap, line: &[Xy], spacing_m: f64, lanes_m: &[f64]) -> Vec<Candidate> {
    let points = densify(line, spacing_m);
    let mut out = Vec::new();
    let mut along_m = 0.0;
    for (i, &p) in points.iter().enumerate() {
        let before = points[i.saturating_sub(1)];
        along_m += distance_m(before, p);
        let last = i + 1 == points.len();
        let after = points[(i + 1).min(points.len() - 1)];
        let (dx, dy) = (after[0] - before[0], after[1] - before[1]);
        let d = dx.hypot(dy);
        if i > 0 && !last && d > 0.0 {
            for lane_m in lanes_m {
                let at = [p[0] - dy / d * lane_m, p[1] + dx / d * lane_m];
                if map.index(at).is_some_and(|i| map.free(i)) {
                    out.push(Candidate { at, along_m });
                }
            }
        }
        out.push(Candidate { at: p, along_m });
    }
    out
}

fn chain(map: &CostMap, line: &[Xy], c: &Constraints, lanes_m: &[f64]) -> Option<Vec<Xy>> {
    let spacing_m = (0.25 * c.segment_min_m).clamp(0.1, 0.5);
    let points = candidates(map, line, spacing_m, lanes_m);
    let n = points.len();
    let mut best = vec![f64::INFINITY; n];
    let mut from = vec![0usize; n];
    *best.first_mut()? = 0.0;
    for j in 1..n {
        for i in (0..j).rev() {
            // A segment may be as long as this along a winding line; beyond it nothing is looked for.
            if points[j].along_m - points[i].along_m > 1.6 * c.segment_max_m {
                break;
            }
            let (a, b) = (points[i].at, points[j].at);
            let d = distance_m(a, b);
            if d < c.segment_min_m || d > c.segment_max_m || best[i] + d >= best[j] {
                continue;
            }
            if let Some(cost) = line_cost(map, a, b) {
                let aim = aim_m(map, [0.5 * (a[0] + b[0]), 0.5 * (a[1] + b[1])], c);
                let off = (d - aim) / aim;
                let to = best[i] + cost + LENGTH_COST * off * off;
                if to < best[j] {
                    best[j] = to;
                    from[j] = i;
                }
            }
        }
    }
    if !best.last()?.is_finite() {
        return None;
    }
    let mut chain = Vec::new();
    let mut at = n - 1;
    while at > 0 {
        chain.push(points[at].at);
        at = from[at];
    }
    chain.reverse();
    Some(chain)
}

fn aim_m(map: &CostMap, p: Xy, c: &Constraints) -> f64 {
    let clear_m = map.index(p).map_or(0.0, |i| f64::from(map.clearance_m[i]));
    (1.5 * clear_m)
        .max(FINE_SHARE * c.segment_nominal_m)
        .max(c.segment_min_m)
        .min(c.segment_nominal_m)
}
