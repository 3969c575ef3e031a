//! What the node `ground` says while it conducts a drive: one JSON event per line, for programs and people.

use crate::CoreError;
use crate::plan::Plan;
use crate::report::Report;
use serde::{Deserialize, Deserializer, Serialize};
use std::path::Path;

/// One event; one line of JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
        #[serde(deserialize_with = "nan_for_null")]
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
        #[serde(deserialize_with = "nan_for_null")]
        max_tilt_deg: f64,
        /// Least clearance, metres.
        #[serde(deserialize_with = "nan_for_null")]
        min_clearance_m: f64,
        /// Greatest slip, 0 to 1.
        #[serde(deserialize_with = "nan_for_null")]
        max_slip: f64,
        /// Duration, simulated seconds.
        #[serde(deserialize_with = "nan_for_null")]
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
        /// The text to sign, as `sojourn_mission::gate::Approval`.
        approval: Box<serde_json::Value>,
    },
    /// A signature is there and the bundle is written.
    Approved {
        /// The bundle.
        bundle_id: String,
        /// Who signed.
        signer: String,
        /// What the key is for: "simulation" or "flight".
        purpose: String,
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
        #[serde(deserialize_with = "nan_for_null")]
        planned_m: f64,
    },
    /// How the drive stands.
    Progress {
        /// Way driven, metres.
        #[serde(deserialize_with = "nan_for_null")]
        driven_m: f64,
        /// Length of the plan, metres.
        #[serde(deserialize_with = "nan_for_null")]
        planned_m: f64,
        /// Straight distance to the goal, metres.
        #[serde(deserialize_with = "nan_for_null")]
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
    /// Nodes seen in the ROS graph so far, when the drive begins and when it ends.
    Nodes {
        /// Names, without namespace.
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
        #[serde(deserialize_with = "nan_for_null")]
        distance_driven_m: f64,
        /// Distance to the goal by the rover's own estimate, metres.
        #[serde(deserialize_with = "nan_for_null")]
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

    /// Reads a line; `None` when it is no event known here (a newer ground may say more).
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line.trim()).ok()
    }

    /// The event of a new plan.
    ///
    /// # Errors
    /// [`CoreError`].
    pub fn planned(plan: &Plan, message: &str, plan_file: &Path) -> Result<Self, CoreError> {
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
    /// [`CoreError`].
    pub fn verified(report: &Report, report_file: &Path) -> Result<Self, CoreError> {
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

/// JSON knows no number that is not finite; `null` stands for it.
fn nan_for_null<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(from)?.unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_read_again() {
        for event in [
            Event::Waiting {
                what: "plan_route".into(),
            },
            Event::AwaitingApproval {
                how: "stdin".into(),
                plan_digest: "p".into(),
                report_digest: "r".into(),
                approval: Box::new(serde_json::json!({"x": 1})),
            },
            Event::Nodes {
                names: vec!["guard".into()],
            },
            Event::Error {
                message: "two\nlines and \"quotes\"".into(),
            },
        ] {
            let line = event.line();
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(Event::parse(&line), Some(event));
        }
    }

    #[test]
    fn a_number_that_is_not_finite_comes_back_as_such() {
        let event = Event::Finished {
            reached: false,
            state: "ABORTED".into(),
            reason: "r".into(),
            distance_driven_m: 1.5,
            goal_error_estimate_m: f64::NAN,
        };
        assert!(event.line().contains("null"));
        let Some(Event::Finished {
            distance_driven_m,
            goal_error_estimate_m,
            ..
        }) = Event::parse(&event.line())
        else {
            unreachable!("it was an event");
        };
        assert!(distance_driven_m == 1.5 && goal_error_estimate_m.is_nan());
    }

    #[test]
    fn other_lines_are_passed_over() {
        for line in [
            "",
            "hello",
            "{}",
            r#"{"event":"new"}"#,
            r#"{"event":"planned"}"#,
        ] {
            assert_eq!(Event::parse(line), None, "{line}");
        }
    }
}
