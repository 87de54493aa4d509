//! Where frames come from: images, folders, videos, DICOM.

pub mod dicom;

use crate::frame::{Frame, SourceInfo};
use std::{path::PathBuf, sync::Arc};

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
}

/// An input that cannot be read. Displayed as: what the user gave, what was wrong, what would work.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}{}: {problem}{}", path.display(), frame.map(|n| format!(", frame {n}")).unwrap_or_default(), remedy.as_deref().map(|r| format!("; {r}")).unwrap_or_default())]
pub struct SourceError {
    /// The file or folder.
    pub path: PathBuf,
    /// The frame, where one frame is at fault.
    pub frame: Option<u64>,
    /// What was wrong.
    pub problem: String,
    /// What would work.
    pub remedy: Option<String>,
}
