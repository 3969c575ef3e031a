//! The simulator's core: a rover on ground truth, stepped one control period at a time.
//!
//! It is told the time and a command and answers with what the sensors read. The wheels do at once what they are told,
//! within the rover's limits; how far that takes the rover is [`crate::terra`]'s matter; the body stands as it settles, less
//! what the wheels sink in. The same seed and the same commands give the same bits.

pub mod cadence;
mod config;
pub mod faults;
pub mod imu;
mod output;
pub mod score;
pub mod sun;

pub use config::SimConfig;
pub use output::{ImageEvent, SimOutput, Truth, WheelReading};

use crate::{
    TwinError, day,
    day::Environment,
    electrics::Electrics,
    nameplate::Nameplate,
    power::PowerFile,
    render::{DepthNoise, Renderer, Shot, StereoRig, Sun},
    terra::{Dynamics, Tracks, Traction},
    world::World,
};
use cadence::{ImageCadence, ImageDue};
use faults::Faults;
use imu::ImuModel;
use nalgebra::UnitQuaternion;
use score::{Period, Score, Scorer};
use sojourn_core::{
    Stamp,
    body::Body,
    frames::{BaseLink, Map, Pose2, Transform, wrap_rad},
    kinematics::{Velocity, WheelMotion, fastest_rim_mps, limited, wheels_for},
    raster::HeightField,
    rover::Rover,
    settle::{Settled, Settler},
};
use std::sync::Arc;
use sun::SunSensor;

/// No image is taken with the sun lower than this, radians: 3°, the least that a world may have.
const LEAST_SUN_RAD: f64 = 0.05;

/// A rover in a world.
pub struct Simulator {
    world: Arc<World>,
    rover: Rover,
    config: SimConfig,
    settler: Settler,
    imu: ImuModel,
    sun: SunSensor,
    scorer: Scorer,
    scoring: bool,
    last: Option<Stamp>,
    pose: Pose2,
    /// On the ground as if that were hard.
    settled: Settled,
    wheels: WheelReading,
    distance_m: f64,
    images: ImageCadence,
    run_s: f64,
    dynamics: Dynamics,
    tracks: Tracks,
    traction: Traction,
    electrics: Electrics,
    faults: Faults,
    renderer: Option<Renderer>,
}

impl Simulator {
    /// Sets the rover down.
    ///
    /// # Errors
    /// [`TwinError::Core`] for a value out of range, [`TwinError::NoGround`] when the start lies off the world or breaks
    /// the rover's limits.
    pub fn new(
        world: impl Into<Arc<World>>,
        rover: Rover,
        body: &Body,
        config: SimConfig,
    ) -> Result<Self, TwinError> {
        config.check()?;
        rover.check(&rover.name)?;
        body.check(&body.name)?;
        let world = world.into();
        let settler = Settler::new(&rover, (0.2 * rover.wheel.radius_m).max(0.01));
        let faults = Faults::new(&config.faults, &rover, config.seed)?;
        let start = faults.true_start(config.start);
        let start = Pose2 {
            yaw_rad: wrap_rad(start.yaw_rad),
            ..start
        };
        let dynamics = Dynamics::new(&rover, body, world.soils().of_classes());
        let power = match config.power {
            Some(power) => Some(power),
            None => PowerFile::shipped(&rover.name)?,
        };
        let day = match &config.days {
            Some(days) => day::of(days, &body.name)?,
            None => Environment::shipped(&body.name)?,
        };
        let plate = Nameplate::of_with(&rover, body, power.as_ref());
        let no_ground = |reason: String| TwinError::NoGround {
            x_m: start.x_m,
            y_m: start.y_m,
            reason,
        };
        let settled = settler.settle(&*world, start).ok_or_else(|| {
            no_ground(format!(
                "the start lies off the simulated region {:?} or on ground without data",
                world.region_m()
            ))
        })?;
        if let Some(e) = settled.excess(&rover.limits, 1.0) {
            return Err(no_ground(format!(
                "the rover would start beyond a limit: {e}"
            )));
        }
        Ok(Self {
            imu: ImuModel::new(rover.imu, config.imu_drift, body.gravity_mps2, config.seed),
            sun: SunSensor::new(config.sun_sigma_rad, config.seed),
            scorer: Scorer::new(config.seed, rover.limits, config.goal_m),
            scoring: true,
            settler,
            last: None,
            pose: start,
            settled,
            wheels: WheelReading::default(),
            distance_m: 0.0,
            images: ImageCadence::new(&rover, config.pan_images, config.image_turn_rad),
            run_s: 0.0,
            dynamics,
            tracks: Tracks::default(),
            traction: Traction::default(),
            electrics: Electrics::new(plate, day),
            faults,
            renderer: config.images.then(|| {
                let rig = StereoRig::rectified(&rover);
                Renderer::new(rig, config.sensor, config.render_range_m, config.seed)
            }),
            world,
            rover,
            config,
        })
    }

    /// The rover.
    #[must_use]
    pub fn rover(&self) -> &Rover {
        &self.rover
    }

    /// The world.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Whether periods count for the score from now on (they do at first).
    pub fn set_scoring(&mut self, on: bool) {
        self.scoring = on;
    }

    /// The score so far.
    #[must_use]
    pub fn score(&self) -> &Score {
        self.scorer.score()
    }

    /// Advances to `now` with a command. The first call only reads the sensors at rest; a `now` that is not later than
    /// the last moves nothing.
    pub fn step(&mut self, now: Stamp, command: Velocity) -> SimOutput {
        let control_s = self.rover.cadence.control_period_s;
        let dt_s = self
            .last
            .map_or(0.0, |last| now.since(last).clamp(0.0, 1.0));
        self.last = Some(now);
        self.run_s += dt_s;
        let before = attitude(&self.settled, self.pose.yaw_rad);
        let stood_m = self.map_from_base_link().iso.translation.vector;

        let command = self.within_reach(command);
        self.faults
            .advance(self.run_s, self.distance_m, &self.wheels.steer_rad);
        let motion = self.faults.wheels(wheels_for(&self.rover, command));
        let moved = self.advance(command, &motion, dt_s);
        self.turn_wheels(&motion, dt_s);
        let torque_nm = self.traction.wheels.map(|w| w.torque_nm);
        self.electrics.step(
            torque_nm,
            self.wheels.velocity_radps,
            self.wheels.steer_rad,
            dt_s,
        );
        let electrics = self.electrics.reading();
        let sunk = self.sunk();
        if self.scoring && dt_s > 0.0 {
            self.scorer.add(&Period {
                dt_s,
                pose: self.pose,
                settled: moved.blocked.is_none().then_some(&sunk),
                way_m: moved.way_m.abs(),
                wheel_way_m: (command.speed_mps * dt_s).abs(),
                slip: moved.slip,
                rim_mps: fastest_rim_mps(&self.rover, command),
                electrics: &electrics,
            });
        }

        let after = attitude(&self.settled, self.pose.yaw_rad);
        let imu_s = if dt_s > 0.0 { dt_s } else { control_s };
        let moved_m = self.map_from_base_link().iso.translation.vector - stood_m;
        let mut imu = self.imu.sample(
            now,
            imu_s,
            before,
            after,
            moved_m,
            self.rover.cadence.imu_per_control,
        );
        self.images
            .add(command.speed_mps * dt_s, dt_s, moved.turn_rad);
        let too_much = self.faults.gyro_radps();
        for sample in &mut imu {
            for (rate, bias) in sample.gyro_radps.iter_mut().zip(too_much) {
                *rate += bias;
            }
        }
        let truth = Truth {
            map_from_base_link: self.map_from_base_link(),
            pose: self.pose,
            velocity: if dt_s > 0.0 {
                Velocity {
                    speed_mps: moved.way_m / dt_s,
                    turn_radps: moved.turn_rad / dt_s,
                }
            } else {
                Velocity::STOP
            },
            slip: moved.slip,
            distance_m: self.distance_m,
            settled: sunk,
            traction: self.traction,
        };
        let to_sun = self.sun_from_map().direction();
        let sun = self.sun.sample(now, after, to_sun.into());
        let image = self.image(now);
        SimOutput {
            now,
            imu,
            wheels: self.wheels,
            sun,
            electrics,
            image,
            truth,
            blocked: moved.blocked,
        }
    }

    /// The command as the drives carry it out: no wheel and no turn faster than the rover allows.
    fn within_reach(&self, command: Velocity) -> Velocity {
        let v = limited(&self.rover, command, self.rover.limits.wheel_speed_mps);
        let most = self.rover.drive.turn_rate_radps;
        if v.turn_radps.abs() <= most {
            return v;
        }
        // The arc is kept, only slower.
        let share = most / v.turn_radps.abs();
        Velocity {
            speed_mps: v.speed_mps * share,
            turn_radps: v.turn_radps * share,
        }
    }

    /// Moves the rover as far as its wheels and the ground take it.
    fn advance(&mut self, command: Velocity, motion: &WheelMotion, dt_s: f64) -> Moved {
        let under = self.soils_under();
        self.traction = self
            .dynamics
            .step(&mut self.tracks, &self.settled, under, motion, dt_s);
        if command.is_stop() || dt_s <= 0.0 {
            return Moved::default();
        }
        let t = &self.traction;
        let left_over = (1.0 - self.config.extra_slip) * (1.0 - self.faults.slip());
        let way_m = t.forward_mps * dt_s * left_over;
        // A turning wheel scrubs; half of what is lost beside the soil is felt as a smaller turn.
        let turn_rad = t.turn_radps * dt_s * 0.5 * (1.0 + left_over);
        let left_m = t.left_mps * dt_s * self.settled.roll_rad.cos();
        let slip = 1.0 - (1.0 - t.slip) * left_over;
        let along = self
            .pose
            .moved(way_m * self.settled.pitch_rad.cos(), turn_rad);
        let [x_m, y_m] = along.point(0.0, left_m);
        let next = Pose2 { x_m, y_m, ..along };
        let ground = self
            .world
            .at_hand([x_m, y_m], self.rover.footprint_radius_m());
        match self.settler.settle(&ground, next) {
            Some(settled) => {
                self.settled = settled;
                self.pose = next;
                self.distance_m += way_m.abs();
                let slip = if command.speed_mps == 0.0 { 0.0 } else { slip };
                Moved {
                    way_m,
                    turn_rad,
                    slip,
                    blocked: None,
                }
            }
            None => Moved {
                blocked: Some(format!(
                    "no ground is known at ({x_m:.2}, {y_m:.2}) m: the rover stays where it is"
                )),
                ..Moved::default()
            },
        }
    }

    /// The soil under each wheel.
    fn soils_under(&self) -> [usize; 6] {
        let there = self.rover.has_wheel();
        let mut under = [0; 6];
        for (i, hub) in self.rover.hubs_m().iter().enumerate() {
            if there[i] {
                let [x_m, y_m] = self.pose.point(hub[0], hub[1]);
                under[i] = self.world.soil_at(x_m, y_m).unwrap_or(0);
            }
        }
        under
    }

    /// How the rover stands with its wheels in the ground: lower by their mean sinkage. That one wheel sinks deeper than
    /// another does not tilt it here.
    fn sunk(&self) -> Settled {
        let there = self.rover.has_wheel();
        let mut s = self.settled;
        let mut sum_m = 0.0;
        for (i, w) in self.traction.wheels.iter().enumerate() {
            if there[i] {
                s.wheel_m[i] -= w.sinkage_m;
                sum_m += w.sinkage_m;
            }
        }
        let mean_m = sum_m / self.rover.wheel_count() as f64;
        s.z_m -= mean_m;
        s.clearance_m -= mean_m;
        s
    }

    fn turn_wheels(&mut self, motion: &WheelMotion, dt_s: f64) {
        let r = self.rover.wheel.radius_m;
        for i in 0..6 {
            let radps = if dt_s > 0.0 {
                motion.rim_mps[i] / r
            } else {
                0.0
            };
            self.wheels.velocity_radps[i] = radps;
            self.wheels.position_rad[i] += radps * dt_s;
            self.wheels.steer_rad[i] = motion.steer_rad[i];
        }
        self.faults.encoders(&mut self.wheels.position_rad);
    }

    fn map_from_base_link(&self) -> Transform<Map, BaseLink> {
        let s = self.sunk();
        let p = self.pose;
        Transform::from_xyz_rpy([p.x_m, p.y_m, s.z_m], s.roll_rad, s.pitch_rad, p.yaw_rad)
    }

    /// Where the sun stands.
    fn sun_from_map(&self) -> Sun {
        let [azimuth_rad, elevation_rad] = if self.config.sun_by_hour {
            self.electrics.sun_rad()
        } else {
            self.world.sun_rad()
        };
        Sun {
            azimuth_rad,
            elevation_rad,
        }
    }

    /// The image that is due now, if one is.
    fn image(&mut self, now: Stamp) -> Option<ImageEvent> {
        self.renderer.as_ref()?;
        let ImageDue { number, pan_rad } = self.images.take()?;
        let camera = self.rover.navcam_pinhole();
        let base_link_from_navcam = self.rover.base_link_from_navcam_panned(pan_rad);
        let noise = self.config.depth_noise.then(|| DepthNoise {
            seed: self.config.seed,
            frame: number,
            per_m: self.rover.navcam.disparity_sigma_px
                / (camera.fx * self.rover.navcam.baseline_m),
        });
        let map_from_navcam = self.map_from_base_link() * base_link_from_navcam;
        let sun = self.sun_from_map();
        if self.faults.drops(number) || sun.elevation_rad < LEAST_SUN_RAD {
            return None;
        }
        let shot = Shot {
            sun,
            seed: self.config.seed,
            number,
            right: self.config.right_images,
            depth_noise: noise,
        };
        let mut frame = self
            .renderer
            .as_mut()?
            .shoot(&self.world, &map_from_navcam.iso, &shot);
        self.faults.spoil(&mut frame);
        Some(ImageEvent {
            stamp: now,
            number,
            pan_rad,
            base_link_from_navcam,
            frame,
        })
    }

    /// Height of the ground under the middle axle's centre, metres in `map`.
    #[must_use]
    pub fn ground_m(&self) -> Option<f64> {
        self.world.height_m(self.pose.x_m, self.pose.y_m)
    }
}

/// What one period did.
#[derive(Default)]
struct Moved {
    way_m: f64,
    turn_rad: f64,
    slip: f64,
    blocked: Option<String>,
}

fn attitude(s: &Settled, yaw_rad: f64) -> UnitQuaternion<f64> {
    UnitQuaternion::from_euler_angles(s.roll_rad, s.pitch_rad, yaw_rad)
}

#[cfg(test)]
mod tests;
