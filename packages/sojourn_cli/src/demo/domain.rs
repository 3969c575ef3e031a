//! A ROS domain of its own for every run, so that two runs on one machine do not hear each other.

use rustix::fs::{FlockOperation, flock};
use std::collections::BTreeMap;

/// Domains tried. Above 101 their ports run into those of outgoing connections; 0 is everybody's.
const DOMAINS: std::ops::RangeInclusive<u32> = 1..=49;

/// A domain, held until dropped.
#[derive(Debug)]
pub struct Domain {
    /// Variables for the processes.
    pub env: BTreeMap<String, String>,
    _lock: Option<std::fs::File>,
}

impl Domain {
    /// The domain that the environment names, or a free one.
    ///
    /// # Errors
    /// One sentence when none is free.
    pub fn take() -> anyhow::Result<Self> {
        let mut env = BTreeMap::new();
        if std::env::var_os("ROS_AUTOMATIC_DISCOVERY_RANGE").is_none() {
            env.insert("ROS_AUTOMATIC_DISCOVERY_RANGE".into(), "LOCALHOST".into());
        }
        if std::env::var_os("ROS_DOMAIN_ID").is_some() {
            return Ok(Self { env, _lock: None });
        }
        for id in DOMAINS {
            let path = std::env::temp_dir().join(format!("sojourn_domain_{id}.lock"));
            // A lock file of another user counts as taken.
            let Ok(file) = std::fs::OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(path)
            else {
                continue;
            };
            if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
                env.insert("ROS_DOMAIN_ID".into(), id.to_string());
                return Ok(Self {
                    env,
                    _lock: Some(file),
                });
            }
        }
        anyhow::bail!(
            "all ROS domains from {} to {} are in use on this machine; set ROS_DOMAIN_ID",
            DOMAINS.start(),
            DOMAINS.end()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_runs_get_two_domains() {
        let (a, b) = (Domain::take().unwrap(), Domain::take().unwrap());
        if std::env::var_os("ROS_DOMAIN_ID").is_none() {
            assert_ne!(a.env["ROS_DOMAIN_ID"], b.env["ROS_DOMAIN_ID"]);
        }
    }
}
