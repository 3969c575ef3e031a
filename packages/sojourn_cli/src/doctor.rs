//! What this machine has and lacks, each with how to mend it.

use crate::launch::places::Places;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Least free memory for a drive, bytes.
const MEMORY_BYTES: u64 = 3 << 30;
/// Least free disk for set-up and build, bytes.
const DISK_BYTES: u64 = 8 << 30;
/// Least shared memory for images between processes, bytes.
const SHARED_BYTES: u64 = 64 << 20;
/// What a drive starts.
pub const NODES: [(&str, &str); 11] = [
    ("sojourn_twin", "simulator"),
    ("sojourn_perception", "perception"),
    ("sojourn_localization", "localization"),
    ("sojourn_autonav", "autonav"),
    ("sojourn_autonav", "guard"),
    ("sojourn_mission", "executive"),
    ("sojourn_ros", "recorder"),
    ("sojourn_planner", "planner"),
    ("sojourn_twin", "twin"),
    ("sojourn_mission", "ground"),
    ("sojourn_base", "base"),
];

/// One thing looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What.
    pub name: String,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What is there.
    pub found: String,
    /// What should be there.
    pub expected: String,
    /// What to do; empty when all is well.
    pub mend: String,
}

/// All of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Examination {
    /// Whether nothing is missing.
    pub ok: bool,
    /// Each thing.
    pub checks: Vec<Check>,
}

fn check(name: &str, ok: bool, found: impl Into<String>, expected: &str, mend: &str) -> Check {
    Check {
        name: name.into(),
        ok,
        found: found.into(),
        expected: expected.into(),
        mend: if ok { String::new() } else { mend.into() },
    }
}

/// Looks at this machine.
#[must_use]
pub fn examine(places: &Places) -> Examination {
    let mut checks = vec![system()];
    // Who runs an installed suite builds nothing; who has neither it nor a checkout will.
    let installed = |root: &PathBuf| !root.join("Cargo.toml").is_file();
    if !places.checkout.as_ref().is_some_and(installed) {
        checks.extend(for_building(places));
    }
    checks.push(checkout(places));
    checks.push(ros(places));
    checks.push(discovery(places));
    checks.push(rclpy(places));
    checks.extend(nodes(places));
    checks.push(shared_memory());
    checks.push(memory());
    checks.push(disk(places));
    Examination {
        ok: checks.iter().all(|c| c.ok),
        checks,
    }
}

/// First line that a command prints, when it ends well.
fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let out = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    out.status.success().then(|| {
        String::from_utf8_lossy(&out.stdout)
            .lines()
            .next()
            .unwrap_or_default()
            .trim()
            .to_string()
    })
}

fn system() -> Check {
    let name = std::fs::read_to_string("/etc/os-release")
        .ok()
        .and_then(|text| {
            text.lines()
                .find_map(|l| l.strip_prefix("PRETTY_NAME="))
                .map(|v| v.trim_matches('"').to_string())
        })
        .unwrap_or_else(|| "unknown".into());
    let known = name.contains("Debian GNU/Linux 12") || name.contains("Ubuntu 24.04");
    let machine = std::env::consts::ARCH;
    check(
        "system",
        known && machine == "x86_64",
        format!("{name}, {machine}"),
        "Debian 12 or Ubuntu 24.04 on x86_64",
        "other systems may work when a ROS 2 Jazzy is sourced; they are not tried",
    )
}

fn for_building(places: &Places) -> [Check; 6] {
    let compiler = "C and C++ compiler";
    [
        rust(places),
        tool(compiler, "c++", &["--version"], "build-essential"),
        tool("CMake", "cmake", &["--version"], "cmake"),
        libclang(),
        library("GDAL", "gdal", "libgdal-dev"),
        library("OpenCV", "opencv4", "libopencv-dev"),
    ]
}

fn rust(places: &Places) -> Check {
    let wanted = places
        .checkout
        .as_ref()
        .and_then(|root| std::fs::read_to_string(root.join("Cargo.toml")).ok())
        .and_then(|text| {
            text.lines().find_map(|l| {
                let value = l.strip_prefix("rust-version")?.split('"').nth(1)?;
                Some(value.to_string())
            })
        })
        .unwrap_or_else(|| env!("CARGO_PKG_RUST_VERSION").into());
    let found = first_line("rustc", &["--version"]);
    let numbers = |text: &str| -> Vec<u32> {
        text.split(['.', '-', ' '])
            .filter_map(|p| p.parse().ok())
            .take(2)
            .collect()
    };
    let ok = found.as_deref().is_some_and(|f| {
        f.split(' ')
            .nth(1)
            .is_some_and(|v| numbers(v) >= numbers(&wanted))
    });
    check(
        "rust",
        ok,
        found.unwrap_or_else(|| "none".into()),
        &format!("rustc {wanted} or newer"),
        "install Rust from https://rustup.rs, or `rustup update`",
    )
}

fn tool(name: &str, program: &str, arguments: &[&str], package: &str) -> Check {
    let found = first_line(program, arguments);
    check(
        name,
        found.is_some(),
        found.unwrap_or_else(|| "none".into()),
        &format!("{program} (Debian package {package})"),
        &format!("cargo xtask setup, or apt-get install {package}"),
    )
}

fn library(name: &str, module: &str, package: &str) -> Check {
    let found = first_line("pkg-config", &["--modversion", module]);
    check(
        name,
        found.is_some(),
        found.unwrap_or_else(|| "none, as far as pkg-config knows".into()),
        &format!("Debian package {package}"),
        &format!("cargo xtask setup, or apt-get install pkg-config {package}"),
    )
}

fn libclang() -> Check {
    let folders = std::fs::read_dir("/usr/lib")
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path())
        .filter(|p| {
            p.file_name()
                .is_some_and(|n| n.to_string_lossy().starts_with("llvm-"))
        })
        .map(|p| p.join("lib"))
        .chain([PathBuf::from("/usr/lib/x86_64-linux-gnu")])
        .chain(std::env::var_os("LIBCLANG_PATH").map(PathBuf::from));
    let found = folders
        .flat_map(|d| std::fs::read_dir(d).into_iter().flatten().flatten())
        .map(|e| e.path())
        .find(|p| {
            p.file_name().is_some_and(|n| {
                n.to_string_lossy().starts_with("libclang") && n.to_string_lossy().contains(".so")
            })
        });
    check(
        "libclang",
        found.is_some(),
        found.map_or_else(|| "none".into(), |p| p.display().to_string()),
        "libclang.so (Debian package libclang-dev), for the ROS bindings",
        "cargo xtask setup, or apt-get install libclang-dev",
    )
}

fn checkout(places: &Places) -> Check {
    check(
        "suite",
        places.share().is_some(),
        places
            .share()
            .map_or_else(|| "none".into(), |p| p.display().to_string()),
        "the folder with launch/ and config/",
        "run inside the checkout, or source an installation",
    )
}

fn ros(places: &Places) -> Check {
    let sourced = std::env::var("ROS_DISTRO").ok();
    let prefix = places
        .prefixes
        .iter()
        .find(|p| p.join("lib/librcl.so").is_file());
    let distro = sourced.or_else(|| places.ros_env.get("ROS_DISTRO").cloned());
    let ok = prefix.is_some() && distro.as_deref() == Some("jazzy");
    let found = match (prefix, distro) {
        (Some(p), Some(d)) => format!("{d} in {}", p.display()),
        (Some(p), None) => format!("{}, of unknown distribution", p.display()),
        (None, Some(d)) => {
            format!("{d} is named in the environment, but no librcl.so is in AMENT_PREFIX_PATH")
        }
        (None, None) => "none".into(),
    };
    check(
        "ROS 2",
        ok,
        found,
        "ROS 2 Jazzy, sourced or in .ros/",
        "cargo xtask setup, or `source /opt/ros/jazzy/setup.bash`",
    )
}

fn discovery(places: &Places) -> Check {
    use crate::launch::subst::Surroundings;
    let profile = places
        .env("FASTRTPS_DEFAULT_PROFILES_FILE")
        .or_else(|| places.env("FASTDDS_DEFAULT_PROFILES_FILE"));
    let there = profile.as_deref().is_some_and(|p| Path::new(p).is_file());
    check(
        "DDS profile",
        there,
        profile.unwrap_or_else(|| "none".into()),
        "FASTRTPS_DEFAULT_PROFILES_FILE names a file (quick discovery, room for images)",
        "cargo xtask setup; with a sourced ROS: export FASTRTPS_DEFAULT_PROFILES_FILE=packages/sojourn_ros/config/sojourn_dds.xml",
    )
}

fn rclpy(places: &Places) -> Check {
    let script = places
        .checkout
        .as_ref()
        .map(|r| r.join(".ros/ros_env.sh"))
        .filter(|p| p.is_file());
    let program = "import rclpy, sojourn_msgs.msg; print('rclpy and sojourn_msgs')";
    let found = match script {
        Some(script)
            if std::env::var_os("AMENT_PREFIX_PATH")
                .is_none_or(|p| p.to_string_lossy().contains(".ros")) =>
        {
            first_line(
                "bash",
                &[
                    "-c",
                    ". \"$0\" && python3 -c \"$1\"",
                    &script.display().to_string(),
                    program,
                ],
            )
        }
        _ => first_line("python3", &["-c", program]),
    };
    check(
        "rclpy",
        found.is_some(),
        found.unwrap_or_else(|| "python3 cannot import rclpy and sojourn_msgs".into()),
        "python3 imports rclpy and sojourn_msgs (interop tests need it, a drive does not)",
        "cargo xtask setup",
    )
}

fn nodes(places: &Places) -> Vec<Check> {
    let missing: Vec<&str> = NODES
        .iter()
        .filter(|(package, node)| places.executable(package, node).is_err())
        .map(|(_, node)| *node)
        .collect();
    vec![check(
        "nodes",
        missing.is_empty(),
        if missing.is_empty() {
            format!("all {}", NODES.len())
        } else {
            format!("missing: {}", missing.join(", "))
        },
        "the executables of all nodes",
        "cargo xtask demo builds them (so does cargo xtask test)",
    )]
}

fn free_bytes(path: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

fn gibibytes(bytes: u64) -> String {
    format!("{:.1} GiB free", bytes as f64 / f64::from(1 << 30))
}

fn shared_memory() -> Check {
    let free = free_bytes(Path::new("/dev/shm")).unwrap_or(0);
    check(
        "shared memory",
        free >= SHARED_BYTES,
        format!("{} MiB free in /dev/shm", free >> 20),
        "64 MiB",
        "make /dev/shm larger (docker run --shm-size=256m)",
    )
}

fn memory() -> Check {
    let available = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| {
            text.lines()
                .find_map(|l| l.strip_prefix("MemAvailable:"))
                .and_then(|v| v.split_whitespace().next())
                .and_then(|v| v.parse::<u64>().ok())
        })
        .unwrap_or(0)
        * 1024;
    check(
        "memory",
        available >= MEMORY_BYTES,
        gibibytes(available),
        "3 GiB free",
        "close other programs",
    )
}

fn disk(places: &Places) -> Check {
    let here = places.checkout.clone().unwrap_or_else(|| ".".into());
    let free = free_bytes(&here).unwrap_or(0);
    // A build that is there already needs no more room.
    let built = here.join("target/debug").is_dir();
    let needed = if built { 1 << 30 } else { DISK_BYTES };
    check(
        "disk",
        free >= needed,
        gibibytes(free),
        if built { "1 GiB free" } else { "8 GiB free" },
        "make room",
    )
}

/// The examination for people.
#[must_use]
pub fn text(examination: &Examination) -> String {
    let width = examination
        .checks
        .iter()
        .map(|c| c.name.len())
        .max()
        .unwrap_or(0);
    let mut out = String::new();
    for c in &examination.checks {
        let mark = if c.ok { "ok     " } else { "MISSING" };
        out += &format!("{mark}  {:width$}  {}\n", c.name, c.found);
        if !c.ok {
            out += &format!(
                "{:w$}expected {}; {}\n",
                "",
                c.expected,
                c.mend,
                w = width + 11
            );
        }
    }
    let missing = examination.checks.iter().filter(|c| !c.ok).count();
    out += &match missing {
        0 => "Nothing is missing.\n".to_string(),
        1 => "One thing is missing.\n".to_string(),
        n => format!("{n} things are missing.\n"),
    };
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_says_how_to_mend_it() {
        let examination = examine(&Places::default());
        assert!(!examination.ok);
        let nodes = examination
            .checks
            .iter()
            .find(|c| c.name == "nodes")
            .unwrap();
        assert!(!nodes.ok && nodes.found.contains("simulator"));
        for c in &examination.checks {
            assert_eq!(c.ok, c.mend.is_empty(), "{c:?}");
        }
        let text = text(&examination);
        assert!(text.contains("MISSING") && text.contains("missing."));
    }
    #[test]
    fn an_installed_suite_needs_nothing_to_build_with() {
        let dir = tempfile::tempdir().unwrap();
        let names = |root: &Path| {
            let places = Places {
                checkout: Some(root.to_path_buf()),
                ..Places::default()
            };
            let checks = examine(&places).checks;
            checks.into_iter().map(|c| c.name).collect::<Vec<_>>()
        };
        assert!(!names(dir.path()).iter().any(|n| n == "rust"));
        std::fs::write(dir.path().join("Cargo.toml"), "rust-version = \"1.89\"").unwrap();
        assert!(names(dir.path()).iter().any(|n| n == "rust"));
    }
}
