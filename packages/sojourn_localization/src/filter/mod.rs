//! The error-state filter: what inertial unit, wheels, stereo pairs and sun say of where the rover is, with a covariance.
//!
//! Position, velocity and attitude in `odom` and the biases of gyro and accelerometer are carried on by the inertial unit
//! (strapdown integration, Titterton and Weston 2004), and an extended Kalman filter holds their errors (Solà 2017, with
//! errors of the attitude in `odom`: `true = exp(error) · believed`). Beside these fifteen it holds
//!
//! - the slip error and the creep error of the wheels in units of their standard deviation, because slip is alike from one
//!   metre to the next (first-order Gauss–Markov over the way driven);
//! - what visual odometry has wrong all the way: its scale, how far it turns aside over a metre, always and by the
//!   ground and light of the last metres (a second Gauss–Markov process), and how far it moves aside without a turn;
//! - where the rover was at the newest wheel state and at the key pair: wheels and visual odometry measure motions since
//!   then (stochastic cloning, Roumeliotis and Burdick 2002).
//!
//! A way over ground tells nothing of where it points on the compass, and must not seem to because it is looked at from another
//! noisy attitude each time. So places, velocity and clones are corrected as those of an invariant filter (Barrau and Bonnabel
//! 2017): a measurement of a motion is taken at the motion that is believed, and when a correction moves what is believed, the
//! errors go with it as errors of a rover that is turned about the origin would (`apply`).
//!
//! So the error grows with the distance at first and with its root beyond the correlation length, not with the root alone as
//! independent errors would have it. Scale, turning and moving aside are considered and not estimated (Schmidt 1966), for nothing
//! that wheels and pairs show tells them: these are weighed by a covariance that knows nothing of them, and beside it the
//! covariance that is told is what those weights make of all errors. A heading by the sun does show what they have come to: it is
//! weighed by the covariance that is told. What all of the sun's readings have wrong alike is a state as well: no number of readings
//! makes the heading surer than what they tell of it, and where it has led the rover to is in the covariance.
//!
//! How the errors of one moment hang together with those of a later one is kept, too (`take_carried`): what a way
//! between two moments has wrong is much less than what either has.

mod errors;
mod heading;
mod inertial;
mod levelling;
mod seeing;
mod wheels;

pub use inertial::{Inertial, Sample};
pub use levelling::Levelling;
pub use seeing::{Eyes, Sight};
pub use wheels::Way;

use nalgebra::{Isometry3, Matrix3, SMatrix, SVector, UnitQuaternion, Vector3};

/// First of the three errors of the position, metres.
const PLACE: usize = 0;
/// First of the three of the velocity, m/s.
const VELOCITY: usize = 3;
/// First of the three of the attitude, radians about the axes of `odom`.
const TURN: usize = 6;
/// The one about the vertical.
const YAW: usize = TURN + 2;
/// First of the three of the gyro's bias, rad/s, axes of `base_link`.
const GYRO: usize = 9;
/// First of the three of the accelerometer's bias, m/s², axes of `base_link`.
const ACCEL: usize = 12;
const SLIP: usize = 15;
const CREEP: usize = 16;
const SCALE: usize = 17;
const ASIDE: usize = 18;
const WANDER: usize = 19;
/// First of the three of the position at the newest wheel state.
const MARK: usize = 20;
/// First of the three of the position at the key pair, and of its attitude.
const KEY: usize = 23;
const KEY_TURN: usize = 26;
/// First of the three of what all readings of the sun have wrong alike: about the axes of `base_link`, in units of their standard
/// deviations.
const SUN: usize = 29;
/// How far visual odometry moves aside all the way beside what turns with it, pixels as [`Start::beside_sigma_px`].
const BESIDE: usize = 32;
/// Number of errors.
const N: usize = 33;

/// Covariance of position, velocity, attitude, biases of gyro and accelerometer (three each), slip, creep, scale, turning
/// aside and its wandering of visual odometry, position at the newest wheel state (three), position and attitude at the key
/// pair (three each), what the sun's readings have wrong alike (three), and moving aside of visual odometry.
pub type Covariance = SMatrix<f64, N, N>;

/// Covariance of all these errors with those of x, y and yaw, now or at another moment.
pub type WithPose = SMatrix<f64, N, 3>;

/// Covariance of all these errors with those of two poses in the plane: x, y and yaw of the one, then of the other.
pub type WithTwo = SMatrix<f64, N, 6>;

/// Those of x, y and yaw.
const PLANAR: [usize; 3] = [PLACE, PLACE + 1, YAW];

/// What of a [`WithPose`] is about x, y and yaw themselves.
#[must_use]
pub fn planar(with_pose: &WithPose) -> Matrix3<f64> {
    Matrix3::from_fn(|i, j| with_pose[(PLANAR[i], j)])
}

/// A [`WithPose`] of x, y and yaw alone, for what is known of nothing else.
#[must_use]
pub fn with_pose_alone(covariance: &Matrix3<f64>) -> WithPose {
    let mut out = WithPose::zeros();
    for (i, at) in PLANAR.into_iter().enumerate() {
        out.set_row(at, &covariance.row(i));
    }
    out
}

/// What is known when the filter begins, and of what nothing tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Start {
    /// Standard deviation of the heading, radians.
    pub yaw_sigma_rad: f64,
    /// Of what all disparities of visual odometry have wrong alike, its scale, pixels.
    pub scale_sigma_px: f64,
    /// Of its turning aside all the way, pixels over a way as long as the camera is high.
    pub aside_sigma_px: f64,
    /// Of its moving aside all the way without turning, the same pixels of ground as far away as the point about which it turns.
    pub beside_sigma_px: f64,
    /// And of the turning by ground and light, as that all the way,
    pub wander_sigma_px: f64,
    /// which stays alike over so much of the wheels' way, metres.
    pub wander_m: f64,
}

/// What a measurement has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Correction {
    /// By how much the rover stands elsewhere, metres in `odom`.
    pub moved_m: Vector3<f64>,
    /// And is turned, radians about the axes of `odom`.
    pub turned_rad: Vector3<f64>,
    /// Squared Mahalanobis distance of the measurement: six degrees of freedom of a motion, one of a heading.
    pub distance2: f64,
}

/// Where the rover is, how it moves, and how well that is known.
#[derive(Clone, Debug)]
pub struct Filter {
    inertial: Inertial,
    position_m: Vector3<f64>,
    velocity_mps: Vector3<f64>,
    odom_from_base: UnitQuaternion<f64>,
    gyro_bias_radps: Vector3<f64>,
    accel_bias_mps2: Vector3<f64>,
    /// Specific force of the newest sample, bias taken off, m/s² in `base_link`.
    force_mps2: Vector3<f64>,
    /// Position by wheels and attitude alone.
    wheels_only_m: Vector3<f64>,
    /// Slip and creep beyond what is expected, in units of their standard deviation.
    excess: [f64; 2],
    /// What all readings of the sun have wrong alike about the axes of `base_link`, in units of their standard deviations.
    sun_alike: Vector3<f64>,
    /// Position at the newest wheel state.
    mark_m: Option<Vector3<f64>>,
    key: Option<Isometry3<f64>>,
    /// Whether a motion since the key pair has been weighed: then what that pair has wrong is in the covariance.
    key_looked_at: bool,
    covariance: Covariance,
    /// The same but for what is considered and not estimated: what measurements are weighed by.
    weighing: Covariance,
    /// What has become of the errors since `take_carried`, noise left out: a linear map.
    carried: Covariance,
    /// How far turning aside wanders, standard deviation, pixels over a way as long as the camera is high, and over which way it stays alike, metres.
    wander: [f64; 2],
}

impl Filter {
    /// Covariance of all errors with those of x, y and yaw now.
    #[must_use]
    pub fn with_pose(&self) -> WithPose {
        let mut out = WithPose::zeros();
        for (j, of) in PLANAR.into_iter().enumerate() {
            out.set_column(j, &self.covariance.column(of));
        }
        out
    }

    /// What has become of the errors since `take_carried`: times the covariance of the errors then with anything else it is the
    /// covariance of the errors now with that.
    #[must_use]
    pub fn carried(&self) -> &Covariance {
        &self.carried
    }

    /// The same, and from now on it is asked anew.
    pub fn take_carried(&mut self) -> Covariance {
        std::mem::replace(&mut self.carried, Covariance::identity())
    }

    /// Position of `base_link` in `odom`, metres.
    #[must_use]
    pub fn position_m(&self) -> Vector3<f64> {
        self.position_m
    }

    /// Velocity of `base_link` in its own axes, m/s.
    #[must_use]
    pub fn velocity_in_base_mps(&self) -> Vector3<f64> {
        self.odom_from_base.inverse() * self.velocity_mps
    }

    /// Velocity of `base_link` in `odom`, m/s.
    #[must_use]
    pub fn velocity_mps(&self) -> Vector3<f64> {
        self.velocity_mps
    }

    /// Standard deviation of the velocity ahead, m/s.
    #[must_use]
    pub fn speed_sigma_mps(&self) -> f64 {
        let ahead = self.odom_from_base * Vector3::x();
        let of = self.covariance.fixed_view::<3, 3>(VELOCITY, VELOCITY);
        ahead.dot(&(of * ahead)).max(0.0).sqrt()
    }

    /// Orientation of `base_link` in `odom`.
    #[must_use]
    pub fn odom_from_base(&self) -> UnitQuaternion<f64> {
        self.odom_from_base
    }

    /// `base_link` in `odom`.
    #[must_use]
    pub fn pose(&self) -> Isometry3<f64> {
        Isometry3::from_parts(self.position_m.into(), self.odom_from_base)
    }

    /// The gyro's bias, rad/s in `base_link`.
    #[must_use]
    pub fn gyro_bias_radps(&self) -> Vector3<f64> {
        self.gyro_bias_radps
    }

    /// The accelerometer's bias, m/s² in `base_link`.
    #[must_use]
    pub fn accel_bias_mps2(&self) -> Vector3<f64> {
        self.accel_bias_mps2
    }

    /// The position as wheels and attitude alone would have it: it never jumps.
    #[must_use]
    pub fn wheels_only_m(&self) -> Vector3<f64> {
        self.wheels_only_m
    }

    /// The covariance.
    #[must_use]
    pub fn covariance(&self) -> &Covariance {
        &self.covariance
    }

    /// Pose part in the order of `nav_msgs/Odometry`: 6 × 6, row by row, x y z and the angles about the fixed axes of `odom`.
    /// `level_var` comes on top of roll and pitch, rad².
    #[must_use]
    pub fn pose_covariance(&self, level_var: f64) -> [f64; 36] {
        let of = |i: usize| if i < 3 { PLACE + i } else { TURN + i - 3 };
        let mut out = [0.0; 36];
        for (k, v) in out.iter_mut().enumerate() {
            *v = self.covariance[(of(k / 6), of(k % 6))];
        }
        for at in [3 * 6 + 3, 4 * 6 + 4] {
            if let Some(v) = out.get_mut(at) {
                *v += level_var;
            }
        }
        out
    }

    /// Brings what a measurement has shown into what is believed.
    fn apply(&mut self, change: &SVector<f64, N>, distance2: f64) -> Correction {
        let of = |at: usize| change.fixed_rows::<3>(at).into_owned();
        let turned = |by: Vector3<f64>, q: UnitQuaternion<f64>| {
            let mut q = UnitQuaternion::from_scaled_axis(by) * q;
            q.renormalize();
            q
        };
        let (moved_m, turned_rad) = (of(PLACE), of(TURN));
        self.position_m += moved_m;
        self.velocity_mps += of(VELOCITY);
        self.odom_from_base = turned(turned_rad, self.odom_from_base);
        self.gyro_bias_radps += of(GYRO);
        self.accel_bias_mps2 += of(ACCEL);
        self.excess[0] += change[SLIP];
        self.excess[1] += change[CREEP];
        self.sun_alike += of(SUN);
        if let Some(mark_m) = &mut self.mark_m {
            *mark_m += of(MARK);
        }
        if let Some(key) = &mut self.key {
            key.translation.vector += of(KEY);
            key.rotation = turned(of(KEY_TURN), key.rotation);
        }
        // What an error of the attitude has to do with a place hangs on where the place is believed to be: it stays what it was
        // about the origin.
        for (to, turn) in [
            (PLACE, TURN),
            (VELOCITY, TURN),
            (MARK, TURN),
            (KEY, KEY_TURN),
        ] {
            self.couple(to, turn, &-of(to).cross_matrix());
        }
        Correction {
            moved_m,
            turned_rad,
            distance2,
        }
    }
}

#[cfg(test)]
mod consistency;
#[cfg(test)]
pub(crate) mod doubles;
#[cfg(test)]
pub(crate) mod drawn;
#[cfg(test)]
mod tests;
