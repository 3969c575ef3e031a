//! A stand-in for visual odometry: the true motion with the error that visual odometry has, in place of the wheels' way.
//!
//! The attitude stays that of localization; only the way is replaced. Its error is a scale that a run keeps and a part that
//! changes from one stereo pair to the next. It also tells slip as visual odometry does: what the wheels have rolled
//! against what was seen.

use serde::{Deserialize, Serialize};
use sojourn_core::{
    CoreError, Stamp,
    error::in_range,
    frames::{BaseLink, Map, Odom, Transform},
};
use sojourn_localization::visual::DRIVES_FROM;
use sojourn_twin::noise;

/// Channel of its noise; the seed is the run's.
const CHANNEL: u64 = 0x5e_e3;
/// Least way between two measurements of slip over which slip is told, share of the step.
const LEAST_SHARE: f64 = 0.5;

/// Errors of visual odometry.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VisualOdometry {
    /// Standard deviation of a run's scale, share of the way.
    pub scale_sigma: f64,
    /// Standard deviation of what changes from pair to pair, share of the way between them.
    pub step_sigma: f64,
    /// Way of the wheels between two pairs, metres.
    pub step_m: f64,
}

impl VisualOdometry {
    /// Checks the ranges; `what` names the file.
    ///
    /// # Errors
    /// [`CoreError`] that names the key.
    pub fn check(&self, what: &str) -> Result<(), CoreError> {
        in_range(
            what,
            "visual_odometry.scale_sigma",
            self.scale_sigma,
            0.0,
            0.2,
        )?;
        in_range(
            what,
            "visual_odometry.step_sigma",
            self.step_sigma,
            0.0,
            0.5,
        )?;
        in_range(what, "visual_odometry.step_m", self.step_m, 0.05, 10.0)?;
        Ok(())
    }
}

/// The stand-in at work.
pub(super) struct StandIn {
    errors: VisualOdometry,
    seed: u64,
    scale: f64,
    number: i64,
    before: Option<(Transform<Map, BaseLink>, [f64; 6])>,
    at: Option<nalgebra::Vector3<f64>>,
    wheels_m: f64,
    seen_m: f64,
    slip: Option<f64>,
}

impl StandIn {
    pub(super) fn new(errors: VisualOdometry, seed: u64) -> Self {
        let scale = errors.scale_sigma * noise::near_gauss(noise::hash(seed, CHANNEL, -1, 0));
        Self {
            errors,
            seed,
            scale,
            number: 0,
            before: None,
            at: None,
            wheels_m: 0.0,
            seen_m: 0.0,
            slip: None,
        }
    }

    /// The slip that was told last: it is believed until the next pair of images.
    pub(super) fn slip(&self) -> Option<f64> {
        self.slip
    }

    /// Replaces the way in an estimate by what was seen up to the true pose of the same moment; `travel_m` is the signed
    /// way of each wheel since the start. Tells slip once a step of driving: what the body slides while it turns on the spot on
    /// a slope is no slip of a way.
    pub(super) fn see(
        &mut self,
        stamp: Stamp,
        truth: Transform<Map, BaseLink>,
        travel_m: [f64; 6],
        estimate: Transform<Odom, BaseLink>,
    ) -> (Transform<Odom, BaseLink>, Option<(Stamp, f64)>) {
        let mut out = estimate;
        let at = *self.at.get_or_insert(estimate.iso.translation.vector);
        let Some((before, travelled_m)) = self.before.replace((truth, travel_m)) else {
            return (out, None);
        };
        let moved = (before.inverse() * truth).iso.translation.vector;
        let chance = noise::hash(self.seed, CHANNEL, self.number, 0);
        let factor = 1.0 + self.scale + self.errors.step_sigma * noise::near_gauss(chance);
        let at = at + estimate.iso.rotation * moved * factor;
        self.at = Some(at);
        out.iso.translation.vector = at;
        let rolled: [f64; 6] = std::array::from_fn(|i| travel_m[i] - travelled_m[i]);
        let rolled_m = rolled.iter().sum::<f64>() / 6.0;
        let fastest_m = rolled.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        if rolled_m.abs() >= DRIVES_FROM * fastest_m {
            self.wheels_m += rolled_m.abs();
            self.seen_m += moved.x * factor * rolled_m.signum();
        }
        if self.wheels_m < self.errors.step_m {
            return (out, None);
        }
        let slip = 1.0 - self.seen_m / self.wheels_m.max(LEAST_SHARE * self.errors.step_m);
        (self.wheels_m, self.seen_m) = (0.0, 0.0);
        self.number += 1;
        self.slip = Some(slip);
        (out, Some((stamp, slip)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_is_the_true_one_but_for_its_error_and_slip_is_told_once_a_step() {
        let errors = VisualOdometry {
            scale_sigma: 0.01,
            step_sigma: 0.02,
            step_m: 0.5,
        };
        let mut s = StandIn::new(errors, 7);
        let mut told = Vec::new();
        let mut last = Transform::from_xyz_rpy([0.0; 3], 0.0, 0.0, 0.0);
        // twenty metres true, wheels roll a quarter more, dead reckoning believes something else altogether
        for i in 0..=2000 {
            let way = 0.01 * f64::from(i);
            let truth = Transform::from_xyz_rpy([5.0 + way, 3.0, 0.0], 0.0, 0.0, 0.0);
            let believed = Transform::from_xyz_rpy([3.0 * way, 0.0, 0.0], 0.0, 0.0, 0.0);
            let (pose, slip) = s.see(Stamp(i64::from(i)), truth, [way / 0.8; 6], believed);
            told.extend(slip.map(|(_, v)| v));
            last = pose;
        }
        let x = last.iso.translation.vector.x;
        assert!((x - 20.0).abs() < 1.0 && (x - 20.0).abs() > 1e-6, "{x}");
        assert!((told.len() as f64 - 50.0).abs() < 2.0);
        assert!(told.iter().all(|v| (v - 0.2).abs() < 0.12), "{told:?}");
    }

    #[test]
    fn sliding_while_it_turns_on_the_spot_is_no_slip() {
        let errors = VisualOdometry {
            scale_sigma: 0.0,
            step_sigma: 0.0,
            step_m: 0.5,
        };
        let mut s = StandIn::new(errors, 7);
        let mut told = Vec::new();
        let (mut x_m, mut travel_m) = (0.0, [0.0; 6]);
        for i in 0..400 {
            // A turn on the spot, in which it slides back and its wheels roll a little more ahead than back; then ahead.
            let turns = (100..300).contains(&i);
            let rolled = |k: usize| match (turns, k < 3) {
                (true, true) => -0.009,
                (true, false) => 0.01,
                (false, _) => 0.01,
            };
            x_m += if turns { -0.002 } else { 0.008 };
            travel_m = std::array::from_fn(|k| travel_m[k] + rolled(k));
            let truth = Transform::from_xyz_rpy([x_m, 0.0, 0.0], 0.0, 0.0, 0.0);
            let (_, slip) = s.see(Stamp(i), truth, travel_m, truth_in_odom());
            told.extend(slip.map(|(_, v)| v));
        }
        assert_eq!(told.len(), 3);
        assert!(told.iter().all(|v| (v - 0.2).abs() < 1e-6), "{told:?}");
    }

    fn truth_in_odom() -> Transform<Odom, BaseLink> {
        Transform::from_xyz_rpy([0.0; 3], 0.0, 0.0, 0.0)
    }
}
