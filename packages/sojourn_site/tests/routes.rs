//! Routes over real ground, which is no part of this repository: skipped with a word when it is not at hand.

#![allow(clippy::unwrap_used)]

#[path = "common/pairs.rs"]
mod pairs;

use sojourn_core::body::Body;
use sojourn_core::constraints::Constraints;
use sojourn_core::rover::Rover;
use sojourn_planner::{PlanError, PlanOutcome, PlanRequest, plan, validate};
use sojourn_site::{ImportRequest, import};
use std::path::{Path, PathBuf};

fn real(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("SOJOURN_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let file = root.join(path);
    if !file.exists() {
        eprintln!("skipped: {} is not here (set SOJOURN_DATA)", file.display());
        return None;
    }
    Some(file)
}

struct Case {
    dtm: &'static str,
    ortho: Option<&'static str>,
    body: &'static str,
    rover: &'static str,
    mission: &'static str,
}

/// Plans and validates; `None` when the data are not at hand.
fn route(case: &Case, start: [f64; 2], goal: [f64; 2]) -> Option<Result<PlanOutcome, PlanError>> {
    let dtm = real(case.dtm)?;
    let ortho = match case.ortho {
        Some(path) => Some(real(path)?),
        None => None,
    };
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    let rover = Rover::load(&config.join(format!("rovers/{}.yaml", case.rover))).unwrap();
    let mission = Constraints::load(&config.join(case.mission)).unwrap();
    let site = import(&ImportRequest {
        dtm,
        ortho,
        body: Body::load(&config.join(format!("bodies/{}.yaml", case.body))).unwrap(),
        name: "real".into(),
        footprint_m: rover.footprint_radius_m(),
        window: None,
    })
    .unwrap();
    let request = PlanRequest {
        name: "real".into(),
        start_m: start,
        goal_m: goal,
        seed: 1,
        slip: None,
    };
    let result = plan(&request, &site, &rover, &mission, None);
    if let Ok(made) = &result {
        let wrong = validate(&made.plan, &site, &rover, &mission).unwrap();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
    Some(result)
}

const JEZERO: Case = Case {
    dtm: "hirise_dtm_crops/jezero_neretva_neretva_center_2m.tif",
    ortho: None,
    body: "mars",
    rover: "perseverance",
    mission: "mission.yaml",
};
const GALE: Case = Case {
    dtm: "gale_hirise_mmgis/gale_hirise_dtm_1m.tif",
    ortho: Some("gale_hirise_mmgis/gale_hirise_ortho_0p5m_coreg.tif"),
    ..JEZERO
};
const YARD: Case = Case {
    dtm: "erc_marsyard_dem/marsyard_terrain_hm.tif",
    ortho: None,
    body: "earth",
    rover: "testbed",
    mission: "mission_yard.yaml",
};

#[test]
fn two_hundred_metres_of_jezero() {
    let Some(made) = route(&JEZERO, [400.0, 400.0], [600.0, 520.0]) else {
        return;
    };
    let d = made.unwrap().plan.distance_m;
    assert!(d > 230.0 && d < 260.0, "{d}");
    // The rim of the valley is steeper than the mission allows; which place it is stands in the sentence.
    let cliff = route(&JEZERO, [400.0, 400.0], [419.0, 427.1])
        .unwrap()
        .err()
        .unwrap()
        .to_string();
    assert!(
        cliff.contains("goal") && cliff.contains("slope of 22.") && cliff.contains("limit 15.0°"),
        "{cliff}"
    );
}

#[test]
fn two_hundred_metres_of_gale() {
    let Some(made) = route(&GALE, [80.0, 150.0], [280.0, 260.0]) else {
        return;
    };
    let d = made.unwrap().plan.distance_m;
    assert!(d > 228.0 && d < 275.0, "{d}");
}

#[test]
fn thirty_metres_of_the_mars_yard() {
    let Some(made) = route(&YARD, [20.0, 40.0], [36.0, 16.0]) else {
        return;
    };
    let d = made.unwrap().plan.distance_m;
    assert!(d > 28.0 && d < 36.0, "{d}");
}

#[test]
fn where_there_is_a_way_over_real_ground_it_is_found() {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    let rover = Rover::load(&config.join("rovers/perseverance.yaml")).unwrap();
    let mission = Constraints::load(&config.join("mission.yaml")).unwrap();
    let (mut with_a_way, mut planned) = (0, 0);
    for name in [
        "gale_aeolis_mount_sharp_aeolis_palus_center_2m",
        "gusev_spirit_center_columbia_hills_2m",
        "jezero_neretva_neretva_center_2m",
        "mawrth_image_center_2m",
    ] {
        let Some(dtm) = real(&format!("hirise_dtm_crops/{name}.tif")) else {
            return;
        };
        let site = import(&ImportRequest {
            dtm,
            ortho: None,
            body: Body::load(&config.join("bodies/mars.yaml")).unwrap(),
            name: name.into(),
            footprint_m: rover.footprint_radius_m(),
            window: None,
        })
        .unwrap();
        // More pairs: cargo run -p sojourn_site --example pairs
        let tally = pairs::run(&site, &rover, &mission, 4, 11).unwrap();
        println!("{name}: {tally:?}");
        assert_eq!(
            tally.searched, tally.with_a_way,
            "{name}: {:?}",
            tally.refused
        );
        // The flood fill does not ask whether the suspension stands everywhere on its way; the plan does.
        assert!(
            tally
                .refused
                .iter()
                .all(|why| why.contains("the rover would stand")),
            "{name}: {:?}",
            tally.refused
        );
        with_a_way += tally.with_a_way;
        planned += tally.planned;
    }
    assert!(with_a_way >= 12, "{with_a_way}");
    assert!(planned + 1 >= with_a_way, "{planned} of {with_a_way}");
}
