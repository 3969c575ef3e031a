//! The twin's report on a plan.

use crate::{CoreError, files, plan::digest_of};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Version of the report's form.
pub const REPORT_SCHEMA_VERSION: u32 = 2;
/// Largest report that is read, bytes.
pub const MAX_REPORT_BYTES: u64 = 64 << 20;

/// What the twin says of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every limit is kept, and is likely to be kept.
    Pass,
    /// Every hard limit is kept; something deserves a look.
    PassWithWarnings,
    /// A hard limit is broken, or is too likely to be.
    Reject,
}

impl Verdict {
    /// The name in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::PassWithWarnings => "pass_with_warnings",
            Self::Reject => "reject",
        }
    }
}

/// A point on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spot {
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
}

/// One telemetry channel over the whole drive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelSummary {
    /// Name, for example `wheel.lf.slip`.
    pub name: String,
    /// Unit.
    pub unit: String,
    /// The flight rule it serves.
    pub rule: String,
    /// Values checked.
    pub samples: u64,
    /// Least value.
    pub min: f64,
    /// Greatest value.
    pub max: f64,
    /// Tightest lower hard limit, when there is one.
    pub lower_limit: Option<f64>,
    /// Tightest upper hard limit, when there is one.
    pub upper_limit: Option<f64>,
    /// Tightest lower soft limit, when there is one.
    pub lower_warning: Option<f64>,
    /// Tightest upper soft limit, when there is one.
    pub upper_warning: Option<f64>,
    /// Values beyond a hard limit.
    pub violations: u64,
    /// Values beyond a soft limit only.
    pub warnings: u64,
    /// Least distance to a hard limit (to a soft one where there is no hard one), in the channel's unit; negative
    /// beyond it. 0 for a channel without values.
    pub margin: f64,
    /// The same as a share of the limit (of the greatest value, where the limit is 0).
    pub margin_share: f64,
    /// Where the margin is least.
    pub worst: Spot,
}

/// A channel that is looked at but not counted, because no input can break its limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Uncounted {
    /// Name.
    pub name: String,
    /// Why nothing can break its limit.
    pub why: String,
}

/// A place where a limit is broken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The channel.
    pub channel: String,
    /// The flight rule it serves.
    pub rule: String,
    /// Kind of reason: attitude, suspension, slip, corridor, energy, …
    pub category: String,
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

/// How likely it is that a limit is broken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitProbability {
    /// The channel.
    pub channel: String,
    /// The flight rule it serves.
    pub rule: String,
    /// Kind of reason.
    pub category: String,
    /// Samples that broke the limit.
    pub violations: u32,
    /// Their share.
    pub probability: f64,
    /// Lower bound of the probability.
    pub lower: f64,
    /// Upper bound of the probability.
    pub upper: f64,
    /// Where the limit is first broken in most samples: the median of the way driven until then. `None` when never.
    pub first: Option<Spot>,
}

/// Runs of the plan under what is not known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MonteCarlo {
    /// Runs.
    pub samples: u32,
    /// Seed.
    pub seed: u64,
    /// Confidence of the bounds (Wilson), 0 to 1.
    pub confidence: f64,
    /// Telemetry values compared in all runs.
    pub telemetry_values: u64,
    /// Runs that broke any hard limit.
    pub any: LimitProbability,
    /// Every channel with a hard limit, likeliest first.
    pub limits: Vec<LimitProbability>,
    /// Probability of a violation from which on a plan is rejected.
    pub reject_from: f64,
    /// Duration that half of the runs keep below, and 95 %, seconds.
    pub duration_s: [f64; 2],
}

/// The first place where it goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FirstFailure {
    /// The channel.
    pub channel: String,
    /// Kind of reason.
    pub category: String,
    /// Where.
    pub at: Spot,
    /// Probability; 1 in the nominal run.
    pub probability: f64,
    /// One sentence for people.
    pub reason: String,
}

/// What ground was assumed on the way to one waypoint, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SoilAssumption {
    /// Class in the nominal run at the segment's steepest place.
    pub assumed: String,
    /// Weakest class that was drawn in the samples.
    pub weakest: String,
    /// Probability of that class.
    pub weakest_probability: f64,
    /// Slope there, degrees.
    pub slope_deg: f64,
    /// Why: "unlabelled …", "labelled … by …", "seen from the ground …".
    pub why: String,
}

/// One segment of the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SegmentReport {
    /// Index of the waypoint it leads to.
    pub waypoint: usize,
    /// Time it takes, seconds.
    pub duration_s: f64,
    /// Greatest tilt, degrees.
    pub max_tilt_deg: f64,
    /// Greatest slip, 0 to 1.
    pub max_slip: f64,
    /// Whether the rover could drive back along it.
    pub retreat_possible: bool,
    /// Greatest slip of the way back.
    pub retreat_slip: f64,
    /// Probability that the way back is not possible, over the samples; 0 without samples.
    pub retreat_fails: f64,
    /// One sentence: why not, or what it takes.
    pub retreat_reason: String,
    /// The ground.
    pub soil: SoilAssumption,
}

/// A place behind which there is no way back to the start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PointOfNoReturn {
    /// Where.
    pub at: Spot,
    /// One sentence.
    pub reason: String,
}

/// A stretch of the way over ground about which the sources are apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DisputedStretch {
    /// Where it begins.
    pub at: Spot,
    /// Its length, metres.
    pub length_m: f64,
    /// Most levels of risk between the sources on it, 1 to 4.
    pub levels: u8,
    /// One sentence: who is apart, where, and what the samples take the ground for.
    pub reason: String,
}

/// The way over disputed ground, as the plan tells of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DisputedWay {
    /// Who was compared.
    pub sources: Vec<String>,
    /// Length of the way over disputed ground, metres.
    pub length_m: f64,
    /// Share of the way.
    pub share: f64,
    /// The stretches in the order of the way.
    pub stretches: Vec<DisputedStretch>,
}

/// The twin's verdict on a plan. It holds no wall time: the same inputs give the same bytes.
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
    /// Digest of channel dictionary and settings.
    pub setup_digest: String,
    /// Whether it may be approved: the verdict is not `reject`.
    pub passed: bool,
    /// The verdict.
    pub verdict: Verdict,
    /// One sentence: why it passed, or the first place where it fails.
    pub reason: String,
    /// The first place where it goes wrong, when it does.
    pub first_failure: Option<FirstFailure>,
    /// Telemetry values of the nominal run compared with a limit.
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
    /// Every channel that counts, in the order of the dictionary.
    pub channels: Vec<ChannelSummary>,
    /// Channels that are looked at but not counted.
    pub uncounted: Vec<Uncounted>,
    /// Where hard limits are broken in the nominal run; at most 100, the first of each contiguous excess.
    pub findings: Vec<Finding>,
    /// Where soft limits are broken in the nominal run, the first of each channel; and limits that are likely to break.
    pub warnings: Vec<Finding>,
    /// Runs under what is not known, when they were asked for.
    pub monte_carlo: Option<MonteCarlo>,
    /// The segments.
    pub segments: Vec<SegmentReport>,
    /// Places behind which there is no way back.
    pub points_of_no_return: Vec<PointOfNoReturn>,
    /// Where the way crosses ground about which the sources are apart; absent where the plan compares nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disputed: Option<DisputedWay>,
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
