//! Who answers: an endpoint of the Messages API, an OpenAI-compatible server, a recording, or nobody.

use super::anthropic::Anthropic;
use super::capabilities::Capabilities;
use super::config::ModelConfig;
use super::openai::OpenAi;
use super::record::Replay;
use super::turn::{Reply, Request};
use sojourn_core::CoreError;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The provider is described wrongly.
    #[error("model provider \"{spec}\": {why}")]
    Spec {
        /// The description.
        spec: String,
        /// What is wrong with it and what was expected.
        why: String,
    },
    /// The endpoint cannot be reached or broke off.
    #[error("{endpoint}: {why}")]
    Transport {
        /// The endpoint.
        endpoint: String,
        /// What happened.
        why: String,
    },
    /// The endpoint answered with an error.
    #[error("{endpoint}: HTTP status {status} after {attempts} attempts: {message}")]
    Status {
        /// The endpoint.
        endpoint: String,
        /// HTTP status.
        status: u16,
        /// Requests sent.
        attempts: u32,
        /// The endpoint's words, shortened.
        message: String,
    },
    /// The endpoint's answer is not what its protocol says.
    #[error("{endpoint}: the answer cannot be read: {why}")]
    Answer {
        /// The endpoint.
        endpoint: String,
        /// What is wrong.
        why: String,
    },
    /// The recording holds no answer to this request.
    #[error(
        "{recording}: holds no answer to this request ({purpose}, {key}); it was recorded for other ground, another configuration or another version"
    )]
    NotRecorded {
        /// The recording.
        recording: String,
        /// What the request is for.
        purpose: &'static str,
        /// Digest of the request.
        key: String,
    },
    /// A person stopped it.
    #[error("stopped by the operator")]
    Cancelled,
    /// A budget is spent.
    #[error("{0}")]
    Budget(String),
    /// The recording cannot be read.
    #[error(transparent)]
    Core(#[from] CoreError),
}

/// How much of the protocol a provider's models are trusted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skill {
    /// Coordinates, tools, whole plans.
    Whole,
    /// Classes of numbered cells and one of several drawn routes.
    Reduced,
}

/// What the operator sees and may do while a model is asked.
pub struct Watch<'a> {
    /// Set to stop.
    pub cancel: &'a AtomicBool,
    /// Told of every request, tool and round, in one line.
    pub progress: &'a (dyn Fn(&str) + Sync),
}

impl Watch<'_> {
    /// Whether it was stopped.
    #[must_use]
    pub fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }
}

/// Something that answers requests.
pub trait Provider: Send + Sync {
    /// Name for the plan: "replay:FILE", "http://…".
    fn name(&self) -> String;

    /// The model to ask for.
    fn model(&self) -> &str;

    /// What its models are trusted with.
    fn skill(&self) -> Skill;

    /// What the service says of a model; `None` when it cannot be asked for that.
    ///
    /// # Errors
    /// [`ProviderError`] when no answer came.
    fn capabilities(
        &self,
        _model: &str,
        _watch: &Watch<'_>,
    ) -> Result<Option<Capabilities>, ProviderError> {
        Ok(None)
    }

    /// Tokens of a question as the service counts them, before it is put; `None` when it cannot be asked for that.
    ///
    /// # Errors
    /// [`ProviderError`] when no answer came, or the question would be refused.
    fn count(&self, _request: &Request, _watch: &Watch<'_>) -> Result<Option<u64>, ProviderError> {
        Ok(None)
    }

    /// The answer.
    ///
    /// # Errors
    /// [`ProviderError`] when none came.
    fn send(&self, request: &Request, watch: &Watch<'_>) -> Result<Reply, ProviderError>;
}

impl<P: Provider + ?Sized> Provider for std::sync::Arc<P> {
    fn name(&self) -> String {
        (**self).name()
    }

    fn model(&self) -> &str {
        (**self).model()
    }

    fn skill(&self) -> Skill {
        (**self).skill()
    }

    fn capabilities(
        &self,
        model: &str,
        watch: &Watch<'_>,
    ) -> Result<Option<Capabilities>, ProviderError> {
        (**self).capabilities(model, watch)
    }

    fn count(&self, request: &Request, watch: &Watch<'_>) -> Result<Option<u64>, ProviderError> {
        (**self).count(request, watch)
    }

    fn send(&self, request: &Request, watch: &Watch<'_>) -> Result<Reply, ProviderError> {
        (**self).send(request, watch)
    }
}

/// The host of a URL when it may be asked: this machine itself, or one of `allow` over TLS.
pub(crate) fn allowed_host(url: &str, allow: &[String]) -> Result<String, ProviderError> {
    let wrong = |why: String| ProviderError::Spec {
        spec: super::plain(url, 120),
        why,
    };
    let parsed = reqwest::Url::parse(url).map_err(|e| {
        wrong(format!(
            "is no URL ({e}), expected http://HOST:PORT or https://HOST"
        ))
    })?;
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(wrong("expected no user name or password in the URL".into()));
    }
    let host = parsed
        .host_str()
        .ok_or_else(|| wrong("names no host".into()))?
        .to_string();
    let loopback = host == "localhost" || host == "[::1]" || host.starts_with("127.");
    match parsed.scheme() {
        "http" | "https" if loopback => Ok(host),
        "https" if allow.iter().any(|a| a.eq_ignore_ascii_case(&host)) => Ok(host),
        "https" => Err(wrong(format!(
            "the host \"{host}\" is not among allow_hosts of the model configuration ({})",
            allow.join(", ")
        ))),
        "http" => Err(wrong(
            "would go to another machine unencrypted, expected https or this machine itself".into(),
        )),
        other => Err(wrong(format!(
            "has the scheme \"{other}\", expected http or https"
        ))),
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.trim().is_empty())
}

/// The provider that a text describes: `none` or `geometric`, `anthropic`, `openai`, `anthropic:URL`, `openai:URL`,
/// `URL` (of the Messages API) or `replay:FILE`. `model` may be `default`. Keys and base URLs come from the usual
/// variables: `ANTHROPIC_API_KEY`, `ANTHROPIC_AUTH_TOKEN`, `ANTHROPIC_BASE_URL`, `OPENAI_API_KEY`, `OPENAI_BASE_URL`.
///
/// # Errors
/// [`ProviderError::Spec`] that names the text and what was expected.
pub fn provider_from(
    spec: &str,
    model: &str,
    config: &ModelConfig,
) -> Result<Option<Box<dyn Provider>>, ProviderError> {
    let wrong = |why: &str| ProviderError::Spec {
        spec: super::plain(spec, 120),
        why: why.to_string(),
    };
    let spec = spec.trim();
    let (kind, rest) = match spec.split_once(':') {
        _ if spec.starts_with("http://") || spec.starts_with("https://") => {
            ("anthropic", Some(spec))
        }
        Some((kind, rest)) => (kind, Some(rest)),
        None => (spec, None),
    };
    let e = &config.endpoints;
    let named = |own: &str| if model == "default" { own } else { model }.to_string();
    match (kind, rest) {
        ("none" | "geometric", None) => Ok(None),
        ("replay", Some(file)) => {
            if !Path::new(file).is_file() {
                return Err(wrong("the recording is not there, expected a file"));
            }
            Ok(Some(Box::new(Replay::open(Path::new(file))?)))
        }
        ("anthropic", url) => {
            let url = url
                .map(str::to_string)
                .or_else(|| variable("ANTHROPIC_BASE_URL"))
                .unwrap_or_else(|| e.anthropic_url.clone());
            let (key, token) = (
                variable("ANTHROPIC_API_KEY"),
                variable("ANTHROPIC_AUTH_TOKEN"),
            );
            if key.is_some() && token.is_some() {
                return Err(wrong(
                    "ANTHROPIC_API_KEY and ANTHROPIC_AUTH_TOKEN are both set, expected one of them",
                ));
            }
            Ok(Some(Box::new(Anthropic::new(
                &url,
                &named(&e.anthropic_model),
                key,
                token,
                config,
            )?)))
        }
        ("openai", url) => {
            let url = url
                .map(str::to_string)
                .or_else(|| variable("OPENAI_BASE_URL"))
                .unwrap_or_else(|| e.openai_url.clone());
            Ok(Some(Box::new(OpenAi::new(
                &url,
                &named(&e.openai_model),
                variable("OPENAI_API_KEY"),
                config,
            )?)))
        }
        _ => Err(wrong(
            "expected geometric (or none), anthropic, openai, anthropic:URL, openai:URL, URL or replay:FILE",
        )),
    }
}
