//! What of the layer goes with a plan: disputed ground near its way, as rectangles.

use super::{DisagreementFigures, LEVELS, Voice};
use sojourn_core::geometry::{Xy, distance_to_segment_m};
use sojourn_core::plan::{DisputedGround, Disputes, MAX_DISPUTED};
use sojourn_core::raster::Raster;

/// Ground up to this far from the way goes with the plan, metres: a corridor's half width and what a map may be off.
pub(super) const NEAR_M: f64 = 12.0;

/// Disputed ground near a route as rectangles; when there is too much of it, that which is nearest.
pub(super) fn disputes(
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
        let risks = heard.iter().enumerate().filter_map(|(k, h)| Some((k, *h.get(cell)?)));
        risks.filter(|(_, risk)| *risk > 0)
    };
    let most = said().reduce(|a, b| if b.1 > a.1 { b } else { a })?;
    let least = said().reduce(|a, b| if b.1 < a.1 { b } else { a })?;
    Some((most.1 - least.1, most.0, least.0))
}
