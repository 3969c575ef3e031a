//! The list of runs that a configuration means, and the share of a shard in it.

use crate::{closed_loop::Sensing, config::SweepConfig, scene::SceneKey};
use sojourn_core::CoreError;
use sojourn_twin::noise;

/// Channel of the scenes' seeds.
const CHANNEL: u64 = 0x5e_e3;

/// One run to do.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSpec {
    /// Its number in the sweep.
    pub run: u64,
    /// Index of the planner in the configuration.
    pub planner_index: usize,
    /// The planner's name.
    pub planner: String,
    /// How the rover sees.
    pub sensing: Sensing,
    /// Name of the fault that is put in; empty for none.
    pub fault: String,
    /// The world.
    pub scene: SceneKey,
    /// What it is made of: a class, or the prior.
    pub ground: String,
    /// Number of the seed within its cell, from 0.
    pub seed_number: u64,
}

/// Seed of a cell's world: the same in every sweep with the same first seed, so planners and sweeps meet the same worlds.
#[must_use]
pub fn world_seed(first_seed: u64, cfa: f64, slope_deg: f64, seed_number: u64) -> u64 {
    let place = |v: f64, per: f64| (v * per).round() as i64;
    let cell = noise::hash(first_seed, CHANNEL, place(cfa, 1e4), place(slope_deg, 1e2));
    // 48 bits: exact in every tool that reads tables.
    noise::hash(cell, CHANNEL, seed_number as i64, 0) >> 16
}

/// All runs, numbered. Seeds come first, so a sweep that is broken off has about as many runs in every cell.
#[must_use]
pub fn runs(config: &SweepConfig) -> Vec<RunSpec> {
    let most = config.planners.iter().map(|p| p.seeds).max().unwrap_or(0);
    let mut out = Vec::new();
    let mut push =
        |planner_index: usize, sensing, fault: &str, seed_number: u64, cfa: f64, slope_deg: f64| {
            let directions = &config.cells.directions;
            let Some(direction) = directions
                .get(seed_number as usize % directions.len().max(1))
                .copied()
            else {
                return;
            };
            let Some(planner) = config.planners.get(planner_index) else {
                return;
            };
            out.push(RunSpec {
                run: out.len() as u64,
                planner_index,
                planner: planner.name.clone(),
                sensing,
                fault: fault.into(),
                scene: SceneKey {
                    seed: world_seed(config.first_seed, cfa, slope_deg, seed_number),
                    cfa,
                    slope_deg,
                    direction,
                },
                ground: config.scene.soil(slope_deg).into(),
                seed_number,
            });
        };
    for seed_number in 0..most {
        for (i, planner) in config.planners.iter().enumerate() {
            if seed_number >= planner.seeds {
                continue;
            }
            for &cfa in &config.cells.cfa {
                for &slope_deg in &config.cells.slope_deg {
                    push(i, config.sensing, "", seed_number, cfa, slope_deg);
                }
            }
        }
    }
    for fault in &config.faults {
        for seed_number in 0..fault.seeds {
            for &cfa in &config.cells.cfa {
                for &slope_deg in &config.cells.slope_deg {
                    push(0, config.sensing, &fault.name, seed_number, cfa, slope_deg);
                }
            }
        }
    }
    let seeds = config.planners.first().map_or(0, |p| p.seeds);
    let again = (config.rendered_again * seeds as f64).round() as u64;
    for k in 0..again {
        // Spread over the seeds, so that all directions take part.
        let seed_number = k * seeds / again.max(1);
        for &cfa in &config.cells.cfa {
            for &slope_deg in &config.cells.slope_deg {
                push(0, Sensing::Rendered, "", seed_number, cfa, slope_deg);
            }
        }
    }
    out
}

/// One of several equal parts of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which, from 1.
    pub index: u64,
    /// How many.
    pub count: u64,
}

impl Shard {
    /// The whole sweep.
    pub const WHOLE: Self = Self { index: 1, count: 1 };

    /// Reads `i/n`, i from 1 to n.
    ///
    /// # Errors
    /// [`CoreError::Value`].
    pub fn parse(text: &str) -> Result<Self, CoreError> {
        let wrong = || {
            CoreError::value(
                "--shard",
                "i/n",
                text,
                "two numbers with 1 <= i <= n <= 100000",
            )
        };
        let (index, count) = text.split_once('/').ok_or_else(wrong)?;
        let number = |t: &str| t.trim().parse::<u64>().map_err(|_| wrong());
        let shard = Self {
            index: number(index)?,
            count: number(count)?,
        };
        if shard.index < 1 || shard.index > shard.count || shard.count > 100_000 {
            return Err(wrong());
        }
        Ok(shard)
    }

    /// Whether a run belongs to this part.
    #[must_use]
    pub fn holds(&self, run: u64) -> bool {
        run % self.count == self.index - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_run_belongs_to_exactly_one_shard(run in 0u64..1_000_000, count in 1u64..500) {
            let holders = (1..=count).filter(|&index| Shard { index, count }.holds(run)).count();
            prop_assert_eq!(holders, 1);
        }

        #[test]
        fn what_is_no_shard_is_refused(text in "\\PC{0,12}") {
            if let Ok(s) = Shard::parse(&text) {
                prop_assert!(s.index >= 1 && s.index <= s.count);
            }
        }
    }

    #[test]
    fn seeds_belong_to_cell_and_number() {
        let a = world_seed(1, 0.07, 10.0, 3);
        assert_eq!(a, world_seed(1, 0.07, 10.0, 3));
        for b in [
            world_seed(2, 0.07, 10.0, 3),
            world_seed(1, 0.1, 10.0, 3),
            world_seed(1, 0.07, 0.0, 3),
            world_seed(1, 0.07, 10.0, 4),
        ] {
            assert_ne!(a, b);
        }
        assert!(a < 1 << 48);
    }
}
