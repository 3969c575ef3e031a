//! Searches on an orbital map of the drawn ground.

use super::*;
use crate::{
    finding::{Answer, OrbitalMap, Search},
    mapfix::MapFixParams,
    vo::tests::smooth,
};
use sojourn_core::raster::Raster;
use std::sync::Arc;

/// Half a side of the map, metres; the drive begins in its middle.
const HALF_M: f64 = 34.0;
/// What the rover believes of its start is wrong by this, metres.
const WRONG_M: [f64; 2] = [1.3, -0.9];

/// Patches of a few metres, as an image from orbit shows them.
fn patches([x, y]: [f64; 2], level: f64) -> f64 {
    let tone = smooth(x / 2.6, y / 2.6, 90) + 0.7 * smooth(x / 1.1, y / 1.1, 91);
    (0.7 * (level - 128.0) + 128.0) * (0.5 + 0.6 * tone)
}

/// The map of the ground around a place; the rover stands in its middle.
fn map_of(place_m: [f64; 2]) -> OrbitalMap {
    let cells = (2.0 * HALF_M / 0.25) as usize;
    let flat = Raster::filled(cells, cells, 0.25, [-HALF_M; 2], 0.0).unwrap();
    let ortho = flat.like(|c, r| {
        let [x, y] = flat.centre_m(c, r);
        let (x, y) = (x + place_m[0], y + place_m[1]);
        patches([x, y], SAND.mean_brightness(x, y, 0.25)) as f32
    });
    let params = MapFixParams {
        search_m: 12.0,
        ..MapFixParams::load(&config("mapfix.yaml")).unwrap()
    };
    OrbitalMap {
        ortho,
        elevation: flat,
        params,
    }
}

fn drive() -> Drive {
    let mut d = Drive::with(|p| {
        (p.initial_x_m, p.initial_y_m) = (WRONG_M[0], WRONG_M[1]);
        p.initial_position_sigma_m = 1.5;
        p.map_fix.enabled = true;
        p.map_fix.view.node_px = 4;
        p.map_fix.pair_step_m = 0.2;
    });
    d.paint = patches;
    d.rest();
    d
}

/// Turns on the spot by a whole turn with a pair every half a radian, and drives on a little.
fn look_around(d: &mut Drive) {
    for _ in 0..13 {
        d.pair(Fate::Fine);
        d.tick();
        for _ in 0..10 {
            d.turn(0.05, 0.0);
            d.tick();
        }
    }
    d.pair(Fate::Fine);
    d.tick();
}

fn searches(d: &Drive) -> Vec<Arc<Search>> {
    d.outputs.iter().filter_map(|o| o.search.clone()).collect()
}

fn wanted(d: &mut Drive) -> Arc<Search> {
    d.node.step(Stamp::from_secs(d.t_s), Input::FindOnMap);
    d.tick();
    let [search] = searches(d).try_into().unwrap();
    search
}

fn answered(d: &mut Drive, answer: Answer) {
    let now = Stamp::from_secs(d.t_s);
    d.node.step(now, Input::Found(Box::new(answer)));
    d.tick();
}

fn off_in_map_m(d: &Drive) -> f64 {
    let e = d.node.estimate().unwrap();
    let at = (e.map_from_odom * e.odom_from_base_link).planar();
    (at.x_m - d.way_m).hypot(at.y_m - d.aside_m)
}

#[test]
fn what_was_seen_around_puts_the_rover_where_it_is_on_the_map() {
    let mut d = drive();
    look_around(&mut d);
    let search = wanted(&mut d);
    assert!((search.answer_at.since(search.stamp) - 30.0).abs() < 1.0);
    let before_m = off_in_map_m(&d);
    let answer = search.run(&map_of([0.0; 2]));
    assert_eq!(answer, search.run(&map_of([0.0; 2])));
    assert!(answer.seen_m2 > 300.0, "{answer:?}");
    answered(&mut d, answer);
    assert_eq!(d.node.counts().map_fixes, 1, "{}", d.node.map_fix_told());
    assert!(
        before_m > 1.5 && off_in_map_m(&d) < 0.25,
        "{} m",
        off_in_map_m(&d)
    );
    assert!(d.node.map_fix_told().starts_with("fix of"));
}

#[test]
fn a_map_of_another_place_moves_nothing() {
    let mut d = drive();
    look_around(&mut d);
    let answer = wanted(&mut d).run(&map_of([300.0, -170.0]));
    assert!(answer.found.is_err(), "{answer:?}");
    let before = d.node.estimate().unwrap().map_from_odom;
    answered(&mut d, answer);
    assert_eq!(d.node.estimate().unwrap().map_from_odom, before);
    assert_eq!(d.node.counts().map_fixes, 0);
    assert!(d.node.map_fix_told().starts_with("no fix at"));
}

#[test]
fn a_map_whose_relief_lies_beside_its_image_is_told() {
    let mut d = drive();
    let found = |layers_shift_m: Option<[f64; 2]>| Answer {
        layers_shift_m,
        ..Search::unanswered(Stamp::from_secs(1.0), "nothing to go by")
    };
    answered(&mut d, found(Some([-3.0, 2.0])));
    let told = d.node.map_fix_told();
    assert!(
        told.ends_with("the map's relief lies -3 m east and 2 m north of its image"),
        "{told}"
    );
    for near in [None, Some([1.0, -1.0])] {
        answered(&mut d, found(near));
        assert!(d.node.map_fix_told().ends_with("nothing to go by"));
    }
}

#[test]
fn one_search_at_a_time_and_one_every_so_much_way() {
    let mut d = drive();
    for _ in 0..3 {
        d.leg(Fate::Fine);
    }
    // Nothing asks for one yet: a metre and a half of twenty.
    assert!(searches(&d).is_empty());
    let first = wanted(&mut d);
    d.node.step(Stamp::from_secs(d.t_s), Input::FindOnMap);
    d.leg(Fate::Fine);
    assert_eq!(searches(&d).len(), 1);
    answered(&mut d, Search::unanswered(first.stamp, "lost"));
    // The one that was asked for meanwhile.
    assert_eq!(searches(&d).len(), 2);
    assert!(d.node.map_fix_told().contains("lost"));
    let second = searches(&d).pop().unwrap();
    assert!(second.stamp > first.stamp);
    answered(&mut d, Search::unanswered(second.stamp, "lost"));
    assert_eq!(searches(&d).len(), 2);
    let legs = (20.0 / 0.5) as usize + 1;
    for _ in 0..legs {
        for _ in 0..25 {
            d.period(SPEED_MPS, 0.0);
        }
        d.tick();
    }
    assert_eq!(searches(&d).len(), 3);
}

#[test]
fn without_leave_nothing_is_kept_and_nothing_is_looked_for() {
    let mut d = Drive::new();
    d.rest();
    d.pair(Fate::Fine);
    d.tick();
    d.node.step(Stamp::from_secs(d.t_s), Input::FindOnMap);
    d.leg(Fate::Fine);
    assert!(searches(&d).is_empty());
}
