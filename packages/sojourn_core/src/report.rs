//! The twin's report on a plan.

use crate::{CoreError, files, plan::digest_of};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Version of the report's form.
pub const REPORT_SCHEMA_VERSION: u32 = 1;
/// Largest report that is read, bytes.
pub const MAX_REPORT_BYTES: u64 = 64 << 20;

/// One telemetry channel over the whole drive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelSummary {
    /// Name, for example `wheel.lf.slip`.
    pub name: String,
    /// Unit.
    pub unit: String,
    /// Values checked.
    pub samples: u64,
    /// Least value.
    pub min: f64,
    /// Greatest value.
    pub max: f64,
    /// Lower limit, when there is one.
    pub lower_limit: Option<f64>,
    /// Upper limit, when there is one.
    pub upper_limit: Option<f64>,
    /// Values beyond a limit.
    pub violations: u64,
}

/// A place where a limit is broken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The channel.
    pub channel: String,
    /// The value.
    pub value: f64,
    /// The limit it breaks.
    pub limit: f64,
    /// East, metres in `map`.
    pub x_m: f64,
    /// North, metres in `map`.
    pub y_m: f64,
    /// Way from the start, metres.
    pub distance_m: f64,
    /// Time from the start, seconds.
    pub time_s: f64,
    /// The segment (index of the waypoint driven to).
    pub waypoint: usize,
    /// One sentence for people.
    pub reason: String,
}

/// The twin's verdict on a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// [`REPORT_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Digest of the plan that was driven.
    pub plan_digest: String,
    /// Digest of the site it was driven on.
    pub site_digest: String,
    /// Digest of the rover that drove it.
    pub rover_digest: String,
    /// The verdict.
    pub passed: bool,
    /// One sentence: why it passed, or the first place where it fails.
    pub reason: String,
    /// Telemetry values compared with a limit.
    pub values_checked: u64,
    /// Length driven, metres.
    pub distance_m: f64,
    /// Duration, seconds.
    pub duration_s: f64,
    /// Greatest tilt, degrees.
    pub max_tilt_deg: f64,
    /// Least clearance, metres.
    pub min_clearance_m: f64,
    /// Greatest slip, 0 to 1.
    pub max_slip: f64,
    /// Every channel.
    pub channels: Vec<ChannelSummary>,
    /// Where limits are broken; at most 100, the first of each contiguous excess.
    pub findings: Vec<Finding>,
}

impl Report {
    /// SHA-256 of the canonical form (RFC 8785), hex.
    ///
    /// # Errors
    /// [`CoreError::Format`] when it cannot be written.
    pub fn digest(&self) -> Result<String, CoreError> {
        digest_of("report", self)
    }

    /// Reads a report from a file.
    ///
    /// # Errors
    /// [`CoreError`] that names the file and the field.
    pub fn load(path: &Path) -> Result<Self, CoreError> {
        Self::parse(
            &path.display().to_string(),
            &files::read_text(path, MAX_REPORT_BYTES)?,
        )
    }

    /// Reads a report from JSON text; `what` names it in messages.
    ///
    /// # Errors
    /// [`CoreError::Format`] with the field.
    pub fn parse(what: &str, text: &str) -> Result<Self, CoreError> {
        let report: Self =
            serde_json::from_str(text).map_err(|e| CoreError::format(what, e.to_string()))?;
        if report.schema_version != REPORT_SCHEMA_VERSION {
            return Err(CoreError::value(
                what,
                "schema_version",
                report.schema_version,
                REPORT_SCHEMA_VERSION.to_string(),
            ));
        }
        Ok(report)
    }
}
