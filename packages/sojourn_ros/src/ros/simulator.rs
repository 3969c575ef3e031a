//! The simulator's side: it makes the ticks.

use crate::KitError;
use crate::lockstep::{Beat, ClockConfig, LockstepServer, Step, TickOut};
use crate::ros::kit::{NodeKit, drain};
use crate::ros::meta::stamp_to_msg;
use crate::ros::publisher::{Publisher, subscription_qos};
use crate::ros::run::{Event, Pending, RunningNode, guard};
use crate::ros::ticks::TickMode;
use r2r::rosgraph_msgs::msg::Clock;
use r2r::sojourn_msgs::msg::{Heartbeat, Tick as TickMsg};
use sojourn_core::health::{Health, NodeState};
use sojourn_core::topics;
use std::time::Instant;

/// A simulator at work. Use it as a [`RunningNode`]: `next`, step, publish, `done`.
pub struct Simulator<I: Send + 'static> {
    node: RunningNode<I>,
    ticks: Publisher<TickMsg>,
    clock: Publisher<Clock>,
    began: Instant,
    probes: Vec<(String, Box<dyn Fn() -> usize + Send>)>,
    called: bool,
}

impl<I: Send + 'static> NodeKit<I> {
    /// Lets messages flow, with this node as the maker of ticks. Needs `tick.mode: server`.
    ///
    /// # Errors
    /// [`KitError::Use`] when `tick.mode` is not `server` or the configuration cannot work.
    pub fn run_simulator(mut self, config: ClockConfig) -> Result<Simulator<I>, KitError> {
        if self.tick_mode() != TickMode::Server {
            return Err(KitError::Use(format!(
                "node {}: tick.mode must be `server`",
                self.name()
            )));
        }
        if !config.lockstep && config.factor.is_none() {
            return Err(KitError::Use(
                "running free needs a factor: how many times as fast as the wall clock".into(),
            ));
        }
        if config.start.0 <= 0 {
            return Err(KitError::Use("simulated time must start after 0".into()));
        }
        let ticks = self.publisher::<TickMsg>(&topics::SIM_TICK)?;
        let clock = self.publisher::<Clock>(&topics::CLOCK)?;
        let heartbeat_name = self.resolved(topics::HEARTBEAT.name);
        let mut server = LockstepServer::new(config, self.name(), &heartbeat_name);
        let mut subscriptions = guard(&self.shared.state)
            .inbox
            .topics()
            .map(str::to_string)
            .collect::<Vec<_>>();
        subscriptions.push(heartbeat_name.clone());
        let own = self
            .shared
            .counts
            .snapshot()
            .into_keys()
            .filter(|t| *t != heartbeat_name);
        server.own_interfaces(own, subscriptions);
        *guard(&self.shared.clock) = Some(server);

        let topic = topics::HEARTBEAT;
        let mut stream = self
            .node()
            .subscribe::<Heartbeat>(topic.name, subscription_qos(topic.qos).keep_last(400))
            .map_err(|e| KitError::ros("subscribe to", &heartbeat_name, &e))?;
        let shared = self.shared.clone();
        let own_name = self.name().to_string();
        self.drainer(Box::new(move || {
            let mut any = false;
            drain(&mut stream, |message: Heartbeat| {
                if message.node == own_name {
                    return;
                }
                if let Some(clock) = guard(&shared.clock).as_mut() {
                    clock.on_beat(&beat_from(message));
                    any |= clock.missing().is_empty();
                }
            });
            if any {
                shared.notify.notify_one();
            }
        }));
        let probes = std::mem::take(&mut self.probes);
        Ok(Simulator {
            node: self.into_running()?,
            ticks,
            clock,
            began: Instant::now(),
            probes,
            called: false,
        })
    }
}

fn beat_from(message: Heartbeat) -> Beat {
    Beat {
        state: match message.state {
            0 => NodeState::Starting,
            1 => NodeState::Idle,
            2 => NodeState::Active,
            _ => NodeState::Fault,
        },
        node: message.node,
        tick: message.tick,
        counts: message.topics.into_iter().zip(message.counts).collect(),
        subscriptions: message.subscriptions,
        ready: message.ready,
    }
}

impl<I: Send + 'static> Simulator<I> {
    /// The node behind it, for diagnostics, parameters and time.
    pub fn node(&mut self) -> &mut RunningNode<I> {
        &mut self.node
    }

    /// Whether time stands still for want of an ACTIVE executive.
    #[must_use]
    pub fn holding(&self) -> bool {
        guard(&self.node.shared.clock)
            .as_ref()
            .is_some_and(LockstepServer::holding)
    }

    /// Whether all participants have answered the roll call.
    #[must_use]
    pub fn called(&self) -> bool {
        self.called
    }

    /// Waits until everybody is done with the last tick, sends the next one, and returns it with the simulator's own
    /// inputs. Safe to use in `select!`.
    ///
    /// # Errors
    /// [`KitError::Clock`] naming the nodes that did not answer; [`KitError::Spin`] when the receiving thread has died.
    pub async fn next(&mut self) -> Result<Event<I>, KitError> {
        loop {
            if let Some(event) = self.node.try_next()? {
                return Ok(event);
            }
            let waits_for_inputs = guard(&self.node.shared.state).pending.is_some();
            let step = if waits_for_inputs { None } else { self.poll() };
            match step {
                Some(Step::Send(tick)) => self.send(tick)?,
                Some(Step::Fail(why)) => return Err(KitError::Clock(why)),
                Some(Step::Wait(time)) => {
                    tokio::select! {
                        () = self.node.shared.notify.notified() => {}
                        () = tokio::time::sleep(time) => {}
                    }
                }
                None => self.wait_for_inputs().await?,
            }
        }
    }

    async fn wait_for_inputs(&mut self) -> Result<(), KitError> {
        let patience = guard(&self.node.shared.clock)
            .as_ref()
            .map(LockstepServer::patience)
            .unwrap_or_default();
        let waiting = self.node.shared.notify.notified();
        if tokio::time::timeout(patience, waiting).await.is_ok() {
            return Ok(());
        }
        match self.node.shared.missing_input() {
            Some(what) => Err(KitError::Clock(format!(
                "the simulator waits in vain: {what}"
            ))),
            None => Ok(()),
        }
    }

    fn poll(&mut self) -> Option<Step> {
        let mut clock = guard(&self.node.shared.clock);
        let clock = clock.as_mut()?;
        if !self.called {
            let wanted = clock.subscriber_counts();
            let found = |(topic, found): &(String, Box<dyn Fn() -> usize + Send>)| {
                wanted.get(topic).is_none_or(|n| found() as u64 >= *n)
            };
            clock.own_ready(!wanted.is_empty() && self.probes.iter().all(found));
        }
        Some(clock.poll(self.began.elapsed()))
    }

    fn send(&mut self, tick: TickOut) -> Result<(), KitError> {
        let roll_call = tick.tick == 0;
        let participants = if roll_call {
            guard(&self.node.shared.clock)
                .as_ref()
                .map(|c| c.config().participants.clone())
                .unwrap_or_default()
        } else {
            Vec::new()
        };
        let message = TickMsg {
            stamp: stamp_to_msg(tick.stamp),
            tick: tick.tick,
            lockstep: tick.lockstep,
            hold: tick.hold,
            participants,
            topics: tick.counts.keys().cloned().collect(),
            counts: tick.counts.values().copied().collect(),
        };
        if roll_call {
            return self.ticks.publish_uncounted(&message);
        }
        if !self.called {
            self.called = true;
            tracing::info!("all participants are connected, time starts");
        }
        self.node.shared.on_tick(Pending {
            stamp: tick.stamp,
            tick: tick.tick,
            lockstep: tick.lockstep,
            hold: tick.hold,
            announced: tick.counts,
        });
        self.clock.publish(&Clock {
            clock: stamp_to_msg(tick.stamp),
        })?;
        self.ticks.publish(&message)
    }

    /// The simulator is done with the tick.
    ///
    /// # Errors
    /// [`KitError::Ros`] when nothing can be sent any more.
    pub fn done(&mut self, health: Health) -> Result<(), KitError> {
        self.node.done(health)
    }

    /// Ends the node.
    pub fn finish(self) {
        self.node.finish();
    }
}
