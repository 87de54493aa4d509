//! What a run is to do, fully said.

use crate::{
    engine::OutOfMemory,
    run::task::Task,
    run::{
        observer::{Cancel, Observer},
        output_dir::OutputMode,
        own::{OwnSinks, OwnSources},
    },
    session::{Execution, ModelError},
    sinks::{OutputKind, OutputSet},
    sources::{DecodeDevice, SourceError, SourceOptions, SourceSpec, SourceWarning},
};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

impl Plan {
    /// The device that may decode videos: that of the sources' options, or the models'.
    pub(crate) fn decode_device(&self) -> Option<DecodeDevice> {
        let of_models = |engine| match self.replicas.is_empty() {
            true => DecodeDevice::new(engine),
            // A picture in the memory of one would have to be brought to the others.
            false => DecodeDevice::refusing(engine, "several GPUs share the frames"),
        };
        self.source_options
            .device
            .clone()
            .or_else(|| self.task.engine().map(of_models))
    }

    /// Whether outputs show the pixels of frames, so that they are needed on the host.
    pub(crate) fn shows_pixels(&self) -> bool {
        self.own_sinks.read_pixels()
            || [OutputKind::Overlay, OutputKind::Frames]
                .into_iter()
                .any(|kind| self.outputs.contains(kind))
    }
}

/// What to do after an input that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// Note it and go on with the next frame or source.
    #[default]
    Skip,
    /// End the run; it can be resumed.
    Stop,
}

/// Makes a task anew on another device.
pub type Fallback = Arc<dyn Fn() -> Result<Task, ModelError> + Send + Sync>;

/// A run.
pub struct Plan {
    /// What is done with each frame.
    pub task: Task,
    /// Sources in order; inputs that could not be read stand as errors.
    pub sources: Vec<Result<SourceSpec, SourceError>>,
    /// What is to be said about the inputs before they are read.
    pub warnings: Vec<SourceWarning>,
    /// Sources of the caller's, read after `sources`.
    pub own_sources: OwnSources,
    /// Sinks of the caller's.
    pub own_sinks: OwnSinks,
    /// How sources are read.
    pub source_options: SourceOptions,
    /// What to do after an input that cannot be read.
    pub on_error: OnError,
    /// The output folder.
    pub output: PathBuf,
    /// What to do with what is there.
    pub output_mode: OutputMode,
    /// Which outputs; the record is always written.
    pub outputs: OutputSet,
    /// Whether `frames/` gets still images too (`extract`), not only frames of videos and DICOM.
    pub stills: bool,
    /// The command line, for `run.json`.
    pub arguments: Vec<String>,
    /// How frames go through the models.
    pub execution: Execution,
    /// The same task on further GPUs, among which batches are dealt out in turn in the resident mode.
    pub replicas: Vec<Task>,
    /// The GPU that had no memory for the models, where the task is on the CPU for that reason.
    pub oom_device: Option<OutOfMemory>,
    /// Makes the same task on the CPU, where the run may go on there when a GPU has no memory left.
    pub fallback: Option<Fallback>,
    /// Name of the device, for `run.json`.
    pub device: String,
    /// Hears what happens.
    pub observer: Arc<dyn Observer>,
    /// Ends the run early.
    pub cancel: Cancel,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Totals, of resumed runs over all their parts.
    pub counts: crate::run::counts::Counts,
    /// Inputs that could not be read.
    pub errors: crate::run::counts::InputProblems,
    /// Times by stage.
    pub timings: BTreeMap<String, crate::session::StageSummary>,
    /// Whether it was cancelled.
    pub interrupted: bool,
    /// The output folder.
    pub output: PathBuf,
    /// Whether there is one: a run whose inputs all failed leaves none.
    pub kept: bool,
    /// Of how many frames the file of boxes knew how many, where there was such a file.
    pub boxes: Option<crate::run::prompts::MatchedFrames>,
}
