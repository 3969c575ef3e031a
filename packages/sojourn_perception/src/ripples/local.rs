//! What stands out of its surroundings: a layer less its mean over a square around every cell.

/// Values less the mean of the known ones in the square of `2 half + 1` cells around them; not-a-number stays. `cols` is the
/// number of columns of the layer.
pub(super) fn less_mean(values: &[f32], cols: usize, half: usize) -> Vec<f32> {
    if cols == 0 {
        return Vec::new();
    }
    let rows = values.len() / cols;
    // Sums of all values, and numbers of the known ones, south and west of every corner.
    let wide = cols + 1;
    let mut sums = vec![(0.0f64, 0u32); wide * (rows + 1)];
    for (row, line) in values.chunks_exact(cols).enumerate() {
        let mut so_far = (0.0, 0);
        for (col, v) in line.iter().enumerate() {
            if v.is_finite() {
                so_far = (so_far.0 + f64::from(*v), so_far.1 + 1);
            }
            let south = sums[row * wide + col + 1];
            sums[(row + 1) * wide + col + 1] = (south.0 + so_far.0, south.1 + so_far.1);
        }
    }
    let mut out = Vec::with_capacity(values.len());
    for (row, line) in values.chunks_exact(cols).enumerate() {
        let (south, north) = (row.saturating_sub(half), (row + half + 1).min(rows));
        for (col, v) in line.iter().enumerate() {
            if !v.is_finite() {
                out.push(f32::NAN);
                continue;
            }
            let (west, east) = (col.saturating_sub(half), (col + half + 1).min(cols));
            let at = |row: usize, col: usize| sums[row * wide + col];
            let (a, b, c, d) = (
                at(south, west),
                at(south, east),
                at(north, west),
                at(north, east),
            );
            let known = f64::from(d.1 + a.1 - b.1 - c.1);
            out.push((f64::from(*v) - (d.0 + a.0 - b.0 - c.0) / known) as f32);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_vanish_waves_stay_and_the_unknown_stays_unknown() {
        let (cols, rows) = (60, 40);
        let made = |of: &dyn Fn(f32, f32) -> f32| -> Vec<f32> {
            (0..cols * rows)
                .map(|i| of((i % cols) as f32, (i / cols) as f32))
                .collect()
        };
        let inside = |i: &usize| {
            (10..cols - 10).contains(&(i % cols)) && (10..rows - 10).contains(&(i / cols))
        };
        let slope = less_mean(&made(&|x, y| 0.3 * x - 0.1 * y), cols, 6);
        assert!(
            (0..slope.len())
                .filter(inside)
                .all(|i| slope[i].abs() < 1e-4)
        );
        let wave = made(&|x, _| (0.5 * x).sin());
        let stays = less_mean(&wave, cols, 6);
        assert!(
            (0..wave.len())
                .filter(inside)
                .all(|i| (stays[i] - wave[i]).abs() < 0.05)
        );
        let mut holed = wave;
        holed[70] = f32::NAN;
        let out = less_mean(&holed, cols, 6);
        assert!(out[70].is_nan());
        assert_eq!(out.iter().filter(|v| v.is_nan()).count(), 1);
        assert!(less_mean(&[], 0, 3).is_empty());
    }
}
