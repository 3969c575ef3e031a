//! A whole node, to copy: a pure core, a strict struct of parameters, a thin shell.
//!
//! Run it: `cargo run -p sojourn_ros --features ros --example template_node -- --ros-args --params-file
//! packages/sojourn_ros/examples/template_node.param.yaml`

use r2r::geometry_msgs::msg::TwistStamped;
use r2r::std_srvs::srv::Trigger;
use serde::Deserialize;
use sojourn_core::Stamp;
use sojourn_core::health::{Health, NodeState};
use sojourn_core::topics;
use sojourn_ros::{Event, NodeKit, Refused, answer, header, run_node, stamp_from_msg};
use std::process::ExitCode;

// ---- In a real node everything down to the shell stands in the library crate, without ROS.

/// What the core takes in.
#[derive(Debug)]
enum Input {
    Command { at: Stamp, speed_mps: f64 },
    Reset,
}

/// `config/<node>.param.yaml`, every key given.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    max_speed_mps: f64,
    command_timeout_s: f64,
}

impl Params {
    fn check(&self) -> Result<(), String> {
        let in_range = |name: &str, v: f64, max: f64| {
            if v > 0.0 && v <= max {
                Ok(())
            } else {
                Err(format!(
                    "{name} is {v}, expected more than 0 and at most {max}"
                ))
            }
        };
        in_range("max_speed_mps", self.max_speed_mps, 5.0)?;
        in_range("command_timeout_s", self.command_timeout_s, 10.0)
    }
}

/// Passes a speed on while it is fresh, and never a higher one than allowed.
struct Limiter {
    params: Params,
    command: Option<(Stamp, f64)>,
}

impl Limiter {
    fn input(&mut self, input: Input) {
        match input {
            Input::Command { at, speed_mps } => self.command = Some((at, speed_mps)),
            Input::Reset => self.command = None,
        }
    }

    fn step(&self, now: Stamp) -> (f64, Health) {
        match self
            .command
            .filter(|(at, _)| now.since(*at) <= self.params.command_timeout_s)
        {
            Some((_, speed_mps)) => (
                speed_mps.min(self.params.max_speed_mps),
                Health::ok(NodeState::Active),
            ),
            None => (0.0, Health::ok(NodeState::Idle)),
        }
    }
}

// ---- The shell: src/bin/<node>.rs, feature `ros`.

fn main() -> ExitCode {
    run_node("limiter", limiter)
}

async fn limiter(mut kit: NodeKit<Input>) -> anyhow::Result<()> {
    // 1. Parameters. `params` where nothing may change at run time.
    let params: Params = kit.params_settable(&["max_speed_mps"], Params::check)?;
    params
        .check()
        .map_err(|e| anyhow::anyhow!("node {}: {e}", kit.name()))?;
    let mut core = Limiter {
        params,
        command: None,
    };

    // 2. Topics from the table. The closure refuses what the core must never see.
    kit.subscribe(&topics::CMD_VEL_NAV, |m: TwistStamped| {
        let speed_mps = m.twist.linear.x;
        if !speed_mps.is_finite() {
            return Err(Refused::from("speed is not a number"));
        }
        Ok(Some(Input::Command {
            at: stamp_from_msg(&m.header.stamp),
            speed_mps,
        }))
    })?;
    let cmd_vel = kit.publisher::<TwistStamped>(&topics::CMD_VEL)?;

    // 3. Services, clients and actions straight from r2r, before `run`.
    let mut resets = kit
        .node()
        .create_service::<Trigger::Service>("reset", r2r::QosProfile::services_default())?;

    // 4. What must be said last, however the node ends.
    let last = cmd_vel.clone();
    kit.on_stop(move || {
        let stop = TwistStamped {
            header: header(Stamp::default(), "base_link"),
            ..Default::default()
        };
        if let Err(e) = last.publish(&stop) {
            tracing::error!("{e}");
        }
    });

    // 5. The loop.
    let mut node = kit.run()?;
    loop {
        let event = tokio::select! {
            event = node.next() => event?,
            Some(request) = futures::StreamExt::next(&mut resets) => {
                core.input(Input::Reset);
                answer(request, Trigger::Response { success: true, message: String::new() });
                continue;
            }
        };
        match event {
            Event::Tick(tick) => {
                for input in tick.inputs {
                    core.input(input);
                }
                let (speed_mps, health) = core.step(tick.now);
                let mut out = TwistStamped {
                    header: header(tick.now, "base_link"),
                    ..Default::default()
                };
                out.twist.linear.x = speed_mps;
                cmd_vel.publish(&out)?;
                node.diagnostic("speed_mps", speed_mps);
                node.done(health)?;
            }
            Event::ParametersChanged => {
                core.params = node.params()?;
                tracing::info!("max_speed_mps is now {}", core.params.max_speed_mps);
            }
            Event::Stop => return Ok(()),
        }
    }
}
