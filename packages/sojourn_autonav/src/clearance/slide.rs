//! Highest and lowest values over sets of cells around each cell of a window: at once for a whole window, or for one block of
//! cells when something in it is asked for.
//!
//! A planning looks at few blocks of few headings; working out the rest would take most of its time.

/// An offset in cells and what is added there.
#[derive(Clone, Copy, Debug)]
pub struct Tap {
    /// Columns to the east.
    pub col: i64,
    /// Rows to the north.
    pub row: i64,
    /// What is added to the value there.
    pub add: f32,
}

/// Cells along a side of a block.
pub const BLOCK: usize = 16;

/// The size of a window.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    /// Columns.
    pub cols: usize,
    /// Rows.
    pub rows: usize,
}

impl Grid {
    /// For every cell the best of `source` over the taps; beyond the window nothing is known (`±∞` against the start).
    #[must_use]
    pub fn slide(self, source: &[f32], taps: &[Tap], max: bool) -> Vec<f32> {
        let start = start(max);
        // What lies beyond the window may be anything.
        let unseen = -start;
        let mut out = vec![start; source.len()];
        for (r, line) in out.chunks_exact_mut(self.cols).enumerate() {
            for tap in taps {
                let row = r as i64 + tap.row;
                if row < 0 || row >= self.rows as i64 {
                    line.fill(unseen);
                    break;
                }
                let base = row as usize * self.cols;
                let from = (-tap.col).clamp(0, self.cols as i64) as usize;
                let to = (self.cols as i64 - tap.col).clamp(from as i64, self.cols as i64) as usize;
                line[..from].fill(unseen);
                line[to..].fill(unseen);
                let shifted = (base + from).wrapping_add_signed(tap.col as isize);
                let Some(src) = source.get(shifted..shifted + (to - from)) else {
                    continue;
                };
                if max {
                    for (o, s) in line[from..to].iter_mut().zip(src) {
                        let v = s + tap.add;
                        *o = if v > *o { v } else { *o };
                    }
                } else {
                    for (o, s) in line[from..to].iter_mut().zip(src) {
                        let v = s + tap.add;
                        *o = if v < *o { v } else { *o };
                    }
                }
            }
        }
        out
    }

    /// Blocks along a row and a column.
    #[must_use]
    pub fn blocks(self) -> [usize; 2] {
        [self.cols.div_ceil(BLOCK), self.rows.div_ceil(BLOCK)]
    }
}

fn start(max: bool) -> f32 {
    if max {
        f32::NEG_INFINITY
    } else {
        f32::INFINITY
    }
}

/// Values of a window with what is not known around them, so that no tap falls beyond.
#[derive(Clone, Debug)]
pub struct Framed {
    values: Vec<f32>,
    stride: usize,
    frame: usize,
    max: bool,
}

/// Taps as steps through a [`Framed`] of one shape.
#[derive(Clone, Debug)]
pub struct Steps(Vec<(isize, f32)>);

impl Framed {
    /// A frame wide enough for taps of up to `reach` cells; `max` tells whether highest or lowest values will be asked for.
    #[must_use]
    pub fn new(grid: Grid, source: &[f32], reach: usize, max: bool) -> Self {
        // Whole blocks, and the reach on all sides.
        let [across, up] = grid.blocks();
        let stride = across * BLOCK + 2 * reach;
        let mut values = vec![-start(max); stride * (up * BLOCK + 2 * reach)];
        let lines = values.chunks_exact_mut(stride).skip(reach);
        for (line, row) in lines.zip(source.chunks_exact(grid.cols.max(1))) {
            if let Some(inner) = line.get_mut(reach..reach + row.len()) {
                inner.copy_from_slice(row);
            }
        }
        Self {
            values,
            stride,
            frame: reach,
            max,
        }
    }

    /// Taps as steps through these values; those that reach beyond the frame are a mistake of the caller's and are not
    /// taken.
    #[must_use]
    pub fn steps(&self, taps: &[Tap]) -> Steps {
        let reach = self.frame as i64;
        let within = |t: &&Tap| t.col.abs() <= reach && t.row.abs() <= reach;
        let step = |t: &Tap| {
            (
                t.row as isize * self.stride as isize + t.col as isize,
                t.add,
            )
        };
        Steps(taps.iter().filter(within).map(step).collect())
    }

    /// [`Grid::slide`] for one block, row by row.
    #[must_use]
    pub fn block(&self, [across, up]: [usize; 2], steps: &Steps) -> [[f32; BLOCK]; BLOCK] {
        let mut out = [[start(self.max); BLOCK]; BLOCK];
        for (r, line) in out.iter_mut().enumerate() {
            let at = (up * BLOCK + r + self.frame) * self.stride + across * BLOCK + self.frame;
            *line = if self.max {
                self.best(at, steps, *line, |v, best| v > best)
            } else {
                self.best(at, steps, *line, |v, best| v < best)
            };
        }
        out
    }

    #[inline]
    fn best(
        &self,
        at: usize,
        steps: &Steps,
        start: [f32; BLOCK],
        better: impl Fn(f32, f32) -> bool,
    ) -> [f32; BLOCK] {
        let mut best = start;
        for &(step, add) in &steps.0 {
            let from = at.wrapping_add_signed(step);
            let Some(source) = self
                .values
                .get(from..)
                .and_then(<[f32]>::first_chunk::<BLOCK>)
            else {
                continue;
            };
            best = std::array::from_fn(|k| {
                let v = source[k] + add;
                if better(v, best[k]) { v } else { best[k] }
            });
        }
        best
    }
}

/// The farthest of the taps along one axis, cells.
#[must_use]
pub fn reach<'a>(taps: impl IntoIterator<Item = &'a Tap>) -> usize {
    let far = |t: &Tap| t.col.unsigned_abs().max(t.row.unsigned_abs());
    taps.into_iter().map(far).max().unwrap_or(0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Block by block the values are those of the whole window, to the bit.
        #[test]
        fn blocks_are_the_whole_window(
            cols in 1usize..40, rows in 1usize..40, max in any::<bool>(), seed in any::<u64>(),
            taps in prop::collection::vec((-5i64..=5, -5i64..=5, -0.5f32..0.5), 1..30),
        ) {
            let grid = Grid { cols, rows };
            let source: Vec<f32> = (0..(cols * rows) as u64)
                .map(|i| match (seed ^ i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40 {
                    v if v % 17 == 0 => if max { f32::INFINITY } else { f32::NEG_INFINITY },
                    v => v as f32 / 1e6,
                })
                .collect();
            let taps: Vec<Tap> = taps.into_iter().map(|(col, row, add)| Tap { col, row, add }).collect();
            let whole = grid.slide(&source, &taps, max);
            let framed = Framed::new(grid, &source, reach(&taps), max);
            let steps = framed.steps(&taps);
            for r in 0..rows {
                for c in 0..cols {
                    let block = framed.block([c / BLOCK, r / BLOCK], &steps);
                    let (a, b) = (block[r % BLOCK][c % BLOCK], whole[r * cols + c]);
                    prop_assert_eq!(a.to_bits(), b.to_bits(), "{} {}: {} {}", c, r, a, b);
                }
            }
        }
    }
}
