//! Drives one scene and prints what came of it.
//!
//!     cargo run -p sojourn_sweep --example one_run -- [seed] [cfa] [slope_deg] [truth_grid|rendered]

use sojourn_core::{
    body::Body,
    plan::{Mode, WaypointLimits},
    rover::Rover,
};
use sojourn_sweep::{
    SweepError,
    closed_loop::{FaultPlan, GoalTask, Scenario, Sensing, Settings, Task, run},
    scene::{Direction, Scene, SceneKey, SceneParams},
};
use std::path::Path;

fn main() -> Result<(), SweepError> {
    let arg = |i: usize, or: f64| {
        std::env::args()
            .nth(i)
            .and_then(|a| a.parse().ok())
            .unwrap_or(or)
    };
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    let rover = Rover::load(&config.join("rovers/perseverance.yaml"))?;
    let body = Body::load(&config.join("bodies/mars.yaml"))?;
    let seed = arg(1, 1.0) as u64;
    let key = SceneKey {
        seed,
        cfa: arg(2, 0.07),
        slope_deg: arg(3, 0.0),
        direction: [Direction::Up, Direction::Down, Direction::Across][seed as usize % 3],
    };
    let params = SceneParams {
        distance_m: 80.0,
        tolerance_m: 1.0,
        half_width_m: 15.0,
        resolution_m: 0.1,
        relief_rms_deg: 3.0,
        fine_relief_rms_m: 0.02,
        rock_min_m: 0.1,
        rock_max_m: 2.5,
        start_clear_m: 4.0,
        goal_clear_m: 3.0,
    };
    let clock = std::time::Instant::now();
    let scene = Scene::new(&key, &params, &rover, &body)?;
    println!("scene in {:.2} s", clock.elapsed().as_secs_f64());
    let mut settings = Settings::load(&config)?;
    settings.executive.max_segment_m = params.distance_m + 1.0;
    let rendered = std::env::args().nth(4).is_some_and(|a| a == "rendered");
    let scenario = Scenario {
        task: Task::Goal(GoalTask {
            start: scene.start,
            goal: scene.goal,
            half_width_m: params.half_width_m,
            mode: Mode::AvoidAll,
            limits: WaypointLimits {
                tilt_deg: rover.limits.tilt_deg,
                slip: rover.limits.slip,
                speed_mps: rover.drive.cruise_mps,
            },
            timeout_s: 10_000.0,
        }),
        rover,
        body,
        world: scene.world,
        sensing: if rendered {
            Sensing::Rendered
        } else {
            Sensing::TruthGrid
        },
        settings,
        faults: FaultPlan::default(),
        visual_odometry: None,
        seed,
        limit_s: 10_000.0,
    };
    let r = run(&scenario, &mut ())?;
    let s = &r.score;
    println!("{:?}: {}", r.outcome, r.reason);
    println!("{:?}", r.counts);
    println!(
        "driven {:.1} m in {:.0} s, {:.0} m/h, goal error {:?} m, max tilt {:.1}, min clearance {:?}, max slip {:.2}, unsafe {}",
        s.distance_driven_m,
        s.sim_s,
        3600.0 * s.distance_driven_m / s.sim_s,
        s.goal_error_m,
        s.max_tilt_deg,
        s.min_clearance_m,
        s.max_slip,
        s.unsafe_events
    );
    for e in &s.events {
        println!("{}", e.reason);
    }
    let mean = r.cycle_ms.iter().sum::<f64>() / r.cycle_ms.len().max(1) as f64;
    println!(
        "wall {:.2} s: {:.0} x real time; {} cycles, mean {mean:.1} ms, sum {:.2} s",
        r.wall_s,
        s.sim_s / r.wall_s,
        r.cycle_ms.len(),
        mean * r.cycle_ms.len() as f64 / 1e3
    );
    Ok(())
}
