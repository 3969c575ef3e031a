//! The command `sojourn`.

use clap::Parser;
use sojourn_cli::args::{BundleCommand, Cli, Command, KeyCommand};
use sojourn_cli::commands;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        Command::Demo(args) => sojourn_cli::demo::demo(args),
        Command::Site(args) => commands::plan::site(args),
        Command::World(args) => commands::plan::world(args),
        Command::Plan(args) => commands::plan::plan(args),
        Command::Verify(args) => commands::gate::verify(args),
        Command::Approve(args) => commands::gate::approve(args),
        Command::Key(KeyCommand::New(args)) => commands::gate::key_new(args),
        Command::Bundle(BundleCommand::Check(args)) => commands::gate::bundle_check(args),
        Command::Launch(args) => commands::launch::launch(args),
        Command::Report(args) => commands::report(args),
        Command::Documents(args) => commands::documents(args),
        Command::Doctor(args) => commands::doctor(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.code())
        }
    }
}
