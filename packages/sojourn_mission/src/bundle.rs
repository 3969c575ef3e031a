//! The bundle: one folder, self-contained, that goes from ground to rover.
//!
//! `plan.json`, `verification.json` and `approval.json` in canonical form, `plan.xml` when there is one, and
//! `manifest.json` with the SHA-256 of each. The bundle's id is the first 16 hexadecimal digits of the SHA-256 of the
//! manifest without the id. One flipped bit anywhere is one refusal that names the file.

use crate::MissionError;
use crate::gate::{self, SignedApproval};
use crate::keys::short;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sojourn_core::plan::{Plan, canonical, digest_of, sha256_hex};
use sojourn_core::report::Report;
use sojourn_core::{CoreError, files};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Version of the manifest's form.
pub const BUNDLE_SCHEMA_VERSION: u32 = 1;
/// The plan.
pub const PLAN_FILE: &str = "plan.json";
/// The plan as XML, for people and other tools; not read by the rover.
pub const XML_FILE: &str = "plan.xml";
/// The twin's report.
pub const REPORT_FILE: &str = "verification.json";
/// The signed approval.
pub const APPROVAL_FILE: &str = "approval.json";
/// The list of files.
pub const MANIFEST_FILE: &str = "manifest.json";
/// Largest file of a bundle, bytes.
pub const MAX_FILE_BYTES: usize = 16 << 20;
/// Largest bundle, bytes.
pub const MAX_BUNDLE_BYTES: usize = 32 << 20;

/// The list of a bundle's files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    schema_version: u32,
    bundle_id: String,
    plan_digest: String,
    files: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct ManifestBody<'a> {
    schema_version: u32,
    plan_digest: &'a str,
    files: &'a BTreeMap<String, String>,
}

impl Manifest {
    fn id_of(plan_digest: &str, files: &BTreeMap<String, String>) -> Result<String, MissionError> {
        let body = ManifestBody {
            schema_version: BUNDLE_SCHEMA_VERSION,
            plan_digest,
            files,
        };
        Ok(digest_of(MANIFEST_FILE, &body)?.chars().take(16).collect())
    }
}

/// A bundle that is whole: every file is what the manifest says, the documents belong together, the twin passed the plan
/// and the signature is right. Whose signature it is, is for [`gate::Trust`] to judge.
#[derive(Clone, Debug, PartialEq)]
pub struct Bundle {
    id: String,
    plan: Plan,
    report: Report,
    approval: SignedApproval,
    files: BTreeMap<String, Vec<u8>>,
}

impl Bundle {
    /// Puts a bundle together. `plan_xml` is the text of `plan.xml`, which has to carry the plan's digest.
    ///
    /// # Errors
    /// [`MissionError`] when the documents do not belong together or the signature does not fit.
    pub fn new(
        plan: &Plan,
        report: &Report,
        approval: &SignedApproval,
        plan_xml: Option<&str>,
    ) -> Result<Self, MissionError> {
        let mut files = BTreeMap::from([
            (PLAN_FILE.to_string(), canonical(PLAN_FILE, plan)?),
            (REPORT_FILE.to_string(), canonical(REPORT_FILE, report)?),
            (
                APPROVAL_FILE.to_string(),
                canonical(APPROVAL_FILE, approval)?,
            ),
        ]);
        if let Some(xml) = plan_xml {
            files.insert(XML_FILE.to_string(), xml.as_bytes().to_vec());
        }
        let plan_digest = plan.digest()?;
        let sums: BTreeMap<String, String> = files
            .iter()
            .map(|(name, bytes)| (name.clone(), sha256_hex(bytes)))
            .collect();
        let manifest = Manifest {
            schema_version: BUNDLE_SCHEMA_VERSION,
            bundle_id: Manifest::id_of(&plan_digest, &sums)?,
            plan_digest,
            files: sums,
        };
        files.insert(
            MANIFEST_FILE.to_string(),
            canonical(MANIFEST_FILE, &manifest)?,
        );
        // The same checks that the rover makes: what is refused there is not written here.
        Self::from_files(files)
    }

    /// Checks the files of a bundle, as they came over the link or from a folder.
    ///
    /// # Errors
    /// [`MissionError::Bundle`] that names the file and what is wrong with it.
    pub fn from_files(files: BTreeMap<String, Vec<u8>>) -> Result<Self, MissionError> {
        check_names_and_sizes(&files)?;
        let manifest_bytes = files
            .get(MANIFEST_FILE)
            .ok_or_else(|| MissionError::bundle(MANIFEST_FILE, "is missing"))?;
        let manifest: Manifest = parse(MANIFEST_FILE, manifest_bytes)?;
        check_manifest(&manifest, manifest_bytes)?;
        for (name, sum) in &manifest.files {
            let bytes = files
                .get(name)
                .ok_or_else(|| MissionError::bundle(short(name), "is missing"))?;
            let found = sha256_hex(bytes);
            if found != *sum {
                return Err(MissionError::bundle(
                    name,
                    format!("its SHA-256 is {found}, the manifest says {}", short(sum)),
                ));
            }
        }
        for name in files.keys().filter(|n| *n != MANIFEST_FILE) {
            if !manifest.files.contains_key(name) {
                return Err(MissionError::bundle(name, "is not named in the manifest"));
            }
        }
        let plan: Plan = parse_required(&files, PLAN_FILE)?;
        plan.check(PLAN_FILE)
            .map_err(|e| MissionError::bundle(PLAN_FILE, without_prefix(PLAN_FILE, &e)))?;
        let report: Report = parse_required(&files, REPORT_FILE)?;
        if report.schema_version != sojourn_core::report::REPORT_SCHEMA_VERSION {
            return Err(MissionError::bundle(
                REPORT_FILE,
                format!(
                    "schema_version is {}, which this version does not know",
                    report.schema_version
                ),
            ));
        }
        let approval: SignedApproval = parse_required(&files, APPROVAL_FILE)?;
        if manifest.plan_digest != plan.digest()? {
            return Err(MissionError::bundle(
                PLAN_FILE,
                format!(
                    "its digest is {}, the manifest says {}",
                    plan.digest()?,
                    short(&manifest.plan_digest)
                ),
            ));
        }
        gate::verify(&plan, &report, &approval)
            .map_err(|e| MissionError::bundle(APPROVAL_FILE, e.to_string()))?;
        if let Some(xml) = files.get(XML_FILE)
            && !std::str::from_utf8(xml).is_ok_and(|text| text.contains(&manifest.plan_digest))
        {
            return Err(MissionError::bundle(
                XML_FILE,
                format!("does not carry the plan's digest {}", manifest.plan_digest),
            ));
        }
        Ok(Self {
            id: manifest.bundle_id,
            plan,
            report,
            approval,
            files,
        })
    }

    /// Reads and checks a bundle's folder.
    ///
    /// # Errors
    /// [`MissionError`] that names the file; nothing outside the folder is read and no link is followed.
    pub fn read(dir: &Path) -> Result<Self, MissionError> {
        let listing = std::fs::read_dir(dir)
            .map_err(|e| CoreError::io(dir, "reading the bundle's folder", e))?;
        let mut files = BTreeMap::new();
        let mut total = 0_u64;
        for entry in listing {
            let entry = entry.map_err(|e| CoreError::io(dir, "reading the bundle's folder", e))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            check_name(&name)?;
            let path = entry.path();
            let meta =
                std::fs::symlink_metadata(&path).map_err(|e| CoreError::io(&path, "reading", e))?;
            if !meta.is_file() {
                return Err(MissionError::bundle(name, "is not a plain file"));
            }
            total = total.saturating_add(meta.len());
            if meta.len() > MAX_FILE_BYTES as u64 || total > MAX_BUNDLE_BYTES as u64 {
                return Err(too_large(&name));
            }
            files.insert(name, files::read_bytes(&path, MAX_FILE_BYTES as u64)?);
        }
        if files.is_empty() {
            return Err(MissionError::bundle(
                dir.display().to_string(),
                "the folder is empty",
            ));
        }
        Self::from_files(files)
    }

    /// Writes the bundle's folder: whole or not at all. A bundle that is already there is replaced, anything else is not.
    ///
    /// # Errors
    /// [`MissionError`] with the path; nothing is left behind.
    pub fn write(&self, dir: &Path) -> Result<(), MissionError> {
        if dir.symlink_metadata().is_ok() && !is_replaceable(dir) {
            return Err(MissionError::bundle(
                dir.display().to_string(),
                "exists and is not a bundle, so it is not overwritten",
            ));
        }
        let (fresh, old) = (sibling(dir, "new"), sibling(dir, "old"));
        let unfinished = files::Unfinished::begin(&fresh);
        let result = self.write_and_swap(dir, &fresh, &old);
        drop(unfinished);
        result
    }

    fn write_and_swap(&self, dir: &Path, fresh: &Path, old: &Path) -> Result<(), MissionError> {
        let _ = std::fs::remove_dir_all(fresh);
        if let Some(parent) = dir.parent().filter(|p| !p.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent).map_err(|e| CoreError::io(parent, "creating", e))?;
        }
        std::fs::create_dir(fresh).map_err(|e| CoreError::io(fresh, "creating", e))?;
        for (name, bytes) in &self.files {
            files::write_atomic(&fresh.join(name), bytes)?;
        }
        let had_one = dir.symlink_metadata().is_ok();
        if had_one {
            std::fs::rename(dir, old).map_err(|e| CoreError::io(dir, "replacing", e))?;
        }
        if let Err(e) = std::fs::rename(fresh, dir) {
            if had_one {
                let _ = std::fs::rename(old, dir);
            }
            return Err(CoreError::io(dir, "writing", e).into());
        }
        if had_one {
            let _ = std::fs::remove_dir_all(old);
        }
        Ok(())
    }

    /// First 16 hexadecimal digits of the SHA-256 of the manifest without the id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The twin's report.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The signed approval.
    #[must_use]
    pub fn approval(&self) -> &SignedApproval {
        &self.approval
    }

    /// The files, by name, as they go over the link.
    #[must_use]
    pub fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.files
    }
}

fn sibling(dir: &Path, suffix: &str) -> PathBuf {
    let mut name = files::temporary_name(dir)
        .file_name()
        .unwrap_or_default()
        .to_os_string();
    name.push(format!(".{suffix}"));
    dir.with_file_name(name)
}

// A folder with nothing but a bundle's files and a manifest in it, or an empty one.
fn is_replaceable(dir: &Path) -> bool {
    let Ok(meta) = dir.symlink_metadata() else {
        return false;
    };
    let Ok(listing) = std::fs::read_dir(dir) else {
        return false;
    };
    if !meta.is_dir() {
        return false;
    }
    let names: Vec<String> = listing
        .flatten()
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect();
    names.is_empty()
        || (names.iter().any(|n| n == MANIFEST_FILE) && names.iter().all(|n| check_name(n).is_ok()))
}

fn check_name(name: &str) -> Result<(), MissionError> {
    if [
        PLAN_FILE,
        XML_FILE,
        REPORT_FILE,
        APPROVAL_FILE,
        MANIFEST_FILE,
    ]
    .contains(&name)
    {
        Ok(())
    } else {
        Err(MissionError::bundle(
            short(name),
            "does not belong in a bundle",
        ))
    }
}

fn check_names_and_sizes(files: &BTreeMap<String, Vec<u8>>) -> Result<(), MissionError> {
    let mut total = 0_usize;
    for (name, bytes) in files {
        check_name(name)?;
        total = total.saturating_add(bytes.len());
        if bytes.len() > MAX_FILE_BYTES || total > MAX_BUNDLE_BYTES {
            return Err(too_large(name));
        }
    }
    Ok(())
}

fn too_large(name: &str) -> MissionError {
    MissionError::bundle(
        name,
        format!(
            "is larger than a file ({MAX_FILE_BYTES} bytes) or a bundle ({MAX_BUNDLE_BYTES} bytes) may be"
        ),
    )
}

fn check_manifest(manifest: &Manifest, bytes: &[u8]) -> Result<(), MissionError> {
    let fail = |reason: String| Err(MissionError::bundle(MANIFEST_FILE, reason));
    if manifest.schema_version != BUNDLE_SCHEMA_VERSION {
        return fail(format!(
            "schema_version is {}, expected {BUNDLE_SCHEMA_VERSION}",
            manifest.schema_version
        ));
    }
    for name in manifest.files.keys() {
        if name == MANIFEST_FILE || check_name(name).is_err() {
            return fail(format!(
                "names \"{}\", which does not belong in a bundle",
                short(name)
            ));
        }
    }
    let id = Manifest::id_of(&manifest.plan_digest, &manifest.files)?;
    if manifest.bundle_id != id {
        return fail(format!(
            "bundle_id is {}, expected {id}",
            short(&manifest.bundle_id)
        ));
    }
    // One spelling only: also a bit that JSON would not mind is a refusal.
    if canonical(MANIFEST_FILE, manifest)? != bytes {
        return fail("is not in canonical form".into());
    }
    Ok(())
}

fn parse<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T, MissionError> {
    serde_json::from_slice(bytes).map_err(|e| MissionError::bundle(name, short(&e.to_string())))
}

fn parse_required<T: DeserializeOwned>(
    files: &BTreeMap<String, Vec<u8>>,
    name: &str,
) -> Result<T, MissionError> {
    parse(
        name,
        files
            .get(name)
            .ok_or_else(|| MissionError::bundle(name, "is missing"))?,
    )
}

fn without_prefix(name: &str, e: &CoreError) -> String {
    let text = e.to_string();
    text.strip_prefix(&format!("{name}: "))
        .map_or(text.clone(), str::to_string)
}

#[cfg(test)]
mod tests;
