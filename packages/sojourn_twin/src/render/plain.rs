//! The plain caster: depth and brightness of an ideal camera by one ray per pixel through the tiles' pyramids, without
//! bundles, grain or a detector. Slower than [`super::Renderer`], and what it is compared with.

use crate::world::{TOP_LEVEL, Window, World};
use nalgebra::Vector3;
use rayon::prelude::*;
use sojourn_core::{
    camera::Pinhole,
    frames::{Map, NavcamOptical, Transform},
};

/// Depth and brightness of one camera; row 0 is the top row.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Depth along the optical axis, metres; not-a-number where no ground is in range.
    pub depth_m: Vec<f32>,
    /// Brightness, 0 to 255; sky is 180.
    pub left: Vec<u8>,
}

/// Brightness of the sky.
const SKY: u8 = 180;
/// Nearest depth that is seen, metres.
const NEAR_M: f64 = 0.05;
/// How far a shadow is followed at most, metres.
const SHADOW_M: f64 = 8.0;

/// Renders what a camera sees from a pose; ground farther than `range_m` along the optical axis is not seen.
#[must_use]
pub fn render(
    world: &World,
    camera: &Pinhole,
    map_from_camera: &Transform<Map, NavcamOptical>,
    range_m: f64,
) -> Image {
    let rotation = map_from_camera.iso.rotation.to_rotation_matrix();
    let eye = map_from_camera.iso.translation.vector;
    // Depth is along the axis; at the image's corner the ray is longer. Shadows come from a little farther still.
    let corner = camera
        .ray(0.0, 0.0)
        .norm()
        .max(camera.ray(camera.width as f64, camera.height as f64).norm());
    let reach = range_m * corner + SHADOW_M;
    let window = world.window([eye.x - reach, eye.y - reach, eye.x + reach, eye.y + reach]);
    let caster = Caster::new(&window, world.sun_rad(), eye, range_m);
    let (width, height) = (camera.width, camera.height);
    let mut depth_m = vec![f32::NAN; width * height];
    let mut left = vec![SKY; width * height];
    // Each pixel depends on itself alone, so the number of threads cannot show.
    depth_m
        .par_chunks_mut(width)
        .zip(left.par_chunks_mut(width))
        .enumerate()
        .for_each(|(v, (depth_row, left_row))| {
            for (u, (depth, brightness)) in depth_row.iter_mut().zip(left_row).enumerate() {
                let direction = rotation * camera.ray(u as f64, v as f64);
                let Some(hit_m) = caster.cast(direction, NEAR_M) else {
                    continue;
                };
                *brightness = caster.brightness(direction, hit_m);
                *depth = hit_m as f32;
            }
        });
    Image {
        width,
        height,
        depth_m,
        left,
    }
}

/// Brightness of ground of albedo 1 that faces the sun.
const EXPOSURE: f64 = 818.0;
/// Share of the light that comes from the dusty sky, shadow or not.
const SKYLIGHT: f64 = 0.25;

/// Casts rays from one point; everything in units of cells, heights in metres.
struct Caster<'a> {
    window: &'a Window,
    /// The eye's cell; kept whole so that a place has the same bits far from the map's origin too.
    cell: [i64; 2],
    x: f64,
    y: f64,
    z: f64,
    per_m: f64,
    range_m: f64,
    /// Direction to the sun.
    sun: Vector3<f64>,
}

impl<'a> Caster<'a> {
    fn new(
        window: &'a Window,
        [azimuth, elevation]: [f64; 2],
        eye_m: Vector3<f64>,
        range_m: f64,
    ) -> Self {
        let per_m = 1.0 / window.resolution_m();
        let (gx, gy) = (eye_m.x * per_m, eye_m.y * per_m);
        let (cos_el, sin_el) = (elevation.cos(), elevation.sin());
        Self {
            window,
            cell: [gx.floor() as i64, gy.floor() as i64],
            x: gx - gx.floor(),
            y: gy - gy.floor(),
            z: eye_m.z,
            per_m,
            range_m,
            sun: Vector3::new(cos_el * azimuth.cos(), cos_el * azimuth.sin(), sin_el),
        }
    }

    /// The parameter of the first point of `eye + t · direction` on the ground between `near_m` and the range.
    fn cast(&self, direction: Vector3<f64>, near_m: f64) -> Option<f64> {
        let (dx, dy, dz) = (
            direction.x * self.per_m,
            direction.y * self.per_m,
            direction.z,
        );
        // Cells counted from the eye's own.
        let [[i0, i1], [j0, j1]] = self.window.cells();
        let (i0, i1) = (i0 - self.cell[0], i1 - self.cell[0]);
        let (j0, j1) = (j0 - self.cell[1], j1 - self.cell[1]);
        let (mut t, t_end) = self.clip([i0, i1], [j0, j1], [dx, dy], near_m)?;
        // A ray straight down has no next cell; the tiny slope does not show.
        let nudge = |d: f64| if d.abs() < 1e-12 { 1e-12 } else { d };
        let (dx, dy) = (nudge(dx), nudge(dy));
        let (inv_x, inv_y) = (1.0 / dx, 1.0 / dy);
        let (ahead_x, ahead_y) = (i64::from(dx > 0.0), i64::from(dy > 0.0));
        let [ei, ej] = self.cell;
        let mut level = TOP_LEVEL - 1;
        // The cell at the finest level; stepping is done on integers, so a ray cannot get stuck between two cells.
        let mut i = ((self.x + t * dx).floor() as i64).clamp(i0, i1 - 1) + ei;
        let mut j = ((self.y + t * dy).floor() as i64).clamp(j0, j1 - 1) + ej;
        loop {
            let (ci, cj) = (i >> level, j >> level);
            let max = self.window.max_m(level, i, j);
            let out_x = ((((ci + ahead_x) << level) - ei) as f64 - self.x) * inv_x;
            let out_y = ((((cj + ahead_y) << level) - ej) as f64 - self.y) * inv_y;
            let t_out = out_x.min(out_y).min(t_end).max(t);
            let lowest = self.z + dz * if dz < 0.0 { t_out } else { t };
            if lowest <= max {
                if level > 0 {
                    level -= 1;
                    continue;
                }
                if let Some(hit) = self.patch(i, j, [dx, dy, dz], t, t_out) {
                    return Some(hit);
                }
            }
            if t_out >= t_end {
                return None;
            }
            t = t_out;
            let crossed;
            if out_x < out_y {
                i = ((ci + ahead_x) << level) - 1 + ahead_x;
                j = ((self.y + t * dy).floor() as i64 + ej)
                    .clamp(cj << level, ((cj + 1) << level) - 1);
                crossed = (i >> level) & 1 == 1 - ahead_x;
            } else {
                j = ((cj + ahead_y) << level) - 1 + ahead_y;
                i = ((self.x + t * dx).floor() as i64 + ei)
                    .clamp(ci << level, ((ci + 1) << level) - 1);
                crossed = (j >> level) & 1 == 1 - ahead_y;
            }
            if i < i0 + ei || j < j0 + ej || i >= i1 + ei || j >= j1 + ej {
                return None;
            }
            // Over a new larger square the larger view is worth a try again.
            if crossed && level < TOP_LEVEL {
                level += 1;
            }
        }
    }

    /// The part of a ray over the window and within range; bounds of the cells are counted from the eye's cell.
    fn clip(
        &self,
        cols: [i64; 2],
        rows: [i64; 2],
        [dx, dy]: [f64; 2],
        near_m: f64,
    ) -> Option<(f64, f64)> {
        let (mut lo, mut hi) = (near_m, self.range_m);
        for (p, d, [first, end]) in [(self.x, dx, cols), (self.y, dy, rows)] {
            let (first, end) = (first as f64, end as f64);
            if d.abs() < 1e-12 {
                if !(first..=end).contains(&p) {
                    return None;
                }
                continue;
            }
            let (a, b) = ((first - p) / d, (end - p) / d);
            lo = lo.max(a.min(b));
            hi = hi.min(a.max(b));
        }
        (lo < hi).then_some((lo, hi))
    }

    /// First intersection with the bilinear patch of a cell between two parameters.
    fn patch(&self, i: i64, j: i64, [dx, dy, dz]: [f64; 3], t0: f64, t1: f64) -> Option<f64> {
        let [z00, z10, z01, z11] = self.window.corners_m(i, j);
        let (a, b) = (z10 - z00, z01 - z00);
        let c = z11 - z00 - a - b;
        // ground(u, v) = z00 + a·u + b·v + c·u·v along u = u0 + s·dx, v = v0 + s·dy, s = t − t0
        let u0 = self.x + t0 * dx - (i - self.cell[0]) as f64;
        let v0 = self.y + t0 * dy - (j - self.cell[1]) as f64;
        // gap(s) = q0 + q1·s + q2·s², positive above ground
        let q0 = self.z + t0 * dz - (z00 + a * u0 + b * v0 + c * u0 * v0);
        let q1 = dz - (a * dx + b * dy + c * (u0 * dy + v0 * dx));
        let q2 = -c * dx * dy;
        if q0 <= 0.0 {
            // Rounding at the cell's border: the ray went in just beside it.
            return Some(t0);
        }
        let end = t1 - t0;
        let s = first_root(q0, q1, q2, end * (1.0 + 1e-9) + 1e-12)?;
        Some(t0 + s)
    }

    /// Brightness of the ground that a ray meets: its albedo under sun (Lambert, with cast shadow) and sky.
    fn brightness(&self, direction: Vector3<f64>, t: f64) -> u8 {
        let gx = self.x + t * direction.x * self.per_m;
        let gy = self.y + t * direction.y * self.per_m;
        let (i, j) = (
            gx.floor() as i64 + self.cell[0],
            gy.floor() as i64 + self.cell[1],
        );
        let (u, v) = (gx - gx.floor(), gy - gy.floor());
        let [z00, z10, z01, z11] = self.window.corners_m(i, j);
        let slope_x = ((z10 - z00) * (1.0 - v) + (z11 - z01) * v) * self.per_m;
        let slope_y = ((z01 - z00) * (1.0 - u) + (z11 - z10) * u) * self.per_m;
        let normal = Vector3::new(-slope_x, -slope_y, 1.0).normalize();
        let lambert = normal.dot(&self.sun);
        let ground = Self {
            cell: [i, j],
            x: u,
            y: v,
            z: self.z + t * direction.z + 2e-3,
            range_m: SHADOW_M,
            ..*self
        };
        let lit = lambert > 0.0 && ground.cast(self.sun, 0.0).is_none();
        let light = SKYLIGHT + (1.0 - SKYLIGHT) * if lit { lambert } else { 0.0 };
        (self.window.albedo(i, j, u, v) * light * EXPOSURE).clamp(0.0, 255.0) as u8
    }
}

/// Least root in `(0, end]` of `q0 + q1·s + q2·s²` with `q0 > 0`.
#[inline]
pub(super) fn first_root(q0: f64, q1: f64, q2: f64, end: f64) -> Option<f64> {
    let within = |s: f64| (s > 0.0 && s <= end).then_some(s);
    if q2.abs() < 1e-12 {
        return if q1 < 0.0 { within(-q0 / q1) } else { None };
    }
    let disc = q1 * q1 - 4.0 * q2 * q0;
    if disc < 0.0 {
        return None;
    }
    // The stable pair of roots.
    let w = -0.5 * (q1 + disc.sqrt().copysign(q1));
    let (r1, r2) = (w / q2, if w == 0.0 { f64::NAN } else { q0 / w });
    let (near, far) = if r1 < r2 { (r1, r2) } else { (r2, r1) };
    within(near).or_else(|| within(far))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        testing::{perseverance, small_site},
        world::WorldParams,
    };
    use proptest::prelude::*;
    use sojourn_core::{frames::BaseLink, raster::HeightField};

    fn bare(region: [f64; 4]) -> WorldParams {
        WorldParams {
            rock_cfa: 0.0,
            ..WorldParams::demo(1, region, [0.0, 0.0])
        }
    }

    fn camera_at(x: f64, y: f64, z: f64, yaw: f64) -> Transform<Map, NavcamOptical> {
        let r = perseverance();
        Transform::<Map, BaseLink>::from_xyz_rpy([x, y, z], 0.02, -0.03, yaw)
            * r.base_link_from_navcam()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10))]
        /// On a plane every depth is the one of plane geometry.
        #[test]
        fn depth_of_a_plane_is_exact(gx in -0.2f64..0.2, gy in -0.2f64..0.2, yaw in -3.1f64..3.1) {
            let world = World::from_fn(&bare([-50.0, -50.0, 50.0, 50.0]), move |x, y| gx * x + gy * y).unwrap();
            let mut cam = perseverance().navcam_pinhole();
            (cam.width, cam.height) = (64, 48);
            (cam.fx, cam.fy, cam.cx, cam.cy) = (cam.fx / 10.0, cam.fy / 10.0, 31.5, 23.5);
            let pose = camera_at(0.0, 0.0, 0.0, yaw);
            let frame = render(&world, &cam, &pose, 25.0);
            let eye = pose.iso.translation.vector;
            let normal = Vector3::new(-gx, -gy, 1.0);
            let mut seen = 0;
            for v in 0..48 {
                for u in 0..64 {
                    let d = pose.iso.rotation * cam.ray(u as f64, v as f64);
                    let expected = -normal.dot(&eye) / normal.dot(&d);
                    let got = f64::from(frame.depth_m[v * 64 + u]);
                    if expected > 0.06 && expected < 24.9 {
                        prop_assert!((got - expected).abs() < 2e-4 * expected.max(1.0) + 1e-5 * expected * expected, "({u},{v}): {got} for {expected}");
                        seen += 1;
                    } else if !(0.0..=25.1).contains(&expected) {
                        prop_assert!(got.is_nan());
                    }
                }
            }
            prop_assert!(seen > 500);
        }
    }

    /// Against a slow march along the ray over real relief with rocks.
    #[test]
    fn depth_agrees_with_a_slow_march() {
        let params = WorldParams {
            rock_cfa: 0.1,
            ..WorldParams::demo(5, [5.0, 5.0, 85.0, 85.0], [40.0, 40.0])
        };
        let world = World::from_site(&small_site(7), &params).unwrap();
        let mut cam = perseverance().navcam_pinhole();
        (cam.width, cam.height) = (20, 15);
        (cam.fx, cam.fy, cam.cx, cam.cy) = (cam.fx / 32.0, cam.fy / 32.0, 9.5, 7.0);
        let ground = world.height_m(40.0, 40.0).unwrap();
        let mut compared = 0;
        for yaw in [0.0, 1.0, 2.5, -2.0] {
            let pose = camera_at(40.0, 40.0, ground, yaw);
            let frame = render(&world, &cam, &pose, 25.0);
            let eye = pose.iso.translation.vector;
            for v in 0..15 {
                for u in 0..20 {
                    let d = pose.iso.rotation * cam.ray(u as f64, v as f64);
                    let march = (0..50_000).map(|k| 0.05 + 0.0005 * f64::from(k)).find(|t| {
                        let p = eye + d * *t;
                        world.height_m(p.x, p.y).is_some_and(|h| p.z <= h)
                    });
                    let got = f64::from(frame.depth_m[v * 20 + u]);
                    match march {
                        Some(t) => {
                            // The march may step over a grazed crest thinner than its step.
                            assert!(
                                (got - t).abs() < 0.001 || got < t,
                                "({u},{v}) {got} for {t}"
                            );
                            assert!(
                                (got - t).abs() < 0.001 || {
                                    let p = eye + d * got;
                                    (world.height_m(p.x, p.y).unwrap() - p.z).abs() < 1e-4
                                }
                            );
                            compared += 1;
                        }
                        None => assert!(got.is_nan() || got > 24.9),
                    }
                }
            }
        }
        assert!(compared > 500);
    }

    #[test]
    fn a_rock_appears_where_it_is() {
        let world = World::from_fn(&bare([-5.0, -20.0, 30.0, 20.0]), |x, y| {
            if (x - 8.0).hypot(y - 1.0) < 0.5 {
                0.6
            } else {
                0.0
            }
        })
        .unwrap();
        let rover = perseverance();
        let cam = rover.navcam_pinhole();
        let pose = Transform::<Map, BaseLink>::from_xyz_rpy([0.0; 3], 0.0, 0.0, 0.0)
            * rover.base_link_from_navcam();
        let frame = render(&world, &cam, &pose, 30.0);
        let target = pose
            .iso
            .inverse_transform_point(&nalgebra::Point3::new(7.75, 1.0, 0.5));
        let [u, v] = cam.project(target.coords).unwrap();
        let seen = frame.depth_m[v.round() as usize * 640 + u.round() as usize];
        assert!(
            (f64::from(seen) - target.z).abs() < 0.3,
            "{seen} {}",
            target.z
        );
        let flat = World::from_fn(&bare([-5.0, -20.0, 30.0, 20.0]), |_, _| 0.0).unwrap();
        let without = render(&flat, &cam, &pose, 30.0);
        assert!(without.depth_m[v.round() as usize * 640 + u.round() as usize] > seen + 0.2);
        assert_ne!(frame.left, without.left);
    }

    #[test]
    fn holes_and_the_sky_are_not_seen() {
        let world = World::from_fn(&bare([-5.0, -20.0, 30.0, 20.0]), |x, _| {
            if x > 6.0 { f64::NAN } else { 0.0 }
        })
        .unwrap();
        let cam = perseverance().navcam_pinhole();
        let frame = render(&world, &cam, &camera_at(0.0, 0.0, 0.0, 0.0), 30.0);
        assert!(frame.depth_m[320].is_nan() && frame.left[320] == SKY);
        assert!(frame.depth_m.iter().any(|d| d.is_finite()));
        assert!(
            frame
                .depth_m
                .iter()
                .filter(|d| d.is_finite())
                .all(|&d| d < 8.0)
        );
    }
}
