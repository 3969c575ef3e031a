//! Terrain classes in the rover's own images: soil, bedrock, sand, big rock, and unknown.
//!
//! [`Classifier`] takes a grey image to calibrated probabilities per pixel and says whether the image is unlike those it
//! learnt from. [`net`] and [`layers`] are the network, [`weights`] reads its file; `tools/train_terrain` makes that file
//! from AI4Mars labels (Swan et al., CVPR Workshops 2021). [`score`] compares answers with masks,
//! [`archive`] ranks images, [`baseline`] is a classical
//! peer of the network.

pub mod archive;
pub mod baseline;
mod classify;
pub mod layers;
pub mod net;
pub mod score;
pub mod weights;

pub use classify::{Classified, Classifier, GreyImage, ImageError};
