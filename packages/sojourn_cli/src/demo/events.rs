//! What the node `ground` says while it conducts a drive: one JSON object per line.

use serde::Deserialize;

/// One event; fields that are not needed here are not read.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Waits for another node.
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
    },
    /// The twin has judged.
    Verified {
        /// The verdict.
        passed: bool,
        /// Why.
        reason: String,
        /// Values compared with a limit.
        values_checked: u64,
    },
    /// A person is asked.
    AwaitingApproval {},
    /// The bundle is signed.
    Approved {
        /// The bundle.
        bundle_id: String,
        /// Who signed.
        signer: String,
    },
    /// The rover has accepted the bundle.
    Uplinked {},
    /// The rover drives.
    Driving {
        /// Length of the plan, metres.
        planned_m: f64,
    },
    /// How the drive stands.
    Progress {
        /// Way driven, metres.
        driven_m: f64,
        /// State.
        state: String,
        /// Why.
        reason: String,
    },
    /// Nodes in the graph.
    Nodes {
        /// Their names.
        names: Vec<String>,
    },
    /// The drive is over.
    Finished {
        /// By the executive's own estimate.
        reached: bool,
        /// State.
        state: String,
        /// Why.
        reason: String,
        /// Way driven by the rover's own estimate, metres.
        distance_driven_m: f64,
        /// Distance to the goal by the rover's own estimate, metres.
        goal_error_estimate_m: Option<f64>,
    },
    /// It did not work.
    Error {
        /// One sentence.
        message: String,
    },
}

/// Reads a line; `None` when it is no event known here (a newer ground may say more).
#[must_use]
pub fn parse(line: &str) -> Option<Event> {
    serde_json::from_str(line.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_and_other_lines_passed_over() {
        assert_eq!(
            parse(r#"{"event":"waiting","what":"plan_route"}"#),
            Some(Event::Waiting {
                what: "plan_route".into()
            })
        );
        assert_eq!(
            parse(r#"{"event":"awaiting_approval","how":"stdin","approval":{"x":1}}"#),
            Some(Event::AwaitingApproval {})
        );
        assert!(matches!(
            parse(
                r#"{"event":"finished","reached":false,"state":"ABORTED","reason":"r","distance_driven_m":1.0,"goal_error_estimate_m":null}"#
            ),
            Some(Event::Finished { reached: false, .. })
        ));
        for line in [
            "",
            "hello",
            "{}",
            r#"{"event":"new"}"#,
            r#"{"event":"planned"}"#,
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
