//! A node of another package as a process beside rclpy peers: tests of other packages take this file in by its path.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, each test uses some"
)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The top of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A ROS domain for one test. Tests that start nodes run one by one, so what an earlier one used is free again.
pub fn domain() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    10 + (std::process::id() * 7 + NEXT.fetch_add(1, Ordering::SeqCst)) % 90
}

/// The command at the top of the repository, in a domain that ends on this machine.
pub fn environment(mut command: Command, domain: u32) -> Command {
    command
        .current_dir(root())
        .env("ROS_DOMAIN_ID", domain.to_string())
        .env("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST");
    command
}

/// Python with rclpy and the suite's messages, from a sourced ROS or from the prefix `.ros/`, with a program of the package's
/// `tests/python/`; `None`, said once, where there is neither.
pub fn python(script: &str, domain: u32) -> Option<Command> {
    let prefix = root().join(".ros/ros_env.sh");
    let source = if prefix.exists() {
        format!(". '{}' && ", prefix.display())
    } else {
        String::new()
    };
    let usable = Command::new("sh")
        .args([
            "-c",
            &format!("{source}python3 -c 'import rclpy, sojourn_msgs.msg'"),
        ])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success());
    if !usable {
        println!("skipped: no rclpy with sojourn_msgs here");
        return None;
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/python")
        .join(script);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{source}exec python3 \"$@\""), script]);
    command.arg(file);
    Some(environment(command, domain))
}

/// A process that does not outlive the test.
pub struct Process(Option<Child>);

impl Process {
    /// Starts it.
    pub fn start(command: &mut Command) -> Self {
        Self(Some(command.spawn().unwrap()))
    }

    /// The running process.
    pub fn get(&mut self) -> &mut Child {
        self.0.as_mut().unwrap()
    }

    /// Waits for its end and takes what it said.
    pub fn output(mut self) -> Output {
        let child = self.0.take().unwrap();
        child.wait_with_output().unwrap()
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let id = self.0.as_ref().unwrap().id().to_string();
        let done = Command::new("kill")
            .args([&format!("-{name}"), &id])
            .status();
        assert!(done.unwrap().success());
    }

    /// Waits for its end, at most so long; its exit code.
    #[track_caller]
    pub fn ends_within(&mut self, limit: Duration) -> Option<i32> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.get().try_wait().unwrap() {
                return status.code();
            }
            assert!(
                began.elapsed() < limit,
                "the process did not end within {limit:?}"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
