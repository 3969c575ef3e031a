//! The first level, from samples at rest.

use super::{
    ACCEL, ASIDE, BESIDE, CREEP, Covariance, Filter, GYRO, Inertial, SCALE, SLIP, SUN, Start, TURN,
    VELOCITY, WANDER, YAW,
};
use nalgebra::{Matrix3, UnitQuaternion, Vector3};

/// Samples at rest.
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

    /// A filter at the origin of `odom`, at rest, with the mean specific force pointing up and the given heading; `None`
    /// without a direction.
    #[must_use]
    pub fn begin(&self, yaw_rad: f64, inertial: Inertial, start: &Start) -> Option<Filter> {
        let up_in_base = self.accel_sum.try_normalize(1e-9)?;
        // Roll and pitch of REP-103's yaw-pitch-roll whose third row is the up direction in base_link.
        let roll = up_in_base.y.atan2(up_in_base.z);
        let pitch = (-up_in_base.x).clamp(-1.0, 1.0).asin();
        let odom_from_base = UnitQuaternion::from_euler_angles(roll, pitch, yaw_rad);
        let n = self.samples as f64;
        // The samples of the start are measurements of the gyro's bias.
        let (prior, noise) = (inertial.gyro_bias_var, inertial.gyro_var / n);
        let gain = if prior > 0.0 {
            prior / (prior + noise)
        } else {
            0.0
        };
        let mut filter = Filter {
            inertial,
            position_m: Vector3::zeros(),
            velocity_mps: Vector3::zeros(),
            odom_from_base,
            gyro_bias_radps: self.gyro_sum / n * gain,
            accel_bias_mps2: Vector3::zeros(),
            force_mps2: self.accel_sum / n,
            wheels_only_m: Vector3::zeros(),
            excess: [0.0; 2],
            sun_alike: Vector3::zeros(),
            mark_m: None,
            key: None,
            key_looked_at: false,
            covariance: Covariance::zeros(),
            weighing: Covariance::zeros(),
            carried: Covariance::identity(),
            wander: [start.wander_sigma_px, start.wander_m],
        };
        filter.add(VELOCITY, &(Matrix3::identity() * inertial.still_var));
        filter.add(GYRO, &(Matrix3::identity() * prior * (1.0 - gain)));
        filter.level_by(inertial.accel_var / n);
        filter.add_to(YAW, start.yaw_sigma_rad.powi(2));
        filter.add_to(SLIP, 1.0);
        filter.add_to(CREEP, 1.0);
        filter.add(SUN, &Matrix3::identity());
        // Considered only: measurements are weighed without these.
        for (at, sigma) in [
            (SCALE, start.scale_sigma_px),
            (ASIDE, start.aside_sigma_px),
            (BESIDE, start.beside_sigma_px),
            (WANDER, start.wander_sigma_px),
        ] {
            filter.covariance[(at, at)] = sigma * sigma;
        }
        Some(filter)
    }
}

impl Filter {
    /// The level was taken from the specific force: it has wrong what the force has, the accelerometer's bias and the mean's
    /// noise of variance `mean_var`.
    fn level_by(&mut self, mean_var: f64) {
        let (g, bias_var) = (self.inertial.gravity_mps2, self.inertial.accel_bias_var);
        let own = Matrix3::identity() * bias_var;
        self.add(ACCEL, &own);
        if !(g > 0.0) {
            return;
        }
        let up = Vector3::z().cross_matrix() / g;
        let level_by_force = up * self.odom_from_base.to_rotation_matrix().matrix();
        self.couple(TURN, ACCEL, &level_by_force);
        self.add(TURN, &(up * up.transpose() * mean_var));
    }
}
