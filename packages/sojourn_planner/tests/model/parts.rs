//! Parts of the protocol left out, as the evaluation leaves them out.

use super::*;

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
