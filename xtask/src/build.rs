//! Builds everything with one set of features, so that nothing is built twice.

use crate::setup::RosEnv;
use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What makes the nodes. Every cargo call of this tool names the whole workspace and these features: another selection
/// would unify features differently and build the ROS bindings again.
pub const ROS_FEATURES: &str = "sojourn_ros/ros,sojourn_planner/ros,sojourn_twin/ros,sojourn_perception/ros,\
sojourn_localization/ros,sojourn_autonav/ros,sojourn_mission/ros,sojourn_base/ros";

/// Without a terminal, a line at least this often.
const LINE_EVERY: Duration = Duration::from_secs(15);

/// The repository.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// The cargo that runs this tool, in the repository, with the environment that the bindings are made from.
pub fn cargo() -> Result<Command> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(root())
        .envs(RosEnv::load()?.for_cargo());
    Ok(command)
}

/// A built program.
pub fn program(name: &str) -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join("debug").join(name)
}

/// Sets up and builds.
pub fn run() -> Result<()> {
    crate::setup::run(false)?;
    all()
}

/// Builds the command and all nodes.
pub fn all() -> Result<()> {
    with_bar(&["--bins"], ROS_FEATURES)
}

/// Builds the command, all nodes and all test programs in one go: while one crate waits for another there is always
/// something left to do.
pub fn all_and_tests(features: &str) -> Result<()> {
    with_bar(&["--lib", "--bins", "--tests", "--examples"], features)
}

/// Builds targets of the whole workspace, with a bar of crates built of all crates.
fn with_bar(targets: &[&str], features: &str) -> Result<()> {
    let mut command = cargo()?;
    command.args(["build", "--workspace", "--features", features]);
    command.args(targets);
    let begin = Instant::now();
    // Cargo counts the crates itself; its bar is read and not shown, so that it can also be told without a terminal.
    command
        .env("CARGO_TERM_PROGRESS_WHEN", "always")
        .env("CARGO_TERM_PROGRESS_WIDTH", "120");
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot start cargo")?;
    let mut shown = Shown::new();
    if let Some(stderr) = child.stderr.take() {
        read_pieces(stderr, |piece| shown.take(piece));
    }
    let status = child.wait().context("waiting for cargo")?;
    shown.finish();
    if !status.success() {
        bail!("the build failed; what cargo said stands above");
    }
    if begin.elapsed() > Duration::from_secs(2) {
        eprintln!("build: done in {:.0} s", begin.elapsed().as_secs_f64());
    }
    Ok(())
}

/// Splits at line ends and carriage returns.
fn read_pieces(mut from: impl Read, mut take: impl FnMut(&str)) {
    let mut held: Vec<u8> = Vec::new();
    let mut buffer = [0u8; 4096];
    while let Ok(n) = from.read(&mut buffer) {
        let Some(new) = buffer.get(..n).filter(|b| !b.is_empty()) else {
            break;
        };
        for &byte in new {
            if byte == b'\n' || byte == b'\r' {
                take(&String::from_utf8_lossy(&held));
                held.clear();
            } else {
                held.push(byte);
            }
        }
    }
    take(&String::from_utf8_lossy(&held));
}

/// "Building [===> ] 12/345: name, name" → (12, 345).
fn counted(piece: &str) -> Option<(u64, u64)> {
    let (_, after) = piece.split_once("] ")?;
    let numbers = after.split(':').next()?;
    let (done, all) = numbers.trim().split_once('/')?;
    Some((done.parse().ok()?, all.parse().ok()?))
}

struct Shown {
    bar: Option<ProgressBar>,
    last: Option<Instant>,
}

impl Shown {
    fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            if let Ok(style) = ProgressStyle::with_template(
                "{elapsed:>4} building [{bar:40}] {pos} of {len} crates  {msg}",
            ) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar
        });
        Self { bar, last: None }
    }

    fn take(&mut self, piece: &str) {
        // Cargo erases its bar with control sequences.
        let clean = plain(piece);
        let text = clean.trim_end();
        if let Some((done, all)) = counted(text) {
            if let Some(bar) = &self.bar {
                bar.set_length(all);
                bar.set_position(done);
                if let Some((_, names)) = text.split_once(": ") {
                    bar.set_message(names.chars().take(50).collect::<String>());
                }
            } else if self.last.is_none_or(|t| t.elapsed() > LINE_EVERY) {
                self.last = Some(Instant::now());
                eprintln!("build: {done} of {all} crates");
            }
            return;
        }
        let words = text.trim_start();
        if words.starts_with("Blocking") {
            eprintln!("build: waiting for another cargo to finish");
            return;
        }
        let noise = [
            "Compiling",
            "Finished",
            "Downloading",
            "Downloaded",
            "Updating",
            "Locking",
            "Adding",
        ];
        if words.is_empty() || noise.iter().any(|n| words.starts_with(n)) {
            return;
        }
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }

    fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// Text without escape sequences.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            for e in chars.by_ref() {
                if e.is_ascii_alphabetic() {
                    break;
                }
            }
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_bar_is_read() {
        assert_eq!(
            counted("    Building [=====>       ] 120/345: r2r, nalgebra"),
            Some((120, 345))
        );
        assert_eq!(counted("   Compiling r2r v0.9.7"), None);
        assert_eq!(counted("error[E0308]: mismatched types"), None);
        assert_eq!(
            plain("\u{1b}[K\u{1b}[1m  Building\u{1b}[0m [] 1/2: x"),
            "  Building [] 1/2: x"
        );
        let mut pieces = Vec::new();
        read_pieces(&b"a\rb\nc"[..], |p| pieces.push(p.to_string()));
        assert_eq!(pieces, ["a", "b", "c"]);
    }

    #[test]
    fn every_node_package_is_built() {
        for manifest in std::fs::read_dir(root().join("packages"))
            .unwrap()
            .flatten()
        {
            let text =
                std::fs::read_to_string(manifest.path().join("Cargo.toml")).unwrap_or_default();
            let name = manifest.file_name().to_string_lossy().into_owned();
            if text.lines().any(|l| l.starts_with("ros = [")) {
                assert!(
                    ROS_FEATURES.split(',').any(|f| f == format!("{name}/ros")),
                    "{name} has nodes"
                );
            }
        }
    }

    /// Package and version, and the features it is built with, of everything that some edges of the graph reach.
    fn features(edges: &str) -> std::collections::BTreeMap<String, String> {
        let output = Command::new(env!("CARGO"))
            .args(["tree", "--workspace", "--locked", "--prefix", "none"])
            .args(["--format", "{p}|{f}", "--features", ROS_FEATURES])
            .args(["--edges", edges])
            .current_dir(root())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .filter_map(|l| l.trim_end_matches(" (*)").split_once('|'))
            .map(|(package, features)| (package.to_string(), features.to_string()))
            .collect()
    }

    #[test]
    fn tests_build_nothing_a_second_time() {
        let built = features("normal,build");
        let tested = features("normal,build,dev");
        assert!(built.len() > 200, "{} packages", built.len());
        for (package, with) in &built {
            assert_eq!(
                tested.get(package),
                Some(with),
                "{package} has other features in tests: ask for them in tests/Cargo.toml, too"
            );
        }
    }
}
