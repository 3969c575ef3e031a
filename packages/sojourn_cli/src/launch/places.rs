//! Where the files and executables of the suite are: a checkout, or an installation in `AMENT_PREFIX_PATH`.

use super::subst::Surroundings;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The package that holds launch, configuration and worlds.
const BRINGUP: &str = "sojourn_bringup";

/// What was found on this machine.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The checkout: the folder with `launch/`, `config/` and `packages/`.
    pub checkout: Option<PathBuf>,
    /// Folder of this very executable.
    pub beside: Option<PathBuf>,
    /// Prefixes of installed ROS packages, first wins.
    pub prefixes: Vec<PathBuf>,
    /// Environment that ROS processes need and that is not set already.
    pub ros_env: BTreeMap<String, String>,
}

impl Places {
    /// Looks around: the executable's folder, the folders above it, the working folder and those above it, and
    /// `AMENT_PREFIX_PATH`.
    #[must_use]
    pub fn find() -> Self {
        let beside = std::env::current_exe()
            .ok()
            .and_then(|p| p.canonicalize().ok())
            .and_then(|p| p.parent().map(Path::to_path_buf));
        if let Some(prefix) = beside.as_deref().and_then(installation) {
            return Self::installed(prefix, beside);
        }
        let working = std::env::current_dir().ok();
        let checkout = [&beside, &working]
            .into_iter()
            .flatten()
            .find_map(|p| {
                p.ancestors()
                    .find(|a| is_checkout(a))
                    .map(Path::to_path_buf)
            })
            // A binary built into another target folder still knows where it was built from.
            .or_else(|| {
                Path::new(env!("CARGO_MANIFEST_DIR"))
                    .ancestors()
                    .find(|a| is_checkout(a))
                    .map(Path::to_path_buf)
            });
        let mut ros_env = BTreeMap::new();
        if std::env::var_os("AMENT_PREFIX_PATH").is_none()
            && let Some(root) = &checkout
        {
            ros_env = environment_of_prefix(root);
        }
        let ament = std::env::var("AMENT_PREFIX_PATH")
            .ok()
            .or_else(|| ros_env.get("AMENT_PREFIX_PATH").cloned())
            .unwrap_or_default();
        Self {
            checkout,
            beside,
            prefixes: ament
                .split(':')
                .filter(|p| !p.is_empty())
                .map(PathBuf::from)
                .collect(),
            ros_env,
        }
    }

    /// An executable of an installation belongs to that, wherever it is called and whatever it was built from.
    fn installed(prefix: PathBuf, beside: Option<PathBuf>) -> Self {
        let ament = std::env::var("AMENT_PREFIX_PATH").unwrap_or_default();
        let others = ament
            .split(':')
            .filter(|p| !p.is_empty())
            .map(PathBuf::from)
            .filter(|p| *p != prefix);
        Self {
            checkout: None,
            beside,
            prefixes: std::iter::once(prefix.clone()).chain(others).collect(),
            ros_env: BTreeMap::new(),
        }
    }

    /// The folder that holds `launch/` and `config/`.
    #[must_use]
    pub fn share(&self) -> Option<PathBuf> {
        self.package_share(BRINGUP)
    }

    /// A file or folder below [`Places::share`].
    ///
    /// # Errors
    /// One sentence when the suite's files are not found.
    pub fn shared(&self, relative: &str) -> anyhow::Result<PathBuf> {
        let share = self.share().ok_or_else(|| {
            anyhow::anyhow!(
                "the suite's files (launch/, config/) were not found; run inside the checkout or source an installation"
            )
        })?;
        let path = share.join(relative);
        anyhow::ensure!(path.exists(), "{} is not there", path.display());
        Ok(path)
    }

    /// An executable of a package and the folders looked in.
    ///
    /// # Errors
    /// The folders looked in, when it is in none of them.
    pub fn executable(&self, package: &str, executable: &str) -> Result<PathBuf, Vec<PathBuf>> {
        let mut folders = Vec::new();
        folders.extend(self.beside.clone());
        if let Some(root) = &self.checkout {
            let debug = root.join("target/debug");
            if !folders.contains(&debug) {
                folders.push(debug);
            }
        }
        folders.extend(self.prefixes.iter().map(|p| p.join("lib").join(package)));
        folders
            .iter()
            .map(|f| f.join(executable))
            .find(|p| p.is_file())
            .ok_or(folders)
    }
}

impl Surroundings for Places {
    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name)
            .ok()
            .or_else(|| self.ros_env.get(name).cloned())
    }

    fn package_share(&self, package: &str) -> Option<PathBuf> {
        if let Some(root) = &self.checkout {
            if package == BRINGUP {
                return Some(root.clone());
            }
            let own = root.join("packages").join(package);
            if own.is_dir() {
                return Some(own);
            }
        }
        self.prefixes
            .iter()
            .map(|p| p.join("share").join(package))
            .find(|p| p.is_dir())
    }
}

/// The prefix in whose `lib/<package>` an executable lies.
fn installation(folder: &Path) -> Option<PathBuf> {
    let lib = folder.parent().filter(|p| p.ends_with("lib"))?;
    let prefix = lib.parent()?;
    let launch = prefix.join("share").join(BRINGUP).join("launch");
    launch.is_dir().then(|| prefix.to_path_buf())
}

fn is_checkout(dir: &Path) -> bool {
    dir.join("launch").is_dir()
        && dir.join("config/rovers").is_dir()
        && dir.join("packages/sojourn_core").is_dir()
}

/// The environment that set-up wrote for the prefix `.ros/` of a checkout.
fn environment_of_prefix(root: &Path) -> BTreeMap<String, String> {
    std::fs::read_to_string(root.join(".ros/cargo.toml"))
        .map(|text| parse_environment(&text))
        .unwrap_or_default()
}

/// `KEY = "value"` lines below `[env]`; r2r's build-time filter is left out.
fn parse_environment(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .skip_while(|l| l.trim() != "[env]")
        .skip(1)
        .take_while(|l| !l.trim_start().starts_with('['))
        .filter_map(|line| {
            let (key, value) = line.split_once('=')?;
            let value = value.trim().strip_prefix('"')?.strip_suffix('"')?;
            Some((key.trim().to_string(), value.to_string()))
        })
        .filter(|(key, _)| key != "IDL_PACKAGE_FILTER")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checkout_is_found_from_its_own_tests() {
        let places = Places::find();
        let share = places.share().unwrap();
        assert!(share.join("config/mission.yaml").is_file());
        assert!(places.shared("config/nowhere.yaml").is_err());
        let looked = places.executable("p", "no_such_executable").unwrap_err();
        assert!(!looked.is_empty());
    }

    #[test]
    fn an_installed_executable_belongs_to_its_prefix() {
        let dir = tempfile::tempdir().unwrap();
        let prefix = dir.path().join("install");
        let folder = prefix.join("lib/sojourn_cli");
        assert_eq!(installation(&folder), None, "nothing is installed there");
        let share = prefix.join("share").join(BRINGUP);
        std::fs::create_dir_all(share.join("launch")).unwrap();
        std::fs::create_dir_all(prefix.join("lib/sojourn_twin")).unwrap();
        std::fs::write(prefix.join("lib/sojourn_twin/twin"), "").unwrap();
        assert_eq!(installation(&folder), Some(prefix.clone()));
        let places = Places::installed(prefix.clone(), Some(folder));
        assert_eq!(places.share(), Some(share));
        let twin = places.executable("sojourn_twin", "twin").unwrap();
        assert_eq!(twin, prefix.join("lib/sojourn_twin/twin"));
    }

    #[test]
    fn the_environment_of_the_prefix_is_read() {
        let env = parse_environment(
            "# x\n[env]\nROS_DISTRO = \"jazzy\"\nIDL_PACKAGE_FILTER = \"a;b\"\nA = \"/p q\"\n[other]\nB = \"1\"\n",
        );
        assert_eq!(env.len(), 2);
        assert_eq!(env["A"], "/p q");
    }
}
