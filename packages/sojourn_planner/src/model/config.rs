//! `config/model.yaml`: how models are talked to.

use serde::{Deserialize, Serialize};
use sojourn_core::CoreError;
use sojourn_core::error::in_range;
use sojourn_core::params::parse_yaml;
use sojourn_core::plan::digest_of;
use std::collections::BTreeMap;

/// The shipped file, part of the program.
const SHIPPED: &str = include_str!("../../../../config/model.yaml");

/// Everything about conversations; the comments stand in the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Version of the file.
    pub version: u32,
    /// Where models are and what they are called.
    pub endpoints: Endpoints,
    /// What may be spent on one plan.
    pub budgets: Budgets,
    /// How the protocol runs.
    pub protocol: Protocol,
    /// Retries and time-outs.
    pub http: HttpLimits,
    /// Prices by the beginning of a model's name.
    pub prices_usd_per_mtok: BTreeMap<String, Price>,
}

/// Where models are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoints {
    /// Base URL of the Messages API.
    pub anthropic_url: String,
    /// Model asked for there.
    pub anthropic_model: String,
    /// Base URL of an OpenAI-compatible server, with its `/v1`.
    pub openai_url: String,
    /// Model asked for there.
    pub openai_model: String,
    /// Model asked when the first one declines or fails; empty for none.
    pub fallback_model: String,
    /// Hosts that may be asked beside this machine itself.
    pub allow_hosts: Vec<String>,
    /// Effort asked for.
    pub effort: String,
    /// PEM file of further certificate authorities; empty for none.
    pub ca_file: String,
}

/// What one plan may cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budgets {
    /// Requests.
    pub requests: usize,
    /// Views shown in the planning conversation.
    pub views: usize,
    /// Calls of tools.
    pub tool_calls: usize,
    /// Tokens of all answers together.
    pub output_tokens: u64,
    /// Money, US dollars, where the price is known.
    pub usd: f64,
    /// Time, seconds.
    pub wall_s: f64,
    /// Room for one answer, tokens.
    pub max_tokens: u32,
}

/// How the protocol runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protocol {
    /// Whether the service is asked first what the model can do.
    pub probe: bool,
    /// Whether the service counts the tokens of the first question of each kind before it is put.
    pub count_tokens: bool,
    /// Whether the calibration card is asked for first.
    pub calibrate: bool,
    /// Greatest residual of the card's positions, pixels.
    pub calibration_residual_px: f64,
    /// Greatest error of the card's scale.
    pub calibration_scale: f64,
    /// Close views in a pass of labels, at most.
    pub crops: usize,
    /// Whether close views go first to ground on which elevation model, orbital classifier and earlier drives are apart or
    /// unsure; else they follow the routes.
    #[serde(default = "yes")]
    pub attention: bool,
    /// Side of a close view, metres.
    pub crop_span_m: f64,
    /// Pictures from the surface in a pass of labels, at most.
    pub surface_views: usize,
    /// Whether fresh eyes label a second time.
    pub second_pass: bool,
    /// Whether the model may use tools in the planning conversation.
    pub tools: bool,
    /// Rounds in which violations go back to the model.
    pub rounds: usize,
    /// Whether a critic looks at the plan.
    pub critic: bool,
    /// Routes to choose from.
    pub candidates: usize,
    /// Whether these are offered, and a tool that searches more; without them the model lays the route with coordinates of
    /// its own.
    pub offer_routes: bool,
    /// Levels of risk by which two passes differ that are flagged.
    pub disagreement: u8,
    /// Share of the mission's greatest slope that a plan may use when a model was asked for and gave nothing.
    pub geometry_only_slope_share: f64,
}

/// What a file means that does not say otherwise.
fn yes() -> bool {
    true
}

/// Retries and time-outs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpLimits {
    /// Repeated requests after the first.
    pub retries: u32,
    /// First pause, seconds; doubled each time.
    pub first_pause_s: f64,
    /// Longest own pause, seconds.
    pub longest_pause_s: f64,
    /// Longest pause that a service may ask for, seconds.
    pub longest_asked_pause_s: f64,
    /// To connect, seconds.
    pub connect_s: f64,
    /// Without a byte, seconds.
    pub stall_s: f64,
    /// For one request, seconds.
    pub request_s: f64,
    /// Longest answer, bytes.
    pub max_answer_bytes: u64,
    /// Longest request, bytes.
    pub max_request_bytes: usize,
}

/// US dollars per million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Question.
    pub input: f64,
    /// Answer.
    pub output: f64,
    /// Question from the cache.
    pub cache_read: f64,
    /// Question into the cache.
    pub cache_write: f64,
}

impl ModelConfig {
    /// The shipped configuration.
    ///
    /// # Errors
    /// [`CoreError`] when the file that was built in is wrong, which a test rules out.
    pub fn shipped() -> Result<Self, CoreError> {
        Self::parse("config/model.yaml", SHIPPED)
    }

    /// Reads YAML text; `what` names it in messages.
    ///
    /// # Errors
    /// [`CoreError`] that names the key.
    pub fn parse(what: &str, text: &str) -> Result<Self, CoreError> {
        let out: Self = parse_yaml(what, text)?;
        out.check(what)?;
        Ok(out)
    }

    /// Whether every number lies within its bounds; `what` names the file in messages.
    ///
    /// # Errors
    /// [`CoreError::Value`] that names the key.
    pub fn check(&self, what: &str) -> Result<(), CoreError> {
        let (b, p, h) = (&self.budgets, &self.protocol, &self.http);
        let whole = |name: &str, v: usize, lo: f64, hi: f64| in_range(what, name, v as f64, lo, hi);
        whole("budgets.requests", b.requests, 1.0, 1000.0)?;
        whole("budgets.views", b.views, 0.0, 100.0)?;
        whole("budgets.tool_calls", b.tool_calls, 0.0, 10_000.0)?;
        in_range(what, "budgets.usd", b.usd, 0.0, 1e4)?;
        in_range(what, "budgets.wall_s", b.wall_s, 0.1, 86_400.0)?;
        whole(
            "budgets.max_tokens",
            b.max_tokens as usize,
            256.0,
            128_000.0,
        )?;
        whole("protocol.crops", p.crops, 0.0, 17.0)?;
        in_range(what, "protocol.crop_span_m", p.crop_span_m, 10.0, 1000.0)?;
        whole("protocol.rounds", p.rounds, 1.0, 10.0)?;
        whole("protocol.candidates", p.candidates, 1.0, 8.0)?;
        whole(
            "protocol.disagreement",
            usize::from(p.disagreement),
            1.0,
            4.0,
        )?;
        for (name, v, hi) in [
            (
                "protocol.calibration_residual_px",
                p.calibration_residual_px,
                100.0,
            ),
            ("protocol.calibration_scale", p.calibration_scale, 1.0),
            ("http.first_pause_s", h.first_pause_s, 60.0),
            ("http.longest_pause_s", h.longest_pause_s, 600.0),
            (
                "http.longest_asked_pause_s",
                h.longest_asked_pause_s,
                3600.0,
            ),
        ] {
            in_range(what, name, v, 0.0, hi)?;
        }
        for (name, v) in [
            ("http.connect_s", h.connect_s),
            ("http.stall_s", h.stall_s),
            ("http.request_s", h.request_s),
        ] {
            in_range(what, name, v, 0.01, 3600.0)?;
        }
        whole("http.retries", h.retries as usize, 0.0, 10.0)?;
        whole(
            "http.max_answer_bytes",
            h.max_answer_bytes as usize,
            1024.0,
            1e9,
        )?;
        whole("http.max_request_bytes", h.max_request_bytes, 1024.0, 1e9)?;
        in_range(
            what,
            "protocol.geometry_only_slope_share",
            p.geometry_only_slope_share,
            0.1,
            1.0,
        )?;
        Ok(())
    }

    /// The same with another patience: the longest time without a word from a service, seconds.
    ///
    /// # Errors
    /// [`CoreError::Value`] when it is not 0.01 to 3600.
    pub fn patient(mut self, wait_s: f64) -> Result<Self, CoreError> {
        in_range("model", "timeout_s", wait_s, 0.01, 3600.0)?;
        self.http.stall_s = wait_s;
        self.http.connect_s = self.http.connect_s.min(wait_s);
        self.http.request_s = self.http.request_s.max(wait_s);
        Ok(self)
    }

    /// Hex SHA-256 of the configuration in canonical form.
    ///
    /// # Errors
    /// [`CoreError::Format`] when a number is not finite.
    pub fn digest(&self) -> Result<String, CoreError> {
        digest_of("model configuration", self)
    }

    /// The price of a model, of the longest name that its own begins with.
    #[must_use]
    pub fn price(&self, model: &str) -> Option<Price> {
        self.prices_usd_per_mtok
            .iter()
            .filter(|(name, _)| model.starts_with(name.as_str()))
            .max_by_key(|(name, _)| name.len())
            .map(|(_, price)| *price)
    }
}

impl Price {
    /// US dollars for these tokens.
    #[must_use]
    pub fn usd(&self, u: &super::turn::Usage) -> f64 {
        (u.input as f64 * self.input
            + u.output as f64 * self.output
            + u.cache_read as f64 * self.cache_read
            + u.cache_write as f64 * self.cache_write)
            / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_file_is_sound_and_wrong_keys_are_named() {
        let c = ModelConfig::shipped().unwrap();
        assert!(
            c.price(&format!("{}-20261001", c.endpoints.anthropic_model))
                .is_some()
        );
        assert!(c.price("somebody-elses").is_none());
        for (from, to, name) in [
            ("  rounds: 3", "  rounds: 0", "protocol.rounds"),
            ("  rounds: 3", "  rounds: 3\n  colour: red", "colour"),
            ("  wall_s: 1200.0", "  wall_s: .nan", "budgets.wall_s"),
        ] {
            let text = SHIPPED.replacen(from, to, 1);
            assert_ne!(text, SHIPPED, "{from}");
            let m = ModelConfig::parse("model.yaml", &text)
                .unwrap_err()
                .to_string();
            assert!(m.contains(name), "{m}");
        }
    }
}
