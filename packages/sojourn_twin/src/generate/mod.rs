//! Makes a world: the large shape as an elevation model, what the ground is made of, and the image from orbit.
//!
//! The elevation model and the classes are stored; all that is finer comes from the seed and the place
//! ([`crate::world`]). A world from a real site keeps the site's elevation and gets only what is below its resolution.

mod classes;
pub mod ortho;
mod relief;

pub use relief::Shape;

use crate::{
    TwinError,
    craters::Crater,
    folder::{DOCUMENT_VERSION, WorldDocument, WorldFolder},
    recipe::Recipe,
    rocks::{FULLEST, RockField},
    world::drawn_table,
};
use sojourn_core::{
    CoreError,
    body::Body,
    classes::TerrainClass,
    raster::Raster,
    site::{ELEVATION, Manifest, ORTHO, SITE_SCHEMA_VERSION, Site},
    soil::SoilTable,
};
use std::collections::BTreeMap;

/// Name of the truth layer of class codes.
pub const CLASSES: &str = "classes";

/// Makes a world of a seed: elevation, image and truth. The same arguments give the same bits on any number of threads.
///
/// # Errors
/// [`TwinError::Core`] that names the key of the recipe that is out of range.
pub fn generate(seed: u64, body: &Body, recipe: &Recipe) -> Result<WorldFolder, TwinError> {
    generate_telling(seed, body, recipe, &|_| ())
}

/// As [`generate`]; `tell` is told the share that is done, 0 to 1.
///
/// # Errors
/// As [`generate`].
pub fn generate_telling(
    seed: u64,
    body: &Body,
    recipe: &Recipe,
    tell: &dyn Fn(f64),
) -> Result<WorldFolder, TwinError> {
    let site = terrain(seed, body, recipe)?;
    let craters = relief::craters(seed, recipe);
    finish(seed, site, recipe, &craters, tell)
}

/// Only the elevation model of [`generate`].
///
/// # Errors
/// As [`generate`].
pub fn terrain(seed: u64, body: &Body, recipe: &Recipe) -> Result<Site, TwinError> {
    recipe.check("world")?;
    shaped(
        seed,
        body,
        &Shape::of(recipe),
        &relief::craters(seed, recipe),
    )
}

/// A site of elevation alone: a tilted plane with relief, no craters.
///
/// # Errors
/// [`TwinError::Core`] that names the value out of range.
pub fn plain(seed: u64, body: &Body, shape: &Shape) -> Result<Site, TwinError> {
    shaped(seed, body, shape, &[])
}

fn shaped(seed: u64, body: &Body, shape: &Shape, craters: &[Crater]) -> Result<Site, TwinError> {
    body.check(&body.name)?;
    let elevation = relief::elevation(seed, shape, craters)?;
    let mut site = empty_site(&format!("generated-{seed}"), body);
    site.put(
        ELEVATION,
        elevation,
        "m",
        &format!("generated, seed {seed}"),
    );
    Ok(site)
}

/// Makes a world on a site's elevation; the recipe's size, slope, relief and large craters are not used. The site's own
/// image stays; without one it is rendered.
///
/// # Errors
/// [`TwinError::Core`] for a recipe out of range, or elevation that no ground has: not even a few cells of it, or spikes.
pub fn from_site(seed: u64, site: Site, recipe: &Recipe) -> Result<WorldFolder, TwinError> {
    from_site_telling(seed, site, recipe, &|_| ())
}

/// As [`from_site`]; `tell` is told the share that is done, 0 to 1.
///
/// # Errors
/// As [`from_site`].
pub fn from_site_telling(
    seed: u64,
    mut site: Site,
    recipe: &Recipe,
    tell: &dyn Fn(f64),
) -> Result<WorldFolder, TwinError> {
    let elevation = site.elevation()?;
    let mut recipe = recipe.clone();
    recipe.size_m = elevation.size_m();
    recipe.dtm_resolution_m = elevation.resolution_m();
    relief::check(&site.manifest.name, elevation)?;
    recipe.check("world")?;
    site.manifest.name = format!("{}-world-{seed}", site.manifest.name);
    finish(seed, site, &recipe, &[], tell)
}

/// A site without layers in a plane of its own.
fn empty_site(name: &str, body: &Body) -> Site {
    Site {
        manifest: Manifest {
            schema_version: SITE_SCHEMA_VERSION,
            name: name.into(),
            body: body.clone(),
            crs: "LOCAL".into(),
            map_origin_crs: [0.0, 0.0],
            metres_per_crs_unit: [1.0, 1.0],
            z_datum_m: 0.0,
            layers: BTreeMap::new(),
        },
        layers: BTreeMap::new(),
    }
}

fn finish(
    seed: u64,
    mut site: Site,
    recipe: &Recipe,
    craters: &[Crater],
    tell: &dyn Fn(f64),
) -> Result<WorldFolder, TwinError> {
    let elevation = site.elevation()?;
    let codes = classes::spread(seed, elevation, recipe, craters);
    let rock_weights = rock_weights(&codes, recipe);
    let fine_relief_rms_m = relief::fine_rms_m(elevation);
    let source = format!("generated, seed {seed}");
    date(&mut site, recipe);
    let mut truth = empty_site(
        &format!("{}-truth", site.manifest.name),
        &site.manifest.body,
    );
    truth.manifest.crs.clone_from(&site.manifest.crs);
    truth.manifest.map_origin_crs = site.manifest.map_origin_crs;
    truth.manifest.metres_per_crs_unit = site.manifest.metres_per_crs_unit;
    truth.put(CLASSES, codes, "class code", &source);
    let mut folder = WorldFolder {
        document: WorldDocument {
            schema_version: DOCUMENT_VERSION,
            seed,
            terrain_digest: site.terrain_digest()?,
            recipe: recipe.clone(),
            fine_relief_rms_m,
            rock_weights,
            rocks: None,
        },
        site,
        truth,
        soils: drawn_table(&SoilTable::shipped()?, seed),
    };
    if !folder.site.layers.contains_key(ORTHO) {
        let image = ortho::render_telling(&folder, tell)?;
        folder.site.put(ORTHO, image, "1", &source);
    }
    date(&mut folder.site, recipe);
    date(&mut folder.truth, recipe);
    Ok(folder)
}

/// Gives the layers that have none the recipe's date and expiry.
fn date(site: &mut Site, recipe: &Recipe) {
    for layer in site.manifest.layers.values_mut() {
        if layer.date.is_none() {
            layer.date = Some(recipe.date.clone());
            layer.expiry.clone_from(&recipe.expiry);
        }
    }
}

/// The recipe's weights scaled to a mean of 1 over the ground there is, and drawn towards 1 where so many rocks would
/// find no room.
fn rock_weights(codes: &Raster, recipe: &Recipe) -> BTreeMap<TerrainClass, f64> {
    let given = |class: TerrainClass| recipe.rocks.weights.get(&class).copied().unwrap_or(1.0);
    let mut cells = BTreeMap::new();
    for v in codes.data() {
        if let Some(class) = TerrainClass::from_code(*v as u8) {
            *cells.entry(class).or_insert(0.0) += 1.0;
        }
    }
    let total: f64 = cells.values().sum();
    let mean = cells.iter().map(|(c, n)| n * given(*c)).sum::<f64>() / total.max(1.0);
    if mean <= 0.0 {
        return cells.keys().map(|c| (*c, 1.0)).collect();
    }
    let most = cells.keys().map(|c| given(*c) / mean).fold(1.0, f64::max);
    let r = &recipe.rocks;
    let cover = RockField::new(0, r.cfa, r.min_m, r.max_m).cover();
    let room = if cover > 0.0 {
        FULLEST / cover
    } else {
        f64::INFINITY
    };
    let keep = if most > room {
        ((room - 1.0) / (most - 1.0)).clamp(0.0, 1.0)
    } else {
        1.0
    };
    cells
        .keys()
        .map(|c| (*c, 1.0 + keep * (given(*c) / mean - 1.0)))
        .collect()
}

/// Shares of the classes in a raster of codes.
#[must_use]
pub fn class_shares(codes: &Raster) -> BTreeMap<TerrainClass, f64> {
    let n = codes.data().len() as f64;
    let mut shares = BTreeMap::new();
    for v in codes.data() {
        let class = TerrainClass::from_code(*v as u8).unwrap_or(TerrainClass::Unknown);
        *shares.entry(class).or_insert(0.0) += 1.0 / n;
    }
    shares
}

/// An error for data that cannot be ground.
fn no_ground(name: &str, found: impl ToString, expected: &str) -> TwinError {
    CoreError::value(name, "elevation", found, expected.to_string()).into()
}

#[cfg(test)]
mod tests;
