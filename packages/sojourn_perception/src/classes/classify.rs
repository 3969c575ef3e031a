//! From a grey image to calibrated class probabilities.

use super::layers::Map;
use super::net::{Answer, CLASSES, MULTIPLE, Net, POOLED, SHRINK};
use super::weights::{Tensors, WeightsError};
use sojourn_core::classes::{SURFACES, SurfaceClass};

/// The weights that come with Sojourn; `models/README.md` tells how they were made.
const SHIPPED: &[u8] = include_bytes!("../../models/terrain.safetensors");
/// Longest side of an image that is taken, pixels.
const LONGEST: usize = 4096;

/// An image that the network cannot be asked about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// The sides do not suit.
    #[error(
        "image: {width} x {height} pixels, expected both sides as multiples of {MULTIPLE}, at most {LONGEST}"
    )]
    Size {
        /// Pixels a row.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// More or fewer grey levels than pixels.
    #[error("image: {found} bytes, expected {expected} (one a pixel)")]
    Bytes {
        /// Bytes given.
        found: usize,
        /// Pixels.
        expected: usize,
    },
}

/// One byte a pixel, row 0 on top.
#[derive(Clone, Copy, Debug)]
pub struct GreyImage<'a> {
    /// Pixels a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Grey levels.
    pub data: &'a [u8],
}

impl GreyImage<'_> {
    /// Grey levels less their mean, over their standard deviation and one: exposure drops out, and an even image
    /// becomes zero.
    fn standardized(&self) -> Result<Map, ImageError> {
        let (width, height) = (self.width, self.height);
        let fits = |side: usize| side > 0 && side <= LONGEST && side.is_multiple_of(MULTIPLE);
        if !fits(width) || !fits(height) {
            return Err(ImageError::Size { width, height });
        }
        if self.data.len() != width * height {
            return Err(ImageError::Bytes {
                found: self.data.len(),
                expected: width * height,
            });
        }
        let n = self.data.len() as f64;
        let mean = self.data.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
        let square = |v: &u8| (f64::from(*v) - mean).powi(2);
        let spread = (self.data.iter().map(square).sum::<f64>() / n).sqrt() + 1.0;
        let level = |v: &u8| ((f64::from(*v) - mean) / spread) as f32;
        Ok(Map {
            channels: 1,
            height,
            width,
            data: self.data.iter().map(level).collect(),
        })
    }
}

/// The network with what its held-out images taught about its answers.
#[derive(Clone, Debug)]
pub struct Classifier {
    net: Net,
    /// What logits are multiplied with: one over the temperature (Guo et al. 2017).
    scale: f32,
    /// What is added to each class's logit.
    offset: [f32; CLASSES],
    /// What probabilities are multiplied with before the greatest decides: missing sand is dearer than seeing too much.
    decision: [f32; CLASSES],
    mean: Vec<f32>,
    inverse_covariance: Vec<f32>,
    /// Squared Mahalanobis distance of pooled features beyond which an image is unlike those learnt from.
    farthest: f32,
    card: String,
}

impl Classifier {
    /// With the weights that come with Sojourn.
    ///
    /// # Errors
    /// [`WeightsError`]; a test holds that there is none.
    pub fn shipped() -> Result<Self, WeightsError> {
        Self::new(SHIPPED)
    }

    /// With the weights of a file that `tools/train_terrain` wrote.
    ///
    /// # Errors
    /// [`WeightsError`] in one sentence.
    pub fn new(bytes: &[u8]) -> Result<Self, WeightsError> {
        let tensors = Tensors::new(bytes)?;
        let calibration = tensors.numbers("calibration", &[1 + CLASSES])?;
        let decision = tensors.numbers("decision", &[CLASSES])?;
        let four = |v: &[f32]| std::array::from_fn(|k| v[k]);
        Ok(Self {
            net: Net::new(&tensors)?,
            scale: calibration[0],
            offset: four(&calibration[1..]),
            decision: four(&decision),
            mean: tensors.numbers("pooled.mean", &[POOLED])?,
            inverse_covariance: tensors.numbers("pooled.inverse_covariance", &[POOLED, POOLED])?,
            farthest: tensors.numbers("pooled.farthest", &[1])?[0],
            card: tensors.card().to_owned(),
        })
    }

    /// Seed, number of images and held-out figures of the training, as JSON.
    #[must_use]
    pub fn card(&self) -> &str {
        &self.card
    }

    /// What the network itself says: the mean over the image and its mirror image, not calibrated.
    ///
    /// # Errors
    /// [`ImageError`] when sides or length do not suit.
    pub fn answer(&self, image: &GreyImage<'_>) -> Result<Answer, ImageError> {
        Ok(self.net.answer_both_ways(&image.standardized()?))
    }

    /// Class probabilities of every pixel: the mean over the image and its mirror image, calibrated.
    ///
    /// # Errors
    /// [`ImageError`] when sides or length do not suit.
    pub fn classify(&self, image: &GreyImage<'_>) -> Result<Classified, ImageError> {
        let answer = self.answer(image)?;
        let distance = self.between(&answer.pooled, &self.mean);
        let mut p = answer.logits.enlarged(SHRINK);
        let pixels = p.pixels();
        for at in 0..pixels {
            let mut z: [f32; CLASSES] =
                std::array::from_fn(|c| p.data[c * pixels + at] * self.scale + self.offset[c]);
            let top = z.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mut sum = 0.0;
            for v in &mut z {
                *v = (*v - top).exp();
                sum += *v;
            }
            for (c, v) in z.into_iter().enumerate() {
                p.data[c * pixels + at] = v / sum;
            }
        }
        Ok(Classified {
            probabilities: p,
            decision: self.decision,
            distance: distance / f64::from(self.farthest),
            pooled: answer.pooled,
        })
    }

    /// How unlike two images are by their pooled features, in units of [`Classified::distance`]; infinite where that
    /// is no number.
    #[must_use]
    pub fn unlikeness(&self, a: &[f32], b: &[f32]) -> f64 {
        let far = self.between(a, b) / f64::from(self.farthest);
        if a.len() == POOLED && b.len() == POOLED && far.is_finite() {
            far
        } else {
            f64::INFINITY
        }
    }

    /// Squared Mahalanobis distance of two images' pooled features (Lee et al. 2018, without classes).
    fn between(&self, a: &[f32], b: &[f32]) -> f64 {
        let away: Vec<f64> = a
            .iter()
            .zip(b)
            .map(|(v, m)| f64::from(*v) - f64::from(*m))
            .collect();
        self.inverse_covariance
            .chunks_exact(away.len().max(1))
            .zip(&away)
            .map(|(row, a)| {
                let along: f64 = row.iter().zip(&away).map(|(m, b)| f64::from(*m) * b).sum();
                a * along
            })
            .sum()
    }
}

/// What was said of an image.
#[derive(Clone, Debug)]
pub struct Classified {
    /// Probability of soil, bedrock, sand and big rock for every pixel; they add up to one.
    pub probabilities: Map,
    decision: [f32; CLASSES],
    /// How unlike the images learnt from this one is: 1 is where one held-out image in a hundred lies.
    pub distance: f64,
    /// The network's features of the whole image, by which images are compared.
    pub pooled: Vec<f32>,
}

impl Classified {
    /// Probabilities that are taken as they are, of an image that nothing is known about as a whole.
    pub(super) fn undecorated(probabilities: Map) -> Self {
        Self {
            probabilities,
            decision: [1.0; CLASSES],
            distance: 0.0,
            pooled: Vec::new(),
        }
    }

    /// Whether the image is unlike those learnt from; then every pixel is unknown. So is an image whose features are
    /// not numbers.
    #[must_use]
    pub fn is_unlike(&self) -> bool {
        !(self.distance <= 1.0)
    }

    /// What probabilities are multiplied with before the greatest decides.
    #[must_use]
    pub fn decision(&self) -> [f32; CLASSES] {
        self.decision
    }

    /// The class decided for a pixel (index in row order), unknown left out, and its probability.
    #[must_use]
    pub fn decided(&self, pixel: usize) -> (SurfaceClass, f32) {
        let pixels = self.probabilities.pixels();
        let p = |c: usize| self.probabilities.data[c * pixels + pixel];
        let mut best = 0;
        for c in 1..CLASSES {
            if p(c) * self.decision[c] > p(best) * self.decision[best] {
                best = c;
            }
        }
        (SURFACES[best].surface, p(best))
    }

    /// The class of a pixel: unknown where the image is unlike those learnt from, or the probability is less than
    /// `unknown_below`.
    #[must_use]
    pub fn class(&self, pixel: usize, unknown_below: f32) -> SurfaceClass {
        let (class, probability) = self.decided(pixel);
        if self.is_unlike() || !(probability >= unknown_below) {
            SurfaceClass::Unknown
        } else {
            class
        }
    }
}
