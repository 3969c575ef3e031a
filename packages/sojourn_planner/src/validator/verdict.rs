//! What the validator says.

use serde::{Deserialize, Serialize};
use sojourn_core::geometry::Xy;

macro_rules! codes {
    ($($section:literal { $($name:ident = $doc:literal),+ $(,)? })+) => {
        /// A rule, by its short name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
        pub enum Code { $($(#[doc = $doc] $name),+),+ }

        impl Code {
            /// The section of the checklist, A to K.
            #[must_use]
            pub fn section(self) -> char {
                match self { $($(Self::$name => $section),+),+ }
            }

            /// What the rule asks for.
            #[must_use]
            pub fn rule(self) -> &'static str {
                match self { $($(Self::$name => $doc),+),+ }
            }

            /// All rules.
            pub const ALL: &'static [Self] = &[$($(Self::$name),+),+];
        }
    };
}

codes! {
    'A' {
        StopReason = "The answer ended by itself.",
        StreamIncomplete = "The answer came to its end.",
        ModelEcho = "The model that answered is the one that was asked.",
        BudgetExceeded = "Requests, tokens, time and money stay within their budgets.",
        PromptTokensLow = "The server read the whole question.",
        TranscriptBroken = "The record of the conversation is whole and is the one that this plan was made after.",
    }
    'B' {
        TooLarge = "The document is not larger than allowed.",
        TooDeep = "The document is not nested more deeply than allowed.",
        NotJson = "The document is JSON.",
        Schema = "The document has the fields of its schema and no others.",
        NumberRange = "Every number is finite and of a sensible size.",
        ListBounds = "Lists have as many entries as allowed.",
    }
    'C' {
        MapMismatch = "The document is about this map.",
        SchemaVersion = "The document has this version of the form.",
        RoverMismatch = "The document is about this rover.",
        MissionMismatch = "The document is about this mission.",
        UnknownView = "Every view named as evidence was shown.",
        DuplicateFeature = "Every feature has its own name.",
        UnknownFeature = "Every feature referred to exists.",
    }
    'D' {
        OutOfMap = "Every point lies on the map, off its margin.",
        StartOff = "The route begins at the start.",
        GoalOff = "The route ends at the goal.",
        SegmentLength = "Segments are as long as allowed.",
        Backtrack = "The route does not turn back or stand still.",
        RouteLength = "The route is not longer than allowed.",
        LongRoute = "The route is not much longer than the straight line.",
        SelfCrossing = "The route does not cross itself.",
    }
    'E' {
        SlopeMax = "The ground is not steeper than allowed.",
        RoughnessMax = "The ground is not rougher than allowed.",
        NoData = "The ground is known.",
        Suspension = "The rover stands within its limits everywhere on the way.",
        KeepOut = "The route keeps out of the keep-outs.",
        KeepIn = "The route stays in the keep-ins.",
        Clearance = "The route keeps its distance from steep and rough ground.",
        TurnGround = "The rover turns on gentle ground.",
        CoarseGround = "The route stands on the finest map there is.",
    }
    'F' {
        OutlineInvalid = "An outline is a simple polygon on the map.",
        AvoidCrossed = "The route does not cross ground to be avoided or of risk 5.",
        Risk4Crossed = "Ground of risk 4 is crossed on purpose and briefly.",
        ClassContradicted = "A label agrees with what is measured.",
        FeatureOnNoData = "A label lies on ground that is known.",
        Unseen = "The route was looked at closely.",
        LabelCheapens = "A label never makes ground cheaper.",
    }
    'G' {
        ClaimMissing = "Every constraint is answered.",
        ClaimMismatch = "What is claimed is what is measured.",
    }
    'H' {
        ShiftFails = "The route stays sound when the map is a little off.",
        JitterFails = "The route stays sound when the rover is a little off.",
        CorridorNarrow = "The corridor is as wide as the rover may be off.",
    }
    'I' {
        TimeoutShort = "The time allowed for a segment is enough at full speed.",
        DriveTime = "The drive does not last longer than allowed.",
        DriveEnergy = "The drive does not take more energy than allowed.",
        StopMissed = "The drive visits the mission's stops in their order.",
        MissionEnds = "The drive begins and ends where the mission says.",
        LayerStale = "The layers of the map are not older than they hold.",
        TwinRejects = "The digital twin drives the plan within its limits.",
    }
    'J' {
        WorseThanOptimum = "A route that is much worse than the one without labels has a label as its reason.",
    }
    'K' {
        Document = "The plan's document holds together.",
        LimitsLoose = "No limit in the plan is looser than the rover's.",
        CorridorOpen = "The corridor keeps out of the keep-outs.",
        RoundTrip = "Coordinates survive the way to the image frame and back.",
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Violation {
    /// Which rule.
    pub code: Code,
    /// Whether it refuses the plan; the others are flagged for people.
    pub hard: bool,
    /// Index of the segment (the way to that waypoint).
    pub segment: Option<usize>,
    /// Where, `map` metres.
    pub at_m: Option<Xy>,
    /// What was measured.
    pub measured: Option<f64>,
    /// What is allowed.
    pub limit: Option<f64>,
    /// Unit of both.
    pub unit: &'static str,
    /// One sentence.
    pub message: String,
}

impl Violation {
    /// A hard one without a place.
    pub(crate) fn hard(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            hard: true,
            segment: None,
            at_m: None,
            measured: None,
            limit: None,
            unit: "",
            message: message.into(),
        }
    }

    /// The same, only flagged.
    pub(crate) fn soft(code: Code, message: impl Into<String>) -> Self {
        Self {
            hard: false,
            ..Self::hard(code, message)
        }
    }

    pub(crate) fn on(mut self, segment: usize, at_m: Option<Xy>) -> Self {
        self.segment = Some(segment);
        self.at_m = at_m;
        self
    }

    pub(crate) fn value(mut self, measured: f64, limit: f64, unit: &'static str) -> Self {
        self.measured = measured.is_finite().then_some(measured);
        self.limit = limit.is_finite().then_some(limit);
        self.unit = unit;
        self
    }
}

/// Figures of a route as measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measures {
    /// Length, metres.
    pub length_m: f64,
    /// By the straight distance over the mission's stops.
    pub length_ratio: f64,
    /// Steepest ground on the line over the footprint, degrees.
    pub max_slope_deg: f64,
    /// Roughest ground on the line over the footprint, metres.
    pub max_roughness_m: f64,
    /// Share of tracks beside the line that are sound.
    pub sound_tracks: f64,
    /// Length by that of the optimum without labels.
    pub length_by_optimum: Option<f64>,
    /// Cost by that of the optimum without labels.
    pub cost_by_optimum: Option<f64>,
}

/// What an answer claims of its route beside what is measured there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClaimCheck {
    /// The constraint: `max_slope_deg`, `max_roughness_m` or `length_m`.
    pub constraint: String,
    /// What was claimed; nothing where the answer is silent.
    pub claimed: Option<f64>,
    /// What was measured.
    pub measured: f64,
    /// How far apart they may be.
    pub tolerance: f64,
    /// Unit of all three.
    pub unit: &'static str,
}

impl ClaimCheck {
    /// Whether something was claimed, and within the tolerance of what was measured.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.claimed
            .is_some_and(|c| (c - self.measured).abs() <= self.tolerance)
    }
}

/// What was not looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotChecked {
    /// The section, A to K.
    pub section: char,
    /// Why.
    pub why: String,
}

/// The verdict on one plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// Version of the limits.
    pub limits_version: u32,
    /// Hex SHA-256 of the limits.
    pub limits_sha256: String,
    /// No hard rule is broken in what was checked.
    pub ok: bool,
    /// Sections that were checked.
    pub checked: Vec<char>,
    /// Sections that were not, each with its reason.
    pub not_checked: Vec<NotChecked>,
    /// Everything that is wrong, in the order of the checklist.
    pub violations: Vec<Violation>,
    /// Figures, when the geometry was checked.
    pub measures: Option<Measures>,
    /// What a model's answer claims, beside what was measured.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<ClaimCheck>,
}

impl Verdict {
    pub(crate) fn of(
        limits: &super::Limits,
        mut violations: Vec<Violation>,
        checked: &[char],
        not_checked: &[(char, &str)],
        measures: Option<Measures>,
    ) -> Result<Self, sojourn_core::CoreError> {
        // Stable: within a rule the order along the way stays.
        violations.sort_by_key(|v| (v.code.section(), v.code));
        Ok(Self {
            limits_version: limits.version,
            limits_sha256: limits.digest()?,
            ok: violations.iter().all(|v| !v.hard),
            checked: checked.to_vec(),
            not_checked: not_checked
                .iter()
                .map(|(section, why)| NotChecked {
                    section: *section,
                    why: (*why).to_string(),
                })
                .collect(),
            violations,
            measures,
            claims: Vec::new(),
        })
    }

    /// The verdict with a section that was checked beside the plan's document.
    #[must_use]
    pub fn with(mut self, section: char, violations: Vec<Violation>) -> Self {
        self.not_checked.retain(|n| n.section != section);
        if !self.checked.contains(&section) {
            self.checked.insert(0, section);
            self.checked.sort_unstable();
        }
        self.violations.extend(violations);
        self.violations.sort_by_key(|v| (v.code.section(), v.code));
        self.ok = self.violations.iter().all(|v| !v.hard);
        self
    }

    /// The hard ones.
    pub fn hard(&self) -> impl Iterator<Item = &Violation> {
        self.violations.iter().filter(|v| v.hard)
    }
}
