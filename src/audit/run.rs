//! The passes of an audit.

use super::{
    AuditError,
    attribute::attribute,
    captured::Captured,
    cupti::Session as CuptiSession,
    recording::Recording,
    report::{self, Announced, AuditReport, Graph, ModeReport, Observed},
    series::{self, End, Progress, Sampled, Sampler},
    verdict::{Bounds, Measured, kpis, verdict},
    work_log::{ClockAlone, WorkLog, Works},
};
use crate::{
    engine::{Engine, Span},
    run::{Cancel, Event, Observer, Run, RunError},
    session::{Mode, Session},
    sinks::OutputKind,
    sources::{Inputs, SourceError, SourceOptions, SourceSpec},
    text::counted,
};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

/// What is audited.
pub struct AuditPlan {
    /// Sources in order; they are read again from the start when they end too early.
    pub sources: Vec<Result<SourceSpec, SourceError>>,
    /// How sources are read.
    pub source_options: SourceOptions,
    /// Steady-state frames.
    pub frames: u64,
    /// Frames before steady state, in each pass.
    pub warm_up: u64,
    /// How long the pass without a profiler lasts, instead of `frames`.
    pub duration: Option<Duration>,
    /// The mode that is judged.
    pub mode: Mode,
    /// A mode to compare it with.
    pub compare: Option<Mode>,
    /// What must hold.
    pub bounds: Bounds,
    /// The command line, for the outputs' `run.json`.
    pub arguments: Vec<String>,
    /// Hears of passes and frames.
    pub progress: Arc<dyn Progress>,
    /// Ends the audit early.
    pub cancel: Cancel,
}

/// One run of the pipeline within an audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    /// The mode.
    pub mode: Mode,
    /// Whether a profiler is attached: what else is asked of the device then is on record too.
    pub profiled: bool,
}

/// Most sources of one pass, with those that are read again.
const MOST_SOURCES: usize = 200_000;
/// More frames a second than a pass reads, for how often sources must be read again.
const MOST_RATE: u64 = 2_000;

/// Audits: runs the real pipeline (its outputs go to a temporary folder), first without a profiler, then under CUPTI. `load`
/// makes the session of each pass anew, in the mode of the pass, with an observer of its frames. Where the first pass ran on the CPU there is nothing to
/// capture and no second one.
///
/// # Errors
/// Those of `load`, and [`AuditError`] if the pipeline could not run or did no frame after the warm-up. That CUPTI cannot be used
/// is no error: the report says so.
pub fn run<E: From<AuditError>>(
    plan: &AuditPlan,
    mut load: impl FnMut(Pass) -> Result<(Session, Arc<dyn Observer>), E>,
) -> Result<AuditReport, E> {
    // The audited mode first, since the device keeps memory for the program; all times before the first profiler.
    let (mut audited, device) = plan.measure(plan.mode, &mut load)?;
    let mut compared = plan
        .compare
        .map(|mode| plan.measure(mode, &mut load))
        .transpose()?
        .map(|(report, _)| report);
    let mut not_observed = Vec::new();
    if device == CPU {
        not_observed.push("copies, waits and allocations: the pipeline ran on the CPU, where no driver moves data".to_owned());
        not_observed.push("device memory and its drift: there is no device".to_owned());
    } else {
        not_observed.extend(plan.profile(&mut load, &mut audited)?);
        if let Some(compared) = &mut compared {
            let gaps = plan.profile(&mut load, compared)?;
            not_observed.extend(
                gaps.into_iter()
                    .map(|gap| format!("mode {}: {gap}", compared.mode.name())),
            );
        }
    }
    let kpis = kpis(&audited.measured, &plan.bounds, plan.duration.is_some());
    Ok(AuditReport {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        date: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        device,
        warm_up: plan.warm_up,
        compared,
        bounds: plan.bounds,
        verdict: verdict(&kpis, not_observed.is_empty()),
        kpis,
        audited,
        not_observed,
    })
}

/// Name of the device of a pipeline that has none.
const CPU: &str = "cpu";

impl AuditPlan {
    /// One past the last frame that is judged.
    fn last_frame(&self) -> u64 {
        self.warm_up.saturating_add(self.frames)
    }

    /// The pass without a profiler: what it measured, and the device's name. On the CPU the announcements are from it too.
    fn measure<E: From<AuditError>>(
        &self,
        mode: Mode,
        load: &mut impl FnMut(Pass) -> Result<(Session, Arc<dyn Observer>), E>,
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
    fn profile<E: From<AuditError>>(
        &self,
        load: &mut impl FnMut(Pass) -> Result<(Session, Arc<dyn Observer>), E>,
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

    /// Runs the pipeline until `end`; `engine` is asked for its memory.
    fn pass(
        &self,
        name: &str,
        end: End,
        session: Session,
        (engine, observer): (Option<Engine>, Arc<dyn Observer>),
    ) -> Result<Sampled, AuditError> {
        let folder = TemporaryFolder::new()?;
        let (stop, frames) = match end {
            End::Frames(frames) => (Cancel::default(), Some(self.warm_up.saturating_add(frames))),
            End::After(_) => (Cancel::default(), None),
        };
        self.progress.pass(name, frames);
        let progress = Box::new(self.progress.clone());
        let sampler = Sampler::new(self.warm_up, end, stop.clone(), engine, progress);
        let sampler = Arc::new(
            sampler.ok_or_else(|| RunError::Internal("no histogram of latencies".to_owned()))?,
        );
        let forward = Arc::new(Forward {
            from: self.cancel.clone(),
            to: stop.clone(),
        });
        let most = frames.unwrap_or_else(|| match end {
            End::After(duration) => self.warm_up.saturating_add(
                duration
                    .as_secs()
                    .saturating_add(1)
                    .saturating_mul(MOST_RATE),
            ),
            End::Frames(frames) => frames,
        });
        Run::new(session)
            .inputs(Inputs {
                sources: repeated(&self.sources, most),
                ..Inputs::default()
            })
            .source_options(self.source_options.clone())
            .output(&folder.path)
            .overwrite()
            .write([OutputKind::Coco])
            .arguments(self.arguments.clone())
            .observer(Arc::new(vec![
                sampler.clone() as Arc<dyn Observer>,
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
}

/// What was captured, what is measured by it, and what could not be observed.
fn judge(
    captured: Captured,
    works: &Works,
    steady: &std::ops::Range<u64>,
    graphs: &[Graph],
) -> Result<(Observed, Measured, Vec<String>), AuditError> {
    let attributed = attribute(
        captured.recording.activities()?,
        works,
        &captured.node_spans,
    );
    let (mut observed, measured) = report::observed(&attributed, works, steady, graphs);
    observed.profiler = captured.profiler;
    observed.records = captured.recording.len() as u64;
    observed.dropped = captured.dropped;
    let mut gaps = captured.gaps;
    if captured.dropped > 0 {
        gaps.push(format!(
            "{}: CUPTI had no room; audit fewer --frames",
            counted(captured.dropped, "record")
        ));
    }
    if observed.per_frame.kernels == 0.0 {
        gaps.push(
            "kernels: CUPTI recorded none in steady state, so its other records cannot be trusted"
                .to_owned(),
        );
    }
    Ok((observed, measured, gaps))
}

/// What was seen of some work.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The driver's records, judged.
    pub observed: Observed,
    /// Critical findings, waits, and the share of stages on the device.
    pub measured: Measured,
    /// Captured graphs.
    pub graphs: Vec<Graph>,
    /// The engine's announcements.
    pub announced: Vec<Announced>,
    /// What could not be observed; nothing is proven where there is something.
    pub gaps: Vec<String>,
    /// What all of this was made of.
    pub capture: Capture,
}

/// What was recorded of some work, before anything was made of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Capture {
    /// The driver's records.
    pub recording: Recording,
    /// The span in which each node of a graph was captured, by the id that records have.
    pub node_spans: BTreeMap<u64, Span>,
    /// What the engine told.
    pub works: Works,
}

/// Runs `work` under CUPTI on the engine that `open` opens, and judges its frames (see [`Engine::in_frame`]) in `steady`. For loops
/// of one's own; [`run`] does it for the pipeline. Only one at a time in a program.
///
/// # Errors
/// Those of `open` and `work`, and [`AuditError`] if CUPTI cannot be used.
pub fn observe<E: From<AuditError>>(
    steady: std::ops::Range<u64>,
    open: impl FnOnce() -> Result<Engine, E>,
    work: impl FnOnce(&Engine) -> Result<(), E>,
) -> Result<Observation, E> {
    let session = CuptiSession::start()?;
    let log = Arc::new(WorkLog::new(CuptiSession::ids(), steady.end));
    let engine = open()?;
    engine.watch(log.clone());
    work(&engine)?;
    drop(engine);
    let works = log.take();
    let graphs = report::graphs(&works);
    let captured = session.stop()?;
    let (recording, node_spans) = (captured.recording.clone(), captured.node_spans.clone());
    let (observed, measured, gaps) = judge(captured, &works, &steady, &graphs)?;
    let announced = report::announced(&works, &steady, observed.frames);
    let capture = Capture {
        recording,
        node_spans,
        works,
    };
    Ok(Observation {
        observed,
        measured,
        graphs,
        announced,
        gaps,
        capture,
    })
}

/// The sources, again and again until there are `most`, as many as there may be frames; with names of their own.
fn repeated(
    sources: &[Result<SourceSpec, SourceError>],
    most: u64,
) -> Vec<Result<SourceSpec, SourceError>> {
    let most = usize::try_from(most)
        .unwrap_or(usize::MAX)
        .min(MOST_SOURCES)
        .max(sources.len());
    let rounds = if sources.iter().any(Result::is_ok) {
        most.div_ceil(sources.len().max(1))
    } else {
        1
    };
    let again = |round: usize| {
        sources
            .iter()
            .filter(move |source| round == 0 || source.is_ok())
            .map(move |source| {
                source.clone().map(|spec| match round {
                    0 => spec,
                    _ => SourceSpec {
                        name: format!("{} ({})", spec.name, round + 1),
                        ..spec
                    },
                })
            })
    };
    (0..rounds).flat_map(again).take(most).collect()
}

/// Hands a request to end on to a pass.
#[derive(Debug)]
struct Forward {
    from: Cancel,
    to: Cancel,
}

impl Observer for Forward {
    fn event(&self, _: Event<'_>) {
        if self.from.is_requested() {
            self.to.request();
        }
    }
}

/// A folder that goes when it is dropped.
struct TemporaryFolder {
    path: PathBuf,
}

impl TemporaryFolder {
    fn new() -> Result<Self, AuditError> {
        let base = std::env::temp_dir();
        for attempt in 0..1000u32 {
            let path = base.join(format!(
                "ultramotion-audit-{}-{attempt}",
                std::process::id()
            ));
            match std::fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(AuditError::Folder {
                        folder: base.display().to_string(),
                        problem: error.to_string(),
                    });
                }
            }
        }
        Err(AuditError::Folder {
            folder: base.display().to_string(),
            problem: "too many are there".to_owned(),
        })
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // What cannot be removed is left to the system.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::SourceKind;

    #[test]
    fn sources_are_repeated_under_names_of_their_own_and_bad_ones_only_once() {
        let spec = SourceSpec {
            path: "a.png".into(),
            kind: SourceKind::Image,
            files: vec!["a.png".into()],
            name: "a".into(),
        };
        let sources = [Ok(spec), Err(SourceError::new("b.png", "is bad"))];
        let all = repeated(&sources, 5);
        let names: Vec<String> = all
            .iter()
            .map(|s| s.as_ref().map_or("bad".to_owned(), |s| s.name.clone()))
            .collect();
        assert_eq!(names, ["a", "bad", "a (2)", "a (3)"]);
        assert_eq!(repeated(&sources[1..], 5).len(), 1);
        assert!(repeated(&sources, u64::MAX).len() <= MOST_SOURCES);
    }
}
