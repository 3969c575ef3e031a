//! The environment of a cargo that builds nodes, and of processes that use ROS.

use super::{BOUND, Source, interfaces_hash, prefix, read_stamp, root, wanted_stamp};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

/// How to run processes with ROS.
#[derive(Clone, Debug)]
pub struct RosEnv {
    ros: PathBuf,
    source: Source,
    hash: String,
}

impl RosEnv {
    /// From a finished set-up.
    ///
    /// # Errors
    /// When `cargo xtask setup` has not been run or is out of date.
    pub fn load() -> Result<Self> {
        let root = root();
        let ros = root.join(".ros");
        let source = Source::from_environment(&root)?;
        let wanted = wanted_stamp(&root, &source)?;
        if read_stamp(&ros) != wanted {
            bail!(
                "the ROS prefix {} is not ready: run `cargo xtask setup`",
                ros.display()
            );
        }
        Ok(Self {
            ros,
            source,
            hash: interfaces_hash(&wanted),
        })
    }

    /// The Python that has rclpy and the suite's interfaces.
    #[must_use]
    pub fn python(&self) -> PathBuf {
        match self.source {
            Source::Wheels => self.ros.join("bin/python"),
            // The one that the interfaces are built for; another one on the path may be of another version.
            Source::Sourced(_) => PathBuf::from("/usr/bin/python3"),
        }
    }

    /// For `cargo build|run|test`: what the bindings are made from. The same as `.cargo/config.toml` gives to a cargo
    /// called by hand.
    #[must_use]
    pub fn for_cargo(&self) -> Vec<(String, String)> {
        cargo_variables(&self.ros, &self.source, &self.hash)
    }

    /// For nodes and for Python programs that use rclpy.
    #[must_use]
    pub fn for_processes(&self) -> Vec<(String, String)> {
        let mut variables = self.for_cargo();
        variables.retain(|(name, _)| name != "IDL_PACKAGE_FILTER");
        let before = |name: &str, value: String| {
            let old = std::env::var(name).unwrap_or_default();
            let value = if old.is_empty() || old == value {
                value
            } else {
                format!("{value}:{old}")
            };
            (name.to_string(), value)
        };
        variables.push(before(
            "LD_LIBRARY_PATH",
            self.ros.join("lib").display().to_string(),
        ));
        match self.source {
            Source::Wheels => {
                variables.push(before("PATH", self.ros.join("bin").display().to_string()));
                // Stops the wheels from starting every Python a second time.
                variables.push((
                    "_ROS_WHEELS_BOOTSTRAP_COMPLETE".to_string(),
                    "1".to_string(),
                ));
            }
            Source::Sourced(_) => {
                for site in prefix::site_packages(&self.ros) {
                    variables.push(before("PYTHONPATH", site.display().to_string()));
                }
            }
        }
        variables
    }
}

pub(super) fn cargo_variables(ros: &Path, source: &Source, hash: &str) -> Vec<(String, String)> {
    let mut filter: Vec<String> = BOUND.iter().map(|s| (*s).to_string()).collect();
    // r2r caches its bindings by environment: this name changes whenever an interface does.
    filter.push(format!("rev_{hash}"));
    [
        ("ROS_DISTRO", "jazzy".to_string()),
        ("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp".to_string()),
        ("AMENT_PREFIX_PATH", source.ament_prefix_path(ros)),
        ("IDL_PACKAGE_FILTER", filter.join(";")),
        (
            "FASTRTPS_DEFAULT_PROFILES_FILE",
            ros.join("etc/sojourn_dds.xml").display().to_string(),
        ),
    ]
    .map(|(k, v)| (k.to_string(), v))
    .to_vec()
}
