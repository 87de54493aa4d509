//! Overlay videos: odd paths, odd sizes, pictures that change their size.

use std::{path::Path, sync::Arc, time::Duration};
use ultramotion::{
    frame::{Channels, Detections, Frame, Image, Physical, SourceInfo, SourceKind},
    geometry::Size,
    sinks::{ImageWriter, Layout, OverlaySink, Sink},
};
use video_rs::ffmpeg::{self, Rational, Rescale, media::Type};

fn source(name: &str, rate: Option<f64>) -> Arc<SourceInfo> {
    Arc::new(SourceInfo {
        ordinal: 0,
        path: name.into(),
        name: name.into(),
        kind: SourceKind::Video,
        folder: None,
        frame_count: None,
        frame_rate: rate,
        attributes: Default::default(),
    })
}

/// Writes pictures of the given sizes and times as the overlay of `source`.
fn write(root: &Path, source: &Arc<SourceInfo>, pictures: &[(Size, Option<Duration>)]) {
    let layout = Layout::new(root);
    let mut sink = OverlaySink::new(layout, ImageWriter::new(root, 1).unwrap());
    sink.begin_source(source).unwrap();
    for (index, (size, timestamp)) in pictures.iter().enumerate() {
        let data = (0..size.pixels())
            .map(|i| (i * 255 / size.pixels()) as u8)
            .collect();
        let image = Arc::new(Image::new(*size, Channels::Gray, data).unwrap());
        let (index, timestamp, size) = (index as u64, *timestamp, *size);
        let frame = Frame {
            source: Arc::clone(source),
            index,
            timestamp,
            file: None,
            pixels: image.into(),
            physical: None,
            exif_orientation: None,
            stored: None,
        };
        let result = Detections::new(size, vec![]);
        sink.write(&frame, &result).unwrap();
    }
    sink.end_source(source).unwrap();
    sink.finish().unwrap();
}

/// The size of the pictures and the microseconds at which each is shown, as decoded.
fn decode(path: &Path) -> (Size, Vec<i64>) {
    let mut input = ffmpeg::format::input(path).unwrap();
    let stream = input.streams().best(Type::Video).unwrap();
    let (number, base) = (stream.index(), stream.time_base());
    let mut decoder = ffmpeg::codec::Context::from_parameters(stream.parameters())
        .unwrap()
        .decoder()
        .video()
        .unwrap();
    let (mut size, mut times) = (Size::new(0, 0), Vec::new());
    let mut receive = |decoder: &mut ffmpeg::decoder::Video| {
        let mut picture = ffmpeg::frame::Video::empty();
        while decoder.receive_frame(&mut picture).is_ok() {
            size = Size::new(picture.width(), picture.height());
            times.push(
                picture
                    .pts()
                    .unwrap()
                    .rescale(base, Rational::new(1, 1_000_000)),
            );
        }
    };
    for (stream, packet) in input.packets() {
        if stream.index() == number {
            decoder.send_packet(&packet).unwrap();
            receive(&mut decoder);
        }
    }
    decoder.send_eof().unwrap();
    receive(&mut decoder);
    (size, times)
}

#[test]
fn each_frame_is_shown_once_at_its_own_time() {
    let dir = tempfile::tempdir().unwrap();
    let millis = [2000, 2033, 2066, 2100, 2500, 2501, 4000];
    let pictures: Vec<_> = millis
        .iter()
        .map(|ms| (Size::new(31, 17), Some(Duration::from_millis(*ms))))
        .collect();
    write(dir.path(), &source("a:b/ü %d", Some(30.0)), &pictures);
    let (size, times) = decode(&dir.path().join("overlay/a:b/ü %d.mp4"));
    assert_eq!(size, Size::new(32, 18));
    assert_eq!(times, millis.map(|ms| (ms as i64 - 2000) * 1000));
}

#[test]
fn without_times_the_rate_counts_and_sizes_follow_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let sizes = [(40, 30), (40, 30), (80, 20), (1, 1), (40, 30)];
    let pictures: Vec<_> = sizes
        .iter()
        .map(|(w, h)| (Size::new(*w, *h), None))
        .collect();
    write(dir.path(), &source("clip", Some(10.0)), &pictures);
    let (size, times) = decode(&dir.path().join("overlay/clip.mp4"));
    assert_eq!(
        (size, times),
        (
            Size::new(40, 30),
            vec![0, 100_000, 200_000, 300_000, 400_000]
        )
    );
}

#[test]
fn the_shape_of_pixels_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    for (name, aspect, stated) in [
        ("square", None, (0, 1)),
        ("wide", Some([64, 45]), (64, 45)),
        ("high", Some([2, 3]), (2, 3)),
    ] {
        let info = source(name, Some(25.0));
        let mut sink = OverlaySink::new(
            Layout::new(dir.path()),
            ImageWriter::new(dir.path(), 1).unwrap(),
        );
        let size = Size::new(64, 48);
        let image = Arc::new(Image::new(size, Channels::Gray, vec![90; 64 * 48]).unwrap());
        let physical = aspect.map(|aspect| {
            Arc::new(Physical {
                pixel_aspect: Some(aspect),
                ..Physical::default()
            })
        });
        let (source, pixels) = (Arc::clone(&info), image.into());
        let frame = Frame {
            source,
            index: 0,
            timestamp: None,
            file: None,
            pixels,
            physical,
            exif_orientation: None,
            stored: None,
        };
        sink.begin_source(&info).unwrap();
        sink.write(&frame, &Detections::new(size, vec![])).unwrap();
        sink.end_source(&info).unwrap();
        let path = dir.path().join(format!("overlay/{name}.mp4"));
        assert_eq!(decode(&path).0, size);
        let input = ffmpeg::format::input(&path).unwrap();
        let stream = input.streams().best(Type::Video).unwrap();
        let context = ffmpeg::codec::Context::from_parameters(stream.parameters()).unwrap();
        let ratio = context.decoder().video().unwrap().aspect_ratio();
        let same = (ratio.numerator(), ratio.denominator()) == stated
            || aspect.is_none() && ratio.numerator() == ratio.denominator();
        assert!(same, "{name}: {ratio:?}");
    }
}

#[test]
fn one_picture_and_no_picture() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &source("one", None), &[(Size::new(1, 1), None)]);
    assert_eq!(
        decode(&dir.path().join("overlay/one.mp4")),
        (Size::new(2, 2), vec![0])
    );
    write(dir.path(), &source("none", None), &[]);
    assert!(!dir.path().join("overlay/none.mp4").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_folder_that_is_not_utf8_works() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join(std::ffi::OsStr::from_bytes(b"out\xff"));
    write(
        &root,
        &source("clip", None),
        &[(Size::new(64, 48), None); 3],
    );
    std::fs::rename(root.join("overlay/clip.mp4"), dir.path().join("clip.mp4")).unwrap();
    assert_eq!(decode(&dir.path().join("clip.mp4")).1.len(), 3);
}

#[test]
fn a_video_that_was_given_up_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let info = source("clip", None);
    let mut sink = OverlaySink::new(
        Layout::new(dir.path()),
        ImageWriter::new(dir.path(), 1).unwrap(),
    );
    let size = Size::new(64, 48);
    let image = Arc::new(Image::new(size, Channels::Gray, vec![9; 64 * 48]).unwrap());
    let frame = Frame {
        source: Arc::clone(&info),
        index: 0,
        timestamp: None,
        file: None,
        pixels: image.into(),
        physical: None,
        exif_orientation: None,
        stored: None,
    };
    sink.begin_source(&info).unwrap();
    sink.write(&frame, &Detections::new(size, vec![])).unwrap();
    drop(sink);
    assert_eq!(
        std::fs::read_dir(dir.path().join("overlay"))
            .unwrap()
            .count(),
        0
    );
}
