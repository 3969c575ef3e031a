//! Least-cost search over the cells, and the straightening of what it finds.

use crate::cost::CostMap;
use crate::line::line_cost;
use sojourn_core::geometry::{Xy, distance_m, length_m};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Cost units per metre-cell, so that costs are whole numbers and ties fall the same way on every machine.
const UNITS: f64 = 1024.0;
/// Points ahead that straightening looks at cell by cell.
const LOOK_AHEAD: usize = 60;
/// Points that straightening looks at over the whole way.
const WHOLE_POINTS: f64 = 300.0;

/// What a search found.
pub(crate) enum Found {
    /// Cells from start to goal, and how many were looked at.
    Path(Vec<usize>, usize),
    /// The goal is not on the ground that can be reached: how many cells are, and the one nearest to the goal.
    Enclosed(usize, usize),
}

/// A* over the eight neighbours; a diagonal step needs both cells beside it open.
pub(crate) fn search(map: &CostMap, start: usize, goal: usize) -> Found {
    let (cols, rows) = (map.cols(), map.rows());
    let n = cols * rows;
    let (goal_c, goal_r) = (goal % cols, goal / cols);
    let heuristic = |i: usize| {
        let dx = (i % cols).abs_diff(goal_c) as f64;
        let dy = (i / cols).abs_diff(goal_r) as f64;
        // No cell costs less than 1 per metre; rounding down keeps the estimate below the truth.
        (UNITS * 0.999 * (dx.max(dy) + (std::f64::consts::SQRT_2 - 1.0) * dx.min(dy))) as u64
    };
    let mut best = vec![u64::MAX; n];
    let mut parent = vec![u32::MAX; n];
    let mut done = vec![false; n];
    let mut heap = BinaryHeap::new();
    best[start] = 0;
    heap.push(Reverse((heuristic(start), start)));
    let mut expanded = 0;
    let mut nearest = (u64::MAX, start);
    while let Some(Reverse((_, i))) = heap.pop() {
        if done[i] {
            continue;
        }
        done[i] = true;
        expanded += 1;
        if i == goal {
            return Found::Path(trace(&parent, start, goal), expanded);
        }
        let h = heuristic(i);
        if h < nearest.0 {
            nearest = (h, i);
        }
        let (c, r) = (i % cols, i / cols);
        for (dc, dr) in [
            (1i64, 0i64),
            (0, 1),
            (-1, 0),
            (0, -1),
            (1, 1),
            (-1, 1),
            (-1, -1),
            (1, -1),
        ] {
            let (nc, nr) = (c as i64 + dc, r as i64 + dr);
            if nc < 0 || nr < 0 || nc >= cols as i64 || nr >= rows as i64 {
                continue;
            }
            let j = nr as usize * cols + nc as usize;
            if done[j] || !map.free(j) {
                continue;
            }
            let diagonal = dc != 0 && dr != 0;
            if diagonal && !(map.free(r * cols + nc as usize) && map.free(nr as usize * cols + c)) {
                continue;
            }
            let length = if diagonal {
                std::f64::consts::SQRT_2
            } else {
                1.0
            };
            let mean = 0.5 * (f64::from(map.cost[i]) + f64::from(map.cost[j]));
            let to = best[i].saturating_add((UNITS * length * mean).round() as u64);
            if to < best[j] {
                best[j] = to;
                parent[j] = i as u32;
                heap.push(Reverse((to + heuristic(j), j)));
            }
        }
    }
    Found::Enclosed(expanded, nearest.1)
}

fn trace(parent: &[u32], start: usize, goal: usize) -> Vec<usize> {
    let mut path = vec![goal];
    let mut at = goal;
    while at != start && path.len() <= parent.len() {
        at = parent[at] as usize;
        path.push(at);
    }
    path.reverse();
    path
}

/// A polyline along the given points, from the first to the last, that crosses no closed ground and costs no more than
/// the points' own; `None` when the points themselves cross closed ground.
///
/// Three passes: near ones cell by cell, then far ones over the whole way, which no search over eight neighbours sees,
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
