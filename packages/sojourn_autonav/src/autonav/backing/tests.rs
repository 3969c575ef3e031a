//! Backing up: what is driven is what holds, and what was tried in vain takes nothing away.

use super::*;
use crate::{
    config::{
        Config, PlannerKind,
        tests::{params, rover},
    },
    corridor::Corridor,
    ground::Ground,
};
use sojourn_core::{frames::Transform, plan::Mode, raster::Raster};

const SIDE_M: f64 = 10.0;

/// AutoNav on ground with stones of half a metre, as long as two cells, and what it is asked for.
fn standing(stones: &[[f64; 2]]) -> (AutoNav, Scope) {
    on_ground(|x, y| {
        let on = |s: &[f64; 2]| (x - s[0]).abs() < 0.11 && (y - s[1]).abs() < 0.11;
        if stones.iter().any(on) { 0.5 } else { 0.0 }
    })
}

/// AutoNav on ground of this height, metres at x and y, and what it is asked for.
pub(in crate::autonav) fn on_ground(height_m: impl Fn(f64, f64) -> f32) -> (AutoNav, Scope) {
    let r = rover("perseverance");
    let config = Config::new(&params(), &r).unwrap();
    let flat = Raster::filled(200, 200, 0.1, [-SIDE_M; 2], 0.0).unwrap();
    let ground = flat.like(|c, row| {
        let [x, y] = flat.centre_m(c, row);
        height_m(x, y)
    });
    let mut nav = AutoNav::new(config, r.clone()).unwrap();
    nav.inputs.ground = Some(Ground::of(&ground, None, 0.1).with_images(
        &r,
        nav.checker.settler(),
        nav.config.swing_m,
        PlannerKind::Tiered,
    ));
    let still = Transform::from_xyz_rpy([0.0; 3], 0.0, 0.0, 0.0);
    let (a, b) = (-SIDE_M, SIDE_M);
    let scope = Scope {
        pose: Pose2::default(),
        pitch_rad: 0.0,
        tilt_rad: 0.0,
        map_from_odom: Transform::from_xyz_rpy([0.0; 3], 0.0, 0.0, 0.0),
        goal_xy: [8.0, 0.0],
        distance_m: 8.0,
        tolerance_m: 1.0,
        mode: Mode::AvoidAll,
        corridor: Corridor::in_odom(&[vec![[a, a], [b, a], [b, b], [a, b]]], &still),
        limits: r.limits,
        rim_mps: 0.042,
    };
    (nav, scope)
}

/// A straight track from behind, newest crumb last.
fn came(nav: &mut AutoNav, places_m: &[f64]) {
    nav.crumbs = places_m.iter().map(|&x| Pose2::new(x, 0.0, 0.0)).collect();
}

#[test]
fn it_goes_back_on_its_track_and_the_track_ends_there() {
    let (mut nav, scope) = standing(&[]);
    came(
        &mut nav,
        &[-2.0, -1.75, -1.5, -1.25, -1.0, -0.75, -0.5, -0.25, 0.0],
    );
    let track = nav.way_back(&scope).unwrap();
    assert!((track.length_m() - 1.0).abs() < 0.01 && track.direction == -1.0);
    assert_eq!(nav.crumbs.back().map(|p| p.x_m), Some(-1.25));
}

/// The crumbs themselves are clear of the stone; the front wheel passes over it between two of them.
#[test]
fn what_lies_between_two_places_it_stood_at_counts() {
    let r = rover("perseverance");
    let stone = [r.hubs_m()[0][0] - 0.62, r.hubs_m()[0][1]];
    let crumbs = [-2.0, -1.75, -1.5, -1.25];
    let (mut free, scope) = standing(&[]);
    came(&mut free, &crumbs);
    assert!(free.way_back(&scope).is_some());
    let (mut nav, scope) = standing(&[stone]);
    came(&mut nav, &crumbs);
    let ahead = nav.crumbs.iter().rev().copied().collect::<Vec<_>>();
    for pose in ahead {
        let verdict = nav.checker.verdict(
            nav.inputs.ground.as_ref().unwrap(),
            &scope.limits,
            nav.config.out_share,
            pose,
            -1.0,
        );
        assert!(
            matches!(verdict, crate::check::Verdict::Safe { .. }),
            "{pose:?} {verdict:?}"
        );
    }
    assert!(nav.way_back(&scope).is_none());
    // In vain: nothing of the track is lost.
    assert_eq!(nav.crumbs.len(), crumbs.len());
}

#[test]
fn as_much_of_the_track_as_holds_is_driven() {
    let r = rover("perseverance");
    // The rear wheel stands before it after 0.5 m.
    let stone = [r.hubs_m()[2][0] - 1.05, r.hubs_m()[2][1]];
    let (mut nav, scope) = standing(&[stone]);
    came(&mut nav, &[-1.5, -1.25, -1.0, -0.75, -0.5, -0.25, 0.0]);
    let track = nav.way_back(&scope).unwrap();
    assert!(
        (0.2..0.8).contains(&track.length_m()),
        "{}",
        track.length_m()
    );
    assert!(nav.crumbs.back().is_some_and(|p| p.x_m < -track.length_m()));
}

#[test]
fn where_the_track_does_not_hold_it_backs_out_beside_it() {
    let r = rover("perseverance");
    let rear = r.hubs_m()[2];
    let (mut nav, scope) = standing(&[[rear[0] - 0.62, rear[1]]]);
    came(&mut nav, &[-1.0, -0.75, -0.5, -0.25, 0.0]);
    assert!(nav.way_back(&scope).is_none());
    let track = nav.back_out(&scope).unwrap();
    assert!(nav.track_holds(&scope, &track, nav.config.hold_share));
    let end = track.pose_at(track.length_m()).unwrap();
    assert!(end.x_m < -0.2 && end.y_m.abs() > 0.02, "{end:?}");
    // Once it has left its track there is none to get out of.
    let crumbs = std::mem::take(&mut nav.crumbs);
    assert!(nav.back_out(&scope).is_none());
    nav.crumbs = crumbs;
    // With nothing left of the allowance it stays.
    nav.backed_m = nav.config.backup_max_m;
    assert!(nav.back_out(&scope).is_none() && nav.way_back(&scope).is_none());
}

#[test]
fn no_way_back_leads_out_of_the_corridor_or_over_what_is_not_known() {
    let (mut nav, mut scope) = standing(&[]);
    came(&mut nav, &[-1.0, -0.75, -0.5, -0.25, 0.0]);
    let still = Transform::from_xyz_rpy([0.0; 3], 0.0, 0.0, 0.0);
    let narrow = vec![[-0.1, -5.0], [5.0, -5.0], [5.0, 5.0], [-0.1, 5.0]];
    scope.corridor = Corridor::in_odom(&[narrow], &still);
    assert!(nav.way_back(&scope).is_none() && nav.back_out(&scope).is_none());
    let (mut nav, mut scope) = standing(&[]);
    scope.pose = Pose2::new(1.2 - SIDE_M, 0.0, 0.0);
    nav.crumbs = [0.2, 0.45, 0.7, 0.95]
        .map(|x| Pose2::new(x - SIDE_M, 0.0, 0.0))
        .into();
    assert!(nav.way_back(&scope).is_none() && nav.back_out(&scope).is_none());
}
