//! Videos that are joined, damaged or cut short: which frames come, which errors, and that both are the same every time.

use std::{
    fs,
    path::{Path, PathBuf},
};
use ultramotion::{
    frame::{Frame, SourceKind},
    sources::{Source, SourceError, SourceSpec, SourceWarning, VideoOptions, VideoSource},
};

fn media(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/media")
        .join(name)
}

/// Frames, errors and warnings of a file until its end.
#[derive(Default)]
struct Outcome {
    frames: Vec<Frame>,
    errors: Vec<SourceError>,
    warnings: Vec<SourceWarning>,
}

fn decoded(path: &Path, threads: usize) -> Outcome {
    let spec = SourceSpec {
        path: path.to_owned(),
        kind: SourceKind::Video,
        files: vec![path.to_owned()],
        name: "clip".to_owned(),
        folder: None,
    };
    let mut outcome = Outcome::default();
    let mut source = match VideoSource::open(
        &spec,
        0,
        &VideoOptions {
            threads,
            ..VideoOptions::default()
        },
    ) {
        Ok(source) => source,
        Err(error) => {
            outcome.errors.push(error);
            return outcome;
        }
    };
    loop {
        match source.next_frame() {
            Ok(Some(frame)) => outcome.frames.push(frame),
            Ok(None) => break,
            Err(error) => outcome.errors.push(error),
        }
        assert!(outcome.frames.len() + outcome.errors.len() < 1000, "no end");
    }
    outcome.warnings = source.take_warnings();
    outcome
}

/// Number, time in nanoseconds and pixels of the frames, texts of the errors and warnings.
type Facts<'a> = (Vec<(u64, u128, &'a [u8])>, Vec<String>, Vec<String>);

impl Outcome {
    /// All that there is to compare: numbers, times and pixels of the frames, texts of the errors and warnings.
    fn facts(&self) -> Facts<'_> {
        let of = |f: &Frame| (f.index, f.timestamp.unwrap().as_nanos());
        let frames = self
            .frames
            .iter()
            .map(|f| (of(f).0, of(f).1, f.image().unwrap().data()))
            .collect();
        (
            frames,
            self.errors.iter().map(ToString::to_string).collect(),
            self.warnings.iter().map(ToString::to_string).collect(),
        )
    }
}

fn assert_clean(outcome: &Outcome, count: usize, name: &str) {
    assert!(
        outcome.errors.is_empty() && outcome.warnings.is_empty(),
        "{name}: {:?} {:?}",
        outcome.errors,
        outcome.warnings
    );
    assert_eq!(
        outcome.frames.iter().map(|f| f.index).collect::<Vec<_>>(),
        (0..count as u64).collect::<Vec<_>>(),
        "{name}"
    );
}

const SYNC: usize = 188;

/// The parts of a file of joined recordings: each begins with the table of services (stream 17) that FFmpeg writes first.
fn parts(whole: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<usize> = (0..whole.len())
        .step_by(SYNC)
        .filter(|&at| whole[at + 1..at + 3] == [0x40, 0x11])
        .collect();
    starts
        .iter()
        .zip(starts[1..].iter().chain([&whole.len()]))
        .map(|(&from, &to)| &whole[from..to])
        .collect()
}

#[test]
fn joined_transport_streams_lose_no_frame() {
    let folder = tempfile::tempdir().unwrap();
    assert_clean(
        &decoded(&media("cases/h264_joined.ts"), 0),
        50,
        "h264_joined.ts",
    );
    for name in ["joined_h264.ts", "joined_hevc.ts", "joined_mpeg2.ts"] {
        let joined = decoded(&media(name), 0);
        assert_clean(&joined, 24, name);
        let whole = fs::read(media(name)).unwrap();
        let mut alone = Vec::new();
        for part in parts(&whole) {
            let path = folder.path().join("part.ts");
            fs::write(&path, part).unwrap();
            let part = decoded(&path, 0);
            assert_clean(&part, 6, name);
            alone.extend(part.frames);
        }
        assert_eq!(joined.frames.len(), alone.len());
        for (a, b) in joined.frames.iter().zip(&alone) {
            assert_eq!(
                a.image().unwrap(),
                b.image().unwrap(),
                "{name}, frame {}",
                a.index
            );
        }
    }
}

#[test]
fn a_transport_stream_that_lacks_packets_says_so() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["joined_h264.ts", "joined_hevc.ts", "joined_mpeg2.ts"] {
        let whole = fs::read(media(name)).unwrap();
        // A packet of the picture's stream (256) that begins nothing, in the second part.
        let from = parts(&whole)[0].len();
        let at = (from..)
            .step_by(SYNC)
            .find(|&at| whole[at + 1..at + 3] == [0x01, 0x00])
            .unwrap();
        let path = folder.path().join(name);
        fs::write(&path, [&whole[..at], &whole[at + SYNC..]].concat()).unwrap();
        let outcome = decoded(&path, 0);
        assert!(
            !outcome.errors.is_empty() && outcome.frames.len() < 24,
            "{name}: {:?}",
            outcome.errors
        );
        assert!(
            outcome
                .errors
                .iter()
                .all(|e| (6..12).contains(&e.frame.unwrap())),
            "{name}: {:?}",
            outcome.errors
        );
    }
}

/// Numbers that look like chance, the same in every run.
fn numbers(seed: u64) -> impl Iterator<Item = usize> {
    let next = |n: &u64| {
        Some(
            n.wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407),
        )
    };
    std::iter::successors(Some(seed), next)
        .skip(1)
        .map(|n| (n >> 20) as usize)
}

#[test]
fn damage_gives_the_same_frames_and_errors_on_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let mut damaged = 0;
    for name in [
        "moving_h264.mp4",
        "joined_h264.ts",
        "joined_mpeg2.ts",
        "mpeg4.avi",
        "vp9.webm",
        "ends.ivf",
    ] {
        let whole = fs::read(media(name)).unwrap();
        for seed in 0..3 {
            let mut bytes = whole.clone();
            for at in numbers(seed * 31 + 5).take(5) {
                // The first quarter has headers, the end indices.
                let at = whole.len() / 4 + at % (whole.len() / 2);
                bytes[at] ^= 0x5a;
                bytes[at + 1] ^= 0xa5;
            }
            let path = folder.path().join(name);
            fs::write(&path, &bytes).unwrap();
            let one = decoded(&path, 1);
            damaged += usize::from(!one.errors.is_empty() || !one.warnings.is_empty());
            for threads in [0, 2, 3, 4, 8, 4] {
                let several = decoded(&path, threads);
                let ((frames, errors, warnings), one) = (several.facts(), one.facts());
                assert_eq!(
                    (&errors, &warnings),
                    (&one.1, &one.2),
                    "{name}, seed {seed}, {threads} threads"
                );
                let differ: Vec<u64> = frames
                    .iter()
                    .zip(&one.0)
                    .filter(|(a, b)| a != b)
                    .map(|(a, _)| a.0)
                    .collect();
                assert!(
                    differ.is_empty() && frames.len() == one.0.len(),
                    "{name}, seed {seed}, {threads} threads: {differ:?}"
                );
            }
        }
    }
    assert!(damaged > 6, "{damaged}");
}

#[test]
fn damage_that_the_decoder_conceals_is_a_warning() {
    // Decoders complain of some damage, and give out what they make of it as if it were whole.
    let folder = tempfile::tempdir().unwrap();
    let mut concealed = 0;
    for (name, part) in ["moving_hevc.mkv", "moving_h264.mp4", "joined_hevc.ts"]
        .into_iter()
        .flat_map(|name| (8..60).step_by(6).map(move |part| (name, part)))
    {
        let mut bytes = fs::read(media(name)).unwrap();
        let path = folder.path().join(name);
        let at = bytes.len() * part / 64;
        bytes[at..at + 30].fill(0x5a);
        fs::write(&path, bytes).unwrap();
        let outcome = decoded(&path, 0);
        if outcome.errors.is_empty() && !outcome.warnings.is_empty() {
            let text = outcome.warnings[0].to_string();
            assert!(
                text.contains("frame ") && text.contains("the decoder concealed it"),
                "{text}"
            );
            concealed += 1;
        }
    }
    assert!(concealed > 0);
}

/// What was there before the cut comes as it is, then one error.
#[test]
fn every_container_tells_that_it_was_cut() {
    let folder = tempfile::tempdir().unwrap();
    let names = [
        "h264.mp4",
        "hevc10.mkv",
        "vp9.webm",
        "mpeg4.avi",
        "mjpeg.avi",
        "ends.gif",
        "ends.ogv",
        "ends.mxf",
        "ends.flv",
        "ends.wmv",
        "ends.ivf",
        "ends.obu",
        "ends.ts",
        "ends.m2ts",
        "ends_live.mkv",
        "ends_fragments.mp4",
    ];
    for name in names {
        let whole = decoded(&media(name), 0);
        assert_clean(&whole, whole.frames.len(), name);
        let bytes = fs::read(media(name)).unwrap();
        let mut most = 0;
        // In these, what is left may hold all of the pictures.
        let in_one = [
            "ends_fragments.mp4",
            "ends.ogv",
            "ends_live.mkv",
            "ends.wmv",
        ]
        .contains(&name);
        for percent in (15..100).step_by(7) {
            let path = folder.path().join(name);
            // Not between two packets of a transport stream, nor after a unit of AV1 (one ends at byte 320), where nothing tells.
            let length = bytes.len() * percent / 100;
            let length = length
                + usize::from(
                    length.is_multiple_of(188)
                        || length.is_multiple_of(192)
                        || (name == "ends.obu" && length == 320),
                );
            fs::write(&path, &bytes[..length]).unwrap();
            let cut = decoded(&path, 0);
            let at = format!("{name} at {percent}%: {:?}", cut.errors);
            // What is missing at the very end may be an index alone.
            let is_whole = percent > 90 && cut.frames.len() == whole.frames.len();
            assert!(!cut.errors.is_empty() || is_whole, "{at}");
            // The picture that was cut in two may be an error of its own before that.
            let tells = |text: &str| text.contains("ends early") || cut.frames.is_empty();
            let texts: Vec<String> = cut.errors.iter().map(ToString::to_string).collect();
            let (last, before) = texts
                .split_last()
                .map_or((true, &[][..]), |(last, before)| (tells(last), before));
            assert!(
                last && before.len() <= 1 && before.iter().all(|text| text.ends_with("is damaged")),
                "{at}"
            );
            assert!(
                cut.frames.len() < whole.frames.len() || percent > 90 || in_one,
                "{at}"
            );
            for (a, b) in cut.frames.iter().zip(&whole.frames) {
                assert_eq!(
                    (a.index, a.image().unwrap()),
                    (b.index, b.image().unwrap()),
                    "{at}"
                );
            }
            most = most.max(cut.frames.len());
        }
        assert!(most > whole.frames.len() / 2 || in_one, "{name}: {most}");
    }
    let cut = decoded(&media("cases/60.gif"), 0);
    assert!(
        cut.errors.len() == 1 && !cut.frames.is_empty(),
        "{:?}",
        cut.errors
    );
}

/// Where the cut is between packets, and the last picture may or may not be all there, that is said.
#[test]
fn a_transport_stream_that_may_lack_its_end_is_a_warning_or_an_error() {
    let bytes = fs::read(media("moving_h264.mp4")).unwrap();
    assert!(!bytes.is_empty());
    let whole = fs::read(media("joined_h264.ts")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("aligned.ts");
    let part = parts(&whole)[0].len();
    // After a packet that begins a picture of more than one packet.
    let at = (0..part).step_by(SYNC).find(|&at| {
        whole[at + 1..at + 3] == [0x41, 0] && whole[at + SYNC + 1..at + SYNC + 3] == [0x01, 0]
    });
    fs::write(&path, &whole[..at.unwrap() + SYNC]).unwrap();
    let outcome = decoded(&path, 0);
    assert!(!outcome.errors.is_empty() || !outcome.warnings.is_empty());
}
