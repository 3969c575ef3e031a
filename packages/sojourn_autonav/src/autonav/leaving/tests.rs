//! Ways out of places from which no candidate leads on.

use super::*;
use crate::{
    autonav::backing::tests::on_ground, check::Verdict, fusion::TerrainLayers, status::DriveState,
};
use sojourn_core::{Stamp, frames::Transform, kinematics::Velocity, suspension::SuspensionAngles};

/// Walls too high to climb: across the way and on both sides, so near that the rover cannot turn; open behind.
fn pocket(x: f64, y: f64) -> f32 {
    let ahead = (2.5..2.8).contains(&x) && y.abs() < 2.3;
    let beside = (-1.5..2.8).contains(&x) && (2.0..2.3).contains(&y.abs());
    if ahead || beside { 0.8 } else { 0.0 }
}

/// The same, closed behind.
fn cell(x: f64, y: f64) -> f32 {
    let behind = (-2.9..-2.6).contains(&x) && y.abs() < 2.3;
    let beside = (-2.9..2.8).contains(&x) && (2.0..2.3).contains(&y.abs());
    if behind || beside { 0.8 } else { pocket(x, y) }
}

/// Searches to the end; the way that was found.
fn sought(nav: &mut AutoNav, scope: &Scope) -> Vec<Leg> {
    assert!(nav.begin_to_seek(scope));
    while nav.seek(Stamp::from_secs(0.0), scope).is_some() {}
    nav.way_on.legs.iter().cloned().collect()
}

fn all_poses(legs: &[Leg]) -> Vec<Pose2> {
    legs.iter().flat_map(|l| l.poses.clone()).collect()
}

#[test]
fn out_of_a_pocket_it_backs_and_every_pose_of_the_way_holds() {
    let (mut nav, scope) = on_ground(pocket);
    let legs = sought(&mut nav, &scope);
    assert_eq!(legs.first().map(|l| l.manner), Some(Manner::Back));
    let end = *all_poses(&legs).last().unwrap();
    let away_m = end.x_m.hypot(end.y_m);
    let to_goal_m = distance_m([end.x_m, end.y_m], scope.goal_xy);
    assert!(away_m >= 9.0 || to_goal_m <= 0.8, "{end:?}");
    let ground = nav.inputs.ground.clone().unwrap();
    for leg in &legs {
        let direction = f64::from(i32::from(leg.manner == Manner::Ahead)) * 2.0 - 1.0;
        for pose in &leg.poses {
            let verdict = nav
                .checker
                .verdict(&ground, &scope.limits, leg.held, *pose, direction);
            assert!(
                matches!(verdict, Verdict::Safe { .. }),
                "{pose:?} {verdict:?}"
            );
        }
    }
}

#[test]
fn out_of_a_closed_place_there_is_none_and_it_is_not_looked_for_again() {
    let (mut nav, scope) = on_ground(cell);
    assert_eq!(sought(&mut nav, &scope), []);
    assert!(nav.way_on.in_vain && !nav.begin_to_seek(&scope));
}

#[test]
fn the_way_does_not_depend_on_how_much_is_done_in_one_tick() {
    let ways = [10, 300, 100_000].map(|settles| {
        let (mut nav, scope) = on_ground(pocket);
        nav.config.seek_settles = settles;
        sought(&mut nav, &scope)
    });
    assert!(!ways[0].is_empty() && ways[0] == ways[1] && ways[1] == ways[2]);
}

#[test]
fn a_search_ends_at_its_budget() {
    let (mut nav, scope) = on_ground(pocket);
    nav.config.seek_steps = 20;
    assert_eq!(sought(&mut nav, &scope), []);
    nav.config.seek_steps = 0;
    nav.way_on.in_vain = false;
    assert!(!nav.begin_to_seek(&scope), "switched off");
}

#[test]
fn another_way_is_found_than_through_a_pose_that_was_refused() {
    let (mut nav, scope) = on_ground(pocket);
    let first = sought(&mut nav, &scope);
    let bad = first[0].poses[2];
    nav.refuse(bad, -1.0);
    let second = sought(&mut nav, &scope);
    let back = |legs: &[Leg]| -> Vec<Pose2> {
        let back = legs.iter().filter(|l| l.manner == Manner::Back);
        back.flat_map(|l| l.poses.get(1..).unwrap().to_vec())
            .collect()
    };
    let near = |p: &Pose2| {
        distance_m([p.x_m, p.y_m], [bad.x_m, bad.y_m]) < 0.05
            && wrap_rad(p.yaw_rad - bad.yaw_rad).abs() < 0.04
    };
    assert!(back(&first).iter().any(near) && !back(&second).iter().any(near));
    assert!(!second.is_empty());
}

/// Drives as the wheels would without slip, and comes to the goal beyond the wall; never stands anywhere that does not hold.
#[test]
fn what_is_found_is_driven_to_the_goal() {
    let (mut nav, mut scope) = on_ground(pocket);
    let ground = nav.inputs.ground.clone().unwrap();
    let (mut backed, mut arrived) = (false, false);
    for tick in 0..20_000 {
        let now = Stamp::from_secs(1.0 + 0.1 * f64::from(tick));
        let (v, state, _) = nav.act(now, &scope).unwrap();
        if state == DriveState::Goal {
            arrived = true;
            break;
        }
        backed |= v.speed_mps < 0.0;
        scope.pose = scope.pose.moved(0.1 * v.speed_mps, 0.1 * v.turn_radps);
        scope.distance_m = distance_m([scope.pose.x_m, scope.pose.y_m], scope.goal_xy);
        if v != Velocity::STOP && tick % 10 == 0 {
            let verdict = nav
                .checker
                .verdict(&ground, &scope.limits, 1.0.into(), scope.pose, -1.0);
            assert!(
                matches!(verdict, Verdict::Safe { .. }),
                "{:?} {verdict:?}",
                scope.pose
            );
        }
    }
    assert!(arrived && backed, "{:?}", scope.pose);
}

/// A leg is driven from where it begins and nowhere else; after one that is not, another way is looked for before any candidate.
#[test]
fn from_another_place_a_leg_is_not_driven() {
    let (mut nav, mut scope) = on_ground(pocket);
    assert!(!sought(&mut nav, &scope).is_empty());
    scope.pose = Pose2::new(-0.4, 0.0, 0.0);
    assert!(!nav.next_leg(&scope));
    assert!(nav.way_on.legs.is_empty() && nav.way_on.again);
    assert!(nav.plan(Stamp::from_secs(1.0), &scope).is_ok());
    assert!(matches!(nav.phase, Phase::Seek(_)));
}

/// Where steps of a whole heading and half a metre are all blocked, smaller ones may lead on.
#[test]
fn small_steps_lead_out_where_large_ones_do_not() {
    let (mut nav, scope) = on_ground(|_, _| 0.0);
    let plain = sought(&mut nav, &scope);
    assert!(!plain.is_empty());
    // What every large step passes first.
    for direction in [1.0, -1.0] {
        for yaw in [-0.09, 0.0, 0.09] {
            nav.refuse(Pose2::new(0.125 * direction, 0.0, yaw), direction);
        }
    }
    for yaw in [0.15, -0.15] {
        nav.refuse(Pose2::new(0.0, 0.0, yaw), 0.0);
    }
    let legs = sought(&mut nav, &scope);
    let first = legs.first().unwrap();
    assert_eq!(first.manner, Manner::Turn);
    assert!(
        (0.05..0.12).contains(&first.turn_rad.abs()),
        "{}",
        first.turn_rad
    );
    let end = *all_poses(&legs).last().unwrap();
    assert!(end.x_m.hypot(end.y_m) > 3.0, "{end:?}");
}

/// The map has a stone under a wheel on which the rover cannot stand; the wheels say that none is there.
#[test]
fn where_the_rover_stands_better_than_its_map_says_it_looks_again() {
    let sought_with = |angles: Option<SuspensionAngles>| {
        let (mut nav, scope) = on_ground(|_, _| 0.0);
        let now = Stamp::from_secs(1.0);
        let level = Transform::from_xyz_rpy([0.0; 3], 0.0, 0.0, 0.0);
        let flat = nav.inputs.ground.as_ref().unwrap().seen.clone();
        let hub = nav.rover.hubs_m()[4];
        let stone = flat.like(|c, row| {
            let [x, y] = flat.centre_m(c, row);
            if (x - hub[0]).hypot(y - hub[1]) < 0.08 {
                0.45
            } else {
                0.0
            }
        });
        let layers = TerrainLayers {
            high: Some(stone),
            low: Some(flat.clone()),
            ..TerrainLayers::of(flat)
        };
        nav.inputs.take_pose(now, level, 2.0);
        nav.inputs.take_grid(now, layers);
        nav.inputs.fuse(&nav.config, &nav.rover);
        if let Some(angles) = angles {
            nav.inputs.take_suspension(now, angles);
        }
        assert!(nav.begin_to_seek(&scope));
        while nav.seek(now, &scope).is_some() {}
        let in_vain = nav.way_on.in_vain;
        assert!(nav.way_on.legs.is_empty() && nav.way_on.again != in_vain);
        if in_vain {
            return (true, Vec::new());
        }
        assert!(nav.plan(now, &scope).is_ok());
        while nav.seek(now, &scope).is_some() {}
        (false, nav.way_on.legs.iter().cloned().collect())
    };
    let flat = SuspensionAngles::default();
    let strained = SuspensionAngles {
        bogie_rad: [0.0, 0.29],
        ..flat
    };
    assert!(sought_with(None).0, "nothing is felt");
    assert!(sought_with(Some(strained)).0, "the wheel is on something");
    let (in_vain, legs) = sought_with(Some(flat));
    assert!(!in_vain && !legs.is_empty());
}
