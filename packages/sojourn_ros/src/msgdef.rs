//! Definitions of message types as text, with all that they nest, in the form that MCAP's `ros2msg` encoding wants. Pure
//! but for reading the `.msg` files of an installation.

use crate::KitError;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const PRIMITIVES: &[&str] = &[
    "bool", "byte", "char", "float32", "float64", "int8", "uint8", "int16", "uint16", "int32",
    "uint32", "int64", "uint64", "string", "wstring",
];

/// The types that a definition names, as (package, name).
#[must_use]
pub fn nested_types(text: &str, own_package: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let Some(token) = line.split_whitespace().next() else {
            continue;
        };
        let token = token.split(['[', '<']).next().unwrap_or_default();
        if token.is_empty() || PRIMITIVES.contains(&token) {
            continue;
        }
        let mut parts = token.split('/');
        let pair = match (parts.next(), parts.next_back()) {
            (Some(package), Some(name)) => (package.to_string(), name.to_string()),
            (Some(name), None) => (own_package.to_string(), name.to_string()),
            _ => continue,
        };
        if !found.contains(&pair) {
            found.push(pair);
        }
    }
    found
}

/// Whether the first field is a header or a stamp, so that the stamp stands first in the message's bytes.
#[must_use]
pub fn starts_with_stamp(text: &str) -> bool {
    text.lines()
        .map(|l| l.split('#').next().unwrap_or_default().trim())
        .find(|l| !l.is_empty() && !l.contains('='))
        .and_then(|l| l.split_whitespace().next().map(str::to_string))
        .is_some_and(|t| {
            matches!(
                t.as_str(),
                "std_msgs/Header" | "builtin_interfaces/Time" | "Header"
            )
        })
}

/// The seconds and nanoseconds at the start of a message in CDR, as nanoseconds.
#[must_use]
pub fn leading_stamp(cdr: &[u8]) -> Option<i64> {
    let word = |at: usize| {
        cdr.get(at..at + 4)
            .and_then(|b| <[u8; 4]>::try_from(b).ok())
    };
    let little = cdr.get(1)? & 1 == 1;
    let read = |b: [u8; 4]| {
        if little {
            u32::from_le_bytes(b)
        } else {
            u32::from_be_bytes(b)
        }
    };
    let (sec, nanosec) = (read(word(4)?) as i32, read(word(8)?));
    Some(i64::from(sec) * 1_000_000_000 + i64::from(nanosec))
}

/// Where the message definitions of an installation lie.
#[derive(Clone, Debug)]
pub struct Definitions {
    prefixes: Vec<PathBuf>,
}

/// A type's definition and hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The text with all nested types.
    pub text: String,
    /// RIHS01 hash, where the installation tells it.
    pub hash: Option<String>,
    /// See [`starts_with_stamp`].
    pub stamped: bool,
}

impl Definitions {
    /// From `AMENT_PREFIX_PATH`, else from the `.ros/` beside the build folder that this program lies in.
    #[must_use]
    pub fn find() -> Self {
        let variable = std::env::var_os("AMENT_PREFIX_PATH").unwrap_or_default();
        let mut prefixes: Vec<PathBuf> = std::env::split_paths(&variable)
            .filter(|p| p.is_dir())
            .collect();
        if let Ok(exe) = std::env::current_exe() {
            prefixes.extend(
                exe.ancestors()
                    .map(|a| a.join(".ros"))
                    .filter(|p| p.is_dir()),
            );
        }
        Self { prefixes }
    }

    /// In these prefixes.
    #[must_use]
    pub fn within(prefixes: Vec<PathBuf>) -> Self {
        Self { prefixes }
    }

    fn file(&self, package: &str, name: &str, extension: &str) -> Option<PathBuf> {
        let tail = Path::new("share")
            .join(package)
            .join("msg")
            .join(format!("{name}.{extension}"));
        self.prefixes
            .iter()
            .map(|p| p.join(&tail))
            .find(|p| p.is_file())
    }

    /// The definition of `package/msg/Name`.
    ///
    /// # Errors
    /// [`KitError::File`] naming the type whose definition is not installed.
    pub fn of(&self, kind: &str) -> Result<Definition, KitError> {
        let missing = |what: &str, reason: &str| KitError::File {
            path: what.to_string(),
            reason: reason.to_string(),
        };
        let mut parts = kind.split('/');
        let (Some(package), Some("msg"), Some(name), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(missing(
                kind,
                "expected a message type such as std_msgs/msg/String",
            ));
        };
        let mut texts: BTreeMap<(String, String), String> = BTreeMap::new();
        let mut order = vec![(package.to_string(), name.to_string())];
        let mut at = 0;
        while let Some((package, name)) = order.get(at).cloned() {
            at += 1;
            let path = self.file(&package, &name, "msg").ok_or_else(|| {
                missing(
                    &format!("{package}/msg/{name}"),
                    "definition not found (is ROS set up?)",
                )
            })?;
            let text = std::fs::read_to_string(&path)
                .map_err(|e| missing(&path.display().to_string(), &e.to_string()))?;
            for nested in nested_types(&text, &package) {
                if !order.contains(&nested) {
                    order.push(nested);
                }
            }
            texts.insert((package, name), text);
        }
        let mut all = String::new();
        for (i, key) in order.iter().enumerate() {
            let text = texts.get(key).map(String::as_str).unwrap_or_default();
            if i > 0 {
                all += &format!("\n{}\nMSG: {}/{}\n", "=".repeat(80), key.0, key.1);
            }
            all += text;
        }
        let root = (package.to_string(), name.to_string());
        Ok(Definition {
            stamped: texts.get(&root).is_some_and(|t| starts_with_stamp(t)),
            hash: self.hash(package, name),
            text: all,
        })
    }

    /// The type hash that the generator has written.
    fn hash(&self, package: &str, name: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.file(package, name, "json")?).ok()?;
        let json: serde_json::Value = serde_json::from_str(&text).ok()?;
        let full = format!("{package}/msg/{name}");
        let hashes = json.get("type_hashes")?.as_array()?;
        let entry = hashes
            .iter()
            .find(|h| h.get("type_name").and_then(|n| n.as_str()) == Some(&full))?;
        Some(entry.get("hash_string")?.as_str()?.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# c\nstd_msgs/Header header # h\nuint8 A = 1\nstring<=5 s\nPoint[] ps\ngeometry_msgs/msg/Pose[2] q\n";

    #[test]
    fn nested_types_are_found_whatever_their_form() {
        let own = |p: &str, n: &str| (p.to_string(), n.to_string());
        assert_eq!(
            nested_types(TEXT, "geometry_msgs"),
            [
                own("std_msgs", "Header"),
                own("geometry_msgs", "Point"),
                own("geometry_msgs", "Pose")
            ]
        );
        assert!(starts_with_stamp(TEXT) && !starts_with_stamp("uint8 A = 1\nfloat64 x\n"));
    }

    #[test]
    fn the_leading_stamp_is_read_in_both_byte_orders() {
        let little = [0, 1, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0];
        let big = [0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 5];
        assert_eq!(leading_stamp(&little), Some(2_000_000_005));
        assert_eq!(leading_stamp(&big), Some(2_000_000_005));
        assert_eq!(leading_stamp(&little[..11]), None);
        assert_eq!(leading_stamp(&[]), None);
    }

    #[test]
    fn a_definition_holds_all_it_nests() {
        let folder = tempfile::tempdir().unwrap();
        let put = |package: &str, name: &str, text: &str| {
            let at = folder.path().join("share").join(package).join("msg");
            std::fs::create_dir_all(&at).unwrap();
            std::fs::write(at.join(name), text).unwrap();
        };
        put("a_msgs", "A.msg", "b_msgs/B b\nC c\n");
        put("a_msgs", "C.msg", "float64 x\n");
        put("b_msgs", "B.msg", "a_msgs/C c\n");
        let definitions = Definitions::within(vec![folder.path().to_path_buf()]);
        let text = definitions.of("a_msgs/msg/A").unwrap().text;
        assert_eq!(text.matches("MSG: ").count(), 2);
        assert!(text.contains("MSG: b_msgs/B\n") && text.contains("MSG: a_msgs/C\n"));
        assert!(
            definitions
                .of("a_msgs/msg/D")
                .unwrap_err()
                .to_string()
                .contains("a_msgs/msg/D")
        );
        assert!(definitions.of("A").is_err());
    }
}
