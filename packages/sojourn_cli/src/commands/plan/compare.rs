//! Everybody who said what the ground is, compared.

use crate::args::PlanArgs;
use crate::cli_error::CliError;
use crate::orbital_labels;
use crate::report::map;
use sojourn_core::plan::Plan;
use sojourn_core::rover::Rover;
use sojourn_core::site::{ORTHO, Site};
use sojourn_planner::model::Label;
use sojourn_planner::{Briefing, DisagreementLayer, GivenLabels, PlanOutcome, Voice, disagreement};

/// The layer; `None` when there are not two to compare and nobody asked for it.
///
/// # Errors
/// [`CliError`] when `--disagreement` asks for it and there are not two, or the classifier cannot look.
pub fn compare(
    args: &PlanArgs,
    outcome: &PlanOutcome,
    given: Option<&GivenLabels>,
    briefing: &Briefing,
    site: &Site,
    rover: &Rover,
) -> Result<Option<DisagreementLayer>, CliError> {
    let mut voices = Vec::new();
    voices.extend(Voice::of_outcome(outcome));
    let own = |l: &&Label| l.source == orbital_labels::SOURCE;
    match given {
        Some(given) if orbital_labels::asked(&args.model).is_some() => {
            let labels: Vec<Label> = given.labels.iter().filter(own).cloned().collect();
            voices.push(Voice::everywhere(orbital_labels::SOURCE, &labels));
        }
        _ => {
            if let Some(labels) = &briefing.classified {
                voices.push(Voice::everywhere(orbital_labels::SOURCE, labels));
            }
        }
    }
    voices.extend(Voice::of_history(briefing, rover.limits.slip));
    let layer = disagreement(site.elevation()?, &voices, &outcome.plan.line())?;
    if layer.is_none() && args.disagreement.is_some() {
        return Err(CliError::Usage(format!(
            "--disagreement: nothing to compare, {} says what the ground is; give --ortho, --provider or --history",
            voices.first().map_or("nobody", |v| v.source.as_str())
        )));
    }
    Ok(layer)
}

/// The layer over the map with the way, as PNG.
///
/// # Errors
/// [`CliError`] when it cannot be drawn.
pub fn picture(layer: &DisagreementLayer, plan: &Plan, site: &Site) -> Result<Vec<u8>, CliError> {
    Ok(map::draw(&map::MapInput {
        title: &format!("{}: where the sources disagree", plan.name),
        elevation: site.elevation()?,
        ortho: site.layers.get(ORTHO),
        disagreement: Some(&layer.levels),
        plan,
        truth: &[],
        estimate: &[],
        events: &[],
        marks: &[],
        segments: &[],
        legend: &[("planned", map::PLANNED, true)],
    })?)
}
