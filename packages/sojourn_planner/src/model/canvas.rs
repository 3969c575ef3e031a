//! Pixels: lines, texts and shades on an RGB picture.

use super::turn::Picture;
use crate::error::PlanError;
use font8x8::UnicodeFonts;
use sojourn_core::CoreError;
use sojourn_core::geometry::{Xy, in_polygon};
use sojourn_core::plan::sha256_hex;

/// Side of a letter, pixels.
pub(crate) const LETTER_PX: i64 = 8;

/// An RGB picture under work; x right, y down.
pub(crate) struct Canvas {
    pub width: usize,
    pub height: usize,
    rgb: Vec<u8>,
}

impl Canvas {
    pub fn new(
        width: usize,
        height: usize,
        mut colour: impl FnMut(usize, usize) -> [u8; 3],
    ) -> Self {
        let mut rgb = Vec::with_capacity(width * height * 3);
        for y in 0..height {
            for x in 0..width {
                rgb.extend_from_slice(&colour(x, y));
            }
        }
        Self { width, height, rgb }
    }

    pub fn blend(&mut self, x: i64, y: i64, colour: [u8; 3], share: f64) {
        if x < 0 || y < 0 || x >= self.width as i64 || y >= self.height as i64 {
            return;
        }
        let i = (y as usize * self.width + x as usize) * 3;
        if let Some(px) = self.rgb.get_mut(i..i + 3) {
            for (v, c) in px.iter_mut().zip(colour) {
                *v = (f64::from(*v) * (1.0 - share) + f64::from(c) * share).round() as u8;
            }
        }
    }

    /// A line of some thickness.
    pub fn line(&mut self, a: Xy, b: Xy, colour: [u8; 3], thick: i64) {
        let d = (b[0] - a[0]).hypot(b[1] - a[1]);
        if !d.is_finite() || d > 1e5 {
            return;
        }
        let n = (d * 1.5).ceil().max(1.0) as usize;
        for k in 0..=n {
            let t = k as f64 / n as f64;
            let (x, y) = (
                (a[0] + t * (b[0] - a[0])).floor() as i64,
                (a[1] + t * (b[1] - a[1])).floor() as i64,
            );
            for dy in 0..thick {
                for dx in 0..thick {
                    self.blend(x + dx - thick / 2, y + dy - thick / 2, colour, 1.0);
                }
            }
        }
    }

    pub fn polyline(&mut self, points: &[Xy], closed: bool, colour: [u8; 3], thick: i64) {
        for w in points.windows(2) {
            self.line(w[0], w[1], colour, thick);
        }
        if closed && let (Some(a), Some(b)) = (points.last(), points.first()) {
            self.line(*a, *b, colour, thick);
        }
    }

    /// A polygon's ground in a see-through colour.
    pub fn fill(&mut self, polygon: &[Xy], colour: [u8; 3], share: f64) {
        let bound = |k: usize, f: fn(f64, f64) -> f64, from: f64| {
            polygon.iter().map(|p| p[k]).fold(from, f)
        };
        let range = |k: usize, n: usize| {
            let lo = bound(k, f64::min, f64::INFINITY).floor().max(0.0) as usize;
            let hi = bound(k, f64::max, f64::NEG_INFINITY).ceil().max(0.0) as usize;
            lo.min(n)..hi.min(n)
        };
        for y in range(1, self.height) {
            for x in range(0, self.width) {
                if in_polygon([x as f64 + 0.5, y as f64 + 0.5], polygon) {
                    self.blend(x as i64, y as i64, colour, share);
                }
            }
        }
    }

    pub fn cross(&mut self, at: Xy, arm: f64, colour: [u8; 3]) {
        self.line([at[0] - arm, at[1]], [at[0] + arm, at[1]], colour, 3);
        self.line([at[0], at[1] - arm], [at[0], at[1] + arm], colour, 3);
    }

    pub fn ring(&mut self, at: Xy, radius: f64, colour: [u8; 3]) {
        let points: Vec<Xy> = (0..32)
            .map(|k| f64::from(k) / 32.0 * std::f64::consts::TAU)
            .map(|t| [at[0] + radius * t.cos(), at[1] + radius * t.sin()])
            .collect();
        self.polyline(&points, true, colour, 3);
    }

    /// Letters on a dark ground, their upper left corner given; signs that the font lacks are left out.
    pub fn text(&mut self, x: i64, y: i64, text: &str, colour: [u8; 3]) {
        let n = text.chars().count() as i64;
        for dy in -2..LETTER_PX + 2 {
            for dx in -2..n * LETTER_PX + 2 {
                self.blend(x + dx, y + dy, [0, 0, 0], 0.65);
            }
        }
        for (k, c) in text.chars().enumerate() {
            let Some(glyph) = font8x8::BASIC_FONTS.get(c) else {
                continue;
            };
            for (dy, row) in glyph.iter().enumerate() {
                for dx in 0..8 {
                    if row & (1 << dx) != 0 {
                        self.blend(x + k as i64 * LETTER_PX + dx, y + dy as i64, colour, 1.0);
                    }
                }
            }
        }
    }

    /// The picture as PNG. The two lowest bits of each colour go: they are noise, and cost half of the bytes.
    ///
    /// # Errors
    /// [`PlanError::Core`] when it cannot be written.
    pub fn picture(mut self) -> Result<Picture, PlanError> {
        for v in &mut self.rgb {
            *v &= 0b1111_1100;
        }
        let fail = |e: png::EncodingError| CoreError::format("view as PNG", e.to_string());
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().map_err(fail)?;
        writer.write_image_data(&self.rgb).map_err(fail)?;
        writer.finish().map_err(fail)?;
        Ok(Picture {
            png: out,
            width_px: self.width,
            height_px: self.height,
            sha256: sha256_hex(&self.rgb),
        })
    }
}
