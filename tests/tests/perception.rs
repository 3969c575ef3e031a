//! Perception with its network and the science team's wishes switched on, in a simulated drive, beside an rclpy peer.

use serde_json::Value;
use sojourn_tests::{Domain, Running, parse_json, programs, root, run, sojourn};
use std::process::{Command, Stdio};
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
        assert!(
            target["reason"].as_str().unwrap().contains(" m away"),
            "{target}"
        );
        assert_eq!(target["camera"], "navcam_left_optical_frame", "{target}");
        let crop = |k: usize| target["crop"][k].as_u64().unwrap();
        for (first, size, most) in [(0, 2, 640), (1, 3, 480)] {
            assert!(
                crop(size) >= 2 && crop(first) + crop(size) <= most,
                "{target}"
            );
        }
    }
    drop(running);
}

/// One CAHV camera that looks along z of the files' frame; `aside_m` to the right, its principal point in row `row`.
fn cahv(aside_m: f64, row: u32) -> String {
    format!(
        "model: cahv\nwidth: 320\nheight: 240\nc: [{aside_m}, 0, 0]\na: [0, 0, 1]\nh: [200, 0, 159.5]\nv: [0, 200, {row}.5]\n"
    )
}

/// The node alone, its cameras told by files: what is wrong on the wire is refused and counted, and of ten times as many pairs
/// as a testbed's camera takes (5 Hz) the newest win, the others are counted, and none waits.
#[test]
fn raw_pairs_come_by_files_and_no_frame_queues() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (left, right) = (
        file("left.yaml", cahv(0.0, 119)),
        file("right.yaml", cahv(0.3, 129)),
    );
    let domain = Domain::take().unwrap();
    let node = |left: &str, right: &str| {
        let mut command = Command::new(programs().join("perception"));
        command
            .current_dir(root())
            .args(["--ros-args", "--params-file"])
            .arg(root().join("config/perception.param.yaml"));
        let rover = root().join("config/rovers/perseverance.yaml");
        for (name, value) in [
            ("rover_file", rover.display().to_string().as_str()),
            ("use_sim_time", "false"),
            ("tick.mode", "wall"),
            ("source", "stereo"),
            ("stereo.pairs_per_tick", "1"),
            ("cameras.left", left),
            ("cameras.right", right),
        ] {
            command.args(["-p", &format!("{name}:={value}")]);
        }
        domain.apply(&mut command);
        command
    };
    // Exchanged files end the node at its start, in one sentence.
    let output = run(&mut node(&right, &left), LIMIT).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code().is_some_and(|c| c != 0 && c != 101),
        "{said}"
    );
    assert!(
        said.contains("parameter cameras") && said.contains("exchanged"),
        "{said}"
    );

    let log = std::fs::File::create(dir.path().join("log")).unwrap();
    let mut command = node(&left, &right);
    command.stdout(Stdio::null()).stderr(Stdio::from(log));
    let running = Running::start(&mut command).unwrap();
    let output = run(&mut domain.peer(&["--timeout", "30", "frames"]), LIMIT).unwrap();
    let seen = parse_json(&String::from_utf8_lossy(&output.stdout)).unwrap_or_default();
    let said = std::fs::read_to_string(dir.path().join("log")).unwrap();
    let said = format!(
        "{seen}\n{}\n{said}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(seen["ok"], true, "{said}");
    // No grid of what was wrong, and it is said what is wrong.
    assert_eq!(seen["before"]["grids"], 0, "{said}");
    assert!(said.contains("yuv422"), "{said}");
    let count = |key: &str| seen[key].as_u64().unwrap();
    let (sent, used, dropped) = (count("sent"), count("images"), count("pairs_dropped"));
    assert_eq!(sent, 200, "{said}");
    // At 10 Hz at most one pair a tick; best effort may lose some on the way.
    assert!((10..=60).contains(&used), "{said}");
    assert!(dropped >= sent / 2 && used + dropped <= sent, "{said}");
    assert!(used + dropped + count("refused") >= sent * 8 / 10, "{said}");
    assert!(seen["lag_median_s"].as_f64().unwrap() < 0.5, "{said}");
    assert!(seen["lag_most_s"].as_f64().unwrap() < 2.0, "{said}");
    println!(
        "of {sent} pairs {used} used and {dropped} dropped; from image to grid {:.2} s (median), {:.2} s at most",
        seen["lag_median_s"].as_f64().unwrap(),
        seen["lag_most_s"].as_f64().unwrap()
    );
    // Level ground where it is: by the files, since the raw rows lie ten pixels apart.
    assert!(count("cells") > 300, "{said}");
    assert!(seen["off_m"].as_f64().unwrap() < 0.1, "{said}");
    drop(running);
}
