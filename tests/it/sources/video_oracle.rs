//! Counts, sizes and times of frames against an independent decoder: video-rs's own, which reads and drains by other code.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use ultramotion::{
    frame::SourceKind,
    geometry::Size,
    sources::{Source, SourceSpec, VideoOptions, VideoSource},
};
use video_rs::{Decoder, Error};

/// Files whose frames are all whole, in containers that state a time for each.
const FILES: [&str; 8] = [
    "tests/fixtures/media/h264.mp4",
    "tests/fixtures/media/moving_h264.mp4",
    "tests/fixtures/media/moving_hevc.mkv",
    "tests/fixtures/media/av1.mp4",
    "tests/fixtures/media/mjpeg.avi",
    "tests/fixtures/media/one_frame.mp4",
    "tests/fixtures/media/bt709_limited.mkv",
    "assets/phantom-demo.mp4",
];

/// Size and time of each frame, by video-rs. Times count from the first frame.
fn expected(path: &Path) -> Vec<(Size, f64)> {
    let mut decoder = Decoder::new(path).unwrap();
    let tick = f64::from(decoder.time_base());
    let (mut frames, mut first) = (Vec::new(), None);
    loop {
        match decoder.decode_raw() {
            Ok(frame) => {
                let stated = frame.timestamp().unwrap();
                let ticks = stated - *first.get_or_insert(stated);
                let size = Size::new(frame.width(), frame.height());
                frames.push((size, ticks as f64 * tick));
            }
            Err(Error::ReadExhausted | Error::DecodeExhausted) => return frames,
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }
}

fn found(path: &Path) -> Vec<(Size, Duration)> {
    let spec = SourceSpec {
        path: path.to_owned(),
        kind: SourceKind::Video,
        files: vec![path.to_owned()],
        name: "clip".to_owned(),
        folder: None,
    };
    let mut source = VideoSource::open(&spec, 0, &VideoOptions::default()).unwrap();
    std::iter::from_fn(|| source.next_frame().unwrap())
        .map(|frame| (frame.size(), frame.timestamp.unwrap()))
        .collect()
}

#[test]
fn frames_sizes_and_times_are_those_of_video_rs() {
    for file in FILES {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file);
        let (found, expected) = (found(&path), expected(&path));
        assert!(!expected.is_empty(), "{file}");
        assert_eq!(found.len(), expected.len(), "{file}: frames");
        for (n, ((size, time), (expected_size, seconds))) in found.iter().zip(&expected).enumerate()
        {
            assert_eq!(size, expected_size, "{file}, frame {n}");
            let apart = (time.as_secs_f64() - seconds).abs();
            assert!(apart < 1e-6, "{file}, frame {n}: {time:?}, not {seconds} s");
        }
    }
}
