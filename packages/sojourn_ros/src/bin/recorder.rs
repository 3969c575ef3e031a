//! The node `recorder`: writes topics to an MCAP file.

use r2r::QosProfile;
use serde::Deserialize;
use sojourn_core::Stamp;
use sojourn_core::health::{Health, NodeState};
use sojourn_core::topics::{QosClass, TOPICS};
use sojourn_ros::msgdef::{Definitions, leading_stamp};
use sojourn_ros::ros::publisher::subscription_qos;
use sojourn_ros::ros::recording::Recording;
use sojourn_ros::{Event, NodeKit, RawInput, run_node};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// What is on disk is at most this old.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// `config/recorder.param.yaml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    /// The file to write; it is named `<path>.tmp` until it is complete.
    path: String,
    /// Names from the table of topics, or `name package/msg/Type` for others.
    topics: Vec<String>,
    /// `name n`: of this topic only every n-th message is kept.
    every: Vec<String>,
    /// Whether chunks are compressed (zstd).
    compress: bool,
}

/// A message to write.
struct Taken {
    channel: usize,
    published: Option<Stamp>,
    cdr: Vec<u8>,
}

struct Channel {
    name: String,
    kind: String,
    qos: Option<QosClass>,
    every: u64,
}

fn main() -> ExitCode {
    run_node("recorder", recorder)
}

fn channels(params: &Params) -> anyhow::Result<Vec<Channel>> {
    let mut all: Vec<Channel> = Vec::new();
    for entry in params.topics.iter().filter(|t| !t.trim().is_empty()) {
        let mut words = entry.split_whitespace();
        let name = words.next().unwrap_or_default().to_string();
        let known = TOPICS.iter().find(|t| t.name == name);
        let kind = match (words.next(), known) {
            (Some(kind), _) => kind.to_string(),
            (None, Some(topic)) => topic.message.to_string(),
            (None, None) => anyhow::bail!(
                "parameter `topics`: {name:?} is not in the table of topics; write \"{name} package/msg/Type\""
            ),
        };
        anyhow::ensure!(
            all.iter().all(|c| c.name != name),
            "parameter `topics`: {name:?} stands there twice"
        );
        all.push(Channel {
            name,
            kind,
            qos: known.map(|t| t.qos),
            every: 1,
        });
    }
    for entry in params.every.iter().filter(|t| !t.trim().is_empty()) {
        let (name, n) = entry.split_once(' ').unwrap_or((entry, ""));
        let n: u64 = n.trim().parse().ok().filter(|n| *n > 0).ok_or_else(|| {
            anyhow::anyhow!(
                "parameter `every`: {entry:?} is not of the form \"topic n\" with n of 1 or more"
            )
        })?;
        let channel = all.iter_mut().find(|c| c.name == name);
        channel
            .ok_or_else(|| anyhow::anyhow!("parameter `every`: {name:?} is not recorded"))?
            .every = n;
    }
    Ok(all)
}

async fn recorder(mut kit: NodeKit<Taken>) -> anyhow::Result<()> {
    let params: Params = kit.params()?;
    let channels = channels(&params)?;
    let definitions = Definitions::find();
    let mut recording = Recording::create(Path::new(&params.path), params.compress)?;
    let mut numbers = Vec::new();
    for (index, channel) in channels.iter().enumerate() {
        let definition = definitions.of(&channel.kind)?;
        numbers.push(recording.add(
            &kit.resolved(&channel.name),
            &channel.kind,
            &definition,
            channel.qos,
        )?);
        let qos = channel
            .qos
            .map_or_else(QosProfile::default, subscription_qos);
        let (stamped, every, mut count) = (definition.stamped, channel.every, 0u64);
        kit.subscribe_raw(&channel.name, &channel.kind, qos, move |cdr| {
            let published = if stamped {
                leading_stamp(&cdr).map(Stamp)
            } else {
                None
            };
            count += 1;
            let keep = (count - 1) % every == 0;
            RawInput {
                stamp: published.unwrap_or_default(),
                input: keep.then_some(Taken {
                    channel: index,
                    published,
                    cdr,
                }),
            }
        })?;
    }
    let mut node = kit.run()?;
    let mut flushed = Instant::now();
    let write = |recording: &mut Recording, now: Stamp, taken: &Taken| -> anyhow::Result<()> {
        let Some(number) = numbers.get(taken.channel) else {
            return Ok(());
        };
        Ok(recording.write(*number, now, taken.published.unwrap_or(now), &taken.cdr)?)
    };
    loop {
        match node.next().await? {
            Event::Tick(tick) => {
                for taken in &tick.inputs {
                    write(&mut recording, tick.now, taken)?;
                }
                if flushed.elapsed() >= FLUSH_EVERY {
                    recording.flush()?;
                    flushed = Instant::now();
                }
                node.diagnostic("messages", recording.messages());
                node.done(Health::ok(NodeState::Active))?;
            }
            Event::ParametersChanged => {}
            Event::Stop => break,
        }
    }
    // What came since the last tick belongs to the recording as well.
    let now = node.now();
    for taken in node.rest() {
        write(&mut recording, now, &taken)?;
    }
    recording.finish()?;
    tracing::info!("{} messages in {}", recording.messages(), params.path);
    Ok(())
}
