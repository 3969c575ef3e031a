//! The node `guard`: commands, permission, IMU, suspension, heartbeats and emergency stop in, `cmd_vel` out every tick.

use futures::StreamExt;
use r2r::{
    geometry_msgs::msg::TwistStamped,
    nav_msgs::msg::Odometry,
    sensor_msgs::msg::{Imu, JointState},
    sojourn_msgs::msg::{DriveGoal, Heartbeat},
    std_msgs::msg::Bool,
    std_srvs::srv::Trigger,
};
use sojourn_autonav::guard::{Guard, GuardConfig, GuardParams, Input, Publishers, WheelReading};
use sojourn_core::{
    Stamp,
    health::{HealthLevel, NodeState},
    kinematics::Velocity,
    rover::Rover,
    suspension::SuspensionAngles,
    topics::{self, DRIVE_JOINTS, SUSPENSION_JOINTS},
};
use sojourn_ros::{Event, NodeKit, Refused, answer, msgs, run_node, stamp_from_msg};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

fn main() -> ExitCode {
    run_node("guard", guard)
}

fn beat(m: &Heartbeat) -> Result<Input, Refused> {
    let state = [
        NodeState::Starting,
        NodeState::Idle,
        NodeState::Active,
        NodeState::Fault,
    ]
    .into_iter()
    .find(|s| *s as u8 == m.state)
    .ok_or_else(|| {
        Refused(format!(
            "state of {} is {}, expected 0 to 3",
            m.node, m.state
        ))
    })?;
    let level = [HealthLevel::Ok, HealthLevel::Warn, HealthLevel::Error]
        .into_iter()
        .find(|l| *l as u8 == m.health)
        .ok_or_else(|| {
            Refused(format!(
                "health of {} is {}, expected 0 to 2",
                m.node, m.health
            ))
        })?;
    Ok(Input::Heartbeat {
        node: m.node.clone(),
        stamp: stamp_from_msg(&m.header.stamp),
        state,
        level,
    })
}

/// The rims' speeds, the suspension's angles when the message names one of them, and the greatest torque of a drive
/// when it tells.
fn wheels(m: &JointState, radius_m: f64) -> Result<Input, Refused> {
    let (stamp, _, turn_radps) = msgs::joints(m, &DRIVE_JOINTS)?;
    let named = |joint: &&str| m.name.iter().any(|n| n == joint);
    let suspension = SUSPENSION_JOINTS
        .iter()
        .any(named)
        .then(|| msgs::joints(m, &SUSPENSION_JOINTS))
        .transpose()?
        .map(|(_, [differential_rad, left, right], _)| SuspensionAngles {
            differential_rad,
            bogie_rad: [left, right],
        });
    let effort_nm = m
        .name
        .iter()
        .zip(&m.effort)
        .filter(|(name, _)| DRIVE_JOINTS.contains(&name.as_str()))
        // Not-a-number stays, so that the core stops for it.
        .map(|(_, effort)| effort.abs())
        .reduce(|a, b| if a.is_nan() || a >= b { a } else { b });
    Ok(Input::Wheels {
        stamp,
        reading: WheelReading {
            rims_mps: turn_radps.map(|v| v * radius_m),
            suspension,
            effort_nm,
        },
    })
}

async fn guard(mut kit: NodeKit<Input>) -> anyhow::Result<()> {
    let params: GuardParams = kit.params()?;
    let rover = Rover::load(Path::new(&params.rover_file))?;
    let radius_m = rover.wheel.radius_m;
    let mut core = Guard::new(GuardConfig::try_from(params)?, rover)?;

    kit.subscribe(&topics::CMD_VEL_NAV, |m: TwistStamped| {
        // Not-a-number has to reach the core, which stops for it; only the frame is the shell's business.
        let stamp = msgs::in_frame(&m.header, topics::CMD_VEL_NAV.frame)?;
        let others = [
            m.twist.linear.y,
            m.twist.linear.z,
            m.twist.angular.x,
            m.twist.angular.y,
        ];
        let sideways = others.iter().any(|v| *v != 0.0);
        let velocity = Velocity {
            speed_mps: if sideways { f64::NAN } else { m.twist.linear.x },
            turn_radps: m.twist.angular.z,
        };
        Ok(Some(Input::Command { stamp, velocity }))
    })?;
    kit.subscribe(&topics::IMU, |m: Imu| {
        let (stamp, rate, force) = msgs::imu(&m, topics::IMU.frame)?;
        Ok(Some(Input::Imu {
            stamp,
            rate_radps: rate.into(),
            force_mps2: force.into(),
        }))
    })?;
    kit.subscribe(&topics::WHEELS, move |m: JointState| {
        wheels(&m, radius_m).map(Some)
    })?;
    kit.subscribe(&topics::ODOMETRY, |m: Odometry| {
        let stamp = msgs::odometry_in_odom(&m)?.stamp;
        let speed_mps = m.twist.twist.linear.x;
        Ok(Some(Input::Ground { stamp, speed_mps }))
    })?;
    kit.subscribe(&topics::DRIVE_GOAL, |m: DriveGoal| {
        Ok(Some(Input::Permission {
            stamp: stamp_from_msg(&m.header.stamp),
            active: m.active && !m.bundle_id.is_empty(),
        }))
    })?;
    kit.subscribe(&topics::E_STOP, |m: Bool| Ok(Some(Input::EStop(m.data))))?;
    kit.subscribe(&topics::HEARTBEAT, |m: Heartbeat| beat(&m).map(Some))?;
    let owned = [
        topics::CMD_VEL.name,
        topics::CMD_VEL_NAV.name,
        topics::DRIVE_GOAL.name,
    ];
    owned.iter().for_each(|topic| kit.watch_publishers(topic));
    let mut resets = kit.node().create_service::<Trigger::Service>(
        topics::RESET_GUARD.name,
        r2r::QosProfile::services_default(),
    )?;
    let cmd_vel = kit.publisher::<TwistStamped>(&topics::CMD_VEL)?;

    let newest = Arc::new(AtomicI64::new(0));
    let (last, last_tick) = (cmd_vel.clone(), Arc::clone(&newest));
    kit.on_stop(move || {
        let stop = msgs::twist_to_msg(Stamp(last_tick.load(Ordering::SeqCst)), 0.0, 0.0);
        if let Err(e) = last.publish(&stop) {
            tracing::error!("the last stop could not be sent: {e}");
        }
    });

    let mut node = kit.run()?;
    let mut said = String::new();
    let mut worst_rate_radps = 0.0f64;
    loop {
        let event = tokio::select! {
            biased;
            event = node.next() => event?,
            Some(request) = resets.next() => {
                let outcome = core.reset();
                let message = match &outcome {
                    Ok(()) => "reset".to_string(),
                    Err(why) => format!("not reset: {why}"),
                };
                tracing::warn!("{message}");
                answer(request, Trigger::Response { success: outcome.is_ok(), message });
                continue;
            }
        };
        match event {
            Event::Tick(tick) => {
                newest.store(tick.now.0, Ordering::SeqCst);
                let count = |topic| node.publishers(topic).map_or(0, |p| p.len());
                let [output, command, permission] = owned.map(count);
                let publishers = Publishers {
                    output,
                    command,
                    permission,
                };
                core.step(tick.now, Input::Publishers(publishers));
                for input in tick.inputs {
                    core.step(tick.now, input);
                }
                if let Some(d) = core.step(tick.now, Input::Tick) {
                    let v = d.velocity;
                    cmd_vel.publish(&msgs::twist_to_msg(tick.now, v.speed_mps, v.turn_radps))?;
                    // Ages in the text change every tick; the part before the first digit does not.
                    let gist = d
                        .reason
                        .split(|c: char| c.is_ascii_digit())
                        .next()
                        .unwrap_or("");
                    if gist != said {
                        said = gist.to_string();
                        if d.passing {
                            tracing::info!("commands pass");
                        } else {
                            tracing::warn!("{}", d.reason);
                        }
                    }
                    node.diagnostic("passing", d.passing);
                    node.diagnostic("tilt_deg", format!("{:.1}", d.tilt_rad.to_degrees()));
                    worst_rate_radps = worst_rate_radps.max(d.tilt_rate_radps);
                    node.diagnostic("worst_tilt_rate_radps", format!("{worst_rate_radps:.3}"));
                    node.diagnostic("fault", &d.fault);
                    node.done(d.health)?;
                }
            }
            Event::ParametersChanged => {}
            Event::Stop => return Ok(()),
        }
    }
}
