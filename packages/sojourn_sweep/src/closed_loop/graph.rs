//! The nodes' cores and the wires between them.

use super::{
    Counts, Outcome, Scenario, Sensing, Task, TickView,
    eye::{Eye, Glance},
    faults::LoopFaults,
    rehearsal,
    visual::StandIn,
};
use crate::SweepError;
use nalgebra::Vector3;
use sojourn_autonav::{
    AutoNav,
    autonav::{self, DriveState as NavState},
    config as nav_config,
    fusion::TerrainLayers,
    guard::{self, Guard, GuardConfig},
};
use sojourn_core::{
    Stamp,
    frames::{BaseLink, Map, Odom, Pose2, Transform},
    health::Health,
    kinematics::{Velocity, WheelMotion},
    plan::{Mode, Plan, WaypointLimits},
    rover::Rover,
    settle::Settled,
};
use sojourn_localization::{Estimate, Localization};
use sojourn_mission::executive::{
    self, AutonavState, Config as ExecutiveConfig, DriveState, Executive, GoalOut,
};
use sojourn_perception::{DepthImage, DepthNoise, Perception, TerrainGrid};
use sojourn_twin::sim::{
    ImageEvent, SimConfig, SimOutput, Simulator, Truth, cadence::ImageCadence, imu::ImuSample,
    score::Score,
};

/// AutoNav's status is sent at least this often, seconds, as its node does.
const STATUS_EVERY_S: f64 = 1.0;
/// Standing for longer than this on the way is a stop, seconds.
const STAND_S: f64 = 0.5;

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
    Perception(Box<Perception>),
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
        let perception = sojourn_perception::Config::new(settings.perception.clone(), &rover)?;
        let s = &settings.simulator;
        let seer = match scenario.sensing {
            Sensing::TruthGrid => Seer::Eye(
                Box::new(Eye::new(
                    scenario.world.clone(),
                    perception,
                    &rover,
                    scenario.seed,
                )),
                ImageCadence::new(&rover, s.pan_images, s.image_turn_deg.to_radians()),
            ),
            Sensing::Rendered => Seer::Perception(Box::new(Perception::new(perception, &rover))),
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
        let nav = AutoNav::new(
            nav_config::Config::new(&settings.autonav, &rover)?,
            rover.clone(),
        )?;
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
        self.mail.suspension = Some((now, felt(&self.rover, &sample, &out.truth.settled)));
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
            Seer::Perception(core) => {
                use sojourn_perception::Input;
                if let Some((stamp, pose)) = heard.odometry {
                    core.step(now, Input::Odometry(stamp, pose));
                }
                if let Some(image) = &heard.image {
                    core.step(now, Input::CameraInfo(self.rover.navcam_pinhole()));
                    core.step(
                        now,
                        Input::CameraPose(image.stamp, image.base_link_from_navcam),
                    );
                    core.step(
                        now,
                        Input::Depth(DepthImage {
                            stamp: image.stamp,
                            width: image.frame.width,
                            height: image.frame.height,
                            depth_m: image.frame.depth_m.clone(),
                            noise: DepthNoise::Rover,
                        }),
                    );
                }
                let out = core.step(now, Input::Tick);
                (out.grid, out.health.unwrap_or_default())
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
                let rolled_m = wheels.travel_m.iter().sum::<f64>() / 6.0;
                let (pose, slip) = visual.see(e.stamp, truth, rolled_m, e.odom_from_base_link);
                e.odom_from_base_link = pose;
                self.mail.slip = slip;
            }
            e.odom_from_base_link = self.faults.published(e.odom_from_base_link);
            self.mail.odometry = Some((e.stamp, e.odom_from_base_link));
            // Where visual odometry measures the slip, the speed over ground is what is left of the wheels'; until it has,
            // localization believes what the rover's file says of slopes.
            let slip = self.visual.as_ref().and_then(StandIn::slip);
            let ground_mps = slip
                .zip(heard.suspension)
                .map_or(e.velocity_mps[0], |(slip, (_, felt))| {
                    felt.rim_mps * (1.0 - slip)
                });
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
                },
            );
        }
        if let Some((stamp, slip)) = heard.slip {
            self.nav.step(now, Input::Slip { stamp, slip });
        }
        if let Some(grid) = &heard.grid {
            let layers = Box::new(TerrainLayers {
                variance: Some(grid.variance.clone()),
                ..TerrainLayers::of(grid.elevation.clone())
            });
            let stamp = grid.stamp;
            self.nav.step(now, Input::Terrain { stamp, layers });
        }
        let begin_s = crate::cpu_s();
        let Some(d) = self.nav.step(now, Input::Tick) else {
            return;
        };
        if d.planning != self.account.planning {
            self.account.planning = d.planning;
            self.account.cycle_ms.push((crate::cpu_s() - begin_s) * 1e3);
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

    fn guard(&mut self, now: Stamp, heard: &Mail) {
        use guard::Input;
        self.guard
            .step(now, Input::Publishers(guard::Publishers::RIGHT));
        if let Some((stamp, goal)) = &heard.goal {
            self.guard.step(
                now,
                Input::Permission {
                    stamp: *stamp,
                    active: goal.active,
                },
            );
        }
        if let Some((stamp, speed_mps)) = heard.ground {
            self.guard.step(now, Input::Ground { stamp, speed_mps });
        }
        if let Some((stamp, reading)) = heard.suspension {
            self.guard.step(now, Input::Wheels { stamp, reading });
        }
        if let Some((stamp, velocity)) = heard.asked {
            self.guard.step(now, Input::Command { stamp, velocity });
        }
        for (node, stamp, health) in &heard.beats {
            self.guard.step(
                now,
                Input::Heartbeat {
                    node: (*node).to_string(),
                    stamp: *stamp,
                    state: health.state,
                    level: health.level,
                },
            );
        }
        for s in &heard.imu {
            self.guard.step(
                now,
                Input::Imu {
                    stamp: s.stamp,
                    rate_radps: s.gyro_radps,
                    force_mps2: s.accel_mps2,
                },
            );
        }
        if let Some(d) = self.guard.step(now, Input::Tick) {
            if !d.passing && self.shown.state == DriveState::Driving {
                self.account.counts.guard_stops += 1;
            }
            self.mail.passed = Some((now, d.velocity));
            self.shown.velocity = d.velocity;
            self.mail.beats.push(("guard", now, d.health));
        }
    }

    fn execute(&mut self, now: Stamp, hold: bool, heard: &Mail) {
        use executive::Input;
        let mut inputs = Vec::with_capacity(8);
        inputs.extend(
            heard
                .status
                .iter()
                .map(|(stamp, state, reason)| Input::Autonav {
                    stamp: *stamp,
                    state: *state,
                    reason: reason.clone(),
                }),
        );
        inputs.extend(
            heard
                .beats
                .iter()
                .map(|(node, stamp, health)| Input::Heartbeat {
                    stamp: *stamp,
                    node: (*node).to_string(),
                    health: health.clone(),
                }),
        );
        inputs.extend(
            heard
                .map_from_odom
                .map(|(stamp, map_from_odom)| Input::MapFromOdom {
                    stamp,
                    map_from_odom,
                }),
        );
        inputs.extend(
            heard
                .odometry
                .map(|(stamp, odom_from_base_link)| Input::Odometry {
                    stamp,
                    odom_from_base_link,
                }),
        );
        let d = self.executive.tick(now, hold, &inputs);
        self.shown.state = d.status.state;
        self.mail.goal = Some((now, d.goal));
        self.mail.beats.push(("executive", now, d.health));
        self.shown.outcome = d.outcome;
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

fn simulator(
    scenario: &Scenario,
    rover: &Rover,
    plan: &Plan,
    start: Pose2,
) -> Result<Simulator, SweepError> {
    let s = &scenario.settings.simulator;
    let config = SimConfig {
        seed: scenario.seed,
        start,
        goal_m: Some([plan.goal.x_m, plan.goal.y_m]),
        extra_slip: s.extra_slip,
        faults: scenario.faults.schedule.clone(),
        pan_images: s.pan_images,
        image_turn_rad: s.image_turn_deg.to_radians(),
        render_range_m: s.render_range_m,
        depth_noise: s.depth_noise,
        // Nothing in the loop looks at the right image.
        right_images: false,
        sensor: s.sensor,
        imu_drift: s.imu_drift,
        sun_sigma_rad: s.sun_sigma_rad,
        images: scenario.sensing == Sensing::Rendered,
    };
    Ok(Simulator::new(
        scenario.world.clone(),
        rover.clone(),
        &scenario.body,
        config,
    )?)
}

/// What the guard feels of wheels and suspension.
fn felt(
    rover: &Rover,
    sample: &sojourn_localization::WheelSample,
    settled: &Settled,
) -> guard::WheelReading {
    let rims = sample.motion.rim_mps.iter().zip(rover.has_wheel());
    let rolled: f64 = rims.filter_map(|(v, has)| has.then_some(v)).sum();
    guard::WheelReading {
        rim_mps: rolled / rover.wheel_count() as f64,
        suspension: Some(guard::SuspensionAngles {
            differential_rad: settled.differential_rad,
            bogie_rad: settled.bogie_rad,
        }),
        effort_nm: None,
    }
}

fn wheels(out: &SimOutput, radius_m: f64) -> sojourn_localization::WheelSample {
    let w = &out.wheels;
    sojourn_localization::WheelSample {
        motion: WheelMotion {
            rim_mps: w.velocity_radps.map(|v| v * radius_m),
            steer_rad: w.steer_rad,
        },
        travel_m: w.position_rad.map(|a| a * radius_m),
    }
}

fn nav_goal(goal: &GoalOut) -> autonav::Goal {
    let w = goal.waypoint.as_ref();
    let mut keep_in_map = vec![w.map(|w| w.corridor.clone()).unwrap_or_default()];
    if !goal.next_corridor.is_empty() {
        keep_in_map.push(goal.next_corridor.clone());
    }
    autonav::Goal {
        active: goal.active,
        bundle_id: goal.bundle_id.clone(),
        index: goal.waypoint_index as u32,
        xy_in_map: w.map_or([0.0; 2], |w| w.xy()),
        // An inactive goal counts by being inactive; its numbers only have to be numbers.
        tolerance_m: w.map_or(1.0, |w| w.tolerance_m),
        mode: w.map_or(Mode::AvoidAll, |w| w.mode),
        keep_in_map,
        limits: w.map_or(
            WaypointLimits {
                tilt_deg: 1.0,
                slip: 1.0,
                speed_mps: 1.0,
            },
            |w| w.limits,
        ),
    }
}

fn autonav_state(state: NavState) -> AutonavState {
    match state {
        NavState::Idle => AutonavState::Idle,
        NavState::Driving => AutonavState::Driving,
        NavState::Turning => AutonavState::Turning,
        NavState::Stopped => AutonavState::Stopped,
        NavState::Goal => AutonavState::Goal,
    }
}
