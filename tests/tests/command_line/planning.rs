//! Planning, verifying and approving by the command alone.

use super::{LIMIT, ground};
use sojourn_tests::{data, parse_json, read_json, run, run_json, sojourn};
use std::path::Path;

#[test]
fn plan_verify_approve_on_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let dtm = ground(dir.path());
    let (plan, xml, report, key, bundle) = (
        at("plan.json"),
        at("plan.xml"),
        at("report.json"),
        at("key.json"),
        at("bundle"),
    );
    let planned = run_json(
        sojourn()
            .args([
                "plan", "--dtm", &dtm, "--body", "earth", "--start", "20,20", "--goal", "80,75",
            ])
            .args(["--out", &plan, "--xml", &xml, "--json"]),
        LIMIT,
    )
    .unwrap();
    assert!(planned["distance_m"].as_f64().unwrap() > 75.0, "{planned}");
    let document = read_json(Path::new(&plan)).unwrap();
    let waypoints = document["waypoints"].as_array().unwrap();
    assert!(waypoints.len() >= 7);
    for w in waypoints {
        for field in [
            "x_m",
            "y_m",
            "tolerance_m",
            "mode",
            "corridor",
            "limits",
            "timeout_s",
            "risk",
            "reasons",
        ] {
            assert!(!w[field].is_null(), "{field} is missing in {w}");
        }
    }
    let text = std::fs::read_to_string(&xml).unwrap();
    assert!(
        text.contains(planned["digest"].as_str().unwrap()),
        "the XML carries the plan's digest"
    );

    let verdict = run_json(
        sojourn().args([
            "verify", "--dtm", &dtm, "--body", "earth", "--plan", &plan, "--out", &report, "--json",
        ]),
        LIMIT,
    )
    .unwrap();
    assert_eq!(verdict["passed"], true, "{verdict}");
    assert!(
        verdict["values_checked"].as_u64().unwrap() > 100_000,
        "{verdict}"
    );

    run_json(
        sojourn().args(["key", "new", "--out", &key, "--json"]),
        LIMIT,
    )
    .unwrap();
    run_json(
        sojourn()
            .args([
                "approve", "--plan", &plan, "--report", &report, "--key", &key,
            ])
            .args(["--out", &bundle, "--yes", "--json"]),
        LIMIT,
    )
    .unwrap();
    let checked = run_json(
        sojourn().args(["bundle", "check", &bundle, "--json"]),
        LIMIT,
    )
    .unwrap();
    assert_eq!(checked["ok"], true, "{checked}");

    // One flipped bit in any file of the bundle.
    for entry in std::fs::read_dir(&bundle).unwrap() {
        let path = entry.unwrap().path();
        let whole = std::fs::read(&path).unwrap();
        let mut spoilt = whole.clone();
        let middle = spoilt.len() / 2;
        spoilt[middle] ^= 4;
        std::fs::write(&path, spoilt).unwrap();
        let output = run(sojourn().args(["bundle", "check", &bundle]), LIMIT).unwrap();
        assert!(
            !output.status.success(),
            "a flipped bit in {} went unnoticed",
            path.display()
        );
        std::fs::write(&path, whole).unwrap();
    }
    assert!(
        run(sojourn().args(["bundle", "check", &bundle]), LIMIT)
            .unwrap()
            .status
            .success()
    );
}

#[test]
fn two_plans_of_one_seed_are_one_plan() {
    let dir = tempfile::tempdir().unwrap();
    let dtm = ground(dir.path());
    let digest = |name: &str| {
        let out = dir.path().join(name).display().to_string();
        let planned = run_json(
            sojourn()
                .args([
                    "plan", "--dtm", &dtm, "--body", "earth", "--start", "20,20", "--goal", "80,75",
                ])
                .args(["--seed", "7", "--out", &out, "--json"]),
            LIMIT,
        );
        planned.unwrap()["digest"].as_str().unwrap().to_string()
    };
    assert_eq!(digest("a.json"), digest("b.json"));
}

#[test]
fn a_plan_over_the_cliff_is_rejected_with_the_place() {
    let dir = tempfile::tempdir().unwrap();
    let dtm = ground(dir.path());
    let plan = dir.path().join("plan.json");
    let report = dir.path().join("report.json");
    let args = [
        "plan", "--dtm", &dtm, "--body", "earth", "--start", "20,50", "--goal", "80,50",
    ];
    run_json(
        sojourn()
            .args(args)
            .args(["--out", &plan.display().to_string(), "--json"]),
        LIMIT,
    )
    .unwrap();
    // Move the whole end of the way onto the cliff.
    let mut document = read_json(&plan).unwrap();
    let waypoints = document["waypoints"].as_array_mut().unwrap();
    let n = waypoints.len();
    let last = &mut waypoints[n - 1];
    last["x_m"] = 110.0.into();
    last["corridor"] =
        serde_json::json!([[60.0, 30.0], [118.0, 30.0], [118.0, 70.0], [60.0, 70.0]]);
    let y = last["y_m"].as_f64().unwrap();
    document["goal"]["x_m"] = 110.0.into();
    document["goal"]["y_m"] = y.into();
    let points: Vec<(f64, f64)> = std::iter::once((
        document["start"]["x_m"].as_f64(),
        document["start"]["y_m"].as_f64(),
    ))
    .chain(
        document["waypoints"]
            .as_array()
            .unwrap()
            .iter()
            .map(|w| (w["x_m"].as_f64(), w["y_m"].as_f64())),
    )
    .map(|(x, y)| (x.unwrap(), y.unwrap()))
    .collect();
    let length: f64 = points
        .windows(2)
        .map(|w| (w[1].0 - w[0].0).hypot(w[1].1 - w[0].1))
        .sum();
    document["distance_m"] = length.into();
    std::fs::write(&plan, document.to_string()).unwrap();
    let output = run(
        sojourn()
            .args([
                "verify",
                "--dtm",
                &dtm,
                "--body",
                "earth",
                "--plan",
                &plan.display().to_string(),
            ])
            .args(["--out", &report.display().to_string(), "--json"]),
        LIMIT,
    )
    .unwrap();
    assert_eq!(
        output.status.code(),
        Some(3),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let verdict = parse_json(&String::from_utf8_lossy(&output.stdout)).unwrap();
    assert_eq!(verdict["passed"], false);
    let written = read_json(&report).unwrap();
    // The last segment is too long as well; what the cliff does to the rover stands beside it.
    let findings = written["findings"].as_array().unwrap();
    let on_the_cliff = |f: &&serde_json::Value| {
        f["x_m"].as_f64().unwrap() > 90.0 && f["channel"].as_str().unwrap() != "route.segment_m"
    };
    let finding = findings
        .iter()
        .find(on_the_cliff)
        .unwrap_or_else(|| panic!("one is on the cliff: {findings:?}"));
    assert!(!finding["reason"].as_str().unwrap().is_empty());
}

#[test]
fn real_terrain_is_planned_and_verified() {
    let Some(dtm) = data("hirise_dtm_crops/jezero_neretva_neretva_center_2m.tif") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let (plan, report) = (dir.path().join("plan.json"), dir.path().join("report.json"));
    let dtm = dtm.display().to_string();
    let planned = run_json(
        sojourn()
            .args([
                "plan", "--dtm", &dtm, "--start", "300,300", "--goal", "480,420", "--json", "--out",
            ])
            .arg(&plan),
        LIMIT,
    )
    .unwrap();
    assert!(
        planned["distance_m"].as_f64().unwrap() >= 216.0,
        "{planned}"
    );
    let output = run(
        sojourn()
            .args(["verify", "--dtm", &dtm, "--json", "--plan"])
            .arg(&plan)
            .arg("--out")
            .arg(&report),
        LIMIT,
    )
    .unwrap();
    let written = read_json(&report).unwrap();
    assert_eq!(
        output.status.code(),
        Some(if written["passed"] == true { 0 } else { 3 })
    );
    assert!(
        written["values_checked"].as_u64().unwrap() > 500_000,
        "{}",
        written["values_checked"]
    );
}
