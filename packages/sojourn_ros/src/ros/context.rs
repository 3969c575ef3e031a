//! Starting a process as a ROS node.

use crate::KitError;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::Command;

/// The DDS profile of the suite. Fast DDS' own shared-memory segment of 512 KB loses images, and its discovery may take
/// seconds.
pub const DDS_PROFILE: &str = include_str!("../../config/sojourn_dds.xml");
const PROFILE_VARIABLE: &str = "FASTRTPS_DEFAULT_PROFILES_FILE";

/// Makes sure that Fast DDS will load a profile: when the environment names none, the process starts itself anew with the
/// suite's own. Call it first in `main`; it returns only when there is nothing to do or nothing can be done.
pub fn ensure_dds_profile() {
    if std::env::var_os(PROFILE_VARIABLE).is_some() {
        return;
    }
    let Some((exe, profile)) = std::env::current_exe().ok().zip(write_profile()) else {
        return;
    };
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| OsString::from("node"));
    // Returns only if it fails; the node then runs without the profile and says so.
    let _error = Command::new(exe)
        .arg0(name)
        .args(arguments)
        .env(PROFILE_VARIABLE, profile)
        .exec();
}

fn write_profile() -> Option<PathBuf> {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in DDS_PROFILE.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let path = std::env::temp_dir().join(format!("sojourn_dds_{hash:016x}.xml"));
    if std::fs::read_to_string(&path).is_ok_and(|text| text == DDS_PROFILE) {
        return Some(path);
    }
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    std::fs::write(&temporary, DDS_PROFILE).ok()?;
    std::fs::rename(&temporary, &path).ok()?;
    Some(path)
}

/// A sentence when Fast DDS has no profile to load.
#[must_use]
pub fn profile_warning() -> Option<String> {
    let Some(path) = std::env::var_os(PROFILE_VARIABLE) else {
        return Some(format!(
            "{PROFILE_VARIABLE} is not set: images may be lost and discovery may take seconds"
        ));
    };
    let path = PathBuf::from(path);
    match std::fs::read_to_string(&path) {
        Ok(text) if text.contains("segment_size") => None,
        Ok(_) => Some(format!(
            "{}: sets no segment_size, images above 512 KB may be lost",
            path.display()
        )),
        Err(e) => Some(format!(
            "{}: {e}; images may be lost and discovery may take seconds",
            path.display()
        )),
    }
}

/// The one ROS context of this process. r2r panics on bad arguments; that becomes an error here.
///
/// # Errors
/// [`KitError::Ros`] with what rcl said.
pub fn create_context() -> Result<r2r::Context, KitError> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let outcome = catch_unwind(AssertUnwindSafe(r2r::Context::create));
    std::panic::set_hook(hook);
    match outcome {
        Ok(Ok(context)) => Ok(context),
        Ok(Err(e)) => Err(KitError::ros("start", "ROS", &e)),
        Err(panic) => Err(KitError::ros("start", "ROS", &panic_text(panic.as_ref()))),
    }
}

/// The text of a panic.
#[must_use]
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_string()))
        .unwrap_or_else(|| "panic".to_string());
    text.split(", at ")
        .next()
        .unwrap_or_default()
        .trim()
        .to_string()
}
