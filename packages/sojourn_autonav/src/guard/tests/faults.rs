//! What latches until a reset.

use super::*;

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
