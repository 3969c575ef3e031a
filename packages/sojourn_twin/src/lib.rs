//! The digital twin: world, rover, soil, sensors, telemetry channels; verifies plans and simulates drives.
//!
//! [`world`] makes ground truth from a site (and [`world::generate`] makes a site), [`verify`] drives a plan over a
//! site's own elevation and checks every telemetry value, [`sim`] is the simulator that a node or a test steps, and
//! [`render`] is its camera. Nothing here reads a clock, and the same seed gives the same bits.

pub mod error;
pub mod generate;
pub mod nameplate;
pub mod noise;
pub mod params;
pub mod render;
pub mod rocks;
pub mod sim;
pub mod terra;
#[cfg(test)]
mod testing;
pub mod verify;
pub mod world;

pub use error::TwinError;
