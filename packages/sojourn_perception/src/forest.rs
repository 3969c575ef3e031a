//! A random forest (Breiman, Machine Learning 45, 2001): trees over random samples and random features, whose leaves hold
//! shares of classes.
//!
//! Small and in a file of text, so that weights can be looked at and trained again by a command; the same seed grows the
//! same trees, bit for bit.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Thresholds that are tried for one feature at one node.
const THRESHOLDS: usize = 24;
/// In [`Tree::feature`]: a leaf.
const LEAF: u16 = u16::MAX;

/// Samples to learn from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    /// Features of one sample.
    pub features: usize,
    /// All features, sample by sample.
    pub values: Vec<f32>,
    /// The class of each sample, from 0.
    pub labels: Vec<u8>,
}

/// How a forest is grown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Growth {
    /// Classes.
    pub classes: usize,
    /// Trees.
    pub trees: usize,
    /// Deepest leaf.
    pub depth: usize,
    /// Fewest samples of a leaf.
    pub least: usize,
    /// Of everything random.
    pub seed: u64,
}

/// One tree, its nodes in the order of a walk that goes left first: a node's left child is the next one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tree {
    /// The feature that a node asks for; 65535 at a leaf.
    feature: Vec<u16>,
    /// Samples with no more than this go left.
    threshold: Vec<f32>,
    /// The right child; at a leaf its number among the leaves.
    next: Vec<u32>,
    /// Shares of the classes of every leaf, each a 255th part.
    leaves: Vec<u8>,
}

/// The forest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forest {
    features: usize,
    classes: usize,
    trees: Vec<Tree>,
}

impl Forest {
    /// Grows a forest.
    ///
    /// # Errors
    /// One sentence when the samples are none, not finite, or do not fit together.
    pub fn grow(samples: &Samples, growth: Growth) -> Result<Self, String> {
        let n = samples.labels.len();
        if n == 0 || samples.features == 0 || samples.values.len() != n * samples.features {
            return Err(format!(
                "samples: {} numbers for {n} labels of {} features each",
                samples.values.len(),
                samples.features
            ));
        }
        if samples.values.iter().any(|v| !v.is_finite()) {
            return Err("samples: a feature is not a finite number".into());
        }
        if let Some(bad) = samples
            .labels
            .iter()
            .find(|l| usize::from(**l) >= growth.classes)
        {
            return Err(format!(
                "samples: label {bad}, expected less than {}",
                growth.classes
            ));
        }
        let mut rng = ChaCha8Rng::seed_from_u64(growth.seed);
        let trees = (0..growth.trees)
            .map(|_| {
                let mut drawn: Vec<u32> = (0..n).map(|_| rng.random_range(0..n as u32)).collect();
                let mut tree = Tree::default();
                let mut grower = Grower {
                    samples,
                    growth,
                    rng: &mut rng,
                };
                grower.node(&mut tree, &mut drawn, 0);
                tree
            })
            .collect();
        Ok(Self {
            features: samples.features,
            classes: growth.classes,
            trees,
        })
    }

    /// Features that it asks for.
    #[must_use]
    pub fn features(&self) -> usize {
        self.features
    }

    /// Classes that it tells apart.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Whether a forest from a file can be walked.
    ///
    /// # Errors
    /// One sentence.
    pub fn check(&self) -> Result<(), String> {
        let wrong = |k: usize, why: &str| Err(format!("tree {k} of the forest {why}"));
        if self.trees.is_empty() || self.features == 0 || !(2..=64).contains(&self.classes) {
            return Err("the forest has no trees, no features or no classes".into());
        }
        for (k, t) in self.trees.iter().enumerate() {
            let n = t.feature.len();
            if n == 0 || t.threshold.len() != n || t.next.len() != n {
                return wrong(k, "has lists of different lengths");
            }
            for i in 0..n {
                let next = t.next[i] as usize;
                let sound = if t.feature[i] == LEAF {
                    (next + 1) * self.classes <= t.leaves.len()
                } else {
                    usize::from(t.feature[i]) < self.features
                        && next > i + 1
                        && next < n
                        && t.threshold[i].is_finite()
                };
                if !sound {
                    return wrong(k, &format!("is broken at node {i}"));
                }
            }
        }
        Ok(())
    }

    /// Adds up the shares of all trees for one sample and puts their mean into `out`, one number per class.
    pub fn shares(&self, sample: &[f32], out: &mut [f32]) {
        out.fill(0.0);
        for t in &self.trees {
            let mut i = 0usize;
            while t.feature.get(i).is_some_and(|f| *f != LEAF) {
                let v = sample.get(usize::from(t.feature[i])).copied();
                // Not a number goes right, always the same way.
                i = if v.is_some_and(|v| v <= t.threshold[i]) {
                    i + 1
                } else {
                    t.next[i] as usize
                };
            }
            let leaf = t.next.get(i).map_or(0, |l| *l as usize) * self.classes;
            for (o, s) in out.iter_mut().zip(t.leaves.iter().skip(leaf)) {
                *o += f32::from(*s);
            }
        }
        let sum: f32 = out.iter().sum();
        if sum > 0.0 {
            for o in out.iter_mut() {
                *o /= sum;
            }
        }
    }
}

struct Grower<'a> {
    samples: &'a Samples,
    growth: Growth,
    rng: &'a mut ChaCha8Rng,
}

/// A question: feature and threshold, and the impurity that is left.
struct Split {
    feature: usize,
    threshold: f32,
    impurity: f64,
}

impl Grower<'_> {
    fn node(&mut self, tree: &mut Tree, drawn: &mut [u32], depth: usize) {
        let counts = self.counts(drawn);
        let pure = counts.iter().filter(|c| **c > 0.0).count() < 2;
        let split = if pure || depth >= self.growth.depth || drawn.len() < 2 * self.growth.least {
            None
        } else {
            self.split(drawn)
        };
        let here = tree.feature.len();
        let middle = split.map(|s| {
            let mut left = 0;
            for k in 0..drawn.len() {
                if self.value(drawn[k], s.feature) <= s.threshold {
                    drawn.swap(left, k);
                    left += 1;
                }
            }
            (s, left)
        });
        match middle {
            Some((s, left))
                if left >= self.growth.least && drawn.len() - left >= self.growth.least =>
            {
                tree.feature.push(s.feature as u16);
                tree.threshold.push(s.threshold);
                tree.next.push(0);
                let (low, high) = drawn.split_at_mut(left);
                self.node(tree, low, depth + 1);
                tree.next[here] = tree.feature.len() as u32;
                self.node(tree, high, depth + 1);
            }
            _ => {
                tree.feature.push(LEAF);
                tree.threshold.push(0.0);
                tree.next
                    .push((tree.leaves.len() / self.growth.classes) as u32);
                let n = counts.iter().sum::<f64>().max(1.0);
                tree.leaves
                    .extend(counts.iter().map(|c| (255.0 * c / n).round() as u8));
            }
        }
    }

    fn value(&self, sample: u32, feature: usize) -> f32 {
        self.samples.values[sample as usize * self.samples.features + feature]
    }

    fn counts(&self, drawn: &[u32]) -> Vec<f64> {
        let mut out = vec![0.0; self.growth.classes];
        for s in drawn {
            out[usize::from(self.samples.labels[*s as usize])] += 1.0;
        }
        out
    }

    /// The best of some random questions, by Gini impurity.
    fn split(&mut self, drawn: &[u32]) -> Option<Split> {
        let classes = self.growth.classes;
        let tries = (self.samples.features as f64).sqrt().ceil() as usize;
        let mut best: Option<Split> = None;
        for _ in 0..tries {
            let feature = self.rng.random_range(0..self.samples.features);
            let mut at: Vec<f32> = (0..THRESHOLDS)
                .map(|_| {
                    let k = self.rng.random_range(0..drawn.len());
                    round(self.value(drawn[k], feature))
                })
                .collect();
            at.sort_by(f32::total_cmp);
            at.dedup();
            let mut bins = vec![0.0f64; (at.len() + 1) * classes];
            for s in drawn {
                let v = self.value(*s, feature);
                let bin = at.partition_point(|t| *t < v);
                bins[bin * classes + usize::from(self.samples.labels[*s as usize])] += 1.0;
            }
            let mut high = self.counts(drawn);
            let mut low = vec![0.0f64; classes];
            for (k, threshold) in at.iter().enumerate() {
                for c in 0..classes {
                    low[c] += bins[k * classes + c];
                    high[c] -= bins[k * classes + c];
                }
                let impurity = gini(&low) + gini(&high);
                if best.as_ref().is_none_or(|b| impurity < b.impurity) {
                    best = Some(Split {
                        feature,
                        threshold: *threshold,
                        impurity,
                    });
                }
            }
        }
        best
    }
}

/// Impurity times samples.
fn gini(counts: &[f64]) -> f64 {
    let n: f64 = counts.iter().sum();
    if n <= 0.0 {
        return 0.0;
    }
    n - counts.iter().map(|c| c * c).sum::<f64>() / n
}

/// To four digits: thresholds stand in a file of text.
fn round(v: f32) -> f32 {
    let v = f64::from(v);
    if v == 0.0 {
        return 0.0;
    }
    let unit = 10f64.powi(3 - v.abs().log10().floor() as i32);
    ((v * unit).round() / unit) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{prop_assert, proptest};
    use rand::Rng;

    /// Three classes: inside a circle, right of it, and the rest; a third feature says nothing.
    fn samples(n: usize, seed: u64) -> Samples {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut out = Samples {
            features: 3,
            ..Samples::default()
        };
        for _ in 0..n {
            let p: [f32; 3] = std::array::from_fn(|_| rng.random_range(-1.0..1.0));
            out.values.extend(p);
            out.labels.push(if p[0].hypot(p[1]) < 0.5 {
                0
            } else {
                u8::from(p[0] < 0.0) + 1
            });
        }
        out
    }

    fn growth(seed: u64) -> Growth {
        Growth {
            classes: 3,
            trees: 12,
            depth: 10,
            least: 3,
            seed,
        }
    }

    #[test]
    fn a_forest_learns_shapes_and_the_same_seed_grows_the_same_trees() {
        let forest = Forest::grow(&samples(3000, 1), growth(5)).unwrap();
        forest.check().unwrap();
        let fresh = samples(1000, 2);
        let right = (0..1000)
            .filter(|k| {
                let mut p = [0.0; 3];
                forest.shares(&fresh.values[3 * k..3 * k + 3], &mut p);
                assert!((p.iter().sum::<f32>() - 1.0).abs() < 1e-5);
                let best = (0..3).max_by(|a, b| p[*a].total_cmp(&p[*b])).unwrap();
                best == usize::from(fresh.labels[*k])
            })
            .count();
        assert!(right > 930, "{right}");
        assert_eq!(forest, Forest::grow(&samples(3000, 1), growth(5)).unwrap());
        assert_ne!(forest, Forest::grow(&samples(3000, 1), growth(6)).unwrap());
        let text = serde_json::to_string(&forest).unwrap();
        assert_eq!(forest, serde_json::from_str(&text).unwrap());
    }

    #[test]
    fn samples_and_files_that_are_broken_are_refused() {
        let mut bad = samples(10, 1);
        bad.values[4] = f32::NAN;
        assert!(
            Forest::grow(&bad, growth(1))
                .unwrap_err()
                .contains("finite")
        );
        let mut bad = samples(10, 1);
        bad.labels[3] = 9;
        assert!(
            Forest::grow(&bad, growth(1))
                .unwrap_err()
                .contains("label 9")
        );
        assert!(Forest::grow(&Samples::default(), growth(1)).is_err());
        let good = Forest::grow(&samples(300, 1), growth(1)).unwrap();
        for spoil in [
            |f: &mut Forest| f.trees[0].next[0] = 1_000_000,
            |f: &mut Forest| f.trees[0].next[0] = 0,
            |f: &mut Forest| f.trees[1].leaves.truncate(2),
            |f: &mut Forest| f.trees[0].threshold.truncate(1),
            |f: &mut Forest| f.features = 1,
            |f: &mut Forest| f.trees.clear(),
        ] {
            let mut f = good.clone();
            spoil(&mut f);
            assert!(f.check().is_err());
        }
    }

    proptest! {
        #[test]
        fn rounding_stays_near(v in -1e6f32..1e6) {
            prop_assert!((round(v) - v).abs() <= 1e-3 * v.abs());
        }
    }
}
