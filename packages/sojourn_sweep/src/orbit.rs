//! A map from orbit as it really is: an image whose places stand a little beside where they belong, an elevation model with
//! errors of its own.

use serde::{Deserialize, Serialize};
use sojourn_autonav::orbital::{Orbital, OrbitalLayers};
use sojourn_core::{
    CoreError,
    error::in_range,
    frames::{Frame, Map},
    raster::{HeightField, Raster},
    rover::Rover,
};
use sojourn_twin::{noise::Fractal, world::World};

/// Misregistration within the image: RMS per axis in pixels, and wavelengths, metres.
const REGISTRATION_PX: f64 = 0.5;
const REGISTRATION_M: [f64; 2] = [60.0, 10.0];
/// Error of the elevation model: RMS and wavelengths, metres.
const DTM_ERROR_M: f64 = 0.1;
const DTM_ERROR_WAVES_M: [f64; 2] = [16.0, 2.0];

/// Samples of the ground along a side of an orbital cell.
const SAMPLES: usize = 4;

/// An elevation model that the rover is given of a sweep's world.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrbitalView {
    /// Side of a cell, metres; rocks are in it as far as a cell's mean tells of them.
    pub resolution_m: f64,
}

impl OrbitalView {
    /// Checks the range; `what` names the file.
    ///
    /// # Errors
    /// [`CoreError::Value`] that names the key.
    pub fn check(&self, what: &str) -> Result<(), CoreError> {
        in_range(what, "orbital.resolution_m", self.resolution_m, 0.1, 100.0)?;
        Ok(())
    }

    /// Means of the true heights over cells, with the errors of [`erring`], as AutoNav takes them in.
    ///
    /// # Errors
    /// [`CoreError`] when the layer cannot be used: cells larger than the world, for one.
    pub fn of(&self, world: &World, seed: u64, rover: &Rover) -> Result<Orbital, CoreError> {
        let [x0, y0, x1, y1] = world.region_m();
        let count = |from_m: f64, to_m: f64| ((to_m - from_m) / self.resolution_m).floor() as usize;
        let (cols, rows) = (count(x0, x1), count(y0, y1));
        let blank = Raster::filled(cols, rows, self.resolution_m, [x0, y0], 0.0)?;
        let off = |i: usize| ((i as f64 + 0.5) / SAMPLES as f64 - 0.5) * self.resolution_m;
        let exact = blank.like(|c, r| {
            let [x, y] = blank.centre_m(c, r);
            let samples = (0..SAMPLES * SAMPLES)
                .map(|i| world.height_m(x + off(i % SAMPLES), y + off(i / SAMPLES)));
            // A cell that is not all known has no mean.
            let sum: Option<f64> = samples.sum();
            sum.map_or(f32::NAN, |s| (s / (SAMPLES * SAMPLES) as f64) as f32)
        });
        let layers = OrbitalLayers {
            frame: Map::NAME.into(),
            elevation: erring(&exact, seed),
            error_m: DTM_ERROR_M,
            class: None,
            slope_more_deg: None,
            roughness_least_m: None,
        };
        Orbital::new(&layers, rover)
    }
}

/// The image with half a pixel of misregistration along each axis, RMS, over 10 to 60 m.
#[must_use]
pub fn misregistered(image: &Raster, seed: u64) -> Raster {
    let field = |channel| Fractal::new(seed, channel, REGISTRATION_M[0], REGISTRATION_M[1], 0.7);
    let (east, north) = (field(0x71), field(0x72));
    let size_m = REGISTRATION_PX * image.resolution_m();
    image.like(|c, r| {
        let [x, y] = image.centre_m(c, r);
        let (dx, dy) = (size_m * east.at(x, y), size_m * north.at(x, y));
        image.sample(x + dx, y + dy).unwrap_or(f64::NAN) as f32
    })
}

/// The elevation model with 0.1 m of error, RMS, over 2 to 16 m.
#[must_use]
pub fn erring(elevation: &Raster, seed: u64) -> Raster {
    let [longest, shortest] = DTM_ERROR_WAVES_M;
    let error = Fractal::new(seed, 0x73, longest, shortest, 0.5);
    elevation.like(|c, r| {
        let [x, y] = elevation.centre_m(c, r);
        elevation.get(c, r) + (DTM_ERROR_M * error.at(x, y)) as f32
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp() -> Raster {
        let flat = Raster::filled(800, 800, 0.25, [0.0; 2], 0.0).unwrap();
        flat.like(|c, r| flat.centre_m(c, r)[0] as f32)
    }

    fn rms(a: &Raster, b: &Raster) -> f64 {
        let off = a.data().iter().zip(b.data()).map(|(a, b)| f64::from(a - b));
        let off: Vec<f64> = off.filter(|d| d.is_finite()).collect();
        (off.iter().map(|d| d * d).sum::<f64>() / off.len() as f64).sqrt()
    }

    #[test]
    fn errors_have_the_size_they_are_said_to_have_and_come_from_the_seed() {
        let exact = ramp();
        // On a ramp of one per metre the brightness is off by as much as the place.
        let image_m = rms(&misregistered(&exact, 3), &exact);
        assert!((image_m - 0.125).abs() < 0.04, "{image_m}");
        let height_m = rms(&erring(&exact, 3), &exact);
        assert!((height_m - 0.1).abs() < 0.03, "{height_m}");
        assert_eq!(erring(&exact, 3).data(), erring(&exact, 3).data());
        assert_ne!(erring(&exact, 3).data(), erring(&exact, 4).data());
    }
}
