//! The ground truth: a site's elevation with everything below the resolution of its data added.
//!
//! Heights stand on a square grid of nodes and are interpolated bilinearly in between, for wheels and camera alike. What
//! is added depends on seed and place alone, so a world over another region is the same ground.

pub use crate::generate::{GenerateParams, generate};

use crate::{
    TwinError,
    noise::Fractal,
    render::Pyramid,
    rocks::{Rock, RockField, TILE_M},
};
use rayon::prelude::*;
use sojourn_core::{
    error::in_range,
    raster::{HeightField, MAX_CELLS, Raster},
    site::Site,
};

/// How a world is made from a site.
#[derive(Clone, Debug, PartialEq)]
pub struct WorldParams {
    /// Seed of relief, rocks, soil and brightness.
    pub seed: u64,
    /// Distance of the nodes, metres.
    pub resolution_m: f64,
    /// `[x_min, y_min, x_max, y_max]` in `map` metres; it is cut to the site.
    pub region_m: [f64; 4],
    /// Golombek's k: the share of ground that rocks would cover if arbitrarily small ones counted. 0 for none.
    pub rock_cfa: f64,
    /// Least diameter of a rock, metres.
    pub rock_min_m: f64,
    /// Greatest diameter of a rock, metres.
    pub rock_max_m: f64,
    /// Root mean square of the relief below 2 m of wavelength, metres.
    pub fine_relief_rms_m: f64,
    /// Discs `[x, y, radius]` without rocks, metres: a rover is not set down on a boulder.
    pub clear_m: Vec<[f64; 3]>,
    /// Direction to the sun, radians counter-clockwise from east.
    pub sun_azimuth_rad: f64,
    /// Height of the sun, radians.
    pub sun_elevation_rad: f64,
}

impl WorldParams {
    /// The demo's ground: 0.1 m nodes, k = 0.03 with rocks of 0.1 m to 1.5 m, 2 cm of fine relief, 4 m around the start
    /// free of rocks, sun in the south-west at 45°.
    #[must_use]
    pub fn demo(seed: u64, region_m: [f64; 4], start_m: [f64; 2]) -> Self {
        Self {
            seed,
            resolution_m: 0.1,
            region_m,
            rock_cfa: 0.03,
            rock_min_m: 0.1,
            rock_max_m: 1.5,
            fine_relief_rms_m: 0.02,
            clear_m: vec![[start_m[0], start_m[1], 4.0]],
            sun_azimuth_rad: (-135f64).to_radians(),
            sun_elevation_rad: 45f64.to_radians(),
        }
    }

    /// The rectangle around points, wider by a margin: the region of a drive.
    #[must_use]
    pub fn region_around(points_m: &[[f64; 2]], margin_m: f64) -> [f64; 4] {
        let empty = [
            f64::INFINITY,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NEG_INFINITY,
        ];
        let hull = points_m.iter().fold(empty, |r, p| {
            [
                r[0].min(p[0]),
                r[1].min(p[1]),
                r[2].max(p[0]),
                r[3].max(p[1]),
            ]
        });
        [
            hull[0] - margin_m,
            hull[1] - margin_m,
            hull[2] + margin_m,
            hull[3] + margin_m,
        ]
    }

    fn check(&self) -> Result<(), TwinError> {
        let what = "world";
        in_range(what, "resolution_m", self.resolution_m, 0.005, 10.0)?;
        for v in self.region_m {
            in_range(what, "region_m", v, -1e7, 1e7)?;
        }
        in_range(what, "rock_cfa", self.rock_cfa, 0.0, 0.4)?;
        in_range(what, "rock_min_m", self.rock_min_m, 0.02, 5.0)?;
        in_range(
            what,
            "rock_max_m",
            self.rock_max_m,
            self.rock_min_m,
            0.9 * TILE_M,
        )?;
        in_range(what, "fine_relief_rms_m", self.fine_relief_rms_m, 0.0, 0.5)?;
        for v in self.clear_m.iter().flatten() {
            in_range(what, "clear_m", *v, -1e7, 1e7)?;
        }
        in_range(what, "sun_azimuth_rad", self.sun_azimuth_rad, -10.0, 10.0)?;
        in_range(
            what,
            "sun_elevation_rad",
            self.sun_elevation_rad,
            0.05,
            1.571,
        )?;
        Ok(())
    }
}

mod channel {
    pub const FINE: u64 = 0x31;
    pub const TONE: u64 = 0x32;
    pub const SOIL: u64 = 0x33;
    pub const DRIFT: u64 = 0x34;
}

/// Longest wavelength of the fine relief, metres.
const FINE_LONGEST_M: f64 = 1.6;
/// Exponent of the fine relief's growth with length.
const FINE_HURST: f64 = 0.7;
/// How far a shadow is followed at most, metres.
const SHADOW_M: f64 = 4.0;

/// Dense ground truth over a region.
#[derive(Clone, Debug)]
pub struct World {
    pub(crate) resolution_m: f64,
    /// Of node (0, 0), metres in `map`.
    pub(crate) origin_m: [f64; 2],
    /// The same in whole steps of the resolution.
    first_node: [f64; 2],
    pub(crate) cols: usize,
    pub(crate) rows: usize,
    pub(crate) heights: Vec<f32>,
    /// Brightness under the sun, shadows included.
    pub(crate) shade: Vec<u8>,
    pub(crate) pyramid: Pyramid,
    rocks: Vec<Rock>,
    soil: Fractal,
    drift: Fractal,
}

impl World {
    /// Adds to a site's elevation what is too fine for its data.
    ///
    /// # Errors
    /// [`TwinError::Core`] for a parameter out of range, a region that misses the site, or one with too many nodes.
    pub fn from_site(site: &Site, params: &WorldParams) -> Result<Self, TwinError> {
        params.check()?;
        let elevation = site.elevation()?;
        let (origin, size) = (elevation.origin_m(), elevation.size_m());
        let region = [
            params.region_m[0].max(origin[0]),
            params.region_m[1].max(origin[1]),
            params.region_m[2].min(origin[0] + size[0]),
            params.region_m[3].min(origin[1] + size[1]),
        ];
        let rocks = rocks_in(&region, params);
        // What the data shows already is not added a second time.
        let longest_m = FINE_LONGEST_M.min(2.0 * elevation.resolution_m());
        let fine = Fractal::new(
            params.seed,
            channel::FINE,
            longest_m,
            1.9 * params.resolution_m,
            FINE_HURST,
        );
        let fine_rms_m = params.fine_relief_rms_m * (longest_m / FINE_LONGEST_M).powf(FINE_HURST);
        Self::build(region, params, rocks, |x, y| {
            smooth(elevation, x, y).map_or(f64::NAN, |z| z + fine_rms_m * fine.at(x, y))
        })
    }

    /// A world from a function of `(x_m, y_m)`, for tests and experiments; rocks, soil and brightness as in
    /// [`World::from_site`], no fine relief. Not-a-number is a hole.
    ///
    /// # Errors
    /// As [`World::from_site`].
    pub fn from_fn(
        params: &WorldParams,
        height_m: impl Fn(f64, f64) -> f64 + Sync,
    ) -> Result<Self, TwinError> {
        params.check()?;
        let rocks = rocks_in(&params.region_m, params);
        Self::build(params.region_m, params, rocks, height_m)
    }

    fn build(
        region: [f64; 4],
        params: &WorldParams,
        rocks: Vec<Rock>,
        height_m: impl Fn(f64, f64) -> f64 + Sync,
    ) -> Result<Self, TwinError> {
        let res = params.resolution_m;
        // Nodes sit at whole multiples of the resolution, whatever the region.
        let first = |v: f64| (v / res).ceil();
        let last = |v: f64| (v / res).floor();
        let (i0, j0) = (first(region[0]), first(region[1]));
        let (cols, rows) = (last(region[2]) - i0 + 1.0, last(region[3]) - j0 + 1.0);
        if !(cols >= 2.0 && rows >= 2.0 && cols * rows <= MAX_CELLS as f64) {
            return Err(sojourn_core::CoreError::value(
                "world",
                "region_m",
                format!("{:?} at {res} m", params.region_m),
                format!("a region on the site of 4 to {MAX_CELLS} nodes"),
            )
            .into());
        }
        let (cols, rows) = (cols as usize, rows as usize);
        let origin_m = [i0 * res, j0 * res];
        let tone = Fractal::new(params.seed, channel::TONE, 1.2, 1.9 * res, 0.4);
        let at = |i: usize, j: usize| ((i0 + i as f64) * res, (j0 + j as f64) * res);

        let mut heights = vec![0f32; cols * rows];
        let mut albedo = vec![0f32; cols * rows];
        heights
            .par_chunks_mut(cols)
            .zip(albedo.par_chunks_mut(cols))
            .enumerate()
            .for_each(|(j, (h_row, a_row))| {
                for (i, (h, a)) in h_row.iter_mut().zip(a_row).enumerate() {
                    let (x, y) = at(i, j);
                    *h = height_m(x, y) as f32;
                    *a = (0.6 + 0.06 * tone.at(x, y)) as f32;
                }
            });
        for rock in &rocks {
            let r = 0.5 * rock.diameter_m;
            let range = |centre: f64, origin: f64, n: usize| {
                let lo = ((centre - r - origin) / res).ceil().max(0.0) as usize;
                let hi = ((centre + r - origin) / res).floor();
                lo..(if hi < 0.0 {
                    0
                } else {
                    (hi as usize + 1).min(n)
                })
            };
            for j in range(rock.y_m, origin_m[1], rows) {
                for i in range(rock.x_m, origin_m[0], cols) {
                    let (x, y) = at(i, j);
                    let rise = rock.rise_m(x, y);
                    if rise > 0.0 {
                        heights[j * cols + i] += rise as f32;
                        albedo[j * cols + i] *= rock.tone as f32;
                    }
                }
            }
        }
        let pyramid = Pyramid::new(&heights, cols, rows);
        let mut world = Self {
            resolution_m: res,
            origin_m,
            first_node: [i0, j0],
            cols,
            rows,
            heights,
            shade: Vec::new(),
            pyramid,
            rocks,
            soil: Fractal::new(params.seed, channel::SOIL, 6.0, 6.0, 0.5),
            drift: Fractal::new(params.seed, channel::DRIFT, 60.0, 10.0, 0.5),
        };
        world.shade = world.lit(params, &albedo);
        Ok(world)
    }

    /// Brightness of every node: albedo under sun (Lambert, with shadows cast) and sky.
    fn lit(&self, params: &WorldParams, albedo: &[f32]) -> Vec<u8> {
        let (sin_el, cos_el) = params.sun_elevation_rad.sin_cos();
        let (sin_az, cos_az) = params.sun_azimuth_rad.sin_cos();
        let (cols, rows, res) = (self.cols, self.rows, self.resolution_m);
        let rise = res * sin_el / cos_el.max(1e-3);
        // No rock's shadow is longer than this, and a low sun's is cut.
        let longest_m = (0.6 * params.rock_max_m + 0.3) * res / rise;
        let steps = (longest_m.min(SHADOW_M) / res).ceil() as usize;
        let z = |i: usize, j: usize| self.heights[j * cols + i];
        let mut shade = vec![0u8; cols * rows];
        shade.par_chunks_mut(cols).enumerate().for_each(|(j, row)| {
            for (i, out) in row.iter_mut().enumerate() {
                let (e, w) = ((i + 1).min(cols - 1), i.saturating_sub(1));
                let (n, s) = ((j + 1).min(rows - 1), j.saturating_sub(1));
                let gx = f64::from(z(e, j) - z(w, j)) / ((e - w) as f64 * res);
                let gy = f64::from(z(i, n) - z(i, s)) / ((n - s) as f64 * res);
                let norm = (1.0 + gx * gx + gy * gy).sqrt();
                let lambert = (sin_el - cos_el * (gx * cos_az + gy * sin_az)) / norm;
                let mut direct = lambert.max(0.0);
                let here = f64::from(z(i, j));
                for k in 1..=steps {
                    let x = i as f64 + k as f64 * cos_az;
                    let y = j as f64 + k as f64 * sin_az;
                    if x < 0.0 || y < 0.0 || x > (cols - 1) as f64 || y > (rows - 1) as f64 {
                        break;
                    }
                    // 0.5 cell of tolerance, so that ground does not shade itself
                    let ray = here + rise * (k as f64 + 0.5);
                    if f64::from(z(x.round() as usize, y.round() as usize)) > ray {
                        direct = 0.0;
                        break;
                    }
                }
                let light = f64::from(albedo[j * cols + i]) * (0.25 + 0.75 * direct);
                // Not-a-number becomes black here: a hole has no brightness.
                *out = (light * 300.0).clamp(0.0, 255.0) as u8;
            }
        });
        shade
    }

    /// Distance of the nodes, metres.
    #[must_use]
    pub fn resolution_m(&self) -> f64 {
        self.resolution_m
    }

    /// `[x_min, y_min, x_max, y_max]` of the nodes, metres in `map`.
    #[must_use]
    pub fn region_m(&self) -> [f64; 4] {
        let [x, y] = self.origin_m;
        [
            x,
            y,
            x + (self.cols - 1) as f64 * self.resolution_m,
            y + (self.rows - 1) as f64 * self.resolution_m,
        ]
    }

    /// Every rock with its centre in the region. Truth: for scorers, never for a node.
    #[must_use]
    pub fn rocks(&self) -> &[Rock] {
        &self.rocks
    }

    /// How much more (or less) the soil at a place lets the wheels slip than the rover's slip model expects; mean about
    /// 1.1, from 0.6 on crust to 2.5 in patches of loose sand. Truth.
    #[must_use]
    pub fn soil_factor(&self, x_m: f64, y_m: f64) -> f64 {
        let fine = self.soil.at(x_m, y_m);
        let broad = self.drift.at(x_m, y_m);
        (1.0 + 0.15 * fine + 0.25 * broad + 0.25 * (broad - 0.8).max(0.0)).clamp(0.6, 2.5) + 0.05
    }
}

impl HeightField for World {
    fn height_m(&self, x_m: f64, y_m: f64) -> Option<f64> {
        // Place within the cell is taken before the region's corner comes in, so that it has the same bits in every region.
        let (gx, gy) = (x_m / self.resolution_m, y_m / self.resolution_m);
        let (fx, fy) = (
            gx.floor() - self.first_node[0],
            gy.floor() - self.first_node[1],
        );
        if !(fx >= 0.0 && fy >= 0.0 && fx < self.cols as f64 && fy < self.rows as f64) {
            return None;
        }
        let (mut i, mut j) = (fx as usize, fy as usize);
        let (mut tx, mut ty) = (gx - gx.floor(), gy - gy.floor());
        // The last node itself still counts as ground.
        if i + 1 == self.cols {
            if tx > 0.0 {
                return None;
            }
            (i, tx) = (i - 1, 1.0);
        }
        if j + 1 == self.rows {
            if ty > 0.0 {
                return None;
            }
            (j, ty) = (j - 1, 1.0);
        }
        let k = j * self.cols + i;
        let h = &self.heights;
        let south = f64::from(h[k]) * (1.0 - tx) + f64::from(h[k + 1]) * tx;
        let (a, b) = (f64::from(h[k + self.cols]), f64::from(h[k + self.cols + 1]));
        let z = south * (1.0 - ty) + (a * (1.0 - tx) + b * tx) * ty;
        (!z.is_nan()).then_some(z)
    }
}

/// All rocks with their centre in a region and clear of the discs to keep free.
fn rocks_in(region: &[f64; 4], params: &WorldParams) -> Vec<Rock> {
    let field = RockField::new(
        params.seed,
        params.rock_cfa,
        params.rock_min_m,
        params.rock_max_m,
    );
    let tile = |v: f64| (v / TILE_M).floor() as i64;
    let mut rocks = Vec::new();
    if params.rock_cfa <= 0.0 {
        return rocks;
    }
    for iy in tile(region[1])..=tile(region[3]) {
        for ix in tile(region[0])..=tile(region[2]) {
            // A rock whose centre lies outside may still reach in; whole tiles are kept.
            rocks.extend(field.tile(ix, iy).into_iter().filter(|r| {
                params
                    .clear_m
                    .iter()
                    .all(|c| (r.x_m - c[0]).hypot(r.y_m - c[1]) > c[2] + 0.5 * r.diameter_m)
            }));
        }
    }
    rocks
}

/// Elevation between cell centres by Catmull-Rom splines, so that the ground has no creases at the data's resolution;
/// bilinear beside holes and at the raster's edge.
fn smooth(raster: &Raster, x_m: f64, y_m: f64) -> Option<f64> {
    let res = raster.resolution_m();
    let [ox, oy] = raster.origin_m();
    let (fx, fy) = ((x_m - ox) / res - 0.5, (y_m - oy) / res - 0.5);
    let (cols, rows) = (raster.cols() as f64, raster.rows() as f64);
    if !(fx >= 1.0 && fy >= 1.0 && fx < cols - 2.0 && fy < rows - 2.0) {
        return raster.sample(x_m, y_m);
    }
    let (c, r) = (fx as usize, fy as usize);
    let (wx, wy) = (catmull_rom(fx - c as f64), catmull_rom(fy - r as f64));
    let data = raster.data();
    let mut z = 0.0;
    for (dy, wy) in wy.iter().enumerate() {
        let k = (r - 1 + dy) * raster.cols() + c - 1;
        let row: f64 = wx
            .iter()
            .enumerate()
            .map(|(dx, w)| w * f64::from(data[k + dx]))
            .sum();
        z += wy * row;
    }
    if z.is_nan() {
        raster.sample(x_m, y_m)
    } else {
        Some(z)
    }
}

fn catmull_rom(t: f64) -> [f64; 4] {
    let (t2, t3) = (t * t, t * t * t);
    [
        0.5 * (-t3 + 2.0 * t2 - t),
        0.5 * (3.0 * t3 - 5.0 * t2 + 2.0),
        0.5 * (-3.0 * t3 + 4.0 * t2 + t),
        0.5 * (t3 - t2),
    ]
}

#[cfg(test)]
#[path = "world_tests.rs"]
mod tests;
