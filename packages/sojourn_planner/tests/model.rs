//! The model's stage: recordings, an endpoint on loopback, and everything an answer may get wrong.
#![allow(clippy::unwrap_used)]

mod common;

use common::{mission, request, rover, site};
use proptest::prelude::*;
use serde_json::{Value, json};
use sojourn_core::geometry::in_polygon;
use sojourn_core::plan::ModelStatus;
use sojourn_core::site::Site;
use sojourn_planner::model::{HttpProvider, ModelRequest, Replay, answer_schema, render};
use sojourn_planner::{ModelProvider, PlanOutcome, ProviderError, plan, provider_from, validate};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

const START: [f64; 2] = [40.0, 60.0];
const GOAL: [f64; 2] = [140.0, 60.0];

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

fn flat() -> Site {
    site(200, 1.0, |_, _| 1.0)
}

fn with(provider: &dyn ModelProvider) -> PlanOutcome {
    plan(
        &request(START, GOAL),
        &flat(),
        &rover(),
        &mission(),
        Some(provider),
    )
    .unwrap()
}

/// A provider that says what the test wants.
struct Says(String);

impl ModelProvider for Says {
    fn name(&self) -> String {
        "test".into()
    }
    fn model(&self) -> &str {
        "test-model"
    }
    fn answer(&self, _: &ModelRequest) -> Result<String, ProviderError> {
        Ok(self.0.clone())
    }
}

fn message(text: &str) -> Value {
    json!({"type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
           "content": [{"type": "text", "text": text}]})
}

fn says(labels: Value) -> Says {
    let answer = json!({"summary": "", "labels": labels}).to_string();
    Says(message(&answer).to_string())
}

fn rectangle(class: &str, confidence: f64, lo: [f64; 2], hi: [f64; 2]) -> Value {
    let v = render(&flat(), START, GOAL).unwrap();
    let corners = [
        [lo[0], lo[1]],
        [hi[0], lo[1]],
        [hi[0], hi[1]],
        [lo[0], hi[1]],
    ];
    let polygon: Vec<Value> = corners
        .iter()
        .map(|&c| v.px_from_map(c))
        .map(|p| json!({"x": p[0], "y": p[1]}))
        .collect();
    json!({"class": class, "polygon": polygon, "confidence": confidence, "reason": "seen"})
}

#[test]
fn a_recorded_answer_changes_the_way_and_stands_in_the_plan() {
    let made = with(&Replay::new(&data("answer_labels.json"), "any"));
    let stage = &made.plan.model;
    assert_eq!(stage.status, ModelStatus::Used);
    assert_eq!(stage.provider, "replay:answer_labels.json");
    assert_eq!(stage.model, "recorded-model");
    assert_eq!((stage.labels_accepted, stage.labels_refused.len()), (1, 5));
    for (i, word) in [
        (1, "lava"),
        (2, "crosses itself"),
        (3, "5000"),
        (4, "2 points"),
        (5, "1.5"),
    ] {
        let text = &stage.labels_refused[i - 1];
        assert!(
            text.starts_with(&format!("labels[{i}]")) && text.contains(word),
            "{text}"
        );
    }
    assert_eq!(stage.request_sha256.len(), 64);
    assert_eq!(stage.answer_sha256.len(), 64);
    assert!(stage.note.contains("Ripples"), "{}", stage.note);
    let f = &made.plan.features[0];
    assert!((f.added_cost - 3.6).abs() < 1e-9 && !f.forbids && f.source.contains("recorded-model"));
    // The ripples lie across the straight way; it bends around or says that it crosses.
    let plain = plan(&request(START, GOAL), &flat(), &rover(), &mission(), None)
        .unwrap()
        .plan;
    assert!(made.plan.distance_m > plain.distance_m + 0.5);
    assert!(
        validate(&made.plan, &flat(), &rover(), &mission())
            .unwrap()
            .is_empty()
    );
    let exchange = made.model.unwrap();
    assert!(exchange.view_png.starts_with(b"\x89PNG") && exchange.answer_json.is_some());
}

#[test]
fn without_a_provider_the_plan_says_so() {
    let p = plan(&request(START, GOAL), &flat(), &rover(), &mission(), None)
        .unwrap()
        .plan;
    assert_eq!(p.model.status, ModelStatus::NoProvider);
    assert!(p.features.is_empty() && p.model.note.contains("elevation model alone"));
}

#[test]
fn labels_only_ever_add_cost_or_forbid() {
    let plain = plan(&request(START, GOAL), &flat(), &rover(), &mission(), None).unwrap();
    // Bedrock is easy ground; saying so changes nothing.
    let made = with(&says(json!([rectangle(
        "bedrock",
        1.0,
        [60.0, 40.0],
        [120.0, 80.0]
    )])));
    assert_eq!(made.plan.line(), plain.plan.line());
    assert_eq!(made.plan.features.len(), 1);

    let wall = rectangle("crater_or_scarp", 0.8, [80.0, 40.0], [100.0, 70.0]);
    let made = with(&says(json!([wall])));
    assert!(made.plan.features[0].forbids);
    for p in made.plan.line() {
        assert!(!in_polygon(p, &made.plan.features[0].polygon));
    }
    assert!(
        validate(&made.plan, &flat(), &rover(), &mission())
            .unwrap()
            .is_empty()
    );
    // A strip narrower than a cell closes the way as well.
    let strip = rectangle("crater_or_scarp", 0.8, [90.2, 45.0], [90.4, 75.0]);
    let made = with(&says(json!([strip])));
    assert!(
        validate(&made.plan, &flat(), &rover(), &mission())
            .unwrap()
            .is_empty()
    );
    assert!(made.plan.distance_m > 102.0, "{}", made.plan.distance_m);
    let unsure = rectangle("crater_or_scarp", 0.3, [80.0, 40.0], [100.0, 70.0]);
    assert!(!with(&says(json!([unsure]))).plan.features[0].forbids);
}

#[test]
fn labels_on_the_goal_or_across_every_way_are_named() {
    let refused = |label: Value| {
        let e = plan(
            &request(START, GOAL),
            &flat(),
            &rover(),
            &mission(),
            Some(&says(json!([label]))),
        );
        e.unwrap_err().to_string()
    };
    let m = refused(rectangle(
        "crater_or_scarp",
        0.9,
        [130.0, 50.0],
        [150.0, 70.0],
    ));
    assert!(
        m.starts_with("goal") && m.contains("label 0 \"crater_or_scarp\" (confidence 0.90)"),
        "{m}"
    );
    // A ring of four labels would be needed in the open; on a narrow map one is enough.
    let narrow = site(200, 1.0, |_, y| {
        if (y - 60.0).abs() < 20.0 {
            0.0
        } else {
            f64::NAN
        }
    });
    let v = render(&narrow, START, GOAL).unwrap();
    let polygon: Vec<Value> = [[80.0, 20.0], [90.0, 20.0], [90.0, 100.0], [80.0, 100.0]]
        .iter()
        .map(|&c| v.px_from_map(c))
        .map(|p| json!({"x": p[0], "y": p[1]}))
        .collect();
    let label =
        json!({"class": "crater_or_scarp", "polygon": polygon, "confidence": 0.9, "reason": "rim"});
    let m = plan(
        &request(START, GOAL),
        &narrow,
        &rover(),
        &mission(),
        Some(&says(json!([label]))),
    )
    .unwrap_err()
    .to_string();
    assert!(
        m.contains("labels that forbid ground") && m.contains("crater_or_scarp"),
        "{m}"
    );
}

#[test]
fn an_answer_that_cannot_be_used_leaves_the_elevation_model() {
    let mut cut = message("{\"summary\": \"\", \"lab");
    cut["stop_reason"] = json!("max_tokens");
    let mut odd = message("{\"summary\": \"\", \"labels\": []}");
    odd["stop_reason"] = json!("something_new");
    let mut silent = message("");
    silent["content"] = json!([{"type": "thinking", "thinking": "", "signature": ""}]);
    let cases = [
        (cut.to_string(), "cut off"),
        (odd.to_string(), "something_new"),
        (silent.to_string(), "no text"),
        (message("not json").to_string(), "schema"),
        (message("{\"labels\": []}").to_string(), "summary"),
        (
            message("{\"summary\": \"\", \"labels\": [], \"cmd\": 1}").to_string(),
            "cmd",
        ),
        ("<html>".to_string(), "not JSON"),
        (
            json!({"type": "error", "error": {"type": "x", "message": "busy\nnow"}}).to_string(),
            "busy now",
        ),
        (
            std::fs::read_to_string(data("answer_refusal.json")).unwrap(),
            "general_harms",
        ),
    ];
    let plain = plan(&request(START, GOAL), &flat(), &rover(), &mission(), None).unwrap();
    for (answer, word) in cases {
        let made = with(&Says(answer));
        assert_eq!(made.plan.model.status, ModelStatus::Refused, "{word}");
        assert!(
            made.plan.model.note.contains(word) && !made.plan.model.note.contains('\n'),
            "{}",
            made.plan.model.note
        );
        assert_eq!(made.plan.waypoints, plain.plan.waypoints);
    }
    let many: Vec<Value> = (0..60)
        .map(|_| rectangle("loose_soil", 0.1, [60.0, 40.0], [70.0, 50.0]))
        .collect();
    let made = with(&says(json!(many)));
    assert_eq!(made.plan.features.len(), 50);
    assert!(made.plan.model.labels_refused[0].contains("more than 50"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]
    #[test]
    fn no_label_breaks_the_planner(
        points in proptest::collection::vec((-100f64..1200.0, -100f64..1200.0), 0..7),
        confidence in -0.5f64..1.5, class in 0usize..9, junk in "\\PC{0,40}",
    ) {
        let names = sojourn_core::classes::CLASSES.map(|c| c.name);
        let polygon: Vec<Value> = points.iter().map(|p| json!({"x": p.0, "y": p.1})).collect();
        let label = json!({"class": names[class], "polygon": polygon, "confidence": confidence, "reason": junk});
        let result = plan(&request(START, GOAL), &flat(), &rover(), &mission(), Some(&says(json!([label]))));
        match result {
            Ok(made) => {
                made.plan.check("plan").unwrap();
                let f = made.plan.features.first();
                prop_assert!(f.is_none_or(|f| f.added_cost >= 0.0 && f.polygon.len() >= 3));
            }
            Err(e) => prop_assert!(e.to_string().contains("label")),
        }
    }
}

#[test]
fn the_request_follows_the_documented_form() {
    let made = with(&Replay::new(&data("answer_labels.json"), "some-model"));
    let body: Value = serde_json::from_str(&made.model.unwrap().request_json).unwrap();
    assert_eq!(body["model"], "some-model");
    let content = &body["messages"][0]["content"];
    assert_eq!(content[0]["type"], "image");
    assert_eq!(content[0]["source"]["media_type"], "image/png");
    assert_eq!(content[1]["type"], "text");
    let text = content[1]["text"].as_str().unwrap();
    assert!(text.contains("north up") && text.contains("metres per pixel"));
    assert_eq!(body["output_config"]["format"]["type"], "json_schema");
    assert_eq!(body["output_config"]["format"]["schema"], answer_schema());
    // Only what the documented subset knows.
    fn walk(v: &Value) {
        if let Some(map) = v.as_object() {
            for banned in [
                "minimum",
                "maximum",
                "maxItems",
                "minLength",
                "maxLength",
                "multipleOf",
            ] {
                assert!(!map.contains_key(banned));
            }
            if map.get("type") == Some(&json!("object")) {
                assert_eq!(map.get("additionalProperties"), Some(&json!(false)));
            }
            map.values().for_each(walk);
        }
    }
    walk(&answer_schema());
    // The view: no larger than any service takes as it is, and places go both ways.
    let v = render(&flat(), START, GOAL).unwrap();
    assert!(v.width_px <= 1000 && v.height_px <= 1000 && v.width_px > 300);
    let p = v.map_from_px(v.px_from_map(GOAL));
    assert!((p[0] - GOAL[0]).abs() < 1e-9 && (p[1] - GOAL[1]).abs() < 1e-9);
    assert!(v.px_from_map([90.0, 90.0])[1] < v.px_from_map([90.0, 30.0])[1]);
}

#[test]
fn a_recording_for_another_request_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("r.json");
    let response: Value =
        serde_json::from_str(&std::fs::read_to_string(data("answer_labels.json")).unwrap())
            .unwrap();
    let wrap = |digest: &str| json!({"request_sha256": digest, "response": response}).to_string();
    std::fs::write(&file, wrap("00")).unwrap();
    let made = with(&Replay::new(&file, "m"));
    assert_eq!(made.plan.model.status, ModelStatus::Failed);
    assert!(
        made.plan.model.note.contains("recorded for the request 00"),
        "{}",
        made.plan.model.note
    );
    std::fs::write(&file, wrap(&made.plan.model.request_sha256)).unwrap();
    assert_eq!(
        with(&Replay::new(&file, "m")).plan.model.status,
        ModelStatus::Used
    );
}

/// A test double of the Messages API: answers each connection with the next of the given responses and gives back what
/// it was asked.
fn fake_endpoint(responses: Vec<String>) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::Builder::new()
        .name("fake endpoint".into())
        .spawn(move || {
            let mut asked = Vec::new();
            for response in responses {
                let (mut stream, _) = listener.accept().unwrap();
                let mut bytes = Vec::new();
                let mut buffer = [0u8; 65536];
                loop {
                    let n = stream.read(&mut buffer).unwrap();
                    bytes.extend_from_slice(&buffer[..n]);
                    let text = String::from_utf8_lossy(&bytes);
                    let Some(end) = text.find("\r\n\r\n") else {
                        continue;
                    };
                    let length: usize = text
                        .lines()
                        .find_map(|l| {
                            l.to_ascii_lowercase()
                                .strip_prefix("content-length:")
                                .map(|v| v.trim().parse().unwrap())
                        })
                        .unwrap_or(0);
                    if n == 0 || bytes.len() >= end + 4 + length {
                        break;
                    }
                }
                asked.push(String::from_utf8_lossy(&bytes).into_owned());
                stream.write_all(response.as_bytes()).unwrap();
            }
            asked
        })
        .unwrap();
    (base, thread)
}

fn http(status: &str, extra: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n{extra}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn an_endpoint_on_loopback_answers() {
    let body = std::fs::read_to_string(data("answer_labels.json")).unwrap();
    let (base, thread) = fake_endpoint(vec![
        http("529 Overloaded", "retry-after: 0\r\n", "{}"),
        http("200 OK", "", &body),
    ]);
    let provider = HttpProvider::new(&base, "the-model", Some("secret".into()), 10.0).unwrap();
    let made = with(&provider);
    assert_eq!(
        made.plan.model.status,
        ModelStatus::Used,
        "{}",
        made.plan.model.note
    );
    assert_eq!(made.plan.model.provider, base);
    let asked = thread.join().unwrap();
    assert_eq!(asked.len(), 2);
    let head = asked[1].to_ascii_lowercase();
    assert!(
        head.starts_with("post /v1/messages http/1.1"),
        "{head:.100}"
    );
    assert!(head.contains("anthropic-version: 2023-06-01") && head.contains("x-api-key: secret"));
    assert!(asked[1].contains("\"model\":\"the-model\""));
    let document = serde_json::to_string(&made.plan).unwrap();
    assert!(
        !document.contains("secret"),
        "the key stays out of the plan"
    );
}

#[test]
fn an_endpoint_that_fails_leaves_a_plan_that_says_so() {
    let body = "{\"type\":\"error\",\"error\":{\"message\":\"no such model\"}}";
    let (base, thread) = fake_endpoint(vec![http("404 Not Found", "", body)]);
    let made = with(&HttpProvider::new(&base, "m", None, 10.0).unwrap());
    assert_eq!(made.plan.model.status, ModelStatus::Failed);
    assert!(
        made.plan.model.note.contains("404") && made.plan.model.note.contains("no such model"),
        "{}",
        made.plan.model.note
    );
    assert_eq!(thread.join().unwrap().len(), 1, "not asked again");

    let busy = || http("503 Busy", "retry-after: 0\r\n", "{}");
    let (base, thread) = fake_endpoint(vec![busy(), busy(), busy()]);
    let made = with(&HttpProvider::new(&base, "m", None, 10.0).unwrap());
    assert!(made.plan.model.note.contains("after 3 attempts"));
    assert_eq!(thread.join().unwrap().len(), 3);

    // Nobody listens there any more.
    let made = with(&HttpProvider::new(&base, "m", None, 2.0).unwrap());
    assert_eq!(made.plan.model.status, ModelStatus::Failed);

    let huge = "x".repeat(5 << 20);
    let (base, thread) = fake_endpoint(vec![http("200 OK", "", &huge)]);
    let made = with(&HttpProvider::new(&base, "m", None, 10.0).unwrap());
    assert_eq!(
        made.plan.model.status,
        ModelStatus::Failed,
        "{}",
        made.plan.model.note
    );
    let _ = thread.join();
}

#[test]
fn providers_are_named_in_one_word() {
    assert!(provider_from("none", "m", 5.0).unwrap().is_none());
    let file = data("answer_labels.json");
    assert!(
        provider_from(&format!("replay:{}", file.display()), "m", 5.0)
            .unwrap()
            .is_some()
    );
    for (spec, word) in [
        ("replay:/nowhere/x.json", "not there"),
        ("https://host", "plain HTTP"),
        ("ftp://x", "expected none"),
        ("http://", "HOST"),
    ] {
        let m = provider_from(spec, "m", 5.0).err().unwrap().to_string();
        assert!(m.contains(word) && m.contains(spec), "{m}");
    }
    let key = Some("k".to_string());
    let m = HttpProvider::new("http://10.1.2.3:80", "m", key, 5.0)
        .err()
        .unwrap()
        .to_string();
    assert!(m.contains("unencrypted"), "{m}");
    assert!(HttpProvider::new("http://127.0.0.1:1", "m", None, f64::NAN).is_err());
}
