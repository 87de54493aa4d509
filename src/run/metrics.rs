//! Figures of a run as it goes on, a line an event: `--kpi FILE`.
//!
//! Lines are `kpi ts=… event=… key=value …`, or JSON objects with the same keys where the file's name ends in `.jsonl`. They are
//! appended, each complete and flushed, by the run's writing thread: inference does not wait for them.
//! [`KEYS`] and [`EVENTS`] are all there are; `docs/audit.md` says what each means.

use crate::{
    engine::Engine,
    run::observer::{Event, Observer},
};
use serde_json::{Map, Value, json};
use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The keys of lines beside those of stages, which are [`stage_key`] of a stage's name.
pub const KEYS: [&str; 22] = [
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
];

/// The events of lines.
pub const EVENTS: [&str; 9] = [
    "frame",
    "source-began",
    "source-ended",
    "resumed",
    "decoding",
    "input-warning",
    "input-error",
    "out-of-memory",
    "fallback",
];

/// The key of a stage's time.
pub fn stage_key(stage: &str) -> String {
    format!("{}_ms", stage.replace('-', "_"))
}

/// The figures could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot be written: {source}; choose another file with --kpi", path.display())]
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

impl Observer for KpiFile {
    fn event(&self, event: Event<'_>) {
        let own = |figures: Vec<(&str, Value)>| {
            figures
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect::<Vec<_>>()
        };
        match event {
            Event::FrameDone { times: None, .. } => {}
            Event::FrameDone {
                frame,
                found,
                times: Some(times),
            } => {
                let mut figures = own(vec![
                    ("source", json!(frame.source.name)),
                    ("frame", json!(frame.index)),
                    ("number", json!(times.number)),
                    ("decode_ms", milliseconds(times.decode)),
                ]);
                figures.extend(
                    times
                        .stages
                        .iter()
                        .map(|(stage, time)| (stage_key(stage), milliseconds(*time))),
                );
                figures.extend(own(vec![
                    ("latency_ms", milliseconds(times.latency)),
                    ("objects", json!(found.objects.len())),
                ]));
                if let Some(best) = found
                    .objects
                    .iter()
                    .map(|o| f64::from(o.score))
                    .reduce(f64::max)
                {
                    figures.push(("best_score".to_owned(), rounded(best, 1e4)));
                }
                if let Some(memory) = self.device_memory_mb() {
                    figures.push(("device_memory_mb".to_owned(), rounded(memory, 10.0)));
                }
                self.line("frame", figures);
            }
            Event::Resumed { sources, frames } => self.line(
                "resumed",
                own(vec![("sources", json!(sources)), ("frames", json!(frames))]),
            ),
            Event::OutOfMemory(oom) => {
                let mib = |bytes: u64| rounded(bytes as f64 / f64::from(1 << 20), 10.0);
                let mut figures = own(vec![("device", json!(oom.device))]);
                figures.extend(oom.needed.map(|n| ("needed_mb".to_owned(), mib(n))));
                figures.extend(own(vec![
                    ("used_mb", mib(oom.used)),
                    ("free_mb", mib(oom.free)),
                ]));
                self.line("out-of-memory", figures);
            }
            Event::Fallback { from, to, reason } => {
                self.line(
                    "fallback",
                    own(vec![
                        ("from", json!(from)),
                        ("to", json!(to)),
                        ("reason", json!(reason)),
                    ]),
                );
            }
            Event::SourceBegan(source) => {
                self.line("source-began", own(vec![("source", json!(source.name))]))
            }
            Event::Decoding { source, decoding } => {
                let mut figures = own(vec![
                    ("source", json!(source.name)),
                    ("decoder", json!(decoding.name())),
                ]);
                figures.extend(
                    decoding
                        .reason
                        .as_ref()
                        .map(|reason| ("reason".to_owned(), json!(reason))),
                );
                self.line("decoding", figures);
            }
            Event::SourceEnded(source) => {
                self.line("source-ended", own(vec![("source", json!(source.name))]))
            }
            Event::Warning(warning) => {
                let input = warning.path.display().to_string();
                self.line(
                    "input-warning",
                    own(vec![
                        ("input", json!(input)),
                        ("problem", json!(warning.to_string())),
                    ]),
                );
            }
            Event::Problem { input, problem } => {
                self.line(
                    "input-error",
                    own(vec![("input", json!(input)), ("problem", json!(problem))]),
                );
            }
        }
    }
}

fn rounded(value: f64, scale: f64) -> Value {
    json!((value * scale).round() / scale)
}

fn milliseconds(time: Duration) -> Value {
    rounded(time.as_secs_f64() * 1e3, 1e3)
}

fn format_line(json: bool, now: Duration, event: &str, figures: Vec<(String, Value)>) -> String {
    if json {
        let head = [
            ("ts".to_owned(), rounded(now.as_secs_f64(), 1e3)),
            ("event".to_owned(), json!(event)),
        ];
        let object: Map<String, Value> = head.into_iter().chain(figures).collect();
        return format!("{}\n", Value::Object(object));
    }
    let figures: String = figures
        .iter()
        .map(|(key, value)| format!(" {key}={}", plain(value)))
        .collect();
    format!(
        "kpi ts={}.{:03} event={event}{figures}\n",
        now.as_secs(),
        now.subsec_millis()
    )
}

/// A value without quotes where it needs none, else as a JSON string.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => {
            let simple = !text.is_empty()
                && !text.contains(|c: char| {
                    c.is_whitespace() || c.is_control() || matches!(c, '"' | '=' | '\\')
                });
            if simple {
                text.clone()
            } else {
                value.to_string()
            }
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::OutOfMemory,
        frame::{Detections, Frame, Pixels, SourceInfo, SourceKind},
        geometry::Size,
        run::observer::FrameTimes,
        session::Stage,
        sources::{Decoding, SourceWarning},
    };
    use std::{collections::BTreeSet, sync::Arc};

    fn source() -> SourceInfo {
        let (path, name) = ("a b.mp4".into(), "a b".to_owned());
        SourceInfo {
            ordinal: 0,
            path,
            name,
            kind: SourceKind::Video,
            frame_count: None,
            frame_rate: None,
            attributes: Default::default(),
        }
    }

    fn write(file: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(file);
        std::fs::write(&path, "earlier\n").unwrap();
        let kpi = KpiFile::append(&path, Some(Engine::cpu())).unwrap();
        let size = Size::new(4, 4);
        let found = Detections {
            size,
            objects: Vec::new(),
        };
        let frame = Frame::new(Arc::new(source()), 12, Pixels::Released(size));
        let times = FrameTimes {
            number: 3,
            decode: Duration::from_micros(1500),
            latency: Duration::from_millis(7),
            stages: vec![("detect-preprocess", Duration::from_micros(250))],
        };
        kpi.event(Event::FrameDone {
            frame: &frame,
            found: &found,
            times: Some(&times),
        });
        kpi.event(Event::FrameDone {
            frame: &frame,
            found: &found,
            times: None,
        });
        kpi.event(Event::Problem {
            input: "x.png",
            problem: "not \"an\" image\nat all",
        });
        kpi.check().unwrap();
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn lines_have_units_quotes_where_needed_and_follow_what_was_there() {
        let text = write("run.kpi");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert_eq!(lines[0], "earlier");
        let after_time = lines[1].split_once(" event=").unwrap().1;
        assert!(lines[1].starts_with("kpi ts="), "{text}");
        assert_eq!(
            after_time,
            "frame source=\"a b\" frame=12 number=3 decode_ms=1.5 detect_preprocess_ms=0.25 latency_ms=7.0 objects=0"
        );
        assert!(
            lines[2]
                .ends_with(r#"event=input-error input=x.png problem="not \"an\" image\nat all""#),
            "{text}"
        );
    }

    #[test]
    fn a_jsonl_file_gets_an_object_a_line() {
        let text = write("run.jsonl");
        let frame: Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
        assert_eq!(
            (&frame["event"], &frame["source"], &frame["number"]),
            (&json!("frame"), &json!("a b"), &json!(3))
        );
        assert!(frame["ts"].as_f64().unwrap() > 1e9);
        assert_eq!(
            frame.get("device_memory_mb"),
            None,
            "there is none on the CPU"
        );
        let error: Value = serde_json::from_str(text.lines().nth(2).unwrap()).unwrap();
        assert_eq!(error["problem"], json!("not \"an\" image\nat all"));
    }

    /// What stands in backticks in the first column of the documentation's table, and in the row of events.
    fn documented() -> (BTreeSet<String>, BTreeSet<String>) {
        let text = include_str!("../../docs/audit.md");
        let table = text.split("## KPI lines").nth(1).unwrap();
        let quoted = |cell: &str| {
            cell.split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect::<BTreeSet<_>>()
        };
        let rows = table.lines().filter(|line| line.starts_with("| `"));
        let cells: Vec<Vec<&str>> = rows.map(|row| row.split('|').collect()).collect();
        let events = cells
            .iter()
            .find(|cells| cells[1].trim() == "`event`")
            .unwrap();
        (
            cells.iter().flat_map(|cells| quoted(cells[1])).collect(),
            quoted(events[2]),
        )
    }

    #[test]
    fn the_documentation_has_every_key_and_event_and_no_other() {
        let (keys, events) = documented();
        let in_resident_mode = [Stage::Submit, Stage::Preprocess, Stage::Forward];
        let stages = Stage::PER_FRAME
            .iter()
            .chain(&in_resident_mode)
            .map(|stage| stage_key(stage.name()));
        assert_eq!(
            keys,
            KEYS.iter()
                .map(|key| (*key).to_owned())
                .chain(stages)
                .collect()
        );
        assert_eq!(
            events,
            EVENTS.iter().map(|event| (*event).to_owned()).collect()
        );
    }

    #[test]
    fn every_event_has_the_keys_of_the_list() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.jsonl");
        let kpi = KpiFile::append(&path, None).unwrap();
        let (info, size) = (source(), Size::new(4, 4));
        let found = Detections {
            size,
            objects: Vec::new(),
        };
        let frame = Frame::new(Arc::new(source()), 0, Pixels::Released(size));
        let times = FrameTimes {
            stages: vec![("segment-decode", Duration::ZERO)],
            ..FrameTimes::default()
        };
        let decoding = Decoding {
            on_gpu: false,
            reason: Some("why".to_owned()),
        };
        let oom = OutOfMemory {
            device: "cuda:0".to_owned(),
            needed: Some(1),
            used: 2,
            free: 3,
        };
        let warning = SourceWarning::new("x", "odd");
        [
            Event::Resumed {
                sources: 1,
                frames: 2,
            },
            Event::SourceBegan(&info),
            Event::Decoding {
                source: &info,
                decoding: &decoding,
            },
            Event::FrameDone {
                frame: &frame,
                found: &found,
                times: Some(&times),
            },
            Event::OutOfMemory(&oom),
            Event::Fallback {
                from: "cuda:0",
                to: "cpu",
                reason: "full",
            },
            Event::SourceEnded(&info),
            Event::Warning(&warning),
            Event::Problem {
                input: "x",
                problem: "bad",
            },
        ]
        .into_iter()
        .for_each(|event| kpi.event(event));
        let text = std::fs::read_to_string(path).unwrap();
        let lines: Vec<Map<String, Value>> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let events: BTreeSet<&str> = lines
            .iter()
            .map(|line| line["event"].as_str().unwrap())
            .collect();
        assert_eq!(events, EVENTS.into_iter().collect());
        for key in lines.iter().flat_map(Map::keys) {
            assert!(
                KEYS.contains(&key.as_str()) || *key == stage_key("segment-decode"),
                "{key}"
            );
        }
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = KpiFile::append(folder.path(), None)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("cannot be written") && error.contains("--kpi"),
            "{error}"
        );
    }
}
