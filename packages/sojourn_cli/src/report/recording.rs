//! What a recording tells of a drive.

use super::{ReportError, cdr};
use sojourn_core::geometry::Xy;
use std::collections::BTreeSet;
use std::path::Path;

/// Largest recording that is read, bytes.
const MAX_BYTES: u64 = 4 << 30;
/// State STOPPED of `sojourn_msgs/AutonavStatus`.
const STOPPED: u8 = 3;
/// A path counts as straight below this curvature, 1/m.
const STRAIGHT_PER_M: f64 = 0.02;
/// Swerves nearer together than this are told as one, metres.
const SAME_SWERVE_M: f64 = 2.0;

/// A point of a track.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Seconds.
    pub time_s: f64,
    /// Position in `map`, metres.
    pub at_m: Xy,
    /// Way since the start, metres.
    pub distance_m: f64,
    /// Tilt against the vertical, degrees.
    pub tilt_deg: f64,
}

/// What AutoNav did of its own accord.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Stopped: no path was safe.
    Stop,
    /// Took another way than straight on, because straight on was not safe.
    Swerve,
}

/// One such deed.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Seconds.
    pub time_s: f64,
    /// Position in `map`, metres.
    pub at_m: Xy,
    /// Way since the start, metres.
    pub distance_m: f64,
    /// What.
    pub deed: Deed,
    /// AutoNav's words.
    pub reason: String,
}

/// Slip that the rover measured itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeasuredSlip {
    /// Seconds.
    pub time_s: f64,
    /// Share of the wheels' way that the ground took back.
    pub slip: f64,
    /// That way, metres.
    pub way_m: f64,
}

/// What a recording tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recording {
    /// Ground truth, about one point per second.
    pub truth: Vec<Point>,
    /// The rover's own estimate in `map`.
    pub estimate: Vec<Point>,
    /// The very last estimate.
    pub estimate_end: Option<Point>,
    /// Slip over the way: distance and share of the wheels' way that was lost.
    pub slip: Vec<[f64; 2]>,
    /// Slip that the rover measured itself, one after the other; none where it was not recorded.
    pub measured_slip: Vec<MeasuredSlip>,
    /// Stops and swerves.
    pub events: Vec<Event>,
    /// Nodes whose heartbeat was heard.
    pub nodes: BTreeSet<String>,
    /// Greatest number of stops that AutoNav counted.
    pub stops: u32,
}

/// Reads a recording.
///
/// # Errors
/// [`ReportError`] that names the file.
pub fn read(path: &Path) -> Result<Recording, ReportError> {
    let bytes = sojourn_core::files::read_bytes(path, MAX_BYTES)?;
    let broken = |reason: String| ReportError::Recording {
        path: path.to_path_buf(),
        reason,
    };
    let mut truth = Vec::new();
    let mut odometry = Vec::new();
    let mut statuses = Vec::new();
    let mut measured_slip = Vec::new();
    let mut map_from_odom = None;
    let mut nodes = BTreeSet::new();
    for message in mcap::MessageStream::new(&bytes).map_err(|e| broken(e.to_string()))? {
        let message = message.map_err(|e| broken(e.to_string()))?;
        let data = &message.data;
        let told = |e: ReportError| broken(format!("a message on {} {e}", message.channel.topic));
        // A namespace may stand in front of the names.
        match message.channel.topic.trim_start_matches('/') {
            t if t.ends_with("ground_truth/odometry") => {
                truth.push(cdr::odometry(data).map_err(told)?);
            }
            t if t == "odometry" || t.ends_with("/odometry") => {
                odometry.push(cdr::odometry(data).map_err(told)?);
            }
            t if t == "slip" || t.ends_with("/slip") => {
                let (time_s, [slip, _sigma, way_m]) = cdr::vector3(data).map_err(told)?;
                measured_slip.push(MeasuredSlip {
                    time_s,
                    slip,
                    way_m,
                });
            }
            t if t.ends_with("autonav_status") => {
                statuses.push(cdr::autonav_status(data).map_err(told)?);
            }
            t if t.ends_with("heartbeat") => {
                nodes.insert(cdr::heartbeat_node(data).map_err(told)?);
            }
            "tf" if map_from_odom.is_none() => {
                map_from_odom = cdr::transforms(data)
                    .map_err(told)?
                    .into_iter()
                    .find(|(parent, child, _, _)| parent == "map" && child == "odom");
            }
            _ => {}
        }
    }
    let truth = track(&truth, |p| [p[0], p[1]], 0.0);
    let mut estimate_end = None;
    let estimate = match map_from_odom {
        Some((_, _, t, q)) => {
            let (sin, cos) = yaw_rad(q).sin_cos();
            let into_map = |p: [f64; 3]| {
                [
                    t[0] + cos * p[0] - sin * p[1],
                    t[1] + sin * p[0] + cos * p[1],
                ]
            };
            estimate_end = odometry.last().and_then(|m| {
                track(std::slice::from_ref(m), into_map, 0.0)
                    .first()
                    .copied()
            });
            track(&odometry, into_map, 0.9)
        }
        None => Vec::new(),
    };
    let slip = slip_of(&truth, &estimate);
    let path = if truth.is_empty() { &estimate } else { &truth };
    Ok(Recording {
        events: events_of(&statuses, path),
        stops: statuses.iter().map(|s| s.stops).max().unwrap_or(0),
        truth,
        estimate,
        estimate_end,
        slip,
        measured_slip,
        nodes,
    })
}

fn yaw_rad([x, y, z, w]: [f64; 4]) -> f64 {
    (2.0 * (w * z + x * y)).atan2(1.0 - 2.0 * (y * y + z * z))
}

/// Angle between the body's up and the vertical.
fn tilt_deg([x, y, _, _]: [f64; 4]) -> f64 {
    (1.0 - 2.0 * (x * x + y * y))
        .clamp(-1.0, 1.0)
        .acos()
        .to_degrees()
}

fn track(
    messages: &[cdr::Odometry],
    into_map: impl Fn([f64; 3]) -> Xy,
    least_step_s: f64,
) -> Vec<Point> {
    let mut out: Vec<Point> = Vec::new();
    let mut distance_m = 0.0;
    let mut before: Option<Xy> = None;
    for m in messages {
        let at_m = into_map(m.position_m);
        if !at_m.iter().all(|v| v.is_finite()) {
            continue;
        }
        if let Some(b) = before {
            distance_m += sojourn_core::geometry::distance_m(b, at_m);
        }
        before = Some(at_m);
        let last_s = out.last().map_or(f64::NEG_INFINITY, |p| p.time_s);
        if m.time_s - last_s >= least_step_s {
            out.push(Point {
                time_s: m.time_s,
                at_m,
                distance_m,
                tilt_deg: tilt_deg(m.orientation),
            });
        }
    }
    out
}

/// The point of a track at a time, or the nearest end.
#[must_use]
pub fn at_time(track: &[Point], time_s: f64) -> Option<Point> {
    let i = track.partition_point(|p| p.time_s <= time_s);
    track.get(i.saturating_sub(1)).copied()
}

/// Compares the way of the wheels with the true way, in windows of two metres of wheel way.
fn slip_of(truth: &[Point], estimate: &[Point]) -> Vec<[f64; 2]> {
    const WINDOW_M: f64 = 2.0;
    let mut out = Vec::new();
    let Some(mut begin) = truth.first().copied() else {
        return out;
    };
    let Some(mut wheels_begin) = at_time(estimate, begin.time_s) else {
        return out;
    };
    for p in truth {
        let Some(wheels) = at_time(estimate, p.time_s) else {
            continue;
        };
        let turned_m = wheels.distance_m - wheels_begin.distance_m;
        if turned_m >= WINDOW_M {
            let true_m = p.distance_m - begin.distance_m;
            out.push([
                (begin.distance_m + p.distance_m) / 2.0,
                (1.0 - true_m / turned_m).clamp(-1.0, 1.0),
            ]);
            (begin, wheels_begin) = (*p, wheels);
        }
    }
    out
}

fn events_of(statuses: &[cdr::AutonavStatus], path: &[Point]) -> Vec<Event> {
    let mut out: Vec<Event> = Vec::new();
    let mut stopped = false;
    for s in statuses {
        let place = at_time(path, s.time_s);
        let event = |deed, reason: &str| Event {
            time_s: s.time_s,
            at_m: place.map_or([f64::NAN; 2], |p| p.at_m),
            distance_m: place.map_or(0.0, |p| p.distance_m),
            deed,
            reason: reason.to_string(),
        };
        if s.state == STOPPED {
            if !stopped {
                out.push(event(Deed::Stop, &s.reason));
            }
            stopped = true;
            continue;
        }
        stopped = false;
        let straight = s
            .candidates
            .iter()
            .find(|c| c.curvature.iter().all(|k| k.abs() < STRAIGHT_PER_M));
        let turning = s
            .candidates
            .iter()
            .any(|c| c.chosen && c.curvature.iter().any(|k| k.abs() >= STRAIGHT_PER_M));
        if let Some(straight) = straight
            && !straight.safe
            && turning
        {
            let new = event(Deed::Swerve, &straight.reason);
            let same = out
                .iter()
                .rev()
                .find(|e| e.deed == Deed::Swerve)
                .is_some_and(|e| (new.distance_m - e.distance_m).abs() < SAME_SWERVE_M);
            if !same {
                out.push(new);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(time_s: f64, x_m: f64) -> Point {
        Point {
            time_s,
            at_m: [x_m, 0.0],
            distance_m: x_m,
            tilt_deg: 0.0,
        }
    }

    #[test]
    fn slip_is_the_lost_share_of_the_wheels_way() {
        let truth: Vec<_> = (0..100)
            .map(|i| point(f64::from(i), 0.08 * f64::from(i)))
            .collect();
        let wheels: Vec<_> = (0..100)
            .map(|i| point(f64::from(i), 0.1 * f64::from(i)))
            .collect();
        let slip = slip_of(&truth, &wheels);
        assert!(slip.len() >= 4);
        assert!(slip.iter().all(|s| (s[1] - 0.2).abs() < 1e-6));
        assert!(slip_of(&[], &wheels).is_empty());
        assert!(slip_of(&truth, &[]).is_empty());
    }

    #[test]
    fn stops_are_counted_once_and_swerves_say_what_for() {
        let status = |time_s: f64, state: u8, straight_safe: bool, turn: bool| cdr::AutonavStatus {
            time_s,
            state,
            reason: "no arc is safe".into(),
            stops: 1,
            candidates: vec![
                cdr::Candidate {
                    curvature: [0.0, 0.0],
                    chosen: !turn,
                    safe: straight_safe,
                    reason: "belly clearance".into(),
                },
                cdr::Candidate {
                    curvature: [0.2, 0.2],
                    chosen: turn,
                    safe: true,
                    reason: String::new(),
                },
            ],
        };
        let path: Vec<_> = (0..10).map(|i| point(f64::from(i), f64::from(i))).collect();
        let events = events_of(
            &[
                status(1.0, 1, true, true),
                status(2.0, 1, false, true),
                status(3.0, 1, false, true),
                status(5.0, 3, false, false),
                status(6.0, 3, false, false),
            ],
            &path,
        );
        assert_eq!(events.len(), 2, "{events:?}");
        assert_eq!(
            (events[0].deed, events[0].reason.as_str()),
            (Deed::Swerve, "belly clearance")
        );
        assert_eq!((events[1].deed, events[1].at_m), (Deed::Stop, [5.0, 0.0]));
    }

    #[test]
    fn tilt_is_the_angle_from_the_vertical() {
        let half = 10f64.to_radians() / 2.0;
        assert!((tilt_deg([half.sin(), 0.0, 0.0, half.cos()]) - 10.0).abs() < 1e-6);
        assert!(tilt_deg([0.0, 0.0, half.sin(), half.cos()]) < 1e-3);
    }

    #[test]
    fn what_is_no_recording_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("recording.mcap");
        std::fs::write(&path, b"hello").unwrap();
        assert!(
            read(&path)
                .unwrap_err()
                .to_string()
                .contains("recording.mcap")
        );
    }
}
