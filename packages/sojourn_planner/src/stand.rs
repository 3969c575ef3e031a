//! Whether the rover can stand along a route within its limits: exact settling every half metre.

use crate::slip::ExpectedSlip;
use sojourn_core::frames::Pose2;
use sojourn_core::geometry::{Xy, distance_m};
use sojourn_core::raster::Raster;
use sojourn_core::rover::Rover;
use sojourn_core::settle::Settler;

/// Share of each limit that a plan may use; the rest is for relief that no map from orbit shows.
const SHARE: f64 = 0.9;
/// Spacing of the poses, metres.
const STEP_M: f64 = 0.5;

/// A place where the rover would stand beyond a limit.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    /// Where, metres in `map`.
    pub at: Xy,
    /// Heading there, radians.
    pub yaw_rad: f64,
    /// Which limit, its value and the limit.
    pub what: String,
}

/// Checks poses along polylines on one elevation raster.
pub(crate) struct Stander<'a> {
    rover: &'a Rover,
    settler: Settler,
    elevation: &'a Raster,
    share: f64,
    slip: Option<ExpectedSlip>,
}

impl<'a> Stander<'a> {
    /// With the share of the limits that a plan made here may use.
    pub fn new(rover: &'a Rover, elevation: &'a Raster) -> Self {
        Self::with_share(rover, elevation, SHARE)
    }

    /// With another share of the limits.
    pub fn with_share(rover: &'a Rover, elevation: &'a Raster, share: f64) -> Self {
        // Samples under the wheels need not be finer than the ground is known.
        let step_m = (0.25 * elevation.resolution_m())
            .max(0.25 * rover.wheel.radius_m)
            .clamp(0.02, 0.1);
        Self {
            rover,
            settler: Settler::new(rover, step_m),
            elevation,
            share,
            slip: None,
        }
    }

    /// With the slip that is expected, learned of earlier drives included; else the rover's model counts.
    pub fn expecting(mut self, slip: ExpectedSlip) -> Self {
        self.slip = Some(slip);
        self
    }

    /// Every place along the way where a limit would be broken, in order.
    pub fn troubles(&self, start: Xy, waypoints: &[Xy]) -> Vec<Trouble> {
        let mut out = Vec::new();
        let mut a = start;
        for &b in waypoints {
            let yaw_rad = (b[1] - a[1]).atan2(b[0] - a[0]);
            let n = (distance_m(a, b) / STEP_M).ceil().max(1.0) as usize;
            for k in 0..=n {
                let t = k as f64 / n as f64;
                let p = [a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])];
                if let Some(what) = self.trouble(p, yaw_rad) {
                    out.push(Trouble {
                        at: p,
                        yaw_rad,
                        what,
                    });
                }
            }
            a = b;
        }
        out
    }

    /// What is wrong with standing at a point, if anything.
    pub fn trouble(&self, p: Xy, yaw_rad: f64) -> Option<String> {
        let Some(s) = self
            .settler
            .settle(self.elevation, Pose2::new(p[0], p[1], yaw_rad))
        else {
            return Some("ground under the wheels of which the map knows nothing".into());
        };
        let limits = &self.rover.limits;
        if let Some(excess) = s.excess(limits, self.share) {
            return Some(format!("{excess} (of which a plan uses {})", self.share));
        }
        let slip = self.slip.as_ref().map_or_else(
            || self.rover.slip.slip(s.pitch_rad, 1.0),
            |e| e.for_limits(s.pitch_rad),
        );
        (slip > limits.slip * self.share.sqrt()).then(|| {
            format!(
                "expected slip {slip:.2}, limit {:.2} (of which a plan uses {:.2})",
                limits.slip,
                self.share.sqrt()
            )
        })
    }
}
