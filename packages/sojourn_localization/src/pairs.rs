//! Stereo pairs from their parts: two images, the camera and where it stood, which come one by one.

use crate::vo::{GrayImage, StereoCamera, StereoPair};
use nalgebra::Isometry3;
use sojourn_core::Stamp;

/// Parts that came and wait for the rest of their pair; of each kind only the newest.
#[derive(Clone, Debug, Default)]
pub struct PairMaker {
    camera: Option<StereoCamera>,
    pose: Option<(Stamp, Isometry3<f64>)>,
    left: Option<(Stamp, GrayImage)>,
    right: Option<(Stamp, GrayImage)>,
}

/// A part of a pair.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// The cameras; they stay until others come.
    Camera(StereoCamera),
    /// Where the left camera stood in `base_link`.
    Pose(Stamp, Isometry3<f64>),
    /// The left image.
    Left(Stamp, GrayImage),
    /// The right image.
    Right(Stamp, GrayImage),
}

impl PairMaker {
    /// Takes a part in; gives the pair when all its parts have one stamp.
    pub fn add(&mut self, part: Part) -> Option<(Stamp, Box<StereoPair>)> {
        match part {
            Part::Camera(camera) => self.camera = Some(camera),
            Part::Pose(stamp, pose) => self.pose = Some((stamp, pose)),
            Part::Left(stamp, image) => self.left = Some((stamp, image)),
            Part::Right(stamp, image) => self.right = Some((stamp, image)),
        }
        let camera = self.camera?;
        let (stamp, base_link_from_navcam) = *self.pose.as_ref()?;
        let whole = self.left.as_ref().is_some_and(|l| l.0 == stamp)
            && self.right.as_ref().is_some_and(|r| r.0 == stamp);
        if !whole {
            return None;
        }
        self.pose = None;
        let (_, left) = self.left.take()?;
        let (_, right) = self.right.take()?;
        let pair = StereoPair {
            left,
            right,
            camera,
            base_link_from_navcam,
        };
        Some((stamp, Box::new(pair)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sojourn_core::camera::Pinhole;

    fn image(level: u8) -> GrayImage {
        GrayImage::new(4, 3, vec![level; 12]).unwrap()
    }

    fn parts(at: Stamp) -> [Part; 4] {
        let camera = StereoCamera {
            pinhole: Pinhole::from_fov(4, 3, 1.0, 0.8),
            baseline_m: 0.4,
        };
        [
            Part::Left(at, image(1)),
            Part::Pose(at, Isometry3::identity()),
            Part::Camera(camera),
            Part::Right(at, image(2)),
        ]
    }

    #[test]
    fn a_pair_is_made_once_whatever_the_order() {
        let at = Stamp::from_secs(3.0);
        for first in 0..4 {
            let mut maker = PairMaker::default();
            let mut made = Vec::new();
            for k in 0..4 {
                let [a, b, c, d] = parts(at);
                let part = [a, b, c, d].into_iter().nth((first + k) % 4).unwrap();
                made.extend(maker.add(part));
            }
            let [(stamp, pair)] = made.as_slice() else {
                panic!("{} pairs", made.len());
            };
            assert_eq!(*stamp, at);
            assert_eq!(
                (pair.left.row(0, 0, 1), pair.right.row(0, 0, 1)),
                (&[1u8][..], &[2u8][..])
            );
        }
    }

    #[test]
    fn images_of_two_moments_make_no_pair() {
        let mut maker = PairMaker::default();
        let [left, _, camera, _] = parts(Stamp::from_secs(3.0));
        let [_, pose, _, right] = parts(Stamp::from_secs(4.0));
        // The right image of the first pair was lost, the left one of the second too.
        for part in [camera, left, pose, right] {
            assert!(maker.add(part).is_none());
        }
        let mut made = 0;
        for part in parts(Stamp::from_secs(5.0)) {
            made += usize::from(maker.add(part).is_some());
        }
        assert_eq!(made, 1);
    }
}
