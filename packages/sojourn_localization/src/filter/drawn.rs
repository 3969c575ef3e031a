//! Drives whose errors are drawn from the filter's own model, for tests.

use super::{
    Filter, N, Sight, Start, TURN, Way,
    doubles::{EYES, at_rest, level_sample, yaw_of},
};
use nalgebra::{Isometry3, Matrix6, SMatrix, SVector, UnitQuaternion, Vector3};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::f64::consts::TAU;

/// Way of the wheels between two pairs, metres, and the time that it takes.
pub(crate) const STEP_M: f64 = 0.5;
pub(crate) const STEP_S: f64 = 10.0;
/// How far visual odometry turns aside all the way, standard deviation, radians per metre.
pub(crate) const ASIDE: f64 = 4e-5;
/// And how far it moves aside all the way without turning, the same times the distance of the point that it turns about.
pub(crate) const BESIDE: f64 = 4e-5;
pub(crate) const PLACE_SIGMA_M: f64 = 3e-4;
pub(crate) const TURN_SIGMA: f64 = 5e-5;
const SCALE_SIGMA: f64 = 0.0005;
const WANDER_M: f64 = 15.0;
const BIAS_SIGMA: f64 = 1e-5;
const GYRO_SIGMA: f64 = 1e-6;
/// Of the sun's readings: each one's own, and what all have wrong alike.
const SUN_SIGMA: f64 = 0.005;
pub(crate) const SUN_FIXED_SIGMA: f64 = 0.0015;
/// Tangent of the sun's height, 35°.
const SUN_STEEP: f64 = 0.7;
/// What gravity tells of the level at the end of each step, radians.
const LEVEL_SIGMA: f64 = 0.003;

/// Normal numbers.
pub(crate) struct Draws(ChaCha8Rng);

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    pub(crate) fn normal(&mut self) -> f64 {
        let (a, b): (f64, f64) = (self.0.random(), self.0.random());
        (-2.0 * (1.0 - a).ln()).sqrt() * (TAU * b).cos()
    }
}

/// What a drive is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    /// The wander that the filter is told and the one that is, radians per metre.
    pub(crate) told_radpm: f64,
    pub(crate) true_radpm: f64,
    /// How far visual odometry turns aside all the way, radians per metre; `None`: drawn from what the filter is told.
    pub(crate) aside_radpm: Option<f64>,
    /// Whether the sun is seen.
    pub(crate) sun: bool,
}

/// A drive over a winding way.
pub(crate) struct Drawn {
    case: Case,
    draws: Draws,
    suns: Draws,
    levels: Draws,
    scale: f64,
    aside: f64,
    beside: f64,
    bias: f64,
    slip: f64,
    creep: f64,
    wander: f64,
    sun_off: Vector3<f64>,
    /// Where the rover is.
    pub(crate) place: Vector3<f64>,
    pub(crate) yaw: f64,
    /// Steps so far.
    pub(crate) steps: u32,
    /// What is believed.
    pub(crate) filter: Filter,
}

fn turned_by(yaw: f64) -> UnitQuaternion<f64> {
    UnitQuaternion::from_axis_angle(&Vector3::z_axis(), yaw)
}

fn way() -> Way {
    Way {
        forward_m: STEP_M,
        wheels_m: STEP_M,
        slip_sigma: 0.2,
        creep_sigma: 0.1,
        correlation_m: 20.0,
        ..Way::default()
    }
}

impl Drawn {
    pub(crate) fn new(seed: u64, case: Case) -> Self {
        let mut draws = Draws::new(seed);
        let mut n = || draws.normal();
        let (scale, aside, bias) = (SCALE_SIGMA * n(), ASIDE * n(), BIAS_SIGMA * n());
        let (slip, creep, wander) = (n(), n(), case.true_radpm * n());
        let mut suns = Draws::new(1000 + seed);
        let sun_off = Vector3::from_fn(|_, _| suns.normal());
        let beside = BESIDE * Draws::new(3000 + seed).normal();
        let start = Start {
            scale_sigma_px: SCALE_SIGMA,
            aside_sigma_px: ASIDE,
            beside_sigma_px: BESIDE,
            wander_sigma_px: case.told_radpm,
            wander_m: WANDER_M,
            ..Start::default()
        };
        let mut filter = at_rest(BIAS_SIGMA, GYRO_SIGMA, 0.0, &start);
        filter.take_key(Isometry3::identity());
        Self {
            case,
            draws,
            suns,
            levels: Draws::new(2000 + seed),
            scale,
            aside: case.aside_radpm.unwrap_or(aside),
            beside,
            bias,
            slip,
            creep,
            wander,
            sun_off,
            place: Vector3::zeros(),
            yaw: 0.0,
            steps: 0,
            filter,
        }
    }

    /// Half a metre of the wheels, a pair at its end, and the sun.
    pub(crate) fn step(&mut self) {
        self.steps += 1;
        let d = &mut self.filter;
        let mut n = || self.draws.normal();
        let turn = 0.02 * (TAU * f64::from(self.steps) / 120.0).cos();
        let (key_place, key_yaw) = (self.place, self.yaw);
        let w = way();
        let middle = turned_by(self.yaw + 0.5 * turn);
        self.yaw += turn;
        let rate =
            Vector3::new(n(), n(), n()) * GYRO_SIGMA + Vector3::z() * (turn / STEP_S + self.bias);
        let before = d.odom_from_base();
        d.carry(&level_sample(rate, STEP_S));
        let halfway = before.slerp(&d.odom_from_base(), 0.5);
        self.place += middle
            * Vector3::new(
                STEP_M * (1.0 - w.slip_sigma * self.slip),
                STEP_M * w.creep_sigma * self.creep,
                0.0,
            );
        d.moved(halfway, &w);
        let kept = (-STEP_M / w.correlation_m).exp();
        let fresh = (1.0 - kept * kept).sqrt();
        (self.slip, self.creep) = (
            kept * self.slip + fresh * n(),
            kept * self.creep + fresh * n(),
        );
        let same = (-STEP_M / WANDER_M).exp();
        self.wander = same * self.wander + (1.0 - same * same).sqrt() * self.case.true_radpm * n();
        // A pair.
        let moved = turned_by(-key_yaw) * (self.place - key_place);
        let noise = Vector3::new(n(), n(), n()) * PLACE_SIGMA_M;
        let aside = (self.aside + self.wander) * moved.norm();
        let off = aside + TURN_SIGMA * n();
        // About a point ahead, as visual odometry turns aside.
        let pivot = Vector3::x() * EYES.pivot_m;
        let beside = (aside + self.beside * moved.norm()) * pivot.cross(&Vector3::z());
        let seen = Isometry3::from_parts(
            (moved * (1.0 + self.scale) + beside + noise).into(),
            turned_by(turn + off),
        );
        let mut covariance = Matrix6::identity() * PLACE_SIGMA_M * PLACE_SIGMA_M;
        for axis in 3..6 {
            covariance[(axis, axis)] = TURN_SIGMA * TURN_SIGMA;
        }
        let sight = Sight {
            now: d.pose(),
            key_from_now: seen,
            covariance,
            eyes: EYES,
        };
        d.see(&sight, 1e9).unwrap();
        d.take_key(d.pose());
        self.level();
        if self.case.sun {
            // It stands in the direction of x; the sensor is askew about each axis of the body.
            let shows = Vector3::new(-SUN_STEEP, 0.0, 1.0);
            let alike = turned_by(-self.yaw) * shows * SUN_FIXED_SIGMA;
            let own = SUN_SIGMA * self.suns.normal();
            let off = shows.dot(&self.attitude_error()) + alike.dot(&self.sun_off) + own;
            let d = &mut self.filter;
            d.heading(off, SUN_SIGMA.powi(2), &shows, &alike, 1e9)
                .unwrap();
        }
    }

    /// Gravity tells the level, which the accelerometer of these drives does not.
    fn level(&mut self) {
        let error = self.attitude_error();
        let mut h = SMatrix::<f64, 2, N>::zeros();
        let mut off = SVector::<f64, 2>::zeros();
        for axis in 0..2 {
            h[(axis, TURN + axis)] = 1.0;
            off[axis] = error[axis] + LEVEL_SIGMA * self.levels.normal();
        }
        let own = SMatrix::<f64, 2, 2>::identity() * LEVEL_SIGMA.powi(2);
        self.filter.measure(&off, &h, &own, 1e9).unwrap();
    }

    /// By how much the attitude that is believed is to be turned about the axes of `odom`, radians.
    fn attitude_error(&self) -> Vector3<f64> {
        (turned_by(self.yaw) * self.filter.odom_from_base().inverse()).scaled_axis()
    }

    /// Error of x, y and heading, believed less true.
    pub(crate) fn error(&self) -> Vector3<f64> {
        let off = self.filter.position_m() - self.place;
        Vector3::new(off.x, off.y, yaw_of(&self.filter) - self.yaw)
    }
}
