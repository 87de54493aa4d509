//! Parts of sources whose frames stand alone.

use super::{
    divided::Divided,
    part::{Part, PartSource, PartStep},
};
use crate::{
    frame::SourceInfo,
    sources::{Decoding, FrameSelection, Source, SourceError, SourceWarning},
};
use std::sync::Arc;

/// A source that goes on at any of its frames, and whose frames come one a call, each with its error if it has one.
pub(in crate::sources) trait Positioned: Source {
    /// Makes the frame with this number the next.
    fn go_to(&mut self, index: u64);

    /// Whether it has ended with an error before its last frame.
    fn has_ended_early(&self) -> bool {
        false
    }
}

/// The selected frames of a part of such a source.
pub(super) struct PositionedPart<S> {
    source: S,
    divided: Divided,
    selection: FrameSelection,
    part: Part,
    next: u64,
    /// The error of the frame before, which is not selected: it is one of the source if that ends with it.
    held: Option<SourceError>,
    irregular: bool,
}

impl<S: Positioned> PositionedPart<S> {
    /// The part with this number.
    ///
    /// # Errors
    /// [`SourceError`] if there is no such part.
    pub(super) fn new(
        source: S,
        divided: &Divided,
        part: usize,
        selection: &FrameSelection,
    ) -> Result<Self, SourceError> {
        let mut opened = Self {
            source,
            divided: divided.clone(),
            selection: selection.clone(),
            part: Part {
                first: 0,
                end: None,
            },
            next: 0,
            held: None,
            irregular: false,
        };
        opened.restart(part)?;
        Ok(opened)
    }

    /// The next frame, if it is selected; else it is passed over. None at the end.
    fn advance(&mut self, selected: bool) -> Result<Option<PartStep>, SourceError> {
        if !selected {
            match self.source.skip_frame() {
                Ok(true) => self.held = None,
                Ok(false) => return self.held.take().map_or(Ok(Some(PartStep::End)), Err),
                Err(error) => self.held = Some(error),
            }
            return Ok(None);
        }
        self.held = None;
        let frame = self.source.next_frame()?;
        Ok(Some(frame.map_or(PartStep::End, PartStep::Frame)))
    }
}

impl<S: Positioned> PartSource for PositionedPart<S> {
    fn info(&self) -> &Arc<SourceInfo> {
        self.source.info()
    }

    fn next_frame(&mut self) -> Result<PartStep, SourceError> {
        loop {
            if self.irregular {
                return Ok(PartStep::Irregular);
            }
            if self.part.is_before(self.next) {
                return Ok(PartStep::End);
            }
            let step = self.advance(self.selection.contains(self.next));
            if self.source.has_ended_early() {
                self.irregular = true;
                continue;
            }
            if !matches!(step, Ok(Some(PartStep::End))) {
                self.next += 1;
            }
            if let Some(step) = step.transpose() {
                return step;
            }
        }
    }

    fn restart(&mut self, part: usize) -> Result<(), SourceError> {
        self.part = self.divided.part(part, &self.source.info().path)?;
        self.next = self.part.first;
        self.held = None;
        self.irregular = false;
        self.source.go_to(self.part.first);
        Ok(())
    }

    fn decoding(&self) -> Option<&Decoding> {
        self.source.decoding()
    }

    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        self.source.take_warnings()
    }
}
