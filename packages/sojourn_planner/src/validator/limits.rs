//! The one file of limits, `config/validator.yaml`.

use serde::{Deserialize, Serialize};
use sojourn_core::CoreError;
use sojourn_core::error::in_range;
use sojourn_core::params::parse_yaml;
use sojourn_core::plan::digest_of;

/// The shipped file. It is part of the program: what a plan has to keep cannot be changed beside it.
const SHIPPED: &str = include_str!("../../../../config/validator.yaml");

/// All limits; the comments stand in the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Version of the file.
    pub version: u32,
    /// What a model may send.
    pub answer: AnswerLimits,
    /// The route's shape.
    pub route: RouteLimits,
    /// The ground under it.
    pub ground: GroundLimits,
    /// Labels.
    pub features: FeatureLimits,
    /// How much the route may be off and still be sound.
    pub robustness: RobustnessLimits,
    /// Against the route without labels.
    pub comparison: ComparisonLimits,
    /// What goes out.
    pub output: OutputLimits,
}

/// Sections A, B, C and G.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerLimits {
    /// Longest answer, bytes.
    pub max_bytes: usize,
    /// Deepest nesting.
    pub max_depth: usize,
    /// Greatest magnitude of any number.
    pub max_abs: f64,
    /// Fewest anchors.
    pub min_anchors: usize,
    /// Most anchors.
    pub max_anchors: usize,
    /// Most features.
    pub max_features: usize,
    /// Fewest corners of an outline.
    pub min_corners: usize,
    /// Most corners of an outline.
    pub max_corners: usize,
    /// Largest feature as a share of the map.
    pub max_feature_share: f64,
    /// Characters kept of a text.
    pub max_text: usize,
    /// Least share of the estimated tokens that the server must have counted.
    pub least_prompt_share: f64,
    /// Tolerance of a claimed angle, degrees.
    pub claim_tolerance_deg: f64,
    /// Tolerance of a claimed height or distance to a hazard, metres.
    pub claim_tolerance_m: f64,
    /// Tolerance of a claimed length or ratio, as a share.
    pub claim_tolerance_share: f64,
}

/// Sections D and I.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteLimits {
    /// How far the first point may be from the start, metres.
    pub start_tolerance_m: f64,
    /// Longest segment, metres.
    pub max_segment_m: f64,
    /// Greatest turn between two segments, degrees.
    pub max_turn_deg: f64,
    /// Longest route, metres.
    pub max_length_m: f64,
    /// Length by straight distance that is flagged.
    pub long_ratio: f64,
    /// Length by straight distance that is refused.
    pub max_ratio: f64,
    /// Steps that anchors are split into, metres.
    pub densify_m: f64,
}

/// Section E.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroundLimits {
    /// Between the points looked at, metres.
    pub step_m: f64,
    /// How far off its line the rover may be, metres.
    pub localisation_error_m: f64,
    /// How far the map may be off the ground, metres.
    pub registration_error_m: f64,
    /// The tube opens from the ends over this distance, metres.
    pub taper_m: f64,
    /// Steepest ground to turn on, degrees.
    pub max_turn_slope_deg: f64,
    /// A turn, degrees.
    pub turn_deg: f64,
}

/// Section F.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureLimits {
    /// Longest stretch through ground of risk 4, metres.
    pub max_risk4_m: f64,
    /// Roughest ground that may be called smooth regolith, metres.
    pub smooth_roughness_m: f64,
    /// Widest view that counts as having seen the ground, metres.
    pub seen_span_m: f64,
}

/// Section H.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RobustnessLimits {
    /// Rotation of the map about the start, degrees.
    pub rotation_deg: f64,
    /// Tracks tried.
    pub tracks: usize,
    /// Least share of them that must be sound.
    pub least_share: f64,
}

/// Section J.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComparisonLimits {
    /// Risk by that of the optimum.
    pub max_risk_ratio: f64,
    /// Length by that of the optimum.
    pub max_length_ratio: f64,
}

/// Section K.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputLimits {
    /// Error of the way from `map` to the image frame and back, metres.
    pub round_trip_m: f64,
}

impl Limits {
    /// The shipped limits.
    ///
    /// # Errors
    /// [`CoreError`] when the file that was built in is wrong, which a test rules out.
    pub fn shipped() -> Result<Self, CoreError> {
        Self::parse("config/validator.yaml", SHIPPED)
    }

    /// Reads limits from YAML text; `what` names it in messages.
    ///
    /// # Errors
    /// [`CoreError`] that names the key.
    pub fn parse(what: &str, text: &str) -> Result<Self, CoreError> {
        let out: Self = parse_yaml(what, text)?;
        let g = &out.ground;
        in_range(what, "ground.step_m", g.step_m, 0.01, 1.0)?;
        in_range(
            what,
            "ground.localisation_error_m",
            g.localisation_error_m,
            0.0,
            10.0,
        )?;
        in_range(
            what,
            "ground.registration_error_m",
            g.registration_error_m,
            0.0,
            10.0,
        )?;
        in_range(what, "ground.taper_m", g.taper_m, 0.0, 50.0)?;
        in_range(
            what,
            "ground.max_turn_slope_deg",
            g.max_turn_slope_deg,
            0.0,
            45.0,
        )?;
        in_range(what, "ground.turn_deg", g.turn_deg, 1.0, 180.0)?;
        let r = &out.route;
        in_range(what, "route.max_segment_m", r.max_segment_m, 1.0, 50.0)?;
        in_range(what, "route.densify_m", r.densify_m, 0.5, r.max_segment_m)?;
        in_range(what, "route.max_turn_deg", r.max_turn_deg, 10.0, 180.0)?;
        in_range(what, "route.long_ratio", r.long_ratio, 1.0, r.max_ratio)?;
        in_range(
            what,
            "route.start_tolerance_m",
            r.start_tolerance_m,
            0.0,
            10.0,
        )?;
        in_range(
            what,
            "robustness.least_share",
            out.robustness.least_share,
            0.0,
            1.0,
        )?;
        in_range(what, "answer.max_abs", out.answer.max_abs, 1.0, 1e7)?;
        in_range(
            what,
            "answer.max_feature_share",
            out.answer.max_feature_share,
            0.0,
            1.0,
        )?;
        Ok(out)
    }

    /// Hex SHA-256 of the limits in canonical form.
    ///
    /// # Errors
    /// [`CoreError::Format`] when a number is not finite.
    pub fn digest(&self) -> Result<String, CoreError> {
        digest_of("validator limits", self)
    }

    /// Half the width of the tube beyond the rover itself, metres.
    #[must_use]
    pub fn tube_m(&self) -> f64 {
        self.ground.localisation_error_m + self.ground.registration_error_m
    }
}
