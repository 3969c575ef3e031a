//! How long one 640 x 480 image takes, from depth to the finished grid: `cargo run -p sojourn_perception --example
//! time_per_image`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../tests/suite/common/mod.rs"]
mod common;

use common::{Look, look, node, rover, stand};
use sojourn_core::Stamp;
use sojourn_perception::Input;
use std::time::Instant;

fn main() {
    let rover = rover("perseverance");
    let ground = |x: f64, y: f64| 0.1 * x.sin() * y.cos();
    let mut node = node(&rover);
    let mut times_ms = Vec::new();
    for i in 0..20 {
        let t_s = 1.0 + 12.0 * f64::from(i);
        let pose = stand(0.5 * f64::from(i), 0.0, 0.0, &ground);
        look(
            &mut node,
            &rover,
            &Look {
                t_s,
                odom_from_base_link: pose,
                pan_rad: 0.0,
            },
            &ground,
        );
        let begin = Instant::now();
        let out = node.step(Stamp::from_secs(t_s + 0.1), Input::Tick);
        times_ms.push(begin.elapsed().as_secs_f64() * 1e3);
        assert!(out.grid.is_some());
    }
    times_ms.sort_by(f64::total_cmp);
    let pixels = rover.navcam.width * rover.navcam.height;
    println!(
        "{pixels} pixels: median {:.1} ms, slowest {:.1} ms, over {} images",
        times_ms[times_ms.len() / 2],
        times_ms[times_ms.len() - 1],
        times_ms.len()
    );
}
