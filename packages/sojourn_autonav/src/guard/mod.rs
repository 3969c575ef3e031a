//! The guard: the last one before the wheels. It knows hard limits and nothing else, and relies on nothing but its own
//! inputs. The requirements GRD-001 … stand in the package's README with the tests that verify them.
//!
//! Two kinds of no: while something is missing, stale or out of bounds, commands do not pass; a *fault* (tilt, suspension,
//! torque, slip, a wheel that stands, emergency stop, a second publisher on the guard's output) is latched and ends only by a
//! reset, which is refused while its cause lasts.

mod attitude;
mod input;
mod params;
mod slip;
mod stall;
#[cfg(test)]
mod tests;

use attitude::Attitude;
pub use input::{Input, Publishers, WheelReading};
pub use params::{GuardConfig, GuardParams, MAX_WATCHED};
use slip::SlipWindow;
use sojourn_core::{
    CoreError, Stamp,
    health::{Health, HealthLevel, NodeState},
    kinematics::{Velocity, fastest_rim_mps, limited, wheels_for},
    rover::Rover,
    topics::DRIVE_JOINTS,
};
use stall::Stall;
use std::collections::BTreeMap;

/// A speed or curvature this share above its limit is rounding and is cut down; more is refused.
const ROUNDING_SHARE: f64 = 0.01;
/// A stamp may lie this far ahead of the guard's time, because a sender may have heard a tick before the guard has.
/// What lies farther ahead is dropped: kept, it would come to life when its time comes.
const MAX_AHEAD_S: f64 = 0.2;
/// Longest period over which a rim may gain speed, seconds: after a pause nothing may jump.
const MAX_PERIOD_S: f64 = 0.2;

/// What the guard lets through.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Velocity for the wheels; always finite and within the limits.
    pub velocity: Velocity,
    /// Whether the command passed.
    pub passing: bool,
    /// Why not; empty when it passed.
    pub reason: String,
    /// The latched fault, one sentence; empty without one.
    pub fault: String,
    /// Tilt as the guard sees it, radians; not-a-number before the first sample.
    pub tilt_rad: f64,
    /// Rate at which the body tips, rad/s.
    pub tilt_rate_radps: f64,
    /// The guard's own health.
    pub health: Health,
}

/// The newest of something, with the time that counts for its age.
type Heard<T> = Option<(Stamp, T)>;

/// The guard.
#[derive(Clone, Debug)]
pub struct Guard {
    config: GuardConfig,
    rover: Rover,
    command: Heard<Velocity>,
    permission: Heard<bool>,
    attitude: Attitude,
    wheels: Heard<WheelReading>,
    /// Speed over ground, m/s.
    ground: Heard<f64>,
    slip: SlipWindow,
    stall: Stall,
    /// Every watched node with its newest heartbeat.
    nodes: BTreeMap<String, Heard<(NodeState, HealthLevel)>>,
    e_stop: bool,
    publishers: Publishers,
    fault: Option<String>,
    output: Velocity,
    last_tick: Option<Stamp>,
    newest: Option<Stamp>,
}

impl Guard {
    /// A guard for a rover; it lets nothing through until it has heard everything it needs.
    ///
    /// # Errors
    /// [`CoreError`] when the rover's description cannot be used.
    pub fn new(config: GuardConfig, rover: Rover) -> Result<Self, CoreError> {
        rover.check("rover")?;
        let nodes = config.0.watched.iter().map(|n| (n.clone(), None)).collect();
        Ok(Self {
            config,
            rover,
            command: None,
            permission: None,
            attitude: Attitude::default(),
            wheels: None,
            ground: None,
            slip: SlipWindow::default(),
            stall: Stall::default(),
            nodes,
            e_stop: false,
            publishers: Publishers::default(),
            fault: None,
            output: Velocity::STOP,
            last_tick: None,
            newest: None,
        })
    }

    /// Takes an input; a tick gives a decision, everything else gives nothing.
    pub fn step(&mut self, now: Stamp, input: Input) -> Option<Decision> {
        if self.newest.is_some_and(|newest| now < newest) {
            // Time ran backwards: the age of what was heard is not known any more.
            self.forget();
        }
        self.newest = Some(now);
        match input {
            Input::Command { stamp, velocity } => replace(&mut self.command, now, stamp, velocity),
            Input::Permission { stamp, active } => {
                replace(&mut self.permission, now, stamp, active)
            }
            Input::Imu {
                stamp,
                rate_radps,
                force_mps2,
            } => {
                if stamp.since(now) <= MAX_AHEAD_S {
                    let filter_s = self.config.0.tilt_filter_s;
                    self.attitude.take(filter_s, stamp, rate_radps, force_mps2);
                    // A peak between two ticks counts too.
                    self.watch_body();
                }
            }
            Input::Wheels { stamp, reading } => self.take_wheels(now, stamp, reading),
            Input::Ground { stamp, speed_mps } => {
                // One that is not finite is as good as none.
                if speed_mps.is_finite() {
                    replace(&mut self.ground, now, stamp, speed_mps);
                }
            }
            Input::Heartbeat {
                node,
                stamp,
                state,
                level,
            } => {
                if let Some(slot) = self.nodes.get_mut(&node) {
                    replace(slot, now, stamp, (state, level));
                }
            }
            Input::EStop(pressed) => {
                self.e_stop = pressed;
                if pressed {
                    self.latch(|| "the emergency stop was pressed".into());
                }
            }
            Input::Publishers(publishers) => {
                self.publishers = publishers;
                if let Some(excess) = publishers.excess() {
                    self.latch(|| excess);
                }
            }
            Input::Tick => return Some(self.tick(now)),
        }
        None
    }

    /// Clears a latched fault. What was heard is forgotten, so that nothing moves before everything is heard again.
    ///
    /// # Errors
    /// One sentence while the cause of a fault lasts; the fault then stays.
    pub fn reset(&mut self) -> Result<(), String> {
        if self.e_stop {
            return Err("the emergency stop is still pressed".into());
        }
        let excess = self
            .publishers
            .excess()
            .or_else(|| self.body_excess())
            .or_else(|| self.wheels_excess());
        if let Some(excess) = excess {
            return Err(excess);
        }
        self.fault = None;
        self.forget();
        Ok(())
    }

    fn forget(&mut self) {
        self.command = None;
        self.permission = None;
        self.attitude = Attitude::default();
        self.wheels = None;
        self.ground = None;
        self.slip = SlipWindow::default();
        self.stall = Stall::default();
        self.nodes.values_mut().for_each(|slot| *slot = None);
        self.output = Velocity::STOP;
        self.last_tick = None;
    }

    /// The first fault stays: it is the cause.
    fn latch(&mut self, reason: impl FnOnce() -> String) {
        self.fault.get_or_insert_with(reason);
    }

    fn take_wheels(&mut self, now: Stamp, stamp: Stamp, reading: WheelReading) {
        let newer = self.wheels.is_none_or(|(old, _)| stamp > old);
        let rim_mps = reading.mean_rim_mps(&self.rover);
        if !rim_mps.is_finite() || !newer || stamp.since(now) > MAX_AHEAD_S {
            return;
        }
        replace(&mut self.wheels, now, stamp, reading);
        let asked = wheels_for(&self.rover, self.output);
        self.stall.take(stamp, &reading.rims_mps, &asked.rim_mps);
        let c = &self.config.0;
        let ground = fresh("", &self.ground, now, c.odometry_timeout_s)
            .ok()
            .copied();
        if let Some(ground_mps) = ground {
            self.slip.take(c.slip_window_m, stamp, rim_mps, ground_mps);
        }
    }

    fn watch_body(&mut self) {
        if let Some(excess) = self.body_excess() {
            self.latch(|| excess);
        }
    }

    fn tick(&mut self, now: Stamp) -> Decision {
        self.watch_body();
        let excess = self
            .wheels_excess()
            .or_else(|| self.stall_excess())
            .or_else(|| self.slip_excess());
        if let Some(excess) = excess {
            self.latch(|| excess);
        }
        let verdict = match &self.fault {
            Some(fault) => Err(format!("stopped: {fault}; a reset is needed")),
            None => self.verdict(now),
        };
        let (velocity, reason) = match verdict {
            Ok(v) => (self.ramped(now, v), String::new()),
            Err(reason) => (Velocity::STOP, reason),
        };
        self.output = velocity;
        self.last_tick = Some(now);
        Decision {
            velocity,
            passing: reason.is_empty(),
            fault: self.fault.clone().unwrap_or_default(),
            tilt_rad: self.attitude.tilt_rad(),
            tilt_rate_radps: self.attitude.tilt_rate_radps(),
            health: self.health(velocity, &reason),
            reason,
        }
    }

    fn health(&self, velocity: Velocity, reason: &str) -> Health {
        match (&self.fault, reason) {
            (Some(_), reason) => Health {
                state: NodeState::Fault,
                ..Health::warn(NodeState::Idle, reason)
            },
            (None, "") if velocity.is_stop() => Health::ok(NodeState::Idle),
            (None, "") => Health::ok(NodeState::Active),
            (None, reason) => Health::warn(NodeState::Idle, reason),
        }
    }

    /// How the body stands or tips beyond its limits, if it does.
    fn body_excess(&self) -> Option<String> {
        self.attitude.stamp()?;
        let c = &self.config.0;
        let (tilt, limit) = (
            self.attitude.tilt_rad().to_degrees(),
            self.rover.limits.tilt_deg * c.tilt_share,
        );
        if !(tilt <= limit) {
            return Some(format!("tilt was {tilt:.1} deg, limit {limit:.1} deg"));
        }
        let (rate, limit) = (self.attitude.tilt_rate_radps(), c.max_tilt_rate_radps);
        (!(rate <= limit))
            .then(|| format!("the body tipped at {rate:.2} rad/s, limit {limit} rad/s"))
    }

    /// How suspension or drives are beyond their limits, if they are.
    fn wheels_excess(&self) -> Option<String> {
        let (_, reading) = self.wheels?;
        let (c, limits) = (&self.config.0, &self.rover.limits);
        let angles = reading.suspension.map_or([0.0; 3], |s| {
            [s.differential_rad, s.bogie_rad[0], s.bogie_rad[1]]
        });
        for ((name, limit_deg), angle_rad) in [
            ("the differential", limits.differential_deg),
            ("the left bogie", limits.bogie_deg),
            ("the right bogie", limits.bogie_deg),
        ]
        .into_iter()
        .zip(angles)
        {
            let (angle, limit) = (angle_rad.to_degrees().abs(), limit_deg * c.suspension_share);
            if !(angle <= limit) {
                return Some(format!(
                    "{name} was at {angle:.1} deg, limit {limit:.1} deg"
                ));
            }
        }
        let (effort, limit) = (reading.effort_nm?.abs(), c.max_drive_effort_nm);
        (!(effort <= limit)).then(|| format!("a drive took {effort:.1} N m, limit {limit} N m"))
    }

    /// Which wheel stood while the others turned, if one did.
    fn stall_excess(&self) -> Option<String> {
        let most_m = self.config.0.stall_way_m;
        let (wheel, missed_m) = self.stall.stands(most_m)?;
        let name = DRIVE_JOINTS.get(wheel).copied().unwrap_or("a drive");
        Some(format!(
            "{name} stood while it should have rolled {missed_m:.2} m, limit {most_m} m"
        ))
    }

    /// How the slip is beyond the rover's limit, if it is. Sliding ahead of the wheels counts as much.
    fn slip_excess(&self) -> Option<String> {
        let (window_m, limit) = (self.config.0.slip_window_m, self.rover.limits.slip);
        let slip = self.slip.slip(window_m)?;
        (!(slip.abs() <= limit)).then(|| {
            format!(
                "slip was {slip:.2} over the last {window_m} m of the wheels' way, limit {limit}"
            )
        })
    }

    /// The velocity that passes, or why none does.
    fn verdict(&self, now: Stamp) -> Result<Velocity, String> {
        let c = &self.config.0;
        let v = *fresh("the command", &self.command, now, c.command_timeout_s)?;
        self.within_limits(v)?;
        if self.publishers.output != 1 {
            return Err("stopped: the guard's own output is not in the ROS graph".into());
        }
        let attitude = self.attitude.stamp().map(|stamp| (stamp, ()));
        fresh("the IMU sample", &attitude, now, c.imu_timeout_s)?;
        let wheels = fresh("the wheels' state", &self.wheels, now, c.wheels_timeout_s)?;
        if c.suspension_measured && wheels.suspension.is_none() {
            return Err("stopped: the wheels' state does not tell the suspension's angles (suspension_measured)".into());
        }
        fresh(
            "the speed over ground",
            &self.ground,
            now,
            c.odometry_timeout_s,
        )?;
        for (node, heard) in &self.nodes {
            let (state, level) = match fresh("", heard, now, c.heartbeat_timeout_s) {
                Ok(beat) => beat,
                Err(_) => return Err(silent(node, heard, now, c.heartbeat_timeout_s)),
            };
            match (state, level) {
                (NodeState::Fault, _) => return Err(format!("stopped: {node} reports a fault")),
                (NodeState::Starting, _) => {
                    return Err(format!("stopped: {node} is still starting"));
                }
                (_, HealthLevel::Error) => {
                    return Err(format!("stopped: {node} reports an error"));
                }
                _ => {}
            }
        }
        // To stand still needs no permission.
        if !v.is_stop() {
            let limit_s = c.permission_timeout_s;
            if !*fresh("the executive's permission", &self.permission, now, limit_s)? {
                return Err("stopped: the executive does not let the rover drive".into());
            }
        }
        Ok(limited(&self.rover, v, self.rover.limits.wheel_speed_mps))
    }

    /// Refuses a velocity that this rover must not drive.
    fn within_limits(&self, v: Velocity) -> Result<(), String> {
        if !v.is_finite() {
            return Err(format!(
                "stopped: the command is not finite ({} m/s, {} rad/s)",
                v.speed_mps, v.turn_radps
            ));
        }
        let above = 1.0 + ROUNDING_SHARE;
        let (rim, limit) = (
            fastest_rim_mps(&self.rover, v),
            self.rover.limits.wheel_speed_mps,
        );
        if !(rim <= limit * above) {
            return Err(format!(
                "stopped: the command asks for a rim speed of {rim:.4} m/s, limit wheel_speed_mps is {limit} m/s"
            ));
        }
        let drive = &self.rover.drive;
        let (turn, limit) = (v.turn_radps.abs(), drive.turn_rate_radps);
        if v.speed_mps == 0.0 && !(turn <= limit * above) {
            return Err(format!(
                "stopped: the command turns in place at {turn:.4} rad/s, limit turn_rate_radps is {limit} rad/s"
            ));
        }
        let least_m = drive.min_turn_radius_m;
        if v.speed_mps != 0.0 && !(turn * least_m <= v.speed_mps.abs() * above) {
            return Err(format!(
                "stopped: the command asks for an arc of radius {:.2} m, limit min_turn_radius_m is {least_m} m",
                v.speed_mps.abs() / turn
            ));
        }
        Ok(())
    }

    /// The part of the way from the last output to `wanted` on which no rim gains speed too fast. A stop is whole.
    fn ramped(&self, now: Stamp, wanted: Velocity) -> Velocity {
        if wanted.is_stop() {
            return wanted;
        }
        let before = self.output;
        let dt_s = self.last_tick.map_or(0.0, |last| now.since(last));
        let most = self.config.0.max_rim_accel_mps2 * dt_s.clamp(0.0, MAX_PERIOD_S);
        let step = Velocity {
            speed_mps: wanted.speed_mps - before.speed_mps,
            turn_radps: wanted.turn_radps - before.turn_radps,
        };
        let change = fastest_change_mps(&self.rover, step);
        if change <= most {
            return wanted;
        }
        let share = most / change;
        let part = Velocity {
            speed_mps: before.speed_mps + step.speed_mps * share,
            turn_radps: before.turn_radps + step.turn_radps * share,
        };
        limited(&self.rover, part, self.rover.limits.wheel_speed_mps)
    }
}

/// Upper bound of the change of any rim's speed for a change of the body's velocity, m/s.
fn fastest_change_mps(rover: &Rover, step: Velocity) -> f64 {
    let reach_m = rover
        .hubs_m()
        .iter()
        .fold(0.0f64, |m, hub| m.max(hub[0].hypot(hub[1])));
    step.speed_mps.abs() + step.turn_radps.abs() * reach_m
}

/// Keeps the newest by stamp. A stamp from the future is dropped; one a little ahead counts from now on.
fn replace<T>(slot: &mut Heard<T>, now: Stamp, stamp: Stamp, value: T) {
    if stamp.since(now) <= MAX_AHEAD_S && slot.as_ref().is_none_or(|(old, _)| stamp >= *old) {
        *slot = Some((stamp.min(now), value));
    }
}

/// What was heard, while it is young enough; else why it is not used.
fn fresh<'a, T>(
    what: &str,
    heard: &'a Heard<T>,
    now: Stamp,
    limit_s: f64,
) -> Result<&'a T, String> {
    let Some((stamp, value)) = heard else {
        return Err(format!("stopped: {what} was not heard yet"));
    };
    let age_s = now.since(*stamp);
    // The IMU's stamp may lie a little ahead; nothing else does.
    if age_s <= limit_s && age_s >= -MAX_AHEAD_S {
        Ok(value)
    } else {
        Err(format!(
            "stopped: {what} is {age_s:.2} s old, limit {limit_s} s"
        ))
    }
}

fn silent<T>(node: &str, heard: &Heard<T>, now: Stamp, limit_s: f64) -> String {
    match heard {
        None => format!("stopped: no heartbeat of {node} heard yet"),
        Some((stamp, _)) => format!(
            "stopped: the heartbeat of {node} is {:.2} s old, limit {limit_s} s",
            now.since(*stamp)
        ),
    }
}
