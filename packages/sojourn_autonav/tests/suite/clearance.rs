//! The clearance check against exact settling on ground twice as fine as the map.

use crate::double::{World, params, rover};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sojourn_autonav::{
    Config,
    clearance::{
        Ace, Bounds, Range,
        evaluate::{Tally, coarsened, compare},
    },
    ground::Ground,
};
use sojourn_core::{frames::Pose2, limits::Share, raster::Raster, rover::Rover, settle::Settler};
use std::sync::LazyLock;

static ROVER: LazyLock<Rover> = LazyLock::new(|| rover("perseverance"));
static CONFIG: LazyLock<Config> = LazyLock::new(|| Config::new(&params(), &ROVER).unwrap());

/// Looks up poses on a map of cells twice as coarse as the ground and settles them on the ground: each angle, the drop and
/// the clearance have to lie within their bounds. Returns at how many poses there were bounds.
fn held(fine: &Raster, poses: impl Iterator<Item = Pose2>) -> Result<usize, String> {
    let [mean, low, high] = coarsened(fine, 2).unwrap();
    let class = mean.like(|_, _| f32::NAN);
    let settler = Settler::new(&ROVER, CONFIG.settle_step_m);
    let ground = Ground::prepare(&[mean, low, high, class], None, 0.0).with_images(
        &ROVER,
        &settler,
        CONFIG.swing_m,
        CONFIG.planner,
    );
    let ace = Ace::new(&ROVER, CONFIG.swing_m);
    let (surfaces, images) = (
        ground.surfaces.as_ref().unwrap(),
        ground.images.as_ref().unwrap(),
    );
    let mut n = 0;
    for pose in poses {
        let (Some(b), Some(s)) = (
            ace.bounds(surfaces, images, pose),
            settler.settle(fine, pose),
        ) else {
            continue;
        };
        n += 1;
        let Bounds {
            attitude: a,
            drop_m,
            clearance_m,
        } = b;
        let off = |r: Range, v: f64| (r.lo - v).max(v - r.hi);
        let drop = s.wheel_drop_m.into_iter().fold(0.0, f64::max);
        for (what, by) in [
            ("pitch", off(a.pitch_up, -s.pitch_rad)),
            ("roll", off(a.roll_up_left, s.roll_rad)),
            ("differential", off(a.differential, s.differential_rad)),
            ("left bogie", off(a.bogie[0], s.bogie_rad[0])),
            ("right bogie", off(a.bogie[1], s.bogie_rad[1])),
            ("drop", drop - drop_m),
            ("clearance", clearance_m - s.clearance_m),
        ] {
            // Settling ends within a ten-thousandth.
            if by > 3e-4 {
                return Err(format!("{what} by {by} at {pose:?}: {b:?} {s:?}"));
            }
        }
    }
    Ok(n)
}

fn field(fine: Raster, world: &World) -> Raster {
    fine.like(|c, row| {
        let [x, y] = fine.centre_m(c, row);
        world.height_m(x, y) as f32
    })
}

/// Not only what is accepted: every bound holds what settling finds.
#[test]
fn the_bounds_hold_every_angle_the_drop_and_the_clearance() {
    let mut n = 0;
    for (i, (cfa, slope)) in [
        (0.0, 0.0),
        (0.03, 12.0),
        (0.07, 5.0),
        (0.12, 0.0),
        (0.02, 20.0),
    ]
    .into_iter()
    .enumerate()
    {
        let seed = 100 + i as u64;
        let world = World::new(seed, cfa, slope, 12.0, 1.0);
        let fine = Raster::filled(800, 480, 0.05, [-14.0, -12.0], 0.0).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let poses = (0..2000).map(|_| {
            let (x, y) = (rng.random_range(-10.0..22.0), rng.random_range(-8.0..8.0));
            Pose2::new(x, y, rng.random_range(-3.1..3.1))
        });
        n += held(&field(fine, &world), poses).unwrap();
    }
    assert!(n > 3000, "{n}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A wheel half on a block with a flat top touches the top wherever it stands; what it may fall from shows in the
    /// ground beside it alone.
    #[test]
    fn a_wheel_on_an_edge_may_fall(
        height in 0.05f32..0.5, side in 0.3f64..1.5, x in -1.4f64..1.4, y in -1.4f64..1.4, slope in -0.2f64..0.2,
        seed in 0u64..1000,
    ) {
        let fine = Raster::filled(160, 160, 0.05, [-4.0, -4.0], 0.0).unwrap();
        let fine = fine.like(|c, r| {
            let [cx, cy] = fine.centre_m(c, r);
            let on = (cx - x).abs() < 0.5 * side && (cy - y).abs() < 0.5 * side;
            (slope * cx) as f32 + if on { height } else { 0.0 }
        });
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let poses = (0..200).map(|_| {
            let at: [f64; 3] = std::array::from_fn(|_| rng.random_range(-1.0..1.0));
            Pose2::new(at[0], at[1], 3.1 * at[2])
        });
        let found = held(&fine, poses);
        prop_assert!(found.is_ok(), "{found:?}");
    }
}

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
        let fine = field(fine, &world);
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
