//! The library's door: sessions in memory, on the CPU with the built-in pair.

use std::{path::Path, sync::Arc};
use ultramotion::{
    Detections,
    engine::DeviceSpec,
    frame::{Frame, Image},
    session::{Prompt, Session, SessionBuilder, SessionError, WhenBusy},
    sources::{self, ExpandOptions, Source, SourceOptions, expand},
};

fn clip(frames: &str) -> Box<dyn Source> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/phantom-demo.mp4");
    let inputs = expand(
        &[path.into_os_string()],
        ExpandOptions::default(),
        &mut std::io::empty(),
    );
    let spec = inputs.sources.into_iter().next().unwrap().unwrap();
    let options = SourceOptions {
        selection: frames.parse().unwrap(),
        ..SourceOptions::default()
    };
    sources::open(&spec, 0, &options).unwrap()
}

fn frames(range: &str) -> Vec<Frame> {
    let mut source = clip(range);
    std::iter::from_fn(|| source.next_frame().unwrap()).collect()
}

fn cpu() -> SessionBuilder {
    Session::builder().device(DeviceSpec::Cpu)
}

fn image(frame: &Frame) -> image::RgbImage {
    let image: &Arc<Image> = frame.image().unwrap();
    image::RgbImage::from_raw(
        image.size().width,
        image.size().height,
        image.data().to_vec(),
    )
    .unwrap()
}

/// One image, a batch, a stream and a live loop find the same in the same frames.
#[test]
fn every_way_in_finds_the_same() {
    let frames = frames("16..19");
    let mut session = cpu().confidence(0.4).build().unwrap();
    let single: Vec<Detections> = frames
        .iter()
        .map(|frame| session.run(&image(frame)).unwrap())
        .collect();
    assert!(
        single.iter().all(|found| !found.is_empty()),
        "the clip has objects in these frames"
    );
    assert!(
        single
            .iter()
            .flatten()
            .all(|object| object.mask.is_some() && object.score >= 0.4)
    );

    assert_eq!(session.run_batch(&frames).unwrap(), single);

    let streamed: Vec<(Frame, Detections)> = session
        .stream(clip("16..19"))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(
        streamed
            .iter()
            .map(|(frame, _)| frame.index)
            .collect::<Vec<_>>(),
        [16, 17, 18]
    );
    assert_eq!(
        streamed
            .into_iter()
            .map(|(_, found)| found)
            .collect::<Vec<_>>(),
        single
    );

    let mut live = Vec::new();
    for frame in &frames {
        session.push(frame).unwrap();
        while let Some((frame, found)) = session.try_next().unwrap() {
            live.push((frame.index, found));
        }
    }
    while let Some((frame, found)) = session.wait_next().unwrap() {
        live.push((frame.index, found));
    }
    assert_eq!(
        live.iter().map(|(index, _)| *index).collect::<Vec<_>>(),
        [16, 17, 18]
    );
    assert_eq!(
        live.into_iter().map(|(_, found)| found).collect::<Vec<_>>(),
        single
    );
}

#[test]
fn a_box_of_a_detection_outlines_the_same_object() {
    let frame = frames("16..17").remove(0);
    let mut session = cpu().build().unwrap();
    let found = session.run(&frame).unwrap();
    let object = &found.objects[0];
    let b = object.bbox;
    let prompts = [
        Prompt::bbox(b.x0, b.y0, b.x1, b.y1),
        Prompt::points(&[((b.x0 + b.x1) / 2.0, (b.y0 + b.y1) / 2.0, true)]),
    ];
    let outlined = session.segment(&frame, &prompts).unwrap();
    assert_eq!(outlined.len(), 2);
    assert_eq!(outlined.objects[0].mask, object.mask);
    assert!(session.segment(&frame, &[]).unwrap().is_empty());
    let outside = session
        .segment(&frame, &[Prompt::points(&[(9999.0, 1.0, true)])])
        .unwrap_err();
    assert!(matches!(outside, SessionError::Prompt(_)), "{outside}");
}

#[test]
fn a_stream_that_is_dropped_early_leaves_a_usable_session() {
    let mut session = cpu().without_segmenter().build().unwrap();
    let first = session
        .stream(clip("0..40"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    assert_eq!(first.0.index, 0);
    assert!(first.1.iter().all(|object| object.mask.is_none()));
    assert_eq!(session.stream(clip("3..5")).unwrap().count(), 2);
}

#[test]
fn the_newest_frame_wins_where_that_is_asked_for() {
    let frames = frames("16..24");
    let mut session = cpu().without_segmenter().build().unwrap();
    session.when_busy(WhenBusy::DropOldest).unwrap();
    frames.iter().for_each(|frame| session.push(frame).unwrap());
    let mut seen = Vec::new();
    while let Some((frame, _)) = session.wait_next().unwrap() {
        seen.push(frame.index);
    }
    assert!(seen.is_sorted(), "{seen:?}");
    assert_eq!(*seen.last().unwrap(), 23, "the newest is never dropped");
    assert_eq!(seen.len() as u64 + session.dropped(), 8);
    assert!(session.dropped() > 0, "pushing is faster than the models");
}

#[test]
fn options_are_checked_by_the_library() {
    let error = |builder: SessionBuilder| builder.build().map(drop).unwrap_err().to_string();
    assert_eq!(
        error(cpu().confidence(7.0)),
        "confidence: 7: not a confidence; give a number from 0 to 1"
    );
    assert!(error(cpu().confidence(f64::NAN)).starts_with("confidence: "));
    assert!(error(cpu().batch(0)).starts_with("batch: 0"));
    assert!(error(cpu().classes(["dog"])).starts_with("dog: not a class"));
    assert!(error(cpu().without_detector().without_segmenter()).starts_with("detector: "));
    assert!(error(cpu().detector("no/such/file.pth")).starts_with("no/such/file.pth: "));
    let mut session = cpu().without_detector().build().unwrap();
    assert!(matches!(
        session.run(&frames("0..1")[0]),
        Err(SessionError::Without("detector"))
    ));
}

/// A session can go to another thread; two threads have a session each.
#[test]
fn sessions_work_on_threads_of_their_own() {
    let frames = frames("16..18");
    let alone: Vec<Detections> = {
        let mut session = cpu().build().unwrap();
        frames
            .iter()
            .map(|frame| session.run(frame).unwrap())
            .collect()
    };
    let mut sessions = [cpu().build().unwrap(), cpu().build().unwrap()];
    std::thread::scope(|scope| {
        for (at, session) in sessions.iter_mut().enumerate() {
            let (frames, alone) = (&frames, &alone);
            scope.spawn(move || {
                for turn in 0..2 {
                    let which = (at + turn) % 2;
                    assert_eq!(session.run(&frames[which]).unwrap(), alone[which]);
                }
            });
        }
    });
}

/// Sources and sinks of the caller's in a run, which is killed by the sink and goes on.
mod own {
    use super::*;
    use std::sync::{Mutex, atomic::AtomicBool, atomic::Ordering};
    use ultramotion::{
        frame::{Detections, SourceInfo, SourceKind},
        run::Run,
        sinks::{OutputKind, Sink, SinkError},
        sources::SourceError,
    };

    /// Frames of the clip under a name of its own.
    struct Memory {
        info: Arc<SourceInfo>,
        frames: std::vec::IntoIter<Frame>,
    }

    impl Memory {
        fn new(name: &str, frames: Vec<Frame>) -> Self {
            let info = SourceInfo {
                ordinal: 99,
                path: name.into(),
                name: name.to_owned(),
                kind: SourceKind::Video,
                folder: None,
                frame_count: None,
                frame_rate: None,
                attributes: Default::default(),
            };
            Self {
                info: Arc::new(info),
                frames: frames.into_iter(),
            }
        }
    }

    impl Source for Memory {
        fn info(&self) -> &Arc<SourceInfo> {
            &self.info
        }
        fn next_frame(&mut self) -> Result<Option<Frame>, SourceError> {
            Ok(self.frames.next())
        }
    }

    /// Notes what it gets; fails once at a frame.
    struct Notes {
        lines: Arc<Mutex<Vec<String>>>,
        fails: Arc<AtomicBool>,
    }

    impl Sink for Notes {
        fn begin_source(&mut self, source: &Arc<SourceInfo>) -> Result<(), SinkError> {
            self.lines
                .lock()
                .unwrap()
                .push(format!("begin {} {}", source.ordinal, source.name));
            Ok(())
        }
        fn write(&mut self, frame: &Frame, _: &Detections) -> Result<(), SinkError> {
            if frame.index == 17 && self.fails.swap(false, Ordering::Relaxed) {
                return Err(SinkError::new("notes", "is full"));
            }
            self.lines.lock().unwrap().push(format!(
                "{} {} {}",
                frame.source.ordinal,
                frame.index,
                frame.image().is_ok()
            ));
            Ok(())
        }
        fn end_source(&mut self, source: &Arc<SourceInfo>) -> Result<(), SinkError> {
            self.lines
                .lock()
                .unwrap()
                .push(format!("end {}", source.name));
            Ok(())
        }
        fn finish(&mut self) -> Result<(), SinkError> {
            self.lines.lock().unwrap().push("finish".to_owned());
            Ok(())
        }
    }

    #[test]
    fn a_run_takes_them_and_resumes_after_a_sink_that_failed() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let (lines, fails) = (
            Arc::new(Mutex::new(Vec::new())),
            Arc::new(AtomicBool::new(true)),
        );
        let run = || {
            let session = cpu().without_segmenter().build().unwrap();
            let sink = Notes {
                lines: lines.clone(),
                fails: fails.clone(),
            };
            let twice = [
                Memory::new("camera", frames("16..19")),
                Memory::new("camera", frames("3..4")),
            ];
            let run = Run::new(session)
                .output(&out)
                .write([OutputKind::Coco])
                .resume(true)
                .sink(sink);
            twice.into_iter().fold(run, Run::source).start()
        };
        let error = run().unwrap_err().to_string();
        assert!(
            error.contains("notes") && error.contains("is full"),
            "{error}"
        );
        lines.lock().unwrap().clear();
        let summary = run().unwrap();
        assert_eq!((summary.counts.sources, summary.counts.frames), (2, 4));
        let expected = [
            "begin 0 camera",
            "0 16 true",
            "0 17 true",
            "0 18 true",
            "end camera",
            "begin 1 camera-2",
            "1 3 true",
            "end camera-2",
            "finish",
        ];
        assert_eq!(*lines.lock().unwrap(), expected);
        let record = std::fs::read_to_string(out.join("detections.jsonl")).unwrap();
        assert_eq!(record.lines().count(), 4);
        // Another session is another run.
        let other = Run::new(cpu().without_segmenter().confidence(0.9).build().unwrap())
            .output(&out)
            .write([OutputKind::Coco])
            .resume(true);
        let error = other
            .source(Memory::new("camera", frames("16..17")))
            .start()
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("cannot be resumed")
                && error.contains("confidence 0.5, this run has 0.9"),
            "{error}"
        );
    }
}
