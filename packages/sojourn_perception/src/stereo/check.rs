//! Why a pair of images cannot be used.

use super::{GreyImage, StereoParams};

/// Why a pair of images was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PairFault {
    /// An image without pixels.
    Empty,
    /// Width times height is not the number of pixels, or the eyes or their calibration differ in size.
    Size,
    /// The eyes were not exposed at one time.
    Stamps,
    /// Nearly all of an image is black.
    Black,
    /// Nearly all of an image is white.
    White,
    /// The left image stands where the right one belongs.
    Swapped,
    /// Too few pixels found their like in the other eye.
    Unmatched,
    /// The same image as before to the last bit.
    Frozen,
    /// No camera_info of both eyes came.
    Uncalibrated,
    /// The two eyes' camera_info contradict each other.
    Contradiction,
    /// The matcher failed.
    Matcher,
}

impl PairFault {
    /// The reason in words.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Empty => "an image without pixels",
            Self::Size => "a stereo pair whose sizes do not fit each other or their calibration",
            Self::Stamps => "a stereo pair with different stamps",
            Self::Black => "a black image: the lens is covered or it is night",
            Self::White => "a white image: the sun blinds the camera",
            Self::Swapped => "a stereo pair with left and right exchanged",
            Self::Unmatched => "a stereo pair in which almost nothing matches",
            Self::Frozen => "the same image as before: the camera is frozen",
            Self::Uncalibrated => "a stereo pair before the camera_info of both eyes",
            Self::Contradiction => {
                "a stereo pair whose camera_info differ between the eyes or give no baseline"
            }
            Self::Matcher => "a stereo pair that the matcher failed on",
        }
    }
}

/// Level up to which a pixel is black, and from which it is white.
const BLACK: u8 = 4;
const WHITE: u8 = 251;

/// How an image is exposed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exposure {
    /// Mean level, 0 to 255.
    pub mean: f64,
    /// Share of the pixels that are black.
    pub black: f64,
    /// Share of the pixels that are white.
    pub white: f64,
}

impl Exposure {
    /// That of an image; of one without pixels all is not-a-number.
    #[must_use]
    pub fn of(image: &GreyImage) -> Self {
        let (mut sum, mut black, mut white) = (0u64, 0u64, 0u64);
        for p in &image.pixels {
            sum += u64::from(*p);
            black += u64::from(*p <= BLACK);
            white += u64::from(*p >= WHITE);
        }
        let n = image.pixels.len() as f64;
        Self {
            mean: sum as f64 / n,
            black: black as f64 / n,
            white: white as f64 / n,
        }
    }
}

/// Checks what can be seen without matching.
///
/// # Errors
/// The first fault found.
pub fn images(left: &GreyImage, right: &GreyImage, params: &StereoParams) -> Result<(), PairFault> {
    for image in [left, right] {
        if image.width == 0 || image.height == 0 {
            return Err(PairFault::Empty);
        }
        if image.width.checked_mul(image.height) != Some(image.pixels.len()) {
            return Err(PairFault::Size);
        }
    }
    if (left.width, left.height) != (right.width, right.height) {
        return Err(PairFault::Size);
    }
    if left.stamp != right.stamp {
        return Err(PairFault::Stamps);
    }
    for image in [left, right] {
        let exposure = Exposure::of(image);
        if exposure.black > params.blind_share {
            return Err(PairFault::Black);
        }
        if exposure.white > params.blind_share {
            return Err(PairFault::White);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sojourn_core::Stamp;

    #[test]
    fn exposure_counts_what_is_black_and_white() {
        let image = |pixels: Vec<u8>| GreyImage {
            stamp: Stamp(0),
            width: pixels.len(),
            height: 1,
            pixels,
        };
        let e = Exposure::of(&image(vec![0, 4, 5, 251]));
        assert!((e.mean, e.black, e.white) == (65.0, 0.5, 0.25), "{e:?}");
        assert!(Exposure::of(&image(vec![])).mean.is_nan());
    }
}
