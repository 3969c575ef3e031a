//! When the mast camera takes its images: a pan around at the start, then one after so much way of the wheels, time or
//! turn, whichever comes first.

use sojourn_core::{frames::wrap_rad, rover::Rover};

/// Keeps count of way, time and turn between images.
#[derive(Clone, Debug)]
pub struct ImageCadence {
    every_m: f64,
    every_s: f64,
    turn_rad: f64,
    pan_images: usize,
    pans_left: usize,
    taken: u64,
    since_way_m: f64,
    since_s: f64,
    since_turn_rad: f64,
}

/// An image that is due.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImageDue {
    /// Its number, from 0.
    pub number: u64,
    /// How far the mast is turned, radians counter-clockwise.
    pub pan_rad: f64,
}

impl ImageCadence {
    /// From the rover's cadence, the number of images of the first pan and the turn after which an image is due, radians.
    #[must_use]
    pub fn new(rover: &Rover, pan_images: usize, turn_rad: f64) -> Self {
        Self {
            every_m: rover.cadence.image_every_m,
            every_s: rover.cadence.image_every_s,
            turn_rad,
            pan_images,
            pans_left: pan_images,
            taken: 0,
            since_way_m: 0.0,
            since_s: 0.0,
            since_turn_rad: 0.0,
        }
    }

    /// Adds what one control period brought: way of the wheels (metres), time (seconds) and turn (radians), signs left out.
    pub fn add(&mut self, way_m: f64, dt_s: f64, turn_rad: f64) {
        self.since_way_m += way_m.abs();
        self.since_s += dt_s;
        self.since_turn_rad += turn_rad.abs();
    }

    /// The image that is due now, if one is; asking takes it.
    pub fn take(&mut self) -> Option<ImageDue> {
        let pan_rad = if self.pans_left > 0 {
            // The last of the pan looks straight ahead again when the next image is taken.
            let k = self.pan_images - self.pans_left;
            self.pans_left -= 1;
            wrap_rad(std::f64::consts::TAU * k as f64 / self.pan_images as f64)
        } else {
            // Sums of steps are a little less than their product; a thousandth is no reason to wait a whole period.
            let due = |have: f64, every: f64| have >= 0.999 * every;
            if !(due(self.since_way_m, self.every_m)
                || due(self.since_s, self.every_s)
                || due(self.since_turn_rad, self.turn_rad))
            {
                return None;
            }
            0.0
        };
        let number = self.taken;
        self.taken += 1;
        (self.since_way_m, self.since_s, self.since_turn_rad) = (0.0, 0.0, 0.0);
        Some(ImageDue { number, pan_rad })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::perseverance;

    #[test]
    fn a_pan_then_way_time_or_turn() {
        let mut c = ImageCadence::new(&perseverance(), 4, 0.35);
        let pan: Vec<f64> = (0..4).filter_map(|_| c.take()).map(|d| d.pan_rad).collect();
        assert_eq!(pan.len(), 4);
        assert!((pan[1] - std::f64::consts::FRAC_PI_2).abs() < 1e-12);
        assert!(c.take().is_none());
        c.add(-0.5, 0.1, 0.0);
        assert_eq!(c.take().map(|d| (d.number, d.pan_rad)), Some((4, 0.0)));
        assert!(c.take().is_none());
        c.add(0.0, 12.0, 0.0);
        assert!(c.take().is_some());
        c.add(0.0, 0.1, -0.36);
        assert!(c.take().is_some() && c.take().is_none());
    }
}
