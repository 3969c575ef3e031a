//! The index rules of `grid_map_msgs/GridMap`, so that a [`Raster`] and a layer of that message mean the same cells.
//!
//! In the message the first cell is the one with the largest x and y, its row index runs against x and its column
//! index against y, and a layer is stored column by column (label of `layout.dim[0]` is [`OUTER_LABEL`]). A
//! [`Raster`] starts at the smallest x and y and runs along x first. So a plainly stored layer is the raster's data
//! in reverse.

use crate::{CoreError, raster::Raster};

/// Label of `layout.dim[0]`; its size is the number of cells along y, its stride the number of all cells.
pub const OUTER_LABEL: &str = "column_index";
/// Label of `layout.dim[1]`; size and stride are the number of cells along x.
pub const INNER_LABEL: &str = "row_index";

/// One layer as the message carries it. Lengths and positions in metres, in the frame of the message's header.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layer<'a> {
    /// `info.pose.position`, the middle of the grid.
    pub centre_m: [f64; 2],
    /// `info.length_x`, `info.length_y`.
    pub length_m: [f64; 2],
    /// `info.resolution`.
    pub resolution_m: f64,
    /// `outer_start_index` (row), `inner_start_index` (column): where a ring buffer begins; 0, 0 for plain storage.
    pub start: [usize; 2],
    /// `data[i].data`.
    pub data: &'a [f32],
}

/// The raster's cells in the order of a layer with start indices 0.
#[must_use]
pub fn to_columns(raster: &Raster) -> Vec<f32> {
    raster.data().iter().rev().copied().collect()
}

/// The middle of the raster, metres: `info.pose.position`.
#[must_use]
pub fn centre_m(raster: &Raster) -> [f64; 2] {
    let ([x, y], [w, h]) = (raster.origin_m(), raster.size_m());
    [x + 0.5 * w, y + 0.5 * h]
}

/// The raster that a layer stands for, ring buffers unrolled.
///
/// # Errors
/// [`CoreError::Value`] when a length is no whole number of cells, a number is not finite, the data does not fit, or
/// a start index lies outside.
pub fn from_columns(layer: &Layer<'_>) -> Result<Raster, CoreError> {
    let what = "terrain grid";
    let res_m = layer.resolution_m;
    if !(res_m.is_finite() && res_m > 0.0) {
        return Err(CoreError::value(
            what,
            "info.resolution",
            res_m,
            "a positive number",
        ));
    }
    let mut cells = [0usize; 2];
    for (axis, (n, length_m)) in ["x", "y"].iter().zip(cells.iter_mut().zip(layer.length_m)) {
        let count = length_m / res_m;
        // a comparison with not-a-number is false
        if !((0.5..1e5).contains(&count) && (count - count.round()).abs() < 1e-3) {
            return Err(CoreError::value(
                what,
                format!("info.length_{axis}"),
                length_m,
                format!("a whole number of cells of {res_m} m, 1 to 99999"),
            ));
        }
        *n = count.round() as usize;
    }
    let [cols, rows] = cells;
    if layer.data.len() != cols * rows {
        return Err(CoreError::value(
            what,
            "data",
            format!("{} values", layer.data.len()),
            format!("{cols} times {rows} values"),
        ));
    }
    if layer.start[0] >= cols || layer.start[1] >= rows {
        return Err(CoreError::value(
            what,
            "start index",
            format!("{:?}", layer.start),
            format!("less than [{cols}, {rows}]"),
        ));
    }
    let origin_m = [
        layer.centre_m[0] - 0.5 * cols as f64 * res_m,
        layer.centre_m[1] - 0.5 * rows as f64 * res_m,
    ];
    let raster = Raster::new(cols, rows, res_m, origin_m, vec![f32::NAN; cols * rows])?;
    Ok(raster.like(|col, row| {
        let (i, j) = (cols - 1 - col, rows - 1 - row);
        let at = ((j + layer.start[1]) % rows) * cols + (i + layer.start[0]) % cols;
        layer.data.get(at).copied().unwrap_or(f32::NAN)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn layer(data: &[f32], cols: usize, rows: usize) -> Layer<'_> {
        Layer {
            centre_m: [3.0, -2.0],
            length_m: [cols as f64 * 0.1, rows as f64 * 0.1],
            resolution_m: 0.1,
            start: [0, 0],
            data,
        }
    }

    #[test]
    fn the_first_cell_has_the_largest_x_and_y() {
        // 3 cells along x, 2 along y; values name (i, j) as i + 10 j, i counted against x
        let data = [0.0, 1.0, 2.0, 10.0, 11.0, 12.0];
        let r = from_columns(&layer(&data, 3, 2)).unwrap();
        assert_eq!((r.cols(), r.rows()), (3, 2));
        assert_eq!(r.nearest(3.1, -1.95), Some(0.0));
        assert_eq!(r.nearest(2.9, -1.95), Some(2.0));
        assert_eq!(r.nearest(3.1, -2.05), Some(10.0));
    }

    #[test]
    fn a_ring_buffer_is_unrolled() {
        let data = [2.0, 0.0, 1.0, 12.0, 10.0, 11.0];
        let mut l = layer(&data, 3, 2);
        l.start = [1, 0];
        assert_eq!(
            from_columns(&l).unwrap(),
            from_columns(&layer(&[0.0, 1.0, 2.0, 10.0, 11.0, 12.0], 3, 2)).unwrap()
        );
    }

    proptest! {
        #[test]
        fn there_and_back(cols in 1usize..30, rows in 1usize..30) {
            let r = Raster::filled(cols, rows, 0.1, [-1.0, 4.0], 0.0).unwrap();
            let r = r.like(|c, row| (c * 100 + row) as f32);
            let data = to_columns(&r);
            let [w, h] = r.size_m();
            let back = from_columns(&Layer {
                centre_m: centre_m(&r), length_m: [w, h], resolution_m: 0.1, start: [0, 0], data: &data,
            }).unwrap();
            prop_assert_eq!(back.data(), r.data());
            prop_assert!((back.origin_m()[0] - r.origin_m()[0]).abs() < 1e-9);
        }

        #[test]
        fn what_does_not_fit_is_refused(n in 0usize..50, w in prop::num::f64::ANY, s in 0usize..9) {
            let data = vec![0.0; n];
            let l = Layer { centre_m: [0.0, 0.0], length_m: [w, 0.3], resolution_m: 0.1, start: [s, 0], data: &data };
            if let Ok(r) = from_columns(&l) {
                prop_assert_eq!(r.data().len(), n);
            }
        }
    }
}
