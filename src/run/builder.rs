//! A run, files in to files out, in a few lines.

use crate::{
    run::task::Task,
    run::{
        error::RunError,
        observer::{Cancel, Observer},
        output_dir::OutputMode,
        plan::{OnError, Plan, Summary},
    },
    session::Session,
    session::SessionError,
    sinks::{OutputKind, OutputSet, Sink},
    sources::{ExpandOptions, Source, SourceOptions, expand},
};
use std::{ffi::OsString, path::PathBuf, sync::Arc};

/// A run of a [`Session`] over inputs, with its results in a folder.
///
/// ```no_run
/// use ultramotion::{Run, Session, sinks::OutputKind};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let session = Session::builder().build()?;
/// let summary = Run::new(session).input("study/").output("out").write([OutputKind::Coco, OutputKind::Overlay]).resume(true).start()?;
/// println!("{} objects in {} frames", summary.counts.objects, summary.counts.frames);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Run {
    session: Session,
    inputs: Vec<OsString>,
    as_images: bool,
    sources: Vec<Box<dyn Source>>,
    source_options: SourceOptions,
    sinks: Vec<Box<dyn Sink>>,
    output: PathBuf,
    output_mode: OutputMode,
    outputs: Option<OutputSet>,
    on_error: OnError,
    observer: Arc<dyn Observer>,
    cancel: Cancel,
}

impl Run {
    /// A run of `session` that has no input yet; results go to `ultramotion-out`.
    pub fn new(session: Session) -> Self {
        Self {
            session,
            inputs: Vec::new(),
            as_images: false,
            sources: Vec::new(),
            source_options: SourceOptions::default(),
            sinks: Vec::new(),
            output: "ultramotion-out".into(),
            output_mode: OutputMode::Fresh,
            outputs: None,
            on_error: OnError::default(),
            observer: Arc::new(()),
            cancel: Cancel::default(),
        }
    }

    /// A file, folder, pattern or list file to read, after those before.
    pub fn input(mut self, input: impl Into<OsString>) -> Self {
        self.inputs.push(input.into());
        self
    }

    /// A source of the caller's to read, after the inputs.
    pub fn source(mut self, source: impl Source + 'static) -> Self {
        self.sources.push(Box::new(source));
        self
    }

    /// Whether numbered images of a folder are separate images instead of the frames of one sequence.
    pub fn as_images(self, as_images: bool) -> Self {
        Self { as_images, ..self }
    }

    /// How sources are read: which frames, where video is decoded, how DICOM is shown.
    pub fn source_options(self, source_options: SourceOptions) -> Self {
        Self {
            source_options,
            ..self
        }
    }

    /// A sink of the caller's, which gets every frame with its result, after the outputs of the run.
    pub fn sink(mut self, sink: impl Sink + 'static) -> Self {
        self.sinks.push(Box::new(sink));
        self
    }

    /// The folder for results; made if missing, refused if not empty.
    pub fn output(self, output: impl Into<PathBuf>) -> Self {
        Self {
            output: output.into(),
            ..self
        }
    }

    /// What to write; `detections.jsonl` and `run.json` always are. Without this: COCO, masks and overlays.
    pub fn write(self, outputs: impl IntoIterator<Item = OutputKind>) -> Self {
        Self {
            outputs: Some(OutputSet::new(outputs)),
            ..self
        }
    }

    /// Whether a run that is in the output folder goes on, to the same results; it must be one with the same models and
    /// options.
    pub fn resume(self, resume: bool) -> Self {
        Self {
            output_mode: if resume {
                OutputMode::Resume
            } else {
                OutputMode::Fresh
            },
            ..self
        }
    }

    /// Removes the results of an earlier run from the output folder first.
    pub fn overwrite(self) -> Self {
        Self {
            output_mode: OutputMode::Overwrite,
            ..self
        }
    }

    /// What to do after an input that cannot be read; default: go on with the next.
    pub fn on_error(self, on_error: OnError) -> Self {
        Self { on_error, ..self }
    }

    /// Gets the events of the run.
    pub fn observer(self, observer: Arc<dyn Observer>) -> Self {
        Self { observer, ..self }
    }

    /// Ends the run after the frame it is at, when it is requested.
    pub fn cancel(self, cancel: Cancel) -> Self {
        Self { cancel, ..self }
    }

    /// Runs to the end of the inputs.
    ///
    /// # Errors
    /// [`RunError`] if the session has no detector, outputs cannot be written, an input fails under [`OnError::Stop`],
    /// or the run to be resumed had other inputs, models or options. Inputs that fail otherwise are in the summary.
    pub fn start(self) -> Result<Summary, RunError> {
        let (models, execution) = self
            .session
            .into_models()
            .map_err(|e| RunError::Internal(e.to_string()))?;
        let task = match (models.detector, models.segmenter) {
            (Some(detector), Some(segmenter)) => Task::Pipeline(detector, segmenter),
            (Some(detector), None) => Task::Detect(detector),
            (None, _) => {
                return Err(RunError::Internal(
                    SessionError::Without("detector").to_string(),
                ));
            }
        };
        let options = ExpandOptions {
            as_images: self.as_images,
            output: Some(&self.output),
            ..ExpandOptions::default()
        };
        let expanded = expand(&self.inputs, options, &mut std::io::empty());
        let plan = Plan {
            outputs: self.outputs.unwrap_or_else(|| task.default_outputs()),
            device: task
                .engine()
                .map_or_else(|| "cpu".to_owned(), |engine| engine.name()),
            sources: expanded.sources,
            warnings: task
                .warnings()
                .into_iter()
                .chain(expanded.warnings)
                .collect(),
            own_sources: self.sources.into(),
            own_sinks: self.sinks.into(),
            source_options: self.source_options,
            on_error: self.on_error,
            output: self.output,
            output_mode: self.output_mode,
            stills: false,
            arguments: Vec::new(),
            execution,
            replicas: Vec::new(),
            oom_device: None,
            fallback: None,
            observer: self.observer,
            cancel: self.cancel,
            task,
        };
        plan.run()
    }
}
