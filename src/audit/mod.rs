//! What the driver did for each frame, held against what the engine announced, and judged: `ultramotion audit`.
//!
//! A first pass of the real pipeline takes latency and memory with no profiler in the program; a second one, with the models loaded
//! anew, runs under CUPTI's activity records. Each record belongs to the work (stage and frame) that its call was made in;
//! copies between host and device must be announced moves of the engine.

mod attribute;
mod captured;
mod classify;
#[cfg_attr(not(feature = "cuda"), path = "cupti_disabled.rs")]
mod cupti;
mod html;
mod plot;
pub mod record;
mod recording;
mod report;
mod run;
mod series;
mod table;
mod verdict;
mod work_log;

pub use crate::session::Mode;
pub use attribute::{Attributed, attribute};
pub use classify::{Chain, Class, Finding, Kind, Row, chains, classify, rows};
pub use html::to_html;
pub use recording::{Recording, RecordingError};
pub use report::{Announced, AuditReport, Graph, ModeReport, Observed, PerFrame, StageReport};
pub use run::{AuditPlan, Capture, Observation, Pass, observe, run};
pub use series::{Latency, Progress, Sample};
pub use table::to_text;
pub use verdict::{Bounds, Holds, Kpi, Measured, Verdict, kpis, verdict};
pub use work_log::{CapturedGraph, LoggedWork, Works};

/// An audit that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The library is not there.
    #[error(
        "CUPTI cannot be loaded: {0}; install CUDA's CUPTI (cuda-cupti, or the wheel nvidia-cuda-cupti) or name it by CUPTI_PATH"
    )]
    NoCupti(String),
    /// The library refused something.
    #[error(
        "CUPTI: {what}: {reason}; another profiler may be attached, or the driver may not allow profiling"
    )]
    Cupti {
        /// What was asked of it.
        what: &'static str,
        /// What it said.
        reason: String,
    },
    /// Records that cannot be read.
    #[error(transparent)]
    Record(#[from] record::ShortRecord),
    /// The pipeline could not run.
    #[error(transparent)]
    Pipeline(Box<crate::run::RunError>),
    /// No steady-state frame was done.
    #[error("no frame was done after {warm_up} of warm-up: {problem}")]
    NoFrames {
        /// Frames of warm-up.
        warm_up: u64,
        /// What was wrong.
        problem: String,
    },
    /// It was told to end.
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

impl From<crate::run::RunError> for AuditError {
    fn from(error: crate::run::RunError) -> Self {
        Self::Pipeline(Box::new(error))
    }
}

#[cfg(test)]
mod attribution_tests;
#[cfg(test)]
mod tests;
