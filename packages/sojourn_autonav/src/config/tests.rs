//! Tests of the configuration, and what other tests make theirs of.

use super::*;
use std::path::{Path, PathBuf};

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub(crate) fn rover(name: &str) -> Rover {
    Rover::load(&root().join(format!("config/rovers/{name}.yaml"))).unwrap()
}

pub(crate) fn params() -> AutoNavParams {
    sojourn_core::params::load_node_params(&root().join("config/autonav.param.yaml"), "autonav")
        .unwrap()
}

#[test]
fn the_shipped_file_serves_both_rovers() {
    let c = Config::new(&params(), &rover("perseverance")).unwrap();
    assert!((c.arc_length_m - 3.0).abs() < 0.1 && c.samples_per_arc == 12);
    assert_eq!(c.curvatures_per_m.len(), 11);
    assert_eq!(c.turns_rad.len(), 14);
    assert!(c.curvatures_per_m[5] == 0.0);
    let t = Config::new(&params(), &rover("testbed")).unwrap();
    assert!(t.arc_length_m < 1.0 && t.commit_m < 0.3);
}

#[test]
fn autonav_leaves_the_guard_room() {
    let guard: crate::guard::GuardParams =
        sojourn_core::params::load_node_params(&root().join("config/guard.param.yaml"), "guard")
            .unwrap();
    assert!(params().tilt_out_share < guard.tilt_share);
    assert!(params().suspension_hold_share < guard.suspension_share);
}

#[test]
fn wrong_values_are_named() {
    let r = rover("perseverance");
    let mut p = params();
    p.limit_share = f64::NAN;
    let e = Config::new(&p, &r).unwrap_err().to_string();
    assert!(e.contains("limit_share") && e.contains("NaN"), "{e}");
    let mut p = params();
    p.commit_footprints = 2.0;
    let e = Config::new(&p, &r).unwrap_err().to_string();
    assert!(e.contains("commit_footprints"), "{e}");
    let mut p = params();
    p.curvatures = 10;
    assert!(Config::new(&p, &r).unwrap_err().to_string().contains("odd"));
    let mut p = params();
    p.hold_share = 0.5;
    assert!(
        Config::new(&p, &r)
            .unwrap_err()
            .to_string()
            .contains("hold_share")
    );
    let mut p = params();
    p.tilt_out_share = 0.93;
    let e = Config::new(&p, &r).unwrap_err().to_string();
    assert!(e.contains("tilt_out_share is 0.93"), "{e}");
}
