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

/// The smallest and the greatest coordinates of points, metres; `None` without points. What is not finite is passed over.
#[must_use]
pub fn bounds<'a>(points: impl IntoIterator<Item = &'a Xy>) -> Option<[Xy; 2]> {
    let finite = |p: &&Xy| p.iter().all(|v| v.is_finite());
    points.into_iter().filter(finite).fold(None, |all, &p| {
        let [low, high] = all.unwrap_or([p, p]);
        Some([
            [low[0].min(p[0]), low[1].min(p[1])],
            [high[0].max(p[0]), high[1].max(p[1])],
        ])
    })
}

/// A polygon and its holes as one ring of points: the outline and back to its first point, then for each hole a bridge
/// from there, the hole and back over the bridge ("keyhole"). Under the even-odd rule the bridges hold nothing. Outlines
/// of fewer than three points are left out; without holes the outline stays as it is.
#[must_use]
pub fn with_holes(outline: &[Xy], holes: &[Vec<Xy>]) -> Vec<Xy> {
    let mut ring = open(outline).to_vec();
    let Some(&first) = ring.first() else {
        return ring;
    };
    let mut holes = holes.iter().map(|h| open(h)).filter(|h| h.len() >= 3);
    let Some(one) = holes.next() else {
        return ring;
    };
    ring.push(first);
    for hole in std::iter::once(one).chain(holes) {
        ring.extend(hole);
        ring.extend(hole.first());
        ring.push(first);
    }
    ring
}

/// The outline and the holes of a ring as [`with_holes`] makes it. A ring that never comes back to its first point is an
/// outline without holes.
///
/// # Errors
/// One sentence when the ring comes back to its first point and goes on in another way.
pub fn outline_and_holes(ring: &[Xy]) -> Result<(Vec<Xy>, Vec<Vec<Xy>>), String> {
    let wrong = |at: usize| {
        format!(
            "the polygon comes back to its first point and point {at} of {} begins no hole that a bridge joins to it",
            ring.len()
        )
    };
    let again = |from: usize| {
        let first = ring.get(from)?;
        (from + 1..ring.len()).find(|&i| ring.get(i) == Some(first))
    };
    let part = |from: usize, to: usize| ring.get(from..to).map(<[Xy]>::to_vec).unwrap_or_default();
    let Some(mut at) = again(0) else {
        return Ok((ring.to_vec(), Vec::new()));
    };
    let outline = part(0, at);
    let mut holes = Vec::new();
    while at + 1 < ring.len() {
        let end = again(at + 1).ok_or_else(|| wrong(at + 1))?;
        if end < at + 4 || ring.get(end + 1) != ring.first() {
            return Err(wrong(at + 1));
        }
        holes.push(part(at + 1, end));
        at = end + 1;
    }
    Ok((outline, holes))
}

/// A ring without the last point where it is the first one again.
fn open(ring: &[Xy]) -> &[Xy] {
    match ring {
        [first, rest @ .., last] if first == last && !rest.is_empty() => &ring[..ring.len() - 1],
        _ => ring,
    }
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
        fn holes_come_through_a_ring(
            outline in prop::collection::vec([-50f64..50., -50f64..50.], 3..8),
            holes in prop::collection::vec(prop::collection::vec([-9f64..9., -9f64..9.], 3..8), 0..5),
        ) {
            let ring = with_holes(&outline, &holes);
            prop_assert_eq!(outline_and_holes(&ring), Ok((outline, holes)));
        }

        #[test]
        fn a_ring_with_one_hole_holds_what_the_hole_does_not(x in -6f64..6., y in -6f64..6.) {
            let (outline, hole) = (corridor([-3.0, 0.0], [3.0, 0.0], 2.0), corridor([-1.0, 0.1], [1.0, 0.0], 0.7));
            let within = in_polygon([x, y], &outline) && !in_polygon([x, y], &hole);
            prop_assert_eq!(in_polygon([x, y], &with_holes(&outline, &[hole])), within);
        }

        #[test]
        fn far_points_are_outside(ax in -50f64..50., ay in -50f64..50., bx in -50f64..50., by in -50f64..50.) {
            let c = corridor([ax, ay], [bx, by], 2.0);
            prop_assert!(!in_polygon([500.0, 500.0], &c));
        }
    }

    #[test]
    fn rings_that_touch_themselves_in_another_way_are_told() {
        let closed = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]];
        let (outline, holes) = outline_and_holes(&closed).unwrap();
        assert!(outline == closed[..3] && holes.is_empty());
        assert_eq!(with_holes(&closed, &[]), closed[..3]);
        let mut eight = closed.to_vec();
        eight.extend([[-1.0, 0.0], [-1.0, -1.0]]);
        assert!(
            outline_and_holes(&eight)
                .unwrap_err()
                .contains("point 4 of 6")
        );
        assert!(outline_and_holes(&[]).unwrap().0.is_empty());
        assert!(bounds(&[]).is_none());
        assert_eq!(bounds(&eight), Some([[-1.0, -1.0], [1.0, 1.0]]));
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
