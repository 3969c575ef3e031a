//! Plans made bad on purpose, each with the kinds of reason that it has to be rejected for.

use super::{
    Case, Expect,
    good::{Good, Stuff},
};
use serde_json::{Value, json};
use sojourn_core::{
    classes::TerrainClass,
    geometry::{self, Xy},
    plan::{
        Feature, Goal, Mode, ModelStage, PLAN_SCHEMA_VERSION, Plan, Start, Waypoint,
        WaypointLimits, digest_of,
    },
    raster::Raster,
    rover::Rover,
    site::{ELEVATION, Site},
};
use std::sync::Arc;

/// Reasons that ground with a step or a rock in it may be refused for.
const OBSTACLE: &[&str] = &[
    "terrain",
    "suspension",
    "clearance",
    "attitude",
    "load",
    "soil",
];

/// Spoils a plan's document; gives the text and leaves the ground as it is.
type Spoil = fn(&Plan, &mut Value, usize);

/// Families of plans that are spoilt on paper: name, reasons, what is done. The number tells the variants apart.
const ON_PAPER: &[(&str, &[&str], Spoil)] = &[
    ("time-outs too short", &["time"], |_, v, k| {
        each(v, |w| scale(w, "timeout_s", 0.1 + 0.01 * k as f64));
    }),
    ("time-outs in minutes", &["time"], |_, v, _| {
        each(v, |w| scale(w, "timeout_s", 1.0 / 60.0));
    }),
    ("speeds in km/h", &["limits"], |_, v, _| {
        each(v, |w| scale(&mut w["limits"], "speed_mps", 3.6));
    }),
    ("tilt limits in radians", &["attitude"], |_, v, k| {
        each(v, |w| {
            w["limits"]["tilt_deg"] = json!(0.1 + 0.01 * k as f64)
        });
    }),
    (
        "coordinates in centimetres",
        &["off_map", "command"],
        |p, v, _| {
            stretched(p, v, 100.0);
        },
    ),
    (
        "coordinates in kilometres",
        &["document", "command", "off_map", "time"],
        |p, v, _| {
            stretched(p, v, 0.001);
        },
    ),
    ("tilt limit loosened", &["limits"], |_, v, k| {
        one(v, k, |w| w["limits"]["tilt_deg"] = json!(50.0));
    }),
    ("slip limit loosened", &["limits"], |_, v, k| {
        one(v, k, |w| w["limits"]["slip"] = json!(0.95));
    }),
    ("speed limit loosened", &["limits"], |_, v, k| {
        one(v, k, |w| scale(&mut w["limits"], "speed_mps", 20.0));
    }),
    ("corridor beside the way", &["corridor"], |p, v, k| {
        let i = k % p.waypoints.len();
        let (a, b) = ends(p, i);
        v["waypoints"][i]["corridor"] = json!(horseshoe(a, b));
    }),
    ("keep-out on the way", &["keep_out"], |p, v, k| {
        let (a, b) = ends(p, k % p.waypoints.len());
        let m = [0.5 * (a[0] + b[0]), 0.5 * (a[1] + b[1])];
        v["keep_out"] = json!([geometry::corridor(m, [m[0] + 0.5, m[1]], 1.5)]);
    }),
    ("forbidden label on the way", &["keep_out"], |p, v, k| {
        let (a, b) = ends(p, k % p.waypoints.len());
        let m = [0.5 * (a[0] + b[0]), 0.5 * (a[1] + b[1])];
        v["features"] = json!([Feature {
            class: TerrainClass::CraterOrScarp,
            polygon: geometry::corridor(m, [m[0] + 0.5, m[1]], 1.5),
            confidence: 0.8,
            source: "corpus".into(),
            added_cost: 8.0,
            forbids: true,
            risk: None,
            action: None,
            science: None,
            note: String::new(),
        }]);
    }),
    ("goal off the map", &["off_map", "command"], |p, v, k| {
        extended(p, v, [400.0 + 10.0 * k as f64, 70.0]);
    }),
    ("another site's digest", &["digest"], |_, v, k| {
        v["site_digest"] = json!(format!("{k:064x}"));
    }),
    ("another rover's digest", &["digest"], |_, v, k| {
        v["rover_digest"] = json!(format!("{k:064x}"));
    }),
    ("another planet", &["digest"], |_, v, k| {
        v["body"]["gravity_mps2"] = json!(1.0 + 0.1 * k as f64);
    }),
    ("the same point twice", &["command"], |p, v, k| {
        let i = k % p.waypoints.len();
        let again = v["waypoints"][i].clone();
        if let Some(list) = v["waypoints"].as_array_mut() {
            list.insert(i + 1, again);
        }
    }),
    ("a segment too long", &["command"], |p, v, k| {
        let i = k % 2;
        let (a, _) = ends(p, i);
        // Two segments may be no longer than one may be: as many are joined as it takes.
        let last = p.waypoints.len() - 1;
        let j = (i + 1..last)
            .find(|&j| geometry::distance_m(a, ends(p, j).1) > 13.0)
            .unwrap_or(last);
        let (_, b) = ends(p, j);
        if let Some(list) = v["waypoints"].as_array_mut() {
            list.drain(i..j);
        }
        v["waypoints"][i]["corridor"] = json!(geometry::corridor(a, b, 6.0));
        measured(v);
    }),
    ("not-a-number in a waypoint", &["document"], |_, v, k| {
        one(v, k, |w| w["x_m"] = Value::Null);
    }),
    ("a number beyond all", &["document"], |_, v, k| {
        one(v, k, |w| w["y_m"] = json!(1e300));
    }),
    (
        "a length that is not its way's",
        &["document"],
        |_, v, k| {
            scale(v, "distance_m", 0.5 + 0.01 * k as f64);
        },
    ),
    ("no waypoints", &["document"], |_, v, _| {
        v["waypoints"] = json!([])
    }),
    ("an unknown key", &["document"], |_, v, k| {
        one(v, k, |w| w["speed"] = json!(1.0));
    }),
    ("another version of the form", &["document"], |_, v, k| {
        v["schema_version"] = json!(PLAN_SCHEMA_VERSION as usize + 1 + k);
    }),
    ("a time-out below zero", &["document"], |_, v, k| {
        one(v, k, |w| scale(w, "timeout_s", -1.0));
    }),
];

fn each(v: &mut Value, f: impl Fn(&mut Value)) {
    for w in v["waypoints"].as_array_mut().into_iter().flatten() {
        f(w);
    }
}

fn one(v: &mut Value, k: usize, f: impl Fn(&mut Value)) {
    if let Some(list) = v["waypoints"].as_array_mut() {
        let n = list.len().max(1);
        if let Some(w) = list.get_mut(k % n) {
            f(w);
        }
    }
}

fn scale(v: &mut Value, key: &str, factor: f64) {
    v[key] = json!(v[key].as_f64().unwrap_or(0.0) * factor);
}

fn ends(p: &Plan, i: usize) -> (Xy, Xy) {
    let line = p.line();
    (line[i], line[i + 1])
}

/// A polygon that holds both ends of a segment and leaves out its middle.
fn horseshoe(a: Xy, b: Xy) -> Vec<Xy> {
    let l = geometry::distance_m(a, b).max(0.1);
    let (ux, uy) = ((b[0] - a[0]) / l, (b[1] - a[1]) / l);
    let at = |along: f64, left: f64| [a[0] + ux * along - uy * left, a[1] + uy * along + ux * left];
    vec![
        at(-1.0, -1.0),
        at(0.2 * l, -1.0),
        at(0.2 * l, 4.0),
        at(0.8 * l, 4.0),
        at(0.8 * l, -1.0),
        at(l + 1.0, -1.0),
        at(l + 1.0, 8.0),
        at(-1.0, 8.0),
    ]
}

/// All coordinates times a factor, the document else in order.
fn stretched(p: &Plan, v: &mut Value, factor: f64) {
    let mut q = p.clone();
    for xy in [
        (&mut q.start.x_m, &mut q.start.y_m),
        (&mut q.goal.x_m, &mut q.goal.y_m),
    ] {
        (*xy.0, *xy.1) = (*xy.0 * factor, *xy.1 * factor);
    }
    for w in &mut q.waypoints {
        (w.x_m, w.y_m) = (w.x_m * factor, w.y_m * factor);
        for c in &mut w.corridor {
            *c = [c[0] * factor, c[1] * factor];
        }
    }
    q.distance_m = geometry::length_m(&q.line());
    *v = json!(q);
}

/// One more waypoint and the goal at it.
fn extended(p: &Plan, v: &mut Value, to: Xy) {
    let mut q = p.clone();
    if let Some(last) = q.waypoints.last().cloned() {
        let corridor = geometry::corridor(last.xy(), to, 5.0);
        q.waypoints.push(Waypoint {
            x_m: to[0],
            y_m: to[1],
            corridor,
            timeout_s: 1e5,
            ..last
        });
    }
    (q.goal.x_m, q.goal.y_m) = (to[0], to[1]);
    q.distance_m = geometry::length_m(&q.line());
    *v = json!(q);
}

/// Sets the length to that of the way.
fn measured(v: &mut Value) {
    let xy = |w: &Value| {
        [
            w["x_m"].as_f64().unwrap_or(0.0),
            w["y_m"].as_f64().unwrap_or(0.0),
        ]
    };
    let line: Vec<Xy> = std::iter::once(xy(&v["start"]))
        .chain(v["waypoints"].as_array().into_iter().flatten().map(xy))
        .collect();
    v["distance_m"] = json!(geometry::length_m(&line));
}

/// Ground of a function of map metres on 1 m cells.
type Height = fn(Xy, usize) -> f64;
/// Something done to a plan over such ground.
type Change = fn(&mut Plan, usize);

const KEEP: Change = |_, _| {};

/// Families of plans that are bad for the ground they cross: name, reasons, height, change of the plan. The plan goes
/// 60 m due east through the middle of 100 m × 100 m.
const ON_GROUND: &[(&str, &[&str], Height, Change)] = &[
    (
        "over a boulder",
        OBSTACLE,
        |[x, y], k| {
            let size_m = 1.4 + 0.1 * k as f64;
            let far = (x - 55.0).hypot(y - 51.2);
            if far < size_m { 1.2 * size_m } else { 0.0 }
        },
        KEEP,
    ),
    (
        "over a step up",
        OBSTACLE,
        |[x, _], k| {
            if x > 50.0 { 1.2 + 0.1 * k as f64 } else { 0.0 }
        },
        KEEP,
    ),
    (
        "over a step down",
        OBSTACLE,
        |[x, _], k| {
            if x > 50.0 { -1.2 - 0.1 * k as f64 } else { 0.0 }
        },
        KEEP,
    ),
    (
        "along a side slope",
        &["attitude"],
        |[_, y], k| (26.0 + k as f64).to_radians().tan() * y,
        KEEP,
    ),
    (
        "up a slope too steep",
        &["slip", "attitude"],
        |[x, _], k| (18.0 + 0.5 * k as f64).to_radians().tan() * x.max(40.0),
        KEEP,
    ),
    (
        "down a slope too steep",
        &["attitude"],
        |[x, _], k| -(27.0 + k as f64).to_radians().tan() * x.max(40.0),
        KEEP,
    ),
    (
        "through sand on 15 degrees",
        &["slip"],
        |[x, _], _| 15f64.to_radians().tan() * x,
        |p, k| {
            let x = 40.0 + 2.0 * k as f64;
            p.features.push(sand(
                TerrainClass::SandRipples,
                [[x, 40.0], [x + 12.0, 40.0], [x + 12.0, 60.0], [x, 60.0]],
            ));
        },
    ),
    (
        "through loose soil on 17 degrees",
        &["slip"],
        |[x, _], _| 17f64.to_radians().tan() * x.min(60.0),
        |p, k| {
            let x = 30.0 + 2.0 * k as f64;
            p.features.push(sand(
                TerrainClass::LooseSoil,
                [[x, 40.0], [x + 12.0, 40.0], [x + 12.0, 60.0], [x, 60.0]],
            ));
        },
    ),
    (
        "over ground without data",
        &["off_map"],
        |[x, y], k| {
            if (x - 50.0 - k as f64).hypot(y - 50.0) < 3.0 {
                f64::NAN
            } else {
                0.0
            }
        },
        KEEP,
    ),
    (
        "through a crater",
        &["attitude", "slip", "suspension", "clearance", "terrain"],
        |[x, y], k| {
            let (r, edge) = ((x - 50.0).hypot(y - 50.0), 10.0 + 0.5 * k as f64);
            if r < edge {
                0.35 * edge * ((r / edge).powi(2) - 1.0)
            } else {
                0.0
            }
        },
        KEEP,
    ),
    (
        "along the map's edge",
        &["off_map", "terrain"],
        |_, _| 0.0,
        |p, k| {
            let shift = 49.3 - 0.05 * k as f64;
            p.start.y_m += shift;
            p.goal.y_m += shift;
            for w in &mut p.waypoints {
                w.y_m += shift;
                w.corridor.iter_mut().for_each(|c| c[1] += shift);
            }
        },
    ),
    (
        "so slow that the battery runs out",
        &["energy"],
        |_, _| 0.0,
        |p, k| {
            for w in &mut p.waypoints {
                w.limits.speed_mps = 0.0005 + 0.000_01 * k as f64;
                w.timeout_s = 1e6;
            }
        },
    ),
    (
        "past the time limit on a slope",
        &["time"],
        |[x, _], _| 13f64.to_radians().tan() * x,
        |p, k| {
            for w in &mut p.waypoints {
                w.timeout_s = 240.0 + k as f64;
            }
        },
    ),
];

fn sand(class: TerrainClass, polygon: [Xy; 4]) -> Feature {
    Feature {
        class,
        polygon: polygon.to_vec(),
        confidence: 0.7,
        source: "corpus".into(),
        added_cost: 2.0,
        forbids: false,
        risk: None,
        action: None,
        science: None,
        note: String::new(),
    }
}

/// Makes the bad plans: `variants` of each family. The good plans are those that are spoilt on paper.
///
/// # Errors
/// One sentence.
pub fn cases(stuff: &Stuff, good: &[Good], variants: usize) -> anyhow::Result<Vec<Case>> {
    let mut out = Vec::new();
    for (f, (family, reasons, spoil)) in ON_PAPER.iter().enumerate() {
        for k in 0..variants {
            // Another good plan for every variant, over all sites.
            let Some(g) = good.get((7 * f + 31 * k) % good.len().max(1)) else {
                anyhow::bail!("no good plan to spoil");
            };
            let mut document = serde_json::to_value(&g.plan)?;
            spoil(&g.plan, &mut document, k);
            out.push(case(
                out.len(),
                family,
                reasons,
                document.to_string(),
                &g.site,
                &g.rover,
            ));
        }
    }
    for k in 0..variants {
        let Some(g) = good.get((13 * k) % good.len().max(1)) else {
            continue;
        };
        let whole = serde_json::to_string(&g.plan)?;
        let cut = whole.get(..whole.len() / 2).unwrap_or_default().to_string();
        out.push(case(
            out.len(),
            "a file cut off",
            &["document"],
            cut,
            &g.site,
            &g.rover,
        ));
    }
    let Some(rover) = stuff.rovers.first() else {
        anyhow::bail!("a corpus needs a rover");
    };
    for (family, reasons, height, change) in ON_GROUND {
        for k in 0..variants {
            let site = Arc::new(ground(stuff, |at| height(at, k))?);
            let mut plan = eastward(&site, rover, stuff.seed)?;
            change(&mut plan, k);
            let document = serde_json::to_string(&plan)?;
            out.push(case(out.len(), family, reasons, document, &site, rover));
        }
    }
    Ok(out)
}

fn case(
    n: usize,
    family: &str,
    reasons: &[&str],
    document: String,
    site: &Arc<Site>,
    rover: &Arc<Rover>,
) -> Case {
    Case {
        name: format!("bad-{n:03}"),
        family: family.to_string(),
        document,
        site: site.clone(),
        rover: rover.clone(),
        expect: Expect::Reject,
        reasons: reasons.iter().map(|r| (*r).to_string()).collect(),
    }
}

/// A site of 100 m × 100 m from a function of map metres.
fn ground(stuff: &Stuff, height: impl Fn(Xy) -> f64) -> anyhow::Result<Site> {
    let mut site = super::good::site(stuff, 0)?;
    let r = Raster::filled(100, 100, 1.0, [0.0, 0.0], 0.0)?;
    let elevation = r.like(|c, row| height(r.centre_m(c, row)) as f32);
    site.manifest.layers.clear();
    site.layers.clear();
    site.put(ELEVATION, elevation, "m", "made for a corpus of bad plans");
    Ok(site)
}

/// 60 m due east through the middle, in segments of 10 m, with everything in order.
fn eastward(site: &Site, rover: &Rover, seed: u64) -> anyhow::Result<Plan> {
    let at = |k: usize| [20.0 + 10.0 * k as f64, 50.0];
    let waypoints: Vec<Waypoint> = (1..=6)
        .map(|k| Waypoint {
            x_m: at(k)[0],
            y_m: at(k)[1],
            tolerance_m: 1.0,
            mode: Mode::AvoidAll,
            corridor: geometry::corridor(at(k - 1), at(k), 5.0),
            limits: WaypointLimits {
                tilt_deg: rover.limits.tilt_deg,
                slip: rover.limits.slip,
                speed_mps: rover.drive.cruise_mps,
            },
            timeout_s: 4000.0,
            risk: 0.0,
            reasons: Vec::new(),
        })
        .collect();
    Ok(Plan {
        schema_version: PLAN_SCHEMA_VERSION,
        name: "corpus".into(),
        site_digest: site.terrain_digest()?,
        body: site.manifest.body.clone(),
        rover: rover.name.clone(),
        rover_digest: digest_of("rover", rover)?,
        constraints_digest: "0".repeat(64),
        seed,
        start: Start {
            x_m: at(0)[0],
            y_m: at(0)[1],
            yaw_rad: 0.0,
        },
        goal: Goal {
            x_m: at(6)[0],
            y_m: at(6)[1],
            tolerance_m: 1.0,
        },
        waypoints,
        distance_m: 60.0,
        features: Vec::new(),
        keep_out: Vec::new(),
        mission: None,
        disputes: None,
        model: ModelStage::none(),
    })
}
