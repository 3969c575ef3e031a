//! The ten tools. They read the planning run's own copy of the map and write nothing but its labels.

use super::desk::{Desk, Route, round2};
use super::label::{Action, Confidence, Label, Science};
use super::schemas;
use super::turn::Picture;
use super::view::{GridLines, Layer, SPANS_M, Show};
use crate::candidates::Preset;
use crate::validator::{Point, Violation, check_line};
use crate::workshop::Workshop;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sojourn_core::classes::TerrainClass;
use sojourn_core::geometry::{Xy, distance_m, in_polygon, length_m};
use std::sync::Arc;

/// What a tool gives.
pub(crate) struct Outcome {
    pub ok: bool,
    pub body: Value,
    pub image: Option<Arc<Picture>>,
}

/// Most points of one sample.
const MAX_SAMPLES: usize = 64;
/// Longest profile, metres.
const MAX_PROFILE_M: f64 = 300.0;

type Given = Result<(Value, Option<Arc<Picture>>), (&'static str, String)>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ViewArgs {
    layer: Layer,
    center: Point,
    span_m: f64,
    grid: GridLines,
    show: Vec<Show>,
}

/// A view of the surface takes the same arguments; only the place matters.
#[derive(Deserialize)]
struct SurfaceArgs {
    center: Point,
}

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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HistoryArgs {
    center: Point,
    radius_m: f64,
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
            args(input).and_then(|a: SurfaceArgs| surface(desk, a.center))
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
        _ => Err((
            "UNKNOWN_TOOL",
            format!("there is no tool \"{}\"", super::plain(name, 40)),
        )),
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

/// The picture from the surface whose ground holds a place, or is nearest to it.
fn surface(desk: &Desk<'_>, place: Point) -> Given {
    let at = desk.point(place)?;
    let nearest = desk
        .surface
        .iter()
        .map(|v| (v.distance_m(at), v))
        .min_by(|a, b| a.0.total_cmp(&b.0));
    let Some((far_m, v)) = nearest else {
        return Err((
            "NO_SURFACE_VIEW",
            "there is no picture from the surface".into(),
        ));
    };
    let mut told = desk.surface_caption(v);
    told["distance_of_its_ground_m"] = json!(round2(far_m));
    Ok((told, Some(Arc::clone(&v.picture))))
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

fn view(desk: &mut Desk<'_>, a: ViewArgs) -> Given {
    if !SPANS_M.contains(&a.span_m) {
        return Err((
            "BAD_ARGUMENTS",
            format!("span_m is {}, expected 1000, 500, 250 or 125", a.span_m),
        ));
    }
    let asked = desk.map(a.center.xy());
    let [lo, hi] = desk.extent();
    let centre = [0, 1].map(|k| {
        if asked[k].is_finite() {
            asked[k].clamp(lo[k], hi[k])
        } else {
            lo[k]
        }
    });
    let over = desk.overlays(&[]);
    let index = desk
        .show(a.layer, centre, a.span_m, a.grid, &a.show, &over)
        .map_err(|e| ("FAILED", super::plain(&e.to_string(), 200)))?;
    let Some(view) = desk.views.get(index) else {
        return Err(("FAILED", "the view is gone".into()));
    };
    let mut caption = desk.caption(view);
    caption["clamped"] = json!(centre != asked);
    Ok((caption, Some(Arc::clone(&view.picture))))
}

fn sample(desk: &mut Desk<'_>, a: PointsArgs) -> Given {
    let points = desk.points(&a.points, 1, MAX_SAMPLES)?;
    let g = desk.ground;
    let rows: Vec<Value> = points
        .iter()
        .map(|p| {
            let at = |r: &sojourn_core::raster::Raster| r.nearest(p[0], p[1]).map(round2);
            let labels: Vec<&str> = desk
                .labels
                .iter()
                .filter(|l| in_polygon(*p, &l.polygon))
                .map(|l| l.id.as_str())
                .collect();
            let within = |zones: &[Vec<Xy>]| zones.iter().any(|z| in_polygon(*p, z));
            json!({
                "at": desk.local(*p),
                "elevation_m": at(g.elevation),
                "slope_deg": at(&g.slope),
                "roughness_m": at(&g.roughness),
                "clearance_m": g.clearance_m(*p).map(round2),
                "labels": labels,
                "in_keep_out": within(&g.constraints.keep_out),
                "in_keep_in": g.constraints.keep_in.is_empty() || within(&g.constraints.keep_in),
            })
        })
        .collect();
    Ok((json!({"points": rows}), None))
}

fn profile(desk: &mut Desk<'_>, a: PairArgs) -> Given {
    let (p, q) = (desk.point(a.a)?, desk.point(a.b)?);
    let d = distance_m(p, q);
    if !(d > 0.0 && d <= MAX_PROFILE_M) {
        return Err((
            "BAD_ARGUMENTS",
            format!(
                "the profile is {d:.1} m long, expected more than 0 and at most {MAX_PROFILE_M} m"
            ),
        ));
    }
    let along = [(q[0] - p[0]) / d, (q[1] - p[1]) / d];
    let z = |x: f64, y: f64| desk.ground.elevation.sample(x, y);
    let n = (d / 2.0).ceil() as usize;
    let (mut rows, mut worst) = (Vec::new(), [(0.0f64, Value::Null), (0.0, Value::Null)]);
    for k in 0..=n {
        let s = d * k as f64 / n as f64;
        let at = [p[0] + s * along[0], p[1] + s * along[1]];
        let grade = |dx: f64, dy: f64| {
            let (a, b) = (z(at[0] - dx, at[1] - dy)?, z(at[0] + dx, at[1] + dy)?);
            Some(((b - a) / 2.0).atan().to_degrees())
        };
        let slopes = [grade(along[0], along[1]), grade(-along[1], along[0])];
        for (w, slope) in worst.iter_mut().zip(slopes) {
            if let Some(v) = slope
                && v.abs() > w.0
            {
                *w = (v.abs(), desk.local(at));
            }
        }
        rows.push(json!([
            round2(s),
            z(at[0], at[1]).map(round2),
            slopes[0].map(round2),
            slopes[1].map(round2)
        ]));
    }
    Ok((
        json!({
            "columns": ["distance_m", "elevation_m", "slope_along_deg", "slope_across_deg"],
            "rows": rows,
            "worst_along": {"deg": round2(worst[0].0), "at": worst[0].1},
            "worst_across": {"deg": round2(worst[1].0), "at": worst[1].1},
        }),
        None,
    ))
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

fn measure(desk: &mut Desk<'_>, a: PointsArgs) -> Given {
    let points = desk.points(&a.points, 2, MAX_SAMPLES)?;
    let bearings: Vec<f64> = points
        .windows(2)
        .map(|w| {
            round2(
                (w[1][0] - w[0][0])
                    .atan2(w[1][1] - w[0][1])
                    .to_degrees()
                    .rem_euclid(360.0),
            )
        })
        .collect();
    Ok((
        json!({"length_m": round2(length_m(&points)), "bearings_deg_from_north": bearings}),
        None,
    ))
}

fn history(desk: &mut Desk<'_>, a: HistoryArgs) -> Given {
    if !(a.radius_m > 0.0 && a.radius_m <= 2000.0) {
        return Err((
            "BAD_ARGUMENTS",
            format!(
                "radius_m is {}, expected more than 0 and at most 2000",
                a.radius_m
            ),
        ));
    }
    let centre = desk.point(a.center)?;
    Ok((desk.history(centre, a.radius_m), None))
}

impl Desk<'_> {
    /// Greatest slope and roughness within an outline.
    pub fn inside(&self, polygon: &[Xy]) -> Value {
        let bound = |k: usize, f: fn(f64, f64) -> f64, from: f64| {
            polygon.iter().map(|p| p[k]).fold(from, f)
        };
        let lo = [0, 1].map(|k| bound(k, f64::min, f64::INFINITY));
        let hi = [0, 1].map(|k| bound(k, f64::max, f64::NEG_INFINITY));
        let (mut steep, mut rough, mut n) = (0.0f64, 0.0f64, 0usize);
        for j in 0..24 {
            for i in 0..24 {
                let at = |k: usize, i: i32| lo[k] + (hi[k] - lo[k]) * (f64::from(i) + 0.5) / 24.0;
                let p = [at(0, i), at(1, j)];
                if !in_polygon(p, polygon) {
                    continue;
                }
                if let (Some(s), Some(q)) = (
                    self.ground.slope.nearest(p[0], p[1]),
                    self.ground.roughness.nearest(p[0], p[1]),
                ) {
                    (steep, rough, n) = (steep.max(s), rough.max(q), n + 1);
                }
            }
        }
        if n == 0 {
            return json!({"known": false});
        }
        json!({"known": true, "max_slope_deg": round2(steep), "max_roughness_m": round2(rough)})
    }
}
