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

use sojourn_core::Stamp;
use sojourn_core::frames::{BaseLink, Map, Odom, Transform};
use sojourn_core::geometry::Xy;
use sojourn_core::health::Health;
use sojourn_core::plan::Waypoint;

/// State of a drive, with the numbers of `sojourn_msgs/DriveStatus`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum DriveState {
    /// No bundle.
    #[default]
    Idle = 0,
    /// A bundle is accepted.
    Ready = 1,
    /// On the way, or about to be.
    Driving = 2,
    /// At the goal, by the rover's own estimate.
    Reached = 3,
    /// Stopped on the way for safety.
    Stopped = 4,
    /// Given up because the executive itself cannot go on.
    Aborted = 5,
    /// Stopped by whoever ordered the drive.
    Cancelled = 6,
}

impl DriveState {
    /// The name in documents and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "IDLE",
            Self::Ready => "READY",
            Self::Driving => "DRIVING",
            Self::Reached => "REACHED",
            Self::Stopped => "STOPPED",
            Self::Aborted => "ABORTED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// From the number in a message.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        [
            Self::Idle,
            Self::Ready,
            Self::Driving,
            Self::Reached,
            Self::Stopped,
            Self::Aborted,
            Self::Cancelled,
        ]
        .into_iter()
        .find(|s| *s as u8 == number)
    }

    /// Whether a drive has ended in this state.
    #[must_use]
    pub fn is_end(self) -> bool {
        matches!(
            self,
            Self::Reached | Self::Stopped | Self::Aborted | Self::Cancelled
        )
    }
}

/// What AutoNav does, with the numbers of `sojourn_msgs/AutonavStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum AutonavState {
    /// No goal.
    Idle = 0,
    /// Under way.
    Driving = 1,
    /// Turning in place.
    Turning = 2,
    /// No safe way.
    Stopped = 3,
    /// At the waypoint.
    Goal = 4,
}

impl AutonavState {
    /// From the number in a message.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        [
            Self::Idle,
            Self::Driving,
            Self::Turning,
            Self::Stopped,
            Self::Goal,
        ]
        .into_iter()
        .find(|s| *s as u8 == number)
    }
}

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
