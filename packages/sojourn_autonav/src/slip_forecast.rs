//! Slip that is to be expected, learned while driving.
//!
//! The rover's file gives slip by grade ([`SlipModel`]); what the wheels and the pose say while driving corrects it, per
//! terrain class: the measured excess over the model is `a + b·grade` with a normal prior on `a` and `b`, updated by
//! each measurement (conjugate Bayesian linear regression with known noise; Bishop, Pattern Recognition and Machine
//! Learning, 3.3). What is planned with is the upper end of one standard deviation.

use sojourn_core::slip::SlipModel;

/// Classes that are told apart, the last for unknown ground.
const CLASSES: usize = 10;
/// Grade that the slope coefficient is measured in, degrees.
const GRADE_SCALE_DEG: f64 = 10.0;
/// Weight of a measurement's age: each new one makes older ones count this much.
const MEMORY: f64 = 0.995;

/// Belief about one class: precision matrix and its product with the mean.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Belief {
    precision: [[f64; 2]; 2],
    weighted: [f64; 2],
    measurements: u32,
}

impl Belief {
    fn solve(&self) -> ([f64; 2], [[f64; 2]; 2]) {
        let [[a, b], [_, d]] = self.precision;
        let det = a * d - b * b;
        let inverse = [[d / det, -b / det], [-b / det, a / det]];
        let [u, v] = self.weighted;
        (
            [
                inverse[0][0] * u + inverse[0][1] * v,
                inverse[1][0] * u + inverse[1][1] * v,
            ],
            inverse,
        )
    }
}

/// The forecast.
#[derive(Clone, Debug, PartialEq)]
pub struct SlipForecast {
    model: SlipModel,
    prior: [f64; 2],
    noise: f64,
    beliefs: [Belief; CLASSES],
}

impl SlipForecast {
    /// A forecast that begins with the rover's model; `prior_sigma` is how far the ground may differ from it (share of
    /// the way), `noise_sigma` the standard deviation of one measurement.
    #[must_use]
    pub fn new(model: SlipModel, prior_sigma: f64, noise_sigma: f64) -> Self {
        let p = prior_sigma.max(1e-6).powi(-2);
        let blank = Belief {
            precision: [[p, 0.0], [0.0, p]],
            weighted: [0.0; 2],
            measurements: 0,
        };
        Self {
            model,
            prior: [p, p],
            noise: noise_sigma.max(1e-6).powi(2),
            beliefs: [blank; CLASSES],
        }
    }

    fn class(code: Option<f64>) -> usize {
        match code {
            Some(c) if (0.0..(CLASSES as f64 - 1.0)).contains(&c) => c as usize,
            _ => CLASSES - 1,
        }
    }

    fn features(pitch_rad: f64, direction: f64) -> [f64; 2] {
        let uphill = -pitch_rad.to_degrees() * direction.signum();
        [1.0, uphill.max(0.0) / GRADE_SCALE_DEG]
    }

    /// Takes a measurement: slip 0 to 1 (below 0 when the rover slides ahead) at a pitch (REP-103) and direction on a
    /// class. Numbers that are not finite are left out.
    pub fn learn(&mut self, pitch_rad: f64, direction: f64, class: Option<f64>, slip: f64) {
        if !(pitch_rad.is_finite() && slip.is_finite()) {
            return;
        }
        let x = Self::features(pitch_rad, direction);
        let excess = (slip - self.model.slip(pitch_rad, direction)).clamp(-1.0, 1.0);
        let (noise, prior) = (self.noise, self.prior);
        if let Some(b) = self.beliefs.get_mut(Self::class(class)) {
            for i in 0..2 {
                for j in 0..2 {
                    // Old measurements fade towards the prior, not below it.
                    let floor = if i == j { prior[i] } else { 0.0 };
                    let kept = floor + MEMORY * (b.precision[i][j] - floor);
                    b.precision[i][j] = kept + x[i] * x[j] / noise;
                }
                b.weighted[i] = MEMORY * b.weighted[i] + x[i] * excess / noise;
            }
            b.measurements = b.measurements.saturating_add(1);
        }
    }

    /// Expected slip and its standard deviation, 0 to 1.
    #[must_use]
    pub fn expect(&self, pitch_rad: f64, direction: f64, class: Option<f64>) -> (f64, f64) {
        let x = Self::features(pitch_rad, direction);
        let base = self.model.slip(pitch_rad, direction);
        let Some(b) = self.beliefs.get(Self::class(class)) else {
            return (base, 0.0);
        };
        if b.measurements == 0 {
            // The model is what is known; its own spread is the slip share's to cover.
            return (base, 0.0);
        }
        let (mean, cov) = b.solve();
        let excess = mean[0] * x[0] + mean[1] * x[1];
        let variance = x[0] * (cov[0][0] * x[0] + cov[0][1] * x[1])
            + x[1] * (cov[1][0] * x[0] + cov[1][1] * x[1]);
        ((base + excess).clamp(0.0, 1.0), variance.max(0.0).sqrt())
    }

    /// Slip to plan with: one standard deviation above what is expected, and not below half the model, so that easy
    /// ground does not talk the rover into a dune.
    #[must_use]
    pub fn worst(&self, pitch_rad: f64, direction: f64, class: Option<f64>) -> f64 {
        let (mean, sigma) = self.expect(pitch_rad, direction, class);
        let floor = 0.5 * self.model.slip(pitch_rad, direction);
        (mean + sigma).max(floor).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::rover;

    fn forecast() -> SlipForecast {
        SlipForecast::new(rover("perseverance").slip, 0.15, 0.1)
    }

    #[test]
    fn soft_ground_is_learned_and_only_for_its_class() {
        let mut f = forecast();
        let up = -8f64.to_radians();
        let before = f.worst(up, 1.0, Some(4.0));
        for _ in 0..40 {
            f.learn(up, 1.0, Some(4.0), 0.5);
        }
        let (mean, sigma) = f.expect(up, 1.0, Some(4.0));
        assert!((mean - 0.5).abs() < 0.05 && sigma < 0.05, "{mean} {sigma}");
        assert!(f.worst(up, 1.0, Some(4.0)) > before + 0.2);
        assert_eq!(
            f.worst(up, 1.0, Some(0.0)),
            forecast().worst(up, 1.0, Some(0.0))
        );
        // steeper ground of the same class is expected to be worse
        assert!(f.worst(-12f64.to_radians(), 1.0, Some(4.0)) > 0.5);
    }

    #[test]
    fn good_ground_lowers_it_no_further_than_half_and_nonsense_is_left_out() {
        let mut f = forecast();
        let up = -10f64.to_radians();
        for _ in 0..400 {
            f.learn(up, 1.0, None, 0.0);
            f.learn(f64::NAN, 1.0, None, 0.9);
            f.learn(up, 1.0, None, f64::INFINITY);
        }
        let model = rover("perseverance").slip.slip(up, 1.0);
        assert!(f.worst(up, 1.0, None) >= 0.5 * model);
        assert!(f.worst(up, 1.0, None) < model);
    }
}
