use super::*;
use crate::testing::{mars, perseverance};
use proptest::prelude::*;
use sojourn_core::{
    classes::TerrainClass,
    frames::Pose2,
    kinematics::{Velocity, WheelMotion, wheels_for},
    rover::Rover,
    settle::{Settled, Settler},
    soil::{Soil, SoilTable},
};
use std::sync::OnceLock;

fn soils() -> Vec<Soil> {
    let table = SoilTable::shipped().unwrap();
    table.classes.iter().map(|c| c.nominal).collect()
}

fn soil_of(class: TerrainClass) -> usize {
    SoilTable::shipped().unwrap().weakness(class).unwrap()
}

fn dynamics() -> &'static Dynamics {
    static ONCE: OnceLock<Dynamics> = OnceLock::new();
    ONCE.get_or_init(|| Dynamics::new(&perseverance(), &mars(), &soils()))
}

fn on_plane(rover: &Rover, grade: f64, direction: f64) -> Settled {
    let ground = move |x: f64, y: f64| Some(grade * (direction.cos() * x + direction.sin() * y));
    Settler::new(rover, 0.05)
        .settle(&ground, Pose2::default())
        .unwrap()
}

/// Drives straight up a slope until it is steady; slip and the traction.
fn climb(class: TerrainClass, slope_deg: f64) -> Traction {
    let rover = perseverance();
    let settled = on_plane(&rover, slope_deg.to_radians().tan(), 0.0);
    let motion = wheels_for(
        &rover,
        Velocity {
            speed_mps: 0.04,
            turn_radps: 0.0,
        },
    );
    let mut tracks = Tracks::default();
    let mut out = Traction::default();
    for _ in 0..400 {
        out = dynamics().step(&mut tracks, &settled, [soil_of(class); 6], &motion, 1.0);
    }
    out
}

const STATIC_N: f64 = 1025.0 * 3.72076 / 6.0;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// The look-up agrees with the integrals within 1 % of the load and 1 mm, short of a nearly locked wheel.
    #[test]
    fn the_table_is_the_integrals(load in 0.05f64..2.5, slip in -0.9f64..1.0, k in 0usize..7) {
        let soil = soils()[k];
        let table = dynamics().table(k).unwrap();
        let load_n = load * STATIC_N;
        let exact = contact(&soil, &perseverance().wheel, load_n, slip, 0.0);
        let fast = table.look_up(load_n, slip);
        for (a, b) in [(exact.thrust_n, fast.thrust_n), (exact.resistance_n, fast.resistance_n), (exact.capacity_n, fast.capacity_n)] {
            prop_assert!((a - b).abs() < 0.01 * load_n + 0.01 * exact.capacity_n, "{a} {b} of {load_n}");
        }
        prop_assert!((exact.sinkage_m - fast.sinkage_m).abs() < 0.001, "{exact:?} {fast:?}");
        prop_assert!((exact.torque_nm - fast.torque_nm).abs() < 0.02 * load_n * 0.2625);
    }

    /// With motion to the side the look-up is a model of its own: within 15 % of the load of the integrals while driving.
    #[test]
    fn the_side_force_is_near_the_integrals(load in 0.2f64..2.0, slip in 0.0f64..0.9, side in -0.5f64..0.5, k in 0usize..7) {
        let soil = soils()[k];
        let load_n = load * STATIC_N;
        let exact = contact(&soil, &perseverance().wheel, load_n, slip, side);
        let fast = dynamics().table(k).unwrap().look_up_with_side(load_n, slip, side);
        prop_assert!((exact.side_n - fast.side_n).abs() < 0.15 * load_n, "side {} {} of {load_n}", exact.side_n, fast.side_n);
        prop_assert!((exact.thrust_n - fast.thrust_n).abs() < 0.15 * load_n, "thrust {} {} of {load_n}", exact.thrust_n, fast.thrust_n);
        prop_assert!(fast.side_n * side >= 0.0);
    }

    /// The integrals carry the load they are asked for, and more slip never gives less shear to push with.
    #[test]
    fn the_integrals_make_sense(load in 0.05f64..3.0, a in 0.0f64..1.0, b in 0.0f64..1.0, k in 0usize..7) {
        let (soil, wheel) = (soils()[k], perseverance().wheel);
        let (lo, hi) = (a.min(b), a.max(b));
        let (c, d) = (contact(&soil, &wheel, load * STATIC_N, lo, 0.0), contact(&soil, &wheel, load * STATIC_N, hi, 0.0));
        prop_assert!(d.torque_nm >= c.torque_nm - 1e-3 * STATIC_N, "{c:?} {d:?}");
        prop_assert!(c.thrust_n <= c.capacity_n * (1.0 + 1e-12) && c.resistance_n >= 0.0);
        let deeper = contact(&soil, &wheel, 1.2 * load * STATIC_N, lo, 0.0);
        prop_assert!(deeper.sinkage_m >= c.sinkage_m && deeper.resistance_n > c.resistance_n);
    }

    /// On any plane the loads add up to the weight; downhill wheels carry more.
    #[test]
    fn loads_add_up(slope in 0.0f64..20.0, dir in -3.2f64..3.2) {
        let (rover, body) = (perseverance(), mars());
        let s = on_plane(&rover, slope.to_radians().tan(), dir);
        let loads = loads::wheel_loads_n(&rover, body.gravity_mps2, &s);
        let sum: f64 = loads.iter().sum();
        prop_assert!((sum - rover.mass_kg * body.gravity_mps2).abs() < 1e-6);
        prop_assert!(loads.iter().all(|&n| n > 0.0), "{loads:?}");
        if slope > 2.0 && dir.sin() > 0.3 {
            let right: f64 = loads[3..].iter().sum();
            prop_assert!(right > 0.5 * sum);
        }
        if slope > 5.0 && dir.cos() > 0.5 {
            let flat = loads::wheel_loads_n(&rover, body.gravity_mps2, &on_plane(&rover, 0.0, 0.0));
            prop_assert!(loads[0] + loads[3] < flat[0] + flat[3], "nose up: weight moves to the rear");
        }
    }

    /// Whatever the wheels are told on whatever slope and soils, a balance is found and nothing moves faster than rims do.
    #[test]
    fn every_command_finds_its_balance(
        grade in 0.0f64..0.35, dir in -3.2f64..3.2, v in -0.04f64..0.04, w in -0.02f64..0.02,
        soils in proptest::array::uniform6(0usize..7), dug in proptest::array::uniform6(0.0f64..0.1),
    ) {
        let rover = perseverance();
        let settled = on_plane(&rover, grade, dir);
        let motion = wheels_for(&rover, Velocity { speed_mps: v, turn_radps: w });
        let mut tracks = Tracks { dug_m: dug, ..Tracks::default() };
        let t = dynamics().step(&mut tracks, &settled, soils, &motion, 0.1);
        prop_assert!(t.balanced, "{t:?}");
        let fastest = motion.rim_mps.iter().fold(0.0f64, |m, r| m.max(r.abs()));
        prop_assert!(t.forward_mps.hypot(t.left_mps) <= 2.2 * fastest);
        prop_assert!(t.wheels.iter().all(|w| w.load_n >= 0.0 && w.sinkage_m.is_finite() && w.sinkage_m < 0.27));
        let again = dynamics().step(&mut Tracks { dug_m: dug, ..Tracks::default() }, &settled, soils, &motion, 0.1);
        prop_assert_eq!(t, again);
    }
}

#[test]
fn weaker_ground_slips_more_and_steeper_ground_too() {
    let table = SoilTable::shipped().unwrap();
    for slope in [0.0, 5.0, 10.0] {
        let slips: Vec<f64> = table
            .classes
            .iter()
            .map(|c| climb(c.class, slope).slip)
            .collect();
        assert!(
            slips.windows(2).all(|w| w[0] < w[1] + 0.011),
            "{slope}: {slips:?}"
        );
    }
    for c in &table.classes {
        let slips: Vec<f64> = [-10.0, -5.0, 0.0, 5.0, 10.0, 15.0]
            .map(|s| climb(c.class, s).slip)
            .to_vec();
        assert!(
            slips.windows(2).all(|w| w[0] <= w[1] + 1e-6),
            "{:?}: {slips:?}",
            c.class
        );
    }
}

#[test]
fn sand_holds_a_rover_for_good() {
    let rover = perseverance();
    let sand = [soil_of(TerrainClass::SandRipples); 6];
    let ahead = wheels_for(
        &rover,
        Velocity {
            speed_mps: 0.04,
            turn_radps: 0.0,
        },
    );
    let uphill = on_plane(&rover, 16f64.to_radians().tan(), 0.0);
    let mut tracks = Tracks::default();
    let mut last = Traction::default();
    for _ in 0..300 {
        last = dynamics().step(&mut tracks, &uphill, sand, &ahead, 1.0);
    }
    assert!(last.stuck && last.slip >= 1.0, "{last:?}");
    assert!(tracks.dug_m.iter().any(|d| *d > 0.1), "{tracks:?}");
    // dug in so deep, level ground does not free it either, ahead or back
    let level = on_plane(&rover, 0.0, 0.0);
    for speed_mps in [0.04, -0.04] {
        let motion = wheels_for(
            &rover,
            Velocity {
                speed_mps,
                turn_radps: 0.0,
            },
        );
        let mut tracks = tracks;
        let mut way_m = 0.0;
        for _ in 0..100 {
            way_m += dynamics()
                .step(&mut tracks, &level, sand, &motion, 1.0)
                .forward_mps;
        }
        assert!(way_m.abs() < 0.05, "{way_m}");
    }
    // the same wheels on rock drive off
    let rock = [soil_of(TerrainClass::Bedrock); 6];
    let free = dynamics().step(&mut Tracks::default(), &level, rock, &ahead, 1.0);
    assert!(free.slip < 0.02, "{free:?}");
}

#[test]
fn a_side_slope_makes_it_creep_down() {
    let rover = perseverance();
    let ahead = wheels_for(
        &rover,
        Velocity {
            speed_mps: 0.04,
            turn_radps: 0.0,
        },
    );
    // ground rises to the left
    let settled = on_plane(
        &rover,
        10f64.to_radians().tan(),
        std::f64::consts::FRAC_PI_2,
    );
    let mut creep = Vec::new();
    for class in [
        TerrainClass::Bedrock,
        TerrainClass::SmoothRegolith,
        TerrainClass::SandRipples,
    ] {
        let t = dynamics().step(
            &mut Tracks::default(),
            &settled,
            [soil_of(class); 6],
            &ahead,
            1.0,
        );
        assert!(t.left_mps < 0.0 && !t.stuck, "{t:?}");
        creep.push(-t.left_mps / t.forward_mps);
    }
    assert!(
        creep[0] < 0.02 && creep[1] < 0.15 && creep[2] < 0.4,
        "{creep:?}"
    );
    assert!(creep[0] < creep[1] && creep[1] < creep[2], "{creep:?}");
}

#[test]
fn a_turn_with_a_trace_of_way_ahead_slips_like_the_turn_in_place() {
    let rover = perseverance();
    // uphill ahead and to the right: it slides back and to the left while it turns
    let slope = on_plane(&rover, 12f64.to_radians().tan(), -0.8);
    let soil = [soil_of(TerrainClass::SmoothRegolith); 6];
    let slip = |speed_mps: f64| {
        let motion = wheels_for(
            &rover,
            Velocity {
                speed_mps,
                turn_radps: 0.0255,
            },
        );
        dynamics()
            .step(&mut Tracks::default(), &slope, soil, &motion, 0.1)
            .slip
    };
    let in_place = slip(0.0);
    assert!((0.0..0.4).contains(&in_place), "{in_place}");
    for trace_mps in [1e-6, 1e-4, 1e-3] {
        let slip = slip(trace_mps);
        assert!(
            (slip - in_place).abs() < 0.1,
            "{trace_mps} m/s: {slip}, in place {in_place}"
        );
    }
}

#[test]
fn a_wheel_that_stands_drags_and_pulls_to_its_side() {
    let rover = perseverance();
    let level = on_plane(&rover, 0.0, 0.0);
    let soil = [soil_of(TerrainClass::SmoothRegolith); 6];
    let ahead = wheels_for(
        &rover,
        Velocity {
            speed_mps: 0.04,
            turn_radps: 0.0,
        },
    );
    let healthy = dynamics().step(&mut Tracks::default(), &level, soil, &ahead, 1.0);
    assert!(
        healthy.turn_radps.abs() < 1e-6 && healthy.slip < 0.1,
        "{healthy:?}"
    );
    let mut dead = ahead;
    dead.rim_mps[3] = 0.0;
    let t = dynamics().step(&mut Tracks::default(), &level, soil, &dead, 1.0);
    assert!(t.slip > healthy.slip && !t.stuck, "{t:?}");
    assert!(
        t.turn_radps < 0.0,
        "the right front wheel stands, so it turns to the right: {t:?}"
    );
    assert!((t.wheels[3].slip + 1.0).abs() < 1e-6 && t.wheels[3].torque_nm < 0.0);
}

#[test]
fn turning_in_place_turns_and_standing_stands() {
    let rover = perseverance();
    let soil = [soil_of(TerrainClass::SmoothRegolith); 6];
    let turn = wheels_for(
        &rover,
        Velocity {
            speed_mps: 0.0,
            turn_radps: 0.02,
        },
    );
    let level = on_plane(&rover, 0.0, 0.0);
    let t = dynamics().step(&mut Tracks::default(), &level, soil, &turn, 1.0);
    assert!(
        t.turn_radps > 0.018 && t.forward_mps.abs() < 0.002 && t.slip < 0.1,
        "{t:?}"
    );
    let uphill = on_plane(&rover, 0.2, 0.3);
    let t = dynamics().step(
        &mut Tracks::default(),
        &uphill,
        soil,
        &WheelMotion::default(),
        1.0,
    );
    assert_eq!(
        (t.forward_mps, t.left_mps, t.turn_radps, t.slip),
        (0.0, 0.0, 0.0, 0.0)
    );
    assert!(!t.stuck && t.wheels[0].sinkage_m > 0.0);
}

#[test]
fn skid_steer_turns_less_than_its_wheels_and_four_wheels_carry_it() {
    let earth =
        sojourn_core::body::Body::load(&crate::testing::config("bodies/earth.yaml")).unwrap();
    for name in ["leo", "husky", "osr"] {
        let rover = Rover::load(&crate::testing::config(&format!("rovers/{name}.yaml"))).unwrap();
        let d = Dynamics::new(&rover, &earth, &soils());
        let level = on_plane(&rover, 0.0, 0.0);
        let loads = loads::wheel_loads_n(&rover, earth.gravity_mps2, &level);
        let sum: f64 = loads.iter().sum();
        assert!((sum - rover.mass_kg * earth.gravity_mps2).abs() < 1e-6);
        for (n, there) in loads.iter().zip(rover.has_wheel()) {
            assert_eq!(*n > 0.0, there, "{name}: {loads:?}");
        }
        let soil = [soil_of(TerrainClass::SmoothRegolith); 6];
        let ahead = wheels_for(
            &rover,
            Velocity {
                speed_mps: 0.2,
                turn_radps: 0.0,
            },
        );
        let t = d.step(&mut Tracks::default(), &level, soil, &ahead, 0.1);
        assert!(t.balanced && t.slip > 0.0 && t.slip < 0.3, "{name}: {t:?}");
        let turn = wheels_for(
            &rover,
            Velocity {
                speed_mps: 0.0,
                turn_radps: 0.3,
            },
        );
        let t = d.step(&mut Tracks::default(), &level, soil, &turn, 0.1);
        assert!(t.balanced && t.turn_radps > 0.0, "{name}: {t:?}");
        let share = t.turn_radps / 0.3;
        if name == "osr" {
            assert!(share > 0.8, "steered wheels roll: {share}");
        } else {
            assert!(
                share > 0.2 && share < 0.8,
                "skidding wheels scrub: {name} {share}"
            );
        }
    }
}
