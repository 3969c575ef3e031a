//! What the wheels say: the way since the wheel state before.

use super::{CREEP, Filter, MARK, N, PLACE, SLIP, TURN, VELOCITY, WANDER};
use nalgebra::{Matrix3, SMatrix, SVector, UnitQuaternion, Vector3};

/// Standard deviation of the wheels' own measure of their way, share of it.
const OWN_SHARE: f64 = 0.005;
/// And whatever the way, metres: encoders have steps.
const OWN_M: f64 = 2e-5;

/// A jolt may be so many times as great as the wheels say: nothing is to be learned of slip from an inertial unit that did not
/// see one.
const JOLT_TIMES: f64 = 10.0;

/// A short way between two wheel states.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
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
    /// Standard deviation of pitch between inertial unit and wheels, radians.
    pub level_sigma_rad: f64,
    /// Way over which slip stays alike, metres.
    pub correlation_m: f64,
    /// How far the body sways in the plane beside what the wheels roll over a metre, metres; it grows with the root of the
    /// way.
    pub sway_sigma_m: f64,
    /// How far the body rises and sinks beside its own direction over the unevenness of a metre, metres; it grows with
    /// the root of the way.
    pub heave_sigma_m: f64,
    /// Turn that the wheels made over it, radians, signed.
    pub turn_rad: f64,
    /// How far the body slides to any side, rises or sinks over a turn of one radian, metres; it grows with the root of the
    /// turn.
    pub turn_slide_m: f64,
    /// By how much the wheels have become faster or slower over it, m/s: a jolt that the inertial unit may miss between two
    /// samples.
    pub jolt_mps: f64,
    /// Since the wheel state before, seconds.
    pub over_s: f64,
    /// How much newer the wheel state is than what position and velocity were carried on to, seconds.
    pub ahead_s: f64,
}

impl Filter {
    /// Slip and creep beyond what is expected, in units of their standard deviation, as measurements have shown them.
    #[must_use]
    pub fn excess(&self) -> [f64; 2] {
        self.excess
    }

    /// The wheels have rolled along the body's axes at an attitude halfway through the way.
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
        self.wheels_only_m += plain;
        if way.jolt_mps != 0.0 {
            let noise = Matrix3::identity() * (JOLT_TIMES * way.jolt_mps).powi(2);
            self.shaken(&noise, way.over_s);
        }
        if let Some(mark_m) = self.mark_m {
            let mut h = SMatrix::<f64, 3, N>::zeros();
            for axis in 0..3 {
                h[(axis, PLACE + axis)] = 1.0;
                h[(axis, VELOCITY + axis)] = way.ahead_s;
                h[(axis, MARK + axis)] = -1.0;
                h[(axis, SLIP)] = way.wheels_m * way.slip_sigma * ahead[axis];
                h[(axis, CREEP)] = -way.wheels_m * way.creep_sigma * left[axis];
            }
            let moved = self.position_m + self.velocity_mps * way.ahead_s - mark_m;
            // A body turned too little takes its way into a wrong direction: the way that is believed, or the noise of each
            // step would pass for news of the heading.
            h.fixed_view_mut::<3, 3>(0, TURN)
                .copy_from(&moved.cross_matrix());
            // The wheels are heard whatever they say: what they have wrong is slip, and slip is an error of its own. A way
            // that can not be weighed leaves everything as it was.
            let _ = self.measure(&(step - moved), &h, &way.noise(&ahead), f64::INFINITY);
        }
        self.mark(way.ahead_s);
        self.roll_on(way);
        self.numbers();
    }

    /// The first wheel state: the way begins here; `ahead_s` as in [`Way`].
    pub fn begin_rolling(&mut self, ahead_s: f64) {
        self.mark(ahead_s);
        self.bounded();
    }

    /// The rover is where it is at a wheel state.
    fn mark(&mut self, ahead_s: f64) {
        self.mark_m = Some(self.position_m + self.velocity_mps * ahead_s);
        self.copy(MARK, PLACE);
        self.couple(MARK, VELOCITY, &(Matrix3::identity() * ahead_s));
    }

    /// Slip, creep and what ground and light do to visual odometry change with the way.
    fn roll_on(&mut self, way: &Way) {
        let kept = (-way.wheels_m.abs() / way.correlation_m).exp();
        for error in [SLIP, CREEP] {
            self.fade(error, kept);
            self.add_to(error, 1.0 - kept * kept);
        }
        self.excess = self.excess.map(|x| x * kept);
        let [wander_px, over_m] = self.wander;
        let same = (-way.wheels_m.abs() / over_m).exp();
        self.fade(WANDER, same);
        // Considered only: measurements are weighed without it.
        self.covariance[(WANDER, WANDER)] += wander_px * wander_px * (1.0 - same * same);
    }

    /// The ground may have become another one `wheels_m` of the wheels' way ago: slip and creep of since then are as uncertain
    /// as those of ground that was never driven on, and so are the places and the velocity that they led to.
    pub fn doubt_ground(
        &mut self,
        odom_from_base: UnitQuaternion<f64>,
        wheels_m: f64,
        wheels_mps: f64,
        slip_sigma: f64,
        creep_sigma: f64,
    ) {
        let ahead = odom_from_base * Vector3::x() * -slip_sigma;
        let left = odom_from_base * Vector3::y() * creep_sigma;
        for (state, by) in [(SLIP, ahead), (CREEP, left)] {
            let mut along = SVector::<f64, N>::zeros();
            for (of, much) in [(PLACE, wheels_m), (MARK, wheels_m), (VELOCITY, wheels_mps)] {
                along.fixed_rows_mut::<3>(of).copy_from(&(by * much));
            }
            along[state] = 1.0;
            self.add_along(&along);
        }
        self.bounded();
    }
}

impl Way {
    /// Noise of its own, metres² in `odom`.
    fn noise(&self, ahead: &Vector3<f64>) -> Matrix3<f64> {
        let rolled_m = self.wheels_m.abs();
        let sway_var = self.sway_sigma_m * self.sway_sigma_m * rolled_m;
        // Wheels that turn on the spot scrub, and meet other ground: the body moves though no way was driven.
        let slide_var = self.turn_slide_m * self.turn_slide_m * self.turn_rad.abs();
        // Each new stretch of ground meets the wheels with another pitch than the inertial unit's level says.
        let z_m = self.forward_m * self.level_sigma_rad;
        let heave_var = self.heave_sigma_m * self.heave_sigma_m * rolled_m;
        let own = OWN_SHARE * self.wheels_m;
        let plane_var = sway_var + slide_var + OWN_M * OWN_M;
        Matrix3::from_diagonal(&Vector3::new(
            plane_var,
            plane_var,
            slide_var + heave_var + z_m * z_m + OWN_M * OWN_M,
        )) + ahead * ahead.transpose() * (own * own)
    }
}
