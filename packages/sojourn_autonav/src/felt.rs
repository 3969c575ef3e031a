//! Ground that the wheels feel.
//!
//! Under a wheel no ground is higher than the wheel lets it be, whatever was seen there. A cell's highest point is that of single
//! points of an image, and a stone's tip lies a few centimetres beside where the map has it: a rover may stand well where its
//! map says that it cannot stand at all, and then nothing leads on. Suspension and attitude tell where every wheel stands.

use nalgebra::Point3;
use sojourn_core::{
    frames::{BaseLink, Odom, Transform},
    geometry::{Xy, distance_m},
    raster::Raster,
    rover::Rover,
    suspension::SuspensionAngles,
};
use std::collections::VecDeque;

/// Footprints that are kept: those of ten places.
const MOST: usize = 60;
/// Ground may be higher than the wheels say by this much, metres: noise of attitude, angles and map.
const MARGIN_M: f64 = 0.04;
/// Map and wheels that differ by more do not belong together, metres.
const APART_MAX_M: f64 = 0.2;
/// Half of the tread that lies over ground that cannot be but under it, share of the radius.
const TREAD_SHARE: f64 = 0.8;

/// Where a wheel stands, in the heights of the map.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Footprint {
    xy: Xy,
    /// Lowest point of the tread, metres.
    low_m: f64,
    /// Slope of the plane that the wheel stands upright on, along x and y.
    gradient: [f64; 2],
    /// Cosine and sine of the heading.
    heading: [f64; 2],
}

/// The places that wheels stood on.
#[derive(Clone, Debug)]
pub(crate) struct Felt {
    prints: VecDeque<Footprint>,
    radius_m: f64,
    half_width_m: f64,
    /// Footprints that lie farther from the rover count no more, metres.
    reach_m: f64,
}

impl Felt {
    pub fn new(rover: &Rover) -> Self {
        Self {
            prints: VecDeque::new(),
            radius_m: rover.wheel.radius_m,
            half_width_m: 0.5 * rover.wheel.width_m,
            reach_m: 2.0 * rover.footprint_radius_m(),
        }
    }

    /// Takes where the wheels stand, in the heights of the map. False, and nothing is taken, where the rover lies on its side, the map
    /// does not know the ground under the wheels, or its heights differ from theirs by more than drift explains.
    pub fn stand(
        &mut self,
        rover: &Rover,
        odom_from_base_link: &Transform<Odom, BaseLink>,
        angles: &SuspensionAngles,
        seen: &Raster,
    ) -> bool {
        let iso = &odom_from_base_link.iso;
        let up = iso.rotation * nalgebra::Vector3::z();
        let nose = iso.rotation * nalgebra::Vector3::x();
        let level = nose.x.hypot(nose.y);
        if !(up.z > 0.5 && level > 0.5) {
            return false;
        }
        let treads: Vec<_> = rover
            .suspension
            .hubs_at_m(angles)
            .into_iter()
            .zip(rover.has_wheel())
            .filter(|(_, there)| *there)
            .map(|(hub, _)| iso * Point3::from(hub) - up * rover.wheel.radius_m)
            .collect();
        // The map's heights drift from the pose's; all wheels share that.
        let mut apart_m: Vec<f64> = treads
            .iter()
            .filter_map(|t| Some(seen.sample(t.x, t.y)? - t.z))
            .filter(|d| d.is_finite())
            .collect();
        apart_m.sort_by(f64::total_cmp);
        let Some(&offset_m) = apart_m.get(apart_m.len() / 2) else {
            return false;
        };
        if !(offset_m.abs() <= APART_MAX_M) {
            return false;
        }
        for t in treads {
            self.prints.push_back(Footprint {
                xy: [t.x, t.y],
                low_m: t.z + offset_m,
                gradient: [-up.x / up.z, -up.y / up.z],
                heading: [nose.x / level, nose.y / level],
            });
        }
        while self.prints.len() > MOST {
            self.prints.pop_front();
        }
        true
    }

    /// Forgets what lies far from `xy`: there the map counts again.
    pub fn forget_far(&mut self, xy: Xy) {
        self.prints.retain(|p| distance_m(p.xy, xy) <= self.reach_m);
    }

    /// Holds a window of the map (mean, lowest, highest, class) to what the wheels left room for.
    pub fn hold(&self, [mean, low, high, _]: &mut [Raster; 4]) {
        for print in &self.prints {
            let reach_m = self.radius_m.hypot(self.half_width_m);
            let (res, origin) = (mean.resolution_m(), mean.origin_m());
            let cells = |axis: usize, n: usize| {
                let at = |v: f64| ((v - origin[axis]) / res).clamp(0.0, n as f64) as usize;
                at(print.xy[axis] - reach_m)..(at(print.xy[axis] + reach_m) + 1).min(n)
            };
            for row in cells(1, mean.rows()) {
                for col in cells(0, mean.cols()) {
                    let Some(most) = self.most_m(print, mean.centre_m(col, row)) else {
                        continue;
                    };
                    for layer in [&mut *mean, &mut *low, &mut *high] {
                        // What is unknown stays so: nothing is less than not-a-number.
                        let h = layer.get(col, row);
                        if h > most {
                            layer.set(col, row, most);
                        }
                    }
                }
            }
        }
    }

    /// The highest that the ground may be at a place that lies under a wheel.
    fn most_m(&self, print: &Footprint, [x, y]: Xy) -> Option<f32> {
        let (dx, dy) = (x - print.xy[0], y - print.xy[1]);
        let [c, s] = print.heading;
        let (ahead, left) = (c * dx + s * dy, c * dy - s * dx);
        let r = self.radius_m;
        (ahead.abs() <= TREAD_SHARE * r && left.abs() <= self.half_width_m).then(|| {
            let rise = r - (r * r - ahead * ahead).max(0.0).sqrt();
            let plane = print.gradient[0] * dx + print.gradient[1] * dy;
            (print.low_m + plane + rise + MARGIN_M) as f32
        })
    }
}

#[cfg(test)]
mod tests;
