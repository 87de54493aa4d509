//! A record that ends anywhere, and what a run that resumes makes of it.

use super::Record;
use crate::{
    frame::{Channels, Detections, Frame, Image, Mask, Object, SourceInfo, SourceKind},
    geometry::{BoxXyxy, Size},
    run::counts::InputProblems,
    sinks::Layout,
};
use proptest::prelude::*;
use std::{fs, path::Path, sync::Arc};

const SIZE: Size = Size::new(4, 3);

/// Frames of each source, of these the number of objects.
type Run = Vec<Vec<usize>>;

fn runs() -> impl Strategy<Value = Run> {
    proptest::collection::vec(proptest::collection::vec(0..3usize, 0..4), 1..4)
}

fn source(ordinal: usize) -> Arc<SourceInfo> {
    Arc::new(SourceInfo {
        ordinal,
        path: format!("in/Ā {ordinal}.mp4").into(),
        name: format!("Ā {ordinal}"),
        kind: SourceKind::Video,
        folder: None,
        frame_count: None,
        frame_rate: Some(25.0),
        attributes: Default::default(),
    })
}

fn frame(ordinal: usize, index: usize) -> Frame {
    let pixel = Image::new(Size::new(1, 1), Channels::Gray, vec![0]).unwrap();
    Frame::new(source(ordinal), index as u64 * 2, pixel)
}

fn found(ordinal: usize, index: usize, objects: usize) -> Detections {
    let object = |n: usize| Object {
        bbox: BoxXyxy::new(0.1, 0.2, 1.0 + n as f32, 1.0 / (3 + index) as f32),
        score: 0.5 / (1 + ordinal) as f32,
        class: n as u32,
        label: format!("knöchern \"{n}\"").into(),
        mask: (n == 1).then(|| Mask::from_counts(SIZE, vec![2, 3, 7]).unwrap()),
        mask_score: None,
        track: None,
    };
    Detections::new(SIZE, (0..objects).map(object).collect())
}

/// Does what is left of a run, as far as the first `steps` of its appends and ends of sources.
fn go_on(record: &mut Record, run: &Run, steps: usize) {
    let first = record.ended_sources();
    let mut steps = 0..steps;
    for (ordinal, frames) in run.iter().enumerate().skip(first) {
        let stored = if ordinal == first {
            record.stored_frames() as usize
        } else {
            0
        };
        for (index, objects) in frames.iter().enumerate().skip(stored) {
            if steps.next().is_none() {
                return;
            }
            record
                .append(&frame(ordinal, index), &found(ordinal, index, *objects))
                .unwrap();
        }
        if steps.next().is_none() {
            return;
        }
        record
            .end_source(&source(ordinal), InputProblems::default())
            .unwrap();
    }
}

fn files(folder: &Path) -> (Vec<u8>, Vec<u8>) {
    let layout = Layout::new(folder);
    (
        fs::read(layout.record()).unwrap(),
        fs::read(layout.state()).unwrap(),
    )
}

/// The files of a run of `steps` steps, in a folder of its own.
fn run_to(run: &Run, steps: usize) -> (tempfile::TempDir, (Vec<u8>, Vec<u8>)) {
    let folder = tempfile::tempdir().unwrap();
    let mut record = Record::create(&Layout::new(folder.path())).unwrap();
    go_on(&mut record, run, steps);
    drop(record);
    let written = files(folder.path());
    (folder, written)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// A killed run leaves whole lines and at most a part of one more, in either file.
    #[test]
    fn killed_anywhere_it_resumes_to_the_same_bytes(run in runs(), steps in 0..14usize, cut: prop::sample::Index) {
        let (_whole, expected) = run_to(&run, usize::MAX);
        let (folder, (record, state)) = run_to(&run, steps);
        let layout = Layout::new(folder.path());
        // The next line, as far as the process came with it.
        let (next, path, written) = if record.len() < expected.0.len() && steps % 2 == 0 {
            (&expected.0[record.len()..], layout.record(), record)
        } else {
            (&expected.1[state.len()..], layout.state(), state)
        };
        let line = next.iter().position(|&byte| byte == b'\n').unwrap_or(0);
        let part = if line == 0 { 0 } else { cut.index(line) };
        fs::write(path, [&written[..], &next[..part]].concat()).unwrap();
        let mut record = Record::resume(&layout).unwrap();
        go_on(&mut record, &run, usize::MAX);
        prop_assert_eq!(record.ended_sources(), run.len());
        prop_assert_eq!(record.counts().frames, run.iter().map(Vec::len).sum::<usize>() as u64);
        drop(record);
        prop_assert_eq!(files(folder.path()), expected);
    }

    /// Somebody cut `detections.jsonl`, and the list of ended sources is of any length.
    #[test]
    fn cut_anywhere_it_resumes_to_the_same_bytes_or_is_refused(
        run in runs(),
        cut: prop::sample::Index,
        ended: prop::sample::Index,
    ) {
        let (folder, expected) = run_to(&run, usize::MAX);
        let layout = Layout::new(folder.path());
        fs::write(layout.record(), &expected.0[..cut.index(expected.0.len() + 1)]).unwrap();
        fs::write(layout.state(), &expected.1[..ended.index(expected.1.len() + 1)]).unwrap();
        let Ok(mut record) = Record::resume(&layout) else { return Ok(()) };
        let ordinal = record.ended_sources();
        let stored: Vec<_> = record.stored().unwrap().map(Result::unwrap).collect();
        prop_assert_eq!(stored.len() as u64, record.stored_frames());
        for (index, frame) in stored.into_iter().enumerate() {
            let objects = run[ordinal][index];
            prop_assert_eq!((frame.source, frame.index), (ordinal, index as u64 * 2));
            prop_assert_eq!(frame.found, found(ordinal, index, objects));
        }
        go_on(&mut record, &run, usize::MAX);
        drop(record);
        prop_assert_eq!(files(folder.path()), expected);
    }
}
