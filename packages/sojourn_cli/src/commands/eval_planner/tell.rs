//! What an evaluation says: to people, as JSON, as a page, as a table.

use super::detail::{Calibration, budgets, calibration, per_class};
use super::figures::Figure;
use super::judge::Row;
use super::strata::{Figures, by_kind, figures, without_part};
use super::{Bench, PlannerArgs, page, table};
use crate::cli_error::CliResult;
use crate::commands::{say, say_json};
use serde_json::{Value, json};
use sojourn_core::files;
use sojourn_planner::Provider;

/// Everything that is told.
pub(super) struct Told<'a> {
    pub provider: String,
    pub model: Option<&'a str>,
    /// Left out from the beginning.
    pub without: &'a [String],
    /// Of every scene with the whole protocol.
    pub figures: Figures,
    pub by: Vec<(&'static str, String, Figures)>,
    /// What changes without a part.
    pub parts: Vec<(&'a str, Figures)>,
    /// What was missed of each class.
    pub classes: Vec<(String, Figures)>,
    /// How far risks and words of confidence hold.
    pub calibration: Vec<Calibration>,
    /// Quality against tokens, by way to ask.
    pub budgets: Vec<(&'a str, Figures)>,
    /// Every row, those of left-out parts among them.
    pub rows: &'a [Row],
}

/// Prints and writes everything.
pub(super) fn tell(args: &PlannerArgs, bench: &Bench<'_>, rows: &[Row]) -> CliResult {
    let whole: Vec<Row> = rows.iter().filter(|r| r.part.is_empty()).cloned().collect();
    let parts = || bench.variants.iter().map(|v| v.part.as_str());
    let told = Told {
        provider: bench.provider_name(),
        model: bench.provider.map(Provider::model),
        without: &args.without,
        figures: figures(&whole, args.seed),
        by: by_kind(&whole, args.seed),
        classes: per_class(&whole, args.seed),
        calibration: calibration(&whole),
        budgets: if bench.provider.is_some() {
            budgets(rows, parts(), args.seed)
        } else {
            Vec::new()
        },
        parts: parts()
            .filter(|p| !p.is_empty())
            .map(|p| (p, without_part(rows, p, args.seed)))
            .collect(),
        rows,
    };
    if let Some(dir) = &args.out {
        let page = page::html(&told);
        files::write_atomic(&dir.join("report.html"), page.as_bytes())?;
        table::write(&dir.join("rows.parquet"), rows)?;
    }
    let errors = whole.iter().filter(|r| r.error.is_some()).count();
    let pairs = whole.iter().filter(|r| r.ride_with.is_some()).count();
    if args.json {
        let mut out = json!({
            "ok": true,
            "provider": told.provider,
            "model": told.model,
            "config_sha256": bench.variants.first().map(|v| v.config.digest()).transpose()?,
            "without": args.without,
            "scenes": whole.len(),
            "errors": errors,
            "pairs": pairs,
            "by": Value::Object(serde_json::Map::new()),
            "ablations": Value::Object(serde_json::Map::new()),
            "per_class": Value::Object(serde_json::Map::new()),
            "calibration": told.calibration.iter().map(|c| json!({
                "said": c.said, "ground_m2": c.ground_m2, "hazard": c.hazard, "stated": c.stated,
            })).collect::<Vec<_>>(),
            "budgets": told.budgets.iter().map(|(part, figures)| {
                let mut one = object(figures);
                one["asked"] = json!(asked(part));
                one
            }).collect::<Vec<_>>(),
            "rows": rows,
        });
        for (name, f) in &told.figures {
            out[*name] = json!(f);
        }
        for (by, kind, figures) in &told.by {
            out["by"][*by][kind.as_str()] = object(figures);
        }
        for (class, figures) in &told.classes {
            out["per_class"][class.as_str()] = object(figures);
        }
        for (part, figures) in &told.parts {
            out["ablations"][*part] = object(figures);
        }
        return say_json(&out);
    }
    say(&format!(
        "{}: {} scenes, {errors} without a plan, {pairs} pairs ridden over the true ground",
        told.provider,
        whole.len(),
    ));
    for (name, f) in &told.figures {
        say(&format!("{name:20} {}", words(f)));
    }
    for (by, kind, figures) in &told.by {
        for (name, f) in figures.iter().take(2) {
            say(&format!("{by} {kind}: {name} {}", words(f)));
        }
    }
    for (class, figures) in &told.classes {
        for (name, f) in figures {
            say(&format!("{class}: {name} {}", words(f)));
        }
    }
    for c in &told.calibration {
        say(&said(c));
    }
    for (part, figures) in &told.budgets {
        for (name, f) in figures.iter().filter(|(_, f)| f.n > 0) {
            say(&format!("{}: {name} {}", asked(part), words(f)));
        }
    }
    for (part, figures) in &told.parts {
        for (name, f) in figures.iter().filter(|(_, f)| f.n > 0) {
            say(&format!("{}: {name} changes by {}", asked(part), words(f)));
        }
    }
    Ok(())
}

fn object(figures: &Figures) -> Value {
    let named = figures.iter().map(|(n, f)| ((*n).to_string(), json!(f)));
    Value::Object(named.collect())
}

/// A way to ask in words.
pub(super) fn asked(part: &str) -> String {
    match part {
        "" => "whole".into(),
        other if other.contains('=') => format!("with {other}"),
        other => format!("without {other}"),
    }
}

/// How far what labels say holds.
pub(super) fn said(c: &Calibration) -> String {
    let stated = c
        .stated
        .map_or_else(String::new, |s| format!(" (stands for {:.0} %)", 100.0 * s));
    format!(
        "{}: {:.1} % of {:.0} m² is a hazard{stated}",
        c.said,
        100.0 * c.hazard,
        c.ground_m2
    )
}

/// A figure with its interval.
pub(super) fn words(f: &Figure) -> String {
    match (f.value, f.lo, f.hi) {
        (Some(v), Some(lo), Some(hi)) => format!("{v:.4}  ({lo:.4} to {hi:.4}, {} scenes)", f.n),
        _ => "nothing to count".into(),
    }
}
