//! Nodes as processes: lockstep over real topics, recordings, and clear ends.
#![cfg(feature = "ros")]

mod support;

use std::time::{Duration, Instant};
use support::{Domain, both, example};

fn template_parameters() -> String {
    format!(
        "{}/examples/template_node.param.yaml",
        env!("CARGO_MANIFEST_DIR")
    )
}

#[test]
fn lockstep_delivers_each_message_in_its_tick() {
    // The example checks every value against the tick it belongs to.
    let domain = Domain::claim();
    let output = domain
        .start(&example("tick_rate"), &["4", "300"])
        .wait(Duration::from_secs(60));
    let text = both(&output);
    assert!(
        output.status.success() && text.contains("300 ticks, 4 nodes"),
        "{text}"
    );
}

#[test]
fn a_silent_participant_is_named() {
    let domain = Domain::claim();
    let simulator = domain.start(&example("tick_rate"), &["2", "100", "chain_1"]);
    let output = simulator.wait(Duration::from_secs(60));
    let text = both(&output);
    assert!(!output.status.success(), "{text}");
    assert!(text.contains("not heard: [chain_1]"), "{text}");
}

#[test]
fn bad_arguments_and_parameters_end_with_one_sentence() {
    let domain = Domain::claim();
    for (arguments, expected) in [
        (vec!["--ros-args", "-p", "nonsense"], "cannot start ROS"),
        (vec![], "`tick.mode` is missing"),
        (
            vec![
                "--ros-args",
                "-p",
                "tick.mode:=sideways",
                "-p",
                "tick.period_s:=0.1",
            ],
            "expected sim, wall or server",
        ),
        (
            vec![
                "--ros-args",
                "-p",
                "tick.mode:=wall",
                "-p",
                "tick.period_s:=.nan",
            ],
            "`tick.period_s` is NaN",
        ),
        (
            vec![
                "--ros-args",
                "-p",
                "tick.mode:=wall",
                "-p",
                "tick.period_s:=0.1",
                "-p",
                "max_speed_mps:=1.0",
            ],
            "command_timeout_s",
        ),
    ] {
        let output = domain
            .start(&example("template_node"), &arguments)
            .wait(Duration::from_secs(20));
        let text = both(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {text}");
        assert!(
            text.contains(expected),
            "{arguments:?}: expected {expected:?} in: {text}"
        );
        assert_eq!(
            text.lines()
                .filter(|l| l.starts_with("[ERROR]") && l.contains("[limiter]:"))
                .count(),
            1,
            "{text}"
        );
    }
    let parameters = template_parameters();
    let output = domain
        .start(
            &example("template_node"),
            &["--ros-args", "--params-file", &parameters, "-p", "typo:=1"],
        )
        .wait(Duration::from_secs(20));
    let text = both(&output);
    assert!(
        !output.status.success() && text.contains("limiter") && text.contains("typo"),
        "{text}"
    );
}

#[test]
fn a_recording_is_complete_and_readable() {
    let domain = Domain::claim();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recording.mcap");
    let parameters = folder.path().join("recorder.yaml");
    let text = format!(
        "/recorder:\n  ros__parameters:\n    tick: {{mode: wall, period_s: 0.1}}\n    path: {}\n    compress: true\n    \
         topics: [cmd_vel, heartbeat, plan, \"/rosout rcl_interfaces/msg/Log\"]\n    every: []\n",
        path.display()
    );
    std::fs::write(&parameters, text).unwrap();
    let recorder = domain.start(
        std::path::Path::new(env!("CARGO_BIN_EXE_recorder")),
        &[
            "--ros-args",
            "--params-file",
            &parameters.display().to_string(),
        ],
    );
    let node = domain.start(
        &example("template_node"),
        &["--ros-args", "--params-file", &template_parameters()],
    );
    let temporary = folder.path().join("recording.mcap.tmp");
    // Flushed once a second: when the file grows, messages are in it.
    let deadline = Instant::now() + Duration::from_secs(20);
    while std::fs::metadata(&temporary).map_or(0, |m| m.len()) < 20_000 && Instant::now() < deadline
    {
        let bytes = std::fs::read(&temporary).unwrap_or_default();
        if messages(&bytes) > 10 {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let (status, took, said) = node.terminate();
    assert!(
        status.success() && took < Duration::from_secs(2),
        "{took:?} {said}"
    );
    let (status, took, said) = recorder.terminate();
    assert!(
        status.success() && took < Duration::from_secs(2),
        "{took:?} {said}"
    );
    assert!(!temporary.exists());
    let bytes = std::fs::read(&path).unwrap();
    let mut topics = std::collections::BTreeMap::new();
    for message in mcap::MessageStream::new(&bytes).unwrap() {
        let message = message.unwrap();
        *topics.entry(message.channel.topic.clone()).or_insert(0) += 1;
        assert!(message.log_time > 0 && message.data.len() > 4);
    }
    assert!(topics.get("/cmd_vel").is_some_and(|n| *n > 3), "{topics:?}");
    let summary = mcap::Summary::read(&bytes).unwrap().unwrap();
    let schema = summary
        .schemas
        .values()
        .find(|s| s.name == "sojourn_msgs/msg/Plan")
        .unwrap();
    assert!(String::from_utf8_lossy(&schema.data).contains("MSG: sojourn_msgs/Waypoint"));
}

fn messages(bytes: &[u8]) -> usize {
    let options = mcap::read::Options::IgnoreEndMagic;
    mcap::MessageStream::new_with_options(bytes, options.into())
        .map_or(0, |m| m.filter(Result::is_ok).count())
}
