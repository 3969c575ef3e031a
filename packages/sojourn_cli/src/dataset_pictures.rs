//! An overview of a data set: what the left camera sees beside depth, classes and rocks.

use crate::report::canvas::{Canvas, Rgba};
use crate::world_pictures::colour;
use sojourn_core::classes::TerrainClass;
use sojourn_twin::dataset::{Labelled, NO_GROUND};

/// Space between pictures, pixels.
const GAP: usize = 6;
const BLACK: [u8; 3] = [0, 0, 0];

/// Rows of four pictures: brightness, depth (near is warm), classes, rocks.
///
/// # Errors
/// When there is nothing to draw.
pub fn overview(views: &[Labelled]) -> anyhow::Result<Canvas> {
    let Some(first) = views.first() else {
        anyhow::bail!("an overview needs at least one view");
    };
    // At most 480 pixels wide each.
    let step = first.frame.width.div_ceil(480).max(1);
    let (w, h) = (first.frame.width / step, first.frame.height / step);
    let paper: Rgba = [30, 30, 30, 255];
    let (width, height) = (4 * (w + GAP) - GAP, views.len() * (h + GAP) - GAP);
    let mut canvas = Canvas::new(width as u32, height as u32, paper)?;
    for (row, view) in views.iter().enumerate() {
        let panels: [&dyn Fn(usize) -> [u8; 3]; 4] = [
            &|k| [view.frame.left[k]; 3],
            &|k| warm(view.frame.depth_m[k]),
            &|k| class_colour(view.classes[k], view.frame.left[k]),
            &|k| rock_colour(view.rocks[k], view.frame.left[k]),
        ];
        for (column, panel) in panels.iter().enumerate() {
            for v in 0..h {
                for u in 0..w {
                    let k = v * step * view.frame.width + u * step;
                    let (x, y) = (column * (w + GAP) + u, row * (h + GAP) + v);
                    canvas.pixel(x as u32, y as u32, panel(k));
                }
            }
        }
    }
    Ok(canvas)
}

/// From red at 1 m to blue at 30 m, even in the logarithm.
fn warm(depth_m: f32) -> [u8; 3] {
    if depth_m.is_nan() {
        return BLACK;
    }
    let t = (depth_m.max(1.0).ln() / 30f32.ln()).clamp(0.0, 1.0);
    let part = |middle: f32| (255.0 * (1.5 - 3.0 * (t - middle).abs()).clamp(0.0, 1.0)) as u8;
    [part(0.1), part(0.5), part(0.9)]
}

fn class_colour(code: u8, brightness: u8) -> [u8; 3] {
    if code == NO_GROUND {
        return BLACK;
    }
    let class = TerrainClass::from_code(code).unwrap_or(TerrainClass::Unknown);
    let light = 0.5 + f32::from(brightness) / 400.0;
    colour(class).map(|c| (f32::from(c) * light).min(255.0) as u8)
}

/// Rocks in colours of their own, the rest in grey.
fn rock_colour(number: u16, brightness: u8) -> [u8; 3] {
    if number == 0 {
        return [brightness / 2; 3];
    }
    let mixed = u32::from(number).wrapping_mul(0x9e37_79b1);
    [24, 16, 8].map(|shift| 80 + ((mixed >> shift) as u8) % 176)
}
