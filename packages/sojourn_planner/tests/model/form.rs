//! What goes out on the wire.

use super::*;

#[test]
fn requests_follow_the_documented_form_and_hold_no_secret() {
    let c = config();
    let fake = Fake::start(Policy::Perfect, sand());
    let key = "sk-ant-secret-0123456789";
    let provider =
        sojourn_planner::model::Anthropic::new(&fake.url, "double-1", Some(key.into()), None, &c)
            .unwrap();
    let made = run_with(
        &provider,
        &c,
        &flat(),
        &mission(),
        &Briefing::default(),
        None,
    )
    .unwrap();
    for head in fake.heads.lock().unwrap().iter() {
        let head = head.to_ascii_lowercase();
        let paths = [
            "post /v1/messages ",
            "post /v1/messages/count_tokens ",
            "get /v1/models/double-1 ",
        ];
        assert!(
            paths.iter().any(|p| head.starts_with(p))
                && head.contains("anthropic-version: 2023-06-01")
        );
        assert!(head.contains(&format!("x-api-key: {key}")));
    }
    let requests = fake.requests.lock().unwrap();
    for r in requests.iter() {
        assert!(!r.to_string().contains(key));
        assert!(
            r["stream"] == true
                && r["output_config"]["effort"] == "high"
                && r.get("tool_choice").is_none()
        );
        assert!(r.get("temperature").is_none());
        check_messages(r);
    }
    // The same tools every time: the service keeps them.
    let tools: Vec<String> = requests
        .iter()
        .filter(|r| r.get("tools").is_some())
        .map(|r| r["tools"].to_string())
        .collect();
    assert!(tools.len() >= 3 && tools.windows(2).all(|w| w[0] == w[1]));
    let record = made.model.unwrap();
    let text = record.transcript.text().unwrap();
    assert!(!text.contains(key) && !text.contains("base64"));
    assert!(!conversation_html(&record, &made.plan, None).contains(key));
}

/// Pictures are of the one size and may not be scaled; every tool call has its result first in the next message; only the
/// end is ever added to.
fn check_messages(r: &Value) {
    let messages = r["messages"].as_array().unwrap();
    let mut open: Vec<String> = Vec::new();
    for m in messages {
        let content = m["content"].as_array().unwrap();
        let results: Vec<String> = content
            .iter()
            .take_while(|b| b["type"] == "tool_result")
            .map(|b| b["tool_use_id"].as_str().unwrap().to_string())
            .collect();
        assert_eq!(results, open);
        open = content
            .iter()
            .filter(|b| b["type"] == "tool_use")
            .map(|b| b["id"].as_str().unwrap().to_string())
            .collect();
        for b in content {
            if b["type"] == "image" {
                assert_eq!(b["transformations"]["oversized_image"], "error");
            }
            if b["type"] == "thinking" {
                assert_eq!(b["signature"], "ZG91Ymxl");
            }
        }
    }
}
