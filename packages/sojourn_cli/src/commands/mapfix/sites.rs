//! Ground with a map of it, and places on it from which a rover sees the ground.

use crate::{ground, launch::places::Places};
use anyhow::Context;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sojourn_core::{
    body::Body,
    raster::Raster,
    rover::Rover,
    site::{ELEVATION, ORTHO, Site},
};
use sojourn_localization::mapfix::{Common, LocalPatch, LocalPoint, PatchBuilder, tie};
use sojourn_sweep::orbit;
use sojourn_twin::{
    folder::{View, WorldFolder},
    generate,
    panorama::Panorama,
    recipe::Recipe,
};
use std::path::Path;

/// How far the rover sees on generated worlds, metres: what a drive's pairs show well.
const RANGE_M: f64 = 18.0;
/// How far a commanded panorama reaches, metres: on rasters, as far as they are large enough.
const PANORAMA_M: f64 = 30.0;
/// The patch reaches this far beyond what was seen, for the census windows do, metres.
const BEYOND_M: f64 = 4.0;
/// Places lie this far from the land's border and from the end of what is seen, metres.
const EDGE_M: f64 = 6.0;
/// The truth lies within this of the prior, metres and degrees.
pub const OFFSET_M: f64 = 50.0;
/// See [`OFFSET_M`].
pub const OFFSET_DEG: f64 = 4.0;
/// Half a side of the square in which ground and image are tied, metres: more than the matcher takes.
const TIE_M: f64 = 80.0;
/// Ground and a map of it.
pub struct Land {
    /// Kind of terrain, or the file's name.
    pub name: String,
    /// The truth.
    pub folder: WorldFolder,
    /// The map's image.
    pub ortho: Raster,
    /// The map's elevation.
    pub elevation: Raster,
    /// Direction to the map's sun and its height, radians, when known.
    pub map_sun_rad: Option<[f64; 2]>,
    /// The ground's own elevation, where nobody knows how the image lies to it: the truth is brought to the image's frame by
    /// what both show alike.
    untied: Option<Raster>,
    /// How far the rover sees, metres.
    range_m: f64,
}

/// A generated world with an image from orbit under a sun of its own.
///
/// # Errors
/// One sentence.
pub fn synthetic(places: &Places, kind: &str, seed: u64) -> anyhow::Result<Land> {
    let body = ground::body(places, "mars")?;
    let mut recipe = Recipe::load(&ground::named_file(places, "worlds", kind)?)?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x6d61_7066);
    recipe.image.sun_azimuth_deg = rng.random_range(0.0..360.0);
    recipe.image.sun_elevation_deg = rng.random_range(20.0..80.0);
    let sun = [recipe.image.sun_azimuth_deg, recipe.image.sun_elevation_deg].map(f64::to_radians);
    let folder = generate::generate(seed, &body, &recipe)?;
    let ortho = orbit::misregistered(folder.site.layer(ORTHO)?, seed);
    let elevation = orbit::erring(folder.site.elevation()?, seed);
    Ok(Land {
        name: kind.into(),
        folder,
        ortho,
        elevation,
        map_sun_rad: Some(sun),
        untied: None,
        range_m: RANGE_M,
    })
}

/// The map is an elevation model and its image as they are. The ground is the elevation model with errors as such models have
/// them (what a map knows of the ground is never the ground itself) and new relief, rocks and tone below its resolution.
///
/// # Errors
/// One sentence that names the file.
pub fn of_rasters(
    places: &Places,
    dtm: &Path,
    ortho: &Path,
    rover: &Rover,
    seed: u64,
) -> anyhow::Result<Land> {
    let body = ground::body_for(places, None, dtm)?;
    let mut site = ground::import(dtm, Some(ortho), body, rover)?;
    let image = site.layer(ORTHO)?.clone();
    let elevation = site.elevation()?.clone();
    let name = site.manifest.name.clone();
    let shorter_m = elevation.size_m().into_iter().fold(f64::INFINITY, f64::min);
    let range_m = (0.5 * shorter_m - EDGE_M - 10.0).clamp(RANGE_M, PANORAMA_M);
    site.put(
        ELEVATION,
        orbit::erring(&elevation, seed),
        "m",
        "elevation model with errors of its own",
    );
    let folder = generate::from_site(
        seed,
        site,
        &below_the_data(places, elevation.resolution_m())?,
    )?;
    Ok(Land {
        name,
        folder,
        ortho: image,
        untied: Some(elevation.clone()),
        elevation,
        map_sun_rad: None,
        range_m,
    })
}

/// A recipe of one kind of ground, with rocks and small craters no larger than an elevation model's cells.
fn below_the_data(places: &Places, resolution_m: f64) -> anyhow::Result<Recipe> {
    let mut recipe = Recipe::load(&ground::named_file(places, "worlds", "firm")?)?;
    recipe.cover.shares.clear();
    recipe.rocks.weights.clear();
    recipe.rocks.cfa = 0.03;
    recipe.rocks.max_m = resolution_m.clamp(0.3, 1.0);
    recipe.craters.per_km2_over_10m = 0.0;
    Ok(recipe)
}

/// A map of another place: an elevation model, lit by a sun of its own.
///
/// # Errors
/// One sentence that names the file.
pub fn wrong_map(dtm: &Path, body: Body, rover: &Rover, seed: u64) -> anyhow::Result<[Raster; 2]> {
    let site: Site = ground::import(dtm, None, body, rover)?;
    let elevation = site.layer(ELEVATION)?.clone();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let sun = [
        rng.random_range(0.0..std::f64::consts::TAU),
        rng.random_range(30f64..60.0).to_radians(),
    ];
    Ok([shaded(&elevation, sun), elevation])
}

/// An elevation model as Lambert's law shows it.
fn shaded(elevation: &Raster, sun_rad: [f64; 2]) -> Raster {
    let cell = elevation.resolution_m();
    elevation.like(|c, r| {
        let z = |c: usize, r: usize| f64::from(elevation.get(c, r));
        let gx = (z(c + 1, r) - z(c.saturating_sub(1), r)) / (2.0 * cell);
        let gy = (z(c, r + 1) - z(c, r.saturating_sub(1))) / (2.0 * cell);
        let towards = gx * sun_rad[0].cos() + gy * sun_rad[0].sin();
        let light = sun_rad[1].sin() - sun_rad[1].cos() * towards;
        (light / (1.0 + gx * gx + gy * gy).sqrt()).max(0.0) as f32
    })
}

/// A place, what the rover believes, and what it sees.
#[derive(Clone)]
pub struct Stop {
    /// Where it is, metres, in the frame of the ground.
    pub truth_m: [f64; 2],
    /// The same in the frame of the map's image: what a fix is held against.
    pub on_image_m: [f64; 2],
    /// What image and ground have in common there, where nobody knows how they lie to one another.
    pub common: Option<Common>,
    /// Where it believes it is.
    pub prior_m: [f64; 2],
    /// What is to be added to its heading, radians.
    pub yaw_error_rad: f64,
    /// The sun it sees by: direction and height, radians.
    pub sun_rad: [f64; 2],
    /// What it sees.
    pub patch: LocalPatch,
}

impl Land {
    /// Puts the map's elevation model beside its image by so many metres east and north; the ground stays.
    pub fn shift_relief(&mut self, by_m: [f64; 2]) {
        if by_m == [0.0; 2] {
            return;
        }
        let elevation = &self.elevation;
        self.elevation = elevation.like(|c, r| {
            let [x, y] = elevation.centre_m(c, r);
            let z = elevation.sample(x - by_m[0], y - by_m[1]);
            z.unwrap_or(f64::NAN) as f32
        });
    }

    /// Draws a place and looks around. The same seed gives the same stop.
    ///
    /// # Errors
    /// When the land is too small.
    pub fn stop(&self, rover: &Rover, seed: u64) -> anyhow::Result<Stop> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (around_m, truth_m) = self.place(&mut rng)?;
        let yaw_error_rad = rng.random_range(-OFFSET_DEG..OFFSET_DEG).to_radians();
        let sun_rad = [
            rng.random_range(0.0..std::f64::consts::TAU),
            rng.random_range(20f64..80.0).to_radians(),
        ];
        let patch = self.look(rover, truth_m, yaw_error_rad, sun_rad, seed)?;
        let common = self
            .untied
            .as_ref()
            .map(|ground| tie(&self.ortho, ground, truth_m, TIE_M));
        let shift_m = common.and_then(|c| c.tie).map_or([0.0; 2], |t| t.shift_m);
        let on_image = |p: [f64; 2]| [0, 1].map(|k: usize| p[k] - shift_m[k]);
        Ok(Stop {
            truth_m,
            on_image_m: on_image(truth_m),
            common,
            prior_m: on_image(around_m),
            yaw_error_rad,
            sun_rad,
            patch,
        })
    }

    /// A prior whose search lies on the map, as far as the map is large enough, and a truth within it with ground and image
    /// all around.
    fn place(&self, rng: &mut ChaCha8Rng) -> anyhow::Result<([f64; 2], [f64; 2])> {
        let edge = self.range_m + EDGE_M;
        let size = self.elevation.size_m();
        anyhow::ensure!(
            size.iter().all(|s| *s > 2.0 * edge + 20.0),
            "{}: the elevation model is {:.0} m x {:.0} m, expected at least {:.0} m along each side",
            self.name,
            size[0],
            size[1],
            2.0 * edge + 20.0
        );
        for _ in 0..2000 {
            let prior = size.map(|s| {
                let from_edge = (OFFSET_M + self.range_m + BEYOND_M).min(0.5 * s - 5.0);
                rng.random_range(from_edge..s - from_edge)
            });
            let at = prior.map(|p| p + rng.random_range(-OFFSET_M..OFFSET_M));
            let ring = (0..16).map(|k| {
                let a = f64::from(k) * std::f64::consts::TAU / 16.0;
                [
                    at[0] + self.range_m * a.cos(),
                    at[1] + self.range_m * a.sin(),
                ]
            });
            let known = |p: [f64; 2]| {
                self.ortho.sample(p[0], p[1]).is_some_and(|v| v > 0.0)
                    && self.elevation.sample(p[0], p[1]).is_some()
            };
            let inside = [0, 1]
                .iter()
                .all(|a| at[*a] > edge && at[*a] < size[*a] - edge);
            if inside && ring.chain([at]).all(known) {
                return Ok((prior, at));
            }
        }
        anyhow::bail!(
            "{}: no place with image and elevation for {:.0} m around",
            self.name,
            self.range_m
        )
    }

    /// The panorama from a place as a patch, in the axes of a rover whose heading is off by `-yaw_error_rad`.
    fn look(
        &self,
        rover: &Rover,
        at: [f64; 2],
        yaw_error_rad: f64,
        sun_rad: [f64; 2],
        seed: u64,
    ) -> anyhow::Result<LocalPatch> {
        let m = self.range_m + 5.0;
        let world = self
            .folder
            .world(&View {
                region_m: [at[0] - m, at[1] - m, at[0] + m, at[1] + m],
                node_m: Some(0.05),
                clear_m: vec![[at[0], at[1], 1.2]],
                sun_rad: Some(sun_rad),
            })
            .context("the ground around a stop")?;
        let seen = Panorama::of(&rover.navcam, self.range_m).take(&world, at, sun_rad, seed);
        let (sin, cos) = yaw_error_rad.sin_cos();
        let points: Vec<LocalPoint> = seen
            .iter()
            .map(|s| {
                let [x, y, z] = s.from_rover_m;
                LocalPoint {
                    x_m: (cos * x + sin * y) as f32,
                    y_m: (cos * y - sin * x) as f32,
                    z_m: z as f32,
                    brightness: s.brightness as f32,
                    range_sigma_m: s.range_sigma_m as f32,
                }
            })
            .collect();
        let mut builder = PatchBuilder::new(self.range_m + BEYOND_M)?;
        builder.add(&points);
        Ok(builder.finish())
    }
}
