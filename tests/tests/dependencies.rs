//! What `deny.toml` says of licences, sources and banned crates, held against every dependency with every feature on. It is
//! the part of `cargo deny check licenses bans sources` that needs no tool beyond cargo; `cargo xtask ci` runs the tool
//! itself where it is installed.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use serde_json::Value;
use sojourn_tests::root;
use spdx::{Expression, LicenseReq, ParseMode};
use std::collections::BTreeSet;

/// Where crates may come from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn packages() -> Vec<Value> {
    let out = std::process::Command::new(env!("CARGO"))
        .current_dir(root())
        .args([
            "metadata",
            "--format-version",
            "1",
            "--all-features",
            "--locked",
        ])
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let metadata: Value = serde_json::from_slice(&out.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn strings(value: &toml::Value, key: Option<&str>) -> BTreeSet<String> {
    let text = |v: &toml::Value| {
        let v = key.map_or(v, |k| &v[k]);
        v.as_str().unwrap().to_string()
    };
    value.as_array().unwrap().iter().map(text).collect()
}

fn allowed(allow: &BTreeSet<String>, licence: &str) -> Result<bool, spdx::ParseError> {
    let expression = Expression::parse_mode(licence, ParseMode::LAX)?;
    Ok(expression.evaluate(|req: &LicenseReq| allow.contains(&req.to_string())))
}

#[test]
fn dependencies_keep_to_deny_toml() {
    let deny: toml::Value =
        toml::from_str(&std::fs::read_to_string(root().join("deny.toml")).unwrap()).unwrap();
    let allow = strings(&deny["licenses"]["allow"], None);
    let banned = strings(&deny["bans"]["deny"], Some("crate"));
    assert_eq!(deny["sources"]["unknown-registry"].as_str(), Some("deny"));
    assert_eq!(deny["sources"]["unknown-git"].as_str(), Some("deny"));
    let packages = packages();
    assert!(packages.len() > 100, "{}", packages.len());
    let mut wrong = Vec::new();
    for p in &packages {
        let name = p["name"].as_str().unwrap();
        let licence = p["license"].as_str().unwrap_or_default();
        match allowed(&allow, licence) {
            Ok(true) => {}
            Ok(false) => wrong.push(format!("{name}: licence {licence:?} is not allowed")),
            Err(e) => wrong.push(format!("{name}: licence {licence:?}: {e}")),
        }
        if banned.contains(name) {
            wrong.push(format!("{name} is banned"));
        }
        if p["source"].as_str().is_some_and(|s| s != REGISTRY) {
            wrong.push(format!("{name} comes from {}", p["source"]));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_licence_that_is_not_named_is_found() {
    let allow: BTreeSet<String> = ["MIT", "Apache-2.0 WITH LLVM-exception"]
        .map(String::from)
        .into();
    for (licence, expected) in [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("GPL-3.0-only OR MIT", true),
        ("GPL-3.0-only AND MIT", false),
        ("MIT/Apache-2.0", true),
        ("Apache-2.0", false),
        ("Apache-2.0 WITH LLVM-exception", true),
    ] {
        assert_eq!(allowed(&allow, licence).unwrap(), expected, "{licence}");
    }
    assert!(allowed(&allow, "").is_err());
}
