//! Cells that are seen through: where rays of an image pass below the height of a cell and end behind it, that height is
//! wrong (something moved, odometry slipped, or matching erred), and the cell becomes unknown.
//!
//! The test goes from the cell to the image: a point below the cell's height by its uncertainty is projected, and the
//! depth found there has to lie well beyond it; in the middle of the cell and in its four corners alike, so that a rock
//! that fills part of a cell stays. Pixels without depth prove nothing.

use crate::{cell::UNKNOWN, config::Config, input::DepthImage, map::RollingMap};
use nalgebra::{Isometry3, Vector3};
use sojourn_core::{Stamp, camera::Pinhole};

/// Middle and corners of a cell, in sides of it.
const PLACES: [[f64; 2]; 5] = [
    [0.0, 0.0],
    [-0.5, -0.5],
    [0.5, -0.5],
    [-0.5, 0.5],
    [0.5, 0.5],
];

/// What an image can be asked.
pub(crate) struct Rays<'a> {
    pub image: &'a DepthImage,
    pub camera: &'a Pinhole,
    pub odom_from_camera: Isometry3<f64>,
    /// Standard deviation of depth per square metre of depth, 1/m.
    pub noise_per_m: f64,
}

impl Rays<'_> {
    /// Whether the ray through a point of the camera's frame is known to end more than `beyond_m` behind it.
    #[inline]
    fn passes(&self, at: Vector3<f64>, beyond_m: f64, sigmas: f64) -> bool {
        let Some([u, v]) = self.camera.project(at) else {
            return false;
        };
        // The nearest pixel.
        let (u, v) = (u + 0.5, v + 0.5);
        let inside =
            u >= 0.0 && v >= 0.0 && u < self.camera.width as f64 && v < self.camera.height as f64;
        if !inside {
            return false;
        }
        let i = v as u32 as usize * self.camera.width + u as u32 as usize;
        let depth = self
            .image
            .depth_m
            .get(i)
            .map_or(f64::NAN, |d| f64::from(*d));
        depth.is_finite() && depth - at.z > beyond_m + sigmas * self.noise_per_m * depth * depth
    }
}

impl RollingMap {
    /// Forgets the cells that an image sees through, apart from those that it has seen itself (`seen`); returns how many.
    pub(crate) fn clear_seen_through(
        &mut self,
        rays: &Rays<'_>,
        seen: Stamp,
        travel_m: f64,
        config: &Config,
    ) -> usize {
        let (n, res_m, [ox, oy]) = (self.side(), self.resolution_m(), self.origin_m());
        let p = &config.params.clearing;
        let drift = &config.params.drift;
        let eye = rays.odom_from_camera.translation.vector;
        let odom_from_camera = rays.odom_from_camera.rotation.to_rotation_matrix();
        let camera_from_odom = odom_from_camera.matrix().transpose();
        let reach2_m2 = (1.5 * config.range_max_m).powi(2);
        // The middle of the image, seen from above; what lies behind the camera needs no projection.
        let ahead = odom_from_camera.matrix().column(2).into_owned();
        let mut cleared = 0;
        for row in 0..n {
            let y = oy + (row as f64 + 0.5) * res_m;
            for col in 0..n {
                let x = ox + (col as f64 + 0.5) * res_m;
                let i = self.index(col, row);
                let Some(cell) = self.cells.get(i).filter(|c| !c.height_m.is_nan()) else {
                    continue;
                };
                let (dx, dy) = (x - eye.x, y - eye.y);
                let behind = dx * ahead.x + dy * ahead.y + (cell.height_m - eye.z) * ahead.z <= 0.0;
                if behind || cell.seen == seen || dx * dx + dy * dy > reach2_m2 {
                    continue;
                }
                let below_m = p.sigmas * cell.sigma_m(travel_m, drift) + p.below_m;
                let through = PLACES.iter().all(|[px, py]| {
                    let z = cell.height_m - below_m;
                    let off = Vector3::new(dx + px * res_m, dy + py * res_m, z - eye.z);
                    rays.passes(camera_from_odom * off, p.beyond_cells * res_m, p.sigmas)
                });
                if through && let Some(cell) = self.cells.get_mut(i) {
                    *cell = UNKNOWN;
                    cleared += 1;
                }
            }
        }
        cleared
    }
}
