//! From a line to segments of the length that the mission asks for.

use crate::cost::CostMap;
use crate::line::line_cost;
use crate::search::densify;
use sojourn_core::constraints::Constraints;
use sojourn_core::geometry::{Xy, distance_m};

/// Cost of a waypoint, in metres of easy ground.
const WAYPOINT_COST: f64 = 0.5;
/// Cost of a segment whose length is off by its whole length.
const LENGTH_COST: f64 = 2.0;
/// Shortest length that is aimed at beside hazards, as a share of the nominal.
const FINE_SHARE: f64 = 0.4;

/// Waypoints after the start, the last one the line's end. Every segment is straight, of `segment_min_m` to
/// `segment_max_m`, and crosses no closed ground; beside hazards they are shorter. `None` when no such chain exists.
pub(crate) fn split(map: &CostMap, line: &[Xy], c: &Constraints) -> Option<Vec<Xy>> {
    let spacing_m = (0.25 * c.segment_min_m).clamp(0.1, 0.5);
    let points = densify(line, spacing_m);
    let n = points.len();
    let mut along = vec![0.0; n];
    for i in 1..n {
        along[i] = along[i - 1] + distance_m(points[i - 1], points[i]);
    }
    let mut best = vec![f64::INFINITY; n];
    let mut from = vec![0usize; n];
    *best.first_mut()? = 0.0;
    for j in 1..n {
        for i in (0..j).rev() {
            // A segment may be as long as this along a winding line; beyond it nothing is looked for.
            if along[j] - along[i] > 1.6 * c.segment_max_m {
                break;
            }
            let d = distance_m(points[i], points[j]);
            if d < c.segment_min_m || d > c.segment_max_m || best[i] + d >= best[j] {
                continue;
            }
            if let Some(cost) = line_cost(map, points[i], points[j]) {
                let aim = aim_m(map, points[(i + j) / 2], c);
                let off = (d - aim) / aim;
                let to = best[i] + cost + WAYPOINT_COST + LENGTH_COST * off * off;
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
        chain.push(points[at]);
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
