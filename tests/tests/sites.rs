//! The long drives: 200 m and more on the generated world and on real terrain (`cargo xtask test --all`).

#![cfg(feature = "all")]
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use serde_json::Value;
use sojourn_tests::{Domain, data, read_json, run, sojourn, timeless};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(1800);

fn drive(args: &[&str]) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let domain = Domain::take().unwrap();
    let out = dir.path().join("run");
    let mut command = sojourn();
    command
        .args(["demo", "--yes", "--seed", "1"])
        .args(args)
        .arg("--out")
        .arg(&out);
    domain.apply(&mut command);
    let output = run(&mut command, LIMIT).unwrap();
    let said = format!(
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        output.status.success(),
        "{args:?}: {}\n{said}",
        output.status
    );
    read_json(&out.join("summary.json")).unwrap()
}

fn arrived(summary: &Value, at_least_m: f64) {
    assert_eq!(summary["reached"], true, "{summary}");
    assert_eq!(summary["unsafe_events"], 0, "{summary}");
    assert!(
        summary["distance_driven_m"].as_f64().unwrap() >= at_least_m,
        "{summary}"
    );
    let planned = summary["distance_planned_m"].as_f64().unwrap();
    assert!(
        summary["goal_error_m"].as_f64().unwrap() <= 0.1 * planned + 1.0,
        "{summary}"
    );
}

#[test]
fn the_generated_world_and_its_twin_are_the_same_drive() {
    let s = drive(&[]);
    arrived(&s, 200.0);
    assert!(s["telemetry_values_checked"].as_u64().unwrap() > 500_000);
    assert_eq!(
        timeless(&s),
        timeless(&drive(&[])),
        "two lockstep runs of one seed are one run"
    );
}

#[test]
fn neretva_vallis_in_jezero() {
    let Some(dtm) = data("hirise_dtm_crops/jezero_neretva_neretva_center_2m.tif") else {
        return;
    };
    arrived(
        &drive(&[
            "--dtm",
            &dtm.display().to_string(),
            "--start",
            "300,300",
            "--goal",
            "480,420",
        ]),
        200.0,
    );
}

#[test]
fn gale_with_its_image() {
    let Some(dtm) = data("gale_hirise_mmgis/gale_hirise_dtm_1m.tif") else {
        return;
    };
    let Some(ortho) = data("gale_hirise_mmgis/gale_hirise_ortho_0p5m_coreg.tif") else {
        return;
    };
    let (dtm, ortho) = (dtm.display().to_string(), ortho.display().to_string());
    arrived(
        &drive(&[
            "--dtm", &dtm, "--ortho", &ortho, "--start", "80,150", "--goal", "280,260",
        ]),
        200.0,
    );
}

#[test]
fn the_mars_yard_with_the_testbed_rover() {
    let Some(dtm) = data("erc_marsyard_dem/marsyard_terrain_hm.tif") else {
        return;
    };
    let dtm = dtm.display().to_string();
    arrived(
        &drive(&[
            "--dtm", &dtm, "--body", "earth", "--rover", "testbed", "--start", "20,40", "--goal",
            "36,16",
        ]),
        27.0,
    );
}
