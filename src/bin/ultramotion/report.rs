//! A run's events as progress bars, lines on stderr, and JSON lines on stdout.

use crate::terminal::Terminal;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use ultramotion::{
    frame::SourceInfo,
    pipeline::{Event, Observer},
    sinks::write_record,
};

/// Shows a run.
pub(crate) struct Report {
    terminal: Arc<Terminal>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    sources: usize,
    /// Sources that ended, among all.
    all: Option<ProgressBar>,
    /// Frames of the current source.
    current: Option<ProgressBar>,
    failure: Option<anyhow::Error>,
}

impl Report {
    /// A report that talks on `terminal`.
    pub(crate) fn new(terminal: Arc<Terminal>) -> Self {
        Self { terminal, state: Mutex::default() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// With several sources a second bar shows the whole set.
    pub(crate) fn expect_sources(&self, count: usize) {
        let mut state = self.state();
        state.sources = count;
        if count > 1 {
            state.all = Some(self.terminal.source_bar(count as u64));
        }
    }

    /// Takes the bars away.
    pub(crate) fn clear(&self) {
        let mut state = self.state();
        for bar in [state.all.take(), state.current.take()].into_iter().flatten() {
            bar.finish_and_clear();
        }
    }

    /// Whether results could be printed.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.state().failure.take().map_or(Ok(()), Err)
    }

    /// A frame as its line in `detections.jsonl`, told apart from other lines by `type`.
    fn print_frame(&self, source: &SourceInfo, result: &ultramotion::frame::FrameResult) -> anyhow::Result<()> {
        let Some(line) = write_record(source, None, result) else { return Ok(()) };
        let mut value: Value = serde_json::from_str(&line)?;
        if let Some(fields) = value.as_object_mut() {
            fields.insert("type".into(), json!("frame"));
        }
        self.terminal.print_json(&value)
    }
}

impl Observer for Report {
    fn event(&self, event: Event<'_>) {
        let printed = match event {
            Event::Resumed { sources, frames } => {
                self.terminal.say(&format!("resuming: {sources} sources are done, {frames} frames of the next one"));
                Ok(())
            }
            Event::OutOfMemory(_) => Ok(()),
            Event::Fallback { from, to, reason } => {
                self.terminal.problem(&format!("{from} is given up, the run goes on on the {to}: {reason}"));
                let line = json!({ "type": "fallback", "from": from, "to": to, "reason": reason });
                if self.terminal.json { self.terminal.print_json(&line) } else { Ok(()) }
            }
            Event::SourceBegan(source) => {
                let bar = self.terminal.frame_bar(&source.name, source.frame_count);
                self.state().current = Some(bar);
                Ok(())
            }
            Event::Decoding { source, decoding } => {
                let place = format!("{}: decoded on the {}", source.path.display(), decoding.name().to_uppercase());
                match &decoding.reason {
                    Some(reason) => self.terminal.say(&format!("{place}: {reason}")),
                    None => self.terminal.detail(&place),
                }
                let line = json!({ "type": "decoding", "source": source.name, "decoder": decoding.name(), "reason": decoding.reason });
                if self.terminal.json { self.terminal.print_json(&line) } else { Ok(()) }
            }
            Event::FrameDone { source, result, .. } => {
                if let Some(bar) = &self.state().current {
                    bar.inc(1);
                }
                if self.terminal.json { self.print_frame(source, result) } else { Ok(()) }
            }
            Event::SourceEnded(source) => {
                let mut state = self.state();
                if let Some(bar) = state.current.take() {
                    bar.finish_and_clear();
                }
                if let Some(all) = &state.all {
                    all.inc(1);
                }
                drop(state);
                self.terminal.detail(&format!("{}: done", source.path.display()));
                Ok(())
            }
            Event::Warning(warning) => {
                self.terminal.warn(&warning.to_string());
                let input = warning.path.display().to_string();
                let line = json!({ "type": "warning", "input": input, "problem": warning.to_string() });
                if self.terminal.json { self.terminal.print_json(&line) } else { Ok(()) }
            }
            Event::Problem { input, problem } => {
                self.terminal.problem(problem);
                let line = json!({ "type": "error", "input": input, "problem": problem });
                if self.terminal.json { self.terminal.print_json(&line) } else { Ok(()) }
            }
        };
        if let Err(error) = printed {
            self.state().failure.get_or_insert(error);
        }
    }
}
