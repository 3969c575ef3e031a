//! What a service says a model can do, asked before anything is spent.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a service says of a model; what it does not say is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capabilities {
    /// Longest question, tokens.
    pub max_input_tokens: Option<u64>,
    /// Longest answer, tokens.
    pub max_tokens: Option<u64>,
    /// Whether it sees pictures.
    pub images: Option<bool>,
    /// Whether its answers follow a schema.
    pub structured_outputs: Option<bool>,
}

impl Capabilities {
    /// From the body of `GET /v1/models/{id}` of the Messages API. The error says what is missing.
    pub(crate) fn of_body(v: &Value, model: &str) -> Result<Self, String> {
        let id = v["id"].as_str().unwrap_or_default();
        if id.is_empty() {
            return Err("it names no model".into());
        }
        // An alias is answered with the name of the model that it stands for.
        let same = |a: &str, b: &str| a == b || a.starts_with(&format!("{b}-"));
        if !same(id, model) && !same(model, id) {
            return Err(format!(
                "it is about \"{}\", expected \"{}\"",
                super::plain(id, 60),
                super::plain(model, 60)
            ));
        }
        let can = |name: &str| {
            let found = &v["capabilities"][name];
            found.as_bool().or_else(|| found["supported"].as_bool())
        };
        Ok(Self {
            max_input_tokens: v["max_input_tokens"].as_u64(),
            max_tokens: v["max_tokens"].as_u64(),
            images: can("image_input"),
            structured_outputs: can("structured_outputs"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_said_is_read_and_the_rest_is_not_known() {
        let said = Capabilities::of_body(
            &json!({"type": "model", "id": "m-1", "max_input_tokens": 1_000_000, "max_tokens": 128_000,
                "capabilities": {"image_input": {"supported": true}, "structured_outputs": false, "new": {}}}),
            "m-1",
        );
        assert_eq!(
            said,
            Ok(Capabilities {
                max_input_tokens: Some(1_000_000),
                max_tokens: Some(128_000),
                images: Some(true),
                structured_outputs: Some(false),
            })
        );
        assert_eq!(
            Capabilities::of_body(&json!({"id": "m-1-20261001", "max_tokens": -4}), "m-1"),
            Ok(Capabilities::default())
        );
        for bad in [json!(null), json!({}), json!({"id": "other"}), json!([1])] {
            assert!(Capabilities::of_body(&bad, "m-1").is_err(), "{bad}");
        }
    }
}
