//! One function for each command.

pub mod bench;
pub mod bench_grid;
pub mod camera;
pub mod check;
pub mod dataset;
pub mod downlink;
pub mod eval;
pub mod eval_clearance;
pub mod eval_corpus;
pub mod eval_drives;
pub mod eval_localization;
pub mod eval_mapfix;
pub mod eval_perception;
pub mod eval_planner;
pub mod eval_science;
pub mod eval_slip;
mod eval_slip_forecast;
pub mod eval_terrain;
pub mod eval_twin;
pub mod export_sdf;
pub mod gate;
pub mod images;
pub mod launch;
pub mod localize;
pub mod map_figures;
pub mod mapfix;
pub mod odometry_trials;
pub mod orbital;
pub mod pictures;
pub mod plan;
pub mod rehearse;
pub mod site;
pub mod sweep;
pub mod train;
pub mod verify;
pub mod world;

use crate::args::{DoctorArgs, DocumentsArgs, ReportArgs};
use crate::cli_error::{CliError, CliResult};
use crate::launch::places::Places;

/// Prints to standard output; a reader that has gone is not an error of ours.
pub fn say(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Prints a document as JSON.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn say_json(document: &impl serde::Serialize) -> CliResult {
    say(&serde_json::to_string_pretty(document)?);
    Ok(())
}

/// `sojourn doctor`
///
/// # Errors
/// [`CliError::Failed`] when something is missing.
pub fn doctor(args: &DoctorArgs) -> CliResult {
    let examination = crate::doctor::examine(&Places::find());
    if args.json {
        say_json(&examination)?;
    } else {
        say(crate::doctor::text(&examination).trim_end());
    }
    if examination.ok {
        Ok(())
    } else {
        let missing: Vec<_> = examination
            .checks
            .iter()
            .filter(|c| !c.ok)
            .map(|c| c.name.as_str())
            .collect();
        Err(CliError::Failed(format!("missing: {}", missing.join(", "))))
    }
}

/// `sojourn report`
///
/// # Errors
/// [`CliError::Failed`] that names the file.
pub fn report(args: &ReportArgs) -> CliResult {
    crate::report::redraw(&args.dir)?;
    say(&args.dir.join("report.html").display().to_string());
    Ok(())
}

/// `sojourn documents`
///
/// # Errors
/// [`CliError::Failed`] when one is out of date (`--check`) or cannot be written.
pub fn documents(args: &DocumentsArgs) -> CliResult {
    for (name, text) in [
        ("INTERFACES.md", sojourn_core::topics::interfaces_markdown()),
        ("plan.schema.json", sojourn_core::plan::schema_json()?),
    ] {
        let path = args.dir.join(name);
        let same = std::fs::read_to_string(&path).is_ok_and(|old| old == text);
        if args.check && !same {
            return Err(CliError::Failed(format!(
                "{}: is not what the code says",
                path.display()
            )));
        }
        if !same {
            sojourn_core::files::write_atomic(&path, text.as_bytes())?;
            say(&path.display().to_string());
        }
    }
    Ok(())
}
