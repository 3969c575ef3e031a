//! The image's brightness on the ground: how much brighter than its surroundings every cell of the grid looked.
//!
//! Ripples show as bright and dark waves when the sun stands across their crests. Every image is brought down to the cells by
//! the depth of its pixels; the logarithm of a cell's brightness, less its mean over the surroundings in the same image, does
//! not depend on exposure, and its mean over the images is kept.

use super::local::less_mean;
use crate::{
    config::Config,
    map::{Footprint, RollingMap, TerrainGrid},
    stereo::GreyImage,
    surface::View,
};
use sojourn_core::{CoreError, camera::Pinhole, raster::Raster};

/// Pixels of a cell in one image beyond which more say no more.
const MOST_PIXELS: u32 = 10;
/// Pixels that are remembered at most; beyond them newer images count more.
const REMEMBERED_PIXELS: f32 = 60.0;

/// What is known of a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Patch {
    /// The cell of `odom` that this is about: the ring buffer gives a place to many.
    cell: [i64; 2],
    /// Mean of the logarithm of brightness over that of the surroundings.
    contrast: f32,
    /// Pixels behind it; 0 where nothing is known.
    pixels: f32,
}

const NOTHING: Patch = Patch {
    cell: [0, 0],
    contrast: 0.0,
    pixels: 0.0,
};

/// Brightness of the ground, over the cells of a [`RollingMap`].
#[derive(Clone, Debug, Default)]
pub struct Texture {
    cells: Vec<Patch>,
    sums: Vec<(u32, u32)>,
}

impl Texture {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.cells.clear();
    }

    /// Enters the image that a depth image (`view`) was taken with; one of another size says nothing. Returns the number
    /// of cells.
    pub fn enter(
        &mut self,
        image: &GreyImage,
        view: &View,
        map: &RollingMap,
        own: Footprint,
        config: &Config,
    ) -> usize {
        let n = map.side();
        let same = (image.width, image.height) == (view.image.width, view.image.height);
        if !same || image.pixels.len() != image.width * image.height {
            return 0;
        }
        self.cells.resize(n * n, NOTHING);
        self.sums.clear();
        self.sums.resize(n * n, (0, 0));
        self.sum(image, view, map, config);
        let base_from_odom = view.odom_from_base.inverse();
        let height_m = view.odom_from_base.translation.z;
        let ([ox, oy], res_m) = (map.origin_m(), map.resolution_m());
        let light: Vec<f32> = self
            .sums
            .iter()
            .enumerate()
            .map(|(i, (sum, pixels))| {
                let at = |k: usize| (k as f64 + 0.5) * res_m;
                let place = nalgebra::Point3::new(ox + at(i % n), oy + at(i / n), height_m);
                let local = base_from_odom * place;
                // Where the rover stands the camera sees the rover.
                if *pixels == 0 || own.holds(local.x, local.y) {
                    return f32::NAN;
                }
                (*sum as f32 / *pixels as f32).max(1.0).ln()
            })
            .collect();
        let half = config.params.ripples.relief_cells(res_m);
        let mut entered = 0;
        for (i, contrast) in less_mean(&light, n, half).into_iter().enumerate() {
            if !contrast.is_finite() {
                continue;
            }
            let (col, row) = (i % n, i / n);
            let cell = map.absolute(col, row);
            let Some(known) = self.cells.get_mut(map.index(col, row)) else {
                continue;
            };
            let before = if known.cell == cell {
                known.pixels
            } else {
                0.0
            };
            let more = self.sums[i].1.min(MOST_PIXELS) as f32;
            let mean = if before > 0.0 { known.contrast } else { 0.0 };
            *known = Patch {
                cell,
                contrast: mean + (contrast - mean) * more / (before + more),
                pixels: (before + more).min(REMEMBERED_PIXELS),
            };
            entered += 1;
        }
        entered
    }

    /// Sums the brightness of the pixels of each cell.
    fn sum(&mut self, image: &GreyImage, view: &View, map: &RollingMap, config: &Config) {
        let (n, per_m, [ox, oy]) = (map.side(), 1.0 / map.resolution_m(), map.origin_m());
        let camera: &Pinhole = &view.camera;
        let (turn, from) = (
            view.odom_from_camera.rotation.to_rotation_matrix(),
            view.odom_from_camera.translation.vector,
        );
        let start = [(from.x - ox) * per_m, (from.y - oy) * per_m];
        for row in 0..image.height {
            // Along a row of a pinhole camera the ray's direction moves by equal steps.
            let first = turn * camera.ray(0.0, row as f64) * per_m;
            let step = turn * camera.ray(1.0, row as f64) * per_m - first;
            for col in 0..image.width {
                let Some(z) = view.depth_m(col, row, config) else {
                    continue;
                };
                let k = col as f64;
                let x = start[0] + z * (first.x + k * step.x);
                let y = start[1] + z * (first.y + k * step.y);
                if x >= 0.0 && y >= 0.0 && x < n as f64 && y < n as f64 {
                    let sum = &mut self.sums[y as usize * n + x as usize];
                    sum.0 += u32::from(image.pixels[row * image.width + col]);
                    sum.1 += 1;
                }
            }
        }
    }

    /// Brightness of a grid's known cells over that of their surroundings, logarithm; not-a-number where no image showed them.
    /// Nothing when no image was entered.
    ///
    /// # Errors
    /// [`CoreError`] when the raster cannot be made.
    pub fn layer(&self, grid: &TerrainGrid, map: &RollingMap) -> Result<Option<Raster>, CoreError> {
        if self.cells.is_empty() {
            return Ok(None);
        }
        let (e, n) = (&grid.elevation, map.side());
        let data = (0..n * n)
            .map(|i| {
                let (col, row) = (i % n, i / n);
                let known = self.cells.get(map.index(col, row)).filter(|p| {
                    p.pixels > 0.0 && p.cell == map.absolute(col, row) && !e.get(col, row).is_nan()
                });
                known.map_or(f32::NAN, |p| p.contrast)
            })
            .collect();
        Raster::new(n, n, e.resolution_m(), e.origin_m(), data).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::GridConfig,
        input::{DepthImage, DepthNoise},
        testing,
    };
    use nalgebra::{Isometry3, Translation3, UnitQuaternion};
    use sojourn_core::Stamp;

    const SIDE: usize = 200;

    /// A camera 10 m over flat ground at (`x_m`, 0) that looks straight down: 5 cm of ground a pixel, columns to the east,
    /// rows to the south.
    fn view(x_m: f64) -> View {
        let camera = Pinhole {
            fx: 200.0,
            fy: 200.0,
            cx: 99.5,
            cy: 99.5,
            width: SIDE,
            height: SIDE,
        };
        let down =
            UnitQuaternion::from_axis_angle(&nalgebra::Vector3::x_axis(), std::f64::consts::PI);
        View {
            image: DepthImage {
                stamp: Stamp(1),
                width: SIDE,
                height: SIDE,
                depth_m: vec![10.0; SIDE * SIDE],
                noise: DepthNoise::Rover,
            },
            camera,
            odom_from_camera: Isometry3::from_parts(Translation3::new(x_m, 0.0, 10.0), down),
            odom_from_base: Isometry3::translation(100.0, 0.0, 0.0),
        }
    }

    fn image(level: impl Fn(f64) -> f64) -> GreyImage {
        GreyImage {
            stamp: Stamp(1),
            width: SIDE,
            height: SIDE,
            pixels: (0..SIDE * SIDE)
                .map(|i| level(0.05 * ((i % SIDE) as f64 - 99.5)).clamp(0.0, 255.0) as u8)
                .collect(),
        }
    }

    #[test]
    fn waves_of_light_stay_where_they_are_whatever_the_exposure() {
        let config = testing::config();
        let map = RollingMap::new(GridConfig {
            cells: 120,
            resolution_m: 0.1,
        });
        let grid = testing::grid(6.0, |_, _| 0.0);
        let own = Footprint::Disc(0.5);
        let wave = |x: f64| 1.0 + 0.2 * (std::f64::consts::TAU * x / 1.5).sin();
        let mut texture = Texture::default();
        assert_eq!(texture.layer(&grid, &map).unwrap(), None);
        // Twice as bright from 1 m farther on, and darker to one side: the same waves.
        let mut entered = texture.enter(&image(|x| 80.0 * wave(x)), &view(0.0), &map, own, &config);
        assert!(entered > 9_000, "{entered}");
        let second = image(|x| (160.0 - 4.0 * x) * wave(x + 1.0));
        entered = texture.enter(&second, &view(1.0), &map, own, &config);
        assert!(entered > 9_000, "{entered}");
        let layer = texture.layer(&grid, &map).unwrap().unwrap();
        for k in -30..=30 {
            let x = 0.1 * f64::from(k) + 0.05;
            let seen = layer.nearest(x, 1.0).unwrap();
            assert!(
                (seen - wave(x).ln()).abs() < 0.06,
                "{x} {seen} {}",
                wave(x).ln()
            );
        }
        // An image of another size, or cut off, says nothing.
        let mut wrong = image(wave);
        wrong.pixels.pop();
        assert_eq!(texture.enter(&wrong, &view(0.0), &map, own, &config), 0);
        wrong.height -= 1;
        assert_eq!(texture.enter(&wrong, &view(0.0), &map, own, &config), 0);
        // Nothing is said of ground that the grid does not know, and nothing once it is forgotten.
        let unknown = testing::grid(6.0, |_, _| f64::NAN);
        let layer = texture.layer(&unknown, &map).unwrap().unwrap();
        assert!(layer.data().iter().all(|v| v.is_nan()));
        texture.clear();
        assert_eq!(texture.layer(&grid, &map).unwrap(), None);
    }
}
