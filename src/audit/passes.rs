//! The passes of an audit: one without a profiler for times and memory, one under CUPTI for the driver's records.

use super::{
    AuditError,
    cupti::Session as CuptiSession,
    observe::judge,
    plan::{AuditPlan, Pass},
    repeated::repeated,
    report::{self, ModeReport},
    series::{self, End, Sampled, Sampler},
    verdict::Measured,
    work_log::{ClockAlone, WorkLog},
};
use crate::{
    audit::event::AuditEvent,
    engine::Engine,
    progress::{Cancel, Observer},
    run::{Event, Run, RunError, RunObserver},
    session::{Mode, Session},
    sinks::OutputKind,
    sources::Inputs,
};
use std::sync::Arc;

/// Upper bound of the frames a second that a soak reads; sources are repeated for as many.
const MAX_RATE: u64 = 2_000;

impl AuditPlan {
    /// The pass without a profiler: what it measured, and the device's name. On the CPU the announcements are from it too.
    pub(super) fn measure<E: From<AuditError>>(
        &self,
        mode: Mode,
        load: &mut impl FnMut(Pass) -> Result<(Session, Arc<RunObserver>), E>,
    ) -> Result<(ModeReport, String), E> {
        let (session, observer) = load(Pass {
            mode,
            profiled: false,
        })?;
        let engine = session.engine().clone();
        let device = engine.name();
        let log = Arc::new(WorkLog::new(Box::new(ClockAlone::new()), self.last_frame()));
        if engine.is_cpu() {
            engine.watch(log.clone());
        }
        let end = self.duration.map_or(End::Frames(self.frames), End::After);
        let name = format!(
            "{}, {}",
            mode.name(),
            if self.duration.is_some() {
                "soak"
            } else {
                "latency"
            }
        );
        let sampled = self.pass(&name, end, session, (Some(engine), observer))?;
        let steady = self.warm_up..self.last_frame();
        let measured = Measured {
            latency_ms: Some(sampled.latency.median_ms),
            memory_mb: sampled
                .samples
                .iter()
                .filter_map(|s| s.device_mb)
                .reduce(f64::max),
            device_drift_mb: series::drift(sampled.samples.iter().map(|s| s.device_mb)),
            host_drift_mb: series::drift(sampled.samples.iter().map(|s| s.host_mb)),
            ..Measured::default()
        };
        let report = ModeReport {
            mode,
            observed: None,
            announced: report::announced(
                &log.take(),
                &steady,
                sampled.latency.frames.min(self.frames),
            ),
            graphs: Vec::new(),
            latency: sampled.latency,
            seconds: sampled.seconds,
            samples: sampled.samples,
            measured,
            problems: sampled.problems,
        };
        Ok((report, device))
    }

    /// The pass under CUPTI: completes `report` and says what could not be observed.
    pub(super) fn profile<E: From<AuditError>>(
        &self,
        load: &mut impl FnMut(Pass) -> Result<(Session, Arc<RunObserver>), E>,
        report: &mut ModeReport,
    ) -> Result<Vec<String>, E> {
        let mode = report.mode;
        let mut gaps = Vec::new();
        // Before anything is captured as a graph.
        let cupti = match CuptiSession::start() {
            Ok(cupti) => Some(cupti),
            Err(error) => {
                gaps.push(format!("copies, waits and allocations: {error}"));
                None
            }
        };
        let ids = if cupti.is_some() {
            CuptiSession::ids()
        } else {
            Box::new(ClockAlone::new()) as Box<_>
        };
        let log = Arc::new(WorkLog::new(ids, self.last_frame()));
        let (session, observer) = load(Pass {
            mode,
            profiled: true,
        })?;
        session.engine().watch(log.clone());
        let name = format!("{}, under CUPTI", mode.name());
        let sampled = self.pass(&name, End::Frames(self.frames), session, (None, observer))?;
        let works = log.take();
        let frames = sampled.latency.frames;
        let steady = self.warm_up..self.warm_up.saturating_add(frames);
        report.problems += sampled.problems;
        report.announced = report::announced(&works, &steady, frames);
        report.graphs = report::graphs(&works);
        if let Some(cupti) = cupti {
            let captured = cupti.stop()?;
            let (observed, measured, unseen) = judge(captured, &works, &steady, &report.graphs)?;
            let (critical, syncs, resident) =
                (measured.critical, measured.syncs, measured.resident);
            report.measured = Measured {
                critical,
                syncs,
                resident,
                ..report.measured
            };
            report.observed = Some(observed);
            gaps.extend(unseen);
        }
        Ok(gaps)
    }

    /// Runs the session until `end`; the sampler reads the memory of `engine`.
    fn pass(
        &self,
        name: &str,
        end: End,
        session: Session,
        (engine, observer): (Option<Engine>, Arc<RunObserver>),
    ) -> Result<Sampled, AuditError> {
        let folder = temporary_folder()?;
        let (stop, (frames, max_frames)) = (self.cancel.below(), self.frames_of(end));
        self.observer.event(AuditEvent::PassBegan { name, frames });
        let events = self.observer.clone();
        let sampler = Arc::new(Sampler::new(
            self.warm_up,
            end,
            stop.clone(),
            engine,
            events,
        ));
        let forward = Arc::new(Forward {
            from: self.cancel.clone(),
            to: stop.clone(),
        });
        let streams = match &self.streams {
            Some(open) => open(session.engine(), &stop).map_err(RunError::Source)?,
            None => Vec::new(),
        };
        let run = streams.into_iter().fold(Run::new(session), Run::source);
        run.inputs(Inputs {
            sources: repeated(&self.sources, max_frames),
            ..Inputs::default()
        })
        .source_options(self.source_options.clone())
        .decoders(self.decoders)
        .output(folder.path())
        .overwrite()
        .write([OutputKind::Coco])
        .arguments(self.arguments.clone())
        .observer(Arc::new(vec![
            sampler.clone() as Arc<RunObserver>,
            observer,
            forward,
        ]))
        .cancel(stop)
        .start()?;
        if self.cancel.is_requested() {
            return Err(AuditError::Interrupted);
        }
        let sampled = sampler.finish();
        if sampled.latency.frames == 0 {
            let problem = sampled
                .first_problem
                .unwrap_or_else(|| "the inputs have too few frames".to_owned());
            return Err(AuditError::NoFrames {
                warm_up: self.warm_up,
                problem,
            });
        }
        Ok(sampled)
    }

    /// Frames of a pass until `end`, warm-up included: how many it does, where that is known, and how many it reads at most.
    fn frames_of(&self, end: End) -> (Option<u64>, u64) {
        let with_warm_up = |frames: u64| self.warm_up.saturating_add(frames);
        match end {
            End::Frames(frames) => (Some(with_warm_up(frames)), with_warm_up(frames)),
            End::After(duration) => {
                let seconds = duration.as_secs().saturating_add(1);
                (None, with_warm_up(seconds.saturating_mul(MAX_RATE)))
            }
        }
    }
}

/// A folder for the outputs of a pass, which is removed when it is dropped.
fn temporary_folder() -> Result<tempfile::TempDir, AuditError> {
    tempfile::Builder::new()
        .prefix("ultramotion-audit-")
        .tempdir()
        .map_err(|error| AuditError::Folder {
            folder: std::env::temp_dir().display().to_string(),
            problem: error.to_string(),
        })
}

/// Forwards a request to end to a pass.
#[derive(Debug)]
struct Forward {
    from: Cancel,
    to: Cancel,
}

impl Observer<Event<'_>> for Forward {
    fn event(&self, _: Event<'_>) {
        if self.from.is_requested() {
            self.to.request();
        }
    }
}
