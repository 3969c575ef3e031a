//! Costs of cells as whole numbers, with a closed border so that no search looks beyond it.

/// Cost units of one metre-cell of cost 1.
const UNITS: f32 = 64.0;
/// Dearest cell that is told apart; dearer ones count as this.
pub const MAX_COST: f32 = 1023.0;
/// Closed cells around the grid: the farthest neighbour is two cells away.
const BORDER: usize = 2;

/// Which cells a path may go to from a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Neighbours {
    /// The eight around it. Directions are multiples of 45°, so a path may be 8 % longer than the straight line.
    Eight,
    /// And the eight a knight's move away: at most 2.7 % longer than the straight line.
    Sixteen,
}

/// Whole-number weights of a step per unit of the sum of the costs along it; 17 : 24 : 19 is 1/2 : √2/2 : √5/4 within
/// 0.2 % (two costs are summed along a straight or a diagonal step, four along a knight's move).
pub(super) const STRAIGHT: u32 = 17;
pub(super) const DIAGONAL: u32 = 24;
pub(super) const KNIGHT: u32 = 19;

/// A grid of costs per metre-cell; row 0 is the first row given.
#[derive(Clone, Debug)]
pub struct CostGrid {
    cols: usize,
    rows: usize,
    stride: usize,
    cost: Vec<u16>,
    least: u16,
    most: u16,
}

impl CostGrid {
    /// A grid of `cols` x `rows` cells from the cost of each `(column, row)`; a cost that is not a positive number
    /// closes the cell. Costs are rounded to 1/64 and end at [`MAX_COST`].
    ///
    /// `None` when it has no cells or more than 2³² with its border.
    #[must_use]
    pub fn new(
        cols: usize,
        rows: usize,
        mut cost_of: impl FnMut(usize, usize) -> f32,
    ) -> Option<Self> {
        let stride = cols.checked_add(2 * BORDER)?;
        let cells = stride.checked_mul(rows.checked_add(2 * BORDER)?)?;
        if cols == 0 || rows == 0 || u32::try_from(cells).is_err() {
            return None;
        }
        let mut cost = vec![0u16; cells];
        let (mut least, mut most) = (u16::MAX, 1);
        for row in 0..rows {
            let first = (row + BORDER) * stride + BORDER;
            for (col, cell) in cost[first..first + cols].iter_mut().enumerate() {
                let value = cost_of(col, row);
                if value > 0.0 {
                    *cell = (value.min(MAX_COST) * UNITS).round().max(1.0) as u16;
                    least = least.min(*cell);
                    most = most.max(*cell);
                }
            }
        }
        Some(Self {
            cols,
            rows,
            stride,
            cost,
            least: least.min(most),
            most,
        })
    }

    /// Columns.
    #[must_use]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Whether a cell (row · columns + column) is open.
    #[must_use]
    pub fn is_open(&self, cell: usize) -> bool {
        self.inner(cell).is_some()
    }

    /// Index with the border of an open cell.
    pub(super) fn inner(&self, cell: usize) -> Option<u32> {
        let (col, row) = (cell % self.cols, cell / self.cols);
        if row >= self.rows {
            return None;
        }
        let i = (row + BORDER) * self.stride + col + BORDER;
        (self.cost[i] > 0).then_some(i as u32)
    }

    /// Index without the border.
    pub(super) fn outer(&self, i: u32) -> usize {
        let [col, row] = self.col_row(i);
        row * self.cols + col
    }

    /// Column and row of a cell inside the border.
    pub(super) fn col_row(&self, i: u32) -> [usize; 2] {
        let i = i as usize;
        [i % self.stride - BORDER, i / self.stride - BORDER]
    }

    /// Costs with the border, 0 where closed.
    pub(super) fn costs(&self) -> &[u16] {
        &self.cost
    }

    /// Cells from one row to the next.
    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    /// Cheapest and dearest open cell.
    pub(super) fn range(&self) -> (u16, u16) {
        (self.least, self.most)
    }

    /// Cost of a path of cells with the border, with true lengths.
    pub(super) fn path_cost(&self, cells: &[u32]) -> f64 {
        let cost = |i: usize| f64::from(self.cost[i]) / f64::from(UNITS);
        cells
            .windows(2)
            .map(|w| {
                let (a, b) = (w[0] as usize, w[1] as usize);
                let ([c0, r0], [c1, r1]) = (self.col_row(w[0]), self.col_row(w[1]));
                match (c0.abs_diff(c1), r0.abs_diff(r1)) {
                    (2, 1) | (1, 2) => {
                        let [p, q] = knight_between(a, b, self.stride);
                        5f64.sqrt() * 0.25 * (cost(a) + cost(p) + cost(q) + cost(b))
                    }
                    (1, 1) => std::f64::consts::FRAC_1_SQRT_2 * (cost(a) + cost(b)),
                    _ => 0.5 * (cost(a) + cost(b)),
                }
            })
            .sum()
    }
}

/// The two cells that a knight's move from `a` to `b` crosses.
fn knight_between(a: usize, b: usize, stride: usize) -> [usize; 2] {
    // The long half first and the long half last: the middle of the move lies on the side between the two.
    let s = stride as i64;
    let d = b as i64 - a as i64;
    let step = [1, -1, s, -s]
        .into_iter()
        .find(|step| {
            let rest = d - 2 * step;
            if step.abs() == 1 {
                rest.abs() == s
            } else {
                rest.abs() == 1
            }
        })
        .unwrap_or(0);
    [(a as i64 + step) as usize, (b as i64 - step) as usize]
}
