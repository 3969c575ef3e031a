//! The decision of each tick: which images can be used now, and what is said of it.

use crate::{
    config::Config,
    input::{Counts, DepthImage, DepthNoise, Input, Output, Refusal},
    map::Footprint,
    pairing::{CameraPoses, Lookup, OdometryBuffer, RoverPose},
    ripples::Texture,
    sensors::{Sensed, Sensor, SensorStatus},
    stereo::GreyImage,
    surface::{ClassedImage, SurfaceMap, View},
    update::Updater,
};
use nalgebra::Isometry3;
use sojourn_core::{
    Stamp,
    camera::Pinhole,
    frames::{BaseLink, Odom, Transform},
    rover::{Navcam, Rover},
};
use std::{collections::VecDeque, sync::Arc};

/// Images that wait for their odometry at most; the mast's first look around sends several at once.
pub const MAX_PENDING: usize = 12;
/// Pixels of an image at most.
pub const MAX_PIXELS: usize = 4096 * 4096;
/// Coordinates beyond this are no odometry, metres.
const MAX_COORDINATE_M: f64 = 1e6;

/// The node without ROS.
#[derive(Clone, Debug)]
pub struct Perception {
    pub(crate) config: Config,
    navcam: Navcam,
    start_area: Footprint,
    own_area: Footprint,
    grid: Updater,
    odometry: OdometryBuffer,
    camera_poses: CameraPoses,
    camera: Option<Pinhole>,
    pending: VecDeque<DepthImage>,
    pub(crate) counts: Counts,
    pub(crate) refused_since_image: u64,
    pub(crate) last_refusal: Option<Refusal>,
    pub(crate) first_tick: Option<Stamp>,
    pub(crate) newest_image: Option<Stamp>,
    pub(crate) sensors: Vec<Sensor>,
    // Newest of all that is in the grid.
    pub(crate) newest_entry: Option<Stamp>,
    surface: SurfaceMap,
    // Newest last: what went into the grid, and classes that wait for their depth image.
    views: VecDeque<Arc<View>>,
    classed: VecDeque<ClassedImage>,
    // Left images that wait for their depth, newest last.
    lefts: VecDeque<GreyImage>,
    texture: Texture,
}

impl Perception {
    /// A node that has seen nothing.
    #[must_use]
    pub fn new(config: Config, rover: &Rover) -> Self {
        Self {
            navcam: rover.navcam,
            start_area: Footprint::at_start(rover, config.params.footprint_margin_m),
            own_area: Footprint::under(rover),
            grid: Updater::new(&config, Footprint::under(rover)),
            odometry: OdometryBuffer::default(),
            camera_poses: CameraPoses::default(),
            camera: None,
            pending: VecDeque::new(),
            counts: Counts::default(),
            refused_since_image: 0,
            last_refusal: None,
            first_tick: None,
            newest_image: None,
            sensors: config
                .params
                .sensors
                .iter()
                .map(|(name, p)| Sensor::new(name, p))
                .collect(),
            newest_entry: None,
            surface: SurfaceMap::default(),
            views: VecDeque::new(),
            classed: VecDeque::new(),
            lefts: VecDeque::new(),
            texture: Texture::default(),
            config,
        }
    }

    /// What happened since the start.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// What became of each further sensor's images, with its name, in the order of names.
    pub fn sensors(&self) -> impl Iterator<Item = (&str, &SensorStatus)> {
        self.sensors.iter().map(|s| (s.name.as_str(), &s.status))
    }

    /// Says where further sensor `k` (in the order of names) stands in `base_link`, when its files say more than its parameters.
    pub fn place_sensor(&mut self, k: usize, base_link_from_sensor: Isometry3<f64>) {
        if let Some(sensor) = self.sensors.get_mut(k) {
            sensor.base_link_from_sensor = base_link_from_sensor;
        }
    }

    /// Takes one input at ROS time `now`.
    pub fn step(&mut self, now: Stamp, input: Input) -> Output {
        match input {
            Input::Odometry(stamp, pose) => self.on_odometry(now, stamp, pose),
            Input::CameraPose(stamp, pose) => {
                if is_finite(&pose) {
                    self.camera_poses.push(stamp, pose);
                } else {
                    self.refuse(Refusal::NotFinite);
                }
            }
            Input::CameraInfo(camera) => self.on_camera_info(camera),
            Input::Depth(image) => self.on_depth(now, image),
            Input::NoDepth(fault) => self.refuse(Refusal::Pair(fault)),
            Input::Left(image) => self.on_left(now, image),
            Input::Classed(image) => self.on_classed(now, image),
            Input::Sensed(k, sensed) => self.on_sensed(now, k, sensed),
            Input::NotSensed(k, why) => {
                if let Some(sensor) = self.sensors.get_mut(k) {
                    sensor.refuse(why);
                }
            }
            Input::Tick => return self.on_tick(now),
        }
        Output::default()
    }

    fn refuse(&mut self, why: Refusal) {
        *self.counts.refused.entry(why).or_default() += 1;
        self.refused_since_image += 1;
        self.last_refusal = Some(why);
    }

    fn on_odometry(&mut self, now: Stamp, stamp: Stamp, pose: Transform<Odom, BaseLink>) {
        if !is_finite(&pose) {
            return self.refuse(Refusal::NotFinite);
        }
        if stamp.since(now) > self.config.params.future_s {
            return self.refuse(Refusal::Future);
        }
        let at = pose.iso.translation.vector;
        if let Some(last) = self.odometry.newest().copied() {
            if stamp == last.stamp && pose == last.odom_from_base_link {
                // Localization repeats its last estimate while it has no newer one.
                return;
            }
            let jump_m = (at - last.odom_from_base_link.iso.translation.vector).norm();
            if stamp > last.stamp && jump_m > self.config.params.odometry_jump_m {
                // Another odom frame than before: nothing in the grid is where it was.
                self.odometry.clear();
                self.grid.map.clear();
                self.surface.clear();
                self.texture.clear();
                self.views.clear();
                self.counts.cleared += 1;
            }
        }
        let first = self.odometry.newest().is_none();
        if !self.odometry.push(stamp, pose) {
            return self.refuse(Refusal::OutOfOrder);
        }
        let travel_m = self.odometry.newest().map_or(0.0, |p| p.travel_m);
        self.grid.map.recentre(at.x, at.y);
        let sigma_m = self.config.params.footprint_sigma_m;
        let area = if first {
            self.start_area
        } else {
            self.own_area
        };
        self.grid
            .map
            .fill_under(&pose.iso, area, sigma_m, stamp, travel_m);
    }

    fn on_camera_info(&mut self, camera: Pinhole) {
        let numbers = [camera.fx, camera.fy, camera.cx, camera.cy];
        if !numbers.iter().all(|v| v.is_finite()) || camera.fx <= 0.0 || camera.fy <= 0.0 {
            return self.refuse(Refusal::NotFinite);
        }
        self.camera = Some(camera);
    }

    fn on_depth(&mut self, now: Stamp, image: DepthImage) {
        if let Some(why) = self.image_fault(now, &image) {
            return self.refuse(why);
        }
        if self.pending.len() >= MAX_PENDING {
            self.pending.pop_front();
            self.refuse(Refusal::QueueFull);
        }
        self.pending.push_back(image);
    }

    /// What is wrong with an image before anything is done with it.
    fn image_fault(&self, now: Stamp, image: &DepthImage) -> Option<Refusal> {
        match image.width.checked_mul(image.height) {
            Some(0) => Some(Refusal::Empty),
            Some(n) if n > MAX_PIXELS => Some(Refusal::TooLarge),
            Some(n) if n != image.depth_m.len() => Some(Refusal::Size),
            Some(n) if matches!(&image.noise, DepthNoise::Matched { sigma_px, .. } if sigma_px.len() != n) => {
                Some(Refusal::Size)
            }
            None => Some(Refusal::TooLarge),
            _ if image.stamp.since(now) > self.config.params.future_s => Some(Refusal::Future),
            _ => None,
        }
    }

    fn on_tick(&mut self, now: Stamp) -> Output {
        self.first_tick.get_or_insert(now);
        let mut changed = false;
        let mut views = Vec::new();
        while let Some(image) = self.pending.pop_front() {
            match self.readiness(now, &image) {
                Ok(Some(at)) => match self.use_image(image, &at) {
                    Ok(view) => {
                        changed = true;
                        views.extend(view);
                    }
                    Err(why) => self.refuse(why),
                },
                Ok(None) => {
                    // Those behind it wait too, so that the grid never depends on what came first.
                    self.pending.push_front(image);
                    break;
                }
                Err(why) => self.refuse(why),
            }
        }
        for k in 0..self.sensors.len() {
            changed |= self.enter_sensed(now, k);
        }
        changed |= self.enter_classes(now);
        let grid = match (changed, self.newest_entry) {
            (true, Some(stamp)) => self.grid.map.grid(stamp, &self.config).ok(),
            _ => None,
        };
        let unknown_below = self.config.params.classes.unknown_below;
        let classes = grid
            .as_ref()
            .filter(|_| self.config.params.classes.is_on())
            .and_then(|g| self.surface.layers(g, &self.grid.map, unknown_below).ok());
        let texture = grid
            .as_ref()
            .and_then(|g| self.texture.layer(g, &self.grid.map).ok().flatten());
        Output {
            grid,
            classes,
            texture,
            views,
            health: Some(self.health(now)),
        }
    }

    // The rover's pose for an image, nothing while it is worth waiting, or why it will not be used.
    fn readiness(&self, now: Stamp, image: &DepthImage) -> Result<Option<RoverPose>, Refusal> {
        let late = now.since(image.stamp) > self.config.params.wait_s;
        let wait_or = |why| if late { Err(why) } else { Ok(None) };
        let p = &self.config.params;
        let pose = match self
            .odometry
            .at(image.stamp, p.odometry_gap_s, p.rest_before_s)
        {
            Lookup::At(pose) => pose,
            Lookup::NotYet => return wait_or(Refusal::NoOdometry),
            Lookup::Never => return Err(Refusal::Stale),
        };
        if !self.camera_poses.has(image.stamp) {
            return wait_or(Refusal::NoCameraPose);
        }
        match self.camera {
            None => wait_or(Refusal::NoCameraInfo),
            Some(c) if (c.width, c.height) != (image.width, image.height) => Err(Refusal::InfoSize),
            Some(_) => Ok(Some(pose)),
        }
    }

    /// Enters an image; returns what is kept of it, if anybody needs it.
    fn use_image(
        &mut self,
        image: DepthImage,
        at: &RoverPose,
    ) -> Result<Option<Arc<View>>, Refusal> {
        let camera = self.camera.ok_or(Refusal::NoCameraInfo)?;
        let base_link_from_navcam = self
            .camera_poses
            .take(image.stamp)
            .ok_or(Refusal::NoCameraPose)?;
        let odom_from_navcam = at.odom_from_base_link * base_link_from_navcam;
        let done = self.grid.update(
            &image,
            &camera,
            &self.navcam,
            &odom_from_navcam.iso,
            at,
            &self.config,
        );
        if done.usable == 0 {
            return Err(Refusal::NoDepth);
        }
        self.counts.seen_through += done.seen_through as u64;
        self.counts.images += 1;
        self.refused_since_image = 0;
        self.newest_image = self.newest_image.max(Some(image.stamp));
        self.newest_entry = self.newest_entry.max(Some(image.stamp));
        let left = self.left_of(image.stamp);
        if left.is_none() && !self.config.keeps_views() {
            return Ok(None);
        }
        let view = Arc::new(View {
            image,
            camera,
            odom_from_camera: odom_from_navcam.iso,
            odom_from_base: at.odom_from_base_link.iso,
        });
        if let Some(left) = left {
            let (map, own) = (&self.grid.map, self.own_area);
            self.texture.enter(&left, &view, map, own, &self.config);
        }
        if !self.config.keeps_views() {
            return Ok(None);
        }
        if self.views.len() >= MAX_PENDING {
            self.views.pop_front();
        }
        self.views.push_back(view.clone());
        Ok(Some(view))
    }

    fn on_left(&mut self, now: Stamp, image: GreyImage) {
        if image.width.checked_mul(image.height) != Some(image.pixels.len()) {
            return self.refuse(Refusal::Size);
        }
        if image.stamp.since(now) > self.config.params.future_s {
            return self.refuse(Refusal::Future);
        }
        if self.lefts.len() >= MAX_PENDING {
            self.lefts.pop_front();
        }
        self.lefts.push_back(image);
    }

    /// The left image of a stamp; those before it have lost their turn.
    fn left_of(&mut self, stamp: Stamp) -> Option<GreyImage> {
        let at = self.lefts.iter().position(|i| i.stamp == stamp)?;
        self.lefts.drain(..=at).next_back()
    }

    fn on_classed(&mut self, now: Stamp, image: ClassedImage) {
        if !image.is_whole() {
            return self.refuse(Refusal::Size);
        }
        if image.stamp.since(now) > self.config.params.future_s {
            return self.refuse(Refusal::Future);
        }
        if self.classed.len() >= MAX_PENDING {
            self.classed.pop_front();
            self.counts.unplaced += 1;
        }
        self.classed.push_back(image);
    }

    /// Enters the classes whose depth image has gone into the grid; whether there were any.
    fn enter_classes(&mut self, now: Stamp) -> bool {
        let mut changed = false;
        for classed in std::mem::take(&mut self.classed) {
            let size = |v: &View| [v.image.width, v.image.height];
            let mut views = self.views.iter().rev();
            match views.find(|v| v.image.stamp == classed.stamp && size(v) == classed.size) {
                Some(view) => {
                    let (map, own) = (&self.grid.map, self.own_area);
                    let cells = self.surface.enter(&classed, view, map, own, &self.config);
                    self.counts.classed += 1;
                    changed |= cells > 0;
                }
                None if now.since(classed.stamp) <= self.config.params.wait_s => {
                    self.classed.push_back(classed);
                }
                None => self.counts.unplaced += 1,
            }
        }
        changed
    }

    fn on_sensed(&mut self, now: Stamp, k: usize, mut sensed: Sensed) {
        let why = match &sensed {
            Sensed::Depth(image, camera) => self.image_fault(now, image).or_else(|| {
                let fits = (camera.width, camera.height) == (image.width, image.height);
                (!fits).then_some(Refusal::InfoSize)
            }),
            Sensed::Cloud(cloud) => {
                let ahead_s = cloud.stamp.since(now);
                (ahead_s > self.config.params.future_s).then_some(Refusal::Future)
            }
        };
        let Some(sensor) = self.sensors.get_mut(k) else {
            return;
        };
        if let Some(why) = why {
            return sensor.refuse(why.describe());
        }
        if let Sensed::Depth(image, _) = &mut sensed {
            sensor.prepare(image);
        }
        sensor.push(sensed);
    }

    /// Enters what waits of a sensor and can be used; whether there was anything.
    fn enter_sensed(&mut self, now: Stamp, k: usize) -> bool {
        let p = &self.config.params;
        let mut changed = false;
        let Some(sensor) = self.sensors.get_mut(k) else {
            return false;
        };
        while let Some(sensed) = sensor.pending.pop_front() {
            let stamp = sensed.stamp();
            let at = match self.odometry.at(stamp, p.odometry_gap_s, p.rest_before_s) {
                Lookup::At(at) => at,
                Lookup::NotYet if now.since(stamp) <= p.wait_s => {
                    sensor.pending.push_front(sensed);
                    break;
                }
                Lookup::NotYet => {
                    sensor.refuse(Refusal::NoOdometry.describe());
                    continue;
                }
                Lookup::Never => {
                    sensor.refuse(Refusal::Stale.describe());
                    continue;
                }
            };
            let odom_from_sensor = sensor.odom_from_sensor(&at);
            let (done, all) = match &sensed {
                Sensed::Depth(image, camera) => (
                    self.grid.update(
                        image,
                        camera,
                        &self.navcam,
                        &odom_from_sensor,
                        &at,
                        &self.config,
                    ),
                    image.depth_m.len(),
                ),
                Sensed::Cloud(cloud) => (
                    self.grid.update_cloud(
                        cloud,
                        &sensor.params,
                        &odom_from_sensor,
                        &at,
                        &self.config,
                    ),
                    cloud.points_m.len() + cloud.missing,
                ),
            };
            if done.usable == 0 {
                sensor.refuse(Refusal::NoDepth.describe());
                continue;
            }
            sensor.used(stamp, done.usable, all);
            self.counts.seen_through += done.seen_through as u64;
            self.newest_entry = self.newest_entry.max(Some(stamp));
            changed = true;
        }
        changed
    }
}

fn is_finite<A: sojourn_core::frames::Frame, B: sojourn_core::frames::Frame>(
    t: &Transform<A, B>,
) -> bool {
    let position = t.iso.translation.vector;
    let q = t.iso.rotation.coords;
    position
        .iter()
        .all(|v| v.is_finite() && v.abs() < MAX_COORDINATE_M)
        && q.iter().all(|v| v.is_finite())
        && (q.norm() - 1.0).abs() < 1e-3
}
