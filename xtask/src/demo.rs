//! `cargo xtask demo`: sets up, builds, and becomes `sojourn demo`.

use crate::{build, setup};
use anyhow::{Result, bail};
use std::os::unix::process::CommandExt;
use std::process::Command;

pub fn run(args: &[String]) -> Result<()> {
    let help = args.iter().any(|a| a == "--help" || a == "-h");
    if !help {
        eprintln!("1 of 3: set-up");
    }
    setup::run(false)?;
    if !help {
        eprintln!("2 of 3: build");
    }
    build::all()?;
    if !help {
        eprintln!("3 of 3: drive");
    }
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
