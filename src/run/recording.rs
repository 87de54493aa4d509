//! A run over frames that come with their results: what a live loop found, written as a run of files is.

use crate::{
    datasets::MaskForm,
    frame::{Detections, Frame, SourceInfo},
    run::{
        counts::InputProblem,
        error::RunError,
        event::{FrameTimes, RunObserver},
        messages::{FinishedFrame, Item},
        output_dir::OutputMode,
        plan::{Plan, Summary},
        task::Task,
        write::Writer,
    },
    session::{Models, Session},
    sinks::{ImagesMode, OutputKind, OutputSet, SinkErrorKind},
    sources::{IssueKind, SourceWarning},
};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// Writes frames whose results are there already into an output folder, as a [`crate::Run`] writes those that it works out:
/// `detections.jsonl`, `run.json`, and the outputs of [`Recording::write`].
///
/// A frame's line is in `detections.jsonl`, whole, before the next is taken: a killed process loses none that was taken before. Data sets
/// of what such a process left are made of that file, as of any run's.
#[must_use]
pub struct Recording(Plan);

/// What a [`Recording`] takes, in order.
#[derive(Debug)]
#[non_exhaustive]
pub enum Recorded {
    /// A frame with what was found in it; its number is above those before.
    Frame(Box<Frame>, Box<Detections>),
    /// Something about the source that may not be as the user meant it.
    Warning(SourceWarning),
    /// A frame that failed: why, as a line for the user.
    Failed(String),
    /// Something for `run.json`: what is missing, and why.
    Notice(String),
}

impl std::fmt::Debug for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Recording(to {})", self.0.output.display())
    }
}

impl Recording {
    /// A recording of what `session` finds, to the new folder `output`.
    pub fn new(session: &Session, output: impl Into<PathBuf>) -> Self {
        let models = Models {
            detector: session.detector().cloned(),
            segmenter: session.segmenter().cloned(),
        };
        let task = Task::of(models, &Arc::default());
        let mut plan = Plan::new(task, session.execution(), output);
        plan.refining = session.refining().clone();
        plan.is_refined = true;
        plan.warnings = session.warnings();
        Self(plan)
    }

    /// What to write. Without this: COCO, with masks and overlays where there is a segmenter.
    pub fn write(mut self, outputs: impl IntoIterator<Item = OutputKind>) -> Self {
        self.0.outputs = OutputSet::new(outputs);
        self
    }

    /// What is put under `images/`. Without this: what the readers of the outputs need.
    pub fn images(mut self, images: ImagesMode) -> Self {
        self.0.images = Some(images);
        self
    }

    /// How data sets have masks where they have a choice.
    pub fn masks(mut self, masks: MaskForm) -> Self {
        self.0.masks = Some(masks);
        self
    }

    /// Removes the results of an earlier run from the output folder first. Without this a folder that is not empty is refused.
    pub fn overwrite(mut self) -> Self {
        self.0.output_mode = OutputMode::Overwrite;
        self
    }

    /// The command line, for `run.json`.
    pub fn arguments(mut self, arguments: Vec<String>) -> Self {
        self.0.arguments = arguments;
        self
    }

    /// Gets the events of the run.
    pub fn observer(mut self, observer: Arc<RunObserver>) -> Self {
        self.0.observer = observer;
        self
    }

    /// Whether its outputs show the pixels of frames, which must be in host memory then.
    pub fn reads_pixels(&self) -> bool {
        let plan = &self.0;
        plan.images() != ImagesMode::None
            || [OutputKind::Overlay, OutputKind::Frames]
                .into_iter()
                .any(|kind| plan.outputs.contains(kind))
    }

    /// Whether objects have masks.
    pub fn makes_masks(&self) -> bool {
        self.0.task.makes_masks()
    }

    /// The outputs that are written.
    pub fn outputs(&self) -> &OutputSet {
        &self.0.outputs
    }

    /// The output folder.
    pub fn output(&self) -> &std::path::Path {
        &self.0.output
    }

    /// Writes what `items` gives of the source `info`, whose ordinal is 0, until there is no more, then the data sets of all.
    ///
    /// # Errors
    /// [`RunError`] if outputs cannot be written. What was written until then is kept.
    pub fn start(
        self,
        info: &Arc<SourceInfo>,
        items: impl IntoIterator<Item = Recorded>,
    ) -> Result<Summary, RunError> {
        let plan = self.0;
        let done = plan.conduct(&plan.warnings, &[], |record, layout, times| {
            let mut writer = Writer::new(&plan, record, layout, times)?;
            writer.item(Item::SourceBegan(info.clone()))?;
            for (number, item) in (0..).zip(items) {
                writer.item(item.into_item(number, info))?;
            }
            writer.item(Item::SourceEnded(info.clone()))?;
            writer.finish()
        });
        done.map_err(|error| match error {
            RunError::Sink(error) if matches!(error.kind, SinkErrorKind::NotEmpty { .. }) => error
                .with_kind(SinkErrorKind::NotEmpty { resumable: false })
                .with_remedy("overwrite the run in it, or choose another folder")
                .into(),
            error => error,
        })
    }
}

impl Recorded {
    fn into_item(self, number: u64, info: &SourceInfo) -> Item<FinishedFrame> {
        match self {
            Self::Frame(frame, found) => Item::Frame(FinishedFrame {
                frame: *frame,
                found: *found,
                times: Some(FrameTimes {
                    number,
                    decode: Duration::ZERO,
                    latency: Duration::ZERO,
                    stages: Vec::new(),
                }),
                bytes: 0,
            }),
            Self::Warning(warning) => Item::Warning(warning),
            Self::Failed(problem) => Item::Problem(InputProblem {
                input: info.path.display().to_string(),
                problem,
                kind: IssueKind::Other,
            }),
            Self::Notice(text) => Item::Notice(text),
        }
    }
}
