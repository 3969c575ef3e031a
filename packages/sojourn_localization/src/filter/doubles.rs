//! Filters and samples for tests.

use super::{Eyes, Filter, GYRO, Inertial, Levelling, Sample, Start, TURN};
use nalgebra::Vector3;

/// Gravity, m/s².
pub(crate) const G: f64 = 3.72;

/// With which pixels are shares of the way and radians per metre.
pub(crate) const EYES: Eyes = Eyes {
    scale_per_px: 1.0,
    aside_per_px: 1.0,
    pivot_m: 11.0,
};

/// At rest on the flat at the origin, with a gyro whose bias is as uncertain as `bias_sigma` and nothing else unknown.
pub(crate) fn at_rest(bias_sigma: f64, gyro_sigma: f64, walk_radps: f64, start: &Start) -> Filter {
    let inertial = Inertial {
        gravity_mps2: G,
        gyro_var: gyro_sigma * gyro_sigma,
        gyro_bias_var: bias_sigma * bias_sigma,
        gyro_walk_radps: walk_radps,
        // It says next to nothing of the velocity: what is on trial is the rest.
        accel_var: 1.0,
        accel_bias_var: 0.0,
        accel_walk_mps2: 0.0,
        still_var: 1e-8,
    };
    let mut level = Levelling::default();
    level.add(Vector3::z() * G, Vector3::zeros());
    let mut filter = level.begin(0.0, inertial, start).unwrap();
    // The start's sample tells nothing of the gyro's bias, and the level is known.
    for c in [&mut filter.covariance, &mut filter.weighing] {
        for k in 0..3 {
            c[(GYRO + k, GYRO + k)] = bias_sigma * bias_sigma;
            c[(TURN + k, TURN + k)] = if k == 2 {
                start.yaw_sigma_rad.powi(2)
            } else {
                0.0
            };
        }
    }
    filter.begin_rolling(0.0);
    filter
}

/// A sample of a unit that stands level.
pub(crate) fn level_sample(gyro_radps: Vector3<f64>, dt_s: f64) -> Sample {
    Sample {
        gyro_radps,
        accel_mps2: Vector3::z() * G,
        turning_s: dt_s,
        moving_s: dt_s,
        shock_var: 0.0,
    }
}

/// Yaw, radians.
pub(crate) fn yaw_of(f: &Filter) -> f64 {
    f.odom_from_base().euler_angles().2
}
