//! The node `guard`: commands, IMU and heartbeats in, `cmd_vel` out every tick.

use r2r::{geometry_msgs::msg::TwistStamped, sensor_msgs::msg::Imu, sojourn_msgs::msg::Heartbeat};
use sojourn_autonav::guard::{Guard, GuardConfig, GuardParams, Input};
use sojourn_core::{
    Stamp,
    health::{HealthLevel, NodeState},
    kinematics::Velocity,
    rover::Rover,
    topics,
};
use sojourn_ros::{Event, NodeKit, Refused, msgs, run_node, stamp_from_msg};
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

async fn guard(mut kit: NodeKit<Input>) -> anyhow::Result<()> {
    let params: GuardParams = kit.params()?;
    let rover = Rover::load(Path::new(&params.rover_file))?;
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
    kit.subscribe(&topics::HEARTBEAT, |m: Heartbeat| beat(&m).map(Some))?;
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
    loop {
        match node.next().await? {
            Event::Tick(tick) => {
                newest.store(tick.now.0, Ordering::SeqCst);
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
                    node.diagnostic("tilt_latched", d.tilt_latched);
                    node.done(d.health)?;
                }
            }
            Event::ParametersChanged => {}
            Event::Stop => return Ok(()),
        }
    }
}
