//! A trial's place in `map`: searches on the map from orbit as the node makes them, and how far off the estimate is.

use crate::cpu_s;
use nalgebra::{Isometry3, Vector2};
use serde::{Deserialize, Serialize};
use sojourn_core::{
    Stamp,
    frames::{BaseLink, Map, Transform},
};
use sojourn_localization::{
    Estimate, Input, Localization,
    finding::{Answer, OrbitalMap, Search},
};
use std::collections::BTreeMap;

/// A fix off by more than this is wrong, metres.
const WRONG_M: f64 = 1.0;

/// One search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Searched {
    /// Way driven when it began, metres.
    pub at_m: f64,
    /// Area that was seen, square metres.
    pub seen_m2: f64,
    /// Distance of the fix from the truth, metres; none without a fix.
    pub error_m: Option<f64>,
    /// What the fix says of that: standard deviation along its worse axis, metres.
    #[serde(default)]
    pub sigma_m: Option<f64>,
    /// And how far off the estimate was then, metres.
    pub believed_error_m: f64,
    /// Why there is none.
    pub reason: Option<String>,
    /// Processor time, seconds.
    pub seconds: f64,
}

/// What became of the place in `map`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OnMap {
    /// The searches in their order.
    pub searches: Vec<Searched>,
    /// Fixes that the estimate took.
    pub taken: u64,
    /// Fixes off by more than a metre.
    pub wrong: u64,
    /// Error in the plane at the end, metres.
    pub end_m: f64,
    /// Greatest error of any second, metres.
    pub worst_m: f64,
    /// Mean error over the seconds, metres.
    pub mean_m: f64,
    /// Share of the seconds whose error lies within the 95 % ellipse of the covariance.
    pub within: f64,
    seconds: u64,
}

/// Runs the searches, each at once, and hands their answers over when the node awaits them.
pub(crate) struct Surveyor<'a> {
    map: &'a OrbitalMap,
    waiting: Option<(Stamp, Answer)>,
    truths: BTreeMap<Stamp, Isometry3<f64>>,
    result: OnMap,
}

impl<'a> Surveyor<'a> {
    pub fn new(map: &'a OrbitalMap) -> Self {
        Self {
            map,
            waiting: None,
            truths: BTreeMap::new(),
            result: OnMap::default(),
        }
    }

    /// Where the rover truly stood when a pair was taken.
    pub fn stood(&mut self, stamp: Stamp, truth: Isometry3<f64>) {
        self.truths.insert(stamp, truth);
    }

    /// The answer that is due.
    pub fn answer(&mut self, now: Stamp, node: &mut Localization) {
        if let Some((_, answer)) = self.waiting.take_if(|w| now >= w.0) {
            node.step(now, Input::Found(Box::new(answer)));
            self.result.taken = node.counts().map_fixes;
        }
    }

    /// Runs a search.
    pub fn search(
        &mut self,
        search: &Search,
        at_m: f64,
        estimate: Option<&Estimate>,
        now_truth: &Isometry3<f64>,
    ) {
        let begin_s = cpu_s();
        let answer = search.run(self.map);
        let seconds = cpu_s() - begin_s;
        let truth = self.truths.get(&search.stamp).map(plane);
        let error_m = answer
            .found
            .as_ref()
            .ok()
            .zip(truth)
            .map(|(f, t)| (Vector2::new(f.pose.x_m, f.pose.y_m) - t).norm());
        self.result.wrong += u64::from(error_m.is_some_and(|e| e > WRONG_M));
        self.result.searches.push(Searched {
            at_m,
            seen_m2: answer.seen_m2,
            error_m,
            sigma_m: answer.found.as_ref().ok().map(|f| {
                let in_plane = f.covariance.fixed_view::<2, 2>(0, 0).into_owned();
                in_plane.symmetric_eigenvalues().max().max(0.0).sqrt()
            }),
            believed_error_m: estimate.map_or(0.0, |e| off(e, now_truth).norm()),
            reason: answer.found.as_ref().err().cloned(),
            seconds,
        });
        self.waiting = Some((search.answer_at, answer));
    }

    /// Compares a second.
    pub fn second(&mut self, node: &Localization, estimate: &Estimate, truth: &Isometry3<f64>) {
        let off = off(estimate, truth);
        let error_m = off.norm();
        let r = &mut self.result;
        let n = r.seconds as f64;
        let covariance = node
            .map_covariance()
            .map(|c| c.fixed_view::<2, 2>(0, 0).into_owned());
        let within = covariance
            .and_then(nalgebra::Matrix2::try_inverse)
            .is_some_and(|inverse| off.dot(&(inverse * off)) <= CHI2_95);
        r.mean_m = (n * r.mean_m + error_m) / (n + 1.0);
        r.within = (n * r.within + f64::from(u8::from(within))) / (n + 1.0);
        r.worst_m = r.worst_m.max(error_m);
        r.end_m = error_m;
        r.seconds += 1;
    }

    pub fn end(self) -> OnMap {
        self.result
    }
}

/// 95 % of chi² with two degrees of freedom lie below.
const CHI2_95: f64 = 5.991;

fn plane(pose: &Isometry3<f64>) -> Vector2<f64> {
    pose.translation.vector.xy()
}

/// Where the rover is believed to stand in `map`, less where it does.
fn off(estimate: &Estimate, truth: &Isometry3<f64>) -> Vector2<f64> {
    let at: Transform<Map, BaseLink> = estimate.map_from_odom * estimate.odom_from_base_link;
    plane(&at.iso) - plane(truth)
}
