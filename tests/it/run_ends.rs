//! Runs that end early at any frame: what is in the folder then, and that a resumed run ends with the bytes of a whole one.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};
use ultramotion::{
    Detections, Run,
    frame::{Channels, Frame, Image, SourceInfo, SourceKind},
    geometry::Size,
    progress::Cancel,
    run::Summary,
    sinks::{OutputKind, Sink, SinkError},
    sources::{Source, SourceError},
};

/// Frames of each source.
const FRAMES: [u64; 3] = [3, 1, 4];

/// Frames from memory.
struct Made {
    info: Arc<SourceInfo>,
    frames: std::ops::Range<u64>,
}

impl Source for Made {
    fn info(&self) -> &Arc<SourceInfo> {
        &self.info
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, SourceError> {
        Ok(self.frames.next().map(|index| {
            let pixels = (0..48).map(|at| (at * 5 + index as u8) ^ self.info.name.len() as u8);
            let image = Image::new(Size::new(8, 6), Channels::Gray, pixels.collect()).unwrap();
            Frame::new(Arc::clone(&self.info), index, image)
        }))
    }
}

fn source(ordinal: usize, frames: u64) -> Made {
    let name = format!("clip {}", "i".repeat(ordinal));
    let info = SourceInfo {
        ordinal,
        path: PathBuf::from(format!("{name}.mp4")),
        name,
        kind: SourceKind::Video,
        folder: None,
        frame_count: Some(frames),
        frame_rate: Some(25.0),
        attributes: Default::default(),
    };
    Made {
        info: Arc::new(info),
        frames: 0..frames,
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Act {
    Fail,
    Cancel,
}

/// Does something at the call of a number; all of begins, frames and ends count.
struct Acting {
    calls: usize,
    at: usize,
    act: Act,
    cancel: Cancel,
}

impl Acting {
    fn call(&mut self) -> Result<(), SinkError> {
        self.calls += 1;
        match self.act {
            _ if self.calls - 1 != self.at => Ok(()),
            Act::Fail => Err(SinkError::new("tape", "is full")),
            Act::Cancel => {
                self.cancel.request();
                Ok(())
            }
        }
    }
}

impl Sink for Acting {
    fn begin_source(&mut self, _: &Arc<SourceInfo>) -> Result<(), SinkError> {
        self.call()
    }

    fn write(&mut self, _: &Frame, _: &Detections) -> Result<(), SinkError> {
        self.call()
    }

    fn end_source(&mut self, _: &Arc<SourceInfo>) -> Result<(), SinkError> {
        self.call()
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.call()
    }
}

fn run(folder: &Path, acts: Option<(Act, usize)>) -> Result<Summary, String> {
    let mut run = Run::extract(false)
        .output(folder)
        .write([OutputKind::Frames])
        .resume(true);
    for (ordinal, frames) in FRAMES.into_iter().enumerate() {
        run = run.source(source(ordinal, frames));
    }
    if let Some((act, at)) = acts {
        let cancel = Cancel::default();
        run = run.cancel(cancel.clone()).sink(Acting {
            calls: 0,
            at,
            act,
            cancel,
        });
    }
    run.start().map_err(|error| error.to_string())
}

/// All files by path, but `run.json`, which holds times.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.file_name().unwrap() != "run.json" {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

fn relative(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let below = |path: PathBuf| path.strip_prefix(folder).unwrap().to_owned();
    files(folder)
        .into_iter()
        .map(|(path, bytes)| (below(path), bytes))
        .collect()
}

fn report(folder: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(folder.join("run.json")).unwrap()).unwrap()
}

/// Begins, frames and ends of all sources, and the end of the run.
const CALLS: usize = 3 + 8 + 3 + 1;

fn whole() -> BTreeMap<PathBuf, Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    assert_eq!(run(&out, None).unwrap().counts.frames, 8);
    relative(&out)
}

#[test]
fn a_sink_that_fails_at_any_call_is_reported_and_the_run_resumes() {
    let expected = whole();
    for at in 0..CALLS {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let error = run(&out, Some((Act::Fail, at))).unwrap_err();
        assert!(
            error.contains("tape") && error.contains("is full"),
            "{error}"
        );
        let report = report(&out);
        assert_eq!(report["status"], "failed", "call {at}");
        assert!(
            report["failure"]
                .as_str()
                .is_some_and(|text| text.contains("is full"))
        );
        // The record has whole lines, of the frames that every sink took.
        let record = fs::read(out.join("detections.jsonl")).unwrap();
        assert!(
            expected[Path::new("detections.jsonl")].starts_with(&record),
            "call {at}"
        );
        assert!(record.last().is_none_or(|&byte| byte == b'\n'));
        let summary = run(&out, None).unwrap();
        assert!(
            !summary.interrupted && summary.counts.frames == 8,
            "call {at}"
        );
        assert_eq!(relative(&out), expected, "call {at}");
    }
}

#[test]
fn a_run_cancelled_at_any_call_resumes_to_the_same_files() {
    let expected = whole();
    for at in 0..CALLS {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        // The threads before the writer may be done by then.
        let summary = run(&out, Some((Act::Cancel, at))).unwrap();
        let status = if summary.interrupted {
            "interrupted"
        } else {
            "completed"
        };
        assert_eq!(report(&out)["status"], status, "call {at}");
        let summary = run(&out, None).unwrap();
        assert!(!summary.interrupted, "call {at}");
        assert_eq!(relative(&out), expected, "call {at}");
    }
}
