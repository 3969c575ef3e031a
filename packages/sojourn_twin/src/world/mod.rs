//! The ground truth: a site's elevation with everything below the resolution of its data added.
//!
//! Heights stand on a square grid of nodes and are interpolated bilinearly in between, for wheels and camera alike. What
//! is added depends on seed and place alone, so a world over another region is the same ground. The nodes are made in
//! tiles where somebody looks, so that a square kilometre at 5 cm needs no gigabytes.

mod cache;
mod ground;
mod pyramid;
mod soils;
mod tile;
mod window;

pub use ground::{FINE_BELOW_M, HURST};
pub use pyramid::Pyramid;
pub use soils::{TrueSoils, Unlabelled, drawn_table};
pub use tile::{ALBEDO_SCALE, TILE_CELLS, TILE_NODES, Tile};
pub use window::{TOP_LEVEL, Window};

use crate::{
    TwinError,
    rocks::{Rock, TILE_M},
    surface::Surface,
};
use cache::{TileCache, TileIndex};
use ground::{Base, Ground};
use rayon::prelude::*;
use sojourn_core::{
    CoreError, classes::TerrainClass, error::in_range, raster::HeightField, site::Site,
    soil::SoilTable, whole,
};
use std::sync::Arc;

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
    /// What the classes are made of; `None` for the table that comes with Sojourn.
    pub soils: Option<SoilTable>,
    /// What ground is made of that no class was given for.
    pub unlabelled: Unlabelled,
}

impl WorldParams {
    /// The demo's ground: 0.1 m nodes, k = 0.03 with rocks of 0.1 m to 1.5 m, 2 cm of fine relief, 4 m around the start
    /// free of rocks, sun in the south-west at 45°, soils drawn from the prior.
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
            soils: None,
            unlabelled: Unlabelled::Prior,
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
            0.5 * TILE_M,
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
}

/// Most nodes a world may have: 10 km × 10 km at 5 cm. Tiles are made where somebody looks, so this is no memory.
pub const MAX_NODES: f64 = 4e10;
/// Memory for tiles, bytes.
const CACHE_BYTES: usize = 512 << 20;

/// Ground truth over a region, made tile by tile where somebody looks.
pub struct World {
    resolution_m: f64,
    region_m: [f64; 4],
    /// First and last node, east and north, in steps of the resolution from the map's origin.
    nodes: [[i64; 2]; 2],
    ground: Ground,
    cache: TileCache,
    sun: [f64; 2],
}

impl World {
    /// Adds to a site's elevation what is too fine for its data.
    ///
    /// # Errors
    /// [`TwinError::Core`] for a parameter out of range, a region that misses the site, or one with too many nodes.
    pub fn from_site(site: &Site, params: &WorldParams) -> Result<Self, TwinError> {
        Self::with_surface(site, params, None)
    }

    /// As [`World::from_site`], with kinds of ground; without, all of it is [`WorldParams::unlabelled`].
    ///
    /// # Errors
    /// As [`World::from_site`].
    pub fn with_surface(
        site: &Site,
        params: &WorldParams,
        surface: Option<Surface>,
    ) -> Result<Self, TwinError> {
        params.check()?;
        let elevation = site.elevation()?;
        let (origin, size) = (elevation.origin_m(), elevation.size_m());
        let region = [
            params.region_m[0].max(origin[0]),
            params.region_m[1].max(origin[1]),
            params.region_m[2].min(origin[0] + size[0]),
            params.region_m[3].min(origin[1] + size[1]),
        ];
        let nodes = nodes(region, params)?;
        let base = Base::of_site(elevation, region)?;
        Ok(Self::new(
            params,
            region,
            nodes,
            Ground::new(params, base, surface)?,
        ))
    }

    /// A world from a function of `(x_m, y_m)`, for tests and experiments; rocks, soil and brightness as in
    /// [`World::from_site`], no fine relief. Not-a-number is a hole.
    ///
    /// # Errors
    /// As [`World::from_site`].
    pub fn from_fn(
        params: &WorldParams,
        height_m: impl Fn(f64, f64) -> f64 + Send + Sync + 'static,
    ) -> Result<Self, TwinError> {
        params.check()?;
        let nodes = nodes(params.region_m, params)?;
        let base = Base::Function(Box::new(height_m));
        Ok(Self::new(
            params,
            params.region_m,
            nodes,
            Ground::new(params, base, None)?,
        ))
    }

    fn new(params: &WorldParams, region_m: [f64; 4], nodes: [[i64; 2]; 2], ground: Ground) -> Self {
        Self {
            resolution_m: params.resolution_m,
            region_m,
            nodes,
            ground,
            cache: TileCache::new(CACHE_BYTES / Tile::BYTES),
            sun: [params.sun_azimuth_rad, params.sun_elevation_rad],
        }
    }

    /// Distance of the nodes, metres.
    #[must_use]
    pub fn resolution_m(&self) -> f64 {
        self.resolution_m
    }

    /// `[x_min, y_min, x_max, y_max]` of the nodes, metres in `map`.
    #[must_use]
    pub fn region_m(&self) -> [f64; 4] {
        let [first, last] = self.nodes;
        [first[0], first[1], last[0], last[1]].map(|n| n as f64 * self.resolution_m)
    }

    /// Direction to the sun (radians counter-clockwise from east) and its height (radians).
    #[must_use]
    pub fn sun_rad(&self) -> [f64; 2] {
        self.sun
    }

    /// Side of a tile, metres.
    #[must_use]
    pub fn tile_m(&self) -> f64 {
        TILE_CELLS as f64 * self.resolution_m
    }

    /// A tile of the ground, `None` when it lies outside the world. Tile (0, 0) has its south-west corner at the map's
    /// origin.
    #[must_use]
    pub fn tile(&self, ix: i32, iy: i32) -> Option<Arc<Tile>> {
        self.has_tile((ix, iy))
            .then(|| self.cache.get((ix, iy), || self.make((ix, iy))))
    }

    /// The tiles of a rectangle `[x_min, y_min, x_max, y_max]`, metres in `map`, cut to the world; those that are not
    /// there yet are made on all threads. Meant for what a camera sees: it holds every tile in memory.
    #[must_use]
    pub fn window(&self, area_m: [f64; 4]) -> Window {
        self.window_of(area_m, |cols, rows, tile| {
            (0..cols * rows)
                .into_par_iter()
                .map(|k| tile(k % cols, k / cols))
                .collect()
        })
    }

    /// The ground around a place with its tiles at hand, for many looks at once; the same everywhere as the world's.
    #[must_use]
    pub fn at_hand(&self, [x_m, y_m]: [f64; 2], reach_m: f64) -> AtHand<'_> {
        let area_m = [x_m - reach_m, y_m - reach_m, x_m + reach_m, y_m + reach_m];
        AtHand {
            world: self,
            window: self.window_of(area_m, |cols, rows, tile| {
                (0..cols * rows).map(|k| tile(k % cols, k / cols)).collect()
            }),
        }
    }

    fn window_of(
        &self,
        [x0, y0, x1, y1]: [f64; 4],
        tiles_of: impl FnOnce(usize, usize, &TileAt<'_>) -> Vec<Option<Arc<Tile>>>,
    ) -> Window {
        let res = self.resolution_m;
        let [first, last] = self.nodes;
        let cell = |v: f64, k: usize| whole::floor(v / res).clamp(first[k], last[k] - 1);
        let cells = [
            [cell(x0, 0), cell(x1, 0) + 1],
            [cell(y0, 1), cell(y1, 1) + 1],
        ];
        let side = TILE_CELLS as i64;
        let tiles = cells.map(|[a, b]| [a.div_euclid(side), (b - 1).div_euclid(side)]);
        let cols = (tiles[0][1] - tiles[0][0] + 1) as usize;
        let rows = (tiles[1][1] - tiles[1][0] + 1) as usize;
        let tile = |c: usize, r: usize| {
            self.tile(
                (tiles[0][0] + c as i64) as i32,
                (tiles[1][0] + r as i64) as i32,
            )
        };
        Window {
            resolution_m: res,
            first: [tiles[0][0], tiles[1][0]],
            cols,
            tiles: tiles_of(cols, rows, &tile),
            cells,
        }
    }

    /// What the ground at a place is made of, rocks aside: the class it was given or what was drawn for it, which is what
    /// wheels meet there; `None` outside. Truth.
    #[must_use]
    pub fn class_at(&self, x_m: f64, y_m: f64) -> Option<TerrainClass> {
        self.at_nearest_node(x_m, y_m, |tile, i, j| tile.class(i, j))
    }

    /// What wheels meet at a place, rocks and all, as a place in the table of [`World::soils`]; `None` outside. Truth.
    #[must_use]
    pub fn soil_at(&self, x_m: f64, y_m: f64) -> Option<usize> {
        let soils = self.soils();
        self.at_nearest_node(x_m, y_m, |tile, i, j| {
            if tile.on_rock(i, j) {
                soils.of_rocks()
            } else {
                soils.of_class(tile.class(i, j))
            }
        })
    }

    /// The soils of this world. Truth.
    #[must_use]
    pub fn soils(&self) -> &TrueSoils {
        self.ground.soils()
    }

    /// Whether a rock lies at a place; `None` outside. Truth.
    #[must_use]
    pub fn on_rock(&self, x_m: f64, y_m: f64) -> Option<bool> {
        self.at_nearest_node(x_m, y_m, |tile, i, j| tile.on_rock(i, j))
    }

    /// Every rock that reaches into a rectangle `[x_min, y_min, x_max, y_max]`, metres in `map`, and whose centre lies in
    /// the world; in an order that depends on the rectangle alone. Truth: for scorers, never for a node.
    #[must_use]
    pub fn rocks_in(&self, bbox_m: [f64; 4]) -> Vec<Rock> {
        let [x0, y0, x1, y1] = self.region_m;
        let mut rocks = self.ground.rocks_in(bbox_m);
        rocks.retain(|r| r.x_m >= x0 && r.x_m <= x1 && r.y_m >= y0 && r.y_m <= y1);
        rocks
    }

    /// Tiles that are kept in memory at most.
    #[must_use]
    pub fn most_tiles(&self) -> usize {
        self.cache.capacity()
    }

    /// Tiles in memory now.
    #[must_use]
    pub fn tiles_kept(&self) -> usize {
        self.cache.len()
    }

    fn has_tile(&self, (ix, iy): TileIndex) -> bool {
        let [first, last] = self.nodes;
        let side = TILE_CELLS as i64;
        [ix, iy].into_iter().enumerate().all(|(k, i)| {
            let i = i64::from(i) * side;
            i < last[k] && i + side > first[k]
        })
    }

    fn make(&self, index: TileIndex) -> Tile {
        self.ground.tile(self.resolution_m, self.nodes, index)
    }

    /// Lets `look` see the tile of a cell and the cell's place in it. The cell must lie in the world.
    fn in_cell<T>(&self, i: i64, j: i64, look: impl Fn(&Tile, usize, usize) -> T) -> T {
        let side = TILE_CELLS as i64;
        let index = (i.div_euclid(side) as i32, j.div_euclid(side) as i32);
        let (i, j) = (i.rem_euclid(side) as usize, j.rem_euclid(side) as usize);
        self.cache
            .with(index, || self.make(index), |tile| look(tile, i, j))
    }

    fn at_nearest_node<T>(
        &self,
        x_m: f64,
        y_m: f64,
        look: impl Fn(&Tile, usize, usize) -> T,
    ) -> Option<T> {
        let [first, last] = self.nodes;
        let (x, y) = (x_m / self.resolution_m, y_m / self.resolution_m);
        if x.is_nan() || y.is_nan() {
            return None;
        }
        let (i, j) = (whole::round(x), whole::round(y));
        if i < first[0] || i > last[0] || j < first[1] || j > last[1] {
            return None;
        }
        // The last node of all belongs to the tile of the cell before it.
        let (ci, cj) = (i.min(last[0] - 1), j.min(last[1] - 1));
        let (di, dj) = ((i - ci) as usize, (j - cj) as usize);
        Some(self.in_cell(ci, cj, |tile, a, b| look(tile, a + di, b + dj)))
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("resolution_m", &self.resolution_m)
            .field("region_m", &self.region_m)
            .finish_non_exhaustive()
    }
}

impl HeightField for World {
    fn height_m(&self, x_m: f64, y_m: f64) -> Option<f64> {
        // Cells are numbered from the map's origin, so that a place has the same bits in every region.
        let (gx, gy) = (x_m / self.resolution_m, y_m / self.resolution_m);
        let [first, last] = self.nodes;
        let (mut i, mut j) = (whole::floor(gx), whole::floor(gy));
        if i < first[0] || i > last[0] || j < first[1] || j > last[1] {
            return None;
        }
        let (mut tx, mut ty) = (gx - i as f64, gy - j as f64);
        // The last node itself still counts as ground.
        if i == last[0] {
            if tx > 0.0 {
                return None;
            }
            (i, tx) = (i - 1, 1.0);
        }
        if j == last[1] {
            if ty > 0.0 {
                return None;
            }
            (j, ty) = (j - 1, 1.0);
        }
        let z = self.in_cell(i, j, |tile, i, j| tile.height_in_cell(i, j, tx, ty));
        (!z.is_nan()).then_some(z)
    }
}

/// The tile at a column and row of a window.
type TileAt<'a> = dyn Fn(usize, usize) -> Option<Arc<Tile>> + Sync + 'a;

/// A part of a world whose tiles are at hand ([`World::at_hand`]).
pub struct AtHand<'a> {
    world: &'a World,
    window: Window,
}

impl HeightField for AtHand<'_> {
    #[inline]
    fn height_m(&self, x_m: f64, y_m: f64) -> Option<f64> {
        match self.window.inner_height_m(x_m, y_m) {
            Some(z) => (!z.is_nan()).then_some(z),
            None => self.world.height_m(x_m, y_m),
        }
    }
}

/// First and last node of a region, east and north.
fn nodes(region: [f64; 4], params: &WorldParams) -> Result<[[i64; 2]; 2], TwinError> {
    let res = params.resolution_m;
    // Nodes sit at whole multiples of the resolution, whatever the region.
    let first = [(region[0] / res).ceil(), (region[1] / res).ceil()];
    let last = [(region[2] / res).floor(), (region[3] / res).floor()];
    let (cols, rows) = (last[0] - first[0] + 1.0, last[1] - first[1] + 1.0);
    if !(cols >= 2.0 && rows >= 2.0 && cols * rows <= MAX_NODES) {
        return Err(CoreError::value(
            "world",
            "region_m",
            format!("{:?} at {res} m", params.region_m),
            format!("a region on the site of 4 to {MAX_NODES:.0} nodes"),
        )
        .into());
    }
    Ok([first, last].map(|n| n.map(|v| v as i64)))
}

#[cfg(test)]
mod tests;
