//! The host's side of a conversation: the ground, the labels so far, the routes, the views that were shown.

use super::attention::{doubts, most_doubtful};
use super::briefing::{Briefing, DriveRecord};
use super::config::Protocol;
use super::label::{Label, outline_fault};
use super::surface::{SurfaceView, nearest};
use super::view::{self, GridLines, Layer, Overlays, Show, View, Wanted};
use crate::error::PlanError;
use crate::validator::{ClaimCheck, Ground, SeenView, local_from_map, map_from_local};
use serde_json::{Value, json};
use sojourn_core::geometry::{Xy, distance_m, length_m};

/// A route that the model may choose.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Route {
    pub id: String,
    /// Corners, `map` metres, at most forty.
    pub anchors: Vec<Xy>,
    /// Waypoints after the start, as they would stand in the plan.
    pub chain: Vec<Xy>,
    /// Figures.
    pub figures: Value,
}

/// The desk.
pub(crate) struct Desk<'a> {
    pub ground: &'a Ground<'a>,
    pub ends: [Xy; 2],
    pub briefing: &'a Briefing,
    pub labels: Vec<Label>,
    pub routes: Vec<Route>,
    pub views: Vec<View>,
    /// Pictures from the surface that the protocol allows, those nearest to the routes first.
    pub surface: Vec<SurfaceView>,
    /// What every answer of the planning conversation claimed, beside what was measured.
    pub claims: Vec<ClaimCheck>,
}

impl<'a> Desk<'a> {
    pub fn new(ground: &'a Ground<'a>, ends: [Xy; 2], briefing: &'a Briefing) -> Self {
        Self {
            ground,
            ends,
            briefing,
            labels: Vec::new(),
            routes: Vec::new(),
            views: Vec::new(),
            surface: Vec::new(),
            claims: Vec::new(),
        }
    }

    /// Takes the pictures from the surface whose ground lies nearest to the lines.
    pub fn take_surface(&mut self, lines: &[Vec<Xy>], most: usize) {
        let near = nearest(&self.briefing.surface, lines, most);
        self.surface = near.into_iter().cloned().collect();
    }

    /// Of the pictures from the surface that were taken, those whose ground lies nearest to a line.
    pub fn surface_along(&self, line: &[Xy]) -> Vec<&SurfaceView> {
        nearest(&self.surface, &[line.to_vec()], self.surface.len())
    }

    /// What the model is told of a picture from the surface.
    pub fn surface_caption(&self, v: &SurfaceView) -> Value {
        json!({
            "view_id": v.id,
            "kind": "surface",
            "camera": {"source": v.source, "trusted": false},
            "date": v.date,
            "camera_at": self.local(v.at_m),
            "looks_deg_clockwise_from_north": round2((90.0 - v.yaw_rad.to_degrees()).rem_euclid(360.0)),
            "ground_shown": v.footprint.iter().map(|p| self.local(*p)).collect::<Vec<_>>(),
            "how_to_use": "evidence for the ground in its outline, drawn with its name on the overview; give labels in the pixels of an orbital view",
        })
    }

    /// To the conversation's frame, rounded to the centimetre.
    pub fn local(&self, p: Xy) -> Value {
        let [x, y] = local_from_map(p, self.ground.north_west_m());
        json!({"x_m": (x * 100.0).round() / 100.0, "y_m": (y * 100.0).round() / 100.0})
    }

    pub fn map(&self, local: Xy) -> Xy {
        map_from_local(local, self.ground.north_west_m())
    }

    /// South-west and north-east corner of the map.
    pub fn extent(&self) -> [Xy; 2] {
        let (o, s) = (
            self.ground.elevation.origin_m(),
            self.ground.elevation.size_m(),
        );
        [o, [o[0] + s[0], o[1] + s[1]]]
    }

    pub fn outline_fault(&self, polygon: &[Xy], within: [Xy; 2]) -> Option<String> {
        let size = self.ground.elevation.size_m();
        let most_m2 = self.ground.limits.answer.max_feature_share * size[0] * size[1];
        outline_fault(polygon, within, most_m2)
    }

    pub fn overlays(&self, current: &[Xy]) -> Overlays {
        Overlays {
            ends: Some(self.ends),
            features: self
                .labels
                .iter()
                .map(|l| (l.id.clone(), l.polygon.clone(), l.risk))
                .collect(),
            routes: self
                .routes
                .iter()
                .map(|r| (r.id.clone(), r.anchors.clone()))
                .collect(),
            current: current.to_vec(),
            cells: Vec::new(),
            surface: self
                .surface
                .iter()
                .map(|v| (v.id.clone(), v.footprint.clone()))
                .collect(),
        }
    }

    /// Draws a view and keeps it; its index.
    pub fn show(
        &mut self,
        layer: Layer,
        centre_m: Xy,
        span_m: f64,
        grid: GridLines,
        show: &[Show],
        over: &Overlays,
    ) -> Result<usize, PlanError> {
        let id = format!("V{}", self.views.len() + 1);
        let wanted = Wanted {
            id: &id,
            layer,
            centre_m,
            span_m,
            grid,
            show,
        };
        self.views.push(view::draw(self.ground, &wanted, over)?);
        Ok(self.views.len() - 1)
    }

    /// What the model is told of a view.
    pub fn caption(&self, view: &View) -> Value {
        let corner = local_from_map(view.north_west_m, self.ground.north_west_m());
        let cell_m = view.span_m / 8.0;
        let steepest: Vec<Vec<Value>> = (0..8)
            .map(|r| {
                (0..8)
                    .map(|c| {
                        let p = [
                            view.north_west_m[0] + (f64::from(c) + 0.5) * cell_m,
                            view.north_west_m[1] - (f64::from(r) + 0.5) * cell_m,
                        ];
                        self.steepest(p, 0.5 * cell_m)
                            .map_or(Value::Null, |s| json!((s * 10.0).round() / 10.0))
                    })
                    .collect()
            })
            .collect();
        json!({
            "view_id": view.id,
            "origin_x_m": corner[0],
            "origin_y_m": corner[1],
            "span_m": view.span_m,
            "px_per_m": view::SIDE_PX as f64 / view.span_m,
            "unknown_share": (view.unknown * 1000.0).round() / 1000.0,
            "max_slope_deg_8x8_rows_from_north": steepest,
        })
    }

    fn steepest(&self, centre_m: Xy, half_m: f64) -> Option<f64> {
        let mut out: Option<f64> = None;
        for j in -3..=3 {
            for i in -3..=3 {
                let at = |k: i32| f64::from(k) / 3.0 * half_m;
                if let Some(s) = self
                    .ground
                    .slope
                    .nearest(centre_m[0] + at(i), centre_m[1] + at(j))
                {
                    out = Some(out.map_or(s, |o: f64| o.max(s)));
                }
            }
        }
        out
    }

    /// Views as the validator wants to know them.
    pub fn seen(&self) -> Vec<SeenView> {
        self.views
            .iter()
            .map(|v| SeenView {
                id: v.id.clone(),
                centre_m: v.centre_m(),
                span_m: v.span_m,
            })
            // A picture from the surface may be named as evidence; it is no close look from above.
            .chain(self.surface.iter().map(|v| SeenView {
                id: v.id.clone(),
                centre_m: v.centre_m(),
                span_m: 0.0,
            }))
            .collect()
    }

    /// Middle and side of the view that shows start, goal and their surroundings.
    pub fn overview(&self) -> (Xy, f64) {
        let [a, b] = self.ends;
        let [lo, hi] = self.extent();
        let need_m = (0..2)
            .map(|k| (a[k] - b[k]).abs())
            .fold(0.0, f64::max)
            .max(0.6 * distance_m(a, b))
            * 1.5
            + 20.0;
        let whole_m = (hi[0] - lo[0]).max(hi[1] - lo[1]);
        let span_m = [
            125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0, 16_000.0,
        ]
        .into_iter()
        .find(|s| *s >= need_m.min(whole_m))
        .unwrap_or(32_000.0);
        let centre = [0, 1].map(|k| {
            let middle = 0.5 * (a[k] + b[k]);
            // Within the map as far as it goes.
            let (least, most) = (lo[k] + 0.5 * span_m, hi[k] - 0.5 * span_m);
            if least < most {
                middle.clamp(least, most)
            } else {
                0.5 * (lo[k] + hi[k])
            }
        });
        (centre, span_m)
    }

    /// Middles of close views: where earlier drives slipped or stopped, then where the sources that need no model are apart or
    /// unsure, then along the routes, nothing twice.
    pub fn close_views(&self, lines: &[Vec<Xy>], protocol: &Protocol) -> Vec<Xy> {
        let (span_m, most) = (protocol.crop_span_m, protocol.crops);
        let mut out: Vec<Xy> = Vec::new();
        let reach_m = 0.4 * span_m;
        let mut add = |p: Xy| {
            let covered = out
                .iter()
                .any(|c| (0..2).all(|k| (c[k] - p[k]).abs() <= reach_m));
            if !covered && out.len() < most {
                out.push(p);
            }
        };
        for line in lines.iter().take(1) {
            for r in &self.briefing.history {
                let p = [r.x_m, r.y_m];
                let near = crate::smooth::densify(line, 0.25 * span_m)
                    .iter()
                    .any(|q| distance_m(*q, p) < span_m);
                if near && (r.stopped || r.slip.is_some_and(|s| s > 0.3)) {
                    add(p);
                }
            }
        }
        if protocol.attention {
            let doubts = doubts(self.ground, self.briefing, lines);
            for p in most_doubtful(&doubts, span_m, most) {
                add(p);
            }
        }
        for line in lines {
            // The middle of each covered stretch rather than its end.
            for p in crate::smooth::densify(line, 0.35 * span_m)
                .into_iter()
                .skip(1)
            {
                add(p);
            }
        }
        out
    }

    /// Earlier drives near a place, nearest first.
    pub fn history(&self, centre_m: Xy, radius_m: f64) -> Value {
        let mut near: Vec<(f64, &DriveRecord)> = self
            .briefing
            .history
            .iter()
            .map(|r| (distance_m([r.x_m, r.y_m], centre_m), r))
            .filter(|(d, _)| *d <= radius_m)
            .collect();
        near.sort_by(|a, b| a.0.total_cmp(&b.0));
        let records: Vec<Value> = near
            .iter()
            .take(50)
            .map(|(d, r)| {
                json!({
                    "at": self.local([r.x_m, r.y_m]),
                    "distance_m": d.round(),
                    "slip": r.slip,
                    "stopped": r.stopped,
                    "date": super::plain(&r.date, 30),
                    "note": super::plain(&r.note, 200),
                })
            })
            .collect();
        json!({"source": "drive history", "trusted": false, "records": records})
    }

    /// The labels for the model.
    pub fn labels_json(&self) -> Value {
        self.labels
            .iter()
            .map(|l| {
                json!({
                    "id": l.id,
                    "terrain_class": l.class.name(),
                    "outline": l.polygon.iter().map(|p| self.local(*p)).collect::<Vec<_>>(),
                    "risk": l.risk,
                    "action": l.action.name(),
                    "seen_in": l.source,
                })
            })
            .collect()
    }

    /// The routes for the model.
    pub fn routes_json(&self, most: usize) -> Value {
        self.routes
            .iter()
            .take(most)
            .map(|r| {
                json!({
                    "id": r.id,
                    "anchors": r.anchors.iter().map(|p| self.local(*p)).collect::<Vec<_>>(),
                    "figures": r.figures,
                })
            })
            .collect()
    }
}

/// The corners of a line: points on the straight between their neighbours are left out.
pub(crate) fn corners(line: &[Xy], off_m: f64) -> Vec<Xy> {
    let mut out: Vec<Xy> = Vec::new();
    let mut from = 0usize;
    out.extend(line.first());
    for i in 2..line.len() {
        let bends = (from + 1..i).any(|k| {
            sojourn_core::geometry::distance_to_segment_m(line[k], line[from], line[i]) > off_m
        });
        if bends {
            out.push(line[i - 1]);
            from = i - 1;
        }
    }
    if line.len() > 1 {
        out.extend(line.last());
    }
    out
}

/// Length in words that a model and a person read alike.
pub(crate) fn round2(v: f64) -> f64 {
    (v * 100.0).round() / 100.0
}

/// Length of a line from the start through a chain.
pub(crate) fn whole_line(start: Xy, chain: &[Xy]) -> (Vec<Xy>, f64) {
    let line: Vec<Xy> = std::iter::once(start)
        .chain(chain.iter().copied())
        .collect();
    let m = length_m(&line);
    (line, m)
}
