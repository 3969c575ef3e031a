//! Classes that take image, depth and terrain grid together: float rocks, veins, nodules.
//!
//! A float rock is what a rock of the grid ([`crate::rocks`]) covers of the image, by the depth of its pixels. Veins are bright
//! ridges and fields of nodules many dark round spots close together ([`veins`], [`nodules`]), of sizes in metres by the
//! depth: candidates by filters, and of these what a logistic rule takes ([`Rules`], `sojourn train small`). Learnt and
//! measured on rendered ground only (`sojourn eval perception --small`).

mod filter;
mod nodules;
mod rule;
mod veins;

pub use rule::{NUMBERS, Rule, Rules};

use crate::{classes::GreyImage, rocks::Rock, surface::View};
use filter::{Levels, Tone};
use nalgebra::{Point3, Vector3};
use sojourn_core::classes::SurfaceClass;

/// Farthest ground that is looked at, metres: beyond, a vein is thinner than a pixel.
pub const FARTHEST_M: f64 = 5.0;
/// Farthest float rock, metres: up to there the grid's rocks are measured.
pub const FARTHEST_ROCK_M: f64 = 6.0;
/// How far a rock's pixels may lie beside the cells that the grid gives it, metres: half a cell.
const BESIDE_M: f64 = 0.05;
/// Height over the ground from which a pixel belongs to a rock, metres.
const FOOT_M: f64 = 0.03;
/// Fewest pixels of a float rock.
const LEAST_PX: usize = 20;

/// Something small that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Small {
    /// One of [`SurfaceClass::SMALL`].
    pub class: SurfaceClass,
    /// Its pixels, row by row from the top.
    pub pixels: Vec<usize>,
    /// Its middle in `odom`, metres.
    pub position_m: [f64; 3],
    /// Length of a vein, diameter of a rock or of a field of nodules, metres.
    pub size_m: f64,
}

/// What may be a vein or a field of nodules.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// What it may be.
    pub class: SurfaceClass,
    /// Its pixels, row by row from the top.
    pub pixels: Vec<usize>,
    /// Its middle in `odom`, metres.
    pub position_m: [f64; 3],
    /// Length of a vein, diameter of a field, metres.
    pub size_m: f64,
    /// What the rule decides by.
    pub numbers: [f64; NUMBERS],
}

/// Finds float rocks, veins and fields of nodules in the image of a view; `rocks` are those of the grid that holds it. An
/// image of another size than the view's holds none.
#[must_use]
pub fn find(image: &GreyImage<'_>, view: &View, rocks: &[Rock], rules: &Rules) -> Vec<Small> {
    let (mut found, candidates) = look(image, view, rocks);
    let taken = candidates.into_iter().filter(|c| match c.class {
        SurfaceClass::Vein => rules.vein.takes(&c.numbers),
        _ => rules.nodule.takes(&c.numbers),
    });
    found.extend(taken.map(|c| Small {
        class: c.class,
        pixels: c.pixels,
        position_m: c.position_m,
        size_m: c.size_m,
    }));
    found
}

/// The float rocks of a view, and what may be veins and fields of nodules.
#[must_use]
pub fn look(image: &GreyImage<'_>, view: &View, rocks: &[Rock]) -> (Vec<Small>, Vec<Candidate>) {
    let size = [view.image.width, view.image.height];
    let fits = [image.width, image.height] == size
        && image.data.len() == size[0] * size[1]
        && view.image.depth_m.len() == size[0] * size[1];
    if !fits || size.iter().any(|s| *s < 16) {
        return (Vec::new(), Vec::new());
    }
    let ground = Ground { view };
    let found = float_rocks(&ground, rocks);
    let mut free = vec![true; size[0] * size[1]];
    for pixel in found.iter().flat_map(|f| &f.pixels) {
        free[*pixel] = false;
    }
    let usable: Vec<bool> = (0..size[0] * size[1])
        .map(|i| free[i] && ground.depth_m(i).is_some_and(|z| z <= FARTHEST_M))
        .collect();
    let levels = Levels::of(image, &usable);
    let tone = Tone::of(image, &usable);
    let mut candidates = veins::candidates(&levels, &tone, &ground, &usable);
    candidates.extend(nodules::candidates(&levels, &tone, &ground, &usable));
    (found, candidates)
}

/// Where the pixels of a view lie.
struct Ground<'a> {
    view: &'a View,
}

impl Ground<'_> {
    fn width(&self) -> usize {
        self.view.image.width
    }

    /// Depth of a pixel, metres.
    fn depth_m(&self, pixel: usize) -> Option<f64> {
        let z = f64::from(*self.view.image.depth_m.get(pixel)?);
        (z.is_finite() && z > 0.0).then_some(z)
    }

    /// Place of a pixel in `odom`, metres.
    fn place(&self, pixel: usize) -> Option<Vector3<f64>> {
        let z = self.depth_m(pixel)?;
        let (u, v) = (pixel % self.width(), pixel / self.width());
        let at = Point3::from(self.view.camera.ray(u as f64, v as f64) * z);
        Some((self.view.odom_from_camera * at).coords)
    }

    /// Metres that a pixel is wide, across the view.
    fn pixel_m(&self, pixel: usize) -> Option<f64> {
        Some(self.depth_m(pixel)? / self.view.camera.fx)
    }

    fn middle(&self, pixels: &[usize]) -> Option<[f64; 3]> {
        let places: Vec<_> = pixels.iter().filter_map(|p| self.place(*p)).collect();
        let sum: Vector3<f64> = places.iter().sum();
        (!places.is_empty()).then(|| (sum / places.len() as f64).into())
    }
}

fn float_rocks(ground: &Ground<'_>, rocks: &[Rock]) -> Vec<Small> {
    let eye = ground.view.odom_from_camera.translation.vector;
    let near: Vec<&Rock> = rocks
        .iter()
        .filter(|r| (r.x_m - eye.x).hypot(r.y_m - eye.y) <= FARTHEST_ROCK_M)
        .collect();
    let mut pixels = vec![Vec::new(); near.len()];
    for i in 0..ground.view.image.depth_m.len() {
        let Some(at) = ground.place(i) else {
            continue;
        };
        let beyond = |r: &Rock| (r.x_m - at.x).hypot(r.y_m - at.y) - 0.5 * r.diameter_m - BESIDE_M;
        let of = near
            .iter()
            .enumerate()
            .filter(|(_, r)| beyond(r) <= 0.0 && at.z >= r.ground_m + FOOT_M)
            .min_by(|a, b| beyond(a.1).total_cmp(&beyond(b.1)));
        if let Some((k, _)) = of {
            pixels[k].push(i);
        }
    }
    near.iter()
        .zip(pixels)
        .filter(|(_, p)| p.len() >= LEAST_PX)
        .map(|(r, pixels)| Small {
            class: SurfaceClass::FloatRock,
            pixels,
            position_m: [r.x_m, r.y_m, r.ground_m + 0.5 * r.height_m],
            size_m: r.diameter_m.max(r.height_m),
        })
        .collect()
}

#[cfg(test)]
mod tests;
