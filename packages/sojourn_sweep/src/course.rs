//! Where a trial drives: a winding line over generated ground, with a map from orbit when one is asked for.

use super::odometry_trial::Trial;
use crate::{SweepError, orbit};
use sojourn_core::{
    body::Body,
    classes::TerrainClass,
    frames::{Pose2, wrap_rad},
    kinematics::Velocity,
    rover::Rover,
    site::{ELEVATION, ORTHO},
};
use sojourn_localization::{finding::OrbitalMap, mapfix::MapFixParams};
use sojourn_twin::{
    folder::View,
    generate::{Shape, generate, plain},
    noise,
    recipe::Recipe,
    sim::faults::{Fault, FaultSchedule, Scheduled, When},
    world::{Unlabelled, World, WorldParams},
};

/// Channel of what is drawn from a trial's seed.
const CHANNEL: u64 = 0x5e_e5;
/// How far the way winds to each side, metres, and over which length.
const WIND_M: f64 = 4.0;
const WIND_LENGTH_M: f64 = 60.0;
/// Ground beside the way without rocks, metres: AutoNav drives around them.
const FREE_M: f64 = 1.7;
/// Ground around the way, metres.
const MARGIN_M: f64 = 45.0;
/// Stretches of a slip of their own: every so many metres, for so many seconds.
const BURST_EVERY_M: f64 = 15.0;
const BURST_S: f64 = 120.0;
/// Ground of a world with a map from orbit before the start and behind the end, and to each side of the line, metres.
const MAP_MARGIN_M: f64 = 60.0;
const MAP_ASIDE_M: f64 = 80.0;
/// Distance of the nodes of its ground, metres: the simulator's.
const NODE_M: f64 = 0.1;

/// A way over ground.
pub struct Course {
    /// The ground.
    pub world: World,
    /// The line.
    pub way: Way,
    /// The map from orbit, when there is one.
    pub map: Option<OrbitalMap>,
}

/// What a course with a map is made of.
#[derive(Clone, Debug)]
pub struct MapKit {
    /// Kinds of ground, one after the other by seed.
    pub recipes: Vec<Recipe>,
    /// How the map is searched.
    pub params: MapFixParams,
}

impl Course {
    /// Ground without a map: relief of 3 degrees, rocks, no craters.
    ///
    /// # Errors
    /// [`SweepError`] for a trial out of range.
    pub fn plain(trial: &Trial, body: &Body) -> Result<Self, SweepError> {
        let way = Way::new(trial);
        let world = world(trial, &way, body)?;
        Ok(Self {
            world,
            way,
            map: None,
        })
    }

    /// Ground of a recipe, with an image that was taken under another sun and an elevation model, both with errors of their
    /// own. There are no craters, for nobody drives around them, and the trial sets slope and rocks.
    ///
    /// # Errors
    /// [`SweepError`] for a trial or recipe out of range.
    pub fn mapped(trial: &Trial, kit: &MapKit, body: &Body) -> Result<Self, SweepError> {
        let Some(given) = (!kit.recipes.is_empty())
            .then(|| &kit.recipes[trial.seed as usize % kit.recipes.len()])
        else {
            return Self::plain(trial, body);
        };
        let mut recipe = given.clone();
        recipe.size_m = [
            (trial.distance_m + 2.0 * MAP_MARGIN_M).ceil(),
            2.0 * MAP_ASIDE_M,
        ];
        recipe.slope_deg = trial.slope_deg;
        recipe.rocks.cfa = trial.cfa;
        recipe.craters.per_km2_over_10m = 0.0;
        let draw = |k: i64| noise::unit(noise::hash(trial.seed, CHANNEL, 3, k));
        recipe.image.sun_azimuth_deg = 360.0 * draw(0);
        recipe.image.sun_elevation_deg = 20.0 + 60.0 * draw(1);
        let folder = generate(trial.seed, body, &recipe)?;
        let way = Way {
            origin: Pose2::new(MAP_MARGIN_M, MAP_ASIDE_M, 0.0),
            length_m: trial.distance_m,
        };
        let world = folder.world(&View {
            node_m: Some(NODE_M),
            clear_m: clear(&way),
            sun_rad: Some([sun_azimuth_rad(trial), trial.sun_deg.to_radians()]),
            ..View::everything()
        })?;
        let map = OrbitalMap {
            ortho: orbit::misregistered(folder.site.layer(ORTHO)?, trial.seed),
            elevation: orbit::erring(folder.site.layer(ELEVATION)?, trial.seed),
            params: kit.params,
        };
        Ok(Self {
            world,
            way,
            map: Some(map),
        })
    }
}

/// The way: a straight line with waves.
pub struct Way {
    origin: Pose2,
    length_m: f64,
}

impl Way {
    fn new(trial: &Trial) -> Self {
        let yaw_rad = std::f64::consts::TAU * noise::unit(noise::hash(trial.seed, CHANNEL, 0, 0));
        let half_m = 0.5 * side_m(trial);
        let middle = Pose2::new(half_m, half_m, wrap_rad(yaw_rad));
        let [x, y] = middle.point(-0.5 * trial.distance_m, 0.0);
        Self {
            origin: Pose2::new(x, y, middle.yaw_rad),
            length_m: trial.distance_m,
        }
    }

    fn aside(along_m: f64) -> (f64, f64) {
        let k = std::f64::consts::TAU / WIND_LENGTH_M;
        (
            WIND_M * (k * along_m).sin(),
            WIND_M * k * (k * along_m).cos(),
        )
    }

    /// The line's direction and place so many metres on.
    #[must_use]
    pub fn pose(&self, along_m: f64) -> Pose2 {
        let (aside_m, slope) = Self::aside(along_m);
        let [x, y] = self.origin.point(along_m, aside_m);
        Pose2::new(x, y, wrap_rad(self.origin.yaw_rad + slope.atan()))
    }

    /// Towards a place two metres on.
    #[must_use]
    pub fn command(&self, pose: Pose2, rover: &Rover) -> Velocity {
        let (s, c) = self.origin.yaw_rad.sin_cos();
        let along_m = c * (pose.x_m - self.origin.x_m) + s * (pose.y_m - self.origin.y_m);
        let ahead = self.pose(along_m + 2.0);
        let bearing = (ahead.y_m - pose.y_m).atan2(ahead.x_m - pose.x_m);
        let off_rad = wrap_rad(bearing - pose.yaw_rad);
        let speed_mps = rover.drive.cruise_mps;
        let most = speed_mps / rover.drive.min_turn_radius_m.max(0.5);
        Velocity {
            speed_mps,
            turn_radps: (speed_mps * off_rad).clamp(-most, most),
        }
    }
}

fn side_m(trial: &Trial) -> f64 {
    (trial.distance_m + 2.0 * (MARGIN_M + WIND_M)).ceil() + 4.0
}

fn world(trial: &Trial, way: &Way, body: &Body) -> Result<World, SweepError> {
    let side_m = side_m(trial);
    let regional = Shape {
        size_m: [side_m, side_m],
        resolution_m: 1.0,
        slope_deg: trial.slope_deg,
        relief_rms_deg: 3.0,
        relief_longest_m: 96.0,
    };
    let site = plain(trial.seed, body, &regional)?;
    let clear_m = clear(way);
    let ends = [0.0, 0.25, 0.5, 0.75, 1.0].map(|t| {
        let p = way.pose(t * way.length_m);
        [p.x_m, p.y_m]
    });
    let start = ends[0];
    let region_m = WorldParams::region_around(&ends, MARGIN_M - 2.0);
    Ok(World::from_site(
        &site,
        &WorldParams {
            rock_cfa: trial.cfa,
            // The trial sets slip itself.
            unlabelled: Unlabelled::Class(TerrainClass::SmoothRegolith),
            clear_m,
            sun_azimuth_rad: sun_azimuth_rad(trial),
            sun_elevation_rad: trial.sun_deg.to_radians(),
            ..WorldParams::demo(trial.seed, region_m, start)
        },
    )?)
}

/// The line without rocks.
fn clear(way: &Way) -> Vec<[f64; 3]> {
    let mut clear_m = Vec::new();
    let mut along_m = -4.0;
    while along_m < way.length_m + 6.0 {
        let p = way.pose(along_m);
        clear_m.push([p.x_m, p.y_m, FREE_M]);
        along_m += 1.0;
    }
    clear_m
}

/// Direction to the sun that shines on the drive, radians counter-clockwise from east.
fn sun_azimuth_rad(trial: &Trial) -> f64 {
    wrap_rad(std::f64::consts::TAU * noise::unit(noise::hash(trial.seed, CHANNEL, 1, 0)))
}

/// Slip that changes along the way: each stretch has its own, between none and twice the mean.
#[must_use]
pub fn bursts(trial: &Trial) -> FaultSchedule {
    let count = (trial.distance_m / BURST_EVERY_M).ceil() as i64;
    let of = |slip: f64, when: When, lasts_s: Option<f64>| Scheduled {
        when,
        lasts_s,
        fault: Fault::SlipBurst { slip },
    };
    let mut faults = vec![of(0.5 * trial.extra_slip, When::DistanceM(0.0), None)];
    for k in 0..count {
        let share = noise::unit(noise::hash(trial.seed, CHANNEL, 2, k));
        let when = When::DistanceM(BURST_EVERY_M * k as f64 + 1.0);
        faults.push(of(share * trial.extra_slip, when, Some(BURST_S)));
    }
    FaultSchedule { faults }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sojourn_core::raster::HeightField;
    use std::path::Path;

    #[test]
    fn a_course_with_a_map_comes_from_its_seed_and_its_map_is_not_the_truth() {
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
        let kit = MapKit {
            recipes: vec![Recipe::load(&config.join("worlds/mixed.yaml")).unwrap()],
            params: MapFixParams::load(&config.join("mapfix.yaml")).unwrap(),
        };
        let body = Body::load(&config.join("bodies/mars.yaml")).unwrap();
        let trial = Trial {
            seed: 4,
            distance_m: 5.0,
            cfa: 0.05,
            extra_slip: 0.1,
            slope_deg: 3.0,
            sun_deg: 40.0,
        };
        let [one, again] = [0, 1].map(|_| Course::mapped(&trial, &kit, &body).unwrap());
        let (map, same) = (one.map.unwrap(), again.map.unwrap());
        let bits = |m: &OrbitalMap| {
            m.ortho
                .data()
                .iter()
                .map(|v| v.to_bits())
                .collect::<Vec<_>>()
        };
        // Beyond the edge nothing is known.
        assert!(bits(&map) == bits(&same));
        // The ground that the wheels stand on is not what the elevation model says, to decimetres.
        let (mut n, mut square) = (0.0, 0.0);
        for k in 0..=50 {
            let p = one.way.pose(0.1 * f64::from(k));
            let truth = one.world.height_m(p.x_m, p.y_m).unwrap();
            let said = map.elevation.sample(p.x_m, p.y_m).unwrap();
            assert!(map.ortho.sample(p.x_m, p.y_m).unwrap() > 0.0);
            n += 1.0;
            square += (truth - said).powi(2);
        }
        let rms_m = (square / n).sqrt();
        assert!((0.01..0.5).contains(&rms_m), "{rms_m}");
    }
}
