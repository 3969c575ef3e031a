//! Plane waves in a window: a discrete Fourier transform, first along rows, then along columns, at frequencies twice as
//! dense as the window's own, so that a peak is never missed between two of them.

use super::window::{Window, turn};

/// Frequencies per one over the window's side.
const DENSE: f64 = 2.0;
/// Lowest frequency that is looked at, in steps: the trend has taken away what is below.
const FIRST: i64 = 1;

/// Tables for windows of one size.
#[derive(Clone, Debug)]
pub(super) struct Spectrum {
    side: usize,
    step: f64,
    most: i64,
    /// Cosine and sine of every cell's phase at the frequencies 0 to `most`.
    table: Vec<Vec<[f64; 2]>>,
}

impl Spectrum {
    /// For windows of `side` cells of `res_m`, and waves of `least_m` or longer.
    pub fn new(side: usize, res_m: f64, least_m: f64) -> Self {
        let step = 1.0 / (DENSE * side as f64 * res_m);
        let most = (1.0 / (least_m * step)).ceil() as i64;
        let table = (0..=most)
            .map(|k| {
                (0..side)
                    .map(|i| turn(k as f64 * step * i as f64 * res_m))
                    .collect()
            })
            .collect();
        Self {
            side,
            step,
            most,
            table,
        }
    }

    /// The strongest wave that is no longer than `longest_m`, cycles per metre east and north; `None` when there is none.
    pub fn strongest(&self, window: &Window, longest_m: f64) -> Option<[f64; 2]> {
        let first = (FIRST as f64).max(1.0 / (longest_m * self.step)).powi(2);
        let (wide, n) = (2 * self.most + 1, self.side);
        let rows = self.rows(window);
        let mut power = vec![0.0; (wide * (self.most + 1)) as usize];
        let mut best: Option<(f64, [i64; 2])> = None;
        for ky in 0..=self.most {
            let table = &self.table[ky as usize];
            for kx in -self.most..=self.most {
                let squared = kx * kx + ky * ky;
                if (squared as f64) < first || squared > (self.most + 1) * (self.most + 1) {
                    continue;
                }
                let across = &rows[((kx + self.most) as usize) * n..][..n];
                let (mut re, mut im) = (0.0, 0.0);
                for ([a, b], [c, s]) in across.iter().zip(table) {
                    re += a * c + b * s;
                    im += b * c - a * s;
                }
                let p = re * re + im * im;
                power[(ky * wide + kx + self.most) as usize] = p;
                if best.is_none_or(|(most, _)| p > most) {
                    best = Some((p, [kx, ky]));
                }
            }
        }
        let (top, [kx, ky]) = best.filter(|(p, _)| *p > 0.0)?;
        let at = |x: i64, y: i64| {
            // A wave and its opposite are one.
            let (x, y) = if y < 0 { (-x, -y) } else { (x, y) };
            let inside = x.abs() <= self.most && y <= self.most;
            inside.then(|| power[(y * wide + x + self.most) as usize].sqrt())
        };
        let top = top.sqrt();
        let between = |low: Option<f64>, high: Option<f64>| match (low, high) {
            (Some(a), Some(b)) if a + b < 2.0 * top => 0.5 * (b - a) / (2.0 * top - a - b),
            _ => 0.0,
        };
        let dx = between(at(kx - 1, ky), at(kx + 1, ky));
        let dy = between(at(kx, ky - 1), at(kx, ky + 1));
        Some([(kx as f64 + dx) * self.step, (ky as f64 + dy) * self.step])
    }

    /// Transforms of the window's rows: for every frequency from `-most` on, real and imaginary part of every row.
    fn rows(&self, window: &Window) -> Vec<[f64; 2]> {
        let n = self.side;
        let mut out = vec![[0.0; 2]; n * (2 * self.most + 1) as usize];
        for row in 0..n {
            let line = &window.weighted_m[row * n..(row + 1) * n];
            for (k, table) in self.table.iter().enumerate() {
                let (mut re, mut im) = (0.0, 0.0);
                for (z, [c, s]) in line.iter().zip(table) {
                    re += z * c;
                    im -= z * s;
                }
                let (plus, minus) = (self.most as usize + k, self.most as usize - k);
                out[plus * n + row] = [re, im];
                out[minus * n + row] = [re, -im];
            }
        }
        out
    }
}
