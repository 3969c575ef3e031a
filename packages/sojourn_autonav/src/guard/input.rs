//! What the guard hears.

use sojourn_core::{
    Stamp,
    health::{HealthLevel, NodeState},
    kinematics::Velocity,
    rover::Rover,
    suspension::SuspensionAngles,
};

/// An input. Stamps are those of the messages.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A velocity that AutoNav asks for.
    Command {
        /// When it was decided.
        stamp: Stamp,
        /// The velocity.
        velocity: Velocity,
    },
    /// Whether the executive lets the rover drive.
    Permission {
        /// When it was said.
        stamp: Stamp,
        /// A bundle is being driven.
        active: bool,
    },
    /// A sample of the inertial unit, in `base_link`.
    Imu {
        /// When it was measured.
        stamp: Stamp,
        /// Rate, rad/s.
        rate_radps: [f64; 3],
        /// Specific force, m/s²; up when standing level.
        force_mps2: [f64; 3],
    },
    /// The drives and the suspension.
    Wheels {
        /// When they were measured.
        stamp: Stamp,
        /// What was measured.
        reading: WheelReading,
    },
    /// Speed over ground along the body's forward axis, as localization has it.
    Ground {
        /// Stamp of the estimate.
        stamp: Stamp,
        /// Speed, m/s.
        speed_mps: f64,
    },
    /// A node's sign of life.
    Heartbeat {
        /// The node's name without namespace.
        node: String,
        /// When it was sent.
        stamp: Stamp,
        /// What it is doing.
        state: NodeState,
        /// How well it is.
        level: HealthLevel,
    },
    /// The emergency stop is pressed or released. Carries no stamp: pressed is pressed.
    EStop(bool),
    /// How many publishers the ROS graph shows on the guard's output and on what it takes orders from.
    Publishers(Publishers),
    /// A control period has passed: decide.
    Tick,
}

/// What the wheels and the suspension measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WheelReading {
    /// Speed of each wheel's rim, forward positive, m/s, in the order of [`sojourn_core::topics::DRIVE_JOINTS`]; 0 for wheels
    /// that the rover does not have.
    pub rims_mps: [f64; 6],
    /// The suspension's angles; `None` when the rover does not measure them.
    pub suspension: Option<SuspensionAngles>,
    /// Greatest torque of a drive, N·m; `None` when the drives do not tell.
    pub effort_nm: Option<f64>,
}

impl WheelReading {
    /// Mean speed of the rims that a rover has, forward positive, m/s.
    #[must_use]
    pub fn mean_rim_mps(&self, rover: &Rover) -> f64 {
        let rims = self.rims_mps.iter().zip(rover.has_wheel());
        let sum: f64 = rims.filter_map(|(v, has)| has.then_some(v)).sum();
        sum / rover.wheel_count() as f64
    }
}

/// Numbers of publishers; each of these topics has one rightful owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Publishers {
    /// Of `cmd_vel`, the guard among them.
    pub output: usize,
    /// Of `cmd_vel_nav`.
    pub command: usize,
    /// Of `drive_goal`.
    pub permission: usize,
}

impl Publishers {
    /// As it should be.
    pub const RIGHT: Self = Self {
        output: 1,
        command: 1,
        permission: 1,
    };

    /// A topic that somebody else publishes too, if there is one.
    pub(super) fn excess(&self) -> Option<String> {
        [
            ("cmd_vel", self.output),
            ("cmd_vel_nav", self.command),
            ("drive_goal", self.permission),
        ]
        .into_iter()
        .find(|(_, n)| *n > 1)
        .map(|(topic, n)| format!("{topic} has {n} publishers, expected 1"))
    }
}
