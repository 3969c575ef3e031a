//! MuJoCo (Todorov, Erez and Tassa 2012) as a peer: jobs for `drive.py` and `judge.py` in `benches/peers/mujoco`, and their answers.

use super::course::Course;
use crate::launch::places::Places;
use anyhow::{Context, bail, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sojourn_core::{frames::Pose2, raster::Raster, rover::Rover};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Folder of the peer below the checkout.
pub const PEER: &str = "benches/peers/mujoco";
/// Time between two recorded places, seconds.
const EVERY_S: f64 = 2.0;

#[derive(Serialize)]
struct Wheel {
    radius_m: f64,
    width_m: f64,
}

#[derive(Serialize)]
struct Job {
    mass_kg: f64,
    center_m: [f64; 3],
    wheel: Wheel,
    hubs_m: [[f64; 3]; 6],
    rocker_pivot_m: [f64; 3],
    bogie_pivot_m: [f64; 3],
    turn_radius_m: f64,
    gravity_mps2: f64,
    speed_mps: f64,
    heights: PathBuf,
    cols: usize,
    rows: usize,
    resolution_m: f64,
    /// Of the south-western node.
    origin_m: [f64; 2],
    route_m: Vec<[f64; 2]>,
    yaw_rad: f64,
    step_s: f64,
    every_s: f64,
    /// A track to be led along, in place of the route.
    poses: Vec<[f64; 3]>,
    /// Time between two of its poses, seconds.
    pose_s: f64,
}

/// What a rover was led along.
pub struct Track<'a> {
    /// The ground.
    pub ground: &'a Raster,
    /// Its planet's gravity.
    pub gravity_mps2: f64,
    /// Places of the middle axle's centre and headings, in equal times.
    pub poses: Vec<Pose2>,
    /// Time between two of them, seconds.
    pub pose_s: f64,
    /// The peer's time step, seconds.
    pub step_s: f64,
}

/// How MuJoCo's rover stood at a moment of a track.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(from = "([f64; 11], [f64; 18])")]
pub struct Stance {
    /// Seconds since the start.
    pub time_s: f64,
    /// Place of the middle axle's centre and heading.
    pub pose: Pose2,
    /// The body's up axis in `map`.
    pub up: [f64; 3],
    /// Height of the middle axle's centre, metres.
    pub axle_m: f64,
    /// Angle of the left rocker, radians; the right one has its opposite.
    pub differential_rad: f64,
    /// Angles of the bogies, left and right, radians.
    pub bogie_rad: [f64; 2],
    /// Places of the wheels' centres in `map`, metres.
    pub wheels_m: [[f64; 3]; 6],
}

impl From<([f64; 11], [f64; 18])> for Stance {
    fn from((s, w): ([f64; 11], [f64; 18])) -> Self {
        let wheel = |i: usize| [w[3 * i], w[3 * i + 1], w[3 * i + 2]];
        Self {
            time_s: s[0],
            pose: Pose2::new(s[1], s[2], s[3]),
            up: [s[4], s[5], s[6]],
            axle_m: s[7],
            differential_rad: s[8],
            bogie_rad: [s[9], s[10]],
            wheels_m: [wheel(0), wheel(1), wheel(2), wheel(3), wheel(4), wheel(5)],
        }
    }
}

/// A track in MuJoCo.
#[derive(Clone, Debug, Deserialize)]
pub struct Led {
    /// Name and version.
    pub version: String,
    /// [`GOAL`] or [`DIVERGED`].
    pub end: String,
    /// How it stood on the way, ten times a second.
    pub samples: Vec<Stance>,
    /// Processor time of its steps, seconds.
    pub cpu_s: f64,
    /// Force that held it to the track, root mean square over the way, share of its weight.
    pub pulled: f64,
}

/// Where MuJoCo's rover was at a time.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(from = "[f64; 13]")]
pub struct Sample {
    /// Seconds since the start.
    pub time_s: f64,
    /// Place of the middle axle's centre and heading.
    pub pose: Pose2,
    /// The body's up axis in `map`.
    pub up: [f64; 3],
    /// Heights of the wheels' centres, metres.
    pub wheel_m: [f64; 6],
}

impl From<[f64; 13]> for Sample {
    fn from(s: [f64; 13]) -> Self {
        Self {
            time_s: s[0],
            pose: Pose2::new(s[1], s[2], s[3]),
            up: [s[4], s[5], s[6]],
            wheel_m: [s[7], s[8], s[9], s[10], s[11], s[12]],
        }
    }
}

/// A drive in MuJoCo.
#[derive(Clone, Debug, Deserialize)]
pub struct Answer {
    /// Name and version.
    pub version: String,
    /// `goal`, `stuck` or `not a number`.
    pub end: String,
    /// Places on the way.
    pub samples: Vec<Sample>,
    /// Way of the axle's centre, metres.
    pub distance_m: f64,
    /// Simulated time, seconds.
    pub sim_s: f64,
    /// Processor time of its steps, seconds.
    pub cpu_s: f64,
    /// Wall time of its steps, seconds.
    pub wall_s: f64,
    /// Number of steps.
    pub steps: u64,
    /// Warnings of its solver.
    pub warnings: u64,
}

/// The peer's Python and the folder of its scripts.
///
/// # Errors
/// One sentence that says how to install it.
pub fn python(places: &Places) -> anyhow::Result<(PathBuf, PathBuf)> {
    let root = places
        .checkout
        .as_deref()
        .context("MuJoCo is compared with from a checkout of the suite only")?;
    let folder = root.join(PEER);
    let python = folder.join(".venv/bin/python");
    ensure!(
        python.is_file(),
        "MuJoCo is not installed: `sh {PEER}/setup.sh` gets it from PyPI"
    );
    Ok((python, folder))
}

/// Drives a course in MuJoCo; `progress` is told metres done.
///
/// # Errors
/// One sentence: not installed, a rover without six wheels, or the peer's own last word.
pub fn drive(
    places: &Places,
    course: &Course,
    rover: &Rover,
    step_s: f64,
    progress: &dyn Fn(f64),
) -> anyhow::Result<Answer> {
    let folder = scratch()?;
    let job = job(course, rover, step_s, folder.path())?;
    let answer: Answer = ask(places, "drive.py", rover, &job, folder.path(), progress)?;
    ensure!(
        answer.end != "not a number" && !answer.samples.is_empty() && answer.cpu_s > 0.0,
        "{}: the drive ended with {} after {:.1} m",
        answer.version,
        answer.end,
        answer.distance_m
    );
    Ok(answer)
}

/// Leads the rover along a track; `progress` is told the seconds of it that are done.
///
/// # Errors
/// As [`drive`].
pub fn lead(
    places: &Places,
    track: &Track<'_>,
    rover: &Rover,
    progress: &dyn Fn(f64),
) -> anyhow::Result<Led> {
    let folder = scratch()?;
    let poses = track.poses.iter().map(|p| [p.x_m, p.y_m, p.yaw_rad]);
    let job = Job {
        poses: poses.collect(),
        pose_s: track.pose_s,
        ..blank_job(
            track.ground,
            rover,
            track.gravity_mps2,
            track.step_s,
            folder.path(),
        )?
    };
    let led: Led = ask(places, "judge.py", rover, &job, folder.path(), progress)?;
    ensure!(
        (led.end == GOAL || led.end == DIVERGED) && !led.samples.is_empty(),
        "{}: the track ended with {}",
        led.version,
        led.end
    );
    Ok(led)
}

fn scratch() -> anyhow::Result<tempfile::TempDir> {
    tempfile::Builder::new()
        .prefix("sojourn_mujoco")
        .tempdir()
        .context("a folder for the peer's files")
}

/// How a track ends that was gone through.
const GOAL: &str = "goal";
/// How one ends on which the peer's numbers ran away.
pub const DIVERGED: &str = "diverged";

/// Runs one of the peer's scripts on a job.
fn ask<T: DeserializeOwned>(
    places: &Places,
    script: &str,
    rover: &Rover,
    job: &Job,
    folder: &Path,
    progress: &dyn Fn(f64),
) -> anyhow::Result<T> {
    let (python, home) = python(places)?;
    let script = home.join(script);
    ensure!(
        rover.wheel_count() == 6,
        "rover {}: {} wheels, and MuJoCo's model has six on rockers and bogies",
        rover.name,
        rover.wheel_count()
    );
    let file = folder.join("job.json");
    std::fs::write(&file, serde_json::to_vec(job)?).context("the peer's job")?;
    // MuJoCo writes a log of its own where it is called.
    let here =
        |path: PathBuf| std::path::absolute(&path).with_context(|| path.display().to_string());
    let (python, script, file) = (here(python)?, here(script)?, here(file)?);
    let mut child = Command::new(&python)
        .arg(&script)
        .arg(&file)
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| python.display().to_string())?;
    let (Some(mut out), Some(err)) = (child.stdout.take(), child.stderr.take()) else {
        bail!("the peer has no output");
    };
    // The answer is read beside the progress, so that neither pipe fills.
    let reader = std::thread::Builder::new()
        .name("peer's answer".into())
        .spawn(move || {
            let mut text = String::new();
            out.read_to_string(&mut text).map(|_| text)
        })
        .context("a thread for the peer's answer")?;
    let mut last = String::new();
    for line in BufReader::new(err).lines() {
        let line = line.context("the peer's progress")?;
        match line.split_once(" of ").and_then(|(m, _)| m.parse().ok()) {
            Some(metres) => progress(metres),
            None if !line.trim().is_empty() => last = line,
            None => {}
        }
    }
    let status = child.wait().context("the peer's end")?;
    ensure!(status.success(), "the peer ended with {status}: {last}");
    let text = match reader.join() {
        Ok(text) => text.context("the peer's answer")?,
        Err(_) => bail!("the peer's answer could not be read"),
    };
    serde_json::from_str(&text).context("the peer's answer")
}

fn job(course: &Course, rover: &Rover, step_s: f64, folder: &Path) -> anyhow::Result<Job> {
    Ok(Job {
        route_m: course.route_m.clone(),
        yaw_rad: course.yaw_rad,
        ..blank_job(
            course.ground()?,
            rover,
            course.site.manifest.body.gravity_mps2,
            step_s,
            folder,
        )?
    })
}

/// Rover and ground without a way.
fn blank_job(
    ground: &Raster,
    rover: &Rover,
    gravity_mps2: f64,
    step_s: f64,
    folder: &Path,
) -> anyhow::Result<Job> {
    let bytes: Vec<u8> = ground.data().iter().flat_map(|h| h.to_le_bytes()).collect();
    let heights = folder.join("heights.f32");
    std::fs::write(&heights, bytes).context("the peer's heights")?;
    Ok(Job {
        mass_kg: rover.mass_kg,
        center_m: rover.center_m(),
        wheel: Wheel {
            radius_m: rover.wheel.radius_m,
            width_m: rover.wheel.width_m,
        },
        hubs_m: rover.hubs_m(),
        rocker_pivot_m: rover.suspension.rocker_pivot_m,
        bogie_pivot_m: rover.suspension.bogie_pivot_m,
        turn_radius_m: rover.drive.min_turn_radius_m.max(2.0),
        gravity_mps2,
        speed_mps: rover.drive.cruise_mps,
        heights,
        cols: ground.cols(),
        rows: ground.rows(),
        resolution_m: ground.resolution_m(),
        origin_m: ground.centre_m(0, 0),
        route_m: Vec::new(),
        yaw_rad: 0.0,
        step_s,
        every_s: EVERY_S,
        poses: Vec::new(),
        pose_s: 1.0,
    })
}
