//! Costs of cells as whole numbers, with a closed border so that no search looks beyond it.
//!
//! Cells lie in memory in strips of [`STRIP`] columns, row by row in each strip. The front of a search is long and thin;
//! over rows as wide as the grid each of its cells would lie on a page of its own, and most of the time would go into
//! finding pages.

/// Cost units of one metre-cell of cost 1.
const UNITS: f32 = 64.0;
/// Dearest cell that is told apart; dearer ones count as this.
pub const MAX_COST: f32 = 1023.0;
/// Closed cells around the grid: the farthest neighbour is two cells away.
const BORDER: usize = 2;

/// Columns of a strip.
pub(super) const STRIP: usize = 32;

/// A step from a cell: where to, and the cells that must be open as well.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub to: isize,
    pub over: [isize; 2],
}

/// The steps from a cell; what lies beside it depends on where in its strip it is.
pub(super) struct Steps {
    pub straight: [Step; 4],
    pub diagonal: [Step; 4],
    pub knight: [Step; 8],
}

impl Steps {
    /// From the offsets of the cells one and two columns to the west and to the east.
    fn new([west, two_west]: [isize; 2], [east, two_east]: [isize; 2]) -> Self {
        let s = STRIP as isize;
        let step = |to, a, b| Step { to, over: [a, b] };
        let along = |long, far, across| step(far + across, long, long + across);
        Self {
            straight: [east, west, s, -s].map(|to| step(to, 0, 0)),
            diagonal: [(east, s), (west, s), (east, -s), (west, -s)]
                .map(|(x, y)| step(x + y, x, y)),
            knight: [
                along(east, two_east, s),
                along(west, two_west, s),
                along(east, two_east, -s),
                along(west, two_west, -s),
                along(s, 2 * s, east),
                along(-s, -2 * s, east),
                along(s, 2 * s, west),
                along(-s, -2 * s, west),
            ],
        }
    }

    /// From a cell that has both its neighbours to either side in its strip.
    pub fn inside() -> Self {
        Self::new([-1, -2], [1, 2])
    }
}

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
    /// Cells of a strip.
    strip: usize,
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
        let strip = rows.checked_add(2 * BORDER)?.checked_mul(STRIP)?;
        let strips = cols.checked_add(2 * BORDER)?.div_ceil(STRIP);
        let cells = strips.checked_mul(strip)?;
        if cols == 0 || rows == 0 || u32::try_from(cells).is_err() {
            return None;
        }
        let mut cost = vec![0u16; cells];
        let (mut least, mut most) = (u16::MAX, 1);
        for row in 0..rows {
            for col in 0..cols {
                let value = cost_of(col, row);
                if value > 0.0 {
                    let units = (value.min(MAX_COST) * UNITS).round().max(1.0) as u16;
                    cost[index(strip, col, row)] = units;
                    least = least.min(units);
                    most = most.max(units);
                }
            }
        }
        Some(Self {
            cols,
            rows,
            strip,
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
        let i = index(self.strip, col, row);
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
        let (strip, within) = (i / self.strip, i % self.strip);
        let col = strip * STRIP + within % STRIP;
        [col - BORDER, within / STRIP - BORDER]
    }

    /// Costs with the border, 0 where closed.
    pub(super) fn costs(&self) -> &[u16] {
        &self.cost
    }

    /// Offsets of the cells to the west and to the east of a cell inside the border.
    #[inline(always)]
    pub(super) fn beside(&self, i: usize) -> [isize; 2] {
        // From the last column of a strip to the first of the next.
        let over = (self.strip - (STRIP - 1)) as isize;
        match i % STRIP {
            0 => [-over, 1],
            c if c == STRIP - 1 => [-1, over],
            _ => [-1, 1],
        }
    }

    /// The steps from a cell inside the border.
    pub(super) fn steps(&self, i: usize) -> Steps {
        let [west, east] = self.beside(i);
        let two_west = west + self.beside(i.wrapping_add_signed(west))[0];
        let two_east = east + self.beside(i.wrapping_add_signed(east))[1];
        Steps::new([west, two_west], [east, two_east])
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
                        let to = b as isize - a as isize;
                        let steps = self.steps(a);
                        let step = steps.knight.iter().find(|s| s.to == to);
                        let [p, q] = step.map_or([0, 0], |s| s.over);
                        let between =
                            cost(a.wrapping_add_signed(p)) + cost(a.wrapping_add_signed(q));
                        5f64.sqrt() * 0.25 * (cost(a) + between + cost(b))
                    }
                    (1, 1) => std::f64::consts::FRAC_1_SQRT_2 * (cost(a) + cost(b)),
                    _ => 0.5 * (cost(a) + cost(b)),
                }
            })
            .sum()
    }
}

/// Where a cell of the grid lies in memory.
fn index(strip: usize, col: usize, row: usize) -> usize {
    let (col, row) = (col + BORDER, row + BORDER);
    col / STRIP * strip + row * STRIP + col % STRIP
}
