//! Tests of the coarse cost map.

use super::*;
use crate::{
    config::tests::{params, rover},
    orbital::{FromOrbit, Orbital, OrbitalLayers},
};
use proptest::prelude::*;
use sojourn_core::{
    frames::{Map, Odom, Point, Transform},
    geometry,
    raster::Raster,
};
use std::sync::Arc;

fn scene_costs(height: impl Fn(f64, f64) -> f32, goal_xy: Xy) -> CostMap {
    costs(height, goal_xy, 6.0, None)
}

fn costs(
    height: impl Fn(f64, f64) -> f32,
    goal_xy: Xy,
    half_width_m: f64,
    orbital: Option<&Arc<Orbital>>,
) -> CostMap {
    let raster = Raster::filled(200, 200, 0.1, [-10.0, -10.0], 0.0).unwrap();
    let raster = raster.like(|c, row| {
        let [x, y] = raster.centre_m(c, row);
        height(x, y)
    });
    let plan = Planning {
        goal_map: goal_xy,
        half_width_m,
        ..Planning::default()
    };
    plan.costs(&raster, orbital, &mut FarMemory::default())
}

/// A planning over ground that lies around the rover.
#[derive(Clone)]
struct Planning {
    /// The rover in `odom`.
    rover_xy: Xy,
    /// In `map`.
    goal_map: Xy,
    half_width_m: f64,
    map_from_odom: Transform<Map, Odom>,
    limits: Limits,
    speed_mps: f64,
    slip: SlipForecast,
    unknown_factor: f64,
}

impl Default for Planning {
    fn default() -> Self {
        let r = rover("perseverance");
        Self {
            rover_xy: [0.0, 0.0],
            goal_map: [60.0, 0.0],
            half_width_m: 12.0,
            map_from_odom: Transform::identity(),
            limits: r.limits,
            speed_mps: 0.042,
            slip: SlipForecast::new(r.slip, 0.1, 0.1),
            unknown_factor: Config::new(&params(), &r).unwrap().unknown_factor,
        }
    }
}

impl Planning {
    fn costs(&self, seen: &Raster, orbital: Option<&Arc<Orbital>>, far: &mut FarMemory) -> CostMap {
        let r = rover("perseverance");
        let mut config = Config::new(&params(), &r).unwrap();
        config.unknown_factor = self.unknown_factor;
        let keep_in = [geometry::corridor(
            [0.0, 0.0],
            self.goal_map,
            self.half_width_m,
        )];
        let odom_from_map = self.map_from_odom.inverse();
        let goal = odom_from_map * Point::new(self.goal_map[0], self.goal_map[1], 0.0);
        CostMap::build(
            &config,
            &r,
            &Scene {
                ground: &Ground::of(seen, None, 0.1),
                corridor: &Corridor::in_odom(&keep_in, &odom_from_map),
                rover_xy: self.rover_xy,
                goal_xy: [goal.xyz.x, goal.xyz.y],
                limits: &self.limits,
                speed_mps: self.speed_mps,
                slip: &self.slip,
                dead_ends: &[],
                orbit: orbital.map(|o| Beyond {
                    orbit: FromOrbit::new(o, &self.map_from_odom),
                    goal_map: self.goal_map,
                    keep_in_map: &keep_in,
                    keep_out_map: &[],
                }),
            },
            &mut CoarseMap::new(config.coarse_m, config.costmap_cell_m),
            far,
        )
    }
}

#[test]
fn flat_ground_costs_its_length() {
    let m = scene_costs(|_, _| 0.0, [8.0, 0.0]);
    let straight = 8.0 / 0.042 / 0.97;
    assert!((m.to_go_s([0.0, 0.0]) / straight - 1.0).abs() < 0.1);
    assert!(m.to_go_s([4.0, 0.0]) < 0.6 * m.to_go_s([0.0, 0.0]));
}

#[test]
fn walls_are_gone_round_and_the_corridor_holds() {
    let wall = |x: f64, y: f64| {
        if (3.0..3.6).contains(&x) && y < 2.0 {
            1.5
        } else {
            0.0
        }
    };
    let m = scene_costs(wall, [8.0, 0.0]);
    assert!(m.to_go_s([2.0, 3.0]) < m.to_go_s([2.0, -2.0]));
    // beyond the corridor nothing leads to the waypoint
    assert!(m.to_go_s([0.0, 9.5]) > 20.0 * 8.0 / 0.042);
}

#[test]
fn a_far_waypoint_is_sought_from_the_rim() {
    let m = scene_costs(|_, _| 0.0, [300.0, 0.0]);
    assert!(m.to_go_s([1.0, 0.0]) < m.to_go_s([0.0, 0.0]));
    assert!(m.cells.len() <= 4 * MAX_HALF_CELLS * MAX_HALF_CELLS);
}

/// Ground from orbit in cells of a metre, 100 m along and 60 m across the way.
fn from_orbit(height: impl Fn(f64, f64) -> f32) -> Arc<Orbital> {
    let flat = Raster::filled(100, 60, 1.0, [-20.0, -30.0], 0.0).unwrap();
    let elevation = flat.like(|c, row| {
        let [x, y] = flat.centre_m(c, row);
        height(x, y)
    });
    let layers = OrbitalLayers {
        frame: "map".into(),
        elevation,
        error_m: 0.0,
        class: None,
        slope_more_deg: None,
        roughness_least_m: None,
    };
    Arc::new(Orbital::new(&layers, &rover("perseverance")).unwrap())
}

/// A wall across the right side of the way, from `x` on.
fn wall_at(x0: f64) -> impl Fn(f64, f64) -> f32 {
    move |x, y| {
        if (x0..x0 + 3.0).contains(&x) && y < 4.0 {
            3.0
        } else {
            0.0
        }
    }
}

#[test]
fn walls_that_orbit_alone_has_seen_are_gone_round() {
    // One on the map beyond what was seen, one beyond the map.
    for (wall_m, goal_m) in [(16.0, 28.0), (16.0, 60.0), (40.0, 60.0)] {
        let orbital = from_orbit(wall_at(wall_m));
        let sides = |o: Option<&Arc<Orbital>>| {
            let m = costs(|_, _| 0.0, [goal_m, 0.0], 12.0, o);
            m.to_go_s([5.0, 5.0]) - m.to_go_s([5.0, -5.0])
        };
        assert!(sides(None).abs() < 5.0, "{}", sides(None));
        let (with, metre_s) = (sides(Some(&orbital)), 1.0 / 0.042);
        assert!(with < -2.0 * metre_s, "{wall_m} {goal_m}: {with}");
    }
}

#[test]
fn where_the_rover_has_seen_for_itself_orbit_says_nothing() {
    let orbital = from_orbit(wall_at(4.0));
    let at = Pose2::new(5.0, 0.0, 0.0);
    let way = |o| costs(|_, _| 0.0, [8.0, 0.0], 6.0, o).way_s(at, 1.0, 2.0);
    assert_eq!(way(Some(&orbital)), way(None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Orbit makes unseen ground dearer or leaves it as it was, wherever the waypoint lies.
    #[test]
    fn orbit_never_makes_a_way_cheaper(
        heights in prop::collection::vec(prop_oneof![Just(f32::NAN), -3.0f32..3.0, Just(0.0f32)], 60),
        goal_m in 8.0f64..75.0,
    ) {
        let orbital = from_orbit(|x, y| {
            let [i, j] = [(x + 20.0) / 10.0, (y + 30.0) / 10.0].map(|v| v as usize);
            heights.get(j * 10 + i).copied().unwrap_or(0.0)
        });
        let known = heights.iter().any(|h| !h.is_nan());
        prop_assume!(known);
        let goal = [goal_m, 0.0];
        let (without, with) = (costs(|_, _| 0.0, goal, 12.0, None), costs(|_, _| 0.0, goal, 12.0, Some(&orbital)));
        for i in -28..29 {
            for j in -11..12 {
                let p = [f64::from(i), f64::from(j)];
                prop_assert!(with.to_go_s(p) >= without.to_go_s(p) * (1.0 - 1e-12), "{p:?}");
                let pose = Pose2::new(p[0], p[1], 0.7 * f64::from(j));
                prop_assert!(with.way_s(pose, 0.5, 2.0) >= without.way_s(pose, 0.5, 2.0), "{p:?}");
            }
        }
    }
}

#[test]
fn uphill_is_dearer_than_downhill() {
    let m = scene_costs(|x, _| (x * 0.2) as f32, [8.0, 0.0]);
    assert!(
        m.way_s(Pose2::new(1.0, 0.0, 0.0), 1.0, 2.0) > m.way_s(Pose2::new(1.0, 0.0, 3.0), 1.0, 2.0)
    );
}

fn flat_around([x, y]: Xy) -> Raster {
    Raster::filled(60, 60, 0.1, [x - 3.0, y - 3.0], 0.0).unwrap()
}

/// Costs of the same planning with what is remembered and with an empty memory are the same to the bit.
fn same_as_fresh(plan: &Planning, orbital: &Arc<Orbital>, kept: &mut FarMemory) {
    let seen = flat_around(plan.rover_xy);
    let with = plan.costs(&seen, Some(orbital), kept);
    let without = plan.costs(&seen, Some(orbital), &mut FarMemory::default());
    let bits = |m: &CostMap| m.to_go_s.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&with), bits(&without));
}

#[test]
fn what_is_remembered_beyond_the_map_changes_no_cost_and_saves_the_work() {
    let orbital = from_orbit(wall_at(40.0));
    let mut far = FarMemory::default();
    let mut plan = Planning::default();
    let turned = |x: f64, yaw: f64| Transform::from_xyz_rpy([x, 0.05, 0.0], 0.0, 0.0, yaw);
    // A metre from planning to planning, and odom drifts.
    for i in 0..7 {
        plan.rover_xy = [1.0 * f64::from(i), 0.1 * f64::from(i)];
        plan.map_from_odom = turned(0.02 * f64::from(i), 1e-3 * f64::from(i));
        same_as_fresh(&plan, &orbital, &mut far);
    }
    let once = (far.done.pricings, far.done.fields, far.done.searches);
    assert_eq!(once, (1, 1, 1));
    type Change = fn(&mut Planning);
    let changes: [(Change, [usize; 3]); 8] = [
        (|_| (), [0, 0, 0]),
        (|p| p.rover_xy[0] += 4.0, [0, 1, 1]),
        (|p| p.goal_map[1] += 2.0, [0, 1, 1]),
        (|p| p.half_width_m -= 3.0, [0, 1, 1]),
        (|p| p.limits.tilt_deg -= 2.0, [1, 1, 1]),
        (|p| p.unknown_factor += 1.0, [1, 1, 1]),
        (|p| p.speed_mps *= 0.5, [0, 0, 1]),
        (|p| p.slip.learn(0.0, 1.0, None, 0.5), [0, 0, 1]),
    ];
    for (i, (change, [pricings, fields, searches])) in changes.into_iter().enumerate() {
        let before = far.done;
        change(&mut plan);
        same_as_fresh(&plan, &orbital, &mut far);
        let more = |now: usize, then: usize| now - then;
        let done = [
            more(far.done.pricings, before.pricings),
            more(far.done.fields, before.fields),
            more(far.done.searches, before.searches),
        ];
        assert_eq!(done, [pricings, fields, searches], "change {i}");
    }
    // Other layers.
    same_as_fresh(&plan, &from_orbit(wall_at(20.0)), &mut far);
    assert_eq!(far.done.pricings, 4);
}

#[test]
fn the_work_beyond_the_map_does_not_grow_with_the_way() {
    let orbital = from_orbit(|x, y| (0.05 * (0.3 * x).sin() + 0.04 * y) as f32);
    for goal_m in [40.0, 100.0, 1e3, 1e4, 1e6] {
        let plan = Planning {
            goal_map: [0.8 * goal_m, 0.6 * goal_m],
            ..Planning::default()
        };
        let mut far = FarMemory::default();
        let m = plan.costs(&flat_around([0.0; 2]), Some(&orbital), &mut far);
        assert!(
            (1..=40_000).contains(&far.done.cells),
            "{goal_m}: {:?}",
            far.done
        );
        // A corridor far narrower than a cell still leads there.
        let towards = m.to_go_s([4.0, 3.0]) < m.to_go_s([-4.0, -3.0]);
        assert!(m.to_go_s([0.0, 0.0]).is_finite() && towards, "{goal_m}");
    }
}
