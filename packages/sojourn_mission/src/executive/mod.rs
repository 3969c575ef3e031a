//! The executive: takes a bundle, drives it waypoint by waypoint with AutoNav, and stops when anything is amiss.
//!
//! IDLE → READY (a bundle is accepted) → DRIVING → REACHED, STOPPED, ABORTED or CANCELLED. The goal that goes to AutoNav is
//! active only in DRIVING, and only after pose, map to odom and every watched heartbeat have been seen fresh and the rover
//! stands at the plan's start. The machine is told the time and asks no clock.

mod config;
mod machine;
mod progress;
mod watch;

pub use config::{Config, Params};
pub use machine::Executive;
pub use sojourn_core::status::{AutonavState, DriveState};

use sojourn_core::Stamp;
use sojourn_core::frames::{BaseLink, Map, Odom, Transform};
use sojourn_core::geometry::Xy;
use sojourn_core::health::Health;
use sojourn_core::plan::Waypoint;

/// What the executive hears. Each carries the sender's stamp.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Pose by odometry.
    Odometry {
        /// When.
        stamp: Stamp,
        /// Where.
        odom_from_base_link: Transform<Odom, BaseLink>,
    },
    /// Where odometry's frame lies in the map.
    MapFromOdom {
        /// When.
        stamp: Stamp,
        /// Where.
        map_from_odom: Transform<Map, Odom>,
    },
    /// AutoNav's status.
    Autonav {
        /// When.
        stamp: Stamp,
        /// What it does.
        state: AutonavState,
        /// Why.
        reason: String,
    },
    /// A node's sign of life.
    Heartbeat {
        /// When.
        stamp: Stamp,
        /// Who.
        node: String,
        /// How it is.
        health: Health,
    },
}

/// What goes to AutoNav at every tick.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GoalOut {
    /// The bundle; empty without one.
    pub bundle_id: String,
    /// False: stand still.
    pub active: bool,
    /// Index of the waypoint.
    pub waypoint_index: usize,
    /// The waypoint, with the tolerance that the executive uses; `None` while not active.
    pub waypoint: Option<Waypoint>,
    /// The corridor of the next segment, `map` metres, which may be used too; empty on the last one.
    pub next_corridor: Vec<Xy>,
    /// The plan's keep-outs that the rover could come to from these corridors, `map` metres.
    pub keep_out: Vec<Vec<Xy>>,
    /// Why it is not active.
    pub reason: String,
}

/// How the drive stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// State.
    pub state: DriveState,
    /// The bundle; empty without one.
    pub bundle_id: String,
    /// Index of the waypoint on the way.
    pub waypoint_index: usize,
    /// Waypoints of the plan.
    pub waypoint_count: usize,
    /// Length of the plan, metres.
    pub distance_planned_m: f64,
    /// Way driven by odometry, metres.
    pub distance_driven_m: f64,
    /// Straight distance to the goal by the rover's own estimate, metres.
    pub distance_to_goal_m: f64,
    /// Why, one sentence.
    pub reason: String,
}

/// How a drive ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The last state.
    pub state: DriveState,
    /// The bundle.
    pub bundle_id: String,
    /// Why.
    pub reason: String,
    /// Way driven by odometry, metres.
    pub distance_driven_m: f64,
    /// Distance to the goal by the rover's own estimate, metres.
    pub goal_error_estimate_m: f64,
}

/// What the executive decides at a tick.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// To AutoNav.
    pub goal: GoalOut,
    /// How the drive stands.
    pub status: Status,
    /// Whether the status is to be published now.
    pub status_due: bool,
    /// For heartbeat and diagnostics.
    pub health: Health,
    /// Once, when a drive is over and the rover has had time to come to rest.
    pub outcome: Option<Outcome>,
}
