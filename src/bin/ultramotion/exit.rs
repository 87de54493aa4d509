//! Exit codes.

use std::process::ExitCode;
use ultramotion::run::{RunError, Summary};

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything was done.
    Done = 0,
    /// A check failed (`models verify`, `doctor`, `audit`, `eval`).
    CheckFailed = 1,
    /// Some inputs failed, or the run could not go on.
    SomeFailed = 2,
    /// The command line makes no sense.
    Usage = 64,
    /// Ctrl-C; the run can be resumed.
    Interrupted = 130,
}

impl Exit {
    /// The exit code of a run that ended.
    pub(crate) fn of(summary: &Summary) -> Self {
        match (summary.interrupted, summary.errors.count) {
            (true, _) => Self::Interrupted,
            (false, 0) => Self::Done,
            (false, _) => Self::SomeFailed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// A command line that makes no sense, found after clap was content.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub String);

/// The exit code of an error that ended the program.
pub(crate) fn of_error(error: &anyhow::Error) -> Exit {
    if error.is::<UsageError>() {
        Exit::Usage
    } else if matches!(error.downcast_ref(), Some(RunError::Cancelled { .. })) {
        Exit::Interrupted
    } else {
        Exit::SomeFailed
    }
}
