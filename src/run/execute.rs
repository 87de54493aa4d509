//! Runs a plan from its folder to its report.

use crate::{
    run::{
        counts::{Counts, InputProblem, InputProblems},
        error::RunError,
        event::Event,
        journal::Record,
        messages::Written,
        output_dir::{OutputDir, OutputMode},
        plan::{OnError, Plan, Summary},
        prompts::RunPrompts,
        report::{ModelFile, ModelReport, RunReport, RunStatus, ShardReport},
        shard::{Owner, Sharing},
        task::Task,
    },
    session::StageTimes,
    sinks::{ImagesMode, Layout, SinkError},
    sources::{SourceSpec, SourceWarning},
};
use std::collections::BTreeMap;

impl Plan {
    /// Runs the plan to its end, to the first error under [`OnError::Stop`], or until it is cancelled.
    ///
    /// Inputs that fail are counted in the summary. The output folder then holds all outputs of all sources that ended;
    /// after an early end, `run.json` says so and the run can be resumed. Where no input could be read at all there is no
    /// output folder, unless there was one before.
    ///
    /// # Errors
    /// [`RunError`] if outputs cannot be written, an input fails under [`OnError::Stop`], no frame has a box in the
    /// file of boxes, or the run to be resumed had other inputs, models or settings. What was done until then is kept.
    pub(crate) fn run(self) -> Result<Summary, RunError> {
        self.join()?.run_alone()
    }

    fn run_alone(self) -> Result<Summary, RunError> {
        let (specs, unreadable) = self.split_sources();
        let resumes = self.output_mode == OutputMode::Resume && !is_fresh(&self.output);
        let nothing = specs.is_empty() && self.own_sources.is_empty() && unreadable.count > 0;
        // A shard without inputs is complete, and says so in its folder.
        if nothing && !resumes && self.shared.is_none() {
            return self.without_inputs(unreadable);
        }
        let prompts = match &self.task {
            Task::Segment(_, user) => Some(RunPrompts::new(
                user,
                self.refining.found_from(user.confidence),
                &specs,
                &self.source_options,
            )?),
            _ => None,
        };
        let specs = self.own_of(specs);
        let of_prompts = prompts.as_ref().map(RunPrompts::warnings);
        let warnings = [self.warnings.clone(), of_prompts.unwrap_or_default()].concat();
        let summary = self.conduct(&warnings, &specs, |record, layout, times| {
            let inputs = (specs.clone(), unreadable);
            self.work(record, inputs, prompts.as_ref(), layout, times)
        })?;
        let matched = prompts
            .as_ref()
            .filter(|_| self.shared.is_none())
            .and_then(RunPrompts::matched);
        Ok(Summary {
            boxes: matched,
            ..summary
        })
    }

    /// Prepares the output folder, lets `work` fill it, and completes the report.
    ///
    /// # Errors
    /// What preparing, `work` and the report give.
    pub(super) fn conduct(
        &self,
        warnings: &[SourceWarning],
        specs: &[SourceSpec],
        work: impl FnOnce(Record, &Layout, &StageTimes) -> Result<Written, RunError>,
    ) -> Result<Summary, RunError> {
        let folder = self.folder()?;
        let layout = folder.layout().clone();
        let (mut report, record) = self.begin(&folder)?;
        warnings
            .iter()
            .for_each(|warning| report.warnings.push_new(&InputProblem::from(warning)));
        self.check_inputs(&record, specs)?;
        report.write(&layout)?;
        self.warn(warnings);
        let times = StageTimes::default();
        let outcome = work(record, &layout, &times);
        report.timings = times.summaries();
        let status = self.note_outcome(&outcome, &mut report);
        report.end(status);
        if self.is_lost() {
            // The folder is another's now.
            outcome?;
            return Err(lost(&self.output));
        }
        let in_vain = || folder.is_new() && is_in_vain(&outcome, &layout.record());
        let kept = self.shared.is_some() || !in_vain();
        if kept {
            report.write(&layout)?;
        } else {
            folder.discard()?;
        }
        outcome.map(|done| Summary {
            counts: done.counts,
            errors: done.errors,
            timings: report.timings,
            interrupted: status == RunStatus::Interrupted,
            output: self.output.clone(),
            kept,
            notices: report.notices,
            boxes: None,
        })
    }

    /// Of the specifications that the plan has, those of this run.
    fn own_of(&self, specs: Vec<SourceSpec>) -> Vec<SourceSpec> {
        match &self.shared {
            Some(shared) if shared.has_all() => shared.ordinals().pick(&specs),
            _ => specs,
        }
    }

    /// The output folder, which others are kept out of by a lock, or by its shard's owner.
    fn folder(&self) -> Result<OutputDir, SinkError> {
        match &self.shared {
            Some(_) => OutputDir::prepare_owned(&self.output, self.output_mode),
            None => OutputDir::prepare(&self.output, self.output_mode),
        }
    }

    /// Whether another process has taken the shard over.
    fn is_lost(&self) -> bool {
        let owner = self.shared.as_ref().and_then(Sharing::owner);
        owner.is_some_and(Owner::is_lost)
    }

    /// The report of this run, and the record that it continues or makes.
    fn begin(&self, folder: &OutputDir) -> Result<(RunReport, Record), RunError> {
        let mut report = RunReport::start(
            self.arguments.clone(),
            self.fingerprint(),
            self.model_reports(),
            self.device(),
        );
        report.recording = self.is_refined;
        let layout = folder.layout();
        report.image_root = match self.images() {
            ImagesMode::None => self
                .image_root()
                .map(|root| root.to_string_lossy().into_owned()),
            _ => Some("images".to_owned()),
        };
        report.shard = self.shared.as_ref().map(|shared| ShardReport {
            number: shared.shard().number,
            of: shared.shard().of,
            unreadable: shared.unreadable().to_vec(),
        });
        let shared = self.shared.as_ref();
        let ordinals = shared.map(Sharing::ordinals).unwrap_or_default();
        let record = match folder.earlier() {
            Some(earlier) => {
                report.check_resumes(earlier, layout)?;
                report.warnings = earlier.warnings.clone();
                Record::resume_of(layout, ordinals)?
            }
            None => {
                // First: a folder of outputs without a report is not resumed.
                report.write(layout)?;
                Record::create_of(layout, ordinals)?
            }
        };
        Ok((report, record))
    }

    fn warn(&self, warnings: &[SourceWarning]) {
        warnings
            .iter()
            .for_each(|warning| self.observer.event(Event::Warning(warning)));
    }

    /// The end of a run over nothing that can be read: its errors, and no output folder.
    fn without_inputs(&self, errors: InputProblems) -> Result<Summary, RunError> {
        self.warn(&self.warnings);
        self.report_unreadable(&errors)?;
        Ok(Summary {
            counts: Counts::default(),
            errors,
            timings: BTreeMap::new(),
            interrupted: false,
            output: self.output.clone(),
            kept: false,
            notices: Vec::new(),
            boxes: None,
        })
    }

    /// Reports the inputs that could not be read.
    pub(super) fn report_unreadable(&self, unreadable: &InputProblems) -> Result<(), RunError> {
        for error in &unreadable.first {
            self.observer.event(Event::Problem {
                input: &error.input,
                problem: &error.problem,
                kind: error.kind,
            });
        }
        match self.sources.iter().find_map(|source| source.as_ref().err()) {
            Some(error) if self.on_error == OnError::Stop => Err(RunError::Source(error.clone())),
            _ => Ok(()),
        }
    }

    fn note_outcome(
        &self,
        outcome: &Result<Written, RunError>,
        report: &mut RunReport,
    ) -> RunStatus {
        match outcome {
            Ok(done) => {
                report.counts = done.counts.clone();
                report.errors = done.errors.clone();
                report.decoding = done.decoding.clone();
                report.decoding.most_ahead_bytes = done.most_ahead;
                report.notices = done.notices.clone();
                done.warnings
                    .first
                    .iter()
                    .for_each(|warning| report.warnings.push_new(warning));
                if done.interrupted {
                    RunStatus::Interrupted
                } else {
                    RunStatus::Completed
                }
            }
            Err(error) => {
                report.failure = Some(error.to_string());
                RunStatus::Failed
            }
        }
    }

    pub(crate) fn model_reports(&self) -> Vec<ModelReport> {
        let report = |(role, origin): (&str, &crate::session::ModelOrigin)| ModelReport {
            role: role.to_owned(),
            name: origin.name.clone(),
            repository: origin.repository.clone(),
            revision: origin.revision.clone(),
            files: origin
                .files
                .iter()
                .map(|(path, sha256)| ModelFile {
                    path: path.clone(),
                    sha256: sha256.clone(),
                })
                .collect(),
        };
        self.task.models().into_iter().map(report).collect()
    }

    fn split_sources(&self) -> (Vec<SourceSpec>, InputProblems) {
        let (mut specs, mut errors) = (Vec::new(), InputProblems::default());
        for source in &self.sources {
            match source {
                Ok(spec) => specs.push(spec.clone()),
                Err(error) if self.shared.is_none() => errors.push(InputProblem::from(error)),
                Err(_) => {}
            }
        }
        let dealt = self.shared.iter().flat_map(Sharing::unreadable);
        dealt.for_each(|unreadable| errors.push(unreadable.problem.clone()));
        (specs, errors)
    }

    /// Whether the sources that ended in an earlier run, and the one it was at, are still the first ones.
    fn check_inputs(&self, record: &Record, specs: &[SourceSpec]) -> Result<(), RunError> {
        let ended = record.ends()?.map(|end| Ok::<_, RunError>(end?.name));
        let open = record.open_source().map(|name| Ok(name.to_owned()));
        let mut names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
        let own = self.own_sources.names(names.iter().copied());
        names.extend(own.iter().map(String::as_str));
        for (ordinal, earlier) in ended.chain(open).enumerate() {
            let earlier = earlier?;
            let now = names.get(ordinal).copied().unwrap_or("absent");
            if earlier != now {
                let folder = self.output.clone();
                return Err(RunError::OtherInputs {
                    folder,
                    ordinal,
                    earlier,
                    now: now.to_owned(),
                });
            }
        }
        Ok(())
    }
}

/// The error of a shard that another process has taken over at its end.
fn lost(folder: &std::path::Path) -> RunError {
    SinkError::new(folder, "another process has taken the shard over").into()
}

/// Whether there is no output folder yet, or an empty one.
fn is_fresh(output: &std::path::Path) -> bool {
    std::fs::read_dir(output).map_or(true, |mut entries| entries.next().is_none())
}

/// Whether a run has nothing to show: its inputs failed before the first frame, or no frame had boxes in the file of boxes.
fn is_in_vain(outcome: &Result<Written, RunError>, record: &std::path::Path) -> bool {
    let no_frame = std::fs::metadata(record).is_ok_and(|meta| meta.len() == 0);
    match outcome {
        Ok(done) => !done.interrupted && (done.in_vain || no_frame && done.errors.count > 0),
        Err(RunError::Source(_)) => no_frame,
        Err(_) => false,
    }
}
