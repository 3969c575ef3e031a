//! What the ground is at a place: the site's shape, and all that is added below its resolution.

use super::{
    WorldParams, channel,
    pyramid::Pyramid,
    soils::TrueSoils,
    tile::{ALBEDO_SCALE, TILE_CELLS, TILE_NODES, Tile},
};
use crate::{
    craters::Crater,
    noise::Fractal,
    rocks::{Rock, RockField, TILE_M},
    surface::{self, Surface},
};
use sojourn_core::{CoreError, classes::TerrainClass, raster::Raster, soil::SoilTable};

/// Wavelength that the RMS of the fine relief is given for, metres.
pub const FINE_BELOW_M: f64 = 2.0;
/// Exponent of relief's growth with length (Hurst's), as HiRISE elevation shows it.
pub const HURST: f64 = 0.7;
/// How uneven the albedo is, as a share.
const UNEVEN: f64 = 0.1;
/// Albedo of a rock of tone 1.
const ROCK_ALBEDO: f64 = 0.2;

/// Half the distance over which the slope of unlabelled ground is taken, metres: that of a rover.
const SLOPE_REACH_M: f64 = 2.0;
/// Cells around a place that the splines between the data need.
const SPLINE_CELLS: usize = 3;

/// A height in metres for a place `(x_m, y_m)` in `map`.
type Shape = Box<dyn Fn(f64, f64) -> f64 + Send + Sync>;

/// The large shape.
pub enum Base {
    /// A site's elevation.
    Site(Raster),
    /// A function; not-a-number is a hole.
    Function(Shape),
}

impl Base {
    /// The part of an elevation layer that a region needs.
    pub fn of_site(elevation: &Raster, region_m: [f64; 4]) -> Result<Self, CoreError> {
        let (res, origin) = (elevation.resolution_m(), elevation.origin_m());
        let span = |lo: f64, hi: f64, origin: f64, n: usize| {
            let margin = SPLINE_CELLS.max(slope_cells(res) + 1) as f64;
            let a = ((lo - origin) / res - margin).floor().max(0.0) as usize;
            let b = ((hi - origin) / res + margin).ceil().max(0.0) as usize;
            a.min(n - 1)..b.clamp(a.min(n - 1) + 1, n)
        };
        let cols = span(region_m[0], region_m[2], origin[0], elevation.cols());
        let rows = span(region_m[1], region_m[3], origin[1], elevation.rows());
        if cols.len() == elevation.cols() && rows.len() == elevation.rows() {
            return Ok(Self::Site(elevation.clone()));
        }
        let mut data = Vec::with_capacity(cols.len() * rows.len());
        for r in rows.clone() {
            let row = r * elevation.cols();
            data.extend_from_slice(&elevation.data()[row + cols.start..row + cols.end]);
        }
        let corner = [
            origin[0] + cols.start as f64 * res,
            origin[1] + rows.start as f64 * res,
        ];
        Raster::new(cols.len(), rows.len(), res, corner, data).map(Self::Site)
    }

    fn at(&self, x_m: f64, y_m: f64) -> f64 {
        match self {
            Self::Site(raster) => smooth(raster, x_m, y_m).unwrap_or(f64::NAN),
            Self::Function(f) => f(x_m, y_m),
        }
    }

    /// Slope of the large shape over a rover's length, degrees; beside holes and at the edge over what there is.
    fn slope_deg(&self, x_m: f64, y_m: f64) -> f64 {
        let [gx, gy] = match self {
            Self::Site(raster) => {
                let Some((c, r)) = raster.cell_of(x_m, y_m) else {
                    return 0.0;
                };
                let (n, res) = (slope_cells(raster.resolution_m()), raster.resolution_m());
                let near = |v: usize, most: usize| (v.saturating_sub(n), (v + n).min(most - 1));
                let ((w, e), (s, n)) = (near(c, raster.cols()), near(r, raster.rows()));
                let here = raster.get(c, r);
                let rise = |low: f32, high: f32, cells: usize| {
                    let known = |h: f32| f64::from(if h.is_nan() { here } else { h });
                    (known(high) - known(low)) / (cells.max(1) as f64 * res)
                };
                [
                    rise(raster.get(w, r), raster.get(e, r), e - w),
                    rise(raster.get(c, s), raster.get(c, n), n - s),
                ]
            }
            Self::Function(f) => {
                let d = SLOPE_REACH_M;
                [
                    (f(x_m + d, y_m) - f(x_m - d, y_m)) / (2.0 * d),
                    (f(x_m, y_m + d) - f(x_m, y_m - d)) / (2.0 * d),
                ]
            }
        };
        let slope_deg = gx.hypot(gy).atan().to_degrees();
        if slope_deg.is_nan() { 0.0 } else { slope_deg }
    }
}

/// Cells to each side over which a slope is taken.
fn slope_cells(res_m: f64) -> usize {
    ((SLOPE_REACH_M / res_m).round() as usize).max(1)
}

/// Everything that a tile is made from.
pub struct Ground {
    base: Base,
    fine: Fractal,
    fine_rms_m: f64,
    tone: Fractal,
    rocks: RockField,
    surface: Option<Surface>,
    clear_m: Vec<[f64; 3]>,
    soils: TrueSoils,
}

impl Ground {
    pub fn new(
        params: &WorldParams,
        base: Base,
        surface: Option<Surface>,
    ) -> Result<Self, CoreError> {
        let table = match &params.soils {
            Some(table) => table.clone(),
            None => SoilTable::shipped()?,
        };
        // What the data shows already is not added a second time: no wavelength that its cells can carry.
        let longest_m = match &base {
            Base::Site(raster) => 2.0 * raster.resolution_m(),
            Base::Function(_) => 0.0,
        };
        let shortest_m = 1.9 * params.resolution_m;
        Ok(Self {
            base,
            fine: Fractal::new(params.seed, channel::FINE, longest_m, shortest_m, HURST),
            fine_rms_m: params.fine_relief_rms_m * (longest_m / FINE_BELOW_M).powf(HURST),
            tone: Fractal::new(params.seed, channel::TONE, 1.2, shortest_m, 0.4),
            rocks: RockField::new(
                params.seed,
                params.rock_cfa,
                params.rock_min_m,
                params.rock_max_m,
            ),
            surface,
            clear_m: params.clear_m.clone(),
            soils: TrueSoils::new(table, params.seed, params.unlabelled)?,
        })
    }

    /// What the ground is made of.
    pub fn soils(&self) -> &TrueSoils {
        &self.soils
    }

    /// One tile; nodes outside `limits` (first and last, east and north) are no ground. On one thread: many tiles are
    /// made at a time.
    pub fn tile(&self, res_m: f64, limits: [[i64; 2]; 2], (ix, iy): (i32, i32)) -> Tile {
        let first = [ix, iy].map(|i| i64::from(i) * TILE_CELLS as i64);
        let mut tile = Tile {
            ix,
            iy,
            heights: vec![f32::NAN; TILE_NODES * TILE_NODES],
            albedo: vec![0; TILE_NODES * TILE_NODES],
            codes: vec![TerrainClass::Unknown.code(); TILE_NODES * TILE_NODES],
            pyramid: Pyramid::new(&[], 0),
        };
        let corner = first.map(|n| n as f64 * res_m);
        let side_m = TILE_CELLS as f64 * res_m;
        let bbox = [corner[0], corner[1], corner[0] + side_m, corner[1] + side_m];
        let craters = self
            .surface
            .as_ref()
            .map_or_else(Vec::new, |s| s.craters_near(bbox));
        let inside = |n: i64, k: usize| n >= limits[0][k] && n <= limits[1][k];
        let at = |n: i64| n as f64 * res_m;
        for j in 0..TILE_NODES {
            let nj = first[1] + j as i64;
            if !inside(nj, 1) {
                continue;
            }
            for i in 0..TILE_NODES {
                let ni = first[0] + i as i64;
                if inside(ni, 0) {
                    self.node(&mut tile, j * TILE_NODES + i, [at(ni), at(nj)], &craters);
                }
            }
        }
        for rock in self.rocks_in(bbox) {
            stamp(&mut tile, &rock, first, res_m);
        }
        tile.pyramid = Pyramid::new(&tile.heights, TILE_CELLS);
        tile
    }

    fn node(&self, tile: &mut Tile, k: usize, [x, y]: [f64; 2], craters: &[Crater]) {
        let mut height = self.base.at(x, y);
        let mut fine_m = self.fine_rms_m * self.fine.at(x, y);
        let mut given = None;
        if let Some(surface) = &self.surface {
            let detail = surface.at(x, y, craters);
            height += detail.rise_m;
            fine_m *= detail.roughness;
            given = Some(detail.class);
        }
        let class = if height.is_nan() {
            given.unwrap_or(TerrainClass::ShadowOrNoData)
        } else {
            let slope_deg = || self.base.slope_deg(x, y);
            self.soils.class(given, slope_deg, x, y)
        };
        let albedo = surface::albedo(class) * (1.0 + UNEVEN * self.tone.at(x, y));
        tile.heights[k] = (height + fine_m) as f32;
        tile.albedo[k] = albedo_code(albedo);
        tile.codes[k] = class.code();
    }

    /// All rocks that reach into a rectangle and stand clear of the discs to keep free.
    pub fn rocks_in(&self, [x0, y0, x1, y1]: [f64; 4]) -> Vec<Rock> {
        let square = |v: f64| (v / TILE_M).floor() as i64;
        let mut rocks = Vec::new();
        if self.rocks.is_empty() {
            return rocks;
        }
        let weight = |x: f64, y: f64| self.surface.as_ref().map_or(1.0, |s| s.rock_weight(x, y));
        // A rock stays within its own square, so no other square's rocks reach in.
        for iy in square(y0)..=square(y1) {
            for ix in square(x0)..=square(x1) {
                rocks.extend(self.rocks.tile(ix, iy, &weight).into_iter().filter(|r| {
                    let reach = r.reach_m;
                    let clear = |c: &[f64; 3]| (r.x_m - c[0]).hypot(r.y_m - c[1]) > c[2] + reach;
                    r.x_m + reach >= x0
                        && r.x_m - reach <= x1
                        && r.y_m + reach >= y0
                        && r.y_m - reach <= y1
                        && self.clear_m.iter().all(clear)
                }));
            }
        }
        rocks
    }
}

fn albedo_code(albedo: f64) -> u8 {
    (albedo * ALBEDO_SCALE).round().clamp(0.0, 255.0) as u8
}

/// Raises the nodes of a tile that a rock covers.
fn stamp(tile: &mut Tile, rock: &Rock, first: [i64; 2], res_m: f64) {
    let (r, shape) = (rock.reach_m, rock.shape());
    let per_radius = 2.0 / rock.diameter_m;
    let range = |centre: f64, first: i64| {
        let lo = ((centre - r) / res_m).ceil() as i64 - first;
        let hi = ((centre + r) / res_m).floor() as i64 - first;
        lo.clamp(0, TILE_NODES as i64) as usize..(hi + 1).clamp(0, TILE_NODES as i64) as usize
    };
    for j in range(rock.y_m, first[1]) {
        for i in range(rock.x_m, first[0]) {
            let (x, y) = (
                (first[0] + i as i64) as f64 * res_m,
                (first[1] + j as i64) as f64 * res_m,
            );
            let (u, v) = ((x - rock.x_m) * per_radius, (y - rock.y_m) * per_radius);
            let rise = rock.height_m * shape.height(u, v);
            if rise > 0.0 {
                let k = j * TILE_NODES + i;
                tile.heights[k] += rise as f32;
                tile.albedo[k] = albedo_code(ROCK_ALBEDO * rock.tone);
                tile.set_rock(k);
            }
        }
    }
}

/// Elevation between cell centres by Catmull-Rom splines, so that the ground has no creases at the data's resolution;
/// bilinear beside holes and at the raster's edge.
pub(super) fn smooth(raster: &Raster, x_m: f64, y_m: f64) -> Option<f64> {
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
