//! What a control period of the simulator gives: what the sensors read, and the truth.

use super::{imu::ImuSample, sun::SunSample};
use crate::{electrics::ElectricsReading, render::Frame, terra::Traction};
use sojourn_core::{
    Stamp,
    frames::{BaseLink, Map, NavcamOptical, Pose2, Transform},
    kinematics::Velocity,
    settle::Settled,
};

/// What the wheels' encoders read, in the order of [`Rover::hubs_m`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WheelReading {
    /// Angle turned since the start, radians, forward positive.
    pub position_rad: [f64; 6],
    /// Angular velocity, rad/s.
    pub velocity_radps: [f64; 6],
    /// Steering angle, radians, counter-clockwise positive.
    pub steer_rad: [f64; 6],
}

/// One image pair of depth and brightness with the place of its camera.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageEvent {
    /// When.
    pub stamp: Stamp,
    /// Number of the image, from 0.
    pub number: u64,
    /// How far the mast was turned, radians counter-clockwise.
    pub pan_rad: f64,
    /// Where the left camera stood on the rover.
    pub base_link_from_navcam: Transform<BaseLink, NavcamOptical>,
    /// Depth and brightness.
    pub frame: Frame,
}

/// The truth at the end of a control period. For scorers; no node may use it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truth {
    /// Pose with attitude and height.
    pub map_from_base_link: Transform<Map, BaseLink>,
    /// The same on the plane.
    pub pose: Pose2,
    /// True velocity: along the body's x axis and about the vertical.
    pub velocity: Velocity,
    /// Share of the commanded way that is lost; 0 when it does not drive, below 0 when it is pushed ahead downhill.
    pub slip: f64,
    /// True way since the start, metres.
    pub distance_m: f64,
    /// How it stands, sunk in as deep as its wheels are.
    pub settled: Settled,
    /// What each wheel carries, pulls and how deep it stands.
    pub traction: Traction,
}

/// What one control period gives.
#[derive(Clone, Debug, PartialEq)]
pub struct SimOutput {
    /// Its end.
    pub now: Stamp,
    /// Inertial readings, oldest first, the last at `now`.
    pub imu: Vec<ImuSample>,
    /// Encoders at `now`.
    pub wheels: WheelReading,
    /// The sun's direction, when it was read.
    pub sun: Option<SunSample>,
    /// Drives, battery, temperatures at `now`.
    pub electrics: ElectricsReading,
    /// An image, when one was due.
    pub image: Option<ImageEvent>,
    /// The truth.
    pub truth: Truth,
    /// Why the rover could not do what it was told (it would have left the known ground), if it could not.
    pub blocked: Option<String>,
}
