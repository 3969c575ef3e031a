//! Routes over made ground.
#![allow(clippy::unwrap_used)]

mod common;

use common::{hills, mission, request, rover, site, wall};
use proptest::prelude::*;
use sojourn_core::geometry::{distance_m, in_polygon};
use sojourn_core::plan::{Plan, schema_json};
use sojourn_core::slip_forecast::{SlipForecast, SlipMemory};
use sojourn_planner::{Code, PlanError, from_xml, plan, to_xml, validate};
use std::path::Path;
use std::time::Instant;

fn sound(p: &Plan) {
    p.check("plan").unwrap();
    let c = mission();
    let mut from = [p.start.x_m, p.start.y_m];
    for w in &p.waypoints {
        let d = distance_m(from, w.xy());
        assert!(
            d >= c.segment_min_m - 1e-9 && d <= c.segment_max_m + 1e-9,
            "segment of {d} m"
        );
        for point in [from, w.xy()] {
            assert!(in_polygon(point, &w.corridor));
        }
        assert!((0.0..=1.0).contains(&w.risk) && !w.reasons.is_empty());
        from = w.xy();
    }
    assert_eq!(from, [p.goal.x_m, p.goal.y_m]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]
    #[test]
    fn plans_over_hills_keep_the_rules(
        steep in 0.1f64..1.6, phase in 0.0f64..6.0,
        sx in 10.0f64..110.0, sy in 10.0f64..110.0, gx in 10.0f64..110.0, gy in 10.0f64..110.0,
    ) {
        let site = hills(120, 1.0, steep, phase);
        let (rover, mission) = (rover(), mission());
        let r = request([sx, sy], [gx, gy]);
        match plan(&r, &site, &rover, &mission, None) {
            Ok(made) => {
                sound(&made.plan);
                let wrong = validate(&made.plan, &site, &rover, &mission).unwrap();
                prop_assert!(wrong.is_empty(), "{wrong:?}");
                let again = plan(&r, &site, &rover, &mission, None).unwrap();
                prop_assert_eq!(made.plan.digest().unwrap(), again.plan.digest().unwrap());
            }
            // Steep hills may close the way; then there is one sentence.
            Err(e) => prop_assert!(!e.to_string().contains('\n') && e.to_string().len() > 20),
        }
    }
}

#[test]
fn the_way_leads_around_the_wall() {
    let (rover, mission) = (rover(), mission());
    let made = plan(
        &request([60.0, 60.0], [140.0, 60.0]),
        &wall(120.0),
        &rover,
        &mission,
        None,
    )
    .unwrap();
    sound(&made.plan);
    assert!(made.plan.distance_m > 120.0, "{}", made.plan.distance_m);
    assert!(
        made.plan.distance_m < 1.15 * 2.0 * 40f64.hypot(66.0),
        "{}",
        made.plan.distance_m
    );
    let named = made
        .plan
        .waypoints
        .iter()
        .flat_map(|w| &w.reasons)
        .any(|r| r.contains("beside ground") && r.contains("slope of"));
    assert!(named, "the hazard is named");
    // beside it the segments are finer than in the open
    assert!((made.plan.start.yaw_rad - 1.0).abs() < 0.5);
}

#[test]
fn on_flat_ground_the_way_is_straight() {
    let (rover, mission) = (rover(), mission());
    let made = plan(
        &request([20.0, 30.0], [175.0, 141.0]),
        &site(200, 1.0, |_, _| 5.0),
        &rover,
        &mission,
        None,
    )
    .unwrap();
    sound(&made.plan);
    assert!(made.plan.distance_m < 1.002 * made.stats.straight_m);
    let n = made.plan.waypoints.len() as f64;
    assert!((made.plan.distance_m / n - 10.0).abs() < 1.2, "{n}");
    // 10 m at 80 % of 4.2 cm/s with 3 % slip, four times over
    assert!((made.plan.waypoints[3].timeout_s - 1228.0).abs() < 150.0);
}

/// What earlier drives on slopes of 10 degrees taught a rover that slipped by `slip` there.
fn learned(slip: f64) -> SlipMemory {
    let rover = rover();
    let mut drive = SlipForecast::new(rover.slip, 0.15, 0.1);
    for _ in 0..300 {
        drive.learn(-10f64.to_radians(), 1.0, None, slip);
    }
    drive.memory(&rover.name)
}

#[test]
fn slip_of_earlier_drives_counts_in_time_and_ways() {
    let (rover, mission) = (rover(), mission());
    let slope = site(100, 1.0, |x, _| 10f64.to_radians().tan() * x);
    let made = |slip: Option<SlipMemory>| {
        let r = sojourn_planner::PlanRequest {
            slip,
            ..request([20.0, 50.0], [80.0, 50.0])
        };
        plan(&r, &slope, &rover, &mission, None)
    };
    let takes_s = |p: &Plan| p.mission.as_ref().unwrap().expected_s;
    // 22 % by the rover's file.
    let [before, worse, better] = [None, Some(0.5), Some(0.14)].map(|slip| {
        let made = made(slip.map(learned)).unwrap().plan;
        sound(&made);
        assert_eq!(validate(&made, &slope, &rover, &mission).unwrap(), vec![]);
        made
    });
    // What is left of the way goes with 1 - slip.
    let share = takes_s(&worse) / takes_s(&before);
    assert!((share - 0.78 / 0.5).abs() < 0.1, "{share}");
    let share = takes_s(&better) / takes_s(&before);
    assert!((share - 0.78 / 0.86).abs() < 0.04, "{share}");
    let told = |p: &Plan| {
        p.waypoints[0]
            .reasons
            .iter()
            .any(|r| r.contains("earlier drives"))
    };
    assert!(told(&worse) && told(&better) && !told(&before));
    // Beyond the limit of 60 % there is no going, whatever the rover's file says.
    let said = refusal(made(Some(learned(0.75))));
    assert!(said.contains("slips beyond its limit"), "{said}");
    let mut other = learned(0.3);
    other.rover = "testbed".into();
    let said = refusal(made(Some(other)));
    assert!(said.contains("rover is testbed"), "{said}");
}

fn refusal(e: Result<sojourn_planner::PlanOutcome, PlanError>) -> String {
    let text = e.unwrap_err().to_string();
    assert!(!text.contains('\n'));
    text
}

#[test]
fn what_cannot_be_planned_is_said() {
    let (rover, mission) = (rover(), mission());
    let closed = wall(1000.0);
    let on = |s, g| refusal(plan(&request(s, g), &closed, &rover, &mission, None));
    let m = on([60.0, 60.0], [140.0, 60.0]);
    assert!(
        m.starts_with("goal (140.0, 60.0) cannot be reached")
            && m.contains("slope of")
            && m.contains("limit"),
        "{m}"
    );
    let m = on([60.0, 60.0], [240.0, 60.0]);
    assert!(
        m.contains("goal (240.0, 60.0) is off the map") && m.contains("200.0"),
        "{m}"
    );
    let m = on([-1.0, 60.0], [140.0, 60.0]);
    assert!(m.contains("start") && m.contains("off the map"), "{m}");
    let m = on([60.0, 60.0], [97.0, 60.0]);
    assert!(
        m.contains("goal (97.0, 60.0) lies on a slope of") && m.contains("limit 15.0°"),
        "{m}"
    );
    let m = on([2.0, 60.0], [60.0, 60.0]);
    assert!(m.contains("start") && m.contains("edge"), "{m}");
    let m = on([60.0, 60.0], [60.3, 60.3]);
    assert!(m.contains("0.42 m") && m.contains("there already"), "{m}");
    let m = on([60.0, 60.0], [61.5, 60.0]);
    assert!(
        m.contains("1.50 m") && m.contains("shortest segment"),
        "{m}"
    );
    let m = on([60.0, f64::NAN], [61.5, 60.0]);
    assert!(m.contains("start") && m.contains("NaN"), "{m}");

    let holed = site(120, 1.0, |x, y| {
        if (x - 60.0).abs() < 3.0 && (y - 60.0).abs() < 3.0 {
            f64::NAN
        } else {
            0.0
        }
    });
    let on = |s, g| refusal(plan(&request(s, g), &holed, &rover, &mission, None));
    assert!(on([20.0, 20.0], [60.0, 60.0]).contains("knows nothing"));
    assert!(on([20.0, 20.0], [66.0, 60.0]).contains("without data"));
    let made = plan(
        &request([20.0, 60.0], [100.0, 60.0]),
        &holed,
        &rover,
        &mission,
        None,
    )
    .unwrap();
    for p in made.plan.line().windows(2) {
        let d = sojourn_core::geometry::distance_to_segment_m([60.0, 60.0], p[0], p[1]);
        assert!(d > 7.0, "{d}");
    }
}

#[test]
fn keep_outs_are_kept_out_of_with_their_corridors() {
    let rover = rover();
    let mut mission = mission();
    mission.keep_out = vec![vec![
        [80.0, 20.0],
        [120.0, 20.0],
        [120.0, 110.0],
        [80.0, 110.0],
    ]];
    let flat = site(200, 1.0, |_, _| 0.0);
    let r = request([60.0, 60.0], [140.0, 60.0]);
    let made = plan(&r, &flat, &rover, &mission, None).unwrap();
    sound(&made.plan);
    assert!(
        validate(&made.plan, &flat, &rover, &mission)
            .unwrap()
            .is_empty()
    );
    assert!(made.plan.distance_m > 100.0);
    for w in &made.plan.waypoints {
        for corner in &w.corridor {
            assert!(!in_polygon(*corner, &mission.keep_out[0]), "{corner:?}");
        }
    }
    let m = refusal(plan(
        &request([60.0, 60.0], [100.0, 60.0]),
        &flat,
        &rover,
        &mission,
        None,
    ));
    assert!(m.contains("keep_out[0]"), "{m}");
    // The validator finds a keep-out that the plan was not made with.
    let free = plan(&r, &flat, &rover, &common::mission(), None).unwrap();
    let wrong = validate(&free.plan, &flat, &rover, &mission).unwrap();
    assert!(
        wrong
            .iter()
            .any(|v| v.code == Code::KeepOut && v.segment.is_some())
    );
    assert!(wrong.iter().any(|v| v.code == Code::MissionMismatch));
}

#[test]
fn the_validator_sees_what_the_planner_would_not_do() {
    let (rover, mission) = (rover(), mission());
    let ground = wall(120.0);
    let good = plan(
        &request([60.0, 60.0], [140.0, 60.0]),
        &ground,
        &rover,
        &mission,
        None,
    )
    .unwrap()
    .plan;
    assert!(
        validate(&good, &ground, &rover, &mission)
            .unwrap()
            .is_empty()
    );
    type Case = (Code, fn(&mut Plan));
    let cases: [Case; 5] = [
        (Code::LimitsLoose, |p| p.waypoints[0].limits.tilt_deg = 30.0),
        (Code::TimeoutShort, |p| p.waypoints[0].timeout_s = 10.0),
        (Code::RoverMismatch, |p| p.rover_digest = "00".into()),
        (Code::Document, |p| p.waypoints[1].x_m = f64::NAN),
        (Code::SegmentLength, |p| {
            let w = p.waypoints.remove(1);
            let from = p.waypoints[0].xy();
            p.waypoints[1].corridor =
                sojourn_core::geometry::corridor(from, p.waypoints[1].xy(), 5.0);
            p.distance_m = sojourn_core::geometry::length_m(&p.line());
            drop(w);
        }),
    ];
    for (code, spoil) in cases {
        let mut bad = good.clone();
        spoil(&mut bad);
        let wrong = validate(&bad, &ground, &rover, &mission).unwrap();
        assert!(wrong.iter().any(|v| v.code == code), "{code:?}: {wrong:?}");
    }
    // The same way over other ground is steep.
    let moved = wall(1000.0);
    let wrong = validate(&good, &moved, &rover, &mission).unwrap();
    assert!(wrong.iter().any(|v| v.code == Code::SlopeMax), "{wrong:?}");
}

#[test]
fn a_step_that_the_suspension_cannot_take_is_avoided() {
    // A step of half a metre across the way, gentle only far to the north: its mean slope is harmless.
    let (rover, mut mission) = (rover(), mission());
    mission.max_slope_deg = 24.0;
    mission.max_roughness_m = 1.0;
    let ground = site(160, 0.5, |x, y| {
        let width = 0.2 + (y - 30.0).max(0.0);
        0.45 * (1.0 / (1.0 + (-(x - 40.0) * 4.0 / width).exp()))
    });
    let made = plan(
        &request([20.0, 20.0], [60.0, 20.0]),
        &ground,
        &rover,
        &mission,
        None,
    )
    .unwrap();
    assert!(made.stats.rounds > 1, "{:?}", made.stats);
    let crossing = made
        .plan
        .line()
        .windows(2)
        .find(|w| w[0][0] < 40.0 && w[1][0] >= 40.0)
        .map(|w| {
            let t = (40.0 - w[0][0]) / (w[1][0] - w[0][0]);
            w[0][1] + t * (w[1][1] - w[0][1])
        })
        .unwrap();
    assert!(crossing > 28.0, "{crossing}");
}

#[test]
fn the_xml_says_the_same_as_the_plan() {
    let (rover, mission) = (rover(), mission());
    let mut p = plan(
        &request([60.0, 60.0], [140.0, 60.0]),
        &wall(120.0),
        &rover,
        &mission,
        None,
    )
    .unwrap()
    .plan;
    p.name = "a <drive> & \"more\"".into();
    let text = to_xml(&p).unwrap();
    assert!(text.starts_with("<?xml") && text.contains("<rml"));
    let back = from_xml(&text).unwrap();
    assert_eq!(back.digest, p.digest().unwrap());
    assert_eq!(back.name, p.name);
    assert_eq!(back.drives.len(), p.waypoints.len());
    for (d, w) in back.drives.iter().zip(&p.waypoints) {
        assert_eq!(*d, w.into());
    }
    for cut in [10, text.len() / 2, text.len() - 8] {
        assert!(from_xml(&text[..cut]).is_err());
    }
    let m = from_xml(&text.replace("timeout_s=\"", "timeout_s=\"x"))
        .unwrap_err()
        .to_string();
    assert!(m.contains("timeout_s"), "{m}");
}

proptest! {
    #[test]
    fn any_text_read_as_xml_gets_an_answer(text in "(<[a-z]{0,5}( x_m=\"[0-9a-z.]{0,4}\")?/?>|[a-z<&;\"]){0,20}") {
        prop_assert!(from_xml(&text).is_err());
    }
}

#[test]
fn a_square_kilometre_is_searched_once_and_not_twice_over() {
    let (rover, mission) = (rover(), mission());
    let ground = hills(1000, 1.0, 0.7, 0.3);
    let t = Instant::now();
    let made = plan(
        &request([22.0, 27.0], [960.0, 940.0]),
        &ground,
        &rover,
        &mission,
        None,
    )
    .unwrap();
    let s = t.elapsed().as_secs_f64();
    sound(&made.plan);
    println!("1 km x 1 km at 1 m: {s:.2} s, {:?}", made.stats);
    // Work is counted, not time: the machine may do other things at the same time.
    assert!(
        made.stats.expanded <= made.stats.cells && made.stats.rounds == 1,
        "{:?}",
        made.stats
    );
}

#[test]
fn the_yard_mission_is_right() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/mission_yard.yaml");
    let yard = sojourn_core::constraints::Constraints::load(&path).unwrap();
    assert!(yard.segment_max_m < mission().segment_max_m);
}

#[test]
fn the_committed_schema_is_that_of_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plan.schema.json");
    let committed = std::fs::read_to_string(&path).unwrap();
    assert_eq!(
        committed,
        schema_json().unwrap(),
        "plan.schema.json is stale: run `cargo run -p sojourn_planner --example write_schema`"
    );
}
