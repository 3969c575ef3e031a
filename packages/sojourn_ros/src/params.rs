//! Parameters from a node's file to one checked struct, and back to whoever asks. Pure.

use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};
use std::collections::BTreeMap;
use std::fmt;

/// A parameter's value, in the types that ROS has.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum ParamValue {
    Bool(bool),
    Integer(i64),
    Double(f64),
    String(String),
    Bytes(Vec<u8>),
    Bools(Vec<bool>),
    Integers(Vec<i64>),
    Doubles(Vec<f64>),
    Strings(Vec<String>),
}

impl ParamValue {
    /// The type's name, as messages to people use it.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Bool(_) => "boolean",
            Self::Integer(_) => "integer",
            Self::Double(_) => "double",
            Self::String(_) => "string",
            Self::Bytes(_) => "byte array",
            Self::Bools(_) => "boolean array",
            Self::Integers(_) => "integer array",
            Self::Doubles(_) => "double array",
            Self::Strings(_) => "string array",
        }
    }

    fn is_finite(&self) -> bool {
        match self {
            Self::Double(v) => v.is_finite(),
            Self::Doubles(v) => v.iter().all(|v| v.is_finite()),
            _ => true,
        }
    }

    fn to_json(&self) -> Value {
        let number = |v: f64| Number::from_f64(v).map_or(Value::Null, Value::Number);
        match self {
            Self::Bool(v) => Value::from(*v),
            Self::Integer(v) => Value::from(*v),
            Self::Double(v) => number(*v),
            Self::String(v) => Value::from(v.as_str()),
            Self::Bytes(v) => Value::from(v.clone()),
            Self::Bools(v) => Value::from(v.clone()),
            Self::Integers(v) => Value::from(v.clone()),
            Self::Doubles(v) => v.iter().copied().map(number).collect(),
            Self::Strings(v) => Value::from(v.clone()),
        }
    }
}

/// Why a parameter was refused, one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamError(pub String);

impl fmt::Display for ParamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParamError {}

/// Keys that belong to the shell and not to the node's own struct.
#[must_use]
pub fn is_shell_key(key: &str) -> bool {
    key == "use_sim_time" || key == "tick" || key.starts_with("tick.")
}

/// Builds the node's struct. `values` are keyed by name with dots.
///
/// # Errors
/// A sentence that names the node and the key: missing, unknown, of the wrong type, or not a finite number.
pub fn build<P: DeserializeOwned>(
    node: &str,
    values: &BTreeMap<String, ParamValue>,
) -> Result<P, ParamError> {
    let mut root = Map::new();
    for (key, value) in values.iter().filter(|(k, _)| !is_shell_key(k)) {
        if !value.is_finite() {
            return Err(ParamError(format!(
                "node {node}: parameter `{key}` is not a finite number"
            )));
        }
        insert(&mut root, key, value.to_json()).map_err(|_| {
            ParamError(format!(
                "node {node}: parameter `{key}` is both a value and a group"
            ))
        })?;
    }
    serde_path_to_error::deserialize(Value::Object(root)).map_err(|e| {
        let path = e.path().to_string();
        let place = if path == "." { String::new() } else { format!(" `{path}`") };
        let hint = if values.keys().all(|k| is_shell_key(k)) {
            format!(" (no parameters at all were given under the name {node}: is --params-file missing?)")
        } else {
            String::new()
        };
        ParamError(format!("node {node}: parameter{place}: {}{hint}", e.inner()))
    })
}

fn insert(map: &mut Map<String, Value>, key: &str, value: Value) -> Result<(), ()> {
    match key.split_once('.') {
        None => {
            if map.insert(key.to_string(), value).is_some() {
                return Err(());
            }
            Ok(())
        }
        Some((head, rest)) => {
            let group = map
                .entry(head.to_string())
                .or_insert_with(|| Value::Object(Map::new()));
            insert(group.as_object_mut().ok_or(())?, rest, value)
        }
    }
}

type Check = Box<dyn Fn(&BTreeMap<String, ParamValue>) -> Result<(), ParamError> + Send>;

/// All parameters of a running node. Everything is read-only but what was declared settable.
#[derive(Default)]
pub struct ParamStore {
    values: BTreeMap<String, ParamValue>,
    settable: Vec<String>,
    check: Option<Check>,
    changed: bool,
}

impl fmt::Debug for ParamStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParamStore")
            .field("values", &self.values)
            .field("settable", &self.settable)
            .finish()
    }
}

impl ParamStore {
    /// With the values that the node was started with.
    #[must_use]
    pub fn new(values: BTreeMap<String, ParamValue>) -> Self {
        Self {
            values,
            ..Self::default()
        }
    }

    /// Lets these keys be set while the node runs; `check` sees all values as they would be.
    pub fn allow(&mut self, keys: &[&str], check: Option<Check>) {
        self.settable.extend(keys.iter().map(|k| (*k).to_string()));
        if check.is_some() {
            self.check = check;
        }
    }

    /// All values by name.
    #[must_use]
    pub fn values(&self) -> &BTreeMap<String, ParamValue> {
        &self.values
    }

    /// Adds a value that the file did not give.
    pub fn declare(&mut self, key: &str, value: ParamValue) {
        self.values.entry(key.to_string()).or_insert(value);
    }

    /// Whether a key can be set now.
    #[must_use]
    pub fn is_settable(&self, key: &str) -> bool {
        self.settable.iter().any(|k| k == key)
    }

    /// Sets values, all or none.
    ///
    /// # Errors
    /// A sentence that names the key; nothing has been changed then.
    pub fn set(&mut self, changes: &[(String, ParamValue)]) -> Result<(), ParamError> {
        let mut next = self.values.clone();
        for (key, value) in changes {
            let Some(old) = self.values.get(key) else {
                return Err(ParamError(format!("parameter `{key}` does not exist")));
            };
            if !self.is_settable(key) {
                return Err(ParamError(format!(
                    "parameter `{key}` is read-only: change the parameter file and restart the node"
                )));
            }
            if std::mem::discriminant(old) != std::mem::discriminant(value) {
                return Err(ParamError(format!(
                    "parameter `{key}` is a {}, got a {}",
                    old.type_name(),
                    value.type_name()
                )));
            }
            if !value.is_finite() {
                return Err(ParamError(format!(
                    "parameter `{key}` is not a finite number"
                )));
            }
            next.insert(key.clone(), value.clone());
        }
        if let Some(check) = &self.check {
            check(&next)?;
        }
        self.changed |= next != self.values;
        self.values = next;
        Ok(())
    }

    /// Whether anything has changed since this was last asked.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Limits {
        max_tilt_rad: f64,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct P {
        rover: String,
        gains: Vec<f64>,
        limits: Limits,
    }

    fn values(pairs: &[(&str, ParamValue)]) -> BTreeMap<String, ParamValue> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_string(), v.clone()))
            .collect()
    }

    fn good() -> BTreeMap<String, ParamValue> {
        values(&[
            ("rover", ParamValue::String("testbed".into())),
            ("gains", ParamValue::Doubles(vec![1.0, 2.0])),
            ("limits.max_tilt_rad", ParamValue::Double(0.4)),
            ("tick.mode", ParamValue::String("sim".into())),
            ("use_sim_time", ParamValue::Bool(true)),
        ])
    }

    #[test]
    fn nested_keys_become_a_struct() {
        let p: P = build("guard", &good()).unwrap();
        assert_eq!(p.limits.max_tilt_rad, 0.4);
        assert_eq!(p.gains.len(), 2);
    }

    #[test]
    fn missing_unknown_and_not_a_number_are_one_sentence_with_node_and_key() {
        let mut v = good();
        v.remove("limits.max_tilt_rad");
        v.insert("limits.tilt".into(), ParamValue::Double(1.0));
        let e = build::<P>("guard", &v).unwrap_err().to_string();
        assert!(e.contains("guard") && e.contains("limits.tilt"), "{e}");
        let mut v = good();
        v.remove("rover");
        let e = build::<P>("guard", &v).unwrap_err().to_string();
        assert!(e.contains("guard") && e.contains("`rover`"), "{e}");
        let mut v = good();
        v.insert("gains".into(), ParamValue::Doubles(vec![1.0, f64::NAN]));
        let e = build::<P>("guard", &v).unwrap_err().to_string();
        assert!(e.contains("`gains`") && e.contains("finite"), "{e}");
        let e = build::<P>("guard", &BTreeMap::new())
            .unwrap_err()
            .to_string();
        assert!(e.contains("--params-file"), "{e}");
    }

    #[test]
    fn only_what_is_settable_can_be_set_and_only_to_its_type() {
        let mut store = ParamStore::new(good());
        store.allow(&["limits.max_tilt_rad"], None);
        let set = |store: &mut ParamStore, k: &str, v: ParamValue| store.set(&[(k.to_string(), v)]);
        assert!(
            set(&mut store, "rover", ParamValue::String("x".into()))
                .unwrap_err()
                .0
                .contains("read-only")
        );
        assert!(
            set(&mut store, "nope", ParamValue::Bool(true))
                .unwrap_err()
                .0
                .contains("does not exist")
        );
        assert!(
            set(
                &mut store,
                "limits.max_tilt_rad",
                ParamValue::String("x".into())
            )
            .is_err()
        );
        assert!(
            set(
                &mut store,
                "limits.max_tilt_rad",
                ParamValue::Double(f64::NAN)
            )
            .is_err()
        );
        assert!(!store.take_changed());
        set(&mut store, "limits.max_tilt_rad", ParamValue::Double(0.3)).unwrap();
        assert!(store.take_changed() && !store.take_changed());
    }

    #[test]
    fn several_at_once_is_all_or_none() {
        let mut store = ParamStore::new(good());
        store.allow(&["limits.max_tilt_rad"], None);
        let changes = [
            ("limits.max_tilt_rad".to_string(), ParamValue::Double(0.1)),
            ("rover".to_string(), ParamValue::String("x".into())),
        ];
        assert!(store.set(&changes).is_err());
        assert_eq!(
            store.values().get("limits.max_tilt_rad"),
            Some(&ParamValue::Double(0.4))
        );
    }
}
