//! Sections I and K: what a plan's document promises and allows.

use super::Limits;
use super::answer::{local_from_map, map_from_local};
use super::ground::{Ground, ROUNDING_M};
use super::verdict::{Code, Violation};
use crate::freshness::ages;
use crate::waypoints::distance_to_polygon_m;
use sojourn_core::CoreError;
use sojourn_core::constraints::Constraints;
use sojourn_core::geometry::{Xy, distance_m, distance_to_edge_m, in_polygon};
use sojourn_core::plan::Plan;

/// What holds for the document alone: lengths of segments and turns are known without the ground.
pub(crate) fn document(plan: &Plan, limits: &Limits, out: &mut Vec<Violation>) {
    let most_m = limits.route.max_segment_m;
    for (k, w) in plan.line().windows(2).enumerate() {
        let d = distance_m(w[0], w[1]);
        if !(d <= most_m + ROUNDING_M)
            && !out
                .iter()
                .any(|v| v.code == Code::SegmentLength && v.segment == Some(k))
        {
            out.push(
                Violation::hard(
                    Code::SegmentLength,
                    format!("segment {k} is {d:.1} m long, expected at most {most_m} m"),
                )
                .on(k, None)
                .value(d, most_m, "m"),
            );
        }
    }
    for (i, f) in plan.features.iter().enumerate() {
        if f.added_cost < 0.0 {
            out.push(Violation::hard(
                Code::LabelCheapens,
                format!(
                    "label {i} adds a cost of {}, expected none below 0",
                    f.added_cost
                ),
            ));
        }
    }
}

/// Limits, time-outs and corridors of the segments.
pub(crate) fn segments(plan: &Plan, ground: Option<&Ground<'_>>, out: &mut Vec<Violation>) {
    let mut from = [plan.start.x_m, plan.start.y_m];
    for (k, w) in plan.waypoints.iter().enumerate() {
        let length_m = distance_m(from, w.xy());
        let least_s = length_m / w.limits.speed_mps;
        if !(w.timeout_s >= least_s) {
            out.push(
                Violation::hard(
                    Code::TimeoutShort,
                    format!(
                        "segment {k}: timeout_s is {:.0}, expected at least the {least_s:.0} s that the way takes at full speed",
                        w.timeout_s
                    ),
                )
                .on(k, None)
                .value(w.timeout_s, least_s, "s"),
            );
        }
        for (i, polygon) in plan.keep_out.iter().enumerate() {
            if overlap(&w.corridor, polygon) {
                out.push(
                    Violation::hard(
                        Code::CorridorOpen,
                        format!("segment {k}: its corridor enters keep_out[{i}]"),
                    )
                    .on(k, None),
                );
            }
        }
        if let Some(ground) = ground {
            with_rover(k, w, from, ground, out);
        }
        from = w.xy();
    }
    if let Some(ground) = ground {
        drive_time(plan, ground, out);
        drive_energy(plan, ground, out);
        mission_ends(plan, ground, out);
    }
}

/// Time that a drive is expected to take by its time-outs, slip and turns counted, seconds.
pub(crate) fn expected_s(plan: &Plan, mission: &Constraints) -> f64 {
    let allowed_s: f64 = plan.waypoints.iter().map(|w| w.timeout_s).sum();
    (10.0 * allowed_s / mission.timeout_factor).round() / 10.0
}

/// Section I: the expected energy against the mission's.
fn drive_energy(plan: &Plan, ground: &Ground<'_>, out: &mut Vec<Violation>) {
    let Some(budget) = ground.constraints.energy else {
        return;
    };
    // Time-outs are the plan's own word; no drive is quicker than its length at cruise speed.
    let least_s = plan.distance_m / ground.rover.drive.cruise_mps;
    let takes_s = expected_s(plan, ground.constraints).max(least_s);
    let takes_wh = budget.driving_w * takes_s / 3600.0;
    if !(takes_wh <= budget.most_wh) {
        out.push(
            Violation::hard(
                Code::DriveEnergy,
                format!(
                    "the drive takes {takes_wh:.0} Wh ({takes_s:.0} s at {:.0} W), the mission's energy.most_wh is {:.0} Wh",
                    budget.driving_w, budget.most_wh
                ),
            )
            .value(takes_wh, budget.most_wh, "Wh"),
        );
    }
}

/// Section I: other ends than the mission's are flagged, since a person may ask for them.
fn mission_ends(plan: &Plan, ground: &Ground<'_>, out: &mut Vec<Violation>) {
    let c = ground.constraints;
    for (name, found, wanted, tolerance_m) in [
        (
            "start",
            [plan.start.x_m, plan.start.y_m],
            c.start_m,
            ground.limits.route.start_tolerance_m,
        ),
        (
            "goal",
            [plan.goal.x_m, plan.goal.y_m],
            c.goal_m,
            c.goal_tolerance_m,
        ),
    ] {
        let Some(wanted) = wanted else { continue };
        let d = distance_m(found, wanted);
        if !(d <= tolerance_m) {
            out.push(
                Violation::soft(
                    Code::MissionEnds,
                    format!(
                        "the {name} ({:.1}, {:.1}) lies {d:.1} m from the mission's ({:.1}, {:.1})",
                        found[0], found[1], wanted[0], wanted[1]
                    ),
                )
                .value(d, tolerance_m, "m"),
            );
        }
    }
}

/// Section I: layers that no longer hold on the day of the drive.
pub(crate) fn stale_layers(ground: &Ground<'_>, out: &mut Vec<Violation>) -> Result<(), CoreError> {
    for age in ages(ground.site, ground.constraints)? {
        if !age.stale {
            continue;
        }
        let make = if age.refuse {
            Violation::hard
        } else {
            Violation::soft
        };
        out.push(make(Code::LayerStale, age.words));
    }
    Ok(())
}

fn with_rover(
    k: usize,
    w: &sojourn_core::plan::Waypoint,
    from: Xy,
    ground: &Ground<'_>,
    out: &mut Vec<Violation>,
) {
    let (l, c) = (&ground.rover.limits, ground.constraints);
    for (name, value, limit, unit) in [
        ("tilt_deg", w.limits.tilt_deg, l.tilt_deg, "deg"),
        ("slip", w.limits.slip, l.slip, "ratio"),
        ("speed_mps", w.limits.speed_mps, l.wheel_speed_mps, "m/s"),
    ] {
        if !(value <= limit + 1e-9) {
            out.push(
                Violation::hard(
                    Code::LimitsLoose,
                    format!("segment {k}: limits.{name} is {value}, expected at most the rover's {limit}"),
                )
                .on(k, None)
                .value(value, limit, unit),
            );
        }
    }
    let d = distance_m(from, w.xy());
    if !(d >= c.segment_min_m - ROUNDING_M && d <= c.segment_max_m + ROUNDING_M) {
        out.push(
            Violation::hard(
                Code::SegmentLength,
                format!(
                    "segment {k} is {d:.2} m long, the mission expects {} to {} m",
                    c.segment_min_m, c.segment_max_m
                ),
            )
            .on(k, None)
            .value(d, c.segment_max_m, "m"),
        );
    }
    let half_m = distance_to_edge_m(from, &w.corridor).min(distance_to_edge_m(w.xy(), &w.corridor));
    let tube_m = ground.limits.tube_m();
    if half_m < tube_m - ROUNDING_M {
        out.push(
            Violation::soft(
                Code::CorridorNarrow,
                format!("segment {k}: its corridor leaves {half_m:.2} m to each side, the rover may be {tube_m:.2} m off"),
            )
            .on(k, None)
            .value(half_m, tube_m, "m"),
        );
    }
    for (i, polygon) in c.keep_out.iter().enumerate() {
        if overlap(&w.corridor, polygon) {
            out.push(
                Violation::hard(
                    Code::CorridorOpen,
                    format!("segment {k}: its corridor enters the mission's keep_out[{i}]"),
                )
                .on(k, None),
            );
        }
    }
}

/// Whether two polygons have ground in common.
fn overlap(a: &[Xy], b: &[Xy]) -> bool {
    if b.iter().any(|p| in_polygon(*p, a)) {
        return true;
    }
    (0..a.len()).any(|i| distance_to_polygon_m(a[i], a[(i + 1) % a.len()], b) <= 0.0)
}

/// Section I: the expected time against the mission's.
fn drive_time(plan: &Plan, ground: &Ground<'_>, out: &mut Vec<Violation>) {
    let Some(most_s) = ground.constraints.max_drive_s else {
        return;
    };
    let speed_mps = ground.constraints.speed_share * ground.rover.drive.cruise_mps;
    let takes_s = plan.distance_m / speed_mps;
    if !(takes_s <= most_s) {
        out.push(
            Violation::hard(
                Code::DriveTime,
                format!(
                    "the drive takes {takes_s:.0} s, the mission's max_drive_s is {most_s:.0} s"
                ),
            )
            .value(takes_s, most_s, "s"),
        );
    }
}

/// Section K: coordinates to the image frame and back.
pub(crate) fn round_trip(line: &[Xy], ground: &Ground<'_>, out: &mut Vec<Violation>) {
    let nw = ground.north_west_m();
    let worst_m = line
        .iter()
        .map(|p| distance_m(*p, map_from_local(local_from_map(*p, nw), nw)))
        .fold(0.0, f64::max);
    let most_m = ground.limits.output.round_trip_m;
    if !(worst_m <= most_m) {
        out.push(
            Violation::hard(
                Code::RoundTrip,
                format!("coordinates come back {worst_m:.3} m off"),
            )
            .value(worst_m, most_m, "m"),
        );
    }
}
