//! Labels of this planning run: from what a model says to what the search and people see.

use super::config::ModelConfig;
use serde::{Deserialize, Serialize};
use sojourn_core::classes::TerrainClass;
use sojourn_core::geometry::{Xy, in_polygon, segments_cross};
use sojourn_core::plan::Feature;

pub use crate::validator::{Action, Confidence, Science};

/// Cost that a metre of ground of this risk adds, whatever its class: 1 to 5.
const RISK_COST: [f64; 5] = [0.0, 0.5, 2.0, 8.0, 8.0];
/// Points along each side when two labels are compared.
const COMPARE: usize = 32;
/// Two labels with this much ground in common are one.
const SAME: f64 = 0.3;

/// A label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Its name, L1, L2, … or F1, F2, …
    pub id: String,
    /// What it is.
    pub class: TerrainClass,
    /// Outline, `map` metres.
    pub polygon: Vec<Xy>,
    /// 1 to 5.
    pub risk: u8,
    /// What to do about it.
    pub action: Action,
    /// How sure the model says it is.
    pub confidence: Confidence,
    /// Worth of a visit.
    pub science: Science,
    /// Views that show it.
    pub views: Vec<String>,
    /// Words for people.
    pub note: String,
    /// Who says so: the pass.
    pub source: String,
}

impl Label {
    /// Whether the route may not enter it.
    #[must_use]
    pub fn forbids(&self) -> bool {
        self.action == Action::Avoid || self.risk >= 5
    }

    /// How the plan carries it.
    #[must_use]
    pub fn feature(&self, model: &str) -> Feature {
        let confidence = match self.confidence {
            Confidence::Low => 0.4,
            Confidence::Medium => 0.7,
            Confidence::High => 0.9,
        };
        let by_risk = RISK_COST[usize::from(self.risk.clamp(1, 5)) - 1];
        Feature {
            class: self.class,
            polygon: self.polygon.clone(),
            confidence,
            source: format!("model {model}, {}", self.source),
            added_cost: by_risk.max(self.class.traits().added_cost * confidence),
            forbids: self.forbids(),
            risk: Some(self.risk),
            action: Some(self.action.name().into()),
            science: Some(self.science.name().into()),
            note: if self.views.is_empty() {
                format!("{}: {}", self.id, self.note)
            } else {
                format!("{} ({}): {}", self.id, self.views.join(", "), self.note)
            },
        }
    }
}

/// Why an outline is not one; `within` are the south-west and north-east corners of what it has to lie in, `most_m2` the
/// largest area.
#[must_use]
pub fn outline_fault(polygon: &[Xy], within: [Xy; 2], most_m2: f64) -> Option<String> {
    let n = polygon.len();
    if !(3..=12).contains(&n) {
        return Some(format!("the outline has {n} corners, expected 3 to 12"));
    }
    for p in polygon {
        let inside = (0..2).all(|k| p[k] >= within[0][k] - 1e-6 && p[k] <= within[1][k] + 1e-6);
        if !inside {
            return Some(format!(
                "the corner ({:.1}, {:.1}) lies off the map or the view",
                p[0], p[1]
            ));
        }
    }
    let next = |i: usize| polygon[(i + 1) % n];
    for i in 0..n {
        for j in i + 2..n {
            if !(i == 0 && j == n - 1) && segments_cross(polygon[i], next(i), polygon[j], next(j)) {
                return Some(format!("its sides {i} and {j} cross"));
            }
        }
    }
    let area_m2 = area_m2(polygon);
    (!(area_m2 > 0.01 && area_m2 <= most_m2)).then(|| {
        format!("its area is {area_m2:.1} m², expected more than 0 and at most {most_m2:.0} m²")
    })
}

/// Area of a polygon.
#[must_use]
pub fn area_m2(polygon: &[Xy]) -> f64 {
    let n = polygon.len();
    (0..n)
        .map(|i| {
            let (a, b) = (polygon[i], polygon[(i + 1) % n]);
            a[0] * b[1] - b[0] * a[1]
        })
        .sum::<f64>()
        .abs()
        / 2.0
}

/// Ground in common by ground of both together.
#[must_use]
pub fn iou(a: &[Xy], b: &[Xy]) -> f64 {
    let bound =
        |k: usize, f: fn(f64, f64) -> f64, from: f64| a.iter().chain(b).map(|p| p[k]).fold(from, f);
    let lo = [0, 1].map(|k| bound(k, f64::min, f64::INFINITY));
    let hi = [0, 1].map(|k| bound(k, f64::max, f64::NEG_INFINITY));
    let (mut both, mut any) = (0usize, 0usize);
    for j in 0..COMPARE {
        for i in 0..COMPARE {
            let at =
                |k: usize, i: usize| lo[k] + (hi[k] - lo[k]) * (i as f64 + 0.5) / COMPARE as f64;
            let p = [at(0, i), at(1, j)];
            let (in_a, in_b) = (in_polygon(p, a), in_polygon(p, b));
            both += usize::from(in_a && in_b);
            any += usize::from(in_a || in_b);
        }
    }
    if any == 0 {
        0.0
    } else {
        both as f64 / any as f64
    }
}

/// Where two passes see different things.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Disagreement {
    /// The label that holds.
    pub label: String,
    /// Risk after the first pass, 1 when it saw nothing.
    pub first: u8,
    /// Risk after the second, 1 when it saw nothing.
    pub second: u8,
    /// One sentence.
    pub text: String,
}

/// Two passes as one: the worse risk and the stricter action hold; what differs is told. Names are given anew, in order.
#[must_use]
pub fn merge(
    first: &[Label],
    second: &[Label],
    config: &ModelConfig,
) -> (Vec<Label>, Vec<Disagreement>) {
    let least = config.protocol.disagreement;
    let mut out: Vec<Label> = Vec::new();
    let mut differ = Vec::new();
    let mut taken = vec![false; second.len()];
    for a in first {
        let best = second
            .iter()
            .enumerate()
            .filter(|(k, _)| !taken[*k])
            .map(|(k, b)| (k, iou(&a.polygon, &b.polygon)))
            .filter(|(_, share)| *share >= SAME)
            .max_by(|x, y| x.1.total_cmp(&y.1).then(y.0.cmp(&x.0)));
        let mut both = a.clone();
        let seen = best.and_then(|(k, _)| Some((k, second.get(k)?)));
        if let Some((k, b)) = seen {
            taken[k] = true;
            let b_worse = (b.risk, b.forbids(), area_m2(&b.polygon)).partial_cmp(&(
                a.risk,
                a.forbids(),
                area_m2(&a.polygon),
            )) == Some(std::cmp::Ordering::Greater);
            if b_worse {
                both = b.clone();
            }
            both.source = "both passes".into();
            both.views = a.views.iter().chain(&b.views).cloned().collect();
            both.views.sort();
            both.views.dedup();
        }
        both.id = format!("L{}", out.len() + 1);
        let other = seen.map_or(1, |(_, b)| b.risk);
        if a.risk.abs_diff(other) >= least {
            differ.push(Disagreement {
                label: both.id.clone(),
                first: a.risk,
                second: other,
                text: match seen {
                    Some((_, b)) => format!(
                        "{}: {} of risk {} at first, {} of risk {other} at second sight",
                        both.id,
                        a.class.name(),
                        a.risk,
                        b.class.name()
                    ),
                    None => format!(
                        "{}: {} of risk {} was seen in the first pass only",
                        both.id,
                        a.class.name(),
                        a.risk
                    ),
                },
            });
        }
        out.push(both);
    }
    let left = second.iter().zip(&taken).filter(|(_, taken)| !**taken);
    for (b, _) in left {
        let mut only = b.clone();
        only.id = format!("L{}", out.len() + 1);
        if only.risk > least {
            differ.push(Disagreement {
                label: only.id.clone(),
                first: 1,
                second: only.risk,
                text: format!(
                    "{}: {} of risk {} was seen in the second pass only",
                    only.id,
                    only.class.name(),
                    only.risk
                ),
            });
        }
        out.push(only);
    }
    (out, differ)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(class: TerrainClass, risk: u8, x: f64, half: f64) -> Label {
        Label {
            id: String::new(),
            class,
            polygon: vec![
                [x - half, -half],
                [x + half, -half],
                [x + half, half],
                [x - half, half],
            ],
            risk,
            action: Action::Drive,
            confidence: Confidence::High,
            science: Science::None,
            views: vec!["V1".into()],
            note: "seen".into(),
            source: "first pass".into(),
        }
    }

    #[test]
    fn the_worse_of_two_passes_holds_and_the_difference_is_told() {
        let config = ModelConfig::shipped().unwrap();
        let first = [
            label(TerrainClass::SandRipples, 4, 0.0, 5.0),
            label(TerrainClass::Outcrop, 2, 40.0, 5.0),
            label(TerrainClass::LooseSoil, 5, 80.0, 5.0),
        ];
        let second = [
            label(TerrainClass::Bedrock, 1, 0.5, 5.0),
            label(TerrainClass::Outcrop, 3, 40.0, 4.5),
            label(TerrainClass::BoulderField, 4, 120.0, 5.0),
        ];
        let (out, differ) = merge(&first, &second, &config);
        let said: Vec<(TerrainClass, u8)> = out.iter().map(|l| (l.class, l.risk)).collect();
        assert_eq!(
            said,
            [
                (TerrainClass::SandRipples, 4),
                (TerrainClass::Outcrop, 3),
                (TerrainClass::LooseSoil, 5),
                (TerrainClass::BoulderField, 4)
            ]
        );
        let told: Vec<&str> = differ.iter().map(|d| d.label.as_str()).collect();
        assert_eq!(told, ["L1", "L3", "L4"]);
        // Whichever pass comes first, no ground becomes safer.
        let (back, _) = merge(&second, &first, &config);
        for l in first.iter().chain(&second) {
            for merged in [&out, &back] {
                assert!(
                    merged
                        .iter()
                        .any(|m| iou(&m.polygon, &l.polygon) > 0.5 && m.risk >= l.risk)
                );
            }
        }
    }

    #[test]
    fn labels_only_add_cost() {
        for risk in 1..=5 {
            for class in [
                TerrainClass::Bedrock,
                TerrainClass::SmoothRegolith,
                TerrainClass::LooseSoil,
            ] {
                let f = label(class, risk, 0.0, 1.0).feature("m");
                assert!(f.added_cost >= 0.0 && f.forbids == (risk == 5));
            }
        }
    }

    #[test]
    fn outlines_that_are_none_are_told() {
        let within = [[0.0, 0.0], [100.0, 100.0]];
        let fault = |p: &[Xy]| outline_fault(p, within, 2500.0);
        assert_eq!(fault(&[[1.0, 1.0], [9.0, 1.0], [9.0, 9.0]]), None);
        for bad in [
            vec![[1.0, 1.0], [9.0, 1.0]],
            vec![[1.0, 1.0], [9.0, 9.0], [9.0, 1.0], [1.0, 9.0]],
            vec![[1.0, 1.0], [200.0, 1.0], [9.0, 9.0]],
            vec![[1.0, 1.0], [f64::NAN, 1.0], [9.0, 9.0]],
            vec![[1.0, 1.0], [5.0, 5.0], [9.0, 9.0]],
            vec![[0.0, 0.0], [90.0, 0.0], [90.0, 90.0], [0.0, 90.0]],
        ] {
            assert!(fault(&bad).is_some(), "{bad:?}");
        }
    }
}
