//! A run's events as progress bars, lines on stderr, and JSON lines on stdout.

use crate::{
    hints::with_hint,
    progress::Progress,
    terminal::{ClosedStdout, Terminal},
};
use indicatif::ProgressBar;
use serde::Serialize;
use serde_json::json;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use ultramotion::{
    frame::{Detections, Frame, SourceInfo},
    progress::{Cancel, Observer},
    run::Event,
    sinks::RecordLine,
    sources::{FrameSelection, SourceOptions, SourceSpec, stated_frames},
    text::{counted, counted_are},
};

/// How long frames of sources are counted beside the run, in all.
const COUNTING: Duration = Duration::from_secs(60);

/// Shows a run.
pub(crate) struct Report {
    terminal: Arc<Terminal>,
    /// Ends the run where nobody reads its results any more.
    cancel: Cancel,
    /// The frames of a source that are computed.
    selection: FrameSelection,
    /// The limit of the size of pictures.
    max_pixels: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    progress: Progress,
    /// Frames of all sources.
    all: Option<ProgressBar>,
    /// Frames of the current source, where there are several sources.
    current: Option<ProgressBar>,
    several: bool,
    /// Positions of the run's sources among all, where it is one of several that share them.
    places: Option<Vec<usize>>,
    count: usize,
    failure: Option<anyhow::Error>,
}

impl State {
    /// The place of the source at `ordinal` among those of this run.
    fn place(&self, ordinal: usize) -> usize {
        let places = self.places.as_ref();
        places.map_or(ordinal, |places| {
            places.binary_search(&ordinal).unwrap_or(usize::MAX)
        })
    }

    /// Shows the frames of all sources.
    fn show(&self) {
        if let Some(all) = self.all.as_ref().filter(|all| !all.is_hidden()) {
            // Without any length the bar would be full.
            all.set_length(self.progress.total().0.max(1));
            all.set_position(self.progress.done());
            all.set_message(self.progress.text());
        }
    }
}

impl Report {
    /// A report on `terminal` of a run that reads its sources with `options` and that `cancel` ends.
    pub(crate) fn new(terminal: Arc<Terminal>, options: &SourceOptions, cancel: Cancel) -> Self {
        Self {
            terminal,
            cancel,
            selection: options.selection.clone(),
            max_pixels: options.max_pixels,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The run has so many sources.
    pub(crate) fn expect_sources(&self, count: usize) {
        let mut state = self.state();
        state.progress = Progress::new(count);
        state.several = count > 1;
        state.count = count;
        state.all = Some(self.terminal.message_bar("all", 0));
        state.show();
    }

    /// How many sources the run has.
    pub(crate) fn sources(&self) -> usize {
        self.state().count
    }

    /// The run has the sources at `places` among all.
    fn dealt(&self, places: &[usize]) {
        let mut state = self.state();
        state.progress = Progress::new(places.len());
        state.several = places.len() > 1;
        state.count = places.len();
        state.places = Some(places.to_vec());
        state.show();
    }

    /// Asks the files, beside the run, how many frames they state, so that the time left is that of the whole run. Ends at the
    /// request that is returned.
    pub(crate) fn count_frames(
        self: &Arc<Self>,
        sources: Vec<SourceSpec>,
    ) -> anyhow::Result<Cancel> {
        let (stop, report) = (Cancel::default(), self.clone());
        if sources.len() < 2 {
            return Ok(stop);
        }
        let asked = stop.clone();
        let count = move || {
            let start = Instant::now();
            for (ordinal, spec) in sources.iter().enumerate() {
                if asked.is_requested() || start.elapsed() > COUNTING {
                    return;
                }
                if report.lacks_frames(ordinal) {
                    report.expect_frames(ordinal, stated_frames(spec, report.max_pixels));
                }
            }
        };
        // Not waited for: it may hang in a file system as long as the run itself would.
        std::thread::Builder::new()
            .name("count".to_owned())
            .spawn(count)?;
        Ok(stop)
    }

    /// Whether nothing is known of the frames of a source.
    fn lacks_frames(&self, source: usize) -> bool {
        self.state().progress.lacks(source)
    }

    /// A source that has not begun states so many frames.
    fn expect_frames(&self, source: usize, frames: Option<u64>) {
        self.state()
            .progress
            .state(source, frames.map(|frames| self.selection.count_of(frames)));
    }

    /// Takes the bars away.
    pub(crate) fn clear(&self) {
        let mut state = self.state();
        for bar in [state.all.take(), state.current.take()]
            .into_iter()
            .flatten()
        {
            bar.finish_and_clear();
        }
    }

    /// Whether results could be printed.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.state().failure.take().map_or(Ok(()), Err)
    }

    fn began(&self, source: &SourceInfo) {
        let frames = source
            .frame_count
            .map(|frames| self.selection.count_of(frames));
        let mut state = self.state();
        let place = state.place(source.ordinal);
        state.progress.began(place, frames);
        if state.several && frames != Some(1) {
            state.current = Some(self.terminal.message_bar(&source.name, frames.unwrap_or(0)));
        }
    }

    fn frame_done(&self, computed: bool) {
        let mut state = self.state();
        state.progress.frame(computed, Instant::now());
        if let Some(bar) = state.current.as_ref().filter(|bar| !bar.is_hidden()) {
            bar.inc(1);
            let of = bar
                .length()
                .filter(|length| *length > 0)
                .map(|length| format!("/{length}"))
                .unwrap_or_default();
            bar.set_message(format!("{}{of} frames", bar.position()));
        }
        state.show();
        self.terminal.beat(|| state.progress.line());
    }

    fn ended(&self, source: &SourceInfo) {
        let mut state = self.state();
        if let Some(bar) = state.current.take() {
            bar.finish_and_clear();
        }
        let place = state.place(source.ordinal);
        state.progress.ended(place);
        state.show();
        self.terminal.beat(|| state.progress.line());
        drop(state);
        self.terminal
            .detail(&format!("{}: done", source.path.display()));
    }

    /// Shows an event on the progress bars and on stderr.
    fn show(&self, event: Event<'_>) {
        match event {
            Event::Resumed { sources, frames } => {
                self.state().progress.resume_at(sources);
                let (sources, frames) = (counted_are(sources, "source"), counted(frames, "frame"));
                self.terminal.say(&format!(
                    "resuming: {sources} done, and {frames} of the next"
                ));
            }
            Event::Dealt { shard, sources, of } => {
                self.dealt(sources);
                self.terminal.say(&format!(
                    "{shard}: {} of {}",
                    sources.len(),
                    counted(of, "source")
                ));
            }
            Event::AwaitsOwner { owner } => self.terminal.say(&format!(
                "the shard was begun by {owner}; waiting until that is found dead or alive"
            )),
            Event::Fallback { from, to, reason } => {
                self.terminal
                    .problem(&format!("{from}: {reason}; the run continues on the {to}"));
            }
            Event::SourceBegan(source) => self.began(source),
            Event::Decoding { source, decoding } => {
                let place = format!(
                    "{}: decoded on the {}",
                    source.path.display(),
                    decoding.name().to_uppercase()
                );
                match &decoding.reason {
                    Some(reason) => self.terminal.say(&format!("{place}: {reason}")),
                    None => self.terminal.detail(&place),
                }
            }
            Event::FrameDone { times, .. } => self.frame_done(times.is_some()),
            Event::SourceEnded(source) => self.ended(source),
            Event::Warning(warning) => self
                .terminal
                .warn(&with_hint(&warning.to_string(), warning.kind)),
            Event::Problem { problem, kind, .. } => {
                self.terminal.problem(&with_hint(problem, kind));
            }
            _ => {}
        }
    }

    /// Prints an event as a line of the `--json` stream, where it has one.
    fn print(&self, event: Event<'_>) -> anyhow::Result<()> {
        let line = match event {
            Event::FrameDone { frame, found, .. } => return self.print_frame(frame, found),
            Event::Fallback { from, to, reason } => {
                json!({ "type": "fallback", "from": from, "to": to, "reason": reason })
            }
            Event::Decoding { source, decoding } => {
                json!({ "type": "decoding", "source": source.name, "decoder": decoding.name(), "reason": decoding.reason })
            }
            Event::Warning(warning) => {
                let input = warning.path.display().to_string();
                json!({ "type": "warning", "input": input, "problem": warning.to_string() })
            }
            Event::Problem { input, problem, .. } => {
                json!({ "type": "error", "input": input, "problem": problem })
            }
            _ => return Ok(()),
        };
        self.terminal.print_json(&line)
    }

    /// A frame as its line in `detections.jsonl`, with a `type` like all lines of the stream.
    fn print_frame(&self, frame: &Frame, found: &Detections) -> anyhow::Result<()> {
        let Some(line) = RecordLine::new(frame, found, None) else {
            return Ok(());
        };
        self.terminal.print_json(&FrameEvent {
            kind: "frame",
            line,
            live: None,
        })
    }
}

/// A line of the `--json` stream.
#[derive(Serialize)]
pub(crate) struct FrameEvent<'a> {
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    #[serde(flatten)]
    pub(crate) line: RecordLine<'a>,
    /// Times and figures of a live loop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) live: Option<serde_json::Value>,
}

impl Observer<Event<'_>> for Report {
    fn event(&self, event: Event<'_>) {
        self.show(event);
        if !self.terminal.json {
            return;
        }
        if let Err(error) = self.print(event) {
            if error.is::<ClosedStdout>() {
                self.cancel.request();
            }
            self.state().failure.get_or_insert(error);
        }
    }
}
