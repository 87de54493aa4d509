//! A run, files in to files out, in a few lines.

use crate::{
    datasets::{MaskForm, SegOptions, Shares, SplitBy},
    engine::OutOfMemory,
    progress::Cancel,
    run::{
        error::RunError,
        event::RunObserver,
        output_dir::OutputMode,
        plan::{OnError, Plan, Summary},
        prompts::UserPrompts,
        shard::Shard,
        task::Task,
    },
    session::{Execution, Session, SessionError},
    sinks::{ImagesMode, OutputKind, OutputSet, Sink},
    sources::{ExpandOptions, Inputs, Source, SourceOptions, Spooled, expand},
};
use std::{ffi::OsString, num::NonZeroUsize, path::PathBuf, sync::Arc};

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
///
/// A session with a detector finds objects, and outlines them where it has a segmenter too; a session with a segmenter alone
/// outlines what [`Run::prompts`] point at. Several GPUs share the frames by [`Run::replica`].
#[must_use]
pub struct Run {
    plan: Plan,
    prompts: Arc<UserPrompts>,
    inputs: Vec<OsString>,
    as_images: bool,
    sources: Vec<Box<dyn Source>>,
    sinks: Vec<Box<dyn Sink>>,
    /// Files of standard input, which are removed when the run is over.
    spooled: Vec<Spooled>,
    /// What [`Run::write`] was given.
    outputs: Option<OutputSet>,
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Run({} to {})",
            self.plan.task.name(),
            self.plan.output.display()
        )
    }
}

impl Run {
    /// A run of `session` that has no input yet; results go to `ultramotion-out`.
    pub fn new(session: Session) -> Self {
        let warnings = session.warnings();
        let refining = session.refining().clone();
        let (models, execution) = session.into_parts();
        let prompts = Arc::new(UserPrompts::default());
        let mut run = Self::of(Task::of(models, &prompts), execution, prompts);
        (run.plan.warnings, run.plan.refining) = (warnings, refining);
        run
    }

    /// A run without models, which writes the frames of its inputs. With `stored_values`, DICOM and grey images of 16 bits
    /// are written as stored, without a window.
    pub fn extract(stored_values: bool) -> Self {
        let task = Task::Extract { stored_values };
        Self::of(task, Execution::default(), Arc::default())
    }

    fn of(task: Task, execution: Execution, prompts: Arc<UserPrompts>) -> Self {
        let plan = Plan::new(task, execution, "ultramotion-out");
        Self {
            plan,
            prompts,
            inputs: Vec::new(),
            as_images: false,
            sources: Vec::new(),
            sinks: Vec::new(),
            spooled: Vec::new(),
            outputs: None,
        }
    }

    /// What a session without a detector outlines in each frame. Where objects are tracked, boxes of
    /// [`UserPrompts::of_frames`] are outlined down to [`TrackOptions::low_threshold`](crate::track::TrackOptions::low_threshold),
    /// and in pictures that stand alone those below [`UserPrompts::confidence`] are left out afterwards.
    pub fn prompts(mut self, prompts: UserPrompts) -> Self {
        if let (Task::Segment(..), Some(track)) = (&self.plan.task, &mut self.plan.refining.track) {
            track.keep = prompts.confidence;
        }
        self.prompts = Arc::new(prompts);
        for task in std::iter::once(&mut self.plan.task).chain(&mut self.plan.replicas) {
            if let Task::Segment(_, of_task) = task {
                *of_task = self.prompts.clone();
            }
        }
        self
    }

    /// The same models on a further GPU, which decodes and works on sources, or parts of long ones, of its own; results are
    /// those of one GPU, in the same order.
    pub fn replica(mut self, session: Session) -> Self {
        let (models, _) = session.into_parts();
        self.plan.replicas.push(Task::of(models, &self.prompts));
        self
    }

    /// Lets the run continue with the session that `make` builds, on the CPU, when a GPU has no memory left.
    pub fn fallback(
        mut self,
        make: impl Fn() -> Result<Session, SessionError> + Send + Sync + 'static,
    ) -> Self {
        self.plan.fallback = Some(Arc::new(make));
        self
    }

    /// The GPU that had no memory for the models, where the session is on the CPU for that reason: events and `run.json`
    /// report it.
    pub fn replaces(mut self, device: OutOfMemory) -> Self {
        self.plan.oom_device = Some(device);
        self
    }

    /// A file, folder, pattern or list file to read, after those before.
    pub fn input(mut self, input: impl Into<OsString>) -> Self {
        self.inputs.push(input.into());
        self
    }

    /// Inputs that [`expand`] found, to read before those of [`Run::input`].
    pub fn inputs(mut self, inputs: Inputs) -> Self {
        self.plan.keys.extend(inputs.keys);
        self.plan.sources.extend(inputs.sources);
        self.plan.warnings.extend(inputs.warnings);
        self.spooled.extend(inputs.spooled);
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
    pub fn source_options(mut self, source_options: SourceOptions) -> Self {
        self.plan.source_options = source_options;
        self
    }

    /// How many sources, or parts of a long one, are decoded at once for each device. Results and their order do not depend on
    /// it. Without this: 6 for a GPU that decodes, half of the cores (8 at most) where the CPU decodes for a GPU, 1 where the
    /// CPU does all.
    pub fn decoders(mut self, decoders: NonZeroUsize) -> Self {
        self.plan.decoders = Some(decoders);
        self
    }

    /// A sink of the caller's, which gets every frame with its result, after the outputs of the run.
    pub fn sink(mut self, sink: impl Sink + 'static) -> Self {
        self.sinks.push(Box::new(sink));
        self
    }

    /// The folder for results; made if missing, refused if not empty.
    pub fn output(mut self, output: impl Into<PathBuf>) -> Self {
        self.plan.output = output.into();
        self
    }

    /// What to write; `detections.jsonl` and `run.json` always are. Without this: [`Run::default_outputs`].
    pub fn write(self, outputs: impl IntoIterator<Item = OutputKind>) -> Self {
        Self {
            outputs: Some(OutputSet::new(outputs)),
            ..self
        }
    }

    /// What is put under `images/`. Without this: what the readers of the outputs need ([`OutputKind::needs_images`]).
    pub fn images(mut self, images: ImagesMode) -> Self {
        self.plan.images = Some(images);
        self
    }

    /// How data sets have masks where they have a choice. Without this: run lengths in COCO, polygons in kinds of annotation tools.
    pub fn masks(mut self, masks: MaskForm) -> Self {
        self.plan.masks = Some(masks);
        self
    }

    /// How DICOM Segmentations are written; what made the masks is added.
    pub fn seg(mut self, seg: SegOptions) -> Self {
        self.plan.seg = seg;
        self
    }

    /// Divides data sets into parts by `shares`, what `by` names staying together; `seed` decides which goes where.
    pub fn split(mut self, shares: Shares, by: SplitBy, seed: u64) -> Self {
        self.plan.split = Some((shares, by, seed));
        self
    }

    /// The outputs that are written where [`Run::write`] names none: COCO, with masks and overlays where there is a segmenter; the frames
    /// where there are no models.
    pub fn default_outputs(&self) -> OutputSet {
        self.plan.task.default_outputs()
    }

    /// Whether objects have masks.
    pub fn makes_masks(&self) -> bool {
        self.plan.task.makes_masks()
    }

    /// Whether a run that is in the output folder continues, to the same results; it must be one with the same models and
    /// options.
    pub fn resume(mut self, resume: bool) -> Self {
        self.plan.output_mode = if resume {
            OutputMode::Resume
        } else {
            OutputMode::Fresh
        };
        self
    }

    /// Makes this one of several runs that share the inputs: it takes those that are dealt to it, and puts its results into a folder of
    /// its own, `shards/0003-of-0016` in the output folder, which it resumes by itself. The first of them fixes in `shards/plan.json`
    /// how many there are, the settings, and the list of sources. [`crate::run::merge()`] makes one run of all.
    pub fn shard(mut self, shard: Shard) -> Self {
        self.plan.shard = Some(shard);
        self
    }

    /// Which of several runs this is, where it is one of several.
    pub fn shard_of(&self) -> Option<&Shard> {
        self.plan.shard.as_ref()
    }

    /// What to do with what is in the output folder; [`Run::resume`] and [`Run::overwrite`] set it too.
    pub fn output_mode(mut self, output_mode: OutputMode) -> Self {
        self.plan.output_mode = output_mode;
        self
    }

    /// Removes the results of an earlier run from the output folder first.
    pub fn overwrite(mut self) -> Self {
        self.plan.output_mode = OutputMode::Overwrite;
        self
    }

    /// What to do after an input that cannot be read; default: report it and continue with the next.
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.plan.on_error = on_error;
        self
    }

    /// The command line, for `run.json`.
    pub fn arguments(mut self, arguments: Vec<String>) -> Self {
        self.plan.arguments = arguments;
        self
    }

    /// Gets the events of the run.
    pub fn observer(mut self, observer: Arc<RunObserver>) -> Self {
        self.plan.observer = observer;
        self
    }

    /// Ends the run after the frame it is at, when it is requested.
    pub fn cancel(mut self, cancel: Cancel) -> Self {
        self.plan.cancel = cancel;
        self
    }

    /// Runs to the end of the inputs.
    ///
    /// # Errors
    /// [`RunError`] if outputs cannot be written, an input fails under [`OnError::Stop`], a session without a detector has
    /// no prompts, or the run to be resumed had other inputs, models or options. Inputs that fail otherwise are in the
    /// summary.
    pub fn start(self) -> Result<Summary, RunError> {
        let mut plan = self.plan;
        if matches!(plan.task, Task::Segment(..)) && self.prompts.is_empty() {
            return Err(RunError::NoPrompts);
        }
        let options = ExpandOptions {
            as_images: self.as_images,
            output: Some(&plan.output),
            ..ExpandOptions::default()
        };
        let expanded = expand(&self.inputs, options, &mut std::io::empty());
        plan.keys.extend(expanded.keys);
        plan.sources.extend(expanded.sources);
        plan.warnings.extend(expanded.warnings);
        plan.outputs = self.outputs.unwrap_or(plan.outputs);
        plan.own_sources = self.sources.into();
        plan.own_sinks = self.sinks.into();
        plan.run()
    }
}
