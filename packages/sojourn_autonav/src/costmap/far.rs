//! The cost to go beyond the map, from what orbit tells alone.

use super::{Cell, Grid, Pace, Scene, Source};
use crate::{config::Config, orbital::FromOrbit};
use sojourn_core::{geometry::Xy, rover::Rover};

/// Most cells; a longer way is looked at in larger ones.
const MAX_CELLS: f64 = 40_000.0;
/// How far around rover and waypoint ways are sought, in sides of the coarse memory: half of one is the map.
const AROUND: f64 = 0.75;

/// Cells around rover and waypoint and the cost to go from each.
pub(super) struct Far {
    grid: Grid,
    to_go_s: Vec<f64>,
    unknown_spm: f64,
}

impl Far {
    /// Searches from the waypoint over the orbital layer.
    pub fn new(
        config: &Config,
        rover: &Rover,
        scene: &Scene<'_>,
        pace: &Pace,
        orbit: &FromOrbit<'_>,
    ) -> Self {
        let around_m = AROUND * config.coarse_m;
        let low = |k: usize| scene.rover_xy[k].min(scene.goal_xy[k]) - around_m;
        let side = |k: usize| (scene.rover_xy[k] - scene.goal_xy[k]).abs() + 2.0 * around_m;
        let fine_m = orbit.cell_m();
        let pieces = (side(0) * side(1) / (fine_m * fine_m) / MAX_CELLS)
            .sqrt()
            .ceil()
            .max(1.0);
        let cell_m = pieces * fine_m;
        let count = |k: usize| (side(k) / cell_m).ceil().max(1.0) as usize;
        let grid = Grid {
            cols: count(0),
            rows: count(1),
            cell_m,
            origin_m: [low(0), low(1)],
        };
        let mut cells = Vec::with_capacity(grid.len());
        for r in 0..grid.rows {
            for c in 0..grid.cols {
                let at = grid.centre(c, r);
                cells.push(if held(scene, at, cell_m) {
                    cell(config, rover, scene, orbit, at, cell_m, pieces as usize)
                } else {
                    Cell {
                        factor: f64::INFINITY,
                        ..Cell::default()
                    }
                });
            }
        }
        let width_s = 0.25 * cell_m * pace.easy_spm;
        let seed = grid.index(scene.goal_xy).map(|(c, r)| r * grid.cols + c);
        let to_go_s = grid.spread(
            width_s,
            seed.into_iter().map(|i| (i, 0.0)),
            |n, _, along| {
                let cell = cells.get(n).filter(|cell| cell.factor.is_finite())?;
                Some(pace.rate_spm(cell, along))
            },
        );
        Self {
            grid,
            to_go_s,
            unknown_spm: config.unknown_factor * pace.easy_spm,
        }
    }

    /// Cost from a point to the waypoint, seconds; infinite where no way leads there.
    pub fn to_go_s(&self, p: Xy) -> f64 {
        self.grid.nearest_s(&self.to_go_s, p, self.unknown_spm)
    }
}

/// Whether the rover may be anywhere in a cell: a corridor narrower than a cell is still one.
fn held(scene: &Scene<'_>, [x, y]: Xy, cell_m: f64) -> bool {
    let h = 0.5 * cell_m;
    [[0.0, 0.0], [-h, -h], [h, -h], [-h, h], [h, h]]
        .iter()
        .any(|[dx, dy]| scene.corridor.holds([x + dx, y + dy], 0.0))
}

/// The mean of what orbit tells within a cell.
fn cell(
    config: &Config,
    rover: &Rover,
    scene: &Scene<'_>,
    orbit: &FromOrbit<'_>,
    [x, y]: Xy,
    cell_m: f64,
    pieces: usize,
) -> Cell {
    let unknown = Cell {
        factor: config.unknown_factor,
        ..Cell::default()
    };
    let piece_m = cell_m / pieces as f64;
    let off = |i: usize| (i as f64 + 0.5) * piece_m - 0.5 * cell_m;
    let (mut factor, mut gradient, mut told) = (0.0, [0.0; 2], 0.0);
    let mut class = None;
    for r in 0..pieces {
        for c in 0..pieces {
            let here = orbit.at([x + off(c), y + off(r)]).map(|t| {
                let cell = Cell::from_orbit(config, rover, scene.limits, &t);
                gradient = [gradient[0] + t.gradient[0], gradient[1] + t.gradient[1]];
                told += 1.0;
                class = class.or(t.class);
                cell.factor
            });
            factor += here.unwrap_or(config.unknown_factor);
        }
    }
    if told == 0.0 {
        return unknown;
    }
    Cell {
        gradient: gradient.map(|g| g / told),
        factor: factor / (pieces * pieces) as f64,
        class,
        source: Source::Orbit,
        ..Cell::default()
    }
}
