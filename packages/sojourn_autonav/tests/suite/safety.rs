//! Whatever comes in whatever order: AutoNav never moves without a fresh goal, grid and pose, and never too fast.

use crate::double::{params, rover};
use proptest::prelude::*;
use sojourn_autonav::{
    AutoNav, Config, Decision, DriveState, Goal, Input,
    drift::Certainty,
    fusion::TerrainLayers,
    orbital::{Orbital, OrbitalLayers},
};
use sojourn_core::{
    Stamp,
    frames::Transform,
    geometry::corridor,
    kinematics::fastest_rim_mps,
    plan::{Mode, WaypointLimits},
    raster::Raster,
    suspension::SuspensionAngles,
};
use std::sync::Arc;

fn nav() -> AutoNav {
    let r = rover("perseverance");
    AutoNav::new(Config::new(&params(), &r).unwrap(), r).unwrap()
}

fn goal() -> Goal {
    Goal {
        active: true,
        bundle_id: "b".into(),
        index: 0,
        xy_in_map: [10.0, 0.0],
        tolerance_m: 1.0,
        mode: Mode::AvoidAll,
        keep_in_map: vec![corridor([0.0, 0.0], [10.0, 0.0], 5.0)],
        keep_out_map: Vec::new(),
        limits: WaypointLimits {
            tilt_deg: 25.0,
            slip: 0.6,
            speed_mps: 0.03,
        },
    }
}

fn flat(height: f32) -> Raster {
    Raster::filled(130, 130, 0.1, [-6.5, -6.5], height).unwrap()
}

/// Time 1 s plus milliseconds.
fn at(ms: i64) -> Stamp {
    Stamp(1_000_000_000 + ms * 1_000_000)
}

fn pose(stamp: Stamp, x_m: f64, y_m: f64, yaw_rad: f64, pitch_rad: f64) -> Input {
    Input::Pose {
        stamp,
        odom_from_base_link: Transform::from_xyz_rpy([x_m, y_m, 0.0], 0.0, pitch_rad, yaw_rad),
        certainty: None,
    }
}

fn map(stamp: Stamp) -> Input {
    Input::MapFromOdom {
        stamp,
        map_from_odom: Transform::identity(),
    }
}

/// All inputs, but for one of a given name.
fn feed(nav: &mut AutoNav, now: Stamp, skip: &str, goal: &Goal, elevation: &Raster) -> Decision {
    if skip != "grid" {
        nav.step(
            now,
            Input::Grid {
                stamp: now,
                elevation: elevation.clone(),
            },
        );
    }
    if skip != "pose" {
        nav.step(now, pose(now, 0.0, 0.0, 0.0, 0.0));
    }
    if skip != "map_from_odom" {
        nav.step(now, map(now));
    }
    if skip != "goal" {
        nav.step(
            now,
            Input::Goal {
                stamp: now,
                goal: goal.clone(),
            },
        );
    }
    nav.step(now, Input::Tick).unwrap()
}

#[test]
fn it_begins_stopped_and_drives_when_all_is_there() {
    let mut n = nav();
    let d = n.step(at(0), Input::Tick).unwrap();
    assert!(d.velocity.is_stop() && d.state == DriveState::Idle && !d.reason.is_empty());
    let d = feed(&mut n, at(100), "", &goal(), &flat(0.0));
    assert!(
        d.velocity.speed_mps > 0.02 && d.state == DriveState::Driving,
        "{}",
        d.reason
    );
    assert!(d.candidates.iter().any(|c| c.chosen && c.safe));
}

#[test]
fn each_missing_input_stops_it_with_its_name() {
    for (part, word) in [
        ("grid", "terrain grid"),
        ("pose", "pose"),
        ("map_from_odom", "map_from_odom"),
        ("goal", "goal"),
    ] {
        // never heard
        let d = feed(&mut nav(), at(0), part, &goal(), &flat(0.0));
        assert!(d.velocity.is_stop(), "{part}");
        // heard once, then no more
        let mut n = nav();
        assert!(
            !feed(&mut n, at(0), "", &goal(), &flat(0.0))
                .velocity
                .is_stop()
        );
        let late = if part == "grid" { 31_000 } else { 600 };
        let d = feed(&mut n, at(late), part, &goal(), &flat(0.0));
        assert!(
            d.velocity.is_stop() && d.reason.contains(word),
            "{part}: {}",
            d.reason
        );
        assert_eq!(d.state, DriveState::Stopped);
        // and back again
        assert!(
            !feed(&mut n, at(late + 100), "", &goal(), &flat(0.0))
                .velocity
                .is_stop()
        );
    }
}

#[test]
fn outside_the_corridor_it_stands() {
    let mut n = nav();
    let mut g = goal();
    g.keep_in_map = vec![corridor([20.0, 0.0], [30.0, 0.0], 5.0)];
    let d = feed(&mut n, at(0), "", &g, &flat(0.0));
    assert!(
        d.velocity.is_stop() && d.reason.contains("outside the corridor"),
        "{}",
        d.reason
    );
    g.keep_in_map.clear();
    let d = feed(&mut n, at(100), "", &g, &flat(0.0));
    assert!(
        d.velocity.is_stop() && d.reason.contains("no corridor"),
        "{}",
        d.reason
    );
}

#[test]
fn a_wall_all_around_ends_in_a_stop_that_names_limit_value_and_place() {
    let mut n = nav();
    let blank = flat(0.0);
    let walls = blank.like(|c, r| {
        let [x, y] = blank.centre_m(c, r);
        if x.abs().max(y.abs()) > 2.2 { 2.0 } else { 0.0 }
    });
    let mut last = None;
    let mut yaw = 0.0;
    for tick in 0..1200 {
        let now = at(tick * 400);
        if tick % 25 == 0 {
            n.step(
                now,
                Input::Grid {
                    stamp: now,
                    elevation: walls.clone(),
                },
            );
        }
        n.step(now, pose(now, 0.0, 0.0, yaw, 0.0));
        n.step(now, map(now));
        n.step(
            now,
            Input::Goal {
                stamp: now,
                goal: goal(),
            },
        );
        // It may turn to look elsewhere; it does not drive.
        let d = n.step(now, Input::Tick).unwrap();
        assert!(d.velocity.speed_mps == 0.0, "{}", d.reason);
        yaw += 0.4 * d.velocity.turn_radps;
        let ended = d.gave_up;
        last = Some(d);
        if ended {
            break;
        }
    }
    let d = last.unwrap();
    assert!(d.gave_up && d.state == DriveState::Stopped && d.stops == 1);
    assert!(
        d.reason.contains("no safe path")
            && d.reason.contains("limit")
            && d.reason.contains("odom"),
        "{}",
        d.reason
    );
    // a new goal, and a way that is free, make it move again
    let mut g = goal();
    g.index = 1;
    let d = feed(&mut n, at(600_000), "", &g, &flat(0.0));
    assert!(!d.velocity.is_stop() && !d.gave_up, "{}", d.reason);
}

#[test]
fn guarded_stops_before_a_rock_that_avoid_all_goes_round() {
    let blank = flat(0.0);
    let rock = blank.like(|c, r| {
        let [x, y] = blank.centre_m(c, r);
        if (x - 2.2).hypot(y - 1.2) < 0.4 {
            0.6
        } else {
            0.0
        }
    });
    let mut g = goal();
    assert!(!feed(&mut nav(), at(0), "", &g, &rock).velocity.is_stop());
    g.mode = Mode::Guarded;
    let mut n = nav();
    let d = feed(&mut n, at(0), "", &g, &rock);
    assert!(
        d.velocity.is_stop() && d.reason.contains("no safe path"),
        "{}",
        d.reason
    );
    g.mode = Mode::Directed;
    assert!(!feed(&mut nav(), at(0), "", &g, &rock).velocity.is_stop());
}

#[test]
fn directed_still_stops_for_tilt_and_unknown_ground_is_never_entered() {
    let mut g = goal();
    g.mode = Mode::Directed;
    let mut n = nav();
    feed(&mut n, at(0), "", &g, &flat(0.0));
    n.step(at(100), pose(at(100), 0.0, 0.0, 0.0, 0.5));
    let d = feed(&mut n, at(100), "pose", &g, &flat(0.0));
    assert!(
        d.velocity.is_stop() && d.reason.contains("tilt"),
        "{}",
        d.reason
    );
    let d = feed(&mut nav(), at(0), "", &goal(), &flat(f32::NAN));
    assert!(
        d.velocity.is_stop() && d.reason.contains("unknown ground"),
        "{}",
        d.reason
    );
}

/// What orbit tells of 80 × 60 m around the start.
fn orbital(height: impl Fn(f64, f64) -> f32) -> Arc<Orbital> {
    let flat = Raster::filled(80, 60, 1.0, [-20.0, -30.0], 0.0).unwrap();
    let elevation = flat.like(|c, r| {
        let [x, y] = flat.centre_m(c, r);
        height(x, y)
    });
    let layers = OrbitalLayers {
        frame: "map".into(),
        elevation,
        error_m: 0.0,
        class: None,
        slope_more_deg: None,
        roughness_least_m: None,
    };
    Arc::new(Orbital::new(&layers, &rover("perseverance")).unwrap())
}

#[test]
fn a_wall_that_orbit_alone_has_seen_is_gone_round_from_the_start() {
    // The rover sees 6.5 m; the wall stands 10 m ahead, open far to the left of the way.
    let wall = |x: f64, y: f64| {
        if (10.0..13.0).contains(&x) && y < 8.0 {
            3.0
        } else {
            0.0
        }
    };
    let far = Goal {
        xy_in_map: [28.0, 0.0],
        keep_in_map: vec![corridor([0.0, 0.0], [28.0, 0.0], 12.0)],
        ..goal()
    };
    let left_m = |orbital: Option<Arc<Orbital>>| {
        let mut n = nav();
        n.see_from_orbit(orbital);
        let d = feed(&mut n, at(0), "", &far, &flat(0.0));
        let chosen = d.candidates.iter().find(|c| c.chosen).unwrap();
        chosen.poses.last().unwrap().y_m
    };
    let without_m = left_m(None);
    assert!(without_m.abs() < 0.3, "{without_m}");
    let with_m = left_m(Some(orbital(wall)));
    assert!(with_m > 0.8, "{with_m}");
    let flat_m = left_m(Some(orbital(|_, _| 0.0)));
    assert!(flat_m.abs() < 0.3, "{flat_m}");
}

#[test]
fn ground_that_orbit_calls_easy_is_not_entered_unseen() {
    let mut n = nav();
    n.see_from_orbit(Some(orbital(|_, _| 0.0)));
    let d = feed(&mut n, at(0), "", &goal(), &flat(f32::NAN));
    assert!(
        d.velocity.is_stop() && d.reason.contains("unknown ground"),
        "{}",
        d.reason
    );
}

#[test]
fn a_jump_of_the_pose_stops_it_by_name_within_a_tick() {
    let mut n = nav();
    assert!(
        !feed(&mut n, at(0), "", &goal(), &flat(0.0))
            .velocity
            .is_stop()
    );
    n.step(at(100), pose(at(100), 1.5, 0.0, 0.0, 0.0));
    let d = feed(&mut n, at(100), "pose", &goal(), &flat(0.0));
    assert!(
        d.velocity.is_stop() && d.reason.contains("pose jumped"),
        "{}",
        d.reason
    );
    assert_eq!(d.state, DriveState::Stopped);
}

#[test]
fn the_clock_going_backwards_stops_it_by_name() {
    let mut n = nav();
    assert!(
        !feed(&mut n, at(500), "", &goal(), &flat(0.0))
            .velocity
            .is_stop()
    );
    let d = n.step(at(400), Input::Tick).unwrap();
    assert!(
        d.velocity.is_stop() && d.reason.contains("clock"),
        "{}",
        d.reason
    );
}

#[test]
fn digging_in_stops_it_before_the_limit() {
    let mut n = nav();
    let d = feed(&mut n, at(0), "", &goal(), &flat(0.0));
    assert!(d.velocity.speed_mps > 0.0);
    n.step(
        at(100),
        Input::Slip {
            stamp: at(100),
            slip: 0.57,
        },
    );
    let d = feed(&mut n, at(100), "", &goal(), &flat(0.0));
    assert!(
        d.velocity.is_stop() && d.reason.contains("embedding"),
        "{}",
        d.reason
    );
    // and what was measured is expected from then on
    assert!(n.slip().expect(0.0, 1.0, None).0 > 0.1);
}

/// On ground that is steeper than the map says slip is over its limit before the next reading tells; the slope is felt.
#[test]
fn climbing_more_steeply_than_the_map_says_it_stops_before_slip_is_read() {
    let mut n = nav();
    let mut x = 0.0;
    for k in 0..200 {
        let now = at(100 * k);
        let pitch = if x > 0.3 { -22.5f64 } else { 0.0 };
        n.step(now, pose(now, x, 0.0, 0.0, pitch.to_radians()));
        let d = feed(&mut n, now, "pose", &goal(), &flat(0.0));
        if d.state == DriveState::Stopped {
            assert!(d.velocity.is_stop() && d.reason.contains("of the last decimetres"));
            assert!((0.31..0.6).contains(&x), "{x} {}", d.reason);
            return;
        }
        x += 0.1 * d.velocity.speed_mps;
    }
    panic!("it drove on to {x} m");
}

/// The guard's fault at 98 % ends a drive; AutoNav turns back before.
#[test]
fn leaning_more_than_the_map_says_it_stops_before_the_guard_and_turns_back() {
    let mut n = nav();
    let mut x = 0.0;
    let mut stopped = String::new();
    let mut backed = false;
    for k in 0..100 {
        let now = at(400 * k);
        let pitch = if x > 0.6 { -24.4f64 } else { 0.0 };
        n.step(now, pose(now, x, 0.0, 0.0, pitch.to_radians()));
        let d = feed(&mut n, now, "pose", &goal(), &flat(0.0));
        x += 0.4 * d.velocity.speed_mps;
        if stopped.is_empty() && d.state == DriveState::Stopped {
            assert!(d.velocity.is_stop() && x > 0.6);
            stopped = d.reason;
        }
        backed |= d.velocity.speed_mps < 0.0;
    }
    assert!(stopped.contains("tilt is 24.4 deg"), "{stopped}");
    assert!(backed);
}

#[test]
fn a_suspension_that_takes_more_than_the_map_says_stops_it_before_the_guard_and_it_goes_back() {
    let (mut n, limit_deg) = (nav(), rover("perseverance").limits.bogie_deg);
    let (mut x, mut farthest) = (0.0f64, 0.0f64);
    let mut stopped = String::new();
    let mut backed = false;
    for k in 0..100 {
        let now = at(400 * k);
        let bogie_deg = limit_deg * if x > 0.6 { 0.95 } else { 0.3 };
        n.step(now, pose(now, x, 0.0, 0.0, 0.0));
        let angles = SuspensionAngles {
            differential_rad: 0.0,
            bogie_rad: [bogie_deg.to_radians(), 0.0],
        };
        n.step(now, Input::Suspension { stamp: now, angles });
        let d = feed(&mut n, now, "pose", &goal(), &flat(0.0));
        x += 0.4 * d.velocity.speed_mps;
        farthest = farthest.max(x);
        if stopped.is_empty() && d.state == DriveState::Stopped {
            assert!(d.velocity.is_stop() && x > 0.6);
            stopped = d.reason;
        }
        backed |= d.velocity.speed_mps < 0.0;
    }
    assert!(stopped.contains("bogie_deg is 16.1"), "{stopped}");
    assert!(backed && farthest < 0.65, "{farthest}");
}

#[test]
fn rocks_grow_with_the_drift_that_localization_tells_within_bounds() {
    let p = params();
    let radius_m = rover("perseverance").footprint_radius_m();
    let (least_m, most_m) = (
        p.inflate_footprints * radius_m,
        p.inflate_max_footprints * radius_m,
    );
    let grown = |share: f64| {
        let mut n = nav();
        let told = Certainty {
            planar: nalgebra::Matrix3::zeros(),
            speed_mps: 0.04,
            speed_sigma_mps: 0.04 * share,
        };
        n.step(
            at(0),
            Input::Pose {
                stamp: at(0),
                odom_from_base_link: Transform::identity(),
                certainty: Some(told),
            },
        );
        feed(&mut n, at(0), "pose", &goal(), &flat(0.0)).inflate_m
    };
    assert_eq!(grown(0.0), least_m);
    let middle_m = grown(0.04);
    assert!(
        middle_m > 1.1 * least_m && middle_m < 0.9 * most_m,
        "{middle_m}"
    );
    assert_eq!(grown(0.5), most_m);
    assert_eq!(grown(f64::NAN), least_m);
}

#[test]
fn a_slow_computer_stands_and_thinks() {
    let r = rover("perseverance");
    let mut p = params();
    p.think_s = 3.0;
    let mut n = AutoNav::new(Config::new(&p, &r).unwrap(), r).unwrap();
    for tick in 0..30 {
        let d = feed(&mut n, at(tick * 100), "", &goal(), &flat(0.0));
        assert!(
            d.velocity.is_stop() && d.reason.contains("thinking"),
            "{}",
            d.reason
        );
    }
    let d = feed(&mut n, at(3000), "", &goal(), &flat(0.0));
    assert!(!d.velocity.is_stop() && d.think_stops == 1, "{}", d.reason);
}

#[test]
fn every_planner_drives_on_open_ground_and_only_the_blind_one_into_a_wall() {
    use sojourn_autonav::config::PlannerKind;
    let blank = flat(0.0);
    let wall = blank.like(|c, r| {
        if blank.centre_m(c, r)[0] > 2.3 {
            2.0
        } else {
            0.0
        }
    });
    for kind in [
        PlannerKind::Tiered,
        PlannerKind::GestaltDisc,
        PlannerKind::EnavLike,
        PlannerKind::AceGravity,
        PlannerKind::StraightGuarded,
    ] {
        let r = rover("perseverance");
        let mut p = params();
        p.planner = kind;
        let mut n = AutoNav::new(Config::new(&p, &r).unwrap(), r.clone()).unwrap();
        let d = feed(&mut n, at(0), "", &goal(), &blank);
        assert!(d.velocity.speed_mps > 0.0, "{kind:?}: {}", d.reason);
        let mut n = AutoNav::new(Config::new(&p, &r).unwrap(), r).unwrap();
        let d = feed(&mut n, at(0), "", &goal(), &wall);
        let ahead = d.velocity.speed_mps > 0.0 && d.velocity.turn_radps.abs() < 1e-3;
        assert_eq!(
            ahead,
            kind == PlannerKind::StraightGuarded,
            "{kind:?}: {}",
            d.reason
        );
    }
}

#[derive(Clone, Debug)]
enum Event {
    Grid(u8, i64),
    Layers(u8, i64),
    Slip(f64, i64),
    Clock(i64),
    Pose([f64; 4], i64),
    Map(f64, i64),
    Goal(bool, u8, f64, i64),
    Wait(i64),
}

fn event() -> impl Strategy<Value = Event> {
    let late = prop_oneof![5 => Just(0i64), 1 => -800i64..800];
    let x = prop_oneof![12 => -0.4f64..0.4, 1 => Just(f64::NAN), 1 => Just(f64::INFINITY), 1 => -20.0f64..20.0];
    prop_oneof![
        1 => (0u8..4, late.clone()).prop_map(|(k, d)| Event::Grid(k, d)),
        1 => (0u8..4, late.clone()).prop_map(|(k, d)| Event::Layers(k, d)),
        1 => (prop_oneof![3 => -0.2f64..1.2, 1 => Just(f64::NAN)], late.clone()).prop_map(|(v, d)| Event::Slip(v, d)),
        1 => (1i64..2000).prop_map(Event::Clock),
        3 => (x.clone(), x.clone(), -0.6f64..0.6, late.clone())
            .prop_map(|(x, y, p, d)| Event::Pose([x, y, 0.3, p], d)),
        2 => (x.clone(), late.clone()).prop_map(|(x, d)| Event::Map(x, d)),
        2 => (prop::bool::weighted(0.9), 0u8..4, x, late).prop_map(|(a, k, x, d)| Event::Goal(a, k, x, d)),
        4 => (1i64..400).prop_map(Event::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn it_never_moves_without_fresh_goal_grid_and_pose(events in prop::collection::vec(event(), 1..60)) {
        let p = params();
        let r = rover("perseverance");
        let mut n = nav();
        let mut now = at(0);
        feed(&mut n, now, "", &goal(), &flat(0.0));
        let (mut g, mut active, mut mapped, mut posed) = (now, true, now, now);
        let mut grid = now;
        for e in events {
            let stamp = |ms: i64| Stamp(now.0 + ms * 1_000_000);
            match e {
                Event::Grid(kind, ms) => {
                    let blank = flat(0.0);
                    let elevation = match kind {
                        0 => blank,
                        1 => flat(f32::NAN),
                        2 => blank.like(|c, _| if c % 7 == 0 { f32::INFINITY } else { 0.0 }),
                        _ => blank.like(|c, row| if (c / 9 + row / 11) % 5 == 0 { 0.8 } else { 0.0 }),
                    };
                    let s = stamp(ms);
                    n.step(now, Input::Grid { stamp: s, elevation });
                    if s >= grid { grid = s; }
                }
                Event::Layers(kind, ms) => {
                    let s = stamp(ms);
                    let elevation = flat(0.0);
                    let mut layers = TerrainLayers::of(elevation.clone());
                    match kind {
                        // highest below lowest, a variance below zero, a layer of another shape
                        0 => (layers.low, layers.high) = (Some(flat(1.0)), Some(flat(-1.0))),
                        1 => layers.variance = Some(flat(-3.0)),
                        2 => layers.high = Some(Raster::filled(3, 3, 0.1, [0.0, 0.0], 0.0).unwrap()),
                        _ => layers.class = Some(flat(f32::INFINITY)),
                    }
                    n.step(now, Input::Terrain { stamp: s, layers: Box::new(layers) });
                    if s >= grid && kind != 2 { grid = s; }
                }
                Event::Slip(slip, ms) => { n.step(now, Input::Slip { stamp: stamp(ms), slip }); }
                Event::Clock(ms) => {
                    now = Stamp(now.0 - ms * 1_000_000);
                    let d = n.step(now, Input::Tick).unwrap();
                    prop_assert!(d.velocity.is_stop() && d.reason.contains("clock"), "{}", d.reason);
                }
                Event::Pose([x, y, yaw, pitch], ms) => {
                    let s = stamp(ms);
                    n.step(now, pose(s, x, y, yaw, pitch));
                    if x.is_finite() && y.is_finite() && s >= posed { posed = s; }
                }
                Event::Map(x, ms) => {
                    let s = stamp(ms);
                    let map_from_odom = Transform::from_xyz_rpy([x, 0.0, 0.0], 0.0, 0.0, 0.0);
                    n.step(now, Input::MapFromOdom { stamp: s, map_from_odom });
                    if x.is_finite() { mapped = s; }
                }
                Event::Goal(on, kind, x, ms) => {
                    let s = stamp(ms);
                    let mut new = goal();
                    new.active = on;
                    new.xy_in_map[1] = x;
                    new.mode = [Mode::AvoidAll, Mode::Guarded, Mode::Directed, Mode::AvoidAll][kind as usize];
                    n.step(now, Input::Goal { stamp: s, goal: new });
                    if x.is_finite() { g = s; active = on; }
                }
                Event::Wait(ms) => now = Stamp(now.0 + ms * 1_000_000),
            }
            let d = n.step(now, Input::Tick).unwrap();
            prop_assert!(d.velocity.is_finite() && !d.reason.is_empty());
            prop_assert!(fastest_rim_mps(&r, d.velocity) <= 0.03 + 1e-9, "{:?}", d.velocity);
            if !d.velocity.is_stop() {
                let fresh = |s: Stamp, limit: f64| now.since(s).abs() <= limit;
                prop_assert!(active && fresh(g, p.goal_timeout_s));
                prop_assert!(fresh(posed, p.pose_timeout_s) && fresh(mapped, p.pose_timeout_s));
                prop_assert!(fresh(grid, p.grid_timeout_s));
                prop_assert!(matches!(d.state, DriveState::Driving | DriveState::Turning));
            }
        }
    }
}

/// The class of the ground decides what slip is expected on a slope: bedrock is climbed where loose soil is not.
#[test]
fn a_slope_of_bedrock_is_climbed_and_one_of_loose_soil_is_not() {
    use sojourn_core::{classes::TerrainClass, slip_forecast::SlipPriors};
    let steep = |class: TerrainClass| {
        let mut nav = nav();
        assert!(nav.expect_slip(&SlipPriors::shipped().unwrap()));
        let elevation = flat(0.0);
        let elevation =
            elevation.like(|c, r| (elevation.centre_m(c, r)[0] * 18f64.to_radians().tan()) as f32);
        let mut last = None;
        for k in 0..30 {
            let now = at(100 * k);
            let layers = Box::new(TerrainLayers {
                class: Some(elevation.like(|_, _| f32::from(class.code()))),
                ..TerrainLayers::of(elevation.clone())
            });
            nav.step(now, Input::Terrain { stamp: now, layers });
            nav.step(now, pose(now, 0.0, 0.0, 0.0, -18f64.to_radians()));
            nav.step(now, map(now));
            nav.step(
                now,
                Input::Goal {
                    stamp: now,
                    goal: goal(),
                },
            );
            last = nav.step(now, Input::Tick);
        }
        last.unwrap()
    };
    let rock = steep(TerrainClass::Bedrock);
    assert!(rock.velocity.speed_mps > 0.0, "{:?}", rock.reason);
    let soil = steep(TerrainClass::LooseSoil);
    assert!(soil.velocity.speed_mps <= 0.0, "{:?}", soil.reason);
}
