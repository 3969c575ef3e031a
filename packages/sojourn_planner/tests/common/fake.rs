//! A test double of model services on loopback: it answers like a model of a certain character. It is no model.

#[path = "fake/policy.rs"]
mod policy;

use policy::turn;
use serde_json::{Value, json};
use sojourn_core::geometry::Xy;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Sees everything that is there, chooses well, claims what is measured.
    Perfect,
    /// Labels nothing, claims nothing, takes the first candidate.
    Lazy,
    /// Drives straight and claims that all is well.
    Liar,
    /// Counts y from below.
    YFlipper,
    /// Gives coordinates of a picture three quarters as large.
    ScaleCheater,
    /// Repeats instructions that it "read on the map" and asks for tools that there are none of.
    Injector,
    /// Never stops asking for tools.
    Looper,
    /// Declines everything.
    Refuser,
    /// Says nothing at all.
    Slow,
    /// Is cut off in the middle of every answer.
    Truncating,
}

/// What really is on the ground: class, outline in the conversation's metres, risk.
pub type Truth = Vec<(&'static str, Vec<Xy>, u8)>;

/// A running double.
pub struct Fake {
    /// Base URL of the Messages API.
    pub url: String,
    /// Bodies of all requests so far that a service would be paid for.
    pub requests: Arc<Mutex<Vec<Value>>>,
    /// Heads of all requests so far.
    pub heads: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    /// Starts one; it ends with the program.
    pub fn start(policy: Policy, truth: Truth) -> Self {
        Self::serve(move |head, body| {
            if head.starts_with("GET /v1/models/") {
                return about(head);
            }
            if head.starts_with("POST /v1/messages/count_tokens") {
                let counted = json!({"input_tokens": body.to_string().len() / 4000});
                return http("200 OK", "", "application/json", &counted.to_string());
            }
            if policy == Policy::Slow {
                std::thread::sleep(Duration::from_secs(5));
                return Vec::new();
            }
            if head.starts_with("POST /v1/chat/completions") {
                return completion(policy, &truth, body);
            }
            message(policy, &truth, body)
        })
    }

    /// Starts one that answers with these bytes to every request.
    pub fn serve(answer: impl Fn(&str, &Value) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (seen, seen_heads) = (Arc::clone(&requests), Arc::clone(&heads));
        let answer = Arc::new(answer);
        std::thread::Builder::new()
            .name("double".into())
            .spawn(move || {
                for stream in listener.incoming().flatten() {
                    let (seen, seen_heads, answer) = (
                        Arc::clone(&seen),
                        Arc::clone(&seen_heads),
                        Arc::clone(&answer),
                    );
                    std::thread::Builder::new()
                        .name("double".into())
                        .spawn(move || {
                            let mut stream = stream;
                            let Some((head, body)) = read_request(&mut stream) else {
                                return;
                            };
                            let spends = !head.starts_with("GET") && !head.contains("count_tokens");
                            if spends {
                                seen.lock().unwrap().push(body.clone());
                            }
                            seen_heads.lock().unwrap().push(head.clone());
                            let bytes = answer(&head, &body);
                            // In odd pieces, so that letters and numbers are split.
                            for chunk in bytes.chunks(37) {
                                if stream.write_all(chunk).is_err() {
                                    return;
                                }
                            }
                            let _ = stream.flush();
                        })
                        .unwrap();
                }
            })
            .unwrap();
        Self {
            url,
            requests,
            heads,
        }
    }
}

/// What the double says of the model in the path.
fn about(head: &str) -> Vec<u8> {
    let model = head
        .split(' ')
        .nth(1)
        .and_then(|path| path.rsplit('/').next())
        .unwrap_or_default();
    let body = json!({"type": "model", "id": model, "display_name": "A test double", "max_input_tokens": 1_000_000,
        "max_tokens": 128_000, "capabilities": {"image_input": {"supported": true}, "structured_outputs": {"supported": true}}});
    http("200 OK", "", "application/json", &body.to_string())
}

fn read_request(stream: &mut TcpStream) -> Option<(String, Value)> {
    let mut bytes = Vec::new();
    let mut chunk = [0u8; 65536];
    let end = loop {
        let n = stream.read(&mut chunk).ok()?;
        if n == 0 {
            return None;
        }
        bytes.extend_from_slice(&chunk[..n]);
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let length: usize = head
        .lines()
        .find_map(|l| {
            l.to_ascii_lowercase()
                .strip_prefix("content-length:")
                .map(str::trim)
                .map(str::to_string)
        })
        .and_then(|v| v.parse().ok())
        .unwrap_or(0);
    while bytes.len() < end + length {
        let n = stream.read(&mut chunk).ok()?;
        if n == 0 {
            return None;
        }
        bytes.extend_from_slice(&chunk[..n]);
    }
    let body = serde_json::from_slice(&bytes[end..]).unwrap_or(Value::Null);
    Some((head, body))
}

/// An answer over HTTP.
pub fn http(status: &str, extra: &str, kind: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\n{extra}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Events of a stream.
pub fn events(list: &[(&str, Value)]) -> String {
    list.iter()
        .map(|(name, data)| format!("event: {name}\ndata: {data}\n\n"))
        .collect()
}

/// What the double says in one turn.
enum Say {
    Text(String),
    Tools(Vec<(String, &'static str, Value)>),
    Stop(&'static str),
}

/// Tokens of a question that was answered: the more the longer it is, pictures among it, and never so few that part of it
/// seems to be dropped.
fn tokens(body: &Value) -> usize {
    body.to_string().len() / 4
}

/// The stream of a message.
fn stream(model: &str, asked: usize, say: &Say) -> Vec<u8> {
    let mut list = vec![
        (
            "message_start",
            json!({"type": "message_start", "message": {"id": "msg_double", "type": "message", "role": "assistant", "model": model, "content": [], "usage": {"input_tokens": asked, "output_tokens": 1}}}),
        ),
        (
            "content_block_start",
            json!({"index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}}),
        ),
        (
            "content_block_delta",
            json!({"index": 0, "delta": {"type": "signature_delta", "signature": "ZG91Ymxl"}}),
        ),
        ("content_block_stop", json!({"index": 0})),
        ("ping", json!({"type": "ping"})),
    ];
    let stop = match say {
        Say::Text(text) => {
            list.push((
                "content_block_start",
                json!({"index": 1, "content_block": {"type": "text", "text": ""}}),
            ));
            let letters: Vec<char> = text.chars().collect();
            for piece in letters.chunks(400) {
                let piece: String = piece.iter().collect();
                list.push((
                    "content_block_delta",
                    json!({"index": 1, "delta": {"type": "text_delta", "text": piece}}),
                ));
            }
            list.push(("content_block_stop", json!({"index": 1})));
            "end_turn"
        }
        Say::Tools(calls) => {
            for (k, (id, name, input)) in calls.iter().enumerate() {
                let index = k + 1;
                list.push(("content_block_start", json!({"index": index, "content_block": {"type": "tool_use", "id": id, "name": name, "input": {}}})));
                let text = input.to_string();
                let (a, b) = text.split_at(text.len() / 2);
                for part in [a, b] {
                    list.push(("content_block_delta", json!({"index": index, "delta": {"type": "input_json_delta", "partial_json": part}})));
                }
                list.push(("content_block_stop", json!({"index": index})));
            }
            "tool_use"
        }
        Say::Stop("max_tokens") => {
            list.push(("content_block_start", json!({"index": 1, "content_block": {"type": "text", "text": "{\"summary\": \"the gro"}})));
            "max_tokens"
        }
        Say::Stop(reason) => reason,
    };
    let mut delta = json!({"stop_reason": stop});
    if stop == "refusal" {
        delta["stop_details"] =
            json!({"type": "refusal", "category": "general_harms", "explanation": "no"});
    }
    list.push((
        "message_delta",
        json!({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 200}}),
    ));
    list.push(("message_stop", json!({"type": "message_stop"})));
    http("200 OK", "", "text/event-stream", &events(&list))
}

fn message(policy: Policy, truth: &Truth, body: &Value) -> Vec<u8> {
    let model = body["model"].as_str().unwrap_or("none").to_string();
    let schema = &body["output_config"]["format"]["schema"]["properties"];
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    let said: Vec<Value> = messages
        .iter()
        .flat_map(|m| m["content"].as_array().cloned().unwrap_or_default())
        .collect();
    stream(&model, tokens(body), &turn(policy, truth, schema, &said))
}

fn completion(policy: Policy, truth: &Truth, body: &Value) -> Vec<u8> {
    let schema = &body["response_format"]["json_schema"]["schema"]["properties"];
    let said: Vec<Value> = body["messages"][1]["content"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let (content, reason) = match turn(policy, truth, schema, &said) {
        Say::Text(t) => (t, "stop"),
        Say::Stop("max_tokens") => ("{\"cells\": [".into(), "length"),
        Say::Stop(_) => (String::new(), "content_filter"),
        Say::Tools(_) => (String::new(), "tool_calls"),
    };
    let out = json!({"id": "cmpl_double", "model": body["model"], "choices": [{"message": {"role": "assistant", "content": content}, "finish_reason": reason}], "usage": {"prompt_tokens": 0, "completion_tokens": 50}});
    http("200 OK", "", "application/json", &out.to_string())
}
