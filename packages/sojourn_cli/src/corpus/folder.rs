//! A corpus as a folder: plans, the sites and rovers they belong to, and `expected.json`.

use super::{Case, Expect};
use crate::{ground, launch::places::Places};
use serde::{Deserialize, Serialize};
use sojourn_core::{files, plan::MAX_PLAN_BYTES, rover::Rover, site::Site};
use std::{
    collections::BTreeMap,
    path::{Component, Path},
    sync::Arc,
};

/// Name of the list.
pub const EXPECTED: &str = "expected.json";

/// `expected.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The plans.
    pub plans: Vec<Entry>,
}

/// One plan of the list. Paths are relative to the folder.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The plan's file; it need not be a valid plan.
    pub plan: String,
    /// A site folder (with manifest.json), or an elevation model that GDAL reads.
    pub site: String,
    /// The planet of an elevation model (mars, moon, earth or a file); a site folder carries its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Name of a rover of the suite, or a rover file of the folder.
    pub rover: String,
    /// "pass" or "reject".
    pub expect: Expect,
    /// Kinds of reason of which at least one has to be given; absent or empty for any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// What kind of plan it is, for the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
}

/// Reads a folder.
///
/// # Errors
/// One sentence that names the file and the entry.
pub fn read(dir: &Path, places: &Places) -> anyhow::Result<Vec<Case>> {
    let list = dir.join(EXPECTED);
    let text = files::read_text(&list, MAX_PLAN_BYTES)?;
    let expected: Expected =
        serde_json::from_str(&text).map_err(|e| anyhow::anyhow!("{}: {e}", list.display()))?;
    anyhow::ensure!(
        !expected.plans.is_empty(),
        "{}: lists no plans",
        list.display()
    );
    let mut sites: BTreeMap<String, Arc<Site>> = BTreeMap::new();
    let mut rovers: BTreeMap<String, Arc<Rover>> = BTreeMap::new();
    let mut out = Vec::with_capacity(expected.plans.len());
    for (i, e) in expected.plans.into_iter().enumerate() {
        let of_entry = |e: anyhow::Error| anyhow::anyhow!("{}: plans[{i}]: {e:#}", list.display());
        let file = inside(dir, &e.plan).map_err(of_entry)?;
        let rover = match rovers.get(&e.rover) {
            Some(r) => r.clone(),
            None => {
                let rover = Arc::new(rover(dir, places, &e.rover).map_err(of_entry)?);
                rovers.insert(e.rover.clone(), rover.clone());
                rover
            }
        };
        let key = format!("{}|{:?}", e.site, e.body);
        let site = match sites.get(&key) {
            Some(s) => s.clone(),
            None => {
                let site = Arc::new(site(dir, places, &e, &rover).map_err(of_entry)?);
                sites.insert(key, site.clone());
                site
            }
        };
        // A plan that is no text at all is still a plan to be refused.
        let bytes = files::read_bytes(&file, MAX_PLAN_BYTES)?;
        out.push(Case {
            family: e.family.unwrap_or_else(|| "foreign".into()),
            name: e.plan,
            document: String::from_utf8_lossy(&bytes).into_owned(),
            site,
            rover,
            expect: e.expect,
            reasons: e.reasons,
        });
    }
    Ok(out)
}

/// A path of the list must not lead out of its folder.
fn inside(dir: &Path, relative: &str) -> anyhow::Result<std::path::PathBuf> {
    let plain = Path::new(relative)
        .components()
        .all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    anyhow::ensure!(
        plain && !relative.is_empty(),
        "\"{relative}\" is not a path inside the folder"
    );
    Ok(dir.join(relative))
}

fn rover(dir: &Path, places: &Places, name: &str) -> anyhow::Result<Rover> {
    if name.contains('/') || name.ends_with(".yaml") {
        return Ok(Rover::load(&inside(dir, name)?)?);
    }
    Ok(ground::rover(places, name)?.0)
}

fn site(dir: &Path, places: &Places, e: &Entry, rover: &Rover) -> anyhow::Result<Site> {
    let path = inside(dir, &e.site)?;
    if path.is_dir() {
        return Ok(Site::load(&path)?);
    }
    let body = ground::body_for(places, e.body.as_deref(), &path)?;
    ground::import(&path, None, body, rover)
}

/// Writes a corpus as a folder that [`read`] takes.
///
/// # Errors
/// One sentence that names the file.
pub fn write(dir: &Path, cases: &[Case]) -> anyhow::Result<()> {
    anyhow::ensure!(
        !dir.join(EXPECTED).exists(),
        "{}: holds a corpus already",
        dir.display()
    );
    std::fs::create_dir_all(dir.join("plans"))?;
    std::fs::create_dir_all(dir.join("rovers"))?;
    let mut sites: Vec<Arc<Site>> = Vec::new();
    let mut rovers: Vec<Arc<Rover>> = Vec::new();
    let mut plans = Vec::new();
    for case in cases {
        let site = number(&mut sites, &case.site);
        let folder = format!("sites/{site:03}");
        if !dir.join(&folder).is_dir() {
            case.site.save(&dir.join(&folder))?;
        }
        let rover = format!("rovers/{:03}.yaml", number(&mut rovers, &case.rover));
        if !dir.join(&rover).is_file() {
            let text = serde_json::to_string(&*case.rover)?;
            files::write_atomic(&dir.join(&rover), text.as_bytes())?;
        }
        let plan = format!("plans/{}.json", case.name);
        files::write_atomic(&dir.join(&plan), case.document.as_bytes())?;
        plans.push(Entry {
            plan,
            site: folder,
            body: None,
            rover,
            expect: case.expect,
            reasons: case.reasons.clone(),
            family: Some(case.family.clone()),
        });
    }
    let text = serde_json::to_string_pretty(&Expected { plans })? + "\n";
    files::write_atomic(&dir.join(EXPECTED), text.as_bytes())?;
    Ok(())
}

/// Place of a shared thing in a list; added when it is new.
fn number<T>(known: &mut Vec<Arc<T>>, thing: &Arc<T>) -> usize {
    match known.iter().position(|k| Arc::ptr_eq(k, thing)) {
        Some(i) => i,
        None => {
            known.push(thing.clone());
            known.len() - 1
        }
    }
}
