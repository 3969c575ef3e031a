//! Whatever comes in whatever order: it moves only while everything holds.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Event {
    Command(f64, f64, i64),
    Permission(bool, i64),
    Imu(f64, f64, i64),
    Wheels(f64, Option<f64>, i64),
    Ground(f64, i64),
    Beat(usize, usize, usize, i64),
    EStop(bool),
    Publishers(usize, usize, usize),
    Reset,
    Wait(i64),
    All,
}

fn event() -> impl Strategy<Value = Event> {
    let odd = prop_oneof![
        6 => -0.05f64..0.05,
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        1 => -1e3f64..1e3,
    ];
    let off_ms = prop_oneof![8 => -400i64..50, 1 => 200i64..5000, 1 => -100_000i64..0];
    let tilt = prop_oneof![6 => 0.0f64..15.0, 1 => 24.0f64..60.0, 1 => Just(f64::NAN)];
    let rate = prop_oneof![6 => -0.05f64..0.05, 1 => Just(3.0), 1 => Just(f64::NAN)];
    let angle = prop_oneof![8 => -6.0f64..6.0, 1 => 7.0f64..30.0, 1 => Just(f64::NAN)];
    let effort =
        prop_oneof![4 => Just(None), 4 => (0.0f64..50.0).prop_map(Some), 1 => Just(Some(1e4))];
    prop_oneof![
        3 => (odd, -0.03f64..0.03, off_ms.clone()).prop_map(|(v, w, d)| Event::Command(v, w, d)),
        2 => (prop::bool::weighted(0.8), off_ms.clone()).prop_map(|(a, d)| Event::Permission(a, d)),
        2 => (tilt, rate, off_ms.clone()).prop_map(|(t, r, d)| Event::Imu(t, r, d)),
        2 => (angle, effort, off_ms.clone()).prop_map(|(a, e, d)| Event::Wheels(a, e, d)),
        1 => (prop_oneof![3 => 0.0f64..0.05, 1 => Just(f64::NAN)], off_ms.clone()).prop_map(|(v, d)| Event::Ground(v, d)),
        2 => (0usize..6, 0usize..4, 0usize..3, off_ms).prop_map(|(n, s, l, d)| Event::Beat(n, s, l, d)),
        1 => prop::bool::weighted(0.2).prop_map(Event::EStop),
        1 => (0usize..3, 1usize..3, 1usize..3).prop_map(|(o, c, p)| Event::Publishers(o, c, p)),
        1 => Just(Event::Reset),
        4 => prop_oneof![8 => 1i64..150, 1 => -3000i64..0].prop_map(Event::Wait),
        8 => Just(Event::All),
    ]
}

/// The newest of everything by a plain second reading of the rules, with the time at which it came.
#[derive(Default)]
struct Model {
    command: Heard<Velocity>,
    permission: Heard<bool>,
    imu: Option<Stamp>,
    wheels: Heard<(f64, Option<f64>)>,
    ground: Option<Stamp>,
    beats: BTreeMap<String, (Stamp, NodeState, HealthLevel)>,
    output_publishers: usize,
    e_stop: bool,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    /// Whatever comes in whatever order, with any stamps and a clock that may run backwards: the rover moves only while
    /// everything is fresh and within its limits, and every stop has a reason.
    #[test]
    fn it_moves_only_while_everything_holds(events in prop::collection::vec(event(), 1..150)) {
        let mut g = guard();
        let p = params();
        let r = rover("perseverance");
        let mut m = Model::default();
        let mut now = at(1000);
        for e in events {
            let stamp_of = |ms: i64| Stamp(now.0 + ms * 1_000_000);
            let usable = |stamp: Stamp, old: Option<Stamp>| stamp.since(now) <= MAX_AHEAD_S && old.is_none_or(|o| stamp >= o);
            let mut take = |m: &mut Model, input: Input| {
                match &input {
                    Input::Command { stamp, velocity } if usable(*stamp, m.command.map(|c| c.0)) =>
                        m.command = Some(((*stamp).min(now), *velocity)),
                    Input::Permission { stamp, active } if usable(*stamp, m.permission.map(|c| c.0)) =>
                        m.permission = Some(((*stamp).min(now), *active)),
                    Input::Imu { stamp, rate_radps, force_mps2 } if usable(*stamp, m.imu)
                        && rate_radps.iter().chain(force_mps2).all(|v| v.is_finite()) => m.imu = Some(*stamp),
                    Input::Wheels { stamp, reading } if usable(*stamp, m.wheels.map(|c| c.0)) && m.wheels.is_none_or(|w| *stamp > w.0) =>
                        m.wheels = Some(((*stamp).min(now), (reading.suspension.unwrap().differential_rad, reading.effort_nm))),
                    Input::Ground { stamp, speed_mps } if usable(*stamp, m.ground) && speed_mps.is_finite() =>
                        m.ground = Some((*stamp).min(now)),
                    Input::Heartbeat { node, stamp, state, level }
                        if p.watched.contains(node) && usable(*stamp, m.beats.get(node).map(|b| b.0)) => {
                        m.beats.insert(node.clone(), ((*stamp).min(now), *state, *level));
                    }
                    _ => {}
                }
                g.step(now, input);
            };
            match e {
                Event::Command(v, w, ms) => take(&mut m, Input::Command {
                    stamp: stamp_of(ms),
                    velocity: Velocity { speed_mps: v, turn_radps: w },
                }),
                Event::Permission(active, ms) => take(&mut m, Input::Permission { stamp: stamp_of(ms), active }),
                Event::Imu(t, rate, ms) => take(&mut m, Input::Imu {
                    stamp: stamp_of(ms), rate_radps: [rate, 0.0, 0.0], force_mps2: force(t),
                }),
                Event::Wheels(a, effort_nm, ms) => take(&mut m, wheels_at(stamp_of(ms), a.to_radians(), [0.0; 2], effort_nm)),
                Event::Ground(speed_mps, ms) => take(&mut m, Input::Ground { stamp: stamp_of(ms), speed_mps }),
                Event::Beat(n, s, l, ms) => take(&mut m, Input::Heartbeat {
                    node: p.watched.get(n).cloned().unwrap_or_else(|| "stranger".into()),
                    stamp: stamp_of(ms),
                    state: [NodeState::Starting, NodeState::Idle, NodeState::Active, NodeState::Fault][s],
                    level: [HealthLevel::Ok, HealthLevel::Warn, HealthLevel::Error][l],
                }),
                Event::EStop(on) => { m.e_stop = on; g.step(now, Input::EStop(on)); }
                Event::Publishers(output, command, permission) => {
                    m.output_publishers = output;
                    g.step(now, Input::Publishers(Publishers { output, command, permission }));
                }
                Event::Reset => if g.reset().is_ok() {
                    m = Model { output_publishers: m.output_publishers, e_stop: m.e_stop, ..Model::default() };
                },
                Event::Wait(ms) => {
                    let next = stamp_of(ms);
                    if next < now {
                        m = Model { output_publishers: m.output_publishers, e_stop: m.e_stop, ..Model::default() };
                    }
                    now = next;
                }
                Event::All => {
                    m.output_publishers = 1;
                    g.step(now, Input::Publishers(Publishers::RIGHT));
                    for (_, input) in well(now, GO) {
                        let usable = |stamp: Stamp, old: Option<Stamp>| old.is_none_or(|o| stamp >= o);
                        match &input {
                            Input::Command { stamp, velocity } if usable(*stamp, m.command.map(|c| c.0)) => m.command = Some((*stamp, *velocity)),
                            Input::Permission { stamp, active } if usable(*stamp, m.permission.map(|c| c.0)) => m.permission = Some((*stamp, *active)),
                            Input::Imu { stamp, .. } if usable(*stamp, m.imu) => m.imu = Some(*stamp),
                            Input::Wheels { stamp, reading } if m.wheels.is_none_or(|w| *stamp > w.0) =>
                                m.wheels = Some((*stamp, (reading.suspension.unwrap().differential_rad, reading.effort_nm))),
                            Input::Ground { stamp, .. } if usable(*stamp, m.ground) => m.ground = Some(*stamp),
                            Input::Heartbeat { node, stamp, state, level } if usable(*stamp, m.beats.get(node).map(|b| b.0)) => { m.beats.insert(node.clone(), (*stamp, *state, *level)); }
                            _ => {}
                        }
                        g.step(now, input);
                    }
                }
            }
            let d = g.step(now, Input::Tick).unwrap();
            prop_assert!(d.velocity.is_finite());
            prop_assert!(fastest_rim_mps(&r, d.velocity) <= r.limits.wheel_speed_mps * (1.0 + 1e-9));
            prop_assert_eq!(d.passing, d.reason.is_empty());
            prop_assert!(d.passing || d.velocity.is_stop());
            prop_assert!(d.fault.is_empty() || d.reason.contains(&d.fault));
            if !d.velocity.is_stop() {
                let fresh = |s: Stamp, limit: f64| now.since(s) <= limit && now.since(s) >= -MAX_AHEAD_S;
                let (at, v) = m.command.unwrap();
                prop_assert!(v.is_finite() && !v.is_stop() && fresh(at, p.command_timeout_s));
                let (at, active) = m.permission.unwrap();
                prop_assert!(active && fresh(at, p.permission_timeout_s));
                prop_assert!(fresh(m.imu.unwrap(), p.imu_timeout_s));
                prop_assert!(d.tilt_rad <= r.limits.tilt_rad() * p.tilt_share);
                prop_assert!(d.tilt_rate_radps <= p.max_tilt_rate_radps);
                prop_assert!(fresh(m.ground.unwrap(), p.odometry_timeout_s));
                let (at, (angle, effort)) = m.wheels.unwrap();
                prop_assert!(fresh(at, p.wheels_timeout_s) && angle.abs() <= r.limits.differential_rad());
                prop_assert!(effort.is_none_or(|e| e <= p.max_drive_effort_nm));
                prop_assert!(m.output_publishers == 1 && !m.e_stop && d.fault.is_empty());
                for node in &p.watched {
                    let (at, state, level) = m.beats[node];
                    prop_assert!(fresh(at, p.heartbeat_timeout_s));
                    prop_assert!(matches!(state, NodeState::Idle | NodeState::Active) && level < HealthLevel::Error);
                }
            }
        }
    }
}
