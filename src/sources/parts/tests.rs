//! Parts give what the whole source gives.

use super::{Division, PartSource, PartStep, divide, open_part};
use crate::{
    frame::{Frame, Physical, SourceKind},
    sources::{Alias, Aliases, Decode, FrameSelection, SourceOptions, SourceSpec, open},
};
use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    fs,
    num::NonZeroU64,
    path::{Path, PathBuf},
    sync::Arc,
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

fn divided(spec: &SourceSpec, options: &SourceOptions, least: u64) -> super::Divided {
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
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(open_part(spec, 0, options, &divided, number).unwrap())
            }
            std::collections::btree_map::Entry::Occupied(place) => {
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

const DIVISIBLE: [&str; 11] = [
    "closed.mp4",
    "own_sets.mp4",
    "hevc.mp4",
    "hevc_leading.mp4",
    "mjpeg.mov",
    "vfr.mp4",
    "sound.mp4",
    "late_sound.mp4",
    "delayed.mp4",
    "turned.mov",
    "edited.mp4",
];

#[test]
fn parts_of_videos_are_the_whole() {
    for name in DIVISIBLE {
        let spec = clip(name);
        let whole = whole(&spec, &options());
        assert!(
            whole.len() > 40 && whole.iter().all(Result::is_ok),
            "{name}"
        );
        let count = divided(&spec, &options(), 10).parts().len();
        assert!((3..=6).contains(&count), "{name}: {count}");
        for decoders in [1, 2, count] {
            let parts = in_parts(&spec, &options(), 10, decoders, &[2, 0, 3]);
            assert_same(&parts, &whole, name);
        }
    }
}

#[test]
fn what_cannot_be_divided_says_why() {
    for (name, part) in [
        ("open.mp4", "open GOPs"),
        ("hevc_open.mp4", "open GOPs"),
        ("mpeg4.mp4", "coded as MPEG4"),
        ("one_key.mp4", "no key frame after its first 10"),
        ("fragmented.mp4", "fragmented"),
        ("closed.ts", "(mpegts) has no index"),
        ("closed.mkv", "has no index of all its frames"),
    ] {
        let reason = reason(&clip(name), 10).unwrap_or_else(|| panic!("{name}"));
        assert!(reason.contains(part), "{name}: {reason}");
    }
    // Nobody asks of a short one.
    for name in ["closed.mp4", "open.mp4", "one_key.mp4"] {
        assert_eq!(reason(&clip(name), 60), None, "{name}");
    }
    let range = SourceOptions {
        selection: FrameSelection {
            range: Some(5..40),
            stride: NonZeroU64::MIN,
        },
        ..options()
    };
    assert!(matches!(
        divide(&clip("closed.mp4"), &range, 10),
        Division::Whole { reason: Some(reason) } if reason.contains("a range")
    ));
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_division_of_a_video_is_the_whole(
        which in 0..DIVISIBLE.len(),
        least in 1..40u64,
        stride in 1..9u64,
        decoders in 1..4usize,
        order in Just((0..60).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let spec = clip(DIVISIBLE[which]);
        let selection = FrameSelection::default().with_stride(NonZeroU64::new(stride).unwrap());
        let options = SourceOptions { selection, ..options() };
        if matches!(divide(&spec, &options, least), Division::Parts(_)) {
            let parts = in_parts(&spec, &options, least, decoders, &order);
            assert_same(&parts, &whole(&spec, &options), DIVISIBLE[which]);
        }
    }

    #[test]
    fn of_a_damaged_video_no_wrong_frame_comes(
        name in prop_oneof![Just("closed.mp4"), Just("hevc.mp4"), Just("mjpeg.mov"), Just("edited.mp4")],
        at in 0..1000usize,
        by in proptest::collection::vec(any::<u8>(), 1..40),
        reuse in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let spec = changed(folder.path(), name, at, &by);
        let Some((parts, irregular)) = until_irregular(&spec, 10, reuse) else {
            return Ok(());
        };
        let mut whole = whole(&spec, &options());
        prop_assert!(parts.len() <= whole.len());
        if irregular {
            whole.truncate(parts.len());
        }
        assert_same(&parts, &whole, name);
    }
}

#[test]
fn damage_in_a_part_leaves_the_rest_to_the_whole_source() {
    let folder = tempfile::tempdir().unwrap();
    for (name, at) in [("closed.mp4", 500), ("mjpeg.mov", 520)] {
        let spec = changed(folder.path(), name, at, &[0x5a; 60]);
        for reuse in [false, true] {
            let (parts, irregular) = until_irregular(&spec, 10, reuse).unwrap();
            assert!(irregular && parts.len() > 12, "{name}: {}", parts.len());
            let whole = whole(&spec, &options());
            assert!(whole.len() > parts.len());
            assert_same(&parts, &whole.into_iter().take(parts.len()).collect(), name);
        }
    }
    let bytes = fs::read(&clip("mjpeg.mov").path).unwrap();
    let path = folder.path().join("cut.mov");
    // Its header stands at its end: opening it reports why it cannot be read.
    fs::write(&path, &bytes[..bytes.len() - 10]).unwrap();
    assert_eq!(reason(&video(&path), 10), None);
}

#[test]
fn parts_of_other_sources_are_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut files: Vec<PathBuf> = (0..23u8)
        .map(|n| {
            let path = folder.path().join(format!("{n:02}.png"));
            image::GrayImage::from_pixel(5, 4, image::Luma([n]))
                .save(&path)
                .unwrap();
            path
        })
        .collect();
    // Of frames that cannot be decoded the whole source has errors.
    fs::write(&files[9], b"nothing").unwrap();
    files.insert(15, folder.path().join("missing.png"));
    let sequence = SourceSpec {
        files: files.clone(),
        ..spec(folder.path(), SourceKind::Sequence)
    };
    let pages = spec(&fixtures().join("media/pages.tif"), SourceKind::Image);
    for (spec, least) in [(&sequence, 1), (&sequence, 7), (&pages, 1), (&pages, 3)] {
        for stride in [1, 3] {
            let selection = FrameSelection::default().with_stride(NonZeroU64::new(stride).unwrap());
            let options = SourceOptions {
                selection,
                ..options()
            };
            let whole = whole(spec, &options);
            for decoders in [1, 3] {
                let parts = in_parts(spec, &options, least, decoders, &[2, 0, 1]);
                assert_same(&parts, &whole, &format!("{} {stride}", spec.path.display()));
            }
        }
    }
    assert_eq!(reason(&sequence, 24), None);
    let single = fixtures().join("media/rgb8.png");
    assert_eq!(reason(&spec(&single, SourceKind::Image), 1), None);
    let spooled = SourceSpec {
        path: "-".into(),
        ..clip("closed.mp4")
    };
    assert!(reason(&spooled, 10).unwrap().contains("standard input"));
}

#[test]
fn parts_have_the_neutral_names_of_their_source() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Meier.mp4");
    fs::copy(clip("closed.mp4").path, &path).unwrap();
    let spec = video(&path);
    let alias = Alias {
        path: "source-000000".into(),
        files: vec!["source-000000".into()],
    };
    let options = SourceOptions {
        aliases: Some(Arc::new(Aliases::new([(spec.name.clone(), alias)]))),
        ..options()
    };
    let parts = in_parts(&spec, &options, 10, 2, &[]);
    assert!(
        parts
            .iter()
            .flatten()
            .all(|frame| frame.source == Path::new("source-000000"))
    );
    assert_same(&parts, &whole(&spec, &options), "alias");
    let divided = divided(&spec, &options, 10);
    let error = open_part(&spec, 0, &options, &divided, 99).err().unwrap();
    assert_eq!(error.to_string(), "source-000000: has no part 99");
    let mut part = open_part(&spec, 0, &options, &divided, 1).unwrap();
    assert!(part.restart(99).is_err());
    assert!(!part.decoding().unwrap().on_gpu);
}
