//! An inference thread, one for each device: decoded frames in, results out in the same order, with several frames on the
//! device at a time.

use crate::{
    engine::Engine,
    frame::{Detections, Frame, Pixels},
    run::plan::Fallback,
    run::{
        counts::InputProblem,
        error::{FrameError, RunError},
        event::FrameTimes,
        messages::{Decoded, DecodedFrame, Finished, FinishedFrame, Item},
        plan::{OnError, Plan},
        prompts::RunPrompts,
        task::Task,
    },
    session::SessionError,
    session::{
        CompletedFrame, Executor, FallbackWork, GpuExecutor, MakeFallback, Mode, ModelError,
        Notice, Output, PendingFrame, Scheduler, StageTimes, Staged, settle,
    },
    sources::IssueKind,
};
use std::{
    collections::HashMap,
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TryRecvError},
    },
    time::Instant,
};

/// The writer thread has exited; its error is returned by `join`.
struct WriterClosed;

pub(crate) struct Flow<'a> {
    plan: &'a Plan,
    prompts: Option<&'a RunPrompts<'a>>,
    times: &'a StageTimes,
    scheduler: Scheduler<(usize, Item<FinishedFrame>)>,
    out: &'a SyncSender<Finished>,
    /// Numbers of frames, which the flows of all devices share.
    numbers: &'a AtomicU64,
    /// Lane and size of the frames in flight, by their numbers.
    in_flight: HashMap<u64, (usize, u64)>,
}

enum Next {
    Item(Decoded),
    /// Something else was done meanwhile.
    Again,
    End,
}

impl<'a> Flow<'a> {
    /// The flow of the device of `task`, which is one of the plan's.
    pub(crate) fn new(
        (plan, task): (&'a Plan, &'a Task),
        prompts: Option<&'a RunPrompts<'a>>,
        times: &'a StageTimes,
        out: &'a SyncSender<Finished>,
        numbers: &'a AtomicU64,
    ) -> Result<Self, RunError> {
        let one_at_a_time = plan.execution.latency;
        let scheduler = |executors| {
            Scheduler::new(
                executors,
                one_at_a_time,
                plan.fallback.clone().map(make_fallback),
            )
        };
        let (scheduler, failed) = match executor(plan, task) {
            Ok(executor) => (scheduler(vec![executor]), None),
            Err(error) => (scheduler(Vec::new()), Some(error)),
        };
        let mut flow = Self {
            plan,
            prompts,
            times,
            scheduler,
            out,
            numbers,
            in_flight: HashMap::new(),
        };
        if let Some(oom) = plan
            .oom_device
            .as_ref()
            .filter(|_| std::ptr::eq(task, &plan.task))
        {
            flow.notify(Notice::OutOfMemory(oom.clone()));
            flow.notify(Notice::Fallback(oom.clone()));
        }
        if let Some(error) = failed {
            flow.init_fallback(task, error)?;
        }
        Ok(flow)
    }

    /// The executor of `task` could not be prepared: if its device has no memory, the CPU may take over.
    fn init_fallback(&mut self, task: &Task, error: ModelError) -> Result<(), RunError> {
        let device = task
            .engine()
            .map_or_else(|| self.plan.device(), Engine::name);
        let outcome = match task.engine().and_then(|engine| error.out_of_memory(engine)) {
            Some(oom) => self.scheduler.enter_fallback(oom),
            None => Err(error),
        };
        self.notify_all();
        outcome.map_err(|source| RunError::Prepare {
            device,
            source: Box::new(source),
        })
    }

    /// Reports what happened to the devices, ahead of results that are still to come.
    fn notify_all(&mut self) {
        for notice in self.scheduler.take_notices() {
            self.notify(notice);
        }
    }

    fn notify(&self, notice: Notice) {
        let item = match notice {
            Notice::OutOfMemory(oom) => Finished::OutOfMemory(oom),
            Notice::Fallback(oom) => Finished::Fallback {
                from: oom.device.clone(),
                to: "cpu".to_owned(),
                reason: oom.to_string(),
            },
        };
        // A writer that has exited has an error of its own.
        let _ = self.out.send(item);
    }

    /// Works on decoded frames until there are no more: true if all sources ended.
    pub(crate) fn run(mut self, decoded: &Receiver<Decoded>) -> Result<bool, RunError> {
        loop {
            let next = self.next(decoded);
            if let Err(stopped) = self.emit() {
                return stopped.outcome();
            }
            let item = match next {
                Next::Item(item) => item,
                Next::Again => continue,
                Next::End => return Ok(true),
            };
            if self.plan.cancel.is_requested() {
                // What is in flight is finished; what was not submitted is left for the resumed run.
                return self.leave(Ok(false));
            }
            match self.take(item) {
                Ok(()) => {}
                Err(Leave(outcome)) => return self.leave(outcome),
            }
            if let Err(stopped) = self.emit() {
                return stopped.outcome();
            }
        }
    }

    /// The next decoded item; while there is none, the oldest batch in flight is waited for.
    fn next(&mut self, decoded: &Receiver<Decoded>) -> Next {
        if self.scheduler.is_idle() {
            return decoded.recv().map_or(Next::End, Next::Item);
        }
        if self.scheduler.is_full() {
            // A frame that would have to wait stays in the queue.
            self.scheduler.wait_next();
            return Next::Again;
        }
        match decoded.try_recv() {
            Ok(item) => Next::Item(item),
            Err(TryRecvError::Empty) if self.scheduler.has_in_flight() => {
                self.scheduler.wait_next();
                Next::Again
            }
            // Decoding is behind: what is there is worked on, though it is less than a batch.
            Err(TryRecvError::Empty) => {
                self.scheduler.submit();
                Next::Again
            }
            Err(TryRecvError::Disconnected) => {
                self.scheduler.drain();
                Next::End
            }
        }
    }

    fn take(&mut self, item: Decoded) -> Result<(), Leave> {
        match item {
            Decoded::Item(lane, item) => match item.into_frame() {
                Ok(frame) => self.take_frame(lane, frame),
                Err(item) => {
                    self.scheduler.pass((lane, item));
                    Ok(())
                }
            },
            Decoded::Broken(error) => Err(Leave(Err(RunError::Sink(error)))),
            Decoded::Cancelled => Err(Leave(Ok(false))),
        }
    }

    fn take_frame(&mut self, lane: usize, decoded: DecodedFrame) -> Result<(), Leave> {
        let DecodedFrame {
            frame,
            decode,
            stored,
            bytes,
        } = decoded;
        if let Some(found) = stored {
            if let Some(prompts) = self.prompts {
                prompts.count(&frame);
            }
            let frame = self.settled(frame).map_err(|error| Leave(Err(error)))?;
            let done = FinishedFrame {
                frame,
                found,
                times: None,
                bytes,
            };
            self.scheduler.pass((lane, Item::Frame(done)));
            return Ok(());
        }
        match self.prompts.map(|prompts| prompts.take(&frame)).transpose() {
            Ok(prompts) => {
                let number = self.numbers.fetch_add(1, Ordering::Relaxed);
                self.in_flight.insert(number, (lane, bytes));
                self.scheduler.push(PendingFrame {
                    frame,
                    prompts,
                    number,
                    decode,
                    queued_at: Instant::now(),
                });
            }
            Err(error) => {
                let refused = self.refused(&frame, error);
                let refused = refused.map_err(|error| Leave(Err(error)))?;
                self.scheduler.pass((lane, refused));
            }
        }
        Ok(())
    }

    /// Ends early with `outcome`, after what is in flight.
    fn leave(mut self, outcome: Result<bool, RunError>) -> Result<bool, RunError> {
        self.scheduler.cancel();
        match self.emit() {
            Ok(()) | Err(Stopped::Writer(WriterClosed)) => outcome,
            Err(Stopped::Error(error)) => outcome.and(Err(error)),
        }
    }

    /// Sends what is complete, in order.
    fn emit(&mut self) -> Result<(), Stopped> {
        self.notify_all();
        while let Some(output) = self.scheduler.pop() {
            let (lane, item) = match output {
                Output::Passed(passed) => passed,
                Output::Frame(completed) => {
                    let number = completed.pending.number;
                    let (lane, bytes) = self.in_flight.remove(&number).ok_or_else(|| {
                        RunError::Internal(format!("frame {number} came back twice"))
                    })?;
                    (lane, self.finished(*completed, bytes)?)
                }
            };
            self.out
                .send(Finished::Item(lane, item))
                .map_err(|_| Stopped::Writer(WriterClosed))?;
        }
        Ok(())
    }

    /// A frame as outputs need it: a surface goes back to its decoder, and pixels that nothing shows do not wait with the result.
    fn settled(&self, mut frame: Frame) -> Result<Frame, RunError> {
        let are_shown = self.plan.shows_pixels();
        let settled = settle(&mut frame, are_shown);
        if !are_shown {
            frame.pixels = Pixels::Released(frame.size());
            frame.stored = None;
        }
        let place = || format!("{}, frame {}", frame.source.path.display(), frame.index);
        settled.map_err(|source| RunError::Frame {
            frame: place(),
            source: Box::new(source.into()),
        })?;
        Ok(frame)
    }

    /// A frame's result, or the problem of this frame.
    fn finished(
        &self,
        completed: CompletedFrame,
        bytes: u64,
    ) -> Result<Item<FinishedFrame>, RunError> {
        let CompletedFrame {
            pending,
            objects,
            times: stages,
        } = completed;
        stages
            .iter()
            .for_each(|(stage, time)| self.times.record(stage, *time));
        let times = FrameTimes {
            number: pending.number,
            decode: pending.decode,
            latency: pending.queued_at.elapsed(),
            stages,
        };
        let frame = pending.frame;
        match objects {
            Ok(objects) => Ok(Item::Frame(FinishedFrame {
                found: Detections::new(frame.size(), objects),
                frame: self.settled(frame)?,
                times: Some(times),
                bytes,
            })),
            Err(error) => self.refused(&frame, error.into()),
        }
    }

    /// The problem of a frame, or the end of the run with it.
    ///
    /// # Errors
    /// [`RunError`] where all later frames would fail too: the device has no memory.
    fn refused(&self, frame: &Frame, error: FrameError) -> Result<Item<FinishedFrame>, RunError> {
        let place = format!("{}, frame {}", frame.source.path.display(), frame.index);
        let is_without_memory = matches!(error, FrameError::Model(ModelError::OutOfMemory(_)));
        if is_without_memory || self.plan.on_error == OnError::Stop {
            let error = RunError::Frame {
                frame: place,
                source: Box::new(error),
            };
            return match is_without_memory {
                true => Err(error),
                false => Ok(Item::Stop(Box::new(error))),
            };
        }
        let input = frame.source.path.display().to_string();
        Ok(Item::Problem(InputProblem {
            input,
            problem: format!("{place}: {error}"),
            kind: IssueKind::Other,
        }))
    }
}

/// What runs the models of `task`, one of the plan's.
fn executor(plan: &Plan, task: &Task) -> Result<Box<dyn Executor>, ModelError> {
    let (execution, models) = (plan.execution, task.models_to_run());
    Ok(match (execution.mode, models.engine()) {
        (Mode::Resident, Some(_)) => Box::new(GpuExecutor::new(
            models,
            execution.batch,
            execution.latency,
        )?),
        _ => Box::new(Staged::new(models)),
    })
}

/// The plan's fallback as work on single frames.
fn make_fallback(make: Fallback) -> MakeFallback {
    Box::new(move || {
        let session = make().map_err(|error| match error {
            SessionError::Model(error) => error,
            error => ModelError::Batch(error.to_string()),
        })?;
        let (models, _) = session.into_parts();
        let mut staged = Staged::new(models);
        Ok(Box::new(move |pending| staged.run(pending)) as FallbackWork)
    })
}

/// The run ends before its inputs do.
struct Leave(Result<bool, RunError>);

/// Why results cannot be sent on.
enum Stopped {
    Writer(WriterClosed),
    Error(RunError),
}

impl Stopped {
    fn outcome(self) -> Result<bool, RunError> {
        match self {
            Self::Writer(WriterClosed) => Ok(false),
            Self::Error(error) => Err(error),
        }
    }
}

impl From<RunError> for Stopped {
    fn from(error: RunError) -> Self {
        Self::Error(error)
    }
}

#[cfg(test)]
mod tests;
