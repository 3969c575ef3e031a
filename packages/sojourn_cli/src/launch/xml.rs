//! A launch file as a tree of elements that know their line.

use super::LaunchError;
use quick_xml::{Reader, events::Event};
use std::path::{Path, PathBuf};

/// Largest launch file that is read, bytes.
const MAX_BYTES: u64 = 1 << 20;
/// Deepest nesting of elements.
const MAX_DEPTH: usize = 64;

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// The launch file.
    pub file: PathBuf,
    /// Line, counted from one.
    pub line: usize,
}

impl At {
    /// An error at this place.
    pub fn error(&self, reason: impl Into<String>) -> LaunchError {
        LaunchError::At {
            file: self.file.clone(),
            line: self.line,
            reason: reason.into(),
        }
    }
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// One element.
#[derive(Clone, Debug)]
pub struct Element {
    /// Tag.
    pub tag: String,
    /// Attributes in the file's order.
    pub attributes: Vec<(String, String)>,
    /// Child elements.
    pub children: Vec<Element>,
    /// Place of the opening tag.
    pub at: At,
}

impl Element {
    /// An attribute's text as written.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    /// An attribute that has to be there.
    ///
    /// # Errors
    /// [`LaunchError::At`] with the element's place.
    pub fn required(&self, name: &str) -> Result<&str, LaunchError> {
        self.attribute(name).ok_or_else(|| {
            self.at.error(format!(
                "<{}> has no attribute \"{name}\", which it needs",
                self.tag
            ))
        })
    }

    /// Refuses attributes that are not in `known`.
    ///
    /// # Errors
    /// [`LaunchError::At`] that names the first unknown one.
    pub fn only(&self, known: &[&str]) -> Result<(), LaunchError> {
        match self
            .attributes
            .iter()
            .find(|(n, _)| !known.contains(&n.as_str()))
        {
            Some((name, _)) => Err(self.at.error(format!(
                "<{}> has the attribute \"{name}\", which this launcher does not know; it knows {}",
                self.tag,
                known.join(", ")
            ))),
            None => Ok(()),
        }
    }

    /// Refuses child elements.
    ///
    /// # Errors
    /// [`LaunchError::At`] with the place of the first child.
    pub fn no_children(&self) -> Result<(), LaunchError> {
        match self.children.first() {
            Some(child) => Err(child.unknown_in(&self.tag)),
            None => Ok(()),
        }
    }

    /// The error for an element that may not stand inside `parent`.
    #[must_use]
    pub fn unknown_in(&self, parent: &str) -> LaunchError {
        self.at.error(format!(
            "<{}> inside <{parent}> is not in the subset of launch XML that this launcher runs",
            self.tag
        ))
    }
}

/// Reads a launch file.
///
/// # Errors
/// [`LaunchError`] with file and line.
pub fn read(path: &Path) -> Result<Element, LaunchError> {
    let text = sojourn_core::files::read_text(path, MAX_BYTES)?;
    parse(path, &text)
}

/// Parses the text of a launch file.
///
/// # Errors
/// [`LaunchError`] with file and line.
pub fn parse(path: &Path, text: &str) -> Result<Element, LaunchError> {
    let at = |position: usize| At {
        file: path.to_path_buf(),
        line: 1 + text
            .as_bytes()
            .iter()
            .take(position)
            .filter(|b| **b == b'\n')
            .count(),
    };
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    let mut root: Option<Element> = None;
    loop {
        let position = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        let here = at(position);
        let event = reader.read_event().map_err(|e| {
            at(usize::try_from(reader.error_position()).unwrap_or(position))
                .error(format!("is not XML: {e}"))
        })?;
        let finished = match event {
            Event::Start(tag) => {
                if open.len() >= MAX_DEPTH {
                    return Err(here.error(format!("is nested deeper than {MAX_DEPTH} elements")));
                }
                open.push(element(&tag, here)?);
                None
            }
            Event::Empty(tag) => Some(element(&tag, here)?),
            Event::End(_) => open.pop(),
            Event::Text(t) => {
                let inside = String::from_utf8_lossy(&t).into_owned();
                let words = inside.trim();
                if !words.is_empty() {
                    let before = inside.len() - inside.trim_start().len();
                    return Err(at(position + before).error(format!(
                        "holds the text \"{}\" between elements, where none belongs",
                        words.chars().take(40).collect::<String>()
                    )));
                }
                None
            }
            Event::Comment(_) | Event::Decl(_) => None,
            Event::Eof => break,
            Event::CData(_) | Event::DocType(_) | Event::PI(_) | Event::GeneralRef(_) => {
                return Err(here.error(
                    "holds CDATA, a document type, an entity or a processing instruction, which this launcher does not run",
                ));
            }
        };
        if let Some(element) = finished {
            match open.last_mut() {
                Some(parent) => parent.children.push(element),
                None if root.is_none() => root = Some(element),
                None => return Err(element.at.error("is a second root element")),
            }
        }
    }
    if let Some(unclosed) = open.last() {
        return Err(unclosed
            .at
            .error(format!("<{}> is not closed", unclosed.tag)));
    }
    let root = root.ok_or_else(|| at(0).error("holds no element, expected <launch>"))?;
    if root.tag == "launch" {
        Ok(root)
    } else {
        Err(root
            .at
            .error(format!("begins with <{}>, expected <launch>", root.tag)))
    }
}

fn element(tag: &quick_xml::events::BytesStart<'_>, at: At) -> Result<Element, LaunchError> {
    let name = String::from_utf8_lossy(tag.name().as_ref()).into_owned();
    let mut attributes: Vec<(String, String)> = Vec::new();
    for attribute in tag.attributes() {
        let attribute =
            attribute.map_err(|e| at.error(format!("<{name}> has a broken attribute: {e}")))?;
        let key = String::from_utf8_lossy(attribute.key.as_ref()).into_owned();
        let value = attribute
            .unescape_value()
            .map_err(|e| at.error(format!("<{name}> attribute \"{key}\": {e}")))?
            .into_owned();
        attributes.push((key, value));
    }
    Ok(Element {
        tag: name,
        attributes,
        children: Vec::new(),
        at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_know_their_line() {
        let root = parse(
            Path::new("a.launch.xml"),
            "<launch>\n  <!-- c -->\n  <node pkg=\"p\"\n    exec=\"e\"/>\n  <group>\n<arg name=\"x\"/></group></launch>",
        )
        .unwrap();
        assert_eq!(root.children[0].at.line, 3);
        assert_eq!(root.children[0].attribute("exec"), Some("e"));
        assert_eq!(root.children[1].children[0].at.line, 6);
    }

    #[test]
    fn what_is_not_a_launch_file_is_refused_with_its_place() {
        for (text, words) in [
            ("", "no element"),
            ("<launch>", "not closed"),
            ("<launch>\nhello</launch>", "a:2"),
            ("<lunch/>", "expected <launch>"),
            ("<launch></lunch>", "not XML"),
            ("<launch/><launch/>", "second root"),
            ("<launch a=1/>", "broken attribute"),
            ("<!DOCTYPE x [<!ENTITY y 'z'>]><launch/>", "document type"),
        ] {
            let message = parse(Path::new("a"), text).unwrap_err().to_string();
            assert!(message.contains(words), "{text}: {message}");
        }
    }
}
