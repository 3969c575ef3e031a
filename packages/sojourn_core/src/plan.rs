//! The plan: one document that planner, twin, person and rover read. `plan.schema.json` is generated from these types.

use crate::{
    CoreError,
    body::Body,
    classes::TerrainClass,
    constraints::Stop,
    error::in_range,
    files,
    freshness::LayerAge,
    geometry::{self, Xy},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::Path;

mod disputes;
pub use disputes::{DisputedGround, Disputes, MAX_DISPUTED};

/// Version of the plan's form.
pub const PLAN_SCHEMA_VERSION: u32 = 1;
/// Most waypoints of a plan.
pub const MAX_WAYPOINTS: usize = 10_000;
/// Largest plan document that is read, bytes.
pub const MAX_PLAN_BYTES: u64 = 64 << 20;

/// How freely AutoNav may choose its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Mode {
    /// Choose the way, keep clear of everything that breaks a limit.
    AvoidAll,
    /// Follow the line, stop before anything that breaks a limit.
    Guarded,
    /// Follow the line as commanded; the guard's hard limits still hold.
    Directed,
}

impl Mode {
    /// The name in documents and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AvoidAll => "AVOID_ALL",
            Self::Guarded => "GUARDED",
            Self::Directed => "DIRECTED",
        }
    }

    /// From the name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::AvoidAll, Self::Guarded, Self::Directed]
            .into_iter()
            .find(|m| m.name() == name)
    }
}

/// Limits that a waypoint sets for the way to it; never looser than the rover's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaypointLimits {
    /// Tilt, degrees.
    pub tilt_deg: f64,
    /// Slip, 0 to 1.
    pub slip: f64,
    /// Rim speed, m/s.
    pub speed_mps: f64,
}

/// A point to drive to, and everything that holds on the way to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Waypoint {
    /// East, metres in `map`.
    pub x_m: f64,
    /// North, metres in `map`.
    pub y_m: f64,
    /// How near is there, metres.
    pub tolerance_m: f64,
    /// Mode on the way to it.
    pub mode: Mode,
    /// Polygon in `map` metres that the rover stays in on the way to it.
    pub corridor: Vec<Xy>,
    /// Limits on the way to it.
    pub limits: WaypointLimits,
    /// Time allowed for the way to it, seconds.
    pub timeout_s: f64,
    /// Planner's estimate of risk on the way to it, 0 (none) to 1.
    pub risk: f64,
    /// Why the route goes here, sentences for people.
    pub reasons: Vec<String>,
}

impl Waypoint {
    /// The position, `[x_m, y_m]`.
    #[must_use]
    pub fn xy(&self) -> Xy {
        [self.x_m, self.y_m]
    }
}

/// Where a drive begins.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// East, metres in `map`.
    pub x_m: f64,
    /// North, metres in `map`.
    pub y_m: f64,
    /// Heading, radians counter-clockwise from east.
    pub yaw_rad: f64,
}

/// Where a drive ends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Goal {
    /// East, metres in `map`.
    pub x_m: f64,
    /// North, metres in `map`.
    pub y_m: f64,
    /// How near is there, metres.
    pub tolerance_m: f64,
}

/// A label on the ground.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// What it is.
    pub class: TerrainClass,
    /// Outline in `map` metres.
    pub polygon: Vec<Xy>,
    /// 0 to 1.
    pub confidence: f64,
    /// Who says so.
    pub source: String,
    /// Cost it adds per metre; never negative.
    pub added_cost: f64,
    /// Whether the route may not enter it.
    pub forbids: bool,
    /// Risk, 1 (none) to 5 (never enter), where a model gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<u8>,
    /// What to do about it (`drive`, `drive_slow`, `skirt`, `avoid`, `inspect`), where a model said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Worth of a visit (`none`, `low`, `medium`, `high`), where a model said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub science: Option<String>,
    /// The model's or the person's words.
    pub note: String,
}

/// What became of the model's stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelStatus {
    /// No provider was configured: the plan stands on the elevation model alone.
    NoProvider,
    /// The model's labels passed the checks and are in the plan.
    Used,
    /// The model answered, but the answer was refused as a whole; the plan stands on the elevation model alone.
    Refused,
    /// The provider did not answer; the plan stands on the elevation model alone.
    Failed,
}

/// How much of the protocol with a model is in a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelLevel {
    /// The model labelled the ground and composed the route.
    Full,
    /// The model labelled the ground and chose among routes of the search.
    PickOnly,
    /// The model labelled the ground; the search alone made the route.
    LabelsOnly,
    /// Nothing of the model: the elevation model alone, with stricter limits.
    GeometryOnly,
}

impl ModelLevel {
    /// The name in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::PickOnly => "pick_only",
            Self::LabelsOnly => "labels_only",
            Self::GeometryOnly => "geometry_only",
        }
    }
}

/// The model's part in a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelStage {
    /// What became of it.
    pub status: ModelStatus,
    /// Provider ("none", "replay:FILE", "http://…").
    pub provider: String,
    /// The model's name as the provider gives it.
    pub model: String,
    /// SHA-256 of the request, hex; empty without one.
    pub request_sha256: String,
    /// SHA-256 of the answer, hex; empty without one.
    pub answer_sha256: String,
    /// Last digest of the chain of the conversation's record, hex; empty without one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub transcript_sha256: String,
    /// One sentence for people: what was used or why not.
    pub note: String,
    /// Labels taken.
    pub labels_accepted: usize,
    /// Labels refused, each with its reason.
    pub labels_refused: Vec<String>,
    /// How much of the protocol it is; absent without a provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<ModelLevel>,
    /// Rounds in which violations went back to the model.
    #[serde(default)]
    pub rounds: usize,
    /// What a person should know before approving: disagreements, the critic's findings, soft violations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
}

impl ModelStage {
    /// The stage without a provider.
    #[must_use]
    pub fn none() -> Self {
        Self {
            status: ModelStatus::NoProvider,
            provider: "none".into(),
            model: String::new(),
            request_sha256: String::new(),
            answer_sha256: String::new(),
            transcript_sha256: String::new(),
            note: "no provider was configured; the route stands on the elevation model alone"
                .into(),
            labels_accepted: 0,
            labels_refused: Vec::new(),
            level: None,
            rounds: 0,
            flags: Vec::new(),
        }
    }
}

/// What the mission's file asked for beside the way itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanMission {
    /// Name of the mission; the digest of its file's content is the plan's `constraints_digest`.
    pub name: String,
    /// Places that the way visits, in order.
    pub stops: Vec<Stop>,
    /// Ages of the map's layers on the day of the drive.
    pub layers: Vec<LayerAge>,
    /// Time that the drive is expected to take, slip and turns counted, seconds.
    pub expected_s: f64,
    /// Energy that it is expected to take where the mission gives a mean power, watt hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_wh: Option<f64>,
}

/// A plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`PLAN_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Name, for people.
    pub name: String,
    /// Digest of the site's manifest, hex SHA-256.
    pub site_digest: String,
    /// The planet.
    pub body: Body,
    /// The rover's name.
    pub rover: String,
    /// Digest of the rover's description, hex SHA-256.
    pub rover_digest: String,
    /// Digest of the constraints, hex SHA-256.
    pub constraints_digest: String,
    /// Seed of everything random behind the plan.
    pub seed: u64,
    /// Where it begins.
    pub start: Start,
    /// Where it ends.
    pub goal: Goal,
    /// The way.
    pub waypoints: Vec<Waypoint>,
    /// Length of the way, metres.
    pub distance_m: f64,
    /// Labels on the ground.
    pub features: Vec<Feature>,
    /// Polygons the route keeps out of, `map` metres.
    pub keep_out: Vec<Vec<Xy>>,
    /// What the mission asked for; absent in plans that no planner made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mission: Option<PlanMission>,
    /// Where those who say what the ground is are apart, near the way; absent where nobody was compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disputes: Option<Disputes>,
    /// The model's part.
    pub model: ModelStage,
}

impl Plan {
    /// Start and waypoints as a polyline.
    #[must_use]
    pub fn line(&self) -> Vec<Xy> {
        std::iter::once([self.start.x_m, self.start.y_m])
            .chain(self.waypoints.iter().map(Waypoint::xy))
            .collect()
    }

    /// SHA-256 of the canonical form (RFC 8785), hex.
    ///
    /// # Errors
    /// [`CoreError::Format`] when a number in it is not finite.
    pub fn digest(&self) -> Result<String, CoreError> {
        digest_of("plan", self)
    }

    /// Reads a plan from a file and checks it.
    ///
    /// # Errors
    /// [`CoreError`] that names the file and the field.
    pub fn load(path: &Path) -> Result<Self, CoreError> {
        let what = path.display().to_string();
        Self::parse(&what, &files::read_text(path, MAX_PLAN_BYTES)?)
    }

    /// Reads a plan from JSON text and checks it; `what` names it in messages.
    ///
    /// # Errors
    /// [`CoreError`] that names the field.
    pub fn parse(what: &str, text: &str) -> Result<Self, CoreError> {
        let plan: Self =
            serde_json::from_str(text).map_err(|e| CoreError::format(what, e.to_string()))?;
        plan.check(what)?;
        Ok(plan)
    }

    /// Checks what the types cannot: finite numbers, ranges, corridors that hold their segments, the length.
    ///
    /// # Errors
    /// [`CoreError::Value`] that names `what` and the field.
    pub fn check(&self, what: &str) -> Result<(), CoreError> {
        if self.schema_version != PLAN_SCHEMA_VERSION {
            return Err(CoreError::value(
                what,
                "schema_version",
                self.schema_version,
                PLAN_SCHEMA_VERSION.to_string(),
            ));
        }
        self.body.check(what)?;
        if self.waypoints.is_empty() || self.waypoints.len() > MAX_WAYPOINTS {
            return Err(CoreError::value(
                what,
                "waypoints",
                format!("a list of {}", self.waypoints.len()),
                format!("1 to {MAX_WAYPOINTS} waypoints"),
            ));
        }
        for (name, v) in [
            ("start.x_m", self.start.x_m),
            ("start.y_m", self.start.y_m),
            ("start.yaw_rad", self.start.yaw_rad),
            ("goal.x_m", self.goal.x_m),
            ("goal.y_m", self.goal.y_m),
        ] {
            in_range(what, name, v, -1e7, 1e7)?;
        }
        in_range(what, "goal.tolerance_m", self.goal.tolerance_m, 0.01, 100.0)?;
        let mut from = [self.start.x_m, self.start.y_m];
        for (i, w) in self.waypoints.iter().enumerate() {
            w.check(what, i, from)?;
            from = w.xy();
        }
        for (i, f) in self.features.iter().enumerate() {
            in_range(
                what,
                &format!("features[{i}].added_cost"),
                f.added_cost,
                0.0,
                1e6,
            )?;
            in_range(
                what,
                &format!("features[{i}].confidence"),
                f.confidence,
                0.0,
                1.0,
            )?;
            check_polygon(what, &format!("features[{i}].polygon"), &f.polygon)?;
        }
        for (i, p) in self.keep_out.iter().enumerate() {
            check_polygon(what, &format!("keep_out[{i}]"), p)?;
        }
        if let Some(m) = &self.mission {
            in_range(what, "mission.expected_s", m.expected_s, 0.0, 1e9)?;
            if let Some(wh) = m.expected_wh {
                in_range(what, "mission.expected_wh", wh, 0.0, 1e9)?;
            }
        }
        if let Some(d) = &self.disputes {
            d.check(what)?;
        }
        let last = self.waypoints.last().map_or([f64::NAN; 2], Waypoint::xy);
        let miss_m = geometry::distance_m(last, [self.goal.x_m, self.goal.y_m]);
        in_range(
            what,
            "distance from the last waypoint to the goal",
            miss_m,
            0.0,
            self.goal.tolerance_m,
        )?;
        let length_m = geometry::length_m(&self.line());
        if !((self.distance_m - length_m).abs() <= 0.01 + 1e-6 * length_m) {
            return Err(CoreError::value(
                what,
                "distance_m",
                self.distance_m,
                format!("the length of its way, {length_m:.3}"),
            ));
        }
        Ok(())
    }
}

impl Waypoint {
    fn check(&self, what: &str, i: usize, from: Xy) -> Result<(), CoreError> {
        let at = |name: &str| format!("waypoints[{i}].{name}");
        in_range(what, &at("x_m"), self.x_m, -1e7, 1e7)?;
        in_range(what, &at("y_m"), self.y_m, -1e7, 1e7)?;
        in_range(what, &at("tolerance_m"), self.tolerance_m, 0.01, 100.0)?;
        in_range(what, &at("timeout_s"), self.timeout_s, 0.1, 1e7)?;
        in_range(what, &at("risk"), self.risk, 0.0, 1.0)?;
        in_range(
            what,
            &at("limits.tilt_deg"),
            self.limits.tilt_deg,
            0.1,
            60.0,
        )?;
        in_range(what, &at("limits.slip"), self.limits.slip, 0.0, 1.0)?;
        in_range(
            what,
            &at("limits.speed_mps"),
            self.limits.speed_mps,
            0.0005,
            10.0,
        )?;
        check_polygon(what, &at("corridor"), &self.corridor)?;
        for p in [from, self.xy()] {
            if !geometry::in_polygon(p, &self.corridor) {
                return Err(CoreError::value(
                    what,
                    at("corridor"),
                    format!("{:?}", self.corridor),
                    format!(
                        "a polygon that holds its segment's end ({:.2}, {:.2})",
                        p[0], p[1]
                    ),
                ));
            }
        }
        Ok(())
    }
}

fn check_polygon(what: &str, name: &str, polygon: &[Xy]) -> Result<(), CoreError> {
    if polygon.len() < 3
        || polygon.len() > 10_000
        || polygon.iter().flatten().any(|v| !v.is_finite())
    {
        return Err(CoreError::value(
            what,
            name,
            format!("a list of {}", polygon.len()),
            "3 to 10000 points of finite metres",
        ));
    }
    Ok(())
}

/// The canonical JSON form (RFC 8785) of a document.
///
/// # Errors
/// [`CoreError::Format`] when it cannot be written, for instance because a number is not finite.
pub fn canonical(what: &str, document: &impl Serialize) -> Result<Vec<u8>, CoreError> {
    // serde_json turns not-a-number into null; a document that held one would be signed as something else.
    let value =
        serde_json::to_value(document).map_err(|e| CoreError::format(what, e.to_string()))?;
    serde_json_canonicalizer::to_vec(&value).map_err(|e| CoreError::format(what, e.to_string()))
}

/// Hex SHA-256 of the canonical form of a document.
///
/// # Errors
/// As [`canonical`].
pub fn digest_of(what: &str, document: &impl Serialize) -> Result<String, CoreError> {
    Ok(sha256_hex(&canonical(what, document)?))
}

/// Hex SHA-256 of bytes.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

/// The JSON schema of a plan, pretty-printed with a final newline (the committed `plan.schema.json`).
///
/// # Errors
/// [`CoreError::Format`] when it cannot be written.
pub fn schema_json() -> Result<String, CoreError> {
    let schema = schemars::schema_for!(Plan);
    serde_json::to_string_pretty(&schema)
        .map(|s| s + "\n")
        .map_err(|e| CoreError::format("plan.schema.json", e.to_string()))
}

#[cfg(test)]
pub(crate) mod tests;
