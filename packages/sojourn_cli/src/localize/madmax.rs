//! Runs of MADMAX (Meyer et al., "The MADMAX data set for visual-inertial rover navigation on Mars", 2021): a hand-carried
//! head with rectified grey pairs; the inertial unit is not used here, for there are no wheels.
//!
//! A run folder holds `img_rect_left/img_rect_left_<nanoseconds>.png`, `img_rect_right/img_rect_right_<nanoseconds>.png` and
//! `ground_truth/gt_6DoF_gnss_and_imu.csv`; `calibration/` in it or beside it holds `camera_rect_left_info.txt` and
//! `camera_rect_right_info.txt` (YAML with `P`, 3 × 4 row by row), `tf__imu_to_camera_left.csv` and `tf__imu_to_B.csv` (a
//! header, then x, y, z, qx, qy, qz, qw of the second frame in the first). The truth tells of frame B.

use super::recorded::{PoseFile, Rig, Truth, looking_ahead};
use super::sequence::Sequence;
use super::table::Table;
use anyhow::{Context, ensure};
use nalgebra::Isometry3;
use serde::Deserialize;
use sojourn_core::{CoreError, Stamp, camera::Pinhole};
use sojourn_localization::{
    trajectory::{Place, Trajectory},
    vo::StereoCamera,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How the head was carried: height of the left camera over the ground, metres, and how far it looks down, radians.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Carried {
    /// Height, metres.
    pub height_m: f64,
    /// Angle below the horizon, radians.
    pub down_rad: f64,
}

#[derive(Deserialize)]
struct Info {
    #[serde(rename = "P")]
    projection: Vec<f64>,
}

/// Opens a run folder.
///
/// # Errors
/// One sentence that names file and line.
pub fn open(dir: &Path, carried: Carried) -> anyhow::Result<Sequence> {
    ensure!(dir.is_dir(), "{}: no such folder", dir.display());
    let calibration = [Some(dir), dir.parent()]
        .into_iter()
        .flatten()
        .map(|d| d.join("calibration"))
        .find(|d| d.is_dir())
        .with_context(|| {
            format!(
                "{}: no folder calibration in it or beside it",
                dir.display()
            )
        })?;
    let (left, right) = (images(dir, "left")?, images(dir, "right")?);
    let all = left.len();
    let pairs: Vec<_> = left
        .into_iter()
        .filter_map(|(t, l)| Some((Stamp(t), l, right.get(&t)?.clone())))
        .collect();
    let first = pairs.first().with_context(|| {
        format!(
            "{}: no image of the left eye has its like of the right",
            dir.display()
        )
    })?;
    let (width, height, _) = crate::grey_file::png(&first.1)?;
    let base_link_from_left = looking_ahead(carried.height_m, carried.down_rad);
    let rig = Rig {
        camera: camera(&calibration, width, height)?,
        base_link_from_left,
    };
    let (lone, truth) = (
        all - pairs.len(),
        truth(dir, &calibration, &base_link_from_left)?,
    );
    let mut out = Sequence::new(dir, rig, pairs, truth);
    if lone > 0 {
        out = out.noted(format!(
            "{lone} images of the left eye have none of the right"
        ));
    }
    Ok(out.noted(
        "the inertial unit is not used: the filter needs wheels, and a carried head has none",
    ))
}

fn images(dir: &Path, eye: &str) -> anyhow::Result<BTreeMap<i64, PathBuf>> {
    let folder = dir.join(format!("img_rect_{eye}"));
    let entries = std::fs::read_dir(&folder).map_err(|e| CoreError::io(&folder, "reading", e))?;
    let prefix = format!("img_rect_{eye}_");
    let mut out = BTreeMap::new();
    for entry in entries {
        let path = entry
            .map_err(|e| CoreError::io(&folder, "reading", e))?
            .path();
        let stamp = path.file_name().and_then(|n| n.to_str()).and_then(|n| {
            n.strip_prefix(&prefix)?
                .strip_suffix(".png")?
                .parse::<i64>()
                .ok()
        });
        if let Some(stamp) = stamp {
            out.insert(stamp, path);
        }
    }
    ensure!(
        !out.is_empty(),
        "{}: no image {prefix}<nanoseconds>.png",
        folder.display()
    );
    Ok(out)
}

fn camera(calibration: &Path, width: usize, height: usize) -> anyhow::Result<StereoCamera> {
    let load = |eye: &str| -> anyhow::Result<[f64; 12]> {
        let path = calibration.join(format!("camera_rect_{eye}_info.txt"));
        let info: Info = sojourn_core::params::load_yaml(&path)?;
        let n = info.projection.len();
        info.projection
            .try_into()
            .ok()
            .with_context(|| format!("{}: P has {n} numbers, expected 12", path.display()))
    };
    let (left, right) = (load("left")?, load("right")?);
    let baseline_m = -right[3] / right[0];
    ensure!(
        left[0] > 1.0 && left[5] > 1.0 && baseline_m > 0.0 && baseline_m < 10.0,
        "{}: fx is {}, fy is {}, the baseline by the right P is {baseline_m} m: expected positive numbers",
        calibration.display(),
        left[0],
        left[5]
    );
    Ok(StereoCamera {
        pinhole: Pinhole {
            width,
            height,
            fx: left[0],
            fy: left[5],
            cx: left[2],
            cy: left[6],
        },
        baseline_m,
    })
}

/// A `tf__….csv`: header and one line.
fn transform(path: &Path) -> anyhow::Result<Isometry3<f64>> {
    let mut table = Table::read(path)?;
    if table.lines.len() > 1 {
        table.lines.remove(0);
    }
    let table = table.not_empty()?;
    let [x, y, z, qx, qy, qz, qw] = table.numbers(&table.lines[0], 0)?;
    let pose = PoseFile {
        position_m: [x, y, z],
        quaternion_xyzw: [qx, qy, qz, qw],
    };
    Ok(pose.isometry(&table.what)?)
}

fn truth(
    dir: &Path,
    calibration: &Path,
    base_link_from_left: &Isometry3<f64>,
) -> anyhow::Result<Option<Truth>> {
    let path = dir.join("ground_truth/gt_6DoF_gnss_and_imu.csv");
    if !path.is_file() {
        return Ok(None);
    }
    let imu_from_left = transform(&calibration.join("tf__imu_to_camera_left.csv"))?;
    let imu_from_b = transform(&calibration.join("tf__imu_to_B.csv"))?;
    let text = sojourn_core::files::read_text(&path, super::table::MOST_BYTES)?;
    Ok(Some(Truth {
        trajectory: places(&path.display().to_string(), &text)?,
        base_link_from_point: base_link_from_left * imu_from_left.inverse() * imu_from_b,
        most_gap_s: 0.5,
    }))
}

/// The columns are named by the last comment line.
fn places(what: &str, text: &str) -> Result<Trajectory, CoreError> {
    const NAMES: [&str; 8] = [
        "UNIX time",
        "x-enu(m)",
        "y-enu(m)",
        "z-enu(m)",
        "orientation.x",
        "orientation.y",
        "orientation.z",
        "orientation.w",
    ];
    let header: Vec<&str> = text
        .lines()
        .filter_map(|l| l.trim().strip_prefix('%'))
        .map(|l| l.split(',').map(str::trim).collect())
        .find(|names: &Vec<&str>| names.contains(&NAMES[0]))
        .ok_or_else(|| CoreError::format(what, "no header line \"% UNIX time, …\""))?;
    let mut columns = [0; 8];
    for (column, name) in columns.iter_mut().zip(NAMES) {
        *column = header
            .iter()
            .position(|h| *h == name)
            .ok_or_else(|| CoreError::format(what, format!("no column {name:?}")))?;
    }
    let table = Table::parse(what, text);
    let mut out = Vec::new();
    for line in &table.lines {
        let mut v = [0.0; 8];
        for (value, column) in v.iter_mut().zip(columns) {
            [*value] = table.numbers(line, column)?;
        }
        let pose = PoseFile {
            position_m: [v[1], v[2], v[3]],
            quaternion_xyzw: [v[4], v[5], v[6], v[7]],
        }
        .isometry(&format!("{what} line {}", line.number))?;
        out.push(Place {
            time_s: v[0],
            position_m: pose.translation.vector,
            rotation: Some(pose.rotation),
        });
    }
    Trajectory::new(what, out)
}
