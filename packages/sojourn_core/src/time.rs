//! Points in time. A core is told the time; it never asks a clock.

use serde::{Deserialize, Serialize};

/// A point in ROS time (simulated or wall), nanoseconds since its epoch.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Stamp(pub i64);

impl Stamp {
    /// From the two fields of `builtin_interfaces/Time`.
    #[must_use]
    pub const fn from_parts(sec: i32, nanosec: u32) -> Self {
        Self(sec as i64 * 1_000_000_000 + nanosec as i64)
    }

    /// From seconds; not-a-number and overflow saturate.
    #[must_use]
    pub fn from_secs(secs: f64) -> Self {
        Self((secs * 1e9).round() as i64)
    }

    /// The two fields of `builtin_interfaces/Time`.
    #[must_use]
    pub const fn to_parts(self) -> (i32, u32) {
        (
            self.0.div_euclid(1_000_000_000) as i32,
            self.0.rem_euclid(1_000_000_000) as u32,
        )
    }

    /// Seconds since the epoch.
    #[must_use]
    pub fn as_secs(self) -> f64 {
        self.0 as f64 * 1e-9
    }

    /// Seconds from `earlier` to `self`; negative when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> f64 {
        (self.0.saturating_sub(earlier.0)) as f64 * 1e-9
    }

    /// This stamp moved by seconds.
    #[must_use]
    pub fn plus_secs(self, secs: f64) -> Self {
        Self(self.0.saturating_add((secs * 1e9).round() as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_round_trip(sec in 0i32..i32::MAX, nanosec in 0u32..1_000_000_000) {
            let stamp = Stamp::from_parts(sec, nanosec);
            prop_assert_eq!(stamp.to_parts(), (sec, nanosec));
        }
    }

    #[test]
    fn differences_are_signed() {
        let a = Stamp::from_secs(1.0);
        let b = Stamp::from_secs(3.5);
        assert!((b.since(a) - 2.5).abs() < 1e-12);
        assert!((a.since(b) + 2.5).abs() < 1e-12);
    }
}
