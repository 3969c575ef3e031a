//! Ways around tall rocks.

use anyhow::{Context, bail};
use sojourn_core::{
    geometry::{self, Xy},
    rover::Rover,
};
use sojourn_planner::least_cost::{CostGrid, Found, Neighbours, least_cost};
use sojourn_twin::rocks::Rock;

/// Rocks as tall as this and taller are driven around, metres.
pub const ROCK_M: f64 = 0.25;
/// Cells of the search, metres.
pub const CELL_M: f64 = 0.25;
/// Cost of a cell where such a rock lies under the rover; elsewhere 1.
const ROCK_COST: f32 = 60.0;

/// Where a rover's middle may go on a rectangle whose south-western corner is the map's origin.
pub struct Around {
    cols: usize,
    dear: Vec<bool>,
    grid: CostGrid,
}

impl Around {
    /// Marks what lies under the rover's wheels near a rock of [`ROCK_M`] and more. A rover's length along the border is
    /// closed.
    ///
    /// # Errors
    /// When the rectangle is too large or too small to search.
    pub fn new(rocks: &[Rock], rover: &Rover, size_m: Xy) -> anyhow::Result<Self> {
        let [cols, rows] = size_m.map(|v| (v / CELL_M) as usize);
        let half_m = rover.hubs_m().iter().fold(0.0f64, |m, h| m.max(h[1].abs()));
        let reach_m = half_m + 0.5 * rover.wheel.width_m + CELL_M;
        let mut dear = vec![false; cols * rows];
        for rock in rocks.iter().filter(|r| r.height_m >= ROCK_M) {
            let radius = reach_m + rock.reach_m;
            let span = |v: f64, n: usize| {
                let lo = ((v - radius) / CELL_M).max(0.0) as usize;
                lo..(((v + radius) / CELL_M).max(0.0) as usize + 1).min(n)
            };
            for r in span(rock.y_m, rows) {
                for c in span(rock.x_m, cols) {
                    let gap = geometry::distance_m(centre(c, r), [rock.x_m, rock.y_m]);
                    dear[r * cols + c] |= gap < radius;
                }
            }
        }
        let edge = (rover.footprint_radius_m() / CELL_M).ceil() as usize + 2;
        let cost = |c: usize, r: usize| {
            let open = c >= edge && r >= edge && c + edge < cols && r + edge < rows;
            match (open, dear[r * cols + c]) {
                (false, _) => f32::NAN,
                (true, true) => ROCK_COST,
                (true, false) => 1.0,
            }
        };
        let grid = CostGrid::new(cols, rows, cost).context("the ground is too large to search")?;
        Ok(Self { cols, dear, grid })
    }

    /// The least-cost way between two places, pulled straight wherever no rock is in between: its corners, both places
    /// included.
    ///
    /// # Errors
    /// When there is none.
    pub fn way(&self, from: Xy, to: Xy) -> anyhow::Result<Vec<Xy>> {
        let (start, goal) = (self.cell(from), self.cell(to));
        let Some(Found::Path(path)) = least_cost(&self.grid, start, goal, Neighbours::Sixteen)
        else {
            bail!(
                "no way from ({:.1}, {:.1}) m to ({:.1}, {:.1}) m",
                from[0],
                from[1],
                to[0],
                to[1]
            );
        };
        let mut line: Vec<Xy> = path.cells.iter().map(|&k| self.place(k)).collect();
        if let Some(first) = line.first_mut() {
            *first = from;
        }
        line.push(to);
        Ok(self.pulled(&line))
    }

    fn pulled(&self, line: &[Xy]) -> Vec<Xy> {
        let mut out = vec![line[0]];
        let mut at = 0;
        while at + 1 < line.len() {
            // The next point can always be reached; farther ones in steps that double, then back.
            let mut next = at + 1;
            for k in (at + 2)..line.len() {
                if self.is_clear(line[at], line[k]) {
                    next = k;
                } else if k > next + 40 {
                    break;
                }
            }
            out.push(line[next]);
            at = next;
        }
        out
    }

    /// Whether no rock lies under the rover anywhere between two places.
    fn is_clear(&self, a: Xy, b: Xy) -> bool {
        let n = (geometry::distance_m(a, b) / (0.5 * CELL_M))
            .ceil()
            .max(1.0) as usize;
        (0..=n).all(|k| {
            let t = k as f64 / n as f64;
            let p = [a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])];
            !self.dear.get(self.cell(p)).copied().unwrap_or(true)
        })
    }

    fn cell(&self, p: Xy) -> usize {
        let [c, r] = p.map(|v| (v / CELL_M).max(0.0) as usize);
        r * self.cols + c
    }

    fn place(&self, cell: usize) -> Xy {
        centre(cell % self.cols, cell / self.cols)
    }
}

fn centre(c: usize, r: usize) -> Xy {
    [(c as f64 + 0.5) * CELL_M, (r as f64 + 0.5) * CELL_M]
}

/// The same line with corners at most `longest_m` apart.
#[must_use]
pub fn split(line: &[Xy], longest_m: f64) -> Vec<Xy> {
    let mut out: Vec<Xy> = line.first().copied().into_iter().collect();
    for pair in line.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        let n = (geometry::distance_m(a, b) / longest_m).ceil().max(1.0);
        for k in 1..=n as usize {
            let t = k as f64 / n;
            out.push([a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])]);
        }
    }
    out
}

/// The place `s_m` along a line; its end beyond it.
#[must_use]
pub fn along(line: &[Xy], s_m: f64) -> Option<(Xy, f64)> {
    let mut left = s_m;
    for pair in line.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        let length = geometry::distance_m(a, b);
        let yaw = (b[1] - a[1]).atan2(b[0] - a[0]);
        if left <= length && length > 0.0 {
            let t = left / length;
            return Some(([a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])], yaw));
        }
        left -= length;
    }
    let [.., a, b] = line else { return None };
    Some((*b, (b[1] - a[1]).atan2(b[0] - a[0])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Path;

    fn rover() -> Rover {
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
        Rover::load(&config.join("rovers/perseverance.yaml")).unwrap()
    }

    fn rock(x_m: f64, y_m: f64, height_m: f64) -> Rock {
        Rock {
            x_m,
            y_m,
            diameter_m: 2.0 * height_m,
            reach_m: height_m,
            height_m,
            shape_key: 1,
            tone: 1.0,
        }
    }

    #[test]
    fn open_ground_is_crossed_straight() {
        let low = rock(20.0, 15.0, 0.2);
        let around = Around::new(&[low], &rover(), [40.0, 30.0]).unwrap();
        let (a, b) = ([5.0, 12.0], [35.0, 19.0]);
        assert_eq!(around.way(a, b).unwrap(), vec![a, b]);
        assert!(around.way(a, [39.9, 29.9]).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        /// The way keeps clear of tall rocks and is never shorter than the straight one.
        #[test]
        fn tall_rocks_are_driven_around(places in prop::collection::vec((12.0f64..28.0, 8.0f64..22.0), 1..4)) {
            let rocks: Vec<Rock> = places.iter().map(|(x, y)| rock(*x, *y, 0.4)).collect();
            let around = Around::new(&rocks, &rover(), [40.0, 30.0]).unwrap();
            let (a, b) = ([5.0, 15.0], [35.0, 15.0]);
            let way = around.way(a, b).unwrap();
            prop_assert!(geometry::length_m(&way) >= 30.0 - 1e-9);
            for r in &rocks {
                let gap = way.windows(2).map(|s| geometry::distance_to_segment_m([r.x_m, r.y_m], s[0], s[1])).fold(f64::INFINITY, f64::min);
                prop_assert!(gap > 1.5, "{gap}");
            }
            let fine = split(&way, 3.0);
            prop_assert!((geometry::length_m(&fine) - geometry::length_m(&way)).abs() < 1e-9);
            prop_assert!(fine.windows(2).all(|s| geometry::distance_m(s[0], s[1]) <= 3.0 + 1e-9));
            let (end, _) = along(&fine, 1e3).unwrap();
            prop_assert_eq!(end, b);
        }
    }
}
