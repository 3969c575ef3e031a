//! The twin's report for people: verdict, samples, channels by their worst margin, ground assumed, and where it goes
//! wrong on the map.

use super::{
    ReportError,
    html::{STYLE, escape, list},
    map::{self, MapInput, Mark},
};
use base64::Engine;
use sojourn_core::{
    plan::Plan,
    report::{LimitProbability, Report, Verdict},
    site::{ORTHO, Site},
};
use std::fmt::Write;

/// Most channels and limits that a table shows.
const SHOWN: usize = 40;

const FAILURE: [u8; 4] = [220, 0, 30, 255];
const NO_RETURN: [u8; 4] = [0, 105, 120, 255];
/// Ground that may be weak, from likely firm to surely weak.
const GROUND: [[u8; 4]; 3] = [[60, 150, 80, 255], [235, 190, 40, 255], [225, 110, 20, 255]];

/// The map of a verification as PNG: plan, first failure, points of no return, ground assumed for each segment.
///
/// # Errors
/// [`ReportError`] when it cannot be drawn.
pub fn picture(plan: &Plan, site: &Site, report: &Report) -> Result<Vec<u8>, ReportError> {
    let mut marks: Vec<Mark> = report
        .points_of_no_return
        .iter()
        .map(|p| Mark {
            at_m: [p.at.x_m, p.at.y_m],
            word: "no return",
            colour: NO_RETURN,
        })
        .collect();
    if let Some(f) = &report.first_failure {
        marks.push(Mark {
            at_m: [f.at.x_m, f.at.y_m],
            word: "first failure",
            colour: FAILURE,
        });
    }
    let line = plan.line();
    let colours: Vec<_> = report
        .segments
        .iter()
        .zip(line.windows(2))
        .map(|(s, ends)| {
            let sure = s.soil.weakest_probability;
            let weak = matches!(s.soil.weakest.as_str(), "loose_soil" | "sand_ripples");
            let kind = usize::from(weak) + usize::from(weak && sure > 0.5);
            (
                [ends[0], ends[1]],
                GROUND.get(kind).copied().unwrap_or(GROUND[2]),
            )
        })
        .collect();
    map::draw(&MapInput {
        title: &format!("{}: {}", plan.name, report.verdict.name().replace('_', " ")),
        elevation: site.elevation()?,
        ortho: site.layers.get(ORTHO),
        disagreement: None,
        plan,
        truth: &[],
        estimate: &[],
        events: &[],
        marks: &marks,
        segments: &colours,
        legend: &[
            ("firm ground likely", GROUND[0], true),
            ("may be loose", GROUND[1], true),
            ("loose", GROUND[2], true),
            ("first failure", FAILURE, false),
            ("no return", NO_RETURN, false),
        ],
    })
}

/// A page of its own.
///
/// # Errors
/// [`ReportError`] when the map cannot be drawn.
pub fn page(plan: &Plan, site: &Site, report: &Report) -> Result<String, ReportError> {
    let title = escape(&format!("Verification of {}", plan.name));
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title><style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n"
    );
    section(&mut out, report, Some(&picture(plan, site, report)?));
    let _ = write!(
        out,
        "<h2>Digests</h2>\n<table><tr><td>plan</td><td><code>{}</code></td></tr><tr><td>site</td><td><code>{}</code></td></tr><tr><td>rover</td><td><code>{}</code></td></tr><tr><td>channels and settings</td><td><code>{}</code></td></tr></table>\n</body></html>\n",
        report.plan_digest, report.site_digest, report.rover_digest, report.setup_digest
    );
    Ok(out)
}

/// The part of a page that tells of the verification.
pub fn section(out: &mut String, r: &Report, map_png: Option<&[u8]>) {
    let (class, word) = match r.verdict {
        Verdict::Pass => ("ok", "Passed"),
        Verdict::PassWithWarnings => ("ok", "Passed with warnings"),
        Verdict::Reject => ("bad", "Rejected"),
    };
    let _ = write!(
        out,
        "<h2>Verification in the twin</h2>\n<p><span class=\"{class}\">{word}</span>: {}</p>\n<p>{} values of {} channels compared with their limits over {:.1} m and {:.0} s; {} channels are looked at and not counted because nothing can break their limit.</p>\n",
        escape(&r.reason),
        r.values_checked,
        r.channels.len(),
        r.distance_m,
        r.duration_s,
        r.uncounted.len()
    );
    if let Some(png) = map_png {
        let _ = writeln!(
            out,
            "<img alt=\"The plan on the map with its first failure, points of no return and the ground assumed\" src=\"data:image/png;base64,{}\">",
            base64::engine::general_purpose::STANDARD.encode(png)
        );
    }
    samples(out, r);
    channels(out, r);
    segments(out, r);
    sentences(
        out,
        "Broken limits",
        r.findings.iter().map(|f| f.reason.clone()).collect(),
    );
    sentences(
        out,
        "Warnings",
        r.warnings.iter().map(|f| f.reason.clone()).collect(),
    );
    disputed(out, r);
    sentences(
        out,
        "Points of no return",
        r.points_of_no_return
            .iter()
            .map(|p| {
                format!(
                    "at ({:.1}, {:.1}) m, {:.1} m along the way: {}",
                    p.at.x_m, p.at.y_m, p.at.distance_m, p.reason
                )
            })
            .collect(),
    );
}

fn disputed(out: &mut String, r: &Report) {
    let Some(way) = &r.disputed else { return };
    let _ = writeln!(
        out,
        "<h3>Where the sources of what the ground is disagree</h3>\n<p>Compared: {}. {:.1} m of the way ({:.0} %) lead over ground on which they do; violet on the map.</p>",
        escape(&way.sources.join(", ")),
        way.length_m,
        100.0 * way.share
    );
    let reasons: Vec<String> = way.stretches.iter().map(|s| s.reason.clone()).collect();
    list(out, &reasons);
}

fn sentences(out: &mut String, title: &str, items: Vec<String>) {
    if !items.is_empty() {
        let _ = writeln!(out, "<h3>{title}</h3>");
        list(out, &items);
    }
}

fn samples(out: &mut String, r: &Report) {
    let Some(m) = &r.monte_carlo else { return };
    let _ = write!(
        out,
        "<h3>{} samples of what is not known</h3>\n<p>Bounds at {:.0} % confidence (Wilson); a limit that breaks with a probability of {:.2} or more rejects. Half of the samples took less than {:.0} s, 95 % less than {:.0} s. Limits without a row were never broken: probability at most {:.3}.</p>\n<table><tr><th>limit</th><th>broken in</th><th>probability</th><th>bounds</th><th>usually at</th></tr>",
        m.samples,
        100.0 * m.confidence,
        m.reject_from,
        m.duration_s[0],
        m.duration_s[1],
        m.limits.iter().map(|l| l.upper).fold(1.0, f64::min),
    );
    let mut row = |l: &LimitProbability| {
        let at = l.first.map_or_else(
            || "–".to_string(),
            |s| format!("{:.1}, {:.1} ({:.1} m)", s.x_m, s.y_m, s.distance_m),
        );
        let _ = write!(
            out,
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{:.2}</td><td class=\"n\">{:.3} … {:.3}</td><td class=\"n\">{at}</td></tr>",
            escape(&l.channel),
            l.violations,
            l.probability,
            l.lower,
            l.upper
        );
    };
    row(&m.any);
    m.limits
        .iter()
        .filter(|l| l.violations > 0)
        .take(SHOWN)
        .for_each(&mut row);
    *out += "</table>\n";
}

fn channels(out: &mut String, r: &Report) {
    let mut order: Vec<_> = r.channels.iter().filter(|c| c.samples > 0).collect();
    order.sort_by(|a, b| a.margin_share.total_cmp(&b.margin_share));
    let _ = write!(
        out,
        "<h3>Channels nearest to their limits</h3>\n<p>The {} with the least margin of {}; all stand in the report's JSON.</p>\n<table><tr><th>channel</th><th>least</th><th>greatest</th><th>limits</th><th>margin</th><th>where</th><th>values</th><th>beyond</th></tr>",
        SHOWN.min(order.len()),
        r.channels.len()
    );
    let limit = |v: Option<f64>| v.map_or("–".to_string(), |v| format!("{v:.3}"));
    for c in order.iter().take(SHOWN) {
        let soft = c.lower_limit.is_none() && c.upper_limit.is_none();
        let (lo, hi) = if soft {
            (c.lower_warning, c.upper_warning)
        } else {
            (c.lower_limit, c.upper_limit)
        };
        let _ = write!(
            out,
            "<tr><td>{} [{}]</td><td class=\"n\">{:.3}</td><td class=\"n\">{:.3}</td><td class=\"n\">{} … {}{}</td><td class=\"n\">{:.3} ({:.0} %)</td><td class=\"n\">{:.1}, {:.1} ({:.1} m)</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            escape(&c.name),
            escape(&c.unit),
            c.min,
            c.max,
            limit(lo),
            limit(hi),
            if soft { " (warning)" } else { "" },
            c.margin,
            100.0 * c.margin_share,
            c.worst.x_m,
            c.worst.y_m,
            c.worst.distance_m,
            c.samples,
            c.violations + c.warnings
        );
    }
    *out += "</table>\n";
}

fn segments(out: &mut String, r: &Report) {
    *out += "<h3>Segments</h3>\n<table><tr><th>to waypoint</th><th>time</th><th>tilt</th><th>slip</th><th>way back</th><th>ground</th></tr>";
    for s in &r.segments {
        let back = if s.retreat_possible {
            format!("yes; fails in {:.0} % of samples", 100.0 * s.retreat_fails)
        } else {
            format!("no: {}", s.retreat_reason)
        };
        let _ = write!(
            out,
            "<tr><td class=\"n\">{}</td><td class=\"n\">{:.0} s</td><td class=\"n\">{:.1}°</td><td class=\"n\">{:.0} %</td><td>{}</td><td>{} assumed, {} with {:.0} %: {}</td></tr>",
            s.waypoint,
            s.duration_s,
            s.max_tilt_deg,
            100.0 * s.max_slip,
            escape(&back),
            escape(&s.soil.assumed),
            escape(&s.soil.weakest),
            100.0 * s.soil.weakest_probability,
            escape(&s.soil.why)
        );
    }
    *out += "</table>\n";
}
