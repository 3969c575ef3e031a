//! Sections D, H and J: the shape of a route, how much it may be off, and the route without labels beside it.

use super::ground::{Ground, ROUNDING_M, turn_deg};
use super::verdict::{Code, Measures, Violation};
use crate::candidates::{Preset, measured, on_map};
use crate::cost::CostMap;
use sojourn_core::geometry::{Xy, distance_m, length_m, segments_cross};

/// Spacing of the points on tracks beside the route, metres.
const TRACK_STEP_M: f64 = 0.5;

/// Where a route has to begin and end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ends {
    /// The start, `map` metres.
    pub start_m: Xy,
    /// The goal, `map` metres.
    pub goal_m: Xy,
    /// How near is there, metres.
    pub goal_tolerance_m: f64,
}

/// Section D: points on the map, ends, lengths, turns.
pub(crate) fn shape(ground: &Ground<'_>, line: &[Xy], ends: &Ends, out: &mut Vec<Violation>) {
    let limits = &ground.limits.route;
    let (lo, size) = (ground.elevation.origin_m(), ground.elevation.size_m());
    // The search keeps the middles of its cells off the margin.
    let margin_m = ground.constraints.edge_margin_m - 0.5 * ground.slope.resolution_m().max(0.5);
    for (i, p) in line.iter().enumerate() {
        let edge_m = (0..2)
            .map(|k| (p[k] - lo[k]).min(lo[k] + size[k] - p[k]))
            .fold(f64::INFINITY, f64::min);
        if !(edge_m >= margin_m - ROUNDING_M) {
            out.push(
                Violation::hard(
                    Code::OutOfMap,
                    format!(
                        "point {i} ({:.1}, {:.1}) lies {edge_m:.1} m inside the map, expected at least {margin_m:.1} m",
                        p[0], p[1]
                    ),
                )
                .on(i.saturating_sub(1), Some(*p))
                .value(edge_m, margin_m, "m"),
            );
        }
    }
    for (code, name, point, wanted, tolerance_m) in [
        (
            Code::StartOff,
            "start",
            line.first(),
            ends.start_m,
            limits.start_tolerance_m,
        ),
        (
            Code::GoalOff,
            "goal",
            line.last(),
            ends.goal_m,
            ends.goal_tolerance_m,
        ),
    ] {
        let d = point.map_or(f64::NAN, |p| distance_m(*p, wanted));
        if !(d <= tolerance_m + ROUNDING_M) {
            out.push(
                Violation::hard(
                    code,
                    format!(
                        "the route is {d:.2} m off the {name}, expected at most {tolerance_m:.2} m"
                    ),
                )
                .value(d, tolerance_m, "m"),
            );
        }
    }
    for (k, w) in line.windows(2).enumerate() {
        let d = distance_m(w[0], w[1]);
        if !(d <= limits.max_segment_m + ROUNDING_M) {
            out.push(
                Violation::hard(
                    Code::SegmentLength,
                    format!(
                        "segment {k} is {d:.1} m long, expected at most {} m",
                        limits.max_segment_m
                    ),
                )
                .on(k, None)
                .value(d, limits.max_segment_m, "m"),
            );
        }
        if !(d > ROUNDING_M) {
            out.push(
                Violation::hard(Code::Backtrack, format!("segment {k} leads nowhere")).on(k, None),
            );
        }
    }
    let stops = &ground.constraints.stops;
    for (k, w) in line.windows(3).enumerate() {
        let turn = turn_deg(w[0], w[1], w[2]);
        // A rover may leave a place that it visits the way it came.
        let visit = stops
            .iter()
            .any(|s| distance_m(s.at_m, w[1]) <= s.tolerance_m);
        if !visit && !(turn <= limits.max_turn_deg) {
            out.push(
                Violation::hard(
                    Code::Backtrack,
                    format!(
                        "segment {} turns by {turn:.0}° at ({:.1}, {:.1}), expected at most {:.0}°",
                        k + 1,
                        w[1][0],
                        w[1][1],
                        limits.max_turn_deg
                    ),
                )
                .on(k + 1, Some(w[1]))
                .value(turn, limits.max_turn_deg, "deg"),
            );
        }
    }
    visits(ground, line, out);
    lengths(ground, line, ends, out);
    crossings(line, out);
}

/// The mission's stops, each at a point of the line, in their order.
fn visits(ground: &Ground<'_>, line: &[Xy], out: &mut Vec<Violation>) {
    let mut rest = line;
    for stop in &ground.constraints.stops {
        let near = |p: &Xy| distance_m(*p, stop.at_m);
        if let Some(k) = rest
            .iter()
            .position(|p| near(p) <= stop.tolerance_m + ROUNDING_M)
        {
            rest = &rest[k..];
            continue;
        }
        let d = rest.iter().map(near).fold(f64::INFINITY, f64::min);
        out.push(
            Violation::hard(
                Code::StopMissed,
                format!(
                    "no point of the route, after the stops before it, lies within {:.2} m of the stop \"{}\" at ({:.1}, {:.1}); the nearest is {d:.2} m away",
                    stop.tolerance_m,
                    crate::model::plain(&stop.name, 80),
                    stop.at_m[0],
                    stop.at_m[1]
                ),
            )
            .value(d, stop.tolerance_m, "m"),
        );
    }
}

/// Length of the straight lines from start over the stops to the goal, metres.
fn straight_m(ground: &Ground<'_>, first: Xy, last: Xy) -> f64 {
    length_m(&ground.constraints.way_points(first, last))
}

fn lengths(ground: &Ground<'_>, line: &[Xy], ends: &Ends, out: &mut Vec<Violation>) {
    let limits = &ground.limits.route;
    let length = length_m(line);
    if !(length <= limits.max_length_m) {
        out.push(
            Violation::hard(
                Code::RouteLength,
                format!(
                    "the route is {length:.0} m long, expected at most {:.0} m",
                    limits.max_length_m
                ),
            )
            .value(length, limits.max_length_m, "m"),
        );
    }
    let ratio = length / straight_m(ground, ends.start_m, ends.goal_m);
    if ratio > limits.long_ratio {
        out.push(
            Violation::soft(
                Code::LongRoute,
                format!("the route is {ratio:.1} times as long as the straight line"),
            )
            .value(ratio, limits.long_ratio, "ratio"),
        );
    }
}

fn crossings(line: &[Xy], out: &mut Vec<Violation>) {
    for (i, a) in line.windows(2).enumerate() {
        for (j, b) in line.windows(2).enumerate().skip(i + 2) {
            if segments_cross(a[0], a[1], b[0], b[1]) {
                out.push(
                    Violation::soft(Code::SelfCrossing, format!("segments {i} and {j} cross"))
                        .on(j, Some(b[0])),
                );
                return;
            }
        }
    }
}

/// Section H: the map a little off, the rover a little off. All flagged, none hard: the tube of section E is.
pub(crate) fn robustness(ground: &Ground<'_>, line: &[Xy], out: &mut Vec<Violation>) -> f64 {
    let (limits, error_m) = (
        &ground.limits.robustness,
        ground.limits.ground.registration_error_m,
    );
    let shifted: Vec<String> = (0..8)
        .filter_map(|turn| {
            let (sin, cos) = (f64::from(turn) * std::f64::consts::FRAC_PI_4).sin_cos();
            let moved: Vec<Xy> = line
                .iter()
                .map(|p| [p[0] + error_m * cos, p[1] + error_m * sin])
                .collect();
            (!ground.line_is_sound(&moved, TRACK_STEP_M)).then(|| format!("{}°", turn * 45))
        })
        .collect();
    let about = line.get(line.len() / 2).copied().unwrap_or([0.0; 2]);
    let turned = [-1.0, 1.0].into_iter().filter(|sign| {
        let (sin, cos) = (sign * limits.rotation_deg.to_radians()).sin_cos();
        let moved: Vec<Xy> = line
            .iter()
            .map(|p| [p[0] - about[0], p[1] - about[1]])
            .map(|[x, y]| [about[0] + cos * x - sin * y, about[1] + sin * x + cos * y])
            .collect();
        !ground.line_is_sound(&moved, TRACK_STEP_M)
    });
    let turned = turned.count();
    if !shifted.is_empty() || turned > 0 {
        out.push(Violation::soft(
            Code::ShiftFails,
            format!(
                "with the map {error_m:.2} m off towards [{}], or turned by {:.0}° about the middle of the way ({turned} of 2), the way is no longer sound",
                shifted.join(", "),
                limits.rotation_deg
            ),
        ));
    }
    let tracks = limits.tracks.max(1);
    let sound = (0..tracks)
        .filter(|track| {
            ground.line_is_sound(
                &jittered(line, *track, ground.limits.tube_m()),
                TRACK_STEP_M,
            )
        })
        .count();
    let share = sound as f64 / tracks as f64;
    if share < limits.least_share {
        out.push(
            Violation::soft(
                Code::JitterFails,
                format!("{sound} of {tracks} tracks beside the way are sound"),
            )
            .value(share, limits.least_share, "ratio"),
        );
    }
    share
}

/// The line with every point but the first moved by up to `reach_m`, differently for each track.
fn jittered(line: &[Xy], track: usize, reach_m: f64) -> Vec<Xy> {
    let draw = |i: usize, axis: u64| {
        // SplitMix64 of the place in the table of tracks.
        let mut z =
            ((track as u64) << 32 | (i as u64) << 1 | axis).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64 * 2.0 - 1.0
    };
    line.iter()
        .enumerate()
        .map(|(i, p)| {
            // The square inside the circle of that radius.
            let r = if i == 0 {
                0.0
            } else {
                reach_m * std::f64::consts::FRAC_1_SQRT_2
            };
            [p[0] + r * draw(i, 0), p[1] + r * draw(i, 1)]
        })
        .collect()
}

/// Section J: length and cost by those of the optimum on the ground without labels and keep-outs (so that a keep-out
/// more never makes a route look better).
pub(crate) fn comparison(
    ground: &Ground<'_>,
    bare: &CostMap,
    line: &[Xy],
    labelled: bool,
    out: &mut Vec<Violation>,
) -> Option<(f64, f64)> {
    let (first, last) = (*line.first()?, *line.last()?);
    let this = measured(bare, line.to_vec(), Preset::Balanced)?;
    let (mut best_m, mut best_cost, mut best_risk_m) = (0.0, 0.0, 0.0);
    for leg in ground.constraints.way_points(first, last).windows(2) {
        let best = on_map(bare, leg, 1).into_iter().next()?;
        best_m += best.length_m;
        best_cost += best.cost;
        best_risk_m += best.risk_m;
    }
    let (length, cost) = (this.length_m / best_m, this.cost / best_cost);
    let risk = (this.risk_m + 1.0) / (best_risk_m + 1.0);
    let limits = &ground.limits.comparison;
    if !labelled
        && (length > limits.max_length_ratio
            || risk > limits.max_risk_ratio && cost > 1.0 + ROUNDING_M)
    {
        out.push(
            Violation::soft(
                Code::WorseThanOptimum,
                format!(
                    "no label gives a reason for {length:.2} times the length and {risk:.2} times the risk of the optimum"
                ),
            )
            .value(length, limits.max_length_ratio, "ratio"),
        );
    }
    // A long way is refused only when there is a much shorter one.
    let ratio = this.length_m / straight_m(ground, first, last);
    let most = ground.limits.route.max_ratio;
    if ratio > most && length > limits.max_length_ratio {
        out.push(
            Violation::hard(
                Code::RouteLength,
                format!(
                    "the route is {ratio:.1} times as long as the straight line and {length:.2} times as long as the optimum, expected at most {most} or {}",
                    limits.max_length_ratio
                ),
            )
            .value(ratio, most, "ratio"),
        );
    }
    Some((length, cost))
}

/// The figures of a route.
pub(crate) fn measures(
    ground: &Ground<'_>,
    line: &[Xy],
    ends: &Ends,
    sound_tracks: f64,
    by_optimum: Option<(f64, f64)>,
) -> Measures {
    let (max_slope_deg, max_roughness_m) = ground.worst(line);
    let length_m = length_m(line);
    Measures {
        length_m,
        length_ratio: length_m / straight_m(ground, ends.start_m, ends.goal_m).max(ROUNDING_M),
        max_slope_deg,
        max_roughness_m,
        sound_tracks,
        length_by_optimum: by_optimum.map(|b| b.0),
        cost_by_optimum: by_optimum.map(|b| b.1),
    }
}
