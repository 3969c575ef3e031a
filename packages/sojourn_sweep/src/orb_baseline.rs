//! The loop of every textbook, from OpenCV's parts, as a measure for our own visual odometry: ORB in both eyes, matched
//! between them along the rows and to the last pair by brute force, `solvePnPRansac` from the last pair's points to this
//! pair's pixels. No prediction, no key pairs, no covariance; where it finds nothing the last motion is repeated.

use crate::{
    cpu_s,
    odometry_trial::{Drift, PairObserver, drift_of},
};
use nalgebra::{Isometry3, Translation3, UnitQuaternion, Vector3};
use opencv::{
    calib3d::{SOLVEPNP_ITERATIVE, solve_pnp_ransac},
    core::{DMatch, KeyPoint, Mat, NORM_HAMMING, Point2d, Point3d, Ptr, Vector, no_array},
    features2d::{BFMatcher, ORB, ORB_ScoreType},
    prelude::*,
};
use serde::{Deserialize, Serialize};
use sojourn_core::Stamp;
use sojourn_localization::vo::{GrayImage, StereoPair};

/// Features of an image at most.
const FEATURES: i32 = 1500;
/// Rows that two eyes' keypoints of one point may differ by, pixels.
const ROW_PX: f32 = 1.5;
/// Least disparity, pixels.
const LEAST_DISPARITY_PX: f32 = 2.0;
/// RANSAC: draws, limit in pixels, confidence.
const DRAWS: i32 = 300;
const LIMIT_PX: f32 = 1.5;
const CONFIDENCE: f64 = 0.999;
/// Least points of a motion.
const LEAST_POINTS: usize = 12;

/// What the loop gave.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Error at the end.
    pub drift: Drift,
    /// Pairs after the first.
    pub pairs: u64,
    /// Of them those that gave a motion.
    pub motions: u64,
    /// Processor time of each pair, milliseconds.
    pub pair_ms: Vec<f64>,
}

struct Seen {
    descriptors: Mat,
    pixels: Vec<[f64; 2]>,
    points: Vec<Option<Vector3<f64>>>,
}

/// The loop.
pub struct OrbBaseline {
    orb: Ptr<ORB>,
    matcher: Ptr<BFMatcher>,
    last: Option<Seen>,
    /// Left camera in the map as the loop believes it; begins at the truth.
    map_from_camera: Option<Isometry3<f64>>,
    step: Isometry3<f64>,
    truth: Option<Isometry3<f64>>,
    way_m: f64,
    result: Baseline,
}

impl OrbBaseline {
    /// Has seen nothing yet.
    ///
    /// # Errors
    /// OpenCV's, when it cannot be set up.
    pub fn new() -> opencv::Result<Self> {
        Ok(Self {
            orb: ORB::create(
                FEATURES,
                1.2,
                8,
                31,
                0,
                2,
                ORB_ScoreType::HARRIS_SCORE,
                31,
                20,
            )?,
            matcher: BFMatcher::create(NORM_HAMMING, true)?,
            last: None,
            map_from_camera: None,
            step: Isometry3::identity(),
            truth: None,
            way_m: 0.0,
            result: Baseline::default(),
        })
    }

    /// What came of it.
    #[must_use]
    pub fn result(&self) -> &Baseline {
        &self.result
    }

    fn look(&mut self, pair: &StereoPair) -> opencv::Result<Option<Isometry3<f64>>> {
        let (left, left_descriptors) = self.features(&pair.left)?;
        let (right, right_descriptors) = self.features(&pair.right)?;
        let mut points = vec![None; left.len()];
        for m in self.matches(&left_descriptors, &right_descriptors)? {
            let (Ok(l), Ok(r)) = (
                left.get(m.query_idx as usize),
                right.get(m.train_idx as usize),
            ) else {
                continue;
            };
            let (l, r) = (l.pt(), r.pt());
            let disparity = l.x - r.x;
            if (l.y - r.y).abs() <= ROW_PX && disparity >= LEAST_DISPARITY_PX {
                let point = pair
                    .camera
                    .point(f64::from(l.x), f64::from(l.y), f64::from(disparity));
                points[m.query_idx as usize] = Some(point);
            }
        }
        let pixels = left
            .iter()
            .map(|k| [f64::from(k.pt().x), f64::from(k.pt().y)])
            .collect();
        let now = Seen {
            descriptors: left_descriptors,
            pixels,
            points,
        };
        let motion = match &self.last {
            Some(last) => self.motion(last, &now, pair)?,
            None => None,
        };
        self.last = Some(now);
        Ok(motion)
    }

    fn features(&mut self, image: &GrayImage) -> opencv::Result<(Vector<KeyPoint>, Mat)> {
        let (rows, columns) = (image.height() as i32, image.width() as i32);
        let data: Vec<u8> = (0..image.height())
            .flat_map(|v| image.row(0, v, image.width()).iter().copied())
            .collect();
        let image = Mat::new_rows_cols_with_data(rows, columns, &data)?;
        let (mut keypoints, mut descriptors) = (Vector::new(), Mat::default());
        self.orb
            .detect_and_compute_def(&image, &no_array(), &mut keypoints, &mut descriptors)?;
        Ok((keypoints, descriptors))
    }

    fn matches(&self, from: &Mat, to: &Mat) -> opencv::Result<Vector<DMatch>> {
        let mut out = Vector::new();
        if from.rows() > 0 && to.rows() > 0 {
            self.matcher.train_match_def(from, to, &mut out)?;
        }
        Ok(out)
    }

    /// The last left camera's frame in this one's.
    fn motion(
        &self,
        last: &Seen,
        now: &Seen,
        pair: &StereoPair,
    ) -> opencv::Result<Option<Isometry3<f64>>> {
        let (mut object, mut image) = (Vector::<Point3d>::new(), Vector::<Point2d>::new());
        for m in self.matches(&last.descriptors, &now.descriptors)? {
            let point = last.points.get(m.query_idx as usize).copied().flatten();
            if let (Some(p), Some([u, v])) = (point, now.pixels.get(m.train_idx as usize)) {
                object.push(Point3d::new(p.x, p.y, p.z));
                image.push(Point2d::new(*u, *v));
            }
        }
        if object.len() < LEAST_POINTS {
            return Ok(None);
        }
        let c = &pair.camera.pinhole;
        let k = [c.fx, 0.0, c.cx, 0.0, c.fy, c.cy, 0.0, 0.0, 1.0];
        let k = Mat::new_rows_cols_with_data(3, 3, &k)?;
        let (mut turn, mut shift, mut inliers) = (Mat::default(), Mat::default(), Mat::default());
        let found = solve_pnp_ransac(
            &object,
            &image,
            &k,
            &no_array(),
            &mut turn,
            &mut shift,
            false,
            DRAWS,
            LIMIT_PX,
            CONFIDENCE,
            &mut inliers,
            SOLVEPNP_ITERATIVE,
        )?;
        if !found || (inliers.rows() as usize) < LEAST_POINTS {
            return Ok(None);
        }
        let three = |m: &Mat| -> opencv::Result<Vector3<f64>> {
            Ok(Vector3::new(
                *m.at::<f64>(0)?,
                *m.at::<f64>(1)?,
                *m.at::<f64>(2)?,
            ))
        };
        Ok(Some(Isometry3::from_parts(
            Translation3::from(three(&shift)?),
            UnitQuaternion::from_scaled_axis(three(&turn)?),
        )))
    }
}

impl PairObserver for OrbBaseline {
    fn pair(&mut self, _: Stamp, pair: &StereoPair, map_from_base_link: &Isometry3<f64>) {
        let begin_s = cpu_s();
        // An error of OpenCV is a pair without a motion: the loop goes on as it would without one.
        let motion = self.look(pair).unwrap_or(None);
        let took_s = cpu_s() - begin_s;
        if let Some(last) = self.truth.replace(*map_from_base_link) {
            self.way_m += (map_from_base_link.translation.vector - last.translation.vector).norm();
        }
        let Some(believed) = self.map_from_camera else {
            self.map_from_camera = Some(map_from_base_link * pair.base_link_from_navcam);
            return;
        };
        self.result.pairs += 1;
        self.result.pair_ms.push(1e3 * took_s);
        if let Some(now_from_last) = motion {
            self.result.motions += 1;
            self.step = now_from_last.inverse();
        }
        let believed = believed * self.step;
        self.map_from_camera = Some(believed);
        let base_link = believed * pair.base_link_from_navcam.inverse();
        self.result.drift = drift_of(map_from_base_link, &base_link, self.way_m);
    }
}
