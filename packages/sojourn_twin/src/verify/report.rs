//! From runs to a verdict in words and numbers.

use super::{
    Digests,
    dictionary::ChannelDef,
    disputes,
    drive::{Course, Outcome, SegmentRun},
    ledger::{Excess, Place, Tally},
    montecarlo::{SampleRun, spot, summary},
    settings::Settings,
};
use sojourn_core::report::{
    ChannelSummary, Finding, FirstFailure, MonteCarlo, PointOfNoReturn, REPORT_SCHEMA_VERSION,
    Report, SegmentReport, Uncounted, Verdict,
};

/// Puts everything together.
#[must_use]
pub fn report(
    course: &Course,
    nominal: &Outcome,
    runs: &[SampleRun],
    settings: &Settings,
    digests: Digests,
    setup_digest: &str,
) -> Report {
    let findings = findings(course, &nominal.ledger.excesses);
    let mut warnings = self::findings(course, &nominal.ledger.warnings);
    let monte_carlo = (!runs.is_empty()).then(|| summary(course, runs, settings));
    if let Some(m) = &monte_carlo {
        warnings.extend(likely(m, settings));
    }
    let disputed = disputes::on_the_way(course, nominal);
    if let (Some(way), Some(told)) = (&disputed, &course.plan.disputes) {
        warnings.extend(disputes::warnings(way, told.from_levels));
    }
    let segments = segments(course, nominal, runs);
    let points_of_no_return = points_of_no_return(course, nominal);
    let first_failure = first_failure(&findings, monte_carlo.as_ref(), settings);
    let verdict = match (&first_failure, warnings.is_empty()) {
        (Some(_), _) => Verdict::Reject,
        (None, false) => Verdict::PassWithWarnings,
        (None, true) => Verdict::Pass,
    };
    let (channels, uncounted) = channels(course, nominal.ledger.tallies());
    let values_checked = channels.iter().map(|c| c.samples).sum();
    let range = |name: &str| nominal.ledger.tally(name).filter(|t| t.samples > 0);
    let mut report = Report {
        schema_version: REPORT_SCHEMA_VERSION,
        plan_digest: digests.plan,
        site_digest: digests.site,
        rover_digest: digests.rover,
        setup_digest: setup_digest.into(),
        passed: verdict != Verdict::Reject,
        verdict,
        reason: String::new(),
        first_failure,
        values_checked,
        distance_m: nominal.end.distance_m,
        duration_s: nominal.end.time_s,
        max_tilt_deg: range("attitude.tilt_deg").map_or(0.0, |t| finite(t.max)),
        min_clearance_m: range("belly.clearance_m").map_or(0.0, |t| finite(t.min)),
        max_slip: range("motion.slip").map_or(0.0, |t| finite(t.max)),
        channels,
        uncounted,
        findings,
        warnings,
        monte_carlo,
        segments,
        points_of_no_return,
        disputed,
    };
    report.reason = reason(&report);
    report
}

fn reason(r: &Report) -> String {
    if let Some(first) = &r.first_failure {
        return first.reason.clone();
    }
    let samples = r
        .monte_carlo
        .as_ref()
        .map_or_else(String::new, |m| format!(" and of {} samples", m.samples));
    let kept = format!(
        "all {} values of {} channels kept their hard limits over {:.1} m and {:.0} s{samples}",
        r.values_checked,
        r.channels.len(),
        r.distance_m,
        r.duration_s
    );
    match r.warnings.len() {
        0 => kept,
        n => format!("{} with {n} warnings", kept.replace(&samples, "")),
    }
}

/// Reports are signed as JSON, which has no not-a-number and no infinity; the reason keeps the word.
fn finite(v: f64) -> f64 {
    if v.is_finite() { v } else { 0.0 }
}

fn findings(course: &Course, excesses: &[Excess]) -> Vec<Finding> {
    excesses
        .iter()
        .filter_map(|e| {
            let c = course.dictionary.channels.get(e.channel)?;
            let rule = course.dictionary.rule_of(e.channel)?;
            Some(Finding {
                channel: c.name.clone(),
                rule: rule.id.clone(),
                category: rule.category.clone(),
                value: finite(e.value),
                limit: finite(e.limit),
                x_m: finite(e.place.x_m),
                y_m: finite(e.place.y_m),
                distance_m: e.place.distance_m,
                time_s: e.place.time_s,
                waypoint: e.place.waypoint,
                reason: sentence(c, e, &rule.text),
            })
        })
        .collect()
}

fn sentence(c: &ChannelDef, e: &Excess, rule: &str) -> String {
    match c.name.as_str() {
        "ground.known" => {
            return format!(
                "no ground is known under the rover {}",
                where_words(e.place)
            );
        }
        "motion.progress" if e.value < e.limit => {
            return format!(
                "the rover no longer moves: {} of its wheels' way is left {}",
                rounded(e.value),
                where_words(e.place)
            );
        }
        _ => {}
    }
    let side = if e.below { "below" } else { "above" };
    format!(
        "{} is {} {}, {side} its limit {}, {} ({rule})",
        c.name,
        rounded(e.value),
        c.unit,
        rounded(e.limit),
        where_words(e.place)
    )
}

fn where_words(p: Place) -> String {
    format!(
        "at ({:.1}, {:.1}) m, {:.1} m along the way to waypoint {}",
        p.x_m, p.y_m, p.distance_m, p.waypoint
    )
}

fn rounded(v: f64) -> String {
    let text = format!("{v:.3}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_string()
    } else {
        text
    }
}

/// Limits that are likely enough to break to deserve a look.
fn likely(m: &MonteCarlo, settings: &Settings) -> Vec<Finding> {
    m.limits
        .iter()
        .filter(|l| l.violations > 0 && l.probability >= settings.thresholds.warn)
        .map(|l| {
            let at = l.first.unwrap_or_default();
            Finding {
                channel: l.channel.clone(),
                rule: l.rule.clone(),
                category: l.category.clone(),
                value: l.probability,
                limit: settings.thresholds.warn,
                x_m: at.x_m,
                y_m: at.y_m,
                distance_m: at.distance_m,
                time_s: at.time_s,
                waypoint: at.waypoint,
                reason: likely_words(m, l),
            }
        })
        .collect()
}

fn likely_words(m: &MonteCarlo, l: &sojourn_core::report::LimitProbability) -> String {
    let at = l.first.unwrap_or_default();
    format!(
        "{} broke its limit in {} of {} samples (probability {:.2} to {:.2} at {:.0} % confidence), usually about ({:.1}, {:.1}) m, {:.1} m along the way to waypoint {}",
        l.channel,
        l.violations,
        m.samples,
        l.lower,
        l.upper,
        100.0 * m.confidence,
        at.x_m,
        at.y_m,
        at.distance_m,
        at.waypoint
    )
}

fn first_failure(
    findings: &[Finding],
    monte_carlo: Option<&MonteCarlo>,
    settings: &Settings,
) -> Option<FirstFailure> {
    if let Some(f) = findings.first() {
        return Some(FirstFailure {
            channel: f.channel.clone(),
            category: f.category.clone(),
            at: sojourn_core::report::Spot {
                x_m: f.x_m,
                y_m: f.y_m,
                distance_m: f.distance_m,
                time_s: f.time_s,
                waypoint: f.waypoint,
            },
            probability: 1.0,
            reason: f.reason.clone(),
        });
    }
    let m = monte_carlo?;
    // The first on the way of all that are too likely.
    m.limits
        .iter()
        .filter(|l| l.violations > 0 && l.probability >= settings.thresholds.reject)
        .min_by(|a, b| {
            let way = |l: &sojourn_core::report::LimitProbability| {
                l.first.map_or(f64::INFINITY, |s| s.distance_m)
            };
            way(a).total_cmp(&way(b))
        })
        .map(|l| FirstFailure {
            channel: l.channel.clone(),
            category: l.category.clone(),
            at: l.first.unwrap_or_default(),
            probability: l.probability,
            reason: likely_words(m, l),
        })
}

fn channels(course: &Course, tallies: &[Tally]) -> (Vec<ChannelSummary>, Vec<Uncounted>) {
    let (mut counted, mut uncounted) = (Vec::new(), Vec::new());
    for (i, (c, t)) in course.dictionary.channels.iter().zip(tallies).enumerate() {
        if let Some(why) = &c.untrippable {
            uncounted.push(Uncounted {
                name: c.name.clone(),
                why: why.clone(),
            });
            continue;
        }
        let open = |v: f64| v.is_finite().then_some(v);
        let limit = nearest_limit(t);
        let scale = if limit.abs() > 0.0 {
            limit.abs()
        } else {
            t.min.abs().max(t.max.abs())
        };
        counted.push(ChannelSummary {
            name: c.name.clone(),
            unit: c.unit.clone(),
            rule: course
                .dictionary
                .rule_of(i)
                .map_or_else(String::new, |r| r.id.clone()),
            samples: t.samples,
            min: finite(t.min),
            max: finite(t.max),
            lower_limit: open(t.hard[0]),
            upper_limit: open(t.hard[1]),
            lower_warning: open(t.soft[0]),
            upper_warning: open(t.soft[1]),
            violations: t.violations,
            warnings: t.warnings,
            margin: finite(t.margin),
            margin_share: finite(t.margin / scale.max(1e-12)),
            worst: spot(t.margin_place),
        });
    }
    (counted, uncounted)
}

/// The limit that a channel came nearest to.
fn nearest_limit(t: &Tally) -> f64 {
    let v = t.margin_value;
    let pair = if t.hard.iter().any(|l| l.is_finite()) {
        t.hard
    } else {
        t.soft
    };
    if (v - pair[0]).abs() <= (pair[1] - v).abs() {
        finite(pair[0])
    } else {
        finite(pair[1])
    }
}

/// Why a segment cannot be driven back, in words; `None` when it can.
fn no_retreat(course: &Course, s: &SegmentRun) -> Option<String> {
    let limits = &course.env.rover.limits;
    if !(s.retreat_slip <= limits.slip) {
        return Some(format!(
            "driving back needs slip {:.2}, more than {:.2}, {}",
            s.retreat_slip,
            limits.slip,
            where_words(s.retreat_place)
        ));
    }
    if !(s.retreat_thrust <= 1.0) {
        return Some(format!(
            "driving back needs {:.0} % of what the soil can give",
            100.0 * s.retreat_thrust
        ));
    }
    None
}

/// Why the start is out of reach from a segment's end for lack of energy; `None` when it is not.
fn too_little_charge(course: &Course, s: &SegmentRun) -> Option<String> {
    let least = course.env.mission.retreat_charge;
    (!(s.charge_at_start_again >= least)).then(|| {
        format!(
            "driving back to the start would leave a charge of {:.2}, less than {least:.2}",
            s.charge_at_start_again
        )
    })
}

fn segments(course: &Course, nominal: &Outcome, runs: &[SampleRun]) -> Vec<SegmentReport> {
    nominal
        .segments
        .iter()
        .enumerate()
        .map(|(i, s)| {
            let failing = runs
                .iter()
                .filter(|r| {
                    r.segments
                        .get(i)
                        .is_none_or(|s| no_retreat(course, s).is_some())
                })
                .count();
            let why = no_retreat(course, s).or_else(|| too_little_charge(course, s));
            SegmentReport {
                waypoint: i,
                duration_s: s.duration_s,
                max_tilt_deg: finite(s.tilt_rad.to_degrees()),
                max_slip: finite(s.slip),
                retreat_possible: why.is_none(),
                retreat_slip: finite(s.retreat_slip),
                retreat_fails: if runs.is_empty() {
                    0.0
                } else {
                    failing as f64 / runs.len() as f64
                },
                retreat_reason: why.unwrap_or_else(|| {
                    format!("driving back needs slip {:.2} at most", s.retreat_slip)
                }),
                soil: course.soil.assumption(
                    [s.slope_place.x_m, s.slope_place.y_m],
                    finite(s.slope_rad.to_degrees()),
                ),
            }
        })
        .collect()
}

/// Every segment that cannot be driven back closes the way to the start at its steepest place; too little charge does
/// so once.
fn points_of_no_return(course: &Course, nominal: &Outcome) -> Vec<PointOfNoReturn> {
    let mut out: Vec<PointOfNoReturn> = nominal
        .segments
        .iter()
        .filter_map(|s| {
            Some(PointOfNoReturn {
                at: spot(s.retreat_place),
                reason: no_retreat(course, s)?,
            })
        })
        .collect();
    if let Some((i, reason)) = nominal
        .segments
        .iter()
        .enumerate()
        .find_map(|(i, s)| Some((i, too_little_charge(course, s)?)))
    {
        let end = course
            .plan
            .waypoints
            .get(i)
            .map_or([0.0; 2], sojourn_core::plan::Waypoint::xy);
        let line = course.plan.line();
        let way = line.get(..i + 2).unwrap_or(&line);
        out.push(PointOfNoReturn {
            at: spot(Place {
                x_m: end[0],
                y_m: end[1],
                distance_m: sojourn_core::geometry::length_m(way),
                time_s: nominal
                    .segments
                    .iter()
                    .take(i + 1)
                    .map(|s| s.duration_s)
                    .sum(),
                waypoint: i,
            }),
            reason,
        });
    }
    out
}
