//! The terrain map around the rover: grids from perception fused into a ring buffer over cells of `odom`.
//!
//! A cell keeps its place in `odom` while it lies inside the window; what leaves the window is forgotten, so memory is
//! bounded. Perception has merged the images already; here a newer grid's cell replaces the older one. What only older
//! grids hold stays where the newer one does not reach, or had never held anything; a cell that the grid before held and the
//! newer one does not was cleared by perception, because newer images contradict it, and is forgotten here too.

use sojourn_core::{CoreError, raster::Raster, whole};

/// Layers of a terrain grid over the same cells of `odom`, heights in metres; not-a-number where unknown.
#[derive(Clone, Debug, PartialEq)]
pub struct TerrainLayers {
    /// Mean height.
    pub elevation: Raster,
    /// Lowest height seen in a cell.
    pub low: Option<Raster>,
    /// Highest height seen in a cell.
    pub high: Option<Raster>,
    /// Variance of the mean height, m².
    pub variance: Option<Raster>,
    /// Terrain class ([`sojourn_core::classes::TerrainClass`]'s code).
    pub class: Option<Raster>,
}

impl TerrainLayers {
    /// Heights alone.
    #[must_use]
    pub fn of(elevation: Raster) -> Self {
        Self {
            elevation,
            low: None,
            high: None,
            variance: None,
            class: None,
        }
    }

    /// What is wrong with the layers' shapes, if anything.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        let e = &self.elevation;
        let same = |r: &Raster| {
            (r.cols(), r.rows()) == (e.cols(), e.rows()) && r.origin_m() == e.origin_m()
        };
        [
            ("low", &self.low),
            ("high", &self.high),
            ("variance", &self.variance),
            ("class", &self.class),
        ]
        .into_iter()
        .find(|(_, r)| r.as_ref().is_some_and(|r| !same(r)))
        .map(|(name, _)| {
            format!("terrain grid refused: its layer {name} does not lie over its layer elevation")
        })
    }

    /// A cell, its height within `sigmas` standard deviations and within what was seen: the extremes are those of single
    /// points, so their scatter is in them already.
    fn cell(&self, col: usize, row: usize, sigmas: f32) -> Cell {
        let mean = self.elevation.get(col, row);
        let at = |r: &Option<Raster>| {
            r.as_ref()
                .map(|r| r.get(col, row))
                .filter(|v| v.is_finite())
        };
        let spread = at(&self.variance).map_or(0.0, |v| sigmas * v.max(0.0).sqrt());
        Cell {
            mean,
            low: at(&self.low).unwrap_or(mean).min(mean - spread),
            high: at(&self.high).unwrap_or(mean).max(mean + spread),
            class: at(&self.class).unwrap_or(f32::NAN),
        }
    }
}

/// What is known of a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// Mean height, metres; not-a-number when unknown.
    pub mean: f32,
    /// Lowest that the ground may be, metres.
    pub low: f32,
    /// Highest that the ground may be, metres.
    pub high: f32,
    /// Class code; not-a-number when unknown.
    pub class: f32,
}

impl Cell {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        mean: f32::NAN,
        low: f32::NAN,
        high: f32::NAN,
        class: f32::NAN,
    };
}

/// The ring buffer.
#[derive(Clone, Debug)]
pub struct TerrainMap {
    size_m: f64,
    sigmas: f32,
    n: i64,
    res_m: f64,
    /// South-west cell of the window, in cells of `odom`.
    corner: [i64; 2],
    cells: Vec<Cell>,
    /// Heights of the grid before, to know what the next one has cleared.
    before: Option<Raster>,
}

impl TerrainMap {
    /// An empty map of `size_m` on a side; heights are taken to lie within `sigmas` standard deviations where a grid
    /// tells its variance.
    #[must_use]
    pub fn new(size_m: f64, sigmas: f64) -> Self {
        Self {
            size_m,
            sigmas: sigmas as f32,
            n: 0,
            res_m: 0.0,
            corner: [0; 2],
            cells: Vec::new(),
            before: None,
        }
    }

    fn slot(&self, col: i64, row: i64) -> Option<usize> {
        let (c, r) = (self.ring(0, col)?, self.ring(1, row)?);
        Some(r * self.n as usize + c)
    }

    /// Moves the window so that a point of `odom` lies in its middle; forgets what leaves.
    fn recentre(&mut self, xy: [f64; 2]) {
        let corner = xy.map(|v| (v / self.res_m).floor() as i64 - self.n / 2);
        let before = self.corner;
        if corner == before {
            return;
        }
        self.corner = corner;
        let inside = |v: i64, c: i64| v >= c && v < c + self.n;
        for row in corner[1]..corner[1] + self.n {
            for col in corner[0]..corner[0] + self.n {
                if !(inside(col, before[0]) && inside(row, before[1]))
                    && let Some(i) = self.slot(col, row)
                    && let Some(cell) = self.cells.get_mut(i)
                {
                    *cell = Cell::UNKNOWN;
                }
            }
        }
    }

    /// Takes a grid; the window moves to `xy`, metres in `odom`. A grid of another resolution begins a new map.
    pub fn merge(&mut self, layers: &TerrainLayers, xy: [f64; 2]) {
        let e = &layers.elevation;
        let res = e.resolution_m();
        if !xy.iter().all(|v| v.abs() < 1e7 * res) {
            return;
        }
        if (res - self.res_m).abs() > 1e-9 {
            self.res_m = res;
            self.n = (self.size_m / res).round().clamp(8.0, 1000.0) as i64;
            self.corner = xy.map(|v| (v / res).floor() as i64 - self.n / 2);
            self.cells = vec![Cell::UNKNOWN; (self.n * self.n) as usize];
        }
        self.recentre(xy);
        let before = self.before.replace(e.clone());
        // Where the columns of the grid lie in the one before and in the ring buffer: the same in every row.
        let cols: Vec<(Option<usize>, Option<usize>)> = (0..e.cols())
            .map(|col| self.places(before.as_ref(), 0, e.centre_m(col, 0)[0], res))
            .collect();
        for row in 0..e.rows() {
            let (last_row, Some(ring_row)) =
                self.places(before.as_ref(), 1, e.centre_m(0, row)[1], res)
            else {
                continue;
            };
            for (col, (last_col, ring_col)) in cols.iter().enumerate() {
                let Some(ring_col) = ring_col else {
                    continue;
                };
                let known = e.get(col, row).is_finite();
                let held = || {
                    let at = before.as_ref().zip(last_col.zip(last_row));
                    at.is_some_and(|(b, (c, r))| b.get(c, r).is_finite())
                };
                if (known || held())
                    && let Some(cell) = self.cells.get_mut(ring_row * self.n as usize + ring_col)
                {
                    *cell = if known {
                        layers.cell(col, row, self.sigmas)
                    } else {
                        Cell::UNKNOWN
                    };
                }
            }
        }
    }

    /// The column (axis 0) or row (axis 1) of a coordinate of `odom` in the grid before and in the ring buffer.
    fn places(
        &self,
        before: Option<&Raster>,
        axis: usize,
        v: f64,
        res_m: f64,
    ) -> (Option<usize>, Option<usize>) {
        let last = before.and_then(|b| {
            let i = (v - b.origin_m()[axis]) / b.resolution_m();
            let n = if axis == 0 { b.cols() } else { b.rows() };
            (i >= 0.0 && i < n as f64).then_some(i as usize)
        });
        let at = whole::floor(v / res_m);
        (last, self.ring(axis, at))
    }

    /// Where a column (axis 0) or row (axis 1) of `odom` lies in the ring buffer; `None` outside the window.
    fn ring(&self, axis: usize, at: i64) -> Option<usize> {
        let first = self.corner[axis];
        (at >= first && at < first + self.n).then(|| at.rem_euclid(self.n) as usize)
    }

    /// The part within `half_m` of a point as mean, lowest, highest and class.
    ///
    /// # Errors
    /// [`CoreError`] when nothing was merged yet.
    pub fn window(&self, xy: [f64; 2], half_m: f64) -> Result<[Raster; 4], CoreError> {
        let half = (half_m / self.res_m.max(1e-6)).ceil().clamp(1.0, 1000.0) as i64;
        let middle = xy.map(|v| (v / self.res_m.max(1e-6)).floor() as i64);
        let side = (2 * half + 1).min(self.n.max(1)) as usize;
        let corner = middle.map(|v| v - (side as i64) / 2);
        let origin = corner.map(|v| v as f64 * self.res_m);
        let blank = Raster::filled(side, side, self.res_m, origin, f32::NAN)?;
        let mut layers = [blank.clone(), blank.clone(), blank.clone(), blank];
        let [mean, low, high, class] = &mut layers;
        let cols: Vec<Option<usize>> = (0..side as i64)
            .map(|c| self.ring(0, corner[0] + c))
            .collect();
        for r in 0..side {
            let Some(row) = self.ring(1, corner[1] + r as i64) else {
                continue;
            };
            for (c, col) in cols.iter().enumerate() {
                if let Some(cell) = col.and_then(|c| self.cells.get(row * self.n as usize + c)) {
                    mean.set(c, r, cell.mean);
                    low.set(c, r, cell.low);
                    high.set(c, r, cell.high);
                    class.set(c, r, cell.class);
                }
            }
        }
        Ok(layers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(origin: [f64; 2], height: f32) -> TerrainLayers {
        TerrainLayers::of(Raster::filled(40, 40, 0.1, origin, height).unwrap())
    }

    #[test]
    fn newer_grids_replace_what_they_hold_and_the_rest_stays_until_it_leaves() {
        let mut map = TerrainMap::new(10.0, 2.0);
        map.merge(&grid([-2.0, -2.0], 1.0), [0.0, 0.0]);
        map.merge(&grid([0.0, -2.0], 2.0), [2.0, 0.0]);
        let [mean, low, high, _] = map.window([0.0, 0.0], 3.0).unwrap();
        let at = |r: &Raster, x: f64, y: f64| r.nearest(x, y);
        assert_eq!(at(&mean, -1.0, 0.0), Some(1.0));
        assert_eq!(at(&mean, 1.0, 0.0), Some(2.0));
        assert_eq!(at(&low, 1.0, 0.0), at(&high, 1.0, 0.0));
        assert_eq!(at(&mean, -2.5, 0.0), None);
        // far away everything is forgotten, and back again it stays forgotten
        map.merge(&grid([98.0, -2.0], 3.0), [100.0, 0.0]);
        map.merge(&grid([300.0, 300.0], 3.0), [0.0, 0.0]);
        assert_eq!(
            map.window([0.0, 0.0], 3.0).unwrap()[0].nearest(1.0, 0.0),
            None
        );
    }

    #[test]
    fn what_perception_has_cleared_is_forgotten_and_what_it_has_left_behind_is_not() {
        let mut map = TerrainMap::new(20.0, 2.0);
        let at = |map: &TerrainMap, x: f64, y: f64| {
            map.window([0.0, 0.0], 6.0).unwrap()[0].nearest(x, y)
        };
        let first = grid([-2.0, -2.0], 1.0);
        map.merge(&first, [0.0, 0.0]);
        // A rock that newer images see through.
        let mut second = grid([-2.0, -2.0], 1.0);
        second.elevation.set(30, 20, f32::NAN);
        map.merge(&second, [0.0, 0.0]);
        assert_eq!(at(&map, 1.05, 0.05), None);
        assert_eq!(at(&map, 0.95, 0.05), Some(1.0));
        // Perception's window rolls away and back: what it has dropped at its edge stays known here.
        map.merge(&grid([1.0, -2.0], 2.0), [0.0, 0.0]);
        let back = TerrainLayers::of(
            first
                .elevation
                .like(|c, _| if c < 30 { f32::NAN } else { 3.0 }),
        );
        map.merge(&back, [0.0, 0.0]);
        assert_eq!(at(&map, -1.05, 0.05), Some(1.0));
        assert_eq!(at(&map, 1.05, 0.05), Some(3.0));
    }

    #[test]
    fn variance_and_extremes_widen_what_the_ground_may_be() {
        let mut layers = grid([-2.0, -2.0], 1.0);
        layers.variance = Some(layers.elevation.like(|_, _| 0.0001));
        layers.high = Some(layers.elevation.like(|_, _| 1.2));
        let mut map = TerrainMap::new(10.0, 2.0);
        map.merge(&layers, [0.0, 0.0]);
        let [_, low, high, _] = map.window([0.0, 0.0], 1.0).unwrap();
        assert!((low.nearest(0.0, 0.0).unwrap() - 0.98).abs() < 1e-4);
        assert!((high.nearest(0.0, 0.0).unwrap() - 1.2).abs() < 1e-4);
        layers.high = Some(layers.elevation.like(|_, _| 1.01));
        map.merge(&layers, [0.0, 0.0]);
        let [_, _, high, _] = map.window([0.0, 0.0], 1.0).unwrap();
        assert!((high.nearest(0.0, 0.0).unwrap() - 1.02).abs() < 1e-4);
        layers.low = Some(Raster::filled(3, 3, 0.1, [0.0, 0.0], 0.0).unwrap());
        assert!(layers.refusal().unwrap().contains("layer low"));
    }

    #[test]
    fn what_is_not_finite_is_unknown() {
        let mut map = TerrainMap::new(10.0, 2.0);
        let mut layers = grid([-2.0, -2.0], f32::NAN);
        layers.elevation.set(20, 20, f32::INFINITY);
        map.merge(&layers, [0.0, 0.0]);
        map.merge(&layers, [f64::NAN, 0.0]);
        assert!(map.window([0.0, 0.0], 2.0).unwrap()[0].min_max().is_none());
    }
}
