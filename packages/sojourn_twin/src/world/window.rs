//! A rectangle of tiles held at once: what a camera sees during one image.

use super::tile::{ALBEDO_SCALE, TILE_CELLS, TILE_NODES, Tile};
use sojourn_core::{classes::TerrainClass, whole};
use std::sync::Arc;

/// Tiles of a rectangle, looked up without locks. Cells are numbered from the map's origin, so cell `(i, j)` spans
/// `[i, i + 1] × [j, j + 1]` steps of the resolution whatever the window.
#[derive(Clone, Debug)]
pub struct Window {
    pub(super) resolution_m: f64,
    /// South-western tile.
    pub(super) first: [i64; 2],
    pub(super) cols: usize,
    /// Row by row from the south; `None` outside the world.
    pub(super) tiles: Vec<Option<Arc<Tile>>>,
    /// First cell and the one after the last, east and north.
    pub(super) cells: [[i64; 2]; 2],
}

const SIDE: i64 = TILE_CELLS as i64;
/// Level of the pyramid at which one square is one tile.
pub const TOP_LEVEL: usize = TILE_CELLS.trailing_zeros() as usize;

impl Window {
    /// Distance of the nodes, metres.
    #[must_use]
    #[inline]
    pub fn resolution_m(&self) -> f64 {
        self.resolution_m
    }

    /// `[first, end)` of the cells east and `[first, end)` of those north; only cells within the world and the window.
    #[must_use]
    pub fn cells(&self) -> [[i64; 2]; 2] {
        self.cells
    }

    /// The tile of a cell and the cell's place in it; `None` outside.
    #[must_use]
    #[inline]
    pub fn tile_of(&self, i: i64, j: i64) -> Option<(&Tile, usize, usize)> {
        let (c, r) = (
            i.div_euclid(SIDE) - self.first[0],
            j.div_euclid(SIDE) - self.first[1],
        );
        if c < 0 || r < 0 || c as usize >= self.cols {
            return None;
        }
        let tile = self.tiles.get(r as usize * self.cols + c as usize)?;
        let tile = tile.as_deref()?;
        Some((
            tile,
            i.rem_euclid(SIDE) as usize,
            j.rem_euclid(SIDE) as usize,
        ))
    }

    /// Greatest height over the square of level `level` (0 to [`TOP_LEVEL`]) that holds a cell, metres; −∞ where there
    /// is no ground.
    #[must_use]
    pub fn max_m(&self, level: usize, i: i64, j: i64) -> f64 {
        let Some((tile, i, j)) = self.tile_of(i, j) else {
            return f64::NEG_INFINITY;
        };
        if level > 0 {
            return f64::from(tile.pyramid.max_m(level, i >> level, j >> level));
        }
        let k = j * TILE_NODES + i;
        let h = &tile.heights;
        let corners = [h[k], h[k + 1], h[k + TILE_NODES], h[k + TILE_NODES + 1]];
        if corners.iter().any(|v| v.is_nan()) {
            return f64::NEG_INFINITY;
        }
        f64::from(corners.into_iter().fold(f32::NEG_INFINITY, f32::max))
    }

    /// The corners of a cell: `[south-west, south-east, north-west, north-east]`, metres; not-a-number without ground.
    #[must_use]
    #[inline]
    pub fn corners_m(&self, i: i64, j: i64) -> [f64; 4] {
        self.tile_of(i, j).map_or([f64::NAN; 4], |(tile, i, j)| {
            let k = j * TILE_NODES + i;
            let h = &tile.heights;
            [h[k], h[k + 1], h[k + TILE_NODES], h[k + TILE_NODES + 1]].map(f64::from)
        })
    }

    /// Height at a place of `map`, metres, as the world has it; not-a-number without ground, `None` outside the window's cells.
    #[inline]
    pub(super) fn inner_height_m(&self, x_m: f64, y_m: f64) -> Option<f64> {
        let (gx, gy) = (x_m / self.resolution_m, y_m / self.resolution_m);
        let (i, j) = (whole::floor(gx), whole::floor(gy));
        let [[west, east], [south, north]] = self.cells;
        if i < west || i >= east || j < south || j >= north {
            return None;
        }
        let (tx, ty) = (gx - i as f64, gy - j as f64);
        let [sw, se, nw, ne] = self.corners_m(i, j);
        Some((sw * (1.0 - tx) + se * tx) * (1.0 - ty) + (nw * (1.0 - tx) + ne * tx) * ty)
    }

    /// What the ground at a place of `map` is made of, as [`super::World::class_at`] tells it; `None` outside the window.
    #[must_use]
    pub fn class_at(&self, x_m: f64, y_m: f64) -> Option<TerrainClass> {
        let (i, j) = (
            whole::round(x_m / self.resolution_m),
            whole::round(y_m / self.resolution_m),
        );
        let [[west, east], [south, north]] = self.cells;
        if x_m.is_nan() || y_m.is_nan() {
            return None;
        }
        if i < west || j < south || i > east || j > north {
            return None;
        }
        // The node at the end belongs to the tile of the cell before it.
        let (ci, cj) = (i.min(east - 1), j.min(north - 1));
        let (tile, a, b) = self.tile_of(ci, cj)?;
        Some(tile.class(a + (i - ci) as usize, b + (j - cj) as usize))
    }

    /// Albedo at `(tx, ty)` (0 to 1) within a cell, interpolated; 0 outside.
    #[must_use]
    pub fn albedo(&self, i: i64, j: i64, tx: f64, ty: f64) -> f64 {
        self.tile_of(i, j).map_or(0.0, |(tile, i, j)| {
            let a = |k: usize| f64::from(tile.albedo[k]);
            let k = j * TILE_NODES + i;
            let south = a(k) * (1.0 - tx) + a(k + 1) * tx;
            let north = a(k + TILE_NODES) * (1.0 - tx) + a(k + TILE_NODES + 1) * tx;
            (south * (1.0 - ty) + north * ty) / ALBEDO_SCALE
        })
    }
}
