//! One scene, judged: labels against truth, and the routes with and without them.

use super::Bench;
use super::frames::frames;
use super::parts::Variant;
use super::ride::{Ride, ground, ride};
use super::scene::Scene;
use crate::orbital_labels;
use serde::{Deserialize, Serialize};
use sojourn_core::geometry::Xy;
use sojourn_core::plan::ModelLevel;
use sojourn_core::raster::Raster;
use sojourn_perception::orbital::Orbital;
use sojourn_planner::model::{Label, Watch};
use sojourn_planner::score::{
    LabelDetail, agreement, hazard_m, hazards, label_detail, line_figures, score_labels,
};
use sojourn_planner::validator::ClaimCheck;
use sojourn_planner::{
    Assistance, Briefing, GivenLabels, PlanError, PlanOutcome, PlanRequest, candidates,
    open_ground, plan, plan_labelled,
};
use std::sync::atomic::AtomicBool;

/// Who gives labels without a conversation.
pub(super) enum Labeller {
    Nobody,
    Classifier(Box<Orbital>),
    /// The test double that knows the truth.
    Double,
}

/// One scene's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    pub scene: String,
    /// The part of the protocol that was left out for comparison; empty for none.
    pub part: String,
    /// Digest of everything that the row depends on.
    pub setup: String,
    /// Kind of ground.
    pub world: String,
    /// Whether nothing was fitted or chosen on this kind of ground, where that is known.
    pub unseen: Option<bool>,
    /// Longer side of the scene, metres.
    pub span_m: f64,
    /// Share of the known ground where the planner may go at all.
    pub openness: Option<f64>,
    /// Pictures from the surface that the model could be shown.
    pub frames: usize,
    pub level: Option<ModelLevel>,
    pub note: String,
    /// A plan came out and the model had its part in it.
    pub valid: bool,
    pub error: Option<String>,
    pub missed_hazard: Option<f64>,
    pub false_alarm_area: Option<f64>,
    pub iou: Option<f64>,
    pub centroid_error_m: Option<f64>,
    /// Cost of the route on the true ground by the least there is.
    pub cost_ratio: Option<f64>,
    /// What slope, roughness, closeness and true hazards add to the route's length, by the same of the cheapest route.
    pub risk_ratio: Option<f64>,
    /// Claims that the answers with a route were asked for, and those that hold.
    pub claims: usize,
    pub claims_held: usize,
    /// How far claims are from what was measured, in tolerances, mean over those that were made.
    pub claim_error: Option<f64>,
    pub rounds: usize,
    pub usd: f64,
    /// Tokens asked with, those taken from a cache included, and answered with.
    pub tokens_in: u64,
    pub tokens_out: u64,
    pub seconds: f64,
    /// Metres on hazards of the plan without labels, and with them.
    pub hazard_m_alone: f64,
    pub hazard_m_with: Option<f64>,
    /// Length with labels by that without.
    pub length_ratio: Option<f64>,
    pub disagreements: usize,
    pub labels: usize,
    /// What stands behind the figures of the labels.
    pub detail: LabelDetail,
    /// Outlines of what was called hazardous, `map` metres.
    pub hazards: Vec<Vec<Xy>>,
    /// With another budget or scale: ground called hazardous both times by ground called so once.
    pub same_hazards: Option<f64>,
    /// What the plan without labels met on the true ground, and the one with them.
    pub ride_alone: Option<Ride>,
    pub ride_with: Option<Ride>,
}

impl Row {
    /// Nothing measured yet.
    pub fn blank(scene: &str, part: &str, setup: &str) -> Self {
        Self {
            scene: scene.into(),
            part: part.into(),
            setup: setup.into(),
            world: String::new(),
            unseen: None,
            span_m: 0.0,
            openness: None,
            frames: 0,
            level: None,
            note: String::new(),
            valid: false,
            error: None,
            missed_hazard: None,
            false_alarm_area: None,
            iou: None,
            centroid_error_m: None,
            cost_ratio: None,
            risk_ratio: None,
            claims: 0,
            claims_held: 0,
            claim_error: None,
            rounds: 0,
            usd: 0.0,
            tokens_in: 0,
            tokens_out: 0,
            seconds: 0.0,
            hazard_m_alone: 0.0,
            hazard_m_with: None,
            length_ratio: None,
            disagreements: 0,
            labels: 0,
            detail: LabelDetail::default(),
            hazards: Vec::new(),
            same_hazards: None,
            ride_alone: None,
            ride_with: None,
        }
    }
}

/// Judges a scene; the first time the rover's camera takes its pictures, where a model will see them.
pub(super) fn judge(
    bench: &Bench<'_>,
    variant: &Variant,
    scene: &mut Scene,
    setup: &str,
    whole: Option<&Row>,
) -> anyhow::Result<Row> {
    let mut row = Row {
        world: scene.world.clone(),
        unseen: scene.unseen,
        span_m: scene.span_m(),
        ..Row::blank(&scene.name, &variant.part, setup)
    };
    let (rover, mission) = (&bench.rover, &bench.mission);
    let open = open_ground(&scene.site, rover, mission)?;
    row.openness = share(&open, scene.site.elevation()?);
    let Some([start_m, goal_m]) = scene.ends(&open, bench.course) else {
        row.error = Some("no open ground for start and goal".into());
        return Ok(row);
    };
    if bench.provider.is_some() && scene.surface.is_empty() {
        scene.surface = frames(scene, rover, [start_m, goal_m])?;
    }
    if bench.provider.is_some() && scene.classified.is_none() && variant.config.protocol.attention {
        scene.classified = Some(orbital_labels::labels(&Orbital::shipped()?, &scene.site)?.labels);
    }
    row.frames = scene.surface.len();
    let (scene, site) = (&*scene, &scene.site);
    let request = PlanRequest {
        name: scene.name.clone(),
        start_m,
        goal_m,
        seed: 1,
        slip: None,
    };
    let alone = match plan(&request, site, rover, mission, None) {
        Ok(made) => made,
        Err(e) => {
            row.error = Some(format!("without labels: {e}"));
            return Ok(row);
        }
    };
    row.hazard_m_alone = hazard_m(&alone.plan.line(), &scene.truth);
    let began = std::time::Instant::now();
    let given = given(bench, scene)?;
    let made = match with_labels(bench, variant, scene, &request, given.as_ref(), &alone) {
        Ok(made) => made,
        Err(e) => {
            row.error = Some(e.to_string());
            return Ok(row);
        }
    };
    row.seconds = began.elapsed().as_secs_f64();
    let labels: Vec<Label> = match (&made.model, given) {
        (Some(m), _) => m.labels.clone(),
        (None, Some(given)) => given.labels,
        (None, None) => Vec::new(),
    };
    take(&mut row, bench, &made);
    let score = score_labels(&labels, &scene.truth);
    row.labels = labels.len();
    let passes = made.model.as_ref().map_or(1, |m| m.passes);
    row.detail = label_detail(&labels, passes, &scene.truth);
    row.hazards = hazards(&labels);
    row.same_hazards = whole.and_then(|w| agreement(&w.hazards, &row.hazards, &scene.truth));
    (row.missed_hazard, row.false_alarm_area) = (score.missed(), score.false_alarm());
    (row.iou, row.centroid_error_m) = (score.iou(), score.centroid_error_m());
    let line = made.plan.line();
    row.hazard_m_with = Some(hazard_m(&line, &scene.truth));
    row.length_ratio = Some(made.plan.distance_m / alone.plan.distance_m);
    let truth = scene.true_features();
    let best = candidates(&request, site, rover, mission, &truth, 1)?;
    if let (Some(this), Some(best)) = (
        line_figures(&line, site, rover, mission, &truth)?,
        best.first(),
    ) {
        row.cost_ratio = Some(this.cost / best.cost);
        row.risk_ratio = (best.risk_m > 0.0).then(|| this.risk_m / best.risk_m);
    }
    rides(&mut row, bench, scene, &alone.plan.line(), &line)?;
    Ok(row)
}

fn given(bench: &Bench<'_>, scene: &Scene) -> anyhow::Result<Option<GivenLabels>> {
    Ok(match &bench.labeller {
        Labeller::Nobody => None,
        Labeller::Classifier(orbital) => Some(orbital_labels::labels(orbital, &scene.site)?),
        Labeller::Double => Some(GivenLabels {
            provider: super::DOUBLE.into(),
            labels: scene.true_labels(),
            ..GivenLabels::default()
        }),
    })
}

/// Share of the known ground that is open.
fn share(open: &Raster, elevation: &Raster) -> Option<f64> {
    let (mut known, mut free) = (0usize, 0usize);
    for (i, v) in open.data().iter().enumerate() {
        let p = open.centre_m(i % open.cols(), i / open.cols());
        if elevation.nearest(p[0], p[1]).is_some() {
            known += 1;
            free += usize::from(*v > 0.5);
        }
    }
    (known > 0).then(|| free as f64 / known as f64)
}

fn with_labels(
    bench: &Bench<'_>,
    variant: &Variant,
    scene: &Scene,
    request: &PlanRequest,
    given: Option<&GivenLabels>,
    alone: &PlanOutcome,
) -> Result<PlanOutcome, PlanError> {
    let (site, rover, mission) = (&scene.site, &bench.rover, &bench.mission);
    let briefing = Briefing {
        surface: scene.surface.clone(),
        classified: scene
            .classified
            .clone()
            .filter(|_| variant.config.protocol.attention),
        ..variant.briefing.clone()
    };
    let cancel = AtomicBool::new(false);
    let watch = Watch {
        cancel: &cancel,
        progress: &|_| {},
    };
    match (bench.provider, given) {
        (_, Some(given)) => plan_labelled(request, site, rover, mission, given),
        (None, None) => Ok(alone.clone()),
        (Some(provider), None) => plan(
            request,
            site,
            rover,
            mission,
            Some(&Assistance {
                provider,
                config: &variant.config,
                briefing: &briefing,
                watch: &watch,
                twin: None,
                journal: None,
            }),
        ),
    }
}

/// What the plan says of its own making.
fn take(row: &mut Row, bench: &Bench<'_>, made: &PlanOutcome) {
    let stage = &made.plan.model;
    row.level = stage.level;
    row.note.clone_from(&stage.note);
    row.rounds = stage.rounds;
    let model = matches!(stage.level, Some(ModelLevel::Full | ModelLevel::PickOnly));
    row.valid = made.verdict.ok && (bench.provider.is_none() || model);
    if let Some(m) = &made.model {
        row.usd = m.spent.usd;
        row.tokens_in = m.spent.tokens.prompt();
        row.tokens_out = m.spent.tokens.output;
        row.seconds = m.spent.seconds;
        row.disagreements = m.disagreements.len();
        row.claims = m.claims.len();
        row.claims_held = m.claims.iter().filter(|c| c.holds()).count();
        let off = |c: &ClaimCheck| Some((c.claimed? - c.measured).abs() / c.tolerance);
        let off: Vec<f64> = m.claims.iter().filter_map(off).collect();
        row.claim_error = (!off.is_empty()).then(|| off.iter().sum::<f64>() / off.len() as f64);
    }
}

/// Both lines over the same true ground.
fn rides(
    row: &mut Row,
    bench: &Bench<'_>,
    scene: &Scene,
    alone: &[Xy],
    with: &[Xy],
) -> anyhow::Result<()> {
    let Some(folder) = &scene.folder else {
        return Ok(());
    };
    let world = ground(folder, &[alone, with])?;
    let ride = |line: &[Xy]| ride(&world, &bench.rover, &bench.body, scene.seed, line);
    let both = ride(alone).and_then(|a| Ok((a, if with == alone { a } else { ride(with)? })));
    match both {
        Ok((a, b)) => (row.ride_alone, row.ride_with) = (Some(a), Some(b)),
        // One scene where nobody can begin is no reason to lose the others.
        Err(e) => row.note = format!("{}; not ridden: {e:#}", row.note),
    }
    Ok(())
}
