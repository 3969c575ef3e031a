//! The tests of perception as its users see it, in one program, because each program takes seconds to link.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may end on bad data

mod classes;
mod common;
mod fusion;
mod robustness;
mod sensors;
#[cfg(feature = "opencv")]
mod stereo;
mod surface;
mod terrain;
