//! `cargo xtask install`: an overlay laid out as colcon lays out its `install/`, so that `ros2 launch`, `ros2 run` and
//! `ros2 pkg` find the suite. The layout is that of the ament resource index (REP 122 for the folders): marker files in
//! `share/ament_index/resource_index/packages`, executables in `lib/<package>`, everything else in `share/<package>`.

use crate::build;
use crate::setup::RosEnv;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// The package that holds launch files, configuration and worlds, and by which an installation is known.
const BRINGUP: &str = "sojourn_bringup";
/// Says that everything in a prefix was put there by [`run`], so that it may be made anew.
const MARK: &str = ".made_by_cargo_xtask_install";
/// What it installs from the top of the repository.
const SHARED: [&str; 3] = ["launch", "config", "gazebo_worlds"];

/// Sets up, builds, installs.
pub fn run(prefix: &Path) -> Result<()> {
    let prefix =
        std::path::absolute(prefix).with_context(|| format!("--prefix {}", prefix.display()))?;
    check_target(&prefix)?;
    build::run()?;
    let programs = programs()?;
    // Made beside its place and renamed: an interrupted call leaves the old installation as it was.
    let made = beside(&prefix, "new");
    remove(&made)?;
    lay_out(&made, &programs)?;
    fs::write(made.join(MARK), "").with_context(|| made.join(MARK).display().to_string())?;
    let script = setup_script(&prefix, &RosEnv::load()?);
    for name in ["setup.sh", "setup.bash", "setup.zsh"] {
        fs::write(made.join(name), &script)
            .with_context(|| made.join(name).display().to_string())?;
    }
    let old = beside(&prefix, "old");
    remove(&old)?;
    if prefix.exists() {
        fs::rename(&prefix, &old).with_context(|| prefix.display().to_string())?;
    }
    fs::rename(&made, &prefix).with_context(|| prefix.display().to_string())?;
    remove(&old)?;
    println!(
        "installed in {0}: {1} programs. In a new shell: . {0}/setup.sh; ros2 launch {BRINGUP} rover.launch.xml",
        prefix.display(),
        programs.len()
    );
    Ok(())
}

/// Whether a prefix holds this suite, by [`run`] or by colcon.
pub fn is_ours(prefix: &Path) -> bool {
    prefix
        .join("share/ament_index/resource_index/packages")
        .join(BRINGUP)
        .is_file()
}

/// A folder with something else in it is not replaced.
fn check_target(prefix: &Path) -> Result<()> {
    let Ok(mut entries) = fs::read_dir(prefix) else {
        if prefix.exists() {
            bail!("--prefix {}: not a folder", prefix.display());
        }
        return Ok(());
    };
    if entries.next().is_some() && !prefix.join(MARK).is_file() {
        bail!(
            "--prefix {}: holds something that this command did not make, expected a new or empty folder",
            prefix.display()
        );
    }
    Ok(())
}

fn beside(prefix: &Path, suffix: &str) -> PathBuf {
    let mut name = prefix.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{suffix}"));
    prefix.with_file_name(name)
}

fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).with_context(|| dir.display().to_string())
        }
        _ => Ok(()),
    }
}

/// A built program and the package whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Program {
    package: String,
    name: String,
}

/// What cargo says is built, of the packages that ROS knows.
fn programs() -> Result<Vec<Program>> {
    let output = build::cargo()?
        .args(["metadata", "--no-deps", "--format-version", "1", "--locked"])
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!(
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let known = packages()?;
    let mut programs = read_programs(&output.stdout)?;
    programs.retain(|p| known.contains(&p.package));
    Ok(programs)
}

fn read_programs(metadata: &[u8]) -> Result<Vec<Program>> {
    let metadata: serde_json::Value =
        serde_json::from_slice(metadata).context("what cargo metadata says")?;
    let list = |v: &serde_json::Value| v.as_array().cloned().unwrap_or_default();
    let text = |v: &serde_json::Value| v.as_str().unwrap_or_default().to_string();
    let mut programs = Vec::new();
    for package in list(&metadata["packages"]) {
        for target in list(&package["targets"]) {
            if list(&target["kind"]).iter().any(|k| k == "bin") {
                programs.push(Program {
                    package: text(&package["name"]),
                    name: text(&target["name"]),
                });
            }
        }
    }
    programs.sort_by(|a, b| (&a.package, &a.name).cmp(&(&b.package, &b.name)));
    Ok(programs)
}

/// The folders of `packages/` with a `package.xml`, sorted. Those of interfaces only are not among them: set-up built them
/// into the ROS prefix, which the overlay names.
fn packages() -> Result<Vec<String>> {
    let folder = build::root().join("packages");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let is_code = path.join("Cargo.toml").is_file() || path.ends_with(BRINGUP);
        if is_code && path.join("package.xml").is_file() {
            names.extend(path.file_name().and_then(|n| n.to_str()).map(String::from));
        }
    }
    names.sort();
    Ok(names)
}

fn lay_out(to: &Path, programs: &[Program]) -> Result<()> {
    let root = build::root();
    let index = to.join("share/ament_index/resource_index/packages");
    fs::create_dir_all(&index).with_context(|| index.display().to_string())?;
    for package in packages()? {
        fs::write(index.join(&package), "")?;
        copy(
            &root.join("packages").join(&package).join("package.xml"),
            &to.join("share").join(&package).join("package.xml"),
        )?;
    }
    for folder in SHARED {
        copy_tree(
            &root.join(folder),
            &to.join("share").join(BRINGUP).join(folder),
        )?;
    }
    for program in programs {
        let built = build::program(&program.name);
        let file = to.join("lib").join(&program.package).join(&program.name);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        // Cargo makes a program anew instead of writing into it, so the linked file stays what was installed.
        if fs::hard_link(&built, &file).is_err() {
            copy(&built, &file)?;
        }
    }
    let bin = to.join("bin");
    fs::create_dir_all(&bin).with_context(|| bin.display().to_string())?;
    std::os::unix::fs::symlink("../lib/sojourn_cli/sojourn", bin.join("sojourn"))
        .with_context(|| bin.display().to_string())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    fs::copy(from, to).with_context(|| format!("{} to {}", from.display(), to.display()))?;
    Ok(())
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let path = entry?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_tree(&path, &target)?;
        } else {
            copy(&path, &target)?;
        }
    }
    Ok(())
}

/// For sh, bash and zsh.
fn setup_script(prefix: &Path, env: &RosEnv) -> String {
    let mut script = String::from(
        "# Made by `cargo xtask install`. Source it: it adds Sojourn and the ROS prefix that it was built with.\n\
         _sojourn_before() {\n\
         \x20 eval \"_sojourn_old=\\${$1:-}\"\n\
         \x20 case \":$_sojourn_old:\" in\n\
         \x20   *\":$2:\"*) ;;\n\
         \x20   *) export \"$1=$2${_sojourn_old:+:$_sojourn_old}\" ;;\n\
         \x20 esac\n\
         }\n",
    );
    for (name, value) in env.for_overlay() {
        // What a person has set is kept, but for the distribution, which must be the one that this was built for.
        let value = quoted(&value);
        script.push_str(&if name == "ROS_DISTRO" {
            format!("export {name}={value}\n")
        } else {
            format!("[ -n \"${{{name}:-}}\" ] || export {name}={value}\n")
        });
    }
    let mut before = env.search_paths();
    before.push(("AMENT_PREFIX_PATH", env.prefix().to_path_buf()));
    before.push(("AMENT_PREFIX_PATH", prefix.to_path_buf()));
    before.push(("PATH", prefix.join("bin")));
    for (name, folder) in before {
        let folder = quoted(&folder.display().to_string());
        script.push_str(&format!("_sojourn_before {name} {folder}\n"));
    }
    script.push_str("unset -f _sojourn_before\nunset _sojourn_old\n");
    script
}

/// For a shell, whatever stands in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_launch_file_starts_is_installed() {
        let output = std::process::Command::new(env!("CARGO"))
            .args([
                "metadata",
                "--no-deps",
                "--format-version",
                "1",
                "--offline",
            ])
            .current_dir(build::root())
            .output()
            .unwrap();
        let programs = read_programs(&output.stdout).unwrap();
        let known = packages().unwrap();
        let mut seen = 0;
        for file in fs::read_dir(build::root().join("launch"))
            .unwrap()
            .flatten()
        {
            let text = fs::read_to_string(file.path()).unwrap();
            for node in text.split("<node ").skip(1) {
                let value = |key: &str| {
                    let (_, after) = node.split_once(&format!("{key}=\"")).unwrap();
                    after.split('"').next().unwrap().to_string()
                };
                let wanted = Program {
                    package: value("pkg"),
                    name: value("exec"),
                };
                assert!(programs.contains(&wanted), "{wanted:?}");
                assert!(known.contains(&wanted.package), "{wanted:?}");
                seen += 1;
            }
        }
        assert!(seen >= 10, "{seen} nodes in the launch files");
        assert!(known.iter().any(|p| p == BRINGUP));
        assert!(!known.iter().any(|p| p == "sojourn_msgs"));
    }

    #[test]
    fn a_folder_with_something_else_in_it_is_left_alone() {
        let dir = std::env::temp_dir().join(format!("sojourn_install_{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        assert!(check_target(&dir).is_ok(), "an empty folder");
        fs::write(dir.join("thesis.txt"), "x").unwrap();
        let said = check_target(&dir).unwrap_err().to_string();
        assert!(said.contains("this command did not make"), "{said}");
        let file = dir.join("thesis.txt");
        assert!(
            check_target(&file)
                .unwrap_err()
                .to_string()
                .contains("not a folder")
        );
        let index = dir.join("share/ament_index/resource_index/packages");
        fs::create_dir_all(&index).unwrap();
        fs::write(index.join(BRINGUP), "").unwrap();
        assert!(is_ours(&dir));
        assert!(check_target(&dir).is_err(), "a workspace of colcon");
        fs::write(dir.join(MARK), "").unwrap();
        assert!(check_target(&dir).is_ok(), "an older installation");
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_shell_takes_any_path() {
        let text = "a'b $HOME `x` \"y\"";
        let output = std::process::Command::new("sh")
            .args(["-c", &format!("printf %s {}", quoted(text))])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), text);
    }
}
