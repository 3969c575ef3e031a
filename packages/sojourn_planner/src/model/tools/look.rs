//! The tools that look and measure; they change nothing.

use super::super::desk::{Desk, round2};
use super::super::plain;
use super::super::view::{GridLines, Layer, SPANS_M, Show};
use super::{Given, PairArgs, PointsArgs};
use crate::validator::Point;
use serde::Deserialize;
use serde_json::{Value, json};
use sojourn_core::geometry::{Xy, distance_m, in_polygon, length_m};
use std::sync::Arc;

/// Most points of one sample.
const MAX_SAMPLES: usize = 64;
/// Longest profile, metres.
const MAX_PROFILE_M: f64 = 300.0;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ViewArgs {
    layer: Layer,
    center: Point,
    span_m: f64,
    grid: GridLines,
    show: Vec<Show>,
}

/// A view of the surface takes the same arguments; only the place matters.
#[derive(Deserialize)]
pub(super) struct SurfaceArgs {
    pub center: Point,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryArgs {
    center: Point,
    radius_m: f64,
}

/// The picture from the surface whose ground holds a place, or is nearest to it.
pub(super) fn surface(desk: &Desk<'_>, place: Point) -> Given {
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

pub(super) fn view(desk: &mut Desk<'_>, a: ViewArgs) -> Given {
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
        .map_err(|e| ("FAILED", plain(&e.to_string(), 200)))?;
    let Some(view) = desk.views.get(index) else {
        return Err(("FAILED", "the view is gone".into()));
    };
    let mut caption = desk.caption(view);
    caption["clamped"] = json!(centre != asked);
    Ok((caption, Some(Arc::clone(&view.picture))))
}

pub(super) fn sample(desk: &mut Desk<'_>, a: PointsArgs) -> Given {
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

pub(super) fn profile(desk: &mut Desk<'_>, a: PairArgs) -> Given {
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

pub(super) fn measure(desk: &mut Desk<'_>, a: PointsArgs) -> Given {
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

pub(super) fn history(desk: &mut Desk<'_>, a: HistoryArgs) -> Given {
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
