//! The tests of AutoNav and the guard as their users see them, in one program, because each program takes seconds to link.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may end on bad data

mod clearance;
mod closed_loop;
mod double;
mod keep_out;
mod safety;
