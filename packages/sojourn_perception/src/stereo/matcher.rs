//! Matching with OpenCV.

use super::{Disparity, GreyImage, PairFault, RectifiedPair, StereoParams, check, refine::Refiner};
use opencv::{
    calib3d::{StereoSGBM, StereoSGBM_MODE_SGBM_3WAY},
    core::Ptr,
    prelude::*,
};

/// Shift of the fixed-point disparities.
const PER_PX: f32 = 16.0;
/// By what an image is made smaller before the eyes are compared the other way round.
const SMALL: usize = 4;
/// Patches of fewer pixels do not count then.
const SMALL_SPECKLE_PX: i32 = 100;
/// Eyes are exchanged when this many times more pixels match the other way round …
const SWAP_FACTOR: f64 = 1.5;
/// … and at least this share of them.
const SWAP_SHARE: f64 = 0.2;

/// Matches pairs of one calibration.
pub struct Matcher {
    pair: RectifiedPair,
    params: StereoParams,
    full: Engine,
    small: Engine,
    refiner: Refiner,
}

impl Matcher {
    /// A matcher for a pair of cameras.
    ///
    /// # Errors
    /// [`PairFault::Size`] when the calibration is not one, [`PairFault::Matcher`] when OpenCV cannot be set up.
    pub fn new(pair: RectifiedPair, params: &StereoParams) -> Result<Self, PairFault> {
        let most = pair.focal_baseline_m() / params.nearest_m;
        let camera = &pair.camera;
        if !(most.is_finite() && most > 0.0) || camera.width < 32 || camera.height < 32 {
            return Err(PairFault::Size);
        }
        let most = most.min(camera.width as f64);
        Ok(Self {
            // Its patches are judged after the texture is.
            full: Engine::new(most, 0, params)?,
            small: Engine::new(most / SMALL as f64, SMALL_SPECKLE_PX, params)?,
            refiner: Refiner::default(),
            params: params.clone(),
            pair,
        })
    }

    /// The cameras.
    #[must_use]
    pub fn pair(&self) -> &RectifiedPair {
        &self.pair
    }

    /// The disparities of a pair.
    ///
    /// # Errors
    /// Why the pair cannot be used.
    pub fn step(&mut self, left: &GreyImage, right: &GreyImage) -> Result<Disparity, PairFault> {
        let camera = &self.pair.camera;
        check::images(left, right, &self.params)?;
        if (left.width, left.height) != (camera.width, camera.height) {
            return Err(PairFault::Size);
        }
        self.exchanged(left, right)?;
        let found = self
            .full
            .disparity(left.width, &left.pixels, &right.pixels)?;
        let disparity =
            self.refiner
                .refine(left.width, &left.pixels, &right.pixels, found, &self.params);
        if disparity.valid_share() < self.params.valid_min {
            return Err(PairFault::Unmatched);
        }
        Ok(disparity)
    }

    // Ground lies in front of the cameras, so that with exchanged eyes hardly any pixel has a positive disparity.
    fn exchanged(&mut self, left: &GreyImage, right: &GreyImage) -> Result<(), PairFault> {
        let (width, l) = shrink(left);
        let (_, r) = shrink(right);
        let mut share = |a: &[u8], b: &[u8]| -> Result<f64, PairFault> {
            let d = self.small.disparity(width, a, b)?;
            Ok(d.iter().filter(|d| d.is_finite()).count() as f64 / d.len().max(1) as f64)
        };
        let (as_given, other) = (share(&l, &r)?, share(&r, &l)?);
        if other >= SWAP_SHARE && other > SWAP_FACTOR * as_given {
            return Err(PairFault::Swapped);
        }
        Ok(())
    }
}

/// Means of squares of pixels.
fn shrink(image: &GreyImage) -> (usize, Vec<u8>) {
    let (w, h) = (image.width / SMALL, image.height / SMALL);
    let mut out = Vec::with_capacity(w * h);
    for v in 0..h {
        for u in 0..w {
            let sum: u32 = (0..SMALL)
                .map(|r| {
                    let at = (v * SMALL + r) * image.width + u * SMALL;
                    let row = image.pixels.get(at..at + SMALL).unwrap_or_default();
                    row.iter().map(|p| u32::from(*p)).sum::<u32>()
                })
                .sum();
            out.push((sum / (SMALL * SMALL) as u32) as u8);
        }
    }
    (w, out)
}

/// OpenCV's matcher and its room.
struct Engine {
    sgbm: Ptr<StereoSGBM>,
    disparities: usize,
    padded: [Vec<u8>; 2],
    out: Mat,
}

impl Engine {
    fn new(most_px: f64, speckle_px: i32, params: &StereoParams) -> Result<Self, PairFault> {
        // OpenCV wants a multiple of 16.
        let disparities = (most_px / 16.0).ceil().max(1.0) as usize * 16;
        let sgbm = StereoSGBM::create(
            0,
            disparities as i32,
            params.block_px as i32,
            params.step_cost,
            params.jump_cost,
            params.left_right_px,
            31,
            params.unique_percent,
            speckle_px,
            1,
            StereoSGBM_MODE_SGBM_3WAY,
        )
        .map_err(|_| PairFault::Matcher)?;
        Ok(Self {
            sgbm,
            disparities,
            padded: [Vec::new(), Vec::new()],
            out: Mat::default(),
        })
    }

    /// Disparities as found, pixels; not-a-number where there is none.
    fn disparity(
        &mut self,
        width: usize,
        left: &[u8],
        right: &[u8],
    ) -> Result<Vec<f32>, PairFault> {
        // OpenCV gives no disparity to the columns on the left that could look beyond the right image's edge; with a
        // margin they are matched too, and what truly lies beyond is dropped below.
        let margin = self.disparities;
        for (padded, image) in self.padded.iter_mut().zip([left, right]) {
            padded.clear();
            for row in image.chunks_exact(width) {
                padded.extend(std::iter::repeat_n(row[0], margin));
                padded.extend_from_slice(row);
            }
        }
        self.match_padded(width + margin)
            .map_err(|_| PairFault::Matcher)?;
        let found: &[i16] = self.out.data_typed().map_err(|_| PairFault::Matcher)?;
        let mut out = Vec::with_capacity(left.len());
        for row in found.chunks_exact(width + margin) {
            for (u, d) in row.get(margin..).unwrap_or_default().iter().enumerate() {
                let d = f32::from(*d) / PER_PX;
                out.push(if d > 0.0 && d <= u as f32 {
                    d
                } else {
                    f32::NAN
                });
            }
        }
        Ok(out)
    }

    fn match_padded(&mut self, width: usize) -> opencv::Result<()> {
        let rows = (self.padded[0].len() / width) as i32;
        let [left, right] = &self.padded;
        let left = Mat::new_rows_cols_with_data(rows, width as i32, left)?;
        let right = Mat::new_rows_cols_with_data(rows, width as i32, right)?;
        self.sgbm.compute(&left, &right, &mut self.out)
    }
}
