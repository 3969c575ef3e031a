//! The clients against services that fail in every documented way, all doubles on loopback.
#![allow(clippy::unwrap_used)]

mod common;

use common::fake::{Fake, events, http};
use serde_json::{Value, json};
use sojourn_planner::model::{Block, Message, Purpose, Reply, Request, Role, Watch, schemas};
use sojourn_planner::{ModelConfig, ProviderError, provider_from};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

fn config() -> ModelConfig {
    let mut c = ModelConfig::shipped().unwrap();
    c.http.first_pause_s = 0.01;
    // Long enough for a machine that is busy with other things.
    c.http.stall_s = 20.0;
    c.http.request_s = 60.0;
    c.http.connect_s = 20.0;
    c.http.longest_asked_pause_s = 1.0;
    c.http.max_answer_bytes = 200_000;
    c
}

fn question() -> Request {
    Request {
        purpose: Purpose::Scan,
        model: "double-1".into(),
        system: "label".into(),
        messages: vec![Message {
            role: Role::User,
            blocks: vec![Block::Text("what is there?".into())],
        }],
        tools: Arc::default(),
        format: ("labels", schemas::labels()),
        max_tokens: 1000,
        effort: "high".into(),
    }
}

fn send(spec: &str, c: &ModelConfig) -> Result<Reply, ProviderError> {
    let cancel = AtomicBool::new(false);
    let watch = Watch {
        cancel: &cancel,
        progress: &|_| {},
    };
    provider_from(spec, "double-1", c)?
        .unwrap()
        .send(&question(), &watch)
}

fn stream_of(list: &[(&str, Value)]) -> Vec<u8> {
    http("200 OK", "", "text/event-stream", &events(list))
}

fn start() -> (&'static str, Value) {
    (
        "message_start",
        json!({"message": {"id": "m", "model": "double-1", "usage": {"input_tokens": 3}}}),
    )
}

fn text(t: &str) -> Vec<(&'static str, Value)> {
    vec![
        (
            "content_block_start",
            json!({"index": 0, "content_block": {"type": "text", "text": ""}}),
        ),
        (
            "content_block_delta",
            json!({"index": 0, "delta": {"type": "text_delta", "text": t}}),
        ),
    ]
}

fn stop(reason: &str) -> Vec<(&'static str, Value)> {
    vec![
        (
            "message_delta",
            json!({"delta": {"stop_reason": reason}, "usage": {"output_tokens": 4}}),
        ),
        ("message_stop", json!({})),
    ]
}

fn whole(t: &str, reason: &str) -> Vec<u8> {
    let list: Vec<_> = std::iter::once(start())
        .chain(text(t))
        .chain(stop(reason))
        .collect();
    stream_of(&list)
}

/// The double's answers one after another, the last one for ever; how often it was asked.
fn script(answers: Vec<Vec<u8>>) -> (Fake, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    let fake = Fake::serve(move |_, _| {
        let k = seen.fetch_add(1, Ordering::SeqCst);
        answers[k.min(answers.len() - 1)].clone()
    });
    (fake, count)
}

#[test]
fn streams_in_any_pieces_are_read() {
    // Letters of several bytes are split by the double's pieces of 37 bytes; line ends may be CRLF; pings come in floods.
    let words = "Dünenkämme — 砂紋 ".repeat(40);
    let body = events(&{
        let mut list = vec![start()];
        list.extend((0..300).map(|_| ("ping", json!({}))));
        list.push(("brand_new_event", json!({"odd": true})));
        list.extend(text(&words));
        list.extend(stop("end_turn"));
        list
    });
    for body in [
        body.clone(),
        body.replace('\n', "\r\n"),
        format!(": a comment\n\n{body}"),
    ] {
        let (fake, _) = script(vec![http(
            "200 OK",
            "",
            "text/event-stream; charset=utf-8",
            &body,
        )]);
        let reply = send(&fake.url, &config()).unwrap();
        assert_eq!(reply.text(), words);
        assert!(reply.complete && reply.stop_reason == "end_turn" && reply.usage.output == 4);
    }
    // A gateway that does not stream.
    let plain = json!({"type": "message", "id": "m", "model": "double-1", "stop_reason": "end_turn",
        "content": [{"type": "thinking", "thinking": "", "signature": "x"}, {"type": "text", "text": "{}"}], "usage": {"input_tokens": 1, "output_tokens": 1}});
    let (fake, _) = script(vec![http(
        "200 OK",
        "request-id: req_7\r\n",
        "application/json",
        &plain.to_string(),
    )]);
    assert_eq!(send(&fake.url, &config()).unwrap().text(), "{}");
}

#[test]
fn unfinished_answers_are_told_apart() {
    for reason in [
        "max_tokens",
        "refusal",
        "model_context_window_exceeded",
        "pause_turn",
        "something_new",
    ] {
        let (fake, count) = script(vec![whole("{\"half\": ", reason)]);
        let reply = send(&fake.url, &config()).unwrap();
        assert_eq!(
            (reply.stop_reason.as_str(), count.load(Ordering::SeqCst)),
            (reason, 1)
        );
    }
    // Cut off before its end: not complete, and not asked again blindly.
    let cut: Vec<_> = std::iter::once(start()).chain(text("half")).collect();
    let (fake, count) = script(vec![stream_of(&cut)]);
    let reply = send(&fake.url, &config()).unwrap();
    assert!(!reply.complete && count.load(Ordering::SeqCst) == 1);
}

#[test]
fn answers_that_are_none_are_refused_in_a_sentence() {
    let error = |kind: &str, words: &str| {
        json!({"type": "error", "error": {"type": kind, "message": words}, "request_id": "r"})
            .to_string()
    };
    let tool = |index: u64, id: &str| {
        (
            "content_block_start",
            json!({"index": index, "content_block": {"type": "tool_use", "id": id, "name": "view", "input": {}}}),
        )
    };
    let twice: Vec<_> = vec![start(), tool(0, "a"), tool(1, "a")]
        .into_iter()
        .chain(stop("tool_use"))
        .collect();
    let broken: Vec<_> = vec![
        start(),
        tool(0, "a"),
        (
            "content_block_delta",
            json!({"index": 0, "delta": {"type": "input_json_delta", "partial_json": "{\"x\": 1"}}),
        ),
    ]
    .into_iter()
    .chain(stop("tool_use"))
    .collect();
    let late: Vec<_> = std::iter::once(start())
        .chain(text("a"))
        .chain([("error", json!({"type": "error", "error": {"type": "overloaded_error", "message": "too busy now"}}))])
        .collect();
    let huge = whole(&"x".repeat(300_000), "end_turn");
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (stream_of(&twice), "two tool calls"),
        (stream_of(&broken), "not JSON"),
        (stream_of(&late), "too busy now"),
        (stream_of(&[]), "before a message began"),
        (huge, "more than 200000 bytes"),
        (
            http(
                "200 OK",
                "",
                "application/json",
                &error("api_error", "inside out"),
            ),
            "inside out",
        ),
        (
            http("200 OK", "", "application/json", "{}"),
            "expected \"message\"",
        ),
        (
            http("200 OK", "", "text/html", "<html>login</html>"),
            "not JSON",
        ),
        (http("200 OK", "", "application/json", ""), "not JSON"),
        // A body that says it is compressed was not asked for and is not unpacked, however large it would become.
        (
            http(
                "200 OK",
                "content-encoding: gzip\r\n",
                "application/json",
                "\u{1f}\u{8b}\u{8}bomb",
            ),
            "not JSON",
        ),
        (
            http(
                "200 OK",
                "",
                "text/event-stream",
                "event: message_start\ndata: {oops\n\n",
            ),
            "not JSON",
        ),
    ];
    for (bytes, why) in cases {
        let (fake, count) = script(vec![bytes]);
        let m = send(&fake.url, &config()).unwrap_err().to_string();
        assert!(m.contains(why) && m.contains(&fake.url), "{why}: {m}");
        assert_eq!(count.load(Ordering::SeqCst), 1, "{why}");
    }
}

#[test]
fn statuses_are_tried_again_as_the_documentation_says() {
    let c = config();
    let error = |status: &str, extra: &str| {
        http(
            status,
            extra,
            "application/json",
            &json!({"type": "error", "error": {"message": "no luck"}}).to_string(),
        )
    };
    let tries = 1 + c.http.retries as usize;
    let cases: Vec<(Vec<u8>, usize)> = vec![
        (error("400 Bad Request", ""), 1),
        (error("401 Unauthorized", ""), 1),
        (error("402 Payment Required", ""), 1),
        (error("403 Forbidden", ""), 1),
        (error("404 Not Found", ""), 1),
        (error("409 Conflict", ""), tries),
        (
            http(
                "413 Payload Too Large",
                "",
                "text/html",
                "<html>cloud</html>",
            ),
            1,
        ),
        (error("429 Too Many Requests", ""), 1),
        (error("429 Too Many Requests", "retry-after: 0\r\n"), tries),
        (
            error("429 Too Many Requests", "retry-after-ms: 5\r\n"),
            tries,
        ),
        (
            error(
                "429 Too Many Requests",
                "date: Sat, 21 Nov 2026 10:00:00 GMT\r\nretry-after: Sat, 21 Nov 2026 10:00:00 GMT\r\n",
            ),
            tries,
        ),
        (error("429 Too Many Requests", "retry-after: 3600\r\n"), 1),
        (error("500 Internal Server Error", ""), tries),
        (error("504 Gateway Timeout", ""), tries),
        (error("529 Overloaded", ""), tries),
        (error("529 Overloaded", "x-should-retry: false\r\n"), 1),
        (error("302 Found", "location: http://127.0.0.1:1/\r\n"), 1),
    ];
    for (bytes, asked) in cases {
        let head = String::from_utf8_lossy(&bytes[..60]).into_owned();
        let (fake, count) = script(vec![bytes]);
        let e = send(&fake.url, &c).unwrap_err();
        assert!(matches!(e, ProviderError::Status { .. }), "{head}: {e}");
        assert_eq!(count.load(Ordering::SeqCst), asked, "{head}");
    }
    // What passes, passes.
    let (fake, count) = script(vec![
        error("529 Overloaded", ""),
        error("500 Oops", ""),
        whole("ok", "end_turn"),
    ]);
    let reply = send(&fake.url, &c).unwrap();
    assert_eq!(
        (
            reply.text().as_str(),
            reply.attempts,
            count.load(Ordering::SeqCst)
        ),
        ("ok", 3, 3)
    );
}

#[test]
fn a_service_that_is_not_there_or_says_nothing_is_left() {
    let mut c = config();
    c.http.retries = 0;
    (c.http.stall_s, c.http.connect_s, c.http.request_s) = (0.6, 2.0, 3.0);
    let begin = Instant::now();
    // Nobody listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let m = send(&format!("http://127.0.0.1:{port}"), &c)
        .unwrap_err()
        .to_string();
    assert!(m.contains("127.0.0.1"), "{m}");
    // No such name; the name stands on the list so that it is asked for at all.
    c.endpoints.allow_hosts = vec!["nobody.invalid".into()];
    assert!(matches!(
        send("https://nobody.invalid", &c).unwrap_err(),
        ProviderError::Transport { .. }
    ));
    // No TLS behind https.
    let (plain, _) = script(vec![whole("x", "end_turn")]);
    let m = send(&plain.url.replace("http://", "https://"), &c).unwrap_err();
    assert!(matches!(m, ProviderError::Transport { .. }), "{m}");
    // Silence before the first byte, and in the middle.
    let mute = Fake::serve(|_, _| {
        std::thread::sleep(Duration::from_secs(4));
        Vec::new()
    });
    assert!(matches!(
        send(&mute.url, &c).unwrap_err(),
        ProviderError::Transport { .. }
    ));
    let promised = Fake::serve(|_, _| {
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 99999\r\n\r\nevent: ping\ndata: {}\n\n".to_vec()
    });
    assert!(send(&promised.url, &c).is_err());
    // Closed without a word.
    let rude = Fake::serve(|_, _| Vec::new());
    assert!(matches!(
        send(&rude.url, &c).unwrap_err(),
        ProviderError::Transport { .. }
    ));
    assert!(begin.elapsed().as_secs_f64() < 20.0);
}

#[test]
fn keys_never_come_back_out() {
    let c = config();
    let key = "sk-secret-abcdef";
    let echo = Fake::serve(|head, _| {
        http(
            "401 Unauthorized",
            "",
            "application/json",
            &json!({"error": {"message": format!("bad request: {head}")}}).to_string(),
        )
    });
    let provider =
        sojourn_planner::model::Anthropic::new(&echo.url, "m", None, Some(key.into()), &c).unwrap();
    let cancel = AtomicBool::new(false);
    let watch = Watch {
        cancel: &cancel,
        progress: &|_| {},
    };
    let m = sojourn_planner::Provider::send(&provider, &question(), &watch)
        .unwrap_err()
        .to_string();
    assert!(m.contains("[key]") && !m.contains(key), "{m}");
}

#[test]
fn local_servers_with_their_ways_are_read() {
    let c = config();
    let ok = json!({"id": "c", "model": "edge", "choices": [{"message": {"content": "{\"cells\": []}"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 9, "completion_tokens": 2}});
    let parts = json!({"choices": [{"message": {"content": [{"type": "text", "text": "{}"}]}, "finish_reason": "length"}]});
    for (body, text, stop) in [
        (&ok, "{\"cells\": []}", "end_turn"),
        (&parts, "{}", "max_tokens"),
    ] {
        let (fake, _) = script(vec![http(
            "200 OK",
            "",
            "application/json",
            &body.to_string(),
        )]);
        let reply = send(&format!("openai:{}/v1", fake.url), &c).unwrap();
        assert_eq!(
            (reply.text().as_str(), reply.stop_reason.as_str()),
            (text, stop)
        );
        assert!(fake.heads.lock().unwrap()[0].starts_with("POST /v1/chat/completions "));
    }
    for (body, why) in [
        (
            json!({"error": {"message": "model has no vision"}}).to_string(),
            "no vision",
        ),
        (
            json!({"error": "context overflow"}).to_string(),
            "context overflow",
        ),
        ("{}".to_string(), "no choice"),
        ("oops".to_string(), "not JSON"),
    ] {
        let (fake, _) = script(vec![http("200 OK", "", "application/json", &body)]);
        let m = send(&format!("openai:{}/v1", fake.url), &c)
            .unwrap_err()
            .to_string();
        assert!(m.contains(why), "{m}");
    }
}
