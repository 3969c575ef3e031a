//! Rasters on the `map` plane.
//!
//! Row 0 is the southern row, column 0 the western one; the value of a cell belongs to its centre. Not-a-number is
//! "no data" and every reader has to face it: sampling next to a hole gives `None`, never a guess.

use crate::CoreError;

/// The most cells a raster may have: 400 million, 1.6 GB.
pub const MAX_CELLS: usize = 400_000_000;

/// A single-band raster of `f32` with its place on the plane.
#[derive(Clone, Debug, PartialEq)]
pub struct Raster {
    cols: usize,
    rows: usize,
    resolution_m: f64,
    origin_x_m: f64,
    origin_y_m: f64,
    data: Vec<f32>,
}

impl Raster {
    /// A raster from its cells, south row first.
    ///
    /// # Errors
    /// [`CoreError`] when the size does not fit the data, is zero or beyond [`MAX_CELLS`], or the resolution is not
    /// a positive number.
    pub fn new(
        cols: usize,
        rows: usize,
        resolution_m: f64,
        origin_m: [f64; 2],
        data: Vec<f32>,
    ) -> Result<Self, CoreError> {
        let cells = cols.checked_mul(rows).filter(|&n| n > 0 && n <= MAX_CELLS);
        if cells != Some(data.len()) {
            return Err(CoreError::value(
                "raster",
                "size",
                format!("{cols} x {rows} with {} values", data.len()),
                format!("columns times rows values, 1 to {MAX_CELLS}"),
            ));
        }
        if !(resolution_m.is_finite() && resolution_m > 0.0) {
            return Err(CoreError::value(
                "raster",
                "resolution_m",
                resolution_m,
                "a positive number",
            ));
        }
        if !origin_m.iter().all(|v| v.is_finite()) {
            return Err(CoreError::value(
                "raster",
                "origin",
                format!("{origin_m:?}"),
                "two finite numbers",
            ));
        }
        Ok(Self {
            cols,
            rows,
            resolution_m,
            origin_x_m: origin_m[0],
            origin_y_m: origin_m[1],
            data,
        })
    }

    /// A raster with the same value everywhere.
    ///
    /// # Errors
    /// As [`Raster::new`].
    pub fn filled(
        cols: usize,
        rows: usize,
        resolution_m: f64,
        origin_m: [f64; 2],
        value: f32,
    ) -> Result<Self, CoreError> {
        match cols.checked_mul(rows).filter(|&n| n > 0 && n <= MAX_CELLS) {
            Some(n) => Self::new(cols, rows, resolution_m, origin_m, vec![value; n]),
            None => Self::new(cols, rows, resolution_m, origin_m, Vec::new()),
        }
    }

    /// A raster of the same shape and place, cell by cell from `(x_m, y_m, col, row)`.
    #[must_use]
    pub fn like(&self, mut value: impl FnMut(usize, usize) -> f32) -> Self {
        let mut data = Vec::with_capacity(self.data.len());
        for row in 0..self.rows {
            for col in 0..self.cols {
                data.push(value(col, row));
            }
        }
        Self {
            data,
            ..self.clone_frame()
        }
    }

    #[inline]
    fn clone_frame(&self) -> Self {
        Self {
            data: Vec::new(),
            ..*self
        }
    }

    /// Number of columns (west to east).
    #[must_use]
    #[inline]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Number of rows (south to north).
    #[must_use]
    #[inline]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Size of a cell, metres.
    #[must_use]
    #[inline]
    pub fn resolution_m(&self) -> f64 {
        self.resolution_m
    }

    /// The outer south-west corner, metres.
    #[must_use]
    #[inline]
    pub fn origin_m(&self) -> [f64; 2] {
        [self.origin_x_m, self.origin_y_m]
    }

    /// Extent west to east and south to north, metres.
    #[must_use]
    pub fn size_m(&self) -> [f64; 2] {
        [
            self.cols as f64 * self.resolution_m,
            self.rows as f64 * self.resolution_m,
        ]
    }

    /// All cells, south row first, west to east within a row.
    #[must_use]
    #[inline]
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// All cells, to be changed.
    pub fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// The value of a cell; not-a-number outside the raster.
    #[must_use]
    #[inline]
    pub fn get(&self, col: usize, row: usize) -> f32 {
        if col < self.cols && row < self.rows {
            self.data[row * self.cols + col]
        } else {
            f32::NAN
        }
    }

    /// Sets a cell; outside the raster nothing happens.
    #[inline]
    pub fn set(&mut self, col: usize, row: usize, value: f32) {
        if col < self.cols && row < self.rows {
            self.data[row * self.cols + col] = value;
        }
    }

    /// The centre of a cell, metres.
    #[must_use]
    #[inline]
    pub fn centre_m(&self, col: usize, row: usize) -> [f64; 2] {
        [
            self.origin_x_m + (col as f64 + 0.5) * self.resolution_m,
            self.origin_y_m + (row as f64 + 0.5) * self.resolution_m,
        ]
    }

    /// The cell that holds a point, or `None` outside.
    #[must_use]
    #[inline]
    pub fn cell_of(&self, x_m: f64, y_m: f64) -> Option<(usize, usize)> {
        let c = (x_m - self.origin_x_m) / self.resolution_m;
        let r = (y_m - self.origin_y_m) / self.resolution_m;
        // A comparison with not-a-number is false, so it falls out here too; what is not below 0 is cut off as `floor` does.
        (c >= 0.0 && r >= 0.0 && c < self.cols as f64 && r < self.rows as f64)
            .then_some((c as usize, r as usize))
    }

    /// Whether a point lies on the raster.
    #[must_use]
    pub fn contains(&self, x_m: f64, y_m: f64) -> bool {
        self.cell_of(x_m, y_m).is_some()
    }

    /// The value of the cell that holds a point; `None` outside or without data.
    #[must_use]
    #[inline]
    pub fn nearest(&self, x_m: f64, y_m: f64) -> Option<f64> {
        let (c, r) = self.cell_of(x_m, y_m)?;
        let v = self.data[r * self.cols + c];
        (!v.is_nan()).then_some(f64::from(v))
    }

    /// Bilinear interpolation between cell centres; the half cell at the border takes the border's value.
    /// `None` outside or when one of the four cells has no data.
    #[must_use]
    #[inline]
    pub fn sample(&self, x_m: f64, y_m: f64) -> Option<f64> {
        self.sampler().sample(x_m, y_m)
    }

    /// For many samples of the same raster.
    #[must_use]
    #[inline]
    pub fn sampler(&self) -> Sampler<'_> {
        Sampler {
            data: &self.data,
            cols: self.cols,
            rows: self.rows,
            resolution_m: self.resolution_m,
            origin_m: [self.origin_x_m, self.origin_y_m],
            size: [self.cols as f64, self.rows as f64],
            last: [(self.cols - 1) as f64, (self.rows - 1) as f64],
        }
    }

    /// Least and greatest value, or `None` when no cell has data.
    #[must_use]
    pub fn min_max(&self) -> Option<(f32, f32)> {
        self.data
            .iter()
            .filter(|v| !v.is_nan())
            .fold(None, |acc, &v| match acc {
                None => Some((v, v)),
                Some((lo, hi)) => Some((lo.min(v), hi.max(v))),
            })
    }
}

/// Samples one raster; what is the same for all samples is worked out once.
#[derive(Clone, Copy, Debug)]
pub struct Sampler<'a> {
    data: &'a [f32],
    cols: usize,
    rows: usize,
    resolution_m: f64,
    origin_m: [f64; 2],
    /// Columns and rows.
    size: [f64; 2],
    /// Last column and row.
    last: [f64; 2],
}

impl Sampler<'_> {
    /// [`Raster::sample`].
    #[must_use]
    #[inline]
    pub fn sample(&self, x_m: f64, y_m: f64) -> Option<f64> {
        let (fx, fy) = (
            (x_m - self.origin_m[0]) / self.resolution_m,
            (y_m - self.origin_m[1]) / self.resolution_m,
        );
        let (cx, cy) = (fx - 0.5, fy - 0.5);
        // Away from the border, where nearly all is asked, nothing has to be clamped.
        if !(cx >= 0.0 && cy >= 0.0 && cx < self.last[0] && cy < self.last[1]) {
            return self.at_border(fx, fy);
        }
        // A raster has less than 2³¹ cells.
        let (c0, r0) = (cx as i32, cy as i32);
        let (tx, ty) = (cx - f64::from(c0), cy - f64::from(r0));
        let i = r0 as usize * self.cols + c0 as usize;
        let (south, north) = (self.data.get(i..i + 2)?, self.data.get(i + self.cols..)?);
        let (&[sw, se], &[nw, ne, ..]) = (south, north) else {
            return None;
        };
        between([[sw, se], [nw, ne]], tx, ty)
    }

    #[cold]
    fn at_border(&self, fx: f64, fy: f64) -> Option<f64> {
        if !(fx >= 0.0 && fy >= 0.0 && fx <= self.size[0] && fy <= self.size[1]) {
            return None;
        }
        let cx = (fx - 0.5).clamp(0.0, self.last[0]);
        let cy = (fy - 0.5).clamp(0.0, self.last[1]);
        let (c0, r0) = (cx as usize, cy as usize);
        let (c1, r1) = ((c0 + 1).min(self.cols - 1), (r0 + 1).min(self.rows - 1));
        let at = |c: usize, r: usize| self.data[r * self.cols + c];
        let corners = [[at(c0, r0), at(c1, r0)], [at(c0, r1), at(c1, r1)]];
        between(corners, cx - c0 as f64, cy - r0 as f64)
    }
}

impl HeightField for Sampler<'_> {
    #[inline]
    fn height_m(&self, x_m: f64, y_m: f64) -> Option<f64> {
        self.sample(x_m, y_m)
    }
}

/// Between four cells, south row first; `None` when one of them has no data.
#[inline]
fn between([south, north]: [[f32; 2]; 2], tx: f64, ty: f64) -> Option<f64> {
    let along = |[west, east]: [f32; 2]| f64::from(west) * (1.0 - tx) + f64::from(east) * tx;
    let v = along(south) * (1.0 - ty) + along(north) * ty;
    (!v.is_nan()).then_some(v)
}

/// Ground that can be asked for its height.
pub trait HeightField {
    /// Height in metres at a point, `None` where nothing is known.
    fn height_m(&self, x_m: f64, y_m: f64) -> Option<f64>;
}

impl HeightField for Raster {
    #[inline]
    fn height_m(&self, x_m: f64, y_m: f64) -> Option<f64> {
        self.sample(x_m, y_m)
    }
}

impl<F: Fn(f64, f64) -> Option<f64>> HeightField for F {
    fn height_m(&self, x_m: f64, y_m: f64) -> Option<f64> {
        self(x_m, y_m)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plane(cols: usize, rows: usize) -> Raster {
        let r = Raster::filled(cols, rows, 0.5, [10.0, -5.0], 0.0).unwrap();
        r.like(|c, row| {
            let [x, y] = r.centre_m(c, row);
            (0.2 * x - 0.1 * y) as f32
        })
    }

    proptest! {
        #[test]
        fn bilinear_is_exact_on_a_plane(fx in 0.05f64..0.95, fy in 0.05f64..0.95) {
            let r = plane(40, 30);
            let [w, h] = r.size_m();
            let (x, y) = (10.0 + fx * w, -5.0 + fy * h);
            prop_assert!((r.sample(x, y).unwrap() - (0.2 * x - 0.1 * y)).abs() < 1e-4);
        }

        #[test]
        fn outside_is_nothing(x in 100.0f64..1e6) {
            prop_assert!(plane(4, 4).sample(x, 0.0).is_none());
            prop_assert!(plane(4, 4).cell_of(-x, f64::NAN).is_none());
        }
    }

    #[test]
    fn a_hole_is_not_interpolated_over() {
        let mut r = plane(4, 4);
        r.set(1, 1, f32::NAN);
        assert!(r.sample(10.0 + 0.9, -5.0 + 0.9).is_none());
        assert!(r.sample(10.0 + 1.8, -5.0 + 1.8).is_some());
    }

    #[test]
    fn sizes_that_lie_are_refused() {
        assert!(Raster::new(3, 3, 1.0, [0.0, 0.0], vec![0.0; 8]).is_err());
        assert!(Raster::new(0, 3, 1.0, [0.0, 0.0], vec![]).is_err());
        assert!(Raster::filled(usize::MAX, 3, 1.0, [0.0, 0.0], 0.0).is_err());
        assert!(Raster::filled(2, 2, f64::NAN, [0.0, 0.0], 0.0).is_err());
    }
}
