//! From pair to pair: the key pair, what is looked for of it in the next, and when to say that nothing can be said.

use super::{
    corners::corners,
    image::GrayImage,
    params::VoParams,
    patch::{Scratch, Template},
    solve::{self, Glimpse, Match},
    stereo::{BORDER_PX, GroundPlane, MatchGate, StereoPair, disparity},
    tracking::{Key, coarse_window, found_again, in_base, warp},
};
use nalgebra::{Isometry3, Matrix6, Vector3};

/// What wheels and gyro believe, in a frame of their own that never jumps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guess {
    /// Pose of `base_link`.
    pub reckoned_from_base_link: Isometry3<f64>,
    /// Way of the wheels so far, signs left out, metres.
    pub wheel_way_m: f64,
}

/// A motion that was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Motion {
    /// `base_link` now in `base_link` at the key pair.
    pub key_from_now: Isometry3<f64>,
    /// Covariance of its translation (metres, axes of the key's `base_link`) and of its rotation (radians, the same axes).
    pub covariance: Matrix6<f64>,
    /// Matches that agree.
    pub inliers: usize,
    /// All matches.
    pub matches: usize,
    /// Sum of squared Mahalanobis distances of the inliers over their degrees of freedom: about one.
    pub residual: f64,
}

/// Why nothing can be said of a pair.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Failure {
    /// The images are black, white or grey all over: their standard deviation, grey levels.
    NoContrast(f64),
    /// The sizes of the images are not the camera's.
    WrongSize,
    /// Too few points that both eyes see, in the pair that is the key.
    TooFewFeatures(usize),
    /// The camera has turned or gone so far that the pairs do not overlap.
    NoOverlap,
    /// Too few points were found again.
    TooFewMatches(usize),
    /// Too few of the matches agree: inliers, matches.
    TooFewInliers(usize, usize),
    /// The inliers lie so that the motion is not determined: its standard deviation, metres.
    BadSpread(f64),
    /// Even the inliers do not agree: residual per degree of freedom.
    Residual(f64),
    /// The motion is not one that wheels and gyro allow: metres from the nearest that is.
    Implausible(f64),
}

impl Failure {
    /// The reason in words.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::NoContrast(sigma) => format!("images without contrast ({sigma:.1} grey levels)"),
            Self::WrongSize => "images of another size than the camera's".into(),
            Self::TooFewFeatures(n) => format!("too few features ({n})"),
            Self::NoOverlap => "no overlap with the last pair".into(),
            Self::TooFewMatches(n) => format!("too few features found again ({n})"),
            Self::TooFewInliers(n, of) => format!("too few features agree ({n} of {of})"),
            Self::BadSpread(m) => {
                format!("the features lie too close together (motion known to {m:.2} m)")
            }
            Self::Residual(r) => format!("the features do not agree (residual {r:.1})"),
            Self::Implausible(m) => {
                format!("a motion {m:.2} m from what wheels and gyro allow")
            }
        }
    }
}

/// What a pair tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// It is the key pair now; there was none before.
    First,
    /// The motion since the key pair. `new_key`: this pair is the key pair from now on.
    Moved {
        /// The motion.
        motion: Box<Motion>,
        /// Whether this pair is the key pair from now on.
        new_key: bool,
    },
    /// Nothing. `new_key`: this pair is the key pair from now on, else there is the old one or none.
    Failed {
        /// Why.
        why: Failure,
        /// Whether this pair is the key pair from now on.
        new_key: bool,
    },
}

/// Stereo visual odometry.
#[derive(Clone, Debug)]
pub struct VisualOdometry {
    params: VoParams,
    key: Option<Key>,
    scratch: Scratch,
    number: u64,
}

/// Steps of slip that the coarse search looks at: none, all, and rolling ahead.
const SLIPS: [f64; 3] = [-0.15, 0.45, 1.05];

impl VisualOdometry {
    /// Has seen nothing yet.
    #[must_use]
    pub fn new(params: VoParams) -> Self {
        Self {
            params,
            key: None,
            scratch: Scratch::default(),
            number: 0,
        }
    }

    /// Forgets the key pair.
    pub fn reset(&mut self) {
        self.key = None;
    }

    /// Says where the key pair was, in the frame of the guesses: for those who know better than their guess was.
    pub fn rebase(&mut self, guess: &Guess) {
        if let Some(key) = &mut self.key {
            key.guess = *guess;
        }
    }

    /// Takes a pair.
    pub fn step(&mut self, pair: &StereoPair, guess: &Guess) -> Seen {
        self.number += 1;
        if let Err(why) = self.usable(pair) {
            return Seen::Failed {
                why,
                new_key: false,
            };
        }
        let Some(key) = self.key.take() else {
            return match self.make_key(pair, guess) {
                Ok(key) => {
                    self.key = Some(key);
                    Seen::First
                }
                Err(why) => Seen::Failed {
                    why,
                    new_key: false,
                },
            };
        };
        match self.follow(&key, pair, guess) {
            Ok(motion) => {
                let p = &self.params;
                let far = motion.key_from_now.translation.vector.norm() >= p.keyframe_m
                    || motion.key_from_now.rotation.angle() >= p.keyframe_rad
                    || (motion.inliers as f64) < p.keyframe_share * key.points.len() as f64;
                let next = if far {
                    self.make_key(pair, guess).ok()
                } else {
                    None
                };
                let new_key = next.is_some();
                // A pair that makes no key leaves the old one for another try.
                self.key = Some(next.unwrap_or(key));
                Seen::Moved {
                    motion: Box::new(motion),
                    new_key,
                }
            }
            Err(why) => {
                let next = self.make_key(pair, guess).ok();
                let new_key = next.is_some();
                self.key = Some(next.unwrap_or(key));
                Seen::Failed { why, new_key }
            }
        }
    }

    fn usable(&self, pair: &StereoPair) -> Result<(), Failure> {
        let c = &pair.camera.pinhole;
        let fits = |i: &GrayImage| i.width() == c.width && i.height() == c.height;
        if !(fits(&pair.left) && fits(&pair.right)) {
            return Err(Failure::WrongSize);
        }
        let contrast = pair.left.contrast().min(pair.right.contrast());
        if contrast < self.params.least_contrast {
            return Err(Failure::NoContrast(contrast));
        }
        Ok(())
    }

    fn gate(&self) -> MatchGate {
        MatchGate {
            score: self.params.least_score as f32,
            rival_share: self.params.rival_share as f32,
            sigma_px: self.params.match_sigma_px,
            worst_sigma_px: self.params.worst_sigma_px,
        }
    }

    /// Features of a pair with their depth.
    fn make_key(&mut self, pair: &StereoPair, guess: &Guess) -> Result<Key, Failure> {
        let p = &self.params;
        let ground = GroundPlane::of(&pair.base_link_from_navcam);
        let slope = ground.disparity_slope(&pair.camera);
        let gate = self.gate();
        let most_px = (pair.camera.pinhole.fx * pair.camera.baseline_m / p.least_depth_m)
            .min(p.most_disparity_px);
        let found = corners(
            &pair.left,
            p.cell_of(pair.left.width()),
            p.per_cell,
            p.least_corner as f32,
            BORDER_PX,
        );
        let mut points = Vec::with_capacity(found.len());
        for c in found {
            let range = [p.least_disparity_px, most_px];
            let sight = disparity(
                pair,
                (c.u, c.v),
                range,
                slope,
                &gate,
                true,
                &mut self.scratch,
            );
            if let Some(s) = sight {
                points.push((s, pair.camera.point(s.u, s.v, s.disparity_px)));
            }
        }
        if points.len() < p.least_features {
            return Err(Failure::TooFewFeatures(points.len()));
        }
        Ok(Key {
            left: pair.left.clone(),
            half: pair.left.half(),
            base_link_from_navcam: pair.base_link_from_navcam,
            ground,
            guess: *guess,
            points,
        })
    }

    fn follow(&mut self, key: &Key, pair: &StereoPair, guess: &Guess) -> Result<Motion, Failure> {
        let p = self.params.clone();
        let reckoned = key.guess.reckoned_from_base_link.inverse() * guess.reckoned_from_base_link;
        let way_m = (guess.wheel_way_m - key.guess.wheel_way_m).abs();
        let camera_motion = |key_from_now: &Isometry3<f64>| {
            pair.base_link_from_navcam.inverse()
                * key_from_now.inverse()
                * key.base_link_from_navcam
        };
        let guessed = camera_motion(&reckoned);
        if guessed.rotation.angle() > p.most_turn_rad || !(way_m <= p.most_way_m) {
            return Err(Failure::NoOverlap);
        }
        let with_slip = |slip: f64| {
            let mut moved = reckoned;
            moved.translation.vector *= 1.0 - slip;
            camera_motion(&moved)
        };
        let slips = SLIPS.map(with_slip);
        let aside_m = p.aside_m + p.aside_share * way_m;
        let coarse = self.coarse(key, pair, &slips, aside_m)?;
        let matches = self.fine(key, pair, &coarse);
        if matches.len() < p.least_inliers {
            return Err(Failure::TooFewMatches(matches.len()));
        }
        let first = solve::ransac(&pair.camera, &matches, &coarse, p.ransac_tries, self.number);
        let solution = solve::refine(&pair.camera, &matches, &first)
            .ok_or(Failure::BadSpread(f64::INFINITY))?;
        let inliers = solution.inlier.iter().filter(|x| **x).count();
        if inliers < p.least_inliers
            || (inliers as f64) < p.least_inlier_share * matches.len() as f64
        {
            return Err(Failure::TooFewInliers(inliers, matches.len()));
        }
        if !(solution.residual <= p.worst_residual) {
            return Err(Failure::Residual(solution.residual));
        }
        let motion = in_base(key, pair, &solution, inliers, matches.len());
        let sigma_m =
            (motion.covariance[(0, 0)] + motion.covariance[(1, 1)] + motion.covariance[(2, 2)])
                .sqrt();
        if !(sigma_m <= p.worst_sigma_m) {
            return Err(Failure::BadSpread(sigma_m));
        }
        let seen = motion.key_from_now;
        // Between no motion and a little more than the wheels' lies what can be; beside it the width of the search.
        let t = reckoned.translation.vector;
        let along =
            (seen.translation.vector.dot(&t) / t.norm_squared().max(1e-12)).clamp(-0.25, 1.25);
        let off_m = (seen.translation.vector - t * along).norm();
        let off_rad = seen.rotation.angle_to(&reckoned.rotation);
        if !(off_m <= 2.0 * aside_m && off_rad <= p.most_turn_error_rad) {
            return Err(Failure::Implausible(off_m.max(off_rad)));
        }
        Ok(motion)
    }

    /// The motion to a pixel or two, from the images of half size: the rotation of the guess, any slip.
    fn coarse(
        &mut self,
        key: &Key,
        pair: &StereoPair,
        slips: &[Isometry3<f64>; 3],
        aside_m: f64,
    ) -> Result<Isometry3<f64>, Failure> {
        let p = &self.params;
        let half = pair.left.half();
        let every = key.points.len().div_ceil(p.coarse_features.max(1)).max(1);
        let mut best: Option<(Isometry3<f64>, usize, usize)> = None;
        // Patches as they would look after little slip; if that says nothing, after much.
        let middle = |k: usize| {
            let (a, b) = (&slips[k], &slips[k + 1]);
            Isometry3::from_parts(
                ((a.translation.vector + b.translation.vector) * 0.5).into(),
                a.rotation,
            )
        };
        for expected in [middle(0), middle(1)] {
            let mut glimpses: Vec<Glimpse> = Vec::new();
            for (sight, point) in key.points.iter().step_by(every) {
                let warp = warp(&pair.camera, &key.ground, sight, point, &expected);
                let Some(template) =
                    Template::new(&key.half, 0.5 * sight.u - 0.25, 0.5 * sight.v - 0.25, &warp)
                else {
                    continue;
                };
                let Some(window) = coarse_window(&pair.camera, point, slips, aside_m) else {
                    continue;
                };
                if let Some(peak) = template.search(&half, window, &mut self.scratch)
                    && peak.score >= 0.6
                {
                    let at = |x: usize| 2.0 * x as f64 + 0.5;
                    glimpses.push((*point, [at(peak.u), at(peak.v)]));
                }
            }
            let (motion, agreed) = solve::coarse_translation(
                &pair.camera,
                &glimpses,
                &expected,
                3.0,
                p.ransac_tries,
                self.number,
            );
            if best.as_ref().is_none_or(|b| agreed > b.1) {
                best = Some((motion, agreed, glimpses.len()));
            }
            if agreed * 2 > glimpses.len() && agreed >= p.least_inliers {
                break;
            }
        }
        let (motion, agreed, of) = best.ok_or(Failure::TooFewMatches(0))?;
        if agreed < p.least_coarse {
            return Err(Failure::TooFewInliers(agreed, of));
        }
        Ok(motion)
    }

    /// All features, near where the coarse motion puts them, in both eyes.
    fn fine(&mut self, key: &Key, pair: &StereoPair, coarse: &Isometry3<f64>) -> Vec<Match> {
        let p = &self.params;
        let gate = self.gate();
        let slope = GroundPlane::of(&pair.base_link_from_navcam).disparity_slope(&pair.camera);
        let mut out = Vec::with_capacity(key.points.len());
        for (sight, point) in &key.points {
            let x = coarse.rotation * point + coarse.translation.vector;
            let Some(expected) = pair.camera.project(&x) else {
                continue;
            };
            let Some(place) = found_again(
                key,
                pair,
                sight,
                point,
                coarse,
                &expected,
                p.fine_px,
                &gate,
                &mut self.scratch,
            ) else {
                continue;
            };
            // The disparity at the nearest pixel, carried to the place on the ground's slope.
            let pixel = (place.u.round() as usize, place.v.round() as usize);
            let range = [
                (expected.z - p.fine_px as f64 - 1.0).max(p.least_disparity_px * 0.5),
                expected.z + p.fine_px as f64 + 1.0,
            ];
            let Some(now) = disparity(pair, pixel, range, slope, &gate, false, &mut self.scratch)
            else {
                continue;
            };
            let carried = slope[0] * (place.u - now.u) + slope[1] * (place.v - now.v);
            out.push(Match {
                point_in_key: *point,
                // X = ray · f B / d: the point moves along its ray.
                spread_in_key: point * (sight.disparity_var.sqrt() / sight.disparity_px),
                seen: Vector3::new(place.u, place.v, now.disparity_px + carried),
                seen_cov: place.covariance,
                disparity_var: now.disparity_var,
            });
        }
        out
    }
}
