//! Motion from matched points: three-point RANSAC, then maximum likelihood over the inliers.
//!
//! The camera's motion is `cur_from_key`: it takes points of the key pair's left optical frame to the current one's. What
//! is measured of a point is column, row and disparity in the current pair; what is known of it from the key pair has the
//! error of its disparity there. Both go into the covariance of the difference, `S = R + J σ² Jᵀ` (after Matthies and
//! Shafer 1987, and the scheme of Maimone, Cheng and Matthies 2007), and the motion is the minimum of the sum of
//! `rᵀ S⁻¹ r` under Cauchy's weights.

use super::stereo::StereoCamera;
use nalgebra::{
    Isometry3, Matrix2, Matrix3, Matrix6, Rotation3, SMatrix, Translation3, UnitQuaternion,
    Vector3, Vector6,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Beyond this squared Mahalanobis distance a match is an outlier: 99 % of chi² with three degrees of freedom.
const CHI2_3_99: f64 = 11.345;
/// Hypotheses are scored with this limit: they come from three noisy points.
const CHI2_LOOSE: f64 = 50.0;
/// Scale of Cauchy's weight, Mahalanobis distance squared.
const CAUCHY: f64 = 6.0;
/// Rounds of choosing inliers and steps of each.
const ROUNDS: usize = 3;
const STEPS: usize = 6;

/// A point seen in two pairs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// In the key pair's left optical frame, metres.
    pub point_in_key: Vector3<f64>,
    /// How it moves with its disparity there: its standard deviation is this vector's length, metres.
    pub spread_in_key: Vector3<f64>,
    /// Column, row and disparity in the current pair, pixels.
    pub seen: Vector3<f64>,
    /// Covariance of column and row, pixels².
    pub seen_cov: Matrix2<f64>,
    /// Variance of the disparity, pixels².
    pub disparity_var: f64,
}

/// A motion with what stands behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// The motion of the left camera.
    pub cur_from_key: Isometry3<f64>,
    /// Covariance of a small move (metres, then radians) that stands left of the motion, in the current frame.
    pub covariance: Matrix6<f64>,
    /// For each match whether it agrees.
    pub inlier: Vec<bool>,
    /// Sum of squared Mahalanobis distances over the degrees of freedom.
    pub residual: f64,
}

/// How a motion explains a match.
struct Difference {
    /// Column, row and disparity, seen less expected, pixels.
    r: Vector3<f64>,
    /// Its covariance, pixels².
    s: Matrix3<f64>,
    /// The point in the current left optical frame, metres.
    x: Vector3<f64>,
    /// Column, row and disparity by that point, pixels per metre.
    j: Matrix3<f64>,
}

/// Difference of what is seen to what a motion expects; `None` behind the camera.
fn difference(camera: &StereoCamera, m: &Match, pose: &Isometry3<f64>) -> Option<Difference> {
    let x = pose.rotation * m.point_in_key + pose.translation.vector;
    let z = camera.project(&x)?;
    let (fx, fy) = (camera.pinhole.fx, camera.pinhole.fy);
    let iz = 1.0 / x.z;
    let j = Matrix3::new(
        fx * iz,
        0.0,
        -fx * x.x * iz * iz,
        0.0,
        fy * iz,
        -fy * x.y * iz * iz,
        0.0,
        0.0,
        -fx * camera.baseline_m * iz * iz,
    );
    let along = j * (pose.rotation * m.spread_in_key);
    let mut s = along * along.transpose();
    s[(0, 0)] += m.seen_cov[(0, 0)];
    s[(0, 1)] += m.seen_cov[(0, 1)];
    s[(1, 0)] += m.seen_cov[(1, 0)];
    s[(1, 1)] += m.seen_cov[(1, 1)];
    s[(2, 2)] += m.disparity_var;
    let r = m.seen - z;
    Some(Difference { r, s, x, j })
}

/// The rotation and translation that bring three points over three others best (Kabsch).
fn three_points(from: [&Vector3<f64>; 3], to: [Vector3<f64>; 3]) -> Option<Isometry3<f64>> {
    let a = (from[0] + from[1] + from[2]) / 3.0;
    let b = (to[0] + to[1] + to[2]) / 3.0;
    let mut h = Matrix3::zeros();
    for (p, q) in from.iter().zip(&to) {
        h += (*p - a) * (q - b).transpose();
    }
    let svd = h.svd(true, true);
    let (u, vt) = (svd.u?, svd.v_t?);
    let mut d = Matrix3::identity();
    d[(2, 2)] = (vt.transpose() * u.transpose()).determinant().signum();
    let r = vt.transpose() * d * u.transpose();
    if !r.iter().all(|x| x.is_finite()) {
        return None;
    }
    let rotation = UnitQuaternion::from_rotation_matrix(&Rotation3::from_matrix_unchecked(r));
    Some(Isometry3::from_parts(
        Translation3::from(b - rotation * a),
        rotation,
    ))
}

/// The motion that most matches agree with. `guess` is tried first; `tries` are the draws of three points.
#[must_use]
pub fn ransac(
    camera: &StereoCamera,
    matches: &[Match],
    guess: &Isometry3<f64>,
    tries: usize,
    seed: u64,
) -> Isometry3<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // The weights change little from hypothesis to hypothesis.
    let weights: Vec<Option<Matrix3<f64>>> = matches
        .iter()
        .map(|m| difference(camera, m, guess).and_then(|d| d.s.try_inverse()))
        .collect();
    let cost = |pose: &Isometry3<f64>| -> f64 {
        matches
            .iter()
            .zip(&weights)
            .map(|(m, w)| {
                let x = pose.rotation * m.point_in_key + pose.translation.vector;
                match (camera.project(&x), w) {
                    (Some(z), Some(w)) => {
                        let r = m.seen - z;
                        r.dot(&(w * r)).min(CHI2_LOOSE)
                    }
                    _ => CHI2_LOOSE,
                }
            })
            .sum()
    };
    let points: Vec<Vector3<f64>> = matches
        .iter()
        .map(|m| camera.point(m.seen.x, m.seen.y, m.seen.z))
        .collect();
    let mut best = (cost(guess), *guess);
    if matches.len() < 3 {
        return best.1;
    }
    for _ in 0..tries {
        let i = rng.random_range(0..matches.len());
        let j = rng.random_range(0..matches.len());
        let k = rng.random_range(0..matches.len());
        if i == j || j == k || i == k {
            continue;
        }
        let from = [i, j, k].map(|n| &matches[n].point_in_key);
        let to = [i, j, k].map(|n| points[n]);
        let Some(pose) = three_points(from, to) else {
            continue;
        };
        let c = cost(&pose);
        if c < best.0 {
            best = (c, pose);
        }
    }
    best.1
}

/// Maximum likelihood from a first motion; `None` when the matches do not determine it.
#[must_use]
pub fn refine(
    camera: &StereoCamera,
    matches: &[Match],
    first: &Isometry3<f64>,
) -> Option<Solution> {
    let mut pose = *first;
    let mut limit = CHI2_LOOSE;
    for round in 0..ROUNDS {
        for _ in 0..STEPS {
            let (h, g) = normal_equations(camera, matches, &pose, limit);
            let step = h.cholesky()?.solve(&g);
            pose = moved(&step, &pose);
            if step.norm() < 1e-7 {
                break;
            }
        }
        limit = if round == 0 {
            0.5 * (CHI2_LOOSE + CHI2_3_99)
        } else {
            CHI2_3_99
        };
    }
    let mut inlier = Vec::with_capacity(matches.len());
    let (mut sum, mut count) = (0.0, 0usize);
    for m in matches {
        let d2 = difference(camera, m, &pose)
            .and_then(|d| Some(d.r.dot(&(d.s.try_inverse()? * d.r))))
            .unwrap_or(f64::INFINITY);
        inlier.push(d2 <= CHI2_3_99);
        if d2 <= CHI2_3_99 {
            sum += d2;
            count += 1;
        }
    }
    let (h, _) = normal_equations(camera, matches, &pose, CHI2_3_99);
    let covariance = h.try_inverse()?;
    let residual = sum / (3 * count).saturating_sub(6).max(1) as f64;
    let finite = covariance.iter().all(|x| x.is_finite()) && residual.is_finite();
    finite.then_some(Solution {
        cur_from_key: pose,
        covariance: covariance * residual.max(1.0),
        inlier,
        residual,
    })
}

fn normal_equations(
    camera: &StereoCamera,
    matches: &[Match],
    pose: &Isometry3<f64>,
    limit: f64,
) -> (Matrix6<f64>, Vector6<f64>) {
    let (mut h, mut g) = (Matrix6::zeros(), Vector6::zeros());
    for m in matches {
        let Some(Difference { r, s, x, j: jp }) = difference(camera, m, pose) else {
            continue;
        };
        let Some(w) = s.try_inverse() else { continue };
        let d2 = r.dot(&(w * r));
        if !(d2 <= limit) {
            continue;
        }
        let mut j = SMatrix::<f64, 3, 6>::zeros();
        j.fixed_view_mut::<3, 3>(0, 0).copy_from(&jp);
        j.fixed_view_mut::<3, 3>(0, 3)
            .copy_from(&(-jp * x.cross_matrix()));
        let weighted = j.transpose() * w / (1.0 + d2 / CAUCHY);
        h += weighted * j;
        g += weighted * r;
    }
    (h, g)
}

/// A small move left of a pose.
#[must_use]
pub fn moved(step: &Vector6<f64>, pose: &Isometry3<f64>) -> Isometry3<f64> {
    let turn = UnitQuaternion::from_scaled_axis(Vector3::new(step[3], step[4], step[5]));
    let t = turn * pose.translation.vector + Vector3::new(step[0], step[1], step[2]);
    Isometry3::from_parts(t.into(), turn * pose.rotation)
}

/// A point of the key pair and the pixel where a coarse search found it.
pub type Glimpse = (Vector3<f64>, [f64; 2]);

/// The translation that most glimpses agree with when the rotation is that of `guess`, and their number: each pair of
/// glimpses gives four equations for three unknowns. A glimpse agrees within `tolerance_px`.
#[must_use]
pub fn coarse_translation(
    camera: &StereoCamera,
    glimpses: &[Glimpse],
    guess: &Isometry3<f64>,
    tolerance_px: f64,
    tries: usize,
    seed: u64,
) -> (Isometry3<f64>, usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let turned: Vec<(Vector3<f64>, Vector3<f64>)> = glimpses
        .iter()
        .map(|(p, [u, v])| (guess.rotation * p, camera.pinhole.ray(*u, *v)))
        .collect();
    let limit = tolerance_px * tolerance_px;
    let errors = |t: &Vector3<f64>| -> Vec<f64> {
        turned
            .iter()
            .zip(glimpses)
            .map(|((x, _), (_, [u, v]))| {
                camera
                    .pinhole
                    .project(x + t)
                    .map_or(f64::INFINITY, |[a, b]| (a - u).powi(2) + (b - v).powi(2))
            })
            .collect()
    };
    let score = |e: &[f64]| -> f64 { e.iter().map(|&x| (1.0 - x / limit).max(0.0)).sum() };
    let solve = |chosen: &mut dyn Iterator<Item = usize>| -> Option<Vector3<f64>> {
        let (mut h, mut g) = (Matrix3::zeros(), Vector3::zeros());
        for k in chosen {
            let (x, ray) = &turned[k];
            // (x + t) is along the ray: its cross product with it is zero. Near points weigh more, as they should.
            let c = ray.cross_matrix() / x.z.max(0.1);
            h += c.transpose() * c;
            g -= c.transpose() * (c * x);
        }
        h.try_inverse().map(|inverse| inverse * g)
    };
    let mut best = (0.0, guess.translation.vector);
    let start = errors(&best.1);
    best.0 = score(&start);
    for _ in 0..if turned.len() < 2 { 0 } else { tries } {
        let i = rng.random_range(0..turned.len());
        let j = rng.random_range(0..turned.len());
        if i == j {
            continue;
        }
        if let Some(t) = solve(&mut [i, j].into_iter()) {
            let s = score(&errors(&t));
            if s > best.0 {
                best = (s, t);
            }
        }
    }
    let mut t = best.1;
    for _ in 0..2 {
        let e = errors(&t);
        let mut agreed = (0..e.len()).filter(|&k| e[k] <= limit);
        if let Some(better) = solve(&mut agreed) {
            t = better;
        }
    }
    let agreed = errors(&t).iter().filter(|&&e| e <= limit).count();
    (Isometry3::from_parts(t.into(), guess.rotation), agreed)
}
