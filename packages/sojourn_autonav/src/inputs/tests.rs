//! The map that a planner is given.

use super::*;
use crate::config::{
    PlannerKind,
    tests::{params, rover},
};
use sojourn_core::raster::Raster;

/// Ground whose cells span 20 cm.
fn given(planner: PlannerKind) -> Ground {
    let r = rover("perseverance");
    let config = Config {
        planner,
        ..Config::new(&params(), &r).unwrap()
    };
    let mean = Raster::filled(120, 120, 0.1, [-6.0, -6.0], 0.0).unwrap();
    let layers = TerrainLayers {
        low: Some(mean.like(|_, _| -0.1)),
        high: Some(mean.like(|_, _| 0.1)),
        ..TerrainLayers::of(mean)
    };
    let mut inputs = Inputs::new(&config, &r);
    let (now, pose) = (
        Stamp::from_secs(1.0),
        Transform::from_xyz_rpy([0.0; 3], 0.0, 0.0, 0.0),
    );
    inputs.take_pose(now, pose, 1.0);
    inputs.take_grid(now, layers);
    inputs.fuse(&config, &r);
    inputs.ground.unwrap()
}

#[test]
fn the_baselines_of_flight_know_one_height_a_cell_and_the_others_what_it_spans() {
    let ends = |g: &Ground| [&g.low, &g.high].map(|l| l.nearest(3.0, 0.0).unwrap());
    for kind in [PlannerKind::EnavLike, PlannerKind::AceGravity] {
        assert_eq!(ends(&given(kind)), [0.0, 0.0], "{kind:?}");
    }
    for kind in [PlannerKind::Tiered, PlannerKind::StraightGuarded] {
        let [low, high] = ends(&given(kind));
        assert!(low <= -0.1 && high >= 0.1, "{kind:?}: {low} {high}");
    }
}
