//! Straight lines over the cost map.

use crate::cost::CostMap;
use sojourn_core::geometry::{Xy, distance_m};

/// Calls `visit(cell, metres)` for every cell that the line crosses, in order. A line through a corner where two cells
/// meet also visits both neighbours, with no metres, so that it cannot slip between two closed cells. Stops with
/// `false` when `visit` says so or the line leaves the map.
pub(crate) fn cells_along(
    map: &CostMap,
    a: Xy,
    b: Xy,
    mut visit: impl FnMut(usize, f64) -> bool,
) -> bool {
    let (Some((mut c, mut r)), Some(end)) =
        (map.slope.cell_of(a[0], a[1]), map.slope.cell_of(b[0], b[1]))
    else {
        return false;
    };
    let length_m = distance_m(a, b);
    let (cols, rows) = (map.cols(), map.rows());
    let cell_m = map.cell_m();
    let origin = map.slope.origin_m();
    let d = [b[0] - a[0], b[1] - a[1]];
    // The share of the line at which it next crosses a column and a row, and the share from one to the next.
    let first = |axis: usize, cell: usize| {
        if d[axis] == 0.0 {
            return f64::INFINITY;
        }
        let side = if d[axis] > 0.0 { 1.0 } else { 0.0 };
        (origin[axis] + (cell as f64 + side) * cell_m - a[axis]) / d[axis]
    };
    let step = [cell_m / d[0].abs(), cell_m / d[1].abs()];
    let mut next = [first(0, c), first(1, r)];
    let mut t = 0.0;
    let forward = |v: usize, axis: usize| {
        if d[axis] > 0.0 {
            v + 1
        } else {
            v.wrapping_sub(1)
        }
    };
    // A line crosses at most this many cells; the bound ends it whatever the rounding does.
    for _ in 0..=(cols + rows + 2) {
        let until = next[0].min(next[1]).clamp(t, 1.0);
        if !visit(r * cols + c, (until - t) * length_m) {
            return false;
        }
        if (c, r) == end || until >= 1.0 {
            return true;
        }
        t = until;
        let corner = (next[0] - next[1]).abs() * length_m < 1e-9 * cell_m.max(1.0);
        if corner {
            let (c2, r2) = (forward(c, 0), forward(r, 1));
            if c2 >= cols || r2 >= rows || !visit(r * cols + c2, 0.0) || !visit(r2 * cols + c, 0.0)
            {
                return false;
            }
            (c, r) = (c2, r2);
            next = [next[0] + step[0], next[1] + step[1]];
        } else if next[0] < next[1] {
            c = forward(c, 0);
            next[0] += step[0];
        } else {
            r = forward(r, 1);
            next[1] += step[1];
        }
        if c >= cols || r >= rows {
            return false;
        }
    }
    true
}

/// Cost of the straight line, `None` when it crosses closed ground or leaves the map.
pub(crate) fn line_cost(map: &CostMap, a: Xy, b: Xy) -> Option<f64> {
    let mut sum = 0.0;
    cells_along(map, a, b, |i, m| {
        sum += f64::from(map.cost[i]) * m;
        map.free(i)
    })
    .then_some(sum)
}
