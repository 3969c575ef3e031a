//! Where `odom` lies in `map`: the start, what a person says, and poses in `map` that come late.
//!
//! How far the odometry may have gone astray since the newest of them is what its covariance has grown by on the way. A
//! pose is of a stamp; what has been driven since hangs on it unchanged. So it moves `map → odom` by what was wrong at its
//! stamp, and `odom → base_link` not at all.

use nalgebra::{Matrix3, Vector3};
use sojourn_core::{
    Stamp,
    frames::{Map, Odom, Pose2, Transform, wrap_rad},
};
use std::collections::VecDeque;

/// Poses of the odometry that are kept: at [`STEP_M`] the last two hundred metres.
const MOST: usize = 4096;
/// A pose is kept when the rover has moved or turned by this much since the last one, metres and radians.
const STEP_M: f64 = 0.05;
/// See [`STEP_M`].
const STEP_RAD: f64 = 0.005;

/// A pose of `base_link` in `map` from somebody who has a map to go by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MapPose {
    /// The pose.
    pub pose: Pose2,
    /// Covariance of x, y (metres) and yaw (radians), axes of `map`.
    pub covariance: Matrix3<f64>,
}

/// What the odometry believed at a stamp.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Passed {
    /// When.
    pub stamp: Stamp,
    /// `base_link` in `odom`.
    pub pose: Pose2,
    /// Covariance of x, y (metres) and yaw (radians) since the start, axes of `odom`.
    pub covariance: Matrix3<f64>,
}

impl Passed {
    /// What the covariance has grown by since an earlier moment.
    #[must_use]
    pub fn grown_since(&self, earlier: &Self) -> Matrix3<f64> {
        let (now, then) = (self.pose, earlier.pose);
        let along = lever([now.x_m - then.x_m, now.y_m - then.y_m]);
        positive(self.covariance - along * earlier.covariance * along.transpose())
    }

    fn between(&self, later: &Self, stamp: Stamp) -> Self {
        let whole_s = later.stamp.since(self.stamp);
        let share = if whole_s > 0.0 {
            (stamp.since(self.stamp) / whole_s).clamp(0.0, 1.0)
        } else {
            1.0
        };
        let turn_rad = wrap_rad(later.pose.yaw_rad - self.pose.yaw_rad);
        Self {
            stamp,
            pose: Pose2::new(
                self.pose.x_m + share * (later.pose.x_m - self.pose.x_m),
                self.pose.y_m + share * (later.pose.y_m - self.pose.y_m),
                self.pose.yaw_rad + share * turn_rad,
            ),
            covariance: self.covariance + (later.covariance - self.covariance) * share,
        }
    }
}

/// Why a pose in `map` was not taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NotTaken {
    /// Not-a-number, or a covariance that is none.
    NotFinite,
    /// From before the newest pose that was taken, or from before what is remembered.
    TooOld,
    /// Its squared Mahalanobis distance (three degrees of freedom) lies beyond the gate.
    Disagrees {
        /// The squared distance.
        distance2: f64,
    },
}

/// Where `odom` lies in `map`, and how well that is known.
#[derive(Clone, Debug)]
pub struct MapFrame {
    /// `odom` in `map`.
    odom: Pose2,
    z_m: f64,
    /// What the odometry believed when `map` was last known.
    base: Option<Passed>,
    /// How well the rover's pose in `map` was known then, axes of `map`.
    covariance: Matrix3<f64>,
    passed: VecDeque<Passed>,
}

impl MapFrame {
    /// `odom` begins at a place in `map`, its axes parallel; `covariance` of x, y (metres) and yaw (radians) is the start's.
    #[must_use]
    pub fn new([x_m, y_m, z_m]: [f64; 3], covariance: Matrix3<f64>) -> Self {
        Self {
            odom: Pose2::new(x_m, y_m, 0.0),
            z_m,
            base: None,
            covariance,
            passed: VecDeque::new(),
        }
    }

    /// `map → odom`.
    #[must_use]
    pub fn transform(&self) -> Transform<Map, Odom> {
        let Pose2 { x_m, y_m, yaw_rad } = self.odom;
        Transform::from_xyz_rpy([x_m, y_m, self.z_m], 0.0, 0.0, yaw_rad)
    }

    /// Direction of the x axis of `odom` in `map`, radians.
    #[must_use]
    pub fn odom_yaw_rad(&self) -> f64 {
        self.odom.yaw_rad
    }

    /// Hears what the odometry believes now.
    pub fn pass(&mut self, now: Passed) {
        self.base.get_or_insert(now);
        let far = self.passed.back().is_none_or(|last| {
            let (dx, dy) = (now.pose.x_m - last.pose.x_m, now.pose.y_m - last.pose.y_m);
            let turn_rad = wrap_rad(now.pose.yaw_rad - last.pose.yaw_rad);
            dx.hypot(dy) >= STEP_M || turn_rad.abs() >= STEP_RAD
        });
        if far {
            self.passed.push_back(now);
        }
        while self.passed.len() > MOST {
            self.passed.pop_front();
        }
    }

    /// A person says where the rover stands; what was known before is forgotten.
    pub fn stand(&mut self, pose: Pose2, here: Option<Passed>, covariance: Matrix3<f64>) {
        self.put(here.map_or_else(Pose2::default, |h| h.pose), pose);
        self.base = here;
        self.covariance = covariance;
        self.passed.clear();
        self.passed.extend(here);
    }

    /// Covariance of the rover's pose in `map`, axes of `map`: x, y (metres), yaw (radians).
    #[must_use]
    pub fn covariance_at(&self, now: &Passed) -> Matrix3<f64> {
        let Some(base) = &self.base else {
            return self.covariance;
        };
        let d = [now.pose.x_m - base.pose.x_m, now.pose.y_m - base.pose.y_m];
        let grown = now.grown_since(base);
        let turned = turn(self.odom.yaw_rad);
        let in_map = turned * Vector3::new(d[0], d[1], 0.0);
        let carried = lever([in_map.x, in_map.y]);
        carried * self.covariance * carried.transpose() + turned * grown * turned.transpose()
    }

    /// Takes a pose of a stamp, when it is one that can be believed; gives its squared Mahalanobis distance.
    ///
    /// # Errors
    /// [`NotTaken`]; then nothing changes.
    pub fn take(&mut self, stamp: Stamp, said: &MapPose, gate: f64) -> Result<f64, NotTaken> {
        let p = said.pose;
        let finite = (p.x_m + p.y_m + p.yaw_rad).is_finite();
        let symmetric =
            (said.covariance - said.covariance.transpose()).amax() <= 1e-6 * said.covariance.amax();
        if !(finite && symmetric) || said.covariance.cholesky().is_none() {
            return Err(NotTaken::NotFinite);
        }
        let then = self.believed(stamp).ok_or(NotTaken::TooOld)?;
        let before = self.in_map(then.pose);
        let prior = self.covariance_at(&then);
        let innovation = Vector3::new(
            p.x_m - before.x_m,
            p.y_m - before.y_m,
            wrap_rad(p.yaw_rad - before.yaw_rad),
        );
        let weight = (prior + said.covariance)
            .cholesky()
            .ok_or(NotTaken::NotFinite)?
            .inverse();
        let distance2 = innovation.dot(&(weight * innovation));
        if !(distance2 <= gate) {
            return Err(NotTaken::Disagrees { distance2 });
        }
        let gain = prior * weight;
        let change = gain * innovation;
        let rest = Matrix3::identity() - gain;
        // Joseph's form stays positive.
        self.covariance =
            rest * prior * rest.transpose() + gain * said.covariance * gain.transpose();
        let after = Pose2::new(
            before.x_m + change.x,
            before.y_m + change.y,
            wrap_rad(before.yaw_rad + change.z),
        );
        self.put(then.pose, after);
        self.base = Some(then);
        Ok(distance2)
    }

    /// What the odometry believed at a stamp; the newest for one that is newer still.
    fn believed(&self, stamp: Stamp) -> Option<Passed> {
        let base = self.base.as_ref()?;
        if stamp < base.stamp {
            return None;
        }
        let Some(after) = self.passed.iter().position(|p| p.stamp >= stamp) else {
            return self.passed.back().copied().map(|p| Passed { stamp, ..p });
        };
        let later = self.passed.get(after)?;
        match after.checked_sub(1) {
            Some(k) => Some(self.passed.get(k)?.between(later, stamp)),
            None => (later.stamp == stamp).then_some(*later),
        }
    }

    /// A pose in `odom` as one in `map`.
    #[must_use]
    pub fn in_map(&self, pose: Pose2) -> Pose2 {
        let [x, y] = self.odom.point(pose.x_m, pose.y_m);
        Pose2::new(x, y, wrap_rad(self.odom.yaw_rad + pose.yaw_rad))
    }

    /// Moves `odom` so that a pose in it comes to lie on one in `map`.
    fn put(&mut self, in_odom: Pose2, in_map: Pose2) {
        let turn_rad = wrap_rad(in_map.yaw_rad - in_odom.yaw_rad);
        let (s, c) = turn_rad.sin_cos();
        self.odom = Pose2::new(
            in_map.x_m - (c * in_odom.x_m - s * in_odom.y_m),
            in_map.y_m - (s * in_odom.x_m + c * in_odom.y_m),
            turn_rad,
        );
    }
}

/// How an error of a heading and place moves a place that lies `d` metres on.
fn lever(d: [f64; 2]) -> Matrix3<f64> {
    Matrix3::new(1.0, 0.0, -d[1], 0.0, 1.0, d[0], 0.0, 0.0, 1.0)
}

fn turn(yaw_rad: f64) -> Matrix3<f64> {
    let (s, c) = yaw_rad.sin_cos();
    Matrix3::new(c, -s, 0.0, s, c, 0.0, 0.0, 0.0, 1.0)
}

/// The nearest matrix without negative variances: what has grown can not have shrunk.
fn positive(m: Matrix3<f64>) -> Matrix3<f64> {
    let mut eigen = ((m + m.transpose()) * 0.5).symmetric_eigen();
    eigen.eigenvalues.apply(|v| *v = v.max(0.0));
    eigen.recompose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cov(xy: f64, yaw: f64) -> Matrix3<f64> {
        Matrix3::from_diagonal(&Vector3::new(xy * xy, xy * xy, yaw * yaw))
    }

    fn passed(t_s: f64, x: f64, y: f64, yaw: f64, sigma_m: f64) -> Passed {
        Passed {
            stamp: Stamp::from_secs(t_s),
            pose: Pose2::new(x, y, yaw),
            covariance: cov(sigma_m, 0.0),
        }
    }

    /// Ten metres east in a hundred seconds, two per cent of the way uncertain.
    fn driven() -> MapFrame {
        let mut f = MapFrame::new([100.0, 50.0, 3.0], cov(0.5, 0.02));
        for k in 0..=100 {
            let t = f64::from(k);
            f.pass(passed(t, 0.1 * t, 0.0, 0.0, 0.002 * t));
        }
        f
    }

    fn said(x: f64, y: f64, yaw: f64, sigma_m: f64) -> MapPose {
        MapPose {
            pose: Pose2::new(x, y, yaw),
            covariance: cov(sigma_m, 0.01),
        }
    }

    #[test]
    fn a_late_pose_moves_what_was_driven_since_with_it() {
        let mut f = driven();
        // Sure of itself: half way the rover stood 0.4 m north of where it was believed.
        f.take(Stamp::from_secs(50.0), &said(105.0, 50.4, 0.0, 1e-4), 16.0)
            .unwrap();
        let half = f.in_map(Pose2::new(5.0, 0.0, 0.0));
        assert!((half.y_m - 50.4).abs() < 1e-3 && (half.x_m - 105.0).abs() < 1e-3);
        let end = f.in_map(Pose2::new(10.0, 0.0, 0.0));
        // A rover that knew its heading to 0.02 rad has learned that it went too far south on the way.
        assert!((end.y_m - 50.4).abs() < 0.2, "{end:?}");
        assert_eq!(f.transform().iso.translation.z, 3.0);
    }

    #[test]
    fn the_covariance_shrinks_with_a_pose_and_grows_with_the_way() {
        let mut f = driven();
        let end = passed(100.0, 10.0, 0.0, 0.0, 0.2);
        let before = f.covariance_at(&end);
        // 0.5 m of start, 0.02 rad over ten metres, 0.2 m of odometry
        assert!((before[(0, 0)] - 0.29).abs() < 1e-9 && (before[(1, 1)] - 0.33).abs() < 1e-9);
        f.take(end.stamp, &said(110.0, 50.0, 0.0, 0.2), 16.0)
            .unwrap();
        let after = f.covariance_at(&end);
        assert!(after[(0, 0)] < 0.04 && after[(1, 1)] < 0.04, "{after}");
        let later = f.covariance_at(&passed(200.0, 20.0, 0.0, 0.0, 0.6));
        assert!(later[(0, 0)] > after[(0, 0)] + 0.3, "{later}");
    }

    #[test]
    fn what_can_not_be_is_refused_and_changes_nothing() {
        let mut f = driven();
        let before = f.transform();
        let at = Stamp::from_secs(90.0);
        let far = f.take(at, &said(119.0, 50.0, 0.0, 0.2), 16.0);
        assert!(matches!(far, Err(NotTaken::Disagrees { distance2 }) if distance2 > 100.0));
        let turned = f.take(at, &said(109.0, 50.0, 0.5, 0.2), 16.0);
        assert!(matches!(turned, Err(NotTaken::Disagrees { .. })));
        let nan = f.take(at, &said(f64::NAN, 50.0, 0.0, 0.2), 16.0);
        assert_eq!(nan, Err(NotTaken::NotFinite));
        let none = f.take(at, &said(109.0, 50.0, 0.0, 0.0), 16.0);
        assert_eq!(none, Err(NotTaken::NotFinite));
        let early = f.take(Stamp::from_secs(-1.0), &said(109.0, 50.0, 0.0, 0.2), 16.0);
        assert_eq!(early, Err(NotTaken::TooOld));
        assert_eq!(f.transform(), before);
        f.take(at, &said(109.0, 50.1, 0.0, 0.2), 16.0).unwrap();
        let older = f.take(Stamp::from_secs(80.0), &said(108.0, 50.0, 0.0, 0.2), 16.0);
        assert_eq!(older, Err(NotTaken::TooOld));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

        #[test]
        fn a_sure_pose_is_where_the_rover_stands_then_and_covariances_stay_positive(
            x in -0.6f64..0.6, y in -0.6f64..0.6, yaw in -0.03f64..0.03, t in 1.0f64..99.0, turned in -3.1f64..3.1,
        ) {
            let mut f = driven();
            let start = Pose2::new(7.0, -3.0, turned);
            f.stand(start, Some(passed(0.0, 0.0, 0.0, 0.0, 0.0)), cov(0.5, 0.02));
            for k in 1..=100 {
                let t = f64::from(k);
                f.pass(passed(t, 0.1 * t, 0.0, 0.0, 0.002 * t));
            }
            let then = Pose2::new(0.1 * t, 0.0, 0.0);
            let before = f.in_map(then);
            let sure = MapPose {
                pose: Pose2::new(before.x_m + x, before.y_m + y, before.yaw_rad + yaw),
                covariance: cov(1e-5, 1e-6),
            };
            f.take(Stamp::from_secs(t), &sure, 100.0).unwrap();
            let after = f.in_map(then);
            prop_assert!((after.x_m - sure.pose.x_m).hypot(after.y_m - sure.pose.y_m) < 1e-3);
            prop_assert!(wrap_rad(after.yaw_rad - sure.pose.yaw_rad).abs() < 1e-4);
            let end = f.covariance_at(&passed(100.0, 10.0, 0.0, 0.0, 0.2));
            prop_assert!(end.symmetric_eigenvalues().min() > -1e-12);
        }
    }
}
