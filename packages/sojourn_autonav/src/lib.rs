//! Local planner with a clearance check by exact settling, and the guard of the hard limits.
//!
//! [`autonav`] weighs a tree of turns and arcs over the local terrain grid and takes the cheapest one that the settled
//! rover can drive within its limits ([`config`], [`ground`], [`costmap`], [`paths`], [`check`], [`search`],
//! [`follow`]); where none leads on, a way over all of the known ground ([`hybrid`]). [`guard`] stands between it and the wheels and knows hard limits only.
//!
//! Both are pure: told the time and an input, they return a decision. Both begin stopped, and what has not been heard
//! is never taken for clear.

pub mod autonav;
pub mod check;
pub mod clearance;
pub mod coarse;
pub mod config;
pub mod corridor;
pub mod costmap;
mod direct;
pub mod disc;
pub mod drift;
pub mod felt;
pub mod follow;
pub mod fusion;
pub mod ground;
pub mod guard;
pub mod hybrid;
mod inputs;
pub mod orbital;
pub mod paths;
mod planes;
pub mod rocks;
pub mod search;
pub mod sharpen;
pub use sojourn_core::slip_forecast;
pub mod slide;
mod status;
mod think;

pub use autonav::{AutoNav, Decision, DriveState, Goal, Input};
pub use config::{AutoNavParams, Config, ConfigError};
