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
        self.low_m = self.low_m.min(z_m as f32);
        self.high_m = self.high_m.max(z_m as f32);
        self.sum_m += z_m;
        self.sum_m2 += z_m * z_m;
        self.noise_m2 += noise_m2;
    }

    #[inline]
    fn join(&mut self, other: &Self) {
        self.count += other.count;
        self.low_m = self.low_m.min(other.low_m);
        self.high_m = self.high_m.max(other.high_m);
        self.sum_m += other.sum_m;
        self.sum_m2 += other.sum_m2;
        self.noise_m2 += other.noise_m2;
    }
}

/// Room for the sums of one image, kept from image to image.
#[derive(Clone, Debug, Default)]
pub struct Projector {
    sums: Vec<Sums>,
    touched: Vec<usize>,
    across: Vec<[f64; 3]>,
    together: f64,
}

impl Projector {
    /// Forgets the last image.
    fn begin(&mut self, n: usize) {
        for &i in &self.touched {
            if let Some(s) = self.sums.get_mut(i) {
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
            let cell = y as usize * n + x as usize;
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
        self.across.clear();
        self.across.extend(
            (0..camera.width)
                .step_by(stride)
                .map(|u| to_cells(right * camera.ray(u as f64, 0.0).x)),
        );
        let (near, far, side) = (
            config.params.range_min_m,
            config.range_max_m,
            map.side() as f64,
        );
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
        let mut usable = 0;
        for (v, line) in image
            .depth_m
            .chunks_exact(camera.width)
            .enumerate()
            .step_by(stride)
        {
            let base = to_cells(ahead + down * camera.ray(0.0, v as f64).y);
            let row_sigmas = sigmas.get(v * camera.width..).unwrap_or_default();
            // Neighbouring pixels mostly fall into one cell: they are summed before they are written.
            let (mut cell, mut run) = (usize::MAX, NO_POINTS);
            for (k, across) in self.across.iter().enumerate() {
                let Some(&z) = line.get(k * stride) else {
                    break;
                };
                let z = f64::from(z);
                // false for not-a-number
                if !(z >= near && z <= far) {
                    continue;
                }
                usable += 1;
                let x = start[0] + (base[0] + across[0]) * z;
                let y = start[1] + (base[1] + across[1]) * z;
                let height_m = (base[2] + across[2]) * z;
                if !(x >= 0.0 && y >= 0.0 && x < side && y < side) {
                    continue;
                }
                let i = y as usize * n + x as usize;
                if i != cell {
                    write(&mut self.sums, &mut self.touched, cell, &run);
                    (cell, run) = (i, NO_POINTS);
                }
                let sigma = row_sigmas
                    .get(k * stride)
                    .map_or(everywhere, |px| per_px * f64::from(*px));
                let noise_m = height_m * z * sigma;
                let mut noise_m2 = noise_m * noise_m;
                if sigma_m > 0.0 {
                    noise_m2 += (height_m / z * sigma_m).powi(2);
                }
                run.add(height_m, noise_m2);
            }
            write(&mut self.sums, &mut self.touched, cell, &run);
        }
        usable
    }

    /// What the last [`Projector::sum`] found, cell by cell.
    pub fn observations<'a>(
        &'a self,
        odom_from_camera: &Isometry3<f64>,
        map: &RollingMap,
    ) -> impl Iterator<Item = Observation> + 'a {
        let (n, res_m, [ox, oy]) = (map.side(), map.resolution_m(), map.origin_m());
        let t = odom_from_camera.translation.vector;
        let together = self.together.max(1.0);
        self.touched.iter().filter_map(move |&i| {
            let s = self.sums.get(i)?;
            let count = f64::from(s.count);
            let mean_m = s.sum_m / count;
            let spread_m2 = if s.count > 1 {
                ((s.sum_m2 - s.sum_m * mean_m) / (count - 1.0)).max(0.0)
            } else {
                0.0
            };
            let (col, row) = (i % n, i / n);
            let x = ox + (col as f64 + 0.5) * res_m - t.x;
            let y = oy + (row as f64 + 0.5) * res_m - t.y;
            let range_m = x.hypot(y);
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
fn write(sums: &mut [Sums], touched: &mut Vec<usize>, cell: usize, run: &Sums) {
    if let Some(s) = sums.get_mut(cell) {
        if s.count == 0 {
            touched.push(cell);
        }
        s.join(run);
    }
}
