//! The inference thread: decoded frames in, results out in the same order, with several frames on the device at a time.

use super::{
    FrameTimes, Mode, ModelError, OnError, PipelineError, Plan, StageTimes, Stages, Task,
    decode::Decoded,
    picture,
    prompts::Prompted,
    resident::{Landed, Models, Objects, Resident, Taken},
    run::Finished,
};
use crate::{
    engine::{Engine, OutOfMemory},
    frame::{Frame, FrameResult},
    sinks::InputProblem,
};
use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{Receiver, SyncSender, TryRecvError},
    time::Instant,
};

/// The writer ended with an error of its own, which is told when it is joined.
struct WriterGone;

/// What the order of results is kept by.
enum Turn {
    Ready(Box<Finished>),
    /// The next frame that lands.
    Awaited,
}

pub(super) struct Flow<'a> {
    plan: &'a Plan,
    times: &'a StageTimes,
    /// One for each GPU; none where frames go stage by stage.
    workers: Vec<Resident<'a>>,
    /// The workers that batches in flight are with, in the order in which they were asked for.
    order: VecDeque<usize>,
    /// The worker of the next batch.
    turn: usize,
    /// The task on the CPU, once a GPU had no memory left.
    spare: Option<Task>,
    /// Frames of the next batch.
    filling: Vec<Taken>,
    turns: VecDeque<Turn>,
    out: &'a SyncSender<Finished>,
    frames: u64,
}

enum Next {
    Item(Decoded),
    /// Something else was done meanwhile.
    Again,
    End,
}

impl<'a> Flow<'a> {
    pub(super) fn new(plan: &'a Plan, times: &'a StageTimes, out: &'a SyncSender<Finished>) -> Result<Self, PipelineError> {
        let mut flow = Self {
            plan,
            times,
            workers: Vec::new(),
            order: VecDeque::new(),
            turn: 0,
            spare: None,
            filling: Vec::new(),
            turns: VecDeque::new(),
            out,
            frames: 0,
        };
        if let Some(lack) = &plan.given_up {
            flow.tell(Finished::OutOfMemory(lack.clone()));
            flow.tell_fallback(lack);
        }
        if plan.execution.mode == Mode::Resident {
            let tasks = std::iter::once(&plan.task).chain(&plan.further);
            let made: Result<Vec<_>, _> = tasks.filter_map(|task| Some((task, models_of(task)?))).map(|made| flow.worker(made)).collect();
            match made {
                Ok(workers) => flow.workers = workers,
                Err((task, error)) => flow.prepare_spare(task, error)?,
            }
        }
        Ok(flow)
    }

    fn worker(&self, (task, models): (&'a Task, Models<'a>)) -> Result<Resident<'a>, (&'a Task, ModelError)> {
        let execution = &self.plan.execution;
        Resident::new(models, execution.batch, execution.latency).map_err(|error| (task, error))
    }

    /// The models could not be prepared on the device of `task`: for want of memory the CPU may take over.
    fn prepare_spare(&mut self, task: &Task, error: ModelError) -> Result<(), PipelineError> {
        let device = task.engine().map_or_else(|| self.plan.device.clone(), Engine::name);
        match lack(task, &error) {
            Some(lack) => self.give_up(lack).map_err(|source| PipelineError::Prepare { device, source: Box::new(source) }),
            None => Err(PipelineError::Prepare { device, source: Box::new(error) }),
        }
    }

    /// Says that there is no memory left, and makes the task on the CPU if that is allowed.
    fn give_up(&mut self, lack: OutOfMemory) -> Result<(), ModelError> {
        self.tell(Finished::OutOfMemory(lack.clone()));
        let Some(make) = &self.plan.fallback else { return Err(ModelError::OutOfMemory(Box::new(lack))) };
        if self.spare.is_none() {
            self.spare = Some(make()?);
            self.tell_fallback(&lack);
        }
        Ok(())
    }

    fn tell_fallback(&self, lack: &OutOfMemory) {
        self.tell(Finished::Fallback { from: lack.device.clone(), to: "cpu".to_owned(), reason: lack.to_string() });
    }

    /// Says something out of turn. A writer that is gone has told its own error.
    fn tell(&self, what: Finished) {
        let _ = self.out.send(what);
    }

    /// Works on decoded frames until there are no more: true if all sources ended.
    pub(super) fn run(mut self, decoded: &Receiver<Decoded>) -> Result<bool, PipelineError> {
        loop {
            let item = match self.next(decoded) {
                Ok(Next::Item(item)) => item,
                Ok(Next::Again) => continue,
                Ok(Next::End) => return Ok(true),
                Err(Stopped::Writer(WriterGone)) => return Ok(false),
                Err(Stopped::Error(error)) => return Err(error),
            };
            if self.plan.cancel.is_requested() {
                // What the device is at is finished; what has not been asked of it is left for the resumed run.
                return self.leave(Ok(false));
            }
            let finished = match item {
                Decoded::Began(info) => Finished::Began(info),
                Decoded::Ended(info) => Finished::Ended(info),
                Decoded::Warning(warning) => Finished::Warning(warning),
                Decoded::Decoding(info, decoding) => Finished::Decoding(info, decoding),
                Decoded::Stored { frame, result } => match self.settled(frame) {
                    Ok(frame) => Finished::Frame { frame, result, times: None },
                    Err(error) => return self.leave(Err(error)),
                },
                Decoded::Failed(error) if self.plan.on_error == OnError::Stop => return self.leave(Err(PipelineError::Source(error))),
                Decoded::Failed(error) => {
                    Finished::Problem(InputProblem { input: error.path.display().to_string(), problem: error.to_string() })
                }
                Decoded::Broken(error) => return self.leave(Err(PipelineError::Sink(error))),
                Decoded::Cancelled => return self.leave(Ok(false)),
                Decoded::Frame(frame, decode) => {
                    let taken = Taken { frame, number: self.frames, decode, at: Instant::now() };
                    self.frames += 1;
                    match self.take(taken) {
                        Ok(()) => continue,
                        Err(Stopped::Writer(WriterGone)) => return Ok(false),
                        Err(Stopped::Error(error)) => return Err(error),
                    }
                }
            };
            self.turns.push_back(Turn::Ready(Box::new(finished)));
            if let Err(WriterGone) = self.emit() {
                return Ok(false);
            }
        }
    }

    /// The next decoded item; while there is none, what is in flight is brought down.
    fn next(&mut self, decoded: &Receiver<Decoded>) -> Result<Next, Stopped> {
        let flying = self.order.len();
        if flying == 0 && self.filling.is_empty() {
            return Ok(decoded.recv().map_or(Next::End, Next::Item));
        }
        if self.workers.get(self.turn).is_some_and(|worker| worker.is_full() && worker.batch() == 1) {
            // A frame that would have to wait stays in the queue.
            return self.land().map(|()| Next::Again);
        }
        match decoded.try_recv() {
            Ok(item) => Ok(Next::Item(item)),
            Err(TryRecvError::Empty) if flying > 0 => self.land().map(|()| Next::Again),
            // Decoding is behind: what is there is worked on, though it is less than a batch.
            Err(TryRecvError::Empty) => self.submit().map(|()| Next::Again),
            Err(TryRecvError::Disconnected) => self.finish().map(|()| Next::End),
        }
    }

    fn take(&mut self, taken: Taken) -> Result<(), Stopped> {
        let Some(worker) = self.workers.first().filter(|_| self.spare.is_none()) else {
            // What is in flight comes first.
            self.finish()?;
            let finished = Engine::in_frame(taken.number, || self.stage_by_stage(taken))?;
            self.turns.push_back(Turn::Ready(Box::new(finished)));
            return Ok(self.emit()?);
        };
        let batch = worker.batch();
        self.turns.push_back(Turn::Awaited);
        self.filling.push(taken);
        if self.filling.len() >= batch { self.submit() } else { Ok(()) }
    }

    /// Asks for the work on what has been gathered.
    fn submit(&mut self) -> Result<(), Stopped> {
        while self.workers.get(self.turn).is_some_and(Resident::is_full) {
            self.land()?;
        }
        let frames = std::mem::take(&mut self.filling);
        if let Some(worker) = self.workers.get_mut(self.turn).filter(|_| !frames.is_empty()) {
            worker.submit(frames);
            self.order.push_back(self.turn);
            self.turn = (self.turn + 1) % self.workers.len();
        }
        // With one batch at a time its result is waited for at once.
        if self.plan.execution.latency { self.land() } else { Ok(()) }
    }

    /// Brings down what was asked for first.
    fn land(&mut self) -> Result<(), Stopped> {
        let Some(at) = self.order.pop_front() else { return Ok(()) };
        let plan = self.plan;
        let task = at.checked_sub(1).and_then(|further| plan.further.get(further)).unwrap_or(&plan.task);
        for frame in self.workers.get_mut(at).and_then(Resident::land).unwrap_or_default() {
            let finished = self.landed(task, frame)?;
            if let Some(turn) = self.turns.iter_mut().find(|turn| matches!(turn, Turn::Awaited)) {
                *turn = Turn::Ready(Box::new(finished));
            }
        }
        Ok(self.emit()?)
    }

    /// Works off all frames that were taken.
    fn finish(&mut self) -> Result<(), Stopped> {
        if !self.filling.is_empty() {
            self.submit()?;
        }
        while !self.order.is_empty() {
            self.land()?;
        }
        Ok(())
    }

    /// Ends early with `outcome`, after what the device is at.
    fn leave(mut self, outcome: Result<bool, PipelineError>) -> Result<bool, PipelineError> {
        while !self.order.is_empty() {
            match self.land() {
                Ok(()) => {}
                Err(Stopped::Writer(WriterGone)) => return outcome.and(Ok(false)),
                Err(Stopped::Error(error)) => return outcome.and(Err(error)),
            }
        }
        outcome
    }

    /// Sends on what is ready, in order.
    fn emit(&mut self) -> Result<(), WriterGone> {
        while matches!(self.turns.front(), Some(Turn::Ready(_))) {
            if let Some(Turn::Ready(finished)) = self.turns.pop_front() {
                self.out.send(*finished).map_err(|_| WriterGone)?;
            }
        }
        Ok(())
    }

    fn landed(&mut self, task: &Task, landed: Landed) -> Result<Finished, PipelineError> {
        let Landed { taken, objects, times: stages } = landed;
        stages.iter().for_each(|(stage, time)| self.times.record(stage, *time));
        let objects = self.rescued(task, &taken.frame, objects);
        let times = FrameTimes { number: taken.number, decode: taken.decode, latency: taken.at.elapsed(), stages };
        self.finished(taken.frame, objects, times)
    }

    /// One frame to its result on this thread, a stage after the other.
    fn stage_by_stage(&mut self, taken: Taken) -> Result<Finished, PipelineError> {
        let frame = taken.frame;
        let objects = self.contained(self.spare.as_ref().unwrap_or(&self.plan.task), &frame);
        let plan = self.plan;
        let objects = self.rescued(&plan.task, &frame, objects);
        let stages = self.times.take_recent(&Stages::OF_A_FRAME);
        let times = FrameTimes { number: taken.number, decode: taken.decode, latency: taken.at.elapsed(), stages };
        self.finished(frame, objects, times)
    }

    /// The objects of a frame for which the device of `task` had no memory, by the CPU where that is allowed.
    fn rescued(&mut self, task: &Task, frame: &Frame, objects: Objects) -> Objects {
        let Err(error) = objects else { return objects };
        let Some(lack) = lack(task, &error) else { return Err(error) };
        self.give_up(lack)?;
        match &self.spare {
            Some(spare) => self.contained(spare, frame),
            None => Err(error),
        }
    }

    fn contained(&self, task: &Task, frame: &Frame) -> Objects {
        let found = catch_unwind(AssertUnwindSafe(|| self.objects(task, frame)));
        found.unwrap_or_else(|_| Err(ModelError::Batch("the models failed by a fault of ultramotion".to_owned())))
    }

    fn objects(&self, task: &Task, frame: &Frame) -> Objects {
        let times = self.times;
        match task {
            Task::Extract { .. } => Ok(Vec::new()),
            Task::Detect(detector) => detector.detect(frame, times),
            Task::Segment(segmenter, prompts) => segmenter.segment(frame, prompts.of(frame), times),
            Task::Pipeline(detector, segmenter) => {
                let found = detector.detect(frame, times)?;
                segmenter.segment(frame, found.into_iter().map(Prompted::from_object).collect(), times)
            }
        }
    }

    /// A frame as outputs need it: what was decoded on the device goes back to the decoder.
    fn settled(&self, mut frame: Frame) -> Result<Frame, PipelineError> {
        let settled = picture::settle(&mut frame, self.plan.shows_pixels());
        let place = || format!("{}, frame {}", frame.source.path.display(), frame.index);
        settled.map_err(|source| PipelineError::Model { frame: place(), source: Box::new(source) })?;
        Ok(frame)
    }

    /// A frame's result, or the problem of this frame.
    fn finished(&self, frame: Frame, objects: Objects, times: FrameTimes) -> Result<Finished, PipelineError> {
        let place = format!("{}, frame {}", frame.source.path.display(), frame.index);
        match objects {
            Ok(objects) => {
                let result = FrameResult {
                    source: frame.source.ordinal,
                    index: frame.index,
                    timestamp: frame.timestamp,
                    file: frame.file.clone(),
                    size: frame.size(),
                    objects,
                };
                Ok(Finished::Frame { frame: self.settled(frame)?, result, times: Some(times) })
            }
            // Without memory all later frames would fail too.
            Err(error) if self.plan.on_error == OnError::Stop || matches!(error, ModelError::OutOfMemory(_)) => {
                Err(PipelineError::Model { frame: place, source: Box::new(error) })
            }
            Err(error) => {
                let input = frame.source.path.display().to_string();
                Ok(Finished::Problem(InputProblem { input, problem: format!("{place}: {error}") }))
            }
        }
    }
}

/// The models of a task that has any.
fn models_of(task: &Task) -> Option<Models<'_>> {
    match task {
        Task::Extract { .. } => None,
        Task::Detect(detector) => Some(Models { detector: Some(detector), segmenter: None, prompts: None }),
        Task::Segment(segmenter, prompts) => Some(Models { detector: None, segmenter: Some(segmenter), prompts: Some(prompts) }),
        Task::Pipeline(detector, segmenter) => Some(Models { detector: Some(detector), segmenter: Some(segmenter), prompts: None }),
    }
}

/// What the device of `task` lacks, if `error` says that it has no memory left.
fn lack(task: &Task, error: &ModelError) -> Option<OutOfMemory> {
    match error {
        ModelError::OutOfMemory(lack) => Some((**lack).clone()),
        error => task.engine()?.out_of_memory(error),
    }
}

/// Why the flow stops before the end.
enum Stopped {
    Writer(WriterGone),
    Error(PipelineError),
}

impl From<WriterGone> for Stopped {
    fn from(gone: WriterGone) -> Self {
        Self::Writer(gone)
    }
}

impl From<PipelineError> for Stopped {
    fn from(error: PipelineError) -> Self {
        Self::Error(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        pipeline::{Cancel, Event, Execution, Observer},
        sinks::{OutputMode, OutputSet},
        sources::SourceOptions,
    };
    use std::{
        collections::BTreeMap,
        sync::{Arc, Mutex},
    };

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Observer for Heard {
        fn event(&self, event: Event<'_>) {
            let heard = match event {
                Event::OutOfMemory(lack) => lack.device.clone(),
                Event::Fallback { from, to, .. } => format!("{from} to {to}"),
                _ => return,
            };
            self.0.lock().unwrap().push(heard);
        }
    }

    #[test]
    fn models_that_a_gpu_had_no_memory_for_are_told_as_events_and_in_the_report() {
        let folder = tempfile::tempdir().unwrap();
        let heard = Arc::new(Heard::default());
        let lack = OutOfMemory { device: "cuda:1".to_owned(), needed: None, used: 3, free: 2 };
        let plan = Plan {
            task: Task::Extract { stored_values: false },
            sources: Vec::new(),
            warnings: Vec::new(),
            source_options: SourceOptions::default(),
            on_error: OnError::Skip,
            output: folder.path().join("out"),
            output_mode: OutputMode::Fresh,
            outputs: OutputSet::default_for(false),
            stills: false,
            arguments: Vec::new(),
            settings: BTreeMap::new(),
            execution: Execution::default(),
            further: Vec::new(),
            given_up: Some(lack),
            fallback: None,
            device: "cpu".to_owned(),
            observer: heard.clone(),
            cancel: Cancel::default(),
        };
        plan.run().unwrap();
        assert_eq!(*heard.0.lock().unwrap(), ["cuda:1", "cuda:1 to cpu"]);
        let report = std::fs::read_to_string(folder.path().join("out/run.json")).unwrap();
        assert!(report.contains("cuda:1 was given up for the cpu"), "{report}");
    }
}
