mod faults;
mod sequences;

use super::*;
use crate::config::tests::{root, rover};

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
