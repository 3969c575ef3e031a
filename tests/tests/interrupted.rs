//! What is left when a drive is ended early: Ctrl-C at several moments, and the launcher killed outright.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use sojourn_tests::{Domain, Running, read_json, signal, sojourn};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longest wait for a moment to come.
const LIMIT: Duration = Duration::from_secs(180);
/// The launcher gives its nodes 5 s before it kills them.
const END: Duration = Duration::from_secs(15);
/// How a whole MCAP file ends.
const MCAP_MAGIC: &[u8] = b"\x89MCAP0\r\n";

/// A drive of 30 m that will not come to its end.
struct Demo {
    running: Running,
    domain: Domain,
    dir: tempfile::TempDir,
}

impl Demo {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let domain = Domain::take().unwrap();
        let mut command = sojourn();
        command
            .args(["demo", "--yes", "--seed", "3", "--distance", "30", "--out"])
            .arg(dir.path().join("run"))
            .stdout(std::fs::File::create(dir.path().join("stdout")).unwrap())
            .stderr(std::fs::File::create(dir.path().join("stderr")).unwrap());
        domain.apply(&mut command);
        Self {
            running: Running::start(&mut command).unwrap(),
            domain,
            dir,
        }
    }

    fn run(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("stderr")).unwrap()
    }

    fn wait_until_it_says(&self, words: &str) {
        let end = Instant::now() + LIMIT;
        while !self.said().contains(words) {
            assert!(
                Instant::now() < end,
                "never said {words:?}: {}",
                self.said()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// All files below a folder; none when it is not there.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

/// Whatever is there is whole.
fn whole(run: &Path) {
    for file in files(run) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        assert!(!name.ends_with(".tmp"), "{} was left", file.display());
        if name.ends_with(".json") {
            read_json(&file).unwrap();
        }
        if name.ends_with(".mcap") {
            let bytes = std::fs::read(&file).unwrap();
            assert!(bytes.ends_with(MCAP_MAGIC), "{} is cut off", file.display());
        }
    }
    assert!(!run.join("summary.json").exists(), "there was no end");
}

/// Ctrl-C, `after` the demo has said `words`.
fn interrupted(words: &str, after: Duration) {
    let mut demo = Demo::start();
    demo.wait_until_it_says(words);
    std::thread::sleep(after);
    signal(demo.running.pid(), "INT").unwrap();
    let status = demo.running.wait(END).unwrap();
    let said = demo.said();
    assert_eq!(status.code(), Some(130), "{words}: {said}");
    let errors: Vec<&str> = said.lines().filter(|l| l.contains("error")).collect();
    assert_eq!(errors, ["error: interrupted"], "{words}: {said}");
    assert!(!said.contains("panicked"), "{words}: {said}");
    assert_eq!(demo.domain.processes(), [], "{words}: nodes are left");
    let run = demo.run();
    assert!(
        !run.exists() || run.join("run.json").exists(),
        "{words}: a folder was left that is no run"
    );
    whole(&run);
}

#[test]
fn ctrl_c_while_the_route_is_planned() {
    interrupted("and route", Duration::ZERO);
}

#[test]
fn ctrl_c_while_the_nodes_start() {
    interrupted("starting 10 nodes", Duration::from_millis(30));
}

#[test]
fn ctrl_c_while_the_twin_verifies() {
    interrupted("verifying in the twin", Duration::ZERO);
}

#[test]
fn ctrl_c_in_mid_drive() {
    interrupted("driven ", Duration::from_secs(1));
}

#[test]
fn no_node_outlives_a_launcher_that_is_killed() {
    let mut demo = Demo::start();
    demo.wait_until_it_says("driven ");
    assert!(demo.domain.processes().len() > 8);
    signal(demo.running.pid(), "KILL").unwrap();
    demo.running.wait(END).unwrap();
    let end = Instant::now() + Duration::from_secs(4);
    while !demo.domain.processes().is_empty() {
        assert!(
            Instant::now() < end,
            "{:?} outlived the launcher",
            demo.domain.processes()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A command that writes a folder is interrupted when the first of its files appears: it says so, and nothing is left.
#[test]
fn ctrl_c_leaves_no_half_written_world() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("world");
    let said = dir.path().join("stderr");
    let mut command = sojourn();
    command
        .args([
            "world", "generate", "--seed", "3", "--soil", "demo", "--out",
        ])
        .arg(&out)
        .stdout(std::process::Stdio::null())
        .stderr(std::fs::File::create(&said).unwrap());
    let mut running = Running::start(&mut command).unwrap();
    let end = Instant::now() + LIMIT;
    while files(&out).is_empty() {
        let error = std::fs::read_to_string(&said).unwrap();
        assert!(
            Instant::now() < end && error.is_empty(),
            "nothing was written: {error}"
        );
        std::thread::sleep(Duration::from_micros(200));
    }
    signal(running.pid(), "INT").unwrap();
    let status = running.wait(END).unwrap();
    let said = std::fs::read_to_string(said).unwrap();
    assert_eq!(status.code(), Some(130), "{said}");
    assert!(said.ends_with("error: interrupted\n"), "{said}");
    assert!(!out.exists(), "{:?}", files(&out));
}

/// Before anything is written an interruption leaves nothing either.
#[test]
fn ctrl_c_ends_a_plan_with_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let (out, said) = (dir.path().join("plan.json"), dir.path().join("stderr"));
    // Reading from a pipe that nobody writes to lasts for as long as it has to.
    let mission = dir.path().join("mission.yaml");
    let made = std::process::Command::new("mkfifo").arg(&mission).status();
    assert!(made.unwrap().success());
    let mut command = sojourn();
    command
        .args([
            "plan", "--dtm", "none.tif", "--start", "1,1", "--goal", "2,2",
        ])
        .arg("--mission")
        .arg(&mission)
        .arg("--out")
        .arg(&out)
        .stdout(std::process::Stdio::null())
        .stderr(std::fs::File::create(&said).unwrap());
    let mut running = Running::start(&mut command).unwrap();
    // It has installed its handlers when its thread for them is there.
    let end = Instant::now() + LIMIT;
    let threads = format!("/proc/{}/task", running.pid());
    let named = || {
        let tasks = std::fs::read_dir(&threads).into_iter().flatten().flatten();
        tasks.into_iter().any(|t| {
            std::fs::read_to_string(t.path().join("comm")).is_ok_and(|c| c.trim() == "interrupt")
        })
    };
    while !named() {
        assert!(Instant::now() < end, "no handler was installed");
        std::thread::sleep(Duration::from_millis(1));
    }
    signal(running.pid(), "INT").unwrap();
    let status = running.wait(END).unwrap();
    let said = std::fs::read_to_string(said).unwrap();
    assert_eq!(status.code(), Some(130), "{said}");
    assert_eq!(said, "error: interrupted\n");
    assert!(!out.exists());
}
