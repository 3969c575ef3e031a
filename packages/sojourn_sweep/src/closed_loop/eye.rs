//! A fast stand-in for camera and stereo: what one image would tell the terrain grid, straight from ground truth.
//!
//! It sees what the camera sees: within the image, nearer than the camera's range, not behind other ground. Each cell gets
//! as many pixels as the image has there and the noise of stereo, `σ_Z = Z²·σ_d / (f·B)`, taken along the surface and
//! averaged over these pixels. Everything after that (which view of a cell counts, holes, the ground under the rover) is
//! done by perception's own rolling map, so that grids differ from those of rendered images only by how pixels are made.

use super::horizon::Horizon;
use nalgebra::{Isometry3, Vector3};
use sojourn_core::{
    Stamp,
    camera::Pinhole,
    frames::{BaseLink, Map, NavcamOptical, Odom, Transform},
    health::{Health, NodeState},
    raster::HeightField,
    rover::Rover,
    whole,
};
use sojourn_perception::{
    Config, TerrainGrid,
    map::{Footprint, RollingMap},
    pairing::{Lookup, OdometryBuffer, RoverPose},
    project::Observation,
};
use sojourn_twin::{
    noise,
    world::{Window, World},
};
use std::{collections::VecDeque, sync::Arc};

/// Places of a cell that are looked at, as shares of its side from its centre.
const PLACES: [[f64; 2]; 4] = [[-0.25, -0.25], [0.25, -0.25], [-0.25, 0.25], [0.25, 0.25]];
/// Cells along a side of a block, of which all are passed over together where the camera does not look.
const BLOCK: usize = 10;
/// Channel of the noise; the seed is the run's.
const CHANNEL: u64 = 0x5e_e1;

/// A moment at which the camera looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Glance {
    /// When.
    pub stamp: Stamp,
    /// Number of the image, from 0.
    pub number: u64,
    /// Where the rover truly is.
    pub map_from_base_link: Transform<Map, BaseLink>,
    /// Where the camera stands on it.
    pub base_link_from_navcam: Transform<BaseLink, NavcamOptical>,
}

/// The stand-in.
pub struct Eye {
    world: Arc<World>,
    config: Config,
    seed: u64,
    camera: Pinhole,
    /// `σ_d / (f·B)`, 1/m.
    noise_per_m: f64,
    start_area: Footprint,
    own_area: Footprint,
    map: RollingMap,
    odometry: OdometryBuffer,
    pending: VecDeque<Glance>,
    first_tick: Option<Stamp>,
    newest: Option<Stamp>,
    horizon: Horizon,
}

impl Eye {
    /// An eye that has seen nothing.
    #[must_use]
    pub fn new(world: Arc<World>, config: Config, rover: &Rover, seed: u64) -> Self {
        let camera = rover.navcam_pinhole();
        Self {
            noise_per_m: rover.navcam.disparity_sigma_px / (camera.fx * rover.navcam.baseline_m),
            start_area: Footprint::at_start(rover, config.params.footprint_margin_m),
            own_area: Footprint::under(rover),
            map: RollingMap::new(config.grid),
            odometry: OdometryBuffer::default(),
            pending: VecDeque::new(),
            first_tick: None,
            newest: None,
            horizon: Horizon::default(),
            world,
            config,
            seed,
            camera,
        }
    }

    /// Where the rover believes to be.
    pub fn odometry(&mut self, stamp: Stamp, pose: Transform<Odom, BaseLink>) {
        let first = self.odometry.newest().is_none();
        if !self.odometry.push(stamp, pose) {
            return;
        }
        let travel_m = self.odometry.newest().map_or(0.0, |p| p.travel_m);
        let at = pose.iso.translation.vector;
        self.map.recentre(at.x, at.y);
        let area = if first {
            self.start_area
        } else {
            self.own_area
        };
        let sigma_m = self.config.params.footprint_sigma_m;
        self.map
            .fill_under(&pose.iso, area, sigma_m, stamp, travel_m);
    }

    /// The camera looks.
    pub fn glance(&mut self, glance: Glance) {
        self.pending.push_back(glance);
    }

    /// The grid, when a glance has changed it.
    pub fn tick(&mut self, now: Stamp) -> (Option<TerrainGrid>, Health) {
        self.first_tick.get_or_insert(now);
        let mut changed = false;
        while let Some(glance) = self.pending.pop_front() {
            let p = &self.config.params;
            match self
                .odometry
                .at(glance.stamp, p.odometry_gap_s, p.rest_before_s)
            {
                Lookup::At(pose) => {
                    self.look(&glance, &pose);
                    changed = true;
                }
                Lookup::NotYet if now.since(glance.stamp) <= p.wait_s => {
                    self.pending.push_front(glance);
                    break;
                }
                Lookup::NotYet | Lookup::Never => {}
            }
        }
        let grid = match (changed, self.newest) {
            (true, Some(stamp)) => self.map.grid(stamp, &self.config).ok(),
            _ => None,
        };
        (grid, self.health(now))
    }

    fn health(&self, now: Stamp) -> Health {
        let since = self.newest.or(self.first_tick).unwrap_or(now);
        let silence_s = now.since(since);
        let allowed_s = self.config.image_period_s + self.config.params.image_error_s;
        if silence_s > allowed_s {
            return Health::error(
                NodeState::Fault,
                format!("no usable depth image for {silence_s:.1} s"),
            );
        }
        Health::ok(if self.newest.is_some() {
            NodeState::Active
        } else {
            NodeState::Starting
        })
    }

    fn look(&mut self, glance: &Glance, pose: &RoverPose) {
        let map_from_navcam = (glance.map_from_base_link * glance.base_link_from_navcam).iso;
        let view = View {
            map_from_odom: (glance.map_from_base_link * pose.odom_from_base_link.inverse()).iso,
            navcam_from_map: map_from_navcam.inverse(),
            eye_m: map_from_navcam.translation.vector,
            // Ground around a rover lies about in the plane it stands on.
            ground_up: glance.map_from_base_link.iso.rotation * Vector3::z(),
            odom_from_navcam: (pose.odom_from_base_link * glance.base_link_from_navcam).iso,
            number: glance.number,
        };
        let ahead = map_from_navcam.rotation * Vector3::z();
        let reach_m = Horizon::reach_m(self.config.range_max_m);
        let eye = view.eye_m;
        let ground = Held(self.world.window([
            eye.x - reach_m,
            eye.y - reach_m,
            eye.x + reach_m,
            eye.y + reach_m,
        ]));
        self.horizon.look(
            &ground,
            view.eye_m,
            ahead.y.atan2(ahead.x),
            half_width_rad(&self.camera),
            self.config.range_max_m,
            self.config.grid.resolution_m,
        );
        let side = self.map.side();
        let mut seen = Vec::new();
        let blocks = side.div_ceil(BLOCK);
        let hidden: Vec<bool> = (0..blocks * blocks)
            .map(|k| self.sees_nothing_of([k % blocks, k / blocks], &view))
            .collect();
        for row in 0..side {
            for block in 0..blocks {
                if hidden.get(row / BLOCK * blocks + block) == Some(&true) {
                    continue;
                }
                for col in block * BLOCK..((block + 1) * BLOCK).min(side) {
                    seen.extend(self.observe(col, row, &view, &ground));
                }
            }
        }
        self.map.merge(
            seen.into_iter(),
            glance.stamp,
            pose.travel_m,
            &pose.odom_from_base_link.iso,
            self.own_area,
            &self.config,
        );
        self.newest = self.newest.max(Some(glance.stamp));
    }

    /// Whether no cell of a block can be in the image.
    fn sees_nothing_of(&self, block: [usize; 2], view: &View) -> bool {
        let res_m = self.config.grid.resolution_m;
        let [ox, oy] = self.map.origin_m();
        let half_m = 0.5 * BLOCK as f64 * res_m;
        let centre = block.map(|b| half_m * (2 * b + 1) as f64);
        let z_m = view.odom_from_navcam.translation.vector.z;
        let middle = view
            .map_from_odom
            .transform_point(&[ox + centre[0], oy + centre[1], z_m].into());
        self.horizon
            .sees_nothing_near(middle.x, middle.y, 1.5 * half_m)
    }

    /// What the image tells about one cell of the window.
    fn observe(
        &self,
        col: usize,
        row: usize,
        view: &View,
        ground: &impl HeightField,
    ) -> Option<Observation> {
        let res_m = self.config.grid.resolution_m;
        let [ox, oy] = self.map.origin_m();
        let centre = [
            ox + (col as f64 + 0.5) * res_m,
            oy + (row as f64 + 0.5) * res_m,
        ];
        let z_m = view.odom_from_navcam.translation.vector.z;
        let middle = view
            .map_from_odom
            .transform_point(&[centre[0], centre[1], z_m].into());
        if !self.horizon.may_see(middle.x, middle.y) {
            return None;
        }
        let mut heights = [0.0; PLACES.len()];
        let (mut visible, mut depth_m, mut rise_m) = (0, 0.0, 0.0);
        for [dx, dy] in PLACES {
            let q = view
                .map_from_odom
                .transform_point(&[centre[0] + dx * res_m, centre[1] + dy * res_m, z_m].into());
            let Some(h) = ground.height_m(q.x, q.y) else {
                continue;
            };
            let point = Vector3::new(q.x, q.y, h);
            if let Some(z) = self.sees(&point, view) {
                let in_odom = view.map_from_odom.inverse_transform_point(&point.into());
                heights[visible] = in_odom.z;
                visible += 1;
                depth_m += z;
                rise_m += view.ground_up.dot(&(view.eye_m - point));
            }
        }
        if visible == 0 {
            return None;
        }
        let seen = visible as f64;
        let (depth_m, rise_m) = (depth_m / seen, (rise_m / seen).max(0.05));
        let id = noise::hash(
            self.seed ^ view.number,
            CHANNEL,
            centre_id(centre[0], res_m),
            centre_id(centre[1], res_m),
        );
        // The image of a piece of ground is its area, foreshortened, over the square of its depth.
        let stride = self.config.params.stride_px as f64;
        let pixels = self.camera.fx * self.camera.fy * res_m * res_m * rise_m
            / (depth_m.powi(3) * stride * stride)
            * seen
            / PLACES.len() as f64;
        let count = (pixels + noise::unit(id)).floor();
        if !(count >= 1.0) {
            return None;
        }
        let known = heights.get(..visible)?;
        // One pixel falls on one place, several on all of them.
        let mean_m = if count < 2.0 {
            known[(id >> 7) as usize % visible]
        } else {
            known.iter().sum::<f64>() / seen
        };
        let spread_m2 = if count < 2.0 || visible < 2 {
            0.0
        } else {
            known.iter().map(|h| (h - mean_m).powi(2)).sum::<f64>() / (seen - 1.0)
        };
        let sigma_m = self.noise_per_m * depth_m * rise_m / view.ground_up.z.max(0.2);
        let at = view.odom_from_navcam.translation.vector;
        let range_m = (centre[0] - at.x).hypot(centre[1] - at.y);
        let mixed = noise::hash(id, CHANNEL, 1, 0);
        let error_m = sigma_m / count.sqrt() * noise::near_gauss(mixed);
        let ends = known
            .iter()
            .fold([mean_m; 2], |[low, high], h| [low.min(*h), high.max(*h)]);
        Some(Observation {
            col,
            row,
            count: count.min(1e6) as u32,
            mean_m: mean_m + error_m,
            mean_variance_m2: sigma_m * sigma_m / count,
            // The noise of single pixels is part of what an image shows as spread.
            spread_m2: spread_m2 + sigma_m * sigma_m,
            low_m: ends[0] + error_m,
            high_m: ends[1] + error_m,
            step_m2: spread_m2,
            range_m,
            along_m2: sigma_m * sigma_m / count * (range_m / rise_m).powi(2),
        })
    }

    /// Depth of a point that is in the image and not hidden, metres.
    fn sees(&self, point: &Vector3<f64>, view: &View) -> Option<f64> {
        let p = view
            .navcam_from_map
            .transform_point(&(*point).into())
            .coords;
        let params = &self.config.params;
        if !(p.z >= params.range_min_m && p.z <= self.config.range_max_m) {
            return None;
        }
        if !self.is_in_image(p) {
            return None;
        }
        self.horizon.is_visible(point).then_some(p.z)
    }
}

impl Eye {
    /// Whether a point before the camera falls onto a pixel.
    #[inline]
    fn is_in_image(&self, p: Vector3<f64>) -> bool {
        let c = &self.camera;
        // Pixels times depth: no division but where it might decide.
        let beyond = |at: f64, f: f64, middle: f64, n: usize| {
            let at = f * at;
            let low = at - (-0.5 - middle) * p.z;
            let high = (n as f64 - 0.5 - middle) * p.z - at;
            low.min(high)
        };
        let spare = beyond(p.x, c.fx, c.cx, c.width).min(beyond(p.y, c.fy, c.cy, c.height));
        if spare.abs() > 1e-6 {
            return spare > 0.0;
        }
        let inside = |c: f64, n: usize| c >= -0.5 && c <= n as f64 - 0.5;
        c.project(p)
            .is_some_and(|[u, v]| inside(u, c.width) && inside(v, c.height))
    }
}

/// Half the angle between the image's left and right edge as seen from above; a camera that looks down sees wider.
fn half_width_rad(camera: &Pinhole) -> f64 {
    let edge = camera.ray(camera.width as f64, camera.height as f64);
    (edge.x.abs().atan() + 0.35).min(std::f64::consts::PI)
}

/// Number of a cell of `odom`, so that noise belongs to a place and not to an index.
fn centre_id(centre_m: f64, res_m: f64) -> i64 {
    whole::floor(centre_m / res_m)
}

/// One glance, worked out.
struct View {
    map_from_odom: Isometry3<f64>,
    navcam_from_map: Isometry3<f64>,
    odom_from_navcam: Isometry3<f64>,
    eye_m: Vector3<f64>,
    ground_up: Vector3<f64>,
    number: u64,
}

/// Ground whose tiles are at hand, so that no look at it takes a lock.
struct Held(Window);

impl HeightField for Held {
    #[inline]
    fn height_m(&self, x_m: f64, y_m: f64) -> Option<f64> {
        let res_m = self.0.resolution_m();
        let (gx, gy) = (x_m / res_m, y_m / res_m);
        let (i, j) = (whole::floor(gx), whole::floor(gy));
        let (tx, ty) = (gx - i as f64, gy - j as f64);
        let [sw, se, nw, ne] = self.0.corners_m(i, j);
        let z = (sw * (1.0 - tx) + se * tx) * (1.0 - ty) + (nw * (1.0 - tx) + ne * tx) * ty;
        (!z.is_nan()).then_some(z)
    }
}
