//! Measures the twin on this machine: `cargo run -p sojourn_twin --example measure [PLAN_OUT]`.

use sojourn_core::{
    Stamp,
    body::Body,
    frames::{BaseLink, Map, Pose2, Transform},
    geometry,
    kinematics::Velocity,
    plan::{
        Goal, Mode, ModelStage, PLAN_SCHEMA_VERSION, Plan, Start, Waypoint, WaypointLimits,
        digest_of,
    },
    raster::HeightField,
    rover::Rover,
    site::Site,
};
use sojourn_twin::{
    folder::View,
    generate::generate,
    recipe::Recipe,
    render::{DepthNoise, Renderer, SensorParams, Shot, StereoRig, Sun},
    sim::{SimConfig, Simulator},
    verify::{Setup, VerifyOptions, verify},
};
use std::{error::Error, path::Path, time::Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let config_dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    let body = Body::load(&config_dir.join("bodies/mars.yaml"))?;
    let rover = Rover::load(&config_dir.join("rovers/perseverance.yaml"))?;
    let (mut clock, mut cpu_s) = (Instant::now(), cpu());
    let mut lap = |what: &str, n: f64| {
        let wall_s = clock.elapsed().as_secs_f64() / n;
        println!(
            "{what}: {wall_s:.9} s wall, {:.9} s CPU",
            (cpu() - cpu_s) / n
        );
        (clock, cpu_s) = (Instant::now(), cpu());
    };
    let recipe = Recipe::load(&config_dir.join("worlds/demo.yaml"))?;
    let folder = generate(1, &body, &recipe)?;
    lap("world folder of 320 m x 320 m with its image", 1.0);
    let site = folder.site.clone();
    let view = View {
        region_m: [20.0, 60.0, 300.0, 260.0],
        clear_m: vec![[60.0, 160.0, 4.0]],
        ..View::everything()
    };
    let world = folder.world(&view)?;
    lap("world opened", 1.0);
    for k in 0..20 {
        let _ = world.tile(5 + k % 5, 6 + k / 5);
    }
    lap("tile of 256 x 256 nodes", 20.0);
    let (mut sum, n) = (0.0, 2_000_000);
    for k in 0..n {
        let (x, y) = (80.0 + 1e-5 * f64::from(k), 100.0 + 0.3 * f64::from(k % 7));
        sum += world.height_m(x, y).unwrap_or(0.0);
    }
    lap(
        &format!("height at a point (mean {:.1} m)", sum / f64::from(n)),
        f64::from(n),
    );
    println!("rocks: {}", world.rocks_in(world.region_m()).len());
    let camera = rover.navcam_pinhole();
    let mut renderer = Renderer::new(
        StereoRig::rectified(&rover),
        SensorParams::navcam(),
        30.0,
        1,
    );
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()?;
        // A pair every 0.5 m, as on a drive, over ground that was made before.
        drop(world.window([20.0, 60.0, 180.0, 260.0]));
        lap("-", 1.0);
        for k in 0..40u64 {
            let (x, y) = (60.0 + 0.5 * k as f64, 140.0 + 20.0 * threads as f64);
            let z = world.height_m(x, y).unwrap_or(0.0);
            let pose = Transform::<Map, BaseLink>::from_xyz_rpy([x, y, z], 0.0, 0.0, 0.0)
                * rover.base_link_from_navcam();
            let shot = Shot {
                sun: Sun {
                    azimuth_rad: -2.3,
                    elevation_rad: 0.8,
                },
                seed: 1,
                number: k,
                right: true,
                depth_noise: Some(DepthNoise {
                    seed: 1,
                    frame: k,
                    per_m: 0.25 / (camera.fx * rover.navcam.baseline_m),
                }),
            };
            pool.install(|| renderer.shoot(&world, &pose.iso, &shot));
        }
        lap(
            &format!("stereo pair of 640 x 480 with depth, {threads} thread(s)"),
            40.0,
        );
    }
    // The drive of 210 m along the site, verified and driven.
    let plan = straight_plan(&site, &rover)?;
    if let Some(file) = std::env::args().nth(1) {
        std::fs::write(file, serde_json::to_string(&plan)?)?;
    }
    lap("-", 1.0);
    let setup = Setup::load(&config_dir)?;
    lap("set-up of the verification", 1.0);
    let report = verify(&plan, &site, &rover, &setup, VerifyOptions::nominal())?;
    lap("verification, nominal run", 1.0);
    println!(
        "{} values of {} channels over {:.1} m and {:.0} s: passed {}, {}",
        report.values_checked,
        report.channels.len(),
        report.distance_m,
        report.duration_s,
        report.passed,
        report.reason
    );
    let start = Pose2::new(plan.start.x_m, plan.start.y_m, plan.start.yaw_rad);
    let config = SimConfig {
        images: false,
        ..SimConfig::demo(1, start, None)
    };
    let mut sim = Simulator::new(world, rover, &body, config)?;
    lap("-", 1.0);
    for k in 0..10_000 {
        let now = Stamp::from_secs(1.0).plus_secs(0.1 * f64::from(k));
        sim.step(
            now,
            Velocity {
                speed_mps: 0.042,
                turn_radps: 0.0,
            },
        );
    }
    lap("control period of 0.1 s without images", 10_000.0);
    Ok(())
}

/// A plan straight east in segments of 10 m.
fn straight_plan(site: &Site, rover: &Rover) -> Result<Plan, Box<dyn Error>> {
    let start = [60.0, 160.0];
    let mut line = vec![start];
    let mut waypoints = Vec::new();
    for k in 1..=21 {
        let from = line.last().copied().unwrap_or(start);
        let to = [60.0 + 10.0 * f64::from(k), 160.0];
        waypoints.push(Waypoint {
            x_m: to[0],
            y_m: to[1],
            tolerance_m: 1.0,
            mode: Mode::AvoidAll,
            corridor: geometry::corridor(from, to, 5.0),
            limits: WaypointLimits {
                tilt_deg: 24.0,
                slip: 0.6,
                speed_mps: rover.drive.cruise_mps,
            },
            timeout_s: 1500.0,
            risk: 0.0,
            reasons: vec![],
        });
        line.push(to);
    }
    Ok(Plan {
        schema_version: PLAN_SCHEMA_VERSION,
        name: "straight".into(),
        site_digest: site.terrain_digest()?,
        body: site.manifest.body.clone(),
        rover: rover.name.clone(),
        rover_digest: digest_of("rover", rover)?,
        constraints_digest: String::new(),
        seed: 1,
        start: Start {
            x_m: start[0],
            y_m: start[1],
            yaw_rad: 0.0,
        },
        goal: Goal {
            x_m: 270.0,
            y_m: 160.0,
            tolerance_m: 1.0,
        },
        waypoints,
        distance_m: geometry::length_m(&line),
        features: vec![],
        keep_out: vec![],
        mission: None,
        disputes: None,
        model: ModelStage::none(),
    })
}

/// Processor time of this process so far, seconds (Linux; 0 elsewhere).
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or("")
        .split_whitespace()
        .collect();
    let ticks = |i: usize| {
        fields
            .get(i)
            .and_then(|f| f.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    // user and system time, in hundredths of a second
    (ticks(11) + ticks(12)) / 100.0
}
