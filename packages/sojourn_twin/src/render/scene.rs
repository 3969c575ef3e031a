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

/// Greatest heights over squares of 2 × 2 cells (level 1), 4 × 4 (level 2) and so on, all in one piece, so that a step of
/// a ray finds its square by one addition. Single cells (level 0) are looked at in the heights themselves.
#[derive(Debug)]
struct Pyramid {
    max: Vec<f32>,
    levels: [Level; LEVELS],
    top: usize,
}

/// Where a level's squares stand in [`Pyramid::max`].
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    begin: usize,
    cols: usize,
    rows: usize,
}

/// More levels than any patch has that fits into memory.
const LEVELS: usize = 32;

/// What the light of a place needs of a node, in one piece: four neighbours lie on two or three lines of the cache.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// Difference of the heights east and west of it, and north and south, metres; not-a-number beside holes and borders.
    rise_m: [f32; 2],
    /// How far it lies below (negative) or above the shadow's edge, metres.
    shadow_m: f32,
    albedo: u8,
    code: u8,
}

/// What lies at a place.
#[derive(Clone, Copy, Debug)]
pub struct Spot {
    /// Slopes, rise per metre east and north: differences over two cells at the nodes, interpolated, so that light has no
    /// creases. Beside holes the cell's own.
    pub slopes: [f32; 2],
    /// Albedo, in steps of 1 / [`crate::world::ALBEDO_SCALE`].
    pub albedo: f32,
    /// Class code of the nearest node, with [`ROCK`] set where a rock covers it.
    pub code: u8,
    /// How far the ground lies below (negative) or above the shadow's edge, metres: above 0 it is in shadow.
    pub shadow_m: f32,
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
    pyramid: Pyramid,
    asked_for: ([f64; 4], f64),
    sun: Sun,
    light: Vec<OnceLock<Box<[Node]>>>,
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
            pyramid: Pyramid::new(&heights, cols, rows),
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

    /// Number of the coarsest level of the pyramid, a single square; at least 1.
    #[must_use]
    pub fn top(&self) -> usize {
        self.pyramid.top
    }

    /// Greatest height over square `(i, j)` of a level from 1 to [`Scene::top`], metres; −∞ without ground.
    #[must_use]
    #[inline]
    pub fn max_m(&self, level: usize, i: usize, j: usize) -> f32 {
        let l = self.pyramid.levels[level % LEVELS];
        self.pyramid.max[l.begin + j * l.cols + i]
    }

    /// Greatest height over the cells `[x0, x1] × [y0, y1]` (any numbers), from the level at which that is at most
    /// three squares a side; −∞ outside.
    #[must_use]
    #[inline]
    pub fn max_over(&self, [x0, y0, x1, y1]: [f64; 4]) -> f32 {
        let (cols, rows) = (self.cells[0] as f64, self.cells[1] as f64);
        if !(x1 >= 0.0 && y1 >= 0.0 && x0 <= cols && y0 <= rows) {
            return f32::NEG_INFINITY;
        }
        let span = (x1 - x0).max(y1 - y0).max(0.0) as u32;
        let level = ((u32::BITS - span.leading_zeros()) as usize).clamp(1, self.pyramid.top);
        let l = self.pyramid.levels[level % LEVELS];
        let square = |v: f64, n: usize| ((v.max(0.0) as usize) >> level).min(n - 1);
        let (i0, i1) = (square(x0, l.cols), square(x1, l.cols));
        let (j0, j1) = (square(y0, l.rows), square(y1, l.rows));
        let mut max = f32::NEG_INFINITY;
        for j in j0..=j1 {
            let row = l.begin + j * l.cols;
            for h in &self.pyramid.max[row + i0..=row + i1] {
                if *h > max {
                    max = *h;
                }
            }
        }
        max
    }

    /// The corners of a cell: `[south-west, south-east, north-west, north-east]`, metres.
    #[must_use]
    #[inline]
    pub fn corners(&self, i: usize, j: usize) -> [f32; 4] {
        let n = self.cells[0] + 1;
        let k = j * n + i;
        let h = &self.heights;
        [h[k], h[k + 1], h[k + n], h[k + n + 1]]
    }

    /// What lies at `(u, v)` within a cell.
    #[must_use]
    #[inline]
    pub fn spot(&self, i: usize, j: usize, u: f32, v: f32) -> Spot {
        let block = self.light_block(i, j);
        let nodes = self.light[block].get_or_init(|| self.lit(block));
        let k = (j % LIGHT_CELLS) * LIGHT_NODES + i % LIGHT_CELLS;
        let (south, north) = (
            &nodes[k..k + 2],
            &nodes[k + LIGHT_NODES..k + LIGHT_NODES + 2],
        );
        let corners = [&south[0], &south[1], &north[0], &north[1]];
        let mix = |[a, b, c, d]: [f32; 4]| {
            let (south, north) = (a + (b - a) * u, c + (d - c) * u);
            south + (north - south) * v
        };
        let rise_m = [0, 1].map(|k| mix(corners.map(|n| n.rise_m[k])));
        let per_m = 1.0 / self.res_m as f32;
        let slopes = if rise_m[0].is_finite() && rise_m[1].is_finite() {
            rise_m.map(|r| 0.5 * r * per_m)
        } else {
            let [a, b, c, d] = self.corners(i, j);
            [
                ((b - a) * (1.0 - v) + (d - c) * v) * per_m,
                ((c - a) * (1.0 - u) + (d - b) * u) * per_m,
            ]
        };
        let near = if v > 0.5 { north } else { south };
        Spot {
            slopes,
            albedo: mix(corners.map(|n| f32::from(n.albedo))),
            code: near[usize::from(u > 0.5)].code,
            shadow_m: mix(corners.map(|n| n.shadow_m)),
        }
    }

    /// Number of the block of light that a cell lies in.
    #[must_use]
    #[inline]
    pub fn light_block(&self, i: usize, j: usize) -> usize {
        (j / LIGHT_CELLS) * self.light_cols + i / LIGHT_CELLS
    }

    /// Number of blocks of light.
    #[must_use]
    pub fn light_blocks(&self) -> usize {
        self.light.len()
    }

    /// Works out a block of light, unless that was done before.
    pub fn light_up(&self, block: usize) {
        self.light[block].get_or_init(|| self.lit(block));
    }

    fn lit(&self, block: usize) -> Box<[Node]> {
        let (bi, bj) = (
            (block % self.light_cols) * LIGHT_CELLS,
            (block / self.light_cols) * LIGHT_CELLS,
        );
        let [cols, rows] = self.cells;
        let stride = cols + 1;
        let line = Line::to(self.sun, self.res_m);
        let over = self.highest_sunwards([bi, bj], &line);
        (0..LIGHT_NODES * LIGHT_NODES)
            .map(|n| {
                let (i, j) = (bi + n % LIGHT_NODES, bj + n / LIGHT_NODES);
                let mut node = Node {
                    rise_m: [f32::NAN; 2],
                    shadow_m: LIT_M,
                    albedo: 0,
                    code: 0,
                };
                if i <= cols && j <= rows {
                    let k = j * stride + i;
                    let h = &self.heights;
                    if i >= 1 && i < cols {
                        node.rise_m[0] = h[k + 1] - h[k - 1];
                    }
                    if j >= 1 && j < rows {
                        node.rise_m[1] = h[k + stride] - h[k - stride];
                    }
                    (node.albedo, node.code) = (self.albedo[k], self.codes[k]);
                    node.shadow_m = self.shadow_at_node(&line, over, i, j);
                }
                node
            })
            .collect()
    }

    /// Greatest height over square `(i, j)` of any level, level 0 included.
    fn highest(&self, level: usize, i: usize, j: usize) -> f32 {
        if level == 0 {
            highest(self.corners(i, j))
        } else {
            self.max_m(level, i, j)
        }
    }

    /// Height over which no ground lies that may shade a block of light, metres.
    fn highest_sunwards(&self, [bi, bj]: [usize; 2], line: &Line) -> f32 {
        let reach = SHADOW_M / self.res_m;
        let span = |from: usize, d: f64| {
            let (a, b) = (from as f64, (from + LIGHT_CELLS) as f64);
            [a + reach * d.min(0.0) - 1.0, b + reach * d.max(0.0) + 1.0]
        };
        let ([x0, x1], [y0, y1]) = (span(bi, line.dx), span(bj, line.dy));
        self.max_over([x0, y0, x1, y1])
    }

    /// The most that any ground towards the sun, which is nowhere higher than `over`, rises over the line from a node to the sun, metres; not below
    /// [`LIT_M`]. Cells are skipped by the pyramid; in a cell the ground is looked at where the line enters and in the
    /// middle.
    fn shadow_at_node(&self, line: &Line, over: f32, i: usize, j: usize) -> f32 {
        let n = self.cells[0] + 1;
        let h0 = self.heights[j * n + i];
        let Line { dx, dy, rise, flat } = *line;
        if flat < 1e-6 || !h0.is_finite() {
            return LIT_M;
        }
        let mut end = SHADOW_M / self.res_m;
        if rise > 0.0 {
            // Where the line is higher than all ground, nothing can shade any more.
            end = end.min(f64::from((over - h0 - LIT_M) / rise) + 1.0);
        }
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
            if self.highest(level, ci, cj) - h0 - rise * s as f32 > best {
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
            } else if level < self.pyramid.top.min(6) {
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

/// The way to the sun over the ground.
struct Line {
    dx: f64,
    dy: f64,
    /// Rise per cell of way, metres.
    rise: f32,
    /// Horizontal part of the direction.
    flat: f64,
}

impl Line {
    fn to(sun: Sun, res_m: f64) -> Self {
        let [sx, sy, sz] = sun.direction();
        let flat = sx.hypot(sy);
        Self {
            dx: sx / flat,
            dy: sy / flat,
            rise: (sz / flat * res_m) as f32,
            flat,
        }
    }
}

/// The greatest of a cell's corners; −∞ when one of them is not a number, because such a cell holds no ground.
#[inline]
pub(super) fn highest([a, b, c, d]: [f32; 4]) -> f32 {
    if (a + b + c + d).is_nan() {
        return f32::NEG_INFINITY;
    }
    let greater = |a: f32, b: f32| if a > b { a } else { b };
    greater(greater(a, b), greater(c, d))
}

impl Pyramid {
    fn new(heights: &[f32], cols: usize, rows: usize) -> Self {
        let mut levels = [Level::default(); LEVELS];
        let (mut top, mut size) = (0, 0);
        let mut last = [cols, rows];
        while top == 0 || last != [1, 1] {
            top += 1;
            last = last.map(|n| n.div_ceil(2));
            levels[top] = Level {
                begin: size,
                cols: last[0],
                rows: last[1],
            };
            size += last[0] * last[1];
        }
        let mut max = vec![f32::NEG_INFINITY; size];
        let n = cols + 1;
        let below = |k: usize| {
            if k == 0 {
                [cols, rows]
            } else {
                [levels[k].cols, levels[k].rows]
            }
        };
        for level in 1..=top {
            let l = levels[level];
            let [fine_cols, fine_rows] = below(level - 1);
            let (done, here) = max.split_at_mut(l.begin);
            let fine = &done[levels[level - 1].begin..];
            here[..l.cols * l.rows]
                .par_chunks_mut(l.cols)
                .enumerate()
                .for_each(|(j, row)| {
                    for (i, out) in row.iter_mut().enumerate() {
                        for y in 2 * j..(2 * j + 2).min(fine_rows) {
                            for x in 2 * i..(2 * i + 2).min(fine_cols) {
                                let h = if level == 1 {
                                    let k = y * n + x;
                                    highest([
                                        heights[k],
                                        heights[k + 1],
                                        heights[k + n],
                                        heights[k + n + 1],
                                    ])
                                } else {
                                    fine[y * fine_cols + x]
                                };
                                *out = out.max(h);
                            }
                        }
                    }
                });
        }
        Self { max, levels, top }
    }
}
