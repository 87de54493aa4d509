//! Errors that end a run, and those of one frame of it.

use crate::{run::boxes::OtherSize, session::ModelError, sinks::SinkError, sources::SourceError};
use std::path::PathBuf;

/// A frame that could not be worked on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A model failed on it.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The boxes of the file are of a picture of another size.
    #[error(transparent)]
    OtherSize(#[from] OtherSize),
    /// A prompt outside of the frame.
    #[error(
        "{what} lies outside of the picture, which is {size}; coordinates are pixels from the upper left corner"
    )]
    Outside {
        /// The prompt.
        what: String,
        /// The frame's size.
        size: crate::geometry::Size,
    },
    /// It failed in the run that is resumed, whose record goes on after it.
    #[error(
        "failed before the run was resumed, and the record goes on after it; overwrite the run to have its result"
    )]
    TooLate,
}

/// A run that could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// An output cannot be written.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// An input failed under [`crate::run::OnError::Stop`].
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The file of boxes has none for any frame of the inputs.
    #[error(transparent)]
    Boxes(SinkError),
    /// A session without a detector, and nothing to outline.
    #[error("the session has no detector and the run no prompts; give boxes or points to outline")]
    NoPrompts,
    /// The models cannot be prepared on the device.
    #[error("{}", of_device(device, source))]
    Prepare {
        /// The device.
        device: String,
        /// What was wrong.
        source: Box<ModelError>,
    },
    /// A frame failed, and the run ends with it.
    #[error("{frame}: {source}")]
    Frame {
        /// Path and number of the frame.
        frame: String,
        /// What was wrong.
        source: Box<FrameError>,
    },
    /// The inputs are not those of the run to be resumed.
    #[error("{folder}: source {ordinal} was {earlier}, now it is {now}; give the same inputs as before, or overwrite the run", folder = folder.display())]
    OtherInputs {
        /// The output folder.
        folder: PathBuf,
        /// Place of the source.
        ordinal: usize,
        /// Its name then.
        earlier: String,
        /// Its name now.
        now: String,
    },
    /// The run was cancelled while it waited for another to be done with its folder.
    #[error("{}: the wait for another run was ended", folder.display())]
    Cancelled {
        /// The output folder.
        folder: PathBuf,
    },
    /// A thread of the run could not be started or ended by a fault of this program.
    #[error("{0}")]
    Internal(String),
}

/// What went wrong on a device, which is named once.
fn of_device(device: &str, source: &ModelError) -> String {
    let text = source.to_string();
    if text.starts_with(&format!("{device}:")) {
        text
    } else {
        format!("{device}: {text}")
    }
}
