//! Measures the twin on this machine: `cargo run -p sojourn_twin --example measure`.

use sojourn_core::{
    body::Body,
    frames::{BaseLink, Map, Transform},
    raster::HeightField,
    rover::Rover,
};
use sojourn_twin::{
    generate::{GenerateParams, generate},
    render::{DepthNoise, render},
    world::{World, WorldParams},
};
use std::{error::Error, path::Path, time::Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    let body = Body::load(&config.join("bodies/mars.yaml"))?;
    let rover = Rover::load(&config.join("rovers/perseverance.yaml"))?;
    let (mut clock, mut cpu_s) = (Instant::now(), cpu());
    let mut lap = |what: &str, n: f64| {
        let wall_s = clock.elapsed().as_secs_f64() / n;
        println!(
            "{what}: {wall_s:.4} s wall, {:.4} s CPU",
            (cpu() - cpu_s) / n
        );
        (clock, cpu_s) = (Instant::now(), cpu());
    };
    let site = generate(1, &body, &GenerateParams::demo())?;
    lap("site of 320 m x 320 m", 1.0);
    let world = World::from_site(
        &site,
        &WorldParams::demo(1, [20.0, 60.0, 300.0, 260.0], [60.0, 160.0]),
    )?;
    lap("world of 280 m x 200 m", 1.0);
    println!("rocks: {}", world.rocks().len());
    let camera = rover.navcam_pinhole();
    let noise = DepthNoise {
        seed: 1,
        frame: 1,
        per_m: 0.25 / (camera.fx * rover.navcam.baseline_m),
    };
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()?;
        lap("-", 1.0);
        for k in 0..10 {
            let (x, y) = (60.0 + 15.0 * f64::from(k), 160.0);
            let z = world.height_m(x, y).unwrap_or(0.0);
            let pose =
                Transform::<Map, BaseLink>::from_xyz_rpy([x, y, z], 0.0, 0.0, 0.6 * f64::from(k))
                    * rover.base_link_from_navcam();
            pool.install(|| render(&world, &camera, &pose, 30.0, Some(noise)));
        }
        lap(&format!("image of 640 x 480, {threads} thread(s)"), 10.0);
    }
    Ok(())
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
