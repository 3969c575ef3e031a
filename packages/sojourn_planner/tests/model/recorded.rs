//! Conversations on record.

use super::*;

fn recorded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

/// The two example conversations. `SOJOURN_RECORD=1` writes them anew.
#[test]
fn recorded_conversations_give_the_same_plans_again() {
    for (name, policy) in [
        ("conversation_perfect.jsonl", Policy::Perfect),
        ("conversation_scale_cheater.jsonl", Policy::ScaleCheater),
    ] {
        let c = config();
        let file = recorded(name);
        if std::env::var("SOJOURN_RECORD").is_ok() {
            let (made, _) = asked(policy, sand(), &c);
            let mut t = made.model.unwrap().transcript;
            // The port of a double is another one each time.
            t.head.provider = "double".into();
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, t.text().unwrap()).unwrap();
        }
        let replay = Replay::open(&file).unwrap();
        let one = run_with(&replay, &c, &flat(), &mission(), &Briefing::default(), None).unwrap();
        let two = run_with(&replay, &c, &flat(), &mission(), &Briefing::default(), None).unwrap();
        assert_eq!(one.plan.digest().unwrap(), two.plan.digest().unwrap());
        sound(&one);
        assert!(!enters(&one.plan, &sand_m()));
        let level = if policy == Policy::Perfect {
            ModelLevel::Full
        } else {
            ModelLevel::PickOnly
        };
        assert_eq!(one.plan.model.level, Some(level));
        // For other ground it holds no answer, and the plan says so.
        let other = run_with(
            &replay,
            &c,
            &hills(200, 1.0, 0.3, 1.0),
            &mission(),
            &Briefing::default(),
            None,
        )
        .unwrap();
        assert!(
            other.plan.model.note.contains("holds no answer"),
            "{}",
            other.plan.model.note
        );
    }
}

#[test]
fn a_conversation_that_broke_off_goes_on_where_it_ended() {
    let c = config();
    let (whole, fake) = asked(Policy::Perfect, sand(), &c);
    let all = fake.requests.lock().unwrap().len();
    let mut half: Transcript = whole.model.unwrap().transcript;
    half.exchanges.truncate(8);
    half.events.retain(|e| e.after <= 8);
    let kept = half.exchanges.iter().filter(|e| e.reply.is_some()).count();
    assert!(kept >= 3);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("transcript.jsonl");
    std::fs::write(&file, half.text().unwrap()).unwrap();
    let fake = Fake::start(Policy::Perfect, sand());
    let live = provider_from(&fake.url, "double-1", &c).unwrap().unwrap();
    let resumed = Replay::open(&file).unwrap().then(live);
    let made = run_with(
        &resumed,
        &c,
        &flat(),
        &mission(),
        &Briefing::default(),
        None,
    )
    .unwrap();
    assert_eq!(made.plan.line(), whole.plan.line());
    assert_eq!(fake.requests.lock().unwrap().len(), all - kept);
    for bad in [
        "",
        "{}",
        "[1]",
        &half
            .text()
            .unwrap()
            .replacen("\"version\":2", "\"version\":9", 1),
    ] {
        std::fs::write(&file, bad).unwrap();
        let e = Replay::open(&file).err().unwrap().to_string();
        assert!(e.contains("transcript.jsonl"), "{e}");
    }
}
