//! Where the sources of what the ground is disagree: model, orbital classifier, images from the surface, measured slip.
//!
//! Sources are kept apart, never averaged away. In every cell each source that looked there has a risk of 1 to 5; where
//! two or more did, the layer holds how many levels lie between the most and the least worried of them. It is for people
//! and for the twin, and changes no route: the worst label has made the ground dearer already. What lies near the way
//! goes with the plan ([`Disputes`]).

use crate::model::{Briefing, Label, View};
use crate::route::PlanOutcome;
use serde::Serialize;
use sojourn_core::CoreError;
use sojourn_core::classes::TerrainClass;
use sojourn_core::geometry::{Xy, distance_to_segment_m, in_polygon};
use sojourn_core::plan::{DisputedGround, Disputes, MAX_DISPUTED, ModelLevel};
use sojourn_core::raster::Raster;

/// Ground that a record of an earlier drive speaks of, metres around it.
const RECORD_M: f64 = 3.0;
/// Cells of the layer are not finer than this, metres: no source knows better.
const LEAST_CELL_M: f64 = 1.0;
/// Levels of risk between two sources from which they disagree.
pub const LEVELS: u8 = 2;
/// Spacing of the points at which a route is looked at, metres.
const STEP_M: f64 = 0.5;
/// Ground up to this far from the way goes with the plan, metres: a corridor's half width and what a map may be off.
const NEAR_M: f64 = 12.0;

/// What one source says.
#[derive(Clone, Debug, PartialEq)]
pub struct Voice {
    /// Who: "model", "orbital classifier", "surface images", "measured slip".
    pub source: String,
    /// Ground that it looked at, polygons in `map` metres; `None` for all of the map. What it looked at and did not
    /// label has risk 1.
    pub looked_at: Option<Vec<Vec<Xy>>>,
    /// Outlines in `map` metres and their risk, 1 to 5.
    pub says: Vec<(Vec<Xy>, u8)>,
}

/// How a pair of sources compares.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pair {
    /// Both names, in the order of the sources.
    pub sources: [String; 2],
    /// Ground that both looked at, square metres.
    pub both_m2: f64,
    /// Ground on which they disagree, square metres.
    pub disagree_m2: f64,
}

/// Figures of a layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DisagreementFigures {
    /// Who was heard.
    pub sources: Vec<String>,
    /// Levels of risk that count as disagreement.
    pub levels: u8,
    /// Share of the map that two or more sources looked at.
    pub compared_share: f64,
    /// Share of that on which they disagree; 0 where nothing could be compared.
    pub disagree_share: f64,
    /// Length of the route over ground that two or more looked at, metres.
    pub route_compared_m: f64,
    /// Length of the route over ground on which they disagree, metres.
    pub route_disagree_m: f64,
    /// Every two sources.
    pub pairs: Vec<Pair>,
}

/// The layer and its figures.
#[derive(Clone, Debug, PartialEq)]
pub struct DisagreementLayer {
    /// Levels between the most and the least worried source, 0 to 4; no data where fewer than two looked.
    pub levels: Raster,
    /// Figures.
    pub figures: DisagreementFigures,
    /// What goes with a plan along the route.
    pub disputes: Disputes,
}

impl Voice {
    /// A source with labels over all of the map.
    #[must_use]
    pub fn everywhere(source: &str, labels: &[Label]) -> Self {
        Self {
            source: source.into(),
            looked_at: None,
            says: labels.iter().map(|l| (l.polygon.clone(), l.risk)).collect(),
        }
    }

    /// A model with its labels over the views that it was shown.
    #[must_use]
    pub fn of_views(source: &str, labels: &[Label], views: &[View]) -> Self {
        let squares = views
            .iter()
            .map(|v| {
                let ([x, y], s) = (v.north_west_m, v.span_m);
                vec![[x, y], [x + s, y], [x + s, y - s], [x, y - s]]
            })
            .collect();
        Self {
            looked_at: Some(squares),
            ..Self::everywhere(source, labels)
        }
    }

    /// The model of a plan that was made with one; `None` where it gave nothing: then it said nothing of the ground that it
    /// was shown.
    #[must_use]
    pub fn of_outcome(outcome: &PlanOutcome) -> Option<Self> {
        let record = outcome.model.as_ref()?;
        (outcome.plan.model.level != Some(ModelLevel::GeometryOnly))
            .then(|| Self::of_views("model", &record.labels, &record.views))
    }

    /// What earlier drives measured and what their images showed: one voice for the slip and one for the images, each
    /// where it says something.
    #[must_use]
    pub fn of_history(briefing: &Briefing, slip_limit: f64) -> Vec<Self> {
        let mut slip = Vec::new();
        let mut seen = Vec::new();
        for r in &briefing.history {
            let at = square([r.x_m, r.y_m], RECORD_M);
            if r.slip.is_some() || r.stopped {
                slip.push((at.clone(), r.measured_risk(slip_limit)));
            }
            if let Some(class) = r.seen {
                seen.push((at, risk_of(class)));
            }
        }
        [("measured slip", slip), ("surface images", seen)]
            .into_iter()
            .filter(|(_, says)| !says.is_empty())
            .map(|(source, says)| Self {
                source: source.into(),
                looked_at: Some(
                    says.iter()
                        .map(|(p, _): &(Vec<Xy>, u8)| p.clone())
                        .collect(),
                ),
                says,
            })
            .collect()
    }
}

/// The risk that a class stands for, 1 to 5, by what its label would add to the cost.
pub(crate) fn risk_of(class: TerrainClass) -> u8 {
    let t = class.traits();
    match t.added_cost {
        _ if t.forbids => 5,
        c if c > 2.0 => 4,
        c if c > 0.5 => 3,
        c if c > 0.0 => 2,
        _ => 1,
    }
}

fn square([x, y]: Xy, half_m: f64) -> Vec<Xy> {
    vec![
        [x - half_m, y - half_m],
        [x + half_m, y - half_m],
        [x + half_m, y + half_m],
        [x - half_m, y + half_m],
    ]
}

/// Compares the sources over the extent of a raster and along a route; `None` when there are fewer than two.
///
/// # Errors
/// [`CoreError`] when the extent makes no raster.
pub fn disagreement(
    extent: &Raster,
    voices: &[Voice],
    route: &[Xy],
) -> Result<Option<DisagreementLayer>, CoreError> {
    if voices.len() < 2 {
        return Ok(None);
    }
    let cell_m = extent.resolution_m().max(LEAST_CELL_M);
    let [width_m, height_m] = extent.size_m();
    let cells = |m: f64| (m / cell_m).ceil().max(1.0) as usize;
    let grid = Raster::filled(
        cells(width_m),
        cells(height_m),
        cell_m,
        extent.origin_m(),
        f32::NAN,
    )?;
    let heard: Vec<Vec<u8>> = voices.iter().map(|v| heard(&grid, v)).collect();
    let mut levels = grid.data().to_vec();
    for (i, level) in levels.iter_mut().enumerate() {
        let said = heard.iter().map(|h| h[i]).filter(|r| *r > 0);
        let (n, low, high) = said.fold((0, u8::MAX, 0), |(n, low, high), r| {
            (n + 1, low.min(r), high.max(r))
        });
        if n >= 2 {
            *level = f32::from(high - low);
        }
    }
    let levels = Raster::new(grid.cols(), grid.rows(), cell_m, grid.origin_m(), levels)?;
    let figures = figures(&levels, voices, &heard, route);
    let disputes = disputes(&levels, voices, &heard, route, &figures);
    Ok(Some(DisagreementLayer {
        levels,
        figures,
        disputes,
    }))
}

/// Disputed ground near a route as rectangles; when there is too much of it, that which is nearest.
fn disputes(
    levels: &Raster,
    voices: &[Voice],
    heard: &[Vec<u8>],
    route: &[Xy],
    figures: &DisagreementFigures,
) -> Disputes {
    let mut within_m = NEAR_M;
    let mut pieces = rectangles(levels, heard, route);
    if pieces.len() > MAX_DISPUTED {
        pieces.sort_by(|a, b| a.far_m.total_cmp(&b.far_m));
        // The first that is left out says how far the list reaches.
        within_m = pieces.get(MAX_DISPUTED).map_or(within_m, |p| p.far_m);
        pieces.truncate(MAX_DISPUTED);
    }
    let name = |i: usize| voices.get(i).map_or(String::new(), |v| v.source.clone());
    let cell_m = levels.resolution_m();
    let corner = |c: usize, r: usize| {
        let [x, y] = levels.origin_m();
        [x + c as f64 * cell_m, y + r as f64 * cell_m]
    };
    Disputes {
        sources: figures.sources.clone(),
        from_levels: LEVELS,
        within_m,
        compared_m: figures.route_compared_m,
        disputed_m: figures.route_disagree_m,
        grounds: pieces
            .iter()
            .map(|p| DisputedGround {
                min_m: corner(p.cols[0], p.rows[0]),
                max_m: corner(p.cols[1], p.rows[1]),
                levels: p.who.0,
                most_worried: name(p.who.1),
                least_worried: name(p.who.2),
            })
            .collect(),
    }
}

/// Levels, the most and the least worried source of a cell.
type Who = (u8, usize, usize);

/// Cells alike that make a rectangle; columns and rows up to, not with, the second.
struct Piece {
    cols: [usize; 2],
    rows: [usize; 2],
    who: Who,
    far_m: f64,
}

/// Disputed cells near a route, joined along rows, then rows of the same columns.
fn rectangles(levels: &Raster, heard: &[Vec<u8>], route: &[Xy]) -> Vec<Piece> {
    let far_m = |c: usize, r: usize| {
        let p = levels.centre_m(c, r);
        route
            .windows(2)
            .map(|w| distance_to_segment_m(p, w[0], w[1]))
            .fold(f64::INFINITY, f64::min)
    };
    let (mut done, mut open): (Vec<Piece>, Vec<Piece>) = (Vec::new(), Vec::new());
    for r in 0..levels.rows() {
        let mut runs: Vec<Piece> = Vec::new();
        for c in 0..levels.cols() {
            if !(levels.get(c, r) >= f32::from(LEVELS)) {
                continue;
            }
            let far_m = far_m(c, r);
            let who = who(heard, r * levels.cols() + c);
            let (Some(who), true) = (who, far_m <= NEAR_M) else {
                continue;
            };
            match runs.last_mut() {
                Some(run) if run.cols[1] == c && run.who == who => {
                    run.cols[1] = c + 1;
                    run.far_m = run.far_m.min(far_m);
                }
                _ => runs.push(Piece {
                    cols: [c, c + 1],
                    rows: [r, r + 1],
                    who,
                    far_m,
                }),
            }
        }
        for run in &mut runs {
            let above = open
                .iter()
                .position(|o| o.cols == run.cols && o.who == run.who);
            if let Some(above) = above.map(|k| open.remove(k)) {
                run.rows[0] = above.rows[0];
                run.far_m = run.far_m.min(above.far_m);
            }
        }
        done.append(&mut open);
        open = runs;
    }
    done.append(&mut open);
    done
}

/// The first of the most and of the least worried sources that looked at a cell.
fn who(heard: &[Vec<u8>], cell: usize) -> Option<Who> {
    let said = || {
        let risks = heard
            .iter()
            .enumerate()
            .filter_map(|(k, h)| Some((k, *h.get(cell)?)));
        risks.filter(|(_, risk)| *risk > 0)
    };
    let most = said().reduce(|a, b| if b.1 > a.1 { b } else { a })?;
    let least = said().reduce(|a, b| if b.1 < a.1 { b } else { a })?;
    Some((most.1 - least.1, most.0, least.0))
}

/// The risk by one source in every cell, 0 where it did not look.
fn heard(grid: &Raster, voice: &Voice) -> Vec<u8> {
    let silent = if voice.looked_at.is_none() { 1 } else { 0 };
    let mut out = vec![silent; grid.data().len()];
    for polygon in voice.looked_at.iter().flatten() {
        paint(grid, polygon, &mut out, |_| 1);
    }
    let listening = out.clone();
    for (polygon, risk) in &voice.says {
        let risk = (*risk).clamp(1, 5);
        paint(grid, polygon, &mut out, |i| {
            // Nobody speaks of ground that he did not look at.
            if listening[i] == 0 { 0 } else { risk }
        });
    }
    out
}

/// Raises the cells whose middles lie in a polygon.
fn paint(grid: &Raster, polygon: &[Xy], out: &mut [u8], value: impl Fn(usize) -> u8) {
    let (cols, rows) = (grid.cols(), grid.rows());
    let span = |axis: usize, n: usize| {
        let low = polygon
            .iter()
            .map(|p| p[axis])
            .fold(f64::INFINITY, f64::min);
        let high = polygon
            .iter()
            .map(|p| p[axis])
            .fold(f64::NEG_INFINITY, f64::max);
        let cell = |v: f64| (v - grid.origin_m()[axis]) / grid.resolution_m();
        // Saturating casts: what lies outside becomes the border.
        (
            cell(low).floor().max(0.0) as usize,
            (cell(high).ceil().max(0.0) as usize).min(n),
        )
    };
    let ((c0, c1), (r0, r1)) = (span(0, cols), span(1, rows));
    for r in r0..r1 {
        for c in c0..c1 {
            let i = r * cols + c;
            if in_polygon(grid.centre_m(c, r), polygon) {
                out[i] = out[i].max(value(i));
            }
        }
    }
}

fn figures(
    levels: &Raster,
    voices: &[Voice],
    heard: &[Vec<u8>],
    route: &[Xy],
) -> DisagreementFigures {
    let cell_m2 = levels.resolution_m() * levels.resolution_m();
    let compared = levels.data().iter().filter(|v| !v.is_nan()).count() as f64;
    let apart = |v: f32| v >= f32::from(LEVELS);
    let disagree = levels.data().iter().filter(|v| apart(**v)).count() as f64;
    let mut pairs = Vec::new();
    for a in 0..voices.len() {
        for b in a + 1..voices.len() {
            let both = || {
                let cells = heard[a].iter().zip(&heard[b]);
                cells.filter(|(x, y)| **x > 0 && **y > 0)
            };
            pairs.push(Pair {
                sources: [voices[a].source.clone(), voices[b].source.clone()],
                both_m2: both().count() as f64 * cell_m2,
                disagree_m2: both().filter(|(x, y)| x.abs_diff(**y) >= LEVELS).count() as f64
                    * cell_m2,
            });
        }
    }
    let (mut route_compared_m, mut route_disagree_m) = (0.0, 0.0);
    for w in crate::smooth::densify(route, STEP_M).windows(2) {
        let (a, b) = (w[0], w[1]);
        let middle = [0.5 * (a[0] + b[0]), 0.5 * (a[1] + b[1])];
        let step_m = sojourn_core::geometry::distance_m(a, b);
        let level = levels
            .cell_of(middle[0], middle[1])
            .map_or(f32::NAN, |(c, r)| levels.get(c, r));
        if !level.is_nan() {
            route_compared_m += step_m;
        }
        if apart(level) {
            route_disagree_m += step_m;
        }
    }
    let tenth = |m: f64| (10.0 * m).round() / 10.0;
    DisagreementFigures {
        sources: voices.iter().map(|v| v.source.clone()).collect(),
        levels: LEVELS,
        compared_share: compared / levels.data().len().max(1) as f64,
        disagree_share: if compared > 0.0 {
            disagree / compared
        } else {
            0.0
        },
        route_compared_m: tenth(route_compared_m),
        route_disagree_m: tenth(route_disagree_m),
        pairs,
    }
}

#[cfg(test)]
mod tests;
