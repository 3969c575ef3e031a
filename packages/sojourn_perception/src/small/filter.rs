//! Second derivatives of an image's logarithm at several scales.

use crate::classes::GreyImage;

/// Share of the median level that is added before the logarithm, so that noise in shadow is no contrast.
const FLOOR: f32 = 0.3;

/// Logarithm of the grey levels: a mark's contrast is the same in light and half light.
#[derive(Clone, Debug)]
pub(super) struct Levels {
    pub width: usize,
    pub height: usize,
    pub log: Vec<f32>,
}

/// The image under a Gaussian, with its curvatures.
#[derive(Clone, Debug)]
pub(super) struct Curved {
    width: usize,
    height: usize,
    sigma_px: f32,
    smooth: Vec<f32>,
}

/// The level that a share of the usable pixels is darker than, at least 1; 1 where none is usable.
fn level_at(share: f64, image: &GreyImage<'_>, usable: &[bool]) -> f32 {
    let usable = image.data.iter().zip(usable);
    let mut lit: Vec<u8> = usable.filter_map(|(v, u)| u.then_some(*v)).collect();
    lit.sort_unstable();
    let rank = (share * lit.len() as f64) as usize;
    lit.get(rank).map_or(1.0, |v| f32::from(*v).max(1.0))
}

impl Levels {
    /// `usable` says which pixels show ground that counts.
    pub fn of(image: &GreyImage<'_>, usable: &[bool]) -> Self {
        let middle = level_at(0.5, image, usable);
        Self {
            width: image.width,
            height: image.height,
            log: image
                .data
                .iter()
                .map(|v| (f32::from(*v) + FLOOR * middle).ln())
                .collect(),
        }
    }

    /// Under a Gaussian of a standard deviation, pixels; at the border the outermost pixel goes on.
    pub fn at_scale(&self, sigma_px: f32) -> Curved {
        let reach = (3.0 * sigma_px).ceil().max(1.0) as i64;
        let mut kernel: Vec<f32> = (-reach..=reach)
            .map(|k| (-0.5 * (k as f32 / sigma_px).powi(2)).exp())
            .collect();
        let sum: f32 = kernel.iter().sum();
        for k in &mut kernel {
            *k /= sum;
        }
        let (w, h) = (self.width as i64, self.height as i64);
        let mut across = vec![0.0f32; self.log.len()];
        for (line, out) in self
            .log
            .chunks_exact(self.width)
            .zip(across.chunks_exact_mut(self.width))
        {
            for (x, o) in out.iter_mut().enumerate() {
                let at = |k: usize| (x as i64 + k as i64 - reach).clamp(0, w - 1) as usize;
                *o = kernel
                    .iter()
                    .enumerate()
                    .map(|(k, f)| f * line[at(k)])
                    .sum();
            }
        }
        let mut smooth = vec![0.0f32; self.log.len()];
        for (y, out) in smooth.chunks_exact_mut(self.width).enumerate() {
            for (k, f) in kernel.iter().enumerate() {
                let row = (y as i64 + k as i64 - reach).clamp(0, h - 1) as usize;
                let line = &across[row * self.width..(row + 1) * self.width];
                for (o, v) in out.iter_mut().zip(line) {
                    *o += f * v;
                }
            }
        }
        Curved {
            width: self.width,
            height: self.height,
            sigma_px,
            smooth,
        }
    }
}

/// Curvatures at a pixel.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Bend {
    /// The more negative curvature, times the scale's square.
    pub least: f32,
    /// The other.
    pub most: f32,
    /// Unit direction of the more negative one: across a bright ridge.
    pub across: [f32; 2],
}

impl Curved {
    /// The curvatures at a pixel; zeros at the border.
    pub fn bend(&self, pixel: usize) -> Bend {
        let (x, y, w) = (pixel % self.width, pixel / self.width, self.width);
        if x == 0 || y == 0 || x + 1 >= w || y + 1 >= self.height {
            return Bend::default();
        }
        let s = |i: usize| self.smooth[i];
        let xx = s(pixel + 1) - 2.0 * s(pixel) + s(pixel - 1);
        let yy = s(pixel + w) - 2.0 * s(pixel) + s(pixel - w);
        let xy = 0.25 * (s(pixel + w + 1) - s(pixel + w - 1) - s(pixel - w + 1) + s(pixel - w - 1));
        let (middle, off) = (0.5 * (xx + yy), (0.25 * (xx - yy).powi(2) + xy * xy).sqrt());
        let scale = self.sigma_px * self.sigma_px;
        // The direction of the other curvature, turned by a quarter.
        let (sin, cos) = (0.5 * (2.0 * xy).atan2(xx - yy)).sin_cos();
        Bend {
            least: scale * (middle - off),
            most: scale * (middle + off),
            across: [-sin, cos],
        }
    }

    /// The smoothed level at a pixel.
    pub fn at(&self, pixel: usize) -> f32 {
        self.smooth[pixel]
    }

    /// The smoothed level at an offset from a pixel, between pixels bilinear; the outermost pixel goes on beyond the border.
    pub fn near(&self, pixel: usize, [dx, dy]: [f32; 2]) -> f32 {
        let place = |at: usize, off: f32, n: usize| {
            let v = (at as f32 + off).clamp(0.0, (n - 1) as f32);
            let low = (v as usize).min(n.saturating_sub(2));
            (low, v - low as f32)
        };
        let (x, tx) = place(pixel % self.width, dx, self.width);
        let (y, ty) = place(pixel / self.width, dy, self.height);
        let s = |x: usize, y: usize| self.smooth[y * self.width + x];
        let top = s(x, y) * (1.0 - tx) + s(x + 1, y) * tx;
        let bottom = s(x, y + 1) * (1.0 - tx) + s(x + 1, y + 1) * tx;
        top * (1.0 - ty) + bottom * ty
    }
}

/// Mean and standard deviation of the grey levels in the square around every pixel, and what is bright among the pixels looked at.
#[derive(Clone, Debug)]
pub(super) struct Tone {
    /// Grey levels under a Gaussian of one pixel.
    grey: Curved,
    mean: Vec<f32>,
    spread: Vec<f32>,
    bright: f32,
}

/// Half the side of the square, pixels.
const AROUND_PX: usize = 40;
/// Share of the pixels looked at that are darker than what counts as bright.
const BRIGHT_SHARE: f64 = 0.95;

impl Tone {
    pub fn of(image: &GreyImage<'_>, usable: &[bool]) -> Self {
        let (w, h) = (image.width, image.height);
        let bright = level_at(BRIGHT_SHARE, image, usable);
        // Sums over all that lies above and to the left.
        let mut sums = vec![[0u64; 2]; (w + 1) * (h + 1)];
        for y in 0..h {
            let mut line = [0u64; 2];
            for x in 0..w {
                let v = u64::from(image.data[y * w + x]);
                line = [line[0] + v, line[1] + v * v];
                let above = sums[y * (w + 1) + x + 1];
                sums[(y + 1) * (w + 1) + x + 1] = [above[0] + line[0], above[1] + line[1]];
            }
        }
        let (mut mean, mut spread) = (Vec::with_capacity(w * h), Vec::with_capacity(w * h));
        for i in 0..w * h {
            let span =
                |at: usize, n: usize| (at.saturating_sub(AROUND_PX), (at + AROUND_PX + 1).min(n));
            let ((x0, x1), (y0, y1)) = (span(i % w, w), span(i / w, h));
            let at = |x: usize, y: usize| sums[y * (w + 1) + x];
            let sum = |k: usize| at(x1, y1)[k] + at(x0, y0)[k] - at(x0, y1)[k] - at(x1, y0)[k];
            let n = ((x1 - x0) * (y1 - y0)) as f64;
            let m = sum(0) as f64 / n;
            mean.push(m as f32);
            spread.push((sum(1) as f64 / n - m * m).max(1.0).sqrt() as f32);
        }
        let grey = Levels {
            width: w,
            height: h,
            log: image.data.iter().map(|v| f32::from(*v)).collect(),
        };
        Self {
            grey: grey.at_scale(1.0),
            mean,
            spread,
            bright,
        }
    }

    /// Grey level by what is bright in the image.
    pub fn of_bright(&self, pixel: usize) -> f64 {
        f64::from(self.grey.at(pixel) / self.bright)
    }

    /// Grey level less the mean around, in standard deviations of what is around.
    pub fn stands_out(&self, pixel: usize) -> f64 {
        f64::from((self.grey.at(pixel) - self.mean[pixel]) / self.spread[pixel])
    }

    /// Grey level by the mean around.
    pub fn of_mean(&self, pixel: usize) -> f64 {
        f64::from(self.grey.at(pixel) / self.mean[pixel].max(1.0))
    }
}
