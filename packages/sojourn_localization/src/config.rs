//! Parameters of the node, as `config/localization.param.yaml` gives them, and their checked form.

use crate::{
    finding::FindParams, footing::FootingParams, sun::SunParams, visual::FusionParams, vo::VoParams,
};
use serde::Deserialize;
use sojourn_core::{CoreError, body::Body, error::in_range, rover::Rover};

/// The keys of the parameter file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The rover's file, relative to the folder the node is started in; read by the shell.
    pub rover_file: String,
    /// The body's file (gravity); read by the shell.
    pub body_file: String,
    /// Where the rover starts in `map`, metres.
    pub initial_x_m: f64,
    /// Where the rover starts in `map`, metres.
    pub initial_y_m: f64,
    /// Height of the ground at the start in `map`, metres.
    pub initial_z_m: f64,
    /// Heading at the start, radians counter-clockwise from east.
    pub initial_yaw_rad: f64,
    /// Standard deviation of that heading, radians.
    pub initial_yaw_sigma_rad: f64,
    /// Standard deviation of the place at the start, and of one that `initialpose` gives without a covariance, metres.
    pub initial_position_sigma_m: f64,
    /// A pose in `map` whose squared Mahalanobis distance (three degrees of freedom) from the estimate lies beyond this is
    /// refused.
    pub map_pose_gate: f64,
    /// What of a pose that comes as `map_pose` every pose from the same map has wrong alike, standard deviation of x and of y,
    /// metres: no number of them makes the rover surer than that. Fixes of `map_fix` take `map_sigma_m` of their own file.
    pub map_error_sigma_m: f64,
    /// Way over which that stays alike, metres.
    pub map_error_correlation_m: f64,
    /// IMU samples at rest that make the first level.
    pub init_samples: usize,
    /// At rest the specific force may differ from gravity by this share; what differs by more is a shock, and weighed as one.
    pub accel_gate_share: f64,
    /// Standard deviation of the accelerometer's bias at the start, m/s².
    pub accel_bias_sigma_mps2: f64,
    /// Its random walk, m/s² per square root of a second, as the data sheet has it.
    pub accel_walk_mps2: f64,
    /// Standard deviation of roll and pitch between inertial unit and wheels (mounting), radians.
    pub level_sigma_rad: f64,
    /// Random walk of the gyro's bias, rad/s per square root of a second, as the gyro's data sheet has it.
    pub gyro_walk_radps: f64,
    /// The rover stands still when no rim is faster than this, m/s.
    pub still_rim_mps: f64,
    /// And when the gyro, less its bias, shows at most this, rad/s.
    pub still_gyro_radps: f64,
    /// And has done so for this long, seconds.
    pub still_after_s: f64,
    /// Standard deviation of the velocity then, m/s.
    pub still_sigma_mps: f64,
    /// No IMU for longer than this is an error, seconds.
    pub imu_timeout_s: f64,
    /// No wheel states for longer than this is an error, seconds.
    pub wheels_timeout_s: f64,
    /// A stamp further ahead than this is refused, seconds.
    pub future_s: f64,
    /// Take the slip that the rover's file expects by slope off the wheels' way.
    pub use_slip_prior: bool,
    /// Standard deviation of the slip on the flat, 0 to 1.
    pub slip_sigma: f64,
    /// And this share of the expected slip on top.
    pub slip_sigma_share: f64,
    /// Standard deviation of the sideways creep, metres per metre.
    pub lateral_sigma: f64,
    /// Way over which slip stays alike, metres.
    pub slip_correlation_m: f64,
    /// How far the body sways in the plane beside what the wheels roll over a metre, metres; it grows with the root of the way.
    pub sway_sigma_m: f64,
    /// How far the body rises and sinks over the unevenness of a metre, metres; it grows with the root of the way.
    pub heave_sigma_m: f64,
    /// How far the body slides, rises or sinks over a turn of one radian, metres; it grows with the root of the turn.
    pub turn_slide_m: f64,
    /// Stereo pairs in the estimate.
    pub visual: FusionParams,
    /// How motion is seen in them.
    pub visual_odometry: VoParams,
    /// Wheels that sink in.
    pub footing: FootingParams,
    /// The sun as a compass.
    pub sun: SunParams,
    /// Fixes against the orbital map.
    pub map_fix: FindParams,
}

/// Checked parameters, joined with what the files of rover and body say.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The parameters, in range.
    pub params: Params,
    /// The body's gravity, m/s².
    pub gravity_mps2: f64,
}

impl Config {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`CoreError::Value`] that names the key.
    pub fn new(params: Params, body: &Body) -> Result<Self, CoreError> {
        let p = &params;
        for (name, value, lo, hi) in [
            ("initial_x_m", p.initial_x_m, -1e6, 1e6),
            ("initial_y_m", p.initial_y_m, -1e6, 1e6),
            ("initial_z_m", p.initial_z_m, -1e5, 1e5),
            ("initial_yaw_rad", p.initial_yaw_rad, -7.0, 7.0),
            ("initial_yaw_sigma_rad", p.initial_yaw_sigma_rad, 0.0, 3.2),
            (
                "initial_position_sigma_m",
                p.initial_position_sigma_m,
                0.0,
                1e4,
            ),
            ("map_pose_gate", p.map_pose_gate, 1.0, 1e6),
            ("map_error_sigma_m", p.map_error_sigma_m, 0.0, 1e3),
            (
                "map_error_correlation_m",
                p.map_error_correlation_m,
                0.1,
                1e7,
            ),
            ("init_samples", p.init_samples as f64, 1.0, 10_000.0),
            ("accel_gate_share", p.accel_gate_share, 0.001, 1.0),
            ("accel_bias_sigma_mps2", p.accel_bias_sigma_mps2, 0.0, 10.0),
            ("accel_walk_mps2", p.accel_walk_mps2, 0.0, 1.0),
            ("level_sigma_rad", p.level_sigma_rad, 0.0, 1.0),
            ("gyro_walk_radps", p.gyro_walk_radps, 0.0, 1.0),
            ("still_rim_mps", p.still_rim_mps, 0.0, 1.0),
            ("still_gyro_radps", p.still_gyro_radps, 0.0, 1.0),
            ("still_after_s", p.still_after_s, 0.0, 60.0),
            ("still_sigma_mps", p.still_sigma_mps, 1e-6, 1.0),
            ("imu_timeout_s", p.imu_timeout_s, 0.01, 60.0),
            ("wheels_timeout_s", p.wheels_timeout_s, 0.01, 60.0),
            ("future_s", p.future_s, 0.0, 10.0),
            ("slip_sigma", p.slip_sigma, 0.0, 1.0),
            ("slip_sigma_share", p.slip_sigma_share, 0.0, 2.0),
            ("lateral_sigma", p.lateral_sigma, 0.0, 1.0),
            ("slip_correlation_m", p.slip_correlation_m, 0.01, 1e6),
            ("sway_sigma_m", p.sway_sigma_m, 0.0, 1.0),
            ("heave_sigma_m", p.heave_sigma_m, 0.0, 1.0),
            ("turn_slide_m", p.turn_slide_m, 0.0, 1.0),
        ] {
            in_range("parameters of localization", name, value, lo, hi)?;
        }
        p.visual.check()?;
        p.visual_odometry.check()?;
        p.footing.check()?;
        p.sun.check()?;
        p.map_fix.check()?;
        body.check("body")?;
        Ok(Self {
            gravity_mps2: body.gravity_mps2,
            params,
        })
    }

    /// Standard deviation of the slip where the rover's file expects `expected`, 0 to 1.
    #[must_use]
    pub fn slip_sigma(&self, expected: f64) -> f64 {
        if self.params.visual.enabled {
            return self.params.visual.slip_sigma;
        }
        self.params.slip_sigma + self.params.slip_sigma_share * expected
    }

    /// Standard deviation of the sideways creep, metres per metre.
    #[must_use]
    pub fn creep_sigma(&self) -> f64 {
        if self.params.visual.enabled {
            self.params.visual.lateral_sigma
        } else {
            self.params.lateral_sigma
        }
    }

    /// Way over which slip stays alike, metres.
    #[must_use]
    pub fn correlation_m(&self) -> f64 {
        if self.params.visual.enabled {
            self.params.visual.slip_correlation_m
        } else {
            self.params.slip_correlation_m
        }
    }

    /// Expected slip and sideways creep (metres to the left per metre driven) at an attitude, for a driving direction.
    #[must_use]
    pub fn expected_slip(
        &self,
        rover: &Rover,
        roll_rad: f64,
        pitch_rad: f64,
        sign: f64,
    ) -> (f64, f64) {
        if self.params.use_slip_prior {
            (
                rover.slip.slip(pitch_rad, sign),
                rover.slip.lateral(roll_rad),
            )
        } else {
            (0.0, 0.0)
        }
    }
}
