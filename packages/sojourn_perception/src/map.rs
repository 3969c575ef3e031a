//! The grid that rolls with the rover: a ring buffer over cells of `odom`.
//!
//! A cell keeps its place in `odom` for as long as it lies inside the window; what leaves the window is forgotten. So
//! memory is bounded by the number of cells whatever the rover does.

use crate::{
    cell::{Cell, Fusing, UNKNOWN},
    config::{Config, GridConfig, Params},
    holes,
    project::Observation,
};
use nalgebra::{Isometry3, Vector3};
use sojourn_core::{CoreError, Stamp, raster::Raster, rover::Rover};

/// The local terrain, layers over the same cells of `odom`.
#[derive(Clone, Debug, PartialEq)]
pub struct TerrainGrid {
    /// Stamp of the newest image in it.
    pub stamp: Stamp,
    /// Height, metres; not-a-number where unseen.
    pub elevation: Raster,
    /// Variance of the height of a point of the cell, m²: of the mean, with what driving has added since, and of the ground
    /// within the cell; not-a-number where unseen.
    pub variance: Raster,
    /// Number of depth pixels behind the height; 0 where unseen or filled.
    pub count: Raster,
    /// Seconds since the cell was last seen; not-a-number where unseen.
    pub age: Raster,
    /// Lowest point seen in the cell since it was last contradicted, metres; not-a-number where unseen or bridged.
    pub low: Raster,
    /// Highest such point, metres.
    pub high: Raster,
}

/// Where a region of ground is filled from the pose of the rover that stands on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Footprint {
    /// A circle around the origin of `base_link`, metres.
    Disc(f64),
    /// A rectangle in `base_link`: rear edge, front edge, half width, metres.
    Rectangle(f64, f64, f64),
}

impl Footprint {
    /// What is free of rocks where a rover is first switched on: the circle around it, wider by `margin_m`.
    #[must_use]
    pub fn at_start(rover: &Rover, margin_m: f64) -> Self {
        Self::Disc(rover.footprint_radius_m() + margin_m)
    }

    /// What the rover stands over: from the back of the rear wheels to the front of the front ones.
    #[must_use]
    pub fn under(rover: &Rover) -> Self {
        let s = &rover.suspension;
        let half = s.front_hub_m[1].max(s.middle_hub_m[1]).max(s.rear_hub_m[1]);
        Self::Rectangle(
            s.rear_hub_m[0] - rover.wheel.radius_m,
            s.front_hub_m[0] + rover.wheel.radius_m,
            half + 0.5 * rover.wheel.width_m,
        )
    }

    /// Whether a point of `base_link`'s plane lies inside.
    #[must_use]
    pub fn holds(&self, x_m: f64, y_m: f64) -> bool {
        match *self {
            Self::Disc(r) => x_m.hypot(y_m) <= r,
            Self::Rectangle(rear, front, half) => x_m >= rear && x_m <= front && y_m.abs() <= half,
        }
    }

    /// With the centres of cells of side `res_m` between which the ground at its edge is interpolated.
    fn with_edge(self, res_m: f64) -> Self {
        let more_m = res_m * std::f64::consts::SQRT_2;
        match self {
            Self::Disc(_) => self,
            Self::Rectangle(rear, front, half) => {
                Self::Rectangle(rear - more_m, front + more_m, half + more_m)
            }
        }
    }

    fn reach_m(&self) -> f64 {
        match *self {
            Self::Disc(r) => r,
            Self::Rectangle(rear, front, half) => rear.abs().max(front.abs()).hypot(half),
        }
    }
}

/// Bounds of what the cells of a map have ever held since it was empty.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    /// Lowest and highest height, metres.
    pub height_m: [f64; 2],
    /// Greatest variance of a point of a cell's ground, when it was written, m².
    pub variance_m2: f64,
    /// How far the rover had driven when the first and the last cell was seen, metres.
    pub travel_m: [f64; 2],
}

impl Held {
    const NOTHING: Self = Self {
        height_m: [f64::INFINITY, f64::NEG_INFINITY],
        variance_m2: 0.0,
        travel_m: [f64::INFINITY, f64::NEG_INFINITY],
    };

    #[inline]
    fn widen(&mut self, cell: &Cell) {
        let wider = |[low, high]: [f64; 2], v: f64| [low.min(v), high.max(v)];
        self.height_m = wider(self.height_m, cell.height_m);
        self.travel_m = wider(self.travel_m, cell.travel_m);
        self.variance_m2 = self.variance_m2.max(cell.variance_m2 + cell.spread_m2);
    }
}

/// The rolling grid.
#[derive(Clone, Debug)]
pub struct RollingMap {
    n: i64,
    res_m: f64,
    // South-west cell of the window, in cells of `odom` (cell 0 begins at 0 m), and its column and row in the ring buffer.
    col0: i64,
    row0: i64,
    ring: [usize; 2],
    pub(crate) cells: Vec<Cell>,
    pub(crate) held: Held,
    // How far the rover has driven.
    travel_m: f64,
}

impl RollingMap {
    /// An empty map around the origin of `odom`.
    #[must_use]
    pub fn new(grid: GridConfig) -> Self {
        let n = grid.cells as i64;
        Self {
            n,
            res_m: grid.resolution_m,
            col0: -n / 2,
            row0: -n / 2,
            ring: [(-n / 2).rem_euclid(n) as usize; 2],
            cells: vec![UNKNOWN; grid.cells * grid.cells],
            held: Held::NOTHING,
            travel_m: 0.0,
        }
    }

    /// Cells along one side.
    #[must_use]
    pub fn side(&self) -> usize {
        self.n as usize
    }

    /// Side of a cell, metres.
    #[must_use]
    pub fn resolution_m(&self) -> f64 {
        self.res_m
    }

    /// Outer south-west corner of the window in `odom`, metres.
    #[must_use]
    pub fn origin_m(&self) -> [f64; 2] {
        [self.col0 as f64 * self.res_m, self.row0 as f64 * self.res_m]
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.cells.fill(UNKNOWN);
        self.held = Held::NOTHING;
        self.travel_m = 0.0;
    }

    // Index of a cell of the window, counted from its south-west corner.
    #[inline]
    pub(crate) fn index(&self, col: usize, row: usize) -> usize {
        let n = self.n as usize;
        // Without a division: this is asked for every cell.
        let wrapped = |i: usize| if i >= n { i - n } else { i };
        wrapped(self.ring[1] + row) * n + wrapped(self.ring[0] + col)
    }

    /// Which cell of `odom` a cell of the window is.
    pub(crate) fn absolute(&self, col: usize, row: usize) -> [i64; 2] {
        [self.col0 + col as i64, self.row0 + row as i64]
    }

    fn centre_of(&self, col: usize, row: usize) -> [f64; 2] {
        [
            (self.col0 as f64 + col as f64 + 0.5) * self.res_m,
            (self.row0 as f64 + row as f64 + 0.5) * self.res_m,
        ]
    }

    /// Moves the window so that a point of `odom` lies in its middle cell; forgets what leaves. A point that is not
    /// finite or beyond 10 million cells changes nothing.
    pub fn recentre(&mut self, x_m: f64, y_m: f64) {
        let (c, r) = ((x_m / self.res_m).floor(), (y_m / self.res_m).floor());
        if !(c.abs() < 1e7 && r.abs() < 1e7) {
            return;
        }
        let (col0, row0) = (c as i64 - self.n / 2, r as i64 - self.n / 2);
        let (dc, dr) = (col0 - self.col0, row0 - self.row0);
        if dc.abs() >= self.n || dr.abs() >= self.n {
            self.cells.fill(UNKNOWN);
        } else {
            // A column of the ring buffer that enters the window still holds the one that has left it.
            for c in entering(self.col0, dc, self.n) {
                for r in 0..self.n {
                    self.cells[(r * self.n + c) as usize] = UNKNOWN;
                }
            }
            for r in entering(self.row0, dr, self.n) {
                for c in 0..self.n {
                    self.cells[(r * self.n + c) as usize] = UNKNOWN;
                }
            }
        }
        (self.col0, self.row0) = (col0, row0);
        self.ring = [col0, row0].map(|first| first.rem_euclid(self.n) as usize);
    }

    /// Merges what one image saw. `seen` and `travel_m` belong to the image; cells under the rover itself, as
    /// `footprint` at `odom_from_base` says, are left alone: there a camera sees the rover.
    pub fn merge(
        &mut self,
        observations: impl Iterator<Item = Observation>,
        seen: Stamp,
        travel_m: f64,
        odom_from_base: &Isometry3<f64>,
        own: Footprint,
        config: &Config,
    ) {
        let fusing = Fusing {
            drift: &config.params.drift,
            min_count: u32::try_from(config.params.min_count).unwrap_or(u32::MAX),
        };
        self.travel_m = self.travel_m.max(travel_m);
        let base_from_odom = odom_from_base.rotation.inverse().to_rotation_matrix();
        for o in observations {
            let [x, y] = self.centre_of(o.col, o.row);
            let away = Vector3::new(x, y, o.mean_m) - odom_from_base.translation.vector;
            let local = base_from_odom * away;
            if own.holds(local.x, local.y) {
                continue;
            }
            let i = self.index(o.col, o.row);
            let Some(cell) = self.cells.get_mut(i) else {
                continue;
            };
            cell.update(&o, seen, travel_m, &fusing);
            self.held.widen(cell);
        }
    }

    /// Fills unknown cells of a region, and those that the ground at its edge is interpolated with, with the plane the wheels stand on.
    /// The rover's weight rests there, so this is knowledge by touch, not a guess; it never overwrites what a camera saw, and a camera
    /// overwrites it.
    pub fn fill_under(
        &mut self,
        odom_from_base: &Isometry3<f64>,
        region: Footprint,
        sigma_m: f64,
        seen: Stamp,
        travel_m: f64,
    ) {
        self.travel_m = self.travel_m.max(travel_m);
        let region = region.with_edge(self.res_m);
        let up = odom_from_base.rotation * Vector3::z();
        let at = odom_from_base.translation.vector;
        // A rover that lies on its side stands on nothing.
        if !(up.z > 0.5 && at.iter().all(|v| v.is_finite())) {
            return;
        }
        let [ox, oy] = self.origin_m();
        let span = |centre: f64, origin: f64| {
            let lo = ((centre - region.reach_m() - origin) / self.res_m).floor();
            let hi = ((centre + region.reach_m() - origin) / self.res_m).ceil();
            (lo.max(0.0) as usize)..((hi.max(0.0) as usize).min(self.n as usize))
        };
        for row in span(at.y, oy) {
            for col in span(at.x, ox) {
                let [x, y] = self.centre_of(col, row);
                let (dx, dy) = (x - at.x, y - at.y);
                let dz = -(up.x * dx + up.y * dy) / up.z;
                let local = odom_from_base.inverse_transform_vector(&Vector3::new(dx, dy, dz));
                let i = self.index(col, row);
                if let Some(cell) = self.cells.get_mut(i)
                    && cell.height_m.is_nan()
                    && region.holds(local.x, local.y)
                {
                    *cell = Cell {
                        height_m: at.z + dz,
                        variance_m2: sigma_m * sigma_m,
                        low_m: at.z + dz,
                        high_m: at.z + dz,
                        seen,
                        travel_m,
                        ..UNKNOWN
                    };
                    self.held.widen(cell);
                }
            }
        }
    }

    /// Height and variance (of the mean and of the ground within the cell) as the filter has them, row by row from the
    /// south-west; not-a-number where unknown. [`RollingMap::grid`] makes the layers that others use.
    #[must_use]
    pub fn filtered(&self) -> Vec<[f32; 2]> {
        let n = self.side();
        (0..n * n)
            .map(|i| {
                let cell = self.cells.get(self.index(i % n, i / n)).unwrap_or(&UNKNOWN);
                let variance_m2 = cell.variance_m2 + cell.spread_m2;
                [cell.height_m as f32, variance_m2 as f32]
            })
            .collect()
    }

    /// The window as rasters, at `stamp`: single points without neighbours left out, small holes closed.
    ///
    /// # Errors
    /// [`CoreError`] when the rasters cannot be made, which a checked configuration excludes.
    pub fn grid(&self, stamp: Stamp, config: &Config) -> Result<TerrainGrid, CoreError> {
        let (n, p) = (self.side(), &config.params);
        let size = n * n;
        let mut elevation = vec![f32::NAN; size];
        let mut variance = vec![f32::NAN; size];
        let mut count = vec![0.0f32; size];
        let mut age = vec![f32::NAN; size];
        let (mut low, mut high) = (vec![f32::NAN; size], vec![f32::NAN; size]);
        for row in 0..n {
            for col in 0..n {
                let cell = &self.cells[self.index(col, row)];
                if cell.height_m.is_nan() || self.is_alone(cell, col, row, config) {
                    continue;
                }
                let lean_m = p.step_lean * (cell.step_m2.sqrt() - p.step_sigma_m).max(0.0);
                let i = row * n + col;
                elevation[i] = (cell.height_m + lean_m) as f32;
                let drifted_m2 = cell.drifted_m2(self.travel_m, &p.drift);
                variance[i] = (drifted_m2 + cell.spread_m2) as f32;
                (low[i], high[i]) = (cell.low_m as f32, cell.high_m as f32);
                count[i] = cell.count as f32;
                age[i] = stamp.since(cell.seen).max(0.0) as f32;
            }
        }
        self.add_displacement(p, &elevation, &mut variance);
        holes::close(n, self.res_m, p, &mut elevation, &mut variance, &mut age);
        let raster = |data| Raster::new(n, n, self.res_m, self.origin_m(), data);
        Ok(TerrainGrid {
            stamp,
            elevation: raster(elevation)?,
            variance: raster(variance)?,
            count: raster(count)?,
            age: raster(age)?,
            low: raster(low)?,
            high: raster(high)?,
        })
    }

    /// On steep ground a point that lies off by `dx` is off in height by slope times `dx`: points are off along the line of
    /// sight, and few points are off the middle of their cell.
    fn add_displacement(&self, params: &Params, elevation: &[f32], variance: &mut [f32]) {
        let steep_max = params.steep_max;
        let n = self.side();
        for row in 0..n {
            for col in 0..n {
                let i = row * n + col;
                let cell = &self.cells[self.index(col, row)];
                if elevation[i].is_nan() || cell.count == 0 {
                    continue;
                }
                let around = [
                    (col > 0).then(|| i - 1),
                    (col + 1 < n).then_some(i + 1),
                    i.checked_sub(n),
                    (row + 1 < n).then_some(i + n),
                ];
                let (mut sum, mut known) = (0.0, 0.0);
                for j in around.into_iter().flatten() {
                    let rise_m = f64::from(elevation[j] - elevation[i]);
                    if rise_m.is_finite() {
                        sum += (rise_m / self.res_m).powi(2);
                        known += 1.0;
                    }
                }
                let slope2 = (sum / f64::max(known, 1.0)).min(steep_max * steep_max);
                let off_m2 = cell.displaced_m2(self.travel_m, &params.drift)
                    + self.res_m * self.res_m / (12.0 * f64::from(cell.count));
                variance[i] += (slope2 * off_m2) as f32;
            }
        }
    }

    fn is_alone(&self, cell: &Cell, col: usize, row: usize, config: &Config) -> bool {
        if cell.count == 0 || cell.count as usize >= config.params.min_count {
            return false;
        }
        let n = self.side();
        let mut known = 0;
        for r in row.saturating_sub(1)..=(row + 1).min(n - 1) {
            for c in col.saturating_sub(1)..=(col + 1).min(n - 1) {
                if (c, r) != (col, row) && !self.cells[self.index(c, r)].height_m.is_nan() {
                    known += 1;
                }
            }
        }
        known < config.params.min_neighbours
    }
}

// Ring-buffer columns (or rows) that come into the window when it moves by `shift` cells.
fn entering(first: i64, shift: i64, n: i64) -> impl Iterator<Item = i64> {
    let range = if shift >= 0 {
        first + n..first + n + shift
    } else {
        first + shift..first
    };
    range.map(move |c| c.rem_euclid(n))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sojourn_core::{raster::HeightField, settle::Settler};
    use std::path::Path;

    /// Standing on ground that no camera has seen, a rover knows all that its wheels stand on, wherever its edge cuts the cells.
    #[test]
    fn what_wheels_touch_is_known() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let rover = Rover::load(&root.join("config/rovers/perseverance.yaml")).unwrap();
        let config = Config::new(
            sojourn_core::params::load_node_params(
                &root.join("config/perception.param.yaml"),
                "perception",
            )
            .unwrap(),
            &rover,
        )
        .unwrap();
        let settler = Settler::new(&rover, 0.05);
        for i in 0..40 {
            let step = f64::from(i);
            let pose = sojourn_core::frames::Pose2::new(0.013 * step, -0.017 * step, 0.16 * step);
            let base = Isometry3::new(
                Vector3::new(pose.x_m, pose.y_m, 0.3),
                Vector3::z() * pose.yaw_rad,
            );
            let mut map = RollingMap::new(config.grid);
            map.recentre(pose.x_m, pose.y_m);
            let stamp = Stamp::from_secs(1.0);
            map.fill_under(&base, Footprint::under(&rover), 0.05, stamp, 0.0);
            let ground = map.grid(stamp, &config).unwrap().elevation;
            let under = [1.0, -1.0].into_iter().flat_map(|side| {
                rover
                    .hubs_m()
                    .into_iter()
                    .map(move |h| [h[0], side * h[1].abs()])
            });
            for [x, y] in under {
                for edge in [-0.5, 0.5] {
                    let [x, y] = pose.point(x, y + edge * rover.wheel.width_m);
                    assert!(ground.height_m(x, y).is_some(), "{pose:?} at {x} {y}");
                }
            }
            let stands = settler.settle(&ground, pose).unwrap();
            assert!(stands.tilt_rad < 1e-3 && (stands.z_m - 0.3).abs() < 1e-3);
        }
    }
}
