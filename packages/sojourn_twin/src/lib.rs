//! The digital twin: world, rover, soil, sensors, telemetry channels; verifies plans and simulates drives.
//!
//! [`world`] makes ground truth from a site (and [`generate`] makes a whole one), [`verify`] drives a plan over a
//! site's own elevation and checks every telemetry value, [`sim`] is the simulator that a node or a test steps, and
//! [`render`] is its camera. Nothing here reads a clock, and the same seed gives the same bits.

pub mod craters;
pub mod dataset;
pub mod day;
pub mod electrics;
pub mod error;
pub mod folder;
pub mod generate;
pub mod nameplate;
pub mod noise;
pub mod panorama;
pub mod params;
pub mod power;
pub mod recipe;
pub mod render;
pub mod rock_shape;
pub mod rocks;
pub mod sim;
pub mod stats;
pub mod surface;
pub mod terra;
#[cfg(test)]
mod testing;
pub mod verify;
pub mod world;

pub use error::TwinError;
