//! The writing thread: all sinks, the record, and word to the observer.

use crate::{
    run::{
        counts::InputProblems,
        error::RunError,
        execute::{Done, Finished, as_problem},
        journal::Record,
        observer::Event,
        plan::Plan,
        report::DecodingReport,
    },
    session::{Stage, StageTimes},
    sinks::{Layout, Sink, SinkOptions, SinkSet, Stills},
};
use std::sync::mpsc::Receiver;

pub(crate) struct Writer<'a> {
    plan: &'a Plan,
    record: Record,
    sinks: SinkSet,
    /// Errors of the source that has not ended.
    errors: InputProblems,
    decoding: DecodingReport,
    notices: Vec<String>,
    warnings: InputProblems,
    times: &'a StageTimes,
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
            classes: plan.task.classes(),
            stills: if plan.stills {
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
            sinks,
            errors: InputProblems::default(),
            decoding: DecodingReport::default(),
            notices: Vec::new(),
            warnings: InputProblems::default(),
            times,
        })
    }

    /// Writes until nothing more comes.
    pub(crate) fn run(mut self, results: Receiver<Finished>) -> Result<Self, RunError> {
        for item in results {
            self.times.time(Stage::Write.name(), || self.write(item))?;
        }
        Ok(self)
    }

    fn write(&mut self, item: Finished) -> Result<(), RunError> {
        let observer = &self.plan.observer;
        match item {
            Finished::Began(info) => {
                self.sinks.begin_source(&info)?;
                observer.event(Event::SourceBegan(&info));
            }
            Finished::Frame {
                frame,
                result,
                times,
            } => {
                self.sinks.write(&frame, &result)?;
                if times.is_some() {
                    self.record.append(&frame, &result)?;
                }
                observer.event(Event::FrameDone {
                    source: &frame.source,
                    result: &result,
                    times: times.as_ref(),
                });
            }
            Finished::Decoding(info, decoding) => {
                observer.event(Event::Decoding {
                    source: &info,
                    decoding: &decoding,
                });
                self.decoding
                    .push(&info.name, decoding.name(), decoding.reason);
            }
            Finished::Warning(warning) => {
                observer.event(Event::Warning(&warning));
                self.warnings.push_new(&as_problem(&warning));
            }
            Finished::Problem(error) => {
                observer.event(Event::Problem {
                    input: &error.input,
                    problem: &error.problem,
                });
                self.errors.push(error);
            }
            Finished::OutOfMemory(lack) => observer.event(Event::OutOfMemory(&lack)),
            Finished::Fallback { from, to, reason } => {
                observer.event(Event::Fallback {
                    from: &from,
                    to: &to,
                    reason: &reason,
                });
                self.notices
                    .push(format!("{from} was replaced by the {to}: {reason}"));
            }
            Finished::Ended(info) => {
                self.sinks.end_source(&info)?;
                self.record
                    .end_source(&info, std::mem::take(&mut self.errors))?;
                observer.event(Event::SourceEnded(&info));
            }
        }
        Ok(())
    }

    /// All sources ended: completes the outputs of the whole run.
    pub(crate) fn finish(&mut self) -> Result<Done, RunError> {
        self.times
            .time(Stage::Finish.name(), || self.sinks.finish())?;
        Ok(self.leave())
    }

    /// The run ended early: leaves everything as it is.
    pub(crate) fn leave(&mut self) -> Done {
        let mut errors = self.record.errors().clone();
        errors.extend(std::mem::take(&mut self.errors));
        let (decoding, notices) = (
            std::mem::take(&mut self.decoding),
            std::mem::take(&mut self.notices),
        );
        let warnings = std::mem::take(&mut self.warnings);
        Done {
            counts: self.record.counts().clone(),
            errors,
            decoding,
            interrupted: false,
            in_vain: false,
            notices,
            warnings,
        }
    }
}
