//! What an operator sets for the guard, checked.

use serde::Deserialize;
use sojourn_core::{CoreError, error::in_range};

/// Most nodes that can be watched.
pub const MAX_WATCHED: usize = 32;

/// Parameters as `config/guard.param.yaml` gives them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardParams {
    /// Path of the rover's description.
    pub rover_file: String,
    /// Age of a command after which the rover stops, seconds.
    pub command_timeout_s: f64,
    /// Age of the executive's permission after which the rover stops, seconds.
    pub permission_timeout_s: f64,
    /// Age of the IMU after which the rover stops, seconds.
    pub imu_timeout_s: f64,
    /// Age of the wheels' state after which the rover stops, seconds.
    pub wheels_timeout_s: f64,
    /// Age of the speed over ground after which the rover stops, seconds.
    pub odometry_timeout_s: f64,
    /// Age of a heartbeat after which the rover stops, seconds.
    pub heartbeat_timeout_s: f64,
    /// Nodes whose heartbeats are watched.
    pub watched: Vec<String>,
    /// Greatest change of any rim speed, m/s²; a stop is never slowed down.
    pub max_rim_accel_mps2: f64,
    /// Share of the rover's tilt limit at which the rover stops.
    pub tilt_share: f64,
    /// Greatest rate at which the body may tip, rad/s.
    pub max_tilt_rate_radps: f64,
    /// Whether the rover measures its suspension; then the rover stops when the wheels' state does not tell it.
    pub suspension_measured: bool,
    /// Way of the wheels over which slip is taken, metres.
    pub slip_window_m: f64,
    /// Way that a wheel may stand still while the others roll it, metres.
    pub stall_way_m: f64,
    /// Share of the suspension's limits at which the rover stops.
    pub suspension_share: f64,
    /// Greatest torque of a drive, N·m, where the drives tell it (a measure of the motor's current).
    pub max_drive_effort_nm: f64,
    /// Time constant of the tilt filter, seconds: shorter trusts the accelerometer more.
    pub tilt_filter_s: f64,
}

/// The guard's checked configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct GuardConfig(pub(super) GuardParams);

impl TryFrom<GuardParams> for GuardConfig {
    type Error = CoreError;

    fn try_from(p: GuardParams) -> Result<Self, CoreError> {
        let what = "guard parameters";
        for (name, value, lo, hi) in [
            ("command_timeout_s", p.command_timeout_s, 0.02, 2.0),
            ("permission_timeout_s", p.permission_timeout_s, 0.02, 2.0),
            ("imu_timeout_s", p.imu_timeout_s, 0.02, 2.0),
            ("wheels_timeout_s", p.wheels_timeout_s, 0.02, 2.0),
            ("odometry_timeout_s", p.odometry_timeout_s, 0.02, 2.0),
            ("slip_window_m", p.slip_window_m, 0.05, 100.0),
            ("stall_way_m", p.stall_way_m, 0.01, 100.0),
            ("heartbeat_timeout_s", p.heartbeat_timeout_s, 0.05, 2.0),
            ("max_rim_accel_mps2", p.max_rim_accel_mps2, 0.01, 100.0),
            ("tilt_share", p.tilt_share, 0.1, 1.0),
            ("max_tilt_rate_radps", p.max_tilt_rate_radps, 0.01, 10.0),
            ("suspension_share", p.suspension_share, 0.1, 1.0),
            ("max_drive_effort_nm", p.max_drive_effort_nm, 0.01, 1e5),
            ("tilt_filter_s", p.tilt_filter_s, 0.01, 10.0),
            (
                "watched.length",
                p.watched.len() as f64,
                1.0,
                MAX_WATCHED as f64,
            ),
        ] {
            in_range(what, name, value, lo, hi)?;
        }
        if let Some(name) = p.watched.iter().find(|n| n.trim().is_empty()) {
            return Err(CoreError::value(what, "watched", name, "names of nodes"));
        }
        Ok(Self(p))
    }
}
