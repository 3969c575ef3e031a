//! The figures of an evaluation: of all scenes, of kinds of scenes, and of what single parts of the protocol are worth.

use super::figures::{Figure, fall, figure, mean, median};
use super::judge::Row;
use std::collections::BTreeMap;

/// Figures by the name that the JSON has.
pub(super) type Figures = Vec<(&'static str, Figure)>;

/// Sides up to which scenes count as one size, metres.
const SPANS_M: [f64; 4] = [125.0, 250.0, 500.0, 1000.0];
/// Shares of open ground up to which scenes count as one kind.
const OPEN: [f64; 3] = [0.5, 0.8, 1.0];

/// Every figure, by the name that the JSON has.
pub(super) fn figures(rows: &[Row], seed: u64) -> Figures {
    type Of = fn(&Row) -> Option<f64>;
    type Pair = fn(&Row) -> Option<[f64; 2]>;
    let planned = |of: Of| move |r: &Row| r.hazard_m_with.and_then(|_| of(r));
    let one = |of: Of, statistic| figure(rows, seed, planned(of), statistic);
    let valid = |r: &Row| Some(f64::from(u8::from(r.valid)));
    let less = |of: Pair| fall(rows, seed, of);
    vec![
        ("missed_hazard", one(|r| r.missed_hazard, mean)),
        ("false_alarm_area", one(|r| r.false_alarm_area, mean)),
        ("iou", one(|r| r.iou, mean)),
        ("centroid_error_m", one(|r| r.centroid_error_m, mean)),
        ("valid_plans", figure(rows, seed, valid, mean)),
        ("cost_ratio_median", one(|r| r.cost_ratio, median)),
        ("risk_ratio_median", one(|r| r.risk_ratio, median)),
        (
            "claims_hold",
            one(
                |r| (r.claims > 0).then(|| r.claims_held as f64 / r.claims as f64),
                mean,
            ),
        ),
        ("claim_error", one(|r| r.claim_error, mean)),
        ("rounds_mean", one(|r| Some(r.rounds as f64), mean)),
        ("usd_mean", one(|r| Some(r.usd), mean)),
        (
            "tokens_mean",
            one(|r| Some((r.tokens_in + r.tokens_out) as f64), mean),
        ),
        (
            "calibration_error",
            one(|r| r.detail.calibration_error(), mean),
        ),
        ("pass_agreement", one(|r| r.detail.passes.share(), mean)),
        ("hazard_m_alone", one(|r| Some(r.hazard_m_alone), mean)),
        ("hazard_m_with", one(|r| r.hazard_m_with, mean)),
        ("length_ratio", one(|r| r.length_ratio, mean)),
        (
            "embeddings_alone",
            one(|r| Some(r.ride_alone?.embeddings as f64), mean),
        ),
        (
            "embeddings_with",
            one(|r| Some(r.ride_with?.embeddings as f64), mean),
        ),
        (
            "embedding_fall",
            less(|r| {
                Some([
                    r.ride_alone?.embeddings as f64,
                    r.ride_with?.embeddings as f64,
                ])
            }),
        ),
        (
            "slip_events_alone",
            one(|r| Some(r.ride_alone?.slips as f64), mean),
        ),
        (
            "slip_events_with",
            one(|r| Some(r.ride_with?.slips as f64), mean),
        ),
        (
            "slip_event_fall",
            less(|r| Some([r.ride_alone?.slips as f64, r.ride_with?.slips as f64])),
        ),
        (
            "slip_m_fall",
            less(|r| Some([r.ride_alone?.slip_m, r.ride_with?.slip_m])),
        ),
    ]
}

/// Figures of kinds of scenes: what they are told apart by, the kind, its figures.
pub(super) fn by_kind(rows: &[Row], seed: u64) -> Vec<(&'static str, String, Figures)> {
    type Kind = fn(&Row) -> Option<(usize, String)>;
    let kinds: [(&str, Kind); 4] = [
        ("span", |r| Some(span(r.span_m))),
        ("openness", |r| Some(openness(r.openness?))),
        ("terrain", |r| {
            Some(match r.unseen? {
                true => (1, "not seen in tuning".into()),
                false => (0, "seen in tuning".into()),
            })
        }),
        ("world", |r| Some((0, r.world.clone()))),
    ];
    let mut out = Vec::new();
    for (by, kind) in kinds {
        let mut groups: BTreeMap<(usize, String), Vec<Row>> = BTreeMap::new();
        for row in rows {
            if let Some(key) = kind(row) {
                groups.entry(key).or_default().push(row.clone());
            }
        }
        out.extend(
            groups
                .into_iter()
                .map(|((_, name), rows)| (by, name, figures(&rows, seed))),
        );
    }
    out
}

fn span(m: f64) -> (usize, String) {
    match SPANS_M.iter().position(|s| m <= s + 0.5) {
        Some(k) => (k, format!("up to {:.0} m", SPANS_M[k])),
        None => (SPANS_M.len(), "more than 1000 m".into()),
    }
}

fn openness(share: f64) -> (usize, String) {
    let k = OPEN
        .iter()
        .position(|s| share <= *s)
        .unwrap_or(OPEN.len() - 1);
    let from = if k == 0 { 0.0 } else { OPEN[k - 1] };
    (
        k,
        format!("{:.0} to {:.0} % open", 100.0 * from, 100.0 * OPEN[k]),
    )
}

/// What a part is worth: by how much each figure changes, scene by scene, when it is left out.
pub(super) fn without_part(rows: &[Row], part: &str, seed: u64) -> Figures {
    let mut whole: BTreeMap<&str, &Row> = BTreeMap::new();
    for row in rows.iter().filter(|r| r.part.is_empty()) {
        whole.insert(&row.scene, row);
    }
    let left_out: Vec<&Row> = rows.iter().filter(|r| r.part == part).collect();
    type Of = fn(&Row) -> Option<f64>;
    let of: [(&'static str, Of); 12] = [
        ("missed_hazard", |r| r.missed_hazard),
        ("false_alarm_area", |r| r.false_alarm_area),
        ("iou", |r| r.iou),
        ("centroid_error_m", |r| r.centroid_error_m),
        ("valid_plans", |r| Some(f64::from(u8::from(r.valid)))),
        ("cost_ratio", |r| r.cost_ratio),
        ("rounds", |r| Some(r.rounds as f64)),
        ("usd", |r| Some(r.usd)),
        ("tokens_in", |r| Some(r.tokens_in as f64)),
        ("tokens_out", |r| Some(r.tokens_out as f64)),
        ("hazard_m_with", |r| r.hazard_m_with),
        ("length_ratio", |r| r.length_ratio),
    ];
    of.into_iter()
        .map(|(name, of)| {
            let change = |r: &Row| Some(of(r)? - of(whole.get(r.scene.as_str())?)?);
            let changes: Vec<f64> = left_out.iter().filter_map(|r| change(r)).collect();
            (name, super::figures::of_values(&changes, seed, mean))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(k: usize, part: &str) -> Row {
        let missed = if part.is_empty() { 0.1 } else { 0.3 };
        Row {
            missed_hazard: Some(missed + 0.01 * k as f64),
            hazard_m_with: Some(1.0),
            span_m: [125.0, 320.0, 1000.0, 2000.0][k % 4],
            openness: Some([0.2, 0.5, 0.79, 1.0][k % 4]),
            unseen: Some(k % 2 == 1),
            world: "sandy".into(),
            valid: true,
            ..Row::blank(&format!("scene {k}"), part, "s")
        }
    }

    #[test]
    fn scenes_are_told_apart_by_size_openness_and_terrain() {
        let rows: Vec<Row> = (0..40).map(|k| row(k, "")).collect();
        let kinds = by_kind(&rows, 1);
        let names: Vec<(&str, &str)> = kinds.iter().map(|(by, n, _)| (*by, n.as_str())).collect();
        assert_eq!(
            names,
            [
                ("span", "up to 125 m"),
                ("span", "up to 500 m"),
                ("span", "up to 1000 m"),
                ("span", "more than 1000 m"),
                ("openness", "0 to 50 % open"),
                ("openness", "50 to 80 % open"),
                ("openness", "80 to 100 % open"),
                ("terrain", "seen in tuning"),
                ("terrain", "not seen in tuning"),
                ("world", "sandy"),
            ]
        );
        for by in ["span", "openness", "terrain", "world"] {
            let n: usize = kinds
                .iter()
                .filter(|(b, ..)| *b == by)
                .map(|(_, _, f)| f[0].1.n)
                .sum();
            assert_eq!(n, rows.len(), "{by}");
        }
    }

    #[test]
    fn a_part_is_worth_what_changes_without_it_in_the_same_scene() {
        let mut rows: Vec<Row> = (0..20).map(|k| row(k, "")).collect();
        // One scene has no partner and counts for nothing.
        rows.extend((0..19).map(|k| row(k, "crops")));
        let worth = without_part(&rows, "crops", 1);
        let (name, missed) = worth[0];
        assert_eq!((name, missed.n), ("missed_hazard", 19));
        for v in [missed.value, missed.lo, missed.hi] {
            assert!((v.unwrap() - 0.2).abs() < 1e-12);
        }
        assert_eq!(without_part(&rows, "critic", 1)[0].1.n, 0);
    }
}
