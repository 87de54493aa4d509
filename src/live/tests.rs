//! The loop over models that take as long as the test says.

use super::*;
use crate::{
    engine::OutOfMemory,
    frame::{Channels, Frame, Image, SourceInfo, SourceKind},
    geometry::Size,
    progress::Cancel,
    run::{KPI_KEYS, KPI_LIVE_EVENTS, KpiFile, Recording},
    session::{CompletedFrame, Executor, ModelError, PendingFrame, Session},
    sources::{SourceError, SourceWarning},
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

/// Models that take `time` a frame, and fail on the frames of these numbers.
struct Slow {
    time: Duration,
    fail: Vec<u64>,
    queue: VecDeque<(Instant, PendingFrame)>,
}

impl Slow {
    fn session(time_ms: u64, fail: &[u64]) -> Session {
        Session::over(Box::new(Self {
            time: Duration::from_millis(time_ms),
            fail: fail.to_vec(),
            queue: VecDeque::new(),
        }))
    }
}

impl Executor for Slow {
    fn batch(&self) -> usize {
        1
    }

    fn is_full(&self) -> bool {
        self.queue.len() >= 2
    }

    fn submit(&mut self, frames: Vec<PendingFrame>) {
        let frames = frames.into_iter();
        self.queue
            .extend(frames.map(|frame| (Instant::now(), frame)));
    }

    fn is_ready(&self) -> bool {
        self.queue
            .front()
            .is_some_and(|(at, _)| at.elapsed() >= self.time)
    }

    fn wait_next(&mut self) -> Option<Vec<CompletedFrame>> {
        let (at, pending) = self.queue.pop_front()?;
        thread::sleep(self.time.saturating_sub(at.elapsed()));
        let objects = match self.fail.contains(&pending.frame.index) {
            true => Err(ModelError::Batch("as the test says".to_owned())),
            false => Ok(Vec::new()),
        };
        Some(vec![CompletedFrame {
            pending,
            objects,
            times: Vec::new(),
        }])
    }

    fn out_of_memory(&self, _: &ModelError) -> Option<OutOfMemory> {
        None
    }
}

fn info() -> Arc<SourceInfo> {
    Arc::new(SourceInfo {
        ordinal: 0,
        path: "rtsp://camera/live".into(),
        name: "camera".to_owned(),
        kind: SourceKind::Video,
        folder: None,
        frame_count: None,
        frame_rate: None,
        attributes: Default::default(),
    })
}

/// `frames` frames, one each `every` milliseconds; each third is of another size.
struct Camera {
    info: Arc<SourceInfo>,
    every: Duration,
    frames: u64,
    next: u64,
    at: Instant,
}

impl Camera {
    fn new(every_ms: u64, frames: u64) -> Self {
        Self {
            info: info(),
            every: Duration::from_millis(every_ms),
            frames,
            next: 0,
            at: Instant::now(),
        }
    }
}

impl LiveInput for Camera {
    fn info(&self) -> &Arc<SourceInfo> {
        &self.info
    }

    fn next(&mut self, cancel: &Cancel) -> Result<Option<Received>, SourceError> {
        if self.next >= self.frames || cancel.is_requested() {
            return Ok(None);
        }
        self.at += self.every;
        thread::sleep(self.at.saturating_duration_since(Instant::now()));
        let size = if self.next % 3 == 2 {
            Size::new(8, 4)
        } else {
            Size::new(4, 4)
        };
        let image = Image::new(size, Channels::Gray, vec![7; size.pixels() as usize]).unwrap();
        let mut frame = Frame::new(self.info.clone(), self.next, image);
        frame.timestamp = Some(self.every * self.next as u32);
        self.next += 1;
        let arrival = Arrival::now();
        Ok(Some(Received::Frame(Box::new(ReceivedFrame {
            frame,
            arrival,
            decoded: arrival.instant,
            geometry: None,
        }))))
    }
}

/// What an output saw: numbers of frames, their sizes, and events by name.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Sights>>);

#[derive(Default)]
struct Sights {
    numbers: Vec<u64>,
    sizes: Vec<Size>,
    events: Vec<String>,
}

impl LiveOutput for Seen {
    fn frame(&mut self, frame: &Arc<LiveFrame>) {
        let times = &frame.times;
        assert!(times.arrival.instant <= times.decoded && times.decoded <= times.started);
        assert!(times.started <= times.done);
        let mut seen = self.0.lock().unwrap();
        seen.numbers.push(frame.frame.index);
        seen.sizes.push(frame.detections.size);
    }

    fn event(&mut self, event: &LiveEvent) {
        let name = match event {
            LiveEvent::Dropped { frames } => format!("dropped {frames}"),
            LiveEvent::FrameFailed { frame, .. } => format!("failed {frame:?}"),
            LiveEvent::OutputProblem { problem } => format!("problem {problem}"),
            other => format!("{other:?}"),
        };
        self.0.lock().unwrap().events.push(name);
    }
}

#[test]
fn the_newest_frame_wins_and_drops_are_counted() {
    let seen = Seen::default();
    let live = Live::new(Slow::session(50, &[]), Camera::new(5, 100)).output(seen.clone());
    let summary = live.start().unwrap();
    let figures = summary.figures;
    assert_eq!(figures.arrived, 100);
    assert_eq!(figures.done + figures.dropped, 100, "{figures:?}");
    assert!(figures.dropped > 50, "{figures:?}");
    let Sights {
        numbers, events, ..
    } = &*seen.0.lock().unwrap();
    assert!(numbers.is_sorted() && numbers.last() == Some(&99));
    let dropped = events
        .iter()
        .filter_map(|event| event.strip_prefix("dropped "));
    let reported: u64 = dropped.map(|n| n.parse::<u64>().unwrap()).sum();
    assert_eq!(reported, figures.dropped, "{events:?}");
    // Bounded by what is in the models and the frame itself.
    assert!(summary.result.max_ms < 400.0, "{summary:?}");
    assert!(summary.wait.max_ms < 300.0, "{summary:?}");
}

#[test]
fn every_frame_is_done_where_every_frame_counts() {
    let seen = Seen::default();
    let live = Live::new(Slow::session(4, &[]), Camera::new(1, 60)).output(seen.clone());
    let figures = live.every_frame(true).start().unwrap().figures;
    assert_eq!((figures.done, figures.dropped), (60, 0));
    let Sights { numbers, sizes, .. } = &*seen.0.lock().unwrap();
    assert_eq!(*numbers, (0..60).collect::<Vec<_>>());
    assert_eq!((sizes[1], sizes[2]), (Size::new(4, 4), Size::new(8, 4)));
}

#[test]
fn a_frame_that_fails_is_counted_and_the_loop_goes_on() {
    let seen = Seen::default();
    let live = Live::new(Slow::session(0, &[3, 4]), Camera::new(1, 10)).output(seen.clone());
    let figures = live.every_frame(true).start().unwrap().figures;
    assert_eq!((figures.done, figures.failed), (8, 2));
    let Sights {
        numbers, events, ..
    } = &*seen.0.lock().unwrap();
    assert_eq!(*numbers, [0, 1, 2, 5, 6, 7, 8, 9]);
    assert_eq!(*events, ["failed Some(3)", "failed Some(4)"]);
}

#[test]
fn it_ends_by_time_number_and_request() {
    let forever = || Camera::new(2, u64::MAX);
    let start = Instant::now();
    let live = Live::new(Slow::session(1, &[]), forever());
    let summary = live.duration(Duration::from_millis(150)).start().unwrap();
    assert!(!summary.interrupted && summary.elapsed >= Duration::from_millis(150));
    let live = Live::new(Slow::session(1, &[]), forever()).every_frame(true);
    assert_eq!(live.max_frames(5).start().unwrap().figures.done, 5);
    let cancel = Cancel::default();
    let live = Live::new(Slow::session(1, &[]), forever()).cancel(cancel.clone());
    let ending = thread::spawn(move || {
        thread::sleep(Duration::from_millis(80));
        cancel.request();
    });
    assert!(live.start().unwrap().interrupted);
    ending.join().unwrap();
    assert!(start.elapsed() < Duration::from_secs(10));
}

/// An input that has nothing but an error.
struct Absent(Arc<SourceInfo>, bool);

impl LiveInput for Absent {
    fn info(&self) -> &Arc<SourceInfo> {
        &self.0
    }

    fn next(&mut self, _: &Cancel) -> Result<Option<Received>, SourceError> {
        if std::mem::replace(&mut self.1, true) {
            return Ok(None);
        }
        Err(SourceError::new(&self.0.path, "cannot be opened: refused"))
    }
}

#[test]
fn a_stream_that_never_came_is_an_error_that_names_it() {
    let live = Live::new(Slow::session(0, &[]), Absent(info(), false));
    let error = live.start().unwrap_err();
    assert!(matches!(error, LiveError::Input(_)), "{error:?}");
    assert!(
        error.to_string().starts_with("rtsp://camera/live: cannot"),
        "{error}"
    );
}

/// An input that hangs in a driver after its first frame.
struct Hangs(Camera);

impl LiveInput for Hangs {
    fn info(&self) -> &Arc<SourceInfo> {
        &self.0.info
    }

    fn next(&mut self, cancel: &Cancel) -> Result<Option<Received>, SourceError> {
        if self.0.next == 1 {
            thread::sleep(Duration::from_secs(3600));
        }
        self.0.next(cancel)
    }
}

#[test]
fn an_input_that_hangs_is_left_behind() {
    let start = Instant::now();
    let live = Live::new(Slow::session(1, &[]), Hangs(Camera::new(1, 9)));
    let summary = live.duration(Duration::from_millis(100)).start().unwrap();
    assert_eq!(summary.figures.done, 1);
    assert!(start.elapsed() < Duration::from_secs(20));
}

/// An output that takes its time.
struct Tardy;

impl LiveOutput for Tardy {
    fn frame(&mut self, _: &Arc<LiveFrame>) {
        thread::sleep(Duration::from_millis(30));
    }
}

#[test]
fn an_output_behind_a_queue_drops_its_own_frames_and_holds_nobody_up() {
    let seen = Seen::default();
    let tardy = Queued::new(Tardy, 2, WhenFull::Drop).unwrap();
    let live = Live::new(Slow::session(1, &[]), Camera::new(5, 60));
    let summary = live.output(tardy).output(seen.clone()).start().unwrap();
    let figures = summary.figures;
    assert!(figures.done > 50, "{figures:?}");
    assert_eq!(seen.0.lock().unwrap().numbers.len() as u64, figures.done);
    assert!(figures.output_dropped > 20, "{figures:?}");
    let tardy = Queued::new(Tardy, 2, WhenFull::Wait).unwrap();
    let live = Live::new(Slow::session(1, &[]), Camera::new(1, 12)).every_frame(true);
    let figures = live.output(tardy).start().unwrap().figures;
    assert_eq!((figures.done, figures.output_dropped), (12, 0));
}

#[test]
fn a_recording_has_every_frame_as_soon_as_it_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let session = Slow::session(1, &[5]);
    let recording = Recording::new(&session, &out).write([crate::sinks::OutputKind::Coco]);
    let camera = Camera::new(2, 20);
    let (recorder, ended) = Recorder::start(recording, &camera.info, WhenFull::Drop).unwrap();
    let watcher = Watcher(out.clone());
    let live = Live::new(session, camera).every_frame(true);
    live.output(recorder).output(watcher).start().unwrap();
    let summary = ended.take().unwrap();
    assert_eq!((summary.counts.frames, summary.errors.count), (19, 1));
    assert!(out.join("coco.json").exists());
    let report = std::fs::read_to_string(out.join("run.json")).unwrap();
    assert!(report.contains(r#""status": "completed""#) && report.contains(r#""recording": true"#));
    // A folder with a run is refused before the loop begins.
    let session = Slow::session(0, &[]);
    let again = Recorder::start(Recording::new(&session, &out), &info(), WhenFull::Drop);
    assert!(again.unwrap_err().to_string().contains("not empty"));
}

/// Sees, some frames later, that a frame's line is in the record.
struct Watcher(std::path::PathBuf);

impl LiveOutput for Watcher {
    fn frame(&mut self, frame: &Arc<LiveFrame>) {
        let Some(before) = frame.frame.index.checked_sub(8) else {
            return;
        };
        let text = std::fs::read_to_string(self.0.join("detections.jsonl")).unwrap();
        assert!(
            text.ends_with('\n') && text.lines().count() as u64 >= before,
            "{before}"
        );
    }
}

#[test]
fn figures_have_the_keys_and_events_of_the_lists() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("k.jsonl");
    let file = Arc::new(KpiFile::append(&path, None).unwrap());
    let live = Live::new(Slow::session(1, &[]), Camera::new(1, 2)).every_frame(true);
    live.output(KpiOutput::new(file.clone())).start().unwrap();
    let mut output = KpiOutput::new(file);
    let text = || "x".to_owned();
    for event in [
        LiveEvent::Connected { input: text() },
        LiveEvent::Disconnected {
            input: text(),
            reason: text(),
        },
        LiveEvent::ClientConnected { client: text() },
        LiveEvent::ClientDisconnected {
            client: text(),
            reason: text(),
        },
        LiveEvent::Dropped { frames: 3 },
        LiveEvent::FrameFailed {
            frame: Some(1),
            problem: text(),
        },
        LiveEvent::Warning(SourceWarning::new("x", "odd")),
        LiveEvent::OutputProblem { problem: text() },
    ] {
        output.event(&event);
    }
    assert!(output.take_problems().is_empty());
    let text = std::fs::read_to_string(path).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for line in text.lines() {
        let line: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
        let unknown = line.keys().find(|key| !KPI_KEYS.contains(&key.as_str()));
        assert_eq!(unknown, None);
        seen.insert(line["event"].as_str().unwrap().to_owned());
    }
    let mut expected: std::collections::BTreeSet<String> =
        KPI_LIVE_EVENTS.map(str::to_owned).into();
    expected.extend(["frame", "input-error", "input-warning"].map(str::to_owned));
    assert_eq!(seen, expected);
}
