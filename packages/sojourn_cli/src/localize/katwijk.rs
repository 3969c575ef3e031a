//! Parts of the Katwijk Beach Planetary Rover Dataset (Hewitt et al., IJRR 2018).
//!
//! A folder `TraverseN/PartM` holds `LocCam/LocCam_2015_11_26_12_53_35_149_0.png` (left) and `…_1.png` (right) with the time in
//! the name, and without header, separated by blanks: `imu.txt` (time, specific force, angular rate, inclinometer, each
//! x y z), `odometry.txt` (time; six drives lf rf lm rm lr rr and four steers lf rf lr rr with angle, speed and a value that
//! means nothing; rocker, left bogie, right bogie), `gps-latlong.txt` (time, status, latitude and longitude in degrees,
//! height, three deviations). The images are as the cameras gave them: this reader wants them rectified under the same names
//! and a `camera.yaml` of the rectified pair.

use super::recorded::{CameraFile, Contents, Recorded, Rig, Sink, Truth, load_pair, merged};
use super::table::{Line, Table};
use anyhow::{Context, ensure};
use nalgebra::{Isometry3, Vector3};
use sojourn_core::{CoreError, Stamp, kinematics::WheelMotion, rover::Rover};
use sojourn_localization::{
    ImuSample, Input, WheelSample,
    trajectory::{Place, Trajectory},
};
use std::path::{Path, PathBuf};

/// Mean radius of the Earth's ellipsoid at the places of a beach's size, metres (WGS 84, semi-major axis).
const EARTH_M: f64 = 6_378_137.0;
/// Squared eccentricity of WGS 84.
const ECCENTRICITY2: f64 = 6.694_379_990_14e-3;
/// Order of the set's drives in ours (lf, lm, lr, rf, rm, rr).
const DRIVES: [usize; 6] = [0, 2, 4, 1, 3, 5];

enum Event {
    Imu(ImuSample),
    Wheels(Box<WheelSample>),
    Pair(PathBuf, PathBuf),
}

/// A part of a traverse.
pub struct Part {
    dir: PathBuf,
    rig: Rig,
    events: Vec<(Stamp, Event)>,
    contents: Contents,
    notes: Vec<String>,
    truth: Option<Truth>,
}

impl Part {
    /// Opens a part. Wheels and inertial unit are read only with a `rover`: the radius of the set's wheels is not in it.
    ///
    /// # Errors
    /// One sentence that names file and line.
    pub fn open(dir: &Path, camera: &Path, rover: Option<&Rover>) -> anyhow::Result<Self> {
        ensure!(dir.is_dir(), "{}: no such folder", dir.display());
        let rig = CameraFile::load(camera)?;
        let mut notes = vec![
            "the truth is the place of the antenna: no orientation, its lever arm is not taken out"
                .to_string(),
        ];
        let mut streams = vec![pairs(&dir.join("LocCam"))?];
        match rover {
            Some(rover) => {
                streams.push(imu(&dir.join("imu.txt"))?);
                streams.push(wheels(&dir.join("odometry.txt"), rover)?);
            }
            None => notes.push(
                "wheels and inertial unit are not used: --rover FILE must describe this rover"
                    .into(),
            ),
        }
        let count = |k: usize| streams.get(k).map_or(0, Vec::len) as u64;
        let contents =
            Contents::from([("pairs", count(0)), ("imu", count(1)), ("wheels", count(2))]);
        let gps = dir.join("gps-latlong.txt");
        let truth = if gps.is_file() {
            Some(Truth {
                trajectory: places(&gps)?,
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

/// `2015_11_26_12_53_35_149`: date, time and milliseconds (the logger also writes 1000 of them).
fn stamp(word: &str) -> Option<Stamp> {
    let n: Vec<i64> = word
        .split('_')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    let [year, month, day, hour, minute, second, milli]: [i64; 7] = n.try_into().ok()?;
    let inside = (1970..2200).contains(&year)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..61).contains(&second)
        && (0..=1000).contains(&milli);
    if !inside {
        return None;
    }
    let month = time::Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date =
        time::Date::from_calendar_date(i32::try_from(year).ok()?, month, u8::try_from(day).ok()?)
            .ok()?;
    let day_s = date.midnight().assume_utc().unix_timestamp();
    let secs = day_s + (hour * 60 + minute) * 60 + second;
    Some(Stamp(secs * 1_000_000_000 + milli * 1_000_000))
}

fn line_stamp(table: &Table, line: &Line) -> Result<Stamp, CoreError> {
    let word = line.words.first().map_or("", String::as_str);
    stamp(word).ok_or_else(|| {
        table.wrong(
            line,
            &format!("begins with {word:?}, expected a time as 2015_11_26_12_53_35_149"),
        )
    })
}

fn pairs(folder: &Path) -> anyhow::Result<Vec<(Stamp, Event)>> {
    let entries = std::fs::read_dir(folder).map_err(|e| CoreError::io(folder, "reading", e))?;
    let mut out = Vec::new();
    for entry in entries {
        let left = entry
            .map_err(|e| CoreError::io(folder, "reading", e))?
            .path();
        let name = left.file_name().and_then(|n| n.to_str()).unwrap_or("");
        let Some(stem) = name.strip_suffix("_0.png") else {
            continue;
        };
        let right = folder.join(format!("{stem}_1.png"));
        let at = stem.split_once('_').and_then(|(_, time)| stamp(time));
        let at = at.with_context(|| {
            format!(
                "{}: no time in the name, expected LocCam_2015_11_26_12_53_35_149_0.png",
                left.display()
            )
        })?;
        if right.is_file() {
            out.push((at, Event::Pair(left, right)));
        }
    }
    ensure!(
        !out.is_empty(),
        "{}: no pair of images …_0.png and …_1.png",
        folder.display()
    );
    out.sort_by_key(|e| e.0);
    Ok(out)
}

fn imu(path: &Path) -> Result<Vec<(Stamp, Event)>, CoreError> {
    let table = Table::read(path)?.not_empty()?;
    let line = |l| {
        let [ax, ay, az, wx, wy, wz] = table.numbers(l, 1)?;
        let sample = ImuSample {
            gyro_radps: Vector3::new(wx, wy, wz),
            accel_mps2: Vector3::new(ax, ay, az),
        };
        Ok((line_stamp(&table, l)?, Event::Imu(sample)))
    };
    table.lines.iter().map(line).collect()
}

fn wheels(path: &Path, rover: &Rover) -> Result<Vec<(Stamp, Event)>, CoreError> {
    let table = Table::read(path)?.not_empty()?;
    let r = rover.wheel.radius_m;
    let line = |l| {
        let v: [f64; 30] = table.numbers(l, 1)?;
        // Angle and speed of the k-th joint.
        let joint = |k: usize| (v[3 * k], v[3 * k + 1]);
        let drives = DRIVES.map(joint);
        let [lf, rf, lr, rr] = [6, 7, 8, 9].map(|k| joint(k).0);
        let sample = WheelSample {
            motion: WheelMotion {
                rim_mps: drives.map(|d| d.1 * r),
                steer_rad: [lf, 0.0, lr, rf, 0.0, rr],
            },
            travel_m: drives.map(|d| d.0 * r),
            suspension: None,
        };
        Ok((line_stamp(&table, l)?, Event::Wheels(Box::new(sample))))
    };
    table.lines.iter().map(line).collect()
}

/// East, north and up of the first place.
fn places(path: &Path) -> Result<Trajectory, CoreError> {
    let table = Table::read(path)?.not_empty()?;
    let mut out: Vec<Place> = Vec::new();
    let mut origin: Option<[f64; 3]> = None;
    for line in &table.lines {
        let at = line_stamp(&table, line)?;
        let [lat_deg, lon_deg, up_m] = table.numbers(line, 2)?;
        if !(lat_deg.abs() <= 90.0 && lon_deg.abs() <= 180.0) {
            return Err(table.wrong(line, "holds no latitude and longitude in degrees"));
        }
        let [lat0, lon0, up0] = *origin.get_or_insert([lat_deg, lon_deg, up_m]);
        let sin2 = lat0.to_radians().sin().powi(2);
        // Radii of curvature of the ellipsoid at the origin.
        let across_m = EARTH_M / (1.0 - ECCENTRICITY2 * sin2).sqrt();
        let along_m = across_m * (1.0 - ECCENTRICITY2) / (1.0 - ECCENTRICITY2 * sin2);
        let position_m = Vector3::new(
            (lon_deg - lon0).to_radians() * across_m * lat0.to_radians().cos(),
            (lat_deg - lat0).to_radians() * along_m,
            up_m - up0,
        );
        if out.last().is_none_or(|p| at.as_secs() > p.time_s) {
            out.push(Place {
                time_s: at.as_secs(),
                position_m,
                rotation: None,
            });
        }
    }
    Trajectory::new(&table.what, out)
}

impl Recorded for Part {
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
                Event::Pair(left, right) => Input::Pair(*stamp, load_pair(left, right, &self.rig)?),
            };
            sink(*stamp, input)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_from_names() {
        assert_eq!(
            stamp("2015_11_26_12_53_35_149"),
            Some(Stamp(1_448_542_415_149_000_000))
        );
        let rolled = stamp("2015_11_26_12_54_30_1000").unwrap();
        assert_eq!(rolled, stamp("2015_11_26_12_54_31_0").unwrap());
        for wrong in [
            "2015_13_26_12_53_35_149",
            "2015_11_26_12_53_35",
            "",
            "a_b",
            "2015_11_31_1_1_1_1",
        ] {
            assert_eq!(stamp(wrong), None, "{wrong}");
        }
    }
}
