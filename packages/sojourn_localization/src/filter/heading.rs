//! What has a heading of its own to go by says: the sun.

use super::{Correction, Filter, N, SUN, TURN, YAW};
use nalgebra::{SMatrix, SVector, Vector3};

impl Filter {
    /// Something that has a heading of its own to go by (the sun) shows the heading off by `off_rad`, with noise of its own.
    /// `shows` is by how much an error of the attitude about each axis of `odom` does that: the heading's in full, those of the
    /// level the more the higher the sun stands. `alike_rad` is by how much the heading is off by what all such measurements have
    /// wrong alike about each axis of `base_link`, standard deviations with their signs: these are errors of their own, so that
    /// the heading does not become surer than they leave it by any number of measurements, nor the place surer than a way at such
    /// a heading; turning the body tells a tilt of theirs from the heading. A measurement whose squared Mahalanobis distance
    /// (one degree of freedom) lies beyond `gate` changes nothing: then the distance comes back as the error. It is weighed by
    /// all that the heading may have wrong: other than wheels and pairs it shows how far visual odometry has turned aside.
    ///
    /// # Errors
    /// The squared distance of a measurement beyond the gate; infinite for numbers that are none.
    pub fn heading(
        &mut self,
        off_rad: f64,
        noise_var: f64,
        shows: &Vector3<f64>,
        alike_rad: &Vector3<f64>,
        gate: f64,
    ) -> Result<Correction, f64> {
        let mut h = SMatrix::<f64, 1, N>::zeros();
        for axis in 0..3 {
            h[TURN + axis] = shows[axis];
            h[SUN + axis] = alike_rad[axis];
        }
        let own = SMatrix::<f64, 1, 1>::new(noise_var);
        let off = SVector::<f64, 1>::new(off_rad - alike_rad.dot(&self.sun_alike));
        self.measure_all(&off, &h, &own, gate)
    }

    /// The heading has become uncertain by this much more, rad².
    pub fn yaw_lost(&mut self, var: f64) {
        self.add_to(YAW, var);
        self.bounded();
    }
}
