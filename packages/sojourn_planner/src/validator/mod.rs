//! The validator: every rule that a plan has to keep, whoever made it.
//!
//! It is deterministic, reads no file and asks nobody. It looks at the document and at the full raster, point by point,
//! with other means than the search that made the route. Hard rules refuse a plan; the others are flagged for the person
//! who approves it. The rules are the sections A to K of one checklist: envelope, parse, identity, geometry, terrain on
//! the swept tube, semantics, claims, robustness, mission, comparison, output. [`Limits`] are one versioned file.

mod answer;
mod check;
mod features;
mod ground;
mod limits;
mod output;
mod route;
mod verdict;

pub use answer::{
    Action, Anchor, Answer, AnswerFeature, AnswerTask, Claim, Confidence, Decision, Envelope,
    Intent, Point, Science, SeenView, Source, Task, local_from_map, map_from_local,
};
pub use check::{Accepted, check_answer, check_envelope};
pub(crate) use check::{check_line, fold_names, parse_value};
pub use ground::Ground;
pub use limits::Limits;
pub(crate) use output::expected_s;
pub use route::Ends;
pub use verdict::{ClaimCheck, Code, Measures, NotChecked, Verdict, Violation};

use crate::coarse::Coarse;
use crate::error::PlanError;
use sojourn_core::constraints::Constraints;
use sojourn_core::plan::{MAX_PLAN_BYTES, Plan, digest_of};
use sojourn_core::rover::Rover;
use sojourn_core::site::Site;

/// Everything that is hard and wrong with a plan by the shipped limits; empty when it is sound.
///
/// # Errors
/// [`PlanError::Core`] when the site has no elevation or an input cannot be digested.
pub fn validate(
    plan: &Plan,
    site: &Site,
    rover: &Rover,
    constraints: &Constraints,
) -> Result<Vec<Violation>, PlanError> {
    let limits = Limits::shipped()?;
    let ground = Ground::new(site, rover, constraints, &limits)?;
    Ok(check_plan(plan, &ground)?.hard().cloned().collect())
}

/// The verdict on a plan over its ground.
///
/// # Errors
/// [`PlanError::Core`] when an input cannot be digested.
pub fn check_plan(plan: &Plan, ground: &Ground<'_>) -> Result<Verdict, PlanError> {
    let mut out = Vec::new();
    const CONVERSATION: &str =
        "belongs to the conversation with a model, which a plan does not hold";
    let asked = [('A', CONVERSATION), ('G', CONVERSATION)];
    if let Err(e) = plan.check("plan") {
        // Without sound numbers nothing else can be looked at.
        out.push(Violation::hard(Code::Document, e.to_string()));
        return Ok(Verdict::of(ground.limits, out, &['B', 'K'], &asked, None)?);
    }
    identity(plan, ground, &mut out)?;
    let line = plan.line();
    let ends = Ends {
        start_m: [plan.start.x_m, plan.start.y_m],
        goal_m: [plan.goal.x_m, plan.goal.y_m],
        goal_tolerance_m: plan
            .goal
            .tolerance_m
            .min(ground.constraints.goal_tolerance_m),
    };
    let measures = geometry(&line, &ends, !plan.features.is_empty(), ground, &mut out)?;
    features::plan_features(plan, ground, &mut out);
    output::segments(plan, Some(ground), &mut out);
    output::document(plan, ground.limits, &mut out);
    output::stale_layers(ground, &mut out)?;
    output::round_trip(&line, ground, &mut out);
    Ok(Verdict::of(
        ground.limits,
        out,
        &['B', 'C', 'D', 'E', 'F', 'H', 'I', 'J', 'K'],
        &asked,
        Some(measures),
    )?)
}

/// The verdict on the document of a plan alone, when its ground is not at hand.
///
/// # Errors
/// [`PlanError::Core`] when the limits cannot be digested.
pub fn check_document(text: &str, limits: &Limits) -> Result<(Option<Plan>, Verdict), PlanError> {
    const GROUND: &str = "site, rover and mission were not given";
    let mut out = Vec::new();
    let plan = parse_plan(text, limits, &mut out);
    if let Some(plan) = &plan {
        output::document(plan, limits, &mut out);
        output::segments(plan, None, &mut out);
    }
    let without: Vec<(char, &str)> = ['C', 'D', 'E', 'F', 'H', 'I', 'J']
        .map(|s| (s, GROUND))
        .to_vec();
    let verdict = Verdict::of(limits, out, &['B', 'K'], &without, None)?;
    Ok((plan, verdict))
}

/// Section B for a plan's document.
fn parse_plan(text: &str, limits: &Limits, out: &mut Vec<Violation>) -> Option<Plan> {
    if text.len() as u64 > MAX_PLAN_BYTES {
        out.push(
            Violation::hard(
                Code::TooLarge,
                format!(
                    "the plan is {} bytes long, expected at most {MAX_PLAN_BYTES}",
                    text.len()
                ),
            )
            .value(text.len() as f64, MAX_PLAN_BYTES as f64, "count"),
        );
        return None;
    }
    let value = check::parse_value(text, limits, out)?;
    match serde_json::from_value::<Plan>(value) {
        Ok(plan) => match plan.check("plan") {
            Ok(()) => Some(plan),
            Err(e) => {
                out.push(Violation::hard(Code::Document, e.to_string()));
                None
            }
        },
        Err(e) => {
            out.push(Violation::hard(
                Code::Schema,
                format!("the plan does not follow its schema: {e}"),
            ));
            None
        }
    }
}

/// Section C for a plan.
fn identity(plan: &Plan, ground: &Ground<'_>, out: &mut Vec<Violation>) -> Result<(), PlanError> {
    for (code, name, found, expected) in [
        (
            Code::MapMismatch,
            "site_digest",
            &plan.site_digest,
            ground.site.terrain_digest()?,
        ),
        (
            Code::RoverMismatch,
            "rover_digest",
            &plan.rover_digest,
            digest_of("rover", ground.rover)?,
        ),
        (
            Code::MissionMismatch,
            "constraints_digest",
            &plan.constraints_digest,
            digest_of("constraints", ground.constraints)?,
        ),
    ] {
        if *found != expected {
            out.push(Violation::hard(
                code,
                format!("{name} is {found}, expected {expected}"),
            ));
        }
    }
    Ok(())
}

/// Sections D, E, H and J.
pub(crate) fn geometry(
    line: &[[f64; 2]],
    ends: &Ends,
    labelled: bool,
    ground: &Ground<'_>,
    out: &mut Vec<Violation>,
) -> Result<Measures, PlanError> {
    route::shape(ground, line, ends, out);
    ground.check(line, out);
    if out.iter().any(|v| v.hard) {
        // A route that is refused anyway need not be robust or better than another.
        return Ok(route::measures(ground, line, ends, 0.0, None));
    }
    out.extend(Coarse::of(ground.site).and_then(|c| c.flag(line)));
    let sound = route::robustness(ground, line, out);
    let by_optimum = route::comparison(ground, ground.bare()?, line, labelled, out);
    Ok(route::measures(ground, line, ends, sound, by_optimum))
}
