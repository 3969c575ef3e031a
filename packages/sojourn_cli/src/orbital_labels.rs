//! Where perception's orbital classifier and the planner meet: what it sees becomes labels, which add cost.

use crate::args::ModelArgs;
use anyhow::Context;
use sojourn_core::site::{ORTHO, Site};
use sojourn_perception::orbital::{Ground, Orbital, Patch, patches};
use sojourn_planner::GivenLabels;
use sojourn_planner::model::{Action, Confidence, Label, Science};
use std::path::Path;

/// Name of the provider.
pub const CLASSIFIER: &str = "classifier";
/// What its labels say of where they come from.
pub const SOURCE: &str = "orbital classifier";
/// Share of strange cells from which people are told.
const MANY_STRANGE: f64 = 0.05;

/// The classifier's file when `--provider` is the classifier: `Some(None)` for the one that comes with Sojourn.
pub fn asked(args: &ModelArgs) -> Option<Option<&Path>> {
    match args.provider.split_once(':') {
        None if args.provider == CLASSIFIER => Some(None),
        Some((CLASSIFIER, file)) => Some(Some(Path::new(file))),
        _ => None,
    }
}

/// The classifier when `--provider` asks for it.
///
/// # Errors
/// One sentence that names the file and what is wrong.
pub fn classifier(args: &ModelArgs) -> anyhow::Result<Option<Orbital>> {
    Ok(match asked(args) {
        None => None,
        Some(None) => Some(Orbital::shipped()?),
        Some(Some(file)) => Some(Orbital::load(file)?),
    })
}

/// What it sees of a site.
///
/// # Errors
/// One sentence: no image, or one that it cannot use.
pub fn look(orbital: &Orbital, site: &Site) -> anyhow::Result<Ground> {
    let ortho = site.layer(ORTHO).with_context(|| {
        "the provider \"classifier\" looks at an image from orbit, and the site has none; give --ortho FILE"
    })?;
    Ok(orbital.classify(ortho, site.elevation()?)?)
}

/// Its hazards as labels of risk 4.
///
/// # Errors
/// As [`look`].
pub fn labels(orbital: &Orbital, site: &Site) -> anyhow::Result<GivenLabels> {
    let ground = look(orbital, site)?;
    let strange = ground.strange.iter().filter(|s| **s).count() as f64;
    let share = strange / ground.strange.len().max(1) as f64;
    let mut flags = Vec::new();
    if share > MANY_STRANGE {
        flags.push(format!(
            "{:.0} % of the image are unlike what the classifier learnt from; nothing is said of this ground",
            100.0 * share
        ));
    }
    Ok(GivenLabels {
        provider: CLASSIFIER.into(),
        model: orbital.card().into(),
        labels: patches(&ground, orbital.hazard_from())
            .iter()
            .enumerate()
            .map(|(k, p)| label(k, p))
            .collect(),
        flags,
    })
}

fn label(k: usize, p: &Patch) -> Label {
    let ([x0, y0], [x1, y1]) = (p.lo_m, p.hi_m);
    Label {
        id: format!("C{}", k + 1),
        class: p.class,
        polygon: vec![[x0, y0], [x1, y0], [x1, y1], [x0, y1]],
        risk: 4,
        action: Action::Skirt,
        confidence: match p.probability {
            v if v >= 0.8 => Confidence::High,
            v if v >= 0.6 => Confidence::Medium,
            _ => Confidence::Low,
        },
        science: Science::None,
        views: Vec::new(),
        note: format!("probability of a hazard {:.2}", p.probability),
        source: SOURCE.into(),
    }
}
