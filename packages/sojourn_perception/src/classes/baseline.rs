//! A classical peer of the network: a random forest over tone and texture around each pixel.
//!
//! It learns from labelled images in a moment and is there to be measured beside the network on the same images; no node
//! uses it.

use super::layers::Map;
use super::net::{CLASSES, SHRINK};
use super::{Classified, GreyImage};
use crate::forest::{Forest, Growth, Samples};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sojourn_core::classes::SurfaceClass;

/// Half sides of the squares around a pixel, pixels.
const REACHES: [usize; 4] = [2, 5, 11, 23];
/// Of every square: tone, contrast, strength of the edges and their direction twice.
const PER_REACH: usize = 5;
/// And the row.
const FEATURES: usize = PER_REACH * REACHES.len() + 1;
/// Pixels of each class that are taken from an image.
const PER_CLASS: usize = 24;

/// Sums over all pixels to the upper left: tone, its square, and products of its gradients.
struct Sums {
    width: usize,
    height: usize,
    table: Vec<[f64; 5]>,
}

impl Sums {
    fn of(image: &GreyImage<'_>) -> Self {
        let (w, h) = (image.width, image.height);
        let n = (w * h).max(1) as f64;
        let at = |c: usize, r: usize| f64::from(image.data[r * w + c]);
        let mean = image.data.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
        let square = image.data.iter().map(|v| (f64::from(*v) - mean).powi(2));
        let spread = (square.sum::<f64>() / n).sqrt() + 1.0;
        let mut table = vec![[0.0; 5]; (w + 1) * (h + 1)];
        for r in 0..h {
            let mut line = [0.0; 5];
            for c in 0..w {
                let v = (at(c, r) - mean) / spread;
                let dx = at((c + 1).min(w - 1), r) - at(c.saturating_sub(1), r);
                let dy = at(c, (r + 1).min(h - 1)) - at(c, r.saturating_sub(1));
                let (dx, dy) = (dx / spread, dy / spread);
                let terms = [v, v * v, dx * dx, dy * dy, dx * dy];
                line.iter_mut().zip(terms).for_each(|(s, t)| *s += t);
                let above = table[r * (w + 1) + c + 1];
                table[(r + 1) * (w + 1) + c + 1] = std::array::from_fn(|k| above[k] + line[k]);
            }
        }
        Self {
            width: w,
            height: h,
            table,
        }
    }

    /// Features of a pixel.
    fn features(&self, col: usize, row: usize) -> [f32; FEATURES] {
        let mut out = [0.0; FEATURES];
        for (k, reach) in REACHES.into_iter().enumerate() {
            let (c0, c1) = (col.saturating_sub(reach), (col + reach + 1).min(self.width));
            let (r0, r1) = (
                row.saturating_sub(reach),
                (row + reach + 1).min(self.height),
            );
            let at = |c: usize, r: usize| &self.table[r * (self.width + 1) + c];
            let (a, b, c, d) = (at(c1, r1), at(c0, r1), at(c1, r0), at(c0, r0));
            let n = ((c1 - c0) * (r1 - r0)).max(1) as f64;
            let s: [f64; 5] = std::array::from_fn(|i| (a[i] - b[i] - c[i] + d[i]) / n);
            let edges = s[2] + s[3];
            let found = [
                s[0],
                (s[1] - s[0] * s[0]).max(0.0).sqrt(),
                edges.max(0.0).sqrt(),
                (s[2] - s[3]) / (edges + 1e-6),
                2.0 * s[4] / (edges + 1e-6),
            ];
            for (i, v) in found.into_iter().enumerate() {
                out[k * PER_REACH + i] = v as f32;
            }
        }
        out[FEATURES - 1] = (row as f64 / self.height.max(1) as f64) as f32;
        out
    }
}

/// What the forest learns from, image by image.
#[derive(Clone, Debug)]
pub struct Lessons {
    samples: Samples,
    rng: ChaCha8Rng,
}

impl Lessons {
    /// None yet; which pixels are taken comes from the seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            samples: Samples {
                features: FEATURES,
                ..Samples::default()
            },
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// Takes pixels of each class that an image's mask (AI4Mars codes) holds. An image whose mask or size does not fit is
    /// left out.
    pub fn take(&mut self, image: &GreyImage<'_>, mask: &[u8]) {
        let pixels = image.width * image.height;
        if pixels == 0 || image.data.len() != pixels || mask.len() != pixels {
            return;
        }
        let sums = Sums::of(image);
        for class in 0..CLASSES {
            let is = |i: &usize| {
                SurfaceClass::from_ai4mars(mask[*i]).is_some_and(|c| c as usize == class)
            };
            let of_class: Vec<usize> = (0..pixels).filter(is).collect();
            for _ in 0..PER_CLASS.min(of_class.len()) {
                let i = of_class[self.rng.random_range(0..of_class.len())];
                let features = sums.features(i % image.width, i / image.width);
                self.samples.values.extend(features);
                self.samples.labels.push(class as u8);
            }
        }
    }

    /// Pixels taken.
    #[must_use]
    pub fn count(&self) -> usize {
        self.samples.labels.len()
    }

    /// Grows the forest.
    ///
    /// # Errors
    /// One sentence when there is nothing to learn from.
    pub fn learn(&self, seed: u64) -> Result<Baseline, String> {
        let growth = Growth {
            classes: CLASSES,
            trees: 40,
            depth: 18,
            least: 4,
            seed,
        };
        Ok(Baseline(Forest::grow(&self.samples, growth)?))
    }
}

/// The forest.
#[derive(Clone, Debug)]
pub struct Baseline(Forest);

impl Baseline {
    /// Class probabilities of every pixel, found at every fourth one.
    #[must_use]
    pub fn classify(&self, image: &GreyImage<'_>) -> Option<Classified> {
        let (cols, rows) = (image.width / SHRINK, image.height / SHRINK);
        let whole = cols * SHRINK == image.width && rows * SHRINK == image.height;
        if cols * rows == 0 || !whole || image.data.len() != image.width * image.height {
            return None;
        }
        let sums = Sums::of(image);
        let mut p = Map::zeros(CLASSES, rows, cols);
        let mut shares = [0.0; CLASSES];
        for i in 0..cols * rows {
            let middle = |k: usize| k * SHRINK + SHRINK / 2;
            let features = sums.features(middle(i % cols), middle(i / cols));
            self.0.shares(&features, &mut shares);
            for (k, s) in shares.iter().enumerate() {
                p.data[k * cols * rows + i] = *s;
            }
        }
        Some(Classified::undecorated(p.enlarged(SHRINK)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Smooth on the left, rough on the right.
    fn picture(seed: usize) -> (Vec<u8>, Vec<u8>) {
        let level = |i: usize| {
            let (c, r) = (i % 64, i / 64);
            let h = ((c + seed) * 73_856_093) ^ ((r + 3 * seed) * 19_349_663);
            if c < 32 {
                100 + (h / 64 % 4) as u8
            } else {
                70 + (h / 64 % 60) as u8
            }
        };
        let image = (0..64 * 64).map(level).collect();
        let mask = (0..64 * 64)
            .map(|i| match i % 64 {
                0..28 => 2,
                36..64 => 1,
                _ => 255,
            })
            .collect();
        (image, mask)
    }

    fn grey(data: &[u8]) -> GreyImage<'_> {
        GreyImage {
            width: 64,
            height: 64,
            data,
        }
    }

    #[test]
    fn smooth_and_rough_are_told_apart_and_the_same_seed_learns_the_same() {
        let mut lessons = Lessons::new(1);
        for seed in 0..4 {
            let (image, mask) = picture(seed);
            lessons.take(&grey(&image), &mask);
        }
        lessons.take(&grey(&[]), &[]);
        assert_eq!(lessons.count(), 4 * 2 * PER_CLASS);
        let baseline = lessons.learn(7).unwrap();
        let (image, mask) = picture(9);
        let said = baseline.classify(&grey(&image)).unwrap();
        let right = (0..64 * 64)
            .filter(|i| SurfaceClass::from_ai4mars(mask[*i]) == Some(said.decided(*i).0))
            .count();
        assert!(right > 3400, "{right} of 3584");
        let again = lessons.learn(7).unwrap().classify(&grey(&image)).unwrap();
        assert_eq!(again.probabilities, said.probabilities);
        assert!(!said.is_unlike());
        assert!(baseline.classify(&grey(&image[1..])).is_none());
        assert!(Lessons::new(1).learn(1).is_err());
    }
}
