//! Recordings in MCAP: our own (`recording.mcap` of a run) and those of `ros2 bag`.

use super::messages;
use super::recorded::{Contents, Recorded, Sink, Truth};
use nalgebra::Isometry3;
use sojourn_core::{Stamp, rover::Rover, topics};
use sojourn_localization::{Input, pairs::Part, trajectory::Trajectory};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Largest recording that is read, bytes.
const MOST_BYTES: u64 = 16 << 30;
/// The truth is taken at most this often, seconds.
const TRUTH_EVERY_S: f64 = 0.09;

/// Takes a message: when it was heard, what it is, its bytes.
type Hears<'a> = dyn FnMut(Stamp, Kind, &[u8]) -> anyhow::Result<()> + 'a;

/// What a topic is to localization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Imu,
    Wheels,
    Left,
    Right,
    RightInfo,
    Pose,
    Truth,
}

/// Every kind with its topic and whether the filter needs it.
const KINDS: [(Kind, topics::Topic); 7] = [
    (Kind::Imu, topics::IMU),
    (Kind::Wheels, topics::WHEELS),
    (Kind::Left, topics::LEFT_IMAGE),
    (Kind::Right, topics::RIGHT_IMAGE),
    (Kind::RightInfo, topics::RIGHT_INFO),
    (Kind::Pose, topics::NAVCAM_POSE),
    (Kind::Truth, topics::TRUTH),
];

/// A recording.
pub struct Bag {
    path: PathBuf,
    bytes: Vec<u8>,
    names: BTreeMap<String, Kind>,
    mast_ahead: Isometry3<f64>,
    rover: Rover,
    contents: Contents,
    notes: Vec<String>,
    truth: Option<Truth>,
    span: (Stamp, Stamp),
    has_pose: bool,
}

impl Bag {
    /// Opens a recording. `other_names` says under which topics a recording has ours: ours first.
    ///
    /// # Errors
    /// One sentence that names the file, and the topic where one is at fault.
    pub fn open(
        path: &Path,
        rover: &Rover,
        other_names: &[(String, String)],
    ) -> anyhow::Result<Self> {
        let bytes = sojourn_core::files::read_bytes(path, MOST_BYTES)?;
        let mut out = Self {
            path: path.to_path_buf(),
            bytes,
            names: names(other_names)?,
            mast_ahead: rover.base_link_from_navcam().iso,
            rover: rover.clone(),
            contents: Contents::new(),
            notes: Vec::new(),
            truth: None,
            span: (Stamp(0), Stamp(0)),
            has_pose: false,
        };
        out.survey()?;
        Ok(out)
    }

    fn broken(&self, why: impl std::fmt::Display) -> anyhow::Error {
        anyhow::anyhow!("{}: {why}", self.path.display())
    }

    /// Every message that localization hears, in the order of the file.
    fn messages(&self, each: &mut Hears<'_>) -> anyhow::Result<()> {
        let stream = mcap::MessageStream::new(&self.bytes)
            .map_err(|e| self.broken(format!("not a whole MCAP recording: {e}")))?;
        for message in stream {
            let message =
                message.map_err(|e| self.broken(format!("not a whole MCAP recording: {e}")))?;
            let topic = &message.channel.topic;
            let Some(kind) = self.names.get(topic.trim_start_matches('/')) else {
                continue;
            };
            if message.channel.message_encoding != "cdr" {
                return Err(self.broken(format!(
                    "topic {topic} is encoded as {:?}, expected cdr",
                    message.channel.message_encoding
                )));
            }
            let heard = Stamp(i64::try_from(message.log_time).unwrap_or(i64::MAX));
            each(heard, *kind, &message.data)
                .map_err(|e| self.broken(format!("a message on {topic} {e}")))?;
        }
        Ok(())
    }

    /// Goes through it once: what is there, and the truth.
    fn survey(&mut self) -> anyhow::Result<()> {
        let mut counts: BTreeMap<Kind, u64> = BTreeMap::new();
        let mut truth = Trajectory::default();
        let mut span: Option<(Stamp, Stamp)> = None;
        let mut last_s = f64::NEG_INFINITY;
        self.messages(&mut |heard, kind, data| {
            *counts.entry(kind).or_default() += 1;
            let (first, last) = span.unwrap_or((heard, heard));
            span = Some((first.min(heard), last.max(heard)));
            if kind == Kind::Truth {
                let (at, pose) = messages::odometry(data).map_err(anyhow::Error::msg)?;
                if at.as_secs() - last_s >= TRUTH_EVERY_S {
                    truth.push(at.as_secs(), &pose);
                    last_s = at.as_secs();
                }
            }
            Ok(())
        })?;
        let of = |kind| counts.get(&kind).copied().unwrap_or(0);
        let vision = [Kind::Left, Kind::Right, Kind::RightInfo];
        let pairs = if vision.iter().all(|k| of(*k) > 0) {
            of(Kind::Left).min(of(Kind::Right))
        } else {
            0
        };
        self.has_pose = of(Kind::Pose) > 0;
        self.contents = Contents::from([
            ("imu", of(Kind::Imu)),
            ("wheels", of(Kind::Wheels)),
            ("pairs", pairs),
        ]);
        self.notes = self.lacking(&of);
        self.span = span.unwrap_or((Stamp(0), Stamp(0)));
        if !truth.places().is_empty() {
            self.truth = Some(Truth {
                trajectory: truth,
                base_link_from_point: Isometry3::identity(),
                most_gap_s: 2.0,
            });
        }
        Ok(())
    }

    fn lacking(&self, of: &dyn Fn(Kind) -> u64) -> Vec<String> {
        let file = self.path.display();
        let mut notes = Vec::new();
        let name = |kind: Kind| {
            let topic = KINDS.iter().find(|k| k.0 == kind).map_or("", |k| k.1.name);
            let other = self.names.iter().find(|(_, k)| **k == kind);
            other.map_or(topic.to_string(), |(n, _)| n.clone())
        };
        let missing: Vec<String> = [Kind::Left, Kind::Right, Kind::RightInfo]
            .into_iter()
            .filter(|k| of(*k) == 0)
            .map(name)
            .collect();
        if !missing.is_empty() {
            notes.push(format!(
                "{file}: no stereo pairs: {} not recorded (add to the recorder's topics, all of their messages, with \
                 navcam/pose)",
                missing.join(", ")
            ));
        } else if !self.has_pose_of(of) {
            notes.push(format!(
                "{file}: {} not recorded: the mast is taken to look straight ahead as the rover's file has it",
                name(Kind::Pose)
            ));
        }
        for kind in [Kind::Imu, Kind::Wheels] {
            if of(kind) == 0 {
                notes.push(format!("{file}: {} not recorded", name(kind)));
            }
        }
        notes
    }

    fn has_pose_of(&self, of: &dyn Fn(Kind) -> u64) -> bool {
        of(Kind::Pose) > 0
    }
}

/// Topic names without leading slash and what they are.
fn names(other_names: &[(String, String)]) -> anyhow::Result<BTreeMap<String, Kind>> {
    let mut out = BTreeMap::new();
    for (ours, theirs) in other_names {
        let known = KINDS
            .iter()
            .any(|(_, t)| t.name == ours.trim_start_matches('/'));
        anyhow::ensure!(
            known,
            "--topic {ours}={theirs}: no such topic, expected one of {}",
            KINDS.map(|k| k.1.name).join(", ")
        );
    }
    for (kind, topic) in KINDS {
        let other = other_names
            .iter()
            .find(|(ours, _)| ours.trim_start_matches('/') == topic.name);
        let name = other.map_or(topic.name, |(_, theirs)| theirs.trim_start_matches('/'));
        out.insert(name.to_string(), kind);
    }
    Ok(out)
}

impl Recorded for Bag {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }

    fn truth(&self) -> Option<&Truth> {
        self.truth.as_ref()
    }

    fn span(&self) -> (Stamp, Stamp) {
        self.span
    }

    fn play(&self, sink: &mut Sink<'_>) -> anyhow::Result<()> {
        let pairs = self.contents.get("pairs").is_some_and(|n| *n > 0);
        self.messages(&mut |heard, kind, data| {
            let say = anyhow::Error::msg;
            // What localization hears is told the time it was heard, but never a time before its own stamp.
            let mut give = |stamp: Stamp, input| sink(heard.max(stamp), input);
            match kind {
                Kind::Imu => {
                    let (at, sample) = messages::imu(data).map_err(say)?;
                    give(at, Input::Imu(at, sample))
                }
                Kind::Wheels => {
                    let (at, sample) = messages::wheels(data, &self.rover).map_err(say)?;
                    give(at, Input::Wheels(at, sample))
                }
                Kind::Left | Kind::Right | Kind::RightInfo | Kind::Pose if !pairs => Ok(()),
                Kind::Left => {
                    let (at, image) = messages::image(data).map_err(say)?;
                    if !self.has_pose {
                        give(at, Input::Part(Part::Pose(at, self.mast_ahead)))?;
                    }
                    give(at, Input::Part(Part::Left(at, image)))
                }
                Kind::Right => {
                    let (at, image) = messages::image(data).map_err(say)?;
                    give(at, Input::Part(Part::Right(at, image)))
                }
                Kind::RightInfo => {
                    let camera = messages::right_camera(data).map_err(say)?;
                    sink(heard, Input::Part(Part::Camera(camera)))
                }
                Kind::Pose => {
                    let (at, pose) = messages::pose(data).map_err(say)?;
                    give(at, Input::Part(Part::Pose(at, pose)))
                }
                Kind::Truth => Ok(()),
            }
        })
    }
}
