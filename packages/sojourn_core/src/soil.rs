//! What the ground is made of, in the terms of terramechanics, for each class of terrain; and what unlabelled ground may
//! be.
//!
//! The numbers stand in `config/soils.yaml` with their sources. A [`Soil`] is what a wheel meets; a [`SoilTable`] gives
//! the soil of a class with its spread, and the prior over classes where nothing is known.

use crate::{CoreError, classes::TerrainClass, error::in_range, params};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Number of independent standard-normal deviates that [`ClassSoil::draw`] takes.
pub const DRAWS: usize = 5;
/// A draw farther out than this many standard deviations is cut.
pub const DRAW_CUT: f64 = 2.5;

/// Ground under a wheel.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Soil {
    /// Rock: the wheel does not sink, friction is Coulomb's.
    Rigid(Rigid),
    /// Soil that a wheel sinks into and shears.
    Deformable(Deformable),
}

/// Rock.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rigid {
    /// Coefficient of friction of the tread.
    pub friction: f64,
    /// Rolling resistance as a share of the load.
    pub rolling: f64,
    /// Slip at which 63 % of the friction is used (creep of tread and grousers).
    pub creep_slip: f64,
}

/// Soil: pressure–sinkage after Bekker, shear after Janosi and Hanamoto, stress under the wheel after Wong and Reece.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deformable {
    /// Cohesive modulus of sinkage, N/m^(n+1).
    pub k_c: f64,
    /// Frictional modulus of sinkage, N/m^(n+2).
    pub k_phi: f64,
    /// Exponent of sinkage.
    pub n: f64,
    /// Cohesion, Pa.
    pub cohesion_pa: f64,
    /// Angle of internal friction, degrees.
    pub friction_deg: f64,
    /// Shear deformation modulus K, metres.
    pub shear_m: f64,
    /// Place of the greatest normal stress as a share of the entry angle without slip (`a0`).
    pub theta_m_0: f64,
    /// How that place moves forward with slip (`a1`).
    pub theta_m_slip: f64,
    /// Density, kg/m³.
    pub density_kgpm3: f64,
    /// Share of the slipped way that a wheel digs down by.
    pub dig: f64,
}

/// How far the soils of one class differ from the nominal one, each a standard deviation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// Both moduli of sinkage, natural logarithm.
    pub stiffness_log: f64,
    /// Cohesion, natural logarithm; for rock not used.
    pub cohesion_log: f64,
    /// Angle of friction, degrees; for rock, 0.02 of the coefficient of friction per degree.
    pub friction_deg: f64,
    /// Shear modulus (rock: creep), natural logarithm.
    pub shear_log: f64,
    /// Digging (rock: rolling resistance), natural logarithm.
    pub dig_log: f64,
}

/// The soil of a class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassSoil {
    /// The class.
    pub class: TerrainClass,
    /// What it is made of when nothing more is known.
    pub nominal: Soil,
    /// How much single places differ.
    pub spread: Spread,
}

/// Share of one class in the prior.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Weight {
    /// The class.
    pub class: TerrainClass,
    /// Its share of the ground; the shares of a row add up to 1.
    pub weight: f64,
}

/// What unlabelled ground may be, up to a slope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriorRow {
    /// The row holds up to this slope, degrees; rows are in growing order and the last reaches 90.
    pub slope_to_deg: f64,
    /// Classes and their shares; the weakest class that such ground can be is among them.
    pub mixture: Vec<Weight>,
}

/// All of `config/soils.yaml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SoilTable {
    /// One entry per class that has a soil of its own, from the firmest to the weakest. Classes without an entry
    /// (shadow, unknown) are drawn from the prior.
    pub classes: Vec<ClassSoil>,
    /// Ground without a label.
    pub prior: Vec<PriorRow>,
    /// Distance over which ground without a label keeps its class, metres (mean size of a patch).
    pub patch_m: f64,
}

impl Soil {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`CoreError::Value`] that names `what` and the key.
    pub fn check(&self, what: &str, name: &str) -> Result<(), CoreError> {
        let ranges: &[(&str, f64, f64, f64)] = match self {
            Self::Rigid(r) => &[
                ("friction", r.friction, 0.05, 2.0),
                ("rolling", r.rolling, 0.0, 0.5),
                ("creep_slip", r.creep_slip, 0.001, 0.5),
            ],
            Self::Deformable(d) => &[
                ("k_c", d.k_c, 0.0, 1e7),
                ("k_phi", d.k_phi, 1e3, 1e9),
                ("n", d.n, 0.3, 2.0),
                ("cohesion_pa", d.cohesion_pa, 0.0, 1e5),
                ("friction_deg", d.friction_deg, 5.0, 55.0),
                ("shear_m", d.shear_m, 1e-4, 0.2),
                ("theta_m_0", d.theta_m_0, 0.05, 0.95),
                ("theta_m_slip", d.theta_m_slip, 0.0, 0.9),
                ("density_kgpm3", d.density_kgpm3, 200.0, 5000.0),
                ("dig", d.dig, 0.0, 1.0),
            ],
        };
        for (key, value, lo, hi) in ranges {
            in_range(what, &format!("{name}.{key}"), *value, *lo, *hi)?;
        }
        if let Self::Deformable(d) = self {
            let most = d.theta_m_0 + d.theta_m_slip;
            in_range(
                what,
                &format!("{name}.theta_m_0 + theta_m_slip"),
                most,
                0.05,
                0.95,
            )?;
        }
        Ok(())
    }
}

impl ClassSoil {
    /// One soil of this class, from independent standard-normal deviates (the caller's random numbers): stiffness,
    /// cohesion, friction, shear, digging. All zero gives the nominal soil.
    #[must_use]
    pub fn draw(&self, normal: [f64; DRAWS]) -> Soil {
        let d = normal.map(|v| {
            if v.is_finite() {
                v.clamp(-DRAW_CUT, DRAW_CUT)
            } else {
                0.0
            }
        });
        let s = &self.spread;
        let times = |value: f64, log: f64, d: f64| value * (log * d).exp();
        match self.nominal {
            Soil::Rigid(r) => Soil::Rigid(Rigid {
                friction: (r.friction + 0.02 * s.friction_deg * d[2]).clamp(0.05, 2.0),
                rolling: times(r.rolling, s.dig_log, d[4]).min(0.5),
                creep_slip: times(r.creep_slip, s.shear_log, d[3]).clamp(0.001, 0.5),
            }),
            Soil::Deformable(m) => Soil::Deformable(Deformable {
                k_c: times(m.k_c, s.stiffness_log, d[0]),
                k_phi: times(m.k_phi, s.stiffness_log, d[0]),
                cohesion_pa: times(m.cohesion_pa, s.cohesion_log, d[1]),
                friction_deg: (m.friction_deg + s.friction_deg * d[2]).clamp(5.0, 55.0),
                shear_m: times(m.shear_m, s.shear_log, d[3]).clamp(1e-4, 0.2),
                dig: times(m.dig, s.dig_log, d[4]).min(1.0),
                ..m
            }),
        }
    }
}

impl SoilTable {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`CoreError`] that names the file and the key.
    pub fn load(path: &Path) -> Result<Self, CoreError> {
        let table: Self = params::load_yaml(path)?;
        table.check(&path.display().to_string())?;
        Ok(table)
    }

    /// The table that comes with Sojourn, `config/soils.yaml` as it was when this was built.
    ///
    /// # Errors
    /// [`CoreError`] when that file was broken at the time.
    pub fn shipped() -> Result<Self, CoreError> {
        let what = "config/soils.yaml";
        let table: Self = params::parse_yaml(what, include_str!("../../../config/soils.yaml"))?;
        table.check(what)?;
        Ok(table)
    }

    /// Checks ranges, that every row of the prior is whole, and that every class in it has a soil.
    ///
    /// # Errors
    /// [`CoreError`] that names `what` and the key.
    pub fn check(&self, what: &str) -> Result<(), CoreError> {
        for (i, c) in self.classes.iter().enumerate() {
            let name = format!("classes[{i}] ({})", c.class.traits().name);
            if self.classes[..i].iter().any(|other| other.class == c.class) {
                return Err(CoreError::format(what, format!("{name} is given twice")));
            }
            c.nominal.check(what, &format!("{name}.nominal"))?;
            for (key, v) in [
                ("stiffness_log", c.spread.stiffness_log),
                ("cohesion_log", c.spread.cohesion_log),
                ("shear_log", c.spread.shear_log),
                ("dig_log", c.spread.dig_log),
            ] {
                in_range(what, &format!("{name}.spread.{key}"), v, 0.0, 1.5)?;
            }
            let key = format!("{name}.spread.friction_deg");
            in_range(what, &key, c.spread.friction_deg, 0.0, 10.0)?;
        }
        let mut below = 0.0;
        for (i, row) in self.prior.iter().enumerate() {
            let name = format!("prior[{i}]");
            in_range(
                what,
                &format!("{name}.slope_to_deg"),
                row.slope_to_deg,
                below,
                90.0,
            )?;
            below = row.slope_to_deg;
            let mut sum = 0.0;
            for w in &row.mixture {
                let class = w.class.traits().name;
                sum += in_range(what, &format!("{name}.{class}.weight"), w.weight, 0.0, 1.0)?;
                if self.soil(w.class).is_none() {
                    return Err(CoreError::format(
                        what,
                        format!("{name} names {class}, which has no entry in classes"),
                    ));
                }
            }
            in_range(what, &format!("{name}: sum of weights"), sum, 0.999, 1.001)?;
        }
        if !(below >= 90.0) {
            return Err(CoreError::value(
                what,
                "prior",
                format!("rows up to {below} deg"),
                "a last row with slope_to_deg: 90",
            ));
        }
        in_range(what, "patch_m", self.patch_m, 0.5, 1000.0)?;
        Ok(())
    }

    /// The soil of a class; `None` for classes that say nothing about the ground.
    #[must_use]
    pub fn soil(&self, class: TerrainClass) -> Option<&ClassSoil> {
        self.classes.iter().find(|c| c.class == class)
    }

    /// Place of a class in the order from firm (0) to weak; `None` for classes without soil.
    #[must_use]
    pub fn weakness(&self, class: TerrainClass) -> Option<usize> {
        self.classes.iter().position(|c| c.class == class)
    }

    /// What unlabelled ground of a slope may be. Not-a-number counts as the steepest.
    #[must_use]
    pub fn mixture(&self, slope_deg: f64) -> &[Weight] {
        self.prior
            .iter()
            .find(|row| slope_deg <= row.slope_to_deg)
            .or(self.prior.last())
            .map_or(&[], |row| row.mixture.as_slice())
    }

    /// The weakest class in the prior of a slope.
    #[must_use]
    pub fn worst_plausible(&self, slope_deg: f64) -> Option<&ClassSoil> {
        self.mixture(slope_deg)
            .iter()
            .filter(|w| w.weight > 0.0)
            .filter_map(|w| self.weakness(w.class))
            .max()
            .and_then(|i| self.classes.get(i))
    }

    /// The class at a quantile (0 to 1) of the prior of a slope, classes in order from firm to weak; so that a field of
    /// quantiles that is smooth over the ground gives patches whose neighbours are alike.
    #[must_use]
    pub fn at_quantile(&self, slope_deg: f64, quantile: f64) -> Option<&ClassSoil> {
        let mixture = self.mixture(slope_deg);
        let mut sum = 0.0;
        let mut found = None;
        for c in &self.classes {
            let weight: f64 = mixture
                .iter()
                .filter(|w| w.class == c.class)
                .map(|w| w.weight)
                .sum();
            if weight > 0.0 {
                found = Some(c);
                sum += weight;
                if quantile < sum {
                    break;
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_shipped_table_is_whole() {
        let t = SoilTable::shipped().unwrap();
        let first = |c: &ClassSoil| matches!(c.nominal, Soil::Rigid(_));
        assert!(first(&t.classes[0]), "the firmest ground is rock");
        for class in [TerrainClass::ShadowOrNoData, TerrainClass::Unknown] {
            assert!(
                t.soil(class).is_none(),
                "unseen ground has no soil of its own"
            );
        }
        // unlabelled ground may always be the weakest there is at its slope, and flat ground may be ripples of sand
        assert_eq!(
            t.worst_plausible(3.0).unwrap().class,
            TerrainClass::SandRipples
        );
        for slope in [0.0, 10.0, 20.0, 29.0, 45.0, f64::NAN] {
            assert!(t.worst_plausible(slope).is_some());
        }
    }

    proptest! {
        #[test]
        fn quantiles_follow_the_weights(slope in 0.0f64..60.0) {
            let t = SoilTable::shipped().unwrap();
            let n = 2000;
            for w in t.mixture(slope) {
                let hits = (0..n)
                    .filter(|i| t.at_quantile(slope, (f64::from(*i) + 0.5) / f64::from(n)).unwrap().class == w.class)
                    .count();
                prop_assert!((hits as f64 / f64::from(n) - w.weight).abs() < 0.002);
            }
        }

        #[test]
        fn draws_are_soils_and_zero_is_nominal(d in proptest::array::uniform5(-50.0f64..50.0)) {
            for c in &SoilTable::shipped().unwrap().classes {
                prop_assert!(c.draw(d).check("draw", c.class.traits().name).is_ok());
                prop_assert_eq!(c.draw([0.0; DRAWS]), c.nominal);
                prop_assert_eq!(c.draw([f64::NAN; DRAWS]), c.nominal);
            }
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        type Spoil = fn(&mut SoilTable);
        let cases: [(&str, Spoil); 6] = [
            ("k_phi", |t| {
                for c in &mut t.classes {
                    if let Soil::Deformable(d) = &mut c.nominal {
                        d.k_phi = f64::NAN;
                    }
                }
            }),
            ("given twice", |t| t.classes.push(t.classes[0])),
            ("sum of weights", |t| t.prior[0].mixture[0].weight += 0.1),
            ("slope_to_deg: 90", |t| t.prior.truncate(1)),
            ("no entry in classes", |t| {
                t.prior[0].mixture[0].class = TerrainClass::Unknown;
            }),
            ("patch_m", |t| t.patch_m = -1.0),
        ];
        for (word, spoil) in cases {
            let mut t = SoilTable::shipped().unwrap();
            spoil(&mut t);
            let message = t.check("soils.yaml").unwrap_err().to_string();
            assert!(message.contains(word), "{word}: {message}");
        }
    }
}
