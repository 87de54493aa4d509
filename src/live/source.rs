//! A live stream as a source of a run: every frame of it, until its time is over.

use crate::{
    frame::{Frame, SourceInfo},
    live::input::{LiveInput, Received},
    progress::Cancel,
    sources::{Source, SourceError, SourceWarning},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Every frame of a live stream, for a [`crate::Run`], which then has an end: that of the stream, the request, or a duration. What the
/// stream has besides frames is left out; that it broke or was reconnected is a warning.
///
/// Nothing is dropped here. A run that is slower than the stream lets it wait: what the sender does then is the protocol's (TCP waits;
/// UDP loses data once 50 MB wait).
pub struct LiveSource {
    input: Box<dyn LiveInput>,
    cancel: Cancel,
    duration: Option<Duration>,
    /// Ends the waiting for frames: `cancel` and, from the first frame on, the end of the duration.
    until: Cancel,
    has_begun: bool,
    was_connected: bool,
    warnings: Vec<SourceWarning>,
}

impl std::fmt::Debug for LiveSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LiveSource({})", self.input.info().path.display())
    }
}

impl LiveSource {
    /// The frames of `input` until it ends, `cancel` is requested, or `duration` after the arrival of the first frame.
    pub fn new(
        input: impl LiveInput + 'static,
        cancel: &Cancel,
        duration: Option<Duration>,
    ) -> Self {
        Self {
            input: Box::new(input),
            cancel: cancel.clone(),
            duration,
            until: cancel.clone(),
            has_begun: false,
            was_connected: false,
            warnings: Vec::new(),
        }
    }

    fn warn(&mut self, problem: String) {
        let path = &self.input.info().path;
        self.warnings.push(SourceWarning::new(path, problem));
    }

    /// The time begins with the first frame.
    fn begin(&mut self, arrival: Instant) {
        if std::mem::replace(&mut self.has_begun, true) {
            return;
        }
        let end = self.duration.and_then(|time| arrival.checked_add(time));
        if let Some(end) = end {
            self.until = self.cancel.until(end);
        }
    }
}

impl Source for LiveSource {
    fn info(&self) -> &Arc<SourceInfo> {
        self.input.info()
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, SourceError> {
        while !self.until.is_requested() {
            let next = self.input.next(&self.until);
            self.warnings.extend(self.input.take_warnings());
            match next? {
                None => return Ok(None),
                Some(Received::Frame(received)) => {
                    self.begin(received.arrival.instant);
                    return Ok(Some(received.frame));
                }
                Some(Received::Message(_)) => {}
                Some(Received::Connected) => {
                    if std::mem::replace(&mut self.was_connected, true) {
                        self.warn("was reconnected; frames in between are missing".to_owned());
                    }
                }
                Some(Received::Disconnected { reason }) => self.warn(reason),
            }
        }
        Ok(None)
    }

    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        std::mem::take(&mut self.warnings)
    }
}
