//! `cargo xtask test`: what CI runs.

use crate::build::{ROS_FEATURES, cargo, root};
use crate::{build, docs, setup};
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

pub fn run(all: bool) -> Result<()> {
    let begin = Instant::now();
    let step = |words: &str| eprintln!("test [{:6.1} s] {words}", begin.elapsed().as_secs_f64());
    step("set-up");
    setup::run(false)?;
    step("formatting");
    must(
        cargo()?.args(["fmt", "--all", "--check"]),
        "the formatting is not rustfmt's; run `cargo fmt --all`",
    )?;
    let features = format!(
        "{ROS_FEATURES},sojourn_tests/{}",
        if all { "all" } else { "ros" }
    );
    step("build");
    build::all_and_tests(&features)?;
    step("generated documents");
    docs::write(true)?;
    step("lints");
    must(
        cargo()?
            .args([
                "clippy",
                "--quiet",
                "--workspace",
                "--all-targets",
                "--features",
                ROS_FEATURES,
            ])
            .args(["--", "-D", "warnings"]),
        "clippy found something; it stands above",
    )?;
    step(if all {
        "tests, the slow ones too"
    } else {
        "tests"
    });
    rclpy()?;
    let nextest = cargo()?
        .args(["nextest", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success());
    if nextest {
        must(
            cargo()?.args(["nextest", "run", "--workspace", "--features", &features]),
            "tests failed",
        )
    } else {
        with_cargo_test(&features)
    }
}

/// The tests talk to rclpy; a Python without it is told at once and not by every test.
fn rclpy() -> Result<()> {
    let ros = setup::RosEnv::load()?;
    let status = Command::new(ros.python())
        .args(["-c", "import rclpy, sojourn_msgs.msg"])
        .envs(ros.for_processes())
        .status()
        .with_context(|| format!("cannot start {}", ros.python().display()))?;
    if !status.success() {
        bail!(
            "{} cannot import rclpy and sojourn_msgs; remove .ros/ and run `cargo xtask setup`",
            ros.python().display()
        );
    }
    Ok(())
}

fn must(command: &mut Command, otherwise: &str) -> Result<()> {
    if !command.status().context("cannot start cargo")?.success() {
        bail!("{otherwise}");
    }
    Ok(())
}

/// The packages' test programs that start nodes, as those of `tests/` do. The nodes watch each other's silence, so that
/// nothing runs beside them; nextest is told the same in `.config/nextest.toml`.
const START_NODES: [&str; 3] = ["interfaces", "nodes", "processes"];

/// The names of the test programs that may run beside others, and of those that run alone.
fn programs() -> Result<(BTreeSet<String>, BTreeSet<String>)> {
    let mut alone = programs_in(&root().join("tests/tests"));
    let mut together = BTreeSet::new();
    let packages = root().join("packages");
    for package in packages.read_dir().context("packages cannot be read")? {
        for name in programs_in(&package?.path().join("tests")) {
            let starts_nodes = START_NODES.contains(&name.as_str());
            let to = if starts_nodes {
                &mut alone
            } else {
                &mut together
            };
            to.insert(name);
        }
    }
    // A name picks every program that is called so.
    together.retain(|name| !alone.contains(name));
    Ok((together, alone))
}

/// The test programs in a folder: `name.rs` and `name/main.rs`.
fn programs_in(folder: &Path) -> BTreeSet<String> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let of_folder = entry.path().join("main.rs").is_file();
        match name.strip_suffix(".rs") {
            Some(stem) => Some(stem.to_string()),
            None => of_folder.then_some(name),
        }
    });
    names.collect()
}

fn named(programs: &BTreeSet<String>) -> impl Iterator<Item = &str> {
    programs.iter().flat_map(|p| ["--test", p])
}

/// Without nextest: what may run beside others, many tests at once, then the tests that start nodes one after another; one
/// line with the sum of all at the end.
fn with_cargo_test(features: &str) -> Result<()> {
    let mut sum = Sum::default();
    let mut good = true;
    let base = [
        "test",
        "--workspace",
        "--no-fail-fast",
        "--features",
        features,
    ];
    let (together, alone) = programs()?;
    good &= tested(
        cargo()?
            .args(base)
            .args(["--lib", "--bins"])
            .args(named(&together)),
        &mut sum,
    )?;
    good &= tested(
        cargo()?
            .args(base)
            .args(named(&alone))
            .args(["--", "--test-threads=1"]),
        &mut sum,
    )?;
    println!(
        "test result: {}. {} passed; {} failed; {} ignored; all test programs together",
        if good && sum.failed == 0 {
            "ok"
        } else {
            "FAILED"
        },
        sum.passed,
        sum.failed,
        sum.ignored
    );
    if !good || sum.failed > 0 {
        bail!("tests failed");
    }
    Ok(())
}

#[derive(Default, Debug, PartialEq, Eq)]
struct Sum {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Sum {
    /// Adds a line "test result: ok. 3 passed; 0 failed; 1 ignored; …".
    fn add(&mut self, line: &str) {
        let Some((_, counts)) = line
            .strip_prefix("test result: ")
            .and_then(|l| l.split_once(". "))
        else {
            return;
        };
        for part in counts.split("; ") {
            let Some((number, what)) = part.split_once(' ') else {
                continue;
            };
            let number: u64 = number.parse().unwrap_or(0);
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

fn tested(command: &mut Command, sum: &mut Sum) -> Result<bool> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    if let Some(out) = child.stdout.take() {
        for line in BufReader::new(out).lines() {
            let line = line.unwrap_or_default();
            println!("{line}");
            sum.add(&line);
        }
    }
    Ok(child.wait()?.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_test_program_runs_alone_or_beside_others() {
        let (together, alone) = programs().unwrap();
        for name in ["suite", "validator", "import"] {
            assert!(together.contains(name), "{name} is not among {together:?}");
        }
        for name in START_NODES.into_iter().chain(["drive", "interop"]) {
            assert!(alone.contains(name), "{name} is not among {alone:?}");
        }
        assert!(together.is_disjoint(&alone));
    }

    #[test]
    fn results_are_summed() {
        let mut sum = Sum::default();
        sum.add("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.1s");
        sum.add("test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out");
        sum.add("test a ... ok");
        assert_eq!(
            sum,
            Sum {
                passed: 5,
                failed: 1,
                ignored: 1
            }
        );
    }
}
