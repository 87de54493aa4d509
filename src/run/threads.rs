//! The threads of a run, with bounded queues between them: for each device one of inference and those that decode for it, and
//! one that writes what all of them find.

use crate::{
    run::{
        counts::{InputProblem, InputProblems},
        decode::{Dealer, Decoder, Opener, Units, one_ahead},
        error::RunError,
        event::Event,
        infer::Flow,
        journal::Record,
        lanes::Ahead,
        messages::{Decoded, Finished, Written},
        plan::Plan,
        prompts::RunPrompts,
        task::Task,
        write::Writer,
    },
    session::{Mode, StageTimes},
    sinks::Layout,
    sources::{Decode, IssueKind, SourceOptions, SourceSpec},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        atomic::AtomicU64,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, Scope, ScopedJoinHandle},
};

/// Frames that may wait between decoding and inference, at least: two batches may, so that decoding goes on while one is worked on.
const DECODED_AHEAD: usize = 4;
/// Results that may wait to be written, at least.
const RESULTS_AHEAD: usize = 8;
/// Threads that decode for a GPU where the caller names no number: more do not make an H100 faster, and each video decoder takes a
/// quarter to half of a gigabyte of device memory.
const OF_GPU: usize = 6;
/// The same, at most, where the CPU decodes for a GPU.
const OF_CPU: usize = 8;

/// What all threads of a run share.
struct Shared<'a> {
    plan: &'a Plan,
    prompts: Option<&'a RunPrompts<'a>>,
    times: &'a StageTimes,
    dealer: Dealer<'a>,
    ahead: Ahead,
    numbers: AtomicU64,
}

impl Plan {
    /// Works on the sources that have not ended in the record.
    pub(super) fn work(
        &self,
        record: Record,
        (specs, unreadable): (Vec<SourceSpec>, InputProblems),
        prompts: Option<&RunPrompts<'_>>,
        layout: &Layout,
        times: &StageTimes,
    ) -> Result<Written, RunError> {
        self.report_unreadable(&unreadable)?;
        let starts_anew = record.ended_sources() == 0;
        if record.ended_sources() > 0 || record.stored_frames() > 0 {
            self.observer.event(Event::Resumed {
                sources: record.ended_sources(),
                frames: record.stored_frames(),
            });
        }
        let decoders = self.tasks().map(|task| self.decoders_of(task)).sum();
        let shared = Shared {
            plan: self,
            prompts,
            times,
            dealer: Dealer::new(specs, &record, self, decoders)?,
            ahead: Ahead::default(),
            numbers: AtomicU64::new(0),
        };
        let writer = Writer::new(self, record, layout, times)?;
        let (mut written, complete) = shared.run(writer)?;
        let mut done = if complete {
            written.finish()?
        } else {
            written.leave()
        };
        done.errors.extend(unreadable);
        done.interrupted = !complete;
        done.most_ahead = shared.ahead.most();
        if complete && starts_anew && self.shared.is_none() {
            self.check_boxes(prompts, &mut done);
        }
        Ok(done)
    }

    fn tasks(&self) -> impl Iterator<Item = &Task> {
        std::iter::once(&self.task).chain(&self.replicas)
    }

    /// Threads that decode for the device of `task`.
    pub(super) fn decoders_of(&self, task: &Task) -> usize {
        if let Some(decoders) = self.decoders {
            return decoders.get();
        }
        match task.engine() {
            // Models on the CPU keep its cores busy.
            None => 1,
            Some(engine) if engine.is_cpu() => 1,
            Some(_) if self.source_options.decode == Decode::Cpu => (cores() / 2).clamp(1, OF_CPU),
            Some(_) => OF_GPU,
        }
    }

    /// How the decoders for the device of `task` read sources.
    fn options_of(&self, task: &Task) -> SourceOptions {
        let mut options = SourceOptions {
            device: self.decode_device(task),
            ..self.source_options.clone()
        };
        // Models on a GPU read planes as they are, and no output reads pixels.
        let converts = task.engine().is_some_and(|engine| !engine.is_cpu());
        options.planes = converts && self.execution.mode == Mode::Resident && !self.shows_pixels();
        let decoders = self.decoders_of(task);
        if options.decode_threads == 0 && decoders > 1 {
            options.decode_threads = (cores() / decoders).max(1);
        }
        options
    }

    /// Adds an error where the file of boxes matched no frame of the run, a notice where it did not match all.
    fn check_boxes(&self, prompts: Option<&RunPrompts<'_>>, done: &mut Written) {
        let Some((prompts, of)) = prompts.and_then(|prompts| Some((prompts, prompts.matched()?)))
        else {
            return;
        };
        if of.frames > 0 && of.matched == 0 {
            let Some(error) = prompts.mismatch() else {
                return;
            };
            let problem = InputProblem {
                input: error.path.display().to_string(),
                problem: error.to_string(),
                kind: IssueKind::Other,
            };
            self.observer.event(Event::Problem {
                input: &problem.input,
                problem: &problem.problem,
                kind: problem.kind,
            });
            done.errors.push(problem);
            done.in_vain = true;
        } else if of.matched < of.frames {
            done.notices
                .push(format!("boxes for {} of {} frames", of.matched, of.frames));
        }
    }
}

impl<'a> Shared<'a> {
    /// The writer after all results, and whether all sources ended.
    fn run(&'a self, writer: Writer<'a>) -> Result<(Writer<'a>, bool), RunError> {
        let (plan, ahead) = (self.plan, &self.ahead);
        let batches = 2 * plan.execution.batch * (1 + plan.replicas.len());
        let (to_write, results) = sync_channel(batches.max(RESULTS_AHEAD));
        thread::scope(|scope| {
            let writing = spawn(scope, "write", move || writer.run(results, ahead))?;
            let others = plan.replicas.iter().enumerate();
            let others: Vec<_> = others
                .map(|(at, task)| {
                    let out = to_write.clone();
                    let name = format!("infer-{}", at + 1);
                    spawn(scope, &name, move || self.device(scope, task, &out))
                })
                .collect::<Result<_, _>>()?;
            let mut ends = vec![self.device(scope, &plan.task, &to_write)];
            drop(to_write);
            for other in others {
                ends.push(other.join().map_err(fault)?);
            }
            // A sink that failed ended the other threads: its error is the cause.
            let written = writing.join().map_err(fault)??;
            let mut complete = true;
            for end in ends {
                complete &= end?;
            }
            Ok((written, complete))
        })
    }

    /// Decodes for the device of `task` and works on what is decoded: true if all of it came to its end.
    fn device<'s>(
        &'a self,
        scope: &'s Scope<'s, '_>,
        task: &'a Task,
        out: &SyncSender<Finished>,
    ) -> Result<bool, RunError>
    where
        'a: 's,
    {
        let plan = self.plan;
        let (dealer, ahead) = (&self.dealer, &self.ahead);
        let opener = Opener::new(plan.options_of(task), self.times);
        let count = plan.decoders_of(task);
        let batches = 2 * plan.execution.batch;
        let (to_infer, decoded) = sync_channel(batches.max(DECODED_AHEAD).max(count));
        let mut decoders = Vec::with_capacity(count);
        for _ in 0..count {
            // Of several threads the others decode while one opens a source.
            let units = if dealer.is_for_one() {
                let ((ready, units), opener) = (one_ahead(), opener.clone());
                let open = move || opener.open_ahead(dealer, &ready);
                decoders.push(spawn(scope, "open", open)?);
                Units::Ahead(units)
            } else {
                Units::Dealt(dealer)
            };
            let decoder = Decoder::new(plan, (dealer, ahead), opener.clone());
            let out = to_infer.clone();
            decoders.push(spawn(scope, "decode", move || decoder.run(units, &out))?);
        }
        drop(to_infer);
        let inferred = catch_unwind(AssertUnwindSafe(|| self.infer(task, &decoded, out)));
        if !matches!(inferred, Ok(Ok(true))) {
            // Decoders must not wait for a turn that does not come.
            self.ahead.close();
        }
        drop(decoded);
        for decoder in decoders {
            decoder.join().map_err(fault)?;
        }
        inferred.map_err(fault)?
    }

    fn infer(
        &self,
        task: &Task,
        decoded: &Receiver<Decoded>,
        out: &SyncSender<Finished>,
    ) -> Result<bool, RunError> {
        Flow::new(
            (self.plan, task),
            self.prompts,
            self.times,
            out,
            &self.numbers,
        )
        .and_then(|flow| flow.run(decoded))
    }
}

fn spawn<'s, T: Send + 's>(
    scope: &'s Scope<'s, '_>,
    name: &str,
    work: impl FnOnce() -> T + Send + 's,
) -> Result<ScopedJoinHandle<'s, T>, RunError> {
    let thread = thread::Builder::new().name(name.to_owned());
    thread
        .spawn_scoped(scope, work)
        .map_err(|e| RunError::Internal(format!("a thread could not be started: {e}")))
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn fault<E>(_: E) -> RunError {
    RunError::Internal("a thread of the run panicked; this is a fault of ultramotion".to_owned())
}
