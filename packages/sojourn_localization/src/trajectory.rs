//! Trajectories and how far one is from another: TUM files (as `evo` reads them), alignment (Umeyama 1991, without scale),
//! absolute error (ATE) and error over stretches of the way (RPE, after Geiger et al., KITTI, 2012).

use nalgebra::{Isometry3, Matrix3, Rotation3, Translation3, UnitQuaternion, Vector3};
use serde::Serialize;
use sojourn_core::CoreError;

/// Lengths of the stretches that the relative error is told over, metres.
const STRETCHES_M: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0];
/// Most stretches of a length that are looked at.
const MOST_STRETCHES: usize = 2000;
/// Coordinates beyond this are no places, metres.
const FARTHEST_M: f64 = 1e9;

/// Where something was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// When, seconds.
    pub time_s: f64,
    /// Position, metres.
    pub position_m: Vector3<f64>,
    /// Orientation, where it is known.
    pub rotation: Option<UnitQuaternion<f64>>,
}

impl Place {
    fn pose(&self) -> Option<Isometry3<f64>> {
        let rotation = self.rotation?;
        Some(Isometry3::from_parts(
            Translation3::from(self.position_m),
            rotation,
        ))
    }
}

/// Places in the order of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trajectory(Vec<Place>);

impl Trajectory {
    /// Takes places; `what` names them in messages.
    ///
    /// # Errors
    /// [`CoreError::Value`] when a number is not finite or the times do not grow.
    pub fn new(what: &str, places: Vec<Place>) -> Result<Self, CoreError> {
        let mut last_s = f64::NEG_INFINITY;
        for (k, p) in places.iter().enumerate() {
            if !p.position_m.iter().all(|x| x.abs() <= FARTHEST_M) {
                let [x, y, z]: [f64; 3] = p.position_m.into();
                return Err(CoreError::value(
                    what,
                    format!("position {}", k + 1),
                    format!("{x}, {y}, {z}"),
                    "numbers in metres",
                ));
            }
            if !(p.time_s > last_s && p.time_s.is_finite()) {
                return Err(CoreError::value(
                    what,
                    format!("time of place {}", k + 1),
                    p.time_s,
                    format!("later than {last_s}"),
                ));
            }
            last_s = p.time_s;
        }
        Ok(Self(places))
    }

    /// Adds a place; one that is not later than the last, or not finite, is left out.
    pub fn push(&mut self, time_s: f64, pose: &Isometry3<f64>) {
        let last_s = self.0.last().map_or(f64::NEG_INFINITY, |p| p.time_s);
        if time_s > last_s
            && time_s.is_finite()
            && pose.to_homogeneous().iter().all(|x| x.is_finite())
        {
            self.0.push(Place {
                time_s,
                position_m: pose.translation.vector,
                rotation: Some(pose.rotation),
            });
        }
    }

    /// The places.
    #[must_use]
    pub fn places(&self) -> &[Place] {
        &self.0
    }

    /// Each pose followed by another: the trajectory of another point of the same body. Places without orientation keep
    /// their position.
    #[must_use]
    pub fn moved(&self, body_from_point: &Isometry3<f64>) -> Self {
        let of = |p: &Place| match p.pose() {
            Some(pose) => {
                let pose = pose * body_from_point;
                Place {
                    time_s: p.time_s,
                    position_m: pose.translation.vector,
                    rotation: Some(pose.rotation),
                }
            }
            None => *p,
        };
        Self(self.0.iter().map(of).collect())
    }

    /// The trajectory in another frame.
    #[must_use]
    pub fn in_frame(&self, to_from_this: &Isometry3<f64>) -> Self {
        let of = |p: &Place| Place {
            time_s: p.time_s,
            position_m: to_from_this.transform_point(&p.position_m.into()).coords,
            rotation: p.rotation.map(|r| to_from_this.rotation * r),
        };
        Self(self.0.iter().map(of).collect())
    }

    /// Reads TUM text: a line is `time x y z qx qy qz qw`, `#` begins a comment. A quaternion of four zeros says that the
    /// orientation is not known.
    ///
    /// # Errors
    /// [`CoreError`] that names `what` and the line.
    pub fn parse_tum(what: &str, text: &str) -> Result<Self, CoreError> {
        let mut places = Vec::new();
        for (k, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = || {
                CoreError::format(
                    what,
                    format!(
                        "line {} is {line:?}, expected: time x y z qx qy qz qw",
                        k + 1
                    ),
                )
            };
            let numbers: Vec<f64> = line
                .split_whitespace()
                .map(str::parse)
                .collect::<Result<_, _>>()
                .map_err(|_| wrong())?;
            let [time_s, x, y, z, qx, qy, qz, qw]: [f64; 8] =
                numbers.try_into().map_err(|_| wrong())?;
            let rotation = unit([qx, qy, qz, qw]).ok_or_else(wrong)?;
            places.push(Place {
                time_s,
                position_m: Vector3::new(x, y, z),
                rotation,
            });
        }
        if places.is_empty() {
            return Err(CoreError::format(
                what,
                "holds no place, expected lines: time x y z qx qy qz qw",
            ));
        }
        Self::new(what, places)
    }

    /// TUM text, as `evo` reads it. Where the orientation is not known it is the identity.
    #[must_use]
    pub fn to_tum(&self) -> String {
        use std::fmt::Write;
        let mut out = String::from("# time_s x_m y_m z_m qx qy qz qw\n");
        for p in &self.0 {
            let q = p.rotation.unwrap_or_else(UnitQuaternion::identity);
            let (t, q) = (p.position_m, q.coords);
            // Writing to a string does not fail.
            let _ = writeln!(
                out,
                "{:.6} {:.6} {:.6} {:.6} {:.9} {:.9} {:.9} {:.9}",
                p.time_s, t.x, t.y, t.z, q.x, q.y, q.z, q.w
            );
        }
        out
    }

    /// The place at a time, between its neighbours; `None` outside, or when they are more than `most_gap_s` apart.
    #[must_use]
    pub fn at(&self, time_s: f64, most_gap_s: f64) -> Option<Place> {
        let after = self.0.partition_point(|p| p.time_s < time_s);
        let b = self.0.get(after)?;
        if b.time_s <= time_s {
            return Some(*b);
        }
        let a = self.0.get(after.checked_sub(1)?)?;
        let gap_s = b.time_s - a.time_s;
        if gap_s > most_gap_s {
            return None;
        }
        let share = (time_s - a.time_s) / gap_s;
        let rotation = match (a.rotation, b.rotation) {
            (Some(p), Some(q)) => Some(p.try_slerp(&q, share, 1e-12).unwrap_or(q)),
            _ => None,
        };
        Some(Place {
            time_s,
            position_m: a.position_m.lerp(&b.position_m, share),
            rotation,
        })
    }
}

/// Quaternion of any length but zero; four zeros are no orientation; not-a-number is nothing at all.
fn unit([x, y, z, w]: [f64; 4]) -> Option<Option<UnitQuaternion<f64>>> {
    let q = nalgebra::Quaternion::new(w, x, y, z);
    if !q.norm().is_finite() {
        return None;
    }
    Some(UnitQuaternion::try_new(q, 1e-6))
}

/// The relative error over stretches of one length.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Stretch {
    /// Length, metres of the true way.
    pub length_m: f64,
    /// How many.
    pub count: usize,
    /// Root mean square of the translation's error, share of the length.
    pub translation_share: f64,
    /// Root mean square of the rotation's error, degrees per metre.
    pub rotation_deg_per_m: f64,
}

/// How far an estimate is from the truth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// Places that were compared.
    pub places: usize,
    /// The true way between the first and the last of them, metres.
    pub way_m: f64,
    /// Absolute error after the best rigid alignment: root mean square, metres.
    pub ate_rmse_m: f64,
    /// Its median, metres.
    pub ate_median_m: f64,
    /// Its greatest, metres.
    pub ate_max_m: f64,
    /// Distance from the truth at the end when both begin alike, share of the way; null where orientations are not known.
    pub drift_end: Option<f64>,
    /// Errors over stretches; empty where orientations are not known.
    pub rpe: Vec<Stretch>,
}

/// Compares an estimate with the truth at the estimate's times, and gives the truth's frame by the estimate's. Both must be
/// of the same point of the body. `most_gap_s` is the longest gap in the truth that is interpolated over.
///
/// # Errors
/// [`CoreError::Format`] when fewer than three places can be compared.
pub fn score(
    what: &str,
    estimate: &Trajectory,
    truth: &Trajectory,
    most_gap_s: f64,
) -> Result<(Score, Isometry3<f64>), CoreError> {
    let both: Vec<(Place, Place)> = estimate
        .0
        .iter()
        .filter_map(|e| Some((*e, truth.at(e.time_s, most_gap_s)?)))
        .collect();
    if both.len() < 3 {
        let span = |t: &Trajectory| match (t.0.first(), t.0.last()) {
            (Some(a), Some(b)) => format!("from {:.3} to {:.3} s", a.time_s, b.time_s),
            _ => "empty".to_string(),
        };
        return Err(CoreError::format(
            what,
            format!(
                "the truth ({}) and the estimate ({}) have {} times in common, expected at least 3",
                span(truth),
                span(estimate),
                both.len()
            ),
        ));
    }
    let truth_from_estimate = align(&both);
    let mut errors: Vec<f64> = both
        .iter()
        .map(|(e, t)| {
            (truth_from_estimate
                .transform_point(&e.position_m.into())
                .coords
                - t.position_m)
                .norm()
        })
        .collect();
    let n = errors.len() as f64;
    let ate_rmse_m = (errors.iter().map(|e| e * e).sum::<f64>() / n).sqrt();
    errors.sort_by(f64::total_cmp);
    let way_m: Vec<f64> = both
        .iter()
        .scan((None, 0.0), |(last, sum), (_, t)| {
            if let Some(last) = last.replace(t.position_m) {
                *sum += (t.position_m - last).norm();
            }
            Some(*sum)
        })
        .collect();
    let whole_m = way_m.last().copied().unwrap_or(0.0);
    let relative = |i: usize, j: usize| -> Option<Isometry3<f64>> {
        let ((e0, t0), (e1, t1)) = (both.get(i)?, both.get(j)?);
        let believed = e0.pose()?.inverse() * e1.pose()?;
        Some((t0.pose()?.inverse() * t1.pose()?).inverse() * believed)
    };
    let score = Score {
        places: both.len(),
        way_m: whole_m,
        ate_rmse_m,
        ate_median_m: errors[errors.len() / 2],
        ate_max_m: errors[errors.len() - 1],
        drift_end: relative(0, both.len() - 1)
            .filter(|_| whole_m > 0.0)
            .map(|e| e.translation.vector.norm() / whole_m),
        rpe: STRETCHES_M
            .into_iter()
            .filter_map(|length_m| stretches(&way_m, length_m, &relative))
            .collect(),
    };
    Ok((score, truth_from_estimate))
}

fn stretches(
    way_m: &[f64],
    length_m: f64,
    relative: &dyn Fn(usize, usize) -> Option<Isometry3<f64>>,
) -> Option<Stretch> {
    let step = way_m.len().div_ceil(MOST_STRETCHES).max(1);
    let (mut count, mut square, mut angle) = (0usize, 0.0, 0.0);
    for i in (0..way_m.len()).step_by(step) {
        let j = way_m.partition_point(|&m| m < way_m[i] + length_m);
        let Some(&end_m) = way_m.get(j) else { break };
        let long_m = end_m - way_m[i];
        // Places far apart do not stand for short stretches.
        if long_m > 1.5 * length_m {
            continue;
        }
        let e = relative(i, j)?;
        square += (e.translation.vector.norm() / long_m).powi(2);
        angle += (e.rotation.angle().to_degrees() / long_m).powi(2);
        count += 1;
    }
    (count > 0).then(|| Stretch {
        length_m,
        count,
        translation_share: (square / count as f64).sqrt(),
        rotation_deg_per_m: (angle / count as f64).sqrt(),
    })
}

/// The rigid motion that brings the estimate nearest to the truth in the least squares.
fn align(both: &[(Place, Place)]) -> Isometry3<f64> {
    let n = both.len().max(1) as f64;
    let mean = |f: &dyn Fn(&(Place, Place)) -> Vector3<f64>| {
        both.iter().fold(Vector3::zeros(), |sum, b| sum + f(b)) / n
    };
    let (e_mean, t_mean) = (mean(&|b| b.0.position_m), mean(&|b| b.1.position_m));
    let mut h = Matrix3::zeros();
    for (e, t) in both {
        h += (t.position_m - t_mean) * (e.position_m - e_mean).transpose();
    }
    let svd = h.svd(true, true);
    let rotation = match (svd.u, svd.v_t) {
        (Some(u), Some(vt)) if (u * vt).iter().all(|x| x.is_finite()) => {
            let mut d = Matrix3::identity();
            d[(2, 2)] = (u.determinant() * vt.determinant()).signum();
            UnitQuaternion::from_rotation_matrix(&Rotation3::from_matrix_unchecked(u * d * vt))
        }
        _ => UnitQuaternion::identity(),
    };
    Isometry3::from_parts((t_mean - rotation * e_mean).into(), rotation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A walk around a rising bend of 40 m.
    fn walk(scale: f64, noise: f64) -> Trajectory {
        let mut out = Trajectory::default();
        for k in 0..400 {
            let a = 0.01 * f64::from(k);
            let aside = noise * (37.0 * a).sin();
            let p = Vector3::new(
                10.0 * a.sin() * scale,
                10.0 * (1.0 - a.cos()) * scale + aside,
                a,
            );
            out.push(
                f64::from(k),
                &Isometry3::from_parts(p.into(), UnitQuaternion::from_euler_angles(0.0, 0.0, a)),
            );
        }
        out
    }

    #[test]
    fn an_estimate_in_another_frame_has_no_error() {
        let truth = walk(1.0, 0.0);
        let away = Isometry3::from_parts(
            Translation3::new(100.0, -3.0, 7.0),
            UnitQuaternion::from_euler_angles(0.1, -0.2, 2.0),
        );
        let (s, found) = score("t", &truth.in_frame(&away), &truth, 1.0).unwrap();
        assert!(s.ate_rmse_m < 1e-9 && s.drift_end.unwrap() < 1e-9, "{s:?}");
        assert!((found * away).translation.vector.norm() < 1e-6);
        assert!(
            s.rpe
                .iter()
                .all(|r| r.translation_share < 1e-9 && r.rotation_deg_per_m < 1e-6)
        );
        assert_eq!(
            s.rpe.iter().map(|r| r.length_m as u32).collect::<Vec<_>>(),
            [1, 2, 5, 10, 20]
        );
        assert!((s.way_m - 40.1).abs() < 0.2, "{}", s.way_m);
    }

    #[test]
    fn a_way_that_is_two_per_cent_too_long_is_told_so() {
        let (s, _) = score("t", &walk(1.02, 0.0), &walk(1.0, 0.0), 1.0).unwrap();
        for r in &s.rpe {
            assert!((r.translation_share - 0.02).abs() < 0.004, "{r:?}");
        }
        assert!(
            s.ate_rmse_m > 0.05 && s.ate_rmse_m < 0.3,
            "{}",
            s.ate_rmse_m
        );
        assert!(s.ate_median_m <= s.ate_max_m);
    }

    #[test]
    fn the_absolute_error_is_that_of_the_noise() {
        let (s, _) = score("t", &walk(1.0, 0.1), &walk(1.0, 0.0), 1.0).unwrap();
        assert!(
            (s.ate_rmse_m - 0.1 / 2f64.sqrt()).abs() < 0.01,
            "{}",
            s.ate_rmse_m
        );
        assert!(s.ate_max_m <= 0.11);
    }

    #[test]
    fn the_trajectory_of_another_point_goes_around() {
        let lever = Isometry3::translation(1.0, 0.0, 0.0);
        let moved = walk(1.0, 0.0).moved(&lever);
        let (a, b) = (walk(1.0, 0.0), moved);
        for (p, q) in a.places().iter().zip(b.places()) {
            assert!(((p.position_m - q.position_m).norm() - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn truths_without_orientation_give_an_absolute_error_only() {
        let text: String = (0..50).map(|k| format!("{k} {k} 0 0 0 0 0 0\n")).collect();
        let truth = Trajectory::parse_tum("t", &text).unwrap();
        let (s, _) = score("t", &truth, &truth, 1.0).unwrap();
        assert!(s.rpe.is_empty() && s.drift_end.is_none() && s.ate_rmse_m < 1e-9);
    }

    #[test]
    fn wrong_files_are_told_by_line() {
        for (text, words) in [
            ("0 1 2 3", "line 1"),
            ("0 1 2 3 0 0 0 1\n1 a 2 3 0 0 0 1", "line 2"),
            ("1 1 2 3 0 0 0 1\n1 1 2 3 0 0 0 1", "time of place 2"),
            ("0 nan 2 3 0 0 0 1", "position 1"),
            ("0 1 2 3 0 0 nan 1", "line 1"),
            ("# nothing\n", "no place"),
        ] {
            let why = Trajectory::parse_tum("f.tum", text)
                .unwrap_err()
                .to_string();
            assert!(why.contains("f.tum") && why.contains(words), "{why}");
        }
        let why = score("x", &walk(1.0, 0.0), &Trajectory::default(), 1.0).unwrap_err();
        assert!(why.to_string().contains("0 times in common"), "{why}");
    }

    #[test]
    fn gaps_are_not_bridged() {
        let t = Trajectory::parse_tum("t", "0 0 0 0 0 0 0 1\n10 10 0 0 0 0 0 1").unwrap();
        assert!(
            t.at(5.0, 1.0).is_none() && t.at(11.0, 1.0).is_none() && t.at(-1.0, 99.0).is_none()
        );
        assert!((t.at(5.0, 10.0).unwrap().position_m.x - 5.0).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn tum_text_round_trips(x in -1e3..1e3, y in -1e3..1e3, yaw in -3.0..3.0, t in 0.0..1e6) {
            let mut a = Trajectory::default();
            let pose = Isometry3::from_parts(
                Translation3::new(x, y, 1.0),
                UnitQuaternion::from_euler_angles(0.1, 0.2, yaw),
            );
            a.push(t, &pose);
            let b = Trajectory::parse_tum("t", &a.to_tum()).unwrap();
            let (p, q) = (a.places()[0], b.places()[0]);
            prop_assert!((p.position_m - q.position_m).norm() < 1e-5 && (p.time_s - q.time_s).abs() < 1e-5);
            prop_assert!(p.rotation.unwrap().angle_to(&q.rotation.unwrap()) < 1e-6);
        }

        #[test]
        fn rubbish_is_an_error_and_no_more(text in "[0-9 .eE+\\-naN\\n#]{0,200}") {
            let _ = Trajectory::parse_tum("t", &text);
        }
    }
}
