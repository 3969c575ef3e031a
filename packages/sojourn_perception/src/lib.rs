//! From depth images to the local terrain grid that AutoNav drives by.
//!
//! [`Perception`] is the whole node without ROS: it is told the time and an input, buffers images until the odometry of
//! their stamp is there, and at each tick returns the grid when an image has changed it. [`map`] is the grid that rolls
//! with the rover, its cells Kalman filters, [`project`] takes one depth image to heights per cell, [`update`] enters them, [`holes`] closes small gaps, [`pairing`] finds
//! pose and camera of an image's stamp, [`config`] is the parameter file.
//!
//! [`sensors`] are further depth sensors that see into the same grid, [`cloud`] reads their point clouds.
//!
//! [`layers`] works slope, roughness, step and hazard out of the grid, [`rocks`] finds rocks in it, [`ripples`] ripples of sand.
//!
//! [`stereo`] takes a rectified pair to disparities with their uncertainty.
//! [`orbital`] tells classes of ground apart in images from orbit, with a [`forest`].
//! [`science`] finds targets for the science team and orders what goes home.
//! [`small`] finds float rocks, veins and nodules by image, depth and grid.
//! [`classes`] tells soil, bedrock, sand and big rock apart in an image, [`surface`] brings that down to the grid's cells.

mod cell;
pub mod classes;
mod clear;
pub mod cloud;
pub mod config;
mod core;
#[cfg(feature = "ros")]
pub mod feeds;
pub mod forest;
mod health;
pub mod holes;
mod input;
pub mod layers;
pub mod map;
pub mod orbital;
#[cfg(feature = "ros")]
pub mod outlets;
pub mod pairing;
mod plane;
pub mod project;
pub mod ripples;
pub mod rocks;
pub mod science;
pub mod sensors;
pub mod small;
pub mod stereo;
pub mod surface;
#[cfg(test)]
mod testing;
pub mod update;
#[cfg(feature = "ros")]
pub mod wire;

pub use config::{Config, GridConfig, Params, Source};
pub use core::Perception;
pub use input::{Counts, DepthImage, DepthNoise, Input, Output, Refusal};
pub use map::TerrainGrid;
