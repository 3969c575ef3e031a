use super::{ground::smooth, *};
use crate::testing::{mars, small_site};
use proptest::prelude::*;

#[test]
fn a_place_is_the_same_in_every_region() {
    let site = small_site(3);
    let a = World::from_site(
        &site,
        &WorldParams::demo(9, [10.0, 10.0, 60.0, 50.0], [20.0, 20.0]),
    )
    .unwrap();
    let b = World::from_site(
        &site,
        &WorldParams::demo(9, [27.33, 18.9, 90.0, 80.0], [20.0, 20.0]),
    )
    .unwrap();
    let mut seen = 0;
    for k in 0..2000 {
        let (x, y) = (29.0 + 0.0151 * f64::from(k), 22.0 + 0.0131 * f64::from(k));
        assert_eq!(
            a.height_m(x, y).unwrap().to_bits(),
            b.height_m(x, y).unwrap().to_bits()
        );
        seen += 1;
    }
    assert_eq!(seen, 2000);
    let other = World::from_site(
        &site,
        &WorldParams::demo(8, [10.0, 10.0, 60.0, 50.0], [20.0, 20.0]),
    )
    .unwrap();
    assert_ne!(a.tile(1, 1), other.tile(1, 1));
}

/// With tiles at hand the ground has the same bits, within them, beyond them and at the world's edge.
#[test]
fn ground_at_hand_is_the_worlds() {
    let params = WorldParams {
        rock_cfa: 0.1,
        ..WorldParams::demo(5, [0.0, 0.0, 40.0, 40.0], [20.0, 20.0])
    };
    let world = World::from_fn(&params, |x, y| 0.1 * x - 0.05 * y).unwrap();
    let bits = |z: Option<f64>| z.map(f64::to_bits);
    for middle in [[20.0, 20.0], [25.6, 25.6], [39.5, 1.0], [-3.0, 50.0]] {
        let near = world.at_hand(middle, 2.0);
        let window = world.window([
            middle[0] - 2.0,
            middle[1] - 2.0,
            middle[0] + 2.0,
            middle[1] + 2.0,
        ]);
        let mut classes = 0;
        for k in -30..=30 {
            for l in -30..=30 {
                let (x, y) = (
                    middle[0] + 0.1 * f64::from(k),
                    middle[1] + 0.097 * f64::from(l),
                );
                assert_eq!(
                    bits(near.height_m(x, y)),
                    bits(world.height_m(x, y)),
                    "{x} {y}"
                );
                if let Some(class) = window.class_at(x, y) {
                    assert_eq!(Some(class), world.class_at(x, y), "{x} {y}");
                    classes += 1;
                }
            }
        }
        assert!(classes > 1000 || middle[0] < 0.0 || middle[0] > 39.0);
    }
    for (x, y) in [(40.0, 40.0), (40.0, 3.0), (0.0, 40.0), (40.05, 3.0)] {
        let near = world.at_hand([39.0, 39.0], 2.0);
        assert_eq!(
            bits(near.height_m(x, y)),
            bits(world.height_m(x, y)),
            "{x} {y}"
        );
    }
}

#[test]
fn the_world_is_the_site_with_a_little_more() {
    let site = small_site(4);
    let params = WorldParams {
        rock_cfa: 0.0,
        ..WorldParams::demo(1, [5.0, 5.0, 85.0, 85.0], [20.0, 20.0])
    };
    let world = World::from_site(&site, &params).unwrap();
    let (mut n, mut sum) = (0.0, 0.0);
    for k in 0..20_000 {
        let (x, y) = (
            6.0 + 0.57 * f64::from(k % 137),
            6.0 + 0.53 * f64::from(k / 137),
        );
        let d = world.height_m(x, y).unwrap() - smooth(site.elevation().unwrap(), x, y).unwrap();
        sum += d * d;
        n += 1.0;
    }
    let rms = f64::sqrt(sum / n);
    assert!((0.014..0.024).contains(&rms), "{rms}");
}

#[test]
fn the_start_is_clear_of_rocks_and_rocks_stand_where_they_are() {
    let params = WorldParams {
        rock_cfa: 0.1,
        ..WorldParams::demo(2, [0.0, 0.0, 40.0, 40.0], [20.0, 20.0])
    };
    let world = World::from_fn(&params, |_, _| 1.0).unwrap();
    let rocks = world.rocks_in(world.region_m());
    assert!(rocks.len() > 100);
    for r in &rocks {
        assert!((r.x_m - 20.0).hypot(r.y_m - 20.0) > 4.0 + 0.5 * r.diameter_m);
    }
    let big = rocks
        .iter()
        .max_by(|a, b| a.diameter_m.total_cmp(&b.diameter_m))
        .unwrap();
    let top = world.height_m(big.x_m, big.y_m).unwrap() - 1.0;
    assert!(
        (top - big.height_m).abs() < 0.15 * big.height_m,
        "{top} {}",
        big.height_m
    );
}

#[test]
fn a_plain_site_is_made_of_what_the_prior_draws_for_its_slope() {
    let shares = |slope: f64| {
        let params = WorldParams {
            rock_cfa: 0.0,
            resolution_m: 2.0,
            ..WorldParams::demo(3, [0.0, 0.0, 2000.0, 2000.0], [5.0, 5.0])
        };
        let world = World::from_fn(&params, move |x, _| slope * x).unwrap();
        let mut shares = std::collections::BTreeMap::new();
        for k in 0..10_000 {
            let (x, y) = (
                19.7 * f64::from(k % 100) + 10.0,
                19.7 * f64::from(k / 100) + 10.0,
            );
            let class = world.class_at(x, y).unwrap();
            assert_eq!(world.soil_at(x, y), world.soils().table().weakness(class));
            *shares.entry(class).or_insert(0.0) += 1e-4;
        }
        (shares, world.soils().table().clone())
    };
    for (slope, slope_deg) in [(0.05, 2.9), (0.3, 16.7)] {
        let (shares, table) = shares(slope);
        for w in table.mixture(slope_deg) {
            let found = shares.get(&w.class).copied().unwrap_or(0.0);
            assert!(
                (found - w.weight).abs() < 0.06,
                "{:?} at {slope_deg}: {found}",
                w.class
            );
        }
    }
}

#[test]
fn drawn_classes_are_the_same_in_every_region_and_other_seeds_draw_others() {
    let site = small_site(3);
    let world = |seed, region| {
        World::from_site(&site, &WorldParams::demo(seed, region, [20.0, 20.0])).unwrap()
    };
    let a = world(9, [10.0, 10.0, 70.0, 60.0]);
    let b = world(9, [27.33, 18.9, 90.0, 80.0]);
    let other = world(8, [10.0, 10.0, 70.0, 60.0]);
    let mut differ = 0;
    for k in 0..2000 {
        let (x, y) = (28.0 + 0.021 * f64::from(k), 20.0 + 0.0191 * f64::from(k));
        assert_eq!(a.class_at(x, y), b.class_at(x, y));
        differ += u32::from(a.class_at(x, y) != other.class_at(x, y));
    }
    assert!(differ > 200, "{differ}");
}

#[test]
fn absurd_parameters_are_refused() {
    let site = small_site(1);
    let good = WorldParams::demo(1, [5.0, 5.0, 50.0, 50.0], [20.0, 20.0]);
    for bad in [
        WorldParams {
            resolution_m: f64::NAN,
            ..good.clone()
        },
        WorldParams {
            region_m: [500.0, 5.0, 600.0, 50.0],
            ..good.clone()
        },
        WorldParams {
            rock_cfa: 3.0,
            ..good.clone()
        },
    ] {
        assert!(World::from_site(&site, &bad).is_err());
    }
    assert_eq!(mars().name, "mars");
}

proptest! {
    #[test]
    fn outside_there_is_no_ground(x in -1e3f64..1e3, y in -1e3f64..1e3) {
        let world = World::from_fn(
            &WorldParams { rock_cfa: 0.0, ..WorldParams::demo(1, [0.0, 0.0, 5.0, 5.0], [2.0, 2.0]) }, |x, y| 0.1 * x - 0.2 * y).unwrap();
        match world.height_m(x, y) {
            Some(z) => prop_assert!((z - (0.1 * x - 0.2 * y)).abs() < 1e-5),
            None => prop_assert!(!(0.0..=5.0).contains(&x) || !(0.0..=5.0).contains(&y)),
        }
    }
}
