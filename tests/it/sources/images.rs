//! Still images and sequences: what comes out of the files of `tests/fixtures/media` (made by `make.py` there).

use std::{fs, path::Path, path::PathBuf, time::Duration};
use ultramotion::{
    frame::{Channels, Frame, SourceKind},
    geometry::Size,
    sources::{
        FrameSelection, ImageOptions, ImageSource, SequenceSource, Source, SourceError,
        SourceOptions, SourceSpec, open,
    },
};

fn media(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/media")
        .join(name)
}

fn spec(path: PathBuf, kind: SourceKind, files: Vec<PathBuf>) -> SourceSpec {
    SourceSpec {
        path,
        kind,
        files,
        name: "name".to_owned(),
        folder: None,
    }
}

fn image_source(path: PathBuf) -> Result<ImageSource, SourceError> {
    ImageSource::open(
        &spec(path.clone(), SourceKind::Image, vec![path]),
        0,
        &ImageOptions::default(),
    )
}

fn frames(source: &mut dyn Source) -> Vec<Frame> {
    std::iter::from_fn(|| source.next_frame().unwrap()).collect()
}

fn only_frame(name: &str) -> Frame {
    let mut frames = frames(&mut image_source(media(name)).unwrap());
    assert_eq!(frames.len(), 1, "{name}");
    frames.remove(0)
}

fn gray() -> Vec<u8> {
    (0..16)
        .flat_map(|y| (0..24).map(move |x| (8 * x + 4 * y) as u8))
        .collect()
}

fn rgb() -> Vec<u8> {
    (0..16u32)
        .flat_map(|y| {
            (0..24u32).flat_map(move |x| [(8 * x) as u8, (10 * y) as u8, (200 - 5 * x) as u8])
        })
        .collect()
}

fn error_of(path: PathBuf) -> String {
    match image_source(path) {
        Err(error) => error.to_string(),
        Ok(mut source) => loop {
            match source.next_frame() {
                Err(error) => break error.to_string(),
                Ok(Some(_)) => {}
                Ok(None) => panic!("no error"),
            }
        },
    }
}

#[test]
fn lossless_formats_give_their_pixels() {
    for name in ["rgb8.png", "rgb8.bmp", "rgb8.webp"] {
        let frame = only_frame(name);
        assert_eq!(
            (
                frame.image().unwrap().channels(),
                frame.size(),
                frame.timestamp,
                frame.index
            ),
            (Channels::Rgb, Size::new(24, 16), None, 0)
        );
        assert_eq!(frame.image().unwrap().data(), rgb(), "{name}");
    }
    let frame = only_frame("gray8.png");
    assert_eq!(
        (
            frame.image().unwrap().channels(),
            frame.image().unwrap().data()
        ),
        (Channels::Gray, gray().as_slice())
    );
}

#[test]
fn sixteen_bits_are_divided_by_257_and_rounded() {
    // The file holds 257 v + 100, which is nearest to v.
    for name in ["gray16.png", "gray16.tif"] {
        let frame = only_frame(name);
        assert_eq!(
            (
                frame.image().unwrap().channels(),
                frame.image().unwrap().data()
            ),
            (Channels::Gray, gray().as_slice()),
            "{name}"
        );
    }
}

#[test]
fn alpha_is_composited_over_black() {
    let frame = only_frame("rgba8.png");
    let over = |v: u8, x: usize| ((f64::from(v) * (10 * x) as f64) / 255.0).round() as u8;
    let expected: Vec<u8> = rgb()
        .iter()
        .enumerate()
        .map(|(i, &v)| over(v, i / 3 % 24))
        .collect();
    assert_eq!(
        (
            frame.image().unwrap().channels(),
            frame.image().unwrap().data()
        ),
        (Channels::Rgb, expected.as_slice())
    );
}

#[test]
fn palettes_and_cmyk_become_rgb() {
    assert_eq!(
        only_frame("palette.png").image().unwrap().channels(),
        Channels::Rgb
    );
    let frame = only_frame("cmyk.jpg");
    let off = frame
        .image()
        .unwrap()
        .data()
        .iter()
        .zip(rgb())
        .map(|(&a, b)| u64::from(a.abs_diff(b)))
        .sum::<u64>() as f64
        / (24.0 * 16.0 * 3.0);
    assert!(
        frame.image().unwrap().channels() == Channels::Rgb && off < 3.0,
        "off by {off} on average"
    );
}

#[test]
fn exif_orientation_is_applied() {
    // Where the red square, upper left as stored, is seen: (left, top).
    let places = [
        (true, true),
        (false, true),
        (false, false),
        (true, false),
        (true, true),
        (false, true),
        (false, false),
        (true, false),
    ];
    for (i, (left, top)) in places.into_iter().enumerate() {
        let frame = only_frame(&format!("orientation{}.jpg", i + 1));
        let size = if i < 4 {
            Size::new(48, 32)
        } else {
            Size::new(32, 48)
        };
        assert_eq!(frame.size(), size, "orientation {}", i + 1);
        assert_eq!(
            frame.exif_orientation,
            Some(i as u8 + 1).filter(|&turn| turn > 1)
        );
        let x = if left { 4 } else { size.width - 5 } as usize;
        let y = if top { 4 } else { size.height - 5 } as usize;
        let at = (y * size.width as usize + x) * 3;
        let [r, g, b] = frame.image().unwrap().data()[at..at + 3] else {
            unreachable!()
        };
        assert!(
            r > 230 && g < 25 && b < 25,
            "orientation {}: {r} {g} {b}",
            i + 1
        );
    }
}

#[test]
fn each_page_of_a_tiff_is_a_frame() {
    let mut source = image_source(media("pages.tif")).unwrap();
    assert_eq!(
        (source.info().kind, source.info().frame_count),
        (SourceKind::Sequence, Some(4))
    );
    for (i, frame) in frames(&mut source).iter().enumerate() {
        assert_eq!(
            (frame.index, frame.size()),
            (i as u64, Size::new(20 + i as u32, 10))
        );
        assert!(
            frame
                .image()
                .unwrap()
                .data()
                .iter()
                .all(|&v| usize::from(v) == 50 * i)
        );
    }
    let options = SourceOptions {
        selection: FrameSelection {
            range: Some(1..9),
            stride: 2.try_into().unwrap(),
        },
        ..Default::default()
    };
    let path = media("pages.tif");
    let mut source = open(
        &spec(path.clone(), SourceKind::Image, vec![path]),
        0,
        &options,
    )
    .unwrap();
    assert_eq!(
        frames(&mut *source)
            .iter()
            .map(|f| f.index)
            .collect::<Vec<_>>(),
        [1, 3]
    );
}

#[test]
fn frames_of_an_animation_have_their_times() {
    let frames = frames(&mut image_source(media("animated.webp")).unwrap());
    let times: Vec<Duration> = frames.iter().filter_map(|f| f.timestamp).collect();
    assert_eq!(times, [0, 100, 150, 350].map(Duration::from_millis));
    for (i, frame) in frames.iter().enumerate() {
        // The decoder blends opaque pixels too, which may cost one level.
        let expected = [60 * i as u8, 0, 255 - 60 * i as u8];
        assert!(
            frame
                .image()
                .unwrap()
                .data()
                .iter()
                .zip(expected.iter().cycle())
                .all(|(&v, &e)| v.abs_diff(e) <= 1)
        );
    }
}

#[test]
fn frames_of_an_animated_png_are_composed() {
    let green =
        |x: usize, y: usize, i: usize| (2 * i..2 * i + 4).contains(&x) && (1..5).contains(&y);
    for (name, times) in [
        ("animated.png", &[0, 100, 150, 350][..]),
        ("animated_beside_still.png", &[0, 100]),
    ] {
        let mut source = image_source(media(name)).unwrap();
        assert_eq!(
            (source.info().kind, source.info().frame_count),
            (SourceKind::Sequence, Some(times.len() as u64)),
            "{name}"
        );
        let frames = frames(&mut source);
        assert_eq!(
            frames
                .iter()
                .filter_map(|f| f.timestamp)
                .collect::<Vec<_>>(),
            times
                .iter()
                .map(|t| Duration::from_millis(*t))
                .collect::<Vec<_>>()
        );
        for (i, frame) in frames.iter().enumerate() {
            assert_eq!(frame.size(), Size::new(16, 12));
            let pixels = frame.image().unwrap().data().as_chunks::<3>().0;
            for (at, pixel) in pixels.iter().enumerate() {
                let expected = match (at % 16, at / 16) {
                    (x, y) if green(x, y, i) => [0, 250, 0],
                    (15, 11) if i == 3 => [100, 50, 25],
                    _ => [60 * i as u8, 0, 255 - 60 * i as u8],
                };
                assert_eq!(*pixel, expected, "{name}, frame {i}, pixel {at}");
            }
        }
    }
    for (i, frame) in frames(&mut image_source(media("animated_gray.png")).unwrap())
        .iter()
        .enumerate()
    {
        let image = frame.image().unwrap();
        assert_eq!(
            (image.channels(), image.data()),
            (Channels::Gray, &[40 * i as u8 + 10; 48][..])
        );
    }
}

/// Frames and errors of a file until its end.
fn outcome(path: PathBuf) -> (usize, Vec<String>) {
    let mut source = match image_source(path) {
        Ok(source) => source,
        Err(error) => return (0, vec![error.to_string()]),
    };
    let (mut count, mut errors) = (0, Vec::new());
    loop {
        match source.next_frame() {
            Ok(Some(_)) => count += 1,
            Ok(None) => return (count, errors),
            Err(error) => errors.push(error.to_string()),
        }
    }
}

#[test]
fn a_cut_animation_keeps_its_frames_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["animated.png", "animated.webp"] {
        let whole = fs::read(media(name)).unwrap();
        let mut counts = Vec::new();
        for percent in (10..100).step_by(5) {
            let path = folder.path().join(name);
            fs::write(&path, &whole[..whole.len() * percent / 100]).unwrap();
            let (count, errors) = outcome(path);
            assert!(
                count < 4 && errors.len() == 1,
                "{name} at {percent}%: {count} frames, {errors:?}"
            );
            counts.push(count);
        }
        assert!(
            counts.is_sorted() && counts.contains(&1) && counts.contains(&2),
            "{name}: {counts:?}"
        );
    }
}

#[test]
fn jpeg_is_read_as_libjpeg_reads_it() {
    let expected = only_frame("cases/jpeg.png");
    let near = |path: PathBuf| {
        let frame = image_source(path.clone())
            .unwrap()
            .next_frame()
            .unwrap_or_else(|e| panic!("{e}"))
            .unwrap();
        let (found, expected) = (
            frame.image().unwrap().data(),
            expected.image().unwrap().data(),
        );
        let off = found
            .iter()
            .zip(expected)
            .map(|(a, b)| f64::from(a.abs_diff(*b)))
            .sum::<f64>()
            / expected.len() as f64;
        assert!(
            found.len() == expected.len() && off < 1.0,
            "{}: off by {off}",
            path.display()
        );
    };
    near(media("cases/3zero_before_c4.jpg"));
    near(media("cases/no_eoi_but_padding.jpg"));

    // Bytes before each of the segments, and what follows the scan.
    let bytes = fs::read(media("cases/3zero_before_c4.jpg")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.jpg");
    let scan = bytes.windows(2).position(|w| w == [0xff, 0xda]).unwrap();
    let starts: Vec<usize> = (3..=scan)
        .filter(|&at| bytes[at] == 0xff && matches!(bytes[at + 1], 0xc0..=0xfe) && at < scan + 1)
        .collect();
    for junk in [
        &[0u8, 0, 0, 0, 0, 0, 0][..],
        &[1],
        &[0xff, 0, 7],
        &[b'x'; 300],
    ] {
        let at = *starts.last().unwrap();
        fs::write(&path, [&bytes[..at], junk, &bytes[at..]].concat()).unwrap();
        near(path.clone());
    }
    let end = bytes.windows(2).rposition(|w| w == [0xff, 0xd9]).unwrap();
    for after in [&[][..], &[0; 1], &[0; 1000]] {
        fs::write(&path, [&bytes[..end], after].concat()).unwrap();
        near(path.clone());
    }
    // A scan that is cut, with zeros for the rest or without, is an error.
    for cut in [1, 3, 20, 300] {
        for after in [0, 1000] {
            let at = scan + (end - scan) * 3 / 4 - cut;
            fs::write(&path, [&bytes[..at], &vec![0; after]].concat()).unwrap();
            let text = error_of(path.clone());
            assert!(text.contains("ends early"), "{text}");
        }
    }
}

#[test]
fn an_image_over_the_limit_is_refused_before_it_is_decoded() {
    let text = error_of(media("huge.png"));
    assert!(
        text.contains("huge.png")
            && text.contains("over the limit")
            && text.ends_with("; raise the limit"),
        "{text}"
    );
    let path = media("rgb8.png");
    let mut source = ImageSource::open(
        &spec(path.clone(), SourceKind::Image, vec![path]),
        0,
        &ImageOptions {
            max_pixels: 24 * 16 - 1,
            ..Default::default()
        },
    )
    .unwrap();
    assert!(
        source
            .next_frame()
            .unwrap_err()
            .to_string()
            .contains("24×16")
    );
}

#[test]
fn floating_point_is_refused() {
    let text = error_of(media("float.tif"));
    assert!(text.contains("float.tif"), "{text}");
}

#[test]
fn empty_and_truncated_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "rgb8.png",
        "gray16.png",
        "orientation6.jpg",
        "rgb8.bmp",
        "rgb8.webp",
        "animated.webp",
        "gray16.tif",
        "animated.png",
    ] {
        let whole = fs::read(media(name)).unwrap();
        for length in [
            0,
            1,
            3,
            9,
            whole.len() / 4,
            whole.len() / 2,
            whole.len() * 3 / 4,
        ] {
            let path = folder.path().join(format!("{length}-{name}"));
            fs::write(&path, &whole[..length]).unwrap();
            let text = error_of(path);
            assert!(text.contains(name), "{text}");
        }
    }
}

#[test]
fn a_bad_file_in_a_sequence_costs_that_frame_alone() {
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<PathBuf> = (0..4)
        .map(|i| folder.path().join(format!("f{i}.png")))
        .collect();
    for file in &files {
        fs::copy(media("gray8.png"), file).unwrap();
    }
    fs::write(&files[1], b"\x89PNG\r\n\x1a\n").unwrap();
    let mut source = SequenceSource::new(
        &spec(
            folder.path().to_owned(),
            SourceKind::Sequence,
            files.clone(),
        ),
        3,
        &ImageOptions::default(),
    );
    assert_eq!(
        (source.info().ordinal, source.info().frame_count),
        (3, Some(4))
    );
    let first = source.next_frame().unwrap().unwrap();
    assert_eq!((first.index, first.file.as_ref()), (0, Some(&files[0])));
    let error = source.next_frame().unwrap_err();
    assert_eq!(
        (error.frame, error.path.as_path()),
        (Some(1), files[1].as_path())
    );
    assert_eq!(
        frames(&mut source)
            .iter()
            .map(|f| f.index)
            .collect::<Vec<_>>(),
        [2, 3]
    );
}
