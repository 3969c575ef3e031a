//! Short drives through the whole loop.

use sojourn_core::{
    body::Body,
    classes::TerrainClass,
    plan::{Mode, WaypointLimits},
    rover::Rover,
};
use sojourn_sweep::{
    closed_loop::{
        FaultPlan, GoalTask, Observer, Outcome, Scenario, Sensing, Settings, Task, TickView, run,
    },
    scene::{Direction, Scene, SceneKey, SceneParams, SoilFrom},
};
use sojourn_twin::world::Unlabelled;
use std::{ops::ControlFlow, path::Path};

fn scenario(seed: u64, cfa: f64, sensing: Sensing, distance_m: f64) -> Scenario {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    let rover = Rover::load(&config.join("rovers/perseverance.yaml")).unwrap();
    let body = Body::load(&config.join("bodies/mars.yaml")).unwrap();
    let key = SceneKey {
        seed,
        cfa,
        slope_deg: 4.0,
        direction: Direction::Across,
    };
    let params = SceneParams {
        distance_m,
        tolerance_m: 1.0,
        half_width_m: 8.0,
        resolution_m: 0.1,
        relief_rms_deg: 3.0,
        fine_relief_rms_m: 0.02,
        rock_min_m: 0.1,
        rock_max_m: 1.5,
        start_clear_m: 4.0,
        goal_clear_m: 3.0,
        soils: vec![SoilFrom {
            slope_deg: 0.0,
            soil: Unlabelled::Class(TerrainClass::SmoothRegolith),
        }],
    };
    let scene = Scene::new(&key, &params, &rover, &body).unwrap();
    let mut settings = Settings::load(&config).unwrap();
    settings.executive.max_segment_m = distance_m + 1.0;
    Scenario {
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
            timeout_s: 3000.0,
        }),
        rover,
        body,
        world: scene.world,
        sensing,
        settings,
        faults: FaultPlan::default(),
        ground_classes: true,
        orbital: None,
        visual_odometry: None,
        seed,
        limit_s: 3000.0,
    }
}

#[test]
fn it_arrives_with_either_way_of_seeing_and_the_same_seed_is_the_same_drive() {
    let fast = scenario(3, 0.03, Sensing::TruthGrid, 12.0);
    let a = run(&fast, &mut ()).unwrap();
    assert_eq!(a.outcome, Outcome::Reached, "{}", a.reason);
    assert_eq!(a.score.unsafe_events, 0);
    assert!(a.score.distance_driven_m > 10.5 && a.score.goal_error_m.unwrap() < 2.5);
    let b = run(&fast, &mut ()).unwrap();
    assert_eq!((a.score, a.counts), (b.score, b.counts));
    let pairs = scenario(3, 0.03, Sensing::Rendered, 12.0);
    let slow = run(&pairs, &mut ()).unwrap();
    assert_eq!(slow.outcome, Outcome::Reached, "{}", slow.reason);
    let again = run(&pairs, &mut ()).unwrap();
    assert_eq!((slow.score, slow.counts), (again.score, again.counts));
}

/// Compares every grid with the truth.
struct Compare<'a> {
    scenario: &'a Scenario,
    cells: usize,
    sum_m: f64,
    known: Vec<f64>,
}

impl Observer for Compare<'_> {
    fn tick(&mut self, view: &TickView<'_>) -> ControlFlow<()> {
        use sojourn_core::raster::HeightField;
        let (Some(grid), Some(e)) = (view.grid, view.estimate) else {
            return ControlFlow::Continue(());
        };
        let map_from_odom = view.truth.map_from_base_link * e.odom_from_base_link.inverse();
        let g = &grid.elevation;
        let here = e.odom_from_base_link.planar();
        let mut known = 0;
        for row in 0..g.rows() {
            for col in 0..g.cols() {
                let z = f64::from(g.get(col, row));
                let [x, y] = g.centre_m(col, row);
                if !z.is_finite() {
                    continue;
                }
                known += 1;
                if (x - here.x_m).hypot(y - here.y_m) > 6.0 {
                    continue;
                }
                let p = map_from_odom.iso.transform_point(&[x, y, z].into());
                if let Some(h) = self.scenario.world.height_m(p.x, p.y) {
                    self.sum_m += (p.z - h).abs();
                    self.cells += 1;
                }
            }
        }
        self.known
            .push(f64::from(known) / (g.cols() * g.rows()) as f64);
        if self.known.len() >= 8 {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

#[test]
fn what_the_stand_in_sees_is_what_images_show() {
    let mut found = Vec::new();
    for sensing in [Sensing::TruthGrid, Sensing::Rendered] {
        let s = scenario(5, 0.07, sensing, 12.0);
        let mut compare = Compare {
            scenario: &s,
            cells: 0,
            sum_m: 0.0,
            known: Vec::new(),
        };
        let r = run(&s, &mut compare).unwrap();
        assert_eq!(r.outcome, Outcome::Interrupted, "{}", r.reason);
        let error_m = compare.sum_m / compare.cells as f64;
        let known = *compare.known.last().unwrap();
        println!("{sensing:?}: mean error {error_m:.4} m, known {known:.3}");
        found.push((error_m, known));
    }
    // The same share of ground, with errors of the same size.
    assert!((found[0].1 - found[1].1).abs() < 0.08, "{found:?}");
    assert!(found[0].0 < 0.03 && found[1].0 < 0.03, "{found:?}");
    assert!(found[0].0 > 0.3 * found[1].0, "{found:?}");
}
