//! The vocabulary of Sojourn. Nothing here reads a clock or a socket, and nothing here knows ROS or GDAL.
//!
//! Read in this order:
//! [`time`] and [`frames`] (when and where), [`geometry`] (polygons, segments), [`raster`] and [`site`] (the ground),
//! [`body`] (the planet), [`rover`] (the vehicle, its [`limits`] and [`kinematics`]), [`settle`] (how it stands on
//! the ground), [`slip`] and [`classes`] (what the ground does to it), [`camera`], [`constraints`], [`freshness`], [`plan`] and
//! [`report`] (the documents that go from person to rover), [`status`], [`conduct`], [`health`], [`params`] and [`topics`]
//! (how the nodes meet).

pub mod body;
pub mod camera;
pub mod classes;
pub mod conduct;
pub mod constraints;
pub mod error;
pub mod files;
pub mod frames;
pub mod freshness;
pub mod geometry;
pub mod gridmap;
pub mod health;
pub mod kinematics;
pub mod limits;
pub mod params;
pub mod plan;
pub mod raster;
pub mod report;
pub mod rover;
pub mod settle;
pub mod site;
pub mod slip;
pub mod slip_forecast;
pub mod soil;
pub mod status;
pub mod suspension;
pub mod terrain;
pub mod time;
pub mod topics;
pub mod whole;

pub use error::CoreError;
pub use time::Stamp;
