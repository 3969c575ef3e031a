//! `sojourn localize`: recorded data through localization, compared with the truth where there is one.

use super::{say, say_json};
use crate::cli_error::{CliError, CliResult};
use crate::ground;
use crate::launch::places::Places;
use crate::localize::{
    bag::Bag,
    folder::{self, Folder},
    katwijk, kitti, madmax,
    picture::{self, Named},
    recorded::{Contents, Recorded, Truth},
    replay::{self, Pairs, Replayed},
};
use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use nalgebra::Isometry3;
use serde::Serialize;
use sojourn_core::{files::write_atomic, params::load_node_params, rover::Rover};
use sojourn_localization::{
    Params,
    trajectory::{Score, Trajectory, score},
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Examples and formats.
pub const EXAMPLES: &str = "Examples:\n  sojourn localize --bag run/recording.mcap --out localized/\n  \
    sojourn localize --bag drive.mcap --topic navcam/left/image_rect=/stereo/left/image_rect --rover testbed --body earth\n  \
    sojourn localize --folder drive/ --truth gps.tum --json\n  \
    sojourn localize --kitti kitti/sequences/07 --out localized/\n\n\
    MCAP (ours or ros2 bag's, CDR, chunks plain or zstd): imu/data_raw, wheel_states, navcam/left/image_rect,\n\
    navcam/right/image_rect, navcam/right/camera_info, navcam/pose as INTERFACES.md has them; truth: ground_truth/odometry.\n\
    Folder: timestamps.csv (stamp_s,left,right and perhaps x_m,y_m,z_m,qx,qy,qz,qw of the left camera in base_link), camera.yaml\n\
    (width, height, fx, fy, cx, cy, baseline_m, base_link_from_left: {position_m, quaternion_xyzw}), imu.csv, wheels.csv,\n\
    truth.tum; `sojourn eval localization --write DIR` writes such folders.\n\
    KITTI odometry: sequences/NN with calib.txt, times.txt, image_0, image_1; poses/NN.txt beside it is the truth.\n\
    MADMAX: a run with img_rect_left, img_rect_right, ground_truth; calibration in it or beside it.\n\
    Katwijk: a part of a traverse, its LocCam images rectified, --camera of the rectified pair.\n\n\
    Without wheels and inertial unit the motion that is expected is the last one. Written with --out: estimate.tum, visual.tum,\n\
    wheels.tum, truth.tum (evo reads them: evo_ape tum truth.tum estimate.tum -a), localized.png, result.json.";

/// `sojourn localize`
#[derive(Debug, Args)]
pub struct LocalizeArgs {
    #[command(flatten)]
    source: Source,
    /// For --bag: our topic and the recording's name of it; may be given several times.
    #[arg(long, value_name = "OURS=THEIRS", requires = "bag")]
    topic: Vec<String>,
    /// For --katwijk: camera.yaml of the rectified pair.
    #[arg(long, value_name = "FILE")]
    camera: Option<PathBuf>,
    /// For --madmax: height of the left camera over the ground, metres.
    #[arg(long, value_name = "M")]
    height: Option<f64>,
    /// For --madmax: how far the camera looks down, degrees.
    #[arg(long, value_name = "DEG")]
    down: Option<f64>,
    /// Where the rover was: a TUM file of base_link, instead of the recording's own truth.
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// The rover: a name in config/rovers or a file. Without it perseverance; for --katwijk the wheels are not used then.
    #[arg(long, value_name = "NAME|FILE")]
    rover: Option<String>,
    /// The planet. Without it mars for --bag and --folder, earth for the public sets.
    #[arg(long, value_name = "NAME|FILE")]
    body: Option<String>,
    /// Parameters instead of config/localization.param.yaml.
    #[arg(long, value_name = "FILE")]
    params: Option<PathBuf>,
    /// Writes trajectories, picture and result into this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Prints JSON: {source, contents, notes, pairs, refused, slip_mean, truth, ate_rmse_m, drift_end, scores: {estimate,
    /// visual, wheels: {places, way_m, ate_rmse_m, ate_median_m, ate_max_m, drift_end, rpe: […]}}, files}.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// An MCAP recording, or the folder that `ros2 bag record` makes.
    #[arg(long, value_name = "FILE")]
    bag: Option<PathBuf>,
    /// A folder of images and tables.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// A sequence of KITTI odometry.
    #[arg(long, value_name = "DIR")]
    kitti: Option<PathBuf>,
    /// A run of MADMAX.
    #[arg(long, value_name = "DIR")]
    madmax: Option<PathBuf>,
    /// A part of a traverse of Katwijk.
    #[arg(long, value_name = "DIR")]
    katwijk: Option<PathBuf>,
}

#[derive(Serialize)]
struct Outcome {
    source: String,
    contents: Contents,
    notes: Vec<String>,
    pairs: Pairs,
    refused: BTreeMap<String, u64>,
    slip_mean: Option<f64>,
    truth: bool,
    /// Of the estimate, or of visual odometry where there is nothing else; null without truth.
    ate_rmse_m: Option<f64>,
    drift_end: Option<f64>,
    scores: BTreeMap<&'static str, Score>,
    files: Vec<PathBuf>,
}

/// Runs recorded data.
///
/// # Errors
/// [`CliError`] in one sentence.
pub fn localize(args: &LocalizeArgs) -> CliResult {
    let places = Places::find();
    let rover_name = args.rover.as_deref().unwrap_or("perseverance");
    let (rover, _) = ground::rover(&places, rover_name)?;
    let public = args.source.bag.is_none() && args.source.folder.is_none();
    let body = args
        .body
        .as_deref()
        .unwrap_or(if public { "earth" } else { "mars" });
    let body = ground::body(&places, body)?;
    let file = match &args.params {
        Some(file) => file.clone(),
        None => places.shared("config/localization.param.yaml")?,
    };
    let params: Params = load_node_params(&file, "localization")?;
    let recorded = open(args, &rover)?;
    let truth = match &args.truth {
        Some(file) => Some(Truth {
            trajectory: folder::tum(file)?,
            base_link_from_point: Isometry3::identity(),
            most_gap_s: 2.0,
        }),
        None => recorded.truth().cloned(),
    };
    let bar = ProgressBar::new(1000);
    if let Ok(style) = ProgressStyle::with_template("{elapsed:>4} {bar:40} {percent} %") {
        bar.set_style(style);
    }
    let replayed = replay::replay(recorded.as_ref(), &params, &rover, &body, &mut |share| {
        bar.set_position((1000.0 * share) as u64);
    });
    bar.finish_and_clear();
    let replayed = replayed?;
    let tracks = tracks(&replayed, truth.as_ref());
    let mut scores = BTreeMap::new();
    if let Some(truth) = &truth {
        for (name, track) in &tracks {
            let (score, _) = score(&recorded.name(), track, &truth.trajectory, truth.most_gap_s)?;
            scores.insert(*name, score);
        }
    }
    let first = tracks.first().and_then(|t| scores.get(t.0));
    let slips: Vec<f64> = replayed.slip.iter().map(|s| s[1]).collect();
    let mut outcome = Outcome {
        source: recorded.name(),
        contents: recorded.contents().clone(),
        notes: recorded.notes().to_vec(),
        pairs: replayed.pairs.clone(),
        refused: replayed.refused.clone(),
        slip_mean: (!slips.is_empty()).then(|| slips.iter().sum::<f64>() / slips.len() as f64),
        truth: truth.is_some(),
        ate_rmse_m: first.map(|s| s.ate_rmse_m),
        drift_end: first.and_then(|s| s.drift_end),
        scores,
        files: Vec::new(),
    };
    if let Some(dir) = &args.out {
        write(dir, &mut outcome, &tracks, truth.as_ref())?;
    }
    if args.json {
        return say_json(&outcome);
    }
    outcome.say();
    Ok(())
}

fn open(args: &LocalizeArgs, rover: &Rover) -> Result<Box<dyn Recorded>, CliError> {
    let s = &args.source;
    if let Some(file) = &s.bag {
        let other_names = args
            .topic
            .iter()
            .map(|t| {
                let (ours, theirs) = t
                    .split_once('=')
                    .ok_or_else(|| CliError::Usage(format!("--topic {t}: expected OURS=THEIRS")))?;
                Ok((ours.to_string(), theirs.to_string()))
            })
            .collect::<Result<Vec<_>, CliError>>()?;
        return Ok(Box::new(Bag::open(file, rover, &other_names)?));
    }
    if let Some(dir) = &s.folder {
        return Ok(Box::new(Folder::open(dir, rover)?));
    }
    if let Some(dir) = &s.kitti {
        return Ok(Box::new(kitti::open(dir)?));
    }
    if let Some(dir) = &s.madmax {
        let (Some(height_m), Some(down_deg)) = (args.height, args.down) else {
            return Err(CliError::Usage(
                "--madmax needs --height M and --down DEG: how the camera was carried is not in the set".into(),
            ));
        };
        sojourn_core::error::in_range("--height", "metres", height_m, 0.1, 10.0)?;
        sojourn_core::error::in_range("--down", "degrees", down_deg, -45.0, 89.0)?;
        let carried = madmax::Carried {
            height_m,
            down_rad: down_deg.to_radians(),
        };
        return Ok(Box::new(madmax::open(dir, carried)?));
    }
    if let Some(dir) = &s.katwijk {
        let Some(camera) = &args.camera else {
            return Err(CliError::Usage(
                "--katwijk needs --camera FILE: the rectified pair's camera.yaml".into(),
            ));
        };
        let described = args.rover.is_some().then_some(rover);
        return Ok(Box::new(katwijk::Part::open(dir, camera, described)?));
    }
    Err(CliError::Usage("give one recording".into()))
}

/// What came out, each as the trajectory of the point that the truth tells of.
fn tracks(r: &Replayed, truth: Option<&Truth>) -> Vec<Named> {
    [
        ("estimate", &r.estimate),
        ("visual", &r.visual),
        ("wheels", &r.wheels),
    ]
    .into_iter()
    .filter(|(_, t)| t.places().len() >= 3)
    .map(|(name, t)| match truth {
        Some(truth) => (name, t.moved(&truth.base_link_from_point)),
        None => (name, t.clone()),
    })
    .collect()
}

fn write(
    dir: &Path,
    outcome: &mut Outcome,
    tracks: &[Named],
    truth: Option<&Truth>,
) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("{}: cannot be made", dir.display()))?;
    let mut put = |name: String, bytes: &[u8]| -> anyhow::Result<()> {
        let path = dir.join(name);
        write_atomic(&path, bytes)?;
        outcome.files.push(path);
        Ok(())
    };
    for (name, track) in tracks {
        put(format!("{name}.tum"), track.to_tum().as_bytes())?;
    }
    let drawn = match truth {
        Some(truth) => {
            put("truth.tum".into(), truth.trajectory.to_tum().as_bytes())?;
            beside_truth(tracks, truth)
        }
        None => together(tracks),
    };
    let png = picture::draw(&outcome.source, &drawn, truth.is_some())?;
    put("localized.png".into(), &png)?;
    let result = serde_json::to_vec_pretty(&*outcome)?;
    let path = dir.join("result.json");
    write_atomic(&path, &result)?;
    outcome.files.push(path);
    Ok(())
}

/// All begin where and as the first does.
fn together(tracks: &[Named]) -> Vec<Named> {
    let at = tracks.first().and_then(|t| replay::begin(&t.1));
    tracks
        .iter()
        .map(|(name, t)| match (at, replay::begin(t)) {
            (Some(at), Some(begin)) => (*name, t.in_frame(&(at * begin.inverse()))),
            _ => (*name, t.clone()),
        })
        .collect()
}

/// All begin where and as the truth does at that time; where its orientation is not known, they lie as near as they can.
fn beside_truth(tracks: &[Named], truth: &Truth) -> Vec<Named> {
    let placed = |t: &Trajectory| -> Option<Trajectory> {
        let first = t
            .places()
            .iter()
            .find_map(|p| Some((*p, truth.trajectory.at(p.time_s, truth.most_gap_s)?)));
        let (p, q) = first?;
        if let (Some(r), Some(s)) = (p.rotation, q.rotation) {
            let believed = Isometry3::from_parts(p.position_m.into(), r);
            let true_pose = Isometry3::from_parts(q.position_m.into(), s);
            return Some(t.in_frame(&(true_pose * believed.inverse())));
        }
        let (_, truth_from_it) = score("", t, &truth.trajectory, truth.most_gap_s).ok()?;
        Some(t.in_frame(&truth_from_it))
    };
    let mut out = vec![("truth", truth.trajectory.clone())];
    for (name, t) in tracks {
        out.push((*name, placed(t).unwrap_or_else(|| t.clone())));
    }
    out
}

impl Outcome {
    fn say(&self) {
        let counts: Vec<String> = self
            .contents
            .iter()
            .map(|(name, n)| format!("{n} {name}"))
            .collect();
        say(&format!("{}: {}", self.source, counts.join(", ")));
        for note in &self.notes {
            say(&format!("  {note}"));
        }
        if self.pairs.looked_at > 0 {
            say(&format!(
                "motions in {} of {} pairs, {} refused by the filter",
                self.pairs.motions, self.pairs.looked_at, self.pairs.outliers
            ));
            for (why, n) in &self.pairs.failures {
                say(&format!("  {n} × {why}"));
            }
        }
        if let Some(slip) = self.slip_mean {
            say(&format!("mean slip {:.1} %", 100.0 * slip));
        }
        for (why, n) in &self.refused {
            say(&format!("{n} inputs refused: {why}"));
        }
        if !self.truth {
            say("no truth to compare with (--truth FILE.tum)");
        }
        for (name, s) in &self.scores {
            let drift = s
                .drift_end
                .map_or("–".to_string(), |d| format!("{:.2} %", 100.0 * d));
            say(&format!(
                "\n{name}: {:.1} m, ATE {:.3} m RMS ({:.3} at most), drift at the end {drift}",
                s.way_m, s.ate_rmse_m, s.ate_max_m
            ));
            for r in &s.rpe {
                say(&format!(
                    "  over {:>4} m: {:>6.2} %, {:.4} deg/m ({} stretches)",
                    r.length_m,
                    100.0 * r.translation_share,
                    r.rotation_deg_per_m,
                    r.count
                ));
            }
        }
        for file in &self.files {
            say(&format!("wrote {}", file.display()));
        }
    }
}
