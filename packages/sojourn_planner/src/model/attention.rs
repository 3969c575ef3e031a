//! Where a look at the image is worth most: ground on which the sources that need no model are apart or unsure.
//!
//! A model is paid by the view. Where elevation model, orbital classifier and earlier drives agree, its word adds little;
//! where one calls harmless what another calls a hazard, or one is not sure, it decides. Close views go there first. The
//! model is not told why it is shown a place, so that its word stays one of its own.

use super::briefing::Briefing;
use super::label::{Confidence, Label};
use crate::disagreement::{LEVELS, risk_of};
use crate::validator::Ground;
use sojourn_core::geometry::{Xy, distance_m, distance_to_segment_m, in_polygon};

/// Spacing of the points at which the sources are compared, metres.
const SPACING_M: f64 = 5.0;
/// Ground up to this far from a route counts, metres: a corridor's half width and room to go round.
const NEAR_M: f64 = 20.0;
/// Ground that a record of an earlier drive speaks of, metres around it.
const RECORD_M: f64 = 5.0;
/// Share of a limit of slope or roughness from which the elevation model alone is not sure.
const UNSURE_SHARE: f64 = 0.75;
/// Weight of ground of which a source is not sure; levels of disagreement count as many.
const UNSURE: f64 = 1.0;

/// A place worth a look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Doubt {
    pub at_m: Xy,
    /// Levels of risk between the most and the least worried source, and one more where a source is not sure.
    pub weight: f64,
}

/// The doubtful places along some lines, row by row from the south-west.
pub(crate) fn doubts(ground: &Ground<'_>, briefing: &Briefing, lines: &[Vec<Xy>]) -> Vec<Doubt> {
    let points = || lines.iter().flatten();
    let edge = |axis: usize, pick: fn(f64, f64) -> f64, from: f64| {
        points().map(|p| p[axis]).fold(from, pick)
    };
    let low = [0, 1].map(|k| edge(k, f64::min, f64::INFINITY) - NEAR_M);
    let high = [0, 1].map(|k| edge(k, f64::max, f64::NEG_INFINITY) + NEAR_M);
    let steps = |axis: usize| ((high[axis] - low[axis]) / SPACING_M).ceil().max(0.0) as usize;
    let mut out = Vec::new();
    for row in 0..steps(1) {
        for col in 0..steps(0) {
            let at_m = [
                low[0] + (col as f64 + 0.5) * SPACING_M,
                low[1] + (row as f64 + 0.5) * SPACING_M,
            ];
            let weight = weight(ground, briefing, at_m);
            if weight > 0.0 && near(at_m, lines) {
                out.push(Doubt { at_m, weight });
            }
        }
    }
    out
}

fn near(p: Xy, lines: &[Vec<Xy>]) -> bool {
    lines.iter().any(|line| {
        line.windows(2)
            .any(|w| distance_to_segment_m(p, w[0], w[1]) <= NEAR_M)
    })
}

fn weight(ground: &Ground<'_>, briefing: &Briefing, at_m: Xy) -> f64 {
    let (Some(dem), mut unsure) = by_elevation(ground, at_m) else {
        // Off the map, or no data there: closed ground, which no image opens.
        return 0.0;
    };
    let (mut least, mut most) = (dem, dem);
    let mut hear = |risk: u8| {
        least = least.min(risk);
        most = most.max(risk);
    };
    if let Some(labels) = &briefing.classified {
        let (risk, low) = by_labels(labels, at_m);
        hear(risk);
        unsure |= low;
    }
    for record in &briefing.history {
        if distance_m([record.x_m, record.y_m], at_m) <= RECORD_M {
            if record.slip.is_some() || record.stopped {
                hear(record.measured_risk(ground.rover.limits.slip));
            }
            if let Some(class) = record.seen {
                hear(risk_of(class));
            }
        }
    }
    let levels = most - least;
    let apart = if levels >= LEVELS {
        f64::from(levels)
    } else {
        0.0
    };
    apart + if unsure { UNSURE } else { 0.0 }
}

/// The risk by slope and roughness, and whether it is a near thing.
fn by_elevation(ground: &Ground<'_>, [x, y]: Xy) -> (Option<u8>, bool) {
    let (Some(slope), Some(rough)) = (ground.slope.nearest(x, y), ground.roughness.nearest(x, y))
    else {
        return (None, false);
    };
    let share = (slope / ground.bounds.slope_deg).max(rough / ground.bounds.roughness_m);
    match share {
        s if s >= 1.0 => (Some(5), false),
        s if s >= UNSURE_SHARE => (Some(3), true),
        _ => (Some(1), false),
    }
}

/// The worst label at a place, and whether one there is not sure.
fn by_labels(labels: &[Label], at_m: Xy) -> (u8, bool) {
    let here = labels.iter().filter(|l| in_polygon(at_m, &l.polygon));
    here.fold((1, false), |(risk, low), l| {
        (risk.max(l.risk), low || l.confidence == Confidence::Low)
    })
}

/// Middles of at most `most` squares with sides of `span_m` that hold the most doubt, the most first; what one shows
/// counts for no other.
pub(crate) fn most_doubtful(doubts: &[Doubt], span_m: f64, most: usize) -> Vec<Xy> {
    // Not quite to the edges, so that what lies around a place is seen as well.
    let reach_m = 0.4 * span_m;
    let shows = |middle: Xy, p: Xy| (0..2).all(|k| (middle[k] - p[k]).abs() <= reach_m);
    let mut left: Vec<Doubt> = doubts.to_vec();
    let mut out = Vec::new();
    while out.len() < most && !left.is_empty() {
        let held = |middle: Xy| -> f64 {
            left.iter()
                .filter(|d| shows(middle, d.at_m))
                .map(|d| d.weight)
                .sum()
        };
        // Of equal ones the first.
        let best = left.iter().fold(None, |best: Option<(f64, Xy)>, d| {
            let here = held(d.at_m);
            match best {
                Some((most, _)) if most >= here => best,
                _ => Some((here, d.at_m)),
            }
        });
        let Some((_, middle)) = best else { break };
        out.push(middle);
        left.retain(|d| !shows(middle, d.at_m));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubt(x: f64, y: f64, weight: f64) -> Doubt {
        Doubt {
            at_m: [x, y],
            weight,
        }
    }

    #[test]
    fn the_most_doubtful_ground_is_looked_at_first_and_nothing_twice() {
        // Three weak places together outweigh a strong one alone; a fourth lies out of reach of both.
        let doubts = [
            doubt(10.0, 0.0, 1.0),
            doubt(20.0, 0.0, 1.0),
            doubt(30.0, 0.0, 1.0),
            doubt(200.0, 0.0, 2.5),
            doubt(400.0, 0.0, 0.5),
        ];
        let looks = most_doubtful(&doubts, 50.0, 8);
        assert_eq!(looks, [[10.0, 0.0], [200.0, 0.0], [400.0, 0.0]]);
        assert_eq!(most_doubtful(&doubts, 50.0, 1), [[10.0, 0.0]]);
        assert!(most_doubtful(&[], 50.0, 8).is_empty());
    }
}
