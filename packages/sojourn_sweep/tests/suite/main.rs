//! The tests of drives in one process and of sweeps, in one program, because each program takes seconds to link.
#![allow(clippy::unwrap_used)] // a test may end on bad data

mod closed_loop;
mod ripples;
mod sweep;
