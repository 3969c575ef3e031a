//! The lower end: velocity commands to drives and steers, wheel odometry.
//!
//! [`Base`] turns the newest command into wheel motion and stops by itself when commands cease; it trusts nobody above
//! it, not even the guard. [`WheelOdometry`] goes the other way.

use serde::Deserialize;
use sojourn_core::{
    CoreError, Stamp,
    error::in_range,
    frames::Pose2,
    health::{Health, NodeState},
    kinematics::{Velocity, WheelMotion, fastest_rim_mps, limited, velocity_from, wheels_for},
    rover::Rover,
};

/// A rim speed this share above the limit is rounding and is cut down; more is refused.
const ROUNDING_SHARE: f64 = 0.01;
/// Longest step that the odometry integrates over, seconds.
const MAX_STEP_S: f64 = 1.0;

/// Parameters as `config/base.param.yaml` gives them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseParams {
    /// Path of the rover's description.
    pub rover_file: String,
    /// Age of a command after which the wheels stop, seconds.
    pub command_timeout_s: f64,
}

/// Checked configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct BaseConfig(BaseParams);

impl TryFrom<BaseParams> for BaseConfig {
    type Error = CoreError;

    fn try_from(p: BaseParams) -> Result<Self, CoreError> {
        in_range(
            "base parameters",
            "command_timeout_s",
            p.command_timeout_s,
            0.02,
            2.0,
        )?;
        Ok(Self(p))
    }
}

/// An input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Input {
    /// A velocity that the guard let through.
    Command {
        /// When it was decided.
        stamp: Stamp,
        /// The velocity.
        velocity: Velocity,
    },
    /// How many publishers the ROS graph shows on `cmd_vel`.
    Publishers(usize),
    /// A control period has passed: decide.
    Tick,
}

/// What the wheels are to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Drives and steers, in the order of [`Rover::hubs_m`].
    pub wheels: WheelMotion,
    /// Why the wheels stand; empty while a command is carried out.
    pub reason: String,
    /// Health of the base.
    pub health: Health,
}

/// The base: commands in, wheel motion out.
#[derive(Clone, Debug)]
pub struct Base {
    config: BaseConfig,
    rover: Rover,
    command: Option<(Stamp, Velocity)>,
    /// Publishers of commands; one is right, none is a graph that has not told yet.
    publishers: usize,
    /// Steering stays where it was when the rover stops.
    steer_rad: [f64; 6],
}

impl Base {
    /// A stopped base.
    ///
    /// # Errors
    /// [`CoreError`] when the rover's description cannot be used.
    pub fn new(config: BaseConfig, rover: Rover) -> Result<Self, CoreError> {
        rover.check("rover")?;
        Ok(Self {
            config,
            rover,
            command: None,
            publishers: 0,
            steer_rad: [0.0; 6],
        })
    }

    /// Takes an input; a tick gives a decision, a command gives nothing.
    pub fn step(&mut self, now: Stamp, input: Input) -> Option<Decision> {
        match input {
            Input::Command { stamp, velocity } => {
                // One from the future, kept, would shut out what comes now.
                let ahead_s = stamp.since(now);
                if ahead_s <= self.config.0.command_timeout_s
                    && self.command.is_none_or(|(old, _)| stamp >= old)
                {
                    self.command = Some((stamp, velocity));
                }
                None
            }
            Input::Publishers(count) => {
                self.publishers = count;
                None
            }
            Input::Tick => Some(self.tick(now)),
        }
    }

    fn tick(&mut self, now: Stamp) -> Decision {
        match self.verdict(now) {
            Ok(v) => {
                let wheels = if v.is_stop() {
                    self.standing()
                } else {
                    wheels_for(&self.rover, v)
                };
                self.steer_rad = wheels.steer_rad;
                let state = if v.is_stop() {
                    NodeState::Idle
                } else {
                    NodeState::Active
                };
                Decision {
                    wheels,
                    reason: String::new(),
                    health: Health::ok(state),
                }
            }
            Err(reason) => Decision {
                wheels: self.standing(),
                health: Health::warn(NodeState::Idle, reason.clone()),
                reason,
            },
        }
    }

    fn standing(&self) -> WheelMotion {
        WheelMotion {
            rim_mps: [0.0; 6],
            steer_rad: self.steer_rad,
        }
    }

    fn verdict(&self, now: Stamp) -> Result<Velocity, String> {
        if self.publishers > 1 {
            // Whose command is right cannot be known here: then none is followed.
            return Err(format!(
                "stopped: cmd_vel has {} publishers, expected 1",
                self.publishers
            ));
        }
        let Some((stamp, v)) = self.command else {
            return Err("stopped: no cmd_vel heard yet".into());
        };
        let (age, limit) = (now.since(stamp), self.config.0.command_timeout_s);
        if !(age.abs() <= limit) {
            return Err(format!(
                "stopped: cmd_vel is {age:.2} s old, limit {limit} s"
            ));
        }
        if !v.is_finite() {
            return Err("stopped: cmd_vel is not finite".into());
        }
        let (rim, most) = (
            fastest_rim_mps(&self.rover, v),
            self.rover.limits.wheel_speed_mps,
        );
        if !(rim <= most * (1.0 + ROUNDING_SHARE)) {
            return Err(format!(
                "stopped: cmd_vel asks for a rim speed of {rim:.4} m/s, limit wheel_speed_mps is {most} m/s"
            ));
        }
        Ok(limited(&self.rover, v, most))
    }
}

/// Where the wheels say the rover is: dead reckoning on the plane, no slip.
#[derive(Clone, Debug)]
pub struct WheelOdometry {
    rover: Rover,
    newest: Option<Stamp>,
    /// Pose since the start, metres and radians.
    pub pose: Pose2,
    /// Velocity of the newest sample.
    pub velocity: Velocity,
}

impl WheelOdometry {
    /// At the origin.
    #[must_use]
    pub fn new(rover: Rover) -> Self {
        Self {
            rover,
            newest: None,
            pose: Pose2::default(),
            velocity: Velocity::STOP,
        }
    }

    /// Takes what the wheels measured. A sample that is not finite, or not newer than the one before, changes nothing;
    /// after a gap of more than a second only the velocity is taken.
    pub fn take(&mut self, stamp: Stamp, wheels: &WheelMotion) -> Pose2 {
        let finite = wheels
            .rim_mps
            .iter()
            .chain(&wheels.steer_rad)
            .all(|v| v.is_finite());
        let dt = self.newest.map(|before| stamp.since(before));
        if !finite || dt.is_some_and(|dt| dt <= 0.0) {
            return self.pose;
        }
        self.velocity = velocity_from(&self.rover, wheels);
        if let Some(dt) = dt.filter(|dt| *dt <= MAX_STEP_S) {
            self.pose = self
                .pose
                .moved(self.velocity.speed_mps * dt, self.velocity.turn_radps * dt);
        }
        self.newest = Some(stamp);
        self.pose
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::{Path, PathBuf};

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    fn rover() -> Rover {
        Rover::load(&root().join("config/rovers/perseverance.yaml")).unwrap()
    }

    fn base() -> Base {
        let params: BaseParams =
            sojourn_core::params::load_node_params(&root().join("config/base.param.yaml"), "base")
                .unwrap();
        Base::new(BaseConfig::try_from(params).unwrap(), rover()).unwrap()
    }

    fn at(ms: i64) -> Stamp {
        Stamp(1_000_000_000 + ms * 1_000_000)
    }

    fn command(ms: i64, speed_mps: f64, turn_radps: f64) -> Input {
        Input::Command {
            stamp: at(ms),
            velocity: Velocity {
                speed_mps,
                turn_radps,
            },
        }
    }

    #[test]
    fn it_begins_stopped_and_stops_by_itself() {
        let mut b = base();
        let d = b.step(at(0), Input::Tick).unwrap();
        assert!(d.wheels.rim_mps == [0.0; 6] && d.reason.contains("no cmd_vel"));
        b.step(at(0), command(0, 0.03, 0.005));
        let d = b.step(at(400), Input::Tick).unwrap();
        assert!(d.wheels.rim_mps.iter().all(|v| *v > 0.0) && d.reason.is_empty());
        let steer = d.wheels.steer_rad;
        let d = b.step(at(600), Input::Tick).unwrap();
        assert!(d.wheels.rim_mps == [0.0; 6] && d.reason.contains("0.60 s old"));
        assert_eq!(d.wheels.steer_rad, steer);
    }

    #[test]
    fn too_fast_and_not_finite_stop() {
        let mut b = base();
        b.step(at(0), command(0, 0.2, 0.0));
        let d = b.step(at(0), Input::Tick).unwrap();
        assert!(d.wheels.rim_mps == [0.0; 6] && d.reason.contains("wheel_speed_mps"));
        b.step(at(1), command(1, f64::NAN, 0.0));
        assert!(
            b.step(at(1), Input::Tick)
                .unwrap()
                .reason
                .contains("not finite")
        );
    }

    #[test]
    fn two_masters_are_none() {
        let mut b = base();
        b.step(at(0), command(0, 0.03, 0.0));
        b.step(at(0), Input::Publishers(2));
        let d = b.step(at(0), Input::Tick).unwrap();
        assert!(d.wheels.rim_mps == [0.0; 6] && d.reason.contains("2 publishers"));
        b.step(at(1), Input::Publishers(1));
        assert!(b.step(at(1), Input::Tick).unwrap().reason.is_empty());
    }

    #[test]
    fn a_command_from_the_future_shuts_nothing_out() {
        let mut b = base();
        b.step(at(0), command(100_000, 0.04, 0.0));
        b.step(at(0), command(0, 0.03, 0.0));
        assert!(b.step(at(0), Input::Tick).unwrap().reason.is_empty());
    }

    proptest! {
        #[test]
        fn wheels_never_exceed_the_limit(cmds in prop::collection::vec((-0.1f64..0.1, -0.1f64..0.1, 0i64..700), 1..40)) {
            let (mut b, r) = (base(), rover());
            let mut now = 0;
            for (v, w, ms) in cmds {
                b.step(at(now), command(now, v, w));
                let sent = now;
                now += ms;
                let d = b.step(at(now), Input::Tick).unwrap();
                let fastest = d.wheels.rim_mps.iter().fold(0.0f64, |m, v| m.max(v.abs()));
                prop_assert!(fastest <= r.limits.wheel_speed_mps * (1.0 + 1e-9));
                prop_assert!(fastest == 0.0 || now - sent <= 500);
                prop_assert!(d.wheels.steer_rad.iter().all(|a| a.abs() <= std::f64::consts::FRAC_PI_2 + 1e-9));
            }
        }

        #[test]
        fn the_wheels_tell_what_was_commanded(v in -0.02f64..0.02, w in -0.01f64..0.01) {
            let r = rover();
            let mut o = WheelOdometry::new(r.clone());
            let wheels = wheels_for(&r, Velocity { speed_mps: v, turn_radps: w });
            for i in 0..=100 {
                o.take(at(i * 100), &wheels);
            }
            let there = Pose2::default().moved(10.0 * v, 10.0 * w);
            prop_assert!((o.pose.x_m - there.x_m).hypot(o.pose.y_m - there.y_m) < 1e-6);
            prop_assert!((o.pose.yaw_rad - there.yaw_rad).abs() < 1e-9);
        }
    }

    #[test]
    fn bad_samples_change_nothing() {
        let r = rover();
        let mut o = WheelOdometry::new(r.clone());
        let wheels = wheels_for(
            &r,
            Velocity {
                speed_mps: 0.04,
                turn_radps: 0.0,
            },
        );
        o.take(at(0), &wheels);
        let pose = o.take(at(100), &wheels);
        let mut bad = wheels;
        bad.rim_mps[3] = f64::NAN;
        assert_eq!(o.take(at(200), &bad), pose);
        assert_eq!(o.take(at(100), &wheels), pose);
        assert_eq!(o.take(at(9_000), &wheels), pose);
    }
}
