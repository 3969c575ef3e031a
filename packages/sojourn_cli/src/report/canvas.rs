//! A picture with lines, dots and words.

use super::ReportError;
use font8x8::UnicodeFonts;
use tiny_skia::{
    Color, FillRule, LineCap, LineJoin, Paint, PathBuilder, Pixmap, Rect, Stroke, StrokeDash,
    Transform,
};

/// Red, green, blue, opacity.
pub type Rgba = [u8; 4];

/// The picture.
pub struct Canvas(Pixmap);

fn paint(c: Rgba) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color_rgba8(c[0], c[1], c[2], c[3]);
    paint.anti_alias = true;
    paint
}

impl Canvas {
    /// A picture filled with one colour.
    ///
    /// # Errors
    /// [`ReportError::Picture`] when the size is zero or absurd.
    pub fn new(width: u32, height: u32, colour: Rgba) -> Result<Self, ReportError> {
        let mut pixmap = Pixmap::new(width, height)
            .filter(|_| width <= 8192 && height <= 8192)
            .ok_or(ReportError::Picture("its size is zero or absurd"))?;
        pixmap.fill(Color::from_rgba8(
            colour[0], colour[1], colour[2], colour[3],
        ));
        Ok(Self(pixmap))
    }

    /// Sets one opaque pixel; outside nothing happens.
    pub fn pixel(&mut self, x: u32, y: u32, rgb: [u8; 3]) {
        let i = (y as usize * self.0.width() as usize + x as usize) * 4;
        if x < self.0.width()
            && let Some(p) = self.0.data_mut().get_mut(i..i + 4)
        {
            p.copy_from_slice(&[rgb[0], rgb[1], rgb[2], 255]);
        }
    }

    /// A line through points in pixels; `dash` gives lengths on and off.
    pub fn line(&mut self, points: &[[f32; 2]], width: f32, colour: Rgba, dash: Option<[f32; 2]>) {
        let mut path = PathBuilder::new();
        for (i, p) in points.iter().enumerate() {
            if i == 0 {
                path.move_to(p[0], p[1]);
            } else {
                path.line_to(p[0], p[1]);
            }
        }
        let stroke = Stroke {
            width,
            line_cap: LineCap::Round,
            line_join: LineJoin::Round,
            dash: dash.and_then(|d| StrokeDash::new(d.to_vec(), 0.0)),
            ..Stroke::default()
        };
        if let Some(path) = path.finish() {
            self.0
                .stroke_path(&path, &paint(colour), &stroke, Transform::identity(), None);
        }
    }

    /// A filled polygon in pixels.
    pub fn polygon(&mut self, points: &[[f32; 2]], colour: Rgba) {
        let mut path = PathBuilder::new();
        for (i, p) in points.iter().enumerate() {
            if i == 0 {
                path.move_to(p[0], p[1]);
            } else {
                path.line_to(p[0], p[1]);
            }
        }
        path.close();
        if let Some(path) = path.finish() {
            self.0.fill_path(
                &path,
                &paint(colour),
                FillRule::Winding,
                Transform::identity(),
                None,
            );
        }
    }

    /// A filled disc with a rim.
    pub fn disc(&mut self, at: [f32; 2], radius: f32, fill: Rgba, rim: Rgba) {
        if let Some(path) = PathBuilder::from_circle(at[0], at[1], radius) {
            self.0.fill_path(
                &path,
                &paint(fill),
                FillRule::Winding,
                Transform::identity(),
                None,
            );
            let stroke = Stroke {
                width: 1.5,
                ..Stroke::default()
            };
            self.0
                .stroke_path(&path, &paint(rim), &stroke, Transform::identity(), None);
        }
    }

    /// A filled rectangle.
    pub fn rectangle(&mut self, x: f32, y: f32, width: f32, height: f32, colour: Rgba) {
        if let Some(rect) = Rect::from_xywh(x, y, width, height) {
            self.0
                .fill_rect(rect, &paint(colour), Transform::identity(), None);
        }
    }

    /// Several filled polygons in pixels as one area: where they overlap, the colour is not laid on twice.
    pub fn area(&mut self, polygons: &[Vec<[f32; 2]>], colour: Rgba) {
        let mut path = PathBuilder::new();
        for polygon in polygons {
            // Winding counts add up only when all turn the same way.
            let doubled: f32 = polygon
                .iter()
                .zip(polygon.iter().cycle().skip(1))
                .map(|(a, b)| a[0] * b[1] - b[0] * a[1])
                .sum();
            let mut points: Vec<[f32; 2]> = polygon.clone();
            if doubled < 0.0 {
                points.reverse();
            }
            for (i, p) in points.iter().enumerate() {
                if i == 0 {
                    path.move_to(p[0], p[1]);
                } else {
                    path.line_to(p[0], p[1]);
                }
            }
            path.close();
        }
        if let Some(path) = path.finish() {
            self.0.fill_path(
                &path,
                &paint(colour),
                FillRule::Winding,
                Transform::identity(),
                None,
            );
        }
    }

    /// Words; `scale` pixels per dot of the letters, which are 8 dots high. Returns where they end.
    pub fn words(&mut self, x: f32, y: f32, scale: u32, colour: Rgba, text: &str) -> f32 {
        let size = scale as f32;
        let mut at = x;
        for c in text.chars() {
            let (glyph, first, width) = glyph_of(c);
            for (row, bits) in glyph.iter().enumerate() {
                for bit in (first..8).filter(|b| bits & (1 << b) != 0) {
                    self.rectangle(
                        at + (bit - first) as f32 * size,
                        y + row as f32 * size,
                        size,
                        size,
                        colour,
                    );
                }
            }
            at += (width + 1) as f32 * size;
        }
        at
    }

    /// PNG.
    ///
    /// # Errors
    /// [`ReportError::Picture`].
    pub fn png(&self) -> Result<Vec<u8>, ReportError> {
        self.0
            .encode_png()
            .map_err(|_| ReportError::Picture("it could not be written as PNG"))
    }
}

/// Width of words in pixels.
#[must_use]
pub fn width_px(scale: u32, text: &str) -> f32 {
    text.chars()
        .map(|c| (glyph_of(c).2 + 1) as f32 * scale as f32)
        .sum()
}

/// A letter's rows, its first used column and its width, so that letters stand close.
fn glyph_of(c: char) -> ([u8; 8], u32, u32) {
    let glyph = font8x8::BASIC_FONTS
        .get(c)
        .or_else(|| font8x8::LATIN_FONTS.get(c))
        .or_else(|| font8x8::BASIC_FONTS.get('?'))
        .unwrap_or_default();
    let used = glyph.iter().fold(0u8, |a, row| a | row);
    if used == 0 {
        return (glyph, 0, 3);
    }
    let first = used.trailing_zeros();
    (glyph, first, 8 - used.leading_zeros() - first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_polygons_are_one_area() {
        let mut canvas = Canvas::new(20, 10, [255, 255, 255, 255]).unwrap();
        let square = |x: f32| vec![[x, 0.0], [x + 8.0, 0.0], [x + 8.0, 10.0], [x, 10.0]];
        let mut other = square(4.0);
        other.reverse();
        canvas.area(&[square(0.0), other], [0, 0, 255, 100]);
        let at = |x: usize| canvas.0.data()[(5 * 20 + x) * 4];
        assert_eq!(at(2), at(6));
        assert_eq!(at(2), at(10));
        assert_eq!(at(15), 255);
    }

    #[test]
    fn every_character_has_a_width() {
        for c in "aiW m.–é😀".chars() {
            let (_, first, width) = glyph_of(c);
            assert!(width >= 1 && first + width <= 8, "{c}");
        }
        assert!(width_px(2, "wide") > width_px(2, "il"));
        assert!(Canvas::new(0, 5, [0; 4]).is_err());
    }
}
