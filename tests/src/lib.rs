//! Helpers of the system tests: where the built programs lie, how to run them, and how to end what was started.

pub mod site;
pub mod suite;
pub mod tiff;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The top of the repository.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// The folder with the built programs.
#[must_use]
pub fn programs() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), PathBuf::from)
        .join("debug")
}

/// The command `sojourn`, run from the top of the repository.
#[must_use]
pub fn sojourn() -> Command {
    let mut command = Command::new(programs().join("sojourn"));
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// Real data for tests, when it is there: `SOJOURN_DATA` or `../shared/data` beside the checkout.
#[must_use]
pub fn data(relative: &str) -> Option<PathBuf> {
    let base = std::env::var_os("SOJOURN_DATA")
        .map_or_else(|| root().join("../shared/data"), PathBuf::from);
    let path = base.join(relative);
    if path.exists() {
        Some(path)
    } else {
        eprintln!("skipped: {} is not on this machine", path.display());
        None
    }
}

/// Runs a command to its end within a bounded time.
///
/// # Errors
/// When it cannot be started or does not end in time; then it is killed.
pub fn run(command: &mut Command, limit: Duration) -> Result<Output> {
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {command:?}"))?;
    let pid = child.id();
    let (tx, rx) = std::sync::mpsc::sync_channel(1);
    std::thread::Builder::new()
        .name("wait".into())
        .spawn(move || {
            let _ = tx.send(child.wait_with_output());
        })?;
    match rx.recv_timeout(limit) {
        Ok(output) => Ok(output?),
        Err(_) => {
            let _ = signal(pid, "KILL");
            bail!("{command:?} did not end within {limit:?}");
        }
    }
}

/// Runs a command that has to succeed and prints one JSON object as its last line.
///
/// # Errors
/// When it fails, with what it said.
pub fn run_json(command: &mut Command, limit: Duration) -> Result<Value> {
    let output = run(command, limit)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!(
            "{command:?}: {}\n{text}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    parse_json(&text)
}

/// The JSON object that a text is, or ends with in its last line.
///
/// # Errors
/// When there is none.
pub fn parse_json(text: &str) -> Result<Value> {
    if let Ok(value) = serde_json::from_str(text.trim()) {
        return Ok(value);
    }
    let last = text
        .lines()
        .rev()
        .find(|l| l.trim_start().starts_with('{'))
        .context("no JSON printed")?;
    Ok(serde_json::from_str(last)?)
}

/// Reads a JSON file.
///
/// # Errors
/// When it cannot be read or is not JSON.
pub fn read_json(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

/// A drive's summary without what depends on the machine's speed: what two lockstep runs of one seed have in common.
#[must_use]
pub fn timeless(summary: &Value) -> Value {
    let mut summary = summary.clone();
    if let Some(fields) = summary.as_object_mut() {
        for key in ["wall_s", "times"] {
            fields.remove(key);
        }
    }
    summary
}

/// Sends a signal (`TERM`, `INT`, `KILL`) to a process that a test started.
///
/// # Errors
/// When `kill` cannot be run or refuses.
pub fn signal(pid: u32, name: &str) -> Result<()> {
    let status = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(pid.to_string())
        .status()?;
    if !status.success() {
        bail!("kill -{name} {pid}: {status}");
    }
    Ok(())
}

/// A process that is ended when the test is over, however it ends.
pub struct Running {
    child: Child,
}

impl Running {
    /// Starts a command.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Result<Self> {
        Ok(Self {
            child: command
                .spawn()
                .with_context(|| format!("starting {command:?}"))?,
        })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn wait(&mut self, limit: Duration) -> Result<std::process::ExitStatus> {
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > end {
                bail!("process {} did not end within {limit:?}", self.child.id());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // The launcher ends its nodes on SIGINT; only a launcher that hangs is killed.
            let _ = signal(self.child.id(), "INT");
            if self.wait(Duration::from_secs(15)).is_err() {
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
        }
    }
}

/// A ROS domain that no other test of this machine uses at the moment, held by a lock file until dropped.
pub struct Domain {
    /// `ROS_DOMAIN_ID`.
    pub id: u32,
    _lock: std::fs::File,
}

impl Domain {
    /// Takes a free domain from 50 to 100.
    ///
    /// # Errors
    /// When all are taken.
    pub fn take() -> Result<Self> {
        for id in 50..=100 {
            let path = std::env::temp_dir().join(format!("sojourn_domain_{id}.lock"));
            let lock = std::fs::OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(path)?;
            if lock.try_lock().is_ok() {
                return Ok(Self { id, _lock: lock });
            }
        }
        bail!("all ROS domains from 50 to 100 are in use")
    }

    /// Processes of built programs that run in this domain: name and process id. A zombie runs no more.
    #[must_use]
    pub fn processes(&self) -> Vec<(String, u32)> {
        let wanted = format!("ROS_DOMAIN_ID={}", self.id);
        let ours = |entry: std::fs::DirEntry| {
            let pid: u32 = entry.file_name().to_string_lossy().parse().ok()?;
            let exe = std::fs::read_link(entry.path().join("exe")).ok()?;
            let environment = std::fs::read(entry.path().join("environ")).ok()?;
            let here = environment
                .split(|b| *b == 0)
                .any(|v| v == wanted.as_bytes());
            let name = exe.file_name()?.to_string_lossy().into_owned();
            (here && exe.parent()? == programs()).then_some((name, pid))
        };
        let mut found: Vec<_> = std::fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(ours)
            .collect();
        found.sort();
        found
    }

    /// Puts a command into this domain, visible on this machine only.
    pub fn apply(&self, command: &mut Command) {
        command
            .env("ROS_DOMAIN_ID", self.id.to_string())
            .env("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST");
    }

    /// The rclpy peer in this domain with the arguments of `tests/python/peer.py`.
    #[must_use]
    pub fn peer(&self, args: &[&str]) -> Command {
        let prefix = root().join(".ros");
        let own = prefix.join("bin/python");
        let mut command = Command::new(if own.exists() {
            own
        } else {
            PathBuf::from("python3")
        });
        command
            .arg(root().join("tests/python/peer.py"))
            .args(args)
            .stdin(Stdio::null());
        if prefix.exists() {
            // The wheels' python start-up hook would start python a second time without this.
            command.env("_ROS_WHEELS_BOOTSTRAP_COMPLETE", "1");
            let mut path = prefix.join("lib").into_os_string();
            if let Some(old) = std::env::var_os("LD_LIBRARY_PATH") {
                path.push(":");
                path.push(old);
            }
            command.env("LD_LIBRARY_PATH", path);
            let dds = prefix.join("etc/sojourn_dds.xml");
            if dds.exists() {
                command.env("FASTRTPS_DEFAULT_PROFILES_FILE", dds);
            }
            if std::env::var_os("AMENT_PREFIX_PATH").is_none() {
                command.env("AMENT_PREFIX_PATH", &prefix);
            }
        }
        self.apply(&mut command);
        command
    }
}
