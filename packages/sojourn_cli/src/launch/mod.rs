//! Runs ROS 2 launch XML without ROS: the subset that README.md documents, and nothing beyond it.

pub mod eval;
pub mod output;
pub mod places;
pub mod run;
pub mod subst;
pub mod xml;

use std::path::PathBuf;

/// What can be wrong with a launch.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// A place in a launch file that cannot be run.
    #[error("{}:{line}: {reason}", file.display())]
    At {
        /// The file.
        file: PathBuf,
        /// Line, counted from one.
        line: usize,
        /// One sentence.
        reason: String,
    },
    /// An argument that the file does not declare.
    #[error("{}: has no argument \"{name}\"; it has {known}", file.display())]
    Argument {
        /// The file.
        file: PathBuf,
        /// Name given.
        name: String,
        /// Names declared.
        known: String,
    },
    /// A file could not be read.
    #[error(transparent)]
    Core(#[from] sojourn_core::CoreError),
    /// An executable is not built or not installed.
    #[error(
        "{at}: the executable \"{executable}\" of package \"{package}\" is not there; looked in {looked_in}; build it with `cargo xtask build`"
    )]
    NotFound {
        /// Place in the launch file.
        at: String,
        /// Package.
        package: String,
        /// Executable.
        executable: String,
        /// Folders looked in.
        looked_in: String,
    },
    /// A process could not be started.
    #[error("{label}: starting {program} failed: {cause}")]
    Start {
        /// Label of the process.
        label: String,
        /// Program.
        program: String,
        /// The operating system's reason.
        cause: std::io::Error,
    },
}
