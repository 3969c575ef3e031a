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
        for (name, folder) in self.search_paths() {
            let value = folder.display().to_string();
            let old = std::env::var(name).unwrap_or_default();
            let value = if old.is_empty() || old == value {
                value
            } else {
                format!("{value}:{old}")
            };
            variables.push((name.to_string(), value));
        }
        variables.extend(self.for_wheels());
        variables
    }

    /// Folders that the prefix adds to search paths: the variable and the folder that comes in front.
    #[must_use]
    pub fn search_paths(&self) -> Vec<(&'static str, PathBuf)> {
        let mut paths = vec![("LD_LIBRARY_PATH", self.ros.join("lib"))];
        match self.source {
            Source::Wheels => paths.push(("PATH", self.ros.join("bin"))),
            Source::Sourced(_) => paths.extend(
                prefix::site_packages(&self.ros)
                    .into_iter()
                    .map(|site| ("PYTHONPATH", site)),
            ),
        }
        paths
    }

    /// What an overlay has to set that is no search path.
    #[must_use]
    pub fn for_overlay(&self) -> Vec<(String, String)> {
        let mut variables = self.for_cargo();
        variables.retain(|(name, _)| name != "IDL_PACKAGE_FILTER" && name != "AMENT_PREFIX_PATH");
        variables.extend(self.for_wheels());
        variables
    }

    /// Where the suite's interfaces are.
    #[must_use]
    pub fn prefix(&self) -> &Path {
        &self.ros
    }

    fn for_wheels(&self) -> Option<(String, String)> {
        // Stops the wheels from starting every Python a second time.
        (self.source == Source::Wheels).then(|| {
            (
                "_ROS_WHEELS_BOOTSTRAP_COMPLETE".to_string(),
                "1".to_string(),
            )
        })
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
