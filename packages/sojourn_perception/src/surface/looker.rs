//! Which images the network is asked about, in which size, and when its answer counts.

use super::ClassedImage;
use crate::{
    classes::{self, Classifier, archive::fitted, net::CLASSES},
    config::ClassParams,
    stereo::GreyImage,
};
use sojourn_core::{Stamp, camera::Pinhole};

/// Focal length of the images that the network learnt from: 256 pixels over 45 degrees.
const LEARNT_FOCAL_PX: f64 = 309.0;

/// What became of the images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looks {
    /// Images that were classified.
    pub used: u64,
    /// Of them those that are unlike what the network learnt from: they say nothing.
    pub unlike: u64,
    /// Images that were dropped because newer ones were there.
    pub dropped: u64,
    /// Images that the network cannot be asked about: of a wrong or too small size.
    pub refused: u64,
    /// Images that no answer came to.
    pub unanswered: u64,
}

/// One image that the network is asked about.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    image: GreyImage,
    camera: Pinhole,
}

/// What the network says of one image.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// The classes of its pixels.
    Classes(ClassedImage),
    /// The image is unlike those learnt from: nothing is said.
    Unlike,
    /// It is of another size than its camera's, or too small.
    Refused,
}

/// Decides which image the network is asked about, and when. It asks about one image at a time and keeps at most one, the
/// newest, beside it: nothing queues. An answer counts `classes.answer_after_s` after the question and not before, so that
/// where time waits for it (lockstep) it enters the grid at the same tick however long the network took.
#[derive(Clone, Debug)]
pub struct Looker {
    answer_after_s: f64,
    newest: Option<GreyImage>,
    asked: Option<Stamp>,
    looks: Looks,
}

impl Looker {
    /// That has seen nothing.
    #[must_use]
    pub fn new(params: &ClassParams) -> Self {
        Self {
            answer_after_s: params.answer_after_s,
            newest: None,
            asked: None,
            looks: Looks::default(),
        }
    }

    /// What became of the images so far.
    #[must_use]
    pub fn looks(&self) -> Looks {
        self.looks
    }

    /// An image of the left eye. An older one that waits has lost its turn, and so has one that is older than that.
    pub fn image(&mut self, image: GreyImage) {
        match &self.newest {
            Some(newest) if newest.stamp > image.stamp => self.looks.dropped += 1,
            Some(_) => {
                self.looks.dropped += 1;
                self.newest = Some(image);
            }
            None => self.newest = Some(image),
        }
    }

    /// What to ask now: nothing while an answer is awaited, the camera is not known, or no image is there.
    pub fn ask(&mut self, now: Stamp, camera: Option<&Pinhole>) -> Option<Question> {
        let camera = *camera.filter(|_| self.asked.is_none())?;
        let image = self.newest.take()?;
        self.asked = Some(now);
        Some(Question { image, camera })
    }

    /// Whether the answer that is awaited counts now. A clock that has gone back makes it count at once.
    #[must_use]
    pub fn is_due(&self, now: Stamp) -> bool {
        self.asked.is_some_and(|asked| {
            let since_s = now.since(asked);
            since_s < 0.0 || since_s >= self.answer_after_s
        })
    }

    /// Takes the answer that was awaited (`None`: there will be none); what the core is to hear of it.
    pub fn answered(&mut self, said: Option<Said>) -> Option<ClassedImage> {
        self.asked.take()?;
        let looks = &mut self.looks;
        match said {
            Some(Said::Classes(image)) => {
                looks.used += 1;
                return Some(image);
            }
            Some(Said::Unlike) => {
                looks.used += 1;
                looks.unlike += 1;
            }
            Some(Said::Refused) => looks.refused += 1,
            None => looks.unanswered += 1,
        }
        None
    }
}

impl Question {
    /// Asks the network.
    #[must_use]
    pub fn put_to(&self, classifier: &Classifier) -> Said {
        let (image, camera) = (&self.image, &self.camera);
        // A camera of longer focal length shows the ground larger than the network learnt it.
        let block = (camera.fx / LEARNT_FOCAL_PX).round().max(1.0) as usize;
        let across = (image.width / block).max(1);
        let fits = (image.width, image.height) == (camera.width, camera.height);
        let fitted = fits
            .then(|| fitted(image.width, image.height, &image.pixels, across))
            .flatten();
        let said = fitted.as_ref().and_then(|(width, height, levels)| {
            let grey = classes::GreyImage {
                width: *width,
                height: *height,
                data: levels,
            };
            classifier.classify(&grey).ok()
        });
        let Some(said) = said else {
            return Said::Refused;
        };
        if said.is_unlike() {
            return Said::Unlike;
        }
        let p = &said.probabilities;
        let channels: [&[f32]; CLASSES] = std::array::from_fn(|k| p.channel(k));
        Said::Classes(ClassedImage {
            stamp: image.stamp,
            size: [image.width, image.height],
            block: image.width / across,
            answers: [p.width, p.height],
            probabilities: (0..p.pixels())
                .map(|i| std::array::from_fn(|k| channels[k][i]))
                .collect(),
            decision: said.decision(),
        })
    }
}
