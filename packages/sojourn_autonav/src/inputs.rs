//! What AutoNav hears: goal, terrain, poses, slip; what is refused, and whether all of it is there and fresh.

use crate::{
    check::tightened,
    config::Config,
    corridor::Corridor,
    drift::{Certainty, Drift},
    felt::Felt,
    fusion::{TerrainLayers, TerrainMap},
    ground::{Ground, StartPatch},
    status::{DriveState, Halt},
};
use sojourn_core::{
    Stamp,
    frames::{BaseLink, Map, Odom, Point, Pose2, Transform},
    geometry::{Xy, distance_m},
    limits::Limits,
    plan::{Mode, WaypointLimits},
    raster::Raster,
    rover::Rover,
    settle::Excess,
    suspension::SuspensionAngles,
};

/// Largest grid that is taken, cells.
pub const MAX_GRID_CELLS: usize = 1_000_000;
/// Most polygons and most points of a corridor that are taken.
pub const MAX_CORRIDOR_POINTS: usize = 10_000;
/// Angles of the suspension that are older tell nothing of where the rover stands, seconds.
const SUSPENSION_FRESH_S: f64 = 0.5;
/// Slip is not learned from measurements older than this, seconds.
const SLIP_FRESH_S: f64 = 5.0;

/// Where to drive, as the executive says every tick.
#[derive(Clone, Debug, PartialEq)]
pub struct Goal {
    /// False: stand still.
    pub active: bool,
    /// The bundle that is driven.
    pub bundle_id: String,
    /// Number of the waypoint.
    pub index: u32,
    /// The waypoint in `map`, metres.
    pub xy_in_map: Xy,
    /// How near is there, metres.
    pub tolerance_m: f64,
    /// How freely the way may be chosen.
    pub mode: Mode,
    /// Polygons in `map`, metres; the rover's centre stays in at least one.
    pub keep_in_map: Vec<Vec<Xy>>,
    /// Polygons in `map`, metres; the whole rover stays out of all of them.
    pub keep_out_map: Vec<Vec<Xy>>,
    /// Limits on the way.
    pub limits: WaypointLimits,
}

impl Goal {
    pub(crate) fn refusal(&self) -> Option<&'static str> {
        let l = &self.limits;
        let polygons = || self.keep_in_map.iter().chain(&self.keep_out_map);
        let positive = [self.tolerance_m, l.tilt_deg, l.slip, l.speed_mps];
        if !self.xy_in_map.iter().all(|v| v.is_finite()) {
            Some("drive goal refused: its position is not finite")
        } else if !positive.iter().all(|v| v.is_finite() && *v > 0.0) {
            Some("drive goal refused: tolerance or a limit is not a positive number")
        } else if polygons().flatten().flatten().any(|v| !v.is_finite()) {
            Some("drive goal refused: its corridor has a point that is not finite")
        } else if polygons().map(Vec::len).sum::<usize>() > MAX_CORRIDOR_POINTS {
            Some("drive goal refused: its corridor and keep-outs have more than 10000 points")
        } else {
            None
        }
    }

    /// Whether this is another way to go than `other`.
    pub(crate) fn differs(&self, other: &Self) -> bool {
        self.active != other.active
            || self.bundle_id != other.bundle_id
            || self.index != other.index
            || self.xy_in_map != other.xy_in_map
            || self.mode != other.mode
    }
}

/// An input. Stamps are those of the measurement, not of the arrival.
#[derive(Clone, Debug)]
pub enum Input {
    /// Heights in `odom`, metres, not-a-number where unknown.
    Grid {
        /// Stamp of the newest image in it.
        stamp: Stamp,
        /// Heights.
        elevation: Raster,
    },
    /// All layers of a terrain grid in `odom`.
    Terrain {
        /// Stamp of the newest image in it.
        stamp: Stamp,
        /// The layers.
        layers: Box<TerrainLayers>,
    },
    /// Slip measured by localization: share of the wheels' way that the ground took back.
    Slip {
        /// Stamp of the measurement.
        stamp: Stamp,
        /// 0 to 1; below 0 when the rover slides ahead.
        slip: f64,
    },
    /// How the suspension stands, where it is measured.
    Suspension {
        /// Stamp of the measurement.
        stamp: Stamp,
        /// The angles.
        angles: SuspensionAngles,
    },
    /// Pose of the rover.
    Pose {
        /// Stamp of the estimate.
        stamp: Stamp,
        /// Pose in `odom`.
        odom_from_base_link: Transform<Odom, BaseLink>,
        /// How well pose and speed are known, where that is told.
        certainty: Option<Certainty>,
    },
    /// Where `odom` lies in `map`.
    MapFromOdom {
        /// Stamp of the estimate.
        stamp: Stamp,
        /// The transform.
        map_from_odom: Transform<Map, Odom>,
    },
    /// Where to drive.
    Goal {
        /// Stamp of the command.
        stamp: Stamp,
        /// The command.
        goal: Goal,
    },
    /// A control period has passed: decide.
    Tick,
}

/// Everything fresh and in `odom`.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    pub pose: Pose2,
    /// REP-103.
    pub pitch_rad: f64,
    pub tilt_rad: f64,
    pub map_from_odom: Transform<Map, Odom>,
    pub goal_xy: Xy,
    pub distance_m: f64,
    pub tolerance_m: f64,
    pub mode: Mode,
    pub corridor: Corridor,
    pub limits: Limits,
    pub rim_mps: f64,
}

/// The newest of everything heard.
#[derive(Clone, Debug)]
pub(crate) struct Inputs {
    map: TerrainMap,
    felt: Felt,
    grid_stamp: Option<Stamp>,
    fresh_layers: Vec<TerrainLayers>,
    pub ground: Option<Ground>,
    pub grid_is_new: bool,
    patch: Option<StartPatch>,
    pose: Option<(Stamp, Transform<Odom, BaseLink>)>,
    drift: Drift,
    map_from_odom: Option<(Stamp, Transform<Map, Odom>)>,
    goal: Option<(Stamp, Goal)>,
    slip: Option<(Stamp, f64)>,
    suspension: Option<(Stamp, SuspensionAngles)>,
    pub driven_since_grid_m: f64,
    pub driven_m: f64,
    pub refused: Option<String>,
}

impl Inputs {
    /// The newest drive goal.
    pub fn goal(&self) -> Option<&Goal> {
        self.goal.as_ref().map(|(_, goal)| goal)
    }

    pub fn new(config: &Config, rover: &Rover) -> Self {
        Self {
            map: TerrainMap::new(config.map_m, config.map_sigmas),
            felt: Felt::new(rover),
            grid_stamp: None,
            fresh_layers: Vec::new(),
            ground: None,
            grid_is_new: false,
            patch: None,
            pose: None,
            drift: Drift::new(config.start_known_m + config.commit_m + config.stop_m),
            map_from_odom: None,
            goal: None,
            slip: None,
            suspension: None,
            driven_since_grid_m: 0.0,
            driven_m: 0.0,
            refused: None,
        }
    }

    pub fn take_grid(&mut self, stamp: Stamp, layers: TerrainLayers) {
        let elevation = &layers.elevation;
        if elevation.cols().saturating_mul(elevation.rows()) > MAX_GRID_CELLS {
            self.refused = Some(format!(
                "terrain grid refused: {} x {} cells, expected at most {MAX_GRID_CELLS}",
                elevation.cols(),
                elevation.rows()
            ));
            return;
        }
        if let Some(why) = layers.refusal() {
            self.refused = Some(why);
            return;
        }
        if self.grid_stamp.is_some_and(|old| stamp < old) {
            self.refused = Some("terrain grid refused: it is older than the one before".into());
            return;
        }
        // Until the next tick: the starting place may come after it. Two are enough, for newer cells replace older.
        if self.fresh_layers.len() > 1 {
            self.fresh_layers.remove(0);
        }
        self.fresh_layers.push(layers);
        self.grid_stamp = Some(stamp);
        self.driven_since_grid_m = 0.0;
    }

    pub fn take_pose(&mut self, stamp: Stamp, pose: Transform<Odom, BaseLink>, start_known_m: f64) {
        if !finite(&pose.iso) {
            self.refused = Some("odometry refused: the pose is not finite".into());
            return;
        }
        if let Some((old, before)) = &self.pose {
            if stamp < *old {
                self.refused = Some("odometry refused: it is older than the one before".into());
                return;
            }
            let step = pose.iso.translation.vector.xy() - before.iso.translation.vector.xy();
            self.driven_since_grid_m += step.norm();
            self.driven_m += step.norm();
        }
        if self.patch.is_none() {
            self.patch = StartPatch::under(&pose, start_known_m);
        }
        self.pose = Some((stamp, pose));
    }

    /// Takes how well the newest pose is known.
    pub fn take_certainty(&mut self, told: Certainty) {
        match &self.pose {
            Some((_, pose)) if told.is_finite() => self.drift.take(pose.planar(), &told),
            Some(_) => self.refused = Some("covariance of odometry refused: not finite".into()),
            None => {}
        }
    }

    /// By how much rocks are grown for the pose, metres: for what it may drift between seeing ground and standing on it.
    pub fn inflate_m(&self, config: &Config, rover: &Rover) -> f64 {
        let drift_m = config.drift_sigmas * self.drift.sigma_m(rover.footprint_radius_m());
        drift_m.clamp(config.inflate_m, config.inflate_max_m)
    }

    pub fn take_map_from_odom(&mut self, stamp: Stamp, map_from_odom: Transform<Map, Odom>) {
        if finite(&map_from_odom.iso) {
            self.map_from_odom = Some((stamp, map_from_odom));
        } else {
            self.refused = Some("map_from_odom refused: it is not finite".into());
        }
    }

    /// Takes a goal; true when it is another way to go than before.
    pub fn take_goal(&mut self, stamp: Stamp, goal: Goal) -> bool {
        if let Some(why) = goal.refusal() {
            self.refused = Some(why.into());
            return false;
        }
        let other = self.goal.as_ref().is_none_or(|(_, old)| goal.differs(old));
        self.goal = Some((stamp, goal));
        other
    }

    pub fn take_slip(&mut self, stamp: Stamp, slip: f64) {
        if slip.is_finite() {
            self.slip = Some((stamp, slip));
        } else {
            self.refused = Some("slip refused: it is not finite".into());
        }
    }

    pub fn take_suspension(&mut self, stamp: Stamp, angles: SuspensionAngles) {
        let [left, right] = angles.bogie_rad;
        if [angles.differential_rad, left, right]
            .iter()
            .all(|v| v.is_finite())
        {
            self.suspension = Some((stamp, angles));
        } else {
            self.refused = Some("angles of the suspension refused: not finite".into());
        }
    }

    /// The angle of the suspension that is nearest to its limit, when it is told and fresh.
    pub fn strain(&self, now: Stamp, limits: &Limits) -> Option<Excess> {
        let (stamp, s) = self.suspension?;
        if !(now.since(stamp).abs() <= SUSPENSION_FRESH_S) {
            return None;
        }
        let bogie = s.bogie_rad[0].abs().max(s.bogie_rad[1].abs());
        [
            (
                "differential_deg",
                s.differential_rad.abs(),
                limits.differential_deg,
            ),
            ("bogie_deg", bogie, limits.bogie_deg),
        ]
        .into_iter()
        .map(|(limit, angle_rad, allowed)| Excess {
            limit,
            value: angle_rad.to_degrees(),
            allowed,
        })
        .max_by(|a, b| (a.value / a.allowed).total_cmp(&(b.value / b.allowed)))
    }

    /// The newest slip, once, when it is fresh.
    pub fn fresh_slip(&mut self, now: Stamp) -> Option<f64> {
        let (stamp, slip) = self.slip.take()?;
        (now.since(stamp).abs() <= SLIP_FRESH_S).then_some(slip)
    }

    /// Works what has come in into the ground around the rover.
    pub fn fuse(&mut self, config: &Config, rover: &Rover) {
        if self.patch.is_none() || self.fresh_layers.is_empty() {
            return;
        }
        let Some((_, pose)) = &self.pose else {
            return;
        };
        let p = pose.planar();
        let xy = [p.x_m, p.y_m];
        for layers in self.fresh_layers.drain(..) {
            self.map.merge(&layers, xy);
        }
        self.felt.forget_far(xy);
        self.prepare(xy, config, rover);
    }

    /// The map around a place as the planner uses it.
    fn prepare(&mut self, xy: Xy, config: &Config, rover: &Rover) {
        let inflate_m = self.inflate_m(config, rover);
        let half_m = 2.0 * config.arc_length_m + rover.footprint_radius_m() + 1.0;
        match self.map.window(xy, half_m) {
            Ok(mut window) => {
                self.felt.hold(&mut window);
                let patch = self.patch.as_ref();
                let [mean, _, _, class] = &window;
                self.ground = Some(if config.planner.knows_means_only() {
                    Ground::of_means(mean, class, patch, inflate_m)
                } else {
                    Ground::prepare(&window, patch, inflate_m)
                });
                self.grid_is_new = true;
            }
            Err(e) => self.refused = Some(format!("terrain grid refused: {e}")),
        }
    }

    /// Corrects the map by where the wheels stand now; false where that is not told, is at the edge of what the suspension may do, or
    /// does not fit the map at all.
    pub fn feel(&mut self, now: Stamp, limits: &Limits, config: &Config, rover: &Rover) -> bool {
        let strain = self.strain(now, limits);
        let eased = strain.is_some_and(|e| e.value <= config.suspension_hold_share * e.allowed);
        let (Some((_, angles)), Some((_, pose)), Some(ground)) =
            (self.suspension, &self.pose, &self.ground)
        else {
            return false;
        };
        let p = pose.planar();
        let felt = eased && self.felt.stand(rover, pose, &angles, &ground.seen);
        if felt {
            self.prepare([p.x_m, p.y_m], config, rover);
        }
        felt
    }

    /// Whether the executive has a goal that is to be driven.
    pub fn goal_is_active(&self) -> bool {
        self.goal.as_ref().is_some_and(|(_, g)| g.active)
    }

    /// Whether all inputs are there and fresh.
    pub fn scope(&self, now: Stamp, c: &Config, rover: &Rover) -> Result<Scope, Halt> {
        use DriveState::{Idle, Stopped};
        let Some((goal_stamp, goal)) = &self.goal else {
            return Err(Halt::new(Idle, "no drive goal yet"));
        };
        let stale = |what: &str, stamp: Stamp, timeout_s: f64| {
            let age = now.since(stamp);
            (!(age.abs() <= timeout_s)).then(|| {
                Halt::new(
                    Stopped,
                    format!("{what} is {age:.1} s old, limit {timeout_s} s"),
                )
            })
        };
        if !goal.active {
            return Err(Halt::new(
                Idle,
                "the executive wants the rover to stand still",
            ));
        }
        if let Some(halt) = stale("the drive goal", *goal_stamp, c.goal_timeout_s) {
            return Err(halt);
        }
        let Some((pose_stamp, pose)) = &self.pose else {
            return Err(Halt::new(Idle, "no odometry yet"));
        };
        let Some((tf_stamp, map_from_odom)) = &self.map_from_odom else {
            return Err(Halt::new(Idle, "no map_from_odom yet"));
        };
        let Some(grid_stamp) = self.grid_stamp else {
            return Err(Halt::new(Idle, "no terrain grid yet"));
        };
        for (what, stamp, limit) in [
            ("the pose", *pose_stamp, c.pose_timeout_s),
            ("map_from_odom", *tf_stamp, c.pose_timeout_s),
            ("the terrain grid", grid_stamp, c.grid_timeout_s),
        ] {
            if let Some(halt) = stale(what, stamp, limit) {
                return Err(halt);
            }
        }
        let planar = pose.planar();
        let odom_from_map = map_from_odom.inverse();
        let goal_in_odom = odom_from_map * Point::new(goal.xy_in_map[0], goal.xy_in_map[1], 0.0);
        let goal_xy = [goal_in_odom.xyz.x, goal_in_odom.xyz.y];
        let limits = tightened(&rover.limits, &goal.limits);
        let up = pose.iso.rotation * nalgebra::Vector3::z();
        Ok(Scope {
            pose: planar,
            pitch_rad: pose.iso.rotation.euler_angles().1,
            tilt_rad: up.z.clamp(-1.0, 1.0).acos(),
            map_from_odom: *map_from_odom,
            goal_xy,
            distance_m: distance_m([planar.x_m, planar.y_m], goal_xy),
            tolerance_m: goal.tolerance_m,
            mode: goal.mode,
            corridor: Corridor::in_odom(&goal.keep_in_map, &odom_from_map).keeping_out(
                &goal.keep_out_map,
                &odom_from_map,
                rover.footprint_radius_m(),
                [planar.x_m, planar.y_m],
            ),
            rim_mps: rover.drive.cruise_mps.min(limits.wheel_speed_mps),
            limits,
        })
    }
}

fn finite(iso: &nalgebra::Isometry3<f64>) -> bool {
    iso.translation.vector.iter().all(|v| v.is_finite())
        && iso.rotation.coords.iter().all(|v| v.is_finite())
}

#[cfg(test)]
mod tests;
