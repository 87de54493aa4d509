//! Errors of models: loading them and running them on a frame.

use crate::{
    engine::{EngineError, OutOfMemory},
    models::{dfine, mobile_sam},
    session::{device_frame::DeviceFrameError, prompt::PromptError},
    sources::{ImageError, SourceError},
};
use std::path::PathBuf;

/// A model that cannot be loaded or cannot work on a frame.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The device failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The frame's pixels are not where they can be used.
    #[error(transparent)]
    Pixels(#[from] crate::frame::NotOnHost),
    /// The device has no memory left.
    #[error(transparent)]
    OutOfMemory(Box<OutOfMemory>),
    /// The detector failed.
    #[error(transparent)]
    DFine(#[from] dfine::DFineError),
    /// The detector's output makes no objects.
    #[error(transparent)]
    Select(#[from] dfine::postprocess::SelectError),
    /// The segmenter failed.
    #[error(transparent)]
    MobileSam(#[from] mobile_sam::MobileSamError),
    /// A prompt the segmenter does not take.
    #[error(transparent)]
    Prompt(#[from] mobile_sam::PromptError),
    /// The checkpoint cannot be found or read.
    #[error(transparent)]
    Weights(Box<crate::weights::WeightsError>),
    /// A file beside the checkpoint cannot be read.
    #[error("{}: cannot be read: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        problem: String,
    },
    /// A configuration, or a checkpoint, that makes no model.
    #[error("{}: {problem}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        problem: String,
    },
    /// A checkpoint of a model that the program does not run.
    #[error("{}: neither D-FINE nor MobileSAM (tensors such as {examples})", path.display())]
    UnknownFamily {
        /// The file.
        path: PathBuf,
        /// Names of some tensors.
        examples: String,
    },
    /// A new model cannot be written.
    #[error("{}: cannot be written: {problem}", path.display())]
    Written {
        /// The file or folder.
        path: PathBuf,
        /// What was wrong.
        problem: String,
    },
    /// A name or number of no class of the model.
    #[error("{0}: not a class of this detector; it has {1}")]
    UnknownClass(String, String),
    /// Outputs that are not numbers.
    #[error(
        "{0} is not finite (NaN or infinity); the checkpoint is damaged, or its numbers are too large for the chosen precision: use f32"
    )]
    NotFinite(&'static str),
    /// A resident run without models; a fault of this program.
    #[error("no model for the work on the device; this is a fault of ultramotion")]
    NoModels,
    /// Frames that were worked on together failed together.
    #[error("{0}")]
    Batch(String),
    /// Candle refused an operation.
    #[error("{what}: {source}")]
    Tensor {
        /// Part of the work.
        what: &'static str,
        /// Candle's own error.
        source: Box<candle_core::Error>,
    },
}

impl ModelError {
    /// The state of the memory of `engine`, if this error says that it has none left.
    pub fn out_of_memory(&self, engine: &crate::engine::Engine) -> Option<OutOfMemory> {
        match self {
            Self::OutOfMemory(oom) => Some((**oom).clone()),
            error => engine.out_of_memory(error),
        }
    }

    pub(crate) fn op(what: &'static str) -> impl FnOnce(candle_core::Error) -> Self {
        move |source| Self::Tensor {
            what,
            source: Box::new(source),
        }
    }
}

impl From<crate::weights::WeightsError> for ModelError {
    fn from(error: crate::weights::WeightsError) -> Self {
        Self::Weights(Box::new(error))
    }
}

/// What can go wrong in a [`Session`](crate::Session).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// An option of the builder is out of its range.
    #[error("{name}: {problem}")]
    Option {
        /// The method of the builder.
        name: &'static str,
        /// What was wrong.
        problem: String,
    },
    /// A model cannot be loaded, or failed on an image.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// An image in memory makes no frame.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A prompt does not fit the image.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// A frame on a device is none that the session takes.
    #[error(transparent)]
    DeviceFrame(#[from] DeviceFrameError),
    /// A frame of a source cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The session has no model for this.
    #[error("the session was built without a {0}")]
    Without(&'static str),
    /// Too many results of the live loop wait to be taken.
    #[error("{0} results wait to be taken; call try_next after each push")]
    ResultsNotTaken(usize),
    /// A thread could not be started, or ended by a fault of this program.
    #[error("{0}")]
    Internal(String),
}
