//! Compares answers with masks: accuracy, IoU, missed hazards, calibration, with intervals over images.

use super::classify::Classified;
use super::net::CLASSES;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use sojourn_core::classes::{SURFACES, SurfaceClass};
use std::collections::BTreeMap;

/// Bins of confidence for the calibration error.
const BINS: usize = 15;
/// Smallest group of big-rock pixels that counts as a rock.
const ROCK_PIXELS: usize = 16;
/// Big rock's index.
const ROCK: usize = SurfaceClass::BigRock as usize;
/// Sand's index.
const SAND: usize = SurfaceClass::Sand as usize;

/// What one image adds to the score. Tallies of images add up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Pixels by true and by decided class.
    pub confusion: [[u64; CLASSES]; CLASSES],
    /// Labelled pixels that would be given out as unknown, and those among them that were decided rightly.
    pub unknown: u64,
    /// Pixels that are not unknown and right.
    pub known_right: u64,
    /// Pixels, sum of confidence and rightly decided pixels in each bin of confidence.
    bins: [(u64, f64, u64); BINS],
    /// Groups of big-rock pixels, and those of which less than half was called big rock.
    rocks: u64,
    rocks_missed: u64,
}

impl Tally {
    /// One image and its mask, a code a pixel. Pixels without a class are left out; a probability below
    /// `unknown_below` counts as unknown apart, without changing the confusion.
    #[must_use]
    pub fn of(said: &Classified, mask: &[u8], unknown_below: f32) -> Self {
        let mut t = Self::default();
        let mut called_rock = vec![false; mask.len()];
        for (pixel, code) in mask.iter().enumerate() {
            let (class, confidence) = said.decided(pixel);
            called_rock[pixel] = class == SurfaceClass::BigRock;
            let Some(truth) = SurfaceClass::from_ai4mars(*code) else {
                continue;
            };
            let right = truth == class;
            t.confusion[truth as usize][class as usize] += 1;
            if said.class(pixel, unknown_below) == SurfaceClass::Unknown {
                t.unknown += 1;
            } else if right {
                t.known_right += 1;
            }
            let bin = &mut t.bins[((confidence * BINS as f32) as usize).min(BINS - 1)];
            bin.0 += 1;
            bin.1 += f64::from(confidence);
            bin.2 += u64::from(right);
        }
        let width = said.probabilities.width;
        (t.rocks, t.rocks_missed) = rocks(mask, width, &called_rock);
        t
    }

    /// Adds another image's.
    pub fn add(&mut self, other: &Self) {
        for (a, b) in self.confusion.iter_mut().zip(&other.confusion) {
            for (a, b) in a.iter_mut().zip(b) {
                *a += b;
            }
        }
        self.unknown += other.unknown;
        self.known_right += other.known_right;
        for (a, b) in self.bins.iter_mut().zip(&other.bins) {
            a.0 += b.0;
            a.1 += b.1;
            a.2 += b.2;
        }
        self.rocks += other.rocks;
        self.rocks_missed += other.rocks_missed;
    }
}

/// Groups of big-rock pixels that touch, and how many of them were missed.
fn rocks(mask: &[u8], width: usize, called_rock: &[bool]) -> (u64, u64) {
    let is_rock = |p: usize| SurfaceClass::from_ai4mars(mask[p]) == Some(SurfaceClass::BigRock);
    let mut seen = vec![false; mask.len()];
    let (mut all, mut missed) = (0, 0);
    for start in 0..mask.len() {
        if seen[start] || !is_rock(start) {
            continue;
        }
        seen[start] = true;
        let mut group = vec![start];
        let mut next = 0;
        while let Some(&p) = group.get(next) {
            next += 1;
            let column = p % width;
            let around = [
                (column > 0).then(|| p - 1),
                (column + 1 < width).then_some(p + 1),
                p.checked_sub(width),
                Some(p + width).filter(|q| *q < mask.len()),
            ];
            for q in around.into_iter().flatten() {
                if !seen[q] && is_rock(q) {
                    seen[q] = true;
                    group.push(q);
                }
            }
        }
        if group.len() >= ROCK_PIXELS {
            all += 1;
            let found = group.iter().filter(|p| called_rock[**p]).count();
            missed += u64::from(2 * found < group.len());
        }
    }
    (all, missed)
}

/// The figures of one class; none where there was nothing to measure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassScore {
    /// Labelled pixels.
    pub pixels: u64,
    /// Intersection over union.
    pub iou: Option<f64>,
    /// Share of its pixels that were found.
    pub recall: Option<f64>,
    /// Share of what was called so that is so.
    pub precision: Option<f64>,
}

/// What is measured over a set of images; none where there was nothing to measure it on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// Share of labelled pixels whose class is right; unknown is no way out here.
    pub pixel_accuracy: Option<f64>,
    /// Mean IoU of the classes that have labelled pixels.
    pub miou: Option<f64>,
    /// By class.
    pub per_class: BTreeMap<&'static str, ClassScore>,
    /// Share of the sand that was called soil or bedrock, by area.
    pub missed_sand: Option<f64>,
    /// Share of big rock that was called something else, by area.
    pub missed_big_rock: Option<f64>,
    /// Share of rocks (groups of at least 16 pixels) of which less than half was called big rock.
    pub missed_big_rock_instances: Option<f64>,
    /// Expected calibration error: mean distance of confidence and accuracy over 15 equal bins of confidence.
    pub ece: Option<f64>,
    /// Share of labelled pixels that would be given out as unknown.
    pub unknown_share: Option<f64>,
    /// Accuracy of the rest.
    pub accuracy_where_known: Option<f64>,
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

impl Score {
    /// Of a sum of tallies.
    #[must_use]
    pub fn of(t: &Tally) -> Self {
        let m = &t.confusion;
        let rows: [u64; CLASSES] = std::array::from_fn(|k| m[k].iter().sum());
        let all: u64 = rows.iter().sum();
        let mut per_class = BTreeMap::new();
        let mut ious = Vec::new();
        for (k, row) in rows.iter().enumerate() {
            let hit = m[k][k];
            let called: u64 = m.iter().map(|r| r[k]).sum();
            let iou = share(hit, row + called - hit);
            if *row > 0 {
                ious.extend(iou);
            }
            per_class.insert(
                SURFACES[k].name,
                ClassScore {
                    pixels: *row,
                    iou,
                    recall: share(hit, *row),
                    precision: share(hit, called),
                },
            );
        }
        let right: u64 = (0..CLASSES).map(|k| m[k][k]).sum();
        let soil_or_bedrock =
            m[SAND][SurfaceClass::Soil as usize] + m[SAND][SurfaceClass::Bedrock as usize];
        let off: f64 = t
            .bins
            .iter()
            .map(|(_, confidence, right)| (confidence - *right as f64).abs())
            .sum();
        Self {
            pixel_accuracy: share(right, all),
            miou: (!ious.is_empty()).then(|| ious.iter().sum::<f64>() / ious.len() as f64),
            per_class,
            missed_sand: share(soil_or_bedrock, rows[SAND]),
            missed_big_rock: share(rows[ROCK] - m[ROCK][ROCK], rows[ROCK]),
            missed_big_rock_instances: share(t.rocks_missed, t.rocks),
            ece: (all > 0).then(|| off / all as f64),
            unknown_share: share(t.unknown, all),
            accuracy_where_known: share(t.known_right, all - t.unknown),
        }
    }
}

/// Central 95 % intervals of figures by drawing images with replacement (Efron 1979), from a seed.
#[must_use]
pub fn intervals(
    images: &[Tally],
    draws: usize,
    seed: u64,
) -> BTreeMap<&'static str, Option<[f64; 2]>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut found: BTreeMap<&'static str, Vec<f64>> =
        FIGURES.iter().map(|(n, _)| (*n, vec![])).collect();
    for _ in 0..draws {
        let mut sum = Tally::default();
        for _ in images {
            sum.add(&images[rng.random_range(0..images.len())]);
        }
        let score = Score::of(&sum);
        for (name, figure) in FIGURES {
            if let (Some(values), Some(v)) = (found.get_mut(name), figure(&score)) {
                values.push(v);
            }
        }
    }
    found
        .into_iter()
        .map(|(name, mut values)| {
            values.sort_by(f64::total_cmp);
            let at =
                |q: f64| values.get((q * (values.len().saturating_sub(1)) as f64).round() as usize);
            (name, at(0.025).zip(at(0.975)).map(|(a, b)| [*a, *b]))
        })
        .collect()
}

/// A figure of a score.
type Figure = fn(&Score) -> Option<f64>;

/// The figures that have intervals.
const FIGURES: [(&str, Figure); 5] = [
    ("pixel_accuracy", |s| s.pixel_accuracy),
    ("miou", |s| s.miou),
    ("missed_sand", |s| s.missed_sand),
    ("missed_big_rock", |s| s.missed_big_rock),
    ("ece", |s| s.ece),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(confusion: [[u64; 4]; 4]) -> Tally {
        Tally {
            confusion,
            ..Tally::default()
        }
    }

    #[test]
    fn figures_are_those_of_the_confusion() {
        let t = tally([[8, 1, 1, 0], [0, 10, 0, 0], [2, 1, 16, 1], [0, 1, 1, 2]]);
        let s = Score::of(&t);
        assert_eq!(s.pixel_accuracy, Some(36.0 / 44.0));
        assert_eq!(s.missed_sand, Some(3.0 / 20.0));
        assert_eq!(s.missed_big_rock, Some(0.5));
        let ious = [8.0 / 12.0, 10.0 / 13.0, 16.0 / 22.0, 2.0 / 5.0];
        assert!((s.miou.unwrap() - ious.iter().sum::<f64>() / 4.0).abs() < 1e-12);
        assert_eq!(s.per_class["sand"].precision, Some(16.0 / 18.0));
        assert_eq!(s.missed_big_rock_instances, None);
    }

    #[test]
    fn a_class_without_pixels_is_left_out_and_nothing_is_no_number() {
        let s = Score::of(&tally([[9, 1, 0, 0], [0, 10, 0, 0], [0; 4], [0; 4]]));
        assert_eq!(s.missed_sand, None);
        assert!((s.miou.unwrap() - (0.9 + 10.0 / 11.0) / 2.0).abs() < 1e-12);
        assert_eq!(Score::of(&Tally::default()).pixel_accuracy, None);
    }

    #[test]
    fn rocks_are_counted_by_touching_pixels() {
        let mut mask = vec![0_u8; 32 * 32];
        let mut called = vec![false; 32 * 32];
        for y in 0..4 {
            for x in 0..5 {
                mask[y * 32 + x] = 3;
                mask[(y + 10) * 32 + x + 27] = 3;
                called[y * 32 + x] = x < 3;
            }
        }
        mask[31 * 32] = 3;
        assert_eq!(rocks(&mask, 32, &called), (2, 1));
    }

    #[test]
    fn intervals_hold_the_figure_and_repeat() {
        let images: Vec<Tally> = (0..30)
            .map(|k| {
                tally([
                    [50 + k, 50 - k, 0, 0],
                    [0, 10, 0, 0],
                    [1, 0, 9, 0],
                    [0, 0, 1, 1],
                ])
            })
            .collect();
        let mut sum = Tally::default();
        images.iter().for_each(|t| sum.add(t));
        let a = intervals(&images, 200, 7);
        assert_eq!(a, intervals(&images, 200, 7));
        let [lo, hi] = a["pixel_accuracy"].unwrap();
        let all = Score::of(&sum).pixel_accuracy.unwrap();
        assert!(lo < all && all < hi && hi - lo < 0.2);
        assert_eq!(a["missed_sand"], Some([0.1, 0.1]));
    }
}
