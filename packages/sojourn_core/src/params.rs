//! Configuration files: every key given, no unknown key, no silent default.

use crate::{CoreError, files::read_text};
use serde::de::DeserializeOwned;
use std::{collections::BTreeMap, path::Path};

/// Largest configuration file that is read, bytes.
pub const MAX_CONFIG_BYTES: u64 = 4 << 20;

/// Reads a YAML file into a type. Unknown and missing keys and not-a-number are refused.
///
/// # Errors
/// [`CoreError`] that names the file, the line and the key.
pub fn load_yaml<T: DeserializeOwned>(path: &Path) -> Result<T, CoreError> {
    let text = read_text(path, MAX_CONFIG_BYTES)?;
    parse_yaml(&path.display().to_string(), &text)
}

/// Reads YAML text into a type; `what` names it in messages.
///
/// # Errors
/// [`CoreError::Format`] with the line and the key.
pub fn parse_yaml<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, CoreError> {
    let value: serde_yaml::Value =
        serde_yaml::from_str(text).map_err(|e| CoreError::format(what, e.to_string()))?;
    refuse_not_finite(what, "", &value)?;
    // Parsed a second time from the text, so that messages carry line and column.
    serde_yaml::from_str(text).map_err(|e| CoreError::format(what, e.to_string()))
}

/// Reads a node's parameter file (`/<node>: ros__parameters: {…}`, or the name without slash, or `/**`) into a type.
///
/// The keys that every node has (`use_sim_time`, `tick`) are the shell's and are taken out first.
///
/// # Errors
/// [`CoreError`] that names the file and the key, also when the file has no section for this node.
pub fn load_node_params<T: DeserializeOwned>(path: &Path, node: &str) -> Result<T, CoreError> {
    load_node_params_with(path, node, &BTreeMap::new())
}

/// The same with some keys of the node changed.
///
/// # Errors
/// As [`load_node_params`], also for a changed key that the node does not know.
pub fn load_node_params_with<T: DeserializeOwned>(
    path: &Path,
    node: &str,
    changes: &BTreeMap<String, serde_json::Value>,
) -> Result<T, CoreError> {
    let what = path.display().to_string();
    let text = read_text(path, MAX_CONFIG_BYTES)?;
    let root: serde_yaml::Value =
        serde_yaml::from_str(&text).map_err(|e| CoreError::format(&what, e.to_string()))?;
    refuse_not_finite(&what, "", &root)?;
    let section = [format!("/{node}"), node.to_string(), "/**".to_string()]
        .iter()
        .find_map(|key| root.get(key.as_str()))
        .and_then(|v| v.get("ros__parameters"))
        .cloned();
    let Some(serde_yaml::Value::Mapping(mut map)) = section else {
        return Err(CoreError::format(
            what,
            format!("has no section \"/{node}: ros__parameters:\""),
        ));
    };
    for shell_key in ["use_sim_time", "tick"] {
        map.remove(shell_key);
    }
    for (key, value) in changes {
        let value = serde_yaml::to_value(value)
            .map_err(|e| CoreError::format(&what, format!("parameter {key}: {e}")))?;
        map.insert(key.as_str().into(), value);
    }
    serde_yaml::from_value(serde_yaml::Value::Mapping(map))
        .map_err(|e| CoreError::format(what, format!("parameters of {node}: {e}")))
}

fn refuse_not_finite(what: &str, place: &str, value: &serde_yaml::Value) -> Result<(), CoreError> {
    match value {
        serde_yaml::Value::Number(n) if n.as_f64().is_some_and(|v| !v.is_finite()) => Err(
            CoreError::value(what, place.trim_start_matches('.'), n, "a finite number"),
        ),
        serde_yaml::Value::Sequence(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(i, v)| refuse_not_finite(what, &format!("{place}[{i}]"), v)),
        serde_yaml::Value::Mapping(map) => map.iter().try_for_each(|(k, v)| {
            let key = k.as_str().map_or_else(|| format!("{k:?}"), str::to_string);
            refuse_not_finite(what, &format!("{place}.{key}"), v)
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct P {
        speed_mps: f64,
    }

    #[test]
    fn unknown_missing_and_nan_are_named() {
        let err = parse_yaml::<P>("a.yaml", "speed_mps: 1.0\nsped: 2\n")
            .unwrap_err()
            .to_string();
        assert!(err.contains("a.yaml") && err.contains("sped"), "{err}");
        let err = parse_yaml::<P>("a.yaml", "{}").unwrap_err().to_string();
        assert!(err.contains("speed_mps"), "{err}");
        let err = parse_yaml::<P>("a.yaml", "speed_mps: .nan")
            .unwrap_err()
            .to_string();
        assert!(err.contains("speed_mps") && err.contains("finite"), "{err}");
    }

    #[test]
    fn a_section_for_another_node_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let f = dir.path().join("x.yaml");
        std::fs::write(&f, "/other:\n  ros__parameters:\n    speed_mps: 1.0\n").unwrap();
        let err = load_node_params::<P>(&f, "guard").unwrap_err().to_string();
        assert!(err.contains("/guard"), "{err}");
        std::fs::write(
            &f,
            "/guard:\n  ros__parameters:\n    use_sim_time: true\n    speed_mps: 1.0\n",
        )
        .unwrap();
        assert!(load_node_params::<P>(&f, "guard").is_ok());
    }
}
