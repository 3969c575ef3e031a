//! What a mission's file asks for reaches the plan: stops, clearance, time and energy, the age of the map.
#![allow(clippy::unwrap_used)]

mod common;

use common::{hills, mission, request, rover, site, wall};
use proptest::prelude::*;
use sojourn_core::constraints::{Constraints, EnergyBudget, Stop};
use sojourn_core::freshness::{Freshness, LayerRule};
use sojourn_core::geometry::{Xy, distance_m, length_m};
use sojourn_core::plan::Plan;
use sojourn_core::site::{ELEVATION, Site};
use sojourn_planner::validator::{Ground, Limits, Verdict, check_plan};
use sojourn_planner::{Code, plan};
use std::collections::BTreeMap;

const START: Xy = [20.0, 20.0];
const GOAL: Xy = [80.0, 30.0];

fn stop(name: &str, at_m: Xy) -> Stop {
    Stop {
        name: name.into(),
        at_m,
        tolerance_m: 1.0,
    }
}

fn judged(plan: &Plan, site: &Site, mission: &Constraints) -> Verdict {
    let (rover, limits) = (rover(), Limits::shipped().unwrap());
    let ground = Ground::new(site, &rover, mission, &limits).unwrap();
    check_plan(plan, &ground).unwrap()
}

fn has(verdict: &Verdict, code: Code, hard: bool) -> bool {
    verdict
        .violations
        .iter()
        .any(|v| v.code == code && v.hard == hard)
}

fn freshness(expiry: &str, refuse: bool) -> Freshness {
    Freshness {
        day: "2026-11-22".into(),
        stale_weight: 3.0,
        layers: BTreeMap::from([(
            ELEVATION.to_string(),
            LayerRule {
                date: Some("2020-01-01".into()),
                expiry: Some(expiry.into()),
                max_age_days: None,
                refuse,
            },
        )]),
    }
}

#[test]
fn the_way_leads_over_the_stops_in_their_order() {
    let ground = hills(100, 1.0, 0.3, 0.4);
    let mut m = mission();
    m.stops = vec![stop("far", [70.0, 75.0]), stop("near", [30.0, 60.0])];
    let made = plan(&request(START, GOAL), &ground, &rover(), &m, None).unwrap();
    assert!(made.verdict.ok);
    let at = |p: Xy| {
        made.plan
            .waypoints
            .iter()
            .position(|w| distance_m(w.xy(), p) < 1e-6)
            .unwrap()
    };
    assert!(at([70.0, 75.0]) < at([30.0, 60.0]));
    let far = &made.plan.waypoints[at([70.0, 75.0])];
    assert!(far.reasons[0].contains("far"), "{:?}", far.reasons);
    let told = made.plan.mission.as_ref().unwrap();
    assert_eq!(told.stops, m.stops);
    // A plan that leaves them out, or takes them in the other order, is refused.
    let direct = plan(&request(START, GOAL), &ground, &rover(), &mission(), None).unwrap();
    assert!(has(
        &judged(&direct.plan, &ground, &m),
        Code::StopMissed,
        true
    ));
    m.stops.reverse();
    assert!(has(
        &judged(&made.plan, &ground, &m),
        Code::StopMissed,
        true
    ));
}

#[test]
fn a_stop_that_cannot_be_used_is_named() {
    let ground = wall(200.0);
    let mut m = mission();
    for (at, word) in [
        ([100.0, 60.0], "stop (100.0, 60.0)"),
        ([400.0, 60.0], "off the map"),
        ([21.0, 20.0], "stop lies 1.00 m from the start"),
    ] {
        m.stops = vec![stop("s", at)];
        let e = plan(&request(START, [60.0, 60.0]), &ground, &rover(), &m, None).unwrap_err();
        assert!(e.to_string().contains(word), "{e}");
    }
}

#[test]
fn other_ends_than_the_missions_are_flagged_and_energy_is_a_limit() {
    let ground = site(100, 1.0, |_, _| 0.0);
    let mut m = mission();
    (m.start_m, m.goal_m) = (Some(START), Some([60.0, 60.0]));
    m.energy = Some(EnergyBudget {
        most_wh: 1e4,
        driving_w: 300.0,
    });
    let made = plan(&request(START, GOAL), &ground, &rover(), &m, None).unwrap();
    assert!(made.verdict.ok && has(&made.verdict, Code::MissionEnds, false));
    let told = made.plan.mission.as_ref().unwrap();
    let wh = told.expected_wh.unwrap();
    assert!((wh - 300.0 * told.expected_s / 3600.0).abs() < 0.1);
    let quickest_s = length_m(&made.plan.line()) / rover().drive.cruise_mps;
    assert!(told.expected_s > quickest_s);
    m.energy = Some(EnergyBudget {
        most_wh: 0.9 * wh,
        driving_w: 300.0,
    });
    let e = plan(&request(START, GOAL), &ground, &rover(), &m, None).unwrap_err();
    assert!(e.to_string().contains("energy.most_wh"), "{e}");
    // A plan cannot talk its energy down with short time-outs.
    let mut hasty = made.plan.clone();
    for w in &mut hasty.waypoints {
        w.timeout_s = 0.2;
    }
    m.energy = Some(EnergyBudget {
        most_wh: 0.9 * 300.0 * quickest_s / 3600.0,
        driving_w: 300.0,
    });
    assert!(has(&judged(&hasty, &ground, &m), Code::DriveEnergy, true));
}

#[test]
fn a_stale_map_is_said_costs_more_and_may_be_refused() {
    // A gentle rise that a rover crosses when the map is fresh, and level ground around it.
    let ground = site(120, 1.0, |x, y| {
        1.6 * (-((x - 60.0).powi(2) / 200.0 + (y - 60.0).powi(2) / 300.0)).exp()
    });
    let (start, goal) = ([20.0, 60.0], [100.0, 60.0]);
    let made = |freshness: Option<Freshness>| {
        let mut m = mission();
        m.freshness = freshness;
        plan(&request(start, goal), &ground, &rover(), &m, None)
    };
    let plain = made(None).unwrap();
    let fresh = made(Some(freshness("2030-01-01", true))).unwrap();
    let stale = made(Some(freshness("2026-11-21", false))).unwrap();
    assert_eq!(fresh.plan.waypoints, plain.plan.waypoints);
    assert!(!has(&fresh.verdict, Code::LayerStale, false));
    assert!(has(&stale.verdict, Code::LayerStale, false) && stale.verdict.ok);
    let age = &stale.plan.mission.as_ref().unwrap().layers[0];
    assert!(age.stale && age.age_days == Some(2517), "{age:?}");
    // Slopes of a stale map are dearer: the way keeps off the rise for longer.
    assert!(stale.plan.distance_m > fresh.plan.distance_m + 0.05);
    let refused = made(Some(freshness("2026-11-21", true))).unwrap_err();
    assert!(refused.to_string().contains("2026-11-21"), "{refused}");
    let mut m = mission();
    m.freshness = Some(freshness("2026-11-21", true));
    assert!(has(
        &judged(&plain.plan, &ground, &m),
        Code::LayerStale,
        true
    ));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever the ground: no point of a plan is nearer to forbidden ground than the mission's clearance, and a plan
    /// made without it is refused exactly when it comes nearer.
    #[test]
    fn plans_keep_the_missions_clearance(steep in 0.5f64..1.2, phase in 0.0f64..6.0, clear in 1.0f64..5.0) {
        let (ground, mut m, rover) = (hills(100, 1.0, steep, phase), mission(), rover());
        let bare = plan(&request(START, GOAL), &ground, &rover, &m, None);
        m.clearance_m = Some(clear);
        let (slope, rough) = sojourn_core::terrain::slope_roughness(ground.elevation().unwrap(), rover.footprint_radius_m());
        let nearest = |line: &[Xy], limit: f64| {
            let mut best = f64::INFINITY;
            for w in line.windows(2) {
                for k in 0..=40 {
                    let t = f64::from(k) / 40.0;
                    let p = [w[0][0] + t * (w[1][0] - w[0][0]), w[0][1] + t * (w[1][1] - w[0][1])];
                    for (i, s) in slope.data().iter().enumerate() {
                        if f64::from(*s) > limit || f64::from(rough.data()[i]) > m.max_roughness_m {
                            best = best.min(distance_m(p, slope.centre_m(i % slope.cols(), i / slope.cols())));
                        }
                    }
                }
            }
            best
        };
        // Tilt and slip of this rover allow more than the mission's slope.
        let limit = m.max_slope_deg;
        if let Ok(made) = plan(&request(START, GOAL), &ground, &rover, &m, None) {
            prop_assert!(made.verdict.ok);
            prop_assert!(nearest(&made.plan.line(), limit) >= clear - 1e-6);
        }
        if let Ok(bare) = bare {
            let d = nearest(&bare.plan.line(), limit);
            let refused = has(&judged(&bare.plan, &ground, &m), Code::Clearance, true);
            // Points of the two samplings lie a few centimetres apart.
            prop_assert!(d < clear + 0.3 || !refused);
            prop_assert!(d > clear - 0.3 || refused);
        }
    }
}
