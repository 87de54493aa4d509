//! Errors of an audit.

use super::record::ShortRecord;
use crate::run::RunError;

/// An audit that could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// CUPTI's library is not there.
    #[error(
        "CUPTI cannot be loaded: {0}; install CUDA's CUPTI (cuda-cupti, or the wheel nvidia-cuda-cupti) or name it by CUPTI_PATH"
    )]
    NoCupti(String),
    /// CUPTI refused an operation.
    #[error(
        "CUPTI: {what}: {reason}; another profiler may be attached, or the driver may not allow profiling"
    )]
    Cupti {
        /// The operation.
        what: &'static str,
        /// CUPTI's message.
        reason: String,
    },
    /// Records that cannot be read.
    #[error(transparent)]
    Record(#[from] ShortRecord),
    /// A pass could not run.
    #[error(transparent)]
    Run(Box<RunError>),
    /// No steady-state frame was done.
    #[error("no frame was done after {warm_up} of warm-up: {problem}")]
    NoFrames {
        /// Frames of warm-up.
        warm_up: u64,
        /// What was wrong.
        problem: String,
    },
    /// It was cancelled.
    #[error("interrupted")]
    Interrupted,
    /// A folder for the pipeline's outputs cannot be made.
    #[error(
        "{folder}: a folder for the pipeline's outputs cannot be made: {problem}; set TMPDIR to another place"
    )]
    Folder {
        /// Where.
        folder: String,
        /// Why.
        problem: String,
    },
}

impl From<RunError> for AuditError {
    fn from(error: RunError) -> Self {
        Self::Run(Box::new(error))
    }
}
