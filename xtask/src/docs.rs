//! `cargo xtask docs`: documents that are made from the code.

use crate::build;
use anyhow::{Context, Result, bail};
use std::process::Command;

pub fn run(check: bool) -> Result<()> {
    build::run()?;
    write(check)
}

/// Writes or compares, with the built command.
pub fn write(check: bool) -> Result<()> {
    let mut command = Command::new(build::program("sojourn"));
    command.arg("documents").arg(build::root());
    if check {
        command.arg("--check");
    }
    let status = command
        .status()
        .context("cannot start the command sojourn")?;
    if !status.success() {
        bail!("the generated documents are not up to date; run `cargo xtask docs`");
    }
    Ok(())
}
