//! Node `planner`: the service `plan_route` over one site; the newest plan, its labels and its line on latched topics.
//! Shell of [`sojourn_planner::plan()`].

mod ground;
mod messages;
mod twin;

use anyhow::anyhow;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use ground::{Ground, Made};
use messages::{features_to_msg, path_to_msg, plan_to_msg};
use r2r::nav_msgs::msg::Path as PathMsg;
use r2r::sojourn_msgs::msg::{Plan as PlanMsg, TerrainFeatures};
use r2r::sojourn_msgs::srv::PlanRoute;
use sojourn_core::health::{Health, NodeState};
use sojourn_core::{Stamp, topics};
use sojourn_planner::NodeParams;
use sojourn_ros::{Event, NodeKit, Publisher, answer, run_node};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use twin::{Question, TwinLink};

fn main() -> ExitCode {
    run_node("planner", planner)
}

struct Publishers {
    plan: Publisher<PlanMsg>,
    features: Publisher<TerrainFeatures>,
    path: Publisher<PathMsg>,
}

async fn planner(mut kit: NodeKit<()>) -> anyhow::Result<()> {
    let params: NodeParams = kit.params()?;
    let ground = Arc::new(Ground::load(kit.name(), &params)?);
    // Only a plan that a model has its part in is sent back, so only then the twin is asked here.
    let link = match params.ask_twin && ground.asks_a_model() {
        true => Some(TwinLink::new(kit.node(), params.twin_timeout_s)?),
        false => None,
    };
    let (ask, mut questions) = tokio::sync::mpsc::unbounded_channel::<Question>();
    let ask = link.is_some().then_some(ask);
    let publishers = Publishers {
        plan: kit.publisher(&topics::PLAN)?,
        features: kit.publisher(&topics::TERRAIN_FEATURES)?,
        path: kit.publisher(&topics::PLAN_PATH)?,
    };
    let mut requests = kit.node().create_service::<PlanRoute::Service>(
        topics::PLAN_ROUTE.name,
        r2r::QosProfile::services_default(),
    )?;
    let mut node = kit.run()?;
    tracing::info!(
        "ready: site {}, rover {}, provider {}",
        ground.site.manifest.name,
        ground.rover.name,
        ground.provider_name()
    );
    let (mut plans, mut refused) = (0u64, 0u64);
    let mut last = Last::default();
    // Only one at a time: a second request waits for the first.
    let mut work: Option<Work> = None;
    let mut at_the_twin = FuturesUnordered::new();
    loop {
        let event = tokio::select! {
            event = node.next() => event?,
            Some(request) = requests.next(), if work.is_none() => {
                let ground = Arc::clone(&ground);
                let m = request.message.clone();
                let ask = ask.clone();
                let handle = tokio::task::spawn_blocking(move || {
                    let (start_m, goal_m) = ([m.start.x, m.start.y], [m.goal.x, m.goal.y]);
                    ground.answer(start_m, goal_m, &m.mission, ask.as_ref())
                });
                work = Some(Work { request, handle });
                continue;
            }
            Some(question) = questions.recv(), if link.is_some() => {
                if let Some(link) = &link {
                    at_the_twin.push(link.ask(question));
                }
                continue;
            }
            Some(()) = at_the_twin.next() => continue,
            result = finished(&mut work) => {
                let Some(done) = work.take() else { continue };
                let response = match result {
                    Ok(made) => {
                        plans += 1;
                        last = Last::of(&made);
                        let message = publishers.publish(node.now(), &made)?;
                        tracing::info!("{}", summary(&made));
                        PlanRoute::Response { success: true, message: summary(&made), plan: message }
                    }
                    Err(e) => {
                        refused += 1;
                        tracing::warn!("no plan: {e:#}");
                        PlanRoute::Response {
                            success: false,
                            message: format!("{e:#}"),
                            plan: PlanMsg::default(),
                        }
                    }
                };
                answer(done.request, response);
                continue;
            }
        };
        match event {
            Event::Tick(_) => {
                node.diagnostic("plans", plans);
                node.diagnostic("refused", refused);
                node.diagnostic("model_level", last.level);
                node.diagnostic("flags", last.flags);
                node.diagnostic("stale_layers", last.stale_layers);
                node.diagnostic("spent_usd", format!("{:.3}", last.spent_usd));
                node.diagnostic("conversation", &last.conversation);
                let state = if work.is_some() {
                    NodeState::Active
                } else {
                    NodeState::Idle
                };
                node.done(Health::ok(state))?;
            }
            Event::ParametersChanged => {}
            Event::Stop => {
                ground.stop.store(true, Ordering::Relaxed);
                return Ok(());
            }
        }
    }
}

/// What the diagnostics say of the last plan.
struct Last {
    /// How much of the protocol with a model is in it.
    level: &'static str,
    /// Things that a person should know before approving.
    flags: usize,
    /// Layers of the map that no longer hold.
    stale_layers: usize,
    spent_usd: f64,
    /// Folder of its conversation's record; empty where nobody was asked.
    conversation: String,
}

impl Default for Last {
    fn default() -> Self {
        Self {
            level: "no plan yet",
            flags: 0,
            stale_layers: 0,
            spent_usd: 0.0,
            conversation: String::new(),
        }
    }
}

impl Last {
    fn of(made: &Made) -> Self {
        let p = &made.outcome.plan;
        let layers = p.mission.iter().flat_map(|m| &m.layers);
        Self {
            level: p.model.level.map_or("no model asked", |l| l.name()),
            flags: p.model.flags.len(),
            stale_layers: layers.filter(|l| l.stale).count(),
            spent_usd: made.outcome.model.as_ref().map_or(0.0, |m| m.spent.usd),
            conversation: made
                .talk
                .as_ref()
                .map_or_else(String::new, |d| d.display().to_string()),
        }
    }
}

struct Work {
    request: r2r::ServiceRequest<PlanRoute::Service>,
    handle: tokio::task::JoinHandle<anyhow::Result<Made>>,
}

/// The result of the work under way; waits for ever when there is none.
async fn finished(work: &mut Option<Work>) -> anyhow::Result<Made> {
    match work {
        Some(w) => (&mut w.handle)
            .await
            .unwrap_or_else(|e| Err(anyhow!("the planner's work broke off: {e}"))),
        None => std::future::pending().await,
    }
}

fn summary(made: &Made) -> String {
    let p = &made.outcome.plan;
    format!(
        "planned {:.1} m in {} segments; {}",
        p.distance_m,
        p.waypoints.len(),
        p.model.note
    )
}

impl Publishers {
    fn publish(&self, now: Stamp, made: &Made) -> anyhow::Result<PlanMsg> {
        let p = &made.outcome.plan;
        let message = plan_to_msg(now, made);
        self.features.publish(&features_to_msg(now, p))?;
        self.path.publish(&path_to_msg(now, p))?;
        self.plan.publish(&message)?;
        Ok(message)
    }
}
