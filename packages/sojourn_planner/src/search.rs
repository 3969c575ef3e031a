//! The search over a cost map.

use crate::cost::CostMap;
use crate::least_cost::{CostGrid, Found, Neighbours, least_cost};
use crate::smooth::straighten;
use sojourn_core::geometry::Xy;

/// The least-cost way between two cells over sixteen neighbours; `None` when one of them is closed.
pub(crate) fn search(map: &CostMap, start: usize, goal: usize) -> Option<Found> {
    let grid = CostGrid::new(map.cols(), map.rows(), |c, r| {
        let i = r * map.cols() + c;
        if map.free(i) { map.cost[i] } else { 0.0 }
    })?;
    least_cost(&grid, start, goal, Neighbours::Sixteen)
}

/// The points of a path of cells, with the ends where they were asked for, straightened.
pub(crate) fn line_of(map: &CostMap, cells: &[usize], start_m: Xy, goal_m: Xy) -> Option<Vec<Xy>> {
    let (first, last) = (*cells.first()?, *cells.last()?);
    let within = cells
        .get(1..cells.len().saturating_sub(1))
        .unwrap_or_default();
    let mut points = vec![start_m];
    points.extend(within.iter().map(|&i| map.centre(i)));
    points.push(goal_m);
    // The ends are not in the middle of their cells, so the first line may clip a corner: then from the middle.
    straighten(map, &points).or_else(|| {
        points.insert(1, map.centre(first));
        points.insert(points.len() - 1, map.centre(last));
        straighten(map, &points)
    })
}
