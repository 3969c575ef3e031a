//! Figures over scenes with their intervals.

use super::judge::Row;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

/// Draws of the bootstrap.
const DRAWS: usize = 2000;

/// A figure with its interval of 95 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Figure {
    pub value: Option<f64>,
    pub lo: Option<f64>,
    pub hi: Option<f64>,
    /// Scenes that it is of.
    pub n: usize,
}

/// A statistic of what each scene gives, with its interval by the percentile bootstrap over scenes (Efron 1979).
fn bootstrap<T: Copy>(
    values: &[T],
    seed: u64,
    statistic: impl Fn(&mut [T]) -> Option<f64>,
) -> Figure {
    let n = values.len();
    let value = if n == 0 {
        None
    } else {
        statistic(&mut values.to_vec())
    };
    if value.is_none() {
        return Figure {
            value,
            lo: None,
            hi: None,
            n,
        };
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut draws: Vec<f64> = (0..DRAWS)
        .filter_map(|_| {
            let mut sample: Vec<T> = (0..n).map(|_| values[rng.random_range(0..n)]).collect();
            statistic(&mut sample)
        })
        .collect();
    draws.sort_by(f64::total_cmp);
    // A few draws may hold nothing that could fall; the others are what is known.
    let tail = draws.len() / 40;
    Figure {
        value,
        lo: draws.get(tail).copied(),
        hi: draws
            .len()
            .checked_sub(1 + tail)
            .and_then(|k| draws.get(k))
            .copied(),
        n,
    }
}

/// Of one number per scene.
pub(super) fn figure(
    rows: &[Row],
    seed: u64,
    of: impl Fn(&Row) -> Option<f64>,
    statistic: fn(&mut [f64]) -> f64,
) -> Figure {
    let values: Vec<f64> = rows.iter().filter_map(of).collect();
    of_values(&values, seed, statistic)
}

/// Of numbers that are at hand.
pub(super) fn of_values(values: &[f64], seed: u64, statistic: fn(&mut [f64]) -> f64) -> Figure {
    bootstrap(values, seed, |v| Some(statistic(v)))
}

/// By how much a sum over scenes falls from the first to the second number of each: 1 − Σ second / Σ first. Scenes are
/// drawn as pairs. Nothing when there was nothing to fall.
pub(super) fn fall(rows: &[Row], seed: u64, of: impl Fn(&Row) -> Option<[f64; 2]>) -> Figure {
    let pairs: Vec<[f64; 2]> = rows.iter().filter_map(of).collect();
    bootstrap(&pairs, seed, |v| {
        let sum = |k: usize| v.iter().map(|p| p[k]).sum::<f64>();
        (sum(0) > 0.0).then(|| 1.0 - sum(1) / sum(0))
    })
}

pub(super) fn mean(values: &mut [f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

pub(super) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    0.5 * (values[(n - 1) / 2] + values[n / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Row> {
        (0..40)
            .map(|k| Row {
                missed_hazard: Some(f64::from(k)),
                hazard_m_alone: f64::from(k),
                hazard_m_with: Some(0.25 * f64::from(k)),
                ..Row::blank(&k.to_string(), "", "s")
            })
            .collect()
    }

    #[test]
    fn the_interval_holds_the_value() {
        let f = figure(&rows(), 1, |r| r.missed_hazard, mean);
        assert!(f.lo < f.value && f.value < f.hi && f.value == Some(19.5) && f.n == 40);
        assert_eq!(median(&mut [3.0, 1.0, 2.0, 10.0]), 2.5);
        let none = figure(&[], 1, |r| r.missed_hazard, mean);
        assert_eq!((none.value, none.lo, none.n), (None, None, 0));
    }

    #[test]
    fn a_fall_is_of_sums_over_pairs() {
        let even = fall(&rows(), 1, |r| Some([r.hazard_m_alone, r.hazard_m_with?]));
        assert_eq!(
            (even.value, even.lo, even.hi),
            (Some(0.75), Some(0.75), Some(0.75))
        );
        let nothing = fall(&rows(), 1, |_| Some([0.0, 1.0]));
        assert_eq!((nothing.value, nothing.n), (None, 40));
        let worse = fall(&rows(), 1, |_| Some([1.0, 2.0]));
        assert_eq!(worse.value, Some(-1.0));
    }
}
