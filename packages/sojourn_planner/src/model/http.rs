//! An endpoint that speaks the Messages API over plain HTTP, usually a gateway or a local server on loopback.

use super::provider::{MAX_ANSWER_BYTES, ModelProvider, ModelRequest, ProviderError};
use std::time::Duration;

/// Requests sent at most: the first and two more.
const ATTEMPTS: u32 = 3;
/// Longest pause that an endpoint may ask for, seconds.
const MAX_PAUSE_S: f64 = 5.0;

/// Posts to `<base>/v1/messages`.
pub struct HttpProvider {
    base: String,
    model: String,
    key: Option<String>,
    agent: ureq::Agent,
}

impl HttpProvider {
    /// An endpoint by its base URL (without `/v1`), the model to ask for, the key when one is needed, and the longest
    /// time for one request in seconds.
    ///
    /// # Errors
    /// [`ProviderError::Spec`] when the URL is not one of plain HTTP, when the key would leave this machine
    /// unencrypted, or when the time is not a positive number.
    pub fn new(
        base: &str,
        model: &str,
        key: Option<String>,
        timeout_s: f64,
    ) -> Result<Self, ProviderError> {
        let wrong = |why: String| ProviderError::Spec {
            spec: base.to_string(),
            why,
        };
        let Some(rest) = base.strip_prefix("http://") else {
            return Err(wrong(
                "this build speaks plain HTTP only, expected http://HOST:PORT of a local server or gateway".into(),
            ));
        };
        let authority = rest.split('/').next().unwrap_or_default();
        if authority.is_empty() || authority.contains('@') {
            return Err(wrong("expected http://HOST:PORT".into()));
        }
        let host = authority.rsplit_once(':').map_or(authority, |(h, _)| h);
        let loopback = host == "localhost" || host == "[::1]" || host.starts_with("127.");
        if key.is_some() && !loopback {
            return Err(wrong(
                "ANTHROPIC_API_KEY is set and would go to another machine unencrypted, expected a loopback address or no key".into(),
            ));
        }
        let timeout = Duration::try_from_secs_f64(timeout_s)
            .ok()
            .filter(|d| !d.is_zero() && d.as_secs() < 3600)
            .ok_or_else(|| {
                wrong(format!(
                    "the time-out is {timeout_s} s, expected more than 0 and less than 3600"
                ))
            })?;
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .build()
            .into();
        Ok(Self {
            base: base.trim_end_matches('/').to_string(),
            model: model.to_string(),
            key,
            agent,
        })
    }

    /// Status, the pause asked for, and the body.
    fn post(&self, request: &ModelRequest) -> Result<(u16, Option<f64>, String), String> {
        let mut post = self
            .agent
            .post(format!("{}/v1/messages", self.base))
            .header("content-type", "application/json")
            .header("anthropic-version", "2023-06-01");
        if let Some(key) = &self.key {
            post = post.header("x-api-key", key);
        }
        let mut response = post.send(&request.body).map_err(|e| e.to_string())?;
        let status = response.status().as_u16();
        let pause_s = response
            .headers()
            .get("retry-after")
            .and_then(|v| v.to_str().ok())
            .and_then(|v| v.trim().parse::<f64>().ok())
            .filter(|v| v.is_finite() && *v >= 0.0);
        let body = response
            .body_mut()
            .with_config()
            .limit(MAX_ANSWER_BYTES)
            .read_to_string()
            .map_err(|e| e.to_string())?;
        Ok((status, pause_s, body))
    }
}

impl ModelProvider for HttpProvider {
    fn name(&self) -> String {
        self.base.clone()
    }

    fn model(&self) -> &str {
        &self.model
    }

    fn answer(&self, request: &ModelRequest) -> Result<String, ProviderError> {
        let mut attempt = 1;
        loop {
            let (status, pause_s, body) =
                self.post(request).map_err(|why| ProviderError::Transport {
                    endpoint: self.base.clone(),
                    why,
                })?;
            if (200..300).contains(&status) {
                return Ok(body);
            }
            // Busy or broken may pass; everything else would fail the same way again.
            let again = status == 429 || status >= 500;
            if !again || attempt >= ATTEMPTS {
                return Err(ProviderError::Status {
                    endpoint: self.base.clone(),
                    status,
                    attempts: attempt,
                    message: super::labels::plain(&body, 200),
                });
            }
            let wait_s = pause_s.unwrap_or(0.25 * f64::from(1 << attempt));
            if let Ok(wait) = Duration::try_from_secs_f64(wait_s.min(MAX_PAUSE_S)) {
                std::thread::sleep(wait);
            }
            attempt += 1;
        }
    }
}
