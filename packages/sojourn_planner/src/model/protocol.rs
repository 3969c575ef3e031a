//! The protocol: routes, labels twice, routes again, a plan, the critic, the comparison, the twin; and the way down when
//! one of them fails.

use super::config::ModelConfig;
use super::desk::{Briefing, Desk};
use super::label::{Disagreement, Label, merge};
use super::passes::{self, Calibration, Criticism, Labelled};
use super::plain;
use super::planning::{Composed, NoPlan, Planning};
use super::provider::{Provider, Skill, Watch};
use super::record::{Event, Exchange, TRANSCRIPT_VERSION, Transcript};
use super::talk::{NoAnswer, Spent, Talk};
use super::view::View;
use crate::candidates::Preset;
use crate::error::PlanError;
use crate::route::{PlanOutcome, searched};
use crate::validator::{Code, Verdict};
use crate::workshop::Workshop;
use serde_json::json;
use sojourn_core::constraints::Constraints;
use sojourn_core::geometry::Xy;
use sojourn_core::plan::{Feature, ModelLevel, ModelStage, ModelStatus, Plan, sha256_hex};

/// Drives a plan in the digital twin: `None` when it passes, a sentence when it is rejected.
pub type Twin<'a> = dyn Fn(&Plan) -> Option<String> + 'a;

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
    /// Drives a plan in the digital twin: `None` when it passes, a sentence when it is rejected.
    pub twin: Option<&'a Twin<'a>>,
}

/// What went between planner and model, for people and for replay.
#[derive(Clone, Debug)]
pub struct ModelRecord {
    /// Every exchange.
    pub transcript: Transcript,
    /// The views, in the order in which they were made.
    pub views: Vec<View>,
    /// Labels that hold.
    pub labels: Vec<Label>,
    /// Where the passes differ.
    pub disagreements: Vec<Disagreement>,
    /// Routes that were on offer, `map` metres.
    pub routes: Vec<(String, Vec<Xy>)>,
    /// How far off the model's coordinates are, when the card was asked for.
    pub calibration: Option<Calibration>,
    /// The critic's word.
    pub criticism: Option<Criticism>,
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
    disagreements: Vec<Disagreement>,
    calibration: Option<Calibration>,
    criticism: Option<Criticism>,
    flags: Vec<String>,
    rounds: usize,
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
    };
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
    let mut outcome = match labelled {
        Ok(skill) => with_labels(&mut talk, &mut desk, shop, assistance, skill, &mut found)?,
        Err(Failure::Plan(e)) => return Err(e),
        Err(Failure::Answer(why)) if why.cancelled() => return Err(PlanError::Stopped),
        Err(Failure::Answer(why)) => without_model(&mut talk, shop, &why)?,
    };
    talk.note("decision", outcome.plan.model.note.clone());
    outcome.plan.model.rounds = found.rounds;
    outcome.plan.model.flags = flags(&found, &outcome.verdict);
    outcome.plan.model.labels_refused = found.labels_refused;
    outcome.plan.model.labels_accepted = outcome.plan.features.len();
    let transcript = transcript(&talk, shop, assistance)?;
    seal(&mut outcome.plan.model, &transcript.exchanges);
    outcome.model = Some(ModelRecord {
        transcript,
        views: desk.views,
        labels: desk.labels,
        disagreements: found.disagreements,
        routes: desk
            .routes
            .iter()
            .map(|r| (r.id.clone(), r.anchors.clone()))
            .collect(),
        calibration: found.calibration,
        criticism: found.criticism,
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
    let twice = !second.labels.is_empty() || !second.summary.is_empty();
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

/// The plan once there are labels.
fn with_labels(
    talk: &mut Talk<'_>,
    desk: &mut Desk<'_>,
    shop: &Workshop<'_>,
    assistance: &Assistance<'_>,
    skill: Skill,
    found: &mut Found,
) -> Result<PlanOutcome, PlanError> {
    let features = |desk: &Desk<'_>, talk: &Talk<'_>| -> Vec<Feature> {
        desk.labels.iter().map(|l| l.feature(&talk.model)).collect()
    };
    let [start, goal] = desk.ends;
    let most = talk.config.protocol.candidates;
    match shop.routes(start, goal, &features(desk, talk), &Preset::ALL, most) {
        Ok(routes) => desk.routes = routes,
        // The search names the labels that stand in the way.
        Err(_) => {
            return searched(
                shop,
                stage(
                    talk,
                    ModelLevel::LabelsOnly,
                    found,
                    "no route was looked for",
                ),
                &features(desk, talk),
                None,
            );
        }
    }
    let mut planning = None;
    let mut composed = None;
    let mut note = String::new();
    if skill == Skill::Whole {
        let mut conversation = Planning::new(talk, desk, shop)?;
        match conversation.next(None, talk, desk, shop) {
            Ok(made) => {
                composed = Some(critic_round(
                    talk,
                    desk,
                    shop,
                    &mut conversation,
                    made,
                    found,
                )?);
                found.rounds = conversation.rounds;
                planning = Some(conversation);
            }
            Err(NoPlan::Answer(a)) if a.cancelled() => return Err(PlanError::Stopped),
            Err(why) => {
                note = why.words();
                found.rounds = conversation.rounds;
                talk.note(
                    "decision",
                    format!("{note}; the model picks among routes instead"),
                );
                found
                    .flags
                    .push(format!("the model composed no route: {note}"));
                if matches!(why, NoPlan::Declined(_)) {
                    found.flags.push("the model sees no safe route; look at the ground before this plan is approved".into());
                }
            }
        }
    }
    let mut outcome = match composed {
        Some(made) if !worse(&made.verdict) => {
            found.flags.extend(made.flags.iter().cloned());
            whole(talk, shop, found, made)?
        }
        Some(_) => {
            talk.note("decision", "the composed route is much worse than the search's and no label says why; the search's is taken");
            found.flags.push(
                "the model's own route was much worse without a reason and was not taken".into(),
            );
            by_search(talk, desk, shop, found, "the search's route is better")?
        }
        None => picked(talk, desk, shop, found, &note)?,
    };
    if let Some(twin) = assistance.twin {
        outcome = driven(talk, desk, shop, twin, planning, outcome, found)?;
    }
    Ok(outcome)
}

/// Whether the comparison says that there is no reason for this route.
fn worse(verdict: &Verdict) -> bool {
    verdict
        .violations
        .iter()
        .any(|v| v.code == Code::WorseThanOptimum)
}

/// The critic's word on a composed plan, and one revision.
fn critic_round(
    talk: &mut Talk<'_>,
    desk: &mut Desk<'_>,
    shop: &Workshop<'_>,
    planning: &mut Planning,
    made: Composed,
    found: &mut Found,
) -> Result<Composed, PlanError> {
    if !talk.config.protocol.critic {
        return Ok(made);
    }
    let criticism = match passes::criticise(talk, desk, &made.plan.line()) {
        Ok(c) => c,
        Err(e) if e.cancelled() => return Err(PlanError::Stopped),
        Err(e) => {
            found
                .flags
                .push(format!("no critic looked at the plan: {}", e.words()));
            return Ok(made);
        }
    };
    talk.note(
        "critic",
        format!("{}: {}", criticism.verdict, criticism.findings.join("; ")),
    );
    let revise = criticism.verdict != "approve" && !criticism.findings.is_empty();
    let rejected = criticism.verdict == "reject";
    let feedback = json!({
        "host": "a critic looked at the plan; mend what it says where the pictures agree and answer with the whole plan",
        "verdict": criticism.verdict,
        "findings": criticism.findings,
    });
    found.criticism = Some(criticism);
    if !revise {
        return Ok(made);
    }
    match planning.next(Some(feedback), talk, desk, shop) {
        Ok(better) => {
            talk.note("decision", "the plan was revised after the critic");
            Ok(better)
        }
        Err(NoPlan::Answer(a)) if a.cancelled() => Err(PlanError::Stopped),
        Err(why) => {
            let words = why.words();
            found.flags.push(format!(
                "the critic asked for a {} and no revision passed: {words}",
                if rejected { "rejection" } else { "revision" }
            ));
            Ok(made)
        }
    }
}

fn whole(
    talk: &Talk<'_>,
    shop: &Workshop<'_>,
    found: &Found,
    made: Composed,
) -> Result<PlanOutcome, PlanError> {
    let mut plan = made.plan;
    let note = format!(
        "the model labelled the ground and composed the route in {} rounds of violations",
        found.rounds
    );
    plan.model = stage(talk, ModelLevel::Full, found, &note);
    let map = shop.map(&plan.features)?;
    Ok(PlanOutcome {
        stats: shop.stats(&map),
        plan,
        verdict: made.verdict,
        model: None,
    })
}

/// The route that the model picks, or the search's when it picks none.
fn picked(
    talk: &mut Talk<'_>,
    desk: &mut Desk<'_>,
    shop: &Workshop<'_>,
    found: &mut Found,
    why: &str,
) -> Result<PlanOutcome, PlanError> {
    let (index, reasons) = match passes::pick(talk, desk) {
        Ok(picked) => picked,
        Err(e) if e.cancelled() => return Err(PlanError::Stopped),
        Err(e) => {
            let words = e.words();
            talk.note("decision", format!("{words}; the search's route is taken"));
            found
                .flags
                .push(format!("the model picked no route: {words}"));
            return by_search(talk, desk, shop, found, &words);
        }
    };
    talk.note("decision", format!("picked {reasons}"));
    let features: Vec<Feature> = desk.labels.iter().map(|l| l.feature(&talk.model)).collect();
    let Some(route) = desk.routes.get(index) else {
        return by_search(talk, desk, shop, found, "there was no route to pick");
    };
    let map = shop.map(&features)?;
    let because = if why.is_empty() {
        String::new()
    } else {
        format!(" ({why})")
    };
    let note = format!("the model labelled the ground and picked {reasons}{because}");
    let plan = shop.document(
        &route.chain,
        &map,
        &features,
        stage(talk, ModelLevel::PickOnly, found, &note),
    )?;
    let verdict = shop.judge(&plan)?;
    if !verdict.ok || worse(&verdict) {
        return by_search(
            talk,
            desk,
            shop,
            found,
            "the picked route did not pass or is much worse than the search's",
        );
    }
    let stats = shop.stats(&map);
    Ok(PlanOutcome {
        plan,
        verdict,
        stats,
        model: None,
    })
}

fn by_search(
    talk: &Talk<'_>,
    desk: &Desk<'_>,
    shop: &Workshop<'_>,
    found: &Found,
    why: &str,
) -> Result<PlanOutcome, PlanError> {
    let features: Vec<Feature> = desk.labels.iter().map(|l| l.feature(&talk.model)).collect();
    let note = format!("the model labelled the ground; the search made the route ({why})");
    searched(
        shop,
        stage(talk, ModelLevel::LabelsOnly, found, &note),
        &features,
        None,
    )
}

/// The twin's word: a rejection goes back once, then the search's plan is driven in its turn.
fn driven(
    talk: &mut Talk<'_>,
    desk: &mut Desk<'_>,
    shop: &Workshop<'_>,
    twin: &Twin<'_>,
    planning: Option<Planning>,
    outcome: PlanOutcome,
    found: &mut Found,
) -> Result<PlanOutcome, PlanError> {
    let Some(why) = twin(&outcome.plan) else {
        talk.note("twin", "passed");
        return Ok(outcome);
    };
    talk.note("twin", format!("rejected: {why}"));
    found.flags.push(format!(
        "the twin rejected the first plan: {}",
        plain(&why, 200)
    ));
    if let Some(mut conversation) = planning {
        let feedback = json!({"host": "the digital twin rejects the plan; mend this and answer with the whole plan", "rejection": why});
        match conversation.next(Some(feedback), talk, desk, shop) {
            Ok(made) if !worse(&made.verdict) => {
                found.rounds = conversation.rounds;
                let again = whole(talk, shop, found, made)?;
                match twin(&again.plan) {
                    None => {
                        talk.note("twin", "passed");
                        return Ok(again);
                    }
                    Some(why) => talk.note("twin", format!("rejected: {why}")),
                }
            }
            Err(NoPlan::Answer(a)) if a.cancelled() => return Err(PlanError::Stopped),
            _ => {}
        }
    }
    let last = by_search(talk, desk, shop, found, "the twin rejected the model's")?;
    match twin(&last.plan) {
        None => talk.note("twin", "passed the search's plan"),
        Some(why) => {
            talk.note("twin", format!("rejected the search's plan too: {why}"));
            found
                .flags
                .push(format!("the twin rejects this plan: {}", plain(&why, 200)));
        }
    }
    Ok(last)
}

/// Nothing of a model: the elevation model alone, with stricter limits.
fn without_model(
    talk: &mut Talk<'_>,
    shop: &Workshop<'_>,
    why: &NoAnswer,
) -> Result<PlanOutcome, PlanError> {
    let share = talk.config.protocol.geometry_only_slope_share;
    let stricter = Constraints {
        max_slope_deg: shop.mission.max_slope_deg * share,
        ..shop.mission.clone()
    };
    let status = match why {
        NoAnswer::Provider(_) | NoAnswer::Own(_) => ModelStatus::Failed,
        _ => ModelStatus::Refused,
    };
    let what = match status {
        ModelStatus::Failed => "the provider did not answer",
        _ => "the model's answer was refused",
    };
    let mut out = ModelStage {
        status,
        provider: talk.provider.name(),
        model: talk.model.clone(),
        level: Some(ModelLevel::GeometryOnly),
        note: format!(
            "{what}: {}; the route stands on the elevation model alone, on slopes of at most {:.1}°",
            plain(&why.words(), 300),
            stricter.max_slope_deg
        ),
        ..ModelStage::none()
    };
    match searched(shop, out.clone(), &[], Some(&stricter)) {
        Ok(outcome) => Ok(outcome),
        Err(e) => {
            // Stricter limits that leave no way are said, not loosened in silence.
            out.note = format!(
                "{}; with these limits there is no safe route: {e}",
                out.note
            );
            Err(PlanError::NoRoute {
                x_m: shop.request.goal_m[0],
                y_m: shop.request.goal_m[1],
                why: out.note,
            })
        }
    }
}

fn stage(talk: &Talk<'_>, level: ModelLevel, found: &Found, note: &str) -> ModelStage {
    let all = found.labels_taken + found.labels_refused.len();
    ModelStage {
        status: ModelStatus::Used,
        provider: talk.provider.name(),
        model: talk
            .exchanges
            .iter()
            .rev()
            .find_map(|e| e.reply.as_ref())
            .map_or_else(|| talk.model.clone(), |r| r.model.clone()),
        level: Some(level),
        note: format!(
            "{note}; {} of its {all} labels hold, they only add cost or forbid ground. {}",
            found.labels_taken, found.summary
        )
        .trim_end()
        .to_string(),
        ..ModelStage::none()
    }
}

/// What a person should know.
fn flags(found: &Found, verdict: &Verdict) -> Vec<String> {
    let mut out = found.flags.clone();
    out.extend(
        found
            .disagreements
            .iter()
            .map(|d| format!("the passes disagree: {}", d.text)),
    );
    if let Some(c) = &found.criticism {
        out.extend(
            c.findings
                .iter()
                .map(|f| format!("critic ({}): {f}", c.verdict)),
        );
        if !c.unchecked.is_empty() {
            out.push(format!(
                "the critic could not judge the segments {:?}",
                c.unchecked
            ));
        }
    }
    out.extend(verdict.violations.iter().map(|v| v.message.clone()));
    let mut seen = std::collections::BTreeSet::new();
    out.retain(|f| seen.insert(f.clone()));
    out.truncate(60);
    out.iter().map(|f| plain(f, 400)).collect()
}

/// Digests of everything that was asked and answered.
fn seal(stage: &mut ModelStage, exchanges: &[Exchange]) {
    let keys: String = exchanges.iter().map(|e| e.key.as_str()).collect();
    stage.request_sha256 = sha256_hex(keys.as_bytes());
    let answers: Vec<_> = exchanges
        .iter()
        .filter_map(|e| e.reply.as_ref())
        .map(|r| json!([r.blocks, r.stop_reason, r.model]).to_string())
        .collect();
    if !answers.is_empty() {
        stage.answer_sha256 = sha256_hex(answers.concat().as_bytes());
    }
}

fn transcript(
    talk: &Talk<'_>,
    shop: &Workshop<'_>,
    assistance: &Assistance<'_>,
) -> Result<Transcript, PlanError> {
    let events: Vec<Event> = talk.events.clone();
    Ok(Transcript {
        version: TRANSCRIPT_VERSION,
        provider: talk.provider.name(),
        model: assistance.provider.model().to_string(),
        skill: match talk.provider.skill() {
            Skill::Whole => "whole".into(),
            Skill::Reduced => "reduced".into(),
        },
        map_digest: shop.site.terrain_digest()?,
        config_sha256: talk.config.digest()?,
        knowledge: assistance
            .briefing
            .knowledge
            .iter()
            .map(|k| (k.name.clone(), sha256_hex(k.text.as_bytes())))
            .collect(),
        exchanges: talk.exchanges.clone(),
        events,
    })
}
