//! Stale layers make what they tell of the ground dearer.

use sojourn_core::CoreError;
use sojourn_core::constraints::Constraints;
use sojourn_core::freshness::LayerAge;
use sojourn_core::site::{ELEVATION, ORTHO, Site};

/// Times as dear as fresh layers would make the ground; never below 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stale {
    /// What slope and roughness add.
    pub terrain: f64,
    /// What labels add.
    pub labels: f64,
}

impl Stale {
    /// Nothing is stale.
    #[cfg(test)]
    pub const NO: Self = Self {
        terrain: 1.0,
        labels: 1.0,
    };

    /// For a site on the day of the mission; without a day nothing is stale.
    pub fn of(site: &Site, mission: &Constraints) -> Result<Self, CoreError> {
        let ages = ages(site, mission)?;
        let weight = mission.freshness.as_ref().map_or(0.0, |f| f.stale_weight);
        let factor = |layer: &str| {
            let stale = ages.iter().any(|a| a.layer == layer && a.stale);
            1.0 + if stale { weight.max(0.0) } else { 0.0 }
        };
        Ok(Self {
            terrain: factor(ELEVATION),
            labels: factor(ORTHO),
        })
    }
}

/// Ages of the site's layers on the day of the mission; none without a day.
pub(crate) fn ages(site: &Site, mission: &Constraints) -> Result<Vec<LayerAge>, CoreError> {
    match &mission.freshness {
        Some(f) => f.ages(&site.manifest),
        None => Ok(Vec::new()),
    }
}
