//! The suite as it runs free on a simulated rover, for tests that look at it from outside.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use crate::{Domain, Running, parse_json, programs, run, run_json, sojourn};
use serde_json::Value;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Simulated seconds per second. The nodes watch each other with half a second of simulated time: at this rate a busy
/// machine keeps up.
const RATE: &str = "1.0";

/// What a step of a test may take before it has failed.
pub const LIMIT: Duration = Duration::from_secs(180);

/// A simulated rover with an accepted bundle, standing at the start.
pub struct Suite {
    /// `sojourn launch`.
    pub launcher: Running,
    /// Its ROS domain.
    pub domain: Domain,
    /// The id of the accepted bundle.
    pub bundle: String,
    dir: tempfile::TempDir,
}

impl Suite {
    /// Starts the demonstration's launch file and waits until the rover has accepted the bundle.
    ///
    /// # Panics
    /// When a step fails or takes longer than [`LIMIT`].
    #[must_use]
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        let domain = Domain::take().unwrap();
        let site = crate::site::generated().unwrap();
        run_json(
            sojourn().args(["key", "new", "--out", &at("key.json"), "--json"]),
            LIMIT,
        )
        .unwrap();
        let arg = |name: &str, value: &str| format!("{name}:={value}");
        let log = std::fs::File::create(dir.path().join("launch.log")).unwrap();
        let mut command = sojourn();
        command
            .args(["launch", "launch/demo.launch.xml"])
            .args([
                arg("site_dir", &site.display().to_string()),
                arg("run_dir", &at("run")),
                arg("key_file", &at("key.json")),
            ])
            .args([
                arg("start_x_m", "100.0"),
                arg("start_y_m", "100.0"),
                arg("start_yaw_rad", "0.0"),
            ])
            .args([arg("goal_x_m", "130.0"), arg("goal_y_m", "100.0")])
            .args([
                arg("lockstep", "false"),
                arg("rate_factor", RATE),
                arg("execute", "false"),
            ])
            .stdout(Stdio::from(log.try_clone().unwrap()))
            .stderr(Stdio::from(log));
        domain.apply(&mut command);
        let launcher = Running::start(&mut command).unwrap();
        // The ground leaves when the rover has the bundle.
        let bundle = dir.path().join("run/bundle/manifest.json");
        let accepted = dir.path().join("run/rover");
        let end = Instant::now() + LIMIT;
        while !(bundle.exists() && accepted.read_dir().is_ok_and(|mut d| d.next().is_some())) {
            let said =
                || std::fs::read_to_string(dir.path().join("launch.log")).unwrap_or_default();
            assert!(Instant::now() < end, "the rover has no bundle:\n{}", said());
            std::thread::sleep(Duration::from_millis(50));
        }
        let checked = run_json(
            sojourn()
                .args(["bundle", "check", "--json"])
                .arg(dir.path().join("run/bundle")),
            LIMIT,
        )
        .unwrap();
        let bundle = checked["bundle_id"].as_str().unwrap().to_string();
        Self {
            launcher,
            domain,
            bundle,
            dir,
        }
    }

    /// Runs the rclpy peer and gives the object that it prints.
    ///
    /// # Panics
    /// When it prints none or does not end.
    #[must_use]
    pub fn peer(&self, args: &[&str]) -> Value {
        let output = run(&mut self.domain.peer(args), LIMIT).unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        parse_json(&text).unwrap_or_else(|e| {
            panic!(
                "{args:?}: {e}\n{text}\n{}",
                String::from_utf8_lossy(&output.stderr)
            )
        })
    }

    /// The end of what the nodes said.
    #[must_use]
    pub fn log(&self) -> String {
        let text = std::fs::read_to_string(self.dir.path().join("launch.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// The process of a node that the launcher started.
    ///
    /// # Panics
    /// When there is not exactly one.
    #[must_use]
    pub fn pid(&self, node: &str) -> u32 {
        let program = programs().join(node);
        let children = std::fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(|entry| {
                let pid: u32 = entry.file_name().to_string_lossy().parse().ok()?;
                let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
                let parent: u32 = stat
                    .rsplit_once(')')?
                    .1
                    .split_whitespace()
                    .nth(1)?
                    .parse()
                    .ok()?;
                let exe = std::fs::read_link(entry.path().join("exe")).ok()?;
                (parent == self.launcher.pid() && exe == program).then_some(pid)
            });
        let found: Vec<u32> = children.collect();
        assert_eq!(
            found.len(),
            1,
            "processes of {node} ({}) under {}",
            program.display(),
            self.launcher.pid()
        );
        found[0]
    }

    /// Starts the drive as an action client that stays.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn drive(&self) -> Running {
        let mut client = self
            .domain
            .peer(&["--timeout", "150", "drive", "--bundle", &self.bundle]);
        Running::start(client.stdout(Stdio::null()).stderr(Stdio::null())).unwrap()
    }
}
