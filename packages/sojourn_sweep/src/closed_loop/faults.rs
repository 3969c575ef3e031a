//! What is to go wrong in a run: the simulator's own faults, and what only the loop can do to what nodes tell each other.

use super::Sensing;
use crate::SweepError;
use serde::{Deserialize, Serialize};
use sojourn_core::{
    CoreError,
    error::in_range,
    frames::{BaseLink, Odom, Transform},
    rover::Rover,
};
use sojourn_twin::sim::{
    SimOutput,
    cadence::ImageDue,
    faults::{Fault, FaultSchedule, Faults},
};

/// The odometry that localization publishes jumps once, and stays where it jumped to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoseJump {
    /// After so much true way, metres.
    pub distance_m: f64,
    /// By so much along x and y of `odom`, metres.
    pub by_m: [f64; 2],
}

/// What is to go wrong.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultPlan {
    /// What the simulator does.
    pub schedule: FaultSchedule,
    /// A jump of the pose, if any.
    pub pose_jump: Option<PoseJump>,
}

impl FaultPlan {
    /// Checks names and ranges; `what` names the file.
    ///
    /// # Errors
    /// [`CoreError`] that names the key.
    pub fn check(&self, what: &str) -> Result<(), CoreError> {
        self.schedule.check(what)?;
        if let Some(jump) = &self.pose_jump {
            in_range(what, "pose_jump.distance_m", jump.distance_m, 0.0, 1e6)?;
            for v in jump.by_m {
                in_range(what, "pose_jump.by_m", v, -1e4, 1e4)?;
            }
        }
        Ok(())
    }
}

/// The faults that the loop itself carries out.
pub(super) struct LoopFaults {
    plan: FaultPlan,
    camera: Faults,
    run_s: f64,
    distance_m: f64,
}

impl LoopFaults {
    pub(super) fn new(
        plan: &FaultPlan,
        rover: &Rover,
        seed: u64,
        sensing: Sensing,
    ) -> Result<Self, SweepError> {
        plan.check("faults")?;
        let haze = |f: &Fault| matches!(f, Fault::DustHaze { .. });
        if sensing == Sensing::TruthGrid && plan.schedule.faults.iter().any(|s| haze(&s.fault)) {
            return Err(CoreError::value(
                "faults",
                "sensing",
                sensing.name(),
                "rendered: dust_haze is seen in images only",
            )
            .into());
        }
        Ok(Self {
            camera: Faults::new(&plan.schedule, rover, seed)?,
            plan: plan.clone(),
            run_s: 0.0,
            distance_m: 0.0,
        })
    }

    /// A control period has passed.
    pub(super) fn advance(&mut self, dt_s: f64, out: &SimOutput) {
        self.run_s += dt_s;
        self.distance_m = out.truth.distance_m;
        self.camera
            .advance(self.run_s, self.distance_m, &out.wheels.steer_rad);
    }

    /// Whether an image that is due shows anything: the simulator does the same with rendered ones.
    pub(super) fn shows(&self, due: &ImageDue) -> bool {
        let blind = self
            .camera
            .active()
            .any(|f| matches!(f, Fault::CameraBlinded {}));
        !blind && !self.camera.drops(due.number)
    }

    /// The pose as it is published.
    pub(super) fn published(&self, pose: Transform<Odom, BaseLink>) -> Transform<Odom, BaseLink> {
        let mut pose = pose;
        if let Some(jump) = self
            .plan
            .pose_jump
            .filter(|j| self.distance_m >= j.distance_m)
        {
            pose.iso.translation.vector.x += jump.by_m[0];
            pose.iso.translation.vector.y += jump.by_m[1];
        }
        pose
    }
}
