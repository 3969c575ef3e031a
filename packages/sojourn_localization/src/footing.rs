//! Wheels that sink in: where the wheels stand follows from the pose that visual odometry sees and the suspension's angles.
//!
//! A wheel that turns and stays where it is, but stands lower than it did, digs. It shows before slip is measured over its
//! whole step, and where one wheel digs while the others still pull. Over ground that a wheel has left nothing is said: it may
//! have rolled into a hollow.

use nalgebra::{Isometry3, Point3, Vector2};
use serde::Deserialize;
use sojourn_core::{CoreError, error::in_range, rover::Rover};
use std::collections::VecDeque;

/// Footprints that are kept.
const MOST: usize = 64;
/// Way of the wheels over which a footprint is remembered, metres.
const MEMORY_M: f64 = 3.0;
/// Names of the wheels, in the order of [`Rover::hubs_m`].
const NAMES: [&str; 6] = [
    "left front",
    "left middle",
    "left rear",
    "right front",
    "right middle",
    "right rear",
];

/// `footing` of `config/localization.param.yaml`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FootingParams {
    /// A wheel that stands lower by this than it did at the same place has sunk in, metres.
    pub sunk_m: f64,
    /// And by this share of how far it has moved from there: what ground may fall over such a way.
    pub relief_share: f64,
    /// The same place is what lies within this in the plane, metres.
    pub near_m: f64,
    /// Only a wheel of whose way so much was lost since digs, 0 to 1.
    pub least_slip: f64,
}

impl FootingParams {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`CoreError::Value`] that names the key.
    pub fn check(&self) -> Result<(), CoreError> {
        for (name, value, lo, hi) in [
            ("sunk_m", self.sunk_m, 0.005, 2.0),
            ("relief_share", self.relief_share, 0.0, 5.0),
            ("near_m", self.near_m, 0.01, 2.0),
            ("least_slip", self.least_slip, 0.1, 1.0),
        ] {
            in_range("parameters of localization: footing", name, value, lo, hi)?;
        }
        Ok(())
    }
}

/// A wheel that has sunk in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sunk {
    /// Which, in the order of [`Rover::hubs_m`].
    pub wheel: usize,
    /// By how much it stands lower than it did, metres.
    pub by_m: f64,
    /// Way of the wheels since then, metres.
    pub rolled_m: f64,
    /// And how far the body has brought it in the plane, metres; what the suspension's links swing it is not counted.
    pub moved_m: f64,
}

impl Sunk {
    /// In words.
    #[must_use]
    pub fn describe(&self) -> String {
        format!(
            "the {} wheel sinks in: {:.2} m deeper after {:.2} m of wheel way that brought it {:.2} m on",
            NAMES.get(self.wheel).copied().unwrap_or("unknown"),
            self.by_m,
            self.rolled_m,
            self.moved_m
        )
    }
}

#[derive(Clone, Copy, Debug)]
struct Footprint {
    way_m: f64,
    /// Where the wheels stand in the plane with the suspension at rest, and how high with the suspension as it is.
    places_m: [Vector2<f64>; 6],
    heights_m: [f64; 6],
}

/// Where the wheels stood.
#[derive(Clone, Debug)]
pub struct Footing {
    params: FootingParams,
    there: [bool; 6],
    at_rest_m: [[f64; 3]; 6],
    passed: VecDeque<Footprint>,
    sunk: Option<Sunk>,
}

impl Footing {
    /// Has seen nothing yet.
    #[must_use]
    pub fn new(params: FootingParams, rover: &Rover) -> Self {
        Self {
            params,
            there: rover.has_wheel(),
            at_rest_m: rover.hubs_m(),
            passed: VecDeque::new(),
            sunk: None,
        }
    }

    /// Visual odometry has lost the ground: heights before and after do not compare.
    pub fn lost(&mut self) {
        self.passed.clear();
    }

    /// The wheel that digs, as of the newest pose.
    #[must_use]
    pub fn sunk(&self) -> Option<&Sunk> {
        self.sunk.as_ref()
    }

    /// The rover was seen to stand at a pose in `odom`; `way_m` is the way of the wheels so far, signs left out. Gives the
    /// wheel that has sunk in deepest, if one has.
    pub fn stood(
        &mut self,
        odom_from_base_link: &Isometry3<f64>,
        hubs_m: &[[f64; 3]; 6],
        way_m: f64,
    ) -> Option<Sunk> {
        let in_odom = |[x, y, z]: [f64; 3]| odom_from_base_link * Point3::new(x, y, z);
        let now = Footprint {
            way_m,
            places_m: self.at_rest_m.map(|hub| in_odom(hub).coords.xy()),
            heights_m: hubs_m.map(|hub| in_odom(hub).z),
        };
        let numbers = now.places_m.iter().flatten().chain(&now.heights_m);
        if !numbers.chain([&way_m]).all(|v| v.is_finite()) {
            return self.sunk;
        }
        while self
            .passed
            .front()
            .is_some_and(|f| way_m - f.way_m > MEMORY_M)
            || self.passed.len() >= MOST
        {
            self.passed.pop_front();
        }
        self.sunk = self
            .passed
            .iter()
            .flat_map(|before| (0..6).filter_map(|w| self.between(before, &now, w)))
            .max_by(|a, b| a.by_m.total_cmp(&b.by_m));
        self.passed.push_back(now);
        self.sunk
    }

    fn between(&self, before: &Footprint, now: &Footprint, wheel: usize) -> Option<Sunk> {
        let p = &self.params;
        if !*self.there.get(wheel)? {
            return None;
        }
        let moved_m = (now.places_m.get(wheel)? - before.places_m.get(wheel)?).norm();
        let by_m = before.heights_m.get(wheel)? - now.heights_m.get(wheel)?;
        let rolled_m = now.way_m - before.way_m;
        let digs = moved_m <= p.near_m
            && rolled_m > 0.0
            && moved_m <= (1.0 - p.least_slip) * rolled_m
            && by_m >= p.sunk_m + p.relief_share * moved_m;
        digs.then_some(Sunk {
            wheel,
            by_m,
            rolled_m,
            moved_m,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sojourn_core::suspension::SuspensionAngles;
    use std::path::Path;

    fn rover(name: &str) -> Rover {
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/rovers");
        Rover::load(&config.join(name)).unwrap()
    }

    fn footing() -> Footing {
        let params = FootingParams {
            sunk_m: 0.06,
            relief_share: 0.5,
            near_m: 0.15,
            least_slip: 0.5,
        };
        params.check().unwrap();
        Footing::new(params, &rover("perseverance.yaml"))
    }

    fn at(x: f64, z: f64) -> Isometry3<f64> {
        Isometry3::translation(x, 0.0, z)
    }

    fn flat() -> [[f64; 3]; 6] {
        rover("perseverance.yaml").hubs_m()
    }

    #[test]
    fn a_wheel_that_digs_is_found_and_a_rover_that_drives_is_not() {
        let mut f = footing();
        for k in 0..20 {
            // Half a metre of wheels for each 0.3 m of way, down a hillside with a step in it.
            let k = f64::from(k);
            let step_m = if k > 9.0 { 0.2 } else { 0.0 };
            let seen = f.stood(&at(0.3 * k, -0.1 * k - step_m), &flat(), 0.5 * k);
            assert_eq!(seen, None);
        }
        // The left rear wheel goes down while the rover hardly moves: the bogie's rear end falls.
        let mut f = footing();
        f.stood(&at(0.0, 0.0), &flat(), 0.0);
        let digging = SuspensionAngles {
            bogie_rad: [0.2, 0.0],
            ..SuspensionAngles::default()
        };
        let hubs = rover("perseverance.yaml").suspension.hubs_at_m(&digging);
        let sunk = f.stood(&at(0.01, 0.0), &hubs, 0.2).unwrap();
        assert_eq!(sunk.wheel, 2);
        assert!((0.1..0.16).contains(&sunk.by_m), "{sunk:?}");
        assert!(sunk.describe().contains("left rear"), "{}", sunk.describe());
        assert_eq!(f.sunk(), Some(&sunk));
        // It has climbed out.
        assert_eq!(f.stood(&at(0.6, 0.0), &flat(), 1.0), None);
    }

    #[test]
    fn all_wheels_at_once_are_seen_by_the_body_and_standing_is_no_digging() {
        let mut f = footing();
        f.stood(&at(0.0, 0.0), &flat(), 0.0);
        // Nothing rolled: whatever lowers the body is not the wheels' digging.
        assert_eq!(f.stood(&at(0.0, -0.1), &flat(), 0.0), None);
        let sunk = f.stood(&at(0.03, -0.1), &flat(), 0.3).unwrap();
        assert!((sunk.by_m - 0.1).abs() < 1e-9 && (sunk.rolled_m - 0.3).abs() < 1e-9);
        // Where vision was lost heights do not compare.
        f.lost();
        assert_eq!(f.stood(&at(0.03, -0.3), &flat(), 0.6), None);
    }

    #[test]
    fn numbers_that_are_none_change_nothing() {
        let mut f = footing();
        f.stood(&at(0.0, 0.0), &flat(), 0.0);
        assert_eq!(f.stood(&at(f64::NAN, -1.0), &flat(), 0.3), None);
        assert!(f.stood(&at(0.0, -0.1), &flat(), 0.3).is_some());
    }
}
