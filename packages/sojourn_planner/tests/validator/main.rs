//! The validator against a brute-force twin of its own, and against answers of every kind.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod fuzz;

use common::{brute, hills, mission, request, rover, site};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use sojourn_core::constraints::Constraints;
use sojourn_core::geometry::{Xy, corridor, length_m};
use sojourn_core::plan::Plan;
use sojourn_core::site::Site;
use sojourn_planner::plan;
use sojourn_planner::validator::{
    AnswerTask, Code, Ends, Envelope, Ground, Limits, SeenView, Task, check_answer, check_document,
    check_envelope, check_plan, local_from_map, map_from_local,
};

const START: Xy = [20.0, 30.0];
const GOAL: Xy = [80.0, 62.0];
const NW: Xy = [0.0, 100.0];

fn ground() -> Site {
    hills(100, 1.0, 0.8, 0.4)
}

fn guarded() -> Constraints {
    let mut m = mission();
    m.keep_out = vec![vec![[40.0, 20.0], [52.0, 22.0], [50.0, 36.0]]];
    m
}

fn task() -> AnswerTask {
    AnswerTask {
        task: Task {
            map_id: "made".into(),
            map_digest: "0123456789ab".into(),
            constraint_ids: vec!["max_slope_deg".into(), "length_m".into()],
            ends: Ends {
                start_m: START,
                goal_m: GOAL,
                goal_tolerance_m: 1.0,
            },
        },
        views: vec![SeenView {
            id: "v1".into(),
            centre_m: [50.0, 50.0],
            span_m: 250.0,
        }],
        claimed_wrongly_before: false,
    }
}

fn anchor(p: Xy, intent: &str) -> Value {
    let [x, y] = local_from_map(p, NW);
    json!({"x_m": x, "y_m": y, "intent": intent, "source": "own", "related_feature_ids": []})
}

/// An answer over the corners of a line.
fn answer(line: &[Xy]) -> Value {
    let last = line.len() - 1;
    let anchors: Vec<Value> = line
        .iter()
        .enumerate()
        .map(|(i, p)| {
            anchor(
                *p,
                if i == 0 {
                    "start"
                } else if i == last {
                    "goal"
                } else {
                    "transit"
                },
            )
        })
        .collect();
    json!({
        "schema_version": "1", "map_id": "made", "map_digest": "0123456789ab", "decision": "route",
        "features": [], "anchors": anchors, "claims": [], "self_critique": [], "open_questions": []
    })
}

fn feature(id: &str, class: &str, risk: u8, action: &str, outline: &[Xy]) -> Value {
    let outline: Vec<Value> = outline
        .iter()
        .map(|p| local_from_map(*p, NW))
        .map(|[x, y]| json!({"x_m": x, "y_m": y}))
        .collect();
    json!({"id": id, "terrain_class": class, "outline": outline, "risk": risk, "action": action,
           "confidence": "high", "science_value": "none", "evidence_view_ids": ["v1"], "note": "seen"})
}

fn square(c: Xy, half: f64) -> Vec<Xy> {
    vec![
        [c[0] - half, c[1] - half],
        [c[0] + half, c[1] - half],
        [c[0] + half, c[1] + half],
        [c[0] - half, c[1] + half],
    ]
}

/// A route that the planner made, as a line.
fn good_line(site: &Site, mission: &Constraints) -> Vec<Xy> {
    plan(&request(START, GOAL), site, &rover(), mission, None)
        .unwrap()
        .plan
        .line()
}

fn codes(text: &str, task: &AnswerTask, site: &Site, mission: &Constraints) -> Vec<Code> {
    let (rover, limits) = (rover(), Limits::shipped().unwrap());
    let ground = Ground::new(site, &rover, mission, &limits).unwrap();
    let (verdict, accepted) = check_answer(text, task, &ground).unwrap();
    assert_eq!(accepted.is_some(), verdict.ok && verdict.measures.is_some());
    verdict.violations.iter().map(|v| v.code).collect()
}

#[test]
fn each_rule_of_an_answer_is_kept() {
    let (site, mission) = (ground(), guarded());
    let line = good_line(&site, &mission);
    let good = answer(&line);
    let say = |v: &Value| codes(&v.to_string(), &task(), &site, &mission);
    assert!(
        say(&good)
            .iter()
            .all(|c| matches!(c, Code::ClaimMissing | Code::ShiftFails | Code::JitterFails)),
        "{:?}",
        say(&good)
    );
    let middle = line[line.len() / 2];
    type Case = (Code, Box<dyn Fn(&mut Value)>);
    let case = |code: Code, f: Box<dyn Fn(&mut Value)>| -> Case { (code, f) };
    let cases: Vec<Case> = vec![
        case(Code::Schema, Box::new(|v| v["colour"] = json!(1))),
        case(Code::Schema, Box::new(|v| v["decision"] = json!("maybe"))),
        case(
            Code::NumberRange,
            Box::new(|v| v["anchors"][0]["x_m"] = json!(1e308)),
        ),
        case(Code::ListBounds, Box::new(|v| v["anchors"] = json!([]))),
        case(
            Code::MapMismatch,
            Box::new(|v| v["map_id"] = json!("other")),
        ),
        case(
            Code::MapMismatch,
            Box::new(|v| v["map_digest"] = json!("000000000000")),
        ),
        case(
            Code::SchemaVersion,
            Box::new(|v| v["schema_version"] = json!("2")),
        ),
        case(
            Code::UnknownFeature,
            Box::new(|v| v["anchors"][0]["related_feature_ids"] = json!(["F9"])),
        ),
        case(
            Code::OutOfMap,
            Box::new(|v| v["anchors"][1]["x_m"] = json!(-3.0)),
        ),
        case(
            Code::StartOff,
            Box::new(|v| v["anchors"][0]["y_m"] = json!(75.0)),
        ),
        case(
            Code::GoalOff,
            Box::new(|v| {
                v["anchors"].as_array_mut().unwrap().pop();
            }),
        ),
        case(
            Code::Backtrack,
            Box::new(|v| {
                let list = v["anchors"].as_array_mut().unwrap();
                let first = list[0].clone();
                list.insert(2, first);
            }),
        ),
        case(
            Code::Backtrack,
            Box::new(|v| {
                let list = v["anchors"].as_array_mut().unwrap();
                let again = list[1].clone();
                list.insert(2, again);
            }),
        ),
        case(
            Code::KeepOut,
            Box::new(|v| {
                v["anchors"] = json!([
                    anchor(START, "start"),
                    anchor([47.0, 28.0], "transit"),
                    anchor(GOAL, "goal")
                ]);
            }),
        ),
        case(
            Code::AvoidCrossed,
            Box::new(move |v| {
                v["features"] = json!([feature(
                    "F1",
                    "SAND_RIPPLES",
                    3,
                    "Avoid",
                    &square(middle, 4.0)
                )]);
            }),
        ),
        case(
            Code::AvoidCrossed,
            Box::new(move |v| {
                v["features"] = json!([feature(
                    "F1",
                    "loose_soil",
                    5,
                    "drive",
                    &square(middle, 4.0)
                )]);
            }),
        ),
        case(
            Code::Risk4Crossed,
            Box::new(move |v| {
                v["features"] = json!([feature(
                    "F1",
                    "loose_soil",
                    4,
                    "drive",
                    &square(middle, 4.0)
                )]);
            }),
        ),
        case(
            Code::OutlineInvalid,
            Box::new(move |v| {
                let s = square([70.0, 30.0], 5.0);
                v["features"] = json!([feature(
                    "F1",
                    "outcrop",
                    1,
                    "drive",
                    &[s[0], s[2], s[1], s[3]]
                )]);
            }),
        ),
        case(
            Code::OutlineInvalid,
            Box::new(move |v| {
                v["features"] = json!([feature(
                    "F1",
                    "outcrop",
                    1,
                    "drive",
                    &square([50.0, 50.0], 40.0)
                )]);
            }),
        ),
        case(
            Code::UnknownView,
            Box::new(move |v| {
                v["features"] = json!([feature(
                    "F1",
                    "outcrop",
                    1,
                    "drive",
                    &square([70.0, 30.0], 5.0)
                )]);
                v["features"][0]["evidence_view_ids"] = json!(["v7"]);
            }),
        ),
        case(
            Code::DuplicateFeature,
            Box::new(move |v| {
                let f = feature("F1", "outcrop", 1, "drive", &square([70.0, 30.0], 5.0));
                v["features"] = json!([f, f]);
            }),
        ),
        case(
            Code::ListBounds,
            Box::new(move |v| {
                v["features"] = json!([feature(
                    "F1",
                    "outcrop",
                    9,
                    "drive",
                    &square([70.0, 30.0], 5.0)
                )]);
            }),
        ),
        case(
            Code::ClaimMismatch,
            Box::new(|v| {
                v["claims"] = json!([{"constraint_id": "length_m", "worst_value": 5.0, "unit": "m", "at": {"x_m": 0.0, "y_m": 0.0}}]);
            }),
        ),
    ];
    for (code, spoil) in cases {
        let mut bad = good.clone();
        spoil(&mut bad);
        let found = say(&bad);
        assert!(found.contains(&code), "{code:?}: {found:?}");
    }
    // A claim that is wrong again refuses the answer.
    let mut claimed = good.clone();
    claimed["claims"] = json!([{"constraint_id": "max_slope_deg", "worst_value": 0.0, "unit": "deg", "at": {"x_m": 0.0, "y_m": 0.0}}]);
    let (rover, limits) = (rover(), Limits::shipped().unwrap());
    let ground = Ground::new(&site, &rover, &mission, &limits).unwrap();
    for (before, passes) in [(false, true), (true, false)] {
        let mut task = task();
        task.claimed_wrongly_before = before;
        let (verdict, accepted) = check_answer(&claimed.to_string(), &task, &ground).unwrap();
        assert_eq!((verdict.ok, accepted.is_some()), (passes, passes));
    }
    // Ground that no close view has shown is told.
    let mut blind = task();
    blind.views[0].span_m = 1000.0;
    assert!(codes(&good.to_string(), &blind, &site, &mission).contains(&Code::Unseen));
}

#[test]
fn an_envelope_that_is_not_whole_is_refused() {
    let limits = Limits::shipped().unwrap();
    let good = Envelope {
        stop_reason: "end_turn".into(),
        complete: true,
        model_asked: "some-model".into(),
        model_echo: "some-model-20260101".into(),
        prompt_tokens: 900,
        prompt_tokens_estimated: 1000,
        overspent: vec![],
    };
    assert!(check_envelope(&good, &limits).is_empty());
    type Case = (Code, fn(&mut Envelope));
    let cases: [Case; 6] = [
        (Code::StopReason, |e| e.stop_reason = "max_tokens".into()),
        (Code::StopReason, |e| e.stop_reason = "something_new".into()),
        (Code::StreamIncomplete, |e| e.complete = false),
        (Code::ModelEcho, |e| e.model_echo = "other".into()),
        (Code::PromptTokensLow, |e| e.prompt_tokens = 300),
        (Code::BudgetExceeded, |e| {
            e.overspent = vec!["25 requests, at most 24".into()]
        }),
    ];
    for (code, spoil) in cases {
        let mut bad = good.clone();
        spoil(&mut bad);
        let found = check_envelope(&bad, &limits);
        assert!(
            found.len() == 1 && found[0].code == code && found[0].hard,
            "{found:?}"
        );
    }
}

#[test]
fn documents_from_anywhere_get_a_verdict() {
    let limits = Limits::shipped().unwrap();
    let made = plan(&request(START, GOAL), &ground(), &rover(), &mission(), None).unwrap();
    let text = serde_json::to_string(&made.plan).unwrap();
    let (read, verdict) = check_document(&text, &limits).unwrap();
    assert_eq!(read, Some(made.plan.clone()));
    assert!(verdict.ok && verdict.not_checked.len() == 7);
    let mut long = made.plan.clone();
    long.waypoints.remove(2);
    long.waypoints[2].corridor = corridor(long.waypoints[1].xy(), long.waypoints[2].xy(), 30.0);
    long.waypoints.remove(1);
    long.waypoints[1].corridor = corridor(long.waypoints[0].xy(), long.waypoints[1].xy(), 30.0);
    long.distance_m = length_m(&long.line());
    let depth = format!("{}{}", "[".repeat(60), "]".repeat(60));
    for (code, text) in [
        (Code::NotJson, "plan".to_string()),
        (Code::NotJson, text[..text.len() - 5].to_string()),
        (Code::TooDeep, depth),
        (Code::Schema, "{}".into()),
        (Code::Schema, text.replacen("\"seed\"", "\"sead\"", 1)),
        (
            Code::NumberRange,
            text.replacen("\"seed\":7", "\"seed\":1e300", 1),
        ),
        (
            Code::Document,
            text.replacen("\"distance_m\":", "\"distance_m\":1", 1),
        ),
        (Code::SegmentLength, serde_json::to_string(&long).unwrap()),
    ] {
        let (_, verdict) = check_document(&text, &limits).unwrap();
        assert!(
            !verdict.ok && verdict.violations.iter().any(|v| v.code == code),
            "{code:?}: {:?}",
            verdict.violations
        );
    }
}

#[test]
fn missions_with_zones_and_a_time_are_kept() {
    let flat = site(120, 1.0, |_, _| 0.0);
    let mut m = mission();
    m.keep_in = vec![vec![
        [10.0, 10.0],
        [110.0, 10.0],
        [110.0, 50.0],
        [90.0, 50.0],
        [90.0, 30.0],
        [30.0, 30.0],
        [30.0, 50.0],
        [10.0, 50.0],
    ]];
    let r = request([20.0, 42.0], [100.0, 42.0]);
    let made = plan(&r, &flat, &rover(), &m, None).unwrap();
    // Around the bay, not across it.
    assert!(made.plan.distance_m > 85.0 && made.plan.line().iter().any(|p| p[1] < 30.0));
    let (rover, limits) = (rover(), Limits::shipped().unwrap());
    let straight = plan(&r, &flat, &rover, &mission(), None).unwrap().plan;
    let ground = Ground::new(&flat, &rover, &m, &limits).unwrap();
    let found = check_plan(&straight, &ground).unwrap();
    assert!(
        found.violations.iter().any(|v| v.code == Code::KeepIn),
        "{found:?}"
    );
    let mut hurried = m.clone();
    hurried.max_drive_s = Some(60.0);
    let refusal = plan(&r, &flat, &rover, &hurried, None)
        .unwrap_err()
        .to_string();
    assert!(refusal.contains("max_drive_s"), "{refusal}");
}
