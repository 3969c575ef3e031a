//! What a model sends back, as closed types, and what it was asked.

use super::route::Ends;
use serde::{Deserialize, Serialize};
use sojourn_core::classes::TerrainClass;
use sojourn_core::geometry::Xy;

/// From the frame of the conversation (metres east of the map's western edge, metres south of its northern edge) to
/// `map`; `north_west_m` is that corner.
#[must_use]
pub fn map_from_local(p: Xy, north_west_m: Xy) -> Xy {
    [north_west_m[0] + p[0], north_west_m[1] - p[1]]
}

/// From `map` to the frame of the conversation.
#[must_use]
pub fn local_from_map(p: Xy, north_west_m: Xy) -> Xy {
    [p[0] - north_west_m[0], north_west_m[1] - p[1]]
}

/// A point in the frame of the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// East of the map's western edge, metres.
    pub x_m: f64,
    /// South of the map's northern edge, metres.
    pub y_m: f64,
}

impl Point {
    /// Both.
    #[must_use]
    pub fn xy(self) -> Xy {
        [self.x_m, self.y_m]
    }
}

/// What the model decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Here is a route.
    Route,
    /// There is none that is safe.
    NoSafeRoute,
    /// It cannot tell.
    NeedMoreData,
}

/// What a feature asks a rover to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Drive over it.
    Drive,
    /// Drive over it slowly.
    DriveSlow,
    /// Go around it when that costs little.
    Skirt,
    /// Never enter it.
    Avoid,
    /// A target to look at.
    Inspect,
}

impl Action {
    /// The name in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Drive => "drive",
            Self::DriveSlow => "drive_slow",
            Self::Skirt => "skirt",
            Self::Avoid => "avoid",
            Self::Inspect => "inspect",
        }
    }
}

/// Worth of a visit: an outcrop may be target and obstacle at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Science {
    /// None.
    None,
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
}

impl Science {
    /// The name in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// How sure the model says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// Hardly.
    Low,
    /// Fairly.
    Medium,
    /// Quite.
    High,
}

/// Terrain that the model sees.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerFeature {
    /// Its name in the answer.
    pub id: String,
    /// What it is.
    pub terrain_class: TerrainClass,
    /// Its corners in order.
    pub outline: Vec<Point>,
    /// 1 (none) to 5 (never).
    pub risk: u8,
    /// What to do about it.
    pub action: Action,
    /// How sure the model is.
    pub confidence: Confidence,
    /// Worth of a visit.
    pub science_value: Science,
    /// Views that show it.
    pub evidence_view_ids: Vec<String>,
    /// Words for people.
    pub note: String,
}

impl AnswerFeature {
    /// Whether the route may not enter it.
    #[must_use]
    pub fn forbids(&self) -> bool {
        self.action == Action::Avoid || self.risk >= 5
    }
}

/// What an anchor is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// The start.
    Start,
    /// On the way.
    Transit,
    /// Around a hazard.
    SkirtHazard,
    /// Through rough ground on purpose.
    CrossRough,
    /// A place to stop at.
    ScienceStop,
    /// The goal.
    Goal,
}

/// Where an anchor comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A candidate route.
    Candidate,
    /// A search that the model asked for.
    FindPath,
    /// The model itself.
    Own,
}

/// A point that the route goes through.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// East, metres.
    pub x_m: f64,
    /// South, metres.
    pub y_m: f64,
    /// What it is for.
    pub intent: Intent,
    /// Where it comes from.
    pub source: Source,
    /// Features that are the reason for it.
    pub related_feature_ids: Vec<String>,
}

/// A value that the model says its route keeps.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Which constraint.
    pub constraint_id: String,
    /// The worst value on the route.
    pub worst_value: f64,
    /// Its unit.
    pub unit: String,
    /// Where.
    pub at: Point,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Critique {
    issue: String,
    severity: Severity,
    resolution: Resolution,
    reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Severity {
    Info,
    Minor,
    Major,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Resolution {
    Fixed,
    AcceptedWithReason,
    NeedsHuman,
}

/// A model's plan as it sent it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    pub(super) schema_version: String,
    pub(super) map_id: String,
    pub(super) map_digest: String,
    /// What it decided.
    pub decision: Decision,
    /// Terrain it sees.
    pub features: Vec<AnswerFeature>,
    /// Its route.
    pub anchors: Vec<Anchor>,
    /// What it says of its route.
    pub claims: Vec<Claim>,
    pub(super) self_critique: Vec<Critique>,
    /// What should be looked at before the drive.
    pub open_questions: Vec<String>,
}

/// A view that was shown.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenView {
    /// Its name.
    pub id: String,
    /// Its middle, `map` metres.
    pub centre_m: Xy,
    /// Its side, metres.
    pub span_m: f64,
}

/// What the model was asked, for the echo of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Name of the map.
    pub map_id: String,
    /// First twelve hex digits of its digest.
    pub map_digest: String,
    /// Names of the constraints to be claimed: `max_slope_deg`, `max_roughness_m`, `length_m`.
    pub constraint_ids: Vec<String>,
    /// Where the route begins and ends.
    pub ends: Ends,
}

/// The task and what happened since.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerTask {
    /// What was asked.
    pub task: Task,
    /// Views shown so far.
    pub views: Vec<SeenView>,
    /// Whether a claim was wrong before: the second time it refuses the answer.
    pub claimed_wrongly_before: bool,
}

/// How an answer came.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Envelope {
    /// Why the answer ended, as the service says it.
    pub stop_reason: String,
    /// The stream came to its end.
    pub complete: bool,
    /// Model asked.
    pub model_asked: String,
    /// Model that says it answered.
    pub model_echo: String,
    /// Tokens of the question as the service counted them.
    pub prompt_tokens: u64,
    /// Tokens of the question as estimated here.
    pub prompt_tokens_estimated: u64,
    /// Budgets that are spent: a sentence each.
    pub overspent: Vec<String>,
}
