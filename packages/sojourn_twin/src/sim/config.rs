//! What a run of the simulator is given besides world and rover.

use super::{faults::FaultSchedule, imu::ImuDrift};
use crate::{TwinError, day::Environment, power::PowerFile, render::SensorParams};
use sojourn_core::{error::in_range, frames::Pose2};
use std::collections::BTreeMap;

/// What a run of the simulator is given besides world and rover.
#[derive(Clone, Debug, PartialEq)]
pub struct SimConfig {
    /// Seed of sensor noise.
    pub seed: u64,
    /// Where the rover stands, in `map`.
    pub start: Pose2,
    /// Where it should arrive, metres in `map`: for the score.
    pub goal_m: Option<[f64; 2]>,
    /// Share of the way lost on top of what the soil takes.
    pub extra_slip: f64,
    /// What is to go wrong.
    pub faults: FaultSchedule,
    /// Images of the pan at the start, evenly around.
    pub pan_images: usize,
    /// An image after turning this far, radians.
    pub image_turn_rad: f64,
    /// Farthest ground an image shows, metres.
    pub render_range_m: f64,
    /// Whether depth has the noise of stereo.
    pub depth_noise: bool,
    /// Whether the right image is made too.
    pub right_images: bool,
    /// The cameras' detectors and exposure.
    pub sensor: SensorParams,
    /// How the inertial unit's biases move.
    pub imu_drift: ImuDrift,
    /// Scatter of the sun sensor about each axis, radians.
    pub sun_sigma_rad: f64,
    /// Whether the sun of images and sun sensor stands where hour and season of the day put it; otherwise where the world has
    /// it, the whole run through.
    pub sun_by_hour: bool,
    /// Drives, battery and source; `None` for what comes with Sojourn by the rover's name, or is scaled from its mass.
    pub power: Option<PowerFile>,
    /// Day and weather by body, "default" for any other; `None` for what comes with Sojourn.
    pub days: Option<BTreeMap<String, Environment>>,
    /// Whether images are made at all: a run that only moves is thousands of times faster.
    pub images: bool,
}

impl SimConfig {
    /// The demo's run: 3 % more slip than the soil's, six images around at the start, one every 20° of turn.
    #[must_use]
    pub fn demo(seed: u64, start: Pose2, goal_m: Option<[f64; 2]>) -> Self {
        Self {
            seed,
            start,
            goal_m,
            extra_slip: 0.03,
            faults: FaultSchedule::default(),
            pan_images: 6,
            image_turn_rad: 20f64.to_radians(),
            render_range_m: 30.0,
            depth_noise: true,
            right_images: true,
            sensor: SensorParams::navcam(),
            imu_drift: ImuDrift::default(),
            sun_sigma_rad: 0.005,
            sun_by_hour: false,
            power: None,
            days: None,
            images: true,
        }
    }

    pub(super) fn check(&self) -> Result<(), TwinError> {
        let what = "simulator";
        in_range(what, "start.x_m", self.start.x_m, -1e7, 1e7)?;
        in_range(what, "start.y_m", self.start.y_m, -1e7, 1e7)?;
        in_range(what, "start.yaw_rad", self.start.yaw_rad, -1e3, 1e3)?;
        for v in self.goal_m.iter().flatten() {
            in_range(what, "goal", *v, -1e7, 1e7)?;
        }
        in_range(what, "extra_slip", self.extra_slip, 0.0, 0.9)?;
        in_range(what, "pan_images", self.pan_images as f64, 1.0, 72.0)?;
        in_range(what, "image_turn_rad", self.image_turn_rad, 0.01, 10.0)?;
        in_range(what, "render_range_m", self.render_range_m, 1.0, 1000.0)?;
        if let Some(power) = &self.power {
            power.check("power of simulator")?;
        }
        for (name, day) in self.days.iter().flatten() {
            day.check(what, name)?;
        }
        self.imu_drift.check(what)?;
        in_range(what, "sun_sigma_rad", self.sun_sigma_rad, 0.0, 0.5)?;
        self.sensor.check(what)
    }
}
