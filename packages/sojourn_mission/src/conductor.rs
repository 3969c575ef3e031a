//! What the ground says while it conducts a drive: one JSON event per line, for programs and people.

use crate::MissionError;
use crate::gate::{Approval, SignedApproval};
use crate::keys::{Purpose, short};
use serde::{Deserialize, Serialize};
use sojourn_core::error::in_range;
use sojourn_core::plan::Plan;
use sojourn_core::report::Report;
use sojourn_core::{CoreError, files};
use std::path::Path;

/// Exit codes of the node `ground`.
pub mod exit {
    /// The goal was reached.
    pub const REACHED: i32 = 0;
    /// Anything that has no code of its own.
    pub const FAILED: i32 = 1;
    /// The twin rejected the plan.
    pub const REJECTED: i32 = 3;
    /// Nobody approved the plan.
    pub const NOT_APPROVED: i32 = 4;
    /// The drive ended without reaching the goal.
    pub const NOT_REACHED: i32 = 5;
}

/// Largest answer of a person on standard input, bytes.
pub const MAX_ANSWER_BYTES: usize = 64 << 10;

/// One event.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The conductor waits for something of another node.
    Waiting {
        /// Service or action.
        what: String,
    },
    /// A plan is there.
    Planned {
        /// Digest.
        plan_digest: String,
        /// Length, metres.
        distance_m: f64,
        /// Waypoints.
        waypoints: usize,
        /// The planner's word.
        message: String,
        /// What the model's stage did.
        model: String,
        /// The file.
        plan_file: String,
    },
    /// The twin has judged.
    Verified {
        /// The verdict.
        passed: bool,
        /// Why.
        reason: String,
        /// Digest.
        report_digest: String,
        /// Telemetry values compared with a limit.
        values_checked: u64,
        /// Greatest tilt, degrees.
        max_tilt_deg: f64,
        /// Least clearance, metres.
        min_clearance_m: f64,
        /// Greatest slip, 0 to 1.
        max_slip: f64,
        /// Duration, simulated seconds.
        duration_s: f64,
        /// The file.
        report_file: String,
    },
    /// A person is asked. The approval is what is to be signed, but for `signer` and `purpose`, which the person sets.
    AwaitingApproval {
        /// How to answer: "stdin" or "service".
        how: String,
        /// Digest.
        plan_digest: String,
        /// Digest.
        report_digest: String,
        /// The text to sign.
        approval: Box<Approval>,
    },
    /// A signature is there and the bundle is written.
    Approved {
        /// The bundle.
        bundle_id: String,
        /// Who signed.
        signer: String,
        /// What the key is for.
        purpose: Purpose,
        /// The folder.
        bundle_dir: String,
    },
    /// The rover has accepted the bundle.
    Uplinked {
        /// The bundle.
        bundle_id: String,
        /// The rover's word.
        message: String,
    },
    /// The rover has accepted the order to drive.
    Driving {
        /// The bundle.
        bundle_id: String,
        /// Length of the plan, metres.
        planned_m: f64,
    },
    /// How the drive stands.
    Progress {
        /// Way driven, metres.
        driven_m: f64,
        /// Length of the plan, metres.
        planned_m: f64,
        /// Straight distance to the goal, metres.
        to_goal_m: f64,
        /// State of the drive.
        state: String,
        /// Index of the waypoint on the way.
        waypoint: u32,
        /// Waypoints of the plan.
        waypoints: u32,
        /// Why.
        reason: String,
    },
    /// Nodes seen in the graph, when the drive begins and when it ends.
    Nodes {
        /// Names.
        names: Vec<String>,
    },
    /// The drive is over, or there was none to do.
    Finished {
        /// The executive's own estimate.
        reached: bool,
        /// State of the drive.
        state: String,
        /// Why.
        reason: String,
        /// Way driven by the rover's own estimate, metres.
        distance_driven_m: f64,
        /// Distance to the goal by the rover's own estimate, metres.
        goal_error_estimate_m: f64,
    },
    /// It did not work.
    Error {
        /// One sentence.
        message: String,
    },
}

impl Event {
    /// The event as one line of JSON without the line's end. Numbers that are not finite become null.
    #[must_use]
    pub fn line(&self) -> String {
        serde_json::to_string(self)
            .unwrap_or_else(|e| format!("{{\"event\":\"error\",\"message\":\"{e}\"}}"))
    }

    /// The event of a new plan.
    ///
    /// # Errors
    /// [`MissionError::Core`].
    pub fn planned(plan: &Plan, message: &str, plan_file: &Path) -> Result<Self, MissionError> {
        Ok(Self::Planned {
            plan_digest: plan.digest()?,
            distance_m: plan.distance_m,
            waypoints: plan.waypoints.len(),
            message: message.to_string(),
            model: plan.model.note.clone(),
            plan_file: plan_file.display().to_string(),
        })
    }

    /// The event of a verdict.
    ///
    /// # Errors
    /// [`MissionError::Core`].
    pub fn verified(report: &Report, report_file: &Path) -> Result<Self, MissionError> {
        Ok(Self::Verified {
            passed: report.passed,
            reason: report.reason.clone(),
            report_digest: report.digest()?,
            values_checked: report.values_checked,
            max_tilt_deg: report.max_tilt_deg,
            min_clearance_m: report.min_clearance_m,
            max_slip: report.max_slip,
            duration_s: report.duration_s,
            report_file: report_file.display().to_string(),
        })
    }
}

/// How a plan is approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalBy {
    /// A person answers with one line on standard input.
    Ask,
    /// The key in `key_file` signs without asking.
    Auto,
    /// A signature comes through the service `submit_signature`.
    Service,
}

/// A person's answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// No.
    No {
        /// Why, if the person said.
        reason: String,
    },
    /// Yes; the conductor's own key signs.
    Yes,
    /// Yes, with a signature made elsewhere.
    Signed(Box<SignedApproval>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerLine {
    approve: bool,
    #[serde(default)]
    signed_approval: Option<SignedApproval>,
    #[serde(default)]
    approval_file: Option<String>,
    #[serde(default)]
    reason: String,
}

/// Reads a person's answer: `{"approve": true}`, with `"signed_approval": {…}` or `"approval_file": "…"` when it was
/// signed elsewhere, or `{"approve": false, "reason": "…"}`, or just the name of a file with a signed approval.
///
/// # Errors
/// [`MissionError`] that says what was expected; nothing but a clear yes is a yes.
pub fn parse_answer(line: &str) -> Result<Answer, MissionError> {
    let line = line.trim();
    if line.len() > MAX_ANSWER_BYTES {
        return Err(MissionError::Gate(format!(
            "the answer is longer than {MAX_ANSWER_BYTES} bytes"
        )));
    }
    if !line.starts_with('{') {
        return if line.ends_with(".json") {
            load_approval(Path::new(line)).map(|a| Answer::Signed(Box::new(a)))
        } else {
            Err(MissionError::Gate(format!(
                "the answer \"{}\" is neither {{\"approve\": true}} nor {{\"approve\": false}} nor the name of an approval file",
                short(line)
            )))
        };
    }
    let answer: AnswerLine = serde_json::from_str(line).map_err(|e| {
        MissionError::Gate(format!(
            "the answer cannot be read: {}",
            short(&e.to_string())
        ))
    })?;
    match answer {
        AnswerLine {
            approve: false,
            reason,
            ..
        } => Ok(Answer::No {
            reason: short(&reason),
        }),
        AnswerLine {
            signed_approval: Some(_),
            approval_file: Some(_),
            ..
        } => Err(MissionError::Gate(
            "the answer holds both signed_approval and approval_file, expected one".into(),
        )),
        AnswerLine {
            signed_approval: Some(signed),
            ..
        } => Ok(Answer::Signed(Box::new(signed))),
        AnswerLine {
            approval_file: Some(path),
            ..
        } => load_approval(Path::new(&path)).map(|a| Answer::Signed(Box::new(a))),
        AnswerLine { .. } => Ok(Answer::Yes),
    }
}

/// Reads a signed approval from a file.
///
/// # Errors
/// [`MissionError`] that names the file.
pub fn load_approval(path: &Path) -> Result<SignedApproval, MissionError> {
    let text = files::read_text(path, MAX_ANSWER_BYTES as u64)?;
    serde_json::from_str(&text)
        .map_err(|e| CoreError::format(path.display().to_string(), short(&e.to_string())).into())
}

/// The parameters of `config/ground.param.yaml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroundParams {
    /// East of the start, metres in `map`.
    pub start_x_m: f64,
    /// North of the start, metres in `map`.
    pub start_y_m: f64,
    /// East of the goal, metres in `map`.
    pub goal_x_m: f64,
    /// North of the goal, metres in `map`.
    pub goal_y_m: f64,
    /// Constraints file; empty takes the planner's own.
    pub mission_file: String,
    /// Folder for plan, report and bundle.
    pub out_dir: String,
    /// How the plan is approved.
    pub approval: ApprovalBy,
    /// Secret key for "auto" and for a plain yes; empty for none.
    pub key_file: String,
    /// Name of the person who signs.
    pub signer: String,
    /// Whether the bundle is driven after the uplink.
    pub execute: bool,
    /// Longest wait for another node's service or action, wall seconds.
    pub wait_s: f64,
    /// Longest time for planning, wall seconds.
    pub plan_timeout_s: f64,
    /// Longest time for verification, wall seconds.
    pub verify_timeout_s: f64,
    /// Longest wait for a person, wall seconds; 0 waits for ever.
    pub approval_timeout_s: f64,
    /// Longest silence of the rover during a drive, wall seconds.
    pub silence_s: f64,
    /// Time between two progress events, wall seconds.
    pub progress_every_s: f64,
}

impl GroundParams {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`MissionError::Core`] that names the key.
    pub fn check(&self) -> Result<(), MissionError> {
        let what = "parameters of ground";
        for (name, value, lo, hi) in [
            ("start_x_m", self.start_x_m, -1e7, 1e7),
            ("start_y_m", self.start_y_m, -1e7, 1e7),
            ("goal_x_m", self.goal_x_m, -1e7, 1e7),
            ("goal_y_m", self.goal_y_m, -1e7, 1e7),
            ("wait_s", self.wait_s, 0.1, 3600.0),
            ("plan_timeout_s", self.plan_timeout_s, 0.1, 86400.0),
            ("verify_timeout_s", self.verify_timeout_s, 0.1, 86400.0),
            ("approval_timeout_s", self.approval_timeout_s, 0.0, 1e7),
            ("silence_s", self.silence_s, 1.0, 86400.0),
            ("progress_every_s", self.progress_every_s, 0.05, 3600.0),
        ] {
            in_range(what, name, value, lo, hi)?;
        }
        if self.out_dir.is_empty() {
            return Err(CoreError::value(what, "out_dir", "empty", "a folder").into());
        }
        if self.approval == ApprovalBy::Auto && self.key_file.is_empty() {
            return Err(CoreError::value(
                what,
                "key_file",
                "empty",
                "a key file when approval is auto",
            )
            .into());
        }
        if self.signer.trim().is_empty() {
            return Err(CoreError::value(
                what,
                "signer",
                "empty",
                "the name of the person who signs",
            )
            .into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{plan, report, test_key};
    use crate::gate;
    use proptest::prelude::*;

    fn signed() -> SignedApproval {
        let plan = plan();
        gate::approve(
            &plan,
            &report(&plan),
            &test_key(Purpose::Flight, 1),
            "p",
            "t",
        )
        .unwrap()
    }

    #[test]
    fn the_shipped_parameters_are_right() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/ground.param.yaml");
        let mut params: GroundParams =
            sojourn_core::params::load_node_params(&path, "ground").unwrap();
        params.check().unwrap();
        params.goal_x_m = f64::NAN;
        assert!(params.check().unwrap_err().to_string().contains("goal_x_m"));
        params.goal_x_m = 1.0;
        params.approval = ApprovalBy::Auto;
        params.key_file.clear();
        assert!(params.check().unwrap_err().to_string().contains("key_file"));
    }

    #[test]
    fn only_a_clear_yes_is_a_yes() {
        assert_eq!(parse_answer("{\"approve\": true}\n").unwrap(), Answer::Yes);
        assert_eq!(
            parse_answer("{\"approve\": false}").unwrap(),
            Answer::No {
                reason: String::new()
            }
        );
        let s = signed();
        let line = format!(
            "{{\"approve\": true, \"signed_approval\": {}}}",
            serde_json::to_string(&s).unwrap()
        );
        assert_eq!(
            parse_answer(&line).unwrap(),
            Answer::Signed(Box::new(s.clone()))
        );
        // No, although a signature comes with it.
        let line = line.replace("\"approve\": true", "\"approve\": false");
        assert!(matches!(parse_answer(&line).unwrap(), Answer::No { .. }));
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("approval.json");
        std::fs::write(&file, serde_json::to_string(&s).unwrap()).unwrap();
        for line in [
            file.display().to_string(),
            format!("{{\"approve\":true,\"approval_file\":{:?}}}", file),
        ] {
            assert_eq!(
                parse_answer(&line).unwrap(),
                Answer::Signed(Box::new(s.clone()))
            );
        }
        for bad in [
            "",
            "yes",
            "{}",
            "{\"approve\": \"true\"}",
            "{\"approve\": true, \"x\": 1}",
            "/no/such.json",
            "null",
        ] {
            assert!(parse_answer(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_event_is_one_line_of_json() {
        let plan = plan();
        for event in [
            Event::planned(&plan, "two\nlines", Path::new("plan.json")).unwrap(),
            Event::verified(&report(&plan), Path::new("v.json")).unwrap(),
            Event::Error {
                message: "\"quoted\"".into(),
            },
        ] {
            let line = event.line();
            assert!(!line.contains('\n'));
            let value: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert!(value["event"].is_string());
        }
        let value: serde_json::Value =
            serde_json::from_str(&Event::planned(&plan, "m", Path::new("p")).unwrap().line())
                .unwrap();
        assert_eq!(value["event"], "planned");
        assert_eq!(value["waypoints"], 3);
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(line in ".{0,200}") {
            if let Ok(answer) = parse_answer(&line) {
                prop_assert!(line.contains("approve"), "{answer:?}");
            }
        }
    }
}
