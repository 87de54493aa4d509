//! Where results go: JSONL, COCO, YOLO, PNG, overlays.

use crate::frame::{Frame, FrameResult, SourceInfo};
use std::{path::PathBuf, sync::Arc};

/// A writer of results. The pipeline calls, for each source in order, `begin_source`, `write` for each frame in order,
/// `end_source`; and at the end `finish`. A resumed run calls them again for sources that had not ended, with the same
/// frames and results from the first on: a sink then ends with the same bytes as in an unbroken run.
pub trait Sink: Send {
    /// A source begins.
    ///
    /// # Errors
    /// [`SinkError`] if its outputs cannot be made.
    fn begin_source(&mut self, source: &Arc<SourceInfo>) -> Result<(), SinkError>;

    /// One frame and what was found in it. When this returns, what a reader may see of it is complete.
    ///
    /// # Errors
    /// [`SinkError`] if it cannot be written.
    fn write(&mut self, frame: &Frame, result: &FrameResult) -> Result<(), SinkError>;

    /// The source has ended: its outputs get their final names.
    ///
    /// # Errors
    /// [`SinkError`] if they cannot be completed.
    fn end_source(&mut self, source: &Arc<SourceInfo>) -> Result<(), SinkError>;

    /// All sources have ended.
    ///
    /// # Errors
    /// [`SinkError`] if the outputs of the whole run cannot be completed.
    fn finish(&mut self) -> Result<(), SinkError>;
}

/// An output that cannot be written. Displayed as: the path, what was wrong, what would work.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}{}", path.display(), remedy.as_deref().map(|r| format!("; {r}")).unwrap_or_default())]
pub struct SinkError {
    /// The output.
    pub path: PathBuf,
    /// What was wrong.
    pub problem: String,
    /// What would work.
    pub remedy: Option<String>,
}
