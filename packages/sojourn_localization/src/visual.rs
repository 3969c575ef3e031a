//! Stereo pairs in the estimate: when a pair is taken in, what wheels and gyro believed at its stamp, what visual odometry
//! makes of it, and the slip that follows.

use crate::vo::{Failure, Guess, Motion, Seen, StereoPair, VisualOdometry, VoParams};
use nalgebra::{Isometry3, Matrix6, UnitQuaternion, Vector3};
use serde::Deserialize;
use sojourn_core::{CoreError, Stamp, error::in_range};
use std::collections::VecDeque;

/// How long what wheels and gyro believed is kept, seconds: a pair that comes later is refused.
const MEMORY_S: f64 = 10.0;
/// Pairs that wait for the wheels' state at their stamp.
const WAITING: usize = 2;
/// Standard deviation of the wheels' own measure of their way, share of it.
const WHEEL_SIGMA_SHARE: f64 = 0.005;
/// Slip over less way of the wheels than this is not told, metres.
const LEAST_SLIP_STEP_M: f64 = 0.05;
/// Wheels whose way takes the body less than this share of what the fastest one rolls turn it more than they drive it.
pub const DRIVES_FROM: f64 = 0.5;

/// Parameters of the fusion, as `visual` of `config/localization.param.yaml` gives them.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FusionParams {
    /// Whether stereo pairs are taken in.
    pub enabled: bool,
    /// Standard deviation of the slip, 0 to 1, while it is measured: in place of `slip_sigma` and `slip_sigma_share`.
    pub slip_sigma: f64,
    /// Standard deviation of the sideways creep, metres per metre, while it is measured: in place of `lateral_sigma`.
    pub lateral_sigma: f64,
    /// Way over which slip stays alike, metres, while it is measured: in place of `slip_correlation_m`.
    pub slip_correlation_m: f64,
    /// What all disparities of visual odometry have wrong alike, standard deviation, pixels: its scale, by calibration, and what
    /// matching has of bias.
    pub scale_sigma_px: f64,
    /// How far visual odometry turns aside all the way, standard deviation, pixels over a way as long as the camera is high: what
    /// matching has of bias.
    pub aside_sigma_px: f64,
    /// How far it moves aside all the way without turning, standard deviation: the same pixels of ground as far away as the point
    /// about which it turns.
    pub beside_sigma_px: f64,
    /// And by ground and light, which change along the way, how far it turns aside.
    pub wander_sigma_px: f64,
    /// Way of the wheels over which that stays alike, metres.
    pub wander_m: f64,
    /// Standard deviation that is added to each motion's rotation, pixels: what neighbouring features are wrong alike.
    pub turn_sigma_px: f64,
    /// A motion whose squared Mahalanobis distance (six degrees of freedom) from the estimate lies beyond this is refused.
    pub gate: f64,
    /// Way of the wheels between two measurements of slip, metres.
    pub slip_step_m: f64,
    /// Slip from which on the rover is taken to dig itself in, 0 to 1.
    pub stuck_slip: f64,
    /// Measurements in a row that say so before it is said.
    pub stuck_updates: usize,
    /// Pairs in a row without a motion before it is said.
    pub blind_updates: usize,
    /// Motions in a row that the filter refuses before it doubts the gyro.
    pub doubt_updates: usize,
    /// By how much the gyro's bias may have stepped then, standard deviation, rad/s.
    pub doubt_bias_radps: f64,
    /// A motion that is refused is looked at once more with the accelerometer's bias stepped by so much, standard deviation,
    /// m/s².
    pub doubt_accel_mps2: f64,
}

impl FusionParams {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`CoreError::Value`] that names the key.
    pub fn check(&self) -> Result<(), CoreError> {
        for (name, value, lo, hi) in [
            ("slip_sigma", self.slip_sigma, 0.0, 2.0),
            ("lateral_sigma", self.lateral_sigma, 0.0, 2.0),
            ("slip_correlation_m", self.slip_correlation_m, 0.01, 1e6),
            ("scale_sigma_px", self.scale_sigma_px, 0.0, 10.0),
            ("aside_sigma_px", self.aside_sigma_px, 0.0, 10.0),
            ("beside_sigma_px", self.beside_sigma_px, 0.0, 10.0),
            ("wander_sigma_px", self.wander_sigma_px, 0.0, 10.0),
            ("wander_m", self.wander_m, 0.01, 1e6),
            ("turn_sigma_px", self.turn_sigma_px, 0.0, 10.0),
            ("gate", self.gate, 1.0, 1e6),
            ("slip_step_m", self.slip_step_m, 0.01, 100.0),
            ("stuck_slip", self.stuck_slip, 0.0, 2.0),
            ("stuck_updates", self.stuck_updates as f64, 1.0, 100.0),
            ("blind_updates", self.blind_updates as f64, 1.0, 100.0),
            ("doubt_updates", self.doubt_updates as f64, 1.0, 100.0),
            ("doubt_bias_radps", self.doubt_bias_radps, 0.0, 1.0),
            ("doubt_accel_mps2", self.doubt_accel_mps2, 0.0, 10.0),
        ] {
            in_range("parameters of localization: visual", name, value, lo, hi)?;
        }
        Ok(())
    }
}

/// Slip over a short way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slip {
    /// Share of the wheels' way that the ground took back; below 0 when the rover slides ahead.
    pub slip: f64,
    /// Its standard deviation.
    pub sigma: f64,
    /// Way of the wheels that it stands for, metres.
    pub wheels_m: f64,
}

/// What a pair told.
#[derive(Clone, Debug, PartialEq)]
pub struct Sighting {
    /// Stamp of the pair.
    pub stamp: Stamp,
    /// What visual odometry says.
    pub seen: Seen,
    /// Whether the filter took it: the squared Mahalanobis distance, as the error when it did not.
    pub fused: Option<Result<f64, f64>>,
    /// Pose by visual odometry alone, bridged by wheels and gyro where it failed.
    pub visual_pose: Isometry3<f64>,
    /// Slip, when the way since the last one is long enough, or a wheel sinks in.
    pub slip: Option<Slip>,
}

/// What wheels and gyro believed at a stamp.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reckoned {
    /// When.
    pub stamp: Stamp,
    /// Orientation of `base_link`.
    pub rotation: UnitQuaternion<f64>,
    /// Position by wheels and gyro alone, metres.
    pub wheels_only_m: Vector3<f64>,
    /// Position by the filter, metres.
    pub position_m: Vector3<f64>,
    /// Way of the wheels, signs left out, metres.
    pub way_m: f64,
    /// Way of the wheels, forward positive, metres.
    pub rolled_m: f64,
    /// Way of the fastest wheel at each moment, signs left out, metres.
    pub fastest_m: f64,
}

impl Reckoned {
    fn between(&self, later: &Self, stamp: Stamp) -> Self {
        let whole_s = later.stamp.since(self.stamp);
        let share = if whole_s > 0.0 {
            stamp.since(self.stamp) / whole_s
        } else {
            1.0
        };
        let mix = |a: f64, b: f64| a + share * (b - a);
        Self {
            stamp,
            rotation: self
                .rotation
                .try_slerp(&later.rotation, share, 1e-12)
                .unwrap_or(later.rotation),
            wheels_only_m: self.wheels_only_m.lerp(&later.wheels_only_m, share),
            position_m: self.position_m.lerp(&later.position_m, share),
            way_m: mix(self.way_m, later.way_m),
            rolled_m: mix(self.rolled_m, later.rolled_m),
            fastest_m: mix(self.fastest_m, later.fastest_m),
        }
    }

    fn guess(&self) -> Guess {
        Guess {
            reckoned_from_base_link: Isometry3::from_parts(
                self.wheels_only_m.into(),
                self.rotation,
            ),
            wheel_way_m: self.way_m,
        }
    }
}

/// A pair that has been looked at, before the filter has taken it.
#[derive(Clone, Debug)]
pub struct Looked {
    /// What visual odometry says.
    pub seen: Seen,
    /// What wheels and gyro believed at its stamp.
    pub at: Reckoned,
}

/// The way since slip was told last, from pair to pair. What the body slides while it turns on the spot is no slip of a way.
#[derive(Clone, Copy, Debug)]
struct SlipStep {
    pose: Isometry3<f64>,
    at: Reckoned,
    along_m: f64,
    wheels_m: f64,
}

impl SlipStep {
    fn from(pose: Isometry3<f64>, at: Reckoned) -> Self {
        Self {
            pose,
            at,
            along_m: 0.0,
            wheels_m: 0.0,
        }
    }

    fn goes_on(&mut self, pose: &Isometry3<f64>, at: &Reckoned) {
        let wheels_m = at.rolled_m - self.at.rolled_m;
        if wheels_m.abs() >= DRIVES_FROM * (at.fastest_m - self.at.fastest_m) {
            // The way along the middle heading: a chord is as long as its arc to a part in a thousand over such steps.
            let moved = self.pose.inverse() * pose;
            let half = UnitQuaternion::identity()
                .try_slerp(&moved.rotation, 0.5, 1e-12)
                .unwrap_or(moved.rotation);
            self.along_m += moved.translation.vector.dot(&(half * Vector3::x()));
            self.wheels_m += wheels_m;
        }
        (self.pose, self.at) = (*pose, *at);
    }
}

/// Pairs, and what was seen in them.
#[derive(Clone, Debug)]
pub struct Visual {
    params: FusionParams,
    vo: VisualOdometry,
    memory: VecDeque<Reckoned>,
    waiting: VecDeque<(Stamp, Box<StereoPair>)>,
    last_pair: Option<Stamp>,
    /// Pose by visual odometry alone at the key pair, and what wheels and gyro believed there.
    key: Option<(Isometry3<f64>, Reckoned)>,
    slip: Option<SlipStep>,
    high_slips: usize,
    newest_slip: Option<Slip>,
    blind: usize,
    why_blind: Option<Failure>,
    /// Motions in a row that the filter refused, and when it took the last one.
    refused: usize,
    agreed_at: Option<Stamp>,
}

impl Visual {
    /// Has seen nothing yet.
    #[must_use]
    pub fn new(params: FusionParams, vo: VoParams) -> Self {
        Self {
            params,
            vo: VisualOdometry::new(vo),
            memory: VecDeque::new(),
            waiting: VecDeque::new(),
            last_pair: None,
            key: None,
            slip: None,
            high_slips: 0,
            newest_slip: None,
            blind: 0,
            why_blind: None,
            refused: 0,
            agreed_at: None,
        }
    }

    /// Stamp of the newest pair that was taken in.
    #[must_use]
    pub fn last_pair(&self) -> Option<Stamp> {
        self.last_pair
    }

    /// Keeps what wheels and gyro believe now.
    pub fn remember(&mut self, now: Reckoned) {
        self.memory.push_back(now);
        while self
            .memory
            .front()
            .is_some_and(|m| now.stamp.since(m.stamp) > MEMORY_S)
        {
            self.memory.pop_front();
        }
    }

    /// Takes a pair in; it is looked at once the wheels' state at its stamp is known. `false`: it is too old for that.
    pub fn add(&mut self, stamp: Stamp, pair: Box<StereoPair>) -> bool {
        if self.memory.front().is_some_and(|m| stamp < m.stamp) {
            return false;
        }
        self.last_pair = Some(stamp);
        self.waiting.push_back((stamp, pair));
        while self.waiting.len() > WAITING {
            self.waiting.pop_front();
        }
        true
    }

    /// Pairs that wait are not looked at.
    pub fn drop_waiting(&mut self) {
        self.waiting.clear();
    }

    /// Way of the wheels since the key pair, forward positive, metres.
    #[must_use]
    pub fn rolled_since_key_m(&self, at: &Reckoned) -> f64 {
        self.key
            .as_ref()
            .map_or(0.0, |(_, key)| at.rolled_m - key.rolled_m)
    }

    /// The attitude was believed wrong by so much, radians about the axes of `odom`: what is remembered turns with it.
    pub fn turn(&mut self, by_rad: Vector3<f64>) {
        let turn = UnitQuaternion::from_scaled_axis(by_rad);
        for m in &mut self.memory {
            m.rotation = turn * m.rotation;
        }
    }

    /// Looks at the oldest pair that waits, if the wheels' state at its stamp is known, and hands it back.
    pub fn look(&mut self) -> Option<(Looked, Box<StereoPair>)> {
        let stamp = self.waiting.front()?.0;
        let after = self.memory.iter().position(|m| m.stamp >= stamp)?;
        let later = self.memory.get(after)?;
        let at = match after.checked_sub(1).and_then(|k| self.memory.get(k)) {
            Some(before) => before.between(later, stamp),
            // It was taken at rest, before the wheels were first heard of.
            None => Reckoned { stamp, ..*later },
        };
        let (_, pair) = self.waiting.pop_front()?;
        let seen = self.vo.step(&pair, &at.guess());
        Some((Looked { seen, at }, pair))
    }

    /// Draws the conclusions from what was seen: pose by visual odometry alone, slip, blindness. `fused` is the filter's
    /// verdict; where a wheel `sinks`, slip is told at once, over however little way.
    pub fn conclude(
        &mut self,
        looked: Looked,
        fused: Option<Result<f64, f64>>,
        sinks: bool,
    ) -> Sighting {
        let Looked { seen, at } = looked;
        let pose = match (&seen, &self.key) {
            (Seen::Moved { motion, .. }, Some((key, _))) => key * motion.key_from_now,
            (_, Some((key, from))) => {
                let moved = from.guess().reckoned_from_base_link.inverse()
                    * at.guess().reckoned_from_base_link;
                key * moved
            }
            (_, None) => Isometry3::from_parts(at.position_m.into(), at.rotation),
        };
        let mut slip = None;
        match &seen {
            Seen::Moved { motion, .. } => {
                (self.blind, self.why_blind) = (0, None);
                slip = self.slip(&pose, &at, motion, sinks);
            }
            Seen::First => self.slip = Some(SlipStep::from(pose, at)),
            Seen::Failed { why, .. } => {
                self.blind += 1;
                self.why_blind = Some(*why);
                self.slip = None;
            }
        }
        if self.becomes_key(&seen) {
            self.key = Some((pose, at));
            self.slip.get_or_insert(SlipStep::from(pose, at));
        }
        Sighting {
            stamp: at.stamp,
            seen,
            fused,
            visual_pose: pose,
            slip,
        }
    }

    /// The covariance of a motion with what all its features have wrong alike: angles by the parameters and by what a pixel
    /// stands for, radians.
    #[must_use]
    pub fn covariance_of(&self, motion: &Motion, pixel_rad: f64) -> Matrix6<f64> {
        let mut covariance = motion.covariance;
        for axis in 3..6 {
            covariance[(axis, axis)] += (self.params.turn_sigma_px * pixel_rad).powi(2);
        }
        covariance
    }

    /// The filter's verdict on a motion seen at a stamp. When it has refused so many in a row that the gyro is to be doubted:
    /// how long ago it agreed last, seconds.
    pub fn judged(&mut self, at: Stamp, taken: bool) -> Option<f64> {
        if taken {
            (self.refused, self.agreed_at) = (0, Some(at));
            return None;
        }
        self.refused += 1;
        let since_s = at.since(*self.agreed_at.get_or_insert(at));
        self.refused
            .is_multiple_of(self.params.doubt_updates)
            .then_some(since_s)
    }

    /// Whether the pair is the key pair now.
    #[must_use]
    pub fn becomes_key(&self, seen: &Seen) -> bool {
        matches!(
            seen,
            Seen::First | Seen::Moved { new_key: true, .. } | Seen::Failed { new_key: true, .. }
        )
    }

    fn slip(
        &mut self,
        pose: &Isometry3<f64>,
        at: &Reckoned,
        motion: &Motion,
        sinks: bool,
    ) -> Option<Slip> {
        let step = self.slip.get_or_insert(SlipStep::from(*pose, *at));
        step.goes_on(pose, at);
        let (along_m, wheels_m) = (step.along_m, step.wheels_m);
        let least_m = if sinks {
            LEAST_SLIP_STEP_M
        } else {
            self.params.slip_step_m
        };
        if wheels_m.abs() < least_m {
            return None;
        }
        let own = 2.0 * motion.covariance[(0, 0)] + (WHEEL_SIGMA_SHARE * wheels_m).powi(2);
        let slip = Slip {
            slip: 1.0 - along_m / wheels_m,
            sigma: own.sqrt() / wheels_m.abs(),
            wheels_m,
        };
        self.slip = Some(SlipStep::from(*pose, *at));
        self.newest_slip = Some(slip);
        if slip.slip >= self.params.stuck_slip {
            self.high_slips += 1;
        } else {
            self.high_slips = 0;
        }
        Some(slip)
    }

    /// What is to be said of vision and slip, if anything.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        if self.high_slips >= self.params.stuck_updates
            && let Some(s) = self.newest_slip
        {
            return Some(format!(
                "the wheels dig in: slip {:.2} in {} measurements in a row",
                s.slip, self.high_slips
            ));
        }
        if self.refused >= self.params.doubt_updates {
            return Some(format!(
                "visual odometry and wheels with gyro contradict each other in {} pairs in a row; the gyro's bias is \
                 measured anew",
                self.refused
            ));
        }
        if self.blind >= self.params.blind_updates
            && let Some(why) = self.why_blind
        {
            return Some(format!(
                "no visual odometry in {} pairs ({}); the wheels alone tell the way",
                self.blind,
                why.describe()
            ));
        }
        None
    }
}
