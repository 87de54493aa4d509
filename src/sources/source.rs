//! The trait of all sources.

use super::{
    decode::Decoding,
    issue::{SourceError, SourceWarning},
};
use crate::frame::{Frame, SourceInfo};
use std::sync::Arc;

/// A decoded stream of frames. Frames come in order, each once.
pub trait Source: Send {
    /// Path, name, kind and stated counts of the source.
    fn info(&self) -> &Arc<SourceInfo>;

    /// Decodes the next frame; `None` at the end. After an error the caller may call again: a source that cannot continue
    /// then returns `None`, one that can (a sequence with one bad file) returns the frame after.
    ///
    /// # Errors
    /// [`SourceError`] for a frame that cannot be read or decoded.
    fn next_frame(&mut self) -> Result<Option<Frame>, SourceError>;

    /// Skips the next frame, decoding as little as possible; `false` at the end. Frames after it keep their numbers and
    /// times.
    ///
    /// # Errors
    /// [`SourceError`] where the source notices a bad frame only by decoding it.
    fn skip_frame(&mut self) -> Result<bool, SourceError> {
        self.next_frame().map(|frame| frame.is_some())
    }

    /// The device that decodes a video; it may change between frames. `None` for other sources.
    fn decoding(&self) -> Option<&Decoding> {
        None
    }

    /// Removes and returns the warnings since the last call: after opening, those about the whole source; later, those
    /// about the frames read since. A source may repeat a warning for every frame; a run reports it once.
    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        Vec::new()
    }
}

impl<S: Source + ?Sized> Source for Box<S> {
    fn info(&self) -> &Arc<SourceInfo> {
        (**self).info()
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, SourceError> {
        (**self).next_frame()
    }

    fn skip_frame(&mut self) -> Result<bool, SourceError> {
        (**self).skip_frame()
    }

    fn decoding(&self) -> Option<&Decoding> {
        (**self).decoding()
    }

    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        (**self).take_warnings()
    }
}
