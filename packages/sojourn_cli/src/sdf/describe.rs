//! Checks an SDF file against the descriptions that sdformat itself reads, where Debian's package `sdformat-sdf` has put
//! them: which elements there are, where, how often, with which attributes and of which kind.

use super::xml::Node;
use sojourn_core::files;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where Debian puts the descriptions of SDF 1.9.
pub const DEBIANS: &str = "/usr/share/sdformat12/1.9";
/// Largest description, bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Descriptions read so far.
struct Descriptions {
    dir: PathBuf,
    read: BTreeMap<String, Node>,
}

/// Checks a whole document; returns the number of elements looked at.
///
/// # Errors
/// One sentence: the element and what the description says.
pub fn conforms(document: &Node, dir: &Path) -> anyhow::Result<usize> {
    let mut known = Descriptions {
        dir: dir.to_path_buf(),
        read: BTreeMap::new(),
    };
    let root = known.file("root.sdf")?;
    known.element(document, &root)
}

impl Descriptions {
    fn file(&mut self, name: &str) -> anyhow::Result<Node> {
        if let Some(found) = self.read.get(name) {
            return Ok(found.clone());
        }
        let path = self.dir.join(name);
        let text = files::read_text(&path, MAX_BYTES)?;
        let node = Node::read(&text).map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))?;
        self.read.insert(name.into(), node.clone());
        Ok(node)
    }

    /// The descriptions of what may stand in an element, by tag, and how often.
    fn children(&mut self, description: &Node) -> anyhow::Result<BTreeMap<String, (Node, String)>> {
        let mut found = BTreeMap::new();
        for child in &description.children {
            let required = child.attribute("required").unwrap_or("0").to_string();
            let described = match (child.tag.as_str(), child.attribute("filename")) {
                // Debian's package lacks one of the files that the others name.
                ("include", Some(file)) if !self.dir.join(file).is_file() => continue,
                ("include", Some(file)) => self.file(file)?,
                ("element", _) => child.clone(),
                _ => continue,
            };
            let Some(name) = described.attribute("name").map(String::from) else {
                continue;
            };
            found.insert(name, (described, required));
        }
        Ok(found)
    }

    fn element(&mut self, node: &Node, description: &Node) -> anyhow::Result<usize> {
        let tag = &node.tag;
        for (name, value) in &node.attributes {
            let known = description
                .all("attribute")
                .any(|a| a.attribute("name") == Some(name.as_str()));
            anyhow::ensure!(
                known,
                "<{tag}> has the attribute {name}=\"{value}\", which SDF does not know"
            );
        }
        for attribute in description.all("attribute") {
            let name = attribute.attribute("name").unwrap_or("");
            anyhow::ensure!(
                attribute.attribute("required") != Some("1") || node.attribute(name).is_some(),
                "<{tag}> lacks the attribute {name}"
            );
        }
        value(node, description.attribute("type"))?;
        // What a plugin holds is the plugin's.
        if description
            .children
            .iter()
            .any(|c| c.attribute("copy_data").is_some())
        {
            return Ok(1);
        }
        let known = self.children(description)?;
        let mut looked_at = 1;
        for child in &node.children {
            let Some((described, required)) = known.get(&child.tag) else {
                anyhow::bail!(
                    "<{}> stands in <{tag}>, where SDF knows no such element",
                    child.tag
                );
            };
            let often = node.all(&child.tag).count();
            anyhow::ensure!(
                often == 1 || matches!(required.as_str(), "*" | "+"),
                "<{}> stands in <{tag}> {often} times, expected once",
                child.tag
            );
            looked_at += self.element(child, described)?;
        }
        for (name, (_, required)) in &known {
            // sdformat fills in what is missing where there is a default; only what has none is asked for.
            let missing = required == "+" && node.all(name).next().is_none();
            anyhow::ensure!(!missing, "<{tag}> lacks an element <{name}>");
        }
        Ok(looked_at)
    }
}

/// The text of an element of a kind.
fn value(node: &Node, kind: Option<&str>) -> anyhow::Result<()> {
    let Some(kind) = kind else {
        return Ok(());
    };
    let numbers = |n: &[usize]| node.values(&[]).is_some_and(|v| n.contains(&v.len()));
    let good = match kind {
        "double" | "float" => numbers(&[1]),
        "int" => node.text.parse::<i64>().is_ok(),
        "unsigned int" => node.text.parse::<u64>().is_ok(),
        "bool" => ["true", "false", "0", "1"].contains(&node.text.as_str()),
        "vector2d" | "time" => numbers(&[2]),
        "vector3" => numbers(&[3]),
        "color" => numbers(&[3, 4]),
        "pose" => numbers(&[6]),
        _ => true,
    };
    anyhow::ensure!(good, "<{0}>{1}</{0}> is no {kind}", node.tag, node.text);
    Ok(())
}
