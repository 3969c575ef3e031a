//! `cargo xtask ci`: what `test` does, and the checks of dependencies and spelling where their tools are installed.

use crate::build::{cargo, root};
use anyhow::{Result, bail};
use std::process::{Command, Stdio};

pub fn run() -> Result<()> {
    crate::test::run(false)?;
    checks()
}

/// Licences, bans, sources, spelling.
fn checks() -> Result<()> {
    let there = |command: &mut Command| {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|s| s.success())
    };
    if there(cargo()?.args(["deny", "--version"])) {
        eprintln!("ci: licences, bans and sources");
        if !cargo()?
            .args(["deny", "check", "licenses", "bans", "sources"])
            .status()?
            .success()
        {
            bail!("cargo deny found something; it stands above");
        }
    } else {
        eprintln!("ci: cargo-deny is not installed; licences, bans and sources are not checked");
    }
    if there(Command::new("typos").arg("--version")) {
        eprintln!("ci: spelling");
        if !Command::new("typos")
            .current_dir(root())
            .status()?
            .success()
        {
            bail!("typos found something; it stands above");
        }
    } else {
        eprintln!("ci: typos is not installed; spelling is not checked");
    }
    Ok(())
}
