//! The ten tools. They read the planning run's own copy of the map and write nothing but its labels.

mod look;

use super::desk::{Desk, Route, round2};
use super::label::{Action, Confidence, Label, Science};
use super::schemas;
use super::turn::Picture;
use crate::candidates::Preset;
use crate::validator::{Point, Violation, check_line};
use crate::workshop::Workshop;
use look::{history, measure, profile, sample, surface, view};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sojourn_core::classes::TerrainClass;
use sojourn_core::geometry::Xy;
use std::sync::Arc;

/// What a tool gives.
pub(crate) struct Outcome {
    pub ok: bool,
    pub body: Value,
    pub image: Option<Arc<Picture>>,
}

type Given = Result<(Value, Option<Arc<Picture>>), (&'static str, String)>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PointsArgs {
    points: Vec<Point>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PairArgs {
    a: Point,
    b: Point,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnchorsArgs {
    anchors: Vec<Point>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PathArgs {
    start: Point,
    goal: Point,
    preset: String,
    avoid_feature_ids: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListArgs {
    max_results: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FeatureArgs {
    terrain_class: TerrainClass,
    outline: Vec<Point>,
    risk: u8,
    action: Action,
    confidence: Confidence,
    science_value: Science,
    evidence_view_ids: Vec<String>,
}

/// Runs one tool. Anything that is not one of the ten, or not by its schema, gives an error and changes nothing.
pub(crate) fn run(
    desk: &mut Desk<'_>,
    shop: &Workshop<'_>,
    name: &str,
    input: &Value,
    views_left: usize,
) -> Outcome {
    let given = match name {
        "view" if views_left == 0 => Err(("BUDGET", "no views are left".to_string())),
        "view" if input["layer"] == schemas::SURFACE => {
            args(input).and_then(|a: look::SurfaceArgs| surface(desk, a.center))
        }
        "view" => args(input).and_then(|a| view(desk, a)),
        "sample" => args(input).and_then(|a| sample(desk, a)),
        "profile" => args(input).and_then(|a| profile(desk, a)),
        "check_segment" => {
            args(input).and_then(|a: PairArgs| check(desk, shop, &[a.a, a.b], false))
        }
        "check_route" => args(input).and_then(|a: AnchorsArgs| check(desk, shop, &a.anchors, true)),
        "find_path" => args(input).and_then(|a| find_path(desk, shop, a)),
        "list_candidates" => args(input).map(|a: ListArgs| {
            (
                json!({"candidates": desk.routes_json(a.max_results.min(8))}),
                None,
            )
        }),
        "declare_feature" => args(input).and_then(|a| declare(desk, a)),
        "measure" => args(input).and_then(|a| measure(desk, a)),
        "drive_history" => args(input).and_then(|a| history(desk, a)),
        _ => return unknown(name),
    };
    match given {
        Ok((data, image)) => Outcome {
            ok: true,
            body: json!({"ok": true, "data": data}),
            image,
        },
        Err((code, detail)) => Outcome {
            ok: false,
            body: json!({"ok": false, "code": code, "detail": detail}),
            image: None,
        },
    }
}

/// The answer to a call of something that was not offered.
pub(crate) fn unknown(name: &str) -> Outcome {
    let detail = format!("there is no tool \"{}\"", super::plain(name, 40));
    Outcome {
        ok: false,
        body: json!({"ok": false, "code": "UNKNOWN_TOOL", "detail": detail}),
        image: None,
    }
}

fn args<T: DeserializeOwned>(input: &Value) -> Result<T, (&'static str, String)> {
    let mut input = input.clone();
    crate::validator::fold_names(&mut input);
    serde_json::from_value(input).map_err(|e| ("BAD_ARGUMENTS", super::plain(&e.to_string(), 200)))
}

impl Desk<'_> {
    /// A point of the conversation on the map, or why it is none.
    fn point(&self, p: Point) -> Result<Xy, (&'static str, String)> {
        let at = self.map(p.xy());
        if self.ground.elevation.contains(at[0], at[1]) {
            return Ok(at);
        }
        let size = self.ground.elevation.size_m();
        Err((
            "OUT_OF_MAP",
            format!(
                "({:.1}, {:.1}) lies off the map of {:.0} m x {:.0} m",
                p.x_m, p.y_m, size[0], size[1]
            ),
        ))
    }

    fn points(
        &self,
        list: &[Point],
        least: usize,
        most: usize,
    ) -> Result<Vec<Xy>, (&'static str, String)> {
        if !(least..=most).contains(&list.len()) {
            return Err((
                "BAD_ARGUMENTS",
                format!("{} points, expected {least} to {most}", list.len()),
            ));
        }
        list.iter().map(|p| self.point(*p)).collect()
    }
}

/// Violations as the model reads them.
pub(crate) fn violations(desk: &Desk<'_>, list: &[Violation]) -> Vec<Value> {
    list.iter()
        .take(30)
        .map(|v| {
            json!({
                "code": v.code,
                "hard": v.hard,
                "segment": v.segment,
                "at": v.at_m.map(|p| desk.local(p)),
                "measured": v.measured,
                "limit": v.limit,
                "unit": v.unit,
                "message": v.message,
            })
        })
        .collect()
}

fn check(desk: &mut Desk<'_>, shop: &Workshop<'_>, list: &[Point], whole: bool) -> Given {
    let most = desk.ground.limits.answer.max_anchors;
    let anchors = desk.points(list, 2, most)?;
    let ends = whole.then(|| shop.ends());
    let forbidden: Vec<(String, Vec<Xy>)> = desk
        .labels
        .iter()
        .filter(|l| l.forbids())
        .map(|l| (l.id.clone(), l.polygon.clone()))
        .collect();
    let (found, measures) = check_line(&anchors, ends.as_ref(), &forbidden, desk.ground)
        .map_err(|e| ("FAILED", super::plain(&e.to_string(), 200)))?;
    Ok((
        json!({
            "ok": found.iter().all(|v| !v.hard),
            "violations": violations(desk, &found),
            "measured": {
                "length_m": round2(measures.length_m),
                "max_slope_deg": round2(measures.max_slope_deg),
                "max_roughness_m": round2(measures.max_roughness_m),
                "length_by_optimum": measures.length_by_optimum.map(round2),
                "cost_by_optimum": measures.cost_by_optimum.map(round2),
            },
        }),
        None,
    ))
}

fn find_path(desk: &mut Desk<'_>, shop: &Workshop<'_>, a: PathArgs) -> Given {
    let (p, q) = (desk.point(a.start)?, desk.point(a.goal)?);
    let Some(preset) = Preset::ALL.into_iter().find(|k| k.name() == a.preset) else {
        return Err((
            "BAD_ARGUMENTS",
            format!("preset is \"{}\"", super::plain(&a.preset, 40)),
        ));
    };
    let unknown: Vec<String> = a
        .avoid_feature_ids
        .iter()
        .filter(|id| desk.labels.iter().all(|l| l.id != **id))
        .map(|id| super::plain(id, 20))
        .collect();
    if !unknown.is_empty() {
        return Err((
            "BAD_ARGUMENTS",
            format!("there are no labels {}", unknown.join(", ")),
        ));
    }
    // What is to be avoided on top can only close ground.
    let mut features: Vec<_> = desk.labels.iter().map(|l| l.feature("")).collect();
    for (f, l) in features.iter_mut().zip(&desk.labels) {
        f.forbids |= a.avoid_feature_ids.contains(&l.id);
    }
    let routes = shop
        .routes(p, q, &features, &[preset], 3)
        .map_err(|e| ("NO_PATH", super::plain(&e.to_string(), 300)))?;
    let found: Vec<Value> = routes
        .iter()
        .map(|r: &Route| {
            json!({"anchors": r.anchors.iter().map(|p| desk.local(*p)).collect::<Vec<_>>(), "figures": r.figures})
        })
        .collect();
    Ok((json!({"routes": found}), None))
}

fn declare(desk: &mut Desk<'_>, a: FeatureArgs) -> Given {
    let most = desk.ground.limits.answer.max_features;
    if desk.labels.len() >= most {
        return Err(("BUDGET", format!("there are {most} labels already")));
    }
    if !(1..=5).contains(&a.risk) {
        return Err((
            "BAD_ARGUMENTS",
            format!("risk is {}, expected 1 to 5", a.risk),
        ));
    }
    if let Some(id) = a
        .evidence_view_ids
        .iter()
        .find(|id| desk.views.iter().all(|v| v.id != **id))
    {
        return Err((
            "UNKNOWN_VIEW",
            format!("the view \"{}\" was never shown", super::plain(id, 20)),
        ));
    }
    let polygon: Vec<Xy> = a.outline.iter().map(|p| desk.map(p.xy())).collect();
    if let Some(why) = desk.outline_fault(&polygon, desk.extent()) {
        return Err(("BAD_OUTLINE", why));
    }
    let id = format!("L{}", desk.labels.len() + 1);
    let label = Label {
        id: id.clone(),
        class: a.terrain_class,
        polygon,
        risk: a.risk,
        action: a.action,
        confidence: a.confidence,
        science: a.science_value,
        views: a.evidence_view_ids,
        note: "declared while planning".into(),
        source: "planning".into(),
    };
    let inside = desk.inside(&label.polygon);
    desk.labels.push(label);
    Ok((json!({"id": id, "measured_inside": inside}), None))
}
