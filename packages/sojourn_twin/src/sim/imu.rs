//! The inertial unit: what gyro and accelerometer read for a true motion, with bias and noise from one seeded stream.

use nalgebra::{UnitQuaternion, Vector3};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use sojourn_core::{CoreError, Stamp, error::in_range, rover::Imu};

/// One reading, axes of `base_link`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImuSample {
    /// When.
    pub stamp: Stamp,
    /// Angular rate, rad/s.
    pub gyro_radps: [f64; 3],
    /// Specific force, m/s²: at rest on level ground `[0, 0, +g]`.
    pub accel_mps2: [f64; 3],
}

/// How the unit's biases move, beyond what a rover file says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImuDrift {
    /// Random walk of the gyro's bias, rad/s per square root of a second.
    pub gyro_walk_radps: f64,
    /// Standard deviation of the accelerometer's bias, drawn once per run, m/s².
    pub accel_bias_sigma_mps2: f64,
    /// Random walk of the accelerometer's bias, m/s² per square root of a second.
    pub accel_walk_mps2: f64,
}

impl ImuDrift {
    /// Checks the ranges; `what` names the file.
    ///
    /// # Errors
    /// [`CoreError::Value`] that names the key.
    pub fn check(&self, what: &str) -> Result<(), CoreError> {
        in_range(
            what,
            "imu_drift.gyro_walk_radps",
            self.gyro_walk_radps,
            0.0,
            0.01,
        )?;
        in_range(
            what,
            "imu_drift.accel_bias_sigma_mps2",
            self.accel_bias_sigma_mps2,
            0.0,
            1.0,
        )?;
        in_range(
            what,
            "imu_drift.accel_walk_mps2",
            self.accel_walk_mps2,
            0.0,
            0.1,
        )?;
        Ok(())
    }
}

/// The unit with its biases of this run.
#[derive(Clone, Debug)]
pub struct ImuModel {
    imu: Imu,
    drift: ImuDrift,
    gravity_mps2: f64,
    bias_radps: Vector3<f64>,
    bias_mps2: Vector3<f64>,
    /// Mean velocity of the period before, m/s.
    velocity_mps: Vector3<f64>,
    rng: ChaCha8Rng,
}

impl ImuModel {
    /// Draws the biases of a run.
    #[must_use]
    pub fn new(imu: Imu, drift: ImuDrift, gravity_mps2: f64, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(1);
        let bias_radps = gauss3(&mut rng) * imu.gyro_bias_sigma_radps;
        let bias_mps2 = gauss3(&mut rng) * drift.accel_bias_sigma_mps2;
        Self {
            imu,
            drift,
            gravity_mps2,
            bias_radps,
            bias_mps2,
            velocity_mps: Vector3::zeros(),
            rng,
        }
    }

    /// Readings over one control period, the last at `now`: the attitude turns evenly from `before` to `after`, and the velocity
    /// changes evenly from the mean of the period before to that of this one, over which the body has come on by `moved_m`
    /// (metres, axes of the attitude's outer frame). So the readings add up to the velocity that the body has.
    ///
    /// The number of draws from the stream depends on the rover file alone, so nothing else in a run can shift it.
    pub fn sample(
        &mut self,
        now: Stamp,
        period_s: f64,
        before: UnitQuaternion<f64>,
        after: UnitQuaternion<f64>,
        moved_m: Vector3<f64>,
        count: usize,
    ) -> Vec<ImuSample> {
        // Rotation vector of the change, in the body's own axes.
        let change = (before.inverse() * after).scaled_axis();
        let rate = if period_s > 0.0 {
            change / period_s
        } else {
            Vector3::zeros()
        };
        let velocity_mps = if period_s > 0.0 {
            moved_m / period_s
        } else {
            Vector3::zeros()
        };
        let gained_mps2 = if period_s > 0.0 {
            (velocity_mps - self.velocity_mps) / period_s
        } else {
            Vector3::zeros()
        };
        self.velocity_mps = velocity_mps;
        let root_s = (period_s / count.max(1) as f64).max(0.0).sqrt();
        (1..=count)
            .map(|k| {
                self.bias_radps += gauss3(&mut self.rng) * (self.drift.gyro_walk_radps * root_s);
                self.bias_mps2 += gauss3(&mut self.rng) * (self.drift.accel_walk_mps2 * root_s);
                let share = k as f64 / count as f64;
                let attitude = before * UnitQuaternion::from_scaled_axis(change * share);
                let up = Vector3::new(0.0, 0.0, self.gravity_mps2);
                let force = attitude.inverse() * (up + gained_mps2);
                let gyro =
                    rate + self.bias_radps + gauss3(&mut self.rng) * self.imu.gyro_sigma_radps;
                let accel =
                    force + self.bias_mps2 + gauss3(&mut self.rng) * self.imu.accel_sigma_mps2;
                ImuSample {
                    stamp: now.plus_secs(-(1.0 - share) * period_s),
                    gyro_radps: gyro.into(),
                    accel_mps2: accel.into(),
                }
            })
            .collect()
    }
}

/// Three independent Gaussian numbers (Box-Muller; four draws).
pub(super) fn gauss3(rng: &mut ChaCha8Rng) -> Vector3<f64> {
    let mut pair = || {
        // 1 − u lies in (0, 1], so the logarithm is finite.
        let r = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
        let (s, c) = (std::f64::consts::TAU * rng.random::<f64>()).sin_cos();
        (r * c, r * s)
    };
    let ((a, b), (c, _)) = (pair(), pair());
    Vector3::new(a, b, c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::perseverance;
    use proptest::prelude::*;

    proptest! {
        /// At rest the mean force is gravity in the body's axes, and its size is g whatever the attitude.
        #[test]
        fn at_rest_it_feels_gravity(roll in -0.4f64..0.4, pitch in -0.4f64..0.4, yaw in -3.0f64..3.0, seed: u64) {
            let imu = perseverance().imu;
            let q = UnitQuaternion::from_euler_angles(roll, pitch, yaw);
            let mut model = ImuModel::new(imu, ImuDrift::default(), 3.72, seed);
            let samples = model.sample(Stamp::from_secs(10.0), 1.0, q, q, Vector3::zeros(), 2000);
            let mean = samples.iter().map(|s| Vector3::from(s.accel_mps2)).sum::<Vector3<f64>>() / 2000.0;
            prop_assert!((mean - q.inverse() * Vector3::new(0.0, 0.0, 3.72)).norm() < 5.0 * imu.accel_sigma_mps2 / 2000f64.sqrt());
            // REP-103: nose down (positive pitch) pushes forward specific force to negative x
            prop_assert!((mean.x + 3.72 * pitch.sin()).abs() < 0.01);
            let rate = samples.iter().map(|s| Vector3::from(s.gyro_radps)).sum::<Vector3<f64>>() / 2000.0;
            prop_assert!(rate.norm() < 6.0 * imu.gyro_bias_sigma_radps + 6.0 * imu.gyro_sigma_radps / 2000f64.sqrt());
        }

        #[test]
        fn turning_is_read_on_the_right_axis(w in -0.03f64..0.03) {
            let quiet = Imu { gyro_sigma_radps: 0.0, gyro_bias_sigma_radps: 0.0, accel_sigma_mps2: 0.0 };
            let (a, b) = (UnitQuaternion::from_euler_angles(0.0, 0.0, 1.0), UnitQuaternion::from_euler_angles(0.0, 0.0, 1.0 + 0.1 * w));
            let s = ImuModel::new(quiet, ImuDrift::default(), 3.72, 1).sample(Stamp::from_secs(2.0), 0.1, a, b, Vector3::zeros(), 2);
            prop_assert!((s[1].gyro_radps[2] - w).abs() < 1e-9 && s[1].gyro_radps[0].abs() < 1e-9);
            prop_assert_eq!(s[0].stamp, Stamp::from_secs(1.95));
            prop_assert_eq!(s[1].stamp, Stamp::from_secs(2.0));
        }
    }

    /// Whatever way the body goes: what the accelerometer reads less gravity adds up to its velocity.
    #[test]
    fn forces_add_up_to_the_velocity() {
        let quiet = Imu {
            gyro_sigma_radps: 0.0,
            gyro_bias_sigma_radps: 0.0,
            accel_sigma_mps2: 0.0,
        };
        let mut model = ImuModel::new(quiet, ImuDrift::default(), 3.72, 1);
        let (mut before, mut sum) = (UnitQuaternion::identity(), Vector3::zeros());
        let mut moved_m = Vector3::zeros();
        for k in 1..=50 {
            let t = 0.1 * f64::from(k);
            let after = UnitQuaternion::from_euler_angles(0.2 * t.sin(), 0.1 * t, 0.5 * t);
            moved_m = Vector3::new(0.1 * t.sin(), 0.04, 0.01 * t.cos()) * 0.1;
            let now = Stamp::from_secs(t);
            let samples = model.sample(now, 0.1, before, after, moved_m, 2);
            let change = (before.inverse() * after).scaled_axis();
            for (share, s) in [0.5, 1.0].into_iter().zip(samples) {
                let attitude = before * UnitQuaternion::from_scaled_axis(change * share);
                let force = attitude * Vector3::from(s.accel_mps2);
                sum += (force - Vector3::z() * 3.72) * 0.05;
            }
            before = after;
        }
        assert!((sum - moved_m / 0.1).norm() < 1e-9, "{sum} {moved_m}");
    }

    /// After a time t the walk has spread by its rate times √t, and the bias of the run shows at rest.
    #[test]
    fn biases_walk() {
        let quiet = Imu {
            gyro_sigma_radps: 0.0,
            gyro_bias_sigma_radps: 0.0,
            accel_sigma_mps2: 0.0,
        };
        let drift = ImuDrift {
            gyro_walk_radps: 1e-4,
            accel_bias_sigma_mps2: 0.02,
            accel_walk_mps2: 1e-3,
        };
        let q = UnitQuaternion::identity();
        let (mut gyro, mut first, mut accel) = (0.0, 0.0, 0.0);
        let runs = 300;
        for seed in 0..runs {
            let mut model = ImuModel::new(quiet, drift, 3.72, seed);
            let s = model.sample(Stamp::from_secs(200.0), 100.0, q, q, Vector3::zeros(), 100);
            gyro += s[99].gyro_radps[0].powi(2);
            first += s[0].accel_mps2[0].powi(2);
            accel += (s[99].accel_mps2[0] - s[0].accel_mps2[0]).powi(2);
        }
        let rms = |sum: f64| (sum / runs as f64).sqrt();
        assert!((rms(gyro) / 1e-3 - 1.0).abs() < 0.15, "{}", rms(gyro));
        assert!((rms(first) / 0.02 - 1.0).abs() < 0.15, "{}", rms(first));
        assert!((rms(accel) / 1e-2 - 1.0).abs() < 0.15, "{}", rms(accel));
    }
}
