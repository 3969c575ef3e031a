//! One depth image to heights per cell of the map's window.

use crate::{
    config::Config,
    core::{DepthImage, DepthNoise},
    map::RollingMap,
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
    fn add(&mut self, z_m: f64, noise_m2: f64) {
        self.count += 1;
        self.low_m = self.low_m.min(z_m as f32);
        self.high_m = self.high_m.max(z_m as f32);
        self.sum_m += z_m;
        self.sum_m2 += z_m * z_m;
        self.noise_m2 += noise_m2;
    }

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
    across: Vec<Vector3<f64>>,
    together: f64,
}

impl Projector {
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
        for &i in &self.touched {
            if let Some(s) = self.sums.get_mut(i) {
                *s = NO_POINTS;
            }
        }
        self.touched.clear();
        self.sums.resize(n * n, NO_POINTS);
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
        let to_cells = |v: Vector3<f64>| Vector3::new(v.x / res_m, v.y / res_m, v.z);
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
        let per_px = 1.0 / (camera.fx * navcam.baseline_m);
        let everywhere = per_px * navcam.disparity_sigma_px;
        let sigmas: &[f32] = match &image.noise {
            DepthNoise::Rover => &[],
            DepthNoise::Matched { sigma_px, .. } => sigma_px,
        };
        self.together = match image.noise {
            DepthNoise::Rover => 1.0,
            DepthNoise::Matched { together, .. } => together.max(1.0),
        };
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
            for (k, (&z, across)) in line.iter().step_by(stride).zip(&self.across).enumerate() {
                let z = f64::from(z);
                // false for not-a-number
                if !(z >= near && z <= far) {
                    continue;
                }
                usable += 1;
                let p = start + (base + across) * z;
                if !(p.x >= 0.0 && p.y >= 0.0 && p.x < side && p.y < side) {
                    continue;
                }
                let i = p.y as usize * n + p.x as usize;
                if i != cell {
                    write(&mut self.sums, &mut self.touched, cell, &run);
                    (cell, run) = (i, NO_POINTS);
                }
                let sigma = row_sigmas
                    .get(k * stride)
                    .map_or(everywhere, |px| per_px * f64::from(*px));
                let noise_m = p.z * z * sigma;
                run.add(p.z, noise_m * noise_m);
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

fn write(sums: &mut [Sums], touched: &mut Vec<usize>, cell: usize, run: &Sums) {
    if let Some(s) = sums.get_mut(cell) {
        if s.count == 0 {
            touched.push(cell);
        }
        s.join(run);
    }
}
