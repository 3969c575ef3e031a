//! Where the rover believes it is: inertial unit, wheels and stereo pairs in one error-state filter.
//!
//! [`Localization`] is the whole node without ROS: it is told the time and an input and gives an estimate at each tick.
//! [`filter`] is the error-state filter of pose, velocity and biases, [`config`] the parameter file. [`pairs`] makes stereo pairs of their parts, [`vo`] sees the motion in them, [`visual`]
//! brings it into the estimate. [`footing`] sees wheels that sink, [`sun`] the heading by the sun. [`map_frame`] says where `odom` lies in `map`; [`mapfix`] finds the rover on
//! the orbital map, [`finding`] says when it is looked for and in which pairs.

pub mod config;
mod core;
pub mod filter;
pub mod finding;
pub mod footing;
pub mod map_frame;
pub mod mapfix;
mod messages;
pub mod pairs;
pub mod sun;
pub mod trajectory;
pub mod visual;
pub mod vo;

#[cfg(test)]
mod drive_tests;

pub use config::{Config, Params};
pub use core::Localization;
pub use messages::{Counts, Estimate, ImuSample, Input, Output, Refusal, WheelSample};
