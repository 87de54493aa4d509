//! What several tests use: runs of the program, files of models, seeded numbers, a hub.

pub(crate) mod assignment_cases;
#[cfg(feature = "cli")]
pub(crate) mod dfine_files;
pub(crate) mod hub_server;
pub(crate) mod match_queries;
pub(crate) mod seeded;
#[cfg(feature = "cli")]
pub(crate) mod torch_file;

#[cfg(feature = "cli")]
use std::process::{Command, Output};

/// A run of the program, without arguments so far.
#[cfg(feature = "cli")]
pub(crate) fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_ultramotion"))
}

#[cfg(feature = "cli")]
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[cfg(feature = "cli")]
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
