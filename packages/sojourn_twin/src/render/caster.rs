//! Rays in bundles. A block of neighbouring pixels is followed as one beam over the pyramid until it may touch ground;
//! its quarters go on from there, and the rays of the smallest blocks only look at the last few cells each.
//!
//! A beam is bounded by the box of its rays' horizontal directions and by its lowest ray, so it never passes ground that
//! one of its rays meets: the depths are those of the plain caster ([`super::plain`]), to rounding.

use super::scene::{Scene, highest};

/// Side of the blocks that an image is cut into, pixels.
pub const BLOCK: usize = 16;
/// Side of the smallest beams, pixels.
const LEAF: usize = 4;
/// Nearest depth that is seen, metres.
const NEAR_M: f64 = 0.05;

/// A pixel's ray.
#[derive(Clone, Copy, Debug)]
pub struct RayIn {
    /// Cells east and north per metre of depth.
    pub dx: f64,
    /// Cells north per metre of depth.
    pub dy: f64,
    /// Metres up per metre of depth.
    pub dz: f64,
    /// Start relative to the eye: cells east, cells north, metres up.
    pub start: [f64; 3],
    /// Whether the pixel has a ray at all.
    pub valid: bool,
}

impl RayIn {
    /// Cells of horizontal way per metre of depth.
    #[inline]
    fn flat(&self) -> f64 {
        greater((self.dx * self.dx + self.dy * self.dy).sqrt(), 1e-9)
    }
}

/// Rays from an eye over a scene.
pub struct Caster<'a> {
    scene: &'a Scene,
    /// Cells from the scene's south-western node.
    x: f64,
    y: f64,
    /// Metres over [`Scene::z0_m`].
    z: f64,
    range_m: f64,
    /// Most that a ray's start lies off the eye, metres.
    pad_m: f64,
}

/// Bounds of a beam: horizontal directions (unit vectors) in a box, least rise per cell of horizontal way.
#[derive(Clone, Copy)]
struct Beam {
    x: [f64; 2],
    y: [f64; 2],
    rise: f64,
    /// Least and greatest cells of horizontal way per metre of depth.
    flat: [f64; 2],
}

impl Beam {
    /// The bounds of no ray.
    const NONE: Self = Self {
        x: [f64::INFINITY, f64::NEG_INFINITY],
        y: [f64::INFINITY, f64::NEG_INFINITY],
        rise: f64::INFINITY,
        flat: [f64::INFINITY, 0.0],
    };

    #[inline]
    fn with(self, o: &Self) -> Self {
        let wider = |a: [f64; 2], b: [f64; 2]| [lesser(a[0], b[0]), greater(a[1], b[1])];
        Self {
            x: wider(self.x, o.x),
            y: wider(self.y, o.y),
            rise: lesser(self.rise, o.rise),
            flat: wider(self.flat, o.flat),
        }
    }

    #[inline]
    fn of(ray: &RayIn) -> Self {
        if !ray.valid {
            return Self::NONE;
        }
        let flat = ray.flat();
        let per = 1.0 / flat;
        let (x, y, rise) = (ray.dx * per, ray.dy * per, ray.dz * per);
        Self {
            x: [x, x],
            y: [y, y],
            rise,
            flat: [flat, flat],
        }
    }
}

impl<'a> Caster<'a> {
    /// From an eye at `eye_m` in `map`; ground beyond the depth `range_m` is not seen. `pad_m` bounds how far a ray's
    /// start lies off the eye.
    #[must_use]
    pub fn new(scene: &'a Scene, eye_m: [f64; 3], range_m: f64, pad_m: f64) -> Self {
        let cell = |v: f64, first: i64| v / scene.res_m - first as f64;
        Self {
            scene,
            x: cell(eye_m[0], scene.first[0]),
            y: cell(eye_m[1], scene.first[1]),
            z: eye_m[2] - scene.z0_m,
            range_m,
            pad_m,
        }
    }

    /// Place in cells and height (over [`Scene::z0_m`]) of a ray at a depth.
    #[must_use]
    #[inline]
    pub fn at(&self, ray: &RayIn, depth_m: f64) -> [f64; 3] {
        [
            self.x + ray.start[0] + depth_m * ray.dx,
            self.y + ray.start[1] + depth_m * ray.dy,
            self.z + ray.start[2] + depth_m * ray.dz,
        ]
    }

    /// Depths of a block of rays, [`BLOCK`]² row by row; not-a-number where there is none.
    pub fn block(&self, rays: &[RayIn], depths: &mut [f32]) {
        const LEAVES: usize = BLOCK / LEAF;
        let mut leaves = [Beam::NONE; LEAVES * LEAVES];
        for (k, ray) in rays.iter().enumerate() {
            let leaf = (k / BLOCK / LEAF) * LEAVES + k % BLOCK / LEAF;
            leaves[leaf] = leaves[leaf].with(&Beam::of(ray));
        }
        let whole = leaves.iter().fold(Beam::NONE, |a, b| a.with(b));
        let start = self.reach(&whole, 0.0);
        for qy in 0..2 {
            for qx in 0..2 {
                let half = LEAVES / 2;
                let of = |f: &mut dyn FnMut(usize)| {
                    for y in qy * half..(qy + 1) * half {
                        for x in qx * half..(qx + 1) * half {
                            f(y * LEAVES + x);
                        }
                    }
                };
                let mut quarter = Beam::NONE;
                of(&mut |leaf| quarter = quarter.with(&leaves[leaf]));
                let start = self.reach(&quarter, start);
                of(&mut |leaf| self.leaf(&leaves[leaf], leaf, start, rays, depths));
            }
        }
    }

    fn leaf(&self, beam: &Beam, leaf: usize, start: f64, rays: &[RayIn], depths: &mut [f32]) {
        let (row, col) = (leaf / (BLOCK / LEAF) * LEAF, leaf % (BLOCK / LEAF) * LEAF);
        let start = self.reach(beam, start);
        for v in row..row + LEAF {
            for u in col..col + LEAF {
                let k = v * BLOCK + u;
                let ray = &rays[k];
                if ray.valid {
                    // The start is given as horizontal way.
                    let from_m = greater(start / ray.flat() * (1.0 - 1e-9) - 1e-6, NEAR_M);
                    depths[k] = self.cast(ray, from_m).map_or(f32::NAN, |t| t as f32);
                }
            }
        }
    }

    /// Horizontal way, cells, up to which a beam surely touches nothing; from a way that is already known to be free.
    fn reach(&self, beam: &Beam, from: f64) -> f64 {
        // Rays (nearly) straight down have no horizontal way to skip.
        if !(beam.flat[0] > 0.02 * beam.flat[1].max(1.0)) {
            return 0.0;
        }
        let end = self.range_m * beam.flat[1];
        let pad = self.pad_m / self.scene.res_m + 1e-6;
        let z = self.z - self.pad_m - 1e-6;
        let mut way = from;
        let mut step = (0.25 * way).max(4.0);
        while way < end {
            let far = (way + step).min(end);
            let span = |d: [f64; 2]| {
                let lo = lesser(way * d[0], far * d[0]);
                let hi = greater(way * d[1], far * d[1]);
                [lo - pad, hi + pad]
            };
            let (x, y) = (span(beam.x), span(beam.y));
            let highest =
                self.scene
                    .max_over([self.x + x[0], self.y + y[0], self.x + x[1], self.y + y[1]]);
            let lowest = z + beam.rise * if beam.rise < 0.0 { far } else { way };
            if lowest > f64::from(highest) {
                way = far;
                step *= 1.6;
            } else {
                step *= 0.4;
                // Finer than the beam is wide it does not pay.
                if step < 1.0 || step < 0.3 * (x[1] - x[0]).min(y[1] - y[0]) {
                    break;
                }
            }
        }
        way
    }

    /// The depth at which a ray first meets ground, from a depth that is known to be free.
    fn cast(&self, ray: &RayIn, from_m: f64) -> Option<f64> {
        let scene = self.scene;
        let (ox, oy, oz) = (
            self.x + ray.start[0],
            self.y + ray.start[1],
            self.z + ray.start[2],
        );
        // A ray straight down has no next cell; the tiny slope does not show.
        let nudge = |d: f64| if d.abs() < 1e-12 { 1e-12 } else { d };
        let (dx, dy, dz) = (nudge(ray.dx), nudge(ray.dy), ray.dz);
        let (cols, rows) = (scene.cells[0] as i64, scene.cells[1] as i64);
        let (inv_x, inv_y) = (1.0 / dx, 1.0 / dy);
        let (mut t, mut t_end) = (from_m, self.range_m);
        for (o, inv, n) in [(ox, inv_x, cols as f64), (oy, inv_y, rows as f64)] {
            let (a, b) = (-o * inv, (n - o) * inv);
            t = greater(t, lesser(a, b));
            t_end = lesser(t_end, greater(a, b));
        }
        if !(t < t_end) {
            return None;
        }
        let (ahead_x, ahead_y) = (i64::from(dx > 0.0), i64::from(dy > 0.0));
        let top = scene.top().min(8);
        let mut level = 0;
        // Rounded towards zero, which only differs outside. The cell at the finest level; stepping is done on integers, so
        // a ray cannot get stuck between two cells. They are far from what an integer holds: the sums wrap, which costs
        // nothing, in place of being watched.
        let mut i = ((ox + t * dx) as i64).clamp(0, cols - 1);
        let mut j = ((oy + t * dy) as i64).clamp(0, rows - 1);
        // Lower than the last cell's highest corner: the next cell is likely to be met.
        let mut close = false;
        loop {
            let (ci, cj) = (i >> level, j >> level);
            let (edge_x, edge_y) = (
                ci.wrapping_add(ahead_x) << level,
                cj.wrapping_add(ahead_y) << level,
            );
            let out_x = (edge_x as f64 - ox) * inv_x;
            let out_y = (edge_y as f64 - oy) * inv_y;
            let t_out = greater(lesser(lesser(out_x, out_y), t_end), t);
            let lowest = oz + dz * if dz < 0.0 { t_out } else { t };
            if level > 0 {
                if lowest <= f64::from(scene.max_m(level, ci as usize, cj as usize)) {
                    level -= 1;
                    continue;
                }
            } else {
                let z = scene.corners(i as usize, j as usize);
                close = lowest <= f64::from(highest(z));
                if close {
                    let place = [ox - i as f64, oy - j as f64, oz];
                    if let Some(hit) = patch(z.map(f64::from), place, [dx, dy, dz], t, t_out) {
                        return Some(hit);
                    }
                }
            }
            if t_out >= t_end {
                return None;
            }
            t = t_out;
            let crossed;
            let span = (1i64 << level).wrapping_sub(1);
            if out_x < out_y {
                i = edge_x.wrapping_sub(1).wrapping_add(ahead_x);
                let low = cj << level;
                j = ((oy + t * dy) as i64).clamp(low, low | span);
                crossed = (i >> level) & 1 == 1 - ahead_x;
            } else {
                j = edge_y.wrapping_sub(1).wrapping_add(ahead_y);
                let low = ci << level;
                i = ((ox + t * dx) as i64).clamp(low, low | span);
                crossed = (j >> level) & 1 == 1 - ahead_y;
            }
            if i < 0 || j < 0 || i >= cols || j >= rows {
                return None;
            }
            // Over a new larger square the larger view is worth a try again.
            if crossed && !close && level < top {
                level += 1;
            }
        }
    }
}

/// The smaller of two numbers; `f64::min` costs twice as much, because it minds not-a-number.
#[inline]
fn lesser(a: f64, b: f64) -> f64 {
    if a < b { a } else { b }
}

#[inline]
fn greater(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

/// First intersection of a ray with the bilinear patch of a cell between two depths. `place` is the ray's start seen
/// from the cell's south-western corner.
#[inline]
fn patch(
    [z00, z10, z01, z11]: [f64; 4],
    [ox, oy, oz]: [f64; 3],
    [dx, dy, dz]: [f64; 3],
    t0: f64,
    t1: f64,
) -> Option<f64> {
    let (a, b) = (z10 - z00, z01 - z00);
    let c = z11 - z00 - a - b;
    // ground(u, v) = z00 + a·u + b·v + c·u·v along u = u0 + s·dx, v = v0 + s·dy, s = t − t0
    let (u0, v0) = (ox + t0 * dx, oy + t0 * dy);
    // gap(s) = q0 + q1·s + q2·s², positive above ground
    let q0 = oz + t0 * dz - (z00 + a * u0 + b * v0 + c * u0 * v0);
    let q1 = dz - (a * dx + b * dy + c * (u0 * dy + v0 * dx));
    let q2 = -c * dx * dy;
    if q0 <= 0.0 {
        // Rounding at the cell's border: the ray went in just beside it.
        return Some(t0);
    }
    let s = super::plain::first_root(q0, q1, q2, (t1 - t0) * (1.0 + 1e-9) + 1e-12)?;
    Some(t0 + s)
}
