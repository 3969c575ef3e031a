//! The driver: takes grid, pose and goal, plans, follows, and stops with a reason whenever one of them is missing.

use crate::{
    check::{Blocked, Checker, Verdict, tightened},
    config::{Config, ConfigError},
    corridor::Corridor,
    costmap::{CostMap, Scene},
    follow::{Track, Turn, turn_rate_radps},
    ground::{Ground, StartPatch},
    paths::Soil,
    search::{Path, Search, Weighed},
};
use sojourn_core::{
    Stamp,
    frames::{BaseLink, Map, Odom, Point, Pose2, Transform},
    geometry::{Xy, distance_m},
    health::{Health, NodeState},
    kinematics::{Velocity, limited},
    limits::Limits,
    plan::{Mode, WaypointLimits},
    raster::Raster,
    rover::Rover,
};
use std::collections::VecDeque;
use std::sync::Arc;

pub use sojourn_core::status::AutonavState as DriveState;

/// Largest grid that is taken, cells.
pub const MAX_GRID_CELLS: usize = 1_000_000;
/// Most polygons and most points of a corridor that are taken.
pub const MAX_CORRIDOR_POINTS: usize = 10_000;
/// The waypoint counts as reached at this share of its tolerance, so that the executive sees it reached too.
const ARRIVED_SHARE: f64 = 0.95;
/// Paths end at this share of the tolerance.
const NEAR_SHARE: f64 = 0.8;

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
    /// Limits on the way.
    pub limits: WaypointLimits,
}

impl Goal {
    fn refusal(&self) -> Option<&'static str> {
        let l = &self.limits;
        let positive = [self.tolerance_m, l.tilt_deg, l.slip, l.speed_mps];
        if !self.xy_in_map.iter().all(|v| v.is_finite()) {
            Some("drive goal refused: its position is not finite")
        } else if !positive.iter().all(|v| v.is_finite() && *v > 0.0) {
            Some("drive goal refused: tolerance or a limit is not a positive number")
        } else if self
            .keep_in_map
            .iter()
            .flatten()
            .flatten()
            .any(|v| !v.is_finite())
        {
            Some("drive goal refused: its corridor has a point that is not finite")
        } else if self.keep_in_map.iter().map(Vec::len).sum::<usize>() > MAX_CORRIDOR_POINTS {
            Some("drive goal refused: its corridor has more than 10000 points")
        } else {
            None
        }
    }

    /// Whether this is another way to go than `other`.
    fn differs(&self, other: &Self) -> bool {
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
    /// Pose of the rover.
    Pose {
        /// Stamp of the estimate.
        stamp: Stamp,
        /// Pose in `odom`.
        odom_from_base_link: Transform<Odom, BaseLink>,
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

/// A decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Velocity to drive; always finite and within the limits.
    pub velocity: Velocity,
    /// What is being done.
    pub state: DriveState,
    /// Why, for people.
    pub reason: String,
    /// How often no path was safe since this node started.
    pub stops: u32,
    /// True when AutoNav has given up on this goal: only a new goal makes it move again.
    pub gave_up: bool,
    /// Distance to the waypoint, metres; infinite when unknown.
    pub distance_m: f64,
    /// Number of the newest planning; `candidates` belong to it.
    pub planning: u64,
    /// Poses settled in it.
    pub settled: usize,
    /// Candidates of the newest planning.
    pub candidates: Arc<Vec<Weighed>>,
    /// The node's health.
    pub health: Health,
}

#[derive(Clone, Debug)]
enum Phase {
    /// A planning is due.
    Plan,
    Turn(Turn, Track),
    Follow(Track, f64),
    Back(Track),
    /// Waiting for a better grid.
    Wait(String),
}

/// The local planner.
#[derive(Clone, Debug)]
pub struct AutoNav {
    config: Config,
    rover: Rover,
    checker: Checker,
    grid_stamp: Option<Stamp>,
    /// The newest grid as it came, until the next tick: the starting place may come after it.
    unprepared: Option<Raster>,
    ground: Option<Ground>,
    grid_is_new: bool,
    patch: Option<StartPatch>,
    pose: Option<(Stamp, Transform<Odom, BaseLink>)>,
    map_from_odom: Option<(Stamp, Transform<Map, Odom>)>,
    goal: Option<(Stamp, Goal)>,
    driven_since_grid_m: f64,
    phase: Phase,
    /// The track driven forward since the last turn, newest last.
    crumbs: VecDeque<Pose2>,
    backed_m: f64,
    blocked_since: Option<Stamp>,
    /// Least distance to the waypoint so far, metres.
    nearest_m: f64,
    gave_up: Option<String>,
    refused: Option<String>,
    curvature_now_per_m: f64,
    stops: u32,
    planning: u64,
    settled: usize,
    candidates: Arc<Vec<Weighed>>,
}

/// Everything fresh and in `odom`.
struct Scope {
    pose: Pose2,
    tilt_rad: f64,
    goal_xy: Xy,
    distance_m: f64,
    tolerance_m: f64,
    mode: Mode,
    corridor: Corridor,
    limits: Limits,
    rim_mps: f64,
}

struct Halt {
    state: DriveState,
    reason: String,
    warn: bool,
}

impl Halt {
    fn new(state: DriveState, reason: impl Into<String>) -> Self {
        Self {
            state,
            reason: reason.into(),
            warn: state == DriveState::Stopped,
        }
    }
}

impl AutoNav {
    /// A stopped AutoNav for a rover.
    ///
    /// # Errors
    /// [`ConfigError`] when the rover's description or the configuration cannot be used.
    pub fn new(config: Config, rover: Rover) -> Result<Self, ConfigError> {
        rover.check("rover")?;
        let checker = Checker::new(&config, &rover);
        Ok(Self {
            config,
            rover,
            checker,
            grid_stamp: None,
            unprepared: None,
            ground: None,
            grid_is_new: false,
            patch: None,
            pose: None,
            map_from_odom: None,
            goal: None,
            driven_since_grid_m: 0.0,
            phase: Phase::Plan,
            crumbs: VecDeque::new(),
            backed_m: 0.0,
            blocked_since: None,
            nearest_m: f64::INFINITY,
            gave_up: None,
            refused: None,
            curvature_now_per_m: 0.0,
            stops: 0,
            planning: 0,
            settled: 0,
            candidates: Arc::new(Vec::new()),
        })
    }

    /// Takes an input; a tick gives a decision, everything else gives nothing.
    pub fn step(&mut self, now: Stamp, input: Input) -> Option<Decision> {
        match input {
            Input::Grid { stamp, elevation } => self.take_grid(stamp, elevation),
            Input::Pose {
                stamp,
                odom_from_base_link,
            } => self.take_pose(stamp, odom_from_base_link),
            Input::MapFromOdom {
                stamp,
                map_from_odom,
            } => {
                if finite(&map_from_odom.iso) {
                    self.map_from_odom = Some((stamp, map_from_odom));
                } else {
                    self.refused = Some("map_from_odom refused: it is not finite".into());
                }
            }
            Input::Goal { stamp, goal } => self.take_goal(stamp, goal),
            Input::Tick => return Some(self.tick(now)),
        }
        None
    }

    fn take_grid(&mut self, stamp: Stamp, elevation: Raster) {
        if elevation.cols().saturating_mul(elevation.rows()) > MAX_GRID_CELLS {
            self.refused = Some(format!(
                "terrain grid refused: {} x {} cells, expected at most {MAX_GRID_CELLS}",
                elevation.cols(),
                elevation.rows()
            ));
            return;
        }
        if self.grid_stamp.is_some_and(|old| stamp < old) {
            self.refused = Some("terrain grid refused: it is older than the one before".into());
            return;
        }
        self.unprepared = Some(elevation);
        self.grid_stamp = Some(stamp);
        self.grid_is_new = true;
        self.driven_since_grid_m = 0.0;
    }

    fn take_pose(&mut self, stamp: Stamp, pose: Transform<Odom, BaseLink>) {
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
        }
        if self.patch.is_none() {
            self.patch = StartPatch::under(&pose, self.config.start_known_m);
        }
        self.pose = Some((stamp, pose));
    }

    fn take_goal(&mut self, stamp: Stamp, goal: Goal) {
        if let Some(why) = goal.refusal() {
            self.refused = Some(why.into());
            return;
        }
        if self.goal.as_ref().is_none_or(|(_, old)| goal.differs(old)) {
            self.phase = Phase::Plan;
            self.gave_up = None;
            self.blocked_since = None;
            self.backed_m = 0.0;
            self.nearest_m = f64::INFINITY;
        }
        self.goal = Some((stamp, goal));
    }

    fn tick(&mut self, now: Stamp) -> Decision {
        if self.patch.is_some()
            && let Some(elevation) = self.unprepared.take()
        {
            self.ground = Some(Ground::prepare(
                &elevation,
                self.patch.as_ref(),
                self.config.inflate_m,
            ));
        }
        let (velocity, state, reason, warn, distance_m) = match self.scope(now) {
            Err(halt) => {
                // Whatever was under way has to be looked at afresh when the inputs are back.
                self.phase = Phase::Plan;
                (
                    Velocity::STOP,
                    halt.state,
                    halt.reason,
                    halt.warn,
                    f64::INFINITY,
                )
            }
            Ok(scope) => {
                let d = scope.distance_m;
                match self.act(now, &scope) {
                    Ok((velocity, state, reason)) => {
                        // The last word on speed and on not-a-number.
                        let v = limited(&self.rover, velocity, scope.rim_mps);
                        (v, state, reason, false, d)
                    }
                    Err(halt) => (Velocity::STOP, halt.state, halt.reason, halt.warn, d),
                }
            }
        };
        if velocity.speed_mps != 0.0 {
            self.curvature_now_per_m = velocity.turn_radps / velocity.speed_mps;
        }
        let node = match state {
            DriveState::Idle => NodeState::Idle,
            _ => NodeState::Active,
        };
        let refused = self.refused.take();
        let health = match (&refused, warn) {
            (Some(why), _) => Health::warn(node, why.clone()),
            (None, true) => Health::warn(node, reason.clone()),
            // What changes every tick (metres to go) stays out of the health.
            (None, false) if node == NodeState::Idle => Health {
                reason: reason.clone(),
                ..Health::ok(node)
            },
            (None, false) => Health::ok(node),
        };
        Decision {
            velocity,
            state,
            reason,
            stops: self.stops,
            gave_up: self.gave_up.is_some(),
            distance_m,
            planning: self.planning,
            settled: self.settled,
            candidates: Arc::clone(&self.candidates),
            health,
        }
    }

    /// Whether all inputs are there and fresh.
    fn scope(&mut self, now: Stamp) -> Result<Scope, Halt> {
        use DriveState::{Idle, Stopped};
        let c = &self.config;
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
            self.crumbs.clear();
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
        let limits = tightened(&self.rover.limits, &goal.limits);
        let up = pose.iso.rotation * nalgebra::Vector3::z();
        Ok(Scope {
            pose: planar,
            tilt_rad: up.z.clamp(-1.0, 1.0).acos(),
            goal_xy,
            distance_m: distance_m([planar.x_m, planar.y_m], goal_xy),
            tolerance_m: goal.tolerance_m,
            mode: goal.mode,
            corridor: Corridor::in_odom(&goal.keep_in_map, &odom_from_map),
            rim_mps: self.rover.drive.cruise_mps.min(limits.wheel_speed_mps),
            limits,
        })
    }

    fn act(&mut self, now: Stamp, scope: &Scope) -> Result<(Velocity, DriveState, String), Halt> {
        use DriveState::{Driving, Stopped, Turning};
        if scope.corridor.is_empty() {
            return Err(Halt::new(
                Stopped,
                "the drive goal has no corridor to stay in",
            ));
        }
        if !scope.corridor.holds([scope.pose.x_m, scope.pose.y_m], 0.0) {
            self.phase = Phase::Plan;
            return Err(Halt::new(
                Stopped,
                format!(
                    "outside the corridor at x {:.1} y {:.1} in odom",
                    scope.pose.x_m, scope.pose.y_m
                ),
            ));
        }
        if !(scope.tilt_rad <= scope.limits.tilt_rad()) {
            self.phase = Phase::Plan;
            return Err(Halt::new(
                Stopped,
                format!(
                    "tilt is {:.1} deg, limit {:.1} deg",
                    scope.tilt_rad.to_degrees(),
                    scope.limits.tilt_deg
                ),
            ));
        }
        if scope.distance_m <= ARRIVED_SHARE * scope.tolerance_m {
            self.phase = Phase::Plan;
            return Ok((Velocity::STOP, DriveState::Goal, "at the waypoint".into()));
        }
        if let Some(why) = &self.gave_up {
            return Err(Halt::new(Stopped, why.clone()));
        }
        if self.driven_since_grid_m > self.config.grid_max_drive_m {
            return Err(Halt::new(
                Stopped,
                format!(
                    "{:.1} m driven since the newest terrain grid, limit {:.1} m",
                    self.driven_since_grid_m, self.config.grid_max_drive_m
                ),
            ));
        }
        if scope.distance_m < self.nearest_m - self.config.commit_m {
            // Real progress earns a new back-up.
            self.nearest_m = scope.distance_m;
            self.backed_m = 0.0;
        }
        self.drop_crumb(scope.pose);
        let due = self.due(scope);
        self.grid_is_new = false;
        if due {
            self.plan(now, scope)?;
        }
        let tick_s = self.rover.cadence.control_period_s;
        match &mut self.phase {
            Phase::Turn(turn, track) => {
                match turn.velocity(&self.rover, scope.pose.yaw_rad, scope.rim_mps, tick_s) {
                    Some(v) => {
                        let rest = turn.rest_rad(scope.pose.yaw_rad).to_degrees();
                        self.crumbs.clear();
                        Ok((v, Turning, format!("turning in place, {rest:.0} deg to go")))
                    }
                    None => {
                        let track = track.clone();
                        self.phase = Phase::Follow(track, self.config.commit_m);
                        Ok((Velocity::STOP, Turning, "turned".into()))
                    }
                }
            }
            Phase::Follow(track, _) => {
                let p = track.pursue(
                    &self.rover,
                    scope.pose,
                    self.config.lookahead_m,
                    scope.rim_mps,
                );
                if p.lost {
                    self.phase = Phase::Plan;
                    return Ok((
                        Velocity::STOP,
                        Driving,
                        "lost the path, planning again".into(),
                    ));
                }
                Ok((
                    p.velocity,
                    Driving,
                    format!("driving, {:.1} m to the waypoint", scope.distance_m),
                ))
            }
            Phase::Back(track) => {
                let before = track.progress_m;
                let p = track.pursue(
                    &self.rover,
                    scope.pose,
                    self.config.lookahead_m,
                    scope.rim_mps,
                );
                self.backed_m += track.progress_m - before;
                if p.lost {
                    self.phase = Phase::Plan;
                    return Ok((Velocity::STOP, Driving, "lost the track back".into()));
                }
                Ok((p.velocity, Driving, "no safe path ahead, backing up".into()))
            }
            Phase::Wait(why) => Ok((
                Velocity::STOP,
                Driving,
                format!("waiting for a better view: {why}"),
            )),
            Phase::Plan => Ok((Velocity::STOP, Driving, "planning".into())),
        }
    }

    fn drop_crumb(&mut self, pose: Pose2) {
        if !matches!(self.phase, Phase::Follow(..)) {
            return;
        }
        let far = self.crumbs.back().is_none_or(|last| {
            distance_m([last.x_m, last.y_m], [pose.x_m, pose.y_m]) >= self.config.sample_m()
        });
        if far {
            self.crumbs.push_back(pose);
            let keep = (self.config.backup_max_m / self.config.sample_m()).ceil() as usize + 2;
            while self.crumbs.len() > keep {
                self.crumbs.pop_front();
            }
        }
    }

    /// Whether a planning is due now.
    fn due(&mut self, scope: &Scope) -> bool {
        let Some(ground) = &self.ground else {
            return false;
        };
        let c = &self.config;
        let mut search = Search {
            config: c,
            ground,
            limits: &scope.limits,
            checker: &mut self.checker,
        };
        match &self.phase {
            Phase::Plan => true,
            Phase::Wait(_) => self.grid_is_new,
            Phase::Turn(turn, _) => {
                self.grid_is_new && scope.mode != Mode::Directed && {
                    let rest = turn.rest_rad(scope.pose.yaw_rad);
                    search.turn_blocked(scope.pose, rest).is_some()
                }
            }
            Phase::Follow(track, commit_m) => {
                let rest_m = (commit_m - track.progress_m).max(0.0) + c.stop_m;
                track.progress_m >= commit_m.min(track.length_m())
                    || track.off_m(scope.pose) > c.track_tolerance_m
                    || (self.grid_is_new
                        && scope.mode != Mode::Directed
                        && search.held_blocked(track.ahead(), rest_m, 1.0).is_some())
            }
            Phase::Back(track) => {
                track.progress_m >= track.length_m() - 1e-6
                    || track.off_m(scope.pose) > c.track_tolerance_m
                    || (self.grid_is_new
                        && search
                            .held_blocked(track.ahead(), track.length_m(), -1.0)
                            .is_some())
            }
        }
    }

    fn plan(&mut self, now: Stamp, scope: &Scope) -> Result<(), Halt> {
        let Some(ground) = &self.ground else {
            return Err(Halt::new(DriveState::Idle, "no terrain grid yet"));
        };
        self.planning += 1;
        let turn_radps = turn_rate_radps(&self.rover, scope.rim_mps);
        let mut search = Search {
            config: &self.config,
            ground,
            limits: &scope.limits,
            checker: &mut self.checker,
        };
        let (path, blocked, wants_image) = if scope.mode == Mode::AvoidAll {
            let map = CostMap::build(
                &self.config,
                &self.rover,
                &Scene {
                    ground,
                    corridor: &scope.corridor,
                    rover_xy: [scope.pose.x_m, scope.pose.y_m],
                    goal_xy: scope.goal_xy,
                    limits: &scope.limits,
                    speed_mps: scope.rim_mps,
                },
            );
            let found = search.run(&Soil {
                config: &self.config,
                corridor: &scope.corridor,
                map: &map,
                start: scope.pose,
                goal_xy: scope.goal_xy,
                near_m: NEAR_SHARE * scope.tolerance_m,
                turn_radps,
                curvature_now_per_m: self.curvature_now_per_m,
            });
            self.candidates = Arc::new(found.weighed);
            self.settled = found.settled;
            (found.path, found.blocked, found.wants_image)
        } else {
            search.checker.start();
            let (path, blocked) = direct(&self.config, &self.rover, &mut search, scope);
            self.candidates = Arc::new(weighed_direct(&path, blocked));
            self.settled = search.checker.settled;
            let unknown = blocked.is_some_and(|b| b.verdict == Verdict::Unknown);
            (blocked.is_none().then_some(path), blocked, unknown)
        };
        match path {
            Some(path) => {
                self.blocked_since = None;
                let track = Track::new(path.poses, 1.0);
                self.phase = if path.turn_rad == 0.0 {
                    Phase::Follow(track, path.commit_m)
                } else {
                    Phase::Turn(Turn::by(scope.pose.yaw_rad, path.turn_rad), track)
                };
                Ok(())
            }
            None => self.no_path(now, scope, blocked, wants_image),
        }
    }

    /// No candidate is safe: wait for a view when ground is unknown, back up, wait, give up. Limits stay as they are.
    fn no_path(
        &mut self,
        now: Stamp,
        scope: &Scope,
        blocked: Option<Blocked>,
        wants_image: bool,
    ) -> Result<(), Halt> {
        let why = match &blocked {
            Some(b) => format!("no safe path: {b}"),
            None => "no safe path: every candidate leaves the corridor".to_string(),
        };
        let first = self.blocked_since.is_none();
        let since = *self.blocked_since.get_or_insert(now);
        if first {
            self.stops = self.stops.saturating_add(1);
            if wants_image {
                // The next image may show what is missing.
                self.phase = Phase::Wait(why);
                return Ok(());
            }
        }
        if scope.mode == Mode::AvoidAll
            && let Some(track) = self.way_back(scope)
        {
            self.phase = Phase::Back(track);
            // The time to wait begins when the rover has backed up.
            self.blocked_since = Some(now);
            return Ok(());
        }
        if now.since(since) <= self.config.wait_s {
            self.phase = Phase::Wait(why);
            return Ok(());
        }
        self.phase = Phase::Plan;
        self.gave_up = Some(why.clone());
        Err(Halt::new(DriveState::Stopped, why))
    }

    /// A piece of the track the rover came on, if the allowance is not used up and the ground there still holds.
    fn way_back(&mut self, scope: &Scope) -> Option<Track> {
        let c = &self.config;
        let room_m = (c.backup_max_m - self.backed_m).min(c.commit_m);
        if room_m < c.sample_m() {
            return None;
        }
        let mut poses = vec![scope.pose];
        let mut way_m = 0.0;
        while way_m < room_m - 1e-9 {
            let Some(crumb) = self.crumbs.pop_back() else {
                break;
            };
            let last = poses.last().copied().unwrap_or(scope.pose);
            let step = distance_m([last.x_m, last.y_m], [crumb.x_m, crumb.y_m]);
            if step < 0.5 * c.sample_m() {
                continue;
            }
            way_m += step;
            poses.push(crumb);
        }
        if way_m < c.sample_m() {
            return None;
        }
        let ground = self.ground.as_ref()?;
        let mut search = Search {
            config: c,
            ground,
            limits: &scope.limits,
            checker: &mut self.checker,
        };
        let ahead = poses.get(1..).unwrap_or(&[]);
        let blocked = search.held_blocked(ahead, way_m, -1.0).is_some()
            || ahead
                .iter()
                .any(|p| !scope.corridor.holds([p.x_m, p.y_m], 0.0));
        (!blocked).then(|| Track::new(poses, -1.0))
    }
}

/// The direct arc to the waypoint (modes GUARDED and DIRECTED) and what blocks its committed part.
fn direct(
    c: &Config,
    rover: &Rover,
    search: &mut Search<'_>,
    scope: &Scope,
) -> (Path, Option<Blocked>) {
    let (dx, dy) = (
        scope.goal_xy[0] - scope.pose.x_m,
        scope.goal_xy[1] - scope.pose.y_m,
    );
    let (s, co) = scope.pose.yaw_rad.sin_cos();
    let (ahead, left) = (co * dx + s * dy, co * dy - s * dx);
    let off = left.atan2(ahead);
    let curvature = 2.0 * left / (ahead * ahead + left * left).max(1e-9);
    let guarded = scope.mode == Mode::Guarded;
    let ds = c.sample_m();
    let turn_rad =
        if off.abs() > c.turn_first_rad || curvature.abs() * rover.drive.min_turn_radius_m > 1.0 {
            off
        } else {
            0.0
        };
    let (start, curvature) = if turn_rad == 0.0 {
        (scope.pose, curvature)
    } else {
        (scope.pose.moved(0.0, turn_rad), 0.0)
    };
    let samples = ((scope.distance_m / ds).ceil().max(1.0) as usize).min(c.samples_per_arc);
    let mut poses = vec![start];
    poses.extend(crate::paths::arc(start, curvature, ds, samples));
    let mut blocked = None;
    if guarded {
        blocked = search.turn_blocked(scope.pose, turn_rad).or_else(|| {
            search.held_blocked(
                poses.get(1..).unwrap_or(&[]),
                (c.commit_m + c.stop_m).min(scope.distance_m),
                1.0,
            )
        });
    }
    if blocked.is_none() {
        let committed = ((c.commit_m / ds).ceil() as usize + 1).min(poses.len());
        blocked = poses
            .iter()
            .take(committed)
            .find(|p| !scope.corridor.holds([p.x_m, p.y_m], 0.0))
            .map(|&pose| Blocked {
                pose,
                verdict: Verdict::Unsafe(sojourn_core::settle::Excess {
                    limit: "corridor_depth_m",
                    value: scope.corridor.depth_m([pose.x_m, pose.y_m]),
                    allowed: 0.0,
                }),
            });
    }
    (
        Path {
            turn_rad,
            poses,
            curvature_per_m: curvature,
            commit_m: c.commit_m,
        },
        blocked,
    )
}

fn weighed_direct(path: &Path, blocked: Option<Blocked>) -> Vec<Weighed> {
    vec![Weighed {
        curvature_first_per_m: path.curvature_per_m,
        curvature_second_per_m: 0.0,
        poses: path.poses.clone(),
        chosen: blocked.is_none(),
        safe: blocked.is_none(),
        reason: blocked.map_or(String::new(), |b| b.to_string()),
        cost_s: 0.0,
        max_tilt_rad: 0.0,
        min_clearance_m: f64::INFINITY,
    }]
}

fn finite(iso: &nalgebra::Isometry3<f64>) -> bool {
    iso.translation.vector.iter().all(|v| v.is_finite())
        && iso.rotation.coords.iter().all(|v| v.is_finite())
}
