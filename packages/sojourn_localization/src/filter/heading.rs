//! What has a heading of its own to go by says: the sun.

use super::{Correction, Filter, N, YAW};
use nalgebra::{SMatrix, SVector};

impl Filter {
    /// Something that has a heading of its own to go by (the sun) shows the heading off by `off_rad`, with noise of its own;
    /// `floor_rad` is the standard deviation of what all such measurements have wrong alike: the heading does not become
    /// surer than that by any number of them. A measurement whose squared Mahalanobis distance (one degree of freedom) lies
    /// beyond `gate` changes nothing: then the distance comes back as the error. It is weighed by all that the heading may have
    /// wrong: other than wheels and pairs it shows how far visual odometry has turned aside.
    ///
    /// # Errors
    /// The squared distance of a measurement beyond the gate; infinite for numbers that are none.
    pub fn heading(
        &mut self,
        off_rad: f64,
        noise_var: f64,
        floor_rad: f64,
        gate: f64,
    ) -> Result<Correction, f64> {
        let var = self.covariance[(YAW, YAW)];
        let floor_var = floor_rad * floor_rad;
        let distance2 = off_rad * off_rad / (var + noise_var + floor_var);
        if !(distance2 <= gate) {
            let none = distance2.is_nan();
            return Err(if none { f64::INFINITY } else { distance2 });
        }
        if var <= floor_var {
            return Ok(Correction {
                distance2,
                ..Correction::default()
            });
        }
        // Noise with which the heading's variance comes down to the floor and no further.
        let down = var * floor_var / (var - floor_var);
        let mut h = SMatrix::<f64, 1, N>::zeros();
        h[YAW] = 1.0;
        let own = SMatrix::<f64, 1, 1>::new(noise_var.max(down));
        self.measure_all(&SVector::<f64, 1>::new(off_rad), &h, &own)
            .map(|c| Correction { distance2, ..c })
    }

    /// The heading has become uncertain by this much more, rad².
    pub fn yaw_lost(&mut self, var: f64) {
        self.add_to(YAW, var);
        self.bounded();
    }
}
