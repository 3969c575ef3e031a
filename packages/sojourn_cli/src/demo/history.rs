//! `history.json`: what a drive says of the ground to the next plan, place by place.

use crate::report::recording::{Recording, at_time};
use sojourn_core::{CoreError, files};
use sojourn_planner::model::{DriveRecord, MAX_RECORDS};
use std::path::Path;

/// Way that one record speaks for, metres: about as much ground as the planner takes a record for.
const STRETCH_M: f64 = 5.0;
/// Shortest way over which measurements of slip make a record, metres.
const LEAST_WAY_M: f64 = 0.5;

/// The drive that records are made of.
#[derive(Clone, Copy, Debug)]
pub struct Drive<'a> {
    /// Its name.
    pub name: &'a str,
    /// When it was made (ISO 8601).
    pub date: &'a str,
    /// Whether it reached its goal.
    pub reached: bool,
    /// State at its end, and why.
    pub end: [&'a str; 2],
}

/// Records of a drive by what the rover itself knew: where it thought it was, and the slip that it measured, as a mean over every
/// five metres of way; and where it ended, when that was not its goal.
#[must_use]
pub fn records(recording: &Recording, drive: &Drive<'_>) -> Vec<DriveRecord> {
    let record =
        |[x_m, y_m]: [f64; 2], slip: Option<f64>, stopped: bool, note: String| DriveRecord {
            x_m,
            y_m,
            slip,
            stopped,
            date: drive.date.into(),
            note,
            seen: None,
        };
    let mut out: Vec<DriveRecord> = Vec::new();
    // Number of the stretch, and the sums over it: way, way times slip, way times place.
    let mut stretch = (0.0, [0.0; 4]);
    let close = |sums: [f64; 4]| {
        let [way_m, slip, x, y] = sums;
        (way_m >= LEAST_WAY_M).then(|| {
            let slip = (slip / way_m).clamp(0.0, 1.0);
            let note = format!("measured on {}", drive.name);
            record([x / way_m, y / way_m], Some(slip), false, note)
        })
    };
    for m in &recording.measured_slip {
        let sound = m.slip.is_finite() && m.way_m.is_finite() && m.way_m > 0.0;
        let Some(at) = at_time(&recording.estimate, m.time_s).filter(|_| sound) else {
            continue;
        };
        let number = (at.distance_m / STRETCH_M).floor();
        if number != stretch.0 {
            out.extend(close(stretch.1));
            stretch = (number, [0.0; 4]);
        }
        let more = [1.0, m.slip, at.at_m[0], at.at_m[1]];
        let sums = stretch.1.iter_mut().zip(more);
        sums.for_each(|(sum, v)| *sum += m.way_m * v);
    }
    let last = close(stretch.1);
    let slip = last.as_ref().and_then(|r| r.slip);
    out.extend(last);
    if let Some(end) = recording.estimate_end.filter(|_| !drive.reached) {
        let [state, reason] = drive.end;
        let note = format!("{} ended here, {state}: {reason}", drive.name);
        out.push(record(end.at_m, slip, true, note));
    }
    out
}

/// Writes earlier records and this drive's; of more than the planner takes, the newest.
///
/// # Errors
/// [`CoreError`] when the file cannot be written.
pub fn keep(
    file: &Path,
    mut earlier: Vec<DriveRecord>,
    drive: Vec<DriveRecord>,
) -> Result<(), CoreError> {
    earlier.extend(drive);
    let records = earlier.split_off(earlier.len().saturating_sub(MAX_RECORDS));
    let text = serde_json::to_string_pretty(&records)
        .map_err(|e| CoreError::format(file.display().to_string(), e.to_string()))?;
    files::write_atomic(file, (text + "\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::recording::{MeasuredSlip, Point};
    use sojourn_planner::{Briefing, history_labels};

    fn recording() -> Recording {
        let point = |k: i32| Point {
            time_s: f64::from(k),
            at_m: [100.0 + 0.5 * f64::from(k), 20.0],
            distance_m: 0.5 * f64::from(k),
            tilt_deg: 0.0,
        };
        let estimate: Vec<Point> = (0..=40).map(point).collect();
        Recording {
            estimate_end: estimate.last().copied(),
            // Firm for ten metres, sand for five, nothing measured on the last five.
            measured_slip: (1..30)
                .map(|k| MeasuredSlip {
                    time_s: f64::from(k),
                    slip: if k < 20 { -0.01 } else { 0.7 },
                    way_m: 0.5,
                })
                .collect(),
            estimate,
            ..Recording::default()
        }
    }

    fn drive(reached: bool) -> Drive<'static> {
        Drive {
            name: "d1",
            date: "2026-11-23T12:00:00Z",
            reached,
            end: ["aborted", "no progress"],
        }
    }

    #[test]
    fn the_next_plan_reads_where_a_drive_slipped_and_ended() {
        let arrived = records(&recording(), &drive(true));
        assert_eq!(arrived.len(), 3, "{arrived:?}");
        assert!(arrived.iter().all(|r| !r.stopped && r.y_m == 20.0));
        assert_eq!([arrived[0].slip, arrived[1].slip], [Some(0.0); 2]);
        assert!((arrived[2].slip.unwrap() - 0.7).abs() < 1e-9);
        assert!((arrived[2].x_m - 112.25).abs() < 1e-9, "{arrived:?}");
        let ended = records(&recording(), &drive(false));
        let last = ended.last().unwrap();
        assert!(ended.len() == 4 && last.stopped && last.x_m == 120.0);
        assert!(last.note.contains("no progress"), "{last:?}");
        // The planner reads them and closes nothing but the sand and the end.
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("history.json");
        keep(&file, arrived.clone(), ended).unwrap();
        let read = Briefing::load(None, Some(&file), "").unwrap().history;
        assert_eq!(read.len(), 7);
        assert_eq!(read[..3], arrived);
        assert_eq!(history_labels(&read, 0.6).len(), 3);
    }

    #[test]
    fn without_measurements_there_is_nothing_to_tell_and_no_more_is_kept_than_is_read() {
        assert_eq!(records(&Recording::default(), &drive(true)), vec![]);
        assert_eq!(records(&Recording::default(), &drive(false)), vec![]);
        let mut odd = recording();
        for m in &mut odd.measured_slip {
            m.way_m = f64::NAN;
        }
        assert_eq!(records(&odd, &drive(true)), vec![]);
        let one = records(&recording(), &drive(true)).remove(2);
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("history.json");
        let many = vec![
            DriveRecord {
                x_m: 1.0,
                ..one.clone()
            };
            MAX_RECORDS
        ];
        keep(&file, many, vec![one.clone()]).unwrap();
        let read = Briefing::load(None, Some(&file), "").unwrap().history;
        assert_eq!(read.len(), MAX_RECORDS);
        assert_eq!(read.last(), Some(&one));
    }
}
