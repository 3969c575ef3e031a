//! What the true ground is made of under a wheel: the world's classes, where it has them, and what the prior draws where
//! it has none.

use crate::{
    noise::{Fractal, hash, near_gauss},
    world::World,
};
use sojourn_core::{
    classes::TerrainClass,
    raster::HeightField,
    soil::{DRAWS, Soil, SoilTable},
};

/// Streams of the world's hash.
mod channel {
    pub const PATCH: u64 = 0x51;
    pub const DRAW: u64 = 0x52;
}

/// Half the distance over which the slope of unlabelled ground is taken, metres.
const SLOPE_REACH_M: f64 = 2.0;

/// The soils of one true world. They depend on seed and place alone.
#[derive(Clone, Debug)]
pub struct TrueSoils {
    table: SoilTable,
    patches: Fractal,
    seed: u64,
}

impl TrueSoils {
    /// From the table of soils and the world's seed.
    #[must_use]
    pub fn new(table: SoilTable, seed: u64) -> Self {
        // Noise of one wavelength has features of half of it.
        let longest_m = 2.0 * table.patch_m;
        Self {
            patches: Fractal::new(seed, channel::PATCH, longest_m, 0.4 * longest_m, 0.7),
            seed,
            table,
        }
    }

    /// The soil of every class of the table, in its order, each drawn once for the whole world within the class's spread.
    #[must_use]
    pub fn soils(&self) -> Vec<Soil> {
        let normal = |class: usize, k: usize| {
            near_gauss(hash(self.seed, channel::DRAW, class as i64, k as i64))
        };
        let draw = |class: usize| std::array::from_fn::<f64, DRAWS, _>(|k| normal(class, k));
        self.table
            .classes
            .iter()
            .enumerate()
            .map(|(i, c)| c.draw(draw(i)))
            .collect()
    }

    /// The class at a place, by its number in the table: rock on rocks, the world's class where that has a soil, the
    /// prior's draw otherwise.
    #[must_use]
    pub fn at(&self, world: &World, x_m: f64, y_m: f64) -> usize {
        if world.on_rock(x_m, y_m) == Some(true) {
            return self.table.weakness(TerrainClass::Outcrop).unwrap_or(0);
        }
        let labelled = world
            .class_at(x_m, y_m)
            .and_then(|c| self.table.weakness(c));
        labelled.unwrap_or_else(|| self.drawn(slope_deg(world, x_m, y_m), x_m, y_m))
    }

    /// What the prior draws at a place of a slope.
    #[must_use]
    pub fn drawn(&self, slope_deg: f64, x_m: f64, y_m: f64) -> usize {
        // The noise is near enough to Gaussian for its distribution function to give the shares (see the test).
        let quantile = 1.0 / (1.0 + (-1.75 * self.patches.at(x_m, y_m)).exp());
        self.table
            .at_quantile(slope_deg, quantile)
            .and_then(|c| self.table.weakness(c.class))
            .unwrap_or(0)
    }
}

/// Slope of the ground over a rover's length, degrees; 0 beside holes.
fn slope_deg(world: &World, x_m: f64, y_m: f64) -> f64 {
    let h = |dx: f64, dy: f64| world.height_m(x_m + dx, y_m + dy);
    let r = SLOPE_REACH_M;
    match (h(r, 0.0), h(-r, 0.0), h(0.0, r), h(0.0, -r)) {
        (Some(e), Some(w), Some(n), Some(s)) => {
            ((e - w).hypot(n - s) / (2.0 * r)).atan().to_degrees()
        }
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_unlabelled_ground_are_the_priors() {
        let table = SoilTable::shipped().unwrap();
        let mut counts = vec![0.0; table.classes.len()];
        let n = 60_000;
        for seed in 0..6 {
            let soils = TrueSoils::new(table.clone(), seed);
            for k in 0..n / 6 {
                let (x, y) = (f64::from(k % 100) * 7.3, f64::from(k / 100) * 7.3);
                counts[soils.drawn(4.0, x, y)] += 1.0 / f64::from(n);
            }
        }
        for w in table.mixture(4.0) {
            let found = counts[table.weakness(w.class).unwrap()];
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
        let soils = TrueSoils::new(table.clone(), 3);
        let changes = (0..20_000)
            .filter(|k| {
                let x = 0.1 * f64::from(*k);
                soils.drawn(4.0, x, 5.0) != soils.drawn(4.0, x + 0.1, 5.0)
            })
            .count();
        let mean_m = 2000.0 / changes as f64;
        assert!(
            mean_m > 0.3 * table.patch_m && mean_m < 2.0 * table.patch_m,
            "{mean_m}"
        );
    }
}
