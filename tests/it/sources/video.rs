//! Videos: frames, their order, times and pixels from the files of `tests/fixtures/media` (made by `make.py` there).

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use ultramotion::{
    engine::Engine,
    frame::{Channels, Frame, Image, SourceInfo, SourceKind},
    geometry::Size,
    sources::{
        Decode, DecodeDevice, FrameSelection, Source, SourceError, SourceOptions, SourceSpec,
        VideoOptions, VideoSource, open,
    },
};

const COLOURS: [[u8; 3]; 6] = [
    [200, 30, 40],
    [30, 180, 60],
    [40, 50, 210],
    [220, 210, 30],
    [120, 120, 120],
    [250, 250, 250],
];

fn media(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/media")
        .join(name)
}

fn spec(path: &Path) -> SourceSpec {
    SourceSpec {
        path: path.to_owned(),
        kind: SourceKind::Video,
        files: vec![path.to_owned()],
        name: "clip".to_owned(),
        folder: None,
    }
}

fn video(path: &Path) -> Result<VideoSource, SourceError> {
    VideoSource::open(&spec(path), 0, &VideoOptions::default())
}

/// Frames and errors until the end.
fn run(source: &mut dyn Source) -> (Vec<Frame>, Vec<SourceError>) {
    let (mut frames, mut errors) = (Vec::new(), Vec::new());
    loop {
        match source.next_frame() {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => return (frames, errors),
            Err(error) => errors.push(error),
        }
        assert!(frames.len() + errors.len() < 1000, "no end");
    }
}

fn frames(name: &str) -> Vec<Frame> {
    let (frames, errors) = run(&mut video(&media(name)).unwrap());
    assert!(errors.is_empty(), "{name}: {errors:?}");
    frames
}

fn pixel(image: &Image, x: u32, y: u32) -> [u8; 3] {
    let at = (y * image.size().width + x) as usize * 3;
    image.data()[at..at + 3].try_into().unwrap()
}

fn near(found: [u8; 3], expected: [u8; 3], tolerance: u8) -> bool {
    found
        .iter()
        .zip(expected)
        .all(|(&a, b)| a.abs_diff(b) <= tolerance)
}

/// The number that the grey of a frame's left half stands for.
fn number(frame: &Frame) -> u64 {
    let image = frame.image().unwrap();
    (f64::from(image.data()[(24 * image.size().width as usize + 8) * image.channels().count()])
        / 10.0)
        .round() as u64
}

#[test]
fn every_codec_gives_every_frame_once_in_order_with_its_time() {
    for name in [
        "h264.mp4",
        "hevc10.mkv",
        "vp9.webm",
        "av1.mp4",
        "mpeg4.avi",
        "mjpeg.avi",
    ] {
        let frames = frames(name);
        assert_eq!(frames.len(), 12, "{name}");
        for (i, frame) in frames.iter().enumerate() {
            assert_eq!((frame.index, number(frame)), (i as u64, i as u64), "{name}");
            assert_eq!(
                frame.timestamp,
                Some(Duration::from_millis(40 * i as u64)),
                "{name}"
            );
            assert_eq!(
                (frame.size(), frame.image().unwrap().channels()),
                (Size::new(64, 48), Channels::Rgb)
            );
            for (n, colour) in COLOURS.iter().enumerate() {
                let found = pixel(frame.image().unwrap(), 48, n as u32 * 8 + 4);
                assert!(
                    near(found, *colour, 12),
                    "{name}, frame {i}: {found:?} for {colour:?}"
                );
            }
        }
    }
}

#[test]
fn matrix_and_range_are_those_that_the_file_states() {
    for name in [
        "bt601_limited.mkv",
        "bt601_full.mkv",
        "bt709_limited.mkv",
        "bt709_full.mkv",
    ] {
        let frames = frames(name);
        for (n, colour) in COLOURS.iter().enumerate() {
            let found = pixel(frames[0].image().unwrap(), 48, n as u32 * 8 + 4);
            assert!(near(found, *colour, 2), "{name}: {found:?} for {colour:?}");
        }
        assert_eq!(pixel(frames[0].image().unwrap(), 8, 24), [0; 3], "{name}");
    }
}

#[test]
fn grey_video_stays_grey() {
    for (i, frame) in frames("gray.mkv").iter().enumerate() {
        assert_eq!(frame.image().unwrap().channels(), Channels::Gray);
        assert_eq!(usize::from(frame.image().unwrap().data()[0]), 10 * i);
    }
}

#[test]
fn facts_are_known_before_decoding() {
    let source = video(&media("h264.mp4")).unwrap();
    let info = source.info();
    assert_eq!(
        (info.frame_count, info.frame_rate, info.kind),
        (Some(12), Some(25.0), SourceKind::Video)
    );
}

#[test]
fn variable_rates_keep_their_times() {
    let times: Vec<Duration> = frames("vfr.mkv")
        .iter()
        .filter_map(|f| f.timestamp)
        .collect();
    assert_eq!(
        times,
        (0..8u64)
            .map(|n| Duration::from_millis(n * (n + 1) / 2 * 20))
            .collect::<Vec<_>>()
    );
}

#[test]
fn one_frame_is_a_video() {
    assert_eq!(frames("one_frame.mp4").len(), 1);
}

#[test]
fn rotated_videos_come_upright() {
    // The first colour (red) is at the top of the right half as stored: where it is seen after the turn.
    let upright = &frames("h264.mp4")[3];
    for (name, size, at) in [
        ("rotated90.mov", Size::new(48, 64), (4, 15)),
        ("rotated180.mov", Size::new(64, 48), (15, 43)),
        ("rotated270.mov", Size::new(48, 64), (43, 48)),
    ] {
        let frames = frames(name);
        assert_eq!((frames.len(), frames[3].size()), (12, size), "{name}");
        let found = pixel(frames[3].image().unwrap(), at.0, at.1);
        assert_eq!(found, pixel(upright.image().unwrap(), 48, 4), "{name}");
    }
}

#[test]
fn the_shape_of_pixels_goes_with_the_frames_and_they_stay_as_stored() {
    for (name, size, aspect) in [
        ("h264.mp4", Size::new(64, 48), None),
        ("shape.mp4", Size::new(64, 48), Some([64, 45])),
        ("shape_stream.h264", Size::new(64, 48), Some([64, 45])),
        ("shape_container.mkv", Size::new(64, 48), Some([4, 3])),
        ("shape_turned.mov", Size::new(48, 64), Some([45, 64])),
    ] {
        for frame in frames(name) {
            let found = frame
                .physical
                .as_ref()
                .and_then(|physical| physical.pixel_aspect);
            assert_eq!((frame.size(), found), (size, aspect), "{name}");
        }
    }
}

#[test]
fn frames_cut_off_by_an_edit_list_do_not_come() {
    let frames = frames("edit_list.mp4");
    let numbers: Vec<u64> = frames.iter().map(number).collect();
    assert_eq!(numbers, (3..12).collect::<Vec<_>>());
    assert_eq!(frames[0].index, 0);
    assert_eq!(frames[0].timestamp, Some(Duration::ZERO));
}

#[test]
fn the_size_may_change_within_a_stream() {
    let sizes: Vec<Size> = frames("two_sizes.h264").iter().map(Frame::size).collect();
    assert_eq!(
        sizes,
        [
            Size::new(64, 48),
            Size::new(64, 48),
            Size::new(64, 48),
            Size::new(32, 24),
            Size::new(32, 24),
            Size::new(32, 24)
        ]
    );
}

#[test]
fn a_cover_picture_is_no_video() {
    let error = video(&media("cover.m4a")).err().unwrap();
    assert!(error.to_string().contains("no video stream"), "{error}");
}

#[test]
fn selected_frames_keep_number_time_and_pixels() {
    let all = frames("h264.mp4");
    let selection = FrameSelection {
        range: Some(2..11),
        stride: 3.try_into().unwrap(),
    };
    let options = SourceOptions {
        selection,
        decode_threads: 1,
        ..Default::default()
    };
    let (some, errors) = run(&mut *open(&spec(&media("h264.mp4")), 0, &options).unwrap());
    assert!(errors.is_empty());
    assert_eq!(some.iter().map(|f| f.index).collect::<Vec<_>>(), [2, 5, 8]);
    for frame in some {
        let same = &all[frame.index as usize];
        assert_eq!(
            (frame.timestamp, frame.image().unwrap()),
            (same.timestamp, same.image().unwrap())
        );
    }
}

#[test]
fn threads_change_no_pixel() {
    let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/phantom-demo.mp4");
    let with = |threads| {
        let options = VideoOptions {
            threads,
            ..Default::default()
        };
        let (frames, errors) = run(&mut VideoSource::open(&spec(&clip), 0, &options).unwrap());
        assert!(errors.is_empty(), "{errors:?}");
        frames
    };
    let (one, several) = (with(1), with(4));
    assert_eq!((one.len(), one[0].size()), (60, Size::new(512, 512)));
    assert_eq!(one.len(), several.len());
    for (a, b) in one.iter().zip(&several) {
        assert_eq!((a.index, a.timestamp), (b.index, b.timestamp));
        assert!(
            a.image().unwrap().data() == b.image().unwrap().data(),
            "frame {}",
            a.index
        );
    }
}

#[test]
fn a_video_in_memory_is_the_same() {
    let path = media("h264.mp4");
    let info = SourceInfo {
        ordinal: 4,
        path: path.clone(),
        name: "cine".to_owned(),
        kind: SourceKind::Dicom,
        folder: None,
        frame_count: None,
        frame_rate: Some(30.0),
        attributes: Default::default(),
    };
    let mut source = VideoSource::from_bytes(
        fs::read(path).unwrap(),
        info,
        None,
        &VideoOptions::default(),
    )
    .unwrap();
    assert_eq!(
        (source.info().frame_rate, source.info().frame_count),
        (Some(30.0), Some(12))
    );
    let (found, errors) = run(&mut source);
    assert!(errors.is_empty());
    let expected = frames("h264.mp4");
    assert!(
        found
            .iter()
            .zip(&expected)
            .all(|(a, b)| a.image().unwrap() == b.image().unwrap()
                && a.index == b.index
                && a.source.kind == SourceKind::Dicom)
    );
    assert_eq!(found.len(), expected.len());
}

#[test]
fn a_truncated_file_gives_what_is_there_and_one_error() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "h264.mp4",
        "hevc10.mkv",
        "vp9.webm",
        "mpeg4.avi",
        "mjpeg.avi",
    ] {
        let whole = fs::read(media(name)).unwrap();
        let expected = frames(name);
        for percent in [20, 40, 60, 80, 95] {
            let path = folder.path().join(name);
            fs::write(&path, &whole[..whole.len() * percent / 100]).unwrap();
            let (found, errors) = match video(&path) {
                Ok(mut source) => run(&mut source),
                Err(error) => (Vec::new(), vec![error]),
            };
            assert_eq!(errors.len(), 1, "{name} at {percent}%: {errors:?}");
            assert!(
                errors[0].to_string().contains("ends early"),
                "{}",
                errors[0]
            );
            assert!(found.len() < 12, "{name} at {percent}%");
            for (frame, whole) in found.iter().zip(&expected) {
                assert_eq!(
                    (frame.index, number(frame)),
                    (whole.index, number(whole)),
                    "{name} at {percent}%"
                );
            }
        }
    }
}

#[test]
fn damaged_packets_cost_their_frames_alone() {
    // Wipes the coded data of frames 3 and 7 out of the AVI, whose frames are chunks `00dc` with their size.
    let mut bytes = fs::read(media("mjpeg.avi")).unwrap();
    let movi = bytes.windows(4).position(|w| w == b"movi").unwrap();
    let mut at = movi + 4;
    for n in 0..12 {
        assert_eq!(&bytes[at..at + 4], b"00dc");
        let size = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
        if n == 3 || n == 7 {
            bytes[at + 8..at + 8 + size].fill(0);
        }
        at += 8 + size + size % 2;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.avi");
    fs::write(&path, bytes).unwrap();
    let (found, errors) = run(&mut video(&path).unwrap());
    assert_eq!(
        errors.iter().map(|e| e.frame).collect::<Vec<_>>(),
        [Some(3), Some(7)],
        "{errors:?}"
    );
    assert_eq!(
        found.iter().map(|f| f.index).collect::<Vec<_>>(),
        [0, 1, 2, 4, 5, 6, 8, 9, 10, 11]
    );
    assert!(
        found
            .iter()
            .all(|f| number(f) == f.index
                && f.timestamp == Some(Duration::from_millis(40 * f.index)))
    );
}

#[test]
fn without_a_gpu_video_is_decoded_on_the_cpu_or_refused() {
    let device = || Some(DecodeDevice::new(&Engine::cpu()));
    for (decode, device) in [
        (Decode::Auto, device()),
        (Decode::Auto, None),
        (Decode::Cpu, device()),
    ] {
        let source = VideoSource::open(
            &spec(&media("h264.mp4")),
            0,
            &VideoOptions {
                decode,
                device,
                ..VideoOptions::default()
            },
        )
        .unwrap();
        let decoding = source.decoding().unwrap();
        assert_eq!(
            (decoding.on_gpu, decoding.name(), &decoding.reason),
            (false, "cpu", &None),
            "{decode}"
        );
    }
    for device in [device(), None] {
        let options = VideoOptions {
            decode: Decode::Gpu,
            device,
            ..VideoOptions::default()
        };
        let error = VideoSource::open(&spec(&media("h264.mp4")), 0, &options)
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("h264.mp4: cannot be decoded on the GPU: the run has no CUDA device; decode it on the CPU"), "{error}");
    }
}

#[test]
fn what_is_no_video_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.mp4");
    for bytes in [&b""[..], b"\0\0\0\x18ftypmp42", b"words"] {
        fs::write(&path, bytes).unwrap();
        let error = video(&path).err().unwrap();
        assert!(error.to_string().contains("x.mp4"), "{error}");
    }
}
