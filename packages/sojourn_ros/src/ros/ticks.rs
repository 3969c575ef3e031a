//! Ticks: where they come from, the roll call before the first one, and the heartbeat that answers each.

use crate::inbox::Announced;
use crate::params::ParamValue;
use crate::ros::kit::{NodeKit, drain, resolve};
use crate::ros::meta::{stamp_from_msg, stamp_to_msg};
use crate::ros::publisher::subscription_qos;
use crate::ros::run::{Pending, guard};
use crate::{KitError, ParamError};
use r2r::sojourn_msgs::msg::{Heartbeat, Tick as TickMsg};
use sojourn_core::Stamp;
use sojourn_core::health::{Health, HealthLevel, NodeState};
use sojourn_core::topics;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Roll calls are answered at most this often.
const ROLL_CALL_EVERY: Duration = Duration::from_millis(40);

/// Where a node's ticks come from: the parameter `tick.mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TickMode {
    /// `sim`: the simulator's topic `sim_tick`.
    Sim,
    /// `wall`: a timer in the node's own time (`/clock` with `use_sim_time`, else the wall clock).
    Wall,
    /// `server`: this node is the simulator.
    Server,
}

impl<I: Send + 'static> NodeKit<I> {
    /// Takes the ticks and the roll calls of the simulator.
    pub(super) fn follow_ticks(&mut self) -> Result<(), KitError> {
        let topic = topics::SIM_TICK;
        let resolved = resolve(&self.namespace, topic.name);
        let mut stream = self
            .node
            .subscribe::<TickMsg>(topic.name, subscription_qos(topic.qos))
            .map_err(|e| KitError::ros("subscribe to", &resolved, &e))?;
        let shared = self.shared.clone();
        let probes = std::mem::take(&mut self.probes);
        let heartbeats = self.heartbeat.clone();
        let mut subscriptions: Vec<String> = guard(&shared.state)
            .inbox
            .topics()
            .map(str::to_string)
            .collect();
        subscriptions.push(resolved);
        let mut answered: Option<Instant> = None;
        self.drainers.push(Box::new(move || {
            drain(&mut stream, |tick: TickMsg| {
                if tick.tick > 0 {
                    shared.on_tick(pending_from(tick));
                    return;
                }
                if answered.is_some_and(|at| at.elapsed() < ROLL_CALL_EVERY)
                    || !(tick.participants.is_empty() || tick.participants.contains(&shared.name))
                {
                    return;
                }
                answered = Some(Instant::now());
                let mut answer = heartbeat(
                    &shared.name,
                    stamp_from_msg(&tick.stamp),
                    0,
                    &Health::default(),
                    &shared.counts.snapshot(),
                );
                let wanted: BTreeMap<&String, &u64> =
                    tick.topics.iter().zip(&tick.counts).collect();
                answer.ready = !wanted.is_empty()
                    && probes.iter().all(|(topic, found)| {
                        wanted.get(topic).is_none_or(|n| found() as u64 >= **n)
                    });
                answer.subscriptions.clone_from(&subscriptions);
                if let Err(e) = heartbeats.publish(&answer) {
                    tracing::debug!("cannot answer the roll call: {e}");
                }
            });
        }));
        Ok(())
    }
}

fn pending_from(tick: TickMsg) -> Pending {
    Pending {
        stamp: stamp_from_msg(&tick.stamp),
        tick: tick.tick,
        lockstep: tick.lockstep,
        hold: tick.hold,
        announced: tick.topics.into_iter().zip(tick.counts).collect(),
    }
}

/// Mode and period from the parameters `tick.mode` and `tick.period_s`.
pub(super) fn tick_parameters(
    node: &str,
    values: &BTreeMap<String, ParamValue>,
) -> Result<(TickMode, Duration), KitError> {
    let bad = |what: &str| KitError::from(ParamError(format!("node {node}: {what}")));
    let mode = match values.get("tick.mode") {
        Some(ParamValue::String(mode)) => match mode.as_str() {
            "sim" => TickMode::Sim,
            "wall" => TickMode::Wall,
            "server" => TickMode::Server,
            other => {
                return Err(bad(&format!(
                    "parameter `tick.mode` is {other:?}, expected sim, wall or server"
                )));
            }
        },
        Some(_) => return Err(bad("parameter `tick.mode` must be a string")),
        None => {
            return Err(bad(
                "parameter `tick.mode` is missing (is --params-file given, with a section of this name?)",
            ));
        }
    };
    let period_s = match values.get("tick.period_s") {
        Some(ParamValue::Double(v)) => *v,
        Some(ParamValue::Integer(v)) => *v as f64,
        Some(_) => return Err(bad("parameter `tick.period_s` must be a number")),
        None => return Err(bad("parameter `tick.period_s` is missing")),
    };
    if !(0.001..=60.0).contains(&period_s) {
        return Err(bad(&format!(
            "parameter `tick.period_s` is {period_s}, expected 0.001 to 60 seconds"
        )));
    }
    let period = Duration::try_from_secs_f64(period_s)
        .map_err(|e| bad(&format!("parameter `tick.period_s`: {e}")))?;
    Ok((mode, period))
}

/// A heartbeat message.
pub(crate) fn heartbeat(
    node: &str,
    stamp: Stamp,
    tick: u64,
    health: &Health,
    counts: &Announced,
) -> Heartbeat {
    Heartbeat {
        header: r2r::std_msgs::msg::Header {
            stamp: stamp_to_msg(stamp),
            frame_id: String::new(),
        },
        node: node.to_string(),
        state: match health.state {
            NodeState::Starting => 0,
            NodeState::Idle => 1,
            NodeState::Active => 2,
            NodeState::Fault => 3,
        },
        health: match health.level {
            HealthLevel::Ok => 0,
            HealthLevel::Warn => 1,
            HealthLevel::Error => 2,
        },
        reason: health.reason.clone(),
        tick,
        topics: counts.keys().cloned().collect(),
        counts: counts.values().copied().collect(),
        subscriptions: Vec::new(),
        ready: false,
    }
}
