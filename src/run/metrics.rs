//! A file of figures, one line for each event of a run, written while it runs.
//!
//! Lines are `kpi ts=… event=… key=value …`, or JSON objects with the same keys where the file's name ends in `.jsonl`. They are
//! appended, each complete and flushed, by the run's writing thread: inference does not wait for them.
//! No keys and events exist beside [`KEYS`], [`EVENTS`] and [`LIVE_EVENTS`]; `docs/audit.md` defines each.

mod line;
#[cfg(test)]
mod tests;

use crate::{
    engine::{Engine, OutOfMemory},
    frame::{Detections, Frame, VisibilityChange},
    progress::Observer,
    run::event::{Event, FrameTimes},
};
use line::{format_line, milliseconds, rounded};
use serde_json::{Value, json};
use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The keys of lines beside those of stages, which are [`stage_key`] of a stage's name.
pub const KEYS: [&str; 28] = [
    "ts",
    "event",
    "source",
    "frame",
    "number",
    "decode_ms",
    "latency_ms",
    "objects",
    "best_score",
    "device_memory_mb",
    "sources",
    "frames",
    "input",
    "problem",
    "decoder",
    "reason",
    "device",
    "needed_mb",
    "used_mb",
    "free_mb",
    "from",
    "to",
    "track_id",
    "class",
    "score",
    "wait_ms",
    "models_ms",
    "client",
];

/// The events of lines of runs.
pub const EVENTS: [&str; 10] = [
    "frame",
    "visibility",
    "source-began",
    "source-ended",
    "resumed",
    "decoding",
    "input-warning",
    "input-error",
    "out-of-memory",
    "fallback",
];

/// The further events of lines of live loops.
pub const LIVE_EVENTS: [&str; 6] = [
    "connected",
    "disconnected",
    "client-connected",
    "client-disconnected",
    "dropped",
    "output-error",
];

/// The key of a stage's time.
pub fn stage_key(stage: &str) -> String {
    format!("{}_ms", stage.replace('-', "_"))
}

/// The figures could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot be written: {source}; choose another file", path.display())]
pub struct KpiError {
    path: PathBuf,
    source: io::Error,
}

/// How long a reading of the device's memory counts as new.
const MEMORY_AGE: Duration = Duration::from_millis(100);

/// A file of figures, written as an [`Observer`].
#[derive(Debug)]
pub struct KpiFile {
    path: PathBuf,
    json: bool,
    engine: Option<Engine>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: BufWriter<File>,
    memory: Option<(Instant, f64)>,
    failure: Option<io::Error>,
}

impl KpiFile {
    /// Opens `path` to append to, as JSON lines where its name ends in `.jsonl`; memory is read from `engine`.
    ///
    /// # Errors
    /// [`KpiError`] if the file cannot be opened.
    pub fn append(path: &Path, engine: Option<Engine>) -> Result<Self, KpiError> {
        let opened = OpenOptions::new().append(true).create(true).open(path);
        let file = opened.map_err(|source| KpiError {
            path: path.to_owned(),
            source,
        })?;
        let json = path
            .extension()
            .is_some_and(|extension| extension == "jsonl");
        let state = Mutex::new(State {
            file: BufWriter::new(file),
            memory: None,
            failure: None,
        });
        Ok(Self {
            path: path.to_owned(),
            json,
            engine,
            state,
        })
    }

    /// Writes one line of any `event` with its figures, in order.
    pub fn line(&self, event: &str, figures: Vec<(String, Value)>) {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        let line = format_line(self.json, now, event, figures);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = state
            .file
            .write_all(line.as_bytes())
            .and_then(|()| state.file.flush())
        {
            state.failure.get_or_insert(error);
        }
    }

    /// Whether every line could be written.
    ///
    /// # Errors
    /// [`KpiError`] with the first that could not.
    pub fn check(&self) -> Result<(), KpiError> {
        let failure = self
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .failure
            .take();
        failure.map_or(Ok(()), |source| {
            Err(KpiError {
                path: self.path.clone(),
                source,
            })
        })
    }

    fn device_memory_mb(&self) -> Option<f64> {
        let engine = self.engine.as_ref()?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, memory)) = state.memory
            && at.elapsed() < MEMORY_AGE
        {
            return Some(memory);
        }
        let (free, total) = engine.memory().ok()??;
        let memory = total.saturating_sub(free) as f64 / (1 << 20) as f64;
        state.memory = Some((Instant::now(), memory));
        Some(memory)
    }
}

impl Observer<Event<'_>> for KpiFile {
    fn event(&self, event: Event<'_>) {
        let (name, of_event) = match event {
            Event::FrameDone { times: None, .. }
            | Event::Dealt { .. }
            | Event::AwaitsOwner { .. } => return,
            Event::FrameDone {
                frame,
                found,
                times: Some(times),
            } => {
                self.line("frame", self.of_frame(frame, found, times));
                let changes = found.changes.iter();
                return changes
                    .for_each(|change| self.line("visibility", of_change(frame, change)));
            }
            Event::Resumed { sources, frames } => (
                "resumed",
                figures([("sources", json!(sources)), ("frames", json!(frames))]),
            ),
            Event::OutOfMemory(oom) => ("out-of-memory", of_memory(oom)),
            Event::Fallback { from, to, reason } => (
                "fallback",
                figures([
                    ("from", json!(from)),
                    ("to", json!(to)),
                    ("reason", json!(reason)),
                ]),
            ),
            Event::SourceBegan(source) => {
                ("source-began", figures([("source", json!(source.name))]))
            }
            Event::Decoding { source, decoding } => {
                let mut of_decoding = figures([
                    ("source", json!(source.name)),
                    ("decoder", json!(decoding.name())),
                ]);
                let reason = decoding.reason.as_ref();
                of_decoding.extend(reason.map(|reason| ("reason".to_owned(), json!(reason))));
                ("decoding", of_decoding)
            }
            Event::SourceEnded(source) => {
                ("source-ended", figures([("source", json!(source.name))]))
            }
            Event::Warning(warning) => {
                let input = warning.path.display().to_string();
                ("input-warning", of_input(&input, &warning.to_string()))
            }
            Event::Problem { input, problem, .. } => ("input-error", of_input(input, problem)),
        };
        self.line(name, of_event);
    }
}

impl KpiFile {
    fn of_frame(
        &self,
        frame: &Frame,
        found: &Detections,
        times: &FrameTimes,
    ) -> Vec<(String, Value)> {
        let mut of_frame = figures([
            ("source", json!(frame.source.name)),
            ("frame", json!(frame.index)),
            ("number", json!(times.number)),
            ("decode_ms", milliseconds(times.decode)),
        ]);
        let stages = times.stages.iter();
        of_frame.extend(stages.map(|(stage, time)| (stage_key(stage), milliseconds(*time))));
        of_frame.extend(figures([
            ("latency_ms", milliseconds(times.latency)),
            ("objects", json!(found.objects.len())),
        ]));
        let scores = found.objects.iter().map(|object| f64::from(object.score));
        if let Some(best) = scores.reduce(f64::max) {
            of_frame.push(("best_score".to_owned(), rounded(best, 1e4)));
        }
        if let Some(memory) = self.device_memory_mb() {
            of_frame.push(("device_memory_mb".to_owned(), rounded(memory, 10.0)));
        }
        of_frame
    }
}

fn of_change(frame: &Frame, change: &VisibilityChange) -> Vec<(String, Value)> {
    let mut of_change = figures([
        ("source", json!(frame.source.name)),
        ("frame", json!(frame.index)),
    ]);
    of_change.extend(change.track_id.map(|id| ("track_id".to_owned(), json!(id))));
    of_change.push(("class".to_owned(), json!(&*change.label)));
    let from = change.from.map(|from| ("from".to_owned(), json!(from)));
    of_change.extend(from);
    of_change.extend(figures([
        ("to", json!(change.to)),
        ("score", rounded(f64::from(change.score), 1e4)),
    ]));
    of_change
}

fn of_memory(oom: &OutOfMemory) -> Vec<(String, Value)> {
    let mib = |bytes: u64| rounded(bytes as f64 / f64::from(1 << 20), 10.0);
    let mut of_memory = figures([("device", json!(oom.device))]);
    of_memory.extend(
        oom.needed
            .map(|needed| ("needed_mb".to_owned(), mib(needed))),
    );
    of_memory.extend(figures([
        ("used_mb", mib(oom.used)),
        ("free_mb", mib(oom.free)),
    ]));
    of_memory
}

fn of_input(input: &str, problem: &str) -> Vec<(String, Value)> {
    figures([("input", json!(input)), ("problem", json!(problem))])
}

fn figures<const N: usize>(figures: [(&str, Value); N]) -> Vec<(String, Value)> {
    figures.map(|(key, value)| (key.to_owned(), value)).into()
}
