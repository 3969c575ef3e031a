//! The generated world and a drive in it that is long enough and that the twin passes; all from the seed.

use crate::ground;
use crate::launch::places::Places;
use sojourn_core::{body::Body, constraints::Constraints, geometry::Xy, plan::Plan, rover::Rover};
use sojourn_planner::{PlanRequest, plan};
use sojourn_twin::{
    folder::WorldFolder,
    generate::generate,
    recipe::Recipe,
    verify::{Samples, Setup, VerifyOptions, verify},
};

/// Drives tried before giving up.
const TRIES: u64 = 60;
/// Distance of start and goal from the map's edge, metres, beside the mission's own margin.
const EDGE_M: f64 = 12.0;

/// A world and the two ends of a drive in it.
pub struct World {
    /// The world; its site has slope and roughness.
    pub folder: WorldFolder,
    /// Start, `map` metres.
    pub start_m: Xy,
    /// Goal, `map` metres.
    pub goal_m: Xy,
    /// The plan found.
    pub plan: Plan,
}

/// A number from 0 to 1 for a seed and a counter (SplitMix64).
fn unit(seed: u64, n: u64) -> f64 {
    let mut z = seed.wrapping_add(n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

/// The demo's world for a rover: `config/worlds/demo_<rover>.yaml`, or `demo.yaml` for any other.
///
/// # Errors
/// One sentence that names the file and the key.
pub fn recipe(places: &Places, rover: &Rover) -> anyhow::Result<Recipe> {
    let own = format!("demo_{}", rover.name);
    let named = ground::named_file(places, "worlds", &own);
    crate::commands::world::recipe(places, if named.is_ok() { &own } else { "demo" })
}

/// Makes the demo's world, its site with slope and roughness for the rover.
///
/// # Errors
/// One sentence.
pub fn world(
    seed: u64,
    body: &Body,
    rover: &Rover,
    recipe: &Recipe,
) -> anyhow::Result<WorldFolder> {
    let mut folder = generate(seed, body, recipe)?;
    ground::add_slope(&mut folder.site, rover)?;
    Ok(folder)
}

/// Makes a world and finds a drive of at least `distance_m`.
///
/// # Errors
/// One sentence: the distance does not fit, or no drive was found.
pub fn make(
    seed: u64,
    body: &Body,
    rover: &Rover,
    recipe: &Recipe,
    constraints: &Constraints,
    distance_m: f64,
    name: Option<&str>,
) -> anyhow::Result<World> {
    let [width_m, height_m] = recipe.size_m;
    let edge_m = EDGE_M + constraints.edge_margin_m + rover.footprint_radius_m();
    let longest_m = width_m.min(height_m) - 2.0 * edge_m;
    anyhow::ensure!(
        (2.0..=longest_m).contains(&distance_m),
        "--distance is {distance_m}, expected 2 to {longest_m:.0} metres, the room in the generated world"
    );
    let folder = world(seed, body, rover, recipe)?;
    let site = &folder.site;
    let setup = Setup::load(&Places::find().shared("config")?)?;
    let mut last = String::from("none was tried");
    for n in 0..TRIES {
        // A way winds: the ends stand as far apart as the drive is to be long, anywhere on the map.
        let angle = std::f64::consts::TAU * unit(seed, 3 * n);
        let half = [
            0.5 * distance_m * angle.cos(),
            0.5 * distance_m * angle.sin(),
        ];
        let room = [
            width_m / 2.0 - edge_m - half[0].abs(),
            height_m / 2.0 - edge_m - half[1].abs(),
        ];
        let centre = [
            width_m / 2.0 + room[0] * (2.0 * unit(seed, 3 * n + 1) - 1.0),
            height_m / 2.0 + room[1] * (2.0 * unit(seed, 3 * n + 2) - 1.0),
        ];
        // Whole decimetres read better in reports.
        let round = |v: f64| (v * 10.0).round() / 10.0;
        let start_m = [round(centre[0] - half[0]), round(centre[1] - half[1])];
        let goal_m = [round(centre[0] + half[0]), round(centre[1] + half[1])];
        let request = PlanRequest {
            name: name.map_or_else(|| site.manifest.name.clone(), str::to_string),
            start_m,
            goal_m,
            seed,
            slip: None,
        };
        let found = match plan(&request, site, rover, constraints, None) {
            Ok(outcome) => outcome.plan,
            Err(e) => {
                last = e.to_string();
                continue;
            }
        };
        let options = VerifyOptions {
            samples: Samples::WhenNominalPasses,
            ..VerifyOptions::standard()
        };
        let report = verify(&found, site, rover, &setup, options)?;
        if report.passed {
            return Ok(World {
                folder,
                start_m,
                goal_m,
                plan: found,
            });
        }
        last = report.reason;
    }
    anyhow::bail!(
        "no drive of {distance_m} m was found in the generated world of seed {seed} in {TRIES} tries; the last one: {last}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_drive_that_is_long_enough() {
        let places = Places::find();
        let body = ground::body(&places, "mars").unwrap();
        let (rover, _) = ground::rover(&places, "perseverance").unwrap();
        let (constraints, _) = ground::mission(&places, None).unwrap();
        let recipe = recipe(&places, &rover).unwrap();
        let a = make(1, &body, &rover, &recipe, &constraints, 220.0, None).unwrap();
        let b = make(1, &body, &rover, &recipe, &constraints, 220.0, None).unwrap();
        assert_eq!(a.plan.digest().unwrap(), b.plan.digest().unwrap());
        assert!(a.plan.distance_m >= 215.0);
        assert!(make(1, &body, &rover, &recipe, &constraints, 4000.0, None).is_err());
    }

    #[test]
    fn numbers_are_spread() {
        let mean = (0..1000).map(|n| unit(7, n)).sum::<f64>() / 1000.0;
        assert!((mean - 0.5).abs() < 0.05);
    }
}
