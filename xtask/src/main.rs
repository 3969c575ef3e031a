//! The project's own commands: `cargo xtask setup|build|install|demo|test|ci|docs`.

mod build;
mod ci;
mod demo;
mod docs;
mod install;
mod setup;
mod test;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "The project's own commands. Each one first sets up what is missing."
)]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Installs what is missing: Debian packages and, where there is none, a ROS 2 prefix in .ros/.
    Setup {
        /// Only tells what is missing.
        #[arg(long)]
        check: bool,
    },
    /// Builds the command sojourn and all nodes.
    Build,
    /// Builds, and makes an overlay for `ros2 launch sojourn_bringup rover.launch.xml` and `ros2 run`.
    Install {
        /// Where to; made anew. It names the ROS prefix by its absolute path, so it cannot be moved.
        #[arg(long, value_name = "DIR", default_value = "install")]
        prefix: std::path::PathBuf,
    },
    /// Plans, verifies, approves and drives 200 m and more in simulation, and writes a report.
    #[command(disable_help_flag = true)]
    Demo {
        /// Options of `sojourn demo`; `cargo xtask demo --help` lists them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Formatting, lints, generated documents, and all tests but the slow ones.
    Test {
        /// The slow ones too: 200 m and more on every site.
        #[arg(long)]
        all: bool,
    },
    /// What test does, and licences, bans, sources and spelling where the tools for it are installed.
    Ci,
    /// Writes INTERFACES.md and plan.schema.json from the code.
    Docs {
        /// Only compares.
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Task::Setup { check } => setup::run(check),
        Task::Build => build::run(),
        Task::Install { prefix } => install::run(&prefix),
        Task::Demo { args } => demo::run(&args),
        Task::Test { all } => test::run(all),
        Task::Ci => ci::run(),
        Task::Docs { check } => docs::run(check),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::FAILURE
        }
    }
}
