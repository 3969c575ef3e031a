//! The decision of each tick: which images can be used now, and what is said of it.

use crate::{
    config::{Config, Source},
    map::{Footprint, TerrainGrid},
    pairing::{CameraPoses, Lookup, OdometryBuffer, RoverPose},
    sensors::{Sensed, Sensor, SensorStatus},
    stereo::PairFault,
    update::Updater,
};
use sojourn_core::{
    Stamp,
    camera::Pinhole,
    frames::{BaseLink, NavcamOptical, Odom, Transform},
    health::{Health, HealthLevel, NodeState},
    rover::{Navcam, Rover},
};
use std::collections::{BTreeMap, VecDeque};

/// Images that wait for their odometry at most; the mast's first look around sends several at once.
pub const MAX_PENDING: usize = 12;
/// Pixels of an image at most.
pub const MAX_PIXELS: usize = 4096 * 4096;
/// Coordinates beyond this are no odometry, metres.
const MAX_COORDINATE_M: f64 = 1e6;

/// A depth image.
#[derive(Clone, Debug, PartialEq)]
pub struct DepthImage {
    /// When it was taken.
    pub stamp: Stamp,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Depth along the optical axis, metres, row by row from the top; not-a-number, infinite or not positive where
    /// there is none.
    pub depth_m: Vec<f32>,
    /// How sure it is.
    pub noise: DepthNoise,
}

/// How sure a depth image is.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum DepthNoise {
    /// As the rover's file says of its camera, every pixel on its own.
    #[default]
    Rover,
    /// As matching has found.
    Matched {
        /// Standard deviation of the disparity, pixels, for each pixel of the image.
        sigma_px: Vec<f32>,
        /// How many neighbouring pixels share one error.
        together: f64,
        /// Distance between the two eyes, metres.
        baseline_m: f64,
    },
    /// As a further sensor's parameters say, every pixel on its own: `sigma_m` at any depth, and `per_m2` times its
    /// square, metres and 1/m.
    Sensor {
        /// Standard deviation at any depth, metres.
        sigma_m: f64,
        /// What is added per square metre of depth, 1/m.
        per_m2: f64,
    },
}

/// What the node is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Where the rover was.
    Odometry(Stamp, Transform<Odom, BaseLink>),
    /// Where the camera stood when the image of this stamp was taken.
    CameraPose(Stamp, Transform<BaseLink, NavcamOptical>),
    /// The camera's intrinsics, valid from now on.
    CameraInfo(Pinhole),
    /// An image.
    Depth(DepthImage),
    /// A stereo pair that gave none.
    NoDepth(PairFault),
    /// What a further sensor saw; its place among the parameter `sensors`, from 0 in the order of their names.
    Sensed(usize, Sensed),
    /// A message of a further sensor that gave nothing, and why.
    NotSensed(usize, String),
    /// Time for a decision.
    Tick,
}

/// Why an input was not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// No pixels.
    Empty,
    /// More pixels than any navigation camera has.
    TooLarge,
    /// Width, height and number of values do not fit each other.
    Size,
    /// Not-a-number or absurd where a number has to be.
    NotFinite,
    /// The stamp lies ahead.
    Future,
    /// The stamp is older than the odometry that is kept, or falls into a gap of it.
    Stale,
    /// Odometry that is not newer than the last.
    OutOfOrder,
    /// No odometry came for the image.
    NoOdometry,
    /// No pose of the camera came with the image.
    NoCameraPose,
    /// No intrinsics came.
    NoCameraInfo,
    /// The intrinsics are for another size of image.
    InfoSize,
    /// Not one pixel with a usable depth.
    NoDepth,
    /// Too many images wait.
    QueueFull,
    /// A stereo pair that gave no depth.
    Pair(PairFault),
}

impl Refusal {
    /// The reason in words.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Empty => "an image without pixels",
            Self::TooLarge => "an image of more than 4096 x 4096 pixels",
            Self::Size => "an image whose width times height is not its number of values",
            Self::NotFinite => "a value that is not a finite number",
            Self::Future => "a stamp in the future",
            Self::Stale => "an image older than the odometry kept, or in a gap of it",
            Self::OutOfOrder => "odometry that is not newer than the last",
            Self::NoOdometry => "an image for which no odometry came",
            Self::NoCameraPose => "an image for which no camera pose of its stamp came",
            Self::NoCameraInfo => "an image before any camera_info",
            Self::InfoSize => "an image of another size than camera_info says",
            Self::NoDepth => "an image without one usable depth",
            Self::Pair(fault) => fault.describe(),
            Self::QueueFull => "the oldest of too many waiting images",
        }
    }
}

/// What happened since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Images that went into the grid.
    pub images: u64,
    /// Inputs that were refused, by reason.
    pub refused: BTreeMap<Refusal, u64>,
    /// Times the grid was cleared because odometry had jumped.
    pub cleared: u64,
    /// Cells that were forgotten because an image saw through them.
    pub seen_through: u64,
}

/// What the node says. Both only at a tick.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    /// The grid, when an image has changed it.
    pub grid: Option<TerrainGrid>,
    /// For heartbeat and diagnostics.
    pub health: Option<Health>,
}

/// The node without ROS.
#[derive(Clone, Debug)]
pub struct Perception {
    config: Config,
    navcam: Navcam,
    start_area: Footprint,
    own_area: Footprint,
    grid: Updater,
    odometry: OdometryBuffer,
    camera_poses: CameraPoses,
    camera: Option<Pinhole>,
    pending: VecDeque<DepthImage>,
    counts: Counts,
    refused_since_image: u64,
    last_refusal: Option<Refusal>,
    first_tick: Option<Stamp>,
    newest_image: Option<Stamp>,
    sensors: Vec<Sensor>,
    // Newest of all that is in the grid.
    newest_entry: Option<Stamp>,
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
        while let Some(image) = self.pending.pop_front() {
            match self.readiness(now, &image) {
                Ok(Some(at)) => match self.use_image(&image, &at) {
                    Ok(()) => changed = true,
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
        let grid = match (changed, self.newest_entry) {
            (true, Some(stamp)) => self.grid.map.grid(stamp, &self.config).ok(),
            _ => None,
        };
        Output {
            grid,
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

    fn use_image(&mut self, image: &DepthImage, at: &RoverPose) -> Result<(), Refusal> {
        let camera = self.camera.ok_or(Refusal::NoCameraInfo)?;
        let base_link_from_navcam = self
            .camera_poses
            .take(image.stamp)
            .ok_or(Refusal::NoCameraPose)?;
        let odom_from_navcam = at.odom_from_base_link * base_link_from_navcam;
        let done = self.grid.update(
            image,
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
        Ok(())
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

    /// Health with what the further sensors lack.
    fn health(&self, now: Stamp) -> Health {
        let health = self.camera_health(now);
        let since = self.first_tick.unwrap_or(now);
        let lacks: Vec<String> = self
            .sensors
            .iter()
            .filter_map(|s| s.complaint(now, since))
            .collect();
        if lacks.is_empty() || health.level == HealthLevel::Error {
            return health;
        }
        let words = std::iter::once(health.reason.clone()).chain(lacks);
        let said: Vec<String> = words.filter(|w| !w.is_empty()).collect();
        Health::warn(health.state, said.join("; "))
    }

    fn camera_health(&self, now: Stamp) -> Health {
        let newest = if self.config.params.source == Source::None {
            self.newest_entry
        } else {
            self.newest_image
        };
        let since = newest.or(self.first_tick).unwrap_or(now);
        let silence_s = now.since(since);
        let (p, period_s) = (&self.config.params, self.config.image_period_s);
        let refused = match self.last_refusal {
            Some(why) if self.refused_since_image > 0 => {
                let n = self.refused_since_image;
                format!("; {n} inputs refused since, the last: {}", why.describe())
            }
            _ => String::new(),
        };
        if silence_s > period_s + p.image_error_s {
            let what = if newest.is_some() {
                "no usable depth image"
            } else {
                "never a usable depth image"
            };
            return Health::error(
                NodeState::Fault,
                format!("{what} for {silence_s:.1} s{refused}"),
            );
        }
        let state = if newest.is_some() {
            NodeState::Active
        } else {
            NodeState::Starting
        };
        if newest.is_some() && silence_s > period_s + p.image_warn_s {
            return Health::warn(
                state,
                format!("no usable depth image for {silence_s:.1} s{refused}"),
            );
        }
        if self.refused_since_image > 0 {
            return Health::warn(state, refused.trim_start_matches("; "));
        }
        if state == NodeState::Starting {
            return Health {
                reason: "waiting for the first image, its camera and its odometry".into(),
                ..Health::ok(state)
            };
        }
        Health::ok(state)
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
