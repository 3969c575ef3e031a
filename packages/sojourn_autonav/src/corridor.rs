//! The corridor: polygons in `map` of which the rover's centre stays in at least one, brought into `odom` every cycle.

use sojourn_core::{
    frames::{Map, Odom, Point, Transform},
    geometry::{Xy, distance_to_edge_m, in_polygon},
};

/// Keep-in polygons in `odom`, metres.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Corridor {
    polygons: Vec<Vec<Xy>>,
}

impl Corridor {
    /// Brings polygons from `map` into `odom`. Polygons of fewer than three points or with a number that is not
    /// finite hold nothing and are left out.
    #[must_use]
    pub fn in_odom(keep_in_map: &[Vec<Xy>], odom_from_map: &Transform<Odom, Map>) -> Self {
        let polygons = keep_in_map
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
            .collect();
        Self { polygons }
    }

    /// Whether there is any polygon at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.polygons.is_empty()
    }

    /// How deep inside a point lies: the greatest distance to the edge of a polygon that holds it, metres; negative
    /// outside. (Where polygons overlap this is less than the distance to the edge of their union, never more.)
    #[must_use]
    pub fn depth_m(&self, p: Xy) -> f64 {
        self.polygons
            .iter()
            .filter(|polygon| in_polygon(p, polygon))
            .map(|polygon| distance_to_edge_m(p, polygon))
            .fold(-1.0, f64::max)
    }

    /// Whether a point lies inside, at least `margin_m` from the edge.
    #[must_use]
    pub fn holds(&self, p: Xy, margin_m: f64) -> bool {
        self.polygons.iter().any(|polygon| {
            in_polygon(p, polygon)
                && (margin_m <= 0.0 || distance_to_edge_m(p, polygon) >= margin_m)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
}
