//! What a label makes a metre of ground dearer by.
//!
//! What stops a rover in sand is slip, and slip grows with the grade: ripples that are crossed without notice on level
//! ground hold a rover on a slope that its wheels would climb anywhere else. So a label of soft ground adds more the
//! nearer the slip to be expected there comes to the rover's limit. It always adds something.

use sojourn_core::CoreError;
use sojourn_core::classes::TerrainClass;
use sojourn_core::plan::Feature;
use sojourn_core::rover::Rover;
use sojourn_core::slip_forecast::{SlipForecast, SlipPriors};

/// Share of its cost that a label of soft ground has where there is no slip at all.
const LEVEL_SHARE: f64 = 0.25;
/// What is added to that share where the slip to plan with is the rover's limit; it grows with the square.
const LIMIT_SHARE: f64 = 1.5;
/// Most of the limit that counts: beyond, it cannot become worse than stuck.
const MOST: f64 = 1.5;
/// How far ground may differ from the rover's own model of slip where no table speaks, share of the way.
const PRIOR_SIGMA: f64 = 0.15;
/// Error of one measurement of slip; nothing is measured here, so that it only has to be a number.
const NOISE_SIGMA: f64 = 0.03;

/// How dear labels are, for one rover.
#[derive(Clone, Debug)]
pub(crate) struct LabelCost {
    forecast: SlipForecast,
    limit: f64,
}

impl LabelCost {
    /// From the table of slip by class, where it is this rover's.
    pub fn new(rover: &Rover) -> Result<Self, CoreError> {
        let blank = SlipForecast::new(rover.slip, PRIOR_SIGMA, NOISE_SIGMA);
        let table = SlipPriors::shipped()?;
        Ok(Self {
            forecast: if table.rover == rover.name {
                blank.with_priors(&table)
            } else {
                blank
            },
            limit: rover.limits.slip.max(0.01),
        })
    }

    /// What a label adds to the cost of a metre on ground of a slope: never less than nothing.
    pub fn per_metre(&self, label: &Feature, slope_deg: f64) -> f64 {
        let added = label.added_cost.max(0.0);
        if !soft(label.class) {
            return added;
        }
        let code = Some(f64::from(label.class.code()));
        let slip = self
            .forecast
            .worst(-slope_deg.max(0.0).to_radians(), 1.0, code);
        let share = (slip / self.limit).clamp(0.0, MOST);
        added * (LEVEL_SHARE + LIMIT_SHARE * share * share)
    }
}

/// Whether the danger of a class is slip.
pub(crate) fn soft(class: TerrainClass) -> bool {
    matches!(class, TerrainClass::SandRipples | TerrainClass::LooseSoil)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn label(class: TerrainClass, added_cost: f64) -> Feature {
        Feature {
            class,
            polygon: vec![[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]],
            confidence: 0.9,
            source: "test".into(),
            added_cost,
            forbids: false,
            risk: Some(4),
            action: None,
            science: None,
            note: String::new(),
        }
    }

    fn rover(name: &str) -> Rover {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/rovers");
        Rover::load(&std::path::Path::new(dir).join(format!("{name}.yaml"))).unwrap()
    }

    #[test]
    fn sand_is_dearer_the_steeper_it_is_and_rocks_are_not() {
        for name in ["perseverance", "testbed"] {
            let cost = LabelCost::new(&rover(name)).unwrap();
            let at = |class, deg| cost.per_metre(&label(class, 8.0), deg);
            for class in [TerrainClass::SandRipples, TerrainClass::LooseSoil] {
                assert!(at(class, 0.0) >= 2.0 && at(class, 0.0) < 5.0, "{name}");
                assert!(at(class, 12.0) > 1.5 * at(class, 0.0), "{name} {class:?}");
            }
            assert!((at(TerrainClass::BoulderField, 12.0) - 8.0).abs() < 1e-12);
        }
        let cost = LabelCost::new(&rover("perseverance")).unwrap();
        let at = |class| cost.per_metre(&label(class, 8.0), 10.0);
        assert!(at(TerrainClass::SandRipples) > at(TerrainClass::LooseSoil));
    }

    proptest! {
        #[test]
        fn a_label_never_makes_ground_cheaper(
            added in -10.0f64..1e3, slope in -5.0f64..90.0, class in 0u8..9,
        ) {
            let cost = LabelCost::new(&rover("perseverance")).unwrap();
            let f = label(TerrainClass::from_code(class).unwrap(), added);
            let (here, steeper) = (cost.per_metre(&f, slope), cost.per_metre(&f, slope + 1.0));
            prop_assert!(here >= 0.0 && here.is_finite() && steeper >= here);
        }
    }
}
