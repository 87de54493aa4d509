//! The complete description of a run.

use crate::{
    datasets::{MaskForm, SegOptions, Shares, SplitBy},
    engine::{Engine, OutOfMemory},
    frame::SourceKind,
    progress::Cancel,
    run::{
        event::RunObserver,
        output_dir::OutputMode,
        own::{OwnSinks, OwnSources},
        shard::{Shard, Sharing},
        task::Task,
    },
    session::{Execution, Refining, Session, SessionError},
    sinks::{ImagesMode, OutputKind, OutputSet},
    sources::{DecodeDevice, SourceError, SourceOptions, SourceSpec, SourceWarning},
};
use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
};

impl Plan {
    /// A run of `task` that has no input yet and writes the task's default outputs to the new folder `output`.
    pub(crate) fn new(task: Task, execution: Execution, output: impl Into<PathBuf>) -> Self {
        Self {
            outputs: task.default_outputs(),
            images: None,
            masks: None,
            seg: SegOptions::default(),
            split: None,
            task,
            refining: Refining::default(),
            is_refined: false,
            execution,
            replicas: Vec::new(),
            oom_device: None,
            fallback: None,
            sources: Vec::new(),
            keys: Vec::new(),
            shard: None,
            shared: None,
            warnings: Vec::new(),
            own_sources: OwnSources::default(),
            own_sinks: OwnSinks::default(),
            source_options: SourceOptions::default(),
            decoders: None,
            least_part: None,
            on_error: OnError::default(),
            output: output.into(),
            output_mode: OutputMode::Fresh,
            arguments: Vec::new(),
            observer: Arc::new(()),
            cancel: Cancel::default(),
        }
    }

    /// Names of the devices of the models, `cpu` without any.
    pub(crate) fn device(&self) -> String {
        std::iter::once(&self.task)
            .chain(&self.replicas)
            .filter_map(Task::engine)
            .map(Engine::name)
            .reduce(|all, one| format!("{all},{one}"))
            .unwrap_or_else(|| "cpu".to_owned())
    }

    /// Whether `frames/` gets still images too, not only frames of videos and DICOM.
    pub(crate) fn stills(&self) -> bool {
        matches!(self.task, Task::Extract { .. })
    }

    /// The device that may decode videos for the models of `task`: that of the sources' options, or the models'.
    pub(crate) fn decode_device(&self, task: &Task) -> Option<DecodeDevice> {
        let given = self.source_options.device.clone();
        given.filter(|_| self.replicas.is_empty()).or_else(|| {
            let shared = |engine| DecodeDevice::shared_by(engine, self.decoders_of(task));
            task.engine().map(shared)
        })
    }

    /// What is put under `images/`: as the caller said, else what the readers of the outputs need.
    pub(crate) fn images(&self) -> ImagesMode {
        self.images
            .unwrap_or_else(|| OutputKind::images_needed(self.outputs.iter()))
    }

    /// The folder that holds the pictures under the names that outputs give them: the inputs' own, where all are below one.
    pub(crate) fn image_root(&self) -> Option<PathBuf> {
        if let Some(shared) = &self.shared {
            return shared.image_root();
        }
        let root = |spec: &SourceSpec| -> Option<PathBuf> {
            let file = match spec.kind {
                SourceKind::Image => &spec.path,
                SourceKind::Sequence => spec.files.first()?,
                SourceKind::Video | SourceKind::Dicom => return None,
            };
            let name = match (spec.kind, &spec.folder) {
                (SourceKind::Image, _) => {
                    let extension = file
                        .extension()
                        .map(|e| format!(".{}", e.to_string_lossy()));
                    format!("{}{}", spec.name, extension.unwrap_or_default())
                }
                (_, Some(folder)) => Path::new(folder)
                    .join(file.file_name()?)
                    .to_string_lossy()
                    .into_owned(),
                (_, None) => format!("{}/{}", spec.name, file.file_name()?.to_string_lossy()),
            };
            let root = file.to_str()?.strip_suffix(&name)?.trim_end_matches('/');
            Some(PathBuf::from(if root.is_empty() { "." } else { root }))
        };
        if !self.own_sources.is_empty() || self.source_options.aliases.is_some() {
            return None;
        }
        let mut roots = self.sources.iter().flatten().map(root);
        let first = roots.next()??;
        roots
            .all(|other| other.as_ref() == Some(&first))
            .then_some(first)
    }

    /// Whether outputs show the pixels of frames, so that they are needed on the host.
    pub(crate) fn shows_pixels(&self) -> bool {
        self.own_sinks.read_pixels()
            || self.refining.reads_pixels()
            || self.images() != ImagesMode::None
            || [OutputKind::Overlay, OutputKind::Frames]
                .into_iter()
                .any(|kind| self.outputs.contains(kind))
    }
}

/// What to do after an input that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnError {
    /// Note it and go on with the next frame or source.
    #[default]
    Skip,
    /// End the run; it can be resumed.
    Stop,
}

/// Makes the session anew on another device.
pub(crate) type Fallback = Arc<dyn Fn() -> Result<Session, SessionError> + Send + Sync>;

/// A run, as [`crate::Run`] builds it.
pub(crate) struct Plan {
    pub(crate) task: Task,
    /// What is done on the host with the objects that were found.
    pub(crate) refining: Refining,
    /// Whether that was done with the objects before they come to the writer.
    pub(crate) is_refined: bool,
    /// How frames go through the models.
    pub(crate) execution: Execution,
    /// The same task on further GPUs, each of which decodes and works on sources, or parts of them, of its own.
    pub(crate) replicas: Vec<Task>,
    /// The GPU that had no memory for the models, where the task is on the CPU for that reason.
    pub(crate) oom_device: Option<OutOfMemory>,
    /// Makes the models on the CPU, where the run may continue there when a GPU has no memory left.
    pub(crate) fallback: Option<Fallback>,
    /// Sources in order; inputs that could not be read stand as errors.
    pub(crate) sources: Vec<Result<SourceSpec, SourceError>>,
    /// What each of `sources` is dealt out by.
    pub(crate) keys: Vec<u64>,
    /// Which of several runs that share the sources this is.
    pub(crate) shard: Option<Shard>,
    /// What it shares with the others, once it has joined them.
    pub(crate) shared: Option<Sharing>,
    /// Warnings about inputs and models.
    pub(crate) warnings: Vec<SourceWarning>,
    /// Sources of the caller's, read after `sources`.
    pub(crate) own_sources: OwnSources,
    pub(crate) own_sinks: OwnSinks,
    pub(crate) source_options: SourceOptions,
    /// Threads that decode for each device; none is as many as suit it.
    pub(crate) decoders: Option<NonZeroUsize>,
    /// Frames that a part of a source has at least, where every source is to be decoded in parts.
    pub(crate) least_part: Option<u64>,
    pub(crate) on_error: OnError,
    /// The output folder.
    pub(crate) output: PathBuf,
    pub(crate) output_mode: OutputMode,
    /// Which outputs; the record is always written.
    pub(crate) outputs: OutputSet,
    /// What is put under `images/`, where the caller said so.
    pub(crate) images: Option<ImagesMode>,
    /// How data sets have masks where they have a choice.
    pub(crate) masks: Option<MaskForm>,
    /// How DICOM Segmentations are written; the run adds what made the masks.
    pub(crate) seg: SegOptions,
    /// The parts that data sets are divided into.
    pub(crate) split: Option<(Shares, SplitBy, u64)>,
    /// The command line, for `run.json`.
    pub(crate) arguments: Vec<String>,
    pub(crate) observer: Arc<RunObserver>,
    pub(crate) cancel: Cancel,
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
    /// What was left out of data sets, and other deviations from the settings.
    pub notices: Vec<String>,
    /// How many frames the file of boxes matched, where there was such a file.
    pub boxes: Option<crate::run::prompts::MatchedFrames>,
}
