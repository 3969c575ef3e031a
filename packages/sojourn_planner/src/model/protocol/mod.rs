//! The protocol: routes, labels twice, routes again, a plan, the critic, the comparison, the twin; and the way down when
//! one of them fails.

mod compose;
mod last;
mod twin;

use super::briefing::Briefing;
use super::capabilities::Capabilities;
use super::chain::{Chain, Record};
use super::config::ModelConfig;
use super::desk::Desk;
use super::label::{Disagreement, Label, merge};
use super::passes::{self, Calibration, Criticism, Labelled};
use super::provider::{Provider, Skill, Watch};
use super::record::Transcript;
use super::surface::SurfaceView;
use super::talk::{NoAnswer, Spent, Talk};
use super::view::View;
use crate::candidates::Preset;
use crate::error::PlanError;
use crate::route::{PlanOutcome, searched};
use crate::validator::ClaimCheck;
use crate::workshop::Workshop;
use compose::with_labels;
use last::{flags, head, seal, without_model};
use sojourn_core::CoreError;
use sojourn_core::geometry::Xy;
use sojourn_core::plan::ModelStage;
use std::collections::BTreeSet;
use twin::driven;
pub use twin::{NoReport, Twin, TwinWord};

/// Takes every line of a conversation's record as it comes, without the line's end.
pub type Journal<'a> = dyn Fn(&str) -> Result<(), CoreError> + 'a;

/// What a plan is made with beside the ground.
pub struct Assistance<'a> {
    /// Who is asked.
    pub provider: &'a dyn Provider,
    /// How.
    pub config: &'a ModelConfig,
    /// What the model is told beside the map.
    pub briefing: &'a Briefing,
    /// What the operator sees, and the way to stop.
    pub watch: &'a Watch<'a>,
    /// Drives a plan in the digital twin; what it rejects goes back to the model once.
    pub twin: Option<&'a Twin<'a>>,
    /// Keeps the record while the conversation runs, so that one that breaks off can be taken up again.
    pub journal: Option<&'a Journal<'a>>,
}

/// What went between planner and model, for people and for replay.
#[derive(Clone, Debug)]
pub struct ModelRecord {
    /// Every exchange.
    pub transcript: Transcript,
    /// The views, in the order in which they were made.
    pub views: Vec<View>,
    /// Pictures from the surface that were shown.
    pub surface: Vec<SurfaceView>,
    /// Labels that hold.
    pub labels: Vec<Label>,
    /// How many passes of labels the model answered, with labels or without: 0, 1 or 2.
    pub passes: u8,
    /// Where the passes differ.
    pub disagreements: Vec<Disagreement>,
    /// What every answer with a route claimed of it beside what was measured, in the order of the answers.
    pub claims: Vec<ClaimCheck>,
    /// Routes that were on offer, `map` metres.
    pub routes: Vec<(String, Vec<Xy>)>,
    /// How far off the model's coordinates are, when the card was asked for.
    pub calibration: Option<Calibration>,
    /// The critic's word.
    pub criticism: Option<Criticism>,
    /// What the digital twin said of every plan that it drove, in order.
    pub twin: Vec<TwinWord>,
    /// What was spent.
    pub spent: Spent,
    /// The plan that the search makes on the elevation model alone, `map` metres.
    pub geometry_only: Vec<Xy>,
}

/// What was found out so far.
#[derive(Default)]
struct Found {
    labels_refused: Vec<String>,
    labels_taken: usize,
    summary: String,
    passes: u8,
    disagreements: Vec<Disagreement>,
    calibration: Option<Calibration>,
    criticism: Option<Criticism>,
    flags: Vec<String>,
    rounds: usize,
    twin: Vec<TwinWord>,
}

/// Makes a plan with the help of a model.
pub(crate) fn advise(
    shop: &Workshop<'_>,
    assistance: &Assistance<'_>,
) -> Result<PlanOutcome, PlanError> {
    let config = assistance.config;
    let ends = [shop.request.start_m, shop.request.goal_m];
    let mut desk = Desk::new(shop.ground, ends, assistance.briefing);
    let mut found = Found::default();
    let mut talk = Talk {
        provider: assistance.provider,
        model: assistance.provider.model().to_string(),
        config,
        limits: shop.ground.limits,
        watch: assistance.watch,
        spent: Spent::default(),
        exchanges: Vec::new(),
        events: Vec::new(),
        chain: Chain::default(),
        journal: assistance.journal,
        broken: None,
        known: Capabilities::default(),
        counted: BTreeSet::new(),
    };
    let head = head(shop, assistance)?;
    talk.keep(Record::Head(head.clone()));
    // The comparison, and the way that is left when all else fails.
    let alone = searched(shop, ModelStage::none(), &[], None);
    let geometry_only = alone.as_ref().map(|o| o.plan.line()).unwrap_or_default();
    let mut labelled = label(&mut talk, &mut desk, shop, &mut found);
    if let Err(Failure::Answer(why)) = &labelled
        && why.another_may()
        && !config.endpoints.fallback_model.is_empty()
        && talk.model != config.endpoints.fallback_model
    {
        let words = why.words();
        talk.note(
            "decision",
            format!(
                "{words}; the model {} is asked instead",
                config.endpoints.fallback_model
            ),
        );
        found
            .flags
            .push(format!("the first model gave nothing: {words}"));
        talk.model.clone_from(&config.endpoints.fallback_model);
        labelled = label(&mut talk, &mut desk, shop, &mut found);
    }
    let (mut outcome, planning) = match labelled {
        Ok(skill) => with_labels(&mut talk, &mut desk, shop, skill, &mut found)?,
        Err(Failure::Plan(e)) => return Err(e),
        Err(Failure::Answer(why)) if why.cancelled() => return Err(PlanError::Stopped),
        Err(Failure::Answer(why)) => (without_model(&mut talk, shop, &why)?, None),
    };
    if let Some(twin) = assistance.twin {
        outcome = driven(
            &mut talk, &mut desk, shop, twin, planning, outcome, &mut found,
        )?;
    }
    talk.note("decision", outcome.plan.model.note.clone());
    outcome.plan.model.rounds = found.rounds;
    outcome.plan.model.flags = flags(&found, &outcome.verdict);
    outcome.plan.model.labels_refused = found.labels_refused;
    outcome.plan.model.labels_accepted = outcome.plan.features.len();
    if let Some(e) = talk.broken {
        return Err(e.into());
    }
    seal(&mut outcome.plan.model, &talk.exchanges, &talk.chain);
    let transcript = Transcript {
        head,
        exchanges: talk.exchanges,
        events: talk.events,
    };
    outcome.model = Some(ModelRecord {
        transcript,
        views: desk.views,
        surface: desk.surface,
        labels: desk.labels,
        claims: desk.claims,
        passes: found.passes,
        disagreements: found.disagreements,
        routes: desk
            .routes
            .iter()
            .map(|r| (r.id.clone(), r.anchors.clone()))
            .collect(),
        calibration: found.calibration,
        criticism: found.criticism,
        twin: found.twin,
        spent: talk.spent,
        geometry_only,
    });
    Ok(outcome)
}

enum Failure {
    Answer(NoAnswer),
    Plan(PlanError),
}

impl From<PlanError> for Failure {
    fn from(e: PlanError) -> Self {
        Self::Plan(e)
    }
}

/// Calibration, then both passes of labels; what the model may do after that.
fn label(
    talk: &mut Talk<'_>,
    desk: &mut Desk<'_>,
    shop: &Workshop<'_>,
    found: &mut Found,
) -> Result<Skill, Failure> {
    let config = talk.config;
    talk.probe().map_err(Failure::Answer)?;
    let mut skill = talk.provider.skill();
    if skill == Skill::Whole && config.protocol.calibrate {
        match passes::calibrate(talk) {
            Ok(card) => {
                if !card.good {
                    skill = Skill::Reduced;
                    found.flags.push(card.text.clone());
                }
                found.calibration = Some(card);
            }
            // A card that cannot be read is a card that was missed.
            Err(NoAnswer::Unreadable(why)) => {
                talk.note("calibration", why.clone());
                found
                    .flags
                    .push(format!("the calibration card was not answered: {why}"));
                skill = Skill::Reduced;
            }
            Err(e) => return Err(Failure::Answer(e)),
        }
    }
    let [start, goal] = desk.ends;
    desk.routes = shop.routes(start, goal, &[], &Preset::ALL, config.protocol.candidates)?;
    let lines: Vec<Vec<Xy>> = desk.routes.iter().map(|r| r.anchors.clone()).collect();
    let (first, second) = match skill {
        Skill::Whole => {
            let views = passes::show_ground(talk, desk, &lines)?;
            let first = passes::scan(talk, desk, &views, false).map_err(Failure::Answer)?;
            let second = config
                .protocol
                .second_pass
                .then(|| passes::scan(talk, desk, &views, true));
            (first, second)
        }
        Skill::Reduced => {
            let first = passes::cells(talk, desk, &lines, false).map_err(Failure::Answer)?;
            let second = config
                .protocol
                .second_pass
                .then(|| passes::cells(talk, desk, &lines, true));
            (first, second)
        }
    };
    take(talk, desk, found, first, second)?;
    Ok(skill)
}

fn take(
    talk: &mut Talk<'_>,
    desk: &mut Desk<'_>,
    found: &mut Found,
    first: Labelled,
    second: Option<Result<Labelled, NoAnswer>>,
) -> Result<(), Failure> {
    found.summary = first.summary;
    found.labels_refused.extend(first.refused);
    // A second look that sees nothing is a second look: what only the first saw is then a difference.
    let twice = matches!(second, Some(Ok(_)));
    found.passes = 1 + u8::from(twice);
    let second = match second {
        Some(Ok(second)) => second,
        Some(Err(e)) if e.cancelled() => return Err(Failure::Answer(e)),
        Some(Err(e)) => {
            // One pass is better than none; people are told that it is one.
            found
                .flags
                .push(format!("there is no second pass of labels: {}", e.words()));
            Labelled::default()
        }
        None => Labelled::default(),
    };
    found.labels_refused.extend(second.refused);
    let (labels, differ) = merge(&first.labels, &second.labels, talk.config);
    for l in &labels {
        talk.note(
            "label",
            format!(
                "{} {} risk {} ({}): {}",
                l.id,
                l.class.name(),
                l.risk,
                l.source,
                l.note
            ),
        );
    }
    if twice {
        for d in &differ {
            talk.note("disagreement", d.text.clone());
        }
        found.disagreements = differ;
    }
    found.labels_taken = labels.len();
    desk.labels = labels;
    Ok(())
}
