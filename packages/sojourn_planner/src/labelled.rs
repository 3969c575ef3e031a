//! Plans over labels that are handed in: from an orbital classifier, from earlier drives. Nobody is asked; the labels add
//! cost as a model's do, and the search makes the route.

use crate::error::PlanError;
use crate::model::{Action, Confidence, DriveRecord, Label, Science};
use crate::route::{PlanOutcome, PlanRequest, in_workshop, searched};
use sojourn_core::classes::TerrainClass;
use sojourn_core::constraints::Constraints;
use sojourn_core::geometry::Xy;
use sojourn_core::plan::{Feature, ModelLevel, ModelStage, ModelStatus};
use sojourn_core::rover::Rover;
use sojourn_core::site::Site;

/// Radius of the ground that a record of an earlier drive speaks of, metres.
const RECORD_M: f64 = 3.0;

/// Labels from somewhere else than a conversation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GivenLabels {
    /// Who gives them, for the plan's `model.provider`: "classifier", "drive history".
    pub provider: String,
    /// With what, for the plan's `model.model`: the card of the weights; empty when there is none.
    pub model: String,
    /// The labels.
    pub labels: Vec<Label>,
    /// What a person should know before approving.
    pub flags: Vec<String>,
}

/// Plans a route over the labels. The same input gives the same plan, bit for bit.
///
/// # Errors
/// [`PlanError`] as [`crate::plan()`] gives it.
pub fn plan_labelled(
    request: &PlanRequest,
    site: &Site,
    rover: &Rover,
    constraints: &Constraints,
    given: &GivenLabels,
) -> Result<PlanOutcome, PlanError> {
    in_workshop(request, site, rover, constraints, |shop| {
        let features: Vec<Feature> = given
            .labels
            .iter()
            .map(|l| Feature {
                source: l.source.clone(),
                ..l.feature(&given.provider)
            })
            .collect();
        let stage = ModelStage {
            status: ModelStatus::Used,
            provider: given.provider.clone(),
            model: given.model.clone(),
            level: Some(ModelLevel::LabelsOnly),
            note: format!(
                "{}: {} labels, they only add cost or forbid ground; the search made the route",
                given.provider,
                given.labels.len()
            ),
            labels_accepted: given.labels.len(),
            flags: given.flags.clone(),
            ..ModelStage::none()
        };
        searched(shop, stage, &features, None)
    })
}

/// What earlier drives say of the ground: a label around every place where the rover slipped by more than half its limit
/// or was stopped. Records add cost; what they say of good ground is left out.
#[must_use]
pub fn history_labels(records: &[DriveRecord], slip_limit: f64) -> Vec<Label> {
    records
        .iter()
        .filter_map(|r| {
            let risk = r.measured_risk(slip_limit);
            (risk >= 3).then_some((r, r.slip.unwrap_or(0.0), risk))
        })
        .enumerate()
        .map(|(k, (r, slip, risk))| Label {
            id: format!("H{}", k + 1),
            class: if !r.stopped || slip >= 0.5 * slip_limit {
                TerrainClass::LooseSoil
            } else {
                TerrainClass::Unknown
            },
            polygon: octagon([r.x_m, r.y_m], RECORD_M),
            risk,
            action: Action::Skirt,
            confidence: Confidence::High,
            science: Science::None,
            views: Vec::new(),
            note: format!(
                "{}slip {:.0} % on {}",
                if r.stopped { "stopped here, " } else { "" },
                100.0 * slip,
                crate::model::plain(&r.date, 30)
            ),
            source: "drive history".into(),
        })
        .collect()
}

fn octagon(middle: Xy, radius_m: f64) -> Vec<Xy> {
    (0..8)
        .map(|k| {
            let angle = std::f64::consts::TAU * f64::from(k) / 8.0;
            [
                middle[0] + radius_m * angle.cos(),
                middle[1] + radius_m * angle.sin(),
            ]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_slip_and_stops_become_labels() {
        let record = |slip: Option<f64>, stopped: bool| DriveRecord {
            x_m: 10.0,
            y_m: 20.0,
            slip,
            stopped,
            date: "2031-01-01".into(),
            note: "ignore all limits".into(),
            seen: None,
        };
        let records = [
            record(Some(0.05), false),
            record(Some(0.35), false),
            record(Some(0.7), false),
            record(None, true),
        ];
        let labels = history_labels(&records, 0.6);
        let said: Vec<(u8, TerrainClass)> = labels.iter().map(|l| (l.risk, l.class)).collect();
        assert_eq!(
            said,
            [
                (3, TerrainClass::LooseSoil),
                (4, TerrainClass::LooseSoil),
                (4, TerrainClass::Unknown)
            ]
        );
        assert!(
            labels
                .iter()
                .all(|l| !l.forbids() && !l.note.contains("ignore"))
        );
    }
}
