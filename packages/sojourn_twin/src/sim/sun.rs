//! The sun sensor: the direction to the sun in the rover's own axes, once a second, with noise.

use super::imu::gauss3;
use nalgebra::{UnitQuaternion, Vector3};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sojourn_core::Stamp;

/// One reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SunSample {
    /// When.
    pub stamp: Stamp,
    /// Unit vector to the sun in `base_link`.
    pub direction: [f64; 3],
}

/// The sensor with its noise.
#[derive(Clone, Debug)]
pub struct SunSensor {
    sigma_rad: f64,
    last: Option<Stamp>,
    rng: ChaCha8Rng,
}

/// Time between two readings, seconds.
const EVERY_S: f64 = 1.0;

impl SunSensor {
    /// A sensor whose readings scatter by `sigma_rad` about each axis.
    #[must_use]
    pub fn new(sigma_rad: f64, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(3);
        Self {
            sigma_rad,
            last: None,
            rng,
        }
    }

    /// The reading that is due now, if one is and the sun is up. `sun_in_map` is the unit vector to the sun.
    pub fn sample(
        &mut self,
        now: Stamp,
        map_from_base_link: UnitQuaternion<f64>,
        sun_in_map: Vector3<f64>,
    ) -> Option<SunSample> {
        // Sums of periods are a little less than their product.
        if self.last.is_some_and(|l| now.since(l) < 0.999 * EVERY_S) {
            return None;
        }
        self.last = Some(now);
        let scatter = gauss3(&mut self.rng) * self.sigma_rad;
        if !(sun_in_map.z > 0.0) {
            return None;
        }
        let seen =
            UnitQuaternion::from_scaled_axis(scatter) * (map_from_base_link.inverse() * sun_in_map);
        Some(SunSample {
            stamp: now,
            direction: seen.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_points_to_the_sun_once_a_second() {
        let mut sensor = SunSensor::new(0.002, 5);
        let sun = Vector3::new(0.6, 0.0, 0.8);
        // Heading north: the sun in the east stands on the right, which is negative y.
        let north = UnitQuaternion::from_euler_angles(0.0, 0.0, std::f64::consts::FRAC_PI_2);
        let (mut n, mut off) = (0, 0.0);
        for k in 0..2000 {
            let now = Stamp::from_secs(1.0).plus_secs(0.1 * f64::from(k));
            if let Some(s) = sensor.sample(now, north, sun) {
                let d = Vector3::from(s.direction);
                assert!((d.norm() - 1.0).abs() < 1e-9 && d.y < -0.5);
                off += d.angle(&Vector3::new(0.0, -0.6, 0.8)).powi(2);
                n += 1;
            }
        }
        assert_eq!(n, 200);
        // two of three axes move a direction
        let rms = (off / f64::from(n)).sqrt();
        assert!((rms / (0.002 * 2f64.sqrt()) - 1.0).abs() < 0.2, "{rms}");
        assert!(
            SunSensor::new(0.0, 1)
                .sample(Stamp::from_secs(1.0), north, Vector3::new(1.0, 0.0, -0.1))
                .is_none()
        );
    }
}
