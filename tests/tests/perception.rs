//! Perception with its network and the science team's wishes switched on, in a simulated drive, beside an rclpy peer.

use serde_json::Value;
use sojourn_tests::{Domain, Running, parse_json, run, sojourn};
use std::process::Stdio;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(600);

/// The drive runs in lockstep, so that what perception says depends on no clock; it is ended when the peer has heard enough.
#[test]
fn classes_and_targets_reach_a_peer() {
    let dir = tempfile::tempdir().unwrap();
    let domain = Domain::take().unwrap();
    let log = std::fs::File::create(dir.path().join("demo.log")).unwrap();
    let mut demo = sojourn();
    demo.args(["demo", "--yes", "--seed", "3", "--distance", "30", "--out"])
        .arg(dir.path().join("run"))
        .args(["terrain_classes:=shipped", "science_wants:=shipped"])
        .stdout(Stdio::from(log.try_clone().unwrap()))
        .stderr(Stdio::from(log));
    domain.apply(&mut demo);
    let running = Running::start(&mut demo).unwrap();
    let output = run(&mut domain.peer(&["--timeout", "540", "classes"]), LIMIT).unwrap();
    let seen = parse_json(&String::from_utf8_lossy(&output.stdout)).unwrap();
    let said = std::fs::read_to_string(dir.path().join("demo.log")).unwrap();
    assert_eq!(seen["ok"], true, "{seen}\n{said}");
    let names = |key: &str| -> Vec<&str> {
        let list = seen[key].as_array().unwrap().iter();
        list.filter_map(Value::as_str).collect()
    };
    let layers = names("layers");
    assert!(layers.len() <= 6 && layers.contains(&"class"), "{seen}");
    for layer in ["age", "slip", "p_soil", "p_bedrock", "p_sand", "p_big_rock"] {
        assert!(names("more").contains(&layer), "{layer}: {seen}");
    }
    assert!(seen["sum_off"].as_f64().unwrap() < 1e-3, "{seen}");
    // Of the class table: bedrock, boulder field, sand ripples, smooth regolith.
    for code in seen["codes"].as_array().unwrap() {
        let code = code.as_f64().unwrap();
        assert!([0.0, 2.0, 3.0, 6.0].contains(&code), "{seen}");
    }
    for target in seen["targets"].as_array().unwrap() {
        assert_eq!(target["frame"], "odom", "{target}");
        let confidence = target["confidence"].as_f64().unwrap();
        assert!(confidence > 0.0 && confidence <= 1.0, "{target}");
        assert!(target["size_m"].as_f64().unwrap() >= 0.2, "{target}");
        // The rover has driven 30 m at most, and targets lie within 12 m of the camera.
        for k in 0..2 {
            assert!(target["at_m"][k].as_f64().unwrap().abs() < 45.0, "{target}");
        }
    }
    drop(running);
}
