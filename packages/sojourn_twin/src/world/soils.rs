//! What the true ground is made of: the classes that a world was given, and what the prior draws where it was given none.
//!
//! A world has one set of soils. The tiles carry the class of every node, also the drawn ones, so that wheels, cameras and
//! scorers are told the same; the strength of each class is drawn once for the whole world within the class's spread.

use crate::noise::{Fractal, hash, near_gauss};
use serde::{Deserialize, Serialize};
use sojourn_core::{
    CoreError,
    classes::TerrainClass,
    soil::{DRAWS, Soil, SoilTable, Spread},
};

/// Streams of the world's hash. None of them is the verification's: what a plan was verified on tells nothing about what
/// it will be driven on.
mod channel {
    pub const PATCH: u64 = 0x51;
    pub const DRAW: u64 = 0x52;
}

/// What ground is made of that no class was given for. In documents `prior` or the name of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Unlabelled {
    /// In patches, drawn from the table's prior by the slope: it may be the weakest that such ground can be.
    Prior,
    /// All of one class: for trials that are not about soil.
    Class(TerrainClass),
}

impl TryFrom<String> for Unlabelled {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        if name == "prior" {
            return Ok(Self::Prior);
        }
        TerrainClass::from_name(&name)
            .map(Self::Class)
            .ok_or_else(|| format!("\"{name}\" is no ground, expected prior or a class of terrain"))
    }
}

impl From<Unlabelled> for String {
    fn from(ground: Unlabelled) -> Self {
        match ground {
            Unlabelled::Prior => "prior".into(),
            Unlabelled::Class(class) => class.name().into(),
        }
    }
}

/// The soils of one true world. They depend on seed and place alone.
#[derive(Clone, Debug)]
pub struct TrueSoils {
    table: SoilTable,
    unlabelled: Unlabelled,
    patches: Fractal,
    drawn: Vec<Soil>,
}

impl TrueSoils {
    /// From the table of soils and the world's seed.
    ///
    /// # Errors
    /// [`CoreError`] for a table that is not whole, or a class for unlabelled ground that has no soil in it.
    pub fn new(table: SoilTable, seed: u64, unlabelled: Unlabelled) -> Result<Self, CoreError> {
        let what = "soils";
        table.check(what)?;
        if table.classes.is_empty() {
            return Err(CoreError::format(what, "hold no class"));
        }
        if let Unlabelled::Class(class) = unlabelled
            && table.soil(class).is_none()
        {
            let known: Vec<&str> = table.classes.iter().map(|c| c.class.name()).collect();
            let expected = format!("prior or a class with a soil: {}", known.join(", "));
            return Err(CoreError::value(
                what,
                "unlabelled ground",
                class.name(),
                expected,
            ));
        }
        // Noise of one wavelength has features of half of it.
        let longest_m = 2.0 * table.patch_m;
        Ok(Self {
            patches: Fractal::new(seed, channel::PATCH, longest_m, 0.4 * longest_m, 0.7),
            drawn: drawn(&table, seed),
            unlabelled,
            table,
        })
    }

    /// The table they were drawn from.
    #[must_use]
    pub fn table(&self) -> &SoilTable {
        &self.table
    }

    /// The soil of every class of the table, in its order.
    #[must_use]
    pub fn of_classes(&self) -> &[Soil] {
        &self.drawn
    }

    /// Place in the table of what rocks are made of.
    #[must_use]
    pub fn of_rocks(&self) -> usize {
        self.table.weakness(TerrainClass::Outcrop).unwrap_or(0)
    }

    /// Place in the table of a class of this world; 0 for one that has no soil, which [`TrueSoils::class`] does not give.
    #[must_use]
    pub fn of_class(&self, class: TerrainClass) -> usize {
        self.table.weakness(class).unwrap_or(0)
    }

    /// The class of a place: the one it was given where that has a soil, else what unlabelled ground of the slope is there.
    #[must_use]
    pub fn class(
        &self,
        given: Option<TerrainClass>,
        slope_deg: impl FnOnce() -> f64,
        x_m: f64,
        y_m: f64,
    ) -> TerrainClass {
        match (given, self.unlabelled) {
            (Some(class), _) if self.table.soil(class).is_some() => class,
            (_, Unlabelled::Class(class)) => class,
            (_, Unlabelled::Prior) => self.of_prior(slope_deg(), x_m, y_m),
        }
    }

    /// What the prior draws at a place of a slope.
    fn of_prior(&self, slope_deg: f64, x_m: f64, y_m: f64) -> TerrainClass {
        // The noise is near enough to Gaussian for its distribution function to give the shares (see the test).
        let quantile = 1.0 / (1.0 + (-1.75 * self.patches.at(x_m, y_m)).exp());
        self.table
            .at_quantile(slope_deg, quantile)
            .map_or(TerrainClass::Unknown, |c| c.class)
    }
}

/// The same table with the strengths that a seed draws as nominal ones, and nothing left to draw: what one world is made of.
#[must_use]
pub fn drawn_table(table: &SoilTable, seed: u64) -> SoilTable {
    let mut certain = table.clone();
    for (class, soil) in certain.classes.iter_mut().zip(drawn(table, seed)) {
        class.nominal = soil;
        class.spread = Spread::default();
    }
    certain
}

fn drawn(table: &SoilTable, seed: u64) -> Vec<Soil> {
    let normal =
        |class: usize, k: usize| near_gauss(hash(seed, channel::DRAW, class as i64, k as i64));
    let draws = |class: usize| std::array::from_fn::<f64, DRAWS, _>(|k| normal(class, k));
    let classes = table.classes.iter().enumerate();
    classes.map(|(i, c)| c.draw(draws(i))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_unlabelled_ground_are_the_priors() {
        let table = SoilTable::shipped().unwrap();
        let mut counts = std::collections::BTreeMap::new();
        let n = 60_000;
        for seed in 0..6 {
            let soils = TrueSoils::new(table.clone(), seed, Unlabelled::Prior).unwrap();
            for k in 0..n / 6 {
                let (x, y) = (f64::from(k % 100) * 7.3, f64::from(k / 100) * 7.3);
                *counts.entry(soils.of_prior(4.0, x, y)).or_insert(0.0) += 1.0 / f64::from(n);
            }
        }
        for w in table.mixture(4.0) {
            let found = counts[&w.class];
            assert!(
                (found - w.weight).abs() < 0.03,
                "{:?}: {found} of {}",
                w.class,
                w.weight
            );
        }
    }

    #[test]
    fn ground_keeps_its_class_over_a_patch() {
        let table = SoilTable::shipped().unwrap();
        let soils = TrueSoils::new(table.clone(), 3, Unlabelled::Prior).unwrap();
        let changes = (0..20_000)
            .filter(|k| {
                let x = 0.1 * f64::from(*k);
                soils.of_prior(4.0, x, 5.0) != soils.of_prior(4.0, x + 0.1, 5.0)
            })
            .count();
        let mean_m = 2000.0 / changes as f64;
        assert!(
            mean_m > 0.3 * table.patch_m && mean_m < 2.0 * table.patch_m,
            "{mean_m}"
        );
    }

    #[test]
    fn a_drawn_table_is_what_its_seed_draws_and_nothing_more() {
        let table = SoilTable::shipped().unwrap();
        let certain = drawn_table(&table, 5);
        certain.check("drawn").unwrap();
        let world = TrueSoils::new(table.clone(), 5, Unlabelled::Prior).unwrap();
        for seed in [5, 6] {
            let again = TrueSoils::new(certain.clone(), seed, Unlabelled::Prior).unwrap();
            assert_eq!(again.of_classes(), world.of_classes());
        }
        assert_ne!(drawn_table(&table, 6), certain);
    }

    #[test]
    fn given_classes_stay_and_classes_without_soil_are_drawn() {
        let table = SoilTable::shipped().unwrap();
        let soils = TrueSoils::new(table.clone(), 1, Unlabelled::Prior).unwrap();
        let here = |given| soils.class(given, || 4.0, 3.0, 5.0);
        assert_eq!(here(Some(TerrainClass::Outcrop)), TerrainClass::Outcrop);
        for nothing in [
            None,
            Some(TerrainClass::Unknown),
            Some(TerrainClass::ShadowOrNoData),
        ] {
            assert_eq!(here(nothing), soils.of_prior(4.0, 3.0, 5.0));
        }
        let one = Unlabelled::try_from("loose_soil".to_string()).unwrap();
        let soils = TrueSoils::new(table.clone(), 1, one).unwrap();
        assert_eq!(soils.class(None, || 4.0, 3.0, 5.0), TerrainClass::LooseSoil);
        let none = Unlabelled::Class(TerrainClass::Unknown);
        assert!(
            TrueSoils::new(table, 1, none)
                .unwrap_err()
                .to_string()
                .contains("unknown")
        );
        assert!(
            Unlabelled::try_from("mud".to_string())
                .unwrap_err()
                .contains("mud")
        );
    }
}
