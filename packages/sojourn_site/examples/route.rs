//! Plans over a raster and says what the route is like, with times:
//! `cargo run -p sojourn_site --example route -- DTM BODY ROVER START GOAL [MISSION]`, places as `E,N`.

use sojourn_core::{body::Body, constraints::Constraints, rover::Rover};
use sojourn_planner::{PlanRequest, plan, validate};
use sojourn_site::{ImportRequest, import, parse_place, resolve};
use std::path::{Path, PathBuf};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [dtm, body, rover, start, goal, rest @ ..] = args.as_slice() else {
        return Err("expected DTM BODY ROVER START GOAL [MISSION]".into());
    };
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    let rover = Rover::load(&config.join(format!("rovers/{rover}.yaml")))?;
    let mission = rest
        .first()
        .map_or_else(|| config.join("mission.yaml"), PathBuf::from);
    let constraints = Constraints::load(&mission)?;
    let t = Instant::now();
    let site = import(&ImportRequest {
        dtm: PathBuf::from(dtm),
        ortho: None,
        body: Body::load(&config.join(format!("bodies/{body}.yaml")))?,
        name: "example".into(),
        footprint_m: rover.footprint_radius_m(),
        window: None,
    })?;
    let import_s = t.elapsed().as_secs_f64();
    let request = PlanRequest {
        name: "example".into(),
        start_m: resolve(&site, &parse_place(start)?)?,
        goal_m: resolve(&site, &parse_place(goal)?)?,
        seed: 1,
        slip: None,
    };
    let t = Instant::now();
    let made = plan(&request, &site, &rover, &constraints, None)?;
    let plan_s = t.elapsed().as_secs_f64();
    let p = &made.plan;
    println!(
        "import {import_s:.2} s, plan {plan_s:.2} s, {:?}",
        made.stats
    );
    println!("{:.1} m in {} segments", p.distance_m, p.waypoints.len());
    for w in &p.waypoints {
        println!(
            "  ({:.1}, {:.1}) {:.0} s, risk {:.2}: {}",
            w.x_m,
            w.y_m,
            w.timeout_s,
            w.risk,
            w.reasons.join("; ")
        );
    }
    for v in validate(p, &site, &rover, &constraints)? {
        println!("violation: {}", v.message);
    }
    Ok(())
}
