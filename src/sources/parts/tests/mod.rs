//! Parts give what the whole source gives.

mod others;
mod shares;
mod videos;

use super::{Divided, Division, PartSource, PartStep, divide, open_part};
use crate::{
    frame::{Frame, Physical, SourceKind},
    sources::{Decode, SourceOptions, SourceSpec, open},
};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn clip(name: &str) -> SourceSpec {
    video(&fixtures().join("media/parts").join(name))
}

fn video(path: &Path) -> SourceSpec {
    spec(path, SourceKind::Video)
}

fn spec(path: &Path, kind: SourceKind) -> SourceSpec {
    SourceSpec {
        path: path.to_owned(),
        kind,
        files: vec![path.to_owned()],
        name: "clip".to_owned(),
        folder: None,
    }
}

/// A copy of a clip of which bytes from `at` on, of a thousandth, are changed.
fn changed(folder: &Path, name: &str, at: usize, by: &[u8]) -> SourceSpec {
    let mut bytes = fs::read(&clip(name).path).unwrap();
    let at = at * bytes.len() / 1000;
    for (byte, change) in bytes[at..].iter_mut().zip(by) {
        *byte ^= change;
    }
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    video(&path)
}

fn options() -> SourceOptions {
    SourceOptions {
        decode: Decode::Cpu,
        decode_threads: 2,
        ..SourceOptions::default()
    }
}

/// All that a frame is.
#[derive(Debug, PartialEq)]
struct Seen {
    index: u64,
    timestamp: Option<Duration>,
    file: Option<PathBuf>,
    source: PathBuf,
    size: [u32; 2],
    pixels: Vec<u8>,
    physical: Option<Physical>,
}

fn seen(frame: Frame) -> Seen {
    let image = frame.image().unwrap();
    Seen {
        index: frame.index,
        timestamp: frame.timestamp,
        file: frame.file.clone(),
        source: frame.source.path.clone(),
        size: [image.size().width, image.size().height],
        pixels: image.data().to_vec(),
        physical: frame.physical.as_deref().cloned(),
    }
}

/// Frames, and errors as texts.
type Outcome = Vec<Result<Seen, String>>;

fn whole(spec: &SourceSpec, options: &SourceOptions) -> Outcome {
    let mut source = open(spec, 0, options).unwrap();
    let mut outcome = Vec::new();
    loop {
        match source.next_frame() {
            Ok(Some(frame)) => outcome.push(Ok(seen(frame))),
            Ok(None) => return outcome,
            Err(error) => outcome.push(Err(error.to_string())),
        }
        assert!(outcome.len() < 1000);
    }
}

/// What a part gives, and whether it ended as it should.
fn drain(part: &mut dyn PartSource) -> (Outcome, bool) {
    let mut outcome = Vec::new();
    loop {
        match part.next_frame() {
            Ok(PartStep::Frame(frame)) => outcome.push(Ok(seen(frame))),
            Ok(PartStep::End) => {
                assert!(matches!(part.next_frame(), Ok(PartStep::End)));
                return (outcome, true);
            }
            Ok(PartStep::Irregular) => {
                assert!(matches!(part.next_frame(), Ok(PartStep::Irregular)));
                return (outcome, false);
            }
            Err(error) => outcome.push(Err(error.to_string())),
        }
        assert!(outcome.len() < 1000);
    }
}

fn divided(spec: &SourceSpec, options: &SourceOptions, least: u64) -> Divided {
    match divide(spec, options, least) {
        Division::Parts(divided) => divided,
        Division::Whole { reason } => panic!("{}: {reason:?}", spec.path.display()),
    }
}

fn reason(spec: &SourceSpec, least: u64) -> Option<String> {
    match divide(spec, &options(), least) {
        Division::Whole { reason } => reason,
        Division::Parts(divided) => panic!("{}: {:?}", spec.path.display(), divided.parts()),
    }
}

/// The parts in the given order by as many decoders as say `decoders`, put in order again.
fn in_parts(
    spec: &SourceSpec,
    options: &SourceOptions,
    least: u64,
    decoders: usize,
    order: &[usize],
) -> Outcome {
    let divided = divided(spec, options, least);
    let count = divided.parts().len();
    let mut order: Vec<usize> = order.iter().copied().filter(|&n| n < count).collect();
    let rest: Vec<usize> = (0..count).filter(|n| !order.contains(n)).collect();
    order.extend(rest);
    let (mut open, mut outcomes) = (BTreeMap::new(), BTreeMap::new());
    for (at, &number) in order.iter().enumerate() {
        let decoder = at % decoders;
        let part: &mut Box<dyn PartSource> = match open.entry(decoder) {
            Entry::Vacant(place) => {
                place.insert(open_part(spec, 0, options, &divided, number).unwrap())
            }
            Entry::Occupied(place) => {
                let part = place.into_mut();
                part.restart(number).unwrap();
                part
            }
        };
        let (outcome, ended) = drain(part.as_mut());
        assert!(ended, "{}, part {number} of {count}", spec.path.display());
        let bounds = divided.parts()[number];
        for frame in outcome.iter().flatten() {
            assert!(frame.index >= bounds.first && !bounds.is_before(frame.index));
        }
        outcomes.insert(number, outcome);
    }
    outcomes.into_values().flatten().collect()
}

fn assert_same(found: &Outcome, expected: &Outcome, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        match (found, expected) {
            (Ok(found), Ok(expected)) => {
                assert!(
                    found == expected,
                    "{what}: frame {} at {:?} is not frame {} at {:?}",
                    found.index,
                    found.timestamp,
                    expected.index,
                    expected.timestamp
                );
            }
            (found, expected) => {
                assert_eq!(found.as_ref().err(), expected.as_ref().err(), "{what}");
            }
        }
    }
}

/// The parts in order up to the first that is irregular, and whether one is.
fn until_irregular(spec: &SourceSpec, least: u64, reuse: bool) -> Option<(Outcome, bool)> {
    let Division::Parts(divided) = divide(spec, &options(), least) else {
        return None;
    };
    let open = |number| open_part(spec, 0, &options(), &divided, number);
    let (mut outcome, mut decoder) = (Vec::new(), open(0).ok()?);
    for number in 0..divided.parts().len() {
        if reuse {
            decoder.restart(number).unwrap();
        } else {
            decoder = open(number).unwrap();
        }
        let (frames, ended) = drain(decoder.as_mut());
        outcome.extend(frames);
        if !ended {
            return Some((outcome, true));
        }
    }
    Some((outcome, false))
}
