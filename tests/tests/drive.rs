//! A drive of 30 m over the generated world through the real nodes, in lockstep.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use serde_json::Value;
use sojourn_tests::{Domain, read_json, run, sojourn, timeless};
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(600);
const NODES: [&str; 10] = [
    "simulator",
    "perception",
    "localization",
    "autonav",
    "guard",
    "executive",
    "planner",
    "twin",
    "ground",
    "recorder",
];

fn drive(out: &Path, domain: &Domain, arguments: &[&str]) -> Value {
    let mut command = sojourn();
    command
        .args(["demo", "--yes", "--seed", "3", "--distance", "30", "--out"])
        .arg(out)
        .args(arguments);
    domain.apply(&mut command);
    let output = run(&mut command, LIMIT).unwrap();
    assert!(
        output.status.success(),
        "{}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    read_json(&out.join("summary.json")).unwrap()
}

/// The same drive twice at the same time: in lockstep nothing may depend on what else the machine does.
fn driven_twice(dir: &Path, arguments: &[&str]) -> [Value; 2] {
    let one = |name: &str| {
        let domain = Domain::take().unwrap();
        drive(&dir.join(name), &domain, arguments)
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| one("b"));
        [one("a"), other.join().unwrap()]
    })
}

#[test]
fn a_drive_arrives_and_its_twin_is_the_same_drive() {
    let dir = tempfile::tempdir().unwrap();
    let [first, second] = driven_twice(dir.path(), &[]);
    assert_eq!(first["reached"], true, "{first}");
    assert_eq!(first["unsafe_events"], 0, "{first}");
    assert!(
        first["distance_driven_m"].as_f64().unwrap() >= 25.0,
        "{first}"
    );
    assert!(
        first["distance_planned_m"].as_f64().unwrap() >= 28.0,
        "{first}"
    );
    // Wheels and inertial unit alone: up to a tenth of the way, and the goal's tolerance.
    let planned = first["distance_planned_m"].as_f64().unwrap();
    assert!(
        first["goal_error_m"].as_f64().unwrap() <= 0.1 * planned + 1.0,
        "{first}"
    );
    assert!(
        first["localization_error_end_m"].as_f64().unwrap() <= 0.1 * planned,
        "{first}"
    );
    assert!(first["max_tilt_deg"].as_f64().unwrap() <= 25.0, "{first}");
    assert!(
        first["min_clearance_m"].as_f64().unwrap() >= 0.05,
        "{first}"
    );
    assert!(
        first["telemetry_values_checked"].as_u64().unwrap() > 50_000,
        "{first}"
    );
    assert_eq!(first["seed"], 3);
    for field in ["autonav_stops", "sim_s", "wall_s", "versions"] {
        assert!(!first[field].is_null(), "{field} is missing in {first}");
    }
    let seen: Vec<&str> = first["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    for node in NODES {
        assert!(
            seen.iter().any(|s| s.trim_start_matches('/') == node),
            "{node} is not among {seen:?}"
        );
    }
    let out = dir.path().join("a");
    for file in [
        "plan.json",
        "plan.xml",
        "verification.json",
        "bundle/manifest.json",
        "bundle/approval.json",
        "recording.mcap",
        "slip_memory.json",
        "history.json",
        "report.html",
        "map.png",
    ] {
        let path = out.join(file);
        assert!(
            path.metadata().is_ok_and(|m| m.len() > 100),
            "{} is missing or empty",
            path.display()
        );
    }
    // What was learned of slip is the next plan's.
    let learned = read_json(&out.join("slip_memory.json")).unwrap();
    let measured = learned["classes"][0]["measurements"].as_u64().unwrap();
    assert!(measured > 10, "{learned}");
    let next = dir.path().join("next.json");
    let made = read_json(&out.join("plan.json")).unwrap();
    let place = |end: &str| format!("{},{}", made[end]["x_m"], made[end]["y_m"]);
    let plan = |memory: &Path, history: &Path| {
        let mut command = sojourn();
        let ends = ["--start", &place("start"), "--goal", &place("goal")];
        command.args(["plan", "--json"]).args(ends);
        command.arg("--site").arg(out.join("site"));
        command.arg("--slip-memory").arg(memory);
        command.arg("--history").arg(history);
        run(command.arg("--out").arg(&next), LIMIT).unwrap()
    };
    let history = out.join("history.json");
    let records = read_json(&history).unwrap();
    let records = records.as_array().unwrap();
    assert!(
        records.len() >= 3 && records.iter().all(|r| r["stopped"] == false),
        "{records:?}"
    );
    assert!(
        plan(&out.join("slip_memory.json"), &history)
            .status
            .success()
    );
    let refused = plan(&out.join("score.json"), &history);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("no memory of slip"), "{said}");
    let refused = plan(&out.join("slip_memory.json"), &out.join("score.json"));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("no list of drive records"), "{said}");
    let report = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(
        !report.contains("src=\"http") && !report.contains("href=\"http"),
        "the report is self-contained"
    );
    let checked = run(
        sojourn().args(["bundle", "check"]).arg(out.join("bundle")),
        LIMIT,
    )
    .unwrap();
    assert!(checked.status.success());

    assert_eq!(
        timeless(&first),
        timeless(&second),
        "two lockstep runs of one seed are one run"
    );
}

/// As on a rover without a depth camera: the ground is known by matched stereo pairs alone.
#[cfg(feature = "all")]
#[test]
fn a_drive_by_stereo_pairs_arrives() {
    let dir = tempfile::tempdir().unwrap();
    let domain = Domain::take().unwrap();
    let seen = drive(&dir.path().join("a"), &domain, &["terrain_source:=stereo"]);
    assert_eq!(seen["reached"], true, "{seen}");
    assert_eq!(seen["unsafe_events"], 0, "{seen}");
    assert!(
        seen["distance_driven_m"].as_f64().unwrap() >= 25.0,
        "{seen}"
    );
}

/// The rover looks for itself on the orbital image while it drives, in a thread beside the node's beat, and the drive stays
/// repeatable.
#[cfg(feature = "all")]
#[test]
fn a_drive_with_map_fixes_is_the_same_drive_twice() {
    let dir = tempfile::tempdir().unwrap();
    let [first, second] = driven_twice(dir.path(), &["map_fixes:=true"]);
    for name in ["a", "b"] {
        let log = dir.path().join(name).join("log/localization.log");
        let log = std::fs::read_to_string(log).unwrap();
        assert!(log.contains("fix of"), "no fix was made:\n{log}");
    }
    assert_eq!(first["reached"], true, "{first}");
    assert_eq!(first["unsafe_events"], 0, "{first}");
    assert!(
        first["localization_error_end_m"].as_f64().unwrap() <= 0.5,
        "{first}"
    );
    assert_eq!(timeless(&first), timeless(&second));
}

/// The network works in a thread beside perception's beat, and the drive stays repeatable.
#[cfg(feature = "all")]
#[test]
fn a_drive_with_classes_of_the_ground_is_the_same_drive_twice() {
    let dir = tempfile::tempdir().unwrap();
    let on = ["terrain_classes:=shipped", "science_wants:=shipped"];
    let [first, second] = driven_twice(dir.path(), &on);
    assert_eq!(first["reached"], true, "{first}");
    assert_eq!(first["unsafe_events"], 0, "{first}");
    assert_eq!(timeless(&first), timeless(&second));
}
