//! The slip that is to be expected, by slope and class, and what it makes a metre of labelled ground dearer by.
//!
//! What stops a rover in sand is slip, and slip grows with the grade: ripples that are crossed without notice on level
//! ground hold a rover on a slope that its wheels would climb anywhere else. So a label of soft ground adds more the
//! nearer the slip to be expected there comes to the rover's limit. It always adds something.
//!
//! What earlier drives measured ([`SlipMemory`]) corrects the rover's model and the table by class: in how long a way takes
//! and what a label costs both ways, in where there is no going only to the worse.

use sojourn_core::CoreError;
use sojourn_core::classes::TerrainClass;
use sojourn_core::plan::Feature;
use sojourn_core::rover::Rover;
use sojourn_core::slip::SlipModel;
use sojourn_core::slip_forecast::{SlipForecast, SlipMemory, SlipPriors};

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
/// Least share of the rover's model that measured slip is believed to be, as AutoNav has it: easy ground does not talk a
/// planner into a dune.
const LEAST_SHARE: f64 = 0.5;

/// Slip to be expected, for one rover.
#[derive(Clone, Debug)]
pub(crate) struct ExpectedSlip {
    forecast: SlipForecast,
    model: SlipModel,
    limit: f64,
    /// Classes that something was measured on; none for ground without one.
    learned: Vec<Option<TerrainClass>>,
}

impl ExpectedSlip {
    /// From the table of slip by class, where it is this rover's, and what earlier drives learned.
    ///
    /// # Errors
    /// [`CoreError`] when the memory is another rover's, or was learned over another model of slip.
    pub fn new(rover: &Rover, memory: Option<&SlipMemory>) -> Result<Self, CoreError> {
        let blank = SlipForecast::new(rover.slip, PRIOR_SIGMA, NOISE_SIGMA);
        let table = SlipPriors::shipped()?;
        let mut forecast = if table.rover == rover.name {
            blank.with_priors(&table)
        } else {
            blank
        };
        let mut learned = Vec::new();
        if let Some(memory) = memory {
            if memory.rover != rover.name {
                let (found, expected) = (&memory.rover, &rover.name);
                return Err(CoreError::value("slip memory", "rover", found, expected));
            }
            forecast.recall(memory)?;
            learned = memory.classes.iter().map(|r| r.class).collect();
        }
        Ok(Self {
            forecast,
            model: rover.slip,
            limit: rover.limits.slip.max(0.01),
            learned,
        })
    }

    /// Before anything was learned.
    ///
    /// # Errors
    /// As [`ExpectedSlip::new`].
    pub fn of(rover: &Rover) -> Result<Self, CoreError> {
        Self::new(rover, None)
    }

    /// What is expected on ground of a class at a pitch (REP-103), 0 to 1: what was measured there, else the rover's model.
    pub fn expected(&self, pitch_rad: f64, class: Option<TerrainClass>) -> f64 {
        let model = self.model.slip(pitch_rad, 1.0);
        if !self.learned.contains(&class) {
            return model;
        }
        let code = class.map(|c| f64::from(c.code()));
        let (slip, _) = self.forecast.expect(pitch_rad, 1.0, code);
        slip.max(LEAST_SHARE * model)
    }

    /// What limits are held against on ground whose class nobody tells: never less than the rover's model.
    pub fn for_limits(&self, pitch_rad: f64) -> f64 {
        self.model
            .slip(pitch_rad, 1.0)
            .max(self.expected(pitch_rad, None))
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
            let cost = ExpectedSlip::of(&rover(name)).unwrap();
            let at = |class, deg| cost.per_metre(&label(class, 8.0), deg);
            for class in [TerrainClass::SandRipples, TerrainClass::LooseSoil] {
                assert!(at(class, 0.0) >= 2.0 && at(class, 0.0) < 5.0, "{name}");
                assert!(at(class, 12.0) > 1.5 * at(class, 0.0), "{name} {class:?}");
            }
            assert!((at(TerrainClass::BoulderField, 12.0) - 8.0).abs() < 1e-12);
        }
        let cost = ExpectedSlip::of(&rover("perseverance")).unwrap();
        let at = |class| cost.per_metre(&label(class, 8.0), 10.0);
        assert!(at(TerrainClass::SandRipples) > at(TerrainClass::LooseSoil));
    }

    /// What a rover remembers that slipped by `slip` at `grade_deg` on ground of a class.
    fn memory(rover: &Rover, grade_deg: f64, class: Option<TerrainClass>, slip: f64) -> SlipMemory {
        let table = SlipPriors::shipped().unwrap();
        let mut drive = SlipForecast::new(rover.slip, PRIOR_SIGMA, 0.1).with_priors(&table);
        for _ in 0..200 {
            let code = class.map(|c| f64::from(c.code()));
            drive.learn(-grade_deg.to_radians(), 1.0, code, slip);
        }
        drive.memory(&rover.name)
    }

    #[test]
    fn what_was_measured_is_expected_and_closes_but_does_not_open() {
        let rover = rover("perseverance");
        let at = |deg: f64| -deg.to_radians();
        let before = ExpectedSlip::of(&rover).unwrap();
        let model = before.expected(at(8.0), None);
        assert_eq!(model, before.for_limits(at(8.0)));
        let bad = memory(&rover, 8.0, None, model + 0.3);
        let after = ExpectedSlip::new(&rover, Some(&bad)).unwrap();
        assert!((after.expected(at(8.0), None) - model - 0.3).abs() < 0.05);
        assert!(after.for_limits(at(8.0)) > model + 0.25);
        let good = memory(&rover, 8.0, None, model - 0.1);
        let after = ExpectedSlip::new(&rover, Some(&good)).unwrap();
        let less = after.expected(at(8.0), None);
        assert!(less < model - 0.05 && less >= 0.5 * model, "{less} {model}");
        assert_eq!(after.for_limits(at(8.0)), model);
        // Of a class that nothing was measured on the model says as before.
        assert_eq!(after.expected(at(8.0), Some(TerrainClass::Bedrock)), model);
        let sand = Some(TerrainClass::SandRipples);
        let soft = memory(&rover, 8.0, sand, 0.9);
        let after = ExpectedSlip::new(&rover, Some(&soft)).unwrap();
        assert!(after.expected(at(8.0), sand) > 0.7 && after.expected(at(8.0), None) == model);
        let label = label(TerrainClass::SandRipples, 8.0);
        assert!(after.per_metre(&label, 8.0) > before.per_metre(&label, 8.0));
    }

    #[test]
    fn a_memory_of_another_rover_or_model_is_refused() {
        let (own, other) = (rover("perseverance"), rover("testbed"));
        let learned = memory(&own, 5.0, None, 0.3);
        let said = ExpectedSlip::new(&other, Some(&learned)).unwrap_err();
        assert!(said.to_string().contains("perseverance"), "{said}");
        let mut changed = own.clone();
        changed.slip.base += 0.02;
        let said = ExpectedSlip::new(&changed, Some(&learned)).unwrap_err();
        assert!(said.to_string().contains("another model"), "{said}");
    }

    proptest! {
        #[test]
        fn a_label_never_makes_ground_cheaper(
            added in -10.0f64..1e3, slope in -5.0f64..90.0, class in 0u8..9,
        ) {
            let cost = ExpectedSlip::of(&rover("perseverance")).unwrap();
            let f = label(TerrainClass::from_code(class).unwrap(), added);
            let (here, steeper) = (cost.per_metre(&f, slope), cost.per_metre(&f, slope + 1.0));
            prop_assert!(here >= 0.0 && here.is_finite() && steeper >= here);
        }
    }
}
