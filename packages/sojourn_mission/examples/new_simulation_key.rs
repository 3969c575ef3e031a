//! Makes a key for simulated rovers: `cargo run -p sojourn_mission --example new_simulation_key -- key.json`.

use sojourn_mission::keys::{Purpose, generate};
use std::path::Path;

fn main() -> Result<(), String> {
    let path = std::env::args()
        .nth(1)
        .ok_or("usage: new_simulation_key FILE")?;
    let key = generate(Purpose::Simulation, "2026-01-01T00:00:00Z").map_err(|e| e.to_string())?;
    key.save(Path::new(&path)).map_err(|e| e.to_string())?;
    println!("{}", key.key_id);
    Ok(())
}
