//! What the node is told and what it says.

use crate::{
    map::TerrainGrid,
    sensors::Sensed,
    stereo::{GreyImage, PairFault},
    surface::{ClassLayers, ClassedImage, View},
};
use sojourn_core::{
    Stamp,
    camera::Pinhole,
    frames::{BaseLink, NavcamOptical, Odom, Transform},
    health::Health,
    raster::Raster,
};
use std::{collections::BTreeMap, sync::Arc};

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
    /// The left image, for the depth image of the same stamp, which comes after it: its brightness shows ripples.
    Left(GreyImage),
    /// Class probabilities of the pixels of an image, for the depth image of the same stamp.
    Classed(ClassedImage),
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
    /// Images whose classes went into the grid.
    pub classed: u64,
    /// Images whose classes found no depth image of their stamp and size.
    pub unplaced: u64,
}

/// What the node says. All only at a tick.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    /// The grid, when an image has changed it.
    pub grid: Option<TerrainGrid>,
    /// The classes of its cells, when the node works with classes.
    pub classes: Option<ClassLayers>,
    /// How much brighter its cells looked than their surroundings (logarithm), when left images came with the depth.
    pub texture: Option<Raster>,
    /// The depth images that went into it in this tick, when somebody needs them: see [`Config::keeps_views`].
    pub views: Vec<Arc<View>>,
    /// For heartbeat and diagnostics.
    pub health: Option<Health>,
}
