//! The shell on top of r2r.

pub mod answer;
pub mod context;
mod graph;
pub mod kit;
pub mod logging;
pub mod meta;
pub mod msgs;
mod param_services;
pub mod publisher;
pub mod recording;
pub mod run;
pub mod simulator;
mod threads;
pub mod ticks;
