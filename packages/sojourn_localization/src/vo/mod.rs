//! Stereo visual odometry: how far the camera has moved since the key pair, from features that both eyes see in both
//! pairs, or why that cannot be said.
//!
//! [`corners`] spreads corners over the left image, [`stereo`] finds them in the right one, [`patch`] finds them again
//! after the motion that wheels and gyro expect (patches are warped as ground under the wheels would be), [`solve`] makes
//! the motion of it, [`odometry`] keeps the key pair and says failure instead of guessing. No clock, no chance but from
//! a fixed seed: the same pairs give the same bits.

pub mod corners;
pub mod image;
pub mod odometry;
pub mod params;
pub mod patch;
pub mod solve;
pub mod stereo;
mod tracking;
pub mod unaided;

#[cfg(test)]
pub(crate) mod tests;

pub use image::GrayImage;
pub use odometry::{Failure, Guess, Motion, Seen, VisualOdometry};
pub use params::VoParams;
pub use stereo::{StereoCamera, StereoPair};
pub use unaided::Unaided;
