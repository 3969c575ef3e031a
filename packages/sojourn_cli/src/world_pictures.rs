//! Pictures of a world: its relief in light and shadow, its classes, its image from orbit.

use crate::report::canvas::{Canvas, Rgba, width_px};
use sojourn_core::{
    classes::{CLASSES as ALL, TerrainClass},
    files,
    raster::{HeightField, Raster},
    site::ORTHO,
};
use sojourn_twin::{
    folder::{View, WorldFolder},
    world::World,
};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Longest side of a picture, pixels.
const SIDE_PX: f64 = 1400.0;
/// The light of the hillshade: from the north-west, 40° high.
const LIGHT: [f64; 3] = [-0.542, 0.542, 0.643];
/// Height of the strip with the key of the classes, pixels.
const KEY_PX: u32 = 26;

/// Colour of a class.
#[must_use]
pub fn colour(class: TerrainClass) -> [u8; 3] {
    match class {
        TerrainClass::Bedrock => [196, 178, 158],
        TerrainClass::Outcrop => [150, 120, 100],
        TerrainClass::BoulderField => [110, 70, 60],
        TerrainClass::SandRipples => [232, 180, 60],
        TerrainClass::LooseSoil => [240, 216, 140],
        TerrainClass::CraterOrScarp => [190, 60, 50],
        TerrainClass::SmoothRegolith => [120, 165, 110],
        TerrainClass::ShadowOrNoData => [30, 30, 30],
        TerrainClass::Unknown => [128, 128, 128],
    }
}

/// The style that QGIS takes for `classes.tif` when it lies beside it: names and colours of the classes.
#[must_use]
pub fn classes_style() -> String {
    let mut entries = String::new();
    for t in &ALL {
        let [r, g, b] = colour(t.class);
        // Writing to a string does not fail.
        let _ = writeln!(
            entries,
            "        <paletteEntry value=\"{}\" label=\"{}\" color=\"#{r:02x}{g:02x}{b:02x}\" alpha=\"255\"/>",
            t.class.code(),
            t.name.replace('_', " ")
        );
    }
    format!(
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n<qgis version=\"3.22\">\n  <pipe>\n    \
        <rasterrenderer type=\"paletted\" band=\"1\" opacity=\"1\" alphaBand=\"-1\">\n      <colorPalette>\n{entries}      \
        </colorPalette>\n    </rasterrenderer>\n  </pipe>\n</qgis>\n"
    )
}

/// Draws the truth (`hillshade.png`, `classes.png`) into one folder and, where there is an image from orbit, `ortho.png`
/// into another; returns the files.
///
/// # Errors
/// One sentence that names the file.
pub fn draw(folder: &WorldFolder, truth: &Path, out: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let size_m = folder.site.elevation()?.size_m();
    let pixel_m = (size_m[0].max(size_m[1]) / SIDE_PX).max(0.05);
    let world = folder.world(&View {
        node_m: Some(pixel_m),
        ..View::everything()
    })?;
    let [x0, y0, x1, y1] = world.region_m();
    let [width, height] =
        [(x1 - x0) / pixel_m, (y1 - y0) / pixel_m].map(|v| v.floor().max(1.0) as u32);
    let black: Rgba = [0, 0, 0, 255];
    let mut relief = Canvas::new(width, height, black)?;
    let mut classes = Canvas::new(width, height + KEY_PX, black)?;
    for row in 0..height {
        let y = y1 - (f64::from(row) + 0.5) * pixel_m;
        for col in 0..width {
            let x = x0 + (f64::from(col) + 0.5) * pixel_m;
            let light = shade(&world, x, y, pixel_m);
            let grey = (255.0 * light) as u8;
            relief.pixel(col, row, [grey; 3]);
            let class = world.class_at(x, y).unwrap_or(TerrainClass::ShadowOrNoData);
            let rock = world.on_rock(x, y) == Some(true);
            let base = if rock { [60, 60, 70] } else { colour(class) };
            classes.pixel(
                col,
                row,
                base.map(|c| (f64::from(c) * (0.35 + 0.65 * light)) as u8),
            );
        }
    }
    key(&mut classes, height);
    let mut files = Vec::new();
    let mut write = |path: PathBuf, canvas: &Canvas| -> anyhow::Result<()> {
        files::write_atomic(&path, &canvas.png()?)?;
        files.push(path);
        Ok(())
    };
    write(truth.join("hillshade.png"), &relief)?;
    write(truth.join("classes.png"), &classes)?;
    if let Ok(ortho) = folder.site.layer(ORTHO) {
        // Every pixel of the image itself, or every n-th of a large one.
        let step = (ortho.cols().max(ortho.rows()) as f64 / 2.0 / SIDE_PX)
            .ceil()
            .max(1.0) as usize;
        let (w, h) = (ortho.cols() / step, ortho.rows() / step);
        let mut picture = Canvas::new(w as u32, h as u32, black)?;
        let (dark, bright) = extremes(ortho);
        for r in 0..h {
            for c in 0..w {
                let v = ortho.get(c * step, (h - 1 - r) * step);
                let v = (v - dark) / (bright - dark);
                picture.pixel(c as u32, r as u32, [(255.0 * v.clamp(0.0, 1.0)) as u8; 3]);
            }
        }
        write(out.join("ortho.png"), &picture)?;
    }
    Ok(files)
}

/// The brightness that half a per cent of an image is darker, and half a per cent brighter than: what a picture is
/// stretched to.
fn extremes(image: &Raster) -> (f32, f32) {
    let mut values: Vec<f32> = image
        .data()
        .iter()
        .copied()
        .filter(|v| v.is_finite())
        .collect();
    values.sort_by(f32::total_cmp);
    let at = |share: f64| values.get((share * values.len() as f64) as usize).copied();
    match (at(0.005), at(0.995)) {
        (Some(dark), Some(bright)) if bright > dark => (dark, bright),
        _ => (0.0, 1.0),
    }
}

/// Light on the ground, 0 to 1; 0 without ground.
fn shade(world: &World, x: f64, y: f64, step: f64) -> f64 {
    let h = |x: f64, y: f64| world.height_m(x, y).unwrap_or(f64::NAN);
    let gx = (h(x + 0.5 * step, y) - h(x - 0.5 * step, y)) / step;
    let gy = (h(x, y + 0.5 * step) - h(x, y - 0.5 * step)) / step;
    let light = (LIGHT[2] - LIGHT[0] * gx - LIGHT[1] * gy) / (1.0 + gx * gx + gy * gy).sqrt();
    if light.is_nan() {
        0.0
    } else {
        light.clamp(0.0, 1.0)
    }
}

/// Names and colours of the classes below the picture.
fn key(canvas: &mut Canvas, top: u32) {
    let mut x = 6.0;
    let y = top as f32 + 8.0;
    for t in &ALL[..7] {
        let [r, g, b] = colour(t.class);
        canvas.rectangle(x, y, 12.0, 12.0, [r, g, b, 255]);
        let words = t.name.replace('_', " ");
        canvas.words(x + 16.0, y + 2.0, 1, [255, 255, 255, 255], &words);
        x += 30.0 + width_px(1, &words);
    }
}
