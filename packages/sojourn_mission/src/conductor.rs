//! What the ground needs to conduct a drive: its parameters, a person's answer, its exit codes. Its events stand in
//! [`sojourn_core::conduct`].

use crate::MissionError;
use crate::gate::SignedApproval;
use crate::keys::short;
use serde::{Deserialize, Serialize};
use sojourn_core::error::in_range;
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
    /// Longest time for all of them to answer a greeting once they were found, wall seconds. To see a service tells that this
    /// node has found the server, not that the server has found this node: an answer given before that is lost.
    pub discovery_s: f64,
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
            ("discovery_s", self.discovery_s, 0.0, 60.0),
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
    use crate::keys::Purpose;
    use proptest::prelude::*;
    use sojourn_core::conduct::Event;

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
    fn the_events_of_plan_and_verdict_are_read_again() {
        let plan = plan();
        for event in [
            Event::planned(&plan, "two\nlines", Path::new("plan.json")).unwrap(),
            Event::verified(&report(&plan), Path::new("v.json")).unwrap(),
        ] {
            let line = event.line();
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(Event::parse(&line), Some(event));
        }
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
