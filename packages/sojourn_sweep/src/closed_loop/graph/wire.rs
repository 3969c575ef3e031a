//! From one core's words to another's, as messages do it between nodes.

use crate::{
    SweepError,
    closed_loop::{Scenario, Sensing},
};
use nalgebra::Matrix3;
use sojourn_autonav::{
    autonav::{self, DriveState as NavState},
    drift::Certainty,
    guard,
};
use sojourn_core::{
    frames::Pose2,
    kinematics::WheelMotion,
    plan::{Mode, Plan, WaypointLimits},
    rover::Rover,
    settle::Settled,
    suspension::SuspensionAngles,
};
use sojourn_localization::Estimate;
use sojourn_mission::executive::{AutonavState, GoalOut};
use sojourn_twin::sim::{SimConfig, SimOutput, Simulator};

pub(super) fn simulator(
    scenario: &Scenario,
    rover: &Rover,
    plan: &Plan,
    start: Pose2,
) -> Result<Simulator, SweepError> {
    let s = &scenario.settings.simulator;
    let config = SimConfig {
        seed: scenario.seed,
        start,
        goal_m: Some([plan.goal.x_m, plan.goal.y_m]),
        extra_slip: s.extra_slip,
        faults: scenario.faults.schedule.clone(),
        pan_images: s.pan_images,
        image_turn_rad: s.image_turn_deg.to_radians(),
        render_range_m: s.render_range_m,
        depth_noise: s.depth_noise,
        right_images: scenario.sensing == Sensing::Rendered,
        sensor: s.sensor,
        imu_drift: s.imu_drift,
        sun_sigma_rad: s.sun_sigma_rad,
        sun_by_hour: s.sun_by_hour,
        power: s.power()?,
        days: s.days()?,
        images: scenario.sensing == Sensing::Rendered,
    };
    Ok(Simulator::new(
        scenario.world.clone(),
        rover.clone(),
        &scenario.body,
        config,
    )?)
}

/// What the guard feels of wheels and suspension.
pub(super) fn felt(
    sample: &sojourn_localization::WheelSample,
    settled: &Settled,
) -> guard::WheelReading {
    guard::WheelReading {
        rims_mps: sample.motion.rim_mps,
        suspension: Some(SuspensionAngles {
            differential_rad: settled.differential_rad,
            bogie_rad: settled.bogie_rad,
        }),
        effort_nm: None,
    }
}

pub(super) fn wheels(out: &SimOutput, radius_m: f64) -> sojourn_localization::WheelSample {
    let w = &out.wheels;
    sojourn_localization::WheelSample {
        motion: WheelMotion {
            rim_mps: w.velocity_radps.map(|v| v * radius_m),
            steer_rad: w.steer_rad,
        },
        travel_m: w.position_rad.map(|a| a * radius_m),
        suspension: Some(SuspensionAngles {
            differential_rad: out.truth.settled.differential_rad,
            bogie_rad: out.truth.settled.bogie_rad,
        }),
    }
}

/// What localization's message tells of its certainty.
pub(super) fn certainty(e: &Estimate) -> Certainty {
    let of = [0, 1, 5];
    Certainty {
        planar: Matrix3::from_fn(|i, j| e.pose_covariance[of[i] * 6 + of[j]]),
        speed_mps: e.velocity_mps[0],
        speed_sigma_mps: e.velocity_sigma_mps,
    }
}

pub(super) fn nav_goal(goal: &GoalOut) -> autonav::Goal {
    let w = goal.waypoint.as_ref();
    let mut keep_in_map = vec![w.map(|w| w.corridor.clone()).unwrap_or_default()];
    if !goal.next_corridor.is_empty() {
        keep_in_map.push(goal.next_corridor.clone());
    }
    autonav::Goal {
        active: goal.active,
        bundle_id: goal.bundle_id.clone(),
        index: goal.waypoint_index as u32,
        xy_in_map: w.map_or([0.0; 2], |w| w.xy()),
        // An inactive goal counts by being inactive; its numbers only have to be numbers.
        tolerance_m: w.map_or(1.0, |w| w.tolerance_m),
        mode: w.map_or(Mode::AvoidAll, |w| w.mode),
        keep_in_map,
        keep_out_map: goal.keep_out.clone(),
        limits: w.map_or(
            WaypointLimits {
                tilt_deg: 1.0,
                slip: 1.0,
                speed_mps: 1.0,
            },
            |w| w.limits,
        ),
    }
}

pub(super) fn autonav_state(state: NavState) -> AutonavState {
    match state {
        NavState::Idle => AutonavState::Idle,
        NavState::Driving => AutonavState::Driving,
        NavState::Turning => AutonavState::Turning,
        NavState::Stopped => AutonavState::Stopped,
        NavState::Goal => AutonavState::Goal,
    }
}
