//! From light to numbers: exposure, photon noise, read noise, eight bits.

use crate::{TwinError, noise};
use rayon::prelude::*;
use serde::Deserialize;
use sojourn_core::error::in_range;

/// The detector and its exposure.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SensorParams {
    /// Electrons of a pixel at full scale.
    pub full_well_e: f64,
    /// Standard deviation of reading a pixel, electrons.
    pub read_noise_e: f64,
    /// Share of the image's pixels that the automatic exposure leaves above `exposure_level`.
    pub exposure_share: f64,
    /// Level of full scale that those pixels exceed.
    pub exposure_level: f64,
    /// Share of the light that comes from the whole sky, shadow or not.
    pub skylight: f64,
}

impl SensorParams {
    /// Figures of the engineering cameras' detectors: full well 170,000 electrons, read noise 25 electrons (Maki et al.
    /// 2003, J. Geophys. Res. 108, 8071), exposure so that 2 % of the pixels lie above 90 % of full scale, a quarter of
    /// the light from the dusty sky.
    #[must_use]
    pub fn navcam() -> Self {
        Self {
            full_well_e: 170_000.0,
            read_noise_e: 25.0,
            exposure_share: 0.02,
            exposure_level: 0.9,
            skylight: 0.25,
        }
    }

    /// Checks the ranges; `what` names the file.
    ///
    /// # Errors
    /// [`TwinError::Core`] that names the key.
    pub fn check(&self, what: &str) -> Result<(), TwinError> {
        in_range(what, "sensor.full_well_e", self.full_well_e, 100.0, 1e7)?;
        in_range(what, "sensor.read_noise_e", self.read_noise_e, 0.0, 1e4)?;
        in_range(what, "sensor.exposure_share", self.exposure_share, 0.0, 0.5)?;
        in_range(
            what,
            "sensor.exposure_level",
            self.exposure_level,
            0.05,
            1.0,
        )?;
        in_range(what, "sensor.skylight", self.skylight, 0.0, 1.0)?;
        Ok(())
    }

    /// Levels (of full scale) per unit of light that the automatic exposure chooses for an image. Pixels that are not a
    /// number have no light and do not count.
    #[must_use]
    pub fn exposure(&self, light: &[f32]) -> f32 {
        const BINS: usize = 2048;
        // A unit of light is white ground under the sun: nothing is brighter than two.
        const PER_UNIT: f32 = BINS as f32 / 2.0;
        let count = |mut bins: Vec<u32>, l: &f32| {
            if l.is_finite() {
                bins[((l * PER_UNIT) as usize).min(BINS - 1)] += 1;
            }
            bins
        };
        let add = |mut a: Vec<u32>, b: Vec<u32>| {
            a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
            a
        };
        let bins = light
            .par_chunks(1 << 15)
            .map(|chunk| chunk.iter().fold(vec![0u32; BINS], count))
            .reduce(|| vec![0u32; BINS], add);
        let all: u32 = bins.iter().sum();
        let above = (f64::from(all) * self.exposure_share) as u32;
        let mut seen = 0;
        let bin = (0..BINS).rev().find(|b| {
            seen += bins[*b];
            seen > above
        });
        let level = (bin.unwrap_or(0) + 1) as f32 / PER_UNIT;
        // A black image is not amplified without end.
        self.exposure_level as f32 / level.max(0.01)
    }

    /// Reads a row of the detector.
    pub fn read(
        &self,
        exposure: f32,
        seed: u64,
        channel: u64,
        v: usize,
        light: &[f32],
        out: &mut [u8],
    ) {
        let (full, read) = (self.full_well_e as f32, self.read_noise_e as f32);
        for (u, (light, out)) in light.iter().zip(out).enumerate() {
            let electrons = (light * exposure).clamp(0.0, 1.5) * full;
            let sigma = (electrons + read * read).sqrt();
            let draw = noise::near_gauss(noise::hash(seed, channel, u as i64, v as i64)) as f32;
            let level = (electrons + sigma * draw) / full;
            // Not-a-number (no ray) becomes black.
            *out = (level * 255.0 + 0.5).clamp(0.0, 255.0) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_that_of_photons_and_reading() {
        let s = SensorParams {
            full_well_e: 2000.0,
            read_noise_e: 10.0,
            ..SensorParams::navcam()
        };
        let light = vec![0.5f32; 40_000];
        let mut out = vec![0u8; 40_000];
        s.read(1.0, 3, 1, 7, &light, &mut out);
        let mean = out.iter().map(|&x| f64::from(x)).sum::<f64>() / 40_000.0;
        let var = out
            .iter()
            .map(|&x| (f64::from(x) - mean).powi(2))
            .sum::<f64>()
            / 40_000.0;
        // 1000 electrons: sqrt(1000 + 100) of 2000, in levels of 255; and rounding to whole levels
        let expected = (1100f64.sqrt() / 2000.0 * 255.0).powi(2) + 1.0 / 12.0;
        assert!((mean - 127.5).abs() < 0.2, "{mean}");
        assert!((var / expected - 1.0).abs() < 0.05, "{var} {expected}");
    }

    #[test]
    fn exposure_puts_the_bright_end_where_it_belongs() {
        let s = SensorParams::navcam();
        let light: Vec<f32> = (0..100_000).map(|k| 0.3 * k as f32 / 100_000.0).collect();
        let e = s.exposure(&light);
        // 98 % of the pixels lie below 0.294
        assert!((e * 0.294 - 0.9).abs() < 0.01, "{e}");
        assert!(s.exposure(&[f32::NAN; 10]).is_finite());
        assert!(s.exposure(&[]).is_finite());
    }
}
