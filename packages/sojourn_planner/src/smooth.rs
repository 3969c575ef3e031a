//! Any-angle smoothing: the straightening of what a search over cells finds.

use crate::cost::CostMap;
use crate::line::line_cost;
use sojourn_core::geometry::{Xy, distance_m, length_m};

/// Points ahead that straightening looks at cell by cell.
const LOOK_AHEAD: usize = 60;
/// Points that straightening looks at over the whole way.
const WHOLE_POINTS: f64 = 300.0;

/// A polyline along the given points, from the first to the last, that crosses no closed ground and costs no more than
/// the points' own; `None` when the points themselves cross closed ground.
///
/// Three passes: near ones cell by cell, then far ones over the whole way, which no search over a cell's neighbours sees,
/// then the near ones again.
pub(crate) fn straighten(map: &CostMap, points: &[Xy]) -> Option<Vec<Xy>> {
    let mut line = cheapest(map, points, LOOK_AHEAD)?;
    let wide_m = (length_m(&line) / WHOLE_POINTS).max(map.cell_m());
    for (spacing_m, ahead) in [(wide_m, usize::MAX), (map.cell_m(), LOOK_AHEAD)] {
        // Rounding may close a line that just touched a corner; then the line stays as it was.
        line = cheapest(map, &densify(&line, spacing_m), ahead).unwrap_or(line);
    }
    Some(line)
}

/// The cheapest polyline over points in their order that skips less than `ahead` of them at a time.
fn cheapest(map: &CostMap, points: &[Xy], ahead: usize) -> Option<Vec<Xy>> {
    let n = points.len();
    let mut best = vec![f64::INFINITY; n];
    let mut from = vec![0usize; n];
    *best.first_mut()? = 0.0;
    for j in 1..n {
        // From far to near: a long line that is no dearer than a bent one wins.
        for i in j.saturating_sub(ahead)..j {
            if best[i] + distance_m(points[i], points[j]) >= best[j] {
                continue;
            }
            if let Some(cost) = line_cost(map, points[i], points[j]) {
                let to = best[i] + cost + 1e-6;
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
    let mut line = vec![n - 1];
    let mut at = n - 1;
    while at > 0 {
        at = from[at];
        line.push(at);
    }
    Some(line.into_iter().rev().map(|i| points[i]).collect())
}

/// Points along a polyline at most `spacing_m` apart, all its corners among them.
pub(crate) fn densify(line: &[Xy], spacing_m: f64) -> Vec<Xy> {
    let mut out: Vec<Xy> = line.first().copied().into_iter().collect();
    for w in line.windows(2) {
        let (a, b) = (w[0], w[1]);
        let n = (distance_m(a, b) / spacing_m).ceil().max(1.0) as usize;
        for k in 1..n {
            let t = k as f64 / n as f64;
            out.push([a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])]);
        }
        out.push(b);
    }
    out
}
