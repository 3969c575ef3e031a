//! Parameters of the two nodes, as their files give them, and what they mean for the cores.

use crate::{
    TwinError,
    day::Environment,
    power::PowerFile,
    render::SensorParams,
    sim::{SimConfig, faults::FaultSchedule, imu::ImuDrift},
    verify::Settings,
    world::{Unlabelled, WorldParams},
};
use serde::Deserialize;
use sojourn_core::{CoreError, error::in_range, frames::Pose2, rover::Rover, soil::SoilTable};
use std::{collections::BTreeMap, path::Path, time::Duration};

/// Parameters of the node `twin`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TwinParams {
    /// Folder of the site plans are verified on.
    pub site_dir: String,
    /// File of the rover that drives them.
    pub rover_file: String,
    /// Folder with verification.yaml, soils.yaml and telemetry/.
    pub config_dir: String,
}

/// What is added to a site below its data's resolution, for one class of rover.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ground {
    /// Distance of the world's nodes, metres.
    pub resolution_m: f64,
    /// Golombek's k.
    pub rock_cfa: f64,
    /// Least diameter of a rock, metres.
    pub rock_min_m: f64,
    /// Greatest diameter of a rock, metres.
    pub rock_max_m: f64,
    /// Relief below 2 m of wavelength, metres RMS.
    pub fine_relief_rms_m: f64,
    /// Radius without rocks around the start, metres.
    pub clear_radius_m: f64,
    /// Distance that the simulated region reaches beyond start and goal, metres.
    pub region_margin_m: f64,
}

/// Parameters of the node `simulator`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatorParams {
    /// Folder of the site.
    pub site_dir: String,
    /// Rover file.
    pub rover_file: String,
    /// Seed of ground and noise.
    pub seed: u64,
    /// Start, metres in `map`.
    pub start_x_m: f64,
    /// Start, metres in `map`.
    pub start_y_m: f64,
    /// Heading at the start, radians.
    pub start_yaw_rad: f64,
    /// Goal, metres in `map`: for the score and the region.
    pub goal_x_m: f64,
    /// Goal, metres in `map`.
    pub goal_y_m: f64,
    /// Whether every participant is waited for at every tick.
    pub lockstep: bool,
    /// Nodes that take part.
    pub participants: Vec<String>,
    /// Node whose being ACTIVE lets time go on in lockstep; empty for none.
    pub hold_until_active: String,
    /// Ticks that run before time first stands still for that node.
    pub hold_at_tick: u64,
    /// Simulated seconds per second of wall time at most; 0 for as fast as possible (lockstep only).
    pub rate_factor: f64,
    /// Longest wall time a participant may take for a tick, seconds.
    pub heartbeat_limit_s: f64,
    /// Longest wall time for all participants to come up, seconds.
    pub roll_call_limit_s: f64,
    /// File the score is written to; empty for none.
    pub score_file: String,
    /// A command older than this is a stop, seconds.
    pub command_timeout_s: f64,
    /// Ground by the rover's name; `default` for any other.
    pub ground: BTreeMap<String, Ground>,
    /// Direction to the sun, degrees counter-clockwise from east.
    pub sun_azimuth_deg: f64,
    /// Height of the sun, degrees.
    pub sun_elevation_deg: f64,
    /// Share of the way lost on top of what the soil takes.
    pub extra_slip: f64,
    /// File of the soils of a site without truth; empty for the one that comes with Sojourn.
    pub soils_file: String,
    /// What the ground of a site without truth is made of.
    pub unlabelled_soil: Unlabelled,
    /// File of faults to come; empty for none.
    pub faults_file: String,
    /// Images of the pan at the start.
    pub pan_images: usize,
    /// An image after turning this far, degrees.
    pub image_turn_deg: f64,
    /// Farthest ground an image shows, metres.
    pub render_range_m: f64,
    /// Whether depth has the noise of stereo.
    pub depth_noise: bool,
    /// Whether depth images are published besides the pairs.
    pub publish_depth: bool,
    /// Whether the right image is made and published.
    pub right_images: bool,
    /// The cameras' detectors and exposure.
    pub sensor: SensorParams,
    /// How the inertial unit's biases move.
    pub imu_drift: ImuDrift,
    /// Scatter of the sun sensor about each axis, radians.
    pub sun_sigma_rad: f64,
    /// Whether the sun of images and sun sensor moves with the hour of `verification_file`'s day.
    pub sun_by_hour: bool,
    /// File of drives, battery and source; empty for the one that comes with Sojourn for the rover.
    pub power_file: String,
    /// File whose `environment` has day and weather; empty for config/verification.yaml as it was built in.
    pub verification_file: String,
}

/// How the node `simulator` runs: its parameters, checked.
#[derive(Clone, Debug)]
pub struct SimulatorSetup {
    /// The world to build.
    pub world: WorldParams,
    /// The run.
    pub sim: SimConfig,
    /// Node whose being ACTIVE lets time go on.
    pub hold_until_active: Option<String>,
    /// `None` for as fast as possible.
    pub rate_factor: Option<f64>,
    /// Longest wall time a participant may take for a tick.
    pub heartbeat_limit: Duration,
    /// Longest wall time for all participants to come up.
    pub roll_call_limit: Duration,
    /// A command older than this is a stop, seconds.
    pub command_timeout_s: f64,
}

impl SimulatorParams {
    /// Checks the ranges and works out what they mean for a rover.
    ///
    /// # Errors
    /// [`TwinError::Core`] that names the key.
    pub fn setup(&self, rover: &Rover) -> Result<SimulatorSetup, TwinError> {
        let what = "parameters of simulator";
        let ground = self
            .ground
            .get(&rover.name)
            .or_else(|| self.ground.get("default"));
        let Some(ground) = ground else {
            let names: Vec<&String> = self.ground.keys().collect();
            return Err(CoreError::value(
                what,
                "ground",
                format!("{names:?}"),
                format!("an entry \"{}\" or \"default\"", rover.name),
            )
            .into());
        };
        if self.participants.is_empty() && self.lockstep {
            return Err(CoreError::value(
                what,
                "participants",
                "[]",
                "at least one node in lockstep",
            )
            .into());
        }
        if !self.lockstep && self.rate_factor == 0.0 {
            return Err(
                CoreError::value(what, "rate_factor", 0, "more than 0 without lockstep").into(),
            );
        }
        in_range(what, "rate_factor", self.rate_factor, 0.0, 1e6)?;
        in_range(
            what,
            "command_timeout_s",
            self.command_timeout_s,
            0.01,
            60.0,
        )?;
        in_range(what, "region_margin_m", ground.region_margin_m, 5.0, 1e4)?;
        in_range(what, "clear_radius_m", ground.clear_radius_m, 0.0, 100.0)?;
        let start = [self.start_x_m, self.start_y_m];
        let goal = [self.goal_x_m, self.goal_y_m];
        for (name, v) in [
            ("start_x_m", start[0]),
            ("start_y_m", start[1]),
            ("goal_x_m", goal[0]),
            ("goal_y_m", goal[1]),
        ] {
            in_range(what, name, v, -1e7, 1e7)?;
        }
        let seconds = |name: &str, v: f64| -> Result<Duration, TwinError> {
            let v = in_range(what, name, v, 0.1, 3600.0)?;
            Duration::try_from_secs_f64(v)
                .map_err(|e| CoreError::format(what, format!("{name}: {e}")).into())
        };
        Ok(SimulatorSetup {
            world: WorldParams {
                seed: self.seed,
                resolution_m: ground.resolution_m,
                region_m: WorldParams::region_around(&[start, goal], ground.region_margin_m),
                rock_cfa: ground.rock_cfa,
                rock_min_m: ground.rock_min_m,
                rock_max_m: ground.rock_max_m,
                fine_relief_rms_m: ground.fine_relief_rms_m,
                clear_m: vec![[start[0], start[1], ground.clear_radius_m]],
                sun_azimuth_rad: self.sun_azimuth_deg.to_radians(),
                sun_elevation_rad: self.sun_elevation_deg.to_radians(),
                soils: match self.soils_file.as_str() {
                    "" => None,
                    file => Some(SoilTable::load(Path::new(file))?),
                },
                unlabelled: self.unlabelled_soil,
            },
            sim: SimConfig {
                seed: self.seed,
                start: Pose2::new(start[0], start[1], self.start_yaw_rad),
                goal_m: Some(goal),
                extra_slip: self.extra_slip,
                faults: match self.faults_file.as_str() {
                    "" => FaultSchedule::default(),
                    file => FaultSchedule::load(Path::new(file))?,
                },
                pan_images: self.pan_images,
                image_turn_rad: self.image_turn_deg.to_radians(),
                render_range_m: self.render_range_m,
                depth_noise: self.depth_noise,
                right_images: self.right_images,
                sensor: self.sensor,
                imu_drift: self.imu_drift,
                sun_sigma_rad: self.sun_sigma_rad,
                sun_by_hour: self.sun_by_hour,
                power: self.power()?,
                days: self.days()?,
                images: true,
            },
            hold_until_active: Some(self.hold_until_active.clone()).filter(|n| !n.is_empty()),
            rate_factor: Some(self.rate_factor).filter(|f| *f > 0.0),
            heartbeat_limit: seconds("heartbeat_limit_s", self.heartbeat_limit_s)?,
            roll_call_limit: seconds("roll_call_limit_s", self.roll_call_limit_s)?,
            command_timeout_s: self.command_timeout_s,
        })
    }
}

impl SimulatorParams {
    /// Drives, battery and source, where a file is named.
    ///
    /// # Errors
    /// [`TwinError::Core`] that names the file and the key.
    pub fn power(&self) -> Result<Option<PowerFile>, TwinError> {
        match self.power_file.as_str() {
            "" => Ok(None),
            file => Ok(Some(PowerFile::load(Path::new(file))?)),
        }
    }

    /// Day and weather by body, where a file is named.
    ///
    /// # Errors
    /// [`TwinError::Core`] that names the file and the key.
    pub fn days(&self) -> Result<Option<BTreeMap<String, Environment>>, TwinError> {
        match self.verification_file.as_str() {
            "" => Ok(None),
            file => Ok(Some(Settings::load(Path::new(file))?.environment)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{config, perseverance};
    use sojourn_core::params::load_node_params;

    fn shipped() -> SimulatorParams {
        load_node_params(&config("simulator.param.yaml"), "simulator").unwrap()
    }

    #[test]
    fn the_shipped_files_are_right() {
        let p = shipped();
        let setup = p.setup(&perseverance()).unwrap();
        assert!((setup.world.resolution_m - 0.1).abs() < 1e-9);
        assert_eq!(setup.sim.goal_m, Some([p.goal_x_m, p.goal_y_m]));
        let mut testbed = perseverance();
        testbed.name = "testbed".into();
        assert!(p.setup(&testbed).unwrap().world.resolution_m < 0.1);
        testbed.name = "somebody's own".into();
        assert!(p.setup(&testbed).is_ok());
        let twin: TwinParams = load_node_params(&config("twin.param.yaml"), "twin").unwrap();
        assert_eq!(twin.config_dir, "config");
    }

    #[test]
    fn what_is_wrong_is_named() {
        type Case = (&'static str, fn(&mut SimulatorParams));
        let cases: [Case; 7] = [
            ("rate_factor", |p| {
                (p.lockstep, p.rate_factor) = (false, 0.0)
            }),
            ("start_x_m", |p| p.start_x_m = f64::NAN),
            ("participants", |p| p.participants.clear()),
            ("heartbeat_limit_s", |p| p.heartbeat_limit_s = -1.0),
            ("ground", |p| p.ground.clear()),
            ("nothing.yaml", |p| p.power_file = "nothing.yaml".into()),
            ("none.yaml", |p| p.verification_file = "none.yaml".into()),
        ];
        for (key, spoil) in cases {
            let mut p = shipped();
            spoil(&mut p);
            let message = p.setup(&perseverance()).unwrap_err().to_string();
            assert!(message.contains(key), "{key}: {message}");
        }
    }
}
