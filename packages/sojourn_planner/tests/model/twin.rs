//! The digital twin in the protocol. The twins here are doubles: they reject so many plans, whatever these are.

use super::*;
use sojourn_core::report::{Finding, Report};
use sojourn_planner::model::NoReport;
use std::cell::RefCell;

/// A report on a plan, as JSON has it; rejected ones name a slip on the way to waypoint 3.
fn report(plan: &Plan, passed: bool) -> Report {
    let verdict = if passed { "pass" } else { "reject" };
    let text = serde_json::json!({
        "schema_version": 2, "plan_digest": plan.digest().unwrap(), "site_digest": plan.site_digest,
        "rover_digest": plan.rover_digest, "setup_digest": "0", "passed": passed, "verdict": verdict,
        "reason": if passed { "all is well" } else { "slip of 0.7 at segment 3" },
        "first_failure": null, "values_checked": 1, "distance_m": plan.distance_m, "duration_s": 1.0,
        "max_tilt_deg": 1.0, "min_clearance_m": 0.5, "max_slip": 0.7, "channels": [], "uncounted": [], "findings": [],
        "warnings": [], "monte_carlo": null, "segments": [], "points_of_no_return": [],
    });
    let mut report = Report::parse("double", &text.to_string()).unwrap();
    if !passed {
        report.findings.push(Finding {
            channel: "motion.slip".into(),
            rule: "slip".into(),
            category: "slip".into(),
            value: 0.7,
            limit: 0.6,
            x_m: 70.0,
            y_m: 90.0,
            distance_m: 31.0,
            time_s: 900.0,
            waypoint: 3,
            reason: "motion.slip is 0.7, above its limit 0.6".into(),
        });
    }
    report
}

#[test]
fn the_twin_sends_a_plan_back_once_as_violations() {
    let c = config();
    for rejects in [0usize, 1, 2, 3] {
        let fake = Fake::start(Policy::Perfect, sand());
        let provider = provider_from(&fake.url, "double-1", &c).unwrap().unwrap();
        let driven = RefCell::new(Vec::new());
        let twin = |plan: &Plan| {
            driven.borrow_mut().push(plan.line());
            Ok(report(plan, driven.borrow().len() > rejects))
        };
        let made = run_with(
            provider.as_ref(),
            &c,
            &flat(),
            &mission(),
            &Briefing::default(),
            Some(&twin),
        )
        .unwrap();
        sound(&made);
        let level = match rejects {
            0 | 1 => ModelLevel::Full,
            _ => ModelLevel::LabelsOnly,
        };
        let stage = &made.plan.model;
        assert_eq!(
            (stage.level, driven.borrow().len()),
            (Some(level), (rejects + 1).min(3))
        );
        // The last that was driven is the plan that comes out.
        assert_eq!(driven.borrow().last().unwrap(), &made.plan.line());
        let flag = |word: &str| stage.flags.iter().any(|f| f.contains(word));
        assert_eq!(flag("the twin rejected the first plan"), rejects > 0);
        assert_eq!(flag("the twin rejects this plan"), rejects == 3);
        let record = made.model.as_ref().unwrap();
        let passed: Vec<bool> = record.twin.iter().map(|w| w.passed).collect();
        let expected: Vec<bool> = (0..(rejects + 1).min(3)).map(|k| k >= rejects).collect();
        assert_eq!(passed, expected);
        assert!(
            record
                .twin
                .iter()
                .all(|w| w.passed == w.violations.is_empty())
        );
        // What went back are data, once; the picture's y counts from the north.
        let asked = fake.requests.lock().unwrap();
        let last_words = |r: &Value| {
            r["messages"]
                .as_array()
                .unwrap()
                .last()
                .unwrap()
                .to_string()
        };
        let told: Vec<String> = asked
            .iter()
            .map(last_words)
            .filter(|m| m.contains("TWIN_REJECTS"))
            .collect();
        assert_eq!(told.len(), usize::from(rejects > 0));
        for m in &told {
            assert!(
                m.contains("motion.slip") && m.contains("110.0") && m.contains("0.7"),
                "{m}"
            );
        }
        let page = conversation_html(record, &made.plan, None);
        assert_eq!(page.contains("motion.slip is 0.7"), rejects > 0);
        assert!(page.contains("The digital twin"));
    }
}

#[test]
fn what_is_left_without_a_model_is_driven_too() {
    let c = config();
    for policy in [Policy::Refuser, Policy::Liar] {
        let fake = Fake::start(policy, sand());
        let provider = provider_from(&fake.url, "double-1", &c).unwrap().unwrap();
        let count = std::cell::Cell::new(0);
        let twin = |_: &Plan| {
            count.set(count.get() + 1);
            Err(NoReport::Undrivable(
                "the ground is not that of the plan".into(),
            ))
        };
        let made = run_with(
            provider.as_ref(),
            &c,
            &flat(),
            &mission(),
            &Briefing::default(),
            Some(&twin),
        )
        .unwrap();
        sound(&made);
        let record = made.model.as_ref().unwrap();
        assert_eq!(record.twin.len(), count.get());
        assert!(count.get() >= 1, "{policy:?}");
        let last = record.twin.last().unwrap();
        assert!(!last.passed && last.violations.len() == 1);
        let flags = &made.plan.model.flags;
        assert!(
            flags
                .iter()
                .any(|f| f.contains("the twin rejects this plan")),
            "{flags:?}"
        );
    }
}

#[test]
fn a_twin_that_is_not_heard_rejects_nothing_and_people_are_told() {
    let c = config();
    let fake = Fake::start(Policy::Perfect, sand());
    let provider = provider_from(&fake.url, "double-1", &c).unwrap().unwrap();
    let twin = |_: &Plan| Err(NoReport::Unheard("no answer within 3 s".into()));
    let made = run_with(
        provider.as_ref(),
        &c,
        &flat(),
        &mission(),
        &Briefing::default(),
        Some(&twin),
    )
    .unwrap();
    sound(&made);
    assert_eq!(made.plan.model.level, Some(ModelLevel::Full));
    let flags = &made.plan.model.flags;
    let told = "the twin did not drive the model's route: no answer within 3 s";
    assert!(flags.iter().any(|f| f == told), "{flags:?}");
    let record = made.model.unwrap();
    assert!(record.twin.is_empty());
    assert!(record.transcript.events.iter().any(|e| e.text == told));
}
