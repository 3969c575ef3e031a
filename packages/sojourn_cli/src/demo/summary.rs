//! `summary.json`: the figures of a run under the names that programs look for.

use crate::report::recording::Recording;
use serde_json::{Map, Value, json};
use sojourn_core::{plan::Plan, report::Report};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// What the run itself knows.
pub struct Facts<'a> {
    /// Name of the run.
    pub name: &'a str,
    /// Seed.
    pub seed: u64,
    /// The plan.
    pub plan: &'a Plan,
    /// The twin's report.
    pub verification: &'a Report,
    /// The simulator's score.
    pub score: &'a Value,
    /// What the recording tells.
    pub recording: &'a Recording,
    /// Reached, by the executive's own estimate.
    pub reached: bool,
    /// Final state of the drive.
    pub state: &'a str,
    /// Why.
    pub reason: &'a str,
    /// Way driven by the rover's own estimate, metres.
    pub estimated_driven_m: f64,
    /// Distance to the goal by the rover's own estimate, metres.
    pub estimated_goal_error_m: Option<f64>,
    /// Names seen in the ROS graph.
    pub nodes: &'a BTreeSet<String>,
    /// Wall time of the run, seconds.
    pub wall_s: f64,
    /// Wall time of the drive, seconds.
    pub drive_wall_s: f64,
    /// Versions.
    pub versions: Value,
}

/// Rounds for people and for equal runs on unequal machines: a tenth of a millimetre is beyond meaning.
fn round(v: f64) -> Value {
    let r = (v * 1e4).round() / 1e4;
    if r.is_finite() { json!(r) } else { Value::Null }
}

fn score_number(score: &Value, key: &str) -> Value {
    score
        .get(key)
        .and_then(Value::as_f64)
        .map_or(Value::Null, round)
}

/// Writes the summary.
#[must_use]
pub fn summary(f: &Facts<'_>) -> Value {
    let end = f
        .score
        .get("end")
        .and_then(|e| Some([e.get("x_m")?.as_f64()?, e.get("y_m")?.as_f64()?]));
    let localization_error = match (end, f.recording.estimate_end) {
        (Some(truth), Some(estimate)) => {
            round(sojourn_core::geometry::distance_m(truth, estimate.at_m))
        }
        _ => Value::Null,
    };
    let goal_error = match (f.score.get("goal_error_m").and_then(Value::as_f64), end) {
        (Some(v), _) => round(v),
        (None, Some(truth)) => round(sojourn_core::geometry::distance_m(
            truth,
            [f.plan.goal.x_m, f.plan.goal.y_m],
        )),
        _ => Value::Null,
    };
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| out.insert(key.into(), value);
    put("name", json!(f.name));
    put("reached", json!(f.reached));
    put("state", json!(f.state));
    put("reason", json!(f.reason));
    put("distance_planned_m", round(f.plan.distance_m));
    put(
        "distance_driven_m",
        score_number(f.score, "distance_driven_m"),
    );
    put("goal_error_m", goal_error);
    put("localization_error_end_m", localization_error);
    put("estimated_distance_driven_m", round(f.estimated_driven_m));
    put(
        "estimated_goal_error_m",
        f.estimated_goal_error_m.map_or(Value::Null, round),
    );
    put("max_tilt_deg", score_number(f.score, "max_tilt_deg"));
    put("min_clearance_m", score_number(f.score, "min_clearance_m"));
    put("max_slip", score_number(f.score, "max_slip"));
    put("mean_slip", score_number(f.score, "mean_slip"));
    put(
        "unsafe_events",
        f.score.get("unsafe_events").cloned().unwrap_or(Value::Null),
    );
    put("autonav_stops", json!(f.recording.stops));
    let swerves = f
        .recording
        .events
        .iter()
        .filter(|e| e.deed == crate::report::recording::Deed::Swerve)
        .count();
    put("autonav_swerves", json!(swerves));
    put(
        "telemetry_values_checked",
        json!(f.verification.values_checked),
    );
    put("plan_digest", json!(f.verification.plan_digest));
    put("model_status", json!(f.plan.model.status));
    put("body", json!(f.plan.body.name));
    put("rover", json!(f.plan.rover));
    put("nodes", json!(f.nodes));
    put("sim_s", score_number(f.score, "sim_s"));
    put("wall_s", round(f.wall_s));
    put("times", json!({"drive_wall_s": round(f.drive_wall_s)}));
    put("seed", json!(f.seed));
    put("versions", f.versions.clone());
    Value::Object(out)
}

/// Versions of what was run.
#[must_use]
pub fn versions(checkout: Option<&Path>, ros_distro: Option<&str>) -> Value {
    let mut out = Map::new();
    out.insert("sojourn".into(), json!(env!("CARGO_PKG_VERSION")));
    let commit = checkout.and_then(|root| {
        let git = Command::new("git")
            .arg("-C")
            .arg(root)
            .args(["describe", "--always", "--dirty", "--abbrev=12"])
            .output()
            .ok()?;
        git.status
            .success()
            .then(|| String::from_utf8_lossy(&git.stdout).trim().to_string())
    });
    if let Some(commit) = commit {
        out.insert("commit".into(), json!(commit));
    }
    if let Some(distro) = ros_distro {
        out.insert("ros".into(), json!(distro));
    }
    out.insert(
        "plan_schema".into(),
        json!(sojourn_core::plan::PLAN_SCHEMA_VERSION),
    );
    out.insert(
        "report_schema".into(),
        json!(sojourn_core::report::REPORT_SCHEMA_VERSION),
    );
    Value::Object(out)
}

/// Whether a run counts as good: reached and no unsafe event.
#[must_use]
pub fn good(summary: &Value) -> bool {
    summary.get("reached").and_then(Value::as_bool) == Some(true)
        && summary.get("unsafe_events").and_then(Value::as_u64) == Some(0)
}

/// The summary on one screen.
#[must_use]
pub fn screen(summary: &Value, dir: &Path) -> String {
    let text = |key: &str| {
        summary
            .get(key)
            .map_or_else(|| "–".to_string(), crate::report::html::shown)
    };
    let verdict = if good(summary) {
        "REACHED, no unsafe event".to_string()
    } else if summary.get("reached").and_then(Value::as_bool) == Some(true) {
        format!("reached, but {} unsafe events", text("unsafe_events"))
    } else {
        format!("NOT REACHED ({}): {}", text("state"), text("reason"))
    };
    let nodes = summary
        .get("nodes")
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    format!(
        "\n  {}\n  {verdict}\n\n\
         \x20   driven             {:>9} m   of {} m planned\n\
         \x20   from the goal      {:>9} m   (ground truth)\n\
         \x20   estimate is off    {:>9} m   at the end\n\
         \x20   greatest tilt      {:>9} deg\n\
         \x20   least clearance    {:>9} m\n\
         \x20   greatest slip      {:>9}\n\
         \x20   AutoNav            {:>9} stops, {} swerves\n\
         \x20   values checked     {:>9}     before the drive\n\
         \x20   nodes              {:>9}\n\
         \x20   simulated time     {:>9} s   in {} s of wall time\n\
         \x20   seed               {:>9}\n\n  {}\n",
        text("name"),
        text("distance_driven_m"),
        text("distance_planned_m"),
        text("goal_error_m"),
        text("localization_error_end_m"),
        text("max_tilt_deg"),
        text("min_clearance_m"),
        text("max_slip"),
        text("autonav_stops"),
        text("autonav_swerves"),
        text("telemetry_values_checked"),
        nodes,
        text("sim_s"),
        text("wall_s"),
        text("seed"),
        dir.join("report.html").display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reached_without_unsafe_events_is_good() {
        assert!(good(&json!({"reached": true, "unsafe_events": 0})));
        for bad in [
            json!({"reached": true, "unsafe_events": 1}),
            json!({"reached": false, "unsafe_events": 0}),
            json!({"reached": true}),
            json!({"reached": true, "unsafe_events": null}),
        ] {
            assert!(!good(&bad), "{bad}");
        }
    }

    #[test]
    fn figures_are_rounded_and_never_infinite() {
        assert_eq!(round(1.234_567), json!(1.2346));
        assert_eq!(round(f64::NAN), Value::Null);
    }
}
