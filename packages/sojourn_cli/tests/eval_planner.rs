//! `sojourn eval planner` against a test double of a model on loopback. It is no model: it labels nothing and takes what is offered.
#![allow(clippy::unwrap_used, clippy::panic)] // a test may stop at the first surprise

#[path = "../../sojourn_planner/tests/common/fake.rs"]
#[allow(dead_code)]
mod fake;

use fake::{Fake, Policy};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn evaluate(url: &str, out: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sojourn"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .args(["eval", "planner", "--scenes", "1..2"])
        .args([
            "--world", "held_out", "--span", "125", "--model", "double-1",
        ])
        .args(["--provider", url, "--json", "--out"])
        .arg(out)
        .args(more)
        .output()
        .unwrap()
}

fn told(output: &Output) -> Value {
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_part_is_left_out_once_and_nothing_is_asked_twice() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let double = Fake::start(Policy::Perfect, Vec::new());
    let parts = ["crops", "tools", "critic", "surface", "knowledge", "routes"];
    let parts_list = parts.join(",");
    let ablate = ["--ablate", &parts_list, "--crops", "8", "--crop-span", "50"];
    let first = told(&evaluate(&double.url, &out, &ablate));
    let rows = first["rows"].as_array().unwrap();
    // Eight close views are what the whole is asked with.
    assert_eq!(rows.len(), 1 + parts.len() + 1);
    for r in rows {
        assert_eq!(r["error"], Value::Null, "{r}");
        assert_eq!(r["scene"], "held_out-125m-seed-000001");
        assert_eq!(
            (&r["unseen"], &r["frames"]),
            (&Value::from(true), &Value::from(3))
        );
        let open = r["openness"].as_f64().unwrap();
        assert!(open > 0.2 && open <= 1.0, "{open}");
        // It labels nothing, so every hazard is missed; without routes on offer it has none of its own.
        assert_eq!(
            (r["missed_hazard"].as_f64(), r["labels"].as_u64()),
            (Some(1.0), Some(0))
        );
        assert_eq!(r["valid"] == true, r["part"] != "routes", "{r}");
        // It claims what it is told of its route, where it has tools and a route.
        let composed = r["part"] != "routes" && r["part"] != "tools";
        assert_eq!(
            (r["claims"] != 0, r["claims"] == r["claims_held"]),
            (composed, true),
            "{r}"
        );
    }
    for part in parts {
        let worth = &first["ablations"][part]["valid_plans"];
        let expected = if part == "routes" { -1.0 } else { 0.0 };
        assert_eq!(
            (worth["value"].as_f64(), worth["n"].as_u64()),
            (Some(expected), Some(1))
        );
    }
    assert_eq!(
        first["by"]["span"]["up to 125 m"]["valid_plans"]["value"],
        1.0
    );
    assert_eq!(
        first["by"]["terrain"]["not seen in tuning"]["missed_hazard"]["n"],
        1
    );
    let budgets = first["budgets"].as_array().unwrap();
    assert_eq!(budgets.len(), rows.len());
    let tokens = |asked: &str| {
        let found = budgets.iter().find(|b| b["asked"] == asked).unwrap();
        found["tokens_in_mean"]["value"].as_f64().unwrap()
    };
    // The overview of so small a scene needs no close views of the usual size.
    assert!(tokens("with crop-span=50") > tokens("whole") && tokens("whole") > 0.0);
    let missed = first["per_class"].as_object().unwrap();
    assert!(!missed.is_empty());
    for (class, figures) in missed {
        assert_eq!(figures["missed"]["value"], 1.0, "{class}");
    }
    let asked = double.requests.lock().unwrap().clone();
    let holds = |words: &str| {
        let about = asked.iter().filter(|r| r.to_string().contains(words));
        about.count()
    };
    // Composed plans go to the critic: all but those without it, without tools, which the double needs, and without routes.
    assert_eq!(holds("You check a route"), 1 + parts.len() - 3 + 1);
    assert!(holds("ground_shown") > 0 && holds("driving_rules.md") > 0);
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    for words in [
        "By span",
        "By openness",
        "not seen in tuning",
        "What changes without a part",
        "Quality against tokens",
        "By class",
    ] {
        assert!(page.contains(words), "{words}");
    }
    let table = std::fs::read(out.join("rows.parquet")).unwrap();
    assert!(table.starts_with(b"PAR1") && table.ends_with(b"PAR1"));
    // Taken up again nothing is asked any more; the whole alone is among what is there.
    let again = told(&evaluate(&double.url, &out, &ablate));
    assert_eq!(again, first);
    let alone = told(&evaluate(&double.url, &out, &[]));
    assert_eq!(alone["rows"].as_array().unwrap().len(), 1);
    assert_eq!(double.requests.lock().unwrap().len(), asked.len());
    // Another set-up under the same name is refused, not mixed in.
    let other = evaluate(&double.url, &out, &["--course", "up"]);
    let said = String::from_utf8_lossy(&other.stdout).into_owned()
        + &String::from_utf8_lossy(&other.stderr);
    assert!(
        !other.status.success() && said.contains("give another --out"),
        "{said}"
    );
    // Where nobody is asked there is nothing to leave out.
    let nobody = Command::new(env!("CARGO_BIN_EXE_sojourn"))
        .args([
            "eval",
            "planner",
            "--scenes",
            "1..2",
            "--provider",
            "geometric",
            "--ablate",
            "tools",
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&nobody.stdout).into_owned()
        + &String::from_utf8_lossy(&nobody.stderr);
    assert!(
        !nobody.status.success() && said.contains("no conversation"),
        "{said}"
    );
}
