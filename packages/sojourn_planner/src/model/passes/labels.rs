//! Labels by outline and by cell.

use super::super::desk::Desk;
use super::super::label::{Action, Confidence, Label, Science};
use super::super::prompts::system;
use super::super::surface::SurfaceView;
use super::super::talk::{NoAnswer, Talk, read};
use super::super::turn::{Block, Purpose};
use super::super::view::{CELLS, GridLines, Layer, SIDE_PX, Show, View, map_from_px};
use super::super::{plain, schemas};
use super::{from_the_surface, pictures};
use crate::error::PlanError;
use serde::Deserialize;
use serde_json::{Value, json};
use sojourn_core::classes::TerrainClass;
use sojourn_core::geometry::{Xy, in_polygon};
use std::sync::Arc;

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
    desk.take_surface(lines, talk.config.protocol.surface_views);
    let over = desk.overlays(&[]);
    let mut out = Vec::new();
    for layer in [Layer::Ortho, Layer::Slope] {
        out.push(desk.show(
            layer,
            centre,
            span_m,
            GridLines::Coarse,
            &[Show::StartGoal, Show::KeepOut, Show::Surface],
            &over,
        )?);
    }
    let p = &talk.config.protocol;
    if span_m > p.crop_span_m {
        for centre in desk.close_views(lines, p) {
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
    blocks.extend(from_the_surface(desk, &desk.surface));
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

/// Pictures from the surface beside one view of cells, at most: a small model reads few at once.
const CELL_PICTURES: usize = 2;
/// Points from side to side of a cell that are compared with the ground that a picture shows.
const CELL_POINTS: usize = 5;

/// Pictures from the surface of ground in a view's cells, and the names of the cells that each shows: those most of which
/// it shows first.
fn beside_cells(desk: &Desk<'_>, view: &View, names: &[String]) -> Vec<Block> {
    let step = SIDE_PX as f64 / CELLS as f64;
    // Points of a cell: cells may be larger than what a picture shows.
    let shows = |v: &SurfaceView, k: usize| {
        (0..CELL_POINTS * CELL_POINTS).any(|i| {
            let part = |i: usize| (i as f64 + 0.5) / CELL_POINTS as f64;
            let (dx, dy) = (part(i % CELL_POINTS), part(i / CELL_POINTS));
            let px = [(k % CELLS) as f64 + dx, (k / CELLS) as f64 + dy].map(|v| v * step);
            in_polygon(
                map_from_px(px, view.north_west_m, view.span_m),
                &v.footprint,
            )
        })
    };
    let mut shown: Vec<(Vec<&str>, &SurfaceView)> = desk
        .surface
        .iter()
        .map(|v| {
            let cells = names.iter().enumerate();
            let seen = cells.filter(|(k, _)| shows(v, *k));
            (seen.map(|(_, n)| n.as_str()).collect(), v)
        })
        .filter(|(cells, _): &(Vec<&str>, _)| !cells.is_empty())
        .collect();
    // Stable: of two alike the one that is nearer to the routes.
    shown.sort_by_key(|(cells, _)| std::cmp::Reverse(cells.len()));
    let mut blocks = Vec::new();
    for (cells, v) in shown.into_iter().take(CELL_PICTURES) {
        blocks.push(Block::Image(Arc::clone(&v.picture)));
        let told = json!({
            "picture": v.id,
            "kind": "surface",
            "camera": {"source": v.source, "trusted": false},
            "date": v.date,
            "shows_cells": cells,
            "how_to_use": "the same ground from where a rover stood; evidence for these cells of the view from above",
        });
        blocks.push(Block::Text(told.to_string()));
    }
    blocks
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
    desk.take_surface(lines, p.surface_views);
    let (centres, span_m) = if span_m > p.crop_span_m {
        (desk.close_views(lines, p), p.crop_span_m)
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
        let mut blocks = pictures(desk, &[view]);
        blocks.extend(beside_cells(desk, view, &over.cells));
        let request = talk.request(
            Purpose::Cells,
            &system(Purpose::Cells),
            blocks,
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
