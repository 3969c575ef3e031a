//! The page of a sweep.

use super::{Cell, Report, plots};
use sojourn_core::CoreError;
use std::fmt::Write;

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:1180px;margin:2em auto;padding:0 1em;color:#201a16}\
table{border-collapse:collapse;margin:1em 0}td,th{border:1px solid #ddd;padding:3px 9px;text-align:right}\
th{background:#f4efe8}td:first-child,th:first-child{text-align:left}.bad{background:#ffe3e0}.good{background:#e5f6e8}\
svg{max-width:100%;height:auto}.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(460px,1fr));gap:10px}\
small{color:#776}";

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or("–".into(), |v| format!("{v:.digits$}"))
}

fn table(out: &mut String, cells: &[Cell]) {
    *out += "<table><tr><th>planner</th><th>CFA %</th><th>slope</th><th>ground</th><th>runs</th><th>success % (95 %)</th><th>unsafe events</th>\
        <th>path ratio</th><th>speed m/h</th><th>planning ms, mean / p99</th><th>plannings without path %</th><th>stops on the way</th>\
        <th>least clearance m</th><th>greatest tilt</th><th>× real time</th><th>how runs ended</th></tr>";
    for c in cells {
        let outcomes: Vec<String> = c.outcomes.iter().map(|(k, n)| format!("{k} {n}")).collect();
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{:.0}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.1} ({:.1}–{:.1})</td><td class=\"{}\">{}</td><td>{}</td>\
             <td>{}</td><td>{:.0} / {:.0}</td><td>{:.2}</td><td>{:.1}</td><td>{}</td><td>{:.1}°</td><td>{:.0}</td><td>{}</td></tr>",
            escape(&c.planner),
            100.0 * c.cfa,
            c.slope_deg.map_or("0–10°".into(), |s| format!("{s:.0}°")),
            escape(&c.ground),
            c.runs,
            100.0 * c.success,
            100.0 * c.success_low,
            100.0 * c.success_high,
            if c.unsafe_events == 0 { "good" } else { "bad" },
            c.unsafe_events,
            number(c.path_ratio_median, 2),
            number(c.speed_m_per_h, 0),
            c.cycle_ms_mean,
            c.cycle_ms_p99,
            100.0 * c.cycles_without_path,
            c.think_stops,
            number(c.min_clearance_m, 3),
            c.max_tilt_deg,
            c.realtime_factor,
            escape(&outcomes.join(", ")),
        );
    }
    *out += "</table>";
}

/// The page, pictures inside.
///
/// # Errors
/// [`CoreError`] when a picture cannot be drawn.
pub fn page(report: &Report) -> Result<String, CoreError> {
    let name = escape(&report.name);
    let mut out = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Sweep {name}</title><style>{STYLE}</style>\
         <h1>Sweep {name}</h1><p>{} of {} runs. <small>Digest {}</small></p>\
         <p>A traverse succeeds when the rover reaches its goal by its own estimate and no limit of the rover was exceeded in \
         ground truth. Intervals are Wilson's at 95 %. Path ratio and speed are those of successful runs. Times are processor \
         time of one core.</p>",
        report.runs_done,
        report.runs_total,
        escape(&report.digest)
    );
    let mut planners: Vec<&str> = report.rows.iter().map(|c| c.planner.as_str()).collect();
    planners.dedup();
    for planner in planners {
        let _ = write!(out, "<h2>{}</h2><div class=\"plots\">", escape(planner));
        for plot in &plots::PLOTS {
            out += &plots::svg(report, planner, plot)?;
        }
        out += "</div>";
    }
    out += "<h2>Slopes of 0 to 10° together</h2>";
    table(&mut out, &report.pooled);
    out += "<h2>Every cell</h2>";
    table(&mut out, &report.rows);
    if !report.faults.is_empty() {
        out += "<h2>Runs with a fault</h2><table><tr><th>fault</th><th>runs</th><th>unsafe events</th><th>how runs \
            ended</th><th>why</th></tr>";
        for f in &report.faults {
            let list = |m: &std::collections::BTreeMap<String, u64>| {
                let words: Vec<String> = m.iter().map(|(k, n)| format!("{k} {n}")).collect();
                escape(&words.join(", "))
            };
            let _ = write!(
                out,
                "<tr><td>{}</td><td>{}</td><td class=\"{}\">{}</td><td>{}</td><td>{}</td></tr>",
                escape(&f.fault),
                f.runs,
                if f.unsafe_events == 0 { "good" } else { "bad" },
                f.unsafe_events,
                list(&f.outcomes),
                list(&f.reasons)
            );
        }
        out += "</table>";
    }
    if !report.rendered.is_empty() {
        out += "<h2>Truth grid against rendered images</h2><table><tr><th>CFA %</th><th>runs</th><th>success % on truth \
            grids</th><th>success % on images</th><th>unsafe events on images</th></tr>";
        for p in &report.rendered {
            let _ = write!(
                out,
                "<tr><td>{:.0}</td><td>{}</td><td>{:.1}</td><td>{:.1}</td><td>{}</td></tr>",
                100.0 * p.cfa,
                p.runs,
                100.0 * p.success_truth_grid,
                100.0 * p.success_rendered,
                p.unsafe_events_rendered
            );
        }
        out += "</table>";
    }
    out += "</html>\n";
    Ok(out)
}

/// The tables as text for a terminal.
#[must_use]
pub fn text(report: &Report) -> String {
    let mut out = format!(
        "sweep {}: {} of {} runs\n\n{:<16} {:>5} {:>6} {:>5} {:>22} {:>7} {:>6} {:>6} {:>13} {:>8} {:>8}\n",
        report.name,
        report.runs_done,
        report.runs_total,
        "planner",
        "CFA %",
        "slope",
        "runs",
        "success % (95 %)",
        "unsafe",
        "path",
        "m/h",
        "plan ms/p99",
        "no path%",
        "x real"
    );
    for c in report.rows.iter().chain(&report.pooled) {
        let success = format!(
            "{:.1} ({:.1}-{:.1})",
            100.0 * c.success,
            100.0 * c.success_low,
            100.0 * c.success_high
        );
        let _ = writeln!(
            out,
            "{:<16} {:>5.0} {:>6} {:>5} {:>22} {:>7} {:>6} {:>6} {:>13} {:>8.2} {:>8.0}",
            c.planner,
            100.0 * c.cfa,
            c.slope_deg.map_or("0-10".into(), |s| format!("{s:.0}")),
            c.runs,
            success,
            c.unsafe_events,
            number(c.path_ratio_median, 2),
            number(c.speed_m_per_h, 0),
            format!("{:.0}/{:.0}", c.cycle_ms_mean, c.cycle_ms_p99),
            100.0 * c.cycles_without_path,
            c.realtime_factor,
        );
    }
    for f in &report.faults {
        let _ = writeln!(
            out,
            "fault {}: {} runs, {} unsafe events, {:?} {:?}",
            f.fault, f.runs, f.unsafe_events, f.outcomes, f.reasons
        );
    }
    for p in &report.rendered {
        let _ = writeln!(
            out,
            "rendered again, CFA {:.0} %: {} runs, success {:.1} % on truth grids, {:.1} % on images, {} unsafe events on images",
            100.0 * p.cfa,
            p.runs,
            100.0 * p.success_truth_grid,
            100.0 * p.success_rendered,
            p.unsafe_events_rendered
        );
    }
    out
}
