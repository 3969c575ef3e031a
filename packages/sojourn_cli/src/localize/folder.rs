//! The plain folder: `camera.yaml`, `timestamps.csv` with the images' names, `imu.csv`, `wheels.csv`, `truth.tum`.

use super::recorded::{
    CameraFile, Contents, PoseFile, Recorded, Rig, Sink, Truth, load_pair, merged,
};
use super::table::Table;
use anyhow::ensure;
use nalgebra::{Isometry3, Vector3};
use sojourn_core::{CoreError, Stamp, kinematics::WheelMotion, rover::Rover};
use sojourn_localization::{ImuSample, Input, WheelSample, trajectory::Trajectory};
use std::path::{Path, PathBuf};

/// Header of `timestamps.csv`; seven more columns may say where the left camera stood at each pair.
pub const PAIRS: [&str; 3] = ["stamp_s", "left", "right"];
/// The seven columns.
pub const PAIR_POSE: [&str; 7] = ["x_m", "y_m", "z_m", "qx", "qy", "qz", "qw"];
/// Header of `imu.csv`: angular rate and specific force in `base_link`.
pub const IMU: [&str; 7] = [
    "stamp_s", "wx_radps", "wy_radps", "wz_radps", "fx_mps2", "fy_mps2", "fz_mps2",
];
/// Groups of six columns after the stamp in `wheels.csv`, wheels in the order lf, lm, lr, rf, rm, rr.
pub const WHEELS: [&str; 3] = ["turned_rad", "turning_radps", "steer_rad"];
/// Names of the wheels.
pub const WHEEL: [&str; 6] = ["lf", "lm", "lr", "rf", "rm", "rr"];

/// Header of `wheels.csv`.
#[must_use]
pub fn wheels_header() -> Vec<String> {
    let columns = WHEELS
        .iter()
        .flat_map(|group| WHEEL.iter().map(move |wheel| format!("{wheel}_{group}")));
    std::iter::once("stamp_s".to_string())
        .chain(columns)
        .collect()
}

enum Event {
    Imu(ImuSample),
    Wheels(Box<WheelSample>),
    Pair(PathBuf, PathBuf, Option<Isometry3<f64>>),
}

/// A folder.
pub struct Folder {
    dir: PathBuf,
    rig: Option<Rig>,
    events: Vec<(Stamp, Event)>,
    contents: Contents,
    notes: Vec<String>,
    truth: Option<Truth>,
}

impl Folder {
    /// Reads everything but the images.
    ///
    /// # Errors
    /// One sentence that names file and line.
    pub fn open(dir: &Path, rover: &Rover) -> anyhow::Result<Self> {
        ensure!(dir.is_dir(), "{}: no such folder", dir.display());
        let mut notes = Vec::new();
        let mut has = |name: &str, lacking: &str| {
            let path = dir.join(name);
            let there = path.is_file();
            if !there {
                notes.push(format!("{}: not there: {lacking}", path.display()));
            }
            there.then_some(path)
        };
        let pairs = has("timestamps.csv", "no stereo pairs");
        let imu = has("imu.csv", "no inertial unit");
        let wheels = has("wheels.csv", "no wheels");
        let truth = dir.join("truth.tum");
        let rig = match &pairs {
            Some(_) => Some(CameraFile::load(&dir.join("camera.yaml"))?),
            None => None,
        };
        let streams = vec![
            imu.as_deref().map_or(Ok(vec![]), read_imu)?,
            wheels
                .as_deref()
                .map_or(Ok(vec![]), |p| read_wheels(p, rover))?,
            pairs
                .as_deref()
                .map_or(Ok(vec![]), |p| read_pairs(p, dir))?,
        ];
        let contents = Contents::from([
            ("imu", streams[0].len() as u64),
            ("wheels", streams[1].len() as u64),
            ("pairs", streams[2].len() as u64),
        ]);
        let truth = if truth.is_file() {
            Some(Truth {
                trajectory: tum(&truth)?,
                base_link_from_point: Isometry3::identity(),
                most_gap_s: 2.0,
            })
        } else {
            None
        };
        Ok(Self {
            dir: dir.to_path_buf(),
            rig,
            events: merged(streams),
            contents,
            notes,
            truth,
        })
    }
}

/// A TUM file.
///
/// # Errors
/// [`CoreError`] that names it.
pub fn tum(path: &Path) -> Result<Trajectory, CoreError> {
    let text = sojourn_core::files::read_text(path, super::table::MOST_BYTES)?;
    Trajectory::parse_tum(&path.display().to_string(), &text)
}

fn read_imu(path: &Path) -> Result<Vec<(Stamp, Event)>, CoreError> {
    let mut table = Table::read(path)?;
    table.header(&IMU)?;
    let line = |l| {
        let [t, wx, wy, wz, fx, fy, fz] = table.numbers(l, 0)?;
        let sample = ImuSample {
            gyro_radps: Vector3::new(wx, wy, wz),
            accel_mps2: Vector3::new(fx, fy, fz),
        };
        Ok((Stamp::from_secs(t), Event::Imu(sample)))
    };
    table.lines.iter().map(line).collect()
}

fn read_wheels(path: &Path, rover: &Rover) -> Result<Vec<(Stamp, Event)>, CoreError> {
    let mut table = Table::read(path)?;
    let header = wheels_header();
    table.header(&header.iter().map(String::as_str).collect::<Vec<_>>())?;
    let r = rover.wheel.radius_m;
    let line = |l| {
        let [t] = table.numbers(l, 0)?;
        let turned: [f64; 6] = table.numbers(l, 1)?;
        let turning: [f64; 6] = table.numbers(l, 7)?;
        let sample = WheelSample {
            motion: WheelMotion {
                rim_mps: turning.map(|w| w * r),
                steer_rad: table.numbers(l, 13)?,
            },
            travel_m: turned.map(|a| a * r),
            suspension: None,
        };
        Ok((Stamp::from_secs(t), Event::Wheels(Box::new(sample))))
    };
    table.lines.iter().map(line).collect()
}

fn read_pairs(path: &Path, dir: &Path) -> Result<Vec<(Stamp, Event)>, CoreError> {
    let mut table = Table::read(path)?;
    let all: Vec<&str> = PAIRS.into_iter().chain(PAIR_POSE).collect();
    let with_pose = table
        .lines
        .first()
        .is_some_and(|l| l.words.len() == all.len());
    table.header(if with_pose { &all } else { &PAIRS })?;
    let line = |l: &super::table::Line| {
        let [t] = table.numbers(l, 0)?;
        let name = |k: usize| -> Result<PathBuf, CoreError> {
            l.words
                .get(k)
                .filter(|w| !w.is_empty())
                .map(|w| dir.join(w))
                .ok_or_else(|| table.wrong(l, "names no images, expected stamp_s,left,right"))
        };
        let pose = if with_pose {
            let [x, y, z, qx, qy, qz, qw] = table.numbers(l, 3)?;
            let file = PoseFile {
                position_m: [x, y, z],
                quaternion_xyzw: [qx, qy, qz, qw],
            };
            Some(file.isometry(&format!("{} line {}", table.what, l.number))?)
        } else {
            None
        };
        let event = Event::Pair(name(1)?, name(2)?, pose);
        Ok((Stamp::from_secs(t), event))
    };
    table.lines.iter().map(line).collect()
}

impl Recorded for Folder {
    fn name(&self) -> String {
        self.dir.display().to_string()
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
        let at = |e: Option<&(Stamp, Event)>| e.map_or(Stamp(0), |e| e.0);
        (at(self.events.first()), at(self.events.last()))
    }

    fn play(&self, sink: &mut Sink<'_>) -> anyhow::Result<()> {
        for (stamp, event) in &self.events {
            let input = match event {
                Event::Imu(sample) => Input::Imu(*stamp, *sample),
                Event::Wheels(sample) => Input::Wheels(*stamp, **sample),
                Event::Pair(left, right, pose) => {
                    let Some(mut rig) = self.rig else { continue };
                    rig.base_link_from_left = pose.unwrap_or(rig.base_link_from_left);
                    Input::Pair(*stamp, load_pair(left, right, &rig)?)
                }
            };
            sink(*stamp, input)?;
        }
        Ok(())
    }
}
