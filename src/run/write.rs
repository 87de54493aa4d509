//! The writing thread: all sinks, the record, and word to the observer.

use crate::{
    datasets::{Export, ExportSource, SegOptions},
    frame::Frame,
    run::{
        counts::{InputProblem, InputProblems},
        error::{FrameError, RunError},
        event::Event,
        journal::Record,
        lanes::{Ahead, Lanes},
        messages::{Finished, FinishedFrame, Item, Written},
        plan::{OnError, Plan},
        report::{DecodingReport, RunReport},
        shard::Sharing,
    },
    session::{Refiner, Stage, StageTimes},
    sinks::{Layout, OutputKind, Sink, SinkOptions, SinkSet, Stills},
    sources::IssueKind,
};
use std::{collections::HashSet, sync::mpsc::Receiver};

pub(crate) struct Writer<'a> {
    plan: &'a Plan,
    record: Record,
    layout: Layout,
    sinks: SinkSet,
    /// Errors of the source that has not ended.
    errors: InputProblems,
    decoding: DecodingReport,
    notices: Vec<String>,
    warnings: InputProblems,
    times: &'a StageTimes,
    refiner: Refiner,
    /// Warnings that were reported of the source that has not ended.
    warned: HashSet<String>,
}

/// Lets decoders go that wait for the writer.
struct Closes<'a>(&'a Ahead);

impl Drop for Closes<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<'a> Writer<'a> {
    pub(crate) fn new(
        plan: &'a Plan,
        record: Record,
        layout: &Layout,
        times: &'a StageTimes,
    ) -> Result<Self, RunError> {
        let options = SinkOptions {
            outputs: plan.outputs.clone(),
            images: plan.images(),
            classes: plan.task.classes(),
            stills: if plan.stills() {
                Stills::Write
            } else {
                Stills::Skip
            },
            threads: std::thread::available_parallelism()
                .map_or(1, usize::from)
                .min(8),
        };
        let mut sinks = SinkSet::new(layout, &options)?;
        plan.own_sinks
            .take()
            .into_iter()
            .for_each(|sink| sinks.push(sink));
        Ok(Self {
            plan,
            record,
            layout: layout.clone(),
            sinks,
            errors: InputProblems::default(),
            decoding: DecodingReport::default(),
            notices: Vec::new(),
            warnings: InputProblems::default(),
            times,
            refiner: match plan.is_refined {
                true => Refiner::default(),
                false => Refiner::new(plan.refining.clone()),
            },
            warned: HashSet::new(),
        })
    }

    /// Writes until nothing more comes, in the order of the lanes.
    pub(crate) fn run(
        mut self,
        results: Receiver<Finished>,
        ahead: &Ahead,
    ) -> Result<Self, RunError> {
        let mut lanes = Lanes::new(ahead);
        // Also where it ends with an error: decoders must not wait for it.
        let _closes = Closes(ahead);
        for result in results {
            self.times
                .time(Stage::Write.name(), || self.write(result, &mut lanes))?;
        }
        Ok(self)
    }

    fn write(&mut self, result: Finished, lanes: &mut Lanes<'_>) -> Result<(), RunError> {
        let observer = &self.plan.observer;
        match result {
            Finished::Item(lane, item) => {
                lanes.push(lane, item);
                while let Some(item) = lanes.pop() {
                    let bytes = match &item {
                        Item::Frame(frame) => frame.bytes,
                        _ => 0,
                    };
                    self.item(item)?;
                    lanes.written(bytes);
                }
            }
            Finished::OutOfMemory(oom) => observer.event(Event::OutOfMemory(&oom)),
            Finished::Fallback { from, to, reason } => {
                observer.event(Event::Fallback {
                    from: &from,
                    to: &to,
                    reason: &reason,
                });
                self.notices
                    .push(format!("{from} was replaced by the {to}: {reason}"));
            }
        }
        Ok(())
    }

    /// Writes the next item of the source whose turn it is.
    pub(super) fn item(&mut self, item: Item<FinishedFrame>) -> Result<(), RunError> {
        let observer = &self.plan.observer;
        match item {
            Item::SourceBegan(info) => {
                self.sinks.begin_source(&info)?;
                observer.event(Event::SourceBegan(&info));
            }
            Item::Frame(finished) => self.frame(finished)?,
            Item::Decoding(info, decoding) => {
                observer.event(Event::Decoding {
                    source: &info,
                    decoding: &decoding,
                });
                self.decoding
                    .push(&info.name, decoding.name(), decoding.reason);
            }
            // Once a source, with the first frame that it is about.
            Item::Warning(warning) if !self.warned.insert(warning.problem.clone()) => {}
            Item::Warning(warning) => {
                observer.event(Event::Warning(&warning));
                self.warnings.push_new(&InputProblem::from(&warning));
            }
            Item::Problem(error) => self.problem(error),
            Item::Notice(text) => self.notices.push(text),
            Item::Stop(error) => return Err(*error),
            // Lanes keep these to themselves.
            Item::Voids(_) | Item::LaneEnded => {}
            Item::SourceEnded(info) => {
                self.warned.clear();
                self.check_owner()?;
                self.sinks.end_source(&info)?;
                self.record
                    .end_source(&info, std::mem::take(&mut self.errors))?;
                observer.event(Event::SourceEnded(&info));
            }
        }
        Ok(())
    }

    fn frame(&mut self, finished: FinishedFrame) -> Result<(), RunError> {
        let FinishedFrame {
            frame,
            mut found,
            times,
            bytes: _,
        } = finished;
        if times.is_some() && self.record.is_past(frame.index) {
            return self.too_late(&frame);
        }
        // Of a resumed run also what the record has: the tracks go on from there.
        self.refiner.frame(&frame, &mut found);
        self.check_owner()?;
        self.sinks.write(&frame, &found)?;
        if times.is_some() {
            self.record.append(&frame, &found)?;
        }
        self.plan.observer.event(Event::FrameDone {
            frame: &frame,
            found: &found,
            times: times.as_ref(),
        });
        Ok(())
    }

    /// A frame that failed before the run was interrupted, and succeeds now: what was found in the frames after it is in the
    /// record, and their tracks went on without it.
    fn too_late(&mut self, frame: &Frame) -> Result<(), RunError> {
        let error = FrameError::TooLate;
        let place = format!("{}, frame {}", frame.source.path.display(), frame.index);
        if self.plan.on_error == OnError::Stop {
            return Err(RunError::Frame {
                frame: place,
                source: Box::new(error),
            });
        }
        self.problem(InputProblem {
            input: frame.source.path.display().to_string(),
            problem: format!("{place}: {error}"),
            kind: IssueKind::Other,
        });
        Ok(())
    }

    fn problem(&mut self, error: InputProblem) {
        self.plan.observer.event(Event::Problem {
            input: &error.input,
            problem: &error.problem,
            kind: error.kind,
        });
        self.errors.push(error);
    }

    /// Whether the folder is still this run's, where several share the inputs.
    fn check_owner(&self) -> Result<(), RunError> {
        let shared = self.plan.shared.as_ref();
        let owner = shared.and_then(Sharing::owner);
        owner.map_or(Ok(()), |owner| Ok(owner.check()?))
    }

    /// All sources ended: completes the outputs of the whole run.
    pub(crate) fn finish(&mut self) -> Result<Written, RunError> {
        let times = self.times;
        times.time(Stage::Finish.name(), || {
            self.sinks.finish()?;
            // The data sets of shards are made when these are merged.
            match self.plan.shared {
                Some(_) => Ok(()),
                None => self.export(),
            }
        })?;
        Ok(self.leave())
    }

    /// Makes the data sets of the record.
    fn export(&mut self) -> Result<(), RunError> {
        let by_sinks = [OutputKind::Masks, OutputKind::Instances];
        let mut export = Export::new(
            self.plan
                .outputs
                .iter()
                .filter(|kind| kind.is_of_record() && !by_sinks.contains(kind)),
        );
        if export.kinds.is_empty() {
            return Ok(());
        }
        (export.masks, export.split) = (self.plan.masks, self.plan.split);
        let of_run = RunReport::start(
            Vec::new(),
            self.plan.fingerprint(),
            self.plan.model_reports(),
            self.plan.device(),
        );
        export.seg = SegOptions {
            algorithm: Some(of_run.algorithm()),
            ..self.plan.seg.clone()
        };
        export.report = of_run.page();
        // The sinks put them there.
        export.images = self.plan.images();
        export.image_root = self.plan.image_root();
        let classes = self.plan.task.classes();
        let source = ExportSource::Record(&self.layout.record(), &classes);
        let summary = export.write(source, self.layout.root())?;
        self.notices.extend(summary.notes);
        Ok(())
    }

    /// The run ended early: leaves everything as it is.
    pub(crate) fn leave(&mut self) -> Written {
        let mut errors = self.record.errors().clone();
        errors.extend(std::mem::take(&mut self.errors));
        let (decoding, notices) = (
            std::mem::take(&mut self.decoding),
            std::mem::take(&mut self.notices),
        );
        let warnings = std::mem::take(&mut self.warnings);
        Written {
            counts: self.record.counts().clone(),
            errors,
            decoding,
            interrupted: false,
            in_vain: false,
            notices,
            warnings,
            most_ahead: 0,
        }
    }
}
