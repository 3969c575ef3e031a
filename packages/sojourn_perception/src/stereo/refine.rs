//! Disparities to hundredths of a pixel, and how sure they are.
//!
//! Around each pixel the right image is warped onto the left one by the disparities found so far; the shift `δ` that
//! takes the rest of the difference away in the least-squares sense (Lucas and Kanade 1981, with free brightness offset)
//! is `Σ g·r / Σ g²` with gradient `g` and difference `r` about their means. Because every pixel of the square is warped by
//! its own disparity, sloping ground is not flattened. The Cramér-Rao bound of the same problem gives the standard
//! deviation: `σ² = 2·σ_n² / Σ g²` for pixels with noise `σ_n` in both eyes.

use super::{Disparity, StereoParams};

/// Neighbours whose disparity differs by more lie on another surface, pixels.
const SAME_SURFACE_PX: f32 = 1.0;

/// Room that is kept from pair to pair.
#[derive(Clone, Debug, Default)]
pub struct Refiner {
    smooth: Vec<f32>,
    sums: Vec<[f32; 5]>,
    rows: Vec<[f32; 5]>,
    patch: Vec<usize>,
    visited: Vec<bool>,
}

impl Refiner {
    /// Refines the disparities of a pair in place and tells their standard deviations. All images are `width` columns wide.
    pub fn refine(
        &mut self,
        width: usize,
        left: &[u8],
        right: &[u8],
        mut found: Vec<f32>,
        params: &StereoParams,
    ) -> Disparity {
        let height = left.len() / width.max(1);
        let n = width * height;
        let mut sigma_px = vec![f32::NAN; n];
        if found.len() != n || right.len() != n || left.len() != n {
            found = vec![f32::NAN; n];
        } else {
            let radius = params.refine_px;
            self.smooth(width, height, radius.div_ceil(2), &mut found);
            let start = found.clone();
            for _ in 0..params.refine_rounds.max(1) {
                self.normal_equations(width, left, right, &found, radius);
                self.solve(&mut found, &mut sigma_px, params);
            }
            for ((d, from), sigma) in found.iter_mut().zip(&start).zip(&mut sigma_px) {
                if !((*d - from).abs() <= params.refine_most_px as f32) {
                    *d = f32::NAN;
                }
                if d.is_nan() {
                    *sigma = f32::NAN;
                }
            }
            self.drop_unsupported(width, &mut found, &mut sigma_px, params);
            self.drop_speckles(width, &mut found, &mut sigma_px, params);
        }
        Disparity {
            width,
            height,
            pixels: found,
            sigma_px,
        }
    }

    /// Means over the neighbours on the same surface: errors of single pixels must not stay when their square is shifted
    /// as a whole.
    fn smooth(&mut self, width: usize, height: usize, radius: usize, found: &mut Vec<f32>) {
        self.smooth.clear();
        self.smooth.resize(found.len(), f32::NAN);
        for v in 0..height {
            let rows = v.saturating_sub(radius)..(v + radius + 1).min(height);
            for u in 0..width {
                let i = v * width + u;
                let own = found[i];
                if own.is_nan() {
                    continue;
                }
                let cols = u.saturating_sub(radius)..(u + radius + 1).min(width);
                let (mut sum, mut count) = (0.0f32, 0.0f32);
                for row in rows.clone() {
                    for d in &found[row * width + cols.start..row * width + cols.end] {
                        let step = d - own;
                        // false for not-a-number
                        if step.abs() < SAME_SURFACE_PX {
                            sum += step;
                            count += 1.0;
                        }
                    }
                }
                self.smooth[i] = own + sum / count;
            }
        }
        std::mem::swap(&mut self.smooth, found);
    }

    /// Drops pixels that too few neighbours share the surface of: above the horizon and beside a rock's outline the square
    /// holds the texture of other ground, and what matching found for the pixel itself is an extrapolation.
    fn drop_unsupported(
        &mut self,
        width: usize,
        found: &mut Vec<f32>,
        sigma_px: &mut [f32],
        params: &StereoParams,
    ) {
        let (reach, height) = (params.refine_px, found.len() / width);
        self.smooth.clear();
        self.smooth.extend_from_slice(found);
        for v in 0..height {
            // Every other pixel of the square is looked at.
            let rows = v.saturating_sub(reach)..(v + reach + 1).min(height);
            for u in 0..width {
                let i = v * width + u;
                let own = found[i];
                if own.is_nan() {
                    continue;
                }
                let cols = u.saturating_sub(reach)..(u + reach + 1).min(width);
                let (mut same, mut all) = (0u32, 0u32);
                for row in rows.clone().step_by(2) {
                    let line = &found[row * width + cols.start..row * width + cols.end];
                    for d in line.iter().step_by(2) {
                        all += 1;
                        same += u32::from((d - own).abs() < SAME_SURFACE_PX);
                    }
                }
                if f64::from(same) < params.support_min * f64::from(all) {
                    self.smooth[i] = f32::NAN;
                    sigma_px[i] = f32::NAN;
                }
            }
        }
        std::mem::swap(&mut self.smooth, found);
    }

    /// Drops patches of too few pixels: what hangs together with nothing is a wrong match, mostly of sky.
    fn drop_speckles(
        &mut self,
        width: usize,
        found: &mut [f32],
        sigma_px: &mut [f32],
        params: &StereoParams,
    ) {
        let step = params.speckle_step_px as f32;
        self.visited.clear();
        self.visited.extend(found.iter().map(|d| d.is_nan()));
        for start in 0..found.len() {
            if self.visited[start] {
                continue;
            }
            self.visited[start] = true;
            self.patch.clear();
            self.patch.push(start);
            let mut next = 0;
            while let Some(&i) = self.patch.get(next) {
                next += 1;
                let u = i % width;
                let around = [
                    (u > 0).then(|| i - 1),
                    (u + 1 < width).then_some(i + 1),
                    i.checked_sub(width),
                    (i + width < found.len()).then_some(i + width),
                ];
                for j in around.into_iter().flatten() {
                    if !self.visited[j] && (found[j] - found[i]).abs() <= step {
                        self.visited[j] = true;
                        self.patch.push(j);
                    }
                }
            }
            if self.patch.len() < params.speckle_px {
                for i in &self.patch {
                    found[*i] = f32::NAN;
                    sigma_px[*i] = f32::NAN;
                }
            }
        }
    }

    /// Sums over the square around each pixel: number, g, r, g², g·r.
    fn normal_equations(
        &mut self,
        width: usize,
        left: &[u8],
        right: &[u8],
        found: &[f32],
        radius: usize,
    ) {
        let height = left.len() / width;
        self.rows.clear();
        self.rows.resize(left.len(), [0.0; 5]);
        self.sums.clear();
        self.sums.resize(left.len(), [0.0; 5]);
        let mut line = vec![[0.0f32; 5]; width];
        for v in 0..height {
            let at = v * width;
            let source = &right[at..at + width];
            for (u, term) in line.iter_mut().enumerate() {
                *term = match sample(source, u as f32 - found[at + u]) {
                    Some((value, g)) => {
                        let r = value - f32::from(left[at + u]);
                        [1.0, g, r, g * g, g * r]
                    }
                    None => [0.0; 5],
                };
            }
            slide(&line, &mut self.rows[at..at + width], radius);
        }
        // Down the columns, a whole row at a time.
        let mut run = vec![[0.0f32; 5]; width];
        for v in 0..height + radius {
            if v < height {
                for (s, t) in run.iter_mut().zip(&self.rows[v * width..]) {
                    add(s, t, 1.0);
                }
            }
            if v > 2 * radius {
                let old = v - 2 * radius - 1;
                for (s, t) in run.iter_mut().zip(&self.rows[old * width..]) {
                    add(s, t, -1.0);
                }
            }
            if v >= radius {
                let to = (v - radius) * width;
                self.sums[to..to + width].copy_from_slice(&run);
            }
        }
    }

    fn solve(&self, found: &mut [f32], sigma_px: &mut [f32], params: &StereoParams) {
        let least = (params.texture_min * params.texture_min) as f32;
        let noise = 2.0 * (params.noise_levels * params.noise_levels) as f32;
        let floor = (params.sigma_floor_px * params.sigma_floor_px) as f32;
        let rounds = if params.refine_rounds > 0 { 1.0 } else { 0.0 };
        for ((d, sigma), [n, g, r, gg, gr]) in found.iter_mut().zip(sigma_px).zip(&self.sums) {
            if d.is_nan() {
                continue;
            }
            let texture = gg - g * g / n;
            if !(*n >= 6.0 && texture > 0.0 && texture >= least * n) {
                *d = f32::NAN;
                continue;
            }
            *d += rounds * (gr - g * r / n) / texture;
            *sigma = (floor + noise / texture).sqrt();
        }
    }
}

fn add(sum: &mut [f32; 5], term: &[f32; 5], sign: f32) {
    for (s, t) in sum.iter_mut().zip(term) {
        *s += sign * t;
    }
}

/// Sums of the `2·radius + 1` terms around each place.
fn slide(line: &[[f32; 5]], out: &mut [[f32; 5]], radius: usize) {
    let n = line.len();
    let mut sum = [0.0f32; 5];
    for u in 0..n + radius {
        if let Some(term) = line.get(u) {
            add(&mut sum, term, 1.0);
        }
        if u > 2 * radius
            && let Some(term) = line.get(u - 2 * radius - 1)
        {
            add(&mut sum, term, -1.0);
        }
        if let Some(to) = u.checked_sub(radius).and_then(|c| out.get_mut(c)) {
            *to = sum;
        }
    }
}

/// Brightness and its gradient between pixels by the Catmull-Rom spline; `None` outside or for not-a-number.
fn sample(row: &[u8], x: f32) -> Option<(f32, f32)> {
    if !(x >= 1.0 && x < row.len() as f32 - 2.0) {
        return None;
    }
    let i = x as usize;
    let t = x - i as f32;
    let [a, b, c, d] = [
        f32::from(*row.get(i - 1)?),
        f32::from(*row.get(i)?),
        f32::from(*row.get(i + 1)?),
        f32::from(*row.get(i + 2)?),
    ];
    let (k1, k2, k3) = (
        0.5 * (c - a),
        a - 2.5 * b + 2.0 * c - 0.5 * d,
        0.5 * (d - a) + 1.5 * (b - c),
    );
    let value = b + t * (k1 + t * (k2 + t * k3));
    Some((value, k1 + t * (2.0 * k2 + 3.0 * k3 * t)))
}
