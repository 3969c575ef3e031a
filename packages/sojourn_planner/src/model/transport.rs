//! HTTP with bounds: one request, its retries, a stream of events or a body, and nothing without an end.

use super::config::HttpLimits;
use super::provider::{ProviderError, Watch};
use super::retry::{Failure, after_s, pause_s};
use eventsource_stream::Eventsource;
use futures::StreamExt;
use reqwest::header::HeaderMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Secrets and where they go.
#[derive(Clone, Default)]
pub(crate) struct Headers(pub Vec<(&'static str, String)>);

impl Headers {
    /// A text without the secrets, for messages and records.
    pub fn redact(&self, text: &str) -> String {
        let mut out = text.to_string();
        for (_, value) in &self.0 {
            let secret = value.strip_prefix("Bearer ").unwrap_or(value);
            if secret.len() >= 4 {
                out = out.replace(secret, "[key]");
            }
        }
        out
    }
}

/// What takes an answer in as it comes.
pub(crate) trait Sink {
    /// A new attempt begins: everything so far is void.
    fn start(&mut self);
    /// An event of the stream. The error says what is wrong with it.
    fn event(&mut self, name: &str, data: &str) -> Result<(), String>;
    /// A whole body.
    fn body(&mut self, text: &str) -> Result<(), String>;
}

/// A body of JSON.
#[derive(Default)]
struct Whole(serde_json::Value);

impl Sink for Whole {
    fn start(&mut self) {
        self.0 = serde_json::Value::Null;
    }

    fn event(&mut self, _name: &str, _data: &str) -> Result<(), String> {
        Err("it is a stream, expected JSON".into())
    }

    fn body(&mut self, text: &str) -> Result<(), String> {
        self.0 = serde_json::from_str(text).map_err(|e| format!("it is not JSON ({e})"))?;
        Ok(())
    }
}

/// Figures of an answer.
pub(crate) struct Answered {
    pub request_id: String,
    pub attempts: u32,
    pub seconds: f64,
}

/// One endpoint.
pub(crate) struct Http {
    base: String,
    headers: Headers,
    limits: HttpLimits,
    ca_pem: Option<Vec<u8>>,
}

enum Trouble {
    Again(Failure, String),
    Final(ProviderError),
}

impl Http {
    pub fn new(
        base: &str,
        headers: Headers,
        limits: HttpLimits,
        ca_file: &str,
    ) -> Result<Self, ProviderError> {
        let ca_pem = if ca_file.is_empty() {
            None
        } else {
            Some(sojourn_core::files::read_bytes(
                std::path::Path::new(ca_file),
                1 << 20,
            )?)
        };
        Ok(Self {
            base: base.trim_end_matches('/').to_string(),
            headers,
            limits,
            ca_pem,
        })
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    pub fn redact(&self, text: &str) -> String {
        self.headers.redact(text)
    }

    fn client(&self) -> Result<reqwest::Client, ProviderError> {
        // The configuration's ranges keep these within what a duration holds.
        let seconds = |s: f64| Duration::try_from_secs_f64(s).unwrap_or(Duration::from_secs(60));
        let mut builder = reqwest::Client::builder()
            .connect_timeout(seconds(self.limits.connect_s))
            .read_timeout(seconds(self.limits.stall_s))
            .timeout(seconds(self.limits.request_s))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        if let Some(pem) = &self.ca_pem {
            let ca = reqwest::Certificate::from_pem(pem).map_err(|e| ProviderError::Spec {
                spec: "ca_file".into(),
                why: format!("is no certificate in PEM: {e}"),
            })?;
            builder = builder.add_root_certificate(ca);
        }
        builder.build().map_err(|e| self.broken(&words(&e)))
    }

    fn broken(&self, why: &str) -> ProviderError {
        ProviderError::Transport {
            endpoint: self.base.clone(),
            why: self.redact(why),
        }
    }

    /// Asks once and reads JSON: with a body it is posted. For what nothing depends on.
    pub fn once(
        &self,
        path: &str,
        body: Option<&str>,
        watch: &Watch<'_>,
    ) -> Result<serde_json::Value, ProviderError> {
        let runtime = self.runtime()?;
        let client = self.client()?;
        let mut whole = Whole::default();
        let run = self.attempt(&client, path, body, &mut whole);
        match runtime.block_on(until_cancelled(run, watch)) {
            None => Err(ProviderError::Cancelled),
            Some(Ok(_)) => Ok(whole.0),
            Some(Err(Trouble::Final(e))) => Err(e),
            Some(Err(Trouble::Again(failure, why))) => Err(self.failed(&failure, 1, &why)),
        }
    }

    fn runtime(&self) -> Result<tokio::runtime::Runtime, ProviderError> {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| self.broken(&e.to_string()))
    }

    fn failed(&self, failure: &Failure, attempts: u32, why: &str) -> ProviderError {
        let message = self.redact(&super::plain(why, 300));
        match failure.status {
            Some(status) => ProviderError::Status {
                endpoint: self.base.clone(),
                status,
                attempts,
                message,
            },
            None => self.broken(&message),
        }
    }

    /// Posts and reads, again where that may help.
    pub fn post(
        &self,
        path: &str,
        body: &str,
        watch: &Watch<'_>,
        sink: &mut dyn Sink,
    ) -> Result<Answered, ProviderError> {
        if body.len() > self.limits.max_request_bytes {
            return Err(self.broken(&format!(
                "the request has {} bytes, expected at most {}",
                body.len(),
                self.limits.max_request_bytes
            )));
        }
        let runtime = self.runtime()?;
        let client = self.client()?;
        let begin = Instant::now();
        let mut attempt = 0;
        loop {
            sink.start();
            let run = self.attempt(&client, path, Some(body), sink);
            let result = runtime.block_on(until_cancelled(run, watch));
            let (failure, why) = match result {
                None => return Err(ProviderError::Cancelled),
                Some(Ok(request_id)) => {
                    return Ok(Answered {
                        request_id,
                        attempts: attempt + 1,
                        seconds: begin.elapsed().as_secs_f64(),
                    });
                }
                Some(Err(Trouble::Final(e))) => return Err(e),
                Some(Err(Trouble::Again(failure, why))) => (failure, why),
            };
            // The middle of the jitter: one client does not need to be told apart from others.
            let Some(pause) = pause_s(&failure, attempt, 0.5, &self.limits) else {
                return Err(self.failed(&failure, attempt + 1, &why));
            };
            (watch.progress)(&format!("waiting {pause:.1} s before asking again"));
            // Made inside: a timer needs its runtime.
            let rest = async {
                tokio::time::sleep(Duration::try_from_secs_f64(pause).unwrap_or_default()).await
            };
            if runtime.block_on(until_cancelled(rest, watch)).is_none() {
                return Err(ProviderError::Cancelled);
            }
            attempt += 1;
        }
    }

    async fn attempt(
        &self,
        client: &reqwest::Client,
        path: &str,
        body: Option<&str>,
        sink: &mut dyn Sink,
    ) -> Result<String, Trouble> {
        let url = format!("{}{path}", self.base);
        let mut post = match body {
            Some(body) => client
                .post(url)
                .header("content-type", "application/json")
                .body(body.to_string()),
            None => client.get(url),
        };
        for (name, value) in &self.headers.0 {
            post = post.header(*name, value);
        }
        let lost = |e: reqwest::Error| Trouble::Again(Failure::default(), words(&e));
        let response = post.send().await.map_err(lost)?;
        let status = response.status();
        let head = response.headers().clone();
        let request_id = header(&head, "request-id").unwrap_or_default();
        let stream =
            header(&head, "content-type").is_some_and(|t| t.starts_with("text/event-stream"));
        let most = self.limits.max_answer_bytes;
        let seen = Arc::new(Mutex::new(0u64));
        let bytes = response.bytes_stream().map(move |chunk| {
            let chunk = chunk.map_err(|e| words(&e))?;
            let mut seen = seen.lock().map_err(|e| e.to_string())?;
            *seen += chunk.len() as u64;
            if *seen > most {
                return Err(format!("the answer has more than {most} bytes"));
            }
            Ok(chunk)
        });
        let unread = |why: String| {
            Trouble::Final(ProviderError::Answer {
                endpoint: self.base.clone(),
                why: self.redact(&super::plain(&why, 300)),
            })
        };
        if status.is_success() && stream {
            let mut events = Box::pin(bytes.eventsource());
            while let Some(event) = events.next().await {
                // A stream that breaks is not begun again blindly: what came of it was paid for.
                let event = event.map_err(|e| unread(e.to_string()))?;
                sink.event(&event.event, &event.data).map_err(unread)?;
            }
            return Ok(request_id);
        }
        let mut text = Vec::new();
        let mut bytes = Box::pin(bytes);
        while let Some(chunk) = bytes.next().await {
            match chunk {
                Ok(chunk) => text.extend_from_slice(&chunk),
                Err(why) if status.is_success() => return Err(unread(why)),
                Err(_) => break,
            }
        }
        let text = String::from_utf8_lossy(&text);
        if status.is_success() {
            sink.body(&text).map_err(unread)?;
            return Ok(request_id);
        }
        Err(Trouble::Again(
            Failure {
                status: Some(status.as_u16()),
                should_retry: header(&head, "x-should-retry").and_then(|v| v.parse().ok()),
                after_ms_s: header(&head, "retry-after-ms")
                    .and_then(|v| v.trim().parse::<f64>().ok())
                    .map(|ms| ms / 1000.0),
                after_s: header(&head, "retry-after")
                    .and_then(|v| after_s(&v, header(&head, "date").as_deref())),
            },
            error_words(&text),
        ))
    }
}

fn header(head: &HeaderMap, name: &str) -> Option<String> {
    head.get(name)?.to_str().ok().map(str::to_string)
}

/// The message of an error's body, or its beginning: not every gateway answers with JSON.
fn error_words(text: &str) -> String {
    let parsed: Option<serde_json::Value> = serde_json::from_str(text).ok();
    parsed
        .as_ref()
        .and_then(|v| v.pointer("/error/message"))
        .and_then(serde_json::Value::as_str)
        .map_or_else(|| text.to_string(), str::to_string)
}

/// An error with its causes.
fn words(e: &dyn std::error::Error) -> String {
    let mut out = e.to_string();
    let mut cause = e.source();
    while let Some(c) = cause {
        out = format!("{out}: {c}");
        cause = c.source();
    }
    out
}

/// The result, or `None` when the operator stopped it first.
async fn until_cancelled<T>(work: impl Future<Output = T>, watch: &Watch<'_>) -> Option<T> {
    let stopped = async {
        while !watch.cancelled() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        out = work => Some(out),
        () = stopped => None,
    }
}
