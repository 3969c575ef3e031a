//! `sojourn launch`

use super::say;
use crate::args::LaunchArgs;
use crate::cli_error::{CliError, CliResult};
use crate::launch::{
    eval::{Launch, What, evaluate},
    places::Places,
    run::{Interrupts, run},
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Runs or shows a launch file.
///
/// # Errors
/// [`CliError`] with file and line of what cannot be run.
pub fn launch(args: &LaunchArgs) -> CliResult {
    let places = Places::find();
    let file = find(&args.file, &places);
    let given = given(&args.arguments)?;
    let launch = evaluate(&file, &given, &places)?;
    if args.show {
        show(&launch);
        return Ok(());
    }
    let interrupts = Interrupts::catch()?;
    match run(&launch, &places, &interrupts)? {
        0 => Ok(()),
        code => Err(CliError::Failed(format!(
            "{}: a process ended with code {code}",
            file.display()
        ))),
    }
}

fn find(file: &Path, places: &Places) -> PathBuf {
    if !file.exists()
        && let Ok(shared) = places.shared(&format!("launch/{}", file.display()))
    {
        return shared;
    }
    file.to_path_buf()
}

/// Arguments as a command line has them.
///
/// # Errors
/// [`CliError::Usage`] that names the one without `:=`.
pub fn given(arguments: &[String]) -> Result<BTreeMap<String, String>, CliError> {
    arguments
        .iter()
        .map(|a| {
            a.split_once(":=")
                .map(|(n, v)| (n.to_string(), v.to_string()))
                .ok_or_else(|| {
                    CliError::Usage(format!(
                        "the argument \"{a}\" is not of the form name:=value"
                    ))
                })
        })
        .collect()
}

fn show(launch: &Launch) {
    for a in &launch.arguments {
        say(&format!(
            "argument {}{}  {}",
            a.name,
            a.default
                .as_ref()
                .map_or_else(|| " (required)".to_string(), |d| format!(":={d}")),
            a.description
        ));
    }
    for p in &launch.processes {
        let what = match &p.what {
            What::Node {
                package,
                executable,
            } => format!("{package}/{executable}"),
            What::Command(words) => words.join(" "),
        };
        let env: String = p.env.iter().map(|(k, v)| format!("{k}={v} ")).collect();
        say(&format!(
            "{}: {env}{what} {}",
            p.label,
            p.arguments.join(" ")
        ));
    }
}
