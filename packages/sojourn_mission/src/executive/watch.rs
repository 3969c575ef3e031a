//! What the executive has heard, and what is amiss with it.

use super::{AutonavState, Config, Input};
use sojourn_core::Stamp;
use sojourn_core::frames::{BaseLink, Map, Odom, Pose2, Transform};
use sojourn_core::health::{Health, HealthLevel, NodeState};
use std::collections::BTreeMap;

/// The newest of everything, and the distances that follow from it.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    odometry: Option<(Stamp, Transform<Odom, BaseLink>)>,
    map: Option<(Stamp, Transform<Map, Odom>)>,
    autonav: Option<(AutonavState, String)>,
    /// Since when AutoNav says that there is no safe way.
    stopped_since: Option<Stamp>,
    beats: BTreeMap<String, (Stamp, Health)>,
    /// Way by odometry since it was last taken, metres.
    way_m: f64,
    /// The first thing wrong with a pose since it was last taken.
    fault: Option<String>,
}

impl Heard {
    pub(super) fn absorb(&mut self, config: &Config, input: &Input) {
        match input {
            Input::Odometry {
                stamp,
                odom_from_base_link,
            } => {
                if !is_finite(&odom_from_base_link.iso) {
                    return self.complain("odometry holds a number that is not finite".into());
                }
                if let Some((_, before)) = &self.odometry {
                    let step_m = (odom_from_base_link.iso.translation.vector
                        - before.iso.translation.vector)
                        .norm();
                    self.way_m += step_m;
                    if step_m > config.pose_jump_m {
                        self.complain(format!("odometry jumped by {step_m:.2} m"));
                    }
                }
                self.odometry = Some((*stamp, *odom_from_base_link));
            }
            Input::MapFromOdom {
                stamp,
                map_from_odom,
            } => {
                if !is_finite(&map_from_odom.iso) {
                    return self.complain("map to odom holds a number that is not finite".into());
                }
                if let (Some((_, before)), Some((_, pose))) = (&self.map, &self.odometry) {
                    let at = |t: &Transform<Map, Odom>| (*t * *pose).iso.translation.vector;
                    let step_m = (at(map_from_odom) - at(before)).norm();
                    if step_m > config.pose_jump_m {
                        self.complain(format!("map to odom moved the rover by {step_m:.2} m"));
                    }
                }
                self.map = Some((*stamp, *map_from_odom));
            }
            Input::Autonav {
                stamp,
                state,
                reason,
            } => {
                if *state != AutonavState::Stopped {
                    self.stopped_since = None;
                } else if self.stopped_since.is_none() {
                    self.stopped_since = Some(*stamp);
                }
                self.autonav = Some((*state, reason.clone()));
            }
            Input::Heartbeat {
                stamp,
                node,
                health,
            } => {
                if config.watched_nodes.contains(node) {
                    self.beats.insert(node.clone(), (*stamp, health.clone()));
                }
            }
        }
    }

    fn complain(&mut self, what: String) {
        self.fault.get_or_insert(what);
    }

    /// Takes the first complaint about a pose.
    pub(super) fn take_fault(&mut self) -> Option<String> {
        self.fault.take()
    }

    /// Takes the way driven since it was last taken, metres.
    pub(super) fn take_way_m(&mut self) -> f64 {
        std::mem::take(&mut self.way_m)
    }

    /// Forgets how long AutoNav has been stopped: it is about to get a new goal.
    pub(super) fn forget_autonav(&mut self) {
        self.stopped_since = None;
        self.autonav = None;
    }

    /// Where the rover is.
    pub(super) fn pose_in_map(&self) -> Option<Pose2> {
        let (_, map_from_odom) = self.map.as_ref()?;
        let (_, odom_from_base_link) = self.odometry.as_ref()?;
        Some((*map_from_odom * *odom_from_base_link).planar())
    }

    /// AutoNav's words, when it says anything.
    pub(super) fn autonav_reason(&self) -> Option<&str> {
        self.autonav
            .as_ref()
            .map(|(_, reason)| reason.as_str())
            .filter(|r| !r.is_empty())
    }

    /// Seconds since AutoNav first said that there is no safe way; `None` when it does not say so.
    pub(super) fn autonav_stopped_s(&self, now: Stamp) -> Option<f64> {
        self.stopped_since.map(|since| now.since(since))
    }

    /// The first thing without which the rover does not drive: `None` when all is there, fresh and well.
    pub(super) fn missing(&self, config: &Config, now: Stamp) -> Option<String> {
        for node in &config.watched_nodes {
            let Some((stamp, health)) = self.beats.get(node) else {
                return Some(format!("no heartbeat of {node}"));
            };
            let age_s = now.since(*stamp);
            if !(age_s.abs() <= config.heartbeat_timeout_s) {
                return Some(format!("no heartbeat of {node} for {age_s:.2} s"));
            }
            let well = matches!(health.state, NodeState::Idle | NodeState::Active)
                && health.level < HealthLevel::Error;
            if !well {
                let why = if health.reason.is_empty() {
                    "without a reason"
                } else {
                    health.reason.as_str()
                };
                return Some(format!("{node} is {}: {why}", state_name(health)));
            }
        }
        for (what, stamp) in [
            ("odometry", self.odometry.as_ref().map(|(s, _)| *s)),
            ("map to odom", self.map.as_ref().map(|(s, _)| *s)),
        ] {
            let Some(stamp) = stamp else {
                return Some(format!("no {what}"));
            };
            let age_s = now.since(stamp);
            if !(age_s.abs() <= config.pose_timeout_s) {
                return Some(format!("no {what} for {age_s:.2} s"));
            }
        }
        None
    }
}

fn state_name(health: &Health) -> &'static str {
    match (health.state, health.level) {
        (NodeState::Fault, _) => "in FAULT",
        (NodeState::Starting, _) => "still STARTING",
        (_, HealthLevel::Error) => "in ERROR",
        _ => "not well",
    }
}

fn is_finite(iso: &nalgebra::Isometry3<f64>) -> bool {
    iso.translation
        .vector
        .iter()
        .chain(iso.rotation.coords.iter())
        .all(|v| v.is_finite())
}
