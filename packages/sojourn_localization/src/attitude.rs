//! Attitude from the gyro, its level held by gravity, and the gyro's bias.
//!
//! Roll and pitch: the gyro is integrated and the level is pulled towards the measured specific force with a time
//! constant, only while its magnitude is near the body's gravity. Heading: the gyro alone, nothing else sees it. Bias:
//! while the rover stands still its true rate is zero, so each sample measures the bias (a scalar Kalman filter per
//! axis), and the heading is held.

use crate::config::Config;
use nalgebra::{UnitQuaternion, Vector3};
use sojourn_core::rover::Imu;

/// Orientation of `base_link` in `odom` and the gyro's bias.
#[derive(Clone, Debug)]
pub struct Attitude {
    odom_from_base: UnitQuaternion<f64>,
    bias_radps: Vector3<f64>,
    bias_var: Vector3<f64>,
    noise_var: f64,
    level_samples: f64,
}

/// The first level, from samples at rest.
#[derive(Clone, Debug, Default)]
pub struct Levelling {
    accel_sum: Vector3<f64>,
    gyro_sum: Vector3<f64>,
    samples: usize,
}

impl Levelling {
    /// Adds a sample, m/s² and rad/s.
    pub fn add(&mut self, accel_mps2: Vector3<f64>, gyro_radps: Vector3<f64>) {
        self.accel_sum += accel_mps2;
        self.gyro_sum += gyro_radps;
        self.samples += 1;
    }

    /// Samples so far.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Magnitude of the mean specific force, m/s².
    #[must_use]
    pub fn force_mps2(&self) -> f64 {
        (self.accel_sum / self.samples.max(1) as f64).norm()
    }

    /// The attitude with the mean specific force pointing up and the given heading; `None` without a direction.
    #[must_use]
    pub fn attitude(&self, yaw_rad: f64, imu: &Imu) -> Option<Attitude> {
        let up_in_base = self.accel_sum.try_normalize(1e-9)?;
        // Roll and pitch of REP-103's yaw-pitch-roll whose third row is the up direction in base_link.
        let roll = up_in_base.y.atan2(up_in_base.z);
        let pitch = (-up_in_base.x).clamp(-1.0, 1.0).asin();
        let noise_var = imu.gyro_sigma_radps.powi(2).max(1e-16);
        let mut attitude = Attitude {
            odom_from_base: UnitQuaternion::from_euler_angles(roll, pitch, yaw_rad),
            bias_radps: Vector3::zeros(),
            bias_var: Vector3::repeat(imu.gyro_bias_sigma_radps.powi(2)),
            noise_var,
            level_samples: self.samples as f64,
        };
        // The samples of the start are measurements of the bias, too.
        let n = self.samples as f64;
        attitude.measure_bias(self.gyro_sum / n, noise_var / n);
        Some(attitude)
    }
}

impl Attitude {
    /// Orientation of `base_link` in `odom`.
    #[must_use]
    pub fn odom_from_base(&self) -> UnitQuaternion<f64> {
        self.odom_from_base
    }

    /// Roll, pitch, yaw, radians (REP-103).
    #[must_use]
    pub fn rpy_rad(&self) -> (f64, f64, f64) {
        self.odom_from_base.euler_angles()
    }

    /// The gyro's bias, rad/s.
    #[must_use]
    pub fn bias_radps(&self) -> Vector3<f64> {
        self.bias_radps
    }

    /// Variance of the bias about the body's vertical axis, (rad/s)².
    #[must_use]
    pub fn yaw_bias_var(&self) -> f64 {
        self.bias_var.z
    }

    /// Variance of one gyro sample, (rad/s)².
    #[must_use]
    pub fn noise_var(&self) -> f64 {
        self.noise_var
    }

    fn measure_bias(&mut self, gyro_radps: Vector3<f64>, noise_var: f64) {
        for axis in 0..3 {
            let gain = self.bias_var[axis] / (self.bias_var[axis] + noise_var);
            self.bias_radps[axis] += gain * (gyro_radps[axis] - self.bias_radps[axis]);
            self.bias_var[axis] *= 1.0 - gain;
        }
    }

    /// The rover stands still: the sample is bias and noise, and the heading stays.
    pub fn rest(&mut self, gyro_radps: Vector3<f64>) {
        self.measure_bias(gyro_radps, self.noise_var);
    }

    /// The bias has walked for `dt_s`, by `walk_radps` per root of a second about each axis.
    pub fn walked(&mut self, dt_s: f64, walk_radps: f64) {
        self.bias_var += Vector3::repeat(walk_radps * walk_radps * dt_s);
    }

    /// Turns by the gyro over `dt_s`.
    pub fn turn(&mut self, gyro_radps: Vector3<f64>, dt_s: f64) {
        let turn = (gyro_radps - self.bias_radps) * dt_s;
        self.odom_from_base *= UnitQuaternion::from_scaled_axis(turn);
        self.odom_from_base.renormalize();
    }

    /// A measurement has shown that heading (radians) and yaw bias (rad/s) are off by this much; the bias is known with the
    /// variance `bias_var` now.
    pub fn correct(&mut self, yaw_rad: f64, bias_radps: f64, bias_var: f64) {
        if !(yaw_rad.is_finite() && bias_radps.is_finite() && bias_var >= 0.0) {
            return;
        }
        let turn = UnitQuaternion::from_axis_angle(&Vector3::z_axis(), yaw_rad);
        self.odom_from_base = turn * self.odom_from_base;
        self.odom_from_base.renormalize();
        self.bias_radps.z += bias_radps;
        self.bias_var.z = self.bias_var.z.min(bias_var);
    }

    /// Pulls the level towards the specific force. Returns whether it was near enough to gravity to be used.
    pub fn level(&mut self, accel_mps2: Vector3<f64>, dt_s: f64, config: &Config) -> bool {
        let g = config.gravity_mps2;
        let force = accel_mps2.norm();
        if !((force - g).abs() <= config.params.accel_gate_share * g) {
            return false;
        }
        let measured = self.odom_from_base * (accel_mps2 / force);
        // The shortest turn that brings the measured up to the true one; it lies in the horizontal plane, so the
        // heading is not touched.
        let error = measured.cross(&Vector3::z());
        self.level_samples += 1.0;
        let gain =
            (dt_s / config.params.level_time_constant_s).clamp(1.0 / self.level_samples, 1.0);
        self.odom_from_base = UnitQuaternion::from_scaled_axis(error * gain) * self.odom_from_base;
        self.odom_from_base.renormalize();
        true
    }
}
