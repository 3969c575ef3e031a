//! Poses in `map`: what a person says, what comes late, and searches on the orbital map with what becomes of their answers.

use super::{Localization, MAX_TRAVEL_M, start_covariance};
use crate::{
    finding::{Answer, Search},
    map_frame::{MapPose, NotTaken, Passed},
    messages::Refusal,
    vo::StereoPair,
};
use nalgebra::{Isometry3, Matrix3};
use sojourn_core::{
    Stamp,
    frames::{BaseLink, Odom, Pose2, Transform},
};
use std::sync::Arc;

/// Nobody says of a pose that it is less sure than this, metres² and radians².
const MAX_SAID_VARIANCE: f64 = 1e12;

/// A pair that visual odometry has looked at: its stamp and where `base_link` stood in `odom`.
pub(super) type Stood = (Stamp, Isometry3<f64>, Box<StereoPair>);

impl Localization {
    /// What the last search on the map gave, in a few words.
    #[must_use]
    pub fn map_fix_told(&self) -> String {
        self.finder.told()
    }

    /// Keeps the pairs that were looked at for the next search.
    pub(super) fn keep(&mut self, stood: Vec<Stood>) {
        self.pass_on();
        let Some(passed) = self.passed() else { return };
        for (stamp, odom_from_base_link, pair) in stood {
            let pose = Transform::<Odom, BaseLink>::new(odom_from_base_link).planar();
            let there = Passed {
                stamp,
                pose,
                ..passed
            };
            self.finder.keep(pair, odom_from_base_link, there);
        }
    }

    /// Begins a search when it is time for one.
    pub(super) fn search(&mut self, now: Stamp) -> Option<Arc<Search>> {
        let way_m = self.state.as_ref()?.way_m;
        let there = *self.finder.due(way_m)?;
        let believed = MapPose {
            pose: self.map.in_map(there.pose),
            covariance: self.map.covariance_at(&there),
            shared_sigma_m: 0.0,
        };
        let yaw_rad = self.map.odom_yaw_rad();
        let search = self.finder.begin(now, way_m, yaw_rad, &believed);
        self.counts.searches += u64::from(search.is_some());
        search
    }

    /// The answer of a search moves `map → odom` as a pose in `map` from anybody does.
    pub(super) fn on_answer(&mut self, now: Stamp, answer: Answer) -> Result<(), Refusal> {
        let taken = match &answer.found {
            Ok(pose) => self.on_map_pose(now, answer.stamp, pose),
            Err(_) => Ok(()),
        };
        let moved = taken.is_ok() && answer.found.is_ok();
        self.counts.map_fixes += u64::from(moved);
        self.finder.end(answer, moved);
        taken
    }

    /// Covariance of x, y (metres) and heading (radians) of the rover in `map`, axes of `map`.
    #[must_use]
    pub fn map_covariance(&self) -> Option<Matrix3<f64>> {
        self.passed().map(|now| self.map.covariance_at(&now))
    }

    /// `map → odom` such that the rover stands where it is said to stand; the height stays.
    pub(super) fn on_initial_pose(
        &mut self,
        pose: Pose2,
        said: &Matrix3<f64>,
    ) -> Result<(), Refusal> {
        if !(pose.x_m.abs() <= MAX_TRAVEL_M
            && pose.y_m.abs() <= MAX_TRAVEL_M
            && pose.yaw_rad.is_finite())
        {
            return Err(Refusal::NotFinite);
        }
        let p = &self.config.params;
        let usable = (said - said.transpose()).amax() <= 1e-6 * said.amax()
            && said.amax() <= MAX_SAID_VARIANCE
            && said.cholesky().is_some();
        let covariance = if usable { *said } else { start_covariance(p) };
        if let Some(state) = self.state.as_mut().filter(|_| p.sun.enabled) {
            // How the heading lies in `map` is as uncertain as what was said: the sun may put it right.
            state.filter.yaw_lost(covariance[(2, 2)]);
        }
        // Before the first level the rover stands where `odom` will begin.
        let start = Pose2::new(0.0, 0.0, p.initial_yaw_rad);
        self.pass_on();
        self.map.stand(pose, self.passed(), start, covariance);
        Ok(())
    }

    /// `map → odom` moves by what was wrong at the pose's stamp.
    pub(super) fn on_map_pose(
        &mut self,
        now: Stamp,
        stamp: Stamp,
        pose: &MapPose,
    ) -> Result<(), Refusal> {
        self.check_stamp(now, stamp, None)?;
        self.pass_on();
        let taken = self.map.take(stamp, pose, self.config.params.map_pose_gate);
        match taken {
            Ok(_) => self.counts.map_poses += 1,
            Err(NotTaken::NotFinite) => return Err(Refusal::NotFinite),
            Err(NotTaken::TooOld) => return Err(Refusal::TooOld),
            Err(NotTaken::Disagrees { .. }) => return Err(Refusal::Disagrees),
        }
        Ok(())
    }

    pub(super) fn map_sigma_m(&self) -> f64 {
        let Some(covariance) = self.map_covariance() else {
            return 0.0;
        };
        let place = covariance.fixed_view::<2, 2>(0, 0).into_owned();
        place.symmetric_eigenvalues().max().max(0.0).sqrt()
    }
}
