//! Exact least-cost paths over a grid of tens of millions of cells.
//!
//! Two searches, one from each end, run side by side in rounds of equal radius and stop when no path shorter than the
//! best one found can be left (the stopping rule of bidirectional Dijkstra: Nicholson 1966, "Finding the shortest route
//! between two points in a network"). Between the rounds each looks at the ground that the other has reached, so the
//! result does not depend on how many threads there are. Each search keeps its open cells in buckets that are no wider
//! than the cheapest step, in which no order is needed (Dial 1969; Denardo and Fox 1979, "Shortest-route methods: 1").
//! Distances are whole numbers, and the path is read off them afterwards, so no parents are stored.

mod front;
mod grid;
#[cfg(test)]
mod tests;

pub use grid::{CostGrid, MAX_COST, Neighbours};

use front::Front;

/// Rounds that a search across the whole grid takes, about.
const ROUNDS: u64 = 64;

/// What a search found.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// A way.
    Path(Path),
    /// The goal cannot be reached.
    Enclosed(Enclosed),
}

/// A least-cost path.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// Cells (row · columns + column) from start to goal, each a neighbour of the one before.
    pub cells: Vec<usize>,
    /// Its cost with true lengths: the sum of (mean cost along the step) · (length of the step in cells).
    pub cost: f64,
    /// Cells looked at.
    pub expanded: usize,
}

/// The ground that can be reached from a start which the goal is not on.
#[derive(Clone, Debug, PartialEq)]
pub struct Enclosed {
    /// How many cells can be reached.
    pub reached: usize,
    /// The one of them that is nearest to the goal as the crow flies.
    pub nearest: usize,
}

/// The least-cost path between two cells (row · columns + column).
///
/// `None` when one of them is off the grid or closed.
#[must_use]
pub fn least_cost(
    grid: &CostGrid,
    start: usize,
    goal: usize,
    neighbours: Neighbours,
) -> Option<Found> {
    let (start, goal) = (grid.inner(start)?, grid.inner(goal)?);
    let mut ahead = Front::new(grid, neighbours, start);
    let mut back = Front::new(grid, neighbours, goal);
    let buckets = rounds_of(grid, &ahead);
    // The best meeting point: its whole distance and the cell.
    let mut best: Option<(u64, u32)> = None;
    if start == goal {
        best = Some((0, start));
    }
    loop {
        let radius = ahead.radius() + back.radius();
        if best.is_some_and(|(d, _)| d <= radius) {
            break;
        }
        if ahead.is_done() || back.is_done() {
            break;
        }
        rayon::join(
            || ahead.advance(grid, buckets),
            || back.advance(grid, buckets),
        );
        let (a, b) = rayon::join(|| ahead.meets(grid, &back), || back.meets(grid, &ahead));
        // Least distance first, then least cell: the same one however the searches were run.
        let nearest = |&(d, i): &(u64, u32)| (d, grid.outer(i));
        best = best.into_iter().chain(a).chain(b).min_by_key(nearest);
    }
    let expanded = ahead.expanded() + back.expanded();
    let Some((_, meeting)) = best else {
        while !ahead.is_done() {
            ahead.advance(grid, u64::from(u32::MAX));
        }
        return Some(Found::Enclosed(ahead.enclosed(grid, goal)));
    };
    let mut cells = ahead.trace(grid, meeting);
    cells.reverse();
    cells.extend(back.trace(grid, meeting).into_iter().skip(1));
    let cost = grid.path_cost(&cells);
    Some(Found::Path(Path {
        cells: cells.into_iter().map(|i| grid.outer(i)).collect(),
        cost,
        expanded,
    }))
}

/// Buckets of one round.
fn rounds_of(grid: &CostGrid, front: &Front) -> u64 {
    let across = (grid.cols() + grid.rows()) as u64;
    (across * front.dearest_step() / 8 / ROUNDS / front.width()).max(16)
}
