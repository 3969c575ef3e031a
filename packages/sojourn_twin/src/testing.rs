//! What the tests of this crate share.

use crate::{generate::terrain, recipe::Recipe, verify::Setup};
use sojourn_core::{
    body::Body,
    geometry,
    plan::{
        Goal, Mode, ModelStage, PLAN_SCHEMA_VERSION, Plan, Start, Waypoint, WaypointLimits,
        digest_of,
    },
    raster::Raster,
    rover::Rover,
    site::{ELEVATION, Site},
};
use std::path::{Path, PathBuf};

pub fn config(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../config")
        .join(name)
}

pub fn mars() -> Body {
    Body::load(&config("bodies/mars.yaml")).unwrap()
}

pub fn perseverance() -> Rover {
    Rover::load(&config("rovers/perseverance.yaml")).unwrap()
}

/// A recipe of `config/worlds/`.
pub fn recipe(name: &str) -> Recipe {
    Recipe::load(&config(&format!("worlds/{name}.yaml"))).unwrap()
}

/// 90 m × 90 m of elevation, without craters.
pub fn small_site(seed: u64) -> Site {
    let mut recipe = recipe("demo");
    recipe.size_m = [90.0, 90.0];
    recipe.craters.per_km2_over_10m = 0.0;
    terrain(seed, &mars(), &recipe).unwrap()
}

/// A square site of 1 m cells from a function of map metres.
pub fn site_from(cells: usize, height_m: impl Fn(f64, f64) -> f64) -> Site {
    let mut site = small_site(1);
    let r = Raster::filled(cells, cells, 1.0, [0.0, 0.0], 0.0).unwrap();
    let elevation = r.like(|c, row| {
        let [x, y] = r.centre_m(c, row);
        height_m(x, y) as f32
    });
    site.put(ELEVATION, elevation, "m", "test");
    site
}

pub fn setup() -> Setup {
    Setup::load(&config("")).unwrap()
}

/// A plan along a line in segments of at most 10 m, first point the start, looking along the first segment.
pub fn plan_over(site: &Site, rover: &Rover, line: &[[f64; 2]]) -> Plan {
    let mut points = vec![line[0]];
    for w in line.windows(2) {
        let n = (geometry::distance_m(w[0], w[1]) / 10.0 - 1e-9)
            .ceil()
            .max(1.0);
        for k in 1..=n as usize {
            let t = k as f64 / n;
            points.push([
                w[0][0] + t * (w[1][0] - w[0][0]),
                w[0][1] + t * (w[1][1] - w[0][1]),
            ]);
        }
    }
    let yaw_rad = (points[1][1] - points[0][1]).atan2(points[1][0] - points[0][0]);
    let line = points.as_slice();
    let waypoints: Vec<Waypoint> = line
        .windows(2)
        .map(|w| {
            let length_m = geometry::distance_m(w[0], w[1]);
            Waypoint {
                x_m: w[1][0],
                y_m: w[1][1],
                tolerance_m: 1.0,
                mode: Mode::AvoidAll,
                corridor: geometry::corridor(w[0], w[1], 5.0),
                limits: WaypointLimits {
                    tilt_deg: 20.0,
                    slip: 0.5,
                    speed_mps: rover.drive.cruise_mps,
                },
                timeout_s: 300.0 + 4.0 * length_m / rover.drive.cruise_mps,
                risk: 0.0,
                reasons: vec![],
            }
        })
        .collect();
    let (first, last) = (line[0], line[line.len() - 1]);
    Plan {
        schema_version: PLAN_SCHEMA_VERSION,
        name: "test".into(),
        site_digest: site.terrain_digest().unwrap(),
        body: site.manifest.body.clone(),
        rover: rover.name.clone(),
        rover_digest: digest_of("rover", rover).unwrap(),
        constraints_digest: "00".into(),
        seed: 1,
        start: Start {
            x_m: first[0],
            y_m: first[1],
            yaw_rad,
        },
        goal: Goal {
            x_m: last[0],
            y_m: last[1],
            tolerance_m: 1.0,
        },
        waypoints,
        distance_m: geometry::length_m(line),
        features: vec![],
        keep_out: vec![],
        mission: None,
        disputes: None,
        model: ModelStage::none(),
    }
}
