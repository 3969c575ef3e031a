//! Where the rover may be: keep-in polygons in `map` of which its centre stays in at least one, and keep-outs that the whole
//! rover stays out of, brought into `odom` every cycle.

use sojourn_core::{
    frames::{Map, Odom, Point, Transform},
    geometry::{Xy, bounds, distance_to_edge_m, in_polygon},
};

/// Keep-in and keep-out polygons in `odom`, metres.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Corridor {
    keep_in: Vec<Zone>,
    keep_out: Vec<Zone>,
    /// The centre keeps this far from keep-outs, metres.
    clear_m: f64,
}

/// A polygon and the rectangle around it.
#[derive(Clone, Debug, PartialEq)]
struct Zone {
    polygon: Vec<Xy>,
    low: Xy,
    high: Xy,
}

impl Zone {
    fn of(polygon: Vec<Xy>) -> Option<Self> {
        let [low, high] = bounds(&polygon)?;
        Some(Self { polygon, low, high })
    }

    /// Whether a point is farther than `d_m` outside the rectangle.
    fn is_beside(&self, p: Xy, d_m: f64) -> bool {
        let beside = |i: usize| p[i] < self.low[i] - d_m || p[i] > self.high[i] + d_m;
        beside(0) || beside(1)
    }

    fn holds(&self, p: Xy) -> bool {
        !self.is_beside(p, 0.0) && in_polygon(p, &self.polygon)
    }

    /// Whether a point lies in it or nearer than `d_m`.
    fn is_nearer(&self, p: Xy, d_m: f64) -> bool {
        !self.is_beside(p, d_m) && self.distance_m(p) < d_m
    }

    /// Distance to it, metres; negative inside.
    fn distance_m(&self, p: Xy) -> f64 {
        let d = distance_to_edge_m(p, &self.polygon);
        if in_polygon(p, &self.polygon) { -d } else { d }
    }
}

/// What two distances to the same thing differ by, metres.
pub(crate) const ROUNDING_M: f64 = 1e-6;

impl Corridor {
    /// Brings keep-in polygons from `map` into `odom`. Polygons of fewer than three points or with a number that is not
    /// finite hold nothing and are left out.
    #[must_use]
    pub fn in_odom(keep_in_map: &[Vec<Xy>], odom_from_map: &Transform<Odom, Map>) -> Self {
        Self {
            keep_in: brought(keep_in_map, odom_from_map)
                .filter_map(Zone::of)
                .collect(),
            ..Self::default()
        }
    }

    /// With keep-outs in `map` from which the centre of a rover at `here` stays `clear_m` away: its footprint's radius. A
    /// rover that stands nearer keeps the distance it has, so that it can go away.
    #[must_use]
    pub fn keeping_out(
        self,
        keep_out_map: &[Vec<Xy>],
        odom_from_map: &Transform<Odom, Map>,
        clear_m: f64,
        here: Xy,
    ) -> Self {
        let keep_out: Vec<Zone> = brought(keep_out_map, odom_from_map)
            .filter_map(Zone::of)
            .collect();
        let now_m = nearest_m(&keep_out, here);
        Self {
            keep_out,
            clear_m: clear_m.min(now_m - ROUNDING_M).max(0.0),
            ..self
        }
    }

    /// The corridor as it lies in `map`, whose centre line keeps `clear_m` from keep-outs wherever the rover is now.
    #[must_use]
    pub(crate) fn in_map(keep_in_map: &[Vec<Xy>], keep_out_map: &[Vec<Xy>], clear_m: f64) -> Self {
        let still = Transform::identity();
        let zones = |polygons| brought(polygons, &still).filter_map(Zone::of).collect();
        Self {
            keep_in: zones(keep_in_map),
            keep_out: zones(keep_out_map),
            clear_m: clear_m.max(0.0),
        }
    }

    /// Whether there is no keep-in polygon.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keep_in.is_empty()
    }

    /// Whether a point lies in a keep-out.
    #[must_use]
    pub fn is_kept_out(&self, p: Xy) -> bool {
        self.keep_out.iter().any(|z| z.holds(p))
    }

    /// How deep inside the keep-in polygons a point lies: the greatest distance to the edge of one that holds it, metres;
    /// negative outside. (Where polygons overlap this is less than the distance to the edge of their union, never more.)
    #[must_use]
    pub fn depth_m(&self, p: Xy) -> f64 {
        self.keep_in
            .iter()
            .filter(|z| z.holds(p))
            .map(|z| distance_to_edge_m(p, &z.polygon))
            .fold(-1.0, f64::max)
    }

    /// How far the centre may go from a point in any direction, metres; negative where it must not be.
    #[must_use]
    pub fn room_m(&self, p: Xy) -> f64 {
        self.depth_m(p)
            .min(nearest_m(&self.keep_out, p) - self.clear_m)
    }

    /// Whether the centre may be at a point: inside, at least `margin_m` from the edge, and clear of keep-outs.
    #[must_use]
    pub fn holds(&self, p: Xy, margin_m: f64) -> bool {
        let inside = self.keep_in.iter().any(|z| {
            z.holds(p) && (margin_m <= 0.0 || distance_to_edge_m(p, &z.polygon) >= margin_m)
        });
        inside
            && !self
                .keep_out
                .iter()
                .any(|z| z.is_nearer(p, self.clear_m) || z.holds(p))
    }
}

/// Polygons that hold something, from `map` in `odom`.
fn brought(
    polygons_map: &[Vec<Xy>],
    odom_from_map: &Transform<Odom, Map>,
) -> impl Iterator<Item = Vec<Xy>> {
    polygons_map
        .iter()
        .filter(|p| p.len() >= 3 && p.iter().flatten().all(|v| v.is_finite()))
        .map(|p| {
            p.iter()
                .map(|&[x, y]| {
                    let q = *odom_from_map * Point::new(x, y, 0.0);
                    [q.xyz.x, q.xyz.y]
                })
                .collect()
        })
}

fn nearest_m(zones: &[Zone], p: Xy) -> f64 {
    zones
        .iter()
        .map(|z| z.distance_m(p))
        .fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sojourn_core::geometry::corridor;

    #[test]
    fn two_corridors_are_one_ground() {
        let keep = [
            corridor([100.0, 0.0], [110.0, 0.0], 2.0),
            corridor([110.0, 0.0], [110.0, 10.0], 2.0),
            vec![[0.0, 0.0], [f64::NAN, 1.0], [1.0, 1.0]],
        ];
        let odom_from_map = Transform::from_xyz_rpy([-100.0, 0.0, 0.0], 0.0, 0.0, 0.0);
        let c = Corridor::in_odom(&keep, &odom_from_map);
        assert!(c.holds([5.0, 0.0], 1.5) && c.holds([10.0, 8.0], 1.0));
        assert!(!c.holds([5.0, 1.9], 0.5) && !c.holds([5.0, 3.0], 0.0));
        assert!(c.depth_m([5.0, 3.0]) < 0.0 && (c.depth_m([5.0, 0.0]) - 2.0).abs() < 1e-9);
        assert!(Corridor::in_odom(&[], &odom_from_map).is_empty());
        assert!(!Corridor::default().holds([0.0, 0.0], 0.0));
    }

    #[test]
    fn keep_outs_are_kept_clear_of_and_one_that_is_too_near_can_be_left() {
        let odom_from_map = Transform::from_xyz_rpy([-100.0, 0.0, 0.0], 0.0, 0.0, 0.0);
        let keep_in = [corridor([100.0, 0.0], [120.0, 0.0], 5.0)];
        let keep_out = [corridor([108.0, 0.0], [110.0, 0.0], 1.0)];
        let at = |here: Xy| {
            Corridor::in_odom(&keep_in, &odom_from_map).keeping_out(
                &keep_out,
                &odom_from_map,
                2.0,
                here,
            )
        };
        let far = at([0.0, 0.0]);
        assert!(far.holds([4.9, 0.0], 0.0) && !far.holds([5.1, 0.0], 0.0));
        assert!(!far.holds([9.0, 0.0], 0.0) && far.holds([9.0, 3.1], 0.0));
        assert!((far.room_m([4.0, 0.0]) - 1.0).abs() < 1e-9 && far.room_m([6.0, 0.0]) < 0.0);
        assert!(far.is_kept_out([9.0, 0.0]) && !far.is_kept_out([6.0, 0.0]));
        let near = at([6.0, 0.0]);
        assert!(near.holds([6.0, 0.0], 0.0) && near.holds([5.9, 0.0], 0.0));
        assert!(!near.holds([6.1, 0.0], 0.0));
        let inside = at([8.0, 0.0]);
        assert!(!inside.holds([8.0, 0.0], 0.0) && inside.holds([6.9, 0.0], 0.0));
    }

    proptest! {
        /// What the planner rests on when it does not ask about every point of an arc: as far as there is room every point is held.
        #[test]
        fn where_there_is_room_every_point_is_held(
            at in (-12.0f64..12.0, -6.0f64..6.0), clear_m in 0.0f64..3.0, margin_m in 0.0f64..1.0,
            direction in 0.0f64..6.3, share in 0.0f64..=1.0,
        ) {
            let still = Transform::from_xyz_rpy([0.0, 0.0, 0.0], 0.0, 0.0, 0.0);
            let keep_in = [corridor([-10.0, 0.0], [4.0, 1.0], 4.0), corridor([2.0, -1.0], [10.0, 0.0], 3.0)];
            let keep_out = [corridor([-4.0, 1.0], [-3.0, 1.0], 0.5), corridor([6.0, -3.0], [7.0, -2.0], 0.5)];
            let here = [at.0, at.1];
            let c = Corridor::in_odom(&keep_in, &still).keeping_out(&keep_out, &still, clear_m, [-9.0, 0.0]);
            let far = c.room_m(here) - margin_m - ROUNDING_M;
            if far >= 0.0 {
                let p = [here[0] + share * far * direction.cos(), here[1] + share * far * direction.sin()];
                prop_assert!(c.holds(p, margin_m), "{p:?}, {far} m from {here:?}");
            }
        }
    }
}
