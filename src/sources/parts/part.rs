//! Parts, and the trait of what decodes them.

use crate::{
    frame::{Frame, SourceInfo},
    sources::{Decoding, SourceError, SourceWarning},
};
use std::sync::Arc;

/// Consecutive frames of a source, by their numbers in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    /// The first.
    pub(crate) first: u64,
    /// One past the last; none is up to the end of the source, whatever comes.
    pub(crate) end: Option<u64>,
}

impl Part {
    /// Whether a frame with this number comes after the part.
    pub(crate) fn is_before(&self, index: u64) -> bool {
        self.end.is_some_and(|end| index >= end)
    }
}

/// What decodes the parts of a source, one after the other in any order.
pub(crate) trait PartSource: Send {
    /// The facts of the source opened whole.
    fn info(&self) -> &Arc<SourceInfo>;

    /// Decodes the next frame of the part. Its number, time, pixels and physical facts are those that it has in the whole
    /// source. After [`PartStep::End`] and [`PartStep::Irregular`] the same comes again.
    ///
    /// # Errors
    /// [`SourceError`] for a frame that the whole source has an error for; the frame after it follows.
    fn next_frame(&mut self) -> Result<PartStep, SourceError>;

    /// Goes on with another part of the source, with what is expensive to make: the open file, the decoder and its device
    /// memory.
    ///
    /// # Errors
    /// [`SourceError`] if the source has no such part.
    fn restart(&mut self, part: usize) -> Result<(), SourceError>;

    /// The device that decodes a video; `None` for other sources.
    fn decoding(&self) -> Option<&Decoding>;

    /// Removes and returns the warnings since the last call, as [`crate::sources::Source::take_warnings`] does. Those about
    /// the whole source come from every decoder that is opened for it.
    fn take_warnings(&mut self) -> Vec<SourceWarning>;
}

/// What comes next in a part.
pub(crate) enum PartStep {
    /// A frame.
    Frame(Frame),
    /// Its frames have all come.
    End,
    /// Damage was met, a frame is missing, the device refused the stream, or the frames are not those of the index: the whole
    /// source must be opened, and goes on with the frame that was due.
    Irregular,
}
