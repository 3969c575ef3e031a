//! Further depth sensors beside the navigation camera, fixed to the rover's body: hazard cameras, depth cameras, laser
//! scanners. Each has its own pose, noise and health; all of them see into one grid.

use crate::{
    cloud::PointCloud,
    input::{DepthImage, DepthNoise},
    pairing::RoverPose,
    stereo::CameraFiles,
};
use nalgebra::{Isometry3, Translation3, UnitQuaternion};
use serde::Deserialize;
use sojourn_core::{CoreError, Stamp, camera::Pinhole, error::in_range};
use std::collections::VecDeque;

/// Images of one sensor that wait for their odometry at most.
const MAX_PENDING: usize = 6;
/// Most further sensors.
pub const MAX_SENSORS: usize = 16;

/// What a sensor sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SensorKind {
    /// Depth images with their `camera_info`.
    Depth,
    /// A rectified stereo pair, matched here.
    Stereo,
    /// A stereo pair as the cameras take it: rectified here by its `camera_info`, then matched.
    StereoRaw,
    /// Point clouds.
    Cloud,
}

/// One further sensor; a section below `sensors` in the parameter file, by its name.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SensorParams {
    /// What it sends.
    pub kind: SensorKind,
    /// `depth` and `cloud`: the topic; `stereo`: what stands before `/left/image_rect`, `/right/camera_info` and so on;
    /// `stereo_raw`: the same, with `/left/image_raw`.
    pub topic: String,
    /// `depth`: the topic of its `camera_info`; left empty for the others.
    pub info: String,
    /// The `frame_id` of its messages.
    pub frame: String,
    /// Where that frame stands in `base_link`, metres.
    pub xyz_m: [f64; 3],
    /// How it is turned there: about x, then y, then z of `base_link`, degrees.
    pub rpy_deg: [f64; 3],
    /// Nearest range that is used, metres.
    pub range_min_m: f64,
    /// Farthest range that is used, metres; for images the grid's `range_max_m` holds too.
    pub range_max_m: f64,
    /// Standard deviation of a range at any distance, metres.
    pub sigma_m: f64,
    /// What is added to it per square metre of range, 1/m: a stereo camera's `σ_d / (f·B)`, 0 for a scanner.
    pub sigma_per_m2: f64,
    /// Warning when nothing usable came for longer, seconds.
    pub silence_s: f64,
    /// `stereo_raw`: files in place of `camera_info`, where the key is there. For files of the CAHV family `xyz_m` and
    /// `rpy_deg` say where the frame of the files stands, for others where the left camera's optical frame does.
    #[serde(default)]
    pub cameras: CameraFiles,
}

impl SensorParams {
    /// Checks the ranges; `what` names the file.
    ///
    /// # Errors
    /// [`CoreError::Value`] that names the key.
    pub fn check(&self, what: &str, name: &str) -> Result<(), CoreError> {
        let key = |k: &str| format!("sensors.{name}.{k}");
        for (k, text) in [("topic", &self.topic), ("frame", &self.frame)] {
            if text.is_empty() {
                return Err(CoreError::value(what, key(k), "empty", "a name"));
            }
        }
        if (self.kind == SensorKind::Depth) == self.info.is_empty() {
            let expected = "the topic of camera_info for kind depth, empty for the others";
            return Err(CoreError::value(
                what,
                key("info"),
                format!("{:?}", self.info),
                expected,
            ));
        }
        self.cameras.check(what, &key("cameras"))?;
        if self.cameras.is_on() && self.kind != SensorKind::StereoRaw {
            return Err(CoreError::value(
                what,
                key("cameras.left"),
                format!("{:?}", self.cameras.left),
                "empty for any kind but stereo_raw",
            ));
        }
        for (axis, (p, a)) in ["x", "y", "z"]
            .iter()
            .zip(self.xyz_m.iter().zip(self.rpy_deg))
        {
            in_range(what, &key(&format!("xyz_m.{axis}")), *p, -20.0, 20.0)?;
            in_range(what, &key(&format!("rpy_deg.{axis}")), a, -360.0, 360.0)?;
        }
        for (k, value, lo, hi) in [
            ("range_min_m", self.range_min_m, 0.0, 100.0),
            ("range_max_m", self.range_max_m, self.range_min_m, 1e3),
            ("sigma_m", self.sigma_m, 0.0, 10.0),
            ("sigma_per_m2", self.sigma_per_m2, 0.0, 1.0),
            ("silence_s", self.silence_s, 0.05, 3600.0),
        ] {
            in_range(what, &key(k), value, lo, hi)?;
        }
        Ok(())
    }

    /// Where its frame stands in `base_link`.
    #[must_use]
    pub fn base_link_from_sensor(&self) -> Isometry3<f64> {
        let [x, y, z] = self.xyz_m;
        let [roll, pitch, yaw] = self.rpy_deg.map(f64::to_radians);
        Isometry3::from_parts(
            Translation3::new(x, y, z),
            UnitQuaternion::from_euler_angles(roll, pitch, yaw),
        )
    }
}

/// What a sensor saw at one moment.
#[derive(Clone, Debug, PartialEq)]
pub enum Sensed {
    /// A depth image and the camera that it was taken with.
    Depth(DepthImage, Pinhole),
    /// Points.
    Cloud(PointCloud),
}

impl Sensed {
    /// When.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        match self {
            Self::Depth(image, _) => image.stamp,
            Self::Cloud(cloud) => cloud.stamp,
        }
    }
}

/// What became of a sensor's images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SensorStatus {
    /// Images or clouds in the grid.
    pub used: u64,
    /// Images or clouds that were refused.
    pub refused: u64,
    /// Images or clouds that gave way to newer ones.
    pub dropped: u64,
    /// Why the last one was refused; empty when the last one was used.
    pub reason: String,
    /// Stamp of the newest one in the grid.
    pub newest: Option<Stamp>,
    /// Share of its pixels or points that had a usable range, last time, in thousandths.
    pub usable_permille: u32,
}

/// A sensor and what waits.
#[derive(Clone, Debug)]
pub(crate) struct Sensor {
    pub name: String,
    pub params: SensorParams,
    pub base_link_from_sensor: Isometry3<f64>,
    pub pending: VecDeque<Sensed>,
    pub status: SensorStatus,
}

impl Sensor {
    pub fn new(name: &str, params: &SensorParams) -> Self {
        Self {
            name: name.to_string(),
            base_link_from_sensor: params.base_link_from_sensor(),
            params: params.clone(),
            pending: VecDeque::new(),
            status: SensorStatus::default(),
        }
    }

    /// Gives an image the sensor's own noise, unless matching has found it, and takes out what lies beyond its range.
    pub fn prepare(&self, image: &mut DepthImage) {
        let p = &self.params;
        if image.noise == DepthNoise::Rover {
            image.noise = DepthNoise::Sensor {
                sigma_m: p.sigma_m,
                per_m2: p.sigma_per_m2,
            };
        }
        for depth in &mut image.depth_m {
            let z = f64::from(*depth);
            if !(z >= p.range_min_m && z <= p.range_max_m) {
                *depth = f32::NAN;
            }
        }
    }

    /// Keeps an image until its odometry is there; the newest win.
    pub fn push(&mut self, sensed: Sensed) {
        if self.pending.len() >= MAX_PENDING {
            self.pending.pop_front();
            self.status.dropped += 1;
        }
        self.pending.push_back(sensed);
    }

    pub fn refuse(&mut self, why: impl Into<String>) {
        self.status.refused += 1;
        self.status.reason = why.into();
    }

    pub fn used(&mut self, stamp: Stamp, usable: usize, all: usize) {
        self.status.used += 1;
        self.status.reason.clear();
        self.status.newest = self.status.newest.max(Some(stamp));
        self.status.usable_permille = (1000 * usable / all.max(1)) as u32;
    }

    /// What is wrong with it, if anything; `since` is when the node began.
    pub fn complaint(&self, now: Stamp, since: Stamp) -> Option<String> {
        let silence_s = now.since(self.status.newest.unwrap_or(since));
        let why = match self.status.reason.as_str() {
            "" => String::new(),
            why => format!(": {why}"),
        };
        if silence_s > self.params.silence_s {
            return Some(format!(
                "sensor {} gave nothing usable for {silence_s:.1} s{why}",
                self.name
            ));
        }
        (!why.is_empty()).then(|| format!("sensor {} was refused{why}", self.name))
    }

    /// Where it stood in `odom`.
    pub fn odom_from_sensor(&self, at: &RoverPose) -> Isometry3<f64> {
        at.odom_from_base_link.iso * self.base_link_from_sensor
    }
}
