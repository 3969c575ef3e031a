//! How far the pose may have gone astray between seeing ground and standing on it.
//!
//! Ground and rover are both placed in `odom`, so what the pose was wrong by when the ground was seen is wrong for both. What
//! counts is what the estimate has drifted since. `nav_msgs/Odometry` tells that in two ways, each too large in one case: the
//! growth of the pose's covariance over a way `P₂ − F P₁ Fᵀ` (after Smith, Self and Cheeseman), which counts an error of scale or
//! of slip that the whole drive shares as if it had come up on this way; and the standard deviation of the speed, which
//! counts what the next pair of images will correct as if it stayed. The less of the two is taken.

use crate::paths::apart_m;
use nalgebra::Matrix3;
use sojourn_core::frames::Pose2;
use std::collections::VecDeque;

/// How well localization knows pose and speed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Certainty {
    /// Covariance of x, y (metres) and yaw (radians) since the start, axes of `odom`.
    pub planar: Matrix3<f64>,
    /// Speed ahead, m/s.
    pub speed_mps: f64,
    /// Its standard deviation, m/s; 0 where nothing is told of it.
    pub speed_sigma_mps: f64,
}

impl Certainty {
    pub(crate) fn is_finite(&self) -> bool {
        let numbers = [self.speed_mps, self.speed_sigma_mps];
        self.planar.iter().chain(&numbers).all(|v| v.is_finite())
    }
}

/// Distance between remembered poses, share of the way.
const STEP_SHARE: f64 = 0.1;
/// A speed tells the share of it that is uncertain from here on, m/s.
const LEAST_SPEED_MPS: f64 = 1e-3;

/// What localization has told on the last piece of the way.
#[derive(Clone, Debug)]
pub(crate) struct Drift {
    way_m: f64,
    passed: VecDeque<(Pose2, Matrix3<f64>)>,
    newest: Option<(Pose2, Matrix3<f64>)>,
    speed_share: Option<f64>,
}

impl Drift {
    /// For ground that lies up to `way_m` ahead of where it was seen from.
    pub fn new(way_m: f64) -> Self {
        Self {
            way_m,
            passed: VecDeque::new(),
            newest: None,
            speed_share: None,
        }
    }

    pub fn take(&mut self, pose: Pose2, told: &Certainty) {
        // A standard deviation of 0 is how drivers say nothing of the speed; it is no certainty.
        if told.speed_mps.abs() > LEAST_SPEED_MPS && told.speed_sigma_mps != 0.0 {
            self.speed_share = Some(told.speed_sigma_mps.abs() / told.speed_mps.abs());
        }
        self.newest = Some((pose, told.planar));
        let far = self
            .passed
            .back()
            .is_none_or(|(last, _)| apart_m(*last, pose) >= STEP_SHARE * self.way_m);
        if far {
            self.passed.push_back((pose, told.planar));
            while self.passed.len() as f64 * STEP_SHARE > 1.0 + 2.0 * STEP_SHARE {
                self.passed.pop_front();
            }
        }
    }

    /// Standard deviation of what the pose drifts over the way, at the rim of a rover of this radius, metres; 0 while
    /// nothing is told.
    pub fn sigma_m(&self, radius_m: f64) -> f64 {
        let by_speed = self.speed_share.map(|share| share * self.way_m);
        let by_growth = self.growth_m(radius_m);
        match (by_speed, by_growth) {
            (Some(a), Some(b)) => a.min(b),
            (a, b) => a.or(b).unwrap_or(0.0),
        }
    }

    /// From the growth of the covariance over a whole way.
    fn growth_m(&self, radius_m: f64) -> Option<f64> {
        let (now, newest) = self.newest?;
        let (then, earlier) = *self.passed.front()?;
        if self.passed.len() as f64 * STEP_SHARE < 1.0 {
            return None;
        }
        let (dx, dy) = (now.x_m - then.x_m, now.y_m - then.y_m);
        let along = Matrix3::new(1.0, 0.0, -dy, 0.0, 1.0, dx, 0.0, 0.0, 1.0);
        let grown = newest - along * earlier * along.transpose();
        // Greatest eigenvalue of the part of x and y.
        let (a, b, c) = (grown[(0, 0)], grown[(1, 1)], grown[(0, 1)]);
        let place = 0.5 * (a + b) + (0.5 * (a - b)).hypot(c);
        let turn = radius_m * radius_m * grown[(2, 2)].max(0.0);
        Some((place.max(0.0) + turn).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Straight ahead, with the variance of x after every metre and the share of the speed.
    fn driven(until_m: usize, var_x: impl Fn(f64) -> f64, share: f64) -> f64 {
        let mut d = Drift::new(4.0);
        for k in 0..=until_m * 20 {
            let x = k as f64 * 0.05;
            let mut planar = Matrix3::zeros();
            planar[(0, 0)] = var_x(x);
            let told = Certainty {
                planar,
                speed_mps: 0.04,
                speed_sigma_mps: 0.04 * share,
            };
            d.take(Pose2::new(x, 0.0, 0.0), &told);
        }
        d.sigma_m(2.0)
    }

    #[test]
    fn the_less_of_both_counts() {
        // A slip of 5 % that the whole drive shares: not what the covariance of 80 m grows by over four.
        let shared = driven(80, |x| (0.05 * x).powi(2), 0.05);
        assert!((shared - 0.2).abs() < 1e-9, "{shared}");
        // Steps that have nothing to do with each other, each corrected by the next pair of images.
        let steps = driven(80, |x| 4e-4 * x, 0.1);
        assert!((steps - 0.04).abs() < 0.006, "{steps}");
        // Before there is a whole way only the speed tells.
        assert!((driven(1, |_| 9.0, 0.05) - 0.2).abs() < 1e-9);
        assert_eq!(Drift::new(4.0).sigma_m(2.0), 0.0);
        // A driver that says nothing of the speed does not make the pose certain.
        let silent = driven(80, |x| 4e-4 * x, 0.0);
        assert!((silent - 0.04).abs() < 0.006, "{silent}");
    }

    #[test]
    fn a_heading_that_was_wrong_all_along_is_no_drift() {
        let mut d = Drift::new(4.0);
        for k in 0..1600 {
            let x = f64::from(k) * 0.05;
            // Yaw wrong by 0.05 from the start on: sideways it grows with the way.
            let v = 0.0025;
            let planar = Matrix3::new(0.0, 0.0, 0.0, 0.0, v * x * x, v * x, 0.0, v * x, v);
            let told = Certainty {
                planar,
                speed_mps: 0.04,
                speed_sigma_mps: 0.04,
            };
            d.take(Pose2::new(x, 0.0, 0.0), &told);
        }
        assert!(d.sigma_m(2.0) < 1e-6, "{}", d.sigma_m(2.0));
    }
}
