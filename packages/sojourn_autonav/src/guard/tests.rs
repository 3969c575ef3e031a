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

fn at(tick: i64) -> Stamp {
    Stamp(1_000_000_000 + tick * 100_000_000)
}

/// Wheels that turn as for [`GO`].
fn wheels_at(
    stamp: Stamp,
    differential_rad: f64,
    bogie_rad: [f64; 2],
    effort_nm: Option<f64>,
) -> Input {
    Input::Wheels {
        stamp,
        reading: WheelReading {
            rims_mps: wheels_for(&rover("perseverance"), GO).rim_mps,
            suspension: Some(sojourn_core::suspension::SuspensionAngles {
                differential_rad,
                bogie_rad,
            }),
            effort_nm,
        },
    }
}

/// Everything that a moving rover needs, each with its name.
fn well(now: Stamp, velocity: Velocity) -> Vec<(String, Input)> {
    let mut all = vec![
        (
            "command".to_string(),
            Input::Command {
                stamp: now,
                velocity,
            },
        ),
        (
            "permission".into(),
            Input::Permission {
                stamp: now,
                active: true,
            },
        ),
        (
            "IMU".into(),
            Input::Imu {
                stamp: now,
                rate_radps: [0.0; 3],
                force_mps2: force(0.0),
            },
        ),
        (
            "wheels' state".into(),
            wheels_at(now, 0.01, [0.02, -0.02], None),
        ),
        (
            "speed over ground".into(),
            Input::Ground {
                stamp: now,
                speed_mps: GO.speed_mps,
            },
        ),
    ];
    for node in params().watched {
        all.push((
            node.clone(),
            Input::Heartbeat {
                node,
                stamp: now,
                state: NodeState::Active,
                level: HealthLevel::Ok,
            },
        ));
    }
    all
}

/// One tick with everything well but what `skip` names.
fn feed(g: &mut Guard, now: Stamp, skip: &str, velocity: Velocity) -> Decision {
    g.step(now, Input::Publishers(Publishers::RIGHT));
    for (name, input) in well(now, velocity) {
        if name != skip {
            g.step(now, input);
        }
    }
    g.step(now, Input::Tick).unwrap()
}

/// A guard that lets `GO` through at tick 1; the first tick only begins.
fn moving() -> Guard {
    let mut g = guard();
    feed(&mut g, at(0), "", GO);
    let d = feed(&mut g, at(1), "", GO);
    assert_eq!(d.velocity, GO, "{}", d.reason);
    g
}

#[test]
fn the_first_state_is_stopped() {
    let d = guard().step(at(0), Input::Tick).unwrap();
    assert!(d.velocity.is_stop() && !d.passing && d.reason.contains("command"));
}

#[test]
fn each_part_that_falls_silent_stops_it_in_time_with_its_name() {
    let p = params();
    for (part, _) in well(at(0), GO) {
        let mut g = moving();
        let limit_s = match part.as_str() {
            "command" => p.command_timeout_s,
            "permission" => p.permission_timeout_s,
            "IMU" => p.imu_timeout_s,
            "wheels' state" => p.wheels_timeout_s,
            "speed over ground" => p.odometry_timeout_s,
            _ => p.heartbeat_timeout_s,
        };
        let mut tick = 2;
        let d = loop {
            let d = feed(&mut g, at(tick), &part, GO);
            if d.velocity.is_stop() {
                break d;
            }
            tick += 1;
            assert!(tick < 30, "{part}");
        };
        // One control period after its limit at the latest.
        assert!(at(tick).since(at(1)) <= limit_s + 0.1 + 1e-6, "{part}");
        assert!(d.reason.contains(&part), "{part}: {}", d.reason);
        // It is no fault: when the part speaks again, the rover drives on.
        let d = feed(&mut g, at(tick + 1), "", GO);
        assert!(d.passing, "{part}: {}", d.reason);
    }
}

#[test]
fn too_fast_too_tight_and_not_finite_are_refused_with_the_value() {
    let v = |speed_mps, turn_radps| Velocity {
        speed_mps,
        turn_radps,
    };
    for (velocity, words) in [
        (v(0.1, 0.0), "wheel_speed_mps"),
        (v(0.0, 0.0262), "rim speed"),
        (v(0.01, 0.02), "min_turn_radius_m"),
        (v(f64::NAN, 0.0), "not finite"),
        (v(0.01, f64::INFINITY), "not finite"),
    ] {
        let mut g = moving();
        let d = feed(&mut g, at(2), "", velocity);
        if words == "rim speed" && d.passing {
            // Within rounding of the turning rate: it is cut to the rim limit instead.
            continue;
        }
        assert!(d.velocity.is_stop(), "{velocity:?}");
        assert!(d.reason.contains(words), "{words}: {}", d.reason);
        assert!(d.fault.is_empty(), "a refused command is no fault");
    }
    let d = feed(&mut moving(), at(2), "", v(0.0, 0.5));
    assert!(d.velocity.is_stop());
    let d = feed(&mut moving(), at(2), "", v(0.042 * 1.005, 0.0));
    assert!(d.passing && d.velocity.speed_mps <= 0.042 + 1e-12);
}

#[test]
fn a_rim_gains_speed_only_as_fast_as_allowed_and_stops_at_once() {
    let mut p = params();
    p.max_rim_accel_mps2 = 0.1;
    let r = rover("perseverance");
    let mut g = Guard::new(GuardConfig::try_from(p).unwrap(), r.clone()).unwrap();
    let mut before = 0.0;
    for tick in 0..8 {
        let d = feed(&mut g, at(tick), "", GO);
        let rim = fastest_rim_mps(&r, d.velocity);
        assert!(rim - before <= 0.1 * 0.1 + 1e-9, "{before} to {rim} m/s");
        before = rim;
    }
    assert!(before > 0.03, "it gets there: {before} m/s");
    assert!(feed(&mut g, at(9), "", Velocity::STOP).velocity.is_stop());
}

/// Makes the rover stop for a fault, then shows that only a reset ends it, and no reset while the cause lasts.
fn latches(words: &str, cause: impl Fn(Stamp) -> Input, relief: impl Fn(Stamp) -> Input) {
    let mut g = moving();
    let mut tick = 1;
    let d = loop {
        tick += 1;
        feed(&mut g, at(tick), "", GO);
        g.step(at(tick), cause(at(tick)));
        let d = g.step(at(tick), Input::Tick).unwrap();
        if d.velocity.is_stop() {
            break d;
        }
        assert!(tick < 40, "{words}: it has to stop");
    };
    assert!(
        d.reason.contains(words) && d.fault.contains(words),
        "{}",
        d.reason
    );
    assert_eq!(d.health.state, NodeState::Fault);
    assert!(g.reset().is_err(), "{words}: the cause lasts");
    for _ in 0..100 {
        tick += 1;
        g.step(at(tick), relief(at(tick)));
        let d = feed(&mut g, at(tick), "", GO);
        assert!(
            d.velocity.is_stop() && d.fault.contains(words),
            "{}",
            d.reason
        );
    }
    g.reset().unwrap();
    let d = g.step(at(tick), Input::Tick).unwrap();
    assert!(d.velocity.is_stop(), "{words}: nothing moves at once");
    feed(&mut g, at(tick + 1), "", GO);
    let d = feed(&mut g, at(tick + 2), "", GO);
    assert!(!d.velocity.is_stop(), "{words}: {}", d.reason);
}

#[test]
fn tilt_is_a_fault() {
    let imu = |tilt_deg| {
        move |now: Stamp| Input::Imu {
            stamp: Stamp(now.0 + 50_000_000),
            rate_radps: [0.0; 3],
            force_mps2: force(tilt_deg),
        }
    };
    latches("tilt was", imu(70.0), imu(0.0));
}

#[test]
fn a_body_that_tips_is_a_fault_but_a_turn_is_none() {
    let imu = |rate_radps| {
        move |now: Stamp| Input::Imu {
            stamp: Stamp(now.0 + 50_000_000),
            rate_radps,
            force_mps2: force(0.0),
        }
    };
    latches("tipped", imu([0.0, 2.0, 0.0]), imu([0.0; 3]));
    let mut g = moving();
    g.step(at(2), imu([0.0, 0.0, 2.0])(at(1)));
    assert!(feed(&mut g, at(2), "", GO).passing);
}

#[test]
fn the_suspension_beyond_its_limits_is_a_fault() {
    let wheels = |differential_deg: f64, left_deg: f64, right_deg: f64| {
        let rad = f64::to_radians;
        move |now: Stamp| {
            let bogie_rad = [rad(left_deg), rad(right_deg)];
            wheels_at(
                Stamp(now.0 + 50_000_000),
                rad(differential_deg),
                bogie_rad,
                None,
            )
        }
    };
    latches(
        "differential",
        wheels(-7.0, 0.0, 0.0),
        wheels(0.0, 0.0, 0.0),
    );
    latches("left bogie", wheels(0.0, 18.0, 0.0), wheels(0.0, 0.0, 0.0));
    latches(
        "right bogie",
        wheels(0.0, 0.0, -18.0),
        wheels(0.0, 0.0, 0.0),
    );
    latches(
        "differential",
        wheels(f64::NAN, 0.0, 0.0),
        wheels(0.0, 0.0, 0.0),
    );
}

#[test]
fn a_drive_that_takes_too_much_torque_is_a_fault() {
    let wheels = |effort_nm| {
        move |now: Stamp| wheels_at(Stamp(now.0 + 50_000_000), 0.0, [0.0; 2], effort_nm)
    };
    let most = params().max_drive_effort_nm;
    latches("drive took", wheels(Some(-1.1 * most)), wheels(Some(0.0)));
    latches("drive took", wheels(Some(f64::NAN)), wheels(None));
}

/// Drives on with some inputs changed until it stops: the ticks it took and the decision. After a reset it drives again.
fn driven_until_it_stops(change: &dyn Fn(Input) -> Input) -> (i64, Decision) {
    let mut g = moving();
    let mut tick = 1;
    let d = loop {
        tick += 1;
        g.step(at(tick), Input::Publishers(Publishers::RIGHT));
        for (_, input) in well(at(tick), GO) {
            g.step(at(tick), change(input));
        }
        let d = g.step(at(tick), Input::Tick).unwrap();
        if d.velocity.is_stop() {
            break d;
        }
        assert!(tick < 1000, "it has to stop");
    };
    assert!(feed(&mut g, at(tick + 1), "", GO).velocity.is_stop());
    g.reset().unwrap();
    feed(&mut g, at(tick + 2), "", GO);
    assert!(!feed(&mut g, at(tick + 3), "", GO).velocity.is_stop());
    (tick, d)
}

#[test]
fn wheels_that_turn_without_way_are_a_fault_that_a_reset_forgets() {
    for wrong_mps in [0.0, 3.0 * GO.speed_mps] {
        let (ticks, d) = driven_until_it_stops(&|input| match input {
            Input::Ground { stamp, .. } => Input::Ground {
                stamp,
                speed_mps: wrong_mps,
            },
            input => input,
        });
        assert!(d.fault.contains("slip was"), "{}", d.reason);
        // Within the window's length of wheels' way.
        assert!(ticks as f64 * 0.1 * GO.speed_mps <= 1.1 * params().slip_window_m);
    }
}

#[test]
fn a_wheel_that_stands_while_the_others_turn_is_a_fault_that_a_reset_forgets() {
    let (ticks, d) = driven_until_it_stops(&|input| match input {
        Input::Wheels { stamp, mut reading } => {
            reading.rims_mps[3] = 0.0;
            Input::Wheels { stamp, reading }
        }
        input => input,
    });
    assert!(d.fault.contains("drive_rf stood"), "{}", d.reason);
    // Long before a slip over a metre could tell.
    assert!(ticks as f64 * 0.1 * GO.speed_mps <= 2.0 * params().stall_way_m);
}

#[test]
fn a_suspension_that_should_be_measured_and_is_not_keeps_the_rover_standing() {
    let blind = |stamp| Input::Wheels {
        stamp,
        reading: WheelReading {
            rims_mps: [0.03; 6],
            suspension: None,
            effort_nm: None,
        },
    };
    for measured in [true, false] {
        let mut p = params();
        p.suspension_measured = measured;
        let mut g = Guard::new(GuardConfig::try_from(p).unwrap(), rover("perseverance")).unwrap();
        for tick in 0..3 {
            g.step(at(tick), blind(at(tick)));
            let d = feed(&mut g, at(tick), "wheels' state", GO);
            assert_eq!(d.passing, !measured, "{}", d.reason);
            assert!(d.passing || d.reason.contains("suspension_measured"));
        }
    }
}

#[test]
fn the_emergency_stop_is_a_fault() {
    latches(
        "emergency stop",
        |_| Input::EStop(true),
        |_| Input::EStop(false),
    );
}

#[test]
fn another_publisher_is_a_fault() {
    for (words, publishers) in [
        (
            "cmd_vel has 2",
            Publishers {
                output: 2,
                ..Publishers::RIGHT
            },
        ),
        (
            "cmd_vel_nav has 3",
            Publishers {
                command: 3,
                ..Publishers::RIGHT
            },
        ),
        (
            "drive_goal has 2",
            Publishers {
                permission: 2,
                ..Publishers::RIGHT
            },
        ),
    ] {
        latches(
            words,
            |_| Input::Publishers(publishers),
            |_| Input::Publishers(Publishers::RIGHT),
        );
    }
}

#[test]
fn a_sick_node_stops_the_rover() {
    for (state, level, word) in [
        (NodeState::Fault, HealthLevel::Ok, "fault"),
        (NodeState::Active, HealthLevel::Error, "error"),
        (NodeState::Starting, HealthLevel::Ok, "starting"),
    ] {
        let mut g = moving();
        let (node, stamp) = (params().watched[0].clone(), at(2));
        let beat = Input::Heartbeat {
            node,
            stamp,
            state,
            level,
        };
        g.step(stamp, beat);
        let d = g.step(stamp, Input::Tick).unwrap();
        assert!(
            d.velocity.is_stop() && d.reason.contains(word),
            "{}",
            d.reason
        );
    }
}

#[test]
fn without_permission_it_stands_and_a_stop_needs_none() {
    let mut g = moving();
    g.step(
        at(2),
        Input::Permission {
            stamp: at(2),
            active: false,
        },
    );
    let d = feed(&mut g, at(2), "permission", GO);
    assert!(
        d.velocity.is_stop() && d.reason.contains("executive"),
        "{}",
        d.reason
    );
    let mut g = guard();
    let d = feed(&mut g, at(0), "permission", Velocity::STOP);
    assert!(d.passing && d.velocity.is_stop(), "{}", d.reason);
}

/// What is stamped in the future is dropped: neither does it keep out what comes now, nor come to life later.
#[test]
fn a_stamp_from_the_future_counts_for_nothing() {
    let mut g = guard();
    for (_, input) in well(at(100), GO) {
        g.step(at(0), input);
    }
    assert!(g.step(at(0), Input::Tick).unwrap().velocity.is_stop());
    for tick in 90..110 {
        g.step(at(tick), Input::Publishers(Publishers::RIGHT));
        assert!(g.step(at(tick), Input::Tick).unwrap().velocity.is_stop());
    }
    feed(&mut g, at(110), "", GO);
    let d = feed(&mut g, at(111), "", GO);
    assert!(!d.velocity.is_stop(), "{}", d.reason);
    // One period ahead is a sender that has heard the tick first; it lives no longer for that.
    let mut g = moving();
    for (_, input) in well(at(3), GO) {
        g.step(at(2), input);
    }
    assert!(g.step(at(2), Input::Tick).unwrap().passing);
    let late = Stamp(at(2).0 + (params().command_timeout_s * 1e9) as i64 + 1_000_000);
    assert!(g.step(late, Input::Tick).unwrap().velocity.is_stop());
}

#[test]
fn time_that_runs_backwards_forgets_what_was_heard() {
    let mut g = moving();
    let d = g.step(at(-50), Input::Tick).unwrap();
    assert!(d.velocity.is_stop() && !d.reason.is_empty());
    feed(&mut g, at(-49), "", GO);
    assert!(feed(&mut g, at(-48), "", GO).passing);
}

#[test]
fn wrong_parameters_are_named() {
    type Case = (&'static str, fn(&mut GuardParams));
    let cases: [Case; 5] = [
        ("tilt_share", |p| p.tilt_share = 1.1),
        ("watched", |p| p.watched.clear()),
        ("heartbeat_timeout_s", |p| {
            p.heartbeat_timeout_s = f64::INFINITY
        }),
        ("max_rim_accel_mps2", |p| p.max_rim_accel_mps2 = f64::NAN),
        ("suspension_share", |p| p.suspension_share = 0.0),
    ];
    for (name, spoil) in cases {
        let mut p = params();
        spoil(&mut p);
        let message = GuardConfig::try_from(p).unwrap_err().to_string();
        assert!(message.contains(name), "{name}: {message}");
    }
}

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
