//! Sections A, B, C and G: a model's answer. Everything in it is untrusted: it becomes closed types or nothing.

use super::answer::{Answer, AnswerTask, Decision, Envelope, map_from_local};
use super::ground::Ground;
use super::route::Ends;
use super::verdict::{ClaimCheck, Code, Measures, Verdict, Violation};
use super::{Limits, features, geometry, output};
use crate::error::PlanError;
use crate::smooth::densify;
use serde_json::Value;
use sojourn_core::geometry::{Xy, distance_m};
use std::collections::BTreeSet;

/// Version of the answer's form.
const VERSION: &str = "1";
/// Keys whose texts are names of a closed list; services return them with other capitals at times.
const NAMES: [&str; 12] = [
    "science_value",
    "verdict",
    "layer",
    "preset",
    "decision",
    "terrain_class",
    "action",
    "confidence",
    "intent",
    "source",
    "severity",
    "resolution",
];

/// Section A.
#[must_use]
pub fn check_envelope(e: &Envelope, limits: &Limits) -> Vec<Violation> {
    let mut out = Vec::new();
    let word = |s: &str| crate::model::plain(s, 60);
    if e.stop_reason != "end_turn" {
        out.push(Violation::hard(
            Code::StopReason,
            format!(
                "the answer ended with \"{}\", expected \"end_turn\"",
                word(&e.stop_reason)
            ),
        ));
    }
    if !e.complete {
        out.push(Violation::hard(
            Code::StreamIncomplete,
            "the answer broke off before its end",
        ));
    }
    // Services may add a date to the name that was asked for.
    if e.model_echo != e.model_asked && !e.model_echo.starts_with(&format!("{}-", e.model_asked)) {
        out.push(Violation::hard(
            Code::ModelEcho,
            format!(
                "\"{}\" answered, expected \"{}\"",
                word(&e.model_echo),
                word(&e.model_asked)
            ),
        ));
    }
    for what in &e.overspent {
        out.push(Violation::hard(Code::BudgetExceeded, what.clone()));
    }
    let least = limits.answer.least_prompt_share * e.prompt_tokens_estimated as f64;
    // Nothing counted is nothing known.
    if e.prompt_tokens > 0 && (e.prompt_tokens as f64) < least {
        out.push(
            Violation::hard(
                Code::PromptTokensLow,
                format!(
                    "the server counted {} tokens of about {}: it dropped part of the question",
                    e.prompt_tokens, e.prompt_tokens_estimated
                ),
            )
            .value(e.prompt_tokens as f64, least, "count"),
        );
    }
    out
}

/// JSON within the limits of size, depth and numbers.
pub(crate) fn parse_value(text: &str, limits: &Limits, out: &mut Vec<Violation>) -> Option<Value> {
    let value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(e) => {
            out.push(Violation::hard(
                Code::NotJson,
                format!("the document is not JSON: {e}"),
            ));
            return None;
        }
    };
    let (mut depth, mut largest) = (0, 0.0f64);
    let mut stack = vec![(&value, 1usize)];
    while let Some((v, d)) = stack.pop() {
        depth = depth.max(d);
        match v {
            Value::Array(list) => stack.extend(list.iter().map(|v| (v, d + 1))),
            Value::Object(map) => stack.extend(map.values().map(|v| (v, d + 1))),
            Value::Number(n) => largest = largest.max(n.as_f64().map_or(f64::INFINITY, f64::abs)),
            _ => {}
        }
    }
    let most = limits.answer.max_depth;
    if depth > most {
        out.push(
            Violation::hard(
                Code::TooDeep,
                format!("the document is nested {depth} deep, expected at most {most}"),
            )
            .value(depth as f64, most as f64, "count"),
        );
        return None;
    }
    // Planets are larger than maps: the radius of a plan's body is the greatest number there is.
    let most = if value.get("anchors").is_some() {
        limits.answer.max_abs
    } else {
        1e9
    };
    if !(largest <= most) {
        out.push(
            Violation::hard(
                Code::NumberRange,
                format!("the document holds the number {largest:e}, expected at most {most:e}"),
            )
            .value(largest, most, ""),
        );
        return None;
    }
    Some(value)
}

/// Section B: the answer, or why it is none.
pub(crate) fn parse(text: &str, limits: &Limits, out: &mut Vec<Violation>) -> Option<Answer> {
    let a = &limits.answer;
    if text.len() > a.max_bytes {
        out.push(
            Violation::hard(
                Code::TooLarge,
                format!(
                    "the answer is {} bytes long, expected at most {}",
                    text.len(),
                    a.max_bytes
                ),
            )
            .value(text.len() as f64, a.max_bytes as f64, "count"),
        );
        return None;
    }
    let mut value = parse_value(text, limits, out)?;
    fold_names(&mut value);
    let answer: Answer = match serde_json::from_value(value) {
        Ok(answer) => answer,
        Err(e) => {
            out.push(Violation::hard(
                Code::Schema,
                format!(
                    "the answer does not follow its schema: {}",
                    crate::model::plain(&e.to_string(), 200)
                ),
            ));
            return None;
        }
    };
    let before = out.len();
    let mut count = |what: String, n: usize, least: usize, most: usize| {
        if !(least..=most).contains(&n) {
            out.push(
                Violation::hard(
                    Code::ListBounds,
                    format!("{what}: {n}, expected {least} to {most}"),
                )
                .value(n as f64, most as f64, "count"),
            );
        }
    };
    let route = answer.decision == Decision::Route;
    count(
        "anchors".into(),
        answer.anchors.len(),
        if route { a.min_anchors } else { 0 },
        a.max_anchors,
    );
    count("features".into(), answer.features.len(), 0, a.max_features);
    count(
        "open_questions".into(),
        answer.open_questions.len(),
        0,
        a.max_features,
    );
    count(
        "self_critique".into(),
        answer.self_critique.len(),
        0,
        a.max_features,
    );
    for (i, f) in answer.features.iter().enumerate() {
        count(
            format!("corners of feature {i}"),
            f.outline.len(),
            a.min_corners,
            a.max_corners,
        );
        count(format!("risk of feature {i}"), usize::from(f.risk), 1, 5);
    }
    (out.len() == before).then_some(answer)
}

pub(crate) fn fold_names(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(fold_names),
        Value::Object(map) => {
            for (key, v) in map.iter_mut() {
                match v {
                    Value::String(s) if NAMES.contains(&key.as_str()) => {
                        *s = s.trim().to_ascii_lowercase()
                    }
                    _ => fold_names(v),
                }
            }
        }
        _ => {}
    }
}

/// Section C.
fn identity(answer: &Answer, task: &AnswerTask, out: &mut Vec<Violation>) {
    let word = |s: &str| crate::model::plain(s, 60);
    for (code, name, found, expected) in [
        (
            Code::SchemaVersion,
            "schema_version",
            answer.schema_version.as_str(),
            VERSION,
        ),
        (
            Code::MapMismatch,
            "map_id",
            &answer.map_id,
            &task.task.map_id,
        ),
        (
            Code::MapMismatch,
            "map_digest",
            &answer.map_digest,
            &task.task.map_digest,
        ),
    ] {
        if found != expected {
            out.push(Violation::hard(
                code,
                format!("{name} is \"{}\", expected \"{expected}\"", word(found)),
            ));
        }
    }
    let mut ids = BTreeSet::new();
    for f in &answer.features {
        if !ids.insert(f.id.as_str()) {
            out.push(Violation::hard(
                Code::DuplicateFeature,
                format!("two features are called \"{}\"", word(&f.id)),
            ));
        }
        for view in &f.evidence_view_ids {
            if !task.views.iter().any(|v| v.id == *view) {
                out.push(Violation::hard(
                    Code::UnknownView,
                    format!(
                        "feature \"{}\" names the view \"{}\", which was never shown",
                        word(&f.id),
                        word(view)
                    ),
                ));
            }
        }
    }
    for (i, a) in answer.anchors.iter().enumerate() {
        for id in a
            .related_feature_ids
            .iter()
            .filter(|id| !ids.contains(id.as_str()))
        {
            out.push(Violation::hard(
                Code::UnknownFeature,
                format!(
                    "anchor {i} names the feature \"{}\", which is not in the answer",
                    word(id)
                ),
            ));
        }
    }
}

/// What is claimed of each constraint beside what was measured.
fn claim_checks(
    answer: &Answer,
    task: &AnswerTask,
    measured: &Measures,
    limits: &Limits,
) -> Vec<ClaimCheck> {
    let a = &limits.answer;
    let ids = task.task.constraint_ids.iter();
    ids.filter_map(|id| {
        let (value, tolerance, unit) = match id.as_str() {
            "max_slope_deg" => (measured.max_slope_deg, a.claim_tolerance_deg, "deg"),
            "max_roughness_m" => (measured.max_roughness_m, a.claim_tolerance_m, "m"),
            "length_m" => {
                let tolerance = a.claim_tolerance_share * measured.length_m;
                (measured.length_m, tolerance, "m")
            }
            _ => return None,
        };
        let claim = answer.claims.iter().find(|c| c.constraint_id == *id);
        Some(ClaimCheck {
            constraint: id.clone(),
            claimed: claim.map(|c| c.worst_value),
            measured: value,
            tolerance,
            unit,
        })
    })
    .collect()
}

/// Section G.
fn claims(checks: &[ClaimCheck], wrongly_before: bool, out: &mut Vec<Violation>) {
    for c in checks.iter().filter(|c| !c.holds()) {
        let Some(claimed) = c.claimed else {
            out.push(Violation::soft(
                Code::ClaimMissing,
                format!("nothing is claimed for {}", c.constraint),
            ));
            continue;
        };
        let make = if wrongly_before {
            Violation::hard
        } else {
            Violation::soft
        };
        let (id, value, unit) = (&c.constraint, c.measured, c.unit);
        out.push(
            make(
                Code::ClaimMismatch,
                format!(
                    "{id} is claimed to be {claimed:.2} {unit} and measured as {value:.2} {unit}"
                ),
            )
            .value(claimed, value, unit),
        );
    }
}

/// An answer that passed, as the host understands it.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// The answer.
    pub answer: Answer,
    /// Points of the route in `map` metres, none farther from the next than a segment may be.
    pub line: Vec<Xy>,
}

/// The verdict on a model's answer and, when no hard rule is broken and it holds a route, the route.
///
/// # Errors
/// [`PlanError::Core`] when an input cannot be digested.
pub fn check_answer(
    text: &str,
    task: &AnswerTask,
    ground: &Ground<'_>,
) -> Result<(Verdict, Option<Accepted>), PlanError> {
    let limits = ground.limits;
    let mut out = Vec::new();
    const ENVELOPE: &str = "is about how the answer came";
    const PLAN: &str = "is about the plan that is made of the answer";
    let not = [('A', ENVELOPE), ('I', PLAN)];
    let refused =
        |out, checked: &[char]| Ok((Verdict::of(limits, out, checked, &not, None)?, None));
    let Some(answer) = parse(text, limits, &mut out) else {
        return refused(out, &['B']);
    };
    identity(&answer, task, &mut out);
    if answer.decision != Decision::Route {
        return refused(out, &['B', 'C']);
    }
    let nw = ground.north_west_m();
    let anchors: Vec<Xy> = answer
        .anchors
        .iter()
        .map(|a| map_from_local([a.x_m, a.y_m], nw))
        .collect();
    if !on_map(&anchors, ground, &mut out) {
        // A way to nowhere would only cost time to look at.
        return refused(out, &['B', 'C', 'D']);
    }
    let (line, anchor_of) = legs(&anchors, limits.route.densify_m);
    let labelled = !answer.features.is_empty();
    let measures = geometry(&line, &task.task.ends, labelled, ground, &mut out)?;
    features::answer_features(&answer, &line, &anchor_of, task, ground, &mut out);
    let checks = claim_checks(&answer, task, &measures, limits);
    claims(&checks, task.claimed_wrongly_before, &mut out);
    output::round_trip(&line, ground, &mut out);
    let mut verdict = Verdict::of(
        limits,
        out,
        &['B', 'C', 'D', 'E', 'F', 'G', 'H', 'J', 'K'],
        &not,
        Some(measures),
    )?;
    verdict.claims = checks;
    let accepted = verdict.ok.then_some(Accepted { answer, line });
    Ok((verdict, accepted))
}

/// The verdict on anchors alone, before they become an answer; without `ends` only the ground between them counts.
///
/// # Errors
/// [`PlanError::Core`] when an input cannot be digested.
pub(crate) fn check_line(
    anchors: &[Xy],
    ends: Option<&Ends>,
    forbidden: &[(String, Vec<Xy>)],
    ground: &Ground<'_>,
) -> Result<(Vec<Violation>, Measures), PlanError> {
    let (line, _) = legs(anchors, ground.limits.route.densify_m);
    let own = Ends {
        start_m: anchors.first().copied().unwrap_or([f64::NAN; 2]),
        goal_m: anchors.last().copied().unwrap_or([f64::NAN; 2]),
        goal_tolerance_m: 1.0,
    };
    let mut out = Vec::new();
    for (name, polygon) in forbidden {
        features::avoid(&line, polygon, name, &mut out);
    }
    let measures = match ends {
        Some(ends) => geometry(&line, ends, !forbidden.is_empty(), ground, &mut out)?,
        None => {
            ground.check(&line, &mut out);
            super::route::measures(ground, &line, &own, 0.0, None)
        }
    };
    Ok((out, measures))
}

/// Whether all anchors lie on the map.
fn on_map(anchors: &[Xy], ground: &Ground<'_>, out: &mut Vec<Violation>) -> bool {
    let off = anchors
        .iter()
        .enumerate()
        .find(|(_, p)| !ground.elevation.contains(p[0], p[1]));
    if let Some((i, p)) = off {
        out.push(
            Violation::hard(
                Code::OutOfMap,
                format!("anchor {i} ({:.1}, {:.1}) lies off the map", p[0], p[1]),
            )
            .on(i.saturating_sub(1), Some(*p)),
        );
    }
    off.is_none()
}

/// The points between anchors, and for each segment the anchor it leads to.
fn legs(anchors: &[Xy], step_m: f64) -> (Vec<Xy>, Vec<usize>) {
    let mut line: Vec<Xy> = anchors.first().copied().into_iter().collect();
    let mut anchor_of = Vec::new();
    for (i, w) in anchors.windows(2).enumerate() {
        // Two anchors at one place stay two points: standing still is for the checks to find.
        let points = if distance_m(w[0], w[1]) > 0.0 {
            densify(w, step_m)
        } else {
            w.to_vec()
        };
        for p in points.into_iter().skip(1) {
            line.push(p);
            anchor_of.push(i + 1);
        }
    }
    (line, anchor_of)
}
