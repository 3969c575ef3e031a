//! The inertial unit carries position, velocity and attitude on.

use super::{ACCEL, Filter, GYRO, N, PLACE, TURN, VELOCITY, YAW};
use nalgebra::{Matrix3, SMatrix, SVector, UnitQuaternion, Vector3};

/// While the inertial unit is silent the velocity may change by so much, standard deviation, m/s².
const UNSEEN_MPS2: f64 = 0.1;
/// And the ground may tilt the rover by so much over a metre, standard deviation, radians.
const UNSEEN_TILT_RADPM: f64 = 0.5;
/// It goes on for this long at most, seconds: a rover whose localization hears nothing is stopped.
const LONGEST_S: f64 = 10.0;

/// What the inertial unit is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Inertial {
    /// Gravity, m/s².
    pub gravity_mps2: f64,
    /// Variance of a sample of the gyro about each axis, (rad/s)².
    pub gyro_var: f64,
    /// Variance of its bias at the start, (rad/s)².
    pub gyro_bias_var: f64,
    /// Random walk of its bias, rad/s per root of a second.
    pub gyro_walk_radps: f64,
    /// Variance of a sample of the accelerometer along each axis, (m/s²)².
    pub accel_var: f64,
    /// Variance of its bias at the start, (m/s²)².
    pub accel_bias_var: f64,
    /// Random walk of its bias, m/s² per root of a second.
    pub accel_walk_mps2: f64,
    /// Variance of the velocity at rest, (m/s)².
    pub still_var: f64,
}

/// A sample and the times that it stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Angular rate in `base_link`, rad/s.
    pub gyro_radps: Vector3<f64>,
    /// Specific force in `base_link`, m/s².
    pub accel_mps2: Vector3<f64>,
    /// Since the sample before, seconds: what the rate stands for.
    pub turning_s: f64,
    /// Since position and velocity were carried on last, seconds: what the force stands for.
    pub moving_s: f64,
    /// What the force may have wrong beside its noise, variance, (m/s²)²: shocks.
    pub shock_var: f64,
}

impl Filter {
    /// Carries everything on by a sample.
    pub fn carry(&mut self, sample: &Sample) {
        self.walked(sample.turning_s);
        self.turn(sample.gyro_radps, sample.turning_s);
        self.force_mps2 = sample.accel_mps2 - self.accel_bias_mps2;
        let var = self.inertial.accel_var + sample.shock_var;
        self.accelerate(sample.moving_s, var);
        self.numbers();
    }

    /// Carries position and velocity on by the newest sample's force: a wheel state is newer.
    pub fn coast(&mut self, dt_s: f64) {
        self.accelerate(dt_s, self.inertial.accel_var);
        self.numbers();
    }

    /// The rover stands still: the sample's rate is bias and noise, the heading is held, and the velocity is none.
    pub fn rest(&mut self, sample: &Sample) {
        self.walked(sample.turning_s);
        self.force_mps2 = sample.accel_mps2 - self.accel_bias_mps2;
        let var = self.inertial.accel_var + sample.shock_var;
        self.accelerate(sample.moving_s, var);
        let mut h = SMatrix::<f64, 6, N>::zeros();
        let mut off = SVector::<f64, 6>::zeros();
        let mut own = SMatrix::<f64, 6, 6>::zeros();
        let rate_off = sample.gyro_radps - self.gyro_bias_radps;
        for axis in 0..3 {
            h[(axis, GYRO + axis)] = 1.0;
            h[(3 + axis, VELOCITY + axis)] = 1.0;
            off[axis] = rate_off[axis];
            off[3 + axis] = -self.velocity_mps[axis];
            own[(axis, axis)] = self.inertial.gyro_var;
            own[(3 + axis, 3 + axis)] = self.inertial.still_var;
        }
        h.fixed_view_mut::<3, 3>(3, TURN)
            .copy_from(&self.velocity_mps.cross_matrix());
        // Whoever calls has judged that the rover stands still: there is no gate, and what can not be weighed changes nothing.
        let _ = self.measure(&off, &h, &own, f64::INFINITY);
    }

    /// The inertial unit was silent for `dt_s`: the wheels say that the rover turned by `turn_rad`, with this standard
    /// deviation. Position and velocity are carried on by `moving_s` of it.
    pub fn bridge(&mut self, dt_s: f64, moving_s: f64, turn_rad: f64, turn_sigma_rad: f64) {
        self.walked(dt_s);
        self.odom_from_base *= UnitQuaternion::from_scaled_axis(Vector3::z() * turn_rad);
        self.add_to(YAW, turn_sigma_rad * turn_sigma_rad);
        let tilt_rad = UNSEEN_TILT_RADPM * self.velocity_mps.norm() * dt_s.min(LONGEST_S);
        for about in [TURN, TURN + 1] {
            self.add_to(about, tilt_rad * tilt_rad);
        }
        self.drift(moving_s);
        self.bounded();
    }

    /// Position and velocity go on for `dt_s` of which no sample is known.
    pub fn drift(&mut self, dt_s: f64) {
        let dt_s = dt_s.min(LONGEST_S);
        self.position_m += self.velocity_mps * dt_s;
        self.couple(PLACE, VELOCITY, &(Matrix3::identity() * dt_s));
        let var = (UNSEEN_MPS2 * dt_s).powi(2);
        self.shaken(&(Matrix3::identity() * var), dt_s);
    }

    /// The velocity has changed by what nobody saw, of this covariance, (m/s)², at any moment of the last `dt_s`.
    pub(super) fn shaken(&mut self, noise: &Matrix3<f64>, dt_s: f64) {
        self.add(VELOCITY, noise);
        self.add(PLACE, &(noise * (dt_s * dt_s / 3.0)));
        let both = noise * (0.5 * dt_s);
        for c in [&mut self.covariance, &mut self.weighing] {
            for (a, b) in [(PLACE, VELOCITY), (VELOCITY, PLACE)] {
                let mut into = c.fixed_view_mut::<3, 3>(a, b);
                into += both;
            }
        }
    }

    /// The gyro's bias may have stepped by this much about each axis (standard deviation, rad/s) `ago_s` seconds ago, and has
    /// turned the attitude since.
    pub fn doubt_gyro(&mut self, step_sigma_radps: f64, ago_s: f64) {
        let turned = self.odom_from_base.to_rotation_matrix();
        for axis in 0..3 {
            let mut along = SVector::<f64, N>::zeros();
            along[GYRO + axis] = step_sigma_radps;
            let turn = turned.matrix().column(axis) * (-ago_s * step_sigma_radps);
            along.fixed_rows_mut::<3>(TURN).copy_from(&turn);
            self.add_along(&along);
        }
        self.bounded();
    }

    /// The accelerometer's bias may have stepped by this much along each axis, standard deviation, m/s², and the level may
    /// have followed it.
    pub fn doubt_accelerometer(&mut self, step_sigma_mps2: f64) {
        let g = self.inertial.gravity_mps2;
        if !(g > 0.0) {
            return;
        }
        let up = Vector3::z().cross_matrix() / g;
        let level_by_force = up * self.odom_from_base.to_rotation_matrix().matrix();
        for axis in 0..3 {
            let mut along = SVector::<f64, N>::zeros();
            along[ACCEL + axis] = step_sigma_mps2;
            let turn = level_by_force.column(axis) * step_sigma_mps2;
            along.fixed_rows_mut::<3>(TURN).copy_from(&turn);
            self.add_along(&along);
        }
        self.bounded();
    }

    /// The biases have walked for `dt_s`.
    fn walked(&mut self, dt_s: f64) {
        let i = self.inertial;
        for (of, walk) in [(GYRO, i.gyro_walk_radps), (ACCEL, i.accel_walk_mps2)] {
            self.add(of, &(Matrix3::identity() * (walk * walk * dt_s)));
        }
    }

    fn turn(&mut self, gyro_radps: Vector3<f64>, dt_s: f64) {
        let half = (gyro_radps - self.gyro_bias_radps) * (0.5 * dt_s);
        let half = UnitQuaternion::from_scaled_axis(half);
        let halfway = (self.odom_from_base * half).to_rotation_matrix();
        self.odom_from_base = self.odom_from_base * half * half;
        self.odom_from_base.renormalize();
        // The gyro shows rate plus bias; a bias believed too small turns too far.
        self.couple(TURN, GYRO, &(halfway.matrix() * -dt_s));
        let var = self.inertial.gyro_var * dt_s * dt_s;
        self.add(TURN, &(Matrix3::identity() * var));
    }

    fn accelerate(&mut self, dt_s: f64, accel_var: f64) {
        if !(dt_s > 0.0) {
            return;
        }
        let turned = self.odom_from_base.to_rotation_matrix();
        let force = turned * self.force_mps2;
        let gained = (force - Vector3::z() * self.inertial.gravity_mps2) * dt_s;
        self.position_m += (self.velocity_mps + gained * 0.5) * dt_s;
        self.velocity_mps += gained;
        self.couple(PLACE, VELOCITY, &(Matrix3::identity() * dt_s));
        let half = force.cross_matrix() * (-0.5 * dt_s * dt_s);
        self.couple(PLACE, TURN, &half);
        self.couple(VELOCITY, TURN, &(force.cross_matrix() * -dt_s));
        self.couple(VELOCITY, ACCEL, &(turned.matrix() * -dt_s));
        let var = accel_var * dt_s * dt_s;
        self.shaken(&(Matrix3::identity() * var), dt_s);
    }
}
