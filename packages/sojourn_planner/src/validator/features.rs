//! Section F: labels against the route and against what is measured.

use super::answer::{Answer, AnswerTask, Intent, map_from_local};
use super::ground::Ground;
use super::verdict::{Code, Violation};
use crate::smooth::densify;
use crate::waypoints::distance_to_polygon_m;
use sojourn_core::classes::TerrainClass;
use sojourn_core::geometry::{Xy, distance_m, in_polygon, segments_cross};
use sojourn_core::plan::Plan;

/// Points that a label's ground is looked at, along each side.
const SAMPLES: usize = 12;

/// Labels of a plan.
pub(crate) fn plan_features(plan: &Plan, ground: &Ground<'_>, out: &mut Vec<Violation>) {
    let line = plan.line();
    for (i, f) in plan.features.iter().enumerate() {
        let name = format!("label {i} \"{}\"", f.class.name());
        if f.forbids {
            avoid(&line, &f.polygon, &name, out);
        }
        contradiction(f.class, &f.polygon, &name, ground, out);
    }
}

/// Labels of a model's answer, over the route that its anchors give.
pub(crate) fn answer_features(
    answer: &Answer,
    line: &[Xy],
    // Index of the anchor that each segment leads to.
    anchor_of: &[usize],
    task: &AnswerTask,
    ground: &Ground<'_>,
    out: &mut Vec<Violation>,
) {
    let nw = ground.north_west_m();
    for f in &answer.features {
        let polygon: Vec<Xy> = f
            .outline
            .iter()
            .map(|p| map_from_local(p.xy(), nw))
            .collect();
        let name = format!("feature {} \"{}\"", f.id, f.terrain_class.name());
        if let Some(why) = outline_fault(&polygon, ground) {
            out.push(Violation::hard(
                Code::OutlineInvalid,
                format!("{name}: {why}"),
            ));
            continue;
        }
        if f.forbids() {
            avoid(line, &polygon, &name, out);
        } else if f.risk == 4 {
            risk4(answer, line, anchor_of, &polygon, &name, ground, out);
        }
        contradiction(f.terrain_class, &polygon, &name, ground, out);
    }
    unseen(line, task, ground, out);
}

/// Why an outline is not one.
fn outline_fault(polygon: &[Xy], ground: &Ground<'_>) -> Option<String> {
    let (lo, size) = (ground.elevation.origin_m(), ground.elevation.size_m());
    let n = polygon.len();
    if let Some(p) = polygon
        .iter()
        .find(|p| (0..2).any(|k| !(p[k] >= lo[k] && p[k] <= lo[k] + size[k])))
    {
        return Some(format!(
            "its corner ({:.1}, {:.1}) lies off the map",
            p[0], p[1]
        ));
    }
    let next = |i: usize| polygon[(i + 1) % n];
    for i in 0..n {
        for j in i + 2..n {
            if !(i == 0 && j == n - 1) && segments_cross(polygon[i], next(i), polygon[j], next(j)) {
                return Some(format!("its sides {i} and {j} cross"));
            }
        }
    }
    let area_m2: f64 = (0..n)
        .map(|i| polygon[i][0] * next(i)[1] - next(i)[0] * polygon[i][1])
        .sum::<f64>()
        .abs()
        / 2.0;
    let most_m2 = ground.limits.answer.max_feature_share * size[0] * size[1];
    (!(area_m2 > 0.0 && area_m2 <= most_m2)).then(|| {
        format!("its area is {area_m2:.1} m², expected more than 0 and at most {most_m2:.0} m²")
    })
}

pub(crate) fn avoid(line: &[Xy], polygon: &[Xy], name: &str, out: &mut Vec<Violation>) {
    for (k, w) in line.windows(2).enumerate() {
        if distance_to_polygon_m(w[0], w[1], polygon) <= 0.0 {
            out.push(
                Violation::hard(
                    Code::AvoidCrossed,
                    format!("segment {k}: enters {name}, which is to be avoided"),
                )
                .on(k, None),
            );
        }
    }
}

fn risk4(
    answer: &Answer,
    line: &[Xy],
    anchor_of: &[usize],
    polygon: &[Xy],
    name: &str,
    ground: &Ground<'_>,
    out: &mut Vec<Violation>,
) {
    let mut inside_m = 0.0;
    for (k, w) in line.windows(2).enumerate() {
        if distance_to_polygon_m(w[0], w[1], polygon) > 0.0 {
            continue;
        }
        let step_m = ground.limits.ground.step_m;
        let points = densify(&[w[0], w[1]], step_m);
        let within = points
            .windows(2)
            .filter(|p| in_polygon(p[0], polygon) || in_polygon(p[1], polygon));
        inside_m += within.map(|p| distance_m(p[0], p[1])).sum::<f64>();
        let intent = anchor_of
            .get(k)
            .and_then(|&i| answer.anchors.get(i))
            .map(|a| a.intent);
        if intent != Some(Intent::CrossRough) {
            out.push(
                Violation::hard(
                    Code::Risk4Crossed,
                    format!("segment {k}: crosses {name} of risk 4 without the intent cross_rough"),
                )
                .on(k, None),
            );
        }
    }
    let most_m = ground.limits.features.max_risk4_m;
    if inside_m > most_m {
        out.push(
            Violation::hard(
                Code::Risk4Crossed,
                format!(
                    "{inside_m:.1} m lead through {name} of risk 4, expected at most {most_m:.0} m"
                ),
            )
            .value(inside_m, most_m, "m"),
        );
    }
}

/// A label against what is measured: the measurement holds, and people are told.
fn contradiction(
    class: TerrainClass,
    polygon: &[Xy],
    name: &str,
    ground: &Ground<'_>,
    out: &mut Vec<Violation>,
) {
    let bound = |axis: usize, f: fn(f64, f64) -> f64, from: f64| {
        polygon.iter().map(|p| p[axis]).fold(from, f)
    };
    let lo = [0, 1].map(|k| bound(k, f64::min, f64::INFINITY));
    let hi = [0, 1].map(|k| bound(k, f64::max, f64::NEG_INFINITY));
    let (mut known, mut all, mut roughest, mut steepest) = (0usize, 0usize, 0.0f64, 0.0f64);
    for y in 0..=SAMPLES {
        for x in 0..=SAMPLES {
            let share = |k: usize, i: usize| lo[k] + (hi[k] - lo[k]) * i as f64 / SAMPLES as f64;
            let p = [share(0, x), share(1, y)];
            if !in_polygon(p, polygon) {
                continue;
            }
            all += 1;
            if let (Some(s), Some(q)) = (
                ground.slope.nearest(p[0], p[1]),
                ground.roughness.nearest(p[0], p[1]),
            ) {
                known += 1;
                steepest = steepest.max(s);
                roughest = roughest.max(q);
            }
        }
    }
    if all > 0 && known == 0 {
        if class != TerrainClass::ShadowOrNoData {
            out.push(Violation::soft(
                Code::FeatureOnNoData,
                format!("{name} lies on ground of which nothing is known"),
            ));
        }
        return;
    }
    let smooth_m = ground.limits.features.smooth_roughness_m;
    if class == TerrainClass::SmoothRegolith
        && (roughest > smooth_m || steepest > ground.bounds.slope_deg)
    {
        out.push(
            Violation::soft(
                Code::ClassContradicted,
                format!("{name} holds ground with a roughness of {roughest:.2} m and a slope of {steepest:.1}°; the measurement holds"),
            )
            .value(roughest, smooth_m, "m"),
        );
    }
}

/// Stretches of the route that no close view has shown.
fn unseen(line: &[Xy], task: &AnswerTask, ground: &Ground<'_>, out: &mut Vec<Violation>) {
    let widest_m = ground.limits.features.seen_span_m;
    let seen = |p: Xy| {
        task.views.iter().any(|v| {
            v.span_m <= widest_m && (0..2).all(|k| (p[k] - v.centre_m[k]).abs() <= 0.5 * v.span_m)
        })
    };
    let points = densify(line, 1.0);
    let not = points.iter().filter(|p| !seen(**p)).count();
    if not > 0 {
        let share = not as f64 / points.len().max(1) as f64;
        out.push(
            Violation::soft(
                Code::Unseen,
                format!("{:.0} % of the route were never looked at in a view of {widest_m:.0} m or less; their risk counts as 3 of 5", 100.0 * share),
            )
            .value(share, 0.0, "ratio"),
        );
    }
}
