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

/// A file of a recording.
struct BagFile {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl BagFile {
    fn read(path: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            path: path.to_path_buf(),
            bytes: sojourn_core::files::read_bytes(path, MOST_BYTES)?,
        })
    }

    fn broken(&self, why: impl std::fmt::Display) -> anyhow::Error {
        anyhow::anyhow!("{}: {why}", self.path.display())
    }

    fn not_whole(&self, why: &mcap::McapError) -> anyhow::Error {
        self.broken(format!("not a whole MCAP recording: {why}"))
    }

    fn stream(&self) -> anyhow::Result<mcap::MessageStream<'_>> {
        mcap::MessageStream::new(&self.bytes).map_err(|e| self.not_whole(&e))
    }

    /// When its first message was heard; a file without one comes last.
    fn begins(&self) -> anyhow::Result<u64> {
        let first = self.stream()?.next().transpose();
        let first = first.map_err(|e| self.not_whole(&e))?;
        Ok(first.map_or(u64::MAX, |m| m.log_time))
    }
}

/// The files of a recording: itself, or those of its folder in the order of their first messages.
fn files(path: &Path) -> anyhow::Result<Vec<BagFile>> {
    if !path.is_dir() {
        return Ok(vec![BagFile::read(path)?]);
    }
    let (mut found, mut sqlite) = (Vec::new(), false);
    let entries =
        std::fs::read_dir(path).map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))?;
    for entry in entries {
        let file = entry?.path();
        let is = |ending: &str| file.extension().is_some_and(|e| e == ending);
        sqlite |= is("db3");
        if is("mcap") {
            let file = BagFile::read(&file)?;
            found.push((file.begins()?, file));
        }
    }
    anyhow::ensure!(
        !found.is_empty(),
        "{}: holds no .mcap file{}",
        path.display(),
        if sqlite {
            "; SQLite's .db3 is not read, ros2 bag convert makes MCAP of it"
        } else {
            ""
        }
    );
    // By name where two begin at once, so that the order never hangs on the folder's.
    found.sort_by(|a, b| (a.0, &a.1.path).cmp(&(b.0, &b.1.path)));
    Ok(found.into_iter().map(|(_, file)| file).collect())
}

/// A recording.
pub struct Bag {
    path: PathBuf,
    /// In the order of their first messages.
    files: Vec<BagFile>,
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
    /// Opens a recording: a file, or the folder that `ros2 bag record` makes, with one file or several. `other_names` says under which topics a recording has ours: ours first.
    ///
    /// # Errors
    /// One sentence that names the file, and the topic where one is at fault.
    pub fn open(
        path: &Path,
        rover: &Rover,
        other_names: &[(String, String)],
    ) -> anyhow::Result<Self> {
        let mut out = Self {
            path: path.to_path_buf(),
            files: files(path)?,
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

    /// Every message that localization hears, in the order of the files.
    fn messages(&self, each: &mut Hears<'_>) -> anyhow::Result<()> {
        self.files.iter().try_for_each(|f| self.of_file(f, each))
    }

    fn of_file(&self, file: &BagFile, each: &mut Hears<'_>) -> anyhow::Result<()> {
        for message in file.stream()? {
            let message = message.map_err(|e| file.not_whole(&e))?;
            let topic = &message.channel.topic;
            let Some(kind) = self.names.get(topic.trim_start_matches('/')) else {
                continue;
            };
            if message.channel.message_encoding != "cdr" {
                return Err(file.broken(format!(
                    "topic {topic} is encoded as {:?}, expected cdr",
                    message.channel.message_encoding
                )));
            }
            let heard = Stamp(i64::try_from(message.log_time).unwrap_or(i64::MAX));
            each(heard, *kind, &message.data)
                .map_err(|e| file.broken(format!("a message on {topic} {e}")))?;
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
