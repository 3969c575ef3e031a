//! The command `sojourn`.

use clap::Parser;
use sojourn_cli::args::{Cli, Command};
use sojourn_cli::cli_error::CliError;
use sojourn_cli::commands;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        Command::Launch(args) => commands::launch::launch(args),
        Command::Report(args) => commands::report(args),
        Command::Doctor(args) => commands::doctor(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !matches!(error, CliError::Interrupted) {
                eprintln!("error: {error}");
            }
            ExitCode::from(error.code())
        }
    }
}
