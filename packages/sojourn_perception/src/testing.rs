//! What the tests of several modules are made with.

use crate::{config::Config, map::TerrainGrid};
use sojourn_core::{Stamp, params::load_node_params, raster::Raster, rover::Rover};
use std::path::Path;

/// Perseverance's, with the shipped parameters.
pub(crate) fn config() -> Config {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    let rover = Rover::load(&files.join("rovers/perseverance.yaml")).unwrap();
    let params = load_node_params(&files.join("perception.param.yaml"), "perception").unwrap();
    Config::new(params, &rover).unwrap()
}

/// A wholly seen grid of 10 cm cells around the origin, `half_m` to each side, of these heights over x and y.
pub(crate) fn grid(half_m: f64, height_m: impl Fn(f64, f64) -> f64) -> TerrainGrid {
    let n = (2.0 * half_m / 0.1).round() as usize;
    let blank = Raster::filled(n, n, 0.1, [-half_m, -half_m], 0.0).unwrap();
    let layer = |v: f32| blank.like(|_, _| v);
    let elevation = blank.like(|c, r| {
        let [x, y] = blank.centre_m(c, r);
        height_m(x, y) as f32
    });
    TerrainGrid {
        stamp: Stamp(1),
        low: elevation.clone(),
        high: elevation.clone(),
        elevation,
        variance: layer(1e-4),
        count: layer(5.0),
        age: layer(0.0),
    }
}
