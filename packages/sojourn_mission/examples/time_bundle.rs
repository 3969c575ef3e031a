//! How long the rover's check of a bundle takes: `cargo run -p sojourn_mission --example time_bundle -- BUNDLE`.

use sojourn_mission::Bundle;
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), String> {
    let path = std::env::args().nth(1).ok_or("usage: time_bundle FOLDER")?;
    let bundle = Bundle::read(Path::new(&path)).map_err(|e| e.to_string())?;
    let bytes: usize = bundle.files().values().map(Vec::len).sum();
    let times = 100;
    let began = Instant::now();
    for _ in 0..times {
        Bundle::from_files(bundle.files().clone()).map_err(|e| e.to_string())?;
    }
    let each_ms = began.elapsed().as_secs_f64() * 1e3 / f64::from(times);
    println!(
        "bundle {} of {bytes} bytes, {:.1} m: {each_ms:.3} ms per check",
        bundle.id(),
        bundle.plan().distance_m
    );
    Ok(())
}
