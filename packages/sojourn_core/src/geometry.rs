//! Plane geometry on `[x_m, y_m]` points: polygons, segments, corridors.

/// A point on the plane, metres.
pub type Xy = [f64; 2];

/// Distance between two points, metres.
#[must_use]
pub fn distance_m(a: Xy, b: Xy) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

/// Distance from `p` to the segment `a`–`b`, metres.
#[must_use]
pub fn distance_to_segment_m(p: Xy, a: Xy, b: Xy) -> f64 {
    let t = along_segment(p, a, b);
    distance_m(p, [a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])])
}

/// Where the foot of `p` lies on the segment `a`–`b`: 0 at `a`, 1 at `b`, clamped.
#[must_use]
pub fn along_segment(p: Xy, a: Xy, b: Xy) -> f64 {
    let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
    let len2 = dx * dx + dy * dy;
    if len2 <= 0.0 {
        0.0
    } else {
        (((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / len2).clamp(0.0, 1.0)
    }
}

/// Whether `p` lies inside the simple polygon (even-odd rule). A polygon of fewer than 3 points holds nothing.
#[must_use]
pub fn in_polygon(p: Xy, polygon: &[Xy]) -> bool {
    if polygon.len() < 3 || !p[0].is_finite() || !p[1].is_finite() {
        return false;
    }
    let mut inside = false;
    let mut b = polygon[polygon.len() - 1];
    for &a in polygon {
        if (a[1] > p[1]) != (b[1] > p[1]) {
            let x = (b[0] - a[0]) * (p[1] - a[1]) / (b[1] - a[1]) + a[0];
            if p[0] < x {
                inside = !inside;
            }
        }
        b = a;
    }
    inside
}

/// Distance from `p` to the polygon's edge, metres; infinite for an empty polygon.
#[must_use]
pub fn distance_to_edge_m(p: Xy, polygon: &[Xy]) -> f64 {
    let mut best = f64::INFINITY;
    for i in 0..polygon.len() {
        let (a, b) = (polygon[i], polygon[(i + 1) % polygon.len()]);
        best = best.min(distance_to_segment_m(p, a, b));
    }
    best
}

/// The rectangle around the segment `a`–`b` that reaches `half_width_m` to each side and beyond each end,
/// counter-clockwise.
#[must_use]
pub fn corridor(a: Xy, b: Xy, half_width_m: f64) -> Vec<Xy> {
    let len = distance_m(a, b);
    let (ux, uy) = if len > 0.0 {
        ((b[0] - a[0]) / len, (b[1] - a[1]) / len)
    } else {
        (1.0, 0.0)
    };
    let (w, nx, ny) = (half_width_m, -uy, ux);
    vec![
        [a[0] - ux * w - nx * w, a[1] - uy * w - ny * w],
        [b[0] + ux * w - nx * w, b[1] + uy * w - ny * w],
        [b[0] + ux * w + nx * w, b[1] + uy * w + ny * w],
        [a[0] - ux * w + nx * w, a[1] - uy * w + ny * w],
    ]
}

/// Whether the two segments cross or touch.
#[must_use]
pub fn segments_cross(a: Xy, b: Xy, c: Xy, d: Xy) -> bool {
    fn side(a: Xy, b: Xy, p: Xy) -> f64 {
        (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])
    }
    let (s1, s2, s3, s4) = (side(a, b, c), side(a, b, d), side(c, d, a), side(c, d, b));
    ((s1 > 0.0) != (s2 > 0.0) && (s3 > 0.0) != (s4 > 0.0))
        || distance_to_segment_m(c, a, b) == 0.0
        || distance_to_segment_m(d, a, b) == 0.0
        || distance_to_segment_m(a, c, d) == 0.0
        || distance_to_segment_m(b, c, d) == 0.0
}

/// Length of a polyline, metres.
#[must_use]
pub fn length_m(points: &[Xy]) -> f64 {
    points.windows(2).map(|w| distance_m(w[0], w[1])).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_corridor_holds_its_segment(ax in -50f64..50., ay in -50f64..50., bx in -50f64..50., by in -50f64..50., t in 0f64..1., w in 0.5f64..8.) {
            let c = corridor([ax, ay], [bx, by], w);
            let p = [ax + t * (bx - ax), ay + t * (by - ay)];
            prop_assert!(in_polygon(p, &c));
            prop_assert!(distance_to_edge_m(p, &c) <= w + 1e-9);
        }

        #[test]
        fn far_points_are_outside(ax in -50f64..50., ay in -50f64..50., bx in -50f64..50., by in -50f64..50.) {
            let c = corridor([ax, ay], [bx, by], 2.0);
            prop_assert!(!in_polygon([500.0, 500.0], &c));
        }
    }

    #[test]
    fn degenerate_polygons_hold_nothing() {
        assert!(!in_polygon([0.0, 0.0], &[]));
        assert!(!in_polygon([0.0, 0.0], &[[0.0, 0.0], [1.0, 1.0]]));
        assert!(!in_polygon(
            [f64::NAN, 0.0],
            &corridor([0.0, 0.0], [1.0, 0.0], 1.0)
        ));
    }
}
