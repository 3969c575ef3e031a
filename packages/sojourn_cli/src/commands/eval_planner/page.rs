//! The evaluation as a page for people.

use super::judge::Row;
use super::strata::Figures;
use super::tell::{Told, asked, said, words};
use sojourn_core::plan::ModelLevel;
use std::fmt::Write as _;

const STYLE: &str = "body{font:15px system-ui;margin:24px;max-width:1400px}td,th{border:1px solid #ccc;padding:3px 8px;\
    text-align:left;vertical-align:top}table{border-collapse:collapse;margin:12px 0}h2{margin-top:28px}";

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// The page.
pub(super) fn html(told: &Told<'_>) -> String {
    let mut out = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Planner against truth</title><style>{STYLE}</style><h1>{}</h1>",
        escape(&told.provider)
    );
    // Writing to a string does not fail.
    if let Some(model) = told.model {
        let _ = write!(out, "<p>model: {}</p>", escape(model));
    }
    if !told.without.is_empty() {
        let _ = write!(out, "<p>without: {}</p>", escape(&told.without.join(", ")));
    }
    out += "<p>Each figure with its interval of 95 % (bootstrap over scenes).</p><table>";
    for (name, f) in &told.figures {
        let _ = write!(out, "<tr><th>{name}</th><td>{}</td></tr>", words(f));
    }
    out += "</table>";
    let mut last = "";
    for (by, ..) in &told.by {
        if *by != last {
            let kinds = told.by.iter().filter(|(b, ..)| b == by);
            let kinds = kinds.map(|(_, kind, f)| (kind.as_str(), f));
            let _ = write!(out, "<h2>By {by}</h2>{}", side_by_side(kinds));
        }
        last = by;
    }
    if !told.classes.is_empty() {
        let classes = told.classes.iter().map(|(c, f)| (c.as_str(), f));
        let _ = write!(out, "<h2>By class</h2>{}", side_by_side(classes));
    }
    if !told.calibration.is_empty() {
        out += "<h2>How far labels hold</h2><ul>";
        for c in &told.calibration {
            let _ = write!(out, "<li>{}</li>", escape(&said(c)));
        }
        out += "</ul>";
    }
    if !told.budgets.is_empty() {
        let names: Vec<String> = told.budgets.iter().map(|(p, _)| asked(p)).collect();
        let ways = names.iter().map(String::as_str);
        let ways = ways.zip(told.budgets.iter().map(|(_, f)| f));
        let _ = write!(out, "<h2>Quality against tokens</h2>{}", side_by_side(ways));
    }
    if !told.parts.is_empty() {
        let parts = told.parts.iter().map(|(part, f)| (*part, f));
        let _ = write!(
            out,
            "<h2>What changes without a part</h2><p>Left out minus whole, scene by scene.</p>{}",
            side_by_side(parts)
        );
    }
    out += "<h2>Scenes</h2><table><tr><th>scene</th><th>without</th><th>level</th><th>missed</th><th>false alarm</th>\
        <th>cost ratio</th><th>hazard m alone</th><th>hazard m with</th><th>length ratio</th><th>embeddings</th>\
        <th>slip beyond the limit</th><th>note</th></tr>";
    for row in told.rows {
        out += &line(row);
    }
    out + "</table></html>\n"
}

/// A column for each kind, a line for each figure.
fn side_by_side<'a>(kinds: impl Iterator<Item = (&'a str, &'a Figures)>) -> String {
    let kinds: Vec<_> = kinds.collect();
    let mut out = String::from("<table><tr><th></th>");
    for (name, _) in &kinds {
        let _ = write!(out, "<th>{}</th>", escape(name));
    }
    out += "</tr>";
    let names = kinds.first().map(|(_, f)| f.iter().map(|(n, _)| *n));
    for (i, name) in names.into_iter().flatten().enumerate() {
        let _ = write!(out, "<tr><th>{name}</th>");
        for (_, figures) in &kinds {
            let cell = figures.get(i).map_or_else(String::new, |(_, f)| words(f));
            let _ = write!(out, "<td>{cell}</td>");
        }
        out += "</tr>";
    }
    out + "</table>"
}

fn line(r: &Row) -> String {
    let of = |v: Option<f64>| v.map_or_else(String::new, |v| format!("{v:.3}"));
    let rides = match (r.ride_alone, r.ride_with) {
        (Some(a), Some(b)) => [
            format!("{} → {}", a.embeddings, b.embeddings),
            format!("{} → {}", a.slips, b.slips),
        ],
        _ => ["–".to_string(), "–".to_string()],
    };
    let [embeddings, slips] = rides;
    let cells = [
        escape(&r.scene),
        escape(&r.part),
        r.level.map_or("–", ModelLevel::name).into(),
        of(r.missed_hazard),
        of(r.false_alarm_area),
        of(r.cost_ratio),
        format!("{:.1}", r.hazard_m_alone),
        of(r.hazard_m_with),
        of(r.length_ratio),
        embeddings,
        slips,
        escape(r.error.as_deref().unwrap_or(&r.note)),
    ];
    format!("<tr><td>{}</td></tr>", cells.join("</td><td>"))
}
