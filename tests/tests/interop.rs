//! The suite beside ordinary ROS tools: rclpy peers list, read, call, drive, cancel and kill, while it runs free.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use sojourn_tests::site::generated;
use sojourn_tests::suite::{LIMIT, Suite};
use sojourn_tests::{Domain, Running, parse_json, programs, root, run, signal};
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn a_plain_rclpy_peer_finds_what_it_expects() {
    let suite = Suite::start();
    let nodes = "simulator,perception,localization,autonav,guard,executive,planner,twin,recorder";
    let listed = suite.peer(&["nodes", "--expect", nodes]);
    assert_eq!(listed["ok"], true, "{listed}\n{}", suite.log());
    assert!(listed["nodes"].as_array().unwrap().len() >= 8, "{listed}");

    let params = suite.peer(&["params", "--node", "guard", "--name", "command_timeout_s"]);
    assert_eq!(params["ok"], true, "{params}\n{}", suite.log());
    // A weight can be set, read back and set back while the node runs; a limit cannot.
    let set = suite.peer(&["set", "--node", "autonav", "--name", "tilt_weight"]);
    assert_eq!(set["ok"], true, "{set}\n{}", suite.log());
    assert_ne!(set["before"], set["set"], "{set}");
    let limit = suite.peer(&["set", "--node", "autonav", "--name", "limit_share"]);
    assert_eq!(limit["ok"], false, "{limit}");

    let planned = suite.peer(&["plan", "--start", "100,100", "--goal", "130,120"]);
    assert_eq!(planned["ok"], true, "{planned}\n{}", suite.log());
    assert!(planned["waypoints"].as_u64().unwrap() >= 3, "{planned}");
    let refused = suite.peer(&["plan", "--start", "100,100", "--goal", "9000,120"]);
    assert_eq!(refused["ok"], false, "{refused}");
    assert!(
        refused["message"].as_str().unwrap().contains("goal"),
        "{refused}"
    );

    let unknown = suite.peer(&["drive", "--bundle", "no-such-bundle"]);
    assert_eq!(unknown["status"], 6, "action status ABORTED: {unknown}");
    assert_eq!(unknown["reached"], false, "{unknown}");
    let why = unknown["reason"].as_str().unwrap();
    assert!(
        why.contains("no-such-bundle") && why.contains("not the accepted bundle"),
        "{unknown}"
    );

    let reset = suite.peer(&["reset_localization"]);
    assert_eq!(reset["ok"], true, "{reset}\n{}", suite.log());
    assert!(reset["off_m"].as_f64().unwrap() < 0.01, "{reset}");

    let drive = suite.drive();
    let moving = suite.peer(&["--timeout", "60", "reset_localization", "--moving"]);
    assert_eq!(moving["ok"], false, "{moving}\n{}", suite.log());
    let why = moving["message"].as_str().unwrap();
    assert!(why.contains("a wheel turns"), "{moving}");
    assert_eq!(moving["again"], true, "{moving}");
    let grid = suite.peer(&["grid"]);
    assert_eq!(grid["ok"], true, "{grid}\n{}", suite.log());
    drop(drive);
}

#[test]
fn a_drive_is_cancelled_by_its_client() {
    let suite = Suite::start();
    let result = suite.peer(&[
        "--timeout",
        "120",
        "drive",
        "--bundle",
        &suite.bundle,
        "--cancel-after-m",
        "0.2",
    ]);
    assert_eq!(result["cancelled"], true, "{result}\n{}", suite.log());
    assert_eq!(result["reached"], false, "{result}");
    assert_eq!(result["status"], 5, "action status CANCELED: {result}");
    assert!(result["feedbacks"].as_u64().unwrap() >= 1, "{result}");
    assert!(result["driven_m"].as_f64().unwrap() < 5.0, "{result}");
}

/// Kills (`KILL`) or pauses (`STOP`) a node in mid-drive: within a second of simulated time the rover stands.
fn silenced(node: &str, by: &str) {
    let suite = Suite::start();
    let _drive = suite.drive();
    let pid = suite.pid(node).to_string();
    let seen = suite.peer(&[
        "--timeout",
        "60",
        "kill",
        "--pid",
        &pid,
        "--node",
        node,
        "--signal",
        &format!("SIG{by}"),
    ]);
    assert_eq!(seen["ok"], true, "{node}: {seen}\n{}", suite.log());
    let stopped_after_s = seen["stopped_after_s"].as_f64().unwrap();
    assert!(
        stopped_after_s <= 1.0,
        "{node}: stood after {stopped_after_s} s of simulated time: {seen}"
    );
    assert!(seen["watched_s"].as_f64().unwrap() > 2.0, "{node}: {seen}");
    let status = suite.peer(&["--timeout", "60", "status", "--state", "STOPPED"]);
    assert_eq!(
        status["ok"], true,
        "{node}: the executive reports the stop: {status}"
    );
    // Whichever is noticed first: the node's silence, or that what it gives no longer comes.
    let gives: &[&str] = match node {
        "localization" => &["no odometry", "no map to odom"],
        _ => &[],
    };
    let reason = status["reason"].as_str().unwrap();
    assert!(
        reason.contains(node) || gives.iter().any(|what| reason.contains(what)),
        "{node}: {status}\n{}",
        suite.log()
    );
}

#[test]
fn perception_killed_in_mid_drive_stops_the_rover() {
    silenced("perception", "KILL");
}

#[test]
fn localization_killed_in_mid_drive_stops_the_rover() {
    silenced("localization", "KILL");
}

#[test]
fn autonav_killed_in_mid_drive_stops_the_rover() {
    silenced("autonav", "KILL");
}

#[test]
fn autonav_paused_in_mid_drive_stops_the_rover() {
    silenced("autonav", "STOP");
}

#[cfg(feature = "all")]
#[test]
fn perception_paused_in_mid_drive_stops_the_rover() {
    silenced("perception", "STOP");
}

#[cfg(feature = "all")]
#[test]
fn localization_paused_in_mid_drive_stops_the_rover() {
    silenced("localization", "STOP");
}

/// Somebody else publishes on a topic by which the rover is driven: it stands, says so, and only a reset ends it.
fn intruded(topic: &str) {
    let suite = Suite::start();
    let _drive = suite.drive();
    let seen = suite.peer(&["--timeout", "60", "intrude", "--topic", topic]);
    assert_eq!(seen["ok"], true, "{topic}: {seen}\n{}", suite.log());
    assert!(seen["way_m"].as_f64().unwrap() < 0.01, "{topic}: {seen}");
    assert_eq!(seen["early"], false, "{topic}: {seen}");
    assert!(
        seen["why"].as_str().unwrap().contains("publishers"),
        "{topic}: {seen}"
    );
}

#[test]
fn another_publisher_of_cmd_vel_stops_the_rover() {
    intruded("cmd_vel");
}

#[test]
fn false_commands_on_the_guards_input_stop_the_rover() {
    intruded("cmd_vel_nav");
}

#[test]
fn the_emergency_stop_holds_until_it_is_released_and_reset() {
    let suite = Suite::start();
    let _drive = suite.drive();
    let seen = suite.peer(&["--timeout", "60", "e_stop"]);
    assert_eq!(seen["ok"], true, "{seen}\n{}", suite.log());
    assert!(seen["way_m"].as_f64().unwrap() < 0.01, "{seen}");
    assert_eq!(seen["early"], false, "{seen}");
    assert!(seen["why"].as_str().unwrap().contains("pressed"), "{seen}");
}

#[test]
fn a_flood_of_garbage_ends_no_node() {
    let suite = Suite::start();
    let _drive = suite.drive();
    let nodes = "simulator,perception,localization,autonav,guard,executive,planner,twin,recorder";
    let seen = suite.peer(&["--timeout", "60", "flood", "--expect", nodes]);
    assert_eq!(seen["ok"], true, "{seen}\n{}", suite.log());
    assert!(seen["sent"].as_u64().unwrap() > 1000, "{seen}");
    // A dead node leaves its name in the graph for a while; a dead process has none.
    for node in nodes.split(',') {
        let _ = suite.pid(node);
    }
}

#[test]
fn the_guard_leaves_a_stop_behind() {
    leaves_a_stop_behind("guard", "cmd_vel");
}

#[test]
fn autonav_leaves_a_stop_behind() {
    leaves_a_stop_behind("autonav", "cmd_vel_nav");
}

/// A node that commands motion is told to end in mid-drive: the last it says on its topic is a stop.
fn leaves_a_stop_behind(node: &str, topic: &str) {
    let suite = Suite::start();
    let _drive = suite.drive();
    let pid = suite.pid(node).to_string();
    let seen = suite.peer(&[
        "--timeout",
        "60",
        "kill",
        "--pid",
        &pid,
        "--signal",
        "SIGTERM",
        "--topic",
        topic,
    ]);
    assert_eq!(
        seen["ok"],
        true,
        "the last command is a stop: {seen}\n{}",
        suite.log()
    );
    assert!(seen["gone_after_s"].as_f64().unwrap() <= 2.0, "{seen}");
}

/// On a real rover `base` has the last word on the wheels: told to end while they turn, it stands them first.
#[test]
fn the_base_leaves_a_stop_behind() {
    let domain = Domain::take().unwrap();
    let mut command = on_its_own("base", "", "");
    domain.apply(&mut command);
    let mut running = Running::start(&mut command).unwrap();
    let pid = running.pid().to_string();
    let mut peer = domain.peer(&["--timeout", "60", "base", "--pid", &pid]);
    let output = run(&mut peer, LIMIT).unwrap();
    let seen = parse_json(&String::from_utf8_lossy(&output.stdout)).unwrap();
    assert_eq!(seen["ok"], true, "the last command is a stop: {seen}");
    assert!(seen["moving"].as_u64().unwrap() >= 10, "{seen}");
    assert!(seen["gone_after_s"].as_f64().unwrap() <= 2.0, "{seen}");
    let status = running.wait(Duration::from_secs(5)).unwrap();
    assert_eq!(status.code(), Some(0));
}

/// A node as a process of its own, with its shipped parameters and what a run has to give it.
fn on_its_own(node: &str, site: &str, scratch: &str) -> std::process::Command {
    let mut command = std::process::Command::new(programs().join(node));
    command
        .current_dir(root())
        .args(["--ros-args", "--params-file"])
        .arg(root().join(format!("config/{node}.param.yaml")))
        .args(alone(node, site, scratch))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// The parameters that a run has to give each node so that it starts on its own.
fn alone(node: &str, site: &str, scratch: &str) -> Vec<String> {
    let rover = root()
        .join("config/rovers/perseverance.yaml")
        .display()
        .to_string();
    let mut given = vec![];
    let mut give =
        |name: &str, value: &str| given.extend(["-p".to_string(), format!("{name}:={value}")]);
    match node {
        "simulator" => {
            give("site_dir", site);
            give("rover_file", &rover);
        }
        "perception" | "autonav" | "guard" | "base" => give("rover_file", &rover),
        "localization" => {
            give("rover_file", &rover);
            give(
                "body_file",
                &root().join("config/bodies/mars.yaml").display().to_string(),
            );
        }
        "executive" => {
            give("rover_file", &rover);
            give("bundle_dir", &format!("{scratch}/rover"));
        }
        "recorder" => give("path", &format!("{scratch}/recording.mcap")),
        "planner" => {
            give("site_dir", site);
            give("rover_file", &rover);
            give(
                "mission_file",
                &root().join("config/mission.yaml").display().to_string(),
            );
        }
        "twin" => {
            give("site_dir", site);
            give("rover_file", &rover);
        }
        "ground" => give("out_dir", &format!("{scratch}/ground")),
        other => panic!("no parameters known for {other}"),
    }
    given
}

#[test]
fn every_node_ends_with_code_0_on_sigterm() {
    let dir = tempfile::tempdir().unwrap();
    let site = generated().unwrap().display().to_string();
    let scratch = dir.path().display().to_string();
    let nodes = [
        "simulator",
        "perception",
        "localization",
        "autonav",
        "guard",
        "executive",
        "recorder",
        "planner",
        "twin",
        "base",
        "ground",
    ];
    for node in nodes {
        let domain = Domain::take().unwrap();
        let mut command = on_its_own(node, &site, &scratch);
        domain.apply(&mut command);
        let mut running = Running::start(&mut command).unwrap();
        let peer = run(&mut domain.peer(&["nodes", "--expect", node]), LIMIT).unwrap();
        assert!(
            peer.status.success(),
            "{node} did not come up: {}",
            String::from_utf8_lossy(&peer.stdout)
        );
        signal(running.pid(), "TERM").unwrap();
        let begin = Instant::now();
        let status = running.wait(Duration::from_secs(5)).unwrap();
        assert_eq!(status.code(), Some(0), "{node}");
        assert!(
            begin.elapsed() <= Duration::from_secs(2),
            "{node} took {:?}",
            begin.elapsed()
        );
    }
}

/// The middleware must not be taken down under threads that still use it, whatever moment the signal chooses.
#[test]
fn a_node_told_to_stop_while_it_sets_up_ends_with_code_0() {
    let dir = tempfile::tempdir().unwrap();
    let site = generated().unwrap().display().to_string();
    let said = dir.path().join("said");
    let domain = Domain::take().unwrap();
    for step in 0..12 {
        let mut command = on_its_own("simulator", &site, "");
        command.stderr(std::fs::File::create(&said).unwrap());
        domain.apply(&mut command);
        let mut running = Running::start(&mut command).unwrap();
        // This line comes when the world is read and the node begins to make its publishers.
        let end = Instant::now() + LIMIT;
        while !std::fs::read_to_string(&said).unwrap().contains(" rocks") {
            assert!(Instant::now() < end, "the simulator did not read its world");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(10 * step));
        signal(running.pid(), "TERM").unwrap();
        let status = running.wait(Duration::from_secs(5)).unwrap();
        assert_eq!(
            status.code(),
            Some(0),
            "{} ms after the world was read: {}",
            10 * step,
            std::fs::read_to_string(&said).unwrap()
        );
    }
}

#[test]
fn a_node_refuses_a_wrong_parameter_file() {
    let dir = tempfile::tempdir().unwrap();
    let domain = Domain::take().unwrap();
    let shipped = std::fs::read_to_string(root().join("config/guard.param.yaml")).unwrap();
    let file = dir.path().join("guard.param.yaml");
    let start = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let mut command = std::process::Command::new(programs().join("guard"));
        command
            .current_dir(root())
            .args(["--ros-args", "--params-file"])
            .arg(&file);
        domain.apply(&mut command);
        let output = run(&mut command, Duration::from_secs(20)).unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (code, said) = start(&shipped.replace("command_timeout_s", "comand_timeout_s"));
    assert!(
        code.is_some_and(|c| c != 0 && c != 101) && said.contains("command_timeout_s"),
        "{code:?} {said}"
    );
    let (code, said) = start(&format!("{}\n    colour: red\n", shipped.trim_end()));
    assert!(
        code.is_some_and(|c| c != 0 && c != 101) && said.contains("colour"),
        "{code:?} {said}"
    );
}
