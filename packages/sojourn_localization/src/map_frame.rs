//! Where `odom` lies in `map`: the start, what a person says, and poses in `map` that come late.
//!
//! How far the odometry may have gone astray since the newest of them is the covariance of the way since. What turned it aside
//! before the newest pose does so after it as well, and a fix takes only a part of that out of `map`: so how what is still wrong
//! in `map` hangs together with all that the odometry has wrong is kept and carried along the way. Without that every fix would
//! begin a way whose errors are new ones, and the place would be believed surer than fixes that are right. A pose is of a stamp; what has been driven since hangs on it unchanged. So it moves `map → odom` by what was wrong at its
//! stamp, and `odom → base_link` not at all.
//!
//! Poses found on one map share what that map has wrong. It is a state that is considered and not estimated (Schmidt 1966):
//! how far the rover's error hangs together with it is kept, so that any number of fixes at one place makes the rover no surer
//! of where it is than the map is. From place to place the map's error changes (Gauss–Markov over the distance).

use crate::filter::{Covariance, WithPose, WithTwo, planar};
use nalgebra::{Matrix3, Matrix3x2, Vector3};
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
    /// What of it every pose from the same map has wrong alike: standard deviation of x and of y, metres.
    pub shared_sigma_m: f64,
}

/// What the odometry believed at a stamp.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Passed {
    /// When.
    pub stamp: Stamp,
    /// `base_link` in `odom`.
    pub pose: Pose2,
    /// Covariance of the odometry's errors with those of x, y (metres) and yaw (radians) since the start, axes of `odom`.
    pub errors: WithPose,
}

impl Passed {
    /// Covariance of x, y (metres) and yaw (radians) since the start, axes of `odom`.
    #[must_use]
    pub fn covariance(&self) -> Matrix3<f64> {
        planar(&self.errors)
    }

    /// Covariance of the way from an earlier moment to this one, axes of `odom`; `since` says how the odometry's errors now
    /// hang together with those of then.
    #[must_use]
    pub fn grown_since(&self, earlier: &Self, since: &WithPose) -> Matrix3<f64> {
        let along = earlier.lever_to(self);
        let both = planar(since) * along.transpose();
        let alone = self.covariance() + along * earlier.covariance() * along.transpose();
        positive(alone - both - both.transpose())
    }

    /// How this moment's error of heading and place moves the place of another.
    fn lever_to(&self, later: &Self) -> Matrix3<f64> {
        let (now, then) = (later.pose, self.pose);
        lever([now.x_m - then.x_m, now.y_m - then.y_m])
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
            // A step is short: what is known then is what is known at its end.
            errors: later.errors,
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

/// A step of the way.
#[derive(Clone, Debug)]
struct Step {
    /// Its end.
    to: Passed,
    /// What became of the odometry's errors over it.
    carried: Box<Covariance>,
}

impl Step {
    /// The first: nothing before it is known.
    fn first(to: Passed) -> Self {
        Self {
            to,
            carried: Box::new(Covariance::identity()),
        }
    }
}

/// Where `odom` lies in `map`, and how well that is known.
#[derive(Clone, Debug)]
pub struct MapFrame {
    /// `odom` in `map`.
    odom: Pose2,
    /// Direction of its x axis there as the start or a person says, radians.
    said_yaw_rad: f64,
    z_m: f64,
    /// What the odometry believed when `map` was last known.
    base: Option<Passed>,
    /// How well the rover's pose in `map` was known then, axes of `map`.
    covariance: Matrix3<f64>,
    /// Covariance of the odometry's error then (x, y, yaw, axes of `odom`) with that error.
    with_base: Matrix3<f64>,
    /// Covariance of that error with the map's, the latter in units of its standard deviation.
    shared: Matrix3x2<f64>,
    /// Way over which the map's error stays alike, metres.
    map_error_correlation_m: f64,
    passed: VecDeque<Step>,
    /// What the odometry believed at the last `pass`, when that is not yet one of them.
    newest: Option<Passed>,
    /// How the odometry's errors at the first of them hang together with its own when `map` was last known (first three) and
    /// with the error of the rover's pose in `map` then.
    since_base: WithTwo,
    /// What became of the odometry's errors since the newest of them.
    carried: Covariance,
    /// The same of the odometry's errors now.
    since_base_now: WithTwo,
    /// And those at the last `pass`.
    since_base_passed: WithTwo,
}

impl MapFrame {
    /// `odom` begins at a place in `map`, its axes parallel; `covariance` of x, y (metres) and yaw (radians) is the start's.
    /// What the map has wrong stays alike over `map_error_correlation_m` metres.
    #[must_use]
    pub fn new(
        [x_m, y_m, z_m]: [f64; 3],
        covariance: Matrix3<f64>,
        map_error_correlation_m: f64,
    ) -> Self {
        Self {
            odom: Pose2::new(x_m, y_m, 0.0),
            said_yaw_rad: 0.0,
            z_m,
            base: None,
            covariance,
            with_base: Matrix3::zeros(),
            shared: Matrix3x2::zeros(),
            map_error_correlation_m,
            passed: VecDeque::new(),
            newest: None,
            since_base: WithTwo::zeros(),
            carried: Covariance::identity(),
            since_base_now: WithTwo::zeros(),
            since_base_passed: WithTwo::zeros(),
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

    /// The same as the start or a person says, radians: the frame in which the odometry's own heading is meant. Poses in `map`
    /// since then have turned `odom` by what the odometry's heading has wrong; who corrects that heading itself goes by this.
    #[must_use]
    pub fn said_yaw_rad(&self) -> f64 {
        self.said_yaw_rad
    }

    /// Hears what the odometry believes now, and what has become of its errors since the last time
    /// (`Filter::take_carried`).
    pub fn pass(&mut self, now: Passed, carried: &Covariance) {
        self.carried = carried * self.carried;
        self.since_base_passed = carried * self.since_base_passed;
        self.since_base_now = self.since_base_passed;
        if self.base.is_none() {
            self.begin(now);
        }
        self.newest = Some(now);
        if self.is_far(&now) {
            self.keep_newest();
        }
        while self.passed.len() > MOST {
            self.passed.pop_front();
            if let Some(first) = self.passed.front() {
                self.since_base = *first.carried * self.since_base;
            }
        }
    }

    /// What the odometry believed at the last `pass` becomes a step of the way; of one moment the last word counts.
    fn keep_newest(&mut self) {
        let Some(to) = self.newest.take() else { return };
        let carried = std::mem::replace(&mut self.carried, Covariance::identity());
        let first = self.passed.len() == 1;
        match self.passed.back_mut() {
            Some(last) if last.to.stamp == to.stamp => {
                last.to = to;
                *last.carried = carried * *last.carried;
                if first {
                    self.since_base = carried * self.since_base;
                }
            }
            _ => self.passed.push_back(Step {
                to,
                carried: Box::new(carried),
            }),
        }
    }

    /// Whether the rover has come so far that what the odometry believes now is to be kept (`pass`).
    #[must_use]
    pub fn is_far(&self, now: &Passed) -> bool {
        self.passed.back().is_none_or(|last| {
            let last = &last.to;
            let (dx, dy) = (now.pose.x_m - last.pose.x_m, now.pose.y_m - last.pose.y_m);
            let turn_rad = wrap_rad(now.pose.yaw_rad - last.pose.yaw_rad);
            dx.hypot(dy) >= STEP_M || turn_rad.abs() >= STEP_RAD
        })
    }

    /// Hears what has become of the odometry's errors since the last `pass`, which is yet to come: `covariance_at` of now is
    /// right with that, and it costs little.
    pub fn glance(&mut self, carried: &Covariance) {
        self.since_base_now = carried * self.since_base_passed;
    }

    /// `map` is known at this moment: the way begins here.
    fn begin(&mut self, here: Passed) {
        self.base = Some(here);
        self.passed.clear();
        self.passed.push_back(Step::first(here));
        // What is said of the pose in `map` hangs together with nothing that the odometry has wrong.
        self.with_base = Matrix3::zeros();
        self.since_base = with_two(&here.errors, &WithPose::zeros());
        self.since_base_now = self.since_base;
        self.since_base_passed = self.since_base;
        self.carried = Covariance::identity();
        self.newest = None;
    }

    /// How the odometry's errors at a moment, or those of now, hang together with those when `map` was last known.
    fn since_base(&self, at: &Passed) -> WithTwo {
        if self.passed.back().is_none_or(|b| b.to.stamp <= at.stamp) {
            return self.since_base_now;
        }
        let mut out = self.since_base;
        for (k, step) in self.passed.iter().enumerate() {
            if k > 0 {
                out = *step.carried * out;
            }
            if step.to.stamp >= at.stamp {
                break;
            }
        }
        out
    }

    /// A person says where the rover stands; what was known before is forgotten. Before the odometry has begun (`here` is
    /// none), the rover stands where it will begin: at `start` in `odom`.
    pub fn stand(
        &mut self,
        pose: Pose2,
        here: Option<Passed>,
        start: Pose2,
        covariance: Matrix3<f64>,
    ) {
        self.put(here.map_or(start, |h| h.pose), pose);
        self.said_yaw_rad = self.odom.yaw_rad;
        self.covariance = covariance;
        self.shared = Matrix3x2::zeros();
        match here {
            Some(here) => self.begin(here),
            None => {
                self.base = None;
                self.passed.clear();
            }
        }
    }

    /// Covariance of the rover's pose in `map`, axes of `map`: x, y (metres), yaw (radians).
    #[must_use]
    pub fn covariance_at(&self, now: &Passed) -> Matrix3<f64> {
        let Some(base) = &self.base else {
            return self.covariance;
        };
        let (since, since_map) = of_two(&self.since_base(now));
        let grown = now.grown_since(base, &since);
        let turned = turn(self.odom.yaw_rad);
        let carried = lever(self.way_in_map(base, now));
        // What turned the odometry aside before does so still: what has grown hangs together with what was wrong then.
        let alike = planar(&since_map) - base.lever_to(now) * self.with_base;
        let alike = turned * alike * carried.transpose();
        carried * self.covariance * carried.transpose()
            + turned * grown * turned.transpose()
            + alike
            + alike.transpose()
    }

    /// The straight way between two moments, axes of `map`, metres.
    fn way_in_map(&self, from: &Passed, to: &Passed) -> [f64; 2] {
        let d = Vector3::new(
            to.pose.x_m - from.pose.x_m,
            to.pose.y_m - from.pose.y_m,
            0.0,
        );
        let in_map = turn(self.odom.yaw_rad) * d;
        [in_map.x, in_map.y]
    }

    /// How the rover's error at a later moment hangs together with the map's there.
    fn shared_at(&self, then: &Passed) -> Matrix3x2<f64> {
        let Some(base) = &self.base else {
            return self.shared;
        };
        let way = self.way_in_map(base, then);
        let kept = (-way[0].hypot(way[1]) / self.map_error_correlation_m).exp();
        lever(way) * self.shared * kept
    }

    /// Takes a pose of a stamp, when it is one that can be believed; gives its squared Mahalanobis distance.
    ///
    /// # Errors
    /// [`NotTaken`]; then nothing changes.
    pub fn take(&mut self, stamp: Stamp, said: &MapPose, gate: f64) -> Result<f64, NotTaken> {
        let p = said.pose;
        let finite =
            (p.x_m + p.y_m + p.yaw_rad).is_finite() && (0.0..1e6).contains(&said.shared_sigma_m);
        let symmetric =
            (said.covariance - said.covariance.transpose()).amax() <= 1e-6 * said.covariance.amax();
        if !(finite && symmetric) || said.covariance.cholesky().is_none() {
            return Err(NotTaken::NotFinite);
        }
        if self.passed.back().is_some_and(|l| l.to.stamp <= stamp) {
            self.keep_newest();
        }
        let then = self.believed(stamp).ok_or(NotTaken::TooOld)?;
        let before = self.in_map(then.pose);
        let prior = self.covariance_at(&then);
        let innovation = Vector3::new(
            p.x_m - before.x_m,
            p.y_m - before.y_m,
            wrap_rad(p.yaw_rad - before.yaw_rad),
        );
        // The map's error is a part of the pose's own: no more than all of it.
        let place = said.covariance.fixed_view::<2, 2>(0, 0).into_owned();
        let own_m = place.symmetric_eigenvalues().min().max(0.0).sqrt();
        let shared_m = said.shared_sigma_m.min(own_m);
        let map_error = Matrix3x2::new(1.0, 0.0, 0.0, 1.0, 0.0, 0.0) * shared_m;
        let shared = self.shared_at(&then);
        let with_said = prior + shared * map_error.transpose();
        let both = map_error * shared.transpose();
        let weight = (with_said + both + said.covariance)
            .cholesky()
            .ok_or(NotTaken::NotFinite)?
            .inverse();
        let distance2 = innovation.dot(&(weight * innovation));
        if !(distance2 <= gate) {
            return Err(NotTaken::Disagrees { distance2 });
        }
        let gain = with_said * weight;
        let change = gain * innovation;
        let rest = Matrix3::identity() - gain;
        // Joseph's form stays positive; the last two terms are what pose and belief have wrong alike.
        let alike = rest * shared * map_error.transpose() * gain.transpose();
        self.covariance = rest * prior * rest.transpose()
            + gain * said.covariance * gain.transpose()
            - alike
            - alike.transpose();
        self.covariance = positive(self.covariance);
        self.shared = rest * shared - gain * map_error;
        let after = Pose2::new(
            before.x_m + change.x,
            before.y_m + change.y,
            wrap_rad(before.yaw_rad + change.z),
        );
        let with_map = self.with_map(&then) * rest.transpose();
        self.put(then.pose, after);
        self.known_at(then, &with_map);
        Ok(distance2)
    }

    /// Covariance of the odometry's errors at a moment with the error of the rover's pose in `map` there.
    fn with_map(&self, then: &Passed) -> WithPose {
        let Some(base) = &self.base else {
            return WithPose::zeros();
        };
        let (since, since_map) = of_two(&self.since_base(then));
        let grown = then.errors - since * base.lever_to(then).transpose();
        let carried = lever(self.way_in_map(base, then));
        since_map * carried.transpose() + grown * turn(self.odom.yaw_rad).transpose()
    }

    /// `map` is known as of a moment of the way: what lies before it is forgotten. `with_map` is how the odometry's errors then
    /// hang together with what is still wrong in `map`.
    fn known_at(&mut self, then: Passed, with_map: &WithPose) {
        while let Some(first) = self.passed.front()
            && first.to.stamp < then.stamp
        {
            self.passed.pop_front();
        }
        // The step that ends at that moment or after it begins there now.
        if let Some(first) = self.passed.front_mut() {
            *first.carried = Covariance::identity();
        }
        if self.passed.front().is_none_or(|f| f.to.stamp > then.stamp) {
            self.passed.push_front(Step::first(then));
        }
        self.base = Some(then);
        self.with_base = planar(with_map);
        self.since_base = with_two(&then.errors, with_map);
        let newest = self.passed.iter().skip(1);
        let to_newest = newest.fold(self.since_base, |since, step| *step.carried * since);
        self.since_base_now = self.carried * to_newest;
        self.since_base_passed = self.since_base_now;
    }

    /// What the odometry believed at a stamp; the newest for one that is newer still.
    fn believed(&self, stamp: Stamp) -> Option<Passed> {
        let base = self.base.as_ref()?;
        if stamp < base.stamp {
            return None;
        }
        let Some(after) = self.passed.iter().position(|p| p.to.stamp >= stamp) else {
            return self.passed.back().map(|p| Passed { stamp, ..p.to });
        };
        let later = &self.passed.get(after)?.to;
        match after.checked_sub(1) {
            Some(k) => Some(self.passed.get(k)?.to.between(later, stamp)),
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

fn with_two(odom: &WithPose, map: &WithPose) -> WithTwo {
    let mut out = WithTwo::zeros();
    out.fixed_columns_mut::<3>(0).copy_from(odom);
    out.fixed_columns_mut::<3>(3).copy_from(map);
    out
}

fn of_two(both: &WithTwo) -> (WithPose, WithPose) {
    let of = |at: usize| both.fixed_columns::<3>(at).into_owned();
    (of(0), of(3))
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
mod consistency;
#[cfg(test)]
mod tests;
