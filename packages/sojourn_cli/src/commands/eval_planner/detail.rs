//! What stands behind the figures, over all scenes: classes, calibration, quality against tokens.

use super::figures::{Figure, figure, mean, median};
use super::judge::Row;
use super::strata::Figures;
use sojourn_planner::score::{Part, stated_probability};
use std::collections::{BTreeMap, BTreeSet};

/// What was missed of every class of hazardous ground.
pub(super) fn per_class(rows: &[Row], seed: u64) -> Vec<(String, Figures)> {
    let classes: BTreeSet<&String> = rows.iter().flat_map(|r| r.detail.missed.keys()).collect();
    classes
        .into_iter()
        .map(|class| {
            let missed = |r: &Row| r.detail.missed.get(class)?.share();
            let figures = vec![("missed", figure(rows, seed, missed, mean))];
            (class.clone(), figures)
        })
        .collect()
}

/// Labelled ground and the share of it that is a hazard, by what the labels say: "risk 4", "confidence high".
pub(super) struct Calibration {
    pub said: String,
    pub ground_m2: f64,
    pub hazard: f64,
    /// What the words stand for, where they stand for a probability.
    pub stated: Option<f64>,
}

/// How far risks and words of confidence hold, all scenes together.
pub(super) fn calibration(rows: &[Row]) -> Vec<Calibration> {
    let mut all: BTreeMap<(String, Option<String>), Part> = BTreeMap::new();
    for r in rows {
        let risks = r.detail.by_risk.iter();
        let risks = risks.map(|(risk, part)| ((format!("risk {risk}"), None), part));
        let words = r.detail.by_confidence.iter();
        let words = words.map(|(w, part)| ((format!("confidence {w}"), Some(w.clone())), part));
        for (key, part) in risks.chain(words) {
            let sum = all.entry(key).or_default();
            sum.whole_m2 += part.whole_m2;
            sum.part_m2 += part.part_m2;
        }
    }
    all.into_iter()
        .filter_map(|((said, word), part)| {
            Some(Calibration {
                said,
                ground_m2: part.whole_m2,
                hazard: part.share()?,
                stated: word.as_deref().and_then(stated_probability),
            })
        })
        .collect()
}

/// What every way to ask costs and gives: quality against tokens.
pub(super) fn budgets<'a>(
    rows: &[Row],
    parts: impl Iterator<Item = &'a str>,
    seed: u64,
) -> Vec<(&'a str, Figures)> {
    type Of = fn(&Row) -> Option<f64>;
    type Statistic = fn(&mut [f64]) -> f64;
    let of: [(&'static str, Of, Statistic); 7] = [
        ("tokens_in_mean", |r| Some(r.tokens_in as f64), mean),
        ("tokens_out_mean", |r| Some(r.tokens_out as f64), mean),
        ("usd_mean", |r| Some(r.usd), mean),
        ("missed_hazard", |r| r.missed_hazard, mean),
        ("false_alarm_area", |r| r.false_alarm_area, mean),
        ("cost_ratio_median", |r| r.cost_ratio, median),
        ("same_hazards", |r| r.same_hazards, mean),
    ];
    parts
        .map(|part| {
            let asked: Vec<Row> = rows.iter().filter(|r| r.part == part).cloned().collect();
            let figures = of.map(|(name, of, statistic)| {
                let one: Figure = figure(&asked, seed, of, statistic);
                (name, one)
            });
            (part, figures.to_vec())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(whole_m2: f64, part_m2: f64) -> Part {
        Part { whole_m2, part_m2 }
    }

    #[test]
    fn classes_calibration_and_budgets_are_of_all_scenes() {
        let rows: Vec<Row> = (0..4)
            .flat_map(|k| {
                ["", "crops=1"].map(|p| {
                    let mut r = Row::blank(&format!("scene {k}"), p, "s");
                    let few = if p.is_empty() { 0.0 } else { 0.5 };
                    r.missed_hazard = Some(0.1 + few);
                    r.tokens_in = if p.is_empty() { 9000 } else { 3000 };
                    r.same_hazards = (!p.is_empty()).then_some(0.5);
                    r.detail
                        .missed
                        .insert("loose_soil".into(), part(100.0, 25.0));
                    r.detail.by_risk.insert(4, part(50.0, 40.0));
                    r.detail
                        .by_confidence
                        .insert("high".into(), part(50.0, 40.0));
                    r
                })
            })
            .collect();
        let classes = per_class(&rows, 1);
        assert_eq!(classes[0].0, "loose_soil");
        assert_eq!(classes[0].1[0].1.value, Some(0.25));
        let words = calibration(&rows);
        let named: Vec<(&str, f64, Option<f64>)> = words
            .iter()
            .map(|c| (c.said.as_str(), c.hazard, c.stated))
            .collect();
        assert_eq!(
            named,
            [("confidence high", 0.8, Some(0.9)), ("risk 4", 0.8, None)]
        );
        assert_eq!(words[1].ground_m2, 400.0);
        let told = budgets(&rows, ["", "crops=1"].into_iter(), 1);
        let value = |k: usize, name: &str| {
            let found = told[k].1.iter().find(|(n, _)| *n == name);
            found.unwrap().1.value
        };
        assert_eq!(
            (value(0, "tokens_in_mean"), value(1, "tokens_in_mean")),
            (Some(9000.0), Some(3000.0))
        );
        assert!(value(1, "missed_hazard") > value(0, "missed_hazard"));
        assert_eq!(
            (value(0, "same_hazards"), value(1, "same_hazards")),
            (None, Some(0.5))
        );
    }
}
