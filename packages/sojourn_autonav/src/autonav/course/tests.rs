//! The way under way is checked from where the rover is.

use super::*;
use crate::autonav::backing::tests::on_ground;

const WALL_M: f64 = 0.42;

/// A wall too high to climb along a straight way, `WALL_M` to the left of the left wheels' middle.
fn beside_a_wall(to_the_left_m: f64) -> (AutoNav, Scope) {
    let r = crate::config::tests::rover("perseverance");
    let wall_m = r.hubs_m()[0][1] + WALL_M;
    let (mut nav, mut scope) = on_ground(move |_, y| if y > wall_m { 0.8 } else { 0.0 });
    let poses = (0..=8).map(|i| Pose2::new(0.25 * f64::from(i), 0.0, 0.0));
    nav.phase = Phase::Follow(Track::new(poses.collect(), 1.0), 1.0);
    nav.checked_at = Some([0.0, 0.0]);
    scope.pose = Pose2::new(0.0, to_the_left_m, 0.0);
    (nav, scope)
}

#[test]
fn a_rover_that_slides_towards_a_wall_plans_again_without_news_of_the_ground() {
    let (mut nav, scope) = beside_a_wall(0.15);
    assert!(!nav.inputs.grid_is_new && !nav.look_again);
    assert!(nav.due(&scope));
    assert_eq!(nav.checked_at, Some([0.0, 0.15]));
}

#[test]
fn a_rover_on_its_way_goes_on() {
    let (mut nav, mut scope) = beside_a_wall(0.0);
    assert!(!nav.due(&scope));
    // Nor is anything checked before it has come on.
    scope.pose.x_m = 0.04;
    assert!(!nav.due(&scope));
    assert_eq!(nav.checked_at, Some([0.0, 0.0]));
    scope.pose.x_m = 0.06;
    assert!(!nav.due(&scope));
    assert_eq!(nav.checked_at, Some([0.06, 0.0]));
}
