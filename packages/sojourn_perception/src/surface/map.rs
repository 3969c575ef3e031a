//! Class probabilities of cells, over the cells of the rolling map.

use super::{ClassedImage, View};
use crate::{
    classes::net::CLASSES,
    config::Config,
    map::{Footprint, RollingMap, TerrainGrid},
};
use nalgebra::Vector3;
use sojourn_core::{CoreError, classes::SURFACES, raster::Raster};

/// A height that differs by more from what it was is other ground, metres.
const MOVED_M: f64 = 0.15;

/// What is known of a cell's class.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Ground {
    /// The cell of `odom` that this is about: the ring buffer gives a place to many.
    cell: [i64; 2],
    /// Mean probabilities.
    p: [f32; CLASSES],
    /// The cell's height then, metres.
    height_m: f64,
    /// Views behind them, at most as many as are remembered; 0 where nothing is known.
    views: f32,
}

const NOTHING: Ground = Ground {
    cell: [0, 0],
    p: [0.0; CLASSES],
    height_m: 0.0,
    views: 0.0,
};

/// Classes of the ground, over the cells of a [`RollingMap`].
#[derive(Clone, Debug, Default)]
pub struct SurfaceMap {
    cells: Vec<Ground>,
    sums: Vec<([f32; CLASSES], u32)>,
    touched: Vec<(usize, usize)>,
    decision: [f32; CLASSES],
}

/// Classes of the cells of a [`TerrainGrid`]; not-a-number where none is known.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassLayers {
    /// Codes of [`sojourn_core::classes::TerrainClass`].
    pub class: Raster,
    /// Probabilities of soil, bedrock, sand and big rock.
    pub probabilities: [Raster; CLASSES],
}

impl SurfaceMap {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.cells.clear();
    }

    /// Enters what an image says; `view` is the depth image of the same stamp and size. Returns the number of cells.
    pub fn enter(
        &mut self,
        classed: &ClassedImage,
        view: &View,
        map: &RollingMap,
        own: Footprint,
        config: &Config,
    ) -> usize {
        let n = map.side();
        self.cells.resize(n * n, NOTHING);
        self.sums.clear();
        self.sums.resize(n * n, ([0.0; CLASSES], 0));
        self.touched.clear();
        self.decision = classed.decision;
        self.sum(classed, view, map, own, config);
        for (col, row) in std::mem::take(&mut self.touched) {
            let (p, pixels) = self.sums[row * n + col];
            let i = map.index(col, row);
            let (Some(known), Some(height)) = (self.cells.get_mut(i), map.cells.get(i)) else {
                continue;
            };
            let cell = map.absolute(col, row);
            // A cell that this view began anew is other ground than before.
            let is_new = known.cell != cell || height.count <= pixels;
            let before = if is_new { 0.0 } else { known.views };
            let most = config.params.classes.remembered_views as f32;
            let views = (before + 1.0).min(most);
            let gain = 1.0 / views;
            for (k, v) in known.p.iter_mut().enumerate() {
                let seen = p[k] / pixels as f32;
                *v = if is_new {
                    seen
                } else {
                    *v + gain * (seen - *v)
                };
            }
            (known.cell, known.views, known.height_m) = (cell, views, height.height_m);
            self.touched.push((col, row));
        }
        self.touched.len()
    }

    /// Sums the probabilities of the pixels of each cell.
    fn sum(
        &mut self,
        classed: &ClassedImage,
        view: &View,
        map: &RollingMap,
        own: Footprint,
        config: &Config,
    ) {
        let (n, res_m, [ox, oy]) = (map.side(), map.resolution_m(), map.origin_m());
        let base_from_odom = view.odom_from_base.inverse();
        let stride = config.params.stride_px;
        for row in (0..view.image.height).step_by(stride) {
            for col in (0..view.image.width).step_by(stride) {
                let (Some(p), Some(z)) = (classed.at(col, row), view.depth_m(col, row, config))
                else {
                    continue;
                };
                let ray: Vector3<f64> = view.camera.ray(col as f64, row as f64);
                let at = view.odom_from_camera * nalgebra::Point3::from(ray * z);
                let (x, y) = ((at.x - ox) / res_m, (at.y - oy) / res_m);
                if !(x >= 0.0 && y >= 0.0 && x < n as f64 && y < n as f64) {
                    continue;
                }
                let local = base_from_odom * at;
                if own.holds(local.x, local.y) {
                    continue;
                }
                let (c, r) = (x as usize, y as usize);
                let sum = &mut self.sums[r * n + c];
                if sum.1 == 0 {
                    self.touched.push((c, r));
                }
                sum.1 += 1;
                sum.0.iter_mut().zip(p).for_each(|(s, v)| *s += v);
            }
        }
    }

    /// The classes of a grid's cells. Cells that no pixel has seen, or that were forgotten, have none.
    ///
    /// # Errors
    /// [`CoreError`] when the rasters cannot be made.
    pub fn layers(
        &self,
        grid: &TerrainGrid,
        map: &RollingMap,
        unknown_below: f64,
    ) -> Result<ClassLayers, CoreError> {
        let (e, n) = (&grid.elevation, map.side());
        let none = || vec![f32::NAN; n * n];
        let mut class = none();
        let mut probabilities: [Vec<f32>; CLASSES] = std::array::from_fn(|_| none());
        for row in 0..n {
            for col in 0..n {
                let seen = grid.count.get(col, row) > 0.0 && e.get(col, row).is_finite();
                let i = map.index(col, row);
                let height_m = map.cells.get(i).map_or(f64::NAN, |c| c.height_m);
                let known = self.cells.get(i).filter(|g| {
                    let same = (height_m - g.height_m).abs() <= MOVED_M;
                    seen && same && g.views > 0.0 && g.cell == map.absolute(col, row)
                });
                let Some(g) = known else {
                    continue;
                };
                let i = row * n + col;
                for (k, layer) in probabilities.iter_mut().enumerate() {
                    layer[i] = g.p[k];
                }
                if let Some(k) = self.decided(&g.p, unknown_below) {
                    class[i] = f32::from(SURFACES[k].terrain.code());
                }
            }
        }
        let raster = |data| Raster::new(n, n, e.resolution_m(), e.origin_m(), data);
        let [soil, bedrock, sand, rock] = probabilities;
        Ok(ClassLayers {
            class: raster(class)?,
            probabilities: [
                raster(soil)?,
                raster(bedrock)?,
                raster(sand)?,
                raster(rock)?,
            ],
        })
    }

    /// The class that is decided, if one is likely enough.
    fn decided(&self, p: &[f32; CLASSES], unknown_below: f64) -> Option<usize> {
        let weighted = |k: usize| p[k] * self.decision[k];
        let best = (0..CLASSES).max_by(|a, b| weighted(*a).total_cmp(&weighted(*b)))?;
        (f64::from(p[best]) >= unknown_below).then_some(best)
    }
}
