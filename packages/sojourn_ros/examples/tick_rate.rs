//! How many lockstep ticks a second this machine manages: one simulator double and some trivial nodes in a chain.
//!
//! `cargo run -p sojourn_ros --features ros --example tick_rate` starts them all and prints the rate; arguments:
//! number of nodes (default 6), ticks (default 1000), name of a node that is not started (none).

use r2r::std_msgs::msg::Float64;
use sojourn_core::Stamp;
use sojourn_core::health::{Health, NodeState};
use sojourn_core::topics::{QosClass, Topic};
use sojourn_ros::lockstep::ClockConfig;
use sojourn_ros::{Event, NodeKit, run_node};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

const NAMES: [&str; 8] = [
    "chain_0", "chain_1", "chain_2", "chain_3", "chain_4", "chain_5", "chain_6", "chain_7",
];

const fn topic(name: &'static str) -> Topic {
    Topic {
        name,
        message: "std_msgs/msg/Float64",
        qos: QosClass::Sensor,
        frame: "",
        publishers: &[],
        subscribers: &[],
        about: "",
    }
}

fn main() -> ExitCode {
    let argument = |i: usize, default: u64| {
        std::env::args()
            .nth(i)
            .and_then(|a| a.parse().ok())
            .unwrap_or(default)
    };
    match std::env::var("TICK_RATE_ROLE").ok().as_deref() {
        Some("simulator") => run_node("simulator", simulator),
        Some(role) => match NAMES.iter().find(|n| **n == role) {
            Some(name) => run_node(name, chain),
            None => ExitCode::FAILURE,
        },
        None => start_all(
            argument(1, 6).clamp(1, 8),
            argument(2, 1000),
            std::env::args().nth(3),
        ),
    }
}

fn start_all(nodes: u64, ticks: u64, absent: Option<String>) -> ExitCode {
    let Ok(exe) = std::env::current_exe() else {
        return ExitCode::FAILURE;
    };
    let spawn = |role: &str, mode: &str| {
        Command::new(&exe)
            .env("TICK_RATE_ROLE", role)
            .env("TICK_RATE_NODES", nodes.to_string())
            .env("TICK_RATE_TICKS", ticks.to_string())
            // One that is known to stay away need not be waited for long.
            .env(
                "TICK_RATE_PATIENCE_S",
                if absent.is_some() { "6" } else { "30" },
            )
            .env("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
            .args([
                "--ros-args",
                "-p",
                &format!("tick.mode:={mode}"),
                "-p",
                "tick.period_s:=0.1",
            ])
            .spawn()
    };
    let present = NAMES
        .iter()
        .take(nodes as usize)
        .filter(|n| Some(**n) != absent.as_deref());
    let mut children: Vec<_> = present.filter_map(|n| spawn(n, "sim").ok()).collect();
    let code = spawn("simulator", "server")
        .and_then(|mut s| s.wait())
        .is_ok_and(|s| s.success());
    for child in &mut children {
        let _gone = Command::new("kill").arg(child.id().to_string()).status();
        match child.wait() {
            Ok(status) if status.success() => {}
            other => eprintln!("a node ended with {other:?}"),
        }
    }
    if code {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn from_environment(name: &str) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(1)
}

async fn simulator(mut kit: NodeKit<f64>) -> anyhow::Result<()> {
    let nodes = from_environment("TICK_RATE_NODES") as usize;
    let ticks = from_environment("TICK_RATE_TICKS");
    kit.subscribe(
        &topic(NAMES.get(nodes - 1).copied().unwrap_or("chain_0")),
        |m: Float64| Ok(Some(m.data)),
    )?;
    let out = kit.publisher::<Float64>(&topic("start"))?;
    let period = kit.period();
    let mut simulator = kit.run_simulator(ClockConfig {
        participants: NAMES.iter().take(nodes).map(|n| (*n).to_string()).collect(),
        lockstep: true,
        period,
        start: Stamp::from_secs(1.0),
        factor: None,
        hold_until_active: None,
        hold_at_tick: 1,
        heartbeat_limit: Duration::from_secs(10),
        roll_call_limit: Duration::from_secs(from_environment("TICK_RATE_PATIENCE_S")),
    })?;
    let mut began = Instant::now();
    let mut sum = 0.0;
    loop {
        match simulator.next().await? {
            Event::Tick(tick) => {
                if tick.number == 1 {
                    began = Instant::now();
                }
                // What comes out of the chain is what went in `nodes` + 1 ticks before: proof of the order.
                let expected = tick.number.saturating_sub(nodes as u64 + 1) as f64;
                let got = tick.inputs.first().copied().unwrap_or(-1.0);
                anyhow::ensure!(
                    tick.inputs.len() <= 1 && (got - expected).abs() < 1e-9
                        || tick.number <= nodes as u64 + 1,
                    "tick {}: expected {expected}, got {:?}",
                    tick.number,
                    tick.inputs
                );
                sum += got;
                out.publish(&Float64 {
                    data: tick.number as f64,
                })?;
                simulator.done(Health::ok(NodeState::Active))?;
                if tick.number >= ticks {
                    let rate = ticks as f64 / began.elapsed().as_secs_f64();
                    println!("{ticks} ticks, {nodes} nodes, {rate:.0} ticks/s, check sum {sum}");
                    return Ok(());
                }
            }
            Event::ParametersChanged => {}
            Event::Stop => return Ok(()),
        }
    }
}

async fn chain(mut kit: NodeKit<f64>) -> anyhow::Result<()> {
    let index = NAMES.iter().position(|n| *n == kit.name()).unwrap_or(0);
    let from = if index == 0 {
        "start"
    } else {
        NAMES.get(index - 1).copied().unwrap_or("start")
    };
    kit.subscribe(&topic(from), |m: Float64| Ok(Some(m.data)))?;
    let out = kit.publisher::<Float64>(&topic(NAMES.get(index).copied().unwrap_or("chain_0")))?;
    let mut node = kit.run()?;
    loop {
        match node.next().await? {
            Event::Tick(tick) => {
                for value in tick.inputs {
                    out.publish(&Float64 { data: value })?;
                }
                node.done(Health::ok(NodeState::Active))?;
            }
            Event::ParametersChanged => {}
            Event::Stop => return Ok(()),
        }
    }
}
