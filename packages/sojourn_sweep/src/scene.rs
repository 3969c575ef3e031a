//! The worlds of a sweep: a tilted plane with relief and rocks, a start and a goal, all from one seed.

use crate::SweepError;
use serde::{Deserialize, Serialize};
use sojourn_core::{
    CoreError,
    body::Body,
    error::in_range,
    frames::Pose2,
    geometry::Xy,
    plan::{Goal, Start},
    raster::{HeightField, Raster},
    rover::Rover,
    settle::Settler,
    site::Site,
};
use sojourn_twin::{
    generate::{Shape, plain},
    noise,
    world::{Unlabelled, World, WorldParams},
};
use std::sync::Arc;

/// Channel of what is drawn from a scene's seed.
const CHANNEL: u64 = 0x5e_e2;
/// Cell of the regional terrain, metres; what is finer is added by the world.
const SITE_RESOLUTION_M: f64 = 1.0;
/// Longest wavelength of the relief on the plane, metres.
const RELIEF_LONGEST_M: f64 = 96.0;
/// Places that are tried for start and goal.
const TRIES: i64 = 200;
/// Share of every limit within which the rover stands at start and goal.
const STAND_SHARE: f64 = 0.9;

/// Where the goal lies on the slope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Straight up.
    Up,
    /// Straight down.
    Down,
    /// Along the contour line, slope rising to the left or to the right by the seed.
    Across,
}

impl Direction {
    /// The name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Across => "across",
        }
    }
}

/// What worlds are made of from a slope on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoilFrom {
    /// Least tilt of the regional plane, degrees.
    pub slope_deg: f64,
    /// One class, or drawn from the prior by slope.
    pub soil: Unlabelled,
}

/// What all worlds of a sweep have in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SceneParams {
    /// Straight distance from start to goal, metres.
    pub distance_m: f64,
    /// How near is there, metres.
    pub tolerance_m: f64,
    /// How far the rover may go to each side of the straight line and beyond its ends, metres.
    pub half_width_m: f64,
    /// Distance of the nodes of ground truth, metres.
    pub resolution_m: f64,
    /// Relief on the plane: root mean square of the slope over 2 m, degrees.
    pub relief_rms_deg: f64,
    /// Relief below 2 m of wavelength, metres RMS.
    pub fine_relief_rms_m: f64,
    /// Least diameter of a rock, metres.
    pub rock_min_m: f64,
    /// Greatest diameter of a rock, metres.
    pub rock_max_m: f64,
    /// Radius without rocks around the start, metres: a rover is set down on free ground.
    pub start_clear_m: f64,
    /// Radius without rocks around the goal, metres: nobody sends a rover onto a rock.
    pub goal_clear_m: f64,
    /// What the ground is made of, by the tilt of the regional plane: slopes rising, the first 0.
    pub soils: Vec<SoilFrom>,
}

impl SceneParams {
    /// Checks the ranges; `what` names the file.
    ///
    /// # Errors
    /// [`CoreError::Value`] that names the key.
    pub fn check(&self, what: &str) -> Result<(), CoreError> {
        for (name, value, lo, hi) in [
            ("distance_m", self.distance_m, 1.0, 2000.0),
            ("tolerance_m", self.tolerance_m, 0.1, 50.0),
            ("half_width_m", self.half_width_m, 1.0, 200.0),
            ("resolution_m", self.resolution_m, 0.02, 0.5),
            ("relief_rms_deg", self.relief_rms_deg, 0.0, 20.0),
            ("fine_relief_rms_m", self.fine_relief_rms_m, 0.0, 0.5),
            ("rock_min_m", self.rock_min_m, 0.02, 5.0),
            ("rock_max_m", self.rock_max_m, self.rock_min_m, 9.0),
            ("start_clear_m", self.start_clear_m, 0.0, 50.0),
            ("goal_clear_m", self.goal_clear_m, 0.0, 50.0),
        ] {
            in_range(what, &format!("scene.{name}"), value, lo, hi)?;
        }
        let rising = self.soils.windows(2).all(|w| {
            w.first()
                .zip(w.last())
                .is_some_and(|(a, b)| a.slope_deg < b.slope_deg)
        });
        if !(rising && self.soils.first().is_some_and(|s| s.slope_deg == 0.0)) {
            let given: Vec<f64> = self.soils.iter().map(|s| s.slope_deg).collect();
            return Err(CoreError::value(
                what,
                "scene.soils",
                format!("{given:?}"),
                "slope_deg rising from 0, at least one entry",
            ));
        }
        Ok(())
    }

    /// What a world of a slope is made of.
    #[must_use]
    pub fn soil(&self, slope_deg: f64) -> Unlabelled {
        let from = |s: &&SoilFrom| s.slope_deg <= slope_deg + 1e-9;
        self.soils
            .iter()
            .rev()
            .find(from)
            .map_or(Unlabelled::Prior, |s| s.soil)
    }
}

/// What distinguishes one world from another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SceneKey {
    /// Seed of everything.
    pub seed: u64,
    /// Golombek's k, 0 to 1.
    pub cfa: f64,
    /// Tilt of the regional plane, degrees.
    pub slope_deg: f64,
    /// Where the goal lies.
    pub direction: Direction,
}

/// A world with a start and a goal.
#[derive(Clone)]
pub struct Scene {
    /// Ground truth.
    pub world: Arc<World>,
    /// Where the rover stands, looking at the goal.
    pub start: Start,
    /// Where it shall arrive.
    pub goal: Goal,
}

impl Scene {
    /// Makes a scene. The same arguments give the same bits, on any number of threads.
    ///
    /// # Errors
    /// [`SweepError`] for a parameter out of range, or when the rover can stand at no place that was tried for start and
    /// goal.
    pub fn new(
        key: &SceneKey,
        params: &SceneParams,
        rover: &Rover,
        body: &Body,
    ) -> Result<Self, SweepError> {
        let reach_m = params.half_width_m + 4.0;
        // Room for start and goal to be moved about.
        let side_m = (params.distance_m + 2.0 * reach_m + 40.0).ceil();
        let regional = Shape {
            size_m: [side_m, side_m],
            resolution_m: SITE_RESOLUTION_M,
            slope_deg: key.slope_deg,
            relief_rms_deg: params.relief_rms_deg,
            relief_longest_m: RELIEF_LONGEST_M,
        };
        let site = plain(key.seed, body, &regional)?;
        let heading_rad = heading_rad(key, site.elevation()?);
        let settler = Settler::new(rover, (0.2 * rover.wheel.radius_m).max(0.01));
        for attempt in 0..TRIES {
            let (start, goal) = ends(key, params, side_m, heading_rad, attempt);
            let stands = |ground: &dyn Fn(f64, f64) -> Option<f64>, at: Xy| {
                let pose = Pose2::new(at[0], at[1], heading_rad);
                settler
                    .settle(&ground, pose)
                    .is_some_and(|s| s.excess(&rover.limits, STAND_SHARE).is_none())
            };
            // The regional terrain tells most of it, long before a world is made.
            let coarse = |x: f64, y: f64| site.elevation().ok().and_then(|e| e.sample(x, y));
            if !(stands(&coarse, start) && stands(&coarse, goal)) {
                continue;
            }
            let world = Arc::new(world(key, params, &site, start, goal, reach_m)?);
            let fine = |x: f64, y: f64| world.height_m(x, y);
            if !(stands(&fine, start) && stands(&fine, goal)) {
                continue;
            }
            return Ok(Self {
                world,
                start: Start {
                    x_m: start[0],
                    y_m: start[1],
                    yaw_rad: heading_rad,
                },
                goal: Goal {
                    x_m: goal[0],
                    y_m: goal[1],
                    tolerance_m: params.tolerance_m,
                },
            });
        }
        Err(CoreError::value(
            "scene",
            "seed",
            key.seed,
            format!(
                "a world with a start and a goal that the rover can stand at (slope {} deg, {TRIES} places tried)",
                key.slope_deg
            ),
        )
        .into())
    }
}

/// Direction of the drive, radians counter-clockwise from east, from the plane fitted to the terrain.
fn heading_rad(key: &SceneKey, elevation: &Raster) -> f64 {
    let chance = noise::unit(noise::hash(key.seed, CHANNEL, -1, 0));
    if key.slope_deg <= 0.0 {
        return std::f64::consts::TAU * (chance - 0.5);
    }
    // On a full grid, centred coordinates are independent: the plane's gradient is the ratio of two sums.
    let (cols, rows) = (elevation.cols(), elevation.rows());
    let (cx, cy) = (0.5 * (cols as f64 - 1.0), 0.5 * (rows as f64 - 1.0));
    let (mut gx, mut gy) = (0.0, 0.0);
    for row in 0..rows {
        for col in 0..cols {
            let h = f64::from(elevation.get(col, row));
            gx += h * (col as f64 - cx) / (cx * (cx + 1.0));
            gy += h * (row as f64 - cy) / (cy * (cy + 1.0));
        }
    }
    let up_rad = gy.atan2(gx);
    let quarter = std::f64::consts::FRAC_PI_2;
    sojourn_core::frames::wrap_rad(match key.direction {
        Direction::Up => up_rad,
        Direction::Down => up_rad + 2.0 * quarter,
        Direction::Across if chance < 0.5 => up_rad + quarter,
        Direction::Across => up_rad - quarter,
    })
}

/// Start and goal of an attempt: the middle of the way lies near the middle of the site.
fn ends(
    key: &SceneKey,
    params: &SceneParams,
    side_m: f64,
    heading_rad: f64,
    attempt: i64,
) -> (Xy, Xy) {
    let off = |k: i64| 40.0 * (noise::unit(noise::hash(key.seed, CHANNEL, attempt, k)) - 0.5) * 0.7;
    let middle = [0.5 * side_m + off(1), 0.5 * side_m + off(2)];
    let half = Pose2::new(middle[0], middle[1], heading_rad);
    (
        half.point(-0.5 * params.distance_m, 0.0),
        half.point(0.5 * params.distance_m, 0.0),
    )
}

fn world(
    key: &SceneKey,
    params: &SceneParams,
    site: &Site,
    start: Xy,
    goal: Xy,
    reach_m: f64,
) -> Result<World, SweepError> {
    let region_m = WorldParams::region_around(&[start, goal], reach_m);
    Ok(World::from_site(
        site,
        &WorldParams {
            resolution_m: params.resolution_m,
            rock_cfa: key.cfa,
            rock_min_m: params.rock_min_m,
            rock_max_m: params.rock_max_m,
            fine_relief_rms_m: params.fine_relief_rms_m,
            unlabelled: params.soil(key.slope_deg),
            clear_m: vec![
                [start[0], start[1], params.start_clear_m],
                [goal[0], goal[1], params.goal_clear_m],
            ],
            ..WorldParams::demo(key.seed, region_m, start)
        },
    )?)
}
