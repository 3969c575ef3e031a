//! What an evaluation says: to people, as JSON, as a page.

use super::figures::{Figure, fall, figure, mean, median};
use super::judge::Row;
use super::{Bench, PlannerArgs};
use crate::cli_error::CliResult;
use crate::commands::{say, say_json};
use sojourn_core::files;
use sojourn_core::plan::ModelLevel;
use sojourn_planner::Provider;

/// Prints and writes everything.
pub(super) fn tell(args: &PlannerArgs, bench: &Bench<'_>, rows: &[Row]) -> CliResult {
    let figures = figures(rows, args.seed);
    let provider = bench.provider_name();
    let pairs = rows.iter().filter(|r| r.ride_with.is_some()).count();
    if let Some(dir) = &args.out {
        let page = html(&provider, &args.without, &figures, rows);
        files::write_atomic(&dir.join("report.html"), page.as_bytes())?;
    }
    if args.json {
        let mut out = serde_json::json!({
            "ok": true,
            "provider": provider,
            "model": bench.provider.map(Provider::model),
            "config_sha256": bench.config.digest()?,
            "without": args.without,
            "scenes": rows.len(),
            "errors": rows.iter().filter(|r| r.error.is_some()).count(),
            "pairs": pairs,
        });
        for (name, f) in &figures {
            out[*name] = serde_json::to_value(f)?;
        }
        out["rows"] = serde_json::to_value(rows)?;
        return say_json(&out);
    }
    say(&format!(
        "{provider}: {} scenes, {} without a plan, {pairs} pairs ridden over the true ground",
        rows.len(),
        rows.iter().filter(|r| r.error.is_some()).count()
    ));
    for (name, f) in &figures {
        say(&format!("{name:20} {}", words(f)));
    }
    Ok(())
}

/// Every figure, by the name that the JSON has.
fn figures(rows: &[Row], seed: u64) -> Vec<(&'static str, Figure)> {
    type Of = fn(&Row) -> Option<f64>;
    type Pair = fn(&Row) -> Option<[f64; 2]>;
    let planned = |of: Of| move |r: &Row| r.hazard_m_with.and_then(|_| of(r));
    let one = |of: Of, statistic| figure(rows, seed, planned(of), statistic);
    let valid = |r: &Row| Some(f64::from(u8::from(r.valid)));
    let less = |of: Pair| fall(rows, seed, of);
    vec![
        ("missed_hazard", one(|r| r.missed_hazard, mean)),
        ("false_alarm_area", one(|r| r.false_alarm_area, mean)),
        ("iou", one(|r| r.iou, mean)),
        ("centroid_error_m", one(|r| r.centroid_error_m, mean)),
        ("valid_plans", figure(rows, seed, valid, mean)),
        ("cost_ratio_median", one(|r| r.cost_ratio, median)),
        ("rounds_mean", one(|r| Some(r.rounds as f64), mean)),
        ("usd_mean", one(|r| Some(r.usd), mean)),
        ("hazard_m_alone", one(|r| Some(r.hazard_m_alone), mean)),
        ("hazard_m_with", one(|r| r.hazard_m_with, mean)),
        ("length_ratio", one(|r| r.length_ratio, mean)),
        (
            "embeddings_alone",
            one(|r| Some(r.ride_alone?.embeddings as f64), mean),
        ),
        (
            "embeddings_with",
            one(|r| Some(r.ride_with?.embeddings as f64), mean),
        ),
        (
            "embedding_fall",
            less(|r| {
                Some([
                    r.ride_alone?.embeddings as f64,
                    r.ride_with?.embeddings as f64,
                ])
            }),
        ),
        (
            "slip_events_alone",
            one(|r| Some(r.ride_alone?.slips as f64), mean),
        ),
        (
            "slip_events_with",
            one(|r| Some(r.ride_with?.slips as f64), mean),
        ),
        (
            "slip_event_fall",
            less(|r| Some([r.ride_alone?.slips as f64, r.ride_with?.slips as f64])),
        ),
        (
            "slip_m_fall",
            less(|r| Some([r.ride_alone?.slip_m, r.ride_with?.slip_m])),
        ),
    ]
}

fn words(f: &Figure) -> String {
    match (f.value, f.lo, f.hi) {
        (Some(v), Some(lo), Some(hi)) => format!("{v:.4}  ({lo:.4} to {hi:.4}, {} scenes)", f.n),
        _ => "nothing to count".into(),
    }
}

fn html(provider: &str, without: &[String], figures: &[(&str, Figure)], rows: &[Row]) -> String {
    let escape = |t: &str| {
        t.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
    };
    let of = |v: Option<f64>| v.map_or_else(String::new, |v| format!("{v:.3}"));
    let figures: String = figures
        .iter()
        .map(|(n, f)| format!("<tr><th>{n}</th><td>{}</td></tr>", words(f)))
        .collect();
    let rows: String = rows
        .iter()
        .map(|r| {
            let rides = match (r.ride_alone, r.ride_with) {
                (Some(a), Some(b)) => format!(
                    "{} → {}</td><td>{} → {}",
                    a.embeddings, b.embeddings, a.slips, b.slips
                ),
                _ => "–</td><td>–".into(),
            };
            let cells = [
                escape(&r.scene),
                r.level.map_or("–", ModelLevel::name).into(),
                of(r.missed_hazard),
                of(r.false_alarm_area),
                of(r.cost_ratio),
                format!("{:.1}", r.hazard_m_alone),
                of(r.hazard_m_with),
                of(r.length_ratio),
                rides,
                escape(r.error.as_deref().unwrap_or(&r.note)),
            ];
            format!("<tr><td>{}</td></tr>", cells.join("</td><td>"))
        })
        .collect();
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Planner against truth</title><style>body{{font:15px system-ui;margin:24px}}\
         td,th{{border:1px solid #ccc;padding:3px 8px;text-align:left}}table{{border-collapse:collapse;margin:12px 0}}</style>\
         <h1>{}</h1><p>without: {}</p><table>{figures}</table><table><tr><th>scene</th><th>level</th><th>missed</th><th>false alarm</th>\
         <th>cost ratio</th><th>hazard m alone</th><th>hazard m with</th><th>length ratio</th><th>embeddings</th><th>slip beyond the limit</th>\
         <th>note</th></tr>{rows}</table></html>\n",
        escape(provider),
        escape(&without.join(", "))
    )
}
