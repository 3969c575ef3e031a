//! Rocks in the terrain grid.
//!
//! The ground around every cell is a plane fitted to the known cells of a square by least squares, twice again without what
//! stands out of it. What rises from the ground and hangs together is a rock when its top is high enough. A rock's size
//! is that of the circle with the area of its cells; its height's standard deviation is that of its highest cell.

use crate::{config::RockParams, map::TerrainGrid, plane::Sums};
use sojourn_core::raster::Raster;
use std::f64::consts::PI;

/// A rock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rock {
    /// Middle of its cells east, metres in the grid's frame.
    pub x_m: f64,
    /// Middle of its cells north, metres in the grid's frame.
    pub y_m: f64,
    /// Height of the ground under its middle, metres in the grid's frame.
    pub ground_m: f64,
    /// Diameter of the circle with the area of its cells, metres.
    pub diameter_m: f64,
    /// Height of its top over the ground, metres.
    pub height_m: f64,
    /// Standard deviation of that height, metres.
    pub height_sigma_m: f64,
}

/// What the grid holds of rocks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rocks {
    /// The rocks, from the grid's south-west corner row by row.
    pub rocks: Vec<Rock>,
    /// Golombek's k that the rocks' cover of the seen ground stands for; `None` when too little ground was seen.
    pub cfa: Option<f64>,
}

/// Rounds of fitting the ground.
const ROUNDS: usize = 3;
/// Ground that has to be seen before its cover by rocks says something, m².
const LEAST_GROUND_M2: f64 = 20.0;
/// Rocks from this diameter count for the cover: smaller ones are missed, metres.
const COUNTED_FROM_M: f64 = 0.3;

/// Finds the rocks of a grid.
#[must_use]
pub fn find(grid: &TerrainGrid, params: &RockParams) -> Rocks {
    let e = &grid.elevation;
    let rise = rise(e, params);
    let (cols, rows) = (e.cols(), e.rows());
    let mut taken = vec![false; cols * rows];
    let mut rocks = Vec::new();
    for start in 0..cols * rows {
        let seed = rise
            .get(start)
            .is_some_and(|r| *r >= params.height_min_m as f32);
        let seen = grid.count.get(start % cols, start / cols) > 0.0;
        if seed && seen && !taken[start] {
            let cells = together(&rise, cols, start, params.foot_m as f32, &mut taken);
            rocks.extend(rock(grid, &rise, &cells, params));
        }
    }
    let cell_m2 = e.resolution_m() * e.resolution_m();
    let seen = grid.count.data().iter().filter(|n| **n > 0.0).count();
    Rocks {
        cfa: abundance(&rocks, seen as f64 * cell_m2),
        rocks,
    }
}

/// Height over the ground around, cell by cell; not-a-number where unknown.
fn rise(e: &Raster, params: &RockParams) -> Vec<f32> {
    let (cols, rows) = (e.cols(), e.rows());
    let reach = (0.5 * params.ground_m / e.resolution_m()).ceil().max(1.0) as usize;
    let mut rise = vec![0.0f32; cols * rows];
    for round in 0..ROUNDS {
        let out = params.foot_m as f32;
        let is_ground = |i: usize| round == 0 || rise.get(i).is_some_and(|r| *r < out);
        let sums = Sums::of(e, is_ground);
        let mut next = vec![f32::NAN; cols * rows];
        for row in 0..rows {
            for col in 0..cols {
                let z = e.get(col, row);
                if z.is_nan() {
                    continue;
                }
                if let Some(ground) = sums.plane(col, row, reach) {
                    next[row * cols + col] = (f64::from(z) - ground.height_m) as f32;
                }
            }
        }
        rise = next;
    }
    rise
}

/// The cells that hang together with a cell and rise over `foot_m`.
fn together(
    rise: &[f32],
    cols: usize,
    start: usize,
    foot_m: f32,
    taken: &mut [bool],
) -> Vec<usize> {
    let rows = rise.len() / cols;
    let mut cells = vec![start];
    taken[start] = true;
    let mut next = 0;
    while let Some(&i) = cells.get(next) {
        next += 1;
        let (col, row) = (i % cols, i / cols);
        for r in row.saturating_sub(1)..=(row + 1).min(rows - 1) {
            for c in col.saturating_sub(1)..=(col + 1).min(cols - 1) {
                let j = r * cols + c;
                if !taken[j] && rise[j] >= foot_m {
                    taken[j] = true;
                    cells.push(j);
                }
            }
        }
    }
    cells
}

fn rock(grid: &TerrainGrid, rise: &[f32], cells: &[usize], params: &RockParams) -> Option<Rock> {
    let e = &grid.elevation;
    let cols = e.cols();
    let top = *cells
        .iter()
        .max_by(|a, b| rise[**a].total_cmp(&rise[**b]))?;
    let n = cells.len() as f64;
    let (mut x_m, mut y_m, mut ground_m) = (0.0, 0.0, 0.0);
    for i in cells {
        let [x, y] = e.centre_m(i % cols, i / cols);
        x_m += x / n;
        y_m += y / n;
        ground_m += f64::from(e.get(i % cols, i / cols) - rise[*i]) / n;
    }
    let diameter_m = 2.0 * e.resolution_m() * (n / PI).sqrt();
    let height_m = f64::from(rise[top]);
    let variance_m2 = f64::from(grid.variance.get(top % cols, top / cols));
    // Wider than any rock of its height: a rise of the ground.
    (diameter_m <= params.slender * height_m && diameter_m <= params.ground_m).then_some(Rock {
        x_m,
        y_m,
        ground_m,
        diameter_m,
        height_m,
        height_sigma_m: variance_m2.max(0.0).sqrt(),
    })
}

/// Golombek's k for which rocks of at least [`COUNTED_FROM_M`] cover what these rocks cover: `F(D) = k·exp(−q(k)·D)`,
/// `q = 1.79 + 0.152 / k` (Golombek and Rapp 1997, J. Geophys. Res. 102, 4117).
fn abundance(rocks: &[Rock], ground_m2: f64) -> Option<f64> {
    if ground_m2 < LEAST_GROUND_M2 {
        return None;
    }
    let counted = rocks.iter().filter(|r| r.diameter_m >= COUNTED_FROM_M);
    let cover = counted
        .map(|r| 0.25 * PI * r.diameter_m * r.diameter_m)
        .sum::<f64>()
        / ground_m2;
    let model = |k: f64| k * (-(1.79 + 0.152 / k) * COUNTED_FROM_M).exp();
    let (mut lo, mut hi) = (1e-4, 1.0);
    for _ in 0..50 {
        let mid = 0.5 * (lo + hi);
        if model(mid) < cover {
            lo = mid
        } else {
            hi = mid
        }
    }
    Some(if cover <= model(1e-4) { 0.0 } else { lo })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sojourn_core::Stamp;

    fn params() -> RockParams {
        RockParams {
            ground_m: 2.4,
            foot_m: 0.07,
            height_min_m: 0.16,
            slender: 6.0,
        }
    }

    fn grid(height: impl Fn(f64, f64) -> f64) -> TerrainGrid {
        let blank = Raster::filled(100, 100, 0.1, [-5.0, -5.0], 0.0).unwrap();
        let layer = |v: f32| blank.like(|_, _| v);
        TerrainGrid {
            stamp: Stamp(1),
            elevation: blank.like(|c, r| {
                let [x, y] = blank.centre_m(c, r);
                height(x, y) as f32
            }),
            variance: layer(0.0004),
            count: layer(5.0),
            age: layer(0.0),
            low: layer(f32::NAN),
            high: layer(f32::NAN),
        }
    }

    fn dome(x: f64, y: f64, at: [f64; 2], radius_m: f64, height_m: f64) -> f64 {
        let s = 1.0 - ((x - at[0]).powi(2) + (y - at[1]).powi(2)) / (radius_m * radius_m);
        height_m * s.max(0.0).sqrt()
    }

    #[test]
    fn rocks_on_a_slope_are_found_where_they_are_and_as_high() {
        let g = grid(|x, y| {
            0.2 * x - 0.1 * y
                + dome(x, y, [1.0, 2.0], 0.35, 0.4)
                + dome(x, y, [-2.0, -1.0], 0.25, 0.25)
        });
        let found = find(&g, &params());
        assert_eq!(found.rocks.len(), 2, "{:?}", found.rocks);
        for (rock, (at, radius, height)) in found
            .rocks
            .iter()
            .zip([([-2.0, -1.0], 0.25, 0.25), ([1.0, 2.0], 0.35, 0.4)])
        {
            assert!(
                (rock.x_m - at[0]).hypot(rock.y_m - at[1]) < 0.06,
                "{rock:?}"
            );
            assert!((rock.height_m - height).abs() < 0.05, "{rock:?}");
            assert!((rock.diameter_m - 2.0 * radius).abs() < 0.12, "{rock:?}");
            assert!((rock.height_sigma_m - 0.02).abs() < 1e-6);
        }
        // The two cover 0.58 of 100 m².
        let k = found.cfa.unwrap();
        let cover = k * (-(1.79 + 0.152 / k) * COUNTED_FROM_M).exp();
        assert!((cover - 0.0058).abs() < 0.0015, "{k} {cover}");
    }

    #[test]
    fn ripples_steps_of_ground_and_unseen_cells_are_no_rocks() {
        let ripples = grid(|x, _| 0.08 * (std::f64::consts::TAU * x / 2.2).sin());
        assert_eq!(find(&ripples, &params()).rocks, []);
        let ridge = grid(|x, _| if x.abs() < 0.4 { 0.3 } else { 0.0 });
        assert_eq!(find(&ridge, &params()).rocks, []);
        let mut unseen = grid(|x, y| dome(x, y, [0.0, 0.0], 0.3, 0.3));
        unseen.count = unseen.count.like(|_, _| 0.0);
        assert_eq!(find(&unseen, &params()), Rocks::default());
        let mut nothing = grid(|_, _| f64::NAN);
        nothing.count = nothing.count.like(|_, _| 0.0);
        assert_eq!(find(&nothing, &params()), Rocks::default());
    }
}
