//! Grey images: checked sizes, half resolution, patches between pixels.

/// A grey image, eight bits, row 0 at the top.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrayImage {
    width: usize,
    height: usize,
    data: Vec<u8>,
}

impl GrayImage {
    /// Takes the pixels row by row; `None` when their number is not `width * height` or a side is zero.
    #[must_use]
    pub fn new(width: usize, height: usize, data: Vec<u8>) -> Option<Self> {
        let right = width > 0 && height > 0 && width.checked_mul(height) == Some(data.len());
        right.then_some(Self {
            width,
            height,
            data,
        })
    }

    /// The image as a shorter exposure would show it.
    #[cfg(test)]
    pub(crate) fn scaled(&self, gain: f32) -> Self {
        let data = self.data.iter().map(|p| (f32::from(*p) * gain) as u8);
        Self {
            data: data.collect(),
            ..*self
        }
    }

    /// Columns.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// `length` pixels of row `v` from column `u` on; empty outside the image.
    #[must_use]
    pub fn row(&self, u: usize, v: usize, length: usize) -> &[u8] {
        if u + length > self.width || v >= self.height {
            return &[];
        }
        let begin = v * self.width + u;
        &self.data[begin..begin + length]
    }

    /// Mean of each 2 × 2 pixels. Pixel `(u, v)` lies at `(2 u + 0.5, 2 v + 0.5)` of this image.
    #[must_use]
    pub fn half(&self) -> Self {
        let (width, height) = (self.width / 2, self.height / 2);
        let mut data = Vec::with_capacity(width * height);
        for v in 0..height {
            let upper = self.row(0, 2 * v, 2 * width).chunks_exact(2);
            let lower = self.row(0, 2 * v + 1, 2 * width).chunks_exact(2);
            data.extend(upper.zip(lower).map(|(a, b)| {
                let sum = u16::from(a[0]) + u16::from(a[1]) + u16::from(b[0]) + u16::from(b[1]);
                ((sum + 2) / 4) as u8
            }));
        }
        Self {
            width,
            height,
            data,
        }
    }

    /// Whether a patch of half side `radius` around a pixel lies inside with a pixel to spare.
    #[must_use]
    pub fn holds(&self, u: f64, v: f64, radius: usize) -> bool {
        let r = radius as f64 + 1.0;
        u >= r && v >= r && u <= self.width as f64 - 1.0 - r && v <= self.height as f64 - 1.0 - r
    }

    /// Brightness between pixels, bilinear; not-a-number outside.
    #[must_use]
    pub fn at(&self, u: f32, v: f32) -> f32 {
        if !(u >= 0.0 && v >= 0.0) {
            return f32::NAN;
        }
        let (i, j) = (u as usize, v as usize);
        if i + 1 >= self.width || j + 1 >= self.height {
            return f32::NAN;
        }
        let (a, b) = (u - i as f32, v - j as f32);
        let k = j * self.width + i;
        let (upper, lower) = (
            &self.data[k..k + 2],
            &self.data[k + self.width..k + self.width + 2],
        );
        let mix = |p: &[u8]| f32::from(p[0]) + a * (f32::from(p[1]) - f32::from(p[0]));
        let (x, y) = (mix(upper), mix(lower));
        x + b * (y - x)
    }

    /// Share of the pixels that are black or white to the last level, and the standard deviation of all, on a sample.
    #[must_use]
    pub fn contrast(&self) -> f64 {
        let (mut n, mut sum, mut square) = (0.0, 0.0, 0.0);
        for &p in self.data.iter().step_by(37) {
            let p = f64::from(p);
            n += 1.0;
            sum += p;
            square += p * p;
        }
        let mean = sum / n;
        (square / n - mean * mean).max(0.0).sqrt()
    }
}
