//! What the local view would look like from orbit: its own shading taken out, the map's put in.
//!
//! For slopes that are not steep, brightness departs from its surroundings by the albedo's departure plus a share of the
//! slope towards the sun (Lambert's law to first order; Horn 1977). That share, a vector in the plane, is found by least
//! squares from image and heights, so neither sun has to be known.

use super::{CELL_M, patch::LocalPatch, plane::Plane};

/// Distance over which the surroundings' brightness is taken, metres.
pub(super) const AROUND_M: f64 = 6.0;
/// A cell this much darker than its surroundings lies in a shadow: it says nothing of the ground's own brightness.
const SHADOW: f32 = -0.5;
/// Smoothing of the local heights before slopes are taken, metres.
const SMOOTH_M: f64 = 0.35;

/// How brightness follows slope: contrast per unit of slope east and north.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Shading {
    pub east: f64,
    pub north: f64,
    /// Share of the contrast's variance that it explains.
    pub explained: f64,
}

/// The shading of a contrast image by slopes, as least squares has it; `shift` cells are added to a cell of the image to get
/// that of the slopes.
pub(super) fn fit(contrast: &Plane, slopes: &[Plane; 2], shift: [i64; 2]) -> Shading {
    let side = contrast.side as i64;
    let (mut xx, mut xy, mut yy, mut xz, mut yz, mut zz) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
    for r in 0..side {
        let sr = r + shift[1];
        if !(0..side).contains(&sr) {
            continue;
        }
        for c in 0.max(-shift[0])..side.min(side - shift[0]) {
            let k = (sr * side + c + shift[0]) as usize;
            let (x, y) = (f64::from(slopes[0].data[k]), f64::from(slopes[1].data[k]));
            let z = f64::from(contrast.data[(r * side + c) as usize]);
            if (x + y + z).is_finite() {
                xx += x * x;
                xy += x * y;
                yy += y * y;
                xz += x * z;
                yz += y * z;
                zz += z * z;
            }
        }
    }
    let det = xx * yy - xy * xy;
    if !(det > 1e-9 * (xx + yy) * (xx + yy) && zz > 0.0) {
        return Shading::default();
    }
    let (east, north) = ((yy * xz - xy * yz) / det, (xx * yz - xy * xz) / det);
    Shading {
        east,
        north,
        explained: ((east * xz + north * yz) / zz).clamp(0.0, 1.0),
    }
}

/// The local view, split into what is the ground's own and what is its shape's.
#[derive(Clone, Debug)]
pub(super) struct LocalView {
    /// Contrast without shading: albedo.
    pub own: Plane,
    /// Smoothed heights.
    pub height_m: Plane,
    /// How the view was lit.
    pub shading: Shading,
}

impl LocalView {
    pub fn of(patch: &LocalPatch) -> Self {
        let height_m = patch.height_m.blurred(SMOOTH_M / CELL_M, 0.3);
        let contrast = patch.brightness.contrast(AROUND_M / CELL_M);
        let lit = contrast.map(|v| if v > SHADOW { v } else { f32::NAN });
        let slopes = height_m.slopes(CELL_M);
        let smooth = lit.blurred(SMOOTH_M / CELL_M, 0.3);
        let shading = fit(&smooth, &slopes, [0, 0]);
        let (e, n) = (shading.east as f32, shading.north as f32);
        let mut own = lit;
        for (k, v) in own.data.iter_mut().enumerate() {
            let shade = e * slopes[0].data[k] + n * slopes[1].data[k];
            if v.is_finite() && shade.is_finite() {
                *v -= shade;
            } else if contrast.data[k].is_finite() {
                *v = 0.0;
            }
        }
        Self {
            own,
            height_m,
            shading,
        }
    }

    /// Own brightness and slopes with the rover's heading corrected by an angle, radians.
    pub fn turned(&self, angle_rad: f64) -> Turned {
        Turned {
            own: self.own.rotated(angle_rad),
            slopes: self.height_m.rotated(angle_rad).slopes(CELL_M),
        }
    }
}

/// A [`LocalView`] at one heading.
#[derive(Clone, Debug)]
pub(super) struct Turned {
    pub own: Plane,
    pub slopes: [Plane; 2],
}

/// How much of each part the map shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mix {
    /// Of the ground's own brightness.
    pub own: f64,
    /// Contrast per slope east.
    pub east: f64,
    /// Contrast per slope north.
    pub north: f64,
}

impl Turned {
    /// The contrast that the map would show.
    pub fn relit(&self, mix: Mix) -> Plane {
        let (o, e, n) = (mix.own as f32, mix.east as f32, mix.north as f32);
        let mut out = self.own.map(|v| o * v);
        for (k, v) in out.data.iter_mut().enumerate() {
            let shade = e * self.slopes[0].data[k] + n * self.slopes[1].data[k];
            // Without a slope there is no saying what the map shows.
            *v = if shade.is_finite() {
                *v + shade
            } else {
                f32::NAN
            };
        }
        out
    }

    /// The mix that explains a piece of the map best, by least squares; cell (0, 0) of the view lies on `at` of the map.
    /// `None` without enough in common, or when nothing is explained.
    pub fn fit(&self, map: &Plane, at: [usize; 2]) -> Option<Mix> {
        const STEP: usize = 2;
        let mut normal = nalgebra::Matrix3::<f64>::zeros();
        let mut right = nalgebra::Vector3::<f64>::zeros();
        let mut n = 0;
        let side = self.own.side;
        for r in (0..side).step_by(STEP) {
            for c in (0..side).step_by(STEP) {
                let k = r * side + c;
                let x = nalgebra::Vector3::new(
                    f64::from(self.own.data[k]),
                    f64::from(self.slopes[0].data[k]),
                    f64::from(self.slopes[1].data[k]),
                );
                let (mc, mr) = (c + at[0], r + at[1]);
                if mc >= map.side || mr >= map.side {
                    continue;
                }
                let y = f64::from(map.at(mc, mr));
                if (x.sum() + y).is_finite() {
                    normal += x * x.transpose();
                    right += x * y;
                    n += 1;
                }
            }
        }
        if n < 200 {
            return None;
        }
        let w = normal.cholesky()?.solve(&right);
        let mix = Mix {
            own: w.x.max(0.0),
            east: w.y,
            north: w.z,
        };
        (mix.own > 0.0 || mix.east != 0.0 || mix.north != 0.0).then_some(mix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sun_is_found_from_image_and_heights() {
        let z = Plane::from_fn(80, |c, r| {
            0.3 * ((c as f32) * 0.21).sin() + 0.2 * ((r as f32) * 0.17 + (c as f32) * 0.05).cos()
        });
        let slopes = z.slopes(CELL_M);
        let image = slopes[0].zip(&slopes[1], |x, y| -0.8 * x + 0.5 * y);
        let s = fit(&image, &slopes, [0, 0]);
        assert!(
            (s.east + 0.8).abs() < 1e-3 && (s.north - 0.5).abs() < 1e-3,
            "{s:?}"
        );
        assert!(s.explained > 0.99);
        // flat ground tells nothing
        let flat = Plane::from_fn(80, |_, _| 0.0);
        assert_eq!(
            fit(&image, &flat.slopes(CELL_M), [0, 0]),
            Shading::default()
        );
    }
}
