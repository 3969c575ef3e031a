//! OpenAI-compatible servers (vLLM, Ollama, llama.cpp, LM Studio): chat completions with a schema, not streamed.

use super::config::ModelConfig;
use super::provider::{Provider, ProviderError, Skill, Watch, allowed_host};
use super::transport::{Headers, Http, Sink};
use super::turn::{Block, Picture, Reply, Request, Role, Usage};
use base64::Engine;
use serde_json::{Value, json};

/// An OpenAI-compatible server.
pub struct OpenAi {
    http: Http,
    model: String,
}

impl OpenAi {
    /// A server by its base URL (with `/v1`), the model to ask for, and a key where it wants one.
    ///
    /// # Errors
    /// [`ProviderError::Spec`] when the endpoint is not allowed.
    pub fn new(
        base: &str,
        model: &str,
        key: Option<String>,
        config: &ModelConfig,
    ) -> Result<Self, ProviderError> {
        allowed_host(base, &config.endpoints.allow_hosts)?;
        let headers = key.map(|k| ("authorization", format!("Bearer {k}")));
        Ok(Self {
            http: Http::new(
                base,
                Headers(headers.into_iter().collect()),
                config.http.clone(),
                &config.endpoints.ca_file,
            )?,
            model: model.to_string(),
        })
    }
}

impl Provider for OpenAi {
    fn name(&self) -> String {
        format!("openai:{}", self.http.base())
    }

    fn model(&self) -> &str {
        &self.model
    }

    fn skill(&self) -> Skill {
        Skill::Reduced
    }

    fn send(&self, request: &Request, watch: &Watch<'_>) -> Result<Reply, ProviderError> {
        let mut sink = Completion::default();
        let done = self.http.post(
            "/chat/completions",
            &body(request).to_string(),
            watch,
            &mut sink,
        )?;
        let mut reply = sink.0.ok_or_else(|| ProviderError::Answer {
            endpoint: self.name(),
            why: "it is a stream, which was not asked for".into(),
        })?;
        if reply.request_id.is_empty() {
            reply.request_id = done.request_id;
        }
        (reply.seconds, reply.attempts) = (done.seconds, done.attempts);
        Ok(reply)
    }
}

fn image(p: &Picture) -> Value {
    let data = base64::engine::general_purpose::STANDARD.encode(&p.png);
    // Inline, never a URL: the server fetches nothing.
    json!({"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{data}")}})
}

/// The request's body. Tools are not offered: small models call them badly.
#[must_use]
pub fn body(request: &Request) -> Value {
    let mut messages = vec![json!({"role": "system", "content": request.system})];
    for m in &request.messages {
        let content: Vec<Value> = m
            .blocks
            .iter()
            .filter_map(|b| match b {
                Block::Text(t) => Some(json!({"type": "text", "text": t})),
                Block::Image(p) => Some(image(p)),
                _ => None,
            })
            .collect();
        messages.push(match m.role {
            Role::User => json!({"role": "user", "content": content}),
            // A string: some servers take nothing else from the model's side.
            Role::Assistant => json!({"role": "assistant", "content": content
                .iter()
                .filter_map(|c| c["text"].as_str())
                .collect::<String>()}),
        });
    }
    json!({
        "model": request.model,
        "messages": messages,
        "response_format": {"type": "json_schema", "json_schema": {
            "name": request.format.0, "strict": true, "schema": request.format.1.as_ref()
        }},
        "temperature": 0,
        "seed": 1,
        "max_tokens": request.max_tokens,
        "stream": false,
    })
}

#[derive(Default)]
struct Completion(Option<Reply>);

impl Sink for Completion {
    fn start(&mut self) {
        self.0 = None;
    }

    fn event(&mut self, _: &str, _: &str) -> Result<(), String> {
        Err("it is a stream, which was not asked for".into())
    }

    fn body(&mut self, text: &str) -> Result<(), String> {
        let v: Value = serde_json::from_str(text).map_err(|e| format!("it is not JSON ({e})"))?;
        // Some servers say 200 and put the error into the body.
        if let Some(error) = v.get("error").filter(|e| !e.is_null()) {
            let why = error["message"]
                .as_str()
                .or(error.as_str())
                .unwrap_or("no reason given");
            return Err(format!("the server reports \"{}\"", super::plain(why, 200)));
        }
        let choice = v
            .pointer("/choices/0")
            .ok_or("it holds no choice, expected choices[0].message.content")?;
        let content = match &choice["message"]["content"] {
            Value::String(s) => s.clone(),
            Value::Array(parts) => parts.iter().filter_map(|p| p["text"].as_str()).collect(),
            _ => String::new(),
        };
        let stop_reason = match choice["finish_reason"].as_str() {
            Some("stop") => "end_turn",
            Some("length") => "max_tokens",
            Some("tool_calls" | "function_call") => "tool_use",
            Some("content_filter") => "refusal",
            Some(other) => other,
            None => "missing",
        };
        let tokens = |key: &str| v["usage"][key].as_u64().unwrap_or(0);
        self.0 = Some(Reply {
            blocks: vec![Block::Text(content)],
            stop_reason: super::plain(stop_reason, 40),
            refusal: choice["message"]["refusal"]
                .as_str()
                .map(|r| super::plain(r, 40)),
            model: super::plain(v["model"].as_str().unwrap_or_default(), 80),
            usage: Usage {
                input: tokens("prompt_tokens"),
                output: tokens("completion_tokens"),
                ..Usage::default()
            },
            request_id: super::plain(v["id"].as_str().unwrap_or_default(), 80),
            complete: true,
            seconds: 0.0,
            attempts: 1,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_servers_are_read() {
        let mut c = Completion::default();
        c.body(r#"{"id":"c1","model":"m","choices":[{"message":{"content":"{}"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2}}"#).unwrap();
        let r = c.0.take().unwrap();
        assert!(r.stop_reason == "end_turn" && r.text() == "{}" && r.usage.prompt() == 9);
        for (reason, expected) in [
            ("length", "max_tokens"),
            ("content_filter", "refusal"),
            ("odd", "odd"),
        ] {
            c.body(&format!(
                r#"{{"choices":[{{"message":{{"content":"x"}},"finish_reason":"{reason}"}}]}}"#
            ))
            .unwrap();
            assert_eq!(c.0.take().unwrap().stop_reason, expected);
        }
        for bad in [
            "",
            "{}",
            r#"{"error":{"message":"no vision"}}"#,
            r#"{"error":"overflow"}"#,
            r#"{"choices":[]}"#,
        ] {
            assert!(c.body(bad).is_err(), "{bad}");
        }
    }
}
