//! Small gaps between known cells, as rows of pixels leave them far away, are closed by interpolation.
//!
//! A gap is bridged along the axis (east–west, north–south or a diagonal) where it is shortest, and only when the
//! bridge is not steep: behind a rock the far side lies much lower than the rock, so its shadow stays unknown.

use crate::config::Params;

/// Closes gaps of `elevation` in place; `variance` and `age` get the worse of both ends, variance grows with the gap.
/// All are square, `n` cells a side, row by row.
pub fn close(
    n: usize,
    res_m: f64,
    params: &Params,
    elevation: &mut [f32],
    variance: &mut [f32],
    age: &mut [f32],
) {
    let reach = params.hole_cells as i64;
    if reach == 0 || [elevation.len(), variance.len(), age.len()] != [n * n; 3] {
        return;
    }
    let side = n as i64;
    let mut closed: Vec<(usize, [f32; 3])> = Vec::new();
    for row in 0..side {
        for col in 0..side {
            let i = (row * side + col) as usize;
            if !elevation[i].is_nan() {
                continue;
            }
            let end = |dc: i64, dr: i64| {
                (1..=reach).find_map(|k| {
                    let (c, r) = (col + k * dc, row + k * dr);
                    if c < 0 || r < 0 || c >= side || r >= side {
                        return None;
                    }
                    let j = (r * side + c) as usize;
                    (!elevation[j].is_nan()).then_some((k, j))
                })
            };
            let mut best: Option<(f64, [f32; 3])> = None;
            for (dc, dr) in [(1i64, 0i64), (0, 1), (1, 1), (1, -1)] {
                let (Some((ka, a)), Some((kb, b))) = (end(dc, dr), end(-dc, -dr)) else {
                    continue;
                };
                let run_m = res_m * (ka + kb) as f64 * ((dc * dc + dr * dr) as f64).sqrt();
                let rise_m = f64::from((elevation[a] - elevation[b]).abs());
                let shorter = best.is_none_or(|(d, _)| run_m < d);
                if ka + kb - 1 > reach || rise_m > params.hole_slope * run_m || !shorter {
                    continue;
                }
                let t = ka as f32 / (ka + kb) as f32;
                let sigma_m = params.hole_sigma_per_m * run_m;
                best = Some((
                    run_m,
                    [
                        elevation[a] * (1.0 - t) + elevation[b] * t,
                        variance[a].max(variance[b]) + (sigma_m * sigma_m) as f32,
                        age[a].max(age[b]),
                    ],
                ));
            }
            closed.extend(best.map(|(_, values)| (i, values)));
        }
    }
    // Only now, so that a bridge never rests on a bridge.
    for (i, [e, v, a]) in closed {
        (elevation[i], variance[i], age[i]) = (e, v, a);
    }
}
