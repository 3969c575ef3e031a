//! Which images the network is asked about, and in which size.

use super::ClassedImage;
use crate::{
    classes::{self, Classifier, archive::fitted, net::CLASSES},
    config::ClassParams,
    stereo::GreyImage,
};
use sojourn_core::camera::Pinhole;
use std::collections::VecDeque;

/// Focal length of the images that the network learnt from: 256 pixels over 45 degrees.
const LEARNT_FOCAL_PX: f64 = 309.0;
/// Images that wait at most.
const MAX_WAITING: usize = 12;

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
}

/// Asks the network.
#[derive(Clone, Debug)]
pub struct Looker {
    classifier: Classifier,
    params: ClassParams,
    waiting: VecDeque<GreyImage>,
    looks: Looks,
}

impl Looker {
    /// With a network.
    #[must_use]
    pub fn new(classifier: Classifier, params: ClassParams) -> Self {
        Self {
            classifier,
            params,
            waiting: VecDeque::new(),
            looks: Looks::default(),
        }
    }

    /// What became of the images so far.
    #[must_use]
    pub fn looks(&self) -> Looks {
        self.looks
    }

    /// An image of the left eye.
    pub fn image(&mut self, image: GreyImage) {
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.pop_front();
            self.looks.dropped += 1;
        }
        self.waiting.push_back(image);
    }

    /// The classes of the newest images, oldest of them first; none while the camera is not known.
    pub fn tick(&mut self, camera: Option<&Pinhole>) -> Vec<ClassedImage> {
        let Some(camera) = camera else {
            return Vec::new();
        };
        while self.waiting.len() > self.params.images_per_tick {
            self.waiting.pop_front();
            self.looks.dropped += 1;
        }
        let waiting = std::mem::take(&mut self.waiting);
        waiting
            .into_iter()
            .filter_map(|image| self.look(&image, camera))
            .collect()
    }

    fn look(&mut self, image: &GreyImage, camera: &Pinhole) -> Option<ClassedImage> {
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
            self.classifier.classify(&grey).ok()
        });
        let Some(said) = said else {
            self.looks.refused += 1;
            return None;
        };
        self.looks.used += 1;
        if said.is_unlike() {
            self.looks.unlike += 1;
            return None;
        }
        let p = &said.probabilities;
        let channels: [&[f32]; CLASSES] = std::array::from_fn(|k| p.channel(k));
        Some(ClassedImage {
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
