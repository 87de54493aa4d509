//! Models on their device, from images in memory to what is found in them.

use crate::{
    engine::Engine,
    frame::{Detections, Frame},
    session::{
        detector::Detector,
        error::ModelError,
        error::SessionError,
        execution::{Execution, Mode},
        executor::{
            interface::{Executor, PendingFrame},
            resident::{GpuExecutor, on_device::OnDevice},
            staged::Staged,
        },
        live_queue::Live,
        models::Models,
        prompt::Prompt,
        refine::{Refiner, Refining},
        scheduler::{Output, Scheduler},
        segmenter::Segmenter,
    },
    sources::{IntoFrame, SourceWarning},
};
use std::{
    collections::VecDeque,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

/// Detector and segmenter on their device.
///
/// ```no_run
/// use ultramotion::Session;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut session = Session::builder().confidence(0.4).build()?;
/// for object in &session.run(&image::open("a.png")?)? {
///     println!("{} {:.2} {:?}", object.label, object.score, object.bbox);
/// }
/// # Ok(())
/// # }
/// ```
///
/// A session owns its device's working memory: calls take `&mut self`, and a session can be sent to another thread. Two
/// threads that work at the same time have a session each; both may be on the same GPU.
pub struct Session {
    engine: Engine,
    detector: Option<Arc<Detector>>,
    segmenter: Option<Arc<Segmenter>>,
    execution: Execution,
    /// For single images, made when first needed.
    single: Option<Box<dyn Executor>>,
    /// For prompts, made when first needed.
    prompted: Option<Box<dyn Executor>>,
    /// For many frames, made when first needed.
    batches: Option<Box<dyn Executor>>,
    /// For frames on the device, made when first needed.
    pub(crate) on_device: Option<OnDevice>,
    pub(crate) live: Option<Live>,
    frames: u64,
    refining: Refining,
    /// Of the live loop.
    pub(crate) refiner: Refiner,
    /// Numbers of the frames with which a new source begins in the live loop, of those whose results were not taken yet.
    pub(crate) resets: VecDeque<u64>,
    /// Whether frames of the live loop come back with pixels in host memory.
    pub(crate) keep_pixels: bool,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session on {}", self.engine.name())
    }
}

impl Session {
    pub(crate) fn new(
        engine: Engine,
        detector: Option<Arc<Detector>>,
        segmenter: Option<Arc<Segmenter>>,
        execution: Execution,
        refining: Refining,
    ) -> Self {
        Self {
            engine,
            detector,
            segmenter,
            execution,
            single: None,
            prompted: None,
            batches: None,
            on_device: None,
            live: None,
            frames: 0,
            refiner: Refiner::live(refining.clone()),
            resets: VecDeque::new(),
            keep_pixels: false,
            refining,
        }
    }

    /// The device it works on: `cpu` or `cuda:N`.
    pub fn device(&self) -> String {
        self.engine.name()
    }

    /// The detector's class names, by class number; none without a detector.
    pub fn labels(&self) -> Vec<Arc<str>> {
        self.detector
            .as_ref()
            .map(|detector| detector.labels().iter().cloned().collect())
            .unwrap_or_default()
    }

    /// Finds and outlines the objects of one image.
    ///
    /// # Errors
    /// [`SessionError::Without`] without a detector, [`SessionError::Image`] for an image that makes no frame,
    /// [`SessionError::Model`] if a model failed on it.
    pub fn run(&mut self, image: impl IntoFrame) -> Result<Detections, SessionError> {
        let pending = self.pending(image)?;
        if self.single.is_none() {
            self.single = Some(self.executor(1)?);
        }
        let mut found = complete(self.single.as_mut(), pending)?;
        self.refining.still(&mut found);
        Ok(found)
    }

    /// Finds and outlines the objects of several images, [`SessionBuilder::batch`](crate::session::SessionBuilder::batch) of them at a time on a GPU. The result
    /// has one entry an image, in their order.
    ///
    /// # Errors
    /// As [`Session::run`], for the first image that fails.
    pub fn run_batch<I: IntoFrame>(
        &mut self,
        images: impl IntoIterator<Item = I>,
    ) -> Result<Vec<Detections>, SessionError> {
        let mut scheduler: Scheduler<std::convert::Infallible> =
            Scheduler::new(vec![self.take_batches()?], false, None);
        let mut found = Vec::new();
        let outcome = (|| {
            for image in images {
                scheduler.push(self.pending(image)?);
                found.extend(ready(&mut scheduler)?);
            }
            scheduler.drain();
            found.extend(ready(&mut scheduler)?);
            Ok(())
        })();
        self.give_batches_back(scheduler);
        found.iter_mut().for_each(|one| self.refining.still(one));
        outcome.map(|()| found)
    }

    /// Outlines what `prompts` point at in one image; the result has one object a prompt, in their order. An object
    /// without a box of its own gets that of its mask.
    ///
    /// # Errors
    /// [`SessionError::Without`] without a segmenter, [`SessionError::Prompt`] for a prompt outside of the image, else as
    /// [`Session::run`].
    pub fn segment(
        &mut self,
        image: impl IntoFrame,
        prompts: &[Prompt],
    ) -> Result<Detections, SessionError> {
        let Some(segmenter) = &self.segmenter else {
            return Err(SessionError::Without("segmenter"));
        };
        if self.prompted.is_none() {
            let models = Models {
                detector: None,
                segmenter: Some(segmenter.clone()),
            };
            self.prompted = Some(match self.execution.mode {
                Mode::Staged => Box::new(Staged::new(models)),
                Mode::Resident => Box::new(GpuExecutor::new(models, 1, true)?),
            });
        }
        let mut pending = self.pending(image)?;
        let size = pending.frame.size();
        let prompted = prompts
            .iter()
            .enumerate()
            .map(|(at, prompt)| prompt.prompted(at, size))
            .collect::<Result<Vec<_>, _>>()?;
        if prompted.is_empty() {
            return Ok(Detections::new(size, Vec::new()));
        }
        pending.prompts = Some(prompted);
        complete(self.prompted.as_mut(), pending)
    }

    /// An executor of the session's models for batches of `batch` frames.
    pub(crate) fn executor(&self, batch: usize) -> Result<Box<dyn Executor>, SessionError> {
        let models = self.models()?;
        Ok(match self.execution.mode {
            Mode::Staged => Box::new(Staged::new(models)),
            Mode::Resident => Box::new(GpuExecutor::new(
                models,
                batch,
                batch == 1 || self.execution.latency,
            )?),
        })
    }

    pub(crate) fn models(&self) -> Result<Models, SessionError> {
        if self.detector.is_none() {
            return Err(SessionError::Without("detector"));
        }
        Ok(Models {
            detector: self.detector.clone(),
            segmenter: self.segmenter.clone(),
        })
    }

    /// The session's models, and how frames go through them, for a run.
    pub(crate) fn into_parts(self) -> (Models, Execution) {
        let models = Models {
            detector: self.detector,
            segmenter: self.segmenter,
        };
        (models, self.execution)
    }

    /// How frames go through the models.
    pub(crate) fn execution(&self) -> Execution {
        self.execution
    }

    /// The engine its models are on.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The detector; none in a session for prompts alone.
    pub fn detector(&self) -> Option<&Arc<Detector>> {
        self.detector.as_ref()
    }

    /// The segmenter; none in a session for boxes alone.
    pub fn segmenter(&self) -> Option<&Arc<Segmenter>> {
        self.segmenter.as_ref()
    }

    /// Warnings about the models: an assumed input size, tensors of the checkpoint that are not used.
    pub fn warnings(&self) -> Vec<SourceWarning> {
        let of_detector = self.detector.as_ref().map(|detector| detector.warnings());
        of_detector.unwrap_or_default()
    }

    pub(crate) fn take_batches(&mut self) -> Result<Box<dyn Executor>, SessionError> {
        match self.batches.take() {
            Some(executor) => Ok(executor),
            None => self.executor(self.execution.batch),
        }
    }

    /// Keeps the executor of `scheduler` for the next stream or batch.
    pub(crate) fn give_batches_back<P>(&mut self, mut scheduler: Scheduler<P>) {
        scheduler.cancel();
        self.batches = scheduler.into_executors().pop();
    }

    pub(crate) fn pending(&mut self, image: impl IntoFrame) -> Result<PendingFrame, SessionError> {
        let frame = image.into_frame(self.frames)?;
        Ok(self.pending_frame(frame, Duration::ZERO))
    }

    pub(crate) fn pending_frame(&mut self, frame: Frame, decode: Duration) -> PendingFrame {
        PendingFrame {
            frame,
            prompts: None,
            number: self.next_number(),
            decode,
            queued_at: Instant::now(),
        }
    }

    /// The number of the next frame.
    pub(crate) fn next_number(&mut self) -> u64 {
        let number = self.frames;
        self.frames += 1;
        number
    }

    /// The number that the next frame will have.
    pub(crate) fn next_frame(&self) -> u64 {
        self.frames
    }

    /// What is done with the objects that the models found.
    pub(crate) fn refining(&self) -> &Refining {
        &self.refining
    }

    pub(crate) fn is_cpu(&self) -> bool {
        self.engine.is_cpu()
    }
}

/// Works on one frame and waits for it.
fn complete(
    executor: Option<&mut Box<dyn Executor>>,
    pending: PendingFrame,
) -> Result<Detections, SessionError> {
    let size = pending.frame.size();
    let executor = executor.ok_or(ModelError::NoModels)?;
    executor.submit(vec![pending]);
    let done = executor
        .wait_next()
        .and_then(|mut done| done.pop())
        .ok_or(ModelError::NoModels)?;
    Ok(Detections::new(size, done.objects?))
}

/// What has come out of `scheduler`.
fn ready(
    scheduler: &mut Scheduler<std::convert::Infallible>,
) -> Result<Vec<Detections>, SessionError> {
    let outputs = std::iter::from_fn(|| scheduler.pop());
    outputs
        .map(|output| match output {
            Output::Frame(done) => Ok(Detections::new(done.pending.frame.size(), done.objects?)),
            Output::Passed(never) => match never {},
        })
        .collect()
}
