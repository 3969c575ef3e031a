//! The guard's own idea of which way is up: gyroscope and accelerometer in a complementary filter.

use nalgebra::Vector3;
use sojourn_core::Stamp;

/// Longest step that a rate is integrated over, seconds.
const MAX_GYRO_STEP_S: f64 = 0.5;
/// Least specific force that tells where up is, m/s².
const LEAST_FORCE_MPS2: f64 = 0.2;

/// Which way is up, and how fast the body tips.
#[derive(Clone, Debug, Default)]
pub(super) struct Attitude {
    stamp: Option<Stamp>,
    /// Up in `base_link`, a unit vector.
    up: Option<Vector3<f64>>,
    rate_radps: f64,
}

impl Attitude {
    /// Takes a sample of the inertial unit in `base_link`. One that is not finite is as good as none: the attitude grows
    /// stale and the rover stops. One that is not newer than the last is passed over.
    pub(super) fn take(
        &mut self,
        filter_s: f64,
        stamp: Stamp,
        rate_radps: [f64; 3],
        force_mps2: [f64; 3],
    ) {
        let (rate, force) = (Vector3::from(rate_radps), Vector3::from(force_mps2));
        let norm = force.norm();
        if !(rate.iter().all(|v| v.is_finite()) && norm.is_finite() && norm > LEAST_FORCE_MPS2) {
            return;
        }
        let measured = force / norm;
        let up = match (self.up, self.stamp) {
            (Some(up), Some(before)) => {
                let dt = stamp.since(before);
                if dt <= 0.0 {
                    return;
                }
                if dt > MAX_GYRO_STEP_S {
                    measured
                } else {
                    // Up stands still in the world, so in the body it turns against the body's rate.
                    let turned = up - rate.cross(&up) * dt;
                    let gain = dt / (filter_s + dt);
                    let mixed = turned * (1.0 - gain) + measured * gain;
                    let n = mixed.norm();
                    if n.is_finite() && n > 1e-3 {
                        mixed / n
                    } else {
                        measured
                    }
                }
            }
            _ => measured,
        };
        // Only what turns up over: a turn about up tips nothing.
        self.rate_radps = (rate - up * rate.dot(&up)).norm();
        self.up = Some(up);
        self.stamp = Some(stamp);
    }

    /// Stamp of the newest sample.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        self.stamp
    }

    /// Angle between body up and the vertical, radians; not-a-number before the first sample.
    pub(super) fn tilt_rad(&self) -> f64 {
        self.up.map_or(f64::NAN, |up| up.z.clamp(-1.0, 1.0).acos())
    }

    /// Rate at which the body tips, rad/s.
    pub(super) fn tilt_rate_radps(&self) -> f64 {
        self.rate_radps
    }
}
