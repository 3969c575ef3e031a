//! Which candidates are taken: a logistic rule over a few numbers of each.

use nalgebra::{SMatrix, SVector};
use serde::{Deserialize, Serialize};
use sojourn_core::{CoreError, files::read_text};
use std::path::Path;

/// Numbers of a candidate.
pub const NUMBERS: usize = 8;
/// Weights and offset.
const TERMS: usize = NUMBERS + 1;
/// Largest file of rules, bytes.
const MOST_BYTES: u64 = 1 << 20;
/// Rounds of Newton's method, and what holds the weights small.
const ROUNDS: usize = 40;
const HOLD: f64 = 1.0;
/// Parts that the candidates are cut into: each is judged by the rule of the others.
const PARTS: usize = 7;

/// Odds of a candidate: its numbers, standardized, times weights.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Mean of each number over the candidates learnt from.
    pub mean: [f64; NUMBERS],
    /// Standard deviation of each.
    pub spread: [f64; NUMBERS],
    /// Weight of each, in logarithms of the odds.
    pub weight: [f64; NUMBERS],
    /// Logarithm of the odds of a mean candidate.
    pub offset: f64,
    /// Logarithm of the odds from which a candidate is taken.
    pub from: f64,
}

/// The rules for veins and for fields of nodules.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// For veins.
    pub vein: Rule,
    /// For fields of nodules.
    pub nodule: Rule,
}

impl Rule {
    /// Learns from candidates and what they really are. The least odds are those that give most of the real ones
    /// with fewest others (the greatest F1) when each seventh is judged by a rule of the others.
    ///
    /// # Errors
    /// [`CoreError`] when there are too few of either.
    pub fn learnt(what: &str, of: &[([f64; NUMBERS], bool)]) -> Result<Self, CoreError> {
        let real = of.iter().filter(|(_, real)| *real).count();
        if real < PARTS || of.len() - real < PARTS {
            return Err(CoreError::value(
                what,
                "candidates",
                format!("{real} real ones of {}", of.len()),
                format!("{PARTS} real ones and {PARTS} others at least; more worlds"),
            ));
        }
        let mut judged: Vec<(f64, bool)> = Vec::new();
        for part in 0..PARTS {
            let in_part = |k: usize| k * PARTS / of.len() == part;
            let others: Vec<_> = (0..of.len())
                .filter(|k| !in_part(*k))
                .map(|k| of[k])
                .collect();
            let rule = Self::through(&others);
            let here = of.iter().enumerate().filter(|(k, _)| in_part(*k));
            judged.extend(here.map(|(_, (numbers, real))| (rule.odds(numbers), *real)));
        }
        judged.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (mut hits, mut best) = (0, (0.0, f64::INFINITY));
        for (taken, (odds, is_real)) in judged.iter().enumerate() {
            hits += usize::from(*is_real);
            let f1 = 2.0 * hits as f64 / (taken + 1 + real) as f64;
            if f1 > best.0 {
                best = (f1, *odds);
            }
        }
        Ok(Self {
            from: best.1,
            ..Self::through(of)
        })
    }

    /// The weights by logistic regression.
    fn through(of: &[([f64; NUMBERS], bool)]) -> Self {
        let n = of.len().max(1) as f64;
        let mean: [f64; NUMBERS] =
            std::array::from_fn(|k| of.iter().map(|(v, _)| v[k]).sum::<f64>() / n);
        let spread: [f64; NUMBERS] = std::array::from_fn(|k| {
            let square = of
                .iter()
                .map(|(v, _)| (v[k] - mean[k]).powi(2))
                .sum::<f64>();
            (square / n).sqrt().max(1e-6)
        });
        let terms = |v: &[f64; NUMBERS]| {
            SVector::<f64, TERMS>::from_fn(|k, _| {
                if k < NUMBERS {
                    (v[k] - mean[k]) / spread[k]
                } else {
                    1.0
                }
            })
        };
        let mut w = SVector::<f64, TERMS>::zeros();
        for _ in 0..ROUNDS {
            let mut slope = w * -HOLD;
            let mut normal = SMatrix::<f64, TERMS, TERMS>::identity() * HOLD;
            for (v, real) in of {
                let t = terms(v);
                let p = 1.0 / (1.0 + (-w.dot(&t)).exp());
                slope += t * (f64::from(u8::from(*real)) - p);
                normal += t * t.transpose() * (p * (1.0 - p));
            }
            let Some(step) = normal.cholesky().map(|c| c.solve(&slope)) else {
                break;
            };
            w += step;
        }
        Self {
            mean,
            spread,
            weight: std::array::from_fn(|k| w[k]),
            offset: w[NUMBERS],
            from: 0.0,
        }
    }

    /// Logarithm of a candidate's odds.
    #[must_use]
    pub fn odds(&self, numbers: &[f64; NUMBERS]) -> f64 {
        let each =
            (0..NUMBERS).map(|k| (numbers[k] - self.mean[k]) / self.spread[k] * self.weight[k]);
        self.offset + each.sum::<f64>()
    }

    /// Whether a candidate is taken; not-a-number never is.
    #[must_use]
    pub fn takes(&self, numbers: &[f64; NUMBERS]) -> bool {
        self.odds(numbers) >= self.from
    }
}

impl Rules {
    /// Those that come with Sojourn: `models/small.json`, made by `sojourn train small`.
    ///
    /// # Errors
    /// [`CoreError`] when that file was broken when this was built.
    pub fn shipped() -> Result<Self, CoreError> {
        Self::read("models/small.json", include_str!("../../models/small.json"))
    }

    /// Those of a file of `sojourn train small`.
    ///
    /// # Errors
    /// [`CoreError`] that names the file.
    pub fn load(path: &Path) -> Result<Self, CoreError> {
        Self::read(&path.display().to_string(), &read_text(path, MOST_BYTES)?)
    }

    fn read(what: &str, text: &str) -> Result<Self, CoreError> {
        let wanted = "the rules of sojourn train small";
        let rules: Self = serde_json::from_str(text)
            .map_err(|e| CoreError::value(what, "rules", e.to_string(), wanted))?;
        for rule in [&rules.vein, &rules.nodule] {
            let all = [rule.mean, rule.spread, rule.weight].concat();
            let fits = all.iter().all(|v| v.is_finite()) && rule.spread.iter().all(|s| *s > 0.0);
            if !fits || !rule.offset.is_finite() || !rule.from.is_finite() {
                let odd = "numbers that are not finite, or a spread that is not positive";
                return Err(CoreError::value(what, "rules", odd.to_owned(), wanted));
            }
        }
        Ok(rules)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Candidates whose first number decides, mostly, and whose others say nothing.
    fn candidates() -> Vec<([f64; NUMBERS], bool)> {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        (0..400u64)
            .map(|k| {
                let mut v: [f64; NUMBERS] = std::array::from_fn(|_| rng.random());
                let real = k % 5 == 0;
                v[0] += if real { 1.2 } else { 0.0 };
                (v, real)
            })
            .collect()
    }

    #[test]
    fn a_rule_learns_which_number_decides() {
        let of = candidates();
        let rule = Rule::learnt("test", &of).unwrap();
        assert!(rule.weight[0] > 2.0 && rule.weight[1..].iter().all(|w| w.abs() < 1.0));
        let right = of.iter().filter(|(v, real)| rule.takes(v) == *real).count();
        assert!(right > 390, "{right}");
        assert!(!rule.takes(&[f64::NAN; NUMBERS]));
        let text = serde_json::to_string(&rule).unwrap();
        assert_eq!(serde_json::from_str::<Rule>(&text).unwrap(), rule);
    }

    #[test]
    fn too_few_candidates_are_refused() {
        let few: Vec<_> = candidates().into_iter().take(20).collect();
        let e = Rule::learnt("veins", &few).unwrap_err().to_string();
        assert!(e.contains("4 real ones of 20"), "{e}");
    }

    #[test]
    fn the_shipped_rules_can_be_read() {
        let rules = Rules::shipped().unwrap();
        let mut flat = rules;
        flat.vein.spread[3] = 0.0;
        for (text, good) in [
            (serde_json::to_string(&rules).unwrap(), true),
            (serde_json::to_string(&flat).unwrap(), false),
            ("{}".to_owned(), false),
        ] {
            assert_eq!(Rules::read("a file", &text).is_ok(), good, "{text}");
        }
        let e = Rules::load(Path::new("/nowhere.json")).unwrap_err();
        assert!(e.to_string().contains("/nowhere.json"), "{e}");
    }
}
