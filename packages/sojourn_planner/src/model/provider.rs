//! Who answers: nobody, a recording, or an endpoint.

use super::http::HttpProvider;
use sojourn_core::CoreError;
use sojourn_core::files;
use std::path::{Path, PathBuf};

/// Longest recording or answer that is read, bytes.
pub(crate) const MAX_ANSWER_BYTES: u64 = 4 << 20;

/// A request in the form of the Messages API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelRequest {
    /// The JSON body.
    pub body: String,
    /// Its SHA-256, hex.
    pub sha256: String,
}

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
    /// The recording belongs to another request.
    #[error("{}: was recorded for the request {recorded}, this request is {request}", path.display())]
    OtherRequest {
        /// The recording.
        path: PathBuf,
        /// Digest of the request it was recorded for.
        recorded: String,
        /// Digest of this request.
        request: String,
    },
    /// The recording cannot be read.
    #[error(transparent)]
    Core(#[from] CoreError),
}

/// Something that answers requests.
pub trait ModelProvider: Send + Sync {
    /// Name for the plan: "replay:FILE", "http://…".
    fn name(&self) -> String;

    /// The model to ask for.
    fn model(&self) -> &str;

    /// The answer's body as it came, JSON of the Messages API.
    ///
    /// # Errors
    /// [`ProviderError`] when none came.
    fn answer(&self, request: &ModelRequest) -> Result<String, ProviderError>;
}

/// Answers from a file: either the body of an answer of the Messages API, or
/// `{"request_sha256": "…", "response": {…}}`, which is used for that request only.
#[derive(Clone, Debug)]
pub struct Replay {
    path: PathBuf,
    model: String,
}

impl Replay {
    /// A recording and the model's name for the request.
    #[must_use]
    pub fn new(path: &Path, model: &str) -> Self {
        Self {
            path: path.to_path_buf(),
            model: model.to_string(),
        }
    }
}

impl ModelProvider for Replay {
    fn name(&self) -> String {
        // Without the folder: the same recording elsewhere makes the same plan.
        let file = self.path.file_name().unwrap_or_default();
        format!("replay:{}", file.to_string_lossy())
    }

    fn model(&self) -> &str {
        &self.model
    }

    fn answer(&self, request: &ModelRequest) -> Result<String, ProviderError> {
        let text = files::read_text(&self.path, MAX_ANSWER_BYTES)?;
        let what = self.path.display().to_string();
        let value: serde_json::Value = serde_json::from_str(&text)
            .map_err(|e| CoreError::format(what.clone(), format!("is not JSON: {e}")))?;
        let Some(response) = value.get("response") else {
            return Ok(text);
        };
        if let Some(recorded) = value.get("request_sha256").and_then(|v| v.as_str())
            && recorded != request.sha256
        {
            return Err(ProviderError::OtherRequest {
                path: self.path.clone(),
                recorded: recorded.into(),
                request: request.sha256.clone(),
            });
        }
        Ok(response.to_string())
    }
}

/// The provider that a text describes: `none`, `replay:FILE` or `http://HOST[:PORT]`. The key for an endpoint is taken
/// from the environment variable `ANTHROPIC_API_KEY` when it is set.
///
/// # Errors
/// [`ProviderError::Spec`] that names the text and what was expected.
pub fn provider_from(
    spec: &str,
    model: &str,
    timeout_s: f64,
) -> Result<Option<Box<dyn ModelProvider>>, ProviderError> {
    let wrong = |why: &str| ProviderError::Spec {
        spec: spec.to_string(),
        why: why.to_string(),
    };
    let spec = spec.trim();
    if spec == "none" {
        return Ok(None);
    }
    if let Some(file) = spec.strip_prefix("replay:") {
        let path = Path::new(file);
        if !path.is_file() {
            return Err(wrong("the recording is not there, expected a file"));
        }
        return Ok(Some(Box::new(Replay::new(path, model))));
    }
    if spec.starts_with("http://") || spec.starts_with("https://") {
        let key = std::env::var("ANTHROPIC_API_KEY")
            .ok()
            .filter(|k| !k.is_empty());
        return Ok(Some(Box::new(HttpProvider::new(
            spec, model, key, timeout_s,
        )?)));
    }
    Err(wrong("expected none, replay:FILE or http://HOST:PORT"))
}
