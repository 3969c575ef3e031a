//! Ctrl-C at any moment: what is half written goes, one sentence, exit code 130.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use sojourn_core::files;
use std::sync::atomic::{AtomicBool, Ordering};

static HELD: AtomicBool = AtomicBool::new(false);

/// From now on SIGINT, SIGTERM and SIGHUP end the program so.
///
/// # Errors
/// When the handlers cannot be installed.
pub fn watch() -> std::io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::Builder::new()
        .name("interrupt".into())
        .spawn(move || {
            for _ in signals.forever() {
                if !HELD.load(Ordering::SeqCst) {
                    files::discard_unfinished();
                    eprintln!("error: {}", crate::cli_error::CliError::Interrupted);
                    std::process::exit(i32::from(crate::cli_error::CliError::Interrupted.code()));
                }
            }
        })?;
    Ok(())
}

/// The command has begun something that it ends itself in good order when it is interrupted.
pub fn hold() {
    HELD.store(true, Ordering::SeqCst);
}

/// It is over: an interruption ends the program at once again.
pub fn release() {
    HELD.store(false, Ordering::SeqCst);
}
