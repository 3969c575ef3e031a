//! Good plans: what the planner lays over generated ground, well inside the limits.
//!
//! "Good" is decided before the verifier sees the plan: the route keeps to two thirds of the slope that the mission
//! allows, on ground without any steeper place on its way.

use super::{Case, Expect};
use crate::launch::places::Places;
use sojourn_core::{body::Body, constraints::Constraints, plan::Plan, rover::Rover, site::Site};
use sojourn_planner::{PlanRequest, plan};
use sojourn_twin::{generate::terrain, noise};
use std::sync::Arc;

/// Share of the mission's slope that a good plan may use.
const SLOPE_SHARE: f64 = 2.0 / 3.0;
/// Size of a generated site, metres.
const SITE_M: f64 = 140.0;
/// Plans from one site.
const PER_SITE: usize = 10;
/// Pairs of places tried on one site.
const TRIES: u64 = 60;

/// What the corpus is made from.
pub struct Stuff<'a> {
    /// The planet.
    pub body: &'a Body,
    /// Rovers, used in turn.
    pub rovers: &'a [Arc<Rover>],
    /// The mission.
    pub constraints: &'a Constraints,
    /// Seed of everything.
    pub seed: u64,
}

/// A good plan with what it belongs to.
pub struct Good {
    /// The plan.
    pub plan: Plan,
    /// Its site.
    pub site: Arc<Site>,
    /// Its rover.
    pub rover: Arc<Rover>,
}

/// Site number `k` of the corpus: regional slope 0 to 6 degrees, relief 1.5 to 3.5 degrees, up to two craters of 10 m and
/// more on average, and smaller ones.
///
/// # Errors
/// One sentence.
pub fn site(stuff: &Stuff, k: u64) -> anyhow::Result<Site> {
    let draw = |channel: u64| noise::unit(noise::hash(stuff.seed, channel, k as i64, 0));
    let mut recipe = crate::commands::world::recipe(&Places::find(), "demo")?;
    recipe.size_m = [SITE_M, SITE_M];
    recipe.slope_deg = 6.0 * draw(1);
    recipe.relief_rms_deg = 1.5 + 2.0 * draw(2);
    recipe.craters.per_km2_over_10m = 100.0 * draw(3);
    let seed = noise::hash(stuff.seed, 5, k as i64, 0);
    Ok(terrain(seed, stuff.body, &recipe)?)
}

/// Makes `count` good plans.
///
/// # Errors
/// One sentence, when the ground gives too few.
pub fn plans(stuff: &Stuff, count: usize) -> anyhow::Result<Vec<Good>> {
    let mild = Constraints {
        max_slope_deg: SLOPE_SHARE * stuff.constraints.max_slope_deg,
        ..stuff.constraints.clone()
    };
    let mut out = Vec::with_capacity(count);
    let mut k = 0;
    while out.len() < count {
        anyhow::ensure!(
            k < count as u64 + 20,
            "the ground of {k} sites gave {} good plans, not {count}",
            out.len()
        );
        let Some(rover) = stuff.rovers.get(k as usize % stuff.rovers.len().max(1)) else {
            anyhow::bail!("a corpus needs a rover");
        };
        let site = Arc::new(site(stuff, k)?);
        let mut here = 0;
        for n in 0..TRIES {
            if here == PER_SITE || out.len() == count {
                break;
            }
            let draw = |c: i64| noise::unit(noise::hash(stuff.seed, 6, k as i64, 8 * n as i64 + c));
            let edge_m = stuff.constraints.edge_margin_m + 10.0;
            let place = |c: i64| {
                let room_m = SITE_M - 2.0 * edge_m;
                let m = |c: i64| ((edge_m + room_m * draw(c)) * 10.0).round() / 10.0;
                [m(c), m(c + 1)]
            };
            let (start_m, goal_m) = (place(0), place(2));
            let way_m = sojourn_core::geometry::distance_m(start_m, goal_m);
            if !(30.0..=100.0).contains(&way_m) {
                continue;
            }
            let request = PlanRequest {
                name: format!("good {k}.{n}"),
                start_m,
                goal_m,
                seed: stuff.seed,
                slip: None,
            };
            if let Ok(found) = plan(&request, &site, rover, &mild, None) {
                here += 1;
                out.push(Good {
                    plan: found.plan,
                    site: site.clone(),
                    rover: rover.clone(),
                });
            }
        }
        k += 1;
    }
    Ok(out)
}

/// The plans as cases.
///
/// # Errors
/// When a plan cannot be written as JSON.
pub fn cases(plans: &[Good]) -> anyhow::Result<Vec<Case>> {
    plans
        .iter()
        .enumerate()
        .map(|(i, g)| {
            Ok(Case {
                name: format!("good-{i:03}"),
                family: format!("good, {}", g.rover.name),
                document: serde_json::to_string(&g.plan)?,
                site: g.site.clone(),
                rover: g.rover.clone(),
                expect: Expect::Pass,
                reasons: Vec::new(),
            })
        })
        .collect()
}
