//! The node `executive`: a shell around [`sojourn_mission::executive`].

mod msgs;
mod store;

use futures::{Stream, StreamExt};
use r2r::sojourn_msgs::action::ExecuteDrive;
use r2r::sojourn_msgs::msg::{DriveGoal, DriveStatus};
use r2r::sojourn_msgs::srv::UplinkBundle;
use sojourn_core::rover::Rover;
use sojourn_core::{Stamp, topics};
use sojourn_mission::Bundle;
use sojourn_mission::executive::{Config, DriveState, Executive, GoalOut, Input, Outcome, Params};
use sojourn_ros::{Event, NodeKit, Publisher, answer, run_node};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use store::Store;

fn main() -> ExitCode {
    run_node("executive", executive)
}

type Goal = r2r::ActionServerGoal<ExecuteDrive::Action>;
type Cancels = Box<dyn Stream<Item = r2r::ActionServerCancelRequest> + Unpin>;

/// The action under way.
struct Running {
    goal: Goal,
    cancels: Cancels,
    cancelling: bool,
}

impl Running {
    fn finish(mut self, outcome: &Outcome) -> r2r::Result<()> {
        let result = msgs::result(outcome);
        // Once a cancellation is accepted ROS knows no other end, whatever became of the drive meanwhile: the result says it.
        if self.cancelling {
            self.goal.cancel(result)
        } else if outcome.state == DriveState::Reached {
            self.goal.succeed(result)
        } else {
            self.goal.abort(result)
        }
    }
}

async fn executive(mut kit: NodeKit<Input>) -> anyhow::Result<()> {
    let params: Params = kit.params()?;
    let config = Config::try_from(&params)?;
    let rover = Rover::load(Path::new(&params.rover_file))?;
    let store = Store::open(&params.bundle_dir)?;
    let mut core = Executive::new(config, rover, store.driven()?);
    if !params.bundle.is_empty() {
        let bundle = Bundle::read(Path::new(&params.bundle))?;
        tracing::info!("bundle {} read from {}", bundle.id(), params.bundle);
        core.offer(bundle)?;
    }

    kit.subscribe(&topics::ODOMETRY, msgs::odometry)?;
    kit.subscribe(&topics::MAP_FROM_ODOM, msgs::map_from_odom)?;
    kit.subscribe(&topics::AUTONAV_STATUS, msgs::autonav)?;
    kit.subscribe(&topics::HEARTBEAT, msgs::heartbeat)?;
    let goals_out = kit.publisher::<DriveGoal>(&topics::DRIVE_GOAL)?;
    let status_out = kit.publisher::<DriveStatus>(&topics::DRIVE_STATUS)?;
    let qos = r2r::QosProfile::services_default();
    let mut uplinks = kit
        .node()
        .create_service::<UplinkBundle::Service>(topics::UPLINK_BUNDLE.name, qos)?;
    let mut requests = kit
        .node()
        .create_action_server::<ExecuteDrive::Action>(topics::EXECUTE_DRIVE.name)?;
    let (last, newest) = (goals_out.clone(), Arc::new(AtomicI64::new(0)));
    let newest_tick = newest.clone();
    kit.on_stop(move || say_stop(&last, Stamp(newest_tick.load(Ordering::SeqCst))));

    let mut node = kit.run()?;
    let mut running: Option<Running> = None;
    loop {
        let event = tokio::select! {
            biased;
            cancel = next_cancel(&mut running) => {
                tracing::info!("asked to cancel the drive");
                core.cancel("cancelled by whoever ordered the drive");
                cancel.accept();
                continue;
            }
            event = node.next() => event?,
            Some(request) = uplinks.next() => {
                let (accepted, message) = uplink(&mut core, &store, &request.message);
                tracing::info!("{message}");
                answer(request, UplinkBundle::Response { accepted, message });
                continue;
            }
            Some(request) = requests.next() => {
                match order(&mut core, &store, &request.goal.bundle_id) {
                    Ok(()) => {
                        let (goal, cancels) = request.accept()?;
                        running = Some(Running { goal, cancels: Box::new(cancels), cancelling: false });
                        // The simulator holds time until it hears this.
                        node.announce(core.health())?;
                    }
                    Err(e) => refuse(request, &e)?,
                }
                continue;
            }
        };
        match event {
            Event::Tick(tick) => {
                newest.store(tick.now.0, Ordering::SeqCst);
                let decision = core.tick(tick.now, tick.hold, &tick.inputs);
                goals_out.publish(&msgs::drive_goal(tick.now, &decision.goal))?;
                if decision.status_due {
                    let status = msgs::drive_status(tick.now, &decision.status);
                    status_out.publish(&status)?;
                    if let Some(running) = &running {
                        running
                            .goal
                            .publish_feedback(ExecuteDrive::Feedback { status })?;
                    }
                }
                if let Some(outcome) = &decision.outcome {
                    tracing::info!(
                        "drive of bundle {} over: {}: {}",
                        outcome.bundle_id,
                        outcome.state.name(),
                        outcome.reason
                    );
                    if let Some(running) = running.take() {
                        running.finish(outcome)?;
                    }
                }
                node.diagnostic("drive_state", decision.status.state.name());
                node.diagnostic(
                    "distance_driven_m",
                    format!("{:.2}", decision.status.distance_driven_m),
                );
                node.diagnostic("bundles_driven", core.driven().len());
                node.done(decision.health)?;
            }
            Event::ParametersChanged => {}
            Event::Stop => {
                shut_down(&mut core, running, node.now(), &goals_out, &status_out);
                return Ok(());
            }
        }
    }
}

// Never ready while nothing is under way.
async fn next_cancel(running: &mut Option<Running>) -> r2r::ActionServerCancelRequest {
    match running {
        Some(running) => match running.cancels.next().await {
            Some(cancel) => {
                running.cancelling = true;
                cancel
            }
            None => futures::future::pending().await,
        },
        None => futures::future::pending().await,
    }
}

fn say_stop(goals_out: &Publisher<DriveGoal>, now: Stamp) {
    let goal = GoalOut {
        reason: "the executive has ended".into(),
        ..GoalOut::default()
    };
    if let Err(e) = goals_out.publish(&msgs::drive_goal(now, &goal)) {
        tracing::error!("{e}");
    }
}

fn uplink(core: &mut Executive, store: &Store, request: &UplinkBundle::Request) -> (bool, String) {
    let mut answer = || -> anyhow::Result<String> {
        if request.file_names.len() != request.contents.len() {
            anyhow::bail!(
                "uplink refused: {} file names came with {} contents",
                request.file_names.len(),
                request.contents.len()
            );
        }
        let mut files = BTreeMap::new();
        for (name, content) in request.file_names.iter().zip(&request.contents) {
            if files
                .insert(name.clone(), content.clone().into_bytes())
                .is_some()
            {
                anyhow::bail!("uplink refused: a file name came twice");
            }
        }
        let bundle = Bundle::from_files(files)?;
        let id = bundle.id().to_string();
        if id != request.bundle_id {
            anyhow::bail!(
                "uplink refused: the files are those of bundle {id}, not of the one that was announced"
            );
        }
        let summary = format!("bundle {id} accepted: {:.1} m", bundle.plan().distance_m);
        core.offer(bundle.clone())?;
        if let Err(e) = store.keep(&bundle) {
            core.withdraw("the bundle could not be stored");
            anyhow::bail!("bundle {id} refused: it could not be stored: {e}");
        }
        Ok(summary)
    };
    match answer() {
        Ok(message) => (true, message),
        Err(e) => (false, e.to_string()),
    }
}

fn order(core: &mut Executive, store: &Store, bundle_id: &str) -> anyhow::Result<()> {
    core.execute(bundle_id)?;
    // A bundle is driven once, also over a restart: what cannot be written down is not driven.
    if let Err(e) = store.save_driven(core.driven()) {
        core.abort("it could not be written down that the bundle is driven");
        return Err(e);
    }
    Ok(())
}

/// Refuses an order to drive so that its sender learns why: a rejected goal of a ROS action carries no words, so the goal
/// is taken and ended at once. The state in the result is IDLE: there was no drive.
fn refuse(
    request: r2r::ActionServerGoalRequest<ExecuteDrive::Action>,
    why: &anyhow::Error,
) -> r2r::Result<()> {
    tracing::warn!("{why:#}");
    let bundle_id = request.goal.bundle_id.clone();
    let (mut goal, _cancels) = request.accept()?;
    goal.abort(msgs::result(&Outcome {
        state: DriveState::Idle,
        bundle_id,
        reason: format!("{why:#}"),
        distance_driven_m: 0.0,
        goal_error_estimate_m: f64::NAN,
    }))
}

fn shut_down(
    core: &mut Executive,
    running: Option<Running>,
    now: Stamp,
    goals_out: &Publisher<DriveGoal>,
    status_out: &Publisher<DriveStatus>,
) {
    core.abort("the executive was told to shut down");
    let decision = core.tick(now, false, &[]);
    let said = goals_out
        .publish(&msgs::drive_goal(now, &decision.goal))
        .and_then(|()| status_out.publish(&msgs::drive_status(now, &decision.status)));
    if let Err(e) = said {
        tracing::error!("{e}");
    }
    if let Some(running) = running {
        let outcome = Outcome {
            state: decision.status.state,
            bundle_id: decision.status.bundle_id,
            reason: decision.status.reason,
            distance_driven_m: decision.status.distance_driven_m,
            goal_error_estimate_m: decision.status.distance_to_goal_m,
        };
        if let Err(e) = running.finish(&outcome) {
            tracing::error!("cannot send the drive's result: {e}");
        }
    }
}
