//! Starting nodes and rclpy peers, each test in its own ROS domain.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, each test uses some"
)]

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// The top of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap()
        .to_path_buf()
}

/// An example of this package, built beside the tests.
pub fn example(name: &str) -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    exe.parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples")
        .join(name)
}

/// A ROS domain that no other test on this machine has; free again when dropped.
pub struct Domain {
    number: u32,
    _lock: File,
    path: PathBuf,
}

impl Domain {
    pub fn claim() -> Self {
        let start = std::process::id() % 60;
        for i in 0..60 {
            let number = 40 + (start + i) % 60;
            let path = std::env::temp_dir().join(format!("sojourn_domain_{number}.lock"));
            let stale = std::fs::read_to_string(&path)
                .is_ok_and(|pid| !Path::new("/proc").join(pid.trim()).exists());
            if stale {
                let _ = std::fs::remove_file(&path);
            }
            if let Ok(mut lock) = OpenOptions::new().write(true).create_new(true).open(&path) {
                use std::io::Write;
                write!(lock, "{}", std::process::id()).unwrap();
                return Self {
                    number,
                    _lock: lock,
                    path,
                };
            }
        }
        panic!("no free ROS domain");
    }

    fn prepare(&self, command: &mut Command) {
        command
            .env("ROS_DOMAIN_ID", self.number.to_string())
            .env("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
    }

    /// Starts a program.
    pub fn start(&self, program: &Path, arguments: &[&str]) -> Running {
        let mut command = Command::new(program);
        command.args(arguments);
        self.prepare(&mut command);
        Running(Some(
            command
                .spawn()
                .unwrap_or_else(|e| panic!("{}: {e}", program.display())),
        ))
    }

    /// Runs an rclpy program of `tests/` to its end.
    pub fn python(&self, script: &str, arguments: &[&str]) -> Output {
        let ros = root().join(".ros");
        let own = ros.join("bin/python");
        let mut command = Command::new(if own.exists() {
            own
        } else {
            PathBuf::from("python3")
        });
        command
            .arg(
                Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join("tests")
                    .join(script),
            )
            .args(arguments);
        let old = std::env::var("LD_LIBRARY_PATH").unwrap_or_default();
        command.env(
            "LD_LIBRARY_PATH",
            format!("{}:{old}", ros.join("lib").display()),
        );
        command.env("_ROS_WHEELS_BOOTSTRAP_COMPLETE", "1");
        self.prepare(&mut command);
        Running(Some(command.spawn().unwrap())).wait(Duration::from_secs(60))
    }
}

impl Drop for Domain {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A process that is killed when the test ends.
pub struct Running(Option<Child>);

impl Running {
    pub fn id(&self) -> u32 {
        self.0.as_ref().unwrap().id()
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    }

    /// Waits for the end, at most so long.
    pub fn wait(mut self, limit: Duration) -> Output {
        let deadline = Instant::now() + limit;
        let child = self.0.as_mut().unwrap();
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                let _ = child.kill();
                let output = self.0.take().unwrap().wait_with_output().unwrap();
                panic!("did not end within {limit:?}: {}", both(&output));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.0.take().unwrap().wait_with_output().unwrap()
    }

    /// Asks it to end and says how and how fast it did.
    pub fn terminate(self) -> (ExitStatus, Duration, String) {
        let asked = Instant::now();
        self.signal("TERM");
        let output = self.wait(Duration::from_secs(10));
        (output.status, asked.elapsed(), both(&output))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// All that a process has said.
pub fn both(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
