//! The record of a conversation: a chain that nobody can change unnoticed, kept while the conversation runs; and what is
//! asked of a service before anything is spent.
#![allow(clippy::unwrap_used)]

mod common;

use common::fake::{Fake, Policy, http};
use common::{mission, request, rover, site};
use proptest::prelude::*;
use serde_json::{Value, json};
use sojourn_core::CoreError;
use sojourn_core::plan::ModelLevel;
use sojourn_planner::model::{Capabilities, Replay, Transcript, check_transcript};
use sojourn_planner::{
    Assistance, Briefing, Code, ModelConfig, PlanError, PlanOutcome, Provider, plan, provider_from,
};
use std::cell::RefCell;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

const SAND: [[f64; 2]; 4] = [[80.0, 80.0], [120.0, 80.0], [120.0, 120.0], [80.0, 120.0]];

fn config() -> ModelConfig {
    let mut c = ModelConfig::shipped().unwrap();
    (c.http.retries, c.http.stall_s) = (0, 20.0);
    c.endpoints.fallback_model = String::new();
    c
}

fn asked(
    provider: &dyn Provider,
    config: &ModelConfig,
    journal: &dyn Fn(&str) -> Result<(), CoreError>,
) -> Result<PlanOutcome, PlanError> {
    let (cancel, briefing) = (AtomicBool::new(false), Briefing::default());
    let watch = sojourn_planner::model::Watch {
        cancel: &cancel,
        progress: &|_| {},
    };
    let assistance = Assistance {
        provider,
        config,
        briefing: &briefing,
        watch: &watch,
        twin: None,
        journal: Some(journal),
    };
    plan(
        &request([20.0, 100.0], [180.0, 100.0]),
        &site(200, 1.0, |_, _| 0.0),
        &rover(),
        &mission(),
        Some(&assistance),
    )
}

fn double() -> Fake {
    Fake::start(Policy::Perfect, vec![("sand_ripples", SAND.to_vec(), 4)])
}

/// One conversation with the perfect double and the lines that were kept while it ran.
fn talked() -> &'static (PlanOutcome, String) {
    static ONCE: OnceLock<(PlanOutcome, String)> = OnceLock::new();
    ONCE.get_or_init(|| {
        let (c, fake) = (config(), double());
        let provider = provider_from(&fake.url, "double-1", &c).unwrap().unwrap();
        let lines = RefCell::new(String::new());
        let made = asked(provider.as_ref(), &c, &|line| {
            assert!(!line.contains('\n'));
            lines.borrow_mut().push_str(line);
            lines.borrow_mut().push('\n');
            Ok(())
        });
        (made.unwrap(), lines.into_inner())
    })
}

fn faults(text: &str) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("transcript.jsonl");
    std::fs::write(&file, text).unwrap();
    let found = check_transcript(&talked().0.plan, &file).unwrap();
    assert!(
        found
            .iter()
            .all(|v| v.hard && v.code == Code::TranscriptBroken)
    );
    found.into_iter().map(|v| v.message).collect()
}

#[test]
fn what_is_kept_line_by_line_is_the_record() {
    let (made, lines) = talked();
    let record = made.model.as_ref().unwrap();
    assert_eq!(record.transcript.text().unwrap(), *lines);
    assert_eq!(
        record.transcript.chain().unwrap().end(),
        made.plan.model.transcript_sha256
    );
    assert_eq!(faults(lines), Vec::<String>::new());
    let page = sojourn_planner::model::conversation_html(record, &made.plan, None);
    assert!(page.contains(&made.plan.model.transcript_sha256));
    // How long an answer took is no part of what was said.
    let mut slower = record.transcript.clone();
    for e in &mut slower.exchanges {
        if let Some(r) = &mut e.reply {
            r.seconds += 1.0;
        }
    }
    assert_eq!(faults(&slower.text().unwrap()), Vec::<String>::new());
    assert!(check_transcript(&made.plan, Path::new("/nowhere/t.jsonl")).is_err());
}

#[test]
fn a_record_that_was_changed_cut_or_stitched_is_noticed() {
    let lines: Vec<&str> = talked().1.lines().collect();
    assert!(lines.len() > 12, "{}", lines.len());
    let joined = |list: &[&str]| list.join("\n") + "\n";
    for k in [0, 1, 5, lines.len() - 1] {
        let mut without = lines.clone();
        without.remove(k);
        assert_eq!(faults(&joined(&without)).len(), 1, "without {k}");
    }
    let mut swapped = lines.clone();
    swapped.swap(4, 5);
    assert!(faults(&joined(&swapped))[0].contains("chain is broken at record 5"));
    let mut twice = lines.clone();
    twice.insert(6, lines[5]);
    assert!(faults(&joined(&twice))[0].contains("chain is broken at record 7"));
    // One word of an answer.
    let changed = talked().1.replacen("\"risk\\\":4", "\"risk\\\":1", 1);
    let said = faults(&changed);
    assert!(changed != talked().1 && said.len() == 1, "{said:?}");
    for empty in ["", "\n", "{}\n", "[]\n", "null\n"] {
        assert_eq!(faults(empty).len(), 1);
    }
    // A plan without a conversation has no record.
    let mut alone = talked().0.plan.clone();
    alone.model.transcript_sha256.clear();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("t.jsonl");
    std::fs::write(&file, &talked().1).unwrap();
    assert_eq!(check_transcript(&alone, &file).unwrap().len(), 1);
}

#[test]
fn a_torn_record_is_taken_up_again_and_ends_as_the_whole_one() {
    let (whole, lines) = talked();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("transcript.jsonl");
    // In the middle of a line, as a machine that loses its power leaves it.
    let cut = lines.len() * 2 / 3;
    std::fs::write(&file, &lines[..cut]).unwrap();
    assert!(Transcript::load(&file).is_err());
    let torn = Transcript::load_torn(&file).unwrap();
    let kept = torn.exchanges.iter().filter(|e| e.reply.is_some()).count();
    let (c, fake) = (config(), double());
    let live = provider_from(&fake.url, "double-1", &c).unwrap().unwrap();
    let resumed = Replay::of("transcript.jsonl", torn).then(live);
    let made = asked(&resumed, &c, &|_| Ok(())).unwrap();
    assert_eq!(made.plan.line(), whole.plan.line());
    let all = whole.model.as_ref().unwrap().transcript.exchanges.iter();
    let all = all.filter(|e| e.reply.is_some()).count();
    assert!(kept > 0);
    assert_eq!(fake.requests.lock().unwrap().len(), all - kept);
}

#[test]
fn what_cannot_be_recorded_is_not_said() {
    let (c, fake) = (config(), double());
    let provider = provider_from(&fake.url, "double-1", &c).unwrap().unwrap();
    let left = RefCell::new(3);
    let e = asked(provider.as_ref(), &c, &|_| {
        *left.borrow_mut() -= 1;
        if *left.borrow() < 0 {
            return Err(CoreError::format("transcript.jsonl", "the disk is full"));
        }
        Ok(())
    })
    .unwrap_err();
    assert!(e.to_string().contains("the disk is full"), "{e}");
    assert!(fake.requests.lock().unwrap().len() <= 1);
}

/// A double that answers questions about models and tokens in its own way, and everything else as the perfect one.
fn odd(about: Value, counted: (&'static str, Value)) -> (Fake, Fake) {
    let inner = double();
    let to = inner.url.trim_start_matches("http://").to_string();
    let fake = Fake::serve(move |head, body| {
        if head.starts_with("GET /v1/models/") {
            return http("200 OK", "", "application/json", &about.to_string());
        }
        if head.contains("count_tokens") {
            return http(counted.0, "", "application/json", &counted.1.to_string());
        }
        forward(&to, body)
    });
    (fake, inner)
}

fn forward(to: &str, body: &Value) -> Vec<u8> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(to).unwrap();
    let text = body.to_string();
    write!(
        stream,
        "POST /v1/messages HTTP/1.1\r\ncontent-length: {}\r\n\r\n{text}",
        text.len()
    )
    .unwrap();
    let mut out = Vec::new();
    stream.read_to_end(&mut out).unwrap();
    out
}

#[test]
fn what_a_service_says_of_its_model_is_heeded() {
    let model = |more: Value| {
        let mut v = json!({"type": "model", "id": "double-1", "max_input_tokens": 100_000, "max_tokens": 5_000,
            "capabilities": {"image_input": {"supported": true}}});
        for (k, w) in more.as_object().unwrap() {
            v[k] = w.clone();
        }
        v
    };
    let few = ("200 OK", json!({"input_tokens": 10}));
    let c = config();
    let run = |about: Value, counted: (&'static str, Value)| {
        let (fake, inner) = odd(about, counted);
        let provider = provider_from(&fake.url, "double-1", &c).unwrap().unwrap();
        let made = asked(provider.as_ref(), &c, &|_| Ok(())).unwrap();
        let most = inner
            .requests
            .lock()
            .unwrap()
            .iter()
            .map(|r| r["max_tokens"].as_u64().unwrap())
            .max();
        (made, most)
    };
    // Less room than the configuration asks for.
    let (made, most) = run(model(json!({})), few.clone());
    assert_eq!(made.plan.model.level, Some(ModelLevel::Full));
    assert_eq!(most, Some(5_000));
    let first = &made.model.unwrap().transcript.exchanges[0];
    let known: Capabilities = serde_json::from_value(first.found.clone().unwrap()).unwrap();
    assert_eq!(known.max_tokens, Some(5_000));
    // No eyes, no question.
    let blind = model(json!({"capabilities": {"image_input": {"supported": false}}}));
    let (made, most) = run(blind, few.clone());
    assert!(
        made.plan.model.note.contains("sees no pictures"),
        "{}",
        made.plan.model.note
    );
    assert_eq!(
        (made.plan.model.level, most),
        (Some(ModelLevel::GeometryOnly), None)
    );
    // A question that is too long, or that the counter refuses, is not put.
    let (made, most) = run(
        model(json!({})),
        ("200 OK", json!({"input_tokens": 100_001})),
    );
    assert!(
        made.plan.model.note.contains("100001 tokens"),
        "{}",
        made.plan.model.note
    );
    assert_eq!(most, None);
    let refused = json!({"type": "error", "error": {"type": "invalid_request_error", "message": "image exceeds 1932 px"}});
    let (made, most) = run(model(json!({})), ("400 Bad Request", refused));
    assert!(
        made.plan.model.note.contains("1932 px"),
        "{}",
        made.plan.model.note
    );
    assert_eq!(most, None);
    // A gateway that knows neither does not stand in the way.
    let (made, _) = run(
        json!({"error": "no such path"}),
        ("404 Not Found", json!({})),
    );
    assert_eq!(made.plan.model.level, Some(ModelLevel::Full));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// One letter changed anywhere is noticed, but for the times that are no part of the chain.
    #[test]
    fn one_letter_is_noticed(place in 0.0f64..1.0, by in 1u8..40) {
        let text = &talked().1;
        let at = ((place * text.len() as f64) as usize).min(text.len() - 2);
        let mut bytes = text.clone().into_bytes();
        let before = bytes[at];
        // Within printable letters, so that it stays text.
        bytes[at] = 33 + (before.wrapping_sub(33).wrapping_add(by)) % 94;
        let changed = String::from_utf8_lossy(&bytes).into_owned();
        let start = text[..at].rfind('\n').map_or(0, |i| i + 1);
        let around = &text[start..at];
        let in_time = around.rfind("\"seconds\":").is_some_and(|i| !around[i + 10..].contains([',', '}']));
        let spaces = before == b'\n' || before == b' ';
        // 1e5 and 1E5 are the same record.
        let end = text[at..].find('\n').map_or(text.len(), |i| at + i);
        let same = serde_json::from_slice::<Value>(&bytes[start..end])
            .is_ok_and(|v| Some(v) == serde_json::from_str(&text[start..end]).ok());
        prop_assume!(bytes[at] != before && !in_time && !spaces && !same);
        prop_assert_eq!(faults(&changed).len(), 1);
    }
}

#[test]
fn a_folder_whose_conversation_broke_off_is_taken_up_and_a_whole_one_left_alone() {
    use sojourn_planner::model::folder;
    let dir = tempfile::tempdir().unwrap();
    let c = config();
    let fake = double();
    let live = || provider_from(&fake.url, "double-1", &c).unwrap().unwrap();
    let held = |stop_after: usize| {
        let place = folder::unfinished(dir.path(), "talk");
        let provider = folder::taken_up(live(), &place).unwrap();
        let journal = folder::journal(&place).unwrap();
        let lines = RefCell::new(0);
        let outcome = asked(provider.as_ref(), &c, &|line| {
            *lines.borrow_mut() += 1;
            if *lines.borrow() > stop_after {
                return Err(CoreError::format("journal", "the disk is full"));
            }
            journal(line)
        });
        if let Ok(made) = &outcome {
            let record = made.model.as_ref().unwrap();
            folder::write(&place, record, &made.plan, None).unwrap();
        }
        (place, outcome)
    };
    let paid = || fake.requests.lock().unwrap().len();
    // It breaks off; what was written stands there.
    let (first, broken) = held(6);
    assert!(broken.is_err());
    let before = paid();
    let kept = Transcript::load_torn(&first.join(folder::TRANSCRIPT)).unwrap();
    let answered = kept.exchanges.iter().filter(|e| e.reply.is_some()).count();
    assert!(answered >= 1);
    // The same folder again: what was answered is not asked a second time, and the record is whole in the end.
    let (again, made) = held(usize::MAX);
    assert_eq!(again, first);
    let made = made.unwrap();
    let file = again.join(folder::TRANSCRIPT);
    assert!(check_transcript(&made.plan, &file).unwrap().is_empty());
    let whole = paid() - before;
    let names: Vec<String> = std::fs::read_dir(&again)
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names.len(), 3, "{names:?}");
    // It is whole now: the next conversation of that name has a folder of its own and asks everything.
    let text = std::fs::read(&file).unwrap();
    let before = paid();
    let (other, made) = held(usize::MAX);
    assert!(made.is_ok() && other != first);
    assert_eq!(paid() - before, whole + answered);
    assert_eq!(std::fs::read(&file).unwrap(), text);
}
