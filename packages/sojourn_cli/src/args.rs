//! The command line.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// `sojourn`
#[derive(Debug, Parser)]
#[command(
    name = "sojourn",
    version,
    about = "Plans, verifies, approves and drives long rover traverses.",
    long_about = "Plans, verifies, approves and drives long rover traverses.\n\n\
        The way of a drive: site → plan → verify → approve → drive. `demo` goes all of it in simulation.\n\n\
        Exit codes: 0 well, 1 error, 2 wrong command line, 3 rejected by verification, 130 interrupted.",
    after_help = "Examples:\n  \
        sojourn demo --seed 7\n  \
        sojourn plan --dtm dtm.tif --start 120,80 --goal 300,160 --out plan.json --xml plan.xml\n  \
        sojourn verify --dtm dtm.tif --plan plan.json --out report.json\n  \
        sojourn key new --out key.json\n  \
        sojourn approve --plan plan.json --report report.json --key key.json --out bundle/"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs a ROS 2 launch file (a documented subset of launch XML) without ROS.
    #[command(
        after_help = "Examples:\n  sojourn launch launch/demo.launch.xml --show\n  sojourn launch launch/rover.launch.xml rover:=testbed"
    )]
    Launch(LaunchArgs),
    /// Draws report.html and map.png of a run folder again.
    Report(ReportArgs),
    /// Explains what is missing on this machine.
    Doctor(DoctorArgs),
}

/// `sojourn launch`
#[derive(Debug, Args)]
pub struct LaunchArgs {
    /// The launch file; a bare name is looked for in launch/.
    pub file: PathBuf,
    /// Arguments of the launch file, name:=value.
    pub arguments: Vec<String>,
    /// Shows arguments and commands, starts nothing.
    #[arg(long)]
    pub show: bool,
}

/// `sojourn report`
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The run folder.
    pub dir: PathBuf,
}

/// `sojourn doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Prints JSON: {ok, checks: [{name, ok, found, expected, mend}]}.
    #[arg(long)]
    pub json: bool,
}
