//! What the node is told and what it says.

use crate::{
    finding::{Answer, Search},
    map_frame::MapPose,
    pairs::Part,
    visual::Sighting,
    vo::StereoPair,
};
use nalgebra::{Matrix3, Vector3};
use sojourn_core::{
    Stamp,
    frames::{BaseLink, Map, Odom, Pose2, Transform},
    health::Health,
    kinematics::WheelMotion,
    suspension::SuspensionAngles,
};
use std::{collections::BTreeMap, sync::Arc};

/// One sample of the inertial unit, in `base_link`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImuSample {
    /// Angular rate, rad/s.
    pub gyro_radps: Vector3<f64>,
    /// Specific force, m/s² (gravity's reaction: up at rest).
    pub accel_mps2: Vector3<f64>,
}

/// What the encoders say, wheels in the order of [`Rover::hubs_m`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WheelSample {
    /// Speeds of the rims now and angles of the steering.
    pub motion: WheelMotion,
    /// Way of each rim since any fixed moment, metres.
    pub travel_m: [f64; 6],
    /// How the suspension stands; `None` when the rover does not measure it.
    pub suspension: Option<SuspensionAngles>,
}

/// What the node is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A sample of the IMU.
    Imu(Stamp, ImuSample),
    /// What the wheels do.
    Wheels(Stamp, WheelSample),
    /// The direction to the sun as a sensor sees it, in `base_link`, of any length.
    Sun(Stamp, Vector3<f64>),
    /// A rectified stereo pair.
    Pair(Stamp, Box<StereoPair>),
    /// A part of one.
    Part(Part),
    /// Somebody knows where the rover is: where it stands in `map` now, and the covariance of x, y (metres) and yaw (radians);
    /// one that is none stands for that of the parameters.
    InitialPose(Pose2, Matrix3<f64>),
    /// Somebody has found the rover on the map: where it stood in `map` at a stamp.
    MapPose(Stamp, MapPose),
    /// The rover is to be looked for on the orbital map.
    FindOnMap,
    /// What a search gave; at the tick that the search named.
    Found(Box<Answer>),
    /// Time for an estimate.
    Tick,
}

/// Why an input was not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// Not-a-number or absurd.
    NotFinite,
    /// Not newer than the last of its kind.
    OutOfOrder,
    /// The stamp lies ahead.
    Future,
    /// The stamp lies so far back that what was believed then is forgotten.
    TooOld,
    /// A pose in `map` that lies too far from where the rover is believed to be.
    Disagrees,
    /// A sun that stands elsewhere than almanac, level and heading allow.
    Sun,
}

impl Refusal {
    /// The reason in words.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::NotFinite => "a value that is not a plausible number",
            Self::OutOfOrder => "a stamp that is not newer than the last",
            Self::Future => "a stamp in the future",
            Self::TooOld => "a stamp too far back",
            Self::Disagrees => {
                "a pose in map that lies too far from where the rover is believed to be"
            }
            Self::Sun => "a sun that stands elsewhere than almanac, level and heading allow",
        }
    }
}

/// What happened since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// IMU samples used.
    pub imu: u64,
    /// Wheel states used.
    pub wheels: u64,
    /// Inputs that were refused, by reason.
    pub refused: BTreeMap<Refusal, u64>,
    /// Gaps in the data that were bridged.
    pub gaps: u64,
    /// Stereo pairs that were looked at.
    pub pairs: u64,
    /// Of them those that gave a motion.
    pub motions: u64,
    /// Motions that the filter refused.
    pub outliers: u64,
    /// Readings of the sun that the heading agreed with.
    pub suns: u64,
    /// Poses in `map` that were taken.
    pub map_poses: u64,
    /// Searches on the orbital map that were begun.
    pub searches: u64,
    /// Of them those whose fix was taken.
    pub map_fixes: u64,
}

/// Where the rover is believed to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Stamp of the newest measurement in it.
    pub stamp: Stamp,
    /// Pose.
    pub odom_from_base_link: Transform<Odom, BaseLink>,
    /// Its covariance as in `nav_msgs/Odometry`: 6 × 6 row by row, x y z (m) roll pitch yaw (rad).
    pub pose_covariance: [f64; 36],
    /// Velocity over ground in `base_link`: forward, left, up, m/s.
    pub velocity_mps: [f64; 3],
    /// Standard deviation of the forward velocity, m/s.
    pub velocity_sigma_mps: f64,
    /// Angular rate in `base_link`, rad/s.
    pub rate_radps: Vector3<f64>,
    /// Where `odom` lies in `map`.
    pub map_from_odom: Transform<Map, Odom>,
    /// Greatest standard deviation of the rover's place in `map`, metres.
    pub map_sigma_m: f64,
}

/// What the node says. All only at a tick.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    /// The estimate, once there is one.
    pub estimate: Option<Estimate>,
    /// What the stereo pairs since the last tick told, oldest first.
    pub sightings: Vec<Sighting>,
    /// A search to be run beside the node; its answer is awaited at `answer_at`.
    pub search: Option<Arc<Search>>,
    /// For heartbeat and diagnostics.
    pub health: Option<Health>,
}
