//! What stands behind the figures of a scene's labels: classes, how far words of confidence hold, two sets of labels.

use super::{HAZARD, hazard_of};
use crate::model::{Confidence, Label};
use serde::{Deserialize, Serialize};
use sojourn_core::classes::TerrainClass;
use sojourn_core::geometry::{Xy, in_polygon};
use sojourn_core::raster::Raster;
use std::collections::BTreeMap;

/// Ground and a part of it, square metres.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// All of it.
    pub whole_m2: f64,
    /// The part that is meant.
    pub part_m2: f64,
}

impl Part {
    fn add(&mut self, cell_m2: f64, in_part: bool) {
        self.whole_m2 += cell_m2;
        self.part_m2 += if in_part { cell_m2 } else { 0.0 };
    }

    /// The part by the whole; `None` where there is nothing.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        (self.whole_m2 > 0.0).then(|| self.part_m2 / self.whole_m2)
    }
}

/// Labels of one scene in detail.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelDetail {
    /// Hazardous ground by its true class; the part that was missed.
    pub missed: BTreeMap<String, Part>,
    /// Labelled ground by the worst risk stated; the part that is a hazard.
    pub by_risk: BTreeMap<u8, Part>,
    /// Ground called hazardous by the word of confidence (the surest of its labels); the part that is a hazard.
    pub by_confidence: BTreeMap<String, Part>,
    /// Ground that two passes called hazardous; the part that both did. Nothing where there were no two.
    pub passes: Part,
}

/// The probability that a word of confidence is judged by: nine, seven and five of ten such labels right.
#[must_use]
pub fn stated_probability(confidence: &str) -> Option<f64> {
    match confidence {
        "high" => Some(0.9),
        "medium" => Some(0.7),
        "low" => Some(0.5),
        _ => None,
    }
}

impl LabelDetail {
    /// Expected calibration error of the words of confidence: by how much the share that is a hazard is off what the word
    /// stands for, over the ground. `None` where nothing was called hazardous.
    #[must_use]
    pub fn calibration_error(&self) -> Option<f64> {
        let all: f64 = self.by_confidence.values().map(|p| p.whole_m2).sum();
        let off = self.by_confidence.iter().filter_map(|(word, part)| {
            Some(part.whole_m2 * (part.share()? - stated_probability(word)?).abs())
        });
        (all > 0.0).then(|| off.sum::<f64>() / all)
    }
}

fn word(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::High => "high",
        Confidence::Medium => "medium",
        Confidence::Low => "low",
    }
}

/// Labels over the whole of a raster of class codes; cells without a known code do not count. `passes` is how many times the
/// ground was looked at: after two, what one of them alone called hazardous counts against their agreement, also where the
/// other called nothing so.
#[must_use]
pub fn label_detail(labels: &[Label], passes: u8, truth: &Raster) -> LabelDetail {
    let cell_m2 = truth.resolution_m().powi(2);
    let mut out = LabelDetail::default();
    let two = passes >= 2;
    for (i, code) in truth.data().iter().enumerate() {
        let Some(hazard) = hazard_of(*code) else {
            continue;
        };
        let p = truth.centre_m(i % truth.cols(), i / truth.cols());
        let here: Vec<&Label> = labels
            .iter()
            .filter(|l| in_polygon(p, &l.polygon))
            .collect();
        let called: Vec<&&Label> = here.iter().filter(|l| l.risk >= HAZARD).collect();
        if hazard && let Some(class) = TerrainClass::from_code(code.round() as u8) {
            let missed = out.missed.entry(class.name().into()).or_default();
            missed.add(cell_m2, called.is_empty());
        }
        if let Some(risk) = here.iter().map(|l| l.risk).max() {
            out.by_risk.entry(risk).or_default().add(cell_m2, hazard);
        }
        let surest = called
            .iter()
            .map(|l| l.confidence)
            .max_by(|a, b| sureness(*a).total_cmp(&sureness(*b)));
        if let Some(confidence) = surest {
            let entry = out.by_confidence.entry(word(confidence).into());
            entry.or_default().add(cell_m2, hazard);
        }
        if two && !called.is_empty() {
            let seen = |pass: &str| called.iter().any(|l| l.source == pass);
            let both = seen("both passes") || (seen("first pass") && seen("second pass"));
            out.passes.add(cell_m2, both);
        }
    }
    out
}

fn sureness(confidence: Confidence) -> f64 {
    stated_probability(word(confidence)).unwrap_or(0.0)
}

/// Ground that both of two sets of hazardous outlines cover, by ground that one of them does; `None` where neither does.
#[must_use]
pub fn agreement(a: &[Vec<Xy>], b: &[Vec<Xy>], extent: &Raster) -> Option<f64> {
    let covers = |set: &[Vec<Xy>], p: Xy| set.iter().any(|o| in_polygon(p, o));
    let (mut any, mut both) = (0usize, 0usize);
    for i in 0..extent.data().len() {
        let p = extent.centre_m(i % extent.cols(), i / extent.cols());
        let (x, y) = (covers(a, p), covers(b, p));
        any += usize::from(x || y);
        both += usize::from(x && y);
    }
    (any > 0).then(|| both as f64 / any as f64)
}

/// Outlines of what is called hazardous.
#[must_use]
pub fn hazards(labels: &[Label]) -> Vec<Vec<Xy>> {
    let called = labels.iter().filter(|l| l.risk >= HAZARD);
    called.map(|l| l.polygon.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{label, truth};
    use super::*;

    #[test]
    fn classes_risks_and_words_are_counted_apart() {
        let t = truth();
        // The western half of the sand, sure of it and right; as much beside it, not sure and wrong.
        let mut right = label([20.0, 20.0], [30.0, 40.0], 4);
        right.source = "both passes".into();
        let mut wrong = label([50.0, 20.0], [60.0, 40.0], 5);
        (wrong.confidence, wrong.source) = (Confidence::Low, "second pass".into());
        let harmless = label([70.0, 20.0], [80.0, 40.0], 2);
        let d = label_detail(&[right.clone(), wrong.clone(), harmless], 2, &t);
        assert_eq!(d.missed["sand_ripples"].share(), Some(0.5));
        assert_eq!(d.by_risk[&4].share(), Some(1.0));
        assert_eq!(d.by_risk[&5].share(), Some(0.0));
        assert_eq!(
            (d.by_risk[&2].whole_m2, d.by_risk[&2].part_m2),
            (200.0, 0.0)
        );
        assert_eq!(d.by_confidence["high"].share(), Some(1.0));
        assert_eq!(d.by_confidence["low"].share(), Some(0.0));
        // 0.1 off where it was sure, 0.5 where it was not, over as much ground.
        assert!((d.calibration_error().unwrap() - 0.3).abs() < 1e-12);
        assert_eq!(d.passes.share(), Some(0.5));
        // A second look that saw nothing agrees with none of what the first saw; one look alone agrees with nobody.
        let mut first = right.clone();
        first.source = "first pass".into();
        let alone = |passes| {
            label_detail(std::slice::from_ref(&first), passes, &t)
                .passes
                .share()
        };
        assert_eq!((alone(2), alone(1)), (Some(0.0), None));
        let none = label_detail(&[], 2, &t);
        assert_eq!(
            (none.calibration_error(), none.passes.share()),
            (None, None)
        );
        assert_eq!(none.missed["sand_ripples"].share(), Some(1.0));
    }

    #[test]
    fn agreement_is_of_ground() {
        let t = truth();
        let (a, b) = (
            label([20.0, 20.0], [40.0, 40.0], 4),
            label([30.0, 20.0], [50.0, 40.0], 4),
        );
        let low = label([0.0, 0.0], [90.0, 90.0], 3);
        let [a, b] = [[a, low.clone()], [b, low]].map(|l| hazards(&l));
        assert_eq!(agreement(&a, &a, &t), Some(1.0));
        assert!((agreement(&a, &b, &t).unwrap() - 1.0 / 3.0).abs() < 1e-9);
        assert_eq!(agreement(&[], &[], &t), None);
    }
}
