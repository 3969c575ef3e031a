//! Sliding highest and lowest images: for every cell and heading, how high and how low a wheel's contact may be whose
//! hub stands in that cell, how much the ground under its tread may differ, and how high the ground under a part of the
//! belly may be.
//!
//! A pose is then a handful of look-ups. A wheel and a belly part look alike forward and backward, so headings fold
//! into half a turn.
//!
//! Why the difference of the ground is a bound: settling takes the ground at the samples of the tread
//! ([`Settler::tread`]), and a sample's ground, interpolated between points of the map's cells, lies within what the cells
//! around it span. Which cells these can be is counted from the cell that is looked up: the hub's place lies within half
//! a cell of its centre along each axis, the links swing the hub by `reach_m`, turning to the nearest image's heading moves
//! the sample a little, the points between which its ground is interpolated lie in cells up to [`BETWEEN_CELLS`] away, and
//! the sample's offset is rounded to a whole cell. `around` are all of these; the highest of the highest over them, less
//! the lowest of the lowest, over all samples, is no less than the difference.

use super::{
    slide::{BLOCK, Framed, Grid, Steps, Tap, reach},
    surfaces::{BETWEEN_CELLS, Surfaces},
};
use sojourn_core::{rover::Rover, settle::Settler};
use std::{f64::consts::PI, sync::OnceLock};

/// Headings of half a turn.
pub const HEADINGS: usize = 16;
/// How far a look-up's place, and a sample's offset, may lie from the cell that is taken for it, cells along each axis.
const ROUNDED_CELLS: f64 = 0.5;

/// Images of one heading, block by block.
#[derive(Clone, Debug)]
struct Heading {
    wheel_box: Steps,
    wheel_lines: Steps,
    tread: Steps,
    pan_box: Steps,
    wheels: Vec<OnceLock<Box<Wheels>>>,
    pans: Vec<OnceLock<Box<Values>>>,
}

/// Values of a block, row by row.
type Values = [[f32; BLOCK]; BLOCK];

/// What wheels may stand on in a block.
#[derive(Clone, Debug)]
struct Wheels {
    hi: Values,
    lo: Values,
    top: Values,
    bottom: Values,
}

/// What a wheel may stand on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Footing {
    /// Lowest contact, less the regional plane at the hub, metres.
    pub lo_m: f64,
    /// Highest contact, less the regional plane at the hub, metres.
    pub hi_m: f64,
    /// Greatest difference of the ground under the tread over the regional plane, metres.
    pub span_m: f64,
}

/// Images of a window; what nobody asks for is not worked out.
#[derive(Clone, Debug)]
pub struct Images {
    grid: Grid,
    high: Framed,
    eroded: Framed,
    tops: Framed,
    bottoms: Framed,
    spread: Framed,
    headings: Vec<Heading>,
}

/// Half the length of a belly part along and across, metres: the belly is looked up in three by two of them.
fn pan_part_m(rover: &Rover) -> [f64; 2] {
    let b = &rover.belly;
    [(b.x_max_m - b.x_min_m) / 6.0, 0.5 * b.half_width_m]
}

impl Images {
    /// Images of surfaces for a rover; a wheel's hub and the belly may lie `reach_m` from where they are looked up.
    /// `settler` tells which ground under a wheel counts.
    #[must_use]
    pub fn new(surfaces: &Surfaces, rover: &Rover, settler: &Settler, reach_m: f64) -> Self {
        let [cols, rows] = surfaces.size();
        let grid = Grid { cols, rows };
        let res = surfaces.resolution_m();
        let high: Vec<f32> = surfaces.cells().iter().map(|s| s.hi).collect();
        let low: Vec<f32> = surfaces.cells().iter().map(|s| s.lo).collect();
        let near = around((reach_m + turned_m(rover)) / res);
        let tops: Vec<f32> = surfaces.cells().iter().map(|s| s.top).collect();
        let bottoms: Vec<f32> = surfaces.cells().iter().map(|s| s.bottom).collect();
        let (tops, bottoms) = (
            grid.slide(&tops, &near, true),
            grid.slide(&bottoms, &near, false),
        );
        // Half a cell of the look-up's own rounding.
        let reach_m = reach_m + 0.5 * res;
        let around = disc(reach_m / res);
        let eroded = grid.slide(&low, &around, false);
        let spread = grid.slide(&high, &square(1), true);
        let taps: Vec<[Vec<Tap>; 4]> = (0..HEADINGS)
            .map(|k| {
                let (s, c) = (PI * k as f64 / HEADINGS as f64).sin_cos();
                let [ahead, left] = surfaces.along(c, s);
                [
                    wheel_box(rover, [c, s], [ahead, left], reach_m, res),
                    wheel_lines(rover, [c, s], ahead, res),
                    tread(settler, [c, s], res),
                    pan_box(rover, [c, s], reach_m, res),
                ]
            })
            .collect();
        // One frame for all, so that steps are the same in all of them.
        let frame = reach(taps.iter().flatten().flatten());
        let framed = |source: &[f32], max: bool| Framed::new(grid, source, frame, max);
        let (high, eroded) = (framed(&high, true), framed(&eroded, true));
        let [across, up] = grid.blocks();
        let headings = taps
            .iter()
            .map(|[wheel_box, wheel_lines, tread, pan_box]| Heading {
                wheel_box: high.steps(wheel_box),
                wheel_lines: high.steps(wheel_lines),
                tread: high.steps(tread),
                pan_box: high.steps(pan_box),
                wheels: vec![OnceLock::new(); across * up],
                pans: vec![OnceLock::new(); across * up],
            })
            .collect();
        Self {
            grid,
            tops: framed(&tops, true),
            bottoms: framed(&bottoms, false),
            spread: framed(&spread, true),
            high,
            eroded,
            headings,
        }
    }

    /// The heading's images that serve a yaw.
    #[must_use]
    pub fn heading_of(yaw_rad: f64) -> usize {
        let turn = yaw_rad.rem_euclid(PI) * HEADINGS as f64 / PI;
        (turn.round() as usize) % HEADINGS
    }

    #[inline]
    fn at(&self, [x, y]: [f64; 2]) -> Option<Place> {
        let Grid { cols, rows } = self.grid;
        if !(x >= 0.0 && y >= 0.0 && x < cols as f64 && y < rows as f64) {
            return None;
        }
        let (col, row) = (x as usize, y as usize);
        let block = [col / BLOCK, row / BLOCK];
        Some(Place {
            block,
            index: block[1] * cols.div_ceil(BLOCK) + block[0],
            col: col % BLOCK,
            row: row % BLOCK,
        })
    }

    /// What a wheel may stand on whose hub lies near a place, grid coordinates; `None` where ground is unknown.
    #[must_use]
    pub fn wheel(&self, heading: usize, p: [f64; 2]) -> Option<Footing> {
        let (h, at) = (self.headings.get(heading)?, self.at(p)?);
        let wheels = h.wheels.get(at.index)?.get_or_init(|| {
            Box::new(Wheels {
                hi: self.high.block(at.block, &h.wheel_box),
                lo: self.eroded.block(at.block, &h.wheel_lines),
                top: self.tops.block(at.block, &h.tread),
                bottom: self.bottoms.block(at.block, &h.tread),
            })
        });
        let of = |v: &Values| v[at.row][at.col];
        let span = of(&wheels.top) - of(&wheels.bottom);
        let (lo_m, hi_m, span_m) = (
            f64::from(of(&wheels.lo)),
            f64::from(of(&wheels.hi)),
            f64::from(span),
        );
        (lo_m.is_finite() && hi_m.is_finite() && span_m.is_finite()).then_some(Footing {
            lo_m: lo_m.min(hi_m),
            hi_m,
            span_m,
        })
    }

    /// Highest ground under a part of the belly, less the regional plane there, metres; grid coordinates.
    #[must_use]
    pub fn pan(&self, heading: usize, p: [f64; 2]) -> Option<f32> {
        let (h, at) = (self.headings.get(heading)?, self.at(p)?);
        let pans = h
            .pans
            .get(at.index)?
            .get_or_init(|| Box::new(self.spread.block(at.block, &h.pan_box)));
        Some(pans[at.row][at.col])
    }
}

/// Where a cell's values lie.
#[derive(Clone, Copy)]
struct Place {
    block: [usize; 2],
    index: usize,
    col: usize,
    row: usize,
}

fn disc(reach_cells: f64) -> Vec<Tap> {
    let n = reach_cells.ceil() as i64;
    let mut out = Vec::new();
    for row in -n..=n {
        for col in -n..=n {
            // the nearest point of the cell
            let d = |v: i64| (v.abs() as f64 - 0.5).max(0.0);
            if d(row).hypot(d(col)) < reach_cells {
                out.push(Tap { col, row, add: 0.0 });
            }
        }
    }
    out
}

/// How far a sample of the tread moves when the heading is turned to that of the nearest image, metres.
fn turned_m(rover: &Rover) -> f64 {
    let farthest = rover.wheel.radius_m.hypot(0.5 * rover.wheel.width_m);
    farthest * 2.0 * (0.25 * PI / HEADINGS as f64).sin()
}

/// Cells whose points may make the ground of a sample that lies within `moved` cells, in any direction, of where it is
/// looked for.
fn around(moved: f64) -> Vec<Tap> {
    let beside = 2.0 * ROUNDED_CELLS + BETWEEN_CELLS;
    let left = |v: i64| (v.abs() as f64 - beside).max(0.0);
    square((beside + moved).ceil() as i64)
        .into_iter()
        .filter(|t| left(t.row).hypot(left(t.col)) <= moved)
        .collect()
}

/// The cells of a tread's samples.
fn tread(settler: &Settler, [c, s]: [f64; 2], res: f64) -> Vec<Tap> {
    let (along, across) = settler.tread();
    let mut cells: Vec<[i64; 2]> = across
        .iter()
        .flat_map(|dy| along.iter().map(move |(dx, _)| [*dx, *dy]))
        .map(|[dx, dy]| [dx * c - dy * s, dx * s + dy * c].map(|v| (v / res).round() as i64))
        .collect();
    cells.sort_unstable();
    cells.dedup();
    let tap = |[col, row]: [i64; 2]| Tap { col, row, add: 0.0 };
    cells.into_iter().map(tap).collect()
}

fn square(n: i64) -> Vec<Tap> {
    (-n..=n)
        .flat_map(|row| (-n..=n).map(move |col| Tap { col, row, add: 0.0 }))
        .collect()
}

/// Cells that a wheel may touch whose hub lies within `reach_m` of the middle cell's centre, with the rise of the tread.
fn wheel_box(
    rover: &Rover,
    [c, s]: [f64; 2],
    [ahead, left]: [f64; 2],
    reach_m: f64,
    res: f64,
) -> Vec<Tap> {
    let r = rover.wheel.radius_m;
    let half = 0.5 * rover.wheel.width_m;
    // Headings between two images: the tread's end lies aside by this much.
    let aside = r * (0.5 * PI / HEADINGS as f64).sin();
    let lean = (ahead.abs() + left.abs()) * (0.5 * PI / HEADINGS as f64).sin();
    let n = ((r + half + reach_m) / res).ceil() as i64 + 1;
    let mut out = Vec::new();
    for row in -n..=n {
        for col in -n..=n {
            let (x, y) = (col as f64 * res, row as f64 * res);
            let along = x * c + y * s;
            let across = (y * c - x * s).abs();
            if across > half + reach_m + aside {
                continue;
            }
            let near = (along.abs() - reach_m).max(0.0);
            if near > 0.98 * r {
                continue;
            }
            let rise = (r * r - near * near).max(0.0).sqrt() - r;
            let tilt = ahead * near.copysign(along) + lean * near;
            out.push(Tap {
                col,
                row,
                add: (rise + tilt) as f32,
            });
        }
    }
    out
}

/// Where exact settling samples a wheel: three lines along the heading.
fn wheel_lines(rover: &Rover, [c, s]: [f64; 2], ahead: f64, res: f64) -> Vec<Tap> {
    let r = rover.wheel.radius_m;
    let half = 0.5 * rover.wheel.width_m;
    let mut out: Vec<Tap> = Vec::new();
    for dy in [-half, 0.0, half] {
        for i in -2..=2 {
            let dx = 0.4 * r * f64::from(i);
            let rise = (r * r - dx * dx).max(0.0).sqrt() - r + ahead * dx;
            let tap = Tap {
                col: ((dx * c - dy * s) / res).round() as i64,
                row: ((dx * s + dy * c) / res).round() as i64,
                add: rise as f32,
            };
            match out
                .iter_mut()
                .find(|t| t.col == tap.col && t.row == tap.row)
            {
                Some(t) => t.add = t.add.max(tap.add),
                None => out.push(tap),
            }
        }
    }
    out
}

/// Every third cell of a belly part; the source is spread by one cell already.
fn pan_box(rover: &Rover, [c, s]: [f64; 2], reach_m: f64, res: f64) -> Vec<Tap> {
    let [a, b] = pan_part_m(rover);
    let aside = a.hypot(b) * (0.5 * PI / HEADINGS as f64).sin();
    let n = ((a + b + reach_m) / res).ceil() as i64 + 1;
    let mut out = Vec::new();
    for row in (-n..=n).filter(|v| v.rem_euclid(3) == 0) {
        for col in (-n..=n).filter(|v| v.rem_euclid(3) == 0) {
            let (x, y) = (col as f64 * res, row as f64 * res);
            let (along, across) = ((x * c + y * s).abs(), (y * c - x * s).abs());
            // A tap serves the cells around it.
            let wide = reach_m + aside + res;
            if along <= a + wide && across <= b + wide {
                out.push(Tap { col, row, add: 0.0 });
            }
        }
    }
    out
}

/// Middles of the belly's parts in `base_link`, metres.
#[must_use]
pub fn pan_parts(rover: &Rover) -> [[f64; 2]; 6] {
    let [a, b] = pan_part_m(rover);
    let x0 = rover.belly.x_min_m;
    let at = |i: usize| {
        [
            x0 + a * (1.0 + 2.0 * (i % 3) as f64),
            if i < 3 { b } else { -b },
        ]
    };
    [at(0), at(1), at(2), at(3), at(4), at(5)]
}
