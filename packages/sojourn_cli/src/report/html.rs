//! The page: one file, no script, nothing fetched.

use super::{
    chart::{Chart, Series, svg},
    recording::{Deed, Point, Recording, at_time},
};
use base64::Engine;
use serde_json::Value;
use sojourn_core::{
    plan::{ModelStatus, Plan},
    report::Report,
};
use std::fmt::Write;

/// Everything that the page shows.
pub struct Page<'a> {
    /// `summary.json`.
    pub summary: &'a Value,
    /// The plan.
    pub plan: &'a Plan,
    /// The twin's report, when there is one.
    pub verification: Option<&'a Report>,
    /// What the recording tells.
    pub recording: &'a Recording,
    /// Slip in ground truth over the way, when the simulator wrote it; else that of the recording is drawn.
    pub true_slip: &'a [[f64; 2]],
    /// Limits of tilt (degrees) and slip (0 to 1) of the rover.
    pub limits: [Option<f64>; 2],
    /// The map as PNG.
    pub map_png: &'a [u8],
    /// The map of the verification as PNG, when there is one.
    pub verification_png: Option<Vec<u8>>,
}

pub(super) const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;color:#1d1a18;background:#fcfaf6;max-width:980px;margin:2em auto;padding:0 1em}\
h1{font-size:1.5em;margin-bottom:.2em}h2{font-size:1.15em;margin-top:1.8em;border-bottom:1px solid #ddd3c6}\
img,svg{max-width:100%;height:auto;display:block;margin:.8em 0}table{border-collapse:collapse;margin:.6em 0}\
td,th{padding:.2em .9em .2em 0;text-align:left;vertical-align:top;border-bottom:1px solid #ece5da}\
td.n{text-align:right;font-variant-numeric:tabular-nums}.ok{color:#0a6b2d;font-weight:600}.bad{color:#b00020;font-weight:600}\
svg .t{font:600 15px system-ui,sans-serif}svg .l{font:12px system-ui,sans-serif;fill:#5a524c}svg .g{stroke:#e6ded2}\
code{font-size:.85em;word-break:break-all}.q{color:#6b625a}";

/// Makes text safe inside HTML.
#[must_use]
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// What the rows of the summary are called for people: key, words, unit.
const ROWS: &[(&str, &str, &str)] = &[
    ("reached", "Goal reached (rover's estimate)", ""),
    ("distance_planned_m", "Planned", "m"),
    ("distance_driven_m", "Driven (ground truth)", "m"),
    ("goal_error_m", "Distance from the goal (ground truth)", "m"),
    (
        "localization_error_end_m",
        "Error of the rover's estimate at the end",
        "m",
    ),
    ("max_tilt_deg", "Greatest tilt", "°"),
    ("min_clearance_m", "Least belly clearance", "m"),
    (
        "unsafe_events",
        "Unsafe events (ground truth beyond a limit)",
        "",
    ),
    ("autonav_stops", "AutoNav stops", ""),
    (
        "telemetry_values_checked",
        "Telemetry values checked before the drive",
        "",
    ),
    ("sim_s", "Simulated time", "s"),
    ("wall_s", "Wall time", "s"),
    ("seed", "Seed", ""),
];

/// A value of the summary for people.
#[must_use]
pub fn shown(value: &Value) -> String {
    match value {
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::Null => "–".into(),
        Value::Number(n) if n.is_f64() => format!("{:.2}", n.as_f64().unwrap_or(f64::NAN)),
        Value::String(s) => s.clone(),
        Value::Array(a) => a.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// Writes the page.
#[must_use]
pub fn page(p: &Page<'_>) -> String {
    let mut out = String::new();
    let name = p.summary.get("name").map_or_else(String::new, shown);
    let reached = p.summary.get("reached").and_then(Value::as_bool) == Some(true);
    let unsafe_events = p.summary.get("unsafe_events").and_then(Value::as_u64);
    let safe = unsafe_events == Some(0);
    let verdict = match (reached, safe) {
        (true, true) => "Reached the goal without an unsafe event.".to_string(),
        (true, false) => format!(
            "Reached the goal, with {} unsafe events.",
            unsafe_events.map_or("unknown".into(), |n| n.to_string())
        ),
        (false, _) => format!(
            "Did not reach the goal: {}",
            p.summary
                .get("reason")
                .map_or_else(|| "no reason recorded".into(), shown)
        ),
    };
    let class = if reached && safe { "ok" } else { "bad" };
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{0}</title><style>{STYLE}</style></head><body>\n<h1>{0}</h1><p class=\"{class}\">{1}</p>\n",
        escape(&format!("Drive {name}")),
        escape(&verdict)
    );
    let _ = write!(
        out,
        "<h2>Map</h2>\n<img alt=\"Hillshade with the planned and the driven way\" src=\"data:image/png;base64,{}\">\n",
        base64::engine::general_purpose::STANDARD.encode(p.map_png)
    );
    out += "<h2>Figures</h2>\n<table>";
    for (key, words, unit) in ROWS {
        if let Some(v) = p.summary.get(*key) {
            let _ = write!(
                out,
                "<tr><td>{words}</td><td class=\"n\">{} {unit}</td></tr>",
                escape(&shown(v))
            );
        }
    }
    out += "</table>\n";
    charts(&mut out, p);
    deeds(&mut out, p.recording);
    mission(&mut out, p.plan);
    model(&mut out, p.plan);
    if let Some(r) = p.verification {
        super::verification::section(&mut out, r, p.verification_png.as_deref());
    }
    provenance(&mut out, p);
    out += "</body></html>\n";
    out
}

fn charts(out: &mut String, p: &Page<'_>) {
    let r = p.recording;
    let over_true_distance = |track: &[Point]| -> Vec<[f64; 2]> {
        track
            .iter()
            .map(|q| {
                // The estimate's own distance holds the slip; drawn over the true one, the two curves compare.
                let distance_m = at_time(&r.truth, q.time_s).map_or(q.distance_m, |t| t.distance_m);
                [distance_m, q.tilt_deg]
            })
            .collect()
    };
    let (truth, estimate) = (
        over_true_distance(&r.truth),
        over_true_distance(&r.estimate),
    );
    let x_label = "distance driven, m";
    *out += "<h2>Tilt and slip</h2>\n";
    *out += &svg(&Chart {
        title: "Tilt over distance",
        x_label,
        y_label: "tilt, degrees",
        series: &[
            Series {
                name: "ground truth",
                colour: "#d33c0a",
                points: &truth,
            },
            Series {
                name: "rover's estimate",
                colour: "#6b7685",
                points: &estimate,
            },
        ],
        limit: p.limits[0].map(|v| (v, "limit")),
    });
    let measured: Vec<[f64; 2]> = if p.true_slip.is_empty() {
        p.recording.slip.clone()
    } else {
        p.true_slip.to_vec()
    };
    let percent: Vec<[f64; 2]> = measured.iter().map(|s| [s[0], s[1] * 100.0]).collect();
    *out += &svg(&Chart {
        title: "Slip over distance",
        x_label,
        y_label: "slip, %",
        series: &[Series {
            name: "ground truth",
            colour: "#1a5fb4",
            points: &percent,
        }],
        limit: p.limits[1].map(|v| (v * 100.0, "limit")),
    });
    *out += "\n";
}

fn deeds(out: &mut String, recording: &Recording) {
    *out += "<h2>What AutoNav stopped or swerved for</h2>\n";
    if recording.events.is_empty() {
        *out += "<p>Nothing: the way straight on was safe throughout.</p>\n";
        return;
    }
    *out += "<table><tr><th>at</th><th>where (E, N)</th><th>what</th><th>why</th></tr>";
    for e in &recording.events {
        let what = match e.deed {
            Deed::Stop => "stopped",
            Deed::Swerve => "swerved",
        };
        let _ = write!(
            out,
            "<tr><td class=\"n\">{:.1} m</td><td class=\"n\">{:.1}, {:.1}</td><td>{what}</td><td>{}</td></tr>",
            e.distance_m,
            e.at_m[0],
            e.at_m[1],
            escape(&e.reason)
        );
    }
    *out += "</table>\n";
}

/// What the mission asked for, and how old the map is.
fn mission(out: &mut String, plan: &Plan) {
    let Some(m) = &plan.mission else { return };
    let _ = write!(
        out,
        "<h2>The mission</h2>\n<p>{}: {:.0} s expected{}",
        escape(&m.name),
        m.expected_s,
        m.expected_wh
            .map_or_else(String::new, |wh| format!(", {wh:.0} Wh"))
    );
    for s in &m.stops {
        let _ = write!(
            out,
            "; stops at {} ({:.1}, {:.1})",
            escape(&s.name),
            s.at_m[0],
            s.at_m[1]
        );
    }
    *out += ".</p>\n";
    if m.layers.is_empty() {
        return;
    }
    *out += "<table><tr><th>layer</th><th>of</th><th>holds until</th><th></th></tr>";
    for l in &m.layers {
        let word = |d: &Option<String>| escape(d.as_deref().unwrap_or("–"));
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td{}>{}</td></tr>",
            escape(&l.layer),
            word(&l.date),
            word(&l.expiry),
            if l.stale { " class=\"bad\"" } else { "" },
            escape(&l.words)
        );
    }
    *out += "</table>\n";
}

fn model(out: &mut String, plan: &Plan) {
    let m = &plan.model;
    let status = match m.status {
        ModelStatus::NoProvider => "no provider",
        ModelStatus::Used => "used",
        ModelStatus::Refused => "answer refused",
        ModelStatus::Failed => "no answer",
    };
    let _ = write!(
        out,
        "<h2>The model's part in the plan</h2>\n<p><b>{status}.</b> {}</p>\n",
        escape(&m.note)
    );
    if m.status != ModelStatus::NoProvider {
        let _ = writeln!(
            out,
            "<p>Provider <code>{}</code>, model <code>{}</code>; {} labels taken, {} refused.</p>",
            escape(&m.provider),
            escape(&m.model),
            m.labels_accepted,
            m.labels_refused.len()
        );
    }
    if let Some(d) = &plan.disputes {
        let _ = writeln!(
            out,
            "<p>{}</p>",
            escape(&format!(
                "Sources of what the ground is: {}. Of the {:.1} m of the way that two or more looked at they disagree on {:.1} m ({:.0} % of the way); violet on the map.",
                d.sources.join(", "),
                d.compared_m,
                d.disputed_m,
                100.0 * d.disputed_m / plan.distance_m.max(1e-9)
            ))
        );
    }
    list(out, &m.flags);
    list(out, &m.labels_refused);
    let labels: Vec<String> = plan
        .features
        .iter()
        .map(|f| {
            format!(
                "{:?}, confidence {:.2}, {}: {} ({})",
                f.class,
                f.confidence,
                if f.forbids {
                    "forbidden".to_string()
                } else {
                    format!("cost +{:.2} per metre", f.added_cost)
                },
                f.note,
                f.source
            )
        })
        .collect();
    list(out, &labels);
}

pub(super) fn list(out: &mut String, items: &[String]) {
    if !items.is_empty() {
        *out += "<ul>";
        for item in items {
            let _ = write!(out, "<li>{}</li>", escape(item));
        }
        *out += "</ul>\n";
    }
}

fn provenance(out: &mut String, p: &Page<'_>) {
    *out += "<h2>Where it comes from</h2>\n<table>";
    let mut row = |key: &str, value: &str| {
        let _ = write!(
            out,
            "<tr><td>{}</td><td><code>{}</code></td></tr>",
            escape(key),
            escape(value)
        );
    };
    row("plan", &p.plan.digest().unwrap_or_default());
    row("site", &p.plan.site_digest);
    row(
        "rover",
        &format!("{} {}", p.plan.rover, p.plan.rover_digest),
    );
    row(
        "body",
        &format!("{}, {} m/s²", p.plan.body.name, p.plan.body.gravity_mps2),
    );
    if let Some(nodes) = p.summary.get("nodes") {
        row("nodes", &shown(nodes));
    }
    if let Some(versions) = p.summary.get("versions").and_then(Value::as_object) {
        for (key, value) in versions {
            row(key, &shown(value));
        }
    }
    *out += "</table>\n";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_place_in_the_page() {
        assert_eq!(
            escape("<a href=\"x\">&"),
            "&lt;a href=&quot;x&quot;&gt;&amp;"
        );
        assert_eq!(shown(&serde_json::json!(1.234)), "1.23");
        assert_eq!(shown(&serde_json::json!(["a", "b"])), "a, b");
    }
}
