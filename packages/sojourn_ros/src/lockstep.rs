//! The simulator's side of the ticks: who takes part, who is done, when the next tick goes out. Pure: told the wall time.

use crate::inbox::Announced;
use sojourn_core::Stamp;
use sojourn_core::health::NodeState;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How often a roll call is repeated, wall time.
const ROLL_CALL_EVERY: Duration = Duration::from_millis(50);
/// How long everybody must have been ready before the first tick, wall time. Somebody outside who listens too looks like
/// a participant's subscriber; within this time the participants have found each other.
const SETTLE: Duration = Duration::from_millis(250);

/// How the simulator keeps time.
#[derive(Clone, Debug, PartialEq)]
pub struct ClockConfig {
    /// Nodes that must answer every tick, by name without namespace.
    pub participants: Vec<String>,
    /// True: wait for every participant at every tick. False: run free.
    pub lockstep: bool,
    /// Length of a tick, simulated.
    pub period: Duration,
    /// Stamp of the first tick; never 0.
    pub start: Stamp,
    /// Simulated seconds per wall second at most; `None` is as fast as possible (lockstep only).
    pub factor: Option<f64>,
    /// Node whose being ACTIVE lets time go on (lockstep only).
    pub hold_until_active: Option<String>,
    /// The tick after which time first stands still for that node.
    pub hold_at_tick: u64,
    /// Longest wall time to wait for a participant's heartbeat.
    pub heartbeat_limit: Duration,
    /// Longest wall time for the roll call.
    pub roll_call_limit: Duration,
}

/// What a heartbeat says, as far as the clock needs it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Beat {
    /// Node.
    pub node: String,
    /// Tick it answers; 0 between ticks and at the roll call.
    pub tick: u64,
    /// What the node does.
    pub state: NodeState,
    /// Messages published so far, per topic.
    pub counts: Announced,
    /// Roll call: topics the node takes inputs from.
    pub subscriptions: Vec<String>,
    /// Roll call: all that the node publishes has found its subscribers.
    pub ready: bool,
}

/// A tick to publish.
#[derive(Clone, Debug, PartialEq)]
pub struct TickOut {
    /// Simulated time.
    pub stamp: Stamp,
    /// Number; 0 is a roll call.
    pub tick: u64,
    /// Whether heartbeats are waited for.
    pub lockstep: bool,
    /// Whether the score stands still.
    pub hold: bool,
    /// See `sojourn_msgs/msg/Tick`.
    pub counts: Announced,
}

/// What the clock wants next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Publish this tick now.
    Send(TickOut),
    /// Nothing to do before a heartbeat comes or this wall time has passed.
    Wait(Duration),
    /// It cannot go on; the sentence says why and names the node.
    Fail(String),
}

/// The clock of a simulated run.
#[derive(Debug)]
pub struct LockstepServer {
    config: ClockConfig,
    own_name: String,
    own_subscriptions: Vec<String>,
    own_topics: BTreeSet<String>,
    own_ready: bool,
    ready_since: Option<Duration>,
    heard: BTreeMap<String, Beat>,
    // Number and wall time of the newest tick; 0 during the roll call.
    tick: u64,
    sent_at: Option<Duration>,
    began_at: Option<Duration>,
    pace_from: Option<(u64, Duration)>,
    done: BTreeSet<String>,
    counts: BTreeMap<String, Announced>,
    active: bool,
    holding: bool,
    heartbeat_topic: String,
}

impl LockstepServer {
    /// `own_name`: the simulator; `heartbeat_topic`: resolved name of the one topic that all nodes publish on.
    #[must_use]
    pub fn new(config: ClockConfig, own_name: &str, heartbeat_topic: &str) -> Self {
        Self {
            config,
            own_name: own_name.to_string(),
            own_subscriptions: Vec::new(),
            own_topics: BTreeSet::new(),
            own_ready: false,
            ready_since: None,
            heard: BTreeMap::new(),
            tick: 0,
            sent_at: None,
            began_at: None,
            pace_from: None,
            done: BTreeSet::new(),
            counts: BTreeMap::new(),
            active: false,
            holding: false,
            heartbeat_topic: heartbeat_topic.to_string(),
        }
    }

    /// The configuration it runs by.
    #[must_use]
    pub fn config(&self) -> &ClockConfig {
        &self.config
    }

    /// What the simulator itself publishes and subscribes to.
    pub fn own_interfaces(
        &mut self,
        topics: impl IntoIterator<Item = String>,
        subscriptions: Vec<String>,
    ) {
        self.own_topics = topics.into_iter().collect();
        self.own_subscriptions = subscriptions;
    }

    /// Whether the simulator's own topics have found their subscribers.
    pub fn own_ready(&mut self, ready: bool) {
        self.own_ready = ready;
    }

    /// The simulator is done with its tick; `counts` is what it has published so far.
    pub fn own_done(&mut self, counts: Announced) {
        self.counts.insert(self.own_name.clone(), counts);
        self.done.insert(self.own_name.clone());
    }

    /// The longest wall time that anybody is waited for within a tick.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.config.heartbeat_limit
    }

    /// A heartbeat has arrived.
    pub fn on_beat(&mut self, beat: &Beat) {
        if self.config.hold_until_active.as_deref() == Some(beat.node.as_str()) {
            self.active = beat.state == NodeState::Active;
        }
        if !self.config.participants.contains(&beat.node) {
            return;
        }
        if self.tick == 0 {
            self.heard.insert(beat.node.clone(), beat.clone());
        } else if beat.tick == self.tick {
            self.counts.insert(beat.node.clone(), beat.counts.clone());
            self.done.insert(beat.node.clone());
        }
    }

    /// How many participants subscribe to each topic; empty until all have been heard.
    #[must_use]
    pub fn subscriber_counts(&self) -> Announced {
        let mut counts = Announced::new();
        if self
            .config
            .participants
            .iter()
            .any(|p| !self.heard.contains_key(p))
        {
            return counts;
        }
        let all = self
            .heard
            .values()
            .flat_map(|b| &b.subscriptions)
            .chain(&self.own_subscriptions);
        for topic in all {
            *counts.entry(topic.clone()).or_default() += 1;
        }
        counts
    }

    /// Participants that have not answered the newest tick, or the roll call.
    #[must_use]
    pub fn missing(&self) -> Vec<&str> {
        let absent = |p: &&String| {
            if self.tick == 0 {
                !self.heard.get(*p).is_some_and(|b| b.ready)
            } else {
                !self.done.contains(*p)
            }
        };
        self.config
            .participants
            .iter()
            .filter(absent)
            .map(String::as_str)
            .collect()
    }

    fn twice_published(&self) -> Option<String> {
        let mut owner: BTreeMap<&str, &str> = self
            .own_topics
            .iter()
            .map(|t| (t.as_str(), self.own_name.as_str()))
            .collect();
        for beat in self.heard.values() {
            for topic in beat.counts.keys().filter(|t| **t != self.heartbeat_topic) {
                if let Some(other) = owner.insert(topic, &beat.node) {
                    return Some(format!(
                        "topic {topic} is published by both {other} and {}; in lockstep each topic has one publisher",
                        beat.node
                    ));
                }
            }
        }
        None
    }

    /// What to do at this wall time.
    pub fn poll(&mut self, wall: Duration) -> Step {
        let began = *self.began_at.get_or_insert(wall);
        if self.tick == 0 {
            return self.poll_roll_call(wall, began);
        }
        let own_missing = !self.done.contains(&self.own_name);
        if self.config.lockstep {
            let waited = wall.saturating_sub(self.sent_at.unwrap_or(wall));
            if own_missing || !self.missing().is_empty() {
                if waited >= self.config.heartbeat_limit && !own_missing {
                    return Step::Fail(format!(
                        "no heartbeat for tick {} within {} s from: {}",
                        self.tick,
                        self.config.heartbeat_limit.as_secs_f64(),
                        self.missing().join(", ")
                    ));
                }
                return Step::Wait(
                    self.config
                        .heartbeat_limit
                        .saturating_sub(waited)
                        .max(Duration::from_millis(20)),
                );
            }
            if self.must_hold() {
                self.holding = true;
                self.pace_from = None;
                return Step::Wait(Duration::from_millis(200));
            }
            self.holding = false;
        } else if own_missing {
            return Step::Wait(Duration::from_millis(20));
        }
        if let Some(due) = self.due_at(wall)
            && wall < due
        {
            return Step::Wait(due - wall);
        }
        Step::Send(self.next_tick(wall))
    }

    fn must_hold(&self) -> bool {
        self.config.hold_until_active.is_some()
            && !self.active
            && self.tick >= self.config.hold_at_tick.max(1)
    }

    /// Whether time stands still for want of an ACTIVE executive.
    #[must_use]
    pub fn holding(&self) -> bool {
        self.holding
    }

    fn poll_roll_call(&mut self, wall: Duration, began: Duration) -> Step {
        if let Some(why) = self.twice_published() {
            return Step::Fail(why);
        }
        let missing = self.missing();
        let settled = if missing.is_empty() && self.own_ready {
            wall.saturating_sub(*self.ready_since.get_or_insert(wall)) >= SETTLE
        } else {
            self.ready_since = None;
            false
        };
        let missing = self.missing();
        if settled {
            // Every counted topic is announced from the first tick on, if only with 0: what is not announced is taken
            // as it comes.
            let own = self.own_topics.iter().map(|t| (t.clone(), 0)).collect();
            self.counts = self
                .heard
                .values()
                .map(|b| (b.node.clone(), b.counts.clone()))
                .collect();
            self.counts.insert(self.own_name.clone(), own);
            return Step::Send(self.next_tick(wall));
        }
        if self.ready_since.is_none() && wall.saturating_sub(began) >= self.config.roll_call_limit {
            let who = if missing.is_empty() {
                vec![self.own_name.as_str()]
            } else {
                missing
            };
            let (absent, unready): (Vec<&str>, Vec<&str>) = who
                .iter()
                .copied()
                .partition(|p| *p != self.own_name && !self.heard.contains_key(*p));
            return Step::Fail(format!(
                "roll call failed after {} s; not heard: [{}], heard but not connected with all others: [{}]",
                self.config.roll_call_limit.as_secs_f64(),
                absent.join(", "),
                unready.join(", ")
            ));
        }
        if let Some(at) = self.sent_at
            && wall < at + ROLL_CALL_EVERY
        {
            return Step::Wait(at + ROLL_CALL_EVERY - wall);
        }
        self.sent_at = Some(wall);
        Step::Send(TickOut {
            stamp: self.config.start,
            tick: 0,
            lockstep: self.config.lockstep,
            hold: true,
            counts: self.subscriber_counts(),
        })
    }

    fn due_at(&mut self, wall: Duration) -> Option<Duration> {
        let factor = self.config.factor?;
        let (from_tick, from_wall) = *self
            .pace_from
            .get_or_insert((self.tick, self.sent_at.unwrap_or(wall)));
        let ticks = (self.tick + 1).saturating_sub(from_tick) as f64;
        let due = from_wall
            + Duration::try_from_secs_f64(self.config.period.as_secs_f64() * ticks / factor)
                .ok()?;
        if wall > due + self.config.period {
            // Late: go on from here instead of catching up in a burst.
            self.pace_from = Some((self.tick + 1, wall));
        }
        Some(due)
    }

    fn next_tick(&mut self, wall: Duration) -> TickOut {
        self.tick += 1;
        self.sent_at = Some(wall);
        self.done.clear();
        let mut counts = Announced::new();
        if self.config.lockstep {
            for (topic, n) in self.counts.values().flatten() {
                *counts.entry(topic.clone()).or_default() += n;
            }
        }
        let elapsed_ns =
            (self.config.period.as_nanos() as i64).saturating_mul(self.tick as i64 - 1);
        TickOut {
            stamp: Stamp(self.config.start.0.saturating_add(elapsed_ns)),
            tick: self.tick,
            lockstep: self.config.lockstep,
            // Also while the executive is ACTIVE early: a drive begins right after this tick, however soon it was asked
            // for, so that two runs begin alike.
            hold: self.config.lockstep
                && self.config.hold_until_active.is_some()
                && (!self.active || self.tick <= self.config.hold_at_tick),
            counts,
        }
    }
}

#[cfg(test)]
mod tests;
