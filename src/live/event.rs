//! The events of a live loop.

use crate::{igtl::Message, sources::SourceWarning};
use std::sync::Arc;

/// Something that happened to a live loop, beside frames.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum LiveEvent {
    /// The stream is there, for the first time or again.
    Connected {
        /// Its name.
        input: String,
    },
    /// The stream broke or is silent; it is reconnected.
    Disconnected {
        /// Its name.
        input: String,
        /// Why.
        reason: String,
    },
    /// A client of an output came.
    ClientConnected {
        /// Output and address.
        client: String,
    },
    /// A client of an output left, or was cut off.
    ClientDisconnected {
        /// Output and address.
        client: String,
        /// Why.
        reason: String,
    },
    /// Frames were dropped: how many since the last such event.
    Dropped {
        /// Number of frames.
        frames: u64,
    },
    /// A frame failed.
    FrameFailed {
        /// Number of the frame in its stream, from 0, where it is known.
        frame: Option<u64>,
        /// What was wrong.
        problem: String,
    },
    /// Something about the input that may not be as the user meant it.
    Warning(SourceWarning),
    /// Something went wrong in an output; the loop goes on.
    OutputProblem {
        /// What was wrong, as a line for the user.
        problem: String,
    },
    /// A message of the input that is passed through to outputs of OpenIGTLink.
    Message(Arc<Message>),
}
