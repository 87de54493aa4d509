//! Tracks of runs, streams and live loops, on the CPU with the built-in detector.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};
use ultramotion::{
    Detections, Run,
    engine::DeviceSpec,
    frame::{Frame, SourceInfo},
    progress::Cancel,
    session::{Session, SessionBuilder},
    sinks::{OutputKind, Sink, SinkError},
    sources::{self, ExpandOptions, Source, SourceOptions, expand},
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
    if let Some(frames) = frames {
        let cancel = Cancel::default();
        run = run.cancel(cancel.clone()).sink(Ends(frames, cancel));
    }
    assert_eq!(run.start().unwrap().interrupted, frames.is_some());
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
