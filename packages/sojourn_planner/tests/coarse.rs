//! Plans over a fine map that lies in a coarse one.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{mission, request, rover, site};
use sojourn_core::raster::Raster;
use sojourn_core::site::{ELEVATION, ROUGHNESS_LEAST, SLOPE_MORE, Site};
use sojourn_planner::validator::{Ground, Limits, check_plan};
use sojourn_planner::{Code, plan};

/// Flat ground of 300 m, the fine map in the middle 160 m of it.
fn nested(more_deg: f64, least_m: f64) -> Site {
    let mut site = site(300, 1.0, |_, _| 0.0);
    let elevation: Raster = site.layers[ELEVATION].clone();
    let fine = |v: f64| (70.0..230.0).contains(&v);
    let of = |worth: f64| {
        elevation.like(|c, r| {
            let [x, y] = elevation.centre_m(c, r);
            if fine(x) && fine(y) {
                0.0
            } else {
                worth as f32
            }
        })
    };
    let (more, least) = (of(more_deg), of(least_m));
    site.put(SLOPE_MORE, more, "deg", "formula");
    site.put(ROUGHNESS_LEAST, least, "m", "formula");
    site
}

#[test]
fn segments_on_the_coarse_map_say_so_and_cost_more() {
    let site = nested(4.0, 0.06);
    let ends = request([90.0, 150.0], [280.0, 150.0]);
    let made = plan(&ends, &site, &rover(), &mission(), None).unwrap();
    let told = |r: &str| r.contains("coarse map");
    let mut on_m = 0.0;
    let mut from = 90.0;
    for w in &made.plan.waypoints {
        let (lo, hi): (f64, f64) = (from, w.x_m);
        let expected = (hi - lo.max(230.0)).max(0.0);
        let reason = w.reasons.iter().find(|r| told(r));
        assert_eq!(reason.is_some(), expected > 0.0, "{lo} to {hi}");
        if let Some(reason) = reason {
            assert!(
                reason.contains("4.0° steeper") && reason.contains("0.06 m"),
                "{reason}"
            );
        }
        on_m += expected;
        from = hi;
    }
    assert!(on_m > 40.0);
    let flag = made
        .verdict
        .violations
        .iter()
        .find(|v| v.code == Code::CoarseGround);
    let flag = flag.unwrap();
    assert!(!flag.hard && (flag.measured.unwrap() - on_m).abs() < 2.0);
    // A way that stays on the fine map is told nothing of the other.
    let inside = request([90.0, 150.0], [200.0, 150.0]);
    let fine = plan(&inside, &site, &rover(), &mission(), None).unwrap();
    assert!(
        !fine
            .plan
            .waypoints
            .iter()
            .flat_map(|w| &w.reasons)
            .any(|r| told(r))
    );
    let coarse = |v: &sojourn_planner::Violation| v.code == Code::CoarseGround;
    assert!(!fine.verdict.violations.iter().any(coarse));
    // Round a ridge of doubt the fine map is worth a detour.
    let across = request([40.0, 20.0], [260.0, 20.0]);
    let bare = plan(
        &across,
        &common::site(300, 1.0, |_, _| 0.0),
        &rover(),
        &mission(),
        None,
    );
    let doubtful = plan(&across, &nested(12.0, 0.1), &rover(), &mission(), None).unwrap();
    assert!(doubtful.plan.distance_m > bare.unwrap().plan.distance_m + 20.0);
}

#[test]
fn doubt_closes_ground_and_never_opens_any() {
    let (rover, mission) = (rover(), mission());
    // Steeper by more than the mission allows: nobody drives on the coarse map, and the validator refuses a plan that does.
    let closed = nested(40.0, 0.0);
    let ends = request([90.0, 150.0], [280.0, 150.0]);
    let said = plan(&ends, &closed, &rover, &mission, None).unwrap_err();
    assert!(said.to_string().contains("goal"), "{said}");
    let bare = site(300, 1.0, |_, _| 0.0);
    let mut made = plan(&ends, &bare, &rover, &mission, None).unwrap().plan;
    let digest = closed.terrain_digest().unwrap();
    assert_ne!(made.site_digest, digest, "doubt belongs to the ground");
    made.site_digest = digest;
    let limits = Limits::shipped().unwrap();
    let ground = Ground::new(&closed, &rover, &mission, &limits).unwrap();
    let verdict = check_plan(&made, &ground).unwrap();
    assert!(verdict.hard().any(|v| v.code == Code::SlopeMax));
    // Doubt that would make ground easier does nothing.
    let mut odd = nested(4.0, 0.05);
    let less = odd.layers[SLOPE_MORE].like(|_, _| -30.0);
    odd.put(SLOPE_MORE, less, "deg", "formula");
    let steep = |site: &mut Site| {
        let slope = site.layers[ELEVATION].like(|c, _| 0.9 * c as f32);
        site.put(ELEVATION, slope, "m", "formula");
    };
    steep(&mut odd);
    assert!(plan(&ends, &odd, &rover, &mission, None).is_err());
}
