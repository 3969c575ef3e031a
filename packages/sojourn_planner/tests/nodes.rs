//! The node `planner` as a process, with a test double of a model on loopback and one of the twin in rclpy.
//!
//! Needs rclpy: from a sourced ROS, or from the prefix `.ros/`. Without either the tests say so and pass.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
#[path = "../../sojourn_ros/tests/support/peer.rs"]
mod peer;

use common::fake::{Fake, Policy};
use common::site;
use peer::{Process, domain, environment, python};
use serde_json::Value;
use sojourn_core::plan::{ModelLevel, Plan};
use sojourn_planner::model::check_transcript;
use sojourn_planner::model::folder::TRANSCRIPT;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Stands for a key; it may turn up nowhere.
const SECRET: &str = "sk-double-0123456789abcdef";

/// An earlier drive on the way: ground that slipped, which the model's views show to be harmless.
const SLIPPED: &str = r#"[{"x_m": 41.0, "y_m": 100.0, "slip": 0.8, "stopped": false, "date": "2026-01-01", "note": ""}]"#;

/// A planner over flat ground with sand that only the model sees.
fn planner(dir: &Path, url: &str, domain: u32) -> Process {
    site(200, 1.0, |_, _| 0.0).save(&dir.join("site")).unwrap();
    let history = dir.join("history.json");
    std::fs::write(&history, SLIPPED).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_planner"));
    command.args(["--ros-args", "--params-file", "config/planner.param.yaml"]);
    let talk = dir.join("conversations");
    for (name, value) in [
        ("site_dir", dir.join("site").display().to_string()),
        ("rover_file", "config/rovers/perseverance.yaml".into()),
        ("mission_file", "config/mission.yaml".into()),
        ("provider", url.into()),
        ("model", "double-1".into()),
        ("talk_dir", talk.display().to_string()),
        ("knowledge_dir", "config/knowledge".into()),
        ("history_file", history.display().to_string()),
    ] {
        command.args(["-p", &format!("{name}:={value}")]);
    }
    let log = std::fs::File::create(dir.join("log")).unwrap();
    command
        .env("ANTHROPIC_API_KEY", SECRET)
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    Process::start(&mut environment(command, domain))
}

/// Everything that the double heard from the planner, one answer a line.
fn asked(mut command: Command, rejects: &str, times: usize) -> Vec<Value> {
    command.args([rejects, "40", "100", "160", "100", &times.to_string()]);
    let out = command.output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let said: Vec<Value> = text
        .lines()
        .filter_map(|l| serde_json::from_str(l).ok())
        .collect();
    let why = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(said.len(), times, "{text}{why}");
    for s in &said {
        assert_eq!(s["success"], true, "{s}");
    }
    said
}

fn sand() -> common::fake::Truth {
    let outline = vec![[90.0, 60.0], [110.0, 60.0], [110.0, 140.0], [90.0, 140.0]];
    vec![("sand_ripples", outline, 5)]
}

/// The records, in the order of their folders' names.
fn records(dir: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(dir.join("conversations"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    folders.sort();
    folders
}

fn plan_of(said: &Value) -> Plan {
    Plan::parse("the plan", said["document"].as_str().unwrap()).unwrap()
}

#[test]
fn a_rejection_goes_back_to_the_model_and_everything_is_on_record() {
    let domain = domain();
    let Some(double) = python("twin.py", domain) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let fake = Fake::start(Policy::Perfect, sand());
    let _planner = planner(dir.path(), &fake.url, domain);
    let said = asked(double, "1", 2);
    let plan = plan_of(&said[0]);
    assert_eq!(plan.model.level, Some(ModelLevel::Full));
    let flags = &plan.model.flags;
    let rejected = "the twin rejected the first plan: slip of 0.7 at segment 3";
    assert!(flags.iter().any(|f| f == rejected), "{flags:?}");
    assert_eq!(said[0]["driven"], 2);
    let disputes = plan.disputes.as_ref().unwrap();
    assert_eq!(disputes.sources, ["model", "measured slip"]);
    let worried = disputes.grounds.iter().map(|g| g.most_worried.as_str());
    assert!(disputes.disputed_m > 0.0 && worried.collect::<Vec<_>>().contains(&"measured slip"));
    let folders = records(dir.path());
    assert_eq!(folders.len(), 2, "{folders:?}");
    let folder = &folders[0];
    let file = folder.join(TRANSCRIPT);
    let text = std::fs::read_to_string(&file).unwrap();
    // Words, not pictures, and no key.
    assert!(text.contains("TWIN_REJECTS") && text.contains("driving_rules.md"));
    assert!(!text.contains("iVBORw0KGgo"));
    for kept in [
        file.clone(),
        folder.join("report.html"),
        dir.path().join("log"),
    ] {
        let kept_text = std::fs::read_to_string(&kept).unwrap();
        assert!(!kept_text.contains(SECRET), "{}", kept.display());
    }
    assert!(folder.join("views/V1.png").is_file());
    // The same question again is another conversation; the record of the first stays its plan's.
    assert_eq!(said[1]["driven"], 3);
    assert!(check_transcript(&plan, &file).unwrap().is_empty());
    let again = check_transcript(&plan_of(&said[1]), &folders[1].join(TRANSCRIPT));
    assert!(again.unwrap().is_empty());
}

#[test]
fn without_a_twin_the_plan_says_so() {
    let domain = domain();
    let Some(double) = python("twin.py", domain) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let fake = Fake::start(Policy::Perfect, sand());
    let _planner = planner(dir.path(), &fake.url, domain);
    let said = asked(double, "-", 1);
    let plan = plan_of(&said[0]);
    assert_eq!(plan.model.level, Some(ModelLevel::Full));
    let told = "the twin did not drive the model's route: no node twin answered";
    let flags = &plan.model.flags;
    assert!(flags.iter().any(|f| f.starts_with(told)), "{flags:?}");
    let file = records(dir.path())[0].join(TRANSCRIPT);
    assert!(check_transcript(&plan, &file).unwrap().is_empty());
}
