//! Sites made of formulas, and the shipped rover and mission.
#![allow(dead_code)]

pub mod brute;
pub mod fake;

use sojourn_core::body::Body;
use sojourn_core::constraints::Constraints;
use sojourn_core::raster::Raster;
use sojourn_core::rover::Rover;
use sojourn_core::site::{ELEVATION, Manifest, SITE_SCHEMA_VERSION, Site};
use sojourn_planner::PlanRequest;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn config() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config")
}

pub fn rover() -> Rover {
    Rover::load(&config().join("rovers/perseverance.yaml")).unwrap()
}

pub fn mission() -> Constraints {
    Constraints::load(&config().join("mission.yaml")).unwrap()
}

pub fn site(cells: usize, res_m: f64, height: impl Fn(f64, f64) -> f64) -> Site {
    let empty = Raster::filled(cells, cells, res_m, [0.0, 0.0], 0.0).unwrap();
    let elevation = empty.like(|c, r| {
        let [x, y] = empty.centre_m(c, r);
        height(x, y) as f32
    });
    let mut site = Site {
        manifest: Manifest {
            schema_version: SITE_SCHEMA_VERSION,
            name: "made".into(),
            body: Body::load(&config().join("bodies/mars.yaml")).unwrap(),
            crs: "LOCAL".into(),
            map_origin_crs: [0.0, 0.0],
            metres_per_crs_unit: [1.0, 1.0],
            z_datum_m: 0.0,
            layers: BTreeMap::new(),
        },
        layers: BTreeMap::new(),
    };
    site.put(ELEVATION, elevation, "m", "formula");
    site
}

/// Hills and hollows; `steep` stretches their height.
pub fn hills(cells: usize, res_m: f64, steep: f64, phase: f64) -> Site {
    site(cells, res_m, |x, y| {
        steep
            * (2.5 * (x / 17.0 + phase).sin() * (y / 13.0 - 2.0 * phase).cos()
                + 1.2 * (x / 6.0 - y / 8.0 + 3.0 * phase).sin())
    })
}

/// Flat ground with a wall of a ridge at x = 100 m, open where y is above `gap_m`.
pub fn wall(gap_m: f64) -> Site {
    site(200, 1.0, |x, y| {
        if y > gap_m {
            0.0
        } else {
            8.0 * (-((x - 100.0) / 4.0).powi(2)).exp()
        }
    })
}

pub fn request(start_m: [f64; 2], goal_m: [f64; 2]) -> PlanRequest {
    PlanRequest {
        name: "test".into(),
        start_m,
        goal_m,
        seed: 7,
        slip: None,
    }
}
