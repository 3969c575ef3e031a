//! What stereo pairs say: the motion since the key pair.

use super::{ASIDE, BESIDE, Correction, Filter, KEY, KEY_TURN, N, PLACE, SCALE, TURN, WANDER};
use nalgebra::{Isometry3, Matrix6, SMatrix, SVector, Vector3};

/// A motion that visual odometry has measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sight {
    /// The pose that is believed at the pair's stamp.
    pub now: Isometry3<f64>,
    /// The motion since the key pair.
    pub key_from_now: Isometry3<f64>,
    /// Its covariance: metres, then radians, in the axes of `base_link` at the key pair.
    pub covariance: Matrix6<f64>,
    /// The eyes that have seen it.
    pub eyes: Eyes,
}

/// What the errors of visual odometry that are the same all the way come to with a rover's cameras.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Eyes {
    /// By how much a pixel of disparity makes ways too long, share.
    pub scale_per_px: f64,
    /// By how much a pixel turns the heading over a metre, radians per metre.
    pub aside_per_px: f64,
    /// How far ahead the point lies about which that turns the motion, metres: what is seen to turn to the left is seen to
    /// move to the right.
    pub pivot_m: f64,
}

/// Ground that counts lies so many heights of the camera away.
const AWAY_HEIGHTS: f64 = 2.0;
/// Visual odometry turns aside about a point so many heights of the camera ahead: it is the near ground that is seen to move
/// sideways, and what lies far away that stays. Measured on drives of a kilometre (the package's README).
const PIVOT_HEIGHTS: f64 = 5.5;
/// Cameras are not taken to be nearer to the ground than this, metres.
const LEAST_HEIGHT_M: f64 = 0.1;

impl Eyes {
    /// Of cameras with this focal length (pixels) and baseline, so high over the ground (metres). How far images move, and the
    /// disparities, go with the ground's distance, and that with the height.
    #[must_use]
    pub fn of(focal_px: f64, baseline_m: f64, height_m: f64) -> Self {
        let height_m = height_m.max(LEAST_HEIGHT_M);
        Self {
            scale_per_px: AWAY_HEIGHTS * height_m / (focal_px * baseline_m),
            aside_per_px: 1.0 / (focal_px * height_m),
            pivot_m: PIVOT_HEIGHTS * height_m,
        }
    }
}

/// Share of a motion's variance that is the key pair's: features are found, and their depth measured, in both pairs alike. All
/// motions since that pair have it wrong together.
const KEY_SHARE: f64 = 0.5;

impl Filter {
    /// The pose now, or a moment ago, becomes the key pair's.
    pub fn take_key(&mut self, pose: Isometry3<f64>) {
        self.key = Some(pose);
        self.copy(KEY, PLACE);
        self.copy(KEY_TURN, TURN);
        self.key_looked_at = false;
        self.bounded();
    }

    /// Visual odometry has measured the motion since the key pair. A measurement whose squared Mahalanobis distance lies
    /// beyond `gate` changes nothing that is believed: then the distance comes back as the error.
    ///
    /// # Errors
    /// The squared distance of a measurement beyond the gate; infinite without a key pair or for numbers that are none.
    pub fn see(&mut self, sight: &Sight, gate: f64) -> Result<Correction, f64> {
        let key = self.key.ok_or(f64::INFINITY)?;
        let moved = key.rotation * sight.key_from_now.translation.vector;
        let believed = sight.now.translation.vector - key.translation.vector;
        let turn = key.rotation * sight.key_from_now.rotation * sight.now.rotation.inverse();
        let mut off = SVector::<f64, 6>::zeros();
        off.fixed_rows_mut::<3>(0).copy_from(&(moved - believed));
        off.fixed_rows_mut::<3>(3).copy_from(&turn.scaled_axis());
        let mut h = SMatrix::<f64, 6, N>::zeros();
        for axis in 0..3 {
            h[(axis, PLACE + axis)] = 1.0;
            h[(axis, KEY + axis)] = -1.0;
            h[(axis, SCALE)] = -moved[axis] * sight.eyes.scale_per_px;
            h[(3 + axis, TURN + axis)] = 1.0;
            h[(3 + axis, KEY_TURN + axis)] = -1.0;
        }
        // A key pair turned too little turns the whole motion too little; the one that is believed, as for wheels.
        h.fixed_view_mut::<3, 3>(0, KEY_TURN)
            .copy_from(&believed.cross_matrix());
        let aside = moved.norm() * sight.eyes.aside_per_px;
        let left = key.rotation * Vector3::y();
        for state in [ASIDE, WANDER, BESIDE] {
            for axis in 0..3 {
                h[(axis, state)] = -sight.eyes.pivot_m * aside * left[axis];
            }
        }
        for state in [ASIDE, WANDER] {
            h[(5, state)] = aside;
        }
        let turned = key.rotation.to_rotation_matrix();
        let mut both = Matrix6::zeros();
        both.fixed_view_mut::<3, 3>(0, 0).copy_from(turned.matrix());
        both.fixed_view_mut::<3, 3>(3, 3).copy_from(turned.matrix());
        let own = both * sight.covariance * both.transpose();
        if !std::mem::replace(&mut self.key_looked_at, true) {
            // What was seen is the motion since where the key pair's features show it to have been.
            for c in [&mut self.covariance, &mut self.weighing] {
                let mut into = c.fixed_view_mut::<6, 6>(KEY, KEY);
                into += own * KEY_SHARE;
            }
        }
        self.measure(&off, &h, &(own * (1.0 - KEY_SHARE)), gate)
    }
}
