//! The Messages API, streamed.

use super::capabilities::Capabilities;
use super::config::ModelConfig;
use super::provider::{Provider, ProviderError, Skill, Watch, allowed_host};
use super::transport::{Headers, Http, Sink};
use super::turn::{Block, Message, Reply, Request, Role, Usage};
use base64::Engine;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// An endpoint of the Messages API.
pub struct Anthropic {
    http: Http,
    model: String,
}

impl Anthropic {
    /// An endpoint by its base URL (without `/v1`), the model to ask for, and a key or a bearer token.
    ///
    /// # Errors
    /// [`ProviderError::Spec`] when the endpoint is not allowed.
    pub fn new(
        base: &str,
        model: &str,
        key: Option<String>,
        token: Option<String>,
        config: &ModelConfig,
    ) -> Result<Self, ProviderError> {
        allowed_host(base, &config.endpoints.allow_hosts)?;
        let mut headers = vec![("anthropic-version", "2023-06-01".to_string())];
        if let Some(key) = key {
            headers.push(("x-api-key", key));
        } else if let Some(token) = token {
            headers.push(("authorization", format!("Bearer {token}")));
        }
        Ok(Self {
            http: Http::new(
                base,
                Headers(headers),
                config.http.clone(),
                &config.endpoints.ca_file,
            )?,
            model: model.to_string(),
        })
    }
}

impl Anthropic {
    fn unread(&self, why: &str) -> ProviderError {
        ProviderError::Answer {
            endpoint: self.http.base().to_string(),
            why: self.http.redact(why),
        }
    }
}

impl Provider for Anthropic {
    fn name(&self) -> String {
        self.http.base().to_string()
    }

    fn model(&self) -> &str {
        &self.model
    }

    fn skill(&self) -> Skill {
        Skill::Whole
    }

    fn capabilities(
        &self,
        model: &str,
        watch: &Watch<'_>,
    ) -> Result<Option<Capabilities>, ProviderError> {
        let name = model
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.:@".contains(c));
        if !name {
            // Nothing that could lead elsewhere goes into a path.
            return Ok(None);
        }
        let body = self
            .http
            .once(&format!("/v1/models/{model}"), None, watch)?;
        Capabilities::of_body(&body, model)
            .map(Some)
            .map_err(|why| self.unread(&why))
    }

    fn count(&self, request: &Request, watch: &Watch<'_>) -> Result<Option<u64>, ProviderError> {
        let mut question = body(request);
        if let Some(fields) = question.as_object_mut() {
            // What is about the answer is not part of the question.
            fields.remove("max_tokens");
            fields.remove("stream");
        }
        let path = "/v1/messages/count_tokens";
        let counted = self.http.once(path, Some(&question.to_string()), watch)?;
        match counted["input_tokens"].as_u64() {
            Some(n) => Ok(Some(n)),
            None => Err(self.unread("it holds no input_tokens")),
        }
    }

    fn send(&self, request: &Request, watch: &Watch<'_>) -> Result<Reply, ProviderError> {
        let mut assembler = Assembler::default();
        let done = self.http.post(
            "/v1/messages",
            &body(request).to_string(),
            watch,
            &mut assembler,
        )?;
        let mut reply = assembler.reply().map_err(|why| self.unread(&why))?;
        if reply.request_id.is_empty() {
            reply.request_id = done.request_id;
        }
        (reply.seconds, reply.attempts) = (done.seconds, done.attempts);
        Ok(reply)
    }
}

/// The request's body.
#[must_use]
pub fn body(request: &Request) -> Value {
    let mut messages: Vec<Value> = request.messages.iter().map(message).collect();
    // The beginning stays the same through a conversation: the service keeps it, and everything up to the last message.
    for at in [0, messages.len().saturating_sub(1)] {
        if let Some(last) = messages
            .get_mut(at)
            .and_then(|m| m["content"].as_array_mut())
            .and_then(|c| c.last_mut())
        {
            last["cache_control"] = json!({"type": "ephemeral"});
        }
    }
    let mut out = json!({
        "model": request.model,
        "max_tokens": request.max_tokens,
        "stream": true,
        "system": [{"type": "text", "text": request.system, "cache_control": {"type": "ephemeral"}}],
        "messages": messages,
        "output_config": {
            "effort": request.effort,
            "format": {"type": "json_schema", "schema": request.format.1.as_ref()}
        },
    });
    if !request.tools.is_empty() {
        out["tools"] = request
            .tools
            .iter()
            .map(|t| json!({"name": t.name, "description": t.description, "strict": true, "input_schema": t.schema}))
            .collect();
    }
    out
}

fn message(m: &Message) -> Value {
    let role = match m.role {
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    json!({"role": role, "content": m.blocks.iter().map(block).collect::<Vec<_>>()})
}

fn image(p: &super::turn::Picture) -> Value {
    json!({
        "type": "image",
        "source": {
            "type": "base64",
            "media_type": "image/png",
            "data": base64::engine::general_purpose::STANDARD.encode(&p.png)
        },
        // A picture that is scaled on the way would shift every coordinate.
        "transformations": {"oversized_image": "error"}
    })
}

fn block(b: &Block) -> Value {
    match b {
        Block::Text(t) => json!({"type": "text", "text": t}),
        Block::Image(p) => image(p),
        Block::ToolUse { id, name, input } => {
            json!({"type": "tool_use", "id": id, "name": name, "input": input})
        }
        Block::ToolResult {
            id,
            ok,
            body,
            image: picture,
        } => {
            let mut content = vec![json!({"type": "text", "text": body.to_string()})];
            content.extend(picture.as_deref().map(image));
            json!({"type": "tool_result", "tool_use_id": id, "is_error": !ok, "content": content})
        }
        Block::Opaque(v) => v.clone(),
    }
}

/// Puts a streamed message together.
#[derive(Default)]
struct Assembler {
    begun: bool,
    ended: bool,
    id: String,
    model: String,
    stop: Option<String>,
    refusal: Option<String>,
    usage: Usage,
    /// Blocks by index: the start, and what was added to it.
    blocks: BTreeMap<u64, (Value, String)>,
    whole: Option<Vec<Value>>,
}

impl Sink for Assembler {
    fn start(&mut self) {
        *self = Self::default();
    }

    fn event(&mut self, name: &str, data: &str) -> Result<(), String> {
        if self.ended {
            return Ok(());
        }
        let known = [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
            "error",
        ];
        // The service may add events at any time; pings are among those that mean nothing.
        if !known.contains(&name) {
            return Ok(());
        }
        let v: Value = serde_json::from_str(data)
            .map_err(|e| format!("the data of an event {name} is not JSON ({e})"))?;
        match name {
            "message_start" => {
                self.begun = true;
                self.take_head(&v["message"]);
            }
            "content_block_start" => {
                let index = index(&v)?;
                self.blocks
                    .insert(index, (v["content_block"].clone(), String::new()));
            }
            "content_block_delta" => self.delta(&v)?,
            "message_delta" => {
                if let Some(stop) = v.pointer("/delta/stop_reason").and_then(Value::as_str) {
                    self.stop = Some(stop.to_string());
                }
                self.take_refusal(&v["delta"]);
                take_usage(&mut self.usage, &v["usage"]);
            }
            "message_stop" => self.ended = true,
            "error" => {
                let why = v
                    .pointer("/error/message")
                    .and_then(Value::as_str)
                    .unwrap_or("no reason given");
                return Err(format!("the service broke off: {}", super::plain(why, 200)));
            }
            _ => {}
        }
        Ok(())
    }

    fn body(&mut self, text: &str) -> Result<(), String> {
        let v: Value = serde_json::from_str(text).map_err(|e| format!("it is not JSON ({e})"))?;
        match v["type"].as_str() {
            Some("message") => {}
            Some("error") => {
                let why = v.pointer("/error/message").and_then(Value::as_str);
                return Err(format!(
                    "the service reports \"{}\"",
                    super::plain(why.unwrap_or("no reason given"), 200)
                ));
            }
            other => {
                return Err(format!(
                    "its type is \"{}\", expected \"message\"",
                    super::plain(other.unwrap_or("missing"), 40)
                ));
            }
        }
        self.take_head(&v);
        self.stop = v["stop_reason"].as_str().map(str::to_string);
        self.take_refusal(&v);
        self.whole = Some(v["content"].as_array().cloned().unwrap_or_default());
        (self.begun, self.ended) = (true, true);
        Ok(())
    }
}

impl Assembler {
    fn take_head(&mut self, v: &Value) {
        let text = |key: &str| v[key].as_str().unwrap_or_default().to_string();
        (self.id, self.model) = (text("id"), text("model"));
        take_usage(&mut self.usage, &v["usage"]);
    }

    fn take_refusal(&mut self, v: &Value) {
        if let Some(category) = v.pointer("/stop_details/category").and_then(Value::as_str) {
            self.refusal = Some(super::plain(category, 40));
        }
    }

    fn delta(&mut self, v: &Value) -> Result<(), String> {
        let index = index(v)?;
        let Some((block, added)) = self.blocks.get_mut(&index) else {
            return Err(format!("block {index} goes on before it began"));
        };
        let delta = &v["delta"];
        let append = |block: &mut Value, key: &str| {
            let was = block[key].as_str().unwrap_or_default();
            block[key] = json!(format!("{was}{}", delta[key].as_str().unwrap_or_default()));
        };
        match delta["type"].as_str() {
            Some("text_delta") => append(block, "text"),
            Some("thinking_delta") => append(block, "thinking"),
            Some("signature_delta") => append(block, "signature"),
            Some("input_json_delta") => {
                added.push_str(delta["partial_json"].as_str().unwrap_or_default());
            }
            // Kinds that are not known here carry nothing that is used here.
            _ => {}
        }
        Ok(())
    }

    fn reply(self) -> Result<Reply, String> {
        if !self.begun {
            return Err("the stream ended before a message began".into());
        }
        let mut blocks = Vec::new();
        let streamed = self.blocks.into_values().map(|(mut v, added)| {
            if v["type"] == "tool_use" && !added.is_empty() {
                v["input"] = serde_json::from_str(&added)
                    .map_err(|e| format!("the arguments of a tool call are not JSON ({e})"))?;
            }
            Ok::<Value, String>(v)
        });
        let all: Vec<Value> = match self.whole {
            Some(all) => all,
            // Half a tool call is no tool call.
            None if !self.ended => streamed.filter_map(Result::ok).collect(),
            None => streamed.collect::<Result<_, _>>()?,
        };
        let mut ids = std::collections::BTreeSet::new();
        for v in all {
            let text = |key: &str| v[key].as_str().map(str::to_string);
            // By type, never by position: thinking comes first, and texts may be several.
            blocks.push(match v["type"].as_str() {
                Some("text") => Block::Text(text("text").unwrap_or_default()),
                Some("tool_use") => {
                    let id = text("id").ok_or("a tool call has no id")?;
                    if !ids.insert(id.clone()) {
                        return Err(format!(
                            "two tool calls are called \"{}\"",
                            super::plain(&id, 60)
                        ));
                    }
                    Block::ToolUse {
                        id,
                        name: text("name").ok_or("a tool call has no name")?,
                        input: v["input"].clone(),
                    }
                }
                _ => Block::Opaque(v),
            });
        }
        Ok(Reply {
            blocks,
            stop_reason: self.stop.unwrap_or_default(),
            refusal: self.refusal,
            model: super::plain(&self.model, 80),
            usage: self.usage,
            request_id: super::plain(&self.id, 80),
            complete: self.ended,
            seconds: 0.0,
            attempts: 1,
        })
    }
}

fn index(v: &Value) -> Result<u64, String> {
    v["index"]
        .as_u64()
        .ok_or_else(|| "an event names no block".to_string())
}

fn take_usage(usage: &mut Usage, v: &Value) {
    for (key, to) in [
        ("input_tokens", &mut usage.input),
        ("output_tokens", &mut usage.output),
        ("cache_read_input_tokens", &mut usage.cache_read),
        ("cache_creation_input_tokens", &mut usage.cache_write),
    ] {
        if let Some(n) = v[key].as_u64() {
            *to = n;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(events: &[(&str, &str)]) -> Result<Reply, String> {
        let mut a = Assembler::default();
        for (name, data) in events {
            a.event(name, data)?;
        }
        a.reply()
    }

    #[test]
    fn a_stream_becomes_a_message() {
        let reply = fed(&[
            ("message_start", r#"{"message":{"id":"m1","model":"x-1","usage":{"input_tokens":10,"cache_read_input_tokens":5}}}"#),
            ("ping", "{}"),
            ("content_block_start", r#"{"index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#),
            ("content_block_start", r#"{"index":2,"content_block":{"type":"tool_use","id":"b","name":"view","input":{}}}"#),
            ("content_block_start", r#"{"index":1,"content_block":{"type":"tool_use","id":"a","name":"sample","input":{}}}"#),
            // Two calls at once, one of them split within a number.
            ("content_block_delta", r#"{"index":1,"delta":{"type":"input_json_delta","partial_json":"{\"x\": 1"}}"#),
            ("content_block_delta", r#"{"index":2,"delta":{"type":"input_json_delta","partial_json":"{\"y\":"}}"#),
            ("content_block_delta", r#"{"index":1,"delta":{"type":"input_json_delta","partial_json":"2.5}"}}"#),
            ("content_block_delta", r#"{"index":2,"delta":{"type":"input_json_delta","partial_json":"3}"}}"#),
            ("content_block_delta", r#"{"index":0,"delta":{"type":"signature_delta","signature":"abc"}}"#),
            ("something_new", "not json"),
            ("content_block_stop", r#"{"index":0}"#),
            ("message_delta", r#"{"delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":7}}"#),
            ("message_stop", "{}"),
        ])
        .unwrap();
        assert_eq!(reply.stop_reason, "tool_use");
        assert!(reply.complete && reply.usage.prompt() == 15 && reply.usage.output == 7);
        assert_eq!(
            reply.blocks[1],
            Block::ToolUse {
                id: "a".into(),
                name: "sample".into(),
                input: json!({"x": 12.5})
            }
        );
        assert!(matches!(&reply.blocks[0], Block::Opaque(v) if v["signature"] == "abc"));
        assert_eq!(reply.blocks.len(), 3);
    }

    #[test]
    fn what_is_broken_is_told() {
        let start = ("message_start", r#"{"message":{"id":"m","model":"x"}}"#);
        let tool = |id: &str| {
            format!(
                r#"{{"index":{},"content_block":{{"type":"tool_use","id":"a","name":"n","input":{{}}}}}}"#,
                id
            )
        };
        assert!(fed(&[]).unwrap_err().contains("before a message"));
        assert!(!fed(&[start]).unwrap().complete);
        let (one, two) = (tool("0"), tool("1"));
        let twice = fed(&[
            start,
            ("content_block_start", &one),
            ("content_block_start", &two),
            ("message_stop", "{}"),
        ]);
        assert!(twice.unwrap_err().contains("two tool calls"));
        let error = fed(&[
            start,
            (
                "error",
                r#"{"error":{"type":"overloaded_error","message":"too busy"}}"#,
            ),
        ]);
        assert!(error.unwrap_err().contains("too busy"));
        assert!(
            fed(&[start, ("content_block_delta", r#"{"index":4,"delta":{}}"#)])
                .unwrap_err()
                .contains("before it began")
        );
        assert!(
            fed(&[("message_start", "{")])
                .unwrap_err()
                .contains("not JSON")
        );
        let mut a = Assembler::default();
        for bad in [
            "",
            "[]",
            r#"{"error":{}}"#,
            r#"{"type":"error","error":{"message":"no"}}"#,
        ] {
            assert!(a.body(bad).is_err(), "{bad}");
        }
    }
}
