//! `audit`.

use crate::{
    audit_args::{AuditArgs, BoundArgs},
    exit::Exit,
    inputs::{self, usage},
    run::on_interrupt,
    stream_args,
    terminal::{FrameBar, Terminal},
};
use std::{
    fs,
    num::NonZeroUsize,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use ultramotion::{
    Session,
    audit::{AuditEvent, AuditPlan, Bounds, Pass, Verdict, run as run_audit, to_html, to_text},
    engine::Engine,
    progress::{Cancel, Observer},
    run::{KpiFile, RunObserver},
    session::{Mode, SessionBuilder},
    sources::{Decode, SourceWarning},
    weights::HubConfig,
};

/// Audits the pipeline; exit code 1 unless every bound is proven to hold.
pub(crate) fn run(args: &AuditArgs, terminal: &Arc<Terminal>) -> anyhow::Result<Exit> {
    let opened = inputs::engine(&args.device)?;
    warn_on_cpu(&opened, terminal);
    let (mode, compare) = modes(args, &opened)?;
    let source_options = inputs::all_of(&args.source)?;
    let decode = source_options.decode;
    if let Some(path) = &args.passes.report {
        // Before the work is done, not after it.
        fs::write(path, "")
            .map_err(|e| anyhow::anyhow!("{}: cannot be written: {e}", path.display()))?;
    }
    let cancel = Cancel::default();
    on_interrupt(&cancel, terminal, "interrupted: finishing the frame");
    let bars = Arc::new(Bars {
        terminal: terminal.clone(),
        current: Mutex::default(),
    });
    let expanded = inputs::expanded(&args.source, None, &cancel, terminal, false);
    warn(&expanded.warnings, terminal);
    let plan = AuditPlan {
        sources: expanded.sources,
        streams: stream_args::of_audit(args, &source_options)?,
        source_options,
        // One is what a live stream has.
        decoders: args.source.decoders.0.unwrap_or(NonZeroUsize::MIN),
        frames: args.passes.frames.get().into(),
        warm_up: args.passes.warm_up.into(),
        duration: args.passes.duration,
        mode,
        compare,
        bounds: bounds(&args.bounds)?,
        arguments: inputs::command_line(),
        observer: bars.clone(),
        cancel,
    };
    let (mut kpis, mut opened) = (Vec::new(), Some(opened));
    let report = run_audit(&plan, |pass| {
        load(pass, args, decode, &mut opened, &mut kpis, terminal)
    });
    bars.clear();
    let report = match report {
        Err(error) if plan.cancel.is_requested() => {
            terminal.detail(&format!("{error:#}"));
            return Ok(Exit::Interrupted);
        }
        other => other?,
    };
    if terminal.json {
        terminal.print_json(&report)?;
    } else {
        terminal.print(to_text(&report).trim_end())?;
    }
    if let Some(path) = &args.passes.report {
        write_page(path, &to_html(&report))?;
    }
    kpis.iter().try_for_each(|kpi| kpi.check())?;
    Ok(if report.verdict == Verdict::Pass {
        Exit::Done
    } else {
        Exit::CheckFailed
    })
}

/// The session of a pass and what observes its run, besides the audit.
fn load(
    pass: Pass,
    args: &AuditArgs,
    decode: Decode,
    opened: &mut Option<Engine>,
    kpis: &mut Vec<Arc<KpiFile>>,
    terminal: &Terminal,
) -> anyhow::Result<(Session, Arc<RunObserver>)> {
    // The figures of an earlier pass hold a reference to its device.
    kpis.drain(..).try_for_each(|kpi| kpi.check())?;
    // A pass under the profiler must open it anew.
    let engine = opened
        .take()
        .map_or_else(|| inputs::engine(&args.device), Ok)?;
    inputs::check_decode(decode, &engine)?;
    let models = models(args)?.engine(engine.clone()).mode(pass.mode);
    let session = inputs::load(models, terminal)?;
    warn(&session.warnings(), terminal);
    let observer: Arc<RunObserver> = match &args.passes.kpi {
        Some(path) if !pass.profiled => {
            let kpi = Arc::new(KpiFile::append(path, Some(engine))?);
            kpis.push(kpi.clone());
            kpi
        }
        _ => Arc::new(()),
    };
    Ok((session, observer))
}

fn warn(warnings: &[SourceWarning], terminal: &Terminal) {
    warnings
        .iter()
        .for_each(|warning| terminal.warn(&warning.to_string()));
}

/// An audit of the CPU proves nothing, which is to be known before it is run.
fn warn_on_cpu(engine: &Engine, terminal: &Terminal) {
    if engine.is_cpu() {
        terminal.warn(
            "audit needs an NVIDIA GPU: on the CPU there are no copies and waits to observe, and nothing will be proven; \
             use a build with CUDA and --device cuda, or bench for the speed of the CPU",
        );
    }
}

fn write_page(path: &Path, page: &str) -> anyhow::Result<()> {
    fs::write(path, page).map_err(|e| anyhow::anyhow!("{}: cannot be written: {e}", path.display()))
}

/// The mode to audit, and the one to compare it with.
fn modes(args: &AuditArgs, engine: &Engine) -> anyhow::Result<(Mode, Option<Mode>)> {
    let mode = inputs::mode(args.passes.mode, engine)?;
    if !args.passes.compare {
        return Ok((mode, None));
    }
    match Mode::available(engine.is_cpu())
        .iter()
        .find(|other| **other != mode)
    {
        Some(other) => Ok((mode, Some(*other))),
        None => Err(usage(
            "--compare",
            "the CPU has the legacy mode only; use --device cuda",
        )),
    }
}

fn bounds(args: &BoundArgs) -> anyhow::Result<Bounds> {
    let sizes = [
        ("--max-latency-ms", args.max_latency_ms),
        ("--max-memory-mb", args.max_memory_mb),
        ("--max-drift-mb", args.max_drift_mb),
    ];
    for (option, value) in sizes {
        if !value.is_finite() || value < 0.0 {
            return Err(usage(
                option,
                format!("{value}: give a number that is not negative"),
            ));
        }
    }
    if !(0.0..=1.0).contains(&args.min_resident) {
        return Err(usage(
            "--min-resident",
            format!("{}: give a number from 0 to 1", args.min_resident),
        ));
    }
    Ok(Bounds {
        max_critical: args.max_critical,
        max_syncs: args.max_syncs,
        max_latency_ms: args.max_latency_ms,
        max_memory_mb: args.max_memory_mb,
        max_drift_mb: args.max_drift_mb,
        min_resident: args.min_resident,
    })
}

fn models(args: &AuditArgs) -> anyhow::Result<SessionBuilder> {
    let models = inputs::with_detector(Session::builder(), &args.detector, &args.selection);
    Ok(inputs::with_segmenter(models, &args.segmenter)
        .batch(args.passes.batch.into())
        .latency(args.passes.latency)
        .hub(HubConfig::from_env()?))
}

/// A bar for each pass.
struct Bars {
    terminal: Arc<Terminal>,
    current: Mutex<Option<FrameBar>>,
}

impl Bars {
    fn current(&self) -> MutexGuard<'_, Option<FrameBar>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn clear(&self) {
        if let Some(bar) = self.current().take() {
            bar.clear();
        }
    }
}

impl Observer<AuditEvent<'_>> for Bars {
    fn event(&self, event: AuditEvent<'_>) {
        match event {
            AuditEvent::PassBegan { name, frames } => {
                self.clear();
                self.terminal.detail(&format!("pass: {name}"));
                *self.current() = Some(self.terminal.frame_bar(name, frames));
            }
            AuditEvent::FrameDone => {
                if let Some(bar) = &*self.current() {
                    bar.advance();
                }
            }
            _ => {}
        }
    }
}
