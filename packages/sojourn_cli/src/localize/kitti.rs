//! Sequences of the KITTI odometry benchmark (Geiger, Lenz and Urtasun 2012): grey rectified pairs, no inertial unit, no
//! wheels.
//!
//! `sequences/NN/` holds `calib.txt` (`P0: …` to `P3: …`, 3 × 4 row by row; P1 of the right grey camera has
//! −fx · baseline in its fourth place), `times.txt` (seconds), `image_0/000000.png …` and `image_1/…`. The truth is
//! `poses/NN.txt` beside `sequences`: a line is 3 × 4 row by row, the left camera's pose in the frame of the first.

use super::recorded::{Rig, Truth, looking_ahead};
use super::sequence::Sequence;
use super::table::Table;
use anyhow::{Context, ensure};
use nalgebra::{Isometry3, Matrix3, Rotation3, UnitQuaternion, Vector3};
use sojourn_core::{CoreError, Stamp, camera::Pinhole};
use sojourn_localization::{
    trajectory::{Place, Trajectory},
    vo::StereoCamera,
};
use std::path::{Path, PathBuf};

/// Height of the cameras over the road (Geiger et al. 2013), metres.
const HEIGHT_M: f64 = 1.65;

/// Opens a sequence folder.
///
/// # Errors
/// One sentence that names file and line.
pub fn open(dir: &Path) -> anyhow::Result<Sequence> {
    ensure!(dir.is_dir(), "{}: no such folder", dir.display());
    let times = Table::read(&dir.join("times.txt"))?.not_empty()?;
    let stamps = times
        .lines
        .iter()
        .map(|l| times.numbers::<1>(l, 0).map(|[t]| t))
        .collect::<Result<Vec<f64>, _>>()?;
    let first = dir.join("image_0/000000.png");
    let (width, height, _) = crate::grey_file::png(&first)?;
    let rig = Rig {
        camera: calib(&dir.join("calib.txt"), width, height)?,
        base_link_from_left: looking_ahead(HEIGHT_M, 0.0),
    };
    let image = |k: usize, eye: u8| dir.join(format!("image_{eye}/{k:06}.png"));
    let pairs = stamps
        .iter()
        .enumerate()
        .map(|(k, &t)| (Stamp::from_secs(t), image(k, 0), image(k, 1)))
        .collect();
    let truth = match poses_file(dir) {
        Some(file) => Some(Truth {
            trajectory: poses(&file, &stamps)?,
            base_link_from_point: rig.base_link_from_left,
            most_gap_s: 1.0,
        }),
        None => None,
    };
    Ok(Sequence::new(dir, rig, pairs, truth))
}

/// `poses/NN.txt` beside `sequences/NN`, or `poses.txt` in the folder itself.
fn poses_file(dir: &Path) -> Option<PathBuf> {
    let here = dir.canonicalize().ok()?;
    let number = here.file_name()?.to_str()?;
    let beside = here
        .parent()?
        .parent()?
        .join("poses")
        .join(format!("{number}.txt"));
    [beside, here.join("poses.txt")]
        .into_iter()
        .find(|p| p.is_file())
}

fn calib(path: &Path, width: usize, height: usize) -> anyhow::Result<StereoCamera> {
    let table = Table::read(path)?;
    let matrix = |name: &str| -> anyhow::Result<[f64; 12]> {
        let line = table
            .lines
            .iter()
            .find(|l| l.words.first().is_some_and(|w| w == name))
            .with_context(|| {
                format!("{}: no line {name} …, expected P0: to P3:", path.display())
            })?;
        Ok(table.numbers(line, 1)?)
    };
    let (left, right) = (matrix("P0:")?, matrix("P1:")?);
    let baseline_m = -right[3] / right[0];
    ensure!(
        left[0] > 1.0 && left[5] > 1.0 && baseline_m > 0.0 && baseline_m < 10.0,
        "{}: fx is {}, fy is {}, the baseline by P1 is {baseline_m} m: expected positive numbers",
        path.display(),
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

fn poses(path: &Path, stamps: &[f64]) -> Result<Trajectory, CoreError> {
    let table = Table::read(path)?.not_empty()?;
    if table.lines.len() != stamps.len() {
        return Err(CoreError::format(
            &table.what,
            format!(
                "has {} lines, expected {} as times.txt has",
                table.lines.len(),
                stamps.len()
            ),
        ));
    }
    let place = |(l, &time_s)| {
        let m: [f64; 12] = table.numbers(l, 0)?;
        let turn = Matrix3::new(m[0], m[1], m[2], m[4], m[5], m[6], m[8], m[9], m[10]);
        if !((turn * turn.transpose() - Matrix3::identity()).norm() < 0.01) {
            return Err(table.wrong(l, "holds no rotation in its first three columns"));
        }
        let pose = Isometry3::from_parts(
            Vector3::new(m[3], m[7], m[11]).into(),
            UnitQuaternion::from_rotation_matrix(&Rotation3::from_matrix(&turn)),
        );
        Ok(Place {
            time_s,
            position_m: pose.translation.vector,
            rotation: Some(pose.rotation),
        })
    };
    let places = table
        .lines
        .iter()
        .zip(stamps)
        .map(place)
        .collect::<Result<_, _>>()?;
    Trajectory::new(&table.what, places)
}
