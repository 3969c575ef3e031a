//! The slip over the last part of the way: what the wheels rolled against what the ground passed by.

use sojourn_core::Stamp;

/// Longest step that speeds are held over, seconds.
const MAX_STEP_S: f64 = 0.5;

/// Way of the wheels and of the body, old way fading with distance driven.
#[derive(Clone, Debug, Default)]
pub(super) struct SlipWindow {
    before: Option<Stamp>,
    wheels_m: f64,
    ground_m: f64,
}

impl SlipWindow {
    /// Takes the rims' mean forward speed and the body's forward speed over ground, m/s, as they were until `stamp`.
    pub(super) fn take(&mut self, window_m: f64, stamp: Stamp, rim_mps: f64, ground_mps: f64) {
        let Some(before) = self.before.replace(stamp) else {
            return;
        };
        let dt_s = stamp.since(before).clamp(0.0, MAX_STEP_S);
        let rolled_m = rim_mps.abs() * dt_s;
        // The way fades as wheels turn, not as time passes: a rover that stands learns nothing.
        let keep = (-rolled_m / window_m).exp();
        self.wheels_m = self.wheels_m * keep + rolled_m;
        self.ground_m = self.ground_m * keep + ground_mps * rim_mps.signum() * dt_s;
    }

    /// Share of the wheels' way that was lost, negative when the body slid ahead; `None` before half a window was rolled.
    pub(super) fn slip(&self, window_m: f64) -> Option<f64> {
        (self.wheels_m >= 0.5 * window_m).then(|| 1.0 - self.ground_m / self.wheels_m)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seconds: f64, rim_mps: f64, ground_mps: f64) -> Option<f64> {
        let mut w = SlipWindow::default();
        for i in 0..=(seconds * 10.0) as i64 {
            w.take(1.0, Stamp(1 + i * 100_000_000), rim_mps, ground_mps);
        }
        w.slip(1.0)
    }

    #[test]
    fn the_share_lost_comes_out_forward_and_backward() {
        for (rim, ground, slip) in [(0.04, 0.01, 0.75), (-0.04, -0.02, 0.5), (0.04, 0.05, -0.25)] {
            let got = after(60.0, rim, ground).unwrap();
            assert!((got - slip).abs() < 1e-9, "{got} for {slip}");
        }
        assert!(after(10.0, 0.04, 0.0).is_none(), "too little way to tell");
        assert!(
            after(100.0, 0.0, 0.01).is_none(),
            "wheels that stand tell nothing"
        );
    }

    #[test]
    fn a_step_of_long_silence_counts_as_a_short_one() {
        let mut w = SlipWindow::default();
        w.take(1.0, Stamp(1), 1.0, 0.0);
        w.take(1.0, Stamp(100_000_000_001), 0.4, 0.0);
        assert!(w.slip(1.0).is_none());
    }
}
