//! The nodes' cores and the wires between them.

mod command;
mod wire;

use super::{
    Counts, Outcome, Scenario, Sensing, Task, TickView,
    eye::{Eye, Glance},
    faults::LoopFaults,
    pairs::Pairs,
    rehearsal,
    visual::StandIn,
};
use crate::SweepError;
use nalgebra::Vector3;
use sojourn_autonav::{
    AutoNav,
    autonav::{self, DriveState as NavState},
    config as nav_config,
    drift::Certainty,
    fusion::TerrainLayers,
    guard::{self, Guard, GuardConfig},
};
use sojourn_core::{
    Stamp,
    frames::{BaseLink, Map, Odom, Pose2, Transform},
    health::Health,
    kinematics::Velocity,
    raster::Raster,
    rover::Rover,
};
use sojourn_localization::{Estimate, Localization};
use sojourn_mission::executive::{
    self, AutonavState, Config as ExecutiveConfig, DriveState, Executive, GoalOut,
};
use sojourn_perception::TerrainGrid;
use sojourn_twin::{
    sim::{ImageEvent, Simulator, Truth, cadence::ImageCadence, imu::ImuSample, score::Score},
    world::World,
};
use std::sync::Arc;
use wire::{autonav_state, certainty, felt, nav_goal, simulator, wheels};

/// AutoNav's status is sent at least this often, seconds, as its node does.
const STATUS_EVERY_S: f64 = 1.0;
/// Standing for longer than this on the way is a stop, seconds.
const STAND_S: f64 = 0.5;
/// How far beyond the grid, as it lies on the map, tiles of classes are held, metres.
const CLASSES_BEYOND_M: f64 = 1.0;

/// What was published in one tick, for the next.
#[derive(Default)]
struct Mail {
    imu: Vec<ImuSample>,
    wheels: Option<(Stamp, sojourn_localization::WheelSample)>,
    suspension: Option<(Stamp, guard::WheelReading)>,
    ground: Option<(Stamp, f64)>,
    image: Option<ImageEvent>,
    glance: Option<Glance>,
    /// The true pose at the wheels' stamp, for visual odometry's stand-in alone.
    truth: Option<Transform<Map, BaseLink>>,
    slip: Option<(Stamp, f64)>,
    odometry: Option<(Stamp, Transform<Odom, BaseLink>)>,
    /// Of that odometry; none of visual odometry's stand-in, whose errors are not those that localization tells.
    certainty: Option<Certainty>,
    map_from_odom: Option<(Stamp, Transform<Map, Odom>)>,
    grid: Option<TerrainGrid>,
    goal: Option<(Stamp, GoalOut)>,
    status: Option<(Stamp, AutonavState, String)>,
    asked: Option<(Stamp, Velocity)>,
    passed: Option<(Stamp, Velocity)>,
    beats: Vec<(&'static str, Stamp, Health)>,
}

enum Seer {
    Eye(Box<Eye>, ImageCadence),
    Pairs(Box<Pairs>),
}

/// The nodes and what is under way between them.
pub(super) struct Graph {
    rover: Rover,
    sim: Simulator,
    command_timeout_s: f64,
    hold_ticks: u64,
    seer: Seer,
    faults: LoopFaults,
    visual: Option<StandIn>,
    /// The ground whose classes the grid tells.
    class_world: Option<Arc<World>>,
    localization: Localization,
    nav: AutoNav,
    guard: Guard,
    executive: Executive,
    mail: Mail,
    command: Option<(Stamp, Velocity)>,
    told: Option<(Stamp, NavState, u32, u64)>,
    account: Account,
    shown: Shown,
}

/// What the observer is shown.
struct Shown {
    now: Stamp,
    truth: Option<Truth>,
    estimate: Option<Estimate>,
    grid: Option<TerrainGrid>,
    decision: Option<autonav::Decision>,
    velocity: Velocity,
    state: DriveState,
    outcome: Option<executive::Outcome>,
}

#[derive(Default)]
struct Account {
    counts: Counts,
    cycle_ms: Vec<f64>,
    planning: u64,
    sought: u64,
    standing_s: f64,
}

impl Graph {
    pub(super) fn new(scenario: &Scenario) -> Result<Self, SweepError> {
        let (rover, settings) = (&scenario.rover, &scenario.settings);
        // A rover of the real kind is rehearsed as a simulated one: it would refuse the rehearsal's key.
        let rover = Rover {
            hardware: false,
            ..rover.clone()
        };
        let plan = match &scenario.task {
            Task::Plan(plan) => (**plan).clone(),
            Task::Goal(goal) => goal.plan(&rover, &scenario.body, scenario.seed)?,
        };
        let start = Pose2::new(plan.start.x_m, plan.start.y_m, plan.start.yaw_rad);
        let sim = simulator(scenario, &rover, &plan, start)?;
        let ground_m = sim.ground_m().unwrap_or(0.0);
        let s = &settings.simulator;
        let seer = match scenario.sensing {
            Sensing::TruthGrid => Seer::Eye(
                Box::new(Eye::new(
                    scenario.world.clone(),
                    sojourn_perception::Config::new(settings.perception.clone(), &rover)?,
                    &rover,
                    scenario.seed,
                )),
                ImageCadence::new(&rover, s.pan_images, s.image_turn_deg.to_radians()),
            ),
            Sensing::Rendered => Seer::Pairs(Box::new(Pairs::new(&settings.perception, &rover)?)),
        };
        let localization = sojourn_localization::Params {
            initial_x_m: start.x_m,
            initial_y_m: start.y_m,
            initial_z_m: ground_m,
            initial_yaw_rad: start.yaw_rad,
            // A sweep has a stand-in for it.
            visual: sojourn_localization::visual::FusionParams {
                enabled: false,
                ..settings.localization.visual
            },
            ..settings.localization.clone()
        };
        let localization = Localization::new(
            sojourn_localization::Config::new(localization, &scenario.body)?,
            &rover,
        );
        let mut nav = AutoNav::new(
            nav_config::Config::new(&settings.autonav, &rover)?,
            rover.clone(),
        )?;
        nav.expect_slip(&settings.autonav.slip_priors()?);
        nav.see_from_orbit(match &scenario.orbital {
            Some(orbital) => Some(Arc::clone(orbital)),
            None => settings.autonav.orbital(&rover)?.map(Arc::new),
        });
        let guard = Guard::new(
            GuardConfig::try_from(settings.guard.clone())?,
            rover.clone(),
        )?;
        let mut executive = Executive::new(
            ExecutiveConfig::try_from(&settings.executive)?,
            rover.clone(),
            std::collections::BTreeSet::new(),
        );
        let bundle = rehearsal::bundle(&plan, &rover, scenario.seed)?;
        let id = bundle.id().to_string();
        executive.offer(bundle)?;
        executive.execute(&id)?;
        Ok(Self {
            sim,
            command_timeout_s: s.command_timeout_s,
            hold_ticks: s.hold_at_tick,
            seer,
            class_world: scenario.ground_classes.then(|| scenario.world.clone()),
            visual: scenario
                .visual_odometry
                .map(|v| StandIn::new(v, scenario.seed)),
            faults: LoopFaults::new(&scenario.faults, &rover, scenario.seed, scenario.sensing)?,
            localization,
            nav,
            guard,
            executive,
            mail: Mail::default(),
            command: None,
            told: None,
            account: Account::default(),
            shown: Shown {
                now: Stamp::default(),
                truth: None,
                estimate: None,
                grid: None,
                decision: None,
                velocity: Velocity::STOP,
                state: DriveState::Idle,
                outcome: None,
            },
            rover,
        })
    }

    /// One tick: everybody hears what was published in the last and publishes for the next.
    pub(super) fn step(&mut self, now: Stamp, tick: u64) {
        let heard = std::mem::take(&mut self.mail);
        let hold = tick < self.hold_ticks;
        self.shown.now = now;
        self.simulate(now, hold, &heard);
        self.see(now, &heard);
        self.localize(now, &heard);
        self.navigate(now, &heard);
        self.guard(now, &heard);
        self.execute(now, hold, &heard);
        self.account_for(hold);
    }

    fn simulate(&mut self, now: Stamp, hold: bool, heard: &Mail) {
        if heard.passed.is_some() {
            self.command = heard.passed;
        }
        let command = self
            .command
            .filter(|(at, _)| now.since(*at).abs() <= self.command_timeout_s)
            .map_or(Velocity::STOP, |(_, v)| v);
        self.sim.set_scoring(!hold);
        let out = self.sim.step(now, command);
        // Nothing has passed before the first tick.
        let dt_s = match self.shown.truth {
            Some(_) => self.rover.cadence.control_period_s,
            None => 0.0,
        };
        self.faults.advance(dt_s, &out);
        if let Seer::Eye(_, cadence) = &mut self.seer {
            let turn_rad = out.truth.velocity.turn_radps * dt_s;
            cadence.add(command.speed_mps * dt_s, dt_s, turn_rad);
            self.mail.glance = cadence
                .take()
                .filter(|due| self.faults.shows(due))
                .map(|due| Glance {
                    stamp: now,
                    number: due.number,
                    map_from_base_link: out.truth.map_from_base_link,
                    base_link_from_navcam: self.rover.base_link_from_navcam_panned(due.pan_rad),
                });
        }
        let sample = wheels(&out, self.rover.wheel.radius_m);
        self.mail.suspension = Some((now, felt(&sample, &out.truth.settled)));
        self.mail.wheels = Some((now, sample));
        self.mail.truth = Some(out.truth.map_from_base_link);
        self.shown.truth = Some(out.truth);
        self.mail.imu = out.imu;
        self.mail.image = out.image;
    }

    fn see(&mut self, now: Stamp, heard: &Mail) {
        let (grid, health) = match &mut self.seer {
            Seer::Eye(eye, _) => {
                if let Some((stamp, pose)) = heard.odometry {
                    eye.odometry(stamp, pose);
                }
                if let Some(glance) = heard.glance {
                    eye.glance(glance);
                }
                eye.tick(now)
            }
            Seer::Pairs(pairs) => {
                if let Some((stamp, pose)) = heard.odometry {
                    pairs.odometry(now, stamp, pose);
                }
                if let Some(image) = &heard.image {
                    pairs.image(now, image);
                }
                pairs.tick(now)
            }
        };
        self.shown.grid.clone_from(&grid);
        self.mail.grid = grid;
        self.mail.beats.push(("perception", now, health));
    }

    fn localize(&mut self, now: Stamp, heard: &Mail) {
        use sojourn_localization::{ImuSample, Input};
        for s in &heard.imu {
            let sample = ImuSample {
                gyro_radps: Vector3::from(s.gyro_radps),
                accel_mps2: Vector3::from(s.accel_mps2),
            };
            self.localization.step(now, Input::Imu(s.stamp, sample));
        }
        if let Some((stamp, wheels)) = heard.wheels {
            self.localization.step(now, Input::Wheels(stamp, wheels));
        }
        let mut out = self.localization.step(now, Input::Tick);
        if let Some(e) = &mut out.estimate {
            if let (Some(visual), Some(truth), Some((_, wheels))) =
                (&mut self.visual, heard.truth, &heard.wheels)
            {
                let (pose, slip) =
                    visual.see(e.stamp, truth, wheels.travel_m, e.odom_from_base_link);
                e.odom_from_base_link = pose;
                self.mail.slip = slip;
            }
            e.odom_from_base_link = self.faults.published(e.odom_from_base_link);
            self.mail.odometry = Some((e.stamp, e.odom_from_base_link));
            self.mail.certainty = self.visual.is_none().then(|| certainty(e));
            // Where visual odometry measures the slip, the speed over ground is what is left of the wheels'; before its first
            // measurement nothing is known of slip, and a model's guess on a steep slope would stop the rover for it.
            let ground_mps = match (&self.visual, heard.suspension) {
                (Some(visual), Some((_, felt))) => {
                    felt.mean_rim_mps(&self.rover) * (1.0 - visual.slip().unwrap_or(0.0))
                }
                _ => e.velocity_mps[0],
            };
            self.mail.ground = Some((e.stamp, ground_mps));
            self.mail.map_from_odom = Some((e.stamp, e.map_from_odom));
        }
        self.shown.estimate = out.estimate;
        self.mail
            .beats
            .push(("localization", now, out.health.unwrap_or_default()));
    }

    fn navigate(&mut self, now: Stamp, heard: &Mail) {
        use autonav::Input;
        if let Some((stamp, goal)) = &heard.goal {
            let goal = nav_goal(goal);
            self.nav.step(
                now,
                Input::Goal {
                    stamp: *stamp,
                    goal,
                },
            );
        }
        if let Some((stamp, map_from_odom)) = heard.map_from_odom {
            self.nav.step(
                now,
                Input::MapFromOdom {
                    stamp,
                    map_from_odom,
                },
            );
        }
        if let Some((stamp, odom_from_base_link)) = heard.odometry {
            self.nav.step(
                now,
                Input::Pose {
                    stamp,
                    odom_from_base_link,
                    certainty: heard.certainty,
                },
            );
        }
        if let Some((stamp, slip)) = heard.slip {
            self.nav.step(now, Input::Slip { stamp, slip });
        }
        if let Some((stamp, felt)) = heard.suspension
            && let Some(angles) = felt.suspension
        {
            self.nav.step(now, Input::Suspension { stamp, angles });
        }
        if let Some(grid) = &heard.grid {
            let layers = Box::new(TerrainLayers {
                variance: Some(grid.variance.clone()),
                class: self.classes(grid, heard),
                ..TerrainLayers::of(grid.elevation.clone())
            });
            let stamp = grid.stamp;
            self.nav.step(now, Input::Terrain { stamp, layers });
        }
        let begin_s = crate::cpu_s();
        let Some(d) = self.nav.step(now, Input::Tick) else {
            return;
        };
        // Whatever takes long is a planning or a part of the search for a way on.
        let sought = d.sought != self.account.sought;
        if sought || d.planning != self.account.planning {
            self.account.cycle_ms.push((crate::cpu_s() - begin_s) * 1e3);
            self.account.sought = d.sought;
        }
        if d.planning != self.account.planning {
            self.account.planning = d.planning;
            self.account.counts.cycles += 1;
            if !d.candidates.iter().any(|c| c.chosen) {
                self.account.counts.cycles_without_path += 1;
            }
        }
        self.mail.asked = Some((now, d.velocity));
        let news = (d.state, d.stops, d.planning);
        if self.told.is_none_or(|(at, state, stops, planning)| {
            (state, stops, planning) != news || now.since(at) >= STATUS_EVERY_S - 1e-6
        }) {
            self.mail.status = Some((now, autonav_state(d.state), d.reason.clone()));
            self.told = Some((now, news.0, news.1, news.2));
        }
        self.mail.beats.push(("autonav", now, d.health.clone()));
        self.shown.decision = Some(d);
    }

    /// True classes of the ground where a grid knows it.
    fn classes(&self, grid: &TerrainGrid, heard: &Mail) -> Option<Raster> {
        let world = self.class_world.as_ref()?;
        let (truth, (_, estimate)) = (heard.truth?, heard.odometry?);
        let map_from_odom = (truth * estimate.inverse()).iso;
        let e = &grid.elevation;
        let [wide_m, long_m] = e.size_m();
        let (o, reach_m) = (e.origin_m(), 0.5 * wide_m.max(long_m) + CLASSES_BEYOND_M);
        let middle = [
            o[0] + 0.5 * wide_m,
            o[1] + 0.5 * long_m,
            estimate.iso.translation.z,
        ];
        let middle = map_from_odom.transform_point(&middle.into());
        // Tiles at hand, so that not every cell has to look for its own; what lies beyond asks the world.
        let window = world.window([
            middle.x - reach_m,
            middle.y - reach_m,
            middle.x + reach_m,
            middle.y + reach_m,
        ]);
        Some(e.like(|c, r| {
            let h = f64::from(e.get(c, r));
            if h.is_nan() {
                return f32::NAN;
            }
            let [x, y] = e.centre_m(c, r);
            let at = map_from_odom.transform_point(&[x, y, h].into());
            let class = window
                .class_at(at.x, at.y)
                .or_else(|| world.class_at(at.x, at.y));
            class.map_or(f32::NAN, |k| f32::from(k.code()))
        }))
    }

    /// Counts stops on the way.
    fn account_for(&mut self, hold: bool) {
        let under_way = !hold && self.shown.state == DriveState::Driving;
        if under_way && self.shown.velocity.is_stop() && self.account.counts.cycles > 0 {
            let before_s = self.account.standing_s;
            self.account.standing_s += self.rover.cadence.control_period_s;
            if before_s <= STAND_S && self.account.standing_s > STAND_S {
                self.account.counts.think_stops += 1;
            }
        } else {
            self.account.standing_s = 0.0;
        }
        if let Some(d) = &self.shown.decision {
            self.account.counts.no_path_stops = u64::from(d.stops);
        }
    }

    /// How the drive ended, when it has.
    pub(super) fn ended(&self) -> Option<(Outcome, String)> {
        let end = self.shown.outcome.as_ref()?;
        let outcome = match end.state {
            DriveState::Reached => Outcome::Reached,
            DriveState::Aborted => Outcome::Aborted,
            _ => Outcome::Stopped,
        };
        Some((outcome, end.reason.clone()))
    }

    pub(super) fn view(&self) -> Option<TickView<'_>> {
        let s = &self.shown;
        Some(TickView {
            now: s.now,
            truth: s.truth.as_ref()?,
            estimate: s.estimate.as_ref(),
            grid: s.grid.as_ref(),
            autonav: s.decision.as_ref(),
            velocity: s.velocity,
            state: s.state,
        })
    }

    pub(super) fn into_account(self) -> (Score, Counts, Vec<f64>) {
        (
            self.sim.score().clone(),
            self.account.counts,
            self.account.cycle_ms,
        )
    }
}
