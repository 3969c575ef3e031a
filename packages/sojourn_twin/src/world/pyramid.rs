//! Greatest heights over ever larger squares of cells: what lets a ray skip the air over low ground.

/// The pyramid of one tile. Level 1 has squares of 2 × 2 cells, level 2 of 4 × 4, and so on up to one square over all
/// cells; single cells (level 0) are looked at in the heights themselves.
#[derive(Clone, Debug, PartialEq)]
pub struct Pyramid {
    /// Level 1 first; each row-major, south row first.
    levels: Vec<Vec<f32>>,
    cells: usize,
}

/// Greatest of a cell's corners; −∞ when one of them is not a number, because such a cell holds no ground.
fn cell_max(heights: &[f32], nodes: usize, i: usize, j: usize) -> f32 {
    let k = j * nodes + i;
    let corners = [
        heights[k],
        heights[k + 1],
        heights[k + nodes],
        heights[k + nodes + 1],
    ];
    if corners.iter().any(|h| h.is_nan()) {
        return f32::NEG_INFINITY;
    }
    corners.into_iter().fold(f32::NEG_INFINITY, f32::max)
}

impl Pyramid {
    /// From the heights of `(cells + 1)²` nodes; `cells` is a power of two.
    pub(crate) fn new(heights: &[f32], cells: usize) -> Self {
        let nodes = cells + 1;
        let mut levels: Vec<Vec<f32>> = Vec::new();
        let mut side = cells / 2;
        while side > 0 {
            let mut max = vec![f32::NEG_INFINITY; side * side];
            for (j, row) in max.chunks_mut(side).enumerate() {
                for (i, out) in row.iter_mut().enumerate() {
                    for (x, y) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                        let (x, y) = (2 * i + x, 2 * j + y);
                        *out = out.max(match levels.last() {
                            Some(below) => below[y * 2 * side + x],
                            None => cell_max(heights, nodes, x, y),
                        });
                    }
                }
            }
            levels.push(max);
            side /= 2;
        }
        Self { levels, cells }
    }

    /// Number of the coarsest level: one square over the whole tile.
    #[must_use]
    pub fn top(&self) -> usize {
        self.levels.len()
    }

    /// Greatest height over square `(i, j)` of a level from 1 to [`Pyramid::top`], metres; −∞ where there is no ground.
    #[must_use]
    pub fn max_m(&self, level: usize, i: usize, j: usize) -> f32 {
        let side = self.cells >> level;
        self.levels[level - 1][j * side + i]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_square_is_as_high_as_its_highest_cell() {
        let (cells, nodes) = (8usize, 9usize);
        let mut heights: Vec<f32> = (0..nodes * nodes)
            .map(|k| ((k * 37) % 101) as f32)
            .collect();
        heights[40] = f32::NAN;
        let p = Pyramid::new(&heights, cells);
        assert_eq!(p.top(), 3);
        for level in 1..=3 {
            let span = 1usize << level;
            for j in 0..cells >> level {
                for i in 0..cells >> level {
                    let mut expected = f32::NEG_INFINITY;
                    for y in j * span..(j + 1) * span {
                        for x in i * span..(i + 1) * span {
                            expected = expected.max(cell_max(&heights, nodes, x, y));
                        }
                    }
                    assert!((p.max_m(level, i, j) - expected).abs() < 1e-6);
                }
            }
        }
    }
}
