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

    /// Everything that is amiss and without which the rover does not drive, the nodes in their order and then the pose:
    /// `None` when all is there, fresh and well. What falls silent together is told together.
    pub(super) fn missing(&self, config: &Config, now: Stamp) -> Option<String> {
        let beats = config.watched_nodes.iter().filter_map(|node| {
            let beat = self.beats.get(node);
            let silent = silence(now, beat.map(|(s, _)| *s), config.heartbeat_timeout_s);
            silent
                .map(|since| format!("no heartbeat of {node}{since}"))
                .or_else(|| beat.and_then(|(_, health)| unwell(node, health)))
        });
        let poses = [
            ("odometry", self.odometry.as_ref().map(|(s, _)| *s)),
            ("map to odom", self.map.as_ref().map(|(s, _)| *s)),
        ];
        let poses = poses.into_iter().filter_map(|(what, stamp)| {
            silence(now, stamp, config.pose_timeout_s).map(|since| format!("no {what}{since}"))
        });
        let amiss: Vec<String> = beats.chain(poses).collect();
        (!amiss.is_empty()).then(|| amiss.join("; "))
    }
}

/// `Some` when nothing was heard, or nothing within the time; in words how long.
fn silence(now: Stamp, heard: Option<Stamp>, timeout_s: f64) -> Option<String> {
    let Some(stamp) = heard else {
        return Some(String::new());
    };
    let age_s = now.since(stamp);
    (!(age_s.abs() <= timeout_s)).then(|| format!(" for {age_s:.2} s"))
}

/// `Some` when a node says of itself that it cannot do its part.
fn unwell(node: &str, health: &Health) -> Option<String> {
    let well = matches!(health.state, NodeState::Idle | NodeState::Active)
        && health.level < HealthLevel::Error;
    let why = match health.reason.as_str() {
        "" => "without a reason",
        reason => reason,
    };
    (!well).then(|| format!("{node} is {}: {why}", state_name(health)))
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
