//! What the ground may be: a lowest and a highest surface over the same cells, less a regional plane.

use sojourn_core::raster::Raster;

/// Greatest height over the regional plane that is taken for ground, metres.
const RISE_MAX_M: f64 = 50.0;
/// How far from a cell's centre the points lie that its lowest and highest height are of, cells along each axis.
const POINTS_CELLS: f64 = 0.25;
/// How far from a place the centres of the cells lie, cells along each axis, between whose points its ground is
/// interpolated: half a cell to the point, and from there to the centre of the point's cell.
pub const BETWEEN_CELLS: f64 = 0.5 + POINTS_CELLS;

/// One cell: the lowest and the highest that its ground may be, less the regional plane, metres. Unknown ground is
/// `−∞` and `+∞`: nothing unseen is safe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// Lowest, what the plane falls across the cell taken out down to the mean.
    pub lo: f32,
    /// Highest, what the plane rises across the cell taken out up to the mean.
    pub hi: f32,
    /// Lowest, wherever in the cell that lies.
    pub bottom: f32,
    /// Highest, wherever in the cell that lies.
    pub top: f32,
}

/// Nothing is known.
pub const UNSEEN: Span = Span {
    lo: f32::NEG_INFINITY,
    hi: f32::INFINITY,
    bottom: f32::NEG_INFINITY,
    top: f32::INFINITY,
};

/// Heights of the same cells in `odom`, metres; not-a-number where unknown.
#[derive(Clone, Copy, Debug)]
pub struct Heights<'a> {
    /// Mean of the ground in a cell.
    pub mean: &'a Raster,
    /// Lowest that the ground in a cell may be.
    pub low: &'a Raster,
    /// Highest that the ground in a cell may be.
    pub high: &'a Raster,
}

/// Two surfaces in `odom` between which the ground lies, less a regional plane: a slope then widens nothing (the
/// plane-frame variant of ACE).
#[derive(Clone, Debug)]
pub struct Surfaces {
    cols: usize,
    rows: usize,
    resolution_m: f64,
    origin_m: [f64; 2],
    gradient: [f64; 2],
    offset_m: f64,
    cells: Vec<Span>,
}

impl Surfaces {
    /// Surfaces of a window. A cell is unknown when one of its three heights is not a number. `None` when the rasters
    /// differ in shape.
    ///
    /// The lean of the regional plane across a cell is taken out of what the cell spans, down to its mean.
    #[must_use]
    pub fn new(heights: &Heights<'_>) -> Option<Self> {
        Self::over(heights, regional_plane(heights.mean))
    }

    /// The same over the level instead of the regional plane: the textbook's ACE, a baseline.
    #[must_use]
    pub fn level(heights: &Heights<'_>) -> Option<Self> {
        let (gradient, offset_m) = regional_plane(heights.mean);
        let o = heights.mean.origin_m();
        let [w, h] = heights.mean.size_m();
        let middle = [o[0] + 0.5 * w, o[1] + 0.5 * h];
        let level_m = offset_m + gradient[0] * middle[0] + gradient[1] * middle[1];
        Self::over(heights, ([0.0; 2], level_m))
    }

    fn over(heights: &Heights<'_>, (gradient, offset_m): ([f64; 2], f64)) -> Option<Self> {
        let Heights { mean, low, high } = *heights;
        let shape = |r: &Raster| (r.cols(), r.rows());
        if shape(low) != shape(mean) || shape(high) != shape(mean) {
            return None;
        }
        let mut out = Self {
            cols: mean.cols(),
            rows: mean.rows(),
            resolution_m: mean.resolution_m(),
            origin_m: mean.origin_m(),
            gradient,
            offset_m,
            cells: Vec::new(),
        };
        let across = out.resolution_m * (gradient[0].abs() + gradient[1].abs());
        let (lean, rise) = (0.5 * across, POINTS_CELLS * across);
        let mut cells = Vec::with_capacity(out.cols * out.rows);
        for row in 0..out.rows {
            for col in 0..out.cols {
                let plane = out.plane_m(mean.centre_m(col, row));
                let [m, lo, hi] = [mean, low, high].map(|r| f64::from(r.get(col, row)) - plane);
                // A comparison with not-a-number is false.
                let known = [m, lo, hi].iter().all(|v| v.abs() <= RISE_MAX_M);
                cells.push(if known {
                    Span {
                        lo: (lo + lean).min(m).min(hi) as f32,
                        hi: (hi - lean).max(m).max(lo) as f32,
                        bottom: (lo.min(m).min(hi) - rise) as f32,
                        top: (hi.max(m).max(lo) + rise) as f32,
                    }
                } else {
                    UNSEEN
                });
            }
        }
        out.cells = cells;
        Some(out)
    }

    /// Columns and rows.
    #[must_use]
    pub fn size(&self) -> [usize; 2] {
        [self.cols, self.rows]
    }

    /// Side of a cell, metres.
    #[must_use]
    pub fn resolution_m(&self) -> f64 {
        self.resolution_m
    }

    /// Outer south-west corner in `odom`, metres.
    #[must_use]
    pub fn origin_m(&self) -> [f64; 2] {
        self.origin_m
    }

    /// Slope of the regional plane along x and y of `odom`.
    #[must_use]
    pub fn gradient(&self) -> [f64; 2] {
        self.gradient
    }

    /// Height of the regional plane at a point, metres.
    #[must_use]
    pub fn plane_m(&self, [x, y]: [f64; 2]) -> f64 {
        self.offset_m + self.gradient[0] * x + self.gradient[1] * y
    }

    /// Slope of the regional plane along a heading and to its left.
    #[must_use]
    pub fn along(&self, cos: f64, sin: f64) -> [f64; 2] {
        let [gx, gy] = self.gradient;
        [gx * cos + gy * sin, gy * cos - gx * sin]
    }

    /// Column or row coordinate (fractional) of a coordinate of `odom`.
    #[must_use]
    pub fn grid(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        [
            (x - self.origin_m[0]) / self.resolution_m,
            (y - self.origin_m[1]) / self.resolution_m,
        ]
    }

    /// A cell; outside nothing is known.
    #[must_use]
    pub fn span(&self, col: i64, row: i64) -> Span {
        if col < 0 || row < 0 || col >= self.cols as i64 || row >= self.rows as i64 {
            return UNSEEN;
        }
        self.cells
            .get(row as usize * self.cols + col as usize)
            .copied()
            .unwrap_or(UNSEEN)
    }

    /// All cells, row by row.
    #[must_use]
    pub fn cells(&self) -> &[Span] {
        &self.cells
    }
}

/// Least-squares plane through the known cells: gradient and height at the origin of `odom`. Only takes slope out of
/// what is looked up later, so any plane is right; a good one is tight.
fn regional_plane(mean: &Raster) -> ([f64; 2], f64) {
    let (mut n, mut sx, mut sy, mut sz) = (0.0, 0.0, 0.0, 0.0);
    let (mut xx, mut xy, mut yy, mut xz, mut yz) = (0.0, 0.0, 0.0, 0.0, 0.0);
    let corner = mean.centre_m(0, 0);
    for row in (0..mean.rows()).step_by(2) {
        for col in (0..mean.cols()).step_by(2) {
            let z = f64::from(mean.get(col, row));
            if !z.is_finite() {
                continue;
            }
            let c = mean.centre_m(col, row);
            let (x, y) = (c[0] - corner[0], c[1] - corner[1]);
            n += 1.0;
            sx += x;
            sy += y;
            sz += z;
            xx += x * x;
            xy += x * y;
            yy += y * y;
            xz += x * z;
            yz += y * z;
        }
    }
    if n < 1.0 {
        return ([0.0; 2], 0.0);
    }
    let (mx, my, mz) = (sx / n, sy / n, sz / n);
    let (vxx, vyy, vxy) = (xx / n - mx * mx, yy / n - my * my, xy / n - mx * my);
    let (vxz, vyz) = (xz / n - mx * mz, yz / n - my * mz);
    let det = vxx * vyy - vxy * vxy;
    let g = if det > 1e-3 {
        [(vxz * vyy - vyz * vxy) / det, (vyz * vxx - vxz * vxy) / det]
    } else {
        [0.0; 2]
    };
    (g, mz - g[0] * (mx + corner[0]) - g[1] * (my + corner[1]))
}
