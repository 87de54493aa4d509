//! The trait of all sources.

use super::{
    decode::Decoding,
    issue::{SourceError, SourceWarning},
};
use crate::frame::{Frame, SourceInfo};
use std::sync::Arc;

/// A decoded stream of frames. Frames come in order, each once.
pub trait Source: Send {
    /// What is known of the source.
    fn info(&self) -> &Arc<SourceInfo>;

    /// The next frame, or none at the end. After an error the caller may call again: a source that cannot go on then
    /// says that it has ended; one that can (a sequence with one bad file) goes on with the frame after.
    ///
    /// # Errors
    /// [`SourceError`] for a frame that cannot be read or decoded.
    fn next_frame(&mut self) -> Result<Option<Frame>, SourceError>;

    /// Passes over the next frame with as little work as the source can: false at the end. Otherwise as
    /// [`Source::next_frame`], whose numbers and times the frames after keep.
    ///
    /// # Errors
    /// [`SourceError`] where the source cannot tell a bad frame from the next without decoding it.
    fn skip_frame(&mut self) -> Result<bool, SourceError> {
        self.next_frame().map(|frame| frame.is_some())
    }

    /// Where it is decoded, where it is video; it may change as frames come.
    fn decoding(&self) -> Option<&Decoding> {
        None
    }

    /// Warnings since the last call: after opening, those about the whole source; later, those about the frames that
    /// came since. The same warning may come for every frame; a run reports it once.
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
