//! A node at work: ticks in, heartbeats out.

use crate::KitError;
use crate::Refused;
use crate::inbox::{Announced, Inbox};
use crate::lockstep::LockstepServer;
use crate::params::ParamValue;
use crate::ros::graph::GraphWatch;
use crate::ros::kit::{Complaints, resolve};
use crate::ros::logging;
use crate::ros::meta::header;
use crate::ros::param_services::Store;
use crate::ros::publisher::Counts;
use crate::ros::ticks::{TickMode, heartbeat};
use r2r::diagnostic_msgs::msg::{DiagnosticArray, DiagnosticStatus, KeyValue};
use r2r::sojourn_msgs::msg::Heartbeat;
use serde::de::DeserializeOwned;
use sojourn_core::Stamp;
use sojourn_core::health::Health;
use sojourn_core::topics;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

type Hook = Box<dyn FnOnce() + Send>;

/// How long the last messages get to leave before their publishers are gone.
const LINGER: Duration = Duration::from_millis(60);
/// Diagnostics are sent at least this often, node time.
const DIAGNOSTICS_EVERY_S: f64 = 1.0;
/// A node that waits longer than this for a tick's inputs says for which, wall time.
const COMPLAIN_AFTER: Duration = Duration::from_secs(3);

/// A tick that has been announced and not been taken yet.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub stamp: Stamp,
    pub tick: u64,
    pub lockstep: bool,
    pub hold: bool,
    pub announced: Announced,
}

pub(crate) struct State<I> {
    pub inbox: Inbox<I>,
    pub pending: Option<Pending>,
    pub skipped: u64,
    pub told: bool,
}

/// What the main loop, the spin thread and the services share.
pub(crate) struct Shared<I> {
    pub name: String,
    pub fully_qualified_name: String,
    pub namespace: String,
    pub params: Store,
    pub notify: Notify,
    pub state: Mutex<State<I>>,
    pub counts: Arc<Counts>,
    pub mode: TickMode,
    pub clock: Mutex<Option<LockstepServer>>,
    pub graph: GraphWatch,
    pub sim_time: AtomicBool,
    pub now_ns: AtomicI64,
    pub due_ns: AtomicI64,
    pub stop: AtomicBool,
    pub stop_spin: AtomicBool,
    pub running: AtomicBool,
    pub finished: AtomicBool,
    pub dead: Mutex<Option<String>>,
    pub hooks: Mutex<Vec<Hook>>,
}

pub(crate) fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<I> Shared<I> {
    pub fn now(&self) -> Stamp {
        match self.now_ns.load(Ordering::Relaxed) {
            0 => logging::wall_now(),
            ns => Stamp(ns),
        }
    }

    /// Whether a tick or `/clock` has told the time.
    pub fn time_has_begun(&self) -> bool {
        self.now_ns.load(Ordering::Relaxed) != 0
    }

    pub fn set_now(&self, now: Stamp) {
        self.now_ns.store(now.0, Ordering::Relaxed);
        logging::set_now(now);
    }

    /// Follows the parameter `use_sim_time`.
    pub fn apply_use_sim_time(&self) {
        let on = matches!(
            guard(&self.params).values().get("use_sim_time"),
            Some(ParamValue::Bool(true))
        );
        if self.sim_time.swap(on, Ordering::SeqCst) && !on && self.mode == TickMode::Wall {
            self.set_now(Stamp(0));
        }
    }

    /// `/clock` has spoken.
    pub fn on_clock(&self, now: Stamp) {
        if self.sim_time.load(Ordering::SeqCst) && self.mode == TickMode::Wall {
            self.set_now(now);
            if now.0 >= self.due_ns.load(Ordering::SeqCst) {
                self.notify.notify_one();
            }
        }
    }

    /// A tick has come.
    pub fn on_tick(&self, pending: Pending) {
        self.counts.open();
        self.set_now(pending.stamp);
        let mut state = guard(&self.state);
        if state.pending.replace(pending).is_some() {
            state.skipped += 1;
        }
        state.told = false;
    }

    /// Wakes the main loop when a tick's inputs are complete.
    pub fn after_spin(&self) {
        let mut state = guard(&self.state);
        if !state.told && state.is_due() {
            state.told = true;
            drop(state);
            self.notify.notify_one();
        }
    }

    /// A sentence about what the announced tick still lacks.
    pub fn missing_input(&self) -> Option<String> {
        let state = guard(&self.state);
        let pending = state.pending.as_ref().filter(|p| p.lockstep)?;
        let (topic, have, want) = state.inbox.missing(pending.tick, &pending.announced)?;
        Some(format!(
            "tick {}: {topic} has brought {have} of {want} messages",
            pending.tick
        ))
    }

    /// Runs what must be said before the node goes, once.
    pub fn run_hooks(&self) {
        let hooks = std::mem::take(&mut *guard(&self.hooks));
        let any = !hooks.is_empty();
        for hook in hooks {
            hook();
        }
        if any {
            std::thread::sleep(LINGER);
        }
    }
}

impl<I> State<I> {
    fn is_due(&self) -> bool {
        self.pending
            .as_ref()
            .is_some_and(|p| !p.lockstep || self.inbox.missing(p.tick, &p.announced).is_none())
    }
}

/// One tick's work.
#[derive(Debug)]
pub struct Tick<I> {
    /// The node's time, simulated or wall.
    pub now: Stamp,
    /// Number of the tick; 0 without a simulator.
    pub number: u64,
    /// Whether the simulator waits for this node.
    pub lockstep: bool,
    /// Whether the drive has not begun or is over.
    pub hold: bool,
    /// What has come since the last tick, in the order (stamp, topic, arrival).
    pub inputs: Vec<I>,
    /// Ticks that went by since the last one because this node was busy; always 0 in lockstep.
    pub skipped: u64,
}

/// What [`RunningNode::next`] brings.
#[derive(Debug)]
pub enum Event<I> {
    /// Take the inputs, step, publish, then call [`RunningNode::done`].
    Tick(Tick<I>),
    /// A settable parameter has a new value: see [`RunningNode::params`].
    ParametersChanged,
    /// SIGINT or SIGTERM: leave the loop and return.
    Stop,
}

/// What was said last in `/diagnostics`, and the counts for the next time.
#[derive(Default)]
struct Diagnostics {
    said: Option<(Health, Stamp)>,
    values: BTreeMap<String, String>,
    ticks: u64,
    busy: Duration,
    worst: Duration,
}

/// A node whose messages flow.
pub struct RunningNode<I: Send + 'static> {
    pub(crate) shared: Arc<Shared<I>>,
    pub(crate) heartbeat: r2r::Publisher<Heartbeat>,
    pub(crate) heartbeat_count: Arc<AtomicU64>,
    pub(crate) diagnostics: r2r::Publisher<DiagnosticArray>,
    pub(crate) spin: Option<JoinHandle<()>>,
    pub(crate) period: Duration,
    pub(crate) next_due: tokio::time::Instant,
    pub(crate) in_tick: Option<(Stamp, u64, Instant)>,
    pub(crate) health: Health,
    pub(crate) say: Say,
    /// What was said of messages refused for their stamp, by topic.
    pub(super) off_clock: BTreeMap<String, Complaints>,
}

/// Keeps the private state of the diagnostics out of the public struct's way.
#[derive(Default)]
pub(crate) struct Say(Diagnostics);

impl<I: Send + 'static> RunningNode<I> {
    /// Name of this node, without namespace.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The node's time: of the newest tick, of `/clock`, or of the wall.
    #[must_use]
    pub fn now(&self) -> Stamp {
        self.shared.now()
    }

    /// Waits for the next tick, parameter change or stop. Safe to use in `select!`: what is not returned is not lost.
    ///
    /// # Errors
    /// [`KitError::Spin`] when the receiving thread has died.
    pub async fn next(&mut self) -> Result<Event<I>, KitError> {
        loop {
            if let Some(event) = self.try_next()? {
                return Ok(event);
            }
            if self.shared.mode == TickMode::Wall && !self.shared.sim_time.load(Ordering::SeqCst) {
                tokio::select! {
                    () = self.shared.notify.notified() => {}
                    () = tokio::time::sleep_until(self.next_due) => {}
                }
            } else if tokio::time::timeout(COMPLAIN_AFTER, self.shared.notify.notified())
                .await
                .is_err()
                && let Some(what) = self.shared.missing_input()
            {
                tracing::warn!("{what}");
            }
        }
    }

    pub(crate) fn try_next(&mut self) -> Result<Option<Event<I>>, KitError> {
        if let Some(why) = guard(&self.shared.dead).clone() {
            return Err(KitError::Spin(why));
        }
        if self.shared.stop.load(Ordering::SeqCst) {
            return Ok(Some(Event::Stop));
        }
        // Forgetting to say done must not stop the whole simulation.
        if self.in_tick.is_some() {
            self.done(self.health.clone())?;
        }
        if guard(&self.shared.params).take_changed() {
            return Ok(Some(Event::ParametersChanged));
        }
        let tick = if self.shared.mode == TickMode::Wall {
            self.wall_tick()
        } else {
            self.sim_tick()
        };
        for (topic, why) in guard(&self.shared.state).inbox.off_clock() {
            let complaints = self.off_clock.entry(topic.clone()).or_default();
            complaints.say(&topic, &Refused(why));
        }
        if let Some(tick) = &tick {
            self.in_tick = Some((tick.now, tick.number, Instant::now()));
        }
        Ok(tick.map(Event::Tick))
    }

    fn sim_tick(&mut self) -> Option<Tick<I>> {
        let mut state = guard(&self.shared.state);
        if !state.is_due() {
            return None;
        }
        let pending = state.pending.take()?;
        let inputs = state.inbox.take(
            pending.tick,
            Some(pending.stamp),
            pending.lockstep.then_some(&pending.announced),
        );
        Some(Tick {
            now: pending.stamp,
            number: pending.tick,
            lockstep: pending.lockstep,
            hold: pending.hold,
            inputs,
            skipped: std::mem::take(&mut state.skipped),
        })
    }

    fn wall_tick(&mut self) -> Option<Tick<I>> {
        self.shared.counts.open();
        if self.shared.sim_time.load(Ordering::SeqCst) {
            let now = self.shared.now_ns.load(Ordering::SeqCst);
            let due = self.shared.due_ns.load(Ordering::SeqCst);
            // 0: no `/clock` yet, so there is no time.
            if now == 0 || now < due {
                return None;
            }
            let period = self.period.as_nanos() as i64;
            let next = if due == 0 || now >= due + period {
                now + period
            } else {
                due + period
            };
            self.shared.due_ns.store(next, Ordering::SeqCst);
        } else {
            let now = tokio::time::Instant::now();
            if now < self.next_due {
                return None;
            }
            self.next_due += self.period;
            if self.next_due < now {
                self.next_due = now + self.period;
            }
            logging::set_now(Stamp(0));
        }
        let now = self.shared.now();
        let inputs = guard(&self.shared.state).inbox.take(0, Some(now), None);
        Some(Tick {
            now,
            number: 0,
            lockstep: false,
            hold: false,
            inputs,
            skipped: 0,
        })
    }

    /// The node is done with the tick: sends the heartbeat with this health, and diagnostics when due.
    ///
    /// # Errors
    /// [`KitError::Ros`] when nothing can be sent any more.
    pub fn done(&mut self, health: Health) -> Result<(), KitError> {
        let (stamp, number, began) = self
            .in_tick
            .take()
            .unwrap_or((self.now(), 0, Instant::now()));
        self.health = health;
        self.say.0.ticks += 1;
        let busy = began.elapsed();
        self.say.0.busy += busy;
        self.say.0.worst = self.say.0.worst.max(busy);
        self.say_diagnostics(stamp);
        self.send_heartbeat(stamp, number)
    }

    /// Tells the new state at once, between ticks: for a node that starts or ends work at a request while the simulator
    /// holds time.
    ///
    /// # Errors
    /// [`KitError::Ros`] when nothing can be sent any more.
    pub fn announce(&mut self, health: Health) -> Result<(), KitError> {
        self.health = health;
        // Before the first tick of a simulator there is no time yet: a stamp of the wall clock would look like one from
        // the far future to nodes that live in simulated time.
        let stamp = match (self.shared.mode, self.shared.time_has_begun()) {
            (TickMode::Wall, _) | (_, true) => self.now(),
            _ => Stamp::default(),
        };
        self.send_heartbeat(stamp, 0)
    }

    fn send_heartbeat(&mut self, stamp: Stamp, number: u64) -> Result<(), KitError> {
        if number > 0 {
            self.heartbeat_count.fetch_add(1, Ordering::SeqCst);
        }
        let counts = if number > 0 {
            self.shared.counts.snapshot()
        } else {
            Announced::new()
        };
        let message = heartbeat(&self.shared.name, stamp, number, &self.health, &counts);
        if let Some(clock) = guard(&self.shared.clock).as_mut()
            && number > 0
        {
            clock.own_done(counts);
        }
        self.heartbeat
            .publish(&message)
            .map_err(|e| KitError::ros("publish on", "heartbeat", &e))
    }

    /// A value for `/diagnostics`, kept until it is replaced.
    pub fn diagnostic(&mut self, key: &str, value: impl std::fmt::Display) {
        self.say.0.values.insert(key.to_string(), value.to_string());
    }

    fn say_diagnostics(&mut self, stamp: Stamp) {
        let due = self.say.0.said.as_ref().is_none_or(|(health, at)| {
            (health.state, health.level, &health.reason)
                != (self.health.state, self.health.level, &self.health.reason)
                || stamp.since(*at) >= DIAGNOSTICS_EVERY_S - 1e-6
                || stamp < *at
        });
        if !due {
            return;
        }
        let mut values: Vec<KeyValue> = Vec::new();
        let mut add = |key: String, value: String| values.push(KeyValue { key, value });
        add("state".into(), format!("{:?}", self.health.state));
        for (key, value) in &self.say.0.values {
            add(key.clone(), value.clone());
        }
        let ticks = self.say.0.ticks.max(1);
        add(
            "step_mean_ms".into(),
            format!("{:.3}", self.say.0.busy.as_secs_f64() * 1e3 / ticks as f64),
        );
        add(
            "step_worst_ms".into(),
            format!("{:.3}", self.say.0.worst.as_secs_f64() * 1e3),
        );
        for (topic, n) in guard(&self.shared.state).inbox.counts() {
            add(format!("{topic} received"), n.received.to_string());
            if n.refused > 0 {
                add(format!("{topic} refused"), n.refused.to_string());
            }
            if n.dropped > 0 {
                add(format!("{topic} dropped"), n.dropped.to_string());
            }
        }
        let status = DiagnosticStatus {
            level: self.health.level as u8,
            name: self.shared.name.clone(),
            message: self.health.reason.clone(),
            hardware_id: String::new(),
            values,
        };
        let message = DiagnosticArray {
            header: header(stamp, ""),
            status: vec![status],
        };
        if let Err(e) = self.diagnostics.publish(&message) {
            tracing::debug!("cannot publish diagnostics: {e}");
        }
        self.say.0.said = Some((self.health.clone(), stamp));
        self.say.0.busy = Duration::ZERO;
        self.say.0.worst = Duration::ZERO;
        self.say.0.ticks = 0;
    }

    /// Fully qualified names of the publishers of a topic that [`crate::NodeKit::watch_publishers`] watches, sorted; a
    /// node that publishes it twice stands there twice. `None` while the ROS graph has not told. At most about 0.1 s old
    /// (wall time).
    #[must_use]
    pub fn publishers(&self, topic: &str) -> Option<Vec<String>> {
        self.shared
            .graph
            .publishers(&resolve(&self.shared.namespace, topic))
    }

    /// Names of all nodes in the ROS graph, without namespace; [`crate::NodeKit::watch_nodes`] has to have been called.
    #[must_use]
    pub fn nodes(&self) -> Vec<String> {
        let all = self.shared.graph.publishers(topics::ROSOUT);
        let mut names: Vec<String> = all
            .unwrap_or_default()
            .iter()
            .filter_map(|n| n.rsplit('/').next())
            // Names that begin like this belong to ROS itself, or the graph does not know them yet.
            .filter(|n| !n.is_empty() && !n.starts_with('_'))
            .map(str::to_string)
            .collect();
        names.dedup();
        names
    }

    /// What has come since the last tick: for a node that must not lose anything when it is told to stop.
    pub fn rest(&mut self) -> Vec<I> {
        guard(&self.shared.state).inbox.take(u64::MAX, None, None)
    }

    /// The parameters as they are now, for settable ones.
    ///
    /// # Errors
    /// As [`crate::NodeKit::params`].
    pub fn params<P: DeserializeOwned>(&self) -> Result<P, KitError> {
        Ok(crate::params::build(
            &self.shared.name,
            guard(&self.shared.params).values(),
        )?)
    }

    /// Ends the node: says what must be said last, then lets it go. Dropping the node does the same.
    pub fn finish(mut self) {
        self.shut_down();
    }

    fn shut_down(&mut self) {
        self.shared.finished.store(true, Ordering::SeqCst);
        self.shared.run_hooks();
        logging::connect(None);
        self.shared.stop_spin.store(true, Ordering::SeqCst);
        if let Some(spin) = self.spin.take()
            && spin.join().is_err()
        {
            tracing::error!("the receiving thread ended badly");
        }
    }
}

impl<I: Send + 'static> Drop for RunningNode<I> {
    fn drop(&mut self) {
        self.shut_down();
    }
}
