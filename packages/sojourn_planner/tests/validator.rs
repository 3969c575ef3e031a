//! The validator against a brute-force twin of its own, and against answers of every kind.
#![allow(clippy::unwrap_used)]

mod common;

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

/// A random change of an answer; most leave it well-formed.
fn mutate(v: &mut Value, rng: &mut ChaCha8Rng) {
    let anchors = v["anchors"].as_array().map_or(0, Vec::len);
    let at = |rng: &mut ChaCha8Rng| rng.random_range(0..anchors.max(1));
    let spot =
        |rng: &mut ChaCha8Rng| [rng.random_range(-5.0..105.0), rng.random_range(-5.0..105.0)];
    match rng.random_range(0..14) {
        0..=3 => {
            let (i, far) = (at(rng), [0.3, 2.0, 8.0, 40.0][rng.random_range(0..4)]);
            for key in ["x_m", "y_m"] {
                let was = v["anchors"][i][key].as_f64().unwrap_or(0.0);
                v["anchors"][i][key] = json!(was + rng.random_range(-far..far));
            }
        }
        4 if anchors > 2 => {
            let i = at(rng);
            v["anchors"].as_array_mut().unwrap().remove(i);
        }
        5 => {
            let (i, p) = (at(rng), spot(rng));
            if let Some(list) = v["anchors"].as_array_mut() {
                list.insert(i.min(list.len()), anchor(p, "transit"));
            }
        }
        6..=8 => {
            let class = [
                "bedrock",
                "SAND_RIPPLES",
                "loose_soil",
                "boulder_field",
                "lava",
            ][rng.random_range(0..5)];
            let action = ["drive", "avoid", "skirt", "Inspect"][rng.random_range(0..4)];
            let (risk, half) = (rng.random_range(0..7), rng.random_range(-1.0..20.0));
            let c = spot(rng);
            let id = format!("F{}", rng.random_range(0..4));
            if let Some(list) = v["features"].as_array_mut() {
                list.push(feature(&id, class, risk, action, &square(c, half)));
            }
        }
        9 => {
            let key =
                ["map_id", "decision", "schema_version", "map_digest"][rng.random_range(0..4)];
            v[key] = json!(["made", "ROUTE", "1", "no_safe_route", "x"][rng.random_range(0..5)]);
        }
        10 => {
            v["anchors"][at(rng)]["intent"] =
                json!(["cross_rough", "goal", "fly"][rng.random_range(0..3)])
        }
        11 => {
            v["anchors"][at(rng)]["x_m"] = [
                json!(1e300),
                json!(-0.0),
                json!(null),
                json!("4"),
                json!(99999.0),
            ][rng.random_range(0..5)]
            .clone()
        }
        12 => {
            let list = v["anchors"].as_array().cloned().unwrap_or_default();
            v["anchors"] = list.into_iter().rev().collect();
        }
        _ => v["note"] = json!("ignore all limits"),
    }
}

#[test]
fn no_fuzzed_answer_that_breaks_a_hard_rule_gets_out() {
    let count = std::env::var("SOJOURN_FUZZ")
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(if cfg!(feature = "all") {
            100_000
        } else {
            2_000
        });
    let (site, mission, rover, limits) = (ground(), guarded(), rover(), Limits::shipped().unwrap());
    let ground = Ground::new(&site, &rover, &mission, &limits).unwrap();
    let twin = brute::Twin::new(&site, &rover, &mission);
    let (line, task) = (good_line(&site, &mission), task());
    let base = answer(&line);
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let (mut reached, mut accepted) = (0usize, 0usize);
    for round in 0..count {
        let mut v = base.clone();
        for _ in 0..rng.random_range(0..4) {
            mutate(&mut v, &mut rng);
        }
        let mut text = v.to_string();
        if rng.random_range(0..10) == 0 {
            // Bytes turn over and ends go missing.
            let mut bytes = text.into_bytes();
            let i = rng.random_range(0..bytes.len());
            bytes[i] = rng.random_range(32..127);
            bytes.truncate(rng.random_range(i..=bytes.len()));
            text = String::from_utf8(bytes).unwrap_or_default();
        }
        let (verdict, taken) = check_answer(&text, &task, &ground).unwrap();
        reached += usize::from(verdict.measures.is_some());
        if let Some(taken) = taken {
            accepted += 1;
            let avoid: Vec<Vec<Xy>> = taken
                .answer
                .features
                .iter()
                .filter(|f| f.forbids())
                .map(|f| {
                    f.outline
                        .iter()
                        .map(|p| map_from_local(p.xy(), NW))
                        .collect()
                })
                .collect();
            if let Some(wrong) = twin.fault(&taken.line, START, GOAL, &avoid) {
                panic!("answer {round} got out although {wrong}: {text}");
            }
        }
    }
    println!("{count} answers, {reached} reached the geometry, {accepted} accepted");
    assert!(
        reached * 10 >= count * 3 && accepted * 50 >= count,
        "{reached} {accepted}"
    );
}

fn arbitrary_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(|v| json!(v)),
        "[a-z_0-9]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec(
                (
                    prop_oneof![
                        Just("anchors".to_string()),
                        Just("features".to_string()),
                        Just("x_m".to_string()),
                        "[a-z_]{1,8}"
                    ],
                    inner
                ),
                0..6
            )
            .prop_map(|l| Value::Object(l.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_json_gets_an_answer(v in arbitrary_json(), text in ".{0,80}") {
        let (site, mission) = (site(30, 1.0, |_, _| 0.0), mission());
        for text in [v.to_string(), text] {
            prop_assert!(!codes(&text, &task(), &site, &mission).is_empty());
            prop_assert!(!check_document(&text, &Limits::shipped().unwrap()).unwrap().1.ok);
        }
    }

    /// What is refused stays refused when a hazard more is known, and raising a risk refuses no less.
    #[test]
    fn a_hazard_more_never_helps(
        bend in proptest::collection::vec((-14.0f64..14.0, 0.1f64..0.9), 0..3),
        c in (15.0f64..85.0, 15.0f64..85.0),
        half in 1.0f64..8.0,
        risk in 1u8..5,
    ) {
        let (site, mission) = (ground(), guarded());
        let mut line = vec![START];
        let mut bend = bend;
        bend.sort_by(|a, b| a.1.total_cmp(&b.1));
        line.extend(bend.iter().map(|(off, t)| [START[0] + t * 60.0 - 0.47 * off, START[1] + t * 32.0 + 0.88 * off]));
        line.push(GOAL);
        let hard = |v: &Value, mission: &Constraints| {
            let (rover, limits) = (rover(), Limits::shipped().unwrap());
            let ground = Ground::new(&site, &rover, mission, &limits).unwrap();
            check_answer(&v.to_string(), &task(), &ground).unwrap().0.hard().count()
        };
        let mut with = answer(&line);
        let square = square([c.0, c.1], half);
        let plain = hard(&with, &mission);
        with["features"] = json!([feature("F1", "loose_soil", risk, "drive", &square)]);
        let labelled = hard(&with, &mission);
        with["features"][0]["risk"] = json!(risk + 1);
        let worse = hard(&with, &mission);
        prop_assert!((plain == 0 || labelled > 0) && (labelled == 0 || worse > 0));
        let mut closed = mission.clone();
        closed.keep_out.push(square);
        prop_assert!(plain == 0 || hard(&answer(&line), &closed) > 0);
    }

    /// The verdict belongs to the ground and the route, not to where the origin is or which way one drives.
    #[test]
    fn the_verdict_moves_with_the_map_and_holds_backwards(
        dx in -50i32..50, dy in -50i32..50, off in -10.0f64..10.0,
    ) {
        let shift = [f64::from(dx), f64::from(dy)];
        let (rover, limits) = (rover(), Limits::shipped().unwrap());
        let mission = mission();
        let at = |site: &Site, shift: Xy, backwards: bool| {
            let ground = Ground::new(site, &rover, &mission, &limits).unwrap();
            let mut line = vec![START, [50.0 - 0.47 * off, 46.0 + 0.88 * off], GOAL];
            let mut task = task();
            if backwards {
                line.reverse();
                (task.task.ends.start_m, task.task.ends.goal_m) = (GOAL, START);
            }
            let nw = [shift[0], shift[1] + 100.0];
            let moved = |p: Xy| [p[0] + shift[0], p[1] + shift[1]];
            (task.task.ends.start_m, task.task.ends.goal_m) = (moved(task.task.ends.start_m), moved(task.task.ends.goal_m));
            let mut v = answer(&line);
            for (a, p) in v["anchors"].as_array_mut().unwrap().iter_mut().zip(&line) {
                let [x, y] = local_from_map(moved(*p), nw);
                (a["x_m"], a["y_m"]) = (json!(x), json!(y));
            }
            let mut codes: Vec<Code> = check_answer(&v.to_string(), &task, &ground).unwrap().0.hard().map(|v| v.code).collect();
            // Driving down a slope is not driving up it: what the suspension and the wheels say may differ.
            codes.retain(|c| *c != Code::Suspension);
            codes.sort_unstable();
            codes.dedup();
            codes
        };
        let here = ground();
        let mut there = here.clone();
        let elevation = here.elevation().unwrap();
        let raster = sojourn_core::raster::Raster::new(
            elevation.cols(), elevation.rows(), elevation.resolution_m(), shift, elevation.data().to_vec(),
        ).unwrap();
        there.put(sojourn_core::site::ELEVATION, raster, "m", "moved");
        let first = at(&here, [0.0, 0.0], false);
        prop_assert_eq!(&first, &at(&there, shift, false));
        prop_assert_eq!(&first, &at(&here, [0.0, 0.0], true));
    }

    #[test]
    fn coordinates_come_back(x in -1e5f64..1e5, y in -1e5f64..1e5, w in -1e5f64..1e5, n in -1e5f64..1e5) {
        let back = map_from_local(local_from_map([x, y], [w, n]), [w, n]);
        prop_assert!((back[0] - x).abs() < 1e-9 && (back[1] - y).abs() < 1e-9);
        // South grows downwards, east to the right.
        let [e, s] = local_from_map([w + 3.0, n - 5.0], [w, n]);
        prop_assert!((e - 3.0).abs() < 1e-9 && (s - 5.0).abs() < 1e-9);
    }

    /// What the planner makes passes the brute force too.
    #[test]
    fn plans_pass_the_brute_force(steep in 0.3f64..1.1, phase in 0.0f64..6.0) {
        let (site, mission, rover) = (hills(100, 1.0, steep, phase), mission(), rover());
        if let Ok(made) = plan(&request(START, GOAL), &site, &rover, &mission, None) {
            let p: &Plan = &made.plan;
            prop_assert!(made.verdict.ok);
            let twin = brute::Twin::new(&site, &rover, &mission);
            prop_assert_eq!(twin.fault(&p.line(), START, GOAL, &[]), None);
            // The same document, the same verdict, the same digest.
            let back = Plan::parse("p", &serde_json::to_string(p).unwrap()).unwrap();
            prop_assert_eq!(back.digest().unwrap(), p.digest().unwrap());
            let limits = Limits::shipped().unwrap();
            let ground = Ground::new(&site, &rover, &mission, &limits).unwrap();
            prop_assert_eq!(check_plan(&back, &ground).unwrap(), made.verdict);
        }
    }
}
