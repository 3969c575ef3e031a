//! One cell of the rolling map: a Kalman filter over its height (Fankhauser et al. 2018, RA-L 3(4), in one dimension).
//!
//! The state is the mean height of the cell's ground and the variance of that mean. Driving adds to the variance, because
//! what was seen before lies where odometry, which drifts, has put it. How far points of one cell lie apart is no error of
//! the mean and kept beside it.

use crate::{config::DriftParams, project::Observation};
use sojourn_core::Stamp;

/// What is known of a cell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    // Mean height, not-a-number when unknown; `count` 0 with a height means filled from the wheels' contact.
    pub height_m: f64,
    // Variance of that mean when it was last seen.
    pub variance_m2: f64,
    // Spread of the points inside the cell, and the part of it that the sensor's noise does not explain.
    pub spread_m2: f64,
    pub step_m2: f64,
    // Variance of where along the line of sight its points lie.
    pub along_m2: f64,
    pub low_m: f64,
    pub high_m: f64,
    pub count: u32,
    pub seen: Stamp,
    // How far the rover had driven when it was seen.
    pub travel_m: f64,
}

/// Nothing is known.
pub(crate) const UNKNOWN: Cell = Cell {
    height_m: f64::NAN,
    variance_m2: f64::NAN,
    spread_m2: 0.0,
    step_m2: 0.0,
    along_m2: 0.0,
    low_m: f64::NAN,
    high_m: f64::NAN,
    count: 0,
    seen: Stamp(0),
    travel_m: 0.0,
};

/// When two views of a cell are one ground.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fusing<'a> {
    pub drift: &'a DriftParams,
    /// A cell that many pixels have seen is not thrown out by a view of fewer than this.
    pub min_count: u32,
}

impl Cell {
    /// Variance of the mean after driving to `travel_m`, m².
    #[inline]
    pub fn drifted_m2(&self, travel_m: f64, drift: &DriftParams) -> f64 {
        self.variance_m2 + (drift.height_per_m * (travel_m - self.travel_m)).powi(2)
    }

    /// Variance of the place of its points after driving to `travel_m`, m².
    pub fn displaced_m2(&self, travel_m: f64, drift: &DriftParams) -> f64 {
        self.along_m2 + (drift.along_per_m * (travel_m - self.travel_m)).powi(2)
    }

    fn of(o: &Observation, floor_m2: f64, seen: Stamp, travel_m: f64) -> Self {
        Self {
            height_m: o.mean_m,
            variance_m2: o.mean_variance_m2.max(floor_m2),
            spread_m2: o.spread_m2,
            step_m2: o.step_m2,
            along_m2: o.along_m2,
            low_m: o.low_m,
            high_m: o.high_m,
            count: o.count,
            seen,
            travel_m,
        }
    }

    /// Takes in what an image saw. A view that contradicts what was known beyond all errors replaces it: something moved,
    /// or it was wrong. So the edge of a rock counts as the newest view shows it. A stray pixel only counts little.
    #[inline]
    pub fn update(&mut self, o: &Observation, seen: Stamp, travel_m: f64, fusing: &Fusing<'_>) {
        let drift = fusing.drift;
        let floor_m2 = drift.floor_m * drift.floor_m;
        if self.count == 0 {
            *self = Self::of(o, floor_m2, seen, travel_m);
            return;
        }
        let step_m = o.mean_m - self.height_m;
        let before_m2 = self.drifted_m2(travel_m, drift);
        let mut view_m2 = o.mean_variance_m2.max(floor_m2);
        let apart_m2 = step_m * step_m;
        let expected_m2 = before_m2 + view_m2;
        if apart_m2 > drift.gate_sigmas * drift.gate_sigmas * expected_m2 {
            if o.count >= fusing.min_count || self.count < fusing.min_count {
                *self = Self::of(o, floor_m2, seen, travel_m);
                return;
            }
            view_m2 += apart_m2;
        }
        let gain = before_m2 / (before_m2 + view_m2);
        let rest = 1.0 - gain;
        self.along_m2 = self.displaced_m2(travel_m, drift) * rest * rest + o.along_m2 * gain * gain;
        self.spread_m2 = self.spread_m2 * rest + o.spread_m2 * gain + gain * rest * apart_m2;
        self.step_m2 = self.step_m2 * rest + o.step_m2 * gain;
        self.height_m += gain * step_m;
        self.variance_m2 = (rest * before_m2).max(floor_m2);
        self.low_m = self.low_m.min(o.low_m);
        self.high_m = self.high_m.max(o.high_m);
        self.count = self.count.saturating_add(o.count);
        self.seen = seen.max(self.seen);
        self.travel_m = travel_m.max(self.travel_m);
    }

    /// Standard deviation of a point of the cell's ground, metres.
    #[inline]
    pub fn sigma_m(&self, travel_m: f64, drift: &DriftParams) -> f64 {
        (self.drifted_m2(travel_m, drift) + self.spread_m2).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DRIFT: DriftParams = DriftParams {
        height_per_m: 0.01,
        along_per_m: 0.05,
        floor_m: 0.002,
        gate_sigmas: 3.0,
    };

    fn view(mean_m: f64, sigma_m: f64, count: u32) -> Observation {
        Observation {
            col: 0,
            row: 0,
            count,
            mean_m,
            mean_variance_m2: sigma_m * sigma_m,
            spread_m2: 1e-4,
            step_m2: 0.0,
            range_m: 5.0,
            along_m2: 0.0,
            low_m: mean_m - 0.01,
            high_m: mean_m + 0.01,
        }
    }

    const FUSING: Fusing<'static> = Fusing {
        drift: &DRIFT,
        min_count: 2,
    };

    fn seen(views: &[(f64, f64, f64)]) -> Cell {
        let mut cell = UNKNOWN;
        for (k, (z, sigma, travel)) in views.iter().enumerate() {
            cell.update(&view(*z, *sigma, 10), Stamp(k as i64), *travel, &FUSING);
        }
        cell
    }

    #[test]
    fn views_of_one_place_are_weighed_by_their_variance() {
        let cell = seen(&[(1.0, 0.01, 0.0), (1.03, 0.02, 0.0)]);
        // 1/(1/1 + 1/4) of the variance, and a fifth of the way.
        assert!((cell.height_m - 1.006).abs() < 1e-9);
        assert!((cell.variance_m2 - 0.8e-4).abs() < 1e-9);
        assert_eq!((cell.low_m, cell.high_m), (0.99, 1.04));
        assert_eq!(cell.count, 20);
    }

    #[test]
    fn driving_makes_what_was_seen_before_count_less() {
        let here = seen(&[(1.0, 0.005, 0.0), (1.03, 0.01, 0.0)]);
        let later = seen(&[(1.0, 0.005, 0.0), (1.03, 0.01, 5.0)]);
        assert!(later.height_m > 1.02 && here.height_m < 1.007);
        assert!(here.drifted_m2(5.0, &DRIFT) > here.drifted_m2(1.0, &DRIFT));
    }

    #[test]
    fn a_contradiction_replaces_unless_it_is_a_stray_pixel() {
        let mut cell = seen(&[(0.4, 0.01, 0.0)]);
        cell.update(&view(0.0, 0.05, 1), Stamp(5), 0.0, &FUSING);
        assert!(cell.height_m > 0.39, "{}", cell.height_m);
        cell.update(&view(0.0, 0.01, 10), Stamp(6), 0.0, &FUSING);
        assert_eq!((cell.height_m, cell.count), (0.0, 10));
    }

    proptest! {
        /// The estimate lies between its views, is as sure as the worst of them, and never surer than the floor.
        #[test]
        fn an_estimate_lies_between_its_views(
            views in prop::collection::vec((-0.02..0.02f64, 0.003..0.3f64, 0.0..0.0001f64), 1..12)
        ) {
            let cell = seen(&views);
            let (low, high) = views.iter().fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v.0), h.max(v.0)));
            prop_assert!(cell.height_m >= low - 1e-12 && cell.height_m <= high + 1e-12);
            prop_assert!(cell.low_m <= cell.height_m && cell.high_m >= cell.height_m);
            prop_assert!(cell.variance_m2 >= DRIFT.floor_m.powi(2));
            let worst_m = views.iter().fold(0.0f64, |w, v| w.max(v.1));
            prop_assert!(cell.variance_m2 <= worst_m * worst_m + 1e-9);
        }

        /// Whatever comes, numbers stay numbers.
        #[test]
        fn nothing_finite_makes_a_cell_infinite(
            views in prop::collection::vec((-1e6..1e6f64, 0.0..1e3f64, 0.0..1e5f64), 1..12)
        ) {
            let cell = seen(&views);
            prop_assert!(cell.height_m.is_finite() && cell.variance_m2.is_finite() && cell.spread_m2.is_finite());
            prop_assert!(cell.variance_m2 > 0.0 && cell.spread_m2 >= 0.0);
        }
    }
}
