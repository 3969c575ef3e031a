//! One depth image to heights per cell of the map's window.

use crate::{
    cloud::PointCloud,
    config::Config,
    input::{DepthImage, DepthNoise},
    map::RollingMap,
    sensors::SensorParams,
};
use nalgebra::{Isometry3, Vector3};
use sojourn_core::{camera::Pinhole, rover::Navcam};

/// What one image says about one cell of the window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    /// Column in the window, from the west.
    pub col: usize,
    /// Row in the window, from the south.
    pub row: usize,
    /// Number of pixels.
    pub count: u32,
    /// Mean height in `odom`, metres.
    pub mean_m: f64,
    /// Variance of that mean by the sensor's noise, m².
    pub mean_variance_m2: f64,
    /// Spread of the points, m²; what a single point cannot tell is 0.
    pub spread_m2: f64,
    /// Spread of the points beyond what the sensor's noise explains, m²: a step inside the cell.
    pub step_m2: f64,
    /// Horizontal distance from the camera to the cell, metres.
    pub range_m: f64,
    /// Variance of where along the line of sight the points lie on average, horizontally, m².
    pub along_m2: f64,
    /// Lowest and highest point, metres in `odom`.
    pub low_m: f64,
    /// See [`Observation::low_m`].
    pub high_m: f64,
}

/// Least height of the camera over a point that its line of sight is taken to fall by, metres.
const LEAST_DROP_M: f64 = 0.3;

/// Sums over the points of a cell; heights over the camera.
#[derive(Clone, Copy, Debug)]
struct Sums {
    count: u32,
    low_m: f32,
    high_m: f32,
    sum_m: f64,
    sum_m2: f64,
    // Sum of the variances of the points' heights.
    noise_m2: f64,
}

const NO_POINTS: Sums = Sums {
    count: 0,
    low_m: f32::INFINITY,
    high_m: f32::NEG_INFINITY,
    sum_m: 0.0,
    sum_m2: 0.0,
    noise_m2: 0.0,
};

impl Sums {
    #[inline]
    fn add(&mut self, z_m: f64, noise_m2: f64) {
        self.count += 1;
        (self.low_m, self.high_m) = (least(self.low_m, z_m as f32), most(self.high_m, z_m as f32));
        self.sum_m += z_m;
        self.sum_m2 += z_m * z_m;
        self.noise_m2 += noise_m2;
    }

    #[inline]
    fn join(&mut self, other: &Self) {
        self.count += other.count;
        (self.low_m, self.high_m) = (
            least(self.low_m, other.low_m),
            most(self.high_m, other.high_m),
        );
        self.sum_m += other.sum_m;
        self.sum_m2 += other.sum_m2;
        self.noise_m2 += other.noise_m2;
    }
}

/// The lesser of two heights, which are numbers: one instruction, where `f32::min` also minds not-a-number.
#[inline]
fn least(a: f32, b: f32) -> f32 {
    if b < a { b } else { a }
}

/// The greater of two heights.
#[inline]
fn most(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}

/// No cell of the window.
const OUTSIDE: u32 = u32::MAX;

/// One row of an image as it falls on the window: worked out for all its pixels at once, then summed.
#[derive(Clone, Debug, Default)]
struct Row {
    // Per column: how far one metre of depth goes east, north (in cells) and up.
    across: [Vec<f64>; 3],
    // Per pixel: cell or OUTSIDE, height over the camera, variance of that height.
    cells: Vec<u32>,
    heights_m: Vec<f64>,
    noises_m2: Vec<f64>,
    depths_m: Vec<f64>,
    // Where they lie, cells from the window's corner.
    cols: Vec<f64>,
    rows: Vec<f64>,
}

/// Room for the sums of one image, kept from image to image.
#[derive(Clone, Debug, Default)]
pub struct Projector {
    sums: Vec<Sums>,
    touched: Vec<u32>,
    row: Row,
    together: f64,
}

/// Where the rays of a row begin and what they gain per metre of depth beside what their column adds; cells and metres.
#[derive(Clone, Copy, Debug)]
struct Rays {
    start: [f64; 2],
    base: [f64; 3],
    near_m: f64,
    far_m: f64,
    side: f64,
}

impl Row {
    fn resize(&mut self, n: usize) {
        self.cells.resize(n, OUTSIDE);
        for v in [
            &mut self.heights_m,
            &mut self.noises_m2,
            &mut self.depths_m,
            &mut self.cols,
            &mut self.rows,
        ] {
            v.resize(n, 0.0);
        }
    }

    /// Cells and heights of every `stride`-th pixel of a line; returns how many have a usable depth.
    fn place(&mut self, line: &[f32], stride: usize, rays: &Rays) -> usize {
        let [east, north, up] = &self.across;
        let within_m = [rays.near_m, rays.far_m];
        let usable = if stride == 1 {
            usable(line.iter(), within_m, &mut self.depths_m)
        } else {
            usable(line.iter().step_by(stride), within_m, &mut self.depths_m)
        };
        let depths_m = &self.depths_m;
        gain(depths_m, up, rays.base[2], 0.0, &mut self.heights_m);
        gain(depths_m, east, rays.base[0], rays.start[0], &mut self.cols);
        gain(depths_m, north, rays.base[1], rays.start[1], &mut self.rows);
        number(&self.cols, &self.rows, rays.side, &mut self.cells);
        usable
    }
}

/// Depths within a range, not-a-number for others; returns how many there are.
#[inline]
fn usable<'a>(
    line: impl Iterator<Item = &'a f32>,
    [near_m, far_m]: [f64; 2],
    to: &mut [f64],
) -> usize {
    let mut count = 0u32;
    for (to, z) in to.iter_mut().zip(line) {
        let z = f64::from(*z);
        // false for not-a-number
        let is_usable = (z >= near_m) & (z <= far_m);
        count += u32::from(is_usable);
        *to = if is_usable { z } else { f64::NAN };
    }
    count as usize
}

/// Where the rays of a row are at their depths, along one axis. As [`number`] a function of its own with plain slices, of
/// which the compiler makes vector instructions.
#[inline(never)]
fn gain(depths_m: &[f64], across: &[f64], base: f64, start: f64, to: &mut [f64]) {
    for ((to, z), across) in to.iter_mut().zip(depths_m).zip(across) {
        *to = start + (base + across) * z;
    }
}

/// Numbers of the cells that columns and rows lie in, or [`OUTSIDE`].
#[inline(never)]
fn number(cols: &[f64], rows: &[f64], side: f64, cells: &mut [u32]) {
    for ((cell, x), y) in cells.iter_mut().zip(cols).zip(rows) {
        let is_inside = (*x >= 0.0) & (*y >= 0.0) & (*x < side) & (*y < side);
        let at = whole(whole_part(*y) * side + whole_part(*x));
        *cell = if is_inside { at } else { OUTSIDE };
    }
}

/// From here on a 64-bit number holds whole numbers alone.
const WHOLE_FROM: f64 = 4_503_599_627_370_496.0;

/// The whole part of a number from 0 to 2³¹; anything for others. (`f64::floor` is a call where the processor is not known
/// to have the instruction.)
#[inline]
fn whole_part(v: f64) -> f64 {
    let nearest = (v + WHOLE_FROM) - WHOLE_FROM;
    nearest - f64::from(u8::from(nearest > v))
}

/// A whole number from 0 to 2³¹; anything for others.
#[inline]
fn whole(v: f64) -> u32 {
    (v + WHOLE_FROM).to_bits() as u32
}

impl Projector {
    /// Forgets the last image.
    fn begin(&mut self, n: usize) {
        for &i in &self.touched {
            if let Some(s) = self.sums.get_mut(i as usize) {
                *s = NO_POINTS;
            }
        }
        self.touched.clear();
        self.sums.resize(n * n, NO_POINTS);
        self.together = 1.0;
    }

    /// Brings the points of a cloud into `odom` and sums heights per cell, with the noise along the ray that the sensor's
    /// parameters tell. Returns the number of points within its range, inside the window or not.
    pub fn sum_points(
        &mut self,
        cloud: &PointCloud,
        sensor: &SensorParams,
        odom_from_sensor: &Isometry3<f64>,
        map: &RollingMap,
    ) -> usize {
        let (n, res_m, [ox, oy]) = (map.side(), map.resolution_m(), map.origin_m());
        self.begin(n);
        let rot = odom_from_sensor.rotation.to_rotation_matrix();
        let t = odom_from_sensor.translation.vector;
        let mut usable = 0;
        for p in &cloud.points_m {
            let p = Vector3::new(f64::from(p[0]), f64::from(p[1]), f64::from(p[2]));
            let range_m = p.norm();
            let near_m = sensor.range_min_m.max(1e-6);
            if !(range_m >= near_m && range_m <= sensor.range_max_m) {
                continue;
            }
            usable += 1;
            let q = rot * p;
            let (x, y) = ((q.x + t.x - ox) / res_m, (q.y + t.y - oy) / res_m);
            if !(x >= 0.0 && y >= 0.0 && x < n as f64 && y < n as f64) {
                continue;
            }
            // The height takes its share of the error along the ray.
            let sigma_m = sensor
                .sigma_m
                .hypot(sensor.sigma_per_m2 * range_m * range_m);
            let noise_m = q.z / range_m * sigma_m;
            let mut point = NO_POINTS;
            point.add(q.z, noise_m * noise_m);
            let cell = y as u32 * n as u32 + x as u32;
            write(&mut self.sums, &mut self.touched, cell, &point);
        }
        usable
    }

    /// Brings every usable pixel into `odom` and sums heights per cell. Returns the number of pixels that had a usable
    /// depth, inside the window or not.
    pub fn sum(
        &mut self,
        image: &DepthImage,
        camera: &Pinhole,
        navcam: &Navcam,
        odom_from_camera: &Isometry3<f64>,
        map: &RollingMap,
        config: &Config,
    ) -> usize {
        let n = map.side();
        self.begin(n);
        let (stride, res_m) = (config.params.stride_px, map.resolution_m());
        let rot = odom_from_camera.rotation.to_rotation_matrix();
        let (right, down, ahead) = (
            rot.matrix().column(0).into_owned(),
            rot.matrix().column(1).into_owned(),
            rot.matrix().column(2).into_owned(),
        );
        let [ox, oy] = map.origin_m();
        let t = odom_from_camera.translation.vector;
        // In cells from the window's corner, so that the inner loop only multiplies and adds.
        let to_cells = |v: Vector3<f64>| [v.x / res_m, v.y / res_m, v.z];
        let start = to_cells(Vector3::new(t.x - ox, t.y - oy, 0.0));
        let columns = camera.width.div_ceil(stride);
        self.row.resize(columns);
        for (k, across) in self.row.across.iter_mut().enumerate() {
            let rays = (0..camera.width).step_by(stride);
            across.clear();
            across.extend(rays.map(|u| to_cells(right * camera.ray(u as f64, 0.0).x)[k]));
        }
        // sigma_Z = Z² sigma_d / (f B), and the height takes its share of it.
        let everywhere = noise_per_m(image, camera, navcam);
        let (mut sigmas, mut per_px, mut sigma_m): (&[f32], f64, f64) = (&[], 0.0, 0.0);
        match &image.noise {
            DepthNoise::Rover => {}
            DepthNoise::Sensor { sigma_m: s, .. } => sigma_m = *s,
            DepthNoise::Matched {
                sigma_px,
                together,
                baseline_m,
            } => {
                (sigmas, per_px) = (sigma_px, 1.0 / (camera.fx * baseline_m));
                self.together = together.max(1.0);
            }
        }
        let mut rays = Rays {
            start: [start[0], start[1]],
            base: [0.0; 3],
            near_m: config.params.range_min_m,
            far_m: config.range_max_m,
            side: n as f64,
        };
        let mut usable = 0;
        for (v, line) in image
            .depth_m
            .chunks_exact(camera.width)
            .enumerate()
            .step_by(stride)
        {
            rays.base = to_cells(ahead + down * camera.ray(0.0, v as f64).y);
            let row = &mut self.row;
            usable += row.place(line, stride, &rays);
            let pixels = row
                .noises_m2
                .iter_mut()
                .zip(row.heights_m.iter().zip(&row.depths_m));
            if let Some(sigmas) = sigmas.get(v * camera.width..).filter(|s| !s.is_empty()) {
                let sigmas = sigmas.iter().step_by(stride);
                for ((noise_m2, (height_m, z)), px) in pixels.zip(sigmas) {
                    *noise_m2 = (height_m * z * (per_px * f64::from(*px))).powi(2);
                }
            } else {
                for (noise_m2, (height_m, z)) in pixels {
                    *noise_m2 = (height_m * z * everywhere).powi(2);
                }
            }
            if sigma_m > 0.0 {
                for (noise_m2, (height_m, z)) in row
                    .noises_m2
                    .iter_mut()
                    .zip(row.heights_m.iter().zip(&row.depths_m))
                {
                    *noise_m2 += (height_m / z * sigma_m).powi(2);
                }
            }
            self.add_row();
        }
        usable
    }

    /// Sums the row that was placed. Neighbouring pixels mostly fall into one cell: they are summed before they are written.
    fn add_row(&mut self) {
        let (mut cell, mut run) = (OUTSIDE, NO_POINTS);
        let row = &self.row;
        let pixels = row.heights_m.iter().zip(&row.noises_m2);
        for (at, (height_m, noise_m2)) in row.cells.iter().zip(pixels) {
            if *at == OUTSIDE {
                continue;
            }
            if *at != cell {
                write(&mut self.sums, &mut self.touched, cell, &run);
                (cell, run) = (*at, NO_POINTS);
            }
            run.add(*height_m, *noise_m2);
        }
        write(&mut self.sums, &mut self.touched, cell, &run);
    }

    /// What the last [`Projector::sum`] found, cell by cell.
    pub fn observations<'a>(
        &'a self,
        odom_from_camera: &Isometry3<f64>,
        map: &RollingMap,
    ) -> impl Iterator<Item = Observation> + use<'a> {
        let (n, res_m, [ox, oy]) = (map.side() as u32, map.resolution_m(), map.origin_m());
        let t = odom_from_camera.translation.vector;
        let together = self.together.max(1.0);
        self.touched.iter().filter_map(move |&i| {
            let s = self.sums.get(i as usize)?;
            let count = f64::from(s.count);
            let mean_m = s.sum_m / count;
            let spread_m2 = if s.count > 1 {
                ((s.sum_m2 - s.sum_m * mean_m) / (count - 1.0)).max(0.0)
            } else {
                0.0
            };
            let (col, row) = ((i % n) as usize, (i / n) as usize);
            let x = ox + (col as f64 + 0.5) * res_m - t.x;
            let y = oy + (row as f64 + 0.5) * res_m - t.y;
            let range_m = (x * x + y * y).sqrt();
            let noise_m2 = s.noise_m2 / count;
            let independent = (count / together).max(1.0);
            Some(Observation {
                col,
                row,
                count: s.count,
                mean_m: mean_m + t.z,
                mean_variance_m2: noise_m2 / independent,
                spread_m2,
                low_m: f64::from(s.low_m) + t.z,
                high_m: f64::from(s.high_m) + t.z,
                step_m2: (spread_m2 - noise_m2).max(0.0),
                range_m,
                along_m2: noise_m2 / independent
                    * (range_m / mean_m.abs().max(LEAST_DROP_M)).powi(2),
            })
        })
    }
}

/// Standard deviation of a depth over its square, 1/m: of all pixels, or of the rover's camera where matching tells it for
/// each.
pub(crate) fn noise_per_m(image: &DepthImage, camera: &Pinhole, navcam: &Navcam) -> f64 {
    match &image.noise {
        DepthNoise::Rover => navcam.disparity_sigma_px / (camera.fx * navcam.baseline_m),
        DepthNoise::Matched { baseline_m, .. } => {
            navcam.disparity_sigma_px / (camera.fx * baseline_m)
        }
        DepthNoise::Sensor { per_m2, .. } => *per_m2,
    }
}

#[inline]
fn write(sums: &mut [Sums], touched: &mut Vec<u32>, cell: u32, run: &Sums) {
    // OUTSIDE is beyond every map.
    if let Some(s) = sums.get_mut(cell as usize) {
        if s.count == 0 {
            touched.push(cell);
        }
        s.join(run);
    }
}
