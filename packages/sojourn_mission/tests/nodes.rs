//! The nodes `executive` and `ground` as processes, with everybody else played by one rclpy node.
//!
//! Needs rclpy: from a sourced ROS, or from the prefix `.ros/`. Without either the tests say so and pass.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may stop at the first surprise

#[path = "../../sojourn_ros/tests/support/peer.rs"]
mod peer;

use ed25519_dalek::Signer;
use peer::{Process, domain, environment, python, root};
use sojourn_core::plan::digest_of;
use sojourn_core::rover::Rover;
use sojourn_mission::gate::Approval;
use sojourn_mission::keys::{KeyFile, Purpose, generate, to_hex};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);

/// The three processes of a test, in a ROS domain of their own.
struct Stage {
    dir: tempfile::TempDir,
    domain: u32,
    world: Process,
    world_lines: Receiver<serde_json::Value>,
    executive: Process,
}

impl Stage {
    /// `None` when there is no rclpy here.
    fn new(factor: f64, silent_after: u32, verdict: &str) -> Option<Self> {
        Self::with(factor, silent_after, verdict, &[])
    }

    fn with(
        factor: f64,
        silent_after: u32,
        verdict: &str,
        executive_parameters: &[&str],
    ) -> Option<Self> {
        let domain = domain();
        let rover = Rover::load(&root().join("config/rovers/perseverance.yaml")).unwrap();
        let python = python("world.py", domain)?;
        let dir = tempfile::tempdir().unwrap();
        let key = generate(Purpose::Simulation, "2026-01-01T00:00:00Z").unwrap();
        key.save(&dir.path().join("key.json")).unwrap();
        let mut command = python;
        command
            .args([
                digest_of("rover", &rover).unwrap(),
                factor.to_string(),
                silent_after.to_string(),
                verdict.into(),
            ])
            .stdout(Stdio::piped());
        let mut world = Process::start(&mut command);
        let out = world.get().stdout.take().unwrap();
        let (sender, world_lines) = channel();
        std::thread::Builder::new()
            .name("world".into())
            .spawn(move || {
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    if let Ok(value) = serde_json::from_str(&line) {
                        let _ = sender.send(value);
                    }
                }
            })
            .unwrap();
        let store = format!("bundle_dir:={}", dir.path().join("rover").display());
        let mut parameters = vec![store.as_str()];
        parameters.extend(executive_parameters);
        let mut executive = node(
            "executive",
            env!("CARGO_BIN_EXE_executive"),
            domain,
            &parameters,
        );
        Some(Self {
            dir,
            domain,
            world,
            world_lines,
            executive: Process::start(&mut executive),
        })
    }

    fn ground(&self, extra: &[&str]) -> Process {
        let out = format!("out_dir:={}", self.dir.path().join("out").display());
        let key = format!("key_file:={}", self.dir.path().join("key.json").display());
        let mut parameters = vec![out.as_str(), key.as_str()];
        parameters.extend(extra);
        let mut command = node(
            "ground",
            env!("CARGO_BIN_EXE_ground"),
            self.domain,
            &parameters,
        );
        Process::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()))
    }

    #[track_caller]
    fn world_says(&self, event: &str) -> serde_json::Value {
        let began = Instant::now();
        while let Ok(line) = self
            .world_lines
            .recv_timeout(LIMIT.saturating_sub(began.elapsed()))
        {
            if line["event"] == event {
                return line;
            }
        }
        panic!("the world never said {event}");
    }

    /// Every test ends here: SIGTERM ends the executive with 0 within 2 s.
    #[track_caller]
    fn end(mut self) {
        self.executive.signal("TERM");
        assert_eq!(self.executive.ends_within(Duration::from_secs(2)), Some(0));
        drop(self.world);
    }
}

fn node(name: &str, file: &str, domain: u32, parameters: &[&str]) -> Command {
    let mut command = Command::new(file);
    command.args([
        "--ros-args",
        "--params-file",
        &format!("config/{name}.param.yaml"),
    ]);
    for parameter in parameters {
        command.args(["-p", parameter]);
    }
    environment(command, domain)
}

fn events(output: &Output) -> Vec<serde_json::Value> {
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

#[test]
fn from_plan_to_goal_with_a_key() {
    let Some(stage) = Stage::new(20.0, 0, "pass") else {
        return;
    };
    let output = stage.ground(&["approval:=auto"]).output();
    let said = events(&output);
    assert_eq!(output.status.code(), Some(0), "{said:?}");
    let names: Vec<&str> = said.iter().filter_map(|e| e["event"].as_str()).collect();
    for name in [
        "planned", "verified", "approved", "uplinked", "driving", "nodes", "progress", "finished",
    ] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    let finished = said.last().unwrap();
    assert_eq!(finished["reached"], true);
    assert!(finished["goal_error_estimate_m"].as_f64().unwrap() <= 1.0);
    let bundle = sojourn_mission::Bundle::read(&stage.dir.path().join("out/bundle")).unwrap();
    assert!(
        stage
            .dir
            .path()
            .join("rover")
            .join(bundle.id())
            .join("plan.json")
            .exists()
    );
    stage.end();
}

#[test]
fn a_drive_stops_when_perception_falls_silent() {
    let Some(stage) = Stage::new(4.0, 20, "pass") else {
        return;
    };
    let output = stage.ground(&["approval:=auto"]).output();
    assert_eq!(output.status.code(), Some(5));
    let silent_s = stage.world_says("silent")["t"].as_f64().unwrap();
    let inactive = stage.world_says("inactive");
    let after_s = inactive["t"].as_f64().unwrap() - silent_s;
    assert!(after_s <= 1.0, "{after_s} s");
    assert!(
        inactive["reason"]
            .as_str()
            .unwrap()
            .contains("heartbeat of perception")
    );
    stage.end();
}

#[test]
fn what_the_twin_rejects_or_a_person_declines_is_not_sent() {
    let Some(stage) = Stage::new(20.0, 0, "reject") else {
        return;
    };
    let output = stage.ground(&["approval:=auto"]).output();
    assert_eq!(output.status.code(), Some(3));
    assert!(!stage.dir.path().join("out/bundle").exists());
    stage.end();

    let Some(stage) = Stage::new(20.0, 0, "pass") else {
        return;
    };
    let mut ground = stage.ground(&[]);
    ground
        .get()
        .stdin
        .take()
        .unwrap()
        .write_all(b"{\"approve\": false, \"reason\": \"too risky\"}\n")
        .unwrap();
    let output = ground.output();
    assert_eq!(output.status.code(), Some(4));
    assert!(
        events(&output).last().unwrap()["reason"]
            .as_str()
            .unwrap()
            .contains("too risky")
    );
    assert!(!stage.dir.path().join("out/bundle").exists());
    stage.end();
}

#[test]
fn a_signature_made_elsewhere_with_a_trusted_flight_key() {
    let key = generate(Purpose::Flight, "2026-01-01T00:00:00Z").unwrap();
    let trusted = format!("trusted_keys:='{}'", key.public_key);
    let Some(stage) = Stage::with(20.0, 0, "pass", &[&trusted, "allow_simulation_keys:=false"])
    else {
        return;
    };
    let mut ground = stage.ground(&["approval:=service"]);
    let mut lines = BufReader::new(ground.get().stdout.take().unwrap()).lines();
    let asked: serde_json::Value = lines
        .by_ref()
        .map(|l| serde_json::from_str::<serde_json::Value>(&l.unwrap()).unwrap())
        .find(|e| e["event"] == "awaiting_approval")
        .unwrap();
    let mut approval: Approval = serde_json::from_value(asked["approval"].clone()).unwrap();
    approval.signer = "Ada".into();
    let signature = key
        .signing_key("key")
        .unwrap()
        .sign(&approval.message().unwrap());
    let hand_in = |signature: &[u8]| -> serde_json::Value {
        let output = python("sign.py", stage.domain)
            .unwrap()
            .args([
                &approval.plan_digest,
                &approval.report_digest,
                "Ada",
                &key.public_key,
                &to_hex(signature),
            ])
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let mut forged = signature.to_bytes();
    forged[7] ^= 1;
    let answer = hand_in(&forged);
    assert!(
        answer["accepted"] == false && answer["message"].as_str().unwrap().contains("signature"),
        "{answer}"
    );
    let answer = hand_in(&signature.to_bytes());
    assert_eq!(answer["accepted"], true, "{answer}");
    let last: serde_json::Value =
        serde_json::from_str(&lines.map_while(Result::ok).last().unwrap()).unwrap();
    assert_eq!(last["reached"], true, "{last}");
    assert_eq!(ground.ends_within(Duration::from_secs(5)), Some(0));
    stage.end();
}

#[test]
fn an_interrupted_ground_cancels_the_drive_first() {
    let Some(stage) = Stage::new(2.0, 0, "pass") else {
        return;
    };
    let mut ground = stage.ground(&[]);
    ground
        .get()
        .stdin
        .take()
        .unwrap()
        .write_all(b"nonsense\n{\"approve\": true}\n")
        .unwrap();
    stage.world_says("active");
    ground.signal("INT");
    assert_eq!(ground.ends_within(Duration::from_secs(2)), Some(0));
    let reason = stage.world_says("inactive")["reason"]
        .as_str()
        .unwrap()
        .to_string();
    assert!(reason.contains("cancelled"), "{reason}");
    let said = events(&ground.output());
    assert_eq!(said.last().unwrap()["state"], "CANCELLED");
    stage.end();
}

#[test]
fn the_last_goal_of_an_executive_that_is_ended_is_inactive() {
    let Some(mut stage) = Stage::new(2.0, 0, "pass") else {
        return;
    };
    let ground = stage.ground(&["approval:=auto"]);
    stage.world_says("active");
    stage.executive.signal("TERM");
    assert_eq!(stage.executive.ends_within(Duration::from_secs(2)), Some(0));
    let reason = stage.world_says("inactive")["reason"]
        .as_str()
        .unwrap()
        .to_string();
    assert!(
        reason.contains("shut down") || reason.contains("ended"),
        "{reason}"
    );
    let output = ground.output();
    assert_eq!(
        output.status.code(),
        Some(5),
        "{:?}",
        events(&output).last()
    );
}

#[test]
fn a_bad_parameter_is_one_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key.json");
    std::fs::write(&key, "{}").unwrap();
    for (name, file, parameter, words) in [
        (
            "executive",
            env!("CARGO_BIN_EXE_executive"),
            "heartbeat_timeout_s:=.nan".to_string(),
            "heartbeat_timeout_s",
        ),
        (
            "executive",
            env!("CARGO_BIN_EXE_executive"),
            "rover_file:=/no/such.yaml".to_string(),
            "/no/such.yaml",
        ),
        (
            "executive",
            env!("CARGO_BIN_EXE_executive"),
            "colour:=red".to_string(),
            "colour",
        ),
        (
            "ground",
            env!("CARGO_BIN_EXE_ground"),
            format!("key_file:={}", key.display()),
            "key.json",
        ),
        (
            "ground",
            env!("CARGO_BIN_EXE_ground"),
            "out_dir:=/proc/no".to_string(),
            "/proc/no",
        ),
    ] {
        let output = node(name, file, 99, &[&parameter]).output().unwrap();
        assert_ne!(output.status.code(), Some(0), "{parameter}");
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(
            text.contains(words) && !text.contains("panicked"),
            "{parameter}: {text}"
        );
    }
    assert!(KeyFile::load(&key).is_err());
}
