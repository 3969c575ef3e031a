//! Cells that are seen through: where rays of an image pass below the height of a cell and end behind it, that height is
//! wrong (something moved, odometry slipped, or matching erred), and the cell becomes unknown.
//!
//! The test goes from the cell to the image: a point below the cell's height by its uncertainty is projected, and the
//! depth found there has to lie well beyond it; in the middle of the cell and in its four corners alike, so that a rock
//! that fills part of a cell stays. Pixels without depth prove nothing.
//!
//! Cells are many and wide in memory, and a camera sees a wedge of them: per row of the window only the columns are gone
//! through that could lie in the image, whatever their height within what the map has ever held.

use crate::{
    cell::UNKNOWN,
    config::Config,
    input::DepthImage,
    map::{Held, RollingMap},
};
use nalgebra::{Isometry3, Matrix3, Vector3};
use sojourn_core::{Stamp, camera::Pinhole};
use std::ops::Range;

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

/// Where cells can lie that an image could see through, seen from above: on the near side of no plane through the camera's
/// eye that its left, its right or what is behind it would be beyond, and within reach.
struct Wedge {
    /// Normals in `odom`, pointing inwards, with the most that a height within bounds adds to the distance.
    planes: [([f64; 2], f64); 3],
    reach2_m2: f64,
}

impl Wedge {
    fn new(rays: &Rays<'_>, z_m: [f64; 2], reach2_m2: f64) -> Self {
        let c = rays.camera;
        let rotation = rays.odom_from_camera.rotation.to_rotation_matrix();
        let odom_from_camera: &Matrix3<f64> = rotation.matrix();
        // As `Rays::passes` has it: 0 <= fx x / z + cx + 0.5 < width, and z > 0.
        let inwards = [
            Vector3::new(c.fx, 0.0, c.cx + 0.5),
            Vector3::new(-c.fx, 0.0, c.width as f64 - c.cx - 0.5),
            Vector3::new(0.0, 0.0, 1.0),
        ];
        let eye_m = rays.odom_from_camera.translation.vector.z;
        let planes = inwards.map(|n| {
            let n = odom_from_camera * n;
            let most = z_m.map(|z| n.z * (z - eye_m));
            ([n.x, n.y], most[0].max(most[1]))
        });
        Self { planes, reach2_m2 }
    }

    /// The columns of a row of `n` cells that can hold such cells: more than these at most, never fewer. The row lies
    /// `dy_m` north of the eye and its first cell `dx_m` east of it.
    fn columns(&self, dx_m: f64, dy_m: f64, res_m: f64, n: usize) -> Range<usize> {
        let half_m = (self.reach2_m2 - dy_m * dy_m).max(0.0).sqrt();
        let (mut from_m, mut to_m) = (-half_m, half_m);
        for ([east, north], most) in self.planes {
            let rest = north * dy_m + most;
            if east > 0.0 {
                from_m = from_m.max(-rest / east);
            } else if east < 0.0 {
                to_m = to_m.min(-rest / east);
            } else if rest < 0.0 {
                return 0..0;
            }
        }
        // A cell of room for rounding and another for its corners.
        let from = ((from_m - dx_m) / res_m).floor() - 2.0;
        let to = ((to_m - dx_m) / res_m).ceil() + 3.0;
        (from.max(0.0) as usize).min(n)..(to.max(0.0) as usize).min(n)
    }
}

impl Held {
    /// The greatest standard deviation that [`crate::cell::Cell::sigma_m`] can tell of a cell, metres.
    fn sigma_m(&self, travel_m: f64, height_per_m: f64) -> f64 {
        let [first, last] = self.travel_m;
        let driven_m = last.max(travel_m) - first.min(travel_m);
        (self.variance_m2 + (height_per_m * driven_m).powi(2)).sqrt()
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
        let held = self.held;
        let most_below_m = p.sigmas * held.sigma_m(travel_m, drift.height_per_m) + p.below_m;
        let z_m = [held.height_m[0] - most_below_m, held.height_m[1]];
        let wedge = Wedge::new(rays, z_m, reach2_m2);
        let mut cleared = 0;
        for row in 0..n {
            let y = oy + (row as f64 + 0.5) * res_m;
            for col in wedge.columns(ox + 0.5 * res_m - eye.x, y - eye.y, res_m, n) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::DepthNoise;
    use nalgebra::UnitQuaternion;
    use proptest::prelude::*;
    use std::f64::consts::PI;

    const CAMERA: Pinhole = Pinhole {
        fx: 500.0,
        fy: 480.0,
        cx: 300.0,
        cy: 260.0,
        width: 640,
        height: 480,
    };

    proptest! {
        /// Whatever camera, height and place: a point that falls into the image lies in the columns of its row, and so do
        /// the cells beside it.
        #[test]
        fn nothing_in_the_image_is_left_out(
            yaw in -PI..PI, pitch in -1.2..1.2f64, roll in -0.5..0.5f64, eye in (-4.0..4.0f64, -4.0..4.0f64, -3.0..3.0f64),
            row in 0usize..300, col in 0usize..300, low in -3.0..1.0f64, more in 0.0..3.0f64, share in 0.0..1.0f64,
        ) {
            let image = DepthImage {
                stamp: Stamp(0),
                width: 0,
                height: 0,
                depth_m: Vec::new(),
                noise: DepthNoise::Rover,
            };
            // A camera's z is ahead, its y down.
            let ahead = UnitQuaternion::from_euler_angles(-0.5 * PI, 0.0, -0.5 * PI);
            let rotation = UnitQuaternion::from_euler_angles(roll, pitch, yaw) * ahead;
            let rays = Rays {
                image: &image,
                camera: &CAMERA,
                odom_from_camera: Isometry3::from_parts(Vector3::new(eye.0, eye.1, eye.2).into(), rotation),
                noise_per_m: 0.0,
            };
            let (res_m, n, reach_m) = (0.1, 300, 15.0);
            let (dx0, dy) = (-15.0 + 0.5 * res_m - eye.0, -15.0 + (row as f64 + 0.5) * res_m - eye.1);
            let columns = Wedge::new(&rays, [low, low + more], reach_m * reach_m).columns(dx0, dy, res_m, n);
            let off = Vector3::new(dx0 + col as f64 * res_m, dy, low + share * more - eye.2);
            let in_image = CAMERA.project(rotation.inverse() * off).is_some_and(|[u, v]| {
                (-0.5..639.5).contains(&u) && (-0.5..479.5).contains(&v)
            });
            if in_image && off.x.hypot(off.y) <= reach_m {
                for c in col.saturating_sub(1)..=(col + 1).min(n - 1) {
                    prop_assert!(columns.contains(&c), "{c} of {columns:?}");
                }
            }
        }
    }

    #[test]
    fn a_camera_that_looks_along_a_row_sees_a_part_of_it() {
        let image = DepthImage {
            stamp: Stamp(0),
            width: 0,
            height: 0,
            depth_m: Vec::new(),
            noise: DepthNoise::Rover,
        };
        let rays = Rays {
            image: &image,
            camera: &CAMERA,
            odom_from_camera: Isometry3::from_parts(
                Vector3::zeros().into(),
                UnitQuaternion::from_euler_angles(-0.5 * PI, 0.0, -0.5 * PI),
            ),
            noise_per_m: 0.0,
        };
        let wedge = Wedge::new(&rays, [-0.5, 0.5], 100.0);
        // Straight east: what lies ahead, up to the reach.
        assert_eq!(wedge.columns(-15.0, 0.0, 0.1, 300), 148..253);
        // 3 m north the image begins 3 · fx / (cx + 0.5) = 5 m ahead.
        let north = wedge.columns(-15.0, 3.0, 0.1, 300);
        assert!((197..=200).contains(&north.start), "{north:?}");
        assert!(wedge.columns(-15.0, 11.0, 0.1, 300).len() < 8);
    }
}
