//! Position from way and attitude, with a covariance that grows as slip and heading make it grow.
//!
//! The covariance is that of seven errors: x, y, z, yaw, the gyro's yaw bias, and two that are carried along because
//! slip is alike from one metre to the next: the slip error and the creep error in units of their standard deviation
//! (first-order Gauss–Markov over the way driven). So the error grows with the distance at first and with its root
//! beyond the correlation length, not with the root alone as independent errors would have it.

use nalgebra::{SMatrix, UnitQuaternion, Vector3};

const X: usize = 0;
const Y: usize = 1;
const Z: usize = 2;
const YAW: usize = 3;
const BIAS: usize = 4;
const SLIP: usize = 5;
const CREEP: usize = 6;
/// Variances never grow beyond this, so that they stay numbers whatever comes in.
const MAX_VARIANCE: f64 = 1e12;

/// Covariance of x, y, z, yaw, gyro bias, slip, creep.
pub type Covariance = SMatrix<f64, 7, 7>;

/// Position in `odom` and covariance.
#[derive(Clone, Debug)]
pub struct DeadReckoning {
    position_m: Vector3<f64>,
    covariance: Covariance,
}

/// A short way between two wheel states.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Way {
    /// Forward way of the body over ground, slip taken off, metres.
    pub forward_m: f64,
    /// Sideways creep to the left, metres.
    pub left_m: f64,
    /// Way of the wheels, what slip and creep are shares of, metres, signed.
    pub wheels_m: f64,
    /// Standard deviation of the slip, 0 to 1.
    pub slip_sigma: f64,
    /// Standard deviation of the creep, metres per metre.
    pub creep_sigma: f64,
    /// Standard deviation of pitch, radians.
    pub level_sigma_rad: f64,
    /// Way over which slip stays alike, metres.
    pub correlation_m: f64,
}

impl DeadReckoning {
    /// At the origin of `odom`, with the variances of heading and gyro bias.
    #[must_use]
    pub fn new(yaw_var: f64, bias_var: f64) -> Self {
        let mut covariance = Covariance::zeros();
        covariance[(YAW, YAW)] = yaw_var;
        covariance[(BIAS, BIAS)] = bias_var;
        covariance[(SLIP, SLIP)] = 1.0;
        covariance[(CREEP, CREEP)] = 1.0;
        Self {
            position_m: Vector3::zeros(),
            covariance,
        }
    }

    /// Position of `base_link` in `odom`, metres.
    #[must_use]
    pub fn position_m(&self) -> Vector3<f64> {
        self.position_m
    }

    /// The covariance.
    #[must_use]
    pub fn covariance(&self) -> &Covariance {
        &self.covariance
    }

    /// Position and yaw part in the order of `nav_msgs/Odometry`: 6 × 6, row by row, x y z roll pitch yaw.
    #[must_use]
    pub fn pose_covariance(&self, level_var: f64) -> [f64; 36] {
        let mut out = [0.0; 36];
        for (i, a) in [(0, X), (1, Y), (2, Z), (5, YAW)] {
            for (j, b) in [(0, X), (1, Y), (2, Z), (5, YAW)] {
                out[i * 6 + j] = self.covariance[(a, b)];
            }
        }
        out[3 * 6 + 3] = level_var;
        out[4 * 6 + 4] = level_var;
        out
    }

    /// The gyro has turned the heading over `dt_s` with this noise.
    pub fn turned(&mut self, dt_s: f64, gyro_noise_var: f64) {
        let mut f = Covariance::identity();
        // The gyro shows rate plus bias; a bias believed too small turns the heading too far.
        f[(YAW, BIAS)] = -dt_s;
        self.propagate(&f);
        self.covariance[(YAW, YAW)] += gyro_noise_var * dt_s * dt_s;
        self.bounded();
    }

    /// Standing still has measured the bias with this noise.
    pub fn bias_measured(&mut self, noise_var: f64) {
        let innovation_var = self.covariance[(BIAS, BIAS)] + noise_var;
        if !(innovation_var > 0.0) {
            return;
        }
        let column = self.covariance.column(BIAS).into_owned();
        self.covariance -= column * column.transpose() / innovation_var;
        self.bounded();
    }

    /// The heading has become uncertain by this much more, rad².
    pub fn yaw_lost(&mut self, var: f64) {
        self.covariance[(YAW, YAW)] += var;
        self.bounded();
    }

    /// Moves along the body's axes at an attitude halfway through the way.
    pub fn moved(&mut self, odom_from_base: UnitQuaternion<f64>, way: &Way) {
        let ahead = odom_from_base * Vector3::x();
        let left = odom_from_base * Vector3::y();
        let step = ahead * way.forward_m + left * way.left_m;
        if !step.iter().all(|v| v.is_finite()) {
            return;
        }
        self.position_m += step;
        let mut f = Covariance::identity();
        f[(X, YAW)] = -step.y;
        f[(Y, YAW)] = step.x;
        for axis in 0..3 {
            f[(axis, SLIP)] = -way.wheels_m * way.slip_sigma * ahead[axis];
            f[(axis, CREEP)] = way.wheels_m * way.creep_sigma * left[axis];
        }
        let kept = (-way.wheels_m.abs() / way.correlation_m).exp();
        f[(SLIP, SLIP)] = kept;
        f[(CREEP, CREEP)] = kept;
        self.propagate(&f);
        self.covariance[(SLIP, SLIP)] += 1.0 - kept * kept;
        self.covariance[(CREEP, CREEP)] += 1.0 - kept * kept;
        // Each new stretch of ground meets the wheels with another pitch than the IMU's level says.
        let z_sigma_m = way.forward_m * way.level_sigma_rad;
        self.covariance[(Z, Z)] += z_sigma_m * z_sigma_m;
        self.bounded();
    }

    fn propagate(&mut self, f: &Covariance) {
        self.covariance = f * self.covariance * f.transpose();
    }

    fn bounded(&mut self) {
        let c = &mut self.covariance;
        *c = (*c + c.transpose()) * 0.5;
        if c.iter().any(|v| !(v.abs() <= MAX_VARIANCE)) {
            // Beyond any use: say "anywhere" with independent errors instead of numbers that overflow.
            *c = Covariance::identity() * MAX_VARIANCE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(forward_m: f64) -> Way {
        Way {
            forward_m,
            left_m: 0.0,
            wheels_m: forward_m,
            slip_sigma: 0.05,
            creep_sigma: 0.02,
            level_sigma_rad: 0.003,
            correlation_m: 20.0,
        }
    }

    #[test]
    fn uncertainty_grows_like_the_way_before_the_correlation_length_and_slower_beyond() {
        let sigma_after = |metres: usize| {
            let mut d = DeadReckoning::new(0.0, 0.0);
            for _ in 0..metres * 10 {
                d.moved(UnitQuaternion::identity(), &way(0.1));
            }
            assert!((d.position_m().x - metres as f64).abs() < 1e-9);
            d.covariance()[(X, X)].sqrt()
        };
        let (two, four) = (sigma_after(2), sigma_after(4));
        assert!((two - 0.1).abs() < 0.01, "5 % of 2 m, got {two}");
        assert!((four / two - 2.0).abs() < 0.1, "{}", four / two);
        let (far, twice) = (sigma_after(400), sigma_after(800));
        assert!((twice / far - 2f64.sqrt()).abs() < 0.05, "{}", twice / far);
    }

    #[test]
    fn an_uncertain_heading_moves_sideways() {
        let mut d = DeadReckoning::new(0.01f64.powi(2), 0.0);
        for _ in 0..1000 {
            d.moved(
                UnitQuaternion::identity(),
                &Way {
                    creep_sigma: 0.0,
                    ..way(0.1)
                },
            );
        }
        let sigma_y = d.covariance()[(Y, Y)].sqrt();
        assert!((sigma_y - 1.0).abs() < 0.01, "{sigma_y}");
    }

    #[test]
    fn standing_still_takes_the_bias_out_of_the_heading() {
        let mut d = DeadReckoning::new(0.0, 1e-4);
        for _ in 0..100 {
            d.turned(0.1, 0.0);
        }
        assert!((d.covariance()[(YAW, YAW)].sqrt() - 0.1).abs() < 1e-6);
        d.bias_measured(1e-12);
        assert!(d.covariance()[(YAW, YAW)].sqrt() < 1e-3);
    }
}
