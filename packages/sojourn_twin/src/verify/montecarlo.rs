//! The plan under what is not known: seeded samples, the same whatever number of threads works on them.

use super::{
    conditions::{Conditions, Ground},
    drive::{Course, Drive, SegmentRun},
    ledger::{Excess, Place},
    sample::Env,
    settings::{MonteCarloSettings, Settings},
};
use crate::TwinError;
use rayon::prelude::*;
use sojourn_core::{
    raster::Raster,
    report::{LimitProbability, MonteCarlo, Spot},
    settle::Settler,
};
use std::collections::BTreeMap;

/// What one sample came to.
pub struct SampleRun {
    /// First excess of each channel that broke a hard limit.
    pub broken: BTreeMap<usize, Excess>,
    /// The segments.
    pub segments: Vec<SegmentRun>,
    /// Values compared.
    pub values: u64,
    /// Duration, seconds.
    pub duration_s: f64,
}

/// Runs all samples. `course` carries the sampling time of the samples; `env` the usual surroundings.
///
/// # Errors
/// As [`Drive::run`].
pub fn run_all(
    course: &Course,
    env: &Env,
    elevation: &Raster,
    settings: &Settings,
    progress: &(dyn Fn(u32) + Sync),
) -> Result<Vec<SampleRun>, TwinError> {
    let m = &settings.monte_carlo;
    // Coarser than in the nominal run: small stones are not in the data anyway.
    let settler = Settler::new(env.rover, (0.4 * env.rover.wheel.radius_m).max(0.01));
    let done = std::sync::atomic::AtomicU32::new(0);
    (0..m.samples)
        .into_par_iter()
        .map(|index| {
            let conditions = Conditions::draw(index, elevation.resolution_m(), m, &env.mission);
            let out = one(course, env, elevation, &settler, &conditions)?;
            progress(done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1);
            Ok(out)
        })
        .collect()
}

/// One run under given assumptions.
///
/// # Errors
/// As [`Drive::run`].
pub fn one(
    course: &Course,
    env: &Env,
    elevation: &Raster,
    settler: &Settler,
    conditions: &Conditions,
) -> Result<SampleRun, TwinError> {
    let env = Env {
        environment: conditions.environment(env.environment),
        ..*env
    };
    let ground = Ground {
        elevation,
        map_offset_m: conditions.map_offset_m,
        relief: conditions.relief.as_ref(),
    };
    let outcome = Drive::new(course, &env, ground, conditions, settler, None).run()?;
    let mut broken = BTreeMap::new();
    for e in &outcome.ledger.excesses {
        broken.entry(e.channel).or_insert(*e);
    }
    Ok(SampleRun {
        broken,
        segments: outcome.segments,
        values: outcome.ledger.tallies().iter().map(|t| t.samples).sum(),
        duration_s: outcome.end.time_s,
    })
}

/// What the samples say together.
#[must_use]
pub fn summary(course: &Course, runs: &[SampleRun], settings: &Settings) -> MonteCarlo {
    let m = &settings.monte_carlo;
    let n = runs.len() as u32;
    let z = normal_quantile(0.5 + 0.5 * m.confidence);
    let dictionary = course.dictionary;
    let mut limits: Vec<LimitProbability> = dictionary
        .channels
        .iter()
        .enumerate()
        .filter(|(_, c)| c.untrippable.is_none() && (c.hard.min.is_some() || c.hard.max.is_some()))
        .map(|(i, c)| {
            let rule = dictionary.rule_of(i);
            probability(
                &c.name,
                [
                    rule.map_or("", |r| r.id.as_str()),
                    rule.map_or("", |r| r.category.as_str()),
                ],
                runs.iter().filter_map(|r| r.broken.get(&i)).collect(),
                n,
                z,
            )
        })
        .collect();
    // Stable: channels of equal probability stay in the order of the dictionary.
    limits.sort_by_key(|l| std::cmp::Reverse(l.violations));
    let first_of_any = runs
        .iter()
        .filter_map(|r| {
            r.broken
                .values()
                .min_by(|a, b| a.place.time_s.total_cmp(&b.place.time_s))
        })
        .collect();
    let mut durations: Vec<f64> = runs.iter().map(|r| r.duration_s).collect();
    durations.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let i = (share * durations.len() as f64) as usize;
        durations
            .get(i.min(durations.len().saturating_sub(1)))
            .copied()
            .unwrap_or(0.0)
    };
    MonteCarlo {
        samples: n,
        seed: m.seed,
        confidence: m.confidence,
        telemetry_values: runs.iter().map(|r| r.values).sum(),
        any: probability("any", ["", ""], first_of_any, n, z),
        limits,
        reject_from: settings.thresholds.reject,
        duration_s: [at(0.5), at(0.95)],
    }
}

fn probability(
    channel: &str,
    [rule, category]: [&str; 2],
    mut broken: Vec<&Excess>,
    n: u32,
    z: f64,
) -> LimitProbability {
    broken.sort_by(|a, b| a.place.distance_m.total_cmp(&b.place.distance_m));
    let k = broken.len() as u32;
    let (lower, upper) = wilson(k, n, z);
    LimitProbability {
        channel: channel.into(),
        rule: rule.into(),
        category: category.into(),
        violations: k,
        probability: if n == 0 {
            0.0
        } else {
            f64::from(k) / f64::from(n)
        },
        lower,
        upper,
        first: broken.get(broken.len() / 2).map(|e| spot(e.place)),
    }
}

/// A place in the report's form.
#[must_use]
pub fn spot(p: Place) -> Spot {
    let finite = |v: f64| if v.is_finite() { v } else { 0.0 };
    Spot {
        x_m: finite(p.x_m),
        y_m: finite(p.y_m),
        distance_m: finite(p.distance_m),
        time_s: finite(p.time_s),
        waypoint: p.waypoint,
    }
}

/// Wilson's bounds of a probability after `k` of `n`: E. B. Wilson, J. Am. Stat. Assoc. 22 (1927), 209.
#[must_use]
pub fn wilson(k: u32, n: u32, z: f64) -> (f64, f64) {
    if n == 0 {
        return (0.0, 1.0);
    }
    let (k, n) = (f64::from(k), f64::from(n));
    let p = k / n;
    let z2 = z * z;
    let centre = p + z2 / (2.0 * n);
    let half = z * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z2 / n;
    (
        ((centre - half) / scale).clamp(0.0, p),
        ((centre + half) / scale).clamp(p, 1.0),
    )
}

/// Quantile of the normal distribution for a probability between 0.5 and 1, by bisection of the error function's series
/// (Abramowitz and Stegun 26.2.17, error below 8e-8).
#[must_use]
pub fn normal_quantile(p: f64) -> f64 {
    let below = |x: f64| {
        let t = 1.0 / (1.0 + 0.231_641_9 * x);
        let series = t
            * (0.319_381_530
                + t * (-0.356_563_782
                    + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
        1.0 - (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt() * series
    };
    let (mut lo, mut hi) = (0.0, 8.0);
    for _ in 0..60 {
        let mid = 0.5 * (lo + hi);
        if below(mid) < p {
            lo = mid;
        } else {
            hi = mid;
        }
    }
    0.5 * (lo + hi)
}

/// The settings of the samples as seen by a course: its sampling time.
#[must_use]
pub fn sampled<'a>(course: &Course<'a>, m: &MonteCarloSettings) -> Course<'a> {
    Course {
        sample_s: m.sample_s,
        ..*course
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_bounds_are_those_of_the_tables() {
        assert!((normal_quantile(0.975) - 1.959_964).abs() < 1e-4);
        // Newcombe 1998: 81 of 263 gives 0.2553 to 0.3662 at 95 %
        let (lo, hi) = wilson(81, 263, 1.959_964);
        assert!((lo - 0.2553).abs() < 1e-4 && (hi - 0.3662).abs() < 1e-4);
        let (lo, hi) = wilson(0, 100, 1.959_964);
        assert!(lo == 0.0 && (hi - 0.0370).abs() < 1e-4);
    }

    proptest! {
        #[test]
        fn bounds_hold_the_estimate_and_narrow(k in 0u32..50, more in 1u32..10) {
            let n = 50;
            let p = f64::from(k) / f64::from(n);
            let (lo, hi) = wilson(k, n, 1.96);
            prop_assert!(lo <= p && p <= hi && (0.0..=1.0).contains(&lo) && (0.0..=1.0).contains(&hi));
            let (lo2, hi2) = wilson(k * (1 + more), n * (1 + more), 1.96);
            prop_assert!(hi2 - lo2 < hi - lo);
        }
    }
}
