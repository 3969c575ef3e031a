//! The pick among routes, and the critic.

use super::super::desk::Desk;
use super::super::prompts::system;
use super::super::talk::{NoAnswer, Talk, read};
use super::super::turn::{Block, Purpose};
use super::super::view::{GridLines, Layer, Show, View};
use super::super::{plain, schemas};
use super::{from_the_surface, pictures};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sojourn_core::geometry::Xy;
use std::sync::Arc;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PickAnswer {
    best: String,
    second: String,
    reason_codes: Vec<String>,
    unsure: bool,
}

/// Which of the desk's routes the model takes: its index and its reasons.
pub(crate) fn pick(talk: &mut Talk<'_>, desk: &mut Desk<'_>) -> Result<(usize, String), NoAnswer> {
    if desk.routes.len() < 2 {
        return Ok((0, "there is one route only".into()));
    }
    let (centre, span_m) = desk.overview();
    let over = desk.overlays(&[]);
    let index = desk
        .show(
            Layer::Ortho,
            centre,
            span_m,
            GridLines::Coarse,
            &[
                Show::StartGoal,
                Show::KeepOut,
                Show::Features,
                Show::Candidates,
            ],
            &over,
        )
        .map_err(NoAnswer::own)?;
    let Some(view) = desk.views.get(index) else {
        return Ok((0, "the view is gone".into()));
    };
    let mut blocks = pictures(desk, &[view]);
    let figures: Vec<Value> = desk
        .routes
        .iter()
        .map(|r| json!({"id": r.id, "figures": r.figures}))
        .collect();
    blocks.push(Block::Text(json!({"routes": figures}).to_string()));
    let request = talk.request(
        Purpose::Pick,
        &system(Purpose::Pick),
        blocks,
        ("edge_pick", schemas::pick()),
        Arc::default(),
    );
    let reply = talk.ask(&request)?;
    let answer: PickAnswer = read(&reply, talk.limits).map_err(NoAnswer::Unreadable)?;
    let find = |id: &str| {
        desk.routes
            .iter()
            .position(|r| r.id.eq_ignore_ascii_case(id.trim()))
    };
    let Some(best) = find(&answer.best) else {
        return Err(NoAnswer::Unreadable(format!(
            "there is no route \"{}\"",
            plain(&answer.best, 20)
        )));
    };
    let reasons: Vec<String> = answer
        .reason_codes
        .iter()
        .take(6)
        .map(|r| plain(r, 30))
        .collect();
    Ok((
        best,
        format!(
            "{} before {}{} ({})",
            desk.routes[best].id,
            plain(&answer.second, 20),
            if answer.unsure { ", unsure" } else { "" },
            reasons.join(", ")
        ),
    ))
}

/// What the critic found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Criticism {
    /// `approve`, `revise` or `reject`.
    pub verdict: String,
    /// Findings: a sentence each, the major ones first.
    pub findings: Vec<String>,
    /// Whether one of them is major.
    pub major: bool,
    /// Segments that it could not judge.
    pub unchecked: Vec<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CriticAnswer {
    verdict: CriticVerdict,
    findings: Vec<Finding>,
    unchecked_segments: Vec<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CriticVerdict {
    Approve,
    Revise,
    Reject,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Finding {
    segment_from: i64,
    segment_to: i64,
    code: String,
    severity: String,
    evidence_view_id: String,
    what_to_change: String,
}

/// Asks for a critique of a route in a conversation of its own.
pub(crate) fn criticise(
    talk: &mut Talk<'_>,
    desk: &mut Desk<'_>,
    line: &[Xy],
) -> Result<Criticism, NoAnswer> {
    let (centre, span_m) = desk.overview();
    let over = desk.overlays(line);
    let shown = [
        Show::StartGoal,
        Show::KeepOut,
        Show::Features,
        Show::CurrentRoute,
    ];
    let overview: Vec<Show> = shown
        .into_iter()
        .chain((!desk.surface.is_empty()).then_some(Show::Surface))
        .collect();
    let mut indices = vec![
        desk.show(
            Layer::Ortho,
            centre,
            span_m,
            GridLines::Coarse,
            &overview,
            &over,
        )
        .map_err(NoAnswer::own)?,
    ];
    let p = &talk.config.protocol;
    if span_m > p.crop_span_m {
        for c in desk.close_views(&[line.to_vec()], p) {
            indices.push(
                desk.show(
                    Layer::Ortho,
                    c,
                    p.crop_span_m,
                    GridLines::None,
                    &shown,
                    &over,
                )
                .map_err(NoAnswer::own)?,
            );
        }
    }
    let views: Vec<&View> = indices.iter().filter_map(|i| desk.views.get(*i)).collect();
    let mut blocks = pictures(desk, &views);
    // Fresh eyes look at what was seen from the ground, too.
    blocks.extend(from_the_surface(desk, desk.surface_along(line)));
    blocks.push(Block::Text(
        json!({
            "segments": line.len().saturating_sub(1),
            "labels": desk.labels_json(),
            "knowledge": desk.briefing.knowledge.iter().map(|k| json!({"file": plain(&k.name, 80), "text": k.text})).collect::<Vec<_>>(),
        })
        .to_string(),
    ));
    let request = talk.request(
        Purpose::Critic,
        &system(Purpose::Critic),
        blocks,
        ("critic", schemas::critic()),
        Arc::default(),
    );
    let reply = talk.ask(&request)?;
    let answer: CriticAnswer = read(&reply, talk.limits).map_err(NoAnswer::Unreadable)?;
    let mut findings: Vec<(bool, String)> = answer
        .findings
        .iter()
        .take(30)
        .map(|f| {
            (
                f.severity == "major",
                format!(
                    "segments {} to {}: {} ({}, {}): {}",
                    f.segment_from,
                    f.segment_to,
                    plain(&f.code, 30),
                    plain(&f.severity, 10),
                    plain(&f.evidence_view_id, 10),
                    plain(&f.what_to_change, 200)
                ),
            )
        })
        .collect();
    findings.sort_by_key(|(major, _)| !major);
    let verdict = match answer.verdict {
        CriticVerdict::Approve => "approve",
        CriticVerdict::Revise => "revise",
        CriticVerdict::Reject => "reject",
    };
    Ok(Criticism {
        verdict: verdict.into(),
        major: findings.iter().any(|(major, _)| *major),
        findings: findings.into_iter().map(|(_, text)| text).collect(),
        unchecked: answer.unchecked_segments.into_iter().take(100).collect(),
    })
}
