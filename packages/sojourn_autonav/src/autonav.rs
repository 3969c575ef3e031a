//! The driver: follows what was planned, plans the next metre while it drives this one, and stops with a reason
//! whenever something is missing.

mod backing;
mod course;
mod leaving;
mod reflexes;

use self::leaving::WayOn;
use crate::{
    check::Checker,
    coarse::CoarseMap,
    config::{Config, ConfigError},
    costmap::FarMemory,
    follow::{Track, Turn},
    fusion::TerrainLayers,
    hybrid::HybridAStar,
    inputs::{Inputs, Scope},
    orbital::Orbital,
    search::{Path, Weighed},
    slide::Slide,
    status::{Halt, health},
};
pub use crate::{
    inputs::{Goal, Input, MAX_CORRIDOR_POINTS, MAX_GRID_CELLS},
    status::{Decision, DriveState},
};
use reflexes::Climb;
use sojourn_core::{
    Stamp,
    frames::Pose2,
    geometry::{Xy, distance_m},
    kinematics::{Velocity, limited},
    limits::Share,
    rover::Rover,
    slip_forecast::{SlipMemory, SlipPriors},
};
use std::collections::VecDeque;
use std::sync::Arc;

/// The waypoint counts as reached at this share of its tolerance, so that the executive sees it reached too.
const ARRIVED_SHARE: f64 = 0.95;
/// A step of the pose that is farther than this many ticks' way at full speed is a jump: nothing under way holds then.
const JUMP_TICKS: f64 = 20.0;

#[derive(Clone, Debug)]
pub(crate) enum Phase {
    /// A planning is due.
    Plan,
    /// In place, then along a track, so many metres of it before the next planning.
    Turn(Turn, Track, f64),
    Follow(Track, f64),
    Back(Track),
    /// Turning in place to see other ground, or as a leg of a way on.
    Look(Turn),
    /// Standing, and looking for a way over all of the known ground.
    Seek(Box<HybridAStar>),
    /// Waiting for a better grid.
    Wait(String),
}

/// A way planned while the one before is still driven.
#[derive(Clone, Debug)]
pub(crate) struct Next {
    pub path: Path,
    /// When the planning has ended.
    pub ready: Stamp,
}

/// The local planner.
#[derive(Clone, Debug)]
pub struct AutoNav {
    pub(crate) config: Config,
    pub(crate) rover: Rover,
    pub(crate) checker: Checker,
    pub(crate) inputs: Inputs,
    pub(crate) coarse: CoarseMap,
    /// What was worked out of ground beyond the map.
    pub(crate) far: FarMemory,
    /// What the ground looks like from orbit, where that is known.
    pub(crate) orbital: Option<Arc<Orbital>>,
    pub(crate) phase: Phase,
    pub(crate) next: Option<Next>,
    /// The next way was thought of over this ground and this track, and there is none.
    pub(crate) thought_in_vain: bool,
    /// A planning under way on a slow computer ends then; the rover stands until it has.
    thinking_until: Option<Stamp>,
    /// The track driven forward since the last turn, newest last.
    pub(crate) crumbs: VecDeque<Pose2>,
    pub(crate) backed_m: f64,
    /// The way on that is looked for where no candidate leads on.
    pub(crate) way_on: WayOn,
    /// How far ahead the pursuit of what is under way looks, metres.
    pub(crate) look_m: f64,
    /// Share of the limits that what is under way may use.
    pub(crate) held: Share,
    pub(crate) looks: u32,
    pub(crate) dead_ends: Vec<Xy>,
    pub(crate) blocked_since: Option<Stamp>,
    /// Least distance to the waypoint so far, metres.
    nearest_m: f64,
    /// Where this goal began: way driven until then, straight distance, time.
    begun: Option<(f64, f64, Stamp)>,
    last_pose: Option<Pose2>,
    /// Where the rover was at the last tick, and what it was told to drive.
    driven: Option<(Pose2, Velocity)>,
    /// Way that the wheels have rolled since slip was last felt, metres, backward negative.
    pub(crate) rolled_m: f64,
    /// How it climbs.
    pub(crate) climb: Climb,
    /// How it leaves the way that its wheels steer.
    pub(crate) slide: Slide,
    last_tick: Option<Stamp>,
    pub(crate) gave_up: Option<String>,
    pub(crate) curvature_now_per_m: f64,
    /// How far the rover leant where the way under way begins, radians; none before it has begun.
    pub(crate) leant_rad: Option<f64>,
    /// Share of its limits that the suspension took where the way or turn under way begins; none before it has begun.
    pub(crate) strained: Option<f64>,
    /// Where the way under way was last checked.
    pub(crate) checked_at: Option<Xy>,
    /// The ground or the way from here is to be checked again though no new grid has come.
    pub(crate) look_again: bool,
    pub(crate) stops: u32,
    /// Whether something forbade any motion at the last tick: an excess that lasts is one stop.
    was_forbidden: bool,
    think_stops: u32,
    pub(crate) planning: u64,
    pub(crate) sought: u64,
    pub(crate) settled: usize,
    pub(crate) looked_up: usize,
    pub(crate) candidates: Arc<Vec<Weighed>>,
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
            inputs: Inputs::new(&config, &rover),
            coarse: CoarseMap::new(config.coarse_m, config.costmap_cell_m),
            far: FarMemory::default(),
            orbital: None,
            look_m: config.lookahead_m,
            held: config.hold_share,
            config,
            rover,
            checker,
            phase: Phase::Plan,
            next: None,
            thought_in_vain: false,
            thinking_until: None,
            crumbs: VecDeque::new(),
            backed_m: 0.0,
            way_on: WayOn::default(),
            looks: 0,
            dead_ends: Vec::new(),
            blocked_since: None,
            nearest_m: f64::INFINITY,
            begun: None,
            last_pose: None,
            driven: None,
            rolled_m: 0.0,
            climb: Climb::default(),
            slide: Slide::default(),
            last_tick: None,
            gave_up: None,
            curvature_now_per_m: 0.0,
            leant_rad: None,
            strained: None,
            checked_at: None,
            look_again: false,
            stops: 0,
            was_forbidden: false,
            think_stops: 0,
            planning: 0,
            sought: 0,
            settled: 0,
            looked_up: 0,
            candidates: Arc::new(Vec::new()),
        })
    }

    /// Begins with what a table says of slip on each class, when it is this rover's; says whether it is.
    pub fn expect_slip(&mut self, priors: &SlipPriors) -> bool {
        let own = priors.rover == self.rover.name;
        if own {
            let slip = self.checker.slip_mut();
            *slip = slip.clone().with_priors(priors);
        }
        own
    }

    /// Begins with what earlier drives learned of slip.
    ///
    /// # Errors
    /// [`ConfigError`] when it was learned over other models of slip.
    pub fn recall_slip(&mut self, memory: &SlipMemory) -> Result<(), ConfigError> {
        Ok(self.checker.slip_mut().recall(memory)?)
    }

    /// From the next planning on ground that was not seen costs what orbit tells of it, never less than unknown ground. It
    /// ranks ways only; `None` takes it away again.
    pub fn see_from_orbit(&mut self, orbital: Option<Arc<Orbital>>) {
        self.orbital = orbital;
    }

    /// From the next planning on ways are ranked by the weights of another configuration; nothing else of it counts.
    pub fn weigh_by(&mut self, config: &Config) {
        self.config.take_weights(config);
    }

    /// Takes an input; a tick gives a decision, everything else gives nothing.
    pub fn step(&mut self, now: Stamp, input: Input) -> Option<Decision> {
        match input {
            Input::Grid { stamp, elevation } => {
                self.inputs.take_grid(stamp, TerrainLayers::of(elevation));
            }
            Input::Terrain { stamp, layers } => self.inputs.take_grid(stamp, *layers),
            Input::Slip { stamp, slip } => self.inputs.take_slip(stamp, slip),
            Input::Suspension { stamp, angles } => self.inputs.take_suspension(stamp, angles),
            Input::Pose {
                stamp,
                odom_from_base_link,
                certainty,
            } => {
                self.inputs
                    .take_pose(stamp, odom_from_base_link, self.config.start_known_m);
                if let Some(told) = certainty {
                    self.inputs.take_certainty(told);
                }
            }
            Input::MapFromOdom {
                stamp,
                map_from_odom,
            } => self.inputs.take_map_from_odom(stamp, map_from_odom),
            Input::Goal { stamp, goal } => {
                if self.inputs.take_goal(stamp, goal) {
                    self.forget();
                }
            }
            Input::Tick => return Some(self.tick(now)),
        }
        None
    }

    /// What is known of slip so far.
    #[must_use]
    pub fn slip(&self) -> &crate::slip_forecast::SlipForecast {
        self.checker.slip()
    }

    /// The prepared ground around the rover, for displays.
    #[must_use]
    pub fn ground(&self) -> Option<&crate::ground::Ground> {
        self.inputs.ground.as_ref()
    }

    /// Another goal: what was tried for the old one counts no more.
    fn forget(&mut self) {
        self.halt();
        self.gave_up = None;
        self.blocked_since = None;
        self.backed_m = 0.0;
        self.way_on.forget();
        self.looks = 0;
        self.dead_ends.clear();
        self.coarse.forget_visits();
        self.nearest_m = f64::INFINITY;
        self.begun = None;
    }

    /// Whatever was under way has to be looked at afresh.
    fn halt(&mut self) {
        self.phase = Phase::Plan;
        self.next = None;
        self.way_on.legs.clear();
        self.way_on.leave();
    }

    fn tick(&mut self, now: Stamp) -> Decision {
        self.inputs.fuse(&self.config, &self.rover);
        let backwards = self.last_tick.is_some_and(|before| now < before);
        self.last_tick = Some(now);
        let scope = if backwards {
            Err(Halt::new(
                DriveState::Stopped,
                "the clock has gone backwards",
            ))
        } else {
            self.inputs.scope(now, &self.config, &self.rover)
        };
        if !self.inputs.goal_is_active() {
            self.crumbs.clear();
        }
        let (velocity, state, reason, warn, distance_m) = match scope {
            Err(halt) => {
                self.halt();
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
                if let Some((before, driven)) = self.driven.take() {
                    self.slide.take(before, scope.pose, driven);
                    self.rolled_m = driven.speed_mps * self.rover.cadence.control_period_s;
                }
                match self.act(now, &scope) {
                    Ok((velocity, state, reason)) => {
                        // The last word on speed and on not-a-number.
                        let v = limited(&self.rover, velocity, scope.rim_mps);
                        self.driven = Some((scope.pose, v));
                        (v, state, reason, false, d)
                    }
                    Err(halt) => (Velocity::STOP, halt.state, halt.reason, halt.warn, d),
                }
            }
        };
        if velocity.speed_mps != 0.0 {
            self.curvature_now_per_m = velocity.turn_radps / velocity.speed_mps;
        }
        let refused = self.inputs.refused.take();
        Decision {
            velocity,
            state,
            health: health(state, refused.as_deref(), warn, &reason),
            reason,
            stops: self.stops,
            gave_up: self.gave_up.is_some(),
            distance_m,
            planning: self.planning,
            sought: self.sought,
            settled: self.settled,
            looked_up: self.looked_up,
            think_stops: self.think_stops,
            driven_m: self
                .begun
                .map_or(0.0, |(from_m, ..)| self.inputs.driven_m - from_m),
            inflate_m: self.inputs.inflate_m(&self.config, &self.rover),
            candidates: Arc::clone(&self.candidates),
        }
    }

    /// What forbids any motion now.
    fn forbidden(&mut self, scope: &Scope) -> Result<(), Halt> {
        use DriveState::Stopped;
        let (x, y) = (scope.pose.x_m, scope.pose.y_m);
        let way_m = scope.rim_mps * self.rover.cadence.control_period_s * JUMP_TICKS;
        let most_m = way_m.max(self.config.track_tolerance_m);
        let jump_m = self
            .last_pose
            .replace(scope.pose)
            .map_or(0.0, |p| distance_m([p.x_m, p.y_m], [x, y]));
        if !(jump_m <= most_m) {
            self.halt();
            self.crumbs.clear();
            return Err(Halt::new(
                Stopped,
                format!("the pose jumped by {jump_m:.2} m, expected at most {most_m:.2} m"),
            ));
        }
        let why = if scope.corridor.is_empty() {
            "the drive goal has no corridor to stay in".to_string()
        } else if scope.corridor.is_kept_out([x, y]) {
            format!("in a keep-out at x {x:.1} y {y:.1} in odom")
        } else if !scope.corridor.holds([x, y], 0.0) {
            format!("outside the corridor at x {x:.1} y {y:.1} in odom")
        } else if !(scope.tilt_rad <= scope.limits.tilt_rad()) {
            format!(
                "tilt is {:.1} deg, limit {:.1} deg",
                scope.tilt_rad.to_degrees(),
                scope.limits.tilt_deg
            )
        } else {
            return Ok(());
        };
        self.halt();
        Err(Halt::new(Stopped, why))
    }

    /// Budgets of the way and the time to this waypoint.
    fn budgets(&mut self, now: Stamp, scope: &Scope) {
        let (from_m, straight_m, since) =
            *self
                .begun
                .get_or_insert((self.inputs.driven_m, scope.distance_m, now));
        // A waypoint close by is allowed the way around one rock.
        let straight_m = straight_m.max(3.0 * self.config.arc_length_m);
        let c = &self.config;
        let driven_m = self.inputs.driven_m - from_m;
        let most_m = c.path_factor_max * straight_m;
        let took_s = now.since(since);
        let most_s = c.time_factor_max * straight_m / scope.rim_mps.max(1e-3);
        if driven_m > most_m {
            self.gave_up = Some(format!(
                "{driven_m:.1} m driven to this waypoint, path budget {most_m:.1} m"
            ));
        } else if took_s > most_s {
            self.gave_up = Some(format!(
                "{took_s:.0} s spent on this waypoint, time-out {most_s:.0} s"
            ));
        }
    }

    fn act(&mut self, now: Stamp, scope: &Scope) -> Result<(Velocity, DriveState, String), Halt> {
        use DriveState::{Driving, Stopped};
        let forbidden = self.forbidden(scope);
        if forbidden.is_err() && !self.was_forbidden {
            self.stops = self.stops.saturating_add(1);
        }
        self.was_forbidden = forbidden.is_err();
        forbidden?;
        if scope.distance_m <= ARRIVED_SHARE * scope.tolerance_m {
            self.halt();
            return Ok((Velocity::STOP, DriveState::Goal, "at the waypoint".into()));
        }
        if self.gave_up.is_none() {
            self.budgets(now, scope);
        }
        if let Some(why) = &self.gave_up {
            return Err(Halt::new(Stopped, why.clone()));
        }
        if self.inputs.driven_since_grid_m > self.config.grid_max_drive_m {
            return Err(Halt::new(
                Stopped,
                format!(
                    "{:.1} m driven since the newest terrain grid, limit {:.1} m",
                    self.inputs.driven_since_grid_m, self.config.grid_max_drive_m
                ),
            ));
        }
        self.embedding(now, scope)?;
        self.leaning(now, scope)?;
        self.straining(now, scope)?;
        if scope.distance_m < self.nearest_m - self.config.commit_m {
            // Real progress earns a new back-up.
            self.nearest_m = scope.distance_m;
            self.backed_m = 0.0;
            self.way_on.forget();
            self.looks = 0;
        }
        if let Some(wait) = self.seek(now, scope) {
            return Ok((Velocity::STOP, Driving, wait));
        }
        self.drop_crumb(scope.pose);
        let due = self.due(scope);
        if due {
            if let Some(wait) = self.plan_or_wait(now, scope)? {
                return Ok((Velocity::STOP, Driving, wait));
            }
        } else {
            self.think_ahead(now, scope);
        }
        self.inputs.grid_is_new = false;
        self.look_again = false;
        Ok(self.follow(scope))
    }
}
