//! `cargo xtask demo`: sets up, builds, and becomes `sojourn demo`.

use crate::{build, setup};
use anyhow::{Result, bail};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// What can be said of the options before anything is built.
const HELP: &str = "cargo xtask demo: sets up, builds, plans, verifies, approves and drives 200 m and more in simulation, \
and writes a report

Usage: cargo xtask demo [--dtm FILE [--ortho FILE] --start E,N --goal E,N] [--seed N] [--out DIR] [--yes] [--json] [...]

All options are told by the command sojourn, which is not built yet: `cargo xtask build`, then this again.";

pub fn run(args: &[String]) -> Result<()> {
    // Whoever asks what a command does has not asked for it to be done.
    if args.iter().any(|a| a == "--help" || a == "-h") {
        if build::program("sojourn").is_file() && setup::is_done() {
            return become_demo(args);
        }
        println!("{HELP}");
        return Ok(());
    }
    eprintln!("1 of 3: set-up");
    setup::run(false)?;
    eprintln!("2 of 3: build");
    build::all()?;
    eprintln!("3 of 3: drive");
    become_demo(args)
}

fn become_demo(args: &[String]) -> Result<()> {
    // The working folder stays the caller's, so that relative names on the command line mean what they say. `exec`
    // instead of a child: Ctrl-C reaches the demo alone, which ends its nodes in order.
    let error = Command::new(build::program("sojourn"))
        .arg("demo")
        .args(args)
        .envs(setup::RosEnv::load()?.for_processes())
        .exec();
    bail!(
        "cannot start {}: {error}",
        build::program("sojourn").display()
    )
}
