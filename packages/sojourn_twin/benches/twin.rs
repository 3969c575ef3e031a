//! Times of the twin's pieces, on Perseverance over generated ground with rocks (k = 0.07):
//!
//! ```text
//! cargo bench -p sojourn_twin --profile dev
//! cargo bench -p sojourn_twin --profile dev -- pair --threads 0     # one bench, by a part of its name
//! ```

use divan::{Bencher, counter::ItemsCount};
use nalgebra::Isometry3;
use sojourn_core::{
    Stamp,
    body::Body,
    frames::{BaseLink, Map, Pose2, Transform},
    geometry,
    kinematics::{Velocity, wheels_for},
    plan::{
        Goal, Mode, ModelStage, PLAN_SCHEMA_VERSION, Plan, Start, Waypoint, WaypointLimits,
        digest_of,
    },
    raster::HeightField,
    rover::Rover,
    settle::Settler,
    site::Site,
    soil::{Soil, SoilTable},
};
use sojourn_twin::{
    generate::terrain,
    recipe::Recipe,
    render::{Renderer, SensorParams, Shot, StereoRig, Sun},
    sim::{SimConfig, Simulator},
    terra::{Dynamics, Tracks, contact},
    verify::{Setup, VerifyOptions, verify},
    world::{World, WorldParams},
};
use std::{cell::Cell, error::Error, path::Path, sync::OnceLock};

fn main() {
    divan::main();
}

struct Things {
    body: Body,
    rover: Rover,
    soils: Vec<Soil>,
    site: Site,
    world: World,
}

fn things() -> &'static Things {
    static ONCE: OnceLock<Things> = OnceLock::new();
    ONCE.get_or_init(|| {
        made().unwrap_or_else(|e| {
            eprintln!("error: {e}");
            std::process::exit(1)
        })
    })
}

fn made() -> Result<Things, Box<dyn Error>> {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    let body = Body::load(&config.join("bodies/mars.yaml"))?;
    let rover = Rover::load(&config.join("rovers/perseverance.yaml"))?;
    let soils = SoilTable::shipped()?;
    let recipe = Recipe::load(&config.join("worlds/demo.yaml"))?;
    let site = terrain(1, &body, &recipe)?;
    let world = ground(&site)?;
    // What the benches look at is made before them and stays in the world's memory.
    drop(world.window([60.0, 60.0, 260.0, 260.0]));
    Ok(Things {
        soils: soils.classes.iter().map(|c| c.nominal).collect(),
        body,
        rover,
        site,
        world,
    })
}

fn ground(site: &Site) -> Result<World, Box<dyn Error>> {
    let region = [20.0, 20.0, 300.0, 300.0];
    let params = WorldParams {
        rock_cfa: 0.07,
        ..WorldParams::demo(1, region, [100.0, 160.0])
    };
    Ok(World::from_site(site, &params)?)
}

/// Places 0.1 m apart, over and over.
fn along() -> impl Fn() -> Pose2 {
    let n = Cell::new(0u32);
    move || {
        n.set((n.get() + 1) % 500);
        Pose2::new(100.0 + 0.1 * f64::from(n.get()), 160.0, 0.0)
    }
}

#[divan::bench]
fn settle(bencher: Bencher) {
    let t = things();
    let settler = Settler::new(&t.rover, 0.05);
    let next = along();
    bencher.bench_local(|| settler.settle(&t.world, next()));
}

/// Six wheels on soil by look-up, balance of forces found.
#[divan::bench]
fn six_wheels_step(bencher: Bencher) {
    let t = things();
    let dynamics = Dynamics::new(&t.rover, &t.body, &t.soils);
    let plane = |x: f64, _: f64| Some(0.15 * x);
    let Some(settled) = Settler::new(&t.rover, 0.05).settle(&plane, Pose2::default()) else {
        return;
    };
    let motion = wheels_for(
        &t.rover,
        Velocity {
            speed_mps: 0.04,
            turn_radps: 0.004,
        },
    );
    let soil = t.soils.len() / 2;
    let mut tracks = Tracks::default();
    bencher.bench_local(|| dynamics.step(&mut tracks, &settled, [soil; 6], &motion, 0.1));
}

/// One wheel by the integrals that the look-up stands for.
#[divan::bench]
fn wheel_integrals(bencher: Bencher) {
    let t = things();
    let load_n = t.rover.mass_kg * t.body.gravity_mps2 / 6.0;
    let soil = t.soils[t.soils.len() / 2];
    bencher.bench_local(|| contact(divan::black_box(&soil), &t.rover.wheel, load_n, 0.3, 0.1));
}

fn camera_at(t: &Things, pose: Pose2) -> Isometry3<f64> {
    let z = t.world.height_m(pose.x_m, pose.y_m).unwrap_or(0.0);
    let map_from_base =
        Transform::<Map, BaseLink>::from_xyz_rpy([pose.x_m, pose.y_m, z], 0.0, 0.0, 0.0);
    (map_from_base * t.rover.base_link_from_navcam()).iso
}

fn shot(number: u64, right: bool) -> Shot {
    Shot {
        sun: Sun {
            azimuth_rad: -2.3,
            elevation_rad: 0.8,
        },
        seed: 1,
        number,
        right,
        depth_noise: None,
    }
}

/// A drive with a pair every 0.5 m, sights 30 m: new ground is copied and lit on the way.
fn drive(bencher: Bencher, right: bool) {
    let t = things();
    let camera = t.rover.navcam_pinhole();
    let rig = StereoRig::rectified(&t.rover);
    let mut renderer = Renderer::new(rig, SensorParams::navcam(), 30.0, 1);
    let mut n = 0u64;
    bencher
        .counter(ItemsCount::new(camera.width * camera.height))
        .bench_local(|| {
            n += 1;
            let x = 100.0 + 0.5 * (n % 100) as f64;
            renderer.shoot(
                &t.world,
                &camera_at(t, Pose2::new(x, 160.0, 0.0)),
                &shot(n, right),
            )
        });
}

/// Items are pixels of the left image.
#[divan::bench(sample_count = 50)]
fn pair_640x480(bencher: Bencher) {
    drive(bencher, true);
}

/// Items are rays.
#[divan::bench(sample_count = 50)]
fn left_image_640x480(bencher: Bencher) {
    drive(bencher, false);
}

/// A tile of 256 × 256 cells from the site: relief, rocks, classes.
#[divan::bench(sample_count = 30)]
fn tile(bencher: Bencher) {
    let t = things();
    bencher
        .with_inputs(|| ground(&t.site).ok())
        .bench_local_values(|world| world.and_then(|w| w.tile(4, 4)));
}

/// A control period of 0.1 s without images.
#[divan::bench(sample_count = 50, sample_size = 100)]
fn simulator_step(bencher: Bencher) {
    let t = things();
    let config = SimConfig {
        images: false,
        ..SimConfig::demo(1, Pose2::new(100.0, 160.0, 0.0), None)
    };
    let sim = ground(&t.site)
        .and_then(|world| Ok(Simulator::new(world, t.rover.clone(), &t.body, config)?));
    let Ok(mut sim) = sim else { return };
    let mut now = Stamp::from_secs(1.0);
    let command = Velocity {
        speed_mps: 0.042,
        turn_radps: 0.0,
    };
    bencher.bench_local(|| {
        now = now.plus_secs(0.1);
        sim.step(now, command)
    });
}

/// The nominal run of a plan of 100 m, all channels.
#[divan::bench(sample_count = 10)]
fn verify_100_m(bencher: Bencher) {
    let t = things();
    let made = straight_plan(t).and_then(|plan| {
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
        Ok((plan, Setup::load(&config)?))
    });
    let Ok((plan, setup)) = made else { return };
    bencher.bench_local(|| {
        let report = verify(&plan, &t.site, &t.rover, &setup, VerifyOptions::nominal());
        report.map(|r| r.values_checked).ok()
    });
}

/// Ten segments of 10 m straight east.
fn straight_plan(t: &Things) -> Result<Plan, Box<dyn Error>> {
    let line: Vec<[f64; 2]> = (0..=10)
        .map(|k| [100.0 + 10.0 * f64::from(k), 160.0])
        .collect();
    let waypoint = |ends: &[[f64; 2]]| Waypoint {
        x_m: ends[1][0],
        y_m: ends[1][1],
        tolerance_m: 1.0,
        mode: Mode::AvoidAll,
        corridor: geometry::corridor(ends[0], ends[1], 5.0),
        limits: WaypointLimits {
            tilt_deg: 24.0,
            slip: 0.6,
            speed_mps: t.rover.drive.cruise_mps,
        },
        timeout_s: 1500.0,
        risk: 0.0,
        reasons: vec![],
    };
    Ok(Plan {
        schema_version: PLAN_SCHEMA_VERSION,
        name: "straight".into(),
        site_digest: t.site.terrain_digest()?,
        body: t.body.clone(),
        rover: t.rover.name.clone(),
        rover_digest: digest_of("rover", &t.rover)?,
        constraints_digest: String::new(),
        seed: 1,
        start: Start {
            x_m: line[0][0],
            y_m: line[0][1],
            yaw_rad: 0.0,
        },
        goal: Goal {
            x_m: line[10][0],
            y_m: line[10][1],
            tolerance_m: 1.0,
        },
        waypoints: line.windows(2).map(waypoint).collect(),
        distance_m: geometry::length_m(&line),
        features: vec![],
        keep_out: vec![],
        mission: None,
        disputes: None,
        model: ModelStage::none(),
    })
}
