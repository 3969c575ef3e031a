//! Plans between random places of a raster, and asks a flood fill whether there was a way:
//! `cargo run -p sojourn_site --example pairs -- DTM BODY ROVER PAIRS SEED`. Prints one JSON object.

#[path = "../tests/common/pairs.rs"]
mod pairs;

use sojourn_core::{body::Body, constraints::Constraints, rover::Rover};
use sojourn_site::{ImportRequest, import};
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [dtm, body, rover, count, seed] = args.as_slice() else {
        return Err("expected DTM BODY ROVER PAIRS SEED".into());
    };
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    let rover = Rover::load(&config.join(format!("rovers/{rover}.yaml")))?;
    let constraints = Constraints::load(&config.join("mission.yaml"))?;
    let site = import(&ImportRequest {
        dtm: PathBuf::from(dtm),
        ortho: None,
        body: Body::load(&config.join(format!("bodies/{body}.yaml")))?,
        name: "pairs".into(),
        footprint_m: rover.footprint_radius_m(),
        window: None,
    })?;
    let tally = pairs::run(&site, &rover, &constraints, count.parse()?, seed.parse()?)?;
    println!(
        "{}",
        serde_json::json!({
            "pairs": tally.pairs,
            "with_a_way": tally.with_a_way,
            "planned": tally.planned,
            "searched": tally.searched,
            "seconds_median": tally.seconds_median(),
            "seconds_most": tally.seconds.iter().copied().fold(0.0, f64::max),
            "distance_most_m": tally.distance_most_m,
            "refused": tally.refused,
        })
    );
    Ok(())
}
