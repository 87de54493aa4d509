//! Tracks of runs, streams and live loops, on the CPU with the built-in detector.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};
use ultramotion::{
    Detections, Run,
    engine::DeviceSpec,
    frame::{Frame, SourceInfo},
    progress::Cancel,
    run::Summary,
    session::{Session, SessionBuilder},
    sinks::{OutputKind, Sink, SinkError},
    sources::{self, ExpandOptions, Source, SourceError, SourceOptions, expand},
    track::TrackOptions,
};

const CLIP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/phantom-demo.mp4");
const FRAMES: &str = "12..24";

fn options() -> SourceOptions {
    SourceOptions {
        selection: FRAMES.parse().unwrap(),
        ..SourceOptions::default()
    }
}

fn clip() -> Box<dyn Source> {
    let inputs = expand(
        &[CLIP.into()],
        ExpandOptions::default(),
        &mut std::io::empty(),
    );
    let spec = inputs.sources.into_iter().next().unwrap().unwrap();
    sources::open(&spec, 0, &options()).unwrap()
}

fn tracking() -> SessionBuilder {
    let options = TrackOptions::for_confidence(0.4);
    let builder = Session::builder().device(DeviceSpec::Cpu);
    builder.without_segmenter().confidence(0.4).track(options)
}

/// Ends the run after so many frames.
struct Ends(usize, Cancel);

impl Sink for Ends {
    fn begin_source(&mut self, _: &Arc<SourceInfo>) -> Result<(), SinkError> {
        Ok(())
    }

    fn end_source(&mut self, _: &Arc<SourceInfo>) -> Result<(), SinkError> {
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn write(&mut self, _: &Frame, _: &Detections) -> Result<(), SinkError> {
        // What is in flight comes after the request.
        self.0 = self.0.saturating_sub(1);
        if self.0 == 0 {
            self.1.request();
        }
        Ok(())
    }
}

fn run(folder: &Path, frames: Option<usize>) {
    let run = Run::new(tracking().build().unwrap());
    let mut run = run.input(CLIP).source_options(options()).output(folder);
    run = run.write([OutputKind::Coco]).resume(true);
    ended(run, frames);
}

/// What became of a run that ends itself after so many frames.
fn ended(mut run: Run, frames: Option<usize>) -> Summary {
    if let Some(frames) = frames {
        let cancel = Cancel::default();
        run = run.cancel(cancel.clone()).sink(Ends(frames, cancel));
    }
    let summary = run.start().unwrap();
    assert_eq!(summary.interrupted, frames.is_some());
    summary
}

fn written(folder: &Path) -> [String; 2] {
    ["detections.jsonl", "coco.json"].map(|name| fs::read_to_string(folder.join(name)).unwrap())
}

/// Tracks of each frame, as the record has them.
fn ids(record: &str) -> Vec<Vec<Option<u64>>> {
    let lines = record
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    lines
        .map(|line: serde_json::Value| {
            let objects = line["objects"].as_array().unwrap().iter();
            objects.map(|object| object["track_id"].as_u64()).collect()
        })
        .collect()
}

#[test]
fn a_run_that_is_cut_short_goes_on_with_its_tracks() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    run(&whole, None);
    let expected = written(&whole);
    let tracks = ids(&expected[0]);
    let mut frames_of: BTreeMap<u64, usize> = BTreeMap::new();
    for id in tracks.iter().flatten().flatten() {
        *frames_of.entry(*id).or_default() += 1;
    }
    assert!(
        frames_of.values().any(|&frames| frames >= 6),
        "an object of the clip is followed: {tracks:?}"
    );
    assert!(
        expected[0].contains("\"to\":\"visible\""),
        "its appearance is an event"
    );
    for frames in [1, 5, 11] {
        let broken = folder.path().join(frames.to_string());
        run(&broken, Some(frames));
        run(&broken, None);
        assert_eq!(written(&broken), expected, "cut after {frames} frames");
    }
}

#[test]
fn streams_and_live_loops_have_the_tracks_of_runs() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), None);
    let expected = ids(&written(folder.path())[0]);
    let of = |found: &Detections| -> Vec<Option<u64>> {
        let tracks = found.iter().map(|object| object.track);
        tracks.map(|track| track.map(|track| track.id)).collect()
    };
    let mut session = tracking().build().unwrap();
    let stream = session.stream(clip()).unwrap();
    let streamed: Vec<_> = stream.map(|item| of(&item.unwrap().1)).collect();
    assert_eq!(streamed, expected);

    let mut source = clip();
    let mut live = Vec::new();
    while let Some(frame) = source.next_frame().unwrap() {
        session.push(frame).unwrap();
        live.extend(session.wait_next().unwrap().map(|(_, found)| of(&found)));
    }
    assert_eq!(live, expected);
}

/// Also where the last result of the old source is taken after the first frame of the new one is pushed.
#[test]
fn a_live_loop_begins_a_new_source_where_it_is_told_to() {
    let mut frames = Vec::new();
    let mut source = clip();
    while let Some(frame) = source.next_frame().unwrap() {
        frames.push(frame);
    }
    let mut session = tracking().build().unwrap();
    let mut found = Vec::new();
    let push = |n: usize, session: &mut Session| session.push(frames[n].clone()).unwrap();
    let mut take = |session: &mut Session| found.push(session.wait_next().unwrap().unwrap().1);
    let last = frames.len() - 1;
    for n in 0..last {
        push(n, &mut session);
        take(&mut session);
    }
    push(last, &mut session);
    session.reset_tracks();
    push(0, &mut session);
    take(&mut session);
    take(&mut session);
    for n in 1..=last {
        push(n, &mut session);
        take(&mut session);
    }
    let (before, after) = found.split_at(frames.len());
    assert!(before[last].iter().any(|object| object.track.is_some()));
    assert_eq!(before, after);
}

/// A frame that failed once has no place in the record any more when the run goes on: its tracks went on without it.
#[test]
fn a_frame_that_failed_before_the_last_stored_one_stays_out() {
    struct Fails(Box<dyn Source>, Option<u64>);
    impl Source for Fails {
        fn info(&self) -> &Arc<SourceInfo> {
            self.0.info()
        }

        fn next_frame(&mut self) -> Result<Option<Frame>, SourceError> {
            let frame = self.0.next_frame()?;
            match frame {
                Some(frame) if Some(frame.index) == self.1 => {
                    Err(SourceError::new("clip", "a frame cannot be read"))
                }
                frame => Ok(frame),
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, fails: Option<u64>, frames: Option<usize>| {
        let run = Run::new(tracking().build().unwrap()).source(Fails(clip(), fails));
        let run = run.output(folder.path().join(name)).resume(true);
        ended(run.write([OutputKind::Coco]), frames)
    };
    let whole = run("whole", Some(15), None);
    assert_eq!((whole.errors.count, whole.counts.frames), (1, 11));
    run("broken", Some(15), Some(6));
    let resumed = run("broken", None, None);
    let problem = &resumed.errors.first[0].problem;
    assert!(
        problem.contains("frame 15: failed before the run was resumed"),
        "{problem}"
    );
    assert_eq!((resumed.errors.count, resumed.counts.frames), (1, 11));
    assert_eq!(
        written(&folder.path().join("broken")),
        written(&folder.path().join("whole"))
    );
}

/// Not what the detector was given for the sake of the tracks.
#[test]
fn the_report_of_a_run_states_what_was_requested() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), None);
    let report = fs::read(folder.path().join("run.json")).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    let settings = &report["settings"];
    assert_eq!(settings["confidence"], 0.4);
    let options = serde_json::to_value(TrackOptions::for_confidence(0.4)).unwrap();
    assert_eq!(settings["track"], options);
    assert_eq!(settings["track"]["low_threshold"], 0.3);
    assert_eq!(settings["camera-motion"], false);
}

/// An image that stands alone has no tracks, and only what the caller's threshold lets through.
#[test]
fn single_images_have_no_tracks() {
    let frame = clip().next_frame().unwrap().unwrap();
    let tracked = tracking().build().unwrap().run(&frame).unwrap();
    let plain = Session::builder().device(DeviceSpec::Cpu);
    let plain = plain
        .without_segmenter()
        .confidence(0.4)
        .build()
        .unwrap()
        .run(&frame)
        .unwrap();
    assert!(!plain.is_empty());
    assert_eq!(tracked, plain);
}

#[test]
fn options_out_of_range_are_refused_with_their_names() {
    let mut options = TrackOptions::default();
    options.low_threshold = 1.5;
    let refused = Session::builder()
        .track(options)
        .build()
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("low_threshold") && refused.contains("1.5"),
        "{refused}"
    );
}
