//! The view that the model sees: north up, y down, at most 1000 pixels a side, so that no service scales it.

use crate::error::PlanError;
use sojourn_core::CoreError;
use sojourn_core::geometry::{Xy, distance_m};
use sojourn_core::raster::Raster;
use sojourn_core::site::{ORTHO, Site};

/// Longest side of the view, pixels.
pub const MAX_SIDE_PX: usize = 1000;
/// Ground beyond start and goal that is shown, as a share of their distance.
const MARGIN_SHARE: f64 = 0.5;
/// Least ground beyond start and goal that is shown, metres.
const LEAST_MARGIN_M: f64 = 20.0;
/// Lines of the grid across the view, at most.
const GRID_LINES: f64 = 10.0;

/// A view: pixels, and where they lie.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Picture.
    pub png: Vec<u8>,
    /// Columns.
    pub width_px: usize,
    /// Rows.
    pub height_px: usize,
    /// Metres per pixel.
    pub metres_per_px: f64,
    /// South-west corner, `map` metres.
    pub south_west_m: Xy,
    /// Distance of the grid's lines, metres.
    pub grid_m: f64,
    /// Whether it is the orbital image (or the hillshade of the elevation model).
    pub image: bool,
}

impl View {
    /// From pixels (x right, y down, from the upper left corner) to `map` metres.
    #[must_use]
    pub fn map_from_px(&self, px: Xy) -> Xy {
        [
            self.south_west_m[0] + px[0] * self.metres_per_px,
            self.south_west_m[1] + (self.height_px as f64 - px[1]) * self.metres_per_px,
        ]
    }

    /// From `map` metres to pixels.
    #[must_use]
    pub fn px_from_map(&self, p: Xy) -> Xy {
        [
            (p[0] - self.south_west_m[0]) / self.metres_per_px,
            self.height_px as f64 - (p[1] - self.south_west_m[1]) / self.metres_per_px,
        ]
    }
}

/// Draws the ground around start and goal: the orbital image when the site has one, else a hillshade, with a light grid,
/// a green cross at the start and a red ring at the goal.
///
/// # Errors
/// [`PlanError::Core`] when the site has no elevation.
pub fn render(site: &Site, start_m: Xy, goal_m: Xy) -> Result<View, PlanError> {
    let elevation = site.elevation()?;
    let ortho = site.layers.get(ORTHO);
    let mut view = frame(elevation, start_m, goal_m, ortho.is_some());
    let (w, h) = (view.width_px, view.height_px);
    let mut rgb = vec![0u8; w * h * 3];
    for row in 0..h {
        for col in 0..w {
            let p = view.map_from_px([col as f64 + 0.5, row as f64 + 0.5]);
            let brightness = ortho
                .and_then(|o| o.nearest(p[0], p[1]))
                .or_else(|| hillshade(elevation, p, view.metres_per_px));
            // Ground without data is a flat dark blue, which no ground is.
            let pixel = brightness.map_or([20, 20, 60], |v| {
                [(v.clamp(0.0, 1.0) * 255.0).round() as u8; 3]
            });
            let i = (row * w + col) * 3;
            rgb[i..i + 3].copy_from_slice(&pixel);
        }
    }
    draw_grid(&view, &mut rgb);
    draw_marks(&view, &mut rgb, start_m, goal_m);
    view.png = encode(w, h, &rgb)?;
    Ok(view)
}

fn frame(elevation: &Raster, a: Xy, b: Xy, image: bool) -> View {
    let margin_m = (MARGIN_SHARE * distance_m(a, b)).max(LEAST_MARGIN_M);
    let (origin, size) = (elevation.origin_m(), elevation.size_m());
    let mut lo = [0.0; 2];
    let mut hi = [0.0; 2];
    for k in 0..2 {
        lo[k] = (a[k].min(b[k]) - margin_m).max(origin[k]);
        hi[k] = (a[k].max(b[k]) + margin_m).min(origin[k] + size[k]);
    }
    let longest_m = (hi[0] - lo[0]).max(hi[1] - lo[1]);
    // Finer than a quarter of a cell shows nothing more.
    let metres_per_px = (longest_m / MAX_SIDE_PX as f64).max(0.25 * elevation.resolution_m());
    let px = |m: f64| ((m / metres_per_px).floor() as usize).clamp(1, MAX_SIDE_PX);
    let grid_m = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0]
        .into_iter()
        .find(|g| longest_m / g <= GRID_LINES)
        .unwrap_or(1000.0);
    View {
        png: Vec::new(),
        width_px: px(hi[0] - lo[0]),
        height_px: px(hi[1] - lo[1]),
        metres_per_px,
        south_west_m: lo,
        grid_m,
        image,
    }
}

/// Light from the north-west, 45 degrees high; 0 to 1.
fn hillshade(elevation: &Raster, p: Xy, step_m: f64) -> Option<f64> {
    let h = step_m.max(elevation.resolution_m());
    let at = |dx: f64, dy: f64| elevation.sample(p[0] + dx, p[1] + dy);
    let gx = (at(h, 0.0)? - at(-h, 0.0)?) / (2.0 * h);
    let gy = (at(0.0, h)? - at(0.0, -h)?) / (2.0 * h);
    let s = std::f64::consts::FRAC_1_SQRT_2;
    // The normal (-gx, -gy, 1) against the direction to the light (-s·s, s·s, s).
    let light = (gx * s * s - gy * s * s + s) / (1.0 + gx * gx + gy * gy).sqrt();
    Some(light.clamp(0.0, 1.0))
}

fn blend(rgb: &mut [u8], i: usize, colour: [u8; 3], share: f64) {
    if let Some(px) = rgb.get_mut(i * 3..i * 3 + 3) {
        for (v, c) in px.iter_mut().zip(colour) {
            *v = (f64::from(*v) * (1.0 - share) + f64::from(c) * share).round() as u8;
        }
    }
}

fn draw_grid(view: &View, rgb: &mut [u8]) {
    let (w, h) = (view.width_px, view.height_px);
    let line = |a: f64, b: f64| (a / view.grid_m).floor() != (b / view.grid_m).floor();
    for row in 0..h {
        for col in 0..w {
            let p = view.map_from_px([col as f64, row as f64]);
            let q = view.map_from_px([col as f64 + 1.0, row as f64 + 1.0]);
            if line(p[0], q[0]) || line(p[1], q[1]) {
                blend(rgb, row * w + col, [255, 255, 160], 0.25);
            }
        }
    }
}

fn draw_marks(view: &View, rgb: &mut [u8], start_m: Xy, goal_m: Xy) {
    const R: i64 = 9;
    for (p, colour, ring) in [
        (start_m, [40, 220, 60], false),
        (goal_m, [235, 40, 40], true),
    ] {
        let c = view.px_from_map(p);
        for dy in -R..=R {
            for dx in -R..=R {
                let r2 = dx * dx + dy * dy;
                let hit = if ring {
                    ((R - 2) * (R - 2)..=R * R).contains(&r2)
                } else {
                    (dx.abs() <= 1 || dy.abs() <= 1) && r2 <= R * R
                };
                let (x, y) = (c[0].floor() as i64 + dx, c[1].floor() as i64 + dy);
                let inside =
                    x >= 0 && y >= 0 && x < view.width_px as i64 && y < view.height_px as i64;
                if hit && inside {
                    blend(rgb, y as usize * view.width_px + x as usize, colour, 1.0);
                }
            }
        }
    }
}

fn encode(w: usize, h: usize, rgb: &[u8]) -> Result<Vec<u8>, PlanError> {
    let fail = |e: png::EncodingError| CoreError::format("view as PNG", e.to_string());
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, w as u32, h as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(fail)?;
    writer.write_image_data(rgb).map_err(fail)?;
    writer.finish().map_err(fail)?;
    Ok(out)
}
