//! The command `sojourn` without ROS: what works, and that what cannot work says so in one sentence.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use sojourn_tests::tiff::{Crs, float_tiff};
use sojourn_tests::{Running, parse_json, run, signal, sojourn};
use std::path::Path;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(120);

mod cameras;
mod planning;
mod refusals;

/// Gentle ground of 120 m × 100 m with a cliff of 60 m along its eastern edge.
fn ground(dir: &Path) -> String {
    let path = dir.join("ground.tif");
    let height = |col: u32, row: u32| {
        let hills = ((col as f32) * 0.07).sin() * 0.8 + ((row as f32) * 0.05).cos() * 0.7;
        if col > 100 {
            hills + (col - 100) as f32 * 6.0
        } else {
            hills
        }
    };
    std::fs::write(&path, float_tiff(120, 100, Crs::Utm34, height)).unwrap();
    path.display().to_string()
}

/// Runs a command that has to fail with one sentence that holds all of `words`, and has to leave `out` unwritten.
fn refused(args: &[&str], words: &[&str], out: &Path) {
    let output = run(sojourn().args(args), LIMIT).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{args:?} succeeded");
    assert!(
        output.status.code().is_some_and(|c| c != 101),
        "{args:?} panicked: {said}"
    );
    for word in words {
        assert!(
            said.to_lowercase().contains(&word.to_lowercase()),
            "{args:?}: \"{word}\" is not in: {said}"
        );
    }
    let sentences = said
        .lines()
        .filter(|l| l.to_lowercase().contains("error"))
        .count();
    assert_eq!(sentences, 1, "{args:?} should say one sentence: {said}");
    assert!(!out.exists(), "{args:?} left {}", out.display());
    let left: Vec<_> = out
        .parent()
        .map(|p| {
            std::fs::read_dir(p)
                .unwrap()
                .flatten()
                .map(|e| e.file_name())
                .collect()
        })
        .unwrap_or_default();
    assert!(
        !left.iter().any(|n| n.to_string_lossy().ends_with(".tmp")),
        "{args:?} left {left:?}"
    );
}

#[test]
fn no_process_outlives_a_launcher_that_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let launch = dir.path().join("two.launch.xml");
    let pid_file = |name: &str| dir.path().join(name);
    let process = |name: &str| {
        format!(
            r#"<executable name="{name}" cmd="sh -c 'echo $$ &gt; {}; exec sleep 600'"/>"#,
            pid_file(name).display()
        )
    };
    std::fs::write(
        &launch,
        format!("<launch>{}{}</launch>", process("a"), process("b")),
    )
    .unwrap();
    let mut running = Running::start(sojourn().arg("launch").arg(&launch)).unwrap();
    let pids: Vec<String> = ["a", "b"]
        .map(|name| {
            let end = Instant::now() + LIMIT;
            loop {
                let text = std::fs::read_to_string(pid_file(name)).unwrap_or_default();
                if text.ends_with('\n') {
                    break text.trim().to_string();
                }
                assert!(Instant::now() < end, "{name} was not started");
                std::thread::sleep(Duration::from_millis(5));
            }
        })
        .into();
    signal(running.pid(), "KILL").unwrap();
    running.wait(LIMIT).unwrap();
    // A process that nobody waits for stays as a zombie, whose memory is gone.
    let lives = |pid: &String| {
        std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|c| !c.is_empty())
    };
    let end = Instant::now() + Duration::from_secs(5);
    while pids.iter().any(lives) {
        assert!(Instant::now() < end, "{pids:?} outlived the launcher");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_doctor_answers_in_json() {
    let output = run(sojourn().args(["doctor", "--json"]), LIMIT).unwrap();
    let said = parse_json(&String::from_utf8_lossy(&output.stdout)).unwrap();
    let checks = said["checks"].as_array().unwrap();
    assert!(checks.len() >= 5, "{said}");
    let all_ok = checks.iter().all(|c| c["ok"] == true);
    assert_eq!(
        output.status.code(),
        Some(i32::from(!(said["ok"] == true))),
        "{said}"
    );
    assert_eq!(said["ok"] == true, all_ok, "{said}");
}
