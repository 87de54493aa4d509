//! What arrives, and from where.

use crate::{
    frame::{Frame, SourceInfo},
    igtl::{ImageGeometry, Message},
    progress::Cancel,
    sources::{SourceError, SourceWarning},
};
use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

/// A live stream of frames: a camera, a scanner, a network stream, or a file at its own pace.
pub trait LiveInput: Send {
    /// Name, kind and stated facts.
    fn info(&self) -> &Arc<SourceInfo>;

    /// Waits for what arrives next; `None` at the end of the stream, or where `cancel` was requested. A stream that breaks is
    /// reconnected by the input itself, which says so by `take_warnings`.
    ///
    /// # Errors
    /// [`SourceError`] for a frame that cannot be decoded (the caller may go on), and for a stream that cannot be had at all
    /// (it then returns `None`).
    fn next(&mut self, cancel: &Cancel) -> Result<Option<Received>, SourceError>;

    /// Warnings since the last call: the stream broke, was reconnected, stays silent.
    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        Vec::new()
    }
}

/// What a live stream brings.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Received {
    /// A picture.
    Frame(Box<ReceivedFrame>),
    /// A message of OpenIGTLink that is passed through to the outputs: a transform, a status.
    Message(Arc<Message>),
    /// The stream is there: after opening, and each time that it was reconnected.
    Connected,
    /// The stream broke or is silent; the input reconnects it at the next calls.
    Disconnected {
        /// Why.
        reason: String,
    },
}

/// A frame that arrived.
#[derive(Debug, Clone)]
pub struct ReceivedFrame {
    /// The frame; its `timestamp` is the stream's own.
    pub frame: Frame,
    /// When its last byte was there.
    pub arrival: Arrival,
    /// When it was decoded.
    pub decoded: Instant,
    /// Where it lies in space, where the stream states it.
    pub geometry: Option<ImageGeometry>,
}

/// A moment, on the clock that only goes forward and on that of the day.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// For differences.
    pub instant: Instant,
    /// For stamps.
    pub time: SystemTime,
}

impl Arrival {
    /// Now.
    pub fn now() -> Self {
        Self {
            instant: Instant::now(),
            time: SystemTime::now(),
        }
    }
}

impl<I: LiveInput + ?Sized> LiveInput for Box<I> {
    fn info(&self) -> &Arc<SourceInfo> {
        (**self).info()
    }

    fn next(&mut self, cancel: &Cancel) -> Result<Option<Received>, SourceError> {
        (**self).next(cancel)
    }

    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        (**self).take_warnings()
    }
}
