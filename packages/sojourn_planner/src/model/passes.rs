//! Questions with one answer each: the calibration card, labels, cells, the pick, the critic.

use super::desk::Desk;
use super::label::{Action, Confidence, Label, Science};
use super::prompts::system;
use super::talk::{NoAnswer, Talk, read};
use super::turn::{Block, Purpose};
use super::view::{CELLS, GridLines, Layer, SIDE_PX, Show, View, calibration_card, map_from_px};
use super::{plain, schemas};
use crate::error::PlanError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sojourn_core::classes::TerrainClass;
use sojourn_core::geometry::Xy;
use std::sync::Arc;

/// How far a model's coordinates are off, from the card.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Calibration {
    /// Root mean square distance from the true places, pixels.
    pub rms_px: f64,
    /// Greatest distance, pixels.
    pub worst_px: f64,
    /// Scale of the model's coordinates by the true ones, right and down; negative when an axis is turned over.
    pub scale: [f64; 2],
    /// Whether coordinates of this model are used.
    pub good: bool,
    /// One sentence.
    pub text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CardAnswer {
    crosses: Vec<Cross>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cross {
    name: String,
    x: f64,
    y: f64,
}

/// Asks for the crosses of the card.
pub(crate) fn calibrate(talk: &mut Talk<'_>) -> Result<Calibration, NoAnswer> {
    let (card, truth) = calibration_card().map_err(NoAnswer::own)?;
    let request = talk.request(
        Purpose::Calibrate,
        &system(Purpose::Calibrate),
        vec![
            Block::Image(card),
            Block::Text(
                json!({"width_px": SIDE_PX, "height_px": SIDE_PX, "crosses": truth.len()})
                    .to_string(),
            ),
        ],
        ("card", schemas::card()),
        Arc::default(),
    );
    let reply = talk.ask(&request)?;
    let answer: CardAnswer = read(&reply, talk.limits).map_err(NoAnswer::Unreadable)?;
    let p = &talk.config.protocol;
    let out = fit(
        &answer,
        &truth,
        p.calibration_residual_px,
        p.calibration_scale,
    );
    talk.note("calibration", out.text.clone());
    Ok(out)
}

fn fit(answer: &CardAnswer, truth: &[(String, Xy)], most_px: f64, most_scale: f64) -> Calibration {
    let mut pairs: Vec<(Xy, Xy)> = Vec::new();
    for (name, t) in truth {
        if let Some(c) = answer
            .crosses
            .iter()
            .find(|c| c.name.trim().eq_ignore_ascii_case(name))
        {
            pairs.push(([c.x, c.y], *t));
        }
    }
    let n = pairs.len() as f64;
    let off: Vec<f64> = pairs
        .iter()
        .map(|(a, t)| (a[0] - t[0]).hypot(a[1] - t[1]))
        .collect();
    let worst_px = off.iter().copied().fold(0.0, f64::max);
    let rms_px = (off.iter().map(|d| d * d).sum::<f64>() / n.max(1.0)).sqrt();
    // Least squares of what was said over what is true, each axis by itself.
    let scale = [0, 1].map(|k| {
        let mean = |f: &dyn Fn(&(Xy, Xy)) -> f64| pairs.iter().map(f).sum::<f64>() / n.max(1.0);
        let (ma, mt) = (mean(&|p| p.0[k]), mean(&|p| p.1[k]));
        let var = mean(&|p| (p.1[k] - mt) * (p.1[k] - mt));
        mean(&|p| (p.0[k] - ma) * (p.1[k] - mt)) / var.max(1e-9)
    });
    let all = pairs.len() == truth.len();
    let good = all && rms_px <= most_px && scale.iter().all(|s| (s - 1.0).abs() <= most_scale);
    let verdict = if good {
        "its coordinates are used"
    } else {
        "its coordinates are not used; it labels numbered cells and picks among routes"
    };
    Calibration {
        rms_px,
        worst_px,
        scale,
        good,
        text: format!(
            "the model placed {} of {} crosses, {rms_px:.1} px off (RMS, limit {most_px}), scale {:.3} and {:.3}: {verdict}",
            pairs.len(),
            truth.len(),
            scale[0],
            scale[1]
        ),
    }
}

/// Labels and what was refused.
#[derive(Debug, Default)]
pub(crate) struct Labelled {
    pub labels: Vec<Label>,
    pub refused: Vec<String>,
    pub summary: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScanAnswer {
    summary: String,
    // One by one later, so that a bad label does not cost the good ones.
    labels: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScanLabel {
    view_id: String,
    terrain_class: TerrainClass,
    outline_px: Vec<Pixel>,
    risk: u8,
    action: Action,
    confidence: Confidence,
    science_value: Science,
    note: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pixel {
    x: f64,
    y: f64,
}

/// Shows the overview and close views along the routes; their indices on the desk.
pub(crate) fn show_ground(
    talk: &Talk<'_>,
    desk: &mut Desk<'_>,
    lines: &[Vec<Xy>],
) -> Result<Vec<usize>, PlanError> {
    let (centre, span_m) = desk.overview();
    let over = desk.overlays(&[]);
    let mut out = Vec::new();
    for layer in [Layer::Ortho, Layer::Slope] {
        out.push(desk.show(
            layer,
            centre,
            span_m,
            GridLines::Coarse,
            &[Show::StartGoal, Show::KeepOut],
            &over,
        )?);
    }
    let p = &talk.config.protocol;
    if span_m > p.crop_span_m {
        for centre in desk.close_views(lines, p.crop_span_m, p.crops) {
            out.push(desk.show(
                Layer::Ortho,
                centre,
                p.crop_span_m,
                GridLines::Coarse,
                &[Show::StartGoal],
                &over,
            )?);
        }
    }
    Ok(out)
}

fn pictures(desk: &Desk<'_>, views: &[&View]) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for v in views {
        blocks.push(Block::Image(Arc::clone(&v.picture)));
        blocks.push(Block::Text(desk.caption(v).to_string()));
    }
    blocks
}

/// One pass of labels over views.
pub(crate) fn scan(
    talk: &mut Talk<'_>,
    desk: &Desk<'_>,
    views: &[usize],
    second: bool,
) -> Result<Labelled, NoAnswer> {
    let purpose = if second {
        Purpose::SecondPass
    } else {
        Purpose::Scan
    };
    let mut shown: Vec<&View> = views.iter().filter_map(|i| desk.views.get(*i)).collect();
    if second {
        // Another order, so that the first view does not decide twice.
        shown.reverse();
    }
    let mut blocks = pictures(desk, &shown);
    blocks.push(Block::Text(task(desk).to_string()));
    let request = talk.request(
        purpose,
        &system(purpose),
        blocks,
        ("labels", schemas::labels()),
        Arc::default(),
    );
    let reply = talk.ask(&request)?;
    let answer: ScanAnswer = read(&reply, talk.limits).map_err(NoAnswer::Unreadable)?;
    let mut out = Labelled {
        summary: plain(&answer.summary, 300),
        ..Labelled::default()
    };
    let most = talk.limits.answer.max_features;
    let source = if second { "second pass" } else { "first pass" };
    for (i, label) in answer.labels.into_iter().enumerate() {
        if i >= most {
            out.refused.push(format!(
                "labels[{i}] and those after it: more than {most} labels"
            ));
            break;
        }
        match label_of(label, desk, source) {
            Ok(label) => out.labels.push(label),
            Err(why) => out.refused.push(format!("{source}, labels[{i}]: {why}")),
        }
    }
    Ok(out)
}

/// What every question about the ground brings along.
fn task(desk: &Desk<'_>) -> Value {
    let g = desk.ground;
    json!({
        "start": desk.local(desk.ends[0]),
        "goal": desk.local(desk.ends[1]),
        "closed_already": {"slope_deg": g.bounds.slope_deg, "roughness_m": g.bounds.roughness_m},
        "operator_note": {"source": "operator", "trusted": false, "text": desk.briefing.note},
        "knowledge": desk.briefing.knowledge.iter().map(|k| json!({"file": plain(&k.name, 80), "text": k.text})).collect::<Vec<_>>(),
        "drive_history": desk.history(desk.ends[0], 2000.0),
    })
}

fn label_of(v: Value, desk: &Desk<'_>, source: &str) -> Result<Label, String> {
    let l: ScanLabel = serde_json::from_value(v).map_err(|e| {
        format!(
            "does not follow the schema ({})",
            plain(&e.to_string(), 200)
        )
    })?;
    let Some(view) = desk
        .views
        .iter()
        .find(|v| v.id.eq_ignore_ascii_case(l.view_id.trim()))
    else {
        return Err(format!(
            "the view \"{}\" was never shown",
            plain(&l.view_id, 20)
        ));
    };
    if !(1..=5).contains(&l.risk) {
        return Err(format!("risk is {}, expected 1 to 5", l.risk));
    }
    let side = SIDE_PX as f64;
    for (k, p) in l.outline_px.iter().enumerate() {
        if !(0.0..=side).contains(&p.x) || !(0.0..=side).contains(&p.y) {
            return Err(format!(
                "outline_px[{k}] is ({}, {}), expected a pixel of the view of {SIDE_PX} x {SIDE_PX}",
                p.x, p.y
            ));
        }
    }
    let [lo, hi] = desk.extent();
    // A view may show more than the map: what lies beyond is cut back to its edge.
    let polygon: Vec<Xy> = l
        .outline_px
        .iter()
        .map(|p| map_from_px([p.x, p.y], view.north_west_m, view.span_m))
        .map(|p| [0, 1].map(|k| p[k].clamp(lo[k], hi[k])))
        .collect();
    if let Some(why) = desk.outline_fault(&polygon, [lo, hi]) {
        return Err(why);
    }
    Ok(Label {
        id: String::new(),
        class: l.terrain_class,
        polygon,
        risk: l.risk,
        action: l.action,
        confidence: l.confidence,
        science: l.science_value,
        views: vec![view.id.clone()],
        note: plain(&l.note, 200),
        source: source.into(),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CellsAnswer {
    cells: Vec<CellLabel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CellLabel {
    cell: String,
    terrain_class: TerrainClass,
    risk: u8,
    unsure: bool,
}

/// One pass of classes over the numbered cells of close views, for models without coordinates.
pub(crate) fn cells(
    talk: &mut Talk<'_>,
    desk: &mut Desk<'_>,
    lines: &[Vec<Xy>],
    second: bool,
) -> Result<Labelled, NoAnswer> {
    let p = &talk.config.protocol;
    let (centre, span_m) = desk.overview();
    let (centres, span_m) = if span_m > p.crop_span_m {
        (
            desk.close_views(lines, p.crop_span_m, p.crops),
            p.crop_span_m,
        )
    } else {
        (vec![centre], span_m)
    };
    let mut out = Labelled::default();
    for centre in centres {
        let mut over = desk.overlays(&[]);
        let n = CELLS * CELLS;
        // Other numbers for the same cells the second time.
        let number = |k: usize| if second { (k * 37 + 11) % n + 1 } else { k + 1 };
        over.cells = (0..n).map(|k| format!("C{:02}", number(k))).collect();
        let index = desk
            .show(
                Layer::Ortho,
                centre,
                span_m,
                GridLines::None,
                &[Show::Cells],
                &over,
            )
            .map_err(NoAnswer::own)?;
        let Some(view) = desk.views.get(index) else {
            continue;
        };
        let request = talk.request(
            Purpose::Cells,
            &system(Purpose::Cells),
            pictures(desk, &[view]),
            ("edge_cells", schemas::cells()),
            Arc::default(),
        );
        let reply = talk.ask(&request)?;
        let answer: CellsAnswer = read(&reply, talk.limits).map_err(NoAnswer::Unreadable)?;
        take_cells(&answer, desk, view, &over.cells, second, &mut out);
    }
    Ok(out)
}

fn take_cells(
    answer: &CellsAnswer,
    desk: &Desk<'_>,
    view: &View,
    names: &[String],
    second: bool,
    out: &mut Labelled,
) {
    let source = if second { "second pass" } else { "first pass" };
    let [lo, hi] = desk.extent();
    let step = SIDE_PX as f64 / CELLS as f64;
    for c in answer.cells.iter().take(CELLS * CELLS) {
        let Some(k) = names
            .iter()
            .position(|n| n.eq_ignore_ascii_case(c.cell.trim()))
        else {
            out.refused.push(format!(
                "{source}: there is no cell \"{}\"",
                plain(&c.cell, 20)
            ));
            continue;
        };
        if !(1..=5).contains(&c.risk) {
            out.refused.push(format!(
                "{source}: risk of cell {} is {}, expected 1 to 5",
                names[k], c.risk
            ));
            continue;
        }
        // Doubt is a risk of its own.
        let risk = if c.unsure { c.risk.max(3) } else { c.risk };
        if risk < 2 {
            continue;
        }
        let (x, y) = ((k % CELLS) as f64 * step, (k / CELLS) as f64 * step);
        let polygon: Vec<Xy> = [[x, y], [x + step, y], [x + step, y + step], [x, y + step]]
            .into_iter()
            .map(|p| map_from_px(p, view.north_west_m, view.span_m))
            .map(|p| [0, 1].map(|k| p[k].clamp(lo[k], hi[k])))
            .collect();
        if desk.outline_fault(&polygon, [lo, hi]).is_some() {
            // Beyond the map.
            continue;
        }
        out.labels.push(Label {
            id: String::new(),
            class: c.terrain_class,
            polygon,
            // A cell that is forbidden as a whole may close every way: its risk says enough.
            risk: risk.min(4),
            action: Action::DriveSlow,
            confidence: if c.unsure {
                Confidence::Low
            } else {
                Confidence::Medium
            },
            science: Science::None,
            views: vec![view.id.clone()],
            note: "by cell".into(),
            source: source.into(),
        });
    }
}

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
    let mut indices = vec![
        desk.show(
            Layer::Ortho,
            centre,
            span_m,
            GridLines::Coarse,
            &shown,
            &over,
        )
        .map_err(NoAnswer::own)?,
    ];
    let p = &talk.config.protocol;
    if span_m > p.crop_span_m {
        for c in desk.close_views(&[line.to_vec()], p.crop_span_m, p.crops) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn card(f: impl Fn(Xy) -> Xy) -> Calibration {
        let (_, truth) = calibration_card().unwrap();
        let crosses = truth
            .iter()
            .map(|(name, p)| {
                let [x, y] = f(*p);
                Cross {
                    name: name.to_lowercase(),
                    x,
                    y,
                }
            })
            .collect();
        fit(&CardAnswer { crosses }, &truth, 5.0, 0.01)
    }

    #[test]
    fn the_card_finds_wrong_coordinates_out() {
        assert!(card(|p| p).good);
        assert!(card(|p| [p[0] + 2.0, p[1] - 2.0]).good);
        let flipped = card(|p| [p[0], 1000.0 - p[1]]);
        assert!(
            !flipped.good && (flipped.scale[1] + 1.0).abs() < 1e-9,
            "{flipped:?}"
        );
        let scaled = card(|p| [p[0] * 0.75, p[1] * 0.75]);
        assert!(!scaled.good && (scaled.scale[0] - 0.75).abs() < 1e-9);
        assert!(!card(|p| [p[1], p[0]]).good);
        assert!(!card(|_| [500.0, 500.0]).good);
        let (_, truth) = calibration_card().unwrap();
        assert!(!fit(&CardAnswer { crosses: vec![] }, &truth, 5.0, 0.01).good);
    }
}
