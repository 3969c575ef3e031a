//! A small tree of XML elements: what a world is written from, and what it is read back into to be checked.

use quick_xml::{Reader, events::Event};
use std::fmt::Write as _;

/// Deepest nesting that is read.
const MAX_DEPTH: usize = 64;

/// An element with attributes and either text or children.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// Tag.
    pub tag: String,
    /// Attributes in the file's order.
    pub attributes: Vec<(String, String)>,
    /// Text, without white space at its ends.
    pub text: String,
    /// Children in the file's order.
    pub children: Vec<Node>,
}

impl Node {
    /// An empty element.
    #[must_use]
    pub fn new(tag: &str) -> Self {
        Self {
            tag: tag.into(),
            ..Self::default()
        }
    }

    /// An element with a text.
    #[must_use]
    pub fn text(tag: &str, text: impl ToString) -> Self {
        Self {
            tag: tag.into(),
            text: text.to_string(),
            ..Self::default()
        }
    }

    /// An element of numbers.
    #[must_use]
    pub fn numbers(tag: &str, values: &[f64]) -> Self {
        let words: Vec<String> = values.iter().map(|v| number(*v)).collect();
        Self::text(tag, words.join(" "))
    }

    /// With an attribute more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.attributes.push((name.into(), value.to_string()));
        self
    }

    /// With children more.
    #[must_use]
    pub fn holding(mut self, children: impl IntoIterator<Item = Node>) -> Self {
        self.children.extend(children);
        self
    }

    /// An attribute's value.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(n, _)| n == name);
        found.map(|(_, v)| v.as_str())
    }

    /// Children of a tag.
    pub fn all<'a, 'b>(&'a self, tag: &'b str) -> impl Iterator<Item = &'a Node> + use<'a, 'b> {
        self.children.iter().filter(move |c| c.tag == tag)
    }

    /// The first element along a path of tags.
    #[must_use]
    pub fn get(&self, path: &[&str]) -> Option<&Node> {
        let Some((first, rest)) = path.split_first() else {
            return Some(self);
        };
        self.all(first).find_map(|c| c.get(rest))
    }

    /// The numbers in the text of an element along a path; `None` where it is missing or one is no finite number.
    #[must_use]
    pub fn values(&self, path: &[&str]) -> Option<Vec<f64>> {
        let words = self.get(path)?.text.split_whitespace();
        words
            .map(|w| w.parse::<f64>().ok().filter(|v| v.is_finite()))
            .collect()
    }

    /// Calls `visit` with this element and all below it.
    pub fn each<'a>(&'a self, visit: &mut impl FnMut(&'a Node)) {
        visit(self);
        for child in &self.children {
            child.each(visit);
        }
    }

    /// As a document.
    #[must_use]
    pub fn document(&self) -> String {
        let mut out = String::from("<?xml version=\"1.0\"?>\n");
        self.write(&mut out, 0);
        out
    }

    fn write(&self, out: &mut String, depth: usize) {
        let indent = "  ".repeat(depth);
        // Writing to a string does not fail.
        let _ = write!(out, "{indent}<{}", self.tag);
        for (name, value) in &self.attributes {
            let _ = write!(out, " {name}=\"{}\"", quick_xml::escape::escape(value));
        }
        if self.children.is_empty() && self.text.is_empty() {
            out.push_str("/>\n");
            return;
        }
        out.push('>');
        out.push_str(&quick_xml::escape::escape(&self.text));
        if !self.children.is_empty() {
            out.push('\n');
            for child in &self.children {
                child.write(out, depth + 1);
            }
            out.push_str(&indent);
        }
        let _ = writeln!(out, "</{}>", self.tag);
    }

    /// Reads a document.
    ///
    /// # Errors
    /// One sentence.
    pub fn read(text: &str) -> anyhow::Result<Self> {
        let mut reader = Reader::from_str(text);
        let mut open: Vec<Node> = Vec::new();
        let mut root: Option<Node> = None;
        loop {
            let finished = match reader.read_event()? {
                Event::Start(tag) => {
                    anyhow::ensure!(open.len() < MAX_DEPTH, "is nested too deeply");
                    open.push(opened(&tag)?);
                    None
                }
                Event::Empty(tag) => Some(opened(&tag)?),
                Event::End(_) => open.pop(),
                Event::Text(t) => {
                    if let Some(parent) = open.last_mut() {
                        parent.text.push_str(t.decode()?.trim());
                    }
                    None
                }
                Event::Eof => break,
                Event::GeneralRef(name) => {
                    let name = name.decode()?;
                    let meant = quick_xml::escape::resolve_predefined_entity(&name);
                    let meant =
                        meant.ok_or_else(|| anyhow::anyhow!("holds the entity &{name};"))?;
                    if let Some(parent) = open.last_mut() {
                        parent.text.push_str(meant);
                    }
                    None
                }
                Event::CData(t) => {
                    if let Some(parent) = open.last_mut() {
                        parent.text.push_str(t.decode()?.trim());
                    }
                    None
                }
                Event::Comment(_) | Event::Decl(_) => None,
                _ => anyhow::bail!("holds a document type or a processing instruction"),
            };
            if let Some(node) = finished {
                match open.last_mut() {
                    Some(parent) => parent.children.push(node),
                    None if root.is_none() => root = Some(node),
                    None => anyhow::bail!("has a second root element"),
                }
            }
        }
        anyhow::ensure!(open.is_empty(), "ends before its elements do");
        root.ok_or_else(|| anyhow::anyhow!("holds no element"))
    }
}

fn opened(tag: &quick_xml::events::BytesStart<'_>) -> anyhow::Result<Node> {
    let mut node = Node::new(&String::from_utf8_lossy(tag.name().as_ref()));
    for attribute in tag.attributes() {
        let attribute = attribute?;
        let name = String::from_utf8_lossy(attribute.key.as_ref()).into_owned();
        node.attributes
            .push((name, attribute.unescape_value()?.into_owned()));
    }
    Ok(node)
}

/// A number with at most six places after the point and no zeros at its end.
#[must_use]
pub fn number(v: f64) -> String {
    let text = format!("{v:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        "0".into()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_is_read_back() {
        let tree = Node::new("sdf")
            .with("version", "1.11")
            .holding([Node::new("world").with("name", "a<b&\"c\"").holding([
                Node::numbers("gravity", &[0.0, -0.0, -3.72076]),
                Node::new("empty"),
            ])]);
        let back = Node::read(&tree.document()).unwrap();
        assert_eq!(back, tree);
        assert_eq!(
            back.values(&["world", "gravity"]).unwrap(),
            [0.0, 0.0, -3.72076]
        );
        assert!(back.values(&["world", "empty", "x"]).is_none());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fall_over(text in "[<>a-z/\" =&;!-]{0,60}") {
            let _ = Node::read(&text);
        }

        #[test]
        fn numbers_keep_six_places(v in -1e6f64..1e6) {
            prop_assert!((number(v).parse::<f64>().unwrap() - v).abs() <= 5.1e-7);
        }
    }
}
