//! The clearance check against exact settling on ground twice as fine as the map.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test tool may end on bad data

mod double;

use double::{World, params, rover};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sojourn_autonav::{
    Config,
    clearance::evaluate::{Tally, compare},
};
use sojourn_core::{frames::Pose2, limits::Share, raster::Raster};

/// 10⁴ poses over rock fields and slopes: what is accepted, exact settling on the fine ground finds safe.
#[test]
fn nothing_unsafe_is_accepted() {
    let r = rover("perseverance");
    let config = Config::new(&params(), &r).unwrap();
    let mut sum = Tally::default();
    let cells = [
        (0.0, 0.0),
        (0.05, 10.0),
        (0.07, 0.0),
        (0.10, 0.0),
        (0.10, 15.0),
        (0.15, 5.0),
        (0.20, 0.0),
        (0.20, 20.0),
    ];
    for (i, (cfa, slope)) in cells.into_iter().enumerate() {
        let world = World::new(i as u64, cfa, slope, 12.0, 1.0);
        let fine = Raster::filled(800, 480, 0.05, [-14.0, -12.0], 0.0).unwrap();
        let fine = fine.like(|c, row| {
            let [x, y] = fine.centre_m(c, row);
            world.height_m(x, y) as f32
        });
        let mut rng = ChaCha8Rng::seed_from_u64(i as u64);
        let poses: Vec<Pose2> = (0..1250)
            .map(|_| {
                Pose2::new(
                    rng.random_range(-10.0..22.0),
                    rng.random_range(-8.0..8.0),
                    rng.random_range(-3.1..3.1),
                )
            })
            .collect();
        // Look-ups bound the ground, so they may use all of every limit.
        let bounded = compare(&config, &r, &fine, 2, Share::WHOLE, poses.iter().copied()).unwrap();
        assert_eq!(
            bounded.ace_accepted_but_unsafe, 0,
            "{cfa} {slope}: {bounded:?}"
        );
        let tally = compare(&config, &r, &fine, 2, config.limit_share, poses.into_iter()).unwrap();
        assert_eq!(tally.accepted_but_unsafe, 0, "{cfa} {slope}: {tally:?}");
        // It has to accept, too: a check that refuses everything would pass the above.
        assert!(
            tally.accepted * 2 > tally.safe || slope > 10.0,
            "{cfa} {slope}: {tally:?}"
        );
        sum = sum.plus(tally);
    }
    assert_eq!(sum.poses, 10_000);
    assert!(sum.ace_accepted * 4 > sum.safe, "{sum:?}");
}
