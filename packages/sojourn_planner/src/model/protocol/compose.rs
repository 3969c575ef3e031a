//! From labels to a route: composed by the model, picked by it, or made by the search over its labels.

use super::Found;
use super::last::stage;
use crate::candidates::Preset;
use crate::error::PlanError;
use crate::model::desk::Desk;
use crate::model::passes;
use crate::model::planning::{Composed, NoPlan, Planning};
use crate::model::provider::Skill;
use crate::model::talk::Talk;
use crate::route::{PlanOutcome, searched};
use crate::validator::{Code, Verdict};
use crate::workshop::Workshop;
use serde_json::json;
use sojourn_core::plan::{Feature, ModelLevel};

/// The plan once there are labels, and the conversation that composed it, which may go on.
pub(super) fn with_labels(
    talk: &mut Talk<'_>,
    desk: &mut Desk<'_>,
    shop: &Workshop<'_>,
    skill: Skill,
    found: &mut Found,
) -> Result<(PlanOutcome, Option<Planning>), PlanError> {
    let features = |desk: &Desk<'_>, talk: &Talk<'_>| -> Vec<Feature> {
        desk.labels.iter().map(|l| l.feature(&talk.model)).collect()
    };
    let [start, goal] = desk.ends;
    let most = talk.config.protocol.candidates;
    match shop.routes(start, goal, &features(desk, talk), &Preset::ALL, most) {
        Ok(routes) => desk.routes = routes,
        // The search names the labels that stand in the way.
        Err(_) => {
            let stage = stage(
                talk,
                ModelLevel::LabelsOnly,
                found,
                "no route was looked for",
            );
            let outcome = searched(shop, stage, &features(desk, talk), None)?;
            return Ok((outcome, None));
        }
    }
    if !talk.config.protocol.offer_routes {
        // That there is a way is known now; which one, the model is to say.
        desk.routes.clear();
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
    let outcome = match composed {
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
    Ok((outcome, planning))
}

/// Whether the comparison says that there is no reason for this route.
pub(super) fn worse(verdict: &Verdict) -> bool {
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

pub(super) fn whole(
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
    if desk.routes.is_empty() {
        return by_search(talk, desk, shop, found, why);
    }
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

pub(super) fn by_search(
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
