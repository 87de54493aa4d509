//! What can go wrong in a run.

use crate::{
    engine::{EngineError, OutOfMemory},
    models::{dfine, mobile_sam},
    sinks::SinkError,
    sources::SourceError,
};
use std::path::PathBuf;

/// A model that cannot be loaded or cannot work on a frame.
#[derive(Debug, thiserror::Error)]
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
    /// Boxes that were made for a picture of another size.
    #[error(transparent)]
    OtherSize(#[from] crate::sinks::OtherSize),
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
    /// `--classes` names a class that the model has not.
    #[error("{0}: not a class of this detector; it has {1}")]
    UnknownClass(String, String),
    /// Outputs that are not numbers.
    #[error(
        "{0} is not finite (NaN or infinity); the checkpoint is damaged, or its numbers are too large for the chosen precision (--dtype f32)"
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

    pub(super) fn op(what: &'static str) -> impl FnOnce(candle_core::Error) -> Self {
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

/// A run that could not go on.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// An output cannot be written.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// An input failed where the run was told to stop at that.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The file of boxes has none for any frame of the inputs.
    #[error(transparent)]
    Boxes(SinkError),
    /// The models cannot be prepared on the device.
    #[error("{}", of_device(device, source))]
    Prepare {
        /// The device.
        device: String,
        /// What was wrong.
        source: Box<ModelError>,
    },
    /// A model failed on every frame alike.
    #[error("{frame}: {source}")]
    Model {
        /// Path and number of the frame.
        frame: String,
        /// What was wrong.
        source: Box<ModelError>,
    },
    /// The inputs are not those of the run to be resumed.
    #[error("{folder}: source {ordinal} was {earlier}, now it is {now}; give the same inputs as before, or start over with --overwrite", folder = folder.display())]
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
