//! Planes through the known cells of squares, by tables of sums (Crow 1984): a square of any size takes four look-ups.

use sojourn_core::raster::Raster;

/// Terms that are summed: 1, x, y, z, xx, xy, yy, xz, yz, zz; x and y in cells.
const TERMS: usize = 10;
/// Cells that a plane needs.
const LEAST_CELLS: f64 = 6.0;

/// A plane through a square of cells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Plane {
    /// Height at the middle cell, metres.
    pub height_m: f64,
    /// Rise per cell east and north, metres.
    pub rise_m: [f64; 2],
    /// Root mean square of what the cells lie off the plane, metres.
    pub rough_m: f64,
    /// Cells of the square that are known.
    pub known: f64,
}

/// The sums over all cells to the south-west.
pub(crate) struct Sums {
    cols: usize,
    rows: usize,
    // Heights are summed over this one, so that their squares lose nothing.
    base_m: f64,
    table: Vec<[f64; TERMS]>,
}

impl Sums {
    /// Sums over the known cells that `counts` says yes to.
    pub fn of(e: &Raster, counts: impl Fn(usize) -> bool) -> Self {
        let (cols, rows) = (e.cols(), e.rows());
        let base_m = e.min_max().map_or(0.0, |(low, _)| f64::from(low));
        let mut table = vec![[0.0; TERMS]; (cols + 1) * (rows + 1)];
        for row in 0..rows {
            let mut line = [0.0; TERMS];
            for col in 0..cols {
                let z = f64::from(e.get(col, row)) - base_m;
                if !z.is_nan() && counts(row * cols + col) {
                    let (x, y) = (col as f64, row as f64);
                    let terms = [1.0, x, y, z, x * x, x * y, y * y, x * z, y * z, z * z];
                    line.iter_mut().zip(terms).for_each(|(s, t)| *s += t);
                }
                let below = table[row * (cols + 1) + col + 1];
                let here = &mut table[(row + 1) * (cols + 1) + col + 1];
                for (k, to) in here.iter_mut().enumerate() {
                    *to = below[k] + line[k];
                }
            }
        }
        Self {
            cols,
            rows,
            base_m,
            table,
        }
    }

    /// The plane through the square of `2·reach + 1` cells around a cell; level where the cells lie in one line, `None`
    /// where there are too few.
    pub fn plane(&self, col: usize, row: usize, reach: usize) -> Option<Plane> {
        let (c0, c1) = (col.saturating_sub(reach), (col + reach + 1).min(self.cols));
        let (r0, r1) = (row.saturating_sub(reach), (row + reach + 1).min(self.rows));
        let at = |c: usize, r: usize| &self.table[r * (self.cols + 1) + c];
        let (a, b, c, d) = (at(c1, r1), at(c0, r1), at(c1, r0), at(c0, r0));
        let s: [f64; TERMS] = std::array::from_fn(|k| a[k] - b[k] - c[k] + d[k]);
        let n = s[0];
        if n < LEAST_CELLS {
            return None;
        }
        let (mx, my, mz) = (s[1] / n, s[2] / n, s[3] / n);
        let (xx, xy, yy) = (s[4] - n * mx * mx, s[5] - n * mx * my, s[6] - n * my * my);
        let (xz, yz) = (s[7] - n * mx * mz, s[8] - n * my * mz);
        let zz = s[9] - n * mz * mz;
        let det = xx * yy - xy * xy;
        // Cells in one line carry no plane.
        let rise_m = if det <= 1e-3 * (xx + yy).powi(2) {
            [0.0, 0.0]
        } else {
            [(xz * yy - yz * xy) / det, (yz * xx - xz * xy) / det]
        };
        let left_m2 = zz - rise_m[0] * xz - rise_m[1] * yz;
        Some(Plane {
            height_m: self.base_m
                + mz
                + rise_m[0] * (col as f64 - mx)
                + rise_m[1] * (row as f64 - my),
            rise_m,
            rough_m: (left_m2 / n).max(0.0).sqrt(),
            known: n,
        })
    }
}
