//! The ground as a camera in orbit sees it: straight down, under one sun, blurred by its optics, with its noise.

use crate::{
    TwinError,
    folder::{View, WorldFolder},
    noise,
    world::{Window, World},
};
use rayon::prelude::*;
use sojourn_core::{error::in_range, raster::Raster};

const CHANNEL: u64 = 0x17;
/// Looks per pixel along each side.
const LOOKS: i64 = 2;
/// How far shadows of rocks and ripples are followed, metres; those of hills are followed on the elevation model.
const NEAR_SHADOW_M: f64 = 4.0;
/// How far shadows of hills and crater walls are followed, metres.
const FAR_SHADOW_M: f64 = 400.0;
/// Share of the light that comes from the dusty sky.
const SKYLIGHT: f64 = 0.2;
/// From albedo under full light to brightness: the brightest ground there is stays below 1.
const STRETCH: f64 = 2.6;
/// Mid brightness, for which the signal over noise is given.
const MID: f64 = 0.4;
/// Pixels along a side of the squares that are worked on at a time.
const SQUARE_PX: usize = 128;
/// Radius of the point-spread function in standard deviations.
const PSF_REACH: f64 = 3.0;

/// Renders the image of a whole world, brightness 0 to 1, with the recipe's pixel size and sun.
///
/// # Errors
/// [`TwinError::Core`] when the world cannot be made or the image would be too large.
pub fn render(folder: &WorldFolder) -> Result<Raster, TwinError> {
    render_telling(folder, &|_| ())
}

/// As [`render`]; `tell` is told the share that is done, 0 to 1.
///
/// # Errors
/// As [`render`].
pub fn render_telling(folder: &WorldFolder, tell: &dyn Fn(f64)) -> Result<Raster, TwinError> {
    let recipe = folder.document.recipe.image;
    let res = recipe.resolution_m;
    in_range("image", "resolution_m", res, 0.05, 10.0)?;
    let elevation = folder.site.elevation()?;
    let (origin, size) = (elevation.origin_m(), elevation.size_m());
    let [cols, rows] = size.map(|s| (s / res + 1e-6).floor().max(1.0) as usize);
    let world = folder.world(&View {
        node_m: Some(res / LOOKS as f64),
        ..View::everything()
    })?;
    let scene = Scene {
        world: &world,
        dark: hill_shadows(elevation, recipe.sun_azimuth_deg, recipe.sun_elevation_deg),
        azimuth: recipe.sun_azimuth_deg.to_radians(),
        elevation: recipe.sun_elevation_deg.to_radians(),
        origin,
        res,
    };
    let mut image = Raster::filled(cols, rows, res, origin, 0.0)?;
    let squares = [cols.div_ceil(SQUARE_PX), rows.div_ceil(SQUARE_PX)];
    // Rows of squares one after the other: tiles of the world are used while they are kept.
    for sr in 0..squares[1] {
        let parts: Vec<(usize, Vec<f32>)> = (0..squares[0])
            .into_par_iter()
            .map(|sc| (sc, scene.square(sc * SQUARE_PX, sr * SQUARE_PX)))
            .collect();
        for (sc, part) in parts {
            for (k, v) in part.into_iter().enumerate() {
                image.set(
                    sc * SQUARE_PX + k % SQUARE_PX,
                    sr * SQUARE_PX + k / SQUARE_PX,
                    v,
                );
            }
        }
        tell((sr + 1) as f64 / squares[1] as f64);
    }
    let image = blurred(&image, recipe.psf_px);
    let seed = folder.document.seed;
    Ok(image.like(|c, r| {
        let v = f64::from(image.get(c, r));
        let h = noise::hash(seed, CHANNEL, c as i64, r as i64);
        // Shot noise: its variance grows with the light.
        let sigma = (v.max(0.0) * MID).sqrt() / recipe.signal_to_noise;
        (v + sigma * noise::near_gauss(h)).clamp(0.0, 1.0) as f32
    }))
}

struct Scene<'a> {
    world: &'a World,
    /// 1 where a hill takes the sun away.
    dark: Raster,
    azimuth: f64,
    elevation: f64,
    origin: [f64; 2],
    res: f64,
}

impl Scene<'_> {
    /// Brightness of the [`SQUARE_PX`]² pixels from a first one on; not-a-number where there is no ground.
    fn square(&self, col: usize, row: usize) -> Vec<f32> {
        let side_m = SQUARE_PX as f64 * self.res;
        let x0 = self.origin[0] + col as f64 * self.res;
        let y0 = self.origin[1] + row as f64 * self.res;
        let m = NEAR_SHADOW_M;
        let window = self
            .world
            .window([x0 - m, y0 - m, x0 + side_m + m, y0 + side_m + m]);
        let first = [x0, y0].map(|v| (v / window.resolution_m()).round() as i64);
        (0..SQUARE_PX * SQUARE_PX)
            .map(|k| {
                let (c, r) = ((k % SQUARE_PX) as i64, (k / SQUARE_PX) as i64);
                let mut sum = 0.0;
                for dj in 0..LOOKS {
                    for di in 0..LOOKS {
                        sum += self.look(
                            &window,
                            first[0] + LOOKS * c + di,
                            first[1] + LOOKS * r + dj,
                        );
                    }
                }
                (STRETCH * sum / (LOOKS * LOOKS) as f64) as f32
            })
            .collect()
    }

    /// Light from the middle of a cell of the world.
    fn look(&self, window: &Window, i: i64, j: i64) -> f64 {
        let step_m = window.resolution_m();
        let [sw, se, nw, ne] = window.corners_m(i, j);
        let gx = 0.5 * (se - sw + ne - nw) / step_m;
        let gy = 0.5 * (nw - sw + ne - se) / step_m;
        let (sin_el, cos_el) = self.elevation.sin_cos();
        let (sin_az, cos_az) = self.azimuth.sin_cos();
        let lambert =
            (sin_el - cos_el * (gx * cos_az + gy * sin_az)) / (1.0 + gx * gx + gy * gy).sqrt();
        let mut direct = lambert.max(0.0);
        let (x, y) = ((i as f64 + 0.5) * step_m, (j as f64 + 0.5) * step_m);
        let here = 0.25 * (sw + se + nw + ne);
        let rise = step_m * sin_el / cos_el.max(1e-3);
        for k in 1..=(NEAR_SHADOW_M / step_m) as i64 {
            let (di, dj) = (k as f64 * cos_az, k as f64 * sin_az);
            let there = window.corners_m(i + di.round() as i64, j + dj.round() as i64)[0];
            // half a step of tolerance, so that ground does not shade itself
            if there > here + rise * (k as f64 + 0.5) {
                direct = 0.0;
                break;
            }
        }
        let dark = self.dark.sample(x, y).unwrap_or(0.0);
        let light = SKYLIGHT + (1.0 - SKYLIGHT) * direct * (1.0 - dark);
        let ground = if here.is_nan() { f64::NAN } else { 1.0 };
        ground * window.albedo(i, j, 0.5, 0.5) * light
    }
}

/// Where hills of an elevation model take the sun away: 1 there, 0 elsewhere.
fn hill_shadows(elevation: &Raster, azimuth_deg: f64, elevation_deg: f64) -> Raster {
    let res = elevation.resolution_m();
    let (sin_az, cos_az) = azimuth_deg.to_radians().sin_cos();
    let rise = res * elevation_deg.to_radians().tan();
    let highest = elevation.min_max().map_or(0.0, |m| f64::from(m.1));
    let (cols, rows) = (elevation.cols(), elevation.rows());
    let mut dark = vec![0f32; cols * rows];
    dark.par_chunks_mut(cols).enumerate().for_each(|(r, row)| {
        for (c, out) in row.iter_mut().enumerate() {
            let here = f64::from(elevation.get(c, r));
            for k in 2..=(FAR_SHADOW_M / res) as i64 {
                let ray = here + rise * k as f64;
                let (x, y) = (c as f64 + k as f64 * cos_az, r as f64 + k as f64 * sin_az);
                if ray > highest || x < 0.0 || y < 0.0 {
                    break;
                }
                if f64::from(elevation.get(x.round() as usize, y.round() as usize)) > ray {
                    *out = 1.0;
                    break;
                }
            }
        }
    });
    elevation.like(|c, r| dark[r * cols + c])
}

/// A Gaussian blur, along columns and then along rows; holes stay holes and spread nothing.
fn blurred(image: &Raster, sigma_px: f64) -> Raster {
    if sigma_px <= 0.0 {
        return image.clone();
    }
    let reach = (PSF_REACH * sigma_px).ceil() as i64;
    let weights: Vec<f32> = (-reach..=reach)
        .map(|k| (-0.5 * (k as f64 / sigma_px).powi(2)).exp() as f32)
        .collect();
    let pass = |image: &Raster, step: [i64; 2]| {
        let (cols, rows) = (image.cols() as i64, image.rows() as i64);
        image.like(|c, r| {
            let centre = image.get(c, r);
            let (mut sum, mut total) = (0.0, 0.0);
            for (k, w) in (-reach..=reach).zip(&weights) {
                let (x, y) = (c as i64 + k * step[0], r as i64 + k * step[1]);
                if x < 0 || y < 0 || x >= cols || y >= rows {
                    continue;
                }
                let v = image.get(x as usize, y as usize);
                if !v.is_nan() {
                    sum += w * v;
                    total += w;
                }
            }
            if centre.is_nan() { centre } else { sum / total }
        })
    };
    pass(&pass(image, [1, 0]), [0, 1])
}
