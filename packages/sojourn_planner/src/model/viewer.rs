//! One page on which a person can follow a conversation: views, labels, routes, tools, violations, critic, money.

use super::protocol::ModelRecord;
use super::record::Exchange;
use super::turn::record_block;
use base64::Engine;
use serde_json::Value;
use sojourn_core::plan::Plan;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Longest text of a message that is shown whole, characters.
const SHOWN: usize = 4000;

/// The page, complete in one file; with a picture (PNG) of where the sources disagree when there is one. Everything from
/// outside is escaped.
#[must_use]
pub fn html(record: &ModelRecord, plan: &Plan, disagreement_png: Option<&[u8]>) -> String {
    let t = &record.transcript;
    let chain = t.chain().map_or_else(
        |e| e.to_string(),
        |c| format!("{} records, ends with {}", c.records(), c.end()),
    );
    let mut out = String::from(HEAD);
    let stage = &plan.model;
    let _ = write!(
        out,
        "<h1>{}</h1><p class=note>{}</p>",
        escape(&plan.name),
        escape(&stage.note)
    );
    let s = &record.spent;
    table(
        &mut out,
        &[
            ("provider", t.head.provider.clone()),
            ("model", stage.model.clone()),
            ("level", stage.level.map_or("none", |l| l.name()).into()),
            (
                "route",
                format!(
                    "{:.1} m in {} segments",
                    plan.distance_m,
                    plan.waypoints.len()
                ),
            ),
            ("rounds of violations", stage.rounds.to_string()),
            ("requests", s.requests.to_string()),
            (
                "tool calls",
                format!("{} ({} views)", s.tool_calls, s.views),
            ),
            (
                "tokens",
                format!(
                    "{} in, {} out, {} from the cache",
                    s.tokens.input, s.tokens.output, s.tokens.cache_read
                ),
            ),
            ("US dollars", format!("{:.3}", s.usd)),
            ("seconds", format!("{:.1}", s.seconds)),
            ("configuration", t.head.config_sha256.clone()),
            ("chain of the record", chain),
        ],
    );
    if !stage.flags.is_empty() {
        out.push_str("<h2>Before you approve</h2><ul class=flags>");
        for f in &stage.flags {
            let _ = write!(out, "<li>{}</li>", escape(f));
        }
        out.push_str("</ul>");
    }
    if let Some(c) = &record.calibration {
        let _ = write!(out, "<h2>Calibration card</h2><p>{}</p>", escape(&c.text));
    }
    labels(&mut out, record);
    disputes(&mut out, plan, disagreement_png);
    if let Some(c) = &record.criticism {
        let _ = write!(out, "<h2>Critic: {}</h2><ul>", escape(&c.verdict));
        for f in &c.findings {
            let _ = write!(out, "<li>{}</li>", escape(f));
        }
        out.push_str("</ul>");
    }
    claims(&mut out, record);
    twin(&mut out, record);
    out.push_str("<h2>The conversation</h2>");
    let mut pictures = BTreeMap::new();
    for v in &record.views {
        pictures.insert(v.picture.sha256.as_str(), (v.id.as_str(), &v.picture.png));
    }
    for v in &record.surface {
        pictures.insert(v.picture.sha256.as_str(), (v.id.as_str(), &v.picture.png));
    }
    let mut events = t.events.iter().peekable();
    let mut told = |out: &mut String, upto: usize| {
        while let Some(e) = events.next_if(|e| e.after <= upto) {
            let _ = write!(
                out,
                "<p class='event {}'><b>{}</b> {}</p>",
                escape(&e.kind),
                escape(&e.kind),
                escape(&e.text)
            );
        }
    };
    let mut shown = std::collections::BTreeSet::new();
    for (k, e) in t.exchanges.iter().enumerate() {
        told(&mut out, k);
        exchange(&mut out, k, e, &pictures, &mut shown);
    }
    told(&mut out, usize::MAX);
    out.push_str("</main></body></html>\n");
    out
}

fn table(out: &mut String, rows: &[(&str, String)]) {
    out.push_str("<table>");
    for (name, value) in rows {
        let _ = write!(out, "<tr><th>{name}</th><td>{}</td></tr>", escape(value));
    }
    out.push_str("</table>");
}

fn labels(out: &mut String, record: &ModelRecord) {
    let _ = write!(
        out,
        "<h2>Labels</h2><table><tr><th>id</th><th>class</th><th>risk</th><th>action</th><th>seen in</th><th>views</th><th>words</th></tr>"
    );
    for l in &record.labels {
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(&l.id),
            l.class.name(),
            l.risk,
            l.action.name(),
            escape(&l.source),
            escape(&l.views.join(" ")),
            escape(&l.note)
        );
    }
    out.push_str("</table>");
    if !record.disagreements.is_empty() {
        out.push_str("<h3>Where the passes disagree</h3><ul>");
        for d in &record.disagreements {
            let _ = write!(out, "<li>{}</li>", escape(&d.text));
        }
        out.push_str("</ul>");
    }
}

/// What the answers claimed of their routes beside what was measured there.
fn claims(out: &mut String, record: &ModelRecord) {
    if record.claims.is_empty() {
        return;
    }
    out.push_str("<h2>Claims</h2><table><tr><th>of</th><th>claimed</th><th>measured</th><th>may differ by</th><th></th></tr>");
    for c in &record.claims {
        let claimed = c.claimed.map_or("nothing".into(), |v| format!("{v:.2}"));
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{claimed}</td><td>{:.2} {}</td><td>{:.2}</td><td>{}</td></tr>",
            escape(&c.constraint),
            c.measured,
            c.unit,
            c.tolerance,
            if c.holds() { "holds" } else { "does not hold" }
        );
    }
    out.push_str("</table>");
}

/// What the digital twin said of every plan that it drove.
fn twin(out: &mut String, record: &ModelRecord) {
    if record.twin.is_empty() {
        return;
    }
    out.push_str("<h2>The digital twin</h2><table><tr><th>plan</th><th>length</th><th></th><th>why</th><th>violations</th></tr>");
    for w in &record.twin {
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{:.1} m</td><td>{}</td><td>{}</td><td>",
            escape(&w.of),
            w.length_m,
            if w.passed { "passed" } else { "rejected" },
            escape(&w.reason)
        );
        for v in &w.violations {
            let place = v.at_m.map_or_else(String::new, |p| {
                format!("at ({:.1}, {:.1}) m: ", p[0], p[1])
            });
            let _ = write!(out, "<div>{place}{}</div>", escape(&v.message));
        }
        out.push_str("</td></tr>");
    }
    out.push_str("</table>");
}

/// Model, classifier, images and slip side by side.
fn disputes(out: &mut String, plan: &Plan, png: Option<&[u8]>) {
    let Some(d) = &plan.disputes else { return };
    let _ = write!(
        out,
        "<h2>Where the sources disagree</h2><p>{}</p>",
        escape(&format!(
            "Compared: {}. Of the {:.1} m of the way that two or more looked at they disagree on {:.1} m, {:.0} % of the way; the twin takes such ground for weak in more of its samples.",
            d.sources.join(", "),
            d.compared_m,
            d.disputed_m,
            100.0 * d.disputed_m / plan.distance_m.max(1e-9)
        ))
    );
    if let Some(png) = png {
        let data = base64::engine::general_purpose::STANDARD.encode(png);
        let _ = write!(
            out,
            "<img class=wide alt='where the sources disagree, violet' src='data:image/png;base64,{data}'>"
        );
    }
}

fn exchange<'a>(
    out: &mut String,
    k: usize,
    e: &'a Exchange,
    pictures: &BTreeMap<&str, (&str, &Vec<u8>)>,
    shown: &mut std::collections::BTreeSet<&'a str>,
) {
    let purpose = e.request["purpose"].as_str().unwrap_or("?");
    let _ = write!(out, "<section><h3>{}. {}</h3>", k + 1, escape(purpose));
    let messages = e.request["messages"].as_array();
    // What was said before stands above already.
    let fresh = messages.into_iter().flatten().last();
    for block in fresh
        .and_then(|m| m["blocks"].as_array())
        .into_iter()
        .flatten()
    {
        let picture = match block["type"].as_str() {
            Some("image") | Some("tool_result") => block["image"]["sha256"].as_str(),
            _ => None,
        };
        if let Some(sha) = picture {
            match pictures.get(sha) {
                Some((id, png)) if shown.insert(sha) => {
                    let data = base64::engine::general_purpose::STANDARD.encode(png);
                    let _ = write!(
                        out,
                        "<figure><img loading=lazy alt='{id}' src='data:image/png;base64,{data}'><figcaption>{id}</figcaption></figure>"
                    );
                }
                Some((id, _)) => {
                    let _ = write!(out, "<p class=seen>{id} again</p>");
                }
                None => {
                    let _ = write!(
                        out,
                        "<p class=seen>picture {}</p>",
                        escape(&sha.chars().take(12).collect::<String>())
                    );
                }
            }
        }
        match block["type"].as_str() {
            Some("text") => fold(out, "host", block["text"].as_str().unwrap_or_default()),
            Some("tool_result") => fold(out, "result", &block["body"].to_string()),
            _ => {}
        }
    }
    if let Some(why) = &e.error {
        let _ = write!(
            out,
            "<p class='event violation'><b>no answer</b> {}</p>",
            escape(why)
        );
    }
    if let Some(found) = &e.found {
        fold(out, "the service says", &found.to_string());
    }
    if let Some(r) = &e.reply {
        for block in r.blocks.iter().map(record_block) {
            match block["type"].as_str() {
                Some("text") => fold(out, "model", block["text"].as_str().unwrap_or_default()),
                Some("tool_use") => fold(
                    out,
                    &format!("model asks for {}", block["name"].as_str().unwrap_or("?")),
                    &block["input"].to_string(),
                ),
                _ => {}
            }
        }
        let _ = write!(
            out,
            "<p class=seen>{} · {} · {} tokens out · {:.1} s</p>",
            escape(&r.model),
            escape(&r.stop_reason),
            r.usage.output,
            r.seconds
        );
    }
    out.push_str("</section>");
}

fn fold(out: &mut String, who: &str, text: &str) {
    let pretty = serde_json::from_str::<Value>(text)
        .ok()
        .and_then(|v| serde_json::to_string_pretty(&v).ok())
        .unwrap_or_else(|| text.to_string());
    let cut: String = pretty.chars().take(SHOWN).collect();
    let more = if cut.len() < pretty.len() { " …" } else { "" };
    let first: String = text.chars().take(110).collect();
    let _ = write!(
        out,
        "<details><summary><b>{}</b> {}</summary><pre>{}{more}</pre></details>",
        escape(who),
        escape(&first),
        escape(&cut)
    );
}

/// Text that cannot become markup.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

const HEAD: &str = "<!doctype html><html lang=en><head><meta charset=utf-8><title>Conversation with a model</title>\
<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\"><style>\
body{font:15px/1.45 system-ui,sans-serif;background:#f6f4ef;color:#222;margin:0}main{max-width:1080px;margin:0 auto;padding:24px}\
table{border-collapse:collapse;margin:8px 0}td,th{border:1px solid #cfc8ba;padding:3px 8px;text-align:left;vertical-align:top}\
section{background:#fff;border:1px solid #ddd6c8;border-radius:6px;padding:8px 16px;margin:14px 0}\
figure{display:inline-block;margin:4px 8px 4px 0}.wide{width:900px!important}img{width:460px;max-width:100%;border:1px solid #999}\
pre{white-space:pre-wrap;word-break:break-word;background:#f2efe8;padding:8px;font-size:12px}summary{cursor:pointer;overflow-wrap:anywhere}\
.event{border-left:4px solid #8aa;padding-left:8px;margin:4px 0}.violation{border-color:#c33}.critic{border-color:#a6c}\
.decision{border-color:#c90}.seen{color:#777;font-size:13px}.flags li{color:#8a1c00}.note{font-size:17px}</style></head><body><main>";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_becomes_markup() {
        let bad = "<script>alert('x')</script>&\"";
        let safe = escape(bad);
        assert!(!safe.contains('<') && !safe.contains('"') && !safe.contains('\''));
        let mut out = String::new();
        fold(&mut out, bad, bad);
        assert!(!out.contains("<script"));
    }
}
