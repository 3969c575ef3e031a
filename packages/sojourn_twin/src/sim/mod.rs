//! The simulator's core: a rover on ground truth, stepped one control period at a time.
//!
//! It is told the time and a command and answers with what the sensors read. The wheels do at once what they are told,
//! within the rover's limits; the soil takes its share of the way; the body stands as it settles. The same seed and the
//! same commands give the same bits.

pub mod cadence;
pub mod imu;
pub mod score;

use crate::{
    TwinError,
    render::{DepthNoise, Frame, render},
    world::World,
};
use cadence::{ImageCadence, ImageDue};
use imu::{ImuModel, ImuSample};
use nalgebra::UnitQuaternion;
use score::{Period, Score, Scorer};
use sojourn_core::{
    Stamp,
    body::Body,
    error::in_range,
    frames::{BaseLink, Map, NavcamOptical, Pose2, Transform, wrap_rad},
    kinematics::{Velocity, WheelMotion, fastest_rim_mps, limited, wheels_for},
    raster::HeightField,
    rover::Rover,
    settle::{Settled, Settler},
};
use std::sync::Arc;

/// What a run of the simulator is given besides world and rover.
#[derive(Clone, Debug, PartialEq)]
pub struct SimConfig {
    /// Seed of sensor noise.
    pub seed: u64,
    /// Where the rover stands, in `map`.
    pub start: Pose2,
    /// Where it should arrive, metres in `map`: for the score.
    pub goal_m: Option<[f64; 2]>,
    /// Slip on top of the rover's model, before the soil's factor.
    pub extra_slip: f64,
    /// Images of the pan at the start, evenly around.
    pub pan_images: usize,
    /// An image after turning this far, radians.
    pub image_turn_rad: f64,
    /// Farthest ground an image shows, metres.
    pub render_range_m: f64,
    /// Whether depth has the noise of stereo.
    pub depth_noise: bool,
    /// Whether images are made at all: a run that only moves is thousands of times faster.
    pub images: bool,
}

impl SimConfig {
    /// The demo's run: 3 % more slip than expected, six images around at the start, one every 20° of turn.
    #[must_use]
    pub fn demo(seed: u64, start: Pose2, goal_m: Option<[f64; 2]>) -> Self {
        Self {
            seed,
            start,
            goal_m,
            extra_slip: 0.03,
            pan_images: 6,
            image_turn_rad: 20f64.to_radians(),
            render_range_m: 30.0,
            depth_noise: true,
            images: true,
        }
    }

    fn check(&self) -> Result<(), TwinError> {
        let what = "simulator";
        in_range(what, "start.x_m", self.start.x_m, -1e7, 1e7)?;
        in_range(what, "start.y_m", self.start.y_m, -1e7, 1e7)?;
        in_range(what, "start.yaw_rad", self.start.yaw_rad, -1e3, 1e3)?;
        for v in self.goal_m.iter().flatten() {
            in_range(what, "goal", *v, -1e7, 1e7)?;
        }
        in_range(what, "extra_slip", self.extra_slip, 0.0, 0.9)?;
        in_range(what, "pan_images", self.pan_images as f64, 1.0, 72.0)?;
        in_range(what, "image_turn_rad", self.image_turn_rad, 0.01, 10.0)?;
        in_range(what, "render_range_m", self.render_range_m, 1.0, 1000.0)?;
        Ok(())
    }
}

/// What the wheels' encoders read, in the order of [`Rover::hubs_m`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WheelReading {
    /// Angle turned since the start, radians, forward positive.
    pub position_rad: [f64; 6],
    /// Angular velocity, rad/s.
    pub velocity_radps: [f64; 6],
    /// Steering angle, radians, counter-clockwise positive.
    pub steer_rad: [f64; 6],
}

/// One image pair of depth and brightness with the place of its camera.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageEvent {
    /// When.
    pub stamp: Stamp,
    /// Number of the image, from 0.
    pub number: u64,
    /// How far the mast was turned, radians counter-clockwise.
    pub pan_rad: f64,
    /// Where the left camera stood on the rover.
    pub base_link_from_navcam: Transform<BaseLink, NavcamOptical>,
    /// Depth and brightness.
    pub frame: Frame,
}

/// The truth at the end of a control period. For scorers; no node may use it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truth {
    /// Pose with attitude and height.
    pub map_from_base_link: Transform<Map, BaseLink>,
    /// The same on the plane.
    pub pose: Pose2,
    /// True velocity: along the body's x axis and about the vertical.
    pub velocity: Velocity,
    /// Slip, 0 to 1; 0 when it does not drive.
    pub slip: f64,
    /// True way since the start, metres.
    pub distance_m: f64,
    /// How it stands.
    pub settled: Settled,
}

/// What one control period gives.
#[derive(Clone, Debug, PartialEq)]
pub struct SimOutput {
    /// Its end.
    pub now: Stamp,
    /// Inertial readings, oldest first, the last at `now`.
    pub imu: Vec<ImuSample>,
    /// Encoders at `now`.
    pub wheels: WheelReading,
    /// An image, when one was due.
    pub image: Option<ImageEvent>,
    /// The truth.
    pub truth: Truth,
    /// Why the rover could not do what it was told (it would have left the known ground), if it could not.
    pub blocked: Option<String>,
}

/// A rover in a world.
pub struct Simulator {
    world: Arc<World>,
    rover: Rover,
    config: SimConfig,
    settler: Settler,
    imu: ImuModel,
    scorer: Scorer,
    scoring: bool,
    last: Option<Stamp>,
    pose: Pose2,
    settled: Settled,
    wheels: WheelReading,
    distance_m: f64,
    images: ImageCadence,
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
        let start = Pose2 {
            yaw_rad: wrap_rad(config.start.yaw_rad),
            ..config.start
        };
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
            imu: ImuModel::new(rover.imu, body.gravity_mps2, config.seed),
            scorer: Scorer::new(config.seed, rover.limits, config.goal_m),
            scoring: true,
            settler,
            last: None,
            pose: start,
            settled,
            wheels: WheelReading::default(),
            distance_m: 0.0,
            images: ImageCadence::new(&rover, config.pan_images, config.image_turn_rad),
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
        let before = attitude(&self.settled, self.pose.yaw_rad);

        let command = self.within_reach(command);
        let motion = wheels_for(&self.rover, command);
        let moved = self.advance(command, dt_s);
        self.turn_wheels(&motion, dt_s);
        if self.scoring && dt_s > 0.0 {
            self.scorer.add(&Period {
                dt_s,
                pose: self.pose,
                settled: moved.blocked.is_none().then_some(&self.settled),
                way_m: moved.way_m.abs(),
                wheel_way_m: (command.speed_mps * dt_s).abs(),
                slip: moved.slip,
                rim_mps: fastest_rim_mps(&self.rover, command),
            });
        }

        let after = attitude(&self.settled, self.pose.yaw_rad);
        let imu_s = if dt_s > 0.0 { dt_s } else { control_s };
        let imu = self.imu.sample(
            now,
            imu_s,
            before,
            after,
            self.rover.cadence.imu_per_control,
        );
        self.images
            .add(command.speed_mps * dt_s, dt_s, moved.turn_rad);
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
            settled: self.settled,
        };
        let image = self.image(now);
        SimOutput {
            now,
            imu,
            wheels: self.wheels,
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

    fn advance(&mut self, command: Velocity, dt_s: f64) -> Moved {
        if command.is_stop() || dt_s <= 0.0 {
            return Moved::default();
        }
        let soil = self.world.soil_factor(self.pose.x_m, self.pose.y_m);
        let model = &self.rover.slip;
        let expected = model.slip(self.settled.pitch_rad, command.speed_mps.signum());
        let slip = ((expected + self.config.extra_slip) * soil).clamp(0.0, 0.98);
        let way_m = command.speed_mps * dt_s * (1.0 - slip);
        // A turning wheel scrubs; half the slip of driving is felt as a smaller turn.
        let turn_rad = command.turn_radps * dt_s * (1.0 - 0.5 * slip);
        let left_m = model.lateral(self.settled.roll_rad) * soil * way_m.abs();
        let along = self
            .pose
            .moved(way_m * self.settled.pitch_rad.cos(), turn_rad);
        let [x_m, y_m] = along.point(0.0, left_m);
        let next = Pose2 { x_m, y_m, ..along };
        match self.settler.settle(&*self.world, next) {
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
    }

    fn map_from_base_link(&self) -> Transform<Map, BaseLink> {
        let s = &self.settled;
        let p = self.pose;
        Transform::from_xyz_rpy([p.x_m, p.y_m, s.z_m], s.roll_rad, s.pitch_rad, p.yaw_rad)
    }

    /// The image that is due now, if one is.
    fn image(&mut self, now: Stamp) -> Option<ImageEvent> {
        if !self.config.images {
            return None;
        }
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
        let frame = render(
            &self.world,
            &camera,
            &map_from_navcam,
            self.config.render_range_m,
            noise,
        );
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
