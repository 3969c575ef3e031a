//! The points of the ground that a panorama of stereo pairs yields, without rendering images: what a fix against a map
//! works from, quickly enough for hundreds of places.
//!
//! Simulated: one column of pixels per pixel's angle all around, rows likewise, from the mast's height; what stands in front
//! hides what lies behind; a pixel's place and brightness are means over the ground it covers; light by Lambert and
//! Lommel–Seeliger in halves (McEwen 1991) with the sky's share and cast shadows; disparity with white noise, with a smooth
//! part and with a bias per panorama; each pair's own error of pointing; the whole view's error of tilt; noise of brightness.
//! Nothing is seen nearer than the rover's own body or farther than the range. Not simulated: failed correlation other than
//! by occlusion, blooming, lens stray light, seams of exposure.

use crate::{
    noise::{Fractal, hash, near_gauss},
    world::World,
};
use sojourn_core::{raster::HeightField, rover::Navcam};
use std::f64::consts::TAU;

mod channel {
    pub const PIXEL: u64 = 0x61;
    pub const LIGHT: u64 = 0x62;
    pub const SMOOTH: u64 = 0x63;
    pub const PAIR: u64 = 0x64;
    pub const WHOLE: u64 = 0x65;
}

/// A panorama's camera and its errors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Panorama {
    /// Height of the cameras over the ground, metres.
    pub eye_m: f64,
    /// Pixels per radian.
    pub px_per_rad: f64,
    /// Distance of the two cameras, metres.
    pub baseline_m: f64,
    /// Lowest and highest ray over the horizon, radians.
    pub rows_rad: [f64; 2],
    /// Nearest ground that the rover itself does not hide, metres.
    pub nearest_m: f64,
    /// Farthest ground that is used, metres.
    pub farthest_m: f64,
    /// White noise of a pixel's disparity, pixels.
    pub disparity_sigma_px: f64,
    /// Smooth part of the disparity's error, pixels.
    pub smooth_sigma_px: f64,
    /// Bias of the disparity over the panorama, one standard deviation, pixels.
    pub bias_sigma_px: f64,
    /// Stereo pairs all around.
    pub pairs: usize,
    /// Error of a pair's heading, one standard deviation, radians.
    pub pointing_sigma_rad: f64,
    /// Error of roll and pitch of the whole, one standard deviation, radians.
    pub tilt_sigma_rad: f64,
    /// Noise of a pixel's brightness, as a share.
    pub light_sigma: f64,
}

impl Panorama {
    /// Six pairs of a rover's navigation cameras, used to a range: disparity noise as the rover's file has it, a smooth error
    /// of 0.1 px, a bias of 0.05 px, 0.1° of pointing per pair, 0.2° of tilt, 1 % of noise in brightness.
    #[must_use]
    pub fn of(navcam: &Navcam, farthest_m: f64) -> Self {
        let half = 0.5 * navcam.hfov_deg.to_radians();
        let (down, up) = (
            navcam.down_deg.to_radians(),
            0.5 * navcam.vfov_deg.to_radians(),
        );
        Self {
            eye_m: navcam.position_m[2],
            px_per_rad: 0.5 * navcam.width as f64 / half.tan(),
            baseline_m: navcam.baseline_m,
            rows_rad: [-down - up, -down + up],
            nearest_m: 1.6,
            farthest_m,
            disparity_sigma_px: navcam.disparity_sigma_px,
            smooth_sigma_px: 0.1,
            bias_sigma_px: 0.05,
            pairs: 6,
            pointing_sigma_rad: 0.1f64.to_radians(),
            tilt_sigma_rad: 0.2f64.to_radians(),
            light_sigma: 0.01,
        }
    }
}

/// A point that was seen: what stereo makes of it, not where it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// East, north and up from the ground under the rover, metres, axes of `map`.
    pub from_rover_m: [f64; 3],
    /// Brightness: albedo under full light gives itself.
    pub brightness: f64,
    /// Standard deviation of the range, metres.
    pub range_sigma_m: f64,
}

/// Distance of the samples along a ray over the ground, metres.
const STEP_M: f64 = 0.05;
/// How far shadows are followed, metres.
const SHADOW_M: f64 = 12.0;
/// Share of the light that comes from the sky.
const SKYLIGHT: f64 = 0.2;

/// The ground around a place at the distance of its nodes, copied once.
struct Around {
    side: usize,
    res_m: f64,
    corner_m: [f64; 2],
    height_m: Vec<f32>,
    albedo: Vec<f32>,
    highest_m: f64,
}

impl Around {
    fn of(world: &World, at_m: [f64; 2], reach_m: f64) -> Self {
        let res_m = world.resolution_m();
        let half = (reach_m / res_m).ceil() as i64;
        let first = at_m.map(|v| (v / res_m).round() as i64 - half);
        let side = 2 * half as usize + 1;
        let last = first.map(|f| (f + side as i64) as f64 * res_m);
        let window = world.window([
            first[0] as f64 * res_m,
            first[1] as f64 * res_m,
            last[0],
            last[1],
        ]);
        let (mut height_m, mut albedo) = (Vec::new(), Vec::new());
        for j in 0..side as i64 {
            for i in 0..side as i64 {
                height_m.push(window.corners_m(first[0] + i, first[1] + j)[0] as f32);
                albedo.push(window.albedo(first[0] + i, first[1] + j, 0.0, 0.0) as f32);
            }
        }
        let highest_m = height_m.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        Self {
            side,
            res_m,
            corner_m: first.map(|f| f as f64 * res_m),
            height_m,
            albedo,
            highest_m: f64::from(highest_m),
        }
    }

    /// Cell and place in it; `None` outside.
    fn cell(&self, x_m: f64, y_m: f64) -> Option<(usize, f64, f64)> {
        let (fx, fy) = (
            (x_m - self.corner_m[0]) / self.res_m,
            (y_m - self.corner_m[1]) / self.res_m,
        );
        let last = self.side as f64 - 1.0;
        (fx >= 0.0 && fy >= 0.0 && fx < last && fy < last).then(|| {
            let (c, r) = (fx as usize, fy as usize);
            (r * self.side + c, fx - c as f64, fy - r as f64)
        })
    }

    fn height(&self, x_m: f64, y_m: f64) -> f64 {
        self.cell(x_m, y_m).map_or(f64::NAN, |(k, tx, ty)| {
            let h = |k: usize| f64::from(self.height_m[k]);
            let south = h(k) * (1.0 - tx) + h(k + 1) * tx;
            let north = h(k + self.side) * (1.0 - tx) + h(k + self.side + 1) * tx;
            south * (1.0 - ty) + north * ty
        })
    }

    /// Light that a place sends towards the eye at `eye`, metres in the axes of `map`.
    fn light(&self, [x, y, z]: [f64; 3], eye: [f64; 3], sun: [f64; 3]) -> f64 {
        let Some((k, _, _)) = self.cell(x, y) else {
            return f64::NAN;
        };
        let h = |k: usize| f64::from(self.height_m[k]);
        let gx = (h(k + 1) - h(k) + h(k + self.side + 1) - h(k + self.side)) * 0.5 / self.res_m;
        let gy = (h(k + self.side) - h(k) + h(k + self.side + 1) - h(k + 1)) * 0.5 / self.res_m;
        let long = (1.0 + gx * gx + gy * gy).sqrt();
        let cosine = |d: [f64; 3]| (d[2] - gx * d[0] - gy * d[1]) / long;
        let to_eye = [eye[0] - x, eye[1] - y, eye[2] - z];
        let far = to_eye.iter().map(|v| v * v).sum::<f64>().sqrt();
        let (incidence, emission) = (cosine(sun).max(0.0), (cosine(to_eye) / far).max(0.01));
        let mut direct = 0.0;
        if incidence > 0.0 && !self.in_shadow([x, y, z], sun) {
            direct = 0.5 * incidence + incidence / (incidence + emission);
        }
        f64::from(self.albedo[k]) * (SKYLIGHT + (1.0 - SKYLIGHT) * direct)
    }

    fn in_shadow(&self, [x, y, z]: [f64; 3], sun: [f64; 3]) -> bool {
        let flat = sun[0].hypot(sun[1]).max(1e-6);
        let mut s = 1.5 * self.res_m;
        while s < SHADOW_M {
            let ray = z + s * sun[2] / flat;
            if ray > self.highest_m {
                return false;
            }
            // half a step of tolerance, so that ground does not shade itself
            if self.height(x + s * sun[0] / flat, y + s * sun[1] / flat) > ray + 0.01 {
                return true;
            }
            s += self.res_m * (1.0 + 0.2 * s);
        }
        false
    }
}

impl Panorama {
    /// What is seen from a place, `[x_m, y_m]` in `map`, under a sun (direction in radians counter-clockwise from east, and
    /// height in radians). Empty where there is no ground.
    #[must_use]
    pub fn take(&self, world: &World, at_m: [f64; 2], sun_rad: [f64; 2], seed: u64) -> Vec<Seen> {
        let Some(ground_m) = world.height_m(at_m[0], at_m[1]) else {
            return Vec::new();
        };
        let around = Around::of(world, at_m, self.farthest_m + 3.0);
        let (sin_el, cos_el) = sun_rad[1].sin_cos();
        let sun = [cos_el * sun_rad[0].cos(), cos_el * sun_rad[0].sin(), sin_el];
        let eye = [at_m[0], at_m[1], ground_m + self.eye_m];
        let gauss = |channel: u64, i: i64, j: i64| near_gauss(hash(seed, channel, i, j));
        let bias_px = self.bias_sigma_px * gauss(channel::WHOLE, 0, 0);
        let tilt = [1, 2].map(|k| self.tilt_sigma_rad * gauss(channel::WHOLE, k, 0));
        let smooth = Fractal::new(seed, channel::SMOOTH, 40.0, 10.0, 0.5);
        let columns = (TAU * self.px_per_rad).round() as i64;
        let mut seen = Vec::new();
        for column in 0..columns {
            let azimuth = TAU * column as f64 / columns as f64;
            let pair = column * self.pairs.max(1) as i64 / columns;
            let pointed = azimuth + self.pointing_sigma_rad * gauss(channel::PAIR, pair, 0);
            for (row, distance_m, z_m, light) in self.column(&around, eye, sun, azimuth) {
                let range_m = distance_m.hypot(z_m - eye[2]);
                let per_px = range_m * range_m / (self.px_per_rad * self.baseline_m);
                let error_px = bias_px
                    + self.smooth_sigma_px * smooth.at(column as f64, row as f64)
                    + self.disparity_sigma_px * gauss(channel::PIXEL, column, row);
                let stretch = 1.0 + per_px * error_px / range_m;
                let east = distance_m * stretch * pointed.cos();
                let north = distance_m * stretch * pointed.sin();
                let up = self.eye_m + (z_m - eye[2]) * stretch + tilt[0] * east + tilt[1] * north;
                seen.push(Seen {
                    from_rover_m: [east, north, up],
                    brightness: light
                        * (1.0 + self.light_sigma * gauss(channel::LIGHT, column, row)),
                    range_sigma_m: per_px * self.disparity_sigma_px.max(0.01),
                });
            }
        }
        seen
    }

    /// The pixels of one column from near to far: row, distance over ground, height, brightness.
    fn column(
        &self,
        around: &Around,
        eye: [f64; 3],
        sun: [f64; 3],
        azimuth: f64,
    ) -> Vec<(i64, f64, f64, f64)> {
        let (sin, cos) = azimuth.sin_cos();
        let mut pixels: Vec<(i64, f64, f64, f64)> = Vec::new();
        let mut open: Option<(i64, [f64; 4])> = None;
        let close = |open: Option<(i64, [f64; 4])>, pixels: &mut Vec<_>| {
            if let Some((row, [n, s, z, light])) = open {
                pixels.push((row, s / n, z / n, light / n));
            }
        };
        let mut horizon = f64::NEG_INFINITY;
        for k in 0.. {
            let s = self.nearest_m + k as f64 * STEP_M;
            if s > self.farthest_m {
                break;
            }
            let (x, y) = (eye[0] + s * cos, eye[1] + s * sin);
            let z = around.height(x, y);
            let rise = ((z - eye[2]) / s).atan();
            // What is not above all before it is hidden; no ground is not seen either.
            if !(rise > horizon) {
                continue;
            }
            horizon = rise;
            if rise < self.rows_rad[0] || rise > self.rows_rad[1] {
                continue;
            }
            let row = (rise * self.px_per_rad).floor() as i64;
            let light = around.light([x, y, z], eye, sun);
            if !light.is_finite() {
                continue;
            }
            match &mut open {
                Some((r, sums)) if *r == row => {
                    for (sum, v) in sums.iter_mut().zip([1.0, s, z, light]) {
                        *sum += v;
                    }
                }
                _ => {
                    close(open, &mut pixels);
                    open = Some((row, [1.0, s, z, light]));
                }
            }
        }
        close(open, &mut pixels);
        pixels
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{testing::perseverance, world::WorldParams};

    fn step_world() -> World {
        let mut params = WorldParams::demo(1, [0.0, 0.0, 40.0, 40.0], [20.0, 20.0]);
        params.resolution_m = 0.05;
        params.rock_cfa = 0.0;
        // a wall of 1 m, 5 m east of the rover, and a trench behind it
        World::from_fn(&params, |x, _| {
            if (25.0..25.5).contains(&x) {
                1.0
            } else if x > 25.5 {
                -1.0
            } else {
                0.0
            }
        })
        .unwrap()
    }

    #[test]
    fn walls_hide_what_lies_behind_and_ranges_are_right() {
        let mut p = Panorama::of(&perseverance().navcam, 12.0);
        p.disparity_sigma_px = 0.0;
        (p.smooth_sigma_px, p.bias_sigma_px, p.pointing_sigma_rad) = (0.0, 0.0, 0.0);
        (p.tilt_sigma_rad, p.light_sigma) = (0.0, 0.0);
        let seen = p.take(&step_world(), [20.0, 20.0], [1.0, 0.7], 3);
        assert!(seen.len() > 50_000, "{}", seen.len());
        let east = |s: &&Seen| s.from_rover_m[1].abs() < 0.5 && s.from_rover_m[0] > 5.6;
        assert_eq!(seen.iter().filter(east).count(), 0);
        let west = |s: &&Seen| s.from_rover_m[1].abs() < 0.5 && s.from_rover_m[0] < -5.6;
        assert!(seen.iter().filter(west).count() > 100);
        for s in seen.iter().filter(west) {
            assert!(s.from_rover_m[2].abs() < 0.02, "{s:?}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_points_and_noise_grows_with_range() {
        let p = Panorama::of(&perseverance().navcam, 12.0);
        let world = step_world();
        let a = p.take(&world, [20.0, 20.0], [1.0, 0.7], 3);
        assert_eq!(a, p.take(&world, [20.0, 20.0], [1.0, 0.7], 3));
        assert_ne!(a, p.take(&world, [20.0, 20.0], [1.0, 0.7], 4));
        let sigma = |near: f64| {
            a.iter()
                .find(|s| s.from_rover_m[1] > near && s.from_rover_m[0].abs() < 0.3)
                .unwrap()
                .range_sigma_m
        };
        assert!(sigma(10.0) > 3.0 * sigma(4.0));
    }
}
