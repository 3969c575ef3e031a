//! What stereo pairs say: the motion since the key pair.

use super::{ASIDE, Correction, Filter, KEY, KEY_TURN, N, PLACE, SCALE, TURN, WANDER};
use nalgebra::{Isometry3, Matrix6, SMatrix, SVector};

/// A motion that visual odometry has measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sight {
    /// The pose that is believed at the pair's stamp.
    pub now: Isometry3<f64>,
    /// The motion since the key pair.
    pub key_from_now: Isometry3<f64>,
    /// Its covariance: metres, then radians, in the axes of `base_link` at the key pair.
    pub covariance: Matrix6<f64>,
}

impl Filter {
    /// The pose now, or a moment ago, becomes the key pair's.
    pub fn take_key(&mut self, pose: Isometry3<f64>) {
        self.key = Some(pose);
        self.copy(KEY, PLACE);
        self.copy(KEY_TURN, TURN);
        self.bounded();
    }

    /// Visual odometry has measured the motion since the key pair. A measurement whose squared Mahalanobis distance lies
    /// beyond `gate` changes nothing: then the distance comes back as the error.
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
            h[(axis, SCALE)] = -moved[axis];
            h[(3 + axis, TURN + axis)] = 1.0;
            h[(3 + axis, KEY_TURN + axis)] = -1.0;
        }
        // A key pair turned too little turns the whole motion too little; the one that is believed, as for wheels.
        h.fixed_view_mut::<3, 3>(0, KEY_TURN)
            .copy_from(&believed.cross_matrix());
        h[(5, ASIDE)] = moved.norm();
        h[(5, WANDER)] = moved.norm();
        let turned = key.rotation.to_rotation_matrix();
        let mut both = Matrix6::zeros();
        both.fixed_view_mut::<3, 3>(0, 0).copy_from(turned.matrix());
        both.fixed_view_mut::<3, 3>(3, 3).copy_from(turned.matrix());
        let own = both * sight.covariance * both.transpose();
        self.measure(&off, &h, &own, gate)
    }
}
