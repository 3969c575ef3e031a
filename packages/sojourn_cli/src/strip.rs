//! Images side by side, best first, with their targets.

use crate::report::canvas::{Canvas, Rgba};
use sojourn_perception::classes::GreyImage;
use sojourn_perception::science::Target;

/// Height of an image in a strip of many, pixels.
pub const HEIGHT: usize = 180;
/// Space around it, and for the words below.
const GAP: usize = 6;
const WORDS: usize = 14;
/// Images in a row.
const ACROSS: usize = 4;
const PAPER: Rgba = [24, 24, 24, 255];
const INK: Rgba = [230, 230, 230, 255];
const SENT: Rgba = [70, 210, 90, 255];
const TARGET: Rgba = [255, 150, 30, 255];
/// Share of the pixels that may be whiter than white when dark images are stretched.
const WHITER: usize = 200;

/// Grey levels in one step of the drawn images: noise that no eye sees takes most of a picture's bytes.
const GREY_STEP: u8 = 8;

/// A level with the noise cut off.
#[must_use]
pub fn calm(level: u8) -> u8 {
    level / GREY_STEP * GREY_STEP + GREY_STEP / 2
}

/// One image of the strip.
pub struct Shown<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its grey levels.
    pub image: GreyImage<'a>,
    /// What was found in it, best first.
    pub targets: &'a [Target],
    /// Worth of it.
    pub worth: f64,
    /// Whether it is sent whole.
    pub sent: bool,
}

/// The picture, PNG; each image is drawn `height` pixels high.
///
/// # Errors
/// When there is nothing to draw.
pub fn strip(shown: &[Shown<'_>], height: usize) -> anyhow::Result<Vec<u8>> {
    let width_of = |s: &Shown<'_>| s.image.width * height / s.image.height.max(1);
    let cell = shown.iter().map(width_of).max().unwrap_or(0).max(1);
    let rows = shown.len().div_ceil(ACROSS).max(1);
    let across = shown.len().clamp(1, ACROSS);
    let (wide, high) = (cell + 2 * GAP, height + WORDS + 2 * GAP);
    let mut canvas = Canvas::new((across * wide) as u32, (rows * high) as u32, PAPER)?;
    for (k, s) in shown.iter().enumerate() {
        let at = [k % ACROSS * wide + GAP, k / ACROSS * high + GAP];
        draw(&mut canvas, s, at, [width_of(s), height]);
        let letters = cell / 8;
        let name: String = s
            .name
            .chars()
            .rev()
            .take(letters.saturating_sub(6))
            .collect();
        let name: String = name.chars().rev().collect();
        let words = format!("{:.2} {name}", s.worth);
        let (x, y) = (at[0] as f32, (at[1] + height + 4) as f32);
        canvas.words(x, y, 1, if s.sent { SENT } else { INK }, &words);
    }
    Ok(canvas.png()?)
}

fn draw(canvas: &mut Canvas, s: &Shown<'_>, [x, y]: [usize; 2], [width, height]: [usize; 2]) {
    let image = &s.image;
    let mut levels = image.data.to_vec();
    levels.sort_unstable();
    let brightest = levels.len().saturating_sub(1 + levels.len() / WHITER);
    let white = levels
        .get(brightest)
        .map_or(1.0, |v| f32::from(*v))
        .max(1.0);
    for v in 0..height {
        for u in 0..width {
            let i = v * image.height / height * image.width + u * image.width / width;
            let level = image.data.get(i).copied().unwrap_or(0);
            let light = (f32::from(level) / white * 235.0).min(255.0) as u8;
            canvas.pixel((x + u) as u32, (y + v) as u32, [calm(light); 3]);
        }
    }
    let scale = height as f32 / image.height.max(1) as f32;
    for t in s.targets {
        let at = |c: usize, r: usize| [x as f32 + scale * c as f32, y as f32 + scale * r as f32];
        let c = t.crop;
        frame(
            canvas,
            at(c.col, c.row),
            at(c.col + c.width, c.row + c.height),
            TARGET,
            1.5,
        );
    }
    if s.sent {
        let low = [x as f32 - 2.0, y as f32 - 2.0];
        let high = [(x + width) as f32 + 2.0, (y + height) as f32 + 2.0];
        frame(canvas, low, high, SENT, 3.0);
    }
}

fn frame(canvas: &mut Canvas, [l, t]: [f32; 2], [r, b]: [f32; 2], colour: Rgba, width: f32) {
    let corners = [[l, t], [r, t], [r, b], [l, b], [l, t]];
    canvas.line(&corners, width, colour, None);
}
