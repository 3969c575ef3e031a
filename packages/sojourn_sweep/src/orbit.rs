//! A map from orbit as it really is: an image whose places stand a little beside where they belong, an elevation model with
//! errors of its own.

use sojourn_core::raster::Raster;
use sojourn_twin::noise::Fractal;

/// Misregistration within the image: RMS per axis in pixels, and wavelengths, metres.
const REGISTRATION_PX: f64 = 0.5;
const REGISTRATION_M: [f64; 2] = [60.0, 10.0];
/// Error of the elevation model: RMS and wavelengths, metres.
const DTM_ERROR_M: f64 = 0.1;
const DTM_ERROR_WAVES_M: [f64; 2] = [16.0, 2.0];

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
