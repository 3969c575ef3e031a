//! The orbital layer with a price on every cell, and its averages by fours.

use super::{Cell, Source};
use crate::{config::Config, orbital::Orbital};
use sojourn_core::{limits::Limits, rover::Rover};
use std::sync::Arc;

/// Levels of averages; the last are of one cell.
const LEVELS: usize = 24;

/// What the price of ground follows from, besides the ground and the rover.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Price {
    pub unknown_factor: f64,
    class_weight: f64,
    tilt_weight: f64,
    roughness_weight: f64,
    hold_share: f64,
    tilt_deg: f64,
}

impl Price {
    pub fn new(config: &Config, limits: &Limits) -> Self {
        Self {
            unknown_factor: config.unknown_factor,
            class_weight: config.class_weight,
            tilt_weight: config.tilt_weight,
            roughness_weight: config.roughness_weight,
            hold_share: config.hold_share.tilt,
            tilt_deg: limits.tilt_deg,
        }
    }
}

/// The mean of what orbit tells within a cell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mean {
    /// Along the axes of `map`, metres per metre, of the part that is told of.
    gradient: [f32; 2],
    factor: f32,
    /// Share of the cell that is told of.
    told: f32,
    /// Code of a class in it; not-a-number where there is none.
    class: f32,
}

impl Mean {
    pub fn unknown(price: &Price) -> Self {
        Self {
            gradient: [0.0; 2],
            factor: price.unknown_factor as f32,
            told: 0.0,
            class: f32::NAN,
        }
    }

    fn of(parts: [Self; 4]) -> Self {
        let sum = |f: &dyn Fn(&Self) -> f32| parts.iter().map(f).sum::<f32>();
        let told = sum(&|p| p.told);
        let gradient = |k: usize| sum(&|p| p.gradient[k] * p.told) / told.max(f32::MIN_POSITIVE);
        Self {
            gradient: [gradient(0), gradient(1)],
            factor: 0.25 * sum(&|p| p.factor),
            told: 0.25 * told,
            class: parts
                .iter()
                .map(|p| p.class)
                .find(|c| !c.is_nan())
                .unwrap_or(f32::NAN),
        }
    }

    pub fn cell(&self, price: &Price) -> Cell {
        let told = self.told > 0.0;
        Cell {
            gradient: self.gradient.map(f64::from),
            factor: f64::from(self.factor).max(price.unknown_factor),
            class: (!self.class.is_nan()).then_some(f64::from(self.class)),
            source: if told { Source::Orbit } else { Source::Nowhere },
            ..Cell::default()
        }
    }
}

/// Averages of a layer in cells of one size.
#[derive(Clone, Debug)]
pub(super) struct Level {
    cols: usize,
    rows: usize,
    cells: Vec<Mean>,
}

impl Level {
    pub fn at(&self, col: i64, row: i64) -> Option<&Mean> {
        let (c, r) = (usize::try_from(col).ok()?, usize::try_from(row).ok()?);
        if c >= self.cols {
            return None;
        }
        self.cells.get(r * self.cols + c)
    }
}

/// A layer, priced, and its averages in cells twice as large from level to level.
#[derive(Clone, Debug)]
pub(super) struct Priced {
    pub layers: Arc<Orbital>,
    pub price: Price,
    pub levels: Vec<Level>,
}

impl Priced {
    pub fn new(
        config: &Config,
        rover: &Rover,
        limits: &Limits,
        layers: &Arc<Orbital>,
        price: Price,
    ) -> Self {
        let [cols, rows] = layers.size();
        let unknown = Mean::unknown(&price);
        let price_of = |c: usize, r: usize| {
            layers.told(c, r).map_or(unknown, |told| {
                let cell = Cell::from_orbit(config, rover, limits, &told);
                Mean {
                    gradient: cell.gradient.map(|g| g as f32),
                    factor: cell.factor as f32,
                    told: 1.0,
                    class: cell.class.map_or(f32::NAN, |k| k as f32),
                }
            })
        };
        let all = |cols: usize, rows: usize, of: &dyn Fn(usize, usize) -> Mean| Level {
            cols,
            rows,
            cells: (0..rows)
                .flat_map(|r| (0..cols).map(move |c| (c, r)))
                .map(|(c, r)| of(c, r))
                .collect(),
        };
        let mut levels = vec![all(cols, rows, &price_of)];
        while levels.len() < LEVELS
            && let Some(fine) = levels.last()
        {
            let part = |c: usize, r: usize| {
                let of = |dc: i64, dr: i64| {
                    let found = fine.at(2 * c as i64 + dc, 2 * r as i64 + dr);
                    found.copied().unwrap_or(unknown)
                };
                Mean::of([of(0, 0), of(1, 0), of(0, 1), of(1, 1)])
            };
            let next = all(fine.cols.div_ceil(2), fine.rows.div_ceil(2), &part);
            levels.push(next);
        }
        Self {
            layers: Arc::clone(layers),
            price,
            levels,
        }
    }

    pub fn is(&self, layers: &Arc<Orbital>, price: &Price) -> bool {
        Arc::ptr_eq(&self.layers, layers) && self.price == *price
    }
}
