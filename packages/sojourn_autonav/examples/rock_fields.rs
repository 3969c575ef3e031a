//! Drives AutoNav through seeded rock fields in the tests' double and prints what came of it.
//!
//!     cargo run -p sojourn_autonav --example rock_fields -- [seeds] [length_m] [rover] [perfect|camera] [cfa:slope,…]

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test tool may end on bad data

#[path = "../tests/suite/double/mod.rs"]
mod double;

use double::{Senses, World, drive, rover};
use sojourn_core::plan::Mode;

fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let i = ((values.len() as f64 - 1.0) * share).round() as usize;
    values.get(i).copied().unwrap_or(f64::NAN)
}

fn main() {
    let arg = |i: usize, or: &str| std::env::args().nth(i).unwrap_or_else(|| or.to_string());
    let seeds: u64 = arg(1, "20").parse().expect("seeds is a number");
    let length_m: f64 = arg(2, "60").parse().expect("length is a number of metres");
    let name = arg(3, "perseverance");
    let r = rover(&name);
    let camera = arg(4, "perfect") == "camera";
    let scale = if name == "testbed" { 0.25 } else { 1.0 };
    println!(
        "| CFA | slope | reached | unsafe events | mean stops | driven / straight | plannings | p50 ms | p99 ms | max ms | max settled |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    let cells: Vec<(f64, f64)> = arg(5, "0.02:0,0.03:0,0.03:10,0.05:0,0.05:10,0.1:0")
        .split(',')
        .map(|cell| {
            let (cfa, slope) = cell.split_once(':').expect("cells are CFA:slope, …");
            (
                cfa.parse().expect("a share"),
                slope.parse().expect("degrees"),
            )
        })
        .collect();
    for (cfa, slope_deg) in cells {
        let (mut reached, mut unsafe_events, mut stops, mut ratio) = (0, 0, 0, 0.0);
        let mut ms = Vec::new();
        let mut settled = 0;
        for seed in 1..=seeds {
            let world = World::new(seed, cfa, slope_deg, length_m, scale);
            let senses = if camera {
                Senses::Camera { seed, slip: 0.08 }
            } else {
                Senses::Perfect
            };
            let o = drive(&world, &r, 5.0 * scale, scale, Mode::AvoidAll, senses);
            unsafe_events += o.unsafe_events.len();
            stops += o.stops;
            if o.reached {
                reached += 1;
                ratio += o.driven_m / length_m;
            } else {
                eprintln!(
                    "cfa {cfa} slope {slope_deg} seed {seed}: {:.1} m, {}",
                    o.driven_m, o.last_reason
                );
            }
            for e in &o.unsafe_events {
                eprintln!("cfa {cfa} slope {slope_deg} seed {seed}: {e}");
            }
            ms.extend(o.planning_ms);
            settled = settled.max(o.settled.iter().copied().max().unwrap_or(0));
        }
        let most = ms.iter().copied().fold(0.0, f64::max);
        println!(
            "| {:.0} % | {slope_deg}° | {reached} of {seeds} | {unsafe_events} | {:.1} | {:.2} | {} | {:.0} | {:.0} | {most:.0} | {settled} |",
            100.0 * cfa,
            f64::from(stops) / seeds as f64,
            ratio / f64::from(reached).max(1.0),
            ms.len(),
            percentile(&mut ms, 0.5),
            percentile(&mut ms, 0.99),
        );
    }
}
