//! What a camera pair sees of a world: images, depth and classes, exact on the bilinear ground that the wheels stand on,
//! and the same bits for any number of threads.
//!
//! Rays go in bundles ([`caster`]) over a dense patch of ground ([`scene`]); light is sun (with cast shadows) and sky on
//! ground with grain ([`texture`]); the detector adds exposure and noise ([`sensor`]). The cameras may be of any model
//! ([`rig`]). [`plain`] is the same caster ray by ray, the oracle that tests compare with.

pub mod caster;
mod lanes;
pub mod marks;
pub mod plain;
pub mod rig;
pub mod scene;
pub mod sensor;
pub mod texture;

#[cfg(test)]
mod tests;

use crate::{noise, world::World};
use caster::{BLOCK, Caster, RayIn};
use lanes::{Lanes, Lighting};
use marks::Marks;
use nalgebra::{Isometry3, Vector3};
use rayon::prelude::*;
use rig::Rays;
pub use rig::StereoRig;
pub use scene::{ROCK, Scene, Sun};
pub use sensor::SensorParams;
use sojourn_core::classes::TerrainClass;
use std::sync::atomic::{AtomicBool, Ordering};
use texture::Texture;

/// What a stereo pair shows; row 0 is the top row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frame {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Depth along the left camera's optical axis, metres; not-a-number where no ground is in range.
    pub depth_m: Vec<f32>,
    /// Truth: class code of what the left camera's pixels see, with [`ROCK`] set on rocks; the code of
    /// [`TerrainClass::ShadowOrNoData`] where there is no ground.
    pub class: Vec<u8>,
    /// Left image, 0 to 255.
    pub left: Vec<u8>,
    /// Right image, 0 to 255; empty when it was not asked for.
    pub right: Vec<u8>,
    /// Truth: depth along the right camera's optical axis, metres; empty when it was not asked for.
    pub right_depth_m: Vec<f32>,
}

/// Noise of stereo depth: `sigma_Z = Z² · sigma_d / (f · B)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DepthNoise {
    /// Seed of the run.
    pub seed: u64,
    /// Number of the image.
    pub frame: u64,
    /// `sigma_d / (f · B)`, 1/m.
    pub per_m: f64,
}

/// What is wanted of one image pair.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shot {
    /// Where the sun stands.
    pub sun: Sun,
    /// Seed of the detector's noise.
    pub seed: u64,
    /// Number of the pair in its run.
    pub number: u64,
    /// Whether the right image is made.
    pub right: bool,
    /// Noise of the depth; `None` for the truth.
    pub depth_noise: Option<DepthNoise>,
}

/// Takes images of one world with one pair of cameras. It keeps the ground around the last place.
#[derive(Debug)]
pub struct Renderer {
    rig: StereoRig,
    rays: [Rays; 2],
    sensor: SensorParams,
    range_m: f64,
    texture: Texture,
    marks: Option<Marks>,
    scene: Option<Scene>,
}

/// The scene's middle moves in steps of this, metres: it depends on the place alone, not on the way there.
const STEP_M: f64 = 8.0;
/// Brightness of the sky at the horizon, in units of white ground under the sun.
const SKY: f32 = 0.30;

impl Renderer {
    /// A pair of cameras that see ground up to the depth `range_m`. `seed` chooses the grain of the ground.
    #[must_use]
    pub fn new(rig: StereoRig, sensor: SensorParams, range_m: f64, seed: u64) -> Self {
        Self {
            rays: [Rays::new(&rig.left), Rays::new(&rig.right)],
            rig,
            sensor,
            range_m,
            texture: Texture::new(seed),
            marks: None,
            scene: None,
        }
    }

    /// Paints marks on the ground of all further views, or none.
    pub fn set_marks(&mut self, marks: Option<Marks>) {
        self.marks = marks;
    }

    /// The cameras.
    #[must_use]
    pub fn rig(&self) -> &StereoRig {
        &self.rig
    }

    /// Takes a pair of images from where the left optical frame stands in `map`.
    pub fn shoot(&mut self, world: &World, map_from_left: &Isometry3<f64>, shot: &Shot) -> Frame {
        let eye = map_from_left.translation.vector;
        let scene = self.scene_around(world, eye, shot.sun);
        let this = &*self;
        let eyes = [
            (&this.rays[0], *map_from_left),
            (&this.rays[1], map_from_left * this.rig.left_from_right),
        ];
        let wanted = if shot.right { 2 } else { 1 };
        let seen: Vec<AtomicBool> = (0..scene.light_blocks())
            .map(|_| AtomicBool::new(false))
            .collect();
        let depths: Vec<Vec<f32>> = eyes[..wanted]
            .iter()
            .map(|(rays, pose)| this.depths(&scene, rays, pose, &seen))
            .collect();
        // Shadows only where a pixel looks.
        seen.into_par_iter().enumerate().for_each(|(block, seen)| {
            if seen.into_inner() {
                scene.light_up(block);
            }
        });
        let mut class = Vec::new();
        let light: Vec<Vec<f32>> = eyes[..wanted]
            .iter()
            .zip(&depths)
            .map(|((rays, pose), depth)| {
                let (light, seen) = this.light(&scene, rays, pose, depth);
                if class.is_empty() {
                    class = seen;
                }
                light
            })
            .collect();
        // Both eyes are exposed alike, as the left one asks.
        let exposure = this.sensor.exposure(&light[0]);
        let mut images = light.iter().enumerate().map(|(eye, light)| {
            let rays = eyes[eye].0;
            let mut image = vec![0u8; light.len()];
            image
                .par_chunks_mut(rays.width)
                .zip(light.par_chunks(rays.width))
                .enumerate()
                .for_each(|(v, (out, light))| {
                    let channel = 0x60 + 2 * shot.number + eye as u64;
                    this.sensor
                        .read(exposure, shot.seed, channel, v, light, out);
                });
            image
        });
        let left = images.next().unwrap_or_default();
        let right = images.next().unwrap_or_default();
        drop(images);
        let mut depths = depths.into_iter();
        let mut depth_m = depths.next().unwrap_or_default();
        let (width, height) = (eyes[0].0.width, eyes[0].0.height);
        if let Some(noise) = shot.depth_noise {
            blur_depth(&mut depth_m, width, &noise);
        }
        self.scene = Some(scene);
        Frame {
            width,
            height,
            depth_m,
            class,
            left,
            right,
            right_depth_m: depths.next().unwrap_or_default(),
        }
    }

    /// The ground that the cameras may see from a place: a patch that depends on the place alone.
    fn scene_around(&mut self, world: &World, eye: Vector3<f64>, sun: Sun) -> Scene {
        let longest = self.rays[0].longest.max(self.rays[1].longest);
        let apart = self.rig.left_from_right.translation.vector.norm();
        let reach = self.range_m * longest + scene::SHADOW_M + apart + STEP_M;
        let anchor = [eye.x, eye.y].map(|v| (v / STEP_M).round() * STEP_M);
        let z0 = (eye.z / 64.0).round() * 64.0;
        let bbox = [
            anchor[0] - reach,
            anchor[1] - reach,
            anchor[0] + reach,
            anchor[1] + reach,
        ];
        if let Some(mut scene) = self.scene.take()
            && scene.asked_for() == (bbox, z0)
        {
            scene.set_sun(sun);
            return scene;
        }
        Scene::new(world, bbox, z0, sun)
    }

    fn caster<'a>(&self, scene: &'a Scene, rays: &Rays, pose: &Isometry3<f64>) -> Caster<'a> {
        let eye = pose.translation.vector;
        Caster::new(scene, [eye.x, eye.y, eye.z], self.range_m, rays.pad_m)
    }

    /// Depths of all pixels, block by block; each depends on its own block alone. The blocks of light that they look at
    /// are marked in `seen`.
    fn depths(
        &self,
        scene: &Scene,
        rays: &Rays,
        pose: &Isometry3<f64>,
        seen: &[AtomicBool],
    ) -> Vec<f32> {
        let caster = self.caster(scene, rays, pose);
        let turned = Turned::new(rays, pose, scene.res_m);
        let (width, height) = (rays.width, rays.height);
        let mut out = vec![f32::NAN; width * height];
        out.par_chunks_mut(width * BLOCK)
            .enumerate()
            .for_each(|(strip, out)| {
                let mut block = [RayIn::NONE; BLOCK * BLOCK];
                let mut depths = [f32::NAN; BLOCK * BLOCK];
                let rows = out.len() / width;
                for u0 in (0..width).step_by(BLOCK) {
                    let cols = BLOCK.min(width - u0);
                    for (k, ray) in block.iter_mut().enumerate() {
                        let (u, v) = (k % BLOCK, k / BLOCK);
                        *ray = if u < cols && v < rows {
                            turned.ray((strip * BLOCK + v) * width + u0 + u)
                        } else {
                            RayIn::NONE
                        };
                    }
                    depths.fill(f32::NAN);
                    caster.block(&block, &mut depths);
                    for (ray, depth) in block.iter().zip(&depths) {
                        if depth.is_finite() {
                            let [x, y, _] = caster.at(ray, f64::from(*depth));
                            let (i, j, _, _) = cell_of(scene, x, y);
                            let flag = &seen[scene.light_block(i, j)];
                            // Mostly it is set: reading is cheaper than writing what all cores share.
                            if !flag.load(Ordering::Relaxed) {
                                flag.store(true, Ordering::Relaxed);
                            }
                        }
                    }
                    for v in 0..rows {
                        out[v * width + u0..v * width + u0 + cols]
                            .copy_from_slice(&depths[v * BLOCK..v * BLOCK + cols]);
                    }
                }
            });
        out
    }

    /// Light of all pixels, in units of white ground that faces the sun, and what they see.
    fn light(
        &self,
        scene: &Scene,
        rays: &Rays,
        pose: &Isometry3<f64>,
        depth: &[f32],
    ) -> (Vec<f32>, Vec<u8>) {
        let caster = self.caster(scene, rays, pose);
        let turned = Turned::new(rays, pose, scene.res_m);
        let sun = scene.sun().direction().map(|v| v as f32);
        let light_of = Lighting {
            texture: &self.texture,
            marks: self.marks.as_ref(),
            sun,
            skylight: self.sensor.skylight as f32,
        };
        let width = rays.width;
        let mut light = vec![f32::NAN; depth.len()];
        let mut class = vec![TerrainClass::ShadowOrNoData.code(); depth.len()];
        light
            .par_chunks_mut(width)
            .zip(class.par_chunks_mut(width))
            .enumerate()
            .for_each(|(v, (light, class))| {
                let mut lanes = Lanes::default();
                for u in 0..width {
                    let k = v * width + u;
                    let ray = turned.ray(k);
                    if !ray.valid {
                        continue;
                    }
                    let per_m = scene.res_m;
                    let direction = [ray.dx * per_m, ray.dy * per_m, ray.dz].map(|d| d as f32);
                    if depth[k].is_finite() {
                        let place = caster.at(&ray, f64::from(depth[k]));
                        let pixel_m = depth[k] * rays.pixel_rad as f32;
                        class[u] = lanes.add(scene, u, place, direction, pixel_m);
                        if lanes.full() {
                            lanes.shine(&light_of, light);
                        }
                    } else {
                        light[u] = sky(direction, sun);
                    }
                }
                lanes.shine(&light_of, light);
            });
        (light, class)
    }
}

impl RayIn {
    const NONE: Self = Self {
        dx: 0.0,
        dy: 0.0,
        dz: 0.0,
        start: [0.0; 3],
        valid: false,
    };
}

/// Rays of a camera at a pose.
struct Turned<'a> {
    rays: &'a Rays,
    /// Optical axes in `map`; the horizontal rows in cells per metre.
    rows: [[f64; 3]; 3],
}

impl<'a> Turned<'a> {
    fn new(rays: &'a Rays, pose: &Isometry3<f64>, res_m: f64) -> Self {
        let r = pose.rotation.to_rotation_matrix();
        let r = r.matrix();
        let row = |i: usize, k: f64| [r[(i, 0)] * k, r[(i, 1)] * k, r[(i, 2)] * k];
        let per_m = 1.0 / res_m;
        Self {
            rays,
            rows: [row(0, per_m), row(1, per_m), row(2, 1.0)],
        }
    }

    #[inline]
    fn ray(&self, k: usize) -> RayIn {
        let d = self.rays.direction[k].map(f64::from);
        let turn = |d: [f64; 3]| self.rows.map(|r| r[0] * d[0] + r[1] * d[1] + r[2] * d[2]);
        let [dx, dy, dz] = turn(d);
        let start = match self.rays.start.get(k) {
            Some(s) => turn(s.map(f64::from)),
            None => [0.0; 3],
        };
        RayIn {
            dx,
            dy,
            dz,
            start,
            valid: !d[0].is_nan(),
        }
    }
}

/// The cell of a place and the place in it; places on the outer border belong to the last cell.
#[inline]
fn cell_of(scene: &Scene, x: f64, y: f64) -> (usize, usize, f32, f32) {
    let cell = |v: f64, n: usize| {
        let i = (v.max(0.0) as usize).min(n - 1);
        (i, (v - i as f64).clamp(0.0, 1.0) as f32)
    };
    let ((i, u), (j, v)) = (cell(x, scene.cells[0]), cell(y, scene.cells[1]));
    (i, j, u, v)
}

/// Light of the sky: bright at the horizon, brightest around the sun.
#[inline]
fn sky(direction: [f32; 3], sun: [f32; 3]) -> f32 {
    let d = unit(direction);
    let up = d[2].max(0.0);
    let near_sun = dot(d, sun).max(0.0);
    SKY * (1.0 - 0.35 * up.sqrt() + 0.5 * near_sun.powi(16))
}

fn blur_depth(depth_m: &mut [f32], width: usize, n: &DepthNoise) {
    depth_m
        .par_chunks_mut(width)
        .enumerate()
        .for_each(|(v, row)| {
            for (u, depth) in row.iter_mut().enumerate() {
                let h = noise::hash(n.seed, n.frame, u as i64, v as i64);
                let z = f64::from(*depth);
                *depth = (z + z * z * n.per_m * noise::near_gauss(h)) as f32;
            }
        });
}

#[inline]
fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

#[inline]
fn norm(a: [f32; 3]) -> f32 {
    dot(a, a).sqrt()
}

#[inline]
fn unit(a: [f32; 3]) -> [f32; 3] {
    let k = 1.0 / norm(a).max(1e-20);
    [a[0] * k, a[1] * k, a[2] * k]
}
