//! Writes the demo's generated site: `cargo run -p sojourn_twin --example make_site -- SEED DIR`.

use sojourn_core::{
    body::Body,
    site::{ELEVATION, ROUGHNESS, SLOPE},
    terrain::slope_roughness,
};
use sojourn_twin::generate::{GenerateParams, generate};
use std::{error::Error, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [seed, dir] = arguments.as_slice() else {
        return Err("expected two arguments: SEED DIR".into());
    };
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    let body = Body::load(&config.join("bodies/mars.yaml"))?;
    let mut site = generate(seed.parse()?, &body, &GenerateParams::demo())?;
    let (slope, roughness) = slope_roughness(site.layer(ELEVATION)?, 1.7);
    site.put(SLOPE, slope, "deg", "derived from elevation");
    site.put(ROUGHNESS, roughness, "m", "derived from elevation");
    site.save(Path::new(dir))?;
    Ok(())
}
