//! The ground around a camera in the form that rays like best: one dense patch of heights with a pyramid of greatest
//! heights, and the light that the sun throws on it, worked out block by block where somebody looks.

use crate::world::{TILE_NODES, World};
use rayon::prelude::*;
use std::sync::OnceLock;

/// Nodes of light along a side of a block, without the border that neighbours share.
const LIGHT_CELLS: usize = 32;
const LIGHT_NODES: usize = LIGHT_CELLS + 1;
/// How far a shadow is followed at most, metres.
pub const SHADOW_M: f64 = 25.0;
/// Ground this far below the line to the sun and more is simply lit, metres.
const LIT_M: f32 = -0.06;
/// Bit of [`Scene::code`] where a rock lies.
pub const ROCK: u8 = 0x80;

/// A level of the pyramid: greatest heights over squares of cells.
#[derive(Debug)]
struct Level {
    cols: usize,
    rows: usize,
    max: Vec<f32>,
}

/// A dense patch of a world. Places are counted in cells from its south-western node, heights in metres from
/// [`Scene::z0_m`].
#[derive(Debug)]
pub struct Scene {
    /// Distance of the nodes, metres.
    pub res_m: f64,
    /// South-western cell, counted from the map's origin.
    pub first: [i64; 2],
    /// Cells, east and north.
    pub cells: [usize; 2],
    /// Height that heights are counted from, metres in `map`.
    pub z0_m: f64,
    heights: Vec<f32>,
    albedo: Vec<u8>,
    codes: Vec<u8>,
    levels: Vec<Level>,
    asked_for: ([f64; 4], f64),
    sun: Sun,
    light: Vec<OnceLock<Box<[f32]>>>,
    light_cols: usize,
}

/// Where the sun stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sun {
    /// Direction to it, radians counter-clockwise from east.
    pub azimuth_rad: f64,
    /// Its height, radians.
    pub elevation_rad: f64,
}

impl Sun {
    /// Unit vector to the sun: east, north, up.
    #[must_use]
    pub fn direction(&self) -> [f64; 3] {
        let (sin_el, cos_el) = self.elevation_rad.sin_cos();
        let (sin_az, cos_az) = self.azimuth_rad.sin_cos();
        [cos_el * cos_az, cos_el * sin_az, sin_el]
    }
}

impl Scene {
    /// Copies the ground of a rectangle `[x_min, y_min, x_max, y_max]`, metres in `map`, cut to the world. `z0_m` is any
    /// height near it.
    #[must_use]
    pub fn new(world: &World, bbox_m: [f64; 4], z0_m: f64, sun: Sun) -> Self {
        let window = world.window(bbox_m);
        let [[i0, i1], [j0, j1]] = window.cells();
        let (cols, rows) = ((i1 - i0).max(1) as usize, (j1 - j0).max(1) as usize);
        let stride = cols + 1;
        let mut heights = vec![f32::NAN; stride * (rows + 1)];
        let mut albedo = vec![0u8; stride * (rows + 1)];
        let mut codes = vec![0u8; stride * (rows + 1)];
        let side = TILE_NODES - 1;
        heights
            .par_chunks_mut(stride)
            .zip(albedo.par_chunks_mut(stride))
            .zip(codes.par_chunks_mut(stride))
            .enumerate()
            .for_each(|(j, ((h, a), c))| {
                // The last row of nodes belongs to the cells below it.
                let (nj, up) = if j == rows { (j - 1, 1) } else { (j, 0) };
                let mut i = 0;
                while i <= cols {
                    let (ni, right) = if i == cols { (i - 1, 1) } else { (i, 0) };
                    let Some((tile, ti, tj)) = window.tile_of(i0 + ni as i64, j0 + nj as i64)
                    else {
                        i += 1;
                        continue;
                    };
                    let k = (tj + up) * TILE_NODES + ti + right;
                    let run = (side - ti).min(cols - i).max(1);
                    for n in 0..run {
                        h[i + n] = (f64::from(tile.heights_m()[k + n]) - z0_m) as f32;
                    }
                    a[i..i + run].copy_from_slice(&tile.albedo()[k..k + run]);
                    c[i..i + run].copy_from_slice(&tile.codes()[k..k + run]);
                    i += run;
                }
            });
        let light_cols = cols.div_ceil(LIGHT_CELLS);
        let blocks = light_cols * rows.div_ceil(LIGHT_CELLS);
        Self {
            res_m: world.resolution_m(),
            first: [i0, j0],
            cells: [cols, rows],
            z0_m,
            levels: pyramid(&heights, cols, rows),
            heights,
            albedo,
            codes,
            asked_for: (bbox_m, z0_m),
            sun,
            light: (0..blocks).map(|_| OnceLock::new()).collect(),
            light_cols,
        }
    }

    /// Takes another place of the sun; all shadows are worked out anew.
    pub fn set_sun(&mut self, sun: Sun) {
        if sun != self.sun {
            self.sun = sun;
            self.light.iter_mut().for_each(|l| *l = OnceLock::new());
        }
    }

    /// The sun.
    #[must_use]
    pub fn sun(&self) -> Sun {
        self.sun
    }

    /// `[x_min, y_min, x_max, y_max]`, metres in `map`.
    #[must_use]
    pub fn bbox_m(&self) -> [f64; 4] {
        let x = |n: i64| n as f64 * self.res_m;
        [
            x(self.first[0]),
            x(self.first[1]),
            x(self.first[0] + self.cells[0] as i64),
            x(self.first[1] + self.cells[1] as i64),
        ]
    }

    /// The rectangle and height that it was made for.
    #[must_use]
    pub fn asked_for(&self) -> ([f64; 4], f64) {
        self.asked_for
    }

    /// Number of levels of the pyramid; the last has a single square.
    #[must_use]
    pub fn levels(&self) -> usize {
        self.levels.len()
    }

    /// Greatest height over square `(i, j)` of a level, metres; −∞ outside or without ground.
    #[must_use]
    pub fn max_m(&self, level: usize, i: usize, j: usize) -> f32 {
        let l = &self.levels[level];
        l.max[j * l.cols + i]
    }

    /// Greatest height over the cells `[x0, x1] × [y0, y1]` (any numbers), from the level at which that is at most
    /// three squares a side; −∞ outside.
    #[must_use]
    pub fn max_over(&self, [x0, y0, x1, y1]: [f64; 4]) -> f32 {
        let (cols, rows) = (self.cells[0] as f64, self.cells[1] as f64);
        if !(x1 >= 0.0 && y1 >= 0.0 && x0 <= cols && y0 <= rows) {
            return f32::NEG_INFINITY;
        }
        let span = (x1 - x0).max(y1 - y0).max(0.0) as u32;
        let level = ((u32::BITS - span.leading_zeros()) as usize).min(self.levels.len() - 1);
        let l = &self.levels[level];
        let square = |v: f64, n: usize| ((v.max(0.0) as usize) >> level).min(n - 1);
        let (i0, i1) = (square(x0, l.cols), square(x1, l.cols));
        let (j0, j1) = (square(y0, l.rows), square(y1, l.rows));
        let mut max = f32::NEG_INFINITY;
        for j in j0..=j1 {
            for i in i0..=i1 {
                max = max.max(l.max[j * l.cols + i]);
            }
        }
        max
    }

    /// The corners of a cell: `[south-west, south-east, north-west, north-east]`, metres.
    #[must_use]
    pub fn corners(&self, i: usize, j: usize) -> [f32; 4] {
        let n = self.cells[0] + 1;
        let k = j * n + i;
        let h = &self.heights;
        [h[k], h[k + 1], h[k + n], h[k + n + 1]]
    }

    /// Slopes at `(u, v)` within a cell, rise per metre east and north: differences over two cells at the nodes,
    /// interpolated, so that light has no creases. Beside holes the cell's own.
    #[must_use]
    pub fn slopes(&self, i: usize, j: usize, u: f32, v: f32) -> [f32; 2] {
        let n = self.cells[0] + 1;
        let per_m = 1.0 / self.res_m as f32;
        if i >= 1 && j >= 1 && i + 2 <= self.cells[0] && j + 2 <= self.cells[1] {
            let k = j * n + i;
            let h = &self.heights;
            let (r0, r1, r2, r3) = (
                &h[k - n - 1..k - n + 3],
                &h[k - 1..k + 3],
                &h[k + n - 1..k + n + 3],
                &h[k + 2 * n - 1..k + 2 * n + 3],
            );
            let mix = |a: f32, b: f32, t: f32| a + (b - a) * t;
            let gx = mix(
                mix(r1[2] - r1[0], r1[3] - r1[1], u),
                mix(r2[2] - r2[0], r2[3] - r2[1], u),
                v,
            );
            let gy = mix(
                mix(r2[1] - r0[1], r2[2] - r0[2], u),
                mix(r3[1] - r1[1], r3[2] - r1[2], u),
                v,
            );
            if gx.is_finite() && gy.is_finite() {
                return [0.5 * gx * per_m, 0.5 * gy * per_m];
            }
        }
        let [a, b, c, d] = self.corners(i, j);
        [
            ((b - a) * (1.0 - v) + (d - c) * v) * per_m,
            ((c - a) * (1.0 - u) + (d - b) * u) * per_m,
        ]
    }

    /// Albedo at `(u, v)` within a cell, in steps of 1 / [`crate::world::ALBEDO_SCALE`].
    #[must_use]
    pub fn albedo(&self, i: usize, j: usize, u: f32, v: f32) -> f32 {
        let n = self.cells[0] + 1;
        let k = j * n + i;
        let a = |k: usize| f32::from(self.albedo[k]);
        let south = a(k) + (a(k + 1) - a(k)) * u;
        let north = a(k + n) + (a(k + n + 1) - a(k + n)) * u;
        south + (north - south) * v
    }

    /// Class code of the nearest node, with [`ROCK`] set where a rock covers it.
    #[must_use]
    pub fn code(&self, i: usize, j: usize, u: f32, v: f32) -> u8 {
        let n = self.cells[0] + 1;
        self.codes[(j + usize::from(v > 0.5)) * n + i + usize::from(u > 0.5)]
    }

    /// Number of the block of light that a cell lies in.
    #[must_use]
    pub fn light_block(&self, i: usize, j: usize) -> usize {
        (j / LIGHT_CELLS) * self.light_cols + i / LIGHT_CELLS
    }

    /// Number of blocks of light.
    #[must_use]
    pub fn light_blocks(&self) -> usize {
        self.light.len()
    }

    /// How far the ground at `(u, v)` within a cell lies below (negative) or above the shadow's edge, metres: above 0 it
    /// is in shadow.
    #[must_use]
    pub fn shadow_m(&self, i: usize, j: usize, u: f32, v: f32) -> f32 {
        let block = self.light_block(i, j);
        let q = self.light[block].get_or_init(|| self.lit(block));
        let k = (j % LIGHT_CELLS) * LIGHT_NODES + i % LIGHT_CELLS;
        let south = q[k] + (q[k + 1] - q[k]) * u;
        let north = q[k + LIGHT_NODES] + (q[k + LIGHT_NODES + 1] - q[k + LIGHT_NODES]) * u;
        south + (north - south) * v
    }

    /// Works out a block of light, unless that was done before.
    pub fn light_up(&self, block: usize) {
        self.light[block].get_or_init(|| self.lit(block));
    }

    fn lit(&self, block: usize) -> Box<[f32]> {
        let (bi, bj) = (
            (block % self.light_cols) * LIGHT_CELLS,
            (block / self.light_cols) * LIGHT_CELLS,
        );
        let mut out = vec![LIT_M; LIGHT_NODES * LIGHT_NODES].into_boxed_slice();
        for (k, q) in out.iter_mut().enumerate() {
            let (i, j) = (bi + k % LIGHT_NODES, bj + k / LIGHT_NODES);
            if i <= self.cells[0] && j <= self.cells[1] {
                *q = self.shadow_at_node(i, j);
            }
        }
        out
    }

    /// The most that any ground towards the sun rises over the line from a node to the sun, metres; not below
    /// [`LIT_M`]. Cells are skipped by the pyramid; in a cell the ground is looked at where the line enters and in the
    /// middle.
    fn shadow_at_node(&self, i: usize, j: usize) -> f32 {
        let n = self.cells[0] + 1;
        let h0 = self.heights[j * n + i];
        let [sx, sy, sz] = self.sun.direction();
        let flat = sx.hypot(sy);
        if flat < 1e-6 || !h0.is_finite() {
            return LIT_M;
        }
        let (dx, dy) = (sx / flat, sy / flat);
        // rise of the line per cell of way
        let rise = (sz / flat * self.res_m) as f32;
        let end = SHADOW_M / self.res_m;
        let (cols, rows) = (self.cells[0] as f64, self.cells[1] as f64);
        let mut best = LIT_M;
        // Half a cell away, so that ground does not shade itself.
        let mut s = 0.5;
        let mut level = 0usize;
        while s < end {
            let (x, y) = (i as f64 + s * dx, j as f64 + s * dy);
            if !(x >= 0.0 && y >= 0.0 && x < cols && y < rows) {
                break;
            }
            let (ci, cj) = (x as usize >> level, y as usize >> level);
            let way = |p: f64, d: f64, c: usize| {
                if d.abs() < 1e-12 {
                    return f64::INFINITY;
                }
                let edge = ((c + usize::from(d > 0.0)) << level) as f64;
                (edge - p) / d
            };
            let step = way(x, dx, ci).min(way(y, dy, cj)).max(0.0) + 1e-6;
            if self.max_m(level, ci, cj) - h0 - rise * s as f32 > best {
                if level > 0 {
                    level -= 1;
                    continue;
                }
                for at in [s, s + 0.5 * step] {
                    let (x, y) = (
                        i as f64 + at * dx - ci as f64,
                        j as f64 + at * dy - cj as f64,
                    );
                    let [a, b, c, d] = self.corners(ci, cj);
                    let (u, v) = (x as f32, y as f32);
                    let z = (a * (1.0 - u) + b * u) * (1.0 - v) + (c * (1.0 - u) + d * u) * v;
                    best = best.max(z - h0 - rise * at as f32);
                }
            } else if level + 1 < self.levels.len() && level < 6 {
                level += 1;
                // The larger square may reach back; the way on from here is what counts.
                let (ci, cj) = (x as usize >> level, y as usize >> level);
                if self.max_m(level, ci, cj) - h0 - rise * s as f32 > best {
                    level -= 1;
                } else {
                    continue;
                }
            }
            s += step;
        }
        best
    }
}

fn pyramid(heights: &[f32], cols: usize, rows: usize) -> Vec<Level> {
    let n = cols + 1;
    let mut max = vec![f32::NEG_INFINITY; cols * rows];
    max.par_chunks_mut(cols).enumerate().for_each(|(j, row)| {
        let (south, north) = (
            &heights[j * n..(j + 1) * n],
            &heights[(j + 1) * n..(j + 2) * n],
        );
        for (i, out) in row.iter_mut().enumerate() {
            let corners = [south[i], south[i + 1], north[i], north[i + 1]];
            // A cell with a corner that is not a number holds no ground.
            if !corners.iter().any(|h| h.is_nan()) {
                *out = corners.into_iter().fold(f32::NEG_INFINITY, f32::max);
            }
        }
    });
    let mut levels = vec![Level { cols, rows, max }];
    while let Some(last) = levels.last().filter(|l| l.cols > 1 || l.rows > 1) {
        let (cols, rows) = (last.cols.div_ceil(2), last.rows.div_ceil(2));
        let mut max = vec![f32::NEG_INFINITY; cols * rows];
        max.par_chunks_mut(cols).enumerate().for_each(|(j, row)| {
            for (i, out) in row.iter_mut().enumerate() {
                for y in 2 * j..(2 * j + 2).min(last.rows) {
                    for x in 2 * i..(2 * i + 2).min(last.cols) {
                        *out = out.max(last.max[y * last.cols + x]);
                    }
                }
            }
        });
        levels.push(Level { cols, rows, max });
    }
    levels
}
