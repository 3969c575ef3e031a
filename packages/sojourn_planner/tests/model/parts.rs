//! Parts of the protocol left out, as the evaluation leaves them out.

use super::*;
use sojourn_core::classes::TerrainClass;
use sojourn_planner::model::{Action, Confidence, Label, Science};

fn rules(words: &str) -> Knowledge {
    Knowledge {
        name: "rules.md".into(),
        text: words.into(),
    }
}

/// The conversation with a double that sees everything: the outcome and every request.
fn held(change: impl Fn(&mut ModelConfig), briefing: &Briefing) -> (PlanOutcome, Vec<Value>) {
    let mut c = config();
    change(&mut c);
    let fake = Fake::start(Policy::Perfect, sand());
    let provider = provider_from(&fake.url, "double-1", &c).unwrap().unwrap();
    let made = run_with(provider.as_ref(), &c, &flat(), &mission(), briefing, None).unwrap();
    sound(&made);
    assert!(!enters(&made.plan, &sand_m()));
    let asked = fake.requests.lock().unwrap().clone();
    (made, asked)
}

fn count(list: &[Value], rule: &str) -> usize {
    let about = |r: &&Value| r["system"].to_string().contains(rule);
    list.iter().filter(about).count()
}

fn pictures(list: &[Value]) -> usize {
    let scan = list
        .iter()
        .find(|r| r["system"].to_string().contains("Label the terrain"));
    scan.unwrap()
        .to_string()
        .matches("\"type\":\"image\"")
        .count()
}

#[test]
fn what_is_left_out_is_neither_asked_nor_told() {
    let words = "prefer the northern side of ripples";
    let told = Briefing {
        knowledge: vec![rules(words)],
        ..Briefing::default()
    };
    let nothing = Briefing::default();
    let (whole, all) = held(|_| {}, &told);
    assert_eq!(whole.plan.model.level, Some(ModelLevel::Full));
    let critic = "You check a route";
    let scan = "Label the terrain";
    assert_eq!((count(&all, scan), count(&all, critic)), (2, 1));
    assert!(all.iter().any(|r| r["tools"].is_array()));
    assert!(all.iter().any(|r| r.to_string().contains(words)));

    let (_, few) = held(|c| c.protocol.crops = 0, &told);
    assert!(pictures(&few) < pictures(&all));
    let (_, untooled) = held(|c| c.protocol.tools = false, &told);
    assert!(untooled.iter().all(|r| r.get("tools").is_none()));
    let (uncriticised, asked) = held(|c| c.protocol.critic = false, &told);
    assert_eq!(count(&asked, critic), 0);
    assert!(uncriticised.model.unwrap().criticism.is_none());
    let (_, once) = held(|c| c.protocol.second_pass = false, &told);
    assert_eq!(count(&once, scan), 1);
    let (_, ignorant) = held(|_| {}, &nothing);
    assert!(ignorant.iter().all(|r| !r.to_string().contains(words)));
    let (_, uncalibrated) = held(|c| c.protocol.calibrate = false, &told);
    assert_eq!(count(&uncalibrated, "nine white crosses"), 0);
    assert_eq!(count(&all, "nine white crosses"), 1);
}

#[test]
fn without_routes_on_offer_the_model_lays_its_own() {
    let (made, asked) = held(|c| c.protocol.offer_routes = false, &Briefing::default());
    assert_eq!(made.plan.model.level, Some(ModelLevel::Full));
    let offered: Vec<String> = asked
        .iter()
        .filter(|r| r["tools"].is_array())
        .map(|r| r["tools"].to_string())
        .collect();
    assert!(!offered.is_empty());
    for tools in offered {
        assert!(tools.contains("check_route") && !tools.contains("find_path"));
        assert!(!tools.contains("list_candidates"));
    }
    // It asked for a search all the same and got none.
    let events = &made.model.as_ref().unwrap().transcript.events;
    let searched = events
        .iter()
        .find(|e| e.kind == "tool" && e.text.starts_with("find_path"));
    assert!(searched.unwrap().text.contains("UNKNOWN_TOOL"));
    // Where it lays none that holds, nobody picks for it: the search's plan over its labels is left.
    let mut c = config();
    c.protocol.offer_routes = false;
    let (lazy, _) = super::asked(Policy::Lazy, sand(), &c);
    assert_eq!(lazy.plan.model.level, Some(ModelLevel::LabelsOnly));
}

fn classified(lo: Xy, hi: Xy) -> Label {
    Label {
        id: "C1".into(),
        class: TerrainClass::SandRipples,
        polygon: vec![lo, [hi[0], lo[1]], hi, [lo[0], hi[1]]],
        risk: 4,
        action: Action::Skirt,
        confidence: Confidence::Medium,
        science: Science::None,
        views: Vec::new(),
        note: String::new(),
        source: "orbital classifier".into(),
    }
}

/// Middles of the close views, in the order in which the model was shown them.
fn close_views(made: &PlanOutcome, span_m: f64) -> Vec<Xy> {
    let views = &made.model.as_ref().unwrap().views;
    let close = views.iter().filter(|v| v.span_m == span_m);
    close.map(|v| v.centre_m()).collect()
}

#[test]
fn close_views_go_first_where_the_sources_are_apart() {
    let close = |attention: bool| {
        move |c: &mut ModelConfig| {
            (c.protocol.crop_span_m, c.protocol.crops) = (50.0, 1);
            (c.protocol.attention, c.protocol.critic) = (attention, false);
        }
    };
    // Flat ground for the elevation model, ripples for the classifier, near the end of the way and far from it.
    let doubted = Briefing {
        classified: Some(vec![
            classified([130.0, 90.0], [145.0, 105.0]),
            classified([10.0, 10.0], [30.0, 30.0]),
        ]),
        ..Briefing::default()
    };
    let shown = |attention, briefing: &Briefing| {
        let (made, asked) = held(close(attention), briefing);
        assert!(
            asked
                .iter()
                .all(|r| !r.to_string().contains("orbital classifier"))
        );
        close_views(&made, 50.0)[0]
    };
    let first = shown(true, &doubted);
    assert!(
        (first[0] - 137.5).abs() < 20.0 && (first[1] - 97.5).abs() < 20.0,
        "{first:?}"
    );
    // Along the way from its beginning where nobody doubts, and where nobody asks for doubts.
    for (attention, briefing) in [(true, &Briefing::default()), (false, &doubted)] {
        let first = shown(attention, briefing);
        assert!(first[0] < 80.0, "{first:?}");
    }
    // What an earlier drive measured counts as much.
    let measured = Briefing {
        history: vec![DriveRecord {
            x_m: 140.0,
            y_m: 100.0,
            slip: None,
            stopped: false,
            date: "2026-01-01".into(),
            note: String::new(),
            seen: Some(TerrainClass::LooseSoil),
        }],
        ..Briefing::default()
    };
    let first = shown(true, &measured);
    assert!((first[0] - 140.0).abs() < 20.0, "{first:?}");
}
