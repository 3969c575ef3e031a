//! The node `base`: `cmd_vel` in, `wheel_commands` out every tick.

use r2r::{geometry_msgs::msg::TwistStamped, sensor_msgs::msg::JointState};
use sojourn_base::{Base, BaseConfig, BaseParams, Input};
use sojourn_core::{
    Stamp,
    kinematics::{Velocity, WheelMotion},
    rover::Rover,
    topics::{self, DRIVE_JOINTS, STEER_JOINTS},
};
use sojourn_ros::{Event, NodeKit, msgs, run_node};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

fn main() -> ExitCode {
    run_node("base", base)
}

/// Drives carry a velocity (rad/s), steers a position (rad); what is not commanded is zero.
fn joints(stamp: Stamp, wheels: &WheelMotion, radius_m: f64) -> JointState {
    let drives = DRIVE_JOINTS
        .iter()
        .zip(wheels.rim_mps)
        .map(|(name, rim)| (*name, 0.0, rim / radius_m));
    let steers = STEER_JOINTS
        .iter()
        .zip(wheels.steer_rad)
        .map(|(name, angle)| (*name, angle, 0.0));
    let all: Vec<_> = drives.chain(steers).collect();
    msgs::joints_to_msg(stamp, &all)
}

async fn base(mut kit: NodeKit<Input>) -> anyhow::Result<()> {
    let params: BaseParams = kit.params()?;
    let rover = Rover::load(Path::new(&params.rover_file))?;
    let radius_m = rover.wheel.radius_m;
    let mut core = Base::new(BaseConfig::try_from(params)?, rover)?;

    kit.subscribe(&topics::CMD_VEL, |m: TwistStamped| {
        let (stamp, speed_mps, turn_radps) = msgs::twist(&m)?;
        Ok(Some(Input::Command {
            stamp,
            velocity: Velocity {
                speed_mps,
                turn_radps,
            },
        }))
    })?;
    kit.watch_publishers(topics::CMD_VEL.name);
    let out = kit.publisher::<JointState>(&topics::WHEEL_COMMANDS)?;

    let newest = Arc::new(AtomicI64::new(0));
    let (last, last_tick) = (out.clone(), Arc::clone(&newest));
    kit.on_stop(move || {
        let stamp = Stamp(last_tick.load(Ordering::SeqCst));
        if let Err(e) = last.publish(&joints(stamp, &WheelMotion::default(), radius_m)) {
            tracing::error!("the last stop could not be sent: {e}");
        }
    });

    let mut node = kit.run()?;
    loop {
        match node.next().await? {
            Event::Tick(tick) => {
                newest.store(tick.now.0, Ordering::SeqCst);
                let count = node.publishers(topics::CMD_VEL.name).map_or(0, |p| p.len());
                core.step(tick.now, Input::Publishers(count));
                for input in tick.inputs {
                    core.step(tick.now, input);
                }
                if let Some(d) = core.step(tick.now, Input::Tick) {
                    out.publish(&joints(tick.now, &d.wheels, radius_m))?;
                    node.done(d.health)?;
                }
            }
            Event::ParametersChanged => {}
            Event::Stop => return Ok(()),
        }
    }
}
