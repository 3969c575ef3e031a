//! Rough ground and a route over it, for a drive in several simulators.

use super::route::{Around, split};
use anyhow::Context;
use sojourn_core::{
    body::Body,
    error::in_range,
    geometry::{self, Xy},
    plan::{
        Goal, Mode, ModelStage, PLAN_SCHEMA_VERSION, Plan, Start, Waypoint, WaypointLimits,
        digest_of,
    },
    raster::{HeightField, Raster},
    rover::Rover,
    site::{ELEVATION, Site},
};
use sojourn_twin::{
    generate::{Shape, plain},
    world::{World, WorldParams},
};

/// Ground beyond start and goal and to the sides, metres.
const MARGIN_M: f64 = 20.0;
/// Relief on the tilted plane: RMS of the slope over 2 m, degrees, and its longest wavelength, metres.
const RELIEF_RMS_DEG: f64 = 3.0;
const RELIEF_LONGEST_M: f64 = 96.0;
/// Longest segment, metres.
const SEGMENT_M: f64 = 10.0;

/// What ground is wanted.
#[derive(Clone, Copy, Debug)]
pub struct CourseParams {
    /// Everything random comes from it.
    pub seed: u64,
    /// From start to goal, metres.
    pub distance_m: f64,
    /// Golombek's k.
    pub cfa: f64,
    /// Tilt of the plane under the relief, degrees.
    pub slope_deg: f64,
    /// Distance of the nodes, metres.
    pub resolution_m: f64,
}

impl CourseParams {
    /// Checks the ranges.
    ///
    /// # Errors
    /// One sentence that names the option.
    pub fn check(&self) -> anyhow::Result<()> {
        let what = "course";
        in_range(what, "--distance", self.distance_m, 10.0, 2000.0)?;
        in_range(what, "--cfa", self.cfa, 0.0, 0.2)?;
        in_range(what, "--slope", self.slope_deg, 0.0, 20.0)?;
        in_range(what, "--resolution", self.resolution_m, 0.02, 0.5)?;
        Ok(())
    }
}

/// Ground and a route over it.
pub struct Course {
    /// The nodes, as a site whose only layer they are.
    pub site: Site,
    /// Start, corners and goal, metres in `map`.
    pub route_m: Vec<Xy>,
    /// Heading at the start, radians counter-clockwise from east.
    pub yaw_rad: f64,
}

impl Course {
    /// Makes ground with relief of 3° on a tilted plane, with rocks, and a route that drives around the tall ones.
    ///
    /// # Errors
    /// One sentence: a parameter out of range, or no way at all.
    pub fn generate(params: &CourseParams, body: &Body, rover: &Rover) -> anyhow::Result<Self> {
        params.check()?;
        let size = [params.distance_m + 2.0 * MARGIN_M, 2.0 * MARGIN_M];
        let shape = Shape {
            size_m: size,
            resolution_m: 1.0,
            slope_deg: params.slope_deg,
            relief_rms_deg: RELIEF_RMS_DEG,
            relief_longest_m: RELIEF_LONGEST_M,
        };
        let mut site = plain(params.seed, body, &shape)?;
        let start = [MARGIN_M, MARGIN_M];
        let goal = [MARGIN_M + params.distance_m, MARGIN_M];
        let world = WorldParams {
            resolution_m: params.resolution_m,
            rock_cfa: params.cfa,
            clear_m: vec![[start[0], start[1], 3.0], [goal[0], goal[1], 3.0]],
            ..WorldParams::demo(params.seed, [0.0, 0.0, size[0], size[1]], start)
        };
        let world = World::from_site(&site, &world)?;
        let nodes = nodes_of(&world)?;
        let around = Around::new(&world.rocks_in(world.region_m()), rover, size)?;
        let route_m = split(&around.way(start, goal)?, SEGMENT_M);
        let (a, b) = (route_m[0], route_m[1]);
        site.layers.clear();
        site.manifest.layers.clear();
        let source = format!("generated with rocks, seed {}", params.seed);
        site.put(ELEVATION, nodes, "m", &source);
        Ok(Self {
            site,
            yaw_rad: (b[1] - a[1]).atan2(b[0] - a[0]),
            route_m,
        })
    }

    /// The ground: bilinear between its nodes.
    ///
    /// # Errors
    /// Never for a course that [`Course::generate`] made.
    pub fn ground(&self) -> anyhow::Result<&Raster> {
        Ok(self.site.elevation()?)
    }

    /// Length of the route, metres.
    #[must_use]
    pub fn length_m(&self) -> f64 {
        geometry::length_m(&self.route_m)
    }

    /// The route as a plan for `rover`.
    ///
    /// # Errors
    /// When a digest cannot be made.
    pub fn plan(&self, rover: &Rover) -> anyhow::Result<Plan> {
        let waypoint = |ends: &[Xy]| Waypoint {
            x_m: ends[1][0],
            y_m: ends[1][1],
            tolerance_m: 1.0,
            mode: Mode::AvoidAll,
            corridor: geometry::corridor(ends[0], ends[1], 5.0),
            limits: WaypointLimits {
                tilt_deg: rover.limits.tilt_deg,
                slip: rover.limits.slip,
                speed_mps: rover.drive.cruise_mps,
            },
            timeout_s: 3600.0,
            risk: 0.0,
            reasons: vec![],
        };
        let (start, goal) = (self.route_m[0], self.route_m[self.route_m.len() - 1]);
        Ok(Plan {
            schema_version: PLAN_SCHEMA_VERSION,
            name: "course".into(),
            site_digest: self.site.terrain_digest()?,
            body: self.site.manifest.body.clone(),
            rover: rover.name.clone(),
            rover_digest: digest_of("rover", rover)?,
            constraints_digest: String::new(),
            seed: 1,
            start: Start {
                x_m: start[0],
                y_m: start[1],
                yaw_rad: self.yaw_rad,
            },
            goal: Goal {
                x_m: goal[0],
                y_m: goal[1],
                tolerance_m: 1.0,
            },
            waypoints: self.route_m.windows(2).map(waypoint).collect(),
            distance_m: self.length_m(),
            features: vec![],
            keep_out: vec![],
            mission: None,
            disputes: None,
            model: ModelStage::none(),
        })
    }
}

/// The world's nodes as cell centres of a raster, so that reading between the centres is the world itself.
fn nodes_of(world: &World) -> anyhow::Result<Raster> {
    let res = world.resolution_m();
    let [x0, y0, x1, y1] = world.region_m();
    let count = |a: f64, b: f64| ((b - a) / res).round() as usize + 1;
    let (cols, rows) = (count(x0, x1), count(y0, y1));
    let mut data = Vec::with_capacity(cols * rows);
    for r in 0..rows {
        for c in 0..cols {
            // Just inside at the outer border.
            let x = (x0 + c as f64 * res).clamp(x0 + 1e-6, x1 - 1e-6);
            let y = (y0 + r as f64 * res).clamp(y0 + 1e-6, y1 - 1e-6);
            let h = world.height_m(x, y);
            data.push(h.with_context(|| format!("no ground at ({x:.1}, {y:.1}) m"))? as f32);
        }
    }
    let origin = [x0 - 0.5 * res, y0 - 0.5 * res];
    Ok(Raster::new(cols, rows, res, origin, data)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_course_is_rough_tilted_and_keeps_off_tall_rocks() {
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
        let rover = Rover::load(&config.join("rovers/perseverance.yaml")).unwrap();
        let body = Body::load(&config.join("bodies/mars.yaml")).unwrap();
        let params = CourseParams {
            seed: 3,
            distance_m: 30.0,
            cfa: 0.07,
            slope_deg: 7.0,
            resolution_m: 0.1,
        };
        let course = Course::generate(&params, &body, &rover).unwrap();
        assert!(course.length_m() >= 30.0 - 1e-9 && course.length_m() < 45.0);
        let ground = course.ground().unwrap();
        let rise = |x: f64, y: f64| {
            let at = |x: f64, y: f64| ground.height_m(x, y).unwrap();
            (at(x + 20.0, y) - at(x, y)).hypot(at(x, y + 20.0) - at(x, y)) / 20.0
        };
        let slope_deg = rise(20.0, 10.0).atan().to_degrees();
        assert!((3.0..12.0).contains(&slope_deg), "{slope_deg}");
        let plan = course.plan(&rover).unwrap();
        plan.check("course").unwrap();
        assert!(Course::generate(&CourseParams { cfa: 0.5, ..params }, &body, &rover).is_err());
    }
}
