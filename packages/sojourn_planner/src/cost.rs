//! What a metre of ground costs, and where there is no going.

use crate::distance::distance_cells;
use crate::freshness::Stale;
use crate::slip::ExpectedSlip;
use sojourn_core::CoreError;
use sojourn_core::constraints::Constraints;
use sojourn_core::geometry::{Xy, distance_to_edge_m, in_polygon};
use sojourn_core::plan::Feature;
use sojourn_core::raster::Raster;
use sojourn_core::rover::Rover;
use sojourn_core::site::Site;
use sojourn_core::terrain::ground_of;

/// Cells finer than this are pooled for the search, metres; a rover does not steer more finely.
const LEAST_CELL_M: f64 = 0.5;
/// Cost added per metre right beside forbidden ground; it fades with the distance.
const BESIDE_COST: f64 = 2.0;

/// Why a cell is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    /// It is open.
    Free,
    /// Nothing is known of it.
    NoData,
    /// Too near to the edge of the map or to ground of which nothing is known.
    Margin,
    /// Too steep.
    Slope,
    /// Too rough.
    Roughness,
    /// Nearer to ground that is too steep or too rough than the mission's clearance.
    Clearance,
    /// In or too near to a keep-out.
    KeepOut(u16),
    /// Outside the keep-ins.
    KeepIn,
    /// A label forbids it.
    Label(u16),
    /// The rover cannot stand there within its limits.
    Stand,
}

/// Limits that the ground is measured by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ground {
    /// Steepest ground, degrees.
    pub slope_deg: f64,
    /// Where that limit comes from.
    pub slope_why: &'static str,
    /// Roughest ground, metres.
    pub roughness_m: f64,
}

impl Ground {
    /// The tightest of mission, tilt limit and the slope on which the wheels would slip beyond their limit.
    pub fn of(rover: &Rover, constraints: &Constraints, slip: &ExpectedSlip) -> Self {
        let slips = |deg: f64| slip.for_limits(-deg.to_radians()) > rover.limits.slip;
        let (mut lo, mut hi) = (0.0, 60.0);
        if slips(hi) {
            for _ in 0..40 {
                let mid = 0.5 * (lo + hi);
                if slips(mid) {
                    hi = mid;
                } else {
                    lo = mid;
                }
            }
        } else {
            lo = hi;
        }
        let mut best = (constraints.max_slope_deg, "the mission's max_slope_deg");
        for other in [
            (rover.limits.tilt_deg, "the rover's tilt limit"),
            (lo, "the slope on which the rover slips beyond its limit"),
        ] {
            if other.0 < best.0 {
                best = other;
            }
        }
        Self {
            slope_deg: best.0,
            slope_why: best.1,
            roughness_m: constraints.max_roughness_m,
        }
    }
}

/// The ground as the search sees it.
#[derive(Clone, Debug)]
pub(crate) struct CostMap {
    /// Slope over the footprint, degrees; greatest of the cells pooled.
    pub slope: Raster,
    /// Roughness over the footprint, metres; greatest of the cells pooled.
    pub roughness: Raster,
    /// Limits.
    pub ground: Ground,
    /// Why cells are closed.
    pub block: Vec<Block>,
    /// Cost per metre, at least 1; 1 to 1e6.
    pub cost: Vec<f32>,
    /// Distance to the nearest closed cell, metres.
    pub clearance_m: Vec<f32>,
    /// The slip that it was measured with.
    pub slip: ExpectedSlip,
    footprint_m: f64,
    edge_margin_m: f64,
    clearance_limit_m: f64,
}

impl CostMap {
    /// Measures the ground of a site for a rover.
    pub fn new(
        site: &Site,
        rover: &Rover,
        constraints: &Constraints,
        features: &[Feature],
        slip: &ExpectedSlip,
    ) -> Result<Self, CoreError> {
        // Always measured here: the site's own layers may be those of another rover.
        let (slope, roughness) = ground_of(site, rover.footprint_radius_m())?;
        let stale = Stale::of(site, constraints)?;
        Self::of_layers(
            &slope,
            &roughness,
            rover,
            constraints,
            features,
            slip,
            stale,
        )
    }

    /// From slope and roughness over the rover's footprint, measured before.
    pub fn of_layers(
        slope: &Raster,
        roughness: &Raster,
        rover: &Rover,
        constraints: &Constraints,
        features: &[Feature],
        slip: &ExpectedSlip,
        stale: Stale,
    ) -> Result<Self, CoreError> {
        let footprint_m = rover.footprint_radius_m();
        let factor = (LEAST_CELL_M / slope.resolution_m()).ceil().max(1.0) as usize;
        let slope = pool(slope, factor)?;
        let roughness = pool(roughness, factor)?;
        let n = slope.data().len();
        let mut map = Self {
            slope,
            roughness,
            ground: Ground::of(rover, constraints, slip),
            block: vec![Block::Free; n],
            cost: vec![1.0; n],
            clearance_m: vec![f32::INFINITY; n],
            slip: slip.clone(),
            footprint_m,
            edge_margin_m: constraints.edge_margin_m,
            clearance_limit_m: constraints.clearance_m.unwrap_or(0.0),
        };
        map.measure(constraints, stale.terrain);
        map.keep_clear();
        map.keep_out(&constraints.keep_out);
        map.keep_in(&constraints.keep_in);
        map.label(features, stale.labels);
        map.finish();
        Ok(map)
    }

    /// Columns.
    pub fn cols(&self) -> usize {
        self.slope.cols()
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.slope.rows()
    }

    /// Size of a cell, metres.
    pub fn cell_m(&self) -> f64 {
        self.slope.resolution_m()
    }

    /// Index of the cell that holds a point.
    pub fn index(&self, p: Xy) -> Option<usize> {
        self.slope
            .cell_of(p[0], p[1])
            .map(|(c, r)| r * self.cols() + c)
    }

    /// Centre of a cell, metres.
    pub fn centre(&self, index: usize) -> Xy {
        self.slope
            .centre_m(index % self.cols(), index / self.cols())
    }

    /// Whether a cell is open.
    pub fn free(&self, index: usize) -> bool {
        self.block.get(index) == Some(&Block::Free)
    }

    /// Closed ground and the cost of the rest; slope and roughness count `dearer` times as much.
    fn measure(&mut self, constraints: &Constraints, dearer: f64) {
        let (cols, rows) = (self.cols(), self.rows());
        let unknown: Vec<bool> = self.slope.data().iter().map(|v| v.is_nan()).collect();
        let to_hole = distance_cells(&unknown, cols, rows);
        let cell_m = self.cell_m();
        for (i, to_hole) in to_hole.iter().enumerate() {
            let (c, r) = (i % cols, i / cols);
            let (s, q) = (
                f64::from(self.slope.data()[i]),
                f64::from(self.roughness.data()[i]),
            );
            let edge_m = (c.min(cols - 1 - c).min(r).min(rows - 1 - r) as f64 + 0.5) * cell_m;
            let hole_m = f64::from(*to_hole) * cell_m;
            self.block[i] = if s.is_nan() || q.is_nan() {
                Block::NoData
            } else if s > self.ground.slope_deg {
                Block::Slope
            } else if q > self.ground.roughness_m {
                Block::Roughness
            } else if edge_m < self.edge_margin_m || hole_m < self.edge_margin_m {
                Block::Margin
            } else {
                Block::Free
            };
            if self.block[i] == Block::Free {
                let (s, q) = (s / self.ground.slope_deg, q / self.ground.roughness_m);
                self.cost[i] = (1.0
                    + dearer
                        * (constraints.slope_weight * s * s + constraints.roughness_weight * q * q))
                    as f32;
            }
        }
    }

    /// Closes what lies nearer to steep or rough ground than the mission's clearance.
    fn keep_clear(&mut self) {
        if self.clearance_limit_m <= 0.0 {
            return;
        }
        let bad: Vec<bool> = self
            .block
            .iter()
            .map(|b| matches!(b, Block::Slope | Block::Roughness))
            .collect();
        let cells = distance_cells(&bad, self.cols(), self.rows());
        // From any point of this cell to any place in the cell that is closed.
        let least_m = self.clearance_limit_m + std::f64::consts::SQRT_2 * self.cell_m();
        for (i, d) in cells.iter().enumerate() {
            if self.block[i] == Block::Free && f64::from(*d) * self.cell_m() < least_m {
                self.block[i] = Block::Clearance;
            }
        }
    }

    /// Calls `put(self, cell, centre)` for the cells of the box around a polygon, widened by `margin_m`.
    fn around(&mut self, polygon: &[Xy], margin_m: f64, mut put: impl FnMut(&mut Self, usize, Xy)) {
        let fold = |a: usize, f: fn(f64, f64) -> f64, from: f64| {
            polygon.iter().map(|p| p[a]).fold(from, f)
        };
        let [x0, y0] = self.slope.origin_m();
        let cell = |v: f64, origin: f64, n: usize| {
            // A saturating cast: far outside becomes the border.
            (((v - origin) / self.cell_m()).floor().max(0.0) as usize).min(n.saturating_sub(1))
        };
        let (c0, c1) = (
            cell(fold(0, f64::min, f64::INFINITY) - margin_m, x0, self.cols()),
            cell(
                fold(0, f64::max, f64::NEG_INFINITY) + margin_m,
                x0,
                self.cols(),
            ),
        );
        let (r0, r1) = (
            cell(fold(1, f64::min, f64::INFINITY) - margin_m, y0, self.rows()),
            cell(
                fold(1, f64::max, f64::NEG_INFINITY) + margin_m,
                y0,
                self.rows(),
            ),
        );
        for r in r0..=r1 {
            for c in c0..=c1 {
                let i = r * self.cols() + c;
                let centre = self.centre(i);
                put(self, i, centre);
            }
        }
    }

    /// Closes every cell that is not whole in one of the polygons.
    fn keep_in(&mut self, polygons: &[Vec<Xy>]) {
        if polygons.is_empty() {
            return;
        }
        let half_m = 0.5 * self.cell_m();
        for i in 0..self.block.len() {
            let [x, y] = self.centre(i);
            let corners = [[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]];
            let within = polygons.iter().any(|polygon| {
                corners
                    .iter()
                    .all(|[u, v]| in_polygon([x + u * half_m, y + v * half_m], polygon))
            });
            if self.block[i] == Block::Free && !within {
                self.block[i] = Block::KeepIn;
            }
        }
    }

    fn keep_out(&mut self, polygons: &[Vec<Xy>]) {
        // The whole rover stays outside, wherever in the cell its middle is.
        let margin_m = self.footprint_m + 0.71 * self.cell_m();
        for (k, polygon) in polygons.iter().enumerate() {
            self.around(polygon, margin_m, |map, i, p| {
                if map.block[i] == Block::Free
                    && (in_polygon(p, polygon) || distance_to_edge_m(p, polygon) < margin_m)
                {
                    map.block[i] = Block::KeepOut(k.min(usize::from(u16::MAX)) as u16);
                }
            });
        }
    }

    /// What labels add: in every cell the dearest of those that cover it, since two labels of one hazard are one hazard.
    fn label(&mut self, features: &[Feature], dearer: f64) {
        // Every cell that the label touches, so that one narrower than a cell counts too.
        let margin_m = 0.71 * self.cell_m();
        let mut added = vec![0.0f32; self.cost.len()];
        for (k, f) in features.iter().enumerate() {
            self.around(&f.polygon, margin_m, |map, i, p| {
                if map.block[i] == Block::Free
                    && (in_polygon(p, &f.polygon) || distance_to_edge_m(p, &f.polygon) < margin_m)
                {
                    let slope_deg = f64::from(map.slope.data()[i]);
                    added[i] = added[i].max((dearer * map.slip.per_metre(f, slope_deg)) as f32);
                    if f.forbids {
                        map.block[i] = Block::Label(k.min(usize::from(u16::MAX)) as u16);
                    }
                }
            });
        }
        for (cost, more) in self.cost.iter_mut().zip(&added) {
            *cost += more;
        }
    }

    /// Closes the cells within `radius_m` of a point because the rover cannot stand there.
    pub fn close(&mut self, p: Xy, radius_m: f64) {
        self.around(&[p], radius_m, |map, i, q| {
            if map.block[i] == Block::Free
                && ((p[0] - q[0]).hypot(p[1] - q[1]) <= radius_m || map.index(p) == Some(i))
            {
                map.block[i] = Block::Stand;
            }
        });
    }

    /// The same ground with the cells beside closed ones closed too, but for those around the given points.
    pub fn without_narrows(&self, keep: &[Xy]) -> Self {
        let mut out = self.clone();
        let closed: Vec<bool> = self.block.iter().map(|b| *b != Block::Free).collect();
        let near = distance_cells(&closed, self.cols(), self.rows());
        let keep_m = 3.0 * self.cell_m();
        for (i, d) in near.iter().enumerate() {
            let p = self.centre(i);
            let kept = keep
                .iter()
                .any(|k| (k[0] - p[0]).hypot(k[1] - p[1]) <= keep_m);
            if out.block[i] == Block::Free && *d < 1.5 && !kept {
                out.block[i] = Block::Stand;
            }
        }
        out
    }

    /// The middles of the open cells within `radius_m` of a point.
    pub fn open_around(&mut self, p: Xy, radius_m: f64) -> Vec<Xy> {
        let mut out = Vec::new();
        self.around(&[p], radius_m, |map, i, q| {
            if map.free(i) && (p[0] - q[0]).hypot(p[1] - q[1]) <= radius_m {
                out.push(q);
            }
        });
        out
    }

    /// Distances to closed ground, and the cost of being beside it.
    fn finish(&mut self) {
        let closed: Vec<bool> = self.block.iter().map(|b| *b != Block::Free).collect();
        let cells = distance_cells(&closed, self.cols(), self.rows());
        let cell_m = self.cell_m();
        let reach_m = 2.0 * self.footprint_m;
        for (i, d) in cells.iter().enumerate() {
            let d_m = f64::from(*d) * cell_m;
            self.clearance_m[i] = d_m as f32;
            if d_m < reach_m {
                self.cost[i] += (BESIDE_COST * (1.0 - d_m / reach_m)) as f32;
            }
            self.cost[i] = self.cost[i].clamp(1.0, 1e6);
        }
    }

    /// Says in words why a cell is closed; `features` are those that the map was made with.
    pub fn explain(&self, index: usize, features: &[Feature]) -> String {
        let value = |r: &Raster| r.data().get(index).copied().unwrap_or(f32::NAN);
        match self.block.get(index).copied().unwrap_or(Block::NoData) {
            Block::Free => "lies on open ground".into(),
            Block::NoData => "lies on ground of which the map knows nothing".into(),
            Block::Margin => format!(
                "lies within {:.1} m of the edge of the map or of ground without data, limit edge_margin_m {:.1} m",
                self.edge_margin_m, self.edge_margin_m
            ),
            Block::Slope => format!(
                "lies on a slope of {:.1}°, limit {:.1}° ({})",
                value(&self.slope),
                self.ground.slope_deg,
                self.ground.slope_why
            ),
            Block::Roughness => format!(
                "lies on ground with a roughness of {:.2} m, limit {:.2} m (the mission's max_roughness_m)",
                value(&self.roughness),
                self.ground.roughness_m
            ),
            Block::Clearance => format!(
                "lies within {:.1} m of ground that is too steep or too rough (the mission's clearance_m)",
                self.clearance_limit_m
            ),
            Block::KeepOut(k) => format!(
                "lies in or within {:.1} m of keep_out[{k}]",
                self.footprint_m
            ),
            Block::KeepIn => "lies outside the mission's keep_in".into(),
            Block::Label(k) => features.get(usize::from(k)).map_or_else(
                || format!("lies in label {k}, which forbids it"),
                |f| {
                    format!(
                        "lies in or beside the model's label {k} \"{}\" (confidence {:.2}), which forbids it",
                        f.class.traits().name,
                        f.confidence
                    )
                },
            ),
            Block::Stand => "lies where the rover cannot stand within its limits".into(),
        }
    }
}

/// The greatest of each `factor` x `factor` cells; without data when one of them is.
fn pool(raster: &Raster, factor: usize) -> Result<Raster, CoreError> {
    if factor <= 1 {
        return Ok(raster.clone());
    }
    // A strip narrower than a pooled cell at the eastern and northern edge has no data, which is safe.
    let cols = raster.cols().div_ceil(factor);
    let rows = raster.rows().div_ceil(factor);
    let out = Raster::filled(
        cols,
        rows,
        raster.resolution_m() * factor as f64,
        raster.origin_m(),
        0.0,
    )?;
    Ok(out.like(|c, r| {
        let mut worst = f32::NEG_INFINITY;
        for y in r * factor..(r + 1) * factor {
            for x in c * factor..(c + 1) * factor {
                let v = raster.get(x, y);
                if v.is_nan() {
                    return f32::NAN;
                }
                worst = worst.max(v);
            }
        }
        worst
    }))
}
