//! Visual odometry without wheels and gyro, for recordings that have neither: the motion that is expected is the last one.

use super::{Guess, Motion, Seen, StereoPair, VisualOdometry, VoParams};
use nalgebra::{Isometry3, Translation3, UnitQuaternion};

/// Ways forward that are tried when nothing is known of the speed, metres: each reaches from −5 to 115 % of itself.
const FIRST_WAYS_M: [f64; 5] = [0.0, 0.3, 0.8, 1.4, 1.9];

/// Pose after each pair.
#[derive(Clone, Debug)]
pub struct Unaided {
    vo: VisualOdometry,
    pose: Isometry3<f64>,
    key: Isometry3<f64>,
    last_step: Option<Isometry3<f64>>,
    way_m: f64,
}

/// What a pair told.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Pose of `base_link` in the frame that begins at the first pair; by the last motion where nothing was seen.
    pub start_from_base_link: Isometry3<f64>,
    /// What visual odometry says.
    pub seen: Seen,
}

impl Unaided {
    /// Has seen nothing yet.
    #[must_use]
    pub fn new(params: VoParams) -> Self {
        Self {
            vo: VisualOdometry::new(params),
            pose: Isometry3::identity(),
            key: Isometry3::identity(),
            last_step: None,
            way_m: 0.0,
        }
    }

    /// Takes a pair.
    pub fn step(&mut self, pair: &StereoPair) -> Told {
        let mut best: Option<(VisualOdometry, Seen, Isometry3<f64>, usize)> = None;
        for step in self.steps() {
            let expected = self.pose * step;
            let guess = Guess {
                reckoned_from_base_link: expected,
                wheel_way_m: self.way_m + step.translation.vector.norm(),
            };
            let mut vo = self.vo.clone();
            let seen = vo.step(pair, &guess);
            let inliers = match &seen {
                Seen::Moved { motion, .. } => motion.inliers,
                _ => 0,
            };
            if best.as_ref().is_none_or(|b| inliers > b.3) {
                best = Some((vo, seen, expected, inliers));
            }
            if self.last_step.is_some() && inliers > 0 {
                break;
            }
        }
        let Some((vo, seen, expected, _)) = best else {
            // There is always a step to try.
            return Told {
                start_from_base_link: self.pose,
                seen: Seen::First,
            };
        };
        self.vo = vo;
        let before = self.pose;
        match &seen {
            Seen::First => {}
            Seen::Moved { motion, .. } => self.moved(motion),
            // The rover went on as before, most likely.
            Seen::Failed { .. } => self.pose = expected,
        }
        let step = before.inverse() * self.pose;
        self.way_m += step.translation.vector.norm();
        if matches!(seen, Seen::Moved { .. }) {
            self.last_step = Some(step);
        }
        if matches!(
            seen,
            Seen::First | Seen::Moved { new_key: true, .. } | Seen::Failed { new_key: true, .. }
        ) {
            self.key = self.pose;
            // The key pair keeps the pose that was expected of it; what is compared from now on begins there.
            self.vo.rebase(&Guess {
                reckoned_from_base_link: self.pose,
                wheel_way_m: self.way_m,
            });
        }
        Told {
            start_from_base_link: self.pose,
            seen,
        }
    }

    fn moved(&mut self, motion: &Motion) {
        self.pose = self.key * motion.key_from_now;
    }

    /// Steps to expect, the likeliest first.
    fn steps(&self) -> Vec<Isometry3<f64>> {
        let forward = |way_m: f64| {
            Isometry3::from_parts(
                Translation3::new(way_m, 0.0, 0.0),
                UnitQuaternion::identity(),
            )
        };
        self.last_step
            .into_iter()
            .chain(FIRST_WAYS_M.map(forward))
            .collect()
    }
}
