//! The trait of all outputs.

use crate::{
    frame::{Detections, Frame, SourceInfo},
    sinks::error::SinkError,
};
use std::sync::Arc;

/// A writer of results. A run calls, for each source in order, `begin_source`, `write` for each frame in order,
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
    fn write(&mut self, frame: &Frame, found: &Detections) -> Result<(), SinkError>;

    /// The source has ended: its outputs get their final names.
    ///
    /// # Errors
    /// [`SinkError`] if they cannot be completed.
    fn end_source(&mut self, source: &Arc<SourceInfo>) -> Result<(), SinkError>;

    /// Whether it reads the pixels of frames: where no sink does, frames that were decoded on a GPU are not downloaded.
    fn reads_pixels(&self) -> bool {
        true
    }

    /// All sources have ended.
    ///
    /// # Errors
    /// [`SinkError`] if the outputs of the whole run cannot be completed.
    fn finish(&mut self) -> Result<(), SinkError>;
}
