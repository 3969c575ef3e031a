//! Debian and Ubuntu packages: which are missing, and installing them.

use super::Say;
use anyhow::{Context, Result, bail};
use std::process::{Command, Stdio};

/// Debian and Ubuntu packages, with what needs them.
const PACKAGES: &[(&str, &str)] = &[
    ("build-essential", "linker and C++ compiler"),
    ("clang", "bindings"),
    ("libclang-dev", "bindings"),
    ("cmake", "interfaces"),
    ("pkg-config", "GDAL"),
    ("libgdal-dev", "maps"),
    ("libopencv-dev", "vision"),
    ("python3-dev", "interfaces"),
    ("python3-venv", "ROS prefix"),
];

/// Those that are not installed.
pub(super) fn missing() -> Vec<&'static str> {
    let installed = |package: &str| {
        Command::new("dpkg-query")
            .args(["-W", "-f=${db:Status-Status}", package])
            .stderr(Stdio::null())
            .output()
            .is_ok_and(|o| o.stdout == b"installed")
    };
    PACKAGES
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !installed(name))
        .collect()
}

/// Installs them with apt-get, by sudo where one is not root.
///
/// # Errors
/// When apt-get is not there or fails.
pub(super) fn install(missing: &[&str], say: &Say) -> Result<()> {
    let reasons: Vec<String> = PACKAGES
        .iter()
        .filter(|(p, _)| missing.contains(p))
        .map(|(p, why)| format!("{p} ({why})"))
        .collect();
    say.step(&format!("installing with apt-get: {}", reasons.join(", ")));
    let is_root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|o| o.stdout.trim_ascii() == b"0");
    let apt = |arguments: &[&str]| -> Result<()> {
        let mut command = if is_root {
            Command::new("env")
        } else {
            Command::new("sudo")
        };
        command
            .args(["DEBIAN_FRONTEND=noninteractive", "apt-get"])
            .args(arguments)
            .stdin(Stdio::inherit());
        command.stdout(Stdio::null());
        let status = command.status().context(
            "cannot start apt-get: this set-up knows Debian 12 and Ubuntu 24.04; elsewhere install the packages by hand",
        )?;
        if !status.success() {
            bail!(
                "apt-get {} failed ({status}); needed: {}",
                arguments.join(" "),
                missing.join(" ")
            );
        }
        Ok(())
    };
    apt(&["update", "-qq"])?;
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(missing);
    apt(&arguments)?;
    say.step("Debian packages are installed");
    Ok(())
}
