use super::*;
use crate::{
    electrics::ElectricsReading,
    testing::{mars, perseverance, small_site},
    world::{Unlabelled, WorldParams},
};
use proptest::prelude::*;
use sojourn_core::classes::TerrainClass;

fn demo_world(seed: u64) -> World {
    World::from_site(
        &small_site(seed),
        &WorldParams::demo(seed, [10.0, 10.0, 80.0, 80.0], [30.0, 40.0]),
    )
    .unwrap()
}

fn plane(gx: f64, gy: f64) -> World {
    let params = WorldParams {
        rock_cfa: 0.0,
        unlabelled: Unlabelled::Class(TerrainClass::SmoothRegolith),
        ..WorldParams::demo(4, [-30.0, -30.0, 30.0, 30.0], [0.0, 0.0])
    };
    World::from_fn(&params, move |x, y| gx * x + gy * y).unwrap()
}

fn on_plane(gx: f64, gy: f64, yaw_rad: f64) -> Simulator {
    let config = SimConfig {
        images: false,
        ..SimConfig::demo(3, Pose2::new(0.0, 0.0, yaw_rad), Some([20.0, 0.0]))
    };
    Simulator::new(plane(gx, gy), perseverance(), &mars(), config).unwrap()
}

fn drive(sim: &mut Simulator, command: Velocity, ticks: usize) -> Vec<SimOutput> {
    (0..ticks)
        .map(|k| sim.step(Stamp::from_secs(1.0).plus_secs(0.1 * k as f64), command))
        .collect()
}

const AHEAD: Velocity = Velocity {
    speed_mps: 0.04,
    turn_radps: 0.0,
};

#[test]
fn the_same_seed_gives_the_same_bits() {
    let run = |seed: u64| {
        let config = SimConfig::demo(seed, Pose2::new(30.0, 40.0, 0.3), Some([60.0, 50.0]));
        let mut sim = Simulator::new(demo_world(5), perseverance(), &mars(), config).unwrap();
        let arc = Velocity {
            speed_mps: 0.04,
            turn_radps: 0.004,
        };
        let out = drive(&mut sim, arc, 200);
        (
            format!("{out:?}"),
            serde_json::to_string(sim.score()).unwrap(),
        )
    };
    let (a, b, other) = (run(7), run(7), run(8));
    assert_eq!(a, b);
    assert_ne!(a.0, other.0);
}

#[test]
fn at_rest_nothing_moves_and_gravity_is_felt() {
    let mut sim = on_plane(0.0, 0.0, 0.0);
    let out = drive(&mut sim, Velocity::STOP, 100);
    let z: f64 = out
        .iter()
        .flat_map(|o| &o.imu)
        .map(|s| s.accel_mps2[2])
        .sum::<f64>()
        / 200.0;
    assert!((z - 3.72076).abs() < 0.01, "{z}");
    assert_eq!(out[99].imu.len(), 2);
    assert_eq!(out[99].truth.pose, Pose2::default());
    assert_eq!(out[99].wheels, WheelReading::default());
    assert_eq!(sim.score().distance_driven_m, 0.0);
}

/// Uphill takes more energy than level ground, the battery pays for it, and a wheel that stands takes nothing.
#[test]
fn driving_takes_what_the_ground_asks_from_the_battery() {
    let ten_minutes = |sim: &mut Simulator| drive(sim, AHEAD, 6_001).last().unwrap().electrics;
    let mut level = on_plane(0.0, 0.0, 0.0);
    let flat = ten_minutes(&mut level);
    let up = ten_minutes(&mut on_plane(0.2, 0.0, 0.0));
    let energy = |e: &ElectricsReading| e.motors.iter().map(|m| m.energy_wh).sum::<f64>();
    assert!(energy(&flat) > 2.0, "{}", energy(&flat));
    // m·g·sin(11.3°) over the wheels' way at half the power that is put in
    let lifting_wh = 1025.0 * 3.72 * 0.196 * 0.04 * 600.0 / 0.5 / 3600.0;
    let more = energy(&up) - energy(&flat);
    assert!(
        (0.7..1.5).contains(&(more / lifting_wh)),
        "{more} {lifting_wh}"
    );
    assert!(up.power.charge < flat.power.charge && flat.power.charge < 0.9);
    assert!(up.motors[1].temperature_c > flat.motors[1].temperature_c);
    let score = level.score();
    assert!((score.energy_wh / flat.power.energy_wh - 1.0).abs() < 1e-9);
    assert_eq!(score.min_charge, Some(flat.power.charge));
    assert!(score.max_drive_current_a > 0.1 && score.max_motor_c.unwrap() > -60.0);
    let rest = drive(&mut on_plane(0.0, 0.0, 0.0), Velocity::STOP, 100)[99].electrics;
    assert!(
        rest.motors
            .iter()
            .all(|m| m.power_w == 0.0 && m.energy_wh == 0.0)
    );
    assert!(rest.power.total_w >= 150.0);
}

#[test]
fn the_truth_stands_as_settling_says() {
    let world = Arc::new(demo_world(6));
    let config = SimConfig {
        images: false,
        ..SimConfig::demo(1, Pose2::new(30.0, 40.0, 0.0), None)
    };
    let mut sim = Simulator::new(world.clone(), perseverance(), &mars(), config).unwrap();
    let out = drive(&mut sim, AHEAD, 600);
    let settler = Settler::new(&perseverance(), 0.2 * 0.2625);
    for o in out.iter().step_by(97) {
        let s = settler.settle(&*world, o.truth.pose).unwrap();
        // lower by what the wheels sink in, otherwise alike
        let sunk = &o.truth.settled;
        assert_eq!((s.roll_rad, s.pitch_rad), (sunk.roll_rad, sunk.pitch_rad));
        assert!(s.z_m >= sunk.z_m && s.z_m - sunk.z_m < 0.1);
        assert!((s.z_m - sunk.z_m - (s.clearance_m - sunk.clearance_m)).abs() < 1e-9);
        let (roll, pitch, _) = o.truth.map_from_base_link.rpy_rad();
        assert!((roll - s.roll_rad).abs() < 1e-9 && (pitch - s.pitch_rad).abs() < 1e-9);
    }
    let way_m = out[599].truth.distance_m;
    assert!(way_m > 1.5 && way_m < 0.96 * 0.04 * 59.9, "{way_m}");
    assert!(sim.score().mean_slip > 0.03);
}

#[test]
fn slip_is_five_percent_and_more_on_average_over_a_long_drive() {
    let mut sum = 0.0;
    for seed in 1..=4 {
        let params = WorldParams {
            rock_cfa: 0.0,
            resolution_m: 0.5,
            unlabelled: Unlabelled::Class(TerrainClass::SmoothRegolith),
            ..WorldParams::demo(seed, [-5.0, -10.0, 240.0, 10.0], [0.0, 0.0])
        };
        let world = World::from_fn(&params, |_, _| 0.0).unwrap();
        let config = SimConfig {
            images: false,
            ..SimConfig::demo(seed, Pose2::default(), Some([200.0, 0.0]))
        };
        let mut sim = Simulator::new(world, perseverance(), &mars(), config).unwrap();
        for k in 0..5500 {
            sim.step(
                Stamp::from_secs(1.0 + f64::from(k)),
                Velocity {
                    speed_mps: 0.042,
                    turn_radps: 0.0,
                },
            );
        }
        assert!(sim.score().distance_driven_m > 190.0);
        assert_eq!(sim.score().events, []);
        sum += sim.score().mean_slip;
    }
    assert!(sum / 4.0 >= 0.05, "{}", sum / 4.0);
}

#[test]
fn images_come_around_at_first_and_then_by_way_time_and_turn() {
    let mut sim = {
        let config = SimConfig::demo(3, Pose2::default(), None);
        let mut rover = perseverance();
        (rover.navcam.width, rover.navcam.height) = (32, 24);
        Simulator::new(plane(0.0, 0.0), rover, &mars(), config).unwrap()
    };
    let pans: Vec<f64> = drive(&mut sim, Velocity::STOP, 6)
        .iter()
        .map(|o| o.image.as_ref().unwrap().pan_rad.to_degrees())
        .collect();
    assert_eq!(
        pans.iter().map(|p| p.round() as i64).collect::<Vec<_>>(),
        [0, 60, 120, 180, -120, -60]
    );
    let count = |sim: &mut Simulator, from_s: f64, seconds: f64, v: Velocity| {
        (1..=(seconds * 10.0).round() as i64)
            .filter(|k| {
                sim.step(Stamp::from_secs(from_s + 0.1 * *k as f64), v)
                    .image
                    .is_some()
            })
            .count()
    };
    // standing: every 12 s
    assert_eq!(count(&mut sim, 1.5, 36.0, Velocity::STOP), 3);
    // driving 3 m at 0.05 m/s cut to 0.042: every 0.5 m of wheel way, that is every 11.9 s
    assert_eq!(
        count(
            &mut sim,
            37.5,
            3.0 / 0.042,
            Velocity {
                speed_mps: 0.05,
                turn_radps: 0.0
            }
        ),
        6
    );
    // turning 90 degrees at 1.5 deg/s: every 12 s or 20 degrees
    assert!((5..=6).contains(&count(
        &mut sim,
        110.0,
        60.0,
        Velocity {
            speed_mps: 0.0,
            turn_radps: 0.026
        }
    )));
}

#[test]
fn commands_beyond_reach_are_cut_and_nan_is_a_stop() {
    let mut sim = on_plane(0.0, 0.0, 0.0);
    sim.step(Stamp::from_secs(1.0), Velocity::STOP);
    let o = sim.step(
        Stamp::from_secs(1.1),
        Velocity {
            speed_mps: 5.0,
            turn_radps: 0.0,
        },
    );
    assert!((o.wheels.velocity_radps[0] - 0.042 / 0.2625).abs() < 1e-9);
    let o = sim.step(
        Stamp::from_secs(1.2),
        Velocity {
            speed_mps: 0.0,
            turn_radps: 5.0,
        },
    );
    assert!(o.truth.velocity.turn_radps <= 0.026);
    let o = sim.step(
        Stamp::from_secs(1.3),
        Velocity {
            speed_mps: f64::NAN,
            turn_radps: 0.0,
        },
    );
    assert_eq!(o.truth.velocity, Velocity::STOP);
    assert_eq!(sim.score().unsafe_events, 0);
}

#[test]
fn the_edge_of_the_world_blocks_and_counts_once() {
    let mut sim = on_plane(0.0, 0.0, 0.0);
    let mut blocked = 0;
    for k in 0..900 {
        let o = sim.step(
            Stamp::from_secs(1.0 + f64::from(k)),
            Velocity {
                speed_mps: 0.042,
                turn_radps: 0.0,
            },
        );
        blocked += u32::from(o.blocked.is_some());
    }
    assert!(blocked > 10);
    assert_eq!(
        (
            sim.score().unsafe_events,
            sim.score().events[0].channel.as_str()
        ),
        (1, "ground")
    );
}

#[test]
fn a_start_on_a_cliff_or_off_the_map_is_refused() {
    let start = |x: f64| SimConfig::demo(1, Pose2::new(x, 0.0, 0.0), None);
    let params = WorldParams {
        rock_cfa: 0.0,
        ..WorldParams::demo(4, [-30.0, -30.0, 30.0, 30.0], [0.0, 0.0])
    };
    let cliff = Arc::new(World::from_fn(&params, |x, _| if x > 0.0 { 3.0 } else { 0.0 }).unwrap());
    let error = |x: f64| {
        Simulator::new(cliff.clone(), perseverance(), &mars(), start(x))
            .err()
            .unwrap()
            .to_string()
    };
    assert!(error(0.0).contains("limit"), "{}", error(0.0));
    assert!(error(100.0).contains("off the simulated region"));
    assert!(error(f64::NAN).contains("start.x_m"));
    assert!(Simulator::new(cliff.clone(), perseverance(), &mars(), start(-10.0)).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    /// On a plane: the way is what slip leaves, the gyro reads the turn, and the rover creeps downhill.
    #[test]
    fn motion_follows_command_and_slope(grade in 0.0f64..0.15, yaw in -3.1f64..3.1) {
        let mut sim = on_plane(0.0, grade, yaw);
        let out = drive(&mut sim, AHEAD, 120);
        let score = sim.score();
        // downhill the weight pushes: less slip than none
        prop_assert!(score.mean_slip > -0.1 && score.mean_slip < 0.6);
        prop_assert!((score.distance_driven_m - 0.04 * 11.9 * (1.0 - score.mean_slip)).abs() < 1e-9);
        prop_assert!((score.max_tilt_deg - grade.atan().to_degrees()).abs() < 0.2);
        let end = out[119].truth.pose;
        // across the heading, to the left
        let left = -yaw.sin() * end.x_m + yaw.cos() * end.y_m;
        prop_assert!(left * (grade * yaw.cos()) <= 1e-9, "left {left}");
        prop_assert!((sim.rover().wheel.radius_m * out[119].wheels.position_rad[1] - 0.04 * 11.9).abs() < 1e-9);
    }
}

#[test]
fn wheels_meet_what_the_class_says() {
    let slip_on = |class: TerrainClass| {
        let params = WorldParams {
            rock_cfa: 0.0,
            unlabelled: Unlabelled::Class(class),
            ..WorldParams::demo(4, [-30.0, -30.0, 30.0, 30.0], [0.0, 0.0])
        };
        let world = World::from_fn(&params, |x, _| 0.15 * x).unwrap();
        assert_eq!(world.class_at(1.0, 1.0), Some(class));
        let config = SimConfig {
            images: false,
            ..SimConfig::demo(3, Pose2::new(0.0, 0.0, 0.0), None)
        };
        let mut sim = Simulator::new(world, perseverance(), &mars(), config).unwrap();
        drive(&mut sim, AHEAD, 200);
        sim.score().mean_slip
    };
    let (rock, firm) = (
        slip_on(TerrainClass::Bedrock),
        slip_on(TerrainClass::SmoothRegolith),
    );
    let (loose, sand) = (
        slip_on(TerrainClass::LooseSoil),
        slip_on(TerrainClass::SandRipples),
    );
    assert!(
        rock < firm && firm < loose && loose < sand,
        "{rock} {firm} {loose} {sand}"
    );
}

/// With the hour's sun, images are taken by day and none at night, and the sun sensor agrees with the panels.
#[test]
fn the_sun_goes_with_the_hour_where_that_is_asked_for() {
    let run = |start_hour: f64, sun_by_hour: bool| {
        let day = Environment {
            start_hour,
            ..Environment::shipped("mars").unwrap()
        };
        let config = SimConfig {
            sun_by_hour,
            sun_sigma_rad: 0.0,
            days: Some([("mars".to_string(), day)].into()),
            ..SimConfig::demo(3, Pose2::default(), None)
        };
        let mut rover = perseverance();
        (rover.navcam.width, rover.navcam.height) = (32, 24);
        let mut sim = Simulator::new(plane(0.0, 0.0), rover, &mars(), config).unwrap();
        let out = drive(&mut sim, Velocity::STOP, 3);
        let sun = out[0].sun.map(|s| s.direction);
        let images = out.iter().filter(|o| o.image.is_some()).count();
        (sun, images)
    };
    let (morning, images) = run(8.0, true);
    let [east, _, up] = morning.unwrap();
    assert!(
        east > 0.5 && up > 0.3 && images == 3,
        "{morning:?} {images}"
    );
    let (evening, _) = run(16.0, true);
    assert!(evening.unwrap()[0] < -0.5, "{evening:?}");
    assert_eq!(run(23.0, true), (None, 0));
    // the world's own sun knows no hour
    assert_eq!(run(23.0, false), run(8.0, false));
}
