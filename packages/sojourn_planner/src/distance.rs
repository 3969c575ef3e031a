//! Exact Euclidean distance transform (Felzenszwalb and Huttenlocher, 2012): one pass along each axis.

/// For each cell the distance in cells to the nearest set cell; infinite when none is set.
pub(crate) fn distance_cells(set: &[bool], cols: usize, rows: usize) -> Vec<f32> {
    let mut squared: Vec<f32> = set
        .iter()
        .map(|&s| if s { 0.0 } else { f32::INFINITY })
        .collect();
    let longest = cols.max(rows);
    let mut work = Work::new(longest);
    let mut line = vec![0.0f32; longest];
    for c in 0..cols {
        for (r, v) in line.iter_mut().enumerate().take(rows) {
            *v = squared[r * cols + c];
        }
        work.transform(&mut line[..rows]);
        for (r, v) in line.iter().enumerate().take(rows) {
            squared[r * cols + c] = *v;
        }
    }
    for row in squared.chunks_exact_mut(cols) {
        work.transform(row);
        for v in row {
            *v = v.sqrt();
        }
    }
    squared
}

/// Lower envelope of parabolas along one line.
struct Work {
    at: Vec<usize>,
    from: Vec<f64>,
    value: Vec<f64>,
}

impl Work {
    fn new(n: usize) -> Self {
        Self {
            at: Vec::with_capacity(n),
            from: Vec::with_capacity(n),
            value: Vec::with_capacity(n),
        }
    }

    fn transform(&mut self, line: &mut [f32]) {
        self.at.clear();
        self.from.clear();
        self.value.clear();
        for (q, &f) in line.iter().enumerate() {
            if f.is_infinite() {
                continue;
            }
            let (qf, f) = (q as f64, f64::from(f));
            let mut start = f64::NEG_INFINITY;
            while let (Some(&p), Some(&fp), Some(&since)) =
                (self.at.last(), self.value.last(), self.from.last())
            {
                let p = p as f64;
                start = ((f + qf * qf) - (fp + p * p)) / (2.0 * (qf - p));
                if start > since {
                    break;
                }
                self.at.pop();
                self.from.pop();
                self.value.pop();
                start = f64::NEG_INFINITY;
            }
            self.at.push(q);
            self.from.push(start);
            self.value.push(f);
        }
        if self.at.is_empty() {
            return;
        }
        let mut k = 0;
        for (q, out) in line.iter_mut().enumerate() {
            while k + 1 < self.from.len() && self.from[k + 1] < q as f64 {
                k += 1;
            }
            let d = q as f64 - self.at[k] as f64;
            *out = (d * d + self.value[k]) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_the_distance_to_the_nearest(cells in proptest::collection::vec(proptest::bool::weighted(0.1), 12 * 9)) {
            let d = distance_cells(&cells, 12, 9);
            for (i, found) in d.iter().enumerate() {
                let nearest = cells.iter().enumerate().filter(|(_, s)| **s).map(|(j, _)| {
                    let (dx, dy) = ((i % 12) as f32 - (j % 12) as f32, (i / 12) as f32 - (j / 12) as f32);
                    dx.hypot(dy)
                }).fold(f32::INFINITY, f32::min);
                prop_assert!((found - nearest).abs() < 1e-4 || (found.is_infinite() && nearest.is_infinite()));
            }
        }
    }
}
