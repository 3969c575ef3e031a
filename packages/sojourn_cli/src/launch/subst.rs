//! `$(var x)` and its kin.

use super::{LaunchError, xml::At};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What substitutions may refer to.
pub trait Surroundings {
    /// An environment variable.
    fn env(&self, name: &str) -> Option<String>;
    /// The `share/<package>` folder of a package.
    fn package_share(&self, package: &str) -> Option<PathBuf>;
}

/// Replaces every `$( … )` in `text`.
///
/// # Errors
/// [`LaunchError::At`] that names the substitution.
pub fn substitute(
    text: &str,
    at: &At,
    variables: &BTreeMap<String, String>,
    env: &BTreeMap<String, String>,
    surroundings: &dyn Surroundings,
) -> Result<String, LaunchError> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(begin) = rest.find("$(") {
        let (before, after) = rest.split_at(begin);
        out.push_str(before);
        let inner = after.get(2..).unwrap_or_default();
        let end = closing(inner)
            .ok_or_else(|| at.error(format!("\"{text}\" has a $( without its closing bracket")))?;
        let (body, tail) = inner.split_at(end);
        rest = tail.get(1..).unwrap_or_default();
        // Arguments may be substitutions themselves: $(env X $(var y)).
        let body = substitute(body, at, variables, env, surroundings)?;
        let mut words = words_of(&body)
            .ok_or_else(|| at.error(format!("$({body}) has a quote without its end")))?
            .into_iter();
        let what = words.next().unwrap_or_default();
        let arguments: Vec<String> = words.collect();
        out.push_str(&value_of(
            &what,
            &arguments,
            at,
            variables,
            env,
            surroundings,
        )?);
    }
    out.push_str(rest);
    Ok(out)
}

fn value_of(
    what: &str,
    arguments: &[String],
    at: &At,
    variables: &BTreeMap<String, String>,
    env: &BTreeMap<String, String>,
    surroundings: &dyn Surroundings,
) -> Result<String, LaunchError> {
    match (what, arguments) {
        ("var", [name]) => variables.get(name).cloned().ok_or_else(|| {
            at.error(format!(
                "$(var {name}) is not defined here; give it with {name}:=VALUE"
            ))
        }),
        ("env", [name]) => env
            .get(name)
            .cloned()
            .or_else(|| surroundings.env(name))
            .ok_or_else(|| {
                at.error(format!(
                    "$(env {name}) is not set in the environment and has no default"
                ))
            }),
        ("env", [name, default]) => Ok(env
            .get(name)
            .cloned()
            .or_else(|| surroundings.env(name))
            .unwrap_or_else(|| default.clone())),
        ("find-pkg-share", [package]) => surroundings
            .package_share(package)
            .map(|p| p.display().to_string())
            .ok_or_else(|| {
                at.error(format!(
                    "$(find-pkg-share {package}): no such package in AMENT_PREFIX_PATH or in this checkout"
                ))
            }),
        ("dirname", []) => {
            let dir = at.file.parent().unwrap_or_else(|| Path::new("."));
            let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
            Ok(std::path::absolute(dir)
                .unwrap_or_else(|_| dir.to_path_buf())
                .display()
                .to_string())
        }
        ("var" | "find-pkg-share", _) => {
            Err(at.error(format!("$({what} …) takes one word, found {}", arguments.len())))
        }
        ("env", _) => Err(at.error(format!(
            "$(env …) takes a name and perhaps a default, found {} words",
            arguments.len()
        ))),
        ("dirname", _) => Err(at.error("$(dirname) takes no words")),
        _ => Err(at.error(format!(
            "$({what} …) is not in the subset of launch XML that this launcher runs; it knows var, env, find-pkg-share and dirname"
        ))),
    }
}

/// Position of the bracket that closes the one before `text`.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (i, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => return Some(i),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Splits at blanks; single or double quotes hold words together. `None` when a quote does not end.
#[must_use]
pub fn words_of(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    for c in text.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word.take());
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Fixed;
    impl Surroundings for Fixed {
        fn env(&self, name: &str) -> Option<String> {
            (name == "HOME").then(|| "/home/ada".to_string())
        }
        fn package_share(&self, package: &str) -> Option<PathBuf> {
            (package == "p").then(|| PathBuf::from("/share/p"))
        }
    }

    fn run(text: &str) -> Result<String, LaunchError> {
        let at = At {
            file: "/l/a.xml".into(),
            line: 7,
        };
        let vars = BTreeMap::from([("x".to_string(), "1".to_string())]);
        substitute(text, &at, &vars, &BTreeMap::new(), &Fixed)
    }

    #[test]
    fn the_documented_ones_work() {
        assert_eq!(run("a$(var x)b").unwrap(), "a1b");
        assert_eq!(run("$(env HOME)/r").unwrap(), "/home/ada/r");
        assert_eq!(run("$(env NOPE $(var x))").unwrap(), "1");
        assert_eq!(run("$(env NOPE '')").unwrap(), "");
        assert_eq!(run("$(env NOPE 'two words')").unwrap(), "two words");
        assert_eq!(
            run("$(find-pkg-share p)/config").unwrap(),
            "/share/p/config"
        );
        assert_eq!(run("$(dirname)/b.xml").unwrap(), "/l/b.xml");
        assert_eq!(run("5 $ (x)").unwrap(), "5 $ (x)");
    }

    #[test]
    fn others_are_refused_with_file_and_line() {
        for (text, words) in [
            ("$(eval 1 + 1)", "eval"),
            ("$(command ls)", "command"),
            ("$(var y)", "y:=VALUE"),
            ("$(var)", "one word"),
            ("$(env NOPE)", "NOPE"),
            ("$(find-pkg-share q)", "q"),
            ("$(var x", "closing bracket"),
            ("$(env A 'b)", "quote"),
        ] {
            let message = run(text).unwrap_err().to_string();
            assert!(
                message.contains(words) && message.contains("/l/a.xml:7"),
                "{text}: {message}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fall_over(text in "[$()a-z' \"é-]{0,40}") {
            let _ = run(&text);
        }

        #[test]
        fn text_without_dollar_stays(text in "[^$]{0,40}") {
            prop_assert_eq!(run(&text).unwrap(), text);
        }
    }
}
