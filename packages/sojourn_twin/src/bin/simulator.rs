//! The node `simulator`: ground truth, sensors and the clock of a simulated drive. A thin shell around
//! [`sojourn_twin::sim`].

use anyhow::Context;
use nalgebra::Vector3;
use r2r::{
    geometry_msgs::msg::{PoseStamped, TwistStamped, Vector3 as Vector3Msg, Vector3Stamped},
    nav_msgs::msg::Odometry,
    sensor_msgs::msg::{BatteryState, CameraInfo, Image, Imu, JointState, Temperature},
};
use sojourn_core::{
    Stamp,
    files::write_atomic,
    frames::{BaseLink, Frame, Map, NavcamOptical},
    health::{Health, NodeState},
    kinematics::Velocity,
    rover::Rover,
    topics::{self, DRIVE_JOINTS, ELECTRONICS, STEER_JOINTS, SUSPENSION_JOINTS},
};
use sojourn_ros::{
    Event, NodeKit, Publisher, Refused, header, lockstep::ClockConfig, msgs, run_node,
};
use sojourn_twin::{
    electrics::ElectricsReading,
    folder::open,
    params::{SimulatorParams, SimulatorSetup},
    sim::{ImageEvent, SimOutput, Simulator},
};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

fn main() -> ExitCode {
    run_node("simulator", simulator)
}

/// A velocity the rover is told to drive.
struct Command {
    at: Stamp,
    velocity: Velocity,
}

fn read(params: &SimulatorParams) -> anyhow::Result<(Simulator, SimulatorSetup)> {
    let rover = Rover::load(Path::new(&params.rover_file))?;
    let setup = params.setup(&rover)?;
    let (world, body) = open(Path::new(&params.site_dir), &setup.world)?;
    let sim = Simulator::new(world, rover, &body, setup.sim.clone())?;
    Ok((sim, setup))
}

async fn simulator(mut kit: NodeKit<Command>) -> anyhow::Result<()> {
    let params: SimulatorParams = kit.params()?;
    let score_file = Some(PathBuf::from(&params.score_file)).filter(|p| !p.as_os_str().is_empty());
    // A score that cannot be written is said now and not after the drive.
    if let Some(dir) = score_file
        .as_deref()
        .and_then(Path::parent)
        .filter(|d| !d.as_os_str().is_empty())
    {
        std::fs::create_dir_all(dir).with_context(|| {
            format!(
                "parameter score_file: cannot make the folder {}",
                dir.display()
            )
        })?;
    }
    let given = params.clone();
    let (sim, setup) = tokio::task::spawn_blocking(move || read(&given))
        .await
        .context("building the world")??;
    tracing::info!(
        "{} on {:.0} m x {:.0} m with {} rocks",
        sim.rover().name,
        sim.world().region_m()[2] - sim.world().region_m()[0],
        sim.world().region_m()[3] - sim.world().region_m()[1],
        sim.world().rocks_in(sim.world().region_m()).len()
    );
    kit.subscribe_latest(&topics::CMD_VEL, |m: TwistStamped| {
        let (at, speed_mps, turn_radps) = msgs::twist(&m)?;
        Ok::<_, Refused>(Some(Command {
            at,
            velocity: Velocity {
                speed_mps,
                turn_radps,
            },
        }))
    })?;
    kit.watch_publishers(topics::CMD_VEL.name);
    let outlets = Outlets::new(&mut kit, &sim, params.publish_depth)?;
    let clock = ClockConfig {
        participants: params.participants.clone(),
        lockstep: params.lockstep,
        period: Duration::try_from_secs_f64(sim.rover().cadence.control_period_s)?,
        start: Stamp::from_secs(1.0),
        factor: setup.rate_factor,
        hold_until_active: setup.hold_until_active.clone(),
        hold_at_tick: params.hold_at_tick,
        heartbeat_limit: setup.heartbeat_limit,
        roll_call_limit: setup.roll_call_limit,
    };
    let mut shell = Shell {
        sim,
        outlets,
        command: None,
        command_timeout_s: setup.command_timeout_s,
        score_file,
        written_ticks: 0,
        blocked: false,
        contested: false,
    };
    let outcome = drive(&mut shell, kit.run_simulator(clock)?).await;
    // However it ended, what was driven counts.
    let written = shell.write_score();
    outcome.and(written)
}

async fn drive(
    shell: &mut Shell,
    mut clock: sojourn_ros::Simulator<Command>,
) -> anyhow::Result<()> {
    let mut look = tokio::time::interval(Duration::from_millis(200));
    loop {
        let event = tokio::select! {
            event = clock.next() => event?,
            _ = look.tick() => {
                // The drive is over for now: whoever waits for the score finds it.
                if clock.holding() {
                    shell.write_score()?;
                }
                continue;
            }
        };
        match event {
            Event::Tick(tick) => {
                if let Some(newest) = tick.inputs.into_iter().last() {
                    shell.command = Some(newest);
                }
                let drivers = clock.node().publishers(topics::CMD_VEL.name);
                let contested = drivers.as_ref().is_some_and(|d| d.len() > 1);
                if contested && !shell.contested {
                    tracing::error!(
                        "the rover stands: cmd_vel is published by {}",
                        drivers.unwrap_or_default().join(" and ")
                    );
                }
                shell.contested = contested;
                let health = shell.step(tick.now, tick.hold)?;
                let score = shell.sim.score();
                let facts = [
                    ("distance_driven_m", score.distance_driven_m),
                    ("max_tilt_deg", score.max_tilt_deg),
                    ("unsafe_events", score.unsafe_events as f64),
                    ("energy_wh", score.energy_wh),
                    ("max_drive_current_a", score.max_drive_current_a),
                ];
                for (key, value) in facts {
                    clock.node().diagnostic(key, value);
                }
                clock.done(health)?;
            }
            Event::ParametersChanged => {}
            Event::Stop => return Ok(()),
        }
    }
}

struct Shell {
    sim: Simulator,
    outlets: Outlets,
    command: Option<Command>,
    command_timeout_s: f64,
    score_file: Option<PathBuf>,
    written_ticks: u64,
    blocked: bool,
    /// More than one node publishes commands.
    contested: bool,
}

impl Shell {
    fn step(&mut self, now: Stamp, hold: bool) -> anyhow::Result<Health> {
        let fresh = self.command.as_ref().filter(|c| {
            let age_s = now.since(c.at);
            age_s <= self.command_timeout_s && age_s > -self.command_timeout_s
        });
        // Whose command is right cannot be known here: then none is followed.
        let velocity = fresh
            .filter(|_| !self.contested)
            .map_or(Velocity::STOP, |c| c.velocity);
        self.sim.set_scoring(!hold);
        let out = self.sim.step(now, velocity);
        self.outlets.publish(&out)?;
        let was_blocked = std::mem::replace(&mut self.blocked, out.blocked.is_some());
        Ok(match out.blocked {
            Some(reason) => {
                if !was_blocked {
                    tracing::warn!("{reason}");
                }
                Health::warn(NodeState::Active, reason)
            }
            None if self.contested => {
                Health::warn(NodeState::Active, "cmd_vel has more than one publisher")
            }
            None => Health::ok(NodeState::Active),
        })
    }

    /// Writes the score when it has changed since it was last written.
    fn write_score(&mut self) -> anyhow::Result<()> {
        let score = self.sim.score();
        let Some(file) = &self.score_file else {
            return Ok(());
        };
        if score.ticks == self.written_ticks {
            return Ok(());
        }
        let mut text = serde_json::to_string_pretty(score)?;
        text.push('\n');
        write_atomic(file, text.as_bytes())?;
        self.written_ticks = score.ticks;
        Ok(())
    }
}

/// The publishers.
struct Outlets {
    imu: Publisher<Imu>,
    wheels: Publisher<JointState>,
    sun: Publisher<Vector3Stamped>,
    info: Publisher<CameraInfo>,
    right_info: Publisher<CameraInfo>,
    right: Publisher<Image>,
    depth_wanted: bool,
    pose: Publisher<PoseStamped>,
    depth: Publisher<Image>,
    left: Publisher<Image>,
    truth: Publisher<Odometry>,
    battery: Publisher<BatteryState>,
    temperatures: Publisher<Temperature>,
    has_wheel: [bool; 6],
    camera: sojourn_core::camera::Pinhole,
    baseline_m: f64,
    second: u64,
    ticks: u64,
}

impl Outlets {
    fn new(
        kit: &mut NodeKit<Command>,
        sim: &Simulator,
        depth_wanted: bool,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            sun: kit.publisher(&topics::SUN_SENSOR)?,
            right_info: kit.publisher(&topics::RIGHT_INFO)?,
            right: kit.publisher(&topics::RIGHT_IMAGE)?,
            depth_wanted,
            imu: kit.publisher(&topics::IMU)?,
            wheels: kit.publisher(&topics::WHEELS)?,
            info: kit.publisher(&topics::LEFT_INFO)?,
            pose: kit.publisher(&topics::NAVCAM_POSE)?,
            depth: kit.publisher(&topics::DEPTH)?,
            left: kit.publisher(&topics::LEFT_IMAGE)?,
            truth: kit.publisher(&topics::TRUTH)?,
            battery: kit.publisher(&topics::BATTERY)?,
            temperatures: kit.publisher(&topics::TEMPERATURES)?,
            has_wheel: sim.rover().has_wheel(),
            camera: sim.rover().navcam_pinhole(),
            baseline_m: sim.rover().navcam.baseline_m,
            second: (1.0 / sim.rover().cadence.control_period_s)
                .round()
                .max(1.0) as u64,
            ticks: 0,
        })
    }

    fn publish(&mut self, out: &SimOutput) -> anyhow::Result<()> {
        for s in &out.imu {
            let (rate, force) = (Vector3::from(s.gyro_radps), Vector3::from(s.accel_mps2));
            self.imu
                .publish(&msgs::imu_to_msg(s.stamp, BaseLink::NAME, rate, force))?;
        }
        let w = &out.wheels;
        let drives = (0..6).map(|i| (DRIVE_JOINTS[i], w.position_rad[i], w.velocity_radps[i]));
        let steers = (0..6).map(|i| (STEER_JOINTS[i], w.steer_rad[i], 0.0));
        let s = &out.truth.settled;
        let angles = [s.differential_rad, s.bogie_rad[0], s.bogie_rad[1]];
        let suspension = SUSPENSION_JOINTS
            .iter()
            .zip(angles)
            .map(|(n, a)| (*n, a, 0.0));
        let joints: Vec<(&str, f64, f64)> = drives.chain(steers).chain(suspension).collect();
        self.wheels
            .publish(&msgs::joints_to_msg(out.now, &joints))?;
        if let Some(sun) = &out.sun {
            let [x, y, z] = sun.direction;
            self.sun.publish(&Vector3Stamped {
                header: header(sun.stamp, BaseLink::NAME),
                vector: Vector3Msg { x, y, z },
            })?;
        }
        if let Some(image) = &out.image {
            self.publish_image(image)?;
        }
        if self.ticks.is_multiple_of(self.second) {
            let t = &out.truth;
            self.truth
                .publish(&msgs::odometry_to_msg(&msgs::OdometryIn::<Map> {
                    stamp: out.now,
                    to_from_base_link: t.map_from_base_link,
                    linear_mps: Vector3::new(t.velocity.speed_mps, 0.0, 0.0),
                    angular_radps: Vector3::new(0.0, 0.0, t.velocity.turn_radps),
                    pose_covariance: [0.0; 36],
                }))?;
            self.publish_electrics(out.now, &out.electrics)?;
        }
        self.ticks += 1;
        Ok(())
    }

    /// What the rover's own housekeeping would tell of itself.
    fn publish_electrics(&self, now: Stamp, e: &ElectricsReading) -> anyhow::Result<()> {
        self.battery.publish(&battery(now, e))?;
        let drives = (0..6).filter(|i| self.has_wheel[*i]);
        let parts = drives
            .map(|i| (DRIVE_JOINTS[i], e.motors[i].temperature_c))
            .chain([(ELECTRONICS, e.power.electronics_c)]);
        for (part, temperature) in parts {
            self.temperatures.publish(&Temperature {
                header: header(now, part),
                temperature,
                variance: 0.0,
            })?;
        }
        Ok(())
    }

    fn publish_image(&self, image: &ImageEvent) -> anyhow::Result<()> {
        let frame = NavcamOptical::NAME;
        // A left camera's P[3] is 0; the right one's carries the baseline.
        let info = |baseline_m| msgs::camera_to_msg(image.stamp, frame, &self.camera, baseline_m);
        self.info.publish(&info(0.0))?;
        let f = &image.frame;
        if !f.right.is_empty() {
            self.right_info.publish(&info(self.baseline_m))?;
        }
        self.pose.publish(&PoseStamped {
            header: header(image.stamp, BaseLink::NAME),
            pose: msgs::pose_to_msg(&image.base_link_from_navcam.iso),
        })?;
        self.left
            .publish(&msgs::mono_to_msg(image.stamp, frame, f.width, &f.left))?;
        if !f.right.is_empty() {
            self.right
                .publish(&msgs::mono_to_msg(image.stamp, frame, f.width, &f.right))?;
        }
        if self.depth_wanted {
            self.depth
                .publish(&msgs::depth_to_msg(image.stamp, frame, f.width, &f.depth_m))?;
        }
        Ok(())
    }
}

fn battery(now: Stamp, e: &ElectricsReading) -> BatteryState {
    let full_ah = e.battery_wh / e.rated_v;
    BatteryState {
        header: header(now, ""),
        voltage: e.bus_v as f32,
        temperature: e.power.battery_c as f32,
        current: -e.battery_a as f32,
        charge: (e.power.charge * full_ah) as f32,
        capacity: full_ah as f32,
        design_capacity: full_ah as f32,
        percentage: e.power.charge as f32,
        power_supply_status: if e.battery_a > 0.0 {
            BatteryState::POWER_SUPPLY_STATUS_DISCHARGING as u8
        } else if e.power.charge < 1.0 {
            BatteryState::POWER_SUPPLY_STATUS_CHARGING as u8
        } else {
            BatteryState::POWER_SUPPLY_STATUS_FULL as u8
        },
        power_supply_health: if e.power.charge > 0.0 {
            BatteryState::POWER_SUPPLY_HEALTH_GOOD as u8
        } else {
            BatteryState::POWER_SUPPLY_HEALTH_DEAD as u8
        },
        power_supply_technology: BatteryState::POWER_SUPPLY_TECHNOLOGY_LION as u8,
        present: true,
        ..BatteryState::default()
    }
}
