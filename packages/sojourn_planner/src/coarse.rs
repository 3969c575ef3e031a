//! Which map a way stands on, where a coarse one lies around a fine one.

use crate::smooth::densify;
use crate::validator::{Code, Violation};
use sojourn_core::geometry::{Xy, distance_m};
use sojourn_core::plan::Waypoint;
use sojourn_core::raster::Raster;
use sojourn_core::site::{ROUGHNESS_LEAST, SLOPE_MORE, Site};

/// Length of the pieces of a way that are looked at, metres.
const STEP_M: f64 = 0.5;

/// The layers of doubt that a site has from a coarse map.
pub(crate) struct Coarse<'a> {
    more: Option<&'a Raster>,
    least: Option<&'a Raster>,
}

impl<'a> Coarse<'a> {
    /// Of a site; `None` where one map holds all of it.
    pub fn of(site: &'a Site) -> Option<Self> {
        let layer = |name: &str| site.layers.get(name);
        let (more, least) = (layer(SLOPE_MORE), layer(ROUGHNESS_LEAST));
        (more.is_some() || least.is_some()).then_some(Self { more, least })
    }

    /// What is added to slope (degrees) and assumed of roughness (metres) at a point.
    fn doubt(&self, p: Xy) -> [f64; 2] {
        [self.more, self.least].map(|r| r.and_then(|r| r.nearest(p[0], p[1])).unwrap_or(0.0))
    }

    /// Metres of a line on the coarse map, and the most that is added to slope and assumed of roughness there.
    pub fn along(&self, line: &[Xy]) -> (f64, [f64; 2]) {
        let mut worst = [0.0f64; 2];
        let mut on_m = 0.0;
        for w in densify(line, STEP_M).windows(2) {
            let d = self.doubt([0, 1].map(|k| 0.5 * (w[0][k] + w[1][k])));
            if d.iter().any(|v| *v > 0.0) {
                on_m += distance_m(w[0], w[1]);
                worst = [0, 1].map(|k| worst[k].max(d[k]));
            }
        }
        (on_m, worst)
    }

    /// What people are told of a line that stands on the coarse map.
    pub fn flag(&self, line: &[Xy]) -> Option<Violation> {
        let (on_m, [slope_deg, roughness_m]) = self.along(line);
        (on_m > 0.0).then(|| {
            let message = format!(
                "{on_m:.0} m of the way stand on the coarse map; its ground is taken {slope_deg:.1}° steeper than it looks there and at least {roughness_m:.2} m rough"
            );
            Violation::soft(Code::CoarseGround, message).value(on_m, 0.0, "m")
        })
    }

    /// Says in a plan's waypoints which map the way to each stands on.
    pub fn tell(&self, start: Xy, waypoints: &mut [Waypoint]) {
        let mut from = start;
        for w in waypoints {
            let to = [w.x_m, w.y_m];
            let (on_m, [slope_deg, roughness_m]) = self.along(&[from, to]);
            if on_m > 0.0 {
                w.reasons.push(format!(
                    "stands on the coarse map for {on_m:.1} m: slope taken {slope_deg:.1}° steeper, roughness at least {roughness_m:.2} m"
                ));
            }
            from = to;
        }
    }
}
