//! The state machine.

use super::progress::{Drive, Step, step};
use super::watch::Heard;
use super::{Config, Decision, DriveState, GoalOut, Input, Outcome, Status};
use crate::{Bundle, MissionError, rules};
use sojourn_core::Stamp;
use sojourn_core::geometry::{Xy, bounds, distance_m};
use sojourn_core::health::{Health, NodeState};
use sojourn_core::rover::Rover;
use std::collections::BTreeSet;

/// A drive that is over, while the rover comes to rest.
#[derive(Clone, Debug)]
struct Ended {
    at: Option<Stamp>,
    outcome: Outcome,
}

/// The executive's state machine.
#[derive(Debug)]
pub struct Executive {
    config: Config,
    rover: Rover,
    bundle: Option<Bundle>,
    driven: BTreeSet<String>,
    heard: Heard,
    state: DriveState,
    reason: String,
    drive: Option<Drive>,
    ended: Option<Ended>,
    waypoint_index: usize,
    driven_m: f64,
    last_tick: Option<Stamp>,
    last_status: Option<(Stamp, Status)>,
}

impl Executive {
    /// In IDLE. `driven`: ids of bundles that were driven before, which are not driven again.
    #[must_use]
    pub fn new(config: Config, rover: Rover, driven: BTreeSet<String>) -> Self {
        Self {
            config,
            rover,
            bundle: None,
            driven,
            heard: Heard::default(),
            state: DriveState::Idle,
            reason: "no bundle".into(),
            drive: None,
            ended: None,
            waypoint_index: 0,
            driven_m: 0.0,
            last_tick: None,
            last_status: None,
        }
    }

    /// State of the drive.
    #[must_use]
    pub fn state(&self) -> DriveState {
        self.state
    }

    /// The accepted bundle.
    #[must_use]
    pub fn bundle(&self) -> Option<&Bundle> {
        self.bundle.as_ref()
    }

    /// Ids of all bundles whose drive has begun.
    #[must_use]
    pub fn driven(&self) -> &BTreeSet<String> {
        &self.driven
    }

    /// Accepts a bundle in place of an earlier one.
    ///
    /// # Errors
    /// [`MissionError::Refused`]: during a drive, for a bundle that was driven before, for a key that is not trusted, for
    /// a broken flight rule. The earlier bundle then stays.
    pub fn offer(&mut self, bundle: Bundle) -> Result<(), MissionError> {
        let refuse = |reason: String| {
            Err(MissionError::Refused {
                bundle_id: bundle.id().to_string(),
                reason,
            })
        };
        if self.is_busy() {
            return refuse("a drive is under way".into());
        }
        if self.was_driven(bundle.id()) {
            return refuse("it was driven before, and a bundle is driven once".into());
        }
        if let Err(e) = self
            .config
            .trust
            .check(bundle.approval(), self.rover.hardware)
        {
            return refuse(e.to_string());
        }
        rules::check(&bundle, &self.rover, &self.config.rules)?;
        self.reason = format!(
            "bundle {} accepted: {:.1} m, signed by {}, site {}",
            bundle.id(),
            bundle.plan().distance_m,
            bundle.approval().approval.signer,
            bundle
                .plan()
                .site_digest
                .chars()
                .take(16)
                .collect::<String>()
        );
        self.driven_m = 0.0;
        self.waypoint_index = 0;
        self.bundle = Some(bundle);
        self.state = DriveState::Ready;
        Ok(())
    }

    /// Gives an accepted bundle back that has not been driven, for instance because it could not be stored.
    pub fn withdraw(&mut self, reason: &str) {
        if self.state == DriveState::Ready {
            self.bundle = None;
            self.state = DriveState::Idle;
            self.reason = reason.to_string();
        }
    }

    /// Begins to drive the accepted bundle. The goal becomes active at a later tick, when everything is in order.
    ///
    /// # Errors
    /// [`MissionError::Refused`] when this bundle is not accepted, was driven before, or a drive is under way.
    pub fn execute(&mut self, bundle_id: &str) -> Result<(), MissionError> {
        let refuse = |reason: &str| {
            Err(MissionError::Refused {
                bundle_id: crate::keys::short(bundle_id),
                reason: reason.into(),
            })
        };
        if self.is_busy() {
            return refuse("a drive is under way");
        }
        let Some(bundle) = &self.bundle else {
            return refuse("no bundle has been accepted");
        };
        if bundle.id() != bundle_id {
            return refuse("it is not the accepted bundle");
        }
        if self.was_driven(bundle_id) {
            return refuse("it was driven before, and a bundle is driven once");
        }
        self.driven.insert(bundle_id.to_string());
        self.driven_m = 0.0;
        self.waypoint_index = 0;
        self.state = DriveState::Driving;
        self.reason = "waiting for pose and heartbeats".into();
        self.heard.forget_autonav();
        self.heard.take_way_m();
        self.heard.take_fault();
        self.drive = Some(Drive {
            ordered_at: None,
            armed: false,
            waypoint: 0,
            waypoint_since: Stamp::default(),
            best_to_go_m: f64::INFINITY,
            progress_at: Stamp::default(),
        });
        Ok(())
    }

    /// Ends a drive on the wish of whoever ordered it. Without a drive nothing happens.
    pub fn cancel(&mut self, reason: &str) {
        self.end(DriveState::Cancelled, reason.to_string());
    }

    /// Ends a drive because the executive cannot go on, for instance because it is told to shut down.
    pub fn abort(&mut self, reason: &str) {
        self.end(DriveState::Aborted, reason.to_string());
    }

    /// One tick: takes what was heard since the last, decides. `hold`: the simulator is warming up or stands still, so a
    /// drive that was ordered does not begin yet.
    pub fn tick(&mut self, now: Stamp, hold: bool, inputs: &[Input]) -> Decision {
        for input in inputs {
            self.heard.absorb(&self.config, input);
        }
        if self.drive.is_some() {
            if self.last_tick.is_some_and(|last| now < last) {
                self.abort("time ran backwards");
            } else {
                self.drive_on(now, hold);
            }
        } else {
            if self.ended.is_some() {
                // The way to rest belongs to the drive.
                self.driven_m += self.heard.take_way_m();
            }
            self.heard.take_way_m();
            self.heard.take_fault();
        }
        self.last_tick = Some(now);
        let outcome = self.take_outcome(now);
        let status = self.status();
        Decision {
            goal: self.goal(),
            status_due: self.status_due(now, &status),
            status,
            health: self.health(),
            outcome,
        }
    }

    fn is_busy(&self) -> bool {
        self.drive.is_some() || self.ended.is_some()
    }

    fn was_driven(&self, bundle_id: &str) -> bool {
        !self.config.allow_replay && self.driven.contains(bundle_id)
    }

    fn end(&mut self, state: DriveState, reason: String) {
        if self.drive.take().is_none() {
            return;
        }
        let goal_error_estimate_m = self.to_goal_m();
        self.state = state;
        self.reason.clone_from(&reason);
        self.ended = Some(Ended {
            at: None,
            outcome: Outcome {
                state,
                bundle_id: self
                    .bundle
                    .as_ref()
                    .map(|b| b.id().to_string())
                    .unwrap_or_default(),
                reason,
                distance_driven_m: self.driven_m,
                goal_error_estimate_m,
            },
        });
    }

    fn take_outcome(&mut self, now: Stamp) -> Option<Outcome> {
        let ended = self.ended.as_mut()?;
        let at = *ended.at.get_or_insert(now);
        let rested_s = now.since(at);
        // Time that ran backwards ends the rest too: it must not last for ever.
        if rested_s < 0.0 || rested_s >= self.config.rest_s {
            let mut outcome = self.ended.take()?.outcome;
            outcome.distance_driven_m = self.driven_m;
            return Some(outcome);
        }
        None
    }

    fn drive_on(&mut self, now: Stamp, hold: bool) {
        self.driven_m += self.heard.take_way_m();
        let fault = self.heard.take_fault();
        let missing = self.heard.missing(&self.config, now);
        let (Some(drive), Some(bundle)) = (&mut self.drive, &self.bundle) else {
            return;
        };
        if hold && !drive.armed {
            self.driven_m = 0.0;
            return;
        }
        let ordered_at = *drive.ordered_at.get_or_insert(now);
        if !drive.armed {
            // Poses heard before the start do not count as driven.
            self.driven_m = 0.0;
            if let Some(missing) = missing {
                self.reason = format!("waiting to start: {missing}");
                if now.since(ordered_at) > self.config.start_timeout_s {
                    let reason = format!(
                        "cannot start: {missing} within {:.1} s",
                        self.config.start_timeout_s
                    );
                    self.end(DriveState::Stopped, reason);
                }
                return;
            }
            let Some(pose_in_map) = self.heard.pose_in_map() else {
                return;
            };
            let start = &bundle.plan().start;
            let off_m = distance_m([start.x_m, start.y_m], [pose_in_map.x_m, pose_in_map.y_m]);
            if !(off_m <= self.config.start_tolerance_m) {
                let reason = format!(
                    "cannot start: the rover is {off_m:.2} m from the plan's start, at most {:.2} m are allowed",
                    self.config.start_tolerance_m
                );
                self.end(DriveState::Stopped, reason);
                return;
            }
            drive.armed = true;
            drive.waypoint_since = now;
            drive.progress_at = now;
        } else if let Some(reason) = fault.or(missing) {
            self.end(DriveState::Stopped, reason);
            return;
        }
        let Some(pose_in_map) = self.heard.pose_in_map() else {
            return;
        };
        let step = step(
            &self.config,
            bundle.plan(),
            drive,
            &self.heard,
            pose_in_map,
            now,
        );
        self.waypoint_index = drive.waypoint;
        match step {
            Step::Go(reason) => self.reason = reason,
            Step::End(state, reason) => self.end(state, reason),
        }
    }

    fn to_goal_m(&self) -> f64 {
        let Some(bundle) = &self.bundle else {
            return 0.0;
        };
        let plan = bundle.plan();
        let at = self
            .heard
            .pose_in_map()
            .map_or([plan.start.x_m, plan.start.y_m], |p| [p.x_m, p.y_m]);
        distance_m(at, [plan.goal.x_m, plan.goal.y_m])
    }

    fn goal(&self) -> GoalOut {
        let bundle_id = self
            .bundle
            .as_ref()
            .map(|b| b.id().to_string())
            .unwrap_or_default();
        let inactive = |bundle_id, index| GoalOut {
            bundle_id,
            waypoint_index: index,
            reason: self.reason.clone(),
            ..GoalOut::default()
        };
        let (Some(drive), Some(bundle)) = (&self.drive, &self.bundle) else {
            return inactive(bundle_id, self.waypoint_index);
        };
        let waypoints = &bundle.plan().waypoints;
        let (true, Some(waypoint)) = (drive.armed, waypoints.get(drive.waypoint)) else {
            return inactive(bundle_id, drive.waypoint);
        };
        let mut waypoint = waypoint.clone();
        waypoint.tolerance_m = rules::usable_tolerance_m(bundle.plan(), drive.waypoint);
        let next_corridor = waypoints
            .get(drive.waypoint + 1)
            .map(|w| w.corridor.clone())
            .unwrap_or_default();
        let reach_m = self.rover.footprint_radius_m();
        let used = bounds(waypoint.corridor.iter().chain(&next_corridor));
        let near = |polygon: &&Vec<Xy>| match (used, bounds(*polygon)) {
            (Some([low, high]), Some([from, to])) => {
                (0..2).all(|i| from[i] <= high[i] + reach_m && to[i] >= low[i] - reach_m)
            }
            _ => false,
        };
        GoalOut {
            bundle_id,
            active: true,
            waypoint_index: drive.waypoint,
            waypoint: Some(waypoint),
            keep_out: bundle
                .plan()
                .keep_out
                .iter()
                .filter(near)
                .cloned()
                .collect(),
            next_corridor,
            reason: self.reason.clone(),
        }
    }

    fn status(&self) -> Status {
        let plan = self.bundle.as_ref().map(Bundle::plan);
        Status {
            state: self.state,
            bundle_id: self
                .bundle
                .as_ref()
                .map(|b| b.id().to_string())
                .unwrap_or_default(),
            waypoint_index: self.waypoint_index,
            waypoint_count: plan.map_or(0, |p| p.waypoints.len()),
            distance_planned_m: plan.map_or(0.0, |p| p.distance_m),
            distance_driven_m: self.driven_m,
            distance_to_goal_m: self.to_goal_m(),
            reason: self.reason.clone(),
        }
    }

    fn status_due(&mut self, now: Stamp, status: &Status) -> bool {
        let due = self.last_status.as_ref().is_none_or(|(at, last)| {
            let age_s = now.since(*at);
            age_s < 0.0
                || age_s >= self.config.status_period_s
                || last.state != status.state
                || last.bundle_id != status.bundle_id
                || last.waypoint_index != status.waypoint_index
        });
        if due {
            self.last_status = Some((now, status.clone()));
        }
        due
    }

    /// State for the heartbeat: ACTIVE from the order to drive until the rover has come to rest.
    #[must_use]
    pub fn health(&self) -> Health {
        if self.is_busy() {
            return Health {
                reason: self.reason.clone(),
                ..Health::ok(NodeState::Active)
            };
        }
        match self.state {
            DriveState::Stopped | DriveState::Aborted => {
                Health::warn(NodeState::Idle, self.reason.clone())
            }
            _ => Health {
                reason: self.reason.clone(),
                ..Health::ok(NodeState::Idle)
            },
        }
    }
}

#[cfg(test)]
mod tests;
