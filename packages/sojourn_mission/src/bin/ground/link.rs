//! Waiting with limits while the node lives on: ticks, signals, signatures that come unasked.

use crate::{End, failed, seconds};
use futures::{Stream, StreamExt};
use r2r::sojourn_msgs::srv::SubmitSignature;
use sojourn_core::conduct::Event;
use sojourn_core::health::{Health, NodeState};
use sojourn_ros::{RunningNode, answer};
use std::collections::BTreeSet;
use std::future::Future;
use tokio::time::Instant;

pub(crate) type Signature = r2r::ServiceRequest<SubmitSignature::Service>;
type Signatures = Box<dyn Stream<Item = Signature> + Unpin>;

/// How a wait ended.
pub(crate) enum Waited<T> {
    /// With what was waited for.
    Done(T),
    /// Without.
    TimedOut,
}

/// The ground hears no topic.
pub(crate) type Nothing = std::convert::Infallible;

/// The running node.
pub(crate) struct Link {
    node: RunningNode<Nothing>,
    signatures: Signatures,
    names: BTreeSet<String>,
}

enum Woken<T> {
    Event(sojourn_ros::Event<Nothing>),
    Signature(Signature),
    Done(T),
    TimedOut,
}

impl Link {
    pub(crate) fn new(node: RunningNode<Nothing>, signatures: Signatures) -> Self {
        Self {
            node,
            signatures,
            names: BTreeSet::new(),
        }
    }

    /// Ends the node.
    pub(crate) fn finish(&mut self) {
        if let Err(e) = self.node.done(Health::ok(NodeState::Idle)) {
            tracing::debug!("{e}");
        }
    }

    /// Nodes seen in the ROS graph so far.
    pub(crate) fn nodes(&self) -> Event {
        Event::Nodes {
            names: self.names.iter().cloned().collect(),
        }
    }

    /// Waits for something while the node lives on. Signatures that nobody asked for are refused.
    pub(crate) async fn wait<T>(
        &mut self,
        what: impl Future<Output = T>,
        until: Option<Instant>,
    ) -> Result<Waited<T>, End> {
        tokio::pin!(what);
        loop {
            match self.wake(&mut what, until).await? {
                Woken::Event(event) => self.live_on(event)?,
                Woken::Signature(request) => {
                    let message = "no plan waits for a signature".to_string();
                    let response = SubmitSignature::Response {
                        accepted: false,
                        message,
                        bundle_id: String::new(),
                    };
                    answer(request, response);
                }
                Woken::Done(done) => return Ok(Waited::Done(done)),
                Woken::TimedOut => return Ok(Waited::TimedOut),
            }
        }
    }

    /// Waits for a signature.
    pub(crate) async fn signature(
        &mut self,
        until: Option<Instant>,
    ) -> Result<Waited<Signature>, End> {
        loop {
            match self
                .wake(&mut Box::pin(futures::future::pending::<()>()), until)
                .await?
            {
                Woken::Event(event) => self.live_on(event)?,
                Woken::Signature(request) => return Ok(Waited::Done(request)),
                Woken::Done(()) | Woken::TimedOut => return Ok(Waited::TimedOut),
            }
        }
    }

    /// Waits for a service's answer.
    pub(crate) async fn ask<T>(
        &mut self,
        answer: impl Future<Output = r2r::Result<T>>,
        timeout_s: f64,
        who: &str,
    ) -> Result<T, End> {
        match self
            .wait(answer, Some(Instant::now() + seconds(timeout_s)))
            .await?
        {
            Waited::Done(answer) => answer.map_err(|e| failed(format!("{who} went away: {e}"))),
            Waited::TimedOut => Err(failed(format!("{who} did not answer within {timeout_s} s"))),
        }
    }

    async fn wake<T>(
        &mut self,
        what: &mut (impl Future<Output = T> + Unpin),
        until: Option<Instant>,
    ) -> Result<Woken<T>, End> {
        let limit = async {
            match until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => futures::future::pending().await,
            }
        };
        Ok(tokio::select! {
            biased;
            event = self.node.next() => Woken::Event(event?),
            Some(request) = self.signatures.next() => Woken::Signature(request),
            done = what => Woken::Done(done),
            () = limit => Woken::TimedOut,
        })
    }

    fn live_on(&mut self, event: sojourn_ros::Event<Nothing>) -> Result<(), End> {
        match event {
            sojourn_ros::Event::Tick(_) => {
                self.names.extend(self.node.nodes());
                self.node.done(Health::ok(NodeState::Active))?;
                Ok(())
            }
            sojourn_ros::Event::ParametersChanged => Ok(()),
            sojourn_ros::Event::Stop => Err(End::Signal),
        }
    }
}
