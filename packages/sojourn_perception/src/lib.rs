//! From depth images to the local terrain grid that AutoNav drives by.
//!
//! [`Perception`] is the whole node without ROS: it is told the time and an input, buffers images until the odometry of
//! their stamp is there, and at each tick returns the grid when an image has changed it. [`map`] is the grid that rolls
//! with the rover, [`project`] takes one depth image to heights per cell, [`holes`] closes small gaps, [`pairing`] finds
//! pose and camera of an image's stamp, [`config`] is the parameter file.
//!
//! [`stereo`] takes a rectified pair to disparities with their uncertainty.
//! [`classes`] tells soil, bedrock, sand and big rock apart in an image.

pub mod classes;
pub mod config;
mod core;
pub mod holes;
pub mod map;
pub mod pairing;
pub mod project;
pub mod rocks;
pub mod stereo;

pub use config::{Config, GridConfig, Params, Source};
pub use core::{Counts, DepthImage, DepthNoise, Input, Output, Perception, Refusal};
pub use map::TerrainGrid;
