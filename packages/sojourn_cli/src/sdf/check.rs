//! Checks an exported world without Gazebo: what the parsers of sdformat do not look at, and what makes Gazebo fail
//! late, silently or at a distance.

use super::{MANIFEST, MANIFEST_VERSION, Manifest, xml::Node};
use sojourn_core::{files, plan::sha256_hex};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Largest file that is read, bytes.
const MAX_BYTES: u64 = 256 << 20;
/// Tolerance of sums of numbers with six places, relative.
const CLOSE: f64 = 1e-3;

/// What was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Checked {
    /// Files whose digest was compared.
    pub files: usize,
    /// Models.
    pub models: usize,
    /// Links.
    pub links: usize,
    /// Joints.
    pub joints: usize,
    /// Files that the world refers to.
    pub uris: usize,
    /// Triangles and squares of the meshes.
    pub faces: usize,
}

/// Checks a folder that `sojourn world export-sdf` wrote.
///
/// # Errors
/// One sentence: the file and what is wrong in it.
pub fn folder(dir: &Path) -> anyhow::Result<(Manifest, Checked)> {
    let path = dir.join(MANIFEST);
    let text = files::read_text(&path, MAX_BYTES)?;
    let manifest: Manifest =
        serde_json::from_str(&text).map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))?;
    anyhow::ensure!(
        manifest.schema_version == MANIFEST_VERSION,
        "{}: schema_version is {}, expected {MANIFEST_VERSION}",
        path.display(),
        manifest.schema_version
    );
    let mut contents = BTreeMap::new();
    for (name, digest) in &manifest.files {
        anyhow::ensure!(
            !name.starts_with('/') && !name.split('/').any(|part| part == ".."),
            "{}: names the file {name}, which lies outside the folder",
            path.display()
        );
        let bytes = files::read_bytes(&dir.join(name), MAX_BYTES)?;
        anyhow::ensure!(
            &sha256_hex(&bytes) == digest,
            "{}: is not the file that {MANIFEST} speaks of",
            dir.join(name).display()
        );
        contents.insert(name.clone(), bytes);
    }
    let mut checked = world(&format!("{}.sdf", manifest.export.name), &contents)
        .map_err(|e| anyhow::anyhow!("{}: {e}", dir.display()))?;
    checked.files = contents.len();
    Ok((manifest, checked))
}

/// Checks a world among the files of its folder.
///
/// # Errors
/// One sentence.
pub fn world(name: &str, files: &BTreeMap<String, Vec<u8>>) -> anyhow::Result<Checked> {
    let bytes = files
        .get(name)
        .ok_or_else(|| anyhow::anyhow!("{name}: is missing"))?;
    let root =
        Node::read(std::str::from_utf8(bytes)?).map_err(|e| anyhow::anyhow!("{name}: {e}"))?;
    let inner = || -> anyhow::Result<Checked> {
        anyhow::ensure!(
            root.tag == "sdf",
            "begins with <{}>, expected <sdf>",
            root.tag
        );
        let version = root.attribute("version").unwrap_or("");
        anyhow::ensure!(
            ["1.9", "1.11"].contains(&version),
            "is of SDF version \"{version}\", expected 1.9 or 1.11"
        );
        let worlds: Vec<_> = root.all("world").collect();
        let [world] = worlds.as_slice() else {
            anyhow::bail!("holds {} worlds, expected one", worlds.len());
        };
        let mut checked = Checked::default();
        setting(world)?;
        names(world)?;
        for model in world.all("model") {
            checked.models += 1;
            checked.links += model.all("link").count();
            checked.joints += model.all("joint").count();
            self::model(model)?;
        }
        let mut media = Media {
            files,
            faces: 0,
            groups: BTreeMap::new(),
        };
        checked.uris = media.all(world)?;
        checked.faces = media.faces;
        Ok(checked)
    };
    inner().map_err(|e| anyhow::anyhow!("{name}: {e}"))
}

fn name_of(node: &Node) -> String {
    format!(
        "<{} name=\"{}\">",
        node.tag,
        node.attribute("name").unwrap_or("")
    )
}

/// Gravity, detector, light, and numbers that are numbers.
fn setting(world: &Node) -> anyhow::Result<()> {
    let gravity = world.values(&["gravity"]);
    let down =
        gravity.is_some_and(|g| matches!(g[..], [x, y, z] if x == 0.0 && y == 0.0 && z < -0.01));
    anyhow::ensure!(down, "<gravity> does not point down");
    let detector = world.get(&["physics", "dart", "collision_detector"]);
    anyhow::ensure!(
        detector.is_some_and(|d| d.text == "bullet"),
        "the collision detector is not bullet: wheels would fall through the height map"
    );
    let suns = world
        .all("light")
        .filter(|l| l.attribute("type") == Some("directional"))
        .collect::<Vec<_>>();
    let [sun] = suns.as_slice() else {
        anyhow::bail!("{} directional lights shine, expected one sun", suns.len());
    };
    let direction = sun.values(&["direction"]);
    anyhow::ensure!(
        direction.is_some_and(|d| d.len() == 3 && d[2] < 0.0),
        "the sun does not shine down"
    );
    let mut bad = None;
    world.each(&mut |node| {
        let expected = match node.tag.as_str() {
            "pose" => 6,
            "xyz" | "size" if node.children.is_empty() => 3,
            _ => return,
        };
        if node.values(&[]).is_none_or(|v| v.len() != expected) {
            bad.get_or_insert(format!("<{}>{}</{}>", node.tag, node.text, node.tag));
        }
    });
    anyhow::ensure!(
        bad.is_none(),
        "{} holds no numbers as expected",
        bad.unwrap_or_default()
    );
    Ok(())
}

/// Siblings of one tag have different names.
fn names(world: &Node) -> anyhow::Result<()> {
    let mut twice = None;
    world.each(&mut |node| {
        let mut seen = BTreeSet::new();
        for child in &node.children {
            if let Some(name) = child.attribute("name")
                && child.tag != "plugin"
                && !seen.insert((child.tag.as_str(), name))
            {
                twice.get_or_insert(name_of(child));
            }
        }
    });
    anyhow::ensure!(
        twice.is_none(),
        "{} is there twice",
        twice.unwrap_or_default()
    );
    Ok(())
}

/// Links that can exist, and joints that make a tree of them.
pub(super) fn model(model: &Node) -> anyhow::Result<()> {
    let of = name_of(model);
    let is_static = model.get(&["static"]).is_some_and(|s| s.text == "true");
    let links: BTreeSet<&str> = model
        .all("link")
        .filter_map(|l| l.attribute("name"))
        .collect();
    anyhow::ensure!(!links.is_empty(), "{of} has no link");
    if !is_static {
        for link in model.all("link") {
            inertia(link).map_err(|e| anyhow::anyhow!("{of}, {}: {e}", name_of(link)))?;
        }
    }
    let mut parents: BTreeMap<&str, &str> = BTreeMap::new();
    for joint in model.all("joint") {
        let name = name_of(joint);
        let end = |tag: &str| joint.get(&[tag]).map_or("", |n| n.text.as_str());
        let (parent, child) = (end("parent"), end("child"));
        for link in [parent, child] {
            anyhow::ensure!(
                links.contains(link),
                "{of}, {name}: there is no link \"{link}\""
            );
        }
        anyhow::ensure!(
            parents.insert(child, parent).is_none(),
            "{of}, {name}: the link {child} hangs on two joints, which Gazebo drops without a word"
        );
        let axis = joint.values(&["axis", "xyz"]).unwrap_or_default();
        let length: f64 = axis.iter().map(|v| v * v).sum();
        anyhow::ensure!(
            (length - 1.0).abs() < CLOSE,
            "{of}, {name}: its axis has no direction"
        );
        let limit = |tag: &str| {
            joint
                .values(&["axis", "limit", tag])
                .and_then(|v| v.first().copied())
        };
        anyhow::ensure!(
            matches!((limit("lower"), limit("upper")), (Some(lo), Some(hi)) if lo < hi),
            "{of}, {name}: its limits leave no room"
        );
        if let Some(other) = joint
            .get(&["axis", "mimic"])
            .and_then(|m| m.attribute("joint"))
        {
            anyhow::ensure!(
                model
                    .all("joint")
                    .any(|j| j.attribute("name") == Some(other)),
                "{of}, {name}: mimics {other}, which is not there"
            );
        }
    }
    for link in &links {
        let (mut at, mut steps) = (*link, 0);
        while let Some(parent) = parents.get(at) {
            (at, steps) = (parent, steps + 1);
            anyhow::ensure!(
                steps <= links.len(),
                "{of}: the joints of {link} go in a circle"
            );
        }
    }
    let roots = links.iter().filter(|l| !parents.contains_key(*l)).count();
    anyhow::ensure!(
        is_static || roots == 1,
        "{of}: {roots} links hang on nothing, expected one"
    );
    Ok(())
}

/// A mass, and moments that a body can have.
fn inertia(link: &Node) -> anyhow::Result<()> {
    let value = |tag: &str| {
        let path = ["inertial", "inertia", tag];
        link.values(&path)
            .and_then(|v| v.first().copied())
            .unwrap_or(f64::NAN)
    };
    let mass = link
        .values(&["inertial", "mass"])
        .and_then(|v| v.first().copied());
    anyhow::ensure!(mass.is_some_and(|m| m > 0.0), "has no mass");
    let [x, y, z] = ["ixx", "iyy", "izz"].map(value);
    anyhow::ensure!(
        x > 0.0 && y > 0.0 && z > 0.0 && x + y >= z && y + z >= x && x + z >= y,
        "has moments of inertia ({x}, {y}, {z}) that no body has"
    );
    Ok(())
}

/// The files that a world refers to.
struct Media<'a> {
    files: &'a BTreeMap<String, Vec<u8>>,
    faces: usize,
    /// Groups of the meshes read so far.
    groups: BTreeMap<String, BTreeSet<String>>,
}

impl Media<'_> {
    /// Looks at every file once for each use; returns the number of uses.
    fn all(&mut self, world: &Node) -> anyhow::Result<usize> {
        let mut uses: Vec<&Node> = Vec::new();
        world.each(&mut |node| {
            if node.get(&["uri"]).is_some() {
                uses.push(node);
            }
        });
        for node in &uses {
            let uri = node.get(&["uri"]).map_or("", |n| n.text.as_str());
            let bytes = self.bytes(uri)?;
            match node.tag.as_str() {
                "heightmap" => {
                    height_map(node, bytes).map_err(|e| anyhow::anyhow!("{uri}: {e}"))?
                }
                "mesh" => self.mesh(node, uri)?,
                other => {
                    anyhow::bail!("<{other}> refers to {uri}, expected only height maps and meshes")
                }
            }
        }
        Ok(uses.len())
    }

    fn bytes(&self, name: &str) -> anyhow::Result<&[u8]> {
        let found = self.files.get(name).map(Vec::as_slice);
        found.ok_or_else(|| anyhow::anyhow!("{name}: is not in the folder"))
    }

    fn mesh(&mut self, node: &Node, uri: &str) -> anyhow::Result<()> {
        if !self.groups.contains_key(uri) {
            let text = std::str::from_utf8(self.bytes(uri)?)?;
            let obj = obj(text).map_err(|e| anyhow::anyhow!("{uri}: {e}"))?;
            self.faces += obj.faces;
            let folder = uri.rsplit_once('/').map_or("", |(f, _)| f);
            for library in &obj.libraries {
                let name = format!("{folder}/{library}");
                let text = std::str::from_utf8(self.bytes(&name)?)?;
                for line in text.lines() {
                    if let Some(picture) = line.strip_prefix("map_Kd ") {
                        self.bytes(&format!("{folder}/{picture}"))?;
                    }
                }
                let has = |m: &String| text.lines().any(|l| l.strip_prefix("newmtl ") == Some(m));
                anyhow::ensure!(
                    obj.materials.iter().all(has),
                    "{name}: lacks a material of {uri}"
                );
            }
            self.groups.insert(uri.into(), obj.groups);
        }
        if let Some(name) = node.get(&["submesh", "name"]) {
            anyhow::ensure!(
                self.groups.get(uri).is_some_and(|g| g.contains(&name.text)),
                "{uri}: has no group {}",
                name.text
            );
        }
        Ok(())
    }
}

/// A square 16-bit picture of 2ⁿ + 1 pixels that uses its whole range, with a size and a place.
fn height_map(node: &Node, bytes: &[u8]) -> anyhow::Result<()> {
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info()?;
    let info = reader.info();
    let (width, height) = (info.width, info.height);
    anyhow::ensure!(
        info.color_type == png::ColorType::Grayscale && info.bit_depth == png::BitDepth::Sixteen,
        "is no 16-bit grey picture"
    );
    anyhow::ensure!(
        width == height && width > 2 && (width - 1).is_power_of_two(),
        "is {width} x {height} pixels, expected a square of a power of two and one"
    );
    let mut data = vec![0; reader.output_buffer_size().unwrap_or(0)];
    reader.next_frame(&mut data)?;
    let steps = data
        .chunks_exact(2)
        .map(|b| u16::from_be_bytes([b[0], b[1]]));
    let (least, most) = steps.fold((u16::MAX, 0), |(a, b), v| (a.min(v), b.max(v)));
    anyhow::ensure!(
        least == 0 && (most == u16::MAX || most == 0),
        "has steps from {least} to {most}, expected 0 to 65535: engines differ on what else means"
    );
    let size = node.values(&["size"]).unwrap_or_default();
    anyhow::ensure!(
        size.len() == 3 && size.iter().all(|v| *v > 0.0),
        "its <size> is not three lengths"
    );
    Ok(())
}

struct Obj {
    libraries: Vec<String>,
    materials: Vec<String>,
    groups: BTreeSet<String>,
    faces: usize,
}

/// A Wavefront mesh whose faces name vertices that are there.
fn obj(text: &str) -> anyhow::Result<Obj> {
    let mut found = Obj {
        libraries: Vec::new(),
        materials: Vec::new(),
        groups: BTreeSet::new(),
        faces: 0,
    };
    let (mut vertices, mut textures) = (0usize, 0usize);
    for (k, line) in text.lines().enumerate() {
        let mut words = line.split_whitespace();
        let key = words.next().unwrap_or("");
        let finite = |n: usize, words: &mut dyn Iterator<Item = &str>| {
            let values: Vec<f64> = words.filter_map(|w| w.parse().ok()).collect();
            values.len() == n && values.iter().all(|v| v.is_finite())
        };
        let good = match key {
            "" => true,
            "v" => {
                vertices += 1;
                finite(3, &mut words)
            }
            "vt" => {
                textures += 1;
                finite(2, &mut words)
            }
            "f" => {
                found.faces += 1;
                let corners: Vec<_> = words.collect();
                let within =
                    |word: &str, n: usize| word.parse().is_ok_and(|i: usize| i >= 1 && i <= n);
                (3..=4).contains(&corners.len())
                    && corners.iter().all(|c| match c.split_once('/') {
                        Some((v, t)) => within(v, vertices) && within(t, textures),
                        None => within(c, vertices),
                    })
            }
            "o" | "g" => {
                let name = words.next().unwrap_or("").to_string();
                anyhow::ensure!(
                    found.groups.insert(name),
                    "line {}: the group is there twice",
                    k + 1
                );
                true
            }
            "mtllib" => {
                found.libraries.extend(words.next().map(String::from));
                true
            }
            "usemtl" => {
                found.materials.extend(words.next().map(String::from));
                true
            }
            _ => false,
        };
        anyhow::ensure!(good, "line {}: \"{line}\" is no part of a mesh", k + 1);
    }
    anyhow::ensure!(found.faces > 0, "has no faces");
    Ok(found)
}
