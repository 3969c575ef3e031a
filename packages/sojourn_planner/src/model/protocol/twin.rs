//! The digital twin's word on a plan. What it rejects goes back to the model as violations, once; then the search's plan
//! is driven in its turn.

use super::Found;
use super::compose::{by_search, whole, worse};
use crate::error::PlanError;
use crate::model::desk::Desk;
use crate::model::planning::{NoPlan, Planning};
use crate::model::talk::Talk;
use crate::model::{plain, tools};
use crate::route::PlanOutcome;
use crate::validator::{Code, Violation};
use crate::workshop::Workshop;
use serde::Serialize;
use serde_json::json;
use sojourn_core::plan::{ModelLevel, Plan};
use sojourn_core::report::Report;

/// Drives a plan in the digital twin: its report, or why there is none.
pub type Twin<'a> = dyn Fn(&Plan) -> Result<Report, NoReport> + 'a;

/// Why there is no report on a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoReport {
    /// The twin cannot drive this plan at all, which rejects it.
    #[error("{0}")]
    Undrivable(String),
    /// The twin was not heard: nothing is known of the plan, for or against it.
    #[error("{0}")]
    Unheard(String),
}

/// Most violations of one rejection.
const MOST: usize = 10;

/// What the twin said of one plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TwinWord {
    /// Whose route it was, in words.
    pub of: String,
    /// Its length, metres.
    pub length_m: f64,
    /// Whether it passed.
    pub passed: bool,
    /// The twin's sentence.
    pub reason: String,
    /// What breaks, hard limits first; empty when it passed.
    pub violations: Vec<Violation>,
}

impl TwinWord {
    /// From what the twin said of a plan; `of` is whose route it is.
    #[must_use]
    pub fn of(of: &str, plan: &Plan, said: Result<Report, NoReport>) -> Self {
        let (passed, reason, violations) = match said {
            Ok(report) if report.passed => (true, report.reason, Vec::new()),
            Ok(report) => {
                let violations = broken(&report);
                (false, report.reason, violations)
            }
            Err(why) => {
                let why = why.to_string();
                let alone = vec![Violation::hard(Code::TwinRejects, plain(&why, 300))];
                (false, why, alone)
            }
        };
        Self {
            of: of.into(),
            length_m: plan.distance_m,
            passed,
            reason: plain(&reason, 400),
            violations,
        }
    }
}

/// What a rejecting report holds against a plan: limits that the nominal run breaks, or those that break too often.
fn broken(report: &Report) -> Vec<Violation> {
    let hard = |message: &str| Violation::hard(Code::TwinRejects, plain(message, 300));
    let nominal = report.findings.iter().map(|f| {
        hard(&f.reason)
            .on(f.waypoint, Some([f.x_m, f.y_m]))
            .value(f.value, f.limit, "")
    });
    let likely = report.monte_carlo.iter().flat_map(|m| {
        m.limits
            .iter()
            .filter(|l| l.violations > 0 && l.probability >= m.reject_from)
            .map(|l| {
                let v = hard(&format!(
                    "{} breaks its limit in {} of {} samples of what is not known",
                    l.channel, l.violations, m.samples
                ))
                .value(l.probability, m.reject_from, "probability");
                match l.first {
                    Some(at) => v.on(at.waypoint, Some([at.x_m, at.y_m])),
                    None => v,
                }
            })
    });
    let mut out: Vec<Violation> = nominal.chain(likely).take(MOST).collect();
    if out.is_empty() {
        out.push(hard(&report.reason));
    }
    out
}

/// Whose route a plan's is.
fn whose(plan: &Plan) -> &'static str {
    match plan.model.level {
        Some(ModelLevel::Full) => "the model's route",
        Some(ModelLevel::PickOnly) => "the route that the model picked",
        Some(ModelLevel::LabelsOnly) => "the search's route over the model's labels",
        Some(ModelLevel::GeometryOnly) | None => "the route on the elevation model alone",
    }
}

/// Drives a plan, keeps what is said of it, and tells whether it may go on: it passed, or nobody was heard, which people
/// are told.
fn drive(talk: &mut Talk<'_>, found: &mut Found, twin: &Twin<'_>, plan: &Plan, of: &str) -> bool {
    let said = twin(plan);
    if let Err(NoReport::Unheard(why)) = &said {
        let told = format!("the twin did not drive {of}: {}", plain(why, 300));
        talk.note("twin", told.clone());
        found.flags.push(told);
        return true;
    }
    let word = TwinWord::of(of, plan, said);
    let verdict = if word.passed { "passed" } else { "rejected" };
    talk.note("twin", format!("{of}: {verdict}: {}", word.reason));
    for v in &word.violations {
        talk.note("violation", format!("twin: {}", v.message));
    }
    let passed = word.passed;
    found.twin.push(word);
    passed
}

/// The twin's word: a rejection goes back once, then the search's plan is driven in its turn.
pub(super) fn driven(
    talk: &mut Talk<'_>,
    desk: &mut Desk<'_>,
    shop: &Workshop<'_>,
    twin: &Twin<'_>,
    planning: Option<Planning>,
    outcome: PlanOutcome,
    found: &mut Found,
) -> Result<PlanOutcome, PlanError> {
    if drive(talk, found, twin, &outcome.plan, whose(&outcome.plan)) {
        return Ok(outcome);
    }
    let searched = matches!(
        outcome.plan.model.level,
        Some(ModelLevel::LabelsOnly | ModelLevel::GeometryOnly) | None
    );
    let Some(first) = found.twin.last().cloned() else {
        return Ok(outcome);
    };
    if searched {
        // There is nothing to fall back to.
        found
            .flags
            .push(format!("the twin rejects this plan: {}", first.reason));
        return Ok(outcome);
    }
    found.flags.push(format!(
        "the twin rejected the first plan: {}",
        first.reason
    ));
    if let Some(mut conversation) = planning {
        let feedback = json!({
            "host": "the digital twin drove the plan and rejects it; mend exactly these and answer with the whole plan",
            "rejection": first.reason,
            "violations": tools::violations(desk, &first.violations),
        });
        match conversation.next(Some(feedback), talk, desk, shop) {
            Ok(made) if !worse(&made.verdict) => {
                found.rounds = conversation.rounds;
                found.flags.extend(made.flags.iter().cloned());
                let again = whole(talk, shop, found, made)?;
                if drive(talk, found, twin, &again.plan, "the model's mended route") {
                    return Ok(again);
                }
            }
            Ok(_) => talk.note(
                "decision",
                "the mended route is much worse than the search's and no label says why",
            ),
            Err(NoPlan::Answer(a)) if a.cancelled() => return Err(PlanError::Stopped),
            Err(why) => talk.note("decision", format!("no mended route: {}", why.words())),
        }
    }
    let last = by_search(talk, desk, shop, found, "the twin rejected the model's")?;
    if !drive(talk, found, twin, &last.plan, whose(&last.plan)) {
        let reason = found.twin.last().map_or("", |w| &w.reason);
        let flag = format!("the twin rejects this plan: {reason}");
        found.flags.push(flag);
    }
    Ok(last)
}
