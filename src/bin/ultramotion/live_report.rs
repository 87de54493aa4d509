//! A live loop on the terminal: a line of status, events on stderr, JSON lines on stdout.

use crate::{
    report::FrameEvent,
    terminal::{ClosedStdout, Terminal},
};
use indicatif::ProgressBar;
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, UNIX_EPOCH},
};
use ultramotion::{
    live::{LiveEvent, LiveFigures, LiveFrame, LiveOutput, LiveSummary},
    progress::Cancel,
    run::Summary,
    sinks::RecordLine,
    text::counted,
};

/// Time between changes of the line of status.
const REFRESH: Duration = Duration::from_millis(250);

/// Shows a loop; an output of it.
pub(crate) struct LiveReport {
    terminal: Arc<Terminal>,
    /// Ends the loop where nobody reads its results any more.
    cancel: Cancel,
    failure: Failure,
    status: ProgressBar,
    shown: Instant,
    /// Frames that were done when the status was shown last.
    done: u64,
}

/// Why results could not be printed.
#[derive(Clone, Default)]
pub(crate) struct Failure(Arc<Mutex<Option<anyhow::Error>>>);

impl Failure {
    /// Whether results could be printed.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let failure = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        failure.map_or(Ok(()), Err)
    }

    fn set(&self, error: anyhow::Error) {
        let mut failure = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(error);
    }
}

impl LiveReport {
    /// A report on `terminal` of a loop that `cancel` ends.
    pub(crate) fn new(terminal: Arc<Terminal>, cancel: Cancel, failure: Failure) -> Self {
        Self {
            status: terminal.status_line("live"),
            terminal,
            cancel,
            failure,
            shown: Instant::now(),
            done: 0,
        }
    }

    fn print(&self, value: &impl Serialize) {
        if let Err(error) = self.terminal.print_json(value) {
            if error.is::<ClosedStdout>() {
                self.cancel.request();
            }
            self.failure.set(error);
        }
    }

    fn print_frame(&self, frame: &LiveFrame) {
        // Numbers that are not finite have no line in the record either.
        let Some(line) = RecordLine::new(&frame.frame, &frame.detections, None) else {
            return;
        };
        let since = |from: Instant, to: Instant| milliseconds(to.saturating_duration_since(from));
        let (times, figures) = (&frame.times, &frame.figures);
        let arrival = times.arrival.time.duration_since(UNIX_EPOCH);
        let arrival = arrival.unwrap_or_default().as_secs_f64();
        self.print(&FrameEvent {
            kind: "frame",
            line,
            live: Some(json!({
                "arrival": (arrival * 1e6).round() / 1e6,
                "decode_ms": since(times.arrival.instant, times.decoded),
                "wait_ms": since(times.decoded, times.started),
                "models_ms": since(times.started, times.done),
                "latency_ms": since(times.arrival.instant, times.done),
                "figures": figures_of(figures),
            })),
        });
    }

    fn show_status(&mut self, frame: &LiveFrame) {
        let elapsed = self.shown.elapsed();
        if elapsed < REFRESH {
            return;
        }
        let figures = &frame.figures;
        let rate = figures.done.saturating_sub(self.done) as f64 / elapsed.as_secs_f64();
        (self.shown, self.done) = (Instant::now(), figures.done);
        let text = format!(
            "{rate:.1} frames/s, {}, latency p50 {:.1} ms, p99 {:.1} ms, {}",
            counted(frame.detections.len(), "object"),
            figures.latency.p50_ms,
            figures.latency.p99_ms,
            losses(figures),
        );
        self.terminal.beat(|| format!("live: {text}"));
        self.status.set_message(text);
    }
}

impl LiveOutput for LiveReport {
    fn frame(&mut self, frame: &Arc<LiveFrame>) {
        self.show_status(frame);
        if self.terminal.json {
            self.print_frame(frame);
        }
    }

    fn event(&mut self, event: &LiveEvent) {
        let line = match event {
            LiveEvent::Connected { input } => {
                self.terminal.say(&format!("{input}: connected"));
                json!({ "type": "connected", "input": input })
            }
            LiveEvent::Disconnected { input, reason } => {
                self.terminal.problem(&format!("{input}: {reason}"));
                json!({ "type": "disconnected", "input": input, "reason": reason })
            }
            LiveEvent::ClientConnected { client } => {
                self.terminal.say(&format!("{client}: connected"));
                json!({ "type": "client-connected", "client": client })
            }
            LiveEvent::ClientDisconnected { client, reason } => {
                self.terminal
                    .say(&format!("{client}: disconnected: {reason}"));
                json!({ "type": "client-disconnected", "client": client, "reason": reason })
            }
            LiveEvent::Dropped { frames } => {
                self.terminal
                    .detail(&format!("{} dropped", counted(*frames, "frame")));
                json!({ "type": "dropped", "frames": frames })
            }
            LiveEvent::FrameFailed { frame, problem } => {
                self.terminal.problem(problem);
                json!({ "type": "error", "frame": frame, "problem": problem })
            }
            LiveEvent::Warning(warning) => {
                self.terminal.warn(&warning.to_string());
                let input = warning.path.display().to_string();
                json!({ "type": "warning", "input": input, "problem": warning.to_string() })
            }
            LiveEvent::OutputProblem { problem } => {
                self.terminal.problem(problem);
                json!({ "type": "error", "problem": problem })
            }
            _ => return,
        };
        if self.terminal.json {
            self.print(&line);
        }
    }

    fn finish(&mut self) {
        self.status.finish_and_clear();
    }
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

fn figures_of(figures: &LiveFigures) -> Value {
    json!({
        "arrived": figures.arrived,
        "done": figures.done,
        "dropped": figures.dropped,
        "failed": figures.failed,
        "reconnects": figures.reconnects,
        "output_dropped": figures.output_dropped,
        "device_memory_mb": (figures.device_memory as f64 / f64::from(1 << 20) * 10.0).round() / 10.0,
        "uploads": figures.transfers[0],
        "downloads": figures.transfers[1],
    })
}

/// What did not get a result.
fn losses(figures: &LiveFigures) -> String {
    let mut text = format!("{} dropped", figures.dropped);
    for (count, what) in [
        (figures.failed, "failed"),
        (figures.output_dropped, "dropped by outputs"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    if figures.reconnects > 0 {
        text.push_str(&format!(", {}", counted(figures.reconnects, "reconnect")));
    }
    text
}

/// Prints how the loop over `input` ended.
pub(crate) fn print_summary(
    input: &str,
    summary: &LiveSummary,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    let seconds = summary.elapsed.as_secs_f64();
    let figures = &summary.figures;
    let rate = figures.done as f64 / seconds.max(1e-9);
    if terminal.json {
        return terminal.print_json(&json!({
            "type": "summary",
            "input": input,
            "interrupted": summary.interrupted,
            "seconds": (seconds * 1e3).round() / 1e3,
            "frames_per_second": (rate * 1e2).round() / 1e2,
            "figures": figures_of(figures),
            "latency": {
                "decode": summary.decode,
                "wait": summary.wait,
                "models": summary.models,
                "result": summary.result,
                "handed": summary.handed,
                "sent": summary.sent,
            },
            "output_problems": summary.output_problems,
        }));
    }
    let latency = &summary.result;
    terminal.print(&format!(
        "{input}: {} in {seconds:.1} s ({rate:.1}/s), latency p50 {:.1} ms, p90 {:.1}, p99 {:.1}, max {:.1}, {}",
        counted(figures.done, "frame"),
        latency.p50_ms,
        latency.p90_ms,
        latency.p99_ms,
        latency.max_ms,
        losses(figures),
    ))?;
    for (part, latency) in [
        ("decode", &summary.decode),
        ("wait", &summary.wait),
        ("models", &summary.models),
        ("to outputs", &summary.handed),
        ("sent", &summary.sent),
    ] {
        if latency.count > 0 {
            terminal.detail(&format!(
                "{part}: median {:.2} ms, p90 {:.2}, p99 {:.2}, max {:.2} ({})",
                latency.p50_ms,
                latency.p90_ms,
                latency.p99_ms,
                latency.max_ms,
                counted(latency.count, "time"),
            ));
        }
    }
    Ok(())
}

/// Prints what was recorded, and where.
pub(crate) fn print_recorded(recorded: &Summary, terminal: &Terminal) -> anyhow::Result<()> {
    if terminal.json {
        return terminal.print_json(&json!({
            "type": "recorded",
            "output": recorded.output.display().to_string(),
            "counts": recorded.counts,
            "errors": recorded.errors,
            "notices": recorded.notices,
        }));
    }
    recorded
        .notices
        .iter()
        .for_each(|notice| terminal.warn(notice));
    terminal.print(&format!(
        "{}: {} recorded, {}",
        recorded.output.display(),
        counted(recorded.counts.frames, "frame"),
        counted(recorded.counts.objects, "object"),
    ))
}
