//! Labels and routes against truth: what evaluations count.

mod detail;

pub use detail::{LabelDetail, Part, agreement, hazards, label_detail, stated_probability};

use crate::candidates::{Candidate, Preset, measured};
use crate::cost::CostMap;
use crate::error::PlanError;
use crate::model::Label;
use crate::slip::ExpectedSlip;
use sojourn_core::classes::TerrainClass;
use sojourn_core::constraints::Constraints;
use sojourn_core::geometry::{Xy, in_polygon};
use sojourn_core::plan::Feature;
use sojourn_core::raster::Raster;
use sojourn_core::rover::Rover;
use sojourn_core::site::Site;

/// Risk from which ground counts as a hazard.
pub const HAZARD: u8 = 4;
/// Hazards smaller than this are not looked for one by one, square metres.
const LEAST_M2: f64 = 25.0;

/// Labels of one scene against its truth.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LabelScore {
    /// Hazardous ground, square metres.
    pub hazard_m2: f64,
    /// Of it, ground that no label of risk 4 or 5 covers.
    pub missed_m2: f64,
    /// Ground that is no hazard, square metres.
    pub harmless_m2: f64,
    /// Of it, ground that a label of risk 4 or 5 covers.
    pub false_m2: f64,
    /// Sum of the distances between the middles of hazards and of what the labels show of them, metres.
    pub centroid_sum_m: f64,
    /// Hazards that a label touches.
    pub found: usize,
    /// Hazards.
    pub hazards: usize,
}

impl LabelScore {
    /// Share of hazardous ground that was missed.
    #[must_use]
    pub fn missed(&self) -> Option<f64> {
        (self.hazard_m2 > 0.0).then(|| self.missed_m2 / self.hazard_m2)
    }

    /// Share of harmless ground that was called hazardous.
    #[must_use]
    pub fn false_alarm(&self) -> Option<f64> {
        (self.harmless_m2 > 0.0).then(|| self.false_m2 / self.harmless_m2)
    }

    /// Ground that both call hazardous by ground that one of them does.
    #[must_use]
    pub fn iou(&self) -> Option<f64> {
        let any = self.hazard_m2 + self.false_m2;
        (any > 0.0).then(|| (self.hazard_m2 - self.missed_m2) / any)
    }

    /// Mean distance of the middles of hazards that were found.
    #[must_use]
    pub fn centroid_error_m(&self) -> Option<f64> {
        (self.found > 0).then(|| self.centroid_sum_m / self.found as f64)
    }
}

/// The risk that a class really is, 1 to 5.
#[must_use]
pub fn true_risk(class: TerrainClass) -> u8 {
    match class {
        TerrainClass::CraterOrScarp => 5,
        TerrainClass::SandRipples | TerrainClass::LooseSoil | TerrainClass::BoulderField => 4,
        TerrainClass::Outcrop | TerrainClass::ShadowOrNoData | TerrainClass::Unknown => 3,
        TerrainClass::Bedrock => 2,
        TerrainClass::SmoothRegolith => 1,
    }
}

/// Scores labels over the whole of a raster of class codes; cells without a known code do not count.
#[must_use]
pub fn score_labels(labels: &[Label], truth: &Raster) -> LabelScore {
    let (cols, rows) = (truth.cols(), truth.rows());
    let cell_m2 = truth.resolution_m().powi(2);
    let hazard: Vec<Option<bool>> = truth.data().iter().map(|v| hazard_of(*v)).collect();
    let called: Vec<bool> = (0..cols * rows)
        .map(|i| {
            let p = truth.centre_m(i % cols, i / cols);
            labels
                .iter()
                .any(|l| l.risk >= HAZARD && in_polygon(p, &l.polygon))
        })
        .collect();
    let mut out = LabelScore::default();
    for (h, c) in hazard.iter().zip(&called) {
        match h {
            Some(true) => {
                out.hazard_m2 += cell_m2;
                out.missed_m2 += if *c { 0.0 } else { cell_m2 };
            }
            Some(false) => {
                out.harmless_m2 += cell_m2;
                out.false_m2 += if *c { cell_m2 } else { 0.0 };
            }
            None => {}
        }
    }
    for part in parts(&hazard, cols, rows) {
        if part.len() as f64 * cell_m2 < LEAST_M2 {
            continue;
        }
        out.hazards += 1;
        let middle = |cells: &mut dyn Iterator<Item = usize>| {
            let (mut sum, mut n) = ([0.0; 2], 0.0f64);
            for i in cells {
                let p = truth.centre_m(i % cols, i / cols);
                sum = [sum[0] + p[0], sum[1] + p[1]];
                n += 1.0;
            }
            (n > 0.0).then(|| [sum[0] / n, sum[1] / n])
        };
        // What the labels that touch it cover, within it and beside it.
        let touching: Vec<&Label> = labels
            .iter()
            .filter(|l| {
                l.risk >= HAZARD
                    && part
                        .iter()
                        .any(|i| in_polygon(truth.centre_m(i % cols, i / cols), &l.polygon))
            })
            .collect();
        let seen = middle(&mut (0..cols * rows).filter(|i| {
            called[*i] && {
                let p = truth.centre_m(i % cols, i / cols);
                touching.iter().any(|l| in_polygon(p, &l.polygon))
            }
        }));
        if let (Some(a), Some(b)) = (middle(&mut part.iter().copied()), seen) {
            out.found += 1;
            out.centroid_sum_m += (a[0] - b[0]).hypot(a[1] - b[1]);
        }
    }
    out
}

fn hazard_of(code: f32) -> Option<bool> {
    if !(0.0..255.0).contains(&code) {
        return None;
    }
    TerrainClass::from_code(code.round() as u8).map(|c| true_risk(c) >= HAZARD)
}

/// Connected hazards (by sides), each as its cells in order.
fn parts(hazard: &[Option<bool>], cols: usize, rows: usize) -> Vec<Vec<usize>> {
    let mut seen = vec![false; hazard.len()];
    let mut out = Vec::new();
    for first in 0..hazard.len() {
        if seen[first] || hazard[first] != Some(true) {
            continue;
        }
        seen[first] = true;
        let (mut part, mut next) = (Vec::new(), vec![first]);
        while let Some(i) = next.pop() {
            part.push(i);
            let (c, r) = (i % cols, i / cols);
            let mut step = |ok: bool, j: usize| {
                if ok && !seen[j] && hazard[j] == Some(true) {
                    seen[j] = true;
                    next.push(j);
                }
            };
            step(c > 0, i.wrapping_sub(1));
            step(c + 1 < cols, i + 1);
            step(r > 0, i.wrapping_sub(cols));
            step(r + 1 < rows, i + cols);
        }
        part.sort_unstable();
        out.push(part);
    }
    out
}

/// Metres of a line over hazardous ground.
#[must_use]
pub fn hazard_m(line: &[Xy], truth: &Raster) -> f64 {
    let step_m = 0.25f64.min(truth.resolution_m());
    let points = crate::smooth::densify(line, step_m);
    points
        .windows(2)
        .filter(|w| {
            let middle = [0.5 * (w[0][0] + w[1][0]), 0.5 * (w[0][1] + w[1][1])];
            truth
                .nearest(middle[0], middle[1])
                .and_then(|v| hazard_of(v as f32))
                == Some(true)
        })
        .map(|w| (w[1][0] - w[0][0]).hypot(w[1][1] - w[0][1]))
        .sum()
}

/// The figures of a line over the ground with labels; `None` when it crosses closed ground.
///
/// # Errors
/// [`PlanError::Core`] when the site has no elevation.
pub fn line_figures(
    line: &[Xy],
    site: &Site,
    rover: &Rover,
    constraints: &Constraints,
    features: &[Feature],
) -> Result<Option<Candidate>, PlanError> {
    let slip = ExpectedSlip::of(rover)?;
    let map = CostMap::new(site, rover, constraints, features, &slip)?;
    Ok(measured(&map, line.to_vec(), Preset::Balanced))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Action, Confidence, Science};

    pub(super) fn label(lo: Xy, hi: Xy, risk: u8) -> Label {
        Label {
            id: "L1".into(),
            class: TerrainClass::SandRipples,
            polygon: vec![lo, [hi[0], lo[1]], hi, [lo[0], hi[1]]],
            risk,
            action: Action::Skirt,
            confidence: Confidence::High,
            science: Science::None,
            views: vec![],
            note: String::new(),
            source: "test".into(),
        }
    }

    /// Sand in [20, 40) x [20, 40) of 100 m x 100 m, and a patch of which nothing is known.
    pub(super) fn truth() -> Raster {
        Raster::filled(100, 100, 1.0, [0.0, 0.0], 0.0)
            .unwrap()
            .like(|c, r| {
                if (20..40).contains(&c) && (20..40).contains(&r) {
                    f32::from(TerrainClass::SandRipples.code())
                } else if c < 10 && r < 10 {
                    f32::NAN
                } else {
                    f32::from(TerrainClass::SmoothRegolith.code())
                }
            })
    }

    #[test]
    fn areas_and_middles_are_counted() {
        let t = truth();
        let none = score_labels(&[], &t);
        assert_eq!(
            (none.missed(), none.false_alarm(), none.iou(), none.hazards),
            (Some(1.0), Some(0.0), Some(0.0), 1)
        );
        assert_eq!(none.centroid_error_m(), None);
        let all = score_labels(&[label([20.0, 20.0], [40.0, 40.0], 4)], &t);
        assert_eq!(
            (all.missed(), all.false_alarm(), all.iou()),
            (Some(0.0), Some(0.0), Some(1.0))
        );
        assert!(all.centroid_error_m().unwrap() < 1e-9);
        // Ten metres to the east: half is missed, as much is false.
        let off = score_labels(&[label([30.0, 20.0], [50.0, 40.0], 5)], &t);
        assert_eq!(off.missed(), Some(0.5));
        assert!(
            (off.iou().unwrap() - 1.0 / 3.0).abs() < 1e-9
                && (off.centroid_error_m().unwrap() - 10.0).abs() < 1e-9
        );
        assert!((off.false_m2 - 200.0).abs() < 1e-9 && (off.harmless_m2 - 9500.0).abs() < 1e-9);
        // A label of low risk is none.
        assert_eq!(
            score_labels(&[label([20.0, 20.0], [40.0, 40.0], 3)], &t).missed(),
            Some(1.0)
        );
    }

    #[test]
    fn metres_on_hazards_are_counted() {
        let t = truth();
        assert!((hazard_m(&[[0.0, 30.0], [99.0, 30.0]], &t) - 20.0).abs() < 0.5);
        assert!(hazard_m(&[[0.0, 60.0], [99.0, 60.0]], &t) < 1e-9);
    }
}
