//! Position from way and attitude, with a covariance that grows as slip and heading make it grow.
//!
//! An extended Kalman filter of the errors of x, y, z, yaw, the gyro's yaw bias, and three that are carried along: the
//! slip error and the creep error in units of their standard deviation, because slip is alike from one metre to the next
//! (first-order Gauss–Markov over the way driven), and what visual odometry has wrong all the way: its scale, and how far it
//! turns aside over a metre, always and by the ground and light of the last metres (a second Gauss–Markov process). So the
//! error grows with
//! the distance at first and with its root beyond the correlation length, not with the root alone as independent errors
//! would have it. The last three are considered and not estimated (after Schmidt 1966), for nothing that this filter hears
//! tells them: measurements are weighed by a covariance that knows nothing of them, and beside it the covariance that is
//! told is what those weights make of all errors. Visual odometry measures from a key pair to now: the pose at the key pair is a state of its own, cloned
//! when that pair was taken (stochastic cloning, Roumeliotis and Burdick 2002).
//!
//! How the errors of one moment hang together with those of a later one is kept, too (`take_carried`): what a way
//! between two moments has wrong is much less than what either has.

use nalgebra::{Isometry3, Matrix3, Matrix6, SMatrix, SVector, UnitQuaternion, Vector3};

const X: usize = 0;
const Y: usize = 1;
const Z: usize = 2;
const YAW: usize = 3;
const BIAS: usize = 4;
const SLIP: usize = 5;
const CREEP: usize = 6;
const SCALE: usize = 7;
const ASIDE: usize = 8;
const WANDER: usize = 9;
/// First of the four of the key pair's pose: x, y, z, yaw.
const KEY: usize = 10;
/// Number of errors.
const N: usize = 14;
/// Variances never grow beyond this, so that they stay numbers whatever comes in.
const MAX_VARIANCE: f64 = 1e12;

/// Covariance of x, y, z, yaw, gyro bias, slip, creep, scale, turning aside and its wandering of visual odometry, and x, y, z, yaw
/// at the key pair.
pub type Covariance = SMatrix<f64, N, N>;

/// Covariance of all these errors with those of x, y and yaw, now or at another moment.
pub type WithPose = SMatrix<f64, N, 3>;

/// What of a [`WithPose`] is about x, y and yaw themselves.
#[must_use]
pub fn planar(with_pose: &WithPose) -> Matrix3<f64> {
    let of = [X, Y, YAW];
    Matrix3::from_fn(|i, j| with_pose[(of[i], j)])
}

/// A [`WithPose`] of x, y and yaw alone, for what is known of nothing else.
#[must_use]
pub fn with_pose_alone(covariance: &Matrix3<f64>) -> WithPose {
    let mut out = WithPose::zeros();
    for (i, at) in [X, Y, YAW].into_iter().enumerate() {
        out.set_row(at, &covariance.row(i));
    }
    out
}

/// Position in `odom` and covariance.
#[derive(Clone, Debug)]
pub struct DeadReckoning {
    position_m: Vector3<f64>,
    /// The same by wheels and gyro alone.
    wheels_only_m: Vector3<f64>,
    /// Slip and creep beyond what is expected, in units of their standard deviation.
    excess: [f64; 2],
    key: Option<Isometry3<f64>>,
    covariance: Covariance,
    /// The same but for what is considered and not estimated: what measurements are weighed by.
    weighing: Covariance,
    /// What has become of the errors since `take_carried`, noise left out: a linear map.
    carried: Covariance,
    /// How far turning aside wanders, standard deviation, radians per metre, and over which way it stays alike, metres.
    wander: [f64; 2],
}

/// What a measurement does to what this filter does not hold itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Correction {
    /// To be added to the heading, radians.
    pub yaw_rad: f64,
    /// To be added to the gyro's yaw bias, rad/s.
    pub bias_radps: f64,
    /// Squared Mahalanobis distance of the measurement: four degrees of freedom of a motion, one of a heading.
    pub distance2: f64,
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
    /// How far the body rises and sinks beside its own direction over the unevenness of a metre, metres; it grows with
    /// the root of the way.
    pub heave_sigma_m: f64,
    /// Turn that the wheels made over it, radians, signed.
    pub turn_rad: f64,
    /// How far the body slides to any side, rises or sinks over a turn of one radian, metres; it grows with the root of the
    /// turn.
    pub turn_slide_m: f64,
}

impl DeadReckoning {
    /// At the origin of `odom`, with the variances of heading and gyro bias, and the standard deviations of what visual
    /// odometry has wrong all the way: scale, and radians per metre that it turns aside.
    #[must_use]
    pub fn new(yaw_var: f64, bias_var: f64, scale_sigma: f64, aside_sigma_radpm: f64) -> Self {
        let mut covariance = Covariance::zeros();
        covariance[(YAW, YAW)] = yaw_var;
        covariance[(BIAS, BIAS)] = bias_var;
        covariance[(SLIP, SLIP)] = 1.0;
        covariance[(CREEP, CREEP)] = 1.0;
        let weighing = covariance;
        covariance[(SCALE, SCALE)] = scale_sigma * scale_sigma;
        covariance[(ASIDE, ASIDE)] = aside_sigma_radpm * aside_sigma_radpm;
        Self {
            position_m: Vector3::zeros(),
            wheels_only_m: Vector3::zeros(),
            excess: [0.0; 2],
            key: None,
            covariance,
            weighing,
            carried: Covariance::identity(),
            wander: [0.0, 1.0],
        }
    }

    /// The turning aside of visual odometry wanders, too: with this standard deviation, radians per metre, alike over so
    /// much of the wheels' way, metres.
    #[must_use]
    pub fn wandering(mut self, sigma_radpm: f64, over_m: f64) -> Self {
        self.wander = [sigma_radpm, over_m];
        self.covariance[(WANDER, WANDER)] = sigma_radpm * sigma_radpm;
        self
    }

    /// Covariance of all errors with those of x, y and yaw now.
    #[must_use]
    pub fn with_pose(&self) -> WithPose {
        let mut out = WithPose::zeros();
        for (j, of) in [X, Y, YAW].into_iter().enumerate() {
            out.set_column(j, &self.covariance.column(of));
        }
        out
    }

    /// What has become of the errors since this was asked last: times the covariance of the errors then with anything else
    /// it is the covariance of the errors now with that.
    pub fn take_carried(&mut self) -> Covariance {
        std::mem::replace(&mut self.carried, Covariance::identity())
    }

    /// Position of `base_link` in `odom`, metres.
    #[must_use]
    pub fn position_m(&self) -> Vector3<f64> {
        self.position_m
    }

    /// The same as wheels and gyro alone would have it: it never jumps.
    #[must_use]
    pub fn wheels_only_m(&self) -> Vector3<f64> {
        self.wheels_only_m
    }

    /// Slip and creep beyond what is expected, in units of their standard deviation, as measurements have shown them.
    #[must_use]
    pub fn excess(&self) -> [f64; 2] {
        self.excess
    }

    /// Standard deviation of the slip beyond what is expected, in units of its prior one.
    #[must_use]
    pub fn slip_share(&self) -> f64 {
        self.covariance[(SLIP, SLIP)].max(0.0).sqrt()
    }

    /// The pose at the key pair as it is believed now.
    #[must_use]
    pub fn key(&self) -> Option<&Isometry3<f64>> {
        self.key.as_ref()
    }

    /// Variance of the gyro's yaw bias, (rad/s)².
    #[must_use]
    pub fn yaw_bias_var(&self) -> f64 {
        self.covariance[(BIAS, BIAS)]
    }

    /// The pose now, or a moment ago, becomes the key pair's.
    pub fn take_key(&mut self, pose: Isometry3<f64>) {
        self.key = Some(pose);
        let mut f = Covariance::identity();
        for (k, from) in [X, Y, Z, YAW].into_iter().enumerate() {
            f[(KEY + k, KEY + k)] = 0.0;
            f[(KEY + k, from)] = 1.0;
        }
        self.propagate(&f);
        self.bounded();
    }

    /// There is no key pair any more.
    pub fn drop_key(&mut self) {
        self.key = None;
    }

    /// Visual odometry has measured the motion since the key pair; `now` is the pose it was measured at, `level_sigma_rad`
    /// the standard deviation of roll and pitch at the key pair. A measurement whose squared Mahalanobis distance lies
    /// beyond `gate` changes nothing: then the distance comes back as the error.
    ///
    /// # Errors
    /// The squared distance of a measurement beyond the gate; infinite without a key pair or for numbers that are none.
    pub fn see(
        &mut self,
        now: &Isometry3<f64>,
        key_from_now: &Isometry3<f64>,
        covariance: &Matrix6<f64>,
        level_sigma_rad: f64,
        gate: f64,
    ) -> Result<Correction, f64> {
        let key = self.key.ok_or(f64::INFINITY)?;
        let moved = key.rotation * key_from_now.translation.vector;
        let believed = now.translation.vector - key.translation.vector;
        let turn = |q: UnitQuaternion<f64>| {
            let ahead = q * Vector3::x();
            ahead.y.atan2(ahead.x)
        };
        let yaw = turn(key.rotation * key_from_now.rotation) - turn(now.rotation);
        let r = moved - believed;
        let residual = SVector::<f64, 4>::new(r.x, r.y, r.z, sojourn_core::frames::wrap_rad(yaw));
        let mut h = SMatrix::<f64, 4, N>::zeros();
        for axis in 0..4 {
            h[(axis, axis)] = 1.0;
            h[(axis, KEY + axis)] = -1.0;
        }
        // A key pair turned too little turns the whole measured motion too little.
        h[(0, KEY + 3)] = moved.y;
        h[(1, KEY + 3)] = -moved.x;
        for axis in 0..3 {
            h[(axis, SCALE)] = -moved[axis];
        }
        h[(3, ASIDE)] = moved.norm();
        h[(3, WANDER)] = moved.norm();
        let turned = key.rotation.to_rotation_matrix();
        let mut both = Matrix6::zeros();
        both.fixed_view_mut::<3, 3>(0, 0).copy_from(turned.matrix());
        both.fixed_view_mut::<3, 3>(3, 3).copy_from(turned.matrix());
        let noise = both * covariance * both.transpose();
        let kept = [0, 1, 2, 5];
        let mut own = SMatrix::<f64, 4, 4>::from_fn(|i, j| noise[(kept[i], kept[j])]);
        // Roll and pitch of the key pair are known no better than the level: up and down.
        own[(2, 2)] += (level_sigma_rad * moved.xy().norm()).powi(2);
        let inverse = |p: &Covariance| (h * p * h.transpose() + own).try_inverse();
        let honest = inverse(&self.covariance).ok_or(f64::INFINITY)?;
        let distance2 = residual.dot(&(honest * residual));
        if !(distance2 <= gate) {
            return Err(distance2);
        }
        let weight = inverse(&self.weighing).ok_or(f64::INFINITY)?;
        let gain = self.weighing * h.transpose() * weight;
        self.corrected(&gain, &h, &own);
        Ok(self.apply(&(gain * residual), distance2))
    }

    /// Something that has a heading of its own to go by (the sun) shows the heading off by `off_rad`, with noise of its own;
    /// `floor_rad` is the standard deviation of what all such measurements have wrong alike: the heading does not become
    /// surer than that by any number of them. A measurement whose squared Mahalanobis distance (one degree of freedom) lies
    /// beyond `gate` changes nothing: then the distance comes back as the error.
    ///
    /// # Errors
    /// The squared distance of a measurement beyond the gate; infinite for numbers that are none.
    pub fn heading(
        &mut self,
        off_rad: f64,
        noise_var: f64,
        floor_rad: f64,
        gate: f64,
    ) -> Result<Correction, f64> {
        let var = self.covariance[(YAW, YAW)];
        let floor_var = floor_rad * floor_rad;
        let distance2 = off_rad * off_rad / (var + noise_var + floor_var);
        if !(distance2 <= gate) {
            let none = if distance2.is_nan() {
                f64::INFINITY
            } else {
                distance2
            };
            return Err(none);
        }
        let weighing_var = self.weighing[(YAW, YAW)];
        if weighing_var <= floor_var {
            return Ok(Correction {
                distance2,
                ..Correction::default()
            });
        }
        // Noise with which the heading's variance comes down to the floor and no further.
        let down = weighing_var * floor_var / (weighing_var - floor_var);
        let gain = self.measured(YAW, noise_var.max(down));
        Ok(self.apply(&(gain * off_rad), distance2))
    }

    /// Brings what a measurement has shown into what is held here.
    fn apply(&mut self, change: &SVector<f64, N>, distance2: f64) -> Correction {
        self.bounded();
        self.position_m += Vector3::new(change[X], change[Y], change[Z]);
        self.excess[0] += change[SLIP];
        self.excess[1] += change[CREEP];
        if let Some(key) = &mut self.key {
            key.translation.vector += Vector3::new(change[KEY], change[KEY + 1], change[KEY + 2]);
            let turn = UnitQuaternion::from_axis_angle(&Vector3::z_axis(), change[KEY + 3]);
            key.rotation = turn * key.rotation;
        }
        Correction {
            yaw_rad: change[YAW],
            bias_radps: change[BIAS],
            distance2,
        }
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

    /// The gyro has turned the heading over `dt_s` with this noise; its bias walks by `walk_radps` per root of a second.
    pub fn turned(&mut self, dt_s: f64, gyro_noise_var: f64, walk_radps: f64) {
        let mut f = Covariance::identity();
        // The gyro shows rate plus bias; a bias believed too small turns the heading too far.
        f[(YAW, BIAS)] = -dt_s;
        self.propagate(&f);
        self.add_to(YAW, gyro_noise_var * dt_s * dt_s);
        self.walked(dt_s, walk_radps);
    }

    /// The gyro's bias has walked for `dt_s`, by `walk_radps` per root of a second.
    pub fn walked(&mut self, dt_s: f64, walk_radps: f64) {
        self.add_to(BIAS, walk_radps * walk_radps * dt_s);
        self.bounded();
    }

    /// Standing still has measured the bias with this noise.
    pub fn bias_measured(&mut self, noise_var: f64) {
        self.measured(BIAS, noise_var);
        self.bounded();
    }

    /// An error has been measured with this noise: the covariance follows, and the gain comes back; none where both are
    /// sure.
    fn measured(&mut self, error: usize, noise_var: f64) -> SVector<f64, N> {
        let innovation_var = self.weighing[(error, error)] + noise_var;
        if !(innovation_var > 0.0) {
            return SVector::zeros();
        }
        let gain = self.weighing.column(error) / innovation_var;
        let mut h = SMatrix::<f64, 1, N>::zeros();
        h[error] = 1.0;
        self.corrected(&gain, &h, &SMatrix::<f64, 1, 1>::new(noise_var));
        gain
    }

    /// The covariances after a measurement of `h` times the errors with a noise of its `own`, in Joseph's form: it holds
    /// for any gain.
    fn corrected<const M: usize>(
        &mut self,
        gain: &SMatrix<f64, N, M>,
        h: &SMatrix<f64, M, N>,
        own: &SMatrix<f64, M, M>,
    ) {
        self.propagate(&(Covariance::identity() - gain * h));
        self.add(&(gain * own * gain.transpose()));
    }

    /// Adds noise.
    fn add(&mut self, noise: &Covariance) {
        self.covariance += noise;
        self.weighing += noise;
    }

    /// Adds noise to one error.
    fn add_to(&mut self, error: usize, var: f64) {
        self.covariance[(error, error)] += var;
        self.weighing[(error, error)] += var;
    }

    /// The gyro's bias may have stepped by this much (standard deviation, rad/s) `ago_s` seconds ago, and has turned the
    /// heading since.
    pub fn doubt(&mut self, step_sigma_radps: f64, ago_s: f64) {
        let var = step_sigma_radps * step_sigma_radps;
        let mut g = SVector::<f64, N>::zeros();
        g[BIAS] = 1.0;
        // As in `turned`: a bias believed too small turns the heading too far.
        g[YAW] = -ago_s;
        self.add(&(g * g.transpose() * var));
        self.bounded();
    }

    /// The ground may have become another one `wheels_m` of the wheels' way ago: slip and creep of since then are as uncertain
    /// as those of ground that was never driven on.
    pub fn doubt_ground(
        &mut self,
        odom_from_base: UnitQuaternion<f64>,
        wheels_m: f64,
        slip_sigma: f64,
        creep_sigma: f64,
    ) {
        let ahead = odom_from_base * Vector3::x() * (-slip_sigma * wheels_m);
        let left = odom_from_base * Vector3::y() * (creep_sigma * wheels_m);
        for (state, by_m) in [(SLIP, ahead), (CREEP, left)] {
            let mut g = SVector::<f64, N>::zeros();
            for axis in [X, Y, Z] {
                g[axis] = by_m[axis];
            }
            g[state] = 1.0;
            self.add(&(g * g.transpose()));
        }
        self.bounded();
    }

    /// The heading has become uncertain by this much more, rad².
    pub fn yaw_lost(&mut self, var: f64) {
        self.add_to(YAW, var);
        self.bounded();
    }

    /// Moves along the body's axes at an attitude halfway through the way.
    pub fn moved(&mut self, odom_from_base: UnitQuaternion<f64>, way: &Way) {
        let ahead = odom_from_base * Vector3::x();
        let left = odom_from_base * Vector3::y();
        let plain = ahead * way.forward_m + left * way.left_m;
        let step = plain
            + way.wheels_m
                * (left * (way.creep_sigma * self.excess[1])
                    - ahead * (way.slip_sigma * self.excess[0]));
        if !(step.iter().all(|v| v.is_finite()) && plain.iter().all(|v| v.is_finite())) {
            return;
        }
        self.position_m += step;
        self.wheels_only_m += plain;
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
        self.excess = self.excess.map(|x| x * kept);
        let [wander_radpm, over_m] = self.wander;
        let same = (-way.wheels_m.abs() / over_m).exp();
        f[(WANDER, WANDER)] = same;
        self.propagate(&f);
        // Considered only: measurements are weighed without it.
        self.covariance[(WANDER, WANDER)] += wander_radpm * wander_radpm * (1.0 - same * same);
        self.add_to(SLIP, 1.0 - kept * kept);
        self.add_to(CREEP, 1.0 - kept * kept);
        // Each new stretch of ground meets the wheels with another pitch than the IMU's level says.
        let z_sigma_m = way.forward_m * way.level_sigma_rad;
        let heave_var = way.heave_sigma_m * way.heave_sigma_m * way.wheels_m.abs();
        self.add_to(Z, z_sigma_m * z_sigma_m + heave_var);
        // Wheels that turn on the spot scrub, and meet other ground: the body moves though no way was driven.
        let slide_var = way.turn_slide_m * way.turn_slide_m * way.turn_rad.abs();
        for axis in [X, Y, Z] {
            self.add_to(axis, slide_var);
        }
        self.bounded();
    }

    fn propagate(&mut self, f: &Covariance) {
        self.covariance = f * self.covariance * f.transpose();
        self.weighing = f * self.weighing * f.transpose();
        self.carried = f * self.carried;
    }

    fn bounded(&mut self) {
        for c in [&mut self.covariance, &mut self.weighing] {
            *c = (*c + c.transpose()) * 0.5;
        }
        let all = self.covariance.iter().chain(self.weighing.iter());
        if all
            .chain(self.carried.iter())
            .any(|v| !(v.abs() <= MAX_VARIANCE))
        {
            // Beyond any use: say "anywhere" with independent errors instead of numbers that overflow.
            self.covariance = Covariance::identity() * MAX_VARIANCE;
            self.weighing = self.covariance;
            self.carried = Covariance::zeros();
        }
    }
}

#[cfg(test)]
mod consistency;
#[cfg(test)]
mod tests;
