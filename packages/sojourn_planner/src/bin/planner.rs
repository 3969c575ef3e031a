//! Node `planner`: the service `plan_route` over one site; the newest plan, its labels and its line on latched topics.
//! Shell of [`sojourn_planner::plan()`].

use anyhow::{Context, anyhow};
use futures::StreamExt;
use r2r::geometry_msgs::msg::{Point, PoseStamped};
use r2r::nav_msgs::msg::Path as PathMsg;
use r2r::sojourn_msgs::msg::{
    Plan as PlanMsg, TerrainFeature, TerrainFeatures, Waypoint as WaypointMsg,
};
use r2r::sojourn_msgs::srv::PlanRoute;
use sojourn_core::constraints::Constraints;
use sojourn_core::health::{Health, NodeState};
use sojourn_core::plan::{Plan, canonical};
use sojourn_core::rover::Rover;
use sojourn_core::site::Site;
use sojourn_core::{Stamp, topics};
use sojourn_planner::model::Watch;
use sojourn_planner::{
    Assistance, Briefing, ModelConfig, NodeParams, PlanOutcome, PlanRequest, Provider, plan,
    provider_from,
};
use sojourn_ros::{Event, NodeKit, Publisher, answer, header, msgs, run_node};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn main() -> ExitCode {
    run_node("planner", planner)
}

/// What a request is planned with.
struct Ground {
    site: Site,
    rover: Rover,
    mission: Constraints,
    provider: Option<Box<dyn Provider>>,
    config: ModelConfig,
    /// Set when the node stops: a conversation under way ends.
    stop: AtomicBool,
    name: String,
    seed: u64,
}

impl Ground {
    fn load(node: &str, params: &NodeParams) -> anyhow::Result<Self> {
        let at = |key: &'static str| format!("node {node}: parameter {key}");
        params.check().with_context(|| format!("node {node}"))?;
        let config = ModelConfig::shipped()?.patient(params.model_timeout_s)?;
        Ok(Self {
            site: Site::load(Path::new(&params.site_dir)).with_context(|| at("site_dir"))?,
            rover: Rover::load(Path::new(&params.rover_file)).with_context(|| at("rover_file"))?,
            mission: Constraints::load(Path::new(&params.mission_file))
                .with_context(|| at("mission_file"))?,
            provider: provider_from(&params.provider, &params.model, &config)
                .with_context(|| at("provider"))?,
            config,
            stop: AtomicBool::new(false),
            name: params.name.clone(),
            seed: params.seed,
        })
    }

    fn answer(&self, start_m: [f64; 2], goal_m: [f64; 2], mission: &str) -> anyhow::Result<Made> {
        let own;
        let mission = if mission.trim().is_empty() {
            &self.mission
        } else {
            own = Constraints::parse("mission of the request", mission)?;
            &own
        };
        let request = PlanRequest {
            name: self.name.clone(),
            start_m,
            goal_m,
            seed: self.seed,
        };
        let told = |line: &str| tracing::info!("{line}");
        let watch = Watch {
            cancel: &self.stop,
            progress: &told,
        };
        let briefing = Briefing::default();
        let assistance = self.provider.as_deref().map(|provider| Assistance {
            provider,
            config: &self.config,
            briefing: &briefing,
            watch: &watch,
            twin: None,
            journal: None,
        });
        let outcome = plan(
            &request,
            &self.site,
            &self.rover,
            mission,
            assistance.as_ref(),
        )?;
        let document = canonical("plan", &outcome.plan)?;
        Ok(Made {
            digest: outcome.plan.digest()?,
            document: String::from_utf8(document)?,
            outcome,
        })
    }
}

/// A plan in the forms that go out.
struct Made {
    outcome: PlanOutcome,
    digest: String,
    document: String,
}

struct Publishers {
    plan: Publisher<PlanMsg>,
    features: Publisher<TerrainFeatures>,
    path: Publisher<PathMsg>,
}

async fn planner(mut kit: NodeKit<()>) -> anyhow::Result<()> {
    let ground = Arc::new(Ground::load(kit.name(), &kit.params::<NodeParams>()?)?);
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
        ground
            .provider
            .as_ref()
            .map_or_else(|| "none".to_string(), |p| p.name())
    );
    let (mut plans, mut refused) = (0u64, 0u64);
    let mut last = Last::default();
    // Only one at a time: a second request waits for the first.
    let mut work: Option<Work> = None;
    loop {
        let event = tokio::select! {
            event = node.next() => event?,
            Some(request) = requests.next(), if work.is_none() => {
                let ground = Arc::clone(&ground);
                let m = request.message.clone();
                let handle = tokio::task::spawn_blocking(move || {
                    ground.answer([m.start.x, m.start.y], [m.goal.x, m.goal.y], &m.mission)
                });
                work = Some(Work { request, handle });
                continue;
            }
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
}

impl Default for Last {
    fn default() -> Self {
        Self {
            level: "no plan yet",
            flags: 0,
            stale_layers: 0,
            spent_usd: 0.0,
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

fn plan_to_msg(now: Stamp, made: &Made) -> PlanMsg {
    let p = &made.outcome.plan;
    PlanMsg {
        header: header(now, topics::PLAN.frame),
        id: p.name.clone(),
        digest: made.digest.clone(),
        site_id: p.site_digest.clone(),
        waypoints: p
            .waypoints
            .iter()
            .map(|w| WaypointMsg {
                x_m: w.x_m,
                y_m: w.y_m,
                tolerance_m: w.tolerance_m,
                mode: w.mode.name().to_string(),
                corridor: msgs::polygon_to_msg(&w.corridor),
                max_tilt_rad: w.limits.tilt_deg.to_radians(),
                max_slip: w.limits.slip,
                max_speed_mps: w.limits.speed_mps,
                timeout_s: w.timeout_s,
                risk: w.risk,
                reasons: w.reasons.clone(),
            })
            .collect(),
        distance_m: p.distance_m,
        model_status: p.model.note.clone(),
        document: made.document.clone(),
    }
}

fn features_to_msg(now: Stamp, p: &Plan) -> TerrainFeatures {
    TerrainFeatures {
        header: header(now, topics::TERRAIN_FEATURES.frame),
        features: p
            .features
            .iter()
            .map(|f| TerrainFeature {
                label: f.class.traits().name.to_string(),
                polygon: msgs::polygon_to_msg(&f.polygon),
                confidence: f.confidence,
                source: f.source.clone(),
                added_cost: f.added_cost,
            })
            .collect(),
    }
}

fn path_to_msg(now: Stamp, p: &Plan) -> PathMsg {
    let head = header(now, topics::PLAN_PATH.frame);
    let line = p.line();
    let poses = line
        .iter()
        .enumerate()
        .map(|(i, at)| {
            // Each pose looks along the segment that begins at it, the last along the one that ends there.
            let (a, b) = match line.get(i + 1) {
                Some(next) => (*at, *next),
                None => (line[i.saturating_sub(1)], *at),
            };
            let half_rad = 0.5 * (b[1] - a[1]).atan2(b[0] - a[0]);
            let mut pose = PoseStamped {
                header: head.clone(),
                ..Default::default()
            };
            pose.pose.position = Point {
                x: at[0],
                y: at[1],
                z: 0.0,
            };
            pose.pose.orientation.z = half_rad.sin();
            pose.pose.orientation.w = half_rad.cos();
            pose
        })
        .collect();
    PathMsg {
        header: head,
        poses,
    }
}
