//! What an operator sets for the executive, checked.

use crate::MissionError;
use crate::gate::Trust;
use crate::keys::TrustedKeys;
use crate::rules::RuleConfig;
use serde::{Deserialize, Serialize};
use sojourn_core::CoreError;
use sojourn_core::error::in_range;

/// The parameters of `config/executive.param.yaml`, unchecked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The rover's description, a file.
    pub rover_file: String,
    /// Folder where accepted bundles and the list of driven ones are kept.
    pub bundle_dir: String,
    /// Folder of a bundle to accept at start; empty for none.
    pub bundle: String,
    /// Public keys that are trusted: hexadecimal keys, files or folders, separated by commas.
    pub trusted_keys: String,
    /// Whether a simulated rover takes any key made for simulation.
    pub allow_simulation_keys: bool,
    /// Whether a bundle may be driven again.
    pub allow_replay: bool,
    /// Whether segments in mode DIRECTED are driven.
    pub allow_directed: bool,
    /// Longest plan, metres.
    pub max_drive_m: f64,
    /// Longest segment, metres.
    pub max_segment_m: f64,
    /// Nodes without which the rover does not drive.
    pub watched_nodes: Vec<String>,
    /// Longest age of a watched node's heartbeat, seconds.
    pub heartbeat_timeout_s: f64,
    /// Longest age of odometry and of map to odom, seconds.
    pub pose_timeout_s: f64,
    /// Longest wait for pose and heartbeats after a drive is ordered, seconds.
    pub start_timeout_s: f64,
    /// Farthest from the plan's start that a drive begins, metres.
    pub start_tolerance_m: f64,
    /// The way to go has to shrink by this much, metres …
    pub progress_m: f64,
    /// … within this time, seconds.
    pub progress_timeout_s: f64,
    /// Longest time AutoNav may find no way, seconds.
    pub autonav_stopped_s: f64,
    /// Largest step of the pose from one tick to the next, metres.
    pub pose_jump_m: f64,
    /// A waypoint on the way counts as reached when the rover has gone by it within this distance, metres.
    pub waypoint_pass_m: f64,
    /// Time after the end of a drive during which the executive stays at work, so that the rover comes to rest, seconds.
    pub rest_s: f64,
    /// Time between two status messages, seconds.
    pub status_period_s: f64,
}

/// What the state machine works with.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Whose signature is accepted.
    pub trust: Trust,
    /// Limits of the flight rules.
    pub rules: RuleConfig,
    /// See [`Params::allow_replay`].
    pub allow_replay: bool,
    /// See [`Params::watched_nodes`].
    pub watched_nodes: Vec<String>,
    /// See [`Params::heartbeat_timeout_s`].
    pub heartbeat_timeout_s: f64,
    /// See [`Params::pose_timeout_s`].
    pub pose_timeout_s: f64,
    /// See [`Params::start_timeout_s`].
    pub start_timeout_s: f64,
    /// See [`Params::start_tolerance_m`].
    pub start_tolerance_m: f64,
    /// See [`Params::progress_m`].
    pub progress_m: f64,
    /// See [`Params::progress_timeout_s`].
    pub progress_timeout_s: f64,
    /// See [`Params::autonav_stopped_s`].
    pub autonav_stopped_s: f64,
    /// See [`Params::pose_jump_m`].
    pub pose_jump_m: f64,
    /// See [`Params::waypoint_pass_m`].
    pub waypoint_pass_m: f64,
    /// See [`Params::rest_s`].
    pub rest_s: f64,
    /// See [`Params::status_period_s`].
    pub status_period_s: f64,
}

impl TryFrom<&Params> for Config {
    type Error = MissionError;

    /// Checks the ranges and reads the trusted keys.
    fn try_from(p: &Params) -> Result<Self, MissionError> {
        let what = "parameters of executive";
        for (name, value, lo, hi) in [
            ("max_drive_m", p.max_drive_m, 0.1, 1e5),
            ("max_segment_m", p.max_segment_m, 0.1, 1e4),
            ("heartbeat_timeout_s", p.heartbeat_timeout_s, 0.05, 60.0),
            ("pose_timeout_s", p.pose_timeout_s, 0.05, 60.0),
            ("start_timeout_s", p.start_timeout_s, 0.1, 3600.0),
            ("start_tolerance_m", p.start_tolerance_m, 0.01, 100.0),
            ("progress_m", p.progress_m, 0.01, 100.0),
            ("progress_timeout_s", p.progress_timeout_s, 1.0, 1e5),
            ("autonav_stopped_s", p.autonav_stopped_s, 0.0, 1e5),
            ("pose_jump_m", p.pose_jump_m, 0.001, 100.0),
            ("waypoint_pass_m", p.waypoint_pass_m, 0.0, 100.0),
            ("rest_s", p.rest_s, 0.0, 60.0),
            ("status_period_s", p.status_period_s, 0.01, 60.0),
        ] {
            in_range(what, name, value, lo, hi)?;
        }
        for (name, text) in [("rover_file", &p.rover_file), ("bundle_dir", &p.bundle_dir)] {
            if text.is_empty() {
                return Err(CoreError::value(what, name, "empty", "a path").into());
            }
        }
        if p.watched_nodes.is_empty() || p.watched_nodes.iter().any(String::is_empty) {
            return Err(CoreError::value(
                what,
                "watched_nodes",
                format!("{:?}", p.watched_nodes),
                "at least one node's name",
            )
            .into());
        }
        Ok(Self {
            trust: Trust {
                keys: TrustedKeys::load(&p.trusted_keys)?,
                allow_simulation_keys: p.allow_simulation_keys,
            },
            rules: RuleConfig {
                max_drive_m: p.max_drive_m,
                max_segment_m: p.max_segment_m,
                allow_directed: p.allow_directed,
            },
            allow_replay: p.allow_replay,
            watched_nodes: p.watched_nodes.clone(),
            heartbeat_timeout_s: p.heartbeat_timeout_s,
            pose_timeout_s: p.pose_timeout_s,
            start_timeout_s: p.start_timeout_s,
            start_tolerance_m: p.start_tolerance_m,
            progress_m: p.progress_m,
            progress_timeout_s: p.progress_timeout_s,
            autonav_stopped_s: p.autonav_stopped_s,
            pose_jump_m: p.pose_jump_m,
            waypoint_pass_m: p.waypoint_pass_m,
            rest_s: p.rest_s,
            status_period_s: p.status_period_s,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sojourn_core::params::load_node_params;
    use std::path::Path;

    fn shipped() -> Params {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/executive.param.yaml");
        load_node_params(&path, "executive").unwrap()
    }

    #[test]
    fn the_shipped_parameters_are_right() {
        let params = shipped();
        let config = Config::try_from(&params).unwrap();
        assert_eq!(
            config.watched_nodes,
            ["perception", "localization", "autonav", "guard"]
        );
        assert!(!config.allow_replay && !config.rules.allow_directed);
    }

    #[test]
    fn what_is_wrong_is_named() {
        type Case = (&'static str, fn(&mut Params));
        let cases: [Case; 6] = [
            ("heartbeat_timeout_s", |p| p.heartbeat_timeout_s = f64::NAN),
            ("progress_m", |p| p.progress_m = -1.0),
            ("watched_nodes", |p| p.watched_nodes.clear()),
            ("rover_file", |p| p.rover_file.clear()),
            ("rest_s", |p| p.rest_s = f64::INFINITY),
            ("/no/such/key", |p| p.trusted_keys = "/no/such/key".into()),
        ];
        for (name, spoil) in cases {
            let mut params = shipped();
            spoil(&mut params);
            let message = Config::try_from(&params).unwrap_err().to_string();
            assert!(message.contains(name), "{name}: {message}");
        }
    }
}
