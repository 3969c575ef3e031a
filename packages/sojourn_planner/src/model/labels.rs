//! Reads an answer and checks its labels one by one.

use super::render::View;
use serde::Deserialize;
use serde_json::Value;
use sojourn_core::classes::TerrainClass;
use sojourn_core::geometry::{Xy, segments_cross};
use sojourn_core::plan::Feature;

/// Most labels that are taken from one answer.
pub const MAX_LABELS: usize = 50;
/// Most points of a label's outline.
pub const MAX_POINTS: usize = 200;
/// A label forbids ground only from this confidence on.
const FORBIDS_FROM: f64 = 0.5;
/// Longest text that is taken over from a model, characters.
const MAX_TEXT: usize = 300;

/// What an answer gave.
pub(crate) struct Labels {
    pub features: Vec<Feature>,
    pub refused: Vec<String>,
    pub summary: String,
    pub model: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    summary: String,
    // One by one later, so that a bad label does not cost the good ones.
    labels: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Label {
    class: String,
    polygon: Vec<Point>,
    confidence: f64,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Point {
    x: f64,
    y: f64,
}

/// Reads the body of an answer. The error says why it cannot be used at all.
pub(crate) fn read(body: &str, view: &View) -> Result<Labels, String> {
    let message: Value = serde_json::from_str(body).map_err(|e| format!("it is not JSON ({e})"))?;
    let text_of = |key: &str| message.get(key).and_then(Value::as_str);
    match text_of("type") {
        Some("message") => {}
        Some("error") => {
            let why = message
                .pointer("/error/message")
                .and_then(Value::as_str)
                .unwrap_or("no reason given");
            return Err(format!("the service reports \"{}\"", plain(why, MAX_TEXT)));
        }
        other => {
            return Err(format!(
                "its type is \"{}\", expected \"message\"",
                plain(other.unwrap_or("missing"), 40)
            ));
        }
    }
    match text_of("stop_reason") {
        Some("end_turn") => {}
        Some("refusal") => {
            let category = message
                .pointer("/stop_details/category")
                .and_then(Value::as_str)
                .unwrap_or("none given");
            return Err(format!(
                "the model declined (category {})",
                plain(category, 40)
            ));
        }
        Some("max_tokens" | "model_context_window_exceeded") => {
            return Err("it was cut off before its end".into());
        }
        // An unknown reason is not a finished answer.
        other => {
            return Err(format!(
                "its stop_reason is \"{}\", expected \"end_turn\"",
                plain(other.unwrap_or("missing"), 40)
            ));
        }
    }
    // By type, never by position: thinking comes first, and texts may be several.
    let text: String = message
        .get("content")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(|block| block.get("type").and_then(Value::as_str) == Some("text"))
        .filter_map(|block| block.get("text").and_then(Value::as_str))
        .collect();
    if text.trim().is_empty() {
        return Err("it holds no text".into());
    }
    let answer: Answer = serde_json::from_str(&text)
        .map_err(|e| format!("its text does not follow the schema ({e})"))?;
    let model = text_of("model").map(|m| plain(m, 80));
    let source = format!("model {}", model.as_deref().unwrap_or("without a name"));
    let mut out = Labels {
        features: Vec::new(),
        refused: Vec::new(),
        summary: plain(&answer.summary, MAX_TEXT),
        model,
    };
    let total = answer.labels.len();
    for (i, label) in answer.labels.into_iter().enumerate().take(MAX_LABELS) {
        match check(label, view, &source) {
            Ok(feature) => out.features.push(feature),
            Err(why) => out.refused.push(format!("labels[{i}]: {why}")),
        }
    }
    if total > MAX_LABELS {
        out.refused.push(format!(
            "labels[{MAX_LABELS}] to labels[{}]: more than {MAX_LABELS} labels",
            total - 1
        ));
    }
    Ok(out)
}

fn check(label: Value, view: &View, source: &str) -> Result<Feature, String> {
    let label: Label =
        serde_json::from_value(label).map_err(|e| format!("does not follow the schema ({e})"))?;
    // Names may come back with other capitals than the schema has.
    let class = TerrainClass::from_name(label.class.trim()).ok_or_else(|| {
        format!(
            "class \"{}\" is unknown, expected one of the class table",
            plain(&label.class, 40)
        )
    })?;
    if !(label.confidence.is_finite() && (0.0..=1.0).contains(&label.confidence)) {
        return Err(format!(
            "confidence is {}, expected 0 to 1",
            label.confidence
        ));
    }
    let px: Vec<Xy> = label.polygon.iter().map(|p| [p.x, p.y]).collect();
    check_outline(&px, view)?;
    let traits = class.traits();
    Ok(Feature {
        class,
        polygon: px.iter().map(|&p| view.map_from_px(p)).collect(),
        confidence: label.confidence,
        source: source.to_string(),
        added_cost: traits.added_cost * label.confidence,
        forbids: traits.forbids && label.confidence >= FORBIDS_FROM,
        note: plain(&label.reason, MAX_TEXT),
    })
}

fn check_outline(px: &[Xy], view: &View) -> Result<(), String> {
    let n = px.len();
    if !(3..=MAX_POINTS).contains(&n) {
        return Err(format!(
            "polygon has {n} points, expected 3 to {MAX_POINTS}"
        ));
    }
    let (w, h) = (view.width_px as f64, view.height_px as f64);
    for (k, p) in px.iter().enumerate() {
        let inside = (0.0..=w).contains(&p[0]) && (0.0..=h).contains(&p[1]);
        if !inside {
            return Err(format!(
                "polygon[{k}] is ({}, {}), expected a pixel of the image of {} x {}",
                p[0], p[1], view.width_px, view.height_px
            ));
        }
    }
    let next = |i: usize| px[(i + 1) % n];
    for i in 0..n {
        for j in i + 2..n {
            // The last edge and the first are neighbours.
            if i == 0 && j == n - 1 {
                continue;
            }
            if segments_cross(px[i], next(i), px[j], next(j)) {
                return Err(format!(
                    "polygon crosses itself: its edge {i} meets its edge {j}"
                ));
            }
        }
    }
    let twice_area: f64 = (0..n)
        .map(|i| px[i][0] * next(i)[1] - next(i)[0] * px[i][1])
        .sum();
    if twice_area.abs() < 2.0 {
        return Err(format!(
            "polygon has an area of {:.2} pixels, expected at least 1",
            twice_area.abs() / 2.0
        ));
    }
    Ok(())
}

/// A text from outside, fit for a document: one line, no control characters, not longer than `longest` characters.
pub(crate) fn plain(text: &str, longest: usize) -> String {
    let mut out = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    if out.chars().count() > longest {
        out = out.chars().take(longest.saturating_sub(1)).collect();
        out.push('…');
    }
    out
}
