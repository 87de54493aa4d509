//! What a run is to do, fully said.

use super::{
    Cancel, Detector, Execution, ModelError, ModelOrigin, Observer, OwnSinks, OwnSources,
    Segmenter, prompts::UserPrompts, resident::Models,
};
use crate::{
    engine::OutOfMemory,
    sinks::{Classes, OutputKind, OutputMode, OutputSet},
    sources::{DecodeDevice, SourceError, SourceOptions, SourceSpec, SourceWarning},
};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// What is done with each frame.
#[derive(Debug, Clone)]
pub enum Task {
    /// Nothing but writing it.
    Extract {
        /// Whether DICOM values are written as stored.
        stored_values: bool,
    },
    /// Boxes.
    Detect(Arc<Detector>),
    /// Masks of what the user points at.
    Segment(Arc<Segmenter>, Arc<UserPrompts>),
    /// Boxes, and masks prompted by them.
    Pipeline(Arc<Detector>, Arc<Segmenter>),
}

impl Task {
    /// The subcommand that does it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Extract { .. } => "extract",
            Self::Detect(..) => "detect",
            Self::Segment(..) => "segment",
            Self::Pipeline(..) => "pipeline",
        }
    }

    /// The device its models run on; none without models.
    pub fn engine(&self) -> Option<&crate::engine::Engine> {
        match self {
            Self::Extract { .. } => None,
            Self::Detect(detector) | Self::Pipeline(detector, _) => Some(detector.engine()),
            Self::Segment(segmenter, _) => Some(segmenter.engine()),
        }
    }

    /// What a user should know of its models.
    pub fn warnings(&self) -> Vec<crate::sources::SourceWarning> {
        match self {
            Self::Extract { .. } | Self::Segment(..) => Vec::new(),
            Self::Detect(detector) | Self::Pipeline(detector, _) => detector.warnings(),
        }
    }

    /// Where its models came from, with their roles.
    pub fn models(&self) -> Vec<(&'static str, &ModelOrigin)> {
        match self {
            Self::Extract { .. } => Vec::new(),
            Self::Detect(d) => vec![("detector", d.origin())],
            Self::Segment(s, _) => vec![("segmenter", s.origin())],
            Self::Pipeline(d, s) => vec![("detector", d.origin()), ("segmenter", s.origin())],
        }
    }

    /// Names of the classes its objects can have.
    pub fn classes(&self) -> Classes {
        match self {
            Self::Extract { .. } => Classes::default(),
            Self::Detect(d) | Self::Pipeline(d, _) => Classes::new(d.labels().iter().cloned()),
            Self::Segment(_, prompts) => match &prompts.of_frames {
                Some(file) => file.classes(),
                None => Classes::new(["object"]),
            },
        }
    }

    /// Its models, where it has any.
    pub(super) fn models_to_run(&self) -> Option<Models> {
        let models = |detector, segmenter, prompts| {
            Some(Models {
                detector,
                segmenter,
                prompts,
            })
        };
        match self {
            Self::Extract { .. } => None,
            Self::Detect(d) => models(Some(d.clone()), None, None),
            Self::Segment(s, prompts) => models(None, Some(s.clone()), Some(prompts.clone())),
            Self::Pipeline(d, s) => models(Some(d.clone()), Some(s.clone()), None),
        }
    }

    /// Whether its objects have masks.
    pub fn makes_masks(&self) -> bool {
        matches!(self, Self::Segment(..) | Self::Pipeline(..))
    }

    /// The outputs that are written where the user names none.
    pub fn default_outputs(&self) -> OutputSet {
        match self {
            Self::Extract { .. } => OutputSet::new([crate::sinks::OutputKind::Frames]),
            Self::Detect(_) => OutputSet::default_for(false),
            Self::Segment(..) | Self::Pipeline(..) => OutputSet::default_for(true),
        }
    }
}

impl Plan {
    /// The device that may decode videos: that of the sources' options, or the models'.
    pub(super) fn decode_device(&self) -> Option<DecodeDevice> {
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
    pub(super) fn shows_pixels(&self) -> bool {
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
    pub counts: crate::sinks::Counts,
    /// Inputs that could not be read.
    pub errors: crate::sinks::InputProblems,
    /// Times by stage.
    pub timings: BTreeMap<String, crate::sinks::StageSummary>,
    /// Whether it was cancelled.
    pub interrupted: bool,
    /// The output folder.
    pub output: PathBuf,
    /// Whether there is one: a run whose inputs all failed leaves none.
    pub kept: bool,
    /// Of how many frames the file of boxes knew how many, where there was such a file.
    pub boxes: Option<super::MatchedFrames>,
}
