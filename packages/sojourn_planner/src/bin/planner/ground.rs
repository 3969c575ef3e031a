//! What the node plans with, and one request from question to plan.

use crate::twin::{Question, drive};
use anyhow::Context;
use sojourn_core::constraints::Constraints;
use sojourn_core::plan::{Disputes, Plan, canonical, digest_of};
use sojourn_core::rover::Rover;
use sojourn_core::site::Site;
use sojourn_core::slip_forecast::SlipMemory;
use sojourn_planner::model::{SurfaceView, Twin, Watch, folder};
use sojourn_planner::{
    Assistance, Briefing, ModelConfig, NodeParams, PlanOutcome, PlanRequest, Provider, Voice,
    disagreement, plan, provider_from,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::sync::mpsc::UnboundedSender;

/// Letters of a request's digest that name the folder of its conversation.
const NAME_LETTERS: usize = 12;

/// What a request is planned with.
pub struct Ground {
    pub site: Site,
    pub rover: Rover,
    mission: Constraints,
    provider: Option<Arc<dyn Provider>>,
    config: ModelConfig,
    /// What the model is told beside the map.
    briefing: Briefing,
    /// Where the records of conversations go.
    talk_dir: PathBuf,
    /// Set when the node stops: a conversation under way ends.
    pub stop: AtomicBool,
    name: String,
    seed: u64,
    /// What earlier drives learned of slip.
    slip: Option<SlipMemory>,
}

/// A plan in the forms that go out.
pub struct Made {
    pub outcome: PlanOutcome,
    pub digest: String,
    pub document: String,
    /// Folder of the conversation's record.
    pub talk: Option<PathBuf>,
}

impl Ground {
    pub fn load(node: &str, params: &NodeParams) -> anyhow::Result<Self> {
        let at = |key: &'static str| format!("node {node}: parameter {key}");
        params.check().with_context(|| format!("node {node}"))?;
        let config = ModelConfig::shipped()?.patient(params.model_timeout_s)?;
        let provider: Option<Arc<dyn Provider>> =
            provider_from(&params.provider, &params.model, &config)
                .with_context(|| at("provider"))?
                .map(Arc::from);
        if provider.is_some() && params.talk_dir.trim().is_empty() {
            anyhow::bail!(
                "{} is empty, expected a folder: every conversation with a model is recorded",
                at("talk_dir")
            );
        }
        let given = |text: &str| (!text.trim().is_empty()).then(|| PathBuf::from(text));
        let (knowledge, history) = (given(&params.knowledge_dir), given(&params.history_file));
        let mut briefing =
            Briefing::load(knowledge.as_deref(), history.as_deref(), &params.note)
                .with_context(|| format!("node {node}: parameters knowledge_dir, history_file"))?;
        if let Some(list) = given(&params.surface_file) {
            briefing.surface = SurfaceView::load(&list).with_context(|| at("surface_file"))?;
        }
        let rover = Rover::load(Path::new(&params.rover_file)).with_context(|| at("rover_file"))?;
        let slip = match given(&params.slip_memory_file) {
            Some(file) if file.exists() => {
                Some(SlipMemory::load(&file, &rover.name).with_context(|| at("slip_memory_file"))?)
            }
            Some(file) => {
                tracing::info!(
                    "{} is not there: nothing was learned of slip",
                    file.display()
                );
                None
            }
            None => None,
        };
        Ok(Self {
            site: Site::load(Path::new(&params.site_dir)).with_context(|| at("site_dir"))?,
            rover,
            slip,
            mission: Constraints::load(Path::new(&params.mission_file))
                .with_context(|| at("mission_file"))?,
            provider,
            config,
            briefing,
            talk_dir: PathBuf::from(&params.talk_dir),
            stop: AtomicBool::new(false),
            name: params.name.clone(),
            seed: params.seed,
        })
    }

    pub fn asks_a_model(&self) -> bool {
        self.provider.is_some()
    }

    pub fn provider_name(&self) -> String {
        self.provider
            .as_ref()
            .map_or_else(|| "none".to_string(), |p| p.name())
    }

    /// Plans; `ask` takes what the twin is to drive.
    pub fn answer(
        &self,
        start_m: [f64; 2],
        goal_m: [f64; 2],
        mission: &str,
        ask: Option<&UnboundedSender<Question>>,
    ) -> anyhow::Result<Made> {
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
            slip: self.slip.clone(),
        };
        let Some(provider) = &self.provider else {
            let outcome = plan(&request, &self.site, &self.rover, mission, None)?;
            return Made::of(outcome, None);
        };
        let dir = self.folder(&request, mission)?;
        let provider = folder::taken_up(Box::new(Arc::clone(provider)), &dir)?;
        let journal = folder::journal(&dir)?;
        let told = |line: &str| tracing::info!("{line}");
        let watch = Watch {
            cancel: &self.stop,
            progress: &told,
        };
        let twin = |plan: &Plan| drive(ask, plan);
        let assistance = Assistance {
            provider: provider.as_ref(),
            config: &self.config,
            briefing: &self.briefing,
            watch: &watch,
            twin: ask.map(|_| &twin as &Twin<'_>),
            journal: Some(journal.as_ref()),
        };
        let mut outcome = plan(
            &request,
            &self.site,
            &self.rover,
            mission,
            Some(&assistance),
        )?;
        outcome.plan.disputes = self.disputes(&outcome)?;
        if let Some(record) = &outcome.model {
            folder::write(&dir, record, &outcome.plan, None)?;
        }
        Made::of(outcome, Some(dir))
    }

    /// Where the model and the records of earlier drives are apart; `None` when there are not two to compare.
    fn disputes(&self, outcome: &PlanOutcome) -> anyhow::Result<Option<Disputes>> {
        let mut voices: Vec<Voice> = Voice::of_outcome(outcome).into_iter().collect();
        voices.extend(Voice::of_history(&self.briefing, self.rover.limits.slip));
        let layer = disagreement(self.site.elevation()?, &voices, &outcome.plan.line())?;
        Ok(layer.map(|l| l.disputes))
    }

    /// The folder of a request's conversation: one that broke off is taken up by the same question about the same ground.
    fn folder(&self, request: &PlanRequest, mission: &Constraints) -> anyhow::Result<PathBuf> {
        let digest = digest_of(
            "request",
            &serde_json::json!({
                "name": request.name,
                "slip": request.slip,
                "start_m": request.start_m,
                "goal_m": request.goal_m,
                "seed": request.seed,
                "site": self.site.terrain_digest()?,
                "rover": digest_of("rover", &self.rover)?,
                "mission": digest_of("constraints", mission)?,
            }),
        )?;
        let name: String = digest.chars().take(NAME_LETTERS).collect();
        Ok(folder::unfinished(&self.talk_dir, &name))
    }
}

impl Made {
    fn of(outcome: PlanOutcome, talk: Option<PathBuf>) -> anyhow::Result<Self> {
        let document = canonical("plan", &outcome.plan)?;
        Ok(Self {
            digest: outcome.plan.digest()?,
            document: String::from_utf8(document)?,
            outcome,
            talk,
        })
    }
}
