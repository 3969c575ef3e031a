//! One square of ground truth at full resolution.

use super::pyramid::Pyramid;
use sojourn_core::classes::TerrainClass;

/// Cells along a side of a tile.
pub const TILE_CELLS: usize = 256;
/// Nodes along a side: neighbours share their border nodes, so that every cell lies whole in one tile.
pub const TILE_NODES: usize = TILE_CELLS + 1;
/// Value of [`Tile::albedo`] per unit of albedo: 255 is an albedo of 0.5, brighter than anything on Mars.
pub const ALBEDO_SCALE: f64 = 510.0;
/// Bit of [`Tile::codes`] that is set where a rock lies.
const ROCK_BIT: u8 = 0x80;

/// A square of [`TILE_CELLS`]² cells. Node `(i, j)` of tile `(ix, iy)` stands at
/// `((ix · TILE_CELLS + i) · resolution, (iy · TILE_CELLS + j) · resolution)` in `map`.
#[derive(Clone, Debug, PartialEq)]
pub struct Tile {
    /// Column of the tile, eastwards from the map's origin.
    pub ix: i32,
    /// Row of the tile, northwards from the map's origin.
    pub iy: i32,
    pub(super) heights: Vec<f32>,
    pub(super) albedo: Vec<u8>,
    pub(super) codes: Vec<u8>,
    pub(super) pyramid: Pyramid,
}

impl Tile {
    /// Memory of a tile, bytes: what the cache counts with.
    pub const BYTES: usize = TILE_NODES * TILE_NODES * 6 + TILE_CELLS * TILE_CELLS * 4 / 3;

    /// Heights of the [`TILE_NODES`]² nodes, metres in `map`, south row first; not-a-number where there is no ground.
    #[must_use]
    pub fn heights_m(&self) -> &[f32] {
        &self.heights
    }

    /// Albedo of the nodes in steps of 1 / [`ALBEDO_SCALE`].
    #[must_use]
    pub fn albedo(&self) -> &[u8] {
        &self.albedo
    }

    /// Class codes of the nodes, with the highest bit set where a rock covers one.
    #[must_use]
    pub fn codes(&self) -> &[u8] {
        &self.codes
    }

    /// What the ground is made of at a node; rocks count as the ground they lie on.
    #[must_use]
    pub fn class(&self, i: usize, j: usize) -> TerrainClass {
        let code = self.codes[j * TILE_NODES + i] & !ROCK_BIT;
        TerrainClass::from_code(code).unwrap_or(TerrainClass::Unknown)
    }

    /// Whether a rock covers a node.
    #[must_use]
    pub fn on_rock(&self, i: usize, j: usize) -> bool {
        self.codes[j * TILE_NODES + i] & ROCK_BIT != 0
    }

    pub(super) fn set_rock(&mut self, k: usize) {
        self.codes[k] |= ROCK_BIT;
    }

    /// Greatest heights over squares of cells.
    #[must_use]
    pub fn pyramid(&self) -> &Pyramid {
        &self.pyramid
    }

    /// Bilinear height at `(tx, ty)` (0 to 1) within cell `(i, j)`, metres; not-a-number beside a hole.
    #[must_use]
    pub fn height_in_cell(&self, i: usize, j: usize, tx: f64, ty: f64) -> f64 {
        let k = j * TILE_NODES + i;
        let h = |k: usize| f64::from(self.heights[k]);
        let south = h(k) * (1.0 - tx) + h(k + 1) * tx;
        let north = h(k + TILE_NODES) * (1.0 - tx) + h(k + TILE_NODES + 1) * tx;
        south * (1.0 - ty) + north * ty
    }
}
