//! The guard: the last one before the wheels. It knows hard limits and nothing else.
//!
//! A velocity passes only while the command is fresh, finite and within the rim limit, the tilt is under its limit,
//! and every watched node is alive and well. Ages are taken from the stamps of the messages, in ROS time.

use nalgebra::Vector3;
use serde::Deserialize;
use sojourn_core::{
    CoreError, Stamp,
    error::in_range,
    health::{Health, HealthLevel, NodeState},
    kinematics::{Velocity, fastest_rim_mps, limited},
    rover::Rover,
};
use std::collections::BTreeMap;

/// Most nodes that can be watched.
pub const MAX_WATCHED: usize = 32;
/// A rim speed this share above the limit is rounding and is cut down; more is refused.
const ROUNDING_SHARE: f64 = 0.01;
/// Longest step the tilt filter integrates a rate over, seconds.
const MAX_GYRO_STEP_S: f64 = 0.5;
/// Least specific force that tells where up is, m/s².
const LEAST_FORCE_MPS2: f64 = 0.2;

/// Parameters as `config/guard.param.yaml` gives them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardParams {
    /// Path of the rover's description.
    pub rover_file: String,
    /// Age of a command after which the rover stops, seconds.
    pub command_timeout_s: f64,
    /// Age of the IMU after which the rover stops, seconds.
    pub imu_timeout_s: f64,
    /// Age of a heartbeat after which the rover stops, seconds.
    pub heartbeat_timeout_s: f64,
    /// Nodes whose heartbeats are watched.
    pub watched: Vec<String>,
    /// Share of the rover's tilt limit at which the rover stops.
    pub tilt_share: f64,
    /// Share of the rover's tilt limit under which it may move again.
    pub tilt_clear_share: f64,
    /// Time the tilt has to stay under that before it may move again, seconds.
    pub tilt_clear_s: f64,
    /// Time constant of the tilt filter, seconds: shorter trusts the accelerometer more.
    pub tilt_filter_s: f64,
}

/// The guard's checked configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct GuardConfig(GuardParams);

impl TryFrom<GuardParams> for GuardConfig {
    type Error = CoreError;

    fn try_from(p: GuardParams) -> Result<Self, CoreError> {
        let what = "guard parameters";
        in_range(what, "command_timeout_s", p.command_timeout_s, 0.02, 2.0)?;
        in_range(what, "imu_timeout_s", p.imu_timeout_s, 0.02, 2.0)?;
        in_range(
            what,
            "heartbeat_timeout_s",
            p.heartbeat_timeout_s,
            0.05,
            2.0,
        )?;
        in_range(what, "tilt_share", p.tilt_share, 0.1, 1.0)?;
        in_range(
            what,
            "tilt_clear_share",
            p.tilt_clear_share,
            0.05,
            p.tilt_share,
        )?;
        in_range(what, "tilt_clear_s", p.tilt_clear_s, 0.0, 3600.0)?;
        in_range(what, "tilt_filter_s", p.tilt_filter_s, 0.01, 10.0)?;
        in_range(
            what,
            "watched.length",
            p.watched.len() as f64,
            1.0,
            MAX_WATCHED as f64,
        )?;
        if let Some(name) = p.watched.iter().find(|n| n.trim().is_empty()) {
            return Err(CoreError::value(what, "watched", name, "names of nodes"));
        }
        Ok(Self(p))
    }
}

/// An input. Stamps are those of the messages.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A velocity that AutoNav asks for.
    Command {
        /// When it was decided.
        stamp: Stamp,
        /// The velocity.
        velocity: Velocity,
    },
    /// A sample of the inertial unit, in `base_link`.
    Imu {
        /// When it was measured.
        stamp: Stamp,
        /// Rate, rad/s.
        rate_radps: [f64; 3],
        /// Specific force, m/s²; up when standing level.
        force_mps2: [f64; 3],
    },
    /// A node's sign of life.
    Heartbeat {
        /// The node's name without namespace.
        node: String,
        /// When it was sent.
        stamp: Stamp,
        /// What it is doing.
        state: NodeState,
        /// How well it is.
        level: HealthLevel,
    },
    /// A control period has passed: decide.
    Tick,
}

/// What the guard lets through.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Velocity for the wheels; always finite and within the rim limit.
    pub velocity: Velocity,
    /// Whether the command passed.
    pub passing: bool,
    /// Why not; empty when it passed.
    pub reason: String,
    /// Whether the tilt stop is latched.
    pub tilt_latched: bool,
    /// Tilt as the guard sees it, radians; not-a-number before the first sample.
    pub tilt_rad: f64,
    /// The guard's own health.
    pub health: Health,
}

/// The guard.
#[derive(Clone, Debug)]
pub struct Guard {
    config: GuardConfig,
    rover: Rover,
    command: Option<(Stamp, Velocity)>,
    imu_stamp: Option<Stamp>,
    /// Up in `base_link`, a unit vector.
    up: Option<Vector3<f64>>,
    /// Every watched node with its newest heartbeat.
    nodes: BTreeMap<String, Option<(Stamp, NodeState, HealthLevel)>>,
    tilt_latched: bool,
    level_since: Option<Stamp>,
}

impl Guard {
    /// A guard for a rover; it lets nothing through until it has heard everything it watches.
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
            imu_stamp: None,
            up: None,
            nodes,
            tilt_latched: false,
            level_since: None,
        })
    }

    /// Takes an input; a tick gives a decision, everything else gives nothing.
    pub fn step(&mut self, now: Stamp, input: Input) -> Option<Decision> {
        match input {
            Input::Command { stamp, velocity } => {
                // The newest stamp wins; a late one never replaces it. One from the future (a clock was set back, or a
                // node spoke before its first simulated time) must not keep out what comes now.
                let limit_s = self.config.0.command_timeout_s;
                if self
                    .command
                    .is_none_or(|(old, _)| stamp >= old || old.since(now) > limit_s)
                {
                    self.command = Some((stamp, velocity));
                }
            }
            Input::Imu {
                stamp,
                rate_radps,
                force_mps2,
            } => self.take_imu(stamp, rate_radps, force_mps2),
            Input::Heartbeat {
                node,
                stamp,
                state,
                level,
            } => {
                let limit_s = self.config.0.heartbeat_timeout_s;
                if let Some(slot) = self.nodes.get_mut(&node)
                    && slot.is_none_or(|(old, ..)| stamp >= old || old.since(now) > limit_s)
                {
                    *slot = Some((stamp, state, level));
                }
            }
            Input::Tick => return Some(self.tick(now)),
        }
        None
    }

    fn take_imu(&mut self, stamp: Stamp, rate_radps: [f64; 3], force_mps2: [f64; 3]) {
        let (rate, force) = (Vector3::from(rate_radps), Vector3::from(force_mps2));
        let norm = force.norm();
        // A sample that is not finite is as good as none: the tilt grows stale and the rover stops.
        if !(rate.iter().all(|v| v.is_finite()) && norm.is_finite() && norm > LEAST_FORCE_MPS2) {
            return;
        }
        let measured = force / norm;
        self.up = Some(match (self.up, self.imu_stamp) {
            (Some(up), Some(before)) => {
                let dt = stamp.since(before);
                if dt <= 0.0 {
                    return;
                }
                if dt > MAX_GYRO_STEP_S {
                    measured
                } else {
                    // Up stands still in the world, so in the body it turns against the body's rate.
                    let turned = up - rate.cross(&up) * dt;
                    let gain = dt / (self.config.0.tilt_filter_s + dt);
                    let mixed = turned * (1.0 - gain) + measured * gain;
                    let n = mixed.norm();
                    if n.is_finite() && n > 1e-3 {
                        mixed / n
                    } else {
                        measured
                    }
                }
            }
            _ => measured,
        });
        self.imu_stamp = Some(stamp);
    }

    fn tilt_rad(&self) -> f64 {
        self.up.map_or(f64::NAN, |up| up.z.clamp(-1.0, 1.0).acos())
    }

    fn tick(&mut self, now: Stamp) -> Decision {
        self.watch_tilt(now);
        let verdict = self.verdict(now);
        let tilt_rad = self.tilt_rad();
        let (velocity, reason) = match verdict {
            Ok(v) => (v, String::new()),
            Err(reason) => (Velocity::STOP, reason),
        };
        let passing = reason.is_empty();
        let health = if passing {
            Health::ok(if velocity.is_stop() {
                NodeState::Idle
            } else {
                NodeState::Active
            })
        } else {
            Health::warn(NodeState::Idle, reason.clone())
        };
        Decision {
            velocity,
            passing,
            reason,
            tilt_latched: self.tilt_latched,
            tilt_rad,
            health,
        }
    }

    fn watch_tilt(&mut self, now: Stamp) {
        let c = &self.config.0;
        let tilt = self.tilt_rad();
        let limit = self.rover.limits.tilt_rad();
        if tilt > limit * c.tilt_share {
            self.tilt_latched = true;
            self.level_since = None;
        } else if self.tilt_latched {
            if tilt <= limit * c.tilt_clear_share {
                let since = *self.level_since.get_or_insert(now);
                if now.since(since) >= c.tilt_clear_s {
                    self.tilt_latched = false;
                    self.level_since = None;
                }
            } else {
                self.level_since = None;
            }
        }
    }

    /// The velocity that passes, or why none does.
    fn verdict(&self, now: Stamp) -> Result<Velocity, String> {
        let c = &self.config.0;
        // A stamp from the future is as wrong as one from the past.
        let fresh = |stamp: Stamp, timeout_s: f64| now.since(stamp).abs() <= timeout_s;
        let Some((stamp, v)) = self.command else {
            return Err("stopped: no command heard yet".into());
        };
        if !fresh(stamp, c.command_timeout_s) {
            return Err(format!(
                "stopped: the command is {:.2} s old, limit {} s",
                now.since(stamp),
                c.command_timeout_s
            ));
        }
        if !v.is_finite() {
            return Err(format!(
                "stopped: the command is not finite ({} m/s, {} rad/s)",
                v.speed_mps, v.turn_radps
            ));
        }
        let limit = self.rover.limits.wheel_speed_mps;
        let rim = fastest_rim_mps(&self.rover, v);
        if !(rim <= limit * (1.0 + ROUNDING_SHARE)) {
            return Err(format!(
                "stopped: the command asks for a rim speed of {rim:.4} m/s, limit wheel_speed_mps is {limit} m/s"
            ));
        }
        let Some(imu) = self.imu_stamp else {
            return Err("stopped: no IMU sample heard yet".into());
        };
        if !fresh(imu, c.imu_timeout_s) {
            return Err(format!(
                "stopped: the IMU sample is {:.2} s old, limit {} s",
                now.since(imu),
                c.imu_timeout_s
            ));
        }
        let tilt = self.tilt_rad();
        let tilt_limit_deg = self.rover.limits.tilt_deg;
        if self.tilt_latched || !(tilt <= tilt_limit_deg.to_radians() * c.tilt_share) {
            return Err(format!(
                "stopped: tilt is {:.1} deg, limit {:.1} deg; it may move again {} s after the tilt is under {:.1} deg",
                tilt.to_degrees(),
                tilt_limit_deg * c.tilt_share,
                c.tilt_clear_s,
                tilt_limit_deg * c.tilt_clear_share
            ));
        }
        for (node, heard) in &self.nodes {
            match heard {
                None => return Err(format!("stopped: no heartbeat of {node} heard yet")),
                Some((stamp, ..)) if !fresh(*stamp, c.heartbeat_timeout_s) => {
                    return Err(format!(
                        "stopped: the heartbeat of {node} is {:.2} s old, limit {} s",
                        now.since(*stamp),
                        c.heartbeat_timeout_s
                    ));
                }
                Some((_, NodeState::Fault, _)) => {
                    return Err(format!("stopped: {node} reports a fault"));
                }
                Some((_, NodeState::Starting, _)) => {
                    return Err(format!("stopped: {node} is still starting"));
                }
                Some((_, _, HealthLevel::Error)) => {
                    return Err(format!("stopped: {node} reports an error"));
                }
                Some(_) => {}
            }
        }
        Ok(limited(&self.rover, v, limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{root, rover};
    use proptest::prelude::*;

    fn params() -> GuardParams {
        sojourn_core::params::load_node_params(&root().join("config/guard.param.yaml"), "guard")
            .unwrap()
    }

    fn guard() -> Guard {
        Guard::new(
            GuardConfig::try_from(params()).unwrap(),
            rover("perseverance"),
        )
        .unwrap()
    }

    const GO: Velocity = Velocity {
        speed_mps: 0.03,
        turn_radps: 0.005,
    };

    fn force(tilt_deg: f64) -> [f64; 3] {
        let t = tilt_deg.to_radians();
        [3.72 * t.sin(), 0.0, 3.72 * t.cos()]
    }

    /// Everything well at a time; single parts can be left out or changed by the caller.
    fn feed(g: &mut Guard, now: Stamp, skip: &str, tilt_deg: f64, velocity: Velocity) -> Decision {
        if skip != "command" {
            g.step(
                now,
                Input::Command {
                    stamp: now,
                    velocity,
                },
            );
        }
        if skip != "imu" {
            let imu = Input::Imu {
                stamp: now,
                rate_radps: [0.0; 3],
                force_mps2: force(tilt_deg),
            };
            g.step(now, imu);
        }
        for node in params().watched {
            if skip != node {
                let beat = Input::Heartbeat {
                    node,
                    stamp: now,
                    state: NodeState::Active,
                    level: HealthLevel::Ok,
                };
                g.step(now, beat);
            }
        }
        g.step(now, Input::Tick).unwrap()
    }

    fn at(tick: i64) -> Stamp {
        Stamp(1_000_000_000 + tick * 100_000_000)
    }

    /// A node that spoke before its first simulated time used the wall clock; what it says later has to count.
    #[test]
    fn a_heartbeat_from_the_future_does_not_keep_out_the_present() {
        let mut g = guard();
        for node in params().watched {
            let beat = Input::Heartbeat {
                node,
                stamp: Stamp(i64::MAX / 2),
                state: NodeState::Active,
                level: HealthLevel::Ok,
            };
            g.step(at(0), beat);
        }
        assert!(g.step(at(0), Input::Tick).unwrap().velocity.is_stop());
        let d = feed(&mut g, at(1), "", 0.0, GO);
        assert!(!d.velocity.is_stop(), "{}", d.reason);
    }

    #[test]
    fn the_first_state_is_stopped() {
        let d = guard().step(at(0), Input::Tick).unwrap();
        assert!(d.velocity.is_stop() && !d.passing && d.reason.contains("no command"));
    }

    #[test]
    fn a_good_command_passes_and_each_missing_part_stops_in_time() {
        let mut parts = params().watched;
        parts.extend(["command".to_string(), "imu".to_string()]);
        for part in parts {
            let mut g = guard();
            assert!(feed(&mut g, at(0), "", 0.0, GO).velocity == GO);
            let mut stopped_at = None;
            for tick in 1..12 {
                let d = feed(&mut g, at(tick), &part, 0.0, GO);
                if d.velocity.is_stop() {
                    assert!(!d.reason.is_empty());
                    stopped_at = Some((tick, d.reason));
                    break;
                }
            }
            let (tick, reason) = stopped_at.unwrap();
            assert!(tick <= 6, "{part} stopped after {tick} ticks: {reason}");
            assert!(
                reason.contains(&part) || reason.to_lowercase().contains(&part),
                "{reason}"
            );
        }
    }

    #[test]
    fn too_fast_and_not_finite_are_refused_with_the_value() {
        let mut g = guard();
        let fast = Velocity {
            speed_mps: 0.1,
            turn_radps: 0.0,
        };
        let d = feed(&mut g, at(0), "", 0.0, fast);
        assert!(
            d.velocity.is_stop() && d.reason.contains("wheel_speed_mps"),
            "{}",
            d.reason
        );
        let nan = Velocity {
            speed_mps: f64::NAN,
            turn_radps: 0.0,
        };
        let d = feed(&mut g, at(1), "", 0.0, nan);
        assert!(d.velocity.is_stop() && d.reason.contains("not finite"));
        let rounding = Velocity {
            speed_mps: 0.042 * 1.005,
            turn_radps: 0.0,
        };
        let d = feed(&mut g, at(2), "", 0.0, rounding);
        assert!(d.passing && d.velocity.speed_mps <= 0.042 + 1e-12);
    }

    #[test]
    fn tilt_stops_and_stays_until_level_for_a_while() {
        let mut g = guard();
        assert!(feed(&mut g, at(0), "", 0.0, GO).passing);
        let mut tick = 1;
        while feed(&mut g, at(tick), "", 30.0, GO).passing {
            tick += 1;
            assert!(tick < 40, "a tilt of 30 deg has to stop the rover");
        }
        // just under the limit is not enough to go again
        for _ in 0..60 {
            tick += 1;
            assert!(!feed(&mut g, at(tick), "", 23.0, GO).passing);
        }
        let clear_ticks = (params().tilt_clear_s / 0.1) as i64;
        let mut waited = 0;
        while !feed(&mut g, at(tick + 1), "", 5.0, GO).passing {
            tick += 1;
            waited += 1;
            assert!(waited < clear_ticks + 60);
        }
        assert!(waited >= clear_ticks);
    }

    #[test]
    fn a_sick_node_stops_the_rover() {
        for (state, level, word) in [
            (NodeState::Fault, HealthLevel::Ok, "fault"),
            (NodeState::Active, HealthLevel::Error, "error"),
            (NodeState::Starting, HealthLevel::Ok, "starting"),
        ] {
            let mut g = guard();
            feed(&mut g, at(0), "", 0.0, GO);
            let node = params().watched[0].clone();
            let stamp = at(1);
            g.step(
                stamp,
                Input::Heartbeat {
                    node,
                    stamp,
                    state,
                    level,
                },
            );
            let d = g.step(stamp, Input::Tick).unwrap();
            assert!(
                d.velocity.is_stop() && d.reason.contains(word),
                "{}",
                d.reason
            );
        }
    }

    #[test]
    fn wrong_parameters_are_named() {
        let mut p = params();
        p.tilt_clear_share = 1.0;
        let e = GuardConfig::try_from(p).unwrap_err().to_string();
        assert!(e.contains("tilt_clear_share"), "{e}");
        let mut p = params();
        p.watched.clear();
        assert!(GuardConfig::try_from(p).is_err());
        let mut p = params();
        p.heartbeat_timeout_s = f64::INFINITY;
        assert!(GuardConfig::try_from(p).is_err());
    }

    #[derive(Clone, Debug)]
    enum Event {
        Command(f64, f64, i64),
        Imu(f64, i64),
        Beat(usize, u8, u8, i64),
        Wait(i64),
    }

    fn event() -> impl Strategy<Value = Event> {
        let odd = prop_oneof![
            6 => -0.05f64..0.05,
            1 => Just(f64::NAN),
            1 => Just(f64::INFINITY),
            1 => -1e3f64..1e3,
        ];
        let late = -400i64..50;
        prop_oneof![
            (odd, -0.03f64..0.03, late.clone()).prop_map(|(v, w, d)| Event::Command(v, w, d)),
            (
                prop_oneof![4 => 0.0f64..20.0, 1 => 24.0f64..60.0, 1 => Just(f64::NAN)],
                late.clone()
            )
                .prop_map(|(t, d)| Event::Imu(t, d)),
            (0usize..6, 1u8..4, 0u8..3, late).prop_map(|(n, s, l, d)| Event::Beat(n, s, l, d)),
            (1i64..150).prop_map(Event::Wait),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        /// Whatever comes in whatever order, the rover moves only while everything holds.
        #[test]
        fn it_moves_only_while_everything_holds(events in prop::collection::vec(event(), 1..120)) {
            let mut g = guard();
            let p = params();
            let r = rover("perseverance");
            let mut now = at(0);
            // begin with everything well, so that motion happens at all
            feed(&mut g, now, "", 0.0, GO);
            let mut command = (now, GO);
            let mut imu = now;
            let mut beats: BTreeMap<String, (Stamp, u8, u8)> =
                p.watched.iter().map(|n| (n.clone(), (now, 2, 0))).collect();
            for e in events {
                match e {
                    Event::Command(v, w, ms) => {
                        let stamp = Stamp(now.0 + ms * 1_000_000);
                        let velocity = Velocity { speed_mps: v, turn_radps: w };
                        g.step(now, Input::Command { stamp, velocity });
                        if stamp >= command.0 { command = (stamp, velocity); }
                    }
                    Event::Imu(t, ms) => {
                        let stamp = Stamp(now.0 + ms * 1_000_000);
                        g.step(now, Input::Imu { stamp, rate_radps: [0.0; 3], force_mps2: force(t) });
                        if t.is_finite() && stamp > imu { imu = stamp; }
                    }
                    Event::Beat(n, s, l, ms) => {
                        let node = p.watched.get(n).cloned().unwrap_or_else(|| "stranger".into());
                        let stamp = Stamp(now.0 + ms * 1_000_000);
                        let state = [NodeState::Starting, NodeState::Idle, NodeState::Active, NodeState::Fault][s as usize];
                        let level = [HealthLevel::Ok, HealthLevel::Warn, HealthLevel::Error][l as usize];
                        g.step(now, Input::Heartbeat { node: node.clone(), stamp, state, level });
                        if let Some(b) = beats.get_mut(&node) && stamp >= b.0 { *b = (stamp, s, l); }
                    }
                    Event::Wait(ms) => now = Stamp(now.0 + ms * 1_000_000),
                }
                let d = g.step(now, Input::Tick).unwrap();
                prop_assert!(d.velocity.is_finite());
                prop_assert!(fastest_rim_mps(&r, d.velocity) <= r.limits.wheel_speed_mps * (1.0 + 1e-9));
                prop_assert_eq!(d.passing, d.reason.is_empty());
                if !d.velocity.is_stop() {
                    let fresh = |s: Stamp, limit: f64| now.since(s).abs() <= limit;
                    prop_assert!(command.1.is_finite() && fresh(command.0, p.command_timeout_s));
                    prop_assert!(fresh(imu, p.imu_timeout_s));
                    prop_assert!(!d.tilt_latched && d.tilt_rad <= r.limits.tilt_rad() * p.tilt_share);
                    for (stamp, s, l) in beats.values() {
                        prop_assert!(fresh(*stamp, p.heartbeat_timeout_s) && (*s == 1 || *s == 2) && *l < 2);
                    }
                }
            }
        }
    }
}
