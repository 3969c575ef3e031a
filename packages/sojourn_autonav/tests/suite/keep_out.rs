//! Keep-outs: no candidate comes to one, and a drive goes round them.

use crate::double::{params, rover};
use proptest::prelude::*;
use sojourn_autonav::{AutoNav, Config, Decision, DriveState, Goal, Input};
use sojourn_core::{
    Stamp,
    frames::{Map, Odom, Point, Pose2, Transform},
    geometry::{Xy, corridor, distance_to_edge_m, in_polygon},
    plan::{Mode, WaypointLimits},
    raster::Raster,
};

const HALF_WIDTH_M: f64 = 7.0;
const GOAL_XY: Xy = [12.0, 0.0];
const TICK_S: f64 = 0.1;

fn map_from_odom() -> Transform<Map, Odom> {
    Transform::from_xyz_rpy([100.0, 50.0, 3.0], 0.0, 0.0, 0.7)
}

fn in_map(polygon: &[Xy]) -> Vec<Xy> {
    polygon
        .iter()
        .map(|&[x, y]| {
            let p = map_from_odom() * Point::new(x, y, 0.0);
            [p.xyz.x, p.xyz.y]
        })
        .collect()
}

fn keep_in() -> Vec<Xy> {
    corridor([0.0, 0.0], GOAL_XY, HALF_WIDTH_M)
}

/// A goal on the other side, keep-outs given in `odom`.
fn goal(mode: Mode, keep_out: &[Vec<Xy>]) -> Goal {
    Goal {
        active: true,
        bundle_id: "b".into(),
        index: 0,
        xy_in_map: in_map(&[GOAL_XY])[0],
        tolerance_m: 1.0,
        mode,
        keep_in_map: vec![in_map(&keep_in())],
        keep_out_map: keep_out.iter().map(|p| in_map(p)).collect(),
        limits: WaypointLimits {
            tilt_deg: 25.0,
            slip: 0.6,
            speed_mps: 0.042,
        },
    }
}

struct Drive {
    nav: AutoNav,
    pose: Pose2,
    tick: i64,
}

impl Drive {
    fn new() -> Self {
        let r = rover("perseverance");
        Self {
            nav: AutoNav::new(Config::new(&params(), &r).unwrap(), r).unwrap(),
            pose: Pose2::default(),
            tick: 0,
        }
    }

    /// One tick on flat ground.
    fn tick(&mut self, goal: &Goal) -> Decision {
        let stamp = Stamp::from_secs(1.0 + self.tick as f64 * TICK_S);
        if self.tick % 200 == 0 {
            let elevation = Raster::filled(300, 240, 0.1, [-9.0, -12.0], 0.0).unwrap();
            self.nav.step(stamp, Input::Grid { stamp, elevation });
        }
        let p = self.pose;
        let inputs = [
            Input::Pose {
                stamp,
                odom_from_base_link: Transform::from_xyz_rpy(
                    [p.x_m, p.y_m, 0.0],
                    0.0,
                    0.0,
                    p.yaw_rad,
                ),
                certainty: None,
            },
            Input::MapFromOdom {
                stamp,
                map_from_odom: map_from_odom(),
            },
            Input::Goal {
                stamp,
                goal: goal.clone(),
            },
        ];
        for input in inputs {
            self.nav.step(stamp, input);
        }
        let d = self.nav.step(stamp, Input::Tick).unwrap();
        let v = d.velocity;
        self.pose = p.moved(v.speed_mps * TICK_S, v.turn_radps * TICK_S);
        self.tick += 1;
        d
    }
}

/// Distance to the nearest keep-out, metres; negative inside.
fn room_m(p: Xy, keep_out: &[Vec<Xy>]) -> f64 {
    keep_out
        .iter()
        .map(|polygon| {
            let d = distance_to_edge_m(p, polygon);
            if in_polygon(p, polygon) { -d } else { d }
        })
        .fold(f64::INFINITY, f64::min)
}

fn zone() -> impl Strategy<Value = Vec<Xy>> {
    let point = (0.2f64..2.5, 0f64..std::f64::consts::TAU);
    let at = [-2f64..10.0, -6f64..6.0];
    (at, prop::collection::vec(point, 3..8)).prop_map(|(at, points)| {
        points
            .iter()
            .map(|(r, a)| [at[0] + r * a.cos(), at[1] + r * a.sin()])
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn no_candidate_comes_to_a_keep_out_or_leaves_the_corridor(
        keep_out in prop::collection::vec(zone(), 1..4),
        mode in prop::sample::select(vec![Mode::AvoidAll, Mode::Guarded, Mode::Directed]),
        yaw_rad in -3f64..3.0,
    ) {
        let mut drive = Drive::new();
        drive.pose.yaw_rad = yaw_rad;
        let here_m = room_m([0.0, 0.0], &keep_out);
        let d = drive.tick(&goal(mode, &keep_out));
        if here_m < 0.0 {
            prop_assert!(d.velocity.is_stop() && d.reason.contains("in a keep-out"), "{}", d.reason);
            return Ok(());
        }
        let least_m = rover("perseverance").footprint_radius_m().min(here_m);
        // Modes of one arc tell it also when it may not be driven, and look at its first metre only.
        let tried = d.candidates.iter().filter(|c| c.chosen || mode == Mode::AvoidAll);
        for c in tried {
            for p in c.poses.iter().take(if mode == Mode::AvoidAll { usize::MAX } else { 5 }) {
                let p = [p.x_m, p.y_m];
                prop_assert!(in_polygon(p, &keep_in()), "{p:?}");
                prop_assert!(room_m(p, &keep_out) >= least_m - 1e-3, "{p:?}: {} of {least_m}", room_m(p, &keep_out));
            }
        }
        prop_assert!(d.velocity.speed_mps == 0.0 || d.candidates.iter().any(|c| c.chosen), "{}", d.reason);
    }
}

#[test]
fn a_drive_goes_round_a_keep_out_with_the_whole_rover() {
    // Across the straight way, thinner than a cell of the cost map, and out of the corridor on one side.
    let wall = vec![[6.0, -12.0], [6.1, -12.0], [6.1, 1.0], [6.0, 1.0]];
    let keep_out = [wall];
    let goal = goal(Mode::AvoidAll, &keep_out);
    let radius_m = rover("perseverance").footprint_radius_m();
    let mut drive = Drive::new();
    let mut nearest_m = f64::INFINITY;
    let mut last = None;
    for _ in 0..10_000 {
        let d = drive.tick(&goal);
        nearest_m = nearest_m.min(room_m([drive.pose.x_m, drive.pose.y_m], &keep_out));
        let there = d.state == DriveState::Goal;
        last = Some(d);
        if there {
            break;
        }
    }
    let d = last.unwrap();
    assert!(d.state == DriveState::Goal, "{} {:?}", d.reason, drive.pose);
    assert!(nearest_m > radius_m - 0.1, "{nearest_m}");
}
