//! The command `sojourn`.

use clap::{CommandFactory, FromArgMatches};
use sojourn_cli::args::{BundleCommand, Cli, Command, KeyCommand};
use sojourn_cli::commands::camera::CameraCommand;
use sojourn_cli::{cli_error, commands};
use std::process::ExitCode;

/// Help goes out as it is; a wrong command line is one sentence.
fn usage(e: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind::{
        DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion,
    };
    if matches!(
        e.kind(),
        DisplayHelp | DisplayVersion | DisplayHelpOnMissingArgumentOrSubcommand
    ) {
        let _ = e.print();
        return ExitCode::from(if e.use_stderr() { 2 } else { 0 });
    }
    eprintln!("{}", cli_error::one_sentence(&e.to_string()));
    ExitCode::from(2)
}

/// "-1" behind an option is a value of it, which may be wrong, and not an option that nobody knows.
fn with_negative_numbers(command: clap::Command) -> clap::Command {
    command
        .mut_args(|arg| {
            let takes_value = arg.get_action().takes_values();
            arg.allow_negative_numbers(takes_value)
        })
        .mut_subcommands(with_negative_numbers)
}

fn parsed() -> Result<Cli, clap::Error> {
    let matches = with_negative_numbers(Cli::command()).try_get_matches()?;
    Cli::from_arg_matches(&matches)
}

fn main() -> ExitCode {
    let cli = match parsed() {
        Ok(cli) => cli,
        Err(e) => return usage(&e),
    };
    // These end what they have started in good order.
    let own = matches!(
        cli.command,
        Command::Demo(_) | Command::Launch(_) | Command::Sweep(_)
    );
    if !own && let Err(e) = sojourn_cli::interrupt::watch() {
        eprintln!("error: signals cannot be caught: {e}");
        return ExitCode::FAILURE;
    }
    let result = match &cli.command {
        Command::Demo(args) => sojourn_cli::demo::demo(args),
        Command::Site(args) => commands::site::site(args),
        Command::World(command) => commands::world::world(command),
        Command::Dataset(command) => commands::dataset::dataset(command),
        Command::Plan(args) => commands::plan::plan(args),
        Command::Verify(args) => commands::verify::verify(args),
        Command::Approve(args) => commands::gate::approve(args),
        Command::Key(KeyCommand::New(args)) => commands::gate::key_new(args),
        Command::Bundle(BundleCommand::Check(args)) => commands::gate::bundle_check(args),
        Command::Launch(args) => commands::launch::launch(args),
        Command::Localize(args) => commands::localize::localize(args),
        Command::Report(args) => commands::report(args),
        Command::Bench(command) => commands::bench::bench(command),
        Command::Camera(CameraCommand::Render(args)) => commands::camera::render::render(args),
        Command::Camera(CameraCommand::Linearize(args)) => {
            commands::camera::linearize::linearize(args)
        }
        Command::Camera(CameraCommand::Check(args)) => commands::camera::check::check(args),
        Command::Sweep(args) => commands::sweep::sweep(args),
        Command::Eval(command) => commands::eval::eval(command),
        Command::Downlink(args) => commands::downlink::downlink(args),
        Command::Images(command) => commands::images::images(command),
        Command::Train(command) => commands::train::train(command),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What clap says of options that clash or of a default that is no value, it says here and not to a user.
    #[test]
    fn every_command_and_option_is_well_made() {
        with_negative_numbers(Cli::command()).debug_assert();
    }
}
